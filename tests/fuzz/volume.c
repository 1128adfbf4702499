/* Many inputs for a fuzz target, without coverage: five to ten times as many per second as libFuzzer, on the
 * corpus that libFuzzer found. An input is random bytes, or a file of the corpus with a few random edits.
 * Build with -fsanitize=address,undefined and link with a target (fuzz_*.c). Usage: volume CORPUS INPUTS
 * SEED; input i of a seed and a corpus is always the same one. What ends the program leaves its input in
 * failed-SEED-i. */
#include "base/memory.h"
#include "base/random.h"

#include <dirent.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { MOST_BYTES = 4096, MOST_RANDOM = 200, MOST_EDITS = 8, MOST_COPIED = 32, REPORT_EVERY = 1 << 14 };

typedef struct {
    uint8_t *bytes;
    size_t n;
} input;

typedef struct {
    input *files;
    size_t n;
} corpus;

/* The input being tested, for last_words. */
static struct {
    uint8_t bytes[MOST_BYTES];
    size_t n;
    unsigned long long seed, index;
} now;

static void last_words(void) {
    char name[64];
    snprintf(name, sizeof name, "failed-%llu-%llu", now.seed, now.index);
    FILE *f = fopen(name, "wb");
    if (!f) return;
    fwrite(now.bytes, 1, now.n, f);
    fclose(f);
    fprintf(stderr, "the input is in %s\n", name);
}

static void on_abort(int signal_number) {
    (void)signal_number;
    last_words();
    _Exit(1);
}

static corpus read_corpus(const char *folder) {
    corpus c = {0};
    DIR *d = opendir(folder);
    if (!d) {
        perror(folder);
        exit(2);
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!f) continue;
        uint8_t bytes[MOST_BYTES];
        size_t n = fread(bytes, 1, sizeof bytes, f);
        fclose(f);
        c.files = mem_realloc(c.files, (c.n + 1) * sizeof *c.files);
        c.files[c.n].bytes = mem_alloc(n + 1);
        memcpy(c.files[c.n].bytes, bytes, n);
        c.files[c.n++].n = n;
    }
    closedir(d);
    return c;
}

typedef struct {
    rng_key_t key;
    uint64_t drawn;
} draws;

static size_t below(draws *d, size_t n) {
    return n ? (size_t)rng_below(d->key, d->drawn++, n) : 0;
}

static void random_bytes(draws *d) {
    now.n = 1 + below(d, MOST_RANDOM);
    for (size_t i = 0; i < now.n; i++) now.bytes[i] = (uint8_t)below(d, 256);
}

/* One edit: a byte changed, removed or added, or bytes of another file inserted. */
static void edit(draws *d, const corpus *c) {
    size_t at = below(d, now.n + 1), kind = below(d, 4);
    if (kind == 0 && at < now.n)
        now.bytes[at] = (uint8_t)below(d, 256);
    else if (kind == 1 && at < now.n) {
        memmove(now.bytes + at, now.bytes + at + 1, now.n - at - 1);
        now.n--;
    } else {
        const input *other = &c->files[below(d, c->n)];
        size_t from = below(d, other->n), n = kind == 2 ? 1 : 1 + below(d, MOST_COPIED);
        if (n > other->n - from) n = other->n - from;
        if (n > MOST_BYTES - now.n) n = MOST_BYTES - now.n;
        memmove(now.bytes + at + n, now.bytes + at, now.n - at);
        memcpy(now.bytes + at, other->bytes + from, n);
        now.n += n;
    }
}

static void next_input(const corpus *c) {
    draws d = {rng_mix(rng_key(now.seed), now.index), 0};
    if (c->n == 0 || below(&d, 4) == 0) {
        random_bytes(&d);
        return;
    }
    const input *file = &c->files[below(&d, c->n)];
    memcpy(now.bytes, file->bytes, file->n);
    now.n = file->n;
    for (size_t edits = 1 + below(&d, MOST_EDITS); edits > 0; edits--) edit(&d, c);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s CORPUS INPUTS SEED\n", argv[0]);
        return 2;
    }
    corpus c = read_corpus(argv[1]);
    unsigned long long inputs = strtoull(argv[2], NULL, 10);
    now.seed = strtoull(argv[3], NULL, 10);
    __sanitizer_set_death_callback(last_words);
    signal(SIGABRT, on_abort);
    time_t start = time(NULL);
    for (now.index = 0; now.index < inputs; now.index++) {
        next_input(&c);
        LLVMFuzzerTestOneInput(now.bytes, now.n);
        if (now.index % REPORT_EVERY == 0 && now.index > 0)
            fprintf(stderr, "\r%llu of %llu inputs", now.index, inputs);
    }
    fprintf(stderr, "\r%llu inputs, seed %llu, %zu files of corpus, %.0f s: no finding\n", inputs, now.seed,
            c.n, difftime(time(NULL), start));
    for (size_t i = 0; i < c.n; i++) mem_free(c.files[i].bytes);
    mem_free(c.files);
    return 0;
}
