/* A search tree as rows of run.db, and the rows as what a search needs to grow the same tree again: the
 * replies that its policy gave. Both directions of the mapping are here and nowhere else. */
#ifndef ESPALIER_LOOP_TREE_ROWS_H
#define ESPALIER_LOOP_TREE_ROWS_H

#include "search/harvest.h"
#include "store/store.h"

/* The key of a problem's search (search_new). turn: how many times the iteration has reached the problem
 * before.
 */
rng_key_t tree_rows_key(int64_t seed, int64_t iteration, int64_t problem, int64_t turn);

/* ---- a tree to rows ---- */

/* All nodes into out [search_node_count], but for their text, which only a tokenizer knows. Ids and log-probs
 * are the search's own: valid until it is fed or freed. */
void tree_rows_nodes(const search *s, store_node *out);
/* pair: the one that was read at that state, or NULL. */
store_commitment tree_rows_commitment(const search *s, int32_t index, const harvest_pair *pair);
/* Counts, outcome and final node of the finished search; the other fields are left as they are. */
void tree_rows_tree(const search *s, store_tree *out);

/* ---- rows to replies ---- */

/* What became of the chain with this step. Finished ones are SEARCH_SCORED with the stored O, whichever rule
 * gave it (docs/method.md 2.4), or unknown. */
search_outcome tree_rows_outcome(const store_node *n);
/* How many chains of the root probe came through. */
int64_t tree_rows_probed(const store_node *n);

/* The candidates of the reply that made the next nodes, from node number `first` (the number of nodes that
 * the search has so far) on, into out [asked->count + 1]. A node that several chains of the root probe
 * reached is several candidates. Returns their number; -1 where the rows hold more than was asked for. Their
 * text keys differ from each other, since duplicates were dropped before they became nodes. */
int32_t tree_rows_candidates(const search_request *asked, const store_node *nodes, int64_t count,
                             int32_t first, search_candidate *out);
/* The confidences that a JUDGE request was answered with, into out [asked->count]. As they were stored:
 * divided by depth already where the configuration says depth_discount_confidence. */
void tree_rows_confidences(const search_request *asked, const store_node *nodes, double *out);

#endif
