/* Templates beside Python's Jinja (tests/data/golden/jinja): the same text, or both fail. */
#include "text_support.h"

#include "text/jinja/jinja.h"

#include <stdlib.h>

static const char *const own_keys[] = {"role", "bos_token", "eos_token", NULL};

static json_t *read_cases(const char *path) {
    json_error_t at;
    json_t *cases = json_load_file(path, 0, &at);
    if (!cases) fail_msg("%s: %s", path, at.text);
    return cases;
}

static esp_status compile(jinja **out, const char *source, esp_error *error) {
    return jinja_compile(out, source, strlen(source), error);
}

static esp_status render(const jinja *t, const json_t *context, marked_text *out, esp_error *error) {
    jinja_input input = {.context = context, .own = own_keys, .date = "26 Jul 2024", .limits = JINJA_LIMITS};
    return jinja_render(t, &input, out, error);
}

/* How many of a file's renderings are as Python's, how many are refused by name, and how many are neither. */
typedef struct {
    int same, refused, wrong;
} counts;

static void compare_one(const char *name, size_t i, esp_status status, const marked_text *got,
                        const esp_error *error, const json_t *want, counts *n) {
    const char *text = json_string_value(json_object_get(want, "text"));
    if (status != ESP_OK && strstr(error->message, ": not supported: ")) {
        n->refused++;
        if (getenv("ESPALIER_JINJA_CASES")) printf("%s %zu: %s\n", name, i, error->message);
        return;
    }
    bool same = status == ESP_OK ? text && strcmp(got->text.at, text) == 0 : !text;
    n->same += same;
    n->wrong += !same;
    if (same) return;
    fprintf(stderr, "%s, context %zu\ngot  %s\nwant %s\n", name, i,
            status == ESP_OK ? got->text.at : error->message,
            text ? text : json_string_value(json_object_get(want, "error")));
}

static counts compare(const char *path) {
    json_t *cases = read_cases(path), *entry, *contexts = json_object_get(cases, "contexts");
    counts n = {0};
    size_t k;
    json_array_foreach(json_object_get(cases, "templates"), k, entry) {
        const char *name = json_string_value(json_object_get(entry, "name"));
        json_t *results = json_object_get(entry, "results");
        esp_error error = {0};
        jinja *t = NULL;
        esp_status compiled = compile(&t, json_string_value(json_object_get(entry, "source")), &error);
        for (size_t i = 0; i < json_array_size(contexts); i++) {
            marked_text text = {0};
            esp_status status = compiled;
            if (compiled == ESP_OK) status = render(t, json_array_get(contexts, i), &text, &error);
            compare_one(name, i, status, &text, &error, json_array_get(results, i), &n);
            marked_text_free(&text);
        }
        jinja_free(t);
    }
    json_decref(cases);
    return n;
}

static void test_as_python(void **state) {
    (void)state;
    counts n = compare(TEST_DATA "/golden/jinja/cases.json");
    assert_int_equal(n.wrong, 0);
    assert_int_equal(n.refused, 0);
    assert_true(n.same > 200);
    const char *others = getenv("ESPALIER_JINJA_CASES"); /* tools/compare-jinja */
    if (!others) return;
    n = compare(others);
    printf("%d as Python's, %d refused by name, %d neither\n", n.same, n.refused, n.wrong);
    assert_int_equal(n.wrong, 0);
}

/* ---- Marks ---- */

/* A character of the private use area, which no template writes. */
static bool is_private(const char *at) {
    return (unsigned char)at[0] == 0xee && ((unsigned char)at[1] & 0xc0) == 0x80;
}

static bool is_marked(const marked_text *text, size_t at) {
    for (int64_t i = 0; i < text->trusted.count; i++)
        if (text->trusted.at[i].start <= at && at < text->trusted.at[i].end) return true;
    return false;
}

/* All contents of a context become characters of the private use area. */
static json_t *private_context(const json_t *context) {
    json_t *copy = json_deep_copy(context), *entry;
    size_t i;
    json_object_set_new(copy, "tools", json_null());
    json_object_del(copy, "date_string");
    json_array_foreach(json_object_get(copy, "messages"), i, entry) {
        json_object_set_new(entry, "content", json_string("\uE000\uE001 \uE002"));
        json_object_del(entry, "reasoning_content");
    }
    return copy;
}

/* Without the template's own pieces exactly the characters of the inputs are left. */
static void test_marks(void **state) {
    (void)state;
    json_t *cases = read_cases(TEST_DATA "/golden/jinja/cases.json"), *entry,
           *contexts = json_object_get(cases, "contexts");
    size_t k, checked = 0;
    json_array_foreach(json_object_get(cases, "templates"), k, entry) {
        const char *name = json_string_value(json_object_get(entry, "name"));
        esp_error error = {0};
        jinja *t = NULL;
        assert_int_equal(compile(&t, json_string_value(json_object_get(entry, "source")), &error), ESP_OK);
        for (size_t i = 0; i < json_array_size(contexts); i++) {
            json_t *context = private_context(json_array_get(contexts, i));
            marked_text text = {0};
            if (render(t, context, &text, &error) == ESP_OK)
                for (size_t at = 0; at < text.text.length;) {
                    size_t n = is_private(text.text.at + at) ? 3 : 1;
                    /* The space between two of them is the input's too. */
                    bool foreign = n == 3 || (at >= 3 && is_private(text.text.at + at - 3) &&
                                              text.text.at[at] == ' ' && is_private(text.text.at + at + 1));
                    if (is_marked(&text, at) == foreign)
                        fail_msg("%s, context %zu: byte %zu of \"%s\"", name, i, at, text.text.at);
                    checked += foreign;
                    at += n;
                }
            marked_text_free(&text);
            json_decref(context);
        }
        jinja_free(t);
    }
    assert_true(checked > 300);
    json_decref(cases);
}

/* ---- Refusals and limits ---- */

static void expect_error(const char *source, const char *context, const char *words) {
    jinja *t = NULL;
    esp_error error = {0};
    marked_text text = {0};
    json_t *json = json_loads(context, 0, NULL);
    esp_status status = compile(&t, source, &error);
    if (status == ESP_OK) status = render(t, json, &text, &error);
    if (status == ESP_OK) fail_msg("\"%s\" gives \"%s\"", source, text.text.at);
    if (!strstr(error.message, words)) fail_msg("\"%s\": \"%s\" lacks \"%s\"", source, error.message, words);
    marked_text_free(&text);
    jinja_free(t);
    json_decref(json);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *source, *words;
    } cases[] = {
        {"a\n {{ x | wordwrap }}", "line 2, column 9: not supported: the filter \"wordwrap\""},
        {"{% include 'x' %}", "line 1, column 4: not supported: the tag \"include\""},
        {"{{ x is filter }}", "not supported: the test \"filter\""},
        {"{{ 'a'.zfill(3) }}", "not supported: the method \"zfill\" of a string"},
        {"{{ [].append(1) }}", "not supported: the method \"append\" of a list"},
        {"{{ '%s' % 1 }}", "not supported: formatting with %"},
        {"{{ f(*x) }}", "not supported: a list or dict as the arguments"},
        {"{% for x in y recursive %}{% endfor %}", "not supported: recursive loops"},
        {"{{ 'a' | trim(x=1) }}", "not supported: these arguments of the filter \"trim\""},
        {"{{ x.y }}", "line 1, column 5: \"x\" is undefined"},
        {"{{ 1 + 'a' }}", "\"+\" of a whole number and a string"},
        {"{{ raise_exception('no\\nsystem') }}", "the template says: no\nsystem"},
        {"{% if x %}", "the tag \"elif\" is missing"},
        {"{{ (1 }}", "a bracket that was not opened"},
        {"{{ 1", "a tag without an end"},
        {"{{ 'a", "a string without an end"},
        {"{{ }}", "a value is missing"},
        {"{{ 1 2 }}", "\"}}\" is missing"},
        {"{% set x.y = 1 %}", "only a namespace's members can be set"},
        {"{{ 1 // 0 }}", "division by zero"},
        {"{{ [1] | map(attribute='a!-.b') | list }}", "is undefined"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(cases[i].source, "{}", cases[i].words);
}

static char *repeated(const char *part, int n, const char *end) {
    text_buffer text = {0};
    for (int i = 0; i < n; i++) text_puts(&text, part);
    text_puts(&text, end);
    return text.at;
}

static void test_limits(void **state) {
    (void)state;
    /* Each way round the loops takes steps and makes a scope: whichever limit is reached first. */
    expect_error("{% for a in range(9999) %}{% for b in range(9999) %}{{ a == b }}{% endfor %}{% endfor %}",
                 "{}", "the template ");
    expect_error("{% set n = namespace(s='0123456789') %}{% for i in range(40) %}{% set n.s = n.s + n.s %}{% "
                 "endfor %}",
                 "{}", "too much text");
    expect_error("{{ 'abc' * 999999999 }}", "{}", "too");
    expect_error("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "{}", "too many levels");
    expect_error(
        "{% set n = namespace(l=[]) %}{% for i in range(999) %}{% set n.l = [n.l] %}{% endfor %}{{ n.l }}",
        "{}", "too deep");
    static const struct {
        const char *part, *end, *before;
    } deep[] = {{"(", "", "{{ "},
                {"[", "", "{{ "},
                {"not ", "1 }}", "{{ "},
                {"- ", "1 }}", "{{ "},
                {"1 if 1 else ", "1 }}", "{{ "},
                {"1 + ", "1 }}", "{{ "},
                {"1|abs|", "abs }}", "{{ 1|"},
                {"{% if 1 %}", "", ""},
                {"x.", "x }}", "{{ "},
                {"{% if 1 %}{% elif 1 %}", "", ""}};
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        char *rest = repeated(deep[i].part, 20000, deep[i].end),
             *source = mem_printf("%s%s", deep[i].before, rest);
        expect_error(source, "{\"x\": {}}", "line 1");
        mem_free(rest);
        mem_free(source);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_python),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
