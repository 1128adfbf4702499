/* The compute layer of tests: with ESPALIER_TEST_FAR set, over memory that the host cannot read. */
#ifndef ESPALIER_TESTS_COMPUTE_SUPPORT_H
#define ESPALIER_TESTS_COMPUTE_SUPPORT_H

#include "base/memory.h"
#include "compute/far/far.h"

#include <stdlib.h>

static inline esp_status test_compute_new(compute **out, const char *kind, dtype act, int threads,
                                          esp_error *error) {
    return getenv("ESPALIER_TEST_FAR") ? compute_far_new(out, kind, act, threads, error)
                                       : compute_new(out, kind, act, threads, error);
}

/* A copy of n numbers of a buffer, to be freed by mem_free. */
static inline float *host_copy(compute *c, const float *buffer, int64_t n) {
    float *copy = MEM_ARRAY(float, n);
    c->ops->get(c, copy, buffer, (size_t)n * sizeof *copy);
    return copy;
}

#endif
