/* The shape of a small model whose weights are made up. */
#ifndef ESPALIER_TESTS_MADE_UP_SHAPE_H
#define ESPALIER_TESTS_MADE_UP_SHAPE_H

#include "model/arch.h"

static inline model_config made_up_shape(int64_t vocab, int layers, int heads, int kv_heads, int head_width) {
    return (model_config){.arch = &arch_llama,
                          .vocab = vocab,
                          .width = (int64_t)heads * head_width,
                          .feed_forward = 96,
                          .context = 512,
                          .layers = layers,
                          .heads = heads,
                          .kv_heads = kv_heads,
                          .head_width = head_width,
                          .norm_eps = 1e-5,
                          .rope = {.kind = ROPE_NONE, .theta = 10000, .factor = 1},
                          .tied = true,
                          .bos = 0,
                          .eos = 1};
}

#endif
