/* Answers that are options: by label or text, exactly one; options in the file's order or shuffled. */
#include "task_support.h"

#include "task/task_ops.h"

static esp_error error;

static const problem_option fog_or_rain[] = {
    {"A", "fog"}, {"B", "light rain"}, {"C", "A rock"}, {"D", "fog."}};
static const problem letters = {.gold = "B", .options = fog_or_rain, .option_count = 3, .gold_option = 1};
static const problem_option one_or_two[] = {{"1", "iron"}, {"2", "wood"}, {"12", "gold"}};
static const problem digits = {.gold = "2", .options = one_or_two, .option_count = 3, .gold_option = 1};

static void test_found(void **state) {
    (void)state;
    static const struct {
        const char *text, *shown; /* NULL: none */
        const problem *p;
    } cases[] = {
        {"The answer is (B).", "B", &letters},
        {"The answer is B.", "B", &letters},
        {"The answer is B", "B", &letters},
        {"The answer is **B**", "B", &letters},
        {"The answer is (b).", "B", &letters},
        {"The answer is option B.", "B", &letters},
        {"The answer is choice (B), light rain.", "B", &letters},
        {"The answer is B) light rain", "B", &letters},
        {"The answer is B: light rain.", "B", &letters},
        {"Answer: B", "B", &letters},
        {"$\\boxed{B}$", "B", &letters},
        {"\\boxed{\\text{B}}", "B", &letters},
        {"The answer is light  Rain.", "B", &letters},
        {"The answer is fog", "A", &letters},
        {"The answer is a rock.", "C", &letters}, /* not A */
        {"The answer is A rock", "C", &letters},
        {"It rains.\nB", "B", &letters},
        {"It rains.\nlight rain", "B", &letters}, /* the bare text on the last line */
        {"It rains.\n**Light  rain.**\n", "B", &letters},
        {"First fog, then\na rock", "C", &letters},
        {"It cuts.\nWood.", "2", &digits},
        {"light rain\nIt rains.", "B", &letters}, /* the last line that is an answer */
        {"It rains.\nlight rain or fog", NULL, &letters},
        {"It rains.\nlight rains", NULL, &letters},
        {"(C) is wrong. So the answer is (A).", "A", &letters},
        {"The answer is (A). No: the answer is (B).", "B", &letters},
        {"The answer is (A) or (B).", NULL, &letters},
        {"The answer is B, A", NULL, &letters},
        {"The answer is A, B, and C", NULL, &letters},
        {"The answer is A. B.", NULL, &letters},
        {"The answer is either (A) or B.", NULL, &letters},
        {"The answer is **A** & **C**", NULL, &letters},
        {"The answer is A/B", NULL, &letters},
        {"The answer is 1, 12", NULL, &digits},
        {"The answer is B, B", "B", &letters},
        {"The answer is B. A rock is hard.", "B", &letters},
        {"The answer is (B), a good one.", "B", &letters},
        {"The answer is B. And A is wrong.", "B", &letters},
        {"The answer is (B), fog.", NULL, &letters}, /* a label and another option's text */
        {"The answer is E.", NULL, &letters},
        {"The answer is (E).", NULL, &letters},
        {"The answer is Because.", NULL, &letters},
        {"The answer is foggy.", NULL, &letters},
        {"The answer is light rain and fog.", NULL, &letters},
        {"No answer.", NULL, &letters},
        {"The answer is 2.", "2", &digits},
        {"The answer is (12).", "12", &digits},
        {"The answer is wood.", "2", &digits},
        {"The answer is 22.", NULL, &digits},
        {"The answer is 3.", NULL, &digits},
        {"B", "B", NULL}, /* as votes read what was shown */
        {"12", "12", NULL},
        {"The answer is (C).", "C", NULL},
        {"The answer is (C), D.", NULL, NULL},
        {"nothing", NULL, NULL},
    };
    const task *t = test_task("arc");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const problem *p = cases[i].p;
        task_answer *a = task_answer_find(t, p, cases[i].text, strlen(cases[i].text));
        char *shown = a ? task_answer_show(t, p, a) : NULL;
        if ((shown == NULL) != (cases[i].shown == NULL) || (shown && strcmp(shown, cases[i].shown) != 0))
            fail_msg("\"%s\": %s, not %s", cases[i].text, shown ? shown : "none",
                     cases[i].shown ? cases[i].shown : "none");
        if (p) {
            task_grade_result g = task_grade(t, p, cases[i].text, strlen(cases[i].text));
            assert_int_equal(g.correct, shown && strcmp(shown, p->gold) == 0);
            assert_false(g.bad_gold);
            task_grade_free(&g);
        }
        mem_free(shown);
        mem_free(a);
    }
}

/* Each order of the same row is shuffled to the same problem, and places are about even. */
static void test_shuffled(void **state) {
    (void)state;
    const task *t = test_task("sciq");
    int at[4] = {0};
    arena *memory = arena_new();
    for (int i = 0; i < 400; i++) {
        problem p = {.line = 1}, q = {.line = 1};
        char question[40];
        snprintf(question, sizeof question, "Question %d?", i);
        json_t *row = json_pack("{ss ss ss ss ss}", "question", question, "correct_answer", "right",
                                "distractor1", "w1", "distractor2", "w2", "distractor3", "w3");
        OK(task_read_row(t, row, "f:1", "f", memory, &p, &error));
        json_decref(row);
        assert_int_equal(p.option_count, 4);
        assert_string_equal(p.options[p.gold_option].text, "right");
        assert_string_equal(p.options[p.gold_option].label, p.gold);
        assert_string_equal(p.options[2].label, "C");
        at[p.gold_option]++;
        row = json_pack("{ss s[ssss] ss}", "question", question, "options", "w2", "right", "w3", "w1",
                        "answer", "right");
        OK(task_read_row(t, row, "f:1", "f", memory, &q, &error));
        json_decref(row);
        for (int k = 0; k < 4; k++) assert_string_equal(p.options[k].text, q.options[k].text);
        assert_int_equal(p.gold_option, q.gold_option);
    }
    for (int k = 0; k < 4; k++) assert_in_range(at[k], 70, 130);
    arena_free(memory);
}

static void test_gold_forms(void **state) {
    (void)state;
    static const struct {
        const char *form, *gold;
        int32_t option; /* -1: refused */
    } cases[] = {
        {"answer", "\"B\"", 1}, {"answer", "\"y\"", 1}, {"answer", "\"z\"", -1}, {"answer", "1", -1},
        {"index", "1", 1},      {"index", "\"0\"", 0},  {"index", "2", -1},      {"index", "-1", -1},
        {"index", "\"B\"", -1}, {"number", "1", 0},     {"number", "2", 1},      {"number", "0", -1},
        {"index", "0.5", -1},   {"index", "true", -1},
    };
    arena *memory = arena_new();
    option_table table = task_options(memory);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        task_settings s;
        task *t;
        settings given = {0};
        OK(task_settings_load(&s, "arc", table, &given, &error));
        settings_free(&given);
        OK(option_set(option_by_key(table, "gold_form"), &s, cases[i].form, &error));
        OK(task_new(&t, &s, &error));
        char *text = mem_printf("{\"question\": \"q\", \"choices\": [\"x\", \"y\"], \"answerKey\": %s}",
                                cases[i].gold);
        json_t *row = json_loads(text, 0, NULL);
        problem p = {.line = 1};
        esp_status status = task_read_row(t, row, "f:1", "f", memory, &p, &error);
        if ((status == ESP_OK) != (cases[i].option >= 0)) fail_msg("%s %s", cases[i].form, cases[i].gold);
        if (status == ESP_OK)
            assert_int_equal(p.gold_option, cases[i].option);
        else
            assert_non_null(strstr(error.message, "answerKey"));
        json_decref(row);
        mem_free(text);
        task_free(t);
        task_settings_free(&s);
    }
    arena_free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found), cmocka_unit_test(test_shuffled),
                                       cmocka_unit_test(test_gold_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
