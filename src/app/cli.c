#include "app/cli.h"

#include "view/display.h"

#include <stdio.h>
#include <string.h>

/* ---- finding names ---- */

esp_status cli_find_verb(const cli_verb **out, const cli_verb *verbs, int n, int argc, char **argv,
                         esp_error *error) {
    const char *hint = "espalier --help lists the verbs";
    *out = NULL;
    if (argc < 2) return error_set(error, ESP_USAGE, hint, "a verb is missing: espalier VERB [options]");
    const char **names = MEM_ARRAY(const char *, n + 1);
    for (int i = 0; i < n; i++) {
        names[i] = verbs[i].name;
        if (strcmp(names[i], argv[1]) == 0) *out = &verbs[i];
    }
    const char *nearest = name_nearest(names, n, argv[1]);
    mem_free(names);
    if (*out) return ESP_OK;
    if (nearest)
        return error_set(error, ESP_USAGE, hint, "unknown verb %.100s (did you mean %s?)", argv[1], nearest);
    return error_set(error, ESP_USAGE, hint, "unknown verb %.100s", argv[1]);
}

bool cli_flag_fits(const cli_verb *verb, option_table table, const option *o) {
    return o->flag && verb->recipe_groups && option_by_flag(table, o->flag, verb->recipe_groups, NULL) == o;
}

static esp_status unknown_flag(const cli_verb *verb, option_table table, const char *flag, esp_error *error) {
    option_table own = verb->options;
    const char **names = MEM_ARRAY(const char *, own.count + table.count + 3);
    int n = 0;
    names[n++] = "--help";
    names[n++] = "--json";
    if (verb->recipe_groups) names[n++] = "--set";
    for (int i = 0; i < own.count; i++) names[n++] = own.at[i].flag;
    for (int i = 0; i < table.count; i++) {
        if (cli_flag_fits(verb, table, &table.at[i])) names[n++] = table.at[i].flag;
    }
    const char *nearest = name_nearest(names, n, flag);
    mem_free(names);
    char hint[128];
    snprintf(hint, sizeof hint, "espalier %s --help lists its options", verb->name);
    const option *elsewhere = verb->recipe_groups ? option_by_flag(table, flag, NULL, NULL) : NULL;
    if (elsewhere)
        snprintf(hint, sizeof hint, "for this verb, write --set %s=VALUE", elsewhere->key);
    else if (nearest)
        return error_set(error, ESP_USAGE, hint, "espalier %s: unknown option %.100s (did you mean %s?)",
                         verb->name, flag, nearest);
    return error_set(error, ESP_USAGE, hint, "espalier %s: unknown option %.100s", verb->name, flag);
}

/* ---- parsing ---- */

typedef struct {
    cli_arguments *out;
    const cli_verb *verb;
    option_table table; /* of the recipe */
    void *own;
    recipe *scratch; /* recipe flags are set here first, so that a bad value is a usage error */
    bool *given;     /* [own options] */
    int argc, at;
    char **argv;
    esp_error *error;
} parser;

static void push_override(parser *p, const char *key, const char *value, const char *where) {
    cli_arguments *out = p->out;
    arena *memory = out->memory;
    out->overrides[out->override_count++] = (recipe_override){
        arena_strdup(memory, key), arena_strdup(memory, value), arena_strdup(memory, where)};
}

/* Whether this word is an option, so that it is not taken for another option's value. */
static bool is_known_flag(const parser *p, const char *word) {
    const cli_verb *verb = p->verb;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    if (strcmp(name, "--help") == 0 || strcmp(name, "--json") == 0 || strcmp(name, "--") == 0) return true;
    if (verb->recipe_groups && strcmp(name, "--set") == 0) return true;
    if (option_by_flag(verb->options, name, NULL, NULL)) return true;
    return verb->recipe_groups && option_by_flag(p->table, name, verb->recipe_groups, NULL);
}

/* The value of an option: after its =, or the next word. */
static esp_status take_value(parser *p, const char *flag, const char *attached, const char **out) {
    *out = attached;
    if (attached) return ESP_OK;
    if (p->at + 1 >= p->argc || is_known_flag(p, p->argv[p->at + 1]))
        return error_set(p->error, ESP_USAGE, "write it as option, space, value",
                         "espalier %s: %s needs a value", p->verb->name, flag);
    *out = p->argv[++p->at];
    return ESP_OK;
}

static esp_status set_checked(parser *p, const option *o, void *target, const char *flag, const char *value) {
    if (option_set(o, target, value, p->error) == ESP_OK) return ESP_OK;
    if (p->error) p->error->code = ESP_USAGE;
    /* the error of a verb's own option already names the flag */
    if (o->key)
        error_prefix(p->error, "espalier %s: %s", p->verb->name, flag);
    else
        error_prefix(p->error, "espalier %s", p->verb->name);
    return ESP_USAGE;
}

/* OPTION_REPEATED: the earlier values, then this one on a new line. */
static const char *with_earlier(parser *p, const option *o, const char *value) {
    const char *earlier = *(char *const *)((const char *)p->own + o->offset);
    char *both = mem_printf("%s\n%s", earlier, value), *kept = arena_strdup(p->out->memory, both);
    mem_free(both);
    return kept;
}

static esp_status take_option(parser *p, const option *o, const char *flag, const char *attached,
                              bool negated) {
    bool own = o >= p->verb->options.at && o < p->verb->options.at + p->verb->options.count;
    const option *target = own && o->key ? option_by_key(p->table, o->key) : o;
    const char *value = negated ? "false" : "true";
    if (negated && attached)
        return error_set(p->error, ESP_USAGE, "", "espalier %s: %s takes no value", p->verb->name, flag);
    if (target->type != OPTION_BOOL)
        ESP_TRY(take_value(p, flag, attached, &value));
    else if (attached)
        value = attached;
    if (own && (o->marks & OPTION_REPEATED) && p->given[o - p->verb->options.at])
        value = with_earlier(p, o, value);
    if (own) p->given[o - p->verb->options.at] = true;
    if (own && !o->key) return set_checked(p, o, p->own, flag, value);
    ESP_TRY(set_checked(p, target, p->scratch, flag, value));
    push_override(p, target->key, value, flag);
    return ESP_OK;
}

static esp_status take_set(parser *p, const char *attached) {
    const char *text;
    char *key, *value;
    ESP_TRY(take_value(p, "--set", attached, &text));
    esp_status status = recipe_split_set(text, &key, &value, p->error);
    if (status == ESP_OK)
        push_override(p, key, value, "--set");
    else
        error_prefix(p->error, "--set");
    mem_free(key);
    mem_free(value);
    return status;
}

/* A flag that occurs in several of the verb's groups is ambiguous: the error names their keys. */
static esp_status check_meaning(const parser *p, const char *flag, const char *attached) {
    text_buffer keys = {0}, sets = {0};
    const char *value = attached ? attached : "VALUE", *groups = p->verb->recipe_groups;
    int n = option_meanings(p->table, flag, groups, " or ", &keys);
    esp_status status = ESP_OK;
    if (n > 1) {
        char between[160];
        snprintf(between, sizeof between, "=%.100s or --set ", value);
        option_meanings(p->table, flag, groups, between, &sets);
        text_printf(&sets, "=%.100s", value);
        char *hint = mem_printf("choose one: --set %s", sets.at);
        status = error_set(p->error, ESP_USAGE, hint, "espalier %s: %s could mean %s", p->verb->name, flag,
                           keys.at);
        mem_free(hint);
    }
    text_free(&keys);
    text_free(&sets);
    return status;
}

static esp_status take_flag(parser *p, const char *word) {
    size_t n = strcspn(word, "=");
    char *flag = arena_copy(p->out->memory, word, n + 1);
    const char *attached = word[n] ? word + n + 1 : NULL;
    flag[n] = '\0';
    bool negated = false;
    const option *o = option_by_flag(p->verb->options, flag, NULL, &negated);
    if (!o && strcmp(flag, "--json") == 0 && !attached) return p->out->json = true, ESP_OK;
    if (!o && p->verb->recipe_groups && strcmp(flag, "--set") == 0) return take_set(p, attached);
    if (!o && p->verb->recipe_groups) {
        ESP_TRY(check_meaning(p, flag, attached));
        o = option_by_flag(p->table, flag, p->verb->recipe_groups, &negated);
    }
    return o ? take_option(p, o, flag, attached, negated) : unknown_flag(p->verb, p->table, flag, p->error);
}

static esp_status parse_words(parser *p) {
    bool options_ended = false;
    for (p->at = 2; p->at < p->argc; p->at++) {
        const char *word = p->argv[p->at];
        if (!options_ended && strcmp(word, "--") == 0)
            options_ended = true;
        else if (!options_ended && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0))
            p->out->help = true;
        else if (!options_ended && word[0] == '-' && word[1])
            ESP_TRY(take_flag(p, word));
        else
            p->out->positionals[p->out->positional_count++] = p->argv[p->at];
    }
    return ESP_OK;
}

static esp_status check_whole(const parser *p) {
    const cli_verb *verb = p->verb;
    const char *positionals = verb->positionals ? verb->positionals : "";
    char hint[128];
    snprintf(hint, sizeof hint, "espalier %s --help lists its arguments", verb->name);
    for (int i = 0; i < verb->options.count; i++) {
        if ((verb->options.at[i].marks & OPTION_REQUIRED) && !p->given[i])
            return error_set(p->error, ESP_USAGE, hint, "espalier %s: %s is missing", verb->name,
                             verb->options.at[i].flag);
    }
    int n = p->out->positional_count;
    if (n < verb->least)
        return error_set(p->error, ESP_USAGE, hint, "espalier %s: an argument is missing: espalier %s %s",
                         verb->name, verb->name, positionals);
    if (verb->most >= 0 && n > verb->most)
        return error_set(p->error, ESP_USAGE, hint, "espalier %s: too many arguments: \"%.100s\"", verb->name,
                         p->out->positionals[verb->most]);
    return ESP_OK;
}

/* Calls `call` for each of the verb's own options that has a field (no key). */
static void each_own(const cli_verb *verb, void *own, void (*call)(option_table, void *)) {
    for (int i = 0; own && i < verb->options.count; i++) {
        if (!verb->options.at[i].key) call((option_table){&verb->options.at[i], 1}, own);
    }
}

esp_status cli_parse(cli_arguments *out, const cli_verb *verb, void *own, int argc, char **argv,
                     esp_error *error) {
    *out = (cli_arguments){.memory = arena_new()};
    out->positionals = ARENA_ARRAY(out->memory, char *, argc + 1);
    out->overrides = ARENA_ARRAY(out->memory, recipe_override, argc + 1);
    parser p = {.out = out, .verb = verb, .own = own, .argc = argc, .argv = argv, .error = error};
    p.table = recipe_options(out->memory);
    p.given = ARENA_ARRAY(out->memory, bool, verb->options.count + 1);
    p.scratch = MEM_NEW(recipe);
    each_own(verb, own, options_defaults);
    esp_status status = parse_words(&p);
    if (status == ESP_OK && !out->help) status = check_whole(&p);
    recipe_free(p.scratch);
    if (status != ESP_OK) cli_free(out, verb, own);
    return status;
}

void cli_free(cli_arguments *a, const cli_verb *verb, void *own) {
    each_own(verb, own, options_free);
    arena_free(a->memory);
    *a = (cli_arguments){0};
}

/* ---- help ---- */

/* Prose, wrapped to the width; a line end in it is a space, as in the manual page. */
static void put_prose(const char *text, int width, text_buffer *out) {
    text_buffer line = {0};
    display_clean(&line, true, text, strlen(text));
    for (const char *at = line.at; *at;) {
        size_t skip, bytes = display_wrap(at, width, &skip);
        text_append(out, at, bytes);
        text_append(out, "\n", 1);
        at += bytes + skip;
    }
    text_free(&line);
}

void cli_verb_help(const cli_verb *verb, int width, text_buffer *out) {
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    text_printf(out, "espalier %s [options]%s%s\n\n%s\n", verb->name, verb->positionals ? " " : "",
                verb->positionals ? verb->positionals : "", verb->summary);
    if (verb->about) {
        text_append(out, "\n", 1);
        put_prose(verb->about, width, out);
    }
    text_puts(out, "\nOptions\n");
    for (int i = 0; i < verb->options.count; i++) {
        const option *o = &verb->options.at[i];
        const option *meant = o->key ? option_by_key(table, o->key) : NULL;
        option shown = meant ? *meant : *o; /* another name of a recipe key: its type and range */
        shown.flag = o->flag;
        shown.marks = o->marks;
        if (o->help) shown.help = o->help;
        options_manual((option_table){&shown, 1}, NULL, width, out);
    }
    text_puts(out,
              "  --json\n      print the result as JSON on standard output\n  --help\n      this text\n");
    if (verb->recipe_groups) {
        text_puts(out, "\nRecipe keys (in a recipe file, as --set key=value, or by the flag)\n");
        options_manual(table, verb->recipe_groups, width, out);
    }
    arena_free(memory);
}

void cli_overview(const cli_verb *verbs, int n, text_buffer *out) {
    text_puts(out, "espalier VERB [options]\n\n");
    for (int i = 0; i < n; i++) text_printf(out, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
    text_puts(out, "\nespalier VERB --help describes one verb. Every verb accepts --json.\n"
                   "espalier help --man prints the manual page.\n"
                   "Exit status: 0 done, 1 failed, 2 wrong command line, 3 stopped on request.\n");
}
