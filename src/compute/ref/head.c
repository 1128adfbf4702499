/* The vocabulary in the reference backend: one row of logits at a time. */
#include "base/memory.h"
#include "compute/ref/ref.h"

#include <math.h>

/* Logits of one row; returns their log-sum-exp at temperature 1. */
static double row_logits(compute *c, const linear *head, const void *x, int64_t row, double *logit) {
    double best = -INFINITY, sum = 0;
    for (int64_t o = 0; o < head->out; o++) {
        logit[o] = 0;
        for (int64_t i = 0; i < head->in; i++)
            logit[o] +=
                (double)act_get(c, x, row * head->in + i) * (double)act_get(c, head->w, o * head->in + i);
        if (logit[o] > best) best = logit[o];
    }
    for (int64_t o = 0; o < head->out; o++) sum += exp(logit[o] - best);
    return best + log(sum);
}

static int32_t sample(const double *logit, int64_t n, double temperature, double u) {
    double best = -INFINITY, sum = 0, below = 0;
    for (int64_t o = 0; o < n; o++) best = logit[o] > best ? logit[o] : best;
    for (int64_t o = 0; o < n; o++) sum += exp((logit[o] - best) / temperature);
    for (int64_t o = 0; o < n; o++) {
        below += exp((logit[o] - best) / temperature);
        if (u * sum < below) return (int32_t)o;
    }
    return (int32_t)(n - 1);
}

static void answer(head_read_request *r, const double *logit, int64_t n, double total) {
    if (r->kind == READ_SAMPLE) r->token = sample(logit, n, (double)r->temperature, r->u);
    if (r->kind == READ_GREEDY) {
        int64_t first = 0, second = -1;
        for (int64_t o = 1; o < n; o++) {
            if (logit[o] > logit[first]) {
                second = first;
                first = o;
            } else if (second < 0 || logit[o] > logit[second])
                second = o;
        }
        r->token = (int32_t)first;
        r->margin = second < 0 ? INFINITY : (float)(logit[first] - logit[second]);
    }
    r->logprob = (float)(logit[r->token] - total);
}

void ref_head_read(compute *c, const linear *head, int64_t rows, const void *x, head_read_request *reads,
                   int64_t count) {
    (void)rows;
    double *logit = MEM_ARRAY(double, head->out);
    double total = 0;
    for (int64_t i = 0; i < count; i++) {
        if (i == 0 || reads[i].row != reads[i - 1].row) total = row_logits(c, head, x, reads[i].row, logit);
        answer(&reads[i], logit, head->out, total);
    }
    mem_free(logit);
}

void ref_head_backward(compute *c, const linear *head, int64_t rows, const void *x, const int32_t *targets,
                       const float *dlogprob, float *dx, float *dw) {
    double *logit = MEM_ARRAY(double, head->out), *sum = MEM_ARRAY(double, head->in);
    for (int64_t r = 0; r < rows; r++) {
        double total = row_logits(c, head, x, r, logit);
        for (int64_t i = 0; i < head->in; i++) sum[i] = 0;
        for (int64_t o = 0; o < head->out; o++) {
            double d = (double)dlogprob[r] * ((o == targets[r] ? 1.0 : 0.0) - exp(logit[o] - total));
            for (int64_t i = 0; i < head->in; i++) {
                sum[i] += d * (double)act_get(c, head->w, o * head->in + i);
                if (dw) dw[o * head->in + i] += (float)(d * (double)act_get(c, x, r * head->in + i));
            }
        }
        for (int64_t i = 0; i < head->in; i++) dx[r * head->in + i] = (float)sum[i];
    }
    mem_free(logit);
    mem_free(sum);
}
