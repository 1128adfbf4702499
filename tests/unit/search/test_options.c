/* The options of the search, and replies that do not fit. */
#include "synthetic.h"

#define SEEDS 200

static search_config plain(void) {
    search_config c = plain_config();
    c.limits.simulations = 16;
    c.limits.max_steps = 6;
    return c;
}

/* ---- (2.3) shapes of the tree ---- */

static void rest_from_depth(void **state) {
    (void)state;
    search_config config = plain();
    config.limits.rest_from_depth = 2;
    config.rewards.cut_reward = -0.5;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        synthetic *y = synthetic_new(&config, seed);
        search_request q;
        for (search_next(y->s, &q); q.kind != SEARCH_DONE; search_next(y->s, &q)) {
            bool deep = search_node_at(y->s, q.node).depth >= 2;
            if (q.kind == SEARCH_CANDIDATES) assert_true(q.to_end == deep && (!deep || q.count == 1));
            synthetic_step(y);
        }
        for (int32_t i = 1; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i);
            assert_true(n.depth <= 3);
            if (n.depth == 3) assert_true(search_outcome_is_ended(n.outcome));
            if (n.outcome == SEARCH_CUT) assert_true(n.depth == 3 && n.O == -0.5);
        }
        synthetic_free(y);
    }
}

static void node_budget(void **state) {
    (void)state;
    search_config config = plain();
    config.limits.gold_injection = true;
    config.limits.max_nodes = 23;
    int full = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        synthetic *y = synthetic_run(&config, seed);
        assert_true(search_node_count(y->s) <= 23);
        full += search_node_count(y->s) == 23;
        /* The simulations go on over what is there. */
        assert_int_equal(search_stats_of(y->s).simulations % config.limits.simulations, 0);
        synthetic_free(y);
    }
    assert_true(full > 0);
    config.limits.max_nodes = 1; /* not even one child fits: nothing to commit to */
    synthetic *y = synthetic_run(&config, 1);
    assert_int_equal(search_commitment_count(y->s), 0);
    assert_int_equal(search_top(y->s), 0);
    synthetic_free(y);
}

static void gold_path(void **state) {
    (void)state;
    search_config config = plain();
    int injected = 0, found = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        config.limits.gold_injection = true;
        synthetic *y = synthetic_new(&config, seed);
        search_request q;
        for (search_next(y->s, &q); q.kind != SEARCH_DONE; search_next(y->s, &q)) {
            if (q.kind == SEARCH_CANDIDATES) assert_true(q.wants_gold == search_node_at(y->s, q.node).gold);
            synthetic_step(y);
        }
        for (int32_t i = 1; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i);
            if (!n.gold) continue;
            assert_true(search_node_at(y->s, n.parent).gold);
            injected += n.candidate == (n.depth == 1 ? config.limits.breadth_root : config.limits.breadth);
            found += n.candidate < (n.depth == 1 ? config.limits.breadth_root : config.limits.breadth);
        }
        synthetic_free(y);
        config.limits.gold_injection = false;
        y = synthetic_run(&config, seed);
        for (int32_t i = 0; i < search_node_count(y->s); i++) assert_false(search_node_at(y->s, i).gold);
        synthetic_free(y);
    }
    assert_true(injected > 0 && found > 0); /* joined in, and sampled by the policy itself */
}

/* ---- (2.4) rewards ---- */

/* A search that has one child below the root per outcome, each judged 0.5. */
static search *one_of_each(const search_config *config) {
    search *s = NULL;
    search_request q;
    esp_error error = {0};
    search_candidate c[6];
    for (int i = 0; i < 6; i++)
        c[i] =
            (search_candidate){.n = 2, .logprob = -1, .text_key = (uint64_t)i, .outcome = (search_outcome)i};
    c[SEARCH_SCORED].reward = 0.3;
    double confidences[6] = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5};
    assert_int_equal(search_new(&s, config, rng_key(1), &error), ESP_OK);
    search_next(s, &q);
    assert_int_equal(search_feed(s, &(search_reply){.candidates = c, .candidate_count = 6}, &error), ESP_OK);
    search_next(s, &q);
    assert_int_equal(q.kind, SEARCH_JUDGE);
    assert_int_equal(
        search_feed(s, &(search_reply){.confidences = confidences, .confidence_count = 6}, &error), ESP_OK);
    return s;
}

static void rewards_by_outcome(void **state) {
    (void)state;
    search_config config = plain();
    config.limits.breadth_root = 6;
    config.rewards.cut_reward = -0.25;
    config.rewards.right_other_reward = 1.25;
    static const double expected[6] = {0, 1.25, -1, 0, 0.3, -0.25};
    search *s = one_of_each(&config);
    for (int32_t i = 0; i < 6; i++) {
        search_node n = search_node_at(s, 1 + i);
        assert_true(n.O == expected[i] && n.C == 0.5 && n.R == expected[i] + 0.5 && n.Q == n.R);
        assert_true(n.ids == NULL && n.logprobs == NULL && n.n == 2);
    }
    search_free(s);
    config.rewards.short_bonus_1 = 0; /* multiple choice in the code: a bonus shrinks, a malus does not */
    s = one_of_each(&config);
    assert_true(search_node_at(s, 1 + SEARCH_RIGHT).O == 0 && search_node_at(s, 1 + SEARCH_WRONG).O == -1);
    search_free(s);
    config.limits.max_steps = 1;
    s = one_of_each(&config);
    assert_true(search_node_at(s, 1).outcome == SEARCH_CUT && search_node_at(s, 1).O == -0.25);
    search_free(s);
}

/* (code) C over max(parent depth - 3, 1). */
static void depth_discount(void **state) {
    (void)state;
    search_config config = plain();
    config.limits.max_steps = 8;
    config.limits.horizon = 8;
    config.rewards.depth_discount_confidence = true;
    int deep = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        synthetic *y = synthetic_run(&config, seed);
        for (int32_t i = 1; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i);
            int32_t by = n.depth - 1 - 3 > 1 ? n.depth - 1 - 3 : 1;
            assert_true(n.C == rng_uniform(synthetic_key(y, i), 4) / by);
            deep += by > 1;
        }
        synthetic_free(y);
    }
    assert_true(deep > 0);
}

/* ---- votes, defaults ---- */

static void finished_chains(void **state) {
    (void)state;
    search_config config = plain();
    synthetic *y = synthetic_run(&config, 3);
    int32_t listed = 0, counted = 0;
    for (int32_t i = search_next_finished(y->s, 0); i >= 0; i = search_next_finished(y->s, i + 1)) listed++;
    for (int32_t i = 0; i < search_node_count(y->s); i++) {
        search_node n = search_node_at(y->s, i);
        counted += n.N > 0 && (n.outcome == SEARCH_RIGHT || n.outcome == SEARCH_WRONG);
    }
    assert_true(listed == counted && listed > 0);
    synthetic_free(y);
}

/* Every default is within its range, and a search with it ends. */
static void defaults(void **state) {
    (void)state;
    esp_error error = {0};
    search_config config;
    search_config_defaults(&config);
    assert_int_equal(search_config_check(&config, &error), ESP_OK);
    assert_true(config.rewards.judge && puct_of(&config)->c_puct == 1);
    for (uint64_t seed = 0; seed < 8; seed++) synthetic_free(synthetic_run(&config, seed));
    assert_int_equal(search_config_set(&config, "horizon", "3", &error), ESP_OK);
    assert_int_equal(search_config_set(&config, "commit", "q", &error), ESP_OK);
    assert_true(config.limits.horizon == 3 && puct_of(&config)->commit == PUCT_COMMIT_Q);
    assert_int_equal(search_config_set(&config, "rule", "puct", &error), ESP_OK); /* its defaults again */
    assert_true(config.limits.horizon == 3 && puct_of(&config)->commit == PUCT_COMMIT_VISITS);
    assert_int_equal(search_config_set(&config, "c_pact", "2", &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "c_pact"));
    assert_int_equal(search_config_set(&config, "rule", "greed", &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "puct"));
}

/* Whatever the rule: it ends, visits add up, the same bits again, and the policy is a distribution. */
static void every_rule(void **state) {
    (void)state;
    for (int rule = 0; search_rule_at(rule); rule++)
        for (uint64_t seed = 0; seed < 60; seed++) {
            search_config config = synthetic_config(seed);
            esp_error error = {0};
            assert_int_equal(search_config_set(&config, "rule", search_rule_name(rule), &error), ESP_OK);
            config.limits.root_probe = seed % 3;
            synthetic *y = synthetic_run(&config, seed), *again = synthetic_run(&config, seed);
            assert_same_search(y->s, again->s);
            int64_t visits = 0;
            for (int32_t i = 0; i < search_node_count(y->s); i++) {
                search_node n = search_node_at(y->s, i);
                double policy[64], sum = 0;
                visits += n.N;
                if (n.children == 0) continue;
                search_policy_at(y->s, i, policy);
                for (int32_t k = 0; k < n.children; k++) assert_true(policy[k] >= 0), sum += policy[k];
                assert_true(fabs(sum - 1) < 1e-9);
            }
            assert_int_equal(visits, search_stats_of(y->s).visits);
            assert_true(search_is_done(y->s) && search_commitment_count(y->s) > 0);
            synthetic_free(y);
            synthetic_free(again);
        }
}

/* ---- what does not fit ---- */

/* The reply is refused with a message that says `what`, and a correct one is then accepted as if nothing had
 * happened. */
static void refuse(synthetic *y, search_reply reply, const char *what) {
    esp_error error = {0};
    if (search_feed(y->s, &reply, &error) != ESP_FAILED) fail_msg("taken: %s", what);
    if (!strstr(error.message, what) || !*error.hint)
        fail_msg("\"%s\" does not say \"%s\"", error.message, what);
}

static void refused_replies(void **state) {
    (void)state;
    search_config config = plain();
    synthetic *y = synthetic_new(&config, 9), *calm = synthetic_run(&config, 9);
    search_candidate c[8];
    for (int i = 0; i < 8; i++) c[i] = (search_candidate){.n = 1, .logprob = -1, .text_key = (uint64_t)i};
    double confidences[4] = {0.5, NAN, 0.5, 0.5};
    refuse(y, (search_reply){0}, "waits for no reply");
    search_request q;
    search_next(y->s, &q);
    refuse(y, (search_reply){.candidates = c, .candidate_count = 5}, "5 sampled");
    refuse(y, (search_reply){.candidate_count = 2}, "holds none");
    refuse(y, (search_reply){.candidate_count = -1}, "holds none");
    search_candidate bad = c[1];
    bad.n = 0;
    refuse(y, (search_reply){.candidates = (search_candidate[]){c[0], bad}, .candidate_count = 2},
           "has 0 tokens");
    bad = c[1];
    bad.logprob = -INFINITY;
    refuse(y, (search_reply){.candidates = &bad, .candidate_count = 1}, "no prior");
    bad.logprob = NAN;
    refuse(y, (search_reply){.candidates = &bad, .candidate_count = 1}, "no prior");
    bad = c[1];
    bad.gold = true;
    refuse(y, (search_reply){.candidates = &bad, .candidate_count = 1}, "not asked for");
    bad = c[1];
    bad.outcome = (search_outcome)17;
    refuse(y, (search_reply){.candidates = &bad, .candidate_count = 1}, "no outcome");
    bad.outcome = SEARCH_SCORED;
    bad.reward = INFINITY;
    refuse(y, (search_reply){.candidates = &bad, .candidate_count = 1}, "reward");
    synthetic_step(y);
    search_next(y->s, &q);
    assert_int_equal(q.kind, SEARCH_JUDGE);
    assert_true(q.count >= 2 && q.count <= 4);
    refuse(y, (search_reply){.confidences = confidences, .confidence_count = q.count},
           "node 2 is not finite");
    refuse(y, (search_reply){.confidences = confidences, .confidence_count = q.count - 1}, "confidences");
    refuse(y, (search_reply){.candidates = c, .candidate_count = 1}, "confidences");
    while (synthetic_step(y)) {
    }
    assert_same_search(y->s, calm->s);
    synthetic_free(y);
    synthetic_free(calm);
}

static void refused_configurations(void **state) {
    (void)state;
    static const struct {
        size_t offset;
        int64_t value;
        const char *what;
    } integers[] = {
        {offsetof(search_config, limits.simulations), 0, "simulations is 0"},
        {offsetof(search_config, limits.root_multiplier), -1, "root_multiplier"},
        {offsetof(search_config, limits.breadth_root), 2000, "breadth_root"},
        {offsetof(search_config, limits.breadth), 0, "breadth is 0"},
        {offsetof(search_config, limits.horizon), 0, "horizon"},
        {offsetof(search_config, limits.max_steps), 0, "max_steps"},
        {offsetof(search_config, limits.rest_from_depth), -2, "rest_from_depth"},
        {offsetof(search_config, limits.max_nodes), -1, "max_nodes"},
    };
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        search_config config = plain();
        memcpy((char *)&config + integers[i].offset, &integers[i].value, sizeof integers[i].value);
        esp_error error = {0};
        search *s = NULL;
        assert_int_equal(search_new(&s, &config, rng_key(1), &error), ESP_FAILED);
        assert_null(s);
        if (!strstr(error.message, integers[i].what)) fail_msg("%s", error.message);
    }
    search_config config = plain();
    esp_error error = {0};
    config.rewards.gamma = NAN;
    assert_int_equal(search_config_check(&config, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "gamma"));
    config = plain();
    puct_of(&config)->commit = (puct_commit)3;
    assert_int_equal(search_config_check(&config, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "commit"));
    config = plain();
    config.rule = 99;
    assert_int_equal(search_config_check(&config, &error), ESP_FAILED);
}

/* A policy that proposes nothing: the search ends where it is, without a step. */
static void dead_end(void **state) {
    (void)state;
    search_config config = plain();
    search *s = NULL;
    search_request q;
    esp_error error = {0};
    assert_int_equal(search_new(&s, &config, rng_key(1), &error), ESP_OK);
    search_next(s, &q);
    assert_int_equal(search_feed(s, &(search_reply){0}, &error), ESP_OK);
    search_next(s, &q);
    assert_int_equal(q.kind, SEARCH_DONE);
    assert_true(search_commitment_count(s) == 0 && search_node_at(s, 0).expanded);
    search_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rest_from_depth), cmocka_unit_test(node_budget),
        cmocka_unit_test(gold_path),       cmocka_unit_test(rewards_by_outcome),
        cmocka_unit_test(depth_discount),  cmocka_unit_test(finished_chains),
        cmocka_unit_test(defaults),        cmocka_unit_test(every_rule),
        cmocka_unit_test(refused_replies), cmocka_unit_test(refused_configurations),
        cmocka_unit_test(dead_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
