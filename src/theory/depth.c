/* T5, coverage in depth: why trees must come from the policy that learns (docs/theory.md 5). */
#include "theory/topic.h"

#include <math.h>

enum { DEPTH = 6, BREADTH = 3 };

/* The chance of the correct leaf of a policy that is right at the first `solved` states of the correct path
 * and uniform after them. */
static double leaf_chance(int solved) {
    return pow(BREADTH, solved - DEPTH);
}

/* ---- predictions ---- */

/* A state of the correct path at depth t is visited by at least one of M trees of the uniform policy. */
static double seen(int t, double M) {
    return t < DEPTH ? 1 - pow(1 - pow(BREADTH, -t), M) : 0;
}

static double predict_offline(double M) {
    double mean = 0;
    for (int t = 0; t < DEPTH; t++) mean += (seen(t, M) - seen(t + 1, M)) * leaf_chance(t + 1);
    return mean;
}

/* Of `trees` trees each solves one depth, and j more are solved by chance, each with probability 1/3 before
 * the tree goes wrong: the chance of exactly j (negative binomial). */
static double extra(int j, int trees) {
    double choose = 1;
    for (int i = 1; i <= j; i++) choose *= (double)(trees + i - 1) / i;
    return choose * pow(1.0 / BREADTH, j) * pow(1 - 1.0 / BREADTH, trees);
}

static double predict_online(int trees, bool all_solved) {
    double left = 1, mean = 0;
    for (int j = 0; trees + j < DEPTH; j++) {
        left -= extra(j, trees);
        mean += extra(j, trees) * leaf_chance(trees + j);
    }
    return all_solved ? left : mean + left;
}

/* ---- tree by tree ---- */

/* chance[m]: that exactly the first m states of the correct path are solved. */
typedef struct {
    double chance[DEPTH + 1];
} progress;

/* One more tree: its path follows the correct one while the sampler takes correct steps, and what it visits
 * is solved. The sampler is the policy, or the uniform one. */
static progress grow_tree(const progress *before, bool on_policy) {
    progress after = {{0}};
    for (int m = 0; m <= DEPTH; m++) {
        double here = before->chance[m];
        for (int t = 0; t < DEPTH; t++) { /* the path is at the correct state of depth t */
            double right = on_policy && t < m ? 1 : 1.0 / BREADTH, leaves = t + 1 < DEPTH ? 1 - right : 1;
            after.chance[t + 1 > m ? t + 1 : m] += here * leaves;
            here *= right;
        }
    }
    return after;
}

static double mean_leaf_chance(const progress *p) {
    double mean = 0;
    for (int m = 0; m <= DEPTH; m++) mean += p->chance[m] * leaf_chance(m);
    return mean;
}

/* ---- the table ---- */

static void add(theory_table *t, bool on_policy, int trees, const progress *p) {
    const char *how = on_policy ? "on-policy" : "offline";
    theory_add(t,
               (theory_value){.quantity = "E pi(correct leaf)",
                              .prediction = on_policy ? predict_online(trees, false) : predict_offline(trees),
                              .computed = mean_leaf_chance(p),
                              .allowed = ALLOWED_ROUNDING},
               "%s, M = %d", how, trees);
    theory_add(t,
               (theory_value){.quantity = "P(all solved)",
                              .prediction = on_policy ? predict_online(trees, true) : seen(DEPTH - 1, trees),
                              .computed = p->chance[DEPTH],
                              .allowed = ALLOWED_ROUNDING},
               "%s, M = %d", how, trees);
}

/* Grows trees up to the last of `at`, adds the values after each of these numbers, and draws the line. */
static void grow(theory_table *t, theory_line *line, bool on_policy, const int *at, int count) {
    progress now = {{1}};
    int next = 0;
    double drawn = 1;
    for (int trees = 1; next < count; trees++) {
        now = grow_tree(&now, on_policy);
        if (trees >= drawn) {
            theory_add_point(line, trees, fmin(1, mean_leaf_chance(&now))); /* rounding may exceed 1 */
            drawn = trees < 10 ? trees + 1 : drawn * 1.2;
        }
        if (trees == at[next]) {
            add(t, on_policy, trees, &now);
            next++;
        }
    }
}

static void compute(theory_table *t, rng_key_t key) {
    (void)key;
    static const int offline[] = {1, 6, 12, 27, 81, 243, 1000}, online[] = {1, 2, 3, 4, 5, 6};
    theory_figure *figure = theory_add_figure(
        t, (theory_figure){.title = "Coverage in depth: six trees on-policy, a thousand offline",
                           .caption = "A state of the correct path is learned once a tree visits it. The "
                                      "policy that has learned goes straight to the next one.",
                           .x = "trees",
                           .y = "mean chance of the correct leaf",
                           .log_x = true});
    grow(t, theory_add_line(figure, "trees of the first policy"), false, offline, 7);
    grow(t, theory_add_line(figure, "trees of the policy that learns"), true, online, 6);
}

const theory_topic theory_depth = {
    .title = "Coverage in depth: why on-policy",
    .about =
        "A tree of depth 6 with three steps per state and one correct leaf; the first policy is uniform. "
        "The values of a visited state are exact, so it is solved: the policy takes the correct step "
        "there from then on. M trees of the first policy (offline), or of the policy as it is.",
    .compute = compute,
};
