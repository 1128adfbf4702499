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

esp_status lm_new(lm_policy **out, model *m, const prompt_words *words, const lm_settings *settings,
                  esp_error *error) {
    *out = NULL;
    ESP_TRY(check_settings(settings, error));
    lm_policy *p = MEM_NEW(lm_policy);
    *p = (lm_policy){.m = m, .words = words, .set = *settings};
    if (p->set.max_batch_tokens == 0) p->set.max_batch_tokens = LM_USUAL_BATCH_TOKENS;
    if (p->set.max_sequences == 0) p->set.max_sequences = LM_USUAL_SEQUENCES;
    step_rules rules = lm_rules(p);
    esp_status status = step_rules_check(&rules, error);
    if (status == ESP_OK) status = lm_sides_new(p, error);
    if (status != ESP_OK) {
        lm_free(p);
        return status;
    }
    *out = p;
    return ESP_OK;
}

void lm_free(lm_policy *p) {
    if (!p) return;
    lm_sides_free(p);
    mem_free(p);
}

const prompt_words *lm_words(const lm_policy *p) {
    return p->words;
}

esp_status lm_room(const lm_policy *p, const problem *problem, bool gold_known, bool judge, int64_t *room,
                   esp_error *error) {
    return prompt_room(p->words, problem, judge, gold_known && p->set.example, model_context(p->m), room,
                       error);
}

step_rules lm_rules(const lm_policy *p) {
    step_rules r = prompt_step_rules(p->words);
    r.size = p->set.step_mode == SEARCH_STEP_FILL ? STEP_FILL : STEP_LINE;
    r.prose = p->set.prose;
    r.max_step_tokens = p->set.max_step_tokens;
    r.max_chain_tokens = p->set.max_chain_tokens;
    return r;
}

void counts_add(lm_counts *sum, const lm_counts *c) {
    sum->sampled += c->sampled;
    sum->judged += c->judged;
    sum->suffixes += c->suffixes;
    sum->prompts += c->prompts;
    sum->gold += c->gold;
    sum->computed += c->computed;
    sum->distinct += c->distinct;
    sum->recomputed += c->recomputed;
}
