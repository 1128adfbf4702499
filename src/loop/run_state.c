#include "loop/run_state.h"

#include "base/file.h"
#include "loop/best_policy.h"
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

/* Folder of theta_0, checked; NULL: the model as given. Freed by mem_free. */
static esp_status theta_0_path(const run_state *run, char **out, esp_error *error) {
    bool trained = run->session.recipe->sft.epochs > 0 && (run->phases & RUN_SFT), known;
    *out = NULL;
    if (!trained) return ESP_OK;
    char *place = checkpoint_place("sft");
    esp_status status = store_check_files(run->store, place, &known, error);
    if (status == ESP_OK) *out = checkpoint_path(run->folder, "sft");
    mem_free(place);
    return status;
}

esp_status run_open_theta_0(run_state *run, model **out, esp_error *error) {
    char *path;
    ESP_TRY(theta_0_path(run, &path, error));
    esp_status status;
    if (run->model && model_has_adapter(run->model))
        status = model_over(out, run->model, path ? path : run->session.recipe->model.path, false, error);
    else
        status = session_open_model(&run->session, path, false, out, error);
    mem_free(path);
    return status;
}

esp_status run_write_checkpoint(run_state *run, const char *checkpoint, const trainer *t, esp_error *error) {
    STORE_LIST_FREE(&run->written);
    ESP_TRY(store_check_place(run->store, error));
    checkpoint_part policy = {run->model, t}, judge = {run->judge, run->judge_trainer};
    return checkpoint_write(run->folder, checkpoint, &run->session, &policy, &judge, &run->written, error);
}

esp_status run_tidy(run_state *run, const store_position *at, esp_error *error) {
    const recipe *r = run->session.recipe;
    best_policy best = {.iteration = -1};
    if (r->run.keep == RECIPE_KEEP_BEST) ESP_TRY(best_policy_read(run->store, r, &best, error));
    return checkpoint_tidy(run->store, at, r->run.keep, best.iteration, error);
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
    put(&run->in_model, checkpoint);
    return ESP_OK;
}

/* ---- a judge with weights of its own ---- */

/* A judge is theta_0 until it has been taught: the one beside it, if it came with one. Freed by mem_free. */
static esp_status first_judge_path(const run_state *run, char **out, esp_error *error) {
    char *given;
    *out = NULL;
    ESP_TRY(theta_0_path(run, &given, error));
    const recipe *r = run->session.recipe;
    const char *path = given ? given : r->model.path;
    char *beside = path_join(path, JUDGE_FOLDER);
    bool own = r->self_eval.weights == RECIPE_WEIGHTS_OWN && file_is_folder(beside);
    *out = own ? beside : mem_strdup(path);
    if (!own) mem_free(beside);
    mem_free(given);
    return ESP_OK;
}

static esp_status read_first_judge(run_state *run, esp_error *error) {
    char *path;
    ESP_TRY(first_judge_path(run, &path, error));
    esp_status status = model_load_weights(run->judge, path, error);
    mem_free(path);
    return status;
}

esp_status run_open_first_judge(run_state *run, model **out, esp_error *error) {
    char *path;
    *out = NULL;
    ESP_TRY(first_judge_path(run, &path, error));
    esp_status status = session_open_model(&run->session, path, false, out, error);
    mem_free(path);
    return status;
}

/* Over the policy's base, where that is frozen. */
static esp_status open_judge(run_state *run, esp_error *error) {
    if (run->model && model_has_adapter(run->model))
        return model_over(&run->judge, run->model, NULL, true, error);
    return session_open_model(&run->session, NULL, true, &run->judge, error);
}

esp_status run_load_judge(run_state *run, const char *checkpoint, const trainer_settings *settings,
                          esp_error *error) {
    const recipe *r = run->session.recipe;
    if (r->self_eval.weights != RECIPE_WEIGHTS_OWN || !r->search.config.rewards.judge) return ESP_OK;
    bool holds = run->judge && run->in_judge && strcmp(run->in_judge, checkpoint) == 0;
    if (holds && (!settings || run->judge_trainer)) return ESP_OK;
    if (!run->judge) ESP_TRY(open_judge(run, error));
    if (settings && !run->judge_trainer)
        ESP_TRY(trainer_new(&run->judge_trainer, run->judge, settings, error));
    if (checkpoint_name_read(checkpoint).iteration > 0)
        ESP_TRY(checkpoint_read_judge(run->folder, checkpoint, run->judge, run->judge_trainer, error));
    else
        ESP_TRY(read_first_judge(run, error));
    put(&run->in_judge, checkpoint);
    return ESP_OK;
}

void run_state_free_models(run_state *run) {
    trainer_free(run->trainer);
    trainer_free(run->judge_trainer);
    model_free(run->judge); /* before the policy, whose base it may use */
    model_free(run->model);
    mem_free(run->in_model);
    mem_free(run->in_judge);
}
