/* Methods of strings and dicts, and the functions that every template has. */
#include "text/jinja/filters.h"

#include <time.h>

typedef esp_status method_function(jinja_run *r, const jinja_value *of, const jinja_values *values,
                                   jinja_value *out);

static const jinja_value *given(const jinja_values *values, int64_t place) {
    const jinja_value *v = jinja_argument_of(values, place, NULL);
    return v && v->kind != JINJA_NONE ? v : NULL;
}

/* ---- Strings ---- */

static esp_status strip(jinja_run *r, const jinja_value *of, const jinja_values *values, jinja_trim_side side,
                        jinja_value *out) {
    jinja_string what;
    const jinja_value *v = given(values, 0);
    if (v) ESP_TRY(jinja_need_string(r, v, "strip", &what));
    *out = jinja_of_string(jinja_trim(of->string, v ? &what : NULL, side));
    return jinja_charge(r, of->string.length);
}

static esp_status method_strip(jinja_run *r, const jinja_value *of, const jinja_values *values,
                               jinja_value *out) {
    return strip(r, of, values, JINJA_TRIM_BOTH, out);
}

static esp_status method_lstrip(jinja_run *r, const jinja_value *of, const jinja_values *values,
                                jinja_value *out) {
    return strip(r, of, values, JINJA_TRIM_LEFT, out);
}

static esp_status method_rstrip(jinja_run *r, const jinja_value *of, const jinja_values *values,
                                jinja_value *out) {
    return strip(r, of, values, JINJA_TRIM_RIGHT, out);
}

static esp_status split(jinja_run *r, const jinja_value *of, const jinja_values *values, bool right,
                        jinja_value *out) {
    const jinja_value *by = jinja_argument_of(values, 0, "sep"),
                      *count = jinja_argument_of(values, 1, "maxsplit");
    jinja_string separator;
    int64_t most = -1;
    if (by && by->kind == JINJA_NONE) by = NULL;
    if (by) ESP_TRY(jinja_need_string(r, by, "split", &separator));
    if (count) ESP_TRY(jinja_need_integer(r, count, "split", &most));
    *out = jinja_of_list(jinja_list_new(r));
    return jinja_split(r, of->string, by ? &separator : NULL, most, right, out->list);
}

static esp_status method_split(jinja_run *r, const jinja_value *of, const jinja_values *values,
                               jinja_value *out) {
    return split(r, of, values, false, out);
}

static esp_status method_rsplit(jinja_run *r, const jinja_value *of, const jinja_values *values,
                                jinja_value *out) {
    return split(r, of, values, true, out);
}

static esp_status method_replace(jinja_run *r, const jinja_value *of, const jinja_values *values,
                                 jinja_value *out) {
    jinja_string old, new;
    int64_t most = -1;
    if (values->count < 2) return jinja_fail(r, NULL, "replace needs two strings");
    ESP_TRY(jinja_need_string(r, &values->at[0], "replace", &old));
    ESP_TRY(jinja_need_string(r, &values->at[1], "replace", &new));
    if (values->count > 2) ESP_TRY(jinja_need_integer(r, &values->at[2], "replace", &most));
    *out = (jinja_value){.kind = JINJA_STRING};
    return jinja_replace(r, of->string, old, new, most, &out->string);
}

/* Whether the string begins or ends with the value, or with one of a tuple's. */
static esp_status has_end(jinja_run *r, const jinja_value *of, const jinja_values *values, bool end,
                          jinja_value *out) {
    const jinja_value *v = jinja_argument_of(values, 0, NULL);
    if (!v) return jinja_fail(r, NULL, "startswith and endswith need a string");
    bool tuple = v->kind == JINJA_TUPLE, found = false;
    for (int64_t i = 0; i < (tuple ? v->list->count : 1) && !found; i++) {
        jinja_string part, s = of->string;
        ESP_TRY(jinja_need_string(r, tuple ? &v->list->at[i] : v, "startswith and endswith", &part));
        if (part.length > s.length) continue;
        found = memcmp(s.at + (end ? s.length - part.length : 0), part.at, part.length) == 0;
    }
    *out = jinja_of_bool(found);
    return ESP_OK;
}

static esp_status method_startswith(jinja_run *r, const jinja_value *of, const jinja_values *values,
                                    jinja_value *out) {
    return has_end(r, of, values, false, out);
}

static esp_status method_endswith(jinja_run *r, const jinja_value *of, const jinja_values *values,
                                  jinja_value *out) {
    return has_end(r, of, values, true, out);
}

static esp_status method_title(jinja_run *r, const jinja_value *of, const jinja_values *values,
                               jinja_value *out) {
    (void)values;
    *out = (jinja_value){.kind = JINJA_STRING};
    return jinja_cased(r, of->string, JINJA_TITLE, &out->string);
}

static esp_status method_splitlines(jinja_run *r, const jinja_value *of, const jinja_values *values,
                                    jinja_value *out) {
    (void)values;
    *out = jinja_of_list(jinja_list_new(r));
    return jinja_lines(r, of->string, false, out->list);
}

static esp_status method_find(jinja_run *r, const jinja_value *of, const jinja_values *values,
                              jinja_value *out) {
    jinja_string what;
    if (!values->count) return jinja_fail(r, NULL, "find needs a string");
    ESP_TRY(jinja_need_string(r, &values->at[0], "find", &what));
    int64_t at = jinja_find(of->string, what, 0);
    *out = jinja_of_integer(at < 0 ? -1 : jinja_characters(jinja_part(of->string, 0, (size_t)at)));
    return jinja_charge(r, of->string.length);
}

static esp_status method_join(jinja_run *r, const jinja_value *of, const jinja_values *values,
                              jinja_value *out) {
    if (!values->count) return jinja_fail(r, NULL, "join needs a list");
    jinja_list *items;
    jinja_string s;
    ESP_TRY(jinja_items(r, &values->at[0], &items));
    for (int64_t i = 0; i < items->count; i++) ESP_TRY(jinja_need_string(r, &items->at[i], "join", &s));
    return jinja_filter_join(r, &values->at[0], &(jinja_values){.at = of, .count = 1}, out);
}

/* ---- Dicts ---- */

static esp_status method_get(jinja_run *r, const jinja_value *of, const jinja_values *values,
                             jinja_value *out) {
    if (!values->count) return jinja_fail(r, NULL, "get needs a key");
    const jinja_value *v = jinja_dict_find(of->dict, &values->at[0]);
    *out = v ? *v : values->count > 1 ? values->at[1] : jinja_none();
    return ESP_OK;
}

static esp_status method_items(jinja_run *r, const jinja_value *of, const jinja_values *values,
                               jinja_value *out) {
    ESP_TRY(jinja_filter_items(r, of, values, out));
    out->list->making = JINJA_VIEW;
    return ESP_OK;
}

static esp_status method_keys(jinja_run *r, const jinja_value *of, const jinja_values *values,
                              jinja_value *out) {
    ESP_TRY(jinja_filter_list(r, of, values, out));
    out->list->making = JINJA_VIEW;
    return ESP_OK;
}

static esp_status method_values(jinja_run *r, const jinja_value *of, const jinja_values *values,
                                jinja_value *out) {
    jinja_value all = jinja_of_list(&of->dict->values);
    ESP_TRY(jinja_filter_list(r, &all, values, out));
    out->list->making = JINJA_VIEW;
    return ESP_OK;
}

/* ---- Calls ---- */

/* NULL in place of a function: Python has it, and it is refused. */
static const struct {
    jinja_kind of;
    const char *name;
    method_function *call;
    int64_t most;
    const char *known;
} methods[] = {
    {JINJA_STRING, "strip", method_strip, 1, ""},
    {JINJA_STRING, "lstrip", method_lstrip, 1, ""},
    {JINJA_STRING, "rstrip", method_rstrip, 1, ""},
    {JINJA_STRING, "split", method_split, 2, "sep maxsplit"},
    {JINJA_STRING, "rsplit", method_rsplit, 2, "sep maxsplit"},
    {JINJA_STRING, "replace", method_replace, 3, ""},
    {JINJA_STRING, "startswith", method_startswith, 1, ""},
    {JINJA_STRING, "endswith", method_endswith, 1, ""},
    {JINJA_STRING, "upper", jinja_filter_upper, 0, ""},
    {JINJA_STRING, "lower", jinja_filter_lower, 0, ""},
    {JINJA_STRING, "capitalize", jinja_filter_capitalize, 0, ""},
    {JINJA_STRING, "title", method_title, 0, ""},
    {JINJA_STRING, "splitlines", method_splitlines, 0, ""},
    {JINJA_STRING, "find", method_find, 1, ""},
    {JINJA_STRING, "join", method_join, 1, ""},
    {JINJA_DICT, "get", method_get, 2, ""},
    {JINJA_DICT, "items", method_items, 0, ""},
    {JINJA_DICT, "keys", method_keys, 0, ""},
    {JINJA_DICT, "values", method_values, 0, ""},
    {JINJA_STRING, "casefold", NULL, 0, ""},
    {JINJA_STRING, "center", NULL, 0, ""},
    {JINJA_STRING, "count", NULL, 0, ""},
    {JINJA_STRING, "encode", NULL, 0, ""},
    {JINJA_STRING, "expandtabs", NULL, 0, ""},
    {JINJA_STRING, "format", NULL, 0, ""},
    {JINJA_STRING, "format_map", NULL, 0, ""},
    {JINJA_STRING, "index", NULL, 0, ""},
    {JINJA_STRING, "isalnum", NULL, 0, ""},
    {JINJA_STRING, "isalpha", NULL, 0, ""},
    {JINJA_STRING, "isascii", NULL, 0, ""},
    {JINJA_STRING, "isdecimal", NULL, 0, ""},
    {JINJA_STRING, "isdigit", NULL, 0, ""},
    {JINJA_STRING, "isidentifier", NULL, 0, ""},
    {JINJA_STRING, "islower", NULL, 0, ""},
    {JINJA_STRING, "isnumeric", NULL, 0, ""},
    {JINJA_STRING, "isprintable", NULL, 0, ""},
    {JINJA_STRING, "isspace", NULL, 0, ""},
    {JINJA_STRING, "istitle", NULL, 0, ""},
    {JINJA_STRING, "isupper", NULL, 0, ""},
    {JINJA_STRING, "ljust", NULL, 0, ""},
    {JINJA_STRING, "maketrans", NULL, 0, ""},
    {JINJA_STRING, "partition", NULL, 0, ""},
    {JINJA_STRING, "removeprefix", NULL, 0, ""},
    {JINJA_STRING, "removesuffix", NULL, 0, ""},
    {JINJA_STRING, "rfind", NULL, 0, ""},
    {JINJA_STRING, "rindex", NULL, 0, ""},
    {JINJA_STRING, "rjust", NULL, 0, ""},
    {JINJA_STRING, "rpartition", NULL, 0, ""},
    {JINJA_STRING, "swapcase", NULL, 0, ""},
    {JINJA_STRING, "translate", NULL, 0, ""},
    {JINJA_STRING, "zfill", NULL, 0, ""},
    {JINJA_DICT, "clear", NULL, 0, ""},
    {JINJA_DICT, "copy", NULL, 0, ""},
    {JINJA_DICT, "fromkeys", NULL, 0, ""},
    {JINJA_DICT, "pop", NULL, 0, ""},
    {JINJA_DICT, "popitem", NULL, 0, ""},
    {JINJA_DICT, "setdefault", NULL, 0, ""},
    {JINJA_DICT, "update", NULL, 0, ""},
    {JINJA_LIST, "append", NULL, 0, ""},
    {JINJA_LIST, "clear", NULL, 0, ""},
    {JINJA_LIST, "copy", NULL, 0, ""},
    {JINJA_LIST, "count", NULL, 0, ""},
    {JINJA_LIST, "extend", NULL, 0, ""},
    {JINJA_LIST, "index", NULL, 0, ""},
    {JINJA_LIST, "insert", NULL, 0, ""},
    {JINJA_LIST, "pop", NULL, 0, ""},
    {JINJA_LIST, "remove", NULL, 0, ""},
    {JINJA_LIST, "reverse", NULL, 0, ""},
    {JINJA_LIST, "sort", NULL, 0, ""},
    {JINJA_TUPLE, "count", NULL, 0, ""},
    {JINJA_TUPLE, "index", NULL, 0, ""},
};
enum { METHODS = sizeof methods / sizeof *methods };

static int method_find_by(const jinja_value *of, const char *name) {
    for (int i = 0; i < METHODS; i++)
        if (methods[i].of == of->kind && strcmp(methods[i].name, name) == 0) return i;
    return -1;
}

bool jinja_method_known(const jinja_value *v, const char *name) {
    return method_find_by(v, name) >= 0;
}

esp_status jinja_method_call(jinja_run *r, const jinja_method *m, const jinja_values *values,
                             jinja_value *out) {
    int i = method_find_by(&m->of, m->name);
    char what[64];
    if (!methods[i].call) {
        snprintf(what, sizeof what, "the method \"%s\" of %s", m->name, jinja_kind_name(&m->of));
        return jinja_refuse(r, what);
    }
    snprintf(what, sizeof what, "these arguments of the method \"%s\"", m->name);
    ESP_TRY(jinja_check_arguments(r, values, methods[i].most, methods[i].known, what));
    ESP_TRY(jinja_charge(r, 0));
    return methods[i].call(r, &m->of, values, out);
}

/* ---- Functions ---- */

static esp_status function_range(jinja_run *r, const jinja_values *values, jinja_value *out) {
    int64_t at[3] = {0, 0, 1};
    if (values->count < 1 || values->count > 3 || values->named)
        return jinja_fail(r, NULL, "range takes one to three numbers");
    for (int64_t i = 0; i < values->count; i++)
        ESP_TRY(jinja_need_integer(r, &values->at[i], "range", &at[values->count == 1 ? 1 : i]));
    if (at[2] == 0) return jinja_fail(r, NULL, "the step of range is 0");
    *out = jinja_of_list(jinja_list_new(r));
    for (int64_t i = at[0]; at[2] > 0 ? i < at[1] : i > at[1];) {
        ESP_TRY(jinja_charge(r, 0));
        ESP_TRY(jinja_list_add(r, out->list, jinja_of_integer(i)));
        if (__builtin_add_overflow(i, at[2], &i)) break;
    }
    return ESP_OK;
}

/* namespace(a=1) and dict(a=1) */
static esp_status function_dict(jinja_run *r, const jinja_values *values, jinja_kind kind, jinja_value *out) {
    *out = (jinja_value){.kind = kind, .dict = jinja_dict_new(r)};
    if (values->count != values->named)
        return jinja_refuse(r, "arguments without a name of dict and namespace");
    for (int64_t i = 0; i < values->named; i++) {
        jinja_string key;
        ESP_TRY(jinja_own(r, values->names[i], strlen(values->names[i]), &key));
        ESP_TRY(jinja_dict_put(r, out->dict, jinja_of_string(key), values->at[i]));
    }
    return ESP_OK;
}

static esp_status function_raise(jinja_run *r, const jinja_values *values) {
    jinja_string words = {"", NULL, 0, false};
    if (values->count) ESP_TRY(jinja_text(r, &values->at[0], &words));
    return jinja_fail(r, NULL, "the template says: %.*s", (int)(words.length < 400 ? words.length : 400),
                      words.at);
}

static esp_status function_strftime(jinja_run *r, const jinja_values *values, jinja_value *out) {
    struct tm day = {0};
    jinja_string form;
    if (values->count != 1) return jinja_fail(r, NULL, "strftime_now needs a format");
    ESP_TRY(jinja_need_string(r, &values->at[0], "strftime_now", &form));
    const char *end = strptime(r->input->date ? r->input->date : "", "%d %b %Y", &day);
    if (!end || *end) return jinja_fail(r, "a date is written as \"26 Jul 2024\"", "there is no date");
    char format[128], text[256];
    if (form.length + 2 > sizeof format || memchr(form.at, 0, form.length))
        return jinja_refuse(r, "a format of this length");
    memcpy(format, form.at, form.length);
    strcpy(format + form.length, "."); /* so that nothing written is no failure */
    size_t n = strftime(text, sizeof text, format, &day);
    if (n == 0) return jinja_refuse(r, "a date of this length");
    *out = (jinja_value){.kind = JINJA_STRING};
    return jinja_own(r, arena_copy(r->memory, text, n), n - 1, &out->string);
}

bool jinja_function_known(const char *name) {
    static const char *const names[] = {"range", "namespace", "dict", "raise_exception", "strftime_now"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

esp_status jinja_function_call(jinja_run *r, const char *name, const jinja_values *values, jinja_value *out) {
    ESP_TRY(jinja_charge(r, 0));
    if (strcmp(name, "range") == 0) return function_range(r, values, out);
    if (strcmp(name, "namespace") == 0) return function_dict(r, values, JINJA_NAMESPACE, out);
    if (strcmp(name, "dict") == 0) return function_dict(r, values, JINJA_DICT, out);
    if (strcmp(name, "raise_exception") == 0) return function_raise(r, values);
    return function_strftime(r, values, out);
}
