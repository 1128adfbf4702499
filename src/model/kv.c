/* The KV cache: a pool of pages, and runs that own pages and keep their parents. model_extend is the only
 * writer. */
#include "model/internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct {
    int32_t parent, references, children;
    int64_t start, length; /* start: tokens before the run, from the root */
    MEM_LIST(int32_t) pages;
} kv_run;

struct kv_cache {
    model *m;
    int64_t page_count;
    void *planes;
    void **k, **v; /* [layers], act [page_count * KV_PAGE_TOKENS, G E], in planes */
    MEM_LIST(int32_t) free_pages;
    MEM_LIST(kv_run) runs;
    MEM_LIST(int32_t) free_runs;
    /* scratch of model_extend */
    MEM_LIST(int32_t) ids;
    MEM_LIST(int32_t) positions;
    MEM_LIST(int64_t) slots;
    MEM_LIST(attention_span) spans;
    MEM_LIST(attention_segment) segments;
    MEM_LIST(int32_t) chain;
};

esp_status kv_new(kv_cache **out, model *m, int64_t tokens, esp_error *error) {
    kv_cache *kv = MEM_NEW(kv_cache);
    *out = NULL;
    kv->m = m;
    kv->page_count = (tokens + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
    kv->k = MEM_ARRAY(void *, m->config.layers);
    kv->v = MEM_ARRAY(void *, m->config.layers);
    size_t bytes = act_bytes(m, kv->page_count * KV_PAGE_TOKENS * m->config.kv_heads * m->config.head_width);
    bytes = (bytes + 63) & ~(size_t)63;
    size_t planes = 2 * (size_t)m->config.layers;
    if (bytes > SIZE_MAX / planes ||
        compute_buffer_new(m->compute, &kv->planes, planes * bytes, "the KV cache", error) != ESP_OK) {
        kv_free(kv);
        return ESP_FAILED;
    }
    for (int l = 0; l < m->config.layers; l++) {
        kv->k[l] = (char *)kv->planes + (size_t)(2 * l) * bytes;
        kv->v[l] = (char *)kv->planes + (size_t)(2 * l + 1) * bytes;
    }
    for (int64_t p = kv->page_count; p-- > 0;) MEM_LIST_PUSH(&kv->free_pages, (int32_t)p);
    *out = kv;
    return ESP_OK;
}

void kv_free(kv_cache *kv) {
    if (!kv) return;
    kv->m->compute->ops->buffer_free(kv->m->compute, kv->planes);
    for (int64_t r = 0; r < kv->runs.count; r++) MEM_LIST_FREE(&kv->runs.at[r].pages);
    mem_free(kv->k);
    mem_free(kv->v);
    MEM_LIST_FREE(&kv->free_pages);
    MEM_LIST_FREE(&kv->runs);
    MEM_LIST_FREE(&kv->free_runs);
    MEM_LIST_FREE(&kv->ids);
    MEM_LIST_FREE(&kv->positions);
    MEM_LIST_FREE(&kv->slots);
    MEM_LIST_FREE(&kv->spans);
    MEM_LIST_FREE(&kv->segments);
    MEM_LIST_FREE(&kv->chain);
    mem_free(kv);
}

/* Tokens from the root through the run. */
static int64_t run_end(const kv_cache *kv, int32_t run) {
    return kv->runs.at[run].start + kv->runs.at[run].length;
}

int32_t kv_run_new(kv_cache *kv, int32_t parent) {
    int32_t id;
    if (kv->free_runs.count)
        id = kv->free_runs.at[--kv->free_runs.count];
    else {
        id = (int32_t)kv->runs.count;
        MEM_LIST_PUSH(&kv->runs, (kv_run){0});
    }
    kv_run *r = &kv->runs.at[id];
    r->parent = parent;
    r->references = 1;
    r->children = 0;
    r->start = parent < 0 ? 0 : run_end(kv, parent);
    r->length = 0;
    r->pages.count = 0;
    if (parent >= 0) {
        kv->runs.at[parent].references++;
        kv->runs.at[parent].children++;
    }
    return id;
}

void kv_run_retain(kv_cache *kv, int32_t run) {
    kv->runs.at[run].references++;
}

void kv_run_release(kv_cache *kv, int32_t run) {
    while (run >= 0) {
        kv_run *r = &kv->runs.at[run];
        assert(r->references > 0);
        if (--r->references > 0) return;
        for (int64_t p = r->pages.count; p-- > 0;) MEM_LIST_PUSH(&kv->free_pages, r->pages.at[p]);
        r->pages.count = 0;
        MEM_LIST_PUSH(&kv->free_runs, run);
        run = r->parent;
        if (run >= 0) kv->runs.at[run].children--;
    }
}

int64_t kv_run_children(const kv_cache *kv, int32_t run) {
    return kv->runs.at[run].children;
}
int64_t kv_run_length(const kv_cache *kv, int32_t run) {
    return kv->runs.at[run].length;
}
int64_t kv_pages_free(const kv_cache *kv) {
    return kv->free_pages.count;
}
int64_t kv_pages_total(const kv_cache *kv) {
    return kv->page_count;
}

int64_t kv_pages_needed(const kv_cache *kv, int32_t run, int64_t n) {
    const kv_run *r = &kv->runs.at[run];
    return (r->length + n + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS - r->pages.count;
}

void kv_run_truncate(kv_cache *kv, int32_t run, int64_t length) {
    kv_run *r = &kv->runs.at[run];
    assert(r->children == 0 && length <= r->length);
    r->length = length;
    int64_t pages = (length + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
    while (r->pages.count > pages) MEM_LIST_PUSH(&kv->free_pages, r->pages.at[--r->pages.count]);
}

/* The whole context of a run, root first, as pieces of the pool; neighbouring pages are joined. Returns the
 * pieces. */
static int32_t context_segments(kv_cache *kv, int32_t run) {
    int64_t first = kv->segments.count;
    kv->chain.count = 0;
    for (int32_t a = run; a >= 0; a = kv->runs.at[a].parent) MEM_LIST_PUSH(&kv->chain, a);
    for (int64_t i = kv->chain.count; i-- > 0;) {
        const kv_run *r = &kv->runs.at[kv->chain.at[i]];
        for (int64_t p = 0, left = r->length; left > 0; p++, left -= KV_PAGE_TOKENS) {
            attention_segment piece = {(int64_t)r->pages.at[p] * KV_PAGE_TOKENS,
                                       (int32_t)(left < KV_PAGE_TOKENS ? left : KV_PAGE_TOKENS)};
            attention_segment *before =
                kv->segments.count > first ? &kv->segments.at[kv->segments.count - 1] : NULL;
            if (before && before->slot + before->count == piece.slot)
                before->count += piece.count;
            else
                MEM_LIST_PUSH(&kv->segments, piece);
        }
    }
    return (int32_t)(kv->segments.count - first);
}

static esp_status check_feeds(model *m, kv_cache *kv, const kv_feed *feeds, int64_t feed_count,
                              esp_error *error) {
    int64_t pages = 0;
    for (int64_t f = 0; f < feed_count; f++) {
        assert(kv->runs.at[feeds[f].run].children == 0 || kv->runs.at[feeds[f].run].length == 0 ||
               feeds[f].n == 0);
        pages += kv_pages_needed(kv, feeds[f].run, feeds[f].n);
        if (run_end(kv, feeds[f].run) + feeds[f].n > m->context)
            return error_fail(error, "shorten the prompt, or use a model with a longer context",
                              "a path of %lld tokens is longer than the context of %lld",
                              (long long)(run_end(kv, feeds[f].run) + feeds[f].n), (long long)m->context);
        for (int64_t i = 0; i < feeds[f].n; i++)
            if (feeds[f].tokens[i] < 0 || feeds[f].tokens[i] >= m->config.vocab)
                return error_fail(error, "tokenize with the model's own tokenizer",
                                  "token id %d is outside the vocabulary of %lld", feeds[f].tokens[i],
                                  (long long)m->config.vocab);
    }
    if (pages > kv->free_pages.count) {
        error_fail(error, "raise the cache's size, or search fewer problems at once",
                   "the KV cache is full: %lld pages needed, %lld free of %lld", (long long)pages,
                   (long long)kv->free_pages.count, (long long)kv->page_count);
        return error_because(error, ESP_REASON_CACHE_FULL);
    }
    return ESP_OK;
}

/* Takes pages for one feed, lists its tokens, and describes its span. before: the feed before, or NULL. */
static void append_feed(kv_cache *kv, const kv_feed *feed, const kv_feed *before) {
    kv_run *r = &kv->runs.at[feed->run];
    if (r->length == 0 && r->parent >= 0)
        r->start = run_end(kv, r->parent); /* the parent may have been fed just now */
    int64_t first_query = kv->ids.count;
    for (int64_t i = 0; i < feed->n; i++) {
        int64_t at = r->length + i;
        if (at / KV_PAGE_TOKENS == r->pages.count)
            MEM_LIST_PUSH(&r->pages, kv->free_pages.at[--kv->free_pages.count]);
        MEM_LIST_PUSH(&kv->ids, feed->tokens[i]);
        MEM_LIST_PUSH(&kv->positions, (int32_t)(r->start + at));
        MEM_LIST_PUSH(&kv->slots,
                      (int64_t)r->pages.at[at / KV_PAGE_TOKENS] * KV_PAGE_TOKENS + at % KV_PAGE_TOKENS);
    }
    r->length += feed->n;
    if (feed->n == 0) return;
    attention_span span = {.first_query = first_query, .queries = (int32_t)feed->n, .decoded = feed->decoded};
    bool same_path = before && before->run == r->parent && before->n > 0;
    if (same_path && before->decoded == feed->decoded) { /* one span with the feed before */
        attention_span *last = &kv->spans.at[--kv->spans.count];
        kv->segments.count = last->first_segment;
        span.first_query = last->first_query;
        span.queries += last->queries;
    }
    span.context = (int32_t)(r->start + r->length);
    span.first_segment = kv->segments.count;
    span.segments = context_segments(kv, feed->run);
    MEM_LIST_PUSH(&kv->spans, span);
}

/* Which tokens are asked about, each once, and the questions as the compute layer takes them. */
static int64_t list_reads(model *m, const int64_t *feed_start, const kv_read *reads, int64_t n) {
    MEM_LIST_RESERVE(&m->head_rows.token_of, n);
    MEM_LIST_RESERVE(&m->head_rows.reads, n);
    head_read_request *list = m->head_rows.reads.at;
    int64_t *token_of = m->head_rows.token_of.at, rows = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t token = feed_start[reads[i].feed] + reads[i].at;
        assert(rows == 0 || token >= token_of[rows - 1]);
        if (rows == 0 || token_of[rows - 1] != token) token_of[rows++] = token;
        list[i] = (head_read_request){.row = rows - 1,
                                      .kind = reads[i].kind,
                                      .token = reads[i].token,
                                      .temperature = reads[i].temperature,
                                      .u = reads[i].u};
    }
    return rows;
}

/* Asks about the rows, and copies the answers back. */
static esp_status answer_reads(model *m, kv_read *reads, int64_t n, esp_error *error) {
    if (n == 0) return ESP_OK;
    head_read_request *list = m->head_rows.reads.at;
    m->compute->ops->head_read(m->compute, m->head->matrix, m->head_rows.count, m->head_rows.normed.at, list,
                               n);
    ESP_TRY(compute_check(m->compute, error));
    for (int64_t i = 0; i < n; i++) {
        reads[i].token = list[i].token;
        reads[i].logprob = list[i].logprob;
        reads[i].margin = list[i].margin;
        if (!isfinite(reads[i].logprob))
            return error_fail(error, "the weights are broken, or need f32",
                              "the model's log-probs are not finite");
    }
    return ESP_OK;
}

esp_status model_extend(model *m, kv_cache *kv, const kv_feed *feeds, int64_t feed_count, kv_read *reads,
                        int64_t read_count, esp_error *error) {
    assert(kv->m == m);
    ESP_TRY(check_feeds(m, kv, feeds, feed_count, error));
    kv->ids.count = kv->positions.count = kv->slots.count = kv->spans.count = kv->segments.count = 0;
    int64_t *feed_start = MEM_ARRAY(int64_t, feed_count);
    for (int64_t f = 0; f < feed_count; f++) {
        feed_start[f] = kv->ids.count;
        append_feed(kv, &feeds[f], f > 0 ? &feeds[f - 1] : NULL);
    }
    const model_config *c = &m->config;
    layer_pass pass = {.plan = {.heads = c->heads,
                                .kv_heads = c->kv_heads,
                                .head_width = c->head_width,
                                .tokens = kv->ids.count,
                                .ids = kv->ids.at,
                                .positions = kv->positions.at,
                                .slots = kv->slots.at,
                                .spans = kv->spans.at,
                                .span_count = kv->spans.count,
                                .segments = kv->segments.at,
                                .layers = c->layers,
                                .k = kv->k,
                                .v = kv->v}};
    assert(pass.plan.tokens > 0 || read_count == 0);
    pass.read_count = list_reads(m, feed_start, reads, read_count);
    pass.read = m->head_rows.token_of.at;
    esp_status status = ESP_OK;
    if (pass.plan.tokens) {
        status = model_run_layers(m, &pass, error);
        model_end_pass(m, &pass);
    }
    if (status == ESP_OK) status = answer_reads(m, reads, read_count, error);
    mem_free(feed_start);
    return status;
}
