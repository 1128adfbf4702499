#include "learn/objective.h"

#include <string.h>

extern const objective objective_ipo, objective_dpop;

static const objective *const objectives[] = {&objective_dpo, &objective_ipo, &objective_nll,
                                              &objective_dpop};
enum { OBJECTIVES = sizeof objectives / sizeof *objectives };

const objective *objective_at(int index) {
    return index >= 0 && index < OBJECTIVES ? objectives[index] : NULL;
}

const objective *objective_find(const char *name) {
    for (int i = 0; i < OBJECTIVES; i++)
        if (strcmp(objectives[i]->name, name) == 0) return objectives[i];
    return NULL;
}

void *objective_options(const objective *o) {
    char *options = MEM_ARRAY(char, o->options_size + 1);
    memset(options, 0, o->options_size + 1);
    options_defaults(o->options, options);
    return options;
}

void objective_options_free(const objective *o, void *options) {
    if (options) options_free(o->options, options);
    mem_free(options);
}
