/* Qwen2 and Qwen2.5: a Llama whose queries, keys and values have biases. GGUF files hold the rows of its
 * heads as they are. */
#include "model/arch_rows.h"

static const param_spec params[] = {
    ROWS_EMBED ROWS_NORM_IN ROWS_QKV(0) /* then the biases */
    {ROLE_BIAS_Q, "self_attn.q_proj.bias", "attn_q.bias", DIM_QUERIES, DIM_ONE, INIT_ZEROS, 0},
    {ROLE_BIAS_K, "self_attn.k_proj.bias", "attn_k.bias", DIM_KEYS, DIM_ONE, INIT_ZEROS, 0},
    {ROLE_BIAS_V, "self_attn.v_proj.bias", "attn_v.bias", DIM_KEYS, DIM_ONE, INIT_ZEROS, 0},
    ROWS_O ROWS_NORM_POST ROWS_GATE_UP ROWS_DOWN ROWS_NORM_OUT ROWS_HEAD};

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
