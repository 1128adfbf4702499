/* T3, from visits to confidence: how often the order of a pair is wrong, and what alpha says (docs/theory.md
 * 3). */
#include "search/harvest.h"
#include "theory/topic.h"
#include "theory/two_steps.h"

#include <math.h>

enum { PAIRS = 20000 };

static void add_simulated(theory_table *t, int visits, const two_steps_quality *exact,
                          const two_steps_simulation *simulated) {
    const two_steps_quality *mean = &simulated->mean, *noise = &simulated->noise;
    theory_value values[] = {
        {.quantity = "order wrong",
         .prediction = exact->wrong,
         .computed = mean->wrong,
         .allowed = noise->wrong},
#define OF(way, name, field)                                                                                 \
    {.quantity = name,                                                                                       \
     .prediction = exact->of[way].field,                                                                     \
     .computed = mean->of[way].field,                                                                        \
     .allowed = noise->of[way].field}
        OF(BY_VISITS, "mean alpha, visits", alpha),
        OF(BY_EVIDENCE, "mean alpha, evidence", alpha),
        OF(BY_VISITS, "calibration error, visits", ece),
        OF(BY_EVIDENCE, "calibration error, evidence", ece),
        OF(BY_VISITS, "log-loss, visits", log_loss),
        OF(BY_EVIDENCE, "log-loss, evidence", log_loss),
#undef OF
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (values[i].allowed < ALLOWED_ROUNDING) values[i].allowed = ALLOWED_ROUNDING; /* it is a constant */
        theory_add(t, values[i], "K = %d", visits);
    }
}

static void add_exact_doubts(theory_table *t) {
    static const struct {
        int64_t right_w, wrong_w, right_l, wrong_l;
        double doubt;
    } cases[] = {
        {1, 0, 0, 1, 1.0 / 6},    {2, 0, 0, 2, 1.0 / 20}, {1, 0, 0, 0, 1.0 / 3},  {1, 1, 0, 2, 1.0 / 5},
        {3, 1, 1, 3, 13.0 / 126}, {2, 0, 1, 1, 1.0 / 5},  {1, 0, 0, 3, 1.0 / 15}, {0, 0, 0, 0, 1.0 / 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        theory_add(t,
                   (theory_value){.quantity = "doubt by evidence",
                                  .prediction = cases[i].doubt,
                                  .computed = harvest_order_doubt(cases[i].right_w, cases[i].wrong_w,
                                                                  cases[i].right_l, cases[i].wrong_l),
                                  .allowed = ALLOWED_ROUNDING},
                   "(%d, %d; %d, %d)", (int)cases[i].right_w, (int)cases[i].wrong_w, (int)cases[i].right_l,
                   (int)cases[i].wrong_l);
}

/* Bins with fewer pairs are left out of the figure. */
enum { FEWEST = 100 };

static void draw_bins(theory_figure *figure, const char *name, const judge_calibration *c) {
    theory_line *line = theory_add_line(figure, name);
    for (int i = 0; i < JUDGE_BINS; i++)
        if (c->bins[i].nodes >= FEWEST) theory_add_point(line, c->bins[i].confidence, c->bins[i].share);
}

static void compute(theory_table *t, rng_key_t key) {
    static const struct {
        int visits;
        const char *by_visits, *by_evidence; /* names of lines; NULL: not drawn */
    } cases[] = {{2, NULL, NULL},
                 {5, "visits, K = 5", NULL},
                 {20, "visits, K = 20", NULL},
                 {64, "visits, K = 64", "evidence, K = 64"}};
    theory_figure *figure = theory_add_figure(
        t, (theory_figure){.title = "Confidence: alpha against how often the order is wrong",
                           .caption = "Alpha from visits is too cautious, from 5 to 64 visits ever more so. "
                                      "From evidence it says what happens.",
                           .x = "mean alpha of ten bins",
                           .y = "share of pairs in the wrong order"});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int visits = cases[i].visits;
        two_steps_quality exact = two_steps_exact(visits);
        two_steps_simulation simulated = two_steps_simulate(visits, PAIRS, rng_mix(key, (uint64_t)visits));
        add_simulated(t, visits, &exact, &simulated);
        if (cases[i].by_visits) draw_bins(figure, cases[i].by_visits, &simulated.bins[BY_VISITS]);
        if (cases[i].by_evidence) draw_bins(figure, cases[i].by_evidence, &simulated.bins[BY_EVIDENCE]);
    }
    theory_line *line = theory_add_line(figure, "calibrated");
    line->plain = true;
    theory_add_point(line, 0, 0);
    theory_add_point(line, 0.5, 0.5);
    add_exact_doubts(t);
}

const theory_topic theory_confidence = {
    .title = "From visits to confidence",
    .about =
        "Two steps that lead to a correct answer with unknown chances, uniform in 0..1; K simulations by "
        "the rule puct, prior 0.9 each. 20,000 pairs per K (both visited, values that differ), against "
        "the exact sum over all courses. Alpha is at most smoothing_cap, 0.5.",
    .compute = compute,
};
