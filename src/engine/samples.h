/* Samples of one prompt: the engine's simplest client. */
#ifndef ESPALIER_ENGINE_SAMPLES_H
#define ESPALIER_ENGINE_SAMPLES_H

#include "engine/engine.h"

typedef struct {
    rng_key_t key;
    float temperature; /* 0: greedy */
    /* out; freed by engine_sample_free */
    MEM_LIST(int32_t) ids;
    MEM_LIST(float) logprobs; /* of the untempered model */
    bool finished;            /* the last id is an end */
} engine_sample;

/* Ids that end a sample. */
typedef struct {
    const int32_t *at;
    int64_t count;
} engine_ends;
/* Continues the prompt's n ids `count` times, each until one of `ends` or `most` tokens, at least 1. */
esp_status engine_samples(engine *e, const int32_t *prompt, int64_t n, engine_ends ends, int64_t most,
                          engine_sample *samples, int32_t count, esp_error *error);
void engine_sample_free(engine_sample *s);
/* Settings of an engine in which they all run side by side. */
engine_settings engine_samples_settings(int64_t n, int64_t most, int32_t count);

#endif
