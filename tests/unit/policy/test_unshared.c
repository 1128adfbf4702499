/* With nothing shared the engine finds the trees that it finds with everything shared, and what the two
 * compute is counted as a trie counts it. A tiny model, on the plain loops. timeout: 600 */
#include "trees.h"

#include "made_up_shape.h"

enum { CHAIN = 40, SOME = 2 };

static search_config shape_search(void) {
    search_config c = small_search();
    c.limits.simulations = 3;
    c.limits.breadth_root = 3;
    c.limits.breadth = 2;
    c.limits.max_steps = 3;
    c.limits.gold_injection = true;
    return c;
}

/* Of a task whose steps are sentences. */
static const problem stories[SOME] = {
    {.index = 0,
     .id = "s0",
     .question = "Did the dog run?",
     .gold = "yes",
     .rationale = "The dog was happy. He saw a ball. He ran to it.\nThe answer is yes."},
    {.index = 1,
     .id = "s1",
     .question = "Was Lily sad?",
     .gold = "no",
     .rationale = "Lily had a toy. She liked it! She was not sad.\nThe answer is no."},
};

static searched search_all(bench *b, lm_settings set, const search_config *config, bool unshared) {
    static const int chosen[SOME] = {0, 4};
    static problem list[SOME];
    set.unshared = unshared;
    bool sentences = task_unit(b->t) == TASK_STEP_SENTENCE;
    for (int i = 0; i < SOME; i++) list[i] = sentences ? stories[i] : problems[chosen[i]], list[i].index = i;
    return search_list(b, &set, config, list, SOME, true);
}

/* ---- Tests ---- */

enum { SHAPES = 5 };

/* Line steps, filled steps, the root probe, chains to the end: what the scheduler does differently. */
static void shape(int number, lm_settings *set, search_config *config) {
    *set = usual;
    set->max_chain_tokens = CHAIN;
    *config = shape_search();
    if (number == 1) set->step_size = STEP_FILL, set->max_step_tokens = 24;
    if (number == 2) set->max_step_tokens = 2, config->limits.root_probe = 3, config->limits.simulations = 6;
    if (number == 3) config->limits.rest_from_depth = 1, set->max_chain_tokens = 30;
    if (number == 4)
        config->rewards.judge_kind = SEARCH_JUDGE_NEXT_TOKEN, config->limits.gold_injection = false;
}

static void same_trees_of(const char *task) {
    bench b = bench_open_for("ref", task); /* its rows do not depend on what else is in the batch */
    for (int k = 0; k < SHAPES; k++) {
        lm_settings set;
        search_config config;
        shape(k, &set, &config);
        searched shared = search_all(&b, set, &config, false), unshared = search_all(&b, set, &config, true);
        int64_t nodes = 0;
        for (int32_t i = 0; i < SOME; i++) {
            same_tree_within(shared.jobs[i].search, unshared.jobs[i].search, 1e-4);
            nodes += search_node_count(unshared.jobs[i].search);
        }
        assert_true(nodes > 8);
        assert_int_equal(unshared.sum.sampled, shared.sum.sampled);
        assert_int_equal(unshared.sum.gold, shared.sum.gold);
        assert_int_equal(unshared.sum.judged, shared.sum.judged);
        assert_int_equal(unshared.sum.suffixes, shared.sum.suffixes);
        assert_int_equal(unshared.sum.prompts, shared.sum.prompts);
        assert_int_equal(unshared.sum.distinct, shared.sum.distinct);
        const searched *both[] = {&shared, &unshared};
        for (int i = 0; i < 2; i++) {
            const token_counts *sum = &both[i]->sum;
            assert_int_equal(sum->computed, both[i]->computed);
            assert_int_equal(sum->computed, sum->distinct + sum->suffixes + sum->recomputed);
        }
        assert_true(shared.sum.recomputed * 20 <= shared.sum.distinct);
        assert_true(unshared.sum.computed > 2 * shared.sum.computed);
        searched_free(&shared);
        searched_free(&unshared);
    }
    bench_close(&b);
}

static void finds_the_same_trees(void **state) {
    (void)state;
    same_trees_of("gsm8k");
}

static void finds_the_same_trees_of_sentences(void **state) {
    (void)state;
    same_trees_of("yesno");
}

/* A model whose heads are of a width that has two ways to attend, with weights of its own. */
static bench wide_bench(dtype act) {
    bench b = bench_open_on("cpu");
    model_free(b.m);
    compute_free(b.c);
    model_config shape = made_up_shape(tokenizer_size(b.tokens), 2, 3, 1, 64);
    OK(test_compute_new(&b.c, "cpu", act, 2, &error));
    OK(model_create(&b.m, &shape, &(model_options){.compute = b.c}, 5, &error));
    return b;
}

/* A token's bits do not depend on how it was computed: with others, alone, or again because it was
 * evicted. The trees are the same to the last bit. */
static void bits_do_not_depend_on_company(void **state) {
    (void)state;
    const dtype acts[] = {DTYPE_F32, DTYPE_BF16};
    for (int a = 0; a < 2; a++) {
        bench b = wide_bench(acts[a]);
        if (!model_compute(b.m)->traits.rows_alone) { /* its products differ with the height of a batch */
            print_message("%s: not promised on this processor: skipped\n",
                          acts[a] == DTYPE_F32 ? "f32" : "bf16");
            bench_close(&b);
            continue;
        }
        lm_settings set = usual, tight, narrow;
        set.max_chain_tokens = CHAIN;
        set.max_step_tokens = 8;
        tight = narrow = set;
        tight.kv_tokens = 1400;
        narrow.max_batch_tokens = 7;
        narrow.max_sequences = 4;
        search_config config = shape_search();
        searched roomy = search_list(&b, &set, &config, problems, PROBLEMS, true);
        searched evicted = search_list(&b, &tight, &config, problems, PROBLEMS, true);
        searched few = search_list(&b, &narrow, &config, problems, PROBLEMS, true);
        set.unshared = true;
        searched unshared = search_list(&b, &set, &config, problems, PROBLEMS, true);
        assert_int_equal(roomy.sum.recomputed, 0);
        assert_true(evicted.sum.recomputed > 0);
        for (int32_t i = 0; i < PROBLEMS; i++) {
            same_tree(roomy.jobs[i].search, evicted.jobs[i].search);
            same_tree(roomy.jobs[i].search, few.jobs[i].search);
            same_tree(roomy.jobs[i].search, unshared.jobs[i].search);
        }
        searched *all[] = {&roomy, &evicted, &few, &unshared};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) searched_free(all[i]);
        bench_close(&b);
    }
}

static void counts_as_a_trie(void **state) {
    (void)state;
    bench b = bench_open_on("cpu");
    for (int probe = 0; probe <= 3; probe += 3)
        for (int unshared = 0; unshared < 2; unshared++) {
            lm_settings set = usual;
            set.max_chain_tokens = CHAIN;
            search_config config = shape_search();
            config.limits.root_probe = probe;
            searched o = search_all(&b, set, &config, unshared);
            assert_int_equal(o.sum.distinct, tokens_of_trees(b.words, &o, true));
            searched_free(&o);
        }
    bench_close(&b);
}

static void too_small_a_cache_is_said(void **state) {
    (void)state;
    bench b = bench_open_on("cpu");
    lm_settings set = usual;
    set.max_chain_tokens = CHAIN;
    sampler *p;
    set.unshared = true;
    set.kv_tokens = 64;
    OK(lm_new(&p, b.m, b.words, &set, &error));
    search_job job = {.problem = &problems[0]};
    search_config config = shape_search();
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
        cmocka_unit_test(finds_the_same_trees),          cmocka_unit_test(finds_the_same_trees_of_sentences),
        cmocka_unit_test(bits_do_not_depend_on_company), cmocka_unit_test(counts_as_a_trie),
        cmocka_unit_test(too_small_a_cache_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
