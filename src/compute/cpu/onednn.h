/* Matrix products through oneDNN. This is the only file that knows oneDNN, and it hides API 2 (Debian 12) and
 * API 3.
 *
 * The left matrix has as many rows as there are tokens, which is another number in every call, and a oneDNN
 * primitive is made for one number of rows and takes about 0.3 ms to make. So products are cut by rows into
 * powers of two from 64 to 1024 and a rest below 64, each with its primitive, made once and kept: at most 68
 * per matrix and kind of result.
 *
 * Where the machine (or ONEDNN_MAX_CPU_ISA) has no bf16 products, an instance for bf16 takes f32 matrices
 * whose values are bf16 ones; gemm_input says which it is. */
#ifndef ESPALIER_COMPUTE_CPU_ONEDNN_H
#define ESPALIER_COMPUTE_CPU_ONEDNN_H

#include "compute/compute.h"

typedef struct gemm gemm;
typedef struct gemm_matrix gemm_matrix; /* a right matrix [k, n], packed */
typedef struct gemm_plan gemm_plan;     /* a product ready to run on one thread */

esp_status gemm_new(gemm **out, dtype act, int threads, esp_error *error);
/* Another with plans and scratch of its own, for use by another thread at the same time; it takes the
 * matrices of `of`, which must outlive it. */
esp_status gemm_replica(gemm **out, gemm *of, int threads, esp_error *error);
void gemm_free(gemm *g);
/* The type of the matrices that go into products: that of the instance, or f32 in its place. */
dtype gemm_input(const gemm *g);
/* Whether the processor has units for products of whole tiles (AMX) that may be used. */
bool gemm_has_tiles(const gemm *g);
/* "avx512_core_bf16, oneDNN 2.6.3" */
void gemm_describe(const gemm *g, char *text, size_t size);

esp_status gemm_matrix_new(gemm *g, gemm_matrix **out, int64_t k, int64_t n, esp_error *error);
void gemm_matrix_free(gemm_matrix *b);
/* Packs; element (i, j) is source[i * k_stride + j * n_stride], one of the strides being 1. */
esp_status gemm_matrix_set(gemm *g, gemm_matrix *b, const void *source, int64_t k_stride, int64_t n_stride,
                           esp_error *error);

/* c[m, n] (+)= a[m, k] b, on all threads of the instance. c_type is f32 or gemm_input; accumulate needs f32.
 * All matrices are dense: oneDNN leaves its fast path where rows have gaps. */
esp_status gemm_multiply(gemm *g, const gemm_matrix *b, int64_t m, const void *a, void *c, dtype c_type,
                         bool accumulate, esp_error *error);
/* c[m, k] (+)= a[m, n] b^T, f32, of a packed b[k, n], which is unpacked into `plain` first: k n numbers of
 * gemm_input. */
esp_status gemm_multiply_turned(gemm *g, const gemm_matrix *b, int64_t m, const void *a, float *c,
                                bool accumulate, void *plain, esp_error *error);
/* c[m, n] += a[k, m]^T b[k, n], c in f32, all plain. k may be any number: rows are cut as above, and the rest
 * below 64 is filled up with zeros. */
esp_status gemm_multiply_transposed(gemm *g, int64_t k, int64_t m, int64_t n, const void *a, const void *b,
                                    float *c, esp_error *error);

/* The product c[m, n] = a[m, k] b in f32 for exactly m rows, to be run by many threads at once, each for
 * itself. The plan stays the instance's. `thread` is the caller's number, from 0 to the instance's threads
 * less one. */
esp_status gemm_plan_get(gemm *g, const gemm_matrix *b, int64_t m, gemm_plan **out, esp_error *error);
esp_status gemm_plan_run(gemm *g, const gemm_plan *p, const gemm_matrix *b, int thread, const void *a,
                         float *c);

#endif
