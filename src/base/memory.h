/* Memory: small allocations, which end the process with a message and status 1 if they fail; large
 * allocations, whose failure is an error that states the size; arenas; growing arrays. */
#ifndef ESPALIER_BASE_MEMORY_H
#define ESPALIER_BASE_MEMORY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

void *mem_alloc(size_t bytes);              /* zeroed; ends on failure */
void *mem_realloc(void *old, size_t bytes); /* ends on failure */
char *mem_strdup(const char *text);         /* NULL returns NULL */
char *mem_strndup(const char *text, size_t n);
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *p);

#define MEM_NEW(type)      ((type *)mem_alloc(sizeof(type)))
#define MEM_ARRAY(type, n) ((type *)mem_alloc(sizeof(type) * (size_t)(n)))

/* Large, 64-byte aligned, zeroed; a failure is an error that states `what` and the size. Freed by
 * mem_big_free. */
esp_status mem_big_alloc(void **out, size_t bytes, const char *what, esp_error *error);
void mem_big_free(void *p);

/* A growing array of any type: struct { T *at; int64_t count, capacity; }. */
#define MEM_LIST(T)                                                                                          \
    struct {                                                                                                 \
        T *at;                                                                                               \
        int64_t count, capacity;                                                                             \
    }
void mem_list_grow_(void **at, int64_t *capacity, int64_t need, size_t element);
#define MEM_LIST_RESERVE(list, need)                                                                         \
    do {                                                                                                     \
        if ((need) > (list)->capacity) {                                                                     \
            void *mem_list_at_ = (list)->at;                                                                 \
            mem_list_grow_(&mem_list_at_, &(list)->capacity, (need), sizeof *(list)->at);                    \
            (list)->at = mem_list_at_;                                                                       \
        }                                                                                                    \
    } while (0)
#define MEM_LIST_PUSH(list, value)                                                                           \
    do {                                                                                                     \
        MEM_LIST_RESERVE(list, (list)->count + 1);                                                           \
        (list)->at[(list)->count++] = (value);                                                               \
    } while (0)
/* Appends n elements; `from` may be NULL where n is 0. The comparison is there for its types' sake. */
#define MEM_LIST_APPEND(list, from, n)                                                                       \
    do {                                                                                                     \
        int64_t mem_list_n_ = (n);                                                                           \
        MEM_LIST_RESERVE(list, (list)->count + mem_list_n_);                                                 \
        if (mem_list_n_ > 0)                                                                                 \
            memcpy((list)->at + (list)->count, from,                                                         \
                   (size_t)mem_list_n_ * (sizeof((list)->at == (from)) ? sizeof *(list)->at : 0));           \
        (list)->count += mem_list_n_;                                                                        \
    } while (0)
#define MEM_LIST_FREE(list)                                                                                  \
    do {                                                                                                     \
        mem_free((list)->at);                                                                                \
        (list)->at = NULL;                                                                                   \
        (list)->count = (list)->capacity = 0;                                                                \
    } while (0)

/* An arena: allocations that are all freed together. Memory is zeroed and never moves. */
typedef struct arena arena;
arena *arena_new(void);
void *arena_alloc(arena *a, size_t bytes);
char *arena_strdup(arena *a, const char *text);
void *arena_copy(arena *a, const void *from, size_t bytes);
void arena_reset(arena *a); /* frees all allocations, keeps the arena */
void arena_free(arena *a);
#define ARENA_NEW(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (size_t)(n)))

/* A growing byte string, always zero-terminated. It may contain zero bytes: use length. */
typedef struct {
    char *at;
    size_t length, capacity;
} text_buffer;
void text_append(text_buffer *b, const char *bytes, size_t n);
void text_puts(text_buffer *b, const char *text);
void text_printf(text_buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes, where n may be large: a failure is an error that states `what` and the size. */
esp_status text_make_room(text_buffer *b, size_t n, const char *what, esp_error *error);
void text_clear(text_buffer *b);
void text_free(text_buffer *b);

bool text_ends_with(const char *text, const char *end);

#endif
