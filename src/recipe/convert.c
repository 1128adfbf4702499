#include "recipe/convert.h"

#include "model/adapter_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

dtype recipe_activations(const recipe *r) {
    return r->model.dtype == RECIPE_F32 ? DTYPE_F32 : DTYPE_BF16;
}

/* The bits of "all", or the bit of the target whose name is the first n characters; 0: there is none. */
static unsigned target_bit(const char *name, size_t n) {
    if (n == 3 && strncmp(name, "all", n) == 0) return ADAPT_ALL;
    for (int i = 0; adapter_target_name(i); i++)
        if (strlen(adapter_target_name(i)) == n && strncmp(adapter_target_name(i), name, n) == 0)
            return 1u << i;
    return 0;
}

/* The adapter that is at the path, if it is one. */
static esp_status own_adapter(const char *path, adapter_config *out, esp_error *error) {
    adapter_folder f;
    if (!path || !adapter_is_at(path)) return ESP_OK;
    ESP_TRY(adapter_folder_read(path, &f, error));
    *out = f.config;
    adapter_folder_free(&f);
    return ESP_OK;
}

esp_status recipe_adapter(const recipe *r, adapter_config *out, esp_error *error) {
    double alpha = r->adapter.alpha > 0 ? r->adapter.alpha : 2 * (double)r->adapter.rank;
    *out = (adapter_config){.rank = r->adapter.rank, .alpha = alpha, .rslora = r->adapter.rslora};
    if (out->rank == 0) return own_adapter(r->model.path, out, error);
    for (const char *at = r->adapter.targets; *at;) {
        size_t n = strcspn(at, "\n");
        unsigned bit = target_bit(at, n);
        if (n > 0 && !bit)
            return error_fail(
                error, "name all, or some of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj",
                "adapter.targets: %.*s is no matrix of a model", (int)(n < 60 ? n : 60), at);
        out->targets |= bit;
        at += n + (at[n] == '\n');
    }
    return adapter_check(out, "adapter", error);
}

/* ---- search ---- */

search_config recipe_inference_config(const recipe *r) {
    search_config c = r->search.config;
    c.limits.gold_injection = false;
    return c;
}

bool recipe_answer_worth(const recipe *r, answer_worth *out) {
    const char *text = r->task.unknown;
    *out = (answer_worth){.unknown = ANSWER_SKIP};
    if (strcmp(text, "skip") == 0) return true;
    out->unknown = ANSWER_INCORRECT;
    if (strcmp(text, "incorrect") == 0) return true;
    char *end;
    *out = (answer_worth){.unknown = ANSWER_REWARD, .reward = strtod(text, &end)};
    return *text && !*end && isfinite(out->reward);
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
    bool chains = of->source == LEARNS_FROM_CHAINS; /* the loss is the likelihood already */
    out->loss = (objective_term){.of = of,
                                 .options = recipe_objective_options(r),
                                 .weight = chains ? 1 : r->learn.weight,
                                 .mean = of->mean};
    /* A chosen step is divided by its own tokens, correct chains by those of all chains of the update. */
    out->likelihood_options.per_token = !of_chains && r->learn.nll_per_token;
    out->likelihood =
        (objective_term){.of = &objective_nll,
                         .options = &out->likelihood_options,
                         .weight = chains ? 0 : r->learn.nll,
                         .mean = of_chains && r->learn.nll_per_token ? MEAN_OVER_TOKENS : MEAN_OVER_EXAMPLES};
}

/* Whether an update has rows of the loss beside the likelihood of correct chains. */
static bool has_loss(const recipe *r) {
    return r->learn.nll_on == RECIPE_NLL_CHOSEN || r->learn.nll == 0 || r->learn.weight > 0;
}

bool recipe_learns_from_pairs(const recipe *r) {
    return recipe_objective(r)->source == LEARNS_FROM_PAIRS && has_loss(r);
}

bool recipe_learns_from_trees(const recipe *r) {
    example_source source = recipe_objective(r)->source;
    return source != LEARNS_FROM_PAIRS && source != LEARNS_FROM_CHAINS && has_loss(r);
}

bool recipe_learns_from_chains(const recipe *r) {
    return recipe_objective(r)->source == LEARNS_FROM_CHAINS ||
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
