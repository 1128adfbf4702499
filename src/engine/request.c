#include "engine/request.h"

#include <assert.h>

/* Sequences of a divisible request that begin together at least, where it has that many: they share what they
 * agree in. */
enum { LEAST_TOGETHER = 8 };

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- The path ---- */

bool request_continues_sequences(const engine_request *r) {
    return r->sequence_count > 0;
}

static bool reads_last(const sequence_group *g, int32_t piece) {
    return g->request.sequence_count > 0 && piece == g->request.pieces;
}

static cache_entry *entry_of(sequence_group *g, const engine_piece *piece) {
    return cache_entry_at(&g->places, piece->place, g->request.prefix);
}

static cache_part part_of(const engine *e, sequence_group *g, int32_t i) {
    engine_piece piece = group_piece(g, i);
    return cache_part_of(e->kv[g->request.prefix], entry_of(g, &piece), piece.n, reads_last(g, i));
}

/* Adds a feed for the ids of a piece that are not cached. Returns the pages it may need. */
static int64_t add_piece(engine *e, sequence_group *g, int32_t i, attach_point *tail) {
    engine_piece piece = group_piece(g, i);
    cache_part part = part_of(e, g, i);
    if (part.run >= 0) *tail = (attach_point){-1, part.run};
    if (part.cached == piece.n) return 0;
    bool extends = part.run >= 0 && !entry_of(g, &piece)->has_children;
    feed f = {.kind = FEED_PREFILL,
              .prefix = g->request.prefix,
              .after = *tail,
              .run = -1,
              .n = piece.n - part.cached,
              .as.prefill = {.ids = piece.ids + part.cached,
                             .place = piece.place,
                             .from = part.cached,
                             .extends = extends,
                             .read_last = reads_last(g, i)}};
    *tail = (attach_point){group_add_feed(g, f), -1};
    return extends ? cache_part_pages(e->kv[g->request.prefix], &part, f.n) : pages_of(f.n);
}

/* Adds the feeds that bring the request's whole path into the cache, from its deepest piece that is there
 * already. *tail: where the request goes on. Returns the pages that the feeds may need. */
static int64_t add_path(engine *e, sequence_group *g, attach_point *tail) {
    int prefix = g->request.prefix;
    int32_t last = g->request.pieces, first = last;
    while (first > 0 && part_of(e, g, first).run < 0) first--;
    *tail = (attach_point){-1, g->lot->shared[prefix].run};
    int64_t pages = 0;
    for (int32_t i = 0; i <= last; i++) {
        engine_piece piece = group_piece(g, i);
        entry_of(g, &piece)->pinned = true;
        if (i >= first) pages += add_piece(e, g, i, tail);
    }
    assert(!reads_last(g, last) || tail->feed >= 0);
    return pages;
}

/* ---- Tails: they share a feed for as long as their ids agree ---- */

static int64_t add_suffix(sequence_group *g, int32_t tail, attach_point at) {
    const engine_request *r = &g->request;
    bool own = at.feed >= 0 && g->feeds.at[at.feed].kind == FEED_TAIL;
    g->tail_feeds.at[tail] = own ? at.feed : -1;
    group_add_feed(g, (feed){.kind = FEED_SUFFIX,
                             .prefix = r->prefix,
                             .after = at,
                             .run = -1,
                             .n = r->suffix_count,
                             .as.suffix = {.ids = r->suffix, .tail = tail}});
    return pages_of(r->suffix_count);
}

/* How many ids all the members begin with, `from` of which are known to agree. */
static int64_t agreed(const engine_tail *tails, const int32_t *members, int32_t count, int64_t from) {
    const engine_tail *first = &tails[members[0]];
    int64_t length = first->n;
    for (int32_t i = 1; i < count; i++) {
        const engine_tail *other = &tails[members[i]];
        int64_t most = smaller(other->n, length), same = from;
        while (same < most && other->ids[same] == first->ids[same]) same++;
        length = same;
    }
    return length;
}

static int64_t add_tails(sequence_group *g, int32_t *members, int32_t count, int64_t from, attach_point at);

/* The members that are longer than `length`, each party that continues with one token after the other. */
static int64_t add_parties(sequence_group *g, int32_t *members, int32_t left, int64_t length,
                           attach_point at) {
    const engine_tail *tails = g->request.tails;
    int64_t pages = 0;
    while (left > 0) {
        int32_t *party = MEM_ARRAY(int32_t, left), in = 0, out = 0;
        int32_t token = tails[members[0]].ids[length];
        for (int32_t i = 0; i < left; i++) {
            if (tails[members[i]].ids[length] == token)
                party[in++] = members[i];
            else
                members[out++] = members[i];
        }
        pages += add_tails(g, party, in, length, at);
        mem_free(party);
        left = out;
    }
    return pages;
}

/* Members share their first `from` ids, which end at `at`. members is reordered. Returns pages. */
static int64_t add_tails(sequence_group *g, int32_t *members, int32_t count, int64_t from, attach_point at) {
    const engine_tail *tails = g->request.tails;
    int64_t length = agreed(tails, members, count, from), pages = 0;
    if (length > from) {
        at = (attach_point){group_add_feed(g, (feed){.kind = FEED_TAIL,
                                                     .prefix = g->request.prefix,
                                                     .after = at,
                                                     .run = -1,
                                                     .n = length - from,
                                                     .as.tail = {tails[members[0]].ids + from}}),
                            -1};
        pages += pages_of(length - from);
    }
    int32_t left = 0; /* those that go on, in their order */
    for (int32_t i = 0; i < count; i++) {
        if (tails[members[i]].n == length)
            pages += add_suffix(g, members[i], at);
        else
            members[left++] = members[i];
    }
    return pages + add_parties(g, members, left, length, at);
}

static int64_t add_all_tails(sequence_group *g, attach_point at) {
    int32_t n = g->request.tail_count, *members = MEM_ARRAY(int32_t, n);
    for (int32_t i = 0; i < n; i++) {
        members[i] = i;
        MEM_LIST_PUSH(&g->tail_feeds, -1);
    }
    int64_t pages = add_tails(g, members, n, 0, at);
    mem_free(members);
    return pages;
}

/* ---- Sequences ---- */

/* A token more for an ask that follows the last one; a run starts a page, and k sequences part at most k - 1
 * times. */
int64_t request_sequence_pages(int64_t most) {
    return pages_of(most + 1) + 2;
}

/* As many of a divisible request's sequences as there is room for; at least one. */
static int64_t divide(const engine *e, sequence_group *g) {
    const engine_request *r = &g->request;
    int64_t place = e->set.max_sequences - e->in_flight, sum = 0;
    if (place < LEAST_TOGETHER) place = LEAST_TOGETHER;
    int64_t wanted = smaller(smaller(place, r->sequence_count), e->set.max_sequences);
    const kv_cache *kv = e->kv[r->prefix];
    int64_t room = kv_pages_total(kv) - lot_pages(g->lot, e->kv, kv) - pages_of(g->prompt[r->prefix].count);
    for (g->begun = 0; g->begun < wanted; g->begun++) {
        int64_t more = request_sequence_pages(r->sequences[g->begun].most);
        if (g->begun && sum + more > room) break;
        sum += more;
    }
    g->width = g->begun;
    return sum;
}

static int64_t reserve_sequences(const engine *e, sequence_group *g) {
    const engine_request *r = &g->request;
    if (r->divisible) return divide(e, g);
    g->begun = r->sequence_count;
    g->width = r->width + r->tail_count;
    return r->sequence_count ? r->width * request_sequence_pages(r->sequences[0].most) : 0;
}

void request_begin_sequences(sequence_group *g) {
    int32_t last = (int32_t)g->feeds.count - 1; /* -1: no feeds are used */
    assert(g->begun == 0 || last < 0 || g->feeds.at[last].as.prefill.read_last);
    g->sequences.count = 0;
    for (int32_t i = 0; i < g->begun; i++)
        MEM_LIST_PUSH(&g->sequences, ((sequence){.feed = last, .kept_feed = -1}));
    group_count_request(g);
}

/* ---- Reserve, open, close ---- */

int64_t request_reserve(engine *e, sequence_group *g) {
    attach_point tail;
    int64_t pages = add_path(e, g, &tail);
    if (g->request.tail_count) pages += add_all_tails(g, tail);
    return pages + reserve_sequences(e, g);
}

void request_cancel(engine *e, sequence_group *g) {
    group_close_feeds(e->kv, g);
    cache_places_unpin(&g->places);
}

void request_open(engine *e, sequence_group *g, int64_t pages) {
    e->tick++;
    for (int32_t i = 0; i <= g->request.pieces; i++) {
        engine_piece piece = group_piece(g, i);
        cache_entry *entry = entry_of(g, &piece);
        cache_prepare(e->kv[g->request.prefix], entry, piece.n, reads_last(g, i));
        entry->used = e->tick;
    }
    for (int64_t i = 0; i < g->feeds.count; i++) {
        feed *f = &g->feeds.at[i];
        if (f->kind != FEED_PREFILL || !f->as.prefill.extends) continue;
        f->run = f->after.run;
        kv_run_retain(e->kv[f->prefix], f->run);
    }
    g->open = true;
    g->open_prefix = g->request.prefix;
    g->promised = pages;
    g->taken = 0;
    e->of[g->request.prefix]->promised += pages;
    e->in_flight += g->width;
    request_begin_sequences(g);
}

void request_close(engine *e, sequence_group *g) {
    group_close_feeds(e->kv, g);
    cache_places_unpin(&g->places);
    cached_model *in = e->of[g->open_prefix];
    assert(in->promised >= g->promised - g->taken && e->in_flight >= g->width);
    in->promised -= g->promised - g->taken;
    e->in_flight -= g->width;
    g->open = false;
}

/* ---- What the client keeps ---- */

static void keep(engine *e, sequence_group *g, int32_t index, int64_t cached, int32_t place) {
    if (index < 0) return;
    const feed *f = &g->feeds.at[index];
    cache_entry *entry = cache_entry_at(&g->places, place, g->request.prefix);
    assert(entry->run < 0);
    kv_run_retain(e->kv[f->prefix], f->run);
    *entry =
        (cache_entry){.run = f->run, .cached = (int32_t)cached, .has_children = f->diverges, .used = e->tick};
}

void group_keep_sequence(engine *e, sequence_group *g, int32_t number, int32_t place) {
    const sequence *s = &g->sequences.at[number];
    keep(e, g, s->kept_feed, s->kept, place);
}

void group_keep_tail(engine *e, sequence_group *g, int32_t tail, int32_t place) {
    if (g->tail_feeds.count) keep(e, g, g->tail_feeds.at[tail], g->request.tails[tail].n, place);
}

void group_keep_only(engine *e, sequence_group *g, const uint8_t *marked, int32_t n) {
    for (int32_t place = 0; place < n && place < g->places.count; place++)
        for (int p = 0; p < ENGINE_PREFIXES && !marked[place]; p++)
            cache_entry_drop(e->kv[p], &g->places.at[place].of[p]);
}
