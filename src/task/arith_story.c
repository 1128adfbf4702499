#include "task/arith_story.h"

#include <string.h>

static const char *const people[] = {"Tom", "Mia", "Sam", "Ann", "Ben", "Lily", "Max", "Zoe"};
static const char *const things[] = {"apples", "pears",  "coins",  "books",
                                     "cards",  "shells", "stamps", "marbles"};
enum { PEOPLE = 8, THINGS = 8 };

static const int64_t largest_value = 60, largest_operand = 9, largest_start = 20, largest_taught = 999;

/* Chance of a misreading by kind at flaws = 1. */
static const double flaw_chance[] = {
    [ARITH_ADD] = 0,       [ARITH_SUBTRACT] = 0,       [ARITH_TIMES] = 0.45, [ARITH_DOUBLE] = 0.315,
    [ARITH_HALF] = 0.36,   [ARITH_SHARE] = 0.45,       [ARITH_BOXES] = 0.36, [ARITH_MORE] = 0.54,
    [ARITH_FEWER] = 0.495, [ARITH_DISTRACTOR] = 0.495,
};

static const int mostly_plain[ARITH_KINDS] = {6, 6, 1, 1, 1, 1, 1, 1, 1};
static const int mostly_others[ARITH_KINDS] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
static const arith_level levels[] = {
    {.name = "easy", .low = 2, .high = 5, .weights = mostly_plain, .distractor = 30},
    {.name = "rare", .low = 5, .high = 8, .weights = mostly_others, .distractor = 30},
    {.name = "mixed"},
};

const arith_level *arith_level_find(const char *name) {
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(levels[i].name, name) == 0) return &levels[i];
    return NULL;
}

/* The story so far: the true values, and those of a flawed reader. */
typedef struct {
    arith_story *out;
    rng_key_t key;
    uint64_t drawn;
    double flaws;
    int64_t value, taught;
    int64_t who; /* the one whose pile it is */
    const char *items;
} telling;

static int64_t draw(telling *t, int64_t low, int64_t high) { /* both included */
    return low + (int64_t)rng_below(t->key, t->drawn++, (uint64_t)(high - low + 1));
}

static bool misread(telling *t, arith_kind kind) {
    double chance = flaw_chance[kind] * t->flaws, drawn = rng_uniform(t->key, t->drawn++);
    bool flawed = drawn < (chance < 0.95 ? chance : 0.95);
    t->out->flawed += flawed;
    return flawed;
}

static const char *another(telling *t) {
    return people[(t->who + draw(t, 1, PEOPLE - 1)) % PEOPLE];
}

/* One line of the solution. A flawed value may not divide evenly or may run below zero: such lines are
 * rounded down, and stop at zero. */
static int64_t reckon(telling *t, int64_t a, char operation, int64_t b) {
    int64_t c = operation == '+' ? a + b : operation == '-' ? a - b : operation == '*' ? a * b : a / b;
    if (c < 0) c = 0;
    if (c > largest_taught) c = largest_taught;
    text_printf(&t->out->solution, "%lld %c %lld = %lld %s\n", (long long)a, operation, (long long)b,
                (long long)c, t->items);
    return c;
}

#define TELL(...) text_printf(&t->out->question, __VA_ARGS__)

/* Adds n to the pile, or subtracts it. */
static bool tell_change(telling *t, arith_kind kind) {
    static const char *const gains[] = {" %s finds %lld more.", " %s gets %lld from %s.",
                                        " %s buys %lld %s."};
    static const char *const losses[] = {" %s loses %lld.", " %s gives %lld to %s.", " %s sells %lld %s."};
    bool add = kind == ARITH_ADD;
    int64_t n = draw(t, 2, largest_operand), form = draw(t, 0, 2);
    if (add ? t->value + n > largest_value : n >= t->value) return false;
    const char *last = form == 1 ? another(t) : t->items;
    const char *words = add ? gains[form] : losses[form];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (form == 0)
        TELL(words, people[t->who], (long long)n);
    else
        TELL(words, people[t->who], (long long)n, last);
#pragma GCC diagnostic pop
    t->value += add ? n : -n;
    t->taught = reckon(t, t->taught, add ? '+' : '-', n);
    return true;
}

static bool tell_times(telling *t) {
    int64_t n = draw(t, 3, 5), next = (t->who + draw(t, 1, PEOPLE - 1)) % PEOPLE;
    if (t->value * n > largest_value) return false;
    TELL(" %s has %lld times as many as %s.", people[next], (long long)n, people[t->who]);
    t->who = next;
    t->value *= n;
    t->taught = reckon(t, t->taught, misread(t, ARITH_TIMES) ? '+' : '*', n);
    return true;
}

static bool tell_double(telling *t) {
    if (2 * t->value > largest_value) return false;
    TELL(" %s doubles the %s.", people[t->who], t->items);
    t->value *= 2;
    t->taught = reckon(t, t->taught, misread(t, ARITH_DOUBLE) ? '+' : '*', 2);
    return true;
}

static bool tell_half(telling *t) {
    if (t->value % 2) return false;
    if (draw(t, 0, 1))
        TELL(" %s keeps half of the %s.", people[t->who], t->items);
    else
        TELL(" %s gives half to %s.", people[t->who], another(t));
    t->value /= 2;
    t->taught = reckon(t, t->taught, misread(t, ARITH_HALF) ? '-' : '/', 2);
    return true;
}

static bool tell_share(telling *t) {
    int64_t n = draw(t, 3, 5);
    if (t->value % n) return false;
    TELL(" %s shares them equally among %lld bags and keeps one.", people[t->who], (long long)n);
    t->value /= n;
    t->taught = reckon(t, t->taught, misread(t, ARITH_SHARE) ? '-' : '/', n);
    return true;
}

static bool tell_boxes(telling *t) {
    int64_t n = draw(t, 2, 5), size = draw(t, 2, largest_operand);
    if (t->value + n * size > largest_value) return false;
    TELL(" %s buys %lld boxes of %lld %s.", people[t->who], (long long)n, (long long)size, t->items);
    t->value += n * size;
    int64_t more = misread(t, ARITH_BOXES) ? size : reckon(t, n, '*', size);
    t->taught = reckon(t, t->taught, '+', more);
    return true;
}

static bool tell_compared(telling *t, arith_kind kind) {
    bool more = kind == ARITH_MORE;
    int64_t n = draw(t, 2, largest_operand), other = more ? t->value + n : t->value - n;
    if (other < 1 || t->value + other > largest_value) return false;
    const char *them = another(t), *who = people[t->who];
    TELL(" %s has %lld %s than %s and gives them all to %s.", them, (long long)n, more ? "more" : "fewer",
         who, who);
    t->value += other;
    int64_t theirs = reckon(t, t->taught, more ? '+' : '-', n);
    t->taught = misread(t, kind) ? theirs : reckon(t, t->taught, '+', theirs);
    return true;
}

/* False, and nothing told, where the numbers do not allow that kind. */
static bool tell(telling *t, arith_kind kind) {
    switch (kind) {
    case ARITH_ADD:
    case ARITH_SUBTRACT:
        return tell_change(t, kind);
    case ARITH_TIMES:
        return tell_times(t);
    case ARITH_DOUBLE:
        return tell_double(t);
    case ARITH_HALF:
        return tell_half(t);
    case ARITH_SHARE:
        return tell_share(t);
    case ARITH_BOXES:
        return tell_boxes(t);
    default:
        return tell_compared(t, kind);
    }
}

static void tell_distractor(telling *t) {
    int64_t n = draw(t, 2, largest_operand);
    const char *other = things[draw(t, 0, THINGS - 1)];
    if (strcmp(other, t->items) == 0) other = "years";
    if (strcmp(other, "years") == 0)
        TELL(" %s is %lld years old.", another(t), (long long)n);
    else
        TELL(" %s has %lld %s.", another(t), (long long)n, other);
    if (misread(t, ARITH_DISTRACTOR)) t->taught = reckon(t, t->taught, '+', n);
}

static arith_kind draw_kind(telling *t, const int *weights) {
    int64_t sum = 0;
    for (int k = 0; k < ARITH_KINDS; k++) sum += weights[k];
    int64_t at = draw(t, 0, sum - 1);
    int kind = 0;
    while (at >= weights[kind]) at -= weights[kind++];
    return (arith_kind)kind;
}

/* How many operations: 3 : 3 : 2 : 1 over the level's four numbers. */
static int64_t draw_operations(telling *t, const arith_level *level) {
    static const int64_t shares[] = {0, 0, 0, 1, 1, 1, 2, 2, 3};
    return level->low + shares[draw(t, 0, 8)];
}

void arith_story_make(arith_story *out, rng_key_t key, const arith_level *level, double flaws) {
    *out = (arith_story){0};
    telling teller = {.out = out, .key = key, .flaws = flaws}, *t = &teller;
    if (!level->weights) level = &levels[draw(t, 0, 1)]; /* mixed */
    t->who = draw(t, 0, PEOPLE - 1);
    t->items = things[draw(t, 0, THINGS - 1)];
    t->value = t->taught = draw(t, 3, largest_start);
    TELL("%s has %lld %s.", people[t->who], (long long)t->value, t->items);
    int64_t operations = draw_operations(t, level);
    int64_t distractor = draw(t, 0, 99) < level->distractor ? draw(t, 0, operations - 1) : -1;
    for (int64_t i = 0; i < operations; i++) {
        if (i == distractor) tell_distractor(t);
        while (!tell(t, draw_kind(t, level->weights))) {
        }
    }
    TELL(" How many %s does %s have now?", t->items, people[t->who]);
    text_printf(&out->solution, "#### %lld", (long long)t->taught);
    out->gold = t->value;
}

void arith_story_free(arith_story *story) {
    text_free(&story->question);
    text_free(&story->solution);
}
