#include "view/tree_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHOSEN = 1, REJECTED = 2 };
enum { MOST_LINES = 12, QUESTION_LINES = 8 };

typedef struct {
    const char *branch, *last, *path_branch, *path_last, *bar, *gap, *more, *dot, *minus;
    const char *committed, *chosen, *rejected, *right, *wrong, *cut, *unknown;
} glyphs;

static const glyphs unicode_glyphs = {"├─", "└─", "┝━", "┕━", "│ ", "  ", "⋯ ", " · ",
                                      "−",  "●",  "▲",  "▼",  "✓",  "✗",  "✂",  "?"};
static const glyphs ascii_glyphs = {"|-", "`-", "|=", "`=", "| ", "  ", "~ ", ", ",
                                    "-",  "*",  "+",  "x",  "R",  "W",  "~",  "?"};

typedef struct {
    text_buffer *out;
    const tree_text_input *input;
    const tree_text_options *options;
    const glyphs *glyphs;
    int64_t *first;    /* [nodes + 1] index of a node's first child in `children` */
    int64_t *children; /* in the order of drawing */
    uint8_t *marks;    /* [nodes] CHOSEN, REJECTED */
    bool *last;        /* [levels] whether the branch at that level is its parent's last */
    bool judged;       /* some node has a confidence */
    int visits_width;  /* columns of N */
    int text_width;    /* columns to the left of the numbers */
    bool seen[7];      /* marks used, which the legend explains */
} drawing;

static const store_node *node_at(const drawing *d, int64_t i) {
    return &d->input->nodes->at[i];
}

static bool is_committed(const store_node *n) {
    return n->flags & STORE_NODE_COMMITTED && n->index > 0;
}

/* ---- colours ---- */

static void colour(drawing *d, const char *code) {
    if (d->options->display.colour) text_printf(d->out, "\x1b[%sm", code);
}

/* From red over yellow to green; Q is in [-1, 2] with the usual rewards (docs/method.md 2.4). */
static const char *colour_of(const store_node *n) {
    if (n->visits == 0) return "90";
    if (n->q < -0.5) return "31";
    if (n->q < -0.1) return "91";
    if (n->q <= 0.1) return "33";
    return n->q <= 0.5 ? "92" : "32";
}

/* ---- the order of siblings ---- */

static int compare(const void *a, const void *b, void *context) {
    const drawing *d = context;
    const store_node *x = node_at(d, *(const int64_t *)a), *y = node_at(d, *(const int64_t *)b);
    if (is_committed(x) != is_committed(y)) return is_committed(x) ? 1 : -1;
    if (x->visits != y->visits) return x->visits > y->visits ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static esp_status check_tree(const drawing *d, esp_error *error) {
    const store_nodes *nodes = d->input->nodes;
    for (int64_t i = 0; i < nodes->count; i++) {
        const store_node *n = node_at(d, i);
        bool fine = n->index == i && (i == 0 ? n->parent == -1 : n->parent >= 0 && n->parent < i);
        if (!fine)
            return error_fail(error, "the run's database is damaged: search the problem again",
                              "tree %lld: node %lld (row %lld) has the parent %lld",
                              (long long)d->input->tree->tree, (long long)n->index, (long long)i,
                              (long long)n->parent);
    }
    if (nodes->count == 0)
        return error_fail(error, "the run's database is damaged: search the problem again",
                          "tree %lld has no nodes", (long long)d->input->tree->tree);
    return ESP_OK;
}

static void order_children(drawing *d) {
    int64_t n = d->input->nodes->count, sum = 0;
    for (int64_t i = 1; i < n; i++) d->first[node_at(d, i)->parent]++;
    for (int64_t i = 0; i <= n; i++) {
        int64_t own = i < n ? d->first[i] : 0;
        d->first[i] = sum;
        sum += own;
    }
    int64_t *at = MEM_ARRAY(int64_t, n);
    memcpy(at, d->first, sizeof *at * (size_t)n);
    for (int64_t i = 1; i < n; i++) d->children[at[node_at(d, i)->parent]++] = i;
    mem_free(at);
    for (int64_t i = 0; i < n; i++)
        qsort_r(d->children + d->first[i], (size_t)(d->first[i + 1] - d->first[i]), sizeof *d->children,
                compare, d);
}

static void mark_pairs(drawing *d) {
    const store_pairs *pairs = d->input->pairs;
    for (int64_t i = 0; pairs && i < pairs->count; i++) {
        int64_t w = pairs->at[i].chosen, l = pairs->at[i].rejected, n = d->input->nodes->count;
        if (w > 0 && w < n) d->marks[w] |= CHOSEN;
        if (l > 0 && l < n) d->marks[l] |= REJECTED;
    }
}

/* ---- one line ---- */

static int put_mark(drawing *d, int which, const char *glyph) {
    text_puts(d->out, glyph);
    d->seen[which] = true;
    return 1;
}

/* Appends the marks of a node; returns their columns. */
static int put_marks(drawing *d, const store_node *n) {
    const glyphs *g = d->glyphs;
    int columns = 0;
    if (is_committed(n)) columns += put_mark(d, 0, g->committed);
    if (d->marks[n->index] & CHOSEN) columns += put_mark(d, 1, g->chosen);
    if (d->marks[n->index] & REJECTED) columns += put_mark(d, 2, g->rejected);
    if (n->flags & STORE_NODE_UNKNOWN) {
        columns += put_mark(d, 6, g->unknown);
    } else if (n->flags & STORE_NODE_FINISHED) {
        bool right = n->outcome > 0;
        columns += put_mark(d, right ? 3 : 4, right ? g->right : g->wrong);
    } else if (n->flags & STORE_NODE_CUT) {
        columns += put_mark(d, 5, g->cut);
    }
    return columns;
}

/* Appends the bars of levels 1 to `level`, without the leftmost if they would be wider than a third of the
 * line; returns their columns. */
static int put_bars(drawing *d, int64_t level) {
    int64_t room = d->options->display.width / 6, from = level > room ? level - room + 1 : 1;
    int columns = 0;
    colour(d, "90");
    if (from > 1) text_puts(d->out, d->glyphs->more), columns += 2;
    for (int64_t i = from; i <= level; i++, columns += 2)
        text_puts(d->out, d->last[i] ? d->glyphs->gap : d->glyphs->bar);
    colour(d, "0");
    return columns;
}

static void pad(drawing *d, int columns) {
    if (columns > 0) text_printf(d->out, "%*s", columns, "");
}

static void put_number(drawing *d, double value, const char *format, int width) {
    char text[32] = "-";
    if (isfinite(value)) snprintf(text, sizeof text, format, value);
    text_printf(d->out, "%*s", width, text);
}

/* Appends N, Q, C at the right end of the line. */
static void put_numbers(drawing *d, const store_node *n) {
    colour(d, colour_of(n));
    text_printf(d->out, " %*lld", d->visits_width, (long long)n->visits);
    put_number(d, n->visits > 0 ? n->q : (double)NAN, "%+.2f", 7);
    bool judged = n->flags & STORE_NODE_JUDGED;
    if (d->judged) put_number(d, judged ? n->confidence : (double)NAN, "%.2f", 6);
    colour(d, "0");
}

/* Whole on the committed path and in pairs; elsewhere one line. */
static int lines_of(const drawing *d, const store_node *n) {
    if (d->options->all) return 1 << 20;
    return is_committed(n) || d->marks[n->index] ? MOST_LINES : 1;
}

static void put_text_colour(drawing *d, const store_node *n) {
    if (is_committed(n)) colour(d, "1");
    if (n->visits == 0 && n->index > 0) colour(d, "90");
}

/* Appends the text of a node from column `at`, with the numbers after its first line. */
static void put_text(drawing *d, const store_node *n, const char *text, int at, int64_t level, bool open) {
    int lines = lines_of(d, n), room = d->text_width - at;
    if (room < 8) room = 8;
    for (int line = 0; line == 0 || *text; line++) {
        size_t skip = 0, bytes = 0;
        text_buffer one = {0};
        if (line == lines - 1) {
            display_cut(&one, d->options->display.unicode, text, room);
            bytes = strlen(text);
        } else {
            bytes = display_wrap(text, room, &skip);
            text_append(&one, text, bytes);
        }
        if (line > 0) {
            int bars = put_bars(d, level);
            colour(d, "90");
            text_puts(d->out, open ? d->glyphs->bar : d->glyphs->gap);
            colour(d, "0");
            pad(d, at - bars - 2);
        }
        put_text_colour(d, n);
        text_puts(d->out, one.at ? one.at : "");
        colour(d, "0");
        if (line == 0) {
            pad(d, room - display_columns(one.at ? one.at : ""));
            put_numbers(d, n);
        }
        text_puts(d->out, "\n");
        text_free(&one);
        text += bytes + skip;
    }
}

/* open: whether its children are shown. */
static void put_node(drawing *d, int64_t index, int64_t level, bool open) {
    const store_node *n = node_at(d, index);
    const glyphs *g = d->glyphs;
    int at = 0;
    if (level > 0) {
        bool path = is_committed(n), last = d->last[level];
        at = put_bars(d, level - 1) + 2;
        colour(d, path ? "1" : "90");
        text_puts(d->out, path ? (last ? g->path_last : g->path_branch) : last ? g->last : g->branch);
        colour(d, "0");
        colour(d, colour_of(n));
        at += put_marks(d, n) + 1;
        colour(d, "0");
        text_puts(d->out, " ");
    }
    text_buffer text = {0};
    if (index == 0)
        text_puts(&text, "the problem");
    else if (n->text)
        display_clean(&text, d->options->display.unicode, n->text, strlen(n->text));
    if (index > 0 && text.length == 0) text_puts(&text, d->options->display.unicode ? "∅" : "(empty)");
    put_text(d, n, text.at, at, level, open);
    text_free(&text);
}

/* Appends a line for steps that are left out. */
static void put_rest(drawing *d, int64_t level, bool last, int64_t count, const char *what) {
    put_bars(d, level - 1);
    colour(d, "90");
    text_printf(d->out, "%s %s%lld %s\n", last ? d->glyphs->last : d->glyphs->branch,
                d->options->display.unicode ? "… " : "", (long long)count, what);
    colour(d, "0");
}

/* ---- the whole ---- */

/* The number of a node's children that are shown. Unvisited children come after the visited ones and before
 * the committed one; all but the first of them are left out. The hidden ones are [*hidden_from, *hidden_to)
 * of `children`. */
static void shown_children(const drawing *d, int64_t node, int64_t *hidden_from, int64_t *hidden_to) {
    int64_t begin = d->first[node], end = d->first[node + 1];
    *hidden_from = *hidden_to = end;
    if (d->options->all) return;
    int64_t from = begin, to;
    while (from < end &&
           (node_at(d, d->children[from])->visits > 0 || is_committed(node_at(d, d->children[from]))))
        from++;
    for (to = from; to < end && node_at(d, d->children[to])->visits == 0; to++) {
        int64_t child = d->children[to];
        if (is_committed(node_at(d, child)) || d->marks[child]) break;
    }
    if (to - from <= 2) return; /* hiding two would save only one line */
    *hidden_from = from + 1;
    *hidden_to = to;
}

typedef struct {
    int64_t node, next, hidden_from, hidden_to; /* next: index in `children` */
} frame;

static int64_t descendants(const drawing *d, int64_t node) {
    /* children have larger numbers than their parents */
    int64_t n = d->input->nodes->count, count = 0;
    uint8_t *below = mem_alloc((size_t)n);
    below[node] = 1;
    for (int64_t i = node + 1; i < n; i++) {
        below[i] = below[node_at(d, i)->parent];
        count += below[i];
    }
    mem_free(below);
    return count;
}

static void enter(drawing *d, frame *f, int64_t node, int64_t level) {
    *f = (frame){.node = node, .next = d->first[node]};
    shown_children(d, node, &f->hidden_from, &f->hidden_to);
    int64_t children = d->first[node + 1] - d->first[node];
    put_node(d, node, level, children > 0);
    if (d->options->depth == 0 || level < d->options->depth || children == 0) return;
    int64_t count = descendants(d, node);
    put_rest(d, level + 1, true, count, count == 1 ? "step below" : "steps below");
    f->next = d->first[node + 1];
}

static void draw_tree(drawing *d) {
    frame *stack = MEM_ARRAY(frame, d->input->nodes->count + 1);
    int64_t level = 0;
    enter(d, &stack[0], 0, 0);
    while (level >= 0) {
        frame *f = &stack[level];
        int64_t end = d->first[f->node + 1];
        if (f->next == f->hidden_from && f->hidden_to > f->hidden_from) {
            int64_t count = f->hidden_to - f->hidden_from;
            f->next = f->hidden_to;
            d->last[level + 1] = f->next >= end;
            put_rest(d, level + 1, d->last[level + 1], count, "more, not visited");
            continue;
        }
        if (f->next >= end) {
            level--;
            continue;
        }
        int64_t child = d->children[f->next++];
        level++;
        d->last[level] = f->next >= end;
        enter(d, &stack[level], child, level);
    }
    mem_free(stack);
}

/* Appends wrapped text in the heading, at most `lines` lines. */
static void put_paragraph(drawing *d, const char *label, const char *text, int lines) {
    text_buffer clean = {0};
    int width = d->options->display.width;
    display_clean(&clean, d->options->display.unicode, label, strlen(label));
    if (clean.length) text_puts(&clean, " ");
    display_clean(&clean, d->options->display.unicode, text, strlen(text));
    const char *at = clean.at;
    for (int line = 1; *at; line++) {
        size_t skip = 0, bytes;
        if (line == lines && !d->options->all) {
            display_cut(d->out, d->options->display.unicode, at, width);
            text_puts(d->out, "\n");
            break;
        }
        bytes = display_wrap(at, width, &skip);
        text_append(d->out, at, bytes);
        text_puts(d->out, "\n");
        at += bytes + skip;
    }
    text_free(&clean);
}

static void put_head(drawing *d) {
    const store_tree *t = d->input->tree;
    const store_problem *p = d->input->problem;
    const store_node *end =
        t->final_node >= 0 && t->final_node < d->input->nodes->count ? node_at(d, t->final_node) : NULL;
    int64_t pairs = d->input->pairs ? d->input->pairs->count : 0;
    const char *outcome = !end || !(end->flags & (STORE_NODE_FINISHED | STORE_NODE_CUT)) ? "unfinished"
                          : end->flags & STORE_NODE_CUT                                  ? "cut unfinished"
                          : end->flags & STORE_NODE_UNKNOWN                              ? "not judged"
                          : end->outcome > 0                                             ? "correct"
                                                                                         : "incorrect";
    text_buffer line = {0};
    text_printf(&line, "problem %lld%s%s, iteration %lld: the committed path is %s%s", (long long)t->problem,
                p && p->name ? " " : "", p && p->name ? p->name : "", (long long)t->iteration, outcome,
                d->glyphs->dot);
    text_printf(&line, "%lld nodes%s%lld simulations%s%lld pair%s", (long long)d->input->nodes->count,
                d->glyphs->dot, (long long)t->simulations, d->glyphs->dot, (long long)pairs,
                pairs == 1 ? "" : "s");
    colour(d, "1");
    put_paragraph(d, "", line.at, QUESTION_LINES);
    colour(d, "0");
    text_free(&line);
    if (p) put_paragraph(d, "", p->question, QUESTION_LINES);
    if (p && p->answer) put_paragraph(d, "gold answer:", p->answer, 2);
    text_puts(d->out, "\n");
    pad(d, d->text_width);
    colour(d, "90");
    text_printf(d->out, " %*s%7s", d->visits_width, "N", "Q");
    if (d->judged) text_printf(d->out, "%6s", "C");
    colour(d, "0");
    text_puts(d->out, "\n");
}

static void put_legend(drawing *d) {
    const glyphs *g = d->glyphs;
    const char *glyph[] = {g->committed, g->chosen, g->rejected, g->right, g->wrong, g->cut, g->unknown};
    static const char *const words[] = {"committed", "chosen",         "rejected",  "correct",
                                        "incorrect", "cut unfinished", "not judged"};
    text_buffer line = {0};
    for (int i = 0; i < 7; i++)
        if (d->seen[i]) text_printf(&line, "%s%s %s", line.length ? g->dot : "", glyph[i], words[i]);
    if (line.length) text_puts(&line, g->dot);
    text_printf(&line, "N visits%sQ value", g->dot);
    if (d->judged) text_printf(&line, "%sC self-evaluation", g->dot);
    text_puts(d->out, "\n");
    colour(d, "90");
    put_paragraph(d, "", line.at, QUESTION_LINES);
    colour(d, "0");
    text_free(&line);
}

static void measure(drawing *d) {
    int64_t most = 0;
    for (int64_t i = 0; i < d->input->nodes->count; i++) {
        const store_node *n = node_at(d, i);
        if (n->visits > most) most = n->visits;
        d->judged = d->judged || (n->flags & STORE_NODE_JUDGED);
    }
    d->visits_width = snprintf(NULL, 0, "%lld", (long long)most);
    if (d->visits_width < 3) d->visits_width = 3;
    d->text_width = d->options->display.width - (1 + d->visits_width + 7 + (d->judged ? 6 : 0));
    if (d->text_width < 12) d->text_width = 12;
}

esp_status tree_text(text_buffer *out, const tree_text_input *input, const tree_text_options *options,
                     esp_error *error) {
    int64_t n = input->nodes->count;
    drawing d = {.out = out,
                 .input = input,
                 .options = options,
                 .glyphs = options->display.unicode ? &unicode_glyphs : &ascii_glyphs};
    ESP_TRY(check_tree(&d, error));
    d.first = MEM_ARRAY(int64_t, n + 1);
    d.children = MEM_ARRAY(int64_t, n);
    d.marks = MEM_ARRAY(uint8_t, n);
    d.last = MEM_ARRAY(bool, n + 2);
    order_children(&d);
    mark_pairs(&d);
    measure(&d);
    put_head(&d);
    draw_tree(&d);
    put_legend(&d);
    mem_free(d.first);
    mem_free(d.children);
    mem_free(d.marks);
    mem_free(d.last);
    return ESP_OK;
}
