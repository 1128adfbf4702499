/* A model's structure: its parameters, the weights that they are stacked into, and where both are kept. */
#include "model/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Structure ---- */

/* The weight that a parameter is part of; neighbours with the same one are stacked. */
static const weight **place_of(model *m, const param *p) {
    model_layer *layer = p->layer < 0 ? NULL : &m->layers[p->layer];
    switch (p->spec->role) {
    case ROLE_EMBED:
        return &m->embedding;
    case ROLE_NORM_IN:
        return &layer->norm_in;
    case ROLE_Q:
    case ROLE_K:
    case ROLE_V:
        return &layer->qkv;
    case ROLE_O:
        return &layer->out;
    case ROLE_NORM_POST:
        return &layer->norm_post;
    case ROLE_GATE:
    case ROLE_UP:
        return &layer->gate_up;
    case ROLE_DOWN:
        return &layer->down;
    case ROLE_NORM_OUT:
        return &m->norm_out;
    case ROLE_HEAD:
        return &m->head;
    }
    return NULL;
}

/* What the compute layer will be asked to do with a matrix. */
static int flags_of(const model *m, const weight *w) {
    int back = m->trainable ? LINEAR_BACKWARD : 0;
    switch (m->params.at[w->first].spec->role) {
    case ROLE_EMBED:
        return LINEAR_ROWS | (m->config.tied ? back : 0);
    case ROLE_GATE:
        return LINEAR_GATED | back;
    default:
        return back;
    }
}

static void make_structure(model *m) {
    m->params = params_of(&m->config);
    m->weights = MEM_ARRAY(weight, m->params.count);
    m->layers = MEM_ARRAY(model_layer, m->config.layers);
    const weight **before = NULL;
    for (int64_t i = 0; i < m->params.count; i++) {
        const param *p = &m->params.at[i];
        const weight **place = place_of(m, p);
        if (place != before) {
            m->weights[m->weight_count] = (weight){.first = i, .columns = p->columns, .offset = p->offset};
            *place = &m->weights[m->weight_count++];
        }
        weight *w = &m->weights[m->weight_count - 1];
        w->count++;
        w->rows += p->rows;
        before = place;
    }
    if (m->config.tied) m->head = m->embedding;
}

/* Makes the matrices, and gives each vector its place: in the masters of a trainable model, else in an array
 * of its own. Numbers come later, by weight_set. */
static esp_status make_weights(model *m, esp_error *error) {
    const char *what = "the weights";
    int64_t vectors = 0, used = 0;
    for (int64_t i = 0; i < m->weight_count; i++)
        if (weight_is_vector(&m->params, &m->weights[i])) vectors += m->weights[i].rows;
    if (m->trainable)
        ESP_TRY(mem_big_alloc((void **)&m->master, (size_t)m->params.floats * 4, what, error));
    else
        ESP_TRY(mem_big_alloc((void **)&m->vectors, (size_t)vectors * 4, what, error));
    for (int64_t i = 0; i < m->weight_count; i++) {
        weight *w = &m->weights[i];
        if (weight_is_vector(&m->params, w)) {
            w->vector = m->master ? m->master + w->offset : m->vectors + used;
            used += w->rows;
        } else
            w->matrix = m->compute->ops->linear_new(m->compute, w->rows, w->columns, flags_of(m, w));
    }
    return compute_check(m->compute, error);
}

static esp_status make_rotations(model *m, esp_error *error) {
    size_t bytes = (size_t)(m->context * m->config.head_width / 2) * 4;
    ESP_TRY(mem_big_alloc((void **)&m->cosine, bytes, "the rotation tables", error));
    ESP_TRY(mem_big_alloc((void **)&m->sine, bytes, "the rotation tables", error));
    config_rope_tables(&m->config, m->context, m->cosine, m->sine);
    return ESP_OK;
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
    make_structure(m);
    m->x_in = MEM_ARRAY(workspace, config->layers);
    m->tape = MEM_ARRAY(layer_tape, config->layers);
    esp_status status = ESP_OK;
    if (team_is_small(m->params.floats)) { /* one thread an operation, many operations side by side */
        status = compute_share(&m->team.alone, options->compute, 1, error);
        if (status == ESP_OK) m->compute = m->team.alone;
        m->team.threads = options->compute->threads;
    }
    if (status == ESP_OK && m->context > config->context)
        status = error_fail(error, "set model.context to at most that",
                            "a context of %lld is more than the model's %lld", (long long)m->context,
                            (long long)config->context);
    if (status == ESP_OK) status = make_weights(m, error);
    if (status == ESP_OK) status = make_rotations(m, error);
    if (status != ESP_OK) {
        model_free(m);
        return status;
    }
    *out = m;
    return ESP_OK;
}

/* ---- Numbers ---- */

static void set_weights(model *m, const float *all) {
    for (int64_t i = 0; i < m->weight_count; i++)
        weight_set(m->compute, &m->weights[i], all + m->weights[i].offset);
}

esp_status model_sync(model *m, esp_error *error) {
    set_weights(m, m->master);
    return compute_check(m->compute, error);
}

static void first_numbers(const param *p, const model_config *c, rng_key_t key, float *out) {
    param_init init = p->spec->init;
    double scale = 0.02 / (init == INIT_NORMAL_RESIDUAL ? sqrt(2.0 * c->layers) : 1);
    for (int64_t i = 0; i < param_floats(p); i++)
        out[i] = init == INIT_ONES ? 1.0f : (float)(scale * rng_normal(key, (uint64_t)i));
}

esp_status model_create(model **out, const model_config *config, const model_options *options, uint64_t seed,
                        esp_error *error) {
    ESP_TRY(config_check(config, "model", error));
    ESP_TRY(model_allocate(out, config, options, error));
    model *m = *out;
    float *w = NULL;
    if (!m->master &&
        mem_big_alloc((void **)&w, (size_t)m->params.floats * 4, "the weights", error) != ESP_OK) {
        model_free(m);
        *out = NULL;
        return ESP_FAILED;
    }
    float *all = m->master ? m->master : w;
    for (int64_t i = 0; i < m->params.count; i++)
        first_numbers(&m->params.at[i], config, rng_mix(rng_key(seed), (uint64_t)i),
                      all + m->params.at[i].offset);
    set_weights(m, all);
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
    workspace *all[] = {&w->qkv,    &w->stream, &w->grad_a,   &w->grad_b,   &w->grad_q,
                        &w->grad_k, &w->grad_v, &w->grad_act, &w->read_list};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) *all[i] = (workspace){0};
    memset(&w->read_spans, 0, sizeof w->read_spans);
    memset(&w->read_segments, 0, sizeof w->read_segments);
    w->has_kept = false;
}

static void free_weights(model *m) {
    for (int64_t i = 0; i < m->weight_count; i++)
        if (m->weights[i].matrix) m->compute->ops->linear_free(m->compute, m->weights[i].matrix);
    mem_big_free(m->master);
    mem_big_free(m->vectors);
    mem_big_free(m->cosine);
    mem_big_free(m->sine);
    mem_free(m->layers);
    mem_free(m->weights);
    params_free(&m->params);
}

void model_free(model *m) {
    if (!m) return;
    for (int l = 0; m->tape && l < m->config.layers; l++) {
        workspace_free(&m->x_in[l]);
        tape_free(&m->tape[l]);
    }
    head_tape *h = &m->head_rows;
    workspace *all[] = {&h->rows,   &h->rstd,   &h->normed,   &h->row_of,   &h->token_of,
                        &m->qkv,    &m->stream, &m->grad_a,   &m->grad_b,   &m->grad_q,
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
    return m->params.floats;
}
float *model_master(model *m) {
    return m->master;
}
int64_t model_tokens_computed(const model *m) {
    int64_t sum = m->tokens_computed;
    for (int i = 0; i < m->team.worker_count; i++) sum += m->team.worker[i]->tokens_computed;
    return sum;
}

const param_set *model_trainable(const model *m) {
    return &m->params;
}
