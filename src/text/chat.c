#include "text/chat.h"

#include <string.h>

esp_status chat_template_detect(const char *template, chat_kind *out, esp_error *error) {
    *out = CHAT_PLAIN;
    if (!template || !template[strspn(template, " \t\r\n")]) return ESP_OK;
    if (strstr(template, "<|im_start|>")) {
        *out = CHAT_CHATML;
    } else if (strstr(template, "<<SYS>>")) {
        *out = CHAT_LLAMA2;
    } else if (strstr(template, "[INST]")) {
        *out = CHAT_MISTRAL;
    } else {
        return error_fail(error, "set model.chat_template to one of: plain, chatml, llama2, mistral",
                          "the model's chat template is of an unknown kind: \"%.60s%s\"", template,
                          strlen(template) > 60 ? "..." : "");
    }
    return ESP_OK;
}

/* ---- The system turn of a template ---- */

/* Appends a string of Jinja up to its closing quote, with its escapes resolved. False: it has none. */
static bool append_string(const char *at, char quote, const char *stop, text_buffer *out) {
    for (; *at && strncmp(at, stop, strlen(stop)) != 0; at++) {
        if (*at == quote) return false; /* the text goes on with a variable */
        char c = *at;
        if (c == '\\' && at[1]) {
            c = *++at;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        text_append(out, &c, 1);
    }
    return *at != 0;
}

/* The quote that opens the string which `at` is in, looking backwards on the same expression. */
static char opening_quote(const char *template, const char *at) {
    while (at > template && at[-1] != '\'' && at[-1] != '"') at--;
    return at > template ? at[-1] : '\'';
}

/* {{ '<|im_start|>system\nYou are ...<|im_end|>\n' }}: the text is in the string itself. */
static bool written_system(const char *template, text_buffer *out) {
    static const char *const heads[] = {"<|im_start|>system\\n", "<|im_start|>system\n"};
    for (int h = 0; h < 2; h++)
        for (const char *at = template; (at = strstr(at, heads[h]));) {
            char quote = opening_quote(template, at);
            at += strlen(heads[h]);
            text_clear(out);
            if (append_string(at, quote, "<|im_end|>", out) && out->length > 0 && !strstr(out->at, "{{"))
                return true;
        }
    return false;
}

/* {% set system_message = 'You are ...' %}, which a conversation's own system turn replaces. */
static bool set_system(const char *template, text_buffer *out) {
    static const char set[] = "set system_message = ";
    const char *at = strstr(template, set);
    if (!at) return false;
    at += strlen(set);
    char quote[2] = {*at, 0};
    text_clear(out);
    return (*at == '\'' || *at == '"') && append_string(at + 1, 0, quote, out) && out->length > 0;
}

bool chat_own_system(chat_kind kind, const char *template, text_buffer *out) {
    chat_kind own;
    if (kind != CHAT_CHATML || !template || chat_template_detect(template, &own, NULL) != ESP_OK ||
        own != kind)
        return false;
    text_buffer found = {0};
    bool any = written_system(template, &found) || set_system(template, &found);
    if (any) text_append(out, found.at, found.length);
    text_free(&found);
    return any;
}

/* ---- Prompts ---- */

/* A text, and the spans of it that come from the template. */
typedef struct {
    text_buffer text;
    MEM_LIST(text_span) trusted;
} prompt;

static void put_ours(prompt *p, const char *words) {
    text_span span = {p->text.length, p->text.length + strlen(words)};
    text_puts(&p->text, words);
    MEM_LIST_PUSH(&p->trusted, span);
}

static void put_trimmed(prompt *p, const char *words) {
    static const char blanks[] = " \t\r\n\v\f";
    words += strspn(words, blanks);
    size_t length = strlen(words);
    while (length && strchr(blanks, words[length - 1])) length--;
    text_append(&p->text, words, length);
}

static void put_chatml(prompt *p, const char *system, const char *user) {
    const char *const roles[][2] = {{"<|im_start|>system\n", system}, {"<|im_start|>user\n", user}};
    for (int i = 0; i < 2; i++) {
        if (!roles[i][1]) continue;
        put_ours(p, roles[i][0]);
        text_puts(&p->text, roles[i][1]);
        put_ours(p, "<|im_end|>\n");
    }
    put_ours(p, "<|im_start|>assistant\n");
}

static void put_llama2(prompt *p, const char *system, const char *user) {
    put_ours(p, "[INST] ");
    if (system) {
        put_ours(p, "<<SYS>>\n");
        text_puts(&p->text, system);
        put_ours(p, "\n<</SYS>>\n\n");
    }
    put_trimmed(p, user);
    put_ours(p, " [/INST]");
}

/* The tokenizers from version 3 have [INST] as a control token, and no space before [/INST]. */
static void put_mistral(prompt *p, const tokenizer *t, const char *system, const char *user) {
    put_ours(p, "[INST] ");
    if (system) {
        text_puts(&p->text, system);
        put_ours(p, "\n\n");
    }
    text_puts(&p->text, user);
    put_ours(p, tokenizer_is_special(t, tokenizer_find(t, "[/INST]")) ? "[/INST]" : " [/INST]");
}

static void put_prompt(prompt *p, chat_kind kind, const tokenizer *t, const char *system, const char *user) {
    switch (kind) {
    case CHAT_CHATML:
        put_chatml(p, system, user);
        break;
    case CHAT_LLAMA2:
        put_llama2(p, system, user);
        break;
    case CHAT_MISTRAL:
        put_mistral(p, t, system, user);
        break;
    case CHAT_PLAIN:
        if (system) {
            text_puts(&p->text, system);
            text_puts(&p->text, "\n\n");
        }
        text_puts(&p->text, user);
    }
}

static void prompt_free(prompt *p) {
    text_free(&p->text);
    MEM_LIST_FREE(&p->trusted);
}

static bool starts_with_bos(chat_kind kind, const tokenizer *t) {
    return tokenizer_bos(t) >= 0 && (kind == CHAT_LLAMA2 || kind == CHAT_MISTRAL || tokenizer_adds_bos(t));
}

esp_status chat_encode(chat_kind kind, const tokenizer *t, const char *system, const char *user,
                       token_list *out, esp_error *error) {
    const char *const needed[] = {"<|im_start|>", "<|im_end|>"};
    for (int i = 0; i < 2 && kind == CHAT_CHATML; i++)
        if (!tokenizer_is_special(t, tokenizer_find(t, needed[i])))
            return error_fail(
                error, "set model.chat_template to the kind that the model was trained with, or to plain",
                "chat template chatml: the tokenizer has no control token %s", needed[i]);
    if (starts_with_bos(kind, t)) MEM_LIST_PUSH(out, tokenizer_bos(t));
    prompt p = {0};
    put_prompt(&p, kind, t, system, user);
    esp_status status = tokenizer_encode_trusted(t, p.text.at ? p.text.at : "", p.text.length, p.trusted.at,
                                                 (size_t)p.trusted.count, out, error);
    prompt_free(&p);
    return status;
}

void chat_render(chat_kind kind, const tokenizer *t, const char *system, const char *user, text_buffer *out) {
    size_t length;
    const char *bos = tokenizer_piece(t, tokenizer_bos(t), &length);
    if (starts_with_bos(kind, t)) text_append(out, bos, length);
    prompt p = {0};
    put_prompt(&p, kind, t, system, user);
    text_append(out, p.text.at ? p.text.at : "", p.text.length);
    prompt_free(&p);
}

int32_t chat_end_token(chat_kind kind, const tokenizer *t) {
    int32_t end = kind == CHAT_CHATML ? tokenizer_find(t, "<|im_end|>") : -1;
    return end >= 0 ? end : tokenizer_eos(t);
}
