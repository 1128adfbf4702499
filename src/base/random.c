#include "base/random.h"

#include <math.h>

/* The finalizer of SplitMix64 (Steele, Lea and Flood 2014): a bijection of 64 bits with full avalanche. */
static uint64_t avalanche(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static const uint64_t golden_gamma = UINT64_C(0x9e3779b97f4a7c15); /* 2^64 / golden ratio, odd */

rng_key_t rng_key(uint64_t seed) {
    return (rng_key_t){avalanche(seed + golden_gamma)};
}

rng_key_t rng_mix(rng_key_t key, uint64_t word) {
    return (rng_key_t){avalanche(avalanche(key.state + golden_gamma) ^ avalanche(word + 2 * golden_gamma))};
}

uint64_t rng_bits(rng_key_t key, uint64_t counter) {
    return avalanche(avalanche(key.state) + (counter + 1) * golden_gamma);
}

double rng_uniform(rng_key_t key, uint64_t counter) {
    return (double)(rng_bits(key, counter) >> 11) * 0x1p-53;
}

double rng_normal(rng_key_t key, uint64_t counter) {
    double u = 1.0 - rng_uniform(key, 2 * counter), v = rng_uniform(key, 2 * counter + 1);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

uint64_t rng_below(rng_key_t key, uint64_t counter, uint64_t n) {
    return (uint64_t)(((unsigned __int128)rng_bits(key, counter) * n) >> 64);
}

void rng_shuffle(rng_key_t key, int64_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)rng_below(key, (uint64_t)i, (uint64_t)i + 1), t = out[i];
        out[i] = out[j];
        out[j] = t;
    }
}
