/* The root probe: chains joined into a tree, the search that goes on from it, and problems that need none. */
#include "synthetic.h"

#define SEEDS 300

static search_config probe_config(uint64_t seed) {
    search_config c = synthetic_config(seed);
    c.limits.root_probe = 1 + (int32_t)(seed % 6);
    if (seed % 4 == 0) c.limits.rest_from_depth = (int32_t)(seed / 4 % 3);
    return c;
}

static void each_child(const search *s, int32_t node, int32_t *count, int64_t *visits, int32_t *last) {
    search_node n = search_node_at(s, node);
    *count = 0, *visits = 0, *last = -1;
    for (int32_t c = n.first_child; c >= 0; c = search_node_at(s, c).next_sibling) {
        search_node child = search_node_at(s, c);
        assert_int_equal(child.parent, node);
        assert_int_equal(child.depth, n.depth + 1);
        assert_true(c > node && c > *last);
        *visits += child.N;
        *last = c;
        ++*count;
    }
    assert_int_equal(*count, n.children);
}

/* Tree and visits hold together, whatever order siblings were made in, and no state gets more candidates than
 * its breadth or its chains. */
static void the_tree_holds(void **state) {
    (void)state;
    int64_t late = 0; /* siblings that are no neighbours */
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = probe_config(seed);
        synthetic *y = synthetic_new(&config, seed);
        MEM_LIST(int32_t) asked = {0};
        for (search_request q;;) {
            search_next(y->s, &q);
            if (q.kind == SEARCH_DONE) break;
            if (q.kind == SEARCH_CANDIDATES) {
                while (asked.count <= q.node) MEM_LIST_PUSH(&asked, 0);
                assert_int_equal(q.first_candidate, asked.at[q.node]);
                asked.at[q.node] += q.count;
                int32_t depth = search_node_at(y->s, q.node).depth;
                bool to_end = config.limits.rest_from_depth >= 0 && depth >= config.limits.rest_from_depth;
                int64_t breadth = depth == 0 ? config.limits.breadth_root
                                  : to_end   ? 1
                                             : config.limits.breadth;
                assert_int_equal(q.to_end, to_end);
                if (q.first_candidate > 0) assert_int_equal(asked.at[q.node], breadth);
            }
            synthetic_step(y);
        }
        int64_t all = 0;
        for (int32_t i = 0; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i);
            int32_t count, last;
            int64_t below;
            each_child(y->s, i, &count, &below, &last);
            all += n.N;
            late += count > 0 && last != n.first_child + count - 1;
            if (n.depth >= search_node_at(y->s, search_top(y->s)).depth && count) assert_true(below <= n.N);
            if (n.N == 0) assert_true(n.V == 0 && n.Q == n.r);
            for (int32_t c = n.first_child; c >= 0; c = search_node_at(y->s, c).next_sibling)
                for (int32_t d = search_node_at(y->s, c).next_sibling; d >= 0;
                     d = search_node_at(y->s, d).next_sibling)
                    assert_true(search_node_at(y->s, c).text_key != search_node_at(y->s, d).text_key);
        }
        search_stats stats = search_stats_of(y->s);
        assert_int_equal(all, stats.visits);
        assert_int_equal(stats.duplicates, y->duplicates);
        assert_int_equal(search_node_count(y->s), 1 + stats.candidates - stats.duplicates);
        MEM_LIST_FREE(&asked);
        synthetic_free(y);
    }
    assert_true(late > SEEDS);
}

/* Before the first simulation: n chains, each a visit of its whole way; V of a state is the mean end of the
 * chains through it (gamma 1). */
static void chains_are_visits(void **state) {
    (void)state;
    int seen = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = probe_config(seed);
        config.limits.breadth_root =
            config.limits.root_probe + 1; /* the first simulation asks for one more at once */
        synthetic *y = synthetic_new(&config, seed);
        bool over = false;
        for (search_request q; !over;) {
            search_next(y->s, &q);
            over = q.kind == SEARCH_DONE || q.first_candidate > 0;
            if (!over) synthetic_step(y);
        }
        if (search_is_done(y->s)) { /* all right */
            assert_int_equal(search_stats_of(y->s).simulations, 0);
            synthetic_free(y);
            continue;
        }
        assert_int_equal(search_stats_of(y->s).simulations, 1);
        seen++;
        int64_t ended = 0;
        double end = 0;
        for (int32_t i = 0; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i);
            int64_t below = 0;
            for (int32_t c = n.first_child; c >= 0; c = search_node_at(y->s, c).next_sibling)
                below += search_node_at(y->s, c).N;
            if (!n.children && n.N) assert_true(search_outcome_is_ended(n.outcome));
            if (n.children) assert_int_equal(below, n.N);
            if (n.children) continue;
            ended += n.N;
            end += (double)n.N * n.R;
        }
        assert_int_equal(ended, config.limits.root_probe);
        search_node root = search_node_at(y->s, 0);
        assert_true(fabs(root.V - end / (double)config.limits.root_probe) < 1e-9);
        synthetic_free(y);
    }
    assert_true(seen > SEEDS / 2);
}

/* A policy whose every chain is correct: as many tokens as the chains, no simulations, no pairs, a correct
 * answer. */
static void all_right_needs_no_search(void **state) {
    (void)state;
    for (int pairs_at = 0; pairs_at < 2; pairs_at++)
        for (int wrong = 0; wrong < 2; wrong++) {
            search_config config = plain_config();
            config.limits.root_probe = 4;
            config.limits.breadth = 2;
            config.rewards.judge = false;
            harvest_options harvest = plain_harvest();
            harvest_pairs pairs;
            harvest.pairs_at = (harvest_at)pairs_at;
            esp_error error = {0};
            search *s;
            assert_int_equal(search_new(&s, &config, rng_key(3), &error), ESP_OK);
            int32_t sampled = 0;
            for (search_request q;;) {
                search_next(s, &q);
                if (q.kind == SEARCH_DONE) break;
                search_candidate c[8] = {{0}};
                int32_t depth = search_node_at(s, q.node).depth;
                for (int32_t i = 0; i < q.count; i++, sampled++) {
                    /* Two ways at the root; three steps; with `wrong` one chain of the second way ends wrong.
                     */
                    int32_t way = depth == 0 ? (q.first_candidate + i) % 2 : 0;
                    bool last = depth == 2,
                         bad = wrong && last && i == 1 && search_node_at(s, q.node).parent > 1;
                    c[i] = (search_candidate){.n = 1,
                                              .logprob = -0.5,
                                              .text_key = (uint64_t)(depth * 10 + way + 5 * bad),
                                              .outcome = !last ? SEARCH_OPEN
                                                         : bad ? SEARCH_WRONG
                                                               : SEARCH_RIGHT};
                }
                search_reply reply = {.candidates = c, .candidate_count = q.count};
                assert_int_equal(search_feed(s, &reply, &error), ESP_OK);
            }
            search_stats stats = search_stats_of(s);
            harvest_step_pairs(s, &harvest, &pairs);
            assert_int_equal(search_node_at(s, search_top(s)).outcome, SEARCH_RIGHT);
            if (wrong) {
                assert_true(stats.simulations > 0 && pairs.count > 0);
            } else {
                assert_int_equal(stats.simulations, 0);
                assert_int_equal(stats.candidates, 12);
                assert_int_equal(sampled, 12);
                assert_int_equal(search_node_count(s), 7);
                assert_int_equal(pairs.read, 0);
                assert_int_equal(search_commitment_count(s), 3);
                assert_int_equal(search_node_at(s, 0).N, 4);
                assert_true(search_node_at(s, 0).V == 1);
            }
            harvest_pairs_free(&pairs);
            search_free(s);
        }
}

/* Candidate k below a node is the same whether the probe or a simulation asked for it: a probe of b_1 chains
 * makes the children that the search makes. */
static void the_same_candidates(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = synthetic_config(seed), probed = config;
        probed.limits.root_probe = config.limits.breadth_root;
        synthetic *y = synthetic_new(&config, seed), *z = synthetic_new(&probed, seed);
        synthetic_step(y);
        synthetic_step(z);
        assert_int_equal(search_node_count(y->s), search_node_count(z->s));
        for (int32_t i = 1; i < search_node_count(y->s); i++)
            assert_true(search_node_at(y->s, i).text_key == search_node_at(z->s, i).text_key &&
                        search_node_at(y->s, i).logprob == search_node_at(z->s, i).logprob);
        synthetic_free(y);
        synthetic_free(z);
    }
}

static void same_bits_again(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = probe_config(seed);
        synthetic *one = synthetic_run(&config, seed), *two = synthetic_run(&config, seed);
        assert_same_search(one->s, two->s);
        synthetic_free(one);
        synthetic_free(two);
    }
}

/* A node budget, replies that are short and dead ends: it ends, and chains that cannot continue count where
 * they are.
 */
static void short_replies(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = probe_config(seed);
        config.limits.max_nodes = 2 + (int32_t)(seed % 19);
        synthetic *y = synthetic_new(&config, seed);
        for (search_request q;;) {
            search_next(y->s, &q);
            if (q.kind == SEARCH_DONE) break;
            search_reply reply = synthetic_reply(y, &q);
            if (q.kind == SEARCH_CANDIDATES && seed % 2)
                reply.candidate_count =
                    (int32_t)rng_below(rng_key(seed), (uint64_t)q.node, 3) % (q.count + 1);
            esp_error error = {0};
            assert_int_equal(search_feed(y->s, &reply, &error), ESP_OK);
        }
        assert_true(search_node_count(y->s) <= config.limits.max_nodes);
        assert_true(search_node_at(y->s, 0).N >= config.limits.root_probe);
        synthetic_free(y);
    }
}

/* rest_from_depth 0: b_1 whole chains in one request, nothing sampled twice or for nothing. */
/* Without simulations the tree is what was sampled, and the search ends where most chains went. */
static void nothing_but_the_probe(void **state) {
    (void)state;
    int64_t wrong = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = probe_config(seed);
        config.limits.simulations = 0;
        synthetic *y = synthetic_run(&config, seed);
        int64_t ends = 0;
        assert_int_equal(search_stats_of(y->s).simulations, 0);
        for (int32_t i = 0; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i);
            int64_t went_on = 0;
            assert_int_equal(n.N, i == 0 ? config.limits.root_probe : n.probed);
            for (int32_t c = n.first_child; c >= 0; c = search_node_at(y->s, c).next_sibling)
                went_on += search_node_at(y->s, c).N;
            ends += n.N - went_on;
            wrong += n.outcome == SEARCH_WRONG;
        }
        assert_int_equal(ends, config.limits.root_probe);
        assert_true(search_node_at(y->s, search_top(y->s)).children == 0);
        synthetic_free(y);
    }
    assert_true(wrong > SEEDS / 10);
}

static void whole_chains_without_a_tree(void **state) {
    (void)state;
    search_config config = plain_config();
    config.limits.rest_from_depth = 0;
    config.limits.breadth_root = 8;
    config.limits.simulations = 8;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        synthetic *y = synthetic_run(&config, seed);
        search_stats stats = search_stats_of(y->s);
        assert_int_equal(stats.candidates, 8);
        assert_int_equal(stats.requests, 1);
        for (int32_t i = 1; i < search_node_count(y->s); i++)
            assert_true(search_outcome_is_ended(search_node_at(y->s, i).outcome));
        synthetic_free(y);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tree_holds),        cmocka_unit_test(chains_are_visits),
        cmocka_unit_test(the_same_candidates),   cmocka_unit_test(all_right_needs_no_search),
        cmocka_unit_test(same_bits_again),       cmocka_unit_test(short_replies),
        cmocka_unit_test(nothing_but_the_probe), cmocka_unit_test(whole_chains_without_a_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
