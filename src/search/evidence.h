/* What the finished chains of a tree say of its steps: how many correct and incorrect ones end at a node or
 * below it, and the value that follows (docs/method.md 4.4). Pure functions of arrays in the order of nodes,
 * so that they serve a tree in memory and one that was stored. */
#ifndef ESPALIER_SEARCH_EVIDENCE_H
#define ESPALIER_SEARCH_EVIDENCE_H

#include <stdint.h>

/* Of the chains that end at a node or below it, as search_outcome_sign counts them. */
typedef struct {
    int32_t right, wrong;
} evidence;

/* What a node is by itself: sign > 0 the end of a correct chain, < 0 of an incorrect one, 0 neither. */
evidence evidence_of_sign(int sign);

/* of [count] holds each node's own evidence, and then that of all nodes below it too. parents [count]: a
 * parent comes before its children; -1 at the root. */
void evidence_gather(const int32_t *parents, int32_t count, evidence *of);

/* docs/method.md 4.4: the chance that a chain through each node ends correct, shrunk to that of its parent:
 *   V(n) = (right + kappa V(parent)) / (right + wrong + kappa), kappa = 1,
 * and at the root, whose parent is the mean of all problems, with `mean` in the place of V(parent). In 0 .. 1
 * into out [count]. of: as evidence_gather leaves it. */
void evidence_values(const int32_t *parents, const evidence *of, int32_t count, double mean, double *out);

#endif
