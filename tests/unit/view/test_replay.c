/* A stored tree searched again gives the same simulations, with the N and Q of every node before each of
 * them, and the stored numbers; a tree that does not is refused. */
#include "support.h"
#include "../search/synthetic.h"

#include "loop/tree_rows.h"
#include "recipe/recipe.h"
#include "view/replay.h"

typedef struct {
    MEM_LIST(store_node) nodes;
    MEM_LIST(search_simulation) seen;
    MEM_LIST(replay_value) values; /* of all nodes, after each simulation */
    int64_t duplicates;            /* that were dropped */
    const search *s;
} stored;

static void see(void *user, const search_simulation *simulation) {
    stored *out = user;
    MEM_LIST_PUSH(&out->seen, *simulation);
    for (int32_t i = 0; i < search_node_count(out->s); i++) {
        search_node n = search_node_at(out->s, i);
        MEM_LIST_PUSH(&out->values, ((replay_value){n.N, n.Q}));
    }
}

/* A search by the synthetic policy, and its nodes as the run stores them. */
static stored search_and_store(const search_config *config, uint64_t seed) {
    stored out = {0};
    synthetic *y = synthetic_new(config, seed);
    out.s = y->s;
    search_watch(y->s, see, &out);
    while (synthetic_step(y)) {
    }
    MEM_LIST_RESERVE(&out.nodes, search_node_count(y->s));
    out.nodes.count = search_node_count(y->s);
    tree_rows_nodes(y->s, out.nodes.at);
    for (int64_t i = 0; i < out.nodes.count; i++) out.nodes.at[i].ids = NULL; /* they end with the search */
    assert_int_equal(out.seen.count, search_stats_of(y->s).simulations + config->limits.root_probe);
    out.duplicates = search_stats_of(y->s).duplicates;
    synthetic_free(y);
    return out;
}

static void stored_free(stored *s) {
    MEM_LIST_FREE(&s->nodes);
    MEM_LIST_FREE(&s->seen);
    MEM_LIST_FREE(&s->values);
}

/* Takes a simulation back as the page does; returns the number of nodes before it. */
static int32_t take_back(const replay *r, int64_t index, const store_node *nodes, replay_value *values) {
    const replay_moment *m = &r->moments.at[index];
    int64_t used = 0;
    for (int64_t at = m->simulation.leaf;; at = nodes[at].parent) {
        if (at < m->simulation.first_new) {
            const replay_change *c = &r->changes.at[m->first + used++];
            assert_int_equal(values[at].N, c->after.N);
            assert_true(values[at].Q == c->after.Q);
            values[at] = c->before;
        }
        if (at == m->simulation.root) break;
    }
    assert_int_equal(used, m->count);
    return m->simulation.first_new;
}

/* Every moment, from the stored numbers backwards, has the search's own N and Q at that time, bit for bit. */
static void check_moments(const replay *r, const stored *s) {
    int32_t made = (int32_t)s->nodes.count;
    replay_value *now = MEM_ARRAY(replay_value, made);
    for (int32_t i = 0; i < made; i++) now[i] = (replay_value){s->nodes.at[i].visits, s->nodes.at[i].q};
    int64_t end = s->values.count;
    for (int64_t i = r->moments.count - 1; i >= 0; i--) {
        end -= made;
        for (int32_t n = 0; n < made; n++) {
            assert_int_equal(now[n].N, s->values.at[end + n].N);
            assert_true(now[n].Q == s->values.at[end + n].Q);
        }
        made = take_back(r, i, s->nodes.at, now);
    }
    assert_int_equal(end, 0);
    assert_int_equal(made, 1); /* the root is there from the beginning */
    assert_true(now[0].N == 0 && now[0].Q == 0);
    mem_free(now);
}

static void check(const search_config *config, uint64_t seed) {
    stored s = search_and_store(config, seed);
    replay r = {0};
    /* Nodes do not say how often a candidate came again, on which the next candidate depends here. */
    bool may_fail = search_rule_at(config->rule)->growth && s.duplicates > 0;
    if (may_fail && !replay_tree(&r, config, rng_key(seed), s.nodes.at, s.nodes.count)) {
        stored_free(&s);
        return;
    }
    if (!may_fail && !replay_tree(&r, config, rng_key(seed), s.nodes.at, s.nodes.count))
        fail_msg("seed %d, root_probe %d, gold %d, max_nodes %d", (int)seed, (int)config->limits.root_probe,
                 config->limits.gold_injection, (int)config->limits.max_nodes);
    assert_int_equal(r.moments.count, s.seen.count);
    for (int64_t i = 0; i < r.moments.count; i++)
        assert_memory_equal(&r.moments.at[i].simulation, &s.seen.at[i], sizeof s.seen.at[i]);
    check_moments(&r, &s);
    replay_free(&r);
    stored_free(&s);
}

static search_config preset_config(const char *name) {
    recipe *r;
    const recipe_override preset = {"search.preset", name, "test"};
    if (recipe_load(&r, NULL, &preset, 1, NULL) != ESP_OK) fail_msg("%s", name);
    search_config config = r->search.config;
    recipe_free(r);
    return config;
}

/* A rule with random numbers is replayed with the tree's key. */
static void every_rule_is_replayed(void **state) {
    (void)state;
    for (int i = 0; search_rule_at(i); i++)
        for (uint64_t seed = 0; seed < 12; seed++) {
            search_config config = plain_config();
            config.limits.simulations = 8;
            assert_int_equal(search_config_set(&config, "rule", search_rule_name(i), NULL), ESP_OK);
            check(&config, seed);
        }
}

static void every_preset_is_replayed(void **state) {
    (void)state;
    for (int i = 0; preset_name(i); i++)
        for (uint64_t seed = 0; seed < 12; seed++) {
            search_config config = preset_config(preset_name(i));
            if (config.limits.simulations > 8)
                config.limits.simulations = 8; /* the tree of the synthetic policy is small */
            if (config.limits.root_multiplier > 4) config.limits.root_multiplier = 4;
            config.rewards.judge = seed % 3 != 0;
            config.limits.max_nodes = seed % 4 == 3 ? 40 : 0;
            /* the synthetic gold step differs from one request to the next, which a probed state makes two of
             */
            config.limits.root_probe = seed % 4 > 1 ? (int32_t)seed : 0;
            config.limits.gold_injection = seed % 2 && !config.limits.root_probe;
            check(&config, seed);
        }
}

static void what_does_not_fit_is_not_told(void **state) {
    (void)state;
    search_config config = plain_config();
    config.limits.simulations = 12;
    config.limits.breadth_root = 5;
    stored s = search_and_store(&config, 6);
    replay r = {0};
    assert_true(s.nodes.count > 8);
    assert_true(replay_tree(&r, &config, rng_key(6), s.nodes.at, s.nodes.count));
    double q = s.nodes.at[3].q;
    s.nodes.at[3].q = q + 1e-6;
    assert_false(replay_tree(&r, &config, rng_key(6), s.nodes.at, s.nodes.count));
    assert_int_equal(r.moments.count + r.changes.count, 0);
    s.nodes.at[3].q = q;
    s.nodes.at[2].visits++;
    assert_false(replay_tree(&r, &config, rng_key(6), s.nodes.at, s.nodes.count));
    s.nodes.at[2].visits--;
    search_config other = config;
    puct_of(&other)->c_puct = 41;
    other.limits.simulations++;
    assert_false(replay_tree(&r, &other, rng_key(6), s.nodes.at, s.nodes.count));
    assert_false(replay_tree(&r, &config, rng_key(6), s.nodes.at, s.nodes.count - 1)); /* a node is gone */
    s.nodes.at[4].confidence = NAN;
    assert_false(replay_tree(&r, &config, rng_key(6), s.nodes.at, s.nodes.count));
    replay_free(&r);
    stored_free(&s);
}

/* What a damaged store may hold. */
static void damage_is_survived(void **state) {
    (void)state;
    search_config config = plain_config();
    replay r = {0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        stored s = search_and_store(&config, seed % 7);
        rng_key_t key = rng_mix(rng_key(3), seed);
        store_node *n = &s.nodes.at[rng_below(key, 0, (uint64_t)s.nodes.count)];
        int64_t wild[] = {-2, 0, 1, INT64_MAX, INT64_MIN, s.nodes.count};
        int64_t value = wild[rng_below(key, 1, 6)];
        bool untouched = false;
        switch (rng_below(key, 2, 5)) {
        case 0:
            untouched = n->parent == value;
            n->parent = value;
            break;
        case 1:
            untouched = n->index == value;
            n->index = value;
            break;
        case 2: /* a length decides the prior alone: the search may come out the same */
            untouched = n->index == 0 || value > 0;
            n->count = value;
            break;
        case 3:
            untouched = n->visits == value;
            n->visits = value;
            break;
        default:
            n->q = NAN;
        }
        bool told = replay_tree(&r, &config, rng_key(6), s.nodes.at, s.nodes.count);
        if (!untouched) assert_false(told);
        stored_free(&s);
    }
    assert_false(replay_tree(&r, &config, rng_key(6), NULL, 0));
    config.limits.simulations = 0;
    assert_false(replay_tree(&r, &config, rng_key(6), &(store_node){.parent = -1}, 1));
    replay_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_is_replayed),
        cmocka_unit_test(every_rule_is_replayed),
        cmocka_unit_test(what_does_not_fit_is_not_told),
        cmocka_unit_test(damage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
