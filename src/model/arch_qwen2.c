/* Qwen2 and Qwen2.5: a Llama whose queries, keys and values have biases. GGUF files hold the rows of its
 * heads as they are. */
#include "model/arch.h"

static const param_spec params[] = {
    {ROLE_EMBED, "model.embed_tokens.weight", "token_embd.weight", DIM_VOCAB, DIM_WIDTH, INIT_NORMAL,
     PARAM_DECAYS},
    {ROLE_NORM_IN, "input_layernorm.weight", "attn_norm.weight", DIM_WIDTH, DIM_ONE, INIT_ONES, 0},
    {ROLE_Q, "self_attn.q_proj.weight", "attn_q.weight", DIM_QUERIES, DIM_WIDTH, INIT_NORMAL, PARAM_DECAYS},
    {ROLE_K, "self_attn.k_proj.weight", "attn_k.weight", DIM_KEYS, DIM_WIDTH, INIT_NORMAL, PARAM_DECAYS},
    {ROLE_V, "self_attn.v_proj.weight", "attn_v.weight", DIM_KEYS, DIM_WIDTH, INIT_NORMAL, PARAM_DECAYS},
    {ROLE_BIAS_Q, "self_attn.q_proj.bias", "attn_q.bias", DIM_QUERIES, DIM_ONE, INIT_ZEROS, 0},
    {ROLE_BIAS_K, "self_attn.k_proj.bias", "attn_k.bias", DIM_KEYS, DIM_ONE, INIT_ZEROS, 0},
    {ROLE_BIAS_V, "self_attn.v_proj.bias", "attn_v.bias", DIM_KEYS, DIM_ONE, INIT_ZEROS, 0},
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

/* sliding_window has a number even where windows are off. */
static esp_status read_qwen2(model_config *c, const config_source *s, esp_error *error) {
    (void)c;
    return config_refuse_flag(s, "use_sliding_window", "use a model with full attention", error);
}

static void write_qwen2(const model_config *c, const config_sink *to) {
    (void)c;
    to->flag(to->to, "use_sliding_window", false);
}

const arch arch_qwen2 = {.hf = "Qwen2ForCausalLM",
                         .model_type = "qwen2",
                         .gguf = "qwen2",
                         .gate = GATE_SILU,
                         .params = params,
                         .param_count = sizeof params / sizeof *params,
                         .read = read_qwen2,
                         .write = write_qwen2};
