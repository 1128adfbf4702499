/* Tokenizers against encodings that others made: llama.cpp's vocabulary cases, swift-transformers' tests,
 * Python's tokenizers library (encodings.json, made by make_encodings.py) and the model goldens. */
#include "text_support.h"

#include "text/pretokenize.h"

static void llama_cpp_cases(const char *gguf, const char *base) {
    char name[256];
    size_t in_length, out_length;
    char *in, *out;
    esp_error error = {0};
    snprintf(name, sizeof name, "data/tokenizers/llama.cpp/%s.gguf.inp", base);
    assert_int_equal(file_read(shared_path_(name, __func__), &in, &in_length, &error), ESP_OK);
    snprintf(name, sizeof name, "data/tokenizers/llama.cpp/%s.gguf.out", base);
    assert_int_equal(file_read(shared_path_(name, __func__), &out, &out_length, &error), ESP_OK);
    tokenizer *t = open_tokenizer(gguf);
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

static void test_llama_cpp(void **state) {
    (void)state;
    static const char *const packed[] = {"ggml-vocab-gpt-2", "ggml-vocab-starcoder"};
    for (int i = 0; i < 2; i++) {
        char name[256];
        snprintf(name, sizeof name, "data/tokenizers/llama.cpp/%s.gguf.gz", packed[i]);
        char *path = unpacked(shared_path_(name, __func__), ".gguf");
        llama_cpp_cases(path, packed[i]);
        remove_and_free(path);
    }
    llama_cpp_cases(SHARED_PATH("data/tokenizers/llama.cpp/ggml-vocab-llama-spm.gguf"),
                    "ggml-vocab-llama-spm");
}

/* One long text with its ids; the first `skip` ids are control tokens that the other library put in front. */
static void swift_text(tokenizer *t, const char *name, size_t skip) {
    json_t *file = load_json(shared_path_(name, __func__));
    const char *text = json_string_value(json_object_get(file, "text"));
    token_list got = {0}, want = {0};
    ids_from_json(json_object_get(file, "token_ids"), skip, &want);
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

static int swift_differs(const tokenizer *t, const token_list *ids, bool keep_special, bool cleaned,
                         const char *want) {
    text_buffer got = {0};
    esp_error error = {0};
    assert_int_equal(tokenizer_decode(t, ids->at, ids->count, keep_special, &got, &error), ESP_OK);
    if (cleaned) clean_up(&got);
    int differs = strcmp(got.at ? got.at : "", want) != 0;
    if (differs) fprintf(stderr, "decoded \"%s\"\nwant    \"%s\"\n", got.at, want);
    text_free(&got);
    return differs;
}

static void swift_rows(tokenizer *t, const char *key, bool cleaned) {
    json_t *file = load_json(SHARED_PATH("data/tokenizers/expected/tokenizer_tests.json")), *row;
    token_list got = {0}, want = {0};
    int wrong = 0;
    size_t i;
    const json_t *rows = json_object_get(file, key);
    assert_true(json_array_size(rows) >= 18);
    json_array_foreach(rows, i, row) {
        const json_t *text = json_object_get(row, "input");
        const char *kept = json_string_value(json_object_get(row, "decoded_with_special"));
        const char *plain = json_string_value(json_object_get(row, "decoded_without_special"));
        ids_from_json(json_object_get(json_object_get(row, "encoded"), "input_ids"), 0, &want);
        got.count = 0;
        if (tokenizer_adds_bos(t)) MEM_LIST_PUSH(&got, tokenizer_bos(t));
        esp_error error = {0};
        assert_int_equal(
            tokenizer_encode(t, json_string_value(text), json_string_length(text), true, &got, &error),
            ESP_OK);
        wrong += ids_differ(json_string_value(text), &got, &want);
        wrong += swift_differs(t, &want, true, cleaned, kept);
        wrong += swift_differs(t, &want, false, cleaned, plain);
    }
    assert_int_equal(wrong, 0);
    MEM_LIST_FREE(&got);
    MEM_LIST_FREE(&want);
    json_decref(file);
}

static void test_swift_transformers(void **state) {
    (void)state;
    char *path = unpacked(SHARED_PATH("data/tokenizers/llama.cpp/ggml-vocab-gpt-2.gguf.gz"), ".gguf");
    tokenizer *gpt2 = open_tokenizer(path), *llama2 = open_tokenizer(SHARED_PATH("data/tokenizers/llama2"));
    swift_text(gpt2, "data/tokenizers/expected/gpt2_encoded_tokens.json", 0);
    swift_text(llama2, "data/tokenizers/expected/llama_encoded.json", 1);
    swift_rows(gpt2, "distilgpt2", true);
    swift_rows(llama2, "coreml-projects/Llama-2-7b-chat-coreml", false);
    tokenizer_close(gpt2);
    tokenizer_close(llama2);
    remove_and_free(path);
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
        ids_from_json(json_object_get(row, "ids"), 0, &want);
        encode(t, bytes, json_string_length(text), false, &got);
        wrong += ids_differ(bytes, &got, &want);
        if (!back) back = text;
        if (!json_is_null(back))
            wrong += text_differs(t, &got, true, json_string_value(back), json_string_length(back));
        if (json_is_null(special)) continue;
        if (special) ids_from_json(special, 0, &want);
        encode(t, bytes, json_string_length(text), true, &got);
        wrong += ids_differ(bytes, &got, &want);
    }
    MEM_LIST_FREE(&got);
    MEM_LIST_FREE(&want);
    return wrong;
}

static void test_python(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"smollm2", "data/tokenizers/smollm2/SmolLM2-135M-Instruct-Tokenizer.json.gz"},
        {"llama2", "data/tokenizers/llama2/tokenizer.json.gz"},
        {"mistral", "data/tokenizers/mistral/tokenizer.json.gz"},
        {"tinystories", "data/models/TinyStories-656K/tokenizer.json"},
    };
    json_t *file = load_json(ESPALIER_SOURCE_DIR "/tests/unit/text/encodings.json");
    for (int i = 0; i < 4; i++) {
        char *alone =
            unpacked(SHARED_PATH(names[i][1]), ".json"); /* without a tokenizer_config.json beside it */
        tokenizer *t = open_tokenizer(alone);
        remove_and_free(alone);
        const json_t *rows = json_object_get(file, names[i][0]);
        assert_true(json_array_size(rows) >= 60);
        int wrong = compare_with_python(t, rows);
        if (wrong) fail_msg("%s: %d differences", names[i][0], wrong);
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
    if (pretokenize(p, w, true, &error) != ESP_OK) fail_msg("%s", error.message);
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

static void golden_texts(tokenizer *t, const char *name, bool all_characters) {
    json_t *file = load_json(shared_path_(name, __func__)), *row;
    token_list got = {0}, want = {0};
    int wrong = 0, rows = 0;
    size_t i;
    static const char *const lists[] = {"score", "greedy"};
    for (int l = 0; l < 2; l++) json_array_foreach(json_object_get(file, lists[l]), i, row) {
            const char *text = json_string_value(json_object_get(row, "text"));
            if (!text) continue;
            ids_from_json(json_object_get(row, "ids"), 0, &want);
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
    tokenizer *smollm2 =
        open_tokenizer(SHARED_PATH("data/tokenizers/smollm2/SmolLM2-135M-Instruct-Tokenizer.json.gz"));
    golden_texts(smollm2, "golden/smollm2-135m.json", true);
    tokenizer_close(smollm2);
    tokenizer *stories = open_tokenizer(SHARED_PATH("data/models/TinyStories-656K"));
    golden_texts(stories, "golden/tinystories-656k.json", false); /* it has no piece for "(", nor bytes */
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
