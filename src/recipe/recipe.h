/* The recipe: everything that decides what a run computes, as one plain struct. It is resolved from, in
 * rising order, the defaults of the table of keys, the presets (search.preset, learn.preset;
 * recipe/presets.h), the YAML file, and --set or flags. An unknown key, a wrong type, a value out of range or
 * a key given twice is an error with file, line and column. The table of keys, recipe_options(), is composed
 * of this folder's own rows and of those of the search, its rules and the harvest, which point straight into
 * their structs. */
#ifndef ESPALIER_RECIPE_RECIPE_H
#define ESPALIER_RECIPE_RECIPE_H

#include "learn/schedule.h"
#include "recipe/presets.h"
#include "search/harvest.h"
#include "task/task_settings.h"
#include "text/steps.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum { RECIPE_KEEP_ALL, RECIPE_KEEP_LAST, RECIPE_KEEP_BEST } recipe_keep;
typedef enum { RECIPE_BF16, RECIPE_F32 } recipe_dtype;
typedef enum { RECIPE_INIT_FILE, RECIPE_INIT_RANDOM } recipe_init;
typedef enum { RECIPE_EXAMPLE_NONE, RECIPE_EXAMPLE_GOLD } recipe_example;
typedef enum { RECIPE_WEIGHTS_SHARED, RECIPE_WEIGHTS_OWN } recipe_judge_weights;
typedef enum { RECIPE_JUDGE_CORRUPTED, RECIPE_JUDGE_OWN } recipe_judge_source;
typedef enum { RECIPE_CHOOSE_SHUFFLE, RECIPE_CHOOSE_LEARNABLE } recipe_choose;
typedef enum { RECIPE_PREVIOUS, RECIPE_SFT } recipe_reference;
typedef enum { RECIPE_BATCH_PAIRS, RECIPE_BATCH_PROBLEMS } recipe_batch;
typedef enum { RECIPE_PAIRS_STEP, RECIPE_PAIRS_INSTANCE } recipe_pairs;
typedef enum { RECIPE_NLL_CHOSEN, RECIPE_NLL_RIGHT_CHAINS } recipe_nll;
typedef enum { RECIPE_OPTION_TEXT, RECIPE_OPTION_LABEL } recipe_option_part;
typedef enum { RECIPE_GREEDY, RECIPE_SAMPLE, RECIPE_SEARCH, RECIPE_CHOICES } recipe_method;
typedef enum { RECIPE_COMPARE_OFF, RECIPE_COMPARE_ON, RECIPE_COMPARE_BOTH } recipe_compare;
typedef enum { RECIPE_SET_TEST, RECIPE_SET_DEV } recipe_set;

typedef struct {
    struct {
        int64_t seed;
        char *out; /* the run's folder */
        int64_t iterations;
        int64_t problems_per_iteration;
        int64_t tokens_per_iteration; /* sampled and judged; 0: no limit */
        recipe_choose choose;         /* how an iteration takes its problems */
        int64_t wave;                 /* problems searched side by side and committed together */
        int64_t window;               /* waves in flight; 0: session_window decides */
        int64_t eval_every;           /* iterations; 0: only before the first and after the last */
        int64_t patience;             /* evaluations without a better one that end the run; 0: none do */
        int64_t checkpoint_every;     /* updates; 0: only at the end of a phase */
        recipe_keep keep;             /* policies that stay in checkpoints/ */
        int64_t threads;              /* 0: one per core */
    } run;
    struct {
        char *path;
        recipe_init init;
        recipe_dtype dtype;
        int compute; /* of compute_kind */
        char *chat_template, *chat_head, *chat_tail, *chat_options,
            *chat_date;  /* chat_choice (text/chat.h) */
        int64_t context; /* tokens; 0: the model's own */
        bool recompute;
    } model;
    struct {
        int64_t rank; /* 0: none, all weights are trained */
        double alpha; /* 0: twice the rank */
        bool rslora;
        char *targets; /* names, one per line */
    } adapter;
    struct {
        char *task;               /* what the task's keys are based on: a built-in task; "": nothing */
        char *train, *test, *dev; /* files */
        char *sft;                /* file of the rationales that SFT learns; "": train's */
        int64_t train_limit, test_limit, dev_limit; /* problems; 0: all */
        int64_t dev_from_train; /* problems set apart from the end of train when there is no dev file */
    } data;
    task_settings task; /* its `unknown`: recipe_answer_worth */
    struct {
        int64_t epochs; /* 0: no SFT */
        double lr;
        int64_t batch; /* rows per update */
        schedule_kind schedule;
        double warmup;      /* share of the updates */
        int64_t max_length; /* tokens of a row; longer rows are left out and counted */
        double weight_decay, beta1, beta2, eps, clip;
        int64_t tokens_per_microbatch;
        double judge_examples; /* rows per problem that train self-evaluation */
        recipe_judge_source judge_source;
        int64_t judge_chains; /* own: chains sampled per problem */
        int64_t judge_limit;  /* own: problems sampled on, after the rationales'; 0: the rationales' own */
        double rationale_examples; /* share of the gold rationales that are trained on */
        int64_t limit;             /* problems; 0: all */
    } sft;
    struct {
        int preset;           /* place in the list of presets */
        search_config config; /* but for the judge, which self_eval.enabled switches */
        harvest_options harvest;
        step_size step;
        double temperature;
        int64_t max_step_tokens, max_chain_tokens;
        int64_t gold_length_over; /* a step has at most gold length / this tokens as well; 0: off */
    } search;
    struct {
        recipe_example example;       /* self_eval.enabled is search.config.rewards.judge */
        recipe_judge_weights weights; /* the judge is the policy, or a model of its own */
        int64_t rows;   /* of a problem, that an iteration's trees teach the judge; 0: it is not taught */
        int64_t buffer; /* iterations whose rows are learned from, the present one included */
        double rate;    /* own: learning rate, as a share of learn.lr */
        double weight;  /* shared: of the rows in an update's loss */
        bool compare_frozen; /* judge each iteration's nodes by theta_0 as well, to compare */
        bool calibrate; /* fit C on the trees of the iteration before, and do not use it at chance level */
    } self_eval;
    struct {
        int preset;                /* as search.preset */
        int loss;                  /* a value of objective_at */
        option_space loss_options; /* of that objective */
        double lr;
        int64_t batch; /* pairs or correct chains per update, or problems */
        recipe_batch batch_of;
        int64_t epochs;
        int64_t steps;      /* updates at most; 0: as many as there are batches */
        double weight;      /* of the preference loss */
        double nll;         /* weight of the NLL */
        recipe_nll nll_on;  /* of the chosen steps, or of all distinct correct chains */
        int64_t max_chains; /* correct chains per problem, the first ones; 0: all */
        double average;     /* decay per update of the running average of the weights; 0: off */
        bool nll_per_token; /* that NLL is a mean over its tokens, not a sum */
        recipe_reference reference;
        schedule_kind schedule;
        double warmup, weight_decay, beta1, beta2, eps, clip;
        int64_t max_length; /* tokens of a pair's longer path; longer pairs are left out and counted */
        int64_t tokens_per_microbatch;
        bool offline; /* all trees from theta_0 */
        recipe_pairs pairs;
    } learn;
    struct {
        recipe_method method;
        recipe_set set;
        int64_t k;
        double temperature;
        int64_t max_tokens;
        int64_t limit;             /* problems; 0: all */
        int64_t batch;             /* chains sampled at the same time */
        recipe_option_part option; /* choices: what of an option is scored */
        /* Extra evaluations before the first iteration and after the last: */
        int64_t compare_k;             /* samples per problem; 0: none */
        recipe_compare compare_search; /* by search; both: also without self-evaluation */
        bool compare_choices;          /* by choices */
        int64_t compare_limit;         /* problems; 0: as limit */
    } eval;
} recipe;

/* All keys, grouped and in the order in which they are written, those of every alternative among them
 * (base/options.h); which apply to a recipe, option_applies says. The table is made in `memory`. */
option_table recipe_options(arena *memory);

/* One override, from --set or a flag. `where` names it in errors ("--set", "--simulations"). */
typedef struct {
    const char *key, *value, *where;
} recipe_override;

/* Resolves a recipe: defaults < presets < file < overrides. path NULL: no file. *out is freed by recipe_free.
 */
esp_status recipe_load(recipe **out, const char *path, const recipe_override *overrides, int n,
                       esp_error *error);
/* The same without the file's own keys of some groups ("search learn": words), which then have the values of
 * presets and defaults. */
esp_status recipe_load_without(recipe **out, const char *path, const char *without,
                               const recipe_override *overrides, int n, esp_error *error);
/* recipe_load with the YAML in memory; name stands for the file in errors. */
esp_status recipe_parse(recipe **out, const char *name, const char *yaml, size_t length,
                        const recipe_override *overrides, int n, esp_error *error);
void recipe_free(recipe *r);

/* Splits "a.b=v" of --set into *key and *value (both freed by mem_free). */
esp_status recipe_split_set(const char *text, char **key, char **value, esp_error *error);

/* The resolved recipe as YAML, every key, in a stable order: reading it back gives the same struct. */
void recipe_text(const recipe *r, text_buffer *out);
esp_status recipe_write(const recipe *r, const char *path, esp_error *error);

/* Tells each key that differs, with both values as they are written ("" where the key does not apply); keys
 * marked OPTION_FREE are left out. */
void recipe_differences(const recipe *a, const recipe *b,
                        void (*tell)(void *user, const char *key, const char *in_a, const char *in_b),
                        void *user);
/* One line per key that differs ("search.simulations: 5 there, 8 here"), but for those with one of these
 * marks (OPTION_LATER). Returns how many lines. */
int recipe_diff(const recipe *there, const recipe *here, unsigned but_marks, text_buffer *out);

#endif
