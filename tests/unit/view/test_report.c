/* The report of stores made by hand: what it says, that it never fails on what a run may hold, that it stays
 * small. */
#include "support.h"
#include "../search/synthetic.h"

#include "base/file.h"
#include "recipe/recipe.h"
#include "recipe/convert.h"
#include "store/store.h"
#include "loop/tree_rows.h"
#include "view/report.h"

#include <jansson.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>

static esp_error error;

/* ---- a run by hand ---- */

typedef struct {
    char *folder;
    store *s;
    recipe *recipe;
} fixture;

static fixture fixture_new(const char *yaml) {
    fixture f;
    const char *base = getenv("TMPDIR");
    f.folder = path_join(base && *base ? base : P_tmpdir, "espalier-report-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    OK(store_open(&f.s, f.folder, STORE_CREATE, &error));
    OK(recipe_parse(&f.recipe, "test", yaml, strlen(yaml), NULL, 0, &error));
    char *path = path_join(f.folder, "recipe.yaml");
    OK(recipe_write(f.recipe, path, &error));
    mem_free(path);
    return f;
}

static void fixture_free(fixture *f) {
    store_close(f->s);
    recipe_free(f->recipe);
    OK(folder_remove(f->folder, &error));
    mem_free(f->folder);
}

/* The document, parsed. New reference. */
static json_t *document_of(const fixture *f, int64_t trees, report_result *result) {
    report_options options = {.run = f->folder, .trees = trees};
    text_buffer text = {0};
    OK(report_json(&options, &text, result, &error));
    for (size_t i = 0; i < text.length; i++) assert_null(strchr("<>&", text.at[i]));
    json_error_t why;
    json_t *out = json_loadb(text.at, text.length, 0, &why);
    if (!out) fail_msg("%s near %.60s", why.text, text.at + why.position);
    text_free(&text);
    return out;
}

static void add_problem(fixture *f, int64_t problem, const char *question) {
    store_problem p = {problem, "train:1", question, "42"};
    OK(store_add_problem(f->s, &p, &error));
}

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

/* A tree that the synthetic policy grew, with one pair where `paired`. */
static void add_search(fixture *f, int64_t iteration, int64_t ordinal, uint64_t seed, bool paired,
                       const char *text) {
    search_config config = f->recipe->search.config;
    synthetic *y = synthetic_run(&config, seed);
    int32_t prompt[] = {1, 2, 3};
    store_tree t = {.iteration = iteration,
                    .ordinal = ordinal,
                    .problem = ordinal % 7,
                    .prompt_ids = prompt,
                    .prompt_count = 3,
                    .final_node = search_top(y->s),
                    .outcome = search_node_at(y->s, search_top(y->s)).O,
                    .simulations = search_stats_of(y->s).simulations,
                    .tokens_sampled = 100,
                    .tokens_judged = 50,
                    .tokens_computed = 300};
    OK(store_add_tree(f->s, &t, &error));
    int32_t n = search_node_count(y->s);
    store_node *rows = MEM_ARRAY(store_node, n);
    tree_rows_nodes(y->s, rows);
    for (int32_t i = 0; i < n; i++) rows[i].text = i ? text : "";
    OK(store_add_nodes(f->s, t.tree, rows, n, &error));
    for (int32_t i = 0; i < search_commitment_count(y->s); i++) {
        store_commitment c = tree_rows_commitment(y->s, i, NULL);
        OK(store_add_commitments(f->s, t.tree, &c, 1, &error));
    }
    store_pair pair = {.iteration = iteration,
                       .tree = t.tree,
                       .problem = t.problem,
                       .state = 0,
                       .chosen = 1,
                       .rejected = 2,
                       .prefix_ids = prompt,
                       .chosen_ids = prompt,
                       .rejected_ids = prompt,
                       .prefix_count = 3,
                       .chosen_count = 3,
                       .rejected_count = 2};
    if (paired) OK(store_add_pair(f->s, &pair, &error));
    mem_free(rows);
    synthetic_free(y);
}

/* A tree whose nodes are nobody's search: only its size matters. */
static void add_tree_of(fixture *f, int64_t iteration, int64_t ordinal, int64_t nodes) {
    int32_t ids[20] = {1};
    store_tree t = {.iteration = iteration,
                    .ordinal = ordinal,
                    .problem = ordinal % 7,
                    .prompt_ids = ids,
                    .prompt_count = 20,
                    .final_node = 3,
                    .outcome = 1,
                    .simulations = 60};
    OK(store_add_tree(f->s, &t, &error));
    store_node *rows = MEM_ARRAY(store_node, nodes);
    char(*texts)[80] = mem_alloc(sizeof *texts * (size_t)nodes);
    for (int64_t i = 0; i < nodes; i++) {
        double x = rng_uniform(rng_mix(rng_key((uint64_t)t.tree), (uint64_t)i), 0);
        snprintf(texts[i], sizeof texts[i],
                 "Then she has %04d apples and gives %04d to the others, so %05d.\n", (int)(x * 9999),
                 (int)(x * 7777), (int)(x * 99999));
        rows[i] = (store_node){.index = i,
                               .parent = i ? (i - 1) / 3 : -1,
                               .depth = i ? 1 : 0,
                               .ids = ids,
                               .count = 16,
                               .visits = (int64_t)(x * 50),
                               .logprob = -20 * x,
                               .q = 2 * x - 1,
                               .v = x - 0.7123456789,
                               .r = x,
                               .prior = x,
                               .confidence = x,
                               .outcome = 0,
                               .flags = STORE_NODE_JUDGED,
                               .text = texts[i]};
    }
    OK(store_add_nodes(f->s, t.tree, rows, nodes, &error));
    mem_free(rows);
    mem_free(texts);
}

static json_t *at(json_t *value, const char *key) {
    json_t *member = json_object_get(value, key);
    if (!member) fail_msg("there is no \"%s\"", key);
    return member;
}

static bool watched(json_t *d, const char *level, const char *words) {
    size_t i;
    json_t *one;
    json_array_foreach(at(d, "watch"), i,
                       one) if (strcmp(json_string_value(at(one, "level")), level) == 0 &&
                                strstr(json_string_value(at(one, "text")), words)) return true;
    return false;
}

static void finish(fixture *f) {
    store_position end = {.phase = STORE_PHASE_DONE, .iteration = 2, .checkpoint = "iteration-2"};
    OK(store_position_set(f->s, &end, &error));
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
    assert_true(watched(d, "warn", "KL to the reference grows"));
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

/* ---- sizes ---- */

static void trees_per_iteration(json_t *d, int64_t *counts, int n) {
    size_t i;
    json_t *one;
    memset(counts, 0, sizeof *counts * (size_t)n);
    json_array_foreach(at(d, "trees"), i, one) {
        int64_t iteration = json_integer_value(at(one, "iteration"));
        assert_in_range(iteration, 1, n);
        counts[iteration - 1]++;
    }
}

static void five_hundred_trees_fit(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}");
    for (int i = 0; i < 7; i++)
        add_problem(&f, i, "She has some apples and gives some away. How many are left?");
    OK(store_begin(f.s, &error));
    for (int i = 0; i < 500; i++) add_tree_of(&f, 1 + i / 50, i, 200);
    OK(store_commit(f.s, &error));
    report_options options = {.run = f.folder, .trees = -1};
    report_result result;
    clock_t start = clock(); /* of the processor: the machine may be busy with other things */
    OK(report_write(&options, &result, &error));
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("500 trees of 200 nodes: %.2f MB, %.2f s\n", (double)result.bytes / 1e6, seconds);
    assert_int_equal(result.trees, 500);
    assert_true(result.bytes < 15000000);
    assert_true(seconds < 10); /* less than one; sanitizers take their time */
    /* three times as many: under the same limit, the iterations alike in number */
    OK(store_begin(f.s, &error));
    for (int i = 500; i < 1500; i++) add_tree_of(&f, 1 + i % 10, 1000 + i, 200);
    OK(store_commit(f.s, &error));
    OK(report_write(&options, &result, &error));
    assert_true(result.bytes < 15000000 && result.bytes > 14000000);
    assert_int_equal(result.trees + result.trees_left_out, 1500);
    assert_true(result.trees_left_out > 700);
    json_t *d = document_of(&f, -1, NULL);
    int64_t counts[10];
    trees_per_iteration(d, counts, 10);
    for (int i = 0; i < 10; i++) assert_in_range(counts[i], result.trees / 10, result.trees / 10 + 1);
    assert_int_equal(json_integer_value(at(d, "trees_left_out")), result.trees_left_out);
    json_decref(d);
    fixture_free(&f);
}

static void few_trees_are_spread_and_have_pairs(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}\nsearch: {simulations: 2}");
    add_problem(&f, 0, "?");
    for (int i = 0; i < 45; i++) add_search(&f, 1 + i / 5, i, (uint64_t)i, i % 5 == 3, "s");
    json_t *d = document_of(&f, 3, NULL);
    int64_t counts[9], wanted[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    trees_per_iteration(d, counts, 9);
    assert_memory_equal(counts, wanted, sizeof counts); /* the first, the middle, the last */
    size_t i;
    json_t *one;
    json_array_foreach(at(d, "trees"), i, one) assert_int_equal(json_array_size(at(one, "pairs")), 1);
    json_decref(d);
    d = document_of(&f, 18, NULL);
    trees_per_iteration(d, counts, 9);
    for (int k = 0; k < 9; k++) assert_int_equal(counts[k], 2);
    json_decref(d);
    d = document_of(&f, 0, NULL);
    assert_int_equal(json_array_size(at(d, "trees")), 0);
    assert_int_equal(json_integer_value(at(d, "trees_left_out")), 45);
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
        assert_int_equal(unknown,
                         watched(d, "warn", "1 answer after iteration 1 could not be judged and count"));
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
        cmocka_unit_test(five_hundred_trees_fit),
        cmocka_unit_test(few_trees_are_spread_and_have_pairs),
        cmocka_unit_test(baselines_are_drawn_and_held_against),
        cmocka_unit_test(a_full_disk_keeps_the_old_report),
        cmocka_unit_test(unknown_answers_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
