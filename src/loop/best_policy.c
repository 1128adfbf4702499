#include "loop/best_policy.h"

#include "eval/evaluate.h"

esp_status best_policy_read(store *s, const recipe *r, best_policy *out, esp_error *error) {
    store_evals evals;
    *out = (best_policy){.iteration = -1};
    ESP_TRY(evaluations_of_recipe(s, r, &evals, error));
    for (int64_t i = 0; i < evals.count; i++) {
        const store_eval *e = &evals.at[i];
        if (i == 0 || e->accuracy > out->accuracy)
            *out = (best_policy){.iteration = e->iteration, .accuracy = e->accuracy};
        else
            out->evaluations++;
    }
    STORE_LIST_FREE(&evals);
    return ESP_OK;
}
