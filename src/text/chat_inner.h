/* Shared by the files of chat templates. */
#ifndef ESPALIER_TEXT_CHAT_INNER_H
#define ESPALIER_TEXT_CHAT_INNER_H

#include "text/chat.h"
#include "text/jinja/jinja.h"

/* What a template writes between a user's message, an assistant's, and the next user's: found by rendering
 * such a conversation. */
typedef struct {
    marked_text between; /* after an answer, before the next question */
    marked_text after;   /* after a question, before its answer */
    bool spaced;         /* an answer is written with a space before it */
} chat_turns;

struct chat {
    chat_kind kind;
    char *own;       /* the system turn that it has by itself; NULL */
    int32_t end;     /* CHAT_OWN: what ends an answer; -1: end-of-sequence */
    jinja *template; /* CHAT_OWN, as the rest */
    json_t *context; /* all but the messages */
    char *date;
    bool trims;
    chat_turns turns;
    marked_text bare;                      /* what is before a question without a system message */
    marked_text system_open, system_close; /* before and after the text of a system message */
};

/* Appends one of the four forms: of a system message or none, and a question. */
void chat_form_write(chat_kind kind, const tokenizer *t, const char *system, const char *user,
                     marked_text *out);
/* Appends what follows an answer: its end, another question, up to where its answer begins. */
esp_status chat_form_turn(chat_kind kind, const tokenizer *t, const char *question, marked_text *out,
                          esp_error *error);
/* Whether a prompt of this form begins with the tokenizer's beginning-of-sequence. */
bool chat_form_has_bos(chat_kind kind, const tokenizer *t);
bool chat_inst_is_control(const tokenizer *t);
/* Without white space at both ends. */
void chat_trimmed(const char *text, const char **start, size_t *length);

/* Renders a conversation with the template; open: up to where the next answer begins. */
esp_status chat_template_write(const chat *c, const message *messages, int64_t n, bool open, marked_text *out,
                               esp_error *error);
/* Appends the text's tokens, bos before them. */
esp_status chat_marked_encode(const tokenizer *t, bool bos, const marked_text *text, token_list *out,
                              esp_error *error);
/* Whether the tokenizer puts beginning-of-sequence before every text, and this one has none. */
bool chat_lacks_bos(const tokenizer *t, const marked_text *text);
bool chat_text_has_bos(const tokenizer *t, const marked_text *text);

#endif
