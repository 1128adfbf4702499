/* espalier sweep: carries out the runs of a grid, one after another. */
#include "sweep/sweep.h"

#include "app/child.h"
#include "app/compare.h"
#include "app/loop.h"
#include "app/observe.h"
#include "app/output.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "base/clock.h"
#include "formats/json.h"
#include "loop/run.h"
#include "plan/plan.h"
#include "view/display.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    char *out, *only;
    bool dry_run, stop_at_failure;
} sweep_flags;

static const option sweep_options[] = {
    {.flag = "--out",
     .type = OPTION_STRING,
     .offset = offsetof(sweep_flags, out),
     .help = "folder of all runs; default: the grid's `out`, or runs/ and the grid's name"},
    {.flag = "--only",
     .type = OPTION_STRING,
     .marks = OPTION_REPEATED,
     .offset = offsetof(sweep_flags, only),
     .help = "run this method alone; can be repeated"},
    {.flag = "--dry-run",
     .type = OPTION_BOOL,
     .offset = offsetof(sweep_flags, dry_run),
     .help = "list the runs, their states and how long they will take; run nothing"},
    {.flag = "--stop-at-failure",
     .type = OPTION_BOOL,
     .offset = offsetof(sweep_flags, stop_at_failure),
     .help = "end at the first run that fails, and do not go on with the others"},
};

/* ---- words ---- */

static char *name_of(const sweep *s, const sweep_run *run) {
    const char *label = s->grid->methods.at[run->cell.method].label;
    return run->cell.chooses
               ? mem_printf("%s, choosing %s", label, s->grid->choices.at[run->cell.choice].label)
               : mem_printf("%s, seed %lld", label, (long long)run->cell.seed);
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...) {
    char line[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    terminal_put(stderr, line);
    fputs("\n", stderr);
}

/* ---- one run ---- */

typedef struct {
    const recipe *recipe;
    const char *folder;
    bool resume;
} job;

static esp_status carry_out(void *context, esp_error *error) {
    const job *j = context;
    char *page;
    esp_status status = loop_carry_out(j->recipe, j->folder,
                                       (loop_request){.phases = RUN_ALL, .resume = j->resume}, &page, error);
    mem_free(page);
    return status;
}

static void say_end(const sweep *s, const sweep_run *run, double seconds) {
    text_buffer time = {0};
    char *name = name_of(s, run);
    display_duration(&time, seconds);
    if (run->state == SWEEP_FINISHED && !isnan(run->last))
        say("%s: %.1f%% to %.1f%% in %s", name, 100 * run->first, 100 * run->last, time.at);
    else if (run->state == SWEEP_FINISHED)
        say("%s: finished in %s", name, time.at);
    else
        say("%s: failed after %s: %s", name, time.at, run->error ? run->error : "it is not finished");
    mem_free(name);
    text_free(&time);
}

/* Carries out one run; a failure is kept in the record and is no error here. */
static esp_status attempt(sweep *s, int64_t i, child_watch *watch, esp_error *error) {
    sweep_run *run = &s->runs.at[i];
    recipe *r;
    esp_error why = {0};
    double began = clock_seconds();
    esp_status status = sweep_recipe(s, i, &r, &why);
    if (status == ESP_OK) {
        job j = {.recipe = r, .folder = run->cell.folder, .resume = sweep_has_run(run)};
        status = child_run(watch, carry_out, &j, &why);
        recipe_free(r);
    }
    bool stopped = child_stopped(watch);
    char *failure = status == ESP_OK || stopped ? NULL
                    : why.hint[0]               ? mem_printf("%s; %s", why.message, why.hint)
                                                : mem_strdup(why.message);
    double seconds = clock_seconds() - began;
    status = sweep_ended(s, i, failure, seconds, error);
    mem_free(failure);
    if (status == ESP_OK && !stopped) say_end(s, run, seconds);
    return status;
}

/* ---- all runs ---- */

typedef struct {
    int64_t wanted, finished, failed;
} tally;

static tally count(const sweep *s) {
    tally t = {0};
    for (int64_t i = 0; i < s->runs.count; i++) {
        const sweep_run *run = &s->runs.at[i];
        t.wanted += run->wanted;
        t.finished += run->wanted && run->state == SWEEP_FINISHED;
        t.failed += run->wanted && run->state == SWEEP_FAILED;
    }
    return t;
}

static esp_status run_all(sweep *s, const sweep_flags *flags, child_watch *watch, esp_error *error) {
    tally before = count(s);
    int64_t place = 0;
    say("%lld runs in %s, %lld of them finished", (long long)before.wanted, s->out,
        (long long)before.finished);
    for (int64_t i = 0; i < s->runs.count; i++) {
        sweep_run *run = &s->runs.at[i];
        place += run->wanted;
        if (!run->wanted || run->state == SWEEP_FINISHED) continue;
        if (child_stopped(watch)) break;
        char *name = name_of(s, run);
        say("run %lld of %lld: %s (%s)", (long long)place, (long long)before.wanted, name, run->cell.folder);
        mem_free(name);
        ESP_TRY(attempt(s, i, watch, error));
        if (run->state != SWEEP_FINISHED && flags->stop_at_failure) break;
    }
    if (child_stopped(watch))
        return error_set(error, ESP_INTERRUPTED, "give the same command again to continue",
                         "stopped; what was finished is kept in %s", s->out);
    return ESP_OK;
}

/* The runs that failed, once more at the end. */
static esp_status say_failed(const sweep *s, esp_error *error) {
    tally t = count(s);
    if (t.finished == t.wanted) return ESP_OK;
    for (int64_t i = 0; i < s->runs.count; i++) {
        const sweep_run *run = &s->runs.at[i];
        if (!run->wanted || run->state != SWEEP_FAILED) continue;
        char *name = name_of(s, run);
        say("failed: %s: %s", name, run->error);
        mem_free(name);
    }
    return error_fail(error, "correct the cause and give the same command again: finished runs are kept",
                      "%lld of %lld runs failed, %lld are not finished", (long long)t.failed,
                      (long long)t.wanted, (long long)(t.wanted - t.finished));
}

static esp_status work(sweep *s, const sweep_flags *flags, bool json, esp_error *error) {
    child_watch watch;
    ESP_TRY(sweep_begin(s, error));
    child_watch_begin(&watch);
    esp_status status = run_all(s, flags, &watch, error);
    child_watch_end(&watch);
    ESP_TRY(status);
    if (count(s).finished > 0) ESP_TRY(compare_sweep(s->out, json, error));
    return say_failed(s, error);
}

/* ---- the list ---- */

/* Seconds that a run of this method will take: as long as those that are finished, or as planned; NAN: not
 * known. rates: measured at the first call. */
static double seconds_of(const sweep *s, const sweep_run *run, plan_rates *rates, bool *measured) {
    double sum = 0, n = 0;
    for (int64_t i = 0; i < s->runs.count; i++) {
        const sweep_run *other = &s->runs.at[i];
        bool known =
            other->cell.method == run->cell.method && other->state == SWEEP_FINISHED && other->seconds > 0;
        if (known) sum += other->seconds, n++;
    }
    if (n > 0) return sum / n;
    recipe *r;
    session session;
    plan p;
    observe_context context = {0};
    observer quiet = observe(&context);
    double seconds = (double)NAN;
    if (grid_recipe(s->grid, &run->cell, s->extra, s->extra_count, &r, NULL) != ESP_OK) return seconds;
    if (session_open(&session, r, &quiet, NULL, NULL) == ESP_OK) {
        if (session_read_problems(&session, true, true, NULL) == ESP_OK &&
            plan_session(&session, *measured ? rates : NULL, &p, NULL) == ESP_OK) {
            *rates = p.rates, *measured = true;
            seconds = p.seconds;
        }
        session_close(&session);
    }
    recipe_free(r);
    return seconds;
}

static void put_run(const sweep *s, const sweep_run *run, double seconds, text_buffer *out) {
    char *name = name_of(s, run);
    text_buffer time = {0};
    if (run->state != SWEEP_FINISHED && !isnan(seconds)) display_duration(&time, seconds);
    text_printf(out, "%-8s  %8s  %s  (%s)\n", sweep_state_name(run->state), time.at ? time.at : "", name,
                run->cell.folder);
    if (run->error) text_printf(out, "%20s%s\n", "", run->error);
    text_free(&time);
    mem_free(name);
}

static esp_status list_runs(const sweep *s, bool json, esp_error *error) {
    plan_rates rates;
    bool measured = false, all_known = true;
    double sum = 0, *seconds = MEM_ARRAY(double, s->grid->methods.count + 1);
    text_buffer text = {0}, time = {0};
    text_printf(&text, "%-8s  %8s  run\n", "state", "about");
    for (int64_t m = 0; m < s->grid->methods.count; m++) seconds[m] = -1;
    for (int64_t i = 0; i < s->runs.count; i++) {
        const sweep_run *run = &s->runs.at[i];
        double *of = &seconds[run->cell.method];
        if (!run->wanted) continue;
        if (*of == -1 && run->state != SWEEP_FINISHED) *of = seconds_of(s, run, &rates, &measured);
        if (run->state != SWEEP_FINISHED && isnan(*of)) all_known = false;
        if (run->state != SWEEP_FINISHED && !isnan(*of)) sum += *of;
        put_run(s, run, *of, &text);
    }
    tally t = count(s);
    display_duration(&time, sum);
    text_printf(&text, "%lld runs, %lld finished", (long long)t.wanted, (long long)t.finished);
    if (sum > 0 || all_known)
        text_printf(&text, "; the others need about %s%s\n", time.at,
                    all_known ? "" : ", and those without an estimate more");
    else
        text_puts(&text, "; how long the others take cannot be said\n");
    json_t *document = json ? sweep_json(s) : NULL;
    if (json) json_object_set_new(document, "seconds", json_real(sum));
    esp_status status = json ? output_json(document, 9, error) : output_text(text.at, text.length, error);
    text_free(&time);
    text_free(&text);
    mem_free(seconds);
    return status;
}

/* ---- the verb ---- */

static esp_status sweep_run_verb(const cli_arguments *arguments, void *own, esp_error *error) {
    const sweep_flags *flags = own;
    grid g;
    sweep s = {.lock = -1};
    esp_status status = grid_read(&g, arguments->positionals[0], error);
    if (status == ESP_OK)
        status = sweep_open(&s, &g, flags->out[0] ? flags->out : g.out, arguments->overrides,
                            arguments->override_count, flags->only, error);
    if (status == ESP_OK) status = sweep_check(&s, error);
    if (status == ESP_OK)
        status =
            flags->dry_run ? list_runs(&s, arguments->json, error) : work(&s, flags, arguments->json, error);
    sweep_free(&s);
    grid_free(&g);
    return status;
}

const app_verb verb_sweep = {
    .cli =
        {.name = "sweep",
         .summary = "carry out a grid of runs: methods, each with the same seeds; then compare them",
         .positionals = "GRID.yaml",
         .least = 1,
         .most = 1,
         .options = {sweep_options, sizeof sweep_options / sizeof *sweep_options},
         .recipe_groups = "run model adapter data task search learn sft self_eval eval",
         .about =
             "Runs one after another, each in a folder of its own. Given again, the command continues where "
             "it was:\nfinished runs are kept, one that was interrupted or failed is resumed. A run that "
             "fails is reported,\nand the others go on. Recipe keys given here count for all runs. "
             "docs/experiments.md describes the\nfile."},
    .own_size = sizeof(sweep_flags),
    .run = sweep_run_verb,
};
