#include "formats/safetensors.h"

#include "base/file.h"
#include "base/memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const DAMAGED_HINT = "the file is damaged or cut off: copy or download it again";

enum { LENGTH_BYTES = 8, HEADER_MAX = 100000000 }; /* the same limit as in the safetensors library */

struct safetensors_file {
    arena *memory;
    const char *path;
    file_map map;
    tensor_entry *tensors;
    int64_t count;
};

static esp_status read_shape(const char *path, const json_t *shape, tensor_entry *t, esp_error *error) {
    size_t rank = json_array_size(shape), i;
    json_t *n;
    if (!json_is_array(shape) || rank > TENSOR_RANK_MAX)
        return error_fail(error, DAMAGED_HINT,
                          "%s: tensor \"%s\": \"shape\" must be a list of at most %d sizes", path, t->name,
                          TENSOR_RANK_MAX);
    t->rank = (int)rank;
    json_array_foreach(shape, i, n) {
        if (!json_is_integer(n) || json_integer_value(n) < 0)
            return error_fail(error, DAMAGED_HINT,
                              "%s: tensor \"%s\": \"shape\" contains something that is not a size", path,
                              t->name);
        t->shape[i] = json_integer_value(n);
    }
    return ESP_OK;
}

/* Offsets [begin, end) in the data, into t->bytes and t->length; they must match type and shape and be within
 * the file. */
static esp_status read_place(const safetensors_file *s, const json_t *offsets, size_t data_at,
                             tensor_entry *t, esp_error *error) {
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) ||
        json_integer_value(first) < 0 || json_integer_value(last) < json_integer_value(first))
        return error_fail(error, DAMAGED_HINT,
                          "%s: tensor \"%s\": \"data_offsets\" must be two growing integers", s->path,
                          t->name);
    size_t begin = (size_t)json_integer_value(first), end = (size_t)json_integer_value(last);
    int64_t elements;
    if (!tensor_size(t->type, t->rank, t->shape, &elements, &t->length))
        return error_fail(error, DAMAGED_HINT, "%s: tensor \"%s\" has an impossible shape", s->path, t->name);
    if (end - begin != t->length)
        return error_fail(error, DAMAGED_HINT,
                          "%s: tensor \"%s\": its shape in %s takes %zu bytes, its \"data_offsets\" give %zu",
                          s->path, t->name, tensor_type_name(t->type), t->length, end - begin);
    size_t data = s->map.length - data_at, found = begin < data ? data - begin : 0;
    if (end > data)
        return error_fail(
            error, DAMAGED_HINT,
            "%s: tensor \"%s\" is cut off: %zu bytes expected, %zu found (the file has %zu bytes)", s->path,
            t->name, t->length, found, s->map.length);
    t->bytes = s->map.at + data_at + begin;
    return ESP_OK;
}

static esp_status read_tensor(const safetensors_file *s, const char *name, const json_t *description,
                              size_t data_at, tensor_entry *t, esp_error *error) {
    t->name = arena_strdup(s->memory, name);
    t->file = s->path;
    const char *dtype = json_string_value(json_object_get(description, "dtype"));
    if (!dtype)
        return error_fail(error, DAMAGED_HINT, "%s: tensor \"%s\": \"dtype\" is missing", s->path, name);
    if (!tensor_type_by_name(dtype, &t->type) || tensor_type_block(t->type) != 1)
        return error_fail(error, "use weights stored as F32, F16 or BF16",
                          "%s: tensor \"%s\": unknown dtype \"%s\"", s->path, name, dtype);
    ESP_TRY(read_shape(s->path, json_object_get(description, "shape"), t, error));
    return read_place(s, json_object_get(description, "data_offsets"), data_at, t, error);
}

static int by_place(const void *a, const void *b) {
    const tensor_entry *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The tensors, sorted by offset, must cover the data from the first byte to the last without gaps. */
static esp_status check_cover(const safetensors_file *s, size_t data_at, esp_error *error) {
    const uint8_t *at = s->map.at + data_at, *end = s->map.at + s->map.length;
    for (int64_t i = 0; i < s->count; i++) {
        const tensor_entry *t = &s->tensors[i];
        if (t->bytes != at)
            return error_fail(
                error, DAMAGED_HINT,
                "%s: tensor \"%s\" begins at byte %zu of the data, %zu expected: tensors must follow "
                "one another without gaps",
                s->path, t->name, (size_t)(t->bytes - s->map.at) - data_at,
                (size_t)(at - s->map.at) - data_at);
        at += t->length;
    }
    if (at != end)
        return error_fail(error, DAMAGED_HINT, "%s: %zu bytes after the last tensor belong to no tensor",
                          s->path, (size_t)(end - at));
    return ESP_OK;
}

static esp_status read_tensors(safetensors_file *s, json_t *header, size_t data_at, esp_error *error) {
    if (!json_is_object(header))
        return error_fail(error, DAMAGED_HINT, "%s: the header is not a JSON object", s->path);
    s->tensors = ARENA_ARRAY(s->memory, tensor_entry, json_object_size(header) + 1);
    const char *name;
    json_t *description;
    json_object_foreach(header, name, description) {
        if (strcmp(name, "__metadata__") == 0) continue;
        ESP_TRY(read_tensor(s, name, description, data_at, &s->tensors[s->count], error));
        s->count++;
    }
    qsort(s->tensors, (size_t)s->count, sizeof *s->tensors, by_place);
    return check_cover(s, data_at, error);
}

static esp_status parse(safetensors_file *s, esp_error *error) {
    uint64_t length;
    if (s->map.length < LENGTH_BYTES)
        return error_fail(error, DAMAGED_HINT,
                          "%s: a safetensors file has at least %d bytes, this one has %zu", s->path,
                          LENGTH_BYTES, s->map.length);
    memcpy(&length, s->map.at, sizeof length);
    if (length > s->map.length - LENGTH_BYTES || length > HEADER_MAX)
        return error_fail(
            error, "the file is damaged, cut off, or not a safetensors file: copy or download it again",
            "%s: it declares a header of %llu bytes, but the file has %zu bytes", s->path,
            (unsigned long long)length, s->map.length);
    json_error_t je;
    json_t *header =
        json_loadb((const char *)s->map.at + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &je);
    if (!header)
        return error_fail(error, DAMAGED_HINT, "%s: the header is not JSON: byte %d: %s", s->path,
                          je.position, je.text);
    esp_status status = read_tensors(s, header, LENGTH_BYTES + (size_t)length, error);
    json_decref(header);
    return status;
}

esp_status safetensors_open(safetensors_file **out, const char *path, esp_error *error) {
    *out = NULL;
    file_map map;
    ESP_TRY(file_map_open(&map, path, error));
    arena *memory = arena_new();
    safetensors_file *s = ARENA_NEW(memory, safetensors_file);
    *s = (safetensors_file){.memory = memory, .path = arena_strdup(memory, path), .map = map};
    esp_status status = parse(s, error);
    if (status == ESP_OK)
        *out = s;
    else
        safetensors_close(s);
    return status;
}

void safetensors_close(safetensors_file *s) {
    if (!s) return;
    file_map_close(&s->map);
    arena_free(s->memory);
}

int64_t safetensors_count(const safetensors_file *s) {
    return s->count;
}

const tensor_entry *safetensors_at(const safetensors_file *s, int64_t i) {
    return &s->tensors[i];
}
