#include "app/run_policy.h"

#include "base/file.h"
#include "loop/checkpoint.h"

esp_status run_policy_path(const char *run, const char *wanted, char **out, esp_error *error) {
    *out = NULL;
    store *s;
    store_position at = {0};
    ESP_TRY(store_open(&s, run, STORE_READ, error));
    esp_status status = store_position_get(s, &at, error);
    store_close(s);
    ESP_TRY(status);
    const char *name = wanted[0] ? wanted : at.checkpoint;
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
