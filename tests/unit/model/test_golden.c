/* The model against numbers made with transformers and torch autograd: log-probs, greedy continuations,
 * gradients of every tensor, on both compute implementations; on the tiny models always, on SmolLM2 where
 * it is there. */
#include "formats/json.h"
#include "model/model.h"
#include "compute_support.h"
#include "host_gradient.h"
#include "support.h"

#include <math.h>
#include <string.h>

static esp_error error;

static json_t *golden(const char *path) {
    json_t *g = NULL;
    OK(json_read_file(path, &g, &error));
    return g;
}

static int64_t ids_of(const json_t *list, int32_t *out) {
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return (int64_t)json_array_size(list);
}

static double number(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}

typedef struct {
    const char *backend;
    dtype act;
    double worst, mean; /* bounds on the absolute difference of log-probs; 0: not asked */
} setting;
static const setting settings[] = {{"ref", DTYPE_F32, 1e-3, 0},
                                   {"cpu", DTYPE_F32, 1e-3, 0},
                                   {"ref", DTYPE_BF16, 0, 0.03},
                                   {"cpu", DTYPE_BF16, 0, 0.03}};

static model *open_model(const char *path, const setting *s, bool trainable) {
    compute *c;
    model *m;
    OK(test_compute_new(&c, s->backend, s->act, 2, &error));
    OK(model_open(&m, path, &(model_options){.compute = c, .trainable = trainable}, &error));
    return m;
}

static void close_model(model *m) {
    compute *c = model_compute(m);
    model_free(m);
    compute_free(c);
}

/* All texts of a golden file as one forest: that they do not see each other is part of what is tested. */
static void check_scores(model *m, const json_t *list, const setting *s) {
    token_tree_builder b = {0};
    int32_t ids[4096];
    for (size_t i = 0; i < json_array_size(list); i++)
        token_tree_add(&b, -1, ids, ids_of(json_object_get(json_array_get(list, i), "ids"), ids));
    token_tree tree = token_tree_view(&b);
    float *logprob = calloc((size_t)tree.start[tree.runs], sizeof *logprob);
    OK(model_forward(m, &tree, NULL, false, logprob, &error));
    double worst = 0, sum = 0;
    int64_t n = 0;
    for (int32_t r = 0; r < tree.runs; r++) {
        const json_t *expected = json_object_get(json_array_get(list, (size_t)r), "logprobs");
        size_t count = json_array_size(expected);
        int32_t offset =
            tree.start[r + 1] - tree.start[r] - (int32_t)count; /* the first id may or may not have a place */
        assert_true(offset == 0 || offset == 1);
        for (size_t i = 0; i < count; i++) {
            if (json_is_null(json_array_get(expected, i))) continue;
            double d = fabs((double)logprob[tree.start[r] + offset + (int32_t)i] -
                            json_number_value(json_array_get(expected, i)));
            worst = d > worst ? d : worst;
            sum += d;
            n++;
        }
    }
    assert_true(n > 20);
    if (s->worst > 0 && !(worst < s->worst)) fail_msg("%s: worst log-prob difference %g", s->backend, worst);
    if (s->mean > 0 && !(sum / (double)n < s->mean))
        fail_msg("%s: mean log-prob difference %g", s->backend, sum / (double)n);
    printf("%s %s: worst %.2g, mean %.2g over %lld log-probs\n", s->backend,
           s->act == DTYPE_F32 ? "f32" : "bf16", worst, sum / (double)n, (long long)n);
    free(logprob);
    token_tree_free(&b);
}

/* Greedy continuations through the KV cache, all texts in one batch; equal wherever the margin exceeds 0.05.
 */
static void check_greedy(model *m, const json_t *list) {
    kv_cache *kv;
    OK(kv_new(&kv, m, 4096, &error));
    size_t n = json_array_size(list);
    int32_t ids[64][512], runs[64], fed[64] = {0};
    int64_t count[64];
    bool off[64] = {false};
    for (size_t i = 0; i < n; i++) {
        count[i] = ids_of(json_object_get(json_array_get(list, i), "ids"), ids[i]);
        runs[i] = kv_run_new(kv, -1);
    }
    int64_t compared = 0;
    for (size_t step = 0; step < 24; step++) {
        kv_feed feeds[64];
        kv_read reads[64];
        for (size_t i = 0; i < n; i++) {
            feeds[i] = (kv_feed){runs[i], ids[i] + fed[i], count[i] - fed[i], step > 0};
            reads[i] = (kv_read){.feed = (int32_t)i, .at = feeds[i].n - 1, .kind = READ_GREEDY};
        }
        OK(model_extend(m, kv, feeds, (int64_t)n, reads, (int64_t)n, &error));
        for (size_t i = 0; i < n; i++) {
            const json_t *want = json_object_get(json_array_get(list, i), "continuation");
            const json_t *margin = json_object_get(json_array_get(list, i), "margin");
            fed[i] = (int32_t)count[i];
            if (step >= json_array_size(want) || off[i]) {
                ids[i][count[i]++] = reads[i].token;
                continue;
            }
            int32_t expected = (int32_t)json_integer_value(json_array_get(want, step));
            double gap = json_number_value(json_array_get(margin, step));
            if (gap > 0.05) {
                assert_int_equal(reads[i].token, expected);
                assert_true(fabs((double)reads[i].margin - gap) < 2e-3);
                compared++;
            } else if (reads[i].token != expected)
                off[i] = true;
            ids[i][count[i]++] = reads[i].token;
        }
    }
    assert_true(compared > 10);
    for (size_t i = 0; i < n; i++) kv_run_release(kv, runs[i]);
    assert_int_equal(kv_pages_free(kv), kv_pages_total(kv));
    kv_free(kv);
}

/* `all`: there is a golden for every parameter. `bound`: relative. */
static void check_gradients(model *m, const json_t *expected, const float *gradient, bool all, double bound) {
    size_t compared = 0;
    const param_set *params = model_trainable(m);
    for (const param *p = params->at; p < params->at + params->count; p++) {
        param_name name = param_hf_name(p);
        const json_t *want = json_object_get(expected, name.text);
        if (!want && !all) continue;
        if (!want) fail_msg("no golden for %s", name.text);
        compared++;
        double norm = 0;
        for (int64_t j = 0; j < param_floats(p); j++) norm += pow((double)gradient[p->offset + j], 2);
        norm = sqrt(norm);
        if (!(fabs(norm - number(want, "norm")) <= bound * number(want, "norm")))
            fail_msg("%s: norm %g, golden %g", name.text, norm, number(want, "norm"));
        const json_t *first = json_object_get(want, "first");
        assert_true(json_array_size(first) >= 4);
        for (size_t j = 0; j < json_array_size(first); j++) {
            double got = (double)gradient[p->offset + (int64_t)j],
                   e = json_number_value(json_array_get(first, j));
            if (!(fabs(got - e) <= bound * fabs(e) + 2e-5 * number(want, "norm")))
                fail_msg("%s[%zu]: %g, golden %g", name.text, j, got, e);
        }
    }
    assert_int_equal(compared, json_object_size(expected));
}

/* Supervised: mean negative log-prob of a completion; the gradient is -1/n per token. */
static void check_sft(model *m, const json_t *g, bool all, double bound) {
    int32_t prompt[256], completion[256];
    int64_t np = ids_of(json_object_get(g, "prompt"), prompt),
            nc = ids_of(json_object_get(g, "completion"), completion);
    token_tree_builder b = {0};
    token_tree_add(&b, token_tree_add(&b, -1, prompt, np), completion, nc);
    token_tree tree = token_tree_view(&b);
    float *logprob = calloc((size_t)(np + nc), 4), *d = calloc((size_t)(np + nc), 4);
    uint8_t *wanted = calloc((size_t)(np + nc), 1);
    memset(wanted + np, 1, (size_t)nc);
    OK(model_forward(m, &tree, wanted, true, logprob, &error));
    double loss = 0;
    for (int64_t i = np; i < np + nc; i++) {
        loss -= (double)logprob[i] / (double)nc;
        d[i] = (float)(-1.0 / (double)nc);
    }
    assert_true(fabs(loss - number(g, "loss")) < bound);
    float *gradient = host_gradient(model_backward, m, &tree, d);
    check_gradients(m, json_object_get(g, "grads"), gradient, all, bound);
    free(logprob), free(d), mem_free(gradient), free(wanted);
    token_tree_free(&b);
}

static void tiny_story(void **state) {
    (void)state;
    json_t *g = golden(TEST_DATA "/golden/tinystories-656k.json");
    const char *path = TEST_DATA "/models/tinystories-656k";
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        bool f32 = settings[i].act == DTYPE_F32;
        model *m = open_model(path, &settings[i], f32);
        check_scores(m, json_object_get(g, "score"), &settings[i]);
        if (f32) check_greedy(m, json_object_get(g, "greedy"));
        if (f32) check_sft(m, json_object_get(g, "sft"), true, 1e-3);
        close_model(m);
    }
    json_decref(g);
}

/* Queries, keys and values with biases; wide heads: of another width than hidden_size / heads. */
static void qwen2(void **state) {
    (void)state;
    static const setting exact[] = {{"ref", DTYPE_F32, 1e-4, 0}, {"cpu", DTYPE_F32, 1e-4, 0}};
    static const setting rounded = {"cpu", DTYPE_BF16, 0, 0.03};
    static const char *const names[] = {"qwen2-tiny", "qwen2-wide-heads"};
    json_t *all = golden(TEST_DATA "/golden/qwen2.json");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *g = json_object_get(all, names[i]);
        char path[512];
        snprintf(path, sizeof path, TEST_DATA "/models/%s", names[i]);
        for (size_t k = 0; k < sizeof exact / sizeof *exact; k++) {
            model *m = open_model(path, &exact[k], true);
            check_scores(m, json_object_get(g, "score"), &exact[k]);
            check_sft(m, json_object_get(g, "sft"), i == 0, 1e-4);
            close_model(m);
        }
        model *m = open_model(path, &rounded, false);
        check_scores(m, json_object_get(g, "score"), &rounded);
        close_model(m);
    }
    json_decref(all);
}

static void smollm2(void **state) {
    (void)state;
    const char *path = smollm2_path();
    json_t *g = golden(TEST_DATA "/golden/smollm2-135m.json");
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (strcmp(settings[i].backend, "ref") == 0 && settings[i].act != DTYPE_F32)
            continue; /* minutes of plain loops */
        model *m = open_model(path, &settings[i], false);
        const json_t *scores = json_object_get(g, "score");
        json_t *first = json_pack("[O]", json_array_get(scores, 0));
        check_scores(m, strcmp(settings[i].backend, "ref") == 0 ? first : scores, &settings[i]);
        if (strcmp(settings[i].backend, "cpu") == 0 && settings[i].act == DTYPE_F32)
            check_greedy(m, json_object_get(g, "greedy"));
        json_decref(first);
        close_model(m);
    }
    json_decref(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tiny_story), cmocka_unit_test(qwen2),
                                       cmocka_unit_test(smollm2)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
