/* Chat templates: how a question is put to a model that was taught a conversation's form. Four forms are
 * known by name; a model's own Jinja template is not run, only recognised as one of them by its markers. */
#ifndef ESPALIER_TEXT_CHAT_H
#define ESPALIER_TEXT_CHAT_H

#include "text/tokenizer.h"

typedef enum {
    CHAT_PLAIN,   /* the text as it is: the model continues it */
    CHAT_CHATML,  /* <|im_start|>user\n...<|im_end|>\n<|im_start|>assistant\n */
    CHAT_LLAMA2,  /* <s>[INST] <<SYS>>\n...\n<</SYS>>\n\n... [/INST] */
    CHAT_MISTRAL, /* <s>[INST] ... [/INST]; a system prompt comes before the user's text */
} chat_kind;

/* The kind of a model's template (tokenizer_chat_template); NULL or empty is plain. A template of another
 * kind is an error that names the option to set, model.chat_template. */
esp_status chat_template_detect(const char *template, chat_kind *out, esp_error *error);

/* Appends what a model sees before its answer: the beginning-of-sequence token where the kind or the
 * tokenizer asks for it, system prompt (NULL: none), user's text, up to where the answer begins. Only the
 * template's own words can become control tokens: "<|im_start|>" in system or user stays text. Fails where
 * the tokenizer lacks the template's tokens. */
esp_status chat_encode(chat_kind kind, const tokenizer *t, const char *system, const char *user,
                       token_list *out, esp_error *error);
/* The same as text, for people to read. */
void chat_render(chat_kind kind, const tokenizer *t, const char *system, const char *user, text_buffer *out);

/* The id that ends an answer: <|im_end|> for chatml, otherwise the end-of-sequence token; -1 where there is
 * none. */
int32_t chat_end_token(chat_kind kind, const tokenizer *t);

#endif
