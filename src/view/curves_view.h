/* Accuracy against compute (eval/curves.h) as text for a terminal, and in the documents of pages. */
#ifndef ESPALIER_VIEW_CURVES_VIEW_H
#define ESPALIER_VIEW_CURVES_VIEW_H

#include "eval/curves.h"
#include "view/document.h"

/* A run's curves, or the means over several runs of one method. */
typedef struct {
    const char *label;
    int runs;
    curve_set set;
} curves_of_run;

/* Appends a line per point. problems: whose answers' tokens are counted. */
void curves_text(const curves_of_run *run, int64_t problems, text_buffer *out);

/* Appends {"label", "runs", "problems", "asked", "left_out", "curves": [{"kind", "name", "pass",
 * "iteration", "points": [{"iteration", "k", "training", "answering", "tokens", "share", "low", "high"}]}]}:
 * shares are of the first `problems` problems; tokens are training's and those of the answers to `asked`. */
void curves_document(const curves_of_run *run, int64_t problems, document *out);

/* {"page": "curves", "name", "espalier", "runs": [as above]} */
void curves_page(const curves_of_run *runs, int count, int64_t problems, document *out);

#endif
