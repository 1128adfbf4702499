#include "grade/spelling.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_DECIMALS = 32 };

/* Decimals that write a fraction over `bottom` exactly, or -1 when more than MOST_DECIMALS are needed. */
static long decimals_needed(const fmpz_t bottom) {
    fmpz_t power;
    fmpz_init_set_ui(power, 1);
    long n = 0;
    while (n <= MOST_DECIMALS && !fmpz_divisible(power, bottom)) {
        fmpz_mul_ui(power, power, 10);
        n++;
    }
    fmpz_clear(power);
    return n <= MOST_DECIMALS ? n : -1;
}

static char *decimal_text(const fmpq_t value, long decimals) {
    fmpz_t scaled, ten;
    fmpz_init(ten);
    fmpz_init(scaled);
    fmpz_set_ui(ten, 10);
    fmpz_pow_ui(ten, ten, (ulong)decimals);
    fmpz_mul(scaled, fmpq_numref(value), ten);
    fmpz_divexact(scaled, scaled, fmpq_denref(value));
    bool negative = fmpz_sgn(scaled) < 0;
    fmpz_abs(scaled, scaled);
    char *digits = fmpz_get_str(NULL, 10, scaled);
    long n = (long)strlen(digits);
    text_buffer b = {0};
    if (negative) text_puts(&b, "-");
    if (n > decimals)
        text_append(&b, digits, (size_t)(n - decimals));
    else
        text_puts(&b, "0");
    if (decimals > 0) text_puts(&b, ".");
    for (long i = n; i < decimals; i++) text_puts(&b, "0");
    long shown = n < decimals ? n : decimals;
    text_append(&b, digits + n - shown, (size_t)shown);
    flint_free(digits);
    fmpz_clear(ten);
    fmpz_clear(scaled);
    return b.at;
}

char *grade_number_text(const fmpq_t value) {
    long decimals = decimals_needed(fmpq_denref(value));
    if (decimals >= 0) return decimal_text(value, decimals);
    char *made = fmpq_get_str(NULL, 10, value);
    char *text = mem_strdup(made);
    flint_free(made);
    return text;
}
