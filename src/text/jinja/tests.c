/* Tests: what may follow "is". */
#include "text/jinja/filters.h"

#include <math.h>

typedef enum {
    IS_DEFINED,
    IS_UNDEFINED,
    IS_NONE,
    IS_BOOLEAN,
    IS_TRUE,
    IS_FALSE,
    IS_INTEGER,
    IS_FLOAT,
    IS_NUMBER,
    IS_STRING,
    IS_MAPPING,
    IS_ITERABLE,
    IS_SEQUENCE,
    IS_CALLABLE,
    IS_ODD,
    IS_EVEN,
    IS_DIVISIBLE,
    IS_SAME,
    IS_COMPARED, /* and what follows it */
} test_kind;

static const struct {
    const char *name;
    test_kind kind;
    jinja_operator operator;
} tests[] = {
    {"defined", IS_DEFINED, 0},
    {"undefined", IS_UNDEFINED, 0},
    {"none", IS_NONE, 0},
    {"boolean", IS_BOOLEAN, 0},
    {"true", IS_TRUE, 0},
    {"false", IS_FALSE, 0},
    {"integer", IS_INTEGER, 0},
    {"float", IS_FLOAT, 0},
    {"number", IS_NUMBER, 0},
    {"string", IS_STRING, 0},
    {"mapping", IS_MAPPING, 0},
    {"iterable", IS_ITERABLE, 0},
    {"sequence", IS_SEQUENCE, 0},
    {"callable", IS_CALLABLE, 0},
    {"odd", IS_ODD, 0},
    {"even", IS_EVEN, 0},
    {"divisibleby", IS_DIVISIBLE, 0},
    {"sameas", IS_SAME, 0},
    {"equalto", IS_COMPARED, OPERATOR_EQUAL},
    {"eq", IS_COMPARED, OPERATOR_EQUAL},
    {"==", IS_COMPARED, OPERATOR_EQUAL},
    {"ne", IS_COMPARED, OPERATOR_DIFFERENT},
    {"!=", IS_COMPARED, OPERATOR_DIFFERENT},
    {"lt", IS_COMPARED, OPERATOR_LESS},
    {"lessthan", IS_COMPARED, OPERATOR_LESS},
    {"<", IS_COMPARED, OPERATOR_LESS},
    {"le", IS_COMPARED, OPERATOR_AT_MOST},
    {"<=", IS_COMPARED, OPERATOR_AT_MOST},
    {"gt", IS_COMPARED, OPERATOR_GREATER},
    {"greaterthan", IS_COMPARED, OPERATOR_GREATER},
    {">", IS_COMPARED, OPERATOR_GREATER},
    {"ge", IS_COMPARED, OPERATOR_AT_LEAST},
    {">=", IS_COMPARED, OPERATOR_AT_LEAST},
    {"in", IS_COMPARED, OPERATOR_IN},
};

int jinja_test_find(const char *name) {
    for (int i = 0; i < (int)(sizeof tests / sizeof *tests); i++)
        if (strcmp(tests[i].name, name) == 0) return i;
    return -1;
}

/* Of the kind alone. */
static bool of_kind(test_kind kind, const jinja_value *v) {
    bool list = jinja_is_sequence(v);
    switch (kind) {
    case IS_DEFINED:
        return v->kind != JINJA_UNDEFINED;
    case IS_UNDEFINED:
        return v->kind == JINJA_UNDEFINED;
    case IS_NONE:
        return v->kind == JINJA_NONE;
    case IS_BOOLEAN:
        return v->kind == JINJA_BOOL;
    case IS_TRUE:
        return v->kind == JINJA_BOOL && v->truth;
    case IS_FALSE:
        return v->kind == JINJA_BOOL && !v->truth;
    case IS_INTEGER:
        return v->kind == JINJA_INTEGER;
    case IS_FLOAT:
        return v->kind == JINJA_REAL;
    case IS_NUMBER:
        return jinja_is_number(v);
    case IS_STRING:
        return v->kind == JINJA_STRING;
    case IS_MAPPING:
        return v->kind == JINJA_DICT;
    case IS_CALLABLE:
        return v->kind == JINJA_MACRO || v->kind == JINJA_FUNCTION || v->kind == JINJA_METHOD;
    case IS_ITERABLE:
        return list || v->kind == JINJA_STRING || v->kind == JINJA_DICT || v->kind == JINJA_UNDEFINED ||
               v->kind == JINJA_LOOP;
    default: /* IS_SEQUENCE: has a length and items */
        return list || v->kind == JINJA_STRING || v->kind == JINJA_DICT;
    }
}

static esp_status divisible(jinja_run *r, const jinja_value *v, int64_t by, int64_t rest, bool *out) {
    jinja_value divisor = jinja_of_integer(by), left;
    ESP_TRY(jinja_binary(r, OPERATOR_REMAINDER, v, &divisor, &left));
    *out = jinja_is_number(&left) && jinja_real(&left) == (double)rest;
    return ESP_OK;
}

static bool is_same(const jinja_value *a, const jinja_value *b) {
    if (a->kind != b->kind) return false;
    return jinja_is_sequence(a)    ? a->list == b->list
           : a->kind == JINJA_DICT ? a->dict == b->dict
                                   : jinja_equal(a, b);
}

esp_status jinja_test_apply(jinja_run *r, int rule, const jinja_value *v, const jinja_values *values,
                            bool *out) {
    test_kind kind = tests[rule].kind;
    bool takes = kind >= IS_DIVISIBLE;
    const jinja_value *other = values->count ? &values->at[0] : NULL;
    int64_t by;
    ESP_TRY(jinja_charge(r, 0));
    if (values->named || values->count != takes)
        return jinja_fail(r, NULL, "the test \"%s\" takes %s", tests[rule].name,
                          takes ? "one value" : "no values");
    switch (kind) {
    case IS_ODD:
    case IS_EVEN:
        return divisible(r, v, 2, kind == IS_ODD, out);
    case IS_DIVISIBLE:
        ESP_TRY(jinja_need_integer(r, other, "divisibleby", &by));
        return divisible(r, v, by, 0, out);
    case IS_SAME:
        *out = is_same(v, other);
        return ESP_OK;
    case IS_COMPARED:
        return jinja_compare(r, tests[rule].operator, v, other, out);
    default:
        *out = of_kind(kind, v);
        return ESP_OK;
    }
}
