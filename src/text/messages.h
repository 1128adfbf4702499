/* Conversations: lists of messages with roles, as data sets have them, rendered by a chat template.
 * text/chat.h renders the first question; this adds what follows it: answers, and further questions. */
#ifndef ESPALIER_TEXT_MESSAGES_H
#define ESPALIER_TEXT_MESSAGES_H

#include "text/chat.h"

typedef enum { MESSAGE_SYSTEM, MESSAGE_USER, MESSAGE_ASSISTANT } message_role;
typedef struct {
    message_role role;
    const char *content;
} message;
typedef MEM_LIST(message) message_list; /* contents are borrowed */

/* "system", "user" or "assistant". */
const char *message_role_name(message_role role);

/* A text of which only some spans are the template's, so that only these can become control tokens. */
typedef struct {
    text_buffer text;
    MEM_LIST(text_span) trusted;
} marked_text;
void marked_text_free(marked_text *text);

/* Appends the tokens before the next answer: of a system message or none, a user's, and pairs of an
 * assistant's and a user's. The caller has checked this order. Fails as chat_encode, and for several
 * questions where the template has no turns (CHAT_PLAIN). */
esp_status messages_encode(chat_kind kind, const tokenizer *t, const message *messages, int64_t n,
                           token_list *out, esp_error *error);
/* The messages of a conversation as its template completes them: where the first is no system message, the
 * template's own system turn (chat_own_system) before them; an empty system message is taken out, and stands
 * for a prompt without one. Contents are in `memory` or borrowed. */
void messages_complete(chat_kind kind, const tokenizer *t, const message *messages, int64_t n, arena *memory,
                       message_list *out);
/* Appends the text of an answer, and of pairs of a user's message and an answer after it. The last answer is
 * not closed. */
esp_status messages_answer(chat_kind kind, const tokenizer *t, const message *messages, int64_t n,
                           marked_text *out, esp_error *error);
/* Whether an answer continues the text before it, so that no space is put before it. */
bool messages_answer_continues(chat_kind kind);

/* The reverse of messages_encode: the messages of a rendered prompt (control tokens by name), and where the
 * answer that follows begins. Contents are in `memory`. False where the text does not have the template's
 * form. */
bool messages_parse(chat_kind kind, const tokenizer *t, const char *text, arena *memory, message_list *out,
                    size_t *answer);

#endif
