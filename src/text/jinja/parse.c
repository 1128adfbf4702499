/* Expressions. Their order of binding is Jinja's. */
#include "text/jinja/tree.h"

#include <stdio.h>
#include <stdlib.h>

jinja_node *jinja_node_new(jinja_parser *p, node_kind kind) {
    jinja_node *n = ARENA_NEW(p->template->memory, jinja_node);
    n->kind = kind;
    n->line = p->at->line;
    n->column = p->at->column;
    MEM_LIST_PUSH(&p->template->nodes, n);
    return n;
}

static esp_status fail_at(const jinja_parser *p, const char *before, const char *hint, const char *format,
                          va_list arguments) {
    char *message = NULL;
    if (vasprintf(&message, format, arguments) < 0) message = NULL;
    jinja_error_at(p->error, p->at->line, p->at->column, hint, "%s%s", before, message ? message : format);
    free(message);
    return ESP_FAILED;
}

esp_status jinja_parse_error(const jinja_parser *p, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    esp_status status = fail_at(p, "", NULL, format, arguments);
    va_end(arguments);
    return status;
}

esp_status jinja_not_supported(const jinja_parser *p, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    esp_status status = fail_at(p, "not supported: ", NULL, format, arguments);
    va_end(arguments);
    return status;
}

bool jinja_next_is(const jinja_parser *p, const char *sign_or_name) {
    return (p->at->kind == TOKEN_NAME || p->at->kind == TOKEN_SIGN) && strcmp(p->at->text, sign_or_name) == 0;
}

bool jinja_skip(jinja_parser *p, const char *sign_or_name) {
    if (!jinja_next_is(p, sign_or_name)) return false;
    p->at++;
    return true;
}

esp_status jinja_expect(jinja_parser *p, const char *sign_or_name) {
    if (jinja_skip(p, sign_or_name)) return ESP_OK;
    return jinja_parse_error(p, "\"%s\" is missing", sign_or_name);
}

esp_status jinja_enter(jinja_parser *p) {
    if (p->depth >= JINJA_PARSE_DEPTH) return jinja_parse_error(p, "too many levels in each other");
    p->depth++;
    return ESP_OK;
}

void jinja_leave(jinja_parser *p) {
    p->depth--;
}

esp_status jinja_take_name(jinja_parser *p, const char **out) {
    if (p->at->kind != TOKEN_NAME) return jinja_parse_error(p, "a name is missing");
    *out = p->at++->text;
    return ESP_OK;
}

/* ---- Values in words ---- */

static esp_status parse_one(jinja_parser *p, jinja_node **out) {
    return jinja_parse_expression(p, false, true, out);
}

/* "a, b, c" up to `end`. */
static esp_status parse_items(jinja_parser *p, const char *end, bool pairs, jinja_node *n) {
    while (!jinja_next_is(p, end)) {
        jinja_node *item;
        ESP_TRY(parse_one(p, &item));
        MEM_LIST_PUSH(&n->items, item);
        if (pairs) {
            ESP_TRY(jinja_expect(p, ":"));
            ESP_TRY(parse_one(p, &item));
            MEM_LIST_PUSH(&n->items, item);
        }
        if (!jinja_skip(p, ",")) break;
    }
    return jinja_expect(p, end);
}

static esp_status parse_brackets(jinja_parser *p, jinja_node **out) {
    if (jinja_next_is(p, "[") || jinja_next_is(p, "{")) {
        bool dict = jinja_next_is(p, "{");
        *out = jinja_node_new(p, dict ? NODE_DICT : NODE_LIST);
        p->at++;
        return parse_items(p, dict ? "}" : "]", dict, *out);
    }
    p->at++;
    if (jinja_next_is(p, ")")) {
        *out = jinja_node_new(p, NODE_TUPLE);
        p->at++;
        return ESP_OK;
    }
    ESP_TRY(jinja_parse_expression(p, true, true, out));
    return jinja_expect(p, ")");
}

static void constant_string(jinja_parser *p, const char *text, size_t length, jinja_node *n) {
    uint8_t *own = ARENA_ARRAY(p->template->memory, uint8_t, length + 1);
    memset(own, 1, length);
    n->constant = jinja_of_string((jinja_string){text, own, length, false});
}

/* Strings one after another are one string. */
static void parse_string(jinja_parser *p, jinja_node *n) {
    text_buffer whole = {0};
    while (p->at->kind == TOKEN_STRING) {
        text_append(&whole, p->at->text, p->at->length);
        p->at++;
    }
    char *text = ARENA_ARRAY(p->template->memory, char, whole.length + 1);
    if (whole.length) memcpy(text, whole.at, whole.length);
    constant_string(p, text, whole.length, n);
    text_free(&whole);
}

static bool word_constant(const char *word, jinja_value *out) {
    bool yes = strcmp(word, "true") == 0 || strcmp(word, "True") == 0;
    if (yes || strcmp(word, "false") == 0 || strcmp(word, "False") == 0) {
        *out = jinja_of_bool(yes);
        return true;
    }
    *out = jinja_none();
    return strcmp(word, "none") == 0 || strcmp(word, "None") == 0;
}

static esp_status parse_primary(jinja_parser *p, jinja_node **out) {
    if (jinja_next_is(p, "(") || jinja_next_is(p, "[") || jinja_next_is(p, "{"))
        return parse_brackets(p, out);
    jinja_node *n = *out = jinja_node_new(p, NODE_CONSTANT);
    switch (p->at->kind) {
    case TOKEN_NAME:
        if (!word_constant(p->at->text, &n->constant)) {
            n->kind = NODE_NAME;
            n->name = p->at->text;
        }
        p->at++;
        return ESP_OK;
    case TOKEN_STRING:
        parse_string(p, n);
        return ESP_OK;
    case TOKEN_INTEGER:
        n->constant = jinja_of_integer(p->at++->integer);
        return ESP_OK;
    case TOKEN_REAL:
        n->constant = (jinja_value){.kind = JINJA_REAL, .real = p->at++->real};
        return ESP_OK;
    default:
        return jinja_parse_error(p, "a value is missing");
    }
}

/* ---- What follows a value ---- */

static esp_status parse_subscript(jinja_parser *p, jinja_node *of, jinja_node **out) {
    jinja_node *n = *out = jinja_node_new(p, NODE_ITEM);
    n->a = of;
    p->at++;
    jinja_node *part[3] = {NULL};
    int parts = 0;
    bool slice = false;
    for (;; parts++) {
        if (parts == 3) return jinja_parse_error(p, "a slice has three parts at most");
        if (!jinja_next_is(p, ":") && !jinja_next_is(p, "]"))
            ESP_TRY(jinja_parse_expression(p, true, true, &part[parts]));
        if (!jinja_skip(p, ":")) break;
        slice = true;
    }
    ESP_TRY(jinja_expect(p, "]"));
    if (!slice) {
        n->b = part[0];
        return part[0] ? ESP_OK : jinja_parse_error(p, "an index is missing");
    }
    n->kind = NODE_SLICE;
    for (int i = 0; i < 3; i++) MEM_LIST_PUSH(&n->items, part[i]);
    return ESP_OK;
}

static void add_argument(argument_list *list, const char *name, jinja_node *value) {
    MEM_LIST_PUSH(list, ((jinja_argument){name, value}));
}

static esp_status parse_arguments(jinja_parser *p, argument_list *out) {
    ESP_TRY(jinja_expect(p, "("));
    while (!jinja_next_is(p, ")")) {
        const char *name = NULL;
        jinja_node *value;
        if (jinja_next_is(p, "*") || jinja_next_is(p, "**"))
            return jinja_not_supported(p, "a list or dict as the arguments of a call");
        if (p->at->kind == TOKEN_NAME && p->at[1].kind == TOKEN_SIGN && strcmp(p->at[1].text, "=") == 0) {
            name = p->at->text;
            p->at += 2;
        } else if (out->count && out->at[out->count - 1].name) {
            return jinja_parse_error(p, "an argument without a name after one with a name");
        }
        ESP_TRY(parse_one(p, &value));
        add_argument(out, name, value);
        if (!jinja_skip(p, ",")) break;
    }
    return jinja_expect(p, ")");
}

static esp_status parse_attribute(jinja_parser *p, jinja_node *of, jinja_node **out) {
    jinja_node *n = *out = jinja_node_new(p, NODE_ATTRIBUTE);
    n->a = of;
    p->at++;
    if (p->at->kind == TOKEN_INTEGER) {
        n->kind = NODE_ITEM;
        n->b = jinja_node_new(p, NODE_CONSTANT);
        n->b->constant = jinja_of_integer(p->at++->integer);
        return ESP_OK;
    }
    return jinja_take_name(p, &n->name);
}

static esp_status parse_call(jinja_parser *p, jinja_node *of, jinja_node **out) {
    jinja_node *n = *out = jinja_node_new(p, NODE_CALL);
    n->a = of;
    return parse_arguments(p, &n->arguments);
}

static esp_status parse_postfix(jinja_parser *p, jinja_node **n) {
    for (;;) {
        if (jinja_next_is(p, "."))
            ESP_TRY(parse_attribute(p, *n, n));
        else if (jinja_next_is(p, "["))
            ESP_TRY(parse_subscript(p, *n, n));
        else if (jinja_next_is(p, "("))
            ESP_TRY(parse_call(p, *n, n));
        else
            return ESP_OK;
    }
}

static esp_status parse_one_filter(jinja_parser *p, jinja_node *a, jinja_node **out) {
    jinja_node *n = *out = jinja_node_new(p, NODE_FILTER);
    n->a = a;
    ESP_TRY(jinja_take_name(p, &n->name));
    n->rule = jinja_filter_find(n->name);
    if (n->rule < 0) {
        p->at--;
        return jinja_not_supported(p, "the filter \"%s\"", n->name);
    }
    return jinja_next_is(p, "(") ? parse_arguments(p, &n->arguments) : ESP_OK;
}

esp_status jinja_parse_filters(jinja_parser *p, jinja_node *a, jinja_node **out) {
    *out = a;
    while (jinja_skip(p, "|")) ESP_TRY(parse_one_filter(p, *out, out));
    return ESP_OK;
}

esp_status jinja_parse_first_filter(jinja_parser *p, jinja_node **out) {
    ESP_TRY(parse_one_filter(p, NULL, out));
    return jinja_parse_filters(p, *out, out);
}

/* A test's argument without brackets may follow its name: "x is divisibleby 3". */
static bool argument_follows(const jinja_parser *p) {
    if (p->at->kind == TOKEN_NAME)
        return !jinja_next_is(p, "else") && !jinja_next_is(p, "or") && !jinja_next_is(p, "and") &&
               !jinja_next_is(p, "is");
    return p->at->kind == TOKEN_STRING || p->at->kind == TOKEN_INTEGER || p->at->kind == TOKEN_REAL ||
           jinja_next_is(p, "[") || jinja_next_is(p, "{");
}

static esp_status parse_test(jinja_parser *p, jinja_node *of, jinja_node **out) {
    jinja_node *n = jinja_node_new(p, NODE_TEST);
    n->a = of;
    p->at++;
    bool not = jinja_skip(p, "not");
    ESP_TRY(jinja_take_name(p, &n->name));
    n->rule = jinja_test_find(n->name);
    if (n->rule < 0) {
        p->at--;
        return jinja_not_supported(p, "the test \"%s\"", n->name);
    }
    if (jinja_next_is(p, "(")) {
        ESP_TRY(parse_arguments(p, &n->arguments));
    } else if (argument_follows(p)) {
        jinja_node *value;
        ESP_TRY(parse_primary(p, &value));
        ESP_TRY(parse_postfix(p, &value));
        add_argument(&n->arguments, NULL, value);
    }
    *out = n;
    if (not ) {
        *out = jinja_node_new(p, NODE_NOT);
        (*out)->a = n;
    }
    return ESP_OK;
}

static esp_status parse_rest(jinja_parser *p, jinja_node **n) {
    for (;;) {
        if (jinja_skip(p, "|"))
            ESP_TRY(parse_one_filter(p, *n, n));
        else if (jinja_next_is(p, "is"))
            ESP_TRY(parse_test(p, *n, n));
        else if (jinja_next_is(p, "("))
            ESP_TRY(parse_call(p, *n, n));
        else
            return ESP_OK;
    }
}

/* ---- Operators ---- */

static esp_status parse_unary(jinja_parser *p, bool filters, jinja_node **out) {
    ESP_TRY(jinja_enter(p));
    if (jinja_next_is(p, "-") || jinja_next_is(p, "+")) {
        jinja_node *n = jinja_node_new(p, jinja_next_is(p, "-") ? NODE_NEGATIVE : NODE_POSITIVE);
        p->at++;
        ESP_TRY(parse_unary(p, false, &n->a));
        *out = n;
    } else {
        ESP_TRY(parse_primary(p, out));
    }
    ESP_TRY(parse_postfix(p, out));
    if (filters) ESP_TRY(parse_rest(p, out));
    jinja_leave(p);
    return ESP_OK;
}

/* The operators of one level, the one that binds most last. */
typedef struct {
    const char *sign;
    int level;
    jinja_operator operator;
} binary_sign;
enum { ADDING, JOINING, MULTIPLYING, RAISING, BINARY_LEVELS };
static const binary_sign binary_signs[] = {
    {"+", ADDING, OPERATOR_ADD},
    {"-", ADDING, OPERATOR_SUBTRACT},
    {"~", JOINING, OPERATOR_JOIN},
    {"*", MULTIPLYING, OPERATOR_MULTIPLY},
    {"/", MULTIPLYING, OPERATOR_DIVIDE},
    {"//", MULTIPLYING, OPERATOR_FLOOR},
    {"%", MULTIPLYING, OPERATOR_REMAINDER},
    {"**", RAISING, OPERATOR_POWER},
};

static const binary_sign *binary_next(const jinja_parser *p, int level) {
    for (size_t i = 0; i < sizeof binary_signs / sizeof *binary_signs; i++)
        if (binary_signs[i].level == level && jinja_next_is(p, binary_signs[i].sign)) return &binary_signs[i];
    return NULL;
}

static esp_status parse_binary(jinja_parser *p, int level, jinja_node **out) {
    if (level == BINARY_LEVELS) return parse_unary(p, true, out);
    ESP_TRY(parse_binary(p, level + 1, out));
    for (const binary_sign *sign; (sign = binary_next(p, level));) {
        jinja_node *n = jinja_node_new(p, NODE_BINARY);
        n->operator= sign->operator;
        n->a = *out;
        p->at++;
        ESP_TRY(parse_binary(p, level + 1, &n->b));
        *out = n;
    }
    return ESP_OK;
}

static bool take_comparison(jinja_parser *p, jinja_operator *out) {
    static const struct {
        const char *sign;
        jinja_operator operator;
    } signs[] = {{"==", OPERATOR_EQUAL},    {"!=", OPERATOR_DIFFERENT}, {"<=", OPERATOR_AT_MOST},
                 {">=", OPERATOR_AT_LEAST}, {"<", OPERATOR_LESS},       {">", OPERATOR_GREATER},
                 {"in", OPERATOR_IN}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (jinja_skip(p, signs[i].sign)) {
            *out = signs[i].operator;
            return true;
        }
    *out = OPERATOR_NOT_IN;
    if (!jinja_next_is(p, "not") || p->at[1].kind != TOKEN_NAME || strcmp(p->at[1].text, "in") != 0)
        return false;
    p->at += 2;
    return true;
}

static esp_status parse_comparison(jinja_parser *p, jinja_node **out) {
    ESP_TRY(parse_binary(p, 0, out));
    jinja_node *n = NULL;
    for (;;) {
        jinja_node *other;
        jinja_operator operator;
        if (!take_comparison(p, &operator)) return ESP_OK;
        if (!n) {
            n = jinja_node_new(p, NODE_COMPARE);
            n->a = *out;
            *out = n;
        }
        if (n->operator_count == sizeof n->operators / sizeof *n->operators)
            return jinja_not_supported(p, "more than 8 comparisons in one");
        ESP_TRY(parse_binary(p, 0, &other));
        n->operators[n->operator_count++] = operator;
        MEM_LIST_PUSH(&n->items, other);
    }
}

static esp_status parse_not(jinja_parser *p, jinja_node **out) {
    if (!jinja_next_is(p, "not")) return parse_comparison(p, out);
    ESP_TRY(jinja_enter(p));
    jinja_node *n = *out = jinja_node_new(p, NODE_NOT);
    p->at++;
    ESP_TRY(parse_not(p, &n->a));
    jinja_leave(p);
    return ESP_OK;
}

static esp_status parse_logic(jinja_parser *p, bool or, jinja_node **out) {
    ESP_TRY(or ? parse_logic(p, false, out) : parse_not(p, out));
    while (jinja_next_is(p, or ? "or" : "and")) {
        jinja_node *n = jinja_node_new(p, or ? NODE_OR : NODE_AND);
        p->at++;
        n->a = *out;
        ESP_TRY(or ? parse_logic(p, false, &n->b) : parse_not(p, &n->b));
        *out = n;
    }
    return ESP_OK;
}

static esp_status parse_condition(jinja_parser *p, jinja_node **out) {
    ESP_TRY(jinja_enter(p));
    ESP_TRY(parse_logic(p, true, out));
    while (jinja_next_is(p, "if")) {
        jinja_node *n = jinja_node_new(p, NODE_CHOICE);
        p->at++;
        n->b = *out;
        ESP_TRY(parse_logic(p, true, &n->a));
        if (jinja_skip(p, "else")) ESP_TRY(parse_condition(p, &n->c));
        *out = n;
    }
    jinja_leave(p);
    return ESP_OK;
}

static bool at_end(const jinja_parser *p) {
    return p->at->kind == TOKEN_PRINT_END || p->at->kind == TOKEN_BLOCK_END || p->at->kind == TOKEN_END ||
           jinja_next_is(p, ")") || jinja_next_is(p, "in");
}

esp_status jinja_parse_expression(jinja_parser *p, bool tuple, bool condition, jinja_node **out) {
    ESP_TRY(jinja_enter(p));
    ESP_TRY(condition ? parse_condition(p, out) : parse_logic(p, true, out));
    if (tuple && jinja_next_is(p, ",")) {
        jinja_node *n = jinja_node_new(p, NODE_TUPLE);
        MEM_LIST_PUSH(&n->items, *out);
        while (jinja_skip(p, ",") && !at_end(p)) {
            jinja_node *item;
            ESP_TRY(condition ? parse_condition(p, &item) : parse_logic(p, true, &item));
            MEM_LIST_PUSH(&n->items, item);
        }
        *out = n;
    }
    jinja_leave(p);
    return ESP_OK;
}

/* ---- Targets and parameters ---- */

static esp_status target_name(jinja_parser *p, bool member, jinja_node **out) {
    jinja_node *n = *out = jinja_node_new(p, NODE_NAME);
    jinja_value constant;
    ESP_TRY(jinja_take_name(p, &n->name));
    if (word_constant(n->name, &constant)) return jinja_parse_error(p, "\"%s\" cannot be set", n->name);
    if (!member || !jinja_skip(p, ".")) return ESP_OK;
    jinja_node *of = n;
    n = *out = jinja_node_new(p, NODE_ATTRIBUTE);
    n->a = of;
    return jinja_take_name(p, &n->name);
}

esp_status jinja_parse_target(jinja_parser *p, bool member, jinja_node **out) {
    bool brackets = jinja_skip(p, "(");
    ESP_TRY(target_name(p, member && !brackets, out));
    if (jinja_next_is(p, ",")) {
        jinja_node *n = jinja_node_new(p, NODE_TUPLE);
        MEM_LIST_PUSH(&n->items, *out);
        while (jinja_skip(p, ",") && p->at->kind == TOKEN_NAME && !jinja_next_is(p, "in")) {
            jinja_node *item;
            ESP_TRY(target_name(p, false, &item));
            MEM_LIST_PUSH(&n->items, item);
        }
        *out = n;
    }
    return brackets ? jinja_expect(p, ")") : ESP_OK;
}

esp_status jinja_parse_parameters(jinja_parser *p, argument_list *out) {
    ESP_TRY(jinja_expect(p, "("));
    while (!jinja_next_is(p, ")")) {
        const char *name = NULL;
        jinja_node *initial = NULL;
        ESP_TRY(jinja_take_name(p, &name));
        if (jinja_skip(p, "=")) ESP_TRY(parse_one(p, &initial));
        add_argument(out, name, initial);
        if (!jinja_skip(p, ",")) break;
    }
    return jinja_expect(p, ")");
}
