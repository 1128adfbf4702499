/* Adapters against the same model with the adapter added to its weights: log-probs, and gradients by the
 * rules dB = s dW A^T and dA = s B^T dW of W + s B A; the base alone while B is zero; the same bits from any
 * number of threads and from a model that recomputes; and learning changes the adapter alone. timeout: 120 */
#include "host_gradient.h"
#include "made_up.h"

#include <math.h>
#include <string.h>

enum { VOCAB = 97, LAYERS = 2 };

static model_config shape(void) {
    return made_up_shape(VOCAB, LAYERS, 4, 2, 32);
}

static model *adapted_model(const adapter_config *a, const char *kind, dtype act, int threads,
                            bool recompute) {
    compute *c;
    model *m;
    model_config config = shape();
    OK(test_compute_new(&c, kind, act, threads, &error));
    model_options options = {
        .compute = c, .trainable = true, .recompute = recompute, .adapter = a, .adapter_seed = 9};
    OK(model_create(&m, &config, &options, 5, &error));
    return m;
}

/* Numbers for A and B, which a new adapter would have 0. */
static float *set_adapter(model *m, double size) {
    int64_t n = model_parameter_count(m);
    float *w = MEM_ARRAY(float, n);
    for (int64_t i = 0; i < n; i++) w[i] = (float)(size * rng_normal(rng_key(17), (uint64_t)i));
    m->compute->ops->put(m->compute, model_master(m), w, (size_t)n * sizeof *w);
    OK(model_sync(m, &error));
    return w;
}

static const param *whole_param(const model *full, const param *of) {
    const param_set *all = model_trainable(full);
    for (const param *p = all->at; p < all->at + all->count; p++)
        if (p->layer == of->layer && p->spec->role == of->spec->role) return p;
    fail_msg("no such parameter");
    return NULL;
}

/* w += s B A, of every matrix. A is followed by its B. */
static void add_adapter(model *full, const model *adapted, const float *numbers) {
    const param_set *set = model_trainable(adapted);
    double s = adapter_scale(&adapted->adapter);
    float *w = host_copy(full->compute, model_master(full), model_parameter_count(full));
    for (int64_t i = 0; i < set->count; i += 2) {
        const param *A = &set->at[i], *B = &set->at[i + 1], *W = whole_param(full, A);
        for (int64_t o = 0; o < W->rows; o++)
            for (int64_t j = 0; j < W->columns; j++) {
                double sum = 0;
                for (int64_t k = 0; k < A->rows; k++)
                    sum += (double)numbers[B->offset + o * B->columns + k] *
                           (double)numbers[A->offset + k * A->columns + j];
                w[W->offset + o * W->columns + j] += (float)(s * sum);
            }
    }
    full->compute->ops->put(full->compute, model_master(full), w,
                            (size_t)model_parameter_count(full) * sizeof *w);
    OK(model_sync(full, &error));
    mem_free(w);
}

/* The gradient of the adapter that the chain rule makes of the whole weights'. */
static float *expected_gradient(const model *full, const model *adapted, const float *dw,
                                const float *numbers) {
    const param_set *set = model_trainable(adapted);
    double s = adapter_scale(&adapted->adapter);
    float *out = MEM_ARRAY(float, model_parameter_count(adapted));
    for (int64_t i = 0; i < set->count; i += 2) {
        const param *A = &set->at[i], *B = &set->at[i + 1], *W = whole_param(full, A);
        const float *a = numbers + A->offset, *b = numbers + B->offset, *d = dw + W->offset;
        for (int64_t k = 0; k < A->rows; k++) {
            for (int64_t j = 0; j < W->columns; j++) {
                double sum = 0;
                for (int64_t o = 0; o < W->rows; o++)
                    sum += (double)b[o * B->columns + k] * (double)d[o * W->columns + j];
                out[A->offset + k * A->columns + j] = (float)(s * sum);
            }
            for (int64_t o = 0; o < W->rows; o++) {
                double sum = 0;
                for (int64_t j = 0; j < W->columns; j++)
                    sum += (double)d[o * W->columns + j] * (double)a[k * A->columns + j];
                out[B->offset + o * B->columns + k] = (float)(s * sum);
            }
        }
    }
    return out;
}

static void grow(token_tree_builder *b, int prompts) {
    for (int p = 0; p < prompts; p++) {
        int32_t prompt = add_run(b, -1, 17 + p, VOCAB);
        for (int i = 0; i < 4; i++) add_run(b, prompt, 9 + i, VOCAB);
    }
}

typedef struct {
    float *logprob, *gradient;
    int64_t tokens, floats;
} outcome;

static outcome learn_from(model *m, int prompts) {
    token_tree_builder b = {0};
    grow(&b, prompts);
    token_tree tree = token_tree_view(&b);
    outcome o = {.tokens = tree.start[tree.runs], .floats = model_parameter_count(m)};
    o.logprob = MEM_ARRAY(float, o.tokens);
    float *d = MEM_ARRAY(float, o.tokens);
    for (int64_t t = 0; t < o.tokens; t++) d[t] = 0.01f * (float)(t % 7) - 0.02f;
    OK(model_forward(m, &tree, NULL, true, o.logprob, &error));
    o.gradient = host_gradient(model_backward, m, &tree, d);
    mem_free(d);
    token_tree_free(&b);
    return o;
}

static void outcome_free(outcome *o) {
    mem_free(o->logprob);
    mem_free(o->gradient);
}

static void assert_close(const float *expected, const float *got, int64_t n, double tolerance,
                         const char *what) {
    double scale = 0;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)expected[i]));
    assert_true(scale > 0);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)expected[i] - (double)got[i]) <= tolerance * scale))
            fail_msg("%s %lld: %.9g, expected %.9g", what, (long long)i, (double)got[i], (double)expected[i]);
}

static void check_algebra(const adapter_config *a, const char *kind) {
    model_config config = shape();
    model *adapted = adapted_model(a, kind, DTYPE_F32, 2, false);
    model *full = made_up_model(&config, kind, DTYPE_F32, 2, false);
    outcome plain = learn_from(full, 2), first = learn_from(adapted, 2); /* B is zero */
    assert_close(plain.logprob, first.logprob, plain.tokens, 1e-6, "log-prob without B");
    float *numbers = set_adapter(adapted, 0.1);
    add_adapter(full, adapted, numbers);
    outcome whole = learn_from(full, 2), got = learn_from(adapted, 2);
    double moved = 0;
    for (int64_t t = 0; t < whole.tokens; t++)
        moved = fmax(moved, fabs((double)whole.logprob[t] - (double)plain.logprob[t]));
    assert_true(moved > 0.01);
    assert_close(whole.logprob, got.logprob, whole.tokens, 1e-5, "log-prob");
    float *expected = expected_gradient(full, adapted, whole.gradient, numbers);
    assert_close(expected, got.gradient, got.floats, 1e-5, "gradient");
    outcome *all[] = {&plain, &first, &whole, &got};
    for (int i = 0; i < 4; i++) outcome_free(all[i]);
    mem_free(expected);
    mem_free(numbers);
    close_model(adapted);
    close_model(full);
}

static void test_algebra(void **state) {
    (void)state;
    const adapter_config each[] = {{.rank = 4, .alpha = 8, .targets = ADAPT_ALL},
                                   {.rank = 3, .alpha = 5, .rslora = true, .targets = ADAPT_Q | ADAPT_V},
                                   {.rank = 16, .alpha = 16, .targets = ADAPT_UP | ADAPT_O},
                                   {.rank = 2, .alpha = 1, .targets = ADAPT_DOWN}};
    for (int i = 0; i < 4; i++) check_algebra(&each[i], i % 2 ? "ref" : "cpu");
}

static void assert_same_bits(const outcome *a, const outcome *b) {
    assert_memory_equal(a->logprob, b->logprob, (size_t)a->tokens * sizeof(float));
    assert_memory_equal(a->gradient, b->gradient, (size_t)a->floats * sizeof(float));
}

/* In bf16 too; with a tree that is cut among replicas, and one that is not. */
static void test_threads(void **state) {
    (void)state;
    const adapter_config a = {.rank = 8, .alpha = 16, .targets = ADAPT_ALL};
    for (int i = 0; i < 2; i++) {
        int prompts = i ? 2 : 24;
        outcome o[3];
        for (int k = 0; k < 3; k++) {
            model *m = adapted_model(&a, "cpu", DTYPE_BF16, k == 1 ? 1 : 2, k == 2);
            mem_free(set_adapter(m, 0.1));
            o[k] = learn_from(m, prompts);
            close_model(m);
        }
        assert_same_bits(&o[0], &o[1]);
        assert_same_bits(&o[0], &o[2]);
        for (int k = 0; k < 3; k++) outcome_free(&o[k]);
    }
}

static void test_names(void **state) {
    (void)state;
    const adapter_config a = {.rank = 8, .alpha = 16, .targets = ADAPT_Q | ADAPT_DOWN};
    model *m = adapted_model(&a, "ref", DTYPE_F32, 1, false);
    const param_set *set = model_trainable(m);
    assert_int_equal(set->count, 4 * LAYERS);
    assert_string_equal(param_hf_name(&set->at[0]).text,
                        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight");
    assert_string_equal(param_hf_name(&set->at[7]).text,
                        "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight");
    assert_int_equal(model_parameter_count(m), LAYERS * 8 * (128 + 128 + 128 + 96));
    assert_true(model_weight_count(m) > model_parameter_count(m));
    close_model(m);
}

static void test_first_numbers(void **state) {
    (void)state;
    const adapter_config a = {.rank = 8, .alpha = 16, .targets = ADAPT_ALL};
    model *m = adapted_model(&a, "ref", DTYPE_F32, 1, false);
    const param_set *set = model_trainable(m);
    float *w = host_copy(m->compute, model_master(m), set->floats);
    for (const param *p = set->at; p < set->at + set->count; p++) {
        double squares = 0, most = 0, bound = 1 / sqrt((double)p->columns);
        for (int64_t i = 0; i < param_floats(p); i++) {
            double x = (double)w[p->offset + i];
            squares += x * x;
            most = fmax(most, fabs(x));
        }
        if (p->side == PARAM_B) assert_true(most == 0);
        if (p->side == PARAM_A) assert_true(most <= bound && most > 0.9 * bound);
        double variance = squares / (double)param_floats(p);
        if (p->side == PARAM_A) assert_true(fabs(variance / (bound * bound / 3) - 1) < 0.2);
    }
    mem_free(w);
    close_model(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_algebra), cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_names), cmocka_unit_test(test_first_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
