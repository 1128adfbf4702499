/* Learning against torch autograd, and against itself: packed trees give what separate paths give, two equal
 * trainings give the same bits, and a state that was saved continues as if nothing had happened. */
#include "base/file.h"
#include "formats/json.h"
#include "learn/batches.h"
#include "learn/pack.h"
#include "learn/trainer_inner.h"
#include "model/tree_layout.h"
#include "search/harvest.h"
#include "compute_support.h"
#include "support.h"

#include <math.h>
#include <string.h>

static esp_error error;

enum { PAIRS = 2, LONGEST = 64 };

typedef struct {
    json_t *json; /* the "dpo" part */
    int32_t ids[PAIRS][3][LONGEST];
    dpo_options options;
    objective_term term;
    example rows[PAIRS]; /* with the scales of a mean over both */
} golden_pairs;

static int64_t ids_of(const json_t *list, int32_t *out) {
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return (int64_t)json_array_size(list);
}

static double at(const json_t *list, size_t i) {
    return json_number_value(json_array_get(list, i));
}
static double number(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}

static learn_path path_of(const int32_t *prefix, const int32_t *tail, int64_t prefix_count,
                          int64_t tail_count, double reference) {
    return (learn_path){.prefix = prefix,
                        .tail = tail,
                        .prefix_count = prefix_count,
                        .tail_count = tail_count,
                        .reference = reference};
}

static golden_pairs *read_golden(void) {
    json_t *whole;
    OK(json_read_file(TEST_DATA "/golden/tinystories-656k.json", &whole, &error));
    golden_pairs *g = calloc(1, sizeof *g);
    g->json = json_incref(json_object_get(whole, "dpo"));
    json_decref(whole);
    g->options.beta = number(g->json, "beta");
    g->term = (objective_term){.of = &objective_dpo, .options = &g->options, .weight = 1};
    for (size_t i = 0; i < PAIRS; i++) {
        const json_t *pair = json_array_get(json_object_get(g->json, "pairs"), i);
        const json_t *ref = json_array_get(json_object_get(g->json, "ref_logps"), i);
        int64_t counts[3] = {ids_of(json_object_get(pair, "prefix"), g->ids[i][0]),
                             ids_of(json_object_get(pair, "chosen"), g->ids[i][1]),
                             ids_of(json_object_get(pair, "rejected"), g->ids[i][2])};
        example *r = &g->rows[i];
        *r = (example){.term = &g->term, .scale = 1.0 / PAIRS};
        for (size_t k = 0; k < 2; k++)
            r->path[k] = path_of(g->ids[i][0], g->ids[i][1 + k], counts[0], counts[1 + k], at(ref, k));
        r->alpha = harvest_doubt_by_visits(number(pair, "n_chosen"), number(pair, "n_rejected"));
    }
    return g;
}

static void free_golden(golden_pairs *g) {
    json_decref(g->json);
    free(g);
}

static trainer *new_trainer(const char *backend, dtype act, int64_t microbatch) {
    compute *c;
    model *m;
    trainer *t;
    trainer_settings s = trainer_defaults();
    s.microbatch_tokens = microbatch;
    OK(test_compute_new(&c, backend, act, 2, &error));
    OK(model_open(&m, TEST_DATA "/models/tinystories-656k", &(model_options){.compute = c, .trainable = true},
                  &error));
    OK(trainer_new(&t, m, &s, &error));
    return t;
}

static void end_trainer(trainer *t) {
    model *m = t->m;
    compute *c = model_compute(m);
    trainer_free(t);
    model_free(m);
    compute_free(c);
}

static int64_t size_of(const trainer *t) {
    return model_parameter_count(t->m);
}

/* Copies on the host, of which the last eight remain. */
static const float *copy_at_hand(const trainer *t, const float *buffer) {
    static float *copies[8];
    static int turn;
    float **copy = &copies[turn++ % 8];
    mem_free(*copy);
    return *copy = host_copy(model_operations(t->m), buffer, size_of(t));
}

static const float *gradient_of(const trainer *t) {
    return copy_at_hand(t, t->gradient);
}

static const float *weights_of(const trainer *t) {
    return copy_at_hand(t, model_master(t->m));
}

static void set_weights(const trainer *t, const float *w) {
    compute *c = model_operations(t->m);
    c->ops->put(c, model_master(t->m), w, (size_t)size_of(t) * sizeof *w);
    OK(model_sync(t->m, &error));
}

static void check_gradients(const trainer *t, const json_t *expected) {
    const param_set *params = model_trainable(t->m);
    const float *all = gradient_of(t);
    for (const param *p = params->at; p < params->at + params->count; p++) {
        param_name name = param_hf_name(p);
        const json_t *want = json_object_get(expected, name.text);
        assert_non_null(want);
        const float *g = all + p->offset;
        double norm = 0;
        for (int64_t j = 0; j < param_floats(p); j++) norm += (double)g[j] * (double)g[j];
        norm = sqrt(norm);
        if (!(fabs(norm - number(want, "norm")) <= 1e-3 * number(want, "norm")))
            fail_msg("%s: norm %g, golden %g", name.text, norm, number(want, "norm"));
        for (size_t j = 0; j < 4; j++) {
            double e = at(json_object_get(want, "first"), j);
            if (!(fabs((double)g[j] - e) <= 1e-3 * fabs(e) + 2e-5 * number(want, "norm")))
                fail_msg("%s[%zu]: %g, golden %g", name.text, j, (double)g[j], e);
        }
    }
}

static void dpo_golden(void **state) {
    (void)state;
    golden_pairs *g = read_golden();
    const char *backends[] = {"ref", "cpu"};
    for (size_t b = 0; b < 2; b++) {
        trainer *t = new_trainer(backends[b], DTYPE_F32, 2048);
        double logp[PAIRS][EXAMPLE_PATHS], norm;
        OK(score_paths(t->m, g->rows, PAIRS, 2048, logp, NULL, NULL, &error));
        for (size_t i = 0; i < PAIRS; i++) {
            const json_t *part = json_array_get(json_object_get(g->json, "parts"), i);
            assert_true(fabs(logp[i][0] - number(part, "logp_chosen")) < 1e-3);
            assert_true(fabs(logp[i][1] - number(part, "logp_rejected")) < 1e-3);
        }
        learn_report report;
        OK(trainer_add(t, g->rows, PAIRS, &report, &error));
        assert_true(fabs(report.loss - number(g->json, "loss")) < 1e-5);
        check_gradients(t, json_object_get(g->json, "grads"));
        const json_t *after = json_object_get(g->json, "after_adamw_step");
        OK(trainer_update(t, number(after, "lr"), &norm, &error));
        assert_true(fabs(norm - number(g->json, "grad_norm")) < 1e-3 * norm);
        OK(score_paths(t->m, g->rows, PAIRS, 2048, logp, NULL, NULL, &error));
        for (size_t i = 0; i < PAIRS; i++) {
            const json_t *want = json_array_get(json_object_get(after, "logps"), i);
            for (size_t k = 0; k < 2; k++) assert_true(fabs(logp[i][k] - at(want, k)) < 1e-2);
        }
        end_trainer(t);
    }
    free_golden(g);
}

/* The two pairs in one tree (the second's prefix goes through the first's chosen step), and each path on its
 * own. */
static void tree_equals_paths(void **state) {
    (void)state;
    golden_pairs *g = read_golden();
    const char *backends[] = {"ref", "cpu"};
    for (size_t b = 0; b < 2; b++) {
        trainer *packed = new_trainer(backends[b], DTYPE_F32, 2048),
                *apart = new_trainer(backends[b], DTYPE_F32, 1);
        learn_report together, alone;
        OK(trainer_add(packed, g->rows, PAIRS, &together, &error));
        OK(trainer_add(apart, g->rows, PAIRS, &alone, &error));
        assert_true(together.tokens == alone.tokens && together.tokens_computed < alone.tokens_computed);
        assert_true(fabs(learn_report_metric(&together, "logp_chosen") -
                         learn_report_metric(&alone, "logp_chosen")) < 1e-4);
        assert_true(fabs(together.loss - alone.loss) < 1e-6);
        int64_t n = model_parameter_count(packed->m);
        double difference = 0, size = 0;
        const float *one = gradient_of(packed), *other = gradient_of(apart);
        for (int64_t i = 0; i < n; i++) {
            difference += pow((double)one[i] - (double)other[i], 2);
            size += pow((double)other[i], 2);
        }
        assert_true(size > 1);
        assert_true(sqrt(difference / size) < 1e-5);
        end_trainer(packed);
        end_trainer(apart);
    }
    free_golden(g);
}

/* Two problems of three pairs each: a micro-batch that has room for four pairs takes three and leaves the
 * second problem whole, so no prefix is computed twice; one without room for a problem cuts it. */
static void trees_stay_whole(void **state) {
    (void)state;
    enum { PREFIX = 40, EACH = 3, STEP = 4 };
    int32_t prefix[2][PREFIX], steps[2 * EACH][2][STEP];
    example rows[2 * EACH];
    const dpo_options options = {.beta = 0.1};
    const objective_term term = {.of = &objective_dpo, .options = &options, .weight = 1};
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < PREFIX; i++) prefix[p][i] = 100 + 200 * p + i;
    for (int r = 0; r < 2 * EACH; r++) {
        for (int side = 0; side < 2; side++)
            for (int i = 0; i < STEP; i++) steps[r][side][i] = 500 + 10 * (2 * r + side) + i;
        rows[r] = (example){.path = {path_of(prefix[r / EACH], steps[r][0], PREFIX, STEP, 0),
                                     path_of(prefix[r / EACH], steps[r][1], PREFIX, STEP, 0)},
                            .term = &term,
                            .scale = 0.5 / EACH,
                            .alpha = 0.1,
                            .group = r / EACH};
    }
    const int64_t tree = PREFIX + EACH * 2 * STEP, limits[] = {2048, tree + PREFIX + 2 * STEP, tree, PREFIX};
    const int64_t computed[] = {2 * tree, 2 * tree, 2 * tree, 2 * EACH * (PREFIX + 2 * STEP)};
    for (int i = 0; i < 4; i++) {
        trainer *t = new_trainer("cpu", DTYPE_F32, limits[i]);
        learn_report report;
        OK(trainer_add(t, rows, 2 * EACH, &report, &error));
        assert_int_equal(report.tokens_computed, computed[i]);
        assert_int_equal(report.rows, 2 * EACH);
        end_trainer(t);
    }
}

/* Every path of a random set, and every token of it, is in the tree with the right ancestors. */
static void packing_keeps_paths(void **state) {
    (void)state;
    pack *p = pack_new();
    for (uint64_t round = 0; round < 200; round++) {
        rng_key_t key = rng_mix(rng_key(7), round);
        int32_t paths[40][12];
        int64_t length[40], n = 1 + (int64_t)rng_below(key, 0, 40), total = 0;
        pack_clear(p);
        for (int64_t i = 0; i < n; i++) {
            length[i] = 1 + (int64_t)rng_below(key, (uint64_t)(100 + i), 12);
            for (int64_t j = 0; j < length[i]; j++)
                paths[i][j] = (int32_t)rng_below(key, (uint64_t)(1000 + i * 20 + j), 3);
            int64_t cost = pack_cost(p, paths[i], length[i]), before = pack_tokens(p);
            pack_add(p, paths[i], length[i]);
            assert_int_equal(pack_tokens(p), before + cost);
            assert_int_equal(pack_cost(p, paths[i], length[i]), 0);
            total += length[i];
        }
        token_tree tree = pack_tree(p);
        OK(token_tree_check(&tree, 3, 12, &error));
        assert_int_equal(tree.start[tree.runs], pack_tokens(p));
        assert_true(pack_tokens(p) <= total);
        tree_layout layout;
        tree_layout_make(&layout, &tree);
        for (int64_t i = 0; i < n; i++) {
            int32_t where[12];
            pack_locate(p, paths[i], length[i], where);
            for (int64_t j = 0; j < length[i]; j++) {
                assert_int_equal(tree.tokens[where[j]], paths[i][j]);
                assert_int_equal(layout.positions[where[j]], j);
                assert_int_equal(layout.predecessor[where[j]], j ? where[j - 1] : -1);
            }
        }
        tree_layout_free(&layout);
    }
    pack_free(p);
}

static void same_bits_and_resume(void **state) {
    (void)state;
    golden_pairs *g = read_golden();
    dtype types[] = {DTYPE_F32, DTYPE_BF16};
    for (size_t d = 0; d < 2; d++) {
        trainer *one = new_trainer("cpu", types[d], 2048), *two = new_trainer("cpu", types[d], 2048);
        learn_report r;
        for (int step = 0; step < 2; step++) {
            OK(trainer_add(one, g->rows, PAIRS, &r, &error));
            OK(trainer_update(one, 1e-3, NULL, &error));
            OK(trainer_add(two, g->rows, PAIRS, &r, &error));
            OK(trainer_update(two, 1e-3, NULL, &error));
            if (step > 0) continue;
            char folder[] = "/tmp/espalier-trainer-XXXXXX";
            assert_non_null(mkdtemp(folder));
            OK(model_save(two->m, folder, DTYPE_F32, &error));
            OK(trainer_save(two, folder, &error));
            end_trainer(two);
            two = new_trainer("cpu", types[d], 2048);
            OK(model_load_weights(two->m, folder, &error));
            OK(trainer_load(two, folder, &error));
            assert_int_equal(two->updates, 1);
            OK(folder_remove(folder, &error));
        }
        size_t bytes = (size_t)model_parameter_count(one->m) * 4;
        assert_memory_equal(weights_of(one), weights_of(two), bytes);
        end_trainer(one);
        end_trainer(two);
    }
    free_golden(g);
}

/* ---- terms: pairs and correct chains in one update ---- */

/* Pairs and chains: the pairs' chosen steps as chains too, and one that is not in any pair. */
typedef struct {
    option_space options;
    nll_options nll;
    objective_term pair, chain;
    example examples[PAIRS + 3];
    batches *batches; /* all of it in one update */
} mixed_batch;

static void mix(const golden_pairs *g, const objective *of, double weight, double nll, bool per_token,
                mixed_batch *m) {
    const example *p = g->rows;
    *m = (mixed_batch){.nll = {.per_token = false}};
    options_defaults(of->options, &m->options);
    m->pair = (objective_term){.of = of, .options = &m->options, .weight = weight, .mean = of->mean};
    m->chain = (objective_term){.of = &objective_nll,
                                .options = &m->nll,
                                .weight = nll,
                                .mean = per_token ? MEAN_OVER_TOKENS : MEAN_OVER_EXAMPLES};
    const example all[] = {p[0],
                           {.path = {p[0].path[0]}, .term = &m->chain},
                           {.path = {p[0].path[1]}, .term = &m->chain},
                           p[1],
                           {.path = {p[1].path[0]}, .term = &m->chain}};
    memcpy(m->examples, all, sizeof all);
    m->examples[0].term = m->examples[3].term = &m->pair;
    m->batches = batches_new(m->examples, PAIRS + 3, &(batches_options){.batch = PAIRS + 3});
}

static double distance(const trainer *a, const trainer *b, const trainer *plus) {
    double difference = 0, size = 0;
    const float *of_a = gradient_of(a), *of_b = gradient_of(b), *of_plus = plus ? gradient_of(plus) : NULL;
    for (int64_t i = 0; i < size_of(a); i++) {
        double want = (double)of_b[i] + (of_plus ? (double)of_plus[i] : 0);
        difference += pow((double)of_a[i] - want, 2);
        size += pow(want, 2);
    }
    assert_true(size > 1e-6);
    return sqrt(difference / size);
}

/* Adds the examples [first, first + n) with the scales that they have in the whole batch. */
static void add_part(trainer *t, mixed_batch *m, const int *which, int n, learn_report *r) {
    int64_t all;
    const example *taken = batches_take(m->batches, 0, &all);
    assert_int_equal(all, PAIRS + 3);
    example part[PAIRS + 3];
    for (int i = 0; i < n; i++) part[i] = taken[which[i]];
    OK(trainer_add(t, part, n, r, &error));
}

/* The trainer only sums: the parts of a batch add up to the batch, whichever way it is cut; packed together
 * it costs less than apart. */
static void parts_add_up(void **state) {
    (void)state;
    golden_pairs *g = read_golden();
    mixed_batch m;
    mix(g, &objective_dpo, 0.3, 0.7, true, &m);
    trainer *all = new_trainer("cpu", DTYPE_F32, 2048), *pairs = new_trainer("cpu", DTYPE_F32, 2048),
            *chains = new_trainer("cpu", DTYPE_F32, 2048), *apart = new_trainer("cpu", DTYPE_F32, 1);
    learn_report r, rp, rc, ra;
    OK(batches_add(m.batches, all, 0, &r, &error));
    OK(batches_add(m.batches, apart, 0, &ra, &error));
    add_part(pairs, &m, (const int[]){0, 3}, 2, &rp);
    add_part(chains, &m, (const int[]){1, 2, 4}, 3, &rc);
    assert_true(distance(all, pairs, chains) < 1e-5);
    assert_true(distance(all, apart, NULL) < 1e-5);
    assert_true(fabs(r.loss - rp.loss - rc.loss) < 1e-6 && fabs(r.loss - ra.loss) < 1e-6);
    const char *const *name = objective_dpo.metrics;
    for (; *name; name++) {
        assert_true(learn_report_metric(&r, *name) == learn_report_metric(&rp, *name));
        assert_true(isnan(learn_report_metric(&rc, *name)));
    }
    assert_true(!isnan(rc.loss));
    assert_true(r.tokens_computed == rp.tokens_computed && r.rows == PAIRS + 3);
    end_trainer(all);
    end_trainer(pairs);
    end_trainer(chains);
    end_trainer(apart);
    batches_free(m.batches);
    free_golden(g);
}

/* A term's mean is over examples or over tokens; a weight counts once. */
static void means(void **state) {
    (void)state;
    golden_pairs *g = read_golden();
    mixed_batch m;
    mix(g, &objective_dpo, 0.3, 1, true, &m);
    const int chains[] = {1, 2, 4};
    trainer *t = new_trainer("cpu", DTYPE_F32, 2048);
    learn_report r;
    add_part(t, &m, chains, 3, &r);
    double logp[3][EXAMPLE_PATHS], sum = 0;
    int64_t tokens = 0;
    for (int i = 0; i < 3; i++) {
        OK(score_paths(t->m, &m.examples[chains[i]], 1, 2048, &logp[i], NULL, NULL, &error));
        sum += logp[i][0];
        tokens += m.examples[chains[i]].path[0].tail_count;
    }
    assert_true(fabs(r.loss + sum / (double)tokens) < 1e-5 && fabs(r.unscaled + sum) < 1e-3);
    m.chain.weight = 0.7;
    add_part(t, &m, chains, 3, &r);
    assert_true(fabs(r.loss + 0.7 * sum / (double)tokens) < 1e-5);
    m.chain.mean = MEAN_OVER_EXAMPLES;
    add_part(t, &m, chains, 3, &r);
    assert_true(fabs(r.loss + 0.7 * sum / 3) < 1e-4);
    m.pair.weight = 0; /* out of the loss, not out of the metrics */
    add_part(t, &m, (const int[]){0, 3}, 2, &r);
    assert_true(r.loss == 0 && learn_report_metric(&r, "logp_chosen") < -1);
    end_trainer(t);
    batches_free(m.batches);
    free_golden(g);
}

static double mixed_loss(trainer *t, mixed_batch *m) {
    learn_report r;
    OK(batches_add(m->batches, t, 0, &r, &error));
    trainer_zero(t);
    return r.loss;
}

/* Along its gradient the loss rises by the square of the gradient's norm: every objective on pairs, with a
 * likelihood beside it. */
static void mixed_slopes(void **state) {
    (void)state;
    golden_pairs *g = read_golden();
    trainer *t = new_trainer("ref", DTYPE_F32, 2048);
    int64_t n = model_parameter_count(t->m);
    float *w = malloc((size_t)n * 4), *direction = malloc((size_t)n * 4), *kept = malloc((size_t)n * 4);
    memcpy(kept, weights_of(t), (size_t)n * 4);
    for (int i = 0; objective_at(i); i++)
        for (int per_token = 0; per_token < 2; per_token++) {
            const objective *of = objective_at(i);
            if (of->source != LEARNS_FROM_PAIRS) continue;
            mixed_batch m;
            mix(g, of, 0.4, per_token ? 1 : 0.05, per_token, &m);
            learn_report r;
            OK(batches_add(m.batches, t, 0, &r, &error));
            double square = 0, loss[2];
            memcpy(direction, gradient_of(t), (size_t)n * 4);
            for (int64_t k = 0; k < n; k++) square += pow((double)direction[k], 2);
            trainer_zero(t);
            double step = 2e-3 / sqrt(square);
            for (int end = 0; end < 2; end++) {
                for (int64_t k = 0; k < n; k++)
                    w[k] = (float)((double)kept[k] + (end ? step : -step) * (double)direction[k]);
                set_weights(t, w);
                loss[end] = mixed_loss(t, &m);
            }
            set_weights(t, kept);
            double slope = (loss[1] - loss[0]) / (2 * step);
            if (!(fabs(slope - square) < 0.02 * square))
                fail_msg("%s, per token %d: slope %g, gradient says %g", of->name, per_token, slope, square);
            batches_free(m.batches);
        }
    free(w);
    free(direction);
    free(kept);
    end_trainer(t);
    free_golden(g);
}

/* ---- the average ---- */

static trainer *averaging_trainer(dtype act, double average) {
    trainer *plain = new_trainer("cpu", act, 2048), *t;
    trainer_settings s = trainer_defaults();
    s.average = average;
    OK(trainer_new(&t, plain->m, &s, &error));
    trainer_free(plain);
    return t;
}

static void one_update(trainer *t, const golden_pairs *g) {
    learn_report r;
    OK(trainer_add(t, g->rows, PAIRS, &r, &error));
    OK(trainer_update(t, 1e-3, NULL, &error));
}

static float *copy_of(trainer *t) {
    size_t bytes = (size_t)model_parameter_count(t->m) * 4;
    return memcpy(malloc(bytes), weights_of(t), bytes);
}

/* d (d theta_0 + (1 - d) theta_1) + (1 - d) theta_2, and training goes on from the raw weights as if there
 * were no average. */
static void average_by_hand(void **state) {
    (void)state;
    golden_pairs *g = read_golden();
    const double d = 0.8;
    trainer *raw = new_trainer("cpu", DTYPE_F32, 2048), *averaged = averaging_trainer(DTYPE_F32, d);
    float *theta[3];
    for (int step = 0; step < 3; step++) {
        if (step) one_update(raw, g), one_update(averaged, g);
        theta[step] = copy_of(raw);
        /* Showing the average, and showing it twice, changes nothing of what goes on. */
        if (step == 1) OK(trainer_show_average(averaged, &error));
        if (step == 1) OK(trainer_show_average(averaged, &error));
    }
    int64_t n = model_parameter_count(raw->m), moved = 0;
    assert_memory_equal(weights_of(averaged), theta[2], (size_t)n * 4);
    OK(trainer_show_average(averaged, &error));
    const float *got = weights_of(averaged);
    for (int64_t i = 0; i < n; i++) {
        double want =
            d * d * (double)theta[0][i] + d * (1 - d) * (double)theta[1][i] + (1 - d) * (double)theta[2][i];
        if (!(fabs((double)got[i] - want) < 1e-6))
            fail_msg("weight %lld: %g, not %g", (long long)i, (double)got[i], want);
        moved += got[i] != theta[2][i];
    }
    assert_true(moved > n / 2);
    /* What the model computes is the average's, too. */
    double of_average[PAIRS][EXAMPLE_PATHS], of_raw[PAIRS][EXAMPLE_PATHS];
    OK(score_paths(averaged->m, g->rows, PAIRS, 2048, of_average, NULL, NULL, &error));
    OK(score_paths(raw->m, g->rows, PAIRS, 2048, of_raw, NULL, NULL, &error));
    assert_true(fabs(of_average[0][0] - of_raw[0][0]) > 1e-3);
    for (int i = 0; i < 3; i++) free(theta[i]);
    end_trainer(raw);
    end_trainer(averaged);
    free_golden(g);
}

/* Saved with the average shown, loaded, gone on: the same bits of raw weights, moments and average. */
static void average_resumes(void **state) {
    (void)state;
    golden_pairs *g = read_golden();
    dtype types[] = {DTYPE_F32, DTYPE_BF16};
    for (size_t k = 0; k < 2; k++) {
        trainer *one = averaging_trainer(types[k], 0.9), *two = averaging_trainer(types[k], 0.9);
        for (int step = 0; step < 3; step++) {
            one_update(one, g);
            one_update(two, g);
            if (step != 1) continue;
            char folder[] = "/tmp/espalier-average-XXXXXX";
            assert_non_null(mkdtemp(folder));
            OK(trainer_show_average(two, &error));
            OK(model_save(two->m, folder, DTYPE_F32, &error));
            OK(trainer_save(two, folder, &error));
            end_trainer(two);
            two = averaging_trainer(types[k], 0.9);
            OK(model_load_weights(two->m, folder, &error));
            OK(trainer_load(two, folder, &error));
            OK(folder_remove(folder, &error));
        }
        size_t bytes = (size_t)model_parameter_count(one->m) * 4;
        assert_memory_equal(weights_of(one), weights_of(two), bytes);
        OK(trainer_show_average(one, &error));
        OK(trainer_show_average(two, &error));
        assert_memory_equal(weights_of(one), weights_of(two), bytes);
        end_trainer(one);
        end_trainer(two);
    }
    free_golden(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(packing_keeps_paths),
                                       cmocka_unit_test(dpo_golden),
                                       cmocka_unit_test(tree_equals_paths),
                                       cmocka_unit_test(trees_stay_whole),
                                       cmocka_unit_test(same_bits_and_resume),
                                       cmocka_unit_test(parts_add_up),
                                       cmocka_unit_test(means),
                                       cmocka_unit_test(mixed_slopes),
                                       cmocka_unit_test(average_by_hand),
                                       cmocka_unit_test(average_resumes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
