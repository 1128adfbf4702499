/* A run at work: its session, its store, and the policy in memory. */
#ifndef ESPALIER_LOOP_RUN_STATE_H
#define ESPALIER_LOOP_RUN_STATE_H

#include "loop/checkpoint.h"
#include "loop/run_progress.h"

typedef struct run_state {
    session session;
    store *store;
    const char *folder;
    int phases;       /* RUN_ALL or some of them, loop/phase_order.h */
    bool unshared;    /* the search shares nothing between sequences */
    model *model;     /* the policy, trainable; NULL before it is first used */
    trainer *trainer; /* of the current phase; NULL outside */
    char *in_model;   /* name of the checkpoint whose weights `model` holds; "": the model as given; NULL:
                         none */
    /* the same of a judge with weights of its own (self_eval.weights); else NULL */
    model *judge;
    trainer *judge_trainer; /* from the first learning phase on */
    char *in_judge;
    store_files written; /* of the checkpoint that the next position starts from; not in run.db yet */
    run_watcher watcher;
    run_progress_state progress;
} run_state;

/* Loads the checkpoint into the policy and, where settings are given, into its trainer. */
esp_status run_load_policy(run_state *run, const char *checkpoint, const trainer_settings *settings,
                           esp_error *error);
/* The same of the judge, where it has weights of its own; else nothing is done. Before the first learning
 * phase it is theta_0. */
esp_status run_load_judge(run_state *run, const char *checkpoint, const trainer_settings *settings,
                          esp_error *error);
/* Records that the weights in memory are now those of this checkpoint. */
void run_holds(run_state *run, const char *checkpoint);
void run_state_free_models(run_state *run);
/* Opens theta_0, the policy that the first iteration starts from, beside the run's own model. */
esp_status run_open_theta_0(run_state *run, model **out, esp_error *error);
/* The same of the judge that the first iteration starts with. */
esp_status run_open_first_judge(run_state *run, model **out, esp_error *error);
/* Writes the policy as a checkpoint, with the optimizer's state where t is not NULL, and with it a judge that
 * has weights of its own. run_move has to follow: until then the run continues from the checkpoint before. */
esp_status run_write_checkpoint(run_state *run, const char *checkpoint, const trainer *t, esp_error *error);
/* Removes what run.keep does not keep (checkpoint_tidy). */
esp_status run_tidy(run_state *run, const store_position *at, esp_error *error);
/* Moves the position, and records the files of the checkpoint that it starts from: in one transaction. */
esp_status run_move(run_state *run, const store_position *next, esp_error *error);

#endif
