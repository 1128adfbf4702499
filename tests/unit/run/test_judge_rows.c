/* Judge rows: half of them wrong, wrong ones wrong in their last line and nowhere before, and the ids those
 * of a search. */
#include "run/judge_rows.h"
#include "support.h"
#include "task/number.h"

#include <string.h>

static esp_error error;
#define OK(call)                                                                                             \
    do {                                                                                                     \
        if ((call) != ESP_OK) fail_msg("%s: %s (%s)", #call, error.message, error.hint);                     \
    } while (0)

static problem made(const char *rationale) {
    return (problem){.index = 3,
                     .id = "made:4",
                     .question = "Tom has 3 bags of 8 pens and 5 more. How many?",
                     .gold = "29",
                     .rationale = rationale};
}

/* Where the last line of a text begins; a newline at its end is not looked at. */
static size_t last_line(const char *text) {
    size_t n = strlen(text);
    if (n && text[n - 1] == '\n') n--;
    while (n && text[n - 1] != '\n') n--;
    return n;
}

static int64_t lines_of(const char *text) {
    int64_t n = 0;
    for (const char *p = text; *p; p++) n += *p == '\n' || !p[1];
    return n;
}

/* The text with each number's digits taken out: what a mistake must leave alone. */
static char *without_digits(const char *text) {
    text_buffer b = {0};
    for (const char *p = text; *p; p++)
        if (!strchr("0123456789.,", *p)) text_append(&b, p, 1);
    text_puts(&b, "");
    return b.at;
}

static void test_gsm8k(void **state) {
    (void)state;
    problem_set set;
    OK(task_read(task_find("gsm8k", &error), SHARED_PATH("data/gsm8k/train.jsonl.gz"), &set, &error));
    int64_t wrong = 0, earlier = 0, at_end = 0, n = 2000, depths = 0;
    for (int64_t i = 0; i < n; i++) {
        const problem *p = &set.at[i];
        judge_steps s, again;
        OK(judge_steps_draw(p, rng_mix(rng_key(7), (uint64_t)i), &s, &error));
        OK(judge_steps_draw(p, rng_mix(rng_key(7), (uint64_t)i), &again, &error));
        assert_string_equal(s.text, again.text);
        assert_int_equal(s.steps, lines_of(s.text));
        size_t start = last_line(s.text), length = strlen(s.text);
        depths += s.steps;
        at_end += s.steps == lines_of(p->rationale);
        if (s.right) {
            assert_int_equal(strncmp(s.text, p->rationale, length), 0);
            assert_int_equal(s.changed, -1);
        } else {
            wrong++;
            assert_true(s.changed >= 0 && (size_t)s.changed < length);
            assert_int_equal(strncmp(s.text, p->rationale, (size_t)s.changed), 0);
            earlier += (size_t)s.changed < start;
            /* The same words, other digits, and the last line is one of them. */
            const char *gold = p->rationale;
            for (int64_t line = 1; line < s.steps; line++) gold = strchr(gold, '\n') + 1;
            size_t gold_length = strcspn(gold, "\n"), own_length = strcspn(s.text + start, "\n");
            assert_false(gold_length == own_length && memcmp(gold, s.text + start, own_length) == 0);
            char *prefix = mem_strndup(p->rationale, (size_t)(gold - p->rationale) + gold_length +
                                                         (gold[gold_length] == '\n'));
            char *a = without_digits(prefix), *b = without_digits(s.text);
            assert_string_equal(a, b);
            mem_free(a);
            mem_free(b);
            mem_free(prefix);
        }
        judge_steps_free(&s);
        judge_steps_free(&again);
    }
    /* Four standard deviations of a fair coin. */
    assert_in_range(wrong, n / 2 - 90, n / 2 + 90);
    assert_true(earlier > wrong / 20 && earlier < wrong / 2);
    assert_true(at_end > n / 10 && depths > 2 * n);
    problem_set_free(&set);
}

/* A wrong answer's line is graded wrong: the number's value differs, not just its spelling. */
static void test_wrong_is_wrong(void **state) {
    (void)state;
    const task *t = task_find("gsm8k", &error);
    static const char *const rationales[] = {"#### 29", "#### 1,250", "#### 0.50",
                                             "#### 0",  "#### 7%",    "#### $3.05"};
    static const char *const golds[] = {"29", "1250", "0.5", "0", "7%", "3.05"};
    for (size_t r = 0; r < 6; r++) {
        problem p = made(rationales[r]);
        int wrong = 0, spelled = 0;
        for (uint64_t i = 0; i < 300; i++) {
            judge_steps s;
            OK(judge_steps_draw(&p, rng_key(i), &s, &error));
            task_grade_result g = task_grade(t, s.text, strlen(s.text), golds[r]);
            if (g.correct != s.right) fail_msg("\"%s\" for %s", s.text, rationales[r]);
            wrong += !s.right;
            spelled += strchr(s.text, ',') != NULL;
            task_grade_free(&g);
            judge_steps_free(&s);
        }
        assert_in_range(wrong, 110, 190);
        if (r == 1) assert_true(spelled > 200); /* grouped as the right one is */
    }
}

/* "8 = 24": the result behind the sign, again where it comes back; other numbers stay. */
static void test_carried(void **state) {
    (void)state;
    problem p = made("3*8 = 24 pens\n24+5 = 29 pens\n#### 29");
    int carried = 0, operations = 0;
    for (uint64_t i = 0; i < 600; i++) {
        judge_steps s;
        OK(judge_steps_draw(&p, rng_key(i), &s, &error));
        if (!s.right) {
            if (s.steps == 1) {
                assert_int_equal(strncmp(s.text, "3*8 = ", 6), 0);
                operations += strcmp(s.text, "3*8 = 11 pens\n") == 0; /* 3 + 8 */
            }
            if (s.steps == 2 && s.changed == 6) {
                char first[16], second[16];
                assert_int_equal(sscanf(s.text, "3*8 = %15s pens\n%15[^+]+5 = 29 pens", first, second), 2);
                assert_string_equal(first, second);
                carried++;
            }
            if (s.steps == 2 && s.changed != 6)
                assert_int_equal(strncmp(s.text, "3*8 = 24 pens\n24+5 = ", 21), 0);
        }
        judge_steps_free(&s);
    }
    assert_in_range(carried, 10, 80);
    assert_in_range(operations, 5, 40);
}

/* Without a number nothing can be made wrong, and the row says so; without rationale there is no row. */
static void test_nothing_to_change(void **state) {
    (void)state;
    problem p = made("Lions are cats.\nCats sleep.");
    for (uint64_t i = 0; i < 50; i++) {
        judge_steps s;
        OK(judge_steps_draw(&p, rng_key(i), &s, &error));
        assert_true(s.right);
        judge_steps_free(&s);
    }
    judge_steps s;
    problem none = made(NULL);
    assert_int_equal(judge_steps_draw(&none, rng_key(1), &s, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "made:4 has no rationale"));
}

typedef struct {
    compute *c;
    model *m;
    tokenizer *t;
    lm_policy *p;
} fixture;

static void open_policy(fixture *f) {
    const char *folder = SHARED_PATH("data/models/TinyStories-656K");
    OK(compute_new(&f->c, "cpu", DTYPE_F32, 1, &error));
    OK(model_open(&f->m, folder, &(model_options){.compute = f->c}, &error));
    OK(tokenizer_open(&f->t, folder, &error));
    lm_settings set = {.temperature = 1, .max_step_tokens = 32, .max_chain_tokens = 64, .kv_tokens = 512};
    OK(lm_new(&f->p, f->m, f->t, task_find("gsm8k", &error), CHAT_PLAIN, &set, &error));
}

static void close_policy(fixture *f) {
    lm_free(f->p);
    tokenizer_close(f->t);
    model_free(f->m);
    compute_free(f->c);
}

static bool has(const token_list *ids, int64_t at, const token_list *part) {
    return at >= 0 && at + part->count <= ids->count &&
           memcmp(ids->at + at, part->at, (size_t)part->count * sizeof *part->at) == 0;
}

static void test_rows(void **state) {
    (void)state;
    fixture f;
    open_policy(&f);
    problem_set set;
    OK(task_read(task_find("gsm8k", &error), SHARED_PATH("data/gsm8k/train.jsonl.gz"), &set, &error));
    int64_t examples = 0, n = 200, differ = 0;
    token_list suffix = {0};
    lm_judge_suffix_ids(f.p, &suffix);
    assert_true(suffix.count > 0);
    for (int64_t i = 0; i < n; i++) {
        judge_row row, bare;
        OK(judge_row_make(f.p, &set.at[i], RECIPE_EXAMPLE_GOLD, 1, 0, &row, &error));
        OK(judge_row_make(f.p, &set.at[i], RECIPE_EXAMPLE_NONE, 1, 0, &bare, &error));
        assert_false(bare.with_example);
        examples += row.with_example;
        token_list prefix = {0};
        OK(lm_judge_prefix_ids(f.p, &set.at[i], row.with_example, &prefix, &error));
        assert_true(has(&row.prompt, 0, &prefix));
        assert_true(has(&row.prompt, row.prompt.count - suffix.count, &suffix));
        assert_true(row.prompt.count > prefix.count + suffix.count);
        assert_int_equal(row.verdict, lm_verdict_id(f.p, row.right));
        assert_int_equal(row.right, bare.right);
        for (int64_t j = 0; j < row.prompt.count; j++) assert_true(row.prompt.at[j] != lm_eos(f.p));
        supervised_row view = judge_row_view(&row, 0.5);
        assert_int_equal(view.completion_count, 1);
        assert_ptr_equal(view.completion, &row.verdict);
        judge_row other;
        OK(judge_row_make(f.p, &set.at[i], RECIPE_EXAMPLE_NONE, 1, 1, &other, &error));
        differ += other.prompt.count != bare.prompt.count || !has(&other.prompt, 0, &bare.prompt);
        judge_row_free(&other);
        judge_row_free(&row);
        judge_row_free(&bare);
        MEM_LIST_FREE(&prefix);
    }
    assert_in_range(examples, 70, 130);
    assert_true(differ > n / 2);
    MEM_LIST_FREE(&suffix);
    problem_set_free(&set);
    close_policy(&f);
}

static void test_due(void **state) {
    (void)state;
    const double rates[] = {0, 0.5, 1, 2.25};
    const int64_t sums[] = {0, 50, 100, 225};
    for (int r = 0; r < 4; r++) {
        int64_t sum = 0;
        for (int64_t i = 0; i < 100; i++) {
            int64_t due = judge_rows_due(rates[r], i);
            assert_true(due >= (int64_t)rates[r] && due <= (int64_t)rates[r] + 1);
            sum += due;
        }
        assert_int_equal(sum, sums[r]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gsm8k),   cmocka_unit_test(test_wrong_is_wrong),
        cmocka_unit_test(test_carried), cmocka_unit_test(test_nothing_to_change),
        cmocka_unit_test(test_rows),    cmocka_unit_test(test_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
