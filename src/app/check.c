/* espalier check: whether everything of a run is there and as it was written. */
#include "app/output.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "view/run_check.h"

#include <string.h>

typedef struct {
    text_buffer text;
    json_t *findings;
} report;

static void found(void *context, bool fault, const char *line) {
    report *r = context;
    text_printf(&r->text, "%s: %s\n", fault ? "fault" : "note", line);
    json_array_append_new(
        r->findings, json_pack("{s:b, s:o}", "fault", fault, "text", json_from_text(line, strlen(line))));
}

static json_t *result_json(const char *run, const run_check_result *c, json_t *findings) {
    char digest[24], tables[24];
    snprintf(digest, sizeof digest, "%016llx", (unsigned long long)c->digest);
    snprintf(tables, sizeof tables, "%016llx", (unsigned long long)c->digest_tables);
    return json_pack("{s:o, s:b, s:O, s:I, s:I, s:I, s:I, s:s, s:s}", "run", json_from_text(run, strlen(run)),
                     "whole", c->faults == 0, "findings", findings, "files", (json_int_t)c->files, "bytes",
                     (json_int_t)c->bytes, "trees", (json_int_t)c->trees, "replayed", (json_int_t)c->replayed,
                     "digest", digest, "digest_tables", tables);
}

static esp_status print(const char *run, const run_check_result *c, report *r, bool json, esp_error *error) {
    if (json) return output_json(result_json(run, c, r->findings), 17, error);
    text_printf(&r->text,
                "%lld files (%.1f MB), %lld trees, %lld of them searched again: ", (long long)c->files,
                (double)c->bytes / 1e6, (long long)c->trees, (long long)c->replayed);
    if (c->faults == 0)
        text_puts(&r->text, "all as it was written\n");
    else
        text_printf(&r->text, "%lld fault%s\n", (long long)c->faults, c->faults == 1 ? "" : "s");
    return output_text(r->text.at, r->text.length, error);
}

static esp_status check_run(const cli_arguments *arguments, void *own, esp_error *error) {
    (void)own;
    const char *run = arguments->positionals[0];
    report r = {.findings = json_array()};
    run_check_listener listener = {found, &r};
    run_check_result result;
    esp_status status = run_check(run, &listener, &result, error);
    if (status == ESP_OK) status = print(run, &result, &r, arguments->json, error);
    if (status == ESP_OK && result.faults > 0)
        status = error_fail(error, "put back what is damaged from a copy, or start a new run",
                            "%s: %lld fault%s", run, (long long)result.faults, result.faults == 1 ? "" : "s");
    json_decref(r.findings);
    text_free(&r.text);
    return status;
}

const app_verb verb_check = {
    .cli = {.name = "check",
            .summary = "whether all of a run is there and as it was written",
            .positionals = "RUN",
            .least = 1,
            .most = 1,
            .about =
                "Compares every file with the SHA-256 that run.db has of it and every table with the sum "
                "of its rows,\n"
                "runs SQLite's own check, and searches every tree again from its rows. One line per "
                "finding: a fault\n"
                "is something missing or changed (exit status 1), a note is what cannot be known or does "
                "no harm.\n"
                "Changes nothing."},
    .run = check_run,
};
