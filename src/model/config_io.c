#include "model/config_io.h"

#include "model/arch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

esp_status config_integer_or(const config_source *s, const char *key, int64_t fallback, int64_t *out,
                             esp_error *error) {
    *out = fallback;
    return s->has(s->from, key) ? s->integer(s, key, out, error) : ESP_OK;
}

esp_status config_number_or(const config_source *s, const char *key, double fallback, double *out,
                            esp_error *error) {
    *out = fallback;
    return s->has(s->from, key) ? s->number(s, key, out, error) : ESP_OK;
}

esp_status config_refuse_flag(const config_source *s, const char *key, const char *hint, esp_error *error) {
    bool is = false;
    if (s->has(s->from, key)) ESP_TRY(s->flag(s, key, &is, error));
    return is ? error_fail(error, hint, "%s: %s is not supported", s->where, key) : ESP_OK;
}

/* ---- Numbers that both kinds of file have ---- */

typedef enum { OPTIONAL, NEEDED_IN_GGUF, NEEDED } field_need;
enum { ABSENT = -1 }; /* a default that depends on other fields */
typedef enum { FIELD_INT64, FIELD_INT, FIELD_DOUBLE } field_type;

/* gguf: after the architecture's name and a dot; NULL: not in the metadata. */
typedef struct {
    const char *json, *gguf;
    field_type type;
    size_t at; /* in model_config */
    field_need need;
    double fallback;
} field;

static const field fields[] = {
    {"vocab_size", NULL, FIELD_INT64, offsetof(model_config, vocab), NEEDED, 0},
    {"hidden_size", "embedding_length", FIELD_INT64, offsetof(model_config, width), NEEDED, 0},
    {"intermediate_size", "feed_forward_length", FIELD_INT64, offsetof(model_config, feed_forward), NEEDED,
     0},
    {"max_position_embeddings", "context_length", FIELD_INT64, offsetof(model_config, context),
     NEEDED_IN_GGUF, 2048},
    {"num_hidden_layers", "block_count", FIELD_INT, offsetof(model_config, layers), NEEDED, 0},
    {"num_attention_heads", "attention.head_count", FIELD_INT, offsetof(model_config, heads), NEEDED, 0},
    {"num_key_value_heads", "attention.head_count_kv", FIELD_INT, offsetof(model_config, kv_heads), OPTIONAL,
     ABSENT},
    {"head_dim", "attention.key_length", FIELD_INT, offsetof(model_config, head_width), OPTIONAL, ABSENT},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", FIELD_DOUBLE, offsetof(model_config, norm_eps),
     NEEDED_IN_GGUF, 1e-6},
    {"rope_theta", "rope.freq_base", FIELD_DOUBLE, offsetof(model_config, rope.theta), OPTIONAL, 10000},
};
enum { FIELDS = sizeof fields / sizeof *fields };

typedef struct {
    char text[96];
} config_key;

/* A key of GGUF metadata that begins with the architecture's name. */
static config_key gguf_key(const model_config *c, const char *rest) {
    config_key key;
    snprintf(key.text, sizeof key.text, "%s.%s", c->arch->gguf, rest);
    return key;
}

static esp_status small_integer(const config_source *s, const char *key, int *out, esp_error *error) {
    int64_t value;
    ESP_TRY(s->integer(s, key, &value, error));
    if (value < INT32_MIN || value > INT32_MAX)
        return error_fail(error, "use the configuration that came with the model", "%s: %s is %lld", s->where,
                          key, (long long)value);
    *out = (int)value;
    return ESP_OK;
}

static esp_status read_field(model_config *c, const config_source *s, const field *f, esp_error *error) {
    void *out = (char *)c + f->at;
    config_key in_gguf = s->gguf ? gguf_key(c, f->gguf) : (config_key){""};
    const char *key = s->gguf ? in_gguf.text : f->json;
    bool needed = f->need == NEEDED || (f->need == NEEDED_IN_GGUF && s->gguf);
    bool read = needed || s->has(s->from, key);
    switch (f->type) {
    case FIELD_INT64:
        *(int64_t *)out = (int64_t)f->fallback;
        return read ? s->integer(s, key, out, error) : ESP_OK;
    case FIELD_INT:
        *(int *)out = (int)f->fallback;
        return read ? small_integer(s, key, out, error) : ESP_OK;
    case FIELD_DOUBLE:
        break;
    }
    *(double *)out = f->fallback;
    return read ? s->number(s, key, out, error) : ESP_OK;
}

static esp_status read_fields(model_config *c, const config_source *s, esp_error *error) {
    for (int i = 0; i < FIELDS; i++)
        if (!s->gguf || fields[i].gguf) ESP_TRY(read_field(c, s, &fields[i], error));
    if (c->kv_heads == ABSENT) c->kv_heads = c->heads;
    if (c->head_width == ABSENT && !s->gguf && c->arch->head_width) c->head_width = c->arch->head_width;
    if (c->head_width == ABSENT && c->heads > 0) c->head_width = (int)(c->width / c->heads);
    c->rope.factor = 1;
    c->rope.original_context = c->context;
    return ESP_OK;
}

static void write_field(const model_config *c, const config_sink *to, const field *f) {
    const void *at = (const char *)c + f->at;
    switch (f->type) {
    case FIELD_INT64:
        to->integer(to->to, f->json, *(const int64_t *)at);
        break;
    case FIELD_INT:
        to->integer(to->to, f->json, *(const int *)at);
        break;
    case FIELD_DOUBLE:
        to->number(to->to, f->json, *(const double *)at);
        break;
    }
}

/* ---- config.json ---- */

static const char *const rope_names[] = {"default", "linear", "dynamic", "llama3", "yarn"};

/* A token id that may be absent (-1), a number, or a list, of which this takes the first. */
static esp_status read_token(const config_source *s, const char *key, int32_t *out, esp_error *error) {
    char first[64];
    snprintf(first, sizeof first, "%s.0", key);
    *out = -1;
    if (s->has(s->from, first)) return small_integer(s, first, out, error);
    return s->has(s->from, key) ? small_integer(s, key, out, error) : ESP_OK;
}

/* The ends after the first, where there is a list of them. */
static esp_status read_more_ends(model_config *c, const config_source *s, esp_error *error) {
    for (c->more_end_count = 0;; c->more_end_count++) {
        char key[32];
        snprintf(key, sizeof key, "eos_token_id.%d", c->more_end_count + 1);
        if (!s->has(s->from, key)) return ESP_OK;
        if (c->more_end_count == CONFIG_MORE_ENDS)
            return error_fail(error, "keep those that the chat template uses",
                              "%s: eos_token_id has more than %d tokens", s->where, CONFIG_MORE_ENDS + 1);
        ESP_TRY(small_integer(s, key, &c->more_ends[c->more_end_count], error));
    }
}

typedef struct {
    const config_source *s;
    const char *in; /* the object that holds the scaling */
} rope_source;

static config_key rope_key(const rope_source *r, const char *name) {
    config_key key;
    snprintf(key.text, sizeof key.text, "%s.%s", r->in, name);
    return key;
}

static esp_status rope_number(const rope_source *r, const char *name, double fallback, double *out,
                              esp_error *error) {
    return config_number_or(r->s, rope_key(r, name).text, fallback, out, error);
}

static esp_status rope_kind_of(const rope_source *r, rope_kind *out, esp_error *error) {
    config_key key = rope_key(r, "rope_type");
    const char *type = rope_names[ROPE_NONE];
    if (!r->s->has(r->s->from, key.text)) key = rope_key(r, "type"); /* the older spelling */
    if (r->s->has(r->s->from, key.text)) ESP_TRY(r->s->text(r->s, key.text, &type, error));
    for (*out = ROPE_NONE; *out <= ROPE_YARN; (*out)++)
        if (strcmp(type, rope_names[*out]) == 0) return ESP_OK;
    return error_fail(error, "supported are default, linear, dynamic, llama3 and yarn",
                      "%s: %s type \"%s\" is unknown", r->s->where, r->in, type);
}

/* The scaling of the angles is in one of two places; the newer one holds theta as well. */
static esp_status read_rope(rope_config *rope, const config_source *s, esp_error *error) {
    rope_source r = {s, s->has(s->from, "rope_scaling") ? "rope_scaling" : "rope_parameters"};
    ESP_TRY(rope_number(&r, "rope_theta", rope->theta, &rope->theta, error));
    ESP_TRY(rope_kind_of(&r, &rope->kind, error));
    if (rope->kind == ROPE_NONE) return ESP_OK;
    ESP_TRY(rope_number(&r, "factor", 1, &rope->factor, error));
    ESP_TRY(config_integer_or(s, rope_key(&r, "original_max_position_embeddings").text,
                              rope->original_context, &rope->original_context, error));
    if (rope->kind == ROPE_LLAMA3) {
        ESP_TRY(s->number(s, rope_key(&r, "low_freq_factor").text, &rope->low_freq_factor, error));
        ESP_TRY(s->number(s, rope_key(&r, "high_freq_factor").text, &rope->high_freq_factor, error));
    }
    if (rope->kind == ROPE_YARN) {
        ESP_TRY(rope_number(&r, "beta_fast", 32, &rope->beta_fast, error));
        ESP_TRY(rope_number(&r, "beta_slow", 1, &rope->beta_slow, error));
        ESP_TRY(rope_number(&r, "attention_factor", 0, &rope->attention_factor, error));
    }
    return ESP_OK;
}

static esp_status find_json_arch(model_config *c, const config_source *s, esp_error *error) {
    const char *name = NULL, *type = NULL;
    if (s->has(s->from, "architectures.0")) ESP_TRY(s->text(s, "architectures.0", &name, error));
    if (!name && s->has(s->from, "model_type")) ESP_TRY(s->text(s, "model_type", &type, error));
    c->arch = name ? arch_by_hf(name) : type ? arch_by_model_type(type) : NULL;
    return c->arch ? ESP_OK : arch_unknown(s->where, name ? name : type ? type : "(none named)", error);
}

/* hidden_act, by gate_kind. */
static const char *const gate_names[] = {[GATE_SILU] = "silu", [GATE_GELU_TANH] = "gelu_pytorch_tanh"};

/* Refuses options that any architecture may have and none here computes, and another gate than its own. */
static esp_status refuse_options(const arch *of, const config_source *s, esp_error *error) {
    const char *gate = gate_names[of->gate], *named = gate;
    if (s->has(s->from, "hidden_act")) ESP_TRY(s->text(s, "hidden_act", &named, error));
    if (strcmp(named, gate) != 0)
        return error_fail(error, "use a model whose hidden_act is its architecture's",
                          "%s: hidden_act \"%s\" is not supported: that of a %s is \"%s\"", s->where, named,
                          of->hf, gate);
    double rotated;
    ESP_TRY(config_number_or(s, "partial_rotary_factor", 1, &rotated, error));
    if (rotated != 1)
        return error_fail(error, "use a model that rotates all of a head",
                          "%s: partial_rotary_factor %g is not supported", s->where, rotated);
    for (int l = 0;; l++) {
        char key[32];
        const char *type;
        snprintf(key, sizeof key, "layer_types.%d", l);
        if (!s->has(s->from, key)) return ESP_OK;
        ESP_TRY(s->text(s, key, &type, error));
        if (strcmp(type, "full_attention") != 0)
            return error_fail(error, "use a model with full attention", "%s: %s \"%s\" is not supported",
                              s->where, key, type);
    }
}

/* Keys below another one would be absent, and their defaults another model, if that one is a plain value. */
static esp_status check_holders(const config_source *s, esp_error *error) {
    static const struct {
        const char *key;
        bool list;
    } holders[] = {
        {"rope_scaling", false}, {"rope_parameters", false}, {"architectures", true}, {"layer_types", true}};
    for (size_t i = 0; i < sizeof holders / sizeof *holders; i++)
        if (s->has(s->from, holders[i].key) && !s->holds(s->from, holders[i].key, holders[i].list))
            return error_fail(error, "use the configuration that came with the model", "%s: %s is not %s",
                              s->where, holders[i].key, holders[i].list ? "a list" : "an object");
    return ESP_OK;
}

static esp_status read_json(model_config *c, const config_source *s, esp_error *error) {
    ESP_TRY(check_holders(s, error));
    ESP_TRY(find_json_arch(c, s, error));
    ESP_TRY(refuse_options(c->arch, s, error));
    ESP_TRY(read_fields(c, s, error));
    c->tied = c->arch->tied;
    if (s->has(s->from, "tie_word_embeddings")) ESP_TRY(s->flag(s, "tie_word_embeddings", &c->tied, error));
    ESP_TRY(read_token(s, "bos_token_id", &c->bos, error));
    ESP_TRY(read_token(s, "eos_token_id", &c->eos, error));
    ESP_TRY(read_more_ends(c, s, error));
    return read_rope(&c->rope, s, error);
}

static void write_rope(const rope_config *r, const config_sink *to) {
    if (r->kind == ROPE_NONE) {
        to->null(to->to, "rope_scaling");
        return;
    }
    to->text(to->to, "rope_scaling.rope_type", rope_names[r->kind]);
    to->number(to->to, "rope_scaling.factor", r->factor);
    if (r->kind != ROPE_LINEAR)
        to->integer(to->to, "rope_scaling.original_max_position_embeddings", r->original_context);
    if (r->kind == ROPE_LLAMA3) {
        to->number(to->to, "rope_scaling.low_freq_factor", r->low_freq_factor);
        to->number(to->to, "rope_scaling.high_freq_factor", r->high_freq_factor);
    }
    if (r->kind == ROPE_YARN) {
        to->number(to->to, "rope_scaling.beta_fast", r->beta_fast);
        to->number(to->to, "rope_scaling.beta_slow", r->beta_slow);
        if (r->attention_factor > 0) to->number(to->to, "rope_scaling.attention_factor", r->attention_factor);
    }
}

void config_write(const model_config *c, const config_sink *to) {
    to->text(to->to, "architectures.0", c->arch->hf);
    to->text(to->to, "model_type", c->arch->model_type);
    to->text(to->to, "hidden_act", gate_names[c->arch->gate]);
    c->arch->write(c, to);
    for (int i = 0; i < FIELDS; i++) write_field(c, to, &fields[i]);
    to->flag(to->to, "tie_word_embeddings", c->tied);
    to->flag(to->to, "use_cache", true);
    write_rope(&c->rope, to);
    if (c->bos >= 0) to->integer(to->to, "bos_token_id", c->bos);
    if (c->eos >= 0) to->integer(to->to, c->more_end_count ? "eos_token_id.0" : "eos_token_id", c->eos);
    for (int i = 0; i < c->more_end_count; i++) {
        char key[32];
        snprintf(key, sizeof key, "eos_token_id.%d", i + 1);
        to->integer(to->to, key, c->more_ends[i]);
    }
}

/* ---- GGUF ---- */

/* A GGUF file has llama3's scaling as the factor of each frequency. */
static esp_status read_rope_factors(model_config *c, const config_source *s, esp_error *error) {
    float factors[CONFIG_WIDEST_HEAD / 2];
    int half = c->head_width / 2;
    if (half < 1 || half > CONFIG_WIDEST_HEAD / 2)
        return error_fail(error, "use the configuration that came with the model", "%s: heads are %d wide",
                          s->where, c->head_width);
    ESP_TRY(s->numbers(s, CONFIG_ROPE_FACTORS, half, factors, error));
    if (config_rope_from_factors(&c->rope, c->head_width, factors)) return ESP_OK;
    return error_fail(error, "use the model's Hugging Face folder instead",
                      "%s: the factors in %s are not those of a llama3 rope scaling", s->where,
                      CONFIG_ROPE_FACTORS);
}

static esp_status read_gguf_rope(model_config *c, const config_source *s, esp_error *error) {
    config_key rotated = gguf_key(c, "rope.dimension_count"), type = gguf_key(c, "rope.scaling.type");
    int64_t dimensions;
    ESP_TRY(config_integer_or(s, rotated.text, c->head_width, &dimensions, error));
    if (dimensions != c->head_width)
        return error_fail(error, "use a model that rotates all of a head",
                          "%s: %s is %lld, and heads are %d wide", s->where, rotated.text,
                          (long long)dimensions, c->head_width);
    const char *hint = "use the model's Hugging Face folder instead", *scaling = "none";
    if (s->rows(s->from, CONFIG_ROPE_FACTORS)) return read_rope_factors(c, s, error);
    if (s->has(s->from, type.text)) ESP_TRY(s->text(s, type.text, &scaling, error));
    if (strcmp(scaling, "none") == 0) return ESP_OK;
    if (strcmp(scaling, rope_names[ROPE_LINEAR]) != 0)
        return error_fail(error, hint, "%s: rope scaling \"%s\" in a GGUF is not supported", s->where,
                          scaling);
    c->rope.kind = ROPE_LINEAR;
    return s->number(s, gguf_key(c, "rope.scaling.factor").text, &c->rope.factor, error);
}

static esp_status read_gguf(model_config *c, const config_source *s, esp_error *error) {
    const char *name;
    ESP_TRY(s->text(s, "general.architecture", &name, error));
    c->arch = arch_by_gguf(name);
    if (!c->arch) return arch_unknown(s->where, name, error);
    ESP_TRY(read_fields(c, s, error));
    c->vocab = s->rows(s->from, "token_embd.weight");
    c->tied = s->rows(s->from, "output.weight") == 0;
    /* Stored as f32: 9.99999975e-06 means 1e-05. */
    char digits[32];
    snprintf(digits, sizeof digits, "%.6g", c->norm_eps);
    c->norm_eps = strtod(digits, NULL);
    ESP_TRY(read_token(s, "tokenizer.ggml.bos_token_id", &c->bos, error));
    ESP_TRY(read_token(s, "tokenizer.ggml.eos_token_id", &c->eos, error));
    return read_gguf_rope(c, s, error);
}

esp_status config_read(model_config *c, const config_source *s, esp_error *error) {
    *c = (model_config){0};
    ESP_TRY(s->gguf ? read_gguf(c, s, error) : read_json(c, s, error));
    ESP_TRY(c->arch->read(c, s, error));
    return config_check(c, s->where, error);
}
