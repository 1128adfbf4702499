#include "model/config.h"

#include "base/half.h"
#include "model/arch.h"

#include <math.h>

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
        {"head_dim", c->head_width, 2, CONFIG_WIDEST_HEAD},
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
    int rotated = config_rotated(c);
    if (rotated < 2 || rotated > c->head_width || rotated % 2 != 0 ||
        (c->rope.kind == ROPE_LONG && rotated / 2 > CONFIG_LONG_FACTORS))
        return error_fail(error, "use the configuration that came with the model",
                          "%s: %d elements of a head of %d are rotated: partial_rotary_factor", where,
                          rotated, c->head_width);
    if (c->window < 0 || c->full_every < 0)
        return error_fail(error, "use the configuration that came with the model",
                          "%s: sliding_window is %lld", where, (long long)c->window);
    if (!(c->norm_eps >= 0) || !(c->rope.theta > 0) || !(c->rope.factor > 0))
        return error_fail(error, "use the configuration that came with the model",
                          "%s: rms_norm_eps, rope_theta or the rope factor is not positive", where);
    return ESP_OK;
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

void config_rope_factors(const rope_config *r, int head_width, float *factors) {
    for (int i = 0; i < head_width / 2; i++) {
        double frequency = pow(r->theta, -2.0 * i / head_width);
        factors[i] = (float)(frequency / llama3_frequency(r, frequency));
    }
}

static bool has_factors(const rope_config *r, int head_width, const float *factors) {
    float own[CONFIG_WIDEST_HEAD / 2];
    config_rope_factors(r, head_width, own);
    for (int i = 0; i < head_width / 2; i++)
        if (!(fabs((double)(own[i] - factors[i])) <= 1e-5 * fabs((double)factors[i]))) return false;
    return true;
}

/* Between the bounds, 1 / factor is linear in the frequency: slope and intercept, by least squares, give the
 * context and the upper bound where the lower one is 1. Fewer than two such frequencies: those of the
 * release. */
bool config_rope_from_factors(rope_config *rope, int head_width, const float *factors) {
    rope_config r = *rope;
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    r.kind = ROPE_LLAMA3;
    r.factor = (double)factors[head_width / 2 - 1];
    r.low_freq_factor = 1;
    r.high_freq_factor = 4;
    r.original_context = 8192;
    if (!(r.factor > 1)) return false;
    for (int i = 0; i < head_width / 2; i++) {
        double f = (double)factors[i], turns = pow(r.theta, -2.0 * i / head_width) / two_pi;
        double smooth = (1 / f - 1 / r.factor) / (1 - 1 / r.factor);
        if (!(smooth > 1e-4 && smooth < 1 - 1e-4)) continue;
        n++, x += turns, y += smooth, xx += turns * turns, xy += turns * smooth;
    }
    bool found = has_factors(&r, head_width, factors);
    if (!found && n >= 2) {
        double slope = (n * xy - x * y) / (n * xx - x * x),
               least = (slope * x - y) / n; /* low / (high - low) */
        if (!(least > 0)) return false;
        r.high_freq_factor = round((1 + 1 / least) * 1000) / 1000;
        r.original_context = llround(slope / least);
        found = has_factors(&r, head_width, factors);
    }
    if (found) *rope = r;
    return found;
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

/* longrope, as Phi-3's release has it. */
static double long_magnitude(const model_config *c) {
    const rope_config *r = &c->rope;
    double longer = (double)c->context / (double)r->original_context;
    if (r->attention_factor > 0) return r->attention_factor;
    return longer > 1 ? sqrt(1 + log(longer) / log((double)r->original_context)) : 1;
}

/* What cosine and sine are multiplied by. */
static double rope_magnitude(const model_config *c, const rope_config *r) {
    if (r->kind == ROPE_LONG) return long_magnitude(c);
    if (r->kind != ROPE_YARN) return 1;
    return r->attention_factor > 0 ? r->attention_factor : r->factor > 1 ? 0.1 * log(r->factor) + 1 : 1;
}

void config_rope_tables(const model_config *c, bool local, int64_t count, float *cosine, float *sine) {
    const rope_config unscaled = {.kind = ROPE_NONE, .theta = c->local_theta, .factor = 1};
    const rope_config *r = local ? &unscaled : &c->rope;
    int rotated = config_rotated(c), half = rotated / 2;
    const double *factors = count > r->original_context ? r->long_factor : r->short_factor;
    double magnitude = rope_magnitude(c, r);
    for (int i = 0; i < half; i++) {
        double frequency = pow(r->theta, -2.0 * i / rotated);
        if (r->kind == ROPE_LINEAR) frequency /= r->factor;
        if (r->kind == ROPE_LLAMA3) frequency = llama3_frequency(r, frequency);
        if (r->kind == ROPE_YARN) frequency = yarn_frequency(r, frequency, i, rotated);
        if (r->kind == ROPE_LONG) frequency /= factors[i];
        for (int64_t p = 0; p < count; p++) {
            cosine[p * half + i] = (float)(magnitude * cos((double)p * frequency));
            sine[p * half + i] = (float)(magnitude * sin((double)p * frequency));
        }
    }
}

float config_query_scale(const model_config *c) {
    if (c->query_scalar == 0 || c->query_scalar == c->head_width) return 0;
    return (float)sqrt(c->head_width / c->query_scalar);
}

float config_embedding_scale(const model_config *c) {
    return c->arch->scaled_embedding ? bf16_to_f32(bf16_from_f32((float)sqrt((double)c->width))) : 1;
}
