/* Two answers compared: every kind of thing that is read, what is proved of it, and limits. */
#include "support.h"

#include "base/memory.h"
#include "grade/grade.h"

#include <string.h>
#include <time.h>

#define EQ  GRADE_EQUAL
#define DIF GRADE_DIFFERENT
#define UNK GRADE_UNKNOWN

typedef struct {
    const char *a, *b;
    grade_verdict verdict;
} row;

static const char *const verdicts[] = {[DIF] = "different", [EQ] = "equal", [UNK] = "unknown"};

static void check(const row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const row *r = &rows[i];
        size_t m = strlen(r->a), n = strlen(r->b);
        const char *reason = NULL;
        grade_verdict v = grade_compare(r->a, m, r->b, n, &reason);
        if (v != r->verdict)
            fail_msg("%s and %s: %s, want %s", r->a, r->b, verdicts[v], verdicts[r->verdict]);
        if (v == UNK) assert_non_null(reason);
        assert_int_equal(grade_compare(r->b, n, r->a, m, NULL), v);
        assert_int_equal(grade_compare(r->a, m, r->a, m, NULL), EQ);
    }
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof *(rows))

static void test_numbers(void **state) {
    (void)state;
    static const row rows[] = {
        {"42", "42.000", EQ},
        {"1,234,567", "1234567", EQ},
        {"1.234.567,5", "1234567.5", EQ},
        {"12,34,567", "1234567", EQ},
        {"1'234'567.25", "1234567.25", EQ},
        {"1{,}234", "1234", EQ},
        {"1,\\! 234", "1234", EQ},
        {"1234", "1,234,", EQ},
        {"1,234", "1, 234", EQ}, /* the commas may separate answers */
        {"1,050", "1, 50", DIF},
        {"0.1\\overline{6}", "1/6", EQ},
        {"\xd9\xa1\xd9\xa8", "18", EQ},         /* Arabic digits */
        {"\xe0\xa5\xa7\xe0\xa5\xae", "18", EQ}, /* Devanagari */
        {"\xef\xbc\x91\xef\xbc\x98", "18", EQ}, /* full width */
        {"6.02e23", "602000000000000000000000", EQ},
        {"6.02 \\cdot 10^{-3}", "0.00602", EQ},
        {"seventeen", "17", EQ},
        {"two hundred and six", "206", EQ},
        {"three million", "3000000", EQ},
        {"7 \\text{ thousand}", "7000", EQ},
        {"5\\frac{3}{7}", "38/7", EQ},
        {"5 3/7", "38/7", EQ},
        {"5 and 3/7", "38/7", DIF}, /* in mathematics a list of two */
        {"0.333", "1/3", DIF},
        {"123456789012345678901", "123456789012345678902", DIF},
        {"1e3", "1e4", DIF},
        {"\\frac{1}{0}", "1", DIF},
        {"\\frac{1}{0}", "\\frac{2}{0}", UNK},
    };
    CHECK(rows);
}

static void test_symbols(void **state) {
    (void)state;
    static const row rows[] = {
        {"(a+b)^3", "a^3+3a^2b+3ab^2+b^3", EQ},
        {"\\frac{x^3-1}{x-1}", "x^2+x+1", EQ},
        {"\\frac{1}{\\sqrt{5}-\\sqrt{2}}", "\\frac{\\sqrt{5}+\\sqrt{2}}{3}", EQ},
        {"\\sqrt{6}\\sqrt{10}", "2\\sqrt{15}", EQ},
        {"\\sqrt{2}\\cdot\\sqrt{3}", "\\sqrt{5}", DIF},
        {"(2+i)(2-i)", "5", EQ},
        {"\\frac{i}{\\sqrt{-4}}", "\\frac{1}{2}", EQ},
        {"\\sqrt{9+4\\sqrt{5}}", "2+\\sqrt{5}", EQ},
        {"\\sqrt[3]{-27}", "-3", EQ},
        {"\\sin 3x", "3\\sin x-4\\sin^3 x", EQ},
        {"\\sin 3x", "3\\sin x-3\\sin^3 x", DIF},
        {"\\ln 6", "\\ln 2+\\ln 3", EQ},
        {"\\ln(x^2)", "2\\ln x", EQ}, /* where both have a value */
        {"\\sqrt{x^2}", "x", DIF},
        {"\\sqrt{x^2}", "|x|", EQ},
        {"\\sqrt{x^2 y}", "x\\sqrt{y}", DIF},
        {"\\log 1000", "3", EQ},
        {"\\log 5", "\\ln 5", EQ},
        {"\\log_8 4", "\\frac{2}{3}", EQ},
        {"\\cos 72^\\circ", "\\frac{\\sqrt5-1}{4}", EQ},
        {"60^\\circ", "\\frac{\\pi}{3}", EQ},
        {"(-1)^n", "(-1)^{n+2}", EQ},
        {"(-1)^n", "(-1)^{n+1}", DIF},
        {"n!", "n(n-1)!", EQ},
        {"\\binom{n}{2}", "\\frac{n(n-1)}{2}", EQ},
        {"\\pi", "3.14159265358979323846264338327950288", DIF},
        {"e^{\\pi}", "\\pi^e", DIF},
        {"3^{100}", "3^{100}+1", DIF},
        {"2\\infty", "\\infty", EQ},
        {"\\infty-\\infty", "0", UNK},
    };
    CHECK(rows);
}

/* A negative number has a real root where the exponent is rational with an odd denominator, in whatever way
 * it is written; else the principal root is meant. */
static void test_powers_of_negative_numbers(void **state) {
    (void)state;
    static const row rows[] = {
        {"(1-\\pi)^{1/3}", "-\\sqrt[3]{\\pi-1}", EQ},
        {"(1-\\pi)^{\\sqrt2\\cdot\\sqrt2/6}", "\\sqrt[3]{1-\\pi}", EQ},
        {"(1-\\pi)^{(1+\\sqrt2)(\\sqrt2-1)/5}", "-(\\pi-1)^{1/5}", EQ},
        {"(1-\\pi)^{\\pi/(3\\pi)}", "\\sqrt[3]{1-\\pi}", EQ},
        {"(1-\\pi)^{\\sqrt2\\cdot\\sqrt8}", "(\\pi-1)^4", EQ},
        {"(1-\\pi)^{\\sqrt2\\cdot\\sqrt2/4}", "i\\sqrt{\\pi-1}", EQ},
        {"(1-\\pi)^{\\sqrt2}", "(1-\\pi)^{2/\\sqrt2}", EQ},
        {"(1-\\pi)^{\\sqrt2}", "-(\\pi-1)^{\\sqrt2}", DIF},
        {"(1-\\pi)^{2\\sin(\\pi/6)/3}", "\\sqrt[3]{1-\\pi}", UNK},
        {"\\sqrt[3]{e^{i\\pi}}", "-1", UNK}, /* -1, but only in balls */
        {"\\sqrt[6]{-8}^2", "\\sqrt[6]{-8}\\cdot\\sqrt[6]{-8}", EQ},
        {"\\sqrt[6]{1-\\pi}^2", "\\sqrt[6]{1-\\pi}\\cdot\\sqrt[6]{1-\\pi}", EQ},
        {"\\sqrt[6]{-8}^2", "-2", DIF},
        {"\\sqrt[6]{-8}^6", "-8", EQ},
        {"\\sqrt[3]{1-\\pi}^2", "\\sqrt[3]{(\\pi-1)^2}", EQ},
        {"\\sqrt[6]{x}^2", "\\sqrt[3]{x}", EQ}, /* where both have a value */
        {"(x^a)^2", "x^{2a}", EQ},
        {"1+\\sqrt[4]{1-\\pi}+x", "x+\\sqrt[4]{1-\\pi}+1", EQ},
    };
    CHECK(rows);
}

static void test_collections(void **state) {
    (void)state;
    static const row rows[] = {
        {"\\{3,1,2\\}", "1, 2, 3", EQ},
        {"(1,2,3)", "(3,2,1)", DIF},
        {"\\{1,1,2\\}", "\\{2,1\\}", EQ},
        {"1,1,2", "1,2", DIF},
        {"\\frac{3\\pm\\sqrt{17}}{4}", "\\frac{3-\\sqrt{17}}{4}, \\frac{3+\\sqrt{17}}{4}", EQ},
        {"x = \\pm 3", "-3, 3", EQ},
        {"\\pm 3", "3", DIF},
        {"[0,1]\\cup(1,\\infty)", "[0,\\infty)", EQ},
        {"(-\\infty,\\sqrt2)", "x < \\sqrt{2}", EQ},
        {"-\\sqrt3 \\le t < \\sqrt3", "[-\\sqrt3,\\sqrt3)", EQ},
        {"x \\neq 2", "(-\\infty,2)\\cup(2,\\infty)", EQ},
        {"3 > y \\ge 1", "1 \\leq y < 3", EQ},
        {"x < 3", "y < 3", DIF},
        {"4x < 12", "x < 3", EQ},
        {"-4x < -12", "x < 3", DIF},
        {"\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "(1,2)", EQ},
        {"\\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\end{bmatrix}",
         "\\begin{pmatrix} 1 & 2 \\\\ 3 & 5 \\end{pmatrix}", DIF},
        {"x = 4, y = 5", "(4,5)", EQ},
        {"y = 4, x = 5", "x = 5, y = 4", EQ},
        {"xy = 1", "y = \\frac{1}{x}", EQ},
        {"3x + 6y = 9", "x + 2y = 3", EQ},
        {"3x + 6y = 9", "x + 2y = 4", DIF},
        {"2 + 3 = 5", "5", EQ},
        {"7/2 \\approx 3.5", "3.5", EQ},
    };
    CHECK(rows);
}

static void test_words(void **state) {
    (void)state;
    static const row rows[] = {
        {"\\text{(B)}", "b", EQ},
        {"\\text{no}", "No.", EQ},
        {"\\text{north east}", "North-East", EQ},
        {"\\text{north}", "\\text{south}", DIF},
        {"25\\text{ m}^2", "25\\text{ square meters}", EQ},
        {"25\\text{ m}^2", "25", EQ},
        {"25\\text{ m}^2", "25\\text{ cm}^2", DIF},
        {"2\\text{ m}", "200\\text{ cm}", EQ},
        {"90\\text{ km/h}", "25 \\text{ m/s}", EQ},
        {"3\\text{ boxes}", "3", EQ},
        {"\\$7.50", "7.5\\text{ dollars}", EQ},
        {"\\$7.50", "750\\text{ cents}", EQ},
        {"\\$7", "\xe2\x82\xac 7", DIF},
        {"40\\%", "0.4", EQ},
        {"40\\%", "40", EQ},
        {"40\\%", "4", DIF},
        {"0.4", "40", DIF},
        {"321_4", "321_{4}", EQ},
        {"321_4", "321_5", DIF},
        {"6:05 \\text{ PM}", "18:05", EQ},
        {"6:05", "6:50", DIF},
        {"2:3", "3:2", DIF},
        {"18 (in 2 days)", "18", EQ},
        {"hello + world", "\\frac{", UNK},
        {"\\int x", "\\int y", UNK},
    };
    CHECK(rows);
}

/* A limit is met in little time, whatever is beyond it; nothing but the same text is equal to it. */
static void test_limits(void **state) {
    (void)state;
    static const char *const texts[] = {
        "10^{10^{10}}",
        "9^{9^{9^9}}",
        "(x+1)^{100000}",
        "(x+y+z+w)^{500}",
        "1e999999999",
        "(99999!)!",
        "\\binom{10^9}{10^8}",
        "x^{10^{20}}",
        "((((x+1)^{99}+1)^{99}+1)^{99}+1)^{99}",
        "2^{2^{2^{2^{2^2}}}}",
        "\\sqrt[99999]{x+1}^{99999}",
        "1/(1/(1/10^{10^{10}}))",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        clock_t begin = clock();
        assert_int_not_equal(grade_compare(texts[i], strlen(texts[i]), "17", 2, NULL), EQ);
        double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        if (seconds > 2) fail_msg("%s: %.2f s", texts[i], seconds);
        assert_int_equal(grade_compare(texts[i], strlen(texts[i]), texts[i], strlen(texts[i]), NULL), EQ);
    }
    static const char *const patterns[] = {"9",  "1,",     "{",       "(",  "\\frac{", "-", "x+",
                                           "2^", "\\sqrt", "\\text{", "1/", "x",       "!"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        for (size_t length = 1000; length <= 1000000; length *= 10) {
            text_buffer b = {0};
            while (b.length < length) text_puts(&b, patterns[i]);
            text_puts(&b, "1");
            clock_t begin = clock();
            assert_int_not_equal(grade_compare(b.at, b.length, "17", 2, NULL), EQ);
            double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
            if (seconds > 2) fail_msg("%zu bytes of %s: %.2f s", length, patterns[i], seconds);
            text_free(&b);
        }
}

/* Answers whose parts are each within the limits, and are too many together. A few of them are judged. */
static void test_limits_together(void **state) {
    (void)state;
    static const char *const parts[] = {"10000!",
                                        "99999^{9999}",
                                        "99999^{9999}-99999^{9999}",
                                        "\\binom{10000}{5000}",
                                        "\\sqrt{18446743979220271189}",
                                        "\\sqrt[7]{10000!}",
                                        "(x+1)!"};
    static const char *const signs[] = {"+", "*", ",", " "};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (size_t k = 0; k < sizeof signs / sizeof *signs; k++) {
            text_buffer b = {0};
            grade_number n;
            text_puts(&b, parts[i]);
            while (b.length + strlen(parts[i]) < 16000) text_printf(&b, "%s%s", signs[k], parts[i]);
            clock_t begin = clock();
            assert_int_not_equal(grade_compare(b.at, b.length, "17", 2, NULL), EQ);
            if (grade_stated_number(b.at, 0, b.length, &n)) mem_free(n.number);
            if (grade_last_number(b.at, b.length, &n)) mem_free(n.number);
            double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
            if (seconds > 2) fail_msg("%s with %s: %.2f s", parts[i], signs[k], seconds);
            text_free(&b);
        }
    static const row few[] = {
        {"10000!/9999!", "10000", EQ},
        {"99999^{9999}-99999^{9999}", "0", EQ},
        {"\\sqrt{18446743979220271189}+\\sqrt{18446743979220271189}", "2\\sqrt{18446743979220271189}", EQ},
        {"(x+1)!+(x+2)!+(x+3)!", "(x+3)!+(x+1)!+(x+2)!", EQ},
        {"(x+1)!+(x+2)!+(x+3)!", "(x+3)!+(x+1)!+(x+4)!", DIF},
    };
    CHECK(few);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_symbols),
                                       cmocka_unit_test(test_powers_of_negative_numbers),
                                       cmocka_unit_test(test_collections),
                                       cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_limits_together)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
