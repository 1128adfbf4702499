/* The scheduler: starts requests while their pages are there, fills one call of the model from all lanes that
 * have something to feed, and hands the answers back, always in the same order. */
#include "policy/lm_inner.h"

#include <assert.h>
#include <string.h>

/* ---- What all jobs begin with ---- */

/* Sharing costs a page that is not full; below this it is not worth it. */
enum { LEAST_SHARED = 8 };

grove *wave_add_grove(wave *w) {
    grove *g = MEM_NEW(grove);
    MEM_LIST_PUSH(&w->groves, g);
    return g;
}

static void drop_first(token_list *ids, int64_t n) {
    ids->count -= n;
    memmove(ids->at, ids->at + n, (size_t)ids->count * sizeof *ids->at);
}

/* How many ids `own` begins with as `first` does, at most `most` and one less than it has: each grove keeps
 * an id of its own to read at. */
static int64_t same_beginning(const token_list *first, const token_list *own, int64_t most) {
    if (most > own->count - 1) most = own->count - 1;
    int64_t k = 0;
    while (k < most && own->at[k] == first->at[k]) k++;
    return k;
}

void wave_share(wave *w) {
    for (int side = 0; side < PREFIXES; side++) {
        if (w->groves.count < 2 || w->groves.at[0]->prefix[side].count == 0) continue;
        const token_list *first = &w->groves.at[0]->prefix[side];
        int64_t same = first->count;
        for (int64_t i = 0; i < w->groves.count; i++)
            same = same_beginning(first, &w->groves.at[i]->prefix[side], same);
        if (same < LEAST_SHARED) continue;
        for (int64_t k = 0; k < same; k++) MEM_LIST_PUSH(&w->shared[side], first->at[k]);
        for (int64_t i = 0; i < w->groves.count; i++) drop_first(&w->groves.at[i]->prefix[side], same);
    }
}

void wave_join(wave *w, grove *g) {
    for (int side = 0; side < PREFIXES; side++) {
        int64_t n = w->shared[side].count;
        g->alone[side] = same_beginning(&w->shared[side], &g->prefix[side], n) < n;
        if (!g->alone[side]) drop_first(&g->prefix[side], n);
    }
}

static void open_shared(wave *w) {
    for (int side = 0; side < PREFIXES; side++) {
        if (w->shared[side].count == 0) continue;
        w->shared_run[side] = kv_run_new(w->p->kv, -1);
        w->promised += pages_of(w->shared[side].count);
    }
}

/* ---- Starting requests ---- */

static void release_lanes(wave *w, grove *g) {
    for (int64_t i = 0; i < g->lanes.count; i++)
        if (g->lanes.at[i].run >= 0) kv_run_release(w->p->kv, g->lanes.at[i].run);
    g->lanes.count = 0;
    g->lanes_left = 0;
}

static bool has_room(const wave *w, int64_t pages) {
    return pages <= kv_pages_free(w->p->kv) - w->promised;
}

/* Starts the grove's request if its sequences and, at worst, its pages are there. give_up: keys that nobody
 * stands on are given up for it. */
static esp_status start_request(wave *w, grove *g, bool give_up, bool *started, esp_error *error) {
    *started = false;
    w->tick++;
    int64_t pages = w->kind->plan(w, g);
    bool sequences = w->in_flight == 0 || w->in_flight + g->width <= w->p->set.max_sequences;
    if (sequences && give_up && !has_room(w, pages))
        wave_give_up(w, pages + w->promised - kv_pages_free(w->p->kv));
    if (!sequences || !has_room(w, pages)) {
        release_lanes(w, g);
        grove_unpin(g);
        g->promised = pages;
        return ESP_OK;
    }
    g->open = true;
    g->promised = pages;
    g->taken = 0;
    w->promised += pages;
    w->in_flight += g->width;
    *started = true;
    return w->kind->begin(w, g, error);
}

static esp_status too_small(const wave *w, int64_t pages, esp_error *error) {
    int64_t shared = 0;
    for (int side = 0; side < PREFIXES; side++) shared += pages_of(w->shared[side].count);
    error_fail(error, "raise the cache's size, or lower the breadth or the length of steps",
               "the KV cache of %lld tokens is too small: one request takes up to %lld",
               (long long)(kv_pages_total(w->p->kv) * KV_PAGE_TOKENS),
               (long long)((pages + shared) * KV_PAGE_TOKENS));
    return error_because(error, ESP_REASON_CACHE_FULL);
}

/* Nothing is in flight, so nothing but the shared prefix needs to stay: the first grove must be able to
 * start.
 */
static esp_status start_alone(wave *w, grove *g, esp_error *error) {
    for (int64_t i = 0; i < w->active.count; i++) grove_release(w, w->active.at[i]);
    bool started;
    ESP_TRY(start_request(w, g, false, &started, error));
    return started ? ESP_OK : too_small(w, g->promised, error);
}

static void admit(wave *w) {
    grove *g = w->groves.at[w->started++];
    MEM_LIST_PUSH(&w->active, g);
    MEM_LIST_PUSH(&g->nodes, node_empty());
}

/* Groves that wait for a request go first, in their order and none overtaking another; then new groves, for
 * which no keys are given up. */
static esp_status start_requests(wave *w, esp_error *error) {
    bool started;
    grove *first = NULL;
    for (int64_t i = 0; i < w->active.count; i++) {
        grove *g = w->active.at[i];
        if (g->open) continue;
        ESP_TRY(start_request(w, g, true, &started, error));
        if (started) continue;
        first = g;
        break;
    }
    while (!first && w->started < w->groves.count) {
        admit(w);
        first = w->active.at[w->active.count - 1];
        ESP_TRY(start_request(w, first, false, &started, error));
        if (started) first = NULL;
    }
    return first && w->in_flight == 0 ? start_alone(w, first, error) : ESP_OK;
}

/* ---- One call of the model ---- */

static bool is_ready(const wave *w, const grove *g, const lane *l) {
    if (l->run >= 0) return true;
    if (l->parent < 0)
        return l->base < 0 || l->base != w->shared_run[l->side] ||
               w->shared_done[l->side] == w->shared[l->side].count;
    const lane *p = &g->lanes.at[l->parent];
    /* A run must not grow once others hang on it: a parent fed in this same call is fed whole. */
    return p->done == p->n || p->split || (p->done == 0 && p->take == p->n);
}

static void push_feed(wave *w, feed_owner owner, int32_t run, const int32_t *ids, int64_t n) {
    owner.first_read = w->reads.count;
    MEM_LIST_PUSH(&w->feeds, ((kv_feed){run, ids, n}));
    MEM_LIST_PUSH(&w->owners, owner);
    w->promised -= kv_pages_needed(w->p->kv, run, n);
}

static void feed_lane(wave *w, grove *g, int32_t index, int64_t n) {
    lane *l = &g->lanes.at[index];
    if (l->run < 0) {
        int32_t base = l->parent >= 0 ? g->lanes.at[l->parent].run : l->base;
        l->run = kv_run_new(w->p->kv, base);
    }
    l->take = n;
    g->taken += kv_pages_needed(w->p->kv, l->run, n);
    assert(g->taken <= g->promised);
    push_feed(w, (feed_owner){.g = g, .lane = index}, l->run,
              l->kind == LANE_RIDE ? &l->token : l->ids + l->done, n);
    lane_ask(w, g, index, (int32_t)w->feeds.count - 1);
}

/* Single tokens first, so that long prompts do not hold up those who are sampling. */
static void gather(wave *w) {
    w->feeds.count = w->reads.count = w->owners.count = 0;
    int64_t room = w->p->set.max_batch_tokens;
    for (int side = 0; side < PREFIXES && room > 0; side++) {
        int64_t left = w->shared[side].count - w->shared_done[side], n = left < room ? left : room;
        if (n == 0) continue;
        push_feed(w, (feed_owner){.lane = side}, w->shared_run[side],
                  w->shared[side].at + w->shared_done[side], n);
        room -= n;
    }
    for (int singles = 1; singles >= 0; singles--)
        for (int64_t i = 0; i < w->active.count; i++) {
            grove *g = w->active.at[i];
            for (int32_t j = 0; g->open && j < g->lanes.count && room > 0; j++) {
                const lane *l = &g->lanes.at[j];
                int64_t left = l->n - l->done;
                if (left == 0 || l->take || (singles && left > 1) || !is_ready(w, g, l)) continue;
                int64_t n = left < room ? left : room;
                feed_lane(w, g, j, n);
                room -= n;
            }
        }
}

static void deliver(wave *w) {
    for (int64_t f = 0; f < w->owners.count; f++) {
        feed_owner o = w->owners.at[f];
        if (o.g) {
            lane_deliver(w, o.g, o.lane, w->reads.at + o.first_read);
        } else {
            w->shared_done[o.lane] += w->feeds.at[f].n;
            w->counts.computed += w->feeds.at[f].n;
            w->counts.prompts += w->feeds.at[f].n;
            w->counts.distinct += w->feeds.at[f].n;
        }
    }
}

/* ---- Until all is done ---- */

void grove_clear(wave *w, grove *g) {
    release_lanes(w, g);
    grove_release(w, g);
    for (int64_t i = 0; i < g->candidates.count; i++) candidate_free(&g->candidates.at[i]);
    MEM_LIST_FREE(&g->candidates);
    MEM_LIST_FREE(&g->lanes);
    MEM_LIST_FREE(&g->nodes);
    MEM_LIST_FREE(&g->verdicts);
    MEM_LIST_FREE(&g->child_lanes);
    key_set_free(&g->computed);
    for (int side = 0; side < PREFIXES; side++) MEM_LIST_FREE(&g->prefix[side]);
}

static void close_request(wave *w, grove *g) {
    release_lanes(w, g);
    grove_unpin(g);
    for (int64_t i = 0; i < g->candidates.count; i++) candidate_free(&g->candidates.at[i]);
    g->candidates.count = 0;
    w->promised -= g->promised - g->taken;
    w->in_flight -= g->width;
    g->open = false;
}

static esp_status finish_requests(wave *w, esp_error *error) {
    int64_t kept = 0;
    for (int64_t i = 0; i < w->active.count; i++) {
        grove *g = w->active.at[i];
        if (g->open && g->lanes_left == 0) {
            w->tick++;
            ESP_TRY(w->kind->finish(w, g, error));
            close_request(w, g);
        }
        if (g->over) {
            if (w->kind->done) ESP_TRY(w->kind->done(w, g, error));
            grove_clear(w, g);
            w->done++;
        } else {
            w->active.at[kept++] = g;
        }
    }
    w->active.count = kept;
    return ESP_OK;
}

esp_status wave_run(wave *w, sampler_progress *progress, void *user, esp_error *error) {
    open_shared(w);
    for (;;) {
        if (w->kind->more && w->started == w->groves.count)
            ESP_TRY(w->kind->more(w, w->done == w->groves.count, error));
        if (w->done == w->groves.count) return ESP_OK;
        if (w->p->set.stop && *w->p->set.stop)
            return error_set(error, ESP_INTERRUPTED, NULL, "stopped on request");
        ESP_TRY(start_requests(w, error));
        gather(w);
        assert(w->feeds.count > 0);
        ESP_TRY(
            model_extend(w->p->m, w->p->kv, w->feeds.at, w->feeds.count, w->reads.at, w->reads.count, error));
        deliver(w);
        ESP_TRY(finish_requests(w, error));
        if (progress) progress(user, w->done, w->sampled);
    }
}

void wave_free(wave *w) {
    for (int64_t i = 0; i < w->groves.count; i++) {
        grove_clear(w, w->groves.at[i]);
        mem_free(w->groves.at[i]);
    }
    for (int side = 0; side < PREFIXES; side++) {
        if (w->shared_run[side] >= 0) kv_run_release(w->p->kv, w->shared_run[side]);
        MEM_LIST_FREE(&w->shared[side]);
    }
    MEM_LIST_FREE(&w->groves);
    MEM_LIST_FREE(&w->active);
    MEM_LIST_FREE(&w->feeds);
    MEM_LIST_FREE(&w->reads);
    MEM_LIST_FREE(&w->owners);
    assert(kv_pages_free(w->p->kv) == kv_pages_total(w->p->kv));
}
