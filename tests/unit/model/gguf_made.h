/* A GGUF file of a trainable model, written as llama.cpp's converter would. */
#ifndef TEST_MODEL_GGUF_MADE_H
#define TEST_MODEL_GGUF_MADE_H

#include "formats/gguf.h"
#include "made_up.h"
#include "unit/formats/scratch.h"

typedef struct {
    text_buffer keys, tensors, data;
    uint64_t key_count, tensor_count;
} gguf_made;

static inline void made_bytes(text_buffer *b, const void *bytes, size_t n) {
    text_append(b, bytes, n);
}
static inline void made_u32(text_buffer *b, uint32_t x) {
    made_bytes(b, &x, sizeof x);
}
static inline void made_u64(text_buffer *b, uint64_t x) {
    made_bytes(b, &x, sizeof x);
}
static inline void made_text(text_buffer *b, const char *text) {
    made_u64(b, strlen(text));
    text_puts(b, text);
}

/* Types 4, 6 and 8 of the specification: u32, f32, text. */
static inline void made_key(gguf_made *g, const char *prefix, const char *key, uint32_t type) {
    char whole[128];
    snprintf(whole, sizeof whole, "%s%s", prefix, key);
    made_text(&g->keys, whole);
    made_u32(&g->keys, type);
    g->key_count++;
}
static inline void made_integer(gguf_made *g, const char *prefix, const char *key, int64_t x) {
    made_key(g, prefix, key, 4);
    made_u32(&g->keys, (uint32_t)x);
}
static inline void made_number(gguf_made *g, const char *prefix, const char *key, double x) {
    made_key(g, prefix, key, 6);
    made_bytes(&g->keys, &(float){(float)x}, 4);
}

/* Type 0: f32. Rows of one head of `permuted` rows are interleaved; 0: as they are. */
static inline void made_tensor(gguf_made *g, const char *name, int rank, int64_t rows, int64_t columns,
                               const float *from, int64_t permuted) {
    made_text(&g->tensors, name);
    made_u32(&g->tensors, (uint32_t)rank);
    if (rank == 2) made_u64(&g->tensors, (uint64_t)columns);
    made_u64(&g->tensors, (uint64_t)rows);
    made_u32(&g->tensors, 0);
    made_u64(&g->tensors, g->data.length);
    g->tensor_count++;
    float *to = MEM_ARRAY(float, rows *columns);
    for (int64_t r = 0; r < rows; r++) {
        int64_t place = permuted ? gguf_source_row(r, permuted) : r;
        memcpy(to + place * columns, from + r * columns, (size_t)columns * 4);
    }
    made_bytes(&g->data, to, (size_t)(rows * columns) * 4);
    mem_free(to);
    while (g->data.length % 32) text_append(&g->data, "", 1);
}

static inline gguf_made gguf_make(const model *m) {
    gguf_made g = {0};
    const model_config *c = model_configuration(m);
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.", c->arch->gguf);
    made_key(&g, "", "general.architecture", 8);
    made_text(&g.keys, c->arch->gguf);
    made_integer(&g, prefix, "embedding_length", c->width);
    made_integer(&g, prefix, "feed_forward_length", c->feed_forward);
    made_integer(&g, prefix, "block_count", c->layers);
    made_integer(&g, prefix, "context_length", c->context);
    made_integer(&g, prefix, "attention.head_count", c->heads);
    made_integer(&g, prefix, "attention.head_count_kv", c->kv_heads);
    made_integer(&g, prefix, "attention.key_length", c->head_width);
    made_integer(&g, prefix, "rope.dimension_count", c->head_width);
    made_number(&g, prefix, "attention.layer_norm_rms_epsilon", c->norm_eps);
    made_number(&g, prefix, "rope.freq_base", c->rope.theta);
    made_integer(&g, "tokenizer.ggml.", "bos_token_id", c->bos);
    made_integer(&g, "tokenizer.ggml.", "eos_token_id", c->eos);
    for (const param *p = m->params.at; p < m->params.at + m->params.count; p++) {
        float *numbers = host_copy(m->compute, m->master + p->offset, param_floats(p));
        for (int64_t i = 0; p->spec->flags & PARAM_PLUS_ONE && i < param_floats(p); i++) numbers[i] += 1;
        made_tensor(&g, param_gguf_name(p).text, param_rank(p), p->rows, p->columns, numbers,
                    p->spec->flags & PARAM_GGUF_PERMUTED ? c->head_width : 0);
        mem_free(numbers);
    }
    return g;
}

/* Writes and frees it; the path. */
static inline const char *gguf_write(gguf_made *g, const char *name) {
    text_buffer all = {0};
    text_puts(&all, "GGUF");
    made_u32(&all, 3);
    made_u64(&all, g->tensor_count);
    made_u64(&all, g->key_count);
    text_append(&all, g->keys.at, g->keys.length);
    text_append(&all, g->tensors.at, g->tensors.length);
    while (all.length % 32) text_append(&all, "", 1);
    text_append(&all, g->data.at, g->data.length);
    const char *path = scratch_write(name, all.at, all.length);
    text_free(&all);
    text_free(&g->keys);
    text_free(&g->tensors);
    text_free(&g->data);
    return path;
}

#endif
