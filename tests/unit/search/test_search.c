/* What must hold of every search, on random trees (the exact numbers are
 * tests/unit/policy/test_scripted.c's). */
#include "search/tree.h"
#include "synthetic.h"

#define SEEDS 300

/* (2.6) A node's visits are those that went on to a child and those that ended there. */
static void visits_add_up(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = synthetic_config(seed);
        synthetic *y = synthetic_run(&config, seed);
        int64_t all = 0;
        for (int32_t i = 0; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i);
            int64_t below = 0;
            for (int32_t j = 0; j < n.children; j++) {
                search_node child = search_node_at(y->s, n.first_child + j);
                assert_int_equal(child.parent, i);
                assert_int_equal(child.depth, n.depth + 1);
                below += child.N;
            }
            all += n.N;
            assert_true(n.children == 0 || n.first_child > i);
            assert_true(!n.children || !search_outcome_is_ended(n.outcome));
            /* Below the last root's ancestors some simulations started at the child itself. */
            if (n.depth >= search_node_at(y->s, search_top(y->s)).depth && n.children)
                assert_true(below <= n.N);
            if (n.N == 0) assert_true(n.V == 0 && n.Q == n.r);
        }
        search_stats stats = search_stats_of(y->s);
        assert_int_equal(all, stats.visits);
        assert_int_equal(stats.duplicates, y->duplicates);
        assert_int_equal(search_node_count(y->s), 1 + stats.candidates - stats.duplicates);
        synthetic_free(y);
    }
}

/* (2.4 to 2.6) With gamma 1 the rewards along a path telescope: R(s) + V(s) is a mean of R at the ends of
 * paths. */
static void values_are_bounded(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = synthetic_config(seed);
        synthetic *y = synthetic_run(&config, seed);
        for (int32_t i = 1; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i), above = search_node_at(y->s, n.parent);
            assert_true(n.R == n.O + n.C && n.r == n.R - above.R);
            assert_true(n.Q + above.R > -1 - 1e-9 && n.Q + above.R < 2 + 1e-9);
            assert_true(n.p > 0 && n.p <= 1);
            assert_true(config.rewards.judge || n.C == 0);
            if (search_outcome_is_ended(n.outcome)) assert_true(n.V == 0);
        }
        synthetic_free(y);
    }
}

/* (2.6, 2.7) Each commitment goes on from the pick of the one before, and its numbers follow from its
 * children's. */
static void commitments_are_a_path(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = synthetic_config(seed);
        synthetic *y = synthetic_run(&config, seed);
        int32_t at = 0, path[64];
        for (int32_t i = 0; i < search_commitment_count(y->s); i++) {
            search_commitment step = search_commitment_at(y->s, i);
            double reward = search_node_at(y->s, step.state).R, sum = 0;
            int64_t visits = 0;
            assert_int_equal(step.state, at);
            assert_int_equal(step.depth, i);
            for (int32_t j = 0; j < step.child_count; j++) {
                const search_child *c = &step.children[j];
                assert_true(c->Q == (c->R - reward) + c->V);
                sum += (double)c->N * c->Q;
                visits += c->N;
            }
            assert_true(fabs(step.V - sum / (double)visits) < 1e-12);
            /* All simulations from here went to a child; earlier ones may have ended here, at their horizon.
             */
            int64_t from_here =
                (int64_t)config.limits.simulations * (i == 0 ? config.limits.root_multiplier : 1);
            assert_true(visits >= from_here && visits <= step.N);
            if (i == 0) assert_int_equal(visits, step.N);
            const search_child *picked = &step.children[step.picked];
            assert_true(picked->N > 0);
            for (int32_t j = 0; j < step.child_count && puct_of(&config)->commit == PUCT_COMMIT_VISITS; j++)
                assert_true(step.children[j].N <= picked->N);
            at = picked->node;
            path[i] = at;
        }
        assert_int_equal(at, search_top(y->s));
        assert_true(search_is_done(y->s) && search_outcome_is_ended(search_node_at(y->s, at).outcome));
        int32_t walked[64];
        assert_int_equal(search_path(y->s, at, walked), search_commitment_count(y->s));
        assert_memory_equal(path, walked, (size_t)search_commitment_count(y->s) * sizeof *path);
        synthetic_free(y);
    }
}

static int64_t spread(const search *s, const search_node *n) {
    int64_t least = INT64_MAX, most = 0;
    for (int32_t i = 0; i < n->children; i++) {
        int64_t N = search_node_at(s, n->first_child + i).N;
        least = N < least ? N : least;
        most = N > most ? N : most;
    }
    return n->children ? most - least : 0;
}

/* (2.7) After the last commitment nothing changes any more, so its rule can be read off the tree. */
static void commits_by_spread(void **state) {
    (void)state;
    int64_t seen = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = synthetic_config(seed);
        puct_of(&config)->commit = PUCT_COMMIT_VISITS_TIMES_SPREAD;
        puct_of(&config)->c_puct = 20; /* visits everywhere, so that the least is not 0 */
        config.limits.simulations = 64;
        config.limits.horizon = 5;
        synthetic *y = synthetic_run(&config, seed);
        search_commitment step = search_commitment_at(y->s, search_commitment_count(y->s) - 1);
        int64_t rank[8];
        for (int32_t j = 0; j < step.child_count; j++) {
            search_node n = search_node_at(y->s, step.children[j].node);
            rank[j] = n.N * (1 + spread(y->s, &n));
            seen += spread(y->s, &n) > 0;
        }
        for (int32_t j = 0; j < step.child_count; j++) assert_true(rank[j] <= rank[step.picked]);
        synthetic_free(y);
    }
    assert_true(seen > 10);
}

static int64_t half(const tree_view *v, const void *options, const search_limits *limits) {
    assert_int_equal(v->simulations, 0);
    return rule_simulations(v, options, limits) / 2;
}

/* (2.7) K simulations start from each state that is committed from, K times root_multiplier from the
 * problem's own; a rule that needs fewer says so. */
static void the_rule_says_how_many(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = synthetic_config(seed);
        int64_t K = config.limits.simulations, of_root = K * config.limits.root_multiplier;
        synthetic *y = synthetic_run(&config, seed);
        assert_int_equal(search_stats_of(y->s).simulations,
                         of_root + K * (search_commitment_count(y->s) - 1));
        synthetic_free(y);
        y = synthetic_new(&config, seed);
        search_rule frugal = *y->s->rule;
        frugal.simulations = half;
        y->s->rule = &frugal; /* the root was asked about by search_new */
        while (synthetic_step(y)) {
        }
        assert_int_equal(search_stats_of(y->s).simulations,
                         of_root + K / 2 * (search_commitment_count(y->s) - 1));
        synthetic_free(y);
    }
}

/* The same key and replies: the same bits; alone or among others, asked once or again and again. */
static void same_bits_side_by_side(void **state) {
    (void)state;
    enum { MANY = 64 };
    synthetic *many[MANY];
    for (uint64_t i = 0; i < MANY; i++) {
        search_config config = synthetic_config(i);
        many[i] = synthetic_new(&config, i);
    }
    for (bool more = true; more;) {
        more = false;
        for (int i = MANY - 1; i >= 0; i--) {
            search_request a, b;
            search_next(many[i]->s, &a);
            search_next(many[i]->s, &b);
            assert_true(a.kind == b.kind && a.node == b.node && a.count == b.count &&
                        a.key.state == b.key.state);
            more = synthetic_step(many[i]) || more;
        }
    }
    for (uint64_t i = 0; i < MANY; i++) {
        search_config config = synthetic_config(i);
        synthetic *alone = synthetic_run(&config, i), *again = synthetic_run(&config, i);
        assert_same_search(alone->s, again->s);
        assert_same_search(alone->s, many[i]->s);
        synthetic_free(alone);
        synthetic_free(again);
        synthetic_free(many[i]);
    }
}

/* (2.3, 2.6) No request goes beyond the horizon or asks twice below a node; siblings differ in text. */
static void requests_respect_the_limits(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = synthetic_config(seed);
        synthetic *y = synthetic_new(&config, seed);
        for (;;) {
            search_request q;
            search_next(y->s, &q);
            if (q.kind == SEARCH_DONE) break;
            search_node n = search_node_at(y->s, q.node);
            int32_t top = search_node_at(y->s, search_top(y->s)).depth;
            if (q.kind == SEARCH_CANDIDATES) {
                assert_true(!n.expanded && !search_outcome_is_ended(n.outcome));
                assert_true(n.depth - top < config.limits.horizon && n.depth < config.limits.max_steps);
                assert_int_equal(q.count, n.depth == 0 ? config.limits.breadth_root : config.limits.breadth);
            } else {
                assert_true(config.rewards.judge && n.R == 0 && n.N == 0);
                assert_int_equal(q.count, search_node_at(y->s, n.parent).children);
            }
            synthetic_step(y);
        }
        for (int32_t i = 1; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i);
            for (int32_t j = search_node_at(y->s, n.parent).first_child; j < i; j++)
                assert_true(search_node_at(y->s, j).text_key != n.text_key);
        }
        synthetic_free(y);
    }
}

/* What the policy sent comes back: ids, log-probs, and the ids of a whole path. */
static void steps_are_kept(void **state) {
    (void)state;
    search_config config = plain_config();
    synthetic *y = synthetic_run(&config, 11);
    for (int32_t i = 1; i < search_node_count(y->s); i++) {
        search_node n = search_node_at(y->s, i);
        search_candidate c = synthetic_candidate(y, synthetic_key(y, i), 0, n.depth);
        assert_int_equal(n.n, c.n);
        assert_memory_equal(n.ids, c.ids, (size_t)n.n * sizeof *c.ids);
        assert_memory_equal(n.logprobs, c.logprobs, (size_t)n.n * sizeof *c.logprobs);
        assert_true(n.logprob == c.logprob && n.p == exp(c.logprob / pow(c.n, config.prior.lambda)));
    }
    int32_t nodes[64], ids[64 * SYNTHETIC_TOKENS];
    int32_t depth = search_path(y->s, search_top(y->s), nodes);
    int64_t count = search_path_ids(y->s, search_top(y->s), NULL), at = 0;
    assert_int_equal(search_path_ids(y->s, search_top(y->s), ids), count);
    for (int32_t i = 0; i < depth; i++) {
        search_node n = search_node_at(y->s, nodes[i]);
        assert_memory_equal(ids + at, n.ids, (size_t)n.n * sizeof *ids);
        at += n.n;
    }
    assert_int_equal(at, count);
    synthetic_free(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visits_add_up),          cmocka_unit_test(values_are_bounded),
        cmocka_unit_test(commitments_are_a_path), cmocka_unit_test(commits_by_spread),
        cmocka_unit_test(same_bits_side_by_side), cmocka_unit_test(requests_respect_the_limits),
        cmocka_unit_test(steps_are_kept),         cmocka_unit_test(the_rule_says_how_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
