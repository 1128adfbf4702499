/* Searches on the tiny model, and how two of them, or their counts of tokens, are compared. */
#ifndef TEST_POLICY_TREES_H
#define TEST_POLICY_TREES_H

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
     .question = "Lily ate 4 of 9 cakes. How many are left?",
     .gold = "5",
     .rationale = "She had 9 cakes.\n9 - 4 = 5\n#### 5"},
    {.index = 2,
     .id = "p2",
     .question = "A toy costs 2 coins. What do 6 toys cost?",
     .gold = "12",
     .rationale = "6 * 2 = 12\n#### 12"},
    {.index = 3,
     .id = "p3",
     .question = "Ben saw 7 birds, and 1 flew away. How many stay?",
     .gold = "6",
     .rationale = "7 - 1 = 6\n#### 6"},
    {.index = 4,
     .id = "p4",
     .question = "Max has a red ball, and Sue has two. How many balls?",
     .gold = "3",
     .rationale = "Max has 1 ball. Sue has 2.\n1 + 2 = 3\n#### 3"},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

static inline search_config small_search(void) {
    search_config c;
    search_config_defaults(&c);
    c.limits.root_probe = 0;
    c.limits.simulations = 4;
    c.limits.root_multiplier = 2;
    c.limits.breadth_root = 4;
    c.limits.breadth = 3;
    c.limits.horizon = 3;
    c.limits.max_steps = 4;
    c.rewards.judge = true;
    return c;
}

typedef struct {
    search_job jobs[PROBLEMS];
    int32_t n;
    token_counts sum;
    int64_t computed; /* by the model */
} searched;

/* Searches n problems of the list side by side. */
static inline searched search_list(bench *b, const lm_settings *set, const search_config *config,
                                   const problem *list, int32_t n, bool gold_known) {
    searched o = {.n = n, .computed = -model_tokens_computed(b->m)};
    sampler *s;
    OK(lm_new(&s, b->m, b->words, set, &error));
    for (int32_t i = 0; i < n; i++) {
        o.jobs[i] = (search_job){.problem = &list[i], .gold_known = gold_known};
        OK(search_new(&o.jobs[i].search, config, rng_mix(rng_key(7), (uint64_t)list[i].index), &error));
    }
    OK(sampler_search(s, o.jobs, n, NULL, NULL, &error));
    o.computed += model_tokens_computed(b->m);
    for (int32_t i = 0; i < n; i++) token_counts_add(&o.sum, &o.jobs[i].counts);
    sampler_free(s);
    return o;
}

static inline void searched_free(searched *o) {
    for (int32_t i = 0; i < o->n; i++) search_free(o->jobs[i].search);
}

/* Nodes, ids, visits and outcomes equal; numbers within `bound`, where 0 means the same bits. */
static inline void same_tree_within(const search *a, const search *b, double bound) {
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
        double most = fmax(fabs(x.C - y.C), fabs(x.Q - y.Q));
        for (int32_t i = 0; i < x.n; i++)
            most = fmax(most, fabs((double)x.logprobs[i] - (double)y.logprobs[i]));
        if (!(most <= bound)) fail_msg("node %d: numbers differ by %g", v, most);
    }
}

static inline void same_tree(const search *a, const search *b) {
    same_tree_within(a, b, 0);
}

/* ---- A trie of tokens, to count by ---- */

typedef struct {
    int32_t token, child, sibling; /* -1: none */
} trie_node;
typedef MEM_LIST(trie_node) trie;

static inline void trie_add(trie *t, const int32_t *ids, int64_t n) {
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

/* Tokens of the trees' own, each once below each of the two prompts: a step's last is fed to the policy only
 * where its node was expanded, to the judge always but for end-of-sequence. */
static inline int64_t tokens_of_trees(const prompt_words *w, const searched *o, bool example) {
    trie tries[PREFIXES] = {{0}, {0}};
    for (int32_t j = 0; j < o->n; j++) {
        const search *s = o->jobs[j].search;
        prompt_pair prompts;
        OK(prompt_pair_make(w, o->jobs[j].problem, true, example, 4096, &prompts, &error));
        for (int32_t v = 0; v < search_node_count(s); v++) {
            search_node node = search_node_at(s, v);
            int64_t n = search_path_ids(s, v, NULL);
            bool ends = v > 0 && node.ids[node.n - 1] == prompt_eos(w);
            for (int p = 0; p < PREFIXES; p++) {
                int32_t path[1024];
                int64_t before = prompts.of[p].count;
                memcpy(path, prompts.of[p].at, (size_t)before * sizeof *path);
                search_path_ids(s, v, path + before);
                bool unread = p == PREFIX_POLICY ? v > 0 && !node.expanded : ends;
                trie_add(&tries[p], path, before + n - unread);
            }
        }
        prompt_pair_free(&prompts);
    }
    int64_t sum = 0;
    for (int p = 0; p < PREFIXES; p++) {
        sum += tries[p].count - 1;
        MEM_LIST_FREE(&tries[p]);
    }
    return sum;
}

#endif
