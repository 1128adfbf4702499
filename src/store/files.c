/* The files of a run that its rows rely on: where, how long, and their SHA-256. */
#include "store/row.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

esp_status store_add_file(store *s, const store_file *f, esp_error *error) {
    return store_run(s, "add a file", error, "INSERT OR REPLACE INTO files VALUES (?, ?, ?)", "tit", f->path,
                     f->sum.bytes, f->sum.sha256);
}

esp_status store_forget_files(store *s, const char *path, esp_error *error) {
    return store_run(s, "forget files", error,
                     "DELETE FROM files WHERE path = ?1 OR substr(path, 1, length(?1) + 1) = ?1 || '/'", "t",
                     path);
}

static void take_file(row *r, store_file *f) {
    const char *path = row_text(r);
    f->path = path ? path : "";
    f->sum.bytes = row_int(r);
    const char *sha256 = row_text(r);
    if (sha256 && strlen(sha256) < sizeof f->sum.sha256) strcpy(f->sum.sha256, sha256);
}

esp_status store_read_files(store *s, const char *path, store_files *out, esp_error *error) {
    bool has;
    *out = (store_files){0};
    ESP_TRY(store_has_table(s, "files", &has, error));
    if (!has) return ESP_OK;
    READ_ALL(store_file, take_file, out,
             QUERY("SELECT path, bytes, sha256 FROM files WHERE ?1 = '' OR path = ?1"
                   " OR substr(path, 1, length(?1) + 1) = ?1 || '/' ORDER BY path",
                   "t", path));
}

/* ---- the files on disk ---- */

static int by_path(const void *a, const void *b) {
    return strcmp(((const store_file *)a)->path, ((const store_file *)b)->path);
}

typedef MEM_LIST(store_file) file_list;

/* Those of the folders in it too. */
static esp_status sum_folder(const char *folder, const char *name, arena *memory, file_list *list,
                             esp_error *error) {
    DIR *d = opendir(folder);
    if (!d) return error_fail(error, "check the path", "%s: cannot open: %s", folder, strerror(errno));
    esp_status status = ESP_OK;
    for (struct dirent *entry; status == ESP_OK && (entry = readdir(d)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        char *file = path_join(folder, entry->d_name), *path = path_join(name, entry->d_name);
        if (file_is_folder(file)) {
            status = sum_folder(file, path, memory, list, error);
        } else {
            store_file f = {.path = arena_strdup(memory, path)};
            status = file_sum_of(file, &f.sum, error);
            MEM_LIST_PUSH(list, f);
        }
        mem_free(file);
        mem_free(path);
    }
    closedir(d);
    return status;
}

esp_status store_sum_files(const char *folder, const char *name, store_files *out, esp_error *error) {
    *out = (store_files){.memory = arena_new()};
    file_list list = {0};
    esp_status status = sum_folder(folder, name, out->memory, &list, error);
    if (list.count) qsort(list.at, (size_t)list.count, sizeof *list.at, by_path);
    out->at = list.count ? arena_copy(out->memory, list.at, (size_t)list.count * sizeof *list.at) : NULL;
    out->count = list.count;
    MEM_LIST_FREE(&list);
    if (status != ESP_OK) STORE_LIST_FREE(out);
    return status;
}

/* Whether the row is still there: a run at work removes files that it needs no longer, their rows first. */
static bool still_kept(store *s, const char *path) {
    store_files now;
    if (store_read_files(s, path, &now, NULL) != ESP_OK) return true;
    bool there = now.count > 0;
    STORE_LIST_FREE(&now);
    return there;
}

esp_status store_check_file(store *s, const store_file *f, esp_error *error) {
    char *file = path_join(s->folder, f->path);
    file_sum now;
    esp_status status = ESP_OK;
    if (!file_exists(file))
        status = error_fail(error, "put it back from a copy of the run",
                            "%s: is missing, and run.db knows it", file);
    else
        status = file_sum_of(file, &now, error);
    if (status == ESP_OK && !file_sum_equal(&now, &f->sum))
        status = error_fail(error, "the file has changed since the run wrote it: put it back from a copy",
                            "%s: is damaged: %lld bytes with SHA-256 %.16s..., and %lld with %.16s... were "
                            "written",
                            file, (long long)now.bytes, now.sha256, (long long)f->sum.bytes, f->sum.sha256);
    mem_free(file);
    return status;
}

esp_status store_check_files(store *s, const char *name, bool *known, esp_error *error) {
    store_files files;
    ESP_TRY(store_read_files(s, name, &files, error));
    esp_status status = ESP_OK;
    *known = files.count > 0;
    for (int64_t i = 0; i < files.count && status == ESP_OK; i++) {
        status = store_check_file(s, &files.at[i], error);
        if (status != ESP_OK && !still_kept(s, files.at[i].path)) status = ESP_OK;
    }
    STORE_LIST_FREE(&files);
    return status;
}

/* Of the resolved path RUN/checkpoints/NAME: cuts it after RUN and returns checkpoints/NAME; NULL for
 * others. */
static char *split_checkpoint(char *path) {
    char *name = strrchr(path, '/');
    if (!name || name == path) return NULL;
    *name = '\0';
    char *folder = strrchr(path, '/');
    *name = '/';
    if (!folder || folder == path || strncmp(folder, "/checkpoints/", 13) != 0) return NULL;
    *folder = '\0';
    return folder + 1;
}

esp_status store_check_model(const char *path, bool *known, esp_error *error) {
    char *whole = realpath(path, NULL), *name = whole ? split_checkpoint(whole) : NULL;
    char *record = name ? path_join(whole, "run.db") : NULL;
    esp_status status = ESP_OK;
    store *s;
    *known = true; /* of other models there is nothing to know */
    if (record && file_exists(record)) {
        status = store_open(&s, whole, STORE_READ, error);
        if (status == ESP_OK) status = store_check_files(s, name, known, error);
        store_close(s);
    }
    mem_free(record);
    free(whole);
    return status;
}
