/* Rows that teach a policy self-evaluation (docs/method.md 3.1): a solution so far and the verdict as the one
 * token to learn. The solution is the gold rationale, correct or with a mistake in it, which teaches the
 * form; or the policy's own, labelled by its outcome, which teaches the policy to know its own mistakes.
 * Everything is a function of the problem, the key and, for own solutions, the policy. */
#ifndef ESPALIER_LOOP_JUDGE_ROWS_H
#define ESPALIER_LOOP_JUDGE_ROWS_H

#include "policy/lm.h"
#include "recipe/recipe.h"
#include "recipe/session.h"

/* The steps to be judged, as text. */
typedef struct {
    char *text;      /* whole steps, each with its newline where it has one */
    int64_t steps;   /* at least 1 */
    bool right;      /* false: the last step shows a mistake */
    int64_t changed; /* where the mistake begins in text; -1 for correct steps */
} judge_steps;

/* Draws a depth, a label (correct or not, one half each) and the task's mistake (task_make_mistake) from the
 * gold rationale. The mistake is in the last step, or, in a third of the rows, in the step before where the
 * last step shows it again. Where the task can put no mistake at a depth, the next depth is tried. Fails for
 * a problem without rationale and for a task without mistakes. */
esp_status judge_steps_draw(const task *t, const problem *p, rng_key_t key, judge_steps *out,
                            esp_error *error);
void judge_steps_free(judge_steps *steps);

/* A row of ids: judge prefix, steps, suffix; the completion is the verdict. */
typedef struct {
    token_list prompt;
    int32_t verdict;
    bool right, with_example;
} judge_row;

/* The n-th row of a problem. example: RECIPE_EXAMPLE_GOLD shows the gold rationale in half of the rows (as in
 * training's searches; at evaluation there is none), RECIPE_EXAMPLE_NONE in none. */
esp_status judge_row_make(const prompt_words *words, const problem *p, recipe_example example, uint64_t seed,
                          int64_t n, judge_row *out, esp_error *error);
/* The row of steps[0, n), as they were sampled and without end-of-sequence. */
esp_status judge_row_of_ids(const prompt_words *words, const problem *p, bool with_example,
                            const int32_t *steps, int64_t n, bool right, judge_row *out, esp_error *error);
void judge_row_free(judge_row *row);

/* How many rows problem number `ordinal` of a pass gets when there are `rate` of them a rationale: whole ones
 * and, spread evenly, the rest (rate 0.5: every second problem). */
int64_t judge_rows_due(double rate, int64_t ordinal);

typedef MEM_LIST(judge_row) judge_row_list;
typedef struct {
    int64_t chains, right, unfinished; /* right: finished and right */
    int64_t unknown;                   /* finished, and could not be judged: they make no rows either */
    int64_t right_cuts, wrong_cuts;    /* rows there were to choose from */
    int64_t tokens_sampled;
} judge_own_counts;

/* Rows from the policy's own chains: sft.judge_chains of each problem, sampled at search.temperature, at most
 * search.max_chain_tokens long, graded, and cut after each step and at the end. A cut is labelled by the
 * outcome of its chain; unfinished chains make no rows. A keyed draw keeps as many correct as incorrect cuts,
 * `want` in all if there are enough, preferring problems that have chains of both kinds. With
 * self_eval.example gold, a keyed half of the rows shows the gold rationale (training's judge; at evaluation
 * there is none). The ids are those that were sampled. A key is a function of (seed, problem's index, chain):
 * the same policy gives the same rows. Fails if there is no correct or no incorrect chain. */
esp_status judge_rows_own(session *s, sampler *policy, const problem *problems, int64_t n, int64_t want,
                          judge_row_list *out, judge_own_counts *counts, esp_error *error);
void judge_row_list_free(judge_row_list *rows);

#endif
