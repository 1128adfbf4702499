/* How well scores order positives above negatives: areas under the ROC curve, pooled and within groups, with
 * intervals that know that rows of one cluster (the nodes of one problem's trees) are not independent. Pure
 * functions of the rows; the same rows give the same interval. */
#ifndef ESPALIER_EVAL_AREA_H
#define ESPALIER_EVAL_AREA_H

#include "eval/metrics.h"

typedef struct {
    double score;
    bool positive;
    int64_t cluster; /* what is drawn as a whole: a problem */
    int64_t group;   /* area_within compares rows of equal group; a group is part of one cluster */
} area_row;

/* Intervals are 95% percentiles of the cluster bootstrap (Field and Welsh 2007): clusters are drawn with
 * replacement, 1,000 times. Where every comparison comes out the same way no draw differs, and the interval
 * is Wilson's with one trial per cluster. Of fewer than two clusters it is the widest. */

/* The chance that a positive row scores above a negative one, of any cluster; ties count half (Mann-Whitney).
 * NAN when a class is empty or a score is NAN. */
typedef struct {
    double area;
    metrics_interval interval;
    int64_t positives, negatives;
} area_pool;
area_pool area_pooled(const area_row *rows, int64_t n);

/* The same of rows of one group alone: of all pairs of a positive and a negative row of equal group, the
 * share in which the positive row scores higher. With a group per problem this is the AUC within problems,
 * with a group per parent the accuracy among siblings. */
typedef struct {
    double share; /* NAN without comparisons, or when a score is NAN */
    metrics_interval interval;
    int64_t comparisons, clusters; /* clusters: those that have comparisons */
} area_share;
area_share area_within(const area_row *rows, int64_t n);

#endif
