/* The pairs of tests/data/golden/grade: each verdict is one that a careful mathematician accepts. Those that
 * are not yet are listed in known.jsonl, and nothing else is: a pair that becomes correct must leave the
 * list. */
#include "task_support.h"

#include "formats/json.h"
#include "task/answer.h"
#include "task/task_ops.h"

#include <string.h>

static esp_error error;

static const char *const VERDICTS[] = {
    [GRADE_DIFFERENT] = "different", [GRADE_EQUAL] = "equal", [GRADE_UNKNOWN] = "unknown"};

static const char *text_of(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    if (!text) fail_msg("a row without \"%s\"", key);
    return text;
}

static bool acceptable(const json_t *right, const char *verdict) {
    if (json_is_string(right)) return strcmp(json_string_value(right), verdict) == 0;
    for (size_t i = 0; i < json_array_size(right); i++)
        if (strcmp(json_string_value(json_array_get(right, i)), verdict) == 0) return true;
    return false;
}

static const answer_place *const PLACES[] = {&answer_box, NULL};
static const answer_form MATH = {.kind = &answer_math, .places = PLACES};

/* Numbers are found in the row's text as GSM8K's are, mathematics in a box. */
static grade_verdict verdict_of(const char *kind, const char *gold, const char *answer) {
    bool number = strcmp(kind, "number") == 0;
    text_buffer text = {0};
    text_printf(&text, number ? "%s" : "\\boxed{%s}", answer);
    problem p = {.gold = gold};
    task_grade_result g =
        answer_grade(number ? &test_task("gsm8k")->answers : &MATH, &p, text.at, text.length);
    grade_verdict v = g.bad_gold ? GRADE_UNKNOWN : g.verdict;
    task_grade_free(&g);
    text_free(&text);
    return v;
}

/* One text for each pair, to find it by. */
static char *name_of(const json_t *row) {
    return mem_printf("%s | %s | %s", text_of(row, "kind"), text_of(row, "gold"), text_of(row, "answer"));
}

static json_t *known_rows(void) {
    json_t *known = json_object();
    jsonl_reader *reader;
    OK(jsonl_open(&reader, TEST_DATA "/golden/grade/known.jsonl", &error));
    for (json_t *row;;) {
        OK(jsonl_next(reader, &row, &error));
        if (!row) break;
        char *name = name_of(row);
        json_object_set_new(known, name, json_string(text_of(row, "verdict")));
        mem_free(name);
    }
    jsonl_close(reader);
    return known;
}

static void test_pairs(void **state) {
    (void)state;
    json_t *known = known_rows();
    size_t total = 0, wrong = 0;
    jsonl_reader *reader;
    OK(jsonl_open(&reader, TEST_DATA "/golden/grade/pairs.jsonl", &error));
    for (json_t *row;; total++) {
        OK(jsonl_next(reader, &row, &error));
        if (!row) break;
        const char *verdict =
            VERDICTS[verdict_of(text_of(row, "kind"), text_of(row, "gold"), text_of(row, "answer"))];
        bool right = acceptable(json_object_get(row, "right"), verdict);
        char *name = name_of(row);
        const char *listed = json_string_value(json_object_get(known, name));
        if (right == (listed != NULL) || (listed && strcmp(listed, verdict) != 0)) {
            wrong++;
            fprintf(stderr, "%s: %s%s; %s\n", name, verdict, listed ? ", listed in known.jsonl" : "",
                    text_of(row, "why"));
        }
        json_object_del(known, name);
        mem_free(name);
    }
    jsonl_close(reader);
    const char *left;
    json_t *verdict;
    json_object_foreach(known, left, verdict) fprintf(stderr, "%s: listed in known.jsonl, no pair\n", left);
    wrong += json_object_size(known);
    json_decref(known);
    if (wrong) fail_msg("%zu of %zu pairs", wrong, total);
    assert_true(total >= 600);
}

/* ---- Where nothing announces an answer ---- */

/* A last line that cannot be read is no answer; what is in a box or after a phrase cannot be judged. */
static void test_unannounced(void **state) {
    (void)state;
    static const struct {
        const char *text, *extracted;
        grade_verdict verdict;
    } cases[] = {
        {"so it is\n\\frac{1}{2}", "\\frac{1}{2}", GRADE_EQUAL},
        {"so it is\n$0.5$\n", "0.5", GRADE_EQUAL},
        {"so it is\nFor $x^{2$ we have {1, 2 with 3 & 4 in it", NULL, GRADE_DIFFERENT},
        {"```\nx = [[1, 2\n```", NULL, GRADE_DIFFERENT},
        {"\\boxed{1 & 2}", "1 & 2", GRADE_UNKNOWN},
        {"The answer is {1, 2 & 3", "{1, 2 & 3", GRADE_UNKNOWN},
        {"\\boxed{$\\$\\frac12$}", "\\$\\frac12", GRADE_EQUAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        problem p = {.gold = "\\frac{1}{2}"};
        task_grade_result g = task_grade(test_task("math"), &p, cases[i].text, strlen(cases[i].text));
        if (g.verdict != cases[i].verdict) fail_msg("%s: %s", cases[i].text, VERDICTS[g.verdict]);
        if (cases[i].extracted)
            assert_string_equal(g.extracted, cases[i].extracted);
        else
            assert_null(g.extracted);
        task_grade_free(&g);
    }
}

/* ---- Answers that no model should write ---- */

enum { HUGE_LENGTH = 1000000 };

/* before, `part` until there are HUGE_LENGTH bytes, `after` as many times. */
static const struct {
    const char *before, *part, *after;
    int64_t times; /* 0: as many as there is room for */
} huge[] = {
    {"", "7", "", 0},
    {"0.", "3", "", 0},
    {"-", "10", "", 0},
    {"1e", "9", "", 0},
    {"", "1,000", "", 0},
    {"", "1,", "", 0},
    {"", "1+", "1", 0},
    {"", "x+", "1", 0},
    {"", "(", "", 0},
    {"", "{", "", 0},
    {"", "[", "", 0},
    {"", "\\{", "", 0},
    {"", "((((5))))+", "1", 0},
    {"", "2^", "2", 0},
    {"", "2^{", "2", 0},
    {"", "9^{9^{", "9", 5000},
    {"", "\\frac{1}{", "", 0},
    {"", "\\frac{1}{1+", "1", 500},
    {"", "\\sqrt{", "2", 0},
    {"", "\\sqrt", "2", 0},
    {"", "-", "5", 0},
    {"", "!", "", 0},
    {"5", "!", "", 0},
    {"3", "!", "", 12},
    {"", "\\left(", "5", 0},
    {"", "\\text{", "5", 0},
    {"", "\\", "", 0},
    {"", "$", "", 0},
    {"", "\\boxed{", "5", 0},
    {"", "(0,1)\\cup", "(0,1)", 0},
    {"", "\\pm ", "5", 0},
    {"5", "%", "", 0},
    {"\\begin{pmatrix}", "1&", "1\\end{pmatrix}", 0},
    {"\\begin{pmatrix}", "1\\\\", "1\\end{pmatrix}", 0},
    {"", "x=", "5", 0},
    {"", "1<", "5", 0},
    {"", "1:", "5", 0},
    {"", "\\sin ", "5", 0},
    {"", "(x+1)", "", 0},
    {"", "(x+y+z+1)^{99}", "", 40},
    {"", "x^{9999}+", "1", 0},
    {"", "\xc2\xb2", "", 0},
    {"", "\xff", "", 0},
    {"", " ", "", 0},
    {"", "cm ", "", 0},
    {"", "million ", "", 0},
    {"5", "\\cdot x_{1}", "", 0},
    {"", "\\overline{3}", "", 0},
    {"", "or ", "5", 0},
    {"", "e^{i", "", 0},
    {"", "|", "5", 0},
    {"", "\\binom{9}{", "5", 0},
    {"", "\\log_", "2", 0},
    {"", "10^{10^{", "10}}", 3},
};

/* Each ends, and none is 4; compared with itself none is different. */
static void test_huge(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        text_buffer text = {0};
        text_puts(&text, huge[i].before);
        for (int64_t n = 0; huge[i].times ? n < huge[i].times : text.length < HUGE_LENGTH; n++)
            text_puts(&text, huge[i].part);
        text_puts(&text, huge[i].after);
        if (verdict_of("math", "4", text.at) == GRADE_EQUAL) fail_msg("%s... is not 4", huge[i].part);
        if (verdict_of("number", "4", text.at) == GRADE_EQUAL) fail_msg("%s... is not 4", huge[i].part);
        if (verdict_of("math", text.at, "4") == GRADE_EQUAL) fail_msg("%s... as gold is not 4", huge[i].part);
        if (verdict_of("math", text.at, text.at) == GRADE_DIFFERENT)
            fail_msg("%s... differs from itself", huge[i].part);
        text_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs), cmocka_unit_test(test_unannounced),
                                       cmocka_unit_test(test_huge)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
