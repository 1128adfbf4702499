/* Which policy of a run was best, by the recipe's own evaluations (eval.method on eval.set). */
#ifndef ESPALIER_LOOP_BEST_POLICY_H
#define ESPALIER_LOOP_BEST_POLICY_H

#include "recipe/recipe.h"
#include "store/store.h"

typedef struct {
    int64_t iteration; /* of the highest accuracy, the first among equals; -1: nothing was evaluated yet */
    double accuracy;
    int64_t evaluations; /* of later iterations: none of them is better */
} best_policy;

esp_status best_policy_read(store *s, const recipe *r, best_policy *out, esp_error *error);

#endif
