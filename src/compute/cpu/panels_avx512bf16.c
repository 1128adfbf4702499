/* The kernels of panels.h for processors with AVX-512-bf16, and the walk over panels and rows. */
#include "base/memory.h"
#include "compute/cpu/panels.h"

#define LANES 16
#include "compute/cpu/kernels_vector.inc"

#include <immintrin.h>
#include <omp.h>

enum {
    WORDS = LANES, /* in a vector */
    VECTORS = PANEL_COLUMNS / WORDS,
    LINE = 64,         /* bytes fetched together */
    CACHE = 640 << 10, /* bytes of a core's cache that one operand may take */
    LONGEST = 8192,    /* of k in one go, where the result can be taken up again */
    OWN_ROWS = 128,  /* from this number on it pays that each thread reads all panels, also where cores share
                        no cache */
    LEFT_WIDTH = 48, /* words: groups of rows of a left matrix that are packed side by side */
    TOKENS = 512,    /* of a transposed product in one go, at most */
};

typedef uint32_t word __attribute__((may_alias, aligned(2)));

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static int64_t round_up(int64_t n, int64_t grain) {
    return (n + grain - 1) / grain * grain;
}

/* The first n lanes. */
INLINE __mmask16 first_lanes(int64_t n) {
    return (__mmask16)(n >= WORDS ? 0xffffu : n > 0 ? (1u << n) - 1 : 0u);
}

/* ---- One tile: some rows times a panel ---- */

/* Rows of the left matrix, a pair of elements a word: row r, pair i at at[r * row + i * step]. */
typedef struct {
    const word *at;
    int64_t row, step;
} left_rows;

/* Where the sums go: `columns` of them a row. */
typedef struct {
    void *at;
    int64_t row; /* elements */
    int columns;
    panel_result result;
    uint16_t *both; /* PANEL_GATE: where gate and up are kept, or NULL; rows of 2 row elements */
} sums_out;

INLINE size_t sum_size(const sums_out *c) {
    return c->result == PANEL_NARROW || c->result == PANEL_GATE ? 2 : 4;
}
/* The same from a row and a column of the result on. */
INLINE sums_out sums_from(const sums_out *c, int64_t row, int64_t column) {
    sums_out at = *c;
    at.at = (char *)c->at + (size_t)(row * c->row + column) * sum_size(c);
    if (c->both) at.both = c->both + row * 2 * c->row + column;
    return at;
}

/* What memory is asked for during a tile. */
typedef enum {
    FETCH_NOTHING,
    FETCH_SHARE,           /* a part of the next panel, some bytes with each pair */
    FETCH_SHARE_AND_LATER, /* that, and what will be read after the product */
    FETCH_PANEL,           /* all of the next panel */
    FETCHES
} fetch_kind;
typedef struct {
    fetch_kind kind;
    const char *at;
    int64_t step; /* bytes per pair, of a share */
    panel_fetch *later;
} tile_fetch;

/* The next PANEL_FETCH bytes; NULL where there are no more. */
INLINE const char *take_piece(panel_fetch *f) {
    if (f->next == f->count) return NULL;
    panel_piece *p = &f->pieces[f->next];
    const char *at = p->at;
    p->at += PANEL_FETCH;
    p->bytes -= PANEL_FETCH;
    if (p->bytes <= 0) f->next++;
    return at;
}

/* The loops over rows and vectors are unrolled by order: what GCC unrolls by itself it unrolls too late to
 * keep the sums in registers from the first to the last. */
#define EACH_ROW(r, rows) _Pragma("GCC unroll 12") for (int r = 0; r < (rows); r++)
#define EACH_VECTOR(v)    _Pragma("GCC unroll 2") for (int v = 0; v < VECTORS; v++)

INLINE void begin_sums(const int rows, const sums_out *c, const __mmask16 *lanes, __m512 (*sum)[VECTORS]) {
    EACH_ROW (r, rows)
        EACH_VECTOR (v) sum[r][v] = _mm512_setzero_ps();
    if (c->result != PANEL_GO_ON) return;
    EACH_ROW (r, rows)
        EACH_VECTOR (v)
            sum[r][v] = _mm512_maskz_loadu_ps(lanes[v], (const float *)c->at + r * c->row + v * WORDS);
}

/* A panel's first vector gates its second. */
INLINE void put_gated(const int rows, const sums_out *c, __m512 (*sum)[VECTORS]) {
    uint16_t *h = c->at;
    EACH_ROW (r, rows) {
        vf gate = rounded_to_bf16((vf)sum[r][0]), up = rounded_to_bf16((vf)sum[r][1]);
        if (c->both) {
            store_bf16(c->both + r * 2 * c->row, gate);
            store_bf16(c->both + r * 2 * c->row + c->row, up);
        }
        store_bf16(h + r * c->row, gate * sigmoid(DTYPE_BF16, gate) * up);
    }
}

INLINE void put_sums(const int rows, const sums_out *c, const __mmask16 *lanes, __m512 (*sum)[VECTORS]) {
    if (c->result == PANEL_GATE) {
        put_gated(rows, c, sum);
        return;
    }
    if (c->result == PANEL_NARROW) {
        uint16_t *to = c->at;
        EACH_ROW (r, rows)
            EACH_VECTOR (v)
                _mm256_mask_storeu_epi16(to + r * c->row + v * WORDS, lanes[v],
                                         (__m256i)_mm512_cvtneps_pbh(sum[r][v]));
        return;
    }
    float *to = c->at;
    if (c->result == PANEL_ADD) {
        EACH_ROW (r, rows)
            EACH_VECTOR (v)
                sum[r][v] =
                    _mm512_add_ps(_mm512_maskz_loadu_ps(lanes[v], to + r * c->row + v * WORDS), sum[r][v]);
    }
    EACH_ROW (r, rows)
        EACH_VECTOR (v) _mm512_mask_storeu_ps(to + r * c->row + v * WORDS, lanes[v], sum[r][v]);
}

/* Rows are read from a pointer for every ROWS_A_POINTER of them, at which it and one or two rows after it
 * are one address each: all pointers stay in registers. */
enum { ROWS_A_POINTER = 3, POINTERS = (PANEL_ROWS + ROWS_A_POINTER - 1) / ROWS_A_POINTER };
#define EACH_POINTER(g, rows)                                                                                \
    _Pragma("GCC unroll 4") for (int g = 0; g < ((rows) + ROWS_A_POINTER - 1) / ROWS_A_POINTER; g++)

INLINE void tile(const int rows, const fetch_kind kind, int64_t pairs, const left_rows *a,
                 const uint32_t *panel, const tile_fetch *f, const sums_out *c) {
    /* Two lines every three pairs: many at a time would hold up loads. */
    enum { LATER_STEP = 2 * LINE / 3 + 1, LATER_PAIRS = PANEL_FETCH / LATER_STEP + 1 };
    const __mmask16 lanes[VECTORS] = {first_lanes(c->columns), first_lanes(c->columns - WORDS)};
    __m512 sum[PANEL_ROWS][VECTORS];
    const word *left[POINTERS];
    const int64_t row = a->row, step = a->step;
    const char *soon = f->at, *later = NULL;
    begin_sums(rows, c, lanes, sum);
    EACH_POINTER (g, rows) left[g] = a->at + g * ROWS_A_POINTER * row;
    for (int64_t done = 0, stop; done < pairs; done = stop) {
        stop = pairs;
        if (kind == FETCH_SHARE_AND_LATER) {
            stop = smaller(pairs, done + LATER_PAIRS);
            later = take_piece(f->later);
            if (!later) later = (const char *)c->at; /* no more: anything that is there */
        }
        for (int64_t i = done; i < stop; i++, panel += PANEL_COLUMNS) {
            __m512bh right[VECTORS];
            EACH_VECTOR (v) right[v] = (__m512bh)_mm512_loadu_si512(panel + v * WORDS);
            if (kind == FETCH_PANEL) {
                _mm_prefetch(soon, _MM_HINT_T1);
                _mm_prefetch(soon + LINE, _MM_HINT_T1);
                soon += 2 * LINE;
            } else if (kind != FETCH_NOTHING) {
                _mm_prefetch(soon, _MM_HINT_T0);
                soon += f->step;
            }
            if (kind == FETCH_SHARE_AND_LATER) {
                _mm_prefetch(later, _MM_HINT_T1);
                later += LATER_STEP;
            }
            EACH_ROW (r, rows) {
                __m512bh pair =
                    (__m512bh)_mm512_set1_epi32((int)left[r / ROWS_A_POINTER][r % ROWS_A_POINTER * row]);
                EACH_VECTOR (v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], pair, right[v]);
            }
            EACH_POINTER (g, rows) {
                left[g] += step;
                __asm__("" : "+r"(left[g])); /* a pointer each, not one and the rows' distances from it */
            }
        }
    }
    put_sums(rows, c, lanes, sum);
}

#define ROWS(R)                                                                                              \
    case R *FETCHES + FETCH_NOTHING:                                                                         \
        return tile(R, FETCH_NOTHING, pairs, a, panel, f, c);                                                \
    case R *FETCHES + FETCH_SHARE:                                                                           \
        return tile(R, FETCH_SHARE, pairs, a, panel, f, c);                                                  \
    case R *FETCHES + FETCH_SHARE_AND_LATER:                                                                 \
        return tile(R, FETCH_SHARE_AND_LATER, pairs, a, panel, f, c);                                        \
    case R *FETCHES + FETCH_PANEL:                                                                           \
        return tile(R, FETCH_PANEL, pairs, a, panel, f, c);

static void any_tile(int rows, int64_t pairs, const left_rows *a, const uint32_t *panel, const tile_fetch *f,
                     const sums_out *c) {
    switch (rows * FETCHES + (int)f->kind) {
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4)
        ROWS(5)
        ROWS(6)
        ROWS(7)
        ROWS(8)
        ROWS(9)
        ROWS(10)
        ROWS(11)
        ROWS(12)
    }
}

/* ---- All tiles of a product ---- */

/* Rows of `a`, in groups as even as can be of at most PANEL_ROWS, times panels that begin `panel_step` words
 * apart. Units of work count groups first, then panels. */
typedef struct {
    int64_t m, n, pairs;
    left_rows a;
    const uint32_t *panels;
    int64_t panel_step;
    sums_out c;
    int64_t groups;
    bool fetch;         /* panels come from memory */
    panel_fetch *later; /* or NULL */
} tile_walk;

/* The places of the sums are needed when they are there. */
INLINE void fetch_sums(const sums_out *c, int64_t rows) {
    size_t size = sum_size(c);
    for (int64_t r = 0; r < rows; r++)
        for (size_t byte = 0; byte < (size_t)c->columns * size; byte += LINE)
            __builtin_prefetch((char *)c->at + (size_t)(r * c->row) * size + byte, 1);
}

/* Each of a panel's groups asks for as much of the next as every other: a burst would fill the few places
 * that a core has for lines on their way, and its own loads would wait. */
INLINE tile_fetch next_panel(const tile_walk *w, const uint32_t *next, int64_t group) {
    if (!w->fetch) return (tile_fetch){.kind = FETCH_NOTHING};
    if (w->groups == 1) return (tile_fetch){.kind = FETCH_PANEL, .at = (const char *)next};
    int64_t step = (2 * LINE + w->groups - 1) / w->groups;
    tile_fetch f = {.kind = FETCH_SHARE, .at = (const char *)next + group * w->pairs * step, .step = step};
    if (w->groups > 2 && w->later && w->later->next < w->later->count) {
        f.kind = FETCH_SHARE_AND_LATER;
        f.later = w->later;
    }
    return f;
}

static void walk_units(const tile_walk *w, int64_t begin, int64_t end) {
    int64_t width = w->c.result == PANEL_GATE ? WORDS : PANEL_COLUMNS; /* of a panel's result */
    for (int64_t u = begin; u < end; u++) {
        int64_t p = u / w->groups, g = u % w->groups;
        int64_t row = w->m * g / w->groups, rows = w->m * (g + 1) / w->groups - row;
        left_rows a = w->a;
        a.at += row * a.row;
        sums_out c = sums_from(&w->c, row, p * width);
        c.columns = (int)smaller(width, w->n - p * PANEL_COLUMNS);
        fetch_sums(&c, rows);
        const uint32_t *panel = w->panels + p * w->panel_step;
        tile_fetch f = next_panel(w, panel + w->panel_step, g);
        any_tile((int)rows, w->pairs, &a, panel, &f, &c);
    }
}

/* A thread's part: as many units as every other's. */
static void walk_part(const tile_walk *w, int64_t thread, int64_t threads) {
    int64_t units = (w->n + PANEL_COLUMNS - 1) / PANEL_COLUMNS * w->groups;
    walk_units(w, units * thread / threads, units * (thread + 1) / threads);
}

/* Rows in a block whose left rows stay in a core's cache. */
static int64_t block_rows(int64_t m, int64_t k) {
    int64_t blocks = (m * k * 2 + CACHE - 1) / CACHE;
    return round_up((m + blocks - 1) / blocks, PANEL_ROWS);
}

static tile_walk walk_of(const panel_matrix *b, int64_t from, int64_t pairs, int64_t m, const void *a,
                         sums_out c) {
    return (tile_walk){.m = m,
                       .n = b->n,
                       .pairs = pairs,
                       .a = {(const word *)a + from, b->k / 2, 1},
                       .panels = b->words + from * PANEL_COLUMNS,
                       .panel_step = b->k / 2 * PANEL_COLUMNS,
                       .c = c,
                       .groups = (m + PANEL_ROWS - 1) / PANEL_ROWS,
                       .fetch = true};
}

/* Many rows: a thread takes its part of them, which its core wrote before and will read again. Few: it takes
 * its part of the panels, so that each comes from memory once. A result of bf16 is made in one go. */
static void multiply_into(const panel_matrix *b, int64_t m, const void *a, const sums_out *c,
                          panel_fetch *fetch, int threads) {
    int64_t most = sum_size(c) == 2 ? b->k : LONGEST;
#pragma omp parallel num_threads(threads)
    {
        int64_t all = omp_get_num_threads(), thread = omp_get_thread_num();
        bool own_rows = m >= OWN_ROWS * all;
        int64_t begin = own_rows ? m * thread / all : 0, end = own_rows ? m * (thread + 1) / all : m;
        int64_t block = block_rows(end - begin, smaller(b->k, most));
        for (int64_t from = 0; from < b->k; from += most)
            for (int64_t row = begin; row < end; row += block) {
                sums_out to = sums_from(c, row, 0);
                if (from > 0) to.result = PANEL_GO_ON;
                tile_walk w = walk_of(b, from / 2, smaller(most, b->k - from) / 2, smaller(block, end - row),
                                      (const uint16_t *)a + row * b->k, to);
                if (fetch) w.later = &fetch[thread];
                walk_part(&w, own_rows ? 0 : thread, own_rows ? 1 : all);
            }
    }
}

static void multiply(const panel_matrix *b, int64_t m, const void *a, void *c, panel_result result,
                     panel_fetch *fetch, int threads) {
    multiply_into(b, m, a, &(sums_out){.at = c, .row = b->n, .result = result}, fetch, threads);
}

static void multiply_gated(const panel_matrix *b, int64_t m, const void *a, void *both, void *h,
                           panel_fetch *fetch, int threads) {
    sums_out c = {.at = h, .row = b->n / 2, .result = PANEL_GATE, .both = both};
    multiply_into(b, m, a, &c, fetch, threads);
}

static void multiply_columns(const panel_matrix *b, int64_t first, int64_t n, int64_t m, const void *a,
                             float *c) {
    tile_walk w = walk_of(b, 0, b->k / 2, m, a, (sums_out){.at = c, .row = n, .result = PANEL_STORE});
    w.n = n;
    w.panels += first / PANEL_COLUMNS * w.panel_step;
    walk_part(&w, 0, 1);
}

/* ---- Packing weights ---- */

INLINE __m512i low_words(void) {
    return _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5,
                            36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
}
INLINE __m512i high_words(void) {
    return _mm512_add_epi16(low_words(), _mm512_set1_epi16(16));
}

/* 16 columns from `column` on, where they exist, of the pair of rows from `row` on: w is [k, n]. */
static void pack_plain(const panel_matrix *b, const float *w, int64_t pair, int64_t column, uint32_t *to) {
    __mmask16 lanes = first_lanes(b->n - column);
    const float *from = w + 2 * pair * b->n + column;
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(lanes, from + b->n),
                                                _mm512_maskz_loadu_ps(lanes, from));
    __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                                     6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi16(order, both));
}

/* 16 columns and 16 pairs, where they exist: w is [n, k], a row of it a column here. */
static void pack_turned(const panel_matrix *b, const float *w, int64_t pair, int64_t column, uint32_t *to) {
    uint32_t turned[WORDS][WORDS] = {0};
    int64_t pairs = smaller(WORDS, b->k / 2 - pair);
    for (int64_t j = 0; j < smaller(WORDS, b->n - column); j++) {
        const float *from = w + (column + j) * b->k + 2 * pair;
        __mmask32 lanes = (__mmask32)((1ull << (2 * pairs)) - 1);
        _mm512_storeu_si512(turned[j], (__m512i)_mm512_cvtne2ps_pbh(
                                           _mm512_maskz_loadu_ps((__mmask16)(lanes >> 16), from + WORDS),
                                           _mm512_maskz_loadu_ps((__mmask16)lanes, from)));
    }
    for (int64_t i = 0; i < pairs; i++)
        for (int64_t j = 0; j < WORDS; j++) to[i * PANEL_COLUMNS + j] = turned[j][i];
}

/* The column where vector v of a panel begins. */
static int64_t panel_column(const panel_matrix *b, int64_t panel, int v) {
    return b->gated ? v * (b->n / 2) + panel * WORDS : panel * PANEL_COLUMNS + v * WORDS;
}

static void pack(panel_matrix *b, const float *w, bool plain, int threads) {
    int64_t panels = (b->n + PANEL_COLUMNS - 1) / PANEL_COLUMNS, pairs = b->k / 2;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t p = 0; p < panels; p++)
        for (int64_t i = 0; i < pairs; i += plain ? 1 : WORDS)
            for (int v = 0; v < VECTORS; v++) {
                uint32_t *to = b->words + (p * pairs + i) * PANEL_COLUMNS + v * WORDS;
                (plain ? pack_plain : pack_turned)(b, w, i, panel_column(b, p, v), to);
            }
}

/* 16 pairs of rows and a vector of columns of b, from its words on, in their place in `to`: rows from `row`
 * on of its panel. */
static void turn_block(const uint32_t *from, int64_t pairs, int64_t row, int64_t rows, uint32_t *panel) {
    for (int64_t j = 0; j < rows; j++) {
        uint32_t *to = panel + (row + j) * PANEL_COLUMNS;
        for (int64_t i = 0; i < pairs; i++) {
            uint32_t a = from[i * PANEL_COLUMNS + 2 * j], b = from[i * PANEL_COLUMNS + 2 * j + 1];
            to[2 * i] = (a & 0xffffu) | b << 16;
            to[2 * i + 1] = a >> 16 | (b & 0xffff0000u);
        }
        for (int64_t i = 2 * pairs; i < PANEL_COLUMNS; i++) to[i] = 0;
    }
}

static void turn(const panel_matrix *b, int64_t first, panel_matrix *to, int threads) {
    int64_t pairs = b->k / 2, panels = (to->n + PANEL_COLUMNS - 1) / PANEL_COLUMNS;
    int64_t begin = first / PANEL_COLUMNS, end = begin + (to->k + PANEL_COLUMNS - 1) / PANEL_COLUMNS;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t q = 0; q < panels; q++)
        for (int64_t p = begin; p < end; p++)
            for (int v = 0; v < VECTORS; v++) {
                int64_t column = panel_column(b, p, v) - first;
                turn_block(b->words + (p * pairs + q * WORDS) * PANEL_COLUMNS + v * WORDS,
                           smaller(WORDS, pairs - q * WORDS), column / 2, smaller(WORDS, to->k - column) / 2,
                           to->words + q * (to->k / 2) * PANEL_COLUMNS);
            }
}

/* ---- Products of activations: gradients of weights ---- */

/* Of x [k, n], pairs of rows as panels of `width` columns, [panels, pairs, width]; zeros after the last row
 * and column. A block of some pairs and columns at a time: both sides are read and written in whole lines. */
INLINE void pack_pairs(int64_t k, int64_t n, const uint16_t *x, const int width, uint32_t *to) {
    enum { BLOCK_PAIRS = 16, BLOCK_COLUMNS = 96 };
    int64_t pairs = (k + 1) / 2, down = (pairs + BLOCK_PAIRS - 1) / BLOCK_PAIRS;
    int64_t across = (n + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
#pragma omp for schedule(static)
    for (int64_t block = 0; block < down * across; block++) {
        int64_t first = block / down * BLOCK_COLUMNS, columns = smaller(BLOCK_COLUMNS, n - first);
        int64_t pair = block % down * BLOCK_PAIRS, last = smaller(pair + BLOCK_PAIRS, pairs);
        for (; pair < last; pair++) {
            const uint16_t *row = x + 2 * pair * n + first;
            uint32_t *panel = to + first * pairs + pair * width;
            __mmask32 second = 2 * pair + 1 < k ? 0xffffffffu : 0; /* the last row may have no partner */
            for (int64_t j = 0; j < columns; j += 32) {
                __mmask32 lanes = columns - j >= 32 ? 0xffffffffu : (__mmask32)((1u << (columns - j)) - 1);
                __m512i a = _mm512_maskz_loadu_epi16(lanes, row + j);
                __m512i b = _mm512_maskz_loadu_epi16(lanes & second, row + n + j);
                int64_t upper = j + WORDS;
                _mm512_storeu_si512(panel + j / width * width * pairs + j % width,
                                    _mm512_permutex2var_epi16(a, low_words(), b));
                if (upper < round_up(columns, width))
                    _mm512_storeu_si512(panel + upper / width * width * pairs + upper % width,
                                        _mm512_permutex2var_epi16(a, high_words(), b));
            }
        }
    }
}

static int64_t tokens_at_once(int64_t k, int64_t n) {
    int64_t most = CACHE / (2 * n) / 16 * 16;
    if (most < 64) most = 64;
    if (most > TOKENS) most = TOKENS;
    return smaller(most, k);
}

static size_t packed_words(int64_t k, int64_t columns, int64_t width) {
    return (size_t)round_up(round_up(columns, width) * ((k + 1) / 2), WORDS);
}

static size_t transposed_room(int64_t k, int64_t m, int64_t n) {
    int64_t tokens = tokens_at_once(k, n);
    return 4 * (packed_words(tokens, m, LEFT_WIDTH) + packed_words(tokens, n, PANEL_COLUMNS)) + 64;
}

static void multiply_transposed(int64_t k, int64_t m, int64_t n, const void *a, const void *b, float *c,
                                void *packed, int threads) {
    enum { SIDE_BY_SIDE = LEFT_WIDTH / PANEL_ROWS };
    int64_t tokens = tokens_at_once(k, n), groups = (m + PANEL_ROWS - 1) / PANEL_ROWS;
    uint32_t *left = packed, *right = left + packed_words(tokens, m, LEFT_WIDTH);
#pragma omp parallel num_threads(threads)
    for (int64_t done = 0; done < k; done += tokens) {
        int64_t rows = smaller(tokens, k - done), pairs = (rows + 1) / 2;
        pack_pairs(rows, m, (const uint16_t *)a + done * m, LEFT_WIDTH, left);
        pack_pairs(rows, n, (const uint16_t *)b + done * n, PANEL_COLUMNS, right);
        int thread = omp_get_thread_num(), all = omp_get_num_threads();
        /* Groups go to threads; each walks all panels, so rows of c are written from end to end. */
        for (int64_t g = groups * thread / all; g < groups * (thread + 1) / all; g++) {
            tile_walk w = {.m = smaller(PANEL_ROWS, m - g * PANEL_ROWS),
                           .n = n,
                           .pairs = pairs,
                           .a = {left + g / SIDE_BY_SIDE * pairs * LEFT_WIDTH + g % SIDE_BY_SIDE * PANEL_ROWS,
                                 1, LEFT_WIDTH},
                           .panels = right,
                           .panel_step = pairs * PANEL_COLUMNS,
                           .c = {.at = c + g * PANEL_ROWS * n, .row = n, .result = PANEL_ADD},
                           .groups = 1};
            walk_part(&w, 0, 1);
        }
#pragma omp barrier
    }
}

const panel_products panels_avx512bf16 = {
    .pack = pack,
    .turn = turn,
    .multiply = multiply,
    .multiply_gated = multiply_gated,
    .multiply_columns = multiply_columns,
    .transposed_room = transposed_room,
    .multiply_transposed = multiply_transposed,
};
