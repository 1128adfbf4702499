/* The optimizer: AdamW's state, updates, the running average of the weights, and how all of it is kept. */
#include "learn/trainer_inner.h"

#include "base/file.h"
#include "formats/safetensors.h"
#include "formats/tensor_file.h"

#include <assert.h>
#include <math.h>

trainer_settings trainer_defaults(void) {
    return (trainer_settings){
        .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0, .clip = 1, .microbatch_tokens = 2048};
}

static size_t array_bytes(const trainer *t) {
    return (size_t)t->size * sizeof(float);
}

/* A buffer of one number per parameter, all 0. */
static esp_status array_new(trainer *t, float **out, const char *what, esp_error *error) {
    compute *c = model_operations(t->m);
    void *at;
    ESP_TRY(compute_buffer_new(c, &at, array_bytes(t), what, error));
    c->ops->zero(c, at, array_bytes(t));
    *out = at;
    return ESP_OK;
}

esp_status trainer_new(trainer **out, model *m, const trainer_settings *settings, esp_error *error) {
    trainer *t = MEM_NEW(trainer);
    *out = NULL;
    t->m = m;
    t->settings = *settings;
    t->size = model_parameter_count(m);
    esp_status status = array_new(t, &t->gradient, "gradients", error);
    if (status == ESP_OK) status = array_new(t, &t->moment1, "optimizer state", error);
    if (status == ESP_OK) status = array_new(t, &t->moment2, "optimizer state", error);
    if (status == ESP_OK && settings->average > 0)
        status = array_new(t, &t->aside, "average of the weights", error);
    if (status != ESP_OK) {
        trainer_free(t);
        return status;
    }
    trainer_restart(t);
    *out = t;
    return ESP_OK;
}

void trainer_free(trainer *t) {
    if (!t) return;
    compute *c = model_operations(t->m);
    float *arrays[] = {t->gradient, t->moment1, t->moment2, t->aside};
    for (int i = 0; i < 4; i++) c->ops->buffer_free(c, arrays[i]);
    mem_free(t);
}

void trainer_zero(trainer *t) {
    compute *c = model_operations(t->m);
    c->ops->zero(c, t->gradient, array_bytes(t));
}

/* ---- the average ---- */

void trainer_restart(trainer *t) {
    if (!t->aside) return;
    compute *c = model_operations(t->m);
    c->ops->copy(c, t->aside, model_master(t->m), array_bytes(t));
    t->shows_average = true;
}

/* Exchanges the weights in the model with those aside: no number changes. */
static esp_status exchange(trainer *t, esp_error *error) {
    compute *c = model_operations(t->m);
    c->ops->swap(c, t->size, model_master(t->m), t->aside);
    t->shows_average = !t->shows_average;
    return model_sync(t->m, error);
}

esp_status trainer_show_raw(trainer *t, esp_error *error) {
    return t->aside && t->shows_average ? exchange(t, error) : ESP_OK;
}

esp_status trainer_show_average(trainer *t, esp_error *error) {
    return t->aside && !t->shows_average ? exchange(t, error) : ESP_OK;
}

/* average <- d average + (1 - d) weights, as average + (1 - d) (weights - average). */
static void update_average(trainer *t) {
    compute *c = model_operations(t->m);
    c->ops->average(c, t->size, (float)(1 - t->settings.average), model_master(t->m), t->aside);
}

/* ---- updates and state ---- */

esp_status trainer_update(trainer *t, double lr, double *grad_norm, esp_error *error) {
    ESP_TRY(trainer_show_raw(t, error));
    compute *c = model_operations(t->m);
    double norm;
    c->ops->sum_squares(c, t->size, t->gradient, &norm);
    norm = sqrt(norm);
    if (grad_norm) *grad_norm = norm;
    if (!isfinite(norm)) {
        trainer_zero(t);
        return error_fail(error, "lower the learning rate", "the gradient is not finite at update %lld",
                          (long long)t->updates + 1);
    }
    t->updates++;
    double scale = t->settings.clip > 0 && norm > t->settings.clip
                       ? t->settings.clip / (norm + 1e-6)
                       : 1; /* 1e-6 as in torch's clip_grad_norm_ */
    adamw_settings s = {.lr = (float)lr,
                        .beta1 = (float)t->settings.beta1,
                        .beta2 = (float)t->settings.beta2,
                        .eps = (float)t->settings.eps,
                        .grad_scale = (float)scale,
                        .step = t->updates};
    const param_set *params = model_trainable(t->m);
    float *w = model_master(t->m);
    for (const param *p = params->at; p < params->at + params->count; p++) {
        int64_t at = p->offset;
        s.weight_decay = p->spec->flags & PARAM_DECAYS ? (float)t->settings.weight_decay : 0;
        c->ops->adamw(c, param_floats(p), w + at, t->gradient + at, t->moment1 + at, t->moment2 + at, &s);
    }
    trainer_zero(t);
    if (t->aside) update_average(t);
    return model_sync(t->m, error);
}

static const char *const state_file = "optimizer.safetensors";
enum { CHUNK = 1 << 20 }; /* numbers of an array that the host holds at a time */

static esp_status write_array(const trainer *t, safetensors_writer *w, int64_t index, const float *array,
                              esp_error *error) {
    compute *c = model_operations(t->m);
    float *chunk = MEM_ARRAY(float, CHUNK);
    esp_status status = ESP_OK;
    for (int64_t at = 0; at < t->size && status == ESP_OK; at += CHUNK) {
        int64_t n = t->size - at < CHUNK ? t->size - at : CHUNK;
        c->ops->get(c, chunk, array + at, (size_t)n * sizeof *chunk);
        status = compute_check(c, error);
        if (status == ESP_OK) status = safetensors_write_floats(w, index, chunk, n, error);
    }
    mem_free(chunk);
    return status;
}

esp_status trainer_save(const trainer *t, const char *folder, esp_error *error) {
    /* The number of updates as three floats of 20 bits each: the writer writes floats, and 2^60 updates are
     * enough. */
    float steps[3];
    for (int i = 0; i < 3; i++) steps[i] = (float)((t->updates >> (20 * i)) & 0xfffff);
    assert(!t->aside || t->shows_average); /* the average is what model_save wrote */
    float *arrays[] = {t->moment1, t->moment2, t->aside};
    safetensors_spec specs[] = {{.name = "moment1", .type = TENSOR_F32, .rank = 1, .shape = {t->size}},
                                {.name = "moment2", .type = TENSOR_F32, .rank = 1, .shape = {t->size}},
                                {.name = "steps", .type = TENSOR_F32, .rank = 1, .shape = {3}},
                                {.name = "raw", .type = TENSOR_F32, .rank = 1, .shape = {t->size}}};
    const int64_t places[] = {0, 1, 3};
    char *file = path_join(folder, state_file);
    safetensors_writer *w;
    esp_status status = safetensors_write_begin(&w, file, specs, t->aside ? 4 : 3, error);
    mem_free(file);
    ESP_TRY(status);
    for (int i = 0; i < (t->aside ? 3 : 2) && status == ESP_OK; i++)
        status = write_array(t, w, places[i], arrays[i], error);
    if (status == ESP_OK) status = safetensors_write_floats(w, 2, steps, 3, error);
    if (status == ESP_OK) return safetensors_write_end(w, error);
    safetensors_write_abort(w);
    return status;
}

static esp_status find_state(const tensor_source *source, const char *file, const char *name, int64_t n,
                             const tensor_entry **out, esp_error *error) {
    *out = tensor_source_find(source, name);
    if (*out && tensor_elements(*out) == n) return ESP_OK;
    return error_fail(error, "resume with the model that the state belongs to",
                      "%s: no tensor %s of %lld numbers", file, name, (long long)n);
}

static esp_status read_array(trainer *t, const tensor_source *source, const char *file, const char *name,
                             float *array, esp_error *error) {
    compute *c = model_operations(t->m);
    const tensor_entry *e;
    ESP_TRY(find_state(source, file, name, t->size, &e, error));
    float *chunk = MEM_ARRAY(float, CHUNK);
    esp_status status = ESP_OK;
    for (int64_t at = 0; at < t->size && status == ESP_OK; at += CHUNK) {
        int64_t n = t->size - at < CHUNK ? t->size - at : CHUNK;
        status = tensor_read_f32(e, at, n, chunk, error);
        if (status == ESP_OK) c->ops->put(c, array + at, chunk, (size_t)n * sizeof *chunk);
    }
    mem_free(chunk);
    return status == ESP_OK ? compute_check(c, error) : status;
}

static esp_status read_steps(trainer *t, const tensor_source *source, const char *file, esp_error *error) {
    const tensor_entry *e;
    float steps[3];
    ESP_TRY(find_state(source, file, "steps", 3, &e, error));
    ESP_TRY(tensor_read_f32(e, 0, 3, steps, error));
    t->updates = (int64_t)steps[0] | (int64_t)steps[1] << 20 | (int64_t)steps[2] << 40;
    return ESP_OK;
}

esp_status trainer_load(trainer *t, const char *folder, esp_error *error) {
    trainer_restart(t); /* the model holds the weights that were saved: the average */
    char *file = path_join(folder, state_file);
    tensor_source *source;
    esp_status status = tensor_source_open(&source, file, error);
    if (status == ESP_OK) {
        status = read_array(t, source, file, "moment1", t->moment1, error);
        if (status == ESP_OK) status = read_array(t, source, file, "moment2", t->moment2, error);
        if (status == ESP_OK) status = read_steps(t, source, file, error);
        if (status == ESP_OK && t->aside && tensor_source_find(source, "raw"))
            status = read_array(t, source, file, "raw", t->aside, error);
        tensor_source_close(source);
    }
    mem_free(file);
    return status;
}
