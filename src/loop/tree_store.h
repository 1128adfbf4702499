/* A finished tree into run.db: its problem, itself, its nodes with their text, its commitments and its pairs.
 */
#ifndef ESPALIER_LOOP_TREE_STORE_H
#define ESPALIER_LOOP_TREE_STORE_H

#include "loop/run_state.h"
#include "policy/sampler.h"

/* *tree has iteration, wave and ordinal; the rest is filled in. Within the transaction of its wave. */
esp_status tree_store(run_state *run, const search_job *job, store_tree *tree, esp_error *error);

#endif
