/* Safetensors files: an 8-byte length, a JSON header of that length (name -> dtype, shape, data_offsets),
 * then the tensors' bytes without gaps. Reading maps the file and checks all of the header against it;
 * writing streams, so that no second copy of the weights is ever held. Source: the format description of the
 * safetensors library. */
#ifndef ESPALIER_FORMATS_SAFETENSORS_H
#define ESPALIER_FORMATS_SAFETENSORS_H

#include "formats/tensor.h"

/* Many callers want tensor_file.h instead, which reads sharded folders and GGUF files as well. */
typedef struct safetensors_file safetensors_file;
/* Fails with the path, the tensor, and what was expected and found, where the file is damaged or cut off. */
esp_status safetensors_open(safetensors_file **out, const char *path, esp_error *error);
void safetensors_close(safetensors_file *s);
/* Tensors in the order of their bytes in the file. */
int64_t safetensors_count(const safetensors_file *s);
const tensor_entry *safetensors_at(const safetensors_file *s, int64_t i);

/* What will be written. type: TENSOR_F32, TENSOR_BF16 or TENSOR_F16. */
typedef struct {
    const char *name;
    tensor_type type;
    int rank;
    int64_t shape[TENSOR_RANK_MAX];
} safetensors_spec;

/* Declares all tensors and writes the header; then their data come in any order, each tensor's own from its
 * first element to its last in one or more calls; `end` checks that all came and puts the file in its place
 * (base/file.h: at any moment there is the old file or the new one). Metadata is {"format": "pt"}. After a
 * failure of `floats` call `abort`; `end` frees the writer in both cases. Nothing is left behind by a
 * failure. */
typedef struct safetensors_writer safetensors_writer;
esp_status safetensors_write_begin(safetensors_writer **out, const char *path, const safetensors_spec *specs,
                                   int64_t count, esp_error *error);
/* The next n elements of tensor `index` of the specs, rounded to nearest even into its type. */
esp_status safetensors_write_floats(safetensors_writer *w, int64_t index, const float *from, int64_t n,
                                    esp_error *error);
esp_status safetensors_write_end(safetensors_writer *w, esp_error *error);
void safetensors_write_abort(safetensors_writer *w);

#endif
