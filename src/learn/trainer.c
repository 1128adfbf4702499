/* The optimizer: AdamW's state, updates, the running average of the weights, and how all of it is kept. */
#include "learn/trainer_inner.h"

#include "base/file.h"
#include "formats/safetensors.h"
#include "formats/tensor_file.h"

#include <assert.h>
#include <math.h>
#include <string.h>

trainer_settings trainer_defaults(void) {
    return (trainer_settings){
        .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0, .clip = 1, .microbatch_tokens = 2048};
}

esp_status trainer_new(trainer **out, model *m, const trainer_settings *settings, esp_error *error) {
    trainer *t = MEM_NEW(trainer);
    *out = NULL;
    t->m = m;
    t->settings = *settings;
    t->size = model_parameter_count(m);
    size_t bytes = (size_t)t->size * 4;
    esp_status status = mem_big_alloc((void **)&t->gradient, bytes, "gradients", error);
    if (status == ESP_OK) status = mem_big_alloc((void **)&t->moment1, bytes, "optimizer state", error);
    if (status == ESP_OK) status = mem_big_alloc((void **)&t->moment2, bytes, "optimizer state", error);
    if (status == ESP_OK && settings->average > 0)
        status = mem_big_alloc((void **)&t->aside, bytes, "average of the weights", error);
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
    mem_big_free(t->gradient);
    mem_big_free(t->moment1);
    mem_big_free(t->moment2);
    mem_big_free(t->aside);
    mem_free(t);
}

model *trainer_model(const trainer *t) {
    return t->m;
}
int64_t trainer_updates(const trainer *t) {
    return t->updates;
}
const float *trainer_gradient(const trainer *t) {
    return t->gradient;
}
void trainer_zero(trainer *t) {
    memset(t->gradient, 0, (size_t)t->size * 4);
}

/* ---- the average ---- */

void trainer_restart(trainer *t) {
    if (!t->aside) return;
    memcpy(t->aside, model_master(t->m), (size_t)t->size * 4);
    t->shows_average = true;
}

/* Exchanges the weights in the model with those aside: no number changes. */
static esp_status exchange(trainer *t, esp_error *error) {
    float *w = model_master(t->m), *aside = t->aside;
    for (int64_t i = 0; i < t->size; i++) {
        float kept = w[i];
        w[i] = aside[i];
        aside[i] = kept;
    }
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
    const float *w = model_master(t->m);
    float rest = (float)(1 - t->settings.average);
    for (int64_t i = 0; i < t->size; i++) t->aside[i] += rest * (w[i] - t->aside[i]);
}

/* ---- updates and state ---- */

esp_status trainer_update(trainer *t, double lr, double *grad_norm, esp_error *error) {
    ESP_TRY(trainer_show_raw(t, error));
    compute *c = model_operations(t->m);
    double norm = sqrt(c->ops->sum_squares(c, t->size, t->gradient));
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

esp_status trainer_save(const trainer *t, const char *folder, esp_error *error) {
    /* The number of updates as three floats of 20 bits each: the writer writes floats, and 2^60 updates are
     * enough. */
    float steps[3];
    for (int i = 0; i < 3; i++) steps[i] = (float)((t->updates >> (20 * i)) & 0xfffff);
    assert(!t->aside || t->shows_average); /* the average is what model_save wrote */
    const float *data[] = {t->moment1, t->moment2, steps, t->aside};
    safetensors_spec specs[] = {{.name = "moment1", .type = TENSOR_F32, .rank = 1, .shape = {t->size}},
                                {.name = "moment2", .type = TENSOR_F32, .rank = 1, .shape = {t->size}},
                                {.name = "steps", .type = TENSOR_F32, .rank = 1, .shape = {3}},
                                {.name = "raw", .type = TENSOR_F32, .rank = 1, .shape = {t->size}}};
    int64_t tensors = t->aside ? 4 : 3;
    char *file = path_join(folder, state_file);
    safetensors_writer *w;
    esp_status status = safetensors_write_begin(&w, file, specs, tensors, error);
    for (int64_t i = 0; i < tensors && status == ESP_OK; i++) {
        status = safetensors_write_floats(w, i, data[i], specs[i].shape[0], error);
        if (status != ESP_OK) safetensors_write_abort(w);
    }
    if (status == ESP_OK) status = safetensors_write_end(w, error);
    mem_free(file);
    return status;
}

static esp_status read_state(const tensor_source *source, const char *file, const char *name, float *out,
                             int64_t n, esp_error *error) {
    const tensor_entry *e = tensor_source_find(source, name);
    if (!e || tensor_elements(e) != n)
        return error_fail(error, "resume with the model that the state belongs to",
                          "%s: no tensor %s of %lld numbers", file, name, (long long)n);
    return tensor_read_f32(e, 0, n, out, error);
}

esp_status trainer_load(trainer *t, const char *folder, esp_error *error) {
    trainer_restart(t); /* the model holds the weights that were saved: the average */
    char *file = path_join(folder, state_file);
    tensor_source *source;
    esp_status status = tensor_source_open(&source, file, error);
    float steps[3];
    if (status == ESP_OK) {
        status = read_state(source, file, "moment1", t->moment1, t->size, error);
        if (status == ESP_OK) status = read_state(source, file, "moment2", t->moment2, t->size, error);
        if (status == ESP_OK) status = read_state(source, file, "steps", steps, 3, error);
        if (status == ESP_OK)
            t->updates = (int64_t)steps[0] | (int64_t)steps[1] << 20 | (int64_t)steps[2] << 40;
        if (status == ESP_OK && t->aside && tensor_source_find(source, "raw"))
            status = read_state(source, file, "raw", t->aside, t->size, error);
        tensor_source_close(source);
    }
    mem_free(file);
    return status;
}
