/* How well self-evaluation tells right from wrong (docs/method.md 3): the area under the ROC curve of C over
 * the nodes of search trees, against what became of them.
 *
 * Finished nodes: right or wrong as graded.
 * Unfinished nodes: positive where more of the chains that end at or below them are right than wrong,
 * negative where more are wrong; left out where as many are right as wrong, or none ends there. What a chain
 * counts as is search_outcome_sign: a cut one is wrong where cut_reward is negative, else it counts as
 * neither. Only nodes that were judged count; the root never is. C is as the search had it (so, with
 * search.depth_discount_confidence, discounted). */
#ifndef ESPALIER_EVAL_CALIBRATION_H
#define ESPALIER_EVAL_CALIBRATION_H

#include "eval/metrics.h"
#include "search/search.h"
#include "store/store.h"

#include <jansson.h>

typedef struct {
    MEM_LIST(double) confidence;
    MEM_LIST(bool) positive;
} judge_class;

/* Gathered over any number of trees; zeroed to begin with. */
typedef struct {
    judge_class finished, unfinished;
} judge_scores;

typedef struct {
    int64_t parent; /* an earlier node, -1 at the root */
    bool judged;
    bool finished; /* not cut */
    int sign;      /* search_outcome_sign; 0: no chain ends here, or nothing is known of it */
    double confidence;
} judge_node;

void judge_scores_add(judge_scores *scores, const judge_node *nodes, int64_t n);
/* Of a search whose configuration judges (else nothing is added). graded: the sign of each node that is
 * finished, one per node, since a search for an evaluation is not told what is right. */
void judge_scores_add_search(judge_scores *scores, const search *s, const int8_t *graded);
/* Of one tree's rows in the store, all of them, in order. */
void judge_scores_add_stored(judge_scores *scores, const store_node *nodes, int64_t n);
void judge_scores_free(judge_scores *scores);

typedef struct {
    metrics_auc finished, unfinished; /* .area is NAN where a class is empty */
} judge_auc;
judge_auc judge_scores_auc(const judge_scores *scores);

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

/* One class of nodes: all that is said of it. */
typedef struct {
    metrics_auc auc;
    judge_calibration calibration;
} judge_quality;
judge_quality judge_class_quality(const judge_class *c);
/* {"auc": as judge_auc_json, "nodes", "calibration_error", "bins": [{"low", "high", "nodes", "positives",
 * "confidence", "share", "interval"}]}; NAN becomes null. New reference. */
json_t *judge_quality_json(const judge_quality *f);

/* Of the stored trees of one iteration (STORE_ALL: all); freed by judge_scores_free. */
esp_status judge_scores_of_trees(store *s, int64_t iteration, judge_scores *out, esp_error *error);

#define JUDGE_TRAIN "train" /* store_judgement.source */
#define JUDGE_EVAL  "eval"
/* Keeps the figures of both classes in the store, those that have nodes. */
esp_status judge_record(const judge_quality *finished, const judge_quality *unfinished, int64_t iteration,
                        const char *source, store *s, esp_error *error);
/* A stored row as figures: the same numbers. Fails where its bins are not what judge_record writes. */
esp_status judge_quality_read(const store_judgement *row, judge_quality *out, esp_error *error);

/* {"area", "low", "high", "positives", "negatives"}; NAN becomes null. New reference. */
json_t *judge_auc_json(metrics_auc a);

#endif
