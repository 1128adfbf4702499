/* Where weights come from, whatever their format: one safetensors file, a Hugging Face folder
 * (model.safetensors, or model.safetensors.index.json and its shards), or a GGUF file. All are mapped, none
 * is copied; entries and the texts in them live until the source is closed. */
#ifndef ESPALIER_FORMATS_TENSOR_FILE_H
#define ESPALIER_FORMATS_TENSOR_FILE_H

#include "formats/gguf.h"
#include "formats/tensor.h"

typedef struct tensor_source tensor_source;

/* path: a folder, a safetensors file, an index (*.index.json) or a GGUF file (told by its first bytes).
 * Fails, with file, tensor and sizes, on whatever is damaged, cut off or missing. Names are the file's own
 * (GGUF: "blk.0.attn_q.weight"). */
esp_status tensor_source_open(tensor_source **out, const char *path, esp_error *error);
void tensor_source_close(tensor_source *s);

/* NULL where there is none of that name. May be called from many threads at once, as tensor_read_f32 may. */
const tensor_entry *tensor_source_find(const tensor_source *s, const char *name);
int64_t tensor_source_count(const tensor_source *s);
const tensor_entry *tensor_source_at(const tensor_source *s, int64_t i); /* by name, ascending */
const char *tensor_source_path(const tensor_source *s);                  /* as it was opened */

/* The GGUF file behind the source, for its metadata; NULL for safetensors. */
const gguf_file *tensor_source_gguf(const tensor_source *s);

#endif
