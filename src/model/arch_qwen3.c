/* Qwen3: no biases; each head of the queries and of the keys is normalised before the rotation. */
#include "model/arch_rows.h"

static const param_spec params[] = {
    ROWS_EMBED ROWS_NORM_IN ROWS_QKV(0) /* then the gains of the heads' norms */
    {ROLE_GAIN_Q, "self_attn.q_norm.weight", "attn_q_norm.weight", DIM_HEAD, DIM_ONE, INIT_ONES, 0},
    {ROLE_GAIN_K, "self_attn.k_norm.weight", "attn_k_norm.weight", DIM_HEAD, DIM_ONE, INIT_ONES, 0},
    ROWS_O ROWS_NORM_POST ROWS_GATE_UP ROWS_DOWN ROWS_NORM_OUT ROWS_HEAD};

/* sliding_window has a number even where windows are off. */
static esp_status read_qwen3(model_config *c, const config_source *s, esp_error *error) {
    (void)c;
    ESP_TRY(config_refuse_flag(s, "attention_bias", "use a model without biases", error));
    return config_refuse_flag(s, "use_sliding_window", "use a model with full attention", error);
}

static void write_qwen3(const model_config *c, const config_sink *to) {
    (void)c;
    to->flag(to->to, "attention_bias", false);
    to->flag(to->to, "use_sliding_window", false);
}

const arch arch_qwen3 = {.hf = "Qwen3ForCausalLM",
                         .model_type = "qwen3",
                         .gguf = "qwen3",
                         .gate = GATE_SILU,
                         .params = params,
                         .param_count = sizeof params / sizeof *params,
                         .head_width = 128,
                         .read = read_qwen3,
                         .write = write_qwen3};
