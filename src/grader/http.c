/* Graders that are servers: each question is a POST of its JSON, each answer the body of the response. */
#include "base/clock.h"
#include "base/excerpt.h"
#include "grader/desk.h"
#include "grader/protocol.h"
#include "grader/retry.h"

#include <curl/curl.h>
#include <math.h>
#include <string.h>

enum { LONGEST_BODY = 1 << 20 };

/* One request at a time. */
typedef struct {
    CURL *easy;
    bool busy; /* it has a question; it is under way where again is 0 */
    int64_t ticket;
    int tries;
    double again; /* when the request is made again */
    text_buffer body;
    char message[CURL_ERROR_SIZE];
} slot;

typedef struct {
    grader_desk *desk;
    const grader_settings *set;
    CURLM *multi;
    struct curl_slist *headers;
    slot *slots;    /* [set->workers] */
    bool answered;  /* some question, ever */
    int64_t silent; /* questions in a row that were not answered in time */
} server;

static esp_status check(const grader_settings *set, text_buffer *name, esp_error *error) {
    const char *url = set->url ? set->url : "";
    if (!*url) {
        error_set(error, ESP_USAGE, "write the server's address: http://localhost:8000/grade",
                  "task.grader is http, and no address is named");
        return error_about(error, ESP_REASON_UNSET, "task.grader_url");
    }
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return error_fail(error, "write http://... or https://...",
                          "task.grader_url: %.200s is no address of a server", url);
    text_append(name, "http", sizeof "http");
    text_puts(name, url);
    return ESP_OK;
}

/* ---- requests ---- */

static size_t take_body(char *bytes, size_t size, size_t n, void *user) {
    slot *s = user;
    if (s->body.length + size * n > LONGEST_BODY) return 0;
    text_append(&s->body, bytes, size * n);
    return size * n;
}

static void post(server *v, slot *s) {
    text_clear(&s->body);
    s->message[0] = '\0';
    s->again = 0;
    s->tries++;
    curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, desk_question_at(v->desk, s->ticket));
    curl_multi_add_handle(v->multi, s->easy);
}

static esp_status prepare(const server *v, slot *s, esp_error *error) {
    s->easy = curl_easy_init();
    if (!s->easy) return error_fail(error, "free some memory", "no memory for requests to %s", v->set->url);
    curl_easy_setopt(s->easy, CURLOPT_URL, v->set->url);
    curl_easy_setopt(s->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(s->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, v->headers);
    curl_easy_setopt(s->easy, CURLOPT_USERAGENT, "espalier");
    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->message);
    curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS, (long)(1000 * v->set->seconds));
    return ESP_OK;
}

/* ---- responses ---- */

static esp_status refuse(const server *v, const slot *s, const char *what, esp_error *error) {
    text_buffer begin = {0};
    if (s->body.length > 0) {
        text_puts(&begin, ": ");
        excerpt(s->body.at, s->body.length, EXCERPT_MOST, &begin);
    }
    esp_status status = error_fail(
        error, "check task.grader_url and the server's log; docs/graders.md has what it must answer",
        "the grader at %s %s%s", v->set->url, what, begin.at ? begin.at : "");
    text_free(&begin);
    return status;
}

static esp_status take_answer(server *v, slot *s, esp_error *error) {
    protocol_answer answer;
    text_buffer why = {0};
    text_puts(&why, "answered ");
    esp_status status = ESP_OK;
    if (protocol_read(s->body.at ? s->body.at : "", s->body.length, false, &answer, &why)) {
        desk_answer(v->desk, s->ticket, &answer.verdict, false);
        json_decref(answer.from);
        s->busy = false;
        v->answered = true;
        v->silent = 0;
    } else {
        s->body.length = 0; /* it is in *why already */
        status = refuse(v, s, why.at, error);
    }
    text_free(&why);
    return status;
}

/* How often a request is made. A server that has never answered is soon said to be wrong; a question that
 * nobody answers in time is asked twice. */
static int64_t most_tries(const server *v, bool late) {
    enum { FIRST = 4, LATE = 2 };
    int64_t most = v->set->restarts;
    if (late && most > LATE) return LATE;
    return !v->answered && most > FIRST ? FIRST : most;
}

/* A question that was not answered in time cannot be judged; a server that leaves all of them so is not one.
 */
static esp_status take_silence(server *v, slot *s, esp_error *error) {
    enum { FIRST = 3 };
    char what[96];
    int64_t most = !v->answered && v->set->restarts > FIRST ? FIRST : v->set->restarts;
    if (++v->silent >= most) {
        s->body.length = 0;
        snprintf(what, sizeof what, "gave no answer within %g s, to %lld questions in a row", v->set->seconds,
                 (long long)v->silent);
        return refuse(v, s, what, error);
    }
    snprintf(what, sizeof what, "the grader gave no answer within %g s", v->set->seconds);
    desk_answer(v->desk, s->ticket, &(grader_verdict){.verdict = GRADE_UNKNOWN, .reason = what}, true);
    s->busy = false;
    return ESP_OK;
}

/* A request has ended, well or not. A time limit is the question's affair, all other failures the server's.
 */
static esp_status take_result(server *v, slot *s, CURLcode code, esp_error *error) {
    long http = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &http);
    curl_multi_remove_handle(v->multi, s->easy);
    bool reached = code == CURLE_OK, late = code == CURLE_OPERATION_TIMEDOUT;
    if (reached && http >= 200 && http < 300) return take_answer(v, s, error);
    if (code == CURLE_WRITE_ERROR) return refuse(v, s, "answered with more than a megabyte", error);
    if (s->tries < most_tries(v, late) && (!reached || retry_may_help(http))) {
        s->again = clock_seconds() + retry_seconds(s->tries);
        return ESP_OK;
    }
    if (late) return take_silence(v, s, error);
    char what[CURL_ERROR_SIZE + 64];
    if (reached)
        snprintf(what, sizeof what, "answered with status %ld", http);
    else
        snprintf(what, sizeof what, "cannot be asked: %s",
                 s->message[0] ? s->message : curl_easy_strerror(code));
    return refuse(v, s, what, error);
}

static esp_status take_results(server *v, esp_error *error) {
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(v->multi, &left));) {
        if (m->msg != CURLMSG_DONE) continue;
        slot *s;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&s);
        ESP_TRY(take_result(v, s, code, error));
    }
    return ESP_OK;
}

/* ---- the loop ---- */

/* Starts what may start; *until: when the next request is to be made again. */
static void ask(server *v, double *until) {
    double now = clock_seconds();
    *until = INFINITY;
    for (int64_t i = 0; i < v->set->workers; i++) {
        slot *s = &v->slots[i];
        if (!s->busy && desk_question(v->desk, &s->ticket)) {
            s->busy = true;
            s->tries = 0;
            post(v, s);
        } else if (s->busy && s->again > 0) {
            if (s->again <= now)
                post(v, s);
            else
                *until = fmin(*until, s->again);
        }
    }
}

static esp_status answer_all(server *v, esp_error *error) {
    while (!desk_is_closing(v->desk)) {
        double until;
        int running;
        curl_multi_perform(v->multi, &running);
        ESP_TRY(take_results(v, error));
        ESP_TRY(desk_deliver(v->desk, error));
        ask(v, &until);
        double left = isfinite(until) ? fmax(0, ceil(1000 * (until - clock_seconds()))) : 60000;
        struct curl_waitfd bell = {.fd = desk_bell(v->desk), .events = CURL_WAIT_POLLIN};
        curl_multi_poll(v->multi, &bell, 1, (int)left, NULL);
        desk_woken(v->desk);
    }
    return ESP_OK;
}

static void close_server(server *v) {
    for (int64_t i = 0; i < v->set->workers; i++) {
        slot *s = &v->slots[i];
        if (s->easy) curl_multi_remove_handle(v->multi, s->easy);
        curl_easy_cleanup(s->easy);
        text_free(&s->body);
    }
    curl_multi_cleanup(v->multi);
    curl_slist_free_all(v->headers);
    mem_free(v->slots);
    curl_global_cleanup();
}

static esp_status work(grader_desk *desk, const grader_settings *set, esp_error *error) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    server v = {.desk = desk, .set = set, .multi = curl_multi_init(), .slots = MEM_ARRAY(slot, set->workers)};
    v.headers = curl_slist_append(NULL, "Content-Type: application/json");
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < set->workers && status == ESP_OK; i++) status = prepare(&v, &v.slots[i], error);
    if (status == ESP_OK) status = answer_all(&v, error);
    close_server(&v);
    return status;
}

const grader_ops grader_http = {.check = check, .work = work};
