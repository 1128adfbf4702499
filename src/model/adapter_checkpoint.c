/* Adapters in and out: PEFT's folders to the parameters of an adapter over its base, and back; and merged. */
#include "base/file.h"
#include "model/adapter_file.h"
#include "model/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const char *const weights_name = "adapter_model.safetensors";

/* An adapter's folder with the base that it names. */
typedef struct {
    adapter_folder folder;
    tensor_source *tensors, *base_tensors;
    model_config config;
    param_set base, params;
} adapter_source;

static void adapter_close(adapter_source *a) {
    adapter_folder_free(&a->folder);
    tensor_source_close(a->tensors);
    tensor_source_close(a->base_tensors);
    params_free(&a->base);
    params_free(&a->params);
}

static esp_status open_adapter_tensors(const char *path, tensor_source **out, esp_error *error) {
    char *file = path_join(path, weights_name);
    esp_status status = tensor_source_open(out, file, error);
    mem_free(file);
    return status;
}

static esp_status adapter_open(adapter_source *out, const char *path, esp_error *error) {
    *out = (adapter_source){0};
    esp_status status = adapter_folder_read(path, &out->folder, error);
    if (status == ESP_OK) status = checkpoint_open(&out->base_tensors, &out->config, out->folder.base, error);
    if (status == ESP_OK) {
        out->base = params_of(&out->config);
        out->params = adapter_params(&out->base, &out->folder.config);
        status = open_adapter_tensors(path, &out->tensors, error);
    }
    if (status != ESP_OK) adapter_close(out);
    return status;
}

static checkpoint adapter_tensors(const adapter_source *a) {
    return (checkpoint){a->tensors, &a->config};
}

esp_status adapter_read_base_config(model_config *out, const char *path, esp_error *error) {
    adapter_folder f;
    ESP_TRY(adapter_folder_read(path, &f, error));
    esp_status status = model_read_config(out, f.base, error);
    adapter_folder_free(&f);
    return status;
}

esp_status adapter_check_weights(const char *path, esp_error *error) {
    adapter_source a;
    ESP_TRY(adapter_open(&a, path, error));
    checkpoint base = {a.base_tensors, &a.config}, own = adapter_tensors(&a);
    esp_status status = checkpoint_check_params(&own, &a.params, error);
    if (status == ESP_OK) status = checkpoint_check_params(&base, &a.base, error);
    adapter_close(&a);
    return status;
}

/* Reads parameters of a base, and hashes them in the order of reading. */
typedef struct {
    const checkpoint *from;
    XXH3_state_t *state;
} hashing_reader;

static esp_status read_and_hash(void *user, const param *p, float *out, esp_error *error) {
    const hashing_reader *r = user;
    ESP_TRY(checkpoint_read_param((void *)(uintptr_t)r->from, p, out, error));
    XXH3_64bits_update(r->state, out, (size_t)param_floats(p) * sizeof *out);
    return ESP_OK;
}

/* Fills the base of a model with an adapter, whose hash it keeps. folder: NULL, or what it must be. */
static esp_status load_base(model *m, const checkpoint *from, const char *path, const adapter_folder *folder,
                            esp_error *error) {
    ESP_TRY(checkpoint_check_known(from, &m->params, error));
    hashing_reader r = {from, XXH3_createState()};
    XXH3_64bits_reset(r.state);
    esp_status status = model_fill(m, read_and_hash, &r, error);
    m->base_hash = XXH3_64bits_digest(r.state);
    XXH3_freeState(r.state);
    char *whole = realpath(path, NULL);
    m->base_path = mem_strdup(whole ? whole : path);
    free(whole);
    if (status == ESP_OK && folder && folder->hashed && folder->base_hash != m->base_hash)
        status = error_fail(error, "put back the base that the adapter was trained over",
                            "%s: is not the base of this adapter: its weights are others", path);
    return status;
}

esp_status adapter_begin(model *m, const checkpoint *base, const char *path, esp_error *error) {
    ESP_TRY(load_base(m, base, path, NULL, error));
    return model_reset_adapter(m, error);
}

static esp_status load_adapter(model *m, const tensor_source *tensors, esp_error *error) {
    checkpoint c = {tensors, &m->config};
    ESP_TRY(checkpoint_check_known(&c, &m->adapted, error));
    return model_fill_adapter(m, checkpoint_read_param, &c, error);
}

esp_status adapter_open_model(model **out, const char *path, const model_options *options, esp_error *error) {
    adapter_source a;
    ESP_TRY(adapter_open(&a, path, error));
    esp_status status = ESP_OK;
    if (options->adapter && options->adapter->rank > 0)
        status = adapter_same(options->adapter, &a.folder.config, path, error);
    model_options with = *options;
    with.adapter = &a.folder.config;
    checkpoint base = {a.base_tensors, &a.config};
    if (status == ESP_OK) status = checkpoint_allocate(out, &base, a.folder.base, &with, error);
    if (status == ESP_OK) status = load_base(*out, &base, a.folder.base, &a.folder, error);
    if (status == ESP_OK) status = load_adapter(*out, a.tensors, error);
    adapter_close(&a);
    return status;
}

/* An adapter's numbers out of another folder, or its first ones. */
esp_status adapter_load_other(model *m, const char *path, esp_error *error) {
    char *whole = realpath(path, NULL);
    bool base = whole && m->base_path && strcmp(whole, m->base_path) == 0;
    free(whole);
    if (base) return model_reset_adapter(m, error);
    if (!adapter_is_at(path))
        return error_fail(error, "use a checkpoint of a run with the same adapter",
                          "%s: is neither an adapter nor the base %s", path,
                          m->base_path ? m->base_path : "(random weights)");
    adapter_folder f;
    tensor_source *tensors = NULL;
    ESP_TRY(adapter_folder_read(path, &f, error));
    esp_status status = adapter_same(&m->adapter, &f.config, path, error);
    if (status == ESP_OK && f.hashed && f.base_hash != m->base_hash)
        status = error_fail(error, "use an adapter of the same base",
                            "%s: is an adapter of other weights than %s", path, m->base_path);
    if (status == ESP_OK) status = open_adapter_tensors(path, &tensors, error);
    if (status == ESP_OK) status = load_adapter(m, tensors, error);
    tensor_source_close(tensors);
    adapter_folder_free(&f);
    return status;
}

esp_status adapter_save(const model *m, const char *folder, dtype type, esp_error *error) {
    if (!m->base_path)
        return error_fail(error, "save the base, and open it with an adapter",
                          "an adapter of weights that are in no file cannot be saved");
    adapter_folder f = {m->adapter, m->base_path, true, m->base_hash};
    ESP_TRY(adapter_folder_write(folder, &f, error));
    return checkpoint_write_params(&m->adapted, checkpoint_read_master, (void *)(uintptr_t)m, folder,
                                   weights_name, type, error);
}

/* ---- Copies ---- */

/* Adds scale B A, of the adapter in `from`, to a parameter's numbers. */
static esp_status add_adapter(const adapter_source *from, const param *p, float *out, esp_error *error) {
    const param *A = from->params.at, *end = A + from->params.count;
    while (A < end && !(A->layer == p->layer && A->spec->role == p->spec->role)) A += 2;
    if (A >= end) return ESP_OK;
    checkpoint c = adapter_tensors(from);
    int64_t rank = A->rows;
    float *a = MEM_ARRAY(float, rank * p->columns), *b = MEM_ARRAY(float, p->rows *rank);
    float scale = (float)adapter_scale(&from->folder.config);
    esp_status status = checkpoint_read_param(&c, A, a, error);
    if (status == ESP_OK) status = checkpoint_read_param(&c, A + 1, b, error);
    for (int64_t o = 0; o < p->rows && status == ESP_OK; o++)
        for (int64_t k = 0; k < rank; k++)
            for (int64_t i = 0; i < p->columns; i++)
                out[o * p->columns + i] += scale * b[o * rank + k] * a[k * p->columns + i];
    mem_free(a);
    mem_free(b);
    return status;
}

static esp_status read_merged(void *user, const param *p, float *out, esp_error *error) {
    adapter_source *a = user;
    checkpoint base = {a->base_tensors, &a->config};
    ESP_TRY(checkpoint_read_param(&base, p, out, error));
    return add_adapter(a, p, out, error);
}

esp_status adapter_convert_merged(const char *path, const char *folder, dtype type, esp_error *error) {
    adapter_source a;
    ESP_TRY(adapter_open(&a, path, error));
    checkpoint base = {a.base_tensors, &a.config}, own = adapter_tensors(&a);
    esp_status status = checkpoint_check_known(&own, &a.params, error);
    if (status == ESP_OK) status = checkpoint_convert(&base, read_merged, &a, folder, type, error);
    adapter_close(&a);
    return status;
}

esp_status model_convert_adapter(const char *path, const char *folder, dtype type, esp_error *error) {
    adapter_source a;
    ESP_TRY(adapter_open(&a, path, error));
    checkpoint own = adapter_tensors(&a);
    esp_status status = checkpoint_check_known(&own, &a.params, error);
    if (status == ESP_OK) status = adapter_folder_write(folder, &a.folder, error);
    if (status == ESP_OK)
        status = checkpoint_write_params(&a.params, checkpoint_read_param, &own, folder, weights_name, type,
                                         error);
    adapter_close(&a);
    return status;
}
