/* Independent pieces of work on threads that live for one call. A waiting thread sleeps and does not spin as
 * in OpenMP's barriers, so waiting costs other programs nothing. For pieces of a millisecond or more:
 * starting a thread takes about 20 microseconds. */
#ifndef ESPALIER_BASE_PARALLEL_H
#define ESPALIER_BASE_PARALLEL_H

#include <pthread.h>
#include <stdbool.h>

typedef void parallel_work(void *user, int piece);

/* Calls work(user, piece) for pieces 0 .. pieces - 1 on at most `threads` threads, including the caller's,
 * which does piece 0 first. Which thread does which other piece is not fixed. If the system cannot start a
 * thread, the others do its work. Returns when all pieces are done. */
void parallel_run(int pieces, int threads, parallel_work *work, void *user);

/* Starts a thread of its own, which blocks all signals, so that the caller's thread receives them. False: the
 * system refuses one. */
bool parallel_start(pthread_t *thread, void *(*work)(void *user), void *user);

#endif
