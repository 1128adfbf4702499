/* Accuracy against compute, from a run's record that is made by hand. */
#include "base/file.h"
#include "eval/curves.h"
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static esp_error error;

static void near(double got, double want) {
    if (!(fabs(got - want) <= 1e-9)) fail_msg("got %.17g, want %.17g", got, want);
}

typedef struct {
    char *folder;
    store *s;
    recipe *recipe;
    task *task;
} run;

static run run_new(const char *yaml) {
    run r;
    const char *base = getenv("TMPDIR");
    r.folder = path_join(base && *base ? base : P_tmpdir, "espalier-curves-XXXXXX");
    assert_non_null(mkdtemp(r.folder));
    OK(store_open(&r.s, r.folder, STORE_CREATE, &error));
    OK(recipe_parse(&r.recipe, "test", yaml, strlen(yaml), NULL, 0, &error));
    OK(task_new(&r.task, &r.recipe->task, &error));
    return r;
}

static void run_free(run *r) {
    task_free(r->task);
    recipe_free(r->recipe);
    store_close(r->s);
    OK(folder_remove(r->folder, &error));
    mem_free(r->folder);
}

/* results: per problem `each` characters, + for a correct answer. texts: of each result, or NULL. */
static void add_eval(run *r, int64_t iteration, const char *method, const char *set, int64_t first,
                     int64_t each, const char *results, const char *const *texts, int64_t computed) {
    int64_t n = (int64_t)strlen(results);
    bool sample = strcmp(method, "sample") == 0;
    store_eval_result *rows = MEM_ARRAY(store_eval_result, n);
    store_eval e = {.iteration = iteration,
                    .method = method,
                    .set = set,
                    .k = sample ? each : 1,
                    .problems = n / each,
                    .pass_at_k = NAN,
                    .maj_at_k = NAN,
                    .tokens_computed = computed};
    for (int64_t i = 0; i < n; i++) {
        bool right = results[i] == '+';
        rows[i] = (store_eval_result){.problem = first + i / each,
                                      .sample = i % each,
                                      .right = right,
                                      .finished = true,
                                      .tokens = 5,
                                      .answer = right ? "7" : "3",
                                      .text = texts ? texts[i] : NULL};
        e.tokens_sampled += 5;
    }
    OK(store_add_eval(r->s, &e, rows, n, &error));
    mem_free(rows);
}

static void add_tree(run *r, int64_t iteration, int64_t ordinal, int64_t computed) {
    int32_t prompt[] = {1};
    store_tree t = {.iteration = iteration,
                    .ordinal = ordinal,
                    .prompt_ids = prompt,
                    .prompt_count = 1,
                    .tokens_computed = computed};
    OK(store_add_tree(r->s, &t, &error));
}

static void add_update(run *r, const char *phase, int64_t iteration, int64_t update, int64_t computed) {
    store_update u = {
        .phase = phase, .iteration = iteration, .update = update, .rows = 1, .tokens_computed = computed};
    OK(store_add_update(r->s, &u, &error));
}

static const curve *find(const curve_set *set, curve_kind kind, int64_t iteration) {
    for (int64_t i = 0; i < set->curves.count; i++)
        if (set->curves.at[i].kind == kind && set->curves.at[i].iteration == iteration)
            return &set->curves.at[i];
    return NULL;
}

static void is_point(const curve *c, int64_t index, int64_t k, double training, double answering,
                     double share) {
    assert_non_null(c);
    assert_true(index < c->points.count);
    const curve_point *p = &c->points.at[index];
    assert_int_equal(p->k, k);
    near(p->training, training);
    near(p->answering, answering);
    near(p->share, share);
}

/* Training: iteration 1 takes 300 + 200 + 50, iteration 2 400 + 70; SFT is not counted. */
static void add_training(run *r) {
    add_update(r, "sft", 0, 0, 10000);
    add_tree(r, 1, 0, 300);
    add_tree(r, 1, 1, 200);
    add_update(r, "learn", 1, 0, 50);
    add_tree(r, 2, 0, 400);
    add_update(r, "learn", 2, 0, 70);
}

static void test_checkpoints(void **state) {
    (void)state;
    run r = run_new("run: {seed: 1}");
    add_training(&r);
    add_eval(&r, 0, "greedy", "test", 10, 1, "+---", NULL, 40);
    add_eval(&r, 1, "greedy", "test", 10, 1, "-++-", NULL, 44);
    add_eval(&r, 2, "greedy", "test", 10, 1, "+++-", NULL, 48);
    add_eval(&r, 2, "greedy", "dev", 10, 1, "++++", NULL, 48);
    curve_set set;
    OK(curves_read(&set, r.s, r.recipe, r.task, &error));
    assert_int_equal(set.curves.count, 2);
    assert_int_equal(set.problems, 4);
    assert_int_equal(set.asked, 4);
    const curve *own = find(&set, CURVE_CHECKPOINTS, -1), *any = find(&set, CURVE_CUMULATIVE, -1);
    assert_string_equal(own->name, "greedy, each checkpoint");
    is_point(own, 0, 1, 0, 10, 0.25);
    is_point(own, 1, 1, 550, 11, 0.5);
    is_point(own, 2, 1, 1020, 12, 0.75);
    near(own->points.at[2].interval.low, metrics_wilson(3, 4).low);
    near(any->points.at[1].interval.high, metrics_wilson(3, 4).high);
    is_point(any, 0, 1, 0, 10, 0.25);
    is_point(any, 1, 1, 550, 21, 0.75);
    is_point(any, 2, 1, 1020, 33, 0.75);
    near(curve_tokens(&any->points.at[2], 100), 1020 + 3300);
    assert_false(curve_is_pass(own->kind));
    assert_true(curve_is_pass(any->kind));
    curves_free(&set);
    run_free(&r);
}

/* Samples of the first two problems alone: all else is over these two as well. Of 4 samples the second is the
 * first again, the third shares half of it, the fourth nothing. */
static void test_samples(void **state) {
    (void)state;
    const char *texts[] = {"abcd", "abcd", "abxy", "wxyz", "abcd", "abcd", "abxy", "wxyz"};
    run r = run_new("run: {seed: 1}");
    add_training(&r);
    add_eval(&r, 0, "greedy", "test", 10, 1, "+-++", NULL, 40);
    add_eval(&r, 0, "sample", "test", 10, 4, "+----+++", texts, 2 * 40);
    add_eval(&r, 1, "sample", "test", 10, 4, "++++----", texts, 2 * 40);
    add_eval(&r, 2, "greedy", "test", 10, 1, "++--", NULL, 40);
    add_eval(&r, 2, "sample", "test", 10, 4, "++++++++", NULL, 2 * 38);
    curve_set set;
    OK(curves_read(&set, r.s, r.recipe, r.task, &error));
    assert_int_equal(set.problems, 2);
    assert_int_equal(set.asked, 4);
    const curve *own = find(&set, CURVE_CHECKPOINTS, -1);
    near(own->points.at[0].share, 0.5);    /* of "+-" */
    near(own->points.at[0].answering, 10); /* of all four */
    near(own->points.at[1].share, 1);
    const curve *pass = find(&set, CURVE_PASS, 0), *majority = find(&set, CURVE_MAJORITY, 0);
    assert_int_equal(pass->points.count, 3);
    /* From 10 for one answer to 40 for four: new bytes are 4, 4, 6, 10. */
    is_point(pass, 0, 1, 0, 10, (0.25 + 0.75) / 2);
    is_point(pass, 1, 2, 0, 10, (0.5 + 1) / 2);
    is_point(pass, 2, 4, 0, 40, 1);
    near(majority->points.at[2].share, 0.5);
    near(majority->points.at[0].share, 0.5); /* the first samples: + and - */
    /* Of the first and the last policy alone; without texts only all of them have tokens. */
    assert_null(find(&set, CURVE_PASS, 1));
    const curve *last = find(&set, CURVE_PASS, 2);
    assert_int_equal(last->points.count, 1);
    is_point(last, 0, 4, 1020, 38, 1);
    curves_free(&set);
    run_free(&r);
}

static void test_new_bytes_between(void **state) {
    (void)state;
    const char *texts[] = {"abcd", "abxy", "abxy", "wxyz"};
    run r = run_new("run: {seed: 1}");
    add_eval(&r, 0, "greedy", "test", 10, 1, "+", NULL, 10);
    add_eval(&r, 0, "sample", "test", 10, 4, "+-+-", texts, 40);
    curve_set set;
    OK(curves_read(&set, r.s, r.recipe, r.task, &error));
    near(find(&set, CURVE_PASS, 0)->points.at[1].answering, 10 + 30 * 2.0 / 6);
    assert_null(find(&set, CURVE_CUMULATIVE, -1)); /* one checkpoint is no line */
    curves_free(&set);
    run_free(&r);
}

static void test_search(void **state) {
    (void)state;
    run r = run_new("run: {seed: 1}\neval: {method: greedy}");
    add_training(&r);
    add_eval(&r, 0, "greedy", "test", 10, 1, "+---", NULL, 40);
    add_eval(&r, 0, "search", "test", 10, 2, "+++--+--", NULL, 400);
    add_eval(&r, 0, "search-unjudged", "test", 10, 2, "--------", NULL, 200);
    add_eval(&r, 0, "choices", "test", 10, 2, "++++++++", NULL, 200);
    add_eval(&r, 2, "greedy", "test", 90, 1, "++++", NULL, 40); /* other problems */
    curve_set set;
    OK(curves_read(&set, r.s, r.recipe, r.task, &error));
    assert_int_equal(set.left_out, 1);
    const curve *path = find(&set, CURVE_SEARCH, 0), *vote = find(&set, CURVE_VOTE, 0);
    assert_string_equal(path->name, "search");
    is_point(path, 0, 1, 0, 100, 0.5);
    is_point(vote, 0, 1, 0, 100, 0.5);
    assert_int_equal(set.curves.count, 1 + 2 * 3);
    assert_string_equal(set.curves.at[4].name, "search without self-evaluation");
    near(set.curves.at[4].points.at[0].share, 0);
    curves_free(&set);
    run_free(&r);
}

/* Two runs, of which the second lacks the last checkpoint. */
static void test_average(void **state) {
    (void)state;
    const char *results[2][3] = {{"+---", "++--", "++++"}, {"++--", "+++-", NULL}};
    curve_set sets[2], mean;
    for (int i = 0; i < 2; i++) {
        run r = run_new("run: {seed: 1}");
        add_tree(&r, 1, 0, 100 * (i + 1));
        for (int j = 0; j < 3 && results[i][j]; j++)
            add_eval(&r, j, "greedy", "test", 10, 1, results[i][j], NULL, 40 + 8 * i);
        OK(curves_read(&sets[i], r.s, r.recipe, r.task, &error));
        run_free(&r);
    }
    curves_average(sets, 2, &mean);
    const curve *own = find(&mean, CURVE_CHECKPOINTS, -1);
    assert_int_equal(own->points.count, 2);
    is_point(own, 0, 1, 0, 11, 0.375);
    is_point(own, 1, 1, 150, 11, 0.625);
    metrics_estimate e = metrics_student((double[]){0.5, 0.75}, 2);
    assert_true(e.interval.low < 0 && e.interval.high > 1); /* a share has neither */
    near(own->points.at[1].interval.low, 0);
    near(own->points.at[1].interval.high, 1);
    assert_int_equal(find(&mean, CURVE_CUMULATIVE, -1)->points.count, 2);
    curves_free(&mean);
    for (int i = 0; i < 2; i++) curves_free(&sets[i]);
}

static void test_nothing(void **state) {
    (void)state;
    run r = run_new("run: {seed: 1}");
    curve_set set;
    OK(curves_read(&set, r.s, r.recipe, r.task, &error));
    assert_int_equal(set.curves.count, 0);
    curves_free(&set);
    run_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoints),       cmocka_unit_test(test_samples),
        cmocka_unit_test(test_new_bytes_between), cmocka_unit_test(test_search),
        cmocka_unit_test(test_average),           cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
