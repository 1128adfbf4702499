/* Checkpoints in and out: Hugging Face folders and GGUF files to parameters, parameters to Hugging Face
 * folders. */
#include "base/file.h"
#include "base/half.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/tensor_file.h"
#include "model/internal.h"

#include <stdio.h>
#include <string.h>

/* source NULL: a folder, whose weights are not looked at. */
static esp_status read_config(model_config *out, const char *path, const tensor_source *source,
                              esp_error *error) {
    if (source && tensor_source_gguf(source)) return config_from_gguf(out, tensor_source_gguf(source), error);
    const char *slash = strrchr(path, '/');
    char *folder = file_is_folder(path) ? mem_strdup(path)
                   : slash              ? mem_strndup(path, (size_t)(slash - path))
                                        : mem_strdup(".");
    char *file = path_join(folder, "config.json");
    json_t *object = NULL;
    esp_status status = json_read_file(file, &object, error);
    if (status == ESP_OK) status = config_from_json(out, object, file, error);
    json_decref(object);
    mem_free(folder);
    mem_free(file);
    return status;
}

/* Opens what the path names: weights and configuration, checked, nothing loaded yet. */
static esp_status open_source(tensor_source **source, model_config *config, const char *path,
                              esp_error *error) {
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
    if (file_is_folder(path)) return read_config(out, path, NULL, error);
    ESP_TRY(open_source(&source, out, path, error));
    tensor_source_close(source);
    return ESP_OK;
}

/* The GGUF spelling of a Hugging Face parameter name. */
static void gguf_name(const char *name, char *out, size_t size) {
    static const struct {
        const char *from, *to;
    } parts[] = {
        {"input_layernorm.weight", "attn_norm.weight"},
        {"post_attention_layernorm.weight", "ffn_norm.weight"},
        {"self_attn.q_proj.weight", "attn_q.weight"},
        {"self_attn.k_proj.weight", "attn_k.weight"},
        {"self_attn.v_proj.weight", "attn_v.weight"},
        {"self_attn.o_proj.weight", "attn_output.weight"},
        {"mlp.gate_proj.weight", "ffn_gate.weight"},
        {"mlp.up_proj.weight", "ffn_up.weight"},
        {"mlp.down_proj.weight", "ffn_down.weight"},
    };
    int layer, used = 0;
    if (sscanf(name, "model.layers.%d.%n", &layer, &used) == 1 && used > 0) {
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            if (strcmp(name + used, parts[i].from) == 0) snprintf(out, size, "blk.%d.%s", layer, parts[i].to);
    } else if (strcmp(name, "model.embed_tokens.weight") == 0)
        snprintf(out, size, "token_embd.weight");
    else if (strcmp(name, "model.norm.weight") == 0)
        snprintf(out, size, "output_norm.weight");
    else
        snprintf(out, size, "output.weight");
}

static const tensor_entry *find_parameter(const model *m, const tensor_source *source, const parameter *p,
                                          char *name, size_t size) {
    if (tensor_source_gguf(source))
        gguf_name(p->name, name, size);
    else
        snprintf(name, size, "%s", p->name);
    const tensor_entry *t = tensor_source_find(source, name);
    /* Tied checkpoints may store the one matrix under either name. */
    if (!t && m->config.tied && strcmp(name, "model.embed_tokens.weight") == 0)
        t = tensor_source_find(source, "lm_head.weight");
    return t;
}

/* One parameter as floats, in Hugging Face row order, out [rows, columns]. */
static esp_status read_parameter(const model *m, const tensor_source *source, const parameter *p, float *out,
                                 esp_error *error) {
    char name[128];
    const tensor_entry *t = find_parameter(m, source, p, name, sizeof name);
    if (!t)
        return error_fail(error, "use a complete checkpoint whose config.json belongs to it",
                          "%s: tensor %s is missing", tensor_source_path(source), name);
    bool right = t->rank == p->rank && t->shape[0] == p->rows && (p->rank == 1 || t->shape[1] == p->columns);
    if (!right) {
        char shape[128] = "";
        for (int i = 0; i < t->rank; i++)
            snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%lld", i ? ", " : "",
                     (long long)t->shape[i]);
        return error_fail(error, "use a checkpoint whose config.json belongs to it",
                          "%s: tensor %s has shape [%s], the configuration asks for [%lld%s%.0lld]", t->file,
                          t->name, shape, (long long)p->rows, p->rank == 2 ? ", " : "",
                          (long long)(p->rank == 2 ? p->columns : 0));
    }
    int64_t n = p->rows * p->columns;
    ESP_TRY(tensor_read_f32(t, 0, n, out, error));
    if (tensor_type_block(t->type) > 1)
        for (int64_t i = 0; i < n; i++) out[i] = bf16_to_f32(bf16_from_f32(out[i]));
    if (tensor_source_gguf(source) && strstr(p->name, "q_proj"))
        gguf_unpermute_rows(out, m->config.heads, m->config.head_width, p->columns);
    if (tensor_source_gguf(source) && strstr(p->name, "k_proj"))
        gguf_unpermute_rows(out, m->config.kv_heads, m->config.head_width, p->columns);
    return ESP_OK;
}

static esp_status load_units(model *m, const tensor_source *source, esp_error *error) {
    int64_t largest = 0;
    for (int64_t u = 0; u < m->unit_count; u++)
        if (m->units[u].rows * m->units[u].columns > largest)
            largest = m->units[u].rows * m->units[u].columns;
    float *scratch = NULL;
    if (!m->master) ESP_TRY(mem_big_alloc((void **)&scratch, (size_t)largest * 4, "loading weights", error));
    esp_status status = ESP_OK;
    for (int64_t u = 0; u < m->unit_count && status == ESP_OK; u++) {
        const model_unit *unit = &m->units[u];
        float *w = m->master ? m->master + m->parameters[unit->first_parameter].offset : scratch;
        int64_t base = m->parameters[unit->first_parameter].offset;
        for (int64_t i = 0; i < unit->parameters && status == ESP_OK; i++) {
            const parameter *p = &m->parameters[unit->first_parameter + i];
            status = read_parameter(m, source, p, w + (p->offset - base), error);
        }
        if (status == ESP_OK) model_set_unit(m, unit, w);
    }
    mem_big_free(scratch);
    if (status == ESP_OK) status = compute_check(m->compute, error);
    return status;
}

esp_status model_open(model **out, const char *path, const model_options *options, esp_error *error) {
    *out = NULL;
    tensor_source *source;
    model_config config;
    ESP_TRY(open_source(&source, &config, path, error));
    model_memory need = model_memory_plan(&config, options->compute->act, options, 0, 0);
    esp_status status = memory_check(need.weights + need.masters, path, error);
    if (status == ESP_OK) status = model_allocate(out, &config, options, error);
    if (status == ESP_OK) status = load_units(*out, source, error);
    if (status != ESP_OK) {
        model_free(*out);
        *out = NULL;
    }
    tensor_source_close(source);
    return status;
}

esp_status model_load_weights(model *m, const char *path, esp_error *error) {
    tensor_source *source;
    model_config config;
    ESP_TRY(open_source(&source, &config, path, error));
    esp_status status = load_units(m, source, error);
    tensor_source_close(source);
    return status;
}

/* Writes parameters one after another; `read` gives each as floats that live until the next call. */
static esp_status write_parameters(const model *m, const char *folder, dtype type,
                                   const tensor_source *source, esp_error *error) {
    char *file = path_join(folder, "model.safetensors");
    safetensors_spec *specs = MEM_ARRAY(safetensors_spec, m->parameter_count);
    int64_t largest = 0;
    for (int64_t i = 0; i < m->parameter_count; i++) {
        const parameter *p = &m->parameters[i];
        specs[i] = (safetensors_spec){.name = p->name,
                                      .type = type == DTYPE_F32 ? TENSOR_F32 : TENSOR_BF16,
                                      .rank = p->rank,
                                      .shape = {p->rows, p->rank == 2 ? p->columns : 0}};
        if (p->rows * p->columns > largest) largest = p->rows * p->columns;
    }
    float *scratch = NULL;
    safetensors_writer *w = NULL;
    esp_status status =
        source ? mem_big_alloc((void **)&scratch, (size_t)largest * 4, "writing weights", error) : ESP_OK;
    if (status == ESP_OK) status = safetensors_write_begin(&w, file, specs, m->parameter_count, error);
    for (int64_t i = 0; i < m->parameter_count && status == ESP_OK; i++) {
        const parameter *p = &m->parameters[i];
        if (source) status = read_parameter(m, source, p, scratch, error);
        if (status == ESP_OK)
            status = safetensors_write_floats(w, i, source ? scratch : m->master + p->offset,
                                              p->rows * p->columns, error);
        if (status != ESP_OK) safetensors_write_abort(w);
    }
    if (status == ESP_OK) status = safetensors_write_end(w, error);
    mem_big_free(scratch);
    mem_free(specs);
    mem_free(file);
    return status;
}

static esp_status write_config(const model_config *config, const char *folder, dtype type, esp_error *error) {
    char *file = path_join(folder, "config.json");
    json_t *object = config_to_json(config);
    json_object_set_new(object, "torch_dtype", json_string(type == DTYPE_F32 ? "float32" : "bfloat16"));
    esp_status status = json_write_file(file, object, true, error);
    json_decref(object);
    mem_free(file);
    return status;
}

esp_status model_save(const model *m, const char *folder, dtype type, esp_error *error) {
    ESP_TRY(write_config(&m->config, folder, type, error));
    return write_parameters(m, folder, type, NULL, error);
}

esp_status model_convert(const char *path, const char *folder, dtype type, esp_error *error) {
    tensor_source *source;
    model m = {0};
    ESP_TRY(open_source(&source, &m.config, path, error));
    model_describe(&m);
    esp_status status = write_config(&m.config, folder, type, error);
    if (status == ESP_OK) status = write_parameters(&m, folder, type, source, error);
    mem_free(m.parameters);
    mem_free(m.units);
    mem_free(m.layers);
    tensor_source_close(source);
    return status;
}

double memory_available(void) {
    double available = 0, kb;
    FILE *f = fopen("/proc/meminfo", "re");
    char line[256];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lf kB", &kb) == 1) available = kb * 1024;
    if (f) fclose(f);
    double limit = 0, used = 0;
    FILE *max = fopen("/sys/fs/cgroup/memory.max", "re"), *now = fopen("/sys/fs/cgroup/memory.current", "re");
    if (max && now && fscanf(max, "%lf", &limit) == 1 && fscanf(now, "%lf", &used) == 1 &&
        limit - used < available)
        available = limit - used;
    if (max) fclose(max);
    if (now) fclose(now);
    return available;
}

esp_status memory_check(double needed, const char *what, esp_error *error) {
    double available = memory_available();
    if (available <= 0 || needed <= available) return ESP_OK;
    return error_fail(
        error,
        "use a smaller model or a smaller batch, close other programs, or take a machine with more memory",
        "%s: needs %.2f GB of memory, %.2f GB are free", what, needed / 1e9, available / 1e9);
}

model_memory model_memory_plan(const model_config *c, dtype act, const model_options *options,
                               int64_t tape_tokens, int64_t kv_tokens) {
    bool trainable = options->trainable;
    double D = (double)c->width, F = (double)c->feed_forward, V = (double)c->vocab, L = c->layers,
           A = (double)dtype_size(act);
    double HE = (double)c->heads * c->head_width, GE = (double)c->kv_heads * c->head_width;
    double layer = D * (HE + 2 * GE) + D * HE + 3 * D * F,
           n = L * (layer + 2 * D) + D + V * D * (c->tied ? 1 : 2);
    /* Bytes a token and layer: inside the layer, and its input. */
    double inside = 4 * (D + HE + c->heads + 2) + A * (2 * D + HE + 3 * F + 2 * GE), input = 4 * D;
    double shared = 4 * (2 * D + (HE + 2 * GE) + (F > HE ? F : HE) + 2 * HE + 2 * GE) + A * 2 * F;
    model_memory out = {0};
    /* The matrices in the backend's packing, the embedding's rows beside it, a second packing where backward
     * runs. */
    out.weights = A * (L * layer * (trainable ? 2 : 1) + V * D * (c->tied ? 2 : 3)) + 4 * D * (2 * L + 1);
    out.masters = trainable ? 4 * n : 0;
    out.optimizer = trainable ? 3 * 4 * n : 0; /* gradient and two moments */
    double tapes = trainable && !options->recompute ? L : 1;
    out.workspace = (double)tape_tokens * (inside * tapes + (trainable ? input * L : 0) + shared);
    out.kv = (double)kv_tokens * 2 * GE * A * L;
    return out;
}
