/* The vocabulary. Rows are taken in chunks; a thread computes a block of their logits and reads it while it
 * is in its cache: the greatest, and the sum of exponentials. Questions about a row are answered from those
 * sums, and from at most a few blocks of its logits. Rows nobody asks about, or whose gradient is zero, are
 * never computed. */
#include "base/half.h"
#include "base/memory.h"
#include "compute/cpu/cpu.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum {
    READ_ROWS = 64,      /* rows in a chunk of head_read */
    GRADIENT_ROWS = 256, /* of head_backward: the gradient of the weight is read and written once a chunk */
};

/* A chunk of rows and their logits. */
typedef struct {
    const linear *head;
    int64_t rows, padded;     /* rows; and with the rows of zeros after them */
    const void *gathered;     /* act, [padded, in] */
    const void *x;            /* the same as products take it */
    const float *temperature; /* [rows], or NULL */
    float *logits;            /* a tile [padded, block] for each block, the last one narrower */
    logit_sums *sums;         /* [rows, blocks] */
} logit_chunk;

static int64_t block_size(const linear *l, int64_t b) {
    int64_t left = l->out - b * l->block;
    return left < l->block ? left : l->block;
}

/* The logits of row r in block b. */
static float *tile_row(const logit_chunk *k, int64_t r, int64_t b) {
    return k->logits + k->padded * b * k->head->block + r * block_size(k->head, b);
}

/* Rows of a chunk rounded up so that few plans are needed. */
static int64_t padded_rows(int64_t rows) {
    return rows <= READ_ROWS ? rows : (rows + READ_ROWS - 1) / READ_ROWS * READ_ROWS;
}

/* Fills logits and sums; x, rows, padded, temperature are set. */
static bool compute_logits(compute *c, logit_chunk *k) {
    cpu_state *s = state_of(c);
    const linear *l = k->head;
    gemm_plan *plan = NULL, *last = NULL;
    if (!l->panels &&
        (gemm_plan_get(s->gemm, l->forward[0], k->padded, &plan, &c->failure) != ESP_OK ||
         gemm_plan_get(s->gemm, l->forward[l->blocks - 1], k->padded, &last, &c->failure) != ESP_OK))
        return false;
    bool failed = false;
#pragma omp parallel for num_threads(c->threads) schedule(dynamic) reduction(|| : failed)
    for (int b = 0; b < l->blocks; b++) {
        float *logits = tile_row(k, 0, b);
        const gemm_plan *p = b + 1 < l->blocks ? plan : last;
        if (l->panels)
            s->panels->multiply_columns(l->panels, b * l->block, block_size(l, b), k->rows, k->x, logits);
        else
            failed = failed ||
                     gemm_plan_run(s->gemm, p, l->forward[b], omp_get_thread_num(), k->x, logits) != ESP_OK;
        for (int64_t r = 0; r < k->rows; r++) {
            float temperature = k->temperature ? k->temperature[r] : 1.0f;
            k->sums[r * l->blocks + b] = s->kernels->logits(block_size(l, b), logits + r * block_size(l, b),
                                                            temperature, temperature != 1.0f);
        }
    }
    if (failed)
        error_fail(&c->failure, "this is a bug; please report it",
                   "oneDNN fails in the vocabulary's product");
    return !failed;
}

/* Room for a chunk of `rows`, and its rows of x, rows index[0..rows-1]. */
static bool begin_chunk(compute *c, logit_chunk *k, const linear *head, const void *x, const int64_t *index,
                        int64_t rows) {
    size_t row = (size_t)head->in * dtype_size(c->act);
    k->head = head;
    k->rows = rows;
    k->padded = padded_rows(rows);
    char *gathered = cpu_scratch(c, SCRATCH_ROWS, (size_t)k->padded * row);
    int64_t widest =
        head->out > head->in ? head->out : head->in; /* backward puts rows of dx in their place */
    k->logits = cpu_scratch(c, SCRATCH_LOGITS, (size_t)(k->padded * widest) * sizeof(float));
    k->sums = cpu_scratch(c, SCRATCH_SUMS, (size_t)(rows * head->blocks) * sizeof(logit_sums));
    if (!gathered || !k->logits || !k->sums) return false;
    for (int64_t r = 0; r < rows; r++)
        memcpy(gathered + (size_t)r * row, (const char *)x + (size_t)index[r] * row, row);
    memset(gathered + (size_t)rows * row, 0, (size_t)(k->padded - rows) * row);
    k->gathered = gathered;
    k->x = cpu_product_input(c, SCRATCH_WIDE_X, k->padded * head->in, gathered);
    return k->x != NULL;
}

/* log of the sum of exponentials of a row's logits. */
static double row_total(const logit_sums *sums, int blocks) {
    float top = sums[0].max;
    double sum = 0;
    for (int b = 1; b < blocks; b++) top = sums[b].max > top ? sums[b].max : top;
    for (int b = 0; b < blocks; b++) sum += sums[b].sum * exp((double)sums[b].max - (double)top);
    return (double)top + log(sum);
}

/* The token at which the cumulative distribution at `temperature` passes u. */
static int32_t sample(compute *c, const logit_chunk *k, int64_t r, float temperature, double u) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    const linear *l = k->head;
    const logit_sums *sums = k->sums + r * l->blocks;
    bool tempered_known = temperature == k->temperature[r];
    float top = sums[0].max;
    double total = 0, passed = 0;
    double weight[l->blocks];
    for (int b = 1; b < l->blocks; b++) top = sums[b].max > top ? sums[b].max : top;
    for (int b = 0; b < l->blocks; b++) {
        double own = temperature == 1.0f ? sums[b].sum : (double)sums[b].tempered_sum;
        if (temperature != 1.0f && !tempered_known)
            own =
                (double)kernels->logits(block_size(l, b), tile_row(k, r, b), temperature, true).tempered_sum;
        weight[b] = own * exp(((double)sums[b].max - (double)top) / (double)temperature);
        total += weight[b];
    }
    int chosen = 0, last = 0; /* last: the last block with any weight */
    for (int b = 0; b < l->blocks; b++)
        if (weight[b] > 0) last = b;
    while (chosen < last && passed + weight[chosen] <= u * total) passed += weight[chosen++];
    const float *x = tile_row(k, r, chosen);
    double scale = exp(((double)sums[chosen].max - (double)top) / (double)temperature),
           left = u * total - passed;
    int64_t n = block_size(l, chosen), token = 0;
    double below = 0;
    for (int64_t i = 0; i < n;
         i++) { /* token stays at the last one with weight if rounding makes the sum fall short */
        double own = scale * exp(((double)x[i] - (double)sums[chosen].max) / (double)temperature);
        below += own;
        if (own > 0) token = i;
        if (left < below) break;
    }
    return (int32_t)(chosen * l->block + token);
}

static void greedy(const logit_chunk *k, int64_t r, head_read_request *read) {
    const linear *l = k->head;
    const logit_sums *sums = k->sums + r * l->blocks;
    int best = 0;
    for (int b = 1; b < l->blocks; b++)
        if (sums[b].max > sums[best].max) best = b;
    const float *x = tile_row(k, r, best);
    int64_t n = block_size(l, best), token = 0;
    while (token + 1 < n && x[token] < sums[best].max) token++;
    float second = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (i != token && x[i] > second) second = x[i];
    for (int b = 0; b < l->blocks; b++)
        if (b != best && sums[b].max > second) second = sums[b].max;
    read->token = (int32_t)(best * l->block + token);
    read->margin = sums[best].max - second;
}

static void answer(compute *c, const logit_chunk *k, int64_t r, head_read_request *reads, int64_t count) {
    const linear *l = k->head;
    double total = row_total(k->sums + r * l->blocks, l->blocks);
    for (int64_t i = 0; i < count; i++) {
        head_read_request *read = &reads[i];
        if (read->kind == READ_SAMPLE) read->token = sample(c, k, r, read->temperature, read->u);
        if (read->kind == READ_GREEDY) greedy(k, r, read);
        double logit = (double)tile_row(k, r, read->token / l->block)[read->token % l->block];
        read->logprob = (float)(logit - total);
    }
}

void cpu_head_read(compute *c, const linear *head, int64_t rows, const void *x, head_read_request *reads,
                   int64_t count) {
    (void)rows;
    for (int64_t done = 0; done < count && c->failure.code == ESP_OK;) {
        int64_t index[READ_ROWS], first[READ_ROWS + 1], n = 0;
        float temperature[READ_ROWS];
        for (; done < count; done++) {
            const head_read_request *read = &reads[done];
            if (n == 0 || index[n - 1] != read->row) {
                if (n == READ_ROWS) break;
                index[n] = read->row;
                first[n] = done;
                temperature[n++] = 1.0f;
            }
            if (read->kind == READ_SAMPLE && temperature[n - 1] == 1.0f)
                temperature[n - 1] = read->temperature;
        }
        first[n] = done;
        logit_chunk k = {.temperature = temperature};
        if (!begin_chunk(c, &k, head, x, index, n) || !compute_logits(c, &k)) return;
#pragma omp parallel for num_threads(c->threads) schedule(static)
        for (int64_t r = 0; r < n; r++) answer(c, &k, r, reads + first[r], first[r + 1] - first[r]);
    }
}

/* dlogprob * (onehot(target) - softmax), in act, of every row of the chunk: [rows, out]. */
static void logit_gradients(compute *c, const logit_chunk *k, const int64_t *index, const int32_t *targets,
                            const float *dlogprob, void *dlogits) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    const linear *l = k->head;
    size_t size = dtype_size(c->act);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t r = 0; r < k->rows; r++) {
        float d = dlogprob[index[r]];
        int64_t target = targets[index[r]];
        double total = row_total(k->sums + r * l->blocks, l->blocks);
        char *to = (char *)dlogits + (size_t)(r * l->out) * size;
        for (int64_t b = 0; b < l->blocks; b++)
            kernels->softmax(c->act, block_size(l, b), tile_row(k, r, b), total, -d,
                             to + (size_t)(b * l->block) * size);
        double logit = (double)tile_row(k, r, target / l->block)[target % l->block];
        float at_target = (float)((double)d * -expm1(logit - total));
        kernels->to_act(c->act, 1, &at_target, to + (size_t)target * size);
    }
}

void cpu_head_backward(compute *c, const linear *head, int64_t rows, const void *x, const int32_t *targets,
                       const float *dlogprob, float *dx, float *dw) {
    int64_t D = head->in, V = head->out;
    memset(dx, 0, (size_t)(rows * D) * sizeof(float));
    for (int64_t done = 0; done < rows && c->failure.code == ESP_OK;) {
        int64_t index[GRADIENT_ROWS], n = 0;
        for (; done < rows && n < GRADIENT_ROWS; done++)
            if (dlogprob[done] != 0) index[n++] = done;
        logit_chunk k = {.temperature = NULL};
        if (n == 0 || !begin_chunk(c, &k, head, x, index, n) || !compute_logits(c, &k)) return;
        void *dlogits = cpu_scratch(c, SCRATCH_DLOGITS, (size_t)(n * V) * dtype_size(c->act));
        if (!dlogits) return;
        logit_gradients(c, &k, index, targets, dlogprob, dlogits);
        float *dx_chunk = k.logits; /* done with */
        cpu_linear_backward_input(c, head, n, dlogits, dx_chunk);
        if (dw) cpu_multiply_transposed(c, n, V, D, dlogits, k.gathered, dw);
        if (c->failure.code != ESP_OK) return;
        for (int64_t r = 0; r < n; r++)
            memcpy(dx + index[r] * D, dx_chunk + r * D, (size_t)D * sizeof(float));
    }
}
