#include "text/jinja/value.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *jinja_kind_name(const jinja_value *v) {
    static const char *const names[] = {"an undefined value",
                                        "none",
                                        "a boolean",
                                        "a whole number",
                                        "a number",
                                        "a string",
                                        "a list",
                                        "a tuple",
                                        "a dict",
                                        "a namespace",
                                        "a loop",
                                        "a macro",
                                        "a function",
                                        "a method"};
    return names[v->kind];
}

/* ---- Strings ---- */

esp_status jinja_own(jinja_run *r, const char *text, size_t length, jinja_string *out) {
    ESP_TRY(jinja_charge(r, length));
    uint8_t *own = arena_alloc(r->memory, length + 1);
    memset(own, 1, length);
    *out = (jinja_string){text, own, length, false};
    return ESP_OK;
}

jinja_string jinja_part(jinja_string s, size_t start, size_t end) {
    return (jinja_string){s.at + start, s.own + start, end - start, false};
}

bool jinja_string_is(jinja_string s, const char *text) {
    return s.length == strlen(text) && memcmp(s.at, text, s.length) == 0;
}

bool jinja_strings_equal(jinja_string a, jinja_string b) {
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

esp_status jinja_concat(jinja_run *r, const jinja_string *parts, int64_t n, jinja_string *out) {
    size_t length = 0, at = 0;
    for (int64_t i = 0; i < n; i++) length += parts[i].length;
    ESP_TRY(jinja_charge(r, length));
    char *text = arena_alloc(r->memory, length + 1);
    uint8_t *own = arena_alloc(r->memory, length + 1);
    for (int64_t i = 0; i < n; at += parts[i++].length) {
        memcpy(text + at, parts[i].at, parts[i].length);
        memcpy(own + at, parts[i].own, parts[i].length);
    }
    *out = (jinja_string){text, own, length, false};
    return ESP_OK;
}

size_t jinja_character(jinja_string s, size_t at) {
    size_t n = utf8_length(s.at + at, s.length - at);
    return n ? n : 1;
}

int64_t jinja_characters(jinja_string s) {
    int64_t n = 0;
    for (size_t at = 0; at < s.length; at += jinja_character(s, at)) n++;
    return n;
}

size_t jinja_offset(jinja_string s, int64_t index) {
    size_t at = 0;
    for (int64_t i = 0; i < index && at < s.length; i++) at += jinja_character(s, at);
    return at;
}

/* ---- Lists and dicts ---- */

jinja_list *jinja_list_new(jinja_run *r) {
    return ARENA_NEW(r->memory, jinja_list);
}

esp_status jinja_list_add(jinja_run *r, jinja_list *list, jinja_value v) {
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 8;
        ESP_TRY(jinja_charge(r, (size_t)capacity * sizeof v));
        jinja_value *at = ARENA_ARRAY(r->memory, jinja_value, capacity);
        if (list->count) memcpy(at, list->at, (size_t)list->count * sizeof v);
        list->at = at;
        list->capacity = capacity;
    }
    list->at[list->count++] = v;
    return ESP_OK;
}

jinja_dict *jinja_dict_new(jinja_run *r) {
    return ARENA_NEW(r->memory, jinja_dict);
}

jinja_value *jinja_dict_find(const jinja_dict *d, const jinja_value *key) {
    for (int64_t i = 0; i < d->keys.count; i++)
        if (jinja_equal(&d->keys.at[i], key)) return &d->values.at[i];
    return NULL;
}

jinja_value *jinja_dict_named(const jinja_dict *d, const char *key) {
    for (int64_t i = 0; i < d->keys.count; i++)
        if (jinja_is_string(&d->keys.at[i]) && jinja_string_is(d->keys.at[i].string, key))
            return &d->values.at[i];
    return NULL;
}

esp_status jinja_dict_put(jinja_run *r, jinja_dict *d, jinja_value key, jinja_value v) {
    jinja_value *old = jinja_dict_find(d, &key);
    if (old) {
        *old = v;
        return ESP_OK;
    }
    ESP_TRY(jinja_list_add(r, &d->keys, key));
    return jinja_list_add(r, &d->values, v);
}

/* ---- Comparing ---- */

double jinja_real(const jinja_value *number) {
    return number->kind == JINJA_REAL      ? number->real
           : number->kind == JINJA_INTEGER ? (double)number->integer
                                           : (double)number->truth;
}

bool jinja_truth(const jinja_value *v) {
    switch (v->kind) {
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return false;
    case JINJA_BOOL:
    case JINJA_INTEGER:
    case JINJA_REAL:
        return jinja_real(v) != 0;
    case JINJA_STRING:
        return v->string.length > 0;
    case JINJA_LIST:
    case JINJA_TUPLE:
        return v->list->count > 0 || v->list->making == JINJA_LAZY;
    case JINJA_DICT:
        return v->dict->keys.count > 0;
    default:
        return true;
    }
}

static bool lists_equal(const jinja_list *a, const jinja_list *b) {
    if (a->count != b->count) return false;
    for (int64_t i = 0; i < a->count; i++)
        if (!jinja_equal(&a->at[i], &b->at[i])) return false;
    return true;
}

static bool dicts_equal(const jinja_dict *a, const jinja_dict *b) {
    if (a->keys.count != b->keys.count) return false;
    for (int64_t i = 0; i < a->keys.count; i++) {
        const jinja_value *other = jinja_dict_find(b, &a->keys.at[i]);
        if (!other || !jinja_equal(&a->values.at[i], other)) return false;
    }
    return true;
}

bool jinja_equal(const jinja_value *a, const jinja_value *b) {
    if (jinja_is_number(a) && jinja_is_number(b)) {
        bool whole = a->kind == JINJA_INTEGER && b->kind == JINJA_INTEGER;
        return whole ? a->integer == b->integer : jinja_real(a) == jinja_real(b);
    }
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return true;
    case JINJA_STRING:
        return jinja_strings_equal(a->string, b->string);
    case JINJA_LIST:
    case JINJA_TUPLE:
        return lists_equal(a->list, b->list);
    case JINJA_DICT:
        return dicts_equal(a->dict, b->dict);
    case JINJA_METHOD:
        return false;
    default:
        return a->loop == b->loop;
    }
}

static int strings_order(jinja_string a, jinja_string b) {
    size_t n = a.length < b.length ? a.length : b.length;
    int by = memcmp(a.at, b.at, n);
    return by ? by : (a.length > b.length) - (a.length < b.length);
}

esp_status jinja_order(jinja_run *r, const jinja_value *a, const jinja_value *b, int *out) {
    if (jinja_is_number(a) && jinja_is_number(b)) {
        double x = jinja_real(a), y = jinja_real(b);
        *out = (x > y) - (x < y);
        return ESP_OK;
    }
    if (a->kind == JINJA_STRING && b->kind == JINJA_STRING) {
        *out = strings_order(a->string, b->string);
        return ESP_OK;
    }
    if (a->kind == b->kind && jinja_is_sequence(a)) {
        for (int64_t i = 0; i < a->list->count && i < b->list->count; i++)
            if (!jinja_equal(&a->list->at[i], &b->list->at[i]))
                return jinja_order(r, &a->list->at[i], &b->list->at[i], out);
        *out = (a->list->count > b->list->count) - (a->list->count < b->list->count);
        return ESP_OK;
    }
    return jinja_fail(r, NULL, "%s and %s have no order", jinja_kind_name(a), jinja_kind_name(b));
}

esp_status jinja_length(jinja_run *r, const jinja_value *v, int64_t *out) {
    switch (v->kind) {
    case JINJA_STRING:
        *out = jinja_characters(v->string);
        return ESP_OK;
    case JINJA_LIST:
    case JINJA_TUPLE:
        *out = v->list->count;
        return v->list->making == JINJA_LAZY
                   ? jinja_refuse(r, "the length of such a list (put | list before)")
                   : ESP_OK;
    case JINJA_DICT:
        *out = v->dict->keys.count;
        return ESP_OK;
    case JINJA_UNDEFINED:
        *out = 0;
        return ESP_OK;
    default:
        return jinja_fail(r, NULL, "%s has no length", jinja_kind_name(v));
    }
}

esp_status jinja_items(jinja_run *r, const jinja_value *v, jinja_list **out) {
    *out = jinja_list_new(r);
    switch (v->kind) {
    case JINJA_LIST:
    case JINJA_TUPLE:
        *out = v->list;
        return ESP_OK;
    case JINJA_DICT:
        *out = &v->dict->keys;
        return ESP_OK;
    case JINJA_STRING:
        for (size_t at = 0, n; at < v->string.length; at += n) {
            n = jinja_character(v->string, at);
            ESP_TRY(jinja_list_add(r, *out, jinja_of_string(jinja_part(v->string, at, at + n))));
        }
        return ESP_OK;
    case JINJA_UNDEFINED:
        return ESP_OK;
    default:
        return jinja_fail(r, NULL, "%s has no items", jinja_kind_name(v));
    }
}

/* ---- As text ---- */

void jinja_output_own(jinja_output *out, const char *text, size_t length) {
    text_append(&out->text, text, length);
    for (size_t i = 0; i < length; i++) text_append(&out->own, "\1", 1);
}

void jinja_output_string(jinja_output *out, jinja_string s) {
    text_append(&out->text, s.at, s.length);
    text_append(&out->own, (const char *)s.own, s.length);
}

void jinja_output_free(jinja_output *out) {
    text_free(&out->text);
    text_free(&out->own);
}

esp_status jinja_output_take(jinja_run *r, const jinja_output *from, jinja_string *out) {
    size_t n = from->text.length;
    ESP_TRY(jinja_charge(r, n));
    *out = (jinja_string){n ? arena_copy(r->memory, from->text.at, n) : "",
                          n ? arena_copy(r->memory, from->own.at, n) : (const uint8_t *)"", n, false};
    return ESP_OK;
}

/* repr() of a float: the fewest digits that read as the same number. */
static void real_text(double x, text_buffer *out) {
    char text[40];
    if (!isfinite(x)) {
        text_puts(out, isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
        return;
    }
    int digits = 1;
    do snprintf(text, sizeof text, "%.*e", digits - 1, x);
    while (strtod(text, NULL) != x && ++digits <= 17);
    int exponent = atoi(strchr(text, 'e') + 1);
    if (exponent >= -4 && exponent < 16)
        snprintf(text, sizeof text, "%.*f", digits - 1 > exponent ? digits - 1 - exponent : 1, x);
    text_puts(out, text);
}

void jinja_number_text(const jinja_value *v, text_buffer *out) {
    if (v->kind == JINJA_REAL)
        real_text(v->real, out);
    else if (v->kind == JINJA_INTEGER)
        text_printf(out, "%lld", (long long)v->integer);
    else
        text_puts(out, v->truth ? "True" : "False");
}

static void repr_string(jinja_string s, jinja_output *out) {
    bool single = memchr(s.at, '\'', s.length) != NULL, twofold = memchr(s.at, '"', s.length) != NULL;
    char quote = single && !twofold ? '"' : '\'';
    jinja_output_own(out, &quote, 1);
    for (size_t i = 0; i < s.length; i++) {
        unsigned char c = (unsigned char)s.at[i];
        char written[8] = {(char)c, 0};
        if (c == '\n' || c == '\r' || c == '\t')
            snprintf(written, sizeof written, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c < 32 || c == 127)
            snprintf(written, sizeof written, "\\x%02x", c);
        else if (c == '\\' || c == (unsigned char)quote)
            snprintf(written, sizeof written, "\\%c", c);
        for (size_t k = 0; written[k]; k++)
            jinja_output_string(out, (jinja_string){written + k, s.own + i, 1, false});
    }
    jinja_output_own(out, &quote, 1);
}

static esp_status repr_all(jinja_run *r, const jinja_list *keys, const jinja_list *values,
                           jinja_output *out) {
    for (int64_t i = 0; i < values->count; i++) {
        if (i) jinja_output_own(out, ", ", 2);
        if (keys) ESP_TRY(jinja_repr(r, &keys->at[i], out));
        if (keys) jinja_output_own(out, ": ", 2);
        ESP_TRY(jinja_repr(r, &values->at[i], out));
    }
    return ESP_OK;
}

static esp_status repr_list(jinja_run *r, const jinja_value *v, jinja_output *out) {
    bool tuple = v->kind == JINJA_TUPLE, dict = v->kind == JINJA_DICT;
    const jinja_list *values = dict ? &v->dict->values : v->list;
    if (values->making != JINJA_MADE) return jinja_refuse(r, "writing such a list (put | list before)");
    jinja_output_own(out, tuple ? "(" : dict ? "{" : "[", 1);
    ESP_TRY(repr_all(r, dict ? &v->dict->keys : NULL, values, out));
    if (tuple && values->count == 1) jinja_output_own(out, ",", 1);
    jinja_output_own(out, tuple ? ")" : dict ? "}" : "]", 1);
    return ESP_OK;
}

esp_status jinja_repr(jinja_run *r, const jinja_value *v, jinja_output *out) {
    text_buffer text = {0};
    ESP_TRY(jinja_charge(r, v->kind == JINJA_STRING ? v->string.length : 1));
    if (r->depth >= r->input->limits.depth) return jinja_fail(r, NULL, "values are too deep in each other");
    r->depth++;
    esp_status status = ESP_OK;
    switch (v->kind) {
    case JINJA_UNDEFINED:
        jinja_output_own(out, "Undefined", 9);
        break;
    case JINJA_NONE:
        jinja_output_own(out, "None", 4);
        break;
    case JINJA_BOOL:
    case JINJA_INTEGER:
    case JINJA_REAL:
        jinja_number_text(v, &text);
        jinja_output_own(out, text.at, text.length);
        text_free(&text);
        break;
    case JINJA_STRING:
        repr_string(v->string, out);
        break;
    case JINJA_LIST:
    case JINJA_TUPLE:
    case JINJA_DICT:
        status = repr_list(r, v, out);
        break;
    default:
        status = jinja_fail(r, NULL, "%s cannot be written", jinja_kind_name(v));
    }
    r->depth--;
    return status;
}

esp_status jinja_text(jinja_run *r, const jinja_value *v, jinja_string *out) {
    if (v->kind == JINJA_STRING) {
        *out = v->string;
        return ESP_OK;
    }
    jinja_output text = {0};
    esp_status status = v->kind == JINJA_UNDEFINED ? ESP_OK : jinja_repr(r, v, &text);
    if (status == ESP_OK) status = jinja_output_take(r, &text, out);
    jinja_output_free(&text);
    return status;
}
