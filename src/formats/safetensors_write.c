#include "formats/safetensors.h"

#include "base/file.h"
#include "base/half.h"
#include "base/memory.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 8, CHUNK = 4096 }; /* elements converted at a time */

typedef struct {
    const char *name;
    tensor_type type;
    int64_t elements, written;
    size_t offset, length; /* in the data */
} planned;

struct safetensors_writer {
    file_writer file;
    arena *memory;
    const char *path;
    planned *tensors;
    int64_t count;
    size_t data_at, position; /* of the stream */
};

static int element_bytes(tensor_type type) {
    return type == TENSOR_F32 ? 4 : 2;
}

static esp_status plan(safetensors_writer *w, const safetensors_spec *specs, esp_error *error) {
    for (int64_t i = 0; i < w->count; i++) {
        const safetensors_spec *spec = &specs[i];
        planned *p = &w->tensors[i];
        *p = (planned){.name = arena_strdup(w->memory, spec->name), .type = spec->type};
        bool writable = spec->type == TENSOR_F32 || spec->type == TENSOR_BF16 || spec->type == TENSOR_F16;
        if (!writable || spec->rank < 0 || spec->rank > TENSOR_RANK_MAX ||
            !tensor_size(spec->type, spec->rank, spec->shape, &p->elements, &p->length))
            return error_fail(error, "this is a bug in espalier: please report it",
                              "%s: tensor \"%s\" has a type or a shape that cannot be written", w->path,
                              spec->name);
    }
    /* The wider type comes first, so that every tensor is aligned to its elements. */
    size_t at = 0;
    for (int bytes = 4; bytes >= 2; bytes -= 2) {
        for (int64_t i = 0; i < w->count; i++) {
            if (element_bytes(w->tensors[i].type) != bytes) continue;
            w->tensors[i].offset = at;
            at += w->tensors[i].length;
        }
    }
    return ESP_OK;
}

static json_t *describe(const safetensors_spec *spec, const planned *p) {
    json_t *shape = json_array();
    for (int i = 0; i < spec->rank; i++) json_array_append_new(shape, json_integer(spec->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor_type_name(spec->type), "shape", shape,
                     "data_offsets", (json_int_t)p->offset, (json_int_t)(p->offset + p->length));
}

static esp_status make_header(const safetensors_writer *w, const safetensors_spec *specs, char **out,
                              esp_error *error) {
    json_t *header = json_object();
    json_object_set_new(header, "__metadata__", json_pack("{s:s}", "format", "pt"));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < w->count && status == ESP_OK; i++) {
        const char *name = specs[i].name;
        if (json_object_get(header, name) ||
            json_object_set_new(header, name, describe(&specs[i], &w->tensors[i])) != 0)
            status = error_fail(error, "this is a bug in espalier: please report it",
                                "%s: tensor \"%s\" occurs twice, or its name is not UTF-8", w->path, name);
    }
    if (status == ESP_OK) *out = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return status;
}

static esp_status write_failed(const safetensors_writer *w, esp_error *error) {
    int e = errno;
    bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    error_fail(error, full ? "free some disk space, or choose another place" : "check the disk",
               "%s: cannot write: %s", w->path, strerror(e));
    return error_because(error, full ? ESP_REASON_DISK_FULL : ESP_REASON_OTHER);
}

static esp_status write_bytes(safetensors_writer *w, const void *bytes, size_t n, esp_error *error) {
    if (n && fwrite(bytes, 1, n, w->file.stream) != n) return write_failed(w, error);
    w->position += n;
    return ESP_OK;
}

static esp_status write_header(safetensors_writer *w, const safetensors_spec *specs, esp_error *error) {
    char *header;
    ESP_TRY(make_header(w, specs, &header, error));
    size_t length = strlen(header);
    uint64_t padded = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    esp_status status = write_bytes(w, &padded, sizeof padded, error);
    if (status == ESP_OK) status = write_bytes(w, header, length, error);
    if (status == ESP_OK) status = write_bytes(w, "        ", padded - length, error);
    free(header);
    w->data_at = sizeof padded + padded;
    return status;
}

esp_status safetensors_write_begin(safetensors_writer **out, const char *path, const safetensors_spec *specs,
                                   int64_t count, esp_error *error) {
    *out = NULL;
    file_writer file;
    ESP_TRY(file_write_begin(&file, path, error));
    arena *memory = arena_new();
    safetensors_writer *w = ARENA_NEW(memory, safetensors_writer);
    *w = (safetensors_writer){
        .file = file, .memory = memory, .path = arena_strdup(memory, path), .count = count};
    w->tensors = ARENA_ARRAY(memory, planned, count + 1);
    esp_status status = plan(w, specs, error);
    if (status == ESP_OK) status = write_header(w, specs, error);
    if (status == ESP_OK)
        *out = w;
    else
        safetensors_write_abort(w);
    return status;
}

/* What a reader would refuse is not written. */
static esp_status check_finite(const safetensors_writer *w, const planned *p, int64_t done, const float *x,
                               int64_t n, esp_error *error) {
    int64_t bad = floats_first_not_finite(x, n);
    if (bad < 0) return ESP_OK;
    return error_fail(error, "check the weights that these numbers come from; f32 has the widest range",
                      "%s: tensor \"%s\": element %lld is not a finite number in %s", w->path, p->name,
                      (long long)(p->written + done + bad), tensor_type_name(p->type));
}

static esp_status write_converted(safetensors_writer *w, const planned *p, const float *from, int64_t n,
                                  esp_error *error) {
    uint16_t chunk[CHUNK];
    float rounded[CHUNK];
    for (int64_t done = 0, now; done < n; done += now) {
        now = n - done < CHUNK ? n - done : CHUNK;
        if (p->type == TENSOR_F32) {
            ESP_TRY(check_finite(w, p, done, from + done, now, error));
            ESP_TRY(write_bytes(w, from + done, (size_t)now * sizeof *from, error));
            continue;
        }
        bool half = p->type == TENSOR_F16;
        for (int64_t i = 0; i < now; i++) {
            chunk[i] = half ? f16_from_f32(from[done + i]) : bf16_from_f32(from[done + i]);
            rounded[i] = half ? f16_to_f32(chunk[i]) : bf16_to_f32(chunk[i]);
        }
        ESP_TRY(check_finite(w, p, done, rounded, now, error));
        ESP_TRY(write_bytes(w, chunk, (size_t)now * sizeof *chunk, error));
    }
    return ESP_OK;
}

esp_status safetensors_write_floats(safetensors_writer *w, int64_t index, const float *from, int64_t n,
                                    esp_error *error) {
    planned *p = index >= 0 && index < w->count ? &w->tensors[index] : NULL;
    if (!p || n < 0 || n > p->elements - p->written)
        return error_fail(error, "this is a bug in espalier: please report it",
                          "%s: %lld more elements for tensor \"%s\", which has room for %lld", w->path,
                          (long long)n, p ? p->name : "(none)",
                          p ? (long long)(p->elements - p->written) : 0);
    size_t at = w->data_at + p->offset + (size_t)(p->written * element_bytes(p->type));
    if (at != w->position && fseeko(w->file.stream, (off_t)at, SEEK_SET) != 0) return write_failed(w, error);
    w->position = at;
    ESP_TRY(write_converted(w, p, from, n, error));
    p->written += n;
    return ESP_OK;
}

esp_status safetensors_write_end(safetensors_writer *w, esp_error *error) {
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < w->count && status == ESP_OK; i++) {
        const planned *p = &w->tensors[i];
        if (p->written != p->elements)
            status = error_fail(error, "this is a bug in espalier: please report it",
                                "%s: tensor \"%s\" got %lld of its %lld elements", w->path, p->name,
                                (long long)p->written, (long long)p->elements);
    }
    if (status == ESP_OK)
        status = file_write_end(&w->file, error); /* if it fails, it has removed the file itself */
    else
        file_write_abort(&w->file);
    arena_free(w->memory);
    return status;
}

void safetensors_write_abort(safetensors_writer *w) {
    if (!w) return;
    file_write_abort(&w->file);
    arena_free(w->memory);
}
