/* Accuracy against compute (docs/method.md 7): what a run's training and what more work on an answer give for
 * the same tokens. Both are on one axis of tokens computed: a point is a policy and a way to answer, and its
 * tokens are those that training took from the first policy to that one, and those of answering. SFT is not
 * counted: the first policy is where all lines begin. */
#ifndef ESPALIER_EVAL_CURVES_H
#define ESPALIER_EVAL_CURVES_H

#include "eval/evaluate.h"

typedef struct {
    int64_t iteration; /* whose policy answers; of a cumulative line: the last of those that do */
    int64_t k;         /* samples; 1 for other ways */
    double training;   /* tokens computed by search and updates of the iterations 1 .. iteration */
    double answering;  /* tokens computed, a problem */
    double share;      /* of problems */
    metrics_interval interval;
} curve_point;

/* CURVE_CHECKPOINTS: the run's own evaluation, at each checkpoint. CURVE_CUMULATIVE: a problem counts from
 * the first checkpoint on whose evaluation has a correct answer to it (the paper's cumulative pass rate).
 * The others are of one policy each: of the samples of its evaluation the majority (maj@k) or any (pass@k);
 * the path that a search commits to, the vote of its tree, any of its chains. */
typedef enum {
    CURVE_CHECKPOINTS,
    CURVE_MAJORITY,
    CURVE_SEARCH,
    CURVE_VOTE,
    CURVE_CUMULATIVE,
    CURVE_PASS,
    CURVE_ANY,
    CURVE_KINDS
} curve_kind;

typedef struct {
    curve_kind kind;
    const char *name;  /* "greedy, each checkpoint", "maj@k", "search without self-evaluation: vote" */
    int64_t iteration; /* of the one policy; -1: each point is of its own */
    MEM_LIST(curve_point) points; /* by tokens */
} curve;

typedef struct {
    int64_t problems;    /* the first ones of the set: those that all evaluations share */
    int64_t asked;       /* of the largest evaluation */
    int64_t first, last; /* iterations that were evaluated */
    MEM_LIST(curve) curves;
    int64_t left_out; /* evaluations of other problems */
} curve_set;

/* Whether a problem counts where any of several answers is correct: nobody says which one it is. */
bool curve_is_pass(curve_kind kind);

/* Of a run's evaluations on eval.set (but for choices, which computes no answers). t: evaluation.task. Freed
 * by curves_free; without evaluations there are no curves. */
esp_status curves_read(curve_set *out, store *s, const recipe *r, const task *t, esp_error *error);
void curves_free(curve_set *set);

/* The means over runs of one method, of the points that all of them have; intervals are Student's t over the
 * runs, within 0 and 1. n >= 2. Freed by curves_free. */
void curves_average(const curve_set *sets, int n, curve_set *out);

/* Tokens computed for this policy and its answers to a number of problems. */
double curve_tokens(const curve_point *p, double problems);

#endif
