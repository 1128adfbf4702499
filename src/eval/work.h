/* An evaluation that is being made: what its ways (chains, searches, options) share. This header is for the
 * files of the evaluation; evaluate.h is for others. */
#ifndef ESPALIER_EVAL_WORK_H
#define ESPALIER_EVAL_WORK_H

#include "eval/evaluate.h"
#include "policy/sampler.h"

/* Keeps the random numbers of evaluation apart from those of training's searches ("eval"). */
enum { EVALUATION_WORD = 0x6576616c };

typedef struct {
    session *s;
    sampler *policy;
    const problem_set *problems;
    const evaluate_options *options;
    evaluation *out;
    judge_scores scores;
    int64_t done;     /* pieces of work before the current call */
    int64_t *tickets; /* chains: [out->result_count] what a grader from outside was asked; -1: nothing. NULL:
                         the task grades */
} work;

/* sampler_progress; user: the work. */
void work_progress(void *user, int64_t done, int64_t sampled);
/* Adds to the evaluation's tokens. */
void work_tally(evaluation *e, const token_counts *counts);
/* The key of a problem's random numbers. */
rng_key_t work_key(const work *w, const problem *p);
/* The task's verdict on a finished chain; one that is not finished has no answer and is wrong. */
evaluation_result work_grade(const work *w, const problem *p, const char *text, size_t length, bool finished);
/* Asks a grader from outside about a finished chain; -1 where there is none, or nothing to ask. */
int64_t work_ask(const work *w, const problem *p, const char *text, size_t length, bool finished);
/* Waits for its verdict, which replaces the task's; nothing for -1. */
esp_status work_take_verdict(const work *w, int64_t ticket, evaluation_result *r, esp_error *error);
/* The chain's text, where the options keep texts. */
void work_keep_text(const work *w, evaluation_result *r, const text_buffer *text);
/* A problem whose prompt leaves no room for an answer in the model's context: each result is wrong. */
void work_set_aside(work *w, const problem *p, evaluation_result *results);

/* evaluate_search.c: in waves, as what is in flight together bounds the memory of the trees. */
esp_status work_run_searches(work *w, esp_error *error);

/* evaluation.c: whether a problem has a second result that answers it in another way (the vote, the
 * length-normalized option) and has no chain. */
bool evaluation_has_second(const evaluation *e);

#endif
