/* A policy as the small verbs (score, tokenize, generate) open it: flags that name the model and how it is
 * computed, and the compute layer, model and tokenizer that they open. */
#ifndef ESPALIER_APP_LOADED_MODEL_H
#define ESPALIER_APP_LOADED_MODEL_H

#include "model/model.h"
#include "base/options.h"
#include "text/tokenizer.h"

typedef struct {
    char *model;
    int dtype;   /* 0 bf16, 1 f32 */
    int compute; /* of compute_kind */
    int64_t threads, context;
    bool recompute; /* of a model that is opened to train */
} model_flags;

/* Rows of a verb's option table, for the model_flags that is `member` of its struct. */
#define MODEL_FLAG_MODEL(owner, member)                                                                      \
    {                                                                                                        \
        .flag = "--model", .type = OPTION_PATH, .marks = OPTION_REQUIRED,                                    \
        .offset = offsetof(owner, member.model), .help = "folder in Hugging Face layout, or a GGUF file"     \
    }
#define MODEL_FLAGS(owner, member) MODEL_FLAG_MODEL(owner, member), MODEL_FLAGS_COMPUTE(owner, member)
#define MODEL_FLAGS_COMPUTE(owner, member)                                                                   \
    {.flag = "--dtype",                                                                                      \
     .type = OPTION_ENUM,                                                                                    \
     .choices = "bf16|f32",                                                                                  \
     .initial = "bf16",                                                                                      \
     .offset = offsetof(owner, member.dtype),                                                                \
     .help = "numbers that matrices are multiplied in"},                                                     \
        {.flag = "--compute",                                                                                \
         .type = OPTION_ENUM,                                                                                \
         .choice = compute_kind,                                                                             \
         .initial = "cpu",                                                                                   \
         .offset = offsetof(owner, member.compute),                                                          \
         .help = "fused kernels and oneDNN, or plain loops to check them by"},                               \
        {.flag = "--threads",                                                                                \
         .type = OPTION_INT,                                                                                 \
         .initial = "0",                                                                                     \
         .low = 0,                                                                                           \
         .high = 4096,                                                                                       \
         .offset = offsetof(owner, member.threads),                                                          \
         .help = "threads of the compute layer; 0: one per core"},                                           \
    {                                                                                                        \
        .flag = "--context", .type = OPTION_INT, .initial = "0", .low = 0, .high = 1e7,                      \
        .offset = offsetof(owner, member.context), .help = "tokens of context; 0: the model's own"           \
    }

typedef struct {
    compute *compute;
    model *model;
    tokenizer *tokenizer; /* NULL until loaded_model_need_tokenizer */
    const char *path;     /* borrowed from the flags */
} loaded_model;

/* Opens compute layer and model (trainable: with f32 masters). On failure nothing is left to close. */
esp_status loaded_model_open(loaded_model *out, const model_flags *flags, bool trainable, esp_error *error);
/* Opens the tokenizer where it is first needed, so that rows of ids need none. */
esp_status loaded_model_need_tokenizer(loaded_model *p, esp_error *error);
void loaded_model_close(loaded_model *p);

#endif
