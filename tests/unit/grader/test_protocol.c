/* Questions and answers as JSON. */
#include "support.h"

#include "grader/protocol.h"
#include "grader/retry.h"

static void questions_are_lines(void **state) {
    (void)state;
    const problem p = {.id = "train:3", .question = "1 +\n1?", .gold = "2", .row = "{\"level\":4,\"q\":[1]}"};
    static const char answer[] = "It is\t\xff\"2\"\n";
    char *question = protocol_question(&p, answer, sizeof answer - 1);
    text_buffer line = {0};
    protocol_line(question, 17, &line);
    assert_int_equal(strcspn(line.at, "\n"), line.length - 1);
    json_t *o = json_loads(line.at, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(o, "id")), 17);
    assert_string_equal(json_string_value(json_object_get(o, "problem")), "train:3");
    assert_string_equal(json_string_value(json_object_get(o, "question")), "1 +\n1?");
    assert_string_equal(json_string_value(json_object_get(o, "gold")), "2");
    assert_string_equal(json_string_value(json_object_get(o, "answer")), "It is\t\xef\xbf\xbd\"2\"\n");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "row"), "level")), 4);
    json_decref(o);
    mem_free(question);
    question = protocol_question(&(problem){.question = "q"}, "", 0);
    assert_string_equal(question, "{\"question\":\"q\",\"answer\":\"\"}");
    mem_free(question);
    text_free(&line);
}

static void answers_are_read(void **state) {
    (void)state;
    static const struct {
        const char *line;
        grade_verdict verdict;
        bool scored;
        double reward;
        const char *reason;
    } cases[] = {
        {"{\"id\": 5, \"correct\": true}", GRADE_EQUAL, false, 0, NULL},
        {"{\"correct\": false, \"id\": 5, \"more\": {}}", GRADE_DIFFERENT, false, 0, NULL},
        {"{\"id\": 5, \"correct\": null, \"reason\": \"no \\u0041\"}", GRADE_UNKNOWN, false, 0, "no A"},
        {"{\"id\": 5, \"correct\": true, \"reward\": 0.5, \"reason\": null}", GRADE_EQUAL, true, 0.5, NULL},
        {"{\"id\": 5, \"correct\": false, \"reward\": -2}", GRADE_DIFFERENT, true, -2, NULL},
        {"{\"id\": 5, \"reward\": 1}", GRADE_EQUAL, true, 1, NULL},
        {"{\"id\": 5, \"reward\": 0}", GRADE_DIFFERENT, true, 0, NULL},
        {"{\"id\": 5, \"correct\": true, \"reward\": null}", GRADE_EQUAL, false, 0, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        protocol_answer a;
        text_buffer why = {0};
        if (!protocol_read(cases[i].line, strlen(cases[i].line), true, &a, &why)) fail_msg("%s", why.at);
        assert_int_equal(a.id, 5);
        assert_int_equal(a.verdict.verdict, cases[i].verdict);
        assert_int_equal(a.verdict.scored, cases[i].scored);
        assert_true(a.verdict.reward == cases[i].reward);
        assert_int_equal(a.verdict.reason == NULL, cases[i].reason == NULL);
        if (cases[i].reason) assert_string_equal(a.verdict.reason, cases[i].reason);
        json_decref(a.from);
        text_free(&why);
    }
}

static void what_is_no_answer_is_said(void **state) {
    (void)state;
    static const struct {
        const char *line, *why;
    } cases[] = {
        {"Loading model ...", "what is no JSON: Loading model ..."},
        {"{\"id\": 1, \"correct\": true", "what is no JSON"},
        {"{\"id\": 1, \"correct\": true} {}", "what is no JSON"},
        {"[1]", "JSON that is no object: [1]"},
        {"{\"correct\": true}", "no whole number as \"id\""},
        {"{\"id\": \"1\", \"correct\": true}", "no whole number as \"id\""},
        {"{\"id\": 1.5, \"correct\": true}", "no whole number as \"id\""},
        {"{\"id\": 1}", "neither \"correct\" nor \"reward\""},
        {"{\"id\": 1, \"correct\": \"yes\"}", "\"correct\" is not true, false or null"},
        {"{\"id\": 1, \"correct\": 1}", "\"correct\" is not true, false or null"},
        {"{\"id\": 1, \"reward\": \"1\"}", "\"reward\" is not a number"},
        {"{\"id\": 1, \"reward\": NaN}", "what is no JSON"},
        {"{\"id\": 1, \"reward\": 1e999}", "what is no JSON"},
        {"{\"id\": 1, \"correct\": true, \"correct\": false}", "what is no JSON"},
        {"{\"id\": 1, \"correct\": true, \"reason\": 3}", "\"reason\" is not a text"},
        {"{\"id\": 1, \"correct\": true, \"reward\": -1}", "must be above 0"},
        {"{\"id\": 1, \"correct\": false, \"reward\": 0.2}", "must be above 0"},
        {"{\"id\": 1, \"correct\": null, \"reward\": 1}", "though \"correct\" is null"},
        {"\xff\x01 binary", "what is no JSON: \xef\xbf\xbd\xef\xbf\xbd binary"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        protocol_answer a;
        text_buffer why = {0};
        assert_false(protocol_read(cases[i].line, strlen(cases[i].line), true, &a, &why));
        if (!strstr(why.at, cases[i].why)) fail_msg("%s: %s", cases[i].line, why.at);
        text_free(&why);
    }
    protocol_answer a; /* a server's answer is its response's: it needs no id */
    text_buffer why = {0};
    assert_true(protocol_read("{\"correct\": true}", 17, false, &a, &why));
    json_decref(a.from);
    char flood[5000];
    memset(flood, 'y', sizeof flood);
    assert_false(protocol_read(flood, sizeof flood, true, &a, &why));
    assert_true(why.length < 200);
    text_free(&why);
}

static void what_is_worth_another_try(void **state) {
    (void)state;
    static const long again[] = {408, 429, 500, 502, 503, 504}, never[] = {301, 400, 401, 403, 404, 413, 501};
    for (size_t i = 0; i < sizeof again / sizeof *again; i++) assert_true(retry_may_help(again[i]));
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) assert_false(retry_may_help(never[i]));
    assert_true(retry_seconds(1) == 0.5 && retry_seconds(2) == 1 && retry_seconds(4) == 4);
    assert_true(retry_seconds(7) == 30 && retry_seconds(1000) == 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_lines),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(what_is_no_answer_is_said),
        cmocka_unit_test(what_is_worth_another_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
