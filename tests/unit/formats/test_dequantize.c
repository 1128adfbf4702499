/* GGUF's block formats against floats from the reference implementation (see make_dequantize_vectors.py). */
#include "formats/json.h"
#include "formats/tensor.h"
#include "scratch.h"

#include "base/half.h"

#include <math.h>

static size_t unhex(const char *hex, uint8_t *out) {
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return n;
}

static void check_type(const char *name, const json_t *vectors) {
    const json_t *bits = json_object_get(vectors, "float_bits");
    int64_t n = (int64_t)json_array_size(bits), block;
    uint8_t bytes[4096];
    tensor_entry t = {.name = name,
                      .rank = 1,
                      .shape = {n},
                      .bytes = bytes + 1,
                      .file = "vectors"}; /* unaligned, on purpose */
    assert_true(tensor_type_by_name(name, &t.type));
    t.length = unhex(json_string_value(json_object_get(vectors, "bytes")), bytes + 1);
    block = tensor_type_block(t.type);
    int64_t elements;
    size_t size;
    assert_true(tensor_size(t.type, 1, t.shape, &elements, &size));
    assert_int_equal(size, t.length);
    assert_true(n >= 2 * block);

    float *out = MEM_ARRAY(float, n);
    esp_error e = {0};
    ASSERT_OK(tensor_read_f32(&t, 0, n, out, &e), &e);
    for (int64_t i = 0; i < n; i++) {
        double wanted = f32_from_bits((uint32_t)json_integer_value(json_array_get(bits, (size_t)i)));
        if (fabs(out[i] - wanted) > 1e-6 * fabs(wanted))
            fail_msg("%s[%lld]: %.9g, not %.9g", name, (long long)i, out[i], wanted);
    }
    float *part = MEM_ARRAY(float, block);
    ASSERT_OK(tensor_read_f32(&t, block, block, part, &e), &e);
    assert_memory_equal(part, out + block, (size_t)block * sizeof *part);
    ASSERT_FAILED(tensor_read_f32(&t, 1, block, part, &e), &e, "vectors", name, "blocks");
    ASSERT_FAILED(tensor_read_f32(&t, n - block, 2 * block, part, &e), &e, "vectors", name);
    mem_free(part);
    mem_free(out);
}

static void equal_to_the_reference(void **state) {
    (void)state;
    json_t *all, *vectors;
    esp_error e = {0};
    ASSERT_OK(json_read_file(ESPALIER_SOURCE_DIR "/tests/unit/formats/dequantize_vectors.json", &all, &e),
              &e);
    assert_int_equal(json_object_size(all), 8);
    const char *name;
    json_object_foreach(all, name, vectors) check_type(name, vectors);
    json_decref(all);
}

/* Sets one number, or the scale of one block, to `half` or `single`: every type must refuse the tensor. */
static void check_not_finite(const char *name, int at_byte, bool single, uint32_t bits, int64_t wrong) {
    enum { BLOCKS = 40000 };
    tensor_entry t = {.name = name, .rank = 1, .file = "vectors"};
    assert_true(tensor_type_by_name(name, &t.type));
    t.shape[0] = (int64_t)BLOCKS * tensor_type_block(t.type);
    int64_t elements;
    size_t size;
    assert_true(tensor_size(t.type, 1, t.shape, &elements, &size));
    uint8_t *bytes = MEM_ARRAY(uint8_t, (int64_t)size);
    float *out = MEM_ARRAY(float, elements);
    t.bytes = bytes;
    t.length = size;
    esp_error e = {0};
    memset(bytes, 1, size);
    ASSERT_OK(tensor_read_f32(&t, 0, elements, out, &e), &e);
    size_t block = size / BLOCKS, last = (BLOCKS - 1) * block + (size_t)at_byte;
    memcpy(bytes + last, &bits, single ? 4 : 2);
    char element[32];
    snprintf(element, sizeof element, "element %lld ",
             (long long)(elements - tensor_type_block(t.type) + wrong));
    ASSERT_FAILED(tensor_read_f32(&t, 0, elements, out, &e), &e, "vectors", name, element, "finite");
    /* what is before the wrong block can be read */
    ASSERT_OK(tensor_read_f32(&t, 0, elements - tensor_type_block(t.type), out, &e), &e);
    mem_free(bytes);
    mem_free(out);
}

static void not_finite_is_refused(void **state) {
    (void)state;
    check_not_finite("F32", 0, true, 0x7fc00000, 0);
    check_not_finite("F32", 0, true, 0xff800000, 0);
    check_not_finite("F32", 0, true, 0x7f800001, 0); /* a signalling NaN */
    check_not_finite("F16", 0, false, 0xfc00, 0);
    check_not_finite("F16", 0, false, 0x7e01, 0);
    check_not_finite("BF16", 0, false, 0xff80, 0);
    check_not_finite("BF16", 0, false, 0x7fc0, 0);
    check_not_finite("Q8_0", 0, false, 0x7c00, 0);
    check_not_finite("Q4_0", 0, false, 0x7e00, 0);
    check_not_finite("Q4_1", 2, false, 0xfc00, 0); /* its least number */
    check_not_finite("Q5_0", 0, false, 0x7e00, 0);
    check_not_finite("Q5_1", 0, false, 0x7c00, 0);
    check_not_finite("Q4_K", 2, false, 0x7e00, 0);
    check_not_finite("Q5_K", 0, false, 0x7e00, 0);
    check_not_finite("Q6_K", 208, false, 0x7e00, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equal_to_the_reference),
                                       cmocka_unit_test(not_finite_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
