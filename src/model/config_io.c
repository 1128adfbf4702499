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

esp_status config_refuse_value(const config_source *s, const char *key, const char *hint, esp_error *error) {
    return s->has(s->from, key) ? error_fail(error, hint, "%s: %s is not supported", s->where, key) : ESP_OK;
}

esp_status config_read_window(const config_source *s, const char *key, int64_t *out, esp_error *error) {
    ESP_TRY(config_integer_or(s, key, 0, out, error));
    return *out >= 0 ? ESP_OK
                     : error_fail(error, "use the configuration that came with the model", "%s: %s is %lld",
                                  s->where, key, (long long)*out);
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

static const config_default *default_of(const arch *of, const char *key) {
    for (const config_default *d = of->defaults; d && d->key; d++)
        if (strcmp(d->key, key) == 0) return d;
    return NULL;
}

static esp_status read_field(model_config *c, const config_source *s, const field *f, esp_error *error) {
    void *out = (char *)c + f->at;
    config_key in_gguf = s->gguf ? gguf_key(c, f->gguf) : (config_key){""};
    const char *key = s->gguf ? in_gguf.text : f->json;
    const config_default *own = s->gguf ? NULL : default_of(c->arch, key);
    double fallback = own ? own->value : f->fallback;
    bool needed = (f->need == NEEDED && !own) || (f->need == NEEDED_IN_GGUF && s->gguf);
    bool read = needed || s->has(s->from, key);
    switch (f->type) {
    case FIELD_INT64:
        *(int64_t *)out = (int64_t)fallback;
        return read ? s->integer(s, key, out, error) : ESP_OK;
    case FIELD_INT:
        *(int *)out = (int)fallback;
        return read ? small_integer(s, key, out, error) : ESP_OK;
    case FIELD_DOUBLE:
        break;
    }
    *(double *)out = fallback;
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

static const char *const rope_names[] = {"default", "linear", "dynamic", "llama3", "yarn", "longrope"};

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
    if (strcmp(type, "su") == 0) type = rope_names[ROPE_LONG]; /* the older name */
    for (*out = ROPE_NONE; *out <= ROPE_LONG; (*out)++)
        if (strcmp(type, rope_names[*out]) == 0) return ESP_OK;
    return error_fail(error, "supported are default, linear, dynamic, llama3, yarn and longrope",
                      "%s: %s type \"%s\" is unknown", r->s->where, r->in, type);
}

/* The two lists of longrope, of a factor for each pair that is rotated. */
static esp_status read_long_factors(model_config *c, const rope_source *r, esp_error *error) {
    rope_config *rope = &c->rope;
    int half = config_rotated(c) / 2;
    if (half > CONFIG_LONG_FACTORS) return ESP_OK; /* config_check refuses it */
    for (int i = 0; i < half; i++) {
        char name[32];
        snprintf(name, sizeof name, "short_factor.%d", i);
        ESP_TRY(r->s->number(r->s, rope_key(r, name).text, &rope->short_factor[i], error));
        snprintf(name, sizeof name, "long_factor.%d", i);
        ESP_TRY(r->s->number(r->s, rope_key(r, name).text, &rope->long_factor[i], error));
        if (!(rope->short_factor[i] > 0) || !(rope->long_factor[i] > 0))
            return error_fail(error, "use the configuration that came with the model",
                              "%s: a factor of %s is not positive", r->s->where, r->in);
    }
    ESP_TRY(config_integer_or(r->s, "original_max_position_embeddings", rope->original_context,
                              &rope->original_context, error));
    return rope_number(r, "attention_factor", 0, &rope->attention_factor, error);
}

/* The scaling of the angles is in one of three places; the newer ones hold theta as well. */
static esp_status read_rope(model_config *c, const config_source *s, esp_error *error) {
    rope_config *rope = &c->rope;
    rope_source r = {s, s->has(s->from, "rope_scaling") ? "rope_scaling" : "rope_parameters"};
    if (s->holds(s->from, "rope_parameters.full_attention", false)) r.in = "rope_parameters.full_attention";
    ESP_TRY(rope_number(&r, "rope_theta", rope->theta, &rope->theta, error));
    ESP_TRY(rope_kind_of(&r, &rope->kind, error));
    if (rope->kind == ROPE_NONE) return ESP_OK;
    if (rope->kind != ROPE_LONG) ESP_TRY(rope_number(&r, "factor", 1, &rope->factor, error));
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
    if (rope->kind == ROPE_LONG) ESP_TRY(read_long_factors(c, &r, error));
    if (rope->original_context < 1)
        return error_fail(error, "use the configuration that came with the model",
                          "%s: %s: original_max_position_embeddings is %lld", s->where, r.in,
                          (long long)rope->original_context);
    return ESP_OK;
}

static esp_status find_json_arch(model_config *c, const config_source *s, esp_error *error) {
    const char *name = NULL, *type = NULL;
    if (s->has(s->from, "architectures.0")) ESP_TRY(s->text(s, "architectures.0", &name, error));
    if (!name && s->has(s->from, "model_type")) ESP_TRY(s->text(s, "model_type", &type, error));
    c->arch = name ? arch_by_hf(name) : type ? arch_by_model_type(type) : NULL;
    if (name && !c->arch) c->arch = arch_by_wrapper(name);
    return c->arch ? ESP_OK : arch_unknown(s->where, name ? name : type ? type : "(none named)", error);
}

/* hidden_act, by gate_kind. */
static const char *const gate_names[] = {[GATE_SILU] = "silu", [GATE_GELU_TANH] = "gelu_pytorch_tanh"};

/* Refuses options that any architecture may have and none here computes, and another gate than its own. */
static esp_status refuse_options(const arch *of, const config_source *s, esp_error *error) {
    const char *gate = gate_names[of->gate], *named = gate;
    const char *key = of->gate_key ? of->gate_key : "hidden_act";
    if (s->has(s->from, key)) ESP_TRY(s->text(s, key, &named, error));
    if (strcmp(named, gate) != 0)
        return error_fail(error, "use a model whose activation is its architecture's",
                          "%s: %s \"%s\" is not supported: that of a %s is \"%s\"", s->where, key, named,
                          of->hf, gate);
    double rotated;
    ESP_TRY(config_number_or(s, "partial_rotary_factor", 1, &rotated, error));
    if (rotated != 1 && !of->partial_rotation)
        return error_fail(error, "use a model that rotates all of a head",
                          "%s: partial_rotary_factor %g is not supported", s->where, rotated);
    for (int l = 0; !of->windows; l++) {
        char layer[32];
        const char *type;
        snprintf(layer, sizeof layer, "layer_types.%d", l);
        if (!s->has(s->from, layer)) return ESP_OK;
        ESP_TRY(s->text(s, layer, &type, error));
        if (strcmp(type, "full_attention") != 0)
            return error_fail(error, "use a model with full attention", "%s: %s \"%s\" is not supported",
                              s->where, layer, type);
    }
    return ESP_OK;
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

static esp_status read_tokens(model_config *c, const config_source *s, esp_error *error) {
    ESP_TRY(read_token(s, "bos_token_id", &c->bos, error));
    ESP_TRY(read_token(s, "eos_token_id", &c->eos, error));
    return read_more_ends(c, s, error);
}

/* Leading elements of a head that are rotated: before the rope, whose lists are as long. */
static esp_status read_rotated(model_config *c, const config_source *s, esp_error *error) {
    double part;
    ESP_TRY(config_number_or(s, "partial_rotary_factor", 1, &part, error));
    if (part == 1) return ESP_OK; /* 0: all */
    c->rotated = part > 0 && part < 1 ? (int)(part * c->head_width) : 0;
    if (c->rotated < 2)
        return error_fail(error, "use the configuration that came with the model",
                          "%s: partial_rotary_factor is %g", s->where, part);
    return ESP_OK;
}

/* What all architectures have, and what this one has besides. */
static esp_status read_json_numbers(model_config *c, const config_source *s, esp_error *error) {
    ESP_TRY(check_holders(s, error));
    ESP_TRY(refuse_options(c->arch, s, error));
    ESP_TRY(read_fields(c, s, error));
    ESP_TRY(read_rotated(c, s, error));
    c->tied = c->arch->tied;
    if (s->has(s->from, "tie_word_embeddings")) ESP_TRY(s->flag(s, "tie_word_embeddings", &c->tied, error));
    if (c->eos < 0) ESP_TRY(read_tokens(c, s, error));
    ESP_TRY(read_rope(c, s, error));
    return c->arch->read(c, s, error);
}

/* A model of texts and pictures has the numbers of the model of texts under text_config. */
static esp_status read_json(model_config *c, const config_source *s, esp_error *error) {
    ESP_TRY(check_holders(s, error));
    ESP_TRY(find_json_arch(c, s, error));
    ESP_TRY(read_tokens(c, s, error));
    if (!c->arch->wrapped || !s->holds(s->from, "text_config", false)) return read_json_numbers(c, s, error);
    config_source inner = *s;
    inner.from = s->inside(s->from, "text_config");
    return read_json_numbers(c, &inner, error);
}

static void write_long_factors(const model_config *c, const config_sink *to) {
    const rope_config *r = &c->rope;
    const double *lists[] = {r->short_factor, r->long_factor};
    for (int list = 0; list < 2; list++)
        for (int i = 0; i < config_rotated(c) / 2; i++) {
            char key[64];
            snprintf(key, sizeof key, "rope_scaling.%s.%d", list ? "long_factor" : "short_factor", i);
            to->number(to->to, key, lists[list][i]);
        }
    if (r->attention_factor > 0) to->number(to->to, "rope_scaling.attention_factor", r->attention_factor);
    to->integer(to->to, "original_max_position_embeddings", r->original_context);
}

static void write_rope(const model_config *c, const config_sink *to) {
    const rope_config *r = &c->rope;
    if (r->kind == ROPE_NONE) {
        to->null(to->to, "rope_scaling");
        return;
    }
    to->text(to->to, "rope_scaling.rope_type", rope_names[r->kind]);
    if (r->kind == ROPE_LONG) {
        write_long_factors(c, to);
        return;
    }
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
    to->text(to->to, c->arch->gate_key ? c->arch->gate_key : "hidden_act", gate_names[c->arch->gate]);
    if (c->rotated) to->number(to->to, "partial_rotary_factor", (double)c->rotated / (double)c->head_width);
    c->arch->write(c, to);
    for (int i = 0; i < FIELDS; i++) write_field(c, to, &fields[i]);
    to->flag(to->to, "tie_word_embeddings", c->tied);
    to->flag(to->to, "use_cache", true);
    write_rope(c, to);
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

static esp_status read_gguf_factors(const config_source *s, const char *tensor, int half, double *out,
                                    esp_error *error) {
    float factors[CONFIG_LONG_FACTORS];
    ESP_TRY(s->numbers(s, tensor, half, factors, error));
    for (int i = 0; i < half; i++) out[i] = (double)factors[i];
    return ESP_OK;
}

/* longrope is two tensors and the context that they are chosen by. */
static esp_status read_gguf_long(model_config *c, const config_source *s, esp_error *error) {
    int half = config_rotated(c) / 2;
    c->rope.kind = ROPE_LONG;
    if (half > CONFIG_LONG_FACTORS) return ESP_OK; /* config_check refuses it */
    ESP_TRY(read_gguf_factors(s, CONFIG_SHORT_FACTORS, half, c->rope.short_factor, error));
    ESP_TRY(read_gguf_factors(s, CONFIG_LONG_FACTORS_TENSOR, half, c->rope.long_factor, error));
    ESP_TRY(config_number_or(s, gguf_key(c, "rope.scaling.attn_factor").text, 0, &c->rope.attention_factor,
                             error));
    return s->integer(s, gguf_key(c, "rope.scaling.original_context_length").text, &c->rope.original_context,
                      error);
}

static esp_status read_gguf_rope(model_config *c, const config_source *s, esp_error *error) {
    config_key rotated = gguf_key(c, "rope.dimension_count"), type = gguf_key(c, "rope.scaling.type");
    int64_t dimensions;
    ESP_TRY(config_integer_or(s, rotated.text, c->head_width, &dimensions, error));
    if (dimensions != c->head_width &&
        !(c->arch->partial_rotation && dimensions > 0 && dimensions < c->head_width))
        return error_fail(error, "use a model that rotates all of a head",
                          "%s: %s is %lld, and heads are %d wide", s->where, rotated.text,
                          (long long)dimensions, c->head_width);
    if (dimensions != c->head_width) c->rotated = (int)dimensions;
    const char *hint = "use the model's Hugging Face folder instead", *scaling = "none";
    if (s->rows(s->from, CONFIG_ROPE_FACTORS)) return read_rope_factors(c, s, error);
    if (s->rows(s->from, CONFIG_SHORT_FACTORS)) return read_gguf_long(c, s, error);
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
    ESP_TRY(read_gguf_rope(c, s, error));
    return c->arch->read(c, s, error);
}

esp_status config_read(model_config *c, const config_source *s, esp_error *error) {
    *c = (model_config){.bos = -1, .eos = -1};
    ESP_TRY(s->gguf ? read_gguf(c, s, error) : read_json(c, s, error));
    return config_check(c, s->where, error);
}
