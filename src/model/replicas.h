/* Replicas of a small model. An operation of a model that fits in a core's own cache takes microseconds, and
 * splitting each among threads costs as much as it saves. So threads work on tokens of their own: each has a
 * replica, a model with the same weights and workspaces of its own, and they meet only at the end. Searches
 * and chains are dealt out whole (policy/); trees of tokens are cut into parts here. */
#ifndef ESPALIER_MODEL_REPLICAS_H
#define ESPALIER_MODEL_REPLICAS_H

#include "model/model.h"

/* Part of a tree: some of its runs, and copies of their ancestors that belong to an earlier part. */
typedef struct {
    token_tree_builder tree;
    MEM_LIST(int32_t) token_of; /* token in the whole tree; -1: a copy */
    MEM_LIST(uint8_t) wanted;
    MEM_LIST(float) numbers; /* log-probs, then dloss/dlogprob */
} tree_part;

enum { TREE_PARTS = 4 };

/* The replicas of a model, and the parts of the tree that they work on. */
typedef struct {
    int threads;         /* 0: not a small model, which has no replicas */
    compute *one_thread; /* the compute layer that the model owns, of one thread */
    model **at;          /* [count], beside the model itself, which is replica 0 */
    int count;
    bool is_replica; /* this model is one: its weights are another's */
    float *gradient; /* a replica's: a buffer for its part's */
    tree_part part[TREE_PARTS];
    int parts;              /* of the last tree; 0: it was not cut */
    MEM_LIST(int32_t) last; /* scratch: the last run below each */
    MEM_LIST(int64_t) copied;
    MEM_LIST(int32_t) place;
} model_replicas;

/* Whether replicas pay for a model with that number of parameters: its weights in bf16 stay in the cache that
 * they share. */
bool replicas_pay(const compute *c, int64_t parameters);
/* Cuts the tree into parts. False: it is worked on whole. Depends on the tree alone, not on the threads, so
 * that the same numbers result from any number of them. */
bool replicas_cut(model *m, const token_tree *tree, const uint8_t *wanted);
/* The passes over the parts of the last cut. */
esp_status replicas_forward(model *m, bool keep, float *logprob, esp_error *error);
esp_status replicas_backward(model *m, const float *dlogprob, float *gradient, esp_error *error);
void replicas_free(model *m);

#endif
