/* A search in transit is its replies: search/ is a pure function of configuration, key and replies, so the
 * list of a search's replies is a journal of it, a message about it, and a way to repeat it. A log holds the
 * replies of many searches, each under the number of its job, and is a file that is only appended to, or
 * bytes. A candidate's record has its outcome: what graded it is not asked again either.
 *
 * For samplers whose answers cannot be had twice: a policy on other machines is not keyed, and its tokens
 * were paid for. No such sampler is part of the program yet, so nothing but the tests calls this; the
 * samplers that are repeat an unfinished wave with the same bits (docs/architecture.md, idea 4).
 *
 * A record, little-endian: u32 length in bytes, u32 kind (1 candidates, 2 confidences), u64 job, u32 number
 * of the request in its search from 0, u32 count, u64 fingerprint of the request, u64 version of the policy,
 * then per candidate u32 n, u32 flags (1 ids, 2 log-probs, 4 gold, 8 gold text), u32 outcome, f64 log-prob,
 * u64 text key, f64 reward, and n i32 ids and n f32 log-probs where flagged; or per confidence an f64; and
 * last a u64: XXH3 of all the record's bytes before it. */
#ifndef ESPALIER_POLICY_REPLY_LOG_H
#define ESPALIER_POLICY_REPLY_LOG_H

#include "search/search.h"

typedef struct reply_log reply_log;

/* An empty log in memory. */
reply_log *reply_log_new(void);
/* The log in a file, to read and to append to; made where there is none. What a kill or a bad disk has left
 * at its end, from the first record on that is not whole, is cut off. */
esp_status reply_log_open(reply_log **out, const char *path, esp_error *error);
/* A copy of a message. Fails where a record is not whole: a message has no torn end. */
esp_status reply_log_from_bytes(reply_log **out, const uint8_t *bytes, size_t n, esp_error *error);
void reply_log_close(reply_log *log); /* NULL is fine */

int64_t reply_log_count(const reply_log *log); /* records */
/* All records as one message; valid until the next add. */
const uint8_t *reply_log_bytes(const reply_log *log, size_t *n);

/* Adds the reply to the request that search_next gave last; called before the search is fed with it. number:
 * of the request in its search, from 0. On failure (a full disk) the log is as it was. */
esp_status reply_log_add(reply_log *log, uint64_t job, int32_t number, const search *s,
                         const search_request *asked, uint64_t version, const search_reply *reply,
                         esp_error *error);
/* Makes what was added durable. It waits for the disk: once a second and at a job's end is often enough. */
esp_status reply_log_sync(reply_log *log, esp_error *error);

/* Feeds the job's replies to a fresh search, in the order of their numbers; of several with the same number
 * the last one counts. Stops at the first one that is missing or answers another request than the search
 * asks; *fed is how many were fed, and the search goes on from there. Fails where a reply answers the request
 * and the search refuses it. */
esp_status reply_log_feed(const reply_log *log, uint64_t job, search *s, int32_t *fed, esp_error *error);

/* A hash of a request: its kind, node, counts and key, and the ids of the steps that it is about. */
uint64_t reply_log_fingerprint(const search *s, const search_request *asked);

#endif
