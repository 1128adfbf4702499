/* Reads a grid from its file. */
#include "sweep/grid.h"

#include "base/file.h"
#include "formats/settings.h"
#include "formats/yaml_text.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading the file ---- */

typedef struct {
    const char *key; /* of the recipe */
    MEM_LIST(recipe_override) values;
} axis;
typedef MEM_LIST(axis) axes;

/* A method as the file has it. */
typedef struct {
    const char *name, *recipe, *without; /* recipe NULL: the grid's */
    grid_keys keys;
    const char *where;
} method;
typedef MEM_LIST(method) methods;

typedef struct {
    yaml_text *text;
    const char *path;   /* of the text */
    option_table table; /* of recipes */
    grid *out;
    grid_keys set;
    axes vary, choose;
    methods methods;
    const char *recipe; /* of all methods; NULL: not named */
    esp_error *error;
} reader;

#define reader_fail(r, at, hint, ...) yaml_text_fail((r)->text, at, (r)->error, hint, __VA_ARGS__)

static void axes_free(axes *all) {
    for (int64_t i = 0; i < all->count; i++) MEM_LIST_FREE(&all->at[i].values);
    MEM_LIST_FREE(all);
}

static void methods_free(methods *all) {
    for (int64_t i = 0; i < all->count; i++) MEM_LIST_FREE(&all->at[i].keys);
    MEM_LIST_FREE(all);
}

static const char *keep(reader *r, char *made) {
    const char *kept = arena_strdup(r->out->memory, made);
    mem_free(made);
    return kept;
}

static const char *place(reader *r, const yaml_node_t *at) {
    return keep(r, yaml_text_place(r->text, at));
}

static esp_status need_word(reader *r, const yaml_node_t *node, const char *what, const char **out) {
    *out = "";
    if (node->type != YAML_SCALAR_NODE || yaml_is_nothing(node) || !*yaml_scalar(node) ||
        strchr(yaml_scalar(node), '\n'))
        return reader_fail(r, node, "write it on one line", "%s must be a word or a number", what);
    *out = arena_strdup(r->out->memory, yaml_scalar(node));
    return ESP_OK;
}

/* A map whose keys are words, each given once. */
static esp_status need_map(reader *r, const yaml_node_t *map, const char *what) {
    if (map->type != YAML_MAPPING_NODE)
        return reader_fail(r, map, "write `key: value` lines below it, each indented",
                           "%s must be a map of keys", what);
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *name = yaml_text_node(r->text, p->key);
        const char *word;
        ESP_TRY(need_word(r, name, "a key", &word));
        for (const yaml_node_pair_t *q = map->data.mapping.pairs.start; q < p; q++)
            if (strcmp(yaml_scalar(yaml_text_node(r->text, q->key)), word) == 0)
                return reader_fail(r, name, "keep one of the two", "%s: the key %s is given twice", what,
                                   word);
    }
    return ESP_OK;
}

static esp_status check_key(reader *r, const yaml_node_t *at, const char *key) {
    if (grid_sets(key))
        return reader_fail(r, at, "the grid's own keys are `seeds` and `out`", "%s cannot be set in a grid",
                           key);
    if (option_by_key(r->table, key)) return ESP_OK;
    return settings_unknown_key(r->table, place(r, at), key, r->error);
}

/* The value of a recipe's key: a word, or a list of lines where the key takes one. */
static esp_status read_value(reader *r, const char *key, const yaml_node_t *node, const char **out) {
    const option *o = option_by_key(r->table, key);
    if (node->type == YAML_SEQUENCE_NODE && !(o->marks & OPTION_LIST))
        return reader_fail(r, node, "several values of a key are several runs: write them below `vary`",
                           "%s has one value, not a list", key);
    if (node->type == YAML_SEQUENCE_NODE) {
        text_buffer lines = {0};
        esp_status status = ESP_OK;
        const yaml_node_item_t *first = node->data.sequence.items.start;
        text_puts(&lines, "");
        for (const yaml_node_item_t *i = first; i < node->data.sequence.items.top && status == ESP_OK; i++) {
            const char *line = "";
            status = need_word(r, yaml_text_node(r->text, *i), key, &line);
            text_printf(&lines, "%s%s", i > first ? "\n" : "", line);
        }
        *out = arena_strdup(r->out->memory, lines.at);
        text_free(&lines);
        return status;
    }
    if (node->type != YAML_SCALAR_NODE || yaml_is_nothing(node))
        return reader_fail(r, node, "give it a value, or leave the key out", "%s has no value", key);
    *out = arena_strdup(r->out->memory, yaml_scalar(node));
    return ESP_OK;
}

/* The words of a method that are no keys of a recipe. */
static bool is_of_method(const char *key) {
    return strcmp(key, "without") == 0 || strcmp(key, "recipe") == 0;
}

/* Appends the recipe's keys of a map: `learn: {lr: 1e-4}` and `learn.lr: 1e-4` are the same. */
static esp_status read_keys(reader *r, const yaml_node_t *map, const char *group, bool of_method,
                            grid_keys *out) {
    ESP_TRY(need_map(r, map, *group ? group : "keys of recipes"));
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *name = yaml_text_node(r->text, p->key), *node = yaml_text_node(r->text, p->value);
        const char *word = yaml_scalar(name);
        if (of_method && is_of_method(word)) continue;
        const char *key = keep(r, mem_printf("%s%s%s", group, *group ? "." : "", word));
        if (node->type == YAML_MAPPING_NODE && !strchr(key, '.')) {
            ESP_TRY(read_keys(r, node, key, false, out));
            continue;
        }
        ESP_TRY(check_key(r, name, key));
        for (int64_t i = 0; i < out->count; i++)
            if (strcmp(out->at[i].key, key) == 0)
                return reader_fail(r, name, "keep one of the two", "the key %s is given twice (first at %s)",
                                   key, out->at[i].where);
        recipe_override one = {.key = key, .where = place(r, name)};
        ESP_TRY(read_value(r, key, node, &one.value));
        MEM_LIST_PUSH(out, one);
    }
    return ESP_OK;
}

/* `vary` and `choose`: keys, each with a list of values. */
static esp_status read_axes(reader *r, const yaml_node_t *map, const char *what, axes *out) {
    axes_free(out); /* those of the grid that this one extends */
    ESP_TRY(need_map(r, map, what));
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *name = yaml_text_node(r->text, p->key), *list = yaml_text_node(r->text, p->value);
        axis one = {0};
        ESP_TRY(need_word(r, name, "a key", &one.key));
        ESP_TRY(check_key(r, name, one.key));
        if (list->type != YAML_SEQUENCE_NODE ||
            list->data.sequence.items.start == list->data.sequence.items.top)
            return reader_fail(r, list, "for example learn.lr: [1e-4, 2e-4]",
                               "%s.%s must be a list of values", what, one.key);
        MEM_LIST_PUSH(out, one);
        axis *kept = &out->at[out->count - 1];
        for (const yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top;
             i++) {
            const yaml_node_t *node = yaml_text_node(r->text, *i);
            recipe_override value = {.key = one.key, .where = place(r, node)};
            ESP_TRY(need_word(r, node, one.key, &value.value));
            MEM_LIST_PUSH(&kept->values, value);
        }
    }
    return ESP_OK;
}

static esp_status read_seeds(reader *r, const yaml_node_t *list) {
    grid *g = r->out;
    g->seeds.count = 0;
    if (list->type != YAML_SEQUENCE_NODE)
        return reader_fail(r, list, "for example seeds: [1, 2, 3]", "seeds must be a list of numbers");
    for (const yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top;
         i++) {
        const yaml_node_t *node = yaml_text_node(r->text, *i);
        const char *word;
        char *end;
        ESP_TRY(need_word(r, node, "a seed", &word));
        long long seed = strtoll(word, &end, 10);
        if (*end || seed < 0 || strlen(word) > 18)
            return reader_fail(r, node, "for example seeds: [1, 2, 3]",
                               "a seed must be a whole number from 0, not \"%.60s\"", word);
        for (int64_t k = 0; k < g->seeds.count; k++)
            if (g->seeds.at[k] == seed)
                return reader_fail(r, node, "keep one of the two", "the seed %lld is given twice", seed);
        MEM_LIST_PUSH(&g->seeds, (int64_t)seed);
    }
    return g->seeds.count > 0 ? ESP_OK
                              : reader_fail(r, list, "for example seeds: [1, 2, 3]", "there are no seeds");
}

static esp_status read_without(reader *r, const yaml_node_t *list, const char **out) {
    text_buffer words = {0};
    esp_status status = list->type == YAML_SEQUENCE_NODE
                            ? ESP_OK
                            : reader_fail(r, list, "for example without: [search, learn]",
                                          "without must be a list of groups");
    text_puts(&words, "");
    for (const yaml_node_item_t *i = list->data.sequence.items.start;
         status == ESP_OK && i < list->data.sequence.items.top; i++) {
        const char *word = "";
        const yaml_node_t *node = yaml_text_node(r->text, *i);
        status = need_word(r, node, "a group", &word);
        bool known = false;
        for (int k = 0; k < r->table.count && !known; k++)
            known = strncmp(r->table.at[k].key, word, strlen(word)) == 0 &&
                    r->table.at[k].key[strlen(word)] == '.';
        if (status == ESP_OK && !known)
            status = reader_fail(r, node, "a recipe's groups are run, model, data, search, learn and so on",
                                 "a recipe has no group \"%.60s\"", word);
        text_printf(&words, "%s%s", words.length > 0 ? " " : "", word);
    }
    if (status == ESP_OK) *out = arena_strdup(r->out->memory, words.at);
    text_free(&words);
    return status;
}

/* Names become folders and columns of tables. */
static bool is_name(const char *word) {
    return word[0] != '.' && word[0] != '-' &&
           word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

/* A path in a grid is relative to the grid's own folder. */
static const char *beside(reader *r, const char *path) {
    const char *own = r->path, *slash = strrchr(own, '/');
    if (path[0] == '/' || !slash) return path;
    return keep(r, mem_printf("%.*s%s", (int)(slash - own + 1), own, path));
}

static esp_status read_method(reader *r, const yaml_node_t *name, const yaml_node_t *map) {
    method m = {.name = yaml_scalar(name), .without = "", .where = place(r, name)};
    if (!is_name(m.name))
        return reader_fail(r, name, "use letters, digits, - and _",
                           "\"%.60s\" cannot be the name of a method and a folder", m.name);
    m.name = arena_strdup(r->out->memory, m.name);
    MEM_LIST_PUSH(&r->methods, m);
    method *kept = &r->methods.at[r->methods.count - 1];
    if (yaml_is_nothing(map)) return ESP_OK; /* `default:` and nothing after it */
    ESP_TRY(read_keys(r, map, "", true, &kept->keys));
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const char *word = yaml_scalar(yaml_text_node(r->text, p->key));
        const yaml_node_t *node = yaml_text_node(r->text, p->value);
        if (strcmp(word, "without") == 0) ESP_TRY(read_without(r, node, &kept->without));
        if (strcmp(word, "recipe") != 0) continue;
        ESP_TRY(need_word(r, node, "recipe", &kept->recipe));
        kept->recipe = beside(r, kept->recipe);
    }
    return ESP_OK;
}

static esp_status read_methods(reader *r, const yaml_node_t *map) {
    methods_free(&r->methods); /* those of the grid that this one extends */
    ESP_TRY(need_map(r, map, "methods"));
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
        ESP_TRY(read_method(r, yaml_text_node(r->text, p->key), yaml_text_node(r->text, p->value)));
    return r->methods.count > 0 ? ESP_OK : reader_fail(r, map, "name one", "there are no methods");
}

static const yaml_node_t *find(reader *r, const yaml_node_t *map, const char *key) {
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *name = yaml_text_node(r->text, p->key);
        if (name->type == YAML_SCALAR_NODE && strcmp(yaml_scalar(name), key) == 0)
            return yaml_text_node(r->text, p->value);
    }
    return NULL;
}

static const char *const grid_words[] = {"about", "extends", "recipe", "out",    "seeds",
                                         "set",   "methods", "vary",   "choose", "baseline"};
enum { GRID_WORDS = sizeof grid_words / sizeof *grid_words };

static esp_status check_words(reader *r, const yaml_node_t *root) {
    for (const yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top; p++) {
        const yaml_node_t *name = yaml_text_node(r->text, p->key);
        const char *word = yaml_scalar(name);
        bool known = false;
        for (int i = 0; i < GRID_WORDS; i++) known = known || strcmp(word, grid_words[i]) == 0;
        const char *nearest = known ? NULL : name_nearest(grid_words, GRID_WORDS, word);
        if (!known)
            return reader_fail(
                r, name,
                "a grid has about, extends, recipe, out, seeds, set, methods, vary, choose and "
                "baseline; keys of recipes go below set or a method",
                "unknown key %.60s%s%s%s", word, nearest ? " (did you mean " : "", nearest ? nearest : "",
                nearest ? "?)" : "");
    }
    return ESP_OK;
}

/* ---- combinations ---- */

static char *as_folder(const char *label) {
    char *folder = mem_strdup(label);
    for (char *c = folder; *c; c++)
        if (*c == ' ')
            *c = ',';
        else if (*c == '/' || (unsigned char)*c < ' ')
            *c = '_';
    return folder;
}

static int64_t combination_count(const axes *all) {
    int64_t n = 1;
    for (int64_t i = 0; i < all->count; i++) n *= all->at[i].values.count;
    return n;
}

/* The keys of one combination, the last axis fastest, appended to *out; returns their label. */
static const char *combine(reader *r, const axes *all, int64_t index, grid_keys *out) {
    text_buffer label = {0};
    int64_t rest = combination_count(all);
    text_puts(&label, "");
    for (int64_t i = 0; i < all->count; i++) {
        const axis *a = &all->at[i];
        rest /= a->values.count;
        recipe_override value = a->values.at[index / rest % a->values.count];
        text_printf(&label, "%s%s=%s", i > 0 ? " " : "", value.key, value.value);
        MEM_LIST_PUSH(out, value);
    }
    const char *kept = arena_strdup(r->out->memory, label.at);
    text_free(&label);
    return kept;
}

/* All methods with all values of `vary`: the grid's own keys first, then the method's, then those values. */
static void multiply_methods(reader *r) {
    grid *g = r->out;
    for (int64_t i = 0; i < r->methods.count; i++) {
        const method *plain = &r->methods.at[i];
        for (int64_t k = 0; k < combination_count(&r->vary); k++) {
            grid_method m = {.label = plain->name, .without = plain->without};
            m.recipe = plain->recipe ? plain->recipe : r->recipe;
            MEM_LIST_APPEND(&m.keys, r->set.at, r->set.count);
            MEM_LIST_APPEND(&m.keys, plain->keys.at, plain->keys.count);
            const char *values = combine(r, &r->vary, k, &m.keys);
            if (*values) m.label = keep(r, mem_printf("%s %s", plain->name, values));
            m.folder = keep(r, as_folder(m.label));
            MEM_LIST_PUSH(&g->methods, m);
        }
    }
}

static void list_choices(reader *r) {
    grid *g = r->out;
    for (int64_t k = 0; r->choose.count > 0 && k < combination_count(&r->choose); k++) {
        grid_choice c = {0};
        c.label = combine(r, &r->choose, k, &c.keys);
        c.folder = keep(r, as_folder(c.label));
        MEM_LIST_PUSH(&g->choices, c);
    }
}

/* Two values that differ only in what a folder's name cannot hold. */
static esp_status check_folders(const grid *g, esp_error *error) {
    for (int64_t i = 0; i < g->methods.count; i++)
        for (int64_t k = 0; k < i; k++)
            if (strcmp(g->methods.at[i].folder, g->methods.at[k].folder) == 0)
                return error_fail(error, "give each a method of its own, with a name",
                                  "%s: \"%s\" and \"%s\" would have the same folder", g->path,
                                  g->methods.at[k].label, g->methods.at[i].label);
    return ESP_OK;
}

static esp_status find_baseline(const grid *g, esp_error *error) {
    for (int64_t i = 0; i < g->methods.count; i++)
        if (strcmp(g->methods.at[i].label, g->baseline) == 0) return ESP_OK;
    return error_fail(error, "it must be one of the methods, with the values of `vary` if there are any",
                      "%s: the baseline \"%.100s\" is none of the methods", g->path, g->baseline);
}

/* ---- the whole ---- */

static esp_status read_set(reader *r, const yaml_node_t *map) {
    grid_keys own = {0};
    esp_status status = read_keys(r, map, "", false, &own);
    MEM_LIST_APPEND(&r->set, own.at, own.count); /* over those of the grid that this one extends */
    MEM_LIST_FREE(&own);
    return status;
}

static esp_status read_words(reader *r, const yaml_node_t *root) {
    grid *g = r->out;
    const yaml_node_t *node;
    if ((node = find(r, root, "about"))) ESP_TRY(need_word(r, node, "about", &g->about));
    if ((node = find(r, root, "out"))) ESP_TRY(need_word(r, node, "out", &g->out));
    if ((node = find(r, root, "baseline"))) ESP_TRY(need_word(r, node, "baseline", &g->baseline));
    if ((node = find(r, root, "recipe"))) {
        ESP_TRY(need_word(r, node, "recipe", &r->recipe));
        r->recipe = beside(r, r->recipe);
    }
    if ((node = find(r, root, "set"))) ESP_TRY(read_set(r, node));
    if ((node = find(r, root, "vary"))) ESP_TRY(read_axes(r, node, "vary", &r->vary));
    if ((node = find(r, root, "choose"))) ESP_TRY(read_axes(r, node, "choose", &r->choose));
    if ((node = find(r, root, "seeds"))) ESP_TRY(read_seeds(r, node));
    return (node = find(r, root, "methods")) ? read_methods(r, node) : ESP_OK;
}

static esp_status read_file(reader *r, const char *path, int depth);

static esp_status read_text(reader *r, const char *path, yaml_text *text, int depth) {
    const yaml_node_t *root = yaml_text_root(text), *extends;
    reader own = *r;
    own.text = text;
    own.path = path;
    if (!root) return error_fail(r->error, "docs/experiments.md shows one", "%s: the grid is empty", path);
    ESP_TRY(need_map(&own, root, "a grid"));
    ESP_TRY(check_words(&own, root));
    if ((extends = find(&own, root, "extends"))) {
        const char *name;
        ESP_TRY(need_word(&own, extends, "extends", &name));
        ESP_TRY(read_file(r, beside(&own, name), depth + 1));
        r->out->out = NULL; /* another grid's folder is not this one's */
    }
    r->text = text;
    r->path = path;
    return read_words(r, root);
}

/* Reads what the grid extends, and then its own words over that. */
static esp_status read_file(reader *r, const char *path, int depth) {
    char *yaml;
    size_t length;
    yaml_text text;
    if (depth > 8)
        return error_fail(r->error, "correct the grid's `extends`", "%s: there is no end to `extends`", path);
    ESP_TRY(file_read(path, &yaml, &length, r->error));
    esp_status status = yaml_text_open(&text, path, yaml, length, r->error);
    mem_free(yaml);
    ESP_TRY(status);
    status = read_text(r, path, &text, depth);
    yaml_text_close(&text);
    return status;
}

static const char *name_of_file(reader *r) {
    const char *slash = strrchr(r->out->path, '/'), *name = slash ? slash + 1 : r->out->path;
    const char *dot = strrchr(name, '.');
    return keep(r, mem_strndup(name, dot && dot > name ? (size_t)(dot - name) : strlen(name)));
}

/* What follows from the words of all files. */
static esp_status complete(reader *r) {
    grid *g = r->out;
    method itself = {.name = name_of_file(r), .without = "", .where = g->path};
    if (r->methods.count == 0) MEM_LIST_PUSH(&r->methods, itself); /* the recipe is the only method */
    for (int64_t i = 0; i < r->methods.count; i++)
        if (!r->methods.at[i].recipe && !r->recipe)
            return error_fail(r->error, "name one at the top of the grid: recipe: my.yaml",
                              "%s: the method %s has no recipe", r->methods.at[i].where,
                              r->methods.at[i].name);
    multiply_methods(r);
    list_choices(r);
    if (g->seeds.count == 0) MEM_LIST_PUSH(&g->seeds, (int64_t)1);
    if (!g->out) g->out = keep(r, mem_printf("runs/%s", itself.name));
    if (!g->baseline) g->baseline = g->methods.at[0].label;
    ESP_TRY(check_folders(g, r->error));
    return find_baseline(g, r->error);
}

esp_status grid_read(grid *out, const char *path, esp_error *error) {
    *out = (grid){.memory = arena_new(), .about = ""};
    out->path = arena_strdup(out->memory, path);
    reader r = {.table = recipe_options(out->memory), .out = out, .error = error};
    esp_status status = read_file(&r, out->path, 0);
    if (status == ESP_OK) status = complete(&r);
    MEM_LIST_FREE(&r.set);
    axes_free(&r.vary);
    axes_free(&r.choose);
    methods_free(&r.methods);
    return status;
}
