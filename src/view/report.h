/* The report of a run: run.db becomes one JSON document (format 1, docs/formats.md), and that becomes one
 * HTML file that opens without a network. Works on any run folder, whatever it holds so far, also while
 * another process writes it: what is read is one state of the run. Nothing here prints; numbers are those of
 * the store and of `espalier eval`.
 *
 * Which trees go in: all of them while the page stays under REPORT_MOST_BYTES. Else iterations take turns,
 * the first and the last one before those between, and within an iteration trees that gave pairs come before
 * others, then those with right and wrong chains, then by order of search. */
#ifndef ESPALIER_VIEW_REPORT_H
#define ESPALIER_VIEW_REPORT_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REPORT_MOST_BYTES = 14800000, /* of a page, under 15 MB with what is rounded */
    REPORT_MOST_UPDATES = 2000,   /* rows of updates; more are thinned evenly */
    REPORT_MOST_ANSWERS = 60,     /* problems with their answers before and after */
    REPORT_MOST_TEXT = 4000,      /* bytes of a step, a question, an answer; longer ones are cut */
    REPORT_MOST_RECIPE = 65536,   /* bytes of the recipe */
};

/* Another run, whose accuracy is drawn beside. */
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
    int64_t replays_left_out; /* trees whose replay did not come to the stored numbers */
    bool mathematics;         /* the page carries KaTeX */
} report_result;

/* The document as JSON text, behind what `out` holds. result may be NULL. */
esp_status report_json(const report_options *options, text_buffer *out, report_result *result,
                       esp_error *error);

/* Writes the page: aside, fsynced, renamed, so that an older report is only ever replaced by a whole one. */
esp_status report_write(const report_options *options, report_result *result, esp_error *error);

/* Where report_write writes; freed by mem_free. */
char *report_path(const report_options *options);

#endif
