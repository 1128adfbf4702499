/* Packing: token paths (prompts with their completions, prefixes with their chosen and rejected steps) into
 * one token tree in which common beginnings occur once. Forward and backward then compute them once; the
 * log-probs and gradients are those of the separate paths
 * (tests/unit/learn/test_trainer.c). */
#ifndef ESPALIER_LEARN_PACK_H
#define ESPALIER_LEARN_PACK_H

#include "model/token_tree.h"

typedef struct pack pack;

pack *pack_new(void);
void pack_free(pack *p);
void pack_clear(pack *p);
/* Adds ids[n], n >= 1, as a path from the root. Paths may repeat. */
void pack_add(pack *p, const int32_t *ids, int64_t n);
/* Tokens that pack_add of this path would add. */
int64_t pack_cost(const pack *p, const int32_t *ids, int64_t n);
int64_t pack_tokens(const pack *p);
/* The tree, parents first, each run followed by its first child. Valid until the next add or clear. */
token_tree pack_tree(pack *p);
/* at[i] = index in the tree's tokens of ids[i], for a path that was added. After pack_tree. */
void pack_locate(const pack *p, const int32_t *ids, int64_t n, int32_t *at);

#endif
