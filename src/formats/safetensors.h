/* Safetensors files: an 8-byte length, a JSON header of that length (name -> dtype, shape, data_offsets),
 * then the tensors' bytes without gaps. Reading maps the file and checks the header against it. Writing
 * streams, so that there is never a second copy of the weights. Source: the format description of the
 * safetensors library. */
#ifndef ESPALIER_FORMATS_SAFETENSORS_H
#define ESPALIER_FORMATS_SAFETENSORS_H

#include "formats/tensor.h"

/* Most callers use tensor_file.h instead, which also reads sharded folders and GGUF files. */
typedef struct safetensors_file safetensors_file;
/* A damaged or truncated file is an error that names the tensor and what was expected and found. */
esp_status safetensors_open(safetensors_file **out, const char *path, esp_error *error);
void safetensors_close(safetensors_file *s);
/* Tensors in the order of their bytes in the file. */
int64_t safetensors_count(const safetensors_file *s);
const tensor_entry *safetensors_at(const safetensors_file *s, int64_t i);

/* A tensor to write. type: TENSOR_F32, TENSOR_BF16 or TENSOR_F16. */
typedef struct {
    const char *name;
    tensor_type type;
    int rank;
    int64_t shape[TENSOR_RANK_MAX];
} safetensors_spec;

/* `begin` declares all tensors and writes the header. Then `floats` adds data: tensors in any order, each
 * tensor's elements in order, in one or more calls. `end` checks that all data has been written, renames the
 * file to its final name (base/file.h: at any moment there is the old file or the new one) and frees the
 * writer, also if it fails. After a failure of `floats` call `abort`. A failure leaves no file. Metadata is
 * {"format": "pt"}. */
typedef struct safetensors_writer safetensors_writer;
esp_status safetensors_write_begin(safetensors_writer **out, const char *path, const safetensors_spec *specs,
                                   int64_t count, esp_error *error);
/* Adds the next n elements of tensor `index`, rounded to its type (to nearest, ties to even). Fails on
 * a number that is not finite, or not in that type. */
esp_status safetensors_write_floats(safetensors_writer *w, int64_t index, const float *from, int64_t n,
                                    esp_error *error);
esp_status safetensors_write_end(safetensors_writer *w, esp_error *error);
void safetensors_write_abort(safetensors_writer *w);

#endif
