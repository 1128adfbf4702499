/* T4, convergence with iterations (docs/theory.md 4). */
#include "search/harvest.h"
#include "theory/loglinear.h"
#include "theory/topic.h"

#include <math.h>
#include <string.h>

enum { DEPTH = 4, ITERATIONS = 9 };
static const double RIGHT_AT_FIRST = 0.3;

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* 3 visits of the correct step, 1 of the incorrect one: alpha = 1/4, so log 3 more log-odds. */
static double predict(int iterations) {
    double odds = log(RIGHT_AT_FIRST / (1 - RIGHT_AT_FIRST)) + iterations * log(3);
    return pow(sigmoid(odds), DEPTH);
}

/* One policy per depth, each over the correct step and the incorrect one. */
typedef struct {
    loglinear at[DEPTH];
} depth_policies;

static double chance_of_leaf(const depth_policies *policies) {
    double chance = 1, logp[2];
    for (int d = 0; d < DEPTH; d++) {
        loglinear_logprobs(&policies->at[d], logp);
        chance *= exp(logp[0]);
    }
    return chance;
}

/* An iteration: at each depth the loss is minimised, with the given policies as the reference. */
static void iterate(depth_policies *policies, const depth_policies *reference) {
    preference pair = {.chosen = 0, .rejected = 1, .alpha = harvest_doubt_by_visits(3, 1)};
    for (int d = 0; d < DEPTH; d++) {
        double logp[2];
        loglinear_logprobs(&reference->at[d], logp);
        if (!isfinite(loglinear_fit(&policies->at[d], &pair, 1, 1, logp))) policies->at[d].theta[0] = NAN;
    }
}

static void run(bool previous, double *chances) {
    depth_policies policies, first, reference;
    for (int d = 0; d < DEPTH; d++)
        first.at[d] = (loglinear){.answers = 2,
                                  .features = 1,
                                  .log_base = {log(RIGHT_AT_FIRST), log(1 - RIGHT_AT_FIRST)},
                                  .phi = {{1}, {0}}};
    policies = first;
    chances[0] = chance_of_leaf(&policies);
    for (int i = 1; i <= ITERATIONS; i++) {
        reference = previous ? policies : first;
        iterate(&policies, &reference);
        chances[i] = chance_of_leaf(&policies);
    }
}

static void draw(theory_table *t, const double *previous, const double *sft) {
    theory_figure *figure = theory_add_figure(
        t, (theory_figure){.title = "Convergence: the reference decides whether iterations add up",
                           .caption = "The same lesson in every iteration. With the last iteration's policy "
                                      "as the reference the log-odds add up; with the first policy they do "
                                      "not.",
                           .x = "iterations",
                           .y = "chance of the correct leaf"});
    theory_line *line = theory_add_line(figure, "reference: previous");
    for (int i = 0; i <= ITERATIONS; i++) theory_add_point(line, i, previous[i]);
    line = theory_add_line(figure, "reference: sft");
    for (int i = 0; i <= ITERATIONS; i++) theory_add_point(line, i, sft[i]);
}

static void compute(theory_table *t, rng_key_t key) {
    (void)key;
    double previous[ITERATIONS + 1], sft[ITERATIONS + 1];
    run(true, previous);
    run(false, sft);
    for (int i = 0; i < ITERATIONS; i++)
        theory_add(t,
                   (theory_value){.quantity = "pi(correct leaf), reference previous",
                                  .prediction = predict(i),
                                  .computed = previous[i],
                                  .allowed = ALLOWED_DESCENT},
                   "iteration %d", i);
    for (int i = 4; i < ITERATIONS; i++)
        theory_add(t,
                   (theory_value){.quantity = "(1 - pi_next) / (1 - pi), to 1/3",
                                  .prediction = (1 - predict(i + 1)) / (1 - predict(i)),
                                  .computed = (1 - previous[i + 1]) / (1 - previous[i]),
                                  .allowed = ALLOWED_DESCENT},
                   "iteration %d", i);
    for (int i = 0; i < 4; i++)
        theory_add(t,
                   (theory_value){.quantity = "pi(correct leaf), reference sft",
                                  .prediction = predict(i > 0),
                                  .computed = sft[i],
                                  .allowed = ALLOWED_DESCENT},
                   "iteration %d", i);
    draw(t, previous, sft);
}

const theory_topic theory_iterations = {
    .title = "Convergence with iterations",
    .about =
        "A tree of depth 4 with two steps per state and one correct leaf; the correct step has probability "
        "0.3 at first. In each iteration the loss dpo is minimised at every depth, with beta 1 and 3 "
        "visits against 1 (alpha 0.25).",
    .compute = compute,
};
