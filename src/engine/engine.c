/* Making and freeing an engine. */
#include "engine/engine.h"
#include "engine/request.h"

static esp_status add_model(engine *e, model *m, int64_t kv_tokens, esp_error *error) {
    cached_model *added = &e->models[e->model_count++];
    added->m = m;
    return kv_new(&added->kv, m, kv_tokens, error);
}

static esp_status add_models(engine *e, model *m, esp_error *error) {
    model *second = e->set.second;
    int64_t tokens = second ? (e->set.kv_tokens + 1) / 2 : e->set.kv_tokens;
    ESP_TRY(add_model(e, m, tokens, error));
    if (second) ESP_TRY(add_model(e, second, tokens, error));
    for (int p = 0; p < ENGINE_PREFIXES; p++) {
        e->of[p] = &e->models[p < e->model_count ? p : 0];
        e->kv[p] = e->of[p]->kv;
    }
    return ESP_OK;
}

esp_status engine_new(engine **out, model *m, const engine_settings *settings, esp_error *error) {
    *out = NULL;
    if (settings->kv_tokens < 1 || settings->max_batch_tokens < 0 || settings->max_sequences < 0)
        return error_fail(error, "give the cache at least one token and a batch at least one sequence",
                          "a KV cache of %lld tokens, batches of %d tokens and %d sequences",
                          (long long)settings->kv_tokens, settings->max_batch_tokens,
                          settings->max_sequences);
    engine *e = MEM_NEW(engine);
    *e = (engine){.set = *settings};
    if (e->set.max_batch_tokens == 0) e->set.max_batch_tokens = ENGINE_USUAL_BATCH_TOKENS;
    if (e->set.max_sequences == 0) e->set.max_sequences = ENGINE_USUAL_SEQUENCES;
    esp_status status = add_models(e, m, error);
    if (status != ESP_OK) {
        engine_free(e);
        return status;
    }
    *out = e;
    return ESP_OK;
}

void engine_free(engine *e) {
    if (!e) return;
    MEM_LIST_FREE(&e->groups);
    MEM_LIST_FREE(&e->lots);
    MEM_LIST_FREE(&e->active);
    for (int i = 0; i < e->model_count; i++) {
        kv_free(e->models[i].kv);
        MEM_LIST_FREE(&e->models[i].feeds);
        MEM_LIST_FREE(&e->models[i].reads);
        MEM_LIST_FREE(&e->models[i].owners);
    }
    mem_free(e);
}

int64_t engine_cache_tokens(int64_t prompt, int64_t most, int64_t count) {
    return (pages_of(prompt) + count * request_sequence_pages(most)) * KV_PAGE_TOKENS;
}

void engine_limit_sequences(engine *e, int32_t max_sequences) {
    e->set.max_sequences = max_sequences;
}

int32_t engine_max_sequences(const engine *e) {
    return e->set.max_sequences;
}

esp_status engine_check_stop(const engine *e, esp_error *error) {
    if (!e->set.stop || !*e->set.stop) return ESP_OK;
    return error_set(error, ESP_INTERRUPTED, NULL, "stopped on request");
}

model *engine_model(const engine *e) {
    return e->models[0].m;
}
