/* What whole checkpoints (checkpoint.c) and adapters (adapter_checkpoint.c) share: where parameters' numbers
 * come from, and how they are written. */
#ifndef ESPALIER_MODEL_CHECKPOINT_H
#define ESPALIER_MODEL_CHECKPOINT_H

#include "formats/tensor_file.h"
#include "model/internal.h"

/* Where the numbers of a checkpoint are, and what they are to be. */
typedef struct {
    const tensor_source *source;
    const model_config *config;
} checkpoint;

/* Opens what the path names: weights and configuration, checked, nothing loaded yet. */
esp_status checkpoint_open(tensor_source **source, model_config *config, const char *path, esp_error *error);
/* Every tensor of the checkpoint must be a parameter: one that is not understood would change the model. */
esp_status checkpoint_check_known(const checkpoint *c, const param_set *params, esp_error *error);
/* A param_reader of a `checkpoint`: one parameter as floats, in Hugging Face row order, out [rows, columns].
 */
esp_status checkpoint_read_param(void *user, const param *p, float *out, esp_error *error);
/* Reads all parameters and keeps none. */
esp_status checkpoint_check_params(const checkpoint *c, const param_set *params, esp_error *error);
/* A model of this shape, without numbers, if there is memory for it. path: for the error. */
esp_status checkpoint_allocate(model **out, const checkpoint *from, const char *path,
                               const model_options *options, esp_error *error);
/* Writes folder/name, parameters one after another; `read` gives their numbers. */
esp_status checkpoint_write_params(const param_set *params, param_reader *read, void *user,
                                   const char *folder, const char *name, dtype type, esp_error *error);
/* A param_reader of a `model`: its masters. */
esp_status checkpoint_read_master(void *user, const param *p, float *out, esp_error *error);
/* Writes a whole model's folder, after a look at the tensors of `from`; `read` gives the numbers. */
esp_status checkpoint_convert(const checkpoint *from, param_reader *read, void *user, const char *folder,
                              dtype type, esp_error *error);

/* ---- Of adapters: what the functions of model.h with such names do where there is one ---- */

esp_status adapter_read_base_config(model_config *out, const char *path, esp_error *error);
esp_status adapter_check_weights(const char *path, esp_error *error);
esp_status adapter_open_model(model **out, const char *path, const model_options *options, esp_error *error);
/* Fills a model with a new adapter from its base. */
esp_status adapter_begin(model *m, const checkpoint *base, const char *path, esp_error *error);
esp_status adapter_load_other(model *m, const char *path, esp_error *error);
esp_status adapter_save(const model *m, const char *folder, dtype type, esp_error *error);
esp_status adapter_convert_merged(const char *path, const char *folder, dtype type, esp_error *error);

#endif
