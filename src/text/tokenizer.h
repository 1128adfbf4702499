/* Tokenizers: text to ids and back, byte for byte. From a Hugging Face tokenizer.json (byte-level BPE, and
 * SentencePiece BPE with byte fallback) or from the metadata of a GGUF file, which is first
 * converted to the form of a tokenizer.json, so that an exported policy splits text the same way as the run
 * did.
 *
 * An open tokenizer does not change: any number of threads may encode and decode with it. */
#ifndef ESPALIER_TEXT_TOKENIZER_H
#define ESPALIER_TEXT_TOKENIZER_H

#include "base/memory.h"
#include "text/marked_text.h"

typedef struct tokenizer tokenizer;

/* A growing list of ids; zeroed at first, freed by MEM_LIST_FREE. */
typedef MEM_LIST(int32_t) token_list;

/* path: a tokenizer.json (decompressed if its name ends in .gz), a folder that contains one, or a .gguf file.
 * In the same folder, tokenizer_config.json, special_tokens_map.json, chat_template.jinja, config.json and
 * generation_config.json are read if present. An unsupported component of the file is an error that names it.
 */
esp_status tokenizer_open(tokenizer **out, const char *path, esp_error *error);
void tokenizer_close(tokenizer *t);

/* Appends the ids of a text. special: control tokens written in the text, such as <|im_start|>, become their
 * ids; otherwise they are ordinary text, and no control token can result. Never adds beginning-of-sequence.
 * Bytes that are not UTF-8 are encoded as bytes. Fails only on a text of more than 1 GB or on a pattern that
 * reaches its matching limit. */
esp_status tokenizer_encode(const tokenizer *t, const char *text, size_t length, bool special,
                            token_list *out, esp_error *error);

/* The same for a text of which only some spans are trusted, as for a template around a user's text: a control
 * token is recognised only if it is entirely within one of the spans [start, end), given in order. */
esp_status tokenizer_encode_trusted(const tokenizer *t, const char *text, size_t length,
                                    const text_span *trusted, size_t spans, token_list *out,
                                    esp_error *error);

/* The same for the continuation of a text: no space is put before it, so that tokenizer_decode_more of its
 * ids gives the text again. */
esp_status tokenizer_encode_more(const tokenizer *t, const char *text, size_t length,
                                 const text_span *trusted, size_t spans, token_list *out, esp_error *error);

/* Appends the text of ids to *out, as the beginning of a text: the space that a SentencePiece tokenizer adds
 * at the front is removed. Parts of a character are appended as their bytes, complete or not. Control tokens
 * are appended as their names if keep_special, otherwise left out. Fails on an id that the tokenizer does not
 * have. */
esp_status tokenizer_decode(const tokenizer *t, const int32_t *ids, int64_t count, bool keep_special,
                            text_buffer *out, esp_error *error);
/* The same as the continuation of a text: nothing is removed. */
esp_status tokenizer_decode_more(const tokenizer *t, const int32_t *ids, int64_t count, bool keep_special,
                                 text_buffer *out, esp_error *error);

/* The bytes of one id, not zero-terminated; length 0 for an id outside the vocabulary. */
const char *tokenizer_piece(const tokenizer *t, int32_t id, size_t *length);
bool tokenizer_is_special(const tokenizer *t, int32_t id);
/* The id of a piece as written in the file: "<|im_end|>", "\u0120the" or "<0x0A>"; -1 for none. */
int32_t tokenizer_find(const tokenizer *t, const char *piece);
int32_t tokenizer_size(const tokenizer *t); /* largest id + 1 */
int32_t tokenizer_bos(const tokenizer *t);  /* -1: none */
int32_t tokenizer_eos(const tokenizer *t);
/* All ids that end an answer, tokenizer_eos first: also those of eos_token_id in config.json and
 * generation_config.json, and the end of turn that a GGUF file names. n 0: none. */
const int32_t *tokenizer_ends(const tokenizer *t, int64_t *n);
bool tokenizer_adds_bos(const tokenizer *t); /* whether the model expects it before every text */
/* The tokenizer's chat template (Jinja); NULL for none. */
const char *tokenizer_chat_template(const tokenizer *t);

/* Writes tokenizer.json, tokenizer_config.json, special_tokens_map.json and, for several ids that end an
 * answer, generation_config.json into an existing folder. A tokenizer.json is written unchanged
 * (decompressed); a GGUF file's tokenizer as its equivalent. */
esp_status tokenizer_save(const tokenizer *t, const char *folder, esp_error *error);

#endif
