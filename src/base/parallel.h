/* Independent pieces of work on threads that live for one call. Nothing spins: a thread that waits sleeps, so
 * a machine that others use too is not kept busy by waiting (OpenMP's barriers do that, and stand in the way
 * of each other there). For work of a millisecond and more a piece; a thread takes some 20 microseconds to
 * start. */
#ifndef ESPALIER_BASE_PARALLEL_H
#define ESPALIER_BASE_PARALLEL_H

#include <stdint.h>

typedef void parallel_work(void *user, int piece);

/* Calls work(user, piece) for pieces 0 .. pieces - 1, on at most `threads` threads, the caller's among them;
 * it takes piece 0 first. Which thread takes which of the others is not fixed. Where the system gives no more
 * threads, those that are there do all. Returns when all are done. */
void parallel_run(int pieces, int threads, parallel_work *work, void *user);

#endif
