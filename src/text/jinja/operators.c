/* Arithmetic, comparisons, members and slices. */
#include "text/jinja/tree.h"

#include "base/ascii.h"

#include <math.h>

/* ---- Arithmetic ---- */

static esp_status no_operator(jinja_run *r, const char *sign, const jinja_value *a, const jinja_value *b) {
    return jinja_fail(r, NULL, "\"%s\" of %s and %s", sign, jinja_kind_name(a), jinja_kind_name(b));
}

static const char *sign_of(jinja_operator op) {
    static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "**", "~"};
    return signs[op];
}

static int64_t floor_quotient(int64_t a, int64_t b) {
    int64_t q = a / b;
    return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}

static esp_status of_integers(jinja_run *r, jinja_operator op, int64_t a, int64_t b, jinja_value *out) {
    int64_t x = 0;
    bool over = false;
    if ((op == OPERATOR_FLOOR || op == OPERATOR_REMAINDER) && (b == 0 || (b == -1 && a == INT64_MIN)))
        return b == 0 ? jinja_fail(r, NULL, "division by zero") : jinja_refuse(r, "numbers of this size");
    switch (op) {
    case OPERATOR_ADD:
        over = __builtin_add_overflow(a, b, &x);
        break;
    case OPERATOR_SUBTRACT:
        over = __builtin_sub_overflow(a, b, &x);
        break;
    case OPERATOR_MULTIPLY:
        over = __builtin_mul_overflow(a, b, &x);
        break;
    case OPERATOR_FLOOR:
        x = floor_quotient(a, b);
        break;
    case OPERATOR_REMAINDER:
        x = b == -1 ? 0 : a - floor_quotient(a, b) * b;
        break;
    default:
        return jinja_refuse(r, "powers of whole numbers");
    }
    *out = jinja_of_integer(x);
    return over ? jinja_refuse(r, "numbers of this size") : ESP_OK;
}

static esp_status of_numbers(jinja_run *r, jinja_operator op, const jinja_value *a, const jinja_value *b,
                             jinja_value *out) {
    bool reals = a->kind == JINJA_REAL || b->kind == JINJA_REAL;
    double x = jinja_real(a), y = jinja_real(b);
    if (!reals && op != OPERATOR_DIVIDE)
        return of_integers(r, op, a->kind == JINJA_INTEGER ? a->integer : a->truth,
                           b->kind == JINJA_INTEGER ? b->integer : b->truth, out);
    if (y == 0 && (op == OPERATOR_DIVIDE || op == OPERATOR_FLOOR || op == OPERATOR_REMAINDER))
        return jinja_fail(r, NULL, "division by zero");
    double quotient = floor(x / y);
    *out = (jinja_value){.kind = JINJA_REAL,
                         .real = op == OPERATOR_ADD        ? x + y
                                 : op == OPERATOR_SUBTRACT ? x - y
                                 : op == OPERATOR_MULTIPLY ? x * y
                                 : op == OPERATOR_DIVIDE   ? x / y
                                 : op == OPERATOR_FLOOR    ? quotient
                                 : op == OPERATOR_POWER    ? pow(x, y)
                                                           : x - quotient * y};
    return ESP_OK;
}

static esp_status join_lists(jinja_run *r, const jinja_value *a, const jinja_value *b, jinja_value *out) {
    *out = (jinja_value){.kind = a->kind, .list = jinja_list_new(r)};
    for (int64_t i = 0; i < a->list->count; i++) ESP_TRY(jinja_list_add(r, out->list, a->list->at[i]));
    for (int64_t i = 0; i < b->list->count; i++) ESP_TRY(jinja_list_add(r, out->list, b->list->at[i]));
    return ESP_OK;
}

static esp_status join_strings(jinja_run *r, jinja_string a, jinja_string b, jinja_value *out) {
    jinja_string parts[] = {a, b};
    if (a.safe != b.safe) return jinja_refuse(r, "joining a string of the filter safe with another");
    *out = (jinja_value){.kind = JINJA_STRING};
    ESP_TRY(jinja_concat(r, parts, 2, &out->string));
    out->string.safe = a.safe;
    return ESP_OK;
}

static esp_status repeat(jinja_run *r, const jinja_value *what, int64_t times, jinja_value *out) {
    jinja_output text = {0};
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < times && status == ESP_OK; i++) {
        status = jinja_charge(r, what->string.length);
        jinja_output_string(&text, what->string);
    }
    *out = (jinja_value){.kind = JINJA_STRING};
    if (status == ESP_OK) status = jinja_output_take(r, &text, &out->string);
    jinja_output_free(&text);
    return status;
}

esp_status jinja_binary(jinja_run *r, jinja_operator op, const jinja_value *a, const jinja_value *b,
                        jinja_value *out) {
    if (op == OPERATOR_JOIN) {
        jinja_string parts[2];
        ESP_TRY(jinja_text(r, a, &parts[0]));
        ESP_TRY(jinja_text(r, b, &parts[1]));
        return join_strings(r, parts[0], parts[1], out);
    }
    if (a->kind == JINJA_UNDEFINED || b->kind == JINJA_UNDEFINED)
        return jinja_fail(r, NULL, "\"%s\" is undefined", a->kind == JINJA_UNDEFINED ? a->name : b->name);
    if (jinja_is_number(a) && jinja_is_number(b)) return of_numbers(r, op, a, b, out);
    if (op == OPERATOR_ADD && a->kind == JINJA_STRING && b->kind == JINJA_STRING)
        return join_strings(r, a->string, b->string, out);
    if (op == OPERATOR_ADD && a->kind == b->kind && jinja_is_sequence(a)) return join_lists(r, a, b, out);
    if (op == OPERATOR_MULTIPLY && a->kind == JINJA_STRING && b->kind == JINJA_INTEGER)
        return repeat(r, a, b->integer, out);
    if (op == OPERATOR_MULTIPLY && b->kind == JINJA_STRING && a->kind == JINJA_INTEGER)
        return repeat(r, b, a->integer, out);
    if (op == OPERATOR_MULTIPLY && (jinja_is_sequence(a) || jinja_is_sequence(b)))
        return jinja_refuse(r, "a list times a number");
    if (op == OPERATOR_REMAINDER && a->kind == JINJA_STRING) return jinja_refuse(r, "formatting with %");
    return no_operator(r, sign_of(op), a, b);
}

/* ---- Comparisons ---- */

static esp_status contains(jinja_run *r, const jinja_value *all, const jinja_value *v, bool *out) {
    jinja_list *items;
    *out = false;
    if (all->kind == JINJA_STRING) {
        if (v->kind != JINJA_STRING) return no_operator(r, "in", v, all);
        *out = jinja_find(all->string, v->string, 0) >= 0;
        return ESP_OK;
    }
    ESP_TRY(jinja_items(r, all, &items));
    ESP_TRY(jinja_charge(r, (size_t)items->count));
    for (int64_t i = 0; i < items->count && !*out; i++) *out = jinja_equal(&items->at[i], v);
    return ESP_OK;
}

esp_status jinja_compare(jinja_run *r, jinja_operator op, const jinja_value *a, const jinja_value *b,
                         bool *out) {
    if (op == OPERATOR_IN || op == OPERATOR_NOT_IN) {
        ESP_TRY(contains(r, b, a, out));
        *out = *out == (op == OPERATOR_IN);
        return ESP_OK;
    }
    if (op == OPERATOR_EQUAL || op == OPERATOR_DIFFERENT) {
        *out = jinja_equal(a, b) == (op == OPERATOR_EQUAL);
        return ESP_OK;
    }
    int by;
    ESP_TRY(jinja_order(r, a, b, &by));
    *out = op == OPERATOR_LESS      ? by < 0
           : op == OPERATOR_AT_MOST ? by <= 0
           : op == OPERATOR_GREATER ? by > 0
                                    : by >= 0;
    return ESP_OK;
}

/* ---- Members ---- */

static bool loop_member(const jinja_loop *loop, const char *name, jinja_value *out) {
    int64_t i = loop->index, n = loop->items->count;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"index", i + 1},         {"index0", i}, {"length", n}, {"revindex", n - i},
                   {"revindex0", n - i - 1}, {"depth", 1},  {"depth0", 0}};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (strcmp(name, numbers[k].name) == 0) {
            *out = jinja_of_integer(numbers[k].value);
            return true;
        }
    bool first = strcmp(name, "first") == 0, before = strcmp(name, "previtem") == 0;
    if (first || strcmp(name, "last") == 0) {
        *out = jinja_of_bool(first ? i == 0 : i == n - 1);
        return true;
    }
    if (!before && strcmp(name, "nextitem") != 0) return false;
    int64_t other = before ? i - 1 : i + 1;
    *out = other >= 0 && other < n ? loop->items->at[other] : jinja_undefined(name);
    return true;
}

static esp_status make_method(jinja_run *r, const jinja_value *of, const char *name, jinja_value *out) {
    jinja_method *m = ARENA_NEW(r->memory, jinja_method);
    *m = (jinja_method){name, *of};
    *out = (jinja_value){.kind = JINJA_METHOD, .method = m};
    return jinja_charge(r, sizeof *m);
}

esp_status jinja_get_attribute(jinja_run *r, const jinja_value *of, const char *name, jinja_value *out) {
    *out = jinja_undefined(name);
    if (of->kind == JINJA_UNDEFINED)
        return jinja_fail(r, NULL, "\"%s\" is undefined, and has no \"%s\"", of->name, name);
    if (of->kind == JINJA_LOOP) {
        if (loop_member(of->loop, name, out)) return ESP_OK;
        return jinja_refuse(r, "this member of loop");
    }
    if (of->kind == JINJA_NAMESPACE || of->kind == JINJA_DICT) {
        bool method = of->kind == JINJA_DICT && jinja_method_known(of, name);
        const jinja_value *v = method ? NULL : jinja_dict_named(of->dict, name);
        if (v) *out = *v;
        return method ? make_method(r, of, name, out) : ESP_OK;
    }
    return jinja_method_known(of, name) ? make_method(r, of, name, out) : ESP_OK;
}

esp_status jinja_get_item(jinja_run *r, const jinja_value *of, const jinja_value *key, jinja_value *out) {
    *out = jinja_undefined("an item");
    if (of->kind == JINJA_UNDEFINED)
        return jinja_fail(r, NULL, "\"%s\" is undefined, and has no items", of->name);
    if (key->kind == JINJA_STRING && of->kind != JINJA_LIST && of->kind != JINJA_TUPLE) {
        const jinja_value *v =
            of->kind == JINJA_DICT || of->kind == JINJA_NAMESPACE ? jinja_dict_find(of->dict, key) : NULL;
        char *name = arena_alloc(r->memory, key->string.length + 1);
        memcpy(name, key->string.at, key->string.length);
        if (v) *out = *v;
        return v ? ESP_OK : jinja_get_attribute(r, of, name, out);
    }
    if (of->kind == JINJA_DICT) {
        const jinja_value *v = jinja_dict_find(of->dict, key);
        if (v) *out = *v;
        return ESP_OK;
    }
    if (key->kind != JINJA_INTEGER && key->kind != JINJA_BOOL) return ESP_OK;
    int64_t i = key->kind == JINJA_INTEGER ? key->integer : key->truth, n = 0;
    if (!jinja_is_sequence(of) && of->kind != JINJA_STRING) return ESP_OK;
    ESP_TRY(jinja_length(r, of, &n));
    ESP_TRY(jinja_charge(r, of->kind == JINJA_STRING ? of->string.length : 0));
    if (i < 0) i += n;
    if (i < 0 || i >= n) return ESP_OK;
    if (of->kind != JINJA_STRING) {
        *out = of->list->at[i];
        return ESP_OK;
    }
    size_t at = jinja_offset(of->string, i);
    *out = jinja_of_string(jinja_part(of->string, at, at + jinja_character(of->string, at)));
    return ESP_OK;
}

esp_status jinja_get_path(jinja_run *r, const jinja_value *of, jinja_string path, jinja_value *out) {
    *out = *of;
    for (size_t from = 0; from <= path.length;) {
        size_t end = from;
        bool digits = true;
        for (; end < path.length && path.at[end] != '.'; end++)
            digits &= is_digit((unsigned char)path.at[end]);
        jinja_value key = jinja_of_string(jinja_part(path, from, end)), whole = *out;
        if (digits && end > from && end - from < 10) {
            key = jinja_of_integer(0);
            for (size_t i = from; i < end; i++) key.integer = key.integer * 10 + (path.at[i] - '0');
        }
        ESP_TRY(jinja_get_item(r, &whole, &key, out));
        from = end + 1;
    }
    return ESP_OK;
}
