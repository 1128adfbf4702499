/* How well self-evaluation separates correct from incorrect (docs/method.md 3): areas under the ROC curve of
 * C over the nodes of search trees, compared with what became of them, and calibration.
 *
 * Finished nodes: correct or incorrect as graded.
 * Unfinished nodes: positive where more of the chains that end at or below them are correct than incorrect,
 * negative where more are incorrect; left out where as many are correct as incorrect, or none ends there.
 * What a chain counts as is search_outcome_sign: a cut one is incorrect where cut_reward is negative, else it
 * counts as neither. Only nodes that were judged count; the root never is. C is as the search had it (so,
 * with search.depth_discount_confidence, discounted).
 *
 * The pooled AUC compares nodes of all problems, so that it also rewards a judge that knows only which
 * problems are hard. What steers a search is the AUC within problems, whose comparisons are of two nodes of
 * one problem, and the accuracy among siblings, whose comparisons are of two steps after the same state. */
#ifndef ESPALIER_EVAL_CALIBRATION_H
#define ESPALIER_EVAL_CALIBRATION_H

#include "eval/area.h"
#include "search/search.h"
#include "store/store.h"

#include <jansson.h>

/* Which nodes: those that are the end of a finished chain, the others, both. */
typedef enum { JUDGE_FINISHED, JUDGE_UNFINISHED, JUDGE_ALL, JUDGE_KINDS } judge_kind;
const char *judge_kind_name(judge_kind kind); /* "finished", "unfinished", "all": as the store has it */

/* A judged node of known sign. */
typedef struct {
    double confidence;
    bool positive, finished;
    int64_t problem;
    int64_t family; /* equal for siblings alone */
} judge_row;

/* Gathered over any number of trees; zeroed to begin with. */
typedef struct {
    MEM_LIST(judge_row) rows;
    int64_t families;
} judge_scores;

typedef struct {
    int64_t parent; /* an earlier node, -1 at the root */
    bool judged;
    bool finished; /* not cut */
    int sign;      /* search_outcome_sign; 0: no chain ends here, or nothing is known of it */
    double confidence;
} judge_node;

/* A tree of that problem, whole. */
void judge_scores_add(judge_scores *scores, int64_t problem, const judge_node *nodes, int64_t n);
/* Of a search whose configuration judges (else nothing is added). graded: the sign of each node that is
 * finished, one per node, since a search for an evaluation is not told what is correct. */
void judge_scores_add_search(judge_scores *scores, int64_t problem, const search *s, const int8_t *graded);
/* Of one tree's rows in the store, all of them, in order. */
void judge_scores_add_stored(judge_scores *scores, int64_t problem, const store_node *nodes, int64_t n);
void judge_scores_free(judge_scores *scores);

/* C against the share that is right, in ten bins of equal width (C = 1 is in the last), and the expected
 * calibration error: the mean over nodes of |mean C of the node's bin - share of positives in it| (Naeini et
 * al. 2015). The nodes are those of the AUC. */
enum { JUDGE_BINS = 10 };
typedef struct {
    int64_t nodes, positives;
    double confidence;         /* mean C; NAN without nodes */
    double share;              /* positives / nodes; NAN without nodes */
    metrics_interval interval; /* Wilson's of share, a node one trial */
} judge_bin;
typedef struct {
    int64_t nodes;
    double error; /* NAN without nodes */
    judge_bin bins[JUDGE_BINS];
} judge_calibration;
/* Of n rows in any order; their problems do not matter. */
judge_calibration judge_calibrate(const area_row *rows, int64_t n);

/* All that is said of one kind of nodes. */
typedef struct {
    area_pool auc;               /* pooled over problems */
    area_share within, siblings; /* within problems, among siblings of this kind */
    judge_calibration calibration;
} judge_quality;
void judge_scores_quality(const judge_scores *scores, judge_quality out[JUDGE_KINDS]);
/* Appends, without a line's end, what is known of the judge: "AUC within problems 0.812 [0.761, 0.859] of 412
 * comparisons in 37 problems, among siblings ..., pooled ...". Nothing where there are no nodes. */
void judge_quality_words(const judge_quality figures[JUDGE_KINDS], text_buffer *out);
/* {"auc": {"area", "low", "high", "positives", "negatives"}, "auc_within": {"share", "low", "high",
 * "comparisons", "problems"}, "sibling_accuracy": the same, "nodes", "calibration_error", "bins": [{"low",
 * "high", "nodes", "positives", "confidence", "share", "interval"}]}; NAN becomes null. New reference. */
json_t *judge_quality_json(const judge_quality *f);

/* Of the stored trees of one iteration (STORE_ALL: all); freed by judge_scores_free. */
esp_status judge_scores_of_trees(store *s, int64_t iteration, judge_scores *out, esp_error *error);

#define JUDGE_TRAIN      "train"      /* store_judgement.source */
#define JUDGE_CALIBRATED "calibrated" /* the same nodes, C~ for C */
#define JUDGE_FROZEN     "frozen"     /* the same nodes, judged by theta_0 */
#define JUDGE_EVAL       "eval"
/* Keeps the figures in the store, of the kinds that have nodes. */
esp_status judge_record(const judge_quality figures[JUDGE_KINDS], int64_t iteration, const char *source,
                        store *s, esp_error *error);
/* The stored figures of one iteration and source; a kind that has none is of no nodes. */
esp_status judge_read(store *s, int64_t iteration, const char *source, judge_quality out[JUDGE_KINDS],
                      esp_error *error);
/* A stored row as figures: the same numbers. Fails where its bins are not what judge_record writes. */
esp_status judge_quality_read(const store_judgement *row, judge_quality *out, esp_error *error);

#endif
