/* The words that tokenizer.ggml.pre names, on a vocabulary of a few pieces that is made here: two pieces are
 * joined where they are in one word, and stay apart where they are not. */
#include "text_support.h"

static void put_number(text_buffer *b, uint64_t x, size_t bytes) {
    text_append(b, (const char *)&x, bytes);
}

static void put_text(text_buffer *b, const char *text) {
    put_number(b, strlen(text), 8);
    text_puts(b, text);
}

/* Types 8 and 9 of the GGUF specification: a text, a list. */
static void put_key(text_buffer *b, const char *key, const char *value) {
    put_text(b, key);
    put_number(b, 8, 4);
    put_text(b, value);
}

static void put_list(text_buffer *b, const char *key, const char *const *values, uint64_t count) {
    put_text(b, key);
    put_number(b, 9, 4);
    put_number(b, 8, 4);
    put_number(b, count, 8);
    for (uint64_t i = 0; i < count; i++) put_text(b, values[i]);
}

/* U+0301, a mark, is the bytes cc 81: in a byte-level vocabulary U+00CC and U+0123. */
#define MARK "\u00cc\u0123"

static tokenizer *made(const char *words) {
    static const char *const pieces[] = {"a",      "B",  "e",  "\u00cc", "\u0123", MARK,
                                         "e" MARK, "aB", "Ba", "1",      "11",     "111"};
    static const char *const merges[] = {"\u00cc \u0123", "e " MARK, "a B", "B a", "1 1", "11 1"};
    text_buffer b = {0};
    esp_error error = {0};
    text_puts(&b, "GGUF");
    put_number(&b, 3, 4);
    put_number(&b, 0, 8);
    put_number(&b, 4, 8);
    put_key(&b, "tokenizer.ggml.model", "gpt2");
    put_key(&b, "tokenizer.ggml.pre", words);
    put_list(&b, "tokenizer.ggml.tokens", pieces, sizeof pieces / sizeof *pieces);
    put_list(&b, "tokenizer.ggml.merges", merges, sizeof merges / sizeof *merges);
    char *path = temporary_path(".gguf");
    assert_int_equal(file_write_all(path, b.at, b.length, &error), ESP_OK);
    tokenizer *t = open_tokenizer(path);
    remove_and_free(path);
    text_free(&b);
    return t;
}

static void check(const char *words, const char *text, int64_t pieces) {
    tokenizer *t = made(words);
    token_list ids = {0};
    encode(t, text, strlen(text), false, &ids);
    if (ids.count != pieces)
        fail_msg("%s: \"%s\" has %lld pieces, not %lld", words, text, (long long)ids.count,
                 (long long)pieces);
    MEM_LIST_FREE(&ids);
    tokenizer_close(t);
}

static void test_words(void **state) {
    (void)state;
    static const struct {
        const char *words;
        int mark, capital, digits; /* pieces of a letter with a mark, of aB, of 111 */
    } rows[] = {{"llama-bpe", 2, 1, 1},        {"smaug-bpe", 2, 1, 1}, {"qwen2", 2, 1, 3},
                {"deepseek-r1-qwen", 2, 1, 3}, {"qwen35", 1, 1, 3},    {"gpt-4o", 1, 2, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check(rows[i].words, "e\u0301", rows[i].mark);
        check(rows[i].words, "aB", rows[i].capital);
        check(rows[i].words, "Ba", 1);
        check(rows[i].words, "111", rows[i].digits);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
