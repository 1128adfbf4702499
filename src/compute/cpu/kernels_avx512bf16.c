/* The kernels for AVX-512 with dot products of bf16 (BF16): those of AVX-512, and attention's own. */
#define LANES        16
#define KERNEL_TABLE kernels_avx512bf16
#define KERNEL_NAME  "avx512bf16"
#include "compute/cpu/kernels_table.inc"
