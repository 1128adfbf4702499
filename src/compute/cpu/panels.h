/* Matrix products in pairs of bf16 numbers (the instruction VDPBF16PS), for weights too large for a core's
 * cache.
 *
 * oneDNN's products are as fast as the processor while their matrices are in cache. A model of any size is
 * read from memory once per pass, and then a short batch mostly waits. Here each thread fetches
 * the panel that it needs next while it multiplies with the one it has, for 1 row as for 1,000; and every sum
 * is taken in the order of k whatever the number of rows and threads, so a token's bits do not depend on its
 * batch.
 *
 * A right matrix [k, n] is packed in panels of PANEL_COLUMNS columns: k/2 rows of PANEL_COLUMNS words, a word
 * holding elements 2i and 2i + 1 of a column. The last panel is filled up with zeros. k must be even.
 *
 * Processors with AMX have a faster way, in oneDNN. */
#ifndef ESPALIER_COMPUTE_CPU_PANELS_H
#define ESPALIER_COMPUTE_CPU_PANELS_H

#include "compute/compute.h"

enum {
    PANEL_COLUMNS = 32,
    PANEL_FETCH = 1024,    /* bytes of a panel_fetch asked for at a time */
    PANEL_ROWS = 12,       /* of the left matrix, in registers at a time */
    PANEL_LEAST = 1 << 17, /* elements of a matrix: smaller ones stay in cache, where oneDNN is as good */
};

typedef struct {
    int64_t k, n;
    uint32_t *words; /* [panels, k / 2, PANEL_COLUMNS] */
    bool gated; /* for multiply_gated: a panel holds as many columns of the first half as of the second */
} panel_matrix;

/* Where a result goes. */
typedef enum {
    PANEL_STORE,  /* c = a b, f32 */
    PANEL_ADD,    /* c += a b, f32 */
    PANEL_GO_ON,  /* the same, but the sum begins with c: more of k */
    PANEL_NARROW, /* c = a b, bf16 */
    PANEL_GATE,   /* c = silu(a b's first half) * its second, bf16 */
} panel_result;

/* Memory that will be read soon. A product of many rows, which memory does not hold up, prefetches the
 * pieces in their order, PANEL_FETCH bytes at a time; `next` is the first that is not prefetched. One per
 * thread. */
typedef struct {
    const char *at;
    int64_t bytes;
} panel_piece;
typedef struct {
    _Alignas(64) panel_piece *pieces;
    int64_t count, next;
} panel_fetch;

/* The products; one table for each instruction set that has them. */
typedef struct {
    /* Packs w (f32, rounded to bf16): [n, k], or [k, n] where `plain`. */
    void (*pack)(panel_matrix *b, const float *w, bool plain, int threads);
    /* to = the transpose of rows of it that are columns of b: to, [n', k] of b's [k, n], takes columns first
     * .. first + n' - 1, which begin with a whole panel (all of them where b is gated). */
    void (*turn)(const panel_matrix *b, int64_t first, panel_matrix *to, int threads);
    /* c[m, n] = a[m, k] b, on `threads` threads. a is bf16. fetch: [threads], or NULL. */
    void (*multiply)(const panel_matrix *b, int64_t m, const void *a, void *c, panel_result result,
                     panel_fetch *fetch, int threads);
    /* h[m, n / 2] = silu(gate) * up, where gate and up, [m, n / 2] each, are the halves of a b, rounded to
     * bf16; they are kept in both[m, n] unless it is NULL. b is gated; n / 2 a multiple of PANEL_COLUMNS / 2.
     */
    void (*multiply_gated)(const panel_matrix *b, int64_t m, const void *a, void *both, void *h,
                           panel_fetch *fetch, int threads);
    /* Columns first .. first + n - 1 alone, into c[m, n] (f32), on the calling thread. first is a multiple of
     * PANEL_COLUMNS. */
    void (*multiply_columns)(const panel_matrix *b, int64_t first, int64_t n, int64_t m, const void *a,
                             float *c);
    /* c[m, n] += a[k, m]^T b[k, n]; a and b are bf16, c f32. packed: transposed_room(k, m, n) bytes. */
    size_t (*transposed_room)(int64_t k, int64_t m, int64_t n);
    void (*multiply_transposed)(int64_t k, int64_t m, int64_t n, const void *a, const void *b, float *c,
                                void *packed, int threads);
} panel_products;

#if defined(__x86_64__)
extern const panel_products panels_avx512bf16;
#endif

#endif
