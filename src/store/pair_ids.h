/* The token ids of a pair, put together from its tree: prompt and steps are stored once per tree, not once
 * per pair. Inside the store. */
#ifndef ESPALIER_STORE_PAIR_IDS_H
#define ESPALIER_STORE_PAIR_IDS_H

#include "store/store.h"

/* The tree of the last pair is kept, since a tree's pairs follow each other. Starts zeroed. */
typedef MEM_LIST(int32_t) pair_id_list;
typedef struct {
    pair_id_list prefix, chosen, rejected; /* of the last pair */
    bool has_tree;
    int64_t tree;
    const int32_t *prompt;
    int64_t prompt_count;
    store_nodes nodes;
    store_commitments commitments;
} pair_ids;

/* Whether a row's ids follow from its tree: it has none of its own. */
bool pair_ids_follow(const store_pair *row);
/* Fills prefix, chosen and rejected. Fails where the tree does not have the nodes that the row names. */
esp_status pair_ids_of(pair_ids *ids, store *s, const store_pair *row, esp_error *error);
void pair_ids_free(pair_ids *ids);

#endif
