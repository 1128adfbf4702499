/* Rows from JSON lines, JSON arrays and CSV: the same rows with the lines that they begin on, and files that
 * are none, with the line of the fault. */
#include "support.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/rows.h"

#include <string.h>
#include <zlib.h>

static esp_error error;

/* Reads a file of that text; rows as "LINE:JSON" joined by newlines, or NULL with an error. */
static char *read_as(const char *name, const char *text, size_t length) {
    char path[512];
    test_path(path, sizeof path, name);
    if (text_ends_with(name, ".gz")) {
        gzFile file = gzopen(path, "wb");
        gzwrite(file, text, (unsigned)length);
        gzclose(file);
    } else {
        OK(file_write_all(path, text, length, &error));
    }
    rows_reader *r;
    text_buffer out = {0};
    text_puts(&out, "");
    esp_status status = rows_open(&r, path, &error);
    for (json_t *row; status == ESP_OK;) {
        status = rows_next(r, &row, &error);
        if (status != ESP_OK || !row) break;
        char where[600], *json = json_dumps(row, JSON_COMPACT | JSON_ENCODE_ANY);
        snprintf(where, sizeof where, "%s:%lld", path, (long long)rows_line(r));
        assert_string_equal(rows_where(r), where);
        text_printf(&out, "%s%lld:%s", out.length ? "\n" : "", (long long)rows_line(r), json);
        free(json);
    }
    rows_close(r);
    unlink(path);
    if (status == ESP_OK) return out.at;
    text_free(&out);
    return NULL;
}

static void test_reads(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *rows;
    } cases[] = {
        {"a.jsonl", "{\"a\":1}\n\n{\"a\":2}", "1:{\"a\":1}\n3:{\"a\":2}"},
        {"a.json", "{\"a\":1}\n\n{\"a\":2}\n", "1:{\"a\":1}\n3:{\"a\":2}"},
        {"a", "{\"a\":1}\r\n{\"a\":2}\r\n", "1:{\"a\":1}\n2:{\"a\":2}"},
        {"a.json", "[{\"a\":1},\n {\"a\":\n2},{\"a\":3}]\n", "1:{\"a\":1}\n2:{\"a\":2}\n3:{\"a\":3}"},
        {"a.json.gz", "[{\"a\":1},\n\n {\"a\":2}]", "1:{\"a\":1}\n3:{\"a\":2}"},
        {"a.json", "\xef\xbb\xbf [ {\"a\":\"],[}{\\\"\"} , [1,[2]] ]", "1:{\"a\":\"],[}{\\\"\"}\n1:[1,[2]]"},
        {"a.json", "[]", ""},
        {"a.json", "", ""},
        {"a.csv", "a,b\n1,2\r\n\"x, \"\"y\"\"\",\n",
         "2:{\"a\":\"1\",\"b\":\"2\"}\n3:{\"a\":\"x, \\\"y\\\"\",\"b\":\"\"}"},
        {"a.csv", "a,b\n\"two\nlines\",2\n 3 , 4\n",
         "2:{\"a\":\"two\\nlines\",\"b\":\"2\"}\n4:{\"a\":\" 3 \",\"b\":\" 4\"}"},
        {"a.csv", "\"\na\",b\n\n\"\n\",2", "4:{\"\\na\":\"\\n\",\"b\":\"2\"}"},
        {"a.csv.gz",
         "\xef\xbb\xbf"
         "a\n1",
         "2:{\"a\":\"1\"}"},
        {"a.tsv", "a\tb\n1,5\t2\n", "2:{\"a\":\"1,5\",\"b\":\"2\"}"},
        {"a.csv", "a,b\n", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *rows = read_as(cases[i].name, cases[i].text, strlen(cases[i].text));
        if (!rows) fail_msg("case %zu: %s", i, error.message);
        assert_string_equal(rows, cases[i].rows);
        mem_free(rows);
    }
}

static void test_refuses(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *says;
    } cases[] = {
        {"a.json", "[{\"a\":1}", ":1: the array has no end"},
        {"a.json", "[{\"a\":1},\n{\"a\":}]", ":2: not JSON"},
        {"a.json", "[{\"a\":1}\n{\"a\":2}]", ":1: not JSON"},
        {"a.json", "[{\"a\":1}]\n[2]", ":2: text after the end"},
        {"a.json", "{\"a\":1}\n{", ":2: not JSON"},
        {"a.csv", "", "holds no rows"},
        {"a.csv", "a,b\n1\n", ":2: 1 fields, but 2 columns"},
        {"a.csv", "a,b\n1,2\n1,2,3\n", ":3: 3 fields, but 2 columns"},
        {"a.csv", "a,a\n1,2\n", "two columns are named \"a\""},
        {"a.csv", "a,b\n1,\"2\n", ":2: not CSV"},
        {"a.csv", "a,b\n1,2\n1,\"2\"3\n", ":3: not CSV"},
        {"a.csv", "a\n\xff\n", ":2: column \"a\" is not UTF-8"},
        {"a.parquet", "PAR1", "Parquet"},
        {"a.jsonl", "PAR1\n\n", "Parquet"},
        {"a.json", "PAR1\1", "Parquet"},
        {"a.csv", "PAR1\1,2\n", "Parquet"},
        {"a.jsonl", "{}\nPAR1", ":2: the line is not JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *rows = read_as(cases[i].name, cases[i].text, strlen(cases[i].text));
        if (rows) fail_msg("case %zu is read: %s", i, rows);
        if (!strstr(error.message, cases[i].says) || !strstr(error.message, cases[i].name))
            fail_msg("case %zu: %s", i, error.message);
    }
    rows_reader *r;
    assert_int_equal(rows_open(&r, "no/such.json", &error), ESP_FAILED);
    assert_int_equal(rows_open(&r, "no/such.csv", &error), ESP_FAILED);
    assert_null(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads), cmocka_unit_test(test_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
