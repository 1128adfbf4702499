/* Reads the files next to a tokenizer.json (beginning and end of sequence, chat template), and writes a
 * tokenizer. */
#include "text/tokenizer_inner.h"

#include "base/file.h"
#include "formats/json.h"

#include <string.h>

/* Reads a JSON file of the folder; *out is NULL if there is none. */
static esp_status read_optional(const char *folder, const char *name, json_t **out, esp_error *error) {
    char *path = path_join(folder, name);
    esp_status status = ESP_OK;
    *out = NULL;
    if (file_exists(path)) status = json_read_file(path, out, error);
    mem_free(path);
    return status;
}

/* The id of a token that is named as a string or as {"content": ...}; -1 for none. */
static int32_t named_token(const tokenizer *t, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    const char *name = json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
    return name ? tokenizer_find(t, name) : -1;
}

static int32_t numbered_token(const tokenizer *t, const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (json_is_array(value)) value = json_array_get(value, 0);
    json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    return id >= 0 && id < t->words.size ? (int32_t)id : -1;
}

/* eos_token_id is a number or a list of them. */
static void add_ends(tokenizer *t, const json_t *config) {
    const json_t *value = json_object_get(config, "eos_token_id");
    if (json_is_integer(value)) tokenizer_add_end(t, json_integer_value(value));
    for (size_t i = 0; i < json_array_size(value); i++)
        tokenizer_add_end(t, json_integer_value(json_array_get(value, i)));
}

static int32_t first_known(const tokenizer *t, const char *const *names) {
    int32_t id = -1;
    for (; *names && id < 0; names++) id = tokenizer_find(t, *names);
    return id;
}

static const char *template_of(const json_t *config) {
    const json_t *value = json_object_get(config, "chat_template");
    size_t i;
    json_t *entry;
    json_array_foreach(value, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name && strcmp(name, "default") == 0)
            return json_string_value(json_object_get(entry, "template"));
    }
    return json_string_value(value);
}

static esp_status read_template_file(tokenizer *t, const char *folder, esp_error *error) {
    char *path = path_join(folder, "chat_template.jinja");
    size_t length;
    esp_status status = ESP_OK;
    if (file_exists(path)) status = file_read(path, &t->chat_template, &length, error);
    mem_free(path);
    return status;
}

/* transformers (from 5) builds its LlamaTokenizer only from the vocabulary and the merges, without an unknown
 * token, so it drops a character that has neither a piece nor bytes. An exported policy must tokenize text as
 * it did in the run. */
static bool is_rebuilt_without_unknown(const json_t *config) {
    const char *name = json_string_value(json_object_get(config, "tokenizer_class"));
    return name && (strcmp(name, "LlamaTokenizer") == 0 || strcmp(name, "LlamaTokenizerFast") == 0);
}

esp_status tokenizer_read_config(tokenizer *t, const char *folder, esp_error *error) {
    static const char *const begins[] = {"<s>", "<|begin_of_text|>", NULL};
    static const char *const ends[] = {"<|im_end|>",      "</s>",          "<|eot_id|>",
                                       "<|end_of_text|>", "<|endoftext|>", NULL};
    json_t *map = NULL, *model = NULL, *generation = NULL;
    esp_status status = read_optional(folder, "tokenizer_config.json", &t->config, error);
    if (status == ESP_OK) status = read_optional(folder, "special_tokens_map.json", &map, error);
    if (status == ESP_OK) status = read_optional(folder, "config.json", &model, error);
    if (status == ESP_OK) status = read_optional(folder, "generation_config.json", &generation, error);
    if (status == ESP_OK) status = read_template_file(t, folder, error);
    if (status == ESP_OK) {
        int32_t bos = named_token(t, t->config, "bos_token"), eos = named_token(t, t->config, "eos_token");
        if (bos < 0) bos = named_token(t, map, "bos_token");
        if (eos < 0) eos = named_token(t, map, "eos_token");
        if (bos < 0) bos = t->bos >= 0 ? t->bos : numbered_token(t, model, "bos_token_id");
        if (eos < 0) eos = numbered_token(t, model, "eos_token_id");
        t->bos = bos >= 0 ? bos : first_known(t, begins);
        t->eos = eos >= 0 ? eos : first_known(t, ends);
        tokenizer_add_end(t, t->eos);
        add_ends(t, model);
        add_ends(t, generation);
        const json_t *adds = json_object_get(t->config, "add_bos_token");
        if (json_is_boolean(adds)) t->adds_bos = json_is_true(adds);
        if (!t->chat_template) t->chat_template = mem_strdup(template_of(t->config));
        if (is_rebuilt_without_unknown(t->config)) t->words.unknown = -1;
    }
    json_decref(map);
    json_decref(model);
    json_decref(generation);
    return status;
}

/* The name of an id as the file writes it. */
static json_t *name_of(const tokenizer *t, int32_t id) {
    for (int64_t i = 0; i < t->added.count; i++)
        if (t->added.at[i].id == id) return json_string(t->added.at[i].content);
    byte_run piece = t->words.pieces[id];
    text_buffer name = {0};
    if (t->words.byte_level)
        byte_alphabet_write(piece.at, piece.length, &name);
    else
        text_append(&name, piece.at, piece.length);
    json_t *value = json_stringn(name.at, name.length);
    text_free(&name);
    return value;
}

static void set_if_absent(json_t *object, const char *key, json_t *value) {
    if (json_object_get(object, key))
        json_decref(value);
    else
        json_object_set_new(object, key, value);
}

static json_t *config_to_write(const tokenizer *t) {
    json_t *config = t->config ? json_deep_copy(t->config) : json_object();
    set_if_absent(config, "tokenizer_class", json_string("PreTrainedTokenizerFast"));
    set_if_absent(config, "clean_up_tokenization_spaces", json_false());
    if (t->bos >= 0) set_if_absent(config, "bos_token", name_of(t, t->bos));
    if (t->eos >= 0) set_if_absent(config, "eos_token", name_of(t, t->eos));
    if (t->words.unknown >= 0) set_if_absent(config, "unk_token", name_of(t, t->words.unknown));
    if (t->chat_template) set_if_absent(config, "chat_template", json_string(t->chat_template));
    return config;
}

static esp_status write_json(const char *folder, const char *name, const json_t *value, esp_error *error) {
    char *path = path_join(folder, name);
    esp_status status = json_write_file(path, value, true, error);
    mem_free(path);
    return status;
}

/* The other ids that end an answer are no part of the tokenizer's files. */
static esp_status write_ends(const tokenizer *t, const char *folder, esp_error *error) {
    json_t *generation = json_pack("{s:o}", "eos_token_id", json_from_ids(t->ends.at, t->ends.count));
    esp_status status = write_json(folder, "generation_config.json", generation, error);
    json_decref(generation);
    return status;
}

esp_status tokenizer_save(const tokenizer *t, const char *folder, esp_error *error) {
    char *path = path_join(folder, "tokenizer.json");
    esp_status status = file_write_all(path, t->json, t->json_length, error);
    mem_free(path);
    json_t *config = config_to_write(t), *map = json_object();
    static const char *const keys[] = {"bos_token", "eos_token", "unk_token", "pad_token"};
    for (int i = 0; i < 4; i++) {
        json_t *value = json_object_get(config, keys[i]);
        if (value && !json_is_null(value)) json_object_set(map, keys[i], value);
    }
    if (status == ESP_OK) status = write_json(folder, "tokenizer_config.json", config, error);
    if (status == ESP_OK) status = write_json(folder, "special_tokens_map.json", map, error);
    if (status == ESP_OK && t->ends.count > 1) status = write_ends(t, folder, error);
    json_decref(config);
    json_decref(map);
    return status;
}
