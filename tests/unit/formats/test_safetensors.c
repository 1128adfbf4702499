#include "base/half.h"
#include "base/random.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/tensor_file.h"
#include "scratch.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

enum { ROWS = 37, COLUMNS = 111 };

static void fill(float *at, int64_t n, uint64_t seed) {
    for (int64_t i = 0; i < n; i++) at[i] = (float)rng_normal(rng_key(seed), (uint64_t)i);
}

static const safetensors_spec SPECS[] = {
    {"half \"quoted\" \xc3\xa9", TENSOR_BF16, 2, {ROWS, COLUMNS}}, /* an odd number of two-byte elements */
    {"full", TENSOR_F32, 2, {ROWS, COLUMNS}},
    {"scalar", TENSOR_F32, 0, {0}},
    {"nothing", TENSOR_F32, 2, {0, 5}},
    {"ieee", TENSOR_F16, 1, {ROWS * COLUMNS}},
};
enum { SPEC_COUNT = sizeof SPECS / sizeof *SPECS };

static const char *write_sample(const char *name, const float *data) {
    const char *path = scratch_path(name);
    safetensors_writer *w;
    esp_error e = {0};
    ASSERT_OK(safetensors_write_begin(&w, path, SPECS, SPEC_COUNT, &e), &e);
    float scalar = 4.5f;
    /* in pieces, and two tensors by turns */
    for (int64_t i = 0; i < ROWS; i++) {
        ASSERT_OK(safetensors_write_floats(w, 0, data + i * COLUMNS, COLUMNS, &e), &e);
        ASSERT_OK(safetensors_write_floats(w, 1, data + i * COLUMNS, COLUMNS, &e), &e);
    }
    ASSERT_OK(safetensors_write_floats(w, 4, data, ROWS * COLUMNS, &e), &e);
    ASSERT_OK(safetensors_write_floats(w, 2, &scalar, 1, &e), &e);
    ASSERT_OK(safetensors_write_end(w, &e), &e);
    return path;
}

static void what_is_written_is_read(void **state) {
    (void)state;
    float data[ROWS * COLUMNS], back[ROWS * COLUMNS];
    fill(data, ROWS * COLUMNS, 1);
    const char *path = write_sample("round.safetensors", data);
    tensor_source *s;
    esp_error e = {0};
    ASSERT_OK(tensor_source_open(&s, path, &e), &e);
    assert_int_equal(tensor_source_count(s), SPEC_COUNT);
    assert_null(tensor_source_gguf(s));
    assert_null(tensor_source_find(s, "absent"));
    for (int k = 0; k < SPEC_COUNT; k++) {
        const tensor_entry *t = tensor_source_find(s, SPECS[k].name);
        assert_non_null(t);
        assert_int_equal(t->type, SPECS[k].type);
        assert_int_equal(t->rank, SPECS[k].rank);
        assert_memory_equal(t->shape, SPECS[k].shape, sizeof t->shape);
        assert_int_equal((uintptr_t)t->bytes % (t->type == TENSOR_F32 ? 4 : 2), 0);
        int64_t n = tensor_elements(t);
        ASSERT_OK(tensor_read_f32(t, 0, n, back, &e), &e);
        for (int64_t i = 0; i < n; i++) {
            float wanted = k == 2                   ? 4.5f
                           : t->type == TENSOR_BF16 ? bf16_to_f32(bf16_from_f32(data[i]))
                           : t->type == TENSOR_F16  ? f16_to_f32(f16_from_f32(data[i]))
                                                    : data[i];
            assert_true(back[i] == wanted);
        }
        if (n <= 1) continue;
        ASSERT_OK(tensor_read_f32(t, 5, 7, back + 100, &e), &e);
        assert_memory_equal(back + 5, back + 100, 7 * sizeof *back);
        ASSERT_FAILED(tensor_read_f32(t, n - 3, 4, back, &e), &e, "round.safetensors", t->name);
    }
    tensor_source_close(s);

    /* the header as other readers want it: padded to 8, metadata first */
    char *bytes;
    size_t length;
    assert_int_equal(file_read(path, &bytes, &length, NULL), ESP_OK);
    uint64_t header;
    memcpy(&header, bytes, 8);
    assert_int_equal(header % 8, 0);
    assert_memory_equal(bytes + 8, "{\"__metadata__\":{\"format\":\"pt\"},", 32);
    mem_free(bytes);
}

static void a_real_model_opens(void **state) {
    (void)state;
    const char *folder = TEST_DATA "/models/tinystories-656k";
    tensor_source *s;
    esp_error e = {0};
    ASSERT_OK(tensor_source_open(&s, folder, &e), &e);
    assert_true(tensor_source_count(s) > 10);
    int64_t parameters = 0;
    for (int64_t i = 0; i < tensor_source_count(s); i++) {
        const tensor_entry *t = tensor_source_at(s, i);
        assert_ptr_equal(tensor_source_find(s, t->name), t);
        parameters += tensor_elements(t);
    }
    assert_in_range(parameters, 600000, 700000);
    const tensor_entry *norm = tensor_source_find(s, "model.norm.weight");
    assert_non_null(norm);
    float out[4096], sum = 0;
    ASSERT_OK(tensor_read_f32(norm, 0, tensor_elements(norm), out, &e), &e);
    for (int64_t i = 0; i < tensor_elements(norm); i++) sum += out[i];
    assert_true(sum / (float)tensor_elements(norm) > 0.1f && sum / (float)tensor_elements(norm) < 10.0f);
    tensor_source_close(s);
}

/* Cut at `cuts` places, shortest last, each must fail with a message and name the file. */
static void cut_everywhere(const char *path, size_t length, int cuts) {
    for (int i = 1; i <= cuts; i++) {
        size_t n = length - (length * (size_t)i + (size_t)cuts - 1) / (size_t)cuts;
        assert_int_equal(truncate(path, (off_t)n), 0);
        tensor_source *s = NULL;
        esp_error e = {0};
        ASSERT_FAILED(tensor_source_open(&s, path, &e), &e, path);
        assert_true(e.hint[0] != '\0');
        assert_null(s);
    }
}

static void a_cut_file_fails(void **state) {
    (void)state;
    float data[ROWS * COLUMNS];
    fill(data, ROWS * COLUMNS, 2);
    const char *path = write_sample("cut.safetensors", data);
    char *bytes;
    size_t length;
    assert_int_equal(file_read(path, &bytes, &length, NULL), ESP_OK);
    cut_everywhere(path, length, 500);
    scratch_write("cut.safetensors", bytes, length - 1);
    mem_free(bytes);
    tensor_source *s;
    esp_error e = {0};
    char found[32], expected[32];
    snprintf(expected, sizeof expected, "%d bytes expected", ROWS * COLUMNS * 2);
    snprintf(found, sizeof found, "%d found", ROWS * COLUMNS * 2 - 1);
    ASSERT_FAILED(tensor_source_open(&s, path, &e), &e, "\"ieee\"", "cut off", expected, found);

    const char *real = TEST_DATA "/models/tinystories-656k/model.safetensors";
    assert_int_equal(file_read(real, &bytes, &length, NULL), ESP_OK);
    path = scratch_write("cut-real.safetensors", bytes, length);
    mem_free(bytes);
    cut_everywhere(path, length, 200);
}

static void assert_header_fails(const char *header, size_t data, const char *part) {
    uint64_t length = strlen(header);
    char bytes[2048] = {0};
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    const char *path = scratch_write("bad.safetensors", bytes, 8 + length + data);
    tensor_source *s = NULL;
    esp_error e = {0};
    if (!part) {
        ASSERT_OK(tensor_source_open(&s, path, &e), &e);
        tensor_source_close(s);
    } else {
        ASSERT_FAILED(tensor_source_open(&s, path, &e), &e, "bad.safetensors", part);
    }
}

static void damaged_headers_fail(void **state) {
    (void)state;
#define T(dtype, shape, place) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" place "}"
    assert_header_fails("{}", 0, NULL);
    assert_header_fails("{\"__metadata__\":{\"x\":\"y\"},\"a\":" T("F32", "[2]", "[0,8]") "}   ", 8, NULL);
    assert_header_fails("{\"a\":" T("I64", "[1]", "[0,8]") ",\"b\":" T("BOOL", "[3,1]", "[8,11]") "}", 11,
                        NULL);
    assert_header_fails("[]", 0, "object");
    assert_header_fails("{\"a\":", 0, "not JSON");
    assert_header_fails("{\"a\":7}", 0, "\"a\"");
    assert_header_fails("{\"a\":" T("F32", "[2]", "[0,8]") ",\"a\":" T("F32", "[2]", "[0,8]") "}", 8,
                        "duplicate");
    assert_header_fails("{\"a\":" T("F31", "[2]", "[0,8]") "}", 8, "\"F31\"");
    assert_header_fails("{\"a\":" T("Q4_K", "[256]", "[0,144]") "}", 144, "\"Q4_K\"");
    assert_header_fails("{\"a\":" T("F32", "[-2]", "[0,8]") "}", 8, "not a size");
    assert_header_fails("{\"a\":" T("F32", "[2.0]", "[0,8]") "}", 8, "not a size");
    assert_header_fails("{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]") "}", 8, "shape");
    assert_header_fails("{\"a\":" T("F32", "[4611686018427387904,4]", "[0,8]") "}", 8, "impossible shape");
    assert_header_fails("{\"a\":" T("F32", "[2]", "[0,9]") "}", 9,
                        "takes 8 bytes, its \"data_offsets\" give 9");
    assert_header_fails("{\"a\":" T("F32", "[2]", "[8,0]") "}", 8, "growing");
    assert_header_fails("{\"a\":" T("F32", "[2]", "[0]") "}", 8, "growing");
    assert_header_fails("{\"a\":" T("F32", "[2]", "[4,12]") "}", 12, "without gaps");
    assert_header_fails("{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[2]", "[4,12]") "}", 12,
                        "without gaps");
    assert_header_fails("{\"a\":" T("F32", "[2]", "[0,8]") "}", 9, "after the last tensor");
    assert_header_fails("{\"a\":" T("F32", "[2]", "[0,8]") "}", 5, "8 bytes expected, 5 found");

    uint64_t huge = UINT64_MAX;
    const char *path = scratch_write("bad.safetensors", &huge, 8);
    tensor_source *s;
    esp_error e = {0};
    ASSERT_FAILED(tensor_source_open(&s, path, &e), &e, "18446744073709551615");
    ASSERT_FAILED(tensor_source_open(&s, scratch_write("empty.safetensors", "", 0), &e), &e,
                  "empty.safetensors", "has 0");
    ASSERT_FAILED(tensor_source_open(&s, scratch_path("none.safetensors"), &e), &e, "none.safetensors");
    ASSERT_FAILED(tensor_source_open(&s, scratch_folder, &e), &e, scratch_folder,
                  "model.safetensors.index.json");
}

static void integers_are_listed_but_not_read(void **state) {
    (void)state;
    const char *header = "{\"ids\":" T("I64", "[1]", "[0,8]") "}";
    uint64_t length = strlen(header);
    char bytes[256] = {0};
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    tensor_source *s;
    esp_error e = {0};
    ASSERT_OK(tensor_source_open(&s, scratch_write("ids.safetensors", bytes, 16 + length), &e), &e);
    float out;
    ASSERT_FAILED(tensor_read_f32(tensor_source_at(s, 0), 0, 1, &out, &e), &e, "ids.safetensors", "\"ids\"",
                  "I64");
    tensor_source_close(s);
}

static void write_shard(const char *path, const safetensors_spec *spec, const float *data) {
    safetensors_writer *w;
    esp_error e = {0};
    ASSERT_OK(safetensors_write_begin(&w, path, spec, 1, &e), &e);
    ASSERT_OK(safetensors_write_floats(w, 0, data, ROWS * COLUMNS, &e), &e);
    ASSERT_OK(safetensors_write_end(w, &e), &e);
}

static void shards_are_one_source(void **state) {
    (void)state;
    float data[2][ROWS * COLUMNS], back[ROWS * COLUMNS];
    fill(data[0], ROWS * COLUMNS, 5);
    fill(data[1], ROWS * COLUMNS, 6);
    const safetensors_spec a = {"z.first", TENSOR_F32, 2, {ROWS, COLUMNS}},
                           b = {"a.second", TENSOR_F32, 1, {ROWS * COLUMNS}};
    assert_int_equal(folder_make(scratch_path("sharded"), NULL), ESP_OK);
    write_shard(scratch_path("sharded/model-00001-of-00002.safetensors"), &a, data[0]);
    write_shard(scratch_path("sharded/model-00002-of-00002.safetensors"), &b, data[1]);
    static const char INDEX[] = "{\"metadata\":{\"total_size\":1},\"weight_map\":{"
                                "\"z.first\":\"model-00001-of-00002.safetensors\",\"a.second\":\"%s\"%s}}";
    char index[512];
    const char *name = "sharded/model.safetensors.index.json", *second = "model-00002-of-00002.safetensors";
    scratch_write(name, index, (size_t)snprintf(index, sizeof index, INDEX, second, ""));
    tensor_source *s;
    esp_error e = {0};
    ASSERT_OK(tensor_source_open(&s, scratch_path("sharded"), &e), &e);
    assert_int_equal(tensor_source_count(s), 2);
    assert_string_equal(tensor_source_at(s, 0)->name, "a.second");
    ASSERT_OK(tensor_read_f32(tensor_source_find(s, "z.first"), 0, ROWS * COLUMNS, back, &e), &e);
    assert_memory_equal(back, data[0], sizeof back);
    ASSERT_OK(tensor_read_f32(tensor_source_find(s, "a.second"), 0, ROWS * COLUMNS, back, &e), &e);
    assert_memory_equal(back, data[1], sizeof back);
    tensor_source_close(s);

    scratch_write(name, index,
                  (size_t)snprintf(index, sizeof index, INDEX, second,
                                   ",\"lost\":\"model-00001-of-00002.safetensors\""));
    ASSERT_FAILED(tensor_source_open(&s, scratch_path("sharded"), &e), &e, "\"lost\"",
                  "model-00001-of-00002.safetensors");
    scratch_write(name, index, (size_t)snprintf(index, sizeof index, INDEX, "absent.safetensors", ""));
    ASSERT_FAILED(tensor_source_open(&s, scratch_path("sharded"), &e), &e, "index.json",
                  "absent.safetensors");
    scratch_write(name, index, (size_t)snprintf(index, sizeof index, INDEX, "../round.safetensors", ""));
    ASSERT_FAILED(tensor_source_open(&s, scratch_path("sharded"), &e), &e, "../round.safetensors");
    scratch_write(name, "{\"weight_map\": []}", 18);
    ASSERT_FAILED(tensor_source_open(&s, scratch_path(name), &e), &e, "weight_map");
}

static void misuse_of_the_writer_fails(void **state) {
    (void)state;
    int before = scratch_count();
    safetensors_writer *w;
    float data[8] = {0};
    esp_error e = {0};
    const safetensors_spec specs[] = {
        {"a", TENSOR_F32, 1, {4}}, {"b", TENSOR_F32, 1, {4}}, {"b", TENSOR_F32, 1, {4}}};
    const safetensors_spec quantized = {"q", TENSOR_Q8_0, 1, {32}};
    const char *path = scratch_path("unfinished.safetensors");
    ASSERT_FAILED(safetensors_write_begin(&w, path, specs, 3, &e), &e, "\"b\"", "twice");
    ASSERT_FAILED(safetensors_write_begin(&w, path, &quantized, 1, &e), &e, "\"q\"");
    ASSERT_OK(safetensors_write_begin(&w, path, specs, 2, &e), &e);
    ASSERT_FAILED(safetensors_write_floats(w, 0, data, 5, &e), &e, "\"a\"");
    ASSERT_FAILED(safetensors_write_floats(w, 2, data, 1, &e), &e, "unfinished");
    ASSERT_OK(safetensors_write_floats(w, 0, data, 4, &e), &e);
    ASSERT_FAILED(safetensors_write_end(w, &e), &e, "\"b\"", "0 of its 4");
    assert_int_equal(scratch_count(), before);
}

/* A limit on the size of files simulates a full disk: write(2) fails in both cases. */
static void a_full_disk_leaves_the_old_file(void **state) {
    (void)state;
    float data[ROWS * COLUMNS];
    fill(data, ROWS * COLUMNS, 9);
    const char *path = write_sample("kept.safetensors", data);
    int before = scratch_count();
    char *old, *now;
    size_t n, m;
    assert_int_equal(file_read(path, &old, &n, NULL), ESP_OK);

    struct rlimit limit, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 5000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    safetensors_writer *w;
    esp_error e = {0};
    esp_status status = safetensors_write_begin(&w, path, SPECS, SPEC_COUNT, &e);
    if (status == ESP_OK) status = safetensors_write_floats(w, 1, data, ROWS * COLUMNS, &e);
    if (status != ESP_OK) safetensors_write_abort(w);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ASSERT_FAILED(status, &e, "kept.safetensors", "cannot write");

    assert_int_equal(scratch_count(), before);
    assert_int_equal(file_read(path, &now, &m, NULL), ESP_OK);
    assert_int_equal(n, m);
    assert_memory_equal(old, now, n);
    mem_free(old);
    mem_free(now);
    ASSERT_FAILED(safetensors_write_begin(&w, scratch_path("no/such/folder/x"), SPECS, SPEC_COUNT, &e), &e,
                  "no/such/folder/x");
}

/* A number that a reader would refuse is not written, nor one that its type cannot hold. */
static void what_is_not_finite_is_not_written(void **state) {
    (void)state;
    const struct {
        tensor_type type;
        float number;
        bool fits;
    } cases[] = {{TENSOR_F32, -INFINITY, false}, {TENSOR_F32, 3.4e38f, true},   {TENSOR_BF16, 3.4e38f, false},
                 {TENSOR_BF16, NAN, false},      {TENSOR_BF16, -3.3e38f, true}, {TENSOR_F16, 70000, false},
                 {TENSOR_F16, -65504, true}};
    enum { N = 9000, AT = 8500 };
    static float data[N];
    int before = scratch_count();
    const char *path = scratch_path("numbers.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const safetensors_spec specs = {"numbers", cases[i].type, 1, {N}};
        safetensors_writer *w;
        esp_error e = {0};
        data[AT] = cases[i].number;
        ASSERT_OK(safetensors_write_begin(&w, path, &specs, 1, &e), &e);
        ASSERT_OK(safetensors_write_floats(w, 0, data, 100, &e), &e);
        esp_status status = safetensors_write_floats(w, 0, data + 100, N - 100, &e);
        if (cases[i].fits)
            ASSERT_OK(status, &e);
        else
            ASSERT_FAILED(status, &e, "numbers.safetensors", "\"numbers\"", "element 8500 ", "finite");
        safetensors_write_abort(w);
    }
    assert_int_equal(scratch_count(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_real_model_opens),
        cmocka_unit_test(a_cut_file_fails),
        cmocka_unit_test(damaged_headers_fail),
        cmocka_unit_test(integers_are_listed_but_not_read),
        cmocka_unit_test(shards_are_one_source),
        cmocka_unit_test(misuse_of_the_writer_fails),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(what_is_not_finite_is_not_written),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
