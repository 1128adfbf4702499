#include "text/steps.h"

#include "base/ascii.h"

#include <string.h>

esp_status step_rules_check(const step_rules *rules, esp_error *error) {
    if (rules->max_step_tokens < 1)
        return error_fail(error, "set it to 1 or more", "max_step_tokens is %d", rules->max_step_tokens);
    if (rules->max_steps < 0 || rules->max_chain_tokens < 0)
        return error_fail(error, "0 means no limit", "max_steps is %d, max_chain_tokens is %d",
                          rules->max_steps, rules->max_chain_tokens);
    if (rules->end_count < 0 || rules->end_count > STEP_MAX_ENDS)
        return error_fail(error, NULL, "%d end-of-sequence ids; at most %d", rules->end_count, STEP_MAX_ENDS);
    for (const char *const *m = rules->markers; m && *m; m++)
        if (!**m || strlen(*m) > STEP_MAX_MARKER || strchr(*m, '\n'))
            return error_fail(error, "an answer marker is 1 to 63 bytes, on one line",
                              "bad answer marker \"%s\"", *m);
    return ESP_OK;
}

static void step_begin(step_machine *m) {
    m->tokens = m->whole = 0;
    m->blank = true;
    m->last = 0;
}

void step_chain_begin(step_machine *m, const step_rules *rules) {
    *m = (step_machine){.rules = rules};
    step_begin(m);
}

/* Adds a byte to the line. Markers are looked for at the end of the growing line, so that they may span
 * tokens. */
static void line_add(step_line *line, const step_rules *rules, char c) {
    if (c == '\n') {
        *line = (step_line){0};
        return;
    }
    if (line->tail_length == STEP_MAX_MARKER) memmove(line->tail, line->tail + 1, --line->tail_length);
    line->tail[line->tail_length++] = c;
    for (const char *const *m = rules->markers; m && *m && !line->answer; m++) {
        size_t n = strlen(*m);
        line->answer = n <= line->tail_length && memcmp(line->tail + line->tail_length - n, *m, n) == 0;
    }
}

/* Adds the bytes of a token. True where the line of an answer ended within them. */
static bool add_piece(step_machine *m, const char *piece, size_t length) {
    bool answered = false;
    for (size_t i = 0; i < length; i++) {
        if (piece[i] == '\n' && m->line.answer) answered = true;
        line_add(&m->line, m->rules, piece[i]);
        if (!is_blank(piece[i])) m->blank = false;
        m->last = piece[i];
    }
    m->tokens++;
    return answered;
}

static bool is_end(const step_rules *rules, int32_t id) {
    for (int i = 0; i < rules->end_count; i++)
        if (rules->ends[i] == id) return true;
    return false;
}

/* Ends the step after its first `keep` tokens; `line` is the state of the line there. */
static step_result finish(step_machine *m, step_outcome outcome, int32_t keep, step_line line, bool no_room) {
    m->steps++;
    m->chain_tokens += keep;
    m->line = line;
    step_begin(m);
    const step_rules *r = m->rules;
    bool finished = outcome == STEP_FINISHED_EOS || outcome == STEP_FINISHED_ANSWER;
    bool over = (r->max_steps && m->steps >= r->max_steps) ||
                (r->max_chain_tokens && (no_room || m->chain_tokens >= r->max_chain_tokens));
    return (step_result){outcome, keep, over && !finished};
}

static int32_t limit(const step_machine *m, bool *of_chain) {
    const step_rules *r = m->rules;
    int32_t left = r->max_chain_tokens - m->chain_tokens;
    *of_chain = r->max_chain_tokens && left <= r->max_step_tokens;
    return *of_chain ? (left > 1 ? left : 1) : r->max_step_tokens;
}

/* A whole line or sentence of `keep` tokens: ends the step, or in a filled one is remembered. */
static bool is_whole(step_machine *m, int32_t keep, step_line line) {
    if (m->rules->size == STEP_LINE) return true;
    m->whole = keep;
    m->whole_line = line;
    return false;
}

/* Whether a sentence ends within the bytes of one token: ". The". */
static bool has_sentence_end(const char *piece, size_t length) {
    for (size_t i = 0; i + 1 < length; i++)
        if (piece[i] && strchr(".?!", piece[i]) && is_blank(piece[i + 1])) return true;
    return false;
}

step_result step_feed(step_machine *m, int32_t id, const char *piece, size_t length) {
    const step_rules *r = m->rules;
    if (is_end(r, id)) return finish(m, STEP_FINISHED_EOS, m->tokens + 1, m->line, false);
    bool newline = length && memchr(piece, '\n', length);
    bool sentence =
        r->sentences && !newline && length && is_blank(piece[0]) && m->last && strchr(".?!", m->last);
    if (sentence && is_whole(m, m->tokens, m->line)) return finish(m, STEP_ENDED, m->tokens, m->line, false);
    bool answered = add_piece(m, piece, length);
    if (answered) {
        bool bare = m->tokens > 1;
        for (size_t i = 0; i < length; i++) bare = bare && is_blank(piece[i]);
        return finish(m, STEP_FINISHED_ANSWER, m->tokens - (r->drop_answer_newline && bare), m->line, false);
    }
    bool of_chain;
    int32_t most = limit(m, &of_chain);
    bool whole = newline || (r->sentences && has_sentence_end(piece, length));
    if (whole && !m->blank && is_whole(m, m->tokens, m->line))
        return finish(m, STEP_ENDED, m->tokens, m->line, false);
    if (m->tokens < most) return (step_result){STEP_GOES_ON, m->tokens, false};
    if (m->whole) return finish(m, STEP_ENDED, m->whole, m->whole_line, of_chain);
    return finish(m, STEP_FULL, m->tokens, m->line, of_chain);
}

void step_replay(step_machine *m, const char *piece, size_t length) {
    add_piece(m, piece, length);
}

void step_replay_end(step_machine *m) {
    m->steps++;
    m->chain_tokens += m->tokens;
    step_begin(m);
}

uint64_t step_text_key(const char *text, size_t length) {
    /* FNV-1a with 64 bits (Fowler, Noll, Vo), over the collapsed text, which is not written down. */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    bool gap = false, begun = false;
    for (size_t i = 0; i < length; i++) {
        if (is_blank(text[i])) {
            gap = begun;
            continue;
        }
        if (gap) hash = (hash ^ (uint64_t)' ') * UINT64_C(0x100000001b3);
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
        gap = false;
        begun = true;
    }
    return hash;
}
