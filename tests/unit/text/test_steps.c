/* Step ends (docs/method.md 2.0) over made-up tokens. A chain is written as its tokens between bars; <e> is
 * end-of-sequence. The expected steps are written as a letter per step and the number of tokens kept: E
 * ended, F full, S finished by end-of-sequence, A finished by an answer, "-" not ended yet; "!" after a step
 * that cuts the chain. */
#include "support.h"

#include "text/steps.h"

#include <string.h>

static const char *const markers[] = {"####", "The answer is", NULL};

static step_rules rules_of(step_size size, bool sentences, int32_t most) {
    return (step_rules){.size = size,
                        .sentences = sentences,
                        .markers = markers,
                        .ends = {7, 9},
                        .end_count = 2,
                        .max_step_tokens = most};
}

typedef struct {
    const char *at;
    size_t length;
    int32_t id;
} piece;

static int32_t cut_pieces(const char *chain, piece *out) {
    int32_t n = 0;
    while (*chain) {
        size_t length = strcspn(chain, "|");
        bool end = length == 3 && strncmp(chain, "<e>", 3) == 0;
        out[n++] = (piece){chain, length, end ? 9 : 100 + (int32_t)length};
        chain += length + (chain[length] == '|');
    }
    return n;
}

/* Feeds a chain; tokens beyond what a step keeps are fed again to the next. */
static void expect(const step_rules *rules, const char *chain, const char *want) {
    piece pieces[64];
    int32_t count = cut_pieces(chain, pieces), start = 0;
    text_buffer got = {0};
    esp_error error;
    step_machine m;
    assert_int_equal(step_rules_check(rules, &error), ESP_OK);
    step_chain_begin(&m, rules);
    bool over = false;
    for (int32_t i = 0; i < count && !over; i++) {
        step_machine copy = m;
        step_result r = step_feed(&m, pieces[i].id, pieces[i].at, pieces[i].length);
        step_result again = step_feed(&copy, pieces[i].id, pieces[i].at, pieces[i].length);
        assert_memory_equal(&r.outcome, &again.outcome, sizeof r.outcome);
        assert_int_equal(r.keep, again.keep);
        if (r.outcome == STEP_GOES_ON) {
            assert_int_equal(r.keep, i + 1 - start);
            if (i + 1 == count) text_printf(&got, " -%d", r.keep);
            continue;
        }
        assert_in_range(r.keep, 1, i + 1 - start);
        text_printf(&got, " %c%d%s", "-EFSA"[r.outcome], r.keep, r.cut ? "!" : "");
        over = r.outcome >= STEP_FINISHED_EOS || r.cut;
        start += r.keep;
        i = start - 1;
    }
    if (!got.at || strcmp(got.at + 1, want) != 0) fail_msg("%s:\n got  %s\n want  %s", chain, got.at, want);
    text_free(&got);
}

static void test_lines(void **state) {
    (void)state;
    step_rules r = rules_of(STEP_LINE, false, 8);
    expect(&r, "a| b|\n|c|\n", "E3 E2");
    expect(&r, "a| b.\n|c|d", "E2 -2");
    expect(&r, "a.| B| c|\n", "E4"); /* lines alone: the end of a sentence does not matter */
    expect(&r, "a|\nb|\n",
           "E2 -1"); /* a newline inside a token ends it, and what follows stays; then white space alone */
    expect(&r, "a|<e>", "S2");
    expect(&r, "<e>", "S1");
    expect(&r, "a|b|c|d|e|f|g|h|i|\n", "F8 E2");
}

static void test_blank_lines(void **state) {
    (void)state;
    step_rules r = rules_of(STEP_LINE, true, 8);
    expect(&r, "a|\n|\n|b|\n", "E2 E3");
    expect(&r, "\n| |\n|b| c|\n\n|\n|d", "E6 -2");
    expect(&r, "\n|\n|<e>", "S3");
    expect(&r, "\n|\n|\n|\n|\n|\n|\n|\n|a", "F8 -1"); /* the limit holds all the same */
}

static void test_sentences(void **state) {
    (void)state;
    step_rules r = rules_of(STEP_LINE, true, 16);
    expect(&r, "He| ran|.| She| sat|?|\n|x", "E3 E4 -1"); /* the newline is part of the line it ends */
    expect(&r, "It| is| 3|.|5| m|.| So| it| is|!| Yes", "E7 E4 -1");
    expect(&r, "a|.|)| b|\n", "E5"); /* white space right after the mark only */
    expect(&r, "a.|  b", "E1 -1");
    expect(&r, "a|.|<e>", "S3");
    expect(&r, "a|.|\tb|.|\n", "E2 E3");
    expect(&r, "He |ran|. The |dog| sat? |x", "E3 E2 -1"); /* tokens of more than a word */
    expect(&r, "a|. |\n|b", "E2 -2");
    expect(&r, "a|.b c|. ", "E3");
}

static void test_answers(void **state) {
    (void)state;
    step_rules r = rules_of(STEP_LINE, false, 12);
    expect(&r, "x|\n|####| 72|\n|more", "E2 A3");
    expect(&r, "x|\n|####| 72|<e>", "E2 S3");
    expect(&r, "##|#|#| 72|\n", "A5"); /* the marker over several tokens */
    expect(&r, "##|\n|##| 72|\n", "E2 E3");
    expect(&r, "So|,| The| ans|wer is| 5|.|\n\n", "A8");
    expect(&r, "#### 7\nmore", "A1");
    expect(&r, "long line before it, far more than a marker could be in length, and then ####|5|\n", "A3");
    r.drop_answer_newline = true;
    expect(&r, "####| 72|\n|more", "A2");
    expect(&r, "####| 72\n", "A2");
    r.drop_answer_newline = false;
    r.sentences = true; /* a sentence may end on the answer's line; the chain goes on to the line's end */
    expect(&r, "The answer is| 5|.| It| is|.|\n|x", "E3 A4");
    r.max_step_tokens = 2; /* the line began in an earlier step */
    expect(&r, "####| 7|2|\n", "F2 A2");
    expect(&r, "####| 72|\n", "F2 A1");
}

static void test_fill(void **state) {
    (void)state;
    step_rules r = rules_of(STEP_FILL, true, 6);
    expect(&r, "a|\n|b|\n|c|d|e|\n", "E4 -4"); /* cut back to the last whole line */
    expect(&r, "a|b|c|d|e|f|g", "F6 -1");      /* there is none */
    expect(&r, "a|\n|b|\n|c|\n|d", "E6 -1");
    expect(&r, "a|.| b|.| c|d|e", "E4 -3");
    expect(&r, "a|\n|<e>", "S3");
    expect(&r, "a|\n|####| 5|\n|x", "A5");
    expect(&r, "\n|\n|\n|a|b|c|d", "F6 -1"); /* white space alone is nothing whole */
    /* After a cut back, the state of the line is that of the cut: a marker in the dropped tokens is forgotten
     * until it comes again. */
    expect(&r, "a|\n|b|.| The answer is| 4| x|\n|y", "E4 A4");
}

static void test_limits(void **state) {
    (void)state;
    step_rules r = rules_of(STEP_LINE, false, 4);
    r.max_steps = 2;
    expect(&r, "a|\n|b|\n|c|\n", "E2 E2!");
    expect(&r, "a|\n|b|<e>", "E2 S2"); /* finished, not cut */
    expect(&r, "a|b|c|d|e|f|g|h|i", "F4 F4!");
    r.max_steps = 0;
    r.max_chain_tokens = 5;
    expect(&r, "a|\n|b|c|d|e", "E2 F3!");
    expect(&r, "a|\n|b|c|\n|e", "E2 E3!");
    expect(&r, "a|\n|####|5|\n", "E2 A3");
    r.size = STEP_FILL;
    expect(&r, "a|b|c|d|e|\n", "F4 F1!");
    r.max_step_tokens = 8;
    expect(&r, "a|\n|b|c|d|e", "E2!"); /* the chain's room ran out within a line */
    r.max_step_tokens = 0;
    esp_error error;
    assert_int_equal(step_rules_check(&r, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "max_step_tokens"));
}

/* A machine made by replaying a path is the machine that sampled it. */
static void test_replay(void **state) {
    (void)state;
    step_rules r = rules_of(STEP_LINE, true, 8);
    piece pieces[64];
    int32_t count = cut_pieces("a|.| The answer| is| 4|.| Next", pieces);
    step_machine fed, replayed;
    step_chain_begin(&fed, &r);
    step_chain_begin(&replayed, &r);
    for (int32_t i = 0, start = 0; i < count; i++) {
        step_result s = step_feed(&fed, pieces[i].id, pieces[i].at, pieces[i].length);
        if (s.outcome == STEP_GOES_ON) continue;
        assert_int_equal(s.outcome, STEP_ENDED);
        for (int32_t j = start; j < start + s.keep; j++)
            step_replay(&replayed, pieces[j].at, pieces[j].length);
        step_replay_end(&replayed);
        start += s.keep;
        i = start - 1;
    }
    assert_int_equal(replayed.steps, 2);
    assert_int_equal(replayed.chain_tokens, 6);
    assert_true(replayed.line.answer);
    assert_int_equal(step_feed(&replayed, 1, "\n", 1).outcome, STEP_FINISHED_ANSWER);
}

/* Steps are the same if their texts are, white space collapsed. */
static void test_text_key(void **state) {
    (void)state;
    static const char *const same[][2] = {
        {"  a \t b\n\n c ", "a b c"}, {"1 + 2\n", " 1  +\t2"}, {"", " \n"}, {"ab", "ab"}};
    static const char *const other[][2] = {{"1 + 2", "1 +2"}, {"ab", "ba"}, {"a b", "ab"}, {"", "a"}};
    for (int i = 0; i < 4; i++) {
        assert_true(step_text_key(same[i][0], strlen(same[i][0])) ==
                    step_text_key(same[i][1], strlen(same[i][1])));
        assert_true(step_text_key(other[i][0], strlen(other[i][0])) !=
                    step_text_key(other[i][1], strlen(other[i][1])));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_blank_lines), cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_answers), cmocka_unit_test(test_fill),        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_replay),  cmocka_unit_test(test_text_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
