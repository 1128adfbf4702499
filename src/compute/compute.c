#include "compute/compute.h"

#include "base/memory.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

esp_status compute_new(compute **out, const char *kind, dtype act, int threads, esp_error *error) {
    *out = NULL;
    if (threads < 0 || threads > 1024)
        return error_fail(error, "give a number from 1 to 1024, or 0 for one a core", "%d compute threads",
                          threads);
    esp_status (*init)(compute *, esp_error *) = NULL;
    if (strcmp(kind, "ref") == 0) init = compute_ref_init;
    if (strcmp(kind, "cpu") == 0) init = compute_cpu_init;
    if (!init) return error_fail(error, "the kinds are: cpu, ref", "unknown compute kind \"%s\"", kind);
    compute *c = MEM_NEW(compute);
    c->act = act;
    c->threads = threads ? threads : omp_get_num_procs();
    snprintf(c->description, sizeof c->description, "%s %s", kind, act == DTYPE_F32 ? "f32" : "bf16");
    esp_status status = init(c, error);
    if (status != ESP_OK) {
        mem_free(c);
        return status;
    }
    *out = c;
    return ESP_OK;
}

esp_status compute_share(compute **out, compute *of, int threads, esp_error *error) {
    *out = NULL;
    compute *c = MEM_NEW(compute);
    c->act = of->act;
    c->threads = threads;
    c->of = of;
    memcpy(c->description, of->description, sizeof c->description);
    esp_status status = of->ops->share(c, error);
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
    if (c->failure.code == ESP_OK) return ESP_OK;
    esp_status status = c->failure.code;
    if (error) *error = c->failure;
    memset(&c->failure, 0, sizeof c->failure);
    return status;
}

const char *compute_describe(compute *c) {
    return c->description;
}
