/* Mistakes for rows that teach the judge: a step's result becomes another number, and so does every later
 * number of the same value. */
#include "grade/spelling.h"
#include "task/number.h"
#include "task/task_ops.h"

#include <string.h>

enum { DRAW_KIND = TASK_MISTAKE_DRAW, DRAW_VALUE };

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

/* Digits after the decimal point. */
static int64_t decimals(const char *digits, size_t length) {
    const char *point = memchr(digits, '.', length);
    return point ? (int64_t)length - (point - digits) - 1 : 0;
}

/* The value written as `like` is: grouped where that is, with at least as many decimals. NULL where it takes
 * a fraction or more digits than people write. Freed by mem_free. */
static char *write_like(const fmpq_t value, const number_digits *like) {
    char *plain_text = grade_number_text(value);
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

/* ---- Another number; each function gives NULL where it has none ---- */

/* What a mistake is made of. */
typedef struct {
    const problem *problem;
    const char *before;         /* the text before the number */
    size_t before_length, step; /* where the number's step begins */
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

/* The last two numbers of the step before its "=", under another operation. */
static char *another_operation(const mistake *m) {
    const char *step = m->before + m->step;
    size_t length = m->before_length - m->step;
    number_token n, last[2] = {{0}};
    for (size_t at = 0; number_next(step, length, at, &n); at = n.end) {
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

/* A wrong number to put in the place of the correct one. */
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

/* ---- The mistake ---- */

/* The result of a step: the first number after its last "=", else its last number. */
static bool step_result(const char *step, size_t length, number_token *out) {
    const char *equals = memrchr(step, '=', length);
    number_token n;
    bool found = false;
    for (size_t at = 0; number_next(step, length, at, &n); at = n.end) {
        if (!plain(&n)) continue;
        found = true;
        *out = n;
        if (equals && n.start >= (size_t)(equals - step)) break;
    }
    return found;
}

/* Appends text[from, length) to out, with every number of this value written as `wrong`. Returns where the
 * last of them is in out, -1 for none. */
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

bool numeric_mistake(const problem *p, const task_mistake_place *place, rng_key_t key, text_buffer *out,
                     size_t *changed) {
    const char *text = p->rationale;
    mistake m = {.problem = p, .before = text, .step = place->from, .key = key};
    if (!step_result(text + place->from, place->to - place->from, &m.number)) return false;
    m.before_length = place->from + m.number.start;
    fmpq_init(m.value);
    char *wrong = magnitude(&m.number, m.value) ? wrong_number(&m) : NULL;
    bool made = false;
    if (wrong) {
        size_t from = m.before_length, last = place->last > from ? place->last : from;
        text_append(out, text, from);
        *changed = out->length;
        /* Up to the last step and within it separately: the mistake must be visible there. */
        replace_numbers(text, from, last, m.value, wrong, out);
        made = replace_numbers(text, last, place->end, m.value, wrong, out) >= 0;
        if (!made) text_free(out);
    }
    mem_free(wrong);
    fmpq_clear(m.value);
    return made;
}
