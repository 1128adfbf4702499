/* What preference learning takes from a finished tree, as rows of run.db: pairs of steps, as the search found
 * them, or one pair of whole chains. */
#ifndef ESPALIER_LOOP_TREE_PAIRS_H
#define ESPALIER_LOOP_TREE_PAIRS_H

#include "search/search.h"
#include "store/store.h"

/* Pair number `index` of search_pair_count: a step that is better than another one after the same state. With
 * joined steps the log-prob of the rejected side is not known, since these steps were not sampled there. */
store_pair tree_pairs_step(const search *s, int32_t index);
/* The tree's finished chain of largest reward and that of smallest, ties to the lower node (docs/method.md
 * 6). False where their rewards do not differ by more than min_q_gap. */
bool tree_pairs_instance(const search *s, store_pair *out);

#endif
