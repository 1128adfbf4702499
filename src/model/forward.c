/* The forward pass: one walk over the layers for whatever tokens it is given, then log-probs where they are
 * wanted. */
#include "model/internal.h"

#include <stdlib.h>
#include <string.h>

esp_status workspace_need(workspace *w, size_t bytes, const char *what, esp_error *error) {
    if (w->bytes >= bytes) return ESP_OK;
    workspace_free(w);
    ESP_TRY(mem_big_alloc(&w->at, bytes, what, error));
    w->bytes = bytes;
    return ESP_OK;
}

void workspace_free(workspace *w) {
    mem_big_free(w->at);
    *w = (workspace){0};
}

static esp_status tape_need(model *m, layer_tape *t, const layer_pass *p, esp_error *error) {
    const model_config *c = &m->config;
    int64_t T = p->tokens, D = c->width, F = c->feed_forward, HE = (int64_t)c->heads * c->head_width,
            GE = (int64_t)c->kv_heads * c->head_width;
    const char *what = "activations";
    if (p->keep) ESP_TRY(workspace_need(&t->x_mid, (size_t)(T * D) * 4, what, error));
    ESP_TRY(workspace_need(&t->norm1, act_bytes(m, T * D), what, error));
    ESP_TRY(workspace_need(&t->norm2, act_bytes(m, T * D), what, error));
    ESP_TRY(workspace_need(&t->attended, act_bytes(m, T * HE), what, error));
    ESP_TRY(workspace_need(&t->gate_up, act_bytes(m, T * 2 * F), what, error));
    ESP_TRY(workspace_need(&t->hidden, act_bytes(m, T * F), what, error));
    ESP_TRY(workspace_need(&t->rstd1, (size_t)T * 4, what, error));
    ESP_TRY(workspace_need(&t->rstd2, (size_t)T * 4, what, error));
    ESP_TRY(workspace_need(&t->q, (size_t)(T * HE) * 4, what, error));
    ESP_TRY(workspace_need(&t->lse, (size_t)(T * c->heads) * 4, what, error));
    if (!p->k) {
        ESP_TRY(workspace_need(&t->k, act_bytes(m, T * GE), what, error));
        ESP_TRY(workspace_need(&t->v, act_bytes(m, T * GE), what, error));
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
        ESP_TRY(workspace_need(&m->x_in[l], (size_t)(p->tokens * m->config.width) * 4, "activations", error));
    for (int l = 0; l < (has_tapes(m, p) ? layers : 1); l++) ESP_TRY(tape_need(m, &m->tape[l], p, error));
    return ESP_OK;
}

/* Prefetches a layer's cached keys and values during the matrix products before its attention. Called right
 * before the last product of the layer before: lines that were fetched earlier were often evicted by the time
 * attention read them. */
static void prefetch_attention(model *m, const layer_pass *p, int layer) {
    const model_config *c = &m->config;
    if (p->k && layer < c->layers)
        m->compute->ops->attention_ahead(m->compute, c->kv_heads, c->head_width, p->spans, p->span_count,
                                         p->segments, p->k[layer], p->v[layer]);
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
    for (int64_t i = 0; i < p->span_count; i++) {
        const attention_span *s = &p->spans[i];
        while (r < p->read_count && p->read[r] < s->first_query + s->queries) {
            int64_t first = r, last = p->read[r];
            while (++r < p->read_count && p->read[r] == last + 1 && last + 1 < s->first_query + s->queries)
                last++;
            attention_span own = {.first_query = first,
                                  .queries = (int32_t)(r - first),
                                  .context = (int32_t)(s->context - s->queries + last - s->first_query + 1),
                                  .first_segment = m->read_segments.count};
            own.segments = cut_segments(m, p->segments + s->first_segment, own.context);
            MEM_LIST_PUSH(&m->read_spans, own);
        }
    }
}

/* Moves the rows that are read to the front. */
static void pick_rows(const layer_pass *p, int64_t width, float *x) {
    for (int64_t r = 0; r < p->read_count; r++)
        if (p->read[r] != r) memcpy(x + r * width, x + p->read[r] * width, (size_t)width * sizeof *x);
}

/* The tokens that go on after a layer's keys and values are made, as attention takes them. */
typedef struct {
    int64_t rows;
    const attention_span *spans;
    int64_t span_count;
    const attention_segment *segments;
} layer_queries;

/* All tokens; in the last layer of a pass that does not keep, those that are read: x and q shrink to their
 * rows. */
static layer_queries queries_of(model *m, const layer_pass *p, int layer, float *x, float *q) {
    if (p->keep || layer + 1 < m->config.layers || p->read_count == p->tokens)
        return (layer_queries){p->tokens, p->spans, p->span_count, p->segments};
    choose_spans(m, p);
    pick_rows(p, m->config.width, x);
    pick_rows(p, (int64_t)m->config.heads * m->config.head_width, q);
    return (layer_queries){p->read_count, m->read_spans.at, m->read_spans.count, m->read_segments.at};
}

/* ---- All layers ---- */

/* x -> x + attention(norm(x)); reads and writes the residual stream x in place. Returns its rows. */
static int64_t attention_block(model *m, const layer_pass *p, int l, layer_tape *t, float *x) {
    const model_config *c = &m->config;
    const model_layer *layer = &m->layers[l];
    void *k = p->k ? p->k[l] : t->k.at, *v = p->v ? p->v[l] : t->v.at;
    compute *be = m->compute;
    const compute_ops *ops = be->ops;
    ops->rmsnorm(be, p->tokens, c->width, x, layer->norm_in->vector, (float)c->norm_eps, t->norm1.at,
                 t->rstd1.at);
    weight_forward(be, layer->qkv, p->tokens, t->norm1.at, m->qkv.at, false);
    const qkv_spec heads = {c->heads, c->kv_heads, c->head_width, .bias = NULL};
    ops->rope_split(be, p->tokens, &heads, m->qkv.at, p->positions, p->slots, m->cosine, m->sine, t->q.at, k,
                    v);
    layer_queries q = queries_of(m, p, l, x, t->q.at);
    if (q.rows == 0) return 0;
    ops->attention(be, c->heads, c->kv_heads, c->head_width, q.spans, q.span_count, q.segments, t->q.at, k, v,
                   t->attended.at, p->keep ? t->lse.at : NULL);
    weight_forward(be, layer->out, q.rows, t->attended.at, x, true);
    return q.rows;
}

/* The MLP up to its last product. */
static void feed_forward_hidden(model *m, int64_t rows, bool keep, const model_layer *layer, layer_tape *t,
                                const float *x) {
    const model_config *c = &m->config;
    compute *be = m->compute;
    be->ops->rmsnorm(be, rows, c->width, x, layer->norm_post->vector, (float)c->norm_eps, t->norm2.at,
                     t->rstd2.at);
    weight_forward_gated(be, layer->gate_up, rows, t->norm2.at, t->gate_up.at, keep, t->hidden.at);
}

static void feed_forward_block(model *m, const layer_pass *p, int l, int64_t rows, layer_tape *t, float *x) {
    const model_layer *layer = &m->layers[l];
    feed_forward_hidden(m, rows, p->keep, layer, t, x);
    prefetch_attention(m, p, l + 1);
    weight_forward(m->compute, layer->down, rows, t->hidden.at, x, true);
}

esp_status model_run_layers(model *m, const layer_pass *p, float **out, esp_error *error) {
    const model_config *c = &m->config;
    compute *be = m->compute;
    int64_t T = p->tokens, E = c->head_width, rows = T;
    size_t residual = (size_t)(T * c->width) * 4;
    ESP_TRY(workspace_need(&m->stream, residual, "activations", error));
    ESP_TRY(
        workspace_need(&m->qkv, (size_t)(T * (c->heads + 2 * c->kv_heads) * E) * 4, "activations", error));
    ESP_TRY(tapes_need(m, p, error));
    float *x = m->stream.at;
    be->ops->embed_gather(be, m->embedding->matrix, T, p->ids, x);
    prefetch_attention(m, p, 0);
    for (int l = 0; l < c->layers; l++) {
        layer_tape *t = &m->tape[has_tapes(m, p) ? l : 0];
        if (p->keep) memcpy(m->x_in[l].at, x, residual);
        rows = attention_block(m, p, l, t, x);
        if (p->keep) memcpy(t->x_mid.at, x, residual);
        if (rows > 0) feed_forward_block(m, p, l, rows, t, x);
    }
    if (rows > p->read_count) pick_rows(p, c->width, x);
    m->tokens_computed += T;
    *out = x;
    return compute_check(be, error);
}

layer_tape *model_recompute_layer(model *m, const layer_pass *p, int l) {
    layer_tape *t = &m->tape[has_tapes(m, p) ? l : 0];
    if (has_tapes(m, p) || l + 1 == m->config.layers) return t; /* the last layer's is still there */
    float *x = t->x_mid.at;
    memcpy(x, m->x_in[l].at, (size_t)(p->tokens * m->config.width) * 4);
    attention_block(m, p, l, t, x);
    feed_forward_hidden(m, p->tokens, true, &m->layers[l], t, x);
    return t;
}

esp_status model_head_rows(model *m, const float *x, int64_t count, esp_error *error) {
    int64_t D = m->config.width;
    head_tape *h = &m->head_rows;
    h->count = count;
    if (count == 0) return ESP_OK;
    ESP_TRY(workspace_need(&h->rows, (size_t)(count * D) * 4, "activations", error));
    ESP_TRY(workspace_need(&h->normed, act_bytes(m, count * D), "activations", error));
    ESP_TRY(workspace_need(&h->rstd, (size_t)count * 4, "activations", error));
    memcpy(h->rows.at, x, (size_t)(count * D) * 4);
    m->compute->ops->rmsnorm(m->compute, count, D, h->rows.at, m->norm_out->vector, (float)m->config.norm_eps,
                             h->normed.at, h->rstd.at);
    return ESP_OK;
}

/* Which residual rows are read: the predecessors of wanted tokens, each once, ascending. Fills row_of and
 * token_of. */
static esp_status choose_rows(model *m, const tree_layout *layout, const uint8_t *wanted, int64_t *count,
                              esp_error *error) {
    head_tape *h = &m->head_rows;
    ESP_TRY(workspace_need(&h->row_of, (size_t)layout->tokens * 8, "activations", error));
    ESP_TRY(workspace_need(&h->token_of, (size_t)layout->tokens * 8, "activations", error));
    int64_t *row_of = h->row_of.at, *token_of = h->token_of.at, rows = 0;
    for (int64_t t = 0; t < layout->tokens; t++) row_of[t] = -1;
    for (int64_t t = 0; t < layout->tokens; t++)
        if (layout->predecessor[t] >= 0 && (!wanted || wanted[t])) row_of[layout->predecessor[t]] = 0;
    for (int64_t t = 0; t < layout->tokens; t++)
        if (row_of[t] == 0) {
            token_of[rows] = t;
            row_of[t] = rows++;
        }
    *count = rows;
    return ESP_OK;
}

static int by_row(const void *a, const void *b) {
    const head_read_request *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row ? 1 : x->token < y->token ? -1 : x->token > y->token;
}

/* Reads the log-prob of every wanted token from the row of its predecessor. */
static esp_status read_logprobs(model *m, const token_tree *tree, const tree_layout *layout,
                                const uint8_t *wanted, float *logprob, esp_error *error) {
    const int64_t *row_of = m->head_rows.row_of.at;
    ESP_TRY(workspace_need(&m->read_list, (size_t)layout->tokens * sizeof(head_read_request), "read list",
                           error));
    head_read_request *reads = m->read_list.at;
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

layer_pass model_tree_pass(const tree_layout *layout, const int32_t *ids, bool keep) {
    return (layer_pass){.tokens = layout->tokens,
                        .ids = ids,
                        .positions = layout->positions,
                        .slots = layout->slots,
                        .spans = layout->spans,
                        .span_count = layout->span_count,
                        .segments = layout->segments.at,
                        .keep = keep};
}

esp_status model_forward_whole(model *m, const token_tree *tree, const uint8_t *wanted, bool keep,
                               float *logprob, esp_error *error) {
    if (m->has_kept) tree_layout_free(&m->kept);
    m->has_kept = false;
    tree_layout layout;
    tree_layout_make(&layout, tree);
    layer_pass pass = model_tree_pass(&layout, tree->tokens, keep);
    float *x;
    esp_status status = choose_rows(m, &layout, wanted, &pass.read_count, error);
    pass.read = m->head_rows.token_of.at;
    if (status == ESP_OK) status = model_run_layers(m, &pass, &x, error);
    if (status == ESP_OK) status = model_head_rows(m, x, pass.read_count, error);
    if (status == ESP_OK) status = read_logprobs(m, tree, &layout, wanted, logprob, error);
    if (status == ESP_OK && keep) {
        m->kept = layout;
        m->has_kept = true;
    } else
        tree_layout_free(&layout);
    return status;
}
