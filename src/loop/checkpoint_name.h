/* The names of the folders in checkpoints/. What a run writes has a name of these forms, and only such a
 * folder may the program replace or remove: all others are the user's.
 *
 *   sft, iteration-N        the policy after a phase
 *   PHASE-N-at-U            within a phase, after U of its updates
 *   NAME.aside              any of these, while it is written
 *   NAME.PID.old, PHASE-N-at-U.old  while it is removed */
#ifndef ESPALIER_LOOP_CHECKPOINT_NAME_H
#define ESPALIER_LOOP_CHECKPOINT_NAME_H

#include <stdbool.h>
#include <stdint.h>

enum { CHECKPOINT_NAME_MAX = 128 }; /* bytes, with the zero; store_position.checkpoint */

typedef enum {
    CHECKPOINT_FOREIGN, /* not a name of the program's */
    CHECKPOINT_FINAL,   /* after a phase */
    CHECKPOINT_BETWEEN, /* within a phase */
    CHECKPOINT_REMAINS, /* half-written or half-removed: what a kill leaves */
} checkpoint_kind;

typedef struct {
    checkpoint_kind kind;
    int64_t iteration; /* 0 for SFT */
    int64_t update;    /* of CHECKPOINT_BETWEEN */
} checkpoint_name;

/* Strict: digits without sign or leading zeros, nothing before or after. */
checkpoint_name checkpoint_name_read(const char *name);
/* Whether `a` was written after `b` in an uninterrupted run; both final or between. */
bool checkpoint_name_after(const checkpoint_name *a, const checkpoint_name *b);

void checkpoint_name_final(char out[CHECKPOINT_NAME_MAX], int64_t iteration);
void checkpoint_name_between(char out[CHECKPOINT_NAME_MAX], int64_t iteration, int64_t update);

#endif
