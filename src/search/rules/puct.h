/* The options of the rule `puct`, for callers that set them without a recipe. */
#ifndef ESPALIER_SEARCH_RULES_PUCT_H
#define ESPALIER_SEARCH_RULES_PUCT_H

#include "search/rule.h"

/* docs/method.md 2.7 */
typedef enum { PUCT_COMMIT_VISITS, PUCT_COMMIT_VISITS_TIMES_SPREAD, PUCT_COMMIT_Q } puct_commit;

typedef struct {
    double c_puct;             /* docs/method.md 2.1 */
    puct_commit commit;        /* 2.7 */
    bool unvisited_counts_one; /* 2.8 */
    bool root_counts_twice;    /* 2.8 */
} puct_options;

#endif
