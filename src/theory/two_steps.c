#include "theory/two_steps.h"

#include "search/harvest.h"
#include "search/rule.h"

#include <math.h>

double two_steps_alpha(int way, const two_counts *c) {
    harvest_options options;
    options_defaults(harvest_option_table(), &options);
    double doubt = way == BY_EVIDENCE ? harvest_order_doubt(c->right_w, c->wrong_w, c->right_l, c->wrong_l)
                                      : harvest_doubt_by_visits((double)(c->right_w + c->wrong_w),
                                                                (double)(c->right_l + c->wrong_l));
    return fmin(doubt, options.smoothing_cap);
}

static double log_loss(double alpha, double wrong) {
    return -wrong * log(alpha) - (1 - wrong) * log(1 - alpha);
}

/* The counts with the step of larger value first. False: they make no pair. */
static bool order(two_counts *c) {
    int64_t first = c->right_w + c->wrong_w, second = c->right_l + c->wrong_l;
    int64_t more = c->right_w * second - c->right_l * first;
    if (more < 0) *c = (two_counts){c->right_l, c->wrong_l, c->right_w, c->wrong_w};
    return first > 0 && second > 0 && more != 0;
}

/* ---- exactly ---- */

/* The chance of each course after k visits in all, by the first step's visits and correct answers, and the
 * second's correct answers: at [(first * (most + 1) + right_first) * (most + 1) + right_second]. */
typedef struct {
    int most, visits;
    double *chance, *next;
} courses;

static double *chance_at(const courses *c, double *table, int first, int right_first, int right_second) {
    int side = c->most + 1;
    return &table[(first * side + right_first) * side + right_second];
}

static double two_score(int visits, int right, int all) {
    double value = visits ? (2.0 * right - visits) / visits : 0;
    return value + TWO_STEPS_PRIOR * sqrt(all) / (1 + visits);
}

/* One more visit: of the step that 2.1 selects, which is right with probability (right + 1) / (visits + 2)
 * after what was seen (Laplace). */
static void visit(courses *c) {
    int k = c->visits++;
    for (int n = 0; n <= k; n++)
        for (int a = 0; a <= n; a++)
            for (int b = 0; b <= k - n; b++) {
                double *here = chance_at(c, c->chance, n, a, b);
                bool second = two_score(k - n, b, k) > two_score(n, a, k);
                double right = second ? (b + 1.0) / (k - n + 2) : (a + 1.0) / (n + 2);
                int first = n + !second;
                *chance_at(c, c->next, first, a + !second, b + second) += *here * right;
                *chance_at(c, c->next, first, a, b) += *here * (1 - right);
                *here = 0;
            }
    double *done = c->chance;
    c->chance = c->next;
    c->next = done;
}

typedef struct {
    double pairs, wrong, alpha[WAYS], log_loss[WAYS], excess[WAYS][JUDGE_BINS];
} exact_sums;

static void add_course(exact_sums *s, double chance, two_counts counts) {
    if (!order(&counts)) return;
    double wrong = harvest_order_doubt(counts.right_w, counts.wrong_w, counts.right_l, counts.wrong_l);
    s->pairs += chance;
    s->wrong += chance * wrong;
    for (int way = 0; way < WAYS; way++) {
        double alpha = two_steps_alpha(way, &counts);
        s->alpha[way] += chance * alpha;
        s->log_loss[way] += chance * log_loss(alpha, wrong);
        s->excess[way][(int)(alpha * JUDGE_BINS)] += chance * (alpha - wrong);
    }
}

two_steps_quality two_steps_exact(int visits) {
    int64_t side = visits + 1;
    courses c = {.most = visits,
                 .chance = MEM_ARRAY(double, side *side *side),
                 .next = MEM_ARRAY(double, side *side *side)};
    exact_sums s = {0};
    *c.chance = 1;
    while (c.visits < visits) visit(&c);
    for (int n = 0; n <= visits; n++)
        for (int a = 0; a <= n; a++)
            for (int b = 0; b <= visits - n; b++) {
                double chance = *chance_at(&c, c.chance, n, a, b);
                if (chance > 0) add_course(&s, chance, (two_counts){a, n - a, b, visits - n - b});
            }
    mem_free(c.chance);
    mem_free(c.next);
    two_steps_quality out = {.wrong = s.wrong / s.pairs};
    for (int way = 0; way < WAYS; way++) {
        double error = 0;
        for (int i = 0; i < JUDGE_BINS; i++) error += fabs(s.excess[way][i]);
        out.of[way] = (alpha_quality){s.alpha[way] / s.pairs, error / s.pairs, s.log_loss[way] / s.pairs};
    }
    return out;
}

/* ---- by simulation ---- */

/* The tree: the state, its two steps, and below them one finished chain per visit. */
enum { STATE, FIRST, SECOND, CHAINS };

static void plant(tree_node *nodes) {
    nodes[STATE] = (tree_node){.p = 1, .parent = -1, .first_child = FIRST, .next_sibling = -1, .children = 2};
    for (int i = FIRST; i <= SECOND; i++)
        nodes[i] = (tree_node){.p = TWO_STEPS_PRIOR,
                               .parent = STATE,
                               .first_child = -1,
                               .next_sibling = i == FIRST ? SECOND : -1,
                               .depth = 1};
}

/* A simulation: the rule selects a step and backs up the chain that was sampled below it. */
static void simulate(const search_rule *rule, const void *options, tree_view *v, int32_t leaf,
                     const double *theta, double u) {
    if (rule->begin) rule->begin(v, options);
    int32_t step = rule->select(v, options, STATE);
    bool right = u < theta[step - FIRST];
    tree_node *above = &v->nodes[step];
    v->nodes[leaf] = (tree_node){.r = right ? 1 : -1,
                                 .Q = right ? 1 : -1,
                                 .p = 1,
                                 .parent = step,
                                 .first_child = -1,
                                 .next_sibling = above->first_child,
                                 .depth = 2,
                                 .outcome = right ? SEARCH_RIGHT : SEARCH_WRONG,
                                 .ended = 1};
    above->first_child = leaf;
    above->children++;
    rule->backup(v, options, leaf);
}

static void count_chains(const tree_node *nodes, int32_t step, int64_t *right, int64_t *wrong) {
    for (int32_t i = nodes[step].first_child; i >= 0; i = nodes[i].next_sibling)
        ++*(nodes[i].outcome == SEARCH_RIGHT ? right : wrong);
}

/* Lets the rule visit the two steps. False: no pair. */
static bool search_pair(const search_config *config, tree_node *nodes, int visits, rng_key_t key,
                        two_counts *counts, bool *wrong) {
    const search_rule *rule = search_rule_at(config->rule);
    double theta[2] = {rng_uniform(key, 0), rng_uniform(key, 1)};
    plant(nodes);
    tree_view v = {
        .nodes = nodes, .root = STATE, .simulations = visits, .gamma = config->rewards.gamma, .key = key};
    for (int32_t k = 0; k < visits; k++)
        simulate(rule, &config->rule_options, &v, CHAINS + k, theta, rng_uniform(key, 2 + (uint64_t)k));
    *counts = (two_counts){0};
    bool second = nodes[SECOND].Q > nodes[FIRST].Q;
    count_chains(nodes, second ? SECOND : FIRST, &counts->right_w, &counts->wrong_w);
    count_chains(nodes, second ? FIRST : SECOND, &counts->right_l, &counts->wrong_l);
    *wrong = second ? theta[0] > theta[1] : theta[1] > theta[0];
    return nodes[FIRST].N > 0 && nodes[SECOND].N > 0 && nodes[FIRST].Q != nodes[SECOND].Q;
}

/* A mean of a simulation is this many standard errors from its expectation once in 16,000 times. */
#define NOISE 4

typedef struct {
    double sum, squares;
} sums;

static void add(sums *s, double x) {
    s->sum += x;
    s->squares += x * x;
}

static double mean_of(const sums *s, int64_t n) {
    return s->sum / (double)n;
}

static double noise_of(const sums *s, int64_t n) {
    double mean = mean_of(s, n);
    return NOISE * sqrt(fmax(0, s->squares / (double)n - mean * mean) / (double)n);
}

static double bins_noise(const judge_calibration *c) {
    double sum = 0;
    for (int i = 0; i < JUDGE_BINS; i++) {
        const judge_bin *b = &c->bins[i];
        if (b->nodes) sum += sqrt((double)b->nodes * b->share * (1 - b->share));
    }
    return NOISE * sum / (double)c->nodes;
}

two_steps_simulation two_steps_simulate(int visits, int64_t pairs, rng_key_t key) {
    search_config config;
    search_config_defaults(&config);
    tree_node *nodes = MEM_ARRAY(tree_node, CHAINS + visits);
    area_row *rows[WAYS];
    for (int way = 0; way < WAYS; way++) rows[way] = MEM_ARRAY(area_row, pairs);
    int64_t kept = 0;
    sums order_wrong = {0}, alphas[WAYS] = {{0}}, losses[WAYS] = {{0}};
    for (uint64_t attempt = 0; kept < pairs; attempt++) {
        two_counts counts;
        bool wrong;
        if (!search_pair(&config, nodes, visits, rng_mix(key, attempt), &counts, &wrong)) continue;
        add(&order_wrong, wrong);
        for (int way = 0; way < WAYS; way++) {
            double alpha = two_steps_alpha(way, &counts);
            add(&alphas[way], alpha);
            add(&losses[way], log_loss(alpha, wrong));
            rows[way][kept] = (area_row){.score = alpha, .positive = wrong};
        }
        kept++;
    }
    mem_free(nodes);
    two_steps_simulation out = {.mean.wrong = mean_of(&order_wrong, pairs),
                                .noise.wrong = noise_of(&order_wrong, pairs)};
    for (int way = 0; way < WAYS; way++) {
        judge_calibration c = out.bins[way] = judge_calibrate(rows[way], pairs);
        out.mean.of[way] =
            (alpha_quality){mean_of(&alphas[way], pairs), c.error, mean_of(&losses[way], pairs)};
        out.noise.of[way] =
            (alpha_quality){noise_of(&alphas[way], pairs), bins_noise(&c), noise_of(&losses[way], pairs)};
        mem_free(rows[way]);
    }
    return out;
}
