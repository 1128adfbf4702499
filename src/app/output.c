#include "app/output.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static esp_status cannot_write(esp_error *error) {
    int e = errno;
    return error_fail(error,
                      e == ENOSPC || e == EDQUOT || e == EFBIG
                          ? "free some disk space, or redirect the output elsewhere"
                          : "check what standard output is connected to",
                      "standard output: cannot write: %s", strerror(e));
}

static int append_dump(const char *bytes, size_t n, void *buffer) {
    text_append(buffer, bytes, n);
    return 0;
}

esp_status output_json(json_t *value, int real_digits, esp_error *error) {
    text_buffer line = {0};
    int failed = json_dump_callback(
        value, append_dump, &line, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION((size_t)real_digits));
    json_decref(value);
    text_append(&line, "\n", 1);
    esp_status status = failed ? error_fail(error, "this is a bug in espalier: please report it",
                                            "a result cannot be written as JSON")
                               : output_text(line.at, line.length, error);
    text_free(&line);
    return status;
}

esp_status output_text(const char *text, size_t length, esp_error *error) {
    if (length && fwrite(text, 1, length, stdout) != length) return cannot_write(error);
    return ESP_OK;
}

esp_status output_flush(esp_error *error) {
    if (fflush(stdout) != 0 || ferror(stdout)) return cannot_write(error);
    return ESP_OK;
}

esp_status input_read(const char *path, char **text, size_t *length, esp_error *error) {
    if (strcmp(path, "-") != 0) return file_read(path, text, length, error);
    return file_read_stdin(text, length, error);
}

esp_status json_need_ids(const json_t *object, const char *key, const char *where, int64_t limit,
                         token_list *out, esp_error *error) {
    const json_t *list = json_object_get(object, key);
    const char *hint = "give a list of token ids, as espalier tokenize prints it";
    if (!json_is_array(list))
        return error_fail(error, hint, "%s: \"%s\" %s", where, key,
                          list ? "is not a list of token ids" : "is missing");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_integer(id))
            return error_fail(error, hint, "%s: \"%s\"[%zu] is not a whole number", where, key, i);
        if (json_integer_value(id) < 0 || json_integer_value(id) >= limit)
            return error_fail(error, "use ids of this model's own tokenizer",
                              "%s: \"%s\"[%zu] is %lld, outside the vocabulary of %lld", where, key, i,
                              (long long)json_integer_value(id), (long long)limit);
        MEM_LIST_PUSH(out, (int32_t)json_integer_value(id));
    }
    return ESP_OK;
}
