/* Samples of one prompt: greedy ones are what the model alone says, a sample does not depend on how many
 * others there are or on the cache, and the end ends it. On the plain loops, where a row's bits do not depend
 * on its batch. */
#include "compute_support.h"
#include "engine/samples.h"
#include "support.h"

#include <string.h>

static esp_error error;

enum { PROMPT = 20, MOST = 24, COUNT = 5 };

typedef struct {
    compute *c;
    model *m;
    int32_t prompt[PROMPT];
} fixture;

static fixture open_model(void) {
    fixture f;
    OK(test_compute_new(&f.c, "ref", DTYPE_F32, 1, &error));
    OK(model_open(&f.m, TEST_DATA "/models/tinystories-656k", &(model_options){.compute = f.c}, &error));
    for (int i = 0; i < PROMPT; i++) f.prompt[i] = 30 + 7 * i;
    return f;
}

static void close_model(fixture *f) {
    model_free(f->m);
    compute_free(f->c);
}

/* The first sample is greedy. */
static void sample(fixture *f, const engine_settings *set, int32_t end, engine_sample *out, int32_t count) {
    engine *e;
    OK(engine_new(&e, f->m, set, &error));
    for (int32_t i = 0; i < count; i++)
        out[i] = (engine_sample){.key = rng_mix(rng_key(3), (uint64_t)i), .temperature = i ? 1.0f : 0.0f};
    OK(engine_samples(e, f->prompt, PROMPT, (engine_ends){&end, 1}, MOST, out, count, &error));
    engine_free(e);
}

static void same_sample(const engine_sample *a, const engine_sample *b) {
    assert_int_equal(a->ids.count, b->ids.count);
    assert_memory_equal(a->ids.at, b->ids.at, (size_t)a->ids.count * 4);
    assert_memory_equal(a->logprobs.at, b->logprobs.at, (size_t)a->ids.count * 4);
}

static void free_all(engine_sample *s, int32_t count) {
    for (int32_t i = 0; i < count; i++) engine_sample_free(&s[i]);
}

static void greedy_alone(fixture *f, int32_t *out) {
    kv_cache *kv;
    OK(kv_new(&kv, f->m, 128, &error));
    int32_t run = kv_run_new(kv, -1);
    kv_feed feed = {run, f->prompt, PROMPT, false};
    for (int i = 0; i < MOST; i++) {
        kv_read read = {.at = feed.n - 1, .kind = READ_GREEDY};
        OK(model_extend(f->m, kv, &feed, 1, &read, 1, &error));
        out[i] = read.token;
        feed = (kv_feed){run, &out[i], 1, true};
    }
    kv_run_release(kv, run);
    kv_free(kv);
}

static void samples_stand_alone(void **state) {
    (void)state;
    fixture f = open_model();
    engine_sample all[COUNT], some[COUNT];
    engine_settings wide = engine_samples_settings(PROMPT, MOST, COUNT), narrow = wide;
    narrow.kv_tokens = engine_cache_tokens(PROMPT, MOST, 1); /* one after the other */
    sample(&f, &wide, -1, all, COUNT);
    int32_t greedy[MOST];
    greedy_alone(&f, greedy);
    assert_int_equal(all[0].ids.count, MOST);
    assert_memory_equal(all[0].ids.at, greedy, sizeof greedy);
    assert_memory_not_equal(all[1].ids.at, all[2].ids.at, MOST * 4);
    sample(&f, &narrow, -1, some, COUNT);
    for (int i = 0; i < COUNT; i++) same_sample(&all[i], &some[i]);
    free_all(some, COUNT);
    engine_settings one = engine_samples_settings(PROMPT, MOST, 2);
    sample(&f, &one, -1, some, 2);
    for (int i = 0; i < 2; i++) same_sample(&all[i], &some[i]);
    free_all(some, 2);
    free_all(all, COUNT);
    close_model(&f);
}

static void the_end_ends(void **state) {
    (void)state;
    fixture f = open_model();
    engine_sample whole[1], ended[1];
    engine_settings set = engine_samples_settings(PROMPT, MOST, 1);
    sample(&f, &set, -1, whole, 1);
    int32_t end = whole[0].ids.at[MOST / 2];
    int64_t first = 0;
    while (whole[0].ids.at[first] != end) first++;
    sample(&f, &set, end, ended, 1);
    assert_true(ended[0].finished && !whole[0].finished);
    assert_int_equal(ended[0].ids.count, first + 1);
    assert_memory_equal(ended[0].ids.at, whole[0].ids.at, (size_t)(first + 1) * 4);
    free_all(whole, 1);
    free_all(ended, 1);
    close_model(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_stand_alone),
        cmocka_unit_test(the_end_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
