#include "policy/answer.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <string.h>

/* ---- One candidate, token by token ---- */

void answer_candidate_free(answer_candidate *c) {
    MEM_LIST_FREE(&c->ids);
    MEM_LIST_FREE(&c->logprobs);
    MEM_LIST_FREE(&c->ends);
    MEM_LIST_FREE(&c->verdicts);
}

bool answer_scores_eos(const answer_candidate *c) {
    /* Where a newline would end the answer, end-of-sequence takes its place and is scored there. */
    return c->wants_eos || c->steps.line.answer;
}

static void add(answer_candidate *c, int32_t token, float logprob) {
    MEM_LIST_PUSH(&c->ids, token);
    MEM_LIST_PUSH(&c->logprobs, logprob);
    if (c->reads_verdicts) MEM_LIST_PUSH(&c->verdicts, c->verdict);
}

static void keep_only(answer_candidate *c, int32_t count) {
    c->dropped += (int32_t)(c->ids.count - count);
    c->ids.count = c->logprobs.count = count;
    if (c->reads_verdicts) c->verdicts.count = count;
}

static int32_t step_start(const answer_candidate *c) {
    return c->ends.count ? c->ends.at[c->ends.count - 1] : 0;
}

/* A step of a whole chain has ended at ids[end]; the ids after it begin the next one. */
static bool next_step(const prompt_words *w, answer_candidate *c, int32_t end, bool cut) {
    MEM_LIST_PUSH(&c->ends, end);
    if (cut) {
        keep_only(c, end);
        c->cut = true;
        return false;
    }
    for (int64_t i = end; i < c->ids.count; i++) {
        size_t length;
        const char *piece = tokenizer_piece(prompt_tokenizer(w), c->ids.at[i], &length);
        step_replay(&c->steps, piece, length);
    }
    return true;
}

static bool reached_length(answer_candidate *c) {
    if (c->max_tokens == 0 || c->ids.count < c->max_tokens) return false;
    c->cut = true;
    return true;
}

/* A token, sampled or known. False: the candidate has ended; with wants_eos set, end-of-sequence follows. */
static bool push(const prompt_words *w, answer_candidate *c, int32_t token, float logprob) {
    add(c, token, logprob);
    size_t length;
    const char *piece = tokenizer_piece(prompt_tokenizer(w), token, &length);
    step_result r = step_feed(&c->steps, token, piece, length);
    int32_t end = step_start(c) + r.keep;
    switch (r.outcome) {
    case STEP_GOES_ON:
        return !reached_length(c);
    case STEP_ENDED:
    case STEP_FULL:
        if (c->whole_chain) return next_step(w, c, end, r.cut) && !reached_length(c);
        keep_only(c, end);
        c->cut = r.cut;
        return false;
    case STEP_FINISHED_EOS:
        c->finished = true;
        return false;
    case STEP_FINISHED_ANSWER:
        c->wants_eos = true;
        keep_only(c, end);
        return false;
    }
    return false;
}

static void finish(const prompt_words *w, answer_candidate *c, float eos_logprob) {
    add(c, prompt_eos(w), eos_logprob);
    c->finished = true;
}

bool answer_take(const prompt_words *w, answer_candidate *c, int32_t token, float logprob,
                 float eos_logprob) {
    if (c->wants_eos) {
        finish(w, c, eos_logprob);
        return false;
    }
    int64_t before = c->ids.count;
    bool scored = c->steps.line.answer;
    if (push(w, c, token, logprob)) return true;
    if (!c->wants_eos) return false;
    if (c->ids.count > before) return true; /* the last token is fed, to score after it */
    /* The newline was dropped, so end-of-sequence is where its score was read. */
    assert(scored);
    (void)scored; /* where a packager turns asserts off */
    finish(w, c, eos_logprob);
    return false;
}

/* ---- Requests ---- */

step_machine answer_machine_at(const prompt_words *w, const step_rules *rules, const search *s,
                               int32_t node) {
    step_machine m;
    step_chain_begin(&m, rules);
    int32_t depth = search_node_at(s, node).depth, *path = MEM_ARRAY(int32_t, depth);
    search_path(s, node, path);
    for (int32_t d = 0; d < depth; d++) {
        search_node v = search_node_at(s, path[d]);
        for (int32_t i = 0; i < v.n; i++) {
            size_t length;
            const char *piece = tokenizer_piece(prompt_tokenizer(w), v.ids[i], &length);
            step_replay(&m, piece, length);
        }
        step_replay_end(&m);
    }
    mem_free(path);
    return m;
}

/* The part of the gold rationale after the path's text, which is its beginning but for white space. */
static const char *gold_rest(const char *rationale, const text_buffer *path) {
    const char *at = rationale;
    for (size_t i = 0; i < path->length; i++) {
        if (isspace((unsigned char)path->at[i])) continue;
        while (isspace((unsigned char)*at)) at++;
        if (*at) at++;
    }
    if (path->length && isspace((unsigned char)path->at[path->length - 1]))
        while (isspace((unsigned char)*at)) at++;
    return at;
}

static esp_status push_gold(const prompt_words *w, const char *rest, answer_candidate *c, esp_error *error) {
    token_list ids = {0};
    esp_status status = ESP_OK;
    if (*rest) status = tokenizer_encode(prompt_tokenizer(w), rest, strlen(rest), false, &ids, error);
    bool more = *rest != 0;
    for (int64_t i = 0; status == ESP_OK && more && i < ids.count; i++) more = push(w, c, ids.at[i], 0);
    if (status == ESP_OK && (more || c->wants_eos)) { /* the rationale's end */
        finish(w, c, 0);
        c->wants_eos = false;
    }
    MEM_LIST_FREE(&ids);
    return status;
}

esp_status answer_gold_step(const prompt_words *w, const problem *p, const search *s, int32_t node,
                            const step_machine *machine, bool whole_chain, answer_candidate *out,
                            esp_error *error) {
    *out = (answer_candidate){.gold = true, .whole_chain = whole_chain, .steps = *machine};
    text_buffer path = {0};
    esp_status status = prompt_path_text(w, s, node, &path, error);
    if (status == ESP_OK) status = push_gold(w, gold_rest(p->rationale, &path), out, error);
    text_free(&path);
    if (status != ESP_OK) answer_candidate_free(out);
    return status;
}

int32_t answer_judged_length(const prompt_words *w, const search_node *node) {
    if (!search_outcome_is_finished(node->outcome) || node->n == 0) return node->n;
    return prompt_is_end(w, node->ids[node->n - 1]) ? node->n - 1 : node->n;
}

double answer_confidence(double incorrect, double correct) {
    return 1 / (1 + exp(incorrect - correct));
}

double answer_own_confidence(const answer_candidate *c) {
    const answer_verdict *last = &c->verdicts.at[c->verdicts.count - 1];
    return answer_confidence((double)last->incorrect, (double)last->correct);
}

/* ---- Replies ---- */

typedef struct {
    const prompt_words *w;
    const search *s;
    int32_t node;
    const answer_grading *grading;
} reply_place;

esp_status answer_chain_text(const prompt_words *w, const search *s, int32_t node, const answer_candidate *c,
                             text_buffer *out, esp_error *error) {
    token_list ids = {0};
    int64_t before = search_path_ids(s, node, NULL);
    MEM_LIST_RESERVE(&ids, before + c->ids.count);
    search_path_ids(s, node, ids.at);
    memcpy(ids.at + before, c->ids.at, (size_t)c->ids.count * sizeof *ids.at);
    esp_status status = prompt_text(w, ids.at, before + c->ids.count, out, error);
    MEM_LIST_FREE(&ids);
    return status;
}

/* The task's own verdict. */
static grader_verdict verdict_of_task(const prompt_words *w, const problem *p, const text_buffer *text) {
    task_grade_result grade = task_grade(prompt_task(w), p, text->at, text->length);
    grader_verdict v = {.verdict = grade.verdict};
    task_grade_free(&grade);
    return v;
}

static void set_outcome(const answer_worth *worth, const grader_verdict *v, search_candidate *out) {
    bool unknown = v->verdict == GRADE_UNKNOWN;
    if (unknown && worth->unknown == ANSWER_SKIP) {
        out->outcome = SEARCH_FINISHED_UNKNOWN;
    } else if (v->scored || (unknown && worth->unknown == ANSWER_REWARD)) {
        out->outcome = SEARCH_SCORED;
        out->reward = v->scored ? v->reward : worth->reward;
    } else {
        out->outcome = v->verdict == GRADE_EQUAL ? SEARCH_RIGHT : SEARCH_WRONG;
    }
}

/* What the chain's text is worth where gold is known (docs/method.md 2.4). verdict: from outside, or NULL. */
static esp_status settle(const reply_place *at, const answer_candidate *c, const grader_verdict *verdict,
                         search_candidate *out, esp_error *error) {
    out->outcome = c->finished ? SEARCH_FINISHED_UNKNOWN : c->cut ? SEARCH_CUT : SEARCH_OPEN;
    const problem *gold = at->grading->gold;
    if (!c->finished || !gold) return ESP_OK;
    text_buffer text = {0};
    esp_status status = answer_chain_text(at->w, at->s, at->node, c, &text, error);
    if (status == ESP_OK) {
        grader_verdict v = verdict ? *verdict : verdict_of_task(at->w, gold, &text);
        set_outcome(&at->grading->worth, &v, out);
        out->gold_text = gold->rationale && step_text_key(text.at, text.length) ==
                                                step_text_key(gold->rationale, strlen(gold->rationale));
    }
    text_free(&text);
    return status;
}

static esp_status describe(const reply_place *at, const answer_candidate *c, const grader_verdict *verdict,
                           search_candidate *out, esp_error *error) {
    *out = (search_candidate){
        .ids = c->ids.at, .logprobs = c->logprobs.at, .n = (int32_t)c->ids.count, .gold = c->gold};
    for (int64_t i = 0; i < c->ids.count; i++) out->logprob += (double)c->logprobs.at[i];
    text_buffer text = {0};
    esp_status status = prompt_text(at->w, c->ids.at, c->ids.count, &text, error);
    if (status == ESP_OK) out->text_key = step_text_key(text.at, text.length);
    text_free(&text);
    return status == ESP_OK ? settle(at, c, verdict, out, error) : status;
}

esp_status answer_reply(const prompt_words *w, const search *s, int32_t node, const answer_grading *grading,
                        const answer_candidate *c, int32_t n, search_candidate *out, esp_error *error) {
    reply_place at = {w, s, node, grading};
    const grader_verdict *verdicts = grading->verdicts;
    for (int32_t i = 0; i < n; i++)
        ESP_TRY(describe(&at, &c[i], verdicts ? &verdicts[i] : NULL, &out[i], error));
    return ESP_OK;
}
