/* The gate is a field of the architecture: one that differs from Llama in it alone computes other log-probs,
 * alike in both backends, whose gradient is the slope of the loss, and names it in its configuration. */
#include "host_gradient.h"
#include "made_up.h"
#include "model/config_files.h"

#include <math.h>
#include <string.h>

enum { VOCAB = 53, TRUNK = 9, BRANCH = 6, TOKENS = TRUNK + 2 * BRANCH };

static arch gelu_llama(void) {
    arch gelu = arch_llama;
    gelu.gate = GATE_GELU_TANH;
    return gelu;
}

static model *model_of(const arch *a, const char *kind) {
    model_config shape = made_up_shape(VOCAB, 2, 4, 2, 8);
    shape.arch = a;
    model *m = made_up_model(&shape, kind, DTYPE_F32, 2, false);
    int64_t n = model_parameter_count(m);
    float *w = host_copy(m->compute, m->master, n);
    for (const param *p = m->params.at; p < m->params.at + m->params.count; p++)
        for (int64_t i = 0; param_rank(p) == 2 && i < param_floats(p); i++)
            w[p->offset + i] *= 8; /* far from 0, where all gates are alike */
    m->compute->ops->put(m->compute, m->master, w, (size_t)n * sizeof *w);
    mem_free(w);
    OK(model_sync(m, &error));
    return m;
}

static void grow(token_tree_builder *b) {
    int32_t trunk = add_run(b, -1, TRUNK, VOCAB);
    add_run(b, trunk, BRANCH, VOCAB);
    add_run(b, trunk, BRANCH, VOCAB);
}

static void backends_agree(void **state) {
    (void)state;
    const arch gelu = gelu_llama();
    const arch *of[] = {&gelu, &gelu, &arch_llama};
    static const char *const kinds[] = {"ref", "cpu", "ref"};
    float logprob[3][TOKENS];
    token_tree_builder b = {0};
    grow(&b);
    token_tree tree = token_tree_view(&b);
    for (int i = 0; i < 3; i++) {
        model *m = model_of(of[i], kinds[i]);
        OK(model_forward(m, &tree, NULL, false, logprob[i], &error));
        close_model(m);
    }
    double most = 0;
    for (int t = 0; t < TOKENS; t++) {
        assert_true(fabs((double)(logprob[0][t] - logprob[1][t])) < 1e-4);
        most = fmax(most, fabs((double)(logprob[0][t] - logprob[2][t])));
    }
    assert_true(most > 1e-2); /* of another gate */
    token_tree_free(&b);
}

static double loss_of(model *m, const token_tree *tree, bool keep) {
    float logprob[TOKENS];
    OK(model_forward(m, tree, NULL, keep, logprob, &error));
    double sum = 0;
    for (int t = 1; t < TOKENS; t++) sum += (t % 5 - 1) * (double)logprob[t];
    return sum;
}

/* A step of h along the gradient raises the loss by h times its norm. */
static void slope(const char *kind) {
    const arch gelu = gelu_llama();
    model *m = model_of(&gelu, kind);
    token_tree_builder b = {0};
    grow(&b);
    token_tree tree = token_tree_view(&b);
    float d[TOKENS] = {0};
    for (int t = 1; t < TOKENS; t++) d[t] = (float)(t % 5 - 1);
    loss_of(m, &tree, true);
    float *g = host_gradient(model_backward, m, &tree, d);
    int64_t n = model_parameter_count(m);
    float *w = host_copy(m->compute, m->master, n), *moved = MEM_ARRAY(float, n);
    double square = 0, h = 5e-3, loss[2];
    for (int64_t i = 0; i < n; i++) square += (double)g[i] * (double)g[i];
    double norm = sqrt(square);
    assert_true(norm > 0.1);
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < n; i++) moved[i] = w[i] + (float)((k ? -h : h) / norm * (double)g[i]);
        m->compute->ops->put(m->compute, m->master, moved, (size_t)n * sizeof *moved);
        OK(model_sync(m, &error));
        loss[k] = loss_of(m, &tree, false);
    }
    double got = (loss[0] - loss[1]) / (2 * h);
    if (!(fabs(got - norm) < 2e-3 * norm)) fail_msg("%s: slope %g, gradient %g", kind, got, norm);
    mem_free(w);
    mem_free(moved);
    mem_free(g);
    token_tree_free(&b);
    close_model(m);
}

static void finite_differences(void **state) {
    (void)state;
    slope("ref");
    slope("cpu");
}

static void named_in_the_configuration(void **state) {
    (void)state;
    const arch gelu = gelu_llama();
    model_config c = made_up_shape(VOCAB, 2, 4, 2, 8), again;
    c.arch = &gelu;
    json_t *object = json_object();
    config_sink sink = config_sink_json(object);
    config_write(&c, &sink);
    assert_string_equal(json_string_value(json_object_get(object, "hidden_act")), "gelu_pytorch_tanh");
    config_source source = config_source_json(object, "here/config.json");
    /* To the table that file is a Llama with another gate. */
    assert_int_equal(config_read(&again, &source, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "hidden_act \"gelu_pytorch_tanh\" is not supported"));
    json_decref(object);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(backends_agree), cmocka_unit_test(finite_differences),
                                       cmocka_unit_test(named_in_the_configuration)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
