#include "loop/run_state.h"

#include "loop/phase_order.h"

#include <string.h>

void run_holds(run_state *run, const char *checkpoint) {
    mem_free(run->in_model);
    run->in_model = mem_strdup(checkpoint);
}

char *run_theta_0(const run_state *run) {
    bool trained = run->session.recipe->sft.epochs > 0 && (run->phases & RUN_SFT);
    return trained ? checkpoint_path(run->folder, "sft") : NULL;
}

esp_status run_load_policy(run_state *run, const char *checkpoint, const trainer_settings *settings,
                           esp_error *error) {
    bool holds = run->model && run->in_model && strcmp(run->in_model, checkpoint) == 0;
    if (holds && (!settings || run->trainer)) return ESP_OK;
    if (!run->model) ESP_TRY(session_open_model(&run->session, NULL, true, &run->model, error));
    if (settings && !run->trainer) ESP_TRY(trainer_new(&run->trainer, run->model, settings, error));
    if (!holds && run->in_model && !checkpoint[0] && run->session.recipe->model.init == RECIPE_INIT_RANDOM)
        return error_fail(error, "set sft.epochs, so that the new weights learn before they are used",
                          "model.init is random and there is no supervised fine-tuning");
    if (!holds && run->in_model && !checkpoint[0])
        ESP_TRY(model_load_weights(run->model, run->session.recipe->model.path, error));
    if (!holds && run->trainer) trainer_restart(run->trainer);
    if (checkpoint[0]) ESP_TRY(checkpoint_read(run->folder, checkpoint, run->model, run->trainer, error));
    run_holds(run, checkpoint);
    return ESP_OK;
}
