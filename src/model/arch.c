#include "model/arch.h"

#include <string.h>

static const arch *const archs[] = {&arch_llama, &arch_mistral};
enum { ARCHS = sizeof archs / sizeof *archs };

const arch *arch_by_hf(const char *name) {
    for (int i = 0; i < ARCHS; i++)
        if (strcmp(archs[i]->hf, name) == 0) return archs[i];
    return NULL;
}

const arch *arch_by_gguf(const char *name) {
    for (int i = 0; i < ARCHS; i++)
        if (archs[i]->gguf && strcmp(archs[i]->gguf, name) == 0) return archs[i];
    return NULL;
}
