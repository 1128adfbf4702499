/* A run's folder from somebody else, and one that moves while it is worked on: nothing is written outside of
 * it, and values that no run writes are refused before anybody computes with them. */
#include "store_support.h"

#include <sys/stat.h>
#include <unistd.h>

/* Reads all that there is; ESP_OK or the first error. */
static esp_status read_everything(store *s, esp_error *error) {
    store_position at;
    store_totals totals;
    uint64_t hash;
#define READ(type, call)                                                                                     \
    do {                                                                                                     \
        type list;                                                                                           \
        ESP_TRY(call);                                                                                       \
        STORE_LIST_FREE(&list);                                                                              \
    } while (0)
    ESP_TRY(store_position_get(s, &at, error));
    READ(store_trees, store_read_trees(s, STORE_ALL, &list, error));
    for (int64_t tree = 1; tree <= TREES; tree++) {
        READ(store_nodes, store_read_nodes(s, tree, &list, error));
        READ(store_commitments, store_read_commitments(s, tree, &list, error));
    }
    READ(store_problems, store_read_problems(s, &list, error));
    READ(store_pairs, store_read_pairs(s, STORE_ALL, &list, error));
    READ(store_updates, store_read_updates(s, STORE_ALL, &list, error));
    READ(store_evals, store_read_evals(s, &list, error));
    READ(store_eval_results, store_read_eval_results(s, 1, "greedy", "test", &list, error));
    READ(store_judgements, store_read_judgements(s, &list, error));
    READ(store_sizes, store_read_sizes(s, STORE_ALL, &list, error));
    READ(store_costs, store_read_costs(s, &list, error));
    READ(store_files, store_read_files(s, "", &list, error));
    ESP_TRY(store_read_totals(s, &totals, error));
    return store_digest(s, &hash, error);
}

/* A run with a row in every table that is read. */
static void write_rows(const char *folder) {
    store *s;
    OK(store_open(&s, folder, STORE_CREATE, &error));
    OK(write_wave(s, 0, &error));
    const store_value metrics[] = {{"margin", 0.25}};
    store_update u = {.phase = "learn", .iteration = 1, .metrics = metrics, .metric_count = 1};
    OK(store_add_update(s, &u, &error));
    store_eval e = {.iteration = 1, .method = "greedy", .set = "test"};
    const store_eval_result result = {.problem = 1, .answer = "42"};
    OK(store_add_eval(s, &e, &result, 1, &error));
    store_judgement j = {.iteration = 1, .source = "eval", .kind = "finished", .bins = "[]"};
    OK(store_add_judgements(s, &j, 1, &error));
    OK(read_everything(s, &error));
    store_close(s);
}

/* The same tables without NOT NULL and CHECK, as a stranger may make them. */
#define LOOSE(table)                                                                                         \
    "PRAGMA legacy_alter_table = 1; CREATE TABLE loose AS SELECT * FROM " table "; DROP TABLE " table ";"    \
    "ALTER TABLE loose RENAME TO " table ";"

static void values_that_no_run_writes_are_refused(void **state) {
    (void)state;
    static const char *const damages[] = {
        LOOSE("position") "UPDATE position SET checkpoint = NULL",
        LOOSE("position") "UPDATE position SET phase = NULL",
        "UPDATE position SET phase = 5",
        "UPDATE position SET phase = -1",
        "UPDATE position SET iteration = 9000000000000000000",
        "UPDATE position SET wave = -1",
        "UPDATE position SET step = 'many'",
        "UPDATE position SET checkpoint = '../../elsewhere'",
        "UPDATE position SET checkpoint = '..'",
        "UPDATE position SET checkpoint = printf('%200s', 'a')",
        LOOSE("problems") "UPDATE problems SET question = NULL",
        LOOSE("trees") "UPDATE trees SET iteration = NULL",
        "UPDATE trees SET iteration = -3",
        "UPDATE trees SET iteration = 4000000000",
        "UPDATE trees SET final_node = 1e300",
        "UPDATE trees SET simulations = -9223372036854775807",
        "UPDATE trees SET tokens_sampled = 9223372036854775807",
        "UPDATE trees SET finished = 'x'",
        "UPDATE nodes SET parent = -2 WHERE node = 3",
        "UPDATE nodes SET parent = 9223372036854775807 WHERE node = 3",
        "UPDATE nodes SET depth = -1 WHERE node = 3",
        "UPDATE nodes SET visits = -1 WHERE node = 3",
        "UPDATE nodes SET flags = -1 WHERE node = 3",
        "UPDATE nodes SET flags = 4294967296 WHERE node = 3",
        "UPDATE nodes SET logprobs = zeroblob(4) WHERE node = 3", /* fewer than ids */
        "UPDATE nodes SET ids = x'00000000' WHERE node = 3",
        "UPDATE commitments SET picked = -2",
        "UPDATE commitments SET state = 5000000000",
        "UPDATE commitments SET step = -1",
        "UPDATE pairs SET chosen = -2",
        "UPDATE pairs SET rejected = 4000000000",
        "UPDATE pairs SET n_chosen = -1",
        LOOSE("pairs") "UPDATE pairs SET iteration = NULL",
        LOOSE("updates") "UPDATE updates SET phase = NULL",
        "UPDATE updates SET rows = -1",
        LOOSE("update_metrics") "UPDATE update_metrics SET name = NULL",
        LOOSE("evals") "UPDATE evals SET method = NULL",
        LOOSE("evals") "UPDATE evals SET problem_set = NULL",
        "UPDATE evals SET problems = -1",
        "UPDATE eval_results SET tokens = -1",
        LOOSE("judgements") "UPDATE judgements SET bins = NULL",
        "UPDATE judgements SET negatives = -1",
        /* what a schema can do by itself */
        "DROP TABLE trees; CREATE VIEW trees AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n)"
        " SELECT i, i, i, i, i, x'', i, i, i, i, i, i, i, i, i, i FROM n",
        "DROP TABLE problems; CREATE VIEW problems AS SELECT 1 AS problem, '', '', ''",
        "DROP TABLE nodes",
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char *folder = new_folder();
        store *s;
        esp_error error = {0};
        write_rows(folder);
        change(folder, damages[i]);
        esp_status status = store_open(&s, folder, STORE_READ, &error);
        if (status == ESP_OK) status = read_everything(s, &error);
        if (status == ESP_OK) fail_msg("taken: %s", damages[i]);
        assert_true(error.message[0]);
        store_close(s);
        drop_folder(folder);
    }
}

/* A trigger of the file's own does nothing when the run is resumed. */
static void triggers_of_a_stranger_do_not_run(void **state) {
    (void)state;
    char *folder = new_folder();
    store *s;
    write_rows(folder);
    change(folder, "CREATE TRIGGER t AFTER INSERT ON metrics BEGIN DELETE FROM pairs; END");
    OK(store_open(&s, folder, STORE_RESUME, &error));
    OK(store_metric(s, 1, "seconds", 1, &error));
    store_close(s);
    assert_int_equal(number(folder, "SELECT count(*) FROM pairs"), TREES);
    drop_folder(folder);
}

/* Links, pipes and folders in place of the run's files: refused, and what a link leads to is as it was. */
static void only_own_files_are_opened(void **state) {
    (void)state;
    static const char *const names[] = {"run.db", "run.db-wal", "lock", "log.jsonl"};
    char *folder = new_folder(), *outside = new_folder(), *target = path_join(outside, "target"), *text;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *file = path_join(folder, names[i]);
        for (int kind = 0; kind < 4; kind++) {
            OK(file_write_all(target, "mine", 4, &error));
            if (kind < 2) /* to a file that is there, to one that is not */
                assert_int_equal(symlink(kind == 0 ? target : "/nowhere/at/all", file), 0);
            else if (kind == 2)
                assert_int_equal(mkfifo(file, 0600), 0);
            else
                assert_int_equal(mkdir(file, 0700), 0);
            refused(folder, STORE_CREATE, "is not a regular file");
            OK(file_read(target, &text, NULL, &error));
            assert_string_equal(text, "mine");
            mem_free(text);
            assert_int_equal(remove(file), 0);
        }
        mem_free(file);
    }
    /* and a link in the way of a file that is written aside */
    char *path = path_join(folder, "recipe.yaml"), *aside = mem_printf("%s.%ld.tmp", path, (long)getpid());
    assert_int_equal(symlink(target, aside), 0);
    OK(file_write_all(path, "text", 4, &error));
    OK(file_read(target, &text, NULL, &error));
    assert_string_equal(text, "mine");
    mem_free(text);
    mem_free(aside);
    mem_free(path);
    mem_free(target);
    drop_folder(folder);
    drop_folder(outside);
}

/* The folder goes while the run is at work: the next commit says so, and no other folder is made or written.
 */
static void a_folder_that_moves_is_noticed(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        char *folder = new_folder(), *moved = mem_printf("%s.moved", folder);
        char *file = path_join(folder, "run.db"), *other = path_join(moved, "run.db");
        store *s;
        esp_error error = {0};
        OK(store_open(&s, folder, STORE_CREATE, &error));
        OK(write_wave(s, 0, &error));
        OK(store_check_place(s, &error));
        if (kind < 2) assert_int_equal(rename(folder, moved), 0);
        if (kind == 1) OK(folder_make(folder, &error)); /* another one at its place */
        if (kind == 2) assert_int_equal(unlink(file), 0);
        assert_int_equal(store_check_place(s, &error), ESP_FAILED);
        assert_int_equal(write_wave(s, 1, &error), ESP_FAILED);
        assert_non_null(strstr(error.message, "was moved, replaced or removed while the run was working"));
        assert_int_equal(file_exists(folder), kind > 0);
        assert_false(file_exists(file));
        store_close(s);
        if (kind < 2) { /* where it is now, it has what was committed */
            assert_int_equal(number(moved, "SELECT count(*) FROM waves"), 1);
            OK(go_on(moved, STORE_RESUME, 2, &error));
            OK(folder_remove(moved, &error));
        }
        mem_free(moved);
        mem_free(file);
        mem_free(other);
        drop_folder(folder);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_that_no_run_writes_are_refused),
                                       cmocka_unit_test(triggers_of_a_stranger_do_not_run),
                                       cmocka_unit_test(only_own_files_are_opened),
                                       cmocka_unit_test(a_folder_that_moves_is_noticed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
