#include "text/pretokenize.h"

#include "base/utf8.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

typedef struct {
    pcre2_code *code; /* NULL: no splitting */
    split_behavior behavior;
    bool invert;
    bool prefix_space;
    char *mark; /* Metaspace; NULL otherwise */
    metaspace_prepend prepend;
} stage;

struct pretokenizer {
    MEM_LIST(stage) stages;
};

pretokenizer *pretokenizer_new(void) {
    return MEM_NEW(pretokenizer);
}

void pretokenizer_free(pretokenizer *p) {
    if (!p) return;
    for (int64_t i = 0; i < p->stages.count; i++) {
        pcre2_code_free(p->stages.at[i].code);
        mem_free(p->stages.at[i].mark);
    }
    MEM_LIST_FREE(&p->stages);
    mem_free(p);
}

void word_list_free(word_list *w) {
    text_free(&w->text);
    text_free(&w->other_text);
    MEM_LIST_FREE(&w->words);
    MEM_LIST_FREE(&w->other_words);
    MEM_LIST_FREE(&w->parts);
    pcre2_match_data_free(w->match);
    w->match = NULL;
}

/* Unicode's White_Space. PCRE2's \s also matches U+180E, which left that class in Unicode 6.3. */
#define WHITE_SPACE                                                                                          \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{" \
    "3000}"

/* Expands \s and \S; everything else means the same in both syntaxes. */
static void translate(const char *pattern, text_buffer *out) {
    bool in_class = false;
    for (const char *c = pattern; *c; c++) {
        if (*c == '\\' && c[1]) {
            c++;
            if (*c == 's')
                text_printf(out, in_class ? "%s" : "[%s]", WHITE_SPACE);
            else if (*c == 'S' && !in_class)
                text_printf(out, "[^%s]", WHITE_SPACE);
            else
                text_append(out, c - 1, 2);
            continue;
        }
        if (*c == '[') in_class = true;
        if (*c == ']') in_class = false;
        text_append(out, c, 1);
    }
}

esp_status pretokenizer_add_split(pretokenizer *p, const char *pattern, split_behavior behavior, bool invert,
                                  esp_error *error) {
    text_buffer translated = {0};
    translate(pattern, &translated);
    int code = 0;
    PCRE2_SIZE at = 0;
    stage s = {.behavior = behavior, .invert = invert};
    s.code = pcre2_compile((PCRE2_SPTR)(translated.at ? translated.at : ""), translated.length,
                           PCRE2_UTF | PCRE2_UCP, &code, &at, NULL);
    text_free(&translated);
    if (!s.code) {
        char why[160];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        return error_fail(error, "a pattern that PCRE2 cannot read is not supported",
                          "pre-tokenizer pattern %s: %s", pattern, why);
    }
    uint32_t empty = 0;
    if (pcre2_pattern_info(s.code, PCRE2_INFO_MATCHEMPTY, &empty) == 0 && empty) {
        pcre2_code_free(s.code);
        return error_fail(error, "a pattern must match at least one character",
                          "pre-tokenizer pattern %s can match the empty string, which is not supported",
                          pattern);
    }
    pcre2_jit_compile(s.code, PCRE2_JIT_COMPLETE); /* if it fails, the interpreter is used */
    MEM_LIST_PUSH(&p->stages, s);
    return ESP_OK;
}

#define GPT2_WORDS "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

esp_status pretokenizer_add_byte_level(pretokenizer *p, bool add_prefix_space, bool use_regex,
                                       esp_error *error) {
    if (use_regex) {
        ESP_TRY(pretokenizer_add_split(p, GPT2_WORDS, SPLIT_ISOLATED, false, error));
        p->stages.at[p->stages.count - 1].prefix_space = add_prefix_space;
    } else if (add_prefix_space) {
        stage s = {.prefix_space = true};
        MEM_LIST_PUSH(&p->stages, s);
    }
    return ESP_OK;
}

esp_status pretokenizer_add_metaspace(pretokenizer *p, const char *mark, metaspace_prepend prepend,
                                      bool split, esp_error *error) {
    if (split) {
        text_buffer quoted = {0};
        text_printf(&quoted, "\\Q%s\\E", mark);
        esp_status status = pretokenizer_add_split(p, quoted.at, SPLIT_WITH_NEXT, false, error);
        text_free(&quoted);
        ESP_TRY(status);
    } else {
        stage s = {0};
        MEM_LIST_PUSH(&p->stages, s);
    }
    stage *s = &p->stages.at[p->stages.count - 1];
    s->mark = mem_strdup(mark);
    s->prepend = prepend;
    return ESP_OK;
}

static bool starts_with(const char *text, size_t length, const char *what) {
    size_t n = strlen(what);
    return length >= n && memcmp(text, what, n) == 0;
}

static bool is_stray_byte(const word_list *w, text_segment word) {
    return utf8_length(w->text.at + word.start, word.end - word.start) == 0;
}

/* The stages that change the text rewrite it word by word. */
static void rewrite(const stage *s, word_list *w, text_place place) {
    text_clear(&w->other_text);
    for (int64_t i = 0; i < w->words.count; i++) {
        text_segment *word = &w->words.at[i];
        const char *text = w->text.at + word->start;
        size_t length = word->end - word->start, start = w->other_text.length;
        bool spaced = starts_with(text, length, " ") || (place == TEXT_CONTINUES && i == 0);
        if (is_stray_byte(w, *word)) {
            text_append(&w->other_text, text, length);
        } else if (s->mark) {
            bool wanted = s->prepend == METASPACE_ALWAYS ||
                          (s->prepend == METASPACE_FIRST && place == TEXT_FIRST && i == 0);
            if (wanted && !spaced && !starts_with(text, length, s->mark)) text_puts(&w->other_text, s->mark);
            for (size_t at = 0; at < length; at++)
                text_append(&w->other_text, text[at] == ' ' ? s->mark : text + at,
                            text[at] == ' ' ? strlen(s->mark) : 1);
        } else {
            if (!spaced) text_puts(&w->other_text, " ");
            text_append(&w->other_text, text, length);
        }
        *word = (text_segment){start, w->other_text.length};
    }
    text_buffer swap = w->text;
    w->text = w->other_text;
    w->other_text = swap;
}

static void add_word(word_list *w, size_t start, size_t end) {
    text_segment word = {start, end};
    if (end > start) MEM_LIST_PUSH(&w->other_words, word);
}

static void add_part(word_list *w, size_t start, size_t end, bool matched) {
    text_part part = {start, end, matched};
    if (end > start) MEM_LIST_PUSH(&w->parts, part);
}

/* Turns the parts of one word (matches, and the text between them) into new words. */
static void join_parts(const stage *s, word_list *w) {
    for (int64_t i = 0; i < w->parts.count; i++) {
        const text_part *part = &w->parts.at[i], *before = i > 0 ? part - 1 : NULL;
        const text_part *next = i + 1 < w->parts.count ? part + 1 : NULL;
        bool join = false, drop = false;
        size_t end = part->end;
        switch (s->behavior) {
        case SPLIT_ISOLATED:
            break;
        case SPLIT_REMOVED:
            drop = part->matched;
            break;
        case SPLIT_WITH_PREVIOUS:
            join = part->matched && before && !before->matched;
            break;
        case SPLIT_CONTIGUOUS:
            join = before && before->matched == part->matched;
            break;
        case SPLIT_WITH_NEXT:
            if (part->matched && next && !next->matched) end = next->end, i++;
            break;
        }
        if (join)
            w->other_words.at[w->other_words.count - 1].end = end;
        else if (!drop)
            add_word(w, part->start, end);
    }
}

static esp_status match_once(const stage *s, word_list *w, text_segment word, size_t from, text_segment *hit,
                             bool *found, esp_error *error) {
    PCRE2_SPTR text = (PCRE2_SPTR)w->text.at + word.start;
    size_t length = word.end - word.start;
    int rc = pcre2_match(s->code, text, length, from - word.start, PCRE2_NO_UTF_CHECK, w->match, NULL);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(s->code, text, length, from - word.start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                         w->match, NULL);
    *found = rc >= 0;
    if (rc >= 0) {
        PCRE2_SIZE *at = pcre2_get_ovector_pointer(w->match);
        *hit = (text_segment){word.start + at[0], word.start + at[1]};
        return ESP_OK;
    }
    if (rc == PCRE2_ERROR_NOMATCH) return ESP_OK;
    char why[160];
    pcre2_get_error_message(rc, (PCRE2_UCHAR *)why, sizeof why);
    return error_fail(error, "encode the text in shorter parts",
                      "pre-tokenizer pattern on a text of %zu bytes: %s", length, why);
}

static esp_status split_word(const stage *s, word_list *w, text_segment word, esp_error *error) {
    w->parts.count = 0;
    size_t from = word.start, kept = word.start;
    while (from < word.end) {
        text_segment hit;
        bool found;
        ESP_TRY(match_once(s, w, word, from, &hit, &found, error));
        if (!found) break;
        if (hit.end == hit.start) { /* an empty match splits nothing */
            size_t n = hit.end < word.end ? utf8_length(w->text.at + hit.end, word.end - hit.end) : 1;
            from = hit.end + (n ? n : 1);
            continue;
        }
        add_part(w, kept, hit.start, s->invert);
        add_part(w, hit.start, hit.end, !s->invert);
        from = kept = hit.end;
    }
    add_part(w, kept, word.end, s->invert);
    join_parts(s, w);
    return ESP_OK;
}

/* The first words: spans of valid UTF-8, so that patterns need not check it, and each other byte as a word.
 */
static void cut_valid(word_list *w) {
    w->words.count = 0;
    for (size_t i = 0, n; i < w->text.length;) {
        size_t start = i;
        while (i < w->text.length && (n = utf8_length(w->text.at + i, w->text.length - i)) > 0) i += n;
        text_segment valid = {start, i}, byte = {i, i + 1};
        if (i > start) MEM_LIST_PUSH(&w->words, valid);
        if (i < w->text.length) {
            MEM_LIST_PUSH(&w->words, byte);
            i++;
        }
    }
}

esp_status pretokenize(const pretokenizer *p, word_list *w, text_place place, esp_error *error) {
    if (!w->match) w->match = pcre2_match_data_create(1, NULL);
    cut_valid(w);
    for (int64_t i = 0; i < p->stages.count; i++) {
        const stage *s = &p->stages.at[i];
        if (s->mark || s->prefix_space) rewrite(s, w, place);
        if (!s->code) continue;
        w->other_words.count = 0;
        for (int64_t j = 0; j < w->words.count; j++) {
            text_segment word = w->words.at[j];
            if (is_stray_byte(w, word))
                add_word(w, word.start, word.end);
            else
                ESP_TRY(split_word(s, w, word, error));
        }
        segment_list swap = w->words;
        w->words = w->other_words;
        w->other_words = swap;
    }
    return ESP_OK;
}
