/* Bytes: those that a model will need, and those that the machine has. */
#include "model/arch.h"
#include "model/model.h"

#include <stdio.h>

double memory_available(void) {
    double available = 0, kb;
    FILE *f = fopen("/proc/meminfo", "re");
    char line[256];
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %lf kB", &kb) == 1) available = kb * 1024;
    if (f) fclose(f);
    double limit = 0, used = 0;
    FILE *max = fopen("/sys/fs/cgroup/memory.max", "re"), *now = fopen("/sys/fs/cgroup/memory.current", "re");
    if (max && now && fscanf(max, "%lf", &limit) == 1 && fscanf(now, "%lf", &used) == 1 &&
        limit - used < available)
        available = limit - used;
    if (max) fclose(max);
    if (now) fclose(now);
    return available;
}

esp_status memory_check(double needed, const char *what, esp_error *error) {
    double available = memory_available();
    if (available <= 0 || needed <= available) return ESP_OK;
    error_fail(
        error,
        "use a smaller model or a smaller batch, close other programs, or take a machine with more memory",
        "%s: needs %.2f GB of memory, %.2f GB are free", what, needed / 1e9, available / 1e9);
    return error_because(error, ESP_REASON_MEMORY);
}

/* Matrices but the embedding and the head, vectors, and all floats of a model. */
typedef struct {
    double matrices, vectors, all;
} model_size;

static model_size size_of(const model_config *config) {
    model_size size = {0};
    param_set params = params_of(config);
    for (const param *p = params.at; p < params.at + params.count; p++)
        if (param_rank(p) == 1)
            size.vectors += (double)param_floats(p);
        else if (p->layer >= 0)
            size.matrices += (double)param_floats(p);
    size.all = (double)params.floats;
    params_free(&params);
    return size;
}

static double adapter_floats(const model_config *config, const adapter_config *adapter) {
    param_set base = params_of(config), params = adapter_params(&base, adapter);
    double floats = (double)params.floats;
    params_free(&params);
    params_free(&base);
    return floats;
}

model_memory model_memory_plan(const model_config *c, dtype act, const model_options *options,
                               int64_t tape_tokens, int64_t kv_tokens) {
    bool trainable = options->trainable;
    double D = (double)c->width, F = (double)c->feed_forward, V = (double)c->vocab, L = c->layers,
           A = (double)dtype_size(act);
    double HE = (double)c->heads * c->head_width, GE = (double)c->kv_heads * c->head_width;
    bool frozen = options->adapter && options->adapter->rank > 0;
    double adapted = frozen ? adapter_floats(c, options->adapter) : 0;
    model_size n = size_of(c);
    /* Bytes per token and layer: inside the layer, and its input. */
    double inside = 4 * (D + HE + c->heads + 2) + A * (2 * D + HE + 3 * F + 2 * GE), input = 4 * D;
    if (arch_has(c->arch, ROLE_GAIN_Q)) inside += 4 * (HE + 2 * GE);
    double product = HE + 2 * GE; /* of q, k and v, and of gate and up with an adapter */
    if (frozen && 2 * F > product) product = 2 * F;
    double shared = 4 * (2 * D + product + (F > HE ? F : HE) + 2 * HE + 2 * GE) + A * 2 * F;
    if (arch_has(c->arch, ROLE_NORM_ATTENDED)) inside += 4 * (2 * D + 2);
    model_memory out = {0};
    /* The matrices in the backend's packing, the embedding's rows beside it, a second packing where backward
     * runs. */
    out.weights =
        A * (n.matrices * (trainable && !frozen ? 2 : 1) + V * D * (c->tied ? 2 : 3)) + 4 * n.vectors;
    double trained = frozen ? adapted : n.all;
    out.weights += 4 * adapted; /* as products take them */
    out.masters = trainable ? 4 * trained : 0;
    out.optimizer = trainable ? 3 * 4 * trained : 0; /* gradient and two moments */
    double tapes = trainable && !options->recompute ? L : 1;
    out.workspace = (double)tape_tokens * (inside * tapes + (trainable ? input * L : 0) + shared);
    out.kv = (double)kv_tokens * 2 * GE * A * L;
    return out;
}
