/* The rule `gumbel` against tests/data/search/gumbel_oracle.py, an independent implementation of the paper:
 * every visit, value, commitment and improved policy of scripted searches within 1e-6. */
#include "support.h"

#include "base/memory.h"
#include "policy/scripted.h"

#include <math.h>

static void near(double got, double want, int number, const char *what) {
    if (!(fabs(got - want) <= 1e-6))
        fail_msg("case %d: %s is %.12g, expected %.12g", number, what, got, want);
}

static double member(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

static void same_children(const search *s, const search_commitment *made, const json_t *want, int number) {
    const json_t *children = json_object_get(want, "children");
    assert_int_equal(made->child_count, json_array_size(children));
    for (int32_t i = 0; i < made->child_count; i++) {
        const json_t *c = json_array_get(children, (size_t)i);
        assert_int_equal(search_node_at(s, made->children[i].node).parent, made->state);
        near((double)made->children[i].N, member(c, "N"), number, "N of a child");
        near(made->children[i].Q, member(c, "Q"), number, "Q of a child");
        near(made->children[i].V, member(c, "V"), number, "V of a child");
    }
}

static void same_policies(const search *s, const json_t *want, int number) {
    assert_int_equal(search_node_count(s), json_array_size(want));
    for (int32_t i = 0; i < search_node_count(s); i++) {
        const json_t *row = json_array_get(want, (size_t)i);
        double policy[64], sum = 0;
        search_node n = search_node_at(s, i);
        assert_true(n.children < 64 && (size_t)n.children == json_array_size(row));
        if (n.children) search_policy_at(s, i, policy);
        for (int32_t k = 0; k < n.children; k++) {
            near(policy[k], json_number_value(json_array_get(row, (size_t)k)), number, "an improved policy");
            sum += policy[k];
        }
        if (n.children) near(sum, 1, number, "a sum of probabilities");
    }
}

static void run_case(json_t *scenario, int number) {
    scripted *policy;
    search *s;
    search_request q;
    esp_error error = {0};
    OK(scripted_new(&policy, scenario, "gumbel.json", &error));
    OK(scripted_search(policy, &s, &error));
    for (search_next(s, &q); q.kind != SEARCH_DONE; search_next(s, &q))
        OK(scripted_answer(policy, s, &q, &error));
    const json_t *expected = json_object_get(scenario, "expected"),
                 *steps = json_object_get(expected, "steps");
    assert_int_equal(search_node_count(s), (int)member(expected, "nodes"));
    assert_int_equal(search_commitment_count(s), json_array_size(steps));
    for (int32_t i = 0; i < search_commitment_count(s); i++) {
        search_commitment made = search_commitment_at(s, i);
        const json_t *want = json_array_get(steps, (size_t)i);
        assert_int_equal(made.state, (int)member(want, "state"));
        assert_int_equal(made.picked, (int)member(want, "picked"));
        near((double)made.N, member(want, "N"), number, "N of a state");
        near(made.V, member(want, "V"), number, "V of a state");
        same_children(s, &made, want, number);
    }
    same_policies(s, json_object_get(expected, "policies"), number);
    search_free(s);
    scripted_free(policy);
}

static void the_oracles_numbers(void **state) {
    (void)state;
    json_error_t error;
    json_t *cases = json_load_file(ESPALIER_SOURCE_DIR "/tests/data/search/gumbel.json", 0, &error);
    if (!cases) fail_msg("%d: %s", error.line, error.text);
    assert_true(json_array_size(cases) >= 30);
    for (size_t i = 0; i < json_array_size(cases); i++) run_case(json_array_get(cases, i), (int)i);
    json_decref(cases);
}

/* A case that asks for an option of another rule is refused. */
static void options_of_the_other_rule(void **state) {
    (void)state;
    json_error_t json_error;
    esp_error error = {0};
    scripted *policy;
    json_t *cases = json_load_file(ESPALIER_SOURCE_DIR "/tests/data/search/gumbel.json", 0, &json_error);
    json_t *scenario = json_array_get(cases, 0);
    json_object_set_new(json_object_get(scenario, "config"), "c_puct", json_real(1));
    assert_int_equal(scripted_new(&policy, scenario, "gumbel.json", &error), ESP_FAILED);
    assert_string_equal(error.message, "gumbel.json: config: \"c_puct\" is no known setting");
    json_decref(cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oracles_numbers),
        cmocka_unit_test(options_of_the_other_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
