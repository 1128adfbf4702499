/* Llama and Mistral: pre-norm, rotary attention with grouped keys, SwiGLU, no biases. */
#include "model/arch.h"

static const param_spec params[] = {
    {ROLE_EMBED, "model.embed_tokens.weight", "token_embd.weight", DIM_VOCAB, DIM_WIDTH, INIT_NORMAL,
     PARAM_DECAYS},
    {ROLE_NORM_IN, "input_layernorm.weight", "attn_norm.weight", DIM_WIDTH, DIM_ONE, INIT_ONES, 0},
    {ROLE_Q, "self_attn.q_proj.weight", "attn_q.weight", DIM_QUERIES, DIM_WIDTH, INIT_NORMAL,
     PARAM_DECAYS | PARAM_GGUF_PERMUTED},
    {ROLE_K, "self_attn.k_proj.weight", "attn_k.weight", DIM_KEYS, DIM_WIDTH, INIT_NORMAL,
     PARAM_DECAYS | PARAM_GGUF_PERMUTED},
    {ROLE_V, "self_attn.v_proj.weight", "attn_v.weight", DIM_KEYS, DIM_WIDTH, INIT_NORMAL, PARAM_DECAYS},
    {ROLE_O, "self_attn.o_proj.weight", "attn_output.weight", DIM_WIDTH, DIM_QUERIES, INIT_NORMAL_RESIDUAL,
     PARAM_DECAYS},
    {ROLE_NORM_POST, "post_attention_layernorm.weight", "ffn_norm.weight", DIM_WIDTH, DIM_ONE, INIT_ONES, 0},
    {ROLE_GATE, "mlp.gate_proj.weight", "ffn_gate.weight", DIM_FEED_FORWARD, DIM_WIDTH, INIT_NORMAL,
     PARAM_DECAYS},
    {ROLE_UP, "mlp.up_proj.weight", "ffn_up.weight", DIM_FEED_FORWARD, DIM_WIDTH, INIT_NORMAL, PARAM_DECAYS},
    {ROLE_DOWN, "mlp.down_proj.weight", "ffn_down.weight", DIM_WIDTH, DIM_FEED_FORWARD, INIT_NORMAL_RESIDUAL,
     PARAM_DECAYS},
    {ROLE_NORM_OUT, "model.norm.weight", "output_norm.weight", DIM_WIDTH, DIM_ONE, INIT_ONES, 0},
    {ROLE_HEAD, "lm_head.weight", "output.weight", DIM_VOCAB, DIM_WIDTH, INIT_NORMAL, PARAM_DECAYS},
};

/* Biases and a sliding window are options of these configurations that are not computed here. */
static esp_status read_llama(model_config *c, const config_source *s, esp_error *error) {
    ESP_TRY(config_refuse_flag(s, "attention_bias", "use a model without biases", error));
    ESP_TRY(config_refuse_flag(s, "mlp_bias", "use a model without biases", error));
    int64_t window;
    ESP_TRY(config_integer_or(s, "sliding_window", c->context, &window, error));
    if (window >= c->context) return ESP_OK;
    return error_fail(error,
                      "set sliding_window to null in config.json and max_position_embeddings to the window",
                      "%s: a sliding window of %lld tokens, shorter than the context, is not supported",
                      s->where, (long long)window);
}

static void write_llama(const model_config *c, const config_sink *to) {
    (void)c;
    to->flag(to->to, "attention_bias", false);
    to->flag(to->to, "mlp_bias", false);
}

/* Without the null, transformers would assume a window of 4,096. */
static void write_mistral(const model_config *c, const config_sink *to) {
    (void)c;
    to->null(to->to, "sliding_window");
}

const arch arch_llama = {.hf = "LlamaForCausalLM",
                         .model_type = "llama",
                         .gguf = "llama",
                         .gate = GATE_SILU,
                         .params = params,
                         .param_count = sizeof params / sizeof *params,
                         .read = read_llama,
                         .write = write_llama};

/* In a GGUF file a Mistral is a "llama". */
const arch arch_mistral = {.hf = "MistralForCausalLM",
                           .model_type = "mistral",
                           .gate = GATE_SILU,
                           .params = params,
                           .param_count = sizeof params / sizeof *params,
                           .read = read_llama,
                           .write = write_mistral};
