/* What sampled ids mean: where a candidate ends, the gold rationale's next step, what the judge reads of a
 * step, and the outcomes of a reply. Without a model. */
#include "policy/answer.h"
#include "words_support.h"

#include <math.h>
#include <string.h>

static esp_error error;

/* Feeds a candidate the ids of a text as if they had been sampled; the log-prob of the k-th is -k. */
static answer_candidate sampled(const opened_words *b, const step_rules *rules, const char *text,
                                bool *more) {
    token_list ids = {0};
    answer_candidate c = {0};
    step_chain_begin(&c.steps, rules);
    OK(tokenizer_encode(b->tokens, text, strlen(text), false, &ids, &error));
    *more = true;
    for (int64_t i = 0; i < ids.count && *more; i++)
        *more = answer_take(b->words, &c, ids.at[i], (float)-i, -1000);
    MEM_LIST_FREE(&ids);
    return c;
}

static void an_answer_ends_in_one_form(void **state) {
    (void)state;
    opened_words b = open_words();
    step_rules rules = prompt_step_rules(b.words);
    rules.sentences = true;
    rules.max_step_tokens = rules.max_chain_tokens = 60;
    bool more;
    text_buffer text = {0};

    answer_candidate c =
        sampled(&b, &rules, "The answer is 18\n", &more); /* end-of-sequence in the newline's place */
    assert_true(!more && c.finished && !c.cut);
    assert_int_equal(c.ids.at[c.ids.count - 1], prompt_eos(b.words));
    assert_true(c.logprobs.at[c.ids.count - 1] == -1000.0f);
    assert_true(c.logprobs.at[c.ids.count - 2] == -(float)(c.ids.count - 2));
    OK(prompt_text(b.words, c.ids.at, c.ids.count, &text, &error));
    assert_non_null(strstr(text.at, "answer is 18"));
    assert_null(strchr(text.at, '\n'));
    text_free(&text);
    answer_candidate_free(&c);

    c = sampled(&b, &rules, "We have 18\n", &more); /* a line like another */
    assert_true(!more && !c.finished && !c.wants_eos);
    answer_candidate_free(&c);
    c = sampled(&b, &rules, "The answer is 18", &more); /* not yet */
    assert_true(more && !c.finished);
    assert_true(answer_scores_eos(&c));
    assert_false(answer_take(b.words, &c, prompt_eos(b.words), -1, -1)); /* sampled end-of-sequence */
    assert_true(c.finished && c.ids.at[c.ids.count - 1] == prompt_eos(b.words));
    answer_candidate_free(&c);

    rules.drop_answer_newline = false; /* as where the newline is in one token with other text */
    c = sampled(&b, &rules, "The answer is 18\n", &more);
    assert_true(more && c.wants_eos && !c.finished);
    int64_t n = c.ids.count;
    assert_true(answer_scores_eos(&c));
    assert_false(answer_take(b.words, &c, prompt_eos(b.words), -7, -7));
    assert_true(c.finished && c.ids.count == n + 1 && c.logprobs.at[n] == -7.0f);
    answer_candidate_free(&c);
    close_words(&b);
}

static const problem sum = {.id = "p0",
                            .question = "Tom has 3 cats and 2 dogs. How many pets?",
                            .gold = "5",
                            .rationale = "Tom has 3 cats.\nWith the dogs it is 5.\nThe answer is 5"};

static search *fresh_search(void) {
    search_config config;
    search_config_defaults(&config);
    config.limits.root_probe = 0;
    config.rewards.judge = false;
    config.limits.gold_injection = true;
    config.limits.max_steps = 8;
    search *s;
    OK(search_new(&s, &config, rng_key(1), &error));
    return s;
}

/* Answers the search's request with one candidate. Returns its node. */
static int32_t feed_one(const opened_words *f, search *s, const answer_candidate *c, const problem *gold) {
    search_request request;
    search_next(s, &request);
    assert_int_equal(request.kind, SEARCH_CANDIDATES);
    search_candidate out;
    OK(answer_reply(f->words, s, request.node, &(answer_grading){.gold = gold}, c, 1, &out, &error));
    int32_t node = search_node_count(s);
    OK(search_feed(s, &(search_reply){.candidates = &out, .candidate_count = 1}, &error));
    assert_int_equal(search_node_count(s), node + 1);
    return node;
}

/* Step by step the gold rationale comes out whole, is graded correct at its end, and has nothing left after.
 */
static void gold_steps_make_the_rationale(void **state) {
    (void)state;
    opened_words f = open_words();
    step_rules rules = prompt_step_rules(f.words);
    search *s = fresh_search();
    int32_t node = 0;
    for (int step = 0; step < 3; step++) {
        step_machine machine = answer_machine_at(f.words, &rules, s, node);
        answer_candidate c;
        OK(answer_gold_step(f.words, &sum, s, node, &machine, false, &c, &error));
        assert_true(c.gold && c.ids.count > 0);
        assert_int_equal(c.finished, step == 2);
        node = feed_one(&f, s, &c, &sum);
        answer_candidate_free(&c);
        assert_int_equal(search_node_at(s, node).outcome, step == 2 ? SEARCH_RIGHT : SEARCH_OPEN);
    }
    text_buffer text = {0};
    OK(prompt_path_text(f.words, s, node, &text, &error));
    assert_int_equal(step_text_key(text.at, text.length),
                     step_text_key(sum.rationale, strlen(sum.rationale)));
    text_free(&text);
    search_free(s);
    close_words(&f);
}

/* The same chain is unknown without gold and incorrect by another; the judge does not see its end. */
static void outcomes_follow_from_gold(void **state) {
    (void)state;
    opened_words f = open_words();
    step_rules rules = prompt_step_rules(f.words);
    problem other = sum;
    other.gold = "6";
    const problem *golds[] = {NULL, &sum, &other};
    const search_outcome outcomes[] = {SEARCH_FINISHED_UNKNOWN, SEARCH_RIGHT, SEARCH_WRONG};
    for (int i = 0; i < 3; i++) {
        search *s = fresh_search();
        bool more;
        answer_candidate c = sampled(&f, &rules, "The answer is 5\n", &more);
        assert_false(more);
        int32_t v = feed_one(&f, s, &c, golds[i]);
        search_node node = search_node_at(s, v);
        assert_int_equal(node.outcome, outcomes[i]);
        assert_int_equal(node.ids[node.n - 1], prompt_eos(f.words));
        assert_int_equal(answer_judged_length(f.words, &node), node.n - 1);
        double logprob = 0;
        for (int64_t k = 0; k < c.ids.count; k++) logprob += (double)c.logprobs.at[k];
        assert_true(node.logprob == logprob);
        answer_candidate_free(&c);
        search_free(s);
    }
    search_node open = {.n = 3, .outcome = SEARCH_OPEN};
    assert_int_equal(answer_judged_length(f.words, &open), 3);
    close_words(&f);
}

/* Verdicts from outside take the place of the task's, rewards that of 1 and -1, and what cannot be judged is
 * worth what was agreed on. */
static void verdicts_from_outside(void **state) {
    (void)state;
    static const struct {
        grader_verdict verdict;
        answer_worth worth;
        search_outcome outcome;
        double O;
    } cases[] = {
        {{.verdict = GRADE_EQUAL}, {.unknown = ANSWER_SKIP}, SEARCH_RIGHT, 1},
        {{.verdict = GRADE_DIFFERENT}, {.unknown = ANSWER_SKIP}, SEARCH_WRONG, -1},
        {{.verdict = GRADE_UNKNOWN}, {.unknown = ANSWER_SKIP}, SEARCH_FINISHED_UNKNOWN, 0},
        {{.verdict = GRADE_UNKNOWN}, {.unknown = ANSWER_INCORRECT}, SEARCH_WRONG, -1},
        {{.verdict = GRADE_UNKNOWN}, {ANSWER_REWARD, -0.25}, SEARCH_SCORED, -0.25},
        {{.verdict = GRADE_DIFFERENT}, {ANSWER_REWARD, -0.25}, SEARCH_WRONG, -1},
        {{GRADE_EQUAL, true, 0.5, "partly"}, {.unknown = ANSWER_INCORRECT}, SEARCH_SCORED, 0.5},
        {{GRADE_DIFFERENT, true, -3, NULL}, {ANSWER_REWARD, 1}, SEARCH_SCORED, -3},
    };
    opened_words f = open_words();
    step_rules rules = prompt_step_rules(f.words);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        search *s = fresh_search();
        bool more;
        answer_candidate c = sampled(&f, &rules, "The answer is 5\n", &more);
        answer_grading grading = {.gold = &sum, .worth = cases[i].worth, .verdicts = &cases[i].verdict};
        search_request request;
        search_candidate out;
        search_next(s, &request);
        OK(answer_reply(f.words, s, request.node, &grading, &c, 1, &out, &error));
        OK(search_feed(s, &(search_reply){.candidates = &out, .candidate_count = 1}, &error));
        search_node node = search_node_at(s, 1);
        assert_int_equal(node.outcome, cases[i].outcome);
        assert_true(node.O == cases[i].O);
        text_buffer text = {0};
        OK(answer_chain_text(f.words, s, 0, &c, &text, &error));
        assert_non_null(strstr(text.at, "The answer is 5"));
        text_free(&text);
        answer_candidate_free(&c);
        search_free(s);
    }
    close_words(&f);
}

static void confidence_is_the_share_of_correct(void **state) {
    (void)state;
    assert_true(fabs(answer_confidence(log(0.1), log(0.3)) - 0.75) < 1e-12);
    assert_true(answer_confidence(-2000, 0) == 1);
    assert_true(answer_confidence(0, -2000) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_ends_in_one_form),         cmocka_unit_test(gold_steps_make_the_rationale),
        cmocka_unit_test(outcomes_follow_from_gold),          cmocka_unit_test(verdicts_from_outside),
        cmocka_unit_test(confidence_is_the_share_of_correct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
