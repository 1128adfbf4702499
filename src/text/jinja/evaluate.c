/* Expressions. */
#include "text/jinja/tree.h"

esp_status jinja_name_value(jinja_run *r, const char *name, jinja_value *out) {
    for (const jinja_scope *s = r->scope; s; s = s->outer) {
        const jinja_value *v = jinja_dict_named(&s->names, name);
        if (!v) continue;
        *out = *v;
        return ESP_OK;
    }
    *out = jinja_undefined(name);
    if (jinja_function_known(name)) *out = (jinja_value){.kind = JINJA_FUNCTION, .name = name};
    return ESP_OK;
}

static esp_status all_of(jinja_run *r, const node_list *nodes, jinja_list *out) {
    for (int64_t i = 0; i < nodes->count; i++) {
        jinja_value v;
        ESP_TRY(jinja_evaluate(r, nodes->at[i], &v));
        ESP_TRY(jinja_list_add(r, out, v));
    }
    return ESP_OK;
}

static esp_status make_dict(jinja_run *r, const jinja_node *n, jinja_value *out) {
    *out = (jinja_value){.kind = JINJA_DICT, .dict = jinja_dict_new(r)};
    for (int64_t i = 0; i + 1 < n->items.count; i += 2) {
        jinja_value key, v;
        ESP_TRY(jinja_evaluate(r, n->items.at[i], &key));
        ESP_TRY(jinja_evaluate(r, n->items.at[i + 1], &v));
        ESP_TRY(jinja_dict_put(r, out->dict, key, v));
    }
    return ESP_OK;
}

static esp_status signed_value(jinja_run *r, const jinja_node *n, jinja_value *out) {
    jinja_value v, zero = jinja_of_integer(0);
    ESP_TRY(jinja_evaluate(r, n->a, &v));
    r->at = n;
    if (v.kind == JINJA_REAL) { /* 0 - 0.0 has another sign than -0.0 */
        *out = v;
        if (n->kind == NODE_NEGATIVE) out->real = -v.real;
        return ESP_OK;
    }
    return jinja_binary(r, n->kind == NODE_NEGATIVE ? OPERATOR_SUBTRACT : OPERATOR_ADD, &zero, &v, out);
}

static esp_status logic(jinja_run *r, const jinja_node *n, jinja_value *out) {
    ESP_TRY(jinja_evaluate(r, n->a, out));
    if (jinja_truth(out) == (n->kind == NODE_OR)) return ESP_OK;
    return jinja_evaluate(r, n->b, out);
}

static esp_status choice(jinja_run *r, const jinja_node *n, jinja_value *out) {
    jinja_value condition;
    ESP_TRY(jinja_evaluate(r, n->a, &condition));
    if (jinja_truth(&condition)) return jinja_evaluate(r, n->b, out);
    *out = jinja_undefined("an inline if without else");
    return n->c ? jinja_evaluate(r, n->c, out) : ESP_OK;
}

static esp_status comparisons(jinja_run *r, const jinja_node *n, jinja_value *out) {
    jinja_value left, right;
    bool holds = true;
    ESP_TRY(jinja_evaluate(r, n->a, &left));
    for (int64_t i = 0; i < n->operator_count && holds; i++) {
        ESP_TRY(jinja_evaluate(r, n->items.at[i], &right));
        r->at = n;
        ESP_TRY(jinja_compare(r, n->operators[i], &left, &right, &holds));
        left = right;
    }
    *out = jinja_of_bool(holds);
    return ESP_OK;
}

static esp_status binary(jinja_run *r, const jinja_node *n, jinja_value *out) {
    jinja_value a, b;
    ESP_TRY(jinja_evaluate(r, n->a, &a));
    ESP_TRY(jinja_evaluate(r, n->b, &b));
    r->at = n;
    return jinja_binary(r, n->operator, & a, &b, out);
}

static esp_status item(jinja_run *r, const jinja_node *n, jinja_value *out) {
    jinja_value of, key;
    ESP_TRY(jinja_evaluate(r, n->a, &of));
    ESP_TRY(jinja_evaluate(r, n->b, &key));
    r->at = n;
    return jinja_get_item(r, &of, &key, out);
}

/* A part of a slice as a number; *given false: absent or none. */
static esp_status slice_part(jinja_run *r, const jinja_node *n, int64_t *out, bool *given) {
    jinja_value v;
    *given = false;
    if (!n) return ESP_OK;
    ESP_TRY(jinja_evaluate(r, n, &v));
    if (v.kind == JINJA_NONE) return ESP_OK;
    if (v.kind != JINJA_INTEGER)
        return jinja_fail(r, NULL, "a slice needs whole numbers, not %s", jinja_kind_name(&v));
    *out = v.integer;
    *given = true;
    return ESP_OK;
}

static int64_t slice_bound(int64_t x, int64_t count, bool backwards) {
    if (x < 0) x += count;
    int64_t low = backwards ? -1 : 0, high = backwards ? count - 1 : count;
    return x < low ? low : x > high ? high : x;
}

static esp_status slice(jinja_run *r, const jinja_node *n, jinja_value *out) {
    jinja_value of;
    int64_t start = 0, stop = 0, step = 1;
    bool has_start, has_stop, has_step;
    ESP_TRY(jinja_evaluate(r, n->a, &of));
    ESP_TRY(slice_part(r, n->items.at[0], &start, &has_start));
    ESP_TRY(slice_part(r, n->items.at[1], &stop, &has_stop));
    ESP_TRY(slice_part(r, n->items.at[2], &step, &has_step));
    r->at = n;
    *out = jinja_undefined("a slice");
    if (of.kind == JINJA_UNDEFINED) return jinja_fail(r, NULL, "\"%s\" is undefined", of.name);
    if (!jinja_is_sequence(&of) && of.kind != JINJA_STRING) return ESP_OK;
    if (step == 0) return jinja_fail(r, NULL, "the step of a slice is 0");
    if (step == INT64_MIN) return jinja_refuse(r, "numbers of this size");
    jinja_list *items, *taken = jinja_list_new(r);
    ESP_TRY(jinja_items(r, &of, &items));
    int64_t count = items->count;
    start = has_start ? slice_bound(start, count, step < 0) : step < 0 ? count - 1 : 0;
    stop = has_stop ? slice_bound(stop, count, step < 0) : step < 0 ? -1 : count;
    int64_t found = step > 0 ? (stop > start ? (stop - start - 1) / step + 1 : 0)
                             : (start > stop ? (start - stop - 1) / -step + 1 : 0);
    for (int64_t i = 0; i < found; i++) ESP_TRY(jinja_list_add(r, taken, items->at[start + i * step]));
    *out = (jinja_value){.kind = of.kind, .list = taken};
    if (of.kind != JINJA_STRING) return ESP_OK;
    jinja_string *parts = ARENA_ARRAY(r->memory, jinja_string, taken->count + 1);
    for (int64_t i = 0; i < taken->count; i++) parts[i] = taken->at[i].string;
    return jinja_concat(r, parts, taken->count, &out->string);
}

/* ---- Calls ---- */

static esp_status values_of(jinja_run *r, const argument_list *list, jinja_values *out) {
    jinja_value *at = ARENA_ARRAY(r->memory, jinja_value, list->count + 1);
    const char **names = ARENA_ARRAY(r->memory, const char *, list->count + 1);
    *out = (jinja_values){.at = at, .count = list->count, .names = names};
    ESP_TRY(jinja_charge(r, (size_t)list->count * sizeof *at));
    for (int64_t i = 0; i < list->count; i++) {
        ESP_TRY(jinja_evaluate(r, list->at[i].value, &at[i]));
        if (list->at[i].name) names[out->named++] = list->at[i].name;
    }
    return ESP_OK;
}

const jinja_value *jinja_argument_of(const jinja_values *values, int64_t place, const char *name) {
    int64_t by_place = values->count - values->named;
    if (place >= 0 && place < by_place) return &values->at[place];
    for (int64_t i = 0; i < values->named && name; i++)
        if (strcmp(values->names[i], name) == 0) return &values->at[by_place + i];
    return NULL;
}

/* Whether a name is one of the words of a list. */
static bool is_word_of(const char *words, const char *name) {
    size_t n = strlen(name);
    for (const char *at = words; (at = strstr(at, name)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0)) return true;
    return false;
}

esp_status jinja_check_arguments(jinja_run *r, const jinja_values *values, int64_t most, const char *known,
                                 const char *what) {
    if (values->count > most) return jinja_refuse(r, what);
    for (int64_t i = 0; i < values->named; i++)
        if (!is_word_of(known, values->names[i])) return jinja_refuse(r, what);
    return ESP_OK;
}

static esp_status call(jinja_run *r, const jinja_node *n, jinja_value *out) {
    jinja_value of;
    jinja_values values;
    ESP_TRY(jinja_evaluate(r, n->a, &of));
    ESP_TRY(values_of(r, &n->arguments, &values));
    r->at = n;
    switch (of.kind) {
    case JINJA_MACRO:
        return jinja_macro_call(r, of.macro, &values, out);
    case JINJA_FUNCTION:
        return jinja_function_call(r, of.name, &values, out);
    case JINJA_METHOD:
        return jinja_method_call(r, of.method, &values, out);
    case JINJA_UNDEFINED:
        return jinja_fail(r, NULL, "\"%s\" is undefined, and cannot be called", of.name);
    default:
        return jinja_fail(r, NULL, "%s cannot be called", jinja_kind_name(&of));
    }
}

esp_status jinja_filter_chain(jinja_run *r, const jinja_node *n, const jinja_value *v, jinja_value *out) {
    jinja_value of = *v;
    jinja_values values;
    if (r->depth >= r->input->limits.depth) return jinja_fail(r, NULL, "too many levels in each other");
    r->depth++;
    esp_status status = n->a ? jinja_filter_chain(r, n->a, v, &of) : ESP_OK;
    r->depth--;
    ESP_TRY(status);
    ESP_TRY(values_of(r, &n->arguments, &values));
    r->at = n;
    return jinja_filter_apply(r, n->rule, &of, &values, out);
}

static esp_status filter(jinja_run *r, const jinja_node *n, jinja_value *out) {
    jinja_value of;
    jinja_values values;
    ESP_TRY(jinja_evaluate(r, n->a, &of));
    ESP_TRY(values_of(r, &n->arguments, &values));
    r->at = n;
    return jinja_filter_apply(r, n->rule, &of, &values, out);
}

static esp_status test(jinja_run *r, const jinja_node *n, jinja_value *out) {
    jinja_value of;
    jinja_values values;
    bool holds;
    ESP_TRY(jinja_evaluate(r, n->a, &of));
    ESP_TRY(values_of(r, &n->arguments, &values));
    r->at = n;
    ESP_TRY(jinja_test_apply(r, n->rule, &of, &values, &holds));
    *out = jinja_of_bool(holds);
    return ESP_OK;
}

static esp_status evaluate(jinja_run *r, const jinja_node *n, jinja_value *out) {
    switch (n->kind) {
    case NODE_CONSTANT:
        *out = n->constant;
        return ESP_OK;
    case NODE_NAME:
        return jinja_name_value(r, n->name, out);
    case NODE_LIST:
    case NODE_TUPLE:
        *out =
            (jinja_value){.kind = n->kind == NODE_LIST ? JINJA_LIST : JINJA_TUPLE, .list = jinja_list_new(r)};
        return all_of(r, &n->items, out->list);
    case NODE_DICT:
        return make_dict(r, n, out);
    case NODE_NOT:
        ESP_TRY(jinja_evaluate(r, n->a, out));
        *out = jinja_of_bool(!jinja_truth(out));
        return ESP_OK;
    case NODE_NEGATIVE:
    case NODE_POSITIVE:
        return signed_value(r, n, out);
    case NODE_AND:
    case NODE_OR:
        return logic(r, n, out);
    case NODE_BINARY:
        return binary(r, n, out);
    case NODE_COMPARE:
        return comparisons(r, n, out);
    case NODE_CHOICE:
        return choice(r, n, out);
    case NODE_ATTRIBUTE: {
        jinja_value of;
        ESP_TRY(jinja_evaluate(r, n->a, &of));
        r->at = n;
        return jinja_get_attribute(r, &of, n->name, out);
    }
    case NODE_ITEM:
        return item(r, n, out);
    case NODE_SLICE:
        return slice(r, n, out);
    case NODE_CALL:
        return call(r, n, out);
    case NODE_FILTER:
        return filter(r, n, out);
    case NODE_TEST:
        return test(r, n, out);
    default:
        return jinja_fail(r, NULL, "a statement in the place of a value");
    }
}

esp_status jinja_evaluate(jinja_run *r, const jinja_node *n, jinja_value *out) {
    r->at = n;
    ESP_TRY(jinja_charge(r, 0));
    if (r->depth >= r->input->limits.depth) return jinja_fail(r, NULL, "too many levels in each other");
    r->depth++;
    esp_status status = evaluate(r, n, out);
    r->depth--;
    return status;
}
