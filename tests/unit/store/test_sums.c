/* What a run knows of itself: rows that have changed, an older run.db in place of the last one. */
#include "store_support.h"

#include <unistd.h>

static bool rows_are_whole(const char *folder, const char *table) {
    store *s;
    bool kept;
    text_buffer differing = {0};
    OK(store_open(&s, folder, STORE_READ, &error));
    OK(store_sums_differing(s, &kept, &differing, &error));
    assert_true(kept);
    bool whole = differing.length == 0;
    if (!whole) assert_string_equal(differing.at, table);
    assert_int_equal(store_check_rows(s, &error) == ESP_OK, whole);
    text_free(&differing);
    store_close(s);
    return whole;
}

/* A run with rows in every table, some of them replaced, changed and removed again. */
static void write_everything(const char *folder) {
    store *s, *beside;
    OK(store_open(&s, folder, STORE_CREATE, &error));
    OK(write_wave(s, 0, &error));
    OK(store_meta_set(s, "recipe", "abc", &error));
    OK(store_meta_set(s, "recipe", "def", &error));
    OK(store_set_reference(s, 3, -1.5, -2.25, &error));
    OK(store_metric(s, 1, "auc", 3, &error)); /* a whole number in a column of reals */
    OK(store_event(s, 1, "note", NULL, &error));
    const store_value metrics[] = {{"margin", 0.25}, {"kl", NAN}};
    store_update u = {.phase = "learn", .iteration = 1, .metrics = metrics, .metric_count = 2};
    OK(store_add_update(s, &u, &error));
    OK(store_add_update(s, &u, &error));
    store_eval e = {.iteration = 1, .method = "greedy", .set = "test"};
    const store_eval_result results[2] = {{.problem = 1, .answer = "42"}, {.problem = 0, .text = "x"}};
    OK(store_add_eval(s, &e, results, 2, &error));
    OK(store_add_eval(s, &e, results, 1, &error));
    store_judgement j = {.iteration = 1, .source = "eval", .kind = "finished", .bins = "[]"};
    OK(store_add_judgements(s, &j, 1, &error));
    j.positives = 7;
    OK(store_add_judgements(s, &j, 1, &error));
    const store_file files[] = {{"recipe.yaml", {3, "00"}}, {"checkpoints/sft/a", {4, "11"}}};
    for (int i = 0; i < 2; i++) OK(store_add_file(s, &files[i], &error));
    OK(store_forget_files(s, "checkpoints/sft", &error));
    OK(store_begin(s, &error));
    OK(store_meta_set(s, "lost", "with the transaction", &error));
    store_rollback(s);
    store_verdict v = {.problem = "p", .correct = -1, .reward = NAN};
    OK(store_open(&beside, folder, STORE_BESIDE, &error));
    OK(store_add_verdicts(beside, &v, 1, &error));
    OK(store_add_verdicts(beside, &v, 1, &error)); /* stays */
    store_close(beside);
    OK(write_wave(s, 1, &error));
    store_close(s);
}

static void rows_that_have_changed_are_found(void **state) {
    (void)state;
    static const char *const changes[][2] = {
        {"meta", "UPDATE meta SET value = 'abc' WHERE key = 'recipe'"},
        {"position", "UPDATE position SET wave = 1"},
        {"problems", "UPDATE problems SET question = 'How much?' WHERE problem = 2"},
        {"waves", "UPDATE waves SET pairs = 5 WHERE wave = 1"},
        {"trees", "UPDATE trees SET outcome = -outcome - 1 WHERE tree = 3"},
        {"nodes", "UPDATE nodes SET q = q + 1e-12 WHERE tree = 5 AND node = 3"},
        {"nodes", "UPDATE nodes SET logprobs = zeroblob(80) WHERE tree = 5 AND node = 3"},
        {"nodes", "DELETE FROM nodes WHERE tree = 8 AND node = 29"},
        {"commitments", "UPDATE commitments SET chosen = 2, rejected = 1 WHERE tree = 1"},
        {"pairs",
         "INSERT INTO pairs SELECT 99, iteration, tree, problem, state, chosen, rejected, prefix_ids,"
         " chosen_ids, rejected_ids, 0, 0, 0, 0, alpha, 0, 0, 0, 0, policy, 0 FROM pairs WHERE pair = 1"},
        {"updates", "UPDATE updates SET loss = NULL"},
        {"update_metrics", "UPDATE update_metrics SET value = 0 WHERE name = 'kl'"},
        {"evals", "UPDATE evals SET right = 1"},
        {"eval_results", "UPDATE eval_results SET answer = '43'"},
        {"judgements", "UPDATE judgements SET positives = 0"},
        {"verdicts", "UPDATE verdicts SET correct = 1"},
        {"files", "UPDATE files SET bytes = 4"},
        {"metrics", "UPDATE metrics SET value = 4"},
        {"events", "DELETE FROM events"},
        {"nodes", "UPDATE sums SET sum = zeroblob(16) WHERE name = 'nodes'"},
        {"verdicts", "DELETE FROM sums WHERE name = 'verdicts'"},
        {"verdicts", "DROP TABLE verdicts"},
        {"more", "CREATE TABLE more (a)"}};
    char *folder = new_folder(), *file = path_join(folder, "run.db"), *bytes;
    size_t length;
    store *s;
    write_everything(folder);
    assert_true(rows_are_whole(folder, NULL));
    assert_int_equal(number(folder, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    OK(file_read(file, &bytes, &length, &error));
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        change(folder, changes[i][1]);
        if (rows_are_whole(folder, changes[i][0])) fail_msg("not found: %s", changes[i][1]);
        refused(folder, STORE_RESUME, "rows are not those that were written");
        OK(file_write_all(file, bytes, length, &error));
        assert_true(rows_are_whole(folder, NULL));
    }
    OK(store_open(&s, folder, STORE_RESUME, &error));
    store_close(s);
    /* Whoever changes rows on purpose takes the sums away; the next writer makes them of what is there. */
    change(folder, "UPDATE problems SET question = 'How much?'; DROP TABLE sums");
    OK(store_open(&s, folder, STORE_RESUME, &error));
    OK(write_wave(s, 2, &error));
    store_close(s);
    assert_true(rows_are_whole(folder, NULL));
    mem_free(bytes);
    mem_free(file);
    drop_folder(folder);
}

static uint64_t digest_tables(const char *folder) {
    store *s;
    uint64_t value = 0;
    OK(store_open(&s, folder, STORE_READ, &error));
    OK(store_digest_tables(s, &value, &error));
    store_close(s);
    return value;
}

/* The digest of all tables knows a judgement that is missing, and no times. */
static void the_digest_of_tables_covers_judgements(void **state) {
    (void)state;
    char *a = new_folder(), *b = new_folder();
    store *s;
    write_everything(a);
    write_everything(b);
    assert_true(digest_tables(a) == digest_tables(b) && digest_tables(a) != 0);
    OK(store_open(&s, b, STORE_RESUME, &error));
    OK(store_metric(s, 1, "seconds", 5, &error));
    assert_true(digest_tables(a) == digest_tables(b));
    store_judgement j = {.iteration = 1, .source = "eval", .kind = "unfinished", .bins = "[]"};
    OK(store_add_judgements(s, &j, 1, &error));
    store_close(s);
    assert_true(digest_tables(a) != digest_tables(b));
    assert_true(digest(a) == digest(b)); /* which older runs have too, and which leaves judgements out */
    drop_folder(a);
    drop_folder(b);
}

/* An older run.db in place of the last one. */
static void an_older_state_is_noticed(void **state) {
    (void)state;
    char *folder = new_folder(), *file = path_join(folder, "run.db"), *lock = path_join(folder, "lock");
    char *bytes;
    size_t length;
    store *s;
    OK(go_on(folder, STORE_CREATE, 2, &error));
    OK(file_read(file, &bytes, &length, &error));
    OK(go_on(folder, STORE_RESUME, 3, &error));
    OK(file_write_all(file, bytes, length, &error));
    refused(folder, STORE_RESUME, "is older than the run: its position was set 2 times, and 3 times in all");
    refused(folder, STORE_RESUME, "is older than the run"); /* and is so the next time */
    assert_int_equal(unlink(lock), 0);                      /* on purpose */
    OK(go_on(folder, STORE_RESUME, 3, &error));
    assert_int_equal(unlink(file), 0);
    OK(file_write_all(file, "", 0, &error));
    refused(folder, STORE_RESUME, "is older than the run: its position was set 0 times");
    assert_int_equal(unlink(file), 0);
    OK(store_open(&s, folder, STORE_CREATE, &error)); /* a new one */
    store_close(s);
    OK(store_open(&s, folder, STORE_RESUME, &error));
    store_close(s);
    mem_free(bytes);
    mem_free(lock);
    mem_free(file);
    drop_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_that_have_changed_are_found),
                                       cmocka_unit_test(the_digest_of_tables_covers_judgements),
                                       cmocka_unit_test(an_older_state_is_noticed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
