#include "model/params.h"

#include "base/memory.h"
#include "model/arch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static int64_t dim_of(const model_config *c, param_dim dim) {
    switch (dim) {
    case DIM_ONE:
        return 1;
    case DIM_VOCAB:
        return c->vocab;
    case DIM_WIDTH:
        return c->width;
    case DIM_FEED_FORWARD:
        return c->feed_forward;
    case DIM_QUERIES:
        return (int64_t)c->heads * c->head_width;
    case DIM_KEYS:
        return (int64_t)c->kv_heads * c->head_width;
    case DIM_HEAD:
        return c->head_width;
    case DIM_QKV:
        return (int64_t)(c->heads + 2 * c->kv_heads) * c->head_width;
    case DIM_GATE_UP:
        return 2 * c->feed_forward;
    }
    return 0;
}

static bool of_a_layer(const param_spec *s) {
    return s->role >= ROLE_NORM_IN && s->role <= ROLE_NORM_FED;
}

static void add(param_set *set, const model_config *c, const param_spec *spec, int layer) {
    if (spec->role == ROLE_HEAD && c->tied) return;
    param *p = &set->at[set->count++];
    *p = (param){.spec = spec,
                 .layer = layer,
                 .offset = set->floats,
                 .rows = dim_of(c, spec->rows),
                 .columns = dim_of(c, spec->columns)};
    set->floats += param_floats(p);
}

/* Consecutive rows of a layer's roles are repeated together, layer after layer. */
param_set params_of(const model_config *c) {
    const param_spec *specs = c->arch->params;
    int n = c->arch->param_count;
    int64_t most = 0;
    for (int i = 0; i < n; i++) most += of_a_layer(&specs[i]) ? c->layers : 1;
    param_set set = {.at = MEM_ARRAY(param, most)};
    for (int i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && of_a_layer(&specs[end]) && of_a_layer(&specs[i]);) end++;
        int layers = of_a_layer(&specs[i]) ? c->layers : 1;
        for (int l = 0; l < layers; l++)
            for (int k = i; k < end; k++) add(&set, c, &specs[k], of_a_layer(&specs[k]) ? l : -1);
    }
    return set;
}

void params_free(param_set *set) {
    mem_free(set->at);
    *set = (param_set){0};
}

static param_name name_of(const char *layers, int layer, const char *rest) {
    param_name name;
    if (layer < 0)
        snprintf(name.text, sizeof name.text, "%s", rest);
    else
        snprintf(name.text, sizeof name.text, "%s.%d.%s", layers, layer, rest);
    return name;
}

param_name param_hf_name(const param *p) {
    param_name whole = name_of("model.layers", p->layer, p->spec->hf), name;
    if (p->side == PARAM_WHOLE) return whole;
    size_t stem = strlen(whole.text) - strlen(".weight");
    assert(strcmp(whole.text + stem, ".weight") == 0);
    snprintf(name.text, sizeof name.text, "base_model.model.%.*s.lora_%c.weight",
             (int)(stem < 90 ? stem : 90), whole.text, p->side == PARAM_A ? 'A' : 'B');
    return name;
}

param_name param_gguf_name(const param *p) {
    return name_of("blk", p->layer, p->spec->gguf);
}
