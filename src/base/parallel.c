#include "base/parallel.h"

#include "base/memory.h"

#include <signal.h>

typedef struct {
    parallel_work *work;
    void *user;
    int pieces, next; /* next: incremented atomically */
} piece_queue;

static void take_pieces(piece_queue *q) {
    for (int i; (i = __atomic_fetch_add(&q->next, 1, __ATOMIC_RELAXED)) < q->pieces;) q->work(q->user, i);
}

static void *thread_main(void *user) {
    take_pieces(user);
    return NULL;
}

bool parallel_start(pthread_t *thread, void *(*work)(void *user), void *user) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(thread, NULL, work, user) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void parallel_run(int pieces, int threads, parallel_work *work, void *user) {
    piece_queue q = {.work = work, .user = user, .pieces = pieces, .next = 1};
    int helpers = (threads < pieces ? threads : pieces) - 1, started = 0;
    if (pieces <= 0) return;
    pthread_t *thread = MEM_ARRAY(pthread_t, helpers > 0 ? helpers : 1);
    while (started < helpers && parallel_start(&thread[started], thread_main, &q)) started++;
    work(user, 0);
    take_pieces(&q);
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
    mem_free(thread);
}
