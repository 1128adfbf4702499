/* When a request is worth another try. */
#ifndef ESPALIER_GRADER_RETRY_H
#define ESPALIER_GRADER_RETRY_H

#include <stdbool.h>

/* Whether a server that answered with this status may answer otherwise a moment later: it was busy (429), too
 * slow (408), or had a fault of its own (500 and above, but for 501, which says that it never will). */
bool retry_may_help(long http_status);
/* How long to wait after that number of tries, in seconds: half a second, twice as long each time, at
 * most 30. */
double retry_seconds(int tries);

#endif
