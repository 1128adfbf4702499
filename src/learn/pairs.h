/* Preferences in files: what a run found, as JSON lines, and JSON lines to learn from. Three forms of row
 * (docs/formats.md).
 *
 * native: {"problem", "iteration", "prompt_ids", "chosen_ids", "rejected_ids", "q_chosen", "q_rejected",
 * "n_chosen", "n_rejected", "alpha", "ref_logp_chosen", "ref_logp_rejected"}: the ids that were sampled,
 * nothing tokenized again (docs/method.md 4.3). Reading needs the three lists of ids; the rest may be absent.
 * trl: {"prompt", "chosen", "rejected"}: texts, with control tokens by name.
 * messages: the same, each a list of {"role", "content"}.
 * Rows of text and of messages have the native numbers too, and "continues": true where no end-of-sequence
 * follows. Where the texts alone would be tokenized differently, they also have the lists of ids. */
#ifndef ESPALIER_LEARN_PAIRS_H
#define ESPALIER_LEARN_PAIRS_H

#include "base/observer.h"
#include "learn/batches.h"
#include "store/store.h"
#include "text/chat.h"

#include <jansson.h>
#include <stdio.h>

typedef enum { PAIRS_NATIVE, PAIRS_TRL, PAIRS_MESSAGES } pairs_format;

typedef struct {
    pairs_format format;
    const tokenizer *tokenizer; /* for texts and messages */
    const chat *chat;           /* for messages: the form of the run's prompts */
} pairs_write_options;

/* One pair as a row; new reference. An unknown reference log-prob is null. */
esp_status pairs_row(const store_pair *p, const pairs_write_options *options, json_t **out, esp_error *error);
/* All pairs of an iteration (STORE_ALL: all) to a stream, a line each; *written (may be NULL) counts them. A
 * failed write is an error that names `name`. */
esp_status pairs_write(store *s, int64_t iteration, const pairs_write_options *options, FILE *stream,
                       const char *name, int64_t *written, esp_error *error);

/* How the text of a prompt and of its completion become ids. Both completions of a pair share the prompt's
 * ids. */
typedef enum {
    BOUNDARY_AUTO, /* as one text where the prompt's ids stay as they are, otherwise as two */
    BOUNDARY_ONE,  /* as one text, as TRL does: the completion begins at the last token that both completions
                      share  with the prompt, at its end or before */
    BOUNDARY_TWO,  /* the prompt as it is at inference, and what follows it */
} pairs_boundary;
#define PAIRS_BOUNDARY_CHOICES "auto|one|two"

typedef struct {
    const tokenizer *tokenizer; /* for rows of text and messages; NULL: they are an error */
    int64_t vocab;              /* ids are in [0, vocab) */
    double smoothing_cap; /* (4.2), for alpha from n_chosen and n_rejected; a row without them has alpha 0 */
    bool append_end;      /* texts that end (docs/formats.md) are followed by end-of-sequence */
    int32_t end;          /* that token; -1: there is none */
    pairs_boundary boundary;
    const chat *chat; /* the template of messages */
    bool has_chat;    /* false: the model has no known template, and rows of messages are an error */
    int64_t longest;  /* a path (prompt and longer completion) of more tokens is left out; 0: no limit */
    const objective_term *term; /* of every example */
} pairs_read_options;

/* Rows of one kind: how many, and the line of the first. */
typedef struct {
    int64_t rows, first;
} pairs_count;

typedef struct {
    int64_t rows;
    pairs_count too_long;  /* left out */
    pairs_count identical; /* left out: chosen and rejected are the same ids */
    pairs_count open;      /* texts end in a line break, and are taken to go on */
    pairs_count apart;     /* BOUNDARY_AUTO: tokenized as two texts, since a token would span the boundary */
    pairs_count moved;     /* BOUNDARY_ONE: the completion begins with a part of the prompt */
} pairs_counts;
/* Tells an observer what was left out, and what had to be decided. longest: as the file was read with. */
void pairs_notes(const pairs_counts *counts, int64_t longest, const observer *o);

typedef struct {
    example *at; /* chosen, rejected; their ids are in `memory`; references are NAN where the file has none */
    int64_t count;
    pairs_counts counts;
    arena *memory;
} pairs_file;

/* Sets the template of messages, and the token that ends a text. chat: borrowed; NULL: the model's template
 * is not supported, so messages are an error and texts are plain. chosen: by name, so that also plain is
 * meant. */
void pairs_set_template(pairs_read_options *options, const chat *chat, bool chosen);

/* Reads a JSONL file of any form ("-": standard input, .gz). A row that is no pair is an error that names
 * file:line and field, and so is a file of which no row is left. */
esp_status pairs_read(pairs_file *out, const char *path, const pairs_read_options *options, esp_error *error);
void pairs_file_free(pairs_file *pairs);

/* Reads a file of any form and writes each of its rows in another one, with the members that are not the
 * pair's own. Nothing is left out. */
esp_status pairs_convert(const char *path, const pairs_read_options *from, const pairs_write_options *to,
                         FILE *stream, const char *name, pairs_counts *counts, esp_error *error);

#endif
