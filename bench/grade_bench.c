/* Speed of grading: pairs of an answer and a gold answer per second, on one core, one JSON line each. A pair
 * is read and compared again each time, as in a run: the answer is found in its text, gold is read, and the
 * two are compared. number    ordinary numbers, as GSM8K has them (task gsm8k) math      the same numbers in
 * boxes (task math) symbolic  polynomials, fractions, roots, intervals, matrices, angles (task math)
 *
 * Usage: grade_bench [seconds of each]
 * Build: cc -O2 -Isrc -Iinclude bench/grade_bench.c -o grade_bench, with the libraries esp_task, esp_grade,
 * esp_formats and esp_base, -lflint-arb -lflint -lgmp -ljansson -lz -lm. */
#include "task/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    const char *answer, *gold;
} pair;

static const pair numbers[] = {
    {"8 * 7 = 56, so she needs 56 tiles.\n#### 56", "56"},
    {"He pays 3 * $4.50 = $13.50.\n#### $13.50", "13.5"},
    {"#### 1,250", "1250"},
    {"Half of 36 is 18.\nThe answer is 18 apples.", "18"},
    {"12 + 30 = 42\n#### 42", "40"},
    {"#### 35%", "35"},
    {"2 of 3 are left.\n#### 2/3", "2/3"},
    {"#### -7", "7"},
};
static const pair boxed[] = {
    {"So $x = \\boxed{56}$.", "56"},    {"The sum is $\\boxed{\\frac{14}{3}}$.", "\\frac{14}{3}"},
    {"\\boxed{10,\\!080}", "10080"},    {"Thus the answer is $\\boxed{-50}$.", "50"},
    {"\\boxed{0.15}", "\\frac{3}{20}"}, {"\\boxed{120^\\circ}", "120"},
};
static const pair symbolic[] = {
    {"\\boxed{x^2 - 3x + 5}", "5-3x+x^2"},
    {"\\boxed{(a+5)(b+2)}", "ab+2a+5b+10"},
    {"\\boxed{3\\sqrt{13}}", "\\sqrt{117}"},
    {"\\boxed{\\frac{x+1}{x^2+3x+2}}", "\\frac{1}{x+2}"},
    {"\\boxed{(-\\infty, 2) \\cup (3, \\infty)}", "(3,\\infty)\\cup(-\\infty,2)"},
    {"\\boxed{\\begin{pmatrix} 1/5 \\\\ -18/5 \\end{pmatrix}}",
     "\\begin{pmatrix} 0.2 \\\\ -3.6 \\end{pmatrix}"},
    {"\\boxed{1 + \\sqrt{19}, 1 - \\sqrt{19}}", "1 \\pm \\sqrt{19}"},
    {"\\boxed{y = 2x + 3}", "2x - y + 3 = 0"},
    {"\\boxed{\\left( 3, \\frac{\\pi}{2} \\right)}", "(3, \\pi/2)"},
    {"\\boxed{\\sin 2x}", "2 \\sin x \\cos x"},
    {"\\boxed{x^5 - x^4 + x^3 - x^2 + x - 1}", "x^5 + x^4 + x^3 + x^2 + x + 1"},
    {"\\boxed{6 - 5i}", "6 + 5i"},
};

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void measure(const char *name, const char *task_name, const pair *pairs, int count, double wanted) {
    esp_error error;
    task *t;
    if (task_open(&t, task_name, &error) != ESP_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    double best = 0;
    long graded = 0, unknown = 0;
    for (double began = seconds(); graded == 0 || seconds() - began < wanted;) {
        double start = seconds();
        long n = 0;
        for (int lap = 0; lap < 50; lap++) {
            for (int i = 0; i < count; i++, n++) {
                problem p = {.gold = pairs[i].gold};
                task_grade_result g = task_grade(t, &p, pairs[i].answer, strlen(pairs[i].answer));
                unknown += g.verdict == GRADE_UNKNOWN;
                task_grade_free(&g);
            }
        }
        double rate = (double)n / (seconds() - start);
        if (rate > best) best = rate;
        graded += n;
    }
    printf("{\"bench\": \"grade\", \"pairs\": \"%s\", \"pairs_per_s\": %.0f, \"unknown\": %.3f}\n", name,
           best, (double)unknown / (double)graded);
}

#define MEASURE(name, task, pairs) measure(name, task, pairs, sizeof pairs / sizeof *pairs, wanted)

int main(int argc, char **argv) {
    double wanted = argc > 1 ? atof(argv[1]) : 1;
    MEASURE("number", "gsm8k", numbers);
    MEASURE("math", "math", boxed);
    MEASURE("symbolic", "math", symbolic);
    return 0;
}
