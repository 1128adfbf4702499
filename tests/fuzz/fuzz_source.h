/* Opens bytes as a weight file and reads all that it holds: metadata lists, every tensor. */
#ifndef ESPALIER_FUZZ_SOURCE_H
#define ESPALIER_FUZZ_SOURCE_H

#include "base/memory.h"
#include "formats/tensor_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile double fuzz_sink;

static inline void fuzz_metadata(const gguf_file *g) {
    static const char *const KEYS[] = {"general.architecture", "tokenizer.ggml.tokens",
                                       "tokenizer.ggml.scores", "k"};
    for (size_t k = 0; k < sizeof KEYS / sizeof *KEYS; k++) {
        gguf_list list;
        const char *text;
        double x;
        size_t n;
        if (gguf_need_string(g, KEYS[k], &text, NULL) == ESP_OK) fuzz_sink += (double)strlen(text);
        if (gguf_need_number(g, KEYS[k], &x, NULL) == ESP_OK) fuzz_sink += x;
        if (gguf_need_numbers(g, KEYS[k], &list, NULL) == ESP_OK)
            for (int64_t i = 0; i < list.count; i++) fuzz_sink += gguf_number_at(&list, i);
        if (gguf_need_texts(g, KEYS[k], &list, NULL) == ESP_OK) {
            for (int64_t i = 0; i < list.count; i++) {
                const char *at = gguf_text_at(&list, i, &n);
                for (size_t j = 0; j < n; j++) fuzz_sink += at[j];
            }
        }
    }
}

static inline int fuzz_source(const char *name, const uint8_t *bytes, size_t n) {
    char path[64];
    int fd = memfd_create(name, 0);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    tensor_source *s = NULL;
    esp_error e = {0};
    esp_status status = tensor_source_open(&s, path, &e);
    if ((status == ESP_OK) != (s != NULL) || (status != ESP_OK && e.message[0] == '\0')) abort();
    for (int64_t i = 0; s && i < tensor_source_count(s); i++) {
        const tensor_entry *t = tensor_source_at(s, i);
        int64_t elements = tensor_elements(t);
        if (t->length > n || (elements > 0 && t->length == 0)) abort();
        if (!tensor_type_readable(t->type)) continue;
        float *out = mem_alloc((size_t)elements * sizeof *out + 1);
        bool read = tensor_read_f32(t, 0, elements, out, &e) == ESP_OK;
        if (read ? floats_first_not_finite(out, elements) >= 0 : !strstr(e.message, "finite")) abort();
        mem_free(out);
    }
    if (s && tensor_source_gguf(s)) fuzz_metadata(tensor_source_gguf(s));
    tensor_source_close(s);
    close(fd);
    return 0;
}

#endif
