/* What backends whose buffers are the host's memory have in common. */
#ifndef ESPALIER_COMPUTE_HOST_H
#define ESPALIER_COMPUTE_HOST_H

#include "compute/compute.h"

compute_traits host_traits(int threads);

void *host_buffer_new(compute *c, size_t bytes, const char *what);
void host_buffer_free(compute *c, void *buffer);

/* put, get, copy, zero, rows_pick. */
#define OPERATION(name, group, list)    /* a backend's own */
#define MEMORY(kind, name, group, list) void host_##name(compute *c OPERATION_PARAMETERS(list));
#include "compute/operations.inc"

/* Memory of `head` bytes, zeroed, followed by copies of the plan's arrays, which *copy points to. Freed whole
 * by mem_free. */
void *host_plan_copy(const pass_plan *plan, size_t head, pass_plan *copy);

#endif
