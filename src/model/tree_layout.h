/* A token tree in the terms of the compute layer: where each token is, and what its run attends to. */
#ifndef ESPALIER_MODEL_TREE_LAYOUT_H
#define ESPALIER_MODEL_TREE_LAYOUT_H

#include "compute/compute.h"
#include "model/token_tree.h"

/* For a pool of keys and values in which token t has row t. Freed with tree_layout_free. */
typedef struct {
    int64_t tokens;
    int32_t *positions, *predecessor; /* [tokens]; predecessor -1: a root's first token */
    int64_t *slots;                   /* [tokens] */
    attention_span *spans;            /* one per run */
    int64_t span_count;
    MEM_LIST(attention_segment) segments;
} tree_layout;

void tree_layout_make(tree_layout *out, const token_tree *tree);
void tree_layout_free(tree_layout *layout);

#endif
