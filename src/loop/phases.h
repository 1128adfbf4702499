/* The phases of a run, one file each; run.c puts them in order. Each takes the run where the store's position
 * says it stands and leaves it at the next position, work and position in one transaction. */
#ifndef ESPALIER_LOOP_PHASES_H
#define ESPALIER_LOOP_PHASES_H

#include "loop/checkpoint.h"
#include "loop/figures.h"
#include "loop/run.h"

/* One run at work. */
typedef struct run_state {
    session session;
    store *store;
    const char *folder;
    int parts;
    bool plain;
    model *model;     /* the policy, trainable */
    trainer *trainer; /* of the phase at hand, NULL between */
    char *in_model;   /* name of the checkpoint whose weights `model` holds; "" for the model as given; NULL:
                         not loaded */
    figures_state figures;
} run_state;

/* Brings the policy (and its trainer, where settings are given) to what the checkpoint holds. */
esp_status run_load_policy(run_state *run, const char *checkpoint, const trainer_settings *settings,
                           esp_error *error);
/* Folder of theta_0, the policy that the first iteration starts from; NULL: the model as given. Freed by
 * mem_free. */
char *run_theta_0(const run_state *run);
/* The trainer's weights are now those of this checkpoint. */
void run_holds(run_state *run, const char *checkpoint);
/* Where the run goes from a finished phase, phases that are not asked for passed over. */
store_position run_after(const run_state *run, const store_position *at, const char *checkpoint);

/* Updates in a row: how a phase of learning advances, is recorded and can be stopped. */
typedef struct {
    const char *phase; /* "sft" or "learn" */
    int64_t updates;   /* in all */
    schedule schedule;
    double progress_first, progress_last; /* place of this phase's updates in the schedule, as shares of it */
    bool
        optimizer_ends; /* its state stays out of the phase's last checkpoint: the next phase starts afresh */
    esp_status (*add)(void *context, trainer *t, int64_t update, batch_report *report, esp_error *error);
    void *context;
} update_plan;
/* Takes the updates from position->update on; writes checkpoints as the recipe says and where it is stopped.
 * On ESP_OK all are done and `checkpoint` (a name) holds the result; the store's position is not yet moved.
 */
esp_status run_updates(run_state *run, const store_position *position, const update_plan *plan,
                       const char *checkpoint, esp_error *error);

esp_status phase_sft(run_state *run, const store_position *position, esp_error *error);
esp_status phase_search(run_state *run, const store_position *position, esp_error *error);
esp_status phase_learn(run_state *run, const store_position *position, esp_error *error);
esp_status phase_evaluate(run_state *run, const store_position *position, esp_error *error);

/* Rows that SFT learns from, in the order of the problems. Freed by sft_rows_free. */
typedef struct {
    supervised_row *at;
    int64_t count, capacity, rationales, judge, too_long;
    arena *memory;
} sft_rows;
/* p: the policy that own chains are sampled from; NULL where sft.judge_source is not own. */
esp_status sft_rows_build(session *s, lm_policy *p, sft_rows *out, esp_error *error);
void sft_rows_free(sft_rows *rows);

#endif
