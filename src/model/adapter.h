/* Low-rank adapters of a model (LoRA, Hu et al. 2021): beside each matrix W [out, in] that is adapted there
 * are A [rank, in] and B [out, rank], and the model computes with W + scale B A. Only A and B are trained, so
 * the model's trainable parameters (model_trainable) are those alone, named as PEFT names them; W is frozen
 * and kept once. Sampling uses W and the adapter side by side, as training does: to add them up would round
 * another model into being. */
#ifndef ESPALIER_MODEL_ADAPTER_H
#define ESPALIER_MODEL_ADAPTER_H

#include "compute/compute.h"
#include "model/params.h"

/* The matrices that can be adapted: bits of adapter_config.targets. */
enum {
    ADAPT_Q = 1,
    ADAPT_K = 2,
    ADAPT_V = 4,
    ADAPT_O = 8,
    ADAPT_GATE = 16,
    ADAPT_UP = 32,
    ADAPT_DOWN = 64,
    ADAPT_ALL = 127
};

typedef struct {
    int64_t rank; /* 0: no adapter */
    double alpha; /* the scale is alpha / rank, or alpha / sqrt(rank) where rslora */
    bool rslora;  /* Kalajdzievski 2023 */
    unsigned targets;
} adapter_config;

double adapter_scale(const adapter_config *a);
/* Rank, alpha and targets are in range; `where` is named in the error. */
esp_status adapter_check(const adapter_config *a, const char *where, esp_error *error);
/* The name of target `index` ("q_proj", ...) and NULL after the last; the bit of a role, 0 where it has none.
 */
const char *adapter_target_name(int index);
unsigned adapter_target_bit(param_role role);
/* The parameters of an adapter of a model with these parameters: of each matrix A, then B. Freed with
 * params_free. */
param_set adapter_params(const param_set *base, const adapter_config *a);
/* The first numbers of one: A uniform within 1 / sqrt(in), as PEFT's (Kaiming with a = sqrt(5)), B zero. */
void adapter_first_numbers(const param *p, uint64_t seed, float *out);

#endif
