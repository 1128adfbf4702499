/* espalier prompt: what the model gets for a problem of a recipe, and what is read as its answer. */
#include "app/output.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "recipe/session.h"

#include <stdlib.h>
#include <string.h>

typedef enum { PROMPT_TRAIN, PROMPT_TEST, PROMPT_DEV, PROMPT_SFT } prompt_set;

typedef struct {
    int set; /* prompt_set */
} prompt_flags;

static const char *const set_names[] = {"train", "test", "dev", "sft"};
static const option prompt_options[] = {
    {.flag = "--from",
     .type = OPTION_ENUM,
     .choices = "train|test|dev|sft",
     .initial = "train",
     .offset = offsetof(prompt_flags, set),
     .help = "the problems that N counts in; test where the recipe names no problems to train on"},
};

/* ---- The problem ---- */

static esp_status place_of(const cli_arguments *a, int64_t *out, esp_error *error) {
    *out = 1;
    if (a->positional_count < 2) return ESP_OK;
    char *end;
    long long n = strtoll(a->positionals[1], &end, 10);
    if (*end || end == a->positionals[1] || n < 1)
        return error_set(error, ESP_USAGE, "the first problem is 1",
                         "espalier prompt: N is a number, not \"%.60s\"", a->positionals[1]);
    *out = n;
    return ESP_OK;
}

static esp_status find_problem(session *s, int *set, int64_t n, const problem **out, esp_error *error) {
    const recipe *r = s->recipe;
    if (*set == PROMPT_TRAIN && !*r->data.train) *set = *r->data.test ? PROMPT_TEST : PROMPT_DEV;
    bool evaluation = *set == PROMPT_TEST || *set == PROMPT_DEV;
    ESP_TRY(session_read_problems(s, !evaluation, evaluation, error));
    const problem_set *sets[] = {&s->train, &s->test, &s->dev, &s->sft};
    if (n > sets[*set]->count)
        return error_fail(error, "count from 1", "there is no problem %lld: %s has %lld", (long long)n,
                          set_names[*set], (long long)sets[*set]->count);
    *out = &sets[*set]->at[n - 1];
    return ESP_OK;
}

/* ---- The prompts ---- */

/* The ids as text, each control token between marks of its own. */
static esp_status marked(const tokenizer *t, const token_list *ids, text_buffer *out, esp_error *error) {
    for (int64_t i = 0; i < ids->count;) {
        int64_t n = 0;
        while (i + n < ids->count && !tokenizer_is_special(t, ids->at[i + n])) n++;
        if (n > 0) ESP_TRY(tokenizer_decode_more(t, ids->at + i, n, false, out, error));
        i += n;
        if (i == ids->count) break;
        size_t length;
        const char *piece = tokenizer_piece(t, ids->at[i++], &length);
        text_printf(out, "\xe2\x9f\xa6%.*s\xe2\x9f\xa7", (int)length, piece);
    }
    return ESP_OK;
}

/* What is shown of a problem: both prompts, with what follows the steps in the judge's. */
typedef struct {
    const session *s;
    const problem *p;
    const char *set;
    int64_t place;
    prompt_pair ids;
    bool judges; /* self_eval.enabled: the model is asked the judge's prompt */
    text_buffer policy, judge, suffix;
    task_grade_result grade; /* of the worked solution */
} shown;

static esp_status make(shown *o, esp_error *error) {
    const session *s = o->s;
    const tokenizer *t = s->tokenizer;
    bool example = s->recipe->self_eval.example == RECIPE_EXAMPLE_GOLD;
    ESP_TRY(prompt_pair_make(s->words, o->p, true, example, INT32_MAX, &o->ids, error));
    ESP_TRY(marked(t, &o->ids.of[PREFIX_POLICY], &o->policy, error));
    o->judges = search_config_reads(&s->recipe->search.config);
    if (o->judges) {
        ESP_TRY(marked(t, &o->ids.of[PREFIX_JUDGE], &o->judge, error));
        ESP_TRY(marked(t, prompt_judge_suffix(s->words), &o->suffix, error));
    }
    if (o->p->rationale) o->grade = task_grade(s->task, o->p, o->p->rationale, strlen(o->p->rationale));
    return ESP_OK;
}

static void shown_free(shown *o) {
    prompt_pair_free(&o->ids);
    text_free(&o->policy);
    text_free(&o->judge);
    text_free(&o->suffix);
    task_grade_free(&o->grade);
}

/* ---- Output ---- */

static json_t *prompt_json(const token_list *ids, const text_buffer *text) {
    return json_pack("{so so}", "text", json_from_text(text->at ? text->at : "", text->length), "ids",
                     json_from_ids(ids->at, ids->count));
}

static json_t *steps_json(const task *t, const char *text) {
    json_t *steps = json_array();
    for (size_t from = 0, end; text && text[from]; from = end) {
        end = task_step_end(t, text, from);
        json_array_append_new(steps, json_from_text(text + from, end - from));
    }
    return steps;
}

static esp_status print_json(const shown *o, esp_error *error) {
    const problem *p = o->p;
    json_t *options = json_array();
    for (int32_t i = 0; i < p->option_count; i++)
        json_array_append_new(options,
                              json_pack("{ss ss}", "label", p->options[i].label, "text", p->options[i].text));
    json_t *document =
        json_pack("{ss sI ss ss ss so ss? so so}", "set", o->set, "problem", (json_int_t)o->place, "id",
                  p->id, "task", task_name(o->s->task), "question", p->question, "options", options,
                  "rationale", p->rationale, "steps", steps_json(o->s->task, p->rationale), "prompt",
                  prompt_json(&o->ids.of[PREFIX_POLICY], &o->policy));
    if (o->judges) {
        json_object_set_new(document, "judge", prompt_json(&o->ids.of[PREFIX_JUDGE], &o->judge));
        json_object_set_new(document, "judge_suffix",
                            prompt_json(prompt_judge_suffix(o->s->words), &o->suffix));
    }
    json_object_set_new(document, "gold", json_string(p->gold));
    if (p->rationale)
        json_object_set_new(document, "solution",
                            json_pack("{ss? sb ss}", "extracted", o->grade.extracted, "correct",
                                      o->grade.correct, "reason", o->grade.reason));
    return output_json(document, 17, error);
}

static void heading(text_buffer *out, const char *what, int64_t tokens) {
    text_printf(out, "\n---- %s", what);
    if (tokens >= 0) text_printf(out, ": %lld tokens", (long long)tokens);
    text_puts(out, "\n");
}

static esp_status print_text(const shown *o, esp_error *error) {
    const problem *p = o->p;
    text_buffer out = {0};
    text_printf(&out, "problem %lld of %s (%s), task %s\n", (long long)o->place, o->set, p->id,
                task_name(o->s->task));
    heading(&out, "the prompt", o->ids.of[PREFIX_POLICY].count);
    text_printf(&out, "%s\n", o->policy.at);
    if (o->judges) {
        heading(&out, "the judge's prompt", o->ids.of[PREFIX_JUDGE].count);
        text_printf(&out, "%s", o->judge.at);
        heading(&out, "after the steps that are judged", prompt_judge_suffix(o->s->words)->count);
        text_printf(&out, "%s\n", o->suffix.at);
    }
    heading(&out, "gold answer", -1);
    text_printf(&out, "%s\n", p->gold);
    if (p->option_count > 0) text_printf(&out, "(%s)\n", p->options[p->gold_option].text);
    heading(&out, p->rationale ? "worked solution, a step on each line" : "no worked solution", -1);
    for (size_t from = 0, end; p->rationale && p->rationale[from]; from = end) {
        end = task_step_end(o->s->task, p->rationale, from);
        size_t n = end - from - (p->rationale[end - 1] == '\n');
        text_printf(&out, "| %.*s\n", (int)n, p->rationale + from);
    }
    if (p->rationale)
        text_printf(&out, "its answer is read as %s: %s\n",
                    o->grade.extracted ? o->grade.extracted : "nothing", o->grade.reason);
    text_buffer clean = {0};
    display_clean_lines(&clean, terminal_locale_is_utf8() || !terminal_is_live(stdout), out.at, out.length);
    esp_status status = output_text(clean.at, clean.length, error);
    text_free(&clean);
    text_free(&out);
    return status;
}

static esp_status prompt_of(const recipe *r, const cli_arguments *a, int set, esp_error *error) {
    session s;
    shown o = {.s = &s};
    ESP_TRY(place_of(a, &o.place, error));
    ESP_TRY(session_open(&s, r, NULL, NULL, error));
    esp_status status = find_problem(&s, &set, o.place, &o.p, error);
    o.set = set_names[set];
    if (status == ESP_OK) status = make(&o, error);
    if (status == ESP_OK) status = a->json ? print_json(&o, error) : print_text(&o, error);
    shown_free(&o);
    session_close(&s);
    return status;
}

static esp_status prompt_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const prompt_flags *flags = own;
    recipe *r;
    ESP_TRY(
        recipe_load(&r, arguments->positionals[0], arguments->overrides, arguments->override_count, error));
    esp_status status = prompt_of(r, arguments, flags->set, error);
    recipe_free(r);
    return status;
}

const app_verb verb_prompt = {
    .cli = {.name = "prompt",
            .summary = "what the model gets for a problem of a recipe, and what is read as its answer",
            .positionals = "RECIPE.yaml [N]",
            .least = 1,
            .most = 2,
            .options = {prompt_options, sizeof prompt_options / sizeof *prompt_options},
            .recipe_groups = "data task model self_eval",
            .about = "Prints the prompt, the judge's prompt (with self_eval.enabled), the gold answer and "
                     "the worked solution of problem N "
                     "(1),\nwith control tokens between double square brackets; with --json also token ids. "
                     "Only the model's\ntokenizer is read."},
    .own_size = sizeof(prompt_flags),
    .run = prompt_run,
};
