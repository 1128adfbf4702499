/* Rows that teach the judge what came of an iteration's own steps (docs/method.md 3.3). A row is a judged
 * node of a tree; its label says whether more of the chains that end at or below it are correct than
 * incorrect. Nothing is sampled for them, and nothing is kept of them: they follow from the stored trees. */
#ifndef ESPALIER_LOOP_JUDGE_ROWS_TREES_H
#define ESPALIER_LOOP_JUDGE_ROWS_TREES_H

#include "learn/batches.h"
#include "prompt/prompt.h"
#include "store/store.h"

typedef struct {
    int64_t tree, problem, node;
    bool right;    /* the label */
    bool mixed;    /* the problem has rows of both labels */
    double alpha;  /* chance that the label is wrong: 0 of a finished node, else (1 + min(r, w)) / (2 + r + w)
                      with r correct and w incorrect chains at or below */
    uint64_t rank; /* keyed: the order in which rows are taken */
    bool half;     /* keyed: of one half of all rows */
} tree_row;
typedef MEM_LIST(tree_row) tree_row_list;

/* All rows of one stored tree. key: of the tree's iteration. */
void tree_rows_label(const store_tree *tree, const store_node *nodes, int64_t n, rng_key_t key,
                     tree_row_list *out);
/* Keeps at most `most` rows of a problem, as many correct as incorrect: of a problem that has both, as many
 * of each; of the others, which only say how hard a problem is, as many problems of either label, and no more
 * rows than those of mixed problems. By tree, then node. */
void tree_rows_choose(tree_row_list *rows, int64_t most);
/* Keeps `count` rows, half of either label while there are, those of lowest rank. By tree, then node. */
void tree_rows_draw(tree_row_list *rows, int64_t count);

/* The rows of the trees of `iteration`, as many again of the `buffer` - 1 iterations before, which were
 * chosen by the same rule (docs/method.md 3.3). most: of a problem. */
esp_status tree_rows_gather(store *s, int64_t iteration, int64_t most, int64_t buffer, uint64_t seed,
                            tree_row_list *out, esp_error *error);

/* Rows as examples of objective_verdict: two paths, the verdict and the other one, after the judge's prefix,
 * the steps without end-of-sequence and the suffix; or, where the policy itself says it (docs/method.md 3.6),
 * after the policy's prompt and the steps without their last token. */
typedef struct {
    example_list examples;
    int64_t too_long; /* rows of more than max_length tokens: left out */
    arena *memory;
} judge_examples;

typedef enum {
    EXAMPLE_SHOWN_NEVER,
    EXAMPLE_SHOWN_HALF, /* in the rows of one half: training's searches show it, evaluation's do not */
    EXAMPLE_SHOWN_ALWAYS
} example_shown;

typedef struct {
    search_judge kind;
    example_shown shown;
    int64_t max_length; /* tokens of a row; longer ones are left out */
} judge_examples_options;

/* problems: the train set, by index. term: of objective_verdict. Freed by judge_examples_free, on failure
 * too. */
esp_status judge_examples_make(store *s, const prompt_words *words, const problem *problems,
                               const tree_row_list *rows, const judge_examples_options *options,
                               const objective_term *term, judge_examples *out, esp_error *error);
void judge_examples_free(judge_examples *e);

#endif
