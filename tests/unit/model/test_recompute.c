/* Recomputation changes what is kept, not what comes out: log-probs and gradients of a model that recomputes
 * are those of one that does not, to the last bit, and it holds as many bytes less as the plan says. timeout:
 * 120 */
#include "host_gradient.h"
#include "made_up.h"

#include <string.h>

enum { LAYERS = 4, SMALL_VOCAB = 97, LARGE_VOCAB = 66000, MANY_PROMPTS = 24, PROMPTS = 3, CHILDREN = 4 };

typedef struct {
    const char *kind;
    dtype act;
    int threads;
    int64_t vocab; /* the large one makes a model of more parameters than a core has for itself */
} variant;

static model_config shape_of(const variant *v) {
    return made_up_shape(v->vocab, LAYERS, 4, 2, 32);
}

static model *make_model(const variant *v, bool recompute) {
    model_config shape = shape_of(v);
    model *m = made_up_model(&shape, v->kind, v->act, v->threads, recompute);
    assert_int_equal(m->replicas.threads > 0, v->vocab == SMALL_VOCAB);
    return m;
}

static void grow(token_tree_builder *b, int prompts) {
    int32_t root = add_run(b, -1, 4, SMALL_VOCAB);
    for (int p = 0; p < prompts; p++) {
        int32_t prompt = add_run(b, root, 17 + p, SMALL_VOCAB);
        for (int i = 0; i < CHILDREN; i++) add_run(b, prompt, 9 + i, SMALL_VOCAB);
    }
}

typedef struct {
    float *logprob, *gradient;
} outcome;

/* Forward and backward; two of three tokens are wanted. */
static outcome learn_from(model *m, const token_tree *tree) {
    int64_t tokens = tree->start[tree->runs];
    float *dlogprob = MEM_ARRAY(float, tokens);
    uint8_t *wanted = MEM_ARRAY(uint8_t, tokens);
    outcome o = {.logprob = MEM_ARRAY(float, tokens)};
    for (int64_t t = 0; t < tokens; t++) {
        wanted[t] = t % 3 != 0;
        dlogprob[t] = wanted[t] ? 0.01f * (float)(t % 7) - 0.02f : 0;
    }
    OK(model_forward(m, tree, wanted, true, o.logprob, &error));
    o.gradient = host_gradient(model_backward, m, tree, dlogprob);
    mem_free(dlogprob);
    mem_free(wanted);
    return o;
}

static void outcome_free(outcome *o) {
    mem_free(o->logprob);
    mem_free(o->gradient);
}

static void assert_same_bits(const float *a, const float *b, int64_t n, const char *what) {
    double size = 0;
    for (int64_t i = 0; i < n; i++) {
        if (memcmp(&a[i], &b[i], sizeof *a) != 0)
            fail_msg("%s %lld: %.9g, kept %.9g", what, (long long)i, a[i], b[i]);
        size += a[i] != 0;
    }
    assert_true(size > 0);
}

/* A tree, then a smaller one: nothing of the first is left in what is recomputed of the second. */
static void check(const variant *v, int prompts) {
    model *kept = make_model(v, false), *again = make_model(v, true);
    for (int turn = 0; turn < 2; turn++) {
        token_tree_builder b = {0};
        grow(&b, turn == 0 ? prompts : PROMPTS - 1);
        token_tree tree = token_tree_view(&b);
        outcome a = learn_from(kept, &tree), o = learn_from(again, &tree);
        assert_same_bits(o.logprob, a.logprob, tree.start[tree.runs], "log-prob");
        assert_same_bits(o.gradient, a.gradient, model_parameter_count(kept), "gradient");
        outcome_free(&a);
        outcome_free(&o);
        token_tree_free(&b);
    }
    close_model(kept);
    close_model(again);
}

static void test_ref(void **state) {
    (void)state;
    check(&(variant){"ref", DTYPE_F32, 1, SMALL_VOCAB}, PROMPTS);
}

static void test_cpu(void **state) {
    (void)state;
    check(&(variant){"cpu", DTYPE_F32, 2, LARGE_VOCAB}, PROMPTS);
    check(&(variant){"cpu", DTYPE_BF16, 2, LARGE_VOCAB}, PROMPTS);
    check(&(variant){"cpu", DTYPE_BF16, 1, LARGE_VOCAB}, PROMPTS);
}

/* A small model's tree in parts, each with a replica that recomputes. */
static void test_replicas(void **state) {
    (void)state;
    check(&(variant){"cpu", DTYPE_F32, 2, SMALL_VOCAB}, MANY_PROMPTS);
    model *m = make_model(&(variant){"cpu", DTYPE_F32, 2, SMALL_VOCAB}, true), *replica;
    OK(model_replica(m, 1, &replica, &error));
    assert_true(replica->recompute);
    token_tree_builder b = {0};
    grow(&b, MANY_PROMPTS);
    token_tree tree = token_tree_view(&b);
    assert_true(replicas_cut(m, &tree, NULL));
    token_tree_free(&b);
    close_model(m);
}

static size_t tape_bytes(const layer_tape *t) {
    const workspace *all[] = {&t->x_mid, &t->norm1, &t->norm2, &t->attended, &t->gate_up, &t->hidden,
                              &t->rstd1, &t->rstd2, &t->q,     &t->lse,      &t->k,       &t->v};
    size_t sum = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) sum += all[i]->bytes;
    return sum;
}

static double bytes_held(bool recompute) {
    const variant v = {"cpu", DTYPE_BF16, 1, LARGE_VOCAB};
    model *m = make_model(&v, recompute);
    token_tree_builder b = {0};
    grow(&b, PROMPTS);
    token_tree tree = token_tree_view(&b);
    outcome o = learn_from(m, &tree);
    size_t sum = 0;
    for (int l = 0; l < LAYERS; l++) sum += m->x_in[l].bytes + tape_bytes(&m->tape[l]);
    outcome_free(&o);
    token_tree_free(&b);
    close_model(m);
    return (double)sum;
}

static double bytes_planned(bool recompute) {
    const variant v = {"cpu", DTYPE_BF16, 1, LARGE_VOCAB};
    model_config shape = shape_of(&v);
    token_tree_builder b = {0};
    grow(&b, PROMPTS);
    int64_t tokens = token_tree_view(&b).start[token_tree_view(&b).runs];
    token_tree_free(&b);
    model_options options = {.trainable = true, .recompute = recompute};
    return model_memory_plan(&shape, DTYPE_BF16, &options, tokens, 0).workspace;
}

static void test_memory(void **state) {
    (void)state;
    double kept = bytes_held(false), again = bytes_held(true);
    assert_true(again < 0.6 * kept); /* of 4 layers */
    assert_true(kept - again == bytes_planned(false) - bytes_planned(true));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ref), cmocka_unit_test(test_cpu),
                                       cmocka_unit_test(test_replicas), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
