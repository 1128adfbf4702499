/* A stored tree searched again, simulation by simulation: the search (search/search.h) gets the stored
 * children and confidences as its replies. A replay that does not reproduce the stored numbers is dropped. */
#ifndef ESPALIER_VIEW_REPLAY_H
#define ESPALIER_VIEW_REPLAY_H

#include "search/search.h"
#include "store/store.h"

#include <stdbool.h>

typedef struct {
    MEM_LIST(search_simulation) simulations;
} replay;

/* False where the search does not reproduce the stored nodes with their N, Q and V (within REPLAY_TOLERANCE):
 * another recipe, another program, a damaged store. config is the run's (recipe.search.config), key the
 * tree's (tree_rows_key), on which rules with random numbers depend. *out is emptied first; freed by
 * replay_free. */
#define REPLAY_TOLERANCE 1e-9
bool replay_tree(replay *out, const search_config *config, rng_key_t key, const store_node *nodes,
                 int64_t count);
void replay_free(replay *r);

#endif
