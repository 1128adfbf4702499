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
    run_watcher watcher;
    run_progress_state progress;
} run_state;

/* Loads the checkpoint into the policy and, where settings are given, into its trainer. */
esp_status run_load_policy(run_state *run, const char *checkpoint, const trainer_settings *settings,
                           esp_error *error);
/* Records that the policy's weights are now those of this checkpoint. */
void run_holds(run_state *run, const char *checkpoint);
/* Folder of theta_0, the policy that the first iteration starts from; NULL: the model as given. Freed by
 * mem_free. */
char *run_theta_0(const run_state *run);

#endif
