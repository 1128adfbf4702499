/* Which tokens are read decides how much of the last layer is computed, and which feeds are neighbours
 * decides which of them are one span: the log-probs are those of a pass that computes everything, token by
 * token. On `ref`, where a row's bits do not depend on the rows beside it, to the last bit. timeout: 120 */
#include "made_up.h"

#include <math.h>
#include <string.h>

enum { VOCAB = 89, HEAD = 64, TRUNK = 37, BRANCHES = 5, LEAVES = 3, TOKENS = 512 };

static model *make_model(const char *kind, dtype act) {
    model_config shape = made_up_shape(VOCAB, 2, 2, 1, HEAD);
    return made_up_model(&shape, kind, act, 2, false);
}

/* A trunk, branches, and leaves on them: of one token, of some, of more than a page. */
static void grow(token_tree_builder *b) {
    int32_t trunk = add_run(b, -1, TRUNK, VOCAB);
    for (int i = 0; i < BRANCHES; i++) {
        int32_t branch = add_run(b, trunk, 1 + 7 * i, VOCAB);
        for (int j = 0; j < LEAVES; j++) add_run(b, branch, 1 + 9 * j + i, VOCAB);
    }
}

/* The log-prob of every token, from a pass that computes all rows. */
static void all_logprobs(model *m, const token_tree *tree, float *logprob) {
    OK(model_forward(m, tree, NULL, true, logprob, &error));
}

static void compare(const char *what, int64_t token, float got, float expected, double bound) {
    if (bound == 0 ? memcmp(&got, &expected, sizeof got) != 0
                   : !(fabs((double)got - (double)expected) <= bound))
        fail_msg("%s, token %lld: %.9g where %.9g is right", what, (long long)token, (double)got,
                 (double)expected);
}

/* ---- A tree of which some tokens are wanted ---- */

static bool none(int64_t t) {
    return t < 0;
}
static bool one(int64_t t) {
    return t == TRUNK + 2;
}
static bool last_ones(int64_t t) {
    return t % 31 == 30;
}
static bool most(int64_t t) {
    return t % 4 != 1;
}
static bool stretches(int64_t t) {
    return t / 5 % 3 == 1;
}

static void some_are_wanted(const char *kind, dtype act, double bound) {
    static bool (*const wants[])(int64_t) = {none, one, last_ones, most, stretches};
    token_tree_builder b = {0};
    grow(&b);
    token_tree tree = token_tree_view(&b);
    int64_t n = tree.start[tree.runs];
    model *m = make_model(kind, act);
    float *all = MEM_ARRAY(float, n), *some = MEM_ARRAY(float, n);
    uint8_t *wanted = MEM_ARRAY(uint8_t, n);
    all_logprobs(m, &tree, all);
    for (size_t w = 0; w < sizeof wants / sizeof *wants; w++) {
        for (int64_t t = 0; t < n; t++) wanted[t] = wants[w](t);
        OK(model_forward(m, &tree, wanted, false, some, &error));
        for (int64_t t = 1; t < n; t++)
            compare(kind, t, some[t], wanted[t] ? all[t] : 0, wanted[t] ? bound : 0);
    }
    close_model(m);
    mem_free(all);
    mem_free(some);
    mem_free(wanted);
    token_tree_free(&b);
}

static void trees(void **state) {
    (void)state;
    some_are_wanted("ref", DTYPE_F32, 0);
    some_are_wanted("cpu", DTYPE_F32, 1e-5);
    some_are_wanted("cpu", DTYPE_BF16, 0.02);
}

/* ---- Runs of a cache: the same tree, fed in one call or in several, and read here and there ---- */

/* The runs first .. last - 1 of the tree, whole, in one call; where `reads_at` says so, the next token is
 * scored. */
static void extend(model *m, kv_cache *kv, const token_tree *tree, int32_t first, int32_t last, int32_t *runs,
                   bool (*reads_at)(int64_t), const float *all, double bound) {
    kv_feed feeds[1 + BRANCHES * (1 + LEAVES)] = {0};
    kv_read reads[TOKENS];
    int64_t token[TOKENS], n = 0, count = 0;
    for (int32_t r = first; r < last; r++) {
        int32_t begin = tree->start[r], end = tree->start[r + 1];
        runs[r] = kv_run_new(kv, tree->parent[r] < 0 ? -1 : runs[tree->parent[r]]);
        for (int32_t t = begin; t + 1 < end; t++) {
            if (!reads_at(t)) continue;
            reads[n] = (kv_read){
                .feed = (int32_t)count, .at = t - begin, .kind = READ_SCORE, .token = tree->tokens[t + 1]};
            token[n++] = t + 1;
        }
        feeds[count++] = (kv_feed){runs[r], tree->tokens + begin, end - begin, false};
    }
    OK(model_extend(m, kv, feeds, count, reads, n, &error));
    for (int64_t i = 0; i < n; i++) compare("cache", token[i], reads[i].logprob, all[token[i]], bound);
}

static void release(kv_cache *kv, const int32_t *runs, int32_t count) {
    for (int32_t r = count; r-- > 0;) kv_run_release(kv, runs[r]);
    assert_int_equal(kv_pages_free(kv), kv_pages_total(kv));
}

static void caches_agree(const char *kind, dtype act, double bound) {
    static bool (*const reads_at[])(int64_t) = {none, one, last_ones, most, stretches};
    token_tree_builder b = {0};
    grow(&b);
    token_tree tree = token_tree_view(&b);
    model *m = make_model(kind, act);
    kv_cache *kv;
    float *all = MEM_ARRAY(float, tree.start[tree.runs]);
    int32_t *runs = MEM_ARRAY(int32_t, tree.runs);
    all_logprobs(m, &tree, all);
    OK(kv_new(&kv, m, 2048, &error));
    for (size_t w = 0; w < sizeof reads_at / sizeof *reads_at; w++) {
        extend(m, kv, &tree, 0, tree.runs, runs, reads_at[w], all,
               bound); /* parents in their children's call */
        release(kv, runs, tree.runs);
        for (int32_t r = 0; r < tree.runs;) { /* a run, then three together, and so on */
            int32_t end = r + 1 + (r & 1) * 2 < tree.runs ? r + 1 + (r & 1) * 2 : tree.runs;
            extend(m, kv, &tree, r, end, runs, reads_at[w], all, bound);
            r = end;
        }
        release(kv, runs, tree.runs);
    }
    kv_free(kv);
    close_model(m);
    mem_free(all);
    mem_free(runs);
    token_tree_free(&b);
}

static void caches(void **state) {
    (void)state;
    caches_agree("ref", DTYPE_F32, 0);
    caches_agree("cpu", DTYPE_F32, 1e-5);
    caches_agree("cpu", DTYPE_BF16, 0.02);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(trees), cmocka_unit_test(caches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
