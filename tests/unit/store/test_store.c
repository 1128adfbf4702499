/* The run directory: what goes in comes out, only whole waves survive a kill or a full disk, a second process
 * and foreign files are refused. */
#include "store_support.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void only_whole_waves(const char *folder) {
    assert_int_equal(number(folder, "PRAGMA integrity_check"), 1);
    int64_t waves = number(folder, "SELECT count(*) FROM waves");
    assert_int_equal(number(folder, "SELECT count(*) FROM trees"), waves * TREES);
    assert_int_equal(number(folder, "SELECT count(*) FROM nodes"), waves * TREES * NODES);
    assert_int_equal(number(folder, "SELECT count(*) FROM pairs"), waves * TREES);
    assert_int_equal(number(folder, "SELECT ifnull(sum(nodes), 0) FROM waves"), waves * TREES * NODES);
    assert_int_equal(number(folder, "SELECT ifnull(sum(wave), 0) FROM position"), waves);
}

/* ---- tests ---- */

static void what_goes_in_comes_out(void **state) {
    (void)state;
    char *folder = new_folder();
    store *s, *reader;
    OK(store_open(&s, folder, STORE_CREATE, &error));
    store_position at;
    OK(store_position_get(s, &at, &error));
    assert_true(at.phase == STORE_PHASE_SFT && at.iteration == 0 && at.wave == 0 && !at.checkpoint[0]);
    OK(write_wave(s, 0, &error));
    OK(write_wave(s, 1, &error));
    OK(store_meta_set(s, "recipe", "abc", &error));
    OK(store_set_reference(s, 3, -1.5, -2.25, &error));
    OK(store_metric(s, 1, "auc", 0.75, &error));
    OK(store_metric(s, 1, "auc", 0.8, &error));
    OK(store_event(s, 1, "note", "text", &error));
    const store_value metrics[] = {{"margin", 0.25}, {"kl", NAN}, {"odds", -3}};
    store_update u = {.phase = "learn", .iteration = 1, .update = 4, .rows = 32, .loss = 0.69};
    u.metrics = metrics, u.metric_count = 3;
    OK(store_add_update(s, &u, &error));
    u.loss = 0.5;
    OK(store_add_update(s, &u, &error)); /* again after a resume: replaces */
    store_eval e = {.iteration = 1,
                    .method = "greedy",
                    .set = "test",
                    .k = 1,
                    .problems = 2,
                    .right = 1,
                    .accuracy = 0.5};
    store_eval_result results[2] = {{.problem = 1, .right = true, .answer = "42"},
                                    {.problem = 0, .text = "x\ny"}};
    OK(store_add_eval(s, &e, results, 2, &error));
    OK(store_add_eval(s, &e, results, 2, &error));

    OK(store_open(&reader, folder, STORE_READ, &error)); /* while the writer is at work */
    store_pairs pairs;
    OK(store_read_pairs(reader, 1, &pairs, &error));
    assert_int_equal(pairs.count, 2 * TREES);
    for (int64_t i = 0; i < pairs.count; i++) {
        const store_pair *p = &pairs.at[i];
        assert_int_equal(p->pair, i + 1);
        assert_int_equal(p->problem, i);
        assert_int_equal(p->prefix_count, 11);
        assert_int_equal(p->chosen_count, 20);
        assert_true(p->alpha == 2.0 / 7 && p->policy_logp_rejected == -4);
        assert_int_equal(isnan(p->ref_logp_chosen), p->pair != 3);
        assert_string_equal(p->policy, "theta_0");
    }
    assert_true(pairs.at[2].ref_logp_chosen == -1.5 && pairs.at[2].ref_logp_rejected == -2.25);
    store_trees trees;
    store_nodes nodes;
    OK(store_read_trees(reader, STORE_ALL, &trees, &error));
    assert_int_equal(trees.count, 2 * TREES);
    assert_true(trees.at[5].tokens_judged == 90 && trees.at[5].tokens_judged_steps == 60);
    assert_int_equal(number(folder, "SELECT sum(tokens_spent) FROM trees"), 2 * TREES * 590);
    OK(store_read_nodes(reader, trees.at[5].tree, &nodes, &error));
    assert_int_equal(nodes.count, NODES);
    assert_null(nodes.at[0].ids);
    rng_key_t key = rng_mix(rng_mix(rng_key(7), 1), 1);
    assert_int_equal(nodes.at[3].ids[5], rng_below(key, 65, 49152));
    assert_true(nodes.at[3].logprobs[5] == (float)-rng_uniform(key, 65));
    assert_memory_equal(trees.at[5].prompt_ids + 3, &(int32_t){(int32_t)rng_below(key, 3, 49152)}, 4);
    store_commitments commitments;
    OK(store_read_commitments(reader, trees.at[5].tree, &commitments, &error));
    assert_int_equal(commitments.count, 1);
    assert_int_equal(commitments.at[0].rejected, 2);
    store_updates updates;
    OK(store_read_updates(reader, 1, &updates, &error));
    assert_int_equal(updates.count, 1);
    assert_true(updates.at[0].loss == 0.5 && updates.at[0].metric_count == 3);
    assert_true(store_update_metric(&updates.at[0], "margin") == 0.25);
    assert_true(store_update_metric(&updates.at[0], "odds") == -3);
    assert_true(isnan(store_update_metric(&updates.at[0], "kl")));
    assert_true(isnan(store_update_metric(&updates.at[0], "accuracy")));
    assert_true(number(folder, "SELECT margin * 100 FROM updates") == 25);
    store_evals evals;
    store_eval_results found;
    OK(store_read_evals(reader, &evals, &error));
    assert_int_equal(evals.count, 1);
    OK(store_read_eval_results(reader, 1, "greedy", "test", &found, &error));
    assert_int_equal(found.count, 2);
    assert_true(found.at[1].right && !found.at[0].right);
    assert_string_equal(found.at[0].text, "x\ny");
    store_problems problems;
    OK(store_read_problems(reader, &problems, &error));
    assert_int_equal(problems.count, 2 * TREES);
    assert_null(problems.at[1].name);
    double auc;
    bool there;
    OK(store_metric_get(reader, 1, "auc", &auc, &there, &error));
    assert_true(there && auc == 0.8);
    OK(store_metric_get(reader, 2, "auc", &auc, &there, &error));
    assert_false(there);
    char *value;
    OK(store_meta_get(reader, "recipe", &value, &error));
    assert_string_equal(value, "abc");
    mem_free(value);
    OK(store_meta_get(reader, "nothing", &value, &error));
    assert_null(value);
    esp_error error = {0};
    assert_int_equal(store_meta_set(reader, "a", "b", &error), ESP_FAILED);
    assert_int_equal(write_wave(s, 1, &error), ESP_FAILED); /* that wave is there */
    OK(write_wave(s, 2, &error));                           /* and the store goes on */
    STORE_LIST_FREE(&pairs);
    STORE_LIST_FREE(&trees);
    STORE_LIST_FREE(&nodes);
    STORE_LIST_FREE(&commitments);
    STORE_LIST_FREE(&updates);
    STORE_LIST_FREE(&evals);
    STORE_LIST_FREE(&found);
    STORE_LIST_FREE(&problems);
    store_close(reader);
    store_close(s);
    only_whole_waves(folder);
    drop_folder(folder);
}

/* Of trees in two iterations, one without any end: what ends correct or incorrect is counted, and no state.
 */
static void outcomes_of_trees_are_counted(void **state) {
    (void)state;
    static const store_node ends[] = {
        {.parent = -1, .outcome = 0},
        {.index = 1, .depth = 1, .flags = STORE_NODE_FINISHED | STORE_NODE_JUDGED, .outcome = 1},
        {.index = 2, .depth = 1, .flags = STORE_NODE_FINISHED | STORE_NODE_COMMITTED, .outcome = -1},
        {.index = 3, .depth = 1, .flags = STORE_NODE_CUT, .outcome = -1},
        {.index = 4, .depth = 1, .flags = STORE_NODE_CUT, .outcome = 0.5},
        {.index = 5, .depth = 1, .flags = STORE_NODE_FINISHED | STORE_NODE_UNKNOWN, .outcome = 0},
        {.index = 6, .depth = 1, .flags = STORE_NODE_GOLD, .outcome = 1},
    };
    static const int64_t sizes[] = {2, 1, 7}, right[] = {1, 0, 1}, wrong[] = {0, 0, 2};
    char *folder = new_folder();
    store *s;
    OK(store_open(&s, folder, STORE_CREATE, &error));
    for (int64_t i = 0; i < 3; i++) {
        store_tree tree = {.iteration = i + 1, .problem = 40 + i};
        OK(store_wave_begin(s, i + 1, 0, &error));
        OK(store_add_tree(s, &tree, &error));
        OK(store_add_nodes(s, tree.tree, ends, sizes[i], &error));
        OK(store_wave_commit(s, &(store_position){.phase = STORE_PHASE_SEARCH, .iteration = i + 1}, &error));
    }
    store_outcomes all, later;
    OK(store_read_outcomes(s, 1, 3, &all, &error));
    OK(store_read_outcomes(s, 2, 2, &later, &error));
    assert_int_equal(all.count, 3);
    assert_int_equal(later.count, 1);
    assert_int_equal(later.at[0].problem, 41);
    for (int64_t i = 0; i < 3; i++) {
        assert_int_equal(all.at[i].iteration, i + 1);
        assert_int_equal(all.at[i].problem, 40 + i);
        assert_int_equal(all.at[i].right, right[i]);
        assert_int_equal(all.at[i].wrong, wrong[i]);
    }
    STORE_LIST_FREE(&all);
    STORE_LIST_FREE(&later);
    store_close(s);
    drop_folder(folder);
}

static void foreign_and_second_are_refused(void **state) {
    (void)state;
    char *folder = new_folder(), *file = path_join(folder, "run.db"), *inner = path_join(folder, "a/b");
    store *s;
    esp_error error = {0};
    refused(folder, STORE_RESUME, "no run is here");
    refused(folder, STORE_READ, "no run is here");
    OK(store_open(&s, folder, STORE_CREATE, &error));
    refused(folder, STORE_RESUME, "another process works on this run (process ");
    refused(folder, STORE_CREATE, "another process works on this run");
    store_close(s);
    refused(folder, STORE_CREATE, "holds a run already");
    OK(store_open(&s, folder, STORE_RESUME, &error)); /* and the lock went with its holder */
    store_close(s);
    change(folder, "PRAGMA user_version = 99");
    refused(folder, STORE_RESUME, "written with schema version 99; this program reads versions 1 to ");
    refused(folder, STORE_READ, "schema version 99");
    change(folder, "PRAGMA user_version = 1; PRAGMA application_id = 5");
    refused(folder, STORE_RESUME, "not a run of Espalier");
    assert_int_equal(
        file_write_all(file, "this is no database at all, though it is long enough.....", 57, &error),
        ESP_OK);
    refused(folder, STORE_RESUME, "file is not a database");
    refused(folder, STORE_CREATE, "file is not a database");
    assert_int_equal(unlink(file), 0);
    assert_int_equal(file_write_all(file, "", 0, &error), ESP_OK); /* killed before the tables were there */
    refused(folder, STORE_READ, "holds no run yet");
    refused(folder, STORE_RESUME_BEGUN, "is empty, but the run had begun");
    refused(folder, STORE_RESUME_BEGUN, "is empty, but the run had begun"); /* nothing was made of it */
    OK(store_open(&s, folder, STORE_RESUME, &error));
    store_close(s);
    OK(store_open(&s, folder, STORE_RESUME_BEGUN, &error));
    store_close(s);
    OK(store_open(&s, inner, STORE_CREATE, &error)); /* folders are made */
    store_close(s);
    mem_free(inner);
    mem_free(file);
    drop_folder(folder);
}

/* A run of schema version 1, as the program that knew no other left it: read as it is, brought up to date
 * when written on, its digest the same throughout. */
static void older_runs_are_read_and_go_on(void **state) {
    (void)state;
    char *folder = new_folder();
    store *s;
    store_eval e = {.iteration = 1, .method = "greedy", .set = "test", .k = 1, .problems = 8, .right = 2};
    OK(store_open(&s, folder, STORE_CREATE, &error));
    OK(write_wave(s, 0, &error));
    OK(store_add_eval(s, &e, NULL, 0, &error));
    const store_value metrics[] = {{"margin", 0.25}, {"kl", 2}};
    store_update u = {.phase = "learn", .iteration = 1, .update = 1, .metrics = metrics, .metric_count = 2};
    OK(store_add_update(s, &u, &error));
    uint64_t made, now;
    OK(store_digest(s, &made, &error));
    store_close(s);
    change(folder, "DROP TABLE calibrations; DROP TABLE sums; DROP TABLE files; ALTER TABLE position DROP "
                   "COLUMN moves;");
    /* Version 6 and before had a tree's steps alone in tokens_judged. */
    change(folder, "ALTER TABLE trees DROP COLUMN tokens_spent; ALTER TABLE evals DROP COLUMN tokens_spent;"
                   "UPDATE trees SET tokens_judged = tokens_judged_steps;"
                   "ALTER TABLE trees DROP COLUMN tokens_judged_steps;"
                   "DROP TABLE update_metrics; DROP VIEW search_evals; DROP VIEW choice_evals; ALTER TABLE "
                   "pairs DROP COLUMN joined;"
                   "ALTER TABLE evals DROP COLUMN tokens_judged; DROP TABLE judgements; DROP TABLE verdicts;"
                   "ALTER TABLE evals DROP COLUMN unknown; ALTER TABLE trees DROP COLUMN unknown;"
                   "ALTER TABLE eval_results DROP COLUMN unknown; PRAGMA user_version = 1");
    char *lock = path_join(folder, "lock");
    OK(file_write_all(lock, "4711\n", 5, &error)); /* which knew only its holder */
    mem_free(lock);

    store_evals evals;
    store_judgements judgements;
    store_totals totals;
    store_trees trees;
    OK(store_open(&s, folder, STORE_READ, &error));
    OK(store_read_totals(s, &totals, &error));
    assert_int_equal(totals.unknown, 0);
    OK(store_read_trees(s, 1, &trees, &error));
    assert_true(trees.at[0].tokens_judged == 60 && trees.at[0].tokens_judged_steps == 60);
    STORE_LIST_FREE(&trees);
    OK(store_read_evals(s, &evals, &error));
    assert_true(evals.count == 1 && evals.at[0].right == 2 && evals.at[0].tokens_judged == 0);
    STORE_LIST_FREE(&evals);
    store_updates updates;
    OK(store_read_updates(s, 1, &updates, &error));
    assert_true(updates.count == 1 && updates.at[0].metric_count == 2); /* from the columns */
    assert_true(store_update_metric(&updates.at[0], "kl") == 2);
    STORE_LIST_FREE(&updates);
    OK(store_read_judgements(s, &judgements, &error));
    assert_int_equal(judgements.count, 0);
    store_calibrations earlier;
    OK(store_read_calibrations(s, &earlier, &error));
    assert_int_equal(earlier.count, 0);
    OK(store_digest(s, &now, &error));
    assert_true(now == made);
    store_close(s);
    assert_int_equal(number(folder, "PRAGMA user_version"), 1); /* reading changes nothing */

    OK(store_open(&s, folder, STORE_RESUME, &error));
    OK(store_digest(s, &now, &error));
    assert_true(now == made);
    assert_int_equal(number(folder, "SELECT sum(tokens_spent) FROM trees"), TREES * 560);
    e.iteration = 2, e.tokens_judged = 77;
    OK(store_add_eval(s, &e, NULL, 0, &error));
    store_judgement j = {
        .iteration = 2, .source = "eval", .kind = "finished", .positives = 3, .negatives = 4};
    j.area = NAN, j.high = 0.75, j.calibration_error = 0.125, j.bins = "[]";
    j.within = (store_comparison){12, 3, 0.625, 0.5, 0.75};
    j.siblings = (store_comparison){0, 0, NAN, NAN, NAN};
    OK(store_add_judgements(s, &j, 1, &error));
    OK(store_add_judgements(s, &j, 1, &error));
    const store_calibration on = {.iteration = 2, .judged = true, .slope = 0.5, .offset = -1, .start = 0.25},
                            off = {.iteration = 3, .slope = NAN, .offset = NAN, .start = 0.5, .nodes = 7};
    OK(store_add_calibration(s, &on, &error));
    OK(store_add_calibration(s, &off, &error));
    OK(store_add_calibration(s, &off, &error));
    const store_value other = {"odds", -3};
    store_update second = {.phase = "learn", .iteration = 1, .update = 2, .metrics = &other};
    second.metric_count = 1;
    OK(store_add_update(s, &second, &error));
    OK(store_read_updates(s, 1, &updates, &error));
    assert_true(updates.count == 2 && updates.at[0].metric_count == 2 && updates.at[1].metric_count == 1);
    assert_true(store_update_metric(&updates.at[1], "odds") == -3);
    STORE_LIST_FREE(&updates);
    store_close(s);
    OK(store_open(&s, folder, STORE_READ, &error));
    OK(store_read_evals(s, &evals, &error));
    assert_true(evals.count == 2 && evals.at[0].tokens_judged == 0 && evals.at[1].tokens_judged == 77);
    STORE_LIST_FREE(&evals);
    OK(store_read_judgements(s, &judgements, &error));
    assert_int_equal(judgements.count, 1);
    assert_true(judgements.at[0].negatives == 4 && isnan(judgements.at[0].area));
    assert_true(judgements.at[0].high == 0.75 && judgements.at[0].calibration_error == 0.125);
    assert_string_equal(judgements.at[0].bins, "[]");
    const store_comparison *within = &judgements.at[0].within;
    assert_true(within->comparisons == 12 && within->problems == 3 && within->share == 0.625);
    assert_true(within->low == 0.5 && within->high == 0.75);
    assert_true(judgements.at[0].siblings.comparisons == 0 && isnan(judgements.at[0].siblings.share));
    STORE_LIST_FREE(&judgements);
    store_calibrations calibrations;
    OK(store_read_calibrations(s, &calibrations, &error));
    assert_int_equal(calibrations.count, 2);
    const store_calibration *c = calibrations.at;
    assert_true(c[0].iteration == 2 && c[0].judged && c[0].slope == 0.5 && c[0].offset == -1);
    assert_true(c[0].start == 0.25 && c[0].nodes == 0 && c[1].iteration == 3 && !c[1].judged);
    assert_true(isnan(c[1].slope) && isnan(c[1].offset) && c[1].start == 0.5 && c[1].nodes == 7);
    STORE_LIST_FREE(&calibrations);
    store_close(s);
    assert_int_equal(number(folder, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
    drop_folder(folder);
}

/* Answers that could not be graded: counted, read back, and part of the digest, which a run without any does
 * not notice. */
static void unknown_answers_are_kept(void **state) {
    (void)state;
    uint64_t digests[2];
    for (int unknown = 0; unknown < 2; unknown++) {
        char *folder = new_folder();
        store *s;
        OK(store_open(&s, folder, STORE_CREATE, &error));
        store_tree tree = {.iteration = 1, .finished = 3, .right = 1, .unknown = 2 * unknown};
        OK(store_add_tree(s, &tree, &error));
        store_eval e = {.iteration = 1, .method = "greedy", .set = "test", .k = 1, .problems = 2};
        e.unknown = unknown;
        const store_eval_result results[] = {{.problem = 4, .finished = true, .answer = "x"},
                                             {.problem = 5, .finished = true, .unknown = unknown}};
        OK(store_add_eval(s, &e, results, 2, &error));
        store_trees trees;
        store_evals evals;
        store_eval_results found;
        store_totals totals;
        OK(store_read_trees(s, 1, &trees, &error));
        OK(store_read_evals(s, &evals, &error));
        OK(store_read_eval_results(s, 1, "greedy", "test", &found, &error));
        OK(store_read_totals(s, &totals, &error));
        assert_int_equal(trees.at[0].unknown, 2 * unknown);
        assert_int_equal(totals.unknown, 2 * unknown);
        assert_int_equal(evals.at[0].unknown, unknown);
        assert_false(found.at[0].unknown);
        assert_string_equal(found.at[0].answer, "x");
        assert_int_equal(found.at[1].unknown, unknown);
        STORE_LIST_FREE(&trees);
        STORE_LIST_FREE(&evals);
        STORE_LIST_FREE(&found);
        OK(store_digest(s, &digests[unknown], &error));
        store_close(s);
        drop_folder(folder);
    }
    assert_true(digests[0] != digests[1]);
}

/* ---- ids of pairs ---- */

/* A tree with two branches: 0 - 1 - 2 and 0 - 1 - 3 - 4 - 5, each step one id more than its number. */
static int64_t write_small_tree(store *s, int64_t problem) {
    static const int32_t ids[] = {10, 11, 20, 21, 22, 30, 31, 32, 33, 40,
                                  41, 42, 43, 44, 50, 51, 52, 53, 54, 55};
    static const int parents[] = {-1, 0, 1, 1, 3, 4};
    static const int32_t prompt[] = {7, 8, 9};
    store_node nodes[6];
    const int32_t *at = ids;
    for (int i = 0; i < 6; i++) {
        nodes[i] = (store_node){.index = i, .parent = parents[i], .ids = at, .count = i ? i + 1 : 0};
        at += nodes[i].count;
    }
    store_tree tree = {
        .iteration = 1, .ordinal = problem, .problem = problem, .prompt_ids = prompt, .prompt_count = 3};
    store_commitment commitments[] = {
        {0, 0, 1, -1, -1}, {1, 1, 3, 3, 2}, {2, 3, 4, -1, -1}, {3, 4, 5, -1, -1}};
    OK(store_add_tree(s, &tree, &error));
    OK(store_add_nodes(s, tree.tree, nodes, 6, &error));
    OK(store_add_commitments(s, tree.tree, commitments, 4, &error));
    return tree.tree;
}

#define IDS(...)                                                                                             \
    (const int32_t[]) {                                                                                      \
        __VA_ARGS__                                                                                          \
    }

/* Pairs as the tree has them, and the same with ids of their own. */
static void write_pairs(store *s, bool own_ids) {
    for (int64_t problem = 0; problem < 2; problem++) {
        int64_t tree = write_small_tree(s, problem);
        store_pair pairs[] = {
            {.state = 1,
             .chosen = 3,
             .rejected = 2,
             .prefix_ids = IDS(7, 8, 9, 10, 11),
             .prefix_count = 5,
             .chosen_ids = IDS(30, 31, 32, 33),
             .chosen_count = 4,
             .rejected_ids = IDS(20, 21, 22),
             .rejected_count = 3},
            {.state = 1,
             .chosen = 3,
             .rejected = 2,
             .joined = 2,
             .prefix_ids = IDS(7, 8, 9, 10, 11),
             .prefix_count = 5,
             .chosen_ids = IDS(30, 31, 32, 33, 40, 41, 42, 43, 44, 50, 51, 52, 53, 54, 55),
             .chosen_count = 15,
             .rejected_ids = IDS(20, 21, 22, 40, 41, 42, 43, 44, 50, 51, 52, 53, 54, 55),
             .rejected_count = 14},
            {.state = 0, /* whole chains */
             .chosen = 2,
             .rejected = 5,
             .prefix_ids = IDS(7, 8, 9),
             .prefix_count = 3,
             .chosen_ids = IDS(10, 11, 20, 21, 22),
             .chosen_count = 5,
             .rejected_ids = IDS(10, 11, 30, 31, 32, 33, 40, 41, 42, 43, 44, 50, 51, 52, 53, 54, 55),
             .rejected_count = 17}};
        for (int i = 0; i < 3; i++) {
            store_pair p = pairs[i];
            p.iteration = 1, p.tree = tree, p.problem = problem;
            if (own_ids)
                p.joined = 0;
            else
                p.prefix_count = p.chosen_count = p.rejected_count = 0;
            OK(store_add_pair(s, &p, &error));
        }
    }
}

static void same_ids(const int32_t *a, int64_t n, const int32_t *b, int64_t m) {
    assert_int_equal(n, m);
    assert_memory_equal(a, b, (size_t)n * 4);
}

static void a_pairs_ids_follow_from_its_tree(void **state) {
    (void)state;
    char *folder = new_folder(), *other = new_folder();
    store *s, *own;
    OK(store_open(&s, folder, STORE_CREATE, &error));
    OK(store_open(&own, other, STORE_CREATE, &error));
    write_pairs(s, false);
    write_pairs(own, true);
    store_pairs a, b;
    OK(store_read_pairs(s, 1, &a, &error));
    OK(store_read_pairs(own, STORE_ALL, &b, &error));
    assert_int_equal(a.count, 6);
    assert_int_equal(b.count, 6);
    for (int64_t i = 0; i < a.count; i++) {
        same_ids(a.at[i].prefix_ids, a.at[i].prefix_count, b.at[i].prefix_ids, b.at[i].prefix_count);
        same_ids(a.at[i].chosen_ids, a.at[i].chosen_count, b.at[i].chosen_ids, b.at[i].chosen_count);
        same_ids(a.at[i].rejected_ids, a.at[i].rejected_count, b.at[i].rejected_ids, b.at[i].rejected_count);
    }
    STORE_LIST_FREE(&a);
    STORE_LIST_FREE(&b);
    OK(store_read_tree_pairs(s, &(store_tree){.iteration = 1, .tree = 2}, &a, &error));
    assert_int_equal(a.count, 3);
    assert_true(a.at[1].joined == 2 && a.at[1].prefix_count == 0);
    STORE_LIST_FREE(&a);
    store_close(s);
    store_close(own);
    assert_true(digest(folder) == digest(other)); /* of what was found, however it is stored */
    assert_int_equal(number(folder, "SELECT sum(length(prefix_ids) + length(chosen_ids)) FROM pairs"), 0);
    change(folder, "UPDATE nodes SET ids = x'01000000' WHERE tree = 2 AND node = 2");
    assert_false(digest(folder) == digest(other));
    drop_folder(folder);
    drop_folder(other);
}

static void pairs_without_their_tree_are_refused(void **state) {
    (void)state;
    static const char *const damages[][2] = {
        {"DELETE FROM trees WHERE tree = 2", "tree 2: is missing"},
        {"DELETE FROM nodes WHERE tree = 2 AND node = 3", "tree 2: its nodes are no tree"},
        {"DELETE FROM nodes WHERE tree = 2", "tree 2: its nodes are no tree"},
        {"UPDATE nodes SET parent = 4 WHERE tree = 2 AND node = 3", "tree 2: its nodes are no tree"},
        {"UPDATE pairs SET chosen = 6 WHERE pair = 4", "tree 2: a pair names nodes that it does not have"},
        {"UPDATE pairs SET chosen = -1 WHERE pair = 4", "a pair names nodes"},
        {"UPDATE pairs SET state = 2 WHERE pair = 4", "a pair names nodes"},
        {"UPDATE pairs SET joined = 3 WHERE pair = 5", "a pair names nodes"},
        {"UPDATE pairs SET joined = -1 WHERE pair = 5", "a pair names nodes"},
        {"UPDATE commitments SET picked = 99 WHERE tree = 2 AND step = 3", "a pair names nodes"}};
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char *folder = new_folder();
        store *s;
        store_pairs pairs;
        uint64_t hash;
        OK(store_open(&s, folder, STORE_CREATE, &error));
        write_pairs(s, false);
        store_close(s);
        change(folder, damages[i][0]);
        OK(store_open(&s, folder, STORE_READ, &error));
        esp_error error = {0};
        assert_int_equal(store_read_pairs(s, 1, &pairs, &error), ESP_FAILED);
        if (!strstr(error.message, damages[i][1]))
            fail_msg("wanted \"%s\" in: %s", damages[i][1], error.message);
        assert_int_equal(store_digest(s, &hash, &error), ESP_FAILED);
        OK(store_read_pair_rows(s, 1, &pairs, &error)); /* which look at no tree */
        assert_int_equal(pairs.count, 6);
        STORE_LIST_FREE(&pairs);
        store_close(s);
        drop_folder(folder);
    }
}

static void log_has_whole_lines(void **state) {
    (void)state;
    char *folder = new_folder(), *path = path_join(folder, "log.jsonl"), *text;
    store *s;
    OK(store_open(&s, folder, STORE_CREATE, &error));
    OK(store_log(s, "wave", "{\"trees\": 3}", &error));
    OK(store_log(s, "empty", "{}", &error));
    OK(store_log(s, "none", NULL, &error));
    store_close(s);
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "{\"time\": torn", 13), 13);
    close(fd);
    OK(store_open(&s, folder, STORE_RESUME, &error));
    OK(store_log(s, "last", "{\"a\": 1}", &error));
    store_close(s);
    OK(file_read(path, &text, NULL, &error));
    int lines = 0;
    for (char *c = text; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, 4);
    assert_null(strstr(text, "torn"));
    assert_non_null(strstr(text, "\"kind\":\"wave\",\"trees\": 3}\n"));
    assert_non_null(strstr(text, "\"kind\":\"empty\"}\n"));
    assert_non_null(strstr(text, "\"kind\":\"none\"}\n"));
    mem_free(text);
    mem_free(path);
    drop_folder(folder);
}

static void a_kill_leaves_whole_waves(void **state) {
    (void)state;
    enum { WAVES = 60, KILLS = 12 };
    char *left_alone = new_folder(), *killed = new_folder();
    OK(go_on(left_alone, STORE_CREATE, WAVES, &error));
    OK(go_on(killed, STORE_CREATE, 1, &error));
    rng_key_t key = rng_key((uint64_t)getpid());
    int in_the_act = 0;
    for (int i = 0; i < KILLS; i++) {
        pid_t child = fork();
        if (child == 0) _exit(go_on(killed, STORE_RESUME, WAVES, NULL) == ESP_OK ? 0 : 1);
        usleep((useconds_t)(1000 + rng_below(key, (uint64_t)i, 15000)));
        kill(child, SIGKILL);
        int ended;
        assert_int_equal(waitpid(child, &ended, 0), child);
        if (WIFSIGNALED(ended))
            in_the_act++;
        else
            assert_int_equal(WEXITSTATUS(ended), 0);
        only_whole_waves(killed);
    }
    assert_true(in_the_act > 0);
    OK(go_on(killed, STORE_RESUME, WAVES, &error));
    only_whole_waves(killed);
    assert_true(digest(killed) == digest(left_alone));
    change(killed, "UPDATE nodes SET q = q + 1e-12 WHERE tree = 5 AND node = 3");
    assert_false(digest(killed) == digest(left_alone));
    drop_folder(killed);
    drop_folder(left_alone);
}

/* Writes on until it fails; whether it did so with these words. */
static bool fails_saying(const char *folder, const char *words) {
    esp_error error = {0};
    esp_status status = go_on(folder, STORE_RESUME, 1000, &error);
    bool said = status == ESP_FAILED && strstr(error.message, words) &&
                error.reason == ESP_REASON_DISK_FULL && error.hint[0];
    if (!said) fprintf(stderr, "status %d: %s (%s)\n", status, error.message, error.hint);
    return said;
}

static int exit_of(pid_t child) {
    int ended;
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended));
    return WEXITSTATUS(ended);
}

static void a_refused_write_leaves_whole_waves(void **state) {
    (void)state;
    char *folder = new_folder();
    OK(go_on(folder, STORE_CREATE, 2, &error));
    pid_t child = fork();
    if (child == 0) { /* files may not grow beyond 1 MB here */
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {1 << 20, 1 << 20};
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(fails_saying(folder, "the system refused a write") ? 0 : 1);
    }
    assert_int_equal(exit_of(child), 0);
    only_whole_waves(folder);
    int64_t before = number(folder, "SELECT count(*) FROM waves");
    assert_true(before >= 2);
    OK(go_on(folder, STORE_RESUME, before + 2, &error)); /* without the limit it goes on */
    only_whole_waves(folder);
    assert_int_equal(number(folder, "SELECT count(*) FROM waves"), before + 2);
    drop_folder(folder);
}

/* In a child with its own mounts: a disk of 1 MB fills up; some is freed; the run goes on. 0 passed, 77 no
 * such disk. */
static int fill_small_disk(const char *folder) {
    bool mounted = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    mounted = mounted && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    if (!mounted || mount("none", folder, "tmpfs", 0, "size=1m") != 0) return 77;
    if (go_on(folder, STORE_CREATE, 2, NULL) != ESP_OK) return 2;
    if (!fails_saying(folder, "the disk is full")) return 3;
    if (mount("none", folder, "tmpfs", MS_REMOUNT, "size=8m") != 0) return 4;
    if (number(folder, "PRAGMA integrity_check") != 1) return 5;
    int64_t waves = number(folder, "SELECT count(*) FROM waves");
    if (waves < 2 || number(folder, "SELECT count(*) FROM nodes") != waves * TREES * NODES) return 6;
    if (go_on(folder, STORE_RESUME, waves + 2, NULL) != ESP_OK) return 7;
    return number(folder, "SELECT count(*) FROM nodes") == (waves + 2) * TREES * NODES ? 0 : 8;
}

static void a_full_disk_leaves_whole_waves(void **state) {
    (void)state;
    char *folder = new_folder();
    pid_t child = fork();
    if (child == 0) _exit(fill_small_disk(folder));
    int code = exit_of(child);
    drop_folder(folder);
    if (code == 77) {
        fprintf(stderr, "SKIPPED: %s needs the right to mount a small tmpfs\n", __func__);
        if (getenv("CI")) fail_msg("no small tmpfs in CI");
        skip();
    }
    assert_int_equal(code, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(outcomes_of_trees_are_counted),
        cmocka_unit_test(foreign_and_second_are_refused),
        cmocka_unit_test(older_runs_are_read_and_go_on),
        cmocka_unit_test(unknown_answers_are_kept),
        cmocka_unit_test(a_pairs_ids_follow_from_its_tree),
        cmocka_unit_test(pairs_without_their_tree_are_refused),
        cmocka_unit_test(log_has_whole_lines),
        cmocka_unit_test(a_kill_leaves_whole_waves),
        cmocka_unit_test(a_refused_write_leaves_whole_waves),
        cmocka_unit_test(a_full_disk_leaves_whole_waves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
