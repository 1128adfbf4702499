/* Two ranges of addresses of the same size: `outside` has no memory at all, `inside` has it where buffers
 * are. A buffer is an address outside. It ends where a page ends, and the next page has no memory inside
 * either. No address is used twice. */
#include "base/memory.h"
#include "compute/far/far.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, LINE = 64 };
static const size_t ROOM = (size_t)256 << 30;

typedef struct {
    char *buffer, *first; /* outside: as given out; its first page */
    size_t bytes;         /* of its pages */
} far_buffer;

struct far_room {
    char *outside, *inside;
    size_t used;
    MEM_LIST(far_buffer) buffers;
    pthread_mutex_t lock;
};

static char *reserve(void) {
    void *at = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

far_room *far_room_new(void) {
    far_room *r = MEM_NEW(far_room);
    r->outside = reserve();
    r->inside = reserve();
    pthread_mutex_init(&r->lock, NULL);
    if (r->outside && r->inside) return r;
    far_room_free(r);
    return NULL;
}

void far_room_free(far_room *r) {
    if (r->outside) munmap(r->outside, ROOM);
    if (r->inside) munmap(r->inside, ROOM);
    pthread_mutex_destroy(&r->lock);
    MEM_LIST_FREE(&r->buffers);
    mem_free(r);
}

static char *other_side(const far_room *r, const char *buffer) {
    assert(buffer >= r->outside && buffer < r->outside + ROOM &&
           "an operation takes buffers, not host memory");
    return r->inside + (buffer - r->outside);
}

void *far_room_take(far_room *r, size_t bytes) {
    if (bytes > ROOM / 2) return NULL;
    size_t lines = (bytes + LINE) / LINE * LINE, pages = (lines + PAGE - 1) / PAGE * PAGE; /* one at least */
    void *buffer = NULL;
    pthread_mutex_lock(&r->lock);
    if (r->used + pages + PAGE <= ROOM) {
        far_buffer b = {.first = r->outside + r->used, .bytes = pages};
        b.buffer = b.first + pages - lines;
        char *inside = other_side(r, b.first);
        if (mprotect(inside, pages, PROT_READ | PROT_WRITE) == 0) {
            memset(inside, 0xff, pages); /* NaN in f32 and in bf16 */
            MEM_LIST_PUSH(&r->buffers, b);
            r->used += pages + PAGE;
            buffer = b.buffer;
        }
    }
    pthread_mutex_unlock(&r->lock);
    return buffer;
}

void far_room_give_back(far_room *r, void *buffer) {
    if (!buffer) return;
    pthread_mutex_lock(&r->lock);
    int64_t i = 0;
    while (i < r->buffers.count && r->buffers.at[i].buffer != buffer) i++;
    assert(i < r->buffers.count && "no such buffer, or freed twice");
    far_buffer b = r->buffers.at[i];
    r->buffers.at[i] = r->buffers.at[--r->buffers.count];
    pthread_mutex_unlock(&r->lock);
    madvise(other_side(r, b.first), b.bytes, MADV_DONTNEED);
    mprotect(other_side(r, b.first), b.bytes, PROT_NONE);
}

void *far_room_inside(const far_room *r, const void *buffer) {
    return buffer ? other_side(r, buffer) : NULL;
}
