/* SHA-256 of files, by the numbers that the standard gives, and which files are read. */
#include "support.h"

#include "base/file.h"
#include "base/file_sum.h"
#include "base/memory.h"

#include <string.h>
#include <sys/stat.h>

static esp_error error;

/* FIPS 180-4's examples (csrc.nist.gov, SHA256.pdf), and the empty message. */
static const struct {
    const char *text, *sha256;
} known[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
             {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
             {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};

static void test_known(void **state) {
    (void)state;
    char path[256];
    test_path(path, sizeof path, "sum");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        file_sum of_file, of_bytes;
        size_t n = strlen(known[i].text);
        OK(file_write_all(path, known[i].text, n, &error));
        OK(file_sum_of(path, &of_file, &error));
        OK(file_sum_of_bytes(known[i].text, n, &of_bytes, &error));
        assert_string_equal(of_file.sha256, known[i].sha256);
        assert_int_equal(of_file.bytes, n);
        assert_true(file_sum_equal(&of_file, &of_bytes));
    }
    remove(path);
}

/* Longer than a piece that is read at a time: the same as of the bytes, and every bit counts. */
static void test_long(void **state) {
    (void)state;
    enum { LENGTH = (1 << 20) + 4321 };
    char path[256], *bytes = mem_alloc(LENGTH);
    test_path(path, sizeof path, "sum");
    for (int i = 0; i < LENGTH; i++) bytes[i] = (char)(i * 31 + i / 977);
    file_sum whole, of_bytes, changed;
    OK(file_write_all(path, bytes, LENGTH, &error));
    OK(file_sum_of(path, &whole, &error));
    OK(file_sum_of_bytes(bytes, LENGTH, &of_bytes, &error));
    assert_true(file_sum_equal(&whole, &of_bytes));
    bytes[LENGTH - 1] ^= 1;
    OK(file_write_all(path, bytes, LENGTH, &error));
    OK(file_sum_of(path, &changed, &error));
    assert_false(file_sum_equal(&whole, &changed));
    remove(path);
    mem_free(bytes);
}

static void refused(const char *path, const char *part) {
    file_sum sum;
    file_map map;
    char *bytes;
    error = (esp_error){0};
    assert_int_equal(file_sum_of(path, &sum, &error), ESP_FAILED);
    if (!strstr(error.message, part)) fail_msg("wanted \"%s\" in: %s", part, error.message);
    assert_true(error.hint[0]);
    assert_int_equal(file_map_open(&map, path, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, part));
    assert_int_equal(file_read(path, &bytes, NULL, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, part));
}

/* What would never end, or wait for ever, is refused at once. */
static void test_only_regular_files(void **state) {
    (void)state;
    char fifo[256], link[256];
    test_path(fifo, sizeof fifo, "fifo");
    test_path(link, sizeof link, "link");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("/dev/zero", link), 0);
    refused(fifo, "is not a regular file");
    refused(link, "is not a regular file");
    refused("/dev/zero", "is not a regular file");
    refused("/dev", "directory");
    refused("/nowhere", "No such file");
    file_sum sum;
    OK(file_sum_of("/dev/null", &sum, &error)); /* an empty file, as shells write it */
    assert_string_equal(sum.sha256, known[0].sha256);
    remove(fifo);
    remove(link);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_long),
                                       cmocka_unit_test(test_only_regular_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
