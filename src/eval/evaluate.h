/* Evaluation of a policy on problems (docs/method.md 7): greedy chains, k samples, search at inference, or
 * the most probable option of a multiple-choice problem (choices).
 * Nothing gold reaches policy, judge or search (3.2): chains see the question alone, trees are run with
 * outcomes unknown and a judge without example; what came is graded afterwards. A random number is a function
 * of (seed, problem's index, sample), so neither the order nor the number of problems, nor the checkpoint,
 * changes the numbers a problem is given. */
#ifndef ESPALIER_EVAL_EVALUATE_H
#define ESPALIER_EVAL_EVALUATE_H

#include "eval/calibration.h"
#include "eval/metrics.h"
#include "recipe/session.h"
#include "store/store.h"

#include <jansson.h>

typedef struct {
    recipe_method method;
    int64_t k;          /* sample: samples per problem; 1 otherwise */
    double temperature; /* sample */
    int64_t max_tokens; /* greedy and sample: tokens of a chain. A search has search.max_chain_tokens */
    int64_t limit;      /* problems, the first ones; 0: all */
    int64_t batch;      /* sequences side by side */
    int64_t kv_tokens;  /* 0: what the batch needs */
    uint64_t seed;
    bool keep_text;            /* the chains' texts stay in the results */
    recipe_option_part option; /* choices: what is scored */
    model *judge;              /* search: borrowed, who judges; NULL: the policy */
    bool unjudged;             /* search: C = 0 (self_eval off), the vote by numbers alone */
} evaluate_options;
/* eval.*, run.seed; texts are kept. */
evaluate_options evaluate_options_of(const recipe *r);
/* The extra evaluations before the first and after the last iteration (eval.compare_*), minus any that
 * eval.method already covers: k samples, search, search without self-evaluation where the recipe has it, and
 * choices.
 * Returns how many. */
enum { EVALUATE_BESIDES = 4 };
int evaluate_options_besides(const recipe *r, evaluate_options out[EVALUATE_BESIDES]);
/* Size of the KV cache that an evaluation makes. */
int64_t evaluate_kv_tokens(const recipe *r, const evaluate_options *options);

/* One chain. Search has two per problem: sample 0 is the committed path, sample 1 the answer that the tree's
 * visited finished chains vote for, weighted by C (1 each without self-evaluation); its tokens are 0 and its
 * text NULL. Choices has two as well: the most probable option, and the one of the highest log-prob per
 * character; tokens are the option's, the text lists all options with their log-probs. */
typedef struct {
    int64_t problem; /* index in the data file */
    int64_t sample;
    bool right, finished;
    bool unknown; /* finished, and its answer cannot be judged: not right either */
    int64_t tokens;
    char *answer;     /* as the task shows it; NULL without */
    char *text;       /* NULL unless kept */
    double *logprobs; /* choices, sample 0: of each option, in their order; not in the store: NULL */
    int32_t logprob_count;
    int64_t group; /* the problem's first result with an equal answer, counted from its own first one; -1: no
                      answer. Made by evaluation_summarize */
} evaluation_result;

/* Of k' samples: mean over problems of the unbiased pass@k' and of the majority's being right over the first
 * k' samples (maj@k', ties to the earliest answer). Intervals are Wilson's with one trial per problem. */
typedef struct {
    int64_t k;
    double pass, majority;
    double tokens; /* sampled per problem for k samples, by the mean over all */
    metrics_interval pass_interval, majority_interval;
} evaluation_point;

enum { EVALUATION_POINTS = 16 };

typedef struct {
    const task *task; /* whose answers they are; NULL: unknown, and answers are equal where their texts are */
    recipe_method method;
    bool unjudged; /* search without self-evaluation though the recipe has it */
    int64_t k, problems;
    int64_t too_long; /* problems whose prompt leaves no room for an answer in the model's context: wrong,
                         unfinished, of no tokens; all of them: an error. 0 when read from the store */
    int64_t unknown;  /* results that cannot be judged: of all chains; of a search's committed paths */
    int64_t right;    /* problems whose answer is right: the greedy chain's, the majority's of k samples, the
                        committed path's, the most probable option's */
    double accuracy;  /* right / problems; for samples that is maj@k */
    double judged_accuracy; /* share of correct results among those that can be judged; NAN: there are none */
    metrics_interval interval;
    evaluation_point points[EVALUATION_POINTS]; /* sample: k' = 1, 2, 4 ... and k */
    int64_t point_count;
    struct {
        int64_t vote_right; /* problems whose vote is right */
        double vote;
        metrics_interval vote_interval;
        int64_t any_right; /* problems with a visited finished chain that is right */
        double any;
        int64_t nodes, finished_chains;    /* in all trees; finished ones visited */
        judge_quality judged[JUDGE_KINDS]; /* no nodes without it */
    } search;
    struct {
        int64_t norm_right; /* problems where the option of the highest log-prob per character is correct */
        double norm;
        metrics_interval norm_interval;
    } choices;
    double mean_tokens;    /* a chain (greedy, sample; search: a committed path; choices: the answer) */
    double finished_share; /* of those chains */
    int64_t tokens_sampled, tokens_computed, tokens_judged;
    double seconds;
    evaluation_result *results; /* [result_count], by problem in the set's order, then sample */
    int64_t result_count;
    int64_t per_problem; /* results a problem: k; 2 for search and choices */
} evaluation;

/* Evaluates m on problems. Progress goes to the session's observer. On failure (ESP_INTERRUPTED when stopped)
 * *out holds nothing. */
esp_status evaluate_policy(session *s, model *m, const problem_set *problems, const evaluate_options *options,
                           evaluation *out, esp_error *error);
void evaluation_free(evaluation *e);
/* Fills what follows from task, results, method, k and per_problem alone: counts, accuracy, points, votes,
 * means.
 */
void evaluation_summarize(evaluation *e);
/* Leaves the first problems alone (1 <= problems <= e->problems). What is known of all problems together only
 * is taken in proportion: tokens computed and judged, and those that a search sampled; whether any chain of a
 * search's tree is correct becomes unknown (NAN). */
void evaluation_keep_first(evaluation *e, int64_t problems);

const char *evaluation_method_name(recipe_method method); /* "greedy", "sample", "search", "choices" */
const char *evaluation_set_name(recipe_set set);          /* "test", "dev" */
/* As it is named in the store: "search-unjudged" too. */
const char *evaluation_name(recipe_method method, bool unjudged);
/* Replaces the evaluation of that iteration, method and set ("test", "dev") in the store, with its results
 * and the quality of its judge. */
esp_status evaluation_store(const evaluation *e, int64_t iteration, const char *set, store *s,
                            esp_error *error);
/* An evaluation from the store: its results and what follows from them; seconds are 0, and so are a search's
 * nodes and finished chains. t: evaluation.task. method: as evaluation_name. It is an error when there is
 * none. */
esp_status evaluation_read(evaluation *out, store *s, const task *t, int64_t iteration, const char *method,
                           const char *set, esp_error *error);
/* The evaluations in the store that the run is judged by: of eval.method on eval.set, by iteration. */
esp_status evaluations_of_recipe(store *s, const recipe *r, store_evals *out, esp_error *error);
/* One document; with_results adds one row per chain. New reference. */
/* Appends "3 answers could not be judged and count as not correct; 40.0% of the others are correct"; the
 * second part where judged_accuracy is a number. */
void evaluation_unknown_words(int64_t unknown, double judged_accuracy, text_buffer *out);
json_t *evaluation_json(const evaluation *e, bool with_results);

/* Whether the answer that the method gives for the problem of this place is correct: the greedy chain's, the
 * majority's, the committed path's, the most probable option's. */
bool evaluation_right(const evaluation *e, int64_t place);
/* Whether two evaluations are of the same problems in the same order. */
bool evaluation_same_problems(const evaluation *a, const evaluation *b);

/* Two policies on the same problems: a less b. */
typedef struct {
    int64_t problems, only_a, only_b; /* right under one alone */
    double difference;                /* of accuracy */
    metrics_interval interval;        /* 95%, paired bootstrap of 2,000 */
    double p;                         /* McNemar's exact */
    double pass_difference;           /* of pass@1 over all samples; the same as `difference` where k is 1 */
    metrics_interval pass_interval;
} evaluation_difference;
/* Fails where the problems are not the same in the same order. */
esp_status evaluation_compare(const evaluation *a, const evaluation *b, uint64_t seed,
                              evaluation_difference *out, esp_error *error);
json_t *evaluation_difference_json(const evaluation_difference *d);

#endif
