/* The language-model policy on a tiny model: what it says of steps equals what the model says of whole paths,
 * a tree does not depend on its company, nothing is computed twice, no cache is too small to end, and no gold
 * reaches a search that must not know it. Two tests are on the plain loops, slow under sanitizers.
 * timeout: 600 */
#include "trees.h"

static bench bench_open(void) {
    return bench_open_on("cpu");
}

/* Log-probs of ids[from] .. ids[n - 1]. */
static void forward_one(bench *b, const int32_t *ids, int64_t from, int64_t n, float *logprob) {
    token_tree_builder t = {0};
    token_tree_add(&t, -1, ids, n);
    token_tree tree = token_tree_view(&t);
    uint8_t *wanted = calloc((size_t)n, 1);
    memset(wanted + from, 1, (size_t)(n - from));
    OK(model_forward(b->m, &tree, wanted, false, logprob, &error));
    free(wanted);
    token_tree_free(&t);
}

/* C of a path as the whole judge prompt gives it, by two forwards that share nothing. */
static double judged(bench *b, const token_list *judge, const int32_t *steps, int64_t n) {
    token_list whole = {0};
    float logprob[1024];
    for (int64_t i = 0; i < judge->count; i++) MEM_LIST_PUSH(&whole, judge->at[i]);
    for (int64_t i = 0; i < n; i++) MEM_LIST_PUSH(&whole, steps[i]);
    const token_list *suffix = prompt_judge_suffix(b->words);
    for (int64_t i = 0; i < suffix->count; i++) MEM_LIST_PUSH(&whole, suffix->at[i]);
    double odds[2];
    for (int correct = 0; correct < 2; correct++) {
        MEM_LIST_PUSH(&whole, prompt_verdict_id(b->words, correct));
        forward_one(b, whole.at, whole.count - 1, whole.count, logprob);
        odds[correct] = exp((double)logprob[--whole.count]);
    }
    MEM_LIST_FREE(&whole);
    return odds[1] / (odds[0] + odds[1]);
}

/* Log-probs of the steps on each path to a leaf, and C of some nodes, against the model on whole paths. */
static void check_against_forward(bench *b, const search_job *job, bool example) {
    token_list prompt = {0}, judge = {0};
    OK(prompt_ids(b->words, job->problem, &prompt, &error));
    OK(prompt_judge_prefix(b->words, job->problem, example, &judge, &error));
    int32_t path[1024], nodes[16];
    float logprob[1024];
    const search *s = job->search;
    for (int32_t v = 1; v < search_node_count(s); v++) {
        if (search_node_at(s, v).children) continue;
        int64_t steps = search_path_ids(s, v, NULL), at = prompt.count;
        memcpy(path, prompt.at, (size_t)prompt.count * 4);
        search_path_ids(s, v, path + prompt.count);
        forward_one(b, path, prompt.count, prompt.count + steps, logprob);
        for (int32_t d = 0, depth = search_path(s, v, nodes); d < depth; d++) {
            search_node node = search_node_at(s, nodes[d]);
            for (int32_t i = 0; i < node.n; i++, at++)
                if (!(fabs((double)logprob[at] - (double)node.logprobs[i]) < 1e-4))
                    fail_msg("node %d token %d: log-prob %g, the model says %g", nodes[d], i,
                             (double)node.logprobs[i], (double)logprob[at]);
            if (v % 3 && node.expanded) continue;
            bool eos = path[at - 1] == prompt_eos(b->words);
            double c = judged(b, &judge, path + prompt.count, at - prompt.count - eos);
            if (!(fabs(c - node.C) < 1e-4)) fail_msg("node %d: C %g, the model says %g", nodes[d], node.C, c);
        }
    }
    MEM_LIST_FREE(&prompt);
    MEM_LIST_FREE(&judge);
}

/* The least that a set of trees can cost: every distinct prefix once below each of the two prompts, and a
 * suffix per node. */
static int64_t least_tokens(const prompt_words *w, const searched *o) {
    int64_t total = tokens_of_trees(w, o, true);
    for (int32_t j = 0; j < o->n; j++)
        total += (search_node_count(o->jobs[j].search) - 1) * prompt_judge_suffix(w)->count;
    return total;
}

/* ---- Tests ---- */

static void steps_as_the_model_says(void **state) {
    (void)state;
    bench b = bench_open();
    for (int mode = 0; mode < 4; mode++) {
        lm_settings set = usual;
        search_config config = small_search();
        config.limits.gold_injection = true;
        if (mode == 1) set.step_size = STEP_FILL, set.max_step_tokens = 24;
        if (mode == 2) /* siblings that part at the last token of a step, and are gone on from */
            set.max_step_tokens = 2, config.limits.breadth = config.limits.breadth_root = 8,
            config.limits.simulations = 12;
        if (mode == 3) /* states that get missing candidates later, below cached keys that others continue */
            config.limits.root_probe = 3, config.limits.simulations = 8;
        searched o = search_list(&b, &set, &config, problems + (mode == 0 ? 3 : 0), 2, true);
        int64_t nodes = 0, gold = 0;
        for (int32_t i = 0; i < o.n; i++) {
            check_against_forward(&b, &o.jobs[i], true);
            nodes += search_node_count(o.jobs[i].search);
            gold += search_node_at(o.jobs[i].search, 1).gold || o.jobs[i].counts.gold > 0;
            assert_true(search_is_done(o.jobs[i].search));
        }
        assert_true(nodes > 20);
        assert_int_equal(gold, o.n);
        searched_free(&o);
    }
    bench_close(&b);
}

/* 3.6: C of a node is what the policy itself says of the two verdicts where it sampled the node's last token,
 * here by a forward of the whole path; and nothing is read for it. */
static void the_policy_says_it_where_it_samples(void **state) {
    (void)state;
    bench b = bench_open();
    int64_t nodes = 0, ended = 0;
    for (int mode = 0; mode < 4; mode++) {
        lm_settings set = usual;
        search_config config = small_search();
        config.rewards.judge_kind = SEARCH_JUDGE_NEXT_TOKEN;
        if (mode == 1) set.step_size = STEP_FILL, set.max_step_tokens = 24;
        if (mode == 2)
            set.max_step_tokens = 2, config.limits.breadth = config.limits.breadth_root = 8,
            config.limits.simulations = 12;
        if (mode == 3) config.limits.rest_from_depth = 1, config.limits.root_probe = 3;
        searched o = search_list(&b, &set, &config, problems, 2, true);
        for (int32_t i = 0; i < o.n; i++) {
            const search *s = o.jobs[i].search;
            token_list whole = {0};
            OK(prompt_ids(b.words, o.jobs[i].problem, &whole, &error));
            int64_t prompt = whole.count;
            for (int32_t v = 1; v < search_node_count(s); v++, nodes++) {
                int64_t steps = search_path_ids(s, v, NULL);
                MEM_LIST_RESERVE(&whole, prompt + steps);
                search_path_ids(s, v, whole.at + prompt);
                double logp[2];
                for (int correct = 0; correct < 2; correct++) {
                    float logprob[1024];
                    whole.at[prompt + steps - 1] = prompt_verdict_id(b.words, correct);
                    forward_one(&b, whole.at, prompt + steps - 1, prompt + steps, logprob);
                    logp[correct] = (double)logprob[prompt + steps - 1];
                }
                double c = 1 / (1 + exp(logp[0] - logp[1]));
                search_node node = search_node_at(s, v);
                if (!(fabs(c - node.C) < 1e-4)) fail_msg("node %d: C %g, the model says %g", v, node.C, c);
                ended += search_outcome_is_ended(node.outcome);
            }
            MEM_LIST_FREE(&whole);
        }
        assert_int_equal(token_counts_judged(&o.sum), 0);
        searched_free(&o);
    }
    assert_true(nodes > 80 && ended > 0);
    bench_close(&b);
}

/* A search that gives it no weight computes what a search without a judge computes, to the token. */
static void what_the_policy_says_costs_nothing(void **state) {
    (void)state;
    bench b = bench_open();
    search_config config = small_search();
    config.rewards.judge_kind = SEARCH_JUDGE_NEXT_TOKEN;
    config.calibration.off = true;
    searched said = search_list(&b, &usual, &config, problems, 3, true);
    config.rewards.judge = false;
    searched unjudged = search_list(&b, &usual, &config, problems, 3, true);
    int64_t different = 0;
    for (int32_t i = 0; i < 3; i++) {
        const search *x = said.jobs[i].search, *y = unjudged.jobs[i].search;
        assert_int_equal(search_node_count(x), search_node_count(y));
        for (int32_t v = 0; v < search_node_count(x); v++) {
            assert_true(search_node_at(x, v).Q == search_node_at(y, v).Q);
            different += search_node_at(x, v).C != 0;
        }
    }
    assert_true(different > 20);
    assert_int_equal(said.sum.computed, unjudged.sum.computed);
    assert_int_equal(said.sum.sampled, unjudged.sum.sampled);
    searched_free(&said);
    searched_free(&unjudged);
    bench_close(&b);
}

static void company_does_not_matter(void **state) {
    (void)state;
    /* Plain loops compute each row by itself, so that another batch gives the same bits. */
    bench b = bench_open_on("ref");
    search_config config = small_search();
    searched all = search_list(&b, &usual, &config, problems, PROBLEMS, true);
    searched again = search_list(&b, &usual, &config, problems, PROBLEMS, true);
    for (int32_t i = 0; i < PROBLEMS; i++) {
        searched alone = search_list(&b, &usual, &config, problems + i, 1, true);
        same_tree(all.jobs[i].search, alone.jobs[0].search);
        same_tree(all.jobs[i].search, again.jobs[i].search);
        searched_free(&alone);
    }
    searched_free(&again);
    searched_free(&all);
    bench_close(&b);
}

static void nothing_twice(void **state) {
    (void)state;
    bench b = bench_open();
    search_config config = small_search();
    lm_settings set = usual;
    searched o = search_list(&b, &set, &config, problems, PROBLEMS, true);
    assert_int_equal(o.sum.computed, o.computed);
    assert_int_equal(o.sum.recomputed, 0);
    assert_int_equal(o.computed, least_tokens(b.words, &o));
    searched_free(&o);
    bench_close(&b);
}

/* 1.3: what the judge read, whatever trees share: its prefix once per tree, a suffix per node, the steps. */
static void the_budget_counts_what_the_judge_read(void **state) {
    (void)state;
    bench b = bench_open();
    lm_settings set = usual;
    search_config config = small_search();
    int64_t suffix = prompt_judge_suffix(b.words)->count;
    for (int unshared = 0; unshared < 2; unshared++) {
        set.unshared = unshared;
        searched o = search_list(&b, &set, &config, problems, PROBLEMS, true);
        for (int32_t i = 0; i < o.n; i++) {
            const token_counts *c = &o.jobs[i].counts;
            token_list prefix = {0};
            OK(prompt_judge_prefix(b.words, &problems[i], set.example, &prefix, &error));
            int64_t nodes = search_node_count(o.jobs[i].search) - 1;
            assert_int_equal(c->judge_prefixes, prefix.count);
            assert_int_equal(c->suffixes, nodes * suffix);
            assert_true(c->judged > 0);
            assert_int_equal(token_counts_judged(c), prefix.count + c->judged + nodes * suffix);
            MEM_LIST_FREE(&prefix);
        }
        searched_free(&o);
    }
    config.rewards.judge = false;
    searched o = search_list(&b, &set, &config, problems, PROBLEMS, true);
    assert_int_equal(token_counts_judged(&o.sum), 0);
    searched_free(&o);
    bench_close(&b);
}

static void any_cache_ends(void **state) {
    (void)state;
    bench b = bench_open_on("ref");
    search_config config = small_search();
    config.limits.root_probe = 2;
    searched large = search_list(&b, &usual, &config, problems, PROBLEMS, true);
    int64_t recomputed = 0;
    const int64_t sizes[] = {1100, 900};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        lm_settings set = usual;
        set.kv_tokens = sizes[k];
        searched tiny = search_list(&b, &set, &config, problems, PROBLEMS, true);
        for (int32_t i = 0; i < PROBLEMS; i++) {
            same_tree(large.jobs[i].search, tiny.jobs[i].search);
            recomputed += tiny.jobs[i].counts.recomputed;
        }
        searched_free(&tiny);
    }
    assert_true(recomputed > 0);

    lm_settings set = usual;
    set.kv_tokens = 256;
    sampler *p;
    OK(lm_new(&p, b.m, b.words, &set, &error));
    search_job job = {.problem = &problems[0]};
    OK(search_new(&job.search, &config, rng_key(1), &error));
    assert_int_equal(sampler_search(p, &job, 1, NULL, NULL, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "too small"));
    search_free(job.search);
    sampler_free(p);
    searched_free(&large);
    bench_close(&b);
}

static void gold_stays_out(void **state) {
    (void)state;
    bench b = bench_open();
    problem changed[PROBLEMS];
    memcpy(changed, problems, sizeof changed);
    for (int i = 0; i < PROBLEMS; i++) changed[i].gold = "99", changed[i].rationale = "It is 99.\n#### 99";
    search_config config = small_search();
    config.limits.gold_injection = true;
    searched x = search_list(&b, &usual, &config, problems, 3, false);
    searched y = search_list(&b, &usual, &config, changed, 3, false);
    searched known = search_list(&b, &usual, &config, changed, 3, true);
    for (int32_t i = 0; i < 3; i++) {
        same_tree(x.jobs[i].search, y.jobs[i].search);
        assert_int_equal(x.jobs[i].counts.gold, 0);
        for (int32_t v = 0; v < search_node_count(x.jobs[i].search); v++) {
            search_outcome o = search_node_at(x.jobs[i].search, v).outcome;
            assert_true(o != SEARCH_RIGHT && o != SEARCH_WRONG);
        }
        assert_true(known.jobs[i].counts.gold > 0); /* the same settings do look at it where they may */
        assert_true(fabs(search_node_at(known.jobs[i].search, 1).C - search_node_at(x.jobs[i].search, 1).C) >
                    1e-7);
    }
    searched_free(&x);
    searched_free(&y);
    searched_free(&known);
    bench_close(&b);
}

static void stops_on_request(void **state) {
    (void)state;
    bench b = bench_open();
    volatile sig_atomic_t stop = 1;
    lm_settings set = usual;
    set.stop = &stop;
    sampler *p;
    OK(lm_new(&p, b.m, b.words, &set, &error));
    search_config config = small_search();
    search_job job = {.problem = &problems[0]};
    OK(search_new(&job.search, &config, rng_key(1), &error));
    assert_int_equal(sampler_search(p, &job, 1, NULL, NULL, &error), ESP_INTERRUPTED);
    search_free(job.search);
    sampler_free(p);
    bench_close(&b);
}

/* ---- Chains ---- */

static int64_t plain_greedy(bench *b, const token_list *prompt, int32_t most, int32_t *out) {
    kv_cache *kv;
    OK(kv_new(&kv, b->m, 1024, &error));
    int32_t run = kv_run_new(kv, -1), n = 0;
    const int32_t *next = prompt->at;
    int64_t count = prompt->count;
    while (n < most) {
        kv_read read = {.at = count - 1, .kind = READ_GREEDY};
        OK(model_extend(b->m, kv, &(kv_feed){run, next, count, n > 0}, 1, &read, 1, &error));
        out[n] = read.token;
        next = &out[n++];
        count = 1;
        if (read.token == prompt_eos(b->words)) break;
    }
    kv_run_release(kv, run);
    kv_free(kv);
    return n;
}

static void chains(void **state) {
    (void)state;
    bench b = bench_open();
    lm_settings set = usual;
    sampler *p;
    OK(lm_new(&p, b.m, b.words, &set, &error));
    enum { K = 20, MOST = 40 };
    token_list prompts[2] = {{0}, {0}};
    chain_job jobs[2 * K] = {0}, alone = {0};
    for (int q = 0; q < 2; q++) {
        OK(prompt_ids(p->words, &problems[q], &prompts[q], &error));
        for (int k = 0; k < K; k++)
            jobs[q * K + k] = (chain_job){.prompt = prompts[q].at,
                                          .prompt_count = prompts[q].count,
                                          .temperature = k ? 1.0f : 0.0f,
                                          .key = rng_mix(rng_key(3), (uint64_t)(q * K + k)),
                                          .max_tokens = MOST};
    }
    token_counts counts;
    OK(sampler_chains(p, jobs, 2 * K, &counts, NULL, NULL, &error));
    int64_t tokens = 0, differ = 0;
    for (int i = 0; i < 2 * K; i++) {
        const chain_job *job = &jobs[i];
        assert_true(job->ids.count == MOST ||
                    (job->finished && job->ids.at[job->ids.count - 1] == prompt_eos(p->words)));
        assert_int_equal(job->logprobs.count, job->ids.count);
        assert_int_equal(job->ends.at[job->ends.count - 1], job->ids.count);
        tokens += job->ids.count;
        differ += i % K && memcmp(job->ids.at, jobs[i - 1].ids.at, 16) != 0;
        static int32_t path[1024];
        static float logprob[1024];
        memcpy(path, job->prompt, (size_t)job->prompt_count * 4);
        memcpy(path + job->prompt_count, job->ids.at, (size_t)job->ids.count * 4);
        forward_one(&b, path, job->prompt_count, job->prompt_count + job->ids.count, logprob);
        for (int64_t t = 0; t < job->ids.count; t++)
            assert_true(fabs((double)(logprob[job->prompt_count + t] - job->logprobs.at[t])) < 1e-4);
    }
    assert_true(differ > K);
    assert_int_equal(counts.sampled, tokens);
    assert_true(counts.computed < tokens + prompts[0].count + prompts[1].count);
    for (int q = 0; q < 2; q++) {
        int32_t greedy[MOST];
        int64_t n = plain_greedy(&b, &prompts[q], MOST, greedy);
        assert_int_equal(n, jobs[q * K].ids.count);
        assert_memory_equal(greedy, jobs[q * K].ids.at, (size_t)n * 4);
    }
    alone = (chain_job){.prompt = prompts[1].at,
                        .prompt_count = prompts[1].count,
                        .temperature = 1,
                        .key = jobs[2 * K - 1].key,
                        .max_tokens = MOST};
    OK(sampler_chains(p, &alone, 1, &counts, NULL, NULL, &error));
    assert_int_equal(alone.ids.count, jobs[2 * K - 1].ids.count);
    assert_memory_equal(alone.ids.at, jobs[2 * K - 1].ids.at, (size_t)alone.ids.count * 4);
    chain_job_free(&alone);
    for (int i = 0; i < 2 * K; i++) chain_job_free(&jobs[i]);
    MEM_LIST_FREE(&prompts[0]);
    MEM_LIST_FREE(&prompts[1]);
    sampler_free(p);
    bench_close(&b);
}

/* (2.3) From a depth on, one candidate runs to the chain's end. */
static void runs_to_the_end(void **state) {
    (void)state;
    bench b = bench_open();
    search_config config = small_search();
    config.limits.rest_from_depth = 1;
    config.limits.gold_injection = true;
    searched o = search_list(&b, &usual, &config, problems, 2, true);
    int64_t deep = 0;
    for (int32_t i = 0; i < 2; i++) {
        const search *s = o.jobs[i].search;
        check_against_forward(&b, &o.jobs[i], true);
        for (int32_t v = 1; v < search_node_count(s); v++) {
            search_node node = search_node_at(s, v);
            assert_true(node.depth <= 2);
            if (node.depth < 2) continue;
            deep++;
            int64_t length = search_path_ids(s, v, NULL);
            assert_true(search_outcome_is_finished(node.outcome) || length == usual.max_chain_tokens);
        }
    }
    assert_true(deep > 2);
    searched_free(&o);
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_as_the_model_says),
        cmocka_unit_test(company_does_not_matter),
        cmocka_unit_test(the_policy_says_it_where_it_samples),
        cmocka_unit_test(what_the_policy_says_costs_nothing),
        cmocka_unit_test(nothing_twice),
        cmocka_unit_test(the_budget_counts_what_the_judge_read),
        cmocka_unit_test(any_cache_ends),
        cmocka_unit_test(gold_stays_out),
        cmocka_unit_test(stops_on_request),
        cmocka_unit_test(chains),
        cmocka_unit_test(runs_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
