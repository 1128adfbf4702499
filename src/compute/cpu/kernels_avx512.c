/* The kernels for AVX-512 (F, BW, DQ, VL): 16 lanes. */
#define LANES        16
#define KERNEL_TABLE kernels_avx512
#define KERNEL_NAME  "avx512"
#include "compute/cpu/kernels_table.inc"
