/* The command line: own options, recipe flags and --set in one pass; what is misspelt gets its nearest name.
 */
#include "support.h"

#include "app/cli.h"
#include "recipe/convert.h"

#include <string.h>

typedef struct {
    char *pairs;
    int64_t steps;
    bool fast;
} own_options;

static const option own[] = {
    {.flag = "--pairs",
     .type = OPTION_PATH,
     .marks = OPTION_REQUIRED,
     .offset = offsetof(own_options, pairs),
     .help = "preferences"},
    {.flag = "--first",
     .type = OPTION_INT,
     .initial = "7",
     .low = 1,
     .high = 100,
     .offset = offsetof(own_options, steps),
     .help = "rows taken"},
    {.flag = "--fast", .type = OPTION_BOOL, .offset = offsetof(own_options, fast), .help = "do less"},
    {.flag = "--data", .key = "data.test", .help = "problems"},
};
static const cli_verb verbs[] = {
    {.name = "train",
     .summary = "learns",
     .positionals = "[MORE]",
     .most = 1,
     .options = {own, 4},
     .recipe_groups = "run model learn"},
    {.name = "sft", .summary = "imitates", .recipe_groups = "run sft", .most = 0},
    {.name = "grade", .summary = "grades", .positionals = "FILE...", .least = 1, .most = -1},
    {.name = "run", .summary = "all of it", .recipe_groups = "sft learn"},
};

/* argv from words between single spaces. */
static esp_status parse(int verb, const char *line, cli_arguments *out, own_options *target,
                        esp_error *error) {
    static char text[512];
    static char *argv[32] = {"espalier", "verb"};
    int argc = 2;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
    return cli_parse(out, &verbs[verb], verb == 0 ? target : NULL, argc, argv, error);
}

static void refused(int verb, const char *line, const char *expected) {
    cli_arguments a;
    own_options o = {0};
    esp_error error = {0};
    assert_int_equal(parse(verb, line, &a, &o, &error), ESP_USAGE);
    assert_int_equal(error.code, ESP_USAGE);
    if (strcmp(error.message, expected) != 0)
        fail_msg("for %s\nwanted: %s\ngot:    %s", line, expected, error.message);
}

static void words_reach_their_places(void **state) {
    (void)state;
    cli_arguments a;
    own_options o = {0};
    esp_error error = {0};
    assert_int_equal(
        parse(
            0,
            "--pairs p.jsonl --lr=5e-7 --fast --json --set search.horizon=9 x.yaml --data d.jsonl --beta 0.3",
            &a, &o, &error),
        ESP_OK);
    assert_string_equal(o.pairs, "p.jsonl");
    assert_int_equal(o.steps, 7);
    assert_true(o.fast && a.json && !a.help);
    assert_int_equal(a.positional_count, 1);
    assert_string_equal(a.positionals[0], "x.yaml");
    assert_int_equal(a.override_count, 4);
    assert_string_equal(a.overrides[0].key, "learn.lr"); /* of this verb's groups, not sft.lr */
    assert_string_equal(a.overrides[1].key, "search.horizon");
    assert_string_equal(a.overrides[2].key, "data.test");
    recipe *r;
    assert_int_equal(recipe_load(&r, NULL, a.overrides, a.override_count, &error), ESP_OK);
    assert_true(r->learn.lr == 5e-7 && r->search.config.limits.horizon == 9);
    assert_true(((const dpo_options *)recipe_objective_options(r))->beta == 0.3);
    assert_string_equal(r->data.test, "d.jsonl");
    recipe_free(r);
    cli_free(&a, &verbs[0], &o);

    assert_int_equal(parse(0, "--pairs - --no-fast --first 3 --no-offline -- --odd", &a, &o, &error), ESP_OK);
    assert_string_equal(o.pairs, "-");
    assert_string_equal(a.positionals[0], "--odd");
    assert_false(o.fast);
    assert_string_equal(a.overrides[0].key, "learn.offline");
    assert_string_equal(a.overrides[0].value, "false");
    cli_free(&a, &verbs[0], &o);

    assert_int_equal(parse(1, "--lr 1e-5", &a, &o, &error), ESP_OK);
    assert_string_equal(a.overrides[0].key, "sft.lr");
    cli_free(&a, &verbs[1], NULL);
    assert_int_equal(parse(2, "-", &a, &o, &error), ESP_OK);
    assert_string_equal(a.positionals[0], "-");
    cli_free(&a, &verbs[2], NULL);
    assert_int_equal(parse(0, "--help", &a, &o, &error), ESP_OK); /* with nothing that is required */
    assert_true(a.help);
    cli_free(&a, &verbs[0], &o);
}

static void mistakes_are_named(void **state) {
    (void)state;
    refused(0, "--pairs p --betta 3", "espalier train: unknown option --betta (did you mean --beta?)");
    refused(0, "--pair p", "espalier train: unknown option --pair (did you mean --pairs?)");
    refused(0, "--pairs p --zzzzzzzzzz 3", "espalier train: unknown option --zzzzzzzzzz");
    refused(0, "--pairs p --simulations 3",
            "espalier train: unknown option --simulations"); /* not of its groups */
    refused(0, "--pairs", "espalier train: --pairs needs a value");
    refused(0, "--pairs --json", "espalier train: --pairs needs a value");
    refused(0, "--beta 0.1", "espalier train: --pairs is missing");
    refused(0, "--pairs p --first 0",
            "espalier train: --first must be a whole number from 1 to 100, not \"0\"");
    refused(0, "--pairs p --beta x",
            "espalier train: --beta: learn.beta must be a number above 0 up to 1000, not \"x\"");
    refused(0, "--pairs p --no-fast=1", "espalier train: --no-fast takes no value");
    refused(0, "--pairs p --set nothing", "--set: a setting is key=value, not \"nothing\"");
    refused(0, "--pairs p a b", "espalier train: too many arguments: \"b\"");
    refused(0, "--pairs p -x", "espalier train: unknown option -x");
    refused(2, "", "espalier grade: an argument is missing: espalier grade FILE...");
    refused(2, "f --set a.b=1", "espalier grade: unknown option --set");
    refused(3, "--lr 3", "espalier run: --lr could mean sft.lr or learn.lr"); /* of two of its groups */
    cli_arguments a;
    esp_error error = {0};
    assert_int_equal(parse(3, "--batch=8", &a, NULL, &error), ESP_USAGE);
    assert_string_equal(error.hint, "choose one: --set sft.batch=8 or --set learn.batch=8");
    assert_int_equal(parse(3, "--beta 1", &a, NULL, &error), ESP_OK);
    cli_free(&a, &verbs[3], NULL);
    const cli_verb *verb;
    char *argv[] = {"espalier", "trian"};
    assert_int_equal(cli_find_verb(&verb, verbs, 3, 2, argv, &error), ESP_USAGE);
    assert_string_equal(error.message, "unknown verb trian (did you mean train?)");
    assert_int_equal(cli_find_verb(&verb, verbs, 3, 1, argv, &error), ESP_USAGE);
    argv[1] = "grade";
    assert_int_equal(cli_find_verb(&verb, verbs, 3, 2, argv, &error), ESP_OK);
    assert_ptr_equal(verb, &verbs[2]);
}

static void help_comes_from_the_tables(void **state) {
    (void)state;
    text_buffer text = {0};
    cli_verb_help(&verbs[0], 80, &text);
    assert_non_null(strstr(text.at, "espalier train [options] [MORE]"));
    assert_non_null(strstr(text.at, "  --first\n      rows taken; a whole number from 1 to 100 [7]\n"));
    assert_non_null(strstr(text.at, "preferences; a path; required"));
    assert_non_null(strstr(text.at, "--data, data.test"));
    assert_non_null(strstr(text.at, "--beta, learn.beta"));
    assert_null(strstr(text.at, "sft.lr"));
    text_clear(&text);
    cli_overview(verbs, 3, &text);
    assert_non_null(strstr(text.at, "  sft        imitates\n"));
    text_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_reach_their_places),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(help_comes_from_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
