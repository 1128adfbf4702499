/* Filters of lists and dicts. */
#include "text/jinja/filters.h"

static esp_status filter_end(jinja_run *r, const jinja_value *v, bool last, jinja_value *out) {
    jinja_list *items;
    ESP_TRY(jinja_items(r, v, &items));
    *out =
        items->count ? items->at[last ? items->count - 1 : 0] : jinja_undefined("an item of an empty list");
    return ESP_OK;
}

esp_status jinja_filter_first(jinja_run *r, const jinja_value *v, const jinja_values *values,
                              jinja_value *out) {
    (void)values;
    return filter_end(r, v, false, out);
}

esp_status jinja_filter_last(jinja_run *r, const jinja_value *v, const jinja_values *values,
                             jinja_value *out) {
    (void)values;
    return filter_end(r, v, true, out);
}

/* A list that Python makes only when it is looped over. */
static esp_status lazy_list(jinja_run *r, jinja_value *out) {
    *out = jinja_of_list(jinja_list_new(r));
    out->list->making = JINJA_LAZY;
    return ESP_OK;
}

static esp_status copy_items(jinja_run *r, const jinja_value *v, jinja_value *out) {
    jinja_list *items;
    ESP_TRY(jinja_items(r, v, &items));
    *out = jinja_of_list(jinja_list_new(r));
    for (int64_t i = 0; i < items->count; i++) ESP_TRY(jinja_list_add(r, out->list, items->at[i]));
    return ESP_OK;
}

esp_status jinja_filter_list(jinja_run *r, const jinja_value *v, const jinja_values *values,
                             jinja_value *out) {
    (void)values;
    return copy_items(r, v, out);
}

esp_status jinja_filter_reverse(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                jinja_value *out) {
    (void)values;
    jinja_list *items;
    ESP_TRY(jinja_items(r, v, &items));
    ESP_TRY(lazy_list(r, out));
    for (int64_t i = items->count; i-- > 0;) ESP_TRY(jinja_list_add(r, out->list, items->at[i]));
    if (v->kind != JINJA_STRING) return ESP_OK;
    jinja_string *parts = ARENA_ARRAY(r->memory, jinja_string, items->count + 1);
    for (int64_t i = 0; i < items->count; i++) parts[i] = out->list->at[i].string;
    int64_t n = items->count;
    *out = (jinja_value){.kind = JINJA_STRING};
    return jinja_concat(r, parts, n, &out->string);
}

/* ---- Dicts ---- */

static esp_status add_pair(jinja_run *r, jinja_list *out, const jinja_dict *d, int64_t i) {
    jinja_value pair = {.kind = JINJA_TUPLE, .list = jinja_list_new(r)};
    ESP_TRY(jinja_list_add(r, pair.list, d->keys.at[i]));
    ESP_TRY(jinja_list_add(r, pair.list, d->values.at[i]));
    return jinja_list_add(r, out, pair);
}

esp_status jinja_filter_items(jinja_run *r, const jinja_value *v, const jinja_values *values,
                              jinja_value *out) {
    (void)values;
    ESP_TRY(lazy_list(r, out));
    if (v->kind == JINJA_UNDEFINED) return ESP_OK;
    if (v->kind != JINJA_DICT) return jinja_fail(r, NULL, "items needs a dict, not %s", jinja_kind_name(v));
    for (int64_t i = 0; i < v->dict->keys.count; i++) ESP_TRY(add_pair(r, out->list, v->dict, i));
    return ESP_OK;
}

/* ---- Order ---- */

/* What items are compared by: strings without regard to case, as Jinja has it. */
static esp_status order_key(jinja_run *r, const jinja_value *v, const jinja_value *attribute,
                            bool case_sensitive, jinja_value *out) {
    *out = *v;
    if (attribute && attribute->kind == JINJA_INTEGER)
        ESP_TRY(jinja_get_item(r, v, attribute, out));
    else if (attribute && attribute->kind == JINJA_STRING)
        ESP_TRY(jinja_get_path(r, v, attribute->string, out));
    if (out->kind == JINJA_STRING && !case_sensitive)
        return jinja_cased(r, out->string, JINJA_LOWER, &out->string);
    return ESP_OK;
}

/* Keeps the order of equal items, also backwards, as Python's sort does. */
static esp_status sort_by(jinja_run *r, jinja_list *items, jinja_value *keys, bool backwards) {
    for (int64_t i = 1; i < items->count; i++) {
        jinja_value item = items->at[i], key = keys[i];
        int64_t k = i;
        for (; k > 0; k--) {
            int by;
            ESP_TRY(jinja_charge(r, 0));
            ESP_TRY(jinja_order(r, &key, &keys[k - 1], &by));
            if (backwards ? by <= 0 : by >= 0) break;
            items->at[k] = items->at[k - 1];
            keys[k] = keys[k - 1];
        }
        items->at[k] = item;
        keys[k] = key;
    }
    return ESP_OK;
}

static bool is_on(const jinja_value *v) {
    return v && jinja_truth(v);
}

esp_status jinja_filter_sort(jinja_run *r, const jinja_value *v, const jinja_values *values,
                             jinja_value *out) {
    const jinja_value *backwards = jinja_argument_of(values, 0, "reverse");
    const jinja_value *case_sensitive = jinja_argument_of(values, 1, "case_sensitive");
    const jinja_value *attribute = jinja_argument_of(values, 2, "attribute");
    ESP_TRY(copy_items(r, v, out));
    jinja_value *keys = ARENA_ARRAY(r->memory, jinja_value, out->list->count + 1);
    for (int64_t i = 0; i < out->list->count; i++)
        ESP_TRY(order_key(r, &out->list->at[i], attribute, is_on(case_sensitive), &keys[i]));
    return sort_by(r, out->list, keys, is_on(backwards));
}

esp_status jinja_filter_dictsort(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                 jinja_value *out) {
    if (v->kind != JINJA_DICT)
        return jinja_fail(r, NULL, "dictsort needs a dict, not %s", jinja_kind_name(v));
    ESP_TRY(jinja_filter_items(r, v, values, out));
    out->list->making = JINJA_MADE;
    jinja_value *keys = ARENA_ARRAY(r->memory, jinja_value, out->list->count + 1);
    for (int64_t i = 0; i < out->list->count; i++)
        ESP_TRY(order_key(r, &out->list->at[i].list->at[0], NULL, false, &keys[i]));
    return sort_by(r, out->list, keys, false);
}

static esp_status most(jinja_run *r, const jinja_value *v, bool largest, jinja_value *out) {
    jinja_list *items;
    jinja_value best = {0}, key;
    ESP_TRY(jinja_items(r, v, &items));
    *out = jinja_undefined("an item of an empty list");
    for (int64_t i = 0; i < items->count; i++) {
        int by = largest ? 1 : -1;
        ESP_TRY(order_key(r, &items->at[i], NULL, false, &key));
        if (i > 0) ESP_TRY(jinja_order(r, &key, &best, &by));
        if (largest ? by <= 0 : by >= 0) continue;
        best = key;
        *out = items->at[i];
    }
    return ESP_OK;
}

esp_status jinja_filter_max(jinja_run *r, const jinja_value *v, const jinja_values *values,
                            jinja_value *out) {
    (void)values;
    return most(r, v, true, out);
}

esp_status jinja_filter_min(jinja_run *r, const jinja_value *v, const jinja_values *values,
                            jinja_value *out) {
    (void)values;
    return most(r, v, false, out);
}

esp_status jinja_filter_unique(jinja_run *r, const jinja_value *v, const jinja_values *values,
                               jinja_value *out) {
    const jinja_value *case_sensitive = jinja_argument_of(values, 0, "case_sensitive");
    const jinja_value *attribute = jinja_argument_of(values, 1, "attribute");
    jinja_list *items, *seen = jinja_list_new(r);
    ESP_TRY(jinja_items(r, v, &items));
    ESP_TRY(lazy_list(r, out));
    for (int64_t i = 0; i < items->count; i++) {
        jinja_value key, all = jinja_of_list(seen);
        bool known;
        ESP_TRY(order_key(r, &items->at[i], attribute, is_on(case_sensitive), &key));
        ESP_TRY(jinja_compare(r, OPERATOR_IN, &key, &all, &known));
        if (known) continue;
        ESP_TRY(jinja_list_add(r, seen, key));
        ESP_TRY(jinja_list_add(r, out->list, items->at[i]));
    }
    return ESP_OK;
}

/* ---- Joining, mapping, selecting ---- */

esp_status jinja_filter_join(jinja_run *r, const jinja_value *v, const jinja_values *values,
                             jinja_value *out) {
    const jinja_value *separator = jinja_argument_of(values, 0, "d");
    const jinja_value *attribute = jinja_argument_of(values, 1, "attribute");
    jinja_string between = {"", (const uint8_t *)"", 0, false};
    jinja_list *items;
    ESP_TRY(jinja_items(r, v, &items));
    if (separator) ESP_TRY(jinja_text(r, separator, &between));
    jinja_string *parts = ARENA_ARRAY(r->memory, jinja_string, 2 * items->count + 1);
    int64_t n = 0;
    for (int64_t i = 0; i < items->count; i++) {
        jinja_value item = items->at[i];
        if (attribute && attribute->kind == JINJA_STRING)
            ESP_TRY(jinja_get_path(r, &items->at[i], attribute->string, &item));
        if (i) parts[n++] = between;
        ESP_TRY(jinja_text(r, &item, &parts[n++]));
    }
    *out = (jinja_value){.kind = JINJA_STRING};
    return jinja_concat(r, parts, n, &out->string);
}

/* The rest of the values, from `from` on. */
static jinja_values values_from(const jinja_values *values, int64_t from) {
    jinja_values rest = *values;
    rest.at += from;
    rest.count -= from;
    return rest;
}

static char *text_of(jinja_run *r, jinja_string s) {
    char *text = arena_alloc(r->memory, s.length + 1);
    memcpy(text, s.at, s.length);
    return text;
}

static bool is_name(const jinja_values *values, int64_t place) {
    return values->count - values->named > place && values->at[place].kind == JINJA_STRING;
}

esp_status jinja_filter_map(jinja_run *r, const jinja_value *v, const jinja_values *values,
                            jinja_value *out) {
    const jinja_value *attribute = jinja_argument_of(values, -1, "attribute");
    const jinja_value *other = jinja_argument_of(values, -1, "default");
    jinja_list *items;
    int rule = -1;
    if (is_name(values, 0)) {
        rule = jinja_filter_find(text_of(r, values->at[0].string));
        if (rule < 0) return jinja_refuse(r, "map with this filter");
    } else if (!attribute || attribute->kind != JINJA_STRING) {
        return jinja_refuse(r, "map without the name of a filter or an attribute");
    }
    jinja_values rest = values_from(values, rule >= 0 ? 1 : 0);
    ESP_TRY(lazy_list(r, out));
    if (!jinja_truth(v)) return ESP_OK;
    ESP_TRY(jinja_items(r, v, &items));
    for (int64_t i = 0; i < items->count; i++) {
        jinja_value item;
        if (rule >= 0)
            ESP_TRY(jinja_filter_apply(r, rule, &items->at[i], &rest, &item));
        else
            ESP_TRY(jinja_get_path(r, &items->at[i], attribute->string, &item));
        if (rule < 0 && other && item.kind == JINJA_UNDEFINED) item = *other;
        ESP_TRY(jinja_list_add(r, out->list, item));
    }
    return ESP_OK;
}

/* attribute: the first value names what of an item is tested. wanted: of the test. */
static esp_status choose(jinja_run *r, const jinja_value *v, const jinja_values *values, bool attribute,
                         bool wanted, jinja_value *out) {
    int64_t at = attribute ? 1 : 0;
    jinja_list *items;
    int rule = -1;
    if (attribute && !is_name(values, 0)) return jinja_refuse(r, "selectattr without a name");
    if (is_name(values, at)) {
        rule = jinja_test_find(text_of(r, values->at[at++].string));
        if (rule < 0) return jinja_refuse(r, "select with this test");
    }
    jinja_values rest = values_from(values, at);
    ESP_TRY(lazy_list(r, out));
    if (!jinja_truth(v)) return ESP_OK;
    ESP_TRY(jinja_items(r, v, &items));
    for (int64_t i = 0; i < items->count; i++) {
        jinja_value tested = items->at[i];
        bool holds;
        if (attribute) ESP_TRY(jinja_get_path(r, &items->at[i], values->at[0].string, &tested));
        if (rule >= 0)
            ESP_TRY(jinja_test_apply(r, rule, &tested, &rest, &holds));
        else
            holds = jinja_truth(&tested);
        if (holds == wanted) ESP_TRY(jinja_list_add(r, out->list, items->at[i]));
    }
    return ESP_OK;
}

esp_status jinja_filter_select(jinja_run *r, const jinja_value *v, const jinja_values *values,
                               jinja_value *out) {
    return choose(r, v, values, false, true, out);
}

esp_status jinja_filter_reject(jinja_run *r, const jinja_value *v, const jinja_values *values,
                               jinja_value *out) {
    return choose(r, v, values, false, false, out);
}

esp_status jinja_filter_selectattr(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                   jinja_value *out) {
    return choose(r, v, values, true, true, out);
}

esp_status jinja_filter_rejectattr(jinja_run *r, const jinja_value *v, const jinja_values *values,
                                   jinja_value *out) {
    return choose(r, v, values, true, false, out);
}
