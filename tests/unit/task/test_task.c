/* Tasks by name, reading problems, prompts and the judge's prompt. */
#include "task_support.h"

#include "base/file.h"
#include "task/task.h"

#include <string.h>

static char path[512];

static const task *gsm8k(void) {
    return test_task("gsm8k");
}

static esp_status read_text(const char *text, problem_set *set, esp_error *error) {
    assert_int_equal(file_write_all(path, text, strlen(text), error), ESP_OK);
    esp_status status = task_read(gsm8k(), path, set, error);
    unlink(path);
    return status;
}

static const char two[] = "{\"question\": \"How many?\", \"answer\": \"He has 2/2=<<2/2=1>>1 egg.  \\r\\n\\n "
                          "It is $<<1*1,000=1000>>1,000 << "
                          "more\\n#### 1,000\"}\n"
                          "\n"
                          "{\"id\": \"mine\", \"question\": \"And?\", \"answer\": \"#### -7\"}\n";

static void test_reading(void **state) {
    (void)state;
    esp_error error = {0};
    problem_set set;
    assert_int_equal(read_text(two, &set, &error), ESP_OK);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.source, path);
    const problem *p = set.at;
    assert_string_equal(p[0].question, "How many?");
    assert_string_equal(p[0].gold, "1000");
    assert_string_equal(p[0].rationale, "He has 2/2=1 egg.\nIt is $1,000 << more\n#### 1000");
    assert_non_null(strstr(p[0].raw, "<<2/2=1>>"));
    char id[64];
    const char *name = strrchr(path, '/') + 1;
    snprintf(id, sizeof id, "%.*s:1", (int)(strlen(name) - strlen(".jsonl")), name);
    assert_string_equal(p[0].id, id);
    assert_int_equal(p[0].line, 1);
    assert_string_equal(p[1].id, "mine");
    assert_string_equal(p[1].gold, "-7");
    assert_string_equal(p[1].rationale, "#### -7");
    assert_int_equal(p[1].line, 3);
    assert_int_equal(p[1].index, 1);
    text_buffer b = {0};
    assert_int_equal(task_sft_target(gsm8k(), p, &b, &error), ESP_OK);
    assert_string_equal(b.at, p[0].rationale);
    problem bare = {.id = "x", .question = "?", .gold = "1"};
    assert_int_equal(task_sft_target(gsm8k(), &bare, &b, &error), ESP_FAILED);
    text_free(&b);
    problem_set_free(&set);
}

static void test_reading_errors(void **state) {
    (void)state;
    static const struct {
        const char *text, *where, *says;
    } bad[] = {
        {"{\"question\": \"a\"}\n", ":1", "answer"},
        {"{\"answer\": \"#### 1\"}\n", ":1", "question"},
        {"{\"question\": \"a\", \"answer\": \"#### 1\"}\n{\"question\": 3, \"answer\": \"#### 1\"}\n", ":2",
         "question"},
        {"{\"question\": \"a\", \"answer\": \"it is one\"}\n", ":1", "answer"},
        {"{\"question\": \"a\", \"answer\": \"#### many\"}\n", ":1", "number"},
        {"{\"question\": \"a\", \"answer\": \"####\"}\n", ":1", "number"},
        {"{\"question\": \"a\", \n", ":1", ""},
        {"[1]\n", ":1", ""},
        {"", "", "no problems"},
        {"\n\n", "", "no problems"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        esp_error error = {0};
        problem_set set;
        assert_int_equal(read_text(bad[i].text, &set, &error), ESP_FAILED);
        assert_true(set.at == NULL && set.memory == NULL);
        if (!strstr(error.message, path) || !strstr(error.message, bad[i].where) ||
            !strstr(error.message, bad[i].says))
            fail_msg("case %zu: \"%s\"", i, error.message);
    }
    esp_error error = {0};
    problem_set set;
    assert_int_equal(task_read(gsm8k(), "no/such/file.jsonl", &set, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "no/such/file.jsonl"));
}

static void test_names(void **state) {
    (void)state;
    esp_error error = {0};
    task *none;
    assert_int_equal(task_open(&none, "gsm9k", &error), ESP_FAILED);
    assert_null(none);
    assert_non_null(strstr(error.message, "gsm9k"));
    assert_non_null(strstr(error.hint, "gsm8k, arith, yesno"));
    const char *const *markers = task_answer_markers(gsm8k());
    assert_string_equal(markers[0], "####");
    assert_string_equal(markers[1], "The answer is");
    assert_null(markers[2]);
}

static void test_prompts(void **state) {
    (void)state;
    problem p = {.id = "x", .question = "100% of 3?", .gold = "3", .rationale = "It is 3.\n#### 3"};
    text_buffer b = {0};
    task_prompt_chat(gsm8k(), &p, &b);
    assert_int_equal(strncmp(b.at, "Solve the problem step by step", 30), 0);
    assert_string_equal(b.at + b.length - strlen(p.question), p.question);
    text_clear(&b);
    task_prompt_plain(gsm8k(), &p, &b);
    assert_non_null(strstr(b.at, "Problem: 100% of 3?\nSolution:\n"));
    assert_null(strstr(b.at, "#### 3"));
    text_free(&b);
}

/* What all problems share comes before the steps; without the example nothing gold is in it
 * (docs/method.md 3.2). */
static void test_judge(void **state) {
    (void)state;
    problem p = {.id = "x", .question = "3?", .gold = "77", .rationale = "It is 77.\n#### 77"};
    text_buffer with = {0}, without = {0};
    task_judge_prefix(gsm8k(), &p, true, &with);
    task_judge_prefix(gsm8k(), &p, false, &without);
    assert_non_null(strstr(with.at, p.rationale));
    assert_null(strstr(without.at, "77"));
    assert_int_equal(without.at[without.length - 1], '\n');
    p.rationale = NULL;
    text_clear(&with);
    task_judge_prefix(gsm8k(), &p, true, &with);
    assert_string_equal(with.at, without.at);
    assert_string_equal(task_judge_question(gsm8k()), "\n(A) or (B)?");
    assert_string_equal(task_judge_answer(gsm8k()), "\n(");
    assert_string_equal(task_verdict(gsm8k(), false), "A");
    assert_string_equal(task_verdict(gsm8k(), true), "B");
    assert_non_null(
        strstr(without.at, "Answer (A) if it has a mistake so far, (B) if it is correct so far."));
    text_free(&with);
    text_free(&without);
}

/* Votes: equal answers are one group, whatever their spelling; a text without an answer is equal to its like.
 */
static void test_groups(void **state) {
    (void)state;
    static const char *const shown[] = {"0.5", NULL, "7", "1/2", "none", "7.0", "none", "-7", "50%"};
    static const int64_t want[] = {0, -1, 2, 0, 4, 2, 4, 7, 8}, by_text[] = {0, -1, 2, 3, 4, 5, 4, 7, 8};
    int64_t group[9];
    task_answer_group(gsm8k(), NULL, shown, 9, group);
    assert_memory_equal(group, want, sizeof want);
    task_answer_group(NULL, NULL, shown, 9, group);
    assert_memory_equal(group, by_text, sizeof by_text);
    task_answer_group(gsm8k(), NULL, shown, 0, group);
}

/* A mistake of numbers changes the step's result and later uses of it, from `changed` on and never elsewhere.
 */
static void test_mistake(void **state) {
    (void)state;
    problem p = {
        .id = "x", .question = "3 bags of 8 pens and 5?", .rationale = "3*8 = 24 pens\n24+5 = 29\n#### 29"};
    size_t second = task_step_end(gsm8k(), p.rationale, 0),
           third = task_step_end(gsm8k(), p.rationale, second);
    assert_int_equal(second, strlen("3*8 = 24 pens\n"));
    assert_int_equal(third, strlen("3*8 = 24 pens\n24+5 = 29\n"));
    assert_int_equal(task_step_end(gsm8k(), p.rationale, third), strlen(p.rationale));
    assert_true(task_makes_mistakes(gsm8k()));
    int different = 0;
    for (uint64_t i = 0; i < 200; i++) {
        text_buffer b = {0};
        size_t changed = 0;
        task_mistake_place first = {.from = 0, .to = second, .last = second, .end = third};
        assert_true(task_make_mistake(gsm8k(), &p, &first, rng_key(i), &b, &changed));
        assert_int_equal(changed, strlen("3*8 = "));
        assert_int_equal(strncmp(b.at, p.rationale, changed), 0);
        char wrong[16], again[16];
        assert_int_equal(sscanf(b.at, "3*8 = %15s pens\n%15[^+]+5 = 29\n", wrong, again), 2);
        assert_string_equal(wrong, again);
        assert_string_not_equal(wrong, "24");
        different += strcmp(wrong, "25") != 0;
        text_free(&b);
        /* 24 does not come back in the third step, so the mistake could not be seen there. */
        task_mistake_place hidden = {.from = 0, .to = second, .last = third, .end = strlen(p.rationale)};
        assert_false(task_make_mistake(gsm8k(), &p, &hidden, rng_key(i), &b, &changed));
        assert_null(b.at);
    }
    assert_true(different > 50);
    p.rationale = "Lions sleep.\nCats too.";
    text_buffer b = {0};
    size_t changed;
    assert_false(
        task_make_mistake(gsm8k(), &p, &(task_mistake_place){0, 13, 0, 13}, rng_key(1), &b, &changed));
}

int main(void) {
    test_path(path, sizeof path, "task.jsonl");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading), cmocka_unit_test(test_reading_errors), cmocka_unit_test(test_names),
        cmocka_unit_test(test_prompts), cmocka_unit_test(test_judge),          cmocka_unit_test(test_groups),
        cmocka_unit_test(test_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
