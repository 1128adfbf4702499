/* espalier plan: the memory and the time that a recipe will take. */
#include "app/observe.h"
#include "app/output.h"
#include "app/verbs.h"
#include "plan/plan.h"

static esp_status print_plan(const plan *p, bool json, esp_error *error) {
    if (json) return output_json(plan_json(p), 6, error);
    text_buffer text = {0};
    plan_table(p, &text);
    esp_status status = output_text(text.at, text.length, error);
    text_free(&text);
    return status;
}

/* The run would refuse these weights, so the plan does. Not read where the recipe does not fit in memory:
 * they may be very large, and then the memory is the answer. */
static esp_status check_weights(const session *s, const plan *p, esp_error *error) {
    const recipe *r = s->recipe;
    if (r->model.init == RECIPE_INIT_RANDOM || plan_check(&p->memory, NULL) != ESP_OK) return ESP_OK;
    return model_check_weights(r->model.path, error);
}

static esp_status plan_run(const cli_arguments *arguments, void *own, esp_error *error) {
    (void)own;
    recipe *r;
    session s;
    plan p;
    observe_context context = {0};
    observer watcher = observe(&context);
    ESP_TRY(
        recipe_load(&r, arguments->positionals[0], arguments->overrides, arguments->override_count, error));
    esp_status status = session_open(&s, r, &watcher, NULL, error);
    if (status == ESP_OK) {
        status = session_read_problems(&s, true, true, error);
        if (status == ESP_OK) status = plan_session(&s, NULL, &p, error);
        if (status == ESP_OK) status = check_weights(&s, &p, error);
        session_close(&s);
    }
    if (status == ESP_OK) status = print_plan(&p, arguments->json, error);
    if (status == ESP_OK) status = plan_check(&p.memory, error);
    recipe_free(r);
    return status;
}

const app_verb verb_plan = {
    .cli = {.name = "plan",
            .summary = "estimate the memory and the time of a recipe",
            .positionals = "RECIPE.yaml",
            .least = 1,
            .most = 1,
            .recipe_groups = "run model adapter data task search learn sft self_eval eval",
            .about =
                "Reads the data and measures this machine for a few seconds; trains nothing. If a phase "
                "cannot fit\n"
                "in memory, that is an error (exit status 1) after the table, the same as in espalier run."},
    .run = plan_run,
};
