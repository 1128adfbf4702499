/* Jobs dealt out to the workers of a small model: each part of them is searched by a policy with a model
 * worker and a KV cache of its own, on a thread of its own, and the parts meet at the end. Who gets which
 * jobs depends on their number and the number of threads alone. */
#include "base/parallel.h"
#include "policy/lm_inner.h"

enum {
    LEAST_KV = 8192,      /* tokens of cache a policy needs to work well */
    LEAST_JOBS = 4,       /* fewer are not worth a thread */
    LEAST_SEQUENCES = 16, /* products of fewer rows are slow */
};

static esp_status side_new(lm_policy *side, const lm_policy *of, int index, int64_t kv_tokens,
                           esp_error *error) {
    *side = *of;
    side->side = NULL;
    side->sides = 0;
    side->kv = NULL;
    ESP_TRY(model_replica(of->m, index, &side->m, error));
    return kv_new(&side->kv, side->m, kv_tokens, error);
}

/* The policy's own cache, and those of the others: together they hold what the settings say. */
esp_status lm_sides_new(lm_policy *p, esp_error *error) {
    int64_t most = p->set.kv_tokens / LEAST_KV;
    int all = model_replica_limit(p->m);
    if (all > most) all = (int)most;
    if (all > LM_SIDES) all = LM_SIDES;
    if (all < 1 || p->set.plain) all = 1;
    ESP_TRY(kv_new(&p->kv, p->m, p->set.kv_tokens / all, error));
    if (all == 1) return ESP_OK;
    p->side = MEM_ARRAY(lm_policy, all - 1);
    while (p->sides < all - 1) {
        lm_policy *side = &p->side[p->sides++];
        ESP_TRY(side_new(side, p, p->sides, p->set.kv_tokens / all, error));
    }
    return ESP_OK;
}

void lm_sides_free(lm_policy *p) {
    for (int i = 0; i < p->sides; i++) kv_free(p->side[i].kv);
    mem_free(p->side);
    kv_free(p->kv);
}

typedef struct {
    lm_policy *p;
    void *jobs;
    lm_part *part;
    sampler_progress *progress;
    void *user;
    int parts;
    int64_t keys;
    int64_t done[LM_SIDES], sampled[LM_SIDES]; /* written by one thread each, atomically */
    token_counts counts[LM_SIDES];
    esp_status status[LM_SIDES];
    esp_error error[LM_SIDES];
} deal;

typedef struct {
    deal *d;
    int part;
} deal_place;

/* The first part's thread is the caller's, and tells of all. */
static void note_progress(void *user, int64_t done, int64_t sampled) {
    const deal_place *at = user;
    deal *d = at->d;
    __atomic_store_n(&d->done[at->part], done, __ATOMIC_RELAXED);
    __atomic_store_n(&d->sampled[at->part], sampled, __ATOMIC_RELAXED);
    if (at->part > 0 || !d->progress) return;
    for (int i = 1; i < d->parts; i++) {
        done += __atomic_load_n(&d->done[i], __ATOMIC_RELAXED);
        sampled += __atomic_load_n(&d->sampled[i], __ATOMIC_RELAXED);
    }
    d->progress(d->user, done, sampled);
}

/* A small model's sequences in flight on one thread: so many that their keys stay in the core's cache. More
 * would help large matrices only. */
static int32_t sequences_of(const lm_policy *p, int parts, int64_t keys) {
    const model_config *c = model_configuration(p->m);
    int64_t token =
        2 * (int64_t)c->layers * c->kv_heads * c->head_width * (int64_t)dtype_size(model_compute(p->m)->act);
    int64_t most = model_compute(p->m)->traits.core_cache_bytes / (token * keys),
            share = (p->set.max_sequences + parts - 1) / parts;
    if (share > most) share = most;
    if (share < LEAST_SEQUENCES) share = LEAST_SEQUENCES;
    return share < p->set.max_sequences ? (int32_t)share : p->set.max_sequences;
}

static void run_part(void *user, int i) {
    deal *d = user;
    lm_policy own = i ? d->p->side[i - 1] : *d->p; /* a copy: fewer sequences each */
    own.set.max_sequences = sequences_of(&own, d->parts, d->keys);
    deal_place at = {d, i};
    d->status[i] = d->part(&own, d->jobs, i, d->parts, &d->counts[i], note_progress, &at, &d->error[i]);
}

int lm_parts(const lm_policy *p, int64_t jobs) {
    int64_t parts = 1 + p->sides;
    if (parts > jobs / LEAST_JOBS) parts = jobs / LEAST_JOBS;
    return parts < 1 ? 1 : (int)parts;
}

esp_status lm_deal(lm_policy *p, void *jobs, int parts, lm_part *part, int64_t keys, token_counts *counts,
                   sampler_progress *progress, void *user, esp_error *error) {
    token_counts none;
    if (!counts) counts = &none;
    *counts = (token_counts){0};
    if (parts <= 1) return part(p, jobs, 0, 1, counts, progress, user, error);
    deal *d = MEM_NEW(deal);
    *d = (deal){
        .p = p, .jobs = jobs, .part = part, .progress = progress, .user = user, .parts = parts, .keys = keys};
    parallel_run(parts, parts, run_part, d);
    esp_status status = ESP_OK;
    for (int i = 0; i < parts; i++) {
        token_counts_add(counts, &d->counts[i]);
        if (status != ESP_OK || d->status[i] == ESP_OK) continue;
        status = d->status[i];
        if (error) *error = d->error[i];
    }
    if (status == ESP_OK && progress) {
        int64_t done = 0, sampled = 0;
        for (int i = 0; i < parts; i++) done += d->done[i], sampled += d->sampled[i];
        progress(user, done, sampled);
    }
    mem_free(d);
    return status;
}
