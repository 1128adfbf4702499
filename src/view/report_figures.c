/* Figures: iterations, updates, self-evaluation, baselines. */
#include "view/report_inner.h"

#include <math.h>
#include <string.h>

/* ---- iterations ---- */

static void put_main(const report_iteration *it, document *d) {
    if (!it->evaluated) {
        document_null(d);
        return;
    }
    document_begin(d, '{');
    document_put_text(d, "method", it->main.method);
    document_put_number(d, "accuracy", it->main.accuracy);
    document_put_number(d, "low", it->main.low);
    document_put_number(d, "high", it->main.high);
    document_put_integer(d, "right", it->main.right);
    document_put_integer(d, "problems", it->main.problems);
    document_put_number(d, "mean_tokens", it->mean_tokens);
    document_put_number(d, "finished_share", it->finished_share);
    document_put_integer(d, "tokens_sampled", it->main.tokens_sampled);
    document_put_integer(d, "tokens_computed", it->main.tokens_computed);
    document_end(d, '}');
}

static void put_area(document *d, const char *key, const area_pool *a) {
    document_key(d, key);
    if (!isfinite(a->area)) {
        document_null(d);
        return;
    }
    document_begin(d, '{');
    document_put_number(d, "area", a->area);
    document_put_number(d, "low", a->interval.low);
    document_put_number(d, "high", a->interval.high);
    document_put_integer(d, "positives", a->positives);
    document_put_integer(d, "negatives", a->negatives);
    document_end(d, '}');
}

static void put_share(document *d, const char *key, const area_share *a) {
    document_key(d, key);
    if (a->comparisons == 0) {
        document_null(d);
        return;
    }
    document_begin(d, '{');
    document_put_number(d, "share", a->share);
    document_put_number(d, "low", a->interval.low);
    document_put_number(d, "high", a->interval.high);
    document_put_integer(d, "comparisons", a->comparisons);
    document_put_integer(d, "problems", a->clusters);
    document_end(d, '}');
}

/* Areas and shares of the judge. */
static void put_judged(const judge_quality judged[JUDGE_KINDS], document *d) {
    put_share(d, "auc_within", &judged[JUDGE_ALL].within);
    put_share(d, "sibling_accuracy", &judged[JUDGE_ALL].siblings);
    put_area(d, "auc_finished", &judged[JUDGE_FINISHED].auc);
    put_area(d, "auc_unfinished", &judged[JUDGE_UNFINISHED].auc);
}

static double share(int64_t part, int64_t whole) {
    return whole > 0 ? (double)part / (double)whole : NAN;
}

static const store_calibration *calibration_at(const report_run *r, int64_t iteration) {
    for (int64_t i = 0; i < r->calibrations.count; i++)
        if (r->calibrations.at[i].iteration == iteration) return &r->calibrations.at[i];
    return NULL;
}

search_calibration report_calibration_of(const report_run *r, int64_t iteration) {
    const store_calibration *row = calibration_at(r, iteration);
    return row ? confidence_of_row(row) : (search_calibration){0};
}

/* How the iteration's searches read C, and what that did to its calibration error. */
static void put_calibration(const report_run *r, const report_iteration *it, document *d) {
    const store_calibration *row = calibration_at(r, it->iteration);
    document_key(d, "calibration");
    if (!row) {
        document_null(d);
        return;
    }
    document_begin(d, '{');
    document_put_bool(d, "judged", row->judged);
    document_put_number(d, "slope", row->slope);
    document_put_number(d, "offset", row->offset);
    document_put_number(d, "error_before", it->judge[JUDGE_ALL].calibration.error);
    document_put_number(d, "error_after", it->calibrated[JUDGE_ALL].calibration.error);
    document_end(d, '}');
}

static void put_iteration(const report_run *r, const report_iteration *it, document *d) {
    document_begin(d, '{');
    document_put_integer(d, "iteration", it->iteration);
    document_key(d, "greedy");
    if (strcmp(r->method, "greedy") == 0)
        put_main(it, d);
    else
        document_null(d);
    document_key(d, "main");
    put_main(it, d);
    document_put_integer(d, "tokens_sampled", it->sampled);
    document_put_integer(d, "tokens_judged", it->judged);
    document_put_integer(d, "tokens_spent", store_tokens_spent(it->sampled, it->judged));
    document_put_integer(d, "tokens_computed", it->computed);
    document_put_integer(d, "tokens_learned", it->learned);
    document_put_integer(d, "cumulative_tokens_sampled", it->all_sampled);
    document_put_integer(d, "cumulative_tokens_judged", it->all_judged);
    document_put_integer(d, "cumulative_tokens_spent", store_tokens_spent(it->all_sampled, it->all_judged));
    document_put_integer(d, "cumulative_tokens_computed", it->all_computed);
    document_put_integer(d, "trees", it->trees);
    document_put_integer(d, "trees_right", it->trees_right);
    document_put_integer(d, "unknown", it->unknown);
    document_put_integer(d, "nodes", it->nodes);
    document_put_integer(d, "pairs", it->pairs);
    document_put_integer(d, "updates", it->updates);
    document_put_number(d, "loss", it->loss);
    document_put_number(d, "grad_norm", it->grad_norm);
    document_key(d, "metrics");
    document_begin(d, '{');
    for (int64_t i = 0; i < it->metrics.count; i++)
        document_put_number(d, it->metrics.at[i].name, report_mean_of(&it->metrics.at[i]));
    document_end(d, '}');
    document_put_number(d, "step_tokens", share(it->step_tokens, it->nodes));
    document_put_number(d, "chain_tokens", share(it->chain_tokens, it->ended));
    document_put_number(d, "finished_share", share(it->finished, it->ended));
    put_judged(it->judge, d);
    put_calibration(r, it, d);
    put_share(d, "auc_within_frozen", &it->frozen[JUDGE_ALL].within);
    document_put_number(d, "seconds_search", it->seconds_search);
    document_put_number(d, "seconds_learn", it->seconds_learn);
    document_put_number(d, "seconds_evaluate", it->seconds_evaluate);
    document_end(d, '}');
}

void report_iterations(const report_run *r, document *d) {
    document_key(d, "iterations");
    document_begin(d, '[');
    for (int64_t i = 0; i < r->iteration_count; i++) put_iteration(r, &r->iterations[i], d);
    document_end(d, ']');
}

/* ---- updates ---- */

static void put_update(const store_update *u, document *d) {
    document_begin(d, '{');
    document_put_text(d, "phase", u->phase);
    document_put_integer(d, "iteration", u->iteration);
    document_put_integer(d, "update", u->update);
    document_put_integer(d, "rows", u->rows);
    document_put_number(d, "loss", u->loss);
    document_put_number(d, "lr", u->lr);
    document_put_number(d, "grad_norm", u->grad_norm);
    document_key(d, "metrics");
    document_begin(d, '{');
    for (int64_t i = 0; i < u->metric_count; i++)
        document_put_number(d, u->metrics[i].name, u->metrics[i].value);
    document_end(d, '}');
    document_end(d, '}');
}

/* Of many updates, evenly spaced ones, including the first and the last. */
void report_updates(const report_run *r, document *d) {
    int64_t n = r->updates.count, shown = n < REPORT_MOST_UPDATES ? n : REPORT_MOST_UPDATES;
    document_put_integer(d, "updates_left_out", n - shown);
    document_key(d, "updates");
    document_begin(d, '[');
    for (int64_t i = 0; i < shown; i++)
        put_update(&r->updates.at[shown == n ? i : i * (n - 1) / (shown - 1)], d);
    document_end(d, ']');
}

/* ---- self-evaluation ---- */

/* C of finished chains and the share of correct ones among them, and how well C orders nodes. */
static void put_judgement(const judge_quality judged[JUDGE_KINDS], document *d) {
    const judge_quality *finished = &judged[JUDGE_FINISHED];
    document_key(d, "bins");
    document_begin(d, '[');
    for (int i = 0; i < JUDGE_BINS; i++) {
        const judge_bin *b = &finished->calibration.bins[i];
        document_begin(d, '{');
        document_put_number(d, "low", (double)i / JUDGE_BINS);
        document_put_number(d, "high", (double)(i + 1) / JUDGE_BINS);
        document_put_integer(d, "count", b->nodes);
        document_put_integer(d, "right", b->positives);
        document_put_number(d, "confidence", b->nodes ? b->confidence : (double)NAN);
        document_end(d, '}');
    }
    document_end(d, ']');
    document_put_number(d, "calibration_error", finished->calibration.error);
    put_judged(judged, d);
}

/* The judge in evaluations by search, where no gold answer is shown to it. */
static void put_evaluated_judges(const report_run *r, document *d) {
    document_key(d, "evaluated");
    document_begin(d, '[');
    for (int64_t i = 0; i < r->iteration_count; i++) {
        evaluation e;
        int64_t iteration = r->iterations[i].iteration;
        if (!report_read_evaluation(r, iteration, "search", &e)) continue;
        if (e.search.judged[JUDGE_ALL].calibration.nodes > 0) {
            document_begin(d, '{');
            document_put_integer(d, "iteration", iteration);
            put_judgement(e.search.judged, d);
            document_end(d, '}');
        }
        evaluation_free(&e);
    }
    document_end(d, ']');
}

void report_judge(const report_run *r, document *d) {
    document_key(d, "judge");
    if (r->judge[JUDGE_ALL].calibration.nodes == 0) {
        document_null(d);
        return;
    }
    document_begin(d, '{');
    put_judgement(r->judge, d);
    put_evaluated_judges(r, d);
    document_end(d, '}');
}

/* ---- baselines ---- */

static void put_baseline(const report_run *b, const char *label, document *d) {
    document_begin(d, '{');
    document_put_text(d, "label", label);
    document_put_text(d, "folder", b->folder);
    document_key(d, "iterations");
    document_begin(d, '[');
    for (int64_t i = 0; i < b->iteration_count; i++) {
        const report_iteration *it = &b->iterations[i];
        if (!it->evaluated) continue;
        document_begin(d, '{');
        document_put_integer(d, "iteration", it->iteration);
        document_put_number(d, "accuracy", it->main.accuracy);
        document_put_number(d, "low", it->main.low);
        document_put_number(d, "high", it->main.high);
        document_put_integer(d, "problems", it->main.problems);
        document_put_integer(d, "cumulative_tokens_sampled", it->all_sampled);
        document_put_integer(d, "cumulative_tokens_judged", it->all_judged);
        document_put_integer(d, "cumulative_tokens_spent",
                             store_tokens_spent(it->all_sampled, it->all_judged));
        document_put_integer(d, "cumulative_tokens_computed", it->all_computed);
        document_end(d, '}');
    }
    document_end(d, ']');
    document_end(d, '}');
}

static bool same_text(const char *a, const char *b) {
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Whether both evaluated the same problems, according to recipes and counts. */
static bool same_problems(const report_run *a, const report_run *b) {
    const report_iteration *x = report_last_evaluated(a), *y = report_last_evaluated(b);
    if (!x || !y) return true;
    if (x->main.problems != y->main.problems || strcmp(a->set, b->set) != 0 ||
        strcmp(a->method, b->method) != 0)
        return false;
    if (!a->recipe || !b->recipe) return true;
    return same_text(a->recipe->task.name, b->recipe->task.name) &&
           same_text(a->recipe->data.test, b->recipe->data.test) &&
           same_text(a->recipe->data.dev, b->recipe->data.dev);
}

static void note(document *notes, const char *label, const char *why) {
    char *text = mem_printf("Baseline %s %s", label, why);
    document_begin(notes, '{');
    document_put_text(notes, "level", "warn");
    document_put_text(notes, "text", text);
    document_end(notes, '}');
    mem_free(text);
}

esp_status report_baselines(const report_run *r, const report_options *options, document *d, document *notes,
                            esp_error *error) {
    document_key(d, "baselines");
    document_begin(d, '[');
    for (int i = 0; i < options->baseline_count; i++) {
        const report_baseline *named = &options->baselines[i];
        report_run b;
        esp_status status = report_run_open(&b, named->folder, error);
        if (status != ESP_OK) return error_prefix(error, "baseline %s", named->label);
        put_baseline(&b, named->label, d);
        if (!report_last_evaluated(&b))
            note(notes, named->label, "has no evaluation yet, so it has no line.");
        else if (!same_problems(r, &b))
            note(notes, named->label,
                 "was evaluated on other problems, or by another method, than this run: do not compare the "
                 "two.");
        report_run_close(&b);
    }
    document_end(d, ']');
    return ESP_OK;
}
