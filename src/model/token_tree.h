/* The token tree: the one shape that prompts, samples, judgements and training batches all take. A set of
 * token runs, each with a parent run; a token's position is its distance from the root, and it attends to its
 * ancestors only. A path is a tree of one run; a batch of trees is a forest: several runs without a parent.
 */
#ifndef ESPALIER_MODEL_TOKEN_TREE_H
#define ESPALIER_MODEL_TOKEN_TREE_H

#include "base/error.h"
#include "base/memory.h"

typedef struct {
    int32_t runs;
    const int32_t *tokens; /* [start[runs]] */
    const int32_t *start;  /* [runs + 1]: run r holds tokens start[r] .. start[r + 1] - 1; no run is empty */
    const int32_t *parent; /* [runs]: an earlier run, or -1 */
} token_tree;

/* Building one: runs are appended, parents first. */
typedef struct {
    MEM_LIST(int32_t) tokens;
    MEM_LIST(int32_t) start; /* of each run */
    MEM_LIST(int32_t) parent;
    MEM_LIST(int32_t) end; /* scratch of token_tree_view: start, closed */
} token_tree_builder;

int32_t token_tree_add(token_tree_builder *b, int32_t parent, const int32_t *tokens,
                       int64_t n);                 /* returns the run */
token_tree token_tree_view(token_tree_builder *b); /* valid until the next add */
void token_tree_clear(token_tree_builder *b);
void token_tree_free(token_tree_builder *b);

/* Checks that parents precede children, no run is empty, ids are in [0, vocab) and no path is longer than
 * context. */
esp_status token_tree_check(const token_tree *tree, int64_t vocab, int64_t context, esp_error *error);

#endif
