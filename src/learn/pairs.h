/* Preferences in files: what a run found, as JSON lines, and JSON lines to learn from. Two forms of row.
 *
 * native: {"problem", "iteration", "prompt_ids", "chosen_ids", "rejected_ids", "q_chosen", "q_rejected",
 * "n_chosen", "n_rejected", "alpha", "ref_logp_chosen", "ref_logp_rejected"}: the ids that were sampled,
 * nothing tokenized again (docs/method.md 4.3). Reading needs the three lists of ids; the rest may be absent.
 * trl: {"prompt", "chosen", "rejected"}: text with control tokens by name. chosen and rejected are tokenized
 * as what follows the prompt. A row that is read may have the native form's numbers too. */
#ifndef ESPALIER_LEARN_PAIRS_H
#define ESPALIER_LEARN_PAIRS_H

#include "learn/batches.h"
#include "store/store.h"
#include "text/tokenizer.h"

#include <jansson.h>
#include <stdio.h>

typedef enum { PAIRS_NATIVE, PAIRS_TRL } pairs_format;

/* One pair as a row; new reference. t is needed for the trl form. An unknown reference log-prob is null. */
esp_status pairs_row(const store_pair *p, pairs_format format, const tokenizer *t, json_t **out,
                     esp_error *error);
/* All pairs of an iteration (STORE_ALL: all) to a stream, a line each; *written (may be NULL) counts them. A
 * failed write is an error that names `name`. */
esp_status pairs_write(store *s, int64_t iteration, pairs_format format, const tokenizer *t, FILE *stream,
                       const char *name, int64_t *written, esp_error *error);

typedef struct {
    example *at; /* chosen, rejected; their ids are in `memory`; references are NAN where the file has none */
    int64_t count;
    int64_t too_long; /* left out */
    arena *memory;
} pairs_file;

typedef struct {
    const tokenizer *tokenizer; /* for rows of text; NULL: they are an error */
    int64_t vocab;              /* ids are in [0, vocab) */
    double smoothing_cap; /* (4.2), for alpha from n_chosen and n_rejected; a row without them has alpha 0 */
    bool append_end; /* rows of text: chosen and rejected get an end-of-sequence token where they have none,
                        as TRL does; for whole answers, not for steps */
    int32_t end;     /* that token */
    int64_t context; /* a longer path (prompt and longer step) is an error; 0: no limit */
    int64_t max_length;         /* a longer path is left out and counted; 0: no limit */
    const objective_term *term; /* of every example */
} pairs_read_options;

/* Reads a JSONL file of either form ("-": standard input, .gz). A row that is no pair is an error that names
 * file:line and field. */
esp_status pairs_read(pairs_file *out, const char *path, const pairs_read_options *options, esp_error *error);
void pairs_file_free(pairs_file *pairs);

#endif
