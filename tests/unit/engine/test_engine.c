/* The engine on tokens alone: what it reads is what the model says of whole paths, sequences that agree are
 * computed once, places that were kept are built on, a cache of any size gives the same, and what cannot be
 * done is refused with nothing left in the cache. A tiny model; where bits are compared, on the plain loops.
 */
#include "engine/engine.h"
#include "compute_support.h"
#include "support.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static esp_error error;

typedef struct {
    compute *c;
    model *m;
} fixture;

static fixture open_model(const char *backend) {
    fixture f;
    OK(test_compute_new(&f.c, backend, DTYPE_F32, 1, &error));
    OK(model_open(&f.m, TEST_DATA "/models/tinystories-656k", &(model_options){.compute = f.c}, &error));
    return f;
}

static void close_model(fixture *f) {
    model_free(f->m);
    compute_free(f->c);
}

enum { PROMPT = 40, SAMPLES = 6, STEP = 12, GROUPS = 4, SUFFIX = 3 };

/* A client with GROUPS groups. Each samples SAMPLES sequences of STEP tokens after its prompt, keeps the
 * first as place 1, samples from there again, and scores all sequences of the first time as tails. */
typedef struct {
    int32_t ids[STEP];
    float logprobs[STEP];
    int32_t count;
} sampled;

typedef struct {
    int32_t prompt[PROMPT];
    int stage;
    engine_piece path;
    engine_sequence sequences[SAMPLES];
    engine_tail tails[SAMPLES];
    sampled first[SAMPLES], second[SAMPLES], *now;
    float answers[SAMPLES][ENGINE_ANSWERS];
    engine_counts counts;
} member;

typedef struct {
    member members[GROUPS];
    int64_t lot; /* groups that are added together; 0: all */
    int64_t added, done, sampled;
    int64_t lots, shared; /* shared: tokens that groups of a lot have in common, each once */
} client;

static const int32_t suffix[SUFFIX] = {7, 8, 9};

static engine_ask ask(void *user, int32_t i) {
    (void)user, (void)i;
    return (engine_ask){.sample = true, .score = -1};
}

static bool take(void *user, int32_t i, const engine_token *t, int32_t *keep) {
    sampled *s = &((member *)user)->now[i];
    s->ids[s->count] = t->token;
    s->logprobs[s->count++] = t->logprob;
    *keep = STEP;
    return s->count < STEP;
}

static void tail(void *user, int32_t i, int answer, float logprob) {
    ((member *)user)->answers[i][answer] = logprob;
}

static const engine_reader reader = {.ask = ask, .take = take, .tail = tail};

static engine_request sampling(member *m, sampled *into, uint64_t key) {
    m->now = into;
    for (int i = 0; i < SAMPLES; i++)
        m->sequences[i] = (engine_sequence){
            .most = STEP, .key = rng_mix(rng_key(key), (uint64_t)i), .temperature = i ? 1.0f : 0.0f};
    return (engine_request){
        .sequences = m->sequences, .sequence_count = SAMPLES, .width = SAMPLES, .reader = &reader, .user = m};
}

static esp_status more(void *user, engine *e, bool wait, esp_error *unused) {
    (void)wait, (void)unused;
    client *c = user;
    int64_t end = c->lot && c->added + c->lot < GROUPS ? c->added + c->lot : GROUPS;
    for (; c->added < end; c->added++) {
        member *m = &c->members[c->added];
        sequence_group *g = engine_add_group(e, m);
        for (int p = 0; p < ENGINE_PREFIXES; p++) group_set_prompt(g, p, m->prompt, PROMPT - p);
        engine_request r = sampling(m, m->first, (uint64_t)c->added);
        group_request(g, &r);
    }
    return ESP_OK;
}

static esp_status finished(void *user, engine *e, sequence_group *g, esp_error *unused) {
    (void)user, (void)unused;
    member *m = group_user(g);
    engine_request r = {.reader = &reader, .user = m};
    switch (m->stage++) {
    case 0:
        group_keep_sequence(e, g, 0, 1);
        m->path = (engine_piece){1, m->first[0].ids, STEP};
        r = sampling(m, m->second, 77);
        r.path = &m->path;
        r.pieces = 1;
        group_request(g, &r);
        return ESP_OK;
    case 1:
        for (int i = 0; i < SAMPLES; i++) m->tails[i] = (engine_tail){m->first[i].ids, STEP - i % 2};
        r.prefix = 1;
        r.tails = m->tails;
        r.tail_count = SAMPLES;
        r.suffix = suffix;
        r.suffix_count = SUFFIX;
        r.answers[0] = 11, r.answers[1] = 12;
        group_request(g, &r);
        return ESP_OK;
    default:
        group_end(g);
        return ESP_OK;
    }
}

static esp_status done(void *user, engine *e, sequence_group *g, esp_error *unused) {
    (void)e, (void)unused;
    client *c = user;
    member *m = group_user(g);
    m->counts = *group_counts(g);
    const engine_counts *shared = group_shared_counts(g);
    if (shared) c->lots++, c->shared += shared->distinct;
    c->done++;
    return ESP_OK;
}

static void progress(void *user, int64_t groups, int64_t tokens) {
    client *c = user;
    assert_int_equal(groups, c->done);
    assert_true(tokens >= c->sampled);
    c->sampled = tokens;
}

static client *fresh_client(void) {
    client *c = calloc(1, sizeof *c);
    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < PROMPT; i++) /* half of it is common to all */
            c->members[g].prompt[i] =
                i < PROMPT / 2 ? 20 + i
                               : 100 + (int32_t)rng_below(rng_key(5), (uint64_t)(g * PROMPT + i), 500);
    return c;
}

static const engine_settings usual = {.kv_tokens = 8192, .max_batch_tokens = 64, .max_sequences = 16};

static client *run_in_lots(fixture *f, const engine_settings *set, int64_t lot) {
    client *c = fresh_client();
    c->lot = lot;
    engine_client ops = {.more = more, .finished = finished, .done = done, .progress = progress, .user = c};
    engine *e;
    OK(engine_new(&e, f->m, set, &error));
    OK(engine_run(e, &ops, &error));
    engine_free(e);
    assert_int_equal(c->done, GROUPS);
    assert_int_equal(c->sampled, GROUPS * 2 * SAMPLES * STEP);
    return c;
}

static client *run(fixture *f, const engine_settings *set) {
    return run_in_lots(f, set, 0);
}

/* Log-probs of the last `n` of the ids, by a forward of their own. */
static void forward(fixture *f, const int32_t *ids, int64_t count, int64_t n, float *out) {
    token_tree_builder t = {0};
    float logprob[PROMPT + 3 * STEP];
    token_tree_add(&t, -1, ids, count);
    token_tree tree = token_tree_view(&t);
    OK(model_forward(f->m, &tree, NULL, false, logprob, &error));
    memcpy(out, logprob + count - n, (size_t)n * sizeof *out);
    token_tree_free(&t);
}

static int64_t join(int32_t *out, int64_t n, const int32_t *ids, int64_t count) {
    memcpy(out + n, ids, (size_t)count * sizeof *ids);
    return n + count;
}

static void check_sampled(fixture *f, const int32_t *before, int64_t n, const sampled *s) {
    int32_t path[PROMPT + 3 * STEP];
    float logprob[STEP];
    int64_t count = join(path, join(path, 0, before, n), s->ids, STEP);
    forward(f, path, count, STEP, logprob);
    for (int i = 0; i < STEP; i++) assert_true(fabs((double)(logprob[i] - s->logprobs[i])) < 1e-4);
}

static void reads_as_the_model_says(void **state) {
    (void)state;
    fixture f = open_model("cpu");
    client *c = run(&f, &usual);
    for (int g = 0; g < GROUPS; g++) {
        const member *m = &c->members[g];
        int32_t path[PROMPT + 3 * STEP];
        int64_t n = join(path, join(path, 0, m->prompt, PROMPT), m->first[0].ids, STEP);
        for (int i = 0; i < SAMPLES; i++) {
            check_sampled(&f, m->prompt, PROMPT, &m->first[i]);
            check_sampled(&f, path, n, &m->second[i]);
        }
        for (int i = 0; i < SAMPLES; i++)
            for (int a = 0; a < ENGINE_ANSWERS; a++) {
                float logprob;
                int32_t whole[PROMPT + 3 * STEP], answer = 11 + a;
                int64_t k = join(whole, 0, m->prompt, PROMPT - 1);
                k = join(whole, k, m->first[i].ids, STEP - i % 2);
                k = join(whole, join(whole, k, suffix, SUFFIX), &answer, 1);
                forward(&f, whole, k, 1, &logprob);
                assert_true(fabs((double)(logprob - m->answers[i][a])) < 1e-4);
            }
    }
    free(c);
    close_model(&f);
}

static void same_members(const client *a, const client *b) {
    for (int g = 0; g < GROUPS; g++) {
        assert_memory_equal(a->members[g].first, b->members[g].first, sizeof a->members[g].first);
        assert_memory_equal(a->members[g].second, b->members[g].second, sizeof a->members[g].second);
        assert_memory_equal(a->members[g].answers, b->members[g].answers, sizeof a->members[g].answers);
    }
}

/* A second model computes what is below prompt 1 and nothing else: sequences are the first model's, answers
 * after tails are what the second says of the same ids, in any batch and with any cache. */
static void second_model_answers(void **state) {
    (void)state;
    fixture f = open_model("ref"), other = f;
    OK(model_create(&other.m, model_configuration(f.m), &(model_options){.compute = f.c}, 3, &error));
    client *alone = run(&f, &usual), *first = NULL;
    engine_settings sets[] = {usual, usual, usual, usual};
    sets[1].max_batch_tokens = 7;
    sets[2].kv_tokens = 960;
    sets[3].unshared = true;
    for (int k = 0; k < 4; k++) {
        sets[k].second = other.m;
        int64_t before = model_tokens_computed(f.m);
        client *both = run(&f, &sets[k]);
        before = model_tokens_computed(f.m) - before;
        for (int g = 0; g < GROUPS; g++) {
            const member *m = &both->members[g];
            if (k < 3) assert_memory_equal(m->first, alone->members[g].first, sizeof m->first);
            if (k < 3) assert_memory_equal(m->second, alone->members[g].second, sizeof m->second);
            assert_int_equal(m->counts.distinct, alone->members[g].counts.distinct);
            for (int i = 0; i < SAMPLES * (k == 0 || k == 3); i++)
                for (int a = 0; a < ENGINE_ANSWERS; a++) {
                    float logprob = first ? first->members[g].answers[i][a] : 0;
                    int32_t whole[PROMPT + 3 * STEP], answer = 11 + a;
                    int64_t n = join(whole, 0, m->prompt, PROMPT - 1);
                    n = join(whole, n, m->first[i].ids, STEP - i % 2);
                    n = join(whole, join(whole, n, suffix, SUFFIX), &answer, 1);
                    if (!first) forward(&other, whole, n, 1, &logprob);
                    assert_true(fabs((double)(logprob - m->answers[i][a])) < 1e-4);
                    assert_true(fabs((double)(m->answers[i][a] - alone->members[g].answers[i][a])) > 1e-3);
                }
        }
        if (first && k < 3) same_members(first, both);
        int64_t all = both->shared;
        for (int g = 0; g < GROUPS; g++) all += both->members[g].counts.computed;
        if (k < 2) assert_true(before > 0 && before < all);
        if (first)
            free(both);
        else
            first = both;
    }
    free(alone);
    free(first);
    model_free(other.m);
    close_model(&f);
}

/* Whatever the batch, the number of sequences in flight, and the cache: the same bits where a row's bits do
 * not depend on its batch. With room nothing is computed twice; a small cache costs, and no sharing costs
 * more. */
static void company_and_cache_do_not_matter(void **state) {
    (void)state;
    fixture f = open_model("ref");
    client *whole = run(&f, &usual);
    engine_settings sets[] = {usual, usual, usual, usual};
    sets[0].max_batch_tokens = 7;
    sets[1].max_sequences = 1;
    sets[2].kv_tokens = 480;
    sets[3].unshared = true;
    int64_t least = 0, computed[4] = {0};
    for (int g = 0; g < GROUPS; g++) {
        const engine_counts *n = &whole->members[g].counts;
        assert_int_equal(n->computed, n->distinct + n->suffixes);
        assert_int_equal(n->suffixes, SAMPLES * SUFFIX);
        assert_true(n->tails <= SAMPLES * STEP);
        least += n->computed;
    }
    for (int k = 0; k < 4; k++) {
        client *other = run(&f, &sets[k]);
        for (int g = 0; g < GROUPS; g++) {
            assert_int_equal(other->members[g].counts.distinct, whole->members[g].counts.distinct);
            computed[k] += other->members[g].counts.computed;
        }
        if (k < 3) same_members(whole, other);
        free(other);
    }
    assert_int_equal(computed[0], least);
    assert_true(computed[2] >= least);
    assert_true(computed[3] > 3 * least);
    free(whole);
    close_model(&f);
}

/* What a lot's groups share is counted for each lot again, whatever else is in flight: also where the cache
 * is so small that a lot must give up what it shares. A group by itself shares nothing. */
static void lots_share_among_themselves(void **state) {
    (void)state;
    fixture f = open_model("ref");
    client *whole = run(&f, &usual);
    assert_int_equal(whole->lots, 1);
    assert_int_equal(whole->shared, 2 * PROMPT / 2); /* in both prefixes */
    engine_settings small = usual;
    small.kv_tokens = 480;
    for (int k = 0; k < 4; k++) {
        int64_t lot = 1 + k % 2;
        client *parts = run_in_lots(&f, k < 2 ? &usual : &small, lot);
        assert_int_equal(parts->lots, GROUPS / lot);
        assert_int_equal(parts->shared, lot == 1 ? 0 : parts->lots * whole->shared);
        same_members(whole, parts);
        for (int g = 0; g < GROUPS; g++) {
            int64_t own = parts->members[g].counts.distinct, in_all = whole->members[g].counts.distinct;
            assert_int_equal(own, lot == 1 ? in_all + whole->shared : in_all);
        }
        free(parts);
    }
    free(whole);
    close_model(&f);
}

/* Groups that pause go on after that number of calls, in the order of their pauses, once each, and get what
 * they would have got; where nothing else can run nobody waits for nothing; a cache that paused groups fill,
 * and an engine without sharing, end too. */
typedef struct {
    client of; /* first: other callbacks take it for the client */
    int resumed, in_flight;
    bool odd_only;
} pausing;

static esp_status pause_first(void *user, engine *e, sequence_group *g, esp_error *unused) {
    pausing *p = user;
    const member *m = group_user(g);
    int number = (int)(m - p->of.members);
    if (p->odd_only && number % 2 == 0) return finished(user, e, g, unused);
    p->in_flight++;
    group_pause(e, g, 1 + 7 * number + 3 * m->stage);
    return ESP_OK;
}

static esp_status after_pause(void *user, engine *e, sequence_group *g, esp_error *unused) {
    pausing *p = user;
    p->resumed++;
    p->in_flight--;
    return finished(user, e, g, unused);
}

static void paused_groups_go_on(void **state) {
    (void)state;
    fixture f = open_model("ref");
    client *whole = run(&f, &usual);
    engine_settings sets[] = {usual, usual, usual, usual, usual};
    sets[1].max_sequences = 1;
    sets[2].kv_tokens = 480;
    sets[3].unshared = true;
    for (int k = 0; k < 5; k++) {
        pausing *p = calloc(1, sizeof *p);
        client *fresh = fresh_client();
        p->of = *fresh;
        free(fresh);
        p->odd_only = k == 4;
        engine_client ops = {.more = more,
                             .finished = pause_first,
                             .resumed = after_pause,
                             .done = done,
                             .progress = progress,
                             .user = p};
        engine *e;
        OK(engine_new(&e, f.m, &sets[k], &error));
        for (int round = 0; round < 2; round++) { /* a second run begins as the first did */
            memset(&p->of.added, 0, sizeof p->of - offsetof(client, added));
            for (int g = 0; g < GROUPS; g++) {
                member *m = &p->of.members[g];
                m->stage = 0;
                memset(m->first, 0, sizeof m->first);
                memset(m->second, 0, sizeof m->second);
            }
            p->resumed = 0;
            OK(engine_run(e, &ops, &error));
            assert_int_equal(p->resumed, (p->odd_only ? GROUPS / 2 : GROUPS) * 3);
            assert_int_equal(p->in_flight, 0);
            assert_int_equal(p->of.done, GROUPS);
            if (k != 3) same_members(whole, &p->of);
        }
        engine_free(e);
        free(p);
    }
    free(whole);
    close_model(&f);
}

static void refuses_what_cannot_be_done(void **state) {
    (void)state;
    fixture f = open_model("cpu");
    engine *e;
    engine_settings set = usual;
    set.kv_tokens = 0;
    assert_int_equal(engine_new(&e, f.m, &set, &error), ESP_FAILED);
    set.kv_tokens = 128;
    volatile sig_atomic_t stop = 0;
    set.stop = &stop;
    OK(engine_new(&e, f.m, &set, &error));
    client *c = fresh_client();
    engine_client ops = {.more = more, .finished = finished, .user = c};
    for (int round = 0; round < 2; round++) { /* the cache is empty again after it */
        c->added = 0;
        assert_int_equal(engine_run(e, &ops, &error), ESP_FAILED);
        assert_non_null(strstr(error.message, "the KV cache of 128 tokens is too small"));
        assert_int_equal(error.reason, ESP_REASON_CACHE_FULL);
    }
    stop = 1;
    c->added = 0;
    assert_int_equal(engine_run(e, &ops, &error), ESP_INTERRUPTED);
    engine_free(e);
    free(c);
    close_model(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_model_answers),
        cmocka_unit_test(reads_as_the_model_says),
        cmocka_unit_test(company_and_cache_do_not_matter),
        cmocka_unit_test(lots_share_among_themselves),
        cmocka_unit_test(paused_groups_go_on),
        cmocka_unit_test(refuses_what_cannot_be_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
