#include "app/summary.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const summary_input *in;
    const display *display;
    text_buffer *out;
} writer;

/* ---- words ---- */

static void put_percent(text_buffer *out, double share) {
    text_printf(out, "%.1f%%", 100 * share);
}

static void put_interval(text_buffer *out, metrics_interval i) {
    text_printf(out, "[%.1f, %.1f]", 100 * i.low, 100 * i.high);
}

/* In percentage points; -0.0 becomes 0. */
static double points(double share) {
    double p = round(1000 * share) / 10;
    return p == 0 ? 0 : p;
}

static void put_p(text_buffer *out, double p) {
    if (p < 0.001)
        text_puts(out, "p < 0.001");
    else
        text_printf(out, "p = %.*f", p < 0.1 ? 3 : 2, p);
}

/* When an evaluation was made: "Before", "After the warm-up", "After 10 iterations". */
static void put_when(const writer *w, const run_result_score *s) {
    if (s->iteration == 0)
        text_puts(w->out, w->in->recipe->sft.epochs > 0 ? "After the warm-up" : "Before");
    else
        text_printf(w->out, "After %lld iteration%s", (long long)s->iteration, s->iteration == 1 ? "" : "s");
}

/* An untrusted path, quoted as one word of a shell command. */
static void put_word(const writer *w, const char *path) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-+:@%,";
    bool quote = !*path || path[strspn(path, plain)];
    if (quote) text_puts(w->out, "'");
    display_clean(w->out, w->display->unicode, path, strlen(path));
    if (quote) text_puts(w->out, "'");
}

/* ---- sentences ---- */

static void put_score(const writer *w, const run_result_score *s, bool with_count) {
    put_when(w, s);
    text_puts(w->out, ": ");
    put_percent(w->out, s->accuracy);
    if (with_count) {
        text_puts(w->out, " of ");
        display_count(w->out, s->problems);
        text_puts(w->out,
                  strcmp(w->in->result->set, "dev") == 0 ? " development problems" : " held-out problems");
    }
    text_puts(w->out, " ");
    put_interval(w->out, s->interval);
    if (strcmp(w->in->result->method, "greedy") != 0) text_printf(w->out, ", by %s", w->in->result->method);
    if (s->has_norm) {
        text_puts(w->out, "; with length normalization ");
        put_percent(w->out, s->norm);
        text_puts(w->out, " ");
        put_interval(w->out, s->norm_interval);
    }
    text_puts(w->out, ".\n");
}

static void put_gain(const writer *w) {
    const evaluation_difference *g = &w->in->result->gain;
    bool sure = g->interval.low > 0 || g->interval.high < 0;
    const char *colour = !sure ? "33" : g->difference > 0 ? "1;32" : "1;31";
    if (w->display->colour) text_printf(w->out, "\x1b[%sm", colour);
    text_printf(w->out, "%s: %+.1f points",
                !sure               ? "Change"
                : g->difference < 0 ? "Loss"
                                    : "Gain",
                points(g->difference));
    if (w->display->colour) text_puts(w->out, "\x1b[0m");
    text_printf(w->out, " [%.1f, %.1f], ", points(g->interval.low), points(g->interval.high));
    put_p(w->out, g->p);
    text_puts(w->out, ": ");
    display_count(w->out, g->only_a);
    text_puts(w->out, g->only_a == 1 ? " problem newly correct, " : " problems newly correct, ");
    display_count(w->out, g->only_b);
    text_puts(w->out, " no longer.\n");
    if (!sure) text_puts(w->out, "This may be chance: the interval contains zero.\n");
}

static const run_result_score *best_of(const run_result *o) {
    const run_result_score *best = &o->scores[0];
    for (int64_t i = 1; i < o->score_count; i++)
        if (o->scores[i].accuracy > best->accuracy) best = &o->scores[i];
    return best;
}

static void put_scores(const writer *w) {
    const run_result *o = w->in->result;
    if (o->score_count == 0) {
        if (w->in->evaluates)
            text_puts(w->out, "Nothing was evaluated: set data.test to a file of problems.\n");
        return;
    }
    put_score(w, &o->scores[0], true);
    if (o->score_count < 2) return;
    const run_result_score *last = &o->scores[o->score_count - 1], *best = best_of(o);
    put_score(w, last, last->problems != o->scores[0].problems);
    if (o->has_gain) put_gain(w);
    if (best->accuracy > last->accuracy && best != &o->scores[0]) {
        text_printf(w->out, "It was best after iteration %lld: ", (long long)best->iteration);
        put_percent(w->out, best->accuracy);
        text_puts(w->out, ".\n");
    }
}

static void put_counted(text_buffer *out, int64_t n, const char *one, const char *many, const char *after) {
    display_count(out, n);
    text_printf(out, " %s%s", n == 1 ? one : many, after);
}

static void put_totals(const writer *w) {
    const store_totals *t = &w->in->result->totals;
    text_puts(w->out, "\n");
    if (t->trees > 0) {
        put_counted(w->out, t->trees, "tree", "trees", ", ");
        put_counted(w->out, t->pairs, "pair", "pairs", ", ");
    }
    put_counted(w->out, t->updates, "update", "updates", " of the policy, in ");
    display_duration(w->out, w->in->seconds);
    text_puts(w->out, w->in->resumed ? " since it was resumed.\n" : ".\n");
    if (t->trees == 0) return;
    if (t->unknown > 0)
        put_counted(w->out, t->unknown, "solution", "solutions",
                    " of the search could not be judged (task.unknown says what they are worth).\n");
    text_puts(w->out, "Search: ");
    put_counted(w->out, t->tokens_sampled, "token", "tokens", " sampled, ");
    if (t->tokens_judged > 0)
        display_count(w->out, t->tokens_judged), text_puts(w->out, " read by the judge, ");
    display_count(w->out, t->tokens_computed);
    text_puts(w->out, " computed.\n");
}

/* The judge of each iteration in one line; the interval is the last one's. */
static void put_judge(const writer *w) {
    const run_result *o = w->in->result;
    if (o->judged_count == 0) return;
    const run_result_judge *last = &o->judged[o->judged_count - 1];
    text_printf(w->out, "Self-evaluation, AUC within problems (0.5 is chance) in iteration%s %lld",
                o->judged_count == 1 ? "" : "s", (long long)o->judged[0].iteration);
    if (o->judged_count > 1) text_printf(w->out, " to %lld", (long long)last->iteration);
    for (int64_t i = 0; i < o->judged_count; i++)
        text_printf(w->out, "%s %.2f%s", i ? "," : ":", o->judged[i].within.share,
                    o->judged[i].off ? " (off)" : "");
    text_printf(w->out, " [%.2f, %.2f]", last->within.interval.low, last->within.interval.high);
    if (last->siblings.comparisons > 0)
        text_printf(w->out, "; accuracy among siblings %.2f [%.2f, %.2f]", last->siblings.share,
                    last->siblings.interval.low, last->siblings.interval.high);
    text_puts(w->out, ".\n");
}

static void put_next(const writer *w, const char *before, const char *path, const char *after,
                     const char *why) {
    text_printf(w->out, "  %s", before);
    put_word(w, path);
    text_printf(w->out, "%s   # %s\n", after, why);
}

/* A run that keeps its optimizer goes on, by its own recipe: keys may have come from the command line.
 * Another one begins again. */
static void put_longer(const writer *w) {
    const recipe *r = w->in->recipe;
    bool goes_on = r->run.keep == RECIPE_KEEP_ALL && w->in->result->recipe_file;
    char *own =
        goes_on ? path_join(w->in->folder, w->in->result->recipe_file) : mem_strdup(w->in->recipe_path);
    text_buffer more = {0};
    text_printf(&more, " --iterations %lld --out ", (long long)(2 * r->run.iterations));
    if (goes_on)
        display_clean(&more, w->display->unicode, w->in->folder, strlen(w->in->folder));
    else
        text_puts(&more, "runs/longer");
    if (goes_on) text_puts(&more, " --resume");
    put_next(w, "espalier run ", own, more.at, "accuracy was still rising: train longer");
    text_free(&more);
    mem_free(own);
}

static void put_places(const writer *w) {
    const run_result *o = w->in->result;
    text_puts(w->out, "\n");
    if (o->position.checkpoint[0]) {
        text_puts(w->out, "Policy: ");
        display_clean(w->out, w->display->unicode, w->in->folder, strlen(w->in->folder));
        text_printf(w->out, "/checkpoints/%s\n", o->position.checkpoint);
    }
    if (w->in->page) {
        text_puts(w->out, "Page: ");
        display_clean(w->out, w->display->unicode, w->in->page, strlen(w->in->page));
        text_puts(w->out, "\n");
    }
    text_puts(w->out, "Next:\n");
    if (o->totals.trees > 0)
        put_next(w, "espalier show ", w->in->folder, "", "its search trees in the terminal");
    if (!w->in->page) put_next(w, "espalier report ", w->in->folder, "", "the report page");
    if (o->position.checkpoint[0])
        put_next(w, "espalier export ", w->in->folder, " policy/", "the policy, for transformers");
    if (o->totals.pairs > 0)
        put_next(w, "espalier pairs ", w->in->folder, " --format trl",
                 "the preferences, for another trainer");
    bool rising = o->score_count > 2 && best_of(o) == &o->scores[o->score_count - 1];
    if (rising && w->in->recipe_path) put_longer(w);
}

/* Wraps lines of prose to the width; commands (indented lines) and coloured lines are not wrapped. */
static void put_wrapped(const char *text, int width, text_buffer *out) {
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        char *one = mem_strndup(line, n);
        const char *at = one;
        bool whole = one[0] == ' ' || strchr(one, '\x1b');
        for (int indent = 0; !whole && *at; indent = 2) {
            size_t skip, bytes = display_wrap(at, width - indent, &skip);
            text_printf(out, "%s%*s%.*s", indent ? "\n" : "", indent, "", (int)bytes, at);
            at += bytes + skip;
        }
        text_puts(out, at);
        text_puts(out, "\n");
        mem_free(one);
        line += n + (line[n] == '\n');
    }
}

void summary_text(const summary_input *input, const display *d, text_buffer *out) {
    text_buffer text = {0};
    writer w = {input, d, &text};
    text_puts(&text, "\n");
    put_scores(&w);
    put_totals(&w);
    put_judge(&w);
    put_places(&w);
    put_wrapped(text.at, d->width, out);
    text_free(&text);
}
