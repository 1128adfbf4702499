#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* Small allocations, without which nothing could be said or undone. What was committed is safe from this as
 * from any other end. This message is the one that is printed outside of app/: there is nobody left to return
 * to. */
static void *checked(void *p, size_t bytes) {
    if (p || bytes == 0) return p;
    char line[128];
    int n = snprintf(line, sizeof line,
                     "espalier: error: out of memory: %zu bytes more are not there\n"
                     "  hint: use a smaller model or batch, or a machine with more memory\n",
                     bytes);
    if (n > 0) (void)!write(STDERR_FILENO, line, (size_t)n);
    _exit(1);
}

void *mem_alloc(size_t bytes) {
    return checked(calloc(1, bytes ? bytes : 1), bytes);
}
void *mem_realloc(void *old, size_t bytes) {
    return checked(realloc(old, bytes ? bytes : 1), bytes);
}
void mem_free(void *p) {
    free(p);
}

char *mem_strndup(const char *text, size_t n) {
    char *copy = mem_alloc(n + 1);
    memcpy(copy, text, n);
    return copy;
}

char *mem_strdup(const char *text) {
    return text ? mem_strndup(text, strlen(text)) : NULL;
}

char *mem_printf(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0) abort();
    char *text = mem_alloc((size_t)n + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)n + 1, format, arguments);
    va_end(arguments);
    return text;
}

static esp_status out_of_memory(size_t bytes, const char *what, esp_error *error) {
    error_fail(error, "use a smaller model, a smaller batch, or a machine with more memory",
               "out of memory: %s needs %.2f GB", what, (double)bytes / 1e9);
    return error_because(error, ESP_REASON_MEMORY);
}

esp_status mem_big_alloc(void **out, size_t bytes, const char *what, esp_error *error) {
    size_t rounded = (bytes + 63) & ~(size_t)63;
    bool huge = rounded >= 2 * HUGE_PAGE;
    if (rounded == 0) rounded = 64;
    *out = NULL;
    if (bytes > SIZE_MAX - HUGE_PAGE || posix_memalign(out, huge ? HUGE_PAGE : 64, rounded) != 0) *out = NULL;
    if (!*out) return out_of_memory(bytes, what, error);
    /* A KV cache is read at scattered places: with pages of 4 KB most reads would miss the TLB. The kernel
     * may ignore the advice. Only whole huge pages, so that none extends beyond the end. */
    if (huge) madvise(*out, rounded & ~(HUGE_PAGE - 1), MADV_HUGEPAGE);
    memset(*out, 0, rounded);
    return ESP_OK;
}

void mem_big_free(void *p) {
    free(p);
}

void mem_list_grow_(void **at, int64_t *capacity, int64_t need, size_t element) {
    int64_t next = *capacity ? *capacity * 2 : 16;
    if (next < need) next = need;
    *at = mem_realloc(*at, (size_t)next * element);
    *capacity = next;
}

typedef struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
} arena_block;

struct arena {
    arena_block *head;
};

arena *arena_new(void) {
    return MEM_NEW(arena);
}

void *arena_alloc(arena *a, size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    if (!a->head || a->head->size - a->head->used < bytes) {
        size_t size = bytes > 65536 - sizeof(arena_block) ? bytes : 65536 - sizeof(arena_block);
        arena_block *block = mem_alloc(sizeof *block + size);
        block->size = size;
        block->next = a->head;
        a->head = block;
    }
    void *p = a->head->bytes + a->head->used;
    a->head->used += bytes;
    return p;
}

void *arena_copy(arena *a, const void *from, size_t bytes) {
    void *p = arena_alloc(a, bytes);
    if (bytes) memcpy(p, from, bytes);
    return p;
}

char *arena_strdup(arena *a, const char *text) {
    return text ? arena_copy(a, text, strlen(text) + 1) : NULL;
}

void arena_reset(arena *a) {
    while (a->head) {
        arena_block *next = a->head->next;
        mem_free(a->head);
        a->head = next;
    }
}

void arena_free(arena *a) {
    if (!a) return;
    arena_reset(a);
    mem_free(a);
}

static void text_reserve(text_buffer *b, size_t more) {
    size_t need = b->length + more + 1;
    if (need <= b->capacity) return;
    b->capacity = need > 2 * b->capacity ? need : 2 * b->capacity;
    b->at = mem_realloc(b->at, b->capacity);
}

esp_status text_make_room(text_buffer *b, size_t n, const char *what, esp_error *error) {
    size_t need = b->length + n + 1;
    if (need <= b->capacity) return ESP_OK;
    size_t capacity = need > 2 * b->capacity ? need : 2 * b->capacity;
    void *at = realloc(b->at, capacity);
    if (!at) return out_of_memory(capacity, what, error);
    b->at = at;
    b->capacity = capacity;
    return ESP_OK;
}

void text_append(text_buffer *b, const char *bytes, size_t n) {
    text_reserve(b, n);
    if (n) memcpy(b->at + b->length, bytes, n);
    b->length += n;
    b->at[b->length] = '\0';
}

void text_puts(text_buffer *b, const char *text) {
    text_append(b, text, strlen(text));
}

void text_printf(text_buffer *b, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0) abort();
    text_reserve(b, (size_t)n);
    va_start(arguments, format);
    vsnprintf(b->at + b->length, (size_t)n + 1, format, arguments);
    va_end(arguments);
    b->length += (size_t)n;
}

void text_clear(text_buffer *b) {
    b->length = 0;
    if (b->at) b->at[0] = '\0';
}

void text_free(text_buffer *b) {
    mem_free(b->at);
    *b = (text_buffer){0};
}

bool text_ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}
