/* Pairs of a whole tree and smoothing by evidence, against plain second implementations on random trees. */
#include "synthetic.h"

#define SEEDS 300

/* P(Y > X), X ~ Beta(a, b), Y ~ Beta(c, d), by Simpson's rule over y: integral of Y's density times X's
 * distribution function, itself summed up on the way. */
static double by_quadrature(double a, double b, double c, double d) {
    enum { PARTS = 20000 };
    double beta_x = lgamma(a) + lgamma(b) - lgamma(a + b), beta_y = lgamma(c) + lgamma(d) - lgamma(c + d),
           below = 0, sum = 0;
    for (int i = 0; i < PARTS; i++) {
        double x = (i + 0.5) / PARTS;
        double fx = exp((a - 1) * log(x) + (b - 1) * log(1 - x) - beta_x) / PARTS;
        double fy = exp((c - 1) * log(x) + (d - 1) * log(1 - x) - beta_y) / PARTS;
        sum += fy * (below + fx / 2);
        below += fx;
    }
    return sum;
}

static void doubt_is_the_posterior(void **state) {
    (void)state;
    assert_true(fabs(search_order_doubt(0, 0, 0, 0) - 0.5) < 1e-12);
    assert_true(fabs(search_order_doubt(1, 0, 0, 1) - 1.0 / 6) < 1e-12);
    assert_true(fabs(search_order_doubt(1, 0, 0, 0) - 1.0 / 3) < 1e-12);
    for (int64_t rw = 0; rw < 7; rw++)
        for (int64_t ww = 0; ww < 7; ww++)
            for (int64_t rl = 0; rl < 7; rl += 2)
                for (int64_t wl = 0; wl < 7; wl += 3) {
                    double doubt = search_order_doubt(rw, ww, rl, wl);
                    double want =
                        by_quadrature(1 + (double)rw, 1 + (double)ww, 1 + (double)rl, 1 + (double)wl);
                    assert_true(fabs(doubt - want) < 1e-6);
                    assert_true(fabs(doubt + search_order_doubt(rl, wl, rw, ww) - 1) < 1e-9);
                    assert_true(search_order_doubt(rw + 1, ww, rl, wl) < doubt);
                    assert_true(search_order_doubt(rw, ww, rl, wl + 1) < doubt);
                }
    /* Counts at which the terms themselves are below the smallest double. */
    assert_true(search_order_doubt(9999, 1, 1, 9999) == 0);
    assert_true(fabs(search_order_doubt(1, 9999, 9999, 1) - 1) < 1e-9);
    assert_true(fabs(search_order_doubt(5000, 5000, 5000, 5000) - 0.5) < 1e-9);
}

/* ---- a second implementation: by walking down from each child ---- */

static void count_below(const search *s, int32_t node, int64_t out[2]) {
    search_node n = search_node_at(s, node);
    if (n.outcome == SEARCH_RIGHT) out[0]++;
    if (n.outcome == SEARCH_WRONG) out[1]++;
    if (n.outcome == SEARCH_CUT && search_config_of(s)->cut_reward < 0) out[1]++;
    for (int32_t i = 1; i < search_node_count(s); i++)
        if (search_node_at(s, i).parent == node) count_below(s, i, out);
}

static double plain_doubt(const search *s, int32_t w, int32_t l) {
    int64_t a[2] = {0}, b[2] = {0};
    if (search_config_of(s)->smoothing == SEARCH_SMOOTHING_VISITS) {
        double N_w = (double)search_node_at(s, w).N, N_l = (double)search_node_at(s, l).N;
        return N_l / (fmax(1, N_w) + N_l);
    }
    count_below(s, w, a);
    count_below(s, l, b);
    return search_order_doubt(a[0], a[1], b[0], b[1]);
}

static bool may_stand(const search *s, int32_t node) {
    int64_t seen[2] = {0};
    if (search_config_of(s)->smoothing == SEARCH_SMOOTHING_VISITS)
        return search_config_of(s)->pairs_from == SEARCH_PAIRS_ALL || search_node_at(s, node).N > 0;
    count_below(s, node, seen);
    return seen[0] + seen[1] > 0;
}

/* The winner for a rejected node, or -1. */
static int32_t plain_winner(const search *s, int32_t l) {
    search_node loser = search_node_at(s, l);
    int32_t best = -1;
    if (search_node_at(s, loser.parent).N == 0 || !may_stand(s, l)) return -1;
    for (int32_t w = 1; w < search_node_count(s); w++) {
        search_node n = search_node_at(s, w);
        if (n.parent != loser.parent || !may_stand(s, w)) continue;
        if (!(n.Q - loser.Q > search_config_of(s)->min_q_gap)) continue;
        double mine = plain_doubt(s, w, l), its = best < 0 ? 2 : plain_doubt(s, best, l);
        if (mine < its || (mine == its && n.Q > search_node_at(s, best).Q)) best = w;
    }
    return best;
}

static search_config all_config(uint64_t seed) {
    search_config c = synthetic_config(seed);
    c.pairs_at = SEARCH_PAIRS_AT_ALL;
    c.smoothing = seed % 3 ? SEARCH_SMOOTHING_EVIDENCE : SEARCH_SMOOTHING_VISITS;
    c.min_q_gap = seed % 2 ? 0.25 : 0;
    c.cut_reward = seed % 5 ? -1 : 0;
    c.simulations = 1 + c.simulations / 2;
    return c;
}

static void every_losing_step_once(void **state) {
    (void)state;
    int64_t seen = 0, off_path = 0, capped = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = all_config(seed);
        synthetic *y = synthetic_run(&config, seed);
        const search *s = y->s;
        int32_t at = 0;
        int32_t last_state = 0;
        for (int32_t i = 0; i < search_pair_count(s); i++)
            assert_true(search_pair_at(s, i).state >= last_state), last_state = search_pair_at(s, i).state;
        for (int32_t l = 1; l < search_node_count(s); l++) {
            int32_t w = plain_winner(s, l), found = -1;
            for (int32_t i = 0; i < search_pair_count(s); i++)
                if (search_pair_at(s, i).rejected == l) {
                    assert_int_equal(found, -1);
                    found = i;
                }
            assert_int_equal(w >= 0, found >= 0);
            if (w < 0) continue;
            search_pair pair = search_pair_at(s, found);
            double doubt = plain_doubt(s, w, l);
            assert_int_equal(pair.chosen, w);
            assert_int_equal(pair.state, search_node_at(s, l).parent);
            assert_true(pair.alpha == fmin(doubt, config.smoothing_cap));
            assert_true(pair.q_chosen == search_node_at(s, w).Q && pair.n_rejected == search_node_at(s, l).N);
            capped += doubt > config.smoothing_cap;
            off_path += pair.step < 0;
            if (pair.step >= 0) {
                assert_int_equal(search_step_at(s, pair.step).state, pair.state);
                assert_true(search_step_at(s, pair.step).has_pair);
            }
            at++;
        }
        assert_int_equal(at, search_pair_count(s));
        seen += at;
        synthetic_free(y);
    }
    if (!(seen > 3 * SEEDS && off_path > SEEDS && capped > 10))
        fail_msg("%d pairs, %d off the path, %d capped", (int)seen, (int)off_path, (int)capped);
}

/* max_pairs keeps those of least doubt, in their order; the search itself is the same. */
static void a_cap_keeps_the_surest(void **state) {
    (void)state;
    int64_t cut = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = all_config(seed), few = config;
        config.smoothing_cap = few.smoothing_cap = 1;
        few.max_pairs = 1 + (int32_t)(seed % 4);
        synthetic *y = synthetic_run(&config, seed), *z = synthetic_run(&few, seed);
        int32_t n = search_pair_count(y->s), kept = search_pair_count(z->s), at = 0;
        assert_int_equal(kept, n < few.max_pairs ? n : few.max_pairs);
        double worst_kept = 0, best_left = 2;
        for (int32_t i = 0; i < n; i++) {
            search_pair pair = search_pair_at(y->s, i);
            if (at < kept && search_pair_at(z->s, at).rejected == pair.rejected) {
                worst_kept = fmax(worst_kept, pair.alpha);
                at++;
            } else {
                best_left = fmin(best_left, pair.alpha);
            }
        }
        assert_int_equal(at, kept);
        assert_true(kept == 0 || worst_kept <= best_left);
        cut += n - kept;
        synthetic_free(y);
        synthetic_free(z);
    }
    assert_true(cut > SEEDS);
}

/* Pairs at commitments keep their place and order under smoothing by evidence; only alpha is another. */
static void evidence_at_commitments(void **state) {
    (void)state;
    int64_t other = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = synthetic_config(seed), evidence = config;
        evidence.smoothing = SEARCH_SMOOTHING_EVIDENCE;
        synthetic *y = synthetic_run(&config, seed), *z = synthetic_run(&evidence, seed);
        assert_int_equal(search_pair_count(y->s), search_pair_count(z->s));
        for (int32_t i = 0; i < search_pair_count(y->s); i++) {
            search_pair a = search_pair_at(y->s, i), b = search_pair_at(z->s, i);
            assert_true(a.chosen == b.chosen && a.rejected == b.rejected && a.step == b.step);
            assert_true(b.alpha > 0 && b.alpha <= config.smoothing_cap);
            other += a.alpha != b.alpha;
        }
        synthetic_free(y);
        synthetic_free(z);
    }
    assert_true(other > SEEDS);
}

static void what_does_not_go_together(void **state) {
    (void)state;
    search_config config = plain_config();
    esp_error error = {0};
    config.pairs_at = SEARCH_PAIRS_AT_ALL;
    assert_int_equal(search_config_check(&config, &error), ESP_OK);
    config.join_only_child = true;
    assert_int_not_equal(search_config_check(&config, &error), ESP_OK);
    assert_non_null(strstr(error.message, "pairs_at"));
    config.join_only_child = false;
    config.loser = SEARCH_LOSER_RANDOM_SIBLING;
    assert_int_not_equal(search_config_check(&config, &error), ESP_OK);
    config.pairs_at = SEARCH_PAIRS_AT_COMMITMENTS;
    assert_int_equal(search_config_check(&config, &error), ESP_OK);
    config.smoothing = (search_smoothing_kind)2;
    assert_int_not_equal(search_config_check(&config, &error), ESP_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubt_is_the_posterior),    cmocka_unit_test(every_losing_step_once),
        cmocka_unit_test(a_cap_keeps_the_surest),    cmocka_unit_test(evidence_at_commitments),
        cmocka_unit_test(what_does_not_go_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
