#include "loop/checkpoint.h"

#include "base/file.h"
#include "model/adapter_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *checkpoint_place(const char *name) {
    return mem_printf("checkpoints/%s", name);
}

char *checkpoint_path(const char *run, const char *name) {
    return mem_printf("%s/checkpoints/%s", run, name);
}

static char *judge_path(const char *checkpoint) {
    return path_join(checkpoint, JUDGE_FOLDER);
}

static esp_status write_part(const char *folder, const checkpoint_part *part, esp_error *error) {
    ESP_TRY(model_save(part->m, folder, DTYPE_F32, error));
    return part->t ? trainer_save(part->t, folder, error) : ESP_OK;
}

static esp_status write_judge(const char *checkpoint, const checkpoint_part *judge, esp_error *error) {
    if (!judge->m) return ESP_OK;
    char *folder = judge_path(checkpoint);
    esp_status status = folder_make(folder, error);
    if (status == ESP_OK) status = write_part(folder, judge, error);
    mem_free(folder);
    return status;
}

static esp_status sum_files(const char *folder, const char *name, store_files *files, esp_error *error) {
    char *place = checkpoint_place(name);
    esp_status status = store_sum_files(folder, place, files, error);
    mem_free(place);
    return status;
}

esp_status checkpoint_write(const char *run, const char *name, const session *s,
                            const checkpoint_part *policy, const checkpoint_part *judge, store_files *files,
                            esp_error *error) {
    *files = (store_files){0};
    char *path = checkpoint_path(run, name), *aside = mem_printf("%s.aside", path);
    esp_status status = folder_remove(aside, error);
    if (status == ESP_OK) status = folder_make_new(aside, error);
    if (status == ESP_OK) status = write_part(aside, policy, error);
    if (status == ESP_OK) status = tokenizer_save(s->tokenizer, aside, error);
    if (status == ESP_OK) status = write_judge(aside, judge, error);
    if (status == ESP_OK) status = sum_files(aside, name, files, error);
    if (status == ESP_OK)
        status = folder_replace(aside, path, error);
    else
        folder_remove(aside, NULL);
    if (status != ESP_OK) STORE_LIST_FREE(files);
    mem_free(aside);
    mem_free(path);
    return status;
}

static esp_status missing(const char *path, esp_error *error) {
    return error_fail(error, "put it back from a copy of the run, or start a new run",
                      "%s: is missing, and the run continues from it", path);
}

esp_status checkpoint_read(const char *run, const char *name, model *m, trainer *t, esp_error *error) {
    char *path = checkpoint_path(run, name), *state = path_join(path, "optimizer.safetensors");
    checkpoint_name parsed = checkpoint_name_read(name);
    bool after_sft = parsed.kind == CHECKPOINT_FINAL && parsed.iteration == 0;
    esp_status status = model_load_weights(m, path, error);
    if (status == ESP_OK && t)
        trainer_restart(t); /* where no state says otherwise, the average begins here */
    if (status == ESP_OK && t && !after_sft && !file_exists(state)) status = missing(state, error);
    if (status == ESP_OK && t && !after_sft) status = trainer_load(t, path, error);
    mem_free(state);
    mem_free(path);
    return status;
}

esp_status checkpoint_read_judge(const char *run, const char *name, model *m, trainer *t, esp_error *error) {
    char *path = checkpoint_path(run, name), *folder = judge_path(path),
         *state = path_join(folder, "optimizer.safetensors");
    esp_status status = file_is_folder(folder) ? ESP_OK : missing(folder, error);
    if (status == ESP_OK) status = model_load_weights(m, folder, error);
    if (status == ESP_OK && t && !file_exists(state)) status = missing(state, error);
    if (status == ESP_OK && t) status = trainer_load(t, folder, error);
    mem_free(state);
    mem_free(folder);
    mem_free(path);
    return status;
}

/* Renamed first: a kill must not leave half of a folder under its name. */
static esp_status remove_whole(const char *path, esp_error *error) {
    char *old = mem_printf("%s.old", path);
    esp_status status = folder_remove(old, error);
    if (status == ESP_OK && rename(path, old) != 0)
        status = error_fail(error, "check the permissions of the run's folder", "%s: cannot rename: %s", path,
                            strerror(errno));
    if (status == ESP_OK) status = folder_remove(old, error);
    mem_free(old);
    return status;
}

/* What is written and removed there must be below the run's folder: a link could lead anywhere. */
static esp_status check_own_folder(const char *path, esp_error *error) {
    struct stat about;
    if (lstat(path, &about) != 0 || S_ISDIR(about.st_mode)) return ESP_OK;
    return error_fail(error,
                      "move the folder itself there; to keep a run on another disk, put all of it there",
                      "%s: is not a folder of the run's own", path);
}

/* Goes through the names in checkpoints/ until `visit` fails. */
typedef esp_status name_visitor(void *user, const char *folder, const char *name, esp_error *error);
static esp_status visit_names(const char *run, name_visitor *visit, void *user, esp_error *error) {
    char *folder = path_join(run, "checkpoints");
    esp_status status = check_own_folder(folder, error);
    DIR *d = status == ESP_OK ? opendir(folder) : NULL;
    struct dirent *entry;
    while (d && status == ESP_OK && (entry = readdir(d)) != NULL)
        status = visit(user, folder, entry->d_name, error);
    if (d) closedir(d);
    mem_free(folder);
    return status;
}

static esp_status check_later(void *user, const char *folder, const char *name, esp_error *error) {
    const store_position *at = user;
    checkpoint_name there = checkpoint_name_read(name), here = checkpoint_name_read(at->checkpoint);
    if (there.kind != CHECKPOINT_FINAL && there.kind != CHECKPOINT_BETWEEN) return ESP_OK;
    if (at->checkpoint[0] && !checkpoint_name_after(&there, &here)) return ESP_OK;
    /* A kill between the writing of a checkpoint and the position's: the phase writes it again. */
    bool trains = at->phase == STORE_PHASE_SFT || at->phase == STORE_PHASE_LEARN;
    if (trains && there.iteration == at->iteration) return ESP_OK;
    return error_fail(
        error,
        "put back run.db and run.db-wal as they were, both; or if that folder is not the run's, "
        "move it away",
        "%s/%s: is later than what run.db knows, which is at the %s of iteration %lld: what was "
        "recorded since is missing",
        folder, name, store_phase_name(at->phase), (long long)at->iteration);
}

esp_status checkpoint_check_place(const store *s, const store_position *at, esp_error *error) {
    store_position copy = *at;
    return visit_names(store_folder(s), check_later, &copy, error);
}

/* What the position's checkpoint must have, and has. */
static esp_status check_whole(store *s, const char *name, bool needs_state, bool *known, esp_error *error) {
    char *path = checkpoint_path(store_folder(s), name);
    char *weights = path_join(path, adapter_is_at(path) ? "adapter_model.safetensors" : "model.safetensors"),
         *state = path_join(path, "optimizer.safetensors"), *place = checkpoint_place(name);
    esp_status status = ESP_OK;
    if (!file_exists(weights))
        status = missing(weights, error);
    else if (needs_state && !file_exists(state))
        status = missing(state, error);
    else
        status = store_check_files(s, place, known, error);
    mem_free(path);
    mem_free(weights);
    mem_free(state);
    mem_free(place);
    return status;
}

esp_status checkpoint_check(store *s, const store_position *at, bool needs_state, bool *known,
                            esp_error *error) {
    *known = true;
    ESP_TRY(checkpoint_check_place(s, at, error));
    return at->checkpoint[0] ? check_whole(s, at->checkpoint, needs_state, known, error) : ESP_OK;
}

static esp_status check_foreign(void *user, const char *folder, const char *name, esp_error *error) {
    (void)user;
    if (checkpoint_name_read(name).kind == CHECKPOINT_FOREIGN) return ESP_OK;
    return error_fail(error, "choose another folder, or put the run's run.db and recipe.yaml back",
                      "%s/%s: is of a run whose record is missing: a run that begins here would replace it",
                      folder, name);
}

esp_status checkpoint_check_none(const char *run, esp_error *error) {
    return visit_names(run, check_foreign, NULL, error);
}

/* The rows are forgotten first: a kill then leaves a file that is not known, and not one that is missing. */
static esp_status forget(store *s, const char *name, const char *file, esp_error *error) {
    char *place = checkpoint_place(name), *inner = path_join(place, file);
    esp_status status = store_forget_files(s, *file ? inner : place, error);
    mem_free(place);
    mem_free(inner);
    return status;
}

typedef struct {
    store *store;
    const store_position *at;
    checkpoint_name keep; /* the position's */
    recipe_keep policies;
    int64_t best; /* iteration of a policy that stays; -1: none */
} tidying;

static esp_status drop_file(store *s, const char *name, const char *path, const char *file,
                            esp_error *error) {
    char *state = path_join(path, file);
    esp_status status = ESP_OK;
    if (file_exists(state)) {
        status = forget(s, name, file, error);
        if (status == ESP_OK) unlink(state);
    }
    mem_free(state);
    return status;
}

/* Optimizer state serves only to continue. */
static esp_status drop_states(store *s, const char *name, const char *path, esp_error *error) {
    ESP_TRY(drop_file(s, name, path, "optimizer.safetensors", error));
    return drop_file(s, name, path, JUDGE_FOLDER "/optimizer.safetensors", error);
}

/* Whether the policy is of no more use where not all are kept: it is not SFT's, nor the best one's, and
 * neither the position's nor the one that this phase began with. */
static bool is_outdated(const tidying *t, const checkpoint_name *name) {
    int64_t oldest = t->keep.iteration - (t->keep.kind == CHECKPOINT_BETWEEN);
    return t->policies != RECIPE_KEEP_ALL && t->at->checkpoint[0] && name->iteration > 0 &&
           name->iteration < oldest && name->iteration != t->best;
}

static esp_status tidy_one(void *user, const char *folder, const char *name, esp_error *error) {
    const tidying *t = user;
    checkpoint_name read = checkpoint_name_read(name);
    bool own = strcmp(name, t->at->checkpoint) == 0;
    /* Nothing continues a run that is done. */
    bool has_ended = t->policies != RECIPE_KEEP_ALL && t->at->phase == STORE_PHASE_DONE;
    if (read.kind == CHECKPOINT_FOREIGN || (own && !has_ended)) return ESP_OK;
    char *path = path_join(folder, name);
    esp_status status = check_own_folder(path, error);
    if (status == ESP_OK && read.kind == CHECKPOINT_REMAINS) {
        status = folder_remove(path, error);
    } else if (status == ESP_OK && read.kind == CHECKPOINT_FINAL && !is_outdated(t, &read)) {
        status = drop_states(t->store, name, path, error);
    } else if (status == ESP_OK) {
        status = forget(t->store, name, "", error);
        if (status == ESP_OK) status = remove_whole(path, error);
    }
    mem_free(path);
    return status;
}

esp_status checkpoint_tidy(store *s, const store_position *at, recipe_keep policies, int64_t best,
                           esp_error *error) {
    tidying t = {s, at, checkpoint_name_read(at->checkpoint), policies, best};
    return visit_names(store_folder(s), tidy_one, &t, error);
}
