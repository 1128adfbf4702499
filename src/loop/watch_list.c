#include "loop/watch_list.h"

#include "eval/calibration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void note_trees(run_state *run, int64_t iteration, const store_trees *trees) {
    int64_t finished = 0, correct = 0, unknown = 0, sampled = 0, committed_correct = 0;
    for (int64_t i = 0; i < trees->count; i++) {
        finished += trees->at[i].finished;
        correct += trees->at[i].right;
        unknown += trees->at[i].unknown;
        sampled += trees->at[i].tokens_sampled;
        committed_correct += trees->at[i].outcome > 0;
    }
    observer_note(
        &run->session.observer,
        "iteration %lld: %lld trees, committed path (chosen with outcomes known) correct in %.1f%%, %lld "
        "finished chains of which %.1f%% correct, %.0f tokens sampled per tree",
        (long long)iteration, (long long)trees->count,
        100.0 * (double)committed_correct / (double)(trees->count ? trees->count : 1), (long long)finished,
        100.0 * (double)correct / (double)(finished ? finished : 1),
        (double)sampled / (double)(trees->count ? trees->count : 1));
    if (unknown > 0)
        observer_note(&run->session.observer,
                      "iteration %lld: %lld finished chains (%.1f%%) could not be judged: task.unknown is %s",
                      (long long)iteration, (long long)unknown, 100.0 * (double)unknown / (double)finished,
                      run->session.recipe->task.unknown);
}

/* How well the iteration's trees were judged, as it was stored when all of them were done. */
static esp_status note_judge(run_state *run, int64_t iteration, const char *source, const char *who,
                             esp_error *error) {
    judge_quality figures[JUDGE_KINDS];
    text_buffer text = {0};
    ESP_TRY(judge_read(run->store, iteration, source, figures, error));
    judge_quality_words(figures, &text);
    if (text.length > 0)
        observer_note(&run->session.observer, "iteration %lld: %s: %s", (long long)iteration, who, text.at);
    text_free(&text);
    return ESP_OK;
}

/* ---- updates ---- */

static bool has_metric(const store_update *u, const char *name) {
    return strcmp(u->phase, "learn") == 0 && !isnan(store_update_metric(u, name));
}

/* A metric in the first and in the last quarter of the updates that have it: means. */
typedef struct {
    int64_t count;
    double first, last;
} metric_change;

static metric_change change_of(const store_updates *updates, const char *name) {
    metric_change c = {0};
    for (int64_t i = 0; i < updates->count; i++) c.count += has_metric(&updates->at[i], name);
    int64_t quarter = c.count / 4 > 0 ? c.count / 4 : 1, seen = 0;
    for (int64_t i = 0; i < updates->count; i++) {
        if (!has_metric(&updates->at[i], name)) continue;
        double share = store_update_metric(&updates->at[i], name) / (double)quarter;
        if (seen < quarter) c.first += share;
        if (seen >= c.count - quarter) c.last += share;
        seen++;
    }
    return c;
}

/* What metrics are in words: an implicit reward is what an objective pulls apart, log-probs relative to its
 * reference or its normalization, and says nothing of how often the policy's answers are correct. A metric
 * without a row here goes by its name. */
static const char *words_of(const char *metric) {
    static const char *const words[][2] = {
        {"margin", "implicit reward margin"},     {"accuracy", "implicit reward accuracy"},
        {"logp_chosen", "log-prob of chosen"},    {"logp_rejected", "log-prob of rejected"},
        {"kl", "log-prob lost to the reference"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(metric, words[i][0]) == 0) return words[i][1];
    return metric;
}

/* ", implicit reward margin 0.01 to 0.4, ...": every metric that the updates have, first to last quarter. */
static void put_metrics(const store_updates *updates, text_buffer *out) {
    for (int64_t i = 0; i < updates->count; i++)
        for (int64_t k = 0; k < updates->at[i].metric_count; k++) {
            const char *name = updates->at[i].metrics[k].name;
            bool earlier = false;
            for (int64_t j = 0; j < i && !earlier; j++) earlier = has_metric(&updates->at[j], name);
            metric_change c = earlier ? (metric_change){0} : change_of(updates, name);
            if (c.count > 0) text_printf(out, ", %s %.4g to %.4g", words_of(name), c.first, c.last);
        }
}

const char *learned_rows_name(example_source source) {
    switch (source) {
    case LEARNS_FROM_PAIRS:
        return "pairs";
    case LEARNS_FROM_CHAINS:
        return "correct chains";
    case LEARNS_FROM_GROUPS:
        return "sampled chains";
    case LEARNS_FROM_STEPS:
        return "steps";
    case LEARNS_FROM_STATES:
        return "states";
    }
    return "rows";
}

static void put_rows(const learned_rows *rows, text_buffer *out) {
    bool first = rows->pairs > 0 || rows->others > 0;
    if (rows->pairs > 0)
        text_printf(out, "%lld pairs of %.1f tokens per step", (long long)rows->pairs, rows->step_tokens);
    if (rows->others > 0)
        text_printf(out, "%lld %s", (long long)rows->others, learned_rows_name(rows->source));
    if (first && rows->chains > 0) text_puts(out, ", ");
    if (rows->chains > 0 || !first) text_printf(out, "%lld correct chains", (long long)rows->chains);
}

static void note_updates(run_state *run, int64_t iteration, const learned_rows *rows,
                         const store_updates *updates) {
    const observer *o = &run->session.observer;
    int64_t count = 0;
    double loss = 0, norm = 0;
    for (int64_t i = 0; i < updates->count; i++) {
        const store_update *u = &updates->at[i];
        if (strcmp(u->phase, "learn") != 0) continue;
        count++;
        loss += u->loss;
        norm += u->grad_norm;
    }
    if (count == 0) return;
    text_buffer text = {0};
    put_rows(rows, &text);
    text_printf(&text, ", %lld updates, loss %.4f, gradient %.3f", (long long)count, loss / (double)count,
                norm / (double)count);
    put_metrics(updates, &text);
    observer_note(o, "iteration %lld: %s", (long long)iteration, text.at);
    text_free(&text);
    metric_change chosen = change_of(updates, "logp_chosen"), rejected = change_of(updates, "logp_rejected");
    if (chosen.count >= 4 && chosen.last < chosen.first && rejected.last < rejected.first)
        observer_note(o,
                      "iteration %lld: the log-probs of chosen and rejected steps fall together; a larger "
                      "learn.nll keeps those of chosen steps up",
                      (long long)iteration);
}

esp_status watch_iteration(run_state *run, int64_t iteration, const learned_rows *rows, esp_error *error) {
    store_trees trees;
    store_updates updates;
    ESP_TRY(store_read_trees(run->store, iteration, &trees, error));
    note_trees(run, iteration, &trees);
    STORE_LIST_FREE(&trees);
    ESP_TRY(note_judge(run, iteration, JUDGE_TRAIN, "self-evaluation", error));
    ESP_TRY(note_judge(run, iteration, JUDGE_FROZEN, "the first judge on the same steps", error));
    ESP_TRY(store_read_updates(run->store, iteration, &updates, error));
    note_updates(run, iteration, rows, &updates);
    STORE_LIST_FREE(&updates);
    return ESP_OK;
}
