/* The result of a run in plain sentences, and what to do next. */
#ifndef ESPALIER_APP_SUMMARY_H
#define ESPALIER_APP_SUMMARY_H

#include "loop/run_result.h"
#include "view/display.h"

typedef struct {
    const run_result *result;
    const recipe *recipe;
    const char *folder;
    const char *page;        /* path of the report; NULL if none was written */
    const char *recipe_path; /* as given on the command line; may be NULL */
    double seconds;          /* of this call */
    bool resumed;
    bool evaluates; /* the run evaluates: if there is no evaluation, the summary says so */
} summary_input;

void summary_text(const summary_input *input, const display *d, text_buffer *out);

#endif
