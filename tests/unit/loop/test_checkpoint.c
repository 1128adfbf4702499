/* Checkpoints as folders: which names are the program's, what is tidied away, and what a position must find.
 */
#include "base/file.h"
#include "loop/checkpoint.h"
#include "support.h"

#include <string.h>

static esp_error error;

static void test_names(void **state) {
    (void)state;
    const struct {
        const char *name;
        checkpoint_name is;
    } own[] = {{"sft", {CHECKPOINT_FINAL, 0, 0}},
               {"iteration-1", {CHECKPOINT_FINAL, 1, 0}},
               {"iteration-120", {CHECKPOINT_FINAL, 120, 0}},
               {"sft-0-at-2", {CHECKPOINT_BETWEEN, 0, 2}},
               {"learn-12-at-340", {CHECKPOINT_BETWEEN, 12, 340}},
               {"sft.aside", {CHECKPOINT_REMAINS, 0, 0}},
               {"learn-3-at-4.aside", {CHECKPOINT_REMAINS, 3, 4}},
               {"learn-3-at-4.old", {CHECKPOINT_REMAINS, 3, 4}},
               {"iteration-2.4711.old", {CHECKPOINT_REMAINS, 2, 0}},
               {"sft-0-at-8.1.old", {CHECKPOINT_REMAINS, 0, 8}}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        checkpoint_name read = checkpoint_name_read(own[i].name);
        if (read.kind != own[i].is.kind || read.iteration != own[i].is.iteration ||
            read.update != own[i].is.update)
            fail_msg("%s: %d %d %d", own[i].name, read.kind, (int)read.iteration, (int)read.update);
    }
    static const char *const foreign[] = {"best-at-home",
                                          "my.old",
                                          "notes.aside",
                                          "sft-best",
                                          "sft2",
                                          "sft.old",
                                          "iteration-1.old",
                                          "iteration-1.bak",
                                          "iteration-",
                                          "iteration-0",
                                          "iteration-01",
                                          "iteration-+1",
                                          "iteration-1 ",
                                          "iteration-1-at-2",
                                          "learn-1-at-",
                                          "learn-1-at-2-best",
                                          "learn-0-at-2",
                                          "sft-1-at-2",
                                          "sft-0-at--2",
                                          "sft-0-at-2.0x.old",
                                          "sft-0-at-2.7.old.old",
                                          "xsft-0-at-2",
                                          "learn-9999999999999999999-at-1",
                                          "Iteration-1",
                                          "iteration-1.aside.old",
                                          "eval-1-at-2",
                                          "",
                                          ".",
                                          "..",
                                          ".aside"};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (checkpoint_name_read(foreign[i]).kind != CHECKPOINT_FOREIGN) fail_msg("%s", foreign[i]);
    char name[CHECKPOINT_NAME_MAX];
    checkpoint_name_final(name, 0);
    assert_string_equal(name, "sft");
    checkpoint_name_final(name, 7);
    assert_string_equal(name, "iteration-7");
    checkpoint_name_between(name, 0, 3);
    assert_string_equal(name, "sft-0-at-3");
    checkpoint_name_between(name, 7, 30);
    assert_string_equal(name, "learn-7-at-30");
}

static void test_order(void **state) {
    (void)state;
    static const char *const in_order[] = {"sft-0-at-2",   "sft-0-at-10",  "sft",
                                           "learn-1-at-1", "learn-1-at-9", "iteration-1",
                                           "learn-2-at-3", "iteration-2",  "iteration-10"};
    enum { N = sizeof in_order / sizeof *in_order };
    for (int a = 0; a < N; a++)
        for (int b = 0; b < N; b++) {
            checkpoint_name x = checkpoint_name_read(in_order[a]), y = checkpoint_name_read(in_order[b]);
            assert_int_equal(checkpoint_name_after(&x, &y), a > b);
        }
}

/* A run's folder with these checkpoints, each with weights and an optimizer's state. */
static char *new_run(const char *const *names, size_t n) {
    const char *base = getenv("TMPDIR");
    char *run = path_join(base && *base ? base : P_tmpdir, "espalier-checkpoint-XXXXXX");
    assert_non_null(mkdtemp(run));
    for (size_t i = 0; i < n; i++) {
        char *path = checkpoint_path(run, names[i]), *weights = path_join(path, "model.safetensors"),
             *state = path_join(path, "optimizer.safetensors"), *judge = path_join(path, JUDGE_FOLDER),
             *judge_state = path_join(judge, "optimizer.safetensors");
        OK(folder_make(judge, &error));
        OK(file_write_all(weights, "w", 1, &error));
        OK(file_write_all(state, "s", 1, &error));
        OK(file_write_all(judge_state, "s", 1, &error));
        mem_free(judge_state);
        mem_free(judge);
        mem_free(path);
        mem_free(weights);
        mem_free(state);
    }
    return run;
}

static void drop_run(char *run) {
    OK(folder_remove(run, &error));
    mem_free(run);
}

static bool has(const char *run, const char *name, const char *file) {
    char *path = checkpoint_path(run, name), *inner = path_join(path, file);
    bool there = file_exists(inner);
    mem_free(inner);
    mem_free(path);
    return there;
}

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void test_tidy(void **state) {
    (void)state;
    static const char *const names[] = {
        "sft",          "iteration-1",        "iteration-2",        "learn-2-at-5",
        "learn-3-at-2", "iteration-2.17.old", "learn-3-at-2.aside", "best-at-home",
        "my.old",       "iteration-1.old",    "draft.aside",        "sft-at-work",
        ".hidden"};
    char *run = new_run(names, COUNT(names));
    store *s;
    store_files files;
    OK(store_open(&s, run, STORE_CREATE, &error));
    for (size_t i = 0; i < COUNT(names); i++) {
        char *path = checkpoint_path(run, names[i]), *place = checkpoint_place(names[i]);
        OK(store_sum_files(path, place, &files, &error));
        assert_int_equal(files.count, 3);
        for (int64_t k = 0; k < files.count; k++) OK(store_add_file(s, &files.at[k], &error));
        STORE_LIST_FREE(&files);
        mem_free(path);
        mem_free(place);
    }
    store_position at = {STORE_PHASE_LEARN, 3, 0, 2, "learn-3-at-2"};
    OK(checkpoint_tidy(s, &at, RECIPE_KEEP_ALL, -1, &error));
    static const char *const gone[] = {"learn-2-at-5", "iteration-2.17.old", "learn-3-at-2.aside"};
    for (size_t i = 0; i < COUNT(gone); i++) assert_false(has(run, gone[i], "."));
    static const char *const without_state[] = {"sft", "iteration-1", "iteration-2"};
    for (size_t i = 0; i < COUNT(without_state); i++) {
        assert_true(has(run, without_state[i], "model.safetensors"));
        assert_false(has(run, without_state[i], "optimizer.safetensors"));
        assert_true(has(run, without_state[i], JUDGE_FOLDER));
        assert_false(has(run, without_state[i], JUDGE_FOLDER "/optimizer.safetensors"));
    }
    static const char *const whole[] = {"learn-3-at-2", "best-at-home", "my.old", "iteration-1.old",
                                        "draft.aside",  "sft-at-work",  ".hidden"};
    for (size_t i = 0; i < COUNT(whole); i++) {
        assert_true(has(run, whole[i], "optimizer.safetensors"));
        assert_true(has(run, whole[i], JUDGE_FOLDER "/optimizer.safetensors"));
    }
    /* What was removed is known no longer; what is known is there. */
    bool known;
    OK(store_check_files(s, "checkpoints/learn-2-at-5", &known, &error));
    assert_false(known);
    OK(store_check_files(s, "checkpoints/iteration-1", &known, &error));
    assert_true(known);
    OK(store_check_files(s, "checkpoints/learn-3-at-2", &known, &error));
    assert_true(known);
    store_close(s);
    drop_run(run);
}

/* Where only the last policy is kept: which names are left after a position, and which of them have optimizer
 * state. */
static void kept_beside(store_position at, recipe_keep policies, int64_t best, const char *wanted,
                        const char *with_state) {
    static const char *const names[] = {"sft",         "iteration-1",  "iteration-2", "iteration-3",
                                        "iteration-4", "learn-4-at-2", "mine"};
    char *run = new_run(names, COUNT(names));
    text_buffer found = {0}, state = {0};
    store *s;
    OK(store_open(&s, run, STORE_CREATE, &error));
    OK(checkpoint_tidy(s, &at, policies, best, &error));
    text_puts(&state, "");
    for (size_t i = 0; i < COUNT(names); i++) {
        if (has(run, names[i], ".")) text_printf(&found, "%s ", names[i]);
        if (has(run, names[i], "optimizer.safetensors")) text_printf(&state, "%s ", names[i]);
    }
    assert_string_equal(found.at, wanted);
    assert_string_equal(state.at, with_state);
    text_free(&found);
    text_free(&state);
    store_close(s);
    drop_run(run);
}

static void kept(store_position at, const char *wanted, const char *with_state) {
    kept_beside(at, RECIPE_KEEP_LAST, -1, wanted, with_state);
}

static void test_keep_best(void **state) {
    (void)state;
    kept_beside((store_position){STORE_PHASE_LEARN, 4, 0, 2, "learn-4-at-2"}, RECIPE_KEEP_BEST, 1,
                "sft iteration-1 iteration-3 iteration-4 learn-4-at-2 mine ", "learn-4-at-2 mine ");
    kept_beside((store_position){STORE_PHASE_DONE, 4, 0, 0, "iteration-4"}, RECIPE_KEEP_BEST, 2,
                "sft iteration-2 iteration-4 mine ", "mine ");
    kept_beside((store_position){STORE_PHASE_DONE, 4, 0, 0, "iteration-4"}, RECIPE_KEEP_BEST, 0,
                "sft iteration-4 mine ", "mine ");
}

static void test_keep_last(void **state) {
    (void)state;
    kept((store_position){STORE_PHASE_LEARN, 4, 0, 2, "learn-4-at-2"},
         "sft iteration-3 iteration-4 learn-4-at-2 mine ", "learn-4-at-2 mine ");
    kept((store_position){STORE_PHASE_EVALUATE, 4, 0, 0, "iteration-4"}, "sft iteration-4 mine ",
         "iteration-4 mine ");
    kept((store_position){STORE_PHASE_DONE, 4, 0, 0, "iteration-4"}, "sft iteration-4 mine ", "mine ");
    kept((store_position){STORE_PHASE_SEARCH, 1, 0, 0, "sft"},
         "sft iteration-1 iteration-2 iteration-3 iteration-4 mine ", "sft mine ");
    kept((store_position){STORE_PHASE_SFT, 0, 0, 0, ""},
         "sft iteration-1 iteration-2 iteration-3 iteration-4 mine ", "mine ");
}

static void refused(store *s, store_position at, bool needs_state, const char *part) {
    bool known;
    error = (esp_error){0};
    assert_int_equal(checkpoint_check(s, &at, needs_state, &known, &error), ESP_FAILED);
    if (!strstr(error.message, part)) fail_msg("wanted \"%s\" in: %s", part, error.message);
    assert_true(error.hint[0]);
}

static void test_check(void **state) {
    (void)state;
    static const char *const names[] = {"sft", "iteration-1", "iteration-2", "learn-3-at-4", "best-at-home"};
    char *run = new_run(names, COUNT(names));
    store *s;
    bool known;
    OK(store_open(&s, run, STORE_CREATE, &error));
    /* At learn-3-at-4 all is explained; the same at the checkpoint before, which a kill leaves. */
    store_position at = {STORE_PHASE_LEARN, 3, 0, 4, "learn-3-at-4"};
    OK(checkpoint_check(s, &at, true, &known, &error));
    at = (store_position){STORE_PHASE_LEARN, 3, 0, 0, "iteration-2"};
    OK(checkpoint_check(s, &at, true, &known, &error));
    /* Earlier positions do not explain what is there. */
    refused(s, (store_position){STORE_PHASE_SEARCH, 3, 2, 0, "iteration-2"}, true, "learn-3-at-4");
    refused(s, (store_position){STORE_PHASE_LEARN, 2, 0, 0, "iteration-1"}, true, "learn-3-at-4");
    refused(s, (store_position){.phase = STORE_PHASE_SFT}, false, "later than what run.db knows");
    refused(s, (store_position){.phase = STORE_PHASE_EVALUATE}, false, "later than what run.db knows");
    refused(s, (store_position){STORE_PHASE_SFT, 0, 0, 2, "sft-0-at-2"}, true,
            "later than what run.db knows");
    /* What the position needs. */
    char *path = checkpoint_path(run, "learn-3-at-4"), *weights = path_join(path, "model.safetensors"),
         *moments = path_join(path, "optimizer.safetensors");
    at = (store_position){STORE_PHASE_LEARN, 3, 0, 4, "learn-3-at-4"};
    assert_int_equal(remove(moments), 0);
    refused(s, at, true, "learn-3-at-4/optimizer.safetensors: is missing");
    OK(checkpoint_check(s, &at, false, &known, &error));
    assert_int_equal(remove(weights), 0);
    refused(s, at, false, "learn-3-at-4/model.safetensors: is missing");
    refused(s, (store_position){STORE_PHASE_LEARN, 5, 0, 0, "iteration-4"}, true,
            "iteration-4/model.safetensors");
    mem_free(path);
    mem_free(weights);
    mem_free(moments);
    store_close(s);
    /* A run that begins finds no other's. */
    error = (esp_error){0};
    assert_int_equal(checkpoint_check_none(run, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "whose record is missing"));
    drop_run(run);
    static const char *const mine[] = {"best-at-home", "my.old"};
    run = new_run(mine, COUNT(mine));
    OK(checkpoint_check_none(run, &error));
    drop_run(run);
}

/* Every file of a checkpoint, whatever its name, is compared with what was written. */
static void test_damage(void **state) {
    (void)state;
    static const char *const names[] = {"iteration-1"};
    char *run = new_run(names, 1), *folder = checkpoint_path(run, "iteration-1"),
         *other = path_join(folder, "judge-weights.safetensors"), *place = checkpoint_place("iteration-1");
    OK(file_write_all(other, "0123456789", 10, &error));
    store *s;
    store_files files;
    bool known;
    store_position at = {STORE_PHASE_SEARCH, 2, 0, 0, "iteration-1"};
    OK(store_open(&s, run, STORE_CREATE, &error));
    OK(checkpoint_check(s, &at, true, &known, &error));
    assert_false(known); /* as an earlier version left it */
    OK(store_sum_files(folder, place, &files, &error));
    assert_int_equal(files.count, 4);
    for (int64_t i = 0; i < files.count; i++) OK(store_add_file(s, &files.at[i], &error));
    OK(checkpoint_check(s, &at, true, &known, &error));
    assert_true(known);
    OK(store_check_model(folder, &known, &error));
    assert_true(known);
    for (int64_t i = 0; i < files.count; i++) {
        char *file = path_join(run, files.at[i].path), *bytes;
        size_t length;
        OK(file_read(file, &bytes, &length, &error));
        bytes[length / 2] ^= 4; /* one bit */
        OK(file_write_all(file, bytes, length, &error));
        refused(s, at, true, "is damaged");
        assert_int_equal(store_check_model(folder, &known, &error), ESP_FAILED);
        bytes[length / 2] ^= 4;
        OK(file_write_all(file, bytes, length - 1, &error)); /* cut */
        refused(s, at, true, "is damaged");
        OK(file_write_all(file, bytes, length, &error));
        OK(checkpoint_check(s, &at, true, &known, &error));
        mem_free(bytes);
        mem_free(file);
    }
    assert_int_equal(remove(other), 0);
    refused(s, at, true, "judge-weights.safetensors: is missing");
    STORE_LIST_FREE(&files);
    store_close(s);
    mem_free(folder);
    mem_free(other);
    mem_free(place);
    drop_run(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),     cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_tidy),      cmocka_unit_test(test_keep_last),
                                       cmocka_unit_test(test_keep_best), cmocka_unit_test(test_check),
                                       cmocka_unit_test(test_damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
