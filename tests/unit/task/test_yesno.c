/* Yes/no questions: answers as models write them, rows in both forms, steps that are sentences, verdicts that
 * are not the answers' words, and no rule for mistakes. */
#include "task_support.h"

#include "base/file.h"
#include "task/task.h"

#include <string.h>

static esp_error error;

static const task *yesno(void) {
    return test_task("yesno");
}

static void test_answers(void **state) {
    (void)state;
    static const struct {
        const char *text, *shown; /* NULL: there is none */
    } cases[] = {
        {"The answer is yes.", "yes"},
        {"Lions are cats. Cats sleep.\nThe answer is no.", "no"},
        {"The answer is **No**", "no"},
        {"the ANSWER IS: TRUE", "yes"},
        {"Answer: false", "no"},
        {"Answer = yes", "yes"},
        {"The answer is\n\n no", "no"},
        {"The answer is yes. No, wait: the answer is no.", "no"},
        {"The answer is yes.\nNo, really.", "yes"}, /* the phrase counts before the line */
        {"The answer is \"yes\".", "yes"},
        {"No, whales are mammals.", "no"},
        {"Whales are mammals.\n  *Yes*", "yes"},
        {"Yes.\nNo.", "no"},
        {"yes", "yes"},
        {"true\r\n", "yes"},
        {"no", "no"},
        {"No whale lays eggs.", NULL},
        {"The answer is not clear.", NULL},
        {"The answer is nothing.", NULL},
        {"The answer is no\xc3\xa9.", NULL},
        {"I say yes.", NULL},
        {"answer", NULL},
        {"the answer is", NULL},
        {"yesterday.", NULL},
        {"The answer is 18.", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        task_answer *a = task_answer_find(yesno(), NULL, cases[i].text, strlen(cases[i].text));
        char *shown = a ? task_answer_show(yesno(), NULL, a) : NULL;
        if ((shown == NULL) != (cases[i].shown == NULL) || (shown && strcmp(shown, cases[i].shown) != 0))
            fail_msg("\"%s\": %s, not %s", cases[i].text, shown ? shown : "none",
                     cases[i].shown ? cases[i].shown : "none");
        task_answer *again = shown ? task_answer_find(yesno(), NULL, shown, strlen(shown)) : NULL;
        if (a) assert_true(again && task_answer_equal(yesno(), NULL, a, again));
        mem_free(again);
        mem_free(shown);
        mem_free(a);
    }
    static const char zeros[] = "a\0The answer is no\0";
    task_answer *a = task_answer_find(yesno(), NULL, zeros, sizeof zeros - 1),
                *b = task_answer_find(yesno(), NULL, "yes", 3);
    assert_true(a && b && !task_answer_equal(yesno(), NULL, a, b));
    mem_free(a);
    mem_free(b);
}

static void test_grades(void **state) {
    (void)state;
    static const struct {
        const char *text, *gold, *reason, *extracted;
        bool correct, bad_gold;
    } cases[] = {
        {"The answer is yes.", "yes", "equal", "yes", true, false},
        {"The answer is yes.", "true", "equal", "yes", true, false},
        {"No, never.", "yes", "different answer", "no", false, false},
        {"Perhaps.", "no", "no answer found", NULL, false, false},
        {"The answer is yes.", "18", "gold is neither yes nor no", "yes", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        task_grade_result g =
            task_grade(yesno(), &(problem){.gold = cases[i].gold}, cases[i].text, strlen(cases[i].text));
        assert_string_equal(g.reason, cases[i].reason);
        assert_int_equal(g.correct, cases[i].correct);
        assert_int_equal(g.bad_gold, cases[i].bad_gold);
        if (cases[i].extracted)
            assert_string_equal(g.extracted, cases[i].extracted);
        else
            assert_null(g.extracted);
        task_grade_free(&g);
    }
    /* Spellings of one answer are one group of votes. */
    static const char *const answers[] = {"true", "no", NULL, "yes", "false"};
    static const int64_t want[] = {0, 1, -1, 0, 1};
    int64_t group[5];
    task_answer_group(yesno(), NULL, answers, 5, group);
    assert_memory_equal(group, want, sizeof want);
}

static esp_status read_rows(const char *text, problem_set *set) {
    char path[512];
    test_path(path, sizeof path, "yesno.jsonl");
    OK(file_write_all(path, text, strlen(text), &error));
    esp_status status = task_read(yesno(), path, set, &error);
    unlink(path);
    return status;
}

static void test_rows(void **state) {
    (void)state;
    problem_set set;
    OK(read_rows(
        "{\"question\": \"Do cats sleep?\", \"answer\": true, \"rationale\": \" Cats are animals. All "
        "animals sleep.\\n\"}\n"
        "{\"question\": \"Do stones?\", \"answer\": false}\n"
        "{\"question\": \"Whales?\", \"answer\": \"Whales are mammals. They bear young.\\nThe answer is "
        "No.\"}\n"
        "{\"question\": \"Eggs?\", \"answer\": \"Yes, birds lay eggs.\"}\n"
        "{\"question\": \"Bare?\", \"answer\": \"no\"}\n",
        &set));
    static const struct {
        const char *gold, *rationale, *raw;
    } want[] = {
        {"yes", "Cats are animals. All animals sleep.\nThe answer is yes.",
         "Cats are animals. All animals sleep.\nThe answer is yes."},
        {"no", NULL, "no"},
        {"no", "Whales are mammals. They bear young.\nThe answer is no.",
         "Whales are mammals. They bear young.\nThe answer is No."},
        {"yes", "Yes, birds lay eggs.\nThe answer is yes.", "Yes, birds lay eggs."},
        {"no", NULL, "no"},
    };
    assert_int_equal(set.count, 5);
    for (int i = 0; i < 5; i++) {
        const problem *p = &set.at[i];
        assert_string_equal(p->gold, want[i].gold);
        assert_string_equal(p->raw, want[i].raw);
        if (want[i].rationale)
            assert_string_equal(p->rationale, want[i].rationale);
        else
            assert_null(p->rationale);
        task_grade_result g = task_grade(yesno(), p, p->raw, strlen(p->raw));
        assert_true(g.correct);
        task_grade_free(&g);
    }
    problem_set_free(&set);
    static const char *const bad[] = {"{\"question\": \"a?\", \"answer\": 1}\n", "{\"question\": \"a?\"}\n",
                                      "{\"question\": \"a?\", \"answer\": \"perhaps\"}\n",
                                      "{\"question\": \"a?\", \"answer\": true, \"rationale\": 3}\n",
                                      "{\"answer\": true}\n"};
    static const char *const named[] = {"\"answer\"", "\"answer\"", "\"answer\"", "\"rationale\"",
                                        "\"question\""};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(read_rows(bad[i], &set), ESP_FAILED);
        assert_non_null(strstr(error.message, ".jsonl:1"));
        assert_non_null(strstr(error.message, named[i]));
    }
}

static void test_steps(void **state) {
    (void)state;
    assert_int_equal(task_unit(yesno()), TASK_STEP_SENTENCE);
    static const char text[] = "Cats sleep. Do they?  Yes!\nIt is 3.5 m long...\n\n The answer is yes.";
    static const char *const want[] = {"Cats sleep.", " Do they?", "  Yes!\n", "It is 3.5 m long...\n",
                                       "\n The answer is yes."};
    size_t at = 0;
    for (int i = 0; i < 5; i++) {
        size_t end = task_step_end(yesno(), text, at);
        assert_int_equal(end - at, strlen(want[i]));
        assert_memory_equal(text + at, want[i], end - at);
        at = end;
    }
    assert_int_equal(at, strlen(text));
    assert_int_equal(task_step_end(yesno(), " \n ", 0), 3);
    assert_false(task_makes_mistakes(yesno()));
}

static void test_words(void **state) {
    (void)state;
    problem p = {
        .id = "x", .question = "Do cats sleep?", .gold = "yes", .rationale = "Cats do.\nThe answer is yes."};
    text_buffer b = {0};
    task_prompt_plain(yesno(), &p, &b);
    assert_non_null(strstr(b.at, "\n\nQuestion: Do cats sleep?\nReasoning:\n"));
    text_clear(&b);
    task_judge_prefix(yesno(), &p, false, &b);
    assert_non_null(strstr(b.at, "(W)"));
    assert_non_null(strstr(b.at, "(R)"));
    assert_null(strstr(b.at, "Cats do."));
    assert_string_equal(task_verdict(yesno(), false), "W");
    assert_string_equal(task_verdict(yesno(), true), "R");
    text_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_grades), cmocka_unit_test(test_rows),
        cmocka_unit_test(test_steps),   cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
