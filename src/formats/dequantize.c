#include "formats/dequantize.h"

#include "base/half.h"

#include <assert.h>
#include <string.h>

enum { SMALL = 32, LARGE = 256 }; /* weights per block */

static float half_at(const uint8_t *at) {
    uint16_t h;
    memcpy(&h, at, sizeof h);
    return f16_to_f32(h);
}

static uint32_t word_at(const uint8_t *at) {
    uint32_t w;
    memcpy(&w, at, sizeof w);
    return w;
}

/* d: f16, q: 32 x int8. w = d q */
static void q8_0(const uint8_t *b, float *out) {
    float d = half_at(b);
    for (int i = 0; i < SMALL; i++) out[i] = d * (float)(int8_t)b[2 + i];
}

/* Four bits per weight: weight i is the low half of byte i, weight 16 + i the high half. `fifth` has bit i of
 * weight i on top of that (0 for formats of four bits). w = d (q - offset) + m */
static void nibbles(const uint8_t *q, uint32_t fifth, int offset, float d, float m, float *out) {
    for (int i = 0; i < SMALL / 2; i++) {
        int low = (q[i] & 15) | (int)(fifth >> i & 1) << 4;
        int high = (q[i] >> 4) | (int)(fifth >> (i + SMALL / 2) & 1) << 4;
        out[i] = (float)(low - offset) * d + m;
        out[i + SMALL / 2] = (float)(high - offset) * d + m;
    }
}

/* d: f16, q: 16 bytes */
static void q4_0(const uint8_t *b, float *out) {
    nibbles(b + 2, 0, 8, half_at(b), 0.0f, out);
}

/* d, m: f16, q: 16 bytes */
static void q4_1(const uint8_t *b, float *out) {
    nibbles(b + 4, 0, 0, half_at(b), half_at(b + 2), out);
}

/* d: f16, fifth bits: 4 bytes, q: 16 bytes */
static void q5_0(const uint8_t *b, float *out) {
    nibbles(b + 6, word_at(b + 2), 16, half_at(b), 0.0f, out);
}

/* d, m: f16, fifth bits: 4 bytes, q: 16 bytes */
static void q5_1(const uint8_t *b, float *out) {
    nibbles(b + 8, word_at(b + 4), 0, half_at(b), half_at(b + 2), out);
}

/* Eight pairs (scale, minimum) of six bits each in 12 bytes. The first four pairs are the low six bits of
 * bytes 0-3 and 4-7. The last four have their low four bits in bytes 8-11 and their high two bits in the high
 * bits of bytes 0-7. */
static void group_scale(const uint8_t *s, int g, int *scale, int *minimum) {
    if (g < 4) {
        *scale = s[g] & 63;
        *minimum = s[g + 4] & 63;
    } else {
        *scale = (s[g + 4] & 15) | (s[g - 4] >> 6) << 4;
        *minimum = (s[g + 4] >> 4) | (s[g] >> 6) << 4;
    }
}

/* Eight groups of 32: groups 2p and 2p + 1 share 32 bytes, low and high halves; bit g of fifth[i] belongs to
 * weight i of group g (NULL for four bits). w = d scale q - dmin minimum */
static void groups_of_32(const uint8_t *scales, const uint8_t *q, const uint8_t *fifth, float d, float dmin,
                         float *out) {
    for (int g = 0; g < LARGE / 32; g++) {
        int scale, minimum;
        group_scale(scales, g, &scale, &minimum);
        float by = d * (float)scale, less = dmin * (float)minimum;
        const uint8_t *at = q + g / 2 * 32;
        for (int i = 0; i < 32; i++) {
            int x = g % 2 == 0 ? at[i] & 15 : at[i] >> 4;
            if (fifth) x |= (fifth[i] >> g & 1) << 4;
            out[32 * g + i] = by * (float)x - less;
        }
    }
}

/* d, dmin: f16, scales: 12 bytes, q: 128 bytes */
static void q4_k(const uint8_t *b, float *out) {
    groups_of_32(b + 4, b + 16, NULL, half_at(b), half_at(b + 2), out);
}

/* d, dmin: f16, scales: 12 bytes, fifth bits: 32 bytes, q: 128 bytes */
static void q5_k(const uint8_t *b, float *out) {
    groups_of_32(b + 4, b + 48, b + 16, half_at(b), half_at(b + 2), out);
}

/* low four bits: 128 bytes, high two bits: 64 bytes, scales: 16 x int8 (one for 16 weights), d: f16. Each
 * half of 128 weights is four rows of 32: rows 0 and 2 are the low and high halves of its first 32 bytes,
 * rows 1 and 3 of the next; row r has bits 2r and 2r + 1 of the 32 bytes of high bits. w = d scale (q - 32)
 */
static void q6_k(const uint8_t *b, float *out) {
    float d = half_at(b + 208);
    for (int half = 0; half < 2; half++) {
        const uint8_t *low = b + 64 * half, *high = b + 128 + 32 * half, *scales = b + 192 + 8 * half;
        for (int r = 0; r < 4; r++) {
            for (int i = 0; i < 32; i++) {
                uint8_t pair = low[32 * (r % 2) + i];
                int x = (r < 2 ? pair & 15 : pair >> 4) | (high[i] >> 2 * r & 3) << 4;
                float by = d * (float)(int8_t)scales[2 * r + i / 16];
                out[128 * half + 32 * r + i] = by * (float)(x - 32);
            }
        }
    }
}

void dequantize_blocks(tensor_type type, const uint8_t *from, int64_t blocks, float *out) {
#define EACH_BLOCK(one, weights, bytes)                                                                      \
    for (int64_t i = 0; i < blocks; i++) one(from + i * (bytes), out + i * (weights));                       \
    return
    switch (type) {
    case TENSOR_Q8_0:
        EACH_BLOCK(q8_0, SMALL, 34);
    case TENSOR_Q4_0:
        EACH_BLOCK(q4_0, SMALL, 18);
    case TENSOR_Q4_1:
        EACH_BLOCK(q4_1, SMALL, 20);
    case TENSOR_Q5_0:
        EACH_BLOCK(q5_0, SMALL, 22);
    case TENSOR_Q5_1:
        EACH_BLOCK(q5_1, SMALL, 24);
    case TENSOR_Q4_K:
        EACH_BLOCK(q4_k, LARGE, 144);
    case TENSOR_Q5_K:
        EACH_BLOCK(q5_k, LARGE, 176);
    case TENSOR_Q6_K:
        EACH_BLOCK(q6_k, LARGE, 210);
    default:
        assert(!"a type that has no blocks");
    }
#undef EACH_BLOCK
}
