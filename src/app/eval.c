/* espalier eval: answers problems with a policy, then grades the answers. */
#include "app/observe.h"
#include "app/output.h"
#include "app/stop.h"
#include "app/verbs.h"
#include "eval/evaluate.h"

typedef struct {
    bool results;
} eval_flags;

static const option eval_options[] = {
    {.flag = "--results",
     .type = OPTION_BOOL,
     .offset = offsetof(eval_flags, results),
     .help = "with --json: also every chain with its text and its answer, or every option's log-prob"},
    {.flag = "--data", .key = "data.test"},
    {.flag = "--threads", .key = "run.threads"},
    {.flag = "--seed", .key = "run.seed"},
};

static void line(text_buffer *out, const char *what, double share, metrics_interval i) {
    text_printf(out, "%-10s %5.1f%%  (95%%: %.1f to %.1f)\n", what, 100 * share, 100 * i.low, 100 * i.high);
}

static void evaluation_text(const evaluation *e, text_buffer *out) {
    text_printf(out, "%s, %lld problems\n", evaluation_method_name(e->method), (long long)e->problems);
    line(out, "accuracy", e->accuracy, e->interval);
    if (e->unknown > 0) {
        evaluation_unknown_words(e->unknown, e->judged_accuracy, out);
        text_puts(out, "\n");
    }
    for (int64_t i = 0; e->method == RECIPE_SAMPLE && i < e->point_count; i++) {
        const evaluation_point *p = &e->points[i];
        char name[32];
        snprintf(name, sizeof name, "pass@%lld", (long long)p->k);
        line(out, name, p->pass, p->pass_interval);
        snprintf(name, sizeof name, "maj@%lld", (long long)p->k);
        line(out, name, p->majority, p->majority_interval);
    }
    if (e->method == RECIPE_SEARCH) {
        line(out, "vote", e->search.vote, e->search.vote_interval);
        text_printf(out, "%-10s %5.1f%%\n", "any correct", 100 * e->search.any);
    }
    if (e->method == RECIPE_CHOICES) {
        line(out, "acc_norm", e->choices.norm, e->choices.norm_interval);
        text_printf(out, "%.1f tokens per answer, %lld tokens computed in %.1f s\n", e->mean_tokens,
                    (long long)e->tokens_computed, e->seconds);
        return;
    }
    text_printf(out,
                "%.1f tokens per chain, %.1f%% finished; %lld tokens sampled, %lld read by the judge, %lld "
                "computed in "
                "%.1f s\n",
                e->mean_tokens, 100 * e->finished_share, (long long)e->tokens_sampled,
                (long long)e->tokens_judged, (long long)e->tokens_computed, e->seconds);
}

static esp_status print_evaluation(const evaluation *e, const recipe *r, bool json, bool results,
                                   esp_error *error) {
    if (json) {
        json_t *document = evaluation_json(e, results);
        json_object_set_new(document, "model", json_string(r->model.path));
        json_object_set_new(document, "task", json_string(r->task.name));
        return output_json(document, 17, error);
    }
    text_buffer text = {0};
    evaluation_text(e, &text);
    esp_status status = output_text(text.at, text.length, error);
    text_free(&text);
    return status;
}

static esp_status evaluate_session(session *s, evaluation *out, esp_error *error) {
    model *m;
    ESP_TRY(session_read_problems(s, false, true, error));
    ESP_TRY(session_open_model(s, NULL, false, &m, error));
    evaluate_options options = evaluate_options_of(s->recipe);
    const problem_set *problems = s->recipe->eval.set == RECIPE_SET_DEV ? &s->dev : &s->test;
    esp_status status = ESP_OK;
    if (options.method == RECIPE_SEARCH) status = session_open_judge(s, NULL, &options.judge, error);
    if (status == ESP_OK) status = evaluate_policy(s, m, problems, &options, out, error);
    model_free(options.judge);
    model_free(m);
    return status;
}

static esp_status eval_run(const cli_arguments *arguments, void *own, esp_error *error) {
    recipe *r;
    session s;
    evaluation result;
    observe_context context = {0};
    observer watcher = observe(&context);
    ESP_TRY(recipe_load(&r, arguments->positional_count ? arguments->positionals[0] : NULL,
                        arguments->overrides, arguments->override_count, error));
    stop_install();
    esp_status status = session_open(&s, r, &watcher, stop_flag(), error);
    if (status == ESP_OK) {
        status = evaluate_session(&s, &result, error);
        observer_end(&watcher);
        session_close(&s);
        if (status == ESP_OK) {
            status = print_evaluation(&result, r, arguments->json, ((eval_flags *)own)->results, error);
            evaluation_free(&result);
        }
    }
    recipe_free(r);
    return status;
}

const app_verb verb_eval = {
    .cli = {.name = "eval",
            .summary = "accuracy, pass@k and maj@k on problems, or of the most probable options",
            .positionals = "[RECIPE.yaml]",
            .most = 1,
            .options = {eval_options, sizeof eval_options / sizeof *eval_options},
            .recipe_groups = "eval model data task search self_eval",
            .about = "Without a recipe: eval --model M --task T --data FILE --method METHOD --k K.\n"
                     "METHOD is greedy, sample, search or choices (multiple choice by log-likelihood).\n"
                     "The policies of a run are the folders in its checkpoints/."},
    .own_size = sizeof(eval_flags),
    .run = eval_run,
};
