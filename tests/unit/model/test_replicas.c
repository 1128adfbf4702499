/* A small model's tree is cut among threads: the same log-probs and gradients as in one piece, the same bits
 * from any number of threads, nothing left from a tree before. Pieces of parallel_run are done once each. */
#include "base/parallel.h"
#include "host_gradient.h"
#include "made_up.h"

#include <math.h>
#include <string.h>

enum { VOCAB = 97, PROMPTS = 9, CHILDREN = 5 };

static model *make_model(int threads) {
    model_config shape = made_up_shape(VOCAB, 2, 4, 2, 16);
    return made_up_model(&shape, "cpu", DTYPE_F32, threads, false);
}

/* What all begin with, prompts, and below each some answers that go on in two ways: 2,000 tokens and more. */
static void grow(token_tree_builder *b) {
    int32_t root = add_run(b, -1, 4, VOCAB);
    for (int p = 0; p < PROMPTS; p++) {
        int32_t prompt = add_run(b, root, 30 + p, VOCAB);
        for (int i = 0; i < CHILDREN; i++) {
            int32_t step = add_run(b, prompt, 12 + i, VOCAB);
            add_run(b, step, 9, VOCAB);
            add_run(b, step, 11 + p, VOCAB);
        }
    }
}

typedef struct {
    float *logprob, *gradient, *dlogprob;
    uint8_t *wanted;
    int64_t tokens, floats;
} pass;

static void pass_free(pass *p) {
    mem_free(p->logprob);
    mem_free(p->gradient);
    mem_free(p->dlogprob);
    mem_free(p->wanted);
}

/* Two of three tokens are wanted. */
static pass pass_new(const model *m, const token_tree *tree) {
    pass p = {.tokens = tree->start[tree->runs], .floats = model_parameter_count(m)};
    p.logprob = MEM_ARRAY(float, p.tokens);
    p.dlogprob = MEM_ARRAY(float, p.tokens);
    p.wanted = MEM_ARRAY(uint8_t, p.tokens);
    for (int64_t t = 0; t < p.tokens; t++) {
        p.wanted[t] = t % 3 != 0;
        p.dlogprob[t] = p.wanted[t] ? 0.01f * (float)(t % 7) - 0.02f : 0;
    }
    return p;
}

static pass run_cut(int threads, const token_tree *tree, int expected_parts) {
    model *m = make_model(threads);
    pass p = pass_new(m, tree);
    OK(model_forward(m, tree, p.wanted, true, p.logprob, &error));
    assert_int_equal(m->replicas.parts, expected_parts);
    assert_true(model_tokens_computed(m) < p.tokens + p.tokens / 8);
    p.gradient = host_gradient(model_backward, m, tree, p.dlogprob);
    close_model(m);
    return p;
}

static pass run_whole(const token_tree *tree) {
    model *m = make_model(2);
    pass p = pass_new(m, tree);
    OK(model_forward_whole(m, tree, p.wanted, true, p.logprob, &error));
    p.gradient = host_gradient(model_backward_whole, m, tree, p.dlogprob);
    close_model(m);
    return p;
}

static void assert_near(const float *a, const float *b, int64_t n, double bound) {
    double most = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)b[i]));
    }
    assert_true(size > 1e-3);
    if (!(most <= bound * size)) fail_msg("apart by %g, of %g", most, size);
}

static void test_cut_equals_whole(void **state) {
    (void)state;
    token_tree_builder b = {0};
    grow(&b);
    token_tree tree = token_tree_view(&b);
    pass whole = run_whole(&tree), one = run_cut(1, &tree, TREE_PARTS);
    assert_near(one.logprob, whole.logprob, one.tokens, 1e-6);
    assert_near(one.gradient, whole.gradient, one.floats, 1e-5);
    for (int64_t t = 0; t < one.tokens; t++)
        if (!one.wanted[t]) assert_true(one.logprob[t] == 0);
    for (int threads = 2; threads <= 4; threads++) {
        pass many = run_cut(threads, &tree, TREE_PARTS);
        assert_memory_equal(many.logprob, one.logprob, sizeof(float) * (size_t)one.tokens);
        assert_memory_equal(many.gradient, one.gradient, sizeof(float) * (size_t)one.floats);
        pass_free(&many);
    }
    pass_free(&whole);
    pass_free(&one);
    token_tree_free(&b);
}

/* A tree too small to cut right after one that was cut, and one path that cannot be cut. */
static void test_trees_in_turn(void **state) {
    (void)state;
    token_tree_builder large = {0}, little = {0}, path = {0};
    grow(&large);
    int32_t run = add_run(&little, -1, 20, VOCAB);
    add_run(&little, run, 10, VOCAB);
    run = -1;
    for (int i = 0; i < 8; i++) run = add_run(&path, run, 60, VOCAB);
    token_tree first = token_tree_view(&large), second = token_tree_view(&little),
               third = token_tree_view(&path);
    model *m = make_model(2);
    pass p = pass_new(m, &first);
    OK(model_forward(m, &first, p.wanted, true, p.logprob, &error));
    assert_int_equal(m->replicas.parts, TREE_PARTS);
    pass_free(&p);
    const token_tree *trees[] = {&second, &third};
    for (int i = 0; i < 2; i++) {
        pass after = pass_new(m, trees[i]), alone = run_whole(trees[i]);
        OK(model_forward(m, trees[i], after.wanted, true, after.logprob, &error));
        assert_int_equal(m->replicas.parts, 0);
        after.gradient = host_gradient(model_backward, m, trees[i], after.dlogprob);
        assert_memory_equal(after.gradient, alone.gradient, sizeof(float) * (size_t)after.floats);
        pass_free(&after);
        pass_free(&alone);
    }
    close_model(m);
    token_tree_free(&large);
    token_tree_free(&little);
    token_tree_free(&path);
}

static void count_piece(void *user, int piece) {
    __atomic_fetch_add((int *)user + piece, 1, __ATOMIC_RELAXED);
}

static void test_pieces(void **state) {
    (void)state;
    for (int threads = 1; threads <= 9; threads += 4) {
        int times[100] = {0};
        parallel_run(100, threads, count_piece, times);
        for (int i = 0; i < 100; i++) assert_int_equal(times[i], 1);
    }
    parallel_run(0, 2, count_piece, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut_equals_whole),
                                       cmocka_unit_test(test_trees_in_turn), cmocka_unit_test(test_pieces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
