/* Gemma and Gemma 3 (text): gains are 1 + w, the gate is a GELU, the embedding is scaled. Gemma 3 normalises
 * heads and what each block adds, and has a window, with angles of their own, in all layers but every n-th.
 */
#include "model/arch_rows.h"

#include <stdio.h>
#include <string.h>

#define GAIN(role, hf, gguf, rows)                                                                           \
    { role, hf, gguf, rows, DIM_ONE, INIT_ZEROS, PARAM_PLUS_ONE }

static const param_spec gemma_params[] = {
    ROWS_EMBED GAIN(ROLE_NORM_IN, "input_layernorm.weight", "attn_norm.weight", DIM_WIDTH),
    ROWS_QKV(0) ROWS_O GAIN(ROLE_NORM_POST, "post_attention_layernorm.weight", "ffn_norm.weight", DIM_WIDTH),
    ROWS_GATE_UP ROWS_DOWN GAIN(ROLE_NORM_OUT, "model.norm.weight", "output_norm.weight", DIM_WIDTH),
    ROWS_HEAD};

static const param_spec gemma3_params[] = {
    ROWS_EMBED GAIN(ROLE_NORM_IN, "input_layernorm.weight", "attn_norm.weight", DIM_WIDTH),
    ROWS_QKV(0) GAIN(ROLE_GAIN_Q, "self_attn.q_norm.weight", "attn_q_norm.weight", DIM_HEAD),
    GAIN(ROLE_GAIN_K, "self_attn.k_norm.weight", "attn_k_norm.weight", DIM_HEAD),
    ROWS_O GAIN(ROLE_NORM_ATTENDED, "post_attention_layernorm.weight", "post_attention_norm.weight",
                DIM_WIDTH),
    GAIN(ROLE_NORM_POST, "pre_feedforward_layernorm.weight", "ffn_norm.weight", DIM_WIDTH),
    ROWS_GATE_UP ROWS_DOWN GAIN(ROLE_NORM_FED, "post_feedforward_layernorm.weight", "post_ffw_norm.weight",
                                DIM_WIDTH),
    GAIN(ROLE_NORM_OUT, "model.norm.weight", "output_norm.weight", DIM_WIDTH),
    ROWS_HEAD};

static esp_status read_gemma(model_config *c, const config_source *s, esp_error *error) {
    (void)c;
    return config_refuse_flag(s, "attention_bias", "use a model without biases", error);
}

static void write_gemma(const model_config *c, const config_sink *to) {
    (void)c;
    to->flag(to->to, "attention_bias", false);
}

enum { PATTERN = 6, LAYERS_27B = 62 };
static const double local_theta = 10000;

/* layer_types must be what the distance between layers without a window says. */
static esp_status check_layer_types(const model_config *c, const config_source *s, esp_error *error) {
    for (int l = 0; l < c->layers && s->has(s->from, "layer_types"); l++) {
        char key[32];
        const char *type, *own = config_window(c, l) ? "sliding_attention" : "full_attention";
        snprintf(key, sizeof key, "layer_types.%d", l);
        ESP_TRY(s->text(s, key, &type, error));
        if (strcmp(type, own) != 0)
            return error_fail(error, "use a model whose layers follow its pattern",
                              "%s: %s is \"%s\", and sliding_window_pattern makes it \"%s\"", s->where, key,
                              type, own);
    }
    return ESP_OK;
}

static esp_status read_gguf(model_config *c, const config_source *s, esp_error *error) {
    ESP_TRY(config_refuse_value(s, "gemma3.final_logit_softcapping", "use a model without soft caps", error));
    ESP_TRY(config_read_window(s, "gemma3.attention.sliding_window", &c->window, error));
    ESP_TRY(config_number_or(s, "gemma3.rope.freq_base_swa", local_theta, &c->local_theta, error));
    c->full_every = PATTERN;
    /* The file does not say; llama.cpp goes by the number of layers too. */
    if (c->layers == LAYERS_27B && c->heads > 0) c->query_scalar = (double)(c->width / c->heads);
    return ESP_OK;
}

/* The pattern is the first layer without a window, where they are listed. */
static esp_status read_pattern(model_config *c, const config_source *s, esp_error *error) {
    int64_t every = PATTERN;
    ESP_TRY(config_integer_or(s, "_sliding_window_pattern", every, &every, error));
    ESP_TRY(config_integer_or(s, "sliding_window_pattern", every, &every, error));
    if (every < 1 || every > INT32_MAX)
        return error_fail(error, "use the configuration that came with the model",
                          "%s: sliding_window_pattern is %lld", s->where, (long long)every);
    c->full_every = (int)every;
    return check_layer_types(c, s, error);
}

static esp_status read_gemma3(model_config *c, const config_source *s, esp_error *error) {
    const char *caps = "use a model without soft caps";
    if (s->gguf) return read_gguf(c, s, error);
    ESP_TRY(read_gemma(c, s, error));
    ESP_TRY(config_refuse_value(s, "attn_logit_softcapping", caps, error));
    ESP_TRY(config_refuse_value(s, "final_logit_softcapping", caps, error));
    ESP_TRY(config_refuse_flag(s, "use_bidirectional_attention", "use a causal model", error));
    ESP_TRY(config_number_or(s, "query_pre_attn_scalar", 256, &c->query_scalar, error));
    ESP_TRY(config_number_or(s, "rope_parameters.sliding_attention.rope_theta", local_theta, &c->local_theta,
                             error));
    ESP_TRY(config_number_or(s, "rope_local_base_freq", c->local_theta, &c->local_theta, error));
    ESP_TRY(config_integer_or(s, "sliding_window", 4096, &c->window, error));
    if (!(c->query_scalar > 0) || !(c->local_theta > 0))
        return error_fail(error, "use the configuration that came with the model",
                          "%s: query_pre_attn_scalar or rope_local_base_freq is not positive", s->where);
    return read_pattern(c, s, error);
}

static void write_gemma3(const model_config *c, const config_sink *to) {
    write_gemma(c, to);
    to->number(to->to, "query_pre_attn_scalar", c->query_scalar > 0 ? c->query_scalar : c->head_width);
    to->number(to->to, "rope_local_base_freq", c->local_theta);
    to->integer(to->to, "sliding_window", c->window);
    to->integer(to->to, "sliding_window_pattern", c->full_every);
    for (int l = 0; l < c->layers; l++) {
        char key[32];
        snprintf(key, sizeof key, "layer_types.%d", l);
        to->text(to->to, key, config_window(c, l) ? "sliding_attention" : "full_attention");
    }
}

/* What released configurations leave out. */
static const config_default gemma_defaults[] = {
    {"head_dim", 256}, {"max_position_embeddings", 8192}, {NULL, 0}};
static const config_default gemma3_defaults[] = {
    {"vocab_size", 262208},      {"hidden_size", 2304},
    {"intermediate_size", 9216}, {"num_hidden_layers", 26},
    {"num_attention_heads", 8},  {"num_key_value_heads", 4},
    {"head_dim", 256},           {"max_position_embeddings", 131072},
    {"rope_theta", 1e6},         {NULL, 0}};

const arch arch_gemma = {.hf = "GemmaForCausalLM",
                         .model_type = "gemma",
                         .gguf = "gemma",
                         .gate = GATE_GELU_TANH,
                         .gate_key = "hidden_activation",
                         .scaled_embedding = true,
                         .tied = true,
                         .defaults = gemma_defaults,
                         .params = gemma_params,
                         .param_count = sizeof gemma_params / sizeof *gemma_params,
                         .read = read_gemma,
                         .write = write_gemma};

const arch arch_gemma3 = {.hf = "Gemma3ForCausalLM",
                          .model_type = "gemma3_text",
                          .gguf = "gemma3",
                          .wrapped = "Gemma3ForConditionalGeneration",
                          .gate = GATE_GELU_TANH,
                          .gate_key = "hidden_activation",
                          .windows = true,
                          .scaled_embedding = true,
                          .tied = true,
                          .defaults = gemma3_defaults,
                          .params = gemma3_params,
                          .param_count = sizeof gemma3_params / sizeof *gemma3_params,
                          .read = read_gemma3,
                          .write = write_gemma3};
