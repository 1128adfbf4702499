#include "app/out_folder.h"

#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The files of a model's folder. A folder with any other file is not overwritten. */
static bool is_model_file(const char *name) {
    static const char *const known[] = {
        "config.json",         "generation_config.json", "model.safetensors",        "optimizer.safetensors",
        "tokenizer.json",      "tokenizer_config.json",  "special_tokens_map.json",  "chat_template.jinja",
        "adapter_config.json", "adapter_base.json",      "adapter_model.safetensors"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i]) == 0) return true;
    return false;
}

static esp_status check_replaceable(const char *path, esp_error *error) {
    if (!file_exists(path)) return ESP_OK;
    DIR *folder = opendir(path);
    if (!folder)
        return error_fail(error, "choose another name", "%s: cannot replace it: %s", path, strerror(errno));
    esp_status status = ESP_OK;
    for (struct dirent *entry; status == ESP_OK && (entry = readdir(folder)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || is_model_file(name)) continue;
        status =
            error_fail(error, "choose a new folder, or empty this one",
                       "%s: the folder exists and contains %s, which is not part of a model", path, name);
    }
    closedir(folder);
    return status;
}

static char *parent_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return !slash          ? mem_strdup(".")
           : slash == path ? mem_strdup("/")
                           : mem_strndup(path, (size_t)(slash - path));
}

/* The topmost parent folder of `path` that does not exist; NULL if its parent exists. */
static char *first_missing(const char *path) {
    char *missing = NULL, *at = parent_of(path);
    while (!file_exists(at)) {
        mem_free(missing);
        missing = at;
        at = parent_of(missing);
    }
    mem_free(at);
    return missing;
}

esp_status out_folder_begin(out_folder *o, const char *path, esp_error *error) {
    *o = (out_folder){0};
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    if (n == 0) return error_set(error, ESP_USAGE, "name a folder", "the name of the output folder is empty");
    o->path = mem_strndup(path, n);
    esp_status status = check_replaceable(o->path, error);
    if (status == ESP_OK) {
        o->aside = mem_printf("%s.%ld.tmp", o->path, (long)getpid());
        o->made = first_missing(o->path);
        status = folder_make(o->aside, error);
    }
    if (status != ESP_OK) out_folder_abort(o);
    return status;
}

esp_status out_folder_end(out_folder *o, esp_error *error) {
    esp_status status = folder_replace(o->aside, o->path, error);
    if (status == ESP_OK) {
        mem_free(o->aside);
        mem_free(o->made);
        o->aside = o->made = NULL;
    }
    out_folder_abort(o);
    return status;
}

void out_folder_abort(out_folder *o) {
    if (o->aside) (void)folder_remove(o->aside, NULL);
    if (o->made) { /* only empty folders are removed: others may have used them meanwhile */
        char *at = parent_of(o->path);
        for (size_t least = strlen(o->made); strlen(at) >= least && rmdir(at) == 0;) {
            char *up = parent_of(at);
            mem_free(at);
            at = up;
        }
        mem_free(at);
    }
    mem_free(o->path);
    mem_free(o->aside);
    mem_free(o->made);
    *o = (out_folder){0};
}
