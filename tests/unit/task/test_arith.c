/* Made word problems: what a source's words give, who gets which question, and that all that is said to be
 * right is right, by a reader of the questions that knows nothing of how they were made. */
#include "task_support.h"

#include "base/file.h"
#include "formats/json.h"
#include "task/task.h"

#include <ctype.h>
#include <string.h>

static const char *const levels[] = {"easy", "rare", "mixed"};
static const char *const splits[] = {"train", "dev", "test"};

static const task *arith(void) {
    return test_task("arith");
}

__attribute__((format(printf, 1, 2))) static problem_set make(const char *format, ...) {
    char source[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(source, sizeof source, format, arguments);
    va_end(arguments);
    esp_error error = {0};
    problem_set set;
    if (task_read(arith(), source, &set, &error) != ESP_OK) fail_msg("%s: %s", source, error.message);
    assert_string_equal(set.source, source);
    return set;
}

static void assert_same_problems(const problem_set *a, const problem_set *b, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        assert_string_equal(a->at[i].id, b->at[i].id);
        assert_string_equal(a->at[i].question, b->at[i].question);
        assert_string_equal(a->at[i].rationale, b->at[i].rationale);
        assert_string_equal(a->at[i].gold, b->at[i].gold);
    }
}

/* The same words give the same problems; a larger count begins with the smaller count's problems; words that
 * are not given have their defaults. */
static void test_same_words(void **state) {
    (void)state;
    problem_set a = make("generate:level=rare,split=dev,count=200,seed=7,flaws=0.5");
    problem_set b = make("generate:flaws=0.5,seed=7,count=300,split=dev,level=rare");
    assert_int_equal(a.count, 200);
    assert_int_equal(b.count, 300);
    assert_same_problems(&a, &b, 200);
    assert_string_equal(a.at[1].id, "rare-dev:2");
    for (int64_t i = 0; i < a.count; i++) {
        assert_int_equal(a.at[i].index, i);
        assert_int_equal(a.at[i].line, i + 1);
    }
    problem_set plain = make("generate:count=50");
    problem_set said = make("generate:level=easy,split=train,count=50,seed=1,flaws=0");
    assert_same_problems(&plain, &said, 50);
    /* another seed, level or split is another stream */
    static const char *const others[] = {"seed=2", "level=mixed", "split=test", "seed=0"};
    for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
        problem_set other = make("generate:count=50,%s", others[o]);
        int same = 0;
        for (int64_t i = 0; i < 50; i++) same += strcmp(plain.at[i].question, other.at[i].question) == 0;
        if (same > 1) fail_msg("%s: %d of 50 questions are those of the default", others[o], same);
        problem_set_free(&other);
    }
    problem_set_free(&a);
    problem_set_free(&b);
    problem_set_free(&plain);
    problem_set_free(&said);
}

/* ---- No question of one split in another ---- */

typedef struct {
    const char *question;
    int split;
} asked;

static int by_question(const void *a, const void *b) {
    return strcmp(((const asked *)a)->question, ((const asked *)b)->question);
}

/* All levels, two seeds. Short questions do come twice, those of dev and test most often, for they have the
 * fewest: where they may cross, they would. */
static void test_splits_share_nothing(void **state) {
    (void)state;
    enum { LEVELS = 3, SEEDS = 2, SETS = LEVELS * SEEDS * 3 };
    static const int each[LEVELS] = {20000, 2000, 4000};
    problem_set sets[SETS];
    MEM_LIST(asked) all = {0};
    int64_t twice = 0;
    for (int s = 0; s < SETS; s++) {
        int split = s % 3, level = s / 3 % LEVELS, seed = s / 3 / LEVELS;
        sets[s] = make("generate:level=%s,split=%s,count=%d,seed=%d,flaws=%d", levels[level], splits[split],
                       each[level], seed + 1, seed);
        assert_int_equal(sets[s].count, each[level]);
        for (int64_t i = 0; i < sets[s].count; i++)
            MEM_LIST_PUSH(&all, ((asked){sets[s].at[i].question, split}));
    }
    qsort(all.at, (size_t)all.count, sizeof *all.at, by_question);
    for (int64_t i = 1; i < all.count; i++) {
        const asked *a = &all.at[i - 1], *b = &all.at[i];
        if (strcmp(a->question, b->question) != 0) continue;
        if (a->split != b->split)
            fail_msg("%s and %s share \"%s\"", splits[a->split], splits[b->split], a->question);
        twice++;
    }
    if (twice < 50) fail_msg("only %d questions came twice; the test shows nothing", (int)twice);
    for (int s = 0; s < SETS; s++) problem_set_free(&sets[s]);
    MEM_LIST_FREE(&all);
}

/* ---- Reading a question ---- */

typedef struct {
    char who[16];
    int64_t value;
    bool stray; /* a sentence that does not matter was there */
} pile;

/* One sentence without its full stop. Who acts is ignored unless the pile changes hands. */
static bool read_sentence(const char *s, const char *items, pile *p) {
    char a[32], b[32], c[32], d[32];
    long long n, m;
    int end = 0;
    bool own = strncmp(s, p->who, strlen(p->who)) == 0;
#define FORM(format, ...) (end = 0, sscanf(s, format "%n", __VA_ARGS__, &end), end > 0 && !s[end])
    if (FORM("%31s has %lld times as many as %31s", a, &n, b)) {
        bool fine = strcmp(b, p->who) == 0 && strcmp(a, b) != 0;
        snprintf(p->who, sizeof p->who, "%.15s", a);
        p->value *= n;
        return fine;
    }
    if (FORM("%31s has %lld more than %31s and gives them all to %31s", a, &n, b, c) ||
        FORM("%31s has %lld fewer than %31s and gives them all to %31s", a, &n, b, d)) {
        if (own || strcmp(b, p->who) != 0) return false;
        p->value += p->value + (strstr(s, "more") ? n : -n);
        return true;
    }
    if (FORM("%31s is %lld years old", a, &n) || (!own && FORM("%31s has %lld %31s", a, &n, b)))
        return (p->stray = true) && !own && (strstr(s, "years") || strcmp(b, items) != 0);
    if (!own) return false;
    if (FORM("%31s buys %lld boxes of %lld %31s", a, &n, &m, b)) return p->value += n * m, !strcmp(b, items);
    if (FORM("%31s buys %lld %31s", a, &n, b)) return p->value += n, !strcmp(b, items);
    if (FORM("%31s sells %lld %31s", a, &n, b)) return p->value -= n, !strcmp(b, items);
    if (FORM("%31s finds %lld more", a, &n) || FORM("%31s gets %lld from %31s", a, &n, b))
        return p->value += n, true;
    if (FORM("%31s loses %lld", a, &n) || FORM("%31s gives %lld to %31s", a, &n, b))
        return p->value -= n, true;
    if (FORM("%31s doubles the %31s", a, b)) return p->value *= 2, !strcmp(b, items);
    if (FORM("%31s keeps half of the %31s", a, b) || FORM("%31s gives half to %31s", a, b)) {
        bool even = p->value % 2 == 0;
        p->value /= 2;
        return even;
    }
    if (FORM("%31s shares them equally among %lld bags and keeps one", a, &n)) {
        bool even = p->value % n == 0;
        p->value /= n;
        return even;
    }
#undef FORM
    return false;
}

/* The answer that the question's own words ask for. */
static pile read_question(const char *question) {
    char *text = mem_strdup(question), *rest = text, items[32], asked_items[32], asked_who[32];
    pile p = {0};
    long long start;
    char *mark = strchr(text, '?');
    assert_true(mark && !mark[1]);
    *mark = 0;
    char *sentence = strsep(&rest, ".");
    assert_int_equal(sscanf(sentence, "%15s has %lld %31s", p.who, &start, items), 3);
    p.value = start;
    while (rest && (sentence = strsep(&rest, ".")) && rest) {
        if (*sentence != ' ' || !read_sentence(sentence + 1, items, &p))
            fail_msg("\"%s\" is not understood in: %s", sentence, question);
        assert_true(p.value > 0);
    }
    int end = 0;
    sscanf(sentence, " How many %31s does %31s have now%n", asked_items, asked_who, &end);
    if (!end || sentence[end] || strcmp(asked_items, items) != 0 || strcmp(asked_who, p.who) != 0)
        fail_msg("asked for other than %s of %s: %s", items, p.who, question);
    mem_free(text);
    return p;
}

/* ---- Reading a solution ---- */

/* Whether every line "a op b = c THINGS" is right, c exact and above zero, and the last line has the
 * result of the line before it. *answer: the number in it. *lines: their count. */
static bool right_lines(const char *solution, int64_t *answer, int64_t *lines) {
    char *text = mem_strdup(solution), *rest = text, operation, items[32];
    bool fine = true;
    long long a, b, c, said = -1, last = -1;
    *lines = 0;
    for (char *line; (line = strsep(&rest, "\n"));) {
        int end = 0;
        assert_int_equal(said, -1); /* nothing after the answer */
        if (sscanf(line, "#### %lld%n", &said, &end) == 1 && !line[end]) continue;
        assert_int_equal(sscanf(line, "%lld %c %lld = %lld %31s%n", &a, &operation, &b, &c, items, &end), 5);
        assert_true(!line[end] && strchr("+-*/", operation));
        fine = fine && c > 0 &&
               (operation == '+'   ? a + b == c
                : operation == '-' ? a - b == c
                : operation == '*' ? a * b == c
                                   : b * c == a);
        last = c;
        ++*lines;
    }
    assert_true(said >= 0);
    *answer = said;
    mem_free(text);
    return fine && said == last;
}

static void test_right(void **state) {
    (void)state;
    static const struct {
        const char *level;
        int64_t least, most; /* lines: a sentence has one or, boxes and comparisons, two */
    } cases[] = {{"easy", 2, 10}, {"rare", 5, 16}, {"mixed", 2, 16}};
    for (size_t k = 0; k < 3; k++) {
        problem_set set = make("generate:level=%s,count=5000,seed=11", cases[k].level);
        int64_t shortest = 99, longest = 0, stray = 0;
        for (int64_t i = 0; i < set.count; i++) {
            const problem *p = &set.at[i];
            int64_t answer, lines;
            if (!right_lines(p->rationale, &answer, &lines)) fail_msg("%s\n%s", p->question, p->rationale);
            pile read = read_question(p->question);
            if (answer != strtoll(p->gold, NULL, 10) || answer != read.value)
                fail_msg("gold %s, the question asks for %lld: %s\n%s", p->gold, (long long)read.value,
                         p->question, p->rationale);
            assert_null(p->example);
            assert_string_equal(p->raw, p->rationale);
            shortest = lines < shortest ? lines : shortest;
            longest = lines > longest ? lines : longest;
            stray += read.stray;
        }
        assert_int_equal(shortest, cases[k].least);
        assert_in_range(longest, cases[k].least + 4, cases[k].most);
        assert_in_range(stray, 1350, 1650); /* 30% of 5,000 */
        problem_set_free(&set);
    }
}

/* The effect of the table of probabilities: the share of solutions with an incorrect answer. */
static void test_flawed(void **state) {
    (void)state;
    static const struct {
        const char *level;
        double flaws;
        int64_t least, most; /* of 5,000 */
    } cases[] = {{"easy", 1.4, 2500, 3100},
                 {"rare", 1.4, 4400, 4750},
                 {"easy", 0.2, 300, 800},
                 {"rare", 10, 4750, 5000}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        problem_set right = make("generate:level=%s,count=5000,seed=5", cases[k].level);
        problem_set taught =
            make("generate:level=%s,count=5000,seed=5,flaws=%g", cases[k].level, cases[k].flaws);
        int64_t wrong = 0, lucky = 0;
        for (int64_t i = 0; i < 5000; i++) {
            const problem *r = &right.at[i], *p = &taught.at[i];
            assert_string_equal(r->question, p->question);
            assert_string_equal(r->gold, p->gold);
            int64_t answer, lines;
            right_lines(p->rationale, &answer, &lines);
            bool flawed = strcmp(p->rationale, r->rationale) != 0;
            if (!flawed) assert_null(p->example);
            /* a correct solution can be had */
            if (flawed) assert_string_equal(p->example, r->rationale);
            bool missed = answer != strtoll(p->gold, NULL, 10);
            wrong += missed;
            lucky += flawed && !missed;
        }
        if (wrong < cases[k].least || wrong > cases[k].most || lucky == 0)
            fail_msg("%s at %g: %d of 5,000 wrong, %d flawed and yet right", cases[k].level, cases[k].flaws,
                     (int)wrong, (int)lucky);
        problem_set_free(&right);
        problem_set_free(&taught);
    }
}

/* ---- Words and tokens ---- */

/* Length of the piece that the tokenizer's pattern cuts off at s: a word, a digit or a sign, each with the
 * space before it; a run of #; or white space. */
static size_t piece_length(const char *s) {
    size_t n = *s == ' ' && s[1] && !isspace((unsigned char)s[1]) && s[1] != '#';
    if (isalpha((unsigned char)s[n])) {
        while (isalpha((unsigned char)s[n])) n++;
        return n;
    }
    if (s[0] == '#') return strspn(s, "#");
    return n + 1;
}

static void assert_pieces_are_tokens(const json_t *vocabulary, const char *text, const char *but) {
    while (*text) {
        size_t n = piece_length(text);
        char *piece = mem_strndup(text, n);
        /* in byte-level files a space is written U+0120 and a newline U+010A */
        char *spelled = *piece == ' '    ? mem_printf("\u0120%s", piece + 1)
                        : *piece == '\n' ? mem_strdup("\u010a")
                                         : mem_strdup(piece);
        if (!json_object_get(vocabulary, spelled) && strcmp(piece, but) != 0)
            fail_msg("\"%s\" is no token", piece);
        mem_free(piece);
        mem_free(spelled);
        text += n;
    }
}

/* Every word, digit and sign that is ever asked, taught or judged is a token of the embedded policy, except
 * for the number 0: only a misreading has that result, and it is a space and a digit there. */
static void test_words_are_tokens(void **state) {
    (void)state;
    json_error_t problem_of_json;
    json_t *file =
        json_load_file(ESPALIER_SOURCE_DIR "/data/arith/start/tokenizer.json", 0, &problem_of_json);
    if (!file) fail_msg("tokenizer.json: %s", problem_of_json.text);
    const json_t *vocabulary = json_object_get(json_object_get(file, "model"), "vocab");
    assert_true(json_object_size(vocabulary) > 256);
    text_buffer b = {0};
    for (int flawed = 0; flawed < 2; flawed++) {
        problem_set set = make("generate:level=mixed,count=3000,seed=3,flaws=%g", flawed ? 1.4 : 0);
        const char *but = flawed ? " 0" : "";
        for (int64_t i = 0; i < set.count; i++) {
            esp_error error = {0};
            text_clear(&b);
            task_prompt_plain(arith(), &set.at[i], &b);
            assert_int_equal(task_sft_target(arith(), &set.at[i], &b, &error), ESP_OK);
            assert_pieces_are_tokens(vocabulary, b.at, but);
            text_clear(&b);
            task_judge_prefix(arith(), &set.at[i], true, &b);
            text_printf(&b, "%s%s", task_judge_question(arith()), task_judge_answer(arith()));
            assert_pieces_are_tokens(vocabulary, b.at, "");
        }
        problem_set_free(&set);
    }
    assert_pieces_are_tokens(vocabulary, task_verdict(arith(), false), "");
    assert_pieces_are_tokens(vocabulary, task_verdict(arith(), true), "");
    text_free(&b);
    json_decref(file);
}

/* The prompt is the question; the judge's example is a correct solution, even if the teacher's is not. */
static void test_prompts(void **state) {
    (void)state;
    problem_set set = make("generate:level=rare,count=40,flaws=10");
    text_buffer b = {0};
    for (int64_t i = 0; i < set.count; i++) {
        const problem *p = &set.at[i];
        text_clear(&b);
        task_prompt_plain(arith(), p, &b);
        assert_int_equal(b.length, strlen(p->question) + 1);
        assert_memory_equal(b.at, p->question, b.length - 1);
        assert_int_equal(b.at[b.length - 1], '\n');
        text_clear(&b);
        task_judge_prefix(arith(), p, true, &b);
        assert_non_null(strstr(b.at, p->example ? p->example : p->rationale));
        if (p->example) assert_null(strstr(b.at, p->rationale));
        text_clear(&b);
        task_judge_prefix(arith(), p, false, &b);
        assert_null(strstr(b.at, "####"));
    }
    text_free(&b);
    problem_set_free(&set);
}

/* ---- Sources ---- */

static void test_bad_words(void **state) {
    (void)state;
    static const struct {
        const char *words, *names; /* what the message must name */
    } bad[] = {
        {"level=hard", "\"level=hard\""},
        {"count=10,level=", "\"level=\""},
        {"level=easy", "count is missing"},
        {"count=10,seed=1,count=20", "\"count\" is given twice"},
        {"split=dev,count=10,split=dev", "\"split\" is given twice"},
        {"count=0", "\"count=0\""},
        {"count=-3", "\"count=-3\""},
        {"count=1e3", "\"count=1e3\""},
        {"count=100000001", "\"count=100000001\""},
        {"count=99999999999999999999999", "\"count=99999999999999999999999\""},
        {"count=10,split=validation", "\"split=validation\""},
        {"count=10,seed=-1", "\"seed=-1\""},
        {"count=10,seed=one", "\"seed=one\""},
        {"count=10,flaws=-1", "\"flaws=-1\""},
        {"count=10,flaws=nan", "\"flaws=nan\""},
        {"count=10,flaws=inf", "\"flaws=inf\""},
        {"count=10,flaws=1.4x", "\"flaws=1.4x\""},
        {"count=10,flaws=", "\"flaws=\""},
        {"count=10,colour=red", "\"colour=red\""},
        {"count", "\"count\""},
        {"count=10,,seed=1", "\"\""},
        {"count=10,", "\"\""},
        {"", "\"\""},
        {"count=10;seed=1", "\"count=10;seed=1\""},
        {"\x01\xff=%s%n", "%s%n"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char source[128];
        snprintf(source, sizeof source, "generate:%s", bad[i].words);
        esp_error error = {0};
        problem_set set;
        assert_int_equal(task_read(arith(), source, &set, &error), ESP_FAILED);
        assert_true(set.at == NULL && set.memory == NULL);
        if (!strstr(error.message, bad[i].names) || !strstr(error.message, source) ||
            !strstr(error.hint, "generate:level=easy"))
            fail_msg("%s: \"%s\" (%s)", source, error.message, error.hint);
    }
}

static void test_sources(void **state) {
    (void)state;
    assert_true(task_source_is_generated("generate:count=1"));
    assert_false(task_source_is_generated("generate.jsonl"));
    assert_false(task_source_is_generated("data/generate:count=1"));
    esp_error error = {0};
    problem_set set;
    assert_int_equal(task_read(test_task("gsm8k"), "generate:count=5", &set, &error), ESP_FAILED);
    assert_true(strstr(error.message, "gsm8k") && strstr(error.message, "generate:count=5"));
    assert_non_null(strstr(error.hint, "arith"));
    /* files have GSM8K's form; so have made problems that were written down */
    char path[512];
    test_path(path, sizeof path, "arith.jsonl");
    static const char row[] =
        "{\"question\": \"Tom has 3 pears. How many?\", \"answer\": \"3 + 1 = <<3+1=4>>4 "
        "pears\\n#### 4\"}\n";
    assert_int_equal(file_write_all(path, row, strlen(row), &error), ESP_OK);
    assert_int_equal(task_read(arith(), path, &set, &error), ESP_OK);
    assert_int_equal(set.count, 1);
    assert_string_equal(set.at[0].gold, "4");
    assert_string_equal(set.at[0].rationale, "3 + 1 = 4 pears\n#### 4");
    problem_set_free(&set);
    static const char bare[] = "{\"question\": \"Tom has 3 pears. How many?\", \"answer\": \"some pears\"}\n";
    assert_int_equal(file_write_all(path, bare, strlen(bare), &error), ESP_OK);
    assert_int_equal(task_read(arith(), path, &set, &error), ESP_FAILED);
    assert_true(strstr(error.message, path) && strstr(error.message, "answer"));
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_words),
        cmocka_unit_test(test_splits_share_nothing),
        cmocka_unit_test(test_right),
        cmocka_unit_test(test_flawed),
        cmocka_unit_test(test_words_are_tokens),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_bad_words),
        cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
