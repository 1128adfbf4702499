/* The backward pass over the tape that the last keeping forward left. Each block mirrors one of forward.c,
 * last first. */
#include "model/internal.h"

#include <assert.h>
#include <string.h>

/* From dloss/dlogprob to the gradient of the residual stream behind the last layer, dx [T, width]. */
static esp_status head_block(model *m, const token_tree *tree, const float *dlogprob, float *gradient,
                             float *dx, esp_error *error) {
    compute *be = m->compute;
    head_tape *h = &m->head_rows;
    int64_t D = m->config.width, T = m->kept.tokens, n = 0;
    const int64_t *row_of = h->row_of.at, *token_of = h->token_of.at;
    memset(dx, 0, (size_t)(T * D) * 4);
    for (int64_t t = 0; t < T; t++) n += dlogprob[t] != 0 && m->kept.predecessor[t] >= 0;
    if (n == 0) return ESP_OK;

    /* One row a target: a row that several siblings follow stands here several times. */
    size_t rows_bytes = (size_t)(n * D) * 4, unique_bytes = (size_t)(h->count * D) * 4;
    ESP_TRY(workspace_need(&m->grad_a, rows_bytes > unique_bytes ? rows_bytes : unique_bytes, "gradients",
                           error));
    ESP_TRY(workspace_need(&m->grad_b, unique_bytes, "gradients", error));
    ESP_TRY(workspace_need(&m->grad_act, act_bytes(m, n * D), "gradients", error));
    int32_t *targets = MEM_ARRAY(int32_t, n);
    float *d = MEM_ARRAY(float, n);
    int64_t *row = MEM_ARRAY(int64_t, n), i = 0;
    size_t act_row = act_bytes(m, D);
    for (int64_t t = 0; t < T; t++) {
        if (dlogprob[t] == 0 || m->kept.predecessor[t] < 0) continue;
        row[i] = row_of[m->kept.predecessor[t]];
        assert(row[i] >= 0 && "a gradient for a log-prob that was not wanted");
        targets[i] = tree->tokens[t];
        d[i] = dlogprob[t];
        memcpy((char *)m->grad_act.at + (size_t)i * act_row,
               (const char *)h->normed.at + (size_t)row[i] * act_row, act_row);
        i++;
    }
    float *drow = m->grad_a.at, *dnormed = m->grad_b.at;
    be->ops->head_backward(be, m->head->matrix, n, m->grad_act.at, targets, d, drow,
                           gradient + m->head->offset);
    memset(dnormed, 0, unique_bytes);
    for (i = 0; i < n; i++)
        for (int64_t j = 0; j < D; j++) dnormed[row[i] * D + j] += drow[i * D + j];
    memset(drow, 0, unique_bytes);
    be->ops->rmsnorm_backward(be, h->count, D, dnormed, h->rows.at, m->norm_out->vector, h->rstd.at, drow,
                              gradient + m->norm_out->offset);
    for (int64_t r = 0; r < h->count; r++) memcpy(dx + token_of[r] * D, drow + r * D, (size_t)D * 4);
    mem_free(targets);
    mem_free(d);
    mem_free(row);
    return ESP_OK;
}

static void feed_forward_back(model *m, const model_layer *layer, layer_tape *t, float *gradient, float *dx) {
    compute *be = m->compute;
    const compute_ops *ops = be->ops;
    int64_t T = m->kept.tokens, D = m->config.width, F = m->config.feed_forward;
    float *dh = m->grad_a.at, *dnorm = m->grad_b.at;
    ops->to_act(be, T * D, dx, m->grad_act.at);
    weight_backward(be, layer->down, T, m->grad_act.at, t->hidden.at, dh, gradient);
    ops->swiglu_backward(be, T, F, dh, t->gate_up.at, m->grad_act.at);
    weight_backward(be, layer->gate_up, T, m->grad_act.at, t->norm2.at, dnorm, gradient);
    ops->rmsnorm_backward(be, T, D, dnorm, t->x_mid.at, layer->norm_post->vector, t->rstd2.at, dx,
                          gradient + layer->norm_post->offset);
}

static void attention_back(model *m, const model_layer *layer, layer_tape *t, const float *x_in,
                           float *gradient, float *dx) {
    compute *be = m->compute;
    const compute_ops *ops = be->ops;
    const model_config *c = &m->config;
    int64_t T = m->kept.tokens, D = c->width, GE = (int64_t)c->kv_heads * c->head_width;
    float *datt = m->grad_a.at, *dnorm = m->grad_b.at;
    ops->to_act(be, T * D, dx, m->grad_act.at);
    weight_backward(be, layer->out, T, m->grad_act.at, t->attended.at, datt, gradient);
    memset(m->grad_k.at, 0, (size_t)(T * GE) * 4);
    memset(m->grad_v.at, 0, (size_t)(T * GE) * 4);
    ops->attention_backward(be, c->heads, c->kv_heads, c->head_width, m->kept.spans, m->kept.span_count,
                            m->kept.segments.at, t->q.at, t->k.at, t->v.at, t->attended.at, t->lse.at, datt,
                            m->grad_q.at, m->grad_k.at, m->grad_v.at);
    const qkv_spec heads = {c->heads, c->kv_heads, c->head_width, .bias = NULL};
    ops->rope_split_backward(be, T, &heads, m->grad_q.at, m->grad_k.at, m->grad_v.at, m->kept.positions,
                             m->kept.slots, m->cosine, m->sine, m->grad_act.at, NULL);
    weight_backward(be, layer->qkv, T, m->grad_act.at, t->norm1.at, dnorm, gradient);
    ops->rmsnorm_backward(be, T, D, dnorm, x_in, layer->norm_in->vector, t->rstd1.at, dx,
                          gradient + layer->norm_in->offset);
}

esp_status model_backward(model *m, const token_tree *tree, const float *dlogprob, float *gradient,
                          esp_error *error) {
    if (m->team.parts) return team_backward(m, dlogprob, gradient, error);
    return model_backward_whole(m, tree, dlogprob, gradient, error);
}

esp_status model_backward_whole(model *m, const token_tree *tree, const float *dlogprob, float *gradient,
                                esp_error *error) {
    assert(m->trainable && m->has_kept && m->kept.tokens == tree->start[tree->runs]);
    const model_config *c = &m->config;
    int64_t T = m->kept.tokens, D = c->width, F = c->feed_forward, HE = (int64_t)c->heads * c->head_width,
            GE = (int64_t)c->kv_heads * c->head_width;
    int64_t wide = F > HE ? F : HE, act_wide = 2 * F > HE + 2 * GE ? 2 * F : HE + 2 * GE;
    ESP_TRY(head_block(m, tree, dlogprob, gradient, m->stream.at, error));
    ESP_TRY(workspace_need(&m->grad_a, (size_t)(T * wide) * 4, "gradients", error));
    ESP_TRY(workspace_need(&m->grad_b, (size_t)(T * D) * 4, "gradients", error));
    ESP_TRY(workspace_need(&m->grad_q, (size_t)(T * HE) * 4, "gradients", error));
    ESP_TRY(workspace_need(&m->grad_k, (size_t)(T * GE) * 4, "gradients", error));
    ESP_TRY(workspace_need(&m->grad_v, (size_t)(T * GE) * 4, "gradients", error));
    ESP_TRY(workspace_need(&m->grad_act, act_bytes(m, T * act_wide), "gradients", error));
    float *dx = m->stream.at;
    layer_pass pass = model_tree_pass(&m->kept, tree->tokens, true);
    for (int l = c->layers; l-- > 0;) {
        layer_tape *t = model_layer_again(m, &pass, l);
        feed_forward_back(m, &m->layers[l], t, gradient, dx);
        attention_back(m, &m->layers[l], t, m->x_in[l].at, gradient, dx);
    }
    m->compute->ops->embed_scatter(m->compute, T, D, tree->tokens, dx, gradient + m->embedding->offset);
    return compute_check(m->compute, error);
}
