/* What Qwen2 has besides Llama: biases on queries, keys and values. Their gradient is the slope of the loss,
 * they act in a KV cache as in a tree, a checkpoint must have them, and its GGUF files are not permuted. The
 * numbers themselves: test_golden.c. */
#include "gguf_made.h"
#include "host_gradient.h"
#include "model/config_files.h"

#include <math.h>

enum { VOCAB = 61, TRUNK = 25, BRANCH = 17 };

static model *open_tiny(const char *kind, dtype act) {
    compute *c;
    model *m;
    OK(test_compute_new(&c, kind, act, 2, &error));
    OK(model_open(&m, TEST_DATA "/models/qwen2-tiny", &(model_options){.compute = c, .trainable = true},
                  &error));
    return m;
}

static bool is_bias(const param *p) {
    return p->spec->role >= ROLE_BIAS_Q && p->spec->role <= ROLE_BIAS_V;
}

static void grow(token_tree_builder *b) {
    int32_t trunk = add_run(b, -1, TRUNK, VOCAB);
    add_run(b, trunk, BRANCH, VOCAB);
    add_run(b, trunk, BRANCH, VOCAB);
}

enum { TOKENS = TRUNK + 2 * BRANCH };

/* The sum of log-probs, some more and some less. */
static double loss_of(model *m, const token_tree *tree, bool keep) {
    float logprob[TOKENS];
    OK(model_forward(m, tree, NULL, keep, logprob, &error));
    double sum = 0;
    for (int t = 1; t < TOKENS; t++) sum += 0.1 * (t % 5 - 1) * (double)logprob[t];
    return sum;
}

/* Adds step * direction to the biases alone. */
static void move_biases(model *m, const float *direction, double step) {
    int64_t n = model_parameter_count(m);
    float *w = host_copy(m->compute, m->master, n);
    for (const param *p = m->params.at; p < m->params.at + m->params.count; p++)
        for (int64_t i = 0; is_bias(p) && i < p->rows; i++)
            w[p->offset + i] += (float)(step * (double)direction[p->offset + i]);
    m->compute->ops->put(m->compute, m->master, w, (size_t)n * sizeof *w);
    mem_free(w);
    OK(model_sync(m, &error));
}

/* A step of h along the gradient of the biases alone raises the loss by h times its norm. */
static void slope(const char *kind) {
    model *m = open_tiny(kind, DTYPE_F32);
    token_tree_builder b = {0};
    grow(&b);
    token_tree tree = token_tree_view(&b);
    float d[TOKENS] = {0};
    for (int t = 1; t < TOKENS; t++) d[t] = 0.1f * (float)(t % 5 - 1);
    loss_of(m, &tree, true);
    float *g = host_gradient(model_backward, m, &tree, d);
    double square = 0, h = 5e-3, loss[2];
    for (const param *p = m->params.at; p < m->params.at + m->params.count; p++)
        for (int64_t i = 0; is_bias(p) && i < p->rows; i++) square += pow((double)g[p->offset + i], 2);
    double norm = sqrt(square);
    assert_true(norm > 0.1);
    for (int i = 0; i < 2; i++) {
        move_biases(m, g, (i ? -2 : 1) * h / norm);
        loss[i] = loss_of(m, &tree, false);
    }
    double got = (loss[0] - loss[1]) / (2 * h);
    if (!(fabs(got - norm) < 1e-3 * norm)) fail_msg("%s: slope %g, gradient %g", kind, got, norm);
    mem_free(g);
    token_tree_free(&b);
    close_model(m);
}

static void finite_differences(void **state) {
    (void)state;
    slope("ref");
    slope("cpu");
}

static void cache(void **state) {
    (void)state;
    model *m = open_tiny("cpu", DTYPE_F32);
    token_tree_builder b = {0};
    grow(&b);
    token_tree tree = token_tree_view(&b);
    float logprob[TOKENS];
    OK(model_forward(m, &tree, NULL, false, logprob, &error));
    kv_cache *kv;
    OK(kv_new(&kv, m, 128, &error));
    int32_t trunk = kv_run_new(kv, -1);
    OK(model_extend(m, kv, &(kv_feed){trunk, tree.tokens, TRUNK, false}, 1, NULL, 0, &error));
    for (int i = 0; i < 2; i++) { /* each branch token by token, asked about the next one */
        const int32_t *ids = tree.tokens + TRUNK + i * BRANCH;
        int32_t run = kv_run_new(kv, trunk);
        for (int t = 0; t + 1 < BRANCH; t++) {
            kv_read read = {.feed = 0, .at = 0, .kind = READ_SCORE, .token = ids[t + 1]};
            OK(model_extend(m, kv, &(kv_feed){run, ids + t, 1, true}, 1, &read, 1, &error));
            double want = (double)logprob[TRUNK + i * BRANCH + t + 1];
            if (!(fabs((double)read.logprob - want) < 1e-5))
                fail_msg("branch %d, token %d: %g where %g is right", i, t + 1, (double)read.logprob, want);
        }
        kv_run_release(kv, run);
    }
    kv_run_release(kv, trunk);
    kv_free(kv);
    token_tree_free(&b);
    close_model(m);
}

/* Biases start at zero, do not decay, and are one vector per layer in the order of the products. */
static void structure(void **state) {
    (void)state;
    model_config c = made_up_shape(VOCAB, 2, 4, 2, 8);
    c.arch = &arch_qwen2;
    model *m = made_up_model(&c, "ref", DTYPE_F32, 1, false);
    int biases = 0;
    for (const param *p = m->params.at; p < m->params.at + m->params.count; p++) {
        assert_false(p->spec->flags & PARAM_GGUF_PERMUTED);
        if (!is_bias(p)) continue;
        biases++;
        assert_false(p->spec->flags & PARAM_DECAYS);
        float *w = host_copy(m->compute, m->master + p->offset, p->rows);
        for (int64_t i = 0; i < p->rows; i++) assert_true(w[i] == 0);
        mem_free(w);
    }
    assert_int_equal(biases, 2 * 3);
    for (int l = 0; l < 2; l++) {
        assert_int_equal(m->layers[l].qkv_bias->rows, m->layers[l].qkv->rows);
        assert_int_equal(m->layers[l].qkv_bias->count, 3);
        assert_true(m->layers[l].qkv_bias->vector == m->master + m->layers[l].qkv_bias->offset);
    }
    close_model(m);
}

static esp_status open_gguf(const char *path) {
    model *m;
    compute *c;
    OK(test_compute_new(&c, "ref", DTYPE_F32, 1, &error));
    esp_status status = model_open(&m, path, &(model_options){.compute = c}, &error);
    model_free(m);
    compute_free(c);
    return status;
}

/* A file that says qwen2 and has a Llama's tensors, and one that says llama and has a Qwen2's. */
static void biases_decide(void **state) {
    (void)state;
    model_config c = made_up_shape(VOCAB, 1, 4, 2, 8);
    arch without = arch_qwen2, with = arch_llama;
    without.params = arch_llama.params, without.param_count = arch_llama.param_count;
    with.params = arch_qwen2.params, with.param_count = arch_qwen2.param_count;
    const arch *const named[] = {&without, &with};
    for (int i = 0; i < 2; i++) {
        c.arch = named[i];
        model *m = made_up_model(&c, "ref", DTYPE_F32, 1, false);
        gguf_made g = gguf_make(m);
        close_model(m);
        ASSERT_FAILED(open_gguf(gguf_write(&g, "other.gguf")), &error,
                      i ? "blk.0.attn_k.bias" : "blk.0.attn_q.bias", i ? "no part of a Llama" : "missing");
    }
}

static void windows(void **state) {
    (void)state;
    static const char *const text =
        "{\"architectures\": [\"Qwen2ForCausalLM\"], \"vocab_size\": 320, \"hidden_size\": 64, "
        "\"intermediate_size\": 96, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
        "\"max_position_embeddings\": 512, \"sliding_window\": 128, \"use_sliding_window\": %s}";
    for (int on = 0; on < 2; on++) {
        char written[512];
        model_config c;
        snprintf(written, sizeof written, text, on ? "true" : "false");
        json_t *object = json_loads(written, 0, NULL);
        config_source s = config_source_json(object, "here/config.json");
        esp_status status = config_read(&c, &s, &error);
        if (on)
            ASSERT_FAILED(status, &error, "here/config.json", "use_sliding_window");
        else
            OK(status);
        json_decref(object);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(finite_differences), cmocka_unit_test(cache),
                                       cmocka_unit_test(structure), cmocka_unit_test(biases_decide),
                                       cmocka_unit_test(windows)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
