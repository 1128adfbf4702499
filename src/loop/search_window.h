/* An iteration's problems in waves of run.wave, of which a replica has run.window in flight: while one wave's
 * last trees end and the wave is committed, the next one keeps the cores busy. Waves are committed in order,
 * each when it and all before it are complete, on a thread of its own. The window is a source of jobs for a
 * sampler (policy/sampler.h); what a wave's jobs are and how a wave is stored is the caller's affair.
 *
 * A replica gets a fixed slice of each wave, and begins a wave once its own slices more than a window back
 * are done. Inside a block of waves it waits neither for another replica nor for a commit, so that a slow
 * replica does not hold up the others; a block begins when all waves before it are committed. What is in a
 * replica's batches thus depends on its own work alone, so every uninterrupted run has the same bits.
 * Complete waves stay in memory until the ones before them are committed: no more than a block of them. */
#ifndef ESPALIER_LOOP_SEARCH_WINDOW_H
#define ESPALIER_LOOP_SEARCH_WINDOW_H

#include "policy/sampler.h"

/* Problems of one wave that are searched, in order; those whose prompt leaves no room for an answer are left
 * out. */
typedef struct {
    int64_t wave;      /* its number in the iteration */
    search_job *jobs;  /* [count], searches made */
    int64_t *ordinals; /* [count] places in the iteration */
    int64_t count;
    text_buffer left_out; /* names of those left out, blanks between */
    int64_t left_out_count;
    int64_t done; /* jobs */
} search_wave;

typedef struct {
    int64_t first, end; /* the first wave, and the number of all waves of the iteration */
    int64_t window;     /* waves in which a replica has open jobs, at most; at least 1 */
    int64_t block;      /* a block has this many waves, the first one being wave 0; at least 1 */
    int64_t expected;   /* jobs of a wave, about; a resumed run must say the same (search_source.expected) */
    /* Fills the jobs of out->wave; the rest is zeroed. */
    esp_status (*make)(void *user, search_wave *out, esp_error *error);
    /* Stores a complete wave. *last: no wave after it is wanted; those in flight are dropped. */
    esp_status (*commit)(void *user, const search_wave *wave, bool *last, esp_error *error);
    sampler_progress *progress;
    void *user;
} search_window_plan;

/* Searches and commits the waves. Calls of make follow each other, and so do calls of commit, but the two may
 * run at the same time, and on other threads than the caller's, on which progress is called. On failure, and
 * when stopped, complete waves are committed before it returns. *last: commit has said so. */
esp_status search_window_run(const search_window_plan *plan, sampler *policy, bool *last, esp_error *error);

#endif
