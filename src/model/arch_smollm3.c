/* SmolLM3: a Llama of which every n-th layer rotates nothing. */
#include "model/arch_rows.h"

#include <stdio.h>

static const param_spec params[] = {ROWS_EMBED ROWS_NORM_IN ROWS_QKV(PARAM_GGUF_PERMUTED)
                                        ROWS_O ROWS_NORM_POST ROWS_GATE_UP ROWS_DOWN ROWS_NORM_OUT ROWS_HEAD};

enum { INTERVAL = 4 }; /* SmolLM3-3B's, and of every GGUF file */

static esp_status listed(const config_source *s, int layer, int64_t *rotates, esp_error *error) {
    char key[40];
    snprintf(key, sizeof key, "no_rope_layers.%d", layer);
    return config_integer_or(s, key, 1, rotates, error);
}

/* no_rope_layers has 1 for a layer that rotates and 0 for one that does not: here every n-th. */
static esp_status read_list(model_config *c, const config_source *s, esp_error *error) {
    int64_t rotates;
    c->unrotated_every = 0;
    for (int l = 0; l < c->layers; l++) {
        ESP_TRY(listed(s, l, &rotates, error));
        if (!rotates && !c->unrotated_every) c->unrotated_every = l + 1;
        if ((rotates != 0) != config_rotates(c, l))
            return error_fail(error, "use a model that leaves out every n-th layer",
                              "%s: no_rope_layers.%d is %lld: layers without rotation that do not follow at "
                              "one distance are not supported",
                              s->where, l, (long long)rotates);
    }
    return ESP_OK;
}

static esp_status read_smollm3(model_config *c, const config_source *s, esp_error *error) {
    c->unrotated_every = INTERVAL;
    if (s->gguf) return ESP_OK;
    ESP_TRY(config_refuse_flag(s, "attention_bias", "use a model without biases", error));
    ESP_TRY(config_refuse_flag(s, "mlp_bias", "use a model without biases", error));
    ESP_TRY(config_refuse_flag(s, "use_sliding_window", "use a model with full attention", error));
    if (s->has(s->from, "no_rope_layers")) return read_list(c, s, error);
    int64_t every;
    ESP_TRY(config_integer_or(s, "no_rope_layer_interval", INTERVAL, &every, error));
    if (every < 1 || every > INT32_MAX)
        return error_fail(error, "use the configuration that came with the model",
                          "%s: no_rope_layer_interval is %lld", s->where, (long long)every);
    c->unrotated_every = (int)every;
    return ESP_OK;
}

static void write_smollm3(const model_config *c, const config_sink *to) {
    to->flag(to->to, "attention_bias", false);
    to->flag(to->to, "mlp_bias", false);
    to->flag(to->to, "use_sliding_window", false);
    for (int l = 0; l < c->layers; l++) {
        char key[40];
        snprintf(key, sizeof key, "no_rope_layers.%d", l);
        to->integer(to->to, key, config_rotates(c, l));
    }
}

const arch arch_smollm3 = {.hf = "SmolLM3ForCausalLM",
                           .model_type = "smollm3",
                           .gguf = "smollm3",
                           .gate = GATE_SILU,
                           .params = params,
                           .param_count = sizeof params / sizeof *params,
                           .tied = true,
                           .read = read_smollm3,
                           .write = write_smollm3};
