/* What the judge's confidence is worth in an iteration, from what came of the nodes that were judged before
 * it (docs/method.md 3.5): a logistic map of C, and whether its confidence counts at all. */
#ifndef ESPALIER_EVAL_CONFIDENCE_FIT_H
#define ESPALIER_EVAL_CONFIDENCE_FIT_H

#include "eval/calibration.h"
#include "search/confidence.h"

/* The map sigma(slope z + offset) of least log-loss on the scores' nodes, z = log(C / (1 - C)), by Newton's
 * method with a ridge on both parameters (Platt 1999). start: as given. The judge is off where it has not
 * been shown to order the nodes of a problem better than chance: `within` (of the same nodes) does not have
 * its lower bound above 1/2, or the slope is not above 0. Without nodes nothing is fitted, and it is off. */
search_calibration confidence_fit(const judge_scores *scores, const area_share *within, double start);

/* The scores with C~ in the place of C. */
void confidence_map_scores(const search_calibration *map, judge_scores *scores);

/* As rows of run.db. */
store_calibration confidence_row(const search_calibration *map, int64_t iteration, int64_t nodes);
search_calibration confidence_of_row(const store_calibration *row);
/* What the searches of an iteration used; all zero where nothing was fitted for it. */
esp_status confidence_read(store *s, int64_t iteration, search_calibration *out, esp_error *error);
/* {"iteration", "judged", "slope", "offset", "start", "nodes"}; slope and offset null where nothing was
 * fitted. New reference. */
json_t *confidence_json(const store_calibration *row);

#endif
