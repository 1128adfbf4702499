#include "app/manual.h"

#include <stdio.h>
#include <string.h>

/* ---- troff ---- */

/* Appends text, escaping what has a meaning in troff: backslashes, typed hyphens, and a dot or a quote at the
 * beginning of a line. */
static void put(text_buffer *out, const char *text) {
    for (const char *c = text; *c; c++) {
        bool begins = out->length == 0 || out->at[out->length - 1] == '\n';
        if (begins && (*c == '.' || *c == '\'')) text_puts(out, "\\&");
        if (*c == '\\')
            text_puts(out, "\\e");
        else if (*c == '-')
            text_puts(out, "\\-");
        else if (*c == '\'')
            text_puts(out, "\\(aq");
        else if (*c == '~')
            text_puts(out, "\\(ti");
        else if (*c == '^')
            text_puts(out, "\\(ha");
        else
            text_append(out, c, 1);
    }
}

/* Appends prose; troff treats line ends as spaces. */
static void put_prose(text_buffer *out, const char *text) {
    put(out, text);
    text_puts(out, "\n");
}

static void section(text_buffer *out, const char *title) {
    text_printf(out, ".SH %s\n", title);
}

static void bold(text_buffer *out, const char *text) {
    text_puts(out, "\\fB");
    put(out, text);
    text_puts(out, "\\fR");
}

static void entry(text_buffer *out, const char *name, const char *text) {
    text_puts(out, ".TP\n");
    bold(out, name);
    text_puts(out, "\n");
    put_prose(out, text);
}

/* ---- options ---- */

static const char *value_word(const option *o) {
    switch (o->type) {
    case OPTION_INT:
        return "N";
    case OPTION_FLOAT:
        return "X";
    case OPTION_BOOL:
        return "";
    case OPTION_STRING:
        return "TEXT";
    case OPTION_PATH:
        return "PATH";
    case OPTION_ENUM:
        return "WORD";
    }
    return "";
}

/* One line per choice, where there is one. */
static void put_choices(text_buffer *out, const option *o) {
    for (int i = 0; o->choice && o->about && o->choice(i); i++) {
        text_puts(out, ".br\n");
        bold(out, o->choice(i));
        text_puts(out, ": ");
        put_prose(out, o->about(i));
    }
}

/* Appends a name, its help, and the values that it accepts, as `shown` has them. */
static void put_option(text_buffer *out, option_table table, const option *shown, const char *name,
                       const char *other) {
    text_puts(out, ".TP\n");
    bold(out, name);
    if (*value_word(shown) && name[0] == '-') text_printf(out, " \\fI%s\\fR", value_word(shown));
    if (other) {
        text_puts(out, ", ");
        bold(out, other);
    }
    text_puts(out, "\n");
    text_buffer about = {0};
    text_printf(&about, "%s; ", shown->help ? shown->help : "");
    option_wants(shown, &about);
    if (shown->chooser) text_puts(&about, "; only with ");
    option_condition(table, shown, &about);
    if (shown->marks & OPTION_REQUIRED)
        text_puts(&about, "; required");
    else if (shown->initial && *shown->initial) {
        text_puts(&about, "; default ");
        option_initial(shown, &about);
    }
    text_puts(&about, ".");
    put_prose(out, about.at);
    text_free(&about);
    put_choices(out, shown);
}

static void put_groups(text_buffer *out, const char *groups) {
    text_puts(out, ".PP\nAlso ");
    bold(out, "--set");
    text_puts(out, " \\fIKEY\\fR=\\fIVALUE\\fR and the flags of the recipe keys below, of the groups ");
    for (const char *g = groups; *g; g += strspn(g, " ")) {
        int n = (int)strcspn(g, " ");
        text_printf(out, "%s\\fB%.*s\\fR", g == groups ? "" : g[n] ? ", " : " and ", n, g);
        g += n;
    }
    text_puts(out, ".\n");
}

static void put_verb(text_buffer *out, option_table table, const cli_verb *v) {
    text_puts(out, ".SS espalier ");
    put(out, v->name);
    text_puts(out, " [options] ");
    put(out, v->positionals ? v->positionals : "");
    text_puts(out, "\n");
    put_prose(out, v->summary);
    if (v->about) {
        text_puts(out, ".PP\n");
        put_prose(out, v->about);
    }
    for (int i = 0; i < v->options.count; i++) {
        const option *o = &v->options.at[i];
        const option *meant = o->key ? option_by_key(table, o->key) : NULL;
        option shown = meant ? *meant : *o; /* another name of a recipe key: its type and range */
        shown.marks = o->marks;
        if (o->help) shown.help = o->help;
        put_option(out, table, &shown, o->flag, o->key);
    }
    if (v->recipe_groups) put_groups(out, v->recipe_groups);
}

static void put_keys(text_buffer *out, option_table table) {
    char group[32] = "";
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        int n = (int)strcspn(o->key, ".");
        if (option_is_repeated(table, o)) continue;
        if (strncmp(group, o->key, (size_t)n) != 0 || group[n]) {
            snprintf(group, sizeof group, "%.*s", n, o->key);
            text_printf(out, ".SS %s\n", group);
        }
        put_option(out, table, o, o->key, o->flag);
    }
}

/* ---- the page ---- */

static void put_synopsis(text_buffer *out, const cli_verb *verbs, int n) {
    for (int i = 0; i < n; i++) {
        text_puts(out, i ? ".br\n" : "");
        bold(out, "espalier");
        text_puts(out, " ");
        bold(out, verbs[i].name);
        text_puts(out, " [\\fIoptions\\fR] ");
        put(out, verbs[i].positionals ? verbs[i].positionals : "");
        text_puts(out, "\n");
    }
    text_puts(out, ".br\n");
    bold(out, "espalier help");
    text_puts(out, " [\\fIVERB\\fR | \\fB\\-\\-man\\fR]\n.br\n");
    bold(out, "espalier --version");
    text_puts(out, "\n");
}

void manual_page(const cli_verb *verbs, int n, const char *version, text_buffer *out) {
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    text_printf(out,
                ".\\\" Written by espalier help \\-\\-man from its tables of options.\n"
                ".TH ESPALIER 1 \"\" \"espalier %s\" \"User Commands\"\n",
                version);
    section(out, "NAME");
    text_puts(out, "espalier \\- tree search over reasoning steps, and learning from what it found\n");
    section(out, "SYNOPSIS");
    put_synopsis(out, verbs, n);
    section(out, "DESCRIPTION");
    put_prose(
        out,
        "A language model improves its own reasoning by searching: for each problem, Espalier grows a tree\n"
        "of reasoning steps with Monte Carlo tree search, can judge the steps with the model's own "
        "log-probs,\n"
        "derives preferences between steps from the tree, and updates the model with DPO, round after\n"
        "round. Results go to standard output, progress and messages to standard error.");
    text_puts(out, ".PP\nOptions of every verb:\n");
    entry(out, "--json", "print the result as JSON on standard output");
    entry(out, "--help", "print the verb's arguments and options");
    section(out, "VERBS");
    for (int i = 0; i < n; i++) put_verb(out, table, &verbs[i]);
    section(out, "RECIPE KEYS");
    put_prose(
        out,
        "A recipe is a YAML file of these keys. Each key can also be set by --set KEY=VALUE, or by its flag "
        "if\n"
        "the verb accepts the key's group. The command line takes precedence over the file, the file over a\n"
        "preset, and a preset over the default.");
    put_keys(out, table);
    arena_free(memory);
    section(out, "EXIT STATUS");
    entry(out, "0", "done");
    entry(out, "1", "failed; the message says what failed, where, and what to do");
    entry(out, "2", "wrong command line");
    entry(out, "3", "stopped on request; finished work is kept");
    section(out, "ENVIRONMENT");
    entry(out, "NO_COLOR", "if set and not empty: no colours");
    entry(out, "TERM", "if dumb: plain lines instead of a live view");
    entry(out, "COLUMNS", "width of the output if standard output is not a terminal");
    entry(out, "LC_ALL, LC_CTYPE, LANG", "whether the terminal displays UTF-8");
    section(out, "FILES");
    entry(out, "RUN/run.db", "all results of a run: trees, pairs, updates, evaluations (SQLite)");
    entry(out, "RUN/recipe.yaml",
          "the resolved recipe; recipe-2.yaml and so on: as it was changed by --resume");
    entry(out, "RUN/checkpoints/", "policies in Hugging Face layout");
    entry(out, "RUN/report.html", "the report page");
    entry(out, "RUN/log.jsonl", "one line per update or event");
}
