/* The kernels for AVX2 and FMA: 8 lanes. */
#define LANES        8
#define KERNEL_TABLE kernels_avx2
#define KERNEL_NAME  "avx2"
#include "compute/cpu/kernels_table.inc"
