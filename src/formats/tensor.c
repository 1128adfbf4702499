#include "formats/tensor.h"

#include "base/half.h"
#include "formats/dequantize.h"

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "weight files are little-endian and are read without conversion");

enum {
    CHUNK = 16384
}; /* elements converted and checked at a time: whole blocks, and they fit in a core's cache */

typedef struct {
    const char *name;
    int block, bytes, gguf;
    bool readable;
} type_info;

#define TYPE_INFO(name, block, bytes, id, readable) {#name, block, bytes, id, readable},
static const type_info TYPES[] = {TENSOR_TYPES(TYPE_INFO)};
#undef TYPE_INFO

const char *tensor_type_name(tensor_type type) {
    return TYPES[type].name;
}

int tensor_type_block(tensor_type type) {
    return TYPES[type].block;
}

bool tensor_type_readable(tensor_type type) {
    return TYPES[type].readable;
}

bool tensor_type_by_name(const char *name, tensor_type *out) {
    for (int i = 0; i < TENSOR_TYPE_COUNT; i++) {
        if (strcmp(TYPES[i].name, name) != 0) continue;
        *out = (tensor_type)i;
        return true;
    }
    return false;
}

bool tensor_type_by_gguf(uint32_t id, tensor_type *out) {
    for (int i = 0; i < TENSOR_TYPE_COUNT; i++) {
        if (TYPES[i].gguf < 0 || (uint32_t)TYPES[i].gguf != id) continue;
        *out = (tensor_type)i;
        return true;
    }
    return false;
}

int64_t tensor_elements(const tensor_entry *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->shape[i];
    return n;
}

bool tensor_size(tensor_type type, int rank, const int64_t *shape, int64_t *elements, size_t *bytes) {
    int64_t n = 1, blocks, size;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(n, shape[i], &n)) return false;
    const type_info *info = &TYPES[type];
    int64_t row = rank > 0 ? shape[rank - 1] : 1;
    if (row % info->block != 0) return false;
    blocks = n / info->block;
    if (__builtin_mul_overflow(blocks, (int64_t)info->bytes, &size)) return false;
    *elements = n;
    *bytes = (size_t)size;
    return true;
}

static void read_f16(const uint8_t *from, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, from + 2 * i, sizeof h);
        out[i] = f16_to_f32(h);
    }
}

static void read_bf16(const uint8_t *from, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, from + 2 * i, sizeof h);
        out[i] = bf16_to_f32(h);
    }
}

int64_t floats_first_not_finite(const float *x, int64_t n) {
    uint32_t bad = 0; /* without a branch, so that the compiler takes several at once */
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bad |= (bits & 0x7f800000) == 0x7f800000;
    }
    if (!bad) return -1;
    int64_t i = 0;
    while (isfinite(x[i])) i++;
    return i;
}

static void convert(tensor_type type, const uint8_t *from, int64_t n, float *out) {
    switch (type) {
    case TENSOR_F32:
        memcpy(out, from, (size_t)n * sizeof *out);
        break;
    case TENSOR_F16:
        read_f16(from, n, out);
        break;
    case TENSOR_BF16:
        read_bf16(from, n, out);
        break;
    default:
        dequantize_blocks(type, from, n / TYPES[type].block, out);
    }
}

esp_status tensor_read_f32(const tensor_entry *t, int64_t first, int64_t n, float *out, esp_error *error) {
    const type_info *info = &TYPES[t->type];
    int64_t total = tensor_elements(t), block = info->block;
    if (!info->readable)
        return error_fail(
            error,
            "use weights stored as F32, F16 or BF16, or as Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K",
            "%s: tensor \"%s\" is stored as %s, which cannot be converted to floats", t->file, t->name,
            info->name);
    if (first < 0 || n < 0 || first > total || n > total - first)
        return error_fail(error, "this is a bug in espalier: please report it",
                          "%s: tensor \"%s\": elements %lld to %lld requested of %lld", t->file, t->name,
                          (long long)first, (long long)(first + n), (long long)total);
    if (first % block != 0 || n % block != 0)
        return error_fail(error, "this is a bug in espalier: please report it",
                          "%s: tensor \"%s\": %lld elements from %lld requested, but %s has blocks of %lld",
                          t->file, t->name, (long long)n, (long long)first, info->name, (long long)block);
    const uint8_t *from = t->bytes + first / block * info->bytes;
    for (int64_t done = 0, now; done < n; done += now) {
        now = n - done < CHUNK ? n - done : CHUNK;
        convert(t->type, from + done / block * info->bytes, now, out + done);
        int64_t bad = floats_first_not_finite(out + done, now);
        if (bad >= 0)
            return error_fail(error, "the file is damaged, or its training failed: copy or download it again",
                              "%s: tensor \"%s\": element %lld is %s: not a finite number", t->file, t->name,
                              (long long)(first + done + bad), isnan(out[done + bad]) ? "NaN" : "infinite");
    }
    return ESP_OK;
}
