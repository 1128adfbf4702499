/* Converts GGUF's block formats to floats. A block contains 32 or 256 weights as small integers with one or
 * two f16 scales; the "K" formats divide a block of 256 into groups, each with an integer scale. Source:
 * ggml's block layouts (ggml-common.h), as documented with GGUF. */
#ifndef ESPALIER_FORMATS_DEQUANTIZE_H
#define ESPALIER_FORMATS_DEQUANTIZE_H

#include "formats/tensor.h"

/* Converts `blocks` blocks at `from` (any alignment) to out [blocks * tensor_type_block(type)]. type must be
 * one of Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K. */
void dequantize_blocks(tensor_type type, const uint8_t *from, int64_t blocks, float *out);

#endif
