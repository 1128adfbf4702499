/* Tokenizers against encodings that others made: llama.cpp's vocabulary cases, swift-transformers' tests,
 * Python's tokenizers library (encodings.json, made by make_encodings.py) and the numbers of real models. */
#include "text_support.h"

#include "text/pretokenize.h"

#define GPT2 TEST_DATA "/tokenizers/gpt-2/ggml-vocab-gpt-2.gguf"

static void test_llama_cpp(void **state) {
    (void)state;
    size_t in_length, out_length;
    char *in, *out;
    esp_error error = {0};
    assert_int_equal(file_read(GPT2 ".inp", &in, &in_length, &error), ESP_OK);
    assert_int_equal(file_read(GPT2 ".out", &out, &out_length, &error), ESP_OK);
    tokenizer *t = open_unpacked(GPT2 ".gz", ".gguf");
    token_list got = {0}, want = {0};
    const char mark[] = "\n__ggml_vocab_test__\n";
    int cases = 0, wrong = 0;
    for (char *text = in, *line = out, *next; text; text = next, cases++) {
        char *end = strstr(text, mark);
        size_t length = end ? (size_t)(end - text) : strlen(text);
        next = end ? end + strlen(mark) : NULL;
        if (!next && !length) break;
        want.count = 0;
        char *line_end = strchr(line, '\n');
        for (char *after; line < line_end; line = after) {
            long id = strtol(line, &after, 10);
            if (after == line || after > line_end) break;
            MEM_LIST_PUSH(&want, (int32_t)id);
        }
        line = line_end + 1;
        encode(t, text, length, false, &got);
        text[length] = 0;
        wrong += ids_differ(text, &got, &want);
        wrong += text_differs(t, &got, true, text, length);
    }
    assert_true(cases >= 46);
    assert_int_equal(wrong, 0);
    MEM_LIST_FREE(&got);
    MEM_LIST_FREE(&want);
    mem_free(in);
    mem_free(out);
    tokenizer_close(t);
}

/* One long text with its ids. */
static void swift_text(tokenizer *t, const char *path) {
    json_t *file = load_json(path);
    const char *text = json_string_value(json_object_get(file, "text"));
    token_list got = {0}, want = {0};
    ids_from_json(json_object_get(file, "token_ids"), &want);
    assert_true(want.count > 100);
    encode(t, text, strlen(text), false, &got);
    assert_int_equal(ids_differ(text, &got, &want), 0);
    assert_int_equal(text_differs(t, &got, true, text, strlen(text)), 0);
    MEM_LIST_FREE(&got);
    MEM_LIST_FREE(&want);
    json_decref(file);
}

/* What transformers does to decoded text by default (clean_up_tokenization): their expected texts had it
 * done. */
static void clean_up(text_buffer *b) {
    static const char *const pairs[][2] = {{" .", "."},     {" ?", "?"},     {" !", "!"},   {" ,", ","},
                                           {" ' ", "'"},    {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"},
                                           {" 've", "'ve"}, {" 're", "'re"}};
    for (int i = 0; i < 10; i++)
        for (char *hit = b->at; (hit = strstr(hit, pairs[i][0]));) {
            size_t from = strlen(pairs[i][0]), to = strlen(pairs[i][1]);
            memmove(hit + to, hit + from, strlen(hit + from) + 1);
            memcpy(hit, pairs[i][1], to);
            hit += to;
        }
    b->length = b->at ? strlen(b->at) : 0;
}

static int swift_differs(const tokenizer *t, const token_list *ids, bool keep_special, const char *want) {
    text_buffer got = {0};
    esp_error error = {0};
    assert_int_equal(tokenizer_decode(t, ids->at, ids->count, keep_special, &got, &error), ESP_OK);
    clean_up(&got);
    int differs = strcmp(got.at ? got.at : "", want) != 0;
    if (differs) fprintf(stderr, "decoded \"%s\"\nwant    \"%s\"\n", got.at, want);
    text_free(&got);
    return differs;
}

static void swift_rows(tokenizer *t, const char *key) {
    json_t *file = load_json(TEST_DATA "/tokenizers/swift-transformers/tokenizer_tests.json"), *row;
    token_list got = {0}, want = {0};
    int wrong = 0;
    size_t i;
    const json_t *rows = json_object_get(file, key);
    assert_true(json_array_size(rows) >= 18);
    json_array_foreach(rows, i, row) {
        const json_t *text = json_object_get(row, "input");
        const char *kept = json_string_value(json_object_get(row, "decoded_with_special"));
        const char *plain = json_string_value(json_object_get(row, "decoded_without_special"));
        ids_from_json(json_object_get(json_object_get(row, "encoded"), "input_ids"), &want);
        got.count = 0;
        if (tokenizer_adds_bos(t)) MEM_LIST_PUSH(&got, tokenizer_bos(t));
        esp_error error = {0};
        assert_int_equal(
            tokenizer_encode(t, json_string_value(text), json_string_length(text), true, &got, &error),
            ESP_OK);
        wrong += ids_differ(json_string_value(text), &got, &want);
        wrong += swift_differs(t, &want, true, kept);
        wrong += swift_differs(t, &want, false, plain);
    }
    assert_int_equal(wrong, 0);
    MEM_LIST_FREE(&got);
    MEM_LIST_FREE(&want);
    json_decref(file);
}

static void test_swift_transformers(void **state) {
    (void)state;
    tokenizer *gpt2 = open_unpacked(GPT2 ".gz", ".gguf");
    swift_text(gpt2, TEST_DATA "/tokenizers/swift-transformers/gpt2_encoded_tokens.json");
    swift_rows(gpt2, "distilgpt2");
    tokenizer_close(gpt2);
}

static int compare_with_python(const tokenizer *t, const json_t *rows) {
    token_list got = {0}, want = {0};
    int wrong = 0;
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row) {
        const json_t *text = json_object_get(row, "text"), *back = json_object_get(row, "text_back");
        const json_t *special = json_object_get(row, "special_ids");
        const char *bytes = json_string_value(text);
        ids_from_json(json_object_get(row, "ids"), &want);
        encode(t, bytes, json_string_length(text), false, &got);
        wrong += ids_differ(bytes, &got, &want);
        if (!back) back = text;
        if (!json_is_null(back))
            wrong += text_differs(t, &got, true, json_string_value(back), json_string_length(back));
        if (json_is_null(special)) continue;
        if (special) ids_from_json(special, &want);
        encode(t, bytes, json_string_length(text), true, &got);
        wrong += ids_differ(bytes, &got, &want);
    }
    MEM_LIST_FREE(&got);
    MEM_LIST_FREE(&want);
    return wrong;
}

static void test_python(void **state) {
    (void)state;
    static const struct {
        const char *name, *file, *ending;
    } from[] = {
        {"smollm2", TEST_DATA "/tokenizers/smollm2/tokenizer.json.gz", ".json"},
        {"smollm2", TEST_DATA "/tokenizers/smollm2/vocabulary.gguf.gz", ".gguf"},
        {"mistral", TEST_DATA "/tokenizers/mistral/tokenizer.json.gz", ".json"},
        {"mistral", TEST_DATA "/tokenizers/mistral/vocabulary.gguf.gz", ".gguf"},
        {"tinystories", TEST_DATA "/models/tinystories-656k/tokenizer.json", ".json"},
    };
    json_t *file = load_json(ESPALIER_SOURCE_DIR "/tests/unit/text/encodings.json");
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        /* unpacked elsewhere: without a tokenizer_config.json beside it */
        tokenizer *t = open_unpacked(from[i].file, from[i].ending);
        const json_t *rows = json_object_get(file, from[i].name);
        assert_true(json_array_size(rows) >= 100);
        int wrong = compare_with_python(t, rows);
        if (wrong) fail_msg("%s: %d differences", from[i].file, wrong);
        tokenizer_close(t);
    }
    json_decref(file);
}

/* The words of one text, cut by a single stage. */
static int words_differ(const pretokenizer *p, word_list *w, const json_t *row, const char *pattern) {
    const json_t *text = json_array_get(row, 0), *want = json_array_get(row, 1);
    esp_error error = {0};
    text_clear(&w->text);
    text_append(&w->text, json_string_value(text), json_string_length(text));
    if (pretokenize(p, w, TEXT_FIRST, &error) != ESP_OK) fail_msg("%s", error.message);
    int wrong = w->words.count != (int64_t)json_array_size(want);
    for (int64_t i = 0; !wrong && i < w->words.count; i++) {
        const json_t *word = json_array_get(want, (size_t)i);
        text_segment s = w->words.at[i];
        wrong = s.end - s.start != json_string_length(word) ||
                memcmp(w->text.at + s.start, json_string_value(word), s.end - s.start) != 0;
    }
    if (!wrong) return 0;
    fprintf(stderr, "pattern %s, text \"%s\":", pattern, json_string_value(text));
    for (int64_t i = 0; i < w->words.count; i++)
        fprintf(stderr, " [%.*s]", (int)(w->words.at[i].end - w->words.at[i].start),
                w->text.at + w->words.at[i].start);
    fprintf(stderr, "\n");
    return 1;
}

static void test_cuts(void **state) {
    (void)state;
    json_t *file = load_json(ESPALIER_SOURCE_DIR "/tests/unit/text/encodings.json"), *cut, *row;
    word_list w = {0};
    int wrong = 0;
    size_t i, j;
    assert_true(json_array_size(json_object_get(file, "cuts")) > 50);
    json_array_foreach(json_object_get(file, "cuts"), i, cut) {
        const char *pattern = json_string_value(json_object_get(cut, "pattern"));
        split_behavior behavior = (split_behavior)json_integer_value(json_object_get(cut, "behavior"));
        pretokenizer *p = pretokenizer_new();
        esp_error error = {0};
        if (pretokenizer_add_split(p, pattern, behavior, json_is_true(json_object_get(cut, "invert")),
                                   &error) != ESP_OK)
            fail_msg("%s", error.message);
        json_array_foreach(json_object_get(cut, "rows"), j, row) {
            int differs = words_differ(p, &w, row, pattern);
            if (differs)
                fprintf(stderr, "behavior %d, invert %d\n", behavior,
                        json_is_true(json_object_get(cut, "invert")));
            wrong += differs;
        }
        pretokenizer_free(p);
    }
    assert_int_equal(wrong, 0);
    word_list_free(&w);
    json_decref(file);
}

static void golden_texts(tokenizer *t, const char *path, bool all_characters) {
    json_t *file = load_json(path), *row;
    token_list got = {0}, want = {0};
    int wrong = 0, rows = 0;
    size_t i;
    static const char *const lists[] = {"score", "greedy"};
    for (int l = 0; l < 2; l++) json_array_foreach(json_object_get(file, lists[l]), i, row) {
            const char *text = json_string_value(json_object_get(row, "text"));
            if (!text) continue;
            ids_from_json(json_object_get(row, "ids"), &want);
            encode(t, text, strlen(text), true, &got);
            wrong += ids_differ(text, &got, &want);
            if (all_characters) wrong += text_differs(t, &got, true, text, strlen(text));
            rows++;
        }
    assert_true(rows > 0);
    assert_int_equal(wrong, 0);
    MEM_LIST_FREE(&got);
    MEM_LIST_FREE(&want);
    json_decref(file);
}

static void test_model_goldens(void **state) {
    (void)state;
    tokenizer *smollm2 = open_tokenizer(TEST_DATA "/tokenizers/smollm2/tokenizer.json.gz");
    golden_texts(smollm2, TEST_DATA "/golden/smollm2-135m.json", true);
    tokenizer_close(smollm2);
    tokenizer *stories = open_tokenizer(TEST_DATA "/models/tinystories-656k");
    golden_texts(stories, TEST_DATA "/golden/tinystories-656k.json",
                 false); /* it has no piece for "(", nor bytes */
    tokenizer_close(stories);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama_cpp),     cmocka_unit_test(test_swift_transformers),
        cmocka_unit_test(test_python),        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_model_goldens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
