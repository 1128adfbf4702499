/* Phi-3 and Phi-4-mini: queries, keys and values are one matrix, gate and up another; part of a head may be
 * rotated, and the frequencies have factors (longrope). */
#include "model/arch_rows.h"

static const param_spec params[] = {
    ROWS_EMBED ROWS_NORM_IN /* then what other architectures have in three parts, and below in two */
    {ROLE_QKV, "self_attn.qkv_proj.weight", "attn_qkv.weight", DIM_QKV, DIM_WIDTH, INIT_NORMAL, PARAM_DECAYS},
    ROWS_O ROWS_NORM_POST{ROLE_GATE_UP, "mlp.gate_up_proj.weight", "ffn_up.weight", DIM_GATE_UP, DIM_WIDTH,
                          INIT_NORMAL, PARAM_DECAYS},
    ROWS_DOWN ROWS_NORM_OUT ROWS_HEAD};

static esp_status read_phi3(model_config *c, const config_source *s, esp_error *error) {
    if (s->gguf) return config_read_window(s, "phi3.attention.sliding_window", &c->window, error);
    ESP_TRY(config_refuse_flag(s, "attention_bias", "use a model without biases", error));
    return config_read_window(s, "sliding_window", &c->window, error);
}

static void write_phi3(const model_config *c, const config_sink *to) {
    to->flag(to->to, "attention_bias", false);
    if (c->window)
        to->integer(to->to, "sliding_window", c->window);
    else
        to->null(to->to, "sliding_window");
}

const arch arch_phi3 = {.hf = "Phi3ForCausalLM",
                        .model_type = "phi3",
                        .gguf = "phi3",
                        .gate = GATE_SILU,
                        .windows = true,
                        .partial_rotation = true,
                        .params = params,
                        .param_count = sizeof params / sizeof *params,
                        .read = read_phi3,
                        .write = write_phi3};
