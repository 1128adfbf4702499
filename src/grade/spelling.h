/* One spelling for one value. */
#ifndef ESPALIER_GRADE_SPELLING_H
#define ESPALIER_GRADE_SPELLING_H

#include <flint/fmpq.h>

/* "-18", "0.5" where at most 32 decimals write it, else "1/3". Freed by mem_free. */
char *grade_number_text(const fmpq_t value);

#endif
