/* What was read off a finished tree (search/harvest.h), as rows of run.db. */
#ifndef ESPALIER_LOOP_TREE_PAIRS_H
#define ESPALIER_LOOP_TREE_PAIRS_H

#include "search/harvest.h"
#include "store/store.h"

/* A pair of steps. With joined steps the log-prob of the rejected side is not known, since these steps were
 * not sampled there. */
store_pair tree_pairs_step(const search *s, const harvest_pair *pair);
/* A pair of whole chains. */
store_pair tree_pairs_chain(const search *s, const harvest_pair *pair);

#endif
