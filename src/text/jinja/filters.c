/* Filters: of single values here, of lists in list_filters.c. */
#include "text/jinja/filters.h"

#include <math.h>
#include <stdlib.h>

esp_status jinja_need_string(jinja_run *r, const jinja_value *v, const char *what, jinja_string *out) {
    if (v->kind != JINJA_STRING)
        return jinja_fail(r, NULL, "%s needs a string, not %s", what, jinja_kind_name(v));
    *out = v->string;
    return ESP_OK;
}

esp_status jinja_need_integer(jinja_run *r, const jinja_value *v, const char *what, int64_t *out) {
    if (v->kind != JINJA_INTEGER && v->kind != JINJA_BOOL)
        return jinja_fail(r, NULL, "%s needs a whole number, not %s", what, jinja_kind_name(v));
    *out = v->kind == JINJA_INTEGER ? v->integer : v->truth;
    return ESP_OK;
}

static esp_status set_string(jinja_string s, jinja_value *out) {
    *out = jinja_of_string(s);
    return ESP_OK;
}

static esp_status filter_trim(jinja_run *r, const jinja_value *v, const jinja_values *values,
                              jinja_value *out) {
    jinja_string s, what;
    const jinja_value *chars = jinja_argument_of(values, 0, "chars");
    ESP_TRY(jinja_text(r, v, &s));
    if (chars && chars->kind == JINJA_NONE) chars = NULL;
    if (chars) ESP_TRY(jinja_need_string(r, chars, "trim", &what));
    return set_string(jinja_trim(s, chars ? &what : NULL, JINJA_TRIM_BOTH), out);
}

static esp_status filter_length(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                jinja_value *out) {
    (void)values;
    *out = jinja_of_integer(0);
    ESP_TRY(jinja_charge(r, v->kind == JINJA_STRING ? v->string.length : 0));
    return jinja_length(r, v, &out->integer);
}

static esp_status filter_default(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                 jinja_value *out) {
    const jinja_value *other = jinja_argument_of(values, 0, "default_value");
    const jinja_value *empty = jinja_argument_of(values, 1, "boolean");
    jinja_string nothing;
    *out = *v;
    if (v->kind != JINJA_UNDEFINED && !(empty && jinja_truth(empty) && !jinja_truth(v))) return ESP_OK;
    if (other) {
        *out = *other;
        return ESP_OK;
    }
    ESP_TRY(jinja_own(r, "", 0, &nothing));
    return set_string(nothing, out);
}

static esp_status filter_tojson(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                jinja_value *out) {
    const jinja_value *ascii = jinja_argument_of(values, 0, "ensure_ascii");
    const jinja_value *indent = jinja_argument_of(values, 1, "indent");
    const jinja_value *separators = jinja_argument_of(values, 2, "separators");
    const jinja_value *sort = jinja_argument_of(values, 3, "sort_keys");
    jinja_json_form form = {
        .ascii = ascii && jinja_truth(ascii), .sort_keys = sort && jinja_truth(sort), .indent = -1};
    if (separators && separators->kind != JINJA_NONE) return jinja_refuse(r, "separators of tojson");
    if (indent && indent->kind != JINJA_NONE) ESP_TRY(jinja_need_integer(r, indent, "indent", &form.indent));
    if (form.indent < -1 || form.indent > 64) return jinja_refuse(r, "an indent of this size");
    jinja_output text = {0};
    *out = (jinja_value){.kind = JINJA_STRING};
    esp_status status = jinja_to_json(r, v, form, &text);
    if (status == ESP_OK) status = jinja_output_take(r, &text, &out->string);
    jinja_output_free(&text);
    return status;
}

static esp_status to_case(jinja_run *r, const jinja_value *v, jinja_case to, jinja_value *out) {
    jinja_string s;
    ESP_TRY(jinja_text(r, v, &s));
    *out = (jinja_value){.kind = JINJA_STRING};
    return jinja_cased(r, s, to, &out->string);
}

esp_status jinja_filter_upper(jinja_run *r, const jinja_value *v, const jinja_values *values,
                              jinja_value *out) {
    (void)values;
    return to_case(r, v, JINJA_UPPER, out);
}

esp_status jinja_filter_lower(jinja_run *r, const jinja_value *v, const jinja_values *values,
                              jinja_value *out) {
    (void)values;
    return to_case(r, v, JINJA_LOWER, out);
}

esp_status jinja_filter_capitalize(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                   jinja_value *out) {
    (void)values;
    return to_case(r, v, JINJA_CAPITALIZE, out);
}

static esp_status filter_string(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                jinja_value *out) {
    (void)values;
    *out = (jinja_value){.kind = JINJA_STRING};
    return jinja_text(r, v, &out->string);
}

static esp_status filter_safe(jinja_run *r, const jinja_value *v, const jinja_values *values,
                              jinja_value *out) {
    ESP_TRY(filter_string(r, v, values, out));
    out->string.safe = true;
    return ESP_OK;
}

static esp_status filter_replace(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                 jinja_value *out) {
    const jinja_value *given[2] = {jinja_argument_of(values, 0, "old"), jinja_argument_of(values, 1, "new")};
    const jinja_value *count = jinja_argument_of(values, 2, "count");
    jinja_string s, old, new;
    int64_t most = -1;
    if (!given[0] || !given[1]) return jinja_fail(r, NULL, "replace needs two strings");
    ESP_TRY(jinja_text(r, v, &s));
    ESP_TRY(jinja_text(r, given[0], &old));
    ESP_TRY(jinja_text(r, given[1], &new));
    if (count && count->kind != JINJA_NONE) ESP_TRY(jinja_need_integer(r, count, "replace", &most));
    *out = (jinja_value){.kind = JINJA_STRING};
    return jinja_replace(r, s, old, new, most, &out->string);
}

/* int(): of a string its number, 0 (or the default) for one that is none. */
static esp_status filter_int(jinja_run *r, const jinja_value *v, const jinja_values *values,
                             jinja_value *out) {
    const jinja_value *other = jinja_argument_of(values, 0, "default");
    if (jinja_argument_of(values, 1, "base")) return jinja_refuse(r, "the base of int");
    *out = other ? *other : jinja_of_integer(0);
    if (jinja_is_number(v)) {
        double x = jinja_real(v);
        if (!(fabs(x) < 9e18)) return jinja_refuse(r, "numbers of this size");
        *out = jinja_of_integer(v->kind == JINJA_INTEGER ? v->integer : (int64_t)x);
        return ESP_OK;
    }
    if (v->kind != JINJA_STRING) return ESP_OK;
    jinja_string s = jinja_trim(v->string, NULL, JINJA_TRIM_BOTH);
    char digits[32] = "", *end;
    if (s.length == 0 || s.length >= sizeof digits) return ESP_OK;
    memcpy(digits, s.at, s.length);
    long long whole = strtoll(digits, &end, 10);
    if (!*end) {
        *out = jinja_of_integer(whole);
        return ESP_OK;
    }
    double x = strtod(digits, &end);
    if (!*end && fabs(x) < 9e18) *out = jinja_of_integer((int64_t)x);
    return ESP_OK;
}

static esp_status filter_abs(jinja_run *r, const jinja_value *v, const jinja_values *values,
                             jinja_value *out) {
    (void)values;
    if (!jinja_is_number(v)) return jinja_fail(r, NULL, "abs needs a number, not %s", jinja_kind_name(v));
    *out = v->kind == JINJA_BOOL ? jinja_of_integer(v->truth) : *v;
    if (v->kind == JINJA_REAL) out->real = fabs(v->real);
    if (v->kind == JINJA_INTEGER && v->integer < 0) {
        if (v->integer == INT64_MIN) return jinja_refuse(r, "numbers of this size");
        out->integer = -v->integer;
    }
    return ESP_OK;
}

/* Lines after the first are indented, but for empty ones. */
static esp_status filter_indent(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                jinja_value *out) {
    const jinja_value *width = jinja_argument_of(values, 0, "width");
    const jinja_value *first = jinja_argument_of(values, 1, "first");
    const jinja_value *blank = jinja_argument_of(values, 2, "blank");
    jinja_string s, in = {0};
    int64_t n = 4;
    if (blank && jinja_truth(blank)) return jinja_refuse(r, "indent of empty lines");
    ESP_TRY(jinja_text(r, v, &s));
    if (width && width->kind == JINJA_STRING)
        in = width->string;
    else if (width)
        ESP_TRY(jinja_need_integer(r, width, "indent", &n));
    if (n < 0 || n > 256) return jinja_refuse(r, "an indent of this size");
    char spaces[257];
    memset(spaces, ' ', sizeof spaces);
    if (!in.at) ESP_TRY(jinja_own(r, arena_copy(r->memory, spaces, (size_t)n + 1), (size_t)n, &in));
    jinja_list *lines = jinja_list_new(r);
    ESP_TRY(jinja_lines(r, s, true, lines));
    jinja_output text = {0};
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < lines->count && status == ESP_OK; i++) {
        jinja_string line = lines->at[i].string;
        bool indented = i > 0 ? line.at[0] != '\n' : first && jinja_truth(first);
        status = jinja_charge(r, in.length);
        if (indented) jinja_output_string(&text, in);
        jinja_output_string(&text, line);
    }
    *out = (jinja_value){.kind = JINJA_STRING};
    if (status == ESP_OK) status = jinja_output_take(r, &text, &out->string);
    jinja_output_free(&text);
    return status;
}

static const struct {
    const char *name;
    jinja_filter_function *apply;
    int64_t most; /* arguments */
    const char *known;
} filters[] = {
    {"abs", filter_abs, 0, ""},
    {"capitalize", jinja_filter_capitalize, 0, ""},
    {"count", filter_length, 0, ""},
    {"d", filter_default, 2, "default_value boolean"},
    {"default", filter_default, 2, "default_value boolean"},
    {"dictsort", jinja_filter_dictsort, 0, ""},
    {"first", jinja_filter_first, 0, ""},
    {"indent", filter_indent, 3, "width first blank"},
    {"int", filter_int, 2, "default base"},
    {"items", jinja_filter_items, 0, ""},
    {"join", jinja_filter_join, 2, "d attribute"},
    {"last", jinja_filter_last, 0, ""},
    {"length", filter_length, 0, ""},
    {"list", jinja_filter_list, 0, ""},
    {"lower", jinja_filter_lower, 0, ""},
    {"map", jinja_filter_map, INT64_MAX, "attribute default"},
    {"max", jinja_filter_max, 0, ""},
    {"min", jinja_filter_min, 0, ""},
    {"reject", jinja_filter_reject, INT64_MAX, ""},
    {"rejectattr", jinja_filter_rejectattr, INT64_MAX, ""},
    {"replace", filter_replace, 3, "old new count"},
    {"reverse", jinja_filter_reverse, 0, ""},
    {"safe", filter_safe, 0, ""},
    {"select", jinja_filter_select, INT64_MAX, ""},
    {"selectattr", jinja_filter_selectattr, INT64_MAX, ""},
    {"sort", jinja_filter_sort, 3, "reverse case_sensitive attribute"},
    {"string", filter_string, 0, ""},
    {"tojson", filter_tojson, 4, "ensure_ascii indent separators sort_keys"},
    {"trim", filter_trim, 1, "chars"},
    {"unique", jinja_filter_unique, 2, "case_sensitive attribute"},
    {"upper", jinja_filter_upper, 0, ""},
};

int jinja_filter_find(const char *name) {
    for (int i = 0; i < (int)(sizeof filters / sizeof *filters); i++)
        if (strcmp(filters[i].name, name) == 0) return i;
    return -1;
}

esp_status jinja_filter_apply(jinja_run *r, int rule, const jinja_value *v, const jinja_values *values,
                              jinja_value *out) {
    char what[64];
    snprintf(what, sizeof what, "these arguments of the filter \"%s\"", filters[rule].name);
    ESP_TRY(jinja_charge(r, 0));
    ESP_TRY(jinja_check_arguments(r, values, filters[rule].most, filters[rule].known, what));
    return filters[rule].apply(r, v, values, out);
}
