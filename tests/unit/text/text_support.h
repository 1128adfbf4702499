/* What the tests of text share: opening tokenizers, comparing ids, files for a moment. */
#ifndef ESPALIER_TESTS_TEXT_SUPPORT_H
#define ESPALIER_TESTS_TEXT_SUPPORT_H

#include "support.h"

#include "base/file.h"
#include "text/tokenizer.h"

#include <jansson.h>
#include <string.h>
#include <zlib.h>

static inline tokenizer *open_tokenizer(const char *path) {
    tokenizer *t = NULL;
    esp_error error = {0};
    if (tokenizer_open(&t, path, &error) != ESP_OK) fail_msg("%s (%s)", error.message, error.hint);
    return t;
}

static inline void encode(const tokenizer *t, const char *text, size_t length, bool special,
                          token_list *ids) {
    esp_error error = {0};
    ids->count = 0;
    if (tokenizer_encode(t, text, length, special, ids, &error) != ESP_OK) fail_msg("%s", error.message);
}

static inline void print_ids(const char *name, const token_list *ids) {
    fprintf(stderr, "  %s:", name);
    for (int64_t i = 0; i < ids->count; i++) fprintf(stderr, " %d", ids->at[i]);
    fprintf(stderr, "\n");
}

/* Counts a difference and shows it. */
static inline int ids_differ(const char *text, const token_list *got, const token_list *want) {
    if (got->count == want->count &&
        (!got->count || memcmp(got->at, want->at, (size_t)got->count * sizeof *got->at) == 0))
        return 0;
    fprintf(stderr, "text \"%s\"\n", text);
    print_ids("got ", got);
    print_ids("want", want);
    return 1;
}

/* Counts a difference between the decoded ids and a text. */
static inline int text_differs(const tokenizer *t, const token_list *ids, bool keep_special, const char *want,
                               size_t length) {
    text_buffer got = {0};
    esp_error error = {0};
    assert_int_equal(tokenizer_decode(t, ids->at, ids->count, keep_special, &got, &error), ESP_OK);
    int differs = got.length != length || (length && memcmp(got.at, want, length) != 0);
    if (differs) fprintf(stderr, "decoded \"%s\"\nwant    \"%s\"\n", got.at ? got.at : "", want);
    text_free(&got);
    return differs;
}

static inline void ids_from_json(const json_t *array, token_list *ids) {
    ids->count = 0;
    for (size_t i = 0; i < json_array_size(array); i++)
        MEM_LIST_PUSH(ids, (int32_t)json_integer_value(json_array_get(array, i)));
}

static inline json_t *load_json(const char *path) {
    json_error_t error;
    json_t *value = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!value) fail_msg("%s: %s", path, error.text);
    return value;
}

/* A new name in the folder for temporary files; freed by mem_free. */
static inline char *temporary_path(const char *ending) {
    static int count;
    const char *folder = getenv("TMPDIR");
    return mem_printf("%s/espalier-text-%d-%d%s", folder ? folder : "/tmp", (int)getpid(), count++, ending);
}

/* A gunzipped copy of a file; remove it and free the name. */
static inline char *unpacked(const char *path, const char *ending) {
    char *copy = temporary_path(ending), block[65536];
    gzFile in = gzopen(path, "rb");
    FILE *out = fopen(copy, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (int n; (n = gzread(in, block, sizeof block)) > 0;) fwrite(block, 1, (size_t)n, out);
    gzclose(in);
    fclose(out);
    return copy;
}

static inline void remove_and_free(char *path) {
    remove(path);
    mem_free(path);
}

/* The tokenizer of a gzipped file, which is not read on the way. */
static inline tokenizer *open_unpacked(const char *path, const char *ending) {
    char *copy = unpacked(path, ending);
    tokenizer *t = open_tokenizer(copy);
    remove_and_free(copy);
    return t;
}

#endif
