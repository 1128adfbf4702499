/* Making and freeing an engine. */
#include "engine/engine.h"
#include "engine/request.h"

esp_status engine_new(engine **out, model *m, const engine_settings *settings, esp_error *error) {
    *out = NULL;
    if (settings->kv_tokens < 1 || settings->max_batch_tokens < 0 || settings->max_sequences < 0)
        return error_fail(error, "give the cache at least one token and a batch at least one sequence",
                          "a KV cache of %lld tokens, batches of %d tokens and %d sequences",
                          (long long)settings->kv_tokens, settings->max_batch_tokens,
                          settings->max_sequences);
    engine *e = MEM_NEW(engine);
    *e = (engine){.m = m, .set = *settings};
    if (e->set.max_batch_tokens == 0) e->set.max_batch_tokens = ENGINE_USUAL_BATCH_TOKENS;
    if (e->set.max_sequences == 0) e->set.max_sequences = ENGINE_USUAL_SEQUENCES;
    esp_status status = kv_new(&e->kv, m, settings->kv_tokens, error);
    if (status != ESP_OK) {
        engine_free(e);
        return status;
    }
    *out = e;
    return ESP_OK;
}

void engine_free(engine *e) {
    if (!e) return;
    kv_free(e->kv);
    MEM_LIST_FREE(&e->groups);
    MEM_LIST_FREE(&e->lots);
    MEM_LIST_FREE(&e->active);
    MEM_LIST_FREE(&e->feeds);
    MEM_LIST_FREE(&e->reads);
    MEM_LIST_FREE(&e->owners);
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
    return e->m;
}
