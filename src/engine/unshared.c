#include "engine/unshared.h"
#include "engine/answers.h"
#include "engine/request.h"

typedef struct {
    engine *e;
    const engine_client *client;
    sequence_group *g;
} unshared;

static esp_status check_room(const kv_cache *kv, int32_t run, int64_t n, esp_error *error) {
    if (kv_pages_needed(kv, run, n) <= kv_pages_free(kv)) return ESP_OK;
    error_fail(error, "raise the cache's size, or lower the length of steps",
               "the KV cache of %lld tokens is too small: one path takes %lld and more",
               (long long)(kv_pages_total(kv) * KV_PAGE_TOKENS), (long long)(kv_run_length(kv, run) + n));
    return error_because(error, ESP_REASON_CACHE_FULL);
}

/* Ids for a run; those from number `decoded` on are a sequence's. */
typedef struct {
    id_list ids;
    int64_t decoded;
} whole_path;

/* Feeds the ids to the run, in calls of at most max_batch_tokens, and answers the reads: `at` counts in ids,
 * ascending. */
static esp_status feed_run(const unshared *u, int32_t run, const whole_path *path, kv_read *reads,
                           int64_t read_count, esp_error *error) {
    engine *e = u->e;
    const cached_model *in = e->of[u->g->request.prefix];
    int64_t n = path->ids.count;
    ESP_TRY(check_room(in->kv, run, n, error));
    for (int64_t done = 0, answered = 0; done < n;) {
        ESP_TRY(engine_check_stop(e, error));
        kv_feed f = {.run = run, .tokens = path->ids.at + done, .decoded = done >= path->decoded};
        int64_t end = f.decoded || path->decoded > n ? n : path->decoded;
        f.n = end - done < e->set.max_batch_tokens ? end - done : e->set.max_batch_tokens;
        int64_t first = answered;
        for (; answered < read_count && reads[answered].at < done + f.n; answered++)
            reads[answered].at -= done;
        ESP_TRY(model_extend(in->m, in->kv, &f, 1, reads + first, answered - first, error));
        u->g->counts.computed += f.n;
        done += f.n;
        if (u->client->progress) u->client->progress(u->client->user, e->done, e->sampled);
    }
    return ESP_OK;
}

/* The whole prompt and the request's path. */
static whole_path path_of_request(const unshared *u) {
    const sequence_group *g = u->g;
    const id_list *shared = &g->lot->shared[g->request.prefix].ids;
    whole_path out = {.decoded = INT64_MAX};
    MEM_LIST_APPEND(&out.ids, shared->at, shared->count);
    for (int32_t i = 0; i <= g->request.pieces; i++) {
        engine_piece piece = group_piece(g, i);
        MEM_LIST_APPEND(&out.ids, piece.ids, piece.n);
        if (i == 0 && request_continues_sequences(&g->request)) out.decoded = out.ids.count;
    }
    return out;
}

static esp_status sample(const unshared *u, int32_t number, const whole_path *path, int32_t run,
                         esp_error *error) {
    whole_path next = *path;
    int32_t last = 0, keep;
    for (bool more = true; more;) {
        kv_read reads[SEQUENCE_READS];
        int asked = sequence_reads(u->g, number, reads);
        for (int r = 0; r < asked; r++) reads[r].at = next.ids.count - 1;
        ESP_TRY(feed_run(u, run, &next, reads, asked, error));
        more = sequence_take(u->e, u->g, number, reads, &keep);
        last = u->g->sequences.at[number].last;
        next = (whole_path){.ids = {.at = &last, .count = 1}, .decoded = 0};
    }
    return ESP_OK;
}

/* Path and known tokens, but for the last one, which is only scored. */
static esp_status score(const unshared *u, int32_t number, whole_path *path, int32_t run, esp_error *error) {
    const engine_request *r = &u->g->request;
    const engine_sequence *s = &r->sequences[number];
    kv_read *reads = MEM_ARRAY(kv_read, s->known_count);
    for (int64_t i = 0; i < s->known_count; i++)
        reads[i] = (kv_read){.at = path->ids.count - 1 + i, .kind = READ_SCORE, .token = s->known[i]};
    MEM_LIST_APPEND(&path->ids, s->known, s->known_count - 1);
    esp_status status = feed_run(u, run, path, reads, s->known_count, error);
    for (int64_t i = 0; i < s->known_count && status == ESP_OK; i++)
        r->reader->known(r->user, number, i, reads[i].logprob);
    mem_free(reads);
    return status;
}

/* The log-probs of the answers after the whole prompt, one tail and the suffix. */
static esp_status score_tail(const unshared *u, int32_t tail, whole_path *path, int32_t run,
                             esp_error *error) {
    const engine_request *r = &u->g->request;
    MEM_LIST_APPEND(&path->ids, r->tails[tail].ids, r->tails[tail].n);
    MEM_LIST_APPEND(&path->ids, r->suffix, r->suffix_count);
    kv_read reads[ENGINE_ANSWERS];
    for (int a = 0; a < ENGINE_ANSWERS; a++)
        reads[a] = (kv_read){.at = path->ids.count - 1, .kind = READ_SCORE, .token = r->answers[a]};
    ESP_TRY(feed_run(u, run, path, reads, ENGINE_ANSWERS, error));
    for (int a = 0; a < ENGINE_ANSWERS; a++) r->reader->tail(r->user, tail, a, reads[a].logprob);
    u->g->counts.suffixes += r->suffix_count;
    return ESP_OK;
}

/* Sequence or, from sequence_count on, tail number i. */
static esp_status answer_one(const unshared *u, int32_t i, esp_error *error) {
    const engine_request *r = &u->g->request;
    whole_path path = path_of_request(u);
    kv_cache *kv = u->e->kv[r->prefix];
    int32_t run = kv_run_new(kv, -1);
    esp_status status = i >= r->sequence_count  ? score_tail(u, i - r->sequence_count, &path, run, error)
                        : r->sequences[i].known ? score(u, i, &path, run, error)
                                                : sample(u, i, &path, run, error);
    kv_run_release(kv, run);
    MEM_LIST_FREE(&path.ids);
    return status;
}

esp_status unshared_answer(engine *e, const engine_client *client, sequence_group *g, esp_error *error) {
    unshared u = {e, client, g};
    g->begun = g->request.sequence_count;
    request_begin_sequences(g);
    for (int32_t i = 0; i < g->request.sequence_count + g->request.tail_count; i++)
        ESP_TRY(answer_one(&u, i, error));
    return ESP_OK;
}
