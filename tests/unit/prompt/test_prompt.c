/* Prompts without a model: what the judge may not see does not reach its prompt, a judge row's parts make the
 * text that the task writes, room is what the longer prompt leaves, and a user's text is checked. */
#include "prompt/prompt.h"
#include "words_support.h"

#include <string.h>

static esp_error error;

static const problem sum = {.id = "p0",
                            .question = "Tom has 3 cats and 2 dogs. How many pets?",
                            .gold = "5",
                            .rationale = "3 + 2 = 5\n#### 5"};

static bool contains(const opened_words *f, const token_list *ids, const char *what) {
    text_buffer text = {0};
    OK(tokenizer_decode(f->tokens, ids->at, ids->count, false, &text, &error));
    bool found = strstr(text.at, what) != NULL;
    text_free(&text);
    return found;
}

static void gold_is_seen_only_where_allowed(void **state) {
    (void)state;
    opened_words f = open_words();
    problem other = sum;
    other.gold = "77";
    other.rationale = "It is 77.\n#### 77";
    prompt_pair shown, hidden, changed;
    OK(prompt_pair_make(f.words, &other, true, true, 512, &shown, &error));
    OK(prompt_pair_make(f.words, &other, true, false, 512, &hidden, &error));
    OK(prompt_pair_make(f.words, &sum, true, false, 512, &changed, &error));
    assert_true(contains(&f, &shown.of[PREFIX_JUDGE], "77"));
    assert_false(contains(&f, &shown.of[PREFIX_POLICY], "77"));
    for (int i = 0; i < PREFIXES; i++) {
        assert_int_equal(hidden.of[i].count, changed.of[i].count);
        assert_memory_equal(hidden.of[i].at, changed.of[i].at, (size_t)hidden.of[i].count * 4);
        assert_true(contains(&f, &hidden.of[i], "3 cats and 2 dogs"));
    }
    prompt_pair_free(&shown);
    prompt_pair_free(&hidden);
    prompt_pair_free(&changed);
    close_words(&f);
}

static void room_is_what_the_longer_prompt_leaves(void **state) {
    (void)state;
    opened_words f = open_words();
    prompt_pair pair;
    OK(prompt_pair_make(f.words, &sum, true, true, 512, &pair, &error));
    int64_t policy = 512 - pair.of[PREFIX_POLICY].count,
            judge = 512 - pair.of[PREFIX_JUDGE].count - prompt_judge_suffix(f.words)->count, room;
    assert_true(judge < policy);
    assert_int_equal(pair.room, judge);
    OK(prompt_room(f.words, &sum, false, true, 512, &room, &error));
    assert_int_equal(room, policy);
    OK(prompt_room(f.words, &sum, false, false, pair.of[PREFIX_POLICY].count, &room, &error));
    assert_int_equal(room, 0);
    prompt_pair_free(&pair);
    close_words(&f);
}

static void answers_end_in_end_of_sequence(void **state) {
    (void)state;
    opened_words f = open_words();
    token_list ids = {0};
    OK(prompt_answer_ids(f.words, "It is 5.", 8, &ids, &error));
    assert_int_equal(ids.at[ids.count - 1], prompt_eos(f.words));
    assert_true(prompt_is_end(f.words, prompt_eos(f.words)));
    assert_false(prompt_is_end(f.words, ids.at[0]));
    text_buffer text = {0};
    OK(prompt_text(f.words, ids.at, ids.count, &text, &error));
    assert_non_null(strstr(text.at, "It is 5."));
    step_rules rules = prompt_step_rules(f.words);
    assert_int_equal(rules.ends[0], prompt_eos(f.words));
    text_free(&text);
    MEM_LIST_FREE(&ids);
    close_words(&f);
}

static void a_text_of_the_users_own(void **state) {
    (void)state;
    opened_words f = open_words();
    token_list ids = {0}, whole = {0};
    prompt_form form = {.chat = chat_builtin(CHAT_PLAIN), .bos = true};
    OK(prompt_of_text(f.tokens, &form, "Once upon a time", 16, &ids, &error));
    OK(chat_encode(chat_builtin(CHAT_PLAIN), f.tokens, NULL, "Once upon a time", &whole, &error));
    assert_int_equal(ids.count, whole.count);
    assert_memory_equal(ids.at, whole.at, (size_t)ids.count * 4);
    int64_t room;
    OK(prompt_check(ids.at, ids.count, 8192, ids.count + 3, &room, &error));
    assert_int_equal(room, 3);
    assert_int_equal(prompt_check(ids.at, 0, 8192, 512, &room, &error), ESP_FAILED);
    assert_string_equal(error.message, "the prompt is empty");
    assert_int_equal(prompt_check(ids.at, ids.count, 8192, ids.count, &room, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "leaves no room in the context"));
    const int32_t outside[] = {1, 9000};
    assert_int_equal(prompt_check(outside, 2, 8192, 512, &room, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "gives id 9000"));
    form.chat = chat_builtin(CHAT_MISTRAL);
    assert_int_equal(prompt_of_text(f.tokens, &form, "a\0b", 3, &whole, &error), ESP_FAILED);
    assert_string_equal(error.message, "the prompt holds a zero byte");
    MEM_LIST_FREE(&ids);
    MEM_LIST_FREE(&whole);
    close_words(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gold_is_seen_only_where_allowed),
        cmocka_unit_test(room_is_what_the_longer_prompt_leaves),
        cmocka_unit_test(answers_end_in_end_of_sequence),
        cmocka_unit_test(a_text_of_the_users_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
