/* Converts the tokenizer of a GGUF file to an equivalent tokenizer.json. */
#include "text/tokenizer_inner.h"

#include "base/utf8.h"
#include "formats/gguf.h"

#include <stdlib.h>
#include <string.h>

/* GGUF's token types (specification, tokenizer.ggml.token_type). */
enum { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_USER_DEFINED = 4 };

typedef struct {
    const gguf_file *g;
    const char *path;
    gguf_list tokens, types, scores, merges;
    bool sentencepiece;
} source;

static const char hint_other[] = "use the model's Hugging Face folder with its tokenizer.json";

/* The pre-tokenizers that tokenizer.ggml.pre names, as llama.cpp (src/llama-vocab.cpp) defines the names:
 * single
 * digits first if marked, then the patterns in order, then GPT-2's words. */
typedef struct {
    const char *name;
    bool digits, gpt2_words, whole_words;
    const char *patterns[5];
} named_cutter;

#define GPT2_START  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define WORDS_START "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define WORDS_END   "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* Marks belong to the letters that they follow. */
#define MARKED_START "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|"
#define MARKED_END   "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
/* o200k: words also end between small letters and capitals. */
#define CAPITALS  "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define SMALL     "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define SHORTENED "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
#define CASED                                                                                                \
    "[^\\r\\n\\p{L}\\p{N}]?" CAPITALS "*" SMALL "+" SHORTENED "[^\\r\\n\\p{L}\\p{N}]?" CAPITALS "+" SMALL    \
    "*" SHORTENED
#define CASED_END "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const named_cutter cutters[] = {
    {"default", false, false, false, {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2_START, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"gpt-2", false, true, false, {0}},
    {"phi-2", false, true, false, {0}},
    {"mpt", false, true, false, {0}},
    {"olmo", false, true, false, {0}},
    {"smollm", true, true, false, {0}},
    {"starcoder", true, true, false, {0}},
    {"refact", true, true, false, {0}},
    {"command-r", true, true, false, {0}},
    {"codeshell", true, true, false, {0}},
    {"llama-bpe", false, false, true, {WORDS_START "\\p{N}{1,3}" WORDS_END}},
    {"llama3", false, false, true, {WORDS_START "\\p{N}{1,3}" WORDS_END}},
    {"llama-v3", false, false, true, {WORDS_START "\\p{N}{1,3}" WORDS_END}},
    {"qwen2", false, false, false, {WORDS_START "\\p{N}" WORDS_END}},
    {"deepseek-r1-qwen", false, false, false, {WORDS_START "\\p{N}" WORDS_END}},
    {"smaug-bpe", false, false, false, {WORDS_START "\\p{N}{1,3}" WORDS_END}},
    {"qwen35", false, false, false, {MARKED_START "\\p{N}" MARKED_END}},
    {"gpt-4o", false, false, false, {CASED "\\p{N}{1,3}" CASED_END}},
};

static json_t *byte_level(bool gpt2_words) {
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1,
                     "use_regex", gpt2_words);
}

static json_t *cutter_json(const named_cutter *c) {
    json_t *parts = json_array();
    if (c->digits)
        json_array_append_new(parts, json_pack("{s:s, s:b}", "type", "Digits", "individual_digits", 1));
    for (int i = 0; c->patterns[i]; i++)
        json_array_append_new(parts, json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern",
                                               "Regex", c->patterns[i], "behavior", "Isolated", "invert", 0));
    json_array_append_new(parts, byte_level(c->gpt2_words));
    return json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", parts);
}

static const named_cutter *find_cutter(const char *name) {
    for (size_t i = 0; i < sizeof cutters / sizeof *cutters; i++)
        if (strcmp(name, cutters[i].name) == 0) return &cutters[i];
    return NULL;
}

static json_t *parse(const char *text) {
    return json_loads(text, 0, NULL);
}

static char *token_text(const source *s, int64_t id) {
    size_t length;
    const char *text = gguf_text_at(&s->tokens, id, &length);
    return mem_strndup(text, length);
}

static int64_t type_of(const source *s, int64_t id) {
    return s->types.count ? gguf_integer_at(&s->types, id) : TOKEN_NORMAL;
}

/* A piece that is not UTF-8 or contains a zero byte cannot be in a tokenizer.json. */
static esp_status put_piece(json_t *vocab, const source *s, int64_t id, esp_error *error) {
    size_t length;
    gguf_text_at(&s->tokens, id, &length);
    char *text = token_text(s, id);
    bool known = json_object_get(vocab, text) != NULL;
    esp_status status = ESP_OK;
    if (known && type_of(s, id) == TOKEN_NORMAL)
        status = error_fail(error, "the file is damaged; download it again",
                            "%s: tokenizer.ggml.tokens: \"%s\" occurs twice, the second time as id %d",
                            s->path, text, (int)id);
    else if (strlen(text) != length || (!known && json_object_set_new(vocab, text, json_integer(id)) != 0))
        status = error_fail(error, "the file is damaged; download it again",
                            "%s: tokenizer.ggml.tokens: id %d is not a text", s->path, (int)id);
    mem_free(text);
    return status;
}

static void put_added(json_t *added, const source *s, int64_t id) {
    char *text = token_text(s, id);
    bool special = type_of(s, id) != TOKEN_USER_DEFINED;
    if (*text)
        json_array_append_new(added, json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id,
                                               "content", text, "single_word", 0, "lstrip", 0, "rstrip", 0,
                                               "normalized", 0, "special", special));
    mem_free(text);
}

static esp_status put_vocabulary(json_t *file, json_t *model, const source *s, esp_error *error) {
    json_t *vocab = json_object(), *added = json_array();
    json_object_set_new(model, "vocab", vocab);
    json_object_set_new(file, "added_tokens", added);
    for (int64_t id = 0; id < s->tokens.count; id++) {
        size_t before = json_object_size(vocab);
        ESP_TRY(put_piece(vocab, s, id, error));
        int64_t type = type_of(s, id);
        bool is_new = json_object_size(vocab) > before;
        if (is_new && (type == TOKEN_UNKNOWN || type == TOKEN_CONTROL || type == TOKEN_USER_DEFINED))
            put_added(added, s, id);
    }
    return ESP_OK;
}

typedef struct {
    int32_t left, right;               /* ids */
    int32_t left_length, right_length; /* characters */
    double score;
    int64_t order;
} scored_merge;
typedef MEM_LIST(scored_merge) scored_merges;

/* The order of Hugging Face's converter (transformers, convert_slow_tokenizer.py, generate_merges): higher
 * scores first, then longer left parts, then longer right parts, then the order in which they were found. */
static int by_score(const void *a, const void *b) {
    const scored_merge *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->left_length != y->left_length) return y->left_length - x->left_length;
    if (x->right_length != y->right_length) return y->right_length - x->right_length;
    return x->order < y->order ? -1 : 1;
}

static int by_ids(const void *a, const void *b) {
    const scored_merge *x = a, *y = b;
    return x->left != y->left ? (x->left < y->left ? -1 : 1) : (x->right > y->right) - (x->right < y->right);
}

static int32_t characters(const char *text, size_t length) {
    int32_t n = 0;
    for (size_t i = 0; i < length; i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/* All pairs of pieces that join to piece `id`. */
static void find_splits(const vocabulary *v, int32_t id, double score, scored_merges *out) {
    byte_run p = v->pieces[id];
    int64_t first = out->count;
    for (size_t i = utf8_length(p.at, p.length), n; i < p.length; i += n ? n : 1) {
        n = utf8_length(p.at + i, p.length - i);
        scored_merge m = {vocabulary_find(v, p.at, i),
                          vocabulary_find(v, p.at + i, p.length - i),
                          characters(p.at, i),
                          characters(p.at + i, p.length - i),
                          score,
                          0};
        if (m.left >= 0 && m.right >= 0) MEM_LIST_PUSH(out, m);
    }
    if (out->count > first) qsort(out->at + first, (size_t)(out->count - first), sizeof *out->at, by_ids);
}

static esp_status merges_from_scores(json_t *merges, const source *s, esp_error *error) {
    vocabulary v;
    scored_merges found = {0};
    vocabulary_init(&v, (int32_t)s->tokens.count, 0);
    esp_status status = ESP_OK;
    for (int32_t id = 0; status == ESP_OK && id < v.size; id++) {
        size_t length;
        const char *text = gguf_text_at(&s->tokens, id, &length);
        if (type_of(s, id) == TOKEN_NORMAL)
            status = vocabulary_add(&v, id, text, length, PIECE_MODEL, true, error);
    }
    for (int32_t id = 0; status == ESP_OK && id < v.size; id++)
        if (v.kinds[id] != PIECE_ABSENT) find_splits(&v, id, gguf_number_at(&s->scores, id), &found);
    for (int64_t i = 0; i < found.count; i++) found.at[i].order = i;
    if (found.count) qsort(found.at, (size_t)found.count, sizeof *found.at, by_score);
    text_buffer line = {0};
    for (int64_t i = 0; i < found.count; i++) {
        byte_run left = v.pieces[found.at[i].left], right = v.pieces[found.at[i].right];
        text_clear(&line);
        text_append(&line, left.at, left.length);
        text_puts(&line, " ");
        text_append(&line, right.at, right.length);
        json_array_append_new(merges, json_stringn(line.at, line.length));
    }
    text_free(&line);
    MEM_LIST_FREE(&found);
    vocabulary_free(&v);
    return status == ESP_OK ? ESP_OK : error_prefix(error, "%s: tokenizer.ggml.tokens", s->path);
}

static esp_status put_merges(json_t *model, const source *s, esp_error *error) {
    json_t *merges = json_array();
    json_object_set_new(model, "merges", merges);
    if (s->sentencepiece) return merges_from_scores(merges, s, error);
    for (int64_t i = 0; i < s->merges.count; i++) {
        size_t length;
        const char *text = gguf_text_at(&s->merges, i, &length);
        if (json_array_append_new(merges, json_stringn(text, length)) != 0)
            return error_fail(error, "the file is damaged; download it again",
                              "%s: tokenizer.ggml.merges: %d is not UTF-8", s->path, (int)i);
    }
    return ESP_OK;
}

/* SentencePiece's white space: every space becomes the mark, and a text starts with one. */
static void put_sentencepiece(json_t *file, json_t *model, bool prefix) {
    const char *replace = "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\u2581\"}";
    json_t *steps = json_array(), *decoders = json_array();
    if (prefix) json_array_append_new(steps, parse("{\"type\":\"Prepend\",\"prepend\":\"\u2581\"}"));
    json_array_append_new(steps, parse(replace));
    json_array_append_new(
        decoders, parse("{\"type\":\"Replace\",\"pattern\":{\"String\":\"\u2581\"},\"content\":\" \"}"));
    json_array_append_new(decoders, parse("{\"type\":\"ByteFallback\"}"));
    json_array_append_new(decoders, parse("{\"type\":\"Fuse\"}"));
    if (prefix)
        json_array_append_new(decoders,
                              parse("{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"));
    json_object_set_new(file, "normalizer",
                        json_pack("{s:s, s:o}", "type", "Sequence", "normalizers", steps));
    json_object_set_new(file, "pre_tokenizer", json_null());
    json_object_set_new(file, "decoder", json_pack("{s:s, s:o}", "type", "Sequence", "decoders", decoders));
    json_object_set_new(model, "fuse_unk", json_true());
    json_object_set_new(model, "byte_fallback", json_true());
}

static esp_status put_byte_level(json_t *file, json_t *model, const source *s, bool prefix,
                                 esp_error *error) {
    const char *name = "default";
    if (gguf_has(s->g, "tokenizer.ggml.pre"))
        ESP_TRY(gguf_need_string(s->g, "tokenizer.ggml.pre", &name, error));
    const named_cutter *cutter = find_cutter(name);
    if (!cutter || prefix)
        return error_fail(error, hint_other, "%s: pre-tokenizer %s%s is not supported", s->path, name,
                          prefix ? " with tokenizer.ggml.add_space_prefix" : "");
    json_object_set_new(file, "normalizer", json_null());
    json_object_set_new(file, "pre_tokenizer", cutter_json(cutter));
    json_object_set_new(file, "decoder", byte_level(true));
    json_object_set_new(model, "fuse_unk", json_false());
    json_object_set_new(model, "byte_fallback", json_false());
    json_object_set_new(model, "ignore_merges", json_boolean(cutter->whole_words));
    return ESP_OK;
}

static esp_status optional_bool(const gguf_file *g, const char *key, bool *value, esp_error *error) {
    return gguf_has(g, key) ? gguf_need_bool(g, key, value, error) : ESP_OK;
}

static esp_status optional_id(const source *s, const char *key, int32_t *id, esp_error *error) {
    int64_t value;
    if (!gguf_has(s->g, key)) return ESP_OK;
    ESP_TRY(gguf_need_integer(s->g, key, &value, error));
    if (value < 0 || value >= s->tokens.count)
        return error_fail(error, "the file is damaged; download it again",
                          "%s: %s is %lld, outside the vocabulary", s->path, key, (long long)value);
    *id = (int32_t)value;
    return ESP_OK;
}

static esp_status open_source(source *s, esp_error *error) {
    const gguf_file *g = s->g;
    const char *model;
    ESP_TRY(gguf_need_string(g, "tokenizer.ggml.model", &model, error));
    s->sentencepiece = strcmp(model, "llama") == 0;
    if (!s->sentencepiece && strcmp(model, "gpt2") != 0)
        return error_fail(error, hint_other,
                          "%s: tokenizer.ggml.model %s is not supported (gpt2 and llama are)", s->path,
                          model);
    ESP_TRY(gguf_need_texts(g, "tokenizer.ggml.tokens", &s->tokens, error));
    if (gguf_has(g, "tokenizer.ggml.token_type"))
        ESP_TRY(gguf_need_integers(g, "tokenizer.ggml.token_type", &s->types, error));
    if (s->sentencepiece)
        ESP_TRY(gguf_need_numbers(g, "tokenizer.ggml.scores", &s->scores, error));
    else
        ESP_TRY(gguf_need_texts(g, "tokenizer.ggml.merges", &s->merges, error));
    if (s->tokens.count < 1 || s->tokens.count > INT32_MAX / 2 ||
        (s->types.count && s->types.count != s->tokens.count) ||
        (s->sentencepiece && s->scores.count != s->tokens.count))
        return error_fail(error, "the file is damaged; download it again",
                          "%s: %lld tokens, %lld token types and %lld scores", s->path,
                          (long long)s->tokens.count, (long long)s->types.count, (long long)s->scores.count);
    return ESP_OK;
}

/* The control token before a text, in the form of Hugging Face's TemplateProcessing. */
static void put_template(json_t *file, const source *s, int32_t bos) {
    char *name = token_text(s, bos);
    json_t *token = json_pack("{s:{s:s, s:[i], s:[s]}}", name, "id", name, "ids", (int)bos, "tokens", name);
    json_t *first = json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", name, "type_id", 0);
    json_t *a = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "A", "type_id", 0);
    json_t *b = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "B", "type_id", 1);
    json_object_set_new(file, "post_processor",
                        json_pack("{s:s, s:[O,O], s:[O,O,O], s:o}", "type", "TemplateProcessing", "single",
                                  first, a, "pair", first, a, b, "special_tokens", token));
    json_decref(first);
    json_decref(a);
    json_decref(b);
    mem_free(name);
}

static esp_status build(tokenizer *t, source *s, json_t *file, esp_error *error) {
    ESP_TRY(open_source(s, error));
    json_t *model = json_object();
    json_object_set_new(file, "version", json_string("1.0"));
    json_object_set_new(file, "truncation", json_null());
    json_object_set_new(file, "padding", json_null());
    json_object_set_new(file, "model", model);
    json_object_set_new(model, "type", json_string("BPE"));
    static const char *const nothing[] = {"dropout", "unk_token", "continuing_subword_prefix",
                                          "end_of_word_suffix"};
    for (int i = 0; i < 4; i++) json_object_set_new(model, nothing[i], json_null());
    bool prefix = s->sentencepiece, adds_bos = s->sentencepiece;
    int32_t bos = -1, eos = -1, turn = -1, unknown = -1;
    ESP_TRY(optional_bool(s->g, "tokenizer.ggml.add_space_prefix", &prefix, error));
    ESP_TRY(optional_bool(s->g, "tokenizer.ggml.add_bos_token", &adds_bos, error));
    ESP_TRY(optional_id(s, "tokenizer.ggml.bos_token_id", &bos, error));
    ESP_TRY(optional_id(s, "tokenizer.ggml.eos_token_id", &eos, error));
    ESP_TRY(optional_id(s, "tokenizer.ggml.eot_token_id", &turn, error));
    ESP_TRY(optional_id(s, "tokenizer.ggml.unknown_token_id", &unknown, error));
    if (s->sentencepiece)
        put_sentencepiece(file, model, prefix);
    else
        ESP_TRY(put_byte_level(file, model, s, prefix, error));
    ESP_TRY(put_vocabulary(file, model, s, error));
    ESP_TRY(put_merges(model, s, error));
    if (s->sentencepiece && unknown >= 0) {
        char *name = token_text(s, unknown);
        json_object_set_new(model, "unk_token", json_string(name));
        mem_free(name);
    }
    json_object_set_new(file, "post_processor", json_null());
    if (adds_bos && bos >= 0) put_template(file, s, bos);
    t->bos = bos;
    t->eos = eos;
    if (turn >= 0) MEM_LIST_PUSH(&t->ends, turn);
    const char *chat;
    if (!gguf_has(s->g, "tokenizer.chat_template")) return ESP_OK;
    ESP_TRY(gguf_need_string(s->g, "tokenizer.chat_template", &chat, error));
    t->chat_template = mem_strdup(chat);
    return ESP_OK;
}

esp_status tokenizer_read_gguf(tokenizer *t, const char *path, json_t **file, esp_error *error) {
    gguf_file *g;
    ESP_TRY(gguf_open(&g, path, error));
    source s = {.g = g, .path = path};
    *file = json_object();
    esp_status status = build(t, &s, *file, error);
    gguf_close(g);
    if (status != ESP_OK) {
        json_decref(*file);
        *file = NULL;
    }
    return status;
}
