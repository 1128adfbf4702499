#include "base/file.h"

#include "base/limits.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static esp_status fail_with_errno(esp_error *error, const char *what, const char *path) {
    int e = errno;
    const char *hint = e == ENOENT ? "check the path"
                       : e == EACCES || e == EROFS || e == EPERM
                           ? "choose a place that you may write to, or change its permissions"
                       : e == ENOSPC || e == EDQUOT || e == EFBIG
                           ? "free some disk space, or choose another place"
                       : e == ENOTDIR || e == EISDIR ? "check which of the two, a file or a folder, is meant"
                                                     : "see that the place is there and its disk is sound";
    bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    esp_status status = error_fail(error, hint, "%s: cannot %s: %s", path, what, strerror(e));
    return full ? error_because(error, ESP_REASON_DISK_FULL) : status;
}

/* Of the devices, /dev/null: it is how a shell writes an empty file. */
static bool is_file(const struct stat *about) {
    return S_ISREG(about->st_mode) || (S_ISCHR(about->st_mode) && about->st_rdev == makedev(1, 3));
}

static esp_status open_regular(const char *path, int *fd, struct stat *about, esp_error *error) {
    *fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO without a writer would not return */
    if (*fd < 0) return fail_with_errno(error, "open", path);
    esp_status status = ESP_OK;
    if (fstat(*fd, about) != 0)
        status = fail_with_errno(error, "read", path);
    else if (S_ISDIR(about->st_mode)) {
        errno = EISDIR;
        status = fail_with_errno(error, "read", path);
    } else if (!is_file(about))
        status = error_fail(error, "give a file: pipes and devices are not read here",
                            "%s: is not a regular file", path);
    if (status != ESP_OK) close(*fd);
    return status;
}

esp_status file_open_regular(const char *path, int *fd, esp_error *error) {
    struct stat about;
    return open_regular(path, fd, &about, error);
}

esp_status file_map_open(file_map *map, const char *path, esp_error *error) {
    *map = (file_map){0};
    int fd;
    struct stat s;
    ESP_TRY(open_regular(path, &fd, &s, error));
    if (s.st_size > 0) {
        void *p = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            esp_status status = fail_with_errno(error, "map", path);
            close(fd);
            return status;
        }
        map->at = p;
        map->length = (size_t)s.st_size;
    }
    close(fd);
    return ESP_OK;
}

void file_map_close(file_map *map) {
    if (map->at) munmap((void *)(uintptr_t)map->at, map->length);
    *map = (file_map){0};
}

/* Reads to the end. expected: bytes, by which room is made. */
static esp_status read_to_end(int fd, const char *path, size_t expected, text_buffer *out, esp_error *error) {
    for (;;) {
        size_t room = out->length == 0 ? expected + 1 : out->length; /* one more, to see the end */
        if (out->length >= LIMIT_TEXT_FILE || expected > LIMIT_TEXT_FILE)
            return error_fail(error, "check that it is the file that was meant",
                              "%s: is longer than %zu MB, more than such a file may have", path,
                              LIMIT_TEXT_FILE >> 20);
        ESP_TRY(text_make_room(out, room < 4096 ? 4096 : room, path, error));
        ssize_t n = read(fd, out->at + out->length, out->capacity - out->length - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_with_errno(error, "read", path);
        out->length += (size_t)n;
        out->at[out->length] = '\0';
        if (n == 0) return ESP_OK;
    }
}

static esp_status read_open(int fd, const char *path, size_t expected, char **bytes, size_t *length,
                            esp_error *error) {
    text_buffer b = {0};
    esp_status status = read_to_end(fd, path, expected, &b, error);
    close(fd);
    if (status != ESP_OK) {
        text_free(&b);
        return status;
    }
    *bytes = b.at;
    if (length) *length = b.length;
    return ESP_OK;
}

esp_status file_read(const char *path, char **bytes, size_t *length, esp_error *error) {
    int fd;
    struct stat about;
    *bytes = NULL;
    ESP_TRY(open_regular(path, &fd, &about, error));
    return read_open(fd, path, about.st_size > 0 ? (size_t)about.st_size : 0, bytes, length, error);
}

esp_status file_read_stdin(char **bytes, size_t *length, esp_error *error) {
    *bytes = NULL;
    int fd = dup(STDIN_FILENO);
    if (fd < 0) return fail_with_errno(error, "read", "standard input");
    return read_open(fd, "standard input", 0, bytes, length, error);
}

esp_status file_write_begin(file_writer *w, const char *path, esp_error *error) {
    *w = (file_writer){.path = mem_strdup(path), .aside = mem_printf("%s.%ld.tmp", path, (long)getpid())};
    /* A file of that name is left of a process that was killed, or a link that somebody put there: it goes,
     * and is never written through. */
    (void)unlink(w->aside);
    int fd = open(w->aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    w->stream = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (w->stream) return ESP_OK;
    esp_status status = fail_with_errno(error, "create", path);
    if (fd >= 0) close(fd);
    file_write_abort(w);
    return status;
}

void file_write_abort(file_writer *w) {
    if (w->stream) {
        fclose(w->stream);
        unlink(w->aside);
    }
    mem_free(w->path);
    mem_free(w->aside);
    *w = (file_writer){0};
}

static void sync_parent(const char *path) {
    const char *slash = strrchr(path, '/');
    char *parent = !slash          ? mem_strdup(".")
                   : slash == path ? mem_strdup("/")
                                   : mem_strndup(path, (size_t)(slash - path));
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* may fail: some file systems cannot sync folders */
        close(fd);
    }
    mem_free(parent);
}

esp_status file_write_end(file_writer *w, esp_error *error) {
    if (ferror(w->stream) || fflush(w->stream) != 0 || fsync(fileno(w->stream)) != 0) {
        esp_status status = fail_with_errno(error, "write", w->path);
        file_write_abort(w);
        return status;
    }
    int closed = fclose(w->stream);
    w->stream = NULL;
    if (closed != 0 || rename(w->aside, w->path) != 0) {
        esp_status status = fail_with_errno(error, "write", w->path);
        unlink(w->aside);
        file_write_abort(w);
        return status;
    }
    sync_parent(w->path);
    file_write_abort(w);
    return ESP_OK;
}

esp_status file_write_all(const char *path, const void *bytes, size_t length, esp_error *error) {
    file_writer w;
    ESP_TRY(file_write_begin(&w, path, error));
    if (length && fwrite(bytes, 1, length, w.stream) != length) {
        esp_status status = fail_with_errno(error, "write", path);
        file_write_abort(&w);
        return status;
    }
    return file_write_end(&w, error);
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool file_is_folder(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

esp_status folder_make(const char *path, esp_error *error) {
    char *partial = mem_strdup(path);
    size_t n = strlen(partial);
    for (size_t i = 1; i <= n; i++) {
        if (partial[i] != '/' && partial[i] != '\0') continue;
        char kept = partial[i];
        partial[i] = '\0';
        if (mkdir(partial, 0777) != 0 && errno != EEXIST && !file_is_folder(partial)) {
            esp_status status = fail_with_errno(error, "create the folder", partial);
            mem_free(partial);
            return status;
        }
        partial[i] = kept;
    }
    mem_free(partial);
    if (!file_is_folder(path)) {
        errno = ENOTDIR;
        return fail_with_errno(error, "create the folder", path);
    }
    return ESP_OK;
}

esp_status folder_make_new(const char *path, esp_error *error) {
    return mkdir(path, 0777) == 0 ? ESP_OK : fail_with_errno(error, "create the folder", path);
}

esp_status folder_remove(const char *path, esp_error *error) {
    struct stat s;
    if (lstat(path, &s) != 0) return errno == ENOENT ? ESP_OK : fail_with_errno(error, "remove", path);
    if (S_ISDIR(s.st_mode)) {
        DIR *d = opendir(path);
        if (!d) return fail_with_errno(error, "open", path);
        struct dirent *entry;
        esp_status status = ESP_OK;
        while (status == ESP_OK && (entry = readdir(d)) != NULL) {
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
            char *inner = path_join(path, entry->d_name);
            status = folder_remove(inner, error);
            mem_free(inner);
        }
        closedir(d);
        ESP_TRY(status);
        if (rmdir(path) != 0) return fail_with_errno(error, "remove", path);
        return ESP_OK;
    }
    return unlink(path) == 0 ? ESP_OK : fail_with_errno(error, "remove", path);
}

static esp_status sync_contents(const char *folder, esp_error *error) {
    DIR *d = opendir(folder);
    if (!d) return fail_with_errno(error, "open", folder);
    struct dirent *entry;
    esp_status status = ESP_OK;
    while (status == ESP_OK && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        char *inner = path_join(folder, entry->d_name);
        int fd = open(inner, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) != 0) status = fail_with_errno(error, "sync", inner);
        if (status == ESP_OK && file_is_folder(inner)) status = sync_contents(inner, error);
        if (fd >= 0) close(fd);
        mem_free(inner);
    }
    closedir(d);
    return status;
}

/* Where the file system cannot exchange two folders, a kill between the two renames leaves `path` missing and
 * both folders under their other names. */
static esp_status replace_by_two(const char *aside, const char *path, esp_error *error) {
    char *old = mem_printf("%s.%ld.old", path, (long)getpid());
    esp_status status = ESP_OK;
    if (rename(path, old) != 0) status = fail_with_errno(error, "move away", path);
    if (status == ESP_OK && rename(aside, path) != 0) {
        status = fail_with_errno(error, "rename into place", path);
        (void)rename(old, path);
    }
    sync_parent(path);
    if (status == ESP_OK) status = folder_remove(old, error);
    mem_free(old);
    return status;
}

esp_status folder_replace(const char *aside, const char *path, esp_error *error) {
    ESP_TRY(sync_contents(aside, error));
    if (file_exists(path) && renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        sync_parent(path);
        return folder_remove(aside, error); /* the older one */
    }
    if (file_exists(path)) return replace_by_two(aside, path, error);
    esp_status status = rename(aside, path) == 0 ? ESP_OK : fail_with_errno(error, "rename into place", path);
    sync_parent(path);
    return status;
}

char *path_join(const char *a, const char *b) {
    size_t n = strlen(a);
    if (b[0] == '/' || n == 0) return mem_strdup(b);
    return mem_printf("%s%s%s", a, a[n - 1] == '/' ? "" : "/", b);
}
