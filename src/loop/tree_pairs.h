/* What was read off a finished tree (search/harvest.h), as rows of run.db. */
#ifndef ESPALIER_LOOP_TREE_PAIRS_H
#define ESPALIER_LOOP_TREE_PAIRS_H

#include "search/harvest.h"
#include "store/store.h"

/* A pair of steps, or of whole chains: its nodes are those where the two texts end, its log-probs those of
 * the policy that sampled the tree. */
store_pair tree_pairs_row(const search *s, const harvest_pair *pair);

#endif
