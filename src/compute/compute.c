#include "compute/compute.h"

#include "base/memory.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

/* In the order of esp_compute (espalier.h). */
static const struct {
    const char *kind;
    esp_status (*init)(compute *c, esp_error *error);
} backends[] = {
    {"cpu", compute_cpu_init},
    {"ref", compute_ref_init},
};
enum { BACKENDS = sizeof backends / sizeof *backends };

const char *compute_kind(int index) {
    return index >= 0 && index < BACKENDS ? backends[index].kind : NULL;
}

static esp_status unknown_kind(const char *kind, esp_error *error) {
    char hint[128] = "the kinds are:";
    for (int i = 0; i < BACKENDS; i++) {
        size_t used = strlen(hint);
        snprintf(hint + used, sizeof hint - used, "%s %s", i ? "," : "", backends[i].kind);
    }
    return error_fail(error, hint, "unknown compute kind \"%s\"", kind);
}

static compute *instance(dtype act, int threads, const char *description) {
    compute *c = MEM_NEW(compute);
    c->act = act;
    c->threads = threads;
    snprintf(c->description, sizeof c->description, "%s", description);
    return c;
}

esp_status compute_new(compute **out, const char *kind, dtype act, int threads, esp_error *error) {
    *out = NULL;
    int backend = 0;
    while (backend < BACKENDS && strcmp(kind, backends[backend].kind) != 0) backend++;
    if (threads < 0 || threads > 1024)
        return error_fail(error, "give a number from 1 to 1024, or 0 for one per core", "%d compute threads",
                          threads);
    if (backend == BACKENDS) return unknown_kind(kind, error);
    char description[64];
    snprintf(description, sizeof description, "%s %s", kind, act == DTYPE_F32 ? "f32" : "bf16");
    compute *c = instance(act, threads ? threads : omp_get_num_procs(), description);
    esp_status status = backends[backend].init(c, error);
    if (status != ESP_OK) {
        mem_free(c);
        return status;
    }
    *out = c;
    return ESP_OK;
}

esp_status compute_replica_new(compute **out, compute *of, int threads, esp_error *error) {
    *out = NULL;
    compute *c = instance(of->act, threads, of->description);
    c->of = of;
    c->traits = of->traits;
    c->traits.replicas = 1;
    esp_status status = of->ops->replica(c, error);
    if (status != ESP_OK) {
        mem_free(c);
        return status;
    }
    *out = c;
    return ESP_OK;
}

void compute_free(compute *c) {
    if (!c) return;
    c->ops->destroy(c);
    mem_free(c);
}

esp_status compute_check(compute *c, esp_error *error) {
    c->ops->wait(c);
    if (c->failure.code == ESP_OK) return ESP_OK;
    esp_status status = c->failure.code;
    if (error) *error = c->failure;
    memset(&c->failure, 0, sizeof c->failure);
    return status;
}

esp_status compute_buffer_new(compute *c, void **out, size_t bytes, const char *what, esp_error *error) {
    *out = c->ops->buffer_new(c, bytes, what);
    return *out ? ESP_OK : compute_check(c, error);
}

const char *compute_describe(compute *c) {
    return c->description;
}

int64_t adapter_part_at(const adapter_shape *s, int part) {
    int64_t at = 0;
    for (int p = 0; p < part; p++) at += s->rank * (s->in + s->part[p].rows);
    return at;
}

void compute_linear_gate(compute *c, const linear *l, gate_kind kind, int64_t m, int64_t width, const void *x,
                         void *gate_up, bool keep, void *h) {
    if (c->ops->linear_gate) {
        c->ops->linear_gate(c, l, kind, m, x, gate_up, keep, h);
        return;
    }
    c->ops->linear_forward(c, l, m, x, gate_up, c->act, false);
    c->ops->gate(c, kind, m, width, gate_up, h);
}
