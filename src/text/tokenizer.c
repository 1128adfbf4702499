#include "text/tokenizer_inner.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>
#include <zlib.h>

void tokenizer_close(tokenizer *t) {
    if (!t) return;
    vocabulary_free(&t->words);
    for (int64_t i = 0; i < t->added.count; i++) mem_free(t->added.at[i].content);
    MEM_LIST_FREE(&t->added);
    normalizer_free(&t->normal);
    pretokenizer_free(t->cutter);
    word_cache_free(t->cache);
    MEM_LIST_FREE(&t->ends);
    mem_free(t->chat_template);
    mem_free(t->json);
    json_decref(t->config);
    mem_free(t);
}

static esp_status unpack(gzFile f, const char *path, text_buffer *out, esp_error *error) {
    enum { BLOCK = 65536 };
    for (;;) {
        if (out->length > LIMIT_TEXT_FILE)
            return error_fail(error, "check that it is the file that was meant",
                              "%s: is longer than %zu MB, unpacked", path, LIMIT_TEXT_FILE >> 20);
        ESP_TRY(text_make_room(out, BLOCK, path, error));
        int n = gzread(f, out->at + out->length, BLOCK), code = Z_OK;
        const char *why = gzerror(f, &code);
        if (n < 0 || code != Z_OK)
            return error_fail(error, "download the file again", "%s: damaged or cut off (%s)", path, why);
        out->length += (size_t)n;
        out->at[out->length] = '\0';
        if (n == 0) return ESP_OK;
    }
}

/* Reads a whole file, decompressed if it is gzipped. */
static esp_status read_unpacked(const char *path, text_buffer *out, esp_error *error) {
    int fd;
    ESP_TRY(file_open_regular(path, &fd, error));
    gzFile f = gzdopen(fd, "rb");
    if (!f) {
        close(fd);
        return error_fail(error, "check the path", "%s: cannot be opened", path);
    }
    esp_status status = unpack(f, path, out, error);
    gzclose(f);
    return status;
}

static esp_status open_json(tokenizer *t, const char *path, esp_error *error) {
    text_buffer bytes = {0};
    esp_status status = read_unpacked(path, &bytes, error);
    if (status != ESP_OK) {
        text_free(&bytes);
        return status;
    }
    t->json = bytes.at ? bytes.at : mem_strdup("");
    t->json_length = bytes.length;
    json_error_t at;
    json_t *file = json_loadb(t->json, t->json_length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &at);
    if (!file)
        return error_fail(error, "the file is damaged or cut off; download it again", "%s:%d: not JSON: %s",
                          path, at.line, at.text);
    status = tokenizer_fill_from_json(t, file, path, error);
    json_decref(file);
    ESP_TRY(status);
    const char *slash = strrchr(path, '/');
    char *folder = slash ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup(".");
    status = tokenizer_read_config(t, slash == path ? "/" : folder, error);
    mem_free(folder);
    return status;
}

static void add_gguf_ends(tokenizer *t) {
    int64_t more =
        t->ends.count > 0 ? t->ends.at[0] : -1; /* the end of turn, read before the vocabulary was */
    t->ends.count = 0;
    tokenizer_add_end(t, t->eos);
    tokenizer_add_end(t, more);
}

static esp_status open_gguf(tokenizer *t, const char *path, esp_error *error) {
    json_t *file = NULL;
    ESP_TRY(tokenizer_read_gguf(t, path, &file, error));
    esp_status status = tokenizer_fill_from_json(t, file, path, error);
    if (status == ESP_OK) add_gguf_ends(t);
    t->json = json_dumps(file, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(file);
    if (status == ESP_OK && !t->json)
        return error_fail(error, "the file is damaged; download it again", "%s: a piece is not UTF-8", path);
    t->json_length = t->json ? strlen(t->json) : 0;
    return status;
}

static int by_first_byte_then_length(const void *a, const void *b) {
    const added_token *x = a, *y = b;
    int first = (unsigned char)x->content[0] - (unsigned char)y->content[0];
    if (first) return first;
    if (x->length != y->length) return x->length > y->length ? -1 : 1;
    return x->id - y->id;
}

static void index_added(tokenizer *t) {
    if (t->added.count)
        qsort(t->added.at, (size_t)t->added.count, sizeof *t->added.at, by_first_byte_then_length);
    for (int32_t i = 0, b = 0; b <= 256; b++) {
        while (i < t->added.count && (unsigned char)t->added.at[i].content[0] < b) i++;
        t->added_from[b] = i;
    }
}

esp_status tokenizer_open(tokenizer **out, const char *path, esp_error *error) {
    *out = NULL;
    tokenizer *t = MEM_NEW(tokenizer);
    t->bos = t->eos = -1;
    esp_status status;
    if (file_is_folder(path)) {
        char *plain = path_join(path, "tokenizer.json"), *packed = path_join(path, "tokenizer.json.gz");
        if (!file_exists(plain) && !file_exists(packed))
            status = error_fail(error, "give a Hugging Face folder with a tokenizer.json, or a GGUF file",
                                "%s: the folder has no tokenizer.json", path);
        else
            status = open_json(t, file_exists(plain) ? plain : packed, error);
        mem_free(plain);
        mem_free(packed);
    } else if (!file_exists(path)) {
        status = error_fail(error, "check the path", "%s: no such file", path);
    } else {
        status = text_ends_with(path, ".gguf") ? open_gguf(t, path, error) : open_json(t, path, error);
    }
    if (status != ESP_OK) {
        tokenizer_close(t);
        return status;
    }
    index_added(t);
    if (t->cuts) t->cache = word_cache_new();
    *out = t;
    return ESP_OK;
}

/* The working memory of one call of encode. */
typedef struct {
    const tokenizer *t;
    const char *text;
    size_t length;
    const text_span *trusted;
    size_t spans;
    bool continues; /* the text follows other text */
    bpe_scratch scratch;
    word_list words;
} encoding;

static esp_status encode_plain(encoding *e, size_t start, size_t end, token_list *out, esp_error *error) {
    if (start >= end) return ESP_OK;
    const tokenizer *t = e->t;
    text_clear(&e->words.text);
    text_append(&e->words.text, e->text + start, end - start);
    text_place place = start > 0 ? TEXT_LATER : e->continues ? TEXT_CONTINUES : TEXT_FIRST;
    normalize(&t->normal, &e->words.text, place == TEXT_CONTINUES);
    ESP_TRY(pretokenize(t->cutter, &e->words, place, error));
    for (int64_t i = 0; i < e->words.words.count; i++) {
        text_segment w = e->words.words.at[i];
        if (t->cache)
            word_cache_encode(t->cache, &t->words, &e->scratch, e->words.text.at + w.start, w.end - w.start,
                              out);
        else
            bpe_word(&t->words, &e->scratch, e->words.text.at + w.start, w.end - w.start, out);
    }
    return ESP_OK;
}

static bool is_trusted(const encoding *e, size_t start, size_t end) {
    for (size_t i = 0; i < e->spans && e->trusted[i].start <= start; i++)
        if (end <= e->trusted[i].end) return true;
    return false;
}

/* The character that ends right before `at`, or starts there; -1 for none. */
static utf8proc_int32_t character_before(const encoding *e, size_t at, size_t *start) {
    utf8proc_int32_t c = -1;
    for (size_t n = 1; n <= 4 && n <= at; n++) {
        if (utf8_length(e->text + at - n, n) != n) continue;
        utf8proc_iterate((const utf8proc_uint8_t *)e->text + at - n, (utf8proc_ssize_t)n, &c);
        *start = at - n;
        return c;
    }
    return -1;
}

static utf8proc_int32_t character_at(const encoding *e, size_t at, size_t *end) {
    size_t n = utf8_length(e->text + at, e->length - at);
    utf8proc_int32_t c = -1;
    if (n) utf8proc_iterate((const utf8proc_uint8_t *)e->text + at, (utf8proc_ssize_t)n, &c);
    *end = at + n;
    return n ? c : -1;
}

static bool is_space(utf8proc_int32_t c) {
    if ((c >= 9 && c <= 13) || c == 0x85) return true;
    if (c < 0) return false;
    utf8proc_category_t k = utf8proc_category(c);
    return k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
}

static bool is_word(utf8proc_int32_t c) {
    if (c < 0) return false;
    utf8proc_category_t k = utf8proc_category(c);
    return k <= UTF8PROC_CATEGORY_NO || k == UTF8PROC_CATEGORY_PC ? k != UTF8PROC_CATEGORY_CN : false;
}

/* The added token that starts at `at`, the longest of several, or NULL. */
static const added_token *added_at(const encoding *e, size_t at) {
    const tokenizer *t = e->t;
    unsigned first = (unsigned char)e->text[at];
    for (int32_t i = t->added_from[first]; i < t->added_from[first + 1]; i++) {
        const added_token *a = &t->added.at[i];
        if (a->length > e->length - at || memcmp(e->text + at, a->content, a->length) != 0) continue;
        size_t end = at + a->length, ignored;
        if (a->special && !is_trusted(e, at, end)) continue;
        if (a->single_word &&
            (is_word(character_before(e, at, &ignored)) || is_word(character_at(e, end, &ignored))))
            continue;
        return a;
    }
    return NULL;
}

static esp_status encode_all(encoding *e, token_list *out, esp_error *error) {
    size_t done = 0, at = 0;
    while (at < e->length) {
        const added_token *a = added_at(e, at);
        if (!a) {
            at++;
            continue;
        }
        size_t start = at, end = at + a->length, edge;
        while (a->strip_left && start > done && is_space(character_before(e, start, &edge)) && edge >= done)
            start = edge;
        while (a->strip_right && end < e->length && is_space(character_at(e, end, &edge))) end = edge;
        ESP_TRY(encode_plain(e, done, start, out, error));
        MEM_LIST_PUSH(out, a->id);
        done = at = end;
    }
    return encode_plain(e, done, e->length, out, error);
}

static esp_status encode(encoding e, token_list *out, esp_error *error) {
    if (e.length > (size_t)1 << 30)
        return error_fail(error, "encode the text in shorter parts",
                          "a text of %zu bytes is too long to encode", e.length);
    esp_status status = encode_all(&e, out, error);
    bpe_scratch_free(&e.scratch);
    word_list_free(&e.words);
    return status;
}

esp_status tokenizer_encode_trusted(const tokenizer *t, const char *text, size_t length,
                                    const text_span *trusted, size_t spans, token_list *out,
                                    esp_error *error) {
    return encode((encoding){.t = t, .text = text, .length = length, .trusted = trusted, .spans = spans}, out,
                  error);
}

esp_status tokenizer_encode_more(const tokenizer *t, const char *text, size_t length,
                                 const text_span *trusted, size_t spans, token_list *out, esp_error *error) {
    encoding e = {
        .t = t, .text = text, .length = length, .trusted = trusted, .spans = spans, .continues = true};
    return encode(e, out, error);
}

esp_status tokenizer_encode(const tokenizer *t, const char *text, size_t length, bool special,
                            token_list *out, esp_error *error) {
    text_span all = {0, length};
    return tokenizer_encode_trusted(t, text, length, &all, special ? 1 : 0, out, error);
}

esp_status tokenizer_decode_more(const tokenizer *t, const int32_t *ids, int64_t count, bool keep_special,
                                 text_buffer *out, esp_error *error) {
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= t->words.size)
            return error_fail(error, "the ids belong to another tokenizer",
                              "id %d is outside the vocabulary of %d", ids[i], t->words.size);
        if (!keep_special && t->words.kinds[ids[i]] == PIECE_SPECIAL) continue;
        text_append(out, t->words.outputs[ids[i]].at, t->words.outputs[ids[i]].length);
    }
    return ESP_OK;
}

esp_status tokenizer_decode(const tokenizer *t, const int32_t *ids, int64_t count, bool keep_special,
                            text_buffer *out, esp_error *error) {
    size_t start = out->length, spaces = 0;
    ESP_TRY(tokenizer_decode_more(t, ids, count, keep_special, out, error));
    while (spaces < t->strip_at_start && start + spaces < out->length && out->at[start + spaces] == ' ')
        spaces++;
    if (spaces) {
        memmove(out->at + start, out->at + start + spaces, out->length - start - spaces + 1);
        out->length -= spaces;
    }
    return ESP_OK;
}

const char *tokenizer_piece(const tokenizer *t, int32_t id, size_t *length) {
    bool known = id >= 0 && id < t->words.size;
    *length = known ? t->words.outputs[id].length : 0;
    return *length ? t->words.outputs[id].at : "";
}

bool tokenizer_is_special(const tokenizer *t, int32_t id) {
    return id >= 0 && id < t->words.size && t->words.kinds[id] == PIECE_SPECIAL;
}

int32_t tokenizer_find(const tokenizer *t, const char *piece) {
    for (int64_t i = 0; i < t->added.count; i++)
        if (strcmp(t->added.at[i].content, piece) == 0) return t->added.at[i].id;
    text_buffer raw = {0};
    bool written = !t->words.byte_level || byte_alphabet_read(piece, strlen(piece), &raw);
    int32_t id = -1;
    if (written)
        id = t->words.byte_level ? vocabulary_find(&t->words, raw.at, raw.length)
                                 : vocabulary_find(&t->words, piece, strlen(piece));
    text_free(&raw);
    return id;
}

int32_t tokenizer_size(const tokenizer *t) {
    return t->words.size;
}
int32_t tokenizer_bos(const tokenizer *t) {
    return t->bos;
}
int32_t tokenizer_eos(const tokenizer *t) {
    return t->eos;
}
bool tokenizer_adds_bos(const tokenizer *t) {
    return t->adds_bos && t->bos >= 0;
}
const int32_t *tokenizer_ends(const tokenizer *t, int64_t *n) {
    *n = t->ends.count;
    return t->ends.at;
}

void tokenizer_add_end(tokenizer *t, int64_t id) {
    if (id < 0 || id >= t->words.size) return;
    for (int64_t i = 0; i < t->ends.count; i++)
        if (t->ends.at[i] == id) return;
    MEM_LIST_PUSH(&t->ends, (int32_t)id);
}

const char *tokenizer_chat_template(const tokenizer *t) {
    return t->chat_template;
}
