/* The problems that an iteration searches, and their order (docs/method.md 1.4): the next ones of a seeded
 * shuffle, or those that the policy now and then solves, as the trees of earlier iterations tell. A function
 * of the seed, the iteration and those trees, so that a resumed run chooses the same. */
#ifndef ESPALIER_LOOP_CHOICE_H
#define ESPALIER_LOOP_CHOICE_H

#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

/* How the chains of one tree ended, as search_outcome_sign counts them. */
typedef struct {
    int64_t iteration, problem; /* problem: its place in the train set */
    int64_t right, wrong;
} choice_evidence;

typedef struct {
    int64_t problems;      /* of the train set */
    int64_t per_iteration; /* B */
    int64_t seed, iteration;
} choice_settings;

typedef struct {
    choice_settings set;
    int64_t *order; /* [problems] */
    int64_t epoch;  /* of the shuffle that `order` holds; -1: none */
    bool learnable; /* `order` is the iteration's own */
} choice;

/* The next B problems of a shuffle, a new one each epoch. */
void choice_shuffle(choice *out, const choice_settings *set);
/* Most of an iteration by how learnable a problem is, every tenth problem by the shuffle. from [n]: the trees
 * of earlier iterations, in their order. */
void choice_learnable(choice *out, const choice_settings *set, const choice_evidence *from, int64_t n);
void choice_free(choice *c);

/* The problem at a place of the iteration, from 0: its place in the train set. An iteration that is longer
 * than the train set repeats problems; *turn says how often it has come by this problem before. */
int64_t choice_at(choice *c, int64_t ordinal, int64_t *turn);

#endif
