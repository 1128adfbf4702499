/* What a search's request means in token ids, and what sampled ids mean as its reply, whoever sampled them:
 * where steps end, the gold rationale's next step, what the judge reads, and outcomes. No model, no cache.
 *
 * Token ids are the truth: a step keeps the ids that were sampled. The end of a chain has one form: where a
 * newline ends the answer's line, end-of-sequence takes the newline's place, with the log-prob at that place,
 * as supervised fine-tuning teaches it; if the newline shares a token with other text, the token is kept and
 * end-of-sequence follows it. */
#ifndef ESPALIER_POLICY_ANSWER_H
#define ESPALIER_POLICY_ANSWER_H

#include "grader/grader.h"
#include "prompt/prompt.h"

/* Log-probs of the judge's two verdicts at one place. */
typedef struct {
    float incorrect, correct;
} answer_verdict;

/* A step, or a chain, in the making. */
typedef struct {
    token_list ids;
    MEM_LIST(float) logprobs;
    MEM_LIST(int32_t) ends; /* where its steps end, in ids */
    step_machine steps;
    int32_t max_tokens; /* of a chain; 0: the steps' rules alone */
    int32_t dropped;    /* tokens sampled and not kept */
    bool whole_chain;   /* continues after the ends of steps */
    bool gold;          /* the gold rationale's own */
    bool wants_eos;     /* the answer's line has ended: end-of-sequence is scored next */
    bool finished, cut;
    /* docs/method.md 3.6: what the policy says of the steps where each of `ids` is sampled */
    bool reads_verdicts;
    answer_verdict verdict; /* where the next token is; set before answer_take */
    MEM_LIST(answer_verdict) verdicts;
} answer_candidate;

void answer_candidate_free(answer_candidate *c);
/* Besides the next token, the log-prob of end-of-sequence is needed at the same place: where wants_eos is set
 * it alone. */
bool answer_scores_eos(const answer_candidate *c);
/* The next sampled token, and the log-prob of end-of-sequence at its place where answer_scores_eos asked for
 * it; with wants_eos, end-of-sequence itself. False: the candidate has ended. */
bool answer_take(const prompt_words *w, answer_candidate *c, int32_t token, float logprob, float eos_logprob);

/* The step machine as it is after the steps from the root to `node`. rules are borrowed by it. */
step_machine answer_machine_at(const prompt_words *w, const step_rules *rules, const search *s, int32_t node);
/* The gold rationale's next step after `node` (docs/method.md 2.8): tokenized on its own, ended by the same
 * rules as a sampled one, log-probs 0. No ids: the rationale ends there. */
esp_status answer_gold_step(const prompt_words *w, const problem *p, const search *s, int32_t node,
                            const step_machine *machine, bool whole_chain, answer_candidate *out,
                            esp_error *error);
/* A step's ids as the judge sees them: how many are left without end-of-sequence (docs/method.md 3.1). */
int32_t answer_judged_length(const prompt_words *w, const search_node *node);
/* C = P("B") / (P("A") + P("B")) from the log-probs of the verdicts (docs/method.md 3.1). */
double answer_confidence(double incorrect, double correct);

/* The same of a candidate that has ended and reads verdicts: where its last token was sampled (3.6). */
double answer_own_confidence(const answer_candidate *c);

/* What a finished chain that cannot be judged is worth (docs/method.md 2.4). */
typedef struct {
    enum { ANSWER_SKIP, ANSWER_INCORRECT, ANSWER_REWARD } unknown;
    double reward; /* of ANSWER_REWARD */
} answer_worth;

/* How finished chains are graded. */
typedef struct {
    const problem *gold; /* the problem where its answer is known; NULL: outcomes stay unknown */
    answer_worth worth;
    const grader_verdict *verdicts; /* [n] of a grader from outside, of the candidates that are finished;
                                       NULL: the task grades */
} answer_grading;

/* The text of the whole chain down to the candidate's end, which is graded. Appended. */
esp_status answer_chain_text(const prompt_words *w, const search *s, int32_t node, const answer_candidate *c,
                             text_buffer *out, esp_error *error);

/* Candidates below `node` as a search takes them; out [n] borrows from them. */
esp_status answer_reply(const prompt_words *w, const search *s, int32_t node, const answer_grading *grading,
                        const answer_candidate *c, int32_t n, search_candidate *out, esp_error *error);

#endif
