/* The options of what is read off a tree, and the posterior by which an order is doubted. */
#include "search/harvest.h"

#include <math.h>
#include <stddef.h>

#define FIELD(c_type, name)                                                                                  \
    .key = #name, .offset = offsetof(harvest_options, name) +                                                \
                            0 * sizeof(_Generic(((harvest_options *)0)->name, c_type : 1))

/* clang-format off */
static const option options[] = {
    {.type = OPTION_ENUM, FIELD(harvest_from, pairs_from), .choices = "visited|all", .flag = "--pairs-from", .initial = "visited", .help = "steps that a preference pair may compare: only those that the search visited, or all that were sampled"},
    {.type = OPTION_ENUM, FIELD(harvest_at, pairs_at), .choices = "commitments|all", .flag = "--pairs-at", .initial = "all", .help = "where preference pairs are read: one at each state that the search committed from, or at every visited state one for each step that loses against another"},
    {.type = OPTION_ENUM, FIELD(harvest_smoothing, smoothing), .choices = "visits|evidence", .flag = "--smoothing", .initial = "evidence", .help = "how likely a pair's order is taken to be wrong (label smoothing): from the visits of its two steps, or from the correct and incorrect solutions found after each of them"},
    {.type = OPTION_ENUM, FIELD(harvest_loser, loser), .choices = "smallest_q|random_sibling", .flag = "--loser", .initial = "smallest_q", .help = "rejected step of a pair: the one of least value, or a random one other than the best"},
    {.type = OPTION_FLOAT, FIELD(double, smoothing_cap), .flag = "--smoothing-cap", .initial = "0.5", .low = 0, .high = 1, .help = "largest label smoothing of a pair"},
    {.type = OPTION_FLOAT, FIELD(double, min_q_gap), .flag = "--min-q-gap", .initial = "0.3", .low = 0, .high = 100, .help = "a pair is read only where the values of its two steps differ by more than this"},
    {.type = OPTION_INT, FIELD(int64_t, max_pairs), .flag = "--max-pairs", .initial = "0", .low = 0, .high = 1e6, .help = "pairs of one problem: the first ones, or with pairs_at all the ones whose order is surest; 0: all"},
    {.type = OPTION_BOOL, FIELD(bool, only_if_right), .initial = "false", .help = "read pairs only where the best candidate of the last commitment is correct"},
    {.type = OPTION_BOOL, FIELD(bool, join_only_child), .initial = "false", .help = "append to each step of a pair its own next steps, for as long as it has exactly one"},
};
/* clang-format on */

option_table harvest_option_table(void) {
    return (option_table){options, (int)(sizeof options / sizeof *options)};
}

esp_status harvest_options_check(const harvest_options *o, esp_error *error) {
    for (int i = 0; i < harvest_option_table().count; i++) ESP_TRY(option_check(&options[i], o, error));
    if (o->pairs_at == HARVEST_AT_ALL && o->loser != HARVEST_LOSER_SMALLEST_Q)
        return error_fail(error, "set pairs_at to commitments, or loser to smallest_q",
                          "pairs_at is all, which does not go with loser random_sibling");
    return ESP_OK;
}

/* log(exp(a) + exp(b)) */
static double log_add(double a, double b) {
    double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

/* With X ~ Beta(a, b) of the chosen step and Y ~ Beta(c, d) of the rejected one, whole parameters:
 *   P(Y > X) = sum over i < c of B(a + i, b + d) / ((d + i) B(1 + i, d) B(a, b))
 * (E. Miller, "Formulas for Bayesian A/B Testing", 2015). The first term is the product of (b + j) / (a + b +
 * j), j < d; each further one is the one before times (a + i) (d + i) / ((a + b + d + i) (1 + i)). In
 * logarithms, so that no count is too large. */
double harvest_order_doubt(int64_t right_chosen, int64_t wrong_chosen, int64_t right_rejected,
                           int64_t wrong_rejected) {
    double a = 1 + (double)right_chosen, b = 1 + (double)wrong_chosen, d = 1 + (double)wrong_rejected,
           term = 0, sum = -INFINITY;
    for (int64_t n = 0; n <= wrong_rejected; n++) {
        double j = (double)n;
        term += log((b + j) / (a + b + j));
    }
    for (int64_t n = 0; n <= right_rejected; n++) {
        double i = (double)n;
        sum = log_add(sum, term);
        term += log((a + i) / (a + b + d + i)) + log((d + i) / (1 + i));
    }
    double doubt = exp(sum);
    return doubt < 1 ? doubt : 1;
}
