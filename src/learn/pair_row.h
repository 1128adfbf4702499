/* One row of a file of pairs, from JSON to ids. Inside the reading and writing of pairs (learn/pairs.h). */
#ifndef ESPALIER_LEARN_PAIR_ROW_H
#define ESPALIER_LEARN_PAIR_ROW_H

#include "learn/pairs.h"
#include "text/messages.h"

enum { CHOSEN, REJECTED, COMPLETIONS };
extern const char *const pair_completion_keys[COMPLETIONS]; /* "chosen", "rejected" */

typedef struct {
    const pairs_read_options *options;
    const char *where; /* file:line */
} pair_reading;

/* The ids of a row, and what happened to them. Starts zeroed. */
typedef struct {
    token_list prompt, completion[COMPLETIONS];
    bool open, apart, moved; /* as the counts of pairs_file */
} pair_row_ids;
void pair_row_ids_free(pair_row_ids *ids);

/* Reads a row of any form. A row with lists of ids has those; its texts, if there are any, must say the
 * same. */
esp_status pair_row_read(const pair_reading *r, const json_t *row, pair_row_ids *out, esp_error *error);

void pairs_count_row(pairs_count *count, int64_t line);
void pairs_count_decisions(pairs_counts *counts, const pair_row_ids *ids, int64_t line);

/* ---- the parts, for each other ---- */

extern const char pair_form_hint[];
/* A member; NULL where it is absent or null. */
const json_t *pair_field(const json_t *row, const char *key);
/* Reads "continues"; *given: whether the row says so. */
esp_status pair_continues(const pair_reading *r, const json_t *row, bool *given, bool *out, esp_error *error);

/* What both completions have before them, and the completions. Control tokens are recognised in the trusted
 * spans alone.
 */
typedef struct {
    const token_list *start; /* ids before everything */
    marked_text before;      /* the text of the prompt that follows */
    bool begins;             /* the text after `start` begins a text; false: it continues one */
    marked_text completion[COMPLETIONS];
    const char *before_key; /* for errors */
} pair_words;
void pair_words_free(pair_words *words);
/* Ids of the prompt and the two completions by options->boundary. */
esp_status pair_words_encode(const pair_reading *r, const pair_words *words, pair_row_ids *out,
                             esp_error *error);
/* Encodes one text, and checks that the model knows its ids. */
esp_status pair_encode(const pair_reading *r, const char *key, const marked_text *text, bool begins,
                       token_list *out, esp_error *error);
/* How many ids there are before a control token at the end that only white space follows: a template has
 * closed such a completion. All of them where there is none. */
int64_t pair_open_count(const tokenizer *t, const token_list *ids);

/* Rows of text, and of messages. */
esp_status pair_texts_read(const pair_reading *r, const json_t *row, pair_row_ids *out, esp_error *error);
esp_status pair_messages_read(const pair_reading *r, const json_t *row, pair_row_ids *out, esp_error *error);

#endif
