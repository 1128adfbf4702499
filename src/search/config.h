/* What decides a search: the rule, and the settings that every rule shares. Each setting is one row of an
 * option table; the recipe, --set, flags, help and error messages come from these rows. Section numbers are
 * those of docs/method.md. */
#ifndef ESPALIER_SEARCH_CONFIG_H
#define ESPALIER_SEARCH_CONFIG_H

#include "base/options.h"
#include "search/confidence.h"

/* 2.7, 2.3, 2.6: how large the tree may grow. */
typedef struct {
    int64_t simulations;     /* K, from each state that is committed from */
    int64_t root_multiplier; /* K times this at depth 0 */
    int64_t breadth_root;    /* b_1: candidates of the problem's own state */
    int64_t breadth;         /* b_2: of every other state */
    int64_t root_probe; /* whole chains sampled from the root before the first simulation, which then goes
                           on from the tree that they make; when all are right there are no simulations and
                           no pairs. 0: off */
    int64_t horizon;    /* steps below the current root */
    int64_t max_steps;  /* a chain this deep and unfinished is cut */
    int64_t rest_from_depth; /* from this depth one candidate (at depth 0 breadth_root of them) runs to the
                                chain's end; -1: off */
    int64_t max_nodes;       /* nodes of the tree, the root counted; 0: no limit */
    int64_t tokens;      /* no simulation begins once this many tokens of candidates, and of steps that were
                            judged, are in the tree; 0: no limit */
    bool gold_injection; /* 2.8: on the gold path the gold rationale's next step joins the candidates */
} search_limits;

/* 2.2 */
typedef enum { SEARCH_PRIOR_LENGTH_NORMALISED, SEARCH_PRIOR_PROBABILITY_OVER_LENGTH } search_prior_kind;
typedef struct {
    search_prior_kind kind;
    double lambda; /* exponent of the length */
} search_prior;

/* 2.4, 2.4b */
typedef enum { SEARCH_VALUE_SUM, SEARCH_VALUE_OUTCOME } search_value;

/* 3.1, 3.6: who says C. */
typedef enum {
    SEARCH_JUDGE_PROMPT,     /* the judge, asked with a prompt of its own */
    SEARCH_JUDGE_NEXT_TOKEN, /* the policy, where it samples the step's last token: no token is read for it */
} search_judge;

/* 2.4, 2.6: R = O + C of a node, or on one scale. O is 1 for a finished chain that is correct and -1 for an
 * incorrect one. */
typedef struct {
    search_value value;        /* outcome: R is O where that is known, else 2 C~ - 1 */
    double cut_reward;         /* O of a cut chain */
    double right_other_reward; /* O of a correct chain whose text is not the gold rationale */
    double short_bonus_1;      /* factor on a positive O at depth 1 */
    double short_bonus_2;      /* and at depth 2 */
    double gamma;              /* discount per step */
    bool judge;                /* 3.1: ask for a confidence C of every new node; off: C = 0 */
    search_judge judge_kind;
    bool depth_discount_confidence; /* C over max(parent depth - 3, 1) */
} search_rewards;

typedef struct {
    int rule;                  /* place in the table of rules, search_rule_at */
    option_space rule_options; /* the rule's own options struct */
    search_limits limits;
    search_prior prior;
    search_rewards rewards;
    search_calibration calibration; /* of C; no key of a recipe: it is fitted during a run */
} search_config;

/* Whether a judge reads tokens of the steps, which count (1.3). */
bool search_config_reads(const search_config *config);
/* The rows of search_config but for the rule's own. */
option_table search_option_table(void);
/* Everything at its default, which is the preset `default`. */
void search_config_defaults(search_config *config);
/* The own options of the chosen rule, to be read or set as that rule's struct. */
void *search_rule_options(search_config *config);
/* Sets one option by its name in the tables, for callers without a recipe. "rule" sets the rule's own options
 * to their defaults. */
esp_status search_config_set(search_config *config, const char *key, const char *value, esp_error *error);
/* Every value within its row's range; an error names the key. */
esp_status search_config_check(const search_config *config, esp_error *error);

#endif
