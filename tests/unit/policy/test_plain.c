/* The plain way to search, in which nothing is shared, finds the trees that the scheduler finds, and what the
 * two compute is counted as a trie counts it. A tiny model, on the plain loops.
 * timeout: 600 */
#include "tiny.h"

#include <math.h>
#include <string.h>

static const problem problems[] = {
    {.index = 0,
     .id = "p0",
     .question = "Tom has 3 cats and 2 dogs. How many pets?",
     .gold = "5",
     .rationale = "Tom has 3 cats.\nHe has 2 dogs.\n3 + 2 = 5\n#### 5"},
    {.index = 1,
     .id = "p1",
     .question = "Max has a red ball, and Sue has two. How many balls?",
     .gold = "3",
     .rationale = "Max has 1 ball. Sue has 2.\n1 + 2 = 3\n#### 3"},
};
enum { PROBLEMS = sizeof problems / sizeof *problems, CHAIN = 40 };

static search_config small_search(void) {
    search_config c;
    search_config_defaults(&c);
    c.limits.root_probe = 0;
    c.limits.simulations = 3;
    c.limits.root_multiplier = 2;
    c.limits.breadth_root = 3;
    c.limits.breadth = 2;
    c.limits.horizon = 3;
    c.limits.max_steps = 3;
    c.rewards.judge = true;
    c.limits.gold_injection = true;
    return c;
}

typedef struct {
    search_job jobs[PROBLEMS];
    token_counts sum;
    int64_t computed;
} outcome;

static outcome search_all(bench *b, lm_settings set, const search_config *config, bool plain) {
    outcome o = {.computed = -model_tokens_computed(b->m)};
    sampler *p;
    set.plain = plain;
    OK(lm_new(&p, b->m, b->words, &set, &error));
    for (int32_t i = 0; i < PROBLEMS; i++) {
        o.jobs[i] = (search_job){.problem = &problems[i], .gold_known = true};
        OK(search_new(&o.jobs[i].search, config, rng_mix(rng_key(7), (uint64_t)i), &error));
    }
    OK(sampler_search(p, o.jobs, PROBLEMS, NULL, NULL, &error));
    o.computed += model_tokens_computed(b->m);
    for (int32_t i = 0; i < PROBLEMS; i++) token_counts_add(&o.sum, &o.jobs[i].counts);
    sampler_free(p);
    return o;
}

static void outcome_free(outcome *o) {
    for (int32_t i = 0; i < PROBLEMS; i++) search_free(o->jobs[i].search);
}

static void close_to(double a, double b, const char *what, int32_t node) {
    if (!(fabs(a - b) < 1e-4))
        fail_msg("node %d: %s %.9g the shared way, %.9g the plain way", node, what, a, b);
}

/* Nodes, ids, visits and outcomes equal; numbers within 1e-4. */
static void same_tree(const search *a, const search *b) {
    assert_int_equal(search_node_count(a), search_node_count(b));
    assert_int_equal(search_top(a), search_top(b));
    for (int32_t v = 0; v < search_node_count(a); v++) {
        search_node x = search_node_at(a, v), y = search_node_at(b, v);
        assert_int_equal(x.parent, y.parent);
        assert_int_equal(x.n, y.n);
        assert_int_equal(x.N, y.N);
        assert_int_equal(x.outcome, y.outcome);
        assert_int_equal(x.gold, y.gold);
        if (x.n) assert_memory_equal(x.ids, y.ids, (size_t)x.n * sizeof *x.ids);
        for (int32_t i = 0; i < x.n; i++)
            close_to((double)x.logprobs[i], (double)y.logprobs[i], "a log-prob", v);
        close_to(x.C, y.C, "C", v);
        close_to(x.Q, y.Q, "Q", v);
    }
}

/* ---- A trie of tokens ---- */

typedef struct {
    int32_t token, child, sibling; /* -1: none */
} trie_node;
typedef MEM_LIST(trie_node) trie;

static void trie_add(trie *t, const int32_t *ids, int64_t n) {
    int32_t at = 0;
    if (t->count == 0) MEM_LIST_PUSH(t, ((trie_node){-1, -1, -1}));
    for (int64_t i = 0; i < n; i++) {
        int32_t next = t->at[at].child;
        while (next >= 0 && t->at[next].token != ids[i]) next = t->at[next].sibling;
        if (next < 0) {
            next = (int32_t)t->count;
            trie_node made = {ids[i], -1, t->at[at].child};
            t->at[at].child = next;
            MEM_LIST_PUSH(t, made);
        }
        at = next;
    }
}

/* Tokens of the trees' own, each once in each of the two prompts: a step's last is read by the policy only
 * where its node was expanded, by the judge always but for end-of-sequence. */
static int64_t tokens_of_trees(sampler *p, const outcome *o, bool example) {
    trie tries[2] = {{0}, {0}};
    for (int32_t j = 0; j < PROBLEMS; j++) {
        const search *s = o->jobs[j].search;
        token_list prompt[2] = {{0}, {0}};
        OK(prompt_ids(p->words, o->jobs[j].problem, &prompt[0], &error));
        OK(prompt_judge_prefix(p->words, o->jobs[j].problem, example, &prompt[1], &error));
        for (int32_t v = 0; v < search_node_count(s); v++) {
            search_node node = search_node_at(s, v);
            int64_t n = search_path_ids(s, v, NULL);
            bool ends = v > 0 && node.ids[node.n - 1] == prompt_eos(p->words);
            for (int side = 0; side < 2; side++) {
                int32_t path[1024];
                int64_t before = prompt[side].count;
                memcpy(path, prompt[side].at, (size_t)before * sizeof *path);
                search_path_ids(s, v, path + before);
                trie_add(&tries[side], path, before + n - (side == 0 ? v > 0 && !node.expanded : ends));
            }
        }
        MEM_LIST_FREE(&prompt[0]);
        MEM_LIST_FREE(&prompt[1]);
    }
    int64_t sum = tries[0].count - 1 + tries[1].count - 1;
    MEM_LIST_FREE(&tries[0]);
    MEM_LIST_FREE(&tries[1]);
    return sum;
}

/* ---- Tests ---- */

enum { SHAPES = 4 };

/* Line steps, filled steps, the root probe, chains to the end: what the scheduler does differently. */
static void shape(int number, lm_settings *set, search_config *config) {
    *set = usual;
    set->max_chain_tokens = CHAIN;
    *config = small_search();
    if (number == 1) set->step_size = STEP_FILL, set->max_step_tokens = 24;
    if (number == 2) set->max_step_tokens = 2, config->limits.root_probe = 3, config->limits.simulations = 6;
    if (number == 3) config->limits.rest_from_depth = 1, set->max_chain_tokens = 30;
}

static void finds_the_same_trees(void **state) {
    (void)state;
    bench b = bench_open_on("ref"); /* its rows do not depend on what else is in the batch */
    for (int k = 0; k < SHAPES; k++) {
        lm_settings set;
        search_config config;
        shape(k, &set, &config);
        outcome shared = search_all(&b, set, &config, false), plain = search_all(&b, set, &config, true);
        int64_t nodes = 0;
        for (int32_t i = 0; i < PROBLEMS; i++) {
            same_tree(shared.jobs[i].search, plain.jobs[i].search);
            nodes += search_node_count(plain.jobs[i].search);
        }
        assert_true(nodes > 12);
        assert_int_equal(plain.sum.sampled, shared.sum.sampled);
        assert_int_equal(plain.sum.gold, shared.sum.gold);
        assert_int_equal(plain.sum.judged, shared.sum.judged);
        assert_int_equal(plain.sum.suffixes, shared.sum.suffixes);
        assert_int_equal(plain.sum.prompts, shared.sum.prompts);
        assert_int_equal(plain.sum.distinct, shared.sum.distinct);
        const outcome *both[] = {&shared, &plain};
        for (int i = 0; i < 2; i++) {
            const token_counts *sum = &both[i]->sum;
            assert_int_equal(sum->computed, both[i]->computed);
            assert_int_equal(sum->computed, sum->distinct + sum->suffixes + sum->recomputed);
        }
        assert_true(shared.sum.recomputed * 20 <= shared.sum.distinct);
        assert_true(plain.sum.computed > 2 * shared.sum.computed);
        outcome_free(&shared);
        outcome_free(&plain);
    }
    bench_close(&b);
}

static void counts_as_a_trie(void **state) {
    (void)state;
    bench b = bench_open_on("cpu");
    for (int probe = 0; probe <= 3; probe += 3)
        for (int plain = 0; plain < 2; plain++) {
            lm_settings set = usual;
            set.max_chain_tokens = CHAIN;
            search_config config = small_search();
            config.limits.root_probe = probe;
            outcome o = search_all(&b, set, &config, plain);
            sampler *p;
            OK(lm_new(&p, b.m, b.words, &set, &error));
            assert_int_equal(o.sum.distinct, tokens_of_trees(p, &o, true));
            sampler_free(p);
            outcome_free(&o);
        }
    bench_close(&b);
}

static void too_small_a_cache_is_said(void **state) {
    (void)state;
    bench b = bench_open_on("cpu");
    lm_settings set = usual;
    set.max_chain_tokens = CHAIN;
    sampler *p;
    set.plain = true;
    set.kv_tokens = 64;
    OK(lm_new(&p, b.m, b.words, &set, &error));
    search_job job = {.problem = &problems[0]};
    search_config config = small_search();
    OK(search_new(&job.search, &config, rng_key(1), &error));
    assert_int_equal(sampler_search(p, &job, 1, NULL, NULL, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "the KV cache of 64 tokens is too small"));
    assert_int_equal(error.reason, ESP_REASON_CACHE_FULL);
    search_free(job.search);
    sampler_free(p);
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_same_trees),
        cmocka_unit_test(counts_as_a_trie),
        cmocka_unit_test(too_small_a_cache_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
