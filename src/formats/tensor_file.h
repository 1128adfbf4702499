/* A source of weights in any format: one safetensors file, a Hugging Face folder
 * (model.safetensors, or model.safetensors.index.json and its shards), or a GGUF file. Files are mapped, not
 * copied; entries and their strings are valid until the source is closed. */
#ifndef ESPALIER_FORMATS_TENSOR_FILE_H
#define ESPALIER_FORMATS_TENSOR_FILE_H

#include "formats/gguf.h"
#include "formats/tensor.h"

typedef struct tensor_source tensor_source;

/* path: a folder, a safetensors file, an index (*.index.json) or a GGUF file (recognised by its first bytes).
 * A damaged, truncated or missing file is an error. Tensors have their names in the file (GGUF:
 * "blk.0.attn_q.weight"). */
esp_status tensor_source_open(tensor_source **out, const char *path, esp_error *error);
void tensor_source_close(tensor_source *s);

/* NULL if there is no tensor of that name. Any number of threads may call it at the same time. */
const tensor_entry *tensor_source_find(const tensor_source *s, const char *name);
int64_t tensor_source_count(const tensor_source *s);
const tensor_entry *tensor_source_at(const tensor_source *s, int64_t i); /* by name, ascending */
const char *tensor_source_path(const tensor_source *s);                  /* as it was opened */

/* The source's GGUF file, for its metadata; NULL for safetensors. */
const gguf_file *tensor_source_gguf(const tensor_source *s);

#endif
