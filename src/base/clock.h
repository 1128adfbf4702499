/* Monotonic time, for rates and durations. Nothing that a run computes may depend on it. */
#ifndef ESPALIER_BASE_CLOCK_H
#define ESPALIER_BASE_CLOCK_H

double clock_seconds(void); /* since an arbitrary moment */

#endif
