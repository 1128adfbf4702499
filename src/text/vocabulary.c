#include "text/vocabulary.h"

#include "base/utf8.h"

#include <string.h>
#include <xxhash.h>

static uint32_t power_of_two_above(int64_t n) {
    uint32_t p = 16;
    while ((int64_t)p < n) p *= 2;
    return p;
}

void vocabulary_init(vocabulary *v, int32_t size, int64_t merges) {
    *v = (vocabulary){.unknown = -1, .size = size, .memory = arena_new()};
    for (int b = 0; b < 256; b++) v->byte_piece[b] = -1;
    v->pieces = MEM_ARRAY(byte_run, size);
    v->outputs = MEM_ARRAY(byte_run, size);
    v->kinds = MEM_ARRAY(uint8_t, size);
    uint32_t slots = power_of_two_above(2 * (int64_t)size);
    v->slots = MEM_ARRAY(int32_t, slots);
    memset(v->slots, 0xff, slots * sizeof *v->slots);
    v->slot_mask = slots - 1;
    uint32_t merge_slots = power_of_two_above(2 * merges);
    v->merges = MEM_ARRAY(merge_slot, merge_slots);
    for (uint32_t i = 0; i < merge_slots; i++) v->merges[i].made = -1;
    v->merge_mask = merge_slots - 1;
}

void vocabulary_free(vocabulary *v) {
    if (v->memory) arena_free(v->memory);
    mem_free(v->pieces);
    mem_free(v->outputs);
    mem_free(v->kinds);
    mem_free(v->slots);
    mem_free(v->merges);
    *v = (vocabulary){0};
}

/* The slot of the piece, or the empty slot where it belongs. */
static uint32_t slot_of(const vocabulary *v, const char *bytes, size_t length) {
    uint32_t i = (uint32_t)XXH3_64bits(bytes, length) & v->slot_mask;
    for (; v->slots[i] >= 0; i = (i + 1) & v->slot_mask) {
        byte_run p = v->pieces[v->slots[i]];
        if (p.length == length && memcmp(p.at, bytes, length) == 0) break;
    }
    return i;
}

int32_t vocabulary_find(const vocabulary *v, const char *bytes, size_t length) {
    return length ? v->slots[slot_of(v, bytes, length)] : -1;
}

static byte_run run_copy(vocabulary *v, const char *bytes, size_t length) {
    return (byte_run){arena_copy(v->memory, bytes, length ? length : 1), (uint32_t)length};
}

esp_status vocabulary_add(vocabulary *v, int32_t id, const char *bytes, size_t length, piece_kind kind,
                          bool findable, esp_error *error) {
    const char *hint = "the tokenizer file is damaged; download it again";
    if (id < 0 || id >= v->size)
        return error_fail(error, hint, "piece \"%.*s\" has id %d, outside 0 to %d", (int)length, bytes, id,
                          v->size - 1);
    if (length > 65535) return error_fail(error, hint, "piece %d is %zu bytes long", id, length);
    if (v->kinds[id] != PIECE_ABSENT)
        return error_fail(error, hint, "pieces \"%.*s\" and \"%.*s\" have the same id %d",
                          (int)v->pieces[id].length, v->pieces[id].at, (int)length, bytes, id);
    if (length && findable) {
        uint32_t slot = slot_of(v, bytes, length);
        if (v->slots[slot] >= 0)
            return error_fail(error, hint, "piece \"%.*s\" occurs twice, as id %d and id %d", (int)length,
                              bytes, v->slots[slot], id);
        v->slots[slot] = id;
    }
    v->kinds[id] = (uint8_t)kind;
    v->pieces[id] = v->outputs[id] = run_copy(v, length ? bytes : "", length);
    return ESP_OK;
}

void vocabulary_set_output(vocabulary *v, int32_t id, const char *bytes, size_t length) {
    byte_run old = v->outputs[id];
    if (old.length == length && memcmp(old.at, bytes, length) == 0) return;
    v->outputs[id] = run_copy(v, length ? bytes : "", length);
}

static uint32_t merge_slot_of(const vocabulary *v, uint64_t pair) {
    uint64_t h = pair * 0x9E3779B97F4A7C15u; /* Fibonacci hashing: 2^64 over the golden ratio */
    uint32_t i = (uint32_t)(h >> 32) & v->merge_mask;
    while (v->merges[i].made >= 0 && v->merges[i].pair != pair) i = (i + 1) & v->merge_mask;
    return i;
}

const merge_slot *vocabulary_merge(const vocabulary *v, int32_t left, int32_t right) {
    const merge_slot *m = &v->merges[merge_slot_of(v, (uint64_t)(uint32_t)left << 32 | (uint32_t)right)];
    return m->made >= 0 ? m : NULL;
}

esp_status vocabulary_add_merge(vocabulary *v, int32_t rank, const char *left, size_t left_length,
                                const char *right, size_t right_length, esp_error *error) {
    const char *hint = "the tokenizer file is damaged; download it again";
    size_t length = left_length + right_length;
    if (length > 65535) return error_fail(error, hint, "merge %d is %zu bytes long", rank, length);
    char *joined = mem_alloc(length + 1);
    memcpy(joined, left, left_length);
    memcpy(joined + left_length, right, right_length);
    int32_t a = vocabulary_find(v, left, left_length), b = vocabulary_find(v, right, right_length);
    int32_t made = vocabulary_find(v, joined, length);
    mem_free(joined);
    if (a < 0 || b < 0 || made < 0)
        return error_fail(error, hint, "merge %d (\"%.*s\" \"%.*s\"): %s is not in the vocabulary", rank,
                          (int)left_length, left, (int)right_length, right,
                          a < 0   ? "the left part"
                          : b < 0 ? "the right part"
                                  : "what it makes");
    uint64_t pair = (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
    merge_slot *m = &v->merges[merge_slot_of(v, pair)];
    if (m->made < 0) v->merge_count++;
    *m = (merge_slot){
        pair, rank,
        made}; /* a pair that is listed twice has its last rank, the same as in Hugging Face's library */
    return ESP_OK;
}

/* Bytes that GPT-2's alphabet writes as the character of the same number; the other 68 get 256, 257, ... in
 * order. */
static bool byte_is_plain(unsigned b) {
    return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
}

static unsigned alphabet_of(unsigned byte) {
    if (byte_is_plain(byte)) return byte;
    if (byte <= 0x20) return 256 + byte;
    if (byte <= 0xa0) return 256 + 33 + (byte - 0x7f);
    return 256 + 67; /* 0xad */
}

void byte_alphabet_write(const char *bytes, size_t length, text_buffer *out) {
    for (size_t i = 0; i < length; i++) {
        unsigned c = alphabet_of((unsigned char)bytes[i]);
        char utf8[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
        if (c < 0x80)
            text_append(out, &(char){(char)c}, 1);
        else
            text_append(out, utf8, 2);
    }
}

bool byte_alphabet_read(const char *text, size_t length, text_buffer *out) {
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(text + i, length - i);
        if (n == 0 || n > 2) return false;
        unsigned c = (unsigned char)text[i];
        if (n == 2) c = (c & 0x1f) << 6 | ((unsigned char)text[i + 1] & 0x3f);
        unsigned byte = c;
        if (c >= 256) byte = c <= 256 + 32 ? c - 256 : c < 256 + 67 ? c - 256 - 33 + 0x7f : 0xad;
        if (byte > 255 || alphabet_of(byte) != c) return false;
        text_append(out, &(char){(char)byte}, 1);
        i += n;
    }
    return true;
}
