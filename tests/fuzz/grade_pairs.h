/* Pairs of answers made from bytes, and what must hold for each: the verdict is the same from both sides, an
 * answer is equal to itself, an expression or an answer made of two is not different from itself written in
 * another way, nor equal to itself with 1 added. The bytes are the two answers themselves, or choose
 * fragments that they are joined from, or grow expressions. For fuzz_grade.c, whose bytes libFuzzer chooses,
 * and for tests/unit/grade/test_pairs_random.c, whose bytes are random. */
#ifndef ESPALIER_FUZZ_GRADE_PAIRS_H
#define ESPALIER_FUZZ_GRADE_PAIRS_H

#include "base/memory.h"
#include "grade/grade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *at;
    size_t left;
} source;

/* The next byte modulo n; 0 when there are no more. */
static unsigned pick(source *s, unsigned n) {
    if (s->left == 0) return 0;
    s->left--;
    return *s->at++ % n;
}

/* ---- Fragments ---- */

static const char *const FRAGMENTS[] = {
    "0",
    "1",
    "2",
    "5",
    "12",
    "345",
    "1000",
    "0.5",
    ".",
    ",",
    ",\\!",
    "{,}",
    "\\,",
    " ",
    "~",
    "-",
    "+",
    "*",
    "/",
    "^",
    "_",
    "=",
    "<",
    ">",
    "!",
    "%",
    "\\%",
    "$",
    "\\$",
    ":",
    ";",
    "|",
    "'",
    "&",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\\{",
    "\\}",
    "\\left(",
    "\\right)",
    "\\left[",
    "\\right]",
    "\\left|",
    "\\right|",
    "\\frac",
    "\\frac{1}{2}",
    "\\dfrac12",
    "\\sqrt",
    "\\sqrt{2}",
    "\\sqrt[3]{5}",
    "\\pi",
    "\\infty",
    "\\pm",
    "\\mp",
    "\\cdot",
    "\\times",
    "\\div",
    "\\cup",
    "\\cap",
    "\\in",
    "\\le",
    "\\ge",
    "\\ne",
    "\\approx",
    "\\to",
    "\\ldots",
    "\\overline{3}",
    "\\overline{",
    "\\text{",
    "\\text{ cm}",
    "\\text{ and }",
    "\\mathrm{",
    "\\boxed{",
    "\\begin{pmatrix}",
    "\\end{pmatrix}",
    "\\\\",
    "\\sin",
    "\\cos^2",
    "\\tan^{-1}",
    "\\ln",
    "\\log_2",
    "\\binom{5}{2}",
    "\\lfloor",
    "\\rfloor",
    "^{\\circ}",
    "^\\circ",
    "_{8}",
    "x",
    "y",
    "n",
    "i",
    "e",
    "a_1",
    "f(x)",
    "sqrt(2)",
    "or",
    "and",
    "million",
    "percent",
    "dollars",
    "degrees",
    "p.m.",
    "no solution",
    "\\emptyset",
    "\\mathbb{R}",
    "\\sum_{k=1}^{9}",
    "\\sum",
    "\\sum_{i=1}^{n}",
    "\\sum\\limits",
    "\\prod",
    "\\prod_{k=1}^{4}",
    "_{k=1}",
    "^{n}",
    "^\\infty",
    "k",
    "\\int",
    "\\int_0^1",
    "\\int_{a}^{x}",
    "dx",
    "\\,dt",
    "d\\theta",
    "\\lim",
    "\\lim_{x\\to 0}",
    "\\lim_{n\\to\\infty}",
    "\\to 0^+}",
    "^{-}",
    "\\begin{cases}",
    "\\end{cases}",
    "\\text{if }",
    "\\text{otherwise}",
    "\\{x\\mid ",
    "\\{x\\in\\mathbb{R}:",
    "\\mid",
    "\\{n\\in\\mathbb{Z}\\mid",
    "9999999999",
    "10^{10}",
    "e400",
    "\xc2\xbd",
    "\xe2\x88\x92",
    "\xc2\xb2",
    "\xef\xbc\x95",
    "\xe2\x88\x9e",
    "\xe2\x88\xab",
    "\xe2\x88\x91",
    "\xff",
    "**",
    "...",
};

static void fragments(source *s, text_buffer *out) {
    unsigned n = pick(s, 24);
    for (unsigned i = 0; i < n && s->left; i++)
        text_puts(out, FRAGMENTS[pick(s, sizeof FRAGMENTS / sizeof *FRAGMENTS)]);
}

/* ---- Expressions ---- */

static const char *const LEAVES[][2] = {
    /* one value, written in two ways */
    {"1", "1.0"},
    {"2", "\\frac{4}{2}"},
    {"3", "\\text{3}"},
    {"7", "(7)"},
    {"10", "10.0"},
    {"0.5", "\\frac12"},
    {"1.25", "5/4"},
    {"1000", "10^3"},
    {"x", "{x}"},
    {"y", "\\mathrm{y}"},
    {"n", "n"},
    {"\\pi", "\\pi"},
    {"\\sqrt{2}", "\\sqrt2"},
    {"a_1", "a_{1}"},
    {"e", "e"},
    {"\\alpha", "\\alpha"},
};
/* Forms around an expression (@), which none of their bound names occurs in. */
static const char *const FORMS[][2] = {
    {"(\\sum_{k=1}^{3}k\\cdot(@))", "(6\\cdot(@))"},
    {"(\\sum_{k=0}^{p}(k+@))", "(\\sum\\limits^{p}_{i=0}(@+i))"},
    {"(\\prod_{k=2}^{3}k\\cdot(@))", "(6(@)(@))"},
    {"(\\prod_{k=1}^{p}(@+k^2))", "(\\prod_{j=1}^{p}(j\\cdot j+(@)))"},
    {"(\\int_0^p(@)t\\,dt)", "(\\int_{0}^{p}{u\\cdot(@)}du)"},
    {"(\\int(@+t)dt)", "(\\int(u+(@))\\,du)"},
    {"(\\lim_{h\\to 0^+}(h+@))", "(\\lim_{v\\rightarrow 0^{+}}(@+v))"},
    {"(\\lim_{h\\to\\infty}\\frac{@}{h})", "(\\lim_{v\\to\\infty}\\frac{(@)}{{v}})"},
};
static const char *const NAMES[] = {"\\sin", "\\cos", "\\tan", "\\ln", "\\arctan", "\\exp"};

/* The pattern with `first` for each @ and `second` for each #. */
static void fill(text_buffer *out, const char *pattern, const char *first, const char *second) {
    for (; *pattern; pattern++) {
        if (*pattern == '@' || *pattern == '#')
            text_puts(out, *pattern == '@' ? first : second);
        else
            text_append(out, pattern, 1);
    }
}

/* Grows an expression; `other` writes the same one in another way: operands exchanged, other brackets, other
 * names. */
static void grow(source *s, int depth, bool other, text_buffer *out) {
    enum { LEAF = 11 };
    unsigned kind = depth > 0 ? pick(s, LEAF + 1) : LEAF;
    if (kind == LEAF) {
        text_puts(out, LEAVES[pick(s, sizeof LEAVES / sizeof *LEAVES)][other]);
        return;
    }
    text_buffer a = {0}, b = {0};
    grow(s, depth - 1, other, &a);
    if (kind < 5) grow(s, depth - 1, other, &b);
    const char *first = a.at ? a.at : "", *second = b.at ? b.at : "";
    const char *open = other ? "\\left(" : "(", *close = other ? "\\right)" : ")";
    if (kind == 0 || kind == 1) {
        const char *left = other ? second : first, *right = other ? first : second;
        text_printf(out, "%s%s%s%s%s%s%s", open, left, close,
                    kind == 0 ? "+"
                    : other   ? "\\cdot "
                              : "*",
                    open, right, close);
    } else if (kind == 2)
        text_printf(out, other ? "-(%2$s)+(%1$s)" : "(%1$s)-(%2$s)", first, second);
    else if (kind == 3)
        text_printf(out, other ? "{%s \\over %s}" : "\\frac{%s}{%s}", first, second);
    else if (kind == 4)
        text_printf(out, other ? "(%s)^{(%s)}" : "{(%s)}^{%s}", first, second);
    else if (kind == 5)
        text_printf(out, other ? "\\sqrt{{%s}}" : "\\sqrt{%s}", first);
    else if (kind == 6)
        text_printf(out, other ? "(%s)\\cdot(%s)" : "(%s)^2", first, first);
    else if (kind == 7)
        text_printf(out, other ? "-(%s)" : "-1*(%s)", first);
    else if (kind == 8 || kind == 9)
        fill(out, FORMS[pick(s, sizeof FORMS / sizeof *FORMS)][other], first, "");
    else {
        const char *name = NAMES[pick(s, sizeof NAMES / sizeof *NAMES)];
        text_printf(out, "%s%s%s%s", name, open, first, close);
    }
    text_free(&a);
    text_free(&b);
}

/* Answers around two expressions (@ and #), which z, t and w do not occur in. */
static const char *const ANSWERS[][2] = {
    {"@,#", "(#),\\;@"},
    {"\\{@,#\\}", "\\left\\{{#},(@)\\right\\}"},
    {"(@,#)", "\\left(@,{#}\\right)"},
    {"\\begin{cases}z=@\\\\w=#\\end{cases}", "w={#},z=(@)"},
    {"\\begin{cases}@&z>0\\\\#&z\\le 0\\end{cases}",
     "\\begin{cases}(#),&0\\geq z\\\\{@},&\\text{if }z>0\\end{cases}"},
    {"\\begin{cases}@&z=#\\\\0&\\text{otherwise}\\end{cases}",
     "\\begin{cases}0&\\text{otherwise}\\\\(@)&\\text{for }z=(#)\\end{cases}"},
    {"\\{z\\mid z>@\\}", "\\{t:t>(@)\\}"},
    {"\\{z\\in\\mathbb{R}\\mid z\\le @\\}", "(-\\infty,@]"},
    {"\\{z\\mid z^2+@=#\\}", "\\left\\{t\\mid{@}+t^2=(#)\\right\\}"},
    {"z\\ge @", "[@,\\infty)"},
};

/* An answer around two expressions; `other` writes the same one in another way. `changed`: another answer. */
static void grow_answer(source *s, bool other, bool changed, text_buffer *out) {
    text_buffer a = {0}, b = {0};
    unsigned which = pick(s, sizeof ANSWERS / sizeof *ANSWERS);
    text_puts(&a, changed ? "1+(" : "");
    grow(s, 3, other, &a);
    text_puts(&a, changed ? ")" : "");
    grow(s, 3, other, &b);
    fill(out, ANSWERS[which][other], a.at, b.at);
    text_free(&a);
    text_free(&b);
}

/* ---- Properties ---- */

static void broken(const char *rule, const text_buffer *a, const text_buffer *b) {
    fprintf(stderr, "%s\n%.*s\n%.*s\n", rule, (int)a->length, a->at, (int)b->length, b->at);
    abort();
}

static grade_verdict compare(const text_buffer *a, const text_buffer *b) {
    const char *reason = NULL;
    grade_verdict v = grade_compare(a->at, a->length, b->at, b->length, &reason);
    if ((v == GRADE_UNKNOWN) != (reason != NULL)) broken("a reason for unknown, and for nothing else", a, b);
    return v;
}

static grade_verdict both_ways(const text_buffer *a, const text_buffer *b) {
    grade_verdict v = compare(a, b);
    if (compare(b, a) != v) broken("not symmetric", a, b);
    if (compare(a, a) != GRADE_EQUAL) broken("not equal to itself", a, a);
    return v;
}

static void numbers(const text_buffer *a) {
    grade_number n;
    for (size_t from = 0; from < a->length && grade_stated_number(a->at, from, a->length, &n); from = n.end) {
        if (n.start < from || n.end <= n.start || n.end > a->length)
            broken("a number outside its text", a, a);
        mem_free(n.number);
    }
    if (grade_last_number(a->at, a->length, &n)) mem_free(n.number);
    grade_is_readable(a->at, a->length);
}

/* One input: the first byte says how the pair is made from the rest. Aborts where a rule does not hold. */
static inline void fuzz_pair(const uint8_t *bytes, size_t n) {
    source s = {bytes, n};
    text_buffer a = {0}, b = {0};
    text_puts(&a, "");
    text_puts(&b, "");
    unsigned how = pick(&s, 4);
    if (how == 0) {
        size_t cut = s.left ? pick(&s, 256) * s.left / 256 : 0;
        text_append(&a, (const char *)s.at, cut);
        text_append(&b, (const char *)s.at + cut, s.left - cut);
    } else if (how == 1) {
        fragments(&s, &a);
        fragments(&s, &b);
    } else {
        bool answer = how == 3;
        source same = s, changed = s;
        (answer ? grow_answer(&s, false, false, &a) : grow(&s, 4, false, &a));
        if (answer)
            grow_answer(&same, true, false, &b);
        else
            grow(&same, 4, true, &b);
        bool valued = grade_is_readable(a.at, a.length) && grade_is_readable(b.at, b.length);
        if (both_ways(&a, &b) == GRADE_DIFFERENT && valued) /* what divides by 0 has no value */
            broken("one answer in two forms is different", &a, &b);
        text_clear(&b);
        if (answer)
            grow_answer(&changed, false, true, &b);
        else
            text_printf(&b, "1+(%s)", a.at);
        if (both_ways(&a, &b) == GRADE_EQUAL) broken("an answer is equal to one with 1 added", &a, &b);
    }
    if (how < 2) both_ways(&a, &b);
    numbers(&a);
    text_free(&a);
    text_free(&b);
}

#endif
