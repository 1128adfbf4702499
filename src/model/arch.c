#include "model/arch.h"

#include <stdio.h>
#include <string.h>

#define ROW(name) &name,
static const arch *const archs[] = {ARCHS(ROW)};
#undef ROW
enum { ARCH_COUNT = sizeof archs / sizeof *archs };

bool arch_has(const arch *of, param_role role) {
    for (int i = 0; i < of->param_count; i++)
        if (of->params[i].role == role) return true;
    return false;
}

const arch *arch_at(int index) {
    return index < ARCH_COUNT ? archs[index] : NULL;
}

const arch *arch_by_hf(const char *name) {
    for (int i = 0; i < ARCH_COUNT; i++)
        if (strcmp(archs[i]->hf, name) == 0) return archs[i];
    return NULL;
}

const arch *arch_by_model_type(const char *name) {
    for (int i = 0; i < ARCH_COUNT; i++)
        if (strcmp(archs[i]->model_type, name) == 0) return archs[i];
    return NULL;
}

const arch *arch_by_wrapper(const char *name) {
    for (int i = 0; i < ARCH_COUNT; i++)
        if (archs[i]->wrapped && strcmp(archs[i]->wrapped, name) == 0) return archs[i];
    return NULL;
}

const arch *arch_by_gguf(const char *name) {
    for (int i = 0; i < ARCH_COUNT; i++)
        if (archs[i]->gguf && strcmp(archs[i]->gguf, name) == 0) return archs[i];
    return NULL;
}

/* Parts of the names, in either kind of file, of families that need what is not computed here. */
static const struct {
    const char *part, *why;
} not_computed[] = {
    {"Moe", "mixtures of experts"},
    {"moe", "mixtures of experts"},
    {"MoE", "mixtures of experts"},
    {"ixtral", "mixtures of experts"},
    {"lama4", "mixtures of experts"},
    {"eepseek", "latent attention and mixtures of experts"},
    {"emma2", "soft caps of logits"},
    {"emma3n", "inputs per layer"},
    {"emma4", "inputs per layer"},
    {"GptOss", "attention sinks and mixtures of experts"},
    {"gpt-oss", "attention sinks and mixtures of experts"},
};

esp_status arch_unknown(const char *where, const char *name, esp_error *error) {
    char hint[512] = "supported are";
    for (int i = 0; i < ARCH_COUNT; i++) {
        size_t used = strlen(hint);
        snprintf(hint + used, sizeof hint - used, "%s %s", i ? "," : "", archs[i]->hf);
    }
    for (size_t i = 0; i < sizeof not_computed / sizeof *not_computed; i++)
        if (strstr(name, not_computed[i].part))
            return error_fail(error, hint, "%s: architecture \"%s\" is not supported: it has %s", where, name,
                              not_computed[i].why);
    return error_fail(error, hint, "%s: unknown architecture \"%s\"", where, name);
}
