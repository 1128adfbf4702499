/* Pairs of a whole tree and smoothing by evidence, against plain second implementations on random trees. */
#include "synthetic.h"

#define SEEDS 300

static harvest_pairs read_pairs(const synthetic *y, const harvest_options *o) {
    harvest_pairs pairs;
    esp_error error = {0};
    if (harvest_options_check(o, &error)) fail_msg("%s", error.message);
    harvest_step_pairs(y->s, o, &pairs);
    return pairs;
}

/* P(Y > X), X ~ Beta(a, b), Y ~ Beta(c, d), by Simpson's rule over y: integral of Y's density times X's
 * distribution function, itself summed up on the way. */
static double by_quadrature(double a, double b, double c, double d) {
    enum { PARTS = 20000 };
    double beta_x = lgamma(a) + lgamma(b) - lgamma(a + b), beta_y = lgamma(c) + lgamma(d) - lgamma(c + d),
           below = 0, sum = 0;
    for (int i = 0; i < PARTS; i++) {
        double x = (i + 0.5) / PARTS;
        double fx = exp((a - 1) * log(x) + (b - 1) * log(1 - x) - beta_x) / PARTS;
        double fy = exp((c - 1) * log(x) + (d - 1) * log(1 - x) - beta_y) / PARTS;
        sum += fy * (below + fx / 2);
        below += fx;
    }
    return sum;
}

static void doubt_is_the_posterior(void **state) {
    (void)state;
    assert_true(fabs(harvest_order_doubt(0, 0, 0, 0) - 0.5) < 1e-12);
    assert_true(fabs(harvest_order_doubt(1, 0, 0, 1) - 1.0 / 6) < 1e-12);
    assert_true(fabs(harvest_order_doubt(1, 0, 0, 0) - 1.0 / 3) < 1e-12);
    for (int64_t rw = 0; rw < 7; rw++)
        for (int64_t ww = 0; ww < 7; ww++)
            for (int64_t rl = 0; rl < 7; rl += 2)
                for (int64_t wl = 0; wl < 7; wl += 3) {
                    double doubt = harvest_order_doubt(rw, ww, rl, wl);
                    double want =
                        by_quadrature(1 + (double)rw, 1 + (double)ww, 1 + (double)rl, 1 + (double)wl);
                    assert_true(fabs(doubt - want) < 1e-6);
                    assert_true(fabs(doubt + harvest_order_doubt(rl, wl, rw, ww) - 1) < 1e-9);
                    assert_true(harvest_order_doubt(rw + 1, ww, rl, wl) < doubt);
                    assert_true(harvest_order_doubt(rw, ww, rl, wl + 1) < doubt);
                }
    /* Counts at which the terms themselves are below the smallest double. */
    assert_true(harvest_order_doubt(9999, 1, 1, 9999) == 0);
    assert_true(fabs(harvest_order_doubt(1, 9999, 9999, 1) - 1) < 1e-9);
    assert_true(fabs(harvest_order_doubt(5000, 5000, 5000, 5000) - 0.5) < 1e-9);
}

/* ---- a second implementation: by walking down from each child ---- */

/* Of the first `nodes` nodes: the tree as it was when it had that many. */
static void count_below_then(const search *s, int32_t node, int32_t nodes, int64_t out[2]) {
    search_node n = search_node_at(s, node);
    if (n.outcome == SEARCH_RIGHT) out[0]++;
    if (n.outcome == SEARCH_WRONG) out[1]++;
    if (n.outcome == SEARCH_CUT && n.O < 0) out[1]++;
    for (int32_t i = 1; i < nodes; i++)
        if (search_node_at(s, i).parent == node) count_below_then(s, i, nodes, out);
}

static void count_below(const search *s, int32_t node, int64_t out[2]) {
    count_below_then(s, node, search_node_count(s), out);
}

static double plain_doubt(const search *s, const harvest_options *o, int32_t w, int32_t l) {
    int64_t a[2] = {0}, b[2] = {0};
    if (o->smoothing == HARVEST_BY_VISITS) {
        double N_w = (double)search_node_at(s, w).N, N_l = (double)search_node_at(s, l).N;
        return N_l / (fmax(1, N_w) + N_l);
    }
    count_below(s, w, a);
    count_below(s, l, b);
    return harvest_order_doubt(a[0], a[1], b[0], b[1]);
}

static bool may_stand(const search *s, const harvest_options *o, int32_t node) {
    int64_t seen[2] = {0};
    if (o->smoothing == HARVEST_BY_VISITS)
        return o->pairs_from == HARVEST_FROM_ALL || search_node_at(s, node).N > 0;
    count_below(s, node, seen);
    return seen[0] + seen[1] > 0;
}

/* The winner for a rejected node, or -1. */
static int32_t plain_winner(const search *s, const harvest_options *o, int32_t l) {
    search_node loser = search_node_at(s, l);
    int32_t best = -1;
    if (search_node_at(s, loser.parent).N == 0 || !may_stand(s, o, l)) return -1;
    for (int32_t w = 1; w < search_node_count(s); w++) {
        search_node n = search_node_at(s, w);
        if (n.parent != loser.parent || !may_stand(s, o, w)) continue;
        if (!(n.Q - loser.Q > o->min_q_gap)) continue;
        double mine = plain_doubt(s, o, w, l), its = best < 0 ? 2 : plain_doubt(s, o, best, l);
        if (mine < its || (mine == its && n.Q > search_node_at(s, best).Q)) best = w;
    }
    return best;
}

static search_config tree_config(uint64_t seed) {
    search_config c = synthetic_config(seed);
    c.rewards.cut_reward = seed % 5 ? -1 : 0;
    c.limits.simulations = 1 + c.limits.simulations / 2;
    return c;
}

static harvest_options all_states(uint64_t seed) {
    harvest_options o = plain_harvest();
    o.pairs_at = HARVEST_AT_ALL;
    o.pairs_from = seed / 3 % 2 ? HARVEST_FROM_ALL : HARVEST_FROM_VISITED;
    o.smoothing = seed % 3 ? HARVEST_BY_EVIDENCE : HARVEST_BY_VISITS;
    o.min_q_gap = seed % 2 ? 0.25 : 0;
    return o;
}

static void every_losing_step_once(void **state) {
    (void)state;
    int64_t seen = 0, off_path = 0, capped = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = tree_config(seed);
        harvest_options harvest = all_states(seed), *o = &harvest;
        synthetic *y = synthetic_run(&config, seed);
        harvest_pairs pairs = read_pairs(y, o);
        const search *s = y->s;
        int32_t at = 0, last_state = 0;
        assert_int_equal(pairs.read, pairs.count);
        for (int32_t i = 0; i < pairs.count; i++)
            assert_true(pairs.at[i].state >= last_state), last_state = pairs.at[i].state;
        for (int32_t l = 1; l < search_node_count(s); l++) {
            int32_t w = plain_winner(s, o, l), found = -1;
            for (int32_t i = 0; i < pairs.count; i++)
                if (pairs.at[i].rejected == l) {
                    assert_int_equal(found, -1);
                    found = i;
                }
            assert_int_equal(w >= 0, found >= 0);
            if (w < 0) continue;
            harvest_pair pair = pairs.at[found];
            double doubt = plain_doubt(s, o, w, l);
            assert_int_equal(pair.chosen, w);
            assert_int_equal(pair.state, search_node_at(s, l).parent);
            assert_true(pair.alpha == fmin(doubt, o->smoothing_cap));
            assert_true(pair.q_chosen == search_node_at(s, w).Q && pair.n_rejected == search_node_at(s, l).N);
            capped += doubt > o->smoothing_cap;
            off_path += pair.commitment < 0;
            if (pair.commitment >= 0) {
                assert_int_equal(search_commitment_at(s, pair.commitment).state, pair.state);
                assert_int_equal(pairs.at[pairs.of_commitment[pair.commitment]].state, pair.state);
            }
            at++;
        }
        assert_int_equal(at, pairs.count);
        seen += at;
        harvest_pairs_free(&pairs);
        synthetic_free(y);
    }
    if (!(seen > 3 * SEEDS && off_path > SEEDS && capped > 10))
        fail_msg("%d pairs, %d off the path, %d capped", (int)seen, (int)off_path, (int)capped);
}

/* max_pairs keeps those of least doubt, in their order. */
static void a_cap_keeps_the_surest(void **state) {
    (void)state;
    int64_t cut = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = tree_config(seed);
        harvest_options every = all_states(seed);
        every.smoothing_cap = 1;
        harvest_options few = every;
        few.max_pairs = 1 + (int64_t)(seed % 4);
        synthetic *y = synthetic_run(&config, seed);
        harvest_pairs all = read_pairs(y, &every), some = read_pairs(y, &few);
        int32_t n = all.count, kept = some.count, at = 0;
        assert_int_equal(kept, n < few.max_pairs ? n : few.max_pairs);
        double worst_kept = 0, best_left = 2;
        for (int32_t i = 0; i < n; i++) {
            if (at < kept && some.at[at].rejected == all.at[i].rejected) {
                worst_kept = fmax(worst_kept, all.at[i].alpha);
                at++;
            } else {
                best_left = fmin(best_left, all.at[i].alpha);
            }
        }
        assert_int_equal(at, kept);
        assert_true(kept == 0 || worst_kept <= best_left);
        cut += n - kept;
        harvest_pairs_free(&all);
        harvest_pairs_free(&some);
        synthetic_free(y);
    }
    assert_true(cut > SEEDS);
}

/* ---- pairs at commitments ---- */

/* A pair is made of the children as they were at the commitment, though the tree grew afterwards. */
static void pairs_of_commitments_hold(void **state) {
    (void)state;
    int64_t seen = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = synthetic_config(seed);
        harvest_options o = plain_harvest();
        o.min_q_gap = seed % 2 ? 0.25 : 0;
        o.pairs_from = seed / 2 % 2 ? HARVEST_FROM_ALL : HARVEST_FROM_VISITED;
        synthetic *y = synthetic_run(&config, seed);
        harvest_pairs pairs = read_pairs(y, &o);
        for (int32_t i = 0; i < pairs.count; i++, seen++) {
            harvest_pair pair = pairs.at[i];
            search_commitment made = search_commitment_at(y->s, pair.commitment);
            assert_true(pairs.of_commitment[pair.commitment] == i && made.state == pair.state);
            assert_true(pair.q_chosen - pair.q_rejected > o.min_q_gap);
            assert_true(pair.alpha ==
                        fmin(0.5, harvest_doubt_by_visits((double)pair.n_chosen, (double)pair.n_rejected)));
            for (int32_t j = 0; j < made.child_count; j++) {
                const search_child *c = &made.children[j];
                if (o.pairs_from == HARVEST_FROM_VISITED && c->N == 0) {
                    assert_true(c->node != pair.chosen && c->node != pair.rejected);
                    continue;
                }
                assert_true(c->Q <= pair.q_chosen && c->Q >= pair.q_rejected);
                if (c->node == pair.chosen) assert_true(c->Q == pair.q_chosen && c->N == pair.n_chosen);
                if (c->node == pair.rejected) assert_true(c->Q == pair.q_rejected && c->N == pair.n_rejected);
            }
        }
        harvest_pairs_free(&pairs);
        synthetic_free(y);
    }
    assert_true(seen > SEEDS);
}

/* Pairs at commitments keep their place and order under smoothing by evidence; only alpha differs, and counts
 * the chains that were there at the commitment. */
static void evidence_at_commitments(void **state) {
    (void)state;
    int64_t other = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = synthetic_config(seed);
        harvest_options visits = plain_harvest(), evidence = visits;
        evidence.smoothing = HARVEST_BY_EVIDENCE;
        synthetic *y = synthetic_run(&config, seed);
        harvest_pairs a = read_pairs(y, &visits), b = read_pairs(y, &evidence);
        assert_int_equal(a.count, b.count);
        for (int32_t i = 0; i < a.count; i++) {
            harvest_pair x = a.at[i], z = b.at[i];
            int64_t w[2] = {0}, l[2] = {0};
            int32_t then = search_commitment_at(y->s, z.commitment).nodes;
            assert_true(x.chosen == z.chosen && x.rejected == z.rejected && x.commitment == z.commitment);
            count_below_then(y->s, z.chosen, then, w);
            count_below_then(y->s, z.rejected, then, l);
            assert_true(z.alpha == fmin(harvest_order_doubt(w[0], w[1], l[0], l[1]), evidence.smoothing_cap));
            other += x.alpha != z.alpha;
        }
        harvest_pairs_free(&a);
        harvest_pairs_free(&b);
        synthetic_free(y);
    }
    assert_true(other > SEEDS);
}

static search_config plain(void) {
    search_config c = plain_config();
    c.limits.simulations = 16;
    c.limits.max_steps = 6;
    return c;
}

static void random_loser(void **state) {
    (void)state;
    search_config config = plain();
    harvest_options smallest = plain_harvest();
    smallest.pairs_from = HARVEST_FROM_ALL;
    harvest_options random = smallest;
    random.loser = HARVEST_LOSER_RANDOM_SIBLING;
    int differs = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        synthetic *y = synthetic_run(&config, seed);
        harvest_pairs first = read_pairs(y, &smallest), a = read_pairs(y, &random),
                      b = read_pairs(y, &random);
        assert_int_equal(a.count, b.count);
        for (int32_t i = 0; i < search_commitment_count(y->s); i++) {
            search_commitment made = search_commitment_at(y->s, i);
            const harvest_pair *one = first.of_commitment[i] < 0 ? NULL : &first.at[first.of_commitment[i]];
            const harvest_pair *pair = a.of_commitment[i] < 0 ? NULL : &a.at[a.of_commitment[i]];
            int below = 0; /* siblings that make a pair with the best, whichever is drawn */
            for (int32_t j = 0; one && j < made.child_count; j++) below += made.children[j].Q < one->q_chosen;
            if (one && below == made.child_count - 1) assert_non_null(pair);
            if (!pair) continue;
            assert_int_equal(pair->rejected, b.at[b.of_commitment[i]].rejected);
            assert_true(pair->q_chosen > pair->q_rejected && pair->chosen != pair->rejected);
            assert_int_equal(pair->chosen, one->chosen);
            differs += pair->rejected != one->rejected;
        }
        harvest_pairs_free(&first);
        harvest_pairs_free(&a);
        harvest_pairs_free(&b);
        synthetic_free(y);
    }
    assert_true(differs > SEEDS / 4);
}

static void filters(void **state) {
    (void)state;
    search_config config = plain();
    int capped = 0, dropped = 0, kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        harvest_options every = plain_harvest(), two = every, right = every;
        two.max_pairs = 2;
        right.only_if_right = true;
        synthetic *y = synthetic_run(&config, seed);
        harvest_pairs all = read_pairs(y, &every), few = read_pairs(y, &two), good = read_pairs(y, &right);
        int32_t count = all.count;
        assert_true(few.count == (count < 2 ? count : 2) && few.read == count);
        capped += count > 2;
        search_commitment last = search_commitment_at(y->s, search_commitment_count(y->s) - 1);
        const search_child *best = NULL;
        for (int32_t j = 0; j < last.child_count; j++)
            if (last.children[j].N > 0 && (!best || last.children[j].Q > best->Q)) best = &last.children[j];
        bool is_right = best && search_node_at(y->s, best->node).outcome == SEARCH_RIGHT;
        assert_int_equal(good.count, is_right ? count : 0);
        kept += is_right && count, dropped += !is_right && count;
        harvest_pairs_free(&all);
        harvest_pairs_free(&few);
        harvest_pairs_free(&good);
        synthetic_free(y);
    }
    assert_true(capped && dropped && kept);
}

/* ---- the steps of a pair go on with their own only descendants ---- */

/* A tree that is drawn: the nodes by their paths, a letter per step, each after its parent; an upper-case
 * letter ends the chain, R right, W wrong. A node has the candidates that are drawn, or one that is wrong. */
typedef struct {
    const char *nodes; /* "a aR b bc bcW" */
    const char *chosen, *chosen_end, *rejected_end;
} drawn_tree;

static void path_of(const search *s, int32_t node, char out[16]) {
    int32_t depth = search_node_at(s, node).depth;
    out[depth] = '\0';
    for (; node > 0; node = search_node_at(s, node).parent)
        out[--depth] = (char)search_node_at(s, node).text_key;
}

/* The drawn candidates below a path, with every second one drawn twice: equal texts are one child. */
static int32_t draw_candidates(const drawn_tree *d, const char *path, search_candidate *out) {
    size_t length = strlen(path);
    int32_t n = 0;
    for (const char *at = d->nodes; *at; at += strcspn(at, " "), at += *at == ' ') {
        if (strcspn(at, " ") != length + 1 || strncmp(at, path, length) != 0) continue;
        char step = at[length];
        search_candidate c = {.n = 1, .logprob = -1, .text_key = (uint64_t)step};
        if (step == 'R') c.outcome = SEARCH_RIGHT;
        if (step == 'W') c.outcome = SEARCH_WRONG;
        out[n++] = c;
        if (step % 2) out[n++] = c;
    }
    if (n == 0)
        out[n++] = (search_candidate){.n = 1, .logprob = -1, .text_key = 'W', .outcome = SEARCH_WRONG};
    return n;
}

static search *grow(const drawn_tree *d) {
    search_config config = plain_config();
    config.rewards.judge = false;
    config.limits.simulations = 12;
    config.limits.breadth = 6;
    config.limits.breadth_root = 6;
    search *s;
    esp_error error = {0};
    if (search_new(&s, &config, rng_key(1), &error)) fail_msg("%s", error.message);
    for (;;) {
        search_request q;
        search_candidate candidates[12];
        char path[16];
        search_next(s, &q);
        if (q.kind == SEARCH_DONE) return s;
        path_of(s, q.node, path);
        search_reply reply = {.candidates = candidates};
        reply.candidate_count = draw_candidates(d, path, candidates);
        if (search_feed(s, &reply, &error)) fail_msg("%s: %s", d->nodes, error.message);
    }
}

static void only_descendants_of_drawn_trees(void **state) {
    (void)state;
    static const drawn_tree trees[] = {
        /* each goes on with its own, of other lengths than the other's */
        {"a ab abc abcR b bW", "a", "abcR", "bW"},
        {"a aR b bc bcd bcdW", "a", "aR", "bcdW"},
        /* no further than the first branch, which may be at once */
        {"a ab abc abR abcW b bc bcd bce bcdW bceW", "a", "ab", "bc"},
        {"a ab ac abR acR b bc bd bcW bdW", "a", "a", "b"},
        {"a ab abR b bW bc bcW", "a", "abR", "b"},
        /* a step that ends the chain has nothing to go on with */
        {"R b bc bcW", "R", "R", "bcW"},
        {"a ab abR W", "a", "abR", "W"},
        {"R W", "R", "R", "W"},
        /* three siblings: only the two of the pair matter */
        {"a ab abR b bc bW bcR W", "a", "abR", "W"},
    };
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++)
        for (int all = 0; all < 2; all++) {
            search *s = grow(&trees[i]);
            harvest_options o = plain_harvest();
            o.pairs_from = HARVEST_FROM_ALL;
            o.pairs_at = all ? HARVEST_AT_ALL : HARVEST_AT_COMMITMENTS;
            harvest_pairs plain, joined;
            harvest_step_pairs(s, &o, &plain);
            o.join_only_child = true;
            harvest_step_pairs(s, &o, &joined);
            assert_int_equal(plain.count, joined.count);
            const harvest_pair *worst = NULL; /* of the root: the one with the largest gap */
            for (int32_t k = 0; k < joined.count; k++) {
                const harvest_pair *w = &plain.at[k], *j = &joined.at[k];
                assert_true(w->chosen_end == w->chosen && w->rejected_end == w->rejected);
                assert_true(w->chosen == j->chosen && w->rejected == j->rejected && w->alpha == j->alpha);
                if (j->state == 0 && (!worst || j->q_rejected < worst->q_rejected)) worst = j;
            }
            if (!worst) fail_msg("%s: no pair at the root", trees[i].nodes);
            char chosen[16], chosen_end[16], rejected_end[16];
            path_of(s, worst->chosen, chosen);
            path_of(s, worst->chosen_end, chosen_end);
            path_of(s, worst->rejected_end, rejected_end);
            if (strcmp(chosen, trees[i].chosen) || strcmp(chosen_end, trees[i].chosen_end) ||
                strcmp(rejected_end, trees[i].rejected_end))
                fail_msg("%s: %s to %s against %s", trees[i].nodes, chosen, chosen_end, rejected_end);
            harvest_pairs_free(&plain);
            harvest_pairs_free(&joined);
            search_free(s);
        }
}

/* Random trees, by counting children from their parents. */
static void only_descendants_of_random_trees(void **state) {
    (void)state;
    search_config config = plain();
    int64_t longer[2] = {0}, both = 0, other_place = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        harvest_options o = plain_harvest();
        o.join_only_child = true;
        config.limits.breadth = 1 + (int64_t)(seed % 2); /* of two, duplicates leave some only children */
        o.pairs_at = seed / 2 % 2 ? HARVEST_AT_ALL : HARVEST_AT_COMMITMENTS;
        synthetic *y = synthetic_run(&config, seed);
        harvest_pairs pairs = read_pairs(y, &o);
        for (int32_t i = 0; i < pairs.count; i++) {
            const harvest_pair *pair = &pairs.at[i];
            int32_t ends[] = {pair->chosen, pair->rejected};
            for (int k = 0; k < 2; k++)
                for (;;) {
                    int32_t children = 0, child = -1;
                    for (int32_t v = 1; v < search_node_count(y->s); v++)
                        if (search_node_at(y->s, v).parent == ends[k]) children++, child = v;
                    if (children != 1) break;
                    ends[k] = child;
                }
            assert_true(pair->chosen_end == ends[0] && pair->rejected_end == ends[1]);
            bool further[] = {ends[0] != pair->chosen, ends[1] != pair->rejected};
            longer[0] += further[0], longer[1] += further[1], both += further[0] && further[1];
            other_place += further[1] && ends[1] != ends[0];
        }
        harvest_pairs_free(&pairs);
        synthetic_free(y);
    }
    if (!(longer[0] > 20 && longer[1] > 20 && both > 5 && other_place == longer[1]))
        fail_msg("%d chosen and %d rejected went on, %d both", (int)longer[0], (int)longer[1], (int)both);
}

/* ---- whole chains ---- */

static void chains_of_largest_and_smallest_reward(void **state) {
    (void)state;
    int with = 0, without = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = tree_config(seed);
        harvest_options o = all_states(seed);
        synthetic *y = synthetic_run(&config, seed);
        harvest_pair pair;
        bool found = harvest_instance_pair(y->s, &o, &pair);
        int32_t best = -1, worst = -1;
        for (int32_t i = 0; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i);
            if (n.N == 0 || !search_outcome_is_finished(n.outcome)) continue;
            if (best < 0 || n.R > search_node_at(y->s, best).R) best = i;
            if (worst < 0 || n.R < search_node_at(y->s, worst).R) worst = i;
        }
        double gap = best < 0 ? 0 : search_node_at(y->s, best).R - search_node_at(y->s, worst).R;
        assert_int_equal(found, best >= 0 && gap > o.min_q_gap);
        with += found, without += !found;
        if (found) {
            assert_true(pair.chosen == best && pair.rejected == worst && pair.state == 0);
            assert_true(pair.q_chosen - pair.q_rejected == gap && pair.alpha <= o.smoothing_cap);
            bool sure = search_node_at(y->s, best).outcome == SEARCH_RIGHT &&
                        search_node_at(y->s, worst).outcome == SEARCH_WRONG;
            if (sure && o.smoothing == HARVEST_BY_EVIDENCE) assert_true(fabs(pair.alpha - 1.0 / 6) < 1e-12);
        }
        synthetic_free(y);
    }
    assert_true(with > 10 && without > 10);
}

/* What is known of the chains that end at a node or below it, of the first `nodes` nodes. */
static void know_below(const search *s, int32_t node, int32_t nodes, bool *judged, bool *unknown) {
    search_node n = search_node_at(s, node);
    if (n.outcome == SEARCH_FINISHED_UNKNOWN) *unknown = true;
    if (n.outcome == SEARCH_RIGHT || n.outcome == SEARCH_WRONG || (n.outcome == SEARCH_CUT && n.O < 0))
        *judged = true;
    for (int32_t i = 1; i < nodes; i++)
        if (search_node_at(s, i).parent == node) know_below(s, i, nodes, judged, unknown);
}

/* Of the two sides of a pair: 0 nothing, 1 judged chains, 2 nothing but chains that nobody could judge. */
static int knowledge(const search *s, int32_t node, int32_t nodes) {
    bool judged = false, unknown = false;
    know_below(s, node, nodes, &judged, &unknown);
    return judged ? 1 : unknown ? 2 : 0;
}

/* No pair sets a step whose chains could not be judged against one whose chains were; without any judged
 * chain the self-evaluation still makes pairs; and judged siblings of an unknown step still make theirs. */
static void an_unknown_outcome_makes_no_pair(void **state) {
    (void)state;
    int64_t pairs_with_unknown_below = 0, beside_unknown = 0, chain_pairs = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        search_config config = tree_config(seed);
        config.rewards.judge = true;
        harvest_options o = all_states(seed);
        if (seed % 2) o.pairs_at = HARVEST_AT_COMMITMENTS;
        if (seed % 4 == 1) o.loser = HARVEST_LOSER_RANDOM_SIBLING;
        bool all = seed % 5 == 0;
        synthetic *y = synthetic_run_unknown(&config, seed, all ? 1 : 0.5);
        const search *s = y->s;
        harvest_pairs pairs = read_pairs(y, &o);
        for (int32_t i = 0; i < pairs.count; i++) {
            harvest_pair p = pairs.at[i];
            int32_t nodes = o.pairs_at == HARVEST_AT_COMMITMENTS ? search_commitment_at(s, p.commitment).nodes
                                                                 : search_node_count(s);
            int w = knowledge(s, p.chosen, nodes), l = knowledge(s, p.rejected, nodes);
            assert_false((w == 1 && l == 2) || (w == 2 && l == 1));
            pairs_with_unknown_below += w == 2 || l == 2;
            for (int32_t c = search_node_at(s, p.state).first_child; c >= 0 && w == 1 && l == 1;
                 c = search_node_at(s, c).next_sibling)
                beside_unknown += c < nodes && knowledge(s, c, nodes) == 2;
        }
        harvest_pair chains;
        if (harvest_instance_pair(s, &o, &chains)) {
            bool one = search_node_at(s, chains.chosen).outcome == SEARCH_FINISHED_UNKNOWN,
                 other = search_node_at(s, chains.rejected).outcome == SEARCH_FINISHED_UNKNOWN;
            assert_int_equal(one, other);
            chain_pairs++;
        }
        harvest_pairs_free(&pairs);
        synthetic_free(y);
    }
    assert_true(pairs_with_unknown_below > 20 && beside_unknown > 20 && chain_pairs > 20);
}

static void what_does_not_go_together(void **state) {
    (void)state;
    harvest_options o = plain_harvest();
    esp_error error = {0};
    o.pairs_at = HARVEST_AT_ALL;
    assert_int_equal(harvest_options_check(&o, &error), ESP_OK);
    o.join_only_child = true;
    assert_int_equal(harvest_options_check(&o, &error), ESP_OK);
    o.loser = HARVEST_LOSER_RANDOM_SIBLING;
    assert_int_not_equal(harvest_options_check(&o, &error), ESP_OK);
    assert_non_null(strstr(error.message, "pairs_at"));
    o.pairs_at = HARVEST_AT_COMMITMENTS;
    assert_int_equal(harvest_options_check(&o, &error), ESP_OK);
    o.smoothing = (harvest_smoothing)2;
    assert_int_not_equal(harvest_options_check(&o, &error), ESP_OK);
    assert_non_null(strstr(error.message, "smoothing"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubt_is_the_posterior),
        cmocka_unit_test(every_losing_step_once),
        cmocka_unit_test(a_cap_keeps_the_surest),
        cmocka_unit_test(pairs_of_commitments_hold),
        cmocka_unit_test(evidence_at_commitments),
        cmocka_unit_test(random_loser),
        cmocka_unit_test(filters),
        cmocka_unit_test(only_descendants_of_drawn_trees),
        cmocka_unit_test(only_descendants_of_random_trees),
        cmocka_unit_test(chains_of_largest_and_smallest_reward),
        cmocka_unit_test(an_unknown_outcome_makes_no_pair),
        cmocka_unit_test(what_does_not_go_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
