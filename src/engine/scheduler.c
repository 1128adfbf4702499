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
        if (lot->shared[p].ids.count) lot->shared[p].run = kv_run_new(e->kv[p], -1);
    for (int i = 0; i < e->model_count; i++) e->models[i].promised += lot_pages(lot, e->kv, e->models[i].kv);
}

/* Gives the runs back; where groups continue one, its pages stay until they end. */
static void lot_close(engine *e, group_lot *lot) {
    for (int p = 0; p < ENGINE_PREFIXES; p++) {
        shared_prefix *s = &lot->shared[p];
        if (s->run < 0) continue;
        e->of[p]->promised -= pages_of(s->ids.count) - pages_of(s->done);
        kv_run_release(e->kv[p], s->run);
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

/* Pages of one cache that a request needs. */
typedef struct {
    cached_model *in;
    int64_t pages;
} page_need;

static void evict(engine *e, const page_need *need) {
    MEM_LIST(cache_places *) all = {0};
    for (int64_t i = 0; i < e->active.count; i++) MEM_LIST_PUSH(&all, &e->active.at[i]->places);
    cache_evict(e->kv, need->in->kv, all.at, all.count, need->pages + need->in->promised);
    MEM_LIST_FREE(&all);
}

static bool has_room(const page_need *need) {
    return need->pages <= kv_pages_free(need->in->kv) - need->in->promised;
}

static bool make_room(engine *e, bool may_evict, const page_need *need) {
    if (may_evict && !has_room(need)) evict(e, need);
    return has_room(need);
}

/* Opens the group's lot if the pages of what it shares are there. *need: in the cache that is short. */
static bool open_lot_of(engine *e, const sequence_group *g, bool may_evict, page_need *need) {
    if (lot_is_open(g->lot)) return true;
    for (int i = 0; i < e->model_count; i++) {
        *need = (page_need){&e->models[i], lot_pages(g->lot, e->kv, e->models[i].kv)};
        if (!make_room(e, may_evict, need)) return false;
    }
    lot_open(e, g->lot);
    return true;
}

/* Starts the group's request if its sequences and, at worst, its pages are there. may_evict: cached ids that
 * no request uses may go for it. *need: what it takes. */
static bool start_request(engine *e, sequence_group *g, bool may_evict, page_need *need) {
    if (!open_lot_of(e, g, may_evict, need)) return false;
    *need = (page_need){e->of[g->request.prefix], request_reserve(e, g)};
    bool fits = e->in_flight == 0 || e->in_flight + g->width <= e->set.max_sequences;
    if (fits && make_room(e, may_evict, need)) {
        request_open(e, g, need->pages);
        return true;
    }
    request_cancel(e, g);
    return false;
}

static esp_status too_small(const page_need *need, esp_error *error) {
    error_fail(error, "raise the cache's size, or lower the breadth or the length of steps",
               "the KV cache of %lld tokens is too small: one request takes up to %lld",
               (long long)(kv_pages_total(need->in->kv) * KV_PAGE_TOKENS),
               (long long)(need->pages * KV_PAGE_TOKENS));
    return error_because(error, ESP_REASON_CACHE_FULL);
}

/* Nothing is in flight, so nothing but what the group's own lot shares needs to stay: the first group must be
 * able to start. */
static esp_status start_alone(engine *e, sequence_group *g, esp_error *error) {
    page_need need;
    for (int64_t i = 0; i < e->active.count; i++) cache_places_drop(e->kv, &e->active.at[i]->places);
    for (int64_t i = 0; i < e->lots.count; i++)
        if (e->lots.at[i] != g->lot) lot_close(e, e->lots.at[i]);
    if (start_request(e, g, false, &need)) return ESP_OK;
    if (lot_is_open(g->lot)) need.pages += lot_pages(g->lot, e->kv, need.in->kv);
    return too_small(&need, error);
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
    page_need need;
    sequence_group *waits = NULL;
    for (int64_t i = 0; i < e->active.count && !waits; i++) {
        sequence_group *g = e->active.at[i];
        if (!g->open && !start_request(e, g, true, &need)) waits = g;
    }
    while (!waits && e->started < e->groups.count) {
        sequence_group *g = admit(e);
        if (!start_request(e, g, false, &need)) waits = g;
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

static void push_feed(cached_model *in, feed_owner owner, const kv_feed *f) {
    owner.first_read = in->reads.count;
    MEM_LIST_PUSH(&in->feeds, *f);
    MEM_LIST_PUSH(&in->owners, owner);
    in->room -= f->n;
    in->promised -= kv_pages_needed(in->kv, f->run, f->n);
    assert(in->promised >= 0);
}

/* What is left of a lot's shared ids, while there is room in the batch. */
static void gather_lot(engine *e, group_lot *lot) {
    for (int p = 0; p < ENGINE_PREFIXES; p++) {
        const shared_prefix *s = &lot->shared[p];
        cached_model *in = e->of[p];
        int64_t left = s->run < 0 ? 0 : s->ids.count - s->done, n = left < in->room ? left : in->room;
        if (n == 0) continue;
        push_feed(in, (feed_owner){.lot = lot, .feed = p},
                  &(kv_feed){.run = s->run, .tokens = s->ids.at + s->done, .n = n});
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
    cached_model *in = e->of[f->prefix];
    if (f->run < 0) {
        int32_t after = f->after.feed >= 0 ? g->feeds.at[f->after.feed].run : f->after.run;
        assert(f->after.feed < 0 || after >= 0);
        f->run = kv_run_new(in->kv, after);
    }
    f->now = n;
    g->taken += kv_pages_needed(in->kv, f->run, n);
    assert(g->taken <= g->promised);
    push_feed(in, (feed_owner){.group = g, .feed = index},
              &(kv_feed){.run = f->run, .tokens = feed_ids(f), .n = n, .decoded = is_decoded(g, f)});
    answers_ask(e, g, index, (int32_t)in->feeds.count - 1);
}

/* Feeds of a group that are ready, those of one token or those of more, while there is room in the batch. */
static void gather_group(engine *e, sequence_group *g, bool singles) {
    const int64_t *room = &e->of[g->request.prefix]->room;
    for (int32_t j = 0; g->open && j < g->feeds.count; j++) {
        if (*room == 0) return;
        const feed *f = &g->feeds.at[j];
        int64_t left = f->n - f->done;
        if (left == 0 || f->now || (singles && left > 1) || !is_ready(g, f)) continue;
        int64_t n = left < *room ? left : *room;
        push_group_feed(e, g, j, n);
    }
}

/* Single tokens first, so that long prompts do not hold up those who are sampling. */
static void gather(engine *e) {
    for (int i = 0; i < e->model_count; i++) {
        cached_model *in = &e->models[i];
        in->feeds.count = in->reads.count = in->owners.count = 0;
        in->room = e->set.max_batch_tokens;
    }
    for (int64_t i = 0; i < e->lots.count; i++) gather_lot(e, e->lots.at[i]);
    for (int singles = 1; singles >= 0; singles--)
        for (int64_t i = 0; i < e->active.count; i++) gather_group(e, e->active.at[i], singles);
}

static void deliver(engine *e, const cached_model *in) {
    for (int64_t f = 0; f < in->owners.count; f++) {
        feed_owner o = in->owners.at[f];
        if (o.group) {
            answers_take(e, o.group, o.feed, in->reads.at + o.first_read);
            continue;
        }
        o.lot->shared[o.feed].done += in->feeds.at[f].n;
        o.lot->counts.computed += in->feeds.at[f].n;
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

/* One call of each model; where there is nothing to compute, the calls until a paused group goes on are
 * passed over. */
static esp_status compute_gathered(engine *e, esp_error *error) {
    int64_t feeds = 0;
    for (int i = 0; i < e->model_count; i++) feeds += e->models[i].feeds.count;
    if (feeds == 0) {
        e->calls = next_resumed(e);
        assert(e->calls > 0);
        return ESP_OK;
    }
    e->calls++;
    for (int i = 0; i < e->model_count; i++) {
        cached_model *in = &e->models[i];
        if (in->feeds.count == 0) continue;
        ESP_TRY(
            model_extend(in->m, in->kv, in->feeds.at, in->feeds.count, in->reads.at, in->reads.count, error));
        deliver(e, in);
    }
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
    e->in_flight = 0;
    for (int i = 0; i < e->model_count; i++) e->models[i].promised = 0;
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
    for (int i = 0; i < e->model_count; i++)
        assert(kv_pages_free(e->models[i].kv) == kv_pages_total(e->models[i].kv));
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
