#include "recipe/recipe_parts.h"

/* ---- search ---- */

search_config recipe_inference_config(const recipe *r) {
    search_config c = r->search.config;
    c.limits.gold_injection = false;
    return c;
}

/* ---- learning ---- */

loss_options recipe_loss_options(const recipe *r) {
    static const loss_kind kinds[] = {[RECIPE_DPO] = LOSS_DPO,
                                      [RECIPE_IPO] = LOSS_IPO,
                                      [RECIPE_RFT] = LOSS_DPO,
                                      [RECIPE_DPOP] = LOSS_DPO_POSITIVE};
    return (loss_options){.kind = kinds[r->learn.loss],
                          .beta = r->learn.beta,
                          .weight = r->learn.weight,
                          .lambda = r->learn.penalty,
                          .nll_weight = r->learn.nll,
                          .nll_per_token = r->learn.nll_per_token};
}

bool recipe_learns_from_pairs(const recipe *r) {
    return r->learn.loss != RECIPE_RFT &&
           (r->learn.nll_on == RECIPE_NLL_CHOSEN || r->learn.nll == 0 || r->learn.weight > 0);
}

bool recipe_learns_from_chains(const recipe *r) {
    return r->learn.loss == RECIPE_RFT || (r->learn.nll_on == RECIPE_NLL_RIGHT_CHAINS && r->learn.nll > 0);
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
