/* espalier show: draws a run's search trees in the terminal. */
#include "app/output.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "view/tree_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t iteration, depth;
    bool all;
} show_flags;

static const option show_options[] = {
    {.flag = "--iteration",
     .type = OPTION_INT,
     .initial = "0",
     .low = 0,
     .high = 1e9,
     .offset = offsetof(show_flags, iteration),
     .help = "only trees of this iteration; 0: the newest tree of the problem"},
    {.flag = "--depth",
     .type = OPTION_INT,
     .initial = "0",
     .low = 0,
     .high = 1e9,
     .offset = offsetof(show_flags, depth),
     .help = "levels of steps to show; 0: all"},
    {.flag = "--all",
     .type = OPTION_BOOL,
     .offset = offsetof(show_flags, all),
     .help = "also show unvisited steps, and all texts in full; without PROBLEM: list every tree"},
};

/* A run's contents, read in one transaction. */
typedef struct {
    store *store;
    const char *run;
    const show_flags *flags;
    store_trees trees; /* of the wanted iterations */
    store_problems problems;
} show_work;

static json_t *text_or_null(const char *text) {
    return text ? json_from_text(text, strlen(text)) : json_null();
}

/* ---- one tree ---- */

static json_t *node_json(const store_node *n) {
    bool judged = n->flags & STORE_NODE_JUDGED;
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:b, s:b, s:o}",
                     "node", (json_int_t)n->index, "parent", (json_int_t)n->parent, "depth",
                     (json_int_t)n->depth, "N", (json_int_t)n->visits, "Q", json_real_or_null(n->q), "V",
                     json_real_or_null(n->v), "r", json_real_or_null(n->r), "prior",
                     json_real_or_null(n->prior), "logprob", json_real_or_null(n->logprob), "C",
                     judged ? json_real_or_null(n->confidence) : json_null(), "O",
                     json_real_or_null(n->outcome), "committed", !!(n->flags & STORE_NODE_COMMITTED),
                     "finished", !!(n->flags & STORE_NODE_FINISHED), "cut", !!(n->flags & STORE_NODE_CUT),
                     "unknown", !!(n->flags & STORE_NODE_UNKNOWN), "gold", !!(n->flags & STORE_NODE_GOLD),
                     "text", text_or_null(n->text));
}

static json_t *tree_json(const show_work *w, const tree_text_input *in) {
    const store_tree *t = in->tree;
    const store_problem *p = in->problem;
    json_t *nodes = json_array(), *pairs = json_array();
    for (int64_t i = 0; i < in->nodes->count; i++) json_array_append_new(nodes, node_json(&in->nodes->at[i]));
    for (int64_t i = 0; i < in->pairs->count; i++) {
        const store_pair *one = &in->pairs->at[i];
        json_array_append_new(pairs,
                              json_pack("{s:I, s:I, s:I}", "state", (json_int_t)one->state, "chosen",
                                        (json_int_t)one->chosen, "rejected", (json_int_t)one->rejected));
    }
    return json_pack("{s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o}", "run",
                     text_or_null(w->run), "tree", (json_int_t)t->tree, "iteration", (json_int_t)t->iteration,
                     "problem", (json_int_t)t->problem, "name", text_or_null(p ? p->name : NULL), "question",
                     text_or_null(p ? p->question : NULL), "gold", text_or_null(p ? p->answer : NULL),
                     "outcome", json_real_or_null(t->outcome), "simulations", (json_int_t)t->simulations,
                     "final_node", (json_int_t)t->final_node, "nodes", nodes, "pairs", pairs);
}

static esp_status print_tree(const show_work *w, const tree_text_input *in, bool json, esp_error *error) {
    if (json) return output_json(tree_json(w, in), 17, error);
    tree_text_options options = {
        .display = terminal_display(stdout, 100), .depth = w->flags->depth, .all = w->flags->all};
    text_buffer text = {0};
    esp_status status = tree_text(&text, in, &options, error);
    if (status == ESP_OK) status = output_text(text.at, text.length, error);
    text_free(&text);
    return status;
}

static esp_status show_tree(const show_work *w, const store_tree *tree, bool json, esp_error *error) {
    store_nodes nodes;
    store_pairs pairs;
    ESP_TRY(store_read_nodes(w->store, tree->tree, &nodes, error));
    esp_status status = store_read_tree_pairs(w->store, tree, &pairs, error);
    if (status == ESP_OK) {
        tree_text_input in = {tree, store_problem_of(&w->problems, tree->problem), &nodes, &pairs};
        status = print_tree(w, &in, json, error);
        STORE_LIST_FREE(&pairs);
    }
    STORE_LIST_FREE(&nodes);
    return status;
}

/* The index that a word is, or -1. */
static int64_t index_of(const char *word) {
    if (!isdigit((unsigned char)word[0]) || strlen(word) > 18 || word[strspn(word, "0123456789")]) return -1;
    return strtoll(word, NULL, 10);
}

/* The newest tree of the problem that the word names: by index, else by name. */
static esp_status find_tree(const show_work *w, const char *word, const store_tree **out, esp_error *error) {
    int64_t wanted = index_of(word);
    *out = NULL;
    for (int by_name = wanted < 0; by_name < 2 && !*out; by_name++) {
        for (int64_t i = 0; i < w->trees.count;
             i++) { /* ordered by iteration: the last match is the newest */
            const store_problem *p = store_problem_of(&w->problems, w->trees.at[i].problem);
            bool named = p && p->name && strcmp(p->name, word) == 0;
            if (by_name ? named : w->trees.at[i].problem == wanted) *out = &w->trees.at[i];
        }
    }
    if (*out) return ESP_OK;
    char hint[256], of[48] = "";
    if (w->flags->iteration) snprintf(of, sizeof of, " in iteration %lld", (long long)w->flags->iteration);
    snprintf(hint, sizeof hint, "espalier show %.150s lists the problems that were searched", w->run);
    return error_fail(error, hint, "%s: there is no tree of problem \"%.100s\"%s", w->run, word, of);
}

/* ---- the list ---- */

static const char *outcome_word(const store_tree *t) {
    return t->outcome > 0 ? "yes" : "no";
}

static json_t *list_json(const show_work *w, const store_sizes *sizes) {
    json_t *list = json_array();
    for (int64_t i = w->trees.count - 1; i >= 0; i--) {
        const store_tree *t = &w->trees.at[i];
        const store_problem *p = store_problem_of(&w->problems, t->problem);
        json_array_append_new(
            list,
            json_pack("{s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "tree", (json_int_t)t->tree,
                      "iteration", (json_int_t)t->iteration, "problem", (json_int_t)t->problem, "name",
                      text_or_null(p ? p->name : NULL), "outcome", json_real_or_null(t->outcome), "nodes",
                      (json_int_t)sizes->at[i].nodes, "pairs", (json_int_t)sizes->at[i].pairs, "finished",
                      (json_int_t)t->finished, "right", (json_int_t)t->right, "simulations",
                      (json_int_t)t->simulations, "question", text_or_null(p ? p->question : NULL)));
    }
    return json_pack("{s:o, s:o}", "run", text_or_null(w->run), "trees", list);
}

enum { NAME_COLUMNS = 16, NARROW_NAME_COLUMNS = 10, NARROW = 72, OTHER_COLUMNS = 47 };

static int name_columns(const display *d) {
    return d->width < NARROW ? NARROW_NAME_COLUMNS : NAME_COLUMNS;
}

static void put_row(const show_work *w, const display *d, const store_tree *t, const store_size *size,
                    text_buffer *out) {
    const store_problem *p = store_problem_of(&w->problems, t->problem);
    text_buffer name = {0}, question = {0}, cut = {0};
    const char *n = p && p->name ? p->name : "", *q = p ? p->question : "";
    display_clean(&name, d->unicode, n, strlen(n));
    display_cut(&cut, d->unicode, name.at, name_columns(d));
    int space = name_columns(d) - display_columns(cut.at ? cut.at : "");
    text_printf(out, "%7lld  %s%*s %4lld  ", (long long)t->problem, cut.at ? cut.at : "", space, "",
                (long long)t->iteration);
    if (d->colour) text_puts(out, t->outcome > 0 ? "\x1b[32m" : "\x1b[31m");
    text_printf(out, "%-6s", outcome_word(t));
    if (d->colour) text_puts(out, "\x1b[0m");
    text_printf(out, "%5lld/%-3lld %6lld %6lld", (long long)t->right, (long long)t->finished,
                (long long)size->nodes, (long long)size->pairs);
    display_clean(&question, d->unicode, q, strlen(q));
    if (d->width >= NARROW) {
        text_puts(out, "  ");
        display_cut(out, d->unicode, question.at, d->width - name_columns(d) - OTHER_COLUMNS);
    }
    text_puts(out, "\n");
    text_free(&name);
    text_free(&question);
    text_free(&cut);
}

static void list_text(const show_work *w, const store_sizes *sizes, text_buffer *out) {
    enum { MOST_ROWS = 40 };
    display d = terminal_display(stdout, 100);
    int64_t n = w->trees.count, rows = w->flags->all || n <= MOST_ROWS ? n : MOST_ROWS;
    text_printf(out, "%7s  %-*s %4s  %-6s%9s %6s %6s%s\n", "problem", name_columns(&d), "name", "iter",
                "solved", "ok/ended", "nodes", "pairs", d.width >= NARROW ? "  question" : "");
    for (int64_t i = n - 1; i >= n - rows; i--) put_row(w, &d, &w->trees.at[i], &sizes->at[i], out);
    text_buffer run = {0};
    display_clean(&run, d.unicode, w->run, strlen(w->run));
    if (rows < n) text_printf(out, "%lld more: --all, or --iteration N\n", (long long)(n - rows));
    text_printf(out, "espalier show %s %lld   # draws one, by number or name\n", run.at,
                (long long)w->trees.at[n - 1].problem);
    text_free(&run);
}

static esp_status show_list(const show_work *w, bool json, esp_error *error) {
    store_sizes sizes;
    if (w->trees.count == 0 && !json)
        return error_fail(
            error, "its log.jsonl shows what the run has done; the first wave may not be finished yet",
            w->flags->iteration ? "%s: there are no trees in that iteration" : "%s: there are no trees yet",
            w->run);
    ESP_TRY(store_read_sizes(w->store, w->flags->iteration ? w->flags->iteration : STORE_ALL, &sizes, error));
    esp_status status;
    if (json) {
        status = output_json(list_json(w, &sizes), 17, error);
    } else {
        text_buffer text = {0};
        list_text(w, &sizes, &text);
        status = output_text(text.at, text.length, error);
        text_free(&text);
    }
    STORE_LIST_FREE(&sizes);
    return status;
}

/* ---- the verb ---- */

static esp_status show_read(show_work *w, const char *word, bool json, esp_error *error) {
    ESP_TRY(
        store_read_trees(w->store, w->flags->iteration ? w->flags->iteration : STORE_ALL, &w->trees, error));
    ESP_TRY(store_read_problems(w->store, &w->problems, error));
    if (!word) return show_list(w, json, error);
    const store_tree *tree;
    ESP_TRY(find_tree(w, word, &tree, error));
    return show_tree(w, tree, json, error);
}

static esp_status show_run(const cli_arguments *arguments, void *own, esp_error *error) {
    show_work w = {.run = arguments->positionals[0], .flags = own};
    ESP_TRY(store_open(&w.store, w.run, STORE_READ, error));
    esp_status status = store_begin_read(w.store, error);
    if (status == ESP_OK)
        status = show_read(&w, arguments->positional_count > 1 ? arguments->positionals[1] : NULL,
                           arguments->json, error);
    STORE_LIST_FREE(&w.trees);
    STORE_LIST_FREE(&w.problems);
    store_rollback(w.store);
    store_close(w.store);
    return status;
}

const app_verb verb_show = {
    .cli = {.name = "show",
            .summary = "a run's search trees in the terminal",
            .positionals = "RUN [PROBLEM]",
            .least = 1,
            .most = 2,
            .options = {show_options, sizeof show_options / sizeof *show_options},
            .about =
                "PROBLEM is a problem's number or name; without it, the trees are listed, newest first.\n"
                "Each step is shown with its visits N, value Q and self-evaluation C; committed steps are "
                "shown\n"
                "after their siblings."},
    .own_size = sizeof(show_flags),
    .run = show_run,
};
