#include "loop/checkpoint.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char *checkpoint_path(const char *run, const char *name) {
    return mem_printf("%s/checkpoints/%s", run, name);
}

esp_status checkpoint_write(const char *run, const char *name, const session *s, const model *m,
                            const trainer *t, esp_error *error) {
    char *path = checkpoint_path(run, name), *aside = mem_printf("%s.aside", path);
    esp_status status = folder_remove(aside, error);
    if (status == ESP_OK) status = folder_make(aside, error);
    if (status == ESP_OK) status = model_save(m, aside, DTYPE_F32, error);
    if (status == ESP_OK) status = tokenizer_save(s->tokenizer, aside, error);
    if (status == ESP_OK && t) status = trainer_save(t, aside, error);
    if (status == ESP_OK)
        status = folder_replace(aside, path, error);
    else
        folder_remove(aside, NULL);
    mem_free(aside);
    mem_free(path);
    return status;
}

esp_status checkpoint_read(const char *run, const char *name, model *m, trainer *t, esp_error *error) {
    char *path = checkpoint_path(run, name), *state = path_join(path, "optimizer.safetensors");
    esp_status status = model_load_weights(m, path, error);
    if (status == ESP_OK && t)
        trainer_restart(t); /* where no state says otherwise, the average begins here */
    if (status == ESP_OK && t && file_exists(state)) status = trainer_load(t, path, error);
    mem_free(state);
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

esp_status checkpoint_tidy(const char *run, const char *keep, esp_error *error) {
    char *folder = path_join(run, "checkpoints");
    DIR *d = opendir(folder);
    esp_status status = ESP_OK;
    struct dirent *entry;
    while (d && status == ESP_OK && (entry = readdir(d)) != NULL) {
        const char *name = entry->d_name;
        if (name[0] == '.' || strcmp(name, keep) == 0) continue;
        char *path = path_join(folder, name), *state = path_join(path, "optimizer.safetensors");
        if (text_ends_with(name, ".aside") || text_ends_with(name, ".old"))
            status = folder_remove(path, error);
        else if (strstr(name, "-at-"))
            status = remove_whole(path, error);
        else
            unlink(state); /* absent in most: nothing to say */
        mem_free(state);
        mem_free(path);
    }
    if (d) closedir(d);
    mem_free(folder);
    return status;
}
