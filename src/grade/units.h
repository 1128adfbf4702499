/* Units that answers have. A unit is a multiple of a base, perhaps per another: mph is 1609.344/3600 m/s.
 * Lengths are in m, times in s, and so on; bases are compared by their names. */
#ifndef ESPALIER_GRADE_UNITS_H
#define ESPALIER_GRADE_UNITS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *base, *per; /* per is NULL for most */
    long top, bottom;       /* the factor */
    const char *names;      /* separated by spaces; compared with case */
} unit;

/* The row of a name; -1 for none. A name of one letter is also a name of mathematics: the caller decides. */
int unit_find(const char *name, size_t length);
const unit *unit_at(int row);
bool unit_is_money(int row);
/* The row of degrees, as an angle. */
int unit_degree(void);

#endif
