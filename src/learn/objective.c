#include "learn/objective.h"

extern const objective objective_ipo, objective_dpop;

static const objective *const objectives[] = {&objective_dpo, &objective_ipo, &objective_nll,
                                              &objective_dpop};
enum { OBJECTIVES = sizeof objectives / sizeof *objectives };

const objective *objective_at(int value) {
    return value >= 0 && value < OBJECTIVES ? objectives[value] : NULL;
}

const char *objective_name(int value) {
    const objective *o = objective_at(value);
    return o ? o->name : NULL;
}
