/* How long matrix products take with nothing around them, through the library that the cpu backend uses: the
 * limit that `espalier bench` compares the program with. */
#ifndef ESPALIER_COMPUTE_PRODUCT_TIMES_H
#define ESPALIER_COMPUTE_PRODUCT_TIMES_H

#include "compute/compute.h"

/* Times products of `rows` rows with a packed matrix of [out, in], in `type` or, where the machine lacks it,
 * f32. One product is a warm-up; then at least `least` are timed, and more until they have taken
 * `least_seconds`, but at most `most`. Returns their seconds in seconds [most] and their number in *count. */
esp_status product_times(dtype type, int threads, int64_t rows, int64_t out, int64_t in, int least,
                         double least_seconds, int most, double *seconds, int *count, esp_error *error);

#endif
