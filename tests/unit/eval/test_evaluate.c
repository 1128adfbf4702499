/* Evaluation: figures by hand from made-up chains, the record and back, and a real policy of a few weights,
 * whose answers depend neither on what else is evaluated nor on anything gold. */
#include "base/file.h"
#include "eval/evaluate.h"
#include "eval/evaluate_choices.h"
#include "recipe/convert.h"
#include "support.h"

#include <math.h>
#include <string.h>

static esp_error error;

static void near(double got, double want) {
    if (!(fabs(got - want) <= 1e-12)) fail_msg("got %.17g, want %.17g", got, want);
}

/* ---- made-up chains ---- */

/* chains: of each result its answer, "" for an unfinished chain; right where it is the gold one of its
 * problem. */
static evaluation made(recipe_method method, int64_t problems, int64_t per_problem, const char *const *chains,
                       const char *const *gold) {
    evaluation e = {.method = method,
                    .k = method == RECIPE_SAMPLE ? per_problem : 1,
                    .problems = problems,
                    .per_problem = per_problem,
                    .result_count = problems * per_problem,
                    .tokens_sampled = 900,
                    .tokens_computed = 1000};
    e.results = MEM_ARRAY(evaluation_result, e.result_count);
    for (int64_t i = 0; i < e.result_count; i++) {
        bool finished = chains[i][0] != 0;
        e.results[i] = (evaluation_result){.problem = 10 + i / per_problem,
                                           .sample = i % per_problem,
                                           .finished = finished,
                                           .right = finished && strcmp(chains[i], gold[i / per_problem]) == 0,
                                           .tokens = 10 + i,
                                           .answer = finished ? mem_strdup(chains[i]) : NULL,
                                           .text = mem_printf("text \"%lld\"\xff", (long long)i)};
    }
    judge_scores_quality(&(judge_scores){0}, e.search.judged);
    evaluation_summarize(&e);
    return e;
}

static const char *const golds[] = {"7", "8", "9"};
/* Problem 1: right at 3 of 4, the majority is right from the third sample on. Problem 2: never. Problem 3:
 * one of 4 right, which no majority finds; the last tie goes to the earliest. */
static const char *const sampled[] = {"5", "7", "7", "7", "1", "", "2", "1", "3", "3", "9", ""};

static evaluation made_samples(void) {
    return made(RECIPE_SAMPLE, 3, 4, sampled, golds);
}

static void test_samples(void **state) {
    (void)state;
    evaluation e = made_samples();
    assert_int_equal(e.right, 1);
    near(e.accuracy, 1.0 / 3);
    near(e.interval.low, metrics_wilson(1, 3).low);
    assert_int_equal(e.point_count, 3);
    assert_int_equal(e.points[0].k, 1);
    assert_int_equal(e.points[1].k, 2);
    assert_int_equal(e.points[2].k, 4);
    near(e.points[0].pass, (0.75 + 0 + 0.25) / 3);
    near(e.points[1].pass, (1.0 + 0 + 0.5) / 3);
    near(e.points[2].pass, 2.0 / 3);
    near(e.points[0].majority, 0);
    near(e.points[1].majority, 0); /* 5 and 7 tie: the earlier */
    near(e.points[2].majority, 1.0 / 3);
    near(e.points[2].pass_interval.high, metrics_wilson(2, 3).high);
    near(e.finished_share, 10.0 / 12);
    near(e.mean_tokens, 10 + 5.5);
    evaluation_free(&e);
    static const char *const five[] = {"7", "7", "7", "1", "1"};
    e = made(RECIPE_SAMPLE, 1, 5, five, golds);
    assert_int_equal(e.point_count, 4); /* 1, 2, 4 and 5 */
    assert_int_equal(e.points[3].k, 5);
    near(e.points[2].pass, 1);
    near(e.points[0].pass, 0.6);
    evaluation_free(&e);
}

static void test_greedy_and_search(void **state) {
    (void)state;
    static const char *const greedy[] = {"7", "", "9"};
    evaluation e = made(RECIPE_GREEDY, 3, 1, greedy, golds);
    assert_int_equal(e.right, 2);
    near(e.finished_share, 2.0 / 3);
    assert_int_equal(e.point_count, 0);
    evaluation_free(&e);
    static const char *const searched[] = {"7", "7", "1", "8", "", "1"}; /* path, vote */
    e = made(RECIPE_SEARCH, 3, 2, searched, golds);
    assert_int_equal(e.right, 1);
    assert_int_equal(e.search.vote_right, 2);
    near(e.search.vote, 2.0 / 3);
    near(e.finished_share, 2.0 / 3);
    near(e.mean_tokens, 12);
    evaluation_free(&e);
}

static void test_comparison(void **state) {
    (void)state;
    enum { N = 40 };
    static const char *const one[] = {"1"};
    const char *a[N], *b[N], *gold[N];
    for (int i = 0; i < N; i++) {
        gold[i] = one[0];
        a[i] = i < 30 ? "1" : "0";           /* 30 right */
        b[i] = i < 18 || i >= 38 ? "1" : ""; /* 20 right, 18 of them with a */
    }
    evaluation ea = made(RECIPE_GREEDY, N, 1, a, gold), eb = made(RECIPE_GREEDY, N, 1, b, gold);
    evaluation_difference d, again;
    OK(evaluation_compare(&ea, &eb, 3, &d, &error));
    OK(evaluation_compare(&ea, &eb, 3, &again, &error));
    assert_memory_equal(&d, &again, sizeof d);
    assert_int_equal(d.only_a, 12);
    assert_int_equal(d.only_b, 2);
    near(d.difference, 0.25);
    near(d.pass_difference, 0.25);
    near(d.p, metrics_mcnemar(12, 2));
    assert_true(d.interval.low > 0.02 && d.interval.low < 0.25 && d.interval.high > 0.25 &&
                d.interval.high < 0.48);
    eb.results[4].problem = 99;
    assert_int_equal(evaluation_compare(&ea, &eb, 3, &d, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "different problems"));
    evaluation_free(&ea);
    evaluation_free(&eb);
}

/* A greedy evaluation against samples of the same problems: majority against chain, and share against chain.
 */
static void test_comparison_of_methods(void **state) {
    (void)state;
    static const char *const greedy[] = {"7", "8", "1"};
    evaluation a = made_samples(), b = made(RECIPE_GREEDY, 3, 1, greedy, golds);
    evaluation_difference d;
    OK(evaluation_compare(&a, &b, 1, &d, &error));
    near(d.difference, -1.0 / 3);
    near(d.pass_difference, (0.75 + 0.25 - 2) / 3);
    assert_int_equal(d.only_a, 0);
    assert_int_equal(d.only_b, 1);
    evaluation_free(&a);
    evaluation_free(&b);
}

/* ---- record ---- */

static void test_record(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    char *folder = mem_printf("%s/espalier-evaluate-%d", base ? base : "/tmp", (int)getpid());
    store *s;
    OK(store_open(&s, folder, STORE_CREATE, &error));
    evaluation e = made_samples(), back;
    OK(evaluation_store(&e, 2, "test", s, &error));
    OK(evaluation_read(&back, s, NULL, 2, "sample", "test", &error));
    assert_int_equal(back.right, e.right);
    assert_int_equal(back.k, 4);
    assert_int_equal(back.point_count, 3);
    for (int i = 0; i < 3; i++) near(back.points[i].pass, e.points[i].pass);
    near(back.interval.high, e.interval.high);
    assert_int_equal(back.tokens_computed, 1000);
    for (int64_t i = 0; i < e.result_count; i++) {
        assert_int_equal(back.results[i].problem, e.results[i].problem);
        assert_int_equal(back.results[i].finished, e.results[i].finished);
        assert_true((back.results[i].answer == NULL) == (e.results[i].answer == NULL));
    }
    store_evals rows;
    OK(store_read_evals(s, &rows, &error));
    near(rows.at[0].pass_at_k, 2.0 / 3);
    near(rows.at[0].maj_at_k, 1.0 / 3);
    STORE_LIST_FREE(&rows);
    json_t *one = evaluation_json(&e, true), *other = evaluation_json(&back, true);
    assert_non_null(one);
    assert_true(json_equal(one, other)); /* seconds and judged tokens are 0 in both */
    assert_int_equal(json_array_size(json_object_get(one, "results")), 12);
    assert_int_equal(json_array_size(json_object_get(one, "points")), 3);
    near(json_number_value(json_object_get(one, "pass_at_k")), 2.0 / 3);
    const json_t *row = json_array_get(json_object_get(one, "results"), 3);
    assert_string_equal(json_string_value(json_object_get(row, "text")), "text \"3\"\xef\xbf\xbd");
    json_decref(one);
    json_decref(other);
    evaluation_free(&back);
    assert_int_equal(evaluation_read(&back, s, NULL, 3, "sample", "test", &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "no evaluation of iteration 3 by sample on test"));
    evaluation_free(&e);
    store_close(s);
    folder_remove(folder, NULL);
    mem_free(folder);
}

/* ---- self-evaluation ---- */

static void test_judge_scores(void **state) {
    (void)state;
    /* 0 - 1 - 3 right, 4 right, 5 wrong      1: more right than wrong
     *   \ 2 - 6 open - 7 wrong                2, 6: wrong below; 8: cut, counts as wrong; 9: a tie below */
    const judge_node nodes[] = {
        {-1, true, false, 0, 0.5}, {0, true, false, 0, 0.6}, {0, true, false, 0, 0.7},
        {1, true, true, 1, 0.9},   {1, true, true, 1, 0.4},  {1, true, true, -1, 0.5},
        {2, true, false, 0, 0.2},  {6, true, true, -1, 0.1}, {2, true, false, -1, 0.99},
        {0, true, false, 0, 1},    {9, true, true, 1, 0.8},  {9, false, true, -1, 0},
        {9, true, false, 0, 0.3},
    };
    judge_scores s = {0};
    judge_quality a[JUDGE_KINDS], b[JUDGE_KINDS];
    judge_scores_add(&s, 7, nodes, 13);
    judge_scores_quality(&s, a);
    assert_int_equal(a[JUDGE_FINISHED].auc.positives, 3); /* 3, 4, 10 */
    assert_int_equal(a[JUDGE_FINISHED].auc.negatives, 2); /* 5, 7; 11 was not judged */
    near(a[JUDGE_FINISHED].auc.area, (2 + 1 + 2) / 6.0);
    assert_int_equal(a[JUDGE_UNFINISHED].auc.positives, 1); /* 1 */
    assert_int_equal(a[JUDGE_UNFINISHED].auc.negatives, 3); /* 2, 6, 8 */
    near(a[JUDGE_UNFINISHED].auc.area, 1 / 3.0);
    /* 1, 3, 4, 10 at .6 .9 .4 .8 above 2, 5, 6, 7, 8 at .7 .5 .2 .1 .99; one problem: all of them */
    near(a[JUDGE_ALL].within.share, (3 + 4 + 2 + 4) / 20.0);
    assert_int_equal(a[JUDGE_ALL].within.comparisons, 20);
    assert_int_equal(a[JUDGE_ALL].calibration.nodes, 9);
    /* Siblings of different sign: 1 and 2 (wrong order), 3 and 5 (right), 4 and 5 (wrong). */
    assert_int_equal(a[JUDGE_ALL].siblings.comparisons, 3);
    assert_int_equal(a[JUDGE_ALL].siblings.clusters, 1);
    near(a[JUDGE_ALL].siblings.share, 1 / 3.0);
    /* A second tree adds to the first; its nodes are siblings of none of the first's, and of another problem
     * they are compared with none of the first's. */
    judge_scores_add(&s, 8, nodes, 13);
    judge_scores_quality(&s, b);
    assert_int_equal(b[JUDGE_FINISHED].auc.positives, 6);
    assert_int_equal(b[JUDGE_ALL].within.comparisons, 40);
    assert_int_equal(b[JUDGE_ALL].siblings.comparisons, 6);
    assert_true(b[JUDGE_ALL].within.clusters == 2 && b[JUDGE_ALL].siblings.clusters == 2);
    /* A second tree of the same problem is compared with the first. */
    judge_scores_add(&s, 7, nodes, 13);
    judge_scores_quality(&s, b);
    assert_int_equal(b[JUDGE_ALL].within.comparisons, 4 * 20 + 20);
    assert_int_equal(b[JUDGE_ALL].siblings.comparisons, 9);
    judge_scores_free(&s);
    /* The same from stored rows; a cut node with an O of 0 says nothing. */
    store_node rows[13];
    for (int i = 0; i < 13; i++)
        rows[i] = (store_node){.index = i,
                               .parent = nodes[i].parent,
                               .confidence = nodes[i].confidence,
                               .outcome = nodes[i].sign,
                               .flags = (nodes[i].judged && i > 0 ? STORE_NODE_JUDGED : 0u) |
                                        (nodes[i].finished ? STORE_NODE_FINISHED : 0u) |
                                        (i == 8 ? STORE_NODE_CUT : 0u)};
    judge_scores_add_stored(&s, 7, rows, 13);
    judge_scores_quality(&s, b);
    for (int k = 0; k < JUDGE_KINDS; k++) {
        json_t *one = judge_quality_json(&a[k]), *other = judge_quality_json(&b[k]);
        assert_true(json_equal(one, other));
        json_decref(one);
        json_decref(other);
    }
    judge_scores_free(&s);
    rows[8].outcome = 0;
    judge_scores_add_stored(&s, 7, rows, 13);
    judge_scores_quality(&s, b);
    assert_int_equal(b[JUDGE_UNFINISHED].auc.negatives, 2); /* 2, 6 */
    judge_scores_free(&s);
    judge_scores_quality(&s, b);
    json_t *json = judge_quality_json(&b[JUDGE_ALL]);
    assert_true(json_is_null(json_object_get(json_object_get(json, "auc"), "area")));
    assert_true(json_is_null(json_object_get(json_object_get(json, "auc_within"), "share")));
    json_decref(json);
    text_buffer none = {0};
    judge_quality_words(b, &none);
    assert_int_equal(none.length, 0);
    judge_quality_words(a, &none);
    assert_non_null(strstr(none.at,
                           "AUC within problems 0.650 [0.000, 1.000] (20 comparisons in 1 problem), "
                           "accuracy among siblings 0.333 [0.000, 1.000] (3 comparisons in 1 problem)"));
    text_free(&none);
}

/* Confidences in made-up bins: means, shares and their distance by hand; into the store and back to the bit.
 */
static void test_calibration(void **state) {
    (void)state;
    static const double c[] = {0.0, 0.05, 0.09, 0.35, 0.1, 1.0, 0.95, 0.999, 2.5, -1};
    static const bool right[] = {false, true, false, true, false, true, true, false, true, false};
    judge_scores scores = {0};
    for (int i = 0; i < 10; i++)
        MEM_LIST_PUSH(&scores.rows,
                      ((judge_row){c[i], right[i], .finished = true, .problem = i / 4, .family = i / 2}));
    judge_quality figures[JUDGE_KINDS], f, none, back;
    judge_scores_quality(&scores, figures);
    f = figures[JUDGE_FINISHED], none = figures[JUDGE_UNFINISHED];
    judge_scores_free(&scores);
    const judge_bin *b = f.calibration.bins;
    assert_int_equal(f.calibration.nodes, 10);
    assert_int_equal(b[0].nodes, 4); /* 0, 0.05, 0.09, and what is below 0 */
    assert_int_equal(b[0].positives, 1);
    near(b[0].confidence, (0.05 + 0.09 - 1) / 4);
    near(b[0].share, 0.25);
    near(b[0].interval.high, metrics_wilson(1, 4).high);
    assert_int_equal(b[1].nodes, 1); /* 0.1 begins the second */
    assert_int_equal(b[2].nodes, 0);
    assert_true(isnan(b[2].share) && isnan(b[2].confidence));
    assert_int_equal(b[9].nodes, 4); /* 1 is in the last */
    near(f.calibration.error, (fabs(0.14 - 1 - 1) + 0.1 + 0.65 + fabs(1.0 + 0.95 + 0.999 + 2.5 - 3)) / 10);

    store *s;
    const char *base = getenv("TMPDIR");
    char *folder = mem_printf("%s/espalier-judgement-%d", base ? base : "/tmp", (int)getpid());
    OK(store_open(&s, folder, STORE_CREATE, &error));
    assert_true(isnan(none.calibration.error) && none.calibration.nodes == 0);
    assert_true(f.within.comparisons == 4 + 4 + 1 && f.siblings.comparisons == 5);
    OK(judge_record(figures, 4, JUDGE_TRAIN, s, &error));
    store_judgements rows;
    OK(store_read_judgements(s, &rows, &error));
    assert_int_equal(rows.count, 2); /* a kind without nodes leaves none */
    assert_string_equal(rows.at[0].kind, "all");
    assert_string_equal(rows.at[1].kind, "finished");
    OK(judge_quality_read(&rows.at[1], &back, &error));
    json_t *one = judge_quality_json(&f), *other = judge_quality_json(&back);
    assert_non_null(one);
    assert_true(json_equal(one, other));
    near(json_number_value(json_object_get(json_object_get(one, "auc"), "area")), f.auc.area);
    json_decref(one);
    json_decref(other);
    static const char *const damaged[] = {
        NULL,
        "",
        "{}",
        "[[1,2,0.5]]",
        "[[1,2,0.5],0,0,0,0,0,0,0,0,0]",
        "[[2,1,null],[0,0,null],[0,0,null],[0,0,null],[0,0,null],[0,0,null],"
        "[0,0,null],[0,0,null],[0,0,null],[0,0,null]]"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        rows.at[1].bins = damaged[i];
        assert_int_equal(judge_quality_read(&rows.at[1], &back, &error), ESP_FAILED);
        assert_non_null(strstr(error.message, "judgement of iteration 4 (train, finished)"));
    }
    STORE_LIST_FREE(&rows);
    store_close(s);
    folder_remove(folder, NULL);
    mem_free(folder);
}

/* ---- a policy ---- */

typedef struct {
    recipe *r;
    session s;
    model *m;
    problem_set problems;
} fixture;

static void open_fixture(fixture *f, const char *const *golds_of, int64_t n, bool long_chains) {
    recipe_override set[] = {
        {"model.path", TEST_DATA "/models/tinystories-656k", "test"},
        {"model.dtype", "f32", "test"},
        {"run.threads", "1", "test"},
        {"search.simulations", "3", "test"},
        {"search.max_steps", long_chains ? "12" : "3", "test"},
        {"search.max_step_tokens", long_chains ? "24" : "8", "test"},
        {"search.max_chain_tokens", long_chains ? "288" : "24", "test"},
        {"search.breadth_root", "3", "test"},
        {"search.breadth", "2", "test"},
        {"run.wave", "2", "test"},
        {"eval.max_tokens", "24", "test"},
        {"eval.batch", "3", "test"},
    };
    *f = (fixture){0};
    OK(recipe_load(&f->r, NULL, set, (int)(sizeof set / sizeof *set), &error));
    OK(session_open(&f->s, f->r, NULL, NULL, &error));
    OK(session_open_model(&f->s, NULL, false, &f->m, &error));
    static const char *const questions[] = {"Lily has 3 red balls. How many?", "Tom saw a big dog. It was",
                                            "Once upon a time there was 1 cat."};
    f->problems = (problem_set){.count = n, .at = MEM_ARRAY(problem, n)};
    for (int64_t i = 0; i < n; i++)
        f->problems.at[i] = (problem){.index = i,
                                      .line = i + 1,
                                      .id = "p",
                                      .question = questions[i],
                                      .gold = golds_of[i],
                                      .rationale = "She has 3.\n#### 3",
                                      .raw = ""};
}

static void close_fixture(fixture *f) {
    mem_free(f->problems.at);
    model_free(f->m);
    session_close(&f->s);
    recipe_free(f->r);
}

static void same_results(const evaluation *a, const evaluation *b, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const evaluation_result *x = &a->results[i], *y = &b->results[i];
        assert_int_equal(x->problem, y->problem);
        assert_int_equal(x->tokens, y->tokens);
        assert_int_equal(x->finished, y->finished);
        assert_true((x->answer == NULL) == (y->answer == NULL));
        if (x->answer) assert_string_equal(x->answer, y->answer);
        assert_true((x->text == NULL) == (y->text == NULL));
        if (x->text) assert_string_equal(x->text, y->text);
    }
}

static void test_policy(void **state) {
    (void)state;
    static const char *const threes[] = {"3", "4", "5"}, *const others[] = {"1000001", "1000002", "1000003"};
    fixture f, g;
    open_fixture(&f, threes, 3, false);
    open_fixture(&g, others, 3, false);
    for (int64_t i = 0; i < 3; i++) g.problems.at[i].rationale = "Nothing at all.\n#### 1000001";
    const recipe_method methods[] = {RECIPE_GREEDY, RECIPE_SAMPLE, RECIPE_SEARCH};
    for (int i = 0; i < 3; i++) {
        evaluate_options o = evaluate_options_of(f.r);
        o.method = methods[i];
        o.k = methods[i] == RECIPE_SAMPLE ? 4 : 1;
        o.temperature = 1;
        evaluation all, again, first, blind, seeded;
        OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &all, &error));
        OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &again, &error));
        OK(evaluate_policy(&g.s, g.m, &g.problems, &o, &blind,
                           &error)); /* (3.2) other gold: the same chains */
        assert_int_equal(all.problems, 3);
        assert_int_equal(all.result_count, 3 * all.per_problem);
        same_results(&all, &again, all.result_count);
        same_results(&all, &blind, all.result_count);
        assert_int_equal(blind.right, 0);
        assert_true(all.tokens_sampled > 0 && all.tokens_computed > 0 && all.seconds > 0);
        o.limit = 1;
        OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &first, &error));
        assert_int_equal(first.problems, 1);
        same_results(&all, &first, first.result_count);
        /* Another order of the problems, the same chains. */
        problem_set turned = f.problems;
        problem order[] = {f.problems.at[2], f.problems.at[0]};
        turned.at = order;
        turned.count = 2;
        o.limit = 0;
        evaluation other;
        OK(evaluate_policy(&f.s, f.m, &turned, &o, &other, &error));
        evaluation tail = {.results = other.results + other.per_problem};
        same_results(&tail, &all, all.per_problem);
        evaluation_free(&other);
        o.seed = 99;
        OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &seeded, &error));
        int differ = 0;
        for (int64_t j = 0; j < all.result_count; j++)
            differ += all.results[j].text && strcmp(all.results[j].text, seeded.results[j].text) != 0;
        assert_int_equal(differ > 0, methods[i] != RECIPE_GREEDY);
        json_t *json = evaluation_json(&all, true);
        assert_non_null(json);
        json_decref(json);
        if (methods[i] == RECIPE_SEARCH) assert_true(all.search.nodes > 3 && all.tokens_judged > 0);
        evaluation_free(&all), evaluation_free(&again), evaluation_free(&blind), evaluation_free(&first);
        evaluation_free(&seeded);
    }
    close_fixture(&f);
    close_fixture(&g);
}

/* (3.2) A searched problem's committed path is that of a search which is told nothing: no outcome, no
 * example. */
static void test_search_is_blind(void **state) {
    (void)state;
    static const char *const threes[] = {"3", "4", "5"};
    fixture f;
    open_fixture(&f, threes, 3, true);
    evaluate_options o = evaluate_options_of(f.r);
    o.method = RECIPE_SEARCH;
    evaluation e;
    OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &e, &error));
    lm_settings set = session_lm_settings(&f.s);
    set.example = false;
    sampler *p;
    OK(lm_new(&p, f.m, f.s.words, &set, &error));
    search_config config = recipe_inference_config(f.r);
    int64_t finished = 0;
    for (int64_t i = 0; i < 3; i++) {
        search_job job = {.problem = &f.problems.at[i]};
        rng_key_t key = rng_mix(rng_mix(rng_key(o.seed), 0x6576616c), (uint64_t)i);
        OK(search_new(&job.search, &config, key, &error));
        OK(sampler_search(p, &job, 1, NULL, NULL, &error));
        text_buffer text = {0};
        OK(prompt_path_text(f.s.words, job.search, search_top(job.search), &text, &error));
        assert_string_equal(e.results[2 * i].text, text.at);
        for (int32_t v = 1; v < search_node_count(job.search); v++)
            finished += search_outcome_is_finished(search_node_at(job.search, v).outcome);
        text_free(&text);
        search_free(job.search);
    }
    assert_true(finished > 0);
    sampler_free(p);
    evaluation_free(&e);
    close_fixture(&f);
}

/* A prompt beyond the model's context counts as incorrect, and changes nothing for the other problems. */
static void test_too_long(void **state) {
    (void)state;
    static const char *const threes[] = {"3", "4", "5"};
    fixture f;
    open_fixture(&f, threes, 3, false);
    text_buffer book = {0};
    for (int i = 0; i < 2000; i++) text_puts(&book, "a cat ");
    const recipe_method methods[] = {RECIPE_GREEDY, RECIPE_SAMPLE, RECIPE_SEARCH};
    for (int i = 0; i < 3; i++) {
        evaluate_options o = evaluate_options_of(f.r);
        o.method = methods[i];
        o.k = methods[i] == RECIPE_SAMPLE ? 3 : 1;
        evaluation plain, e;
        OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &plain, &error));
        assert_int_equal(plain.too_long, 0);
        problem whole = f.problems.at[1];
        f.problems.at[1].question = book.at;
        OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &e, &error));
        f.problems.at[1] = whole;
        assert_int_equal(e.too_long, 1);
        int64_t k = e.per_problem;
        same_results(&plain, &e, k);
        evaluation tail = {.results = e.results + 2 * k}, plain_tail = {.results = plain.results + 2 * k};
        same_results(&plain_tail, &tail, k);
        for (int64_t j = k; j < 2 * k; j++) {
            const evaluation_result *r = &e.results[j];
            assert_true(r->problem == 1 && r->sample == j - k && !r->right && !r->finished && r->tokens == 0);
            assert_null(r->answer);
        }
        json_t *json = evaluation_json(&e, true);
        assert_int_equal(json_integer_value(json_object_get(json, "too_long")), 1);
        json_decref(json);
        evaluation_free(&plain);
        evaluation_free(&e);
        /* None that could be asked: an error, not 0%. */
        for (int64_t j = 0; j < 3; j++) f.problems.at[j].question = book.at;
        assert_int_equal(evaluate_policy(&f.s, f.m, &f.problems, &o, &e, &error), ESP_FAILED);
        assert_non_null(strstr(error.message, "context of"));
        for (int64_t j = 0; j < 3; j++) f.problems.at[j].question = "Tom saw a big dog. It was";
    }
    text_free(&book);
    close_fixture(&f);
}

/* Search without self-evaluation beside one with it, and what a run evaluates besides. */
static void test_besides(void **state) {
    (void)state;
    static const char *const threes[] = {"3", "4", "5"};
    fixture f;
    open_fixture(&f, threes, 3, true);
    evaluate_options o = evaluate_options_of(f.r), all[EVALUATE_BESIDES];
    assert_int_equal(evaluate_options_besides(f.r, all), 0);
    f.r->eval.compare_k = 8;
    f.r->eval.compare_limit = 2;
    f.r->eval.compare_search = RECIPE_COMPARE_BOTH;
    assert_int_equal(evaluate_options_besides(f.r, all), 3);
    assert_true(all[0].method == RECIPE_SAMPLE && all[0].k == 8 && all[0].limit == 2);
    assert_true(all[1].method == RECIPE_SEARCH && !all[1].unjudged);
    assert_true(all[2].method == RECIPE_SEARCH && all[2].unjudged && all[2].k == 1);
    f.r->eval.compare_choices = true;
    assert_int_equal(evaluate_options_besides(f.r, all), 4);
    assert_true(all[3].method == RECIPE_CHOICES && !all[3].unjudged && all[3].limit == 2);
    f.r->eval.compare_choices = false;
    f.r->eval.method = RECIPE_SAMPLE;
    assert_true(evaluate_options_besides(f.r, all) == 2 && all[0].method == RECIPE_SEARCH);
    f.r->eval.method = RECIPE_SEARCH;
    f.r->eval.compare_search = RECIPE_COMPARE_ON;
    assert_true(evaluate_options_besides(f.r, all) == 1 && all[0].method == RECIPE_SAMPLE);
    f.r->search.config.rewards.judge = false;
    f.r->eval.compare_search = RECIPE_COMPARE_BOTH;
    assert_int_equal(evaluate_options_besides(f.r, all), 1);
    f.r->search.config.rewards.judge = true;

    o.method = RECIPE_SEARCH;
    o.unjudged = true;
    evaluation e, back, judged;
    OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &e, &error));
    assert_string_equal(evaluation_name(e.method, e.unjudged), "search-unjudged");
    assert_int_equal(e.tokens_judged, 0);
    assert_true(e.search.judged[JUDGE_ALL].calibration.nodes == 0 && e.search.finished_chains > 0);
    o.unjudged = false;
    OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &judged, &error));
    assert_true(judged.search.judged[JUDGE_ALL].calibration.nodes > 0);

    store *s;
    const char *base = getenv("TMPDIR");
    char *folder = mem_printf("%s/espalier-besides-%d", base ? base : "/tmp", (int)getpid());
    OK(store_open(&s, folder, STORE_CREATE, &error));
    OK(evaluation_store(&e, 1, "test", s, &error));
    OK(evaluation_store(&judged, 1, "test", s, &error));
    OK(evaluation_read(&back, s, NULL, 1, "search-unjudged", "test", &error));
    assert_true(back.unjudged && back.method == RECIPE_SEARCH &&
                back.search.vote_right == e.search.vote_right);
    assert_int_equal(back.search.judged[JUDGE_ALL].calibration.nodes, 0);
    evaluation_free(&back);
    OK(evaluation_read(&back, s, NULL, 1, "search", "test", &error));
    assert_false(back.unjudged);
    assert_int_equal(back.tokens_judged, judged.tokens_judged);
    json_t *one = judge_quality_json(&judged.search.judged[JUDGE_ALL]),
           *other = judge_quality_json(&back.search.judged[JUDGE_ALL]);
    assert_true(json_equal(one, other));
    json_decref(one);
    json_decref(other);
    evaluation_free(&back);
    evaluation_free(&e);
    evaluation_free(&judged);
    store_close(s);
    folder_remove(folder, NULL);
    mem_free(folder);
    close_fixture(&f);
}

static void test_policy_stops(void **state) {
    (void)state;
    static const char *const threes[] = {"3", "4", "5"};
    fixture f;
    open_fixture(&f, threes, 3, false);
    volatile sig_atomic_t stop = 1;
    f.s.stop = &stop;
    evaluate_options o = evaluate_options_of(f.r);
    evaluation e;
    assert_int_equal(evaluate_policy(&f.s, f.m, &f.problems, &o, &e, &error), ESP_INTERRUPTED);
    assert_null(e.results);
    f.s.stop = NULL;
    f.problems.count = 0;
    assert_int_equal(evaluate_policy(&f.s, f.m, &f.problems, &o, &e, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "no problems"));
    close_fixture(&f);
}

/* ---- options ---- */

static const problem_option three_options[] = {
    {"A", "in the big dark house"}, {"B", "dog"}, {"C", "\xc3\xa9\xc3\xa9"}};

/* Both answers by hand: the sum prefers the short option, the mean per character the long one; ties go to the
 * first. */
static void test_option_results(void **state) {
    (void)state;
    problem p = {.index = 7, .gold = "A", .options = three_options, .option_count = 3};
    double sums[] = {-10, -6, -7}, lengths[] = {21, 3, 4};
    int64_t tokens[] = {5, 1, 8};
    option_scores scores = {3, sums, lengths, tokens};
    evaluation_result r[2];
    option_results(&p, &scores, r);
    assert_true(r[0].problem == 7 && r[0].finished && !r[0].right && r[0].tokens == 1 && r[0].sample == 0);
    assert_string_equal(r[0].answer, "B");
    assert_true(r[0].logprob_count == 3 && r[0].logprobs[2] == -7);
    assert_non_null(
        strstr(r[0].text, "A  log-prob -10.000, per character -0.476: in the big dark house\nB  "));
    assert_true(r[1].problem == 7 && r[1].right && r[1].tokens == 0 && r[1].sample == 1 && !r[1].text);
    assert_string_equal(r[1].answer, "A");
    evaluation e = {.method = RECIPE_CHOICES, .k = 1, .problems = 1, .per_problem = 2, .result_count = 2};
    e.results = MEM_ARRAY(evaluation_result, 2);
    memcpy(e.results, r, sizeof r);
    evaluation_summarize(&e);
    assert_true(e.right == 0 && e.choices.norm_right == 1 && e.accuracy == 0 && e.choices.norm == 1);
    near(e.choices.norm_interval.low, metrics_wilson(1, 1).low);
    near(e.mean_tokens, 1);
    evaluation_free(&e);
    double equal[] = {-6, -6, -8};
    double same[] = {6, 6, 8};
    scores = (option_scores){3, equal, same, tokens};
    option_results(&p, &scores, r);
    assert_string_equal(r[0].answer, "A");
    assert_string_equal(r[1].answer, "A");
    for (int i = 0; i < 2; i++) mem_free(r[i].answer), mem_free(r[i].text), mem_free(r[i].logprobs);
    assert_int_equal(metrics_largest(sums, 0), -1);
    equal[1] = NAN;
    assert_int_equal(metrics_largest(equal, 3), -1);
}

static void same_options(const evaluation *a, const evaluation *b) {
    assert_int_equal(a->result_count, b->result_count);
    same_results(a, b, 0);
    for (int64_t i = 0; i < a->result_count; i += 2)
        for (int32_t j = 0; j < a->results[i].logprob_count; j++)
            if (!(fabs(a->results[i].logprobs[j] - b->results[i].logprobs[j]) < 1e-3))
                fail_msg("option %d of result %lld: %g, %g", (int)j, (long long)i, a->results[i].logprobs[j],
                         b->results[i].logprobs[j]);
}

/* A real policy: the same scores one by one and together, whatever is gold; both accuracies go to the store
 * and back; an option that does not fit, one without text, a problem without any. */
static void test_choices(void **state) {
    (void)state;
    static const char *const golds_of[] = {"A", "B", "C"}, *const others[] = {"C", "C", "A"};
    fixture f;
    open_fixture(&f, golds_of, 3, false);
    for (int32_t i = 0; i < 3; i++) {
        f.problems.at[i].options = three_options;
        f.problems.at[i].option_count = 3;
        f.problems.at[i].gold_option = i;
    }
    evaluate_options o = evaluate_options_of(f.r);
    o.method = RECIPE_CHOICES;
    evaluation all, one, blind, labels, back;
    OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &all, &error));
    assert_true(all.problems == 3 && all.result_count == 6 && all.tokens_sampled == 0 && all.too_long == 0);
    o.batch = 1; /* one sequence at a time */
    OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &one, &error));
    same_options(&all, &one);
    o.option = RECIPE_OPTION_LABEL;
    OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &labels, &error));
    assert_true(labels.results[0].tokens == 1 && labels.results[0].logprobs[0] != all.results[0].logprobs[0]);
    o.option = RECIPE_OPTION_TEXT;
    for (int32_t i = 0; i < 3; i++) {
        f.problems.at[i].gold = others[i];
        f.problems.at[i].gold_option = others[i][0] - 'A';
        f.problems.at[i].rationale = NULL;
    }
    OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &blind, &error));
    same_options(&one, &blind);

    store *s;
    const char *base = getenv("TMPDIR");
    char *folder = mem_printf("%s/espalier-choices-%d", base ? base : "/tmp", (int)getpid());
    OK(store_open(&s, folder, STORE_CREATE, &error));
    OK(evaluation_store(&all, 1, "test", s, &error));
    OK(evaluation_read(&back, s, NULL, 1, "choices", "test", &error));
    assert_true(back.right == all.right && back.choices.norm_right == all.choices.norm_right);
    near(back.choices.norm_interval.high, all.choices.norm_interval.high);
    same_results(&all, &back, 6);
    store_close(s);
    folder_remove(folder, NULL);
    mem_free(folder);
    evaluation_free(&all), evaluation_free(&one), evaluation_free(&blind), evaluation_free(&labels);
    evaluation_free(&back);

    text_buffer book = {0};
    for (int i = 0; i < 600; i++) text_puts(&book, "a big dog ");
    problem_option long_one[] = {{"A", "cat"}, {"B", book.at}}, blank[] = {{"A", "cat"}, {"B", " \n"}};
    f.problems.at[1].options = long_one;
    f.problems.at[1].option_count = 2;
    OK(evaluate_policy(&f.s, f.m, &f.problems, &o, &all, &error));
    assert_true(all.too_long == 1 && !all.results[2].right && !all.results[3].right &&
                !all.results[2].finished && all.results[4].finished);
    evaluation_free(&all);
    f.problems.at[1].options = blank;
    assert_int_equal(evaluate_policy(&f.s, f.m, &f.problems, &o, &all, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "option 2 has no text"));
    f.problems.at[1].option_count = 0;
    assert_int_equal(evaluate_policy(&f.s, f.m, &f.problems, &o, &all, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "no options"));
    text_free(&book);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),         cmocka_unit_test(test_greedy_and_search),
        cmocka_unit_test(test_comparison),      cmocka_unit_test(test_comparison_of_methods),
        cmocka_unit_test(test_record),          cmocka_unit_test(test_judge_scores),
        cmocka_unit_test(test_calibration),     cmocka_unit_test(test_policy),
        cmocka_unit_test(test_search_is_blind), cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_besides),         cmocka_unit_test(test_policy_stops),
        cmocka_unit_test(test_option_results),  cmocka_unit_test(test_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
