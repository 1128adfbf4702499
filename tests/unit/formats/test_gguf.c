#include "base/random.h"
#include "formats/gguf.h"
#include "formats/tensor_file.h"
#include "scratch.h"

#include <zlib.h>

/* Ids of the GGUF specification. */
enum { U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, LIST, U64, I64, F64 };
enum { TYPE_F32 = 0, TYPE_Q8_0 = 8 };

static void put(text_buffer *b, const void *bytes, size_t n) {
    text_append(b, bytes, n);
}
static void put_u32(text_buffer *b, uint32_t x) {
    put(b, &x, sizeof x);
}
static void put_u64(text_buffer *b, uint64_t x) {
    put(b, &x, sizeof x);
}
static void put_text(text_buffer *b, const char *text) {
    put_u64(b, strlen(text));
    text_puts(b, text);
}
static void put_key(text_buffer *b, const char *key, uint32_t type) {
    put_text(b, key);
    put_u32(b, type);
}
static void put_list(text_buffer *b, const char *key, uint32_t type, uint64_t count) {
    put_key(b, key, LIST);
    put_u32(b, type);
    put_u64(b, count);
}
static void put_head(text_buffer *b, uint32_t version, uint64_t tensors, uint64_t keys) {
    text_puts(b, "GGUF");
    put_u32(b, version);
    put_u64(b, tensors);
    put_u64(b, keys);
}
static void put_tensor(text_buffer *b, const char *name, uint32_t type, uint64_t in, uint64_t out,
                       uint64_t offset) {
    put_text(b, name);
    put_u32(b, out ? 2 : 1);
    put_u64(b, in);
    if (out) put_u64(b, out);
    put_u32(b, type);
    put_u64(b, offset);
}
static void pad(text_buffer *b, size_t alignment) {
    while (b->length % alignment) text_append(b, "", 1);
}

/* One value of each kind, two tensors: w [3, 2] F32 = 0..5, q [64] Q8_0 with d = 1 and q = i. */
static void put_sample(text_buffer *b, uint32_t version) {
    put_head(b, version, 2, 13);
    put_key(b, "general.alignment", U32), put_u32(b, 64);
    put_key(b, "u8", U8), put(b, "\xc8", 1);
    put_key(b, "i8", I8), put(b, "\xc8", 1);
    put_key(b, "i16", I16), put(b, "\xfe\xff", 2);
    put_key(b, "i32", I32), put_u32(b, UINT32_MAX);
    put_key(b, "u64", U64), put_u64(b, UINT64_MAX);
    put_key(b, "i64", I64), put_u64(b, UINT64_MAX);
    put_key(b, "f32", F32), put(b, &(float){0.1f}, 4);
    put_key(b, "f64", F64), put(b, &(double){0.1}, 8);
    put_key(b, "yes", BOOL), put(b, "\1", 1);
    put_key(b, "text", TEXT), put_text(b, "h\xc3\xa9");
    put_list(b, "texts", TEXT, 3), put_text(b, "one"), put_text(b, ""), put_text(b, "three");
    put_list(b, "floats", F32, 2), put(b, (float[]){0.5f, -1.0f}, 8);
    put_tensor(b, "w", TYPE_F32, 2, 3, 128); /* in another order than the data */
    put_tensor(b, "q", TYPE_Q8_0, 64, 0, 0);
    pad(b, 64);
    for (int block = 0; block < 2; block++) {
        put(b, "\x00\x3c", 2);
        for (int i = 0; i < 32; i++) put(b, &(int8_t){(int8_t)(block * 32 + i)}, 1);
    }
    pad(b, 64);
    for (int i = 0; i < 6; i++) put(b, &(float){(float)i}, 4);
}

static void values_of_every_kind(void **state) {
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        text_buffer b = {0};
        put_sample(&b, version);
        const char *path = scratch_write("sample.gguf", b.at, b.length);
        text_free(&b);
        gguf_file *g;
        esp_error e = {0};
        ASSERT_OK(gguf_open(&g, path, &e), &e);
        static const struct {
            const char *key;
            int64_t value;
        } INTEGERS[] = {{"u8", 200}, {"i8", -56}, {"i16", -2},
                        {"i32", -1}, {"i64", -1}, {"general.alignment", 64}};
        int64_t i;
        double d;
        bool yes;
        const char *text;
        gguf_list list;
        for (size_t k = 0; k < sizeof INTEGERS / sizeof *INTEGERS; k++) {
            ASSERT_OK(gguf_need_integer(g, INTEGERS[k].key, &i, &e), &e);
            assert_int_equal(i, INTEGERS[k].value);
        }
        ASSERT_FAILED(gguf_need_integer(g, "u64", &i, &e), &e, "\"u64\"", "2^63");
        ASSERT_OK(gguf_need_number(g, "u64", &d, &e), &e);
        assert_true(d == 18446744073709551616.0);
        ASSERT_OK(gguf_need_number(g, "f32", &d, &e), &e);
        assert_true(d == (double)0.1f);
        ASSERT_OK(gguf_need_number(g, "f64", &d, &e), &e);
        assert_true(d == 0.1);
        ASSERT_OK(gguf_need_bool(g, "yes", &yes, &e), &e);
        assert_true(yes);
        ASSERT_OK(gguf_need_string(g, "text", &text, &e), &e);
        assert_string_equal(text, "h\xc3\xa9");
        ASSERT_OK(gguf_need_texts(g, "texts", &list, &e), &e);
        assert_int_equal(list.count, 3);
        size_t n;
        text = gguf_text_at(&list, 2, &n);
        assert_int_equal(n, 5);
        assert_memory_equal(text, "three", 5);
        gguf_text_at(&list, 1, &n);
        assert_int_equal(n, 0);
        ASSERT_OK(gguf_need_numbers(g, "floats", &list, &e), &e);
        assert_true(list.count == 2 && gguf_number_at(&list, 0) == 0.5 && gguf_number_at(&list, 1) == -1.0);

        assert_false(gguf_has(g, "absent"));
        ASSERT_FAILED(gguf_need_integer(g, "absent", &i, &e), &e, "sample.gguf", "\"absent\"", "missing");
        ASSERT_FAILED(gguf_need_integer(g, "f32", &i, &e), &e, "\"f32\"", "an integer", "found f32");
        ASSERT_FAILED(gguf_need_integer(g, "yes", &i, &e), &e, "\"yes\"");
        ASSERT_FAILED(gguf_need_integers(g, "floats", &list, &e), &e, "\"floats\"", "list of f32");
        ASSERT_FAILED(gguf_need_texts(g, "floats", &list, &e), &e, "\"floats\"");
        ASSERT_FAILED(gguf_need_numbers(g, "texts", &list, &e), &e, "\"texts\"");
        ASSERT_FAILED(gguf_need_string(g, "texts", &text, &e), &e, "\"texts\"", "a text");
        gguf_close(g);
    }
}

static void tensors_through_the_source(void **state) {
    (void)state;
    text_buffer b = {0};
    put_sample(&b, 3);
    tensor_source *s;
    esp_error e = {0};
    ASSERT_OK(tensor_source_open(&s, scratch_write("no-suffix", b.at, b.length), &e), &e);
    text_free(&b);
    assert_non_null(tensor_source_gguf(s));
    assert_int_equal(tensor_source_count(s), 2);
    float out[64];
    const tensor_entry *t = tensor_source_find(s, "w");
    assert_true(t->rank == 2 && t->shape[0] == 3 && t->shape[1] == 2); /* [out, in] */
    ASSERT_OK(tensor_read_f32(t, 0, 6, out, &e), &e);
    for (int i = 0; i < 6; i++) assert_true(out[i] == (float)i);
    t = tensor_source_find(s, "q");
    ASSERT_OK(tensor_read_f32(t, 32, 32, out, &e), &e);
    for (int i = 0; i < 32; i++) assert_true(out[i] == (float)(32 + i));
    tensor_source_close(s);
}

static void every_cut_fails(void **state) {
    (void)state;
    text_buffer b = {0};
    put_sample(&b, 3);
    const char *path = scratch_write("cut.gguf", b.at, b.length);
    for (size_t n = b.length; n-- > 0;) {
        assert_int_equal(truncate(path, (off_t)n), 0);
        tensor_source *s = NULL;
        esp_error e = {0};
        ASSERT_FAILED(tensor_source_open(&s, path, &e), &e, "cut.gguf");
        assert_true(e.hint[0] != '\0');
        assert_null(s);
        if (n == b.length - 1) ASSERT_FAILED(ESP_FAILED, &e, "\"w\"", "24 bytes expected", "23 found");
    }
    text_free(&b);
}

/* Any one byte changed may give another valid file or an error, but never a wild read. */
static void changed_bytes_do_no_harm(void **state) {
    (void)state;
    text_buffer b = {0};
    put_sample(&b, 3);
    for (size_t i = 0; i < b.length; i++) {
        char kept = b.at[i];
        b.at[i] = (char)(kept ^ (char)(1 << rng_below(rng_key(1), i, 8)));
        tensor_source *s = NULL;
        esp_error e = {0};
        esp_status status = tensor_source_open(&s, scratch_write("changed.gguf", b.at, b.length), &e);
        assert_true(status == ESP_OK ? s != NULL : s == NULL && e.message[0] != '\0');
        tensor_source_close(s);
        b.at[i] = kept;
    }
    text_free(&b);
}

static void assert_fails(text_buffer *b, const char *part) {
    tensor_source *s = NULL;
    esp_error e = {0};
    ASSERT_FAILED(tensor_source_open(&s, scratch_write("bad.gguf", b->at, b->length), &e), &e, "bad.gguf",
                  part);
    text_clear(b);
}

static void damaged_files_fail(void **state) {
    (void)state;
    text_buffer b = {0};
    text_puts(&b, "GGML and more bytes, more, more"), assert_fails(&b, "not a GGUF file");
    put_head(&b, 1, 0, 0), assert_fails(&b, "version 1");
    put_head(&b, 0x03000000, 0, 0), assert_fails(&b, "big-endian");
    put_head(&b, 3, 0, UINT64_MAX), assert_fails(&b, "18446744073709551615 keys");
    put_head(&b, 3, UINT64_MAX / 2, 0), assert_fails(&b, "tensors");
    put_head(&b, 3, 0, 1), put_u64(&b, UINT64_MAX), text_puts(&b, "key and more"), assert_fails(&b, "a key");
    put_head(&b, 3, 0, 1), put_key(&b, "k", 13), put_u64(&b, 0), assert_fails(&b, "\"k\"");
    put_head(&b, 3, 0, 1), put_key(&b, "", U64), put_u64(&b, 0), put_u64(&b, 0), assert_fails(&b, "empty");
    put_head(&b, 3, 0, 1), put_list(&b, "k", TEXT, UINT64_MAX / 8), assert_fails(&b, "k");
    put_head(&b, 3, 0, 1), put_list(&b, "k", F64, UINT64_MAX / 8 + 2), put_u64(&b, 0), assert_fails(&b, "k");
    put_head(&b, 3, 0, 1), put_list(&b, "k", LIST, 1), put_u64(&b, 0), assert_fails(&b, "\"k\" is a list of");
    put_head(&b, 3, 0, 2), put_key(&b, "k", U32), put_u32(&b, 1), put_key(&b, "k", U32), put_u32(&b, 1);
    assert_fails(&b, "\"k\" occurs twice");
    put_head(&b, 3, 0, 1), put_key(&b, "general.alignment", U32), put_u32(&b, 0),
        assert_fails(&b, "power of two");
    put_head(&b, 3, 0, 1), put_key(&b, "general.alignment", U32), put_u32(&b, 48),
        assert_fails(&b, "power of two");
    put_head(&b, 3, 0, 1), put_key(&b, "general.alignment", TEXT), put_text(&b, "x"),
        assert_fails(&b, "an integer");

    put_head(&b, 3, 1, 0), put_tensor(&b, "t", 99, 4, 0, 0), pad(&b, 32), pad(&b, 4096),
        assert_fails(&b, "GGUF type 99");
    put_head(&b, 3, 1, 0), put_tensor(&b, "t", TYPE_Q8_0, 33, 0, 0), pad(&b, 4096),
        assert_fails(&b, "a row of 33");
    put_head(&b, 3, 1, 0), put_tensor(&b, "t", TYPE_F32, UINT64_MAX, 0, 0), pad(&b, 4096),
        assert_fails(&b, "impossible shape");
    put_head(&b, 3, 1, 0), put_tensor(&b, "t", TYPE_F32, 1ull << 62, 4, 0), pad(&b, 4096),
        assert_fails(&b, "impossible shape");
    put_head(&b, 3, 1, 0), put_tensor(&b, "t", TYPE_F32, 4, 0, 4), pad(&b, 4096),
        assert_fails(&b, "multiple of the alignment");
    put_head(&b, 3, 1, 0), put_tensor(&b, "t", TYPE_F32, 4, 0, UINT64_MAX - 31), pad(&b, 4096),
        assert_fails(&b, "cut off");
    put_head(&b, 3, 2, 0), put_tensor(&b, "t", TYPE_F32, 4, 0, 0), put_tensor(&b, "t", TYPE_F32, 4, 0, 32),
        pad(&b, 4096);
    assert_fails(&b, "\"t\" occurs twice");
    put_head(&b, 3, 2, 0), put_tensor(&b, "t", TYPE_F32, 40, 0, 0), put_tensor(&b, "u", TYPE_F32, 4, 0, 32),
        pad(&b, 4096);
    assert_fails(&b, "overlap");
    put_head(&b, 3, 1, 0), put_text(&b, "t"), put_u32(&b, 5), pad(&b, 4096), assert_fails(&b, "5 dimensions");
    text_free(&b);
}

static void a_real_vocabulary_opens(void **state) {
    (void)state;
    static char bytes[1 << 20];
    gzFile packed = gzopen(TEST_DATA "/tokenizers/mistral/vocabulary.gguf.gz", "rb");
    assert_non_null(packed);
    size_t length = (size_t)gzread(packed, bytes, sizeof bytes);
    assert_in_range(length, 500000, sizeof bytes - 1);
    gzclose(packed);
    const char *path = scratch_write("vocabulary.gguf", bytes, length);
    gguf_file *g;
    esp_error e = {0};
    ASSERT_OK(gguf_open(&g, path, &e), &e);
    const char *text;
    gguf_list tokens, scores, types;
    ASSERT_OK(gguf_need_string(g, "general.architecture", &text, &e), &e);
    assert_string_equal(text, "llama");
    ASSERT_OK(gguf_need_texts(g, "tokenizer.ggml.tokens", &tokens, &e), &e);
    ASSERT_OK(gguf_need_numbers(g, "tokenizer.ggml.scores", &scores, &e), &e);
    ASSERT_OK(gguf_need_integers(g, "tokenizer.ggml.token_type", &types, &e), &e);
    assert_true(tokens.count == 32000 && scores.count == 32000 && types.count == 32000);
    size_t n;
    text = gguf_text_at(&tokens, 1, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(text, "<s>", 3);
    assert_int_equal(gguf_integer_at(&types, 1), 3);      /* control */
    assert_int_equal(gguf_integer_at(&types, 3 + 65), 6); /* byte */
    assert_true(gguf_number_at(&scores, 31999) < gguf_number_at(&scores, 300));
    gguf_close(g);
    for (size_t i = 1; i <= 200; i++) {
        assert_int_equal(truncate(path, (off_t)((length - 64) * (200 - i) / 200)), 0);
        ASSERT_FAILED(gguf_open(&g, path, &e), &e, "vocabulary.gguf");
    }
}

static void unpermuting_is_the_inverse(void **state) {
    (void)state;
    enum { HEADS = 3, DIM = 8, COLUMNS = 5, N = HEADS * DIM * COLUMNS };
    float source[N], stored[N];
    for (int i = 0; i < N; i++) source[i] = (float)i;
    /* the converter: [heads, 2, DIM/2, columns] with the two middle axes exchanged */
    for (int h = 0; h < HEADS; h++)
        for (int j = 0; j < 2; j++)
            for (int i = 0; i < DIM / 2; i++)
                memcpy(stored + ((h * DIM / 2 + i) * 2 + j) * COLUMNS,
                       source + ((h * 2 + j) * DIM / 2 + i) * COLUMNS, COLUMNS * sizeof *source);
    assert_memory_not_equal(stored, source, sizeof source);
    for (int64_t r = 0; r < HEADS * DIM; r++)
        assert_memory_equal(source + r * COLUMNS, stored + gguf_source_row(r, DIM) * COLUMNS,
                            COLUMNS * sizeof *source);
    gguf_unpermute_rows(stored, HEADS, DIM, COLUMNS);
    assert_memory_equal(stored, source, sizeof source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind),
        cmocka_unit_test(tensors_through_the_source),
        cmocka_unit_test(every_cut_fails),
        cmocka_unit_test(changed_bytes_do_no_harm),
        cmocka_unit_test(damaged_files_fail),
        cmocka_unit_test(a_real_vocabulary_opens),
        cmocka_unit_test(unpermuting_is_the_inverse),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
