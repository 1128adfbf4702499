#include "search/evidence.h"

evidence evidence_of_sign(int sign) {
    return (evidence){.right = sign > 0, .wrong = sign < 0};
}

void evidence_gather(const int32_t *parents, int32_t count, evidence *of) {
    for (int32_t i = count - 1; i >= 0; i--) { /* parents come before their children */
        if (parents[i] < 0) continue;
        of[parents[i]].right += of[i].right;
        of[parents[i]].wrong += of[i].wrong;
    }
}

void evidence_values(const int32_t *parents, const evidence *of, int32_t count, double mean, double *out) {
    enum { KAPPA = 1 }; /* the weight of the parent's value, in chains */
    for (int32_t i = 0; i < count; i++) {
        double above = parents[i] < 0 ? mean : out[parents[i]];
        out[i] = (of[i].right + KAPPA * above) / (of[i].right + of[i].wrong + KAPPA);
    }
}
