/* Learning against torch autograd, and against itself: packed trees give what separate paths give, the same
 * bits come out twice, and state that was saved goes on as if nothing had happened. */
#include "base/file.h"
#include "formats/json.h"
#include "learn/pack.h"
#include "learn/trainer.h"
#include "support.h"

#include <math.h>
#include <string.h>

static esp_error error;
#define OK(call)                                                                                             \
    do {                                                                                                     \
        if ((call) != ESP_OK) fail_msg("%s: %s (%s)", #call, error.message, error.hint);                     \
    } while (0)

enum { PAIRS = 2, LONGEST = 64 };

typedef struct {
    json_t *json; /* the "dpo" part */
    int32_t ids[PAIRS][3][LONGEST];
    preference_row rows[PAIRS];
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

static golden_pairs *read_golden(void) {
    json_t *whole;
    OK(json_read_file(SHARED_PATH("golden/tinystories-656k.json"), &whole, &error));
    golden_pairs *g = calloc(1, sizeof *g);
    g->json = json_incref(json_object_get(whole, "dpo"));
    json_decref(whole);
    for (size_t i = 0; i < PAIRS; i++) {
        const json_t *pair = json_array_get(json_object_get(g->json, "pairs"), i);
        const json_t *ref = json_array_get(json_object_get(g->json, "ref_logps"), i);
        preference_row *r = &g->rows[i];
        r->prefix = g->ids[i][0], r->chosen = g->ids[i][1], r->rejected = g->ids[i][2];
        r->prefix_count = ids_of(json_object_get(pair, "prefix"), g->ids[i][0]);
        r->chosen_count = ids_of(json_object_get(pair, "chosen"), g->ids[i][1]);
        r->rejected_count = ids_of(json_object_get(pair, "rejected"), g->ids[i][2]);
        r->ref_chosen = at(ref, 0), r->ref_rejected = at(ref, 1);
        r->alpha = loss_smoothing(number(pair, "n_chosen"), number(pair, "n_rejected"), 1);
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
    OK(compute_new(&c, backend, act, 2, &error));
    OK(model_open(&m, SHARED_PATH("data/models/TinyStories-656K"),
                  &(model_options){.compute = c, .trainable = true}, &error));
    OK(trainer_new(&t, m, &s, &error));
    return t;
}

static void end_trainer(trainer *t) {
    model *m = trainer_model(t);
    compute *c = model_compute(m);
    trainer_free(t);
    model_free(m);
    compute_free(c);
}

static loss_options golden_loss(const golden_pairs *g) {
    loss_options o = loss_defaults();
    o.beta = number(g->json, "beta");
    return o;
}

static void check_gradients(const trainer *t, const json_t *expected) {
    int64_t n;
    const parameter *p = model_parameters(trainer_model(t), &n);
    for (int64_t i = 0; i < n; i++) {
        const json_t *want = json_object_get(expected, p[i].name);
        assert_non_null(want);
        const float *g = trainer_gradient(t) + p[i].offset;
        double norm = 0;
        for (int64_t j = 0; j < p[i].rows * p[i].columns; j++) norm += (double)g[j] * (double)g[j];
        norm = sqrt(norm);
        if (!(fabs(norm - number(want, "norm")) <= 1e-3 * number(want, "norm")))
            fail_msg("%s: norm %g, golden %g", p[i].name, norm, number(want, "norm"));
        for (size_t j = 0; j < 4; j++) {
            double e = at(json_object_get(want, "first"), j);
            if (!(fabs((double)g[j] - e) <= 1e-3 * fabs(e) + 2e-5 * number(want, "norm")))
                fail_msg("%s[%zu]: %g, golden %g", p[i].name, j, (double)g[j], e);
        }
    }
}

static void dpo_golden(void **state) {
    (void)state;
    golden_pairs *g = read_golden();
    const char *backends[] = {"ref", "cpu"};
    for (size_t b = 0; b < 2; b++) {
        trainer *t = new_trainer(backends[b], DTYPE_F32, 2048);
        loss_options options = golden_loss(g);
        double chosen[PAIRS], rejected[PAIRS], norm;
        OK(score_preferences(trainer_model(t), g->rows, PAIRS, 2048, chosen, rejected, &error));
        for (size_t i = 0; i < PAIRS; i++) {
            const json_t *part = json_array_get(json_object_get(g->json, "parts"), i);
            assert_true(fabs(chosen[i] - number(part, "logp_chosen")) < 1e-3);
            assert_true(fabs(rejected[i] - number(part, "logp_rejected")) < 1e-3);
        }
        batch_report report;
        OK(trainer_add_preferences(t, g->rows, PAIRS, &options, &report, &error));
        assert_true(fabs(report.loss - number(g->json, "loss")) < 1e-5);
        check_gradients(t, json_object_get(g->json, "grads"));
        const json_t *after = json_object_get(g->json, "after_adamw_step");
        OK(trainer_update(t, number(after, "lr"), &norm, &error));
        assert_true(fabs(norm - number(g->json, "grad_norm")) < 1e-3 * norm);
        OK(score_preferences(trainer_model(t), g->rows, PAIRS, 2048, chosen, rejected, &error));
        for (size_t i = 0; i < PAIRS; i++) {
            const json_t *want = json_array_get(json_object_get(after, "logps"), i);
            assert_true(fabs(chosen[i] - at(want, 0)) < 1e-2 && fabs(rejected[i] - at(want, 1)) < 1e-2);
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
        loss_options options = golden_loss(g);
        trainer *packed = new_trainer(backends[b], DTYPE_F32, 2048),
                *apart = new_trainer(backends[b], DTYPE_F32, 1);
        batch_report together, alone;
        OK(trainer_add_preferences(packed, g->rows, PAIRS, &options, &together, &error));
        OK(trainer_add_preferences(apart, g->rows, PAIRS, &options, &alone, &error));
        assert_true(together.tokens == alone.tokens && together.tokens_computed < alone.tokens_computed);
        assert_true(fabs(together.logp_chosen - alone.logp_chosen) < 1e-4 &&
                    fabs(together.loss - alone.loss) < 1e-6);
        int64_t n = model_parameter_count(trainer_model(packed));
        double difference = 0, size = 0;
        for (int64_t i = 0; i < n; i++) {
            difference += pow((double)trainer_gradient(packed)[i] - (double)trainer_gradient(apart)[i], 2);
            size += pow((double)trainer_gradient(apart)[i], 2);
        }
        assert_true(size > 1);
        assert_true(sqrt(difference / size) < 1e-5);
        end_trainer(packed);
        end_trainer(apart);
    }
    free_golden(g);
}

/* Every path of a random set, and every token of it, stands in the tree with the right ancestors. */
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
        token_tree_layout(&tree, &layout);
        for (int64_t i = 0; i < n; i++) {
            int32_t where[12];
            pack_locate(p, paths[i], length[i], where);
            for (int64_t j = 0; j < length[i]; j++) {
                assert_int_equal(tree.tokens[where[j]], paths[i][j]);
                assert_int_equal(layout.positions[where[j]], j);
                assert_int_equal(layout.predecessor[where[j]], j ? where[j - 1] : -1);
            }
        }
        layout_free(&layout);
    }
    pack_free(p);
}

static void same_bits_and_resume(void **state) {
    (void)state;
    golden_pairs *g = read_golden();
    loss_options options = golden_loss(g);
    dtype types[] = {DTYPE_F32, DTYPE_BF16};
    for (size_t d = 0; d < 2; d++) {
        trainer *one = new_trainer("cpu", types[d], 2048), *two = new_trainer("cpu", types[d], 2048);
        batch_report r;
        for (int step = 0; step < 2; step++) {
            OK(trainer_add_preferences(one, g->rows, PAIRS, &options, &r, &error));
            OK(trainer_update(one, 1e-3, NULL, &error));
            OK(trainer_add_preferences(two, g->rows, PAIRS, &options, &r, &error));
            OK(trainer_update(two, 1e-3, NULL, &error));
            if (step > 0) continue;
            char folder[] = "/tmp/espalier-trainer-XXXXXX";
            assert_non_null(mkdtemp(folder));
            OK(model_save(trainer_model(two), folder, DTYPE_F32, &error));
            OK(trainer_save(two, folder, &error));
            end_trainer(two);
            two = new_trainer("cpu", types[d], 2048);
            OK(model_load_weights(trainer_model(two), folder, &error));
            OK(trainer_load(two, folder, &error));
            assert_int_equal(trainer_steps(two), 1);
            OK(folder_remove(folder, &error));
        }
        size_t bytes = (size_t)model_parameter_count(trainer_model(one)) * 4;
        assert_memory_equal(model_master(trainer_model(one)), model_master(trainer_model(two)), bytes);
        end_trainer(one);
        end_trainer(two);
    }
    free_golden(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(packing_keeps_paths), cmocka_unit_test(dpo_golden),
                                       cmocka_unit_test(tree_equals_paths),
                                       cmocka_unit_test(same_bits_and_resume)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
