/* A stored tensor: its name, type, shape and bytes, and the conversion of any stored type to floats. Both
 * weight formats, safetensors and GGUF, are described in these terms. */
#ifndef ESPALIER_FORMATS_TENSOR_H
#define ESPALIER_FORMATS_TENSOR_H

#include "base/error.h"

/* The stored types: name, elements per block, bytes per block, id in GGUF (-1: none), whether it can be
 * converted to floats. Block sizes: ggml's gguf.md and gguf-py's GGML_QUANT_SIZES; names without a GGUF id
 * are safetensors dtypes. */
#define TENSOR_TYPES(X)                                                                                      \
    X(F32, 1, 4, 0, true)                                                                                    \
    X(F16, 1, 2, 1, true)                                                                                    \
    X(BF16, 1, 2, 30, true)                                                                                  \
    X(Q8_0, 32, 34, 8, true)                                                                                 \
    X(Q4_0, 32, 18, 2, true)                                                                                 \
    X(Q4_1, 32, 20, 3, true)                                                                                 \
    X(Q5_0, 32, 22, 6, true)                                                                                 \
    X(Q5_1, 32, 24, 7, true)                                                                                 \
    X(Q4_K, 256, 144, 12, true)                                                                              \
    X(Q5_K, 256, 176, 13, true)                                                                              \
    X(Q6_K, 256, 210, 14, true)                                                                              \
    X(F64, 1, 8, 28, false)                                                                                  \
    X(I8, 1, 1, 24, false)                                                                                   \
    X(I16, 1, 2, 25, false)                                                                                  \
    X(I32, 1, 4, 26, false)                                                                                  \
    X(I64, 1, 8, 27, false)                                                                                  \
    X(U8, 1, 1, -1, false)                                                                                   \
    X(U16, 1, 2, -1, false)                                                                                  \
    X(U32, 1, 4, -1, false)                                                                                  \
    X(U64, 1, 8, -1, false)                                                                                  \
    X(BOOL, 1, 1, -1, false)                                                                                 \
    X(F8_E4M3, 1, 1, -1, false)                                                                              \
    X(F8_E5M2, 1, 1, -1, false)                                                                              \
    X(F8_E8M0, 1, 1, -1, false)                                                                              \
    X(C64, 1, 8, -1, false)                                                                                  \
    X(Q2_K, 256, 84, 10, false)                                                                              \
    X(Q3_K, 256, 110, 11, false)                                                                             \
    X(IQ2_XXS, 256, 66, 16, false)                                                                           \
    X(IQ2_XS, 256, 74, 17, false)                                                                            \
    X(IQ3_XXS, 256, 98, 18, false)                                                                           \
    X(IQ1_S, 256, 50, 19, false)                                                                             \
    X(IQ4_NL, 32, 18, 20, false)                                                                             \
    X(IQ3_S, 256, 110, 21, false)                                                                            \
    X(IQ2_S, 256, 82, 22, false)                                                                             \
    X(IQ4_XS, 256, 136, 23, false)                                                                           \
    X(IQ1_M, 256, 56, 29, false)                                                                             \
    X(TQ1_0, 256, 54, 34, false)                                                                             \
    X(TQ2_0, 256, 66, 35, false)                                                                             \
    X(MXFP4, 32, 17, 39, false)

#define TENSOR_TYPE_ENUM(name, block, bytes, id, readable) TENSOR_##name,
typedef enum { TENSOR_TYPES(TENSOR_TYPE_ENUM) TENSOR_TYPE_COUNT } tensor_type;
#undef TENSOR_TYPE_ENUM

enum { TENSOR_RANK_MAX = 8 };

typedef struct {
    const char *name;
    tensor_type type;
    int rank;                       /* 0: one number */
    int64_t shape[TENSOR_RANK_MAX]; /* row-major: a linear map is [out, in]. 0 beyond rank */
    const uint8_t *bytes;           /* in the mapped file; of any alignment */
    size_t length;
    const char *file;
} tensor_entry;

const char *tensor_type_name(tensor_type type); /* "BF16", "Q4_K", ... */
int tensor_type_block(tensor_type type);        /* elements per block: 1 for types without blocks */
bool tensor_type_readable(tensor_type type);    /* whether tensor_read_f32 can read it */
/* The type of that name, or of that GGUF id; false if there is none. */
bool tensor_type_by_name(const char *name, tensor_type *out);
bool tensor_type_by_gguf(uint32_t id, tensor_type *out);

/* Product of the shape; 1 for rank 0. It cannot overflow: it is checked when a file is opened. */
int64_t tensor_elements(const tensor_entry *t);
/* Elements and bytes of a shape in a type; false if that overflows or a row is not a whole number of blocks.
 */
bool tensor_size(tensor_type type, int rank, const int64_t *shape, int64_t *elements, size_t *bytes);

/* Elements first..first+n-1 (row-major order) as floats into out [n]; quantized types are dequantized. first
 * and n must be multiples of the type's block (a whole tensor and a whole row always are). It has no state:
 * any number of threads may call it at the same time. Fails on a range outside the tensor, on a type that
 * cannot be converted, and on a number that is NaN or infinite. */
esp_status tensor_read_f32(const tensor_entry *t, int64_t first, int64_t n, float *out, esp_error *error);
/* The index of the first of x [n] that is NaN or infinite; -1 if all are finite. */
int64_t floats_first_not_finite(const float *x, int64_t n);

#endif
