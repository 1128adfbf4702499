/* A model's structure: its parameters, the weights that they are stacked into, and where both are kept. */
#include "model/arch.h"
#include "model/internal.h"

#include <assert.h>
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
    case ROLE_QKV:
        return &layer->qkv;
    case ROLE_BIAS_Q:
    case ROLE_BIAS_K:
    case ROLE_BIAS_V:
        return &layer->qkv_bias;
    case ROLE_GAIN_Q:
    case ROLE_GAIN_K:
        return &layer->qk_gain;
    case ROLE_O:
        return &layer->out;
    case ROLE_NORM_POST:
        return &layer->norm_post;
    case ROLE_GATE:
    case ROLE_UP:
    case ROLE_GATE_UP:
        return &layer->gate_up;
    case ROLE_DOWN:
        return &layer->down;
    case ROLE_NORM_ATTENDED:
        return &layer->norm_attended;
    case ROLE_NORM_FED:
        return &layer->norm_fed;
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
    if (model_is_frozen(m)) back |= LINEAR_FROZEN;
    switch (m->params.at[w->first].spec->role) {
    case ROLE_EMBED:
        return LINEAR_ROWS | (m->config.tied ? back : 0);
    case ROLE_GATE:
    case ROLE_GATE_UP:
        return (m->config.arch->gate == GATE_SILU && !w->adapter_count ? LINEAR_GATED : 0) | back;
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

/* The adapter's parameters, and which are each weight's. Both are in the order of the weights. */
static void make_adapter_structure(model *m) {
    m->adapted = adapter_params(&m->params, &m->adapter);
    int64_t next = 0;
    for (int64_t i = 0; i < m->weight_count; i++) {
        weight *w = &m->weights[i];
        w->adapter_first = next;
        w->adapter_offset = next < m->adapted.count ? m->adapted.at[next].offset : 0;
        for (int64_t k = w->first; k < w->first + w->count; k++)
            if (adapter_target_bit(m->params.at[k].spec->role) & m->adapter.targets) next += 2;
        w->adapter_count = next - w->adapter_first;
    }
}

/* The ranges of a weight's rows that its adapter is of. */
static adapter_shape shape_of(const model *m, const weight *w) {
    adapter_shape s = {.out = w->rows,
                       .in = w->columns,
                       .rank = m->adapter.rank,
                       .scale = (float)adapter_scale(&m->adapter)};
    int64_t row = 0;
    for (int64_t i = w->first; i < w->first + w->count; i++) {
        const param *p = &m->params.at[i];
        if (adapter_target_bit(p->spec->role) & m->adapter.targets) {
            s.part[s.parts].first = row;
            s.part[s.parts++].rows = p->rows;
        }
        row += p->rows;
    }
    return s;
}

/* Makes the matrices, and gives each vector its place: in the masters of a trainable model, unless it is not
 * used as they hold it; else in an array of vectors. Numbers come later, by weight_set. */
static esp_status make_weights(model *m, esp_error *error) {
    const char *what = "the weights";
    bool whole = m->trainable && !model_is_frozen(m);
    int64_t vectors = 0, used = 0;
    for (int64_t i = 0; i < m->weight_count; i++) {
        weight *w = &m->weights[i];
        w->plus_one = m->params.at[w->first].spec->flags & PARAM_PLUS_ONE;
        if (weight_is_vector(&m->params, w) && (w->plus_one || !whole)) vectors += w->rows;
    }
    void *numbers;
    if (m->trainable) {
        ESP_TRY(compute_buffer_new(m->compute, &numbers, (size_t)model_parameter_count(m) * 4, what, error));
        m->master = numbers;
    }
    if (vectors) {
        ESP_TRY(compute_buffer_new(m->compute, &numbers, (size_t)vectors * 4, what, error));
        m->vectors = numbers;
    }
    for (int64_t i = 0; i < m->weight_count; i++) {
        weight *w = &m->weights[i];
        if (weight_is_vector(&m->params, w) && whole && !w->plus_one) {
            w->vector = m->master + w->offset;
        } else if (weight_is_vector(&m->params, w)) {
            w->vector = m->vectors + used;
            used += w->rows;
        } else
            w->matrix = m->compute->ops->linear_new(m->compute, w->rows, w->columns, flags_of(m, w));
        if (w->adapter_count == 0) continue;
        adapter_shape shape = shape_of(m, w);
        w->adapter = m->compute->ops->adapter_new(m->compute, &shape);
        w->numbers = m->master ? m->master + w->adapter_offset : NULL;
    }
    return compute_check(m->compute, error);
}

static esp_status make_rotation(model *m, bool local, rotation *out, esp_error *error) {
    compute *c = m->compute;
    int64_t n = m->context * config_rotated(&m->config) / 2;
    size_t bytes = (size_t)n * 4;
    void *cosine, *sine;
    ESP_TRY(compute_buffer_new(c, &cosine, bytes, "the rotation tables", error));
    out->cosine = cosine;
    ESP_TRY(compute_buffer_new(c, &sine, bytes, "the rotation tables", error));
    out->sine = sine;
    float *tables = MEM_ARRAY(float, 2 * n);
    config_rope_tables(&m->config, local, m->context, tables, tables + n);
    c->ops->put(c, out->cosine, tables, bytes);
    c->ops->put(c, out->sine, tables + n, bytes);
    mem_free(tables);
    return compute_check(c, error);
}

static esp_status make_rotations(model *m, esp_error *error) {
    ESP_TRY(make_rotation(m, false, &m->rotation, error));
    return m->config.local_theta > 0 ? make_rotation(m, true, &m->local_rotation, error) : ESP_OK;
}

/* A small model has one thread per operation, and many operations side by side. */
static esp_status choose_compute(model *m, esp_error *error) {
    compute *given = m->compute;
    if (!replicas_pay(given, m->params.floats)) return ESP_OK;
    ESP_TRY(compute_replica_new(&m->replicas.one_thread, given, 1, error));
    m->compute = m->replicas.one_thread;
    m->replicas.threads = given->traits.replicas;
    return ESP_OK;
}

/* A matrix that the architecture keeps with others in one has no adapter of its own. */
static esp_status check_targets(const model *m, esp_error *error) {
    unsigned there = 0;
    for (int64_t i = 0; i < m->params.count; i++) there |= adapter_target_bit(m->params.at[i].spec->role);
    for (int i = 0; model_is_frozen(m) && adapter_target_name(i); i++)
        if (m->adapter.targets & ~there & 1u << i)
            return error_fail(
                error, "set adapter.targets to matrices that it has, such as o_proj and down_proj",
                "a %s has no %s, which is to get an adapter", m->config.arch->hf, adapter_target_name(i));
    return ESP_OK;
}

static esp_status check_options(const model *m, esp_error *error) {
    if (m->context > m->config.context)
        return error_fail(error, "set model.context to at most that",
                          "a context of %lld is more than the model's %lld", (long long)m->context,
                          (long long)m->config.context);
    ESP_TRY(check_targets(m, error));
    if (m->trainable && !m->compute->traits.trains)
        return error_fail(error, "use compute kind cpu", "the compute layer's %s does not train",
                          m->compute->ops->name);
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
    if (options->adapter && options->adapter->rank > 0) {
        m->adapter = *options->adapter;
        m->adapter_seed = options->adapter_seed;
        make_adapter_structure(m);
    }
    m->x_in = MEM_ARRAY(workspace, config->layers);
    m->tape = MEM_ARRAY(layer_tape, config->layers);
    esp_status status = choose_compute(m, error);
    if (status == ESP_OK) status = check_options(m, error);
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

/* The largest parameter and the largest weight, in floats. */
static void largest_of(const model *m, int64_t *parameter, int64_t *of_weight) {
    *parameter = *of_weight = 0;
    for (int64_t i = 0; i < m->params.count; i++)
        if (param_floats(&m->params.at[i]) > *parameter) *parameter = param_floats(&m->params.at[i]);
    for (int64_t i = 0; i < m->weight_count; i++)
        if (m->weights[i].rows * m->weights[i].columns > *of_weight)
            *of_weight = m->weights[i].rows * m->weights[i].columns;
}

/* One weight's numbers, parameter by parameter, into the buffer `to`: in place, or through host memory. */
static esp_status fill_weight(model *m, const weight *w, float *to, float *host, param_reader *read,
                              void *user, esp_error *error) {
    for (int64_t i = w->first; i < w->first + w->count; i++) {
        const param *p = &m->params.at[i];
        float *at = to + (p->offset - w->offset);
        ESP_TRY(read(user, p, host ? host : at, error));
        if (host) m->compute->ops->put(m->compute, at, host, (size_t)param_floats(p) * 4);
    }
    weight_set(m->compute, w, to);
    return ESP_OK;
}

esp_status model_fill(model *m, param_reader *read, void *user, esp_error *error) {
    compute *c = m->compute;
    int64_t parameter, of_weight;
    largest_of(m, &parameter, &of_weight);
    void *stage = NULL, *host = NULL;
    esp_status status = ESP_OK;
    bool whole = m->master && !model_is_frozen(m);
    if (!whole) status = compute_buffer_new(c, &stage, (size_t)of_weight * 4, "loading weights", error);
    if (status == ESP_OK && !c->traits.host_memory)
        status = mem_big_alloc(&host, (size_t)parameter * 4, "loading weights", error);
    for (int64_t i = 0; i < m->weight_count && status == ESP_OK; i++) {
        const weight *w = &m->weights[i];
        status = fill_weight(m, w, whole ? m->master + w->offset : stage, host, read, user, error);
    }
    if (status == ESP_OK) status = compute_check(c, error);
    c->ops->buffer_free(c, stage);
    mem_big_free(host);
    return status;
}

/* One weight's adapter, into `to`. */
static esp_status fill_one_adapter(model *m, const weight *w, float *to, float *host, param_reader *read,
                                   void *user, esp_error *error) {
    for (int64_t i = w->adapter_first; i < w->adapter_first + w->adapter_count; i++) {
        const param *p = &m->adapted.at[i];
        ESP_TRY(read(user, p, host, error));
        m->compute->ops->put(m->compute, to + (p->offset - w->adapter_offset), host,
                             (size_t)param_floats(p) * 4);
    }
    m->compute->ops->adapter_set(m->compute, w->adapter, to);
    return ESP_OK;
}

esp_status model_fill_adapter(model *m, param_reader *read, void *user, esp_error *error) {
    compute *c = m->compute;
    void *host = NULL, *stage = NULL;
    size_t bytes = (size_t)m->adapted.floats * 4;
    esp_status status = mem_big_alloc(&host, bytes, "loading an adapter", error);
    if (status == ESP_OK && !m->master)
        status = compute_buffer_new(c, &stage, bytes, "loading an adapter", error);
    for (int64_t i = 0; i < m->weight_count && status == ESP_OK; i++) {
        const weight *w = &m->weights[i];
        float *to = (m->master ? m->master : (float *)stage) + w->adapter_offset;
        if (w->adapter) status = fill_one_adapter(m, w, to, host, read, user, error);
    }
    if (status == ESP_OK) status = compute_check(c, error);
    c->ops->buffer_free(c, stage);
    mem_big_free(host);
    return status;
}

esp_status model_sync(model *m, esp_error *error) {
    compute *c = m->compute;
    for (int64_t i = 0; i < m->weight_count; i++) {
        const weight *w = &m->weights[i];
        if (!model_is_frozen(m))
            weight_set(c, w, m->master + w->offset);
        else if (w->adapter)
            c->ops->adapter_set(c, w->adapter, w->numbers);
    }
    return compute_check(c, error);
}

typedef struct {
    const model *m;
    uint64_t seed;
} new_model;

static esp_status first_numbers(void *user, const param *p, float *out, esp_error *error) {
    const new_model *new = user;
    param_init init = p->spec->init;
    double scale = 0.02 / (init == INIT_NORMAL_RESIDUAL ? sqrt(2.0 * new->m->config.layers) : 1);
    rng_key_t key = rng_mix(rng_key(new->seed), (uint64_t)(p - new->m->params.at));
    (void)error;
    if (init == INIT_ONES || init == INIT_ZEROS)
        for (int64_t i = 0; i < param_floats(p); i++) out[i] = init == INIT_ONES;
    else
        for (int64_t i = 0; i < param_floats(p); i++) out[i] = (float)(scale * rng_normal(key, (uint64_t)i));
    return ESP_OK;
}

static esp_status first_adapter(void *user, const param *p, float *out, esp_error *error) {
    (void)error;
    adapter_first_numbers(p, *(const uint64_t *)user, out);
    return ESP_OK;
}

esp_status model_reset_adapter(model *m, esp_error *error) {
    return model_is_frozen(m) ? model_fill_adapter(m, first_adapter, &m->adapter_seed, error) : ESP_OK;
}

esp_status model_create(model **out, const model_config *config, const model_options *options, uint64_t seed,
                        esp_error *error) {
    ESP_TRY(config_check(config, "model", error));
    ESP_TRY(model_allocate(out, config, options, error));
    esp_status status = model_fill(*out, first_numbers, &(new_model){*out, seed}, error);
    if (status == ESP_OK) status = model_reset_adapter(*out, error);
    if (status != ESP_OK) {
        model_free(*out);
        *out = NULL;
    }
    return status;
}

static void tape_free(model *m, layer_tape *t) {
    workspace *all[] = {
        &t->x_mid, &t->norm1,          &t->norm2,     &t->attended,      &t->gate_up, &t->hidden,
        &t->rstd1, &t->rstd2,          &t->q,         &t->lse,           &t->k,       &t->v,
        &t->qkv,   &t->added_attended, &t->added_fed, &t->rstd_attended, &t->rstd_fed};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) workspace_free(m, all[i]);
}

void model_borrow(model *m, const model *of) {
    *m = *of;
    m->tokens_computed = 0;
    m->over = NULL;
    m->x_in = MEM_ARRAY(workspace, of->config.layers);
    m->tape = MEM_ARRAY(layer_tape, of->config.layers);
    m->head_rows = (head_tape){0};
    workspace *all[] = {&m->qkv,    &m->stream, &m->grad_a, &m->grad_b,
                        &m->grad_q, &m->grad_k, &m->grad_v, &m->grad_act};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) *all[i] = (workspace){0};
    memset(&m->read_spans, 0, sizeof m->read_spans);
    memset(&m->read_segments, 0, sizeof m->read_segments);
    m->kept_pass = NULL;
}

/* Points what pointed into `from` into the model's own weights. */
static void move_pointers(model *m, const weight *from) {
    const weight **singles[] = {&m->embedding, &m->norm_out, &m->head};
    for (int i = 0; i < 3; i++) *singles[i] = m->weights + (*singles[i] - from);
    const weight **all = (const weight **)m->layers; /* a layer is pointers to weights and nothing else */
    int64_t n = m->config.layers * (int64_t)(sizeof *m->layers / sizeof *all);
    static_assert(sizeof(model_layer) % sizeof(weight *) == 0, "a layer is pointers");
    for (int64_t i = 0; i < n; i++)
        if (all[i]) all[i] = m->weights + (all[i] - from);
}

/* Adapters of its own for a model over another's base. */
static esp_status make_own_adapters(model *m, esp_error *error) {
    if (m->trainable) {
        void *numbers;
        ESP_TRY(compute_buffer_new(m->compute, &numbers, (size_t)m->adapted.floats * 4, "an adapter", error));
        m->master = numbers;
    }
    for (int64_t i = 0; i < m->weight_count; i++) {
        weight *w = &m->weights[i];
        if (w->adapter_count == 0) continue;
        adapter_shape shape = shape_of(m, w);
        w->adapter = m->compute->ops->adapter_new(m->compute, &shape);
        w->numbers = m->master ? m->master + w->adapter_offset : NULL;
    }
    return compute_check(m->compute, error);
}

esp_status model_over(model **out, model *of, const char *path, bool trainable, esp_error *error) {
    assert(model_is_frozen(of) && (of->trainable || !trainable));
    model *m = *out = MEM_NEW(model);
    model_borrow(m, of);
    m->over = of;
    m->replicas = (model_replicas){.threads = of->replicas.threads};
    m->trainable = trainable;
    m->master = NULL;
    m->layers = MEM_ARRAY(model_layer, m->config.layers);
    m->weights = MEM_ARRAY(weight, m->weight_count);
    memcpy(m->layers, of->layers, sizeof *m->layers * (size_t)m->config.layers);
    memcpy(m->weights, of->weights, sizeof *m->weights * (size_t)m->weight_count);
    for (int64_t i = 0; i < m->weight_count; i++) m->weights[i].adapter = NULL;
    move_pointers(m, of->weights);
    esp_status status = make_own_adapters(m, error);
    if (status == ESP_OK) status = path ? model_load_weights(m, path, error) : model_reset_adapter(m, error);
    if (status != ESP_OK) {
        model_free(m);
        *out = NULL;
    }
    return status;
}

static void free_adapters(model *m) {
    for (int64_t i = 0; i < m->weight_count; i++)
        m->compute->ops->adapter_free(m->compute, m->weights[i].adapter);
}

static void free_weights(model *m) {
    free_adapters(m);
    for (int64_t i = 0; i < m->weight_count; i++)
        if (m->weights[i].matrix) m->compute->ops->linear_free(m->compute, m->weights[i].matrix);
    float *buffers[] = {m->master,
                        m->vectors,
                        m->rotation.cosine,
                        m->rotation.sine,
                        m->local_rotation.cosine,
                        m->local_rotation.sine};
    for (int i = 0; i < 6; i++) m->compute->ops->buffer_free(m->compute, buffers[i]);
    mem_free(m->layers);
    mem_free(m->weights);
    params_free(&m->params);
    params_free(&m->adapted);
    mem_free(m->base_path);
}

void model_free(model *m) {
    if (!m) return;
    for (int l = 0; m->tape && l < m->config.layers; l++) {
        workspace_free(m, &m->x_in[l]);
        tape_free(m, &m->tape[l]);
    }
    head_tape *h = &m->head_rows;
    workspace *all[] = {&h->rows,   &h->rstd,   &h->normed, &h->queries, &m->qkv,    &m->stream,
                        &m->grad_a, &m->grad_b, &m->grad_q, &m->grad_k,  &m->grad_v, &m->grad_act};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) workspace_free(m, all[i]);
    MEM_LIST_FREE(&m->read_spans);
    MEM_LIST_FREE(&m->read_segments);
    MEM_LIST_FREE(&h->row_of);
    MEM_LIST_FREE(&h->token_of);
    MEM_LIST_FREE(&h->reads);
    model_forget_kept(m);
    mem_free(m->x_in);
    mem_free(m->tape);
    if (m->over) {
        free_adapters(m);
        m->compute->ops->buffer_free(m->compute, m->master);
        mem_free(m->weights);
        mem_free(m->layers);
    } else if (!m->replicas.is_replica)
        free_weights(m);
    replicas_free(m);
    mem_free(m);
}

const model_config *model_configuration(const model *m) {
    return &m->config;
}
compute *model_compute(const model *m) {
    if (m->over) return model_compute(m->over);
    return m->replicas.one_thread ? m->replicas.one_thread->of : m->compute;
}
compute *model_operations(const model *m) {
    return m->compute;
}
int64_t model_context(const model *m) {
    return m->context;
}
bool model_has_adapter(const model *m) {
    return model_is_frozen(m);
}
int64_t model_weight_count(const model *m) {
    return m->params.floats;
}
int64_t model_parameter_count(const model *m) {
    return model_trainable(m)->floats;
}
float *model_master(model *m) {
    return m->master;
}
int64_t model_tokens_computed(const model *m) {
    int64_t sum = m->tokens_computed;
    for (int i = 0; i < m->replicas.count; i++) sum += m->replicas.at[i]->tokens_computed;
    return sum;
}

const param_set *model_trainable(const model *m) {
    return model_is_frozen(m) ? &m->adapted : &m->params;
}
