#include "sweep/grid.h"

#include <inttypes.h>
#include <stdio.h>

void grid_free(grid *g) {
    for (int64_t i = 0; i < g->methods.count; i++) MEM_LIST_FREE(&g->methods.at[i].keys);
    for (int64_t i = 0; i < g->choices.count; i++) MEM_LIST_FREE(&g->choices.at[i].keys);
    MEM_LIST_FREE(&g->methods);
    MEM_LIST_FREE(&g->choices);
    MEM_LIST_FREE(&g->seeds);
    if (g->memory) arena_free(g->memory);
    *g = (grid){0};
}

bool grid_sets(const char *key) {
    return strcmp(key, "run.seed") == 0 || strcmp(key, "run.out") == 0;
}

grid_cell grid_cell_of(const grid *g, const char *out, int64_t method, int64_t choice, bool chooses,
                       int64_t seed) {
    const char *folder = g->methods.at[method].folder;
    char *made = chooses ? mem_printf("%s/%s/choose/%s", out, folder, g->choices.at[choice].folder)
                         : mem_printf("%s/%s/seed-%" PRId64, out, folder, seed);
    grid_cell cell = {.method = method,
                      .choice = choice,
                      .chooses = chooses,
                      .seed = seed,
                      .folder = arena_strdup(g->memory, made)};
    mem_free(made);
    return cell;
}

esp_status grid_recipe(const grid *g, const grid_cell *cell, const recipe_override *extra, int extra_count,
                       recipe **out, esp_error *error) {
    const grid_method *m = &g->methods.at[cell->method];
    grid_keys all = {0};
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRId64, cell->seed);
    MEM_LIST_APPEND(&all, m->keys.at, m->keys.count);
    if (cell->choice >= 0) {
        const grid_choice *c = &g->choices.at[cell->choice];
        MEM_LIST_APPEND(&all, c->keys.at, c->keys.count);
    }
    MEM_LIST_APPEND(&all, extra, (int64_t)extra_count);
    if (cell->chooses) MEM_LIST_PUSH(&all, ((recipe_override){"eval.set", "dev", g->path}));
    MEM_LIST_PUSH(&all, ((recipe_override){"run.seed", seed, g->path}));
    MEM_LIST_PUSH(&all, ((recipe_override){"run.out", cell->folder, g->path}));
    esp_status status = recipe_load_without(out, m->recipe, m->without, all.at, (int)all.count, error);
    MEM_LIST_FREE(&all);
    return status == ESP_OK ? ESP_OK : error_prefix(error, "%s", m->label);
}
