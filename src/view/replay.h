/* A stored tree searched again, simulation by simulation: the search (search/search.h) gets the stored
 * children and confidences as its replies. A replay that does not reproduce the stored numbers is dropped. */
#ifndef ESPALIER_VIEW_REPLAY_H
#define ESPALIER_VIEW_REPLAY_H

#include "search/search.h"
#include "store/store.h"

#include <stdbool.h>

/* N and Q of a node at some moment. */
typedef struct {
    int64_t N;
    double Q;
} replay_value;

typedef struct {
    replay_value before, after;
} replay_change;

/* A simulation, or a chain of the root probe, and the changes of its path's nodes, from the leaf up to the
 * root, without the nodes that it made. All other nodes kept their values. So every moment of a search
 * follows from its end, backwards. */
typedef struct {
    search_simulation simulation;
    int64_t first, count; /* in replay.changes */
} replay_moment;

typedef struct {
    MEM_LIST(replay_moment) moments;
    MEM_LIST(replay_change) changes;
} replay;

/* False where the search does not reproduce the stored nodes with their N, Q and V (within REPLAY_TOLERANCE):
 * another recipe, another program, a damaged store; and where it changed nodes off a simulation's path, which
 * no rule of the table does. config is the run's (recipe.search.config), key the tree's (tree_rows_key), on
 * which rules with random numbers depend. *out is emptied first; freed by replay_free. */
#define REPLAY_TOLERANCE 1e-9
bool replay_tree(replay *out, const search_config *config, rng_key_t key, const store_node *nodes,
                 int64_t count);
void replay_free(replay *r);

#endif
