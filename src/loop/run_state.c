#include "loop/run_state.h"

#include "loop/phase_order.h"

#include <string.h>

void run_holds(run_state *run, const char *checkpoint) {
    mem_free(run->in_model);
    run->in_model = mem_strdup(checkpoint);
}

esp_status run_open_theta_0(run_state *run, model **out, esp_error *error) {
    bool trained = run->session.recipe->sft.epochs > 0 && (run->phases & RUN_SFT), known;
    if (!trained) return session_open_model(&run->session, NULL, false, out, error);
    char *path = checkpoint_path(run->folder, "sft"), *place = checkpoint_place("sft");
    esp_status status = store_check_files(run->store, place, &known, error);
    if (status == ESP_OK) status = session_open_model(&run->session, path, false, out, error);
    mem_free(place);
    mem_free(path);
    return status;
}

esp_status run_write_checkpoint(run_state *run, const char *checkpoint, const trainer *t, esp_error *error) {
    STORE_LIST_FREE(&run->written);
    ESP_TRY(store_check_place(run->store, error));
    return checkpoint_write(run->folder, checkpoint, &run->session, run->model, t, &run->written, error);
}

static esp_status record_move(run_state *run, const store_position *next, esp_error *error) {
    char *place = checkpoint_place(next->checkpoint);
    esp_status status = run->written.count ? store_forget_files(run->store, place, error) : ESP_OK;
    mem_free(place);
    for (int64_t i = 0; i < run->written.count && status == ESP_OK; i++)
        status = store_add_file(run->store, &run->written.at[i], error);
    return status == ESP_OK ? store_position_set(run->store, next, error) : status;
}

esp_status run_move(run_state *run, const store_position *next, esp_error *error) {
    ESP_TRY(store_begin(run->store, error));
    esp_status status = record_move(run, next, error);
    if (status == ESP_OK)
        status = store_commit(run->store, error);
    else
        store_rollback(run->store);
    STORE_LIST_FREE(&run->written);
    return status;
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
