/* The presets of METHOD.md section 6 as a table, and the names of all choices. */
#include "search/search.h"

#include <string.h>

/* clang-format off */
/* The same in every preset. */
#define SHARED_BUT_GAP                                                                                       \
    .right_reward = 1, .wrong_reward = -1, .c_puct = 1, .gamma = 1, .judge = true
#define SHARED SHARED_BUT_GAP, .min_q_gap = 0

/* The paper: K 5 (20 at the root), steps of 64 tokens in 512 (so 8 steps), uncapped smoothing, 0 for a cut chain. */
#define PAPER                                                                                                \
    SHARED, .simulations = 5, .root_multiplier = 4, .max_steps = 8, .rest_from_depth = -1, .cut_reward = 0,  \
    .right_other_reward = 1, .short_bonus = {1, 1}, .lambda = 1.25, .commit = SEARCH_COMMIT_VISITS,          \
    .pairs_from = SEARCH_PAIRS_VISITED, .loser = SEARCH_LOSER_SMALLEST_Q, .smoothing_cap = 1

/* The public code: K 64 (256 at the root), its switches (2.8) and its ways with pairs (section 4). */
#define OFFICIAL                                                                                             \
    SHARED, .simulations = 64, .root_multiplier = 4, .cut_reward = 0, .right_other_reward = 1.25,            \
    .lambda = 1.25, .prior = SEARCH_PRIOR_LENGTH_NORMALISED, .commit = SEARCH_COMMIT_VISITS_TIMES_SPREAD,    \
    .depth_discount_confidence = true, .unvisited_counts_one = true, .root_counts_twice = true,              \
    .pairs_from = SEARCH_PAIRS_ALL, .loser = SEARCH_LOSER_RANDOM_SIBLING, .smoothing_cap = 0.5,              \
    .max_pairs = 8, .only_if_right = true, .join_only_child = true
/* clang-format on */

static const search_preset presets[] = {
    /* What measured best at equal tokens on made word problems (docs/results.md): one whole chain first, and
     * where it is wrong a search that is narrow, so that the tokens reach many problems. A cut chain counts
     * as wrong. Pairs come from every state of the tree, in doubt as far as the chains below them say. */
    {.name = "default",
     .about =
         "ours: one chain, then a narrow search where it is wrong; one line a step; pairs from the whole "
         "tree",
     .config = {SHARED_BUT_GAP,
                .min_q_gap = 0.3,
                .simulations = 1,
                .root_multiplier = 1,
                .breadth_root = 2,
                .breadth = 2,
                .root_probe = 1,
                .horizon = 8,
                .max_steps = 10,
                .rest_from_depth = -1,
                .cut_reward = -1,
                .right_other_reward = 1,
                .short_bonus = {1, 1},
                .lambda = 1,
                .prior = SEARCH_PRIOR_LENGTH_NORMALISED,
                .commit = SEARCH_COMMIT_VISITS,
                .pairs_from = SEARCH_PAIRS_VISITED,
                .pairs_at = SEARCH_PAIRS_AT_ALL,
                .smoothing = SEARCH_SMOOTHING_EVIDENCE,
                .loser = SEARCH_LOSER_SMALLEST_Q,
                .smoothing_cap = 0.5},
     .temperature = 1,
     .step_mode = SEARCH_STEP_LINE,
     .max_step_tokens = 64},
    {.name = "paper",
     .about = "arXiv 2405.00451, arithmetic",
     .config = {PAPER, .breadth_root = 5, .breadth = 3, .horizon = 4,
                .prior = SEARCH_PRIOR_LENGTH_NORMALISED},
     .temperature = 1,
     .step_mode = SEARCH_STEP_FILL,
     .max_step_tokens = 64},
    {.name = "paper-literal",
     .about = "paper, with the prior as it is printed there",
     .config = {PAPER, .breadth_root = 5, .breadth = 3, .horizon = 4,
                .prior = SEARCH_PRIOR_PROBABILITY_OVER_LENGTH},
     .temperature = 1,
     .step_mode = SEARCH_STEP_FILL,
     .max_step_tokens = 64},
    {.name = "paper-commonsense",
     .about = "arXiv 2405.00451, commonsense",
     .config = {PAPER, .breadth_root = 4, .breadth = 2, .horizon = 3,
                .prior = SEARCH_PRIOR_LENGTH_NORMALISED},
     .temperature = 1,
     .step_mode = SEARCH_STEP_FILL,
     .max_step_tokens = 64},
    /* Depth 3 is where one candidate runs to the end, so a chain has 4 steps at most. */
    {.name = "official-code",
     .about = "YuxiXie/MCTS-DPO at fb23437, arithmetic",
     .config = {OFFICIAL, .breadth_root = 2, .breadth = 2, .horizon = 3, .max_steps = 4, .rest_from_depth = 3,
                .short_bonus = {1, 1}, .gold_injection = true},
     .temperature = 1,
     .step_mode = SEARCH_STEP_FILL,
     .max_step_tokens = 128,
     .gold_length_over = 2},
    /* Steps of 32 tokens in 512: 16 steps. */
    {.name = "official-code-commonsense",
     .about = "YuxiXie/MCTS-DPO at fb23437, commonsense and multiple choice",
     .config = {OFFICIAL, .breadth_root = 4, .breadth = 2, .horizon = 4, .max_steps = 16,
                .rest_from_depth = -1, .short_bonus = {0, 0.5}},
     .temperature = 1,
     .step_mode = SEARCH_STEP_FILL,
     .max_step_tokens = 32},
};

const search_preset *search_preset_at(int32_t index) {
    int32_t count = (int32_t)(sizeof presets / sizeof *presets);
    return index >= 0 && index < count ? &presets[index] : NULL;
}

const search_preset *search_preset_named(const char *name) {
    for (int32_t i = 0; search_preset_at(i); i++)
        if (strcmp(presets[i].name, name) == 0) return &presets[i];
    return NULL;
}

static const char *const prior_names[] = {"length_normalised", "probability_over_length"};
static const char *const commit_names[] = {"visits", "visits_times_spread", "q"};
static const char *const pairs_names[] = {"visited", "all"};
static const char *const pairs_at_names[] = {"commitments", "all"};
static const char *const smoothing_names[] = {"visits", "evidence"};
static const char *const loser_names[] = {"smallest_q", "random_sibling"};
static const char *const outcome_names[] = {"open", "right", "wrong", "finished_unknown", "scored", "cut"};

#define COUNT(names) ((int)(sizeof(names) / sizeof *(names)))

static int find(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

#define NAMES(function, type, names)                                                                         \
    const char *function##_name(type kind) {                                                                 \
        return (unsigned)kind < (unsigned)COUNT(names) ? names[kind] : "?";                                  \
    }                                                                                                        \
    bool function##_named(const char *name, type *out) {                                                     \
        int i = find(names, COUNT(names), name);                                                             \
        if (i >= 0) *out = (type)i;                                                                          \
        return i >= 0;                                                                                       \
    }
NAMES(search_prior, search_prior_kind, prior_names)
NAMES(search_commit, search_commit_kind, commit_names)
NAMES(search_pairs, search_pairs_kind, pairs_names)
NAMES(search_pairs_at, search_pairs_at_kind, pairs_at_names)
NAMES(search_smoothing, search_smoothing_kind, smoothing_names)
NAMES(search_loser, search_loser_kind, loser_names)
NAMES(search_outcome, search_outcome, outcome_names)
