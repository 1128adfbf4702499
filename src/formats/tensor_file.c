#include "formats/tensor_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/safetensors.h"

#include <stdlib.h>
#include <string.h>

static const char *const WEIGHTS_NAME = "model.safetensors";
static const char *const INDEX_NAME = "model.safetensors.index.json";

struct tensor_source {
    char *path;
    MEM_LIST(const tensor_entry *) entries; /* by name */
    MEM_LIST(safetensors_file *) files;
    MEM_LIST(char *) file_names; /* of the shards, as the index names them */
    gguf_file *gguf;
};

static int by_name(const void *a, const void *b) {
    return strcmp((*(const tensor_entry *const *)a)->name, (*(const tensor_entry *const *)b)->name);
}

static void sort_entries(tensor_source *s) {
    if (s->entries.count > 1) qsort(s->entries.at, (size_t)s->entries.count, sizeof *s->entries.at, by_name);
}

static esp_status open_gguf(tensor_source *s, const char *path, esp_error *error) {
    ESP_TRY(gguf_open(&s->gguf, path, error));
    for (int64_t i = 0; i < gguf_tensor_count(s->gguf); i++)
        MEM_LIST_PUSH(&s->entries, gguf_tensor_at(s->gguf, i));
    sort_entries(s);
    return ESP_OK;
}

static esp_status open_one(tensor_source *s, const char *path, esp_error *error) {
    safetensors_file *file;
    ESP_TRY(safetensors_open(&file, path, error));
    MEM_LIST_PUSH(&s->files, file);
    for (int64_t i = 0; i < safetensors_count(file); i++) MEM_LIST_PUSH(&s->entries, safetensors_at(file, i));
    sort_entries(s);
    return ESP_OK;
}

/* The shard of that name, opened at its first use. */
static esp_status open_shard(tensor_source *s, const char *index, const char *name, safetensors_file **out,
                             esp_error *error) {
    for (int64_t i = 0; i < s->files.count; i++) {
        *out = s->files.at[i];
        if (strcmp(s->file_names.at[i], name) == 0) return ESP_OK;
    }
    if (*name == '\0' || strchr(name, '/') || strcmp(name, "..") == 0)
        return error_fail(error, "write the name of a file in the index's folder",
                          "%s: \"%s\" is not the name of a file in the index's folder", index, name);
    const char *slash = strrchr(index, '/');
    char *path = slash ? mem_printf("%.*s/%s", (int)(slash - index), index, name) : mem_strdup(name);
    esp_status status = safetensors_open(out, path, error);
    mem_free(path);
    if (status != ESP_OK) return error_prefix(error, "%s", index);
    MEM_LIST_PUSH(&s->files, *out);
    MEM_LIST_PUSH(&s->file_names, mem_strdup(name));
    return ESP_OK;
}

/* Adds the tensors that the index places in this shard. *placed counts them. */
static void take_shard(tensor_source *s, const json_t *map, int64_t shard, size_t *placed) {
    const safetensors_file *file = s->files.at[shard];
    for (int64_t i = 0; i < safetensors_count(file); i++) {
        const tensor_entry *t = safetensors_at(file, i);
        const char *name = json_string_value(json_object_get(map, t->name));
        if (!name || strcmp(name, s->file_names.at[shard]) != 0) continue;
        MEM_LIST_PUSH(&s->entries, t);
        (*placed)++;
    }
}

static esp_status take_map(tensor_source *s, const char *index, json_t *map, esp_error *error) {
    if (!json_is_object(map) || json_object_size(map) == 0)
        return error_fail(error, "copy or download the file again",
                          "%s: \"weight_map\" (tensor name to file name) is missing or empty", index);
    const char *name;
    json_t *value;
    json_object_foreach(map, name, value) {
        safetensors_file *file;
        if (!json_is_string(value))
            return error_fail(error, "copy or download the file again",
                              "%s: tensor \"%s\": its file must be a string", index, name);
        ESP_TRY(open_shard(s, index, json_string_value(value), &file, error));
    }
    size_t placed = 0;
    for (int64_t i = 0; i < s->files.count; i++) take_shard(s, map, i, &placed);
    sort_entries(s);
    if (placed == json_object_size(map)) return ESP_OK;
    json_object_foreach(map, name, value) {
        if (!tensor_source_find(s, name))
            return error_fail(
                error,
                "the index and the shards belong to different models: copy or download all of them again",
                "%s: tensor \"%s\" should be in %s but is not", index, name, json_string_value(value));
    }
    return ESP_OK;
}

static esp_status open_index(tensor_source *s, const char *path, esp_error *error) {
    json_t *index;
    ESP_TRY(json_read_file(path, &index, error));
    esp_status status = take_map(s, path, json_object_get(index, "weight_map"), error);
    json_decref(index);
    return status;
}

static esp_status open_folder(tensor_source *s, const char *path, esp_error *error) {
    char *weights = path_join(path, WEIGHTS_NAME), *index = path_join(path, INDEX_NAME);
    esp_status status;
    if (file_exists(weights))
        status = open_one(s, weights, error);
    else if (file_exists(index))
        status = open_index(s, index, error);
    else
        status = error_fail(
            error,
            "give a Hugging Face folder with weights in safetensors, a .safetensors file or a .gguf file",
            "%s: the folder has neither %s nor %s", path, WEIGHTS_NAME, INDEX_NAME);
    mem_free(weights);
    mem_free(index);
    return status;
}

static bool ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static esp_status has_gguf_mark(const char *path, bool *out, esp_error *error) {
    file_map map;
    ESP_TRY(file_map_open(&map, path, error));
    *out = map.length >= 4 && memcmp(map.at, "GGUF", 4) == 0;
    file_map_close(&map);
    return ESP_OK;
}

static esp_status open_any(tensor_source *s, const char *path, esp_error *error) {
    if (file_is_folder(path)) return open_folder(s, path, error);
    if (ends_in(path, ".index.json")) return open_index(s, path, error);
    bool gguf = false;
    ESP_TRY(has_gguf_mark(path, &gguf, error));
    return gguf || ends_in(path, ".gguf") ? open_gguf(s, path, error) : open_one(s, path, error);
}

esp_status tensor_source_open(tensor_source **out, const char *path, esp_error *error) {
    *out = NULL;
    tensor_source *s = MEM_NEW(tensor_source);
    s->path = mem_strdup(path);
    esp_status status = open_any(s, path, error);
    if (status == ESP_OK)
        *out = s;
    else
        tensor_source_close(s);
    return status;
}

void tensor_source_close(tensor_source *s) {
    if (!s) return;
    for (int64_t i = 0; i < s->files.count; i++) safetensors_close(s->files.at[i]);
    for (int64_t i = 0; i < s->file_names.count; i++) mem_free(s->file_names.at[i]);
    gguf_close(s->gguf);
    MEM_LIST_FREE(&s->files);
    MEM_LIST_FREE(&s->file_names);
    MEM_LIST_FREE(&s->entries);
    mem_free(s->path);
    mem_free(s);
}

const tensor_entry *tensor_source_find(const tensor_source *s, const char *name) {
    tensor_entry wanted = {.name = name};
    const tensor_entry *key = &wanted, **found = NULL;
    if (s->entries.count > 0)
        found = bsearch(&key, s->entries.at, (size_t)s->entries.count, sizeof *s->entries.at, by_name);
    return found ? *found : NULL;
}

int64_t tensor_source_count(const tensor_source *s) {
    return s->entries.count;
}

const tensor_entry *tensor_source_at(const tensor_source *s, int64_t i) {
    return s->entries.at[i];
}

const char *tensor_source_path(const tensor_source *s) {
    return s->path;
}

const gguf_file *tensor_source_gguf(const tensor_source *s) {
    return s->gguf;
}
