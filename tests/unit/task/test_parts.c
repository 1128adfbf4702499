/* The parts that tasks are made of: templates, fields of rows, patterns, and every place with every kind. */
#include "task_support.h"

#include "task/field.h"
#include "task/task_ops.h"
#include "task/template.h"

static esp_error error;

static bool letter(void *user, const char *name, size_t length, text_buffer *out) {
    (void)user;
    if (length == 1 && *name == 'n') return false;
    if (length == 1 && *name == 'e') return true;
    text_append(out, name, length);
    return true;
}

static void test_templates(void **state) {
    (void)state;
    static const struct {
        const char *template, *text; /* NULL: a place has no value */
    } cases[] = {
        {"a {b} c", "a b c"},
        {"", ""},
        {"{{b}} }}", "{b} }"},
        {"{e}\n\n{q}\n{e}", "q"},
        {"{q}\n{e}\nSolution:\n", "q\nSolution:\n"},
        {"{q}\n\n{e}", "q"},
        {"{e}{e}", ""},
        {"x{n}", NULL},
        {"\n{e}", ""},
        {"{q}\n", "q\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_buffer out = {0};
        text_puts(&out, "<");
        assert_int_equal(template_fill(cases[i].template, letter, NULL, &out), cases[i].text != NULL);
        if (cases[i].text) assert_string_equal(out.at + 1, cases[i].text);
        text_free(&out);
    }
    OK(template_check("{a} {{x}} {b}", "b a", "turn", &error));
    assert_true(template_has_place("x {a}", "a"));
    assert_false(template_has_place("{{a}} a {ab} {b}", "a"));
    static const char *const bad[] = {"{a", "a}", "{c}", "{a{b}}", "{ a}"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(template_check(bad[i], "a b", "turn", &error), ESP_FAILED);
        assert_non_null(strstr(error.message, "turn"));
    }
}

static void test_fields(void **state) {
    (void)state;
    json_t *row =
        json_loads("{\"a\": {\"b\": [\"x\", {\"c\": 3}], \"t\": true, \"l\": [\"1\", \"2\"]}, \"n\": null, "
                   "\"d.e\": \"dotted\", \"r\": 0.1, \"s\": \"\", \"big\": 1e300, \"m\": -7}",
                   0, NULL);
    static const struct {
        const char *fields, *text; /* NULL: the row has none */
    } cases[] = {
        {"a.b.0", "x"},
        {"a.b.1.c", "3"},
        {"a.b.-1.c", "3"},
        {"a.b.2", NULL},
        {"a.b.-3", NULL},
        {"a.b.x", NULL},
        {"a.t", "true"},
        {"a.l", "1\n2"},
        {"d.e", "dotted"},
        {"n", NULL},
        {"n\na.b.0", "x"},
        {"n\n=none", "none"},
        {"n\n=", ""},
        {"r", "0.1"},
        {"m", "-7"},
        {"s", ""},
        {"{a.b.0} and {d.e}", "x and dotted"},
        {"{a.b.0} and {n}\nm", "-7"},
        {"", NULL},
        {"a.b.0.c", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *value = field_value(cases[i].fields, row);
        text_buffer text = {0};
        if ((value == NULL) != (cases[i].text == NULL)) fail_msg("%s", cases[i].fields);
        if (value) {
            assert_true(field_text(value, &text));
            assert_string_equal(text.at, cases[i].text);
        }
        text_free(&text);
        json_decref(value);
    }
    text_buffer text = {0};
    assert_false(field_text(json_object_get(row, "a"), &text)); /* a map is no text */
    text_free(&text);
    json_decref(row);
}

static void test_patterns(void **state) {
    (void)state;
    pattern *p;
    pattern_match m;
    OK(pattern_new(&p, "so: (.*)$", "pattern", &error));
    static const char text[] = "so: 1\nso: 22\n\xff so: 3";
    assert_true(pattern_find(p, text, sizeof text - 1, 1, &m));
    assert_int_equal(m.group_end - m.group_start, 2);
    assert_true(pattern_find(p, text, sizeof text - 1, m.end, &m)); /* after a byte that is no UTF-8 */
    assert_int_equal(text[m.group_start], '3');
    assert_false(pattern_find(p, text, sizeof text - 1, m.end, &m));
    pattern_free(p);
    OK(pattern_new(&p, "<<.*?>>", "pattern", &error));
    text_buffer out = {0};
    static const char marks[] = "1<<2>>3<<4>>\n<<5";
    pattern_remove(p, marks, sizeof marks - 1, &out);
    assert_string_equal(out.at, "13\n<<5");
    pattern_free(p);
    OK(pattern_new(&p, "(a+)+$", "pattern", &error)); /* takes exponential time without a limit */
    char *hostile = mem_alloc(100001);
    memset(hostile, 'a', 100000);
    hostile[99999] = 'b';
    (void)pattern_find(p, hostile, 100000, 0, &m);
    mem_free(hostile);
    pattern_free(p);
    text_free(&out);
    assert_int_equal(pattern_new(&p, "(", "answer pattern", &error), ESP_FAILED);
    assert_null(p);
    assert_non_null(strstr(error.message, "answer pattern"));
}

/* A text for each place, with %s where the answer is; and others that come before or after it. */
static void test_places(void **state) {
    (void)state;
    static const struct {
        const char *place, *before, *after;
        bool number_only;
    } places[] = {
        {"marker", "9 no\n#### ", "\n", false},
        {"phrase", "No 9.\nSo the answer is: ", "\nGood.", false},
        {"box", "No 9: $\\boxed{", "}$, 7 yes", false},
        {"stated", "\\boxed{9} yes\nThe answer is ", "\n", false},
        {"pattern", "=> 9\n=> ", " <=\nyes 3", false},
        {"line", "The answer: 9 no\n", ",\n", false},
        {"last_line", "9\nyes\n", "\n\n", false},
        {"last_number", "9 and ", " of them", true},
        {"whole", " ", " \n", false},
    };
    static const struct {
        const char *kind, *right, *wrong;
    } kinds[] = {{"number", "18", "19"},
                 {"boolean", "no", "yes"},
                 {"text", "Paris", "Rome"},
                 {"math", "\\frac{1}{2}", "2"}};
    arena *memory = arena_new();
    option_table table = task_options(memory);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            if (places[i].number_only && k > 0) continue;
            task_settings s = {0};
            task *t;
            OK(option_set(option_by_key(table, "kind"), &s, kinds[k].kind, &error));
            options_defaults(table, &s);
            OK(option_set(option_by_key(table, "kind"), &s, kinds[k].kind, &error));
            options_defaults_of_choice(table, &s);
            OK(option_set(option_by_key(table, "place"), &s, places[i].place, &error));
            OK(option_set(option_by_key(table, "pattern"), &s, "=> (\\S+) <=", &error));
            OK(task_new(&t, &s, &error));
            char *text = mem_printf("%s%s%s", places[i].before, kinds[k].right, places[i].after);
            task_grade_result right = task_grade(t, &(problem){.gold = kinds[k].right}, text, strlen(text)),
                              wrong = task_grade(t, &(problem){.gold = kinds[k].wrong}, text, strlen(text));
            if (!right.correct || wrong.correct || wrong.verdict != GRADE_DIFFERENT ||
                (k < 2 && strcmp(right.extracted, kinds[k].right) != 0))
                fail_msg("%s in %s: read %s", kinds[k].kind, places[i].place,
                         right.extracted ? right.extracted : "nothing");
            task_answer *a = task_answer_find(t, NULL, text, strlen(text));
            char *shown = task_answer_show(t, NULL, a);
            const char *both[] = {shown, kinds[k].right};
            int64_t group[2];
            task_answer_group(t, NULL, both, 2, group);
            assert_int_equal(group[1], 0);
            mem_free(shown);
            mem_free(a);
            mem_free(text);
            task_grade_free(&right);
            task_grade_free(&wrong);
            task_free(t);
            task_settings_free(&s);
        }
    arena_free(memory);
}

static void test_text_kind(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
        const char *off; /* a key that is turned off, NULL: none */
        const char *on;
    } cases[] = {
        {"Paris", "paris.", true, NULL, NULL},
        {"Paris", "paris", false, "ignore_case", NULL},
        {"New  York", "new york", true, NULL, NULL},
        {"New  York", "New York", false, "ignore_spaces", NULL},
        {"the sun", "sun", false, NULL, NULL},
        {"the sun", "Sun", true, NULL, "ignore_articles"},
        {"an apple, a pear", "apple pear", true, NULL, "ignore_articles"},
        {"anapple", "apple", false, NULL, "ignore_articles"},
        {"3.5", "35", false, NULL, NULL},
        {"don't", "dont", false, NULL, NULL},
        {"(yes)", "yes", true, NULL, NULL},
        {"(yes)", "yes", false, "ignore_punctuation", NULL},
        {"\xef\xbc\xa1", "a", true, NULL, NULL}, /* a full-width A */
        {"\xef\xbc\xa1", "a", false, "nfkc", NULL},
        {"caf\xc3\xa9", "cafe\xcc\x81", true, "nfkc", NULL}, /* composed and not */
        {"stra\xc3\x9f"
         "e",
         "STRASSE", true, NULL, NULL},
        {"\xff", "\xef\xbf\xbd", true, NULL, NULL},
    };
    arena *memory = arena_new();
    option_table table = task_options(memory);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        task_settings s = {0};
        task *t;
        options_defaults(table, &s);
        OK(option_set(option_by_key(table, "kind"), &s, "text", &error));
        options_defaults_of_choice(table, &s);
        OK(option_set(option_by_key(table, "place"), &s, "whole", &error));
        if (cases[i].off) OK(option_set(option_in_use(table, cases[i].off, &s), &s, "false", &error));
        if (cases[i].on) OK(option_set(option_in_use(table, cases[i].on, &s), &s, "true", &error));
        OK(task_new(&t, &s, &error));
        for (int turned = 0; turned < 2; turned++) {
            const char *a = turned ? cases[i].b : cases[i].a, *b = turned ? cases[i].a : cases[i].b;
            task_grade_result g = task_grade(t, &(problem){.gold = b}, a, strlen(a));
            if (g.correct != cases[i].equal) fail_msg("\"%s\" and \"%s\"", a, b);
            task_grade_free(&g);
        }
        task_grade_result none = task_grade(t, &(problem){.gold = "x"}, " ?! ", 4);
        assert_false(none.correct);
        task_grade_free(&none);
        task_free(t);
        task_settings_free(&s);
    }
    arena_free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates), cmocka_unit_test(test_fields),    cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_places),    cmocka_unit_test(test_text_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
