#include "view/curves_view.h"

#include "view/display.h"

#include <math.h>

static const char *const kinds[CURVE_KINDS] = {[CURVE_CHECKPOINTS] = "checkpoints",
                                               [CURVE_MAJORITY] = "majority",
                                               [CURVE_SEARCH] = "search",
                                               [CURVE_VOTE] = "vote",
                                               [CURVE_CUMULATIVE] = "cumulative",
                                               [CURVE_PASS] = "pass",
                                               [CURVE_ANY] = "any"};

/* ---- text ---- */

static void put_count(text_buffer *out, double n) {
    text_buffer words = {0};
    display_count(&words, llround(n));
    text_printf(out, "  %13s", words.at);
    text_free(&words);
}

static void put_point(const curve *c, const curve_point *p, int width, int64_t problems, text_buffer *out) {
    text_printf(out, "  %-*s  %10lld  %5lld", width, c->name, (long long)p->iteration, (long long)p->k);
    put_count(out, curve_tokens(p, (double)problems));
    put_count(out, p->training);
    text_printf(out, "  %5.1f%% [%.1f, %.1f]\n", 100 * p->share, 100 * p->interval.low,
                100 * p->interval.high);
}

static int widest_name(const curve_set *set) {
    int width = 12;
    for (int64_t i = 0; i < set->curves.count; i++) {
        int columns = display_columns(set->curves.at[i].name);
        if (columns > width) width = columns;
    }
    return width;
}

void curves_text(const curves_of_run *run, int64_t problems, text_buffer *out) {
    const curve_set *set = &run->set;
    int width = widest_name(set);
    text_puts(out, run->label);
    if (run->runs > 1) text_printf(out, " (mean of %d runs)", run->runs);
    if (set->curves.count == 0) {
        text_puts(out, ": no evaluation with answers\n");
        return;
    }
    text_printf(out, ": accuracy on %lld problems, tokens for %lld\n", (long long)set->problems,
                (long long)problems);
    if (set->left_out)
        text_printf(out, "  left out: %lld evaluations of other problems\n", (long long)set->left_out);
    text_printf(out, "  %-*s  %10s  %5s  %13s  %13s  %6s\n", width, "answers by", "checkpoint", "k",
                "tokens in all", "training", "solved");
    for (int64_t i = 0; i < set->curves.count; i++)
        for (int64_t j = 0; j < set->curves.at[i].points.count; j++)
            put_point(&set->curves.at[i], &set->curves.at[i].points.at[j], width, problems, out);
}

/* ---- document ---- */

static void document_point(const curve_point *p, int64_t problems, document *d) {
    document_begin(d, '{');
    document_put_integer(d, "iteration", p->iteration);
    document_put_integer(d, "k", p->k);
    document_put_number(d, "training", p->training);
    document_put_number(d, "answering", p->answering);
    document_put_number(d, "tokens", curve_tokens(p, (double)problems));
    document_put_number(d, "share", p->share);
    document_put_number(d, "low", p->interval.low);
    document_put_number(d, "high", p->interval.high);
    document_end(d, '}');
}

void curves_document(const curves_of_run *run, int64_t problems, document *out) {
    document_begin(out, '{');
    document_put_text(out, "label", run->label);
    document_put_integer(out, "runs", run->runs);
    document_put_integer(out, "problems", run->set.problems);
    document_put_integer(out, "asked", problems);
    document_put_integer(out, "left_out", run->set.left_out);
    document_key(out, "curves");
    document_begin(out, '[');
    for (int64_t i = 0; i < run->set.curves.count; i++) {
        const curve *c = &run->set.curves.at[i];
        document_begin(out, '{');
        document_put_text(out, "kind", kinds[c->kind]);
        document_put_text(out, "name", c->name);
        document_put_bool(out, "pass", curve_is_pass(c->kind));
        document_key(out, "iteration");
        if (c->iteration >= 0)
            document_integer(out, c->iteration);
        else
            document_null(out);
        document_key(out, "points");
        document_begin(out, '[');
        for (int64_t j = 0; j < c->points.count; j++) document_point(&c->points.at[j], problems, out);
        document_end(out, ']');
        document_end(out, '}');
    }
    document_end(out, ']');
    document_end(out, '}');
}

void curves_page(const curves_of_run *runs, int count, int64_t problems, document *out) {
    document_begin(out, '{');
    document_put_text(out, "page", "curves");
    document_put_text(out, "name", "Accuracy against compute");
    document_put_text(out, "espalier", esp_version());
    document_key(out, "runs");
    document_begin(out, '[');
    for (int i = 0; i < count; i++) curves_document(&runs[i], problems, out);
    document_end(out, ']');
    document_end(out, '}');
}
