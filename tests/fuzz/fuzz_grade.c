/* libFuzzer: pairs of answers, compared (grade_pairs.h), each in bounded time. Build with clang
 * -fsanitize=fuzzer,address,undefined. */
#include "grade_pairs.h"

#include <time.h>

/* Processor time of an input: six comparisons of at most 50 ms, and what the sanitizers cost. */
enum { MOST_SECONDS = 3 };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    double start = seconds();
    fuzz_pair(bytes, n);
    if (seconds() - start > MOST_SECONDS) {
        fprintf(stderr, "%.1f s\n", seconds() - start);
        abort();
    }
    return 0;
}
