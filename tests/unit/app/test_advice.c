/* What the command line advises: the library's hint with the flags that carry it out. */
#include "support.h"

#include "app/advice.h"

#include <string.h>

static void advises(const esp_error *error, const cli_verb *verb, const char *wanted) {
    text_buffer text = {0};
    advice(error, verb, &text);
    assert_string_equal(text.at ? text.at : "", wanted);
    text_free(&text);
}

static void a_reason_becomes_flags(void **state) {
    (void)state;
    esp_error error = {0};
    error_fail(&error, "resume it, or choose another folder", "x: holds a run already");
    error_because(&error, ESP_REASON_RUN_EXISTS);
    advises(&error, NULL, "resume it, or choose another folder (--resume, or another --out)");
    error_fail(&error, "choose another folder", "x");
    error_because(&error, ESP_REASON_OTHER_RUN);
    advises(&error, NULL, "choose another folder (another --out)");
    error_fail(&error, "start a new run", "x");
    error_because(&error, ESP_REASON_NO_RUN);
    advises(&error, NULL, "start a new run (leave out --resume)");
    error_fail(&error, "the manual lists all keys", "x");
    error_because(&error, ESP_REASON_UNKNOWN_SETTING);
    advises(&error, NULL, "the manual lists all keys (so does espalier run --help)");
    error_fail(&error, "free some space", "x");
    error_because(&error, ESP_REASON_DISK_FULL);
    advises(&error, NULL, "free some space");
    error_fail(&error, NULL, "x");
    advises(&error, NULL, "");
}

static void a_setting_becomes_its_flag(void **state) {
    (void)state;
    static const option own[] = {{.flag = "--data", .key = "data.test"}};
    cli_verb verb = {.name = "eval", .options = {own, 1}, .recipe_groups = "model"};
    esp_error error = {0};
    error_set(&error, ESP_USAGE, "set model.path", "no model is named");
    error_about(&error, ESP_REASON_UNSET, "model.path");
    advises(&error, &verb, "set model.path (--model)");
    error_about(&error, ESP_REASON_UNSET, "data.test");
    advises(&error, NULL, "set model.path (--test)");
    advises(&error, &verb, "set model.path (--data)"); /* the verb's own name */
    error_about(&error, ESP_REASON_UNSET, "learn.no_such_key");
    advises(&error, &verb, "set model.path (--set learn.no_such_key=VALUE)");
    verb.recipe_groups = NULL; /* a verb that takes no recipe: only flags that it has */
    advises(&error, &verb, "set model.path");
    error_about(&error, ESP_REASON_UNSET, "data.train");
    advises(&error, &verb, "set model.path");
    error_about(&error, ESP_REASON_UNSET, "data.test");
    advises(&error, &verb, "set model.path (--data)");
    static const option chat[] = {
        {.flag = "--chat-template"}}; /* its own, of the same name as the recipe's */
    verb.options = (option_table){chat, 1};
    error_about(&error, ESP_REASON_UNSET, "model.chat_template");
    advises(&error, &verb, "set model.path (--chat-template)");
}

static void what_can_be_resumed(void **state) {
    (void)state;
    esp_error error = {0};
    error_set(&error, ESP_INTERRUPTED, "resume it", "stopped");
    error.resumable = true;
    advises(&error, NULL, "continue with the same command and --resume");
    error_fail(&error, "free some space", "x");
    assert_false(error.resumable); /* an error starts with no reason */
    error.resumable = true;
    advises(&error, NULL,
            "free some space; then continue with the same command and --resume: what was finished is kept");
    error_fail(&error, "", "x");
    error.resumable = true;
    advises(&error, NULL, "continue with the same command and --resume: what was finished is kept");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reason_becomes_flags),
        cmocka_unit_test(a_setting_becomes_its_flag),
        cmocka_unit_test(what_can_be_resumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
