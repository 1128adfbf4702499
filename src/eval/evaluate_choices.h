/* Multiple choice by log-likelihood (docs/method.md 7): every option of a problem is scored as the answer
 * that follows its prompt. The answer is the option of the highest log-prob; with length normalization, that
 * of the highest log-prob per character of the option. */
#ifndef ESPALIER_EVAL_EVALUATE_CHOICES_H
#define ESPALIER_EVAL_EVALUATE_CHOICES_H

#include "eval/evaluate.h"
#include "policy/sampler.h"

/* Of one problem's options, in their order. */
typedef struct {
    int32_t count;
    double *logprobs; /* [count]: sums over an option's tokens, natural logarithm */
    double *lengths;  /* [count]: Unicode characters of what was scored, without the space before it */
    int64_t *tokens;  /* [count] */
} option_scores;

typedef struct {
    const problem *problems; /* [count] */
    int64_t count;
    bool labels; /* the labels are scored in place of the texts */
    /* An option does not fit in the model's context after the problem's prompt. */
    void (*left_out)(void *user, int64_t problem);
    /* Each of the others, in their order. */
    void (*take)(void *user, int64_t problem, const option_scores *scores);
    sampler_progress *progress; /* problems done */
    void *user;
} problem_options;

/* counts: of all. Fails for a problem without options and where a log-prob is not finite. */
esp_status problem_options_run(sampler *s, const problem_options *o, token_counts *counts, esp_error *error);

/* The two answers to a problem, graded: the most probable option, and the one of the highest log-prob per
 * character. Ties go to the first option. */
void option_results(const problem *p, const option_scores *scores, evaluation_result out[2]);

#endif
