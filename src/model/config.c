#include "model/config.h"

#include "base/memory.h"
#include "formats/json.h"
#include "model/arch.h"

#include <math.h>
#include <string.h>

static bool get_number(const json_t *o, const char *key, double *out) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v)) return false;
    *out = json_number_value(v);
    return true;
}

static int64_t integer_or(const json_t *o, const char *key, int64_t fallback) {
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : fallback;
}

static double number_or(const json_t *o, const char *key, double fallback) {
    double v;
    return get_number(o, key, &v) ? v : fallback;
}

/* A token id that may be a number, a list (the first counts), or absent. */
static int32_t token_or_none(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    if (json_is_array(v)) v = json_array_get(v, 0);
    return json_is_integer(v) ? (int32_t)json_integer_value(v) : -1;
}

static esp_status rope_from_json(rope_config *rope, const json_t *object, int64_t context, const char *where,
                                 esp_error *error) {
    rope->theta = number_or(object, "rope_theta", 10000);
    rope->factor = 1;
    rope->original_context = context;
    const json_t *s = json_object_get(object, "rope_scaling");
    if (!json_is_object(s))
        s = json_object_get(object, "rope_parameters"); /* the newer spelling holds theta as well */
    if (!json_is_object(s)) return ESP_OK;
    rope->theta = number_or(s, "rope_theta", rope->theta);
    const char *type = json_string_value(json_object_get(s, "rope_type"));
    if (!type) type = json_string_value(json_object_get(s, "type"));
    if (!type || strcmp(type, "default") == 0) return ESP_OK;
    rope->factor = number_or(s, "factor", 1);
    rope->original_context = integer_or(s, "original_max_position_embeddings", context);
    if (strcmp(type, "linear") == 0)
        rope->kind = ROPE_LINEAR;
    else if (strcmp(type, "dynamic") == 0)
        rope->kind = ROPE_DYNAMIC;
    else if (strcmp(type, "llama3") == 0) {
        rope->kind = ROPE_LLAMA3;
        if (!get_number(s, "low_freq_factor", &rope->low_freq_factor) ||
            !get_number(s, "high_freq_factor", &rope->high_freq_factor))
            return error_fail(error, "use the config.json that came with the model",
                              "%s: rope_scaling of type llama3 lacks low_freq_factor or high_freq_factor",
                              where);
    } else if (strcmp(type, "yarn") == 0) {
        rope->kind = ROPE_YARN;
        rope->beta_fast = number_or(s, "beta_fast", 32);
        rope->beta_slow = number_or(s, "beta_slow", 1);
        rope->attention_factor = number_or(s, "attention_factor", 0);
    } else
        return error_fail(error, "supported are default, linear, dynamic, llama3 and yarn",
                          "%s: rope_scaling type \"%s\" is unknown", where, type);
    return ESP_OK;
}

/* What the configuration asks for and we do not compute. */
static esp_status refuse_unsupported(const json_t *o, const char *where, esp_error *error) {
    const char *activation = json_string_value(json_object_get(o, "hidden_act"));
    if (activation && strcmp(activation, "silu") != 0)
        return error_fail(error, "use a Llama-family model with SwiGLU",
                          "%s: hidden_act \"%s\" is not supported", where, activation);
    if (json_is_true(json_object_get(o, "attention_bias")) || json_is_true(json_object_get(o, "mlp_bias")))
        return error_fail(error, "use a Llama-family model without biases",
                          "%s: attention_bias and mlp_bias are not supported", where);
    const json_t *window = json_object_get(o, "sliding_window");
    if (json_is_integer(window) && json_integer_value(window) < integer_or(o, "max_position_embeddings", 0))
        return error_fail(
            error, "set sliding_window to null in config.json and max_position_embeddings to the window",
            "%s: a sliding window of %lld tokens, shorter than the context, is not supported", where,
            (long long)json_integer_value(window));
    return ESP_OK;
}

esp_status config_from_json(model_config *c, const json_t *o, const char *where, esp_error *error) {
    *c = (model_config){0};
    if (!json_is_object(o))
        return error_fail(error, "use the config.json that came with the model", "%s: not a JSON object",
                          where);
    const char *architecture = json_string_value(json_array_get(json_object_get(o, "architectures"), 0));
    const char *type = json_string_value(json_object_get(o, "model_type"));
    if (!architecture)
        architecture = type && strcmp(type, "llama") == 0 ? "LlamaForCausalLM" : type ? type : "(none named)";
    c->arch = arch_by_hf(architecture);
    if (!c->arch)
        return error_fail(error, "use a Llama-family model: LlamaForCausalLM or MistralForCausalLM",
                          "%s: unknown architecture \"%s\"", where, architecture);
    ESP_TRY(refuse_unsupported(o, where, error));
    int64_t layers, heads;
    ESP_TRY(json_need_integer(o, "vocab_size", where, &c->vocab, error));
    ESP_TRY(json_need_integer(o, "hidden_size", where, &c->width, error));
    ESP_TRY(json_need_integer(o, "intermediate_size", where, &c->feed_forward, error));
    ESP_TRY(json_need_integer(o, "num_hidden_layers", where, &layers, error));
    ESP_TRY(json_need_integer(o, "num_attention_heads", where, &heads, error));
    c->layers = (int)layers;
    c->heads = (int)heads;
    c->kv_heads = (int)integer_or(o, "num_key_value_heads", heads);
    c->head_width = (int)integer_or(o, "head_dim", heads > 0 ? c->width / heads : 0);
    c->context = integer_or(o, "max_position_embeddings", 2048);
    c->norm_eps = number_or(o, "rms_norm_eps", 1e-6);
    c->tied = json_is_true(json_object_get(o, "tie_word_embeddings"));
    c->bos = token_or_none(o, "bos_token_id");
    c->eos = token_or_none(o, "eos_token_id");
    ESP_TRY(rope_from_json(&c->rope, o, c->context, where, error));
    return config_check(c, where, error);
}

esp_status config_from_gguf(model_config *c, const gguf_file *g, esp_error *error) {
    *c = (model_config){.bos = -1, .eos = -1};
    const char *where = gguf_path(g), *architecture;
    ESP_TRY(gguf_need_string(g, "general.architecture", &architecture, error));
    c->arch = arch_by_gguf(architecture);
    if (!c->arch)
        return error_fail(error, "use a Llama-family model: general.architecture \"llama\"",
                          "%s: unknown architecture \"%s\"", where, architecture);
    int64_t layers, heads, v;
    ESP_TRY(gguf_need_integer(g, "llama.embedding_length", &c->width, error));
    ESP_TRY(gguf_need_integer(g, "llama.feed_forward_length", &c->feed_forward, error));
    ESP_TRY(gguf_need_integer(g, "llama.block_count", &layers, error));
    ESP_TRY(gguf_need_integer(g, "llama.attention.head_count", &heads, error));
    ESP_TRY(gguf_need_integer(g, "llama.context_length", &c->context, error));
    ESP_TRY(gguf_need_number(g, "llama.attention.layer_norm_rms_epsilon", &c->norm_eps, error));
    /* Stored as float: 9.99999975e-06 is meant as 1e-05. */
    char digits[32];
    snprintf(digits, sizeof digits, "%.6g", c->norm_eps);
    c->norm_eps = strtod(digits, NULL);
    c->layers = (int)layers;
    c->heads = c->kv_heads = (int)heads;
    if (gguf_has(g, "llama.attention.head_count_kv")) {
        ESP_TRY(gguf_need_integer(g, "llama.attention.head_count_kv", &v, error));
        c->kv_heads = (int)v;
    }
    c->head_width = heads > 0 ? (int)(c->width / heads) : 0;
    if (gguf_has(g, "llama.attention.key_length")) {
        ESP_TRY(gguf_need_integer(g, "llama.attention.key_length", &v, error));
        c->head_width = (int)v;
    }
    c->rope = (rope_config){.theta = 10000, .factor = 1, .original_context = c->context};
    if (gguf_has(g, "llama.rope.freq_base"))
        ESP_TRY(gguf_need_number(g, "llama.rope.freq_base", &c->rope.theta, error));
    if (gguf_has(g, "llama.rope.scaling.type")) {
        const char *type;
        ESP_TRY(gguf_need_string(g, "llama.rope.scaling.type", &type, error));
        if (strcmp(type, "none") != 0) {
            if (strcmp(type, "linear") != 0)
                return error_fail(error, "use the model's Hugging Face folder instead",
                                  "%s: rope scaling \"%s\" in a GGUF is not supported", where, type);
            c->rope.kind = ROPE_LINEAR;
            ESP_TRY(gguf_need_number(g, "llama.rope.scaling.factor", &c->rope.factor, error));
        }
    }
    if (gguf_has(g, "tokenizer.ggml.bos_token_id")) {
        ESP_TRY(gguf_need_integer(g, "tokenizer.ggml.bos_token_id", &v, error));
        c->bos = (int32_t)v;
    }
    if (gguf_has(g, "tokenizer.ggml.eos_token_id")) {
        ESP_TRY(gguf_need_integer(g, "tokenizer.ggml.eos_token_id", &v, error));
        c->eos = (int32_t)v;
    }
    c->tied = true;
    for (int64_t i = 0; i < gguf_tensor_count(g); i++) {
        const tensor_entry *t = gguf_tensor_at(g, i);
        if (strcmp(t->name, "output.weight") == 0) c->tied = false;
        if (strcmp(t->name, "rope_freqs.weight") == 0)
            return error_fail(error, "use the model's Hugging Face folder instead",
                              "%s: rope_freqs.weight (llama3 rope scaling in a GGUF) is not supported",
                              where);
        if (strcmp(t->name, "token_embd.weight") == 0 && t->rank == 2) c->vocab = t->shape[0];
    }
    return config_check(c, where, error);
}

esp_status config_check(const model_config *c, const char *where, esp_error *error) {
    const struct {
        const char *name;
        int64_t value, low, high;
    } bounds[] = {
        {"vocab_size", c->vocab, 2, 1 << 24},
        {"hidden_size", c->width, 1, 1 << 20},
        {"intermediate_size", c->feed_forward, 1, 1 << 22},
        {"num_hidden_layers", c->layers, 1, 4096},
        {"num_attention_heads", c->heads, 1, 4096},
        {"num_key_value_heads", c->kv_heads, 1, 4096},
        {"head_dim", c->head_width, 2, 1024},
        {"max_position_embeddings", c->context, 1, 1 << 26},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (bounds[i].value < bounds[i].low || bounds[i].value > bounds[i].high)
            return error_fail(error, "use the configuration that came with the model",
                              "%s: %s is %lld, outside %lld to %lld", where, bounds[i].name,
                              (long long)bounds[i].value, (long long)bounds[i].low,
                              (long long)bounds[i].high);
    if (c->heads % c->kv_heads != 0)
        return error_fail(error, "use the configuration that came with the model",
                          "%s: %d attention heads do not divide among %d key/value heads", where, c->heads,
                          c->kv_heads);
    if (c->head_width % 2 != 0)
        return error_fail(error, "use the configuration that came with the model", "%s: head_dim %d is odd",
                          where, c->head_width);
    if (!(c->norm_eps >= 0) || !(c->rope.theta > 0) || !(c->rope.factor > 0))
        return error_fail(error, "use the configuration that came with the model",
                          "%s: rms_norm_eps, rope_theta or the rope factor is not positive", where);
    return ESP_OK;
}

static json_t *rope_to_json(const rope_config *r) {
    static const char *const names[] = {"default", "linear", "dynamic", "llama3", "yarn"};
    if (r->kind == ROPE_NONE) return json_null();
    json_t *o = json_pack("{s:s, s:f}", "rope_type", names[r->kind], "factor", r->factor);
    if (r->kind != ROPE_LINEAR)
        json_object_set_new(o, "original_max_position_embeddings", json_integer(r->original_context));
    if (r->kind == ROPE_LLAMA3) {
        json_object_set_new(o, "low_freq_factor", json_real(r->low_freq_factor));
        json_object_set_new(o, "high_freq_factor", json_real(r->high_freq_factor));
    }
    if (r->kind == ROPE_YARN) {
        json_object_set_new(o, "beta_fast", json_real(r->beta_fast));
        json_object_set_new(o, "beta_slow", json_real(r->beta_slow));
        if (r->attention_factor > 0)
            json_object_set_new(o, "attention_factor", json_real(r->attention_factor));
    }
    return o;
}

json_t *config_to_json(const model_config *c) {
    json_t *o = json_pack(
        "{s:[s], s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:f, s:f, s:b, s:b}",
        "architectures", c->arch->hf, "model_type", c->arch->model_type, "hidden_act", "silu",
        "attention_bias", 0, "mlp_bias", 0, "vocab_size", (json_int_t)c->vocab, "hidden_size",
        (json_int_t)c->width, "intermediate_size", (json_int_t)c->feed_forward, "max_position_embeddings",
        (json_int_t)c->context, "num_hidden_layers", c->layers, "num_attention_heads", c->heads,
        "num_key_value_heads", c->kv_heads, "head_dim", c->head_width, "rms_norm_eps", c->norm_eps,
        "rope_theta", c->rope.theta, "tie_word_embeddings", c->tied, "use_cache", 1);
    json_object_set_new(o, "rope_scaling", rope_to_json(&c->rope));
    if (c->arch == &arch_mistral) json_object_set_new(o, "sliding_window", json_null());
    if (c->bos >= 0) json_object_set_new(o, "bos_token_id", json_integer(c->bos));
    if (c->eos >= 0) json_object_set_new(o, "eos_token_id", json_integer(c->eos));
    return o;
}

static const double two_pi = 6.283185307179586476925;

/* Llama 3.1: long wavelengths are stretched by factor, short ones kept, those between blended. */
static double llama3_frequency(const rope_config *r, double frequency) {
    double wavelength = two_pi / frequency, context = (double)r->original_context;
    double low = context / r->low_freq_factor, high = context / r->high_freq_factor;
    if (wavelength < high) return frequency;
    if (wavelength > low) return frequency / r->factor;
    double smooth = (context / wavelength - r->low_freq_factor) / (r->high_freq_factor - r->low_freq_factor);
    return (1 - smooth) * frequency / r->factor + smooth * frequency;
}

/* YaRN: the dimension whose angle makes `turns` turns over the original context. */
static double yarn_dimension(const rope_config *r, double turns, int head_width) {
    return head_width * log((double)r->original_context / (turns * two_pi)) / (2 * log(r->theta));
}

static double yarn_frequency(const rope_config *r, double frequency, int i, int head_width) {
    double low = floor(yarn_dimension(r, r->beta_fast, head_width)),
           high = ceil(yarn_dimension(r, r->beta_slow, head_width));
    if (low < 0) low = 0;
    if (high > head_width - 1) high = head_width - 1;
    if (high <= low) high = low + 0.001;
    double ramp = (i - low) / (high - low);
    if (ramp < 0) ramp = 0;
    if (ramp > 1) ramp = 1;
    return frequency / r->factor * ramp + frequency * (1 - ramp);
}

void config_rope_tables(const model_config *c, int64_t count, float *cosine, float *sine) {
    const rope_config *r = &c->rope;
    int half = c->head_width / 2;
    double magnitude = 1;
    if (r->kind == ROPE_YARN)
        magnitude = r->attention_factor > 0 ? r->attention_factor
                    : r->factor > 1         ? 0.1 * log(r->factor) + 1
                                            : 1;
    for (int i = 0; i < half; i++) {
        double frequency = pow(r->theta, -2.0 * i / c->head_width);
        if (r->kind == ROPE_LINEAR) frequency /= r->factor;
        if (r->kind == ROPE_LLAMA3) frequency = llama3_frequency(r, frequency);
        if (r->kind == ROPE_YARN) frequency = yarn_frequency(r, frequency, i, c->head_width);
        for (int64_t p = 0; p < count; p++) {
            cosine[p * half + i] = (float)(magnitude * cos((double)p * frequency));
            sine[p * half + i] = (float)(magnitude * sin((double)p * frequency));
        }
    }
}
