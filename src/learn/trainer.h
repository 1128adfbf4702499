/* The trainer: gradients, AdamW state and updates of one model, for every kind of learning. Examples
 * (learn/objective.h) are packed into token trees (learn/pack.h) and cut into micro-batches of at most
 * microbatch_tokens distinct tokens. Their gradients add up until `trainer_update` changes the weights.
 * Whatever the objective, the model sees one dloss/dlogprob per token. */
#ifndef ESPALIER_LEARN_TRAINER_H
#define ESPALIER_LEARN_TRAINER_H

#include "learn/objective.h"
#include "model/model.h"

typedef struct {
    double beta1, beta2, eps, weight_decay; /* decay on matrices only, decoupled */
    double clip;                            /* largest norm of the whole gradient; 0: none */
    int64_t microbatch_tokens; /* distinct tokens per forward and backward; one row may exceed it */
    double average; /* decay per update of the running average of the weights, 0 to below 1; 0: none */
} trainer_settings;
trainer_settings trainer_defaults(void); /* 0.9, 0.999, 1e-8, 0, clip 1, 2048 tokens, no average */

typedef struct trainer trainer;

/* m is trainable and outlives the trainer. */
esp_status trainer_new(trainer **out, model *m, const trainer_settings *settings, esp_error *error);
void trainer_free(trainer *t);
void trainer_zero(trainer *t); /* drops gradients that were gathered (trainer_update does as well) */

/* What one call of trainer_add gave. Sums, as the examples' scales make them means. */
enum { LEARN_METRICS = 16 }; /* the most that the terms of one batch may have together */
typedef struct {
    const char *name;
    double value; /* sum of scale * metric over the examples that have it, without the term's weight */
} learn_metric;
typedef struct {
    int64_t rows;                    /* examples without those of the same row */
    int64_t tokens, tokens_computed; /* of the rows' paths as they are; in the packed trees */
    double loss;                     /* sum of scale * weight * value */
    double unscaled;                 /* sum of weight * value: what batches_add divides once where it can,
                                        so that the stored loss is rounded once and not per example */
    learn_metric metrics[LEARN_METRICS];
    int metric_count;
} learn_report;
/* The metric of this name, or NAN where no example has it. */
double learn_report_metric(const learn_report *r, const char *name);

/* Adds the gradient of sum(scale * weight * value) over the examples to what is gathered; n >= 1. The report
 * is of these examples alone. It only sums: means and weights are the caller's, so that a batch may come in
 * parts, or be one machine's part of a larger one. References that a term needs must be known. A value that
 * is not finite is an error, and nothing that was gathered is kept. */
esp_status trainer_add(trainer *t, const example *examples, int64_t n, learn_report *report,
                       esp_error *error);
/* Clips, takes one AdamW step at rate lr, rounds the weights into the model again, drops the gradients.
 * *grad_norm (may be NULL) is that before clipping. */
esp_status trainer_update(trainer *t, double lr, double *grad_norm, esp_error *error);

/* Called after each micro-batch with the number of examples done; another status than ESP_OK ends the work.
 */
typedef esp_status score_progress(void *context, int64_t done, esp_error *error);
/* Log-probs under m of the examples' paths, sums over the tails, into logp[n][EXAMPLE_PATHS]: one tree pass
 * per micro-batch. progress may be NULL. */
esp_status score_paths(model *m, const example *examples, int64_t n, int64_t microbatch_tokens,
                       double (*logp)[EXAMPLE_PATHS], score_progress *progress, void *context,
                       esp_error *error);

/* With `average` (Polyak and Juditsky 1992, as an exponential mean): theta_bar starts as the weights before
 * the first update, so that it has no bias to correct, and after each update theta_bar <- d theta_bar + (1 -
 * d) theta. Gradients and updates are of the raw weights theta, which the trainer puts into the model by
 * itself; this puts theta_bar there, to sample from, to evaluate and to save. Without `average` it does
 * nothing. */
esp_status trainer_show_average(trainer *t, esp_error *error);
/* The model's weights were replaced from outside: the average starts again from them. */
void trainer_restart(trainer *t);

/* optimizer.safetensors in a folder: both moments, the number of updates, and with `average` the raw weights;
 * the model, which must show the average, is saved and loaded beside it by the caller, loaded first. */
esp_status trainer_save(const trainer *t, const char *folder, esp_error *error);
esp_status trainer_load(trainer *t, const char *folder, esp_error *error);

#endif
