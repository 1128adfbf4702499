/* The scheduler: starts requests while their pages are there, fills one model call from all feeds that have
 * ids left, and delivers the answers, always in the same order. */
#include "engine/answers.h"
#include "engine/request.h"
#include "engine/unshared.h"

#include <assert.h>
#include <string.h>

/* ---- Lots: what their groups begin with ---- */

/* Sharing costs a page that is not full; below this it is not worth it. */
enum { LEAST_SHARED = 8 };

static void drop_first(id_list *ids, int64_t n) {
    ids->count -= n;
    memmove(ids->at, ids->at + n, (size_t)ids->count * sizeof *ids->at);
}

/* How many ids `own` begins with as `first` does, at most `most` and one less than it has: each group keeps
 * an id of its own to read at. */
static int64_t same_beginning(const id_list *first, const id_list *own, int64_t most) {
    if (most > own->count - 1) most = own->count - 1;
    int64_t k = 0;
    while (k < most && own->at[k] == first->at[k]) k++;
    return k;
}

/* Counts the lot's shared ids up to `done` that were not counted before. */
static void count_shared(group_lot *lot, shared_prefix *s) {
    int64_t n = s->done - s->counted;
    if (n <= 0) return;
    lot->counts.prompts += n;
    lot->counts.distinct += n;
    s->counted = s->done;
}

/* Takes the ids that all groups of the lot begin with off their prompts. */
static void share_prefix(engine *e, group_lot *lot, int p) {
    sequence_group **groups = e->groups.at + lot->first;
    shared_prefix *shared = &lot->shared[p];
    if (lot->groups < 2 || groups[0]->prompt[p].count == 0) return;
    const id_list *first = &groups[0]->prompt[p];
    int64_t same = first->count;
    for (int64_t i = 0; i < lot->groups; i++) same = same_beginning(first, &groups[i]->prompt[p], same);
    if (same < LEAST_SHARED) return;
    MEM_LIST_APPEND(&shared->ids, first->at, same);
    for (int64_t i = 0; i < lot->groups; i++) drop_first(&groups[i]->prompt[p], same);
    if (!e->set.unshared) return;
    shared->done = same; /* counted once, as in the shared engine, but computed again and again */
    count_shared(lot, shared);
}

/* Groups from the client: those that come together are a lot. */
static esp_status more_groups(engine *e, const engine_client *client, bool wait, esp_error *error) {
    int64_t before = e->groups.count;
    ESP_TRY(client->more(client->user, e, wait, error));
    if (e->groups.count == before) return ESP_OK;
    group_lot *lot = MEM_NEW(group_lot);
    *lot = (group_lot){.first = before, .groups = e->groups.count - before};
    MEM_LIST_PUSH(&e->lots, lot);
    for (int64_t i = before; i < e->groups.count; i++) e->groups.at[i]->lot = lot;
    for (int p = 0; p < ENGINE_PREFIXES; p++) {
        lot->shared[p].run = -1;
        share_prefix(e, lot, p);
    }
    return ESP_OK;
}

/* Whether the shared ids have their runs. */
static bool lot_is_open(const group_lot *lot) {
    for (int p = 0; p < ENGINE_PREFIXES; p++)
        if (lot->shared[p].ids.count > 0 && lot->shared[p].run < 0) return false;
    return true;
}

/* The shared ids get their runs, to be fed by the next calls; their pages must be there. */
static void lot_open(engine *e, group_lot *lot) {
    for (int p = 0; p < ENGINE_PREFIXES; p++)
        if (lot->shared[p].ids.count) lot->shared[p].run = kv_run_new(e->kv, -1);
    e->promised += lot_pages(lot);
}

/* Gives the runs back; where groups continue one, its pages stay until they end. */
static void lot_close(engine *e, group_lot *lot) {
    for (int p = 0; p < ENGINE_PREFIXES; p++) {
        shared_prefix *s = &lot->shared[p];
        if (s->run < 0) continue;
        e->promised -= pages_of(s->ids.count) - pages_of(s->done);
        kv_run_release(e->kv, s->run);
        s->run = -1;
        s->done = 0;
    }
}

sequence_group *engine_add_group(engine *e, void *user) {
    sequence_group *g = MEM_NEW(sequence_group);
    *g = (sequence_group){.user = user, .number = e->groups.count};
    MEM_LIST_PUSH(&e->groups, g);
    return g;
}

/* ---- Starting requests ---- */

static bool has_room(const engine *e, int64_t pages) {
    return pages <= kv_pages_free(e->kv) - e->promised;
}

static void evict(engine *e, int64_t pages) {
    MEM_LIST(cache_places *) all = {0};
    for (int64_t i = 0; i < e->active.count; i++) MEM_LIST_PUSH(&all, &e->active.at[i]->places);
    cache_evict(e->kv, all.at, all.count, pages);
    MEM_LIST_FREE(&all);
}

/* Starts the group's request if its sequences and, at worst, its pages are there. may_evict: cached ids that
 * no request uses may go for it. *pages: what it takes. */
static bool start_request(engine *e, sequence_group *g, bool may_evict, int64_t *pages) {
    if (!lot_is_open(g->lot)) {
        *pages = lot_pages(g->lot);
        if (may_evict && !has_room(e, *pages)) evict(e, *pages + e->promised);
        if (!has_room(e, *pages)) return false;
        lot_open(e, g->lot);
    }
    *pages = request_reserve(e, g);
    bool fits = e->in_flight == 0 || e->in_flight + g->width <= e->set.max_sequences;
    if (fits && may_evict && !has_room(e, *pages)) evict(e, *pages + e->promised);
    if (fits && has_room(e, *pages)) {
        request_open(e, g, *pages);
        return true;
    }
    request_cancel(e, g);
    return false;
}

static esp_status too_small(const engine *e, int64_t pages, esp_error *error) {
    error_fail(error, "raise the cache's size, or lower the breadth or the length of steps",
               "the KV cache of %lld tokens is too small: one request takes up to %lld",
               (long long)(kv_pages_total(e->kv) * KV_PAGE_TOKENS), (long long)(pages * KV_PAGE_TOKENS));
    return error_because(error, ESP_REASON_CACHE_FULL);
}

/* Nothing is in flight, so nothing but what the group's own lot shares needs to stay: the first group must be
 * able to start. */
static esp_status start_alone(engine *e, sequence_group *g, esp_error *error) {
    int64_t pages;
    for (int64_t i = 0; i < e->active.count; i++) cache_places_drop(e->kv, &e->active.at[i]->places);
    for (int64_t i = 0; i < e->lots.count; i++)
        if (e->lots.at[i] != g->lot) lot_close(e, e->lots.at[i]);
    if (start_request(e, g, false, &pages)) return ESP_OK;
    return too_small(e, lot_is_open(g->lot) ? lot_pages(g->lot) + pages : pages, error);
}

static sequence_group *admit(engine *e) {
    sequence_group *g = e->groups.at[e->started++];
    MEM_LIST_PUSH(&e->active, g);
    return g;
}

/* The call before which the next paused group goes on; 0: none is paused. */
static int64_t next_resumed(const engine *e) {
    int64_t first = 0;
    for (int64_t i = 0; i < e->active.count; i++) {
        int64_t call = e->active.at[i]->paused;
        if (call && (!first || call < first)) first = call;
    }
    return first;
}

/* Groups that wait for a request go first, in their order and none overtaking another; then new groups, for
 * which nothing is evicted. */
static esp_status start_requests(engine *e, esp_error *error) {
    int64_t pages;
    sequence_group *waits = NULL;
    for (int64_t i = 0; i < e->active.count && !waits; i++) {
        sequence_group *g = e->active.at[i];
        if (!g->open && !start_request(e, g, true, &pages)) waits = g;
    }
    while (!waits && e->started < e->groups.count) {
        sequence_group *g = admit(e);
        if (!start_request(e, g, false, &pages)) waits = g;
    }
    bool alone = waits && e->in_flight == 0 && next_resumed(e) == 0;
    return alone ? start_alone(e, waits, error) : ESP_OK;
}

/* ---- One model call ---- */

static bool is_ready(const sequence_group *g, const feed *f) {
    if (f->run >= 0) return true;
    const shared_prefix *shared = &g->lot->shared[f->prefix];
    if (f->after.feed < 0)
        return f->after.run < 0 || f->after.run != shared->run || shared->done == shared->ids.count;
    const feed *above = &g->feeds.at[f->after.feed];
    /* A run must not grow once others continue it: a feed above that is part of this same call is fed whole.
     */
    return above->done == above->n || above->diverges || (above->done == 0 && above->now == above->n);
}

static void push_feed(engine *e, feed_owner owner, const kv_feed *f) {
    owner.first_read = e->reads.count;
    MEM_LIST_PUSH(&e->feeds, *f);
    MEM_LIST_PUSH(&e->owners, owner);
    e->promised -= kv_pages_needed(e->kv, f->run, f->n);
    assert(e->promised >= 0);
}

/* What is left of a lot's shared ids, while there is room in the batch. */
static void gather_lot(engine *e, group_lot *lot, int64_t *room) {
    for (int p = 0; p < ENGINE_PREFIXES; p++) {
        const shared_prefix *s = &lot->shared[p];
        int64_t left = s->run < 0 ? 0 : s->ids.count - s->done, n = left < *room ? left : *room;
        if (n == 0) continue;
        push_feed(e, (feed_owner){.lot = lot, .feed = p},
                  &(kv_feed){.run = s->run, .tokens = s->ids.at + s->done, .n = n});
        *room -= n;
    }
}

/* Whether its ids are of a sequence: sampled, known, or kept as a place from which the request goes on. Where
 * they were evicted, they are computed again as they were the first time, so that what is sampled after them
 * does not depend on what else was in the cache. */
static bool is_decoded(const sequence_group *g, const feed *f) {
    switch (f->kind) {
    case FEED_PREFILL:
        return f->as.prefill.place > 0 && request_continues_sequences(&g->request);
    case FEED_DECODE:
    case FEED_SCORE:
        return true;
    case FEED_TAIL:
    case FEED_SUFFIX:
        break;
    }
    return false;
}

static void push_group_feed(engine *e, sequence_group *g, int32_t index, int64_t n) {
    feed *f = &g->feeds.at[index];
    if (f->run < 0) {
        int32_t after = f->after.feed >= 0 ? g->feeds.at[f->after.feed].run : f->after.run;
        assert(f->after.feed < 0 || after >= 0);
        f->run = kv_run_new(e->kv, after);
    }
    f->now = n;
    g->taken += kv_pages_needed(e->kv, f->run, n);
    assert(g->taken <= g->promised);
    push_feed(e, (feed_owner){.group = g, .feed = index},
              &(kv_feed){.run = f->run, .tokens = feed_ids(f), .n = n, .decoded = is_decoded(g, f)});
    answers_ask(e, g, index, (int32_t)e->feeds.count - 1);
}

/* Feeds of a group that are ready, those of one token or those of more, while there is room in the batch. */
static void gather_group(engine *e, sequence_group *g, bool singles, int64_t *room) {
    for (int32_t j = 0; g->open && j < g->feeds.count; j++) {
        if (*room == 0) return;
        const feed *f = &g->feeds.at[j];
        int64_t left = f->n - f->done;
        if (left == 0 || f->now || (singles && left > 1) || !is_ready(g, f)) continue;
        int64_t n = left < *room ? left : *room;
        push_group_feed(e, g, j, n);
        *room -= n;
    }
}

/* Single tokens first, so that long prompts do not hold up those who are sampling. */
static void gather(engine *e) {
    e->feeds.count = e->reads.count = e->owners.count = 0;
    int64_t room = e->set.max_batch_tokens;
    for (int64_t i = 0; i < e->lots.count; i++) gather_lot(e, e->lots.at[i], &room);
    for (int singles = 1; singles >= 0; singles--)
        for (int64_t i = 0; i < e->active.count; i++) gather_group(e, e->active.at[i], singles, &room);
}

static void deliver(engine *e) {
    for (int64_t f = 0; f < e->owners.count; f++) {
        feed_owner o = e->owners.at[f];
        if (o.group) {
            answers_take(e, o.group, o.feed, e->reads.at + o.first_read);
            continue;
        }
        o.lot->shared[o.feed].done += e->feeds.at[f].n;
        o.lot->counts.computed += e->feeds.at[f].n;
        count_shared(o.lot, &o.lot->shared[o.feed]);
    }
}

/* ---- Until all groups have ended ---- */

static esp_status finish_group(engine *e, const engine_client *client, sequence_group *g, esp_error *error) {
    e->done++;
    esp_status status = client->done ? client->done(client->user, e, g, error) : ESP_OK;
    group_clear(e->kv, g);
    if (--g->lot->groups == 0) lot_close(e, g->lot);
    return status;
}

/* The group's request is complete, or its pause is over. */
static esp_status answer_client(engine *e, const engine_client *client, sequence_group *g, esp_error *error) {
    bool again = g->paused > 0;
    g->paused = 0;
    e->tick++;
    return (again ? client->resumed : client->finished)(client->user, e, g, error);
}

static esp_status finish_requests(engine *e, const engine_client *client, esp_error *error) {
    int64_t kept = 0;
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < e->active.count && status == ESP_OK; i++) {
        sequence_group *g = e->active.at[i];
        if (g->open && g->feeds_left == 0 && g->paused <= e->calls) {
            status = answer_client(e, client, g, error);
            if (!g->paused) request_close(e, g);
        }
        if (!g->over)
            e->active.at[kept++] = g;
        else if (status == ESP_OK)
            status = finish_group(e, client, g, error);
    }
    e->active.count = kept;
    return status;
}

/* One model call; where there is nothing to compute, the calls until a paused group goes on are passed over.
 */
static esp_status compute_gathered(engine *e, esp_error *error) {
    if (e->feeds.count == 0) {
        e->calls = next_resumed(e);
        assert(e->calls > 0);
        return ESP_OK;
    }
    e->calls++;
    ESP_TRY(model_extend(e->m, e->kv, e->feeds.at, e->feeds.count, e->reads.at, e->reads.count, error));
    deliver(e);
    return ESP_OK;
}

static esp_status run_shared(engine *e, const engine_client *client, esp_error *error) {
    for (;;) {
        if (e->started == e->groups.count) ESP_TRY(more_groups(e, client, e->done == e->groups.count, error));
        if (e->done == e->groups.count) return ESP_OK;
        ESP_TRY(engine_check_stop(e, error));
        ESP_TRY(start_requests(e, error));
        gather(e);
        ESP_TRY(compute_gathered(e, error));
        ESP_TRY(finish_requests(e, client, error));
        if (client->progress) client->progress(client->user, e->done, e->sampled);
    }
}

static esp_status run_unshared(engine *e, const engine_client *client, esp_error *error) {
    for (;;) {
        if (e->started == e->groups.count) ESP_TRY(more_groups(e, client, true, error));
        if (e->started == e->groups.count) return ESP_OK;
        sequence_group *g = e->groups.at[e->started++];
        while (!g->over) {
            ESP_TRY(unshared_answer(e, client, g, error));
            do ESP_TRY(answer_client(e, client, g, error));
            while (g->paused);
        }
        ESP_TRY(finish_group(e, client, g, error));
        if (client->progress) client->progress(client->user, e->done, e->sampled);
    }
}

static void begin_run(engine *e) {
    e->started = e->done = 0;
    e->promised = e->in_flight = 0;
    e->tick = e->sampled = e->calls = 0;
}

static void end_run(engine *e) {
    for (int64_t i = 0; i < e->groups.count; i++) {
        group_clear(e->kv, e->groups.at[i]);
        mem_free(e->groups.at[i]);
    }
    for (int64_t i = 0; i < e->lots.count; i++) {
        lot_close(e, e->lots.at[i]);
        for (int p = 0; p < ENGINE_PREFIXES; p++) MEM_LIST_FREE(&e->lots.at[i]->shared[p].ids);
        mem_free(e->lots.at[i]);
    }
    e->groups.count = e->active.count = e->lots.count = 0;
    assert(kv_pages_free(e->kv) == kv_pages_total(e->kv));
}

esp_status engine_run(engine *e, const engine_client *client, esp_error *error) {
    begin_run(e);
    esp_status status = more_groups(e, client, true, error);
    if (status == ESP_OK)
        status = e->set.unshared ? run_unshared(e, client, error) : run_shared(e, client, error);
    end_run(e);
    return status;
}

const engine_counts *group_shared_counts(const sequence_group *g) {
    return g->number == g->lot->first ? &g->lot->counts : NULL;
}
