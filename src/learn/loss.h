/* Losses: pure functions from log-probs to numbers (METHOD.md 5.1 to 5.4). A loss never sees the model: it
 * takes sums of log-probs in nats and gives the loss and its derivative by each sum. The derivative by the
 * log-prob of one token is that of the sum it belongs to. All is done in double and is stable for margins of
 * any size; what is not finite going in shows up as not finite in the loss, so that a trainer can refuse it
 * by looking at the loss alone. */
#ifndef ESPALIER_LEARN_LOSS_H
#define ESPALIER_LEARN_LOSS_H

#include "base/error.h"

/* Log-probs of one pair of steps given their common prefix, in nats, summed over the tokens of the step. */
typedef struct {
    double chosen, rejected;         /* of the policy in training */
    double ref_chosen, ref_rejected; /* of the reference */
} loss_logps;

typedef struct {
    double loss;
    double margin;    /* h of (5.1): beta times the difference of the log ratios; above 0 the policy prefers
                         chosen */
    double dchosen;   /* dloss / dlogps.chosen */
    double drejected; /* dloss / dlogps.rejected */
} loss_result;

/* (4.2) The share of label smoothing from visit counts: N_l / (max(1, N_w) + N_l), at most cap. Counts are >=
 * 0. */
double loss_smoothing(double visits_chosen, double visits_rejected, double cap);

/* (5.1) h = beta [ (chosen - ref_chosen) - (rejected - ref_rejected) ]. */
double loss_margin(loss_logps logps, double beta);

/* (5.2), (5.3) DPO with label smoothing alpha in [0, 1], beta > 0:
 *   loss = -(1 - alpha) log sigmoid(h) - alpha log sigmoid(-h),
 *   dloss/dchosen = beta (sigmoid(h) - (1 - alpha)) = -dloss/drejected.
 * Rafailov et al., "Direct Preference Optimization", arXiv 2305.18290, eq. 7; smoothing as METHOD.md 4.2. */
loss_result loss_dpo(loss_logps logps, double beta, double alpha);

/* (5.4) IPO: the margin in nats, u = h / beta, is drawn to 1 / (2 beta) instead of to infinity:
 *   loss = (1 - alpha) (u - 1/(2 beta))^2 + alpha (u + 1/(2 beta))^2.
 * Azar et al., "A General Theoretical Paradigm to Understand Learning from Human Preferences", arXiv
 * 2310.12036, eq. 17 at alpha = 0 (their tau is beta); alpha is the chance that the order is wrong, as in
 * their eq. 12. Log-probs are sums, as in the paper, not means per token. */
loss_result loss_ipo(loss_logps logps, double beta, double alpha);

/* (5.4) DPO-positive: DPO on h' = h - beta lambda max(0, ref_chosen - chosen), which holds the log-prob of
 * the chosen step up. Pal et al., "Smaug: Fixing Failure Modes of Preference Optimisation with DPO-Positive",
 * arXiv 2402.13228, eq. 3 (lambda 50 there). At the kink (chosen = ref_chosen) the derivative is that without
 * the penalty. The margin that is returned is h, without the penalty. */
loss_result loss_dpo_positive(loss_logps logps, double beta, double alpha, double lambda);

/* Negative log-likelihood of `tokens` tokens whose log-probs add up to `logp`: loss = -weight logp, divided
 * by tokens when per_token. *dlogp gets the derivative by logp. No tokens: 0 and 0. Used by SFT and RFT, and
 * beside DPO. */
double loss_nll(double logp, int64_t tokens, double weight, bool per_token, double *dlogp);

typedef enum { LOSS_DPO, LOSS_IPO, LOSS_DPO_POSITIVE } loss_kind;

/* A preference loss as a recipe names it. */
typedef struct {
    loss_kind kind;
    double beta;        /* > 0 */
    double weight;      /* of the preference loss beside the likelihood, >= 0; 0 leaves it out */
    double lambda;      /* DPO-positive's penalty, >= 0 */
    double nll_weight;  /* of the negative log-likelihood of the chosen step, >= 0; 0 leaves it out */
    bool nll_per_token; /* divides that likelihood by the chosen step's tokens (Pang et al., "Iterative
                           Reasoning Preference Optimization", arXiv 2404.19733, eq. 1); else it is the plain
                           sum */
} loss_options;

/* beta 0.1, DPO of weight 1, no likelihood term (per token once a weight is given), lambda 50. */
loss_options loss_defaults(void);

/* "dpo", "ipo", "dpo_positive". The parse is an error that lists the names. */
esp_status loss_kind_parse(const char *name, loss_kind *out, esp_error *error);
const char *loss_kind_name(loss_kind kind);

/* The preference loss of one pair under the options: weight times DPO, IPO or DPO-positive, without the
 * likelihood term. The margin is that of (5.1), whatever the weight. */
loss_result loss_preference(const loss_options *options, loss_logps logps, double alpha);
/* The loss of one pair under the options: the preference loss plus the likelihood term on the chosen step. */
loss_result loss_pair(const loss_options *options, loss_logps logps, double alpha, int64_t chosen_tokens);

#endif
