/* Architectures: what one differs from another in is a row of constants. To add one, see CONTRIBUTING.md. */
#ifndef ESPALIER_MODEL_ARCH_H
#define ESPALIER_MODEL_ARCH_H

#include "compute/compute.h"
#include "model/config_io.h"
#include "model/params.h"

typedef struct {
    const char *key;
    double value;
} config_default;

struct arch {
    const char *hf;         /* "architectures" of config.json */
    const char *model_type; /* "model_type" of config.json */
    const char *gguf;       /* general.architecture of a GGUF file; NULL: not of its own */
    gate_kind gate;         /* of the feed-forward part */
    const char *gate_key;   /* of config.json, where it is not hidden_act */
    bool windows;           /* layers of layer_types other than full_attention are its own to read */
    bool partial_rotation;  /* partial_rotary_factor is its own to read */
    bool scaled_embedding;  /* by the root of the width */
    const char *wrapped;    /* "architectures" of a model that has this one under text_config; NULL: none */
    const config_default *defaults; /* of keys of config.json that may be absent; ends with a NULL key */
    const param_spec *params;
    int param_count;
    int head_width; /* where config.json gives none; 0: hidden_size / num_attention_heads */
    bool tied;      /* where config.json does not say */
    /* What this architecture has besides config_io.c's common numbers: reads it, refuses what is not
     * computed. */
    esp_status (*read)(model_config *config, const config_source *source, esp_error *error);
    void (*write)(const model_config *config, const config_sink *sink);
};

/* All of them, a row each: arch_llama is in arch_llama.c, and so on. */
#define ARCHS(X)                                                                                             \
    X(arch_llama)                                                                                            \
    X(arch_mistral)                                                                                          \
    X(arch_qwen2)                                                                                            \
    X(arch_qwen3)                                                                                            \
    X(arch_smollm3)                                                                                          \
    X(arch_gemma)                                                                                            \
    X(arch_gemma3)                                                                                           \
    X(arch_phi3)

#define DECLARE_ARCH(name) extern const arch name;
ARCHS(DECLARE_ARCH)
#undef DECLARE_ARCH

/* Whether its list of parameters has the role. */
bool arch_has(const arch *of, param_role role);

/* The architectures in the order of the table; NULL after the last. */
const arch *arch_at(int index);

/* The architecture of that name: in config.json, as its model_type, in a GGUF file. NULL where there is none.
 */
const arch *arch_by_hf(const char *name);
const arch *arch_by_model_type(const char *name);
const arch *arch_by_wrapper(const char *name); /* by `wrapped` */
const arch *arch_by_gguf(const char *name);
/* The error that names an architecture we do not have, why where that is known, and those we have. */
esp_status arch_unknown(const char *where, const char *name, esp_error *error);

#endif
