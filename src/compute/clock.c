#include "compute/clock.h"

#include "base/clock.h"
#include "base/memory.h"

#include <string.h>

static const struct {
    const char *name;
    compute_group group;
} operations[] = {
#define OPERATION(name, group, list) {#name, group},
#include "compute/operations.inc"
};

struct compute_clock {
    compute_ops ops; /* what c->ops points to: the wrapped calls find the clock by it */
    const compute_ops *real;
    bool running;
    /* Nanoseconds; several threads add to them. */
    int64_t calls[COMPUTE_OPERATIONS], wall[COMPUTE_OPERATIONS], cores[COMPUTE_OPERATIONS];
};

static compute_clock *clock_of(const compute *c) {
    return (compute_clock *)(uintptr_t)c->ops;
}

static double begin(const compute *c) {
    return clock_of(c)->running ? clock_seconds() : 0;
}

static void end(const compute *c, int operation, double began) {
    compute_clock *k = clock_of(c);
    if (!k->running) return;
    int64_t took = (int64_t)((clock_seconds() - began) * 1e9);
    __atomic_fetch_add(&k->calls[operation], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&k->wall[operation], took, __ATOMIC_RELAXED);
    __atomic_fetch_add(&k->cores[operation], took * c->threads, __ATOMIC_RELAXED);
}

/* ---- The operations, each between begin and end ---- */

#define OPERATION(name, group, list)                                                                         \
    static void clocked_##name(compute *c OPERATION_PARAMETERS(list)) {                                      \
        double began = begin(c);                                                                             \
        clock_of(c)->real->name(c OPERATION_ARGUMENTS(list));                                                \
        end(c, CLOCK_##name, began);                                                                         \
    }
#include "compute/operations.inc"

/* ---- The clock ---- */

compute_clock *compute_clock_new(compute *c) {
    compute_clock *k = MEM_NEW(compute_clock);
    k->real = c->ops;
    k->ops = *c->ops; /* what makes, frees and waits is not clocked */
#define OPERATION(name, group, list)                                                                         \
    if (k->real->name) k->ops.name = clocked_##name;
#include "compute/operations.inc"
    c->ops = &k->ops;
    return k;
}

void compute_clock_free(compute_clock *k) {
    mem_free(k);
}

void compute_clock_start(compute_clock *k) {
    memset(k->calls, 0, sizeof k->calls);
    memset(k->wall, 0, sizeof k->wall);
    memset(k->cores, 0, sizeof k->cores);
    k->running = true;
}

void compute_clock_stop(compute_clock *k) {
    k->running = false;
}

compute_times compute_clock_read(const compute_clock *k) {
    compute_times t = {0};
    for (int i = 0; i < COMPUTE_OPERATIONS; i++) {
        if (!k->calls[i]) continue;
        double seconds = 1e-9 * (double)k->wall[i];
        t.seconds[operations[i].group] += seconds;
        t.core_seconds[operations[i].group] += 1e-9 * (double)k->cores[i];
        t.operation[t.operations++] =
            (compute_operation_time){operations[i].name, operations[i].group, k->calls[i], seconds};
    }
    return t;
}
