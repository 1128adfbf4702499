/* The parameters of a configuration: their names in both kinds of file, their order, their places, and what
 * an architecture says of each. */
#include "made_up.h"

#include <math.h>
#include <string.h>

typedef struct {
    const char *hf, *gguf;
    int64_t rows, columns;
    param_init init;
    int flags;
} expected;

/* Two heads of 8 over one key/value head, 2 layers, 96 wide inside. */
static const expected one_layer[] = {
    {"input_layernorm.weight", "attn_norm.weight", 16, 1, INIT_ONES, 0},
    {"self_attn.q_proj.weight", "attn_q.weight", 16, 16, INIT_NORMAL, PARAM_DECAYS | PARAM_GGUF_PERMUTED},
    {"self_attn.k_proj.weight", "attn_k.weight", 8, 16, INIT_NORMAL, PARAM_DECAYS | PARAM_GGUF_PERMUTED},
    {"self_attn.v_proj.weight", "attn_v.weight", 8, 16, INIT_NORMAL, PARAM_DECAYS},
    {"self_attn.o_proj.weight", "attn_output.weight", 16, 16, INIT_NORMAL_RESIDUAL, PARAM_DECAYS},
    {"post_attention_layernorm.weight", "ffn_norm.weight", 16, 1, INIT_ONES, 0},
    {"mlp.gate_proj.weight", "ffn_gate.weight", 96, 16, INIT_NORMAL, PARAM_DECAYS},
    {"mlp.up_proj.weight", "ffn_up.weight", 96, 16, INIT_NORMAL, PARAM_DECAYS},
    {"mlp.down_proj.weight", "ffn_down.weight", 16, 96, INIT_NORMAL_RESIDUAL, PARAM_DECAYS},
};
enum { PER_LAYER = sizeof one_layer / sizeof *one_layer, LAYERS = 2, VOCAB = 31 };

static void check(const param *p, const expected *e, int layer, int64_t *offset) {
    char hf[128], gguf[128];
    snprintf(hf, sizeof hf, layer < 0 ? "%.0d%s" : "model.layers.%d.%s", layer < 0 ? 0 : layer, e->hf);
    snprintf(gguf, sizeof gguf, layer < 0 ? "%.0d%s" : "blk.%d.%s", layer < 0 ? 0 : layer, e->gguf);
    assert_string_equal(param_hf_name(p).text, hf);
    assert_string_equal(param_gguf_name(p).text, gguf);
    assert_int_equal(p->layer, layer);
    assert_int_equal(p->rows, e->rows);
    assert_int_equal(p->columns, e->columns);
    assert_int_equal(param_rank(p), e->columns == 1 ? 1 : 2);
    assert_int_equal(p->spec->init, e->init);
    assert_int_equal(p->spec->flags, e->flags);
    assert_int_equal(p->offset, *offset);
    *offset += e->rows * e->columns;
}

static void check_llama(bool tied) {
    model_config c = made_up_shape(VOCAB, LAYERS, 2, 1, 8);
    c.tied = tied;
    param_set set = params_of(&c);
    int64_t offset = 0;
    assert_int_equal(set.count, 2 + LAYERS * PER_LAYER + !tied);
    const param *p = set.at;
    check(p++,
          &(expected){"model.embed_tokens.weight", "token_embd.weight", VOCAB, 16, INIT_NORMAL, PARAM_DECAYS},
          -1, &offset);
    for (int l = 0; l < LAYERS; l++)
        for (int i = 0; i < PER_LAYER; i++) check(p++, &one_layer[i], l, &offset);
    check(p++, &(expected){"model.norm.weight", "output_norm.weight", 16, 1, INIT_ONES, 0}, -1, &offset);
    if (!tied)
        check(p++, &(expected){"lm_head.weight", "output.weight", VOCAB, 16, INIT_NORMAL, PARAM_DECAYS}, -1,
              &offset);
    assert_int_equal(set.floats, offset);
    params_free(&set);
}

static void llama(void **state) {
    (void)state;
    check_llama(true);
    check_llama(false);
}

/* Weights hold each parameter once, in order, and what is multiplied at once is one weight. */
static void weights(void **state) {
    (void)state;
    model_config c = made_up_shape(VOCAB, LAYERS, 2, 1, 8);
    c.tied = false;
    model *m = made_up_model(&c, "ref", DTYPE_F32, 1, false);
    int64_t next = 0, floats = 0;
    for (int64_t i = 0; i < m->weight_count; i++) {
        const weight *w = &m->weights[i];
        assert_int_equal(w->first, next);
        assert_int_equal(w->offset, floats);
        assert_true((w->matrix == NULL) != (w->vector == NULL));
        next += w->count;
        floats += w->rows * w->columns;
    }
    assert_int_equal(next, m->params.count);
    assert_int_equal(floats, model_parameter_count(m));
    assert_int_equal(m->layers[1].qkv->count, 3);
    assert_int_equal(m->layers[1].qkv->rows, 32);
    assert_int_equal(m->layers[1].gate_up->rows, 2 * 96);
    assert_ptr_not_equal(m->head, m->embedding);
    close_model(m);
}

/* Gains start at one, matrices do not; those that add to the residual stream start smaller. */
static void first_numbers(void **state) {
    (void)state;
    model_config c = made_up_shape(VOCAB, 8, 2, 1, 32);
    model *m = made_up_model(&c, "ref", DTYPE_F32, 1, false);
    for (const param *p = m->params.at; p < m->params.at + m->params.count; p++) {
        float *w = host_copy(m->compute, model_master(m) + p->offset, param_floats(p));
        double square = 0;
        for (int64_t i = 0; i < param_floats(p); i++) square += (double)w[i] * (double)w[i];
        double spread = sqrt(square / (double)param_floats(p));
        double want = p->spec->init == INIT_ONES ? 1 : p->spec->init == INIT_NORMAL ? 0.02 : 0.005;
        if (!(fabs(spread - want) < 0.05 * want))
            fail_msg("%s: %g where about %g is right", p->spec->hf, spread, want);
        mem_free(w);
    }
    close_model(m);
}

/* What a backend says of itself decides: without backward operations it trains nothing, without a cache that
 * replicas share no model has replicas. */
static void traits(void **state) {
    (void)state;
    model_config shape = made_up_shape(VOCAB, 2, 2, 1, 32);
    compute *c;
    model *m;
    OK(test_compute_new(&c, "ref", DTYPE_F32, 2, &error));
    OK(model_create(&m, &shape, &(model_options){.compute = c, .trainable = true}, 1, &error));
    assert_int_equal(model_replica_limit(m), 2);
    model_free(m);
    c->traits.cache_bytes = 0;
    OK(model_create(&m, &shape, &(model_options){.compute = c, .trainable = true}, 1, &error));
    assert_int_equal(model_replica_limit(m), 1);
    model_free(m);
    c->traits.trains = false;
    assert_int_equal(model_create(&m, &shape, &(model_options){.compute = c, .trainable = true}, 1, &error),
                     ESP_FAILED);
    assert_non_null(strstr(error.message, "does not train"));
    OK(model_create(&m, &shape, &(model_options){.compute = c}, 1, &error));
    close_model(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(llama), cmocka_unit_test(weights),
                                       cmocka_unit_test(first_numbers), cmocka_unit_test(traits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
