#include "app/complete.h"

#include <string.h>

typedef struct {
    text_buffer *out;
    const char *typed;  /* candidates begin with it */
    const char *before; /* and go after this, which is typed already: "search.rule=" */
} completion;

static void offer(const completion *c, const char *name, const char *after, const char *about) {
    if (strncmp(name, c->typed, strlen(c->typed)) != 0) return;
    text_printf(c->out, "%s%s%s", c->before, name, after);
    if (about && *about) text_printf(c->out, "\t%s", about);
    text_puts(c->out, "\n");
}

static void offer_verbs(const completion *c, const cli_verb *verbs, int n) {
    for (int i = 0; i < n; i++) offer(c, verbs[i].name, "", verbs[i].summary);
    offer(c, "help", "", "the help of a verb, or the manual page");
}

/* The values of a choice, or true and false. */
static void offer_values(const completion *c, const option *o) {
    if (o->type == OPTION_BOOL) {
        offer(c, "true", "", NULL);
        offer(c, "false", "", NULL);
    }
    char name[64];
    for (int i = 0; o->type == OPTION_ENUM && *option_choice(o, i, name, sizeof name); i++)
        offer(c, name, "", o->about ? o->about(i) : NULL);
}

/* ---- one verb ---- */

static void offer_flags(const completion *c, const cli_verb *verb, option_table keys) {
    for (int i = 0; i < verb->options.count; i++) {
        const option *o = &verb->options.at[i], *means = o->key ? option_by_key(keys, o->key) : NULL;
        if (o->flag) offer(c, o->flag, "", means ? means->help : o->help);
    }
    for (int i = 0; i < keys.count; i++) {
        const option *o = &keys.at[i];
        bool own = o->flag && option_by_flag(verb->options, o->flag, NULL, NULL);
        if (cli_flag_fits(verb, keys, o) && !own && !option_is_repeated(keys, o))
            offer(c, o->flag, "", o->help);
    }
    if (verb->recipe_groups) offer(c, "--set", "", "any key of the recipe: KEY=VALUE");
    offer(c, "--json", "", "print JSON on standard output");
    offer(c, "--help", "", "help");
}

/* "search.ru" or "search.rule=gu". */
static void offer_keys(const completion *c, const cli_verb *verb, option_table keys) {
    const char *equals = strchr(c->typed, '=');
    for (int i = 0; i < keys.count; i++) {
        const option *o = &keys.at[i];
        bool offered = verb->recipe_groups && option_in_groups(o->key, verb->recipe_groups) &&
                       !option_is_repeated(keys, o);
        if (!equals && offered) offer(c, o->key, "=", o->help);
    }
    if (!equals) return;
    char *key = mem_strndup(c->typed, (size_t)(equals - c->typed)), *before = mem_printf("%s=", key);
    const option *o = option_by_key(keys, key);
    if (o) offer_values(&(completion){c->out, equals + 1, before}, o);
    mem_free(before);
    mem_free(key);
}

/* The option that a flag is, if its value is what is typed now. */
static const option *option_before(const cli_verb *verb, option_table keys, const char *flag) {
    if (strncmp(flag, "--", 2) != 0) return NULL;
    const option *o = option_by_flag(verb->options, flag, NULL, NULL);
    if (o && o->key) o = option_by_key(keys, o->key);
    if (!o && verb->recipe_groups) o = option_by_flag(keys, flag, verb->recipe_groups, NULL);
    return o && o->type != OPTION_BOOL ? o : NULL;
}

static void complete_verb(const completion *c, const cli_verb *verb, const char *previous) {
    arena *memory = arena_new();
    option_table keys = recipe_options(memory);
    const option *o = option_before(verb, keys, previous);
    if (strcmp(previous, "--set") == 0)
        offer_keys(c, verb, keys);
    else if (o)
        offer_values(c, o);
    else if (c->typed[0] == '-')
        offer_flags(c, verb, keys);
    arena_free(memory);
}

void complete_words(const cli_verb *verbs, int n, char *const *words, int count, text_buffer *out) {
    completion c = {out, count > 0 ? words[count - 1] : "", ""};
    text_puts(out, "");
    if (count < 2) {
        offer_verbs(&c, verbs, n);
        return;
    }
    if (count == 2 && strcmp(words[0], "help") == 0) {
        for (int i = 0; i < n; i++) offer(&c, verbs[i].name, "", verbs[i].summary);
        offer(&c, "--man", "", "the manual page");
    }
    for (int i = 0; i < n; i++)
        if (strcmp(words[0], verbs[i].name) == 0) complete_verb(&c, &verbs[i], words[count - 2]);
}
