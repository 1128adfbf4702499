/* Policy gradients and lists against torch autograd (golden/objectives.json), by hand, and through a model:
 * the loss falls along its gradient as fast as the gradient says. */
#include "formats/json.h"
#include "learn/batches.h"
#include "learn/trainer_inner.h"
#include "compute_support.h"
#include "support.h"

#include <math.h>
#include <string.h>

static esp_error error;

static void near(double got, double want, double tolerance, const char *what) {
    if (!(fabs(got - want) <= tolerance * fmax(1, fabs(want))))
        fail_msg("%s: got %.17g, want %.17g", what, got, want);
}

static const objective *find(const char *name) {
    for (int i = 0; objective_at(i); i++)
        if (strcmp(objective_name(i), name) == 0) return objective_at(i);
    fail_msg("there is no objective %s", name);
    return NULL;
}

static option_space options_of(const objective *o) {
    option_space space = {.bytes = {0}};
    options_defaults(o->options, &space);
    return space;
}

/* ---- goldens ---- */

static json_t *read_golden(const char *part) {
    json_t *root;
    OK(json_read_file(TEST_DATA "/golden/objectives.json", &root, &error));
    json_t *cases = json_incref(json_object_get(root, part));
    assert_true(json_array_size(cases) >= 4);
    json_decref(root);
    return cases;
}

static double number(const json_t *c, const char *key) {
    json_t *v = json_object_get(c, key);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static int64_t numbers(const json_t *c, const char *key, double *out) {
    const json_t *list = json_object_get(c, key);
    for (size_t i = 0; i < json_array_size(list); i++) out[i] = json_number_value(json_array_get(list, i));
    return (int64_t)json_array_size(list);
}

static void set(const objective *o, option_space *options, const json_t *c, const char *key) {
    char text[40];
    const option *one = option_by_key(o->options, key);
    snprintf(text, sizeof text, "%.17g", number(c, key));
    if (one) OK(option_set(one, options, text, NULL));
}

enum { LONGEST = 64 };

static void clipped_golden(void **state) {
    (void)state;
    json_t *cases = read_golden("clipped"), *c;
    size_t i;
    int masked = 0, plain = 0;
    json_array_foreach(cases, i, c) {
        double sampled[LONGEST], logp[LONGEST], want[LONGEST], dlogp[LONGEST], metrics[OBJECTIVE_METRICS];
        float sampled_f[LONGEST], logp_f[LONGEST];
        int64_t n = numbers(c, "sampled", sampled);
        numbers(c, "logp", logp);
        numbers(c, "dlogp", want);
        for (int64_t t = 0; t < n; t++) sampled_f[t] = (float)sampled[t], logp_f[t] = (float)logp[t];
        example e = {.path = {{.tail_count = n, .sampled = sampled_f}}, .advantage = number(c, "advantage")};
        bool mask = number(c, "mask_above") < 1;
        const char *const names[] = {"tree_pg", "grpo", "rloo"};
        for (int k = 0; k < (mask ? 1 : 3); k++) {
            const objective *o = find(names[k]);
            option_space options = options_of(o);
            set(o, &options, c, "clip_low");
            set(o, &options, c, "clip_high");
            set(o, &options, c, "mask_above");
            near(o->token_value(&options, &e, logp_f, dlogp, metrics), number(c, "value"), 1e-12, "value");
            for (int64_t t = 0; t < n; t++) near(dlogp[t], want[t], 1e-12, "slope");
            near(metrics[0], number(c, "clipped"), 0, "clipped");
            near(metrics[1], number(c, "kl"), 1e-12, "kl");
            near(metrics[2], (double)n * e.advantage, 1e-12, "advantage");
        }
        masked += mask;
        plain += !mask;
    }
    assert_true(masked > 5 && plain > 5);
    json_decref(cases);
}

static void advantages_golden(void **state) {
    (void)state;
    json_t *cases = read_golden("groups"), *c;
    size_t i;
    json_array_foreach(cases, i, c) {
        double rewards[LONGEST], want[LONGEST], got[LONGEST];
        int64_t n = numbers(c, "rewards", rewards);
        const char *const names[] = {"grpo", "rloo"};
        for (int k = 0; k < 2; k++) {
            numbers(c, names[k], want);
            find(names[k])->group_advantages(rewards, n, got);
            for (int64_t j = 0; j < n; j++) near(got[j], want[j], 1e-12, names[k]);
        }
    }
    json_decref(cases);
}

static void listwise_golden(void **state) {
    (void)state;
    const objective *o = find("listwise");
    json_t *cases = read_golden("listwise"), *c;
    size_t i;
    json_array_foreach(cases, i, c) {
        double logp[EXAMPLE_PATHS], reference[EXAMPLE_PATHS], values[EXAMPLE_PATHS], want[EXAMPLE_PATHS],
            dlogp[EXAMPLE_PATHS], metrics[OBJECTIVE_METRICS];
        int64_t n = numbers(c, "logp", logp);
        assert_in_range(n, 2, EXAMPLE_PATHS);
        numbers(c, "reference", reference);
        numbers(c, "values", values);
        numbers(c, "dlogp", want);
        path_score scores[EXAMPLE_PATHS];
        example e = {.path_count = (int)n};
        for (int64_t j = 0; j < n; j++) {
            scores[j] = (path_score){logp[j], reference[j], 5};
            e.path[j].value = values[j];
        }
        option_space options = options_of(o);
        set(o, &options, c, "beta");
        set(o, &options, c, "value_temperature");
        near(o->value(&options, &e, scores, dlogp, metrics), number(c, "value"), 1e-12, "value");
        for (int64_t j = 0; j < n; j++) near(dlogp[j], want[j], 1e-12, "slope");
    }
    json_decref(cases);
}

/* ---- by hand ---- */

/* Two steps are a pair of DPO with 1 - alpha = sigmoid((V_w - V_l) / temperature). */
static void list_of_two_is_a_pair(void **state) {
    (void)state;
    const objective *list = find("listwise"), *dpo = find("dpo");
    const path_score scores[] = {{-4, -5, 3}, {-9, -6, 3}};
    option_space of_list = options_of(list), of_dpo = options_of(dpo);
    double dlogp[2][EXAMPLE_PATHS], metrics[2][OBJECTIVE_METRICS];
    example e = {.path_count = 2, .alpha = 1 - 1 / (1 + exp(-(0.7 - 0.4) / 0.25))};
    e.path[0].value = 0.7;
    e.path[1].value = 0.4;
    near(list->value(&of_list, &e, scores, dlogp[0], metrics[0]),
         dpo->value(&of_dpo, &e, scores, dlogp[1], metrics[1]), 1e-14, "value");
    for (int k = 0; k < 2; k++) near(dlogp[0][k], dlogp[1][k], 1e-14, "slope");
    for (int k = 0; k < 5; k++) near(metrics[0][k], metrics[1][k], 1e-14, list->metrics[k]);
}

static void advantages_of_steps(void **state) {
    (void)state;
    const objective *o = find("tree_pg");
    option_space options = options_of(o);
    near(o->step_advantage(&options, 0.75, 0.5, 4), 0.5, 1e-15, "better, four chains");
    near(o->step_advantage(&options, 0.25, 0.5, 1), -0.25, 1e-15, "worse, one chain");
    near(o->step_advantage(&options, 0.51, 0.5, 100), 0, 0, "hardly better");
}

/* A ratio of 1 is that of the policy that sampled: nothing is clipped, KL is 0, and the slope is the
 * advantage. Where a token became much more likely, it is not pushed further, and one with a negative
 * advantage is. */
static void clipping(void **state) {
    (void)state;
    const objective *o = find("grpo");
    option_space options = options_of(o);
    const float sampled[] = {-1, -2}, up[] = {-0.5F, -2};
    double dlogp[2], metrics[OBJECTIVE_METRICS];
    example e = {.path = {{.tail_count = 2, .sampled = sampled}}, .advantage = 0.5};
    near(o->token_value(&options, &e, sampled, dlogp, metrics), -1, 1e-15, "value");
    assert_true(dlogp[0] == -0.5 && dlogp[1] == -0.5 && metrics[0] == 0 && metrics[1] == 0);
    near(o->token_value(&options, &e, up, dlogp, metrics), -0.5 * (1.28 + 1), 1e-15, "clipped");
    assert_true(dlogp[0] == 0 && dlogp[1] == -0.5 && metrics[0] == 1);
    e.advantage = -0.5;
    near(o->token_value(&options, &e, up, dlogp, metrics), 0.5 * (exp(0.5) + 1), 1e-15, "pushed down");
    near(dlogp[0], 0.5 * exp(0.5), 1e-15, "slope");
    assert_true(metrics[0] == 0);
}

/* ---- through a model ---- */

enum { CHAINS = 3, PROMPT = 6, TAIL = 9 };

typedef struct {
    int32_t ids[CHAINS][PROMPT + TAIL];
    float sampled[CHAINS][TAIL];
    option_space options;
    objective_term term;
    example examples[CHAINS];
    int count;
    batches *batches;
} model_batch;

static learn_path chain_of(model_batch *b, int chain, double reference) {
    return (learn_path){.prefix = b->ids[chain],
                        .tail = b->ids[chain] + PROMPT,
                        .prefix_count = PROMPT,
                        .tail_count = TAIL - chain,
                        .reference = reference,
                        .sampled = b->sampled[chain],
                        .value = 0.2 + 0.3 * chain};
}

/* Chains after one prompt that begin alike, with log-probs near those of the model, as after some updates. */
static void make_batch(model_batch *b, const objective *of, model *m) {
    *b = (model_batch){.options = options_of(of)};
    b->term = (objective_term){.of = of, .options = &b->options, .weight = 0.7, .mean = of->mean};
    for (int c = 0; c < CHAINS; c++)
        for (int t = 0; t < PROMPT + TAIL; t++) b->ids[c][t] = 300 + 37 * t + (t > PROMPT + 2 ? 11 * c : 0);
    const float apart[] = {-0.35F, -0.1F, 0.1F, 0.4F}; /* the outer ones are clipped; none is near a bound */
    bool states = of->source == LEARNS_FROM_STATES;
    b->count = states ? 1 : CHAINS;
    for (int c = 0; c < CHAINS; c++) {
        objective_term alone = {.of = &objective_nll};
        for (int t = 0; t < TAIL; t++) {
            double logp[1][EXAMPLE_PATHS];
            example token = {.path = {{b->ids[c], b->ids[c] + PROMPT + t, PROMPT + t, 1, 0, NULL, 0}}};
            token.term = &alone;
            OK(score_paths(m, &token, 1, 2048, logp, NULL, NULL, &error));
            b->sampled[c][t] = (float)logp[0][0] + apart[(t + c) % 4];
        }
        if (states)
            b->examples[0].path[c] = chain_of(b, c, -30 - 2 * c);
        else
            b->examples[c] = (example){.path = {chain_of(b, c, 0)}, .advantage = c == 1 ? -0.9 : 0.6};
    }
    for (int i = 0; i < b->count; i++) b->examples[i].term = &b->term;
    if (states) b->examples[0].path_count = CHAINS;
    b->batches = batches_new(b->examples, b->count, &(batches_options){.batch = CHAINS});
}

static double loss_at(trainer *t, model_batch *b, const float *weights, int64_t n) {
    learn_report r;
    compute *c = model_operations(t->m);
    c->ops->put(c, model_master(t->m), weights, (size_t)n * sizeof *weights);
    OK(model_sync(t->m, &error));
    OK(batches_add(b->batches, t, 0, &r, &error));
    trainer_zero(t);
    return r.loss;
}

/* The loss along the gradient against the gradient's length; and what is reported is a mean over tokens. */
static void slopes_through_a_model(void **state) {
    (void)state;
    const char *const names[] = {"grpo", "rloo", "tree_pg", "listwise"};
    compute *c;
    model *m;
    trainer *t;
    trainer_settings settings = trainer_defaults();
    OK(test_compute_new(&c, "ref", DTYPE_F32, 2, &error));
    OK(model_open(&m, TEST_DATA "/models/tinystories-656k", &(model_options){.compute = c, .trainable = true},
                  &error));
    OK(trainer_new(&t, m, &settings, &error));
    int64_t n = model_parameter_count(m);
    compute *ops = model_operations(m);
    float *kept = host_copy(ops, model_master(m), n), *moved = MEM_ARRAY(float, n);
    for (int k = 0; k < 4; k++) {
        model_batch b;
        make_batch(&b, find(names[k]), m);
        learn_report r;
        OK(batches_add(b.batches, t, 0, &r, &error));
        float *gradient = host_copy(ops, t->gradient, n);
        trainer_zero(t);
        double square = 0, loss[2];
        for (int64_t i = 0; i < n; i++) square += (double)gradient[i] * (double)gradient[i];
        assert_true(square > 1e-8);
        double step = 5e-4 / sqrt(square);
        for (int end = 0; end < 2; end++) {
            for (int64_t i = 0; i < n; i++)
                moved[i] = (float)((double)kept[i] + (end ? step : -step) * (double)gradient[i]);
            loss[end] = loss_at(t, &b, moved, n);
        }
        near(loss_at(t, &b, kept, n), r.loss, 1e-7, "the same again");
        double slope = (loss[1] - loss[0]) / (2 * step);
        if (!(fabs(slope - square) < 0.02 * square))
            fail_msg("%s: slope %g, gradient says %g", names[k], slope, square);
        if (b.term.of->token_value) {
            double tokens = 3 * TAIL - 3, sum = 0.6 * TAIL - 0.9 * (TAIL - 1) + 0.6 * (TAIL - 2);
            near(learn_report_metric(&r, "advantage"), sum / tokens, 1e-12, "advantage");
            assert_true(learn_report_metric(&r, "kl_sampled") > 0);
            assert_in_range(learn_report_metric(&r, "clipped") * tokens + 0.5, 1, (int)tokens);
        }
        mem_free(gradient);
        batches_free(b.batches);
    }
    mem_free(kept);
    mem_free(moved);
    trainer_free(t);
    model_free(m);
    compute_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clipped_golden),         cmocka_unit_test(advantages_golden),
        cmocka_unit_test(listwise_golden),        cmocka_unit_test(list_of_two_is_a_pair),
        cmocka_unit_test(advantages_of_steps),    cmocka_unit_test(clipping),
        cmocka_unit_test(slopes_through_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
