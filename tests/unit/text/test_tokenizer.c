/* The tokenizer's own promises: damaged files and unknown components are named, GGUF and tokenizer.json
 * agree, what is saved opens again the same, long texts stay cheap, threads share one object. */
#include "text_support.h"

#include <pthread.h>

/* A small byte-level tokenizer; parts can be replaced by name. */
static json_t *small_tokenizer(const char *key, const char *json) {
    static const char text[] =
        "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":0,\"content\":\"<|end|>\",\"special\":true},"
        "{\"id\":9,\"content\":\"<tool>\",\"special\":false,\"lstrip\":true,\"rstrip\":true},"
        "{\"id\":10,\"content\":\"now\",\"special\":false,\"single_word\":true}],"
        "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
        "\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"<|end|>\":0,\"a\":1,\"b\":2,\"\\u0120\":3,\"ab\":4,"
        "\"\\u0120ab\":5,"
        "\"n\":6,\"o\":7,\"w\":8},\"merges\":[\"a b\",\"\\u0120 ab\"]}}";
    json_t *file = json_loads(text, 0, NULL);
    assert_non_null(file);
    if (!key) return file;
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL), *model = json_object_get(file, "model");
    assert_non_null(value);
    json_object_set_new(json_object_get(model, key) || strstr("unk_token end_of_word_suffix", key) ? model
                                                                                                   : file,
                        key, value);
    return file;
}

static esp_status open_json(tokenizer **t, json_t *file, esp_error *error) {
    char *path = temporary_path(".json");
    assert_int_equal(json_dump_file(file, path, 0), 0);
    json_decref(file);
    esp_status status = tokenizer_open(t, path, error);
    remove_and_free(path);
    return status;
}

static void test_small(void **state) {
    (void)state;
    tokenizer *t;
    esp_error error = {0};
    if (open_json(&t, small_tokenizer(NULL, NULL), &error) != ESP_OK) fail_msg("%s", error.message);
    static const struct {
        const char *text;
        bool special;
        int32_t ids[8];
        int count;
    } cases[] = {
        {"ab ab", false, {4, 5}, 2},
        {"a<|end|>b", true, {1, 0, 2}, 3},
        {"a<|end|>b", false, {1, 6, 2}, 3}, /* "<|end|>" has one letter with a piece; the rest is dropped */
        {"ab  <tool>  ab", false, {4, 9, 4}, 3},     /* takes the white space beside it along */
        {"now nowa", false, {10, 3, 6, 7, 8, 1}, 6}, /* a whole word only */
        {"\xff"
         "ab\xe2\x82",
         false,
         {4},
         1}, /* bytes that are no text, and no piece here */
    };
    token_list ids = {0}, want = {0};
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        want.count = 0;
        for (int k = 0; k < cases[i].count; k++) MEM_LIST_PUSH(&want, cases[i].ids[k]);
        encode(t, cases[i].text, strlen(cases[i].text), cases[i].special, &ids);
        wrong += ids_differ(cases[i].text, &ids, &want);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(tokenizer_find(t, "\u0120ab"), 5);
    assert_int_equal(tokenizer_find(t, "<tool>"), 9);
    assert_int_equal(tokenizer_find(t, "zzz"), -1);
    assert_int_equal(tokenizer_size(t), 11);
    assert_int_equal(tokenizer_bos(t), -1);
    assert_false(tokenizer_adds_bos(t));
    size_t length;
    assert_memory_equal(tokenizer_piece(t, 5, &length), " ab", 3);
    assert_int_equal(length, 3);
    tokenizer_piece(t, 11, &length);
    assert_int_equal(length, 0);
    text_buffer out = {0};
    assert_int_equal(tokenizer_decode(t, (int32_t[]){4, 0, 11}, 3, true, &out, &error), ESP_FAILED);
    text_clear(&out);
    assert_int_equal(tokenizer_decode(t, (int32_t[]){4, 0, 5}, 3, false, &out, &error), ESP_OK);
    assert_string_equal(out.at, "ab ab");
    text_free(&out);
    MEM_LIST_FREE(&ids);
    MEM_LIST_FREE(&want);
    tokenizer_close(t);
}

/* Each is refused, by name, with something to do. */
/* A text that continues another gets no space at its front, whichever component puts it there. */
static void test_more(void **state) {
    (void)state;
    static const char *const prefixed[][2] = {
        {"normalizer",
         "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\u2581\"},"
         "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\u2581\"}]}"},
        {"pre_tokenizer",
         "{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\"always\"}"},
        {"pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\"first\"}"},
        {"pre_tokenizer", "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}"},
    };
    static const char spaced[] = "{\"type\":\"BPE\",\"vocab\":{\"<|end|>\":0,\"a\":1,\"b\":2,\"\u2581\":3,"
                                 "\"ab\":4,\"\u2581ab\":5},\"merges\":[\"a b\",\"\u2581 ab\"]}";
    static const struct {
        const char *text;
        int32_t ids[4];
        int count;
    } cases[] = {{"ab", {4}, 1}, {" ab", {5}, 1}, {"ab ab", {4, 5}, 2}, {"", {0}, 0}, {"<|end|>", {0}, 1}};
    token_list ids = {0}, want = {0};
    int wrong = 0;
    for (int p = 0; p < 4; p++) {
        json_t *file = small_tokenizer(prefixed[p][0], prefixed[p][1]);
        if (p == 0) json_object_set_new(file, "pre_tokenizer", json_null());
        if (p < 3) {
            json_object_set_new(file, "model", json_loads(spaced, 0, NULL));
            json_object_set_new(file, "decoder", json_null());
        }
        tokenizer *t;
        esp_error error = {0};
        if (open_json(&t, file, &error) != ESP_OK) fail_msg("%s", error.message);
        encode(t, "ab", 2, true, &ids);
        want.count = 0;
        MEM_LIST_PUSH(&want, 5);
        wrong += ids_differ("ab, first", &ids, &want);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            want.count = ids.count = 0;
            for (int k = 0; k < cases[i].count; k++) MEM_LIST_PUSH(&want, cases[i].ids[k]);
            text_span all = {0, strlen(cases[i].text)};
            assert_int_equal(tokenizer_encode_more(t, cases[i].text, all.end, &all, 1, &ids, &error), ESP_OK);
            wrong += ids_differ(cases[i].text, &ids, &want);
        }
        tokenizer_close(t);
    }
    assert_int_equal(wrong, 0);
    MEM_LIST_FREE(&ids);
    MEM_LIST_FREE(&want);
}

#define DOUBLE     "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aa\"}"
#define TEN_BS     "bbbbbbbbbb"
#define HUNDRED_BS TEN_BS TEN_BS TEN_BS TEN_BS TEN_BS TEN_BS TEN_BS TEN_BS TEN_BS TEN_BS

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *key, *json, *named;
    } cases[] = {
        {"type", "\"WordPiece\"", "WordPiece"},
        {"normalizer", "{\"type\":\"BertNormalizer\"}", "BertNormalizer"},
        {"pre_tokenizer", "{\"type\":\"BertPreTokenizer\"}", "BertPreTokenizer"},
        {"normalizer",
         "{\"type\":\"Sequence\",\"normalizers\":[" DOUBLE "," DOUBLE "," DOUBLE "," DOUBLE "," DOUBLE
         "," DOUBLE "," DOUBLE "]}",
         "the normalizer can make a text 128 times as long"},
        {"decoder",
         "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},"
         "\"content\":"
         "\"" HUNDRED_BS "\"}]}",
         "the decoder can make a text 100 times as long"},
        {"pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}",
         "pattern ("},
        {"pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x*\"},\"behavior\":\"Isolated\"}",
         "x*"},
        {"pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Mixed\"}",
         "Mixed"},
        {"pre_tokenizer",
         "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},{\"type\":\"Digits\"}]}",
         "Digits"},
        {"pre_tokenizer", "{\"type\":\"Sequence\"}", "pretokenizers"},
        {"decoder", "{\"type\":\"CTC\"}", "CTC"},
        {"post_processor", "{\"type\":\"BertProcessing\"}", "BertProcessing"},
        {"end_of_word_suffix", "\"</w>\"", "end_of_word_suffix"},
        {"merges", "[\"a b\",\"a n\"]", "merge 1"},
        {"merges", "[\"a\"]", "merge 0"},
        {"merges", "[[\"a\",\"b\",\"b\"]]", "merge 0"},
        {"merges", "[7]", "merge 0"},
        {"merges", "{}", "model.merges"},
        {"vocab", "{\"a\":1,\"b\":1}", "same id 1"},
        {"vocab", "{\"a\":-1}", "\"a\""},
        {"vocab", "{\"a\":2000000000}", "\"a\""},
        {"vocab", "{\"a\":\"x\"}", "\"a\""},
        {"vocab", "[]", "model.vocab"},
        {"unk_token", "\"<unk>\"", "<unk>"},
        {"added_tokens", "[{\"id\":3,\"content\":\"a\"}]", "added token \"a\""},
        {"added_tokens", "[{\"content\":\"a\"}]", "added_tokens[0]"},
        {"added_tokens", "[{\"id\":30,\"content\":\"x\"},{\"id\":30,\"content\":\"y\"}]", "same id 30"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tokenizer *t = NULL;
        esp_error error = {0};
        if (open_json(&t, small_tokenizer(cases[i].key, cases[i].json), &error) == ESP_OK)
            fail_msg("%s %s was taken", cases[i].key, cases[i].json);
        assert_null(t);
        if (!strstr(error.message, cases[i].named) || !strstr(error.message, "espalier-text-") ||
            !*error.hint)
            fail_msg("%s %s: %s (%s)", cases[i].key, cases[i].json, error.message, error.hint);
    }
}

static void expect_failure(const char *path, const char *what) {
    tokenizer *t = NULL;
    esp_error error = {0};
    if (tokenizer_open(&t, path, &error) == ESP_OK) fail_msg("%s was taken", what);
    assert_null(t);
    if (!strstr(error.message, path) || !*error.hint)
        fail_msg("%s: %s (%s)", what, error.message, error.hint);
}

static void test_cut_short(void **state) {
    (void)state;
    char *bytes, *path = temporary_path(".json");
    size_t length;
    esp_error error = {0};
    assert_int_equal(file_read(TEST_DATA "/models/tinystories-656k/tokenizer.json", &bytes, &length, &error),
                     0);
    while (length && strchr("\n ", bytes[length - 1])) length--;
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(file_write_all(path, bytes, length * i / 100, &error), ESP_OK);
        expect_failure(path, "a file cut short");
    }
    mem_free(bytes);
    assert_int_equal(
        file_write_all(path, "{\"model\":{\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}", 46, &error), ESP_OK);
    expect_failure(path, "a vocabulary with a piece twice");
    remove_and_free(path);
    path = temporary_path(".json.gz");
    assert_int_equal(file_read(TEST_DATA "/tokenizers/mistral/tokenizer.json.gz", &bytes, &length, &error),
                     0);
    assert_int_equal(file_write_all(path, bytes, length / 2, &error), ESP_OK);
    expect_failure(path, "a packed file cut short");
    mem_free(bytes);
    remove_and_free(path);
    path = temporary_path(".gguf");
    char *whole = unpacked(TEST_DATA "/tokenizers/mistral/vocabulary.gguf.gz", ".gguf");
    assert_int_equal(file_read(whole, &bytes, &length, &error), 0);
    remove_and_free(whole);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(file_write_all(path, bytes, length * i / 20, &error), ESP_OK);
        expect_failure(path, "a GGUF file cut short");
    }
    mem_free(bytes);
    remove_and_free(path);
    expect_failure("/nonexistent/tokenizer.json", "no file");
}

/* The texts of encodings.json, encoded by two tokenizers. */
static void assert_same_encodings(const tokenizer *a, const tokenizer *b) {
    json_t *file = load_json(ESPALIER_SOURCE_DIR "/tests/unit/text/encodings.json"), *row;
    token_list x = {0}, y = {0};
    int wrong = 0;
    size_t i;
    json_array_foreach(json_object_get(file, "smollm2"), i, row) {
        const json_t *text = json_object_get(row, "text");
        for (int special = 0; special < 2; special++) {
            encode(a, json_string_value(text), json_string_length(text), special, &x);
            encode(b, json_string_value(text), json_string_length(text), special, &y);
            wrong += ids_differ(json_string_value(text), &x, &y);
            text_buffer back = {0};
            esp_error error;
            assert_int_equal(tokenizer_decode(a, x.at, x.count, true, &back, &error), ESP_OK);
            wrong += text_differs(b, &y, true, back.at ? back.at : "", back.length);
            text_free(&back);
        }
    }
    assert_int_equal(wrong, 0);
    MEM_LIST_FREE(&x);
    MEM_LIST_FREE(&y);
    json_decref(file);
}

/* Saves, opens what was saved, compares; returns the folder's tokenizer. */
static void assert_saves(const tokenizer *t) {
    char *folder = temporary_path("");
    esp_error error = {0};
    assert_int_equal(folder_make(folder, &error), ESP_OK);
    if (tokenizer_save(t, folder, &error) != ESP_OK) fail_msg("%s", error.message);
    tokenizer *again = open_tokenizer(folder);
    assert_same_encodings(t, again);
    assert_int_equal(tokenizer_size(t), tokenizer_size(again));
    assert_int_equal(tokenizer_bos(t), tokenizer_bos(again));
    assert_int_equal(tokenizer_eos(t), tokenizer_eos(again));
    assert_int_equal(tokenizer_adds_bos(t), tokenizer_adds_bos(again));
    if (tokenizer_chat_template(t))
        assert_string_equal(tokenizer_chat_template(t), tokenizer_chat_template(again));
    for (int32_t id = 0; id < tokenizer_size(t); id++) {
        size_t n, m;
        const char *p = tokenizer_piece(t, id, &n), *q = tokenizer_piece(again, id, &m);
        assert_int_equal(n, m);
        if (n) assert_memory_equal(p, q, n);
        assert_int_equal(tokenizer_is_special(t, id), tokenizer_is_special(again, id));
    }
    tokenizer_close(again);
    folder_remove(folder, &error);
    mem_free(folder);
}

static void test_save(void **state) {
    (void)state;
    tokenizer *mistral = open_tokenizer(TEST_DATA "/tokenizers/mistral");
    assert_true(tokenizer_adds_bos(mistral));
    assert_int_equal(tokenizer_bos(mistral), 1);
    assert_int_equal(tokenizer_eos(mistral), 2);
    assert_saves(mistral);
    esp_error error = {0};
    assert_int_equal(tokenizer_save(mistral, "/nonexistent/folder", &error), ESP_FAILED);
    tokenizer_close(mistral);
    tokenizer *smollm2 = open_unpacked(TEST_DATA "/tokenizers/smollm2/vocabulary.gguf.gz", ".gguf");
    assert_saves(smollm2);
    tokenizer_close(smollm2);
}

/* The same vocabulary from GGUF scores and from Hugging Face's merges. */
static void test_gguf_is_json(void **state) {
    (void)state;
    tokenizer *spm = open_unpacked(TEST_DATA "/tokenizers/mistral/vocabulary.gguf.gz", ".gguf");
    tokenizer *mistral = open_tokenizer(TEST_DATA "/tokenizers/mistral");
    assert_same_encodings(spm, mistral);
    assert_int_equal(tokenizer_bos(spm), tokenizer_bos(mistral));
    assert_int_equal(tokenizer_adds_bos(spm), true);
    assert_saves(spm);
    tokenizer_close(spm);
    tokenizer_close(mistral);
}

static void test_smollm2_gguf(void **state) {
    (void)state;
    tokenizer *gguf = open_tokenizer(smollm2_path());
    tokenizer *json = open_tokenizer(TEST_DATA "/tokenizers/smollm2/tokenizer.json.gz");
    assert_same_encodings(gguf, json);
    assert_int_equal(tokenizer_eos(gguf), 2);
    assert_false(tokenizer_adds_bos(gguf));
    assert_non_null(strstr(tokenizer_chat_template(gguf), "<|im_start|>"));
    assert_saves(gguf);
    tokenizer_close(gguf);
    tokenizer_close(json);
}

/* 1 MB as one word, as white space, as prose: all of it in a few seconds; quadratic work would run into
 * the test's time limit. timeout: 200 */
static void test_long_texts(void **state) {
    (void)state;
    tokenizer *t[2] = {open_tokenizer(TEST_DATA "/tokenizers/smollm2/tokenizer.json.gz"),
                       open_tokenizer(TEST_DATA "/tokenizers/mistral")};
    static const char *const fillers[] = {"a",    "abcdefghij",  " ", "\n", "The cat sat on 12 mats. ",
                                          "\xff", "\xe6\x88\x91"};
    enum { LENGTH = 1 << 20 };
    char *text = mem_alloc(LENGTH + 64);
    token_list ids = {0};
    for (int k = 0; k < 2; k++)
        for (size_t f = 0; f < sizeof fillers / sizeof *fillers; f++) {
            size_t step = strlen(fillers[f]), length = 0;
            for (; length < LENGTH; length += step) memcpy(text + length, fillers[f], step);
            encode(t[k], text, length, true, &ids);
            text[length] = 0;
            if (f != 5 || k == 1) assert_int_equal(text_differs(t[k], &ids, true, text, length), 0);
        }
    MEM_LIST_FREE(&ids);
    mem_free(text);
    for (int k = 0; k < 2; k++) tokenizer_close(t[k]);
}

static void *encode_much(void *object) {
    token_list ids = {0};
    char text[64];
    uint64_t total = 0;
    for (int i = 0; i < 20000; i++) {
        int n = snprintf(text, sizeof text, "word%d and number %d, again", i % 977, i % 331);
        ids.count = 0;
        if (tokenizer_encode(object, text, (size_t)n, true, &ids, NULL) != ESP_OK) return NULL;
        for (int64_t k = 0; k < ids.count; k++) total = total * 31 + (uint64_t)ids.at[k];
    }
    MEM_LIST_FREE(&ids);
    uint64_t *result = MEM_NEW(uint64_t);
    *result = total;
    return result;
}

static void test_threads(void **state) {
    (void)state;
    tokenizer *t = open_tokenizer(TEST_DATA "/tokenizers/smollm2/tokenizer.json.gz");
    pthread_t threads[4];
    uint64_t *sums[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, encode_much, t), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], (void **)&sums[i]);
    for (int i = 0; i < 4; i++) {
        assert_non_null(sums[i]);
        assert_true(*sums[i] == *sums[0]);
    }
    for (int i = 0; i < 4; i++) mem_free(sums[i]);
    tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),        cmocka_unit_test(test_more),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_save),         cmocka_unit_test(test_gguf_is_json),
        cmocka_unit_test(test_smollm2_gguf), cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
