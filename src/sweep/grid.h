/* A grid: methods that are compared, each a recipe with some keys changed, and the seeds that each is run
 * with. Read from a YAML file (docs/experiments.md):
 *
 *   about: what is compared            # optional
 *   extends: arith.yaml                # optional: another grid, whose words hold where this one has none;
 * `set` adds recipe: ../arith-rare.yaml         # relative to the grid's folder; a method may have its own
 *   out: runs/experiments/arith-rare   # the folder of all runs; default runs/ and the grid's name
 *   seeds: [1, 2, 3]                   # run.seed, the same for every method
 *   baseline: default                  # what the others are compared with; default: the first
 *   set: {run: {iterations: 10}}       # keys of every run
 *   methods:                           # what each changes; `without`: groups of the recipe's own keys to
 * drop default: {} paper: {without: [search, learn], search: {preset: paper}} vary: {learn.lr: [1e-4, 2e-4]}
 * # every combination of these is a method of its own choose: {learn.epochs: [2, 4]}     # of these, each
 * method has the best on the problems set apart (data.dev)
 *
 * Later values win: recipe, set, method, vary, choose, the command's own, and last seed and folder. */
#ifndef ESPALIER_SWEEP_GRID_H
#define ESPALIER_SWEEP_GRID_H

#include "recipe/recipe.h"

typedef MEM_LIST(recipe_override) grid_keys;

typedef struct {
    const char *label;   /* "rft-1", "rft-1 learn.lr=1e-4" */
    const char *folder;  /* of its runs, below the grid's */
    const char *recipe;  /* path */
    const char *without; /* groups, as of recipe_load_without */
    grid_keys keys;
} grid_method;

/* One combination of values that a method may be run with. */
typedef struct {
    const char *label; /* "learn.lr=1e-4 learn.epochs=2" */
    const char *folder;
    grid_keys keys;
} grid_choice;

typedef struct {
    arena *memory;
    const char *path, *about, *out, *baseline; /* baseline: a label; about: "" where there is none */
    MEM_LIST(int64_t) seeds;
    MEM_LIST(grid_method) methods; /* with `vary` multiplied out */
    MEM_LIST(grid_choice) choices; /* none: the grid has no `choose` */
} grid;

/* Reads the file and checks its keys; the values are checked where a recipe is made. A mistake is an error
 * with line and column. Freed by grid_free, also after an error. */
esp_status grid_read(grid *out, const char *path, esp_error *error);
void grid_free(grid *g);

/* Whether the grid itself sets this key for each run: seed and folder. */
bool grid_sets(const char *key);

/* A run of the grid. */
typedef struct {
    int64_t method, choice; /* choice: -1: none */
    bool chooses;           /* run to compare choices: on the problems set apart, with the first seed */
    int64_t seed;
    const char *folder; /* its run directory */
} grid_cell;

/* The run of a method, a choice (-1: none) and a seed; the folder is in the grid's memory. */
grid_cell grid_cell_of(const grid *g, const char *out, int64_t method, int64_t choice, bool chooses,
                       int64_t seed);
/* Its recipe. extra: values of the command line, over those of the grid. */
esp_status grid_recipe(const grid *g, const grid_cell *cell, const recipe_override *extra, int extra_count,
                       recipe **out, esp_error *error);

#endif
