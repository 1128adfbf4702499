#include "text/messages.h"

#include <string.h>

const char *message_role_name(message_role role) {
    static const char *const names[] = {"system", "user", "assistant"};
    return names[role];
}

void marked_text_free(marked_text *text) {
    text_free(&text->text);
    MEM_LIST_FREE(&text->trusted);
}

static void put_ours(marked_text *out, const char *words, size_t length) {
    text_span span = {out->text.length, out->text.length + length};
    text_append(&out->text, words, length);
    MEM_LIST_PUSH(&out->trusted, span);
}

static void put_words(marked_text *out, const char *words) {
    put_ours(out, words, strlen(words));
}

static void put_token(marked_text *out, const tokenizer *t, int32_t id) {
    size_t length;
    const char *name = tokenizer_piece(t, id, &length);
    put_ours(out, name, length);
}

static void put_trimmed(marked_text *out, const char *words) {
    static const char blanks[] = " \t\r\n\v\f";
    words += strspn(words, blanks);
    size_t length = strlen(words);
    while (length && strchr(blanks, words[length - 1])) length--;
    text_append(&out->text, words, length);
}

static bool inst_is_control(const tokenizer *t) {
    return tokenizer_is_special(t, tokenizer_find(t, "[/INST]"));
}

/* Closes an answer and asks the next question, up to where its answer begins. */
static esp_status put_question(marked_text *out, chat_kind kind, const tokenizer *t, const char *question,
                               esp_error *error) {
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
        put_trimmed(out, question);
        put_words(out, " [/INST]");
        return ESP_OK;
    case CHAT_MISTRAL:
        put_token(out, t, tokenizer_eos(t));
        put_words(out, "[INST] ");
        text_puts(&out->text, question);
        put_words(out, inst_is_control(t) ? "[/INST]" : " [/INST]");
        return ESP_OK;
    default:
        return error_fail(error, "set model.chat_template, or give rows with one question each",
                          "a conversation of several questions needs a chat template with turns");
    }
}

bool messages_answer_continues(chat_kind kind) {
    return kind == CHAT_CHATML || kind == CHAT_PLAIN;
}

esp_status messages_answer(chat_kind kind, const tokenizer *t, const message *messages, int64_t n,
                           marked_text *out, esp_error *error) {
    for (int64_t i = 0; i < n; i++) {
        if (messages[i].role == MESSAGE_USER) {
            ESP_TRY(put_question(out, kind, t, messages[i].content, error));
            continue;
        }
        /* The first answer is encoded by itself, and so begins with a space; after a control token, too. */
        if (i > 0 && !messages_answer_continues(kind) && !inst_is_control(t)) text_puts(&out->text, " ");
        text_puts(&out->text, messages[i].content);
    }
    return ESP_OK;
}

esp_status messages_encode(chat_kind kind, const tokenizer *t, const message *messages, int64_t n,
                           token_list *out, esp_error *error) {
    int64_t question = messages[0].role == MESSAGE_SYSTEM ? 1 : 0;
    ESP_TRY(
        chat_encode(kind, t, question ? messages[0].content : NULL, messages[question].content, out, error));
    marked_text rest = {0};
    esp_status status = messages_answer(kind, t, messages + question + 1, n - question - 1, &rest, error);
    if (status == ESP_OK && rest.text.length > 0) {
        const text_span *trusted = rest.trusted.at;
        size_t spans = (size_t)rest.trusted.count;
        status =
            messages_answer_continues(kind)
                ? tokenizer_encode_more(t, rest.text.at, rest.text.length, trusted, spans, out, error)
                : tokenizer_encode_trusted(t, rest.text.at, rest.text.length, trusted, spans, out, error);
    }
    marked_text_free(&rest);
    return status;
}

void messages_complete(chat_kind kind, const tokenizer *t, const message *messages, int64_t n, arena *memory,
                       message_list *out) {
    text_buffer own = {0};
    bool has_system = n > 0 && messages[0].role == MESSAGE_SYSTEM;
    bool empty = has_system && !messages[0].content[0];
    if (!has_system && chat_own_system(kind, tokenizer_chat_template(t), &own))
        MEM_LIST_PUSH(out, ((message){MESSAGE_SYSTEM, arena_strdup(memory, own.at)}));
    for (int64_t i = empty; i < n; i++) MEM_LIST_PUSH(out, messages[i]);
    text_free(&own);
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

static char *piece_name(const tokenizer *t, int32_t id) {
    size_t length;
    const char *name = tokenizer_piece(t, id, &length);
    return mem_strndup(name, length);
}

bool messages_parse(chat_kind kind, const tokenizer *t, const char *text, arena *memory, message_list *out,
                    size_t *answer) {
    parsing p = {text, memory, out};
    char *bos = piece_name(t, tokenizer_bos(t)), *eos = piece_name(t, tokenizer_eos(t));
    bool fine = true;
    if (kind == CHAT_LLAMA2 || kind == CHAT_MISTRAL)
        fine = parse_inst(&p, bos, eos);
    else
        skip(&p, bos);
    if (kind == CHAT_CHATML)
        fine = parse_chatml(&p);
    else if (kind == CHAT_PLAIN)
        push(&p, MESSAGE_USER, strlen(p.at));
    mem_free(bos);
    mem_free(eos);
    *answer = (size_t)(p.at - text);
    return fine;
}
