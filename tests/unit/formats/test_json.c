#include "formats/json.h"
#include "scratch.h"

#include <math.h>
#include <zlib.h>

static void a_line_at_a_time(void **state) {
    (void)state;
    text_buffer long_text = {0};
    text_puts(&long_text, "\xef\xbb\xbf{\"a\": 1}\r\n\n  \n[\"");
    for (int i = 0; i < 200000; i++) text_puts(&long_text, "x"); /* longer than any buffer inside */
    text_puts(&long_text, "\"]\n\"last, without an end\"");
    scratch_write("rows.jsonl", long_text.at, long_text.length);
    gzFile packed = gzopen(scratch_path("rows.jsonl.gz"), "wb");
    assert_int_equal(gzwrite(packed, long_text.at, (unsigned)long_text.length), (int)long_text.length);
    assert_int_equal(gzclose(packed), Z_OK);
    text_free(&long_text);

    for (int gz = 0; gz <= 1; gz++) {
        const char *path = scratch_path(gz ? "rows.jsonl.gz" : "rows.jsonl");
        jsonl_reader *r;
        json_t *row;
        esp_error e;
        ASSERT_OK(jsonl_open(&r, path, &e), &e);
        ASSERT_OK(jsonl_next(r, &row, &e), &e);
        int64_t a;
        ASSERT_OK(json_need_integer(row, "a", jsonl_where(r), &a, &e), &e);
        assert_int_equal(a, 1);
        assert_int_equal(jsonl_line(r), 1);
        ASSERT_OK(jsonl_next(r, &row, &e), &e);
        assert_int_equal(json_string_length(json_array_get(row, 0)), 200000);
        assert_int_equal(jsonl_line(r), 4);
        ASSERT_OK(jsonl_next(r, &row, &e), &e);
        assert_string_equal(json_string_value(row), "last, without an end");
        assert_non_null(strstr(jsonl_where(r), gz ? "rows.jsonl.gz:5" : "rows.jsonl:5"));
        ASSERT_OK(jsonl_next(r, &row, &e), &e);
        assert_null(row);
        jsonl_close(r);
    }
}

static void a_bad_line_is_named(void **state) {
    (void)state;
    const char *const bad[] = {"{\"a\": 1", "{\"a\": 1} x", "{\"a\": \"\xff\"}", "nul"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = mem_printf("{}\n\n%s\n{}\n", bad[i]);
        const char *path = scratch_write("bad.jsonl", text, strlen(text));
        mem_free(text);
        jsonl_reader *r;
        json_t *row;
        esp_error e = {0};
        ASSERT_OK(jsonl_open(&r, path, &e), &e);
        ASSERT_OK(jsonl_next(r, &row, &e), &e);
        ASSERT_FAILED(jsonl_next(r, &row, &e), &e, "bad.jsonl:3:", "not JSON");
        assert_null(row);
        jsonl_close(r);
    }
}

static void a_cut_packed_file_fails(void **state) {
    (void)state;
    gzFile packed = gzopen(scratch_path("whole.gz"), "wb");
    for (int i = 0; i < 20000; i++) gzprintf(packed, "{\"row\": %d}\n", i * 7919 % 10007);
    gzclose(packed);
    char *bytes;
    size_t n;
    assert_int_equal(file_read(scratch_path("whole.gz"), &bytes, &n, NULL), ESP_OK);
    const char *path = scratch_write("cut.jsonl.gz", bytes, n / 2);
    mem_free(bytes);
    jsonl_reader *r;
    json_t *row;
    esp_error e = {0};
    ASSERT_OK(jsonl_open(&r, path, &e), &e);
    esp_status status;
    while ((status = jsonl_next(r, &row, &e)) == ESP_OK && row) {
    }
    ASSERT_FAILED(status, &e, "cut.jsonl.gz", "cannot decompress");
    jsonl_close(r);
}

static void absent_files_and_folders(void **state) {
    (void)state;
    jsonl_reader *r;
    json_t *value;
    esp_error e = {0};
    ASSERT_FAILED(jsonl_open(&r, scratch_path("none.jsonl"), &e), &e, "none.jsonl", "No such file");
    ASSERT_FAILED(json_read_file(scratch_path("none.json"), &value, &e), &e, "none.json");
    if (jsonl_open(&r, scratch_folder, &e) == ESP_OK) {
        ASSERT_FAILED(jsonl_next(r, &value, &e), &e, scratch_folder);
        jsonl_close(r);
    }
}

static void members_by_type(void **state) {
    (void)state;
    json_t *o = json_loads("{\"s\": \"x\", \"i\": 3, \"r\": 2.5, \"w\": 4.0, \"n\": null}", 0, NULL);
    const char *s;
    double d;
    int64_t i;
    esp_error e = {0};
    ASSERT_OK(json_need_string(o, "s", "f:1", &s, &e), &e);
    ASSERT_OK(json_need_number(o, "i", "f:1", &d, &e), &e);
    assert_true(d == 3.0);
    ASSERT_OK(json_need_integer(o, "w", "f:1", &i, &e), &e);
    assert_int_equal(i, 4);
    ASSERT_FAILED(json_need_integer(o, "r", "f:1", &i, &e), &e, "f:1", "\"r\"", "an integer");
    ASSERT_FAILED(json_need_string(o, "n", "f:1", &s, &e), &e, "f:1", "\"n\"", "null");
    ASSERT_FAILED(json_need_number(o, "absent", "f:9", &d, &e), &e, "f:9", "\"absent\"", "missing");
    ASSERT_FAILED(json_need_number(json_object_get(o, "s"), "k", "f:9", &d, &e), &e, "f:9", "object");
    ASSERT_FAILED(json_need_number(NULL, "k", "f:9", &d, &e), &e, "f:9");
    json_decref(o);
}

static void files_round_trip(void **state) {
    (void)state;
    esp_error e = {0};
    json_t *value =
               json_pack("{s:f, s:s, s:[i, b]}", "third", 1.0 / 3.0, "text", "h\xc3\xa9\n", "list", 7, 1),
           *back;
    for (int indented = 0; indented <= 1; indented++) {
        ASSERT_OK(json_write_file(scratch_path("v.json"), value, indented, &e), &e);
        ASSERT_OK(json_read_file(scratch_path("v.json"), &back, &e), &e);
        assert_true(json_equal(value, back));
        json_decref(back);
    }
    json_decref(value);
    scratch_write("broken.json", "{\n \"a\": ]\n", 10);
    ASSERT_FAILED(json_read_file(scratch_path("broken.json"), &back, &e), &e, "broken.json:2:");
}

static void no_json_number_is_null(void **state) {
    (void)state;
    json_t *list = json_pack("[o, o, o, o]", json_real_or_null(NAN), json_real_or_null(INFINITY),
                             json_real_or_null(-INFINITY), json_real_or_null(-0.25));
    char *text = json_dumps(list, JSON_COMPACT);
    assert_string_equal(text, "[null,null,null,-0.25]");
    free(text);
    json_decref(list);
}

static void integers_beyond_64_bits(void **state) {
    (void)state;
    const char *text =
        "{\"m\": 1000000000000000019884624838656, \"s\": \"99999999999999999999 \\\" 99999999999999999999\","
        " \"i\": 123, \"r\": -1e3, \"l\": [-99999999999999999999,1]}";
    scratch_write("wide.json", text, strlen(text));
    json_t *value;
    esp_error e = {0};
    ASSERT_OK(json_read_file(scratch_path("wide.json"), &value, &e), &e);
    assert_true(json_real_value(json_object_get(value, "m")) == 1e30);
    assert_string_equal(json_string_value(json_object_get(value, "s")),
                        "99999999999999999999 \" 99999999999999999999");
    assert_true(json_is_integer(json_object_get(value, "i")));
    assert_true(json_real_value(json_object_get(value, "r")) == -1000.0);
    assert_true(json_real_value(json_array_get(json_object_get(value, "l"), 0)) == -1e20);
    json_decref(value);
    scratch_write("huge.json", "[1e999]", 7);
    ASSERT_FAILED(json_read_file(scratch_path("huge.json"), &value, &e), &e, "huge.json:1:");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_at_a_time),        cmocka_unit_test(a_bad_line_is_named),
        cmocka_unit_test(a_cut_packed_file_fails), cmocka_unit_test(absent_files_and_folders),
        cmocka_unit_test(members_by_type),         cmocka_unit_test(files_round_trip),
        cmocka_unit_test(integers_beyond_64_bits), cmocka_unit_test(no_json_number_is_null),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
