#include "learn/objective.h"

/* clang-format off */
/* The table: objective_NAME, one per file in learn/objectives/. */
#define OBJECTIVES(row) \
    row(dpo) \
    row(ipo) \
    row(nll) \
    row(dpop) \
    row(simpo) \
    row(orpo) \
    row(grpo) \
    row(rloo) \
    row(tree_pg) \
    row(listwise)

#define DECLARE(name) extern const objective objective_##name;
#define POINT(name)   &objective_##name,

OBJECTIVES(DECLARE)
static const objective *const objectives[] = {OBJECTIVES(POINT)};
/* clang-format on */

const objective *objective_at(int value) {
    int count = (int)(sizeof objectives / sizeof *objectives);
    return value >= 0 && value < count ? objectives[value] : NULL;
}

const char *objective_name(int value) {
    const objective *o = objective_at(value);
    return o ? o->name : NULL;
}

const char *objective_about(int value) {
    const objective *o = objective_at(value);
    return o ? o->about : NULL;
}
