/* The rule `widening` against tests/data/search/widening_oracle.py, an independent implementation: every
 * chain, visit, value, reward and answer of scripted searches within 1e-6. */
#include "support.h"

#include "base/memory.h"
#include "policy/scripted.h"

#include <math.h>

/* What is expected of one case, and how far the search has come. */
typedef struct {
    const json_t *chains;
    size_t seen;
} watched;

static void see(void *user, const search_simulation *simulation) {
    watched *w = user;
    const json_t *chain = json_array_get(w->chains, w->seen++);
    assert_non_null(chain);
    assert_int_equal(simulation->leaf, json_integer_value(json_array_get(chain, 1)));
}

static void near(const json_t *row, const char *name, double got) {
    double want = json_number_value(json_object_get(row, name));
    if (!(fabs(got - want) <= 1e-6)) fail_msg("%s is %.12g, expected %.12g", name, got, want);
}

static void same_nodes(const search *s, const json_t *want) {
    assert_int_equal(search_node_count(s), json_array_size(want));
    for (int32_t i = 0; i < search_node_count(s); i++) {
        const json_t *row = json_array_get(want, (size_t)i);
        search_node n = search_node_at(s, i);
        near(row, "up", n.parent);
        near(row, "N", (double)n.N);
        near(row, "V", n.V);
        if (i > 0) near(row, "Q", n.Q);
        if (i > 0) near(row, "R", n.R);
    }
}

/* The committed path, which ends at the answer. */
static void same_path(const search *s, const json_t *want) {
    assert_int_equal(search_commitment_count(s), json_array_size(want));
    for (int32_t i = 0; i < search_commitment_count(s); i++) {
        search_commitment made = search_commitment_at(s, i);
        assert_int_equal(made.children[made.picked].node,
                         json_integer_value(json_array_get(want, (size_t)i)));
    }
}

/* Answers the search to its end; one candidate at a time. */
static void drive(scripted *policy, search *s) {
    search_request q;
    esp_error error = {0};
    for (search_next(s, &q); q.kind != SEARCH_DONE; search_next(s, &q)) {
        assert_int_equal(q.count, 1);
        if (q.kind == SEARCH_CANDIDATES) assert_true(q.in_turn && !q.wants_gold);
        OK(scripted_answer(policy, s, &q, &error));
    }
}

static void run_case(json_t *scenario) {
    scripted *policy;
    search *s;
    esp_error error = {0};
    const json_t *expected = json_object_get(scenario, "expected");
    watched w = {.chains = json_object_get(expected, "chains")};
    OK(scripted_new(&policy, scenario, "widening.json", &error));
    OK(scripted_search(policy, &s, &error));
    search_watch(s, see, &w);
    drive(policy, s);
    assert_int_equal(w.seen, json_array_size(w.chains));
    same_nodes(s, json_object_get(expected, "nodes"));
    same_path(s, json_object_get(expected, "path"));
    search_free(s);
    scripted_free(policy);
}

static json_t *cases_of_file(void) {
    json_error_t error;
    json_t *cases = json_load_file(ESPALIER_SOURCE_DIR "/tests/data/search/widening.json", 0, &error);
    if (!cases) fail_msg("%d: %s", error.line, error.text);
    assert_true(json_array_size(cases) >= 30);
    return cases;
}

static void the_oracles_numbers(void **state) {
    (void)state;
    json_t *cases = cases_of_file();
    for (size_t i = 0; i < json_array_size(cases); i++) run_case(json_array_get(cases, i));
    json_decref(cases);
}

/* Whatever the case: no chain begins after a correct one was found or the tokens are spent, and the answer is
 * correct where any chain is. */
static void a_tree_is_done_at_its_first_correct_chain(void **state) {
    (void)state;
    json_t *cases = cases_of_file();
    int64_t found = 0, limited = 0;
    for (size_t i = 0; i < json_array_size(cases); i++)
        for (int tokens = 0; tokens <= 60; tokens += 30) {
            json_t *scenario = json_array_get(cases, i), *config = json_object_get(scenario, "config");
            json_object_set_new(config, "tokens", json_integer(tokens));
            json_object_set_new(config, "iterations", json_integer(50));
            json_object_set_new(config, "gold_injection", json_true()); /* no gold step joins */
            scripted *policy;
            search *s;
            esp_error error = {0};
            OK(scripted_new(&policy, scenario, "widening.json", &error));
            OK(scripted_search(policy, &s, &error));
            drive(policy, s);
            int correct = 0;
            for (int32_t n = 0; n < search_node_count(s); n++)
                correct += search_outcome_sign(search_node_at(s, n).outcome, search_node_at(s, n).O) > 0;
            search_node answer = search_node_at(s, search_top(s));
            assert_true(correct <= 1);
            if (correct) assert_int_equal(search_outcome_sign(answer.outcome, answer.O), 1);
            if (correct) assert_int_equal(answer.N, 1);
            int64_t most = 50 * json_integer_value(json_object_get(config, "root_multiplier"));
            found += correct;
            limited += !correct && tokens && search_stats_of(s).simulations < most;
            assert_true(search_stats_of(s).simulations <= most);
            search_free(s);
            scripted_free(policy);
        }
    assert_true(found > 10 && limited > 10);
    json_decref(cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oracles_numbers),
        cmocka_unit_test(a_tree_is_done_at_its_first_correct_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
