/* Statements at work. */
#include "text/jinja/tree.h"

#include <stdio.h>
#include <stdlib.h>

/* What a statement did besides writing: the loops around it look at it. */
typedef enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } flow;

esp_status jinja_fail(jinja_run *r, const char *hint, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *message = NULL;
    if (vasprintf(&message, format, arguments) < 0) message = NULL;
    va_end(arguments);
    jinja_error_at(r->error, r->at ? r->at->line : 0, r->at ? r->at->column : 0, hint, "%s",
                   message ? message : format);
    free(message);
    return ESP_FAILED;
}

esp_status jinja_refuse(jinja_run *r, const char *what) {
    return jinja_fail(r, NULL, "not supported: %s", what);
}

esp_status jinja_charge(jinja_run *r, size_t bytes) {
    r->steps += 1 + (int64_t)(bytes / 64);
    r->bytes += bytes;
    if (r->steps > r->input->limits.steps) return jinja_fail(r, NULL, "the template takes too many steps");
    if (r->bytes > r->input->limits.bytes) return jinja_fail(r, NULL, "the template makes too much text");
    return ESP_OK;
}

static esp_status run_body(jinja_run *r, const node_list *body, flow *f);

/* ---- Scopes ---- */

static void open_scope(jinja_run *r, jinja_scope *scope, jinja_scope *outer) {
    *scope = (jinja_scope){.outer = outer};
    r->scope = scope;
}

/* A scope of the run's, which macros and closures may keep. */
static jinja_scope *new_scope(jinja_run *r, jinja_scope *outer) {
    jinja_scope *scope = ARENA_NEW(r->memory, jinja_scope);
    open_scope(r, scope, outer);
    return scope;
}

esp_status jinja_assign(jinja_run *r, const char *name, jinja_value v) {
    jinja_value *old = jinja_dict_named(&r->scope->names, name);
    if (old) {
        *old = v;
        return ESP_OK;
    }
    /* Names are compared by their bytes; nobody reads their marks. */
    jinja_value key = jinja_of_string((jinja_string){name, (const uint8_t *)name, strlen(name), false});
    ESP_TRY(jinja_list_add(r, &r->scope->names.keys, key));
    return jinja_list_add(r, &r->scope->names.values, v);
}

static esp_status assign_to(jinja_run *r, const jinja_node *target, jinja_value v) {
    r->at = target;
    if (target->kind == NODE_NAME) return jinja_assign(r, target->name, v);
    if (target->kind == NODE_ATTRIBUTE) {
        jinja_value of, key = {.kind = JINJA_STRING};
        ESP_TRY(jinja_evaluate(r, target->a, &of));
        r->at = target;
        if (of.kind != JINJA_NAMESPACE) return jinja_fail(r, NULL, "only a namespace's members can be set");
        ESP_TRY(jinja_own(r, target->name, strlen(target->name), &key.string));
        return jinja_dict_put(r, of.dict, key, v);
    }
    jinja_list *items;
    ESP_TRY(jinja_items(r, &v, &items));
    if (items->count != target->items.count)
        return jinja_fail(r, NULL, "%lld values for %lld names", (long long)items->count,
                          (long long)target->items.count);
    for (int64_t i = 0; i < items->count; i++) ESP_TRY(assign_to(r, target->items.at[i], items->at[i]));
    return ESP_OK;
}

/* ---- Output ---- */

static esp_status print(jinja_run *r, jinja_string s) {
    ESP_TRY(jinja_charge(r, s.length));
    jinja_output_string(r->out, s);
    return ESP_OK;
}

/* What a body writes, as a string. */
static esp_status captured(jinja_run *r, const node_list *body, jinja_value *out) {
    jinja_output own = {0}, *outer = r->out;
    flow f = FLOW_ON;
    r->out = &own;
    esp_status status = run_body(r, body, &f);
    r->out = outer;
    *out = (jinja_value){.kind = JINJA_STRING};
    if (status == ESP_OK) status = jinja_output_take(r, &own, &out->string);
    jinja_output_free(&own);
    return status;
}

/* ---- Statements ---- */

/* The items that a loop takes: with its condition, only those for which that holds. */
static esp_status loop_items(jinja_run *r, const jinja_node *n, jinja_list **out) {
    jinja_value over;
    jinja_list *items;
    ESP_TRY(jinja_evaluate(r, n->b, &over));
    r->at = n;
    ESP_TRY(jinja_items(r, &over, &items));
    *out = items;
    if (!n->c) return ESP_OK;
    jinja_scope *outer = r->scope;
    *out = jinja_list_new(r);
    for (int64_t i = 0; i < items->count; i++) {
        jinja_value keep;
        new_scope(r, outer);
        ESP_TRY(assign_to(r, n->a, items->at[i]));
        ESP_TRY(jinja_evaluate(r, n->c, &keep));
        if (jinja_truth(&keep)) ESP_TRY(jinja_list_add(r, *out, items->at[i]));
    }
    r->scope = outer;
    return ESP_OK;
}

static esp_status run_for(jinja_run *r, const jinja_node *n, flow *f) {
    jinja_scope *outer = r->scope;
    jinja_loop *loop = ARENA_NEW(r->memory, jinja_loop);
    jinja_list *items;
    ESP_TRY(loop_items(r, n, &items));
    loop->items = items;
    if (items->count == 0) return run_body(r, &n->others, f);
    for (; loop->index < items->count; loop->index++) {
        flow inside = FLOW_ON;
        ESP_TRY(jinja_charge(r, sizeof(jinja_scope)));
        new_scope(r, outer);
        ESP_TRY(jinja_assign(r, "loop", (jinja_value){.kind = JINJA_LOOP, .loop = loop}));
        ESP_TRY(assign_to(r, n->a, items->at[loop->index]));
        ESP_TRY(run_body(r, &n->items, &inside));
        if (inside == FLOW_BREAK) break;
    }
    r->scope = outer;
    return ESP_OK;
}

static esp_status run_if(jinja_run *r, const jinja_node *n, flow *f) {
    jinja_value condition;
    ESP_TRY(jinja_evaluate(r, n->a, &condition));
    return run_body(r, jinja_truth(&condition) ? &n->items : &n->others, f);
}

static esp_status run_set(jinja_run *r, const jinja_node *n) {
    jinja_value v;
    if (n->kind == NODE_SET) {
        ESP_TRY(jinja_evaluate(r, n->b, &v));
    } else {
        jinja_scope *outer = r->scope;
        new_scope(r, outer);
        esp_status status = captured(r, &n->items, &v);
        r->scope = outer;
        ESP_TRY(status);
        if (n->b) ESP_TRY(jinja_filter_chain(r, n->b, &v, &v));
    }
    return assign_to(r, n->a, v);
}

static esp_status run_macro(jinja_run *r, const jinja_node *n) {
    jinja_macro *m = ARENA_NEW(r->memory, jinja_macro);
    *m = (jinja_macro){n, r->scope};
    return jinja_assign(r, n->name, (jinja_value){.kind = JINJA_MACRO, .macro = m});
}

static esp_status run_with(jinja_run *r, const jinja_node *n, flow *f) {
    jinja_scope *outer = r->scope, *inner = ARENA_NEW(r->memory, jinja_scope);
    inner->outer = outer;
    for (int64_t i = 0; i < n->arguments.count; i++) {
        jinja_value v;
        ESP_TRY(jinja_evaluate(r, n->arguments.at[i].value, &v));
        r->scope = inner;
        ESP_TRY(jinja_assign(r, n->arguments.at[i].name, v));
        r->scope = outer;
    }
    r->scope = inner;
    ESP_TRY(run_body(r, &n->items, f));
    r->scope = outer;
    return ESP_OK;
}

static esp_status run_filter_block(jinja_run *r, const jinja_node *n) {
    jinja_value v;
    jinja_string s;
    jinja_scope *outer = r->scope;
    new_scope(r, outer);
    ESP_TRY(captured(r, &n->items, &v));
    r->scope = outer;
    ESP_TRY(jinja_filter_chain(r, n->b, &v, &v));
    ESP_TRY(jinja_text(r, &v, &s));
    return print(r, s);
}

static esp_status run_print(jinja_run *r, const jinja_node *n) {
    jinja_value v;
    jinja_string s;
    ESP_TRY(jinja_evaluate(r, n->a, &v));
    r->at = n;
    ESP_TRY(jinja_text(r, &v, &s));
    return print(r, s);
}

static esp_status run_statement(jinja_run *r, const jinja_node *n, flow *f) {
    switch (n->kind) {
    case NODE_TEXT:
        return print(r, n->constant.string);
    case NODE_PRINT:
        return run_print(r, n);
    case NODE_IF:
        return run_if(r, n, f);
    case NODE_FOR:
        return run_for(r, n, f);
    case NODE_SET:
    case NODE_SET_BLOCK:
        return run_set(r, n);
    case NODE_MACRO:
        return run_macro(r, n);
    case NODE_FILTER_BLOCK:
        return run_filter_block(r, n);
    case NODE_WITH:
        return run_with(r, n, f);
    case NODE_BODY:
        return run_body(r, &n->items, f);
    default:
        *f = n->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
        return ESP_OK;
    }
}

static esp_status run_body(jinja_run *r, const node_list *body, flow *f) {
    if (r->depth >= r->input->limits.depth) return jinja_fail(r, NULL, "too many levels in each other");
    r->depth++;
    for (int64_t i = 0; i < body->count && *f == FLOW_ON; i++) {
        r->at = body->at[i];
        ESP_TRY(jinja_charge(r, 0));
        ESP_TRY(run_statement(r, body->at[i], f));
    }
    r->depth--;
    return ESP_OK;
}

esp_status jinja_macro_call(jinja_run *r, const jinja_macro *m, const jinja_values *values,
                            jinja_value *out) {
    const argument_list *parameters = &m->node->arguments;
    jinja_scope *outer = r->scope;
    if (values->count > parameters->count)
        return jinja_fail(r, NULL, "the macro \"%s\" takes fewer values", m->node->name);
    new_scope(r, m->scope);
    for (int64_t i = 0; i < parameters->count; i++) {
        const jinja_argument *p = &parameters->at[i];
        const jinja_value *v = jinja_argument_of(values, i, p->name);
        jinja_value chosen = v ? *v : jinja_undefined(p->name);
        if (!v && p->value) ESP_TRY(jinja_evaluate(r, p->value, &chosen));
        ESP_TRY(jinja_assign(r, p->name, chosen));
    }
    for (int64_t i = 0; i < values->named; i++) {
        bool known = false;
        for (int64_t k = values->count - values->named; k < parameters->count; k++)
            known |= strcmp(parameters->at[k].name, values->names[i]) == 0;
        if (!known)
            return jinja_fail(r, NULL, "the macro \"%s\" has no parameter \"%s\"", m->node->name,
                              values->names[i]);
    }
    ESP_TRY(captured(r, &m->node->items, out));
    r->scope = outer;
    return ESP_OK;
}

/* ---- All of it ---- */

static esp_status give(const jinja_output *from, marked_text *out) {
    size_t n = from->text.length;
    for (size_t start = 0, end; start < n; start = end) {
        bool own = from->own.at[start];
        for (end = start + 1; end < n && (bool)from->own.at[end] == own;) end++;
        (own ? marked_text_own : marked_text_other)(out, from->text.at + start, end - start);
    }
    text_append(&out->text, "", 0);
    return ESP_OK;
}

static esp_status read_context(jinja_run *r) {
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)r->input->context, name, entry) {
        jinja_value v;
        ESP_TRY(jinja_of_json(r, entry, name, &v));
        ESP_TRY(jinja_assign(r, arena_strdup(r->memory, name), v));
    }
    return ESP_OK;
}

esp_status jinja_render(const jinja *template, const jinja_input *input, marked_text *out, esp_error *error) {
    jinja_output text = {0};
    jinja_run r = {.memory = arena_new(), .input = input, .out = &text, .error = error};
    flow f = FLOW_ON;
    jinja_scope *globals = new_scope(&r, NULL);
    esp_status status = read_context(&r);
    new_scope(&r, globals);
    if (status == ESP_OK) status = run_body(&r, &template->body->items, &f);
    if (status == ESP_OK) status = give(&text, out);
    jinja_output_free(&text);
    arena_free(r.memory);
    return status;
}
