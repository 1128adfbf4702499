/* The plan: memory against hand counts, phases that follow the recipe, and speeds measured on a small model
 * against the model itself. */
#include "plan/plan.h"
#include "support.h"

#include <math.h>
#include <string.h>
#include <time.h>

static esp_error error;

static const plan_data data = {.train_problems = 1000,
                               .test_problems = 100,
                               .sft_problems = 1000,
                               .prompt_tokens = 100,
                               .judge_tokens = 200,
                               .suffix_tokens = 15,
                               .steps = 4,
                               .step_tokens = 30,
                               .longest = 300,
                               .right = 0.3};
static const plan_rates rates = {
    .prefill = 1000, .decode = 100, .decode_width = 8, .train = 200, .update = 2};

/* A search and updates that are easy to count by hand, whatever the default preset is. */
static const char plain[] =
    "search: {root_probe: 0, simulations: 5, breadth_root: 4, breadth: 3, horizon: 4, "
    "pairs_at: commitments, smoothing: visits, min_q_gap: 0}\n"
    "learn: {epochs: 1, average: 0, weight: 1, nll: 0, nll_on: chosen}\n";

static recipe *with(const char *key, const char *value, const char *key2, const char *value2) {
    recipe_override set[] = {{"model.path", "m", "test"},     {"sft.epochs", "2", "test"},
                             {"sft.batch", "10", "test"},     {"sft.judge_examples", "0.5", "test"},
                             {"run.iterations", "3", "test"}, {"run.problems_per_iteration", "10", "test"},
                             {"learn.batch", "4", "test"},    {key, value, "test"},
                             {key2, value2, "test"}};
    recipe *r;
    bool preset = key && strcmp(key, "search.preset") == 0; /* what plain says would beat it */
    OK(recipe_parse(&r, "plain", plain, preset ? 0 : strlen(plain), set, key2 ? 9 : key ? 8 : 7, &error));
    return r;
}

static plan planned(const char *key, const char *value, const char *key2, const char *value2) {
    recipe *r = with(key, value, key2, value2);
    model_config c;
    OK(model_read_config(&c, TEST_DATA "/models/tinystories-656k", &error));
    plan p = plan_make(r, &c, &data, &rates);
    recipe_free(r);
    return p;
}

static void near(double got, double want) {
    if (!(fabs(got - want) <= 1e-9 * fabs(want))) fail_msg("got %.17g, want %.17g", got, want);
}

static void test_phases(void **state) {
    (void)state;
    plan p = planned(NULL, NULL, NULL, NULL);
    const plan_phase *sft = &p.phases[0], *search = &p.phases[1], *learn = &p.phases[2],
                     *evaluate = &p.phases[3];
    assert_string_equal(sft->name, "sft");
    near(sft->trained, 2 * (1000 * (100 + 120.0) + 500 * (200 + 60 + 15 + 1.0)));
    assert_int_equal(sft->updates, 2 * 150);
    near(sft->seconds, sft->trained / 200 + 300 * 2);
    assert_int_equal(search->times, 3);
    /* At least the root's candidates, at most a few hundred nodes. */
    assert_true(p.nodes > 20 && p.nodes < 400 && p.pairs > 0.5 && p.pairs <= 10);
    assert_true(search->sampled > 10 * 15 * (p.nodes - 1) && search->sampled < 10 * 45 * p.nodes);
    near(search->prefilled, 10 * (100 + 200.0) + search->sampled + 10 * (p.nodes - 1) * 15);
    near(learn->trained, 10 * p.pairs * (100 + 60 + 60.0));
    assert_int_equal(learn->updates, (int64_t)ceil(10 * p.pairs / 4));
    assert_int_equal(evaluate->times, 4); /* before, and after each of three */
    near(evaluate->sampled, 100 * 120.0);
    near(evaluate->seconds, 100 * 120.0 / 100 + 100 * 100.0 / 1000);
    near(p.seconds, sft->seconds + 3 * search->seconds + 3 * learn->seconds + 4 * evaluate->seconds);
}

static void test_recipe_matters(void **state) {
    (void)state;
    plan base = planned(NULL, NULL, NULL, NULL), p;
    p = planned("self_eval.enabled", "false", NULL, NULL);
    near(p.phases[1].prefilled, 10 * 100.0);
    p = planned("search.simulations", "20", "search.root_multiplier", "4");
    assert_true(p.nodes > 1.5 * base.nodes && p.phases[1].seconds > 1.5 * base.phases[1].seconds);
    p = planned("search.max_nodes", "10", NULL, NULL);
    assert_true(p.nodes <= 10);
    p = planned("search.preset", "official-code", NULL, NULL);
    assert_true(p.nodes > 4 && p.nodes < 8); /* steps of half a chain: two levels of two */
    p = planned("search.preset", "official-code", "search.step", "line");
    assert_true(p.nodes > 10);
    p = planned("learn.reference", "sft", NULL, NULL);
    assert_true(p.phases[2].prefilled > 0 && p.memory.reference > 0);
    p = planned("learn.steps", "1", NULL, NULL);
    assert_int_equal(p.phases[2].updates, 1);
    near(p.phases[2].trained, 4 * 220.0);
    p = planned("eval.method", "sample", "eval.k", "8");
    near(p.phases[3].sampled, 8 * base.phases[3].sampled);
    p = planned("eval.method", "search", NULL, NULL);
    near(p.phases[3].sampled / 100, base.phases[1].sampled / 10);
    p = planned("run.iterations", "0", "sft.epochs", "0");
    assert_int_equal(p.phases[0].times + p.phases[1].times + p.phases[2].times, 0);
    assert_int_equal(p.phases[3].times, 1);
    assert_true(p.memory.masters == 0 && p.memory.optimizer == 0);
}

/* The default preset is cheap a tree, goes over its pairs again, and holds raw weights beside their average.
 */
static void test_default_preset(void **state) {
    (void)state;
    plan base = planned(NULL, NULL, NULL, NULL);
    plan p = planned("search.preset", "default", NULL, NULL);
    assert_true(p.nodes > 4 && p.nodes < base.nodes / 2);
    assert_true(p.phases[1].seconds < base.phases[1].seconds / 2);
    near(p.memory.optimizer, 4 * p.memory.masters);
    near(base.memory.optimizer, 3 * base.memory.masters);
}

/* The default preset learns from pairs and from correct chains, rft only from the chains: each as often as
 * there are epochs, in as many updates as the longer list fills. */
static void test_right_chains(void **state) {
    (void)state;
    plan both = planned("search.preset", "default", NULL, NULL),
         pairs = planned("search.preset", "default", "learn.nll", "0"),
         chains = planned("search.preset", "default", "learn.loss", "rft"), p;
    near(pairs.phases[2].trained, 4 * 10 * both.pairs * (100 + 60 + 60.0));
    near(both.phases[2].trained, pairs.phases[2].trained + chains.phases[2].trained);
    double chain = chains.phases[2].trained / (4 * 10 * both.right_chains) - 100;
    assert_true(both.right_chains > 0.2 && chain > 30 && chain < 240); /* four steps of 30 on the mean */
    assert_int_equal(pairs.phases[2].updates, 4 * (int64_t)ceil(10 * both.pairs / 4));
    assert_int_equal(chains.phases[2].updates, 4 * (int64_t)ceil(10 * both.right_chains / 4));
    assert_int_equal(both.phases[2].updates, 4 * (int64_t)ceil(10 * fmax(both.pairs, both.right_chains) / 4));
    p = planned("search.preset", "default", "learn.max_chains", "1");
    assert_true(p.right_chains > 0 && p.right_chains <= 1 && p.right_chains < both.right_chains);
    p = planned("search.preset", "default", "learn.steps", "2");
    assert_int_equal(p.phases[2].updates, 2);
    near(p.phases[2].trained,
         both.phases[2].trained * 2 * 4 / (4 * 10 * fmax(both.pairs, both.right_chains)));
}

/* What the quickstart's policy asked for at first (96 trees, 43% of the chains right): 6.5 nodes and
 * 0.58 distinct correct chains per tree. Made-up steps never repeat, so they have half as many again. */
static void test_like_the_quickstart(void **state) {
    (void)state;
    recipe_override set[] = {{"model.path", "m", "test"},
                             {"search.max_steps", "16", "test"},
                             {"search.max_step_tokens", "16", "test"},
                             {"search.max_chain_tokens", "200", "test"}};
    recipe *r;
    OK(recipe_load(&r, NULL, set, 4, &error));
    model_config c;
    OK(model_read_config(&c, TEST_DATA "/models/tinystories-656k", &error));
    plan_data like = data;
    like.steps = 4.6;
    like.step_tokens = 7;
    like.prompt_tokens = 36;
    like.right = 0.43;
    plan p = plan_make(r, &c, &like, &rates);
    assert_true(p.nodes > 5 && p.nodes < 13);
    assert_true(p.right_chains > 0.4 && p.right_chains < 1.2);
    recipe_free(r);
}

/* What a search over SmolLM2-135M asked for (16 trees, 1% of the chains right): 104 nodes, 6.7 pairs,
 * 2432 tokens per tree. The made-up steps are within a third of it. */
static void test_like_a_real_search(void **state) {
    (void)state;
    recipe_override set[] = {{"model.path", "m", "test"},
                             {"search.max_steps", "8", "test"},
                             {"search.max_step_tokens", "48", "test"},
                             {"search.max_chain_tokens", "192", "test"}};
    recipe *r;
    OK(recipe_parse(&r, "plain", plain, strlen(plain), set, 4, &error));
    model_config c;
    OK(model_read_config(&c, TEST_DATA "/models/tinystories-656k", &error));
    plan_data like = data;
    like.steps = 4.7;
    like.step_tokens = 20;
    like.right = 0.01;
    plan p = plan_make(r, &c, &like, &rates);
    double sampled = p.phases[1].sampled / (double)r->run.problems_per_iteration;
    assert_true(p.nodes > 70 && p.nodes < 140);
    assert_true(p.pairs > 4.5 && p.pairs < 9);
    assert_true(sampled > 1600 && sampled < 3200);
    like.right = 0.5;
    assert_true(plan_make(r, &c, &like, &rates).nodes < p.nodes);
    recipe_free(r);
}

/* An iteration's tokens end its search, and what it searched is learned from. */
static void test_budget(void **state) {
    (void)state;
    plan whole = planned("self_eval.enabled", "false", NULL, NULL);
    double each = whole.phases[1].sampled / 10;
    char tokens[32];
    snprintf(tokens, sizeof tokens, "%.0f", floor(3.5 * each));
    plan cut = planned("self_eval.enabled", "false", "run.tokens_per_iteration", tokens);
    near(cut.phases[1].sampled, 4 * each);
    near(cut.phases[1].prefilled, whole.phases[1].prefilled * 0.4);
    near(cut.phases[2].trained, whole.phases[2].trained * 0.4);
    cut = planned("self_eval.enabled", "false", "run.tokens_per_iteration", "1000000000");
    near(cut.phases[1].sampled, whole.phases[1].sampled);
}

static void test_memory(void **state) {
    (void)state;
    recipe *r = with(NULL, NULL, NULL, NULL);
    model_config c;
    OK(model_read_config(&c, TEST_DATA "/models/tinystories-656k", &error));
    plan_memory m = plan_memory_of(r, &c, 0);
    /* f32 masters, and gradient and two moments beside them. */
    near(m.optimizer, 3 * m.masters);
    assert_true(m.masters > 4 * 600e3 && m.masters < 4 * 700e3);
    assert_true(m.total >= m.weights + m.masters + m.optimizer + m.activations);
    assert_true(m.total < m.weights + m.masters + m.optimizer + m.activations + m.kv + 1e8);
    OK(plan_check(&m, &error));
    m.available = m.total - 1;
    assert_int_equal(plan_check(&m, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "GB are free: weights"));
    assert_true(error.hint[0] != 0);
    /* Recomputation keeps the layers' inputs alone. */
    recipe *again = with("model.recompute", "true", NULL, NULL);
    c.layers = 12;
    assert_true(plan_memory_of(again, &c, 0).activations < plan_memory_of(r, &c, 0).activations / 3);
    recipe_free(again);
    /* A model that no machine holds. */
    c.layers = 10000;
    c.width = 16384;
    c.feed_forward = 65536;
    plan_memory huge = plan_memory_of(r, &c, 0);
    assert_int_equal(plan_check(&huge, &error), ESP_FAILED);
    recipe_free(r);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A whole model's forward takes about what one of its layers foretold (a factor of 3: the machine is shared).
 */
static void test_measure(void **state) {
    (void)state;
    compute *c;
    model *m;
    OK(compute_new(&c, "cpu", DTYPE_F32, 1, &error));
    model_config config;
    OK(model_read_config(&config, TEST_DATA "/models/tinystories-656k", &error));
    config.layers = 12;
    config.width = 256;
    config.head_width = 32;
    config.heads = config.kv_heads = 8;
    config.feed_forward = 1024;
    config.context = 1024;
    plan_rates measured;
    double started = now();
    OK(plan_measure(&config, c, 8, &measured, &error));
    assert_true(now() - started < 60);
    assert_int_equal(measured.decode_width, 8);
    assert_true(measured.decode > 0 && measured.train > 0 && measured.update > 0);
    assert_true(measured.train < measured.prefill);
    OK(model_create(&m, &config, &(model_options){.compute = c}, 1, &error));
    enum { N = 512 };
    int32_t ids[N], start[] = {0, N}, parent[] = {-1};
    float logprob[N];
    uint8_t wanted[N] = {[N - 1] = 1};
    for (int i = 0; i < N; i++) ids[i] = i % 500;
    token_tree tree = {.runs = 1, .tokens = ids, .start = start, .parent = parent};
    double best = 1e9;
    for (int i = 0; i < 4; i++) {
        started = now();
        OK(model_forward(m, &tree, wanted, false, logprob, &error));
        if (now() - started < best) best = now() - started;
    }
    double ratio = N / best / measured.prefill;
    if (!(ratio > 1 / 3.0 && ratio < 3)) fail_msg("%g tokens/s, foretold %g", N / best, measured.prefill);
    model_free(m);
    compute_free(c);
}

static void test_session(void **state) {
    (void)state;
    recipe_override set[] = {{"model.path", TEST_DATA "/models/tinystories-656k", "test"},
                             {"data.train", ESPALIER_SOURCE_DIR "/data/gsm8k/train.jsonl.gz", "test"},
                             {"data.test", ESPALIER_SOURCE_DIR "/data/gsm8k/test.jsonl.gz", "test"},
                             {"run.threads", "1", "test"}};
    recipe *r;
    session s;
    plan p;
    OK(recipe_load(&r, NULL, set, 4, &error));
    OK(session_open(&s, r, NULL, NULL, &error));
    OK(session_read_problems(&s, true, true, &error));
    OK(plan_session(&s, &rates, &p, &error));
    assert_int_equal(p.data.train_problems, s.train.count);
    assert_int_equal(p.data.test_problems, 1319);
    /* GSM8K: 2 to 8 steps and the answer's line. */
    assert_true(p.data.steps > 3.5 && p.data.steps < 6);
    assert_true(p.data.step_tokens > 10 && p.data.step_tokens < 80 && p.data.prompt_tokens > 40);
    assert_true(p.data.longest > p.data.prompt_tokens + p.data.steps * p.data.step_tokens);
    json_t *json = plan_json(&p);
    assert_non_null(json);
    assert_int_equal(json_array_size(json_object_get(json, "phases")), PLAN_PHASES);
    near(json_number_value(json_object_get(json_object_get(json, "memory"), "total")), p.memory.total);
    near(json_number_value(json_object_get(json, "seconds")), p.seconds);
    json_decref(json);
    text_buffer table = {0};
    plan_table(&p, &table);
    assert_non_null(strstr(table.at, "KV cache"));
    assert_non_null(strstr(table.at, "in all: about"));
    text_free(&table);
    session_close(&s);
    recipe_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases),         cmocka_unit_test(test_recipe_matters),
        cmocka_unit_test(test_default_preset), cmocka_unit_test(test_like_a_real_search),
        cmocka_unit_test(test_right_chains),   cmocka_unit_test(test_like_the_quickstart),
        cmocka_unit_test(test_budget),         cmocka_unit_test(test_memory),
        cmocka_unit_test(test_measure),        cmocka_unit_test(test_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
