/* Keyed random numbers: a number depends only on its key, never on what was drawn before
 * (docs/architecture.md, idea 4). A key is built by mixing words into it: rng_mix(rng_mix(rng_key(seed),
 * iteration), problem)... */
#ifndef ESPALIER_BASE_RANDOM_H
#define ESPALIER_BASE_RANDOM_H

#include <stdint.h>

typedef struct {
    uint64_t state;
} rng_key_t;

rng_key_t rng_key(uint64_t seed);
rng_key_t rng_mix(rng_key_t key, uint64_t word);
uint64_t rng_bits(rng_key_t key, uint64_t counter);  /* 64 bits, the counter-th of this key */
double rng_uniform(rng_key_t key, uint64_t counter); /* in [0, 1), 53 bits */
double rng_normal(rng_key_t key, uint64_t counter);  /* standard normal (Box-Muller on two bits of the key) */
uint64_t rng_below(rng_key_t key, uint64_t counter, uint64_t n); /* in [0, n), n > 0 */
/* A permutation of 0..n-1 into out (Fisher-Yates). */
void rng_shuffle(rng_key_t key, int64_t *out, int64_t n);

#endif
