/* The report of stores made by hand: what it says, and that it never fails on what a run may hold. */
#include "made_run.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>

/* ---- what is in the store ---- */

static void add_update(fixture *f, int64_t iteration, int64_t update, double margin, double chosen,
                       double rejected, double kl) {
    const store_value metrics[] = {{"margin", margin},
                                   {"accuracy", 0.6},
                                   {"logp_chosen", chosen},
                                   {"logp_rejected", rejected},
                                   {"kl", kl}};
    store_update u = {.phase = "learn",
                      .iteration = iteration,
                      .update = update,
                      .rows = 4,
                      .loss = 0.6,
                      .lr = 1e-5,
                      .grad_norm = 1,
                      .metrics = metrics,
                      .metric_count = 5,
                      .tokens = 40,
                      .tokens_computed = 30};
    OK(store_add_update(f->s, &u, &error));
}

/* `right` of `n` problems are correct; they come first. */
static void add_eval(fixture *f, int64_t iteration, int64_t n, int64_t right, int64_t tokens,
                     int64_t finished, const char *text) {
    store_eval_result *r = MEM_ARRAY(store_eval_result, n);
    for (int64_t i = 0; i < n; i++)
        r[i] = (store_eval_result){i, 0, i < right, i < finished, tokens, "7", text, false};
    store_eval e = {.iteration = iteration,
                    .method = "greedy",
                    .set = "test",
                    .k = 1,
                    .problems = n,
                    .right = right,
                    .accuracy = (double)right / (double)n,
                    .low = 0.1,
                    .high = 0.9,
                    .pass_at_k = NAN,
                    .maj_at_k = NAN,
                    .tokens_sampled = n * tokens,
                    .tokens_computed = 2 * n * tokens};
    OK(store_add_eval(f->s, &e, r, n, &error));
    mem_free(r);
}

static bool watched(json_t *d, const char *level, const char *words) {
    size_t i;
    json_t *one;
    json_array_foreach(at(d, "watch"), i,
                       one) if (strcmp(json_string_value(at(one, "level")), level) == 0 &&
                                strstr(json_string_value(at(one, "text")), words)) return true;
    return false;
}

/* ---- any run has a report ---- */

static void a_run_that_has_only_begun(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}");
    json_t *d = document_of(&f, -1, NULL);
    assert_int_equal(json_array_size(at(d, "iterations")), 0);
    assert_true(json_is_null(at(d, "gain")) && json_is_null(at(d, "judge")));
    assert_int_equal(json_array_size(at(d, "watch")), 0);
    assert_string_equal(json_string_value(json_array_get(at(at(d, "summary"), "sentences"), 0)),
                        "No evaluation has been made yet.");
    assert_true(json_is_false(at(at(d, "run"), "finished")));
    json_decref(d);
    /* without its recipe, and with one that is none */
    char *path = path_join(f.folder, "recipe.yaml");
    add_problem(&f, 0, "?");
    add_search(&f, 1, 0, 3, true, "step");
    OK(file_write_all(path, "serach: {]\n", 11, &error));
    d = document_of(&f, -1, NULL);
    assert_true(json_is_null(at(at(d, "run"), "seed")));
    assert_string_equal(json_string_value(at(at(d, "run"), "recipe_yaml")), "serach: {]\n");
    assert_null(json_object_get(json_array_get(at(d, "trees"), 0), "replay"));
    assert_true(watched(d, "warn", "cannot read the run's recipe.yaml"));
    json_decref(d);
    unlink(path);
    d = document_of(&f, -1, NULL);
    assert_true(json_is_null(at(at(d, "run"), "recipe_yaml")));
    json_decref(d);
    mem_free(path);
    fixture_free(&f);
}

static void numbers_that_are_none_are_null(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}");
    for (int i = 0; i < 12; i++) add_update(&f, 1, i, NAN, NAN, INFINITY, NAN);
    store_update sft = {.phase = "sft",
                        .iteration = 0,
                        .update = 1,
                        .rows = 4,
                        .loss = NAN,
                        .lr = 1,
                        .grad_norm = NAN,
                        .tokens_computed = 55};
    OK(store_add_update(f.s, &sft, &error));
    json_t *d = document_of(&f, -1, NULL);
    json_t *it = json_array_get(at(d, "iterations"), 1);
    assert_true(json_is_null(at(at(it, "metrics"), "margin")) && json_is_null(at(at(it, "metrics"), "kl")) &&
                json_is_null(at(it, "main")));
    assert_int_equal(json_integer_value(at(it, "cumulative_tokens_computed")), 55 + 12 * 30);
    assert_true(watched(d, "warn", "In 1 of 13 updates"));
    assert_false(watched(d, "warn", "log-probs"));
    json_decref(d);
    fixture_free(&f);
}

static void hostile_strings_stay_strings(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}\nsearch: {simulations: 2}");
    const char *evil =
        "</script><script>alert(1)</script>\"'`\\ \x01\x1b[2J \xff\xfe \xe2\x80\xae \xe2\x80\xa8 ${x} <!--";
    char *large = MEM_ARRAY(char, 1 << 20);
    memset(large, '<', (1 << 20) - 1);
    for (int i = 0; i < 7; i++) add_problem(&f, i, i % 2 ? evil : large);
    add_search(&f, 1, 0, 3, true, evil);
    add_search(&f, 1, 1, 4, true, large);
    add_eval(&f, 0, 4, 1, 10, 4, evil);
    add_eval(&f, 1, 4, 3, 10, 4, large);
    report_result result;
    json_t *d = document_of(&f, -1, &result);
    json_t *tree = json_array_get(at(d, "trees"), 0);
    const char *text = json_string_value(json_array_get(json_array_get(at(tree, "nodes"), 1), 1));
    assert_non_null(strstr(text, "</script><script>alert(1)</script>"));
    assert_non_null(strstr(text, "\xef\xbf\xbd\xef\xbf\xbd"));
    assert_true(strlen(json_string_value(at(tree, "question"))) < REPORT_MOST_TEXT + 60);
    assert_int_equal(json_array_size(at(d, "answers")), 4);
    json_decref(d);
    /* in the page nothing but the page's own script ends */
    report_options options = {.run = f.folder, .trees = -1};
    OK(report_write(&options, &result, &error));
    char *path = report_path(&options), *page;
    size_t length;
    OK(file_read(path, &page, &length, &error));
    assert_int_equal(length, result.bytes);
    assert_null(strstr(page, "alert(1)</script>"));
    char *data = strstr(page, "id=\"data\">"), *end = strstr(data, "</script>");
    data = strchr(data, '{');
    json_t *parsed = json_loadb(data, (size_t)(end - data), JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    mem_free(page);
    mem_free(path);
    mem_free(large);
    fixture_free(&f);
}

static void a_damaged_store_is_shown_as_it_is(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}");
    store_tree t = {.iteration = 1, .problem = 99, .prompt_ids = NULL, .outcome = NAN, .final_node = 77};
    OK(store_add_tree(f.s, &t, &error));
    store_node rows[] = {{.index = 0, .parent = -1},
                         {.index = 1,
                          .parent = 9,
                          .q = NAN,
                          .text = NULL,
                          .flags = STORE_NODE_FINISHED | STORE_NODE_JUDGED,
                          .outcome = 1,
                          .confidence = 7}};
    OK(store_add_nodes(f.s, t.tree, rows, 2, &error));
    store_pair pair = {.iteration = 1, .tree = 12345, .state = 3, .chosen = 5, .rejected = 6};
    OK(store_add_pair(f.s, &pair, &error));
    store_eval e = {.iteration = 1,
                    .method = "greedy",
                    .set = "test",
                    .k = 1,
                    .problems = 10,
                    .right = 3,
                    .accuracy = 0.3,
                    .low = 0.1,
                    .high = 0.6,
                    .pass_at_k = NAN,
                    .maj_at_k = NAN};
    OK(store_add_eval(f.s, &e, NULL, 0, &error)); /* its results are gone */
    report_result result;
    json_t *d = document_of(&f, -1, &result);
    assert_int_equal(result.replays_left_out, 1);
    json_t *it = json_array_get(at(d, "iterations"), 0);
    assert_true(json_number_value(at(at(it, "main"), "accuracy")) == 0.3);
    assert_true(json_is_null(at(at(it, "main"), "mean_tokens")));
    assert_true(json_is_null(at(json_array_get(at(d, "trees"), 0), "question")));
    json_decref(d);
    fixture_free(&f);
}

/* ---- what it says ---- */

static void figures_and_gain(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}\nsearch: {simulations: 6, root_probe: 0}\nlearn: {batch: 4}");
    for (int i = 0; i < 7; i++) add_problem(&f, i, "How many?");
    add_eval(&f, 0, 100, 20, 30, 90, "It is 7.");
    add_eval(&f, 2, 100, 60, 35, 95, "It is 8.");
    for (int i = 0; i < 10; i++) add_search(&f, 1 + i % 2, i, (uint64_t)i, i < 6, "a step");
    for (int i = 0; i < 12; i++) add_update(&f, 1 + i / 6, i % 6, 0.1 * (i + 1), -10 + i, -12 - i, 0.01);
    finish(&f);
    report_result result;
    json_t *d = document_of(&f, -1, &result), *gain = at(d, "gain"),
           *last = json_array_get(at(d, "iterations"), 2);
    assert_int_equal(result.trees, 10);
    assert_int_equal(result.trees_left_out + result.replays_left_out, 0);
    assert_true(json_is_true(at(at(d, "run"), "finished")));
    assert_true(fabs(json_number_value(at(gain, "difference")) - 0.4) < 1e-12);
    assert_int_equal(json_integer_value(at(gain, "only_after")), 40);
    assert_int_equal(json_integer_value(at(gain, "only_before")), 0);
    assert_true(json_number_value(at(gain, "low")) > 0.25 && json_number_value(at(gain, "high")) < 0.55);
    const char *first = json_string_value(json_array_get(at(at(d, "summary"), "sentences"), 0));
    assert_non_null(strstr(first, "reedy accuracy rose from 20.0% to 60.0% of "));
    assert_int_equal(json_integer_value(at(last, "trees")), 5);
    assert_int_equal(json_integer_value(at(last, "pairs")), 3);
    assert_int_equal(json_integer_value(at(last, "cumulative_tokens_sampled")), 1000);
    assert_int_equal(json_integer_value(at(last, "cumulative_tokens_judged")), 500);
    assert_int_equal(json_integer_value(at(last, "cumulative_tokens_computed")), 3000 + 12 * 30);
    assert_true(fabs(json_number_value(at(at(last, "metrics"), "margin")) - 0.95) < 1e-12);
    assert_true(json_number_value(at(at(last, "greedy"), "mean_tokens")) == 35);
    size_t i, bins = 0, replayed = 0;
    json_t *one;
    json_array_foreach(at(at(d, "judge"), "bins"), i, one) bins +=
        (size_t)json_integer_value(at(one, "count"));
    json_t *area = at(at(d, "judge"), "auc_finished");
    assert_int_equal(bins,
                     json_integer_value(at(area, "positives")) + json_integer_value(at(area, "negatives")));
    json_array_foreach(at(d, "trees"), i, one) {
        size_t simulations = json_array_size(at(one, "replay"));
        assert_int_equal(simulations, json_integer_value(at(one, "simulations")));
        replayed += simulations;
    }
    assert_true(replayed > 60);
    /* up to 20 gained; there are few lost and correct ones, so gained and incorrect ones fill the rest */
    assert_int_equal(json_array_size(at(d, "answers")), 20 + 30 + 10);
    assert_true(watched(
        d, "ok",
        "Few pairs are left, because most problems are solved: iteration 2 gave 3 pairs from 5 trees"));
    assert_true(watched(d, "ok", "The log-probs of rejected steps fall, those of chosen steps do not"));
    assert_true(watched(d, "ok", "margin is above zero"));
    assert_true(watched(d, "ok", "Chains finish at least as often"));
    json_decref(d);
    fixture_free(&f);
}

static void each_warning_where_the_numbers_say_so(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}");
    add_eval(&f, 0, 200, 60, 20, 190, "a");
    add_eval(&f, 1, 200, 120, 25, 190, "b");
    add_eval(&f, 2, 200, 70, 40, 100, "c");
    for (int i = 0; i < 30; i++) add_update(&f, 1, i, i % 2 ? 0.1 : -0.1, -10 - i, -12 - i, 0.01 * i * i);
    finish(&f);
    json_t *d = document_of(&f, -1, NULL);
    assert_true(watched(d, "warn", "fall together: chosen -14.50 to -34.50, rejected -16.50 to -36.50"));
    assert_true(watched(d, "warn", "lose to the reference grows"));
    assert_true(watched(d, "warn", "margin does not rise"));
    assert_true(
        watched(d, "warn",
                "Fewer chains finish: 95.0% of evaluated chains after iteration 0, 50.0% after iteration 2"));
    assert_true(
        watched(d, "warn", "Chains become longer: 20 tokens after iteration 0, 40 after iteration 2"));
    assert_true(watched(d, "warn", "Accuracy fell from its best: 60.0% after iteration 1, 35.0% at the end"));
    assert_false(watched(d, "warn", "Self-evaluation"));
    json_decref(d);
    fixture_free(&f);
    /* and too few updates say nothing */
    f = fixture_new("run: {seed: 3}");
    for (int i = 0; i < 8; i++) add_update(&f, 1, i, 0, -10 - 10 * i, -12 - 10 * i, i);
    d = document_of(&f, -1, NULL);
    assert_int_equal(json_array_size(at(d, "watch")), 0);
    json_decref(d);
    fixture_free(&f);
}

static void updates_are_thinned(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}");
    OK(store_begin(f.s, &error));
    for (int i = 0; i < 5001; i++) add_update(&f, 1, i, 0, 0, 0, 0);
    OK(store_commit(f.s, &error));
    json_t *d = document_of(&f, -1, NULL), *updates = at(d, "updates");
    assert_int_equal(json_array_size(updates), REPORT_MOST_UPDATES);
    assert_int_equal(json_integer_value(at(d, "updates_left_out")), 5001 - REPORT_MOST_UPDATES);
    assert_int_equal(json_integer_value(at(json_array_get(updates, 0), "update")), 0);
    assert_int_equal(json_integer_value(at(json_array_get(updates, REPORT_MOST_UPDATES - 1), "update")),
                     5000);
    json_decref(d);
    fixture_free(&f);
}

/* ---- baselines, files ---- */

static void baselines_are_drawn_and_held_against(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}"), g = fixture_new("run: {seed: 4}"),
            h = fixture_new("run: {seed: 5}");
    add_eval(&f, 0, 50, 10, 10, 50, "a");
    add_eval(&g, 0, 50, 20, 10, 50, "a");
    add_eval(&h, 0, 51, 20, 10, 51, "a");
    report_baseline named[] = {{"same", g.folder}, {"other <b>", h.folder}, {"gone", "/nonexistent/run"}};
    report_options options = {.run = f.folder, .baselines = named, .baseline_count = 2, .trees = -1};
    text_buffer text = {0};
    OK(report_json(&options, &text, NULL, &error));
    json_t *d = json_loadb(text.at, text.length, 0, NULL), *first = json_array_get(at(d, "baselines"), 0);
    assert_string_equal(json_string_value(at(first, "label")), "same");
    assert_true(json_number_value(at(json_array_get(at(first, "iterations"), 0), "accuracy")) == 0.4);
    assert_true(watched(d, "warn", "Baseline other <b> was evaluated on other problems"));
    assert_false(watched(d, "warn", "Baseline same"));
    json_decref(d);
    text_free(&text);
    options.baseline_count = 3;
    esp_error error = {0};
    assert_int_equal(report_json(&options, &text, NULL, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "baseline gone"));
    assert_int_equal(text.length, 0);
    fixture_free(&f);
    fixture_free(&g);
    fixture_free(&h);
}

/* A limit on file sizes simulates a full disk: the old page is kept, and there is no other file. */
static void a_full_disk_keeps_the_old_report(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}");
    char *path = path_join(f.folder, "report.html"), *page;
    OK(file_write_all(path, "old", 3, &error));
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {4096, 4096};
        esp_error error = {0};
        report_options options = {.run = f.folder, .trees = -1};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        esp_status status = report_write(&options, NULL, &error);
        _exit(status == ESP_FAILED && strstr(error.message, "report.html") && error.hint[0] ? 0 : 1);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    OK(file_read(path, &page, NULL, &error));
    assert_string_equal(page, "old");
    char *aside = mem_printf("%s.%ld.tmp", path, (long)child);
    assert_false(file_exists(aside));
    mem_free(aside);
    mem_free(page);
    mem_free(path);
    fixture_free(&f);
}

/* Answers that could not be judged are on the watch list; nothing is said where there are none. */
static void unknown_answers_are_said(void **state) {
    (void)state;
    for (int64_t unknown = 0; unknown < 2; unknown++) {
        fixture f = fixture_new("run: {seed: 3}\ntask: {unknown: incorrect}");
        store_tree t = {.iteration = 1, .finished = 1300, .unknown = 1200 * unknown};
        OK(store_add_tree(f.s, &t, &error));
        store_eval e = {.iteration = 1, .method = "greedy", .set = "test", .k = 1, .problems = 20};
        e.unknown = unknown;
        OK(store_add_eval(f.s, &e, NULL, 0, &error));
        finish(&f);
        json_t *d = document_of(&f, -1, NULL);
        assert_int_equal(
            unknown,
            watched(d, "warn",
                    "1,200 solutions of the searches could not be judged; task.unknown is incorrect."));
        assert_int_equal(
            unknown,
            watched(d, "warn", "After iteration 1: 1 answer could not be judged and counts as not correct"));
        json_decref(d);
        fixture_free(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_has_only_begun),
        cmocka_unit_test(numbers_that_are_none_are_null),
        cmocka_unit_test(hostile_strings_stay_strings),
        cmocka_unit_test(a_damaged_store_is_shown_as_it_is),
        cmocka_unit_test(figures_and_gain),
        cmocka_unit_test(each_warning_where_the_numbers_say_so),
        cmocka_unit_test(updates_are_thinned),
        cmocka_unit_test(baselines_are_drawn_and_held_against),
        cmocka_unit_test(a_full_disk_keeps_the_old_report),
        cmocka_unit_test(unknown_answers_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
