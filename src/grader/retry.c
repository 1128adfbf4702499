#include "grader/retry.h"

#include <math.h>

bool retry_may_help(long status) {
    return status == 408 || status == 429 || (status >= 500 && status != 501);
}

double retry_seconds(int tries) {
    return fmin(30, ldexp(0.5, tries - 1));
}
