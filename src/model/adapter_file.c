#include "model/adapter_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const config_name = "adapter_config.json", *const base_name = "adapter_base.json";

static bool has_file(const char *folder, const char *name) {
    char *file = path_join(folder, name);
    bool there = file_exists(file);
    mem_free(file);
    return there;
}

bool adapter_is_at(const char *path) {
    return file_is_folder(path) && has_file(path, config_name);
}

void adapter_folder_free(adapter_folder *f) {
    mem_free(f->base);
    *f = (adapter_folder){0};
}

/* ---- reading ---- */

/* Keys that are read below, or that change nothing once an adapter is trained. */
static const char *const known[] = {"peft_type",
                                    "task_type",
                                    "inference_mode",
                                    "base_model_name_or_path",
                                    "revision",
                                    "auto_mapping",
                                    "peft_version",
                                    "r",
                                    "lora_alpha",
                                    "lora_dropout",
                                    "use_rslora",
                                    "target_modules",
                                    "bias",
                                    "init_lora_weights",
                                    "megatron_config",
                                    "megatron_core",
                                    "loftq_config",
                                    "eva_config",
                                    "corda_config",
                                    "qalora_group_size",
                                    "ensure_weight_tying"};

static bool is_known(const char *key) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], key) == 0) return true;
    return false;
}

static bool is_nothing(const json_t *value) {
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

static esp_status refuse(const char *file, const char *key, const json_t *value, esp_error *error) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    error_fail(error, "merge it into its base with PEFT (merge_and_unload), or train a plain LoRA",
               "%s: %s is %.60s, which is not supported", file, key, text ? text : "?");
    free(text);
    return ESP_FAILED;
}

/* Whatever a key that is not known asks for, such as use_dora or modules_to_save, is not computed. */
static esp_status check_keys(json_t *object, const char *file, esp_error *error) {
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) if (!is_known(key) &&
                                                !is_nothing(value)) return refuse(file, key, value, error);
    const json_t *type = json_object_get(object, "peft_type"), *bias = json_object_get(object, "bias"),
                 *init = json_object_get(object, "init_lora_weights");
    if (!json_is_string(type) || strcmp(json_string_value(type), "LORA") != 0)
        return error_fail(error, "use a LoRA adapter", "%s: peft_type is not LORA", file);
    if (!is_nothing(bias) && !(json_is_string(bias) && strcmp(json_string_value(bias), "none") == 0))
        return refuse(file, "bias", bias, error);
    /* Those by name but this one change the base as well. */
    if (json_is_string(init) && strcmp(json_string_value(init), "gaussian") != 0)
        return refuse(file, "init_lora_weights", init, error);
    return ESP_OK;
}

static esp_status add_target(const char *name, const char *file, unsigned *targets, esp_error *error) {
    for (int i = 0; adapter_target_name(i); i++)
        if (strcmp(adapter_target_name(i), name) == 0) {
            *targets |= 1u << i;
            return ESP_OK;
        }
    return error_fail(error,
                      "use an adapter of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj or down_proj",
                      "%s: target_modules has %.60s, which is not supported", file, name);
}

static esp_status read_targets(const json_t *value, const char *file, unsigned *targets, esp_error *error) {
    if (json_is_string(value) && strcmp(json_string_value(value), "all-linear") == 0) {
        *targets = ADAPT_ALL;
        return ESP_OK;
    }
    if (!json_is_array(value)) return refuse(file, "target_modules", value ? value : json_null(), error);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *name = json_array_get(value, i);
        if (!json_is_string(name)) return refuse(file, "target_modules", value, error);
        ESP_TRY(add_target(json_string_value(name), file, targets, error));
    }
    return ESP_OK;
}

/* A path as it is, else below the adapter's folder. */
static esp_status find_base(const char *folder, const char *file, const char *named, char **out,
                            esp_error *error) {
    *out = mem_strdup(named);
    if (file_exists(named)) return ESP_OK;
    char *below = path_join(folder, named);
    if (named[0] != '/' && file_exists(below)) {
        mem_free(*out);
        *out = below;
        return ESP_OK;
    }
    mem_free(below);
    mem_free(*out);
    *out = NULL;
    return error_fail(error, "get that model, and write its path as base_model_name_or_path into the file",
                      "%s: the base %s is not here", file, named);
}

static esp_status read_config(json_t *object, const char *folder, const char *file, adapter_folder *out,
                              esp_error *error) {
    const char *base;
    ESP_TRY(check_keys(object, file, error));
    ESP_TRY(json_need_integer(object, "r", file, &out->config.rank, error));
    ESP_TRY(json_need_number(object, "lora_alpha", file, &out->config.alpha, error));
    out->config.rslora = json_is_true(json_object_get(object, "use_rslora"));
    ESP_TRY(read_targets(json_object_get(object, "target_modules"), file, &out->config.targets, error));
    ESP_TRY(adapter_check(&out->config, file, error));
    ESP_TRY(json_need_string(object, "base_model_name_or_path", file, &base, error));
    ESP_TRY(find_base(folder, file, base, &out->base, error));
    if (!adapter_is_at(out->base)) return ESP_OK;
    return error_fail(error, "merge that one into its base first", "%s: the base %s is an adapter itself",
                      file, base);
}

/* The hash is optional: PEFT knows nothing of it. */
static esp_status read_hash(const char *folder, adapter_folder *out, esp_error *error) {
    char *file = path_join(folder, base_name);
    json_t *object = NULL;
    const char *text;
    esp_status status = ESP_OK;
    if (file_exists(file)) status = json_read_file(file, &object, error);
    if (status == ESP_OK && object) {
        status = json_need_string(object, "weights_xxh3", file, &text, error);
        char *end = NULL;
        if (status == ESP_OK) out->base_hash = strtoull(text, &end, 16);
        out->hashed = end && *end == '\0' && strlen(text) == 16;
        if (status == ESP_OK && !out->hashed)
            status = error_fail(error, "restore the file, or delete it, so that the base is not checked",
                                "%s: weights_xxh3 is not 16 hexadecimal digits", file);
    }
    json_decref(object);
    mem_free(file);
    return status;
}

esp_status adapter_folder_read(const char *path, adapter_folder *out, esp_error *error) {
    *out = (adapter_folder){0};
    char *file = path_join(path, config_name);
    json_t *object = NULL;
    esp_status status = json_read_file(file, &object, error);
    if (status == ESP_OK) status = read_config(object, path, file, out, error);
    if (status == ESP_OK) status = read_hash(path, out, error);
    if (status != ESP_OK) adapter_folder_free(out);
    json_decref(object);
    mem_free(file);
    return status;
}

/* ---- writing ---- */

static json_t *targets_json(unsigned targets) {
    json_t *list = json_array();
    for (int i = 0; adapter_target_name(i); i++)
        if (targets & 1u << i) json_array_append_new(list, json_string(adapter_target_name(i)));
    return list;
}

static esp_status write_object(const char *path, const char *name, json_t *object, esp_error *error) {
    char *file = path_join(path, name);
    esp_status status = json_write_file(file, object, true, error);
    json_decref(object);
    mem_free(file);
    return status;
}

esp_status adapter_folder_write(const char *path, const adapter_folder *f, esp_error *error) {
    double whole = (double)(int64_t)f->config.alpha;
    json_t *alpha = whole == f->config.alpha ? json_integer((json_int_t)whole) : json_real(f->config.alpha);
    json_t *object =
        json_pack("{ss ss sb ss sI so sf so ss sb}", "peft_type", "LORA", "task_type", "CAUSAL_LM",
                  "inference_mode", 1, "base_model_name_or_path", f->base, "r", (json_int_t)f->config.rank,
                  "lora_alpha", alpha, "lora_dropout", 0.0, "target_modules", targets_json(f->config.targets),
                  "bias", "none", "use_rslora", f->config.rslora);
    ESP_TRY(write_object(path, config_name, object, error));
    if (!f->hashed) return ESP_OK;
    char hash[24];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)f->base_hash);
    return write_object(path, base_name, json_pack("{ss}", "weights_xxh3", hash), error);
}

/* ---- others ---- */

esp_status adapter_tokenizer_path(const char *path, char **out, esp_error *error) {
    bool own = has_file(path, "tokenizer.json") || has_file(path, "tokenizer.json.gz");
    *out = mem_strdup(path);
    if (!adapter_is_at(path) || own) return ESP_OK;
    adapter_folder f;
    mem_free(*out);
    *out = NULL;
    ESP_TRY(adapter_folder_read(path, &f, error));
    *out = f.base;
    f.base = NULL;
    adapter_folder_free(&f);
    return ESP_OK;
}

esp_status adapter_tokenizer_open(tokenizer **out, const char *path, esp_error *error) {
    char *place;
    *out = NULL;
    ESP_TRY(adapter_tokenizer_path(path, &place, error));
    esp_status status = tokenizer_open(out, place, error);
    mem_free(place);
    return status;
}

esp_status adapter_same(const adapter_config *a, const adapter_config *b, const char *where,
                        esp_error *error) {
    if (a->rank == b->rank && a->alpha == b->alpha && a->rslora == b->rslora && a->targets == b->targets)
        return ESP_OK;
    return error_fail(
        error, "ask for the adapter that is there, or for none, and it is taken as it is",
        "%s: an adapter of rank %lld, alpha %g%s, where one of rank %lld, alpha %g%s%s is asked for", where,
        (long long)b->rank, b->alpha, b->rslora ? " (rslora)" : "", (long long)a->rank, a->alpha,
        a->rslora ? " (rslora)" : "", a->targets == b->targets ? "" : ", of other matrices,");
}
