/* The kernels for any processor: 4 lanes, the width of SSE2 and NEON. */
#define LANES        4
#define KERNEL_TABLE kernels_base
#define KERNEL_NAME  "base"
#include "compute/cpu/kernels_table.inc"
