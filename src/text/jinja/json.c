/* JSON in and out: the context of a template, and tojson. */
#include "text/jinja/value.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_own(const jinja_run *r, const char *key) {
    for (const char *const *own = r->input->own; key && own && *own; own++)
        if (strcmp(*own, key) == 0) return true;
    return false;
}

static esp_status of_text(jinja_run *r, const char *text, size_t length, bool own, jinja_value *out) {
    ESP_TRY(jinja_charge(r, length));
    uint8_t *marks = arena_alloc(r->memory, length + 1);
    memset(marks, own, length);
    *out = jinja_of_string((jinja_string){arena_copy(r->memory, text, length + 1), marks, length, false});
    return ESP_OK;
}

static esp_status of_object(jinja_run *r, const json_t *json, jinja_value *out) {
    const char *name;
    json_t *entry;
    *out = (jinja_value){.kind = JINJA_DICT, .dict = jinja_dict_new(r)};
    json_object_foreach((json_t *)json, name, entry) {
        jinja_value key, v;
        ESP_TRY(of_text(r, name, strlen(name), false, &key));
        ESP_TRY(jinja_of_json(r, entry, name, &v));
        ESP_TRY(jinja_list_add(r, &out->dict->keys, key));
        ESP_TRY(jinja_list_add(r, &out->dict->values, v));
    }
    return ESP_OK;
}

static esp_status of_array(jinja_run *r, const json_t *json, const char *key, jinja_value *out) {
    *out = jinja_of_list(jinja_list_new(r));
    for (size_t i = 0; i < json_array_size(json); i++) {
        jinja_value v;
        ESP_TRY(jinja_of_json(r, json_array_get(json, i), key, &v));
        ESP_TRY(jinja_list_add(r, out->list, v));
    }
    return ESP_OK;
}

esp_status jinja_of_json(jinja_run *r, const json_t *json, const char *key, jinja_value *out) {
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return of_object(r, json, out);
    case JSON_ARRAY:
        return of_array(r, json, key, out);
    case JSON_STRING:
        return of_text(r, json_string_value(json), json_string_length(json), is_own(r, key), out);
    case JSON_INTEGER:
        *out = jinja_of_integer(json_integer_value(json));
        return ESP_OK;
    case JSON_REAL:
        *out = (jinja_value){.kind = JINJA_REAL, .real = json_real_value(json)};
        return ESP_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = jinja_of_bool(json_is_true(json));
        return ESP_OK;
    default:
        *out = jinja_none();
        return ESP_OK;
    }
}

/* ---- Out: as json.dumps writes it ---- */

typedef struct {
    jinja_run *run;
    jinja_json_form form;
    jinja_output *out;
} writing;

/* A character in words of ASCII; nothing where it stays as it is. */
static void escape(unsigned long c, bool ascii, char *out, size_t size) {
    static const char plain[] = "\"\\\n\r\t\b\f", names[] = "\"\\nrtbf";
    const char *at = c && c < 128 ? strchr(plain, (int)c) : NULL;
    if (at)
        snprintf(out, size, "\\%c", names[at - plain]);
    else if (c < 32 || (ascii && c > 126 && c < 0x10000))
        snprintf(out, size, "\\u%04lx", c);
    else if (ascii && c >= 0x10000)
        snprintf(out, size, "\\u%04lx\\u%04lx", 0xd800 + ((c - 0x10000) >> 10),
                 0xdc00 + ((c - 0x10000) & 0x3ff));
}

static unsigned long character_at(jinja_string s, size_t at, size_t length) {
    unsigned long c = (unsigned char)s.at[at];
    if (length > 1) c &= 0x7fu >> length;
    for (size_t i = 1; i < length; i++) c = c << 6 | ((unsigned char)s.at[at + i] & 0x3fu);
    return c;
}

static void write_string(writing *w, jinja_string s) {
    jinja_output_own(w->out, "\"", 1);
    for (size_t at = 0, n; at < s.length; at += n) {
        char words[16] = "";
        n = jinja_character(s, at);
        escape(character_at(s, at, n), w->form.ascii, words, sizeof words);
        if (!words[0]) jinja_output_string(w->out, jinja_part(s, at, at + n));
        for (size_t k = 0; words[k]; k++)
            jinja_output_string(w->out, (jinja_string){words + k, s.own + at, 1, false});
    }
    jinja_output_own(w->out, "\"", 1);
}

static void new_line(writing *w, int depth) {
    jinja_output_own(w->out, "\n", 1);
    for (int64_t i = 0; i < w->form.indent * depth; i++) jinja_output_own(w->out, " ", 1);
}

static esp_status write_value(writing *w, const jinja_value *v, int depth);

static esp_status write_key(writing *w, const jinja_value *key) {
    jinja_string text;
    if (key->kind == JINJA_BOOL || key->kind == JINJA_NONE)
        return jinja_refuse(w->run, "tojson of such a key");
    ESP_TRY(jinja_text(w->run, key, &text));
    write_string(w, text);
    jinja_output_own(w->out, ": ", 2);
    return ESP_OK;
}

/* The order of the keys: as they are, or sorted. */
static esp_status order_of(writing *w, const jinja_list *keys, int64_t *order) {
    for (int64_t i = 0; i < keys->count; i++) {
        int64_t k = i;
        for (; k > 0 && w->form.sort_keys; k--) {
            int by;
            ESP_TRY(jinja_charge(w->run, 0));
            ESP_TRY(jinja_order(w->run, &keys->at[i], &keys->at[order[k - 1]], &by));
            if (by >= 0) break;
            order[k] = order[k - 1];
        }
        order[k] = i;
    }
    return ESP_OK;
}

static esp_status write_all(writing *w, const jinja_list *keys, const jinja_list *values, int depth) {
    int64_t n = values->count;
    int64_t *order = ARENA_ARRAY(w->run->memory, int64_t, n + 1);
    for (int64_t i = 0; i < n; i++) order[i] = i;
    if (keys) ESP_TRY(order_of(w, keys, order));
    jinja_output_own(w->out, keys ? "{" : "[", 1);
    for (int64_t i = 0; i < n; i++) {
        bool lines = w->form.indent >= 0;
        if (i) jinja_output_own(w->out, ", ", lines ? 1 : 2);
        if (lines) new_line(w, depth + 1);
        if (keys) ESP_TRY(write_key(w, &keys->at[order[i]]));
        ESP_TRY(write_value(w, &values->at[order[i]], depth + 1));
    }
    if (n > 0 && w->form.indent >= 0) new_line(w, depth);
    jinja_output_own(w->out, keys ? "}" : "]", 1);
    return ESP_OK;
}

static esp_status write_value(writing *w, const jinja_value *v, int depth) {
    text_buffer text = {0};
    ESP_TRY(jinja_charge(w->run, v->kind == JINJA_STRING ? v->string.length : 1));
    if (depth > w->run->input->limits.depth)
        return jinja_fail(w->run, NULL, "values are too deep in each other");
    switch (v->kind) {
    case JINJA_NONE:
        jinja_output_own(w->out, "null", 4);
        return ESP_OK;
    case JINJA_BOOL:
        jinja_output_own(w->out, v->truth ? "true" : "false", v->truth ? 4 : 5);
        return ESP_OK;
    case JINJA_INTEGER:
    case JINJA_REAL:
        jinja_number_text(v, &text);
        jinja_output_own(w->out, text.at, text.length);
        text_free(&text);
        return ESP_OK;
    case JINJA_STRING:
        write_string(w, v->string);
        return ESP_OK;
    case JINJA_LIST:
    case JINJA_TUPLE:
        if (v->list->making != JINJA_MADE)
            return jinja_refuse(w->run, "tojson of such a list (put | list before)");
        return write_all(w, NULL, v->list, depth);
    case JINJA_DICT:
        return write_all(w, &v->dict->keys, &v->dict->values, depth);
    default:
        return jinja_fail(w->run, NULL, "%s cannot be written as JSON", jinja_kind_name(v));
    }
}

esp_status jinja_to_json(jinja_run *r, const jinja_value *v, jinja_json_form form, jinja_output *out) {
    writing w = {r, form, out};
    return write_value(&w, v, 0);
}
