#include "formats/settings.h"
#include "formats/yaml_text.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void settings_free(settings *s) {
    for (int64_t i = 0; i < s->count; i++) {
        mem_free(s->at[i].value);
        mem_free(s->at[i].where);
    }
    MEM_LIST_FREE(s);
}

esp_status settings_unknown_key(option_table table, const char *where, const char *key, esp_error *error) {
    const char *nearest = option_nearest_key(table, key);
    char meant[96] = "";
    if (nearest) snprintf(meant, sizeof meant, " (did you mean %s?)", nearest);
    error_fail(error, "the manual lists all keys", "%s: unknown key %.100s%s", where, key, meant);
    return error_because(error, ESP_REASON_UNKNOWN_SETTING);
}

typedef struct {
    yaml_text *text;
    option_table table;
    const char *group;   /* of the whole text */
    yaml_header *header; /* NULL: there is none */
    settings *out;
    esp_error *error;
} yaml_walk;

#define walk_fail(w, at, hint, ...) yaml_text_fail((w)->text, at, (w)->error, hint, __VA_ARGS__)

static bool is_group(option_table table, const char *key) {
    size_t n = strlen(key);
    for (int i = 0; i < table.count; i++) {
        if (strncmp(table.at[i].key, key, n) == 0 && table.at[i].key[n] == '.') return true;
    }
    return false;
}

static esp_status check_new(const yaml_walk *w, const char *key, const option *o,
                            const yaml_node_t *key_node) {
    for (int64_t i = 0; i < w->out->count; i++)
        if (w->out->at[i].option == o)
            return walk_fail(w, key_node, "keep one of the two", "the key %s is given twice (first at %s)",
                             key, w->out->at[i].where);
    return ESP_OK;
}

/* Whether the node is of a kind that the option takes; its value is looked at when it is applied. */
static esp_status check_kind(const yaml_walk *w, const char *key, const option *o,
                             const yaml_node_t *key_node, const yaml_node_t *node) {
    bool is_scalar = node->type == YAML_SCALAR_NODE,
         is_plain = is_scalar && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
         takes_quotes = o->type == OPTION_STRING || o->type == OPTION_PATH || o->type == OPTION_ENUM;
    if (is_scalar && strlen(yaml_scalar(node)) != node->data.scalar.length)
        return walk_fail(w, node, "write the value without zero bytes", "%s holds a zero byte", key);
    text_buffer wanted = {0};
    option_wants(o, &wanted);
    esp_status status = ESP_OK;
    if (!is_scalar)
        status = walk_fail(w, node, o->help, "%s must be %s, not a %s", key, wanted.at,
                           node->type == YAML_SEQUENCE_NODE ? "list" : "map");
    else if (yaml_is_nothing(node))
        status = walk_fail(w, key_node, "give it a value, or leave the key out for its default",
                           "%s has no value; it must be %s", key, wanted.at);
    else if (!is_plain && !takes_quotes)
        status = walk_fail(w, node, "take the quotes away", "%s must be %s, not quoted text", key, wanted.at);
    text_free(&wanted);
    return status;
}

/* ---- Lists ---- */

/* A YAML value as JSON: plain words and numbers as JSON would have them, quoted text as text. New reference.
 */
static json_t *json_of(const yaml_walk *w, const yaml_node_t *node) {
    if (node->type == YAML_SEQUENCE_NODE) {
        json_t *list = json_array();
        for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++)
            json_array_append_new(list, json_of(w, yaml_text_node(w->text, *i)));
        return list;
    }
    if (node->type == YAML_MAPPING_NODE) {
        json_t *map = json_object();
        for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
            const yaml_node_t *key = yaml_text_node(w->text, p->key);
            if (key->type == YAML_SCALAR_NODE)
                json_object_set_new(map, yaml_scalar(key), json_of(w, yaml_text_node(w->text, p->value)));
        }
        return map;
    }
    const char *text = yaml_scalar(node);
    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        char *end;
        long long whole = strtoll(text, &end, 10);
        if (*text && !*end && strlen(text) <= 18) return json_integer(whole);
        double number = strtod(text, &end);
        if (*text && !*end && strspn(text, "0123456789+-.eE") == strlen(text) && isfinite(number))
            return json_real(number);
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) return json_boolean(*text == 't');
        if (strcmp(text, "null") == 0 || !*text) return json_null();
    }
    json_t *string = json_stringn(text, node->data.scalar.length);
    return string ? string : json_null();
}

static esp_status list_entry(const yaml_walk *w, const char *key, const option *o, const yaml_node_t *node,
                             text_buffer *out) {
    if (o->marks & OPTION_ROWS) {
        if (node->type != YAML_MAPPING_NODE)
            return walk_fail(w, node, "write each row as a map: `- question: ...`", "%s: a row must be a map",
                             key);
        json_t *row = json_of(w, node);
        char *text = json_dumps(row, JSON_COMPACT);
        text_printf(out, "%s", text);
        free(text);
        json_decref(row);
        return ESP_OK;
    }
    if (node->type != YAML_SCALAR_NODE || strchr(yaml_scalar(node), '\n'))
        return walk_fail(w, node, o->help, "%s: an entry of the list must be text of one line", key);
    text_puts(out, yaml_scalar(node));
    return ESP_OK;
}

/* The entries of a list, one per line. */
static esp_status walk_list(yaml_walk *w, const char *key, const option *o, const yaml_node_t *node) {
    text_buffer lines = {0};
    esp_status status = ESP_OK;
    const yaml_node_item_t *first = node->data.sequence.items.start;
    text_puts(&lines, "");
    for (const yaml_node_item_t *i = first; i < node->data.sequence.items.top && status == ESP_OK; i++) {
        if (i > first) text_puts(&lines, "\n");
        status = list_entry(w, key, o, yaml_text_node(w->text, *i), &lines);
    }
    if (status == ESP_OK) {
        setting s = {o, mem_strdup(lines.at), yaml_text_place(w->text, node)};
        MEM_LIST_PUSH(w->out, s);
    }
    text_free(&lines);
    return status;
}

static esp_status walk_scalar(yaml_walk *w, const char *key, const yaml_node_t *key_node,
                              const yaml_node_t *node) {
    const option *o = option_by_key(w->table, key);
    if (!o) {
        char *where = yaml_text_place(w->text, key_node);
        esp_status status = settings_unknown_key(w->table, where, key, w->error);
        mem_free(where);
        return status;
    }
    ESP_TRY(check_new(w, key, o, key_node));
    if (node->type == YAML_SEQUENCE_NODE && (o->marks & (OPTION_LIST | OPTION_ROWS)))
        return walk_list(w, key, o, node);
    ESP_TRY(check_kind(w, key, o, key_node, node));
    setting s = {o, mem_strdup(yaml_scalar(node)), yaml_text_place(w->text, node)};
    MEM_LIST_PUSH(w->out, s);
    return ESP_OK;
}

/* A preset's own two words, which are no keys of a recipe. */
static bool take_header(yaml_walk *w, const char *key, const yaml_node_t *node) {
    if (!w->header || node->type != YAML_SCALAR_NODE) return false;
    char **field = strcmp(key, "about") == 0     ? &w->header->about
                   : strcmp(key, "extends") == 0 ? &w->header->extends
                                                 : NULL;
    if (!field) return false;
    mem_free(*field);
    *field = mem_strdup(yaml_scalar(node));
    return true;
}

/* The option that a text in place of a group sets: the key of that name in another group. */
static const option *named_elsewhere(option_table table, const char *group) {
    for (int i = 0; i < table.count; i++) {
        const char *dot = strchr(table.at[i].key, '.');
        if (dot && strcmp(dot + 1, group) == 0) return &table.at[i];
    }
    return NULL;
}

static esp_status walk_map(yaml_walk *w, const char *group, const yaml_node_t *map) {
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key_node = yaml_text_node(w->text, p->key);
        const yaml_node_t *node = yaml_text_node(w->text, p->value);
        if (key_node->type != YAML_SCALAR_NODE)
            return walk_fail(w, key_node, "write `key: value`", "a key must be a word");
        /* The same group written twice would merge in silence. */
        for (yaml_node_pair_t *q = map->data.mapping.pairs.start; q < p; q++) {
            const yaml_node_t *other = yaml_text_node(w->text, q->key);
            if (strcmp(yaml_scalar(other), yaml_scalar(key_node)) == 0)
                return walk_fail(w, key_node, "keep one of the two",
                                 "the key %s%s%.100s is given twice (first on line %zu)", group,
                                 *group ? "." : "", yaml_scalar(key_node), other->start_mark.line + 1);
        }
        char *key = mem_printf("%s%s%s", group, *group ? "." : "", yaml_scalar(key_node));
        esp_status status;
        bool top = strcmp(group, w->group) == 0;
        bool extends = *group && !top && strcmp(yaml_scalar(key_node), "extends") == 0;
        const option *short_form =
            extends || !*group ? named_elsewhere(w->table, extends ? group : key) : NULL;
        if (top && take_header(w, yaml_scalar(key_node), node)) {
            status = ESP_OK;
        } else if (!*group && is_group(w->table, key)) {
            if (node->type == YAML_MAPPING_NODE)
                status = walk_map(w, key, node);
            else if (node->type == YAML_SCALAR_NODE && !*yaml_scalar(node))
                status = ESP_OK; /* `search:` and nothing in it */
            else if (short_form && node->type == YAML_SCALAR_NODE)
                status = walk_scalar(w, short_form->key, key_node, node);
            else
                status = walk_fail(w, node, "write its keys below it, each indented",
                                   "%s is a group of keys, not a value", key);
        } else {
            status = walk_scalar(w, extends && short_form ? short_form->key : key, key_node, node);
        }
        mem_free(key);
        ESP_TRY(status);
    }
    return ESP_OK;
}

esp_status settings_read_yaml(const settings_source *source, settings *out, esp_error *error) {
    yaml_text text;
    ESP_TRY(yaml_text_open(&text, source->name, source->yaml, source->length, error));
    const yaml_node_t *root = yaml_text_root(&text);
    yaml_walk w = {&text, source->table, source->group, source->header, out, error};
    esp_status status = ESP_OK;
    if (root && root->type != YAML_MAPPING_NODE)
        status = walk_fail(&w, root, "write `key: value`", "expected a map of keys");
    else if (root)
        status = walk_map(&w, w.group, root);
    yaml_text_close(&text);
    return status;
}

/* ---- Applying ---- */

/* Fills error for a key of another alternative than the chosen one. */
static esp_status not_chosen(option_table table, const void *target, const setting *s, esp_error *error) {
    const option *chooser = option_by_key(table, s->option->chooser);
    text_buffer belongs = {0}, chosen = {0};
    option_condition(table, s->option, &belongs);
    option_get(chooser, target, &chosen);
    char *hint = mem_printf("leave it out; it belongs to %s", belongs.at);
    esp_status status = error_fail(error, hint, "%s: there is no %s where %s is %s", s->where, s->option->key,
                                   chooser->key, chosen.at);
    mem_free(hint);
    text_free(&belongs);
    text_free(&chosen);
    return status;
}

/* Whether two texts are the same value: 50 and 5e+01 are. */
static bool same_value(const char *a, const char *b) {
    char *end_a, *end_b;
    double x = strtod(a, &end_a), y = strtod(b, &end_b);
    return strcmp(a, b) == 0 || (*a && *b && !*end_a && !*end_b && x == y);
}

/* Whether the value is the default of an alternative that has the key. Recipes that earlier versions resolved
 * have the keys of all losses. */
static bool is_default(option_table table, const setting *s) {
    for (int i = 0; i < table.count; i++)
        if (strcmp(table.at[i].key, s->option->key) == 0 && table.at[i].initial &&
            same_value(table.at[i].initial, s->value))
            return true;
    return false;
}

esp_status settings_apply(option_table table, void *target, const setting *s, esp_error *error) {
    const option *o = option_in_use(table, s->option->key, target);
    if (!o && is_default(table, s)) return ESP_OK;
    if (!o) return not_chosen(table, target, s, error);
    if (option_set(o, target, s->value, error) == ESP_OK) return ESP_OK;
    return error_prefix(error, "%s", s->where);
}

static bool is_chooser(option_table table, const option *o) {
    for (int i = 0; i < table.count; i++)
        if (table.at[i].chooser && strcmp(table.at[i].chooser, o->key) == 0) return true;
    return false;
}

esp_status settings_apply_choices(option_table table, void *target, const settings *from, esp_error *error) {
    for (int64_t i = 0; i < from->count; i++)
        if (is_chooser(table, from->at[i].option))
            ESP_TRY(settings_apply(table, target, &from->at[i], error));
    return ESP_OK;
}

esp_status settings_apply_chosen(option_table table, void *target, const settings *from, esp_error *error) {
    for (int64_t i = 0; i < from->count; i++) {
        const option *o = from->at[i].option;
        if (!is_chooser(table, o) && option_in_use(table, o->key, target))
            ESP_TRY(settings_apply(table, target, &from->at[i], error));
    }
    return ESP_OK;
}

bool settings_place(const settings *from, const char *group, esp_error *error) {
    size_t n = strlen(group);
    if (!error || !error->setting[0]) return false;
    for (int64_t i = from->count; i-- > 0;) {
        const char *key = from->at[i].option->key;
        bool inside = n == 0 || (strncmp(key, group, n) == 0 && key[n] == '.');
        if (!inside || strcmp(key + (n ? n + 1 : 0), error->setting) != 0) continue;
        error_about(error, error->reason, key);
        error_prefix(error, "%s", from->at[i].where);
        return true;
    }
    return false;
}
