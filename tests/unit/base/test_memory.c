/* Growing arrays and strings. */
#include "support.h"

#include "base/memory.h"

static void a_list_grows_by_what_is_appended(void **state) {
    (void)state;
    MEM_LIST(int32_t) list = {0};
    const int32_t some[] = {5, 6, 7};
    MEM_LIST_APPEND(&list, some, 0);
    assert_int_equal(list.count, 0);
    for (int i = 0; i < 100; i++) MEM_LIST_APPEND(&list, some + i % 3, 3 - i % 3);
    MEM_LIST_PUSH(&list, 8);
    int64_t at = 0;
    for (int i = 0; i < 100; i++)
        for (int k = i % 3; k < 3; k++) assert_int_equal(list.at[at++], some[k]);
    assert_int_equal(list.at[at++], 8);
    assert_int_equal(list.count, at);
    assert_true(list.capacity >= at);
    MEM_LIST_FREE(&list);
    assert_null(list.at);
}

static void an_end_is_found_at_the_end(void **state) {
    (void)state;
    assert_true(text_ends_with("model.gguf", ".gguf"));
    assert_true(text_ends_with(".gguf", ".gguf"));
    assert_true(text_ends_with("model", ""));
    assert_false(text_ends_with("model.gguf.old", ".gguf"));
    assert_false(text_ends_with("gguf", ".gguf"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_grows_by_what_is_appended),
        cmocka_unit_test(an_end_is_found_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
