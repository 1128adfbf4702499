/* Opening and closing a run's folder: the lock, the schema and its version; the log. */
#include "store/internal.h"
#include "base/file.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *store_folder(const store *s) {
    return s->folder;
}

/* ---- the lock: a second process is kept out for as long as this one lives ----
 *
 * Its file says which process holds it and how often the position had been set: "4711 28". */

static esp_status lock_failed(const char *path, const char *what, const char *hint, esp_error *error) {
    return error_fail(error, hint, "%s: cannot %s: %s", path, what, strerror(errno));
}

static esp_status lock_is_taken(const store *s, const char *holder, esp_error *error) {
    error_fail(error, "wait for it to end, or stop it", "%s: another process works on this run (process %s)",
               s->folder, *holder ? holder : "unknown");
    return error_because(error, ESP_REASON_BUSY);
}

static esp_status take_lock_at(store *s, const char *path, esp_error *error) {
    const char *permissions = "choose a folder that you may write to";
    s->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    struct stat about;
    if (s->lock < 0 || fstat(s->lock, &about) != 0)
        return lock_failed(path, "create the lock", permissions, error);
    if (!S_ISREG(about.st_mode))
        return error_fail(error, "remove it", "%s: is not a regular file, as a run's lock is", path);
    int taken = flock(s->lock, LOCK_EX | LOCK_NB), e = errno;
    char words[64] = "", *rest = NULL;
    ssize_t n = pread(s->lock, words, sizeof words - 1, 0);
    words[n > 0 ? n : 0] = '\0';
    const char *holder = strtok_r(words, " \n", &rest), *moved = strtok_r(NULL, " \n", &rest);
    if (taken != 0) {
        errno = e;
        return e == EWOULDBLOCK ? lock_is_taken(s, holder ? holder : "", error)
                                : lock_failed(path, "lock", "put the run on a local disk", error);
    }
    s->noted = moved ? strtoll(moved, NULL, 10) : 0;
    return ESP_OK;
}

static esp_status take_lock(store *s, esp_error *error) {
    char *path = path_join(s->folder, "lock");
    esp_status status = take_lock_at(s, path, error);
    if (status != ESP_OK && s->lock >= 0) {
        close(s->lock);
        s->lock = -1;
    }
    mem_free(path);
    return status;
}

/* Its lock is tried only where the process that it names is alive: a lock that is held, even for a moment,
 * keeps one that begins out. */
esp_status store_writer(const store *s, int64_t *process, esp_error *error) {
    char *path = path_join(s->folder, "lock"), words[64] = "";
    *process = 0;
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool absent = file < 0 && errno == ENOENT;
    esp_status status = ESP_OK;
    struct stat about;
    if (file >= 0 && fstat(file, &about) == 0 && S_ISREG(about.st_mode)) {
        ssize_t n = pread(file, words, sizeof words - 1, 0);
        words[n > 0 ? n : 0] = '\0';
        long long holder = strtoll(words, NULL, 10);
        bool alive = holder > 0 && (kill((pid_t)holder, 0) == 0 || errno == EPERM);
        if (alive && flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) *process = holder;
    } else if (!absent) {
        status = lock_failed(path, "read the lock", "it is a regular file that you may read", error);
    }
    if (file >= 0) close(file);
    mem_free(path);
    return status;
}

void store_note_moves(store *s) {
    char line[64];
    s->moved += s->moves;
    s->moves = 0;
    int n = snprintf(line, sizeof line, "%ld %lld\n", (long)getpid(), (long long)s->moved);
    /* A full disk here shows itself at the next commit. Not synced: after a power cut the file may be older
     * than run.db, never newer. */
    if (s->lock >= 0 && (ftruncate(s->lock, 0) != 0 || pwrite(s->lock, line, (size_t)n, 0) != n))
        (void)!ftruncate(s->lock, 0);
}

/* ---- the database ---- */

static esp_status number_of(store *s, const char *sql, int64_t *out, esp_error *error) {
    sqlite3_stmt *statement;
    bool more;
    *out = 0;
    ESP_TRY(store_query(s, "read", &statement, error, sql, ""));
    ESP_TRY(store_next(s, "read", statement, &more, error));
    if (more) *out = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return ESP_OK;
}

static esp_status execute(store *s, const char *doing, const char *sql, esp_error *error) {
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ESP_OK : store_sql_fail(s, doing, error);
}

static esp_status make_schema(store *s, esp_error *error) {
    char ending[160];
    snprintf(ending, sizeof ending, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             STORE_APPLICATION_ID, STORE_SCHEMA_VERSION);
    ESP_TRY(store_begin(s, error));
    esp_status status = execute(s, "make the tables", store_schema, error);
    if (status == ESP_OK) status = execute(s, "make the tables", ending, error);
    if (status == ESP_OK) status = store_sums_fill(s, error);
    if (status == ESP_OK) return store_commit(s, error);
    store_rollback(s);
    return status;
}

/* A fresh database, or one whose first process was killed before its tables were there. */
static esp_status is_blank(store *s, bool *blank, esp_error *error) {
    int64_t tables, version;
    ESP_TRY(number_of(s, "SELECT count(*) FROM sqlite_schema", &tables, error));
    ESP_TRY(number_of(s, "PRAGMA user_version", &version, error));
    *blank = tables == 0 && version == 0;
    return ESP_OK;
}

static esp_status check_version(store *s, int64_t *version, esp_error *error) {
    int64_t application;
    ESP_TRY(number_of(s, "PRAGMA user_version", version, error));
    ESP_TRY(number_of(s, "PRAGMA application_id", &application, error));
    if (application != STORE_APPLICATION_ID)
        return error_fail(error, "name a folder that espalier made", "%s: not a run of Espalier", s->file);
    if (*version < 1 || *version > STORE_SCHEMA_VERSION)
        return error_fail(error, "use the Espalier that made it, or start a new run",
                          "%s: written with schema version %lld; this program reads versions 1 to %d",
                          s->file, (long long)*version, STORE_SCHEMA_VERSION);
    return ESP_OK;
}

/* A run of an older version, or one without sums, gets what its tables lack, all of it or nothing. */
static esp_status bring_up_to_date(store *s, int64_t version, esp_error *error) {
    bool kept;
    ESP_TRY(store_has_table(s, "sums", &kept, error));
    if (version == STORE_SCHEMA_VERSION && kept) return ESP_OK;
    char ending[64];
    snprintf(ending, sizeof ending, "PRAGMA user_version = %d;", STORE_SCHEMA_VERSION);
    ESP_TRY(store_begin(s, error));
    esp_status status =
        version == STORE_SCHEMA_VERSION ? execute(s, "add to the tables", STORE_SUMS, error) : ESP_OK;
    for (; version < STORE_SCHEMA_VERSION && status == ESP_OK; version++)
        status = execute(s, "add to the tables", store_additions[version], error);
    if (status == ESP_OK) status = execute(s, "add to the tables", ending, error);
    if (status == ESP_OK) status = store_sums_fill(s, error);
    if (status == ESP_OK) return store_commit(s, error);
    store_rollback(s);
    return status;
}

/* A run may come from a stranger: what its schema says is not carried out, and no value is larger than a
 * run's. (SQLite's own advice, "Defense Against The Dark Arts".) The triggers of row_sums.c are temporary
 * ones, which stay. */
static esp_status be_wary(store *s, esp_error *error) {
    static const int settings[][2] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},
                                      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                      {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                                      {SQLITE_DBCONFIG_ENABLE_VIEW, 0}};
    int code = SQLITE_OK;
    for (size_t i = 0; i < sizeof settings / sizeof *settings && code == SQLITE_OK; i++)
        code = sqlite3_db_config(s->db, settings[i][0], settings[i][1], (int *)NULL);
    if (code != SQLITE_OK) return store_sql_fail(s, "open", error);
    sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, LIMIT_ROW_VALUE);
    sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
    return execute(s, "open", "PRAGMA cell_size_check = 1; PRAGMA mmap_size = 0;", error);
}

static esp_status open_database(store *s, const char *name, int flags, esp_error *error) {
    if (sqlite3_open_v2(name, &s->db, flags, NULL) != SQLITE_OK) return store_sql_fail(s, "open", error);
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(
        s->db, 10000); /* ms; a reader's snapshot may hold up a checkpoint of the WAL for a moment */
    ESP_TRY(be_wary(s, error));
    return store_sums_define(s, error);
}

/* An older run.db that was put back would be continued from there, and what was found since found again. */
static esp_status check_moves(store *s, esp_error *error) {
    ESP_TRY(number_of(s, "SELECT coalesce(max(moves), 0) FROM position", &s->moved, error));
    if (s->noted <= s->moved) return ESP_OK;
    return error_fail(error,
                      "put back run.db and run.db-wal as they were last, both; to continue from this older "
                      "state on purpose, remove the file named lock",
                      "%s: is older than the run: its position was set %lld times, and %lld times in all",
                      s->file, (long long)s->moved, (long long)s->noted);
}

static esp_status make_or_update(store *s, bool blank, int64_t version, esp_error *error) {
    ESP_TRY(execute(s, "open", "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", error));
    ESP_TRY(blank ? make_schema(s, error) : bring_up_to_date(s, version, error));
    ESP_TRY(store_sums_watch(s, error));
    if (!blank || s->mode == STORE_RESUME) ESP_TRY(check_moves(s, error));
    store_note_moves(s);
    return ESP_OK;
}

static esp_status open_to_write(store *s, esp_error *error) {
    bool blank;
    int64_t version = STORE_SCHEMA_VERSION;
    ESP_TRY(open_database(s, s->file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error));
    ESP_TRY(is_blank(s, &blank, error));
    if (!blank) ESP_TRY(check_version(s, &version, error));
    if (!blank && s->mode == STORE_CREATE) {
        error_fail(error, "resume it, or choose another folder", "%s: holds a run already", s->folder);
        return error_because(error, ESP_REASON_RUN_EXISTS);
    }
    if (blank && s->mode == STORE_RESUME_BEGUN)
        return error_fail(
            error, "put back run.db and run.db-wal as they were, both, or start a new run elsewhere",
            "%s: is empty, but the run had begun: what was recorded is missing (its run.db-wal?)", s->file);
    if (!blank) ESP_TRY(store_check_rows(s, error));
    return make_or_update(s, blank, version, error);
}

/* file:...?immutable=1, with what a URI would read otherwise escaped. */
static char *immutable_uri(const char *path) {
    text_buffer uri = {0};
    text_puts(&uri, "file:");
    for (const char *c = path; *c; c++)
        text_printf(&uri, strchr("?#%", *c) ? "%%%02x" : "%c", (unsigned char)*c);
    text_puts(&uri, "?immutable=1");
    return uri.at;
}

static esp_status open_to_read(store *s, esp_error *error) {
    bool blank;
    int64_t version;
    char *wal = mem_printf("%s-wal", s->file);
    /* In a folder that may not be written SQLite cannot make the WAL's index; without a WAL there is no need
     * of it. */
    bool frozen = access(s->folder, W_OK) != 0 && !file_exists(wal);
    char *name = frozen ? immutable_uri(s->file) : mem_strdup(s->file);
    esp_status status = open_database(s, name, SQLITE_OPEN_READONLY | (frozen ? SQLITE_OPEN_URI : 0), error);
    mem_free(wal);
    mem_free(name);
    ESP_TRY(status);
    ESP_TRY(is_blank(s, &blank, error));
    if (blank)
        return error_fail(
            error,
            "the run was stopped before it began, and can be started again; or its run.db-wal is "
            "missing: put it back",
            "%s: holds no run yet", s->file);
    return check_version(s, &version, error);
}

static esp_status open_beside(store *s, esp_error *error) {
    ESP_TRY(open_database(s, s->file, SQLITE_OPEN_READWRITE, error));
    ESP_TRY(execute(s, "open", "PRAGMA synchronous = NORMAL;", error));
    return store_sums_watch(s, error);
}

static esp_status open_log(store *s, esp_error *error) {
    char *path = path_join(s->folder, "log.jsonl");
    esp_status status = ESP_OK;
    s->log = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    struct stat about;
    if (s->log >= 0 && fstat(s->log, &about) == 0 && !S_ISREG(about.st_mode)) {
        status = error_fail(error, "remove it", "%s: is not a regular file, as a run's log is", path);
    } else if (s->log < 0 || fstat(s->log, &about) != 0) {
        status = error_fail(error, "check the permissions of the run's folder", "%s: cannot open: %s", path,
                            strerror(errno));
    } else if (about.st_size > 0) { /* a kill in the middle of a line: drop the torn end */
        off_t end = about.st_size;
        char last = 0;
        while (end > 0 && pread(s->log, &last, 1, end - 1) == 1 && last != '\n') end--;
        if (end != about.st_size && ftruncate(s->log, end) != 0)
            status = error_fail(error, "check the disk", "%s: cannot write: %s", path, strerror(errno));
    }
    mem_free(path);
    return status;
}

/* ---- the folder: held, so that a change of its path is noticed ---- */

static esp_status hold_folder(store *s, esp_error *error) {
    s->place = open(s->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->place >= 0) return ESP_OK;
    return error_fail(error, "check the permissions of the run's folder", "%s: cannot open: %s", s->folder,
                      strerror(errno));
}

static bool same_place(int held, const char *path) {
    struct stat a, b;
    return fstat(held, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

esp_status store_check_place(const store *s, esp_error *error) {
    int moved = 0;
    if (s->place < 0) return ESP_OK;
    if (!same_place(s->place, s->folder))
        return error_fail(error, "put the folder back, then resume the run; what was committed is in it",
                          "%s: the run's folder was moved, replaced or removed while the run was working",
                          s->folder);
    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved)
        return error_fail(error, "put run.db back as it was, then resume the run",
                          "%s: was moved, replaced or removed while the run was working", s->file);
    return ESP_OK;
}

/* Files of a run's folder are the folder's own: a link could lead anywhere. */
static esp_status check_own_file(const store *s, const char *name, esp_error *error) {
    char *path = path_join(s->folder, name);
    struct stat about;
    esp_status status = ESP_OK;
    if (lstat(path, &about) == 0 && !S_ISREG(about.st_mode))
        status = error_fail(error, "copy the file itself into the run's folder",
                            "%s: is not a regular file, as a run's are", path);
    mem_free(path);
    return status;
}

static esp_status check_own_files(const store *s, esp_error *error) {
    static const char *const names[] = {"run.db", "run.db-wal", "run.db-shm", "lock", "log.jsonl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) ESP_TRY(check_own_file(s, names[i], error));
    return ESP_OK;
}

static esp_status open_all(store *s, esp_error *error) {
    if (s->mode == STORE_CREATE) ESP_TRY(folder_make(s->folder, error));
    ESP_TRY(check_own_files(s, error));
    bool resumes = s->mode == STORE_RESUME || s->mode == STORE_RESUME_BEGUN;
    if (s->mode != STORE_CREATE && !file_exists(s->file)) {
        error_fail(error, resumes ? "start a new run, or check the folder's name" : "check the folder's name",
                   "%s: no run is here (there is no run.db)", s->folder);
        return error_because(error, resumes ? ESP_REASON_NO_RUN : ESP_REASON_OTHER);
    }
    if (s->mode == STORE_READ) return open_to_read(s, error);
    if (s->mode == STORE_BESIDE) return open_beside(s, error);
    ESP_TRY(hold_folder(s, error));
    ESP_TRY(take_lock(s, error));
    ESP_TRY(open_to_write(s, error));
    return open_log(s, error);
}

esp_status store_open(store **out, const char *folder, store_mode mode, esp_error *error) {
    *out = NULL;
    store *s = MEM_NEW(store);
    *s = (store){.mode = mode,
                 .lock = -1,
                 .place = -1,
                 .log = -1,
                 .folder = mem_strdup(folder),
                 .file = path_join(folder, "run.db")};
    esp_status status = open_all(s, error);
    if (status == ESP_OK)
        *out = s;
    else
        store_close(s);
    return status;
}

void store_close(store *s) {
    if (!s) return;
    store_rollback(s);
    for (int64_t i = 0; i < s->statements.count; i++) sqlite3_finalize(s->statements.at[i].prepared);
    MEM_LIST_FREE(&s->statements);
    sqlite3_close(s->db);
    if (s->log >= 0) close(s->log);
    if (s->lock >= 0) close(s->lock); /* and with it the lock */
    if (s->place >= 0) close(s->place);
    mem_free(s->folder);
    mem_free(s->file);
    mem_free(s);
}

/* ---- the log ---- */

esp_status store_log(store *s, const char *kind, const char *members, esp_error *error) {
    text_buffer line = {0};
    struct timespec now;
    struct tm utc;
    char date[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    text_printf(&line, "{\"time\":\"%s.%03ldZ\",\"kind\":\"%s\"", date, now.tv_nsec / 1000000, kind);
    const char *inside = members ? members + strspn(members, " {") : "}";
    text_printf(&line, "%s%s\n", inside[strspn(inside, " ")] == '}' ? "" : ",", inside);
    struct stat before;
    bool known = fstat(s->log, &before) == 0;
    ssize_t written = write(s->log, line.at, line.length);
    esp_status status = ESP_OK;
    if (written != (ssize_t)line.length) {
        int e = written < 0 ? errno : ENOSPC;
        if (known && written > 0) (void)!ftruncate(s->log, before.st_size); /* no torn lines */
        error_fail(error, "free some space; what was committed before is intact",
                   "%s/log.jsonl: cannot write: %s", s->folder, strerror(e));
        status = error_because(error, ESP_REASON_DISK_FULL);
    }
    text_free(&line);
    return status;
}
