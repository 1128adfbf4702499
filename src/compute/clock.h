/* A stopwatch over the operations of a compute instance, for benches and profiles. It takes the place of the
 * instance's table of operations and calls the real ones, so that code which is not measured pays nothing,
 * and no operation knows of it. Replicas (compute_replica_new) made of the instance afterwards are clocked
 * with it. Of a backend that runs operations later, it measures the calls. */
#ifndef ESPALIER_COMPUTE_CLOCK_H
#define ESPALIER_COMPUTE_CLOCK_H

#include "compute/compute.h"

typedef enum {
    COMPUTE_PRODUCTS,   /* matrix products of the layers */
    COMPUTE_ATTENTION,  /* attention over the keys and values */
    COMPUTE_VOCABULARY, /* the head's product, and reading or drawing from its logits */
    COMPUTE_OTHER,      /* norms, rotations, the gate, embedding, rounding, packing, copies, the optimizer */
    COMPUTE_GROUPS
} compute_group;

enum {
#define OPERATION(name, group, list) CLOCK_##name,
#include "compute/operations.inc"
    COMPUTE_OPERATIONS
};

typedef struct {
    const char *name;
    compute_group group;
    int64_t calls;
    double seconds; /* of the threads that called it, added up */
} compute_operation_time;

typedef struct {
    double seconds[COMPUTE_GROUPS];      /* of the calling threads, added up */
    double core_seconds[COMPUTE_GROUPS]; /* each call's seconds times the threads of its instance: a thread
                                            that waits for the others inside an operation counts as used */
    compute_operation_time operation[COMPUTE_OPERATIONS];
    int operations; /* those that were called */
} compute_times;

typedef struct compute_clock compute_clock;

/* Puts a clock, stopped, before the operations of c. It belongs to c's user, who frees it after c. */
compute_clock *compute_clock_new(compute *c);
void compute_clock_free(compute_clock *k);
/* Lets it run, from zero, or stops it; not while operations are under way. */
void compute_clock_start(compute_clock *k);
void compute_clock_stop(compute_clock *k);
compute_times compute_clock_read(const compute_clock *k);

#endif
