/* Tokenizers: text to ids and back, byte for byte. From a Hugging Face tokenizer.json (byte-level BPE, and
 * SentencePiece BPE with byte fallback) or from the metadata of a GGUF file, which is first put into the form
 * of a tokenizer.json, so that a policy exported from it cuts text as the run did.
 *
 * A tokenizer is only read once it is open: any number of threads may encode and decode with one object. */
#ifndef ESPALIER_TEXT_TOKENIZER_H
#define ESPALIER_TEXT_TOKENIZER_H

#include "base/memory.h"

typedef struct tokenizer tokenizer;

/* A growing list of ids; zeroed to begin with, freed by MEM_LIST_FREE. */
typedef MEM_LIST(int32_t) token_list;

/* path: a tokenizer.json (a name ending in .gz is unpacked), a folder that holds one, or a .gguf file. Beside
 * a tokenizer.json, tokenizer_config.json, special_tokens_map.json and chat_template.jinja are read where
 * present. A component of the file that this program does not have is an error that names it. */
esp_status tokenizer_open(tokenizer **out, const char *path, esp_error *error);
void tokenizer_close(tokenizer *t);

/* Appends the ids of a text. special: control tokens such as <|im_start|> that stand in the text become their
 * ids; otherwise they are ordinary text and can never come out. Never adds a beginning-of-sequence token on
 * its own. Bytes that are not UTF-8 are encoded as bytes. Fails only on a text of more than 1 GB or a pattern
 * that gives up. */
esp_status tokenizer_encode(const tokenizer *t, const char *text, size_t length, bool special,
                            token_list *out, esp_error *error);

/* The same where only some stretches of the text are ours: a control token counts only where it lies whole
 * within one of the spans [start, end), given in order. For templates around a user's text. */
typedef struct {
    size_t start, end;
} text_span;
esp_status tokenizer_encode_trusted(const tokenizer *t, const char *text, size_t length,
                                    const text_span *trusted, size_t spans, token_list *out,
                                    esp_error *error);

/* Appends the text of ids to *out, as at the beginning of a text: a SentencePiece tokenizer's first space,
 * which encoding put there, is taken off. Pieces of a character come out as their bytes, whole or not.
 * Control tokens come out as their names if keep_special, else not at all. Fails on an id that the tokenizer
 * does not have. */
esp_status tokenizer_decode(const tokenizer *t, const int32_t *ids, int64_t count, bool keep_special,
                            text_buffer *out, esp_error *error);
/* The same as the continuation of a text: nothing is taken off. */
esp_status tokenizer_decode_more(const tokenizer *t, const int32_t *ids, int64_t count, bool keep_special,
                                 text_buffer *out, esp_error *error);

/* The bytes of one id (no zero-termination to rely on); a length of 0 for an id outside the vocabulary. */
const char *tokenizer_piece(const tokenizer *t, int32_t id, size_t *length);
bool tokenizer_is_special(const tokenizer *t, int32_t id);
/* The id that is written so in the file, as "<|im_end|>", "\u0120the" or "<0x0A>"; -1 for none. */
int32_t tokenizer_find(const tokenizer *t, const char *piece);
int32_t tokenizer_size(const tokenizer *t); /* largest id + 1 */
int32_t tokenizer_bos(const tokenizer *t);  /* -1: has none */
int32_t tokenizer_eos(const tokenizer *t);
bool tokenizer_adds_bos(const tokenizer *t); /* whether the model expects it before every text */
/* As it came with the tokenizer (Jinja); NULL for none. */
const char *tokenizer_chat_template(const tokenizer *t);

/* Writes tokenizer.json, tokenizer_config.json and special_tokens_map.json into a folder that exists. What
 * came from a tokenizer.json is written as it was (unpacked); what came from a GGUF file as its equivalent.
 */
esp_status tokenizer_save(const tokenizer *t, const char *folder, esp_error *error);

#endif
