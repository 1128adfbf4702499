/* The functions that answers use. */
#ifndef ESPALIER_GRADE_FUNCTIONS_H
#define ESPALIER_GRADE_FUNCTIONS_H

#include <stddef.h>

/* One row each: identifier, name, number of arguments. sqrt and exp are powers, log with a base is a
 * quotient; the parser makes them so. */
#define FUNCTIONS(row)                                                                                       \
    row(SIN, "sin", 1) row(COS, "cos", 1) row(TAN, "tan", 1) row(COT, "cot", 1) row(SEC, "sec", 1)           \
        row(CSC, "csc", 1) row(ARCSIN, "arcsin", 1) row(ARCCOS, "arccos", 1) row(ARCTAN, "arctan", 1)        \
            row(ARCCOT, "arccot", 1) row(ARCSEC, "arcsec", 1) row(ARCCSC, "arccsc", 1) row(SINH, "sinh", 1)  \
                row(COSH, "cosh", 1) row(TANH, "tanh", 1) row(COTH, "coth", 1) row(ARSINH, "arsinh", 1)      \
                    row(ARCOSH, "arcosh", 1) row(ARTANH, "artanh", 1) row(LN, "ln", 1) row(LOG, "log", 1)    \
                        row(ABS, "abs", 1) row(FLOOR, "floor", 1) row(CEIL, "ceil", 1)                       \
                            row(FACTORIAL, "factorial", 1) row(BINOM, "binom", 2) row(MIN, "min", -1)        \
                                row(MAX, "max", -1) row(GCD, "gcd", -1) row(LCM, "lcm", -1) row(RE, "Re", 1) \
                                    row(IM, "Im", 1) row(SQRT, "sqrt", 1) row(CBRT, "cbrt", 1)               \
                                        row(EXP, "exp", 1)

#define FUNCTION_ID(id, name, arguments) FUNCTION_##id,
typedef enum { FUNCTIONS(FUNCTION_ID) FUNCTION_COUNT } function_id;
#undef FUNCTION_ID

const char *function_name(function_id id);
int function_arguments(function_id id); /* -1: two or more */
/* The function that text[0, length) names, also by another of its names (asin, lg, tg); -1 for none. */
int function_find(const char *text, size_t length);

#endif
