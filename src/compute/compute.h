/* Compute: the operations that a Llama-family model is made of, and the backends that do them. `ref` does
 * them with plain loops that one can check by eye; `cpu` does the same with oneDNN matrix products and fused
 * kernels chosen at run time. Tests compare the two operation by operation (tests/unit/compute). Logits exist
 * only inside head_read and head_backward, a chunk at a time.
 *
 * Types. "act" means the activation type of the instance, f32 or bf16: the type of the inputs of matrix
 * products (which accumulate in f32). Everything else is f32. A pointer to act data is void*. All matrices
 * are row-major and dense. Letters: T tokens, D width of the residual stream, H query heads, G key/value
 * heads, E width of a head, F width of the feed-forward part, V vocabulary.
 *
 * Memory. Operations read and write buffers, which buffer_new makes. A buffer is the backend's memory,
 * perhaps another device's: pointers into it are computed as usual (float *second = first + n), but only
 * operations follow them; put and get copy from and to the host. Numbers that the host makes for a call (row
 * numbers, targets, settings) are read before the call returns. The tests run the model over a backend
 * (compute/far) that enforces this.
 *
 * Order. Operations run in the order of calls, and may run later than the call: get, head_read, sum_squares
 * and compute_check wait for everything before them.
 *
 * Errors. The operations return nothing; a failure inside (a primitive that cannot be made, no memory for
 * scratch) is kept and handed out by compute_check, which the model calls once after each pass. Determinism.
 * Same inputs, same thread count, same machine: same bits. */
#ifndef ESPALIER_COMPUTE_COMPUTE_H
#define ESPALIER_COMPUTE_COMPUTE_H

#include "base/error.h"
#include "base/random.h"

typedef enum { DTYPE_F32, DTYPE_BF16 } dtype;

typedef struct compute compute;
typedef struct linear linear; /* a weight matrix [out, in] in the form its backend likes */
typedef struct adapter
    adapter; /* of a matrix: numbers that are added to it and can be trained in its place */
typedef struct compute_pass compute_pass;

enum {
    LINEAR_BACKWARD = 1, /* linear_backward_input will be called */
    LINEAR_ROWS = 2,     /* embed_gather will be called */
    LINEAR_GATED = 4,    /* compute_linear_gate will be called, with GATE_SILU; linear_forward will not */
    LINEAR_FROZEN = 8,   /* with LINEAR_BACKWARD: set once. One packing serves linear_forward and
                            linear_backward_input, which takes longer for it */
};

/* f of a gated feed-forward part, h = f(gate) * up. */
typedef enum {
    GATE_SILU,      /* f(x) = x sigmoid(x) */
    GATE_GELU_TANH, /* f(x) = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
} gate_kind;

/* Keys and values that a group of query tokens attends to. Query tokens first_query .. first_query + queries
 * - 1 are consecutive tokens of one path. The path's keys, the queries' own among them, are `segments` pieces
 * of the pool, in order of position; together they hold `context` tokens, and the last `queries` of them are
 * the queries' own. Query j sees the first context - queries + j + 1.
 *
 * A query's bits depend on its context and on `decoded`, not on what else is in the span or the pass. Decoded
 * queries are those of tokens that a sequence got one at a time: a backend may sum them in another order than
 * a prompt's, the one that is fastest for a single query, and does so also where several are in one span. */
typedef struct {
    int64_t first_query;
    int32_t queries, context;
    int64_t first_segment;
    int32_t segments;
    bool decoded;
} attention_span;

typedef struct {
    int64_t slot; /* first row in the pool */
    int32_t count;
} attention_segment;

/* The tokens that go through the layers together, and where their keys and values are. pass_new copies what
 * it needs, so that it reaches the backend once per pass and not once per layer. */
typedef struct {
    int heads, kv_heads, head_width;
    int64_t tokens;
    const int32_t *ids, *positions; /* [tokens]; ids NULL: no embedding; positions NULL: attention alone */
    const int64_t *slots;           /* [tokens]: rows in the pools; NULL with positions */
    const attention_span *spans;
    int64_t span_count;
    const attention_segment *segments;
    bool backward; /* attention_backward will be called */
    /* The layers' pools (buffers), for a backend that prefetches: affects speed alone. NULL: not known. */
    int layers;
    void *const *k, *const *v;
} pass_plan;

/* What a layer's split of queries, keys and values takes besides the pass. The arrays are buffers. */
typedef struct {
    const float *cosine, *sine; /* [positions, rotated / 2]; NULL: nothing is rotated */
    const float *bias;          /* [(H + 2G) E]; NULL: none */
    const float *gain;          /* [2, E]: of a norm of each head of the queries, and of the keys, before the
                                   rotation; NULL: no such norm. Not together with a bias. */
    float eps;                  /* of that norm */
    float query_scale;          /* queries are multiplied by it last; 0: they are not */
    int rotated;                /* how many leading elements of a head are rotated, even; 0: all */
} qkv_spec;

/* A low-rank adapter (Hu et al. 2021) of a matrix W [out, in]. For each part, some consecutive rows of W, it
 * has A [rank, in] and B [rows, rank], and the rows act as if scale B A were added to them. */
enum { ADAPTER_PARTS = 3 };
typedef struct {
    int64_t out, in, rank;
    float scale;
    int parts;
    struct {
        int64_t first, rows;
    } part[ADAPTER_PARTS];
} adapter_shape;

/* The numbers of an adapter are one array: A and B of the first part, then of the next. Where those of a part
 * begin, and how many there are in all (part = parts). */
int64_t adapter_part_at(const adapter_shape *s, int part);

/* A question about the next-token distribution at one row of hidden states. Log-probs are natural, of the
 * untempered model, in f32. */
typedef enum {
    READ_SCORE,  /* the log-prob of `token` */
    READ_SAMPLE, /* a token drawn at `temperature` by inverting the distribution at u in [0,1); its log-prob
                  */
    READ_GREEDY, /* the most probable token (ties: lowest id); its log-prob; margin to the second */
} read_kind;

typedef struct {
    int64_t row; /* of x; reads come in ascending order of row, several may share one */
    read_kind kind;
    int32_t token;     /* in for READ_SCORE, out otherwise */
    float temperature; /* > 0, READ_SAMPLE */
    double u;          /* READ_SAMPLE */
    float logprob;     /* out */
    float margin;      /* out, READ_GREEDY: log-prob of the best less that of the second */
} head_read_request;

typedef struct {
    float lr, beta1, beta2, eps, weight_decay;
    float grad_scale; /* gradients are multiplied by it first (clipping) */
    int64_t step;     /* 1 for the first */
} adamw_settings;

/* What code above may know of a backend. */
typedef struct {
    bool host_memory; /* the host may read and write buffers in place: saves copies of whole models */
    bool trains;      /* has the backward operations and the optimizer */
    bool rows_alone;  /* a row of a product has the same bits whatever other rows are in it: what is computed
                         for a token does not depend on the batch */
    int replicas;     /* instances (compute_replica_new) that are of use side by side, this one among them */
    int64_t cache_bytes;      /* weights of at most this size stay in a cache that the replicas share */
    int64_t core_cache_bytes; /* keys and values in use that one replica's own cache holds, about */
} compute_traits;

/* Parameters of an operation, from the list in operations.inc: as in a declaration, and as in a call. Each
 * parameter's macro ends in the name of the other one, which takes the next parameter. */
#define OPERATION_PARAMETERS(list)                   OPERATION_END(OPERATION_PARAMETER_A list)
#define OPERATION_PARAMETER_A(kind, type, name, ...) , type name OPERATION_PARAMETER_B
#define OPERATION_PARAMETER_B(kind, type, name, ...) , type name OPERATION_PARAMETER_A
#define OPERATION_PARAMETER_A_END
#define OPERATION_PARAMETER_B_END
#define OPERATION_ARGUMENTS(list)                   OPERATION_END(OPERATION_ARGUMENT_A list)
#define OPERATION_ARGUMENT_A(kind, type, name, ...) , name OPERATION_ARGUMENT_B
#define OPERATION_ARGUMENT_B(kind, type, name, ...) , name OPERATION_ARGUMENT_A
#define OPERATION_ARGUMENT_A_END
#define OPERATION_ARGUMENT_B_END
#define OPERATION_END(...)  OPERATION_END_(__VA_ARGS__)
#define OPERATION_END_(...) __VA_ARGS__##_END

typedef struct compute_ops {
    const char *name;
    void (*destroy)(compute *c);
    /* Makes c, whose act, threads and `of` are set, a replica of c->of. */
    esp_status (*replica)(compute *c, esp_error *error);
    /* Returns when all operations asked for have run. */
    void (*wait)(compute *c);

    /* Makers. Where there is no memory they keep the failure; buffer_new then returns NULL. What a buffer
     * holds at first is not defined; `what` names it in the failure. The frees take NULL, and may come before
     * operations on what is freed have run. */
    void *(*buffer_new)(compute *c, size_t bytes, const char *what);
    void (*buffer_free)(compute *c, void *buffer);
    linear *(*linear_new)(compute *c, int64_t out, int64_t in, int flags);
    void (*linear_free)(compute *c, linear *l);
    adapter *(*adapter_new)(compute *c, const adapter_shape *shape);
    void (*adapter_free)(compute *c, adapter *a);
    compute_pass *(*pass_new)(compute *c, const pass_plan *plan);
    void (*pass_free)(compute *c, compute_pass *pass);

#define OPERATION(name, group, list) void (*name)(compute * c OPERATION_PARAMETERS(list));
#include "compute/operations.inc"
} compute_ops;

struct compute {
    const compute_ops *ops;
    dtype act;
    int threads;
    compute_traits traits;
    struct compute *of; /* the instance that this one is a replica of, or NULL */
    esp_error failure;  /* the first failure inside an operation; compute_check hands it out */
    void *state;        /* the backend's own */
    char description[160];
};

/* The kinds of backend in the order of their table, "cpu" first; NULL past the last. */
const char *compute_kind(int index);
/* kind: one of these. threads 0: one per core. bf16 on a machine without bf16 matrix units still works
 * (oneDNN or plain loops emulate it) and gives the same rounding of inputs. The environment's ESPALIER_ISA
 * (base, avx2, avx512, avx512bf16) makes `cpu` use those kernels in place of the widest that the processor
 * runs; oneDNN has ONEDNN_MAX_CPU_ISA for the same. */
esp_status compute_new(compute **out, const char *kind, dtype act, int threads, esp_error *error);
/* Another instance of the same kind and type, with `threads` threads and scratch of its own, that uses the
 * matrices and buffers of `of` and can work at the same time as it, on another thread. No matrix may be set
 * meanwhile. `of` must outlive it. */
esp_status compute_replica_new(compute **out, compute *of, int threads, esp_error *error);
void compute_free(compute *c);
/* Waits for all operations. ESP_OK, or the first failure since the last check. */
esp_status compute_check(compute *c, esp_error *error);
/* A one-line description for logs: "cpu bf16, 2 threads, avx512_core_bf16, oneDNN 2.6.3". */
const char *compute_describe(compute *c);

/* buffer_new, with the refusal as an error. */
esp_status compute_buffer_new(compute *c, void **out, size_t bytes, const char *what, esp_error *error);

/* linear_gate; where the backend has none, the product and then the gate. width: of h, half of the matrix's
 * rows. */
void compute_linear_gate(compute *c, const linear *l, gate_kind kind, int64_t m, int64_t width, const void *x,
                         void *gate_up, bool keep, void *h);

static inline size_t dtype_size(dtype t) {
    return t == DTYPE_F32 ? 4 : 2;
}

/* Backends: compute/ref and compute/cpu. */
esp_status compute_ref_init(compute *c, esp_error *error);
esp_status compute_cpu_init(compute *c, esp_error *error);

#endif
