#include "model/arch.h"

#include <stdio.h>
#include <string.h>

#define ROW(name) &name,
static const arch *const archs[] = {ARCHS(ROW)};
#undef ROW
enum { ARCH_COUNT = sizeof archs / sizeof *archs };

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

const arch *arch_by_gguf(const char *name) {
    for (int i = 0; i < ARCH_COUNT; i++)
        if (archs[i]->gguf && strcmp(archs[i]->gguf, name) == 0) return archs[i];
    return NULL;
}

esp_status arch_unknown(const char *where, const char *name, esp_error *error) {
    char hint[256] = "supported are";
    for (int i = 0; i < ARCH_COUNT; i++) {
        size_t used = strlen(hint);
        snprintf(hint + used, sizeof hint - used, "%s %s", i ? "," : "", archs[i]->hf);
    }
    return error_fail(error, hint, "%s: unknown architecture \"%s\"", where, name);
}
