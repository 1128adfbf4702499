#include "app/task_flags.h"

#include "recipe/recipe.h"

esp_status task_flags_open(const task_flags *flags, task **out, esp_error *error) {
    if (!*flags->recipe) return task_open(out, flags->task, error);
    recipe *r;
    *out = NULL;
    ESP_TRY(recipe_load(&r, flags->recipe, NULL, 0, error));
    esp_status status = task_new(out, &r->task, error);
    recipe_free(r);
    return status;
}
