/* Preferences from a JSONL file, ready for the trainer. Two forms of row, told apart by their keys:
 *
 * native {"prompt_ids", "chosen_ids", "rejected_ids"}: lists of ids, used as they are. Optional numbers:
 *   "ref_logp_chosen", "ref_logp_rejected" (sums over the step, both or neither), "n_chosen", "n_rejected"
 *   (visits, both or neither: label smoothing by METHOD.md 4.2) or "alpha" itself.
 * TRL's {"prompt", "chosen", "rejected"}: texts, or lists of messages {"role", "content"}. A text is
 *   tokenized without added tokens but the beginning-of-sequence that the model expects, and end-of-sequence
 *   behind chosen and rejected. Messages go through the model's chat template. The optional numbers as
 *   above. */
#ifndef ESPALIER_APP_PAIR_ROWS_H
#define ESPALIER_APP_PAIR_ROWS_H

#include "app/policy.h"
#include "learn/trainer.h"
#include "text/chat.h"

typedef struct {
    policy *policy; /* its tokenizer is opened at the first row of text */
    double smoothing_cap;
    int64_t max_length;        /* tokens of the longer path; longer rows are left out and counted */
    bool add_eos;              /* behind texts */
    const char *chat_template; /* "auto" or a name of chat_kind */
} pair_reader;

typedef struct {
    MEM_LIST(preference_row) rows; /* references not in the file are NAN */
    int64_t too_long;              /* rows left out */
    arena *memory;
} pair_rows;

/* An error names path:line. A file without a row that is kept is an error. On failure *out holds nothing. */
esp_status pair_rows_read(pair_rows *out, const pair_reader *reader, const char *path, esp_error *error);
void pair_rows_free(pair_rows *rows);

#endif
