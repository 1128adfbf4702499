#include "formats/gguf.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static const char *const DAMAGED_HINT = "the file is damaged or cut off: copy or download it again";

enum { DIMENSIONS_MAX = 4, ALIGNMENT_DEFAULT = 32 }; /* of the specification */

/* Ids of value types, of the specification. */
enum { T_U8, T_I8, T_U16, T_I16, T_U32, T_I32, T_F32, T_BOOL, T_TEXT, T_LIST, T_U64, T_I64, T_F64, T_COUNT };
static const struct {
    const char *name;
    uint8_t bytes; /* 0: varies */
} VALUE_TYPES[T_COUNT] = {{"u8", 1},  {"i8", 1},  {"u16", 2},  {"i16", 2},  {"u32", 4},
                          {"i32", 4}, {"f32", 4}, {"bool", 1}, {"text", 0}, {"list", 0},
                          {"u64", 8}, {"i64", 8}, {"f64", 8}};

typedef struct {
    const char *key;
    uint32_t type;
    const uint8_t *bytes; /* a number; for texts and lists see below */
    const char *text;     /* T_TEXT */
    gguf_list list;       /* T_LIST */
} pair;

struct gguf_file {
    arena *memory;
    const char *path;
    file_map map;
    pair *pairs; /* by key */
    int64_t pair_count;
    tensor_entry *tensors; /* as in the file */
    int64_t tensor_count;
};

/* Reads forward and never beyond the end. */
typedef struct {
    const uint8_t *at;
    size_t length, position;
    const char *path;
} cursor;

static esp_status take(cursor *c, size_t n, const char *what, const uint8_t **out, esp_error *error) {
    size_t left = c->length - c->position;
    *out = NULL;
    if (n > left)
        return error_fail(error, DAMAGED_HINT,
                          "%s: the file ends early: %s at byte %zu needs %zu bytes, %zu are left", c->path,
                          what, c->position, n, left);
    *out = c->at + c->position;
    c->position += n;
    return ESP_OK;
}

static esp_status take_u32(cursor *c, const char *what, uint32_t *out, esp_error *error) {
    const uint8_t *at;
    *out = 0;
    ESP_TRY(take(c, sizeof *out, what, &at, error));
    memcpy(out, at, sizeof *out);
    return ESP_OK;
}

static esp_status take_u64(cursor *c, const char *what, uint64_t *out, esp_error *error) {
    const uint8_t *at;
    *out = 0;
    ESP_TRY(take(c, sizeof *out, what, &at, error));
    memcpy(out, at, sizeof *out);
    return ESP_OK;
}

static esp_status take_text(cursor *c, const char *what, const char **out, size_t *length, esp_error *error) {
    uint64_t n;
    const uint8_t *at;
    ESP_TRY(take_u64(c, what, &n, error));
    ESP_TRY(take(c, (size_t)n, what, &at, error));
    *out = (const char *)at;
    *length = (size_t)n;
    return ESP_OK;
}

/* A name (of a key or a tensor): a zero-terminated copy. */
static esp_status take_name(cursor *c, const char *what, arena *memory, const char **out, esp_error *error) {
    const char *at;
    size_t n, place = c->position;
    ESP_TRY(take_text(c, what, &at, &n, error));
    if (n == 0 || memchr(at, 0, n))
        return error_fail(error, DAMAGED_HINT, "%s: %s at byte %zu is empty or has a zero byte in it",
                          c->path, what, place);
    char *name = arena_alloc(memory, n + 1);
    memcpy(name, at, n);
    *out = name;
    return ESP_OK;
}

static esp_status too_many(const cursor *c, const char *what, uint64_t count, size_t each, esp_error *error) {
    return error_fail(error, DAMAGED_HINT,
                      "%s: it declares %llu %s of at least %zu bytes each, but only %zu bytes are left",
                      c->path, (unsigned long long)count, what, each, c->length - c->position);
}

static esp_status take_list(cursor *c, pair *p, arena *memory, esp_error *error) {
    uint64_t count;
    ESP_TRY(take_u32(c, p->key, &p->list.type, error));
    ESP_TRY(take_u64(c, p->key, &count, error));
    if (p->list.type >= T_COUNT || p->list.type == T_LIST)
        return error_fail(error, DAMAGED_HINT, "%s: key \"%s\" is a list of elements of the unknown type %u",
                          c->path, p->key, p->list.type);
    size_t each = p->list.type == T_TEXT ? sizeof(uint64_t) : VALUE_TYPES[p->list.type].bytes;
    if (count > (c->length - c->position) / each) return too_many(c, p->key, count, each, error);
    p->list.count = (int64_t)count;
    p->list.bytes = c->at + c->position;
    if (p->list.type != T_TEXT) return take(c, (size_t)count * each, p->key, &p->list.bytes, error);

    size_t start = c->position;
    int64_t *offsets = ARENA_ARRAY(memory, int64_t, count + 1);
    for (uint64_t i = 0; i < count; i++) {
        const char *text;
        size_t n;
        offsets[i] = (int64_t)(c->position - start);
        ESP_TRY(take_text(c, p->key, &text, &n, error));
    }
    p->list.offsets = offsets;
    return ESP_OK;
}

static esp_status take_pair(cursor *c, pair *p, arena *memory, esp_error *error) {
    ESP_TRY(take_name(c, "a key", memory, &p->key, error));
    ESP_TRY(take_u32(c, p->key, &p->type, error));
    if (p->type >= T_COUNT)
        return error_fail(error, DAMAGED_HINT, "%s: key \"%s\" has a value of the unknown type %u", c->path,
                          p->key, p->type);
    if (p->type == T_LIST) return take_list(c, p, memory, error);
    if (p->type != T_TEXT) return take(c, VALUE_TYPES[p->type].bytes, p->key, &p->bytes, error);
    const char *at;
    size_t n;
    ESP_TRY(take_text(c, p->key, &at, &n, error));
    char *text = arena_alloc(memory, n + 1);
    memcpy(text, at, n);
    p->text = text;
    return ESP_OK;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const pair *)a)->key, ((const pair *)b)->key);
}

static esp_status take_pairs(gguf_file *g, cursor *c, uint64_t count, esp_error *error) {
    size_t least =
        sizeof(uint64_t) + 1 + sizeof(uint32_t) + 1; /* a key of one byte, a type, a value of one byte */
    if (count > (c->length - c->position) / least) return too_many(c, "keys", count, least, error);
    g->pairs = ARENA_ARRAY(g->memory, pair, count + 1);
    for (uint64_t i = 0; i < count; i++) ESP_TRY(take_pair(c, &g->pairs[i], g->memory, error));
    g->pair_count = (int64_t)count;
    qsort(g->pairs, count, sizeof *g->pairs, by_key);
    for (uint64_t i = 1; i < count; i++)
        if (by_key(&g->pairs[i - 1], &g->pairs[i]) == 0)
            return error_fail(error, DAMAGED_HINT, "%s: key \"%s\" occurs twice", c->path, g->pairs[i].key);
    return ESP_OK;
}

/* One tensor's description; its bytes are located later, when the start of the data is known. */
static esp_status take_tensor(cursor *c, tensor_entry *t, uint64_t *offset, arena *memory, esp_error *error) {
    uint32_t rank, type;
    ESP_TRY(take_name(c, "a tensor's name", memory, &t->name, error));
    t->file = c->path;
    ESP_TRY(take_u32(c, t->name, &rank, error));
    if (rank > DIMENSIONS_MAX)
        return error_fail(error, DAMAGED_HINT,
                          "%s: tensor \"%s\" has %u dimensions; at most %d are permitted", c->path, t->name,
                          rank, DIMENSIONS_MAX);
    t->rank = (int)rank;
    for (int i = t->rank - 1; i >= 0; i--) {
        uint64_t n;
        ESP_TRY(take_u64(c, t->name, &n, error));
        t->shape[i] = n > INT64_MAX ? -1 : (int64_t)n;
    }
    ESP_TRY(take_u32(c, t->name, &type, error));
    ESP_TRY(take_u64(c, t->name, offset, error));
    if (!tensor_type_by_gguf(type, &t->type))
        return error_fail(error, "convert the model to F16, BF16 or Q8_0",
                          "%s: tensor \"%s\" is stored in an unknown type (GGUF type %u)", c->path, t->name,
                          type);
    int64_t elements;
    if (!tensor_size(t->type, t->rank, t->shape, &elements, &t->length))
        return error_fail(
            error, DAMAGED_HINT, "%s: tensor \"%s\" has an impossible shape for %s (a row of %lld elements)",
            c->path, t->name, tensor_type_name(t->type), (long long)t->shape[t->rank > 0 ? t->rank - 1 : 0]);
    return ESP_OK;
}

static esp_status data_alignment(const gguf_file *g, size_t *out, esp_error *error) {
    *out = ALIGNMENT_DEFAULT;
    if (!gguf_has(g, "general.alignment")) return ESP_OK;
    int64_t n;
    ESP_TRY(gguf_need_integer(g, "general.alignment", &n, error));
    if (n <= 0 || n > UINT32_MAX || (n & (n - 1)) != 0)
        return error_fail(error, DAMAGED_HINT,
                          "%s: key \"general.alignment\" is %lld, which is not a power of two", g->path,
                          (long long)n);
    *out = (size_t)n;
    return ESP_OK;
}

static int by_bytes(const void *a, const void *b) {
    const tensor_entry *x = *(const tensor_entry *const *)a, *y = *(const tensor_entry *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return x->length < y->length ? -1 : x->length > y->length;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const tensor_entry *const *)a)->name, (*(const tensor_entry *const *)b)->name);
}

static esp_status check_tensors_apart(const gguf_file *g, esp_error *error) {
    size_t n = (size_t)g->tensor_count;
    const tensor_entry **order = MEM_ARRAY(const tensor_entry *, n + 1);
    for (size_t i = 0; i < n; i++) order[i] = &g->tensors[i];
    esp_status status = ESP_OK;
    qsort(order, n, sizeof *order, by_name);
    for (size_t i = 1; i < n && status == ESP_OK; i++)
        if (by_name(&order[i - 1], &order[i]) == 0)
            status =
                error_fail(error, DAMAGED_HINT, "%s: tensor \"%s\" occurs twice", g->path, order[i]->name);
    qsort(order, n, sizeof *order, by_bytes);
    for (size_t i = 1; i < n && status == ESP_OK; i++)
        if (order[i - 1]->bytes + order[i - 1]->length > order[i]->bytes)
            status = error_fail(error, DAMAGED_HINT, "%s: tensors \"%s\" and \"%s\" overlap", g->path,
                                order[i - 1]->name, order[i]->name);
    mem_free(order);
    return status;
}

static esp_status take_tensors(gguf_file *g, cursor *c, uint64_t count, esp_error *error) {
    size_t least = sizeof(uint64_t) + 1 + 2 * sizeof(uint32_t) + sizeof(uint64_t);
    if (count > (c->length - c->position) / least) return too_many(c, "tensors", count, least, error);
    g->tensors = ARENA_ARRAY(g->memory, tensor_entry, count + 1);
    uint64_t *offsets = ARENA_ARRAY(g->memory, uint64_t, count + 1);
    for (uint64_t i = 0; i < count; i++)
        ESP_TRY(take_tensor(c, &g->tensors[i], &offsets[i], g->memory, error));
    g->tensor_count = (int64_t)count;

    size_t alignment, start;
    ESP_TRY(data_alignment(g, &alignment, error));
    start = (c->position + alignment - 1) / alignment * alignment;
    for (uint64_t i = 0; i < count; i++) {
        tensor_entry *t = &g->tensors[i];
        if (offsets[i] % alignment != 0)
            return error_fail(
                error, DAMAGED_HINT,
                "%s: tensor \"%s\" begins at %llu, which is not a multiple of the alignment %zu", g->path,
                t->name, (unsigned long long)offsets[i], alignment);
        size_t left =
            start < c->length && offsets[i] <= c->length - start ? c->length - start - offsets[i] : 0;
        if (t->length > left)
            return error_fail(
                error, DAMAGED_HINT,
                "%s: tensor \"%s\" is cut off: %zu bytes expected, %zu found (the file has %zu bytes)",
                g->path, t->name, t->length, left, c->length);
        t->bytes = t->length ? c->at + start + offsets[i] : c->at;
    }
    return check_tensors_apart(g, error);
}

static esp_status parse(gguf_file *g, esp_error *error) {
    cursor c = {.at = g->map.at, .length = g->map.length, .path = g->path};
    const uint8_t *magic;
    uint32_t version;
    uint64_t tensors, pairs;
    ESP_TRY(take(&c, 4, "the magic number", &magic, error));
    if (memcmp(magic, "GGUF", 4) != 0)
        return error_fail(error, "give a GGUF file", "%s: not a GGUF file", g->path);
    ESP_TRY(take_u32(&c, "the version", &version, error));
    if ((version & 0xffff) == 0)
        return error_fail(error, "use a little-endian GGUF file",
                          "%s: the GGUF file is big-endian or damaged (version %#x)", g->path, version);
    if (version != 2 && version != 3)
        return error_fail(error, "convert the model again with a current llama.cpp",
                          "%s: GGUF version %u; supported are versions 2 and 3", g->path, version);
    ESP_TRY(take_u64(&c, "the number of tensors", &tensors, error));
    ESP_TRY(take_u64(&c, "the number of keys", &pairs, error));
    ESP_TRY(take_pairs(g, &c, pairs, error));
    return take_tensors(g, &c, tensors, error);
}

esp_status gguf_open(gguf_file **out, const char *path, esp_error *error) {
    *out = NULL;
    file_map map;
    ESP_TRY(file_map_open(&map, path, error));
    arena *memory = arena_new();
    gguf_file *g = ARENA_NEW(memory, gguf_file);
    *g = (gguf_file){.memory = memory, .path = arena_strdup(memory, path), .map = map};
    esp_status status = parse(g, error);
    if (status == ESP_OK)
        *out = g;
    else
        gguf_close(g);
    return status;
}

void gguf_close(gguf_file *g) {
    if (!g) return;
    file_map_close(&g->map);
    arena_free(g->memory);
}

const char *gguf_path(const gguf_file *g) {
    return g->path;
}

int64_t gguf_tensor_count(const gguf_file *g) {
    return g->tensor_count;
}

const tensor_entry *gguf_tensor_at(const gguf_file *g, int64_t i) {
    return &g->tensors[i];
}

static const pair *find(const gguf_file *g, const char *key) {
    pair wanted = {.key = key};
    if (g->pair_count == 0) return NULL;
    return bsearch(&wanted, g->pairs, (size_t)g->pair_count, sizeof *g->pairs, by_key);
}

bool gguf_has(const gguf_file *g, const char *key) {
    return find(g, key) != NULL;
}

static bool is_integer(uint32_t type) {
    return type != T_F32 && type != T_F64 && type != T_TEXT && type != T_LIST && type != T_BOOL;
}

static bool is_number(uint32_t type) {
    return is_integer(type) || type == T_F32 || type == T_F64;
}

static esp_status need(const gguf_file *g, const char *key, const char *wanted, const pair **out,
                       esp_error *error) {
    *out = find(g, key);
    if (*out) return ESP_OK;
    return error_fail(error, "convert the model again with a current llama.cpp",
                      "%s: the key \"%s\" (%s) is missing from the metadata", g->path, key, wanted);
}

static esp_status wrong_type(const gguf_file *g, const pair *p, const char *wanted, esp_error *error) {
    bool list = p->type == T_LIST;
    return error_fail(error, "convert the model again with a current llama.cpp",
                      "%s: the key \"%s\" must be %s, found %s%s", g->path, p->key, wanted,
                      list ? "a list of " : "", VALUE_TYPES[list ? p->list.type : p->type].name);
}

#define READ_AS(type, at)                                                                                    \
    __extension__({                                                                                          \
        type read_as_;                                                                                       \
        memcpy(&read_as_, (at), sizeof read_as_);                                                            \
        read_as_;                                                                                            \
    })

static int64_t integer_at(uint32_t type, const uint8_t *at) {
    switch (type) {
    case T_U8:
    case T_BOOL:
        return *at;
    case T_I8:
        return (int8_t)*at;
    case T_U16:
        return READ_AS(uint16_t, at);
    case T_I16:
        return READ_AS(int16_t, at);
    case T_U32:
        return READ_AS(uint32_t, at);
    case T_I32:
        return READ_AS(int32_t, at);
    default:
        return READ_AS(int64_t, at);
    }
}

static double number_at(uint32_t type, const uint8_t *at) {
    if (type == T_F32) return READ_AS(float, at);
    if (type == T_F64) return READ_AS(double, at);
    if (type == T_U64) return (double)READ_AS(uint64_t, at);
    return (double)integer_at(type, at);
}

esp_status gguf_need_integer(const gguf_file *g, const char *key, int64_t *out, esp_error *error) {
    const pair *p;
    ESP_TRY(need(g, key, "an integer", &p, error));
    if (!is_integer(p->type)) return wrong_type(g, p, "an integer", error);
    *out = integer_at(p->type, p->bytes);
    if (p->type == T_U64 && *out < 0) return wrong_type(g, p, "an integer below 2^63", error);
    return ESP_OK;
}

esp_status gguf_need_number(const gguf_file *g, const char *key, double *out, esp_error *error) {
    const pair *p;
    ESP_TRY(need(g, key, "a number", &p, error));
    if (!is_number(p->type)) return wrong_type(g, p, "a number", error);
    *out = number_at(p->type, p->bytes);
    return ESP_OK;
}

esp_status gguf_need_bool(const gguf_file *g, const char *key, bool *out, esp_error *error) {
    const pair *p;
    ESP_TRY(need(g, key, "true or false", &p, error));
    if (p->type != T_BOOL) return wrong_type(g, p, "true or false", error);
    *out = *p->bytes != 0;
    return ESP_OK;
}

esp_status gguf_need_string(const gguf_file *g, const char *key, const char **out, esp_error *error) {
    const pair *p;
    ESP_TRY(need(g, key, "a text", &p, error));
    if (p->type != T_TEXT) return wrong_type(g, p, "a text", error);
    *out = p->text;
    return ESP_OK;
}

esp_status gguf_need_texts(const gguf_file *g, const char *key, gguf_list *out, esp_error *error) {
    const pair *p;
    ESP_TRY(need(g, key, "a list of texts", &p, error));
    if (p->type != T_LIST || p->list.type != T_TEXT) return wrong_type(g, p, "a list of texts", error);
    *out = p->list;
    return ESP_OK;
}

esp_status gguf_need_numbers(const gguf_file *g, const char *key, gguf_list *out, esp_error *error) {
    const pair *p;
    ESP_TRY(need(g, key, "a list of numbers", &p, error));
    if (p->type != T_LIST || !is_number(p->list.type)) return wrong_type(g, p, "a list of numbers", error);
    *out = p->list;
    return ESP_OK;
}

esp_status gguf_need_integers(const gguf_file *g, const char *key, gguf_list *out, esp_error *error) {
    const pair *p;
    ESP_TRY(need(g, key, "a list of integers", &p, error));
    if (p->type != T_LIST || !(is_integer(p->list.type) || p->list.type == T_BOOL))
        return wrong_type(g, p, "a list of integers", error);
    *out = p->list;
    return ESP_OK;
}

const char *gguf_text_at(const gguf_list *list, int64_t i, size_t *length) {
    const uint8_t *at = list->bytes + list->offsets[i];
    *length = (size_t)READ_AS(uint64_t, at);
    return (const char *)at + sizeof(uint64_t);
}

double gguf_number_at(const gguf_list *list, int64_t i) {
    return number_at(list->type, list->bytes + i * VALUE_TYPES[list->type].bytes);
}

int64_t gguf_integer_at(const gguf_list *list, int64_t i) {
    return integer_at(list->type, list->bytes + i * VALUE_TYPES[list->type].bytes);
}

int64_t gguf_source_row(int64_t row, int64_t head_dim) {
    int64_t in_head = row % head_dim, half = head_dim / 2;
    return row - in_head + 2 * (in_head % half) + in_head / half;
}

void gguf_unpermute_rows(float *weights, int64_t heads, int64_t head_dim, int64_t columns) {
    size_t row_bytes = (size_t)columns * sizeof(float);
    float *head = mem_alloc((size_t)head_dim * row_bytes);
    for (int64_t h = 0; h < heads; h++) {
        float *at = weights + h * head_dim * columns;
        memcpy(head, at, (size_t)head_dim * row_bytes);
        for (int64_t r = 0; r < head_dim; r++)
            memcpy(at + r * columns, head + gguf_source_row(r, head_dim) * columns, row_bytes);
    }
    mem_free(head);
}
