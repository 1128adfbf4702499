/* The language-model sampler: its settings, and what it is made of. */
#include "policy/lm_policy.h"

static esp_status check_settings(const lm_settings *s, esp_error *error) {
    const char *hint = "correct this setting of the search";
    if (!(s->temperature > 0))
        return error_fail(error, hint, "temperature %g is not above 0", (double)s->temperature);
    if (s->max_step_tokens < 1)
        return error_fail(error, hint, "max_step_tokens is %d, it must be at least 1", s->max_step_tokens);
    if (s->max_chain_tokens < s->max_step_tokens)
        return error_fail(error, hint, "max_chain_tokens %d is less than max_step_tokens %d",
                          s->max_chain_tokens, s->max_step_tokens);
    return ESP_OK;
}

static void lm_free(sampler *s) {
    lm_policy *p = (lm_policy *)s;
    engine_replicas_free(p->replicas);
    mem_free(p);
}

/* The sampler reads the very weights that a trainer changes, and nothing cached outlives a call: there is
 * nothing to bring anywhere. */
static esp_status lm_publish(sampler *s, const policy_version *version, esp_error *error) {
    (void)s, (void)version, (void)error;
    return ESP_OK;
}

static const sampler_ops lm_ops = {.name = "lm",
                                   .search = lm_search,
                                   .chains = lm_chains,
                                   .score = lm_score,
                                   .publish = lm_publish,
                                   .free = lm_free};

esp_status lm_new(sampler **out, model *m, const prompt_words *words, const lm_settings *settings,
                  esp_error *error) {
    *out = NULL;
    ESP_TRY(check_settings(settings, error));
    lm_policy *p = MEM_NEW(lm_policy);
    *p = (lm_policy){
        .base = {.ops = &lm_ops, .words = words, .context = model_context(m), .example = settings->example},
        .set = *settings};
    engine_settings engines = {.kv_tokens = settings->kv_tokens,
                               .max_batch_tokens = settings->max_batch_tokens,
                               .max_sequences = settings->max_sequences,
                               .second = settings->judge,
                               .unshared = settings->unshared,
                               .stop = settings->stop};
    step_rules rules = lm_rules(p);
    esp_status status = step_rules_check(&rules, error);
    if (status == ESP_OK) status = engine_replicas_new(&p->replicas, m, &engines, error);
    if (status != ESP_OK) {
        lm_free(&p->base);
        return status;
    }
    *out = &p->base;
    return ESP_OK;
}

step_rules lm_rules(const lm_policy *p) {
    step_rules r = prompt_step_rules(p->base.words);
    r.size = p->set.step_size;
    r.max_step_tokens = p->set.max_step_tokens;
    r.max_chain_tokens = p->set.max_chain_tokens;
    return r;
}

token_counts lm_counts_of(const engine_counts *own, const engine_counts *shared) {
    token_counts c = {.judged = own->tails,
                      .suffixes = own->suffixes,
                      .prompts = own->prompts + (shared ? shared->prompts : 0),
                      .computed = own->computed + (shared ? shared->computed : 0),
                      .distinct = own->distinct + (shared ? shared->distinct : 0)};
    c.recomputed = c.computed - c.suffixes - c.distinct;
    return c;
}
