/* Statements, and the compiled template. */
#include "text/jinja/tree.h"

static esp_status parse_body(jinja_parser *p, const char *const *ends, node_list *out);

static esp_status end_of_tag(jinja_parser *p) {
    if (p->at->kind != TOKEN_BLOCK_END) return jinja_parse_error(p, "the end of the tag is missing");
    p->at++;
    return ESP_OK;
}

/* The body up to {% end %}, which is passed. */
static esp_status parse_until(jinja_parser *p, const char *end, node_list *out) {
    const char *const ends[] = {end, NULL};
    ESP_TRY(end_of_tag(p));
    ESP_TRY(parse_body(p, ends, out));
    p->at++;
    return end_of_tag(p);
}

static esp_status parse_if(jinja_parser *p, jinja_node *n) {
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    ESP_TRY(jinja_parse_expression(p, true, true, &n->a));
    ESP_TRY(end_of_tag(p));
    ESP_TRY(parse_body(p, ends, &n->items));
    if (jinja_next_is(p, "elif")) {
        jinja_node *other = jinja_node_new(p, NODE_IF);
        p->at++;
        ESP_TRY(jinja_enter(p));
        ESP_TRY(parse_if(p, other));
        jinja_leave(p);
        MEM_LIST_PUSH(&n->others, other);
        return ESP_OK;
    }
    if (jinja_skip(p, "else")) return parse_until(p, "endif", &n->others);
    p->at++;
    return end_of_tag(p);
}

static esp_status parse_for(jinja_parser *p, jinja_node *n) {
    static const char *const ends[] = {"else", "endfor", NULL};
    ESP_TRY(jinja_parse_target(p, false, &n->a));
    ESP_TRY(jinja_expect(p, "in"));
    ESP_TRY(jinja_parse_expression(p, true, false, &n->b));
    if (jinja_skip(p, "if")) ESP_TRY(jinja_parse_expression(p, false, true, &n->c));
    if (jinja_next_is(p, "recursive")) return jinja_not_supported(p, "recursive loops");
    ESP_TRY(end_of_tag(p));
    ESP_TRY(parse_body(p, ends, &n->items));
    if (jinja_skip(p, "else")) return parse_until(p, "endfor", &n->others);
    p->at++;
    return end_of_tag(p);
}

static esp_status parse_set(jinja_parser *p, jinja_node *n) {
    ESP_TRY(jinja_parse_target(p, true, &n->a));
    if (jinja_skip(p, "=")) {
        ESP_TRY(jinja_parse_expression(p, true, true, &n->b));
        return end_of_tag(p);
    }
    n->kind = NODE_SET_BLOCK;
    ESP_TRY(jinja_parse_filters(p, NULL, &n->b));
    return parse_until(p, "endset", &n->items);
}

static esp_status parse_macro(jinja_parser *p, jinja_node *n) {
    ESP_TRY(jinja_take_name(p, &n->name));
    ESP_TRY(jinja_parse_parameters(p, &n->arguments));
    return parse_until(p, "endmacro", &n->items);
}

static esp_status parse_filter(jinja_parser *p, jinja_node *n) {
    ESP_TRY(jinja_parse_first_filter(p, &n->b));
    return parse_until(p, "endfilter", &n->items);
}

static esp_status parse_with(jinja_parser *p, jinja_node *n) {
    while (p->at->kind != TOKEN_BLOCK_END) {
        jinja_argument a = {0};
        ESP_TRY(jinja_take_name(p, &a.name));
        ESP_TRY(jinja_expect(p, "="));
        ESP_TRY(jinja_parse_expression(p, false, true, &a.value));
        MEM_LIST_PUSH(&n->arguments, a);
        if (!jinja_skip(p, ",")) break;
    }
    return parse_until(p, "endwith", &n->items);
}

/* What transformers adds: marks the assistant's text for training; its body is as without it. */
static esp_status parse_generation(jinja_parser *p, jinja_node *n) {
    return parse_until(p, "endgeneration", &n->items);
}

static esp_status parse_nothing(jinja_parser *p, jinja_node *n) {
    (void)n;
    return end_of_tag(p);
}

static const struct {
    const char *name;
    node_kind kind;
    esp_status (*parse)(jinja_parser *, jinja_node *);
} statements[] = {
    {"if", NODE_IF, parse_if},
    {"for", NODE_FOR, parse_for},
    {"set", NODE_SET, parse_set},
    {"macro", NODE_MACRO, parse_macro},
    {"filter", NODE_FILTER_BLOCK, parse_filter},
    {"with", NODE_WITH, parse_with},
    {"generation", NODE_BODY, parse_generation},
    {"break", NODE_BREAK, parse_nothing},
    {"continue", NODE_CONTINUE, parse_nothing},
};

static esp_status parse_statement(jinja_parser *p, jinja_node **out) {
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!jinja_next_is(p, statements[i].name)) continue;
        *out = jinja_node_new(p, statements[i].kind);
        p->at++;
        return statements[i].parse(p, *out);
    }
    if (p->at->kind != TOKEN_NAME) return jinja_parse_error(p, "a tag without a name");
    return jinja_not_supported(p, "the tag \"%s\"", p->at->text);
}

static esp_status parse_print(jinja_parser *p, jinja_node **out) {
    *out = jinja_node_new(p, NODE_PRINT);
    ESP_TRY(jinja_parse_expression(p, true, true, &(*out)->a));
    if (p->at->kind != TOKEN_PRINT_END) return jinja_parse_error(p, "\"}}\" is missing");
    p->at++;
    return ESP_OK;
}

static void parse_text(jinja_parser *p, jinja_node **out) {
    jinja_node *n = *out = jinja_node_new(p, NODE_TEXT);
    uint8_t *own = ARENA_ARRAY(p->template->memory, uint8_t, p->at->length + 1);
    memset(own, 1, p->at->length);
    n->constant = jinja_of_string((jinja_string){p->at->text, own, p->at->length, false});
    p->at++;
}

static bool is_among(const jinja_parser *p, const char *const *names) {
    for (; names && *names; names++)
        if (jinja_next_is(p, *names)) return true;
    return false;
}

/* Up to a tag with one of the names `ends`, and at that name; NULL: up to the end of the template. */
static esp_status parse_body(jinja_parser *p, const char *const *ends, node_list *out) {
    ESP_TRY(jinja_enter(p));
    while (p->at->kind != TOKEN_END) {
        jinja_node *n = NULL;
        if (p->at->kind == TOKEN_TEXT) {
            parse_text(p, &n);
        } else if (p->at->kind == TOKEN_PRINT_BEGIN) {
            p->at++;
            ESP_TRY(parse_print(p, &n));
        } else {
            p->at++;
            if (is_among(p, ends)) {
                jinja_leave(p);
                return ESP_OK;
            }
            ESP_TRY(parse_statement(p, &n));
        }
        MEM_LIST_PUSH(out, n);
    }
    jinja_leave(p);
    return ends ? jinja_parse_error(p, "the tag \"%s\" is missing", ends[0]) : ESP_OK;
}

esp_status jinja_compile(jinja **out, const char *source, size_t length, esp_error *error) {
    *out = NULL;
    jinja *t = MEM_NEW(jinja);
    t->memory = arena_new();
    jinja_token_list tokens = {0};
    jinja_parser p = {.template = t, .error = error};
    esp_status status = jinja_lex(source, length, t->memory, &tokens, error);
    if (status == ESP_OK) {
        p.at = tokens.at;
        t->body = jinja_node_new(&p, NODE_BODY);
        status = parse_body(&p, NULL, &t->body->items);
    }
    MEM_LIST_FREE(&tokens);
    if (status != ESP_OK) {
        jinja_free(t);
        return status;
    }
    *out = t;
    return ESP_OK;
}

void jinja_free(jinja *t) {
    if (!t) return;
    for (int64_t i = 0; i < t->nodes.count; i++) {
        jinja_node *n = t->nodes.at[i];
        MEM_LIST_FREE(&n->items);
        MEM_LIST_FREE(&n->others);
        MEM_LIST_FREE(&n->arguments);
    }
    MEM_LIST_FREE(&t->nodes);
    arena_free(t->memory);
    mem_free(t);
}
