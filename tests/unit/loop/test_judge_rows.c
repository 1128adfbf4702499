/* Judge rows: half of them are incorrect, these only in their last line, and the ids are those of a search.
 */
#include "loop/judge_rows.h"
#include "task_support.h"

#include <stdio.h>
#include <string.h>

static esp_error error;

static const task *gsm8k(void) {
    return test_task("gsm8k");
}

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
    OK(task_read(gsm8k(), ESPALIER_SOURCE_DIR "/data/gsm8k/train.jsonl.gz", &set, &error));
    int64_t wrong = 0, earlier = 0, at_end = 0, n = 2000, depths = 0;
    for (int64_t i = 0; i < n; i++) {
        const problem *p = &set.at[i];
        judge_steps s, again;
        OK(judge_steps_draw(gsm8k(), p, rng_mix(rng_key(7), (uint64_t)i), &s, &error));
        OK(judge_steps_draw(gsm8k(), p, rng_mix(rng_key(7), (uint64_t)i), &again, &error));
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

/* The line of an incorrect answer is graded incorrect: the number's value differs, not only its spelling. */
static void test_wrong_is_wrong(void **state) {
    (void)state;
    static const char *const rationales[] = {"#### 29", "#### 1,250", "#### 0.50",
                                             "#### 0",  "#### 7%",    "#### $3.05"};
    static const char *const golds[] = {"29", "1250", "0.5", "0", "7%", "3.05"};
    for (size_t r = 0; r < 6; r++) {
        problem p = made(rationales[r]);
        int wrong = 0, spelled = 0;
        for (uint64_t i = 0; i < 300; i++) {
            judge_steps s;
            OK(judge_steps_draw(gsm8k(), &p, rng_key(i), &s, &error));
            task_grade_result g = task_grade(gsm8k(), &(problem){.gold = golds[r]}, s.text, strlen(s.text));
            if (g.correct != s.right) fail_msg("\"%s\" for %s", s.text, rationales[r]);
            wrong += !s.right;
            spelled += strchr(s.text, ',') != NULL;
            task_grade_free(&g);
            judge_steps_free(&s);
        }
        assert_in_range(wrong, 110, 190);
        if (r == 1) assert_true(spelled > 200); /* grouped as the correct number is */
    }
}

/* "8 = 24": the result after the sign, and again where it recurs; other numbers stay. */
static void test_carried(void **state) {
    (void)state;
    problem p = made("3*8 = 24 pens\n24+5 = 29 pens\n#### 29");
    int carried = 0, operations = 0;
    for (uint64_t i = 0; i < 600; i++) {
        judge_steps s;
        OK(judge_steps_draw(gsm8k(), &p, rng_key(i), &s, &error));
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
        OK(judge_steps_draw(gsm8k(), &p, rng_key(i), &s, &error));
        assert_true(s.right);
        judge_steps_free(&s);
    }
    judge_steps s;
    problem none = made(NULL);
    assert_int_equal(judge_steps_draw(gsm8k(), &none, rng_key(1), &s, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "made:4 has no rationale"));
}

typedef struct {
    tokenizer *t;
    prompt_words *words;
} fixture;

static void open_words(fixture *f) {
    OK(tokenizer_open(&f->t, TEST_DATA "/models/tinystories-656k", &error));
    OK(prompt_words_new(&f->words, f->t, gsm8k(), chat_builtin(CHAT_PLAIN), &error));
}

static void close_words(fixture *f) {
    prompt_words_free(f->words);
    tokenizer_close(f->t);
}

static bool has(const token_list *ids, int64_t at, const token_list *part) {
    return at >= 0 && at + part->count <= ids->count &&
           memcmp(ids->at + at, part->at, (size_t)part->count * sizeof *part->at) == 0;
}

static void test_rows(void **state) {
    (void)state;
    fixture f;
    open_words(&f);
    problem_set set;
    OK(task_read(gsm8k(), ESPALIER_SOURCE_DIR "/data/gsm8k/train.jsonl.gz", &set, &error));
    int64_t examples = 0, n = 200, differ = 0;
    const token_list suffix = *prompt_judge_suffix(f.words);
    assert_true(suffix.count > 0);
    for (int64_t i = 0; i < n; i++) {
        judge_row row, bare;
        OK(judge_row_make(f.words, &set.at[i], RECIPE_EXAMPLE_GOLD, 1, 0, &row, &error));
        OK(judge_row_make(f.words, &set.at[i], RECIPE_EXAMPLE_NONE, 1, 0, &bare, &error));
        assert_false(bare.with_example);
        examples += row.with_example;
        token_list prefix = {0};
        OK(prompt_judge_prefix(f.words, &set.at[i], row.with_example, &prefix, &error));
        assert_true(has(&row.prompt, 0, &prefix));
        assert_true(has(&row.prompt, row.prompt.count - suffix.count, &suffix));
        assert_true(row.prompt.count > prefix.count + suffix.count);
        assert_int_equal(row.verdict, prompt_verdict_id(f.words, row.right));
        assert_int_equal(row.right, bare.right);
        for (int64_t j = 0; j < row.prompt.count; j++) assert_true(row.prompt.at[j] != prompt_eos(f.words));
        judge_row other;
        OK(judge_row_make(f.words, &set.at[i], RECIPE_EXAMPLE_NONE, 1, 1, &other, &error));
        differ += other.prompt.count != bare.prompt.count || !has(&other.prompt, 0, &bare.prompt);
        judge_row_free(&other);
        judge_row_free(&row);
        judge_row_free(&bare);
        MEM_LIST_FREE(&prefix);
    }
    assert_in_range(examples, 70, 130);
    assert_true(differ > n / 2);
    problem_set_free(&set);
    close_words(&f);
}

/* ---- own chains ---- */

enum { EACH = 32 }; /* fewer chains have no number among their answers */

typedef struct {
    recipe *r;
    session s;
    model *m;
    sampler *p;
    problem at[6];
    char gold[6][32];
    chain_job chains[6][EACH];
} own_fixture;

/* Problems that the model answers right by luck alone: it writes stories, and a gold answer of the last
 * number is what it hits. example: self_eval.example. */
static void open_own(own_fixture *f, const char *example, const char *chains) {
    recipe_override set[] = {
        {"model.path", TEST_DATA "/models/tinystories-656k", "test"},
        {"model.dtype", "f32", "test"},
        {"model.chat_template", "plain", "test"},
        {"run.threads", "1", "test"},
        {"search.max_step_tokens", "24", "test"},
        {"search.max_chain_tokens", "256", "test"},
        {"self_eval.example", example, "test"},
        {"sft.judge_chains", chains, "test"},
    };
    *f = (own_fixture){0};
    OK(recipe_load(&f->r, NULL, set, (int)(sizeof set / sizeof *set), &error));
    OK(session_open(&f->s, f->r, NULL, NULL, &error));
    OK(session_open_model(&f->s, NULL, false, &f->m, &error));
    lm_settings settings = session_lm_settings(&f->s);
    OK(lm_new(&f->p, f->m, f->s.words, &settings, &error));
    for (int i = 0; i < 6; i++) {
        f->at[i] = made("3*8 = 24\n#### 3");
        f->at[i].index = 10 + i;
        f->at[i].gold = "3";
        f->at[i].question = i % 2 ? "Lily has 3 red balls and 2 blue balls. How many?" : "Tom has 4 cats.";
    }
}

static void close_own(own_fixture *f) {
    for (int p = 0; p < 6; p++)
        for (int j = 0; j < EACH; j++) chain_job_free(&f->chains[p][j]);
    sampler_free(f->p);
    model_free(f->m);
    session_close(&f->s);
    recipe_free(f->r);
}

/* What the chains themselves are, by the policy's own doing. */
static void sample_chains(own_fixture *f, int64_t problem) {
    token_list prompt = {0};
    OK(prompt_ids(f->s.words, &f->at[problem], &prompt, &error));
    rng_key_t key = rng_mix(rng_mix(rng_key(1), 0x6f776e), (uint64_t)f->at[problem].index);
    for (int64_t j = 0; j < EACH; j++)
        f->chains[problem][j] = (chain_job){.prompt = prompt.at,
                                            .prompt_count = prompt.count,
                                            .temperature = (float)f->r->search.temperature,
                                            .key = rng_mix(key, (uint64_t)j),
                                            .max_tokens = (int32_t)f->r->search.max_chain_tokens};
    OK(sampler_chains(f->p, f->chains[problem], EACH, NULL, NULL, NULL, &error));
    MEM_LIST_FREE(&prompt);
}

/* A number that one of the chains yields becomes the gold answer: correct by luck. */
static void make_some_right(own_fixture *f) {
    for (int64_t p = 0; p < 6; p++) {
        sample_chains(f, p);
        for (int64_t j = 0; j < EACH; j++) {
            const chain_job *job = &f->chains[p][j];
            task_answer *a = task_answer_find(f->s.task, NULL, job->text.at, job->text.length);
            char *shown = a ? task_answer_show(f->s.task, NULL, a) : NULL;
            if (job->finished && a) snprintf(f->gold[p], sizeof f->gold[p], "%s", shown);
            mem_free(shown);
            mem_free(a);
        }
        if (f->gold[p][0]) f->at[p].gold = f->gold[p];
    }
}

/* Each row is a problem's judge prefix, the beginning of one of its chains as it was sampled, cut after a
 * step, the suffix, and the outcome of that chain. */
static void test_own_rows(void **state) {
    (void)state;
    enum { WANT = 60 };
    own_fixture f;
    open_own(&f, "gold", "32");
    judge_row_list rows, again, few;
    judge_own_counts counts, other;
    make_some_right(&f);
    OK(judge_rows_own(&f.s, f.p, f.at, 6, WANT, &rows, &counts, &error));
    OK(judge_rows_own(&f.s, f.p, f.at, 6, WANT, &again, &other, &error));
    assert_int_equal(counts.chains, 6 * EACH);
    assert_true(counts.right > 0 && counts.right < counts.chains - counts.unfinished);
    assert_true(counts.tokens_sampled > counts.chains);
    assert_memory_equal(&counts, &other, sizeof counts);
    int64_t half = counts.right_cuts < counts.wrong_cuts ? counts.right_cuts : counts.wrong_cuts;
    if (half > WANT / 2) half = WANT / 2;
    assert_int_equal(rows.count, 2 * half);
    int64_t right = 0, examples = 0, whole = 0;
    const token_list suffix = *prompt_judge_suffix(f.s.words);
    bool *found = MEM_ARRAY(bool, rows.count);
    for (int64_t i = 0; i < rows.count; i++) {
        const judge_row *row = &rows.at[i];
        right += row->right;
        examples += row->with_example;
        assert_int_equal(row->verdict, prompt_verdict_id(f.s.words, row->right));
        assert_true(has(&row->prompt, row->prompt.count - suffix.count, &suffix));
        assert_true(row->prompt.count == again.at[i].prompt.count &&
                    has(&row->prompt, 0, &again.at[i].prompt));
        assert_int_equal(row->right, again.at[i].right);
        for (int64_t j = 0; j < row->prompt.count; j++)
            assert_true(row->prompt.at[j] != prompt_eos(f.s.words));
    }
    assert_int_equal(right, half);
    assert_true(examples > 0 && examples < rows.count); /* how many: test_rows */
    for (int64_t p = 0; p < 6; p++) {
        const chain_job *jobs = f.chains[p];
        token_list prefixes[2] = {{0}, {0}};
        for (int example = 0; example < 2; example++)
            OK(prompt_judge_prefix(f.s.words, &f.at[p], example, &prefixes[example], &error));
        for (int64_t j = 0; j < EACH; j++) {
            task_grade_result g = task_grade(f.s.task, &f.at[p], jobs[j].text.at, jobs[j].text.length);
            for (int64_t i = 0; i < rows.count && jobs[j].finished; i++) {
                const judge_row *row = &rows.at[i];
                token_list prefix = prefixes[row->with_example];
                int64_t n = row->prompt.count - prefix.count - suffix.count;
                token_list steps = {.at = jobs[j].ids.at, .count = n};
                bool cut = false;
                for (int64_t e = 0; e < jobs[j].ends.count; e++) cut = cut || jobs[j].ends.at[e] == n;
                bool all = n == jobs[j].ids.count - 1; /* without end-of-sequence */
                if (n > 0 && n <= jobs[j].ids.count && (cut || all) && row->right == g.correct &&
                    has(&row->prompt, 0, &prefix) && has(&row->prompt, prefix.count, &steps)) {
                    whole += !found[i] && all;
                    found[i] = true;
                }
            }
            task_grade_free(&g);
        }
        for (int example = 0; example < 2; example++) MEM_LIST_FREE(&prefixes[example]);
    }
    for (int64_t i = 0; i < rows.count; i++)
        if (!found[i]) fail_msg("row %lld is no beginning of a chain of its fate", (long long)i);
    assert_true(whole > 0 && whole < rows.count);
    OK(judge_rows_own(&f.s, f.p, f.at, 6, 5, &few, &other, &error));
    assert_int_equal(few.count, 4); /* as many right as wrong */
    mem_free(found);
    judge_row_list_free(&rows);
    judge_row_list_free(&again);
    judge_row_list_free(&few);
    close_own(&f);
}

/* A policy that is never right teaches no judge; a prompt beyond the context is passed over. */
static void test_own_fails(void **state) {
    (void)state;
    own_fixture f;
    open_own(&f, "none", "2");
    judge_row_list rows;
    judge_own_counts counts;
    for (int i = 0; i < 6; i++) f.at[i].gold = "1000001";
    assert_int_equal(judge_rows_own(&f.s, f.p, f.at, 6, 10, &rows, &counts, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "own chains cannot train a judge: of 12, 0 are correct"));
    assert_non_null(strstr(error.hint, "sft.judge_chains"));
    assert_null(rows.at);
    text_buffer book = {0};
    for (int i = 0; i < 2000; i++) text_puts(&book, "a cat ");
    for (int i = 0; i < 5; i++) f.at[i].question = book.at;
    assert_int_equal(judge_rows_own(&f.s, f.p, f.at, 6, 10, &rows, &counts, &error), ESP_FAILED);
    assert_int_equal(counts.chains, 2);
    volatile sig_atomic_t stop = 1;
    f.s.stop = &stop;
    lm_settings settings = session_lm_settings(&f.s);
    sampler_free(f.p);
    OK(lm_new(&f.p, f.m, f.s.words, &settings, &error));
    assert_int_equal(judge_rows_own(&f.s, f.p, f.at + 5, 1, 10, &rows, &counts, &error), ESP_INTERRUPTED);
    text_free(&book);
    close_own(&f);
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
        cmocka_unit_test(test_gsm8k),     cmocka_unit_test(test_wrong_is_wrong),
        cmocka_unit_test(test_carried),   cmocka_unit_test(test_nothing_to_change),
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_own_rows),
        cmocka_unit_test(test_own_fails), cmocka_unit_test(test_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
