#include "app/compare.h"

#include "view/display.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- a table ---- */

enum { MOST_COLUMNS = 16 };
typedef struct {
    int columns;
    MEM_LIST(char *) cells; /* row by row, the heading first */
} table;

static void put_cell(table *t, char *made) {
    MEM_LIST_PUSH(&t->cells, made);
}

static table table_of(const char *const *heading, int columns) {
    table t = {.columns = columns};
    for (int i = 0; i < columns; i++) put_cell(&t, mem_strdup(heading[i]));
    return t;
}

static void put_row(const table *t, int64_t row, const int *width, text_buffer *out) {
    for (int k = 0; k < t->columns; k++) {
        const char *cell = t->cells.at[row * t->columns + k];
        text_printf(out, "%s%s%*s", k > 0 ? " | " : "| ", cell, width[k] - display_columns(cell), "");
    }
    text_puts(out, " |\n");
}

/* Writes the table and frees it. */
static void put_table(table *t, text_buffer *out) {
    int width[MOST_COLUMNS] = {0};
    for (int64_t i = 0; i < t->cells.count; i++) {
        int n = display_columns(t->cells.at[i]);
        if (n > width[i % t->columns]) width[i % t->columns] = n;
    }
    for (int64_t row = 0; row * t->columns < t->cells.count; row++) {
        put_row(t, row, width, out);
        for (int k = 0; row == 0 && k < t->columns; k++) {
            text_puts(out, k > 0 ? "-|" : "|");
            for (int i = 0; i < width[k] + 1; i++) text_puts(out, "-");
        }
        if (row == 0) text_puts(out, "-|\n");
    }
    for (int64_t i = 0; i < t->cells.count; i++) mem_free(t->cells.at[i]);
    MEM_LIST_FREE(&t->cells);
}

/* ---- cells ---- */

static char *clean(const char *text) {
    text_buffer out = {0};
    display_clean(&out, true, text, strlen(text));
    return out.at ? out.at : mem_strdup("");
}

static char *percent_cell(metrics_estimate e) {
    if (e.n == 0) return mem_strdup("");
    if (isnan(e.interval.low)) return mem_printf("%.1f", 100 * e.mean);
    return mem_printf("%.1f [%.1f, %.1f]", 100 * e.mean, 100 * e.interval.low, 100 * e.interval.high);
}

static char *points_cell(double mean, metrics_interval i) {
    if (isnan(mean)) return mem_strdup("");
    if (isnan(i.low)) return mem_printf("%+.1f", 100 * mean);
    return mem_printf("%+.1f [%+.1f, %+.1f]", 100 * mean, 100 * i.low, 100 * i.high);
}

static char *count_cell(double n) {
    text_buffer out = {0};
    if (isnan(n)) return mem_strdup("");
    display_count(&out, llround(n));
    return out.at;
}

static char *each_cell(const comparison_method *m) {
    text_buffer out = {0};
    for (int64_t i = 0; i < m->count; i++)
        text_printf(&out, "%s%.1f", i > 0 ? ", " : "", 100 * m->runs[i].accuracy);
    return out.at;
}

static char *mcnemar_cell(const comparison_method *m) {
    text_buffer out = {0};
    text_puts(&out, "");
    for (int64_t i = 0; i < m->pairs.count; i++) {
        double p = m->pairs.at[i].of.p;
        text_printf(&out, p < 0.001 ? "%s<0.001" : "%s%.3f", i > 0 ? ", " : "", p);
    }
    return out.at;
}

/* "12,345", or "12,345 (2 of 3)" where not all runs reach it. */
static char *reached_cell(const comparison_method *m) {
    if (m->reached.n == 0) return mem_strdup("not reached");
    char *count = count_cell(m->reached.mean);
    if (m->reached.n == m->count) return count;
    char *some = mem_printf("%s (%lld of %lld)", count, (long long)m->reached.n, (long long)m->count);
    mem_free(count);
    return some;
}

/* ---- the tables ---- */

static void put_results(const comparison *c, text_buffer *out) {
    static const char *const heading[] = {"method", "seeds", "accuracy, % [95%]", "each seed",
                                          "mean of the curve, %"};
    table t = table_of(heading, 5);
    for (int64_t i = 0; i < c->count; i++) {
        const comparison_method *m = &c->methods[i];
        put_cell(&t, clean(m->label));
        put_cell(&t, mem_printf("%lld", (long long)m->count));
        put_cell(&t, percent_cell(m->accuracy));
        put_cell(&t, each_cell(m));
        put_cell(&t, percent_cell(m->mean));
    }
    put_table(&t, out);
}

static void put_costs(const comparison *c, text_buffer *out) {
    bool target = !isnan(c->target);
    char *to = mem_printf("tokens to %.1f%%", 100 * c->target);
    const char *const heading[] = {"method", "tokens spent", "trees", "updates", to};
    table t = table_of(heading, target ? 5 : 4);
    for (int64_t i = 0; i < c->count; i++) {
        const comparison_method *m = &c->methods[i];
        put_cell(&t, clean(m->label));
        put_cell(&t, count_cell(m->tokens.mean));
        put_cell(&t, count_cell(m->trees.mean));
        put_cell(&t, count_cell(m->updates.mean));
        if (target) put_cell(&t, reached_cell(m));
    }
    text_puts(out, "\n");
    put_table(&t, out);
    mem_free(to);
}

/* The runs' points of one iteration: mean accuracy, and mean tokens until then. Nothing where no run was
 * evaluated there. */
static char *point_cell(const comparison_method *m, int64_t iteration) {
    double accuracy = 0, tokens = 0, n = 0;
    for (int64_t i = 0; i < m->count; i++)
        for (int64_t k = 0; k < m->runs[i].points; k++) {
            const comparison_point *p = &m->runs[i].curve[k];
            if (p->iteration == iteration) accuracy += p->accuracy, tokens += p->tokens, n++;
        }
    if (n == 0) return mem_strdup("");
    char *count = count_cell(tokens / n), *cell = mem_printf("%.1f (%s)", 100 * accuracy / n, count);
    mem_free(count);
    return cell;
}

static int64_t last_iteration(const comparison *c) {
    int64_t last = 0;
    for (int64_t i = 0; i < c->count; i++)
        for (int64_t k = 0; k < c->methods[i].count; k++) {
            const comparison_run *r = &c->methods[i].runs[k];
            if (r->curve[r->points - 1].iteration > last) last = r->curve[r->points - 1].iteration;
        }
    return last;
}

/* A row per iteration that was evaluated, a column per method; as many tables as the columns need. */
static void put_curves(const comparison *c, text_buffer *out) {
    enum { METHODS = 5 };
    for (int64_t first = 0; first < c->count; first += METHODS) {
        int n = (int)(c->count - first < METHODS ? c->count - first : METHODS);
        table t = {.columns = n + 1};
        put_cell(&t, mem_strdup("iteration: % (tokens)"));
        for (int k = 0; k < n; k++) put_cell(&t, clean(c->methods[first + k].label));
        for (int64_t i = 0, last = last_iteration(c); i <= last; i++) {
            bool any = false;
            char *cells[METHODS];
            for (int k = 0; k < n; k++) any = *(cells[k] = point_cell(&c->methods[first + k], i)) || any;
            if (any) put_cell(&t, mem_printf("%lld", (long long)i));
            for (int k = 0; k < n; k++)
                if (any)
                    put_cell(&t, cells[k]);
                else
                    mem_free(cells[k]);
        }
        text_puts(out, "\n");
        put_table(&t, out);
    }
}

static void put_differences(const comparison *c, text_buffer *out) {
    const comparison_method *base = &c->methods[c->baseline];
    char *name = clean(base->label), *first = mem_printf("less %s", name);
    const char *const heading[] = {first,      "pairs", "over seeds", "over problems", "mean of the curve",
                                   "McNemar p"};
    table t = table_of(heading, 6);
    for (int64_t i = 0; i < c->count; i++) {
        const comparison_method *m = &c->methods[i];
        if (i == c->baseline) continue;
        put_cell(&t, clean(m->label));
        put_cell(&t, mem_printf("%lld", (long long)m->pairs.count));
        put_cell(&t, points_cell(m->difference.mean, m->difference.interval));
        put_cell(&t, points_cell(m->over_problems.difference, m->over_problems.interval));
        put_cell(&t, points_cell(m->mean_difference.mean, m->mean_difference.interval));
        put_cell(&t, mcnemar_cell(m));
    }
    text_puts(out, "\n");
    put_table(&t, out);
    mem_free(first);
    mem_free(name);
}

static void put_lines(const char *lines, const char *before, text_buffer *out) {
    text_buffer shown = {0};
    display_clean_lines(&shown, true, lines, strlen(lines));
    for (const char *at = shown.at; at && *at;) {
        size_t n = strcspn(at, "\n");
        if (n > 0) text_printf(out, "%s%.*s\n", before, (int)n, at);
        at += n + (at[n] == '\n');
    }
    text_free(&shown);
}

static void put_changes(const comparison *c, text_buffer *out) {
    char *base = clean(c->methods[c->baseline].label);
    text_printf(out, "\nrecipes: what differs from %s\n", base);
    for (int64_t i = 0; i < c->count; i++) {
        const comparison_method *m = &c->methods[i];
        if (i == c->baseline) continue;
        char *label = clean(m->label);
        text_printf(out, "  %s%s\n", label, m->changes.length > 0 ? "" : ": nothing");
        if (m->changes.length > 0) put_lines(m->changes.at, "    ", out);
        mem_free(label);
    }
    mem_free(base);
}

void compare_text(const comparison *c, bool by_iteration, text_buffer *out) {
    put_results(c, out);
    put_costs(c, out);
    if (by_iteration) put_curves(c, out);
    if (c->count > 1) {
        put_differences(c, out);
        put_changes(c, out);
    }
    if (c->warnings.length > 0) {
        text_puts(out, "\n");
        put_lines(c->warnings.at, "warning: ", out);
    }
}
