#include "engine/samples.h"

typedef struct {
    const int32_t *prompt;
    int64_t n, most;
    engine_ends ends;
    engine_sample *samples;
    engine_sequence *sequences;
    int32_t count, first; /* first: of the present request */
    bool begun;
} sample_run;

static engine_ask ask(void *user, int32_t i) {
    (void)user, (void)i;
    return (engine_ask){.sample = true, .score = -1};
}

static bool take(void *user, int32_t i, const engine_token *token, int32_t *keep) {
    const sample_run *run = user;
    engine_sample *s = &run->samples[run->first + i];
    MEM_LIST_PUSH(&s->ids, token->token);
    MEM_LIST_PUSH(&s->logprobs, token->logprob);
    for (int64_t k = 0; k < run->ends.count; k++) s->finished |= token->token == run->ends.at[k];
    *keep = -1;
    return !s->finished && s->ids.count < run->most;
}

static const engine_reader reader = {.ask = ask, .take = take};

static void request(sample_run *run, sequence_group *g) {
    int32_t left = run->count - run->first;
    group_request(g, &(engine_request){.sequences = run->sequences + run->first,
                                       .sequence_count = left,
                                       .width = left,
                                       .divisible = true,
                                       .reader = &reader,
                                       .user = run});
}

static esp_status more(void *user, engine *e, bool wait, esp_error *error) {
    (void)wait, (void)error;
    sample_run *run = user;
    if (run->begun) return ESP_OK;
    sequence_group *g = engine_add_group(e, run);
    group_set_prompt(g, 0, run->prompt, run->n);
    request(run, g);
    run->begun = true;
    return ESP_OK;
}

static esp_status finished(void *user, engine *e, sequence_group *g, esp_error *error) {
    (void)e, (void)error;
    sample_run *run = user;
    run->first += group_begun(g);
    if (run->first < run->count)
        request(run, g);
    else
        group_end(g);
    return ESP_OK;
}

esp_status engine_samples(engine *e, const int32_t *prompt, int64_t n, engine_ends ends, int64_t most,
                          engine_sample *samples, int32_t count, esp_error *error) {
    sample_run run = {.prompt = prompt,
                      .n = n,
                      .most = most,
                      .ends = ends,
                      .samples = samples,
                      .sequences = MEM_ARRAY(engine_sequence, count),
                      .count = count};
    for (int32_t i = 0; i < count; i++)
        run.sequences[i] =
            (engine_sequence){.most = most, .key = samples[i].key, .temperature = samples[i].temperature};
    engine_client client = {.more = more, .finished = finished, .user = &run};
    esp_status status = engine_run(e, &client, error);
    mem_free(run.sequences);
    return status;
}

void engine_sample_free(engine_sample *s) {
    MEM_LIST_FREE(&s->ids);
    MEM_LIST_FREE(&s->logprobs);
}

engine_settings engine_samples_settings(int64_t n, int64_t most, int32_t count) {
    return (engine_settings){.kv_tokens = engine_cache_tokens(n, most, count),
                             .max_batch_tokens =
                                 count > ENGINE_USUAL_BATCH_TOKENS ? count : ENGINE_USUAL_BATCH_TOKENS,
                             .max_sequences = count};
}
