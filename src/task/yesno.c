/* Yes/no questions with reasoning in prose. A row is {"question", "answer"}, where the answer is true, false
 * or a text that ends in one of them ("... The answer is no."); with a boolean, "rationale" may hold the
 * reasoning. A step is a sentence.
 *
 * The answer of a text is, in this order:
 *   1. the last "answer is", "answer:" or "answer =" (any case, * and _ of markdown between) that is followed
 * by yes, no, true or false;
 *   2. the last line that begins with one of them, followed by punctuation or by nothing ("No, whales are
 * mammals.", but not "No whale lays eggs."). */
#include "task/task_ops.h"

#include "formats/json.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- The kind of answer ---- */

typedef struct {
    const char *at, *end;
} span;

static void skip(span *s, const char *set) {
    while (s->at < s->end && *s->at && strchr(set, *s->at)) s->at++;
}

static bool starts_with(const span *s, const char *word) {
    size_t n = strlen(word);
    return (size_t)(s->end - s->at) >= n && strncasecmp(s->at, word, n) == 0;
}

static char peek(const span *s) {
    return s->at < s->end ? *s->at : '\n';
}

/* Reads one of the words, whole, at the beginning of s, and moves past it. */
static bool read_word(span *s, bool *yes) {
    static const char *const words[] = {"no", "yes", "false", "true"};
    for (int i = 0; i < 4; i++) {
        if (!starts_with(s, words[i])) continue;
        span after = {s->at + strlen(words[i]), s->end};
        unsigned char next = (unsigned char)peek(&after);
        if (isalnum(next) || next >= 0x80) return false;
        *yes = i & 1;
        *s = after;
        return true;
    }
    return false;
}

/* Rule 1 where "answer" begins; moves past what it reads, whether it is an answer or not. */
static bool read_phrase(span *s, bool *yes) {
    s->at += strlen("answer");
    skip(s, " \t*_");
    if (starts_with(s, "is"))
        s->at += 2;
    else if (peek(s) == ':' || peek(s) == '=')
        s->at++;
    else
        return false;
    skip(s, " \t\r\n*_:\"");
    return read_word(s, yes);
}

/* Rule 2 at the beginning of a line. */
static bool read_line(span s, bool *yes) {
    skip(&s, " \t*_");
    return read_word(&s, yes) && strchr("\r\n.,;:!*_", peek(&s));
}

static bool find_value(const char *text, size_t length, bool *value) {
    enum { NOTHING, LINE, PHRASE } found = NOTHING;
    bool yes;
    for (span s = {text, text + length}, next; s.at < s.end; s = next) {
        next = (span){s.at + 1, s.end};
        bool begins = s.at == text || s.at[-1] == '\n';
        if (found < PHRASE && begins && read_line(s, &yes)) {
            found = LINE;
            *value = yes;
        } else if ((*s.at | 0x20) == 'a' && starts_with(&s, "answer")) {
            next = s;
            if (!read_phrase(&next, &yes)) continue;
            found = PHRASE;
            *value = yes;
        }
    }
    return found != NOTHING;
}

static const char *const shown[] = {"no", "yes"};

static const answer_place *const places[] = {&answer_phrase, &answer_line, NULL};
static const answer_form yesno_answers = {.kind = &answer_boolean, .places = places};

/* ---- Rows ---- */

/* text[0, length) without white space at its ends. */
static span trimmed(const char *text, size_t length) {
    span s = {text, text + length};
    skip(&s, " \t\r\n");
    while (s.end > s.at && strchr(" \t\r\n", s.end[-1])) s.end--;
    return s;
}

/* Whether a line says the answer and no more: "The answer is no.", "Yes". */
static bool is_answer(span line) {
    bool yes;
    if (starts_with(&line, "the ")) line.at += strlen("the ");
    if (!(starts_with(&line, "answer") ? read_phrase(&line, &yes) : read_word(&line, &yes))) return false;
    skip(&line, ".!*_\" ");
    return line.at == line.end;
}

/* A solution without its last line where that is the answer alone. */
static span reasoning(const char *text) {
    span s = trimmed(text, strlen(text));
    const char *newline = memrchr(s.at, '\n', (size_t)(s.end - s.at));
    const char *last = newline ? newline + 1 : s.at;
    return is_answer((span){last, s.end}) ? trimmed(s.at, (size_t)(last - s.at)) : s;
}

static const char *rationale(arena *memory, span reasons, bool yes) {
    if (reasons.at == reasons.end) return NULL;
    char *text =
        mem_printf("%.*s\nThe answer is %s.", (int)(reasons.end - reasons.at), reasons.at, shown[yes]);
    const char *kept = arena_strdup(memory, text);
    mem_free(text);
    return kept;
}

static esp_status read_row(const json_t *row, const char *where, arena *memory, problem *out,
                           esp_error *error) {
    const json_t *answer = json_object_get(row, "answer");
    const char *question, *reasons = "", *raw = NULL;
    bool yes = json_is_true(answer);
    ESP_TRY(json_need_string(row, "question", where, &question, error));
    if (json_is_boolean(answer)) {
        if (json_object_get(row, "rationale"))
            ESP_TRY(json_need_string(row, "rationale", where, &reasons, error));
    } else {
        if (!json_is_string(answer) ||
            !find_value(json_string_value(answer), json_string_length(answer), &yes))
            return error_fail(
                error, "give true, false, or a text that ends in \"The answer is yes.\" or \"... no.\"",
                "%s: field \"answer\" is neither yes nor no", where);
        raw = reasons = json_string_value(answer);
    }
    out->question = arena_strdup(memory, question);
    out->gold = shown[yes];
    out->rationale = rationale(memory, reasoning(reasons), yes);
    out->raw = raw ? arena_strdup(memory, raw) : out->rationale ? out->rationale : out->gold;
    return ESP_OK;
}

/* ---- The table ---- */

/* Yes and no, true and false are answers here, so the verdicts are other letters: wrong and right. */
static const judge_words judge_of_reasoning = {
    .task =
        "Check the reasoning about a question. Answer (W) if it has a mistake so far, (R) if it is right so "
        "far.\n\n",
    .before_question = "Question: ",
    .before_example = "Example of right reasoning:\n",
    .before_steps = "Reasoning to check:\n",
    .question = "\n(W) or (R)?",
    .answer = "\n(",
    .verdict = {"W", "R"},
};

static const char *const markers[] = {"The answer is", NULL};

const task task_yesno = {
    .name = "yesno",
    .instruction =
        "Answer the question with yes or no. Reason step by step, one sentence for each step. End with a "
        "line that says \"The answer is yes.\" or \"The answer is no.\"",
    .before_question = "Question: ",
    .cue = "\nReasoning:\n",
    .markers = markers,
    .judge = &judge_of_reasoning,
    .answers = &yesno_answers,
    .unit = TASK_STEP_SENTENCE,
    .read_row = read_row,
};
