/* The backend of the tests: `ref` or `cpu` at a distance. It enforces what compute.h asks of the code above:
 *
 * - Buffers are addresses that nobody can read or write. The operations find the numbers elsewhere, so that
 *   host code which follows a pointer into a buffer stops with SIGSEGV at its own line. A new buffer is full
 *   of NaN, and a freed one gone.
 * - A host array where an operation takes a buffer stops the program (assert).
 * - Operations are queued, with copies of what compute.h says is read before the call returns, and run at the
 *   next get, head_read, sum_squares or compute_check.
 *
 * Built for tests alone. */
#ifndef ESPALIER_COMPUTE_FAR_H
#define ESPALIER_COMPUTE_FAR_H

#include "compute/compute.h"

/* As compute_new; `kind` is the backend that does the work. */
esp_status compute_far_new(compute **out, const char *kind, dtype act, int threads, esp_error *error);
/* Operations asked for that have not run yet. */
int64_t compute_far_queued(const compute *c);

/* The room that an instance and its replicas share (room.c). */
typedef struct far_room far_room;
far_room *far_room_new(void);
void far_room_free(far_room *r);
/* NULL: no address left, or no memory. */
void *far_room_take(far_room *r, size_t bytes);
void far_room_give_back(far_room *r, void *buffer);
/* Where the numbers of a buffer are, from any byte of it on. NULL stays NULL. */
void *far_room_inside(const far_room *r, const void *buffer);

#endif
