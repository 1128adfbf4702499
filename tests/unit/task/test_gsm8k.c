/* GSM8K: the grader by table, hostile answers, and every problem of the real files. */
#include "task_support.h"

#include "formats/json.h"
#include "task/task_ops.h"

#include <string.h>
#include <time.h>

static const task *gsm8k(void) {
    return test_task("gsm8k");
}

#define EQ   "equal"
#define DIF  "different number"
#define NO   "no answer found"
#define NAN_ "not a number"
#define BAD  "gold is not a number"

static const struct {
    const char *answer, *gold, *extracted, *reason;
} cases[] = {
    /* the answer line */
    {"16 - 3 - 4 = 9\n9 * 2 = 18\n#### 18", "18", "18", EQ},
    {"#### 18", "19", "18", DIF},
    {"####18", "18", "18", EQ},
    {"  ####   18  \n\n", "18", "18", EQ},
    {"#### 18\r\n", "18", "18", EQ},
    {"#### 18<|im_end|>", "18", "18", EQ},
    {"#### 18.", "18", "18", EQ},
    {"#### $18.00", "18", "18", EQ},
    {"#### **18**", "18", "18", EQ},
    {"#### 72 clips", "72", "72", EQ},
    {"#### She sold 72 clips", "72", "72", EQ},
    {"#### 72 clips for 5 friends", "72", "72", EQ},
    {"#### 10 - 3 = 7", "7", "7", EQ},
    {"#### 2*(3+4) = 14 = 14.0 eggs", "14", "14", EQ},
    {"#### x = 7", "7", "7", EQ},
    {"#### 5\n#### 6", "6", "6", EQ},
    {"#### 5 #### 6", "6", "6", EQ},
    {"###### 6", "6", "6", EQ},
    {"#### 6 ####", "6", "6", EQ},
    {"#### 18\nThat is 3 more than 15.", "18", "18", EQ},
    {"#### 18\nQuestion: what is 2 + 2?", "18", "18", EQ},
    {"#### Step 1\n3 + 4 = 7\n#### Step 2\n7 * 2 = 14", "14", "14", EQ},
    {"#### Step 1\n3 + 4 = 7\nThe answer is 7", "7", "7", EQ},
    {"#### 4\n#### Step 2\nso 9", "4", "4", EQ},
    {"3 + 4 = 7\n####", "7", NULL, NO},
    {"3 + 4 = 7\n####   \n", "7", NULL, NO},
    {"3 + 4 = 7\n#### seven", "7", "7", EQ},
    {"3 + 4 = 7\n#### many", "7", "many", NAN_},
    {"### 18", "18", "18", EQ},
    {"#### - 5", "-5", "-5", EQ},
    {"#### -5", "-5", "-5", EQ},
    {"#### 5", "-5", "5", DIF},
    {"#### $-10", "-10", "-10", EQ},
    {"#### \xe2\x88\x92"
     "10",
     "-10", "-10", EQ},
    {"#### \xe2\x88\x92 10", "-10", "-10", EQ},
    /* said in words */
    {"The answer is 18.", "18", "18", EQ},
    {"the ANSWER IS $1,234.", "1234", "1234", EQ},
    {"So the final answer is: 42", "42", "42", EQ},
    {"**Answer:** 42", "42", "42", EQ},
    {"Answer = 42", "42", "42", EQ},
    {"answer:42", "42", "42", EQ},
    {"Final answer: \\boxed{42}", "42", "42", EQ},
    {"The answer is:\n\n  42 eggs", "42", "42", EQ},
    {"The answer is 5. No, wait: the answer is 6.", "6", "6", EQ},
    {"The answer is 5. I checked it 3 times.", "5", "5", EQ},
    {"The answer is that she has 5 apples, 3 of them red.", "5", "5", EQ},
    {"The answer is 12 / 4 = 3", "3", "3", EQ},
    {"The answer is 5, since 2 + 3 = 9 - 4", "5", "5", EQ},
    {"Answer: First she has 3 eggs.\n3 + 4 = 7", "7", "7", EQ},
    {"The answer is unclear. 3 + 4 = 7", "7", "7", EQ},
    {"We answer: 3 apples cost 6", "3", "3", EQ},
    {"Thus $\\boxed{\\frac{3}{4}}$.", "0.75", "0.75", EQ},
    {"\\boxed{18} because 3 * 6 = 18, found in 2 steps", "18", "18", EQ},
    {"\\boxed{x = 18}", "18", "18", EQ},
    {"\\boxed{{1}8", "18", "1", DIF},
    {"\\boxed{} then 4", "4", "4", EQ},
    {"The answer is 3\n#### 4", "4", "4", EQ},
    {"#### 4\nThe answer is 3", "4", "4", EQ},
    /* the last number */
    {"18", "18", "18", EQ},
    {"She makes 9 * 2 = $18 every day.", "18", "18", EQ},
    {"She makes $18 on 2 days", "18", "2", DIF},
    {"12/4=3 eggs", "3", "3", EQ},
    {"It is 10-3", "3", "3", EQ},
    {"no number at all", "18", NULL, NO},
    {"", "18", NULL, NO},
    {"five", "5", "5", EQ},
    {"\n\n", "18", NULL, NO},
    /* exact comparison */
    {"#### 1,234", "1234", "1234", EQ},
    {"#### 1234", "1,234", "1234", EQ},
    {"#### 1,450,000", "1450000", "1450000", EQ},
    {"#### 5.0", "5", "5", EQ},
    {"#### 5.00", "5.0", "5", EQ},
    {"#### .5", "0.5", "0.5", EQ},
    {"#### 1/2", "0.5", "0.5", EQ},
    {"#### 0.5", "1/2", "0.5", EQ},
    {"#### 2/4", "1/2", "0.5", EQ},
    {"#### 1/3", "0.33", "1/3", DIF},
    {"#### 0.3333333333333333", "1/3", "0.3333333333333333", DIF},
    {"#### 1 1/2", "1.5", "1.5", EQ},
    {"#### 1\xc2\xbd hours", "1.5", "1.5", EQ},
    {"#### -1 1/2", "-3/2", "-1.5", EQ},
    {"#### 10/2", "5", "5", EQ},
    {"#### 5/0", "5", "5/0", NAN_},
    {"#### 18.0000000000000000000000000000001", "18", "18.0000000000000000000000000000001", DIF},
    {"#### 9007199254740993", "9007199254740992", "9007199254740993", DIF},
    {"#### 123456789012345678901234567890", "123,456,789,012,345,678,901,234,567,890",
     "123456789012345678901234567890", EQ},
    {"#### 0.1", "0.10000000000000001", "0.1", DIF},
    {"#### 1e3", "1000", "1000", EQ},
    {"#### -0", "0", "0", EQ},
    {"#### 007", "7", "7", EQ},
    {"#### \xe2\x82\xac 18", "$18", "18", EQ},
    {"#### \xc2\xa3"
     "18.50",
     "18.5", "18.5", EQ},
    {"#### 18 dollars", "$18.00", "18", EQ},
    {"#### 1,5", "1.5", "1", DIF},
    /* percent */
    {"#### 50%", "50", "50", EQ},
    {"#### 50", "50%", "50", EQ},
    {"#### 50 percent", "50%", "50", EQ},
    {"#### 0.5", "50%", "0.5", EQ},
    {"#### 50%", "0.5", "50", EQ},
    {"#### 50%", "1/2", "50", EQ},
    {"#### 0.5%", "50%", "0.5", DIF},
    {"#### 50%", "5", "50", DIF},
    {"#### 0.5", "50", "0.5", DIF},
    /* gold as a whole solution, and gold that is none */
    {"#### 18", "9 * 2 = 18\n#### 18", "18", EQ},
    {"#### 18", "#### 1,800", "18", DIF},
    {"#### 18", "eighteen", "18", EQ},
    {"#### 18", "many", "18", BAD},
    {"#### 18", "", "18", BAD},
    {"no number", "", NULL, BAD},
};

static void test_table(void **state) {
    (void)state;
    assert_true(sizeof cases / sizeof *cases > 80);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        task_grade_result g =
            task_grade(gsm8k(), &(problem){.gold = cases[i].gold}, cases[i].answer, strlen(cases[i].answer));
        const char *want = cases[i].extracted ? cases[i].extracted : "(none)",
                   *got = g.extracted ? g.extracted : "(none)";
        if (strcmp(g.reason, cases[i].reason) != 0 || strcmp(got, want) != 0 ||
            g.correct != (strcmp(g.reason, EQ) == 0) || g.bad_gold != (strcmp(g.reason, BAD) == 0))
            fail_msg("\"%s\" against \"%s\": got %s, %s, want %s, %s", cases[i].answer, cases[i].gold, got,
                     g.reason, want, cases[i].reason);
        task_answer *a = task_answer_find(gsm8k(), NULL, cases[i].answer, strlen(cases[i].answer));
        if (a) {
            char *shown = task_answer_show(gsm8k(), NULL, a);
            assert_string_equal(shown, got);
            task_answer *again = task_answer_find(gsm8k(), NULL, shown, strlen(shown));
            assert_non_null(again);
            assert_true(task_answer_equal(gsm8k(), NULL, a, again));
            mem_free(again);
            mem_free(shown);
        } else {
            assert_true(!g.extracted || strcmp(g.reason, NAN_) == 0);
        }
        mem_free(a);
        task_grade_free(&g);
    }
}

static void test_sources(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const answer_place *place;
        const char *span;
    } at[] = {
        {"so\n#### -$1,800 a year", &answer_marker, "-$1,800"},
        {"The answer is 50% here", &answer_stated, "50%"},
        {"\\boxed{1/2}", &answer_stated, "1/2"},
        {"3 and 1 1/2.", &answer_last_number, "1 1/2"},
        {"nothing", NULL, ""},
        {"#### many  \n", &answer_marker, "many"},
    };
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        answer_reading a = {0};
        const answer_place *place = NULL, *const *next = gsm8k()->answers.places;
        for (; *next && !place; next++)
            if ((*next)->find(&gsm8k()->answers, NULL, at[i].text, strlen(at[i].text), &a)) place = *next;
        assert_ptr_equal(place, at[i].place);
        assert_int_equal(a.end - a.start, strlen(at[i].span));
        assert_memory_equal(at[i].text + a.start, at[i].span, a.end - a.start);
        mem_free(a.answer);
    }
}

/* A megabyte of one pattern, graded; the total time shows work that is not linear. */
static void test_hostile(void **state) {
    (void)state;
    static const char *const patterns[] = {
        "9",          "1 ",           "1,000,",         "#",           "#### ", "####\n",       "#### x = ",
        "answer is ", "answer: \n",   "answer",         "\\boxed{",    "{",     "1/2/",         "1 1/2 ",
        "$-",         "\xe2\x88\x92", "\xff\xfe",       "\n",          "=1",    "answer is 1=", "\\frac{1}{",
        "1e1",        "....5",        "answer is x = ", "#### 1 = x ", "9.",    "9\xc2\xa0",    "<<",
        "\\boxed{}",  "answer:*_ "};
    size_t length = 1 << 20;
    char *text = malloc(length);
    clock_t begin = clock();
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        size_t n = strlen(patterns[i]);
        for (size_t k = 0; k < length; k++) text[k] = patterns[i][k % n];
        task_grade_result g = task_grade(gsm8k(), &(problem){.gold = "18"}, text, length);
        assert_false(g.correct);
        assert_true(!g.extracted || strlen(g.extracted) < 2000);
        task_grade_free(&g);
    }
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    if (seconds > 20) fail_msg("%.1f s for %zu MB", seconds, sizeof patterns / sizeof *patterns);
    free(text);
}

static void test_any_bytes(void **state) {
    (void)state;
    static const char zeros[] = "a\0b\0#### 1\0008\0";
    task_grade_result g = task_grade(gsm8k(), &(problem){.gold = "1"}, zeros, sizeof zeros - 1);
    assert_true(g.correct);
    task_grade_free(&g);
    static const char broken[] = "#### \xff\xc3(\x01\0\xed\xa0\x80 \xc3\xa9";
    g = task_grade(gsm8k(), &(problem){.gold = "1"}, broken, sizeof broken - 1);
    assert_string_equal(g.reason, NAN_);
    json_t *valid = json_string(g.extracted); /* NULL unless it is UTF-8 */
    assert_non_null(valid);
    json_decref(valid);
    assert_non_null(strstr(g.extracted, "\xc3\xa9"));
    task_grade_free(&g);
    g = task_grade(gsm8k(), &(problem){.gold = "1"}, NULL, 0);
    assert_string_equal(g.reason, NO);
    task_grade_free(&g);
}

static void test_row(void **state) {
    (void)state;
    static const struct {
        const char *row, *out, *says;
    } rows[] = {
        {"{\"answer\": \"#### 1,800\", \"gold\": \"1800\"}",
         "{\"extracted\":\"1800\",\"verdict\":\"equal\",\"correct\":true,\"reason\":\"equal\"}", NULL},
        {"{\"answer\": \"\", \"gold\": 18}",
         "{\"extracted\":null,\"verdict\":\"different\",\"correct\":false,\"reason\":\"no answer found\"}",
         NULL},
        {"{\"answer\": \"0.1\", \"gold\": 0.1}",
         "{\"extracted\":\"0.1\",\"verdict\":\"equal\",\"correct\":true,\"reason\":\"equal\"}", NULL},
        {"{\"gold\": \"18\"}", NULL, "answer"},
        {"{\"answer\": \"18\"}", NULL, "gold"},
        {"{\"answer\": 18, \"gold\": \"18\"}", NULL, "answer"},
        {"{\"answer\": \"18\", \"gold\": \"x\"}", NULL, "gold"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        esp_error error = {0};
        json_t *row = json_loads(rows[i].row, 0, NULL), *out;
        assert_non_null(row);
        esp_status status = task_grade_row(gsm8k(), row, "f.jsonl:7", &out, &error);
        if (rows[i].out) {
            assert_int_equal(status, ESP_OK);
            char *text = json_dumps(out, JSON_COMPACT);
            assert_string_equal(text, rows[i].out);
            free(text);
            json_decref(out);
        } else {
            assert_int_equal(status, ESP_FAILED);
            assert_null(out);
            assert_non_null(strstr(error.message, "f.jsonl:7"));
            assert_non_null(strstr(error.message, rows[i].says));
        }
        json_decref(row);
    }
}

/* Every gold solution of a real file, as read and as cleaned, is graded right against its own gold. */
static void check_file(const char *path, int64_t count) {
    esp_error error = {0};
    problem_set set;
    if (task_read(gsm8k(), path, &set, &error) != ESP_OK) fail_msg("%s", error.message);
    assert_int_equal(set.count, count);
    for (int64_t i = 0; i < count; i++) {
        const problem *p = &set.at[i];
        assert_int_equal(p->index, i);
        const char *texts[] = {p->raw, p->rationale};
        for (int k = 0; k < 2; k++) {
            task_grade_result g = task_grade(gsm8k(), p, texts[k], strlen(texts[k]));
            answer_reading at = {0};
            bool marked = answer_marker.find(&gsm8k()->answers, p, texts[k], strlen(texts[k]), &at);
            mem_free(at.answer);
            if (!g.correct || !marked || strcmp(g.extracted, p->gold) != 0)
                fail_msg("%s: %s against %s: %s", p->id, texts[k], p->gold, g.reason);
            task_grade_free(&g);
        }
        if (strstr(p->rationale, "<<") || strstr(p->rationale, ">>") || strstr(p->rationale, "\n\n"))
            fail_msg("%s: not clean: %s", p->id, p->rationale);
    }
    problem_set_free(&set);
}

static void test_real_files(void **state) {
    (void)state;
    check_file(ESPALIER_SOURCE_DIR "/data/gsm8k/train.jsonl.gz", 7473);
    check_file(ESPALIER_SOURCE_DIR "/data/gsm8k/test.jsonl.gz", 1319);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),     cmocka_unit_test(test_sources), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_row),     cmocka_unit_test(test_real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
