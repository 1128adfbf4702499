/* espalier status: how far a run is. */
#include "app/output.h"
#include "app/verbs.h"
#include "loop/run_status.h"
#include "view/display.h"

#include <math.h>
#include <string.h>

static const char *state_of(const run_status *s) {
    return s->process ? "running" : s->at.phase == STORE_PHASE_DONE ? "done" : "stopped";
}

static json_t *score_json(const run_score *score) {
    if (score->iteration < 0) return json_null();
    return json_pack("{s:I, s:f, s:[f, f]}", "iteration", (json_int_t)score->iteration, "accuracy",
                     score->accuracy, "interval", score->low, score->high);
}

static json_t *status_json(const char *run, const run_status *s) {
    return json_pack("{s:o, s:s, s:o, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}",
                     "run", json_from_text(run, strlen(run)), "state", state_of(s), "process",
                     s->process ? json_integer(s->process) : json_null(), "phase",
                     store_phase_name(s->at.phase), "iteration", (json_int_t)s->at.iteration, "iterations",
                     (json_int_t)s->iterations, "phase_done", (json_int_t)s->done, "phase_of",
                     s->of ? json_integer(s->of) : json_null(), "first", score_json(&s->first), "last",
                     score_json(&s->last), "trees", (json_int_t)s->totals.trees, "pairs",
                     (json_int_t)s->totals.pairs, "updates", (json_int_t)s->totals.updates, "tokens_sampled",
                     (json_int_t)s->totals.tokens_sampled, "tokens_judged",
                     (json_int_t)s->totals.tokens_judged, "seconds_left", json_real_or_null(s->seconds_left));
}

static void put_phase(const run_status *s, text_buffer *out) {
    if (s->at.phase == STORE_PHASE_DONE) {
        text_printf(out, ", %lld iterations", (long long)s->at.iteration);
        return;
    }
    text_printf(out, ", iteration %lld of %lld, %s", (long long)s->at.iteration, (long long)s->iterations,
                store_phase_name(s->at.phase));
    if (s->at.phase == STORE_PHASE_SEARCH && s->tokens_end)
        text_printf(out, ": %lld problems", (long long)s->done);
    else if (s->at.phase == STORE_PHASE_SEARCH)
        text_printf(out, ": %lld of %lld problems", (long long)s->done, (long long)s->of);
    else if (s->done)
        text_printf(out, ": %lld updates", (long long)s->done);
}

static void put_score(const run_score *score, text_buffer *out) {
    text_printf(out, "%.1f%% [%.1f, %.1f] after iteration %lld", 100 * score->accuracy, 100 * score->low,
                100 * score->high, (long long)score->iteration);
}

static void status_text(const char *run, const run_status *s, text_buffer *out) {
    text_printf(out, "%s: %s", run, state_of(s));
    if (s->process) text_printf(out, " (process %lld)", (long long)s->process);
    put_phase(s, out);
    text_puts(out, "\n");
    if (s->last.iteration >= 0) {
        text_puts(out, "accuracy: ");
        put_score(&s->last, out);
        if (s->first.iteration != s->last.iteration) {
            text_puts(out, "; ");
            put_score(&s->first, out);
        }
        text_puts(out, "\n");
    }
    text_printf(out, "%lld trees, %lld pairs, %lld updates, %lld tokens sampled and %lld judged\n",
                (long long)s->totals.trees, (long long)s->totals.pairs, (long long)s->totals.updates,
                (long long)s->totals.tokens_sampled, (long long)s->totals.tokens_judged);
    if (s->at.phase == STORE_PHASE_DONE) return;
    if (!isnan(s->seconds_left)) {
        text_puts(out, "about ");
        display_duration(out, s->seconds_left);
        text_puts(out, " left, by the phases before\n");
    }
    if (!s->process)
        text_printf(out, "continue it: espalier run %s/%s --out %s --resume\n", run, s->recipe_file, run);
}

static esp_status status_run(const cli_arguments *arguments, void *own, esp_error *error) {
    (void)own;
    const char *run = arguments->positionals[0];
    run_status s;
    ESP_TRY(run_status_read(&s, run, error));
    esp_status status;
    if (arguments->json) {
        status = output_json(status_json(run, &s), 17, error);
    } else {
        text_buffer text = {0};
        status_text(run, &s, &text);
        status = output_text(text.at, text.length, error);
        text_free(&text);
    }
    run_status_free(&s);
    return status;
}

const app_verb verb_status = {
    .cli = {.name = "status",
            .summary = "how far a run is, while it works or afterwards",
            .positionals = "RUN",
            .least = 1,
            .most = 1,
            .about =
                "Reads what is committed; the run is not disturbed. The time left is by the phases before, "
                "so\nthere is none in the first iteration."},
    .run = status_run,
};
