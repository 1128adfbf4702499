#include "compute/cpu/onednn.h"

#include "base/memory.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

enum {
    SMALLEST_CUT = 64,
    LARGEST_CUT = 1024,
    TYPICAL_ROWS = 64, /* the packed form of a matrix is the one oneDNN likes for this many rows */
    BUCKETS = 1024,
};

/* What differs between API 2 and 3: memory descriptors are values in the one and handles in the other, and a
 * primitive is described in one step less in 3. */
#if DNNL_VERSION_MAJOR >= 3
#define MD(d) (d)
static dnnl_status_t md_strided(dnnl_memory_desc_t *d, dnnl_data_type_t type, int64_t rows, int64_t columns,
                                int64_t row_stride, int64_t column_stride) {
    dnnl_dims_t dims = {rows, columns}, strides = {row_stride, column_stride};
    return dnnl_memory_desc_create_with_strides(d, 2, dims, type, strides);
}
static dnnl_status_t md_any(dnnl_memory_desc_t *d, dnnl_data_type_t type, int64_t rows, int64_t columns) {
    dnnl_dims_t dims = {rows, columns};
    return dnnl_memory_desc_create_with_tag(d, 2, dims, type, dnnl_format_tag_any);
}
static void md_drop(dnnl_memory_desc_t *d) {
    if (*d) dnnl_memory_desc_destroy(*d);
    *d = NULL;
}
static dnnl_status_t md_query(dnnl_memory_desc_t *d, const_dnnl_primitive_desc_t p, dnnl_query_t what) {
    return dnnl_memory_desc_clone(d, dnnl_primitive_desc_query_md(p, what, 0));
}
static dnnl_status_t describe_product(dnnl_primitive_desc_t *p, dnnl_engine_t engine, dnnl_memory_desc_t *a,
                                      dnnl_memory_desc_t *b, dnnl_memory_desc_t *c,
                                      dnnl_primitive_attr_t attributes) {
    return dnnl_matmul_primitive_desc_create(p, engine, *a, *b, NULL, *c, attributes);
}
static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_f32);
}
#else
#define MD(d) (&(d))
static dnnl_status_t md_strided(dnnl_memory_desc_t *d, dnnl_data_type_t type, int64_t rows, int64_t columns,
                                int64_t row_stride, int64_t column_stride) {
    dnnl_dims_t dims = {rows, columns}, strides = {row_stride, column_stride};
    return dnnl_memory_desc_init_by_strides(d, 2, dims, type, strides);
}
static dnnl_status_t md_any(dnnl_memory_desc_t *d, dnnl_data_type_t type, int64_t rows, int64_t columns) {
    dnnl_dims_t dims = {rows, columns};
    return dnnl_memory_desc_init_by_tag(d, 2, dims, type, dnnl_format_tag_any);
}
static void md_drop(dnnl_memory_desc_t *d) {
    (void)d;
}
static dnnl_status_t md_query(dnnl_memory_desc_t *d, const_dnnl_primitive_desc_t p, dnnl_query_t what) {
    *d = *dnnl_primitive_desc_query_md(p, what, 0);
    return dnnl_success;
}
static dnnl_status_t describe_product(dnnl_primitive_desc_t *p, dnnl_engine_t engine, dnnl_memory_desc_t *a,
                                      dnnl_memory_desc_t *b, dnnl_memory_desc_t *c,
                                      dnnl_primitive_attr_t attributes) {
    dnnl_matmul_desc_t product;
    dnnl_status_t status = dnnl_matmul_desc_init(&product, a, b, NULL, c);
    return status == dnnl_success ? dnnl_primitive_desc_create(p, &product, attributes, engine, NULL)
                                  : status;
}
static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1.0f);
}
#endif

/* Of the two matrices that are multiplied. */
typedef enum { FORM_TRANSPOSED, FORM_PACKED, FORM_PLAIN } product_form;

/* What a primitive was made for. */
typedef struct {
    int64_t m, n, k;
    int32_t form, c_type, accumulate, threads; /* form: a product_form */
} gemm_key;

struct gemm_plan {
    gemm_key key;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t a, b, c, scratchpad;
    size_t scratchpad_bytes;
    gemm_plan *next; /* in its bucket */
};

struct gemm {
    dnnl_engine_t engine;
    bool borrowed_engine;
    dnnl_stream_t stream;
    dtype input;
    int threads;
    gemm_plan *bucket[BUCKETS];
    void **scratch; /* [threads] */
    size_t scratch_bytes;
    void *rest_a, *rest_b; /* 64 rows each, filled up with zeros */
    size_t rest_a_bytes, rest_b_bytes;
};

struct gemm_matrix {
    int64_t k, n;
    dnnl_memory_desc_t packed;
    dnnl_memory_t memory;
    void *bytes;
};

static dnnl_data_type_t type_of(dtype t) {
    return t == DTYPE_F32 ? dnnl_f32 : dnnl_bf16;
}

static esp_status failed(dnnl_status_t status, const char *what, int64_t m, int64_t n, int64_t k,
                         esp_error *error) {
    return error_fail(error, "oneDNN 2.6 or newer is needed; f32 in place of bf16 may work",
                      "oneDNN refuses %s of %lld x %lld x %lld (status %d)", what, (long long)m, (long long)n,
                      (long long)k, (int)status);
}

/* Creation. */

/* Describes a[m, k] times a packed or any-form b. */
static dnnl_status_t describe_packed(const gemm *g, int64_t m, int64_t n, int64_t k,
                                     dnnl_primitive_desc_t *p) {
    dnnl_memory_desc_t a, b, c;
    dnnl_status_t status = md_strided(&a, type_of(g->input), m, k, k, 1);
    if (status != dnnl_success) return status;
    status = md_any(&b, type_of(g->input), k, n);
    if (status == dnnl_success) {
        status = md_strided(&c, dnnl_f32, m, n, n, 1);
        if (status == dnnl_success) {
            status = describe_product(p, g->engine, &a, &b, &c, NULL);
            md_drop(&c);
        }
        md_drop(&b);
    }
    md_drop(&a);
    return status;
}

/* bf16 products are used where the processor has them; elsewhere oneDNN would refuse, or emulate them slower
 * than f32. */
static bool has_bf16_products(void) {
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
#if DNNL_VERSION_MAJOR >= 3
    return (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16 ||
           (isa & dnnl_cpu_isa_avx2_vnni_2) == dnnl_cpu_isa_avx2_vnni_2;
#else
    return (isa & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
#endif
}

esp_status gemm_new(gemm **out, dtype act, int threads, esp_error *error) {
    gemm *g = MEM_NEW(gemm);
    *out = NULL;
    g->threads = threads;
    g->input = act;
    g->scratch = MEM_ARRAY(void *, threads);
    if (dnnl_engine_create(&g->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&g->stream, g->engine, dnnl_stream_default_flags) != dnnl_success) {
        gemm_free(g);
        return error_fail(error, "check the installation of oneDNN (libdnnl)",
                          "oneDNN does not start on this machine");
    }
    if (act == DTYPE_BF16) {
        dnnl_primitive_desc_t probe = NULL;
        if (!has_bf16_products() || describe_packed(g, TYPICAL_ROWS, 64, 64, &probe) != dnnl_success)
            g->input = DTYPE_F32;
        if (probe) dnnl_primitive_desc_destroy(probe);
    }
    *out = g;
    return ESP_OK;
}

esp_status gemm_replica(gemm **out, gemm *of, int threads, esp_error *error) {
    gemm *g = MEM_NEW(gemm);
    *out = NULL;
    g->threads = threads;
    g->input = of->input;
    g->scratch = MEM_ARRAY(void *, threads);
    g->engine = of->engine;
    g->borrowed_engine = true;
    if (dnnl_stream_create(&g->stream, g->engine, dnnl_stream_default_flags) != dnnl_success) {
        gemm_free(g);
        return error_fail(error, "check the installation of oneDNN (libdnnl)",
                          "oneDNN gives no stream for another thread");
    }
    *out = g;
    return ESP_OK;
}

static void plan_free(gemm_plan *p) {
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    md_drop(&p->a);
    md_drop(&p->b);
    md_drop(&p->c);
    md_drop(&p->scratchpad);
    mem_free(p);
}

void gemm_free(gemm *g) {
    if (!g) return;
    for (int i = 0; i < BUCKETS; i++)
        for (gemm_plan *p = g->bucket[i], *next; p; p = next) {
            next = p->next;
            plan_free(p);
        }
    for (int i = 0; i < g->threads; i++) mem_big_free(g->scratch[i]);
    mem_free(g->scratch);
    mem_big_free(g->rest_a);
    mem_big_free(g->rest_b);
    if (g->stream) dnnl_stream_destroy(g->stream);
    if (g->engine && !g->borrowed_engine) dnnl_engine_destroy(g->engine);
    mem_free(g);
}

dtype gemm_input(const gemm *g) {
    return g->input;
}

bool gemm_has_tiles(const gemm *g) {
    (void)g;
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx;
}

void gemm_describe(const gemm *g, char *text, size_t size) {
    (void)g;
    static const struct {
        unsigned isa;
        const char *name;
    } names[] = {
        {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
        {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
        {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"},
        {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
        {dnnl_cpu_isa_avx2, "avx2"},
        {dnnl_cpu_isa_avx, "avx"},
        {dnnl_cpu_isa_sse41, "sse41"},
    };
    const dnnl_version_t *version = dnnl_version();
    unsigned isa = dnnl_get_effective_cpu_isa();
    const char *name = "generic";
    for (size_t i = sizeof names / sizeof names[0]; i-- > 0;)
        if ((isa & names[i].isa) == names[i].isa) name = names[i].name;
    snprintf(text, size, "%s, oneDNN %d.%d.%d", name, version->major, version->minor, version->patch);
}

/* Matrices. */

esp_status gemm_matrix_new(gemm *g, gemm_matrix **out, int64_t k, int64_t n, esp_error *error) {
    *out = NULL;
    gemm_matrix *b = MEM_NEW(gemm_matrix);
    b->k = k;
    b->n = n;
    omp_set_num_threads(g->threads);
    dnnl_primitive_desc_t product = NULL;
    dnnl_status_t status = describe_packed(g, TYPICAL_ROWS, n, k, &product);
    if (status == dnnl_success) {
        status = md_query(&b->packed, product, dnnl_query_weights_md);
        dnnl_primitive_desc_destroy(product);
    }
    if (status != dnnl_success) {
        gemm_matrix_free(b);
        return failed(status, "a product", TYPICAL_ROWS, n, k, error);
    }
    size_t bytes = dnnl_memory_desc_get_size(MD(b->packed));
    if (mem_big_alloc(&b->bytes, bytes, "a packed weight matrix", error) != ESP_OK) {
        gemm_matrix_free(b);
        return ESP_FAILED;
    }
    status = dnnl_memory_create(&b->memory, MD(b->packed), g->engine, b->bytes);
    if (status != dnnl_success) {
        gemm_matrix_free(b);
        return failed(status, "memory for a matrix", 1, n, k, error);
    }
    *out = b;
    return ESP_OK;
}

void gemm_matrix_free(gemm_matrix *b) {
    if (!b) return;
    if (b->memory) dnnl_memory_destroy(b->memory);
    md_drop(&b->packed);
    mem_big_free(b->bytes);
    mem_free(b);
}

/* Copies a matrix from one form to the other. */
static dnnl_status_t reorder(const gemm *g, dnnl_memory_desc_t *from, const void *source,
                             dnnl_memory_desc_t *to, void *target) {
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t memory[2] = {NULL, NULL};
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&description, MD(*from), g->engine, MD(*to), g->engine, NULL);
    if (status == dnnl_success) status = dnnl_primitive_create(&primitive, description);
    if (status == dnnl_success)
        status = dnnl_memory_create(&memory[0], MD(*from), g->engine, (void *)(uintptr_t)source);
    if (status == dnnl_success) status = dnnl_memory_create(&memory[1], MD(*to), g->engine, target);
    if (status == dnnl_success) {
        dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, memory[0]}, {DNNL_ARG_TO, memory[1]}};
        status = dnnl_primitive_execute(primitive, g->stream, 2, arguments);
        dnnl_stream_wait(g->stream);
    }
    for (int i = 0; i < 2; i++)
        if (memory[i]) dnnl_memory_destroy(memory[i]);
    if (primitive) dnnl_primitive_destroy(primitive);
    if (description) dnnl_primitive_desc_destroy(description);
    return status;
}

esp_status gemm_matrix_set(gemm *g, gemm_matrix *b, const void *source, int64_t k_stride, int64_t n_stride,
                           esp_error *error) {
    dnnl_memory_desc_t plain;
    omp_set_num_threads(g->threads);
    dnnl_status_t status = md_strided(&plain, type_of(g->input), b->k, b->n, k_stride, n_stride);
    if (status == dnnl_success) {
        status = reorder(g, &plain, source, &b->packed, b->bytes);
        md_drop(&plain);
    }
    return status == dnnl_success ? ESP_OK : failed(status, "to pack a matrix", 1, b->n, b->k, error);
}

/* Plans. */

static esp_status grow_scratch(gemm *g, size_t bytes, esp_error *error) {
    if (bytes <= g->scratch_bytes) return ESP_OK;
    for (int i = 0; i < g->threads; i++) {
        mem_big_free(g->scratch[i]);
        g->scratch[i] = NULL;
    }
    g->scratch_bytes = 0;
    for (int i = 0; i < g->threads; i++)
        ESP_TRY(mem_big_alloc(&g->scratch[i], bytes, "scratch of a matrix product", error));
    g->scratch_bytes = bytes;
    return ESP_OK;
}

static dnnl_status_t make_primitive(const gemm *g, gemm_plan *p, dnnl_primitive_attr_t attributes) {
    dnnl_primitive_desc_t description = NULL;
    dnnl_status_t status = describe_product(&description, g->engine, &p->a, &p->b, &p->c, attributes);
    if (status != dnnl_success) return status;
    status = dnnl_primitive_create(&p->primitive, description);
    if (status == dnnl_success) status = md_query(&p->scratchpad, description, dnnl_query_scratchpad_md);
    dnnl_primitive_desc_destroy(description);
    if (status == dnnl_success) p->scratchpad_bytes = dnnl_memory_desc_get_size(MD(p->scratchpad));
    return status;
}

static dnnl_status_t make_plan(const gemm *g, gemm_plan *p, const gemm_matrix *b) {
    const gemm_key *k = &p->key;
    dnnl_primitive_attr_t attributes;
    dnnl_status_t status = k->form == FORM_TRANSPOSED
                               ? md_strided(&p->a, type_of(g->input), k->m, k->k, 1, k->m)
                               : md_strided(&p->a, type_of(g->input), k->m, k->k, k->k, 1);
    if (status == dnnl_success) {
#if DNNL_VERSION_MAJOR >= 3
        status = b ? dnnl_memory_desc_clone(&p->b, b->packed)
                   : md_strided(&p->b, type_of(g->input), k->k, k->n, k->n, 1);
#else
        if (b)
            p->b = b->packed;
        else
            status = md_strided(&p->b, type_of(g->input), k->k, k->n, k->n, 1);
#endif
    }
    if (status == dnnl_success) status = md_strided(&p->c, type_of((dtype)k->c_type), k->m, k->n, k->n, 1);
    if (status == dnnl_success) status = dnnl_primitive_attr_create(&attributes);
    if (status != dnnl_success) return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && k->accumulate) {
        dnnl_post_ops_t ops = NULL;
        status = dnnl_post_ops_create(&ops);
        if (status == dnnl_success) status = append_sum(ops);
        if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attributes, ops);
        if (ops) dnnl_post_ops_destroy(ops);
    }
    if (status == dnnl_success) status = make_primitive(g, p, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return status;
}

static uint64_t key_hash(const gemm_key *k) {
    uint64_t h = 0;
    const int64_t words[] = {k->m, k->n, k->k, k->form, k->c_type, k->accumulate, k->threads};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        h = (h ^ (uint64_t)words[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return h;
}

/* The plan for a key, made on first use. b is NULL unless the form is packed. */
static esp_status find_plan(gemm *g, const gemm_key *key, const gemm_matrix *b, gemm_plan **out,
                            esp_error *error) {
    gemm_plan **bucket = &g->bucket[key_hash(key) % BUCKETS];
    for (gemm_plan *p = *bucket; p; p = p->next)
        if (memcmp(&p->key, key, sizeof *key) == 0) {
            *out = p;
            return ESP_OK;
        }
    gemm_plan *p = MEM_NEW(gemm_plan);
    p->key = *key;
    omp_set_num_threads(key->threads);
    dnnl_status_t status = make_plan(g, p, b);
    omp_set_num_threads(g->threads);
    if (status != dnnl_success) {
        plan_free(p);
        return failed(status, "a product", key->m, key->n, key->k, error);
    }
    if (grow_scratch(g, p->scratchpad_bytes, error) != ESP_OK) {
        plan_free(p);
        return ESP_FAILED;
    }
    p->next = *bucket;
    *out = *bucket = p;
    return ESP_OK;
}

static dnnl_status_t run_plan(const gemm *g, const gemm_plan *p, dnnl_memory_t packed, int thread,
                              const void *a, const void *b, void *c) {
    dnnl_memory_t memory[4] = {NULL, NULL, NULL, NULL};
    dnnl_status_t status = dnnl_memory_create(&memory[0], MD(p->a), g->engine, (void *)(uintptr_t)a);
    if (status == dnnl_success) status = dnnl_memory_create(&memory[1], MD(p->c), g->engine, c);
    if (status == dnnl_success)
        status = dnnl_memory_create(&memory[2], MD(p->scratchpad), g->engine, g->scratch[thread]);
    if (status == dnnl_success && !packed)
        status = dnnl_memory_create(&memory[3], MD(p->b), g->engine, (void *)(uintptr_t)b);
    if (status == dnnl_success) {
        dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, memory[0]},
                                       {DNNL_ARG_WEIGHTS, packed ? packed : memory[3]},
                                       {DNNL_ARG_DST, memory[1]},
                                       {DNNL_ARG_SCRATCHPAD, memory[2]}};
        status = dnnl_primitive_execute(p->primitive, g->stream, 4, arguments);
    }
    for (int i = 0; i < 4; i++)
        if (memory[i]) dnnl_memory_destroy(memory[i]);
    return status;
}

/* How many of m rows the next product takes. */
static int64_t next_cut(int64_t m) {
    if (m < SMALLEST_CUT) return m;
    int64_t cut = SMALLEST_CUT;
    while (cut < LARGEST_CUT && cut * 2 <= m) cut *= 2;
    return cut;
}

/* The right side of a product, [k, n]: packed or plain. */
typedef struct {
    product_form form;
    int64_t k, n;
    const gemm_matrix *packed;
    const void *plain;
} product_right;

static esp_status multiply_cut(gemm *g, const product_right *b, int64_t m, const void *a, void *c,
                               dtype c_type, bool accumulate, esp_error *error) {
    omp_set_num_threads(g->threads);
    for (int64_t done = 0; done < m;) {
        int64_t rows = next_cut(m - done);
        gemm_key key = {.m = rows,
                        .n = b->n,
                        .k = b->k,
                        .form = (int32_t)b->form,
                        .c_type = (int32_t)c_type,
                        .accumulate = accumulate,
                        .threads = g->threads};
        gemm_plan *p;
        ESP_TRY(find_plan(g, &key, b->packed, &p, error));
        const char *from = (const char *)a + (size_t)(done * b->k) * dtype_size(g->input);
        char *to = (char *)c + (size_t)(done * b->n) * dtype_size(c_type);
        dnnl_status_t status = run_plan(g, p, b->packed ? b->packed->memory : NULL, 0, from, b->plain, to);
        if (status != dnnl_success) return failed(status, "to run a product", rows, b->n, b->k, error);
        done += rows;
    }
    dnnl_stream_wait(g->stream);
    return ESP_OK;
}

esp_status gemm_multiply(gemm *g, const gemm_matrix *b, int64_t m, const void *a, void *c, dtype c_type,
                         bool accumulate, esp_error *error) {
    return multiply_cut(g, &(product_right){FORM_PACKED, b->k, b->n, b, NULL}, m, a, c, c_type, accumulate,
                        error);
}

esp_status gemm_multiply_turned(gemm *g, const gemm_matrix *b, int64_t m, const void *a, float *c,
                                bool accumulate, void *plain, esp_error *error) {
    dnnl_memory_desc_t rows, packed = b->packed;
    omp_set_num_threads(g->threads);
    dnnl_status_t status = md_strided(&rows, type_of(g->input), b->k, b->n, 1, b->k);
    if (status == dnnl_success) {
        status = reorder(g, &packed, b->bytes, &rows, plain);
        md_drop(&rows);
    }
    if (status != dnnl_success) return failed(status, "to unpack a matrix", 1, b->n, b->k, error);
    return multiply_cut(g, &(product_right){FORM_PLAIN, b->n, b->k, NULL, plain}, m, a, c, DTYPE_F32,
                        accumulate, error);
}

/* A copy of the last rows of x in *buffer, with zeros up to SMALLEST_CUT rows. */
static esp_status padded(const gemm *g, void **buffer, size_t *have, const void *x, int64_t rows,
                         int64_t width, esp_error *error) {
    size_t row = (size_t)width * dtype_size(g->input), need = row * SMALLEST_CUT, used = row * (size_t)rows;
    if (need > *have) {
        mem_big_free(*buffer);
        *have = 0;
        ESP_TRY(mem_big_alloc(buffer, need, "the rest of a matrix product", error));
        *have = need;
    }
    memcpy(*buffer, x, used);
    memset((char *)*buffer + used, 0, need - used);
    return ESP_OK;
}

esp_status gemm_multiply_transposed(gemm *g, int64_t k, int64_t m, int64_t n, const void *a, const void *b,
                                    float *c, esp_error *error) {
    /* Long ones lose to oneDNN's transposing of a; short ones to reading and writing c once more, if it is
     * large. */
    int64_t most = m * n <= 1 << 20 ? 256 : 512;
    omp_set_num_threads(g->threads);
    for (int64_t done = 0; done < k;) {
        int64_t rows = next_cut(k - done);
        if (rows > most) rows = most;
        const void *from_a = (const char *)a + (size_t)(done * m) * dtype_size(g->input);
        const void *from_b = (const char *)b + (size_t)(done * n) * dtype_size(g->input);
        if (rows < SMALLEST_CUT) {
            ESP_TRY(padded(g, &g->rest_a, &g->rest_a_bytes, from_a, rows, m, error));
            ESP_TRY(padded(g, &g->rest_b, &g->rest_b_bytes, from_b, rows, n, error));
            from_a = g->rest_a;
            from_b = g->rest_b;
            rows = SMALLEST_CUT;
        }
        gemm_key key = {.m = m,
                        .n = n,
                        .k = rows,
                        .form = FORM_TRANSPOSED,
                        .c_type = (int32_t)DTYPE_F32,
                        .accumulate = 1,
                        .threads = g->threads};
        gemm_plan *p;
        ESP_TRY(find_plan(g, &key, NULL, &p, error));
        dnnl_status_t status = run_plan(g, p, NULL, 0, from_a, from_b, c);
        if (status != dnnl_success) return failed(status, "to run a product", m, n, rows, error);
        done += rows;
    }
    dnnl_stream_wait(g->stream);
    return ESP_OK;
}

esp_status gemm_plan_get(gemm *g, const gemm_matrix *b, int64_t m, gemm_plan **out, esp_error *error) {
    gemm_key key = {
        .m = m, .n = b->n, .k = b->k, .form = FORM_PACKED, .c_type = (int32_t)DTYPE_F32, .threads = 1};
    return find_plan(g, &key, b, out, error);
}

esp_status gemm_plan_run(gemm *g, const gemm_plan *p, const gemm_matrix *b, int thread, const void *a,
                         float *c) {
    return run_plan(g, p, b->memory, thread, a, NULL, c) == dnnl_success ? ESP_OK : ESP_FAILED;
}
