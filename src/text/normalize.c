#include "text/normalize.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

void normalizer_add(normalizer *n, normal_kind kind, const char *from, const char *to) {
    normal_step step = {kind, mem_strdup(from), mem_strdup(to)};
    MEM_LIST_PUSH(n, step);
}

void normalizer_free(normalizer *n) {
    for (int64_t i = 0; i < n->count; i++) {
        mem_free(n->at[i].from);
        mem_free(n->at[i].to);
    }
    MEM_LIST_FREE(n);
}

double normalizer_growth(const normalizer *n) {
    double growth = 1;
    for (int64_t i = 0; i < n->count; i++) {
        const normal_step *step = &n->at[i];
        if (step->kind != NORMAL_REPLACE || !step->from[0]) continue;
        double own = (double)strlen(step->to) / (double)strlen(step->from);
        if (own > 1) growth *= own;
    }
    return growth;
}

static void replace(const normal_step *step, const text_buffer *in, text_buffer *out) {
    size_t from = strlen(step->from), to = strlen(step->to), kept = 0;
    const char *end = in->at + in->length, *hit = in->at;
    while (from && (hit = memchr(hit, step->from[0], (size_t)(end - hit)))) {
        if (from > (size_t)(end - hit)) break;
        if (memcmp(hit, step->from, from) != 0) {
            hit++;
            continue;
        }
        text_append(out, in->at + kept, (size_t)(hit - in->at) - kept);
        text_append(out, step->to, to);
        hit += from;
        kept = (size_t)(hit - in->at);
    }
    text_append(out, in->at + kept, in->length - kept);
}

/* Applies one of the four Unicode forms to each span of valid UTF-8; other bytes stay. */
static void unicode_form(normal_kind kind, const text_buffer *in, text_buffer *out) {
    int options = UTF8PROC_STABLE;
    options |= kind == NORMAL_NFC || kind == NORMAL_NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
    if (kind == NORMAL_NFKC || kind == NORMAL_NFKD) options |= UTF8PROC_COMPAT;
    for (size_t i = 0, n; i < in->length;) {
        size_t start = i;
        while (i < in->length && (n = utf8_length(in->at + i, in->length - i)) > 0) i += n;
        utf8proc_uint8_t *mapped = NULL;
        utf8proc_ssize_t length = utf8proc_map((const utf8proc_uint8_t *)in->at + start,
                                               (utf8proc_ssize_t)(i - start), &mapped, options);
        if (length >= 0)
            text_append(out, (const char *)mapped, (size_t)length);
        else
            text_append(out, in->at + start, i - start);
        free(mapped);
        if (i < in->length) text_append(out, in->at + i++, 1);
    }
}

void normalize(const normalizer *n, text_buffer *text, bool continues) {
    for (int64_t i = 0; i < n->count && text->length; i++) {
        text_buffer out = {0};
        const normal_step *step = &n->at[i];
        if (step->kind == NORMAL_PREPEND && continues) continue;
        if (step->kind == NORMAL_REPLACE) {
            replace(step, text, &out);
        } else if (step->kind == NORMAL_PREPEND) {
            text_puts(&out, step->to);
            text_append(&out, text->at, text->length);
        } else {
            unicode_form(step->kind, text, &out);
        }
        text_free(text);
        *text = out;
    }
}
