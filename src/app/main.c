/* The program: finds the verb, parses its words, runs it, and says what went wrong. */
#include "app/output.h"
#include "app/verbs.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const app_verb *const verbs[] = {&verb_run,   &verb_sft,      &verb_search,  &verb_train,
                                        &verb_eval,  &verb_generate, &verb_score,   &verb_tokenize,
                                        &verb_grade, &verb_pairs,    &verb_import,  &verb_export,
                                        &verb_plan,  &verb_bench,    &verb_problems};
enum { VERBS = sizeof verbs / sizeof *verbs };

static int print_error(const esp_error *error) {
    fflush(stdout);
    fprintf(stderr, "espalier: error: %s\n", error->message);
    if (error->hint[0]) fprintf(stderr, "  hint: %s\n", error->hint);
    return (int)error->code;
}

static int terminal_width(void) {
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) return size.ws_col;
    return 100;
}

static esp_status show(const cli_verb *verb, const cli_verb *all, esp_error *error) {
    text_buffer text = {0};
    if (verb)
        cli_verb_help(verb, terminal_width(), &text);
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

int main(int argc, char **argv) {
    cli_verb table[VERBS];
    const cli_verb *found = NULL;
    esp_error error = {0};
    for (int i = 0; i < VERBS; i++) table[i] = verbs[i]->cli;
    signal(SIGXFSZ, SIG_IGN); /* a file over the limit of ulimit -f is then a failed write like any other */
    const char *first = argc > 1 ? argv[1] : "";
    esp_status status;
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0)
        status = show(NULL, table, &error);
    else if (strcmp(first, "--version") == 0) {
        printf("espalier %s\n", esp_version());
        status = ESP_OK;
    } else {
        status = cli_find_verb(&found, table, VERBS, argc, argv, &error);
        if (status == ESP_OK) status = run_verb(verbs[found - table], table, argc, argv, &error);
    }
    if (status == ESP_OK) status = output_flush(&error);
    return status == ESP_OK ? 0 : print_error(&error);
}
