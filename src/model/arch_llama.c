/* Llama and Mistral: pre-norm, rotary attention with grouped keys, SwiGLU, no biases; Mistral may have a
 * window. */
#include "model/arch_rows.h"

static const param_spec params[] = {ROWS_EMBED ROWS_NORM_IN ROWS_QKV(PARAM_GGUF_PERMUTED)
                                        ROWS_O ROWS_NORM_POST ROWS_GATE_UP ROWS_DOWN ROWS_NORM_OUT ROWS_HEAD};

/* Biases and a sliding window are options of this configuration that are not computed here. */
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

static esp_status read_mistral(model_config *c, const config_source *s, esp_error *error) {
    ESP_TRY(config_refuse_flag(s, "attention_bias", "use a model without biases", error));
    return config_read_window(s, "sliding_window", &c->window, error);
}

/* Without the null, transformers would assume a window of 4,096. */
static void write_mistral(const model_config *c, const config_sink *to) {
    if (c->window)
        to->integer(to->to, "sliding_window", c->window);
    else
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
                           .read = read_mistral,
                           .write = write_mistral};
