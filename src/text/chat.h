/* Chat templates: the form of a prompt for a model that was trained on conversations. Four forms are
 * supported; a model's Jinja template is not executed, only recognised as one of the four by its markers. */
#ifndef ESPALIER_TEXT_CHAT_H
#define ESPALIER_TEXT_CHAT_H

#include "text/tokenizer.h"

typedef enum {
    CHAT_PLAIN,   /* the text unchanged: the model continues it */
    CHAT_CHATML,  /* <|im_start|>user\n...<|im_end|>\n<|im_start|>assistant\n */
    CHAT_LLAMA2,  /* <s>[INST] <<SYS>>\n...\n<</SYS>>\n\n... [/INST] */
    CHAT_MISTRAL, /* <s>[INST] ... [/INST]; a system prompt precedes the user's text */
} chat_kind;
/* The names of an option's values: 0 detects the kind, the others are chat_kind + 1. */
#define CHAT_CHOICES "auto|plain|chatml|llama2|mistral"

/* The kind of a model's template (tokenizer_chat_template); NULL or empty is plain. Any other template is an
 * error that names the option to set, model.chat_template. */
esp_status chat_template_detect(const char *template, chat_kind *out, esp_error *error);

/* Appends the system turn that a template has by itself where a conversation gives none ("You are a helpful
 * assistant"). False: the template has none that is a constant text, or is not of that kind. */
bool chat_own_system(chat_kind kind, const char *template, text_buffer *out);

/* Appends the tokens before the model's answer: beginning-of-sequence if the kind or the tokenizer requires
 * it, the system prompt (NULL: none), the user's text, and the start of the answer. Only the template's words
 * can become control tokens:
 * "<|im_start|>" in system or user stays text. Fails if the tokenizer lacks the template's tokens. */
esp_status chat_encode(chat_kind kind, const tokenizer *t, const char *system, const char *user,
                       token_list *out, esp_error *error);
/* The same as text, for people to read. */
void chat_render(chat_kind kind, const tokenizer *t, const char *system, const char *user, text_buffer *out);

/* The id that ends an answer: <|im_end|> for chatml, otherwise end-of-sequence; -1 if there is none. */
int32_t chat_end_token(chat_kind kind, const tokenizer *t);

#endif
