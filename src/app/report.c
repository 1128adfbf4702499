/* espalier report: writes a run as one HTML page. */
#include "app/output.h"
#include "formats/json.h"
#include "app/verbs.h"
#include "view/report.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    char *out;
    char *baselines; /* LABEL=RUN, one per line */
    int64_t trees;
} report_flags;

static const option report_flag_table[] = {
    {.flag = "--out",
     .type = OPTION_STRING,
     .offset = offsetof(report_flags, out),
     .help = "the file to write; default: report.html in the run's folder"},
    {.flag = "--baseline",
     .type = OPTION_STRING,
     .marks = OPTION_REPEATED,
     .offset = offsetof(report_flags, baselines),
     .help = "LABEL=RUN: another run whose accuracy is drawn for comparison; can be repeated"},
    {.flag = "--trees",
     .type = OPTION_INT,
     .initial = "-1",
     .low = -1,
     .high = 1e9,
     .offset = offsetof(report_flags, trees),
     .help = "most trees in the page; -1: as many as fit in 15 MB"},
};

typedef MEM_LIST(report_baseline) baseline_list;

/* Splits "LABEL=RUN" lines in place. Without a label, the run's folder is the label. */
static esp_status take_baselines(char *lines, baseline_list *out, esp_error *error) {
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *equals = strchr(line, '=');
        report_baseline b = {line, line};
        if (equals) {
            *equals = '\0';
            b.folder = equals + 1;
        }
        if (!b.label[0] || !b.folder[0])
            return error_set(error, ESP_USAGE, "write it as --baseline RFT=runs/rft",
                             "espalier report: --baseline needs LABEL=RUN");
        MEM_LIST_PUSH(out, b);
    }
    return ESP_OK;
}

/* Prints what was written, and the page's data without its trees. */
static esp_status print_json(const report_options *options, const char *path, const report_result *written,
                             esp_error *error) {
    report_options few = *options;
    text_buffer text = {0};
    few.trees = 0;
    ESP_TRY(report_json(&few, &text, NULL, error));
    json_t *data = json_loadb(text.at, text.length, 0, NULL);
    text_free(&text);
    json_t *out = json_pack("{s:o, s:I, s:I, s:I, s:I, s:o}", "report", json_from_text(path, strlen(path)),
                            "bytes", (json_int_t)written->bytes, "trees", (json_int_t)written->trees,
                            "trees_left_out", (json_int_t)written->trees_left_out, "replays_left_out",
                            (json_int_t)written->replays_left_out, "data", data ? data : json_null());
    json_object_del(data, "trees");
    json_object_set_new(data, "trees_left_out", json_integer(written->trees_left_out));
    json_object_set_new(data, "replays_left_out", json_integer(written->replays_left_out));
    return output_json(out, 17, error);
}

static esp_status write_report(const report_options *options, bool json, esp_error *error) {
    report_result written;
    ESP_TRY(report_write(options, &written, error));
    char *path = report_path(options), *line = mem_printf("%s\n", path);
    esp_status status =
        json ? print_json(options, path, &written, error) : output_text(line, strlen(line), error);
    if (written.trees_left_out && !json)
        fprintf(stderr, "%lld of %lld trees are left out\n", (long long)written.trees_left_out,
                (long long)(written.trees + written.trees_left_out));
    if (written.replays_left_out)
        fprintf(stderr,
                "%lld searches cannot be replayed: the replay does not reproduce the stored numbers\n",
                (long long)written.replays_left_out);
    mem_free(path);
    mem_free(line);
    return status;
}

static esp_status report_run_verb(const cli_arguments *arguments, void *own, esp_error *error) {
    report_flags *flags = own;
    baseline_list baselines = {0};
    esp_status status = take_baselines(flags->baselines, &baselines, error);
    if (status == ESP_OK) {
        report_options options = {.run = arguments->positionals[0],
                                  .out = flags->out[0] ? flags->out : NULL,
                                  .baselines = baselines.at,
                                  .baseline_count = (int)baselines.count,
                                  .trees = flags->trees};
        status = write_report(&options, arguments->json, error);
    }
    MEM_LIST_FREE(&baselines);
    return status;
}

const app_verb verb_report = {
    .cli = {.name = "report",
            .summary = "a run as one self-contained HTML page",
            .positionals = "RUN",
            .least = 1,
            .most = 1,
            .options = {report_flag_table, sizeof report_flag_table / sizeof *report_flag_table},
            .about = "Prints the path of the page, which opens from disk without a network. Works on any run "
                     "folder, also\n"
                     "while another process writes to it. espalier run writes the page when it ends. --json "
                     "also prints\n"
                     "the page's data, without the trees."},
    .own_size = sizeof(report_flags),
    .run = report_run_verb,
};
