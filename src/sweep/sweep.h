/* The runs of a grid as they are on the disk: which are finished, which come next, and what became of each. A
 * run is finished when its run.db says so, whatever this folder's record says; deleting a run's folder makes
 * it a new one. OUT/sweep.json is the record: the methods, the runs, their states, and why a run failed. */
#ifndef ESPALIER_SWEEP_SWEEP_H
#define ESPALIER_SWEEP_SWEEP_H

#include "sweep/grid.h"

#include <jansson.h>

typedef enum { SWEEP_NEW, SWEEP_BEGUN, SWEEP_FINISHED, SWEEP_FAILED } sweep_state;
const char *sweep_state_name(sweep_state state);

typedef struct {
    grid_cell cell;
    sweep_state state;
    bool wanted;        /* to be run: false where the command line names other methods */
    double seconds;     /* that its parts took so far; 0: not known */
    double first, last; /* accuracy before and after, of a finished run; NAN: not evaluated */
    char *error;        /* why it failed; NULL: it did not */
} sweep_run;

typedef struct {
    grid *grid;
    const char *out;
    const recipe_override *extra; /* of the command line */
    int extra_count;
    int64_t *choice; /* [methods] which is the best; -1: not known yet, or the grid has none */
    MEM_LIST(sweep_run)
    runs; /* in the order in which they are run: those that choose, then all methods with
             the first seed, then with the second */
    int lock;
} sweep;

/* Makes the list of runs and reads their states. only: labels or names of methods, one per line; "": all.
 * Changes nothing on the disk. Freed by sweep_free, also after an error. */
esp_status sweep_open(sweep *out, grid *g, const char *folder, const recipe_override *extra, int extra_count,
                      const char *only, esp_error *error);
void sweep_free(sweep *s);

/* Makes every recipe and compares it with the run that is there already, so that a mistake is found before
 * anything is run. */
esp_status sweep_check(sweep *s, esp_error *error);

/* Makes the folder and keeps other processes out until sweep_free; writes the record. */
esp_status sweep_begin(sweep *s, esp_error *error);

/* The recipe of a run. If the method's choice is not known yet, it is read from the runs that choose: an
 * error where one of them is not finished. */
esp_status sweep_recipe(sweep *s, int64_t run, recipe **out, esp_error *error);

/* Whether there is a run in its folder to resume. */
bool sweep_has_run(const sweep_run *run);

/* After an attempt of `seconds`: reads the state of the run and writes the record. failure: why it failed, or
 * NULL. */
esp_status sweep_ended(sweep *s, int64_t run, const char *failure, double seconds, esp_error *error);

/* The record, as in sweep.json. New reference. */
json_t *sweep_json(const sweep *s);

#endif
