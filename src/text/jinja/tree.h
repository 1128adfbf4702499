/* A compiled template: the tree of its statements and expressions. */
#ifndef ESPALIER_TEXT_JINJA_TREE_H
#define ESPALIER_TEXT_JINJA_TREE_H

#include "text/jinja/value.h"

typedef enum {
    /* expressions */
    NODE_CONSTANT,  /* constant; a string's marks are made when the template is compiled */
    NODE_NAME,      /* name */
    NODE_LIST,      /* items */
    NODE_TUPLE,     /* items */
    NODE_DICT,      /* items: key, value, key, value ... */
    NODE_NOT,       /* a */
    NODE_NEGATIVE,  /* a */
    NODE_POSITIVE,  /* a */
    NODE_AND,       /* a, b */
    NODE_OR,        /* a, b */
    NODE_BINARY,    /* a, b; operator */
    NODE_COMPARE,   /* a; items: the other sides; operators: one for each */
    NODE_CHOICE,    /* b where a, else c (NULL: undefined) */
    NODE_ATTRIBUTE, /* a.name */
    NODE_ITEM,      /* a[b] */
    NODE_SLICE,     /* a[items[0] : items[1] : items[2]], each may be NULL */
    NODE_CALL,      /* a(arguments) */
    NODE_FILTER,    /* a | name(arguments); a is NULL in a filter block */
    NODE_TEST,      /* a is name(arguments) */
    /* statements */
    NODE_TEXT,         /* constant: a string */
    NODE_PRINT,        /* a */
    NODE_IF,           /* a: condition; items: then; others: else */
    NODE_FOR,          /* a: target; b: what; c: condition or NULL; items: body; others: else */
    NODE_SET,          /* a: target; b: value */
    NODE_SET_BLOCK,    /* a: target; b: filters or NULL; items: body */
    NODE_MACRO,        /* name; arguments: parameters and their defaults; items: body */
    NODE_FILTER_BLOCK, /* b: filters; items: body */
    NODE_WITH,         /* arguments: names and values; items: body */
    NODE_BODY,         /* items */
    NODE_BREAK,
    NODE_CONTINUE,
} node_kind;

typedef enum {
    OPERATOR_ADD,
    OPERATOR_SUBTRACT,
    OPERATOR_MULTIPLY,
    OPERATOR_DIVIDE,
    OPERATOR_FLOOR,
    OPERATOR_REMAINDER,
    OPERATOR_POWER,
    OPERATOR_JOIN, /* ~ */
    OPERATOR_EQUAL,
    OPERATOR_DIFFERENT,
    OPERATOR_LESS,
    OPERATOR_AT_MOST,
    OPERATOR_GREATER,
    OPERATOR_AT_LEAST,
    OPERATOR_IN,
    OPERATOR_NOT_IN,
} jinja_operator;

typedef MEM_LIST(jinja_node *) node_list;

/* Arguments in their order; those with a name come last. */
typedef struct {
    const char *name;  /* NULL: by its place */
    jinja_node *value; /* of a macro's parameter: its default, or NULL */
} jinja_argument;
typedef struct {
    jinja_argument *at;
    int64_t count, capacity;
} argument_list;

struct jinja_node {
    node_kind kind;
    int32_t line, column;
    const char *name;
    jinja_value constant;
    jinja_operator operator;
    jinja_node *a, *b, *c;
    node_list items, others;
    argument_list arguments;
    int64_t operator_count;
    jinja_operator operators[8];
    int rule; /* of a filter or test: its place in the table */
};

struct jinja {
    arena *memory;
    MEM_LIST(jinja_node *) nodes; /* all of them, to be freed */
    jinja_node *body;
};

/* ---- Words of a template (lex.c) ---- */

typedef enum {
    TOKEN_END,
    TOKEN_TEXT,        /* outside of tags */
    TOKEN_PRINT_BEGIN, /* {{ */
    TOKEN_PRINT_END,   /* }} */
    TOKEN_BLOCK_BEGIN, /* {% */
    TOKEN_BLOCK_END,   /* %} */
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_INTEGER,
    TOKEN_REAL,
    TOKEN_SIGN, /* text: an operator or a bracket */
} token_kind;

typedef struct {
    token_kind kind;
    int32_t line, column;
    const char *text; /* zero-terminated; of a string: its value */
    size_t length;
    int64_t integer;
    double real;
} jinja_token;
typedef MEM_LIST(jinja_token) jinja_token_list;

/* "line L, column C" before the message. */
esp_status jinja_error_at(esp_error *error, int32_t line, int32_t column, const char *hint,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));
esp_status jinja_lex(const char *source, size_t length, arena *memory, jinja_token_list *out,
                     esp_error *error);

/* ---- Parsing ---- */

typedef struct {
    jinja *template;
    const jinja_token *at;
    int depth;
    esp_error *error;
} jinja_parser;

/* Nesting of expressions and statements at most. */
enum { JINJA_PARSE_DEPTH = 200 };

jinja_node *jinja_node_new(jinja_parser *p, node_kind kind);
esp_status jinja_parse_error(const jinja_parser *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
esp_status jinja_not_supported(const jinja_parser *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool jinja_next_is(const jinja_parser *p, const char *sign_or_name);
bool jinja_skip(jinja_parser *p, const char *sign_or_name);
esp_status jinja_expect(jinja_parser *p, const char *sign_or_name);
esp_status jinja_enter(jinja_parser *p);
void jinja_leave(jinja_parser *p);
/* The name that is next, which is passed. */
esp_status jinja_take_name(jinja_parser *p, const char **out);

/* tuple: "a, b" without brackets may follow; condition: an inline if may follow. */
esp_status jinja_parse_expression(jinja_parser *p, bool tuple, bool condition, jinja_node **out);
/* What a loop or a set assigns to: names, a tuple of them, or a namespace's member. */
esp_status jinja_parse_target(jinja_parser *p, bool member, jinja_node **out);
/* "| name(...)" as often as it follows; a: what is filtered, NULL for a block. */
esp_status jinja_parse_filters(jinja_parser *p, jinja_node *a, jinja_node **out);
/* "name(...)" of a filter block, and what follows. */
esp_status jinja_parse_first_filter(jinja_parser *p, jinja_node **out);
/* The parameters of a macro, in brackets. */
esp_status jinja_parse_parameters(jinja_parser *p, argument_list *out);

/* ---- Rules: filters, tests, methods ---- */

/* Values of a call: those by place, then those by name. */
typedef struct {
    const jinja_value *at;
    int64_t count;
    const char *const *names; /* of the last `named` ones */
    int64_t named;
} jinja_values;
/* The value with this place or name; NULL: not given. */
const jinja_value *jinja_argument_of(const jinja_values *values, int64_t place, const char *name);
/* Fails for more values than `most`, and for names that are none of `known` ("a b"). */
esp_status jinja_check_arguments(jinja_run *r, const jinja_values *values, int64_t most, const char *known,
                                 const char *what);

int jinja_filter_find(const char *name); /* -1: there is none */
esp_status jinja_filter_apply(jinja_run *r, int rule, const jinja_value *v, const jinja_values *values,
                              jinja_value *out);
int jinja_test_find(const char *name);
esp_status jinja_test_apply(jinja_run *r, int rule, const jinja_value *v, const jinja_values *values,
                            bool *out);
/* Whether Python's values of this kind have such a method; jinja_method_call may refuse it. */
bool jinja_method_known(const jinja_value *v, const char *name);
esp_status jinja_method_call(jinja_run *r, const jinja_method *m, const jinja_values *values,
                             jinja_value *out);
esp_status jinja_function_call(jinja_run *r, const char *name, const jinja_values *values, jinja_value *out);
bool jinja_function_known(const char *name);

/* Strings, as Python's methods have them (strings.c). */
typedef enum { JINJA_TRIM_BOTH, JINJA_TRIM_LEFT, JINJA_TRIM_RIGHT } jinja_trim_side;
/* what: NULL trims white space. */
jinja_string jinja_trim(jinja_string s, const jinja_string *what, jinja_trim_side side);
typedef enum { JINJA_UPPER, JINJA_LOWER, JINJA_CAPITALIZE, JINJA_TITLE } jinja_case;
esp_status jinja_cased(jinja_run *r, jinja_string s, jinja_case to, jinja_string *out);
/* most: replacements at most; -1: all. */
esp_status jinja_replace(jinja_run *r, jinja_string s, jinja_string old, jinja_string new, int64_t most,
                         jinja_string *out);
/* separator NULL: at white space. most: cuts at most; -1: all. right: from the end. */
esp_status jinja_split(jinja_run *r, jinja_string s, const jinja_string *separator, int64_t most, bool right,
                       jinja_list *out);
esp_status jinja_lines(jinja_run *r, jinja_string s, bool keep_ends, jinja_list *out);
/* The byte at which `what` is found from `from` on; -1: nowhere. */
int64_t jinja_find(jinja_string s, jinja_string what, size_t from);
bool jinja_is_space(jinja_string s, size_t at, size_t length);

/* ---- Running ---- */

struct jinja_scope {
    jinja_scope *outer;
    jinja_dict names;
};

struct jinja_loop {
    jinja_list *items;
    int64_t index;
};

struct jinja_macro {
    const jinja_node *node;
    jinja_scope *scope; /* in which it was made */
};

esp_status jinja_evaluate(jinja_run *r, const jinja_node *n, jinja_value *out);
esp_status jinja_get_attribute(jinja_run *r, const jinja_value *of, const char *name, jinja_value *out);
esp_status jinja_get_item(jinja_run *r, const jinja_value *of, const jinja_value *key, jinja_value *out);
/* "a.b.0" of sort, map and selectattr. */
esp_status jinja_get_path(jinja_run *r, const jinja_value *of, jinja_string path, jinja_value *out);
esp_status jinja_binary(jinja_run *r, jinja_operator op, const jinja_value *a, const jinja_value *b,
                        jinja_value *out);
esp_status jinja_compare(jinja_run *r, jinja_operator op, const jinja_value *a, const jinja_value *b,
                         bool *out);
esp_status jinja_name_value(jinja_run *r, const char *name, jinja_value *out);
/* In the present scope. */
esp_status jinja_assign(jinja_run *r, const char *name, jinja_value v);
esp_status jinja_macro_call(jinja_run *r, const jinja_macro *m, const jinja_values *values, jinja_value *out);
/* The filters of a block, on its text. */
esp_status jinja_filter_chain(jinja_run *r, const jinja_node *n, const jinja_value *v, jinja_value *out);

#endif
