/* What grading an answer may say. */
#ifndef ESPALIER_GRADE_VERDICT_H
#define ESPALIER_GRADE_VERDICT_H

typedef enum {
    GRADE_DIFFERENT, /* another answer than the gold one */
    GRADE_EQUAL,     /* the same answer */
    GRADE_UNKNOWN,   /* cannot be decided: what follows from that, the caller says */
} grade_verdict;

#endif
