#include "text/chat_inner.h"

#include <string.h>

static const chat builtins[] = {
    {.kind = CHAT_PLAIN, .end = -1},
    {.kind = CHAT_CHATML, .end = -1},
    {.kind = CHAT_LLAMA2, .end = -1},
    {.kind = CHAT_MISTRAL, .end = -1},
};

const chat *chat_builtin(chat_kind kind) {
    return &builtins[kind];
}

chat_kind chat_kind_of(const chat *c) {
    return c->kind;
}

const char *chat_own_system(const chat *c) {
    return c->own;
}

/* ---- The four forms ---- */

static void put_own(marked_text *p, const char *words) {
    marked_text_own(p, words, strlen(words));
}

static void put_other(marked_text *p, const char *words) {
    marked_text_other(p, words, strlen(words));
}

void chat_trimmed(const char *text, const char **start, size_t *length) {
    static const char blanks[] = " \t\r\n\v\f";
    *start = text + strspn(text, blanks);
    *length = strlen(*start);
    while (*length && strchr(blanks, (*start)[*length - 1])) --*length;
}

static void put_chatml(marked_text *p, const char *system, const char *user) {
    const char *const roles[][2] = {{"<|im_start|>system\n", system}, {"<|im_start|>user\n", user}};
    for (int i = 0; i < 2; i++) {
        if (!roles[i][1]) continue;
        put_own(p, roles[i][0]);
        put_other(p, roles[i][1]);
        put_own(p, "<|im_end|>\n");
    }
    put_own(p, "<|im_start|>assistant\n");
}

static void put_llama2(marked_text *p, const char *system, const char *user) {
    const char *start;
    size_t length;
    put_own(p, "[INST] ");
    if (system) {
        put_own(p, "<<SYS>>\n");
        put_other(p, system);
        put_own(p, "\n<</SYS>>\n\n");
    }
    chat_trimmed(user, &start, &length);
    marked_text_other(p, start, length);
    put_own(p, " [/INST]");
}

/* The tokenizers from version 3 have [INST] as a control token, and no space before [/INST]. */
bool chat_inst_is_control(const tokenizer *t) {
    return tokenizer_is_special(t, tokenizer_find(t, "[/INST]"));
}

static void put_mistral(marked_text *p, const tokenizer *t, const char *system, const char *user) {
    put_own(p, "[INST] ");
    if (system) {
        put_other(p, system);
        put_own(p, "\n\n");
    }
    put_other(p, user);
    put_own(p, chat_inst_is_control(t) ? "[/INST]" : " [/INST]");
}

void chat_form_write(chat_kind kind, const tokenizer *t, const char *system, const char *user,
                     marked_text *out) {
    switch (kind) {
    case CHAT_CHATML:
        put_chatml(out, system, user);
        break;
    case CHAT_LLAMA2:
        put_llama2(out, system, user);
        break;
    case CHAT_MISTRAL:
        put_mistral(out, t, system, user);
        break;
    default:
        if (system) put_other(out, system);
        if (system) put_other(out, "\n\n");
        put_other(out, user);
    }
}

bool chat_form_has_bos(chat_kind kind, const tokenizer *t) {
    return tokenizer_bos(t) >= 0 && (kind == CHAT_LLAMA2 || kind == CHAT_MISTRAL || tokenizer_adds_bos(t));
}

/* ---- Tokens ---- */

static esp_status check_tokens(const chat *c, const tokenizer *t, esp_error *error) {
    const char *const needed[] = {"<|im_start|>", "<|im_end|>"};
    for (int i = 0; i < 2 && c->kind == CHAT_CHATML; i++)
        if (!tokenizer_is_special(t, tokenizer_find(t, needed[i])))
            return error_fail(
                error, "set model.chat_template to the kind that the model was trained with, or to plain",
                "chat template chatml: the tokenizer has no control token %s", needed[i]);
    return ESP_OK;
}

esp_status chat_marked_encode(const tokenizer *t, bool bos, const marked_text *text, token_list *out,
                              esp_error *error) {
    if (bos) MEM_LIST_PUSH(out, tokenizer_bos(t));
    return tokenizer_encode_trusted(t, text->text.at ? text->text.at : "", text->text.length,
                                    text->trusted.at, (size_t)text->trusted.count, out, error);
}

bool chat_text_has_bos(const tokenizer *t, const marked_text *text) {
    size_t length;
    const char *bos = tokenizer_piece(t, tokenizer_bos(t), &length);
    return length > 0 && text->trusted.count > 0 && text->trusted.at[0].start == 0 &&
           text->trusted.at[0].end >= length && memcmp(text->text.at, bos, length) == 0;
}

bool chat_lacks_bos(const tokenizer *t, const marked_text *text) {
    return tokenizer_bos(t) >= 0 && tokenizer_adds_bos(t) && !chat_text_has_bos(t, text);
}

esp_status chat_encode(const chat *c, const tokenizer *t, const char *system, const char *user,
                       token_list *out, esp_error *error) {
    marked_text p = {0};
    esp_status status = check_tokens(c, t, error);
    if (c->kind == CHAT_OWN) {
        message messages[] = {{MESSAGE_SYSTEM, system}, {MESSAGE_USER, user}};
        status = chat_template_write(c, messages + !system, system ? 2 : 1, true, &p, error);
        if (status == ESP_OK) status = chat_marked_encode(t, chat_lacks_bos(t, &p), &p, out, error);
    } else if (status == ESP_OK) {
        chat_form_write(c->kind, t, system, user, &p);
        status = chat_marked_encode(t, chat_form_has_bos(c->kind, t), &p, out, error);
    }
    marked_text_free(&p);
    return status;
}

int32_t chat_end_token(const chat *c, const tokenizer *t) {
    int32_t end = c->kind == CHAT_CHATML ? tokenizer_find(t, "<|im_end|>") : c->end;
    return end >= 0 ? end : tokenizer_eos(t);
}
