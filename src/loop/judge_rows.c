#include "loop/judge_rows.h"

#include "task/number.h"

#include <math.h>
#include <string.h>

/* Keeps these random numbers apart from all others of a run ("judg"). */
static const uint64_t judge_word = 0x6a756467;

/* What is drawn from the key of a row, by counter. */
enum { DRAW_DEPTH, DRAW_LABEL, DRAW_EXAMPLE, DRAW_EARLIER, DRAW_KIND, DRAW_VALUE };

/* ---- numbers ---- */

/* A number that can be another one without looking odd: digits, perhaps with a point, of everyday length. */
static bool plain(const number_token *n) {
    return n->whole.length > 0 && n->whole.length <= 15 && n->top.length == 0 && n->bottom.length == 0 &&
           n->exponent == 0;
}

/* The value of its digits, without sign. */
static bool magnitude(const number_token *n, fmpq_t out) {
    if (!plain(n) || !number_value(n, out)) return false;
    fmpq_abs(out, out);
    return true;
}

static bool text_magnitude(const char *text, fmpq_t out) {
    number_token n;
    return number_next(text, strlen(text), 0, &n) && magnitude(&n, out);
}

/* Digits behind the point. */
static int64_t decimals(const char *digits, size_t length) {
    const char *point = memchr(digits, '.', length);
    return point ? (int64_t)length - (point - digits) - 1 : 0;
}

/* The value written as `like` is: grouped where that is, with at least as many decimals. NULL where it takes
 * a fraction or more digits than people write. Freed by mem_free. */
static char *write_like(const fmpq_t value, const number_digits *like) {
    char *plain_text = number_text(value);
    if (!plain_text || strchr(plain_text, '/') || strlen(plain_text) > 12) {
        mem_free(plain_text);
        return NULL;
    }
    text_buffer b = {0};
    size_t length = strlen(plain_text), whole = strcspn(plain_text, ".");
    bool grouped = memchr(like->at, ',', like->length) != NULL;
    for (size_t i = 0; i < whole; i++) {
        if (grouped && i > 0 && (whole - i) % 3 == 0) text_puts(&b, ",");
        text_append(&b, plain_text + i, 1);
    }
    text_append(&b, plain_text + whole, length - whole);
    int64_t have = decimals(plain_text, length), want = decimals(like->at, like->length);
    if (have == 0 && want > 0) text_puts(&b, ".");
    for (; have < want; have++) text_puts(&b, "0");
    mem_free(plain_text);
    return b.at;
}

/* ---- another number; each gives NULL where it has none ---- */

/* What a mistake is made of. */
typedef struct {
    const problem *problem;
    const char *before;         /* what stands before the number: lines, and its own line up to it */
    size_t before_length, line; /* where that line begins */
    number_token number;
    fmpq_t value;
    rng_key_t key;
} mistake;

/* Off by 1, 2, 3, 5 or 10 in the last place. */
static char *off_by_a_little(const mistake *m) {
    static const int64_t steps[] = {1, 1, 2, 3, 5, 10};
    int64_t by = steps[rng_below(m->key, DRAW_VALUE, 6)];
    fmpq_t value, delta;
    fmpq_init(value);
    fmpq_init(delta);
    fmpq_set_si(delta, (slong)by, 1);
    for (int64_t d = decimals(m->number.whole.at, m->number.whole.length); d > 0; d--)
        fmpq_div_fmpz(delta, delta, (fmpz[]){10});
    bool down = (rng_bits(m->key, DRAW_VALUE + 1) & 1) && fmpq_cmp(m->value, delta) > 0;
    if (down)
        fmpq_sub(value, m->value, delta);
    else
        fmpq_add(value, m->value, delta);
    char *text = write_like(value, &m->number.whole);
    fmpq_clear(value);
    fmpq_clear(delta);
    return text;
}

/* Other numbers of the question and of the lines so far: the pick-th one, or how many there are with text
 * NULL. */
static int64_t other_numbers(const mistake *m, int64_t pick, char **text) {
    const char *sources[] = {m->problem->question, m->before};
    size_t lengths[] = {strlen(m->problem->question), m->before_length};
    fmpq_t value;
    fmpq_init(value);
    int64_t count = 0;
    for (int s = 0; s < 2; s++) {
        number_token n;
        for (size_t at = 0; number_next(sources[s], lengths[s], at, &n); at = n.end) {
            if (!magnitude(&n, value) || fmpq_equal(value, m->value)) continue;
            if (text && count == pick) *text = write_like(value, &m->number.whole);
            count++;
        }
    }
    fmpq_clear(value);
    return count;
}

static char *another_of_the_problem(const mistake *m) {
    int64_t count = other_numbers(m, 0, NULL);
    if (count == 0) return NULL;
    char *text = NULL;
    other_numbers(m, (int64_t)rng_below(m->key, DRAW_VALUE, (uint64_t)count), &text);
    return text;
}

static char *digit_changed(const mistake *m) {
    char *text = mem_strndup(m->number.whole.at, m->number.whole.length);
    size_t places[16], count = 0;
    for (size_t i = 0; text[i] && count < 16; i++)
        if (text[i] >= '0' && text[i] <= '9') places[count++] = i;
    size_t at = places[rng_below(m->key, DRAW_VALUE, count)];
    int old = text[at] - '0', low = at == places[0] && count > 1 ? 1 : 0; /* no leading zero */
    int now = low + (int)rng_below(m->key, DRAW_VALUE + 1, (uint64_t)(9 - low));
    text[at] = (char)('0' + (now >= old ? now + 1 : now));
    return text;
}

/* The last two numbers of the line before its "=", under another operation. */
static char *another_operation(const mistake *m) {
    const char *line = m->before + m->line;
    size_t length = m->before_length - m->line;
    number_token n, last[2] = {{0}};
    for (size_t at = 0; number_next(line, length, at, &n); at = n.end) {
        last[0] = last[1];
        last[1] = n;
    }
    fmpq_t a, b, value;
    fmpq_init(a);
    fmpq_init(b);
    fmpq_init(value);
    char *text = NULL;
    bool both = last[0].end > 0 && magnitude(&last[0], a) && magnitude(&last[1], b);
    uint64_t first = rng_below(m->key, DRAW_VALUE, 4);
    for (uint64_t i = 0; both && i < 4 && !text; i++) {
        uint64_t operation = (first + i) % 4;
        if (operation == 3 && fmpq_is_zero(b)) continue;
        (operation == 0   ? fmpq_add
         : operation == 1 ? fmpq_sub
         : operation == 2 ? fmpq_mul
                          : fmpq_div)(value, a, b);
        if (fmpq_sgn(value) > 0 && !fmpq_equal(value, m->value)) text = write_like(value, &m->number.whole);
    }
    fmpq_clear(a);
    fmpq_clear(b);
    fmpq_clear(value);
    return text;
}

/* A wrong number in the place of the right one. */
static char *wrong_number(const mistake *m) {
    char *(*const kinds[])(const mistake *) = {off_by_a_little, another_of_the_problem, digit_changed,
                                               another_operation};
    uint64_t first = rng_below(m->key, DRAW_KIND, 4);
    fmpq_t value;
    fmpq_init(value);
    char *text = NULL;
    for (uint64_t i = 0; i < 4 && !text; i++) {
        text = kinds[(first + i) % 4](m);
        if (text && text_magnitude(text, value) && !fmpq_equal(value, m->value)) break;
        mem_free(text);
        text = NULL;
    }
    fmpq_clear(value);
    return text;
}

/* ---- steps ---- */

/* Where line number `line` of the text begins, and its length without the newline. */
static const char *line_at(const char *text, int64_t line, size_t *length) {
    *length = 0;
    for (; line > 0; line--) {
        text = strchr(text, '\n');
        if (!text) return NULL;
        text++;
    }
    *length = strcspn(text, "\n");
    return text;
}

static int64_t line_count(const char *text) {
    int64_t n = 1;
    for (; (text = strchr(text, '\n')) && text[1]; text++) n++;
    return n;
}

/* The number that a line came to: the last one behind its last "=", else its last. */
static bool line_result(const char *line, size_t length, number_token *out) {
    const char *equals = memrchr(line, '=', length);
    number_token n;
    bool found = false;
    for (size_t at = 0; number_next(line, length, at, &n); at = n.end) {
        if (!plain(&n)) continue;
        found = true;
        *out = n;
        if (equals && n.start >= (size_t)(equals - line)) break;
    }
    return found;
}

/* text[from, length) with every number of this value written as `wrong`, appended to out. Returns where the
 * last one of them stands in out, -1 for none. */
static int64_t replace_numbers(const char *text, size_t from, size_t length, const fmpq_t value,
                               const char *wrong, text_buffer *out) {
    int64_t last = -1;
    size_t copied = from;
    fmpq_t found;
    fmpq_init(found);
    number_token n;
    for (size_t at = from; number_next(text, length, at, &n); at = n.end) {
        if (!magnitude(&n, found) || !fmpq_equal(found, value)) continue;
        size_t digits = (size_t)(n.whole.at - text);
        text_append(out, text + copied, digits - copied);
        last = (int64_t)out->length;
        text_puts(out, wrong);
        copied = digits + n.whole.length;
    }
    text_append(out, text + copied, length - copied);
    fmpq_clear(found);
    return last;
}

/* Puts a mistake into line `line`, and through the rest of the first `steps` lines. False where that line has
 * no number to change, or the mistake does not reach the last line. */
static bool make_wrong(const problem *p, int64_t line, int64_t steps, size_t end, rng_key_t key,
                       judge_steps *out) {
    size_t length, last_length;
    const char *text = p->rationale, *at = line_at(text, line, &length),
               *last = line_at(text, steps - 1, &last_length);
    mistake m = {.problem = p, .before = text, .key = key};
    if (!at || !last || !line_result(at, length, &m.number)) return false;
    m.line = (size_t)(at - text);
    m.before_length = m.line + m.number.start;
    fmpq_init(m.value);
    char *wrong = magnitude(&m.number, m.value) ? wrong_number(&m) : NULL;
    bool made = false;
    if (wrong) {
        text_buffer b = {0};
        size_t from = m.line + m.number.start, last_line = (size_t)(last - text);
        text_append(&b, text, from);
        /* Up to the last line and within it apart: the mistake must be seen there. */
        size_t middle = last_line > from ? last_line : from;
        int64_t first = (int64_t)b.length, reached;
        replace_numbers(text, from, middle, m.value, wrong, &b);
        reached = replace_numbers(text, middle, end, m.value, wrong, &b);
        made = reached >= 0;
        if (made)
            *out = (judge_steps){.text = b.at, .steps = steps, .changed = first};
        else
            text_free(&b);
    }
    mem_free(wrong);
    fmpq_clear(m.value);
    return made;
}

/* Bytes of the first `steps` lines, the newline behind them included where there is one. */
static size_t steps_end(const char *text, int64_t steps) {
    size_t length;
    const char *last = line_at(text, steps - 1, &length);
    return (size_t)(last - text) + length + (last[length] == '\n');
}

esp_status judge_steps_draw(const problem *p, rng_key_t key, judge_steps *out, esp_error *error) {
    *out = (judge_steps){0};
    if (!p->rationale || !p->rationale[0])
        return error_fail(error, "set sft.judge_examples: 0, or use data with worked solutions",
                          "problem %s has no rationale to make judge rows of", p->id);
    int64_t lines = line_count(p->rationale);
    int64_t depth = 1 + (int64_t)rng_below(key, DRAW_DEPTH, (uint64_t)lines);
    bool wrong = rng_bits(key, DRAW_LABEL) & 1, earlier = rng_below(key, DRAW_EARLIER, 3) == 0;
    for (int64_t steps = depth; wrong && steps <= lines; steps++) {
        size_t end = steps_end(p->rationale, steps);
        if (earlier && steps > 1 && make_wrong(p, steps - 2, steps, end, key, out)) return ESP_OK;
        if (make_wrong(p, steps - 1, steps, end, key, out)) return ESP_OK;
    }
    *out = (judge_steps){.text = mem_strndup(p->rationale, steps_end(p->rationale, depth)),
                         .steps = depth,
                         .right = true,
                         .changed = -1};
    return ESP_OK;
}

void judge_steps_free(judge_steps *steps) {
    mem_free(steps->text);
    *steps = (judge_steps){0};
}

/* ---- ids ---- */

static void append(token_list *out, const int32_t *ids, int64_t n) {
    MEM_LIST_RESERVE(out, out->count + n);
    if (n) memcpy(out->at + out->count, ids, (size_t)n * sizeof *ids);
    out->count += n;
}

esp_status judge_row_of_ids(const prompt_words *words, const problem *p, bool with_example,
                            const int32_t *steps, int64_t n, bool right, judge_row *out, esp_error *error) {
    *out =
        (judge_row){.verdict = prompt_verdict_id(words, right), .right = right, .with_example = with_example};
    esp_status status = prompt_judge_prefix(words, p, with_example, &out->prompt, error);
    if (status != ESP_OK) {
        judge_row_free(out);
        return status;
    }
    append(&out->prompt, steps, n);
    append(&out->prompt, prompt_judge_suffix(words)->at, prompt_judge_suffix(words)->count);
    return ESP_OK;
}

esp_status judge_row_make(const prompt_words *words, const problem *p, recipe_example example, uint64_t seed,
                          int64_t n, judge_row *out, esp_error *error) {
    *out = (judge_row){0};
    rng_key_t key = rng_mix(rng_mix(rng_mix(rng_key(seed), judge_word), (uint64_t)p->index), (uint64_t)n);
    judge_steps steps;
    ESP_TRY(judge_steps_draw(p, key, &steps, error));
    bool with_example = example == RECIPE_EXAMPLE_GOLD && (rng_bits(key, DRAW_EXAMPLE) & 1);
    token_list ids = {0};
    esp_status status = prompt_answer_ids(words, steps.text, strlen(steps.text), &ids, error);
    if (status == ESP_OK) /* without end-of-sequence */
        status = judge_row_of_ids(words, p, with_example, ids.at, ids.count - 1, steps.right, out, error);
    MEM_LIST_FREE(&ids);
    judge_steps_free(&steps);
    return status;
}

void judge_row_free(judge_row *row) {
    MEM_LIST_FREE(&row->prompt);
    *row = (judge_row){0};
}

int64_t judge_rows_due(double rate, int64_t ordinal) {
    return (int64_t)(floor(rate * (double)(ordinal + 1)) - floor(rate * (double)ordinal));
}
