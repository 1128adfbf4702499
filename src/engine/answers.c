#include "engine/answers.h"

#include <assert.h>

/* ---- Asking ---- */

static void ask(cached_model *in, int32_t number, int64_t at, kv_read read) {
    read.feed = number;
    read.at = at;
    MEM_LIST_PUSH(&in->reads, read);
}

static kv_read draw(const engine_sequence *s, int32_t count) {
    if (!(s->temperature > 0)) return (kv_read){.kind = READ_GREEDY};
    return (kv_read){
        .kind = READ_SAMPLE, .temperature = s->temperature, .u = rng_uniform(s->key, (uint64_t)count)};
}

int sequence_reads(sequence_group *g, int32_t number, kv_read out[SEQUENCE_READS]) {
    const engine_request *r = &g->request;
    sequence *s = &g->sequences.at[number];
    s->reads = 0;
    s->ask = r->reader->ask(r->user, number);
    if (s->ask.sample) out[s->reads++] = draw(&r->sequences[number], s->count);
    if (s->ask.score >= 0) out[s->reads++] = (kv_read){.kind = READ_SCORE, .token = s->ask.score};
    assert(s->reads > 0);
    for (int a = 0; s->ask.answers && a < ENGINE_ANSWERS; a++)
        out[s->reads++] = (kv_read){.kind = READ_SCORE, .token = r->answers[a]};
    return s->reads;
}

/* What follows the feed's last id, for all sequences that continue there. */
static void ask_sequences(engine *e, sequence_group *g, int32_t index, int32_t number, int64_t at) {
    for (int32_t i = 0; i < g->sequences.count; i++) {
        const engine_sequence *s = &g->request.sequences[i];
        if (g->sequences.at[i].feed != index) continue;
        kv_read reads[SEQUENCE_READS] = {{.kind = READ_SCORE, .token = s->known ? s->known[0] : 0}};
        int n = s->known ? 1 : sequence_reads(g, i, reads);
        for (int r = 0; r < n; r++) ask(e->of[g->request.prefix], number, at, reads[r]);
    }
}

static bool sequences_read(const feed *f) {
    return f->kind == FEED_DECODE || (f->kind == FEED_PREFILL && f->as.prefill.read_last);
}

void answers_ask(engine *e, sequence_group *g, int32_t index, int32_t number) {
    const feed *f = &g->feeds.at[index];
    const engine_request *r = &g->request;
    cached_model *in = e->of[f->prefix];
    bool last = f->done + f->now == f->n;
    if (f->kind == FEED_SCORE) {
        const int32_t *known = r->sequences[f->as.score.sequence].known;
        for (int64_t i = 0; i < f->now; i++)
            ask(in, number, i, (kv_read){.kind = READ_SCORE, .token = known[f->done + i + 1]});
    } else if (last && f->kind == FEED_SUFFIX) {
        for (int a = 0; a < ENGINE_ANSWERS; a++)
            ask(in, number, f->now - 1, (kv_read){.kind = READ_SCORE, .token = r->answers[a]});
    } else if (last && sequences_read(f)) {
        ask_sequences(e, g, index, number, f->now - 1);
    }
}

/* ---- Taking the answers ---- */

static void complete(sequence_group *g) {
    assert(g->feeds_left > 0);
    g->feeds_left--;
}

/* A sequence has ended: its place is another's, however long the rest of the request takes. */
static void free_place(engine *e, sequence_group *g) {
    assert(g->width > 0 && e->in_flight > 0);
    g->width--;
    e->in_flight--;
}

bool sequence_take(engine *e, sequence_group *g, int32_t number, const kv_read *reads, int32_t *keep) {
    sequence *s = &g->sequences.at[number];
    if (s->count) s->prefix_hash = group_count(g, s->prefix_hash, &s->last, 1); /* it was fed to read here */
    int own = s->reads - (s->ask.answers ? ENGINE_ANSWERS : 0); /* the answers are read last */
    engine_token t = {.token = reads[0].token,
                      .logprob = reads[0].logprob,
                      .score = own > 1 ? reads[1].logprob : reads[0].logprob};
    for (int a = 0; s->ask.answers && a < ENGINE_ANSWERS; a++) t.answers[a] = reads[own + a].logprob;
    s->last = t.token;
    s->count++;
    e->sampled++;
    *keep = -1;
    return g->request.reader->take(g->request.user, number, &t, keep);
}

/* Finds the run that has an ended sequence's first `keep` tokens, of which `fed` were computed in feed
 * `index` and those above it. alone: no other sequence needs the feed's end. */
static void keep_sequence(engine *e, sequence_group *g, sequence *s, int32_t index, int32_t keep, int32_t fed,
                          bool alone) {
    while (index >= 0 && g->feeds.at[index].kind == FEED_DECODE) {
        feed *f = &g->feeds.at[index];
        int32_t before = f->as.decode.before;
        if (fed > keep && alone && keep > before) {
            kv_run_truncate(e->kv[f->prefix], f->run, keep - before);
            fed = keep;
        }
        if (fed <= keep) {
            s->kept_feed = index;
            s->kept = fed;
            return;
        }
        fed = before;
        index = f->after.feed;
        alone = false;
    }
}

/* The first token of a known sequence is scored; the rest is fed in a feed of its own. */
static void begin_known(sequence_group *g, int32_t number, int32_t after, const kv_read *read) {
    const engine_sequence *known = &g->request.sequences[number];
    sequence *s = &g->sequences.at[number];
    g->request.reader->known(g->request.user, number, 0, read->logprob);
    s->feed = -1;
    if (known->known_count == 1) return;
    s->kept = (int32_t)known->known_count - 1;
    s->kept_feed = group_add_feed(g, (feed){.kind = FEED_SCORE,
                                            .prefix = g->request.prefix,
                                            .after = {after, -1},
                                            .run = -1,
                                            .n = known->known_count - 1,
                                            .as.score = {.ids = known->known, .sequence = number}});
}

/* The sequences that continue from a feed, by their last tokens: a new feed after it for each party. */
static void branch(sequence_group *g, int32_t index, int32_t fed) {
    for (int64_t i = 0; i < g->sequences.count; i++) {
        const sequence *s = &g->sequences.at[i];
        if (s->feed != index) continue;
        int32_t token = s->last;
        int32_t made = group_add_feed(g, (feed){.kind = FEED_DECODE,
                                                .prefix = g->request.prefix,
                                                .after = {index, -1},
                                                .run = -1,
                                                .n = 1,
                                                .as.decode = {.token = token, .before = fed}});
        g->feeds.at[index].diverges = true;
        for (int64_t j = i; j < g->sequences.count; j++) {
            sequence *other = &g->sequences.at[j];
            if (other->feed == index && other->last == token) other->feed = made;
        }
    }
}

/* All sequences that are left have the same last token, and no ended one keeps the feed's end: the feed goes
 * on as it is. */
static bool continues(const sequence_group *g, int32_t index, bool end_is_kept, int32_t *token) {
    int32_t count = 0;
    for (int64_t i = 0; i < g->sequences.count; i++) {
        const sequence *s = &g->sequences.at[i];
        if (s->feed != index) continue;
        if (count++ && s->last != *token) return false;
        *token = s->last;
    }
    return count > 0 && !end_is_kept && g->feeds.at[index].kind == FEED_DECODE;
}

/* The answers of all sequences at a feed's end. Returns how many ended ones keep it. */
static int32_t take_sequences(engine *e, sequence_group *g, int32_t index, int32_t fed,
                              const kv_read *reads) {
    int32_t count = 0, kept = 0;
    for (int64_t i = 0; i < g->sequences.count; i++) count += g->sequences.at[i].feed == index;
    for (int32_t i = 0; i < g->sequences.count; i++) {
        sequence *s = &g->sequences.at[i];
        if (s->feed != index) continue;
        if (g->request.sequences[i].known) {
            begin_known(g, i, index, reads++);
            continue;
        }
        int32_t keep;
        bool more = sequence_take(e, g, i, reads, &keep);
        reads += s->reads;
        if (more) continue;
        free_place(e, g);
        s->feed = -1;
        if (keep < 0) continue;
        keep_sequence(e, g, s, index, keep, fed, count == 1);
        kept += s->kept_feed == index;
    }
    return kept;
}

static void deliver_sequences(engine *e, sequence_group *g, int32_t index, const kv_read *reads) {
    const feed *f = &g->feeds.at[index];
    int32_t fed = f->kind == FEED_DECODE ? f->as.decode.before + (int32_t)f->done : 0;
    int32_t kept = take_sequences(e, g, index, fed, reads);
    /* Two that part at their last token: each continues in a run of its own. */
    if (kept > 1) g->feeds.at[index].diverges = true;
    int32_t token = 0;
    if (continues(g, index, kept > 0, &token)) {
        g->feeds.at[index].as.decode.token = token;
        g->feeds.at[index].n++;
        return;
    }
    branch(g, index, fed);
    complete(g);
}

/* A place's ids are cached now. */
static void keep_place(engine *e, sequence_group *g, const feed *f) {
    cache_entry *entry = cache_entry_at(&g->places, f->as.prefill.place, f->prefix);
    if (entry->run != f->run) {
        cache_entry_drop(e->kv[f->prefix], entry);
        entry->run = f->run;
        kv_run_retain(e->kv[f->prefix], f->run);
    }
    entry->cached = f->as.prefill.from + (int32_t)f->n;
    entry->has_children = false;
}

static void deliver_tail(engine *e, sequence_group *g, feed *f, const kv_read *reads) {
    for (int a = 0; a < ENGINE_ANSWERS; a++)
        g->request.reader->tail(g->request.user, f->as.suffix.tail, a, reads[a].logprob);
    kv_run_release(e->kv[f->prefix], f->run);
    f->run = -1;
    free_place(e, g);
}

void answers_take(engine *e, sequence_group *g, int32_t index, const kv_read *reads) {
    feed *f = &g->feeds.at[index];
    assert(f->now > 0 && f->done + f->now <= f->n);
    g->counts.computed += f->now;
    if (f->kind == FEED_SUFFIX) g->counts.suffixes += f->now;
    for (int64_t i = 0; f->kind == FEED_SCORE && i < f->now; i++)
        g->request.reader->known(g->request.user, f->as.score.sequence, f->done + i + 1, reads[i].logprob);
    f->done += f->now;
    f->now = 0;
    if (f->done < f->n) return;
    if (f->kind == FEED_PREFILL) keep_place(e, g, f);
    if (f->kind == FEED_SUFFIX) deliver_tail(e, g, f, reads);
    if (sequences_read(f))
        deliver_sequences(e, g, index, reads);
    else
        complete(g);
}
