#include "recipe/recipe.h"
#include "base/file.h"
#include "formats/settings.h"
#include "recipe/convert.h"
#include "task/task.h"

#include <stdlib.h>
#include <string.h>

static esp_status read_overrides(option_table table, const recipe_override *overrides, int n, settings *out,
                                 esp_error *error) {
    for (int i = 0; i < n; i++) {
        const option *o = option_by_key(table, overrides[i].key);
        if (!o) return settings_unknown_key(table, overrides[i].where, overrides[i].key, error);
        setting s = {o, mem_strdup(overrides[i].value), mem_strdup(overrides[i].where)};
        MEM_LIST_PUSH(out, s);
    }
    return ESP_OK;
}

/* Appends what preset `name` gives to the keys of `group` ("search."), what it extends before it. */
static esp_status read_preset(option_table table, const char *name, const char *group, int depth,
                              settings *out, esp_error *error) {
    const preset_file *file = NULL;
    for (int i = 0; preset_file_at(i); i++)
        if (strcmp(preset_file_at(i)->name, name) == 0) file = preset_file_at(i);
    if (!file || depth > 8)
        return error_fail(error, "correct the preset's `extends`", "there is no end to the preset %s", name);
    settings own = {0};
    yaml_header header = {0};
    esp_status status = settings_read_yaml(&(settings_source){.name = file->name,
                                                              .yaml = file->yaml,
                                                              .length = file->length,
                                                              .table = table,
                                                              .group = "",
                                                              .header = &header},
                                           &own, error);
    if (status == ESP_OK && header.extends)
        status = read_preset(table, header.extends, group, depth + 1, out, error);
    for (int64_t i = 0; i < own.count && status == ESP_OK; i++) {
        if (strncmp(own.at[i].option->key, group, strlen(group)) != 0) continue;
        MEM_LIST_PUSH(out, own.at[i]);
        own.at[i].value = own.at[i].where = NULL;
    }
    settings_free(&own);
    mem_free(header.about);
    mem_free(header.extends);
    return status;
}

/* The settings of both presets, which are among those given, or are the defaults. Self-evaluation serves the
 * search, so its keys are the search preset's. */
static esp_status read_presets(option_table table, recipe *r, const settings *given, settings *out,
                               esp_error *error) {
    for (int64_t i = 0; i < given->count; i++) {
        const char *key = given->at[i].option->key;
        if (strcmp(key, "search.preset") == 0 || strcmp(key, "learn.preset") == 0)
            ESP_TRY(settings_apply(table, r, &given->at[i], error));
    }
    ESP_TRY(read_preset(table, preset_name(r->search.preset), "search.", 0, out, error));
    ESP_TRY(read_preset(table, preset_name(r->search.preset), "self_eval.", 0, out, error));
    return read_preset(table, preset_name(r->learn.preset), "learn.", 0, out, error);
}

/* What a loss needs of the search and of the likelihood beside it. */
static esp_status check_loss(const recipe *r, const char *name, esp_error *error) {
    const objective *of = recipe_objective(r);
    if (of->source == LEARNS_FROM_GROUPS && r->search.config.limits.root_probe < 2)
        return error_fail(error, "set search.root_probe to 2 or more, or take search.preset grpo",
                          "%s: learn.loss %s compares solutions that were sampled for one problem; "
                          "search.root_probe is %lld",
                          name, of->name, (long long)r->search.config.limits.root_probe);
    if (of->source != LEARNS_FROM_PAIRS && of->source != LEARNS_FROM_CHAINS && r->learn.nll > 0 &&
        r->learn.nll_on == RECIPE_NLL_CHOSEN)
        return error_fail(error, "set learn.nll_on to right_chains, or learn.nll to 0",
                          "%s: learn.nll_on chosen needs a loss on pairs; learn.loss is %s", name, of->name);
    return ESP_OK;
}

/* What a judge without a prompt goes with. */
static esp_status check_judge(const recipe *r, const char *name, esp_error *error) {
    const search_rewards *rewards = &r->search.config.rewards;
    if (rewards->judge && rewards->judge_kind == SEARCH_JUDGE_NEXT_TOKEN &&
        r->self_eval.weights == RECIPE_WEIGHTS_OWN)
        return error_fail(error, "set self_eval.weights to shared",
                          "%s: with self_eval.kind next_token the policy itself judges; it has no judge with "
                          "weights of its own",
                          name);
    return ESP_OK;
}

static esp_status check_together(const recipe *r, const char *name, esp_error *error) {
    if (r->search.max_step_tokens > r->search.max_chain_tokens)
        return error_fail(error, "raise search.max_chain_tokens, or lower search.max_step_tokens",
                          "%s: search.max_step_tokens (%lld) is above search.max_chain_tokens (%lld)", name,
                          (long long)r->search.max_step_tokens, (long long)r->search.max_chain_tokens);
    bool by_choices = r->eval.method == RECIPE_CHOICES;
    if ((by_choices || r->eval.compare_choices) && !r->task.options[0] && !r->task.options_pattern[0])
        return error_fail(
            error,
            "use another method, or a task whose rows have options (the key task.options): arc, "
            "sciq, openbookqa",
            "%s: %s needs a task of multiple choice; task %s has no options", name,
            by_choices ? "eval.method choices" : "eval.compare_choices", r->task.name);
    answer_worth worth;
    if (!recipe_answer_worth(r, &worth))
        return error_fail(error, "write skip, incorrect, or a number such as -0.5",
                          "%s: task.unknown must be skip, incorrect or a number, not \"%.100s\"", name,
                          r->task.unknown);
    if (search_config_check(&r->search.config, error) != ESP_OK ||
        harvest_options_check(&r->search.harvest, error) != ESP_OK)
        return error_prefix(error, "%s: search", name);
    ESP_TRY(check_judge(r, name, error));
    return check_loss(r, name, error);
}

/* Puts the presets' values and then the given ones into r. First of all those that choose between
 * alternatives, so that the keys and defaults of these are known; a preset's keys of what is not chosen are
 * passed over. */
static esp_status apply_all(option_table table, recipe *r, const settings *presets, const settings *given,
                            esp_error *error) {
    ESP_TRY(settings_apply_choices(table, r, presets, error));
    ESP_TRY(settings_apply_choices(table, r, given, error));
    options_defaults_of_choice(table, r);
    ESP_TRY(settings_apply_chosen(table, r, presets, error));
    for (int64_t i = 0; i < given->count; i++) ESP_TRY(settings_apply(table, r, &given->at[i], error));
    return ESP_OK;
}

/* What the task's keys are based on: the task that is named; where the file has keys of its own and names
 * none, nothing. from_file: how many of the settings given are the file's. */
static esp_status read_task(option_table table, recipe *r, const settings *given, int64_t from_file,
                            settings *out, esp_error *error) {
    bool named = false, own = false;
    const char *where = NULL;
    for (int64_t i = 0; i < given->count; i++) {
        const char *key = given->at[i].option->key;
        own = own || (i < from_file && strncmp(key, "task.", 5) == 0);
        if (strcmp(key, "data.task") != 0) continue;
        named = true;
        where = given->at[i].where;
        ESP_TRY(settings_apply(table, r, &given->at[i], error));
    }
    if (own && !named) r->data.task[0] = 0;
    if (!r->data.task[0]) return ESP_OK;
    esp_status status = task_settings_list(r->data.task, table, "task", out, error);
    return status == ESP_OK || !where ? status : error_prefix(error, "%s", where);
}

/* A task that was read from a file is whole in the recipe: nothing refers to the file any more. */
static esp_status complete_task(recipe *r, const char *name, const settings *task_file, const settings *given,
                                esp_error *error) {
    const char *source = r->data.task[0] ? r->data.task : "custom";
    task *t = NULL;
    esp_status status = task_settings_complete(&r->task, source, error);
    if (status == ESP_OK) status = task_new(&t, &r->task, error);
    task_free(t);
    if (status != ESP_OK) {
        bool placed = settings_place(given, "task", error) || settings_place(task_file, "task", error);
        return placed ? status : error_prefix(error, "%s: task", name);
    }
    if (task_name_is_file(r->data.task)) r->data.task[0] = 0;
    return ESP_OK;
}

static esp_status resolve(option_table table, recipe *r, const char *name, const settings *given,
                          int64_t from_file, esp_error *error) {
    settings presets = {0};
    options_defaults(table, r);
    esp_status status = read_presets(table, r, given, &presets, error);
    if (status == ESP_OK) status = read_task(table, r, given, from_file, &presets, error);
    if (status == ESP_OK) status = apply_all(table, r, &presets, given, error);
    if (status == ESP_OK) status = complete_task(r, name, &presets, given, error);
    settings_free(&presets);
    return status == ESP_OK ? check_together(r, name, error) : status;
}

static void leave_out(settings *given, const char *groups) {
    int64_t kept = 0;
    for (int64_t i = 0; i < given->count; i++) {
        setting *s = &given->at[i];
        if (option_in_groups(s->option->key, groups)) {
            mem_free(s->value);
            mem_free(s->where);
        } else {
            given->at[kept++] = *s;
        }
    }
    given->count = kept;
}

/* yaml NULL: there is no file. without: groups of its keys that are left out. */
static esp_status parse(recipe **out, const char *name, const char *yaml, size_t length, const char *without,
                        const recipe_override *overrides, int n, esp_error *error) {
    *out = NULL;
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    settings given = {0};
    recipe *r = MEM_NEW(recipe);
    esp_status status =
        yaml ? settings_read_yaml(
                   &(settings_source){
                       .name = name, .yaml = yaml, .length = length, .table = table, .group = ""},
                   &given, error)
             : ESP_OK;
    leave_out(&given, without);
    int64_t from_file = given.count;
    if (status == ESP_OK) status = read_overrides(table, overrides, n, &given, error);
    if (status == ESP_OK) status = resolve(table, r, name, &given, from_file, error);
    settings_free(&given);
    arena_free(memory);
    if (status == ESP_OK)
        *out = r;
    else
        recipe_free(r);
    return status;
}

esp_status recipe_parse(recipe **out, const char *name, const char *yaml, size_t length,
                        const recipe_override *overrides, int n, esp_error *error) {
    return parse(out, name, yaml, length, "", overrides, n, error);
}

esp_status recipe_load(recipe **out, const char *path, const recipe_override *overrides, int n,
                       esp_error *error) {
    return recipe_load_without(out, path, "", overrides, n, error);
}

esp_status recipe_load_without(recipe **out, const char *path, const char *without,
                               const recipe_override *overrides, int n, esp_error *error) {
    *out = NULL;
    if (!path) return parse(out, "the options given", NULL, 0, "", overrides, n, error);
    char *yaml;
    size_t length;
    ESP_TRY(file_read(path, &yaml, &length, error));
    esp_status status = parse(out, path, yaml, length, without, overrides, n, error);
    mem_free(yaml);
    return status;
}

void recipe_free(recipe *r) {
    if (!r) return;
    arena *memory = arena_new();
    options_free(recipe_options(memory), r);
    arena_free(memory);
    mem_free(r);
}

esp_status recipe_split_set(const char *text, char **key, char **value, esp_error *error) {
    *key = *value = NULL;
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return error_set(error, ESP_USAGE, "for example search.simulations=16",
                         "a setting is key=value, not \"%.100s\"", text);
    *key = mem_strndup(text, (size_t)(equals - text));
    *value = mem_strdup(equals + 1);
    return ESP_OK;
}
