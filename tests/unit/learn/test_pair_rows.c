/* One row at a time: the forms that others have, the boundary between prompt and completion, the ends, and
 * what is refused. */
#include "learn/pair_row.h"
#include "support.h"

#include <string.h>

static esp_error error;

enum { SMOLLM2, MISTRAL, TINYSTORIES, TOKENIZERS };
static const char *const names[] = {"smollm2", "mistral", "tinystories"};
static const char *const paths[] = {TEST_DATA "/tokenizers/smollm2/tokenizer.json.gz",
                                    TEST_DATA "/tokenizers/mistral", TEST_DATA "/models/tinystories-656k"};
static const char *const ends[] = {"<|im_end|>", "</s>", "<|end_story|>"};
static const chat_kind chats[] = {CHAT_CHATML, CHAT_MISTRAL, CHAT_PLAIN};
static tokenizer *tokenizers[TOKENIZERS];

static int open_all(void **state) {
    (void)state;
    for (int i = 0; i < TOKENIZERS; i++) OK(tokenizer_open(&tokenizers[i], paths[i], &error));
    return 0;
}

static int close_all(void **state) {
    (void)state;
    for (int i = 0; i < TOKENIZERS; i++) tokenizer_close(tokenizers[i]);
    return 0;
}

static pairs_read_options options_of(int which) {
    tokenizer *t = tokenizers[which];
    return (pairs_read_options){.tokenizer = t,
                                .vocab = tokenizer_size(t),
                                .append_end = true,
                                .end = tokenizer_find(t, ends[which]),
                                .chat = chat_builtin(chats[which]),
                                .has_chat = chats[which] != CHAT_PLAIN};
}

static json_t *parse(const char *line) {
    json_error_t at;
    json_t *row = json_loads(line, 0, &at);
    if (!row) fail_msg("%s: %s", line, at.text);
    return row;
}

static pair_row_ids read_row(const char *line, const pairs_read_options *o) {
    pair_row_ids ids = {0};
    json_t *row = parse(line);
    pair_reading r = {o, "rows:7"};
    if (pair_row_read(&r, row, &ids, &error) != ESP_OK) fail_msg("%s\n  %s", line, error.message);
    json_decref(row);
    return ids;
}

/* The text of ids as they follow each other: prompt, and one completion, with "|" between them. */
static const char *spelt(const tokenizer *t, const pair_row_ids *ids, int k) {
    static char shown[4096];
    text_buffer text = {0};
    OK(tokenizer_decode(t, ids->prompt.at, ids->prompt.count, true, &text, &error));
    text_puts(&text, "|");
    OK(tokenizer_decode_more(t, ids->completion[k].at, ids->completion[k].count, true, &text, &error));
    snprintf(shown, sizeof shown, "%s", text.at);
    text_free(&text);
    return shown;
}

static void check_spelt(const tokenizer *t, const char *line, const pairs_read_options *o, const char *chosen,
                        const char *rejected) {
    pair_row_ids ids = read_row(line, o);
    const char *want[] = {chosen, rejected};
    for (int k = 0; k < COMPLETIONS; k++) {
        const char *got = spelt(t, &ids, k);
        if (strcmp(got, want[k]) != 0) fail_msg("%s\n  gave %s\n  not  %s", line, got, want[k]);
    }
    pair_row_ids_free(&ids);
}

/* ---- against TRL ---- */

static bool same_ids(const token_list *got, const json_t *want) {
    bool same = got->count == (int64_t)json_array_size(want);
    for (int64_t i = 0; same && i < got->count; i++)
        same = got->at[i] == json_integer_value(json_array_get(want, (size_t)i));
    return same;
}

/* BOUNDARY_ONE is TRL's rule; the rows of golden/pair_rows.json have its ids. */
static void test_golden(void **state) {
    (void)state;
    json_error_t at;
    json_t *rows = json_load_file(TEST_DATA "/golden/pair_rows.json", 0, &at), *one;
    if (!rows) fail_msg("%s", at.text);
    size_t i;
    int moved = 0;
    json_array_foreach(rows, i, one) {
        int which = 0;
        while (strcmp(names[which], json_string_value(json_object_get(one, "tokenizer"))) != 0) which++;
        pairs_read_options o = options_of(which);
        o.boundary = BOUNDARY_ONE;
        char *line = json_dumps(json_object_get(one, "row"), 0);
        pair_row_ids ids = read_row(line, &o);
        bool same = same_ids(&ids.prompt, json_object_get(one, "prompt_ids")) &&
                    same_ids(&ids.completion[CHOSEN], json_object_get(one, "chosen_ids")) &&
                    same_ids(&ids.completion[REJECTED], json_object_get(one, "rejected_ids"));
        if (!same) fail_msg("%s %s\n  gave %s", names[which], line, spelt(o.tokenizer, &ids, CHOSEN));
        moved += ids.moved;
        pair_row_ids_free(&ids);
        free(line);
    }
    assert_true(i > 45 && moved > 5);
    json_decref(rows);
}

/* ---- the boundary ---- */

/* Whatever the boundary, what is learned spells prompt and completion, and both completions share the prompt.
 */
static void test_boundary(void **state) {
    (void)state;
    static const char *const rows[][3] = {
        {"She was un", "der it", " and"},
        {"un", "happy", "kind"},
        {"a  ", "  b", "c"},
        {"Once", " upon", "upon"},
        {"The price is 1", "8", "x"},
        {"It", "'s late", " is late"},
        {"x = ", "5", " 5"},
        {"Q:\\n", "\\nA", "A"},
        {"\\u6771", "\\u4eac", "west"},
        {"<s>The", "re", " end"},
        {" two", " spaces", "s"},
        {"12", "34", "3 4"},
        {"https:", "//x", "/"},
        {"caf", "\\u00e9", "e"},
        {"(", "(a)", ")"},
        {"...", "...", "!"},
        {"a\\t", "\\tb", "b"},
        {"\\u00e9", "\\u0301", "x"},
        {"\\ud83d\\ude00", "\\ud83d\\ude00", "x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *line = mem_printf("{\"prompt\": \"%s\", \"chosen\": \"%s\", \"rejected\": \"%s\"}", rows[i][0],
                                rows[i][1], rows[i][2]);
        json_t *row = parse(line);
        const char *prompt = json_string_value(json_object_get(row, "prompt"));
        for (int which = 0; which < TOKENIZERS; which++) {
            pairs_read_options o = options_of(which);
            o.append_end = false;
            if (which == TINYSTORIES && i >= 4) continue; /* it has letters alone */
            for (o.boundary = BOUNDARY_AUTO; o.boundary <= BOUNDARY_TWO; o.boundary++) {
                pair_row_ids ids = read_row(line, &o);
                if (tokenizer_adds_bos(o.tokenizer)) { /* once, written or not */
                    assert_int_equal(ids.prompt.at[0], tokenizer_bos(o.tokenizer));
                    assert_true(ids.prompt.count < 2 || ids.prompt.at[1] != tokenizer_bos(o.tokenizer));
                }
                for (int k = 0; k < COMPLETIONS; k++) {
                    const char *completion = json_string_value(json_object_get(row, pair_completion_keys[k]));
                    char *whole = mem_printf("%s%s", prompt, completion);
                    text_buffer text = {0};
                    OK(tokenizer_decode(o.tokenizer, ids.prompt.at, ids.prompt.count, true, &text, &error));
                    OK(tokenizer_decode_more(o.tokenizer, ids.completion[k].at, ids.completion[k].count, true,
                                             &text, &error));
                    if (!text_ends_with(text.at, whole) && strstr(whole, "<s>") == NULL)
                        fail_msg("%s, boundary %d: \"%s\" became \"%s\"", names[which], o.boundary, whole,
                                 text.at);
                    text_free(&text);
                    mem_free(whole);
                }
                pair_row_ids_free(&ids);
            }
        }
        json_decref(row);
        mem_free(line);
    }
}

static void test_boundary_of_both_sides(void **state) {
    (void)state;
    tokenizer *t = tokenizers[TINYSTORIES];
    pairs_read_options o = options_of(TINYSTORIES);
    const char *line = "{\"prompt\": \"The d\", \"chosen\": \"og\", \"rejected\": \" and\"}";
    pair_row_ids ids = read_row(line, &o);
    assert_true(ids.apart && !ids.moved);
    assert_string_equal(spelt(t, &ids, CHOSEN), "<|start_story|> The d|og<|end_story|>");
    pair_row_ids_free(&ids);
    o.boundary = BOUNDARY_ONE;
    ids = read_row(line, &o);
    assert_true(ids.moved && !ids.apart);
    assert_string_equal(spelt(t, &ids, REJECTED), "<|start_story|> The |d and<|end_story|>");
    pair_row_ids_free(&ids);
}

/* ---- ends ---- */

static void test_ends(void **state) {
    (void)state;
    static const struct {
        const char *prompt, *chosen, *rejected, *more;
        bool end[COMPLETIONS], open;
    } cases[] = {
        {"a", "b", "c", "", {true, true}, false},
        {"a", "b<|im_end|>", "c", "", {false, true}, false},
        {"a", "b<|im_end|>\\n", "c<|im_end|>\\n", "", {false, false}, false},
        {"a", "b<|im_end|> \\n\\n", "c<|im_end|>", "", {false, false}, false},
        {"a", "b<|endoftext|>", "c<|endoftext|>\\n", "", {false, false}, false},
        {"a", "b <|im_end|>c", "c", "", {true, true}, false},
        {"a", "b\\n", "c\\n", "", {false, false}, true},
        {"a", "b<|im_end|>", "c\\n", "", {false, false}, true},
        {"a", "b\\n", "c", "", {true, true}, false},
        {"a", "b\\n", "c\\n", ", \"continues\": false", {true, true}, false},
        {"a", "b\\n", "c\\n", ", \"continues\": null", {false, false}, true},
        {"a", "b", "c", ", \"continues\": true", {false, false}, false},
        {"a", "", "c", "", {true, true}, false},
    };
    pairs_read_options o = options_of(SMOLLM2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *line = mem_printf("{\"prompt\": \"%s\", \"chosen\": \"%s\", \"rejected\": \"%s\"%s}",
                                cases[i].prompt, cases[i].chosen, cases[i].rejected, cases[i].more);
        o.append_end = false;
        pair_row_ids plain = read_row(line, &o);
        o.append_end = true;
        pair_row_ids ids = read_row(line, &o);
        assert_false(plain.open);
        if (ids.open != cases[i].open) fail_msg("%s: open is %d", line, ids.open);
        for (int k = 0; k < COMPLETIONS; k++) {
            int64_t n = ids.completion[k].count;
            bool ended = n == plain.completion[k].count + 1 && ids.completion[k].at[n - 1] == o.end;
            if (ended != cases[i].end[k] || (!ended && n != plain.completion[k].count))
                fail_msg("%s: %s %s", line, pair_completion_keys[k], ended ? "has an end" : "has none");
        }
        pair_row_ids_free(&plain);
        pair_row_ids_free(&ids);
        mem_free(line);
    }
}

/* ---- forms ---- */

/* The prompt at the beginning of two texts: their common ids, no word cut, and something left of each
 * completion.
 */
static void test_implicit_texts(void **state) {
    (void)state;
    static const char *const rows[][4] = {
        {"The sky is blue.", "The sky is green.", "The sky is| blue.", "The sky is| green."},
        {"The sky is blue.", "The sky is brown.", "The sky is| blue.", "The sky is| brown."},
        {"A: yes", "A: yes, sir", "A: yes|", "A: yes|, sir"},
        {"Human: Hi\\n\\nAssistant: Hello", "Human: Hi\\n\\nAssistant: Go away",
         "Human: Hi\n\nAssistant:| Hello", "Human: Hi\n\nAssistant:| Go away"},
    };
    pairs_read_options o = options_of(SMOLLM2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *line = mem_printf("{\"chosen\": \"%s\", \"rejected\": \"%s\"}", rows[i][0], rows[i][1]);
        char *want[] = {mem_printf("%s<|im_end|>", rows[i][2]), mem_printf("%s<|im_end|>", rows[i][3])};
        check_spelt(o.tokenizer, line, &o, want[0], want[1]);
        mem_free(want[0]), mem_free(want[1]), mem_free(line);
    }
    o.append_end = false;
    check_spelt(o.tokenizer, "{\"chosen\": \"A: yes\", \"rejected\": \"A: yes, sir\"}", &o, "A:| yes",
                "A:| yes, sir");
}

#define SYSTEM "{\"role\": \"system\", \"content\": \"Be brief.\"}"
#define USER   "{\"role\": \"user\", \"content\": \"Sky?\"}"
#define BLUE   "{\"role\": \"assistant\", \"content\": \"Blue.\"}"
#define RED    "{\"role\": \"assistant\", \"content\": \"Red.\"}"
#define OPENED                                                                                               \
    "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSky?<|im_end|>\n<|im_start|>assistant\n|"

/* One conversation in all the ways that data sets write it. */
static void test_messages(void **state) {
    (void)state;
    static const char *const same[] = {
        "{\"prompt\": [" SYSTEM "," USER "], \"chosen\": [" BLUE "], \"rejected\": [" RED "]}",
        "{\"chosen\": [" SYSTEM "," USER "," BLUE "], \"rejected\": [" SYSTEM "," USER "," RED "]}",
        "{\"prompt\": null, \"chosen\": [" SYSTEM "," USER "," BLUE "], \"rejected\": [" SYSTEM "," USER
        "," RED "]}",
        "{\"prompt\": [" SYSTEM "," USER "], \"chosen\": [" SYSTEM "," USER "," BLUE
        "], \"rejected\": [" SYSTEM "," USER "," RED "]}",
        "{\"prompt\": \"Sky?\", \"prompt_id\": \"1a\", \"chosen\": [" SYSTEM "," USER "," BLUE
        "], \"rejected\": [" SYSTEM "," USER "," RED "], \"messages\": [" USER "," BLUE
        "], \"score_chosen\": 8.5, \"score_rejected\": 3}",
        "{\"messages\": [" SYSTEM "," USER "], \"chosen\": " BLUE ", \"rejected\": " RED "}",
        "{\"prompt\": [" SYSTEM
        ",{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"Sky?\"}]}], "
        "\"chosen\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"text\", \"text\": \"Bl\"}, "
        "{\"type\": "
        "\"text\", \"text\": \"ue.\"}]}], \"rejected\": [" RED "], \"tools\": []}",
    };
    pairs_read_options o = options_of(SMOLLM2);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        check_spelt(o.tokenizer, same[i], &o, OPENED "Blue.<|im_end|>", OPENED "Red.<|im_end|>");
    /* The same as texts. */
    check_spelt(
        o.tokenizer,
        "{\"prompt\": \"<|im_start|>system\\nBe brief.<|im_end|>\\n<|im_start|>user\\nSky?<|im_end|>\\n"
        "<|im_start|>assistant\\n\", \"chosen\": \"Blue.<|im_end|>\", \"rejected\": \"Red.\"}",
        &o, OPENED "Blue.<|im_end|>", OPENED "Red.<|im_end|>");
}

static void test_unfinished_messages(void **state) {
    (void)state;
    pairs_read_options o = options_of(SMOLLM2);
    /* A prompt that ends in an answer is continued, and a completion that continues is not closed. */
    check_spelt(
        o.tokenizer,
        "{\"prompt\": [" SYSTEM "," USER ",{\"role\": \"assistant\", \"content\": \"It is\"}], \"chosen\": "
        "[{\"role\": \"assistant\", \"content\": \" blue.\"}], \"rejected\": [{\"role\": \"assistant\", "
        "\"content\": \"n't.\"}], \"continues\": true}",
        &o,
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSky?<|im_end|>\n"
        "<|im_start|>assistant\nIt is| blue.",
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSky?<|im_end|>\n"
        "<|im_start|>assistant\nIt is|n't.");
    /* Words of a message are no control tokens. */
    pair_row_ids ids =
        read_row("{\"prompt\": \"a\", \"chosen\": [{\"role\": \"assistant\", \"content\": "
                 "\"x<|im_end|>\"}], \"rejected\": [{\"role\": \"assistant\", \"content\": \"y\"}]}",
                 &o);
    int marks = 0;
    for (int64_t i = 0; i < ids.completion[CHOSEN].count; i++) marks += ids.completion[CHOSEN].at[i] == o.end;
    assert_int_equal(marks, 1);
    pair_row_ids_free(&ids);
    /* Only where a recipe says so are messages written without a template. */
    o = options_of(TINYSTORIES);
    o.has_chat = true;
    check_spelt(o.tokenizer,
                "{\"prompt\": [" SYSTEM "," USER "], \"chosen\": [" BLUE "], \"rejected\": [" RED "]}", &o,
                "<|start_story|> Be brief.\n\nSky?|Blue.<|end_story|>",
                "<|start_story|> Be brief.\n\nSky?|Red.<|end_story|>");
}

/* ---- refused ---- */

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"{\"prompt\": \"a\", \"completion\": \"b\", \"label\": true}", "the row is unpaired"},
        {"{\"prompt\": [" USER "], \"completion\": [" BLUE "], \"label\": false}", "as for KTO"},
        {"{\"prompt\": \"a\", \"completions\": [\"b\"], \"labels\": [true]}", "stepwise supervision"},
        {"{\"prompt\": \"a\", \"completion\": \"b\"}", "of supervised learning"},
        {"{\"messages\": [" USER "," BLUE "]}", "a conversation (\"messages\") without two completions"},
        {"{\"conversations\": []}", "(\"conversations\")"},
        {"{\"text\": \"a\"}", "without two completions"},
        {"{\"prompt\": \"a\"}", "field \"chosen\" is missing"},
        {"{\"prompt\": \"a\", \"rejected\": \"b\", \"completion\": \"c\"}", "field \"chosen\" is missing"},
        {"{\"prompt\": \"a\", \"chosen\": \"b\"}", "field \"rejected\" is missing"},
        {"{\"prompt\": \"a\", \"chosen\": null, \"rejected\": \"b\"}", "field \"chosen\" is missing"},
        {"{\"question\": \"a\", \"chosen\": \"b c\", \"rejected\": \"b d\"}",
         "the row has a field \"question\""},
        {"{\"instruction\": \"a\", \"chosen\": \"b\", \"rejected\": \"b\"}", "a field \"instruction\""},
        {"{\"system\": \"s\", \"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}",
         "field \"system\""},
        {"{\"chosen\": \"yes\", \"rejected\": \"no\"}", "do not begin alike"},
        {"{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"continues\": 1}",
         "\"continues\" must be"},
        {"{\"prompt\": 1, \"chosen\": \"b\", \"rejected\": \"c\"}", "field \"prompt\" must be a text"},
        {"{\"prompt\": [" USER "], \"chosen\": \"b\", \"rejected\": \"c\"}",
         "field \"prompt\" must be a text"},
        {"{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": [" RED "]}", "field \"chosen\""},
        {"{\"prompt\": \"a\", \"chosen\": [" BLUE "], \"rejected\": \"c\"}", "field \"rejected\""},
        {"{\"prompt\": \"a\", \"chosen\": 1, \"rejected\": \"c\"}",
         "field \"chosen\" must be a text or a list"},
        {"{\"prompt\": \"a\", \"chosen\": [], \"rejected\": [" RED "]}", "field \"chosen\" is empty"},
        {"{\"prompt\": \"b\", \"chosen\": [" USER "," BLUE "], \"rejected\": [" USER "," RED "]}",
         "field \"prompt\" is no user's message"},
        {"{\"chosen\": [" BLUE "], \"rejected\": [" RED "]}", "share no user's message"},
        {"{\"chosen\": [" USER "," BLUE "], \"rejected\": [" SYSTEM "," RED "]}", "share no user's message"},
        {"{\"chosen\": [" USER "," BLUE "], \"rejected\": [" USER "," USER "]}",
         "field \"rejected\": what follows"},
        {"{\"prompt\": [" USER "," USER "], \"chosen\": [" BLUE "], \"rejected\": [" RED "]}", "take turns"},
        {"{\"prompt\": [" USER "," SYSTEM "], \"chosen\": [" BLUE "], \"rejected\": [" RED "]}",
         "take turns"},
        {"{\"prompt\": [" USER "], \"chosen\": [" BLUE "," USER "], \"rejected\": [" RED "]}", "end in one"},
        {"{\"prompt\": [" USER "], \"chosen\": [7], \"rejected\": [" RED "]}",
         "\"chosen\": message 1 is no object"},
        {"{\"prompt\": [{\"from\": \"human\", \"value\": \"a\"}], \"chosen\": [" BLUE "], \"rejected\": [" RED
         "]}",
         "field \"prompt\": message 1 has \"from\" and \"value\""},
        {"{\"prompt\": [{\"content\": \"a\"}], \"chosen\": [" BLUE "], \"rejected\": [" RED "]}",
         "has no \"role\""},
        {"{\"prompt\": [" USER ",{\"role\": \"tool\", \"content\": \"a\"}], \"chosen\": [" BLUE
         "], \"rejected\": [" RED "]}",
         "message 2 has the role \"tool\""},
        {"{\"prompt\": [" USER
         "], \"chosen\": [{\"role\": \"assistant\", \"content\": null}], \"rejected\": [" RED "]}",
         "message 1 has no \"content\" that is a text"},
        {"{\"prompt\": [" USER
         "], \"chosen\": [{\"role\": \"assistant\", \"content\": [{\"type\": \"image\"}]}], "
         "\"rejected\": [" RED "]}",
         "has no \"content\" that is a text"},
        {"{\"prompt\": [" USER
         "], \"chosen\": [{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{}]}], "
         "\"rejected\": [" RED "]}",
         "calls tools"},
        {"{\"prompt\": [" USER "], \"chosen\": [" BLUE "], \"rejected\": [" RED "], \"tools\": [{}]}",
         "field \"tools\" is not supported"},
        {"{\"prompt_ids\": [1], \"chosen_ids\": [2]}", "field \"rejected_ids\" is missing"},
        {"{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"prompt_ids\": [81], \"chosen_ids\": "
         "[82], "
         "\"rejected_ids\": [82]}",
         "the ids in \"rejected_ids\" are not those"},
    };
    pairs_read_options o = options_of(SMOLLM2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *row = parse(cases[i].line);
        pair_row_ids ids = {0};
        pair_reading r = {&o, "rows:7"};
        error = (esp_error){0};
        if (pair_row_read(&r, row, &ids, &error) == ESP_OK) fail_msg("%s is read", cases[i].line);
        if (!strstr(error.message, cases[i].says) || strncmp(error.message, "rows:7: ", 8) != 0 ||
            !error.hint[0])
            fail_msg("%s\n  gave %s", cases[i].line, error.message);
        pair_row_ids_free(&ids);
        json_decref(row);
    }
    o.has_chat = false;
    json_t *row = parse("{\"prompt\": [" USER "], \"chosen\": [" BLUE "], \"rejected\": [" RED "]}");
    pair_row_ids ids = {0};
    pair_reading r = {&o, "rows:7"};
    assert_int_equal(pair_row_read(&r, row, &ids, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "need a chat template"));
    pair_row_ids_free(&ids);
    json_decref(row);
}

/* Each member of good rows replaced by each of many values: the row is read, or an error names its place. */
static void test_damaged(void **state) {
    (void)state;
    static const char *const good[] = {
        "{\"prompt\": \"The sky is\", \"chosen\": \" blue\", \"rejected\": \" green\", \"continues\": false}",
        "{\"chosen\": \"The sky\", \"rejected\": \"The sea\"}",
        "{\"prompt\": [" USER "], \"chosen\": [" BLUE "], \"rejected\": [" RED "]}",
        "{\"chosen\": [" SYSTEM "," USER "," BLUE "], \"rejected\": [" SYSTEM "," USER "," RED "]}",
        "{\"prompt\": \"Sky?\", \"chosen\": [" USER "," BLUE "], \"rejected\": [" USER "," RED "]}",
        "{\"messages\": [" USER "], \"chosen\": " BLUE ", \"rejected\": " RED "}",
        "{\"prompt_ids\": [1], \"chosen_ids\": [2], \"rejected_ids\": [3]}",
        "{\"prompt_ids\": [504], \"chosen_ids\": [216], \"rejected_ids\": [198], \"prompt\": \"The\", "
        "\"chosen\": \" \", \"rejected\": \"\\n\"}",
    };
    static const char *const keys[] = {"prompt",     "chosen",       "rejected", "messages", "prompt_ids",
                                       "chosen_ids", "rejected_ids", "system",   "tools",    "continues"};
    static const char *const values[] = {"null",
                                         "true",
                                         "1",
                                         "-1",
                                         "2.5",
                                         "\"\"",
                                         "\"x\"",
                                         "\"\\n\"",
                                         "\"<|im_end|>\"",
                                         "\"<|im_end|>\\n\"",
                                         "[]",
                                         "{}",
                                         "[1]",
                                         "[-1]",
                                         "[49152]",
                                         "[null]",
                                         "[[]]",
                                         "[{}]",
                                         BLUE,
                                         USER,
                                         "[" USER "]",
                                         "[" BLUE "]",
                                         "[" SYSTEM "]",
                                         "[" USER "," BLUE "]",
                                         "[" USER "," USER "]",
                                         "[" SYSTEM "," SYSTEM "," BLUE "]",
                                         "[{\"role\": \"user\"}]",
                                         "[{\"role\": 1, \"content\": \"a\"}]",
                                         "[{\"role\": \"assistant\", \"content\": []}]",
                                         "[{\"role\": \"assistant\", \"content\": [1]}]",
                                         "[{\"content\": \"a\"}]",
                                         "[{\"role\": \"assistant\", \"content\": \"\"}]"};
    int read = 0, refused = 0;
    pairs_read_options o = options_of(SMOLLM2);
    for (size_t g = 0; g < sizeof good / sizeof *good; g++) {
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
                json_t *row = parse(good[g]);
                json_object_set_new(row, keys[k], json_loads(values[v], JSON_DECODE_ANY, NULL));
                pair_row_ids ids = {0};
                pair_reading r = {&o, "rows:7"};
                error = (esp_error){0};
                bool fine = pair_row_read(&r, row, &ids, &error) == ESP_OK;
                if (!fine && (strncmp(error.message, "rows:7: ", 8) != 0 || !error.hint[0]))
                    fail_msg("%s with %s: %s gave \"%s\"", good[g], keys[k], values[v], error.message);
                read += fine, refused += !fine;
                pair_row_ids_free(&ids);
                json_decref(row);
            }
        }
    }
    assert_true(read > 200 && refused > 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_boundary),
        cmocka_unit_test(test_boundary_of_both_sides),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_implicit_texts),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_unfinished_messages),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
