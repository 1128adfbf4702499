/* GGUF files (versions 2 and 3, little-endian): metadata as typed values by key, and the list of tensors. The
 * file is mapped; lists and strings are read in place. The whole file is checked when it is opened, so that
 * no later read can go beyond its end. Source: the GGUF specification (ggml, docs/gguf.md). */
#ifndef ESPALIER_FORMATS_GGUF_H
#define ESPALIER_FORMATS_GGUF_H

#include "formats/tensor.h"

typedef struct gguf_file gguf_file;

/* Opens, maps and checks the file. */
esp_status gguf_open(gguf_file **out, const char *path, esp_error *error);
void gguf_close(gguf_file *g);
const char *gguf_path(const gguf_file *g);

/* Tensors in the order of the file. Shapes are reversed: GGUF's [in, out] is returned as [out, in]. */
int64_t gguf_tensor_count(const gguf_file *g);
const tensor_entry *gguf_tensor_at(const gguf_file *g, int64_t i);

/* Metadata. gguf_need_... fails if the key is absent or has another type; call gguf_has first for optional
 * keys. */
bool gguf_has(const gguf_file *g, const char *key);
/* Any of GGUF's integer types; fails on a u64 over INT64_MAX. */
esp_status gguf_need_integer(const gguf_file *g, const char *key, int64_t *out, esp_error *error);
/* Any float or integer type. */
esp_status gguf_need_number(const gguf_file *g, const char *key, double *out, esp_error *error);
esp_status gguf_need_bool(const gguf_file *g, const char *key, bool *out, esp_error *error);
/* Zero-terminated; valid as long as g. A value is cut off at a zero byte. */
esp_status gguf_need_string(const gguf_file *g, const char *key, const char **out, esp_error *error);

/* A list in the metadata, not copied. Valid as long as g. */
typedef struct {
    int64_t count;
    const uint8_t *bytes;   /* the elements, packed, of any alignment; each text is a length and its bytes */
    const int64_t *offsets; /* texts only: the offset of text i's length in `bytes` */
    uint32_t type;          /* GGUF's id of the element type */
} gguf_list;

/* A list of texts; of numbers of any float or integer type; of integers of any type (bool counts as 0 and 1).
 */
esp_status gguf_need_texts(const gguf_file *g, const char *key, gguf_list *out, esp_error *error);
esp_status gguf_need_numbers(const gguf_file *g, const char *key, gguf_list *out, esp_error *error);
esp_status gguf_need_integers(const gguf_file *g, const char *key, gguf_list *out, esp_error *error);

/* Element i, 0 <= i < count, of a list from the function above of the same kind. A text is *length bytes, not
 * zero-terminated. */
const char *gguf_text_at(const gguf_list *list, int64_t i, size_t *length);
double gguf_number_at(const gguf_list *list, int64_t i);
int64_t gguf_integer_at(const gguf_list *list, int64_t i);

/* The Llama converter of llama.cpp stores the rows of attn_q and attn_k (weights and biases) in another order
 * than Hugging Face: in a head of D rows, row j D/2 + i (j in {0, 1}, the two halves that rotary embedding
 * pairs) became row 2 i + j. These two functions restore Hugging Face's order. Only for general.architecture
 * "llama"; other architectures (qwen2, ...) are stored unpermuted. head_dim must be even. gguf_source_row:
 * the row in the file for row `row` in Hugging Face's order. */
int64_t gguf_source_row(int64_t row, int64_t head_dim);
/* In place: weights [heads * head_dim, columns]; attn_k takes the number of key/value heads; a bias has
 * columns = 1. */
void gguf_unpermute_rows(float *weights, int64_t heads, int64_t head_dim, int64_t columns);

#endif
