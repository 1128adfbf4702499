/* The backward pass over the tape that the last keeping forward left. Each block mirrors one of forward.c,
 * last first. */
#include "model/arch.h"
#include "model/internal.h"

#include <assert.h>

/* The log-probs that have a gradient: one row per target, so that a row which several siblings follow occurs
 * several times. */
typedef struct {
    int64_t count;
    int64_t *row; /* of head_rows */
    int32_t *target;
    float *dlogprob;
} head_targets;

static head_targets choose_targets(const model *m, const token_tree *tree, const float *dlogprob) {
    int64_t T = m->kept.tokens, n = 0;
    for (int64_t t = 0; t < T; t++) n += dlogprob[t] != 0 && m->kept.predecessor[t] >= 0;
    head_targets h = {
        .row = MEM_ARRAY(int64_t, n), .target = MEM_ARRAY(int32_t, n), .dlogprob = MEM_ARRAY(float, n)};
    for (int64_t t = 0; t < T; t++) {
        if (dlogprob[t] == 0 || m->kept.predecessor[t] < 0) continue;
        h.row[h.count] = m->head_rows.row_of.at[m->kept.predecessor[t]];
        assert(h.row[h.count] >= 0 && "a gradient for a log-prob that was not wanted");
        h.target[h.count] = tree->tokens[t];
        h.dlogprob[h.count++] = dlogprob[t];
    }
    return h;
}

static void targets_free(head_targets *h) {
    mem_free(h->row);
    mem_free(h->target);
    mem_free(h->dlogprob);
}

/* From dloss/dlogprob to the gradient of the residual stream after the last layer, dx [T, width]. */
static esp_status head_block(model *m, const head_targets *targets, float *gradient, float *dx,
                             esp_error *error) {
    compute *be = m->compute;
    const compute_ops *ops = be->ops;
    head_tape *h = &m->head_rows;
    bool frozen = model_is_frozen(m);
    int64_t D = m->config.width, n = targets->count;
    size_t rows_bytes = (size_t)(n * D) * 4, unique_bytes = (size_t)(h->count * D) * 4;
    ops->zero(be, dx, (size_t)(m->kept.tokens * D) * 4);
    if (n == 0) return ESP_OK;
    ESP_TRY(workspace_need(m, &m->grad_a, rows_bytes > unique_bytes ? rows_bytes : unique_bytes, "gradients",
                           error));
    ESP_TRY(workspace_need(m, &m->grad_b, unique_bytes, "gradients", error));
    ESP_TRY(workspace_need(m, &m->grad_act, act_bytes(m, n * D), "gradients", error));
    float *drow = m->grad_a.at, *dnormed = m->grad_b.at;
    ops->rows_pick(be, n, targets->row, act_bytes(m, D), h->normed.at, m->grad_act.at);
    ops->head_backward(be, m->head->matrix, n, m->grad_act.at, targets->target, targets->dlogprob, drow,
                       frozen ? NULL : gradient + m->head->offset);
    ops->zero(be, dnormed, unique_bytes);
    ops->rows_add(be, n, targets->row, D, drow, dnormed);
    ops->zero(be, drow, unique_bytes);
    ops->rmsnorm_backward(be, h->count, D, dnormed, h->rows.at, m->norm_out->vector, h->rstd.at, drow,
                          frozen ? NULL : gradient + m->norm_out->offset);
    ops->rows_add(be, h->count, h->token_of.at, D, drow, dx);
    return ESP_OK;
}

/* The gradient of what a block adds, from that of the stream: dx itself, or sent back through the block's
 * norm into grad_b. */
static const float *added_gradient(model *m, const weight *norm, const workspace *added,
                                   const workspace *rstd, float *gradient, const float *dx) {
    compute *be = m->compute;
    int64_t T = m->kept.tokens, D = m->config.width;
    if (!norm) return dx;
    be->ops->zero(be, m->grad_b.at, (size_t)(T * D) * 4);
    be->ops->rmsnorm_backward(be, T, D, dx, added->at, norm->vector, rstd->at, m->grad_b.at,
                              model_is_frozen(m) ? NULL : gradient + norm->offset);
    return m->grad_b.at;
}

static void feed_forward_back(model *m, const model_layer *layer, layer_tape *t, float *gradient, float *dx) {
    compute *be = m->compute;
    const compute_ops *ops = be->ops;
    int64_t T = m->kept.tokens, D = m->config.width, F = m->config.feed_forward;
    bool frozen = model_is_frozen(m);
    float *dh = m->grad_a.at, *dnorm = m->grad_b.at;
    const float *added = added_gradient(m, layer->norm_fed, &t->added_fed, &t->rstd_fed, gradient, dx);
    ops->to_act(be, T * D, added, m->grad_act.at);
    weight_backward(be, layer->down, frozen, T, m->grad_act.at, t->hidden.at, dh, gradient);
    ops->gate_backward(be, m->config.arch->gate, T, F, dh, t->gate_up.at, m->grad_act.at);
    weight_backward(be, layer->gate_up, frozen, T, m->grad_act.at, t->norm2.at, dnorm, gradient);
    ops->rmsnorm_backward(be, T, D, dnorm, t->x_mid.at, layer->norm_post->vector, t->rstd2.at, dx,
                          frozen ? NULL : gradient + layer->norm_post->offset);
}

static void attention_back(model *m, int l, layer_tape *t, const float *x_in, float *gradient, float *dx) {
    const model_layer *layer = &m->layers[l];
    compute *be = m->compute;
    const compute_ops *ops = be->ops;
    const model_config *c = &m->config;
    int64_t T = m->kept.tokens, D = c->width, GE = (int64_t)c->kv_heads * c->head_width;
    bool frozen = model_is_frozen(m);
    float *datt = m->grad_a.at, *dnorm = m->grad_b.at;
    const float *added =
        added_gradient(m, layer->norm_attended, &t->added_attended, &t->rstd_attended, gradient, dx);
    ops->to_act(be, T * D, added, m->grad_act.at);
    weight_backward(be, layer->out, frozen, T, m->grad_act.at, t->attended.at, datt, gradient);
    ops->zero(be, m->grad_k.at, (size_t)(T * GE) * 4);
    ops->zero(be, m->grad_v.at, (size_t)(T * GE) * 4);
    ops->attention_backward(be, m->kept_pass, model_window(m, l), t->q.at, t->k.at, t->v.at, t->attended.at,
                            t->lse.at, datt, m->grad_q.at, m->grad_k.at, m->grad_v.at);
    const qkv_spec spec = model_qkv_spec(m, l);
    ops->rope_split_backward(be, m->kept_pass, &spec, spec.gain ? t->qkv.at : NULL, m->grad_q.at,
                             m->grad_k.at, m->grad_v.at, m->grad_act.at,
                             spec.bias && !frozen ? gradient + layer->qkv_bias->offset : NULL,
                             spec.gain && !frozen ? gradient + layer->qk_gain->offset : NULL);
    weight_backward(be, layer->qkv, frozen, T, m->grad_act.at, t->norm1.at, dnorm, gradient);
    ops->rmsnorm_backward(be, T, D, dnorm, x_in, layer->norm_in->vector, t->rstd1.at, dx,
                          frozen ? NULL : gradient + layer->norm_in->offset);
}

esp_status model_backward(model *m, const token_tree *tree, const float *dlogprob, float *gradient,
                          esp_error *error) {
    if (m->replicas.parts) return replicas_backward(m, dlogprob, gradient, error);
    return model_backward_whole(m, tree, dlogprob, gradient, error);
}

esp_status model_backward_whole(model *m, const token_tree *tree, const float *dlogprob, float *gradient,
                                esp_error *error) {
    assert(m->trainable && m->kept_pass && m->kept.tokens == tree->start[tree->runs]);
    const model_config *c = &m->config;
    int64_t T = m->kept.tokens, D = c->width, F = c->feed_forward, HE = (int64_t)c->heads * c->head_width,
            GE = (int64_t)c->kv_heads * c->head_width;
    int64_t wide = F > HE ? F : HE, act_wide = 2 * F > HE + 2 * GE ? 2 * F : HE + 2 * GE;
    if (act_wide < D) act_wide = D;
    head_targets targets = choose_targets(m, tree, dlogprob);
    esp_status status = head_block(m, &targets, gradient, m->stream.at, error);
    targets_free(&targets);
    ESP_TRY(status);
    ESP_TRY(workspace_need(m, &m->grad_a, (size_t)(T * wide) * 4, "gradients", error));
    ESP_TRY(workspace_need(m, &m->grad_b, (size_t)(T * D) * 4, "gradients", error));
    ESP_TRY(workspace_need(m, &m->grad_q, (size_t)(T * HE) * 4, "gradients", error));
    ESP_TRY(workspace_need(m, &m->grad_k, (size_t)(T * GE) * 4, "gradients", error));
    ESP_TRY(workspace_need(m, &m->grad_v, (size_t)(T * GE) * 4, "gradients", error));
    ESP_TRY(workspace_need(m, &m->grad_act, act_bytes(m, T * act_wide), "gradients", error));
    float *dx = m->stream.at;
    layer_pass pass = model_tree_pass(m, &m->kept, tree->tokens, true);
    pass.all = m->kept_pass;
    for (int l = c->layers; l-- > 0;) {
        layer_tape *t = model_recompute_layer(m, &pass, l);
        feed_forward_back(m, &m->layers[l], t, gradient, dx);
        attention_back(m, l, t, m->x_in[l].at, gradient, dx);
    }
    if (model_is_frozen(m)) return compute_check(m->compute, error);
    model_scale_embedded(m, T, dx);
    m->compute->ops->embed_scatter(m->compute, m->kept_pass, D, dx, gradient + m->embedding->offset);
    return compute_check(m->compute, error);
}
