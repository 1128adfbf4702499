/* A model's structure: its parameters in checkpoint order, the matrices they are stacked into, and their
 * upkeep. */
#include "model/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void add_parameter(model *m, int64_t rows, int64_t columns, const char *format, int layer) {
    parameter *p = &m->parameters[m->parameter_count++];
    if (layer < 0)
        snprintf(p->name, sizeof p->name, "%s", format);
    else
        snprintf(p->name, sizeof p->name, "model.layers.%d.%s", layer, format);
    p->offset = m->floats;
    p->rows = rows;
    p->columns = columns;
    p->rank = columns == 1 ? 1 : 2;
    m->floats += rows * columns;
}

/* The last n parameters become one unit. */
static void add_unit(model *m, int64_t n, linear **matrix, const float **gain, int flags) {
    model_unit *u = &m->units[m->unit_count++];
    *u = (model_unit){.matrix = matrix,
                      .gain = gain,
                      .first_parameter = m->parameter_count - n,
                      .parameters = n,
                      .flags = flags};
    for (int64_t i = 0; i < n; i++) u->rows += m->parameters[u->first_parameter + i].rows;
    u->columns = m->parameters[u->first_parameter].columns;
}

void model_describe(model *m) {
    const model_config *c = &m->config;
    int64_t D = c->width, F = c->feed_forward, HE = (int64_t)c->heads * c->head_width,
            GE = (int64_t)c->kv_heads * c->head_width;
    m->parameters = MEM_ARRAY(parameter, 3 + 9 * c->layers);
    m->units = MEM_ARRAY(model_unit, 3 + 6 * c->layers);
    m->layers = MEM_ARRAY(model_layer, c->layers);
    int back = m->trainable ? LINEAR_BACKWARD : 0;
    add_parameter(m, c->vocab, D, "model.embed_tokens.weight", -1);
    add_unit(m, 1, &m->embedding, NULL, LINEAR_ROWS | (c->tied ? back : 0));
    for (int l = 0; l < c->layers; l++) {
        model_layer *layer = &m->layers[l];
        add_parameter(m, D, 1, "input_layernorm.weight", l);
        add_unit(m, 1, NULL, &layer->norm1, 0);
        add_parameter(m, HE, D, "self_attn.q_proj.weight", l);
        add_parameter(m, GE, D, "self_attn.k_proj.weight", l);
        add_parameter(m, GE, D, "self_attn.v_proj.weight", l);
        add_unit(m, 3, &layer->qkv, NULL, back);
        add_parameter(m, D, HE, "self_attn.o_proj.weight", l);
        add_unit(m, 1, &layer->out, NULL, back);
        add_parameter(m, D, 1, "post_attention_layernorm.weight", l);
        add_unit(m, 1, NULL, &layer->norm2, 0);
        add_parameter(m, F, D, "mlp.gate_proj.weight", l);
        add_parameter(m, F, D, "mlp.up_proj.weight", l);
        add_unit(m, 2, &layer->gate_up, NULL, back | LINEAR_GATED);
        add_parameter(m, D, F, "mlp.down_proj.weight", l);
        add_unit(m, 1, &layer->down, NULL, back);
    }
    add_parameter(m, D, 1, "model.norm.weight", -1);
    add_unit(m, 1, NULL, &m->final_norm, 0);
    if (!c->tied) {
        add_parameter(m, c->vocab, D, "lm_head.weight", -1);
        add_unit(m, 1, &m->head, NULL, back);
    }
}

/* Where each gain lies: in the masters of a trainable model, else in the array of gains. */
static void place_gains(model *m) {
    int64_t used = 0;
    for (int64_t u = 0; u < m->unit_count; u++) {
        model_unit *unit = &m->units[u];
        if (!unit->gain) continue;
        *unit->gain = m->master ? m->master + m->parameters[unit->first_parameter].offset : m->gains + used;
        used += unit->rows;
    }
}

esp_status model_allocate(model **out, const model_config *config, const model_options *options,
                          esp_error *error) {
    *out = NULL;
    model *m = MEM_NEW(model);
    m->config = *config;
    m->compute = options->compute;
    m->trainable = options->trainable;
    m->recompute = options->recompute;
    m->context = options->context ? options->context : config->context < 8192 ? config->context : 8192;
    model_describe(m);
    m->x_in = MEM_ARRAY(workspace, config->layers);
    m->tape = MEM_ARRAY(layer_tape, config->layers);
    esp_status status = ESP_OK;
    if (team_is_small(m->floats)) { /* one thread an operation, many operations side by side */
        status = compute_share(&m->team.alone, options->compute, 1, error);
        if (status == ESP_OK) m->compute = m->team.alone;
        m->team.threads = options->compute->threads;
    }
    if (status == ESP_OK && m->context > config->context)
        status = error_fail(error, "set model.context to at most that",
                            "a context of %lld is more than the model's %lld", (long long)m->context,
                            (long long)config->context);
    if (status == ESP_OK && m->trainable)
        status = mem_big_alloc((void **)&m->master, (size_t)m->floats * 4, "the weights", error);
    if (status == ESP_OK && !m->trainable)
        status = mem_big_alloc((void **)&m->gains, (size_t)(config->width * (2 * config->layers + 1)) * 4,
                               "the weights", error);
    size_t table = (size_t)(m->context * config->head_width / 2) * 4;
    if (status == ESP_OK) status = mem_big_alloc((void **)&m->cosine, table, "the rotation tables", error);
    if (status == ESP_OK) status = mem_big_alloc((void **)&m->sine, table, "the rotation tables", error);
    for (int64_t u = 0; u < m->unit_count && status == ESP_OK; u++)
        if (m->units[u].matrix)
            *m->units[u].matrix = m->compute->ops->linear_new(m->compute, m->units[u].rows,
                                                              m->units[u].columns, m->units[u].flags);
    if (status == ESP_OK) status = compute_check(m->compute, error);
    if (status != ESP_OK) {
        model_free(m);
        return status;
    }
    if (config->tied) m->head = m->embedding;
    place_gains(m);
    config_rope_tables(config, m->context, m->cosine, m->sine);
    *out = m;
    return ESP_OK;
}

void model_set_unit(model *m, const model_unit *unit, const float *w) {
    if (unit->matrix)
        m->compute->ops->linear_set(m->compute, *unit->matrix, w);
    else if (*unit->gain != w)
        memcpy((float *)(uintptr_t)*unit->gain, w, (size_t)unit->rows * 4);
}

esp_status model_sync(model *m, esp_error *error) {
    for (int64_t u = 0; u < m->unit_count; u++)
        model_set_unit(m, &m->units[u], m->master + m->parameters[m->units[u].first_parameter].offset);
    return compute_check(m->compute, error);
}

esp_status model_create(model **out, const model_config *config, const model_options *options, uint64_t seed,
                        esp_error *error) {
    ESP_TRY(config_check(config, "model", error));
    ESP_TRY(model_allocate(out, config, options, error));
    model *m = *out;
    float *w = NULL;
    if (!m->master && mem_big_alloc((void **)&w, (size_t)m->floats * 4, "the weights", error) != ESP_OK) {
        model_free(m);
        *out = NULL;
        return ESP_FAILED;
    }
    float *all = m->master ? m->master : w;
    for (int64_t p = 0; p < m->parameter_count; p++) {
        const parameter *q = &m->parameters[p];
        bool residual = strstr(q->name, "o_proj") || strstr(q->name, "down_proj");
        double scale = 0.02 / (residual ? sqrt(2.0 * config->layers) : 1);
        rng_key_t key = rng_mix(rng_key(seed), (uint64_t)p);
        for (int64_t i = 0; i < q->rows * q->columns; i++)
            all[q->offset + i] = q->rank == 1 ? 1.0f : (float)(scale * rng_normal(key, (uint64_t)i));
    }
    for (int64_t u = 0; u < m->unit_count; u++)
        model_set_unit(m, &m->units[u], all + m->parameters[m->units[u].first_parameter].offset);
    mem_big_free(w);
    return compute_check(m->compute, error);
}

static void tape_free(layer_tape *t) {
    workspace *all[] = {&t->x_mid, &t->norm1, &t->norm2, &t->attended, &t->gate_up, &t->hidden,
                        &t->rstd1, &t->rstd2, &t->q,     &t->lse,      &t->k,       &t->v};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) workspace_free(all[i]);
}

void model_borrow(model *w, const model *of) {
    *w = *of;
    w->tokens_computed = 0;
    w->x_in = MEM_ARRAY(workspace, of->config.layers);
    w->tape = MEM_ARRAY(layer_tape, of->config.layers);
    w->head_rows = (head_tape){0};
    workspace *all[] = {&w->qkv,    &w->grad_x, &w->grad_a,   &w->grad_b,   &w->grad_q,
                        &w->grad_k, &w->grad_v, &w->grad_act, &w->read_list};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) *all[i] = (workspace){0};
    memset(&w->read_spans, 0, sizeof w->read_spans);
    memset(&w->read_segments, 0, sizeof w->read_segments);
    w->has_kept = false;
}

static void free_weights(model *m) {
    for (int64_t u = 0; u < m->unit_count; u++)
        if (m->units[u].matrix) m->compute->ops->linear_free(m->compute, *m->units[u].matrix);
    mem_big_free(m->master);
    mem_big_free(m->gains);
    mem_big_free(m->cosine);
    mem_big_free(m->sine);
    mem_free(m->layers);
    mem_free(m->units);
    mem_free(m->parameters);
}

void model_free(model *m) {
    if (!m) return;
    for (int l = 0; m->tape && l < m->config.layers; l++) {
        workspace_free(&m->x_in[l]);
        tape_free(&m->tape[l]);
    }
    head_tape *h = &m->head_rows;
    workspace *all[] = {&h->rows,   &h->rstd,   &h->normed,   &h->row_of,   &h->token_of,
                        &m->qkv,    &m->grad_x, &m->grad_a,   &m->grad_b,   &m->grad_q,
                        &m->grad_k, &m->grad_v, &m->grad_act, &m->read_list};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) workspace_free(all[i]);
    MEM_LIST_FREE(&m->read_spans);
    MEM_LIST_FREE(&m->read_segments);
    if (m->has_kept) layout_free(&m->kept);
    mem_free(m->x_in);
    mem_free(m->tape);
    if (!m->team.is_worker) free_weights(m);
    team_free(m);
    mem_free(m);
}

const model_config *model_configuration(const model *m) {
    return &m->config;
}
compute *model_compute(const model *m) {
    return m->team.alone ? m->team.alone->of : m->compute;
}
compute *model_operations(const model *m) {
    return m->compute;
}
int64_t model_context(const model *m) {
    return m->context;
}
int64_t model_parameter_count(const model *m) {
    return m->floats;
}
float *model_master(model *m) {
    return m->master;
}
int64_t model_tokens_computed(const model *m) {
    int64_t sum = m->tokens_computed;
    for (int i = 0; i < m->team.worker_count; i++) sum += m->team.worker[i]->tokens_computed;
    return sum;
}

const parameter *model_parameters(const model *m, int64_t *n) {
    if (n) *n = m->parameter_count;
    return m->parameters;
}
