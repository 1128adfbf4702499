/* The scripted policy against the goldens of an independent implementation of the search, and against broken
 * cases. */
#include "policy/scripted.h"

#include "support.h"

#include <math.h>
#include <string.h>

static json_t *load(const char *path) {
    json_error_t error;
    json_t *value = json_load_file(path, 0, &error);
    if (!value) fail_msg("%s:%d: %s", path, error.line, error.text);
    return value;
}

/* Same shape, same words, numbers within 1e-6; `at` says where it differs. */
static void assert_same(const json_t *got, const json_t *want, const char *at) {
    char below[512];
    if (json_is_number(want)) {
        if (!json_is_number(got)) fail_msg("%s: no number", at);
        double difference = fabs(json_number_value(got) - json_number_value(want));
        if (!(difference <= 1e-6))
            fail_msg("%s: %.12g, expected %.12g", at, json_number_value(got), json_number_value(want));
    } else if (json_is_object(want)) {
        assert_int_equal(json_object_size(got), json_object_size(want));
        const char *key;
        json_t *member;
        json_object_foreach((json_t *)want, key, member) {
            snprintf(below, sizeof below, "%s.%s", at, key);
            assert_same(json_object_get(got, key), member, below);
        }
    } else if (json_is_array(want)) {
        if (!json_is_array(got) || json_array_size(got) != json_array_size(want))
            fail_msg("%s: other length", at);
        for (size_t i = 0; i < json_array_size(want); i++) {
            snprintf(below, sizeof below, "%s[%zu]", at, i);
            assert_same(json_array_get(got, i), json_array_get(want, i), below);
        }
    } else if (!json_equal(got, want)) {
        fail_msg("%s differs", at);
    }
}

static void solve_and_compare(const char *path) {
    esp_error error = {0};
    json_t *scenario = load(path), *got = NULL;
    if (scripted_solve(scenario, path, &got, &error)) fail_msg("%s", error.message);
    assert_same(got, json_object_get(scenario, "expected"), path);
    json_decref(got);
    json_decref(scenario);
}

/* $ESPALIER_SEARCH_CASES names a folder of more cases (oracle.py make), case-S-NN.json from 00 on. */
static void goldens(void **state) {
    (void)state;
    for (int i = 0; i < 24; i++) {
        char path[4096];
        snprintf(path, sizeof path, TEST_DATA "/golden/search/case-1-%02d.json", i);
        solve_and_compare(path);
    }
    const char *more = getenv("ESPALIER_SEARCH_CASES");
    for (int i = 0; more; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s-%02d.json", more, i);
        if (access(path, R_OK) != 0) {
            print_message("%d more cases\n", i);
            break;
        }
        solve_and_compare(path);
    }
}

#define CONFIG                                                                                               \
    "\"iterations\":4,\"root_multiplier\":1,\"breadth_root\":3,\"breadth\":2,\"horizon\":2,\"max_steps\":3," \
    "\"cut_reward\":-1,\"c_puct\":1,\"gamma\":1,\"prior\":\"length_normalised\",\"lambda\":1,"               \
    "\"smoothing_cap\":0.5,\"commit\":\"visits\",\"pairs_from\":\"visited\",\"unvisited_counts_one\":false," \
    "\"root_counts_twice\":false"
#define STEP(text, outcome)                                                                                  \
    "{\"step\":\"" text "\",\"tokens\":2,\"logprob\":-1.5,\"confidence\":0.25,\"outcome\":" outcome "}"

static json_t *parse(const char *text) {
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);
    if (!value) fail_msg("the test's own JSON: %s", error.text);
    return value;
}

static json_t *solve(const char *text) {
    esp_error error = {0};
    json_t *scenario = parse(text), *got = NULL;
    if (scripted_solve(scenario, NULL, &got, &error)) fail_msg("%s", error.message);
    json_decref(scenario);
    return got;
}

/* One simulation of two leaves by hand: p = exp(-1.5 / 2), R = O + C. */
static void by_hand(void **state) {
    (void)state;
    json_t *got =
        solve("{\"config\":{" CONFIG "},\"root\":{\"children\":[" STEP("a", "-1") "," STEP("b", "1") "]}}");
    json_t *want =
        parse("{\"steps\":[{\"depth\":0,\"N\":4,\"V\":1.25,\"children\":["
              "{\"step\":\"a\",\"N\":0,\"Q\":-0.75,\"V\":0,\"R\":-0.75,\"prior\":0.472366552741015},"
              "{\"step\":\"b\",\"N\":4,\"Q\":1.25,\"V\":0,\"R\":1.25,\"prior\":0.472366552741015}],"
              "\"picked\":1,\"pair\":null}],\"answer_outcome\":1}");
    assert_same(got, want, "by hand");
    json_decref(got);
    json_decref(want);
}

/* Of equals the first is taken: in select, in commit, as winner and as loser. */
static void ties(void **state) {
    (void)state;
    json_t *scenario = parse("{\"config\":{" CONFIG "},\"root\":{\"children\":[" STEP("a", "-1") "," STEP(
        "b", "1") "," STEP("c", "1") "," STEP("d", "-1") "]}}");
    json_t *config = json_object_get(scenario, "config"), *got = NULL;
    json_object_set_new(config, "breadth_root", json_integer(4));
    json_object_set_new(config, "pairs_from", json_string("all"));
    for (int simulations = 1; simulations <= 2; simulations++) {
        /* b first; then c, which has fewer visits; then b and c have one visit each. */
        esp_error error = {0};
        json_object_set_new(config, "iterations", json_integer(simulations));
        if (scripted_solve(scenario, NULL, &got, &error)) fail_msg("%s", error.message);
        json_t *step = json_array_get(json_object_get(got, "steps"), 0),
               *pair = json_object_get(step, "pair");
        json_t *children = json_object_get(step, "children");
        assert_int_equal(json_integer_value(json_object_get(json_array_get(children, 1), "N")), 1);
        assert_int_equal(json_integer_value(json_object_get(json_array_get(children, 2), "N")),
                         simulations - 1);
        assert_int_equal(json_integer_value(json_object_get(step, "picked")), 1);
        assert_int_equal(json_integer_value(json_object_get(pair, "chosen")), 1);
        assert_int_equal(json_integer_value(json_object_get(pair, "rejected")), 0);
        json_decref(got);
    }
    json_decref(scenario);
}

static void edges(void **state) {
    (void)state;
    /* No children at all, a finished root, an outcome of another size, the same step with other white space.
     */
    json_t *got = solve("{\"config\":{" CONFIG "},\"root\":{}}");
    assert_int_equal(json_array_size(json_object_get(got, "steps")), 0);
    assert_true(json_is_null(json_object_get(got, "answer_outcome")));
    json_decref(got);
    got = solve("{\"config\":{" CONFIG "},\"root\":{\"outcome\":-1}}");
    assert_int_equal(json_integer_value(json_object_get(got, "answer_outcome")), -1);
    json_decref(got);
    got = solve("{\"config\":{" CONFIG
                "},\"root\":{\"children\":[" STEP("1  + 2", "0.5") "," STEP(" 1 + 2\\n", "1") "]}}");
    json_t *step = json_array_get(json_object_get(got, "steps"), 0),
           *children = json_object_get(step, "children");
    assert_int_equal(json_array_size(children), 1);
    assert_true(json_number_value(json_object_get(json_array_get(children, 0), "R")) == 0.75);
    assert_true(json_number_value(json_object_get(got, "answer_outcome")) == 0.5);
    json_decref(got);
}

/* A text, and two things its error must name. */
static const struct {
    const char *text, *what, *where;
} broken[] = {
    {"[]", "an object", "f.json"},
    {"{\"root\":{}}", "\"config\" is missing", "f.json"},
    {"{\"config\":{" CONFIG "}}", "\"root\" is missing", "f.json"},
    {"{\"config\":{" CONFIG "},\"root\":7}", "an object", "root"},
    {"{\"config\":{},\"root\":{}}", "\"iterations\" is missing", "config"},
    {"{\"config\":{" CONFIG ",\"horizn\":1},\"root\":{}}", "\"horizn\"", "config"},
    {"{\"config\":{" CONFIG ",\"max_nodes\":1.5},\"root\":{}}", "\"max_nodes\" must be a whole number",
     "config"},
    {"{\"config\":{" CONFIG ",\"max_nodes\":-4},\"root\":{}}", "max_nodes must be a whole number from 0",
     "config"},
    {"{\"config\":{" CONFIG ",\"loser\":\"worst\"},\"root\":{}}", "one of smallest_q, random_sibling",
     "config"},
    {"{\"config\":{" CONFIG ",\"only_if_right\":1},\"root\":{}}", "true or false", "config"},
    {"{\"config\":{" CONFIG "},\"root\":{\"children\":{}}}", "\"children\" must be a list", "root"},
    {"{\"config\":{" CONFIG "},\"root\":{\"children\":[" STEP("a", "1") ",[]]}}", "an object",
     "root.children[1]"},
    {"{\"config\":{" CONFIG "},\"root\":{\"children\":[" STEP("a", "\"1\"") "]}}", "\"outcome\"",
     "root.children[0]"},
    {"{\"config\":{" CONFIG "},\"root\":{\"children\":[{\"tokens\":1}]}}", "\"step\" is missing",
     "children[0]"},
    {"{\"config\":{" CONFIG "},\"root\":{\"children\":[{\"step\":\"a\",\"tokens\":0,\"logprob\":0}]}}",
     "\"tokens\" must be at least 1", "children[0]"},
    {"{\"config\":{" CONFIG "},\"root\":{\"children\":[{\"step\":\"a\",\"tokens\":1,\"logprob\":null}]}}",
     "\"logprob\" must be a number", "children[0]"},
    {"{\"config\":{" CONFIG "},\"root\":{\"children\":[{\"step\":\"a\",\"tokens\":1,\"logprob\":-1}]}}",
     "\"confidence\" is missing", "children[0]"},
    {"{\"config\":{" CONFIG "},\"root\":{\"children\":[{\"step\":\"a\",\"tokens\":1,\"logprob\":1e9,"
     "\"confidence\":1}]}}",
     "no prior", "f.json"},
};

static void malformed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        esp_error error = {0};
        json_t *scenario = parse(broken[i].text), *got = NULL;
        if (scripted_solve(scenario, "f.json", &got, &error) != ESP_FAILED || got)
            fail_msg("taken: %s", broken[i].text);
        if (!strstr(error.message, broken[i].what) || !strstr(error.message, broken[i].where) || !*error.hint)
            fail_msg("\"%s\" does not say %s at %s", error.message, broken[i].what, broken[i].where);
        json_decref(scenario);
    }
}

/* A script deeper than any call stack would bear in frames of a recursive walk is still read and searched. */
static void deep(void **state) {
    (void)state;
    json_t *node = parse(STEP("end", "1"));
    for (int i = 0; i < 2000; i++) {
        json_t *above = parse(STEP("on", "null"));
        json_object_set_new(above, "children", json_pack("[o]", node));
        node = above;
    }
    json_t *scenario = parse("{\"config\":{" CONFIG "}}"), *got = NULL;
    json_object_set_new(json_object_get(scenario, "config"), "max_steps", json_integer(5000));
    json_object_set_new(scenario, "root", node);
    esp_error error = {0};
    if (scripted_solve(scenario, NULL, &got, &error)) fail_msg("%s", error.message);
    assert_int_equal(json_array_size(json_object_get(got, "steps")), 2000);
    assert_int_equal(json_integer_value(json_object_get(got, "answer_outcome")), 1);
    json_decref(got);
    json_decref(scenario);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goldens), cmocka_unit_test(by_hand),   cmocka_unit_test(ties),
        cmocka_unit_test(edges),   cmocka_unit_test(malformed), cmocka_unit_test(deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
