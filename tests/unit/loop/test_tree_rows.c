/* A tree as rows and back: the rows say what the search says, and the replies read from them grow the same
 * tree. */
#include "support.h"
#include "../search/synthetic.h"

#include "loop/tree_pairs.h"
#include "loop/tree_rows.h"

static void rows_say_what_the_search_says(void **state) {
    (void)state;
    int finished = 0, cut = 0, committed = 0, judged = 0, unknown = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        search_config config = synthetic_config(seed);
        synthetic *y = synthetic_run_unknown(&config, seed, seed % 2 ? 0.4 : 0);
        int32_t n = search_node_count(y->s);
        store_node *rows = MEM_ARRAY(store_node, n);
        store_tree tree = {0};
        tree_rows_nodes(y->s, rows);
        tree_rows_tree(y->s, &tree);
        for (int32_t i = 0; i < n; i++) {
            search_node v = search_node_at(y->s, i);
            uint32_t flags = rows[i].flags;
            assert_int_equal(rows[i].index, i);
            assert_int_equal(rows[i].parent, v.parent);
            assert_int_equal(rows[i].visits, v.N);
            assert_int_equal(rows[i].count, v.n);
            assert_ptr_equal(rows[i].ids, v.ids);
            assert_ptr_equal(rows[i].logprobs, v.logprobs);
            double in[] = {v.Q, v.V, v.R, v.p, v.C, v.O, v.logprob},
                   out[] = {rows[i].q,          rows[i].v,       rows[i].r,      rows[i].prior,
                            rows[i].confidence, rows[i].outcome, rows[i].logprob};
            assert_memory_equal(in, out, sizeof in);
            bool nobody_knows = v.outcome == SEARCH_FINISHED_UNKNOWN;
            bool ended = v.outcome == SEARCH_RIGHT || v.outcome == SEARCH_WRONG || nobody_knows;
            assert_int_equal(!!(flags & STORE_NODE_UNKNOWN), nobody_knows);
            tree.finished -= ended, tree.right -= v.outcome == SEARCH_RIGHT, tree.unknown -= nobody_knows;
            unknown += nobody_knows;
            assert_int_equal(!!(flags & STORE_NODE_FINISHED), ended);
            assert_int_equal(!!(flags & STORE_NODE_CUT), v.outcome == SEARCH_CUT);
            assert_int_equal(!!(flags & STORE_NODE_JUDGED), config.rewards.judge && i > 0);
            assert_int_equal(flags >> STORE_NODE_PROBED_SHIFT, v.probed);
            finished += ended;
            cut += v.outcome == SEARCH_CUT;
            judged += !!(flags & STORE_NODE_JUDGED);
        }
        assert_true(tree.finished == 0 && tree.right == 0 && tree.unknown == 0);
        int32_t path = 0;
        for (int32_t a = search_top(y->s); a >= 0; a = search_node_at(y->s, a).parent, path++)
            assert_true(rows[a].flags & STORE_NODE_COMMITTED);
        for (int32_t i = 0; i < n; i++) path -= !!(rows[i].flags & STORE_NODE_COMMITTED);
        assert_int_equal(path, 0);
        for (int32_t i = 0; i < search_commitment_count(y->s); i++) {
            store_commitment c = tree_rows_commitment(y->s, i, NULL);
            assert_int_equal(c.step, i);
            assert_int_equal(rows[c.picked].parent, c.state);
            assert_true(rows[c.picked].flags & STORE_NODE_COMMITTED);
            committed++;
        }
        mem_free(rows);
        synthetic_free(y);
    }
    assert_true(unknown > 20 && finished > 20 && cut > 20 && judged > 20 && committed > 20);
}

/* The same tree from the rows alone. */
static void search_again(const search_config *config, const store_node *rows, int64_t n) {
    search *s;
    esp_error error = {0};
    search_candidate candidates[1100];
    double confidences[1100];
    OK(search_new(&s, config, rng_key(0), &error));
    for (;;) {
        search_request q;
        search_next(s, &q);
        if (q.kind == SEARCH_DONE) break;
        search_reply reply = {0};
        if (q.kind == SEARCH_JUDGE) {
            tree_rows_confidences(&q, rows, confidences);
            reply = (search_reply){.confidences = confidences, .confidence_count = q.count};
        } else {
            int32_t count = tree_rows_candidates(&q, rows, n, search_node_count(s), candidates);
            assert_true(count >= 0);
            reply = (search_reply){.candidates = candidates, .candidate_count = count};
        }
        OK(search_feed(s, &reply, &error));
    }
    assert_int_equal(search_node_count(s), n);
    store_node *again = MEM_ARRAY(store_node, n);
    tree_rows_nodes(s, again);
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(again[i].parent, rows[i].parent);
        assert_int_equal(again[i].visits, rows[i].visits);
        assert_int_equal(again[i].flags, rows[i].flags);
        assert_true(again[i].q == rows[i].q && again[i].v == rows[i].v && again[i].r == rows[i].r);
    }
    mem_free(again);
    search_free(s);
}

static void replies_grow_the_same_tree(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        search_config config = synthetic_config(seed);
        config.limits.root_probe = seed % 3 == 0 ? 1 + (int32_t)(seed % 7) : 0;
        config.limits.gold_injection = seed % 3 == 1;
        synthetic *y = synthetic_run_unknown(&config, seed, seed % 2 ? 0.5 : 0);
        int32_t n = search_node_count(y->s);
        store_node *rows = MEM_ARRAY(store_node, n);
        tree_rows_nodes(y->s, rows);
        assert_true(store_nodes_are_sound(rows, n));
        search_again(&config, rows, n);
        mem_free(rows);
        synthetic_free(y);
    }
}

static void more_than_was_asked_for_is_refused(void **state) {
    (void)state;
    store_node rows[4] = {{.index = 0, .parent = -1}, {.index = 1}, {.index = 2}, {.index = 3}};
    search_candidate out[3];
    search_request q = {.kind = SEARCH_CANDIDATES, .node = 0, .count = 2};
    assert_int_equal(tree_rows_candidates(&q, rows, 3, 1, out), 2);
    assert_int_equal(tree_rows_candidates(&q, rows, 4, 1, out), -1);
    rows[1].flags = 2u << STORE_NODE_PROBED_SHIFT; /* two chains of the probe went on here */
    assert_int_equal(tree_rows_candidates(&q, rows, 2, 1, out), 2);
    rows[1].flags = UINT32_MAX << STORE_NODE_PROBED_SHIFT;
    assert_int_equal(tree_rows_candidates(&q, rows, 2, 1, out), -1);
    assert_int_equal(tree_rows_candidates(&q, rows, 1, 1, out), 0); /* a dead end */
}

static void rows_that_are_no_tree(void **state) {
    (void)state;
    store_node rows[3] = {{.index = 0, .parent = -1}, {.index = 1}, {.index = 2, .parent = 1}};
    assert_true(store_nodes_are_sound(rows, 3));
    assert_false(store_nodes_are_sound(rows, 0));
    rows[2].parent = 2;
    assert_false(store_nodes_are_sound(rows, 3));
    rows[2].parent = -1;
    assert_false(store_nodes_are_sound(rows, 3));
    rows[2].parent = 1, rows[1].index = 7;
    assert_false(store_nodes_are_sound(rows, 3));
    rows[1].index = 1, rows[1].count = (int64_t)INT32_MAX + 1;
    assert_false(store_nodes_are_sound(rows, 3));
}

/* Of the steps below `state` down to `node`. */
static double sampled_logprob(const search *s, int64_t state, int64_t node) {
    double sum = 0;
    for (int32_t a = (int32_t)node; a != state; a = search_node_at(s, a).parent) {
        assert_true(a > 0);
        sum += search_node_at(s, a).logprob;
    }
    return sum;
}

/* Pairs as rows: the harvest's numbers, the nodes where the texts end, and the log-probs of what was sampled
 * down to them on each side. */
static void pairs_as_rows(void **state) {
    (void)state;
    int chains = 0, longer = 0, steps = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        search_config config = synthetic_config(seed);
        harvest_options harvest = plain_harvest();
        harvest.join_only_child = true;
        synthetic *y = synthetic_run(&config, seed);
        harvest_pair pair;
        harvest_pairs pairs;
        bool has_chains = harvest_instance_pair(y->s, &harvest, &pair);
        harvest_step_pairs(y->s, &harvest, &pairs);
        for (int32_t i = has_chains ? -1 : 0; i < pairs.count; i++) {
            const harvest_pair *p = i < 0 ? &pair : &pairs.at[i];
            store_pair row = tree_pairs_row(y->s, p);
            assert_true(row.state == p->state && row.chosen == p->chosen_end &&
                        row.rejected == p->rejected_end);
            assert_true(row.q_chosen == p->q_chosen && row.q_rejected == p->q_rejected);
            assert_true(row.alpha == p->alpha && row.joined == 0 && row.n_chosen == p->n_chosen);
            assert_true(fabs(row.policy_logp_chosen - sampled_logprob(y->s, row.state, row.chosen)) < 1e-12);
            assert_true(fabs(row.policy_logp_rejected - sampled_logprob(y->s, row.state, row.rejected)) <
                        1e-12);
            chains += i < 0, steps += i >= 0, longer += i >= 0 && p->rejected_end != p->rejected;
        }
        harvest_pairs_free(&pairs);
        synthetic_free(y);
    }
    assert_true(chains > 5 && steps > 20 && longer > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_say_what_the_search_says),
        cmocka_unit_test(replies_grow_the_same_tree),
        cmocka_unit_test(more_than_was_asked_for_is_refused),
        cmocka_unit_test(rows_that_are_no_tree),
        cmocka_unit_test(pairs_as_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
