/* Configurations: the keys of config.json and what they become; what is written is read again; and options
 * that are not computed are refused by name. */
#include "formats/json.h"
#include "made_up.h"
#include "model/config_files.h"

#include <math.h>
#include <string.h>

#define COMMON                                                                                               \
    "'vocab_size': 320, 'hidden_size': 64, 'intermediate_size': 96, 'num_hidden_layers': 2, "                \
    "'num_attention_heads': 4"
#define LLAMA "{'architectures': ['LlamaForCausalLM'], " COMMON

/* Single quotes for double ones. */
static json_t *parse(const char *text) {
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", text);
    for (char *c = copy; *c; c++)
        if (*c == '\'') *c = '"';
    json_t *object = json_loads(copy, 0, NULL);
    if (!object) fail_msg("%s", copy);
    return object;
}

static esp_status read_text(model_config *c, const char *text) {
    json_t *object = parse(text);
    config_source s = config_source_json(object, "here/config.json");
    esp_status status = config_read(c, &s, &error);
    json_decref(object);
    return status;
}

static void defaults(void **state) {
    (void)state;
    model_config c;
    OK(read_text(&c, LLAMA "}"));
    assert_ptr_equal(c.arch, &arch_llama);
    assert_int_equal(c.vocab, 320);
    assert_int_equal(c.width, 64);
    assert_int_equal(c.feed_forward, 96);
    assert_int_equal(c.layers, 2);
    assert_int_equal(c.heads, 4);
    assert_int_equal(c.kv_heads, 4);
    assert_int_equal(c.head_width, 16);
    assert_int_equal(c.context, 2048);
    assert_true(c.norm_eps == 1e-6 && c.rope.theta == 10000 && c.rope.kind == ROPE_NONE);
    assert_false(c.tied);
    assert_int_equal(c.bos, -1);
    assert_int_equal(c.eos, -1);
}

static void every_key(void **state) {
    (void)state;
    model_config c;
    OK(read_text(&c, "{'architectures': ['MistralForCausalLM'], " COMMON
                     ", 'num_key_value_heads': 2, 'head_dim': 32, 'max_position_embeddings': 77, "
                     "'rms_norm_eps': 1e-05, 'rope_theta': 500000, 'tie_word_embeddings': true, "
                     "'bos_token_id': 3, 'eos_token_id': [5, 6], 'sliding_window': null}"));
    assert_ptr_equal(c.arch, &arch_mistral);
    assert_int_equal(c.kv_heads, 2);
    assert_int_equal(c.head_width, 32);
    assert_int_equal(c.context, 77);
    assert_true(c.norm_eps == 1e-5 && c.rope.theta == 500000 && c.tied);
    assert_int_equal(c.bos, 3);
    assert_int_equal(c.eos, 5);
    assert_int_equal(c.more_end_count, 1);
    assert_int_equal(c.more_ends[0], 6);
    /* The architecture by its type alone, and nulls where a default is meant. */
    OK(read_text(&c, "{'model_type': 'mistral', 'head_dim': null, 'eos_token_id': null, " COMMON "}"));
    assert_ptr_equal(c.arch, &arch_mistral);
    assert_int_equal(c.head_width, 16);
}

static void rotations(void **state) {
    (void)state;
    model_config c;
    OK(read_text(&c, LLAMA ", 'rope_scaling': {'type': 'linear', 'factor': 4.0}}"));
    assert_int_equal(c.rope.kind, ROPE_LINEAR);
    assert_true(c.rope.factor == 4);
    OK(read_text(&c, LLAMA ", 'rope_scaling': {'rope_type': 'llama3', 'factor': 8.0, 'low_freq_factor': 1.0, "
                           "'high_freq_factor': 4.0, 'original_max_position_embeddings': 512}}"));
    assert_int_equal(c.rope.kind, ROPE_LLAMA3);
    assert_true(c.rope.low_freq_factor == 1 && c.rope.high_freq_factor == 4 &&
                c.rope.original_context == 512);
    OK(read_text(&c, LLAMA ", 'rope_parameters': {'rope_type': 'yarn', 'rope_theta': 7e4, 'factor': 2.0}}"));
    assert_int_equal(c.rope.kind, ROPE_YARN);
    assert_true(c.rope.theta == 7e4 && c.rope.beta_fast == 32 && c.rope.beta_slow == 1);
    OK(read_text(&c, LLAMA ", 'rope_theta': 5e5, 'rope_scaling': null}"));
    assert_true(c.rope.kind == ROPE_NONE && c.rope.theta == 5e5);
}

/* llama3's scaling by the factors of a GGUF file: the release's own numbers, others, and what is no scaling.
 */
static void rope_factors(void **state) {
    (void)state;
    static const rope_config known[] = {{.kind = ROPE_LLAMA3,
                                         .theta = 5e5,
                                         .factor = 32,
                                         .low_freq_factor = 1,
                                         .high_freq_factor = 4,
                                         .original_context = 8192},
                                        {.kind = ROPE_LLAMA3,
                                         .theta = 1e4,
                                         .factor = 8,
                                         .low_freq_factor = 1,
                                         .high_freq_factor = 6,
                                         .original_context = 512}};
    float factors[64], own[64], other[64];
    for (int i = 0; i < 2; i++) {
        config_rope_factors(&known[i], 128, factors);
        rope_config r = {.kind = ROPE_NONE, .theta = known[i].theta, .factor = 1, .original_context = 99};
        assert_true(config_rope_from_factors(&r, 128, factors));
        assert_memory_equal(&r, &known[i], sizeof r);
    }
    rope_config twice = known[1]; /* the same angles: both bounds and the context times 2 */
    twice.low_freq_factor = 2, twice.high_freq_factor = 12, twice.original_context = 1024;
    config_rope_factors(&twice, 128, other);
    config_rope_factors(&known[1], 128, own);
    assert_memory_equal(own, other, sizeof own);
    rope_config r = known[0];
    factors[40] *= 1.01f;
    assert_false(config_rope_from_factors(&r, 128, factors));
    for (int i = 0; i < 64; i++) factors[i] = 1;
    assert_false(config_rope_from_factors(&r, 128, factors));
}

#define GEMMA3 "{'architectures': ['Gemma3ForCausalLM'], " COMMON

/* Gemma 3 inside a model of texts and pictures, whose configuration leaves out what is usual; and the layers
 * that have a window. */
static void wrapped(void **state) {
    (void)state;
    model_config c;
    OK(read_text(
        &c, "{'architectures': ['Gemma3ForConditionalGeneration'], 'eos_token_id': [1, 106], 'text_config': "
            "{'hidden_size': 2560, 'intermediate_size': 10240, 'num_hidden_layers': 34, 'model_type': "
            "'gemma3_text', 'rope_scaling': {'factor': 8.0, 'rope_type': 'linear'}, 'sliding_window': 1024}, "
            "'vision_config': {'hidden_size': 1152}}"));
    assert_ptr_equal(c.arch, &arch_gemma3);
    assert_int_equal(c.width, 2560);
    assert_int_equal(c.vocab, 262208);
    assert_int_equal(c.heads, 8);
    assert_int_equal(c.kv_heads, 4);
    assert_int_equal(c.head_width, 256);
    assert_int_equal(c.eos, 1);
    assert_int_equal(c.more_ends[0], 106);
    assert_true(c.tied && c.rope.theta == 1e6 && c.rope.factor == 8 && c.local_theta == 1e4);
    assert_int_equal(config_window(&c, 4), 1024);
    assert_int_equal(config_window(&c, 5), 0);
    assert_true(config_query_scale(&c) == 0);
    assert_true(config_embedding_scale(&c) == 50.5f); /* the root of 2560 is 50.596, in bf16 50.5 */
}

/* Layers that rotate nothing: by a list, by a distance, by default. */
static void unrotated_layers(void **state) {
    (void)state;
    model_config c;
#define SMOLLM3 "{'architectures': ['SmolLM3ForCausalLM'], " COMMON
    OK(read_text(&c, SMOLLM3 "}"));
    assert_int_equal(c.unrotated_every, 4);
    assert_true(c.tied);
    OK(read_text(&c, SMOLLM3 ", 'no_rope_layer_interval': 2}"));
    assert_true(config_rotates(&c, 0) && !config_rotates(&c, 1));
    OK(read_text(&c, SMOLLM3 ", 'no_rope_layers': [1, 1]}"));
    assert_true(config_rotates(&c, 0) && config_rotates(&c, 1));
    OK(read_text(&c, SMOLLM3 ", 'no_rope_layers': [1, 0]}"));
    assert_int_equal(c.unrotated_every, 2);
}

/* The text of an error names the key, or what it was set to. */
static void refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *named;
    } rows[] = {
        {LLAMA ", 'hidden_act': 'gelu'}", "gelu"},
        {LLAMA ", 'attention_bias': true}", "attention_bias"},
        {LLAMA ", 'mlp_bias': true}", "mlp_bias"},
        {LLAMA ", 'sliding_window': 512}", "512"},
        {LLAMA ", 'partial_rotary_factor': 0.5}", "partial_rotary_factor"},
        {LLAMA ", 'layer_types': ['full_attention', 'sliding_attention']}", "sliding_attention"},
        {LLAMA ", 'rope_scaling': {'type': 'spiral'}}", "spiral"},
        {LLAMA ", 'rope_scaling': {'type': 'llama3', 'factor': 8.0}}", "low_freq_factor"},
        {LLAMA ", 'rope_scaling': 'linear'}", "rope_scaling is not an object"},
        {LLAMA ", 'rope_scaling': [4.0]}", "rope_scaling is not an object"},
        {LLAMA ", 'rope_parameters': 4.0}", "rope_parameters is not an object"},
        {LLAMA ", 'layer_types': 'sliding_attention'}", "layer_types is not a list"},
        {SMOLLM3 ", 'no_rope_layers': [0, 1]}", "no_rope_layers.1"},
        {SMOLLM3 ", 'no_rope_layer_interval': 0}", "no_rope_layer_interval"},
        {SMOLLM3 ", 'mlp_bias': true}", "mlp_bias"},
        {"{'architectures': ['Qwen3ForCausalLM'], " COMMON ", 'attention_bias': true}", "attention_bias"},
        {"{'architectures': ['Qwen3MoeForCausalLM'], " COMMON "}", "mixtures of experts"},
        {"{'architectures': ['Gemma2ForCausalLM'], " COMMON "}", "soft caps"},
        {"{'architectures': ['DeepseekV3ForCausalLM'], " COMMON "}", "latent attention"},
        {"{'model_type': 'gemma3n', " COMMON "}", "inputs per layer"},
        {LLAMA ", 'eos_token_id': [1, 2, 3, 4, 5, 6, 7, 8, 9]}", "eos_token_id"},
        {LLAMA ", 'eos_token_id': [1, 'x']}", "eos_token_id"},
        {LLAMA ", 'rope_scaling': {'type': 'longrope', 'short_factor': [1, 1], 'long_factor': []}}",
         "long_factor"},
        {"{'architectures': ['Phi3ForCausalLM'], 'partial_rotary_factor': 0.01, " COMMON "}",
         "partial_rotary_factor"},
        {"{'architectures': ['Phi3ForCausalLM'], 'sliding_window': -1, " COMMON "}", "sliding_window"},
        {GEMMA3 ", 'final_logit_softcapping': 30.0}", "final_logit_softcapping"},
        {GEMMA3 ", 'hidden_activation': 'silu'}", "hidden_activation"},
        {GEMMA3 ", 'sliding_window_pattern': 0}", "sliding_window_pattern"},
        {GEMMA3 ", 'query_pre_attn_scalar': 0}", "query_pre_attn_scalar"},
        {GEMMA3 ", 'layer_types': ['full_attention', 'sliding_attention']}", "layer_types.0"},
        {LLAMA ", 'head_dim': '16'}", "head_dim"},
        {LLAMA ", 'head_dim': 15}", "head_dim"},
        {LLAMA ", 'head_dim': 0}", "head_dim"},
        {"{'architectures': ['Phi3ForCausalLM'], 'partial_rotary_factor': 1e300, " COMMON "}",
         "partial_rotary_factor"},
        {LLAMA ", 'num_key_value_heads': 3}", "3"},
        {LLAMA ", 'num_key_value_heads': 0}", "num_key_value_heads"},
        {LLAMA ", 'num_key_value_heads': 4294967296}", "num_key_value_heads"},
        {LLAMA ", 'tie_word_embeddings': 1}", "tie_word_embeddings"},
        {"{'architectures': ['LlamaForCausalLM'], 'vocab_size': 9}", "hidden_size"},
        {"{'architectures': ['FalconForCausalLM'], 'model_type': 'llama', " COMMON "}", "FalconForCausalLM"},
        {"{'model_type': 'gpt2', " COMMON "}", "gpt2"},
        {"{" COMMON "}", "none named"},
        {"[]", "none named"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        model_config c;
        if (read_text(&c, rows[i].text) == ESP_OK) fail_msg("not refused: %s", rows[i].text);
        if (!strstr(error.message, rows[i].named) || !strstr(error.message, "here/config.json"))
            fail_msg("\"%s\" is not in: %s", rows[i].named, error.message);
    }
}

/* The hint of an unknown architecture lists those that are known. */
static void known_architectures(void **state) {
    (void)state;
    model_config c;
    assert_int_equal(read_text(&c, "{'model_type': 'gpt2', " COMMON "}"), ESP_FAILED);
    for (int i = 0; arch_at(i); i++) {
        assert_non_null(strstr(error.hint, arch_at(i)->hf));
        assert_ptr_equal(arch_by_hf(arch_at(i)->hf), arch_at(i));
        assert_ptr_equal(arch_by_model_type(arch_at(i)->model_type), arch_at(i));
        if (arch_at(i)->gguf) assert_ptr_equal(arch_by_gguf(arch_at(i)->gguf), arch_at(i));
    }
    assert_null(arch_by_hf("llama"));
    assert_null(arch_by_gguf("LlamaForCausalLM"));
}

static void assert_same(const model_config *a, const model_config *b) {
    assert_ptr_equal(a->arch, b->arch);
    assert_int_equal(a->vocab, b->vocab);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->feed_forward, b->feed_forward);
    assert_int_equal(a->context, b->context);
    assert_int_equal(a->layers, b->layers);
    assert_int_equal(a->heads, b->heads);
    assert_int_equal(a->kv_heads, b->kv_heads);
    assert_int_equal(a->head_width, b->head_width);
    assert_int_equal(a->tied, b->tied);
    assert_int_equal(a->bos, b->bos);
    assert_int_equal(a->eos, b->eos);
    assert_int_equal(a->more_end_count, b->more_end_count);
    assert_memory_equal(a->more_ends, b->more_ends, sizeof a->more_ends);
    assert_int_equal(a->unrotated_every, b->unrotated_every);
    assert_int_equal(a->rotated, b->rotated);
    assert_int_equal(a->window, b->window);
    assert_int_equal(a->full_every, b->full_every);
    assert_true(a->local_theta == b->local_theta && a->query_scalar == b->query_scalar);
    assert_true(a->norm_eps == b->norm_eps);
    assert_memory_equal(&a->rope, &b->rope, sizeof a->rope);
}

static void written_and_read(void **state) {
    (void)state;
    static const rope_config ropes[] = {
        {.kind = ROPE_NONE, .theta = 1e6, .factor = 1, .original_context = 512},
        {.kind = ROPE_LINEAR, .theta = 1e4, .factor = 2.5, .original_context = 512},
        {.kind = ROPE_DYNAMIC, .theta = 1e4, .factor = 2, .original_context = 512},
        {.kind = ROPE_LLAMA3,
         .theta = 5e5,
         .factor = 8,
         .low_freq_factor = 1,
         .high_freq_factor = 4,
         .original_context = 128},
        {.kind = ROPE_YARN,
         .theta = 1e4,
         .factor = 4,
         .beta_fast = 30,
         .beta_slow = 2,
         .attention_factor = 1.1,
         .original_context = 128},
        {.kind = ROPE_LONG, .theta = 1e4, .factor = 1, .original_context = 128},
    };
    for (size_t i = 0; i < sizeof ropes / sizeof *ropes; i++)
        for (int k = 0; arch_at(k); k++) {
            model_config c = made_up_shape(320, 3, 4, 2, 32), again;
            c.arch = arch_at(k);
            c.rope = ropes[i];
            for (int f = 0; c.rope.kind == ROPE_LONG && f < (c.arch == &arch_phi3 && i % 2 ? 12 : 16); f++)
                c.rope.short_factor[f] = 1 + 0.1 * f, c.rope.long_factor[f] = 2 + 0.5 * f;
            c.width = 96;
            c.bos = i % 2 ? -1 : 7;
            if (c.arch == &arch_smollm3) c.unrotated_every = 2;
            if (c.arch == &arch_mistral || c.arch == &arch_phi3) c.window = (int64_t)i * 17;
            if (c.arch == &arch_phi3 && i % 2) c.rotated = 24;
            if (c.arch == &arch_gemma3)
                c.window = 99, c.full_every = 2, c.local_theta = 7e3, c.query_scalar = 20;
            for (; c.more_end_count < (int)i; c.more_end_count++) c.more_ends[c.more_end_count] = 40 + (int)i;
            json_t *object = json_object();
            config_sink sink = config_sink_json(object);
            config_write(&c, &sink);
            config_source source = config_source_json(object, "written");
            OK(config_read(&again, &source, &error));
            assert_same(&c, &again);
            json_decref(object);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(defaults),
                                       cmocka_unit_test(every_key),
                                       cmocka_unit_test(rotations),
                                       cmocka_unit_test(rope_factors),
                                       cmocka_unit_test(unrotated_layers),
                                       cmocka_unit_test(wrapped),
                                       cmocka_unit_test(refused),
                                       cmocka_unit_test(written_and_read),
                                       cmocka_unit_test(known_architectures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
