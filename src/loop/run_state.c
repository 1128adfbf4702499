#include "loop/run_state.h"

#include "base/file.h"
#include "loop/phase_order.h"

#include <string.h>

static void put(char **field, const char *text) {
    mem_free(*field);
    *field = mem_strdup(text);
}

void run_holds(run_state *run, const char *checkpoint) {
    put(&run->in_model, checkpoint);
    if (run->judge) put(&run->in_judge, checkpoint);
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
    put(&run->in_model, checkpoint);
    return ESP_OK;
}

/* ---- a judge with weights of its own ---- */

/* A judge is theta_0 until it has been taught: the one beside it, if it came with one. */
static esp_status read_first_judge(run_state *run, esp_error *error) {
    char *given = run_theta_0(run);
    const char *path = given ? given : run->session.recipe->model.path;
    char *beside = path_join(path, JUDGE_FOLDER);
    esp_status status = model_load_weights(run->judge, file_is_folder(beside) ? beside : path, error);
    mem_free(beside);
    mem_free(given);
    return status;
}

esp_status run_load_judge(run_state *run, const char *checkpoint, const trainer_settings *settings,
                          esp_error *error) {
    const recipe *r = run->session.recipe;
    if (r->self_eval.weights != RECIPE_WEIGHTS_OWN || !r->search.config.rewards.judge) return ESP_OK;
    bool holds = run->judge && run->in_judge && strcmp(run->in_judge, checkpoint) == 0;
    if (holds && (!settings || run->judge_trainer)) return ESP_OK;
    if (!run->judge) ESP_TRY(session_open_model(&run->session, NULL, true, &run->judge, error));
    if (settings && !run->judge_trainer)
        ESP_TRY(trainer_new(&run->judge_trainer, run->judge, settings, error));
    if (checkpoint_name_read(checkpoint).iteration > 0)
        ESP_TRY(checkpoint_read_judge(run->folder, checkpoint, run->judge, run->judge_trainer, error));
    else
        ESP_TRY(read_first_judge(run, error));
    put(&run->in_judge, checkpoint);
    return ESP_OK;
}

esp_status run_save(run_state *run, const char *checkpoint, bool optimizer, esp_error *error) {
    checkpoint_part policy = {run->model, optimizer ? run->trainer : NULL},
                    judge = {run->judge, run->judge_trainer};
    return checkpoint_write(run->folder, checkpoint, &run->session, &policy, &judge, error);
}

void run_state_free_models(run_state *run) {
    trainer_free(run->trainer);
    trainer_free(run->judge_trainer);
    model_free(run->model);
    model_free(run->judge);
    mem_free(run->in_model);
    mem_free(run->in_judge);
}
