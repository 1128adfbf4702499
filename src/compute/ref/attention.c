/* Attention of the reference backend: one query and one head at a time. */
#include "base/half.h"
#include "base/memory.h"
#include "compute/ref/ref.h"

#include <math.h>

/* The pool's rows that a span's queries may see, in order of position. */
static int64_t *span_slots(const attention_span *s, const attention_segment *segments) {
    int64_t *slots = MEM_ARRAY(int64_t, s->context), n = 0;
    for (int32_t i = 0; i < s->segments; i++)
        for (int32_t j = 0; j < segments[s->first_segment + i].count; j++)
            slots[n++] = segments[s->first_segment + i].slot + j;
    return slots;
}

/* Where in its span's context the keys begin that a query sees, of the n up to its own. */
static int64_t first_seen(int64_t window, int64_t n) {
    return window > 0 && n > window ? n - window : 0;
}

/* A query as it is multiplied with keys: heads of a width that is a multiple of 64 take it rounded to act, as
 * the keys are; others as it is. */
static void query_taken(compute *c, int head_width, const float *q, float *taken) {
    for (int i = 0; i < head_width; i++)
        taken[i] = c->act == DTYPE_BF16 && head_width % 64 == 0 ? bf16_to_f32(bf16_from_f32(q[i])) : q[i];
}

/* Scaled scores of one query against the first n rows; returns their log-sum-exp. */
static double query_scores(compute *c, int head_width, int64_t stride, int64_t kv_offset, const float *q,
                           const void *k, const int64_t *slots, int64_t n, double *score) {
    double scale = 1 / sqrt((double)head_width), best = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++) {
        score[j] = 0;
        for (int i = 0; i < head_width; i++)
            score[j] += (double)q[i] * (double)act_get(c, k, slots[j] * stride + kv_offset + i);
        score[j] *= scale;
        if (score[j] > best) best = score[j];
    }
    for (int64_t j = 0; j < n; j++) sum += exp(score[j] - best);
    return best + log(sum);
}

void ref_attention(compute *c, const compute_pass *pass, int64_t window, const float *q, const void *k,
                   const void *v, void *out, float *lse) {
    const attention_span *spans = pass->plan.spans;
    const attention_segment *segments = pass->plan.segments;
    int heads = pass->plan.heads, kv_heads = pass->plan.kv_heads, head_width = pass->plan.head_width;
    int64_t E = head_width, stride = kv_heads * E, span_count = pass->plan.span_count;
    for (int64_t s = 0; s < span_count; s++) {
        int64_t *slots = span_slots(&spans[s], segments);
        double *score = MEM_ARRAY(double, spans[s].context);
        float *query = MEM_ARRAY(float, E);
        for (int64_t j = 0; j < spans[s].queries; j++)
            for (int64_t h = 0; h < heads; h++) {
                int64_t t = spans[s].first_query + j, n = spans[s].context - spans[s].queries + j + 1;
                int64_t at = (t * heads + h) * E, kv_offset = h / (heads / kv_heads) * E;
                int64_t first = first_seen(window, n);
                query_taken(c, head_width, q + at, query);
                double total = query_scores(c, head_width, stride, kv_offset, query, k, slots + first,
                                            n - first, score + first);
                for (int64_t i = 0; i < E; i++) {
                    double sum = 0;
                    for (int64_t p = first; p < n; p++)
                        sum +=
                            exp(score[p] - total) * (double)act_get(c, v, slots[p] * stride + kv_offset + i);
                    act_set(c, out, at + i, (float)sum);
                }
                if (lse) lse[t * heads + h] = (float)total;
            }
        mem_free(slots);
        mem_free(score);
        mem_free(query);
    }
}

void ref_attention_backward(compute *c, const compute_pass *pass, int64_t window, const float *q,
                            const void *k, const void *v, const void *out, const float *lse,
                            const float *dout, float *dq, float *dk, float *dv) {
    const attention_span *spans = pass->plan.spans;
    const attention_segment *segments = pass->plan.segments;
    int heads = pass->plan.heads, kv_heads = pass->plan.kv_heads, head_width = pass->plan.head_width;
    int64_t E = head_width, stride = kv_heads * E, span_count = pass->plan.span_count;
    double scale = 1 / sqrt((double)head_width);
    for (int64_t s = 0; s < span_count; s++) {
        int64_t *slots = span_slots(&spans[s], segments);
        double *score = MEM_ARRAY(double, spans[s].context);
        float *query = MEM_ARRAY(float, E);
        for (int64_t j = 0; j < spans[s].queries; j++)
            for (int64_t h = 0; h < heads; h++) {
                int64_t t = spans[s].first_query + j, n = spans[s].context - spans[s].queries + j + 1;
                int64_t at = (t * heads + h) * E, kv_offset = h / (heads / kv_heads) * E;
                int64_t first = first_seen(window, n);
                query_taken(c, head_width, q + at, query);
                query_scores(c, head_width, stride, kv_offset, query, k, slots + first, n - first,
                             score + first);
                double through_out = 0; /* sum over positions of weight * dweight = out . dout */
                for (int64_t i = 0; i < E; i++) {
                    through_out += (double)act_get(c, out, at + i) * (double)dout[at + i];
                    dq[at + i] = 0;
                }
                for (int64_t p = first; p < n; p++) {
                    int64_t row = slots[p] * stride + kv_offset;
                    double weight = exp(score[p] - (double)lse[t * heads + h]), dweight = 0;
                    for (int64_t i = 0; i < E; i++)
                        dweight += (double)dout[at + i] * (double)act_get(c, v, row + i);
                    double dscore = weight * (dweight - through_out) * scale;
                    for (int64_t i = 0; i < E; i++) {
                        dq[at + i] += (float)(dscore * (double)act_get(c, k, row + i));
                        dk[row + i] += (float)(dscore * (double)query[i]);
                        dv[row + i] += (float)(weight * (double)dout[at + i]);
                    }
                }
            }
        mem_free(slots);
        mem_free(score);
        mem_free(query);
    }
}
