/* The forward pass: one walk over the layers for whatever tokens it is given, then log-probs where they are
 * wanted. */
#include "model/arch.h"
#include "model/internal.h"

#include <stdlib.h>

esp_status workspace_need(model *m, workspace *w, size_t bytes, const char *what, esp_error *error) {
    if (w->bytes >= bytes) return ESP_OK;
    workspace_free(m, w);
    ESP_TRY(compute_buffer_new(m->compute, &w->at, bytes, what, error));
    w->bytes = bytes;
    return ESP_OK;
}

void workspace_free(model *m, workspace *w) {
    m->compute->ops->buffer_free(m->compute, w->at);
    *w = (workspace){0};
}

static esp_status tape_need(model *m, layer_tape *t, const layer_pass *p, esp_error *error) {
    const model_config *c = &m->config;
    int64_t T = p->plan.tokens, D = c->width, F = c->feed_forward, HE = (int64_t)c->heads * c->head_width,
            GE = (int64_t)c->kv_heads * c->head_width;
    const char *what = "activations";
    if (p->keep) ESP_TRY(workspace_need(m, &t->x_mid, (size_t)(T * D) * 4, what, error));
    ESP_TRY(workspace_need(m, &t->norm1, act_bytes(m, T * D), what, error));
    ESP_TRY(workspace_need(m, &t->norm2, act_bytes(m, T * D), what, error));
    ESP_TRY(workspace_need(m, &t->attended, act_bytes(m, T * HE), what, error));
    ESP_TRY(workspace_need(m, &t->gate_up, act_bytes(m, T * 2 * F), what, error));
    ESP_TRY(workspace_need(m, &t->hidden, act_bytes(m, T * F), what, error));
    ESP_TRY(workspace_need(m, &t->rstd1, (size_t)T * 4, what, error));
    ESP_TRY(workspace_need(m, &t->rstd2, (size_t)T * 4, what, error));
    ESP_TRY(workspace_need(m, &t->q, (size_t)(T * HE) * 4, what, error));
    ESP_TRY(workspace_need(m, &t->lse, (size_t)(T * c->heads) * 4, what, error));
    if (p->keep && m->layers[0].qk_gain)
        ESP_TRY(workspace_need(m, &t->qkv, (size_t)(T * (HE + 2 * GE)) * 4, what, error));
    if (m->layers[0].norm_attended) {
        ESP_TRY(workspace_need(m, &t->added_attended, (size_t)(T * D) * 4, what, error));
        ESP_TRY(workspace_need(m, &t->added_fed, (size_t)(T * D) * 4, what, error));
        ESP_TRY(workspace_need(m, &t->rstd_attended, (size_t)T * 4, what, error));
        ESP_TRY(workspace_need(m, &t->rstd_fed, (size_t)T * 4, what, error));
    }
    if (!p->plan.k) {
        ESP_TRY(workspace_need(m, &t->k, act_bytes(m, T * GE), what, error));
        ESP_TRY(workspace_need(m, &t->v, act_bytes(m, T * GE), what, error));
    }
    return ESP_OK;
}

/* Whether each layer of a pass has a tape of its own. */
static bool has_tapes(const model *m, const layer_pass *p) {
    return p->keep && !m->recompute;
}

static esp_status tapes_need(model *m, const layer_pass *p, esp_error *error) {
    int layers = m->config.layers;
    for (int l = 0; p->keep && l < layers; l++)
        ESP_TRY(workspace_need(m, &m->x_in[l], (size_t)(p->plan.tokens * m->config.width) * 4, "activations",
                               error));
    for (int l = 0; l < (has_tapes(m, p) ? layers : 1); l++) ESP_TRY(tape_need(m, &m->tape[l], p, error));
    return ESP_OK;
}

/* ---- The last layer ---- */

/* The first `context` tokens of a span's segments, as segments of the last layer. Returns how many. */
static int32_t cut_segments(model *m, const attention_segment *at, int32_t context) {
    int32_t n = 0;
    for (int32_t left = context; left > 0; n++) {
        attention_segment s = at[n];
        if (s.count > left) s.count = left;
        left -= s.count;
        MEM_LIST_PUSH(&m->read_segments, s);
    }
    return n;
}

/* The spans of the tokens that are read, as if these were all: neighbours in one. */
static void choose_spans(model *m, const layer_pass *p) {
    m->read_spans.count = m->read_segments.count = 0;
    int64_t r = 0;
    for (int64_t i = 0; i < p->plan.span_count; i++) {
        const attention_span *s = &p->plan.spans[i];
        while (r < p->read_count && p->read[r] < s->first_query + s->queries) {
            int64_t first = r, last = p->read[r];
            while (++r < p->read_count && p->read[r] == last + 1 && last + 1 < s->first_query + s->queries)
                last++;
            attention_span own = {.first_query = first,
                                  .queries = (int32_t)(r - first),
                                  .context = (int32_t)(s->context - s->queries + last - s->first_query + 1),
                                  .first_segment = m->read_segments.count,
                                  .decoded = s->decoded};
            own.segments = cut_segments(m, p->plan.segments + s->first_segment, own.context);
            MEM_LIST_PUSH(&m->read_spans, own);
        }
    }
}

/* Whether the last layer goes on with the tokens that are read alone. */
static bool drops_tokens(const layer_pass *p) {
    return !p->keep && p->read_count < p->plan.tokens;
}

/* ---- Passes ---- */

layer_pass model_tree_pass(const model *m, const tree_layout *layout, const int32_t *ids, bool keep) {
    const model_config *c = &m->config;
    return (layer_pass){.plan = {.heads = c->heads,
                                 .kv_heads = c->kv_heads,
                                 .head_width = c->head_width,
                                 .tokens = layout->tokens,
                                 .ids = ids,
                                 .positions = layout->positions,
                                 .slots = layout->slots,
                                 .spans = layout->spans,
                                 .span_count = layout->span_count,
                                 .segments = layout->segments.at,
                                 .backward = keep},
                        .keep = keep};
}

static void begin_pass(model *m, layer_pass *p) {
    const compute_ops *ops = m->compute->ops;
    if (drops_tokens(p) && p->read_count > 0) {
        choose_spans(m, p);
        pass_plan reads = {.heads = p->plan.heads,
                           .kv_heads = p->plan.kv_heads,
                           .head_width = p->plan.head_width,
                           .tokens = p->read_count,
                           .spans = m->read_spans.at,
                           .span_count = m->read_spans.count,
                           .segments = m->read_segments.at};
        p->reads = ops->pass_new(m->compute, &reads);
    }
    p->all = ops->pass_new(m->compute, &p->plan);
}

void model_end_pass(model *m, layer_pass *p) {
    m->compute->ops->pass_free(m->compute, p->reads);
    m->compute->ops->pass_free(m->compute, p->all);
    p->reads = p->all = NULL;
}

qkv_spec model_qkv_spec(const model *m, int layer) {
    const weight *bias = m->layers[layer].qkv_bias, *gain = m->layers[layer].qk_gain;
    const model_config *c = &m->config;
    bool rotated = config_rotates(c, layer);
    const rotation *r = c->local_theta > 0 && config_window(c, layer) ? &m->local_rotation : &m->rotation;
    return (qkv_spec){.cosine = rotated ? r->cosine : NULL,
                      .sine = rotated ? r->sine : NULL,
                      .query_scale = config_query_scale(c),
                      .rotated = config_rotated(c),
                      .bias = bias ? bias->vector : NULL,
                      .gain = gain ? gain->vector : NULL,
                      .eps = (float)c->norm_eps};
}

int64_t model_window(const model *m, int layer) {
    int64_t window = config_window(&m->config, layer);
    return window < m->context ? window : 0;
}

void model_scale_embedded(model *m, int64_t tokens, float *x) {
    float scale = config_embedding_scale(&m->config);
    if (scale != 1) m->compute->ops->scale_shift(m->compute, tokens * m->config.width, scale, 0, x, x);
}

/* ---- All layers ---- */

/* x += y W^T, or its norm where there is one. */
static void add_block(model *m, const weight *w, const weight *norm, int64_t rows, const workspace *y,
                      const workspace *added, const workspace *rstd, float *x) {
    if (!norm) {
        weight_forward(m->compute, w, rows, y->at, x, true);
        return;
    }
    weight_forward(m->compute, w, rows, y->at, added->at, false);
    m->compute->ops->rmsnorm_add(m->compute, rows, m->config.width, added->at, norm->vector,
                                 (float)m->config.norm_eps, x, rstd->at);
}

/* x -> x + attention(norm(x)), in place; returns the rows of x. In the last layer of a pass that drops tokens
 * *x becomes the rows that are read, in head_rows. */
static int64_t attention_block(model *m, const layer_pass *p, int l, layer_tape *t, float **x) {
    const model_config *c = &m->config;
    const model_layer *layer = &m->layers[l];
    compute *be = m->compute;
    const compute_ops *ops = be->ops;
    const compute_pass *pass = p->all;
    const qkv_spec spec = model_qkv_spec(m, l);
    int64_t rows = p->plan.tokens;
    float *q = t->q.at;
    void *k = p->plan.k ? p->plan.k[l] : t->k.at, *v = p->plan.v ? p->plan.v[l] : t->v.at;
    ops->rmsnorm(be, rows, c->width, *x, layer->norm_in->vector, (float)c->norm_eps, t->norm1.at,
                 t->rstd1.at);
    float *qkv = p->keep && layer->qk_gain ? t->qkv.at : m->qkv.at;
    weight_forward(be, layer->qkv, rows, t->norm1.at, qkv, false);
    ops->rope_split(be, pass, &spec, qkv, q, k, v);
    if (l + 1 == c->layers && drops_tokens(p)) {
        rows = p->read_count;
        if (rows == 0) return 0;
        ops->rows_pick(be, rows, p->read, (size_t)c->width * 4, *x, m->head_rows.rows.at);
        ops->rows_pick(be, rows, p->read, (size_t)c->heads * (size_t)c->head_width * 4, q,
                       m->head_rows.queries.at);
        *x = m->head_rows.rows.at;
        q = m->head_rows.queries.at;
        pass = p->reads;
    }
    ops->attention(be, pass, model_window(m, l), q, k, v, t->attended.at, p->keep ? t->lse.at : NULL);
    add_block(m, layer->out, layer->norm_attended, rows, &t->attended, &t->added_attended, &t->rstd_attended,
              *x);
    return rows;
}

/* The MLP up to its last product. */
static void feed_forward_hidden(model *m, int64_t rows, bool keep, const model_layer *layer, layer_tape *t,
                                const float *x) {
    const model_config *c = &m->config;
    compute *be = m->compute;
    be->ops->rmsnorm(be, rows, c->width, x, layer->norm_post->vector, (float)c->norm_eps, t->norm2.at,
                     t->rstd2.at);
    weight_forward_gated(be, layer->gate_up, c->arch->gate, rows, t->norm2.at, m->qkv.at, t->gate_up.at, keep,
                         t->hidden.at);
}

static void feed_forward_block(model *m, const layer_pass *p, int l, int64_t rows, layer_tape *t, float *x) {
    const model_layer *layer = &m->layers[l];
    feed_forward_hidden(m, rows, p->keep, layer, t, x);
    add_block(m, layer->down, layer->norm_fed, rows, &t->hidden, &t->added_fed, &t->rstd_fed, x);
}

static esp_status head_need(model *m, const layer_pass *p, esp_error *error) {
    const model_config *c = &m->config;
    head_tape *h = &m->head_rows;
    int64_t R = p->read_count;
    if (drops_tokens(p))
        ESP_TRY(
            workspace_need(m, &h->queries, (size_t)(R * c->heads * c->head_width) * 4, "activations", error));
    ESP_TRY(workspace_need(m, &h->rows, (size_t)(R * c->width) * 4, "activations", error));
    ESP_TRY(workspace_need(m, &h->normed, act_bytes(m, R * c->width), "activations", error));
    return workspace_need(m, &h->rstd, (size_t)R * 4, "activations", error);
}

static void run_layers(model *m, layer_pass *p) {
    const model_config *c = &m->config;
    compute *be = m->compute;
    const compute_ops *ops = be->ops;
    size_t residual = (size_t)(p->plan.tokens * c->width) * 4;
    head_tape *h = &m->head_rows;
    float *x = m->stream.at;
    ops->embed_gather(be, m->embedding->matrix, p->all, x);
    model_scale_embedded(m, p->plan.tokens, x);
    for (int l = 0; l < c->layers; l++) {
        layer_tape *t = &m->tape[has_tapes(m, p) ? l : 0];
        if (p->keep) ops->copy(be, m->x_in[l].at, x, residual);
        int64_t rows = attention_block(m, p, l, t, &x);
        if (p->keep) ops->copy(be, t->x_mid.at, x, residual);
        if (rows > 0) feed_forward_block(m, p, l, rows, t, x);
    }
    h->count = p->read_count;
    if (h->count == 0) return;
    if (!drops_tokens(p)) ops->rows_pick(be, h->count, p->read, (size_t)c->width * 4, x, h->rows.at);
    ops->rmsnorm(be, h->count, c->width, h->rows.at, m->norm_out->vector, (float)c->norm_eps, h->normed.at,
                 h->rstd.at);
}

esp_status model_run_layers(model *m, layer_pass *p, esp_error *error) {
    const model_config *c = &m->config;
    int64_t T = p->plan.tokens, qkv = (int64_t)(c->heads + 2 * c->kv_heads) * c->head_width;
    ESP_TRY(workspace_need(m, &m->stream, (size_t)(T * c->width) * 4, "activations", error));
    if (c->layers > 0 && m->layers[0].gate_up->adapter && 2 * c->feed_forward > qkv)
        qkv = 2 * c->feed_forward;
    ESP_TRY(workspace_need(m, &m->qkv, (size_t)(T * qkv) * 4, "activations", error));
    ESP_TRY(tapes_need(m, p, error));
    ESP_TRY(head_need(m, p, error));
    begin_pass(m, p);
    run_layers(m, p);
    m->tokens_computed += T;
    return compute_check(m->compute, error);
}

/* What the MLP adds, and its norm's rstd; the sum itself is not needed. */
static void recompute_added(model *m, int64_t rows, const model_layer *layer, layer_tape *t) {
    if (!layer->norm_fed) return;
    weight_forward(m->compute, layer->down, rows, t->hidden.at, t->added_fed.at, false);
    m->compute->ops->rmsnorm(m->compute, rows, m->config.width, t->added_fed.at, layer->norm_fed->vector,
                             (float)m->config.norm_eps, m->grad_act.at, t->rstd_fed.at);
}

layer_tape *model_recompute_layer(model *m, const layer_pass *p, int l) {
    layer_tape *t = &m->tape[has_tapes(m, p) ? l : 0];
    if (has_tapes(m, p) || l + 1 == m->config.layers) return t; /* the last layer's is still there */
    float *x = t->x_mid.at;
    m->compute->ops->copy(m->compute, x, m->x_in[l].at, (size_t)(p->plan.tokens * m->config.width) * 4);
    attention_block(m, p, l, t, &x);
    feed_forward_hidden(m, p->plan.tokens, true, &m->layers[l], t, x);
    recompute_added(m, p->plan.tokens, &m->layers[l], t);
    return t;
}

/* ---- Log-probs of a tree's tokens ---- */

/* Which residual rows are read: the predecessors of wanted tokens, each once, ascending. Fills row_of and
 * token_of, and returns how many. */
static int64_t choose_rows(model *m, const tree_layout *layout, const uint8_t *wanted) {
    head_tape *h = &m->head_rows;
    MEM_LIST_RESERVE(&h->row_of, layout->tokens);
    MEM_LIST_RESERVE(&h->token_of, layout->tokens);
    int64_t *row_of = h->row_of.at, *token_of = h->token_of.at, rows = 0;
    for (int64_t t = 0; t < layout->tokens; t++) row_of[t] = -1;
    for (int64_t t = 0; t < layout->tokens; t++)
        if (layout->predecessor[t] >= 0 && (!wanted || wanted[t])) row_of[layout->predecessor[t]] = 0;
    for (int64_t t = 0; t < layout->tokens; t++)
        if (row_of[t] == 0) {
            token_of[rows] = t;
            row_of[t] = rows++;
        }
    return rows;
}

static int by_row(const void *a, const void *b) {
    const head_read_request *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row ? 1 : x->token < y->token ? -1 : x->token > y->token;
}

/* Reads the log-prob of every wanted token from the row of its predecessor. */
static esp_status read_logprobs(model *m, const token_tree *tree, const tree_layout *layout,
                                const uint8_t *wanted, float *logprob, esp_error *error) {
    const int64_t *row_of = m->head_rows.row_of.at;
    MEM_LIST_RESERVE(&m->head_rows.reads, layout->tokens);
    head_read_request *reads = m->head_rows.reads.at;
    int64_t n = 0;
    for (int64_t t = 0; t < layout->tokens; t++) {
        logprob[t] = 0;
        if (layout->predecessor[t] < 0 || (wanted && !wanted[t])) continue;
        reads[n++] = (head_read_request){
            .row = row_of[layout->predecessor[t]], .kind = READ_SCORE, .token = tree->tokens[t]};
    }
    qsort(reads, (size_t)n, sizeof *reads, by_row);
    m->compute->ops->head_read(m->compute, m->head->matrix, m->head_rows.count, m->head_rows.normed.at, reads,
                               n);
    ESP_TRY(compute_check(m->compute, error));
    for (int64_t t = 0; t < layout->tokens; t++) {
        if (layout->predecessor[t] < 0 || (wanted && !wanted[t])) continue;
        head_read_request key = {.row = row_of[layout->predecessor[t]], .token = tree->tokens[t]};
        const head_read_request *found = bsearch(&key, reads, (size_t)n, sizeof key, by_row);
        logprob[t] = found->logprob;
    }
    return ESP_OK;
}

esp_status model_forward(model *m, const token_tree *tree, const uint8_t *wanted, bool keep, float *logprob,
                         esp_error *error) {
    ESP_TRY(token_tree_check(tree, m->config.vocab, m->context, error));
    if (replicas_cut(m, tree, wanted)) return replicas_forward(m, keep, logprob, error);
    return model_forward_whole(m, tree, wanted, keep, logprob, error);
}

void model_forget_kept(model *m) {
    if (!m->kept_pass) return;
    tree_layout_free(&m->kept);
    m->compute->ops->pass_free(m->compute, m->kept_pass);
    m->kept_pass = NULL;
}

esp_status model_forward_whole(model *m, const token_tree *tree, const uint8_t *wanted, bool keep,
                               float *logprob, esp_error *error) {
    model_forget_kept(m);
    tree_layout layout;
    tree_layout_make(&layout, tree);
    layer_pass pass = model_tree_pass(m, &layout, tree->tokens, keep);
    pass.read_count = choose_rows(m, &layout, wanted);
    pass.read = m->head_rows.token_of.at;
    esp_status status = model_run_layers(m, &pass, error);
    if (status == ESP_OK) status = read_logprobs(m, tree, &layout, wanted, logprob, error);
    if (status == ESP_OK && keep) {
        m->kept = layout;
        m->kept_pass = pass.all;
    } else {
        tree_layout_free(&layout);
        model_end_pass(m, &pass);
    }
    return status;
}
