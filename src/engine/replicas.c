#include "engine/replicas.h"
#include "base/parallel.h"

enum {
    MOST_REPLICAS = 64,
    LEAST_KV = 8192,      /* tokens of cache an engine needs to work well */
    LEAST_JOBS = 4,       /* fewer are not worth a thread */
    LEAST_SEQUENCES = 16, /* products of fewer rows are slow */
};

struct engine_replicas {
    engine *at[MOST_REPLICAS];
    int count;
    int32_t max_sequences; /* of all together */
};

static esp_status add_replica(engine_replicas *r, model *m, const engine_settings *set, esp_error *error) {
    model *own = m;
    engine_settings own_set = *set;
    if (r->count > 0) ESP_TRY(model_replica(m, r->count, &own, error));
    if (r->count > 0 && set->second) ESP_TRY(model_replica(set->second, r->count, &own_set.second, error));
    ESP_TRY(engine_new(&r->at[r->count], own, &own_set, error));
    r->count++;
    return ESP_OK;
}

esp_status engine_replicas_new(engine_replicas **out, model *m, const engine_settings *settings,
                               esp_error *error) {
    *out = NULL;
    int64_t most = settings->kv_tokens / LEAST_KV;
    int count = model_replica_limit(m);
    if (count > most) count = (int)most;
    if (settings->second && count > model_replica_limit(settings->second))
        count = model_replica_limit(settings->second);
    if (count > MOST_REPLICAS) count = MOST_REPLICAS;
    if (count < 1 || settings->unshared) count = 1;
    engine_settings each = *settings;
    if (count > 1) each.kv_tokens /= count;
    engine_replicas *r = MEM_NEW(engine_replicas);
    for (int i = 0; i < count; i++) {
        esp_status status = add_replica(r, m, &each, error);
        if (status == ESP_OK) continue;
        engine_replicas_free(r);
        return status;
    }
    r->max_sequences = engine_max_sequences(r->at[0]);
    *out = r;
    return ESP_OK;
}

void engine_replicas_free(engine_replicas *r) {
    for (int i = 0; r && i < r->count; i++) engine_free(r->at[i]);
    mem_free(r);
}

int engine_replicas_for(const engine_replicas *r, int64_t jobs) {
    int64_t count = r->count;
    if (count > jobs / LEAST_JOBS) count = jobs / LEAST_JOBS;
    return count < 1 ? 1 : (int)count;
}

/* ---- Running side by side ---- */

typedef struct replica_run replica_run;

struct replica_place {
    replica_run *run;
    int index;
    int64_t done, sampled; /* written by its own thread, atomically */
    esp_status status;
    esp_error error;
};

struct replica_run {
    engine_replicas *replicas;
    int count;
    replica_work *work;
    void *user;
    replica_progress *progress;
    void *progress_user;
    replica_place place[MOST_REPLICAS];
};

/* The first replica's thread is the caller's, and reports for all. */
void replica_note(replica_place *place, int64_t done, int64_t sampled) {
    replica_run *run = place->run;
    __atomic_store_n(&place->done, done, __ATOMIC_RELAXED);
    __atomic_store_n(&place->sampled, sampled, __ATOMIC_RELAXED);
    if (place->index > 0 || !run->progress) return;
    for (int i = 1; i < run->count; i++) {
        done += __atomic_load_n(&run->place[i].done, __ATOMIC_RELAXED);
        sampled += __atomic_load_n(&run->place[i].sampled, __ATOMIC_RELAXED);
    }
    run->progress(run->progress_user, done, sampled);
}

static void run_replica(void *user, int i) {
    replica_run *run = user;
    replica_place *place = &run->place[i];
    place->status = run->work(run->user, run->replicas->at[i], i, place, &place->error);
}

/* Sequences in flight on one thread: as many as keep their keys in the core's cache. More would help large
 * matrices only. */
static int32_t sequences_each(const engine_replicas *r, int count, int64_t tokens_each) {
    model *m = engine_model(r->at[0]);
    const model_config *c = model_configuration(m);
    int64_t token =
        2 * (int64_t)c->layers * c->kv_heads * c->head_width * (int64_t)dtype_size(model_compute(m)->act);
    int64_t most = model_compute(m)->traits.core_cache_bytes / (token * tokens_each),
            share = (r->max_sequences + count - 1) / count;
    if (share > most) share = most;
    if (share < LEAST_SEQUENCES) share = LEAST_SEQUENCES;
    return share < r->max_sequences ? (int32_t)share : r->max_sequences;
}

esp_status engine_replicas_run(engine_replicas *r, int count, int64_t tokens_each, replica_work *work,
                               void *user, replica_progress *progress, void *progress_user,
                               esp_error *error) {
    replica_run *run = MEM_NEW(replica_run);
    *run = (replica_run){.replicas = r,
                         .count = count,
                         .work = work,
                         .user = user,
                         .progress = progress,
                         .progress_user = progress_user};
    int32_t sequences = count > 1 ? sequences_each(r, count, tokens_each) : r->max_sequences;
    for (int i = 0; i < count; i++) {
        run->place[i] = (replica_place){.run = run, .index = i};
        engine_limit_sequences(r->at[i], sequences);
    }
    parallel_run(count, count, run_replica, run);
    esp_status status = ESP_OK;
    int64_t done = 0, sampled = 0;
    for (int i = 0; i < count; i++) {
        const replica_place *place = &run->place[i];
        done += place->done, sampled += place->sampled;
        if (status != ESP_OK || place->status == ESP_OK) continue;
        status = place->status;
        if (error) *error = place->error;
    }
    if (status == ESP_OK && count > 1 && progress) progress(progress_user, done, sampled);
    mem_free(run);
    return status;
}
