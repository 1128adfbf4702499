#include "grade/functions.h"

#include <string.h>

#define ROW(id, name, arguments) {name, arguments},
static const struct {
    const char *name;
    int arguments;
} functions[] = {FUNCTIONS(ROW)};

/* Other names. */
static const struct {
    const char *name;
    function_id id;
} aliases[] = {
    {"asin", FUNCTION_ARCSIN},    {"acos", FUNCTION_ARCCOS},    {"atan", FUNCTION_ARCTAN},
    {"acot", FUNCTION_ARCCOT},    {"tg", FUNCTION_TAN},         {"ctg", FUNCTION_COT},
    {"cosec", FUNCTION_CSC},      {"arctg", FUNCTION_ARCTAN},   {"asinh", FUNCTION_ARSINH},
    {"acosh", FUNCTION_ARCOSH},   {"atanh", FUNCTION_ARTANH},   {"arcsinh", FUNCTION_ARSINH},
    {"arccosh", FUNCTION_ARCOSH}, {"arctanh", FUNCTION_ARTANH}, {"lg", FUNCTION_LOG},
    {"ceiling", FUNCTION_CEIL},   {"binomial", FUNCTION_BINOM},
};

const char *function_name(function_id id) {
    return functions[id].name;
}

int function_arguments(function_id id) {
    return functions[id].arguments;
}

static int matches(const char *name, const char *text, size_t length) {
    return strncmp(name, text, length) == 0 && name[length] == 0;
}

int function_find(const char *text, size_t length) {
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (matches(functions[i].name, text, length)) return i;
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (matches(aliases[i].name, text, length)) return (int)aliases[i].id;
    return -1;
}
