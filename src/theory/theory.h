/* The theory of learning preferences from trees, in numbers: six small models without a language model, each
 * with what mathematics predicts and what comes out when the program's own parts are used: the rule `puct`
 * (search/rule.h), both kinds of doubt (search/harvest.h), the calibration error (eval/calibration.h) and the
 * loss `dpo` (learn/objective.h). docs/theory.md derives the predictions. Everything is in double precision,
 * takes seconds, and depends on nothing but the seed. */
#ifndef ESPALIER_THEORY_THEORY_H
#define ESPALIER_THEORY_THEORY_H

#include "base/memory.h"
#include "base/random.h"

typedef enum { THEORY_EQUAL, THEORY_AT_LEAST, THEORY_AT_MOST } theory_relation;

/* One number, predicted and computed. */
typedef struct {
    const char *quantity, *at; /* "P(not ruled out)", "e = 0.01, M = 20" */
    double prediction, computed;
    theory_relation relation; /* of the computed value to the prediction */
    double allowed;           /* how far it may be from it, on the side that matters: rounding, the end of a
                                 descent, or the noise of a simulation */
} theory_value;

/* |computed - prediction| or, of a bound, how far it is violated; NAN if a number is not finite. */
double theory_excess(const theory_value *v);
bool theory_holds(const theory_value *v);

typedef struct {
    double x, y;
} theory_point;

typedef struct {
    const char *name;
    bool plain; /* without marks: a reference line, or many points */
    MEM_LIST(theory_point) points;
} theory_line;

typedef struct {
    const char *title, *caption, *x, *y; /* x, y: the labels of the axes */
    bool log_x;
    MEM_LIST(theory_line) lines;
} theory_figure;

typedef struct {
    const char *name, *title, *about; /* "T1"; a few words; two or three sentences */
    MEM_LIST(theory_value) values;
    MEM_LIST(theory_figure) figures;
    arena *memory; /* of its texts */
} theory_table;

/* "T1", ...; NULL past the last. */
const char *theory_name(int index);
/* Computes a table; freed by theory_free. seed: of the simulations (T1, T3). */
void theory_compute(int index, uint64_t seed, theory_table *out);
void theory_free(theory_table *table);

#endif
