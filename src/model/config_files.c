#include "model/config_files.h"

#include "base/memory.h"
#include "formats/json.h"

#include <stdlib.h>
#include <string.h>

/* ---- config.json ---- */

/* The container of a key's last part, whose name *last becomes; NULL: there is none. */
static const json_t *container_of(const json_t *object, const char *key, const char **last) {
    for (const char *dot; object && (dot = strchr(key, '.')); key = dot + 1) {
        char *part = mem_strndup(key, (size_t)(dot - key));
        object = json_object_get(object, part);
        mem_free(part);
    }
    *last = key;
    return object;
}

static json_t *json_at(const json_t *object, const char *key) {
    const char *last;
    const json_t *in = container_of(object, key, &last);
    return json_is_array(in) ? json_array_get(in, (size_t)strtoul(last, NULL, 10))
                             : json_object_get(in, last);
}

static bool json_has(const void *from, const char *key) {
    const json_t *value = json_at(from, key);
    return value && !json_is_null(value);
}

static bool json_holds(const void *from, const char *key, bool list) {
    const json_t *value = json_at(from, key);
    return list ? json_is_array(value) : json_is_object(value);
}

static const void *json_inside(const void *from, const char *key) {
    return json_at(from, key);
}

/* json_need_... on an object that has the value under the whole key, which the errors name. */
static json_t *alone(const config_source *s, const char *key) {
    json_t *object = json_object(), *value = json_at(s->from, key);
    if (value) json_object_set(object, key, value);
    return object;
}

static esp_status json_integer_of(const config_source *s, const char *key, int64_t *out, esp_error *error) {
    json_t *object = alone(s, key);
    esp_status status = json_need_integer(object, key, s->where, out, error);
    json_decref(object);
    return status;
}

static esp_status json_number_of(const config_source *s, const char *key, double *out, esp_error *error) {
    json_t *object = alone(s, key);
    esp_status status = json_need_number(object, key, s->where, out, error);
    json_decref(object);
    return status;
}

/* Lives as long as the source's object. */
static esp_status json_text_of(const config_source *s, const char *key, const char **out, esp_error *error) {
    json_t *object = alone(s, key);
    esp_status status = json_need_string(object, key, s->where, out, error);
    json_decref(object);
    return status;
}

static esp_status json_flag_of(const config_source *s, const char *key, bool *out, esp_error *error) {
    const json_t *value = json_at(s->from, key);
    *out = json_is_true(value);
    if (json_is_boolean(value)) return ESP_OK;
    return error_fail(error, "write true or false", "%s: \"%s\" is not true or false", s->where, key);
}

config_source config_source_json(const json_t *object, const char *where) {
    return (config_source){.from = object,
                           .where = where,
                           .has = json_has,
                           .holds = json_holds,
                           .inside = json_inside,
                           .integer = json_integer_of,
                           .number = json_number_of,
                           .flag = json_flag_of,
                           .text = json_text_of};
}

/* Sets the value, which it owns, and makes the objects and lists that it is in. */
static void put(void *to, const char *key, json_t *value) {
    json_t *in = to;
    for (const char *dot; (dot = strchr(key, '.')); key = dot + 1) {
        bool list = dot[1] == '0' && !dot[2];
        char *part = mem_strndup(key, (size_t)(dot - key));
        json_t *next = json_object_get(in, part);
        if (!next) json_object_set_new(in, part, next = list ? json_array() : json_object());
        mem_free(part);
        in = next;
    }
    if (json_is_array(in))
        json_array_append_new(in, value);
    else
        json_object_set_new(in, key, value);
}

static void put_integer(void *to, const char *key, int64_t value) {
    put(to, key, json_integer(value));
}
static void put_number(void *to, const char *key, double value) {
    put(to, key, json_real(value));
}
static void put_flag(void *to, const char *key, bool value) {
    put(to, key, json_boolean(value));
}
static void put_text(void *to, const char *key, const char *value) {
    put(to, key, json_string(value));
}
static void put_null(void *to, const char *key) {
    put(to, key, json_null());
}

config_sink config_sink_json(json_t *object) {
    return (config_sink){object, put_integer, put_number, put_flag, put_text, put_null};
}

/* ---- GGUF ---- */

static bool gguf_has_key(const void *from, const char *key) {
    return gguf_has(from, key);
}
static esp_status gguf_integer_of(const config_source *s, const char *key, int64_t *out, esp_error *error) {
    return gguf_need_integer(s->from, key, out, error);
}
static esp_status gguf_number_of(const config_source *s, const char *key, double *out, esp_error *error) {
    return gguf_need_number(s->from, key, out, error);
}
static esp_status gguf_flag_of(const config_source *s, const char *key, bool *out, esp_error *error) {
    return gguf_need_bool(s->from, key, out, error);
}
static esp_status gguf_text_of(const config_source *s, const char *key, const char **out, esp_error *error) {
    return gguf_need_string(s->from, key, out, error);
}

static int64_t gguf_rows(const void *from, const char *tensor) {
    for (int64_t i = 0; i < gguf_tensor_count(from); i++) {
        const tensor_entry *t = gguf_tensor_at(from, i);
        if (strcmp(t->name, tensor) == 0) return t->rank > 0 ? t->shape[0] : 0;
    }
    return 0;
}

static esp_status gguf_numbers(const config_source *s, const char *tensor, int64_t count, float *out,
                               esp_error *error) {
    for (int64_t i = 0; i < gguf_tensor_count(s->from); i++) {
        const tensor_entry *t = gguf_tensor_at(s->from, i);
        if (strcmp(t->name, tensor) != 0) continue;
        if (t->rank == 1 && t->shape[0] == count) return tensor_read_f32(t, 0, count, out, error);
        return error_fail(error, "use a complete file, as it was published",
                          "%s: tensor %s does not have %lld numbers", s->where, tensor, (long long)count);
    }
    return error_fail(error, "use a complete file, as it was published", "%s: tensor %s is missing", s->where,
                      tensor);
}

config_source config_source_gguf(const gguf_file *file) {
    return (config_source){.from = file,
                           .where = gguf_path(file),
                           .gguf = true,
                           .has = gguf_has_key,
                           .integer = gguf_integer_of,
                           .number = gguf_number_of,
                           .flag = gguf_flag_of,
                           .text = gguf_text_of,
                           .rows = gguf_rows,
                           .numbers = gguf_numbers};
}
