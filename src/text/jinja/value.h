/* Values of a template at work. All memory is the run's arena. */
#ifndef ESPALIER_TEXT_JINJA_VALUE_H
#define ESPALIER_TEXT_JINJA_VALUE_H

#include "text/jinja/jinja.h"

typedef enum {
    JINJA_UNDEFINED,
    JINJA_NONE,
    JINJA_BOOL,
    JINJA_INTEGER,
    JINJA_REAL,
    JINJA_STRING,
    JINJA_LIST,
    JINJA_TUPLE,
    JINJA_DICT,
    JINJA_NAMESPACE, /* a dict that `set` may change */
    JINJA_LOOP,
    JINJA_MACRO,
    JINJA_FUNCTION, /* of all templates, as range */
    JINJA_METHOD,   /* of a string or a dict, before its call */
} jinja_kind;

/* Bytes and their marks: own[i] is 1 where byte i is the template's. */
typedef struct {
    const char *at;
    const uint8_t *own;
    size_t length;
    bool safe; /* of the filter safe: Jinja would escape what is joined with it */
} jinja_string;

typedef struct jinja_value jinja_value;
typedef struct jinja_list jinja_list;
typedef struct jinja_dict jinja_dict;
typedef struct jinja_loop jinja_loop;
typedef struct jinja_macro jinja_macro;
typedef struct jinja_method jinja_method;
typedef struct jinja_run jinja_run;

struct jinja_value {
    jinja_kind kind;
    union {
        bool truth;
        int64_t integer;
        double real;
        const char *name; /* JINJA_UNDEFINED: what is not defined; JINJA_FUNCTION: which */
        jinja_string string;
        jinja_list *list; /* also of a tuple */
        jinja_dict *dict; /* also of a namespace */
        jinja_loop *loop;
        const jinja_macro *macro;
        const jinja_method *method;
    };
};

/* What Python has in a list's place: it can be looped over, and is not written. */
typedef enum {
    JINJA_MADE,
    JINJA_VIEW /* d.items() */,
    JINJA_LAZY /* map: always true, and has no length */
} jinja_making;

struct jinja_list {
    jinja_value *at;
    int64_t count, capacity;
    jinja_making making;
};

/* In order of insertion. */
struct jinja_dict {
    jinja_list keys, values;
};

struct jinja_method {
    const char *name;
    jinja_value of;
};

/* ---- What a run has (render.c) ---- */

typedef struct jinja_node jinja_node;
typedef struct jinja_scope jinja_scope;

/* Text that is being written: of the whole, of a macro, of a block that is set. */
typedef struct {
    text_buffer text, own;
} jinja_output;

struct jinja_run {
    arena *memory;
    const jinja_input *input;
    int64_t steps;
    size_t bytes;
    int depth;
    const jinja_node *at; /* what is being evaluated, for errors */
    jinja_scope *scope;
    jinja_output *out;
    esp_error *error;
};

/* Fails with the place in the template before the message. */
esp_status jinja_fail(jinja_run *r, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for what Jinja has and this program has not. */
esp_status jinja_refuse(jinja_run *r, const char *what);
/* Counts a step, and bytes that are about to be made. */
esp_status jinja_charge(jinja_run *r, size_t bytes);

/* ---- Values ---- */

static inline jinja_value jinja_of_bool(bool x) {
    return (jinja_value){.kind = JINJA_BOOL, .truth = x};
}
static inline jinja_value jinja_of_integer(int64_t x) {
    return (jinja_value){.kind = JINJA_INTEGER, .integer = x};
}
static inline jinja_value jinja_of_string(jinja_string s) {
    return (jinja_value){.kind = JINJA_STRING, .string = s};
}
static inline jinja_value jinja_of_list(jinja_list *list) {
    return (jinja_value){.kind = JINJA_LIST, .list = list};
}
static inline jinja_value jinja_none(void) {
    return (jinja_value){.kind = JINJA_NONE};
}
static inline jinja_value jinja_undefined(const char *name) {
    return (jinja_value){.kind = JINJA_UNDEFINED, .name = name};
}
static inline bool jinja_is_string(const jinja_value *v) {
    return v->kind == JINJA_STRING;
}
static inline bool jinja_is_sequence(const jinja_value *v) {
    return v->kind == JINJA_LIST || v->kind == JINJA_TUPLE;
}
static inline bool jinja_is_number(const jinja_value *v) {
    return v->kind == JINJA_INTEGER || v->kind == JINJA_REAL || v->kind == JINJA_BOOL;
}

/* "a string", for errors. */
const char *jinja_kind_name(const jinja_value *v);
/* Words of the template: `text` is borrowed, its marks are made. */
esp_status jinja_own(jinja_run *r, const char *text, size_t length, jinja_string *out);
jinja_string jinja_part(jinja_string s, size_t start, size_t end);
bool jinja_string_is(jinja_string s, const char *text);
bool jinja_strings_equal(jinja_string a, jinja_string b);
/* Strings one after another. */
esp_status jinja_concat(jinja_run *r, const jinja_string *parts, int64_t n, jinja_string *out);
/* Bytes of the character at `at` (1 for a byte that is not UTF-8). */
size_t jinja_character(jinja_string s, size_t at);
int64_t jinja_characters(jinja_string s);
/* Byte offset of the character with this index. */
size_t jinja_offset(jinja_string s, int64_t index);

jinja_list *jinja_list_new(jinja_run *r);
esp_status jinja_list_add(jinja_run *r, jinja_list *list, jinja_value v);
jinja_dict *jinja_dict_new(jinja_run *r);
/* NULL: it has no such key. */
jinja_value *jinja_dict_find(const jinja_dict *d, const jinja_value *key);
jinja_value *jinja_dict_named(const jinja_dict *d, const char *key);
esp_status jinja_dict_put(jinja_run *r, jinja_dict *d, jinja_value key, jinja_value v);

double jinja_real(const jinja_value *number);
bool jinja_truth(const jinja_value *v);
bool jinja_equal(const jinja_value *a, const jinja_value *b);
/* *out below, at or above 0; fails where Python has no order. */
esp_status jinja_order(jinja_run *r, const jinja_value *a, const jinja_value *b, int *out);
/* The length of a string in characters, of a list, or of a dict. */
esp_status jinja_length(jinja_run *r, const jinja_value *v, int64_t *out);
/* What a loop over the value takes: items, keys, characters. */
esp_status jinja_items(jinja_run *r, const jinja_value *v, jinja_list **out);

/* As str() has it, and as repr(). */
esp_status jinja_text(jinja_run *r, const jinja_value *v, jinja_string *out);
esp_status jinja_repr(jinja_run *r, const jinja_value *v, jinja_output *out);
void jinja_output_own(jinja_output *out, const char *text, size_t length);
void jinja_output_string(jinja_output *out, jinja_string s);
void jinja_output_free(jinja_output *out);
/* The output as a string of the run. */
esp_status jinja_output_take(jinja_run *r, const jinja_output *from, jinja_string *out);
/* A number as Python writes it. */
void jinja_number_text(const jinja_value *v, text_buffer *out);

/* Of JSON; own: the keys whose strings are the template's. */
esp_status jinja_of_json(jinja_run *r, const json_t *json, const char *key, jinja_value *out);
typedef struct {
    bool ascii, sort_keys;
    int64_t indent; /* -1: on one line */
} jinja_json_form;
esp_status jinja_to_json(jinja_run *r, const jinja_value *v, jinja_json_form form, jinja_output *out);

#endif
