/* Conversations: lists of messages with roles, as data sets have them, rendered by a chat template.
 * text/chat.h renders the first question; this adds what follows it: answers, and further questions. */
#ifndef ESPALIER_TEXT_MESSAGES_H
#define ESPALIER_TEXT_MESSAGES_H

#include "text/chat.h"

/* "system", "user" or "assistant". */
const char *message_role_name(message_role role);

/* Appends the tokens before the next answer: of a system message or none, a user's, and pairs of an
 * assistant's and a user's. The caller has checked this order. Fails as chat_encode, and for several
 * questions where the template has no turns (CHAT_PLAIN). */
esp_status messages_encode(const chat *c, const tokenizer *t, const message *messages, int64_t n,
                           token_list *out, esp_error *error);
/* The messages of a conversation as its template completes them: where the first is no system message, the
 * template's own system turn (chat_own_system) before them; an empty system message means a prompt without
 * one, and is taken out where the template is one of the four forms. Contents are borrowed. */
void messages_complete(const chat *c, const message *messages, int64_t n, message_list *out);
/* Appends the text of an answer, and of pairs of a user's message and an answer after it. The last answer is
 * not closed. */
esp_status messages_answer(const chat *c, const tokenizer *t, const message *messages, int64_t n,
                           marked_text *out, esp_error *error);
/* Whether an answer continues the text before it, so that no space is put before it. */
bool messages_answer_continues(const chat *c);

/* The reverse of messages_encode: the messages of a rendered prompt (control tokens by name), and where the
 * answer that follows begins. Contents are in `memory`. False where the text does not have the template's
 * form. */
bool messages_parse(const chat *c, const tokenizer *t, const char *text, arena *memory, message_list *out,
                    size_t *answer);

#endif
