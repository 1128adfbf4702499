#include "policy/reply_log.h"

#include "base/file.h"
#include "base/half.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { KIND_CANDIDATES = 1, KIND_CONFIDENCES = 2 };
enum { HAS_IDS = 1, HAS_LOGPROBS = 2, IS_GOLD = 4, IS_GOLD_TEXT = 8, FLAGS = 15 };
enum { HEADER = 40, CHECKSUM = 8, CANDIDATE = 36 }; /* bytes */

typedef MEM_LIST(uint8_t) byte_list;

typedef struct {
    uint64_t job, fingerprint;
    uint32_t number, kind, count;
    size_t payload, end; /* offsets in the log */
} record;

struct reply_log {
    byte_list bytes;
    MEM_LIST(record) records;
    int file; /* -1: in memory alone */
    char *path;
};

/* ---- numbers to bytes and back ---- */

static void put(byte_list *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) MEM_LIST_PUSH(to, (uint8_t)(value >> 8 * i));
}

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t get(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;) value = value << 8 | at[i];
    return value;
}

static uint32_t get32(const uint8_t *at) {
    return (uint32_t)get(at, 4);
}

static double get_double(const uint8_t *at) {
    uint64_t bits = get(at, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- fingerprints ---- */

static void hash_step(XXH3_state_t *state, const search *s, int32_t node) {
    search_node n = search_node_at(s, node);
    int32_t about[2] = {n.n, n.ids != NULL};
    XXH3_64bits_update(state, about, sizeof about);
    if (n.ids) XXH3_64bits_update(state, n.ids, (size_t)n.n * sizeof *n.ids);
}

/* The bytes hashed are those of a little-endian machine, the only kind that this program is built for. */
uint64_t reply_log_fingerprint(const search *s, const search_request *asked) {
    XXH3_state_t *state = XXH3_createState();
    XXH3_64bits_reset(state);
    uint64_t words[] = {(uint64_t)asked->kind,   (uint64_t)asked->node,
                        (uint64_t)asked->count,  (uint64_t)asked->first_candidate,
                        (uint64_t)asked->to_end, (uint64_t)asked->wants_gold,
                        asked->key.state};
    if (asked->kind != SEARCH_CANDIDATES) words[3] = words[4] = words[5] = words[6] = 0;
    XXH3_64bits_update(state, words, sizeof words);
    for (int32_t a = asked->node; a > 0; a = search_node_at(s, a).parent) hash_step(state, s, a);
    for (int32_t i = 1; asked->kind == SEARCH_JUDGE && i < asked->count; i++)
        hash_step(state, s, asked->node + i);
    uint64_t hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return hash;
}

/* ---- records ---- */

static void put_candidate(byte_list *to, const search_candidate *c) {
    uint32_t flags = (c->ids ? HAS_IDS : 0) | (c->logprobs ? HAS_LOGPROBS : 0) | (c->gold ? IS_GOLD : 0) |
                     (c->gold_text ? IS_GOLD_TEXT : 0);
    put(to, (uint32_t)c->n, 4);
    put(to, flags, 4);
    put(to, c->outcome, 4);
    put(to, bits_of(c->logprob), 8);
    put(to, c->text_key, 8);
    put(to, bits_of(c->reward), 8);
    for (int32_t i = 0; c->ids && i < c->n; i++) put(to, (uint32_t)c->ids[i], 4);
    for (int32_t i = 0; c->logprobs && i < c->n; i++) put(to, bits_from_f32(c->logprobs[i]), 4);
}

/* Bytes of a candidate of which `room` are there; 0: it is not whole. */
static size_t candidate_size(const uint8_t *at, size_t room) {
    if (room < CANDIDATE) return 0;
    uint64_t n = get32(at), flags = get32(at + 4), arrays = !!(flags & HAS_IDS) + !!(flags & HAS_LOGPROBS);
    if (n < 1 || n > INT32_MAX || flags & ~(uint64_t)FLAGS || get32(at + 8) > SEARCH_CUT) return 0;
    uint64_t size = CANDIDATE + 4 * n * arrays;
    return size <= room ? (size_t)size : 0;
}

static bool payload_is_whole(const uint8_t *at, size_t n, uint32_t kind, uint32_t count) {
    if (kind == KIND_CONFIDENCES) return n == (uint64_t)count * 8;
    if (kind != KIND_CANDIDATES) return false;
    for (uint32_t i = 0; i < count; i++) {
        size_t size = candidate_size(at, n);
        if (size == 0) return false;
        at += size;
        n -= size;
    }
    return n == 0;
}

/* The record at `start`; false where none is whole there. */
static bool read_record(const uint8_t *bytes, size_t n, size_t start, record *out) {
    const uint8_t *at = bytes + start;
    if (n - start < HEADER + CHECKSUM) return false;
    size_t length = get32(at);
    if (length < HEADER + CHECKSUM || length > n - start) return false;
    if (get(at + length - CHECKSUM, 8) != XXH3_64bits(at, length - CHECKSUM)) return false;
    *out = (record){.kind = get32(at + 4),
                    .job = get(at + 8, 8),
                    .number = get32(at + 16),
                    .count = get32(at + 20),
                    .fingerprint = get(at + 24, 8),
                    .payload = start + HEADER,
                    .end = start + length};
    return out->number <= INT32_MAX && out->count <= INT32_MAX &&
           payload_is_whole(at + HEADER, length - HEADER - CHECKSUM, out->kind, out->count);
}

/* Lists the whole records from the beginning on; returns where they end. */
static size_t read_records(reply_log *log) {
    size_t at = 0;
    record r;
    while (read_record(log->bytes.at, (size_t)log->bytes.count, at, &r)) {
        MEM_LIST_PUSH(&log->records, r);
        at = r.end;
    }
    return at;
}

/* ---- logs ---- */

reply_log *reply_log_new(void) {
    reply_log *log = MEM_NEW(reply_log);
    *log = (reply_log){.file = -1};
    return log;
}

static void take_bytes(reply_log *log, const uint8_t *bytes, size_t n) {
    MEM_LIST_RESERVE(&log->bytes, (int64_t)n + 1); /* an empty log has bytes to point at, too */
    MEM_LIST_APPEND(&log->bytes, bytes, (int64_t)n);
}

esp_status reply_log_from_bytes(reply_log **out, const uint8_t *bytes, size_t n, esp_error *error) {
    *out = NULL;
    reply_log *log = reply_log_new();
    take_bytes(log, bytes, n);
    size_t whole = read_records(log);
    if (whole == n) {
        *out = log;
        return ESP_OK;
    }
    reply_log_close(log);
    return error_fail(error, "send it again", "a log of %zu bytes: what is at byte %zu is no whole record", n,
                      whole);
}

static esp_status cannot(const reply_log *log, const char *what, esp_error *error) {
    int e = errno;
    bool full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    error_fail(error, full ? "free some disk space" : "check the folder's permissions and the disk",
               "%s: cannot %s: %s", log->path, what, strerror(e));
    return error_because(error, full ? ESP_REASON_DISK_FULL : ESP_REASON_OTHER);
}

static esp_status read_file(reply_log *log, esp_error *error) {
    char *bytes;
    size_t n;
    ESP_TRY(file_read(log->path, &bytes, &n, error));
    take_bytes(log, (const uint8_t *)bytes, n);
    mem_free(bytes);
    size_t whole = read_records(log);
    log->bytes.count = (int64_t)whole;
    return whole == n || ftruncate(log->file, (off_t)whole) == 0 ? ESP_OK : cannot(log, "write", error);
}

esp_status reply_log_open(reply_log **out, const char *path, esp_error *error) {
    *out = NULL;
    reply_log *log = reply_log_new();
    log->path = mem_strdup(path);
    log->file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    esp_status status = log->file < 0 ? cannot(log, "open", error) : read_file(log, error);
    if (status == ESP_OK)
        *out = log;
    else
        reply_log_close(log);
    return status;
}

void reply_log_close(reply_log *log) {
    if (!log) return;
    if (log->file >= 0) close(log->file);
    MEM_LIST_FREE(&log->bytes);
    MEM_LIST_FREE(&log->records);
    mem_free(log->path);
    mem_free(log);
}

int64_t reply_log_count(const reply_log *log) {
    return log->records.count;
}

const uint8_t *reply_log_bytes(const reply_log *log, size_t *n) {
    *n = (size_t)log->bytes.count;
    return log->bytes.at;
}

/* ---- adding ---- */

static void put_record(byte_list *to, uint64_t job, int32_t number, uint64_t fingerprint,
                       search_request_kind asked, uint64_t version, const search_reply *reply) {
    int64_t start = to->count;
    bool judge = asked == SEARCH_JUDGE;
    int32_t count = judge ? reply->confidence_count : reply->candidate_count;
    put(to, 0, 4); /* the length, below */
    put(to, judge ? KIND_CONFIDENCES : KIND_CANDIDATES, 4);
    put(to, job, 8);
    put(to, (uint32_t)number, 4);
    put(to, (uint32_t)count, 4);
    put(to, fingerprint, 8);
    put(to, version, 8);
    for (int32_t i = 0; i < count; i++) {
        if (judge)
            put(to, bits_of(reply->confidences[i]), 8);
        else
            put_candidate(to, &reply->candidates[i]);
    }
    int64_t length = to->count - start + CHECKSUM;
    for (int i = 0; i < 4; i++) to->at[start + i] = (uint8_t)(length >> 8 * i);
    put(to, XXH3_64bits(to->at + start, (size_t)(length - CHECKSUM)), 8);
}

/* Appends to the file what the bytes hold from `start` on, all of it or nothing. */
static esp_status write_out(reply_log *log, int64_t start, esp_error *error) {
    struct stat before;
    if (fstat(log->file, &before) != 0) return cannot(log, "write", error);
    size_t n = (size_t)(log->bytes.count - start);
    ssize_t written = write(log->file, log->bytes.at + start, n);
    if (written == (ssize_t)n) return ESP_OK;
    if (written >= 0) errno = ENOSPC;
    esp_status status = cannot(log, "write", error);
    if (written > 0) (void)!ftruncate(log->file, before.st_size); /* else the next opening cuts it off */
    return status;
}

esp_status reply_log_add(reply_log *log, uint64_t job, int32_t number, const search *s,
                         const search_request *asked, uint64_t version, const search_reply *reply,
                         esp_error *error) {
    int64_t start = log->bytes.count;
    record r;
    put_record(&log->bytes, job, number, reply_log_fingerprint(s, asked), asked->kind, version, reply);
    esp_status status = ESP_OK;
    if (log->bytes.count - start > UINT32_MAX ||
        !read_record(log->bytes.at, (size_t)log->bytes.count, (size_t)start, &r))
        status = error_fail(error, "report this: it is a fault of the program",
                            "a reply to request %d of job %llu is none that a search could take", number,
                            (unsigned long long)job);
    if (status == ESP_OK && log->file >= 0) status = write_out(log, start, error);
    if (status == ESP_OK)
        MEM_LIST_PUSH(&log->records, r);
    else
        log->bytes.count = start;
    return status;
}

esp_status reply_log_sync(reply_log *log, esp_error *error) {
    if (log->file < 0 || fdatasync(log->file) == 0) return ESP_OK;
    return cannot(log, "write", error);
}

/* ---- feeding ---- */

static const uint8_t *get_candidate(const uint8_t *at, arena *memory, search_candidate *out) {
    int32_t n = (int32_t)get32(at);
    uint32_t flags = get32(at + 4);
    int32_t *ids = flags & HAS_IDS ? ARENA_ARRAY(memory, int32_t, n) : NULL;
    float *logprobs = flags & HAS_LOGPROBS ? ARENA_ARRAY(memory, float, n) : NULL;
    *out = (search_candidate){.ids = ids,
                              .logprobs = logprobs,
                              .n = n,
                              .outcome = (search_outcome)get32(at + 8),
                              .logprob = get_double(at + 12),
                              .text_key = get(at + 20, 8),
                              .reward = get_double(at + 28),
                              .gold = flags & IS_GOLD,
                              .gold_text = flags & IS_GOLD_TEXT};
    at += CANDIDATE;
    for (int32_t i = 0; ids && i < n; i++, at += 4) ids[i] = (int32_t)get32(at);
    for (int32_t i = 0; logprobs && i < n; i++, at += 4) logprobs[i] = f32_from_bits(get32(at));
    return at;
}

static search_reply get_reply(const reply_log *log, const record *r, arena *memory) {
    const uint8_t *at = log->bytes.at + r->payload;
    if (r->kind == KIND_CONFIDENCES) {
        double *confidences = ARENA_ARRAY(memory, double, r->count + 1);
        for (uint32_t i = 0; i < r->count; i++) confidences[i] = get_double(at + 8 * i);
        return (search_reply){.confidences = confidences, .confidence_count = (int32_t)r->count};
    }
    search_candidate *candidates = ARENA_ARRAY(memory, search_candidate, r->count + 1);
    for (uint32_t i = 0; i < r->count; i++) at = get_candidate(at, memory, &candidates[i]);
    return (search_reply){.candidates = candidates, .candidate_count = (int32_t)r->count};
}

/* The job's records by number, of several with the same number the last; NULL where there is none, and after
 * the last number. Records that follow each other from 0 on have numbers below the log's count. */
static const record **records_of(const reply_log *log, uint64_t job) {
    const record **by_number = MEM_ARRAY(const record *, log->records.count + 1);
    for (int64_t i = 0; i < log->records.count; i++) {
        const record *r = &log->records.at[i];
        if (r->job == job && r->number < log->records.count) by_number[r->number] = r;
    }
    return by_number;
}

static bool answers(const record *r, const search *s, const search_request *asked) {
    uint32_t kind = asked->kind == SEARCH_JUDGE ? KIND_CONFIDENCES : KIND_CANDIDATES;
    return r->kind == kind && r->fingerprint == reply_log_fingerprint(s, asked);
}

esp_status reply_log_feed(const reply_log *log, uint64_t job, search *s, int32_t *fed, esp_error *error) {
    arena *memory = arena_new();
    const record **by_number = records_of(log, job);
    esp_status status = ESP_OK;
    for (*fed = 0;; ++*fed) {
        search_request asked;
        search_next(s, &asked);
        if (asked.kind == SEARCH_DONE) break;
        const record *r = by_number[*fed];
        if (!r || !answers(r, s, &asked)) break;
        arena_reset(memory);
        search_reply reply = get_reply(log, r, memory);
        status = search_feed(s, &reply, error);
        if (status != ESP_OK) break;
    }
    if (status != ESP_OK) error_prefix(error, "reply %d of job %llu", *fed, (unsigned long long)job);
    mem_free(by_number);
    arena_free(memory);
    return status;
}
