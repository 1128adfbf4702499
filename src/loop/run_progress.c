#include "loop/run_progress.h"

#include "base/clock.h"
#include "eval/evaluate.h"
#include "loop/phase_order.h"
#include "loop/run_state.h"

#include <math.h>

/* ---- times ---- */

static double *seconds_of(phase_seconds *s, const recipe *r, const store_position *at) {
    bool end = at->iteration == 0 || at->iteration == r->run.iterations;
    switch (at->phase) {
    case STORE_PHASE_SFT:
        return &s->sft;
    case STORE_PHASE_SEARCH:
        return &s->search;
    case STORE_PHASE_LEARN:
        return &s->learn;
    case STORE_PHASE_EVALUATE:
        return end ? &s->evaluate_ends : &s->evaluate_between;
    case STORE_PHASE_DONE:
        break;
    }
    return NULL;
}

/* Where no evaluation of its place (at an end of the run or between) was timed, one of the other place is
 * used.
 */
double run_progress_seconds_of(const phase_seconds *took, const recipe *r, const store_position *at) {
    phase_seconds s = *took;
    if (isnan(s.evaluate_between)) s.evaluate_between = s.evaluate_ends;
    if (isnan(s.evaluate_ends)) s.evaluate_ends = s.evaluate_between;
    const double *seconds = seconds_of(&s, r, at);
    return seconds ? *seconds : 0;
}

double run_progress_seconds_after(const recipe *r, int phases, const store_position *at,
                                  const phase_seconds *took) {
    double sum = 0;
    store_position next = phase_after(r, phases, at, "");
    for (; next.phase != STORE_PHASE_DONE && !isnan(sum); next = phase_after(r, phases, &next, ""))
        sum += run_progress_seconds_of(took, r, &next);
    return sum;
}

/* evaluate_seconds is the evaluation's own time; this is the phase's. */
static const char *metric_of(store_phase phase) {
    switch (phase) {
    case STORE_PHASE_SFT:
        return "sft_seconds";
    case STORE_PHASE_SEARCH:
        return "search_seconds";
    case STORE_PHASE_LEARN:
        return "learn_seconds";
    case STORE_PHASE_EVALUATE:
        return "evaluate_phase_seconds";
    case STORE_PHASE_DONE:
        break;
    }
    return NULL;
}

esp_status run_progress_read_times(store *s, const recipe *r, phase_seconds *out, esp_error *error) {
    store_position at;
    ESP_TRY(store_position_get(s, &at, error));
    *out = (phase_seconds){NAN, NAN, NAN, NAN, NAN};
    for (int64_t i = 0; i <= at.iteration; i++) {
        for (int phase = STORE_PHASE_SFT; phase < STORE_PHASE_DONE; phase++) {
            store_position then = {.phase = (store_phase)phase, .iteration = i};
            double seconds;
            bool found;
            ESP_TRY(store_metric_get(s, i, metric_of(then.phase), &seconds, &found, error));
            if (found) *seconds_of(out, r, &then) = seconds;
        }
    }
    return ESP_OK;
}

esp_status run_progress_open(run_state *run, esp_error *error) {
    run_progress_state *f = &run->progress;
    f->shown.phase_seconds = f->shown.seconds_after = NAN;
    return run_progress_read_times(run->store, run->session.recipe, &f->took, error);
}

void run_progress_close(run_progress_state *f) {
    mem_free(f->scores);
    f->scores = NULL;
}

/* ---- what the watcher is told ---- */

/* The recipe's own evaluations so far. */
static esp_status read_scores(run_state *run, esp_error *error) {
    run_progress_state *f = &run->progress;
    store_evals evals;
    ESP_TRY(evaluations_of_recipe(run->store, run->session.recipe, &evals, error));
    mem_free(f->scores);
    f->scores = MEM_ARRAY(run_score, evals.count + 1);
    for (int64_t i = 0; i < evals.count; i++) {
        const store_eval *e = &evals.at[i];
        f->scores[i] = (run_score){e->iteration, e->accuracy, e->low, e->high};
    }
    f->shown.scores = f->scores;
    f->shown.score_count = evals.count;
    STORE_LIST_FREE(&evals);
    return ESP_OK;
}

void run_progress_tell(run_state *run, int64_t trees, int64_t pairs) {
    const run_watcher *w = &run->watcher;
    run->progress.shown.trees = trees;
    run->progress.shown.pairs = pairs;
    if (w->tell) w->tell(w->context, &run->progress.shown);
}

esp_status run_progress_begin(run_state *run, const store_position *at, esp_error *error) {
    run_progress_state *f = &run->progress;
    const recipe *r = run->session.recipe;
    f->began = clock_seconds();
    f->resumed = at->wave > 0 || at->update > 0;
    f->shown.phase = store_phase_name(at->phase);
    f->shown.iteration = at->iteration;
    f->shown.iterations = r->run.iterations;
    f->shown.phase_seconds = run_progress_seconds_of(&f->took, r, at);
    f->shown.seconds_after = run_progress_seconds_after(r, run->phases, at, &f->took);
    if (!run->watcher.tell) return ESP_OK;
    store_totals totals;
    ESP_TRY(read_scores(run, error));
    ESP_TRY(store_read_totals(run->store, &totals, error));
    run_progress_tell(run, totals.trees, totals.pairs);
    return ESP_OK;
}

esp_status run_progress_end(run_state *run, const store_position *at, esp_error *error) {
    run_progress_state *f = &run->progress;
    double seconds = clock_seconds() - f->began;
    if (f->resumed) return ESP_OK;
    *seconds_of(&f->took, run->session.recipe, at) = seconds;
    return store_metric(run->store, at->iteration, metric_of(at->phase), seconds, error);
}
