/* Architectures: what one differs from another in is a row of constants. To add one, see CONTRIBUTING.md. */
#ifndef ESPALIER_MODEL_ARCH_H
#define ESPALIER_MODEL_ARCH_H

#include "model/params.h"

struct arch {
    const char *hf;         /* "architectures" of config.json */
    const char *model_type; /* "model_type" of config.json */
    const char *gguf;       /* general.architecture of a GGUF file; NULL: not of its own */
    const param_spec *params;
    int param_count;
};

extern const arch arch_llama, arch_mistral;

/* The architecture of that name in config.json; in a GGUF file. NULL where there is none. */
const arch *arch_by_hf(const char *name);
const arch *arch_by_gguf(const char *name);

#endif
