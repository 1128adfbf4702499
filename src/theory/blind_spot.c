/* T6, the blind spot: data that never shows what it raises (docs/theory.md 6). */
#include "theory/loglinear.h"
#include "theory/topic.h"

#include <math.h>

enum { BEST, BAD, OTHER, ROUNDS = 60, DRAWS = 100 };
static const double DOUBT = 0.1; /* alpha: a solved pair has the margin log 9 (docs/theory.md 2) */

static const loglinear FIRST = {
    .answers = 3,
    .features = 2,
    .phi = {[BEST] = {1, 1}, [BAD] = {2.2, 0}, [OTHER] = {0, 0}},
};

static loglinear first_policy(void) {
    loglinear policy = FIRST;
    double chances[] = {[BEST] = 0.02, [BAD] = 1e-4, [OTHER] = 0.9799};
    for (int y = 0; y < 3; y++) policy.log_base[y] = log(chances[y]);
    return policy;
}

/* M draws make at least one pair of the best answer and `y` on average. */
static bool joins(const double *logp, int y) {
    return 2.0 * DRAWS * exp(logp[BEST] + logp[y]) >= 1;
}

typedef struct {
    double best[ROUNDS + 1], bad[ROUNDS + 1];
    int first_bad_pair; /* the round; ROUNDS: none */
} course;

/* The step of theta that gives every pair in the data the margin log 9, and is the smallest such. */
typedef void (*step_rule)(loglinear *policy, bool with_other, bool with_bad);

/* In closed form, of the differences of phi: (1, 1) for the best against others, (-1.2, 1) against bad. */
static void step_by_formula(loglinear *policy, bool with_other, bool with_bad) {
    double c = log((1 - DOUBT) / DOUBT);
    if (with_other && with_bad) {
        policy->theta[1] += c;
    } else if (with_other) {
        policy->theta[0] += c / 2;
        policy->theta[1] += c / 2;
    } else if (with_bad) {
        policy->theta[0] -= 1.2 * c / 2.44;
        policy->theta[1] += c / 2.44;
    }
}

/* By descending the program's loss, with the policy before the round as the reference. */
static void step_by_descent(loglinear *policy, bool with_other, bool with_bad) {
    preference pairs[2];
    int count = 0;
    double reference[LOGLINEAR_ANSWERS];
    if (with_other) pairs[count++] = (preference){BEST, OTHER, DOUBT};
    if (with_bad) pairs[count++] = (preference){BEST, BAD, DOUBT};
    if (count == 0) return;
    loglinear_logprobs(policy, reference);
    if (!isfinite(loglinear_fit(policy, pairs, count, 1, reference))) policy->theta[0] = NAN;
}

static void run(bool on_policy, step_rule step, course *out) {
    loglinear policy = first_policy();
    out->first_bad_pair = ROUNDS;
    for (int i = 0; i <= ROUNDS; i++) {
        double logp[LOGLINEAR_ANSWERS];
        loglinear_logprobs(&policy, logp);
        out->best[i] = exp(logp[BEST]);
        out->bad[i] = exp(logp[BAD]);
        bool with_other = !on_policy || joins(logp, OTHER), with_bad = on_policy && joins(logp, BAD);
        if (with_bad && i < out->first_bad_pair) out->first_bad_pair = i;
        step(&policy, with_other, with_bad);
    }
}

static void draw(theory_table *t, const course *offline, const course *online) {
    theory_figure *figure = theory_add_figure(
        t, (theory_figure){.title = "The blind spot: offline data raises what it never shows",
                           .caption = "The bad answer shares a feature with the best one. On-policy, it is "
                                      "sampled as it grows, and pairs stop it.",
                           .x = "rounds",
                           .y = "probability"});
    const struct {
        const char *name;
        const double *y;
    } lines[] = {{"best, offline", offline->best},
                 {"bad, offline", offline->bad},
                 {"best, on-policy", online->best},
                 {"bad, on-policy", online->bad}};
    for (int l = 0; l < 4; l++) {
        theory_line *line = theory_add_line(figure, lines[l].name);
        for (int i = 0; i <= ROUNDS; i += i < 4 ? 1 : 4) theory_add_point(line, i, lines[l].y[i]);
    }
}

static void compute(theory_table *t, rng_key_t key) {
    (void)key;
    static const int shown[] = {0, 1, 2, 3, 5, 10, 20, 24, 25, 30, 40, 60};
    course predicted[2], computed[2];
    for (int p = 0; p < 2; p++) {
        run(p == 1, step_by_formula, &predicted[p]);
        run(p == 1, step_by_descent, &computed[p]);
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
            theory_add(t,
                       (theory_value){.quantity = p ? "pi(best), on-policy" : "pi(best), offline",
                                      .prediction = predicted[p].best[shown[i]],
                                      .computed = computed[p].best[shown[i]],
                                      .allowed = ALLOWED_DESCENT},
                       "round %d", shown[i]);
    }
    theory_add(t,
               (theory_value){.quantity = "pi(bad), on-policy",
                              .prediction = predicted[1].bad[ROUNDS],
                              .computed = computed[1].bad[ROUNDS],
                              .allowed = ALLOWED_DESCENT},
               "round %d", ROUNDS);
    theory_add(t,
               (theory_value){.quantity = "round of the first pair with bad",
                              .prediction = predicted[1].first_bad_pair,
                              .computed = computed[1].first_bad_pair},
               "on-policy");
    draw(t, &computed[0], &computed[1]);
}

const theory_topic theory_blind_spot = {
    .title = "The blind spot of offline data",
    .about = "A log-linear policy over a best answer, a bad one that shares a feature with it, and others. "
             "Each round takes the smallest step of theta that gives every pair in the data the margin "
             "log 9. Offline there are only pairs of the best answer with others; on-policy a pair joins "
             "when 100 draws make it at least once on average.",
    .compute = compute,
};
