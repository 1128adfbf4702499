/* Where a reasoning step ends (docs/method.md 2.0): a pure state machine that is fed the sampled tokens one
 * by one, ids with their bytes, and says after each whether the step continues, ended, or finished or cut the
 * chain. It allocates nothing and may be copied; the state after a known path is made again by step_replay
 * over the tokens from the root.
 *
 * White space alone is no step: newline tokens (and sentence ends, where they end steps) at a step's start do
 * not end it; they become part of the step that follows. */
#ifndef ESPALIER_TEXT_STEPS_H
#define ESPALIER_TEXT_STEPS_H

#include "base/memory.h"

typedef enum {
    STEP_LINE, /* one line, or one sentence where sentences end steps */
    STEP_FILL, /* as many whole lines or sentences as fit in max_step_tokens */
} step_size;

enum { STEP_MAX_MARKER = 63, STEP_MAX_ENDS = 16 };

/* The same for a whole run; borrowed by the machine. */
typedef struct {
    step_size size;
    bool sentences;              /* the end of a sentence ends a step too: one of . ? ! before white space */
    const char *const *markers;  /* the task's answer markers ("####", "The answer is"), NULL-terminated; each
                                    at most STEP_MAX_MARKER bytes; NULL for none */
    int32_t ends[STEP_MAX_ENDS]; /* end-of-sequence ids */
    int end_count;
    bool drop_answer_newline; /* false: the newline after an answer stays, as in docs/method.md */
    int32_t max_step_tokens;  /* at least 1 */
    int32_t max_steps;        /* of a chain; 0: no limit */
    int32_t max_chain_tokens; /* of a chain, all steps together; 0: no limit */
} step_rules;

/* Checks ranges and marker lengths; an error names the option. */
esp_status step_rules_check(const step_rules *rules, esp_error *error);

typedef enum {
    STEP_GOES_ON,
    STEP_ENDED,           /* at a line's or a sentence's end */
    STEP_FULL,            /* max_step_tokens (or max_chain_tokens) reached within a line */
    STEP_FINISHED_EOS,    /* the chain is finished: end-of-sequence, which is the step's last token */
    STEP_FINISHED_ANSWER, /* the chain is finished: the answer's line ended; the caller appends
                             end-of-sequence */
} step_outcome;

typedef struct {
    step_outcome outcome;
    int32_t keep; /* the step is its first `keep` tokens. Fewer than were fed where the last token starts the
                     next sentence, or a filled step was cut back to its last whole line; never 0. A token
                     that holds the end of a line or sentence and text after it is the step's last */
    bool cut; /* unfinished, and the chain has reached max_steps, or this step ran into max_chain_tokens */
} step_result;

/* The line that the last token is on. */
typedef struct {
    bool answer; /* an answer marker was seen on it */
    uint8_t tail_length;
    char tail[STEP_MAX_MARKER]; /* its last bytes: a marker may span tokens */
} step_line;

typedef struct {
    const step_rules *rules;
    int32_t steps;        /* whole steps so far */
    int32_t chain_tokens; /* tokens in them */
    int32_t tokens;       /* of the current step */
    bool blank;           /* the current step is white space so far */
    char last;            /* its last byte; 0 before the first */
    step_line line;
    int32_t whole;        /* STEP_FILL: tokens up to the last whole line or sentence */
    step_line whole_line; /* and what the line was then */
} step_machine;

/* The state at the start of a chain (its first step). */
void step_chain_begin(step_machine *m, const step_rules *rules);
/* Takes the next sampled token of the current step. After STEP_ENDED or STEP_FULL the machine is at the start
 * of the next step, and the tokens beyond `keep` are forgotten; after a finished chain it must not be fed. */
step_result step_feed(step_machine *m, int32_t id, const char *piece, size_t length);
/* A step that is known already, token by token: counted, its end not looked for. */
void step_replay(step_machine *m, const char *piece, size_t length);
void step_replay_end(step_machine *m);
/* A hash of the text with white space collapsed to single spaces and dropped at both ends: sibling steps with
 * equal keys are one step (docs/method.md 2.3). */
uint64_t step_text_key(const char *text, size_t length);

#endif
