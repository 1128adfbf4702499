/* The options and presets of the search, and replies that do not fit. */
#include "synthetic.h"

#define SEEDS 200

static search_config plain(void) {
    search_config c = plain_config();
    c.simulations = 16;
    c.max_steps = 6;
    return c;
}

/* ---- (2.3) shapes of the tree ---- */

static void rest_from_depth(void **state) {
    (void)state;
    search_config config = plain();
    config.rest_from_depth = 2;
    config.cut_reward = -0.5;
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
    config.gold_injection = true;
    config.max_nodes = 23;
    int full = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        synthetic *y = synthetic_run(&config, seed);
        assert_true(search_node_count(y->s) <= 23);
        full += search_node_count(y->s) == 23;
        /* The simulations go on over what is there. */
        assert_int_equal(search_stats_of(y->s).simulations % config.simulations, 0);
        synthetic_free(y);
    }
    assert_true(full > 0);
    config.max_nodes = 1; /* not even one child fits: nothing to commit to */
    synthetic *y = synthetic_run(&config, 1);
    assert_int_equal(search_step_count(y->s), 0);
    assert_int_equal(search_top(y->s), 0);
    synthetic_free(y);
}

static void gold_path(void **state) {
    (void)state;
    search_config config = plain();
    int injected = 0, found = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        config.gold_injection = true;
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
            injected += n.candidate == (n.depth == 1 ? config.breadth_root : config.breadth);
            found += n.candidate < (n.depth == 1 ? config.breadth_root : config.breadth);
        }
        synthetic_free(y);
        config.gold_injection = false;
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
    config.breadth_root = 6;
    config.cut_reward = -0.25;
    config.right_other_reward = 1.25;
    static const double expected[6] = {0, 1.25, -1, 0, 0.3, -0.25};
    search *s = one_of_each(&config);
    for (int32_t i = 0; i < 6; i++) {
        search_node n = search_node_at(s, 1 + i);
        assert_true(n.O == expected[i] && n.C == 0.5 && n.R == expected[i] + 0.5 && n.Q == n.R);
        assert_true(n.ids == NULL && n.logprobs == NULL && n.n == 2);
    }
    search_free(s);
    config.short_bonus[0] = 0; /* multiple choice in the code: a bonus shrinks, a malus does not */
    s = one_of_each(&config);
    assert_true(search_node_at(s, 1 + SEARCH_RIGHT).O == 0 && search_node_at(s, 1 + SEARCH_WRONG).O == -1);
    search_free(s);
    config.max_steps = 1;
    s = one_of_each(&config);
    assert_true(search_node_at(s, 1).outcome == SEARCH_CUT && search_node_at(s, 1).O == -0.25);
    search_free(s);
}

/* (code) C over max(parent depth - 3, 1). */
static void depth_discount(void **state) {
    (void)state;
    search_config config = plain();
    config.max_steps = 8;
    config.horizon = 8;
    config.depth_discount_confidence = true;
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

/* ---- (4, code) pairs ---- */

static void random_loser(void **state) {
    (void)state;
    search_config config = plain();
    config.pairs_from = SEARCH_PAIRS_ALL;
    int differs = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        config.loser = SEARCH_LOSER_SMALLEST_Q;
        synthetic *smallest = synthetic_run(&config, seed);
        config.loser = SEARCH_LOSER_RANDOM_SIBLING;
        synthetic *a = synthetic_run(&config, seed), *b = synthetic_run(&config, seed);
        assert_same_search(a->s, b->s);
        for (int32_t i = 0; i < search_step_count(a->s); i++) {
            search_step step = search_step_at(a->s, i), other = search_step_at(smallest->s, i);
            assert_int_equal(step.picked, other.picked); /* the loser touches nothing but pairs */
            int below = 0; /* siblings that make a pair with the best, whichever is drawn */
            for (int32_t j = 0; j < step.child_count; j++) below += step.children[j].Q < other.pair.q_chosen;
            if (other.has_pair && below == step.child_count - 1) assert_true(step.has_pair);
            if (!step.has_pair) continue;
            assert_true(step.pair.q_chosen > step.pair.q_rejected && step.pair.chosen != step.pair.rejected);
            assert_int_equal(step.pair.chosen, other.pair.chosen);
            differs += step.pair.rejected != other.pair.rejected;
        }
        synthetic_free(a);
        synthetic_free(b);
        synthetic_free(smallest);
    }
    assert_true(differs > SEEDS / 4);
}

static void filters(void **state) {
    (void)state;
    search_config config = plain();
    int capped = 0, dropped = 0, kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        synthetic *all = synthetic_run(&config, seed);
        int32_t count = search_pair_count(all->s);
        config.max_pairs = 2;
        synthetic *few = synthetic_run(&config, seed);
        assert_int_equal(search_pair_count(few->s), count < 2 ? count : 2);
        capped += count > 2;
        config.max_pairs = 0;
        config.only_if_right = true;
        synthetic *right = synthetic_run(&config, seed);
        search_step last = search_step_at(all->s, search_step_count(all->s) - 1);
        const search_child *best = NULL;
        for (int32_t j = 0; j < last.child_count; j++)
            if (last.children[j].N > 0 && (!best || last.children[j].Q > best->Q)) best = &last.children[j];
        bool is_right = best && search_node_at(all->s, best->node).outcome == SEARCH_RIGHT;
        assert_int_equal(search_pair_count(right->s), is_right ? count : 0);
        kept += is_right && count, dropped += !is_right && count;
        config.only_if_right = false;
        synthetic_free(all);
        synthetic_free(few);
        synthetic_free(right);
    }
    assert_true(capped && dropped && kept);
}

static void joined_only_children(void **state) {
    (void)state;
    search_config config = plain();
    config.breadth = 2; /* duplicates leave many only children */
    config.join_only_child = true;
    int64_t joined = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        synthetic *y = synthetic_run(&config, seed);
        for (int32_t i = 0; i < search_pair_count(y->s); i++) {
            search_pair pair = search_pair_at(y->s, i);
            search_step made = search_step_at(y->s, pair.step);
            bool on_the_path = made.children[made.picked].node == pair.chosen;
            int32_t expected = 0;
            while (on_the_path && pair.step + expected + 1 < search_step_count(y->s) &&
                   search_step_at(y->s, pair.step + expected + 1).child_count == 1)
                expected++;
            assert_int_equal(pair.joined, expected);
            joined += expected;
        }
        synthetic_free(y);
    }
    assert_true(joined > 0);
}

/* ---- votes, presets ---- */

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

static void presets(void **state) {
    (void)state;
    static const char *const needed[] = {"default", "paper", "paper-literal", "official-code"};
    esp_error error = {0};
    for (int i = 0; i < 4; i++) assert_non_null(search_preset_named(needed[i]));
    assert_null(search_preset_named("papers"));
    for (int32_t i = 0; search_preset_at(i); i++) {
        const search_preset *p = search_preset_at(i);
        assert_ptr_equal(search_preset_named(p->name), p);
        if (search_config_check(&p->config, &error)) fail_msg("%s: %s", p->name, error.message);
        assert_true(p->temperature > 0 && p->max_step_tokens > 0);
        for (uint64_t seed = 0; seed < 8; seed++) synthetic_free(synthetic_run(&p->config, seed));
    }
    const search_config *paper = &search_preset_named("paper")->config;
    search_config literal = search_preset_named("paper-literal")->config;
    assert_int_equal(literal.prior, SEARCH_PRIOR_PROBABILITY_OVER_LENGTH);
    assert_int_equal(paper->simulations * paper->root_multiplier, 20);
    const search_config *code = &search_preset_named("official-code")->config;
    assert_true(code->simulations == 64 && code->root_multiplier == 4 && code->unvisited_counts_one &&
                code->root_counts_twice && code->rest_from_depth == 3 && code->right_other_reward == 1.25);
}

/* The collapsed text decides whether two steps are one. */
static void text_keys(void **state) {
    (void)state;
    assert_true(search_text_key("1 + 2\n", 6) == search_text_key(" 1  +\t2", 7));
    assert_true(search_text_key("1 + 2", 5) != search_text_key("1 +2", 4));
    assert_true(search_text_key("", 0) == search_text_key(" \n", 2));
    assert_true(search_text_key("ab", 2) != search_text_key("ba", 2));
}

/* ---- what does not fit ---- */

/* The reply is refused with a message that says `what`, and a right one is taken afterwards as if nothing
 * was. */
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
        int32_t value;
        const char *what;
    } integers[] = {
        {offsetof(search_config, simulations), 0, "simulations is 0"},
        {offsetof(search_config, root_multiplier), -1, "root_multiplier"},
        {offsetof(search_config, breadth_root), 2000, "breadth_root"},
        {offsetof(search_config, breadth), 0, "breadth is 0"},
        {offsetof(search_config, horizon), 0, "horizon"},
        {offsetof(search_config, max_steps), 0, "max_steps"},
        {offsetof(search_config, rest_from_depth), -2, "rest_from_depth"},
        {offsetof(search_config, max_nodes), -1, "max_nodes"},
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
    config.gamma = NAN;
    assert_int_equal(search_config_check(&config, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "gamma"));
}

/* A policy that has nothing to say: the search ends where it stands, without a step. */
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
    assert_true(search_step_count(s) == 0 && search_pair_count(s) == 0 && search_node_at(s, 0).expanded);
    search_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rest_from_depth),
        cmocka_unit_test(node_budget),
        cmocka_unit_test(gold_path),
        cmocka_unit_test(rewards_by_outcome),
        cmocka_unit_test(depth_discount),
        cmocka_unit_test(random_loser),
        cmocka_unit_test(filters),
        cmocka_unit_test(joined_only_children),
        cmocka_unit_test(finished_chains),
        cmocka_unit_test(presets),
        cmocka_unit_test(text_keys),
        cmocka_unit_test(refused_replies),
        cmocka_unit_test(refused_configurations),
        cmocka_unit_test(dead_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
