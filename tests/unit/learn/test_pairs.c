/* Pairs in files: what is written reads back to the same rows, and a row that is no pair is named. */
#include "learn/pairs.h"
#include "formats/json.h"
#include "base/file.h"
#include "support.h"

#include <math.h>
#include <string.h>

static esp_error error;

static char *folder;

static int make_folder(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    folder = mem_printf("%s/espalier-pairs-%d", base ? base : "/tmp", (int)getpid());
    return folder_make(folder, NULL) != ESP_OK;
}

static int remove_folder(void **state) {
    (void)state;
    folder_remove(folder, NULL);
    mem_free(folder);
    return 0;
}

static tokenizer *tiny_tokenizer(void) {
    tokenizer *t;
    OK(tokenizer_open(&t, TEST_DATA "/models/tinystories-656k", &error));
    return t;
}

static void add_pair(store *s, int64_t iteration, const tokenizer *t, const char *prompt, const char *chosen,
                     const char *rejected, double ref) {
    token_list ids[3] = {{0}};
    const char *texts[] = {prompt, chosen, rejected};
    OK(tokenizer_encode(t, prompt, strlen(prompt), true, &ids[0], &error));
    for (int i = 1; i < 3; i++) { /* sampled ids go on where the prompt's end */
        char *both = mem_printf("%s%s", prompt, texts[i]);
        token_list all = {0};
        OK(tokenizer_encode(t, both, strlen(both), true, &all, &error));
        for (int64_t j = ids[0].count; j < all.count; j++) MEM_LIST_PUSH(&ids[i], all.at[j]);
        MEM_LIST_FREE(&all);
        mem_free(both);
    }
    store_pair p = {.iteration = iteration,
                    .problem = 17,
                    .prefix_ids = ids[0].at,
                    .prefix_count = ids[0].count,
                    .chosen_ids = ids[1].at,
                    .chosen_count = ids[1].count,
                    .rejected_ids = ids[2].at,
                    .rejected_count = ids[2].count,
                    .q_chosen = 1.0 / 3,
                    .q_rejected = -0.5,
                    .n_chosen = 6,
                    .n_rejected = 2,
                    .alpha = 0.25,
                    .policy_logp_chosen = -1,
                    .policy_logp_rejected = -2,
                    .ref_logp_chosen = ref,
                    .ref_logp_rejected = ref,
                    .tree = 1,
                    .policy = "theta_0"};
    OK(store_add_pair(s, &p, &error));
    for (int i = 0; i < 3; i++) MEM_LIST_FREE(&ids[i]);
}

static void write_pairs(store *s, int64_t iteration, pairs_format format, const tokenizer *t,
                        const char *path, int64_t want) {
    pairs_write_options o = {.format = format, .tokenizer = t, .chat = chat_builtin(CHAT_PLAIN)};
    FILE *f = fopen(path, "w");
    int64_t written;
    OK(pairs_write(s, iteration, &o, f, path, &written, &error));
    fclose(f);
    assert_int_equal(written, want);
}

static void ids_equal(const int32_t *a, int64_t n, const int32_t *b, int64_t m) {
    assert_int_equal(n, m);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
}

/* Rows of text say whether they continue, and have ids only where the words do not give them. */
static void test_words(const tokenizer *t, const store_pair *pairs) {
    static const char *const prompts[] = {"Once upon a time", "Tom said: \"", "Tom"};
    for (int i = 0; i < 3; i++) {
        json_t *row;
        OK(pairs_row(&pairs[i], &(pairs_write_options){PAIRS_TRL, t, chat_builtin(CHAT_PLAIN)}, &row,
                     &error));
        assert_string_equal(json_string_value(json_object_get(row, "prompt")), prompts[i]);
        assert_true(json_is_true(json_object_get(row, "continues")) == (i < 2));
        assert_true((json_object_get(row, "prompt_ids") != NULL) == (i == 1));
        json_decref(row);
    }
}

static void test_round_trip(void **state) {
    (void)state;
    tokenizer *t = tiny_tokenizer();
    char *run = path_join(folder, "run"), *file_path = path_join(folder, "pairs.jsonl");
    store *s;
    OK(store_open(&s, run, STORE_CREATE, &error));
    store_wave_begin(s, 1, 0, &error);
    store_tree tree = {.iteration = 1, .problem = 17};
    store_add_problem(s, &(store_problem){.problem = 17}, &error);
    OK(store_add_tree(s, &tree, &error));
    add_pair(s, 1, t, "<|start_story|>Once upon a time", " there was a cat.\n", " there was a dog.\n", -3.25);
    add_pair(s, 1, t, "Tom said: \"", "Hi\"<|end_story|>", "no", NAN); /* without the beginning */
    add_pair(s, 2, t, "<|start_story|>Tom", " ran.<|end_story|>", " sat.<|end_story|>", NAN);
    OK(store_wave_commit(s, &(store_position){.phase = STORE_PHASE_LEARN, .iteration = 1}, &error));
    store_pairs kept;
    OK(store_read_pairs(s, STORE_ALL, &kept, &error));
    pairs_read_options o = {.tokenizer = t,
                            .vocab = tokenizer_size(t),
                            .smoothing_cap = 1,
                            .append_end = true,
                            .end = tokenizer_eos(t),
                            .chat = chat_builtin(CHAT_PLAIN),
                            .has_chat = true};
    for (pairs_format form = PAIRS_NATIVE; form <= PAIRS_MESSAGES; form++) {
        pairs_file file;
        write_pairs(s, STORE_ALL, form, t, file_path, 3);
        OK(pairs_read(&file, file_path, &o, &error));
        assert_int_equal(file.count, 3);
        assert_int_equal(file.counts.open.rows, 0);
        for (int i = 0; i < 3; i++) {
            const store_pair *p = &kept.at[i];
            const example *e = &file.at[i];
            const learn_path *w = &e->path[0], *l = &e->path[1];
            ids_equal(w->prefix, w->prefix_count, p->prefix_ids, p->prefix_count);
            ids_equal(w->tail, w->tail_count, p->chosen_ids, p->chosen_count);
            ids_equal(l->tail, l->tail_count, p->rejected_ids, p->rejected_count);
            assert_true(l->prefix == w->prefix && l->prefix_count == w->prefix_count);
            assert_true(e->alpha == 0.25);
            assert_true(i ? isnan(w->reference) : w->reference == -3.25);
        }
        pairs_file_free(&file);
    }
    test_words(t, kept.at);
    /* The native form's keys, all of them, in the contract's spelling. */
    json_t *row;
    OK(pairs_row(&kept.at[0], &(pairs_write_options){.format = PAIRS_NATIVE}, &row, &error));
    static const char *const keys[] = {"problem",      "iteration", "prompt_ids",      "chosen_ids",
                                       "rejected_ids", "q_chosen",  "q_rejected",      "n_chosen",
                                       "n_rejected",   "alpha",     "ref_logp_chosen", "ref_logp_rejected"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) assert_non_null(json_object_get(row, keys[i]));
    assert_int_equal(json_object_size(row), sizeof keys / sizeof *keys);
    assert_true(json_number_value(json_object_get(row, "q_chosen")) == 1.0 / 3);
    json_decref(row);
    write_pairs(s, 2, PAIRS_NATIVE, NULL, file_path, 1);
    STORE_LIST_FREE(&kept);
    store_close(s);
    mem_free(run), mem_free(file_path);
    tokenizer_close(t);
}

/* Pairs of a chat model: a prompt by its template, steps before the pair's or none, ends or none. The words
 * alone give the ids again. */
static void test_chat_words(void **state) {
    (void)state;
    static const struct {
        chat_kind kind;
        const char *path, *system;
    } models[] = {
        {CHAT_CHATML, TEST_DATA "/tokenizers/smollm2/tokenizer.json.gz", NULL},
        {CHAT_CHATML, TEST_DATA "/tokenizers/smollm2/tokenizer.json.gz", "Be brief."},
        {CHAT_LLAMA2, TEST_DATA "/tokenizers/mistral", "Be brief."},
        {CHAT_MISTRAL, TEST_DATA "/tokenizers/mistral", NULL},
        {CHAT_PLAIN, TEST_DATA "/models/tinystories-656k", NULL},
    };
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        tokenizer *t;
        OK(tokenizer_open(&t, models[m].path, &error));
        int32_t end = chat_end_token(chat_builtin(models[m].kind), t);
        for (int shape = 0; shape < 4; shape++) {
            bool steps = shape & 1, ended = shape & 2;
            token_list prefix = {0}, chosen = {0}, rejected = {0};
            OK(chat_encode(chat_builtin(models[m].kind), t, models[m].system, "How many pens?\n", &prefix,
                           &error));
            int64_t prompt_count = prefix.count;
            /* As a model answers: after a template that ends without a space, the first token begins with
             * one. */
            bool spaced = models[m].kind == CHAT_LLAMA2 || models[m].kind == CHAT_MISTRAL;
            const char *const words[] = {spaced ? " There are 3\n" : "There are 3\n",
                                         spaced && !steps ? " Ann has 4\n" : "Ann has 4\n",
                                         spaced && !steps ? " Bob has 5\n" : "Bob has 5\n"};
            token_list *const lists[] = {&prefix, &chosen, &rejected};
            for (int i = steps ? 0 : 1; i < 3; i++)
                OK(tokenizer_encode_more(t, words[i], strlen(words[i]), NULL, 0, lists[i], &error));
            if (ended) {
                MEM_LIST_PUSH(&chosen, end);
                MEM_LIST_PUSH(&rejected, end);
            }
            store_pair p = {.prefix_ids = prefix.at,
                            .prefix_count = prefix.count,
                            .prompt_count = prompt_count,
                            .chosen_ids = chosen.at,
                            .chosen_count = chosen.count,
                            .rejected_ids = rejected.at,
                            .rejected_count = rejected.count};
            for (pairs_format form = PAIRS_TRL; form <= PAIRS_MESSAGES; form++) {
                pairs_write_options o = {form, t, chat_builtin(models[m].kind)};
                json_t *row;
                OK(pairs_row(&p, &o, &row, &error));
                char *shown = json_dumps(row, 0);
                if (json_object_get(row, "prompt_ids"))
                    fail_msg("model %zu: the words do not do: %s", m, shown);
                assert_true(json_is_true(json_object_get(row, "continues")) == !ended);
                free(shown);
                json_decref(row);
            }
            for (int i = 0; i < 3; i++) MEM_LIST_FREE(lists[i]);
        }
        tokenizer_close(t);
    }
}

/* Reads one row of text; the message of the error, or NULL where it is fine. */
static const char *read_one(const char *line, const pairs_read_options *o, pairs_file *file) {
    static char message[1400];
    char *path = path_join(folder, "one.jsonl"), *text = mem_printf("\n%s\n", line);
    OK(file_write_all(path, text, strlen(text), &error));
    error = (esp_error){0};
    esp_status status = pairs_read(file, path, o, &error);
    snprintf(message, sizeof message, "%s | %s", error.message, error.hint);
    mem_free(path);
    mem_free(text);
    if (status == ESP_OK) return NULL;
    assert_true(error.hint[0] != 0);
    return message;
}

static void test_reading(void **state) {
    (void)state;
    tokenizer *t = tiny_tokenizer();
    int32_t end = tokenizer_eos(t);
    pairs_read_options o = {.vocab = 100, .smoothing_cap = 0.4, .end = end};
    pairs_file file;
    assert_null(read_one(
        "{\"prompt_ids\":[1,2],\"chosen_ids\":[3],\"rejected_ids\":[4,99],\"n_chosen\":3,\"n_rejected\":1}",
        &o, &file));
    assert_true(file.at[0].alpha == 0.25 && isnan(file.at[0].path[0].reference));
    assert_int_equal(file.at[0].path[1].tail[1], 99);
    pairs_file_free(&file);
    assert_null(read_one(
        "{\"prompt_ids\":[1],\"chosen_ids\":[3],\"rejected_ids\":[4],\"n_chosen\":0,\"n_rejected\":5,"
        "\"ref_logp_chosen\":-1.5,\"ref_logp_rejected\":-2}",
        &o, &file));
    assert_true(file.at[0].alpha == 0.4 && file.at[0].path[0].reference == -1.5);
    assert_true(file.at[0].path[1].reference == -2);
    pairs_file_free(&file);
    o = (pairs_read_options){.tokenizer = t, .vocab = tokenizer_size(t), .end = end, .append_end = true};
    assert_null(read_one("{\"prompt\":\"Once\",\"chosen\":\" a cat\",\"rejected\":\" a dog<|end_story|>\"}",
                         &o, &file));
    const learn_path *w = &file.at[0].path[0], *l = &file.at[0].path[1];
    assert_int_equal(w->tail[w->tail_count - 1], end);
    assert_int_equal(l->tail[l->tail_count - 1], end);
    assert_true(l->tail[l->tail_count - 2] != end);
    pairs_file_free(&file);
    tokenizer_close(t);
}

/* What a file says of itself, a line each. */
static void keep_note(void *context, const char *line) {
    text_buffer *notes = context;
    text_puts(notes, line);
    text_puts(notes, "\n");
}

#define ROW(prompt, chosen, rejected)                                                                        \
    "{\"prompt_ids\":" prompt ",\"chosen_ids\":" chosen ",\"rejected_ids\":" rejected "}\n"

/* Rows that are too long or the same on both completions are left out and counted; nothing but such rows is
 * an error. */
static void test_left_out(void **state) {
    (void)state;
    static const struct {
        const char *rows;
        int64_t kept, too_long, identical;
        const char *says;
    } cases[] = {
        {ROW("[1,2]", "[3]", "[4,5]"), 1, 0, 0, ""},
        {ROW("[1,2]", "[3]", "[4,5]") ROW("[1,2]", "[3]", "[4,5,6]"), 1, 1, 0,
         "1 of 2 pairs are longer than 4 tokens, and are left out (first: line 3)\n"},
        {ROW("[1,2,3,4]", "[3]", "[4]") ROW("[1]", "[3]", "[4]") ROW("[1,2,3]", "[4,4]", "[5]"), 1, 2, 0,
         "2 of 3 pairs are longer than 4 tokens, and are left out (first: line 2)\n"},
        {ROW("[1]", "[3,4]", "[3,4]") ROW("[1]", "[3]", "[3,4]"), 1, 0, 1,
         "1 of 2 pairs have identical completions, and are left out (first: line 2)\n"},
        {ROW("[1,2]", "[3]", "[4,5,6]"), 0, 1, 0, "all 1 pairs are longer than 4 tokens"},
        {ROW("[1]", "[3]", "[3]") ROW("[2]", "[3,4]", "[3,4]"), 0, 0, 2, "are the same in all 2 pairs"},
        {ROW("[1]", "[3]", "[3]") ROW("[1,2]", "[3]", "[4,5,6]"), 0, 1, 1,
         "no pair is left: 1 are longer than 4 tokens, and 1 have identical completions"},
    };
    pairs_read_options o = {.vocab = 100, .longest = 4};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pairs_file file;
        const char *message = read_one(cases[i].rows, &o, &file);
        if (cases[i].kept == 0) {
            assert_non_null(message);
            assert_non_null(strstr(message, cases[i].says));
            continue;
        }
        assert_null(message);
        assert_int_equal(file.count, cases[i].kept);
        assert_int_equal(file.counts.too_long.rows, cases[i].too_long);
        assert_int_equal(file.counts.identical.rows, cases[i].identical);
        text_buffer notes = {0};
        pairs_notes(&file.counts, o.longest, &(observer){.context = &notes, .note = keep_note});
        assert_string_equal(notes.at ? notes.at : "", cases[i].says);
        text_free(&notes);
        pairs_file_free(&file);
    }
}

static void test_errors(void **state) {
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"{\"prompt_ids\":[1],\"chosen_ids\":[3]}", "one.jsonl:2: field \"rejected_ids\" is missing"},
        {"{\"prompt_ids\":[1],\"chosen_ids\":[3],\"rejected_ids\":\"x\"}",
         "field \"rejected_ids\" must be a list"},
        {"{\"prompt_ids\":[1,100],\"chosen_ids\":[3],\"rejected_ids\":[4]}",
         "field \"prompt_ids\": item 1, 100, is no token id of the model (0 to 99)"},
        {"{\"prompt_ids\":[1,2.5],\"chosen_ids\":[3],\"rejected_ids\":[4]}", "item 1, 2.5"},
        {"{\"prompt_ids\":[1,-1],\"chosen_ids\":[3],\"rejected_ids\":[4]}", "item 1, -1"},
        {"{\"prompt_ids\":[1],\"chosen_ids\":[],\"rejected_ids\":[4]}", "field \"chosen_ids\" is empty"},
        {"{\"prompt_ids\":[1,2],\"chosen_ids\":[3,4,5,6],\"rejected_ids\":[4]}",
         "all 1 pairs are longer than 5 tokens"},
        {"{\"prompt_ids\":[1],\"chosen_ids\":[3],\"rejected_ids\":[4],\"alpha\":1.5}",
         "field \"alpha\" must be a number from 0 to 1"},
        {"{\"prompt_ids\":[1],\"chosen_ids\":[3],\"rejected_ids\":[4],\"n_chosen\":1}",
         "field \"n_rejected\" is missing beside"},
        {"{\"prompt_ids\":[1],\"chosen_ids\":[3],\"rejected_ids\":[4],\"ref_logp_rejected\":-1}",
         "field \"ref_logp_chosen\" is missing beside \"ref_logp_rejected\""},
        {"{\"prompt\":\"a\",\"chosen\":\"a\",\"rejected\":\"b\"}", "rows of text need a tokenizer"},
        {"[1]", "no JSON object"},
        {"{\"prompt_ids\":[1", "one.jsonl:2"},
        {"", "holds no pairs"},
    };
    pairs_read_options o = {.vocab = 100, .smoothing_cap = 1, .longest = 5};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pairs_file file;
        const char *message = read_one(cases[i].line, &o, &file);
        if (!message || !strstr(message, cases[i].says))
            fail_msg("%s\n  gave %s", cases[i].line, message ? message : "no error");
        assert_null(file.at);
    }
}

/* A stream that cannot be written to. */
static void test_full_disk(void **state) {
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    if (!full) {
        fprintf(stderr, "SKIPPED: %s needs /dev/full\n", __func__);
        if (getenv("CI")) fail_msg("no /dev/full in CI");
        skip();
    }
    tokenizer *t = tiny_tokenizer();
    char *run = path_join(folder, "full");
    store *s;
    OK(store_open(&s, run, STORE_CREATE, &error));
    OK(store_add_problem(s, &(store_problem){.problem = 17}, &error));
    OK(store_wave_begin(s, 1, 0, &error));
    store_tree tree = {.iteration = 1, .problem = 17};
    OK(store_add_tree(s, &tree, &error));
    add_pair(s, 1, t, "Once", " a", " b", NAN);
    OK(store_wave_commit(s, &(store_position){.phase = STORE_PHASE_LEARN, .iteration = 1}, &error));
    pairs_write_options o = {.format = PAIRS_NATIVE};
    assert_int_equal(pairs_write(s, STORE_ALL, &o, full, "standard output", NULL, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "standard output: cannot write: No space left"));
    fclose(full);
    store_close(s);
    mem_free(run);
    tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_chat_words),
        cmocka_unit_test(test_reading),    cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_errors),     cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
