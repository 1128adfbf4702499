#include "view/theory_view.h"

#include "view/display.h"

#include <math.h>
#include <stdio.h>

static const char *const relations[] = {
    [THEORY_EQUAL] = "=", [THEORY_AT_LEAST] = ">=", [THEORY_AT_MOST] = "<="};

int64_t theory_count_differing(const theory_table *tables, int count, int64_t *values) {
    int64_t differ = 0;
    *values = 0;
    for (int i = 0; i < count; i++) {
        *values += tables[i].values.count;
        for (int64_t j = 0; j < tables[i].values.count; j++) differ += !theory_holds(&tables[i].values.at[j]);
    }
    return differ;
}

/* ---- text ---- */

static void put_paragraph(const char *text, int width, text_buffer *out) {
    while (*text) {
        size_t skip, n = display_wrap(text, width, &skip);
        text_puts(out, "  ");
        text_append(out, text, n);
        text_puts(out, "\n");
        text += n + skip;
    }
}

/* The widest "quantity" and "at". */
static void measure(const theory_table *t, int *quantity, int *at) {
    *quantity = *at = 0;
    for (int64_t i = 0; i < t->values.count; i++) {
        int q = display_columns(t->values.at[i].quantity), a = display_columns(t->values.at[i].at);
        if (q > *quantity) *quantity = q;
        if (a > *at) *at = a;
    }
}

/* A number that rounds to 0 has no sign. */
static double shown(double x) {
    return fabs(x) < 5e-7 ? 0 : x;
}

static void put_value(const theory_value *v, int quantity, int at, text_buffer *out) {
    double difference = v->computed - v->prediction;
    text_printf(out, "  %-*s  %-*s  %11.6f  %11.6f", quantity, v->quantity, at, v->at, shown(v->prediction),
                shown(v->computed));
    text_printf(out, difference == 0 ? "  %10.0f" : "  %+10.1e", difference);
    if (v->relation == THEORY_EQUAL)
        text_printf(out, v->allowed ? "  within %.0e" : "  exactly", v->allowed);
    else
        text_puts(out, v->relation == THEORY_AT_LEAST ? "  at least" : "  at most");
    text_puts(out, theory_holds(v) ? "\n" : "  DIFFERS\n");
}

void theory_text(const theory_table *table, int width, text_buffer *out) {
    int quantity, at;
    measure(table, &quantity, &at);
    text_printf(out, "%s  %s\n", table->name, table->title);
    put_paragraph(table->about, width - 2, out);
    text_printf(out, "  %-*s  %-*s  %11s  %11s  %10s  %s\n", quantity, "", at, "", "prediction", "computed",
                "difference", "must be");
    for (int64_t i = 0; i < table->values.count; i++) put_value(&table->values.at[i], quantity, at, out);
}

/* ---- document ---- */

static void put_values(const theory_table *t, document *d) {
    document_key(d, "values");
    document_begin(d, '[');
    for (int64_t i = 0; i < t->values.count; i++) {
        const theory_value *v = &t->values.at[i];
        document_begin(d, '{');
        document_put_text(d, "quantity", v->quantity);
        document_put_text(d, "at", v->at);
        document_put_number(d, "prediction", v->prediction);
        document_put_number(d, "computed", v->computed);
        document_put_number(d, "difference", v->computed - v->prediction);
        document_put_text(d, "relation", relations[v->relation]);
        document_put_number(d, "allowed", v->allowed);
        document_put_bool(d, "holds", theory_holds(v));
        document_end(d, '}');
    }
    document_end(d, ']');
}

static void put_line(const theory_line *line, document *d) {
    document_begin(d, '{');
    document_put_text(d, "name", line->name);
    document_put_bool(d, "plain", line->plain);
    document_key(d, "points");
    document_begin(d, '[');
    for (int64_t i = 0; i < line->points.count; i++) {
        document_begin(d, '[');
        document_number(d, line->points.at[i].x);
        document_number(d, line->points.at[i].y);
        document_end(d, ']');
    }
    document_end(d, ']');
    document_end(d, '}');
}

static void put_figures(const theory_table *t, document *d) {
    document_key(d, "figures");
    document_begin(d, '[');
    for (int64_t i = 0; i < t->figures.count; i++) {
        const theory_figure *f = &t->figures.at[i];
        document_begin(d, '{');
        document_put_text(d, "title", f->title);
        document_put_text(d, "caption", f->caption);
        document_put_text(d, "x", f->x);
        document_put_text(d, "y", f->y);
        document_put_bool(d, "log_x", f->log_x);
        document_key(d, "lines");
        document_begin(d, '[');
        for (int64_t j = 0; j < f->lines.count; j++) put_line(&f->lines.at[j], d);
        document_end(d, ']');
        document_end(d, '}');
    }
    document_end(d, ']');
}

void theory_document(const theory_table *tables, int count, int64_t seed, document *out) {
    int64_t values, differ = theory_count_differing(tables, count, &values);
    document_begin(out, '{');
    document_put_text(out, "page", "theory");
    document_put_text(out, "name", "The theory");
    document_put_text(out, "espalier", esp_version());
    document_put_integer(out, "seed", seed);
    document_put_integer(out, "values", values);
    document_put_integer(out, "differ", differ);
    document_key(out, "tables");
    document_begin(out, '[');
    for (int i = 0; i < count; i++) {
        document_begin(out, '{');
        document_put_text(out, "name", tables[i].name);
        document_put_text(out, "title", tables[i].title);
        document_put_text(out, "about", tables[i].about);
        put_values(&tables[i], out);
        put_figures(&tables[i], out);
        document_end(out, '}');
    }
    document_end(out, ']');
    document_end(out, '}');
}
