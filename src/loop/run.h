/* The loop (docs/method.md 1): SFT if asked, then iterations of search, learning and evaluation, recorded in
 * a run directory. A kill at any moment leaves it consistent, and resuming it gives the same bits as if there
 * had been no interruption. */
#ifndef ESPALIER_LOOP_RUN_H
#define ESPALIER_LOOP_RUN_H

#include "loop/phase_order.h"
#include "recipe/session.h"

/* How far a run is. Borrowed: valid during the call. */
typedef struct {
    int64_t iteration;
    double accuracy, low, high; /* 95% interval */
} run_score;
typedef struct {
    const char *phase; /* "sft", "search", "learn", "evaluate" */
    int64_t iteration, iterations;
    const run_score *scores; /* [score_count] the recipe's own evaluations so far, by iteration */
    int64_t score_count;
    int64_t trees, pairs; /* committed so far, over all iterations */
    double phase_seconds; /* this phase will take by what it took before; NAN: not known yet */
    double seconds_after; /* and all that follow it; NAN: not known yet */
} run_progress;

/* Who is told when a phase begins and when a wave was committed. */
typedef struct {
    void (*tell)(void *context, const run_progress *progress); /* NULL: nobody */
    void *context;
} run_watcher;

typedef struct {
    const char *folder; /* the run directory */
    bool resume; /* continue the run there; refused if the recipe has changed in a key that decides results */
    bool changes; /* with resume: but keys that may change on the way are taken over (loop/recipe_change.h) */
    int phases;   /* RUN_ALL or some of them */
    bool unshared; /* the search shares nothing between sequences (engine/engine.h) */
    const observer *observer;
    run_watcher watcher;
    const volatile sig_atomic_t *stop;
} run_options;

/* Runs to the end, or until stopped (ESP_INTERRUPTED). After an error, esp_error.resumable says whether the
 * run can be resumed. */
esp_status run_recipe(const recipe *r, const run_options *options, esp_error *error);
/* The run's position, evaluations, judgements, updates and digest as JSON. New reference. */
esp_status run_summary(const char *folder, json_t **out, esp_error *error);

#endif
