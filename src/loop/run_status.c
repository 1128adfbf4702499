#include "loop/run_status.h"

#include "eval/evaluate.h"
#include "loop/provenance.h"
#include "loop/recipe_change.h"
#include "loop/run_progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static esp_status read_scores(run_status *out, store *s, const recipe *r, esp_error *error) {
    store_evals evals;
    out->first.iteration = out->last.iteration = -1;
    ESP_TRY(evaluations_of_recipe(s, r, &evals, error));
    for (int64_t i = 0; i < evals.count; i++) {
        const store_eval *e = &evals.at[i];
        out->last = (run_score){e->iteration, e->accuracy, e->low, e->high};
        if (i == 0) out->first = out->last;
    }
    STORE_LIST_FREE(&evals);
    return ESP_OK;
}

/* What of the present phase is in the store. */
static esp_status read_phase(run_status *out, store *s, const recipe *r, esp_error *error) {
    if (out->at.phase == STORE_PHASE_SEARCH) {
        store_costs costs;
        ESP_TRY(store_read_costs(s, &costs, error));
        for (int64_t i = 0; i < costs.count; i++)
            if (costs.at[i].iteration == out->at.iteration) out->done = costs.at[i].trees;
        STORE_LIST_FREE(&costs);
        out->tokens_end = r->run.tokens_per_iteration > 0;
        out->of = r->run.problems_per_iteration;
    } else if (out->at.phase == STORE_PHASE_SFT || out->at.phase == STORE_PHASE_LEARN) {
        store_updates updates;
        ESP_TRY(store_read_updates(s, out->at.iteration, &updates, error));
        const char *phase = store_phase_name(out->at.phase);
        for (int64_t i = 0; i < updates.count; i++) out->done += strcmp(updates.at[i].phase, phase) == 0;
        STORE_LIST_FREE(&updates);
    }
    return ESP_OK;
}

/* A search is known to be partly done; of other phases only the whole is known. */
static esp_status read_times(run_status *out, store *s, const recipe *r, int phases, esp_error *error) {
    phase_seconds took;
    out->seconds_left = 0;
    if (out->at.phase == STORE_PHASE_DONE) return ESP_OK;
    ESP_TRY(run_progress_read_times(s, r, &took, error));
    double phase = run_progress_seconds_of(&took, r, &out->at);
    if (out->of > 0 && !out->tokens_end && out->done < out->of)
        phase *= 1 - (double)out->done / (double)out->of;
    out->seconds_left = phase + run_progress_seconds_after(r, phases, &out->at, &took);
    return ESP_OK;
}

/* The phases that the run was begun with, as run.c keeps them: "15", "2 unshared". */
static esp_status read_phases(store *s, int *out, esp_error *error) {
    char *text;
    *out = RUN_ALL;
    ESP_TRY(store_meta_get(s, "parts", &text, error));
    if (text) *out = atoi(text);
    mem_free(text);
    return ESP_OK;
}

static esp_status read_store(run_status *out, store *s, const recipe *r, esp_error *error) {
    int phases;
    ESP_TRY(store_begin_read(s, error));
    ESP_TRY(store_position_get(s, &out->at, error));
    ESP_TRY(store_writer(s, &out->process, error));
    ESP_TRY(store_read_totals(s, &out->totals, error));
    ESP_TRY(recipe_file_name(s, &out->recipe_file, error));
    ESP_TRY(read_phases(s, &phases, error));
    ESP_TRY(read_scores(out, s, r, error));
    ESP_TRY(read_phase(out, s, r, error));
    return read_times(out, s, r, phases, error);
}

esp_status run_status_read(run_status *out, const char *folder, esp_error *error) {
    store *s;
    recipe *r;
    *out = (run_status){.seconds_left = NAN};
    ESP_TRY(store_open(&s, folder, STORE_READ, error));
    esp_status status = provenance_read_recipe(folder, &r, error);
    if (status == ESP_OK) {
        out->iterations = r->run.iterations;
        status = read_store(out, s, r, error);
        recipe_free(r);
        store_rollback(s);
    }
    store_close(s);
    if (status != ESP_OK) run_status_free(out);
    return status;
}

void run_status_free(run_status *s) {
    mem_free(s->recipe_file);
    s->recipe_file = NULL;
}
