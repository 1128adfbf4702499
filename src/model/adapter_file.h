/* The folder of an adapter as PEFT writes and reads it: adapter_config.json and adapter_model.safetensors,
 * and of our own adapter_base.json, a hash of the weights that it was trained over. */
#ifndef ESPALIER_MODEL_ADAPTER_FILE_H
#define ESPALIER_MODEL_ADAPTER_FILE_H

#include "model/adapter.h"
#include "text/tokenizer.h"

#include <stdbool.h>

typedef struct {
    adapter_config config;
    char *base;         /* where the base is, found from here */
    bool hashed;        /* whether the folder says which weights the base had; PEFT's do not */
    uint64_t base_hash; /* of its numbers in the order of the parameters */
} adapter_folder;

/* Whether the path is a folder with an adapter_config.json. */
bool adapter_is_at(const char *path);
/* Reads what the folder says, but for the tensors. What is not computed here is refused by name: DoRA,
 * trained biases, other matrices, ranks that differ. Errors: the same, a base that is not there. */
esp_status adapter_folder_read(const char *path, adapter_folder *out, esp_error *error);
void adapter_folder_free(adapter_folder *f);
/* Writes both JSON files. */
esp_status adapter_folder_write(const char *path, const adapter_folder *f, esp_error *error);

/* Where the tokenizer of the model at path is: there, or with the base of an adapter that brings none. Freed
 * by mem_free. The second opens it. */
esp_status adapter_tokenizer_path(const char *path, char **out, esp_error *error);
esp_status adapter_tokenizer_open(tokenizer **out, const char *path, esp_error *error);
/* Fails where a and b are not the same adapter but for their numbers. */
esp_status adapter_same(const adapter_config *a, const adapter_config *b, const char *where,
                        esp_error *error);

#endif
