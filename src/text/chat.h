/* Chat templates: the form of a prompt for a model that was trained on conversations. A model's own template
 * (Jinja) is rendered as it is; four forms can also be asked for by name. Only the template's words can
 * become control tokens: "<|im_start|>" in a message stays text. */
#ifndef ESPALIER_TEXT_CHAT_H
#define ESPALIER_TEXT_CHAT_H

#include "text/tokenizer.h"

typedef enum { MESSAGE_SYSTEM, MESSAGE_USER, MESSAGE_ASSISTANT } message_role;
typedef struct {
    message_role role;
    const char *content;
} message;
typedef MEM_LIST(message) message_list; /* contents are borrowed */

typedef enum {
    CHAT_PLAIN,   /* the text unchanged: the model continues it */
    CHAT_CHATML,  /* <|im_start|>user\n...<|im_end|>\n<|im_start|>assistant\n */
    CHAT_LLAMA2,  /* <s>[INST] <<SYS>>\n...\n<</SYS>>\n\n... [/INST] */
    CHAT_MISTRAL, /* <s>[INST] ... [/INST]; a system prompt precedes the user's text */
    CHAT_OWN,     /* as a template says */
} chat_kind;

typedef struct chat chat;

/* How a chat template is chosen. */
typedef struct {
    const char *name; /* "auto": the tokenizer's own template; plain, chatml, llama2, mistral; else a file */
    const char *head, *tail; /* not NULL or "": the words before and after a question, in place of all that */
    const char *options; /* what the template sees too, a line each: "enable_thinking=false"; NULL: nothing */
    const char *date;    /* of templates that write one; NULL: CHAT_DATE */
} chat_choice;
#define CHAT_DATE  "26 Jul 2024" /* what the templates of Llama 3 write where they know no date */
#define CHAT_NAMES "plain, chatml, llama2, mistral"

/* Whether chat_choice.name is "auto" or one of CHAT_NAMES, and so no file. */
bool chat_is_name(const char *name);
/* Opens the chosen template; a tokenizer without one is plain. Fails on a template that is not supported (the
 * error says where), that cannot be rendered, or that changes the text of a question. t is borrowed. */
esp_status chat_open(chat **out, const chat_choice *choice, const tokenizer *t, esp_error *error);
/* One of the four forms, without a tokenizer's own template; a constant. */
const chat *chat_builtin(chat_kind kind);
void chat_free(chat *c); /* not of chat_builtin; NULL is permitted */
/* CHAT_OWN for a template that is not, letter by letter, one of the four forms. */
chat_kind chat_kind_of(const chat *c);

/* The system turn that the template has by itself where a conversation gives none ("You are a helpful
 * assistant"); NULL: it has none, or none that could be replaced by a system message of the same text. */
const char *chat_own_system(const chat *c);

/* Appends the tokens before the model's answer: beginning-of-sequence (once) if the template or the tokenizer
 * requires it, the system prompt (NULL: none, or the template's own), the user's text, and the start of the
 * answer. Fails if the tokenizer lacks the template's tokens. */
esp_status chat_encode(const chat *c, const tokenizer *t, const char *system, const char *user,
                       token_list *out, esp_error *error);

/* The same for questions that follow the same messages: rendered once, so that each question costs no
 * template, and none can change what is around it. The last message is the user's; its content is not used.
 */
typedef struct {
    marked_text before, after;
    bool trims; /* white space at the question's ends is taken away */
    bool bos;   /* a beginning-of-sequence token goes before all: the text has none */
} chat_frame;
/* messages: of one of the four forms a system message or none, and the question's place. */
esp_status chat_frame_make(const chat *c, const tokenizer *t, const message *messages, int64_t n,
                           chat_frame *out, esp_error *error);
void chat_frame_free(chat_frame *f);
/* Appends the tokens of the frame with this question in it. */
esp_status chat_frame_encode(const chat_frame *f, const tokenizer *t, const char *question, token_list *out,
                             esp_error *error);
/* Appends the tokens up to a question that goes on: `text` is its beginning, and stays as it is. */
esp_status chat_frame_encode_open(const chat_frame *f, const tokenizer *t, const char *text, token_list *out,
                                  esp_error *error);

/* The id that ends an answer: the control token that the template writes after an assistant's text, otherwise
 * end-of-sequence; -1 if there is none. */
int32_t chat_end_token(const chat *c, const tokenizer *t);

#endif
