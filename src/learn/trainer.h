/* The trainer: gradients, AdamW state and updates of one model, for every kind of learning. Rows are packed
 * into token trees (learn/pack.h), cut into micro-batches of at most so many distinct tokens, and their
 * gradients added up until `trainer_update` takes a step. SFT and RFT are rows with weights, DPO and its kin
 * are pairs; both end in one dloss/dlogprob a token. */
#ifndef ESPALIER_LEARN_TRAINER_H
#define ESPALIER_LEARN_TRAINER_H

#include "learn/loss.h"
#include "model/model.h"

typedef struct {
    double beta1, beta2, eps, weight_decay; /* decay on matrices only, decoupled */
    double clip;                            /* largest norm of the whole gradient; 0: none */
    int64_t microbatch_tokens; /* distinct tokens a forward and backward; one row may exceed it */
    double average; /* decay of the running average of the weights an update, 0 to below 1; 0: none */
} trainer_settings;
trainer_settings trainer_defaults(void); /* 0.9, 0.999, 1e-8, 0, clip 1, 2048 tokens, no
 average */

typedef struct trainer trainer;

/* m is trainable and outlives the trainer. */
esp_status trainer_new(trainer **out, model *m, const trainer_settings *settings, esp_error *error);
void trainer_free(trainer *t);
model *trainer_model(const trainer *t);
int64_t trainer_steps(const trainer *t);         /* updates taken */
const float *trainer_gradient(const trainer *t); /* flat, as model_trainable; a buffer */
void trainer_zero(trainer *t); /* drops gradients that were gathered (trainer_update does as well) */

/* A prompt and the completion to be learned. Its loss is -weight times the sum of the completion's log-probs.
 */
typedef struct {
    const int32_t *prompt, *completion;
    int64_t prompt_count, completion_count;
    double weight;
} supervised_row;

/* (4.3) A preference. Reference log-probs are sums over the step's tokens; NAN: not known. */
typedef struct {
    const int32_t *prefix, *chosen, *rejected;
    int64_t prefix_count, chosen_count, rejected_count;
    double ref_chosen, ref_rejected, alpha;
} preference_row;

/* One thing to learn from in a mixed batch: a pair, or a right chain; the other is NULL. */
typedef struct {
    const preference_row *pair;
    const supervised_row *chain;
} mixed_item;

/* What one batch gave; means are over rows. */
typedef struct {
    int64_t rows;            /* pairs, and in a mixed batch chains as well */
    double loss;             /* mean of the pairs' losses; for SFT: weighted mean of -log p a token */
    double margin, accuracy; /* pairs: mean h (5.1); share with h > 0 */
    double logp_chosen, logp_rejected; /* pairs: means of the sums, of the policy before the update */
    double kl;                         /* pairs: mean over all steps of log pi_ref - log pi, nats a step */
    int64_t tokens, tokens_computed;   /* in separate paths; in the packed trees */
} batch_report;

/* Add the gradient of the batch's mean loss to what is gathered. count >= 1. The report is of this batch
 * alone. A loss that is not finite is an error, and nothing is kept of the batch. */
esp_status trainer_add_supervised(trainer *t, const supervised_row *rows, int64_t count, batch_report *report,
                                  esp_error *error);
/* References must be known (METHOD.md 5.1 to 5.4; loss_pair). */
esp_status trainer_add_preferences(trainer *t, const preference_row *rows, int64_t count,
                                   const loss_options *options, batch_report *report, esp_error *error);
/* Pairs and right chains in one update, packed together in the order given (a problem's side by side share
 * its prompt): loss = mean over the pairs of options->weight times the preference loss (5.2)
 *          + options->nll_weight times the chains' NLL,
 * the NLL being minus the sum of the chains' log-probs over the number of their tokens with nll_per_token,
 * which at nll_weight 1 and weight 0 is RFT's loss (trainer_add_supervised), and over the number of chains
 * without. The chosen steps have no likelihood term of their own here. Rows' own weights count as in
 * trainer_add_supervised. A part that the batch has no rows of is left out; margin and the other means over
 * pairs are then NAN. */
esp_status trainer_add_mixed(trainer *t, const mixed_item *items, int64_t count, const loss_options *options,
                             batch_report *report, esp_error *error);
/* Clips, takes one AdamW step at rate lr, rounds the weights into the model anew, drops the gradients.
 * *grad_norm (may be NULL) is that before clipping. */
esp_status trainer_update(trainer *t, double lr, double *grad_norm, esp_error *error);

/* Log-probs of chosen and rejected (sums over the step) under a model, one tree pass a micro-batch. */
esp_status score_preferences(model *m, const preference_row *rows, int64_t count, int64_t microbatch_tokens,
                             double *chosen, double *rejected, esp_error *error);

/* With `average` (Polyak and Juditsky 1992, as an exponential mean): theta_bar starts as the weights before
 * the first update, so that it has no bias to correct, and after each update theta_bar <- d theta_bar + (1 -
 * d) theta. Gradients and updates are of the raw weights theta, which the trainer puts into the model by
 * itself; this puts theta_bar there, to sample from, to evaluate and to save. Without `average` it does
 * nothing. */
esp_status trainer_show_average(trainer *t, esp_error *error);
/* The model's weights were replaced from outside: the average begins anew with them. */
void trainer_restart(trainer *t);

/* optimizer.safetensors in a folder: both moments, the number of steps, and with `average` the raw weights;
 * the model, which must show the average, is saved and loaded beside it by the caller, loaded first. */
esp_status trainer_save(const trainer *t, const char *folder, esp_error *error);
esp_status trainer_load(trainer *t, const char *folder, esp_error *error);

#endif
