/* The report of a run: run.db becomes one JSON document (format 2, docs/formats.md), and that becomes one
 * HTML file that opens without a network. Works on any run folder at any stage, also while another process
 * writes to it: everything is read in one transaction. The numbers are those of the store and of `espalier
 * eval`. Which trees are included: all, if the page stays under REPORT_MOST_BYTES. Otherwise iterations take
 * turns, first the first and the last iteration, then those between; within an iteration, trees with pairs
 * come first, then trees with both correct and incorrect chains, then the order of search. */
#ifndef ESPALIER_VIEW_REPORT_H
#define ESPALIER_VIEW_REPORT_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REPORT_MOST_BYTES = 14800000, /* of a page; leaves a margin below 15 MB */
    REPORT_MOST_UPDATES = 2000,   /* rows of updates; if there are more, evenly spaced ones */
    REPORT_MOST_ANSWERS = 60,     /* problems with their answers before and after */
    REPORT_MOST_TEXT = 4000,      /* bytes of a step, a question, an answer; longer ones are cut */
    REPORT_MOST_RECIPE = 65536,   /* bytes of the recipe */
};

/* Another run, whose accuracy is drawn for comparison. */
typedef struct {
    const char *label, *folder;
} report_baseline;

typedef struct {
    const char *run; /* folder */
    const char *out; /* file; NULL: report.html in the run's folder */
    const report_baseline *baselines;
    int baseline_count;
    int64_t trees; /* at most; -1: as many as fit */
} report_options;

typedef struct {
    int64_t bytes; /* of the page; of the document for report_json */
    int64_t trees, trees_left_out;
    int64_t replays_left_out; /* trees whose replay did not reproduce the stored numbers */
    bool mathematics;         /* the page contains KaTeX */
} report_result;

/* Appends the document as JSON text. result may be NULL. */
esp_status report_json(const report_options *options, text_buffer *out, report_result *result,
                       esp_error *error);

/* Writes the page atomically (base/file.h), so that an older report is only replaced by a complete one. */
esp_status report_write(const report_options *options, report_result *result, esp_error *error);

/* The path that report_write writes to; freed by mem_free. */
char *report_path(const report_options *options);

#endif
