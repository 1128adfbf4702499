/* Checkpoints in and out: Hugging Face folders and GGUF files to parameters, parameters to Hugging Face
 * folders. */
#include "base/file.h"
#include "base/half.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/tensor_file.h"
#include "model/adapter_file.h"
#include "model/arch.h"
#include "model/checkpoint.h"
#include "model/config_files.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* source NULL: a folder, whose weights are not looked at. */
static esp_status read_config(model_config *out, const char *path, const tensor_source *source,
                              esp_error *error) {
    if (source && tensor_source_gguf(source)) {
        config_source metadata = config_source_gguf(tensor_source_gguf(source));
        return config_read(out, &metadata, error);
    }
    const char *slash = strrchr(path, '/');
    char *folder = file_is_folder(path) ? mem_strdup(path)
                   : slash              ? mem_strndup(path, (size_t)(slash - path))
                                        : mem_strdup(".");
    char *file = path_join(folder, "config.json");
    json_t *object = NULL;
    esp_status status = json_read_file(file, &object, error);
    if (status == ESP_OK) {
        config_source from = config_source_json(object, file);
        status = config_read(out, &from, error);
    }
    json_decref(object);
    mem_free(folder);
    mem_free(file);
    return status;
}

esp_status checkpoint_open(tensor_source **source, model_config *config, const char *path, esp_error *error) {
    *source = NULL;
    if (!file_exists(path))
        return error_fail(error, "give a Hugging Face folder or a .gguf file (tools/get-smollm2 fetches one)",
                          "%s: no such model", path);
    ESP_TRY(tensor_source_open(source, path, error));
    esp_status status = read_config(config, path, *source, error);
    if (status != ESP_OK) {
        tensor_source_close(*source);
        *source = NULL;
    }
    return status;
}

esp_status model_read_config(model_config *out, const char *path, esp_error *error) {
    tensor_source *source;
    if (adapter_is_at(path)) return adapter_read_base_config(out, path, error);
    if (file_is_folder(path)) return read_config(out, path, NULL, error);
    ESP_TRY(checkpoint_open(&source, out, path, error));
    tensor_source_close(source);
    return ESP_OK;
}

/* What the names of a model of texts begin with inside a model of texts and pictures, old and new. */
static const struct {
    const char *outer, *inner;
} wrappings[] = {{"language_model.", ""}, {"model.language_model.", "model."}};
enum { WRAPPINGS = sizeof wrappings / sizeof *wrappings };

static const char *after(const char *text, const char *start) {
    size_t n = strlen(start);
    return strncmp(text, start, n) == 0 ? text + n : NULL;
}

/* A tensor's name as its architecture has it. */
static param_name own_name(const checkpoint *c, const char *name) {
    param_name own;
    snprintf(own.text, sizeof own.text, "%s", name);
    for (int i = 0; c->config->arch->wrapped && i < WRAPPINGS; i++) {
        const char *rest = after(name, wrappings[i].outer);
        if (rest) snprintf(own.text, sizeof own.text, "%s%s", wrappings[i].inner, rest);
    }
    return own;
}

/* The part of a model of texts and pictures that sees. */
static bool is_tower(const checkpoint *c, const char *name) {
    static const char *const towers[] = {"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                                         "model.multi_modal_projector."};
    for (size_t i = 0; c->config->arch->wrapped && i < sizeof towers / sizeof *towers; i++)
        if (after(name, towers[i])) return true;
    return false;
}

static const tensor_entry *find_wrapped(const checkpoint *c, const char *name) {
    for (int i = 0; c->config->arch->wrapped && i < WRAPPINGS; i++) {
        const char *rest = after(name, wrappings[i].inner);
        char outer[160];
        if (!rest) continue;
        snprintf(outer, sizeof outer, "%s%s", wrappings[i].outer, rest);
        const tensor_entry *t = tensor_source_find(c->source, outer);
        if (t) return t;
    }
    return NULL;
}

static const tensor_entry *find_tensor(const checkpoint *c, const param *p, param_name *name) {
    *name = tensor_source_gguf(c->source) ? param_gguf_name(p) : param_hf_name(p);
    const tensor_entry *t = tensor_source_find(c->source, name->text);
    if (!t) t = find_wrapped(c, name->text);
    /* Tied checkpoints may store the one matrix under either name. */
    if (!t && c->config->tied && p->spec->role == ROLE_EMBED && !tensor_source_gguf(c->source))
        t = tensor_source_find(c->source, "lm_head.weight");
    return t;
}

static esp_status check_shape(const tensor_entry *t, const param *p, esp_error *error) {
    bool matrix = param_rank(p) == 2;
    if (t->rank == param_rank(p) && t->shape[0] == p->rows && (!matrix || t->shape[1] == p->columns))
        return ESP_OK;
    char shape[128] = "";
    for (int i = 0; i < t->rank; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%lld", i ? ", " : "",
                 (long long)t->shape[i]);
    return error_fail(error, "use a checkpoint whose config.json belongs to it",
                      "%s: tensor %s has shape [%s], the configuration asks for [%lld%s%.0lld]", t->file,
                      t->name, shape, (long long)p->rows, matrix ? ", " : "",
                      (long long)(matrix ? p->columns : 0));
}

static int by_text(const void *a, const void *b) {
    return strcmp(((const param_name *)a)->text, ((const param_name *)b)->text);
}

/* Tensors that repeat what is known without them: a tied head under its own name, the frequencies of the
 * rotation, which old checkpoints store, and a GGUF file's factors of them, which the configuration read. */
static bool is_repeated(const checkpoint *c, const char *name) {
    if (tensor_source_gguf(c->source))
        return strcmp(name, CONFIG_ROPE_FACTORS) == 0 ||
               (c->config->rope.kind == ROPE_LONG &&
                (strcmp(name, CONFIG_SHORT_FACTORS) == 0 || strcmp(name, CONFIG_LONG_FACTORS_TENSOR) == 0));
    return (c->config->tied && strcmp(name, "lm_head.weight") == 0) ||
           text_ends_with(name, ".self_attn.rotary_emb.inv_freq");
}

esp_status checkpoint_check_known(const checkpoint *c, const param_set *params, esp_error *error) {
    param_name *names = MEM_ARRAY(param_name, params->count);
    for (int64_t i = 0; i < params->count; i++)
        names[i] =
            tensor_source_gguf(c->source) ? param_gguf_name(&params->at[i]) : param_hf_name(&params->at[i]);
    qsort(names, (size_t)params->count, sizeof *names, by_text);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < tensor_source_count(c->source) && status == ESP_OK; i++) {
        const tensor_entry *t = tensor_source_at(c->source, i);
        param_name name = own_name(c, t->name);
        bool known = strlen(t->name) < sizeof name.text &&
                     bsearch(&name, names, (size_t)params->count, sizeof *names, by_text);
        if (!known && !is_repeated(c, name.text) && !is_tower(c, t->name))
            status = error_fail(error, "use a model of a supported architecture, as it was published",
                                "%s: tensor %s is no part of a %s with this configuration", t->file, t->name,
                                c->config->arch->hf);
    }
    mem_free(names);
    return status;
}

static esp_status missing(const checkpoint *c, const param_name *name, esp_error *error) {
    return error_fail(error, "use a complete checkpoint whose config.json belongs to it",
                      "%s: tensor %s is missing", tensor_source_path(c->source), name->text);
}

esp_status checkpoint_read_param(void *user, const param *p, float *out, esp_error *error) {
    const checkpoint *c = user;
    param_name name;
    const tensor_entry *t = find_tensor(c, p, &name);
    if (!t) return missing(c, &name, error);
    ESP_TRY(check_shape(t, p, error));
    int64_t n = param_floats(p);
    ESP_TRY(tensor_read_f32(t, 0, n, out, error));
    if (tensor_type_block(t->type) > 1)
        for (int64_t i = 0; i < n; i++) out[i] = bf16_to_f32(bf16_from_f32(out[i]));
    if (tensor_source_gguf(c->source) && (p->spec->flags & PARAM_GGUF_PERMUTED))
        gguf_unpermute_rows(out, p->rows / c->config->head_width, c->config->head_width, p->columns);
    if (tensor_source_gguf(c->source) && (p->spec->flags & PARAM_PLUS_ONE))
        for (int64_t i = 0; i < n; i++) out[i] -= 1;
    return ESP_OK;
}

static esp_status check_param(const checkpoint *c, const param *p, esp_error *error) {
    enum { PIECE = 16384 }; /* whole blocks of every type */
    float piece[PIECE];
    param_name name;
    const tensor_entry *t = find_tensor(c, p, &name);
    if (!t) return missing(c, &name, error);
    ESP_TRY(check_shape(t, p, error));
    int64_t n = param_floats(p);
    for (int64_t at = 0; at < n; at += PIECE)
        ESP_TRY(tensor_read_f32(t, at, n - at < PIECE ? n - at : PIECE, piece, error));
    return ESP_OK;
}

esp_status checkpoint_check_params(const checkpoint *c, const param_set *params, esp_error *error) {
    ESP_TRY(checkpoint_check_known(c, params, error));
    for (int64_t i = 0; i < params->count; i++) ESP_TRY(check_param(c, &params->at[i], error));
    return ESP_OK;
}

esp_status model_check_weights(const char *path, esp_error *error) {
    if (adapter_is_at(path)) return adapter_check_weights(path, error);
    tensor_source *source;
    model_config config;
    ESP_TRY(checkpoint_open(&source, &config, path, error));
    param_set params = params_of(&config);
    checkpoint c = {source, &config};
    esp_status status = checkpoint_check_params(&c, &params, error);
    params_free(&params);
    tensor_source_close(source);
    return status;
}

static esp_status load_weights(model *m, const tensor_source *source, esp_error *error) {
    checkpoint c = {source, &m->config};
    ESP_TRY(checkpoint_check_known(&c, &m->params, error));
    return model_fill(m, checkpoint_read_param, &c, error);
}

/* A model of whole weights, or with a new adapter over them. */
static esp_status open_plain(model **out, const char *path, const model_options *options, esp_error *error) {
    tensor_source *source;
    model_config config;
    ESP_TRY(checkpoint_open(&source, &config, path, error));
    checkpoint c = {source, &config};
    esp_status status = checkpoint_allocate(out, &c, path, options, error);
    if (status == ESP_OK && model_is_frozen(*out))
        status = adapter_begin(*out, &c, path, error);
    else if (status == ESP_OK)
        status = load_weights(*out, source, error);
    tensor_source_close(source);
    return status;
}

esp_status checkpoint_allocate(model **out, const checkpoint *from, const char *path,
                               const model_options *options, esp_error *error) {
    model_memory need = model_memory_plan(from->config, options->compute->act, options, 0, 0);
    ESP_TRY(memory_check(need.weights + need.masters, path, error));
    return model_allocate(out, from->config, options, error);
}

esp_status model_open(model **out, const char *path, const model_options *options, esp_error *error) {
    *out = NULL;
    esp_status status = adapter_is_at(path) ? adapter_open_model(out, path, options, error)
                                            : open_plain(out, path, options, error);
    if (status != ESP_OK) {
        model_free(*out);
        *out = NULL;
    }
    return status;
}

esp_status model_load_weights(model *m, const char *path, esp_error *error) {
    tensor_source *source;
    model_config config;
    if (model_is_frozen(m)) return adapter_load_other(m, path, error);
    if (adapter_is_at(path))
        return error_fail(error, "merge it into its base first",
                          "%s: is an adapter, where whole weights are needed", path);
    ESP_TRY(checkpoint_open(&source, &config, path, error));
    esp_status status = load_weights(m, source, error);
    tensor_source_close(source);
    return status;
}

esp_status checkpoint_write_params(const param_set *params, param_reader *read, void *user,
                                   const char *folder, const char *name, dtype type, esp_error *error) {
    char *file = path_join(folder, name);
    param_name *names = MEM_ARRAY(param_name, params->count);
    safetensors_spec *specs = MEM_ARRAY(safetensors_spec, params->count);
    int64_t largest = 0;
    for (int64_t i = 0; i < params->count; i++) {
        const param *p = &params->at[i];
        names[i] = param_hf_name(p);
        specs[i] = (safetensors_spec){.name = names[i].text,
                                      .type = type == DTYPE_F32 ? TENSOR_F32 : TENSOR_BF16,
                                      .rank = param_rank(p),
                                      .shape = {p->rows, param_rank(p) == 2 ? p->columns : 0}};
        if (param_floats(p) > largest) largest = param_floats(p);
    }
    float *numbers = NULL;
    safetensors_writer *w = NULL;
    esp_status status = mem_big_alloc((void **)&numbers, (size_t)largest * 4, "writing weights", error);
    if (status == ESP_OK) status = safetensors_write_begin(&w, file, specs, params->count, error);
    for (int64_t i = 0; i < params->count && status == ESP_OK; i++) {
        const param *p = &params->at[i];
        status = read(user, p, numbers, error);
        if (status == ESP_OK) status = safetensors_write_floats(w, i, numbers, param_floats(p), error);
        if (status != ESP_OK) safetensors_write_abort(w);
    }
    if (status == ESP_OK) status = safetensors_write_end(w, error);
    mem_big_free(numbers);
    mem_free(specs);
    mem_free(names);
    mem_free(file);
    return status;
}

esp_status checkpoint_read_master(void *user, const param *p, float *out, esp_error *error) {
    const model *m = user;
    m->compute->ops->get(m->compute, out, m->master + p->offset, (size_t)param_floats(p) * 4);
    return compute_check(m->compute, error);
}

static esp_status write_config(const model_config *config, const char *folder, dtype type, esp_error *error) {
    char *file = path_join(folder, "config.json");
    json_t *object = json_object();
    config_sink sink = config_sink_json(object);
    config_write(config, &sink);
    json_object_set_new(object, "torch_dtype", json_string(type == DTYPE_F32 ? "float32" : "bfloat16"));
    esp_status status = json_write_file(file, object, true, error);
    json_decref(object);
    mem_free(file);
    return status;
}

static const char *const weights_name = "model.safetensors";

esp_status model_save(const model *m, const char *folder, dtype type, esp_error *error) {
    assert(m->master);
    if (model_is_frozen(m)) return adapter_save(m, folder, type, error);
    ESP_TRY(write_config(&m->config, folder, type, error));
    return checkpoint_write_params(&m->params, checkpoint_read_master, (void *)(uintptr_t)m, folder,
                                   weights_name, type, error);
}

esp_status checkpoint_convert(const checkpoint *from, param_reader *read, void *user, const char *folder,
                              dtype type, esp_error *error) {
    param_set params = params_of(from->config);
    esp_status status = checkpoint_check_known(from, &params, error);
    if (status == ESP_OK) status = write_config(from->config, folder, type, error);
    if (status == ESP_OK)
        status = checkpoint_write_params(&params, read, user, folder, weights_name, type, error);
    params_free(&params);
    return status;
}

esp_status model_convert(const char *path, const char *folder, dtype type, esp_error *error) {
    if (adapter_is_at(path)) return adapter_convert_merged(path, folder, type, error);
    tensor_source *source;
    model_config config;
    ESP_TRY(checkpoint_open(&source, &config, path, error));
    checkpoint from = {source, &config};
    esp_status status = checkpoint_convert(&from, checkpoint_read_param, &from, folder, type, error);
    tensor_source_close(source);
    return status;
}
