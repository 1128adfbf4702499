/* Where the problems of a task come from: files of rows, and generators. */
#include "formats/rows.h"
#include "task/task_ops.h"

#include <stdlib.h>
#include <string.h>

static const char generated[] = "generate:";

/* "dir/train.jsonl.gz" to "train"; standard input is "stdin". */
static char *source_stem(const char *path) {
    if (strcmp(path, "-") == 0) return mem_strdup("stdin");
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    static const char *const endings[] = {".gz", ".jsonl", ".json", ".csv", ".tsv"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t e = strlen(endings[i]);
        if (n > e && strncmp(name + n - e, endings[i], e) == 0) n -= e;
    }
    return mem_strndup(name, n);
}

static const char *row_text(const json_t *row, arena *memory) {
    char *text = json_dumps(row, JSON_COMPACT);
    const char *kept = arena_strdup(memory, text);
    free(text);
    return kept;
}

static esp_status read_rows(const task *t, rows_reader *reader, const char *stem, arena *memory,
                            problem_list *list, esp_error *error) {
    for (;;) {
        json_t *row;
        ESP_TRY(rows_next(reader, &row, error));
        if (!row) return ESP_OK;
        problem p = {.index = list->count, .line = rows_line(reader), .row = row_text(row, memory)};
        ESP_TRY(task_read_row(t, row, rows_where(reader), stem, memory, &p, error));
        MEM_LIST_PUSH(list, p);
    }
}

static esp_status read_file(const task *t, const char *path, arena *memory, problem_list *list,
                            esp_error *error) {
    rows_reader *reader;
    ESP_TRY(rows_open(&reader, path, error));
    char *stem = source_stem(path);
    esp_status status = read_rows(t, reader, stem, memory, list, error);
    if (status == ESP_OK && list->count == 0)
        status = error_fail(error, "give a file with one problem in each row", "%s: holds no problems", path);
    mem_free(stem);
    rows_close(reader);
    return status;
}

bool task_source_is_generated(const char *path) {
    return strncmp(path, generated, sizeof generated - 1) == 0;
}

esp_status task_read(const task *t, const char *path, problem_set *out, esp_error *error) {
    *out = (problem_set){.memory = arena_new()};
    problem_list list = {0};
    esp_status status;
    if (!task_source_is_generated(path))
        status = read_file(t, path, out->memory, &list, error);
    else if (t->s.generator == TASK_ARITH)
        status = arith_generate(path + sizeof generated - 1, out->memory, &list, error);
    else
        status = error_fail(error, "name a file of rows, or use task arith", "%s: task %s has no generator",
                            path, t->s.name);
    out->at = list.at;
    out->count = list.count;
    out->source = mem_strdup(path);
    if (status != ESP_OK) problem_set_free(out);
    return status;
}

void problem_set_free(problem_set *set) {
    mem_free(set->at);
    mem_free(set->source);
    if (set->memory) arena_free(set->memory);
    *set = (problem_set){0};
}
