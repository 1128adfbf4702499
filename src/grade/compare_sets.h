/* Sets of real numbers that are made of intervals. */
#ifndef ESPALIER_GRADE_COMPARE_SETS_H
#define ESPALIER_GRADE_COMPARE_SETS_H

#include "grade/compare.h"

/* Compares two answers as sets of real numbers, where at least one is a union, the line or an inequality of
 * one name, the other such a set or an interval too, and the ends are rational or infinite: [0, 1) and [1, 2]
 * together are [0, 2]. GRADE_UNKNOWN where they are something else. */
grade_verdict compare_sets(comparison *c, const expr *a, const expr *b);

/* {x | ...} of real numbers. */
bool is_real_rule(const expr *e);
/* "1 < x <= 6" as (1, 6], whatever its ends are; NULL for what is not such an inequality. */
const expr *interval_of(expr_pool *pool, const expr *relation);

#endif
