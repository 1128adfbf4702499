#include "recipe/recipe.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* ---- settings: texts by key, and where each was read ---- */

typedef struct {
    const option *option;
    char *value;
    char *where; /* "file:line:column", or the flag */
} setting;
typedef MEM_LIST(setting) settings;

static void settings_free(settings *s) {
    for (int64_t i = 0; i < s->count; i++) {
        mem_free(s->at[i].value);
        mem_free(s->at[i].where);
    }
    MEM_LIST_FREE(s);
}

/* Fills error for a key that no option has. */
static esp_status unknown_key(option_table table, const char *where, const char *key, esp_error *error) {
    const char *nearest = option_nearest_key(table, key);
    char meant[96] = "";
    if (nearest) snprintf(meant, sizeof meant, " (did you mean %s?)", nearest);
    error_fail(error, "the manual lists all keys", "%s: unknown key %.100s%s", where, key, meant);
    return error_because(error, ESP_REASON_UNKNOWN_SETTING);
}

/* ---- reading YAML ---- */

typedef struct {
    const char *name;
    yaml_document_t *document;
    option_table table;
    settings *out;
    esp_error *error;
} yaml_walk;

static char *position_text(const char *name, yaml_mark_t mark) {
    return mem_printf("%s:%zu:%zu", name, mark.line + 1, mark.column + 1);
}

static esp_status walk_fail(const yaml_walk *w, const yaml_node_t *at, const char *hint, const char *format,
                            ...) __attribute__((format(printf, 4, 5)));
static esp_status walk_fail(const yaml_walk *w, const yaml_node_t *at, const char *hint, const char *format,
                            ...) {
    char message[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    char *where = position_text(w->name, at->start_mark);
    esp_status status = error_fail(w->error, hint, "%s: %s", where, message);
    mem_free(where);
    return status;
}

static const char *scalar_text(const yaml_node_t *node) {
    return (const char *)node->data.scalar.value;
}

static bool is_group(option_table table, const char *key) {
    size_t n = strlen(key);
    for (int i = 0; i < table.count; i++) {
        if (strncmp(table.at[i].key, key, n) == 0 && table.at[i].key[n] == '.') return true;
    }
    return false;
}

static esp_status walk_scalar(yaml_walk *w, const char *key, const yaml_node_t *key_node,
                              const yaml_node_t *node) {
    const option *o = option_by_key(w->table, key);
    char *where = position_text(w->name, key_node->start_mark);
    if (!o) {
        esp_status status = unknown_key(w->table, where, key, w->error);
        mem_free(where);
        return status;
    }
    for (int64_t i = 0; i < w->out->count; i++) {
        if (w->out->at[i].option != o) continue;
        mem_free(where);
        return walk_fail(w, key_node, "keep one of the two", "the key %s is given twice (first at %s)", key,
                         w->out->at[i].where);
    }
    mem_free(where);
    bool is_text = o->type == OPTION_STRING || o->type == OPTION_PATH, plain = false;
    if (node->type == YAML_SCALAR_NODE) {
        plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (strlen(scalar_text(node)) != node->data.scalar.length)
            return walk_fail(w, node, "write the value without zero bytes", "%s holds a zero byte", key);
    }
    text_buffer wanted = {0};
    option_wants(o, &wanted);
    esp_status status = ESP_OK;
    if (node->type != YAML_SCALAR_NODE) {
        status = walk_fail(w, node, o->help, "%s must be %s, not a %s", key, wanted.at,
                           node->type == YAML_SEQUENCE_NODE ? "list" : "map");
    } else if (plain && (!*scalar_text(node) || strcmp(scalar_text(node), "~") == 0 ||
                         strcmp(scalar_text(node), "null") == 0)) {
        status = walk_fail(w, key_node, "give it a value, or leave the key out for its default",
                           "%s has no value; it must be %s", key, wanted.at);
    } else if (!plain && !is_text && o->type != OPTION_ENUM) {
        status = walk_fail(w, node, "take the quotes away", "%s must be %s, not quoted text", key, wanted.at);
    }
    text_free(&wanted);
    ESP_TRY(status);
    setting s = {o, mem_strdup(scalar_text(node)), position_text(w->name, node->start_mark)};
    MEM_LIST_PUSH(w->out, s);
    return ESP_OK;
}

static esp_status walk_map(yaml_walk *w, const char *group, const yaml_node_t *map) {
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key_node = yaml_document_get_node(w->document, p->key);
        const yaml_node_t *node = yaml_document_get_node(w->document, p->value);
        if (key_node->type != YAML_SCALAR_NODE)
            return walk_fail(w, key_node, "write `key: value`", "a key must be a word");
        /* The same group written twice would merge in silence. */
        for (yaml_node_pair_t *q = map->data.mapping.pairs.start; q < p; q++) {
            const yaml_node_t *other = yaml_document_get_node(w->document, q->key);
            if (strcmp(scalar_text(other), scalar_text(key_node)) == 0)
                return walk_fail(w, key_node, "keep one of the two",
                                 "the key %s%s%.100s is given twice (first on line %zu)", group,
                                 *group ? "." : "", scalar_text(key_node), other->start_mark.line + 1);
        }
        char *key = mem_printf("%s%s%s", group, *group ? "." : "", scalar_text(key_node));
        esp_status status;
        if (!*group && is_group(w->table, key)) {
            if (node->type == YAML_MAPPING_NODE)
                status = walk_map(w, key, node);
            else if (node->type == YAML_SCALAR_NODE && !*scalar_text(node))
                status = ESP_OK; /* `search:` and nothing in it */
            else
                status = walk_fail(w, node, "write its keys below it, each indented",
                                   "%s is a group of keys, not a value", key);
        } else {
            status = walk_scalar(w, key, key_node, node);
        }
        mem_free(key);
        ESP_TRY(status);
    }
    return ESP_OK;
}

static esp_status parser_fail(const yaml_parser_t *parser, const char *name, esp_error *error) {
    const char *problem = parser->problem ? parser->problem : "not YAML";
    if (parser->error == YAML_READER_ERROR)
        return error_fail(error, "save the file as UTF-8 text", "%s: byte %zu: %s", name,
                          parser->problem_offset, problem);
    return error_fail(error, "check the indentation and the quotes near there", "%s:%zu:%zu: %s%s%s", name,
                      parser->problem_mark.line + 1, parser->problem_mark.column + 1, problem,
                      parser->context ? " " : "", parser->context ? parser->context : "");
}

static esp_status read_document(yaml_parser_t *parser, const char *name, option_table table, settings *out,
                                esp_error *error) {
    yaml_document_t document;
    if (!yaml_parser_load(parser, &document)) return parser_fail(parser, name, error);
    yaml_node_t *root = yaml_document_get_root_node(&document);
    yaml_walk w = {name, &document, table, out, error};
    esp_status status = ESP_OK;
    bool empty = !root || (root->type == YAML_SCALAR_NODE && !*scalar_text(root));
    if (!empty && root->type != YAML_MAPPING_NODE)
        status = walk_fail(&w, root, "write `group:` and its keys below it", "a recipe is a map of keys");
    else if (!empty)
        status = walk_map(&w, "", root);
    yaml_document_delete(&document);
    ESP_TRY(status);
    if (empty) return ESP_OK;
    if (!yaml_parser_load(parser, &document)) return parser_fail(parser, name, error);
    root = yaml_document_get_root_node(&document);
    w.document = &document;
    if (root) status = walk_fail(&w, root, "keep one", "a second YAML document in the file");
    yaml_document_delete(&document);
    return status;
}

static esp_status read_yaml(const char *name, const char *yaml, size_t length, option_table table,
                            settings *out, esp_error *error) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return error_fail(error, "free some memory", "%s: no memory for YAML", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, length);
    esp_status status = read_document(&parser, name, table, out, error);
    yaml_parser_delete(&parser);
    return status;
}

/* ---- resolving ---- */

/* Fills error for a key of another alternative than the chosen one. */
static esp_status not_chosen(option_table table, const recipe *r, const setting *s, esp_error *error) {
    const option *chooser = option_by_key(table, s->option->chooser);
    text_buffer belongs = {0}, chosen = {0};
    option_condition(table, s->option, &belongs);
    option_get(chooser, r, &chosen);
    char *hint = mem_printf("leave it out; it belongs to %s", belongs.at);
    esp_status status = error_fail(error, hint, "%s: there is no %s where %s is %s", s->where, s->option->key,
                                   chooser->key, chosen.at);
    mem_free(hint);
    text_free(&belongs);
    text_free(&chosen);
    return status;
}

/* Whether the value is the default of an alternative that has the key. Recipes that earlier versions resolved
 * have the keys of all losses. */
static bool is_default(option_table table, const setting *s) {
    for (int i = 0; i < table.count; i++)
        if (strcmp(table.at[i].key, s->option->key) == 0 && table.at[i].initial &&
            strcmp(table.at[i].initial, s->value) == 0)
            return true;
    return false;
}

static esp_status apply(option_table table, recipe *r, const setting *s, esp_error *error) {
    const option *o = option_in_use(table, s->option->key, r);
    if (!o && is_default(table, s)) return ESP_OK;
    if (!o) return not_chosen(table, r, s, error);
    if (option_set(o, r, s->value, error) == ESP_OK) return ESP_OK;
    return error_prefix(error, "%s", s->where);
}

static bool is_chooser(option_table table, const option *o) {
    for (int i = 0; i < table.count; i++)
        if (table.at[i].chooser && strcmp(table.at[i].chooser, o->key) == 0) return true;
    return false;
}

/* Applies the settings that choose between alternatives, so that the keys of these are known. */
static esp_status apply_choices(option_table table, recipe *r, const settings *from, esp_error *error) {
    for (int64_t i = 0; i < from->count; i++)
        if (is_chooser(table, from->at[i].option)) ESP_TRY(apply(table, r, &from->at[i], error));
    return ESP_OK;
}

static esp_status read_overrides(option_table table, const recipe_override *overrides, int n, settings *out,
                                 esp_error *error) {
    for (int i = 0; i < n; i++) {
        const option *o = option_by_key(table, overrides[i].key);
        if (!o) return unknown_key(table, overrides[i].where, overrides[i].key, error);
        setting s = {o, mem_strdup(overrides[i].value), mem_strdup(overrides[i].where)};
        MEM_LIST_PUSH(out, s);
    }
    return ESP_OK;
}

static void use_learn_preset(option_table table, recipe *r, recipe_preset preset) {
    for (const recipe_preset_value *v = recipe_learn_preset(preset); v->key; v++) {
        const option *o = option_in_use(table, v->key, r); /* a preset may name keys of what is not chosen */
        if (o) (void)option_set(o, r, v->value, NULL);     /* a test sets every value of every preset */
    }
}

static esp_status check_together(const recipe *r, const char *name, esp_error *error) {
    if (r->search.max_step_tokens > r->search.max_chain_tokens)
        return error_fail(error, "raise search.max_chain_tokens, or lower search.max_step_tokens",
                          "%s: search.max_step_tokens (%lld) is above search.max_chain_tokens (%lld)", name,
                          (long long)r->search.max_step_tokens, (long long)r->search.max_chain_tokens);
    return ESP_OK;
}

static esp_status resolve(option_table table, recipe *r, const char *name, const settings *given,
                          esp_error *error) {
    options_defaults(table, r);
    ESP_TRY(apply_choices(table, r, given, error));
    /* Everything once, so that each error is found, and the presets are known. */
    for (int64_t i = 0; i < given->count; i++) ESP_TRY(apply(table, r, &given->at[i], error));
    recipe_preset search = r->search.preset, learn = r->learn.preset;
    options_defaults(table, r);
    ESP_TRY(apply_choices(table, r, given, error));
    options_defaults_of_choice(table, r);
    recipe_use_search_preset(r, search_preset_at((int32_t)search));
    use_learn_preset(table, r, learn);
    for (int64_t i = 0; i < given->count; i++) ESP_TRY(apply(table, r, &given->at[i], error));
    return check_together(r, name, error);
}

recipe *recipe_new(void) {
    arena *memory = arena_new();
    recipe *r = MEM_NEW(recipe);
    options_defaults(recipe_options(memory), r);
    arena_free(memory);
    return r;
}

esp_status recipe_parse(recipe **out, const char *name, const char *yaml, size_t length,
                        const recipe_override *overrides, int n, esp_error *error) {
    *out = NULL;
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    settings given = {0};
    recipe *r = MEM_NEW(recipe);
    esp_status status = yaml ? read_yaml(name, yaml, length, table, &given, error) : ESP_OK;
    if (status == ESP_OK) status = read_overrides(table, overrides, n, &given, error);
    if (status == ESP_OK) status = resolve(table, r, name, &given, error);
    settings_free(&given);
    arena_free(memory);
    if (status == ESP_OK)
        *out = r;
    else
        recipe_free(r);
    return status;
}

esp_status recipe_load(recipe **out, const char *path, const recipe_override *overrides, int n,
                       esp_error *error) {
    *out = NULL;
    if (!path) return recipe_parse(out, "the options given", NULL, 0, overrides, n, error);
    char *yaml;
    size_t length;
    ESP_TRY(file_read(path, &yaml, &length, error));
    esp_status status = recipe_parse(out, path, yaml, length, overrides, n, error);
    mem_free(yaml);
    return status;
}

void recipe_free(recipe *r) {
    if (!r) return;
    arena *memory = arena_new();
    options_free(recipe_options(memory), r);
    arena_free(memory);
    mem_free(r);
}

esp_status recipe_split_set(const char *text, char **key, char **value, esp_error *error) {
    *key = *value = NULL;
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return error_set(error, ESP_USAGE, "for example search.simulations=16",
                         "a setting is key=value, not \"%.100s\"", text);
    *key = mem_strndup(text, (size_t)(equals - text));
    *value = mem_strdup(equals + 1);
    return ESP_OK;
}

/* ---- writing ---- */

/* Text in YAML's double quotes: escapes for the quote, the backslash and control characters; UTF-8 as it is.
 */
static void quoted(const char *text, text_buffer *out) {
    text_puts(out, "\"");
    for (const char *c = text; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte == '"' || byte == '\\')
            text_printf(out, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            text_printf(out, "\\x%02x", byte);
        else
            text_append(out, c, 1);
    }
    text_puts(out, "\"");
}

static void write_value(const option *o, const recipe *r, text_buffer *out) {
    if (o->type == OPTION_STRING || o->type == OPTION_PATH) {
        text_buffer value = {0};
        option_get(o, r, &value);
        quoted(value.at ? value.at : "", out);
        text_free(&value);
    } else {
        option_get(o, r, out);
    }
}

static void write_keys(const recipe *r, text_buffer *out) {
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    const char *group = "";
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        size_t n = strcspn(o->key, ".");
        if (!option_applies(table, o, r)) continue;
        if (strncmp(group, o->key, n + 1) != 0) text_printf(out, "%.*s:\n", (int)n, o->key);
        group = o->key;
        text_printf(out, "  %s: ", o->key + n + 1);
        write_value(o, r, out);
        text_puts(out, "\n");
    }
    arena_free(memory);
}

void recipe_text(const recipe *r, text_buffer *out) {
    text_puts(out, "# The recipe as resolved: every key.\n");
    write_keys(r, out);
}

esp_status recipe_write(const recipe *r, const char *path, esp_error *error) {
    text_buffer text = {0};
    recipe_text(r, &text);
    esp_status status = file_write_all(path, text.at, text.length, error);
    text_free(&text);
    return status;
}

/* The value as written; nothing where the key does not apply. */
static void value_in(option_table table, const char *key, const recipe *r, text_buffer *out) {
    const option *o = option_in_use(table, key, r);
    text_puts(out, "");
    if (o) write_value(o, r, out);
}

int recipe_diff(const recipe *there, const recipe *here, text_buffer *out) {
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    int differing = 0;
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        if ((o->marks & OPTION_FREE) || option_by_key(table, o->key) != o) continue;
        text_buffer a = {0}, b = {0};
        value_in(table, o->key, there, &a);
        value_in(table, o->key, here, &b);
        if (strcmp(a.at, b.at) != 0) {
            text_printf(out, "%s: %s there, %s here\n", o->key, *a.at ? a.at : "nothing",
                        *b.at ? b.at : "nothing");
            differing++;
        }
        text_free(&a);
        text_free(&b);
    }
    arena_free(memory);
    return differing;
}
