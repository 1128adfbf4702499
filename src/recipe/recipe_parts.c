#include "recipe/recipe_parts.h"

/* ---- search ---- */

search_config recipe_search_config(const recipe *r) {
    return (search_config){
        .simulations = (int32_t)r->search.simulations,
        .root_multiplier = (int32_t)r->search.root_multiplier,
        .breadth_root = (int32_t)r->search.breadth_root,
        .breadth = (int32_t)r->search.breadth,
        .root_probe = (int32_t)r->search.root_probe,
        .horizon = (int32_t)r->search.horizon,
        .max_steps = (int32_t)r->search.max_steps,
        .rest_from_depth = (int32_t)r->search.rest_from_depth,
        .max_nodes = (int32_t)r->search.max_nodes,
        .cut_reward = r->search.cut_reward,
        .right_reward = 1, /* (2.4) */
        .right_other_reward = r->search.right_other_reward,
        .wrong_reward = -1, /* (2.4) */
        .short_bonus = {r->search.short_bonus_1, r->search.short_bonus_2},
        .c_puct = r->search.c_puct,
        .gamma = r->search.gamma,
        .lambda = r->search.lambda,
        .prior = r->search.prior,
        .commit = r->search.commit,
        .judge = r->self_eval.enabled,
        .depth_discount_confidence = r->search.depth_discount_confidence,
        .unvisited_counts_one = r->search.unvisited_counts_one,
        .root_counts_twice = r->search.root_counts_twice,
        .gold_injection = r->search.gold_injection,
        .pairs_from = r->search.pairs_from,
        .pairs_at = r->search.pairs_at,
        .smoothing = r->search.smoothing,
        .loser = r->search.loser,
        .min_q_gap = r->search.min_q_gap,
        .smoothing_cap = r->search.smoothing_cap,
        .max_pairs = (int32_t)r->search.max_pairs,
        .only_if_right = r->search.only_if_right,
        .join_only_child = r->search.join_only_child,
    };
}

search_config recipe_inference_config(const recipe *r) {
    search_config c = recipe_search_config(r);
    c.gold_injection = c.only_if_right = false;
    return c;
}

void recipe_use_search_preset(recipe *r, const search_preset *preset) {
    const search_config *c = &preset->config;
    __typeof__(r->search) *s = &r->search;
    s->simulations = c->simulations;
    s->root_multiplier = c->root_multiplier;
    s->breadth_root = c->breadth_root;
    s->breadth = c->breadth;
    s->root_probe = c->root_probe;
    s->horizon = c->horizon;
    s->max_steps = c->max_steps;
    s->rest_from_depth = c->rest_from_depth;
    s->max_nodes = c->max_nodes;
    s->cut_reward = c->cut_reward;
    s->right_other_reward = c->right_other_reward;
    s->short_bonus_1 = c->short_bonus[0];
    s->short_bonus_2 = c->short_bonus[1];
    s->c_puct = c->c_puct;
    s->gamma = c->gamma;
    s->lambda = c->lambda;
    s->prior = c->prior;
    s->commit = c->commit;
    s->depth_discount_confidence = c->depth_discount_confidence;
    s->unvisited_counts_one = c->unvisited_counts_one;
    s->root_counts_twice = c->root_counts_twice;
    s->gold_injection = c->gold_injection;
    s->pairs_from = c->pairs_from;
    s->pairs_at = c->pairs_at;
    s->smoothing = c->smoothing;
    s->loser = c->loser;
    s->min_q_gap = c->min_q_gap;
    s->smoothing_cap = c->smoothing_cap;
    s->max_pairs = c->max_pairs;
    s->only_if_right = c->only_if_right;
    s->join_only_child = c->join_only_child;
    s->temperature = preset->temperature;
    s->step = preset->step_mode;
    s->max_step_tokens = preset->max_step_tokens;
    s->max_chain_tokens = s->max_steps * s->max_step_tokens; /* 512 in the paper and in the code */
    s->gold_length_over = preset->gold_length_over;
}

/* ---- learning ---- */

const objective *recipe_objective(const recipe *r) {
    return objective_at(r->learn.loss);
}

const void *recipe_objective_options(const recipe *r) {
    return recipe_objective(r)->options.count > 0 ? &r->learn.loss_options : NULL;
}

void recipe_terms_read(const recipe *r, bool of_chains, recipe_terms *out) {
    const objective *of = recipe_objective(r);
    bool pairs = of->paths > 1;
    out->loss = (objective_term){.of = of,
                                 .options = recipe_objective_options(r),
                                 .weight = pairs ? r->learn.weight : 1,
                                 .mean = of->mean};
    /* A chosen step is divided by its own tokens, right chains by those of all chains of the update. */
    out->likelihood_options.per_token = !of_chains && r->learn.nll_per_token;
    out->likelihood =
        (objective_term){.of = &objective_nll,
                         .options = &out->likelihood_options,
                         .weight = pairs ? r->learn.nll : 0,
                         .mean = of_chains && r->learn.nll_per_token ? MEAN_OVER_TOKENS : MEAN_OVER_EXAMPLES};
}

bool recipe_learns_from_pairs(const recipe *r) {
    return recipe_objective(r)->paths > 1 &&
           (r->learn.nll_on == RECIPE_NLL_CHOSEN || r->learn.nll == 0 || r->learn.weight > 0);
}

bool recipe_learns_from_chains(const recipe *r) {
    return recipe_objective(r)->paths == 1 ||
           (r->learn.nll_on == RECIPE_NLL_RIGHT_CHAINS && r->learn.nll > 0);
}

trainer_settings recipe_sft_settings(const recipe *r) {
    return (trainer_settings){.beta1 = r->sft.beta1,
                              .beta2 = r->sft.beta2,
                              .eps = r->sft.eps,
                              .weight_decay = r->sft.weight_decay,
                              .clip = r->sft.clip,
                              .microbatch_tokens = r->sft.tokens_per_microbatch};
}

trainer_settings recipe_learn_settings(const recipe *r) {
    return (trainer_settings){.beta1 = r->learn.beta1,
                              .beta2 = r->learn.beta2,
                              .eps = r->learn.eps,
                              .weight_decay = r->learn.weight_decay,
                              .clip = r->learn.clip,
                              .microbatch_tokens = r->learn.tokens_per_microbatch,
                              .average = r->learn.average};
}

static schedule over(schedule_kind kind, double peak, double warmup, int64_t total) {
    return (schedule){
        .kind = kind, .peak = peak, .warmup_steps = schedule_warmup(warmup, total), .total_steps = total};
}

schedule recipe_sft_schedule(const recipe *r, int64_t total) {
    return over(r->sft.schedule, r->sft.lr, r->sft.warmup, total);
}

schedule recipe_learn_schedule(const recipe *r, int64_t total) {
    return over(r->learn.schedule, r->learn.lr, r->learn.warmup, total);
}
