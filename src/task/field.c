#include "task/field.h"

#include "formats/json.h"
#include "task/template.h"

#include <stdlib.h>
#include <string.h>

/* Member `name` of an object or a list. */
static json_t *member(const json_t *value, const char *name, size_t length) {
    if (json_is_object(value)) return json_object_getn(value, name, length);
    char *end, digits[16];
    if (!json_is_array(value) || length == 0 || length >= sizeof digits) return NULL;
    memcpy(digits, name, length);
    digits[length] = 0;
    long index = strtol(digits, &end, 10);
    if (*end) return NULL;
    if (index < 0) index += (long)json_array_size(value);
    return index < 0 ? NULL : json_array_get(value, (size_t)index);
}

json_t *field_at(const char *path, size_t length, const json_t *row) {
    json_t *whole = member(row, path, length); /* a key may have dots itself */
    const char *dot = memchr(path, '.', length);
    if (whole || !dot) return json_is_null(whole) ? NULL : whole;
    size_t n = (size_t)(dot - path);
    json_t *inner = member(row, path, n);
    return inner ? field_at(dot + 1, length - n - 1, inner) : NULL;
}

bool field_text(const json_t *value, text_buffer *out) {
    text_puts(out, "");
    if (json_is_string(value)) {
        text_append(out, json_string_value(value), json_string_length(value));
        return strlen(json_string_value(value)) == json_string_length(value);
    }
    if (json_is_boolean(value)) return text_puts(out, json_is_true(value) ? "true" : "false"), true;
    if (json_is_number(value)) {
        char *number = json_number_text(value);
        text_puts(out, number);
        mem_free(number);
        return true;
    }
    if (!json_is_array(value)) return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (i > 0) text_puts(out, "\n");
        if (json_is_array(json_array_get(value, i)) || !field_text(json_array_get(value, i), out))
            return false;
    }
    return true;
}

static bool fill(void *user, const char *name, size_t length, text_buffer *out) {
    const json_t *value = field_at(name, length, user);
    return value && field_text(value, out);
}

/* The value of one alternative. */
static json_t *alternative(const char *field, const json_t *row) {
    if (*field == '=') return json_string(field + 1);
    if (!template_has_places(field)) return json_incref(field_at(field, strlen(field), row));
    text_buffer text = {0};
    json_t *value = NULL;
    if (template_fill(field, fill, (void *)row, &text)) value = json_string(text.at ? text.at : "");
    text_free(&text);
    return value;
}

json_t *field_value(const char *fields, const json_t *row) {
    json_t *value = NULL;
    for (const char *at = fields; *at && !value; at += *at == '\n') {
        size_t n = strcspn(at, "\n");
        char *one = mem_strndup(at, n);
        if (n > 0) value = alternative(one, row);
        mem_free(one);
        at += n;
    }
    return value;
}

void field_names(const char *fields, text_buffer *out) {
    const char *between = "";
    for (const char *at = fields; *at; at += *at == '\n') {
        size_t n = strcspn(at, "\n");
        if (*at != '=') {
            text_printf(out, "%s\"%.*s\"", between, (int)n, at);
            between = " or ";
        }
        at += n;
    }
}

esp_status field_check(const char *fields, const char *key, esp_error *error) {
    esp_status status = ESP_OK;
    for (const char *at = fields; *at && status == ESP_OK; at += *at == '\n') {
        size_t n = strcspn(at, "\n");
        char *one = mem_strndup(at, n);
        if (*one != '=') status = template_check(one, NULL, key, error);
        mem_free(one);
        at += n;
    }
    return status;
}
