#include "eval/confidence_fit.h"

#include "formats/json.h"

#include <math.h>

/* docs/method.md 3.5. */
static const double RIDGE = 0.01;
enum { MOST_STEPS = 100, MOST_HALVINGS = 40 };

typedef struct {
    double slope, offset;
} logistic;

/* log(1 + exp(x)) */
static double log_1p_exp(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double loss_of(const judge_scores *scores, logistic at) {
    double sum = RIDGE / 2 * (at.slope * at.slope + at.offset * at.offset);
    for (int64_t i = 0; i < scores->rows.count; i++) {
        const judge_row *r = &scores->rows.at[i];
        double score = at.slope * confidence_log_odds(r->confidence) + at.offset;
        sum += log_1p_exp(r->positive ? -score : score);
    }
    return sum;
}

/* The Newton step from `at`. The ridge makes the Hessian positive definite. */
static logistic step_from(const judge_scores *scores, logistic at) {
    double by_slope = RIDGE * at.slope, by_offset = RIDGE * at.offset, ss = RIDGE, so = 0, oo = RIDGE;
    for (int64_t i = 0; i < scores->rows.count; i++) {
        const judge_row *r = &scores->rows.at[i];
        double z = confidence_log_odds(r->confidence), chance = 1 / (1 + exp(-(at.slope * z + at.offset)));
        double gap = chance - (r->positive ? 1 : 0), weight = chance * (1 - chance);
        by_slope += gap * z, by_offset += gap;
        ss += weight * z * z, so += weight * z, oo += weight;
    }
    double determinant = ss * oo - so * so;
    return (logistic){-(oo * by_slope - so * by_offset) / determinant,
                      -(ss * by_offset - so * by_slope) / determinant};
}

/* Newton's method; a step that does not lower the loss is halved until it does. */
static logistic fit(const judge_scores *scores) {
    logistic at = {0};
    double loss = loss_of(scores, at);
    for (int i = 0; i < MOST_STEPS; i++) {
        logistic step = step_from(scores, at), next = at;
        double lower = loss, share = 1;
        for (int k = 0; k < MOST_HALVINGS && !(lower < loss); k++, share /= 2) {
            next = (logistic){at.slope + share * step.slope, at.offset + share * step.offset};
            lower = loss_of(scores, next);
        }
        if (!(lower < loss)) break;
        at = next;
        bool done = loss - lower <= 1e-12 * (1 + loss);
        loss = lower;
        if (done) break;
    }
    return at;
}

search_calibration confidence_fit(const judge_scores *scores, const area_share *within, double start) {
    search_calibration out = {.off = true, .start = start};
    if (scores->rows.count == 0) return out;
    logistic map = fit(scores);
    out.fitted = true;
    out.slope = map.slope;
    out.offset = map.offset;
    out.off = !(within->comparisons > 0 && within->interval.low > 0.5 && map.slope > 0);
    return out;
}

void confidence_map_scores(const search_calibration *map, judge_scores *scores) {
    for (int64_t i = 0; i < scores->rows.count; i++)
        scores->rows.at[i].confidence = confidence_calibrated(map, scores->rows.at[i].confidence);
}

/* ---- store ---- */

store_calibration confidence_row(const search_calibration *map, int64_t iteration, int64_t nodes) {
    return (store_calibration){.iteration = iteration,
                               .judged = !map->off,
                               .slope = map->fitted ? map->slope : NAN,
                               .offset = map->fitted ? map->offset : NAN,
                               .start = map->start,
                               .nodes = nodes};
}

search_calibration confidence_of_row(const store_calibration *row) {
    bool fitted = !isnan(row->slope) && !isnan(row->offset);
    return (search_calibration){.fitted = fitted,
                                .off = !row->judged,
                                .slope = fitted ? row->slope : 0,
                                .offset = fitted ? row->offset : 0,
                                .start = row->start};
}

esp_status confidence_read(store *s, int64_t iteration, search_calibration *out, esp_error *error) {
    store_calibrations rows;
    *out = (search_calibration){0};
    ESP_TRY(store_read_calibrations(s, &rows, error));
    for (int64_t i = 0; i < rows.count; i++)
        if (rows.at[i].iteration == iteration) *out = confidence_of_row(&rows.at[i]);
    if (rows.memory) STORE_LIST_FREE(&rows);
    return ESP_OK;
}

json_t *confidence_json(const store_calibration *row) {
    return json_pack("{s:I, s:b, s:o, s:o, s:o, s:I}", "iteration", (json_int_t)row->iteration, "judged",
                     (int)row->judged, "slope", json_real_or_null(row->slope), "offset",
                     json_real_or_null(row->offset), "start", json_real_or_null(row->start), "nodes",
                     (json_int_t)row->nodes);
}
