#include "text/messages.h"

#include "text/chat_inner.h"

#include <string.h>

const char *message_role_name(message_role role) {
    static const char *const names[] = {"system", "user", "assistant"};
    return names[role];
}

static void put_words(marked_text *out, const char *words) {
    marked_text_own(out, words, strlen(words));
}

static void put_token(marked_text *out, const tokenizer *t, int32_t id) {
    size_t length;
    const char *name = tokenizer_piece(t, id, &length);
    marked_text_own(out, name, length);
}

esp_status chat_form_turn(chat_kind kind, const tokenizer *t, const char *question, marked_text *out,
                          esp_error *error) {
    const char *start;
    size_t length;
    switch (kind) {
    case CHAT_CHATML:
        put_words(out, "<|im_end|>\n<|im_start|>user\n");
        text_puts(&out->text, question);
        put_words(out, "<|im_end|>\n<|im_start|>assistant\n");
        return ESP_OK;
    case CHAT_LLAMA2:
        put_words(out, " ");
        put_token(out, t, tokenizer_eos(t));
        put_token(out, t, tokenizer_bos(t));
        put_words(out, "[INST] ");
        chat_trimmed(question, &start, &length);
        marked_text_other(out, start, length);
        put_words(out, " [/INST]");
        return ESP_OK;
    case CHAT_MISTRAL:
        put_token(out, t, tokenizer_eos(t));
        put_words(out, "[INST] ");
        text_puts(&out->text, question);
        put_words(out, chat_inst_is_control(t) ? "[/INST]" : " [/INST]");
        return ESP_OK;
    default:
        return error_fail(error, "set model.chat_template, or give rows with one question each",
                          "a conversation of several questions needs a chat template with turns");
    }
}

/* Closes an answer and asks the next question, up to where its answer begins. */
static esp_status put_question(const chat *c, const tokenizer *t, const char *question, marked_text *out,
                               esp_error *error) {
    if (c->kind != CHAT_OWN) return chat_form_turn(c->kind, t, question, out, error);
    size_t start = 0, length = strlen(question);
    if (c->turns.between.text.length == 0)
        return error_fail(error, "give rows with one question each",
                          "the chat template does not write a second question after an answer");
    if (c->trims) jinja_strip(question, &start, &length);
    marked_text_part(out, &c->turns.between, 0, c->turns.between.text.length);
    marked_text_other(out, question + start, length);
    marked_text_part(out, &c->turns.after, 0, c->turns.after.text.length);
    return ESP_OK;
}

bool messages_answer_continues(const chat *c) {
    if (c->kind == CHAT_OWN) return !c->turns.spaced;
    return c->kind == CHAT_CHATML || c->kind == CHAT_PLAIN;
}

esp_status messages_answer(const chat *c, const tokenizer *t, const message *messages, int64_t n,
                           marked_text *out, esp_error *error) {
    for (int64_t i = 0; i < n; i++) {
        if (messages[i].role == MESSAGE_USER) {
            ESP_TRY(put_question(c, t, messages[i].content, out, error));
            continue;
        }
        /* The first answer is encoded by itself, and so begins with a space; after a control token, too. */
        if (i > 0 && !messages_answer_continues(c) && !chat_inst_is_control(t)) text_puts(&out->text, " ");
        text_puts(&out->text, messages[i].content);
    }
    return ESP_OK;
}

static esp_status encode_rendered(const chat *c, const tokenizer *t, const message *messages, int64_t n,
                                  token_list *out, esp_error *error) {
    marked_text text = {0};
    esp_status status = chat_template_write(c, messages, n, true, &text, error);
    if (status == ESP_OK) status = chat_marked_encode(t, chat_lacks_bos(t, &text), &text, out, error);
    marked_text_free(&text);
    return status;
}

esp_status messages_encode(const chat *c, const tokenizer *t, const message *messages, int64_t n,
                           token_list *out, esp_error *error) {
    if (c->kind == CHAT_OWN) return encode_rendered(c, t, messages, n, out, error);
    int64_t question = messages[0].role == MESSAGE_SYSTEM ? 1 : 0;
    ESP_TRY(chat_encode(c, t, question ? messages[0].content : NULL, messages[question].content, out, error));
    marked_text rest = {0};
    esp_status status = messages_answer(c, t, messages + question + 1, n - question - 1, &rest, error);
    if (status == ESP_OK && rest.text.length > 0) {
        const text_span *trusted = rest.trusted.at;
        size_t spans = (size_t)rest.trusted.count;
        status =
            messages_answer_continues(c)
                ? tokenizer_encode_more(t, rest.text.at, rest.text.length, trusted, spans, out, error)
                : tokenizer_encode_trusted(t, rest.text.at, rest.text.length, trusted, spans, out, error);
    }
    marked_text_free(&rest);
    return status;
}

void messages_complete(const chat *c, const message *messages, int64_t n, message_list *out) {
    bool has_system = n > 0 && messages[0].role == MESSAGE_SYSTEM;
    bool empty = has_system && !messages[0].content[0] && c->kind != CHAT_OWN;
    if (!has_system && c->own) MEM_LIST_PUSH(out, ((message){MESSAGE_SYSTEM, c->own}));
    for (int64_t i = empty; i < n; i++) MEM_LIST_PUSH(out, messages[i]);
}

/* ---- Back ---- */

/* A rendered text that is being read. */
typedef struct {
    const char *at;
    arena *memory;
    message_list *out;
} parsing;

static bool skip(parsing *p, const char *words) {
    size_t n = strlen(words);
    if (strncmp(p->at, words, n) != 0) return false;
    p->at += n;
    return true;
}

static void skip_spaces(parsing *p) {
    p->at += strspn(p->at, " ");
}

static void push(parsing *p, message_role role, size_t length) {
    char *content = ARENA_ARRAY(p->memory, char, length + 1);
    memcpy(content, p->at, length);
    content[length] = 0;
    MEM_LIST_PUSH(p->out, ((message){role, content}));
    p->at += length;
}

/* Takes the text up to `end`, and skips `end`; false where there is none. */
static bool take(parsing *p, message_role role, const char *end) {
    const char *found = strstr(p->at, end);
    if (!found) return false;
    push(p, role, (size_t)(found - p->at));
    p->at += strlen(end);
    return true;
}

/* The same, without a space before `end`. */
static bool take_spaced(parsing *p, message_role role, const char *end) {
    const char *found = strstr(p->at, end);
    if (!found) return false;
    push(p, role, (size_t)(found - p->at) - (found > p->at && found[-1] == ' '));
    p->at = found + strlen(end);
    return true;
}

static bool parse_chatml(parsing *p) {
    while (skip(p, "<|im_start|>")) {
        if (skip(p, "assistant\n")) {
            if (!strstr(p->at, "<|im_end|>")) return true; /* the answer that is to be given */
            if (!take(p, MESSAGE_ASSISTANT, "<|im_end|>")) return false;
        } else if (skip(p, "user\n")) {
            if (!take(p, MESSAGE_USER, "<|im_end|>")) return false;
        } else if (!skip(p, "system\n") || !take(p, MESSAGE_SYSTEM, "<|im_end|>")) {
            return false;
        }
        if (!skip(p, "\n")) return false;
    }
    return false;
}

/* "[INST] question [/INST]", for CHAT_LLAMA2 and CHAT_MISTRAL. */
static bool parse_inst(parsing *p, const char *bos, const char *eos) {
    for (;;) {
        skip(p, bos);
        skip_spaces(p);
        if (!skip(p, "[INST]")) return false;
        skip_spaces(p);
        if (skip(p, "<<SYS>>\n") && !take(p, MESSAGE_SYSTEM, "\n<</SYS>>\n\n")) return false;
        if (!take_spaced(p, MESSAGE_USER, "[/INST]")) return false;
        if (!eos[0] || !strstr(p->at, eos)) return true;
        skip_spaces(p);
        if (!take_spaced(p, MESSAGE_ASSISTANT, eos)) return false;
    }
}

/* By what the template writes around messages (chat_template.c). */
static bool parse_own(parsing *p, const chat *c) {
    const char *open = c->system_open.text.at, *close = c->system_close.text.at;
    const char *between = c->turns.between.text.at, *after = c->turns.after.text.at;
    if (!c->bare.text.at || !after) return false;
    if (!skip(p, c->bare.text.at) && (!open || !close || !skip(p, open) || !take(p, MESSAGE_SYSTEM, close)))
        return false;
    while (take(p, MESSAGE_USER, after)) {
        if (!between || !between[0] || !strstr(p->at, between)) return true;
        if (!take(p, MESSAGE_ASSISTANT, between)) return false;
    }
    return false;
}

static char *piece_name(const tokenizer *t, int32_t id) {
    size_t length;
    const char *name = tokenizer_piece(t, id, &length);
    return mem_strndup(name, length);
}

bool messages_parse(const chat *c, const tokenizer *t, const char *text, arena *memory, message_list *out,
                    size_t *answer) {
    parsing p = {text, memory, out};
    char *bos = piece_name(t, tokenizer_bos(t)), *eos = piece_name(t, tokenizer_eos(t));
    bool fine = true;
    chat_kind kind = c->kind;
    if (kind == CHAT_LLAMA2 || kind == CHAT_MISTRAL)
        fine = parse_inst(&p, bos, eos);
    else if (kind != CHAT_OWN || !c->bare.text.at || strncmp(c->bare.text.at, bos, strlen(bos)) != 0)
        skip(&p, bos);
    if (kind == CHAT_OWN)
        fine = parse_own(&p, c);
    else if (kind == CHAT_CHATML)
        fine = parse_chatml(&p);
    else if (kind == CHAT_PLAIN)
        push(&p, MESSAGE_USER, strlen(p.at));
    mem_free(bos);
    mem_free(eos);
    *answer = (size_t)(p.at - text);
    return fine;
}
