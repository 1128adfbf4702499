/* The texts of tests/data/golden/grade: answers of task gsm8k as models and people write them, and golds of
 * its rows. */
#include "task_support.h"

#include "base/file.h"
#include "formats/json.h"

#include <string.h>

static esp_error error;

static void test_texts(void **state) {
    (void)state;
    jsonl_reader *reader;
    size_t total = 0, wrong = 0;
    OK(jsonl_open(&reader, TEST_DATA "/golden/grade/texts.jsonl", &error));
    for (json_t *row;; total++) {
        OK(jsonl_next(reader, &row, &error));
        if (!row) break;
        json_t *out = NULL;
        bool right = json_is_true(json_object_get(row, "right"));
        esp_status status = task_grade_row(test_task("gsm8k"), row, jsonl_where(reader), &out, &error);
        bool correct = status == ESP_OK && json_is_true(json_object_get(out, "correct"));
        if (correct != right) {
            char *shown = json_dumps(row, 0);
            fprintf(stderr, "%s: %s\n", shown, status == ESP_OK ? "graded otherwise" : error.message);
            free(shown);
            wrong++;
        }
        json_decref(out);
    }
    jsonl_close(reader);
    if (wrong) fail_msg("%zu of %zu texts", wrong, total);
    assert_true(total > 200);
}

/* The gold of a worked solution that ends in "#### " and this; NULL: the row is refused. */
static void test_golds(void **state) {
    (void)state;
    static const struct {
        const char *written, *gold;
    } rows[] = {
        {"10 - 3 = 7", "7"},
        {"- 5", "-5"},
        {"50 cents = $0.50", "0.5"},
        {"10^6", "1000000"},
        {"2 or 3", NULL},
        {"10,\\\\!080", "10080"},
        {"2.5 million", "2500000"},
        {"negative 5", "-5"},
        {"3 + 4", "7"},
        {"1 234 567", "1234567"},
        {"4 and 5", NULL},
        {"6 pens * 2 = 12 pens", "12"},
        {"15%", "15%"},
        {"\\\\frac{3}{4}", "0.75"},
        {"1/0", NULL},
        {"many", NULL},
        {"7 (in 2 days)", "7"},
        {"12,50,000", "1250000"},
    };
    char path[64];
    snprintf(path, sizeof path, "espalier-golds-%d.jsonl", (int)getpid());
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *row = mem_printf("{\"question\": \"q\", \"answer\": \"Work.\\n#### %s\"}\n", rows[i].written);
        OK(file_write_all(path, row, strlen(row), &error));
        problem_set set;
        esp_status status = task_read(test_task("gsm8k"), path, &set, &error);
        if (status != (rows[i].gold ? ESP_OK : ESP_FAILED))
            fail_msg("%s: %s", rows[i].written, error.message);
        if (status == ESP_OK && strcmp(set.at[0].gold, rows[i].gold) != 0)
            fail_msg("%s: gold %s, want %s", rows[i].written, set.at[0].gold, rows[i].gold);
        if (status == ESP_OK) problem_set_free(&set);
        mem_free(row);
    }
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_golds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
