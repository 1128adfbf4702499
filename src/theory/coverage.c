/* T1, coverage: what no pair has shown is not learned (docs/theory.md 1). */
#include "theory/loglinear.h"
#include "theory/topic.h"

#include <math.h>

/* Answers are numbered from the best, which is right, to the worst. */
enum { BAD_ANSWERS = 8, ANSWERS = BAD_ANSWERS + 1, WORST = BAD_ANSWERS, RUNS = 1000 };

/* Whether a pair rules an answer out. It does where the policy that ranks all answers correctly, but this one
 * first, has more than no loss on it: 100 nats from rank to rank, so that a loss is either 0 to rounding or
 * at least 100. */
static bool rules_out(int answer, int chosen, int rejected) {
    double logp[ANSWERS], reference[ANSWERS] = {0}, dlogp[2];
    for (int y = 0; y < ANSWERS; y++) logp[y] = y == answer ? 0 : -100.0 * (y + 1);
    preference pair = {.chosen = chosen, .rejected = rejected};
    return preference_loss(1, pair, logp, reference, dlogp) > 1;
}

/* The chance that one pair of two draws does not rule the worst answer out. It is drawn with probability e;
 * the others share the rest. Two equal draws are no pair. */
static double kept_by_one_pair(double e) {
    double kept = 0;
    for (int i = 0; i < ANSWERS; i++)
        for (int j = 0; j < ANSWERS; j++) {
            double p = (i == WORST ? e : (1 - e) / BAD_ANSWERS) * (j == WORST ? e : (1 - e) / BAD_ANSWERS);
            bool kept_here = i == j || !rules_out(WORST, i < j ? i : j, i < j ? j : i);
            kept += kept_here ? p : 0;
        }
    return kept;
}

static void compute_fixed_sampler(theory_table *t) {
    static const struct {
        double e;
        int pairs;
    } cases[] = {{0.01, 20}, {0.01, 50}, {0.001, 300}, {1e-4, 300}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double e = cases[i].e, one = kept_by_one_pair(e), computed = 1;
        int M = cases[i].pairs;
        for (int k = 0; k < M; k++) computed *= one;
        theory_add(t,
                   (theory_value){.quantity = "P(not ruled out)",
                                  .prediction = pow(1 - 2 * e * (1 - e), M),
                                  .computed = computed,
                                  .allowed = ALLOWED_ROUNDING},
                   "e = %g, M = %d", e, M);
        theory_add(t,
                   (theory_value){.quantity = "its bound 1 - 2eM",
                                  .prediction = fmax(0, 1 - 2 * e * M),
                                  .computed = computed,
                                  .relation = THEORY_AT_LEAST},
                   "e = %g, M = %d", e, M);
    }
}

/* One run that samples from the uniform policy on the answers that are left, two different ones a time, until
 * one is left, which it returns. worst_at: the pair that ruled the worst answer out; pairs: how many it took.
 */
static int run_on_policy(rng_key_t key, int *worst_at, int *pairs) {
    int left[ANSWERS], count = ANSWERS;
    for (int y = 0; y < ANSWERS; y++) left[y] = y;
    for (*pairs = 0; count > 1; ++*pairs) {
        uint64_t draw = (uint64_t)*pairs * 2, size = (uint64_t)count;
        int i = (int)rng_below(key, draw, size), j = (int)rng_below(key, draw + 1, size - 1);
        if (j >= i) j++;
        int loser = left[i] > left[j] ? i : j, winner = loser == i ? j : i;
        if (!rules_out(left[loser], left[winner], left[loser])) return -1; /* the loss says otherwise */
        if (left[loser] == WORST) *worst_at = *pairs + 1;
        for (int k = loser; k + 1 < count; k++) left[k] = left[k + 1];
        count--;
    }
    return left[0];
}

static void compute_on_policy(theory_table *t, rng_key_t key, double *worst_left) {
    int most = 0, ended_right = 0, after[BAD_ANSWERS + 1] = {0};
    for (uint64_t run = 0; run < RUNS; run++) {
        int worst_at = 0, pairs = 0;
        ended_right += run_on_policy(rng_mix(key, run), &worst_at, &pairs) == 0;
        if (pairs > most) most = pairs;
        for (int k = 0; k <= BAD_ANSWERS; k++) after[k] += worst_at > k;
    }
    for (int k = 0; k <= BAD_ANSWERS; k++) worst_left[k] = (double)after[k] / RUNS;
    theory_add(t,
               (theory_value){.quantity = "pairs until one answer is left",
                              .prediction = BAD_ANSWERS,
                              .computed = most,
                              .relation = THEORY_AT_MOST},
               "on-policy, n = %d", BAD_ANSWERS);
    theory_add(t,
               (theory_value){.quantity = "runs that end at the optimum",
                              .prediction = 1,
                              .computed = (double)ended_right / RUNS,
                              .allowed = ALLOWED_ROUNDING},
               "on-policy, n = %d", BAD_ANSWERS);
}

static void draw(theory_table *t, const double *worst_left) {
    static const struct {
        double e;
        const char *name;
    } lines[] = {{0.01, "sampled with e = 0.01"}, {0.001, "e = 0.001"}, {1e-4, "e = 0.0001"}};
    theory_figure *figure = theory_add_figure(
        t, (theory_figure){.title = "Coverage: a rare bad answer outlives many pairs",
                           .caption = "A fixed sampler has to draw it to rule it out; on-policy it is drawn "
                                      "as soon as it is among the best that are left.",
                           .x = "pairs",
                           .y = "chance that it is not ruled out",
                           .log_x = true});
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        theory_line *line = theory_add_line(figure, lines[i].name);
        double one = kept_by_one_pair(lines[i].e);
        for (double M = 1; M <= 10001; M *= pow(10, 0.25)) theory_add_point(line, round(M), pow(one, M));
    }
    theory_line *line = theory_add_line(figure, "on-policy, 8 bad answers");
    for (int k = 1; k <= BAD_ANSWERS; k++) theory_add_point(line, k, worst_left[k]);
}

static void compute(theory_table *t, rng_key_t key) {
    double worst_left[BAD_ANSWERS + 1];
    compute_fixed_sampler(t);
    compute_on_policy(t, key, worst_left);
    draw(t, worst_left);
}

const theory_topic theory_coverage = {
    .title = "Coverage",
    .about =
        "One optimum and bad answers; pairs without noise. A fixed sampler draws the worst answer with "
        "probability e; only a pair with it rules it out, that is, gives a loss to a policy that likes it "
        "best. On-policy, only answers that are not ruled out are drawn, here in 1,000 runs.",
    .compute = compute,
};
