/* Small models side by side. An operation of a model that fits in a core's own cache takes microseconds, and
 * cutting each among threads costs as much as it saves. So threads are put to work on tokens of their own:
 * each has a worker, a model with the same weights and workspaces of its own, and meets the others only at
 * the end. Searches and chains are dealt out whole (policy/); trees of tokens are cut here. */
#ifndef ESPALIER_MODEL_TEAM_H
#define ESPALIER_MODEL_TEAM_H

#include "model/model.h"

/* Part of a tree: some of its runs, and copies of those above them that belong to an earlier part. */
typedef struct {
    token_tree_builder tree;
    MEM_LIST(int32_t) token_of; /* token in the whole tree; -1: a copy */
    MEM_LIST(uint8_t) wanted;
    MEM_LIST(float) numbers; /* log-probs, then dloss/dlogprob */
} tree_part;

enum { TEAM_PARTS = 4 };

/* What the workers share is in the model; here is what the team itself keeps. */
typedef struct {
    int threads;    /* 0: not a small model */
    compute *alone; /* of one thread, the model's own */
    model **worker; /* [worker_count], beside the model itself, which is worker 0 */
    int worker_count;
    bool is_worker;
    float *gradient; /* a worker's: a buffer for its part's */
    tree_part part[TEAM_PARTS];
    int parts;              /* of the last tree; 0: it was not cut */
    MEM_LIST(int32_t) last; /* scratch: the last run below each */
    MEM_LIST(int64_t) copied;
    MEM_LIST(int32_t) place;
} model_team;

/* Whether a model of that many parameters is small: its weights in bf16 stay in the cache that replicas
 * share. */
bool team_is_small(const compute *c, int64_t parameters);
/* Cuts the tree for the team. False: it is worked on whole. Depends on the tree alone, not on the threads, so
 * that the same numbers come from any number of them. */
bool team_cut(model *m, const token_tree *tree, const uint8_t *wanted);
esp_status team_forward(model *m, bool keep, float *logprob, esp_error *error);
esp_status team_backward(model *m, const float *dlogprob, float *gradient, esp_error *error);
void team_free(model *m);

#endif
