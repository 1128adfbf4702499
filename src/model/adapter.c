#include "model/adapter.h"

#include "base/memory.h"
#include "base/random.h"

#include <math.h>

/* In the order of their bits. */
static const struct {
    param_role role;
    const char *name;
} targets[] = {{ROLE_Q, "q_proj"},       {ROLE_K, "k_proj"},   {ROLE_V, "v_proj"},      {ROLE_O, "o_proj"},
               {ROLE_GATE, "gate_proj"}, {ROLE_UP, "up_proj"}, {ROLE_DOWN, "down_proj"}};
enum { TARGETS = sizeof targets / sizeof *targets };

double adapter_scale(const adapter_config *a) {
    return a->alpha / (a->rslora ? sqrt((double)a->rank) : (double)a->rank);
}

esp_status adapter_check(const adapter_config *a, const char *where, esp_error *error) {
    if (a->rank < 1 || a->rank > 4096)
        return error_fail(error, "use a rank from 1 to 4096", "%s: an adapter of rank %lld", where,
                          (long long)a->rank);
    if (!(a->alpha > 0) || !isfinite(a->alpha))
        return error_fail(error, "use an alpha above 0, such as twice the rank",
                          "%s: an adapter with alpha %g", where, a->alpha);
    if (a->targets == 0)
        return error_fail(error, "name at least one matrix", "%s: an adapter of no matrix", where);
    return ESP_OK;
}

const char *adapter_target_name(int index) {
    return index >= 0 && index < TARGETS ? targets[index].name : NULL;
}

unsigned adapter_target_bit(param_role role) {
    for (int i = 0; i < TARGETS; i++)
        if (targets[i].role == role) return 1u << i;
    return 0;
}

static void add(param_set *set, const param *base, param_side side, int64_t rows, int64_t columns) {
    param *p = &set->at[set->count++];
    *p = *base;
    p->side = side;
    p->offset = set->floats;
    p->rows = rows;
    p->columns = columns;
    set->floats += rows * columns;
}

param_set adapter_params(const param_set *base, const adapter_config *a) {
    param_set set = {.at = MEM_ARRAY(param, 2 * base->count)};
    for (const param *p = base->at; p < base->at + base->count; p++) {
        if (!(adapter_target_bit(p->spec->role) & a->targets)) continue;
        add(&set, p, PARAM_A, a->rank, p->columns);
        add(&set, p, PARAM_B, p->rows, a->rank);
    }
    return set;
}

void adapter_first_numbers(const param *p, uint64_t seed, float *out) {
    rng_key_t key =
        rng_mix(rng_mix(rng_mix(rng_key(seed), 0x61646170), (uint64_t)p->layer), (uint64_t)p->spec->role);
    double most = 1 / sqrt((double)p->columns);
    for (int64_t i = 0; i < param_floats(p); i++)
        out[i] = p->side == PARAM_B ? 0 : (float)(most * (2 * rng_uniform(key, (uint64_t)i) - 1));
}
