#include "app/run_policy.h"

#include "base/file.h"
#include "loop/best_policy.h"
#include "loop/checkpoint.h"
#include "loop/provenance.h"

#include <string.h>

static esp_status name_best(store *s, char out[CHECKPOINT_NAME_MAX], esp_error *error) {
    recipe *r;
    best_policy best;
    ESP_TRY(provenance_read_recipe(store_folder(s), &r, error));
    esp_status status = best_policy_read(s, r, &best, error);
    recipe_free(r);
    ESP_TRY(status);
    if (best.iteration < 1)
        return error_fail(error, "name a folder of its checkpoints/", "%s: %s", store_folder(s),
                          best.iteration < 0 ? "no policy was evaluated"
                                             : "the policy before the first iteration was the best");
    checkpoint_name_final(out, best.iteration);
    return ESP_OK;
}

esp_status run_policy_path(const char *run, const char *wanted, char **out, esp_error *error) {
    *out = NULL;
    store *s;
    store_position at = {0};
    char best[CHECKPOINT_NAME_MAX] = "";
    ESP_TRY(store_open(&s, run, STORE_READ, error));
    esp_status status = store_position_get(s, &at, error);
    if (status == ESP_OK && strcmp(wanted, "best") == 0) status = name_best(s, best, error);
    store_close(s);
    ESP_TRY(status);
    const char *name = best[0] ? best : wanted[0] ? wanted : at.checkpoint;
    if (!name[0])
        return error_fail(error, "use the model that the run started from, its model.path",
                          "%s: the run has no trained policy yet", run);
    *out = checkpoint_path(run, name);
    if (file_is_folder(*out)) return ESP_OK;
    error_fail(error, "its policies are the folders in checkpoints/", "%s: the run has no policy %s", run,
               name);
    mem_free(*out);
    *out = NULL;
    return ESP_FAILED;
}
