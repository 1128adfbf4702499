/* The policy's settings, and what it is made of. */
#include "policy/lm_inner.h"

static esp_status check_settings(const lm_settings *s, esp_error *error) {
    const char *hint = "correct this setting of the search";
    if (!(s->temperature > 0))
        return error_fail(error, hint, "temperature %g is not above 0", (double)s->temperature);
    if (s->max_step_tokens < 1)
        return error_fail(error, hint, "max_step_tokens is %d, it must be at least 1", s->max_step_tokens);
    if (s->max_chain_tokens < s->max_step_tokens)
        return error_fail(error, hint, "max_chain_tokens %d is less than max_step_tokens %d",
                          s->max_chain_tokens, s->max_step_tokens);
    if (s->kv_tokens < 1 || s->max_batch_tokens < 0 || s->max_sequences < 0)
        return error_fail(error, hint,
                          "the KV cache needs at least one token, a batch at least one sequence");
    return ESP_OK;
}

static void lm_free(sampler *s) {
    lm_policy *p = (lm_policy *)s;
    lm_sides_free(p);
    mem_free(p);
}

/* The sampler reads the very weights that a trainer changes, and no key outlives a call: nothing is to be
 * brought anywhere. */
static esp_status lm_publish(sampler *s, const policy_version *version, esp_error *error) {
    (void)s, (void)version, (void)error;
    return ESP_OK;
}

static const sampler_ops lm_ops = {
    .name = "lm", .search = lm_search, .chains = lm_chains, .publish = lm_publish, .free = lm_free};

esp_status lm_new(sampler **out, model *m, const prompt_words *words, const lm_settings *settings,
                  esp_error *error) {
    *out = NULL;
    ESP_TRY(check_settings(settings, error));
    lm_policy *p = MEM_NEW(lm_policy);
    *p = (lm_policy){
        .base = {.ops = &lm_ops, .words = words, .context = model_context(m), .example = settings->example},
        .m = m,
        .words = words,
        .set = *settings};
    if (p->set.max_batch_tokens == 0) p->set.max_batch_tokens = LM_USUAL_BATCH_TOKENS;
    if (p->set.max_sequences == 0) p->set.max_sequences = LM_USUAL_SEQUENCES;
    step_rules rules = lm_rules(p);
    esp_status status = step_rules_check(&rules, error);
    if (status == ESP_OK) status = lm_sides_new(p, error);
    if (status != ESP_OK) {
        lm_free(&p->base);
        return status;
    }
    *out = &p->base;
    return ESP_OK;
}

step_rules lm_rules(const lm_policy *p) {
    step_rules r = prompt_step_rules(p->words);
    r.size = p->set.step_size;
    r.max_step_tokens = p->set.max_step_tokens;
    r.max_chain_tokens = p->set.max_chain_tokens;
    return r;
}
