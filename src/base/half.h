/* Conversion between float and the two 16-bit formats of weight files: bf16 (the upper half of a float) and
 * f16 (IEEE 754 binary16). Integer arithmetic only, so that every machine gives the same bits. Rounding is to
 * nearest, ties to even; a NaN stays a NaN of the same sign. */
#ifndef ESPALIER_BASE_HALF_H
#define ESPALIER_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t bits_from_f32(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float f32_from_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float bf16_to_f32(uint16_t h) {
    return f32_from_bits((uint32_t)h << 16);
}

static inline uint16_t bf16_from_f32(float x) {
    uint32_t u = bits_from_f32(x);
    uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16; /* beyond the largest finite value: infinity */
    uint32_t quiet_nan = (u >> 16) | 0x40u;
    return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? quiet_nan : rounded);
}

static inline float f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 0x1fu, mantissa = h & 0x3ffu;
    if (exponent == 0x1f) return f32_from_bits(sign | 0x7f800000u | mantissa << 13);
    if (exponent != 0) return f32_from_bits(sign | (exponent + 112u) << 23 | mantissa << 13);
    float magnitude = (float)mantissa * 0x1p-24f; /* subnormal: exact */
    return sign ? -magnitude : magnitude;
}

static inline uint16_t f16_from_f32(float x) {
    uint32_t u = bits_from_f32(x);
    uint32_t sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
    uint32_t h;
    if (a > 0x7f800000u) {
        h = 0x7e00u | ((a >> 13) & 0x3ffu);
    } else if (a >= 0x477ff000u) { /* 65520 and above round to infinity; the largest finite value is 65504 */
        h = 0x7c00u;
    } else if (a >= 0x38800000u) { /* 2^-14 and above: normal */
        h = (a - 0x38000000u + 0xfffu + ((a >> 13) & 1u)) >> 13;
    } else if (a <= 0x33000000u) { /* 2^-25 and below: half of the least subnormal ties to even zero */
        h = 0;
    } else { /* subnormal: the mantissa in units of 2^-24 */
        uint32_t shift = 126u - (a >> 23), mantissa = (a & 0x7fffffu) | 0x800000u;
        uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u), tie = 1u << (shift - 1u);
        h = kept + (rest > tie || (rest == tie && (kept & 1u)));
    }
    return (uint16_t)(sign | h);
}

#endif
