#include "policy/lm_prompts.h"

/* The work and the counts of each replica. */
typedef struct {
    const prompt_work *work;
    int replicas;
    token_counts *counts; /* [replicas] */
} dealt_work;

/* The jobs of one replica. */
typedef struct {
    const prompt_work *work;
    int64_t next, end;
    replica_place *place;
    token_counts *counts;
    MEM_LIST(prompt_group *) groups;
} replica_run;

static void request(prompt_group *g) {
    int32_t left = (int32_t)(g->count - g->begun);
    group_request(g->group, &(engine_request){.prefix = PREFIX_POLICY,
                                              .sequences = g->sequences + g->begun,
                                              .sequence_count = left,
                                              .width = left,
                                              .divisible = true,
                                              .reader = g->work->reader,
                                              .user = g});
}

static void clear(prompt_group *g) {
    if (g->work->clear) g->work->clear(g);
    mem_free(g->sequences);
    g->sequences = NULL;
}

static esp_status finished(void *user, engine *e, sequence_group *group, esp_error *error) {
    (void)user, (void)e;
    prompt_group *g = group_user(group);
    int64_t n = group_begun(group);
    if (g->work->finished) ESP_TRY(g->work->finished(g, n, error));
    g->begun += n;
    if (g->begun < g->count)
        request(g);
    else
        group_end(group);
    return ESP_OK;
}

static esp_status done(void *user, engine *e, sequence_group *group, esp_error *error) {
    (void)e, (void)error;
    replica_run *run = user;
    prompt_group *g = group_user(group);
    token_counts own = lm_counts_of(group_counts(group), group_shared_counts(group));
    own.sampled = g->sampled;
    token_counts_add(run->counts, &own);
    clear(g);
    return ESP_OK;
}

/* All the replica's jobs are there from the beginning. */
static esp_status more(void *user, engine *e, bool wait, esp_error *error) {
    (void)wait;
    replica_run *run = user;
    const prompt_work *work = run->work;
    while (run->next < run->end) {
        prompt_group *g = MEM_NEW(prompt_group);
        int64_t first = run->next++;
        while (run->next < run->end && work->together(work, first, run->next)) run->next++;
        *g = (prompt_group){.work = work, .first = first, .count = run->next - first};
        g->group = engine_add_group(e, g);
        g->sequences = MEM_ARRAY(engine_sequence, g->count);
        MEM_LIST_PUSH(&run->groups, g);
        ESP_TRY(work->prepare(g, engine_model(e), error));
        request(g);
    }
    return ESP_OK;
}

static void progress(void *user, int64_t groups_done, int64_t sampled) {
    const replica_run *run = user;
    replica_note(run->place, groups_done, sampled);
}

/* The first job of a replica; jobs of one group stay together. */
static int64_t first_of(const dealt_work *d, int replica) {
    const prompt_work *work = d->work;
    int64_t at = work->jobs * replica / d->replicas;
    while (at > 0 && at < work->jobs && work->together(work, at - 1, at)) at++;
    return at;
}

static esp_status run_on(void *user, engine *e, int replica, replica_place *place, esp_error *error) {
    const dealt_work *d = user;
    replica_run run = {.work = d->work,
                       .next = first_of(d, replica),
                       .end = first_of(d, replica + 1),
                       .place = place,
                       .counts = &d->counts[replica]};
    engine_client client = {
        .more = more, .finished = finished, .done = done, .progress = progress, .user = &run};
    esp_status status = engine_run(e, &client, error);
    for (int64_t i = 0; i < run.groups.count; i++) {
        clear(run.groups.at[i]);
        mem_free(run.groups.at[i]);
    }
    MEM_LIST_FREE(&run.groups);
    return status;
}

esp_status lm_run_prompts(const prompt_work *work, token_counts *counts, sampler_progress *note, void *user,
                          esp_error *error) {
    engine_replicas *all = work->policy->replicas;
    dealt_work d = {.work = work, .replicas = engine_replicas_for(all, work->jobs)};
    d.counts = MEM_ARRAY(token_counts, d.replicas);
    esp_status status =
        engine_replicas_run(all, d.replicas, work->tokens_each, run_on, &d, note, user, error);
    if (counts) *counts = (token_counts){0};
    for (int i = 0; i < d.replicas && counts; i++) token_counts_add(counts, &d.counts[i]);
    mem_free(d.counts);
    return status;
}
