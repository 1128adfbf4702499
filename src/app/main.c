/* The program: finds the verb, parses its arguments, runs it, and reports errors. */
#include "app/advice.h"
#include "app/complete.h"
#include "app/keeper.h"
#include "app/manual.h"
#include "app/output.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "grader/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const app_verb *const verbs[] = {
    &verb_run,    &verb_sft,      &verb_search, &verb_train,    &verb_eval,   &verb_generate,
    &verb_score,  &verb_tokenize, &verb_prompt, &verb_grade,    &verb_pairs,  &verb_import,
    &verb_export, &verb_plan,     &verb_bench,  &verb_problems, &verb_show,   &verb_status,
    &verb_check,  &verb_report,   &verb_sweep,  &verb_compare,  &verb_theory, &verb_curves};
enum { VERBS = sizeof verbs / sizeof *verbs };

/* Messages quote text from files and command lines; escape sequences in it must not reach the terminal. */
static int print_error(const esp_error *error, const cli_verb *verb) {
    text_buffer hint = {0};
    advice(error, verb, &hint);
    fflush(stdout);
    fputs("espalier: error: ", stderr);
    terminal_put(stderr, error->message);
    if (hint.length > 0) {
        fputs("\n  hint: ", stderr);
        terminal_put(stderr, hint.at);
    }
    fputs("\n", stderr);
    text_free(&hint);
    return (int)error->code;
}

static int help_width(void) {
    int width = terminal_width(stdout, 100);
    return width < 40 ? 40 : width;
}

static esp_status show(const cli_verb *verb, const cli_verb *all, esp_error *error) {
    text_buffer text = {0};
    if (verb)
        cli_verb_help(verb, help_width(), &text);
    else
        cli_overview(all, VERBS, &text);
    esp_status status = output_text(text.at, text.length, error);
    text_free(&text);
    return status;
}

static esp_status run_verb(const app_verb *verb, const cli_verb *all, int argc, char **argv,
                           esp_error *error) {
    cli_arguments arguments;
    void *own = verb->own_size ? mem_alloc(verb->own_size) : NULL;
    esp_status status = cli_parse(&arguments, &verb->cli, own, argc, argv, error);
    if (status == ESP_OK) {
        status = arguments.help ? show(&verb->cli, all, error) : verb->run(&arguments, own, error);
        cli_free(&arguments, &verb->cli, own);
    }
    mem_free(own);
    return status;
}

/* espalier help [VERB | --man] */
static esp_status help(const cli_verb *all, int argc, char **argv, esp_error *error) {
    const cli_verb *found = NULL;
    if (argc < 3) return show(NULL, all, error);
    if (strcmp(argv[2], "--man") == 0) {
        text_buffer page = {0};
        manual_page(all, VERBS, esp_version(), &page);
        esp_status status = output_text(page.at, page.length, error);
        text_free(&page);
        return status;
    }
    if (strcmp(argv[2], "--candidates") == 0) { /* for shells: tools/completion */
        text_buffer lines = {0};
        complete_words(all, VERBS, argv + 3, argc - 3, &lines);
        esp_status status = output_text(lines.at, lines.length, error);
        text_free(&lines);
        return status;
    }
    ESP_TRY(cli_find_verb(&found, all, VERBS, argc - 1, argv + 1, error));
    return show(found, all, error);
}

/* Sets two environment variables that libraries read only once, before main, and executes the program again.
 *
 * GOMP_SPINCOUNT: how long the threads of a parallel region spin while they wait for each other, before they
 * sleep. libgomp's default of 300,000 turns takes 7 ms here, longer than a time slice of the scheduler: any
 * other load on the machine then delays every region by a slice, and two such programs side by side hardly
 * advance. A thousand turns, 25 us, are enough for the gap between regions (docs/speed.md).
 *
 * GLIBC_TUNABLES: the weights are a few hundred blocks of about a megabyte in malloc's heap; with huge pages,
 * reading them from end to end does not wait for address translation. Other C libraries ignore it.
 *
 * What the user has set is kept. */
static void begin_with_environment(char **argv) {
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
    if (setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 0) == 0 &&
        setenv("GOMP_SPINCOUNT", "1000", 0) == 0)
        execv("/proc/self/exe", argv);
} /* if execv returns there is no /proc, and the program continues without them */

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], PROCESS_KEEPER_WORD) == 0) return keeper_main(argc - 2, argv + 2);
    begin_with_environment(argv);
    keeper_offer();
    cli_verb table[VERBS];
    const cli_verb *found = NULL;
    esp_error error = {0};
    for (int i = 0; i < VERBS; i++) table[i] = verbs[i]->cli;
    signal(SIGXFSZ, SIG_IGN); /* beyond the limit of ulimit -f, a write then fails with an error */
    const char *first = argc > 1 ? argv[1] : "";
    esp_status status;
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0)
        status = show(NULL, table, &error);
    else if (strcmp(first, "help") == 0)
        status = help(table, argc, argv, &error);
    else if (strcmp(first, "--version") == 0) {
        printf("espalier %s\n", esp_version());
        status = ESP_OK;
    } else {
        status = cli_find_verb(&found, table, VERBS, argc, argv, &error);
        if (status == ESP_OK) status = run_verb(verbs[found - table], table, argc, argv, &error);
    }
    if (status == ESP_OK) status = output_flush(&error);
    return status == ESP_OK ? 0 : print_error(&error, found);
}
