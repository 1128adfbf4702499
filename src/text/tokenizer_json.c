/* Builds a tokenizer from a Hugging Face tokenizer.json. A component is either supported or refused by name.
 */
#include "text/tokenizer_inner.h"

#include "base/limits.h"

#include <string.h>

static const char hint_unsupported[] = "supported: BPE models, byte-level or SentencePiece with byte "
                                       "fallback (GPT-2, StarCoder, SmolLM, Llama, Mistral)";
static const char hint_damaged[] = "the tokenizer file is damaged; download it again";

static const char *type_of(const json_t *component) {
    const char *type = json_string_value(json_object_get(component, "type"));
    return type ? type : "(no type)";
}

static bool flag(const json_t *object, const char *key, bool otherwise) {
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

/* The string of a {"String": ...} or {"Regex": ...} pattern; NULL if it is neither. */
static const char *pattern_of(const json_t *component, bool *regex) {
    const json_t *pattern = json_object_get(component, "pattern");
    const char *text = json_string_value(json_object_get(pattern, "Regex"));
    *regex = text != NULL;
    return text ? text : json_string_value(json_object_get(pattern, "String"));
}

/* The parts of a Sequence; an error if they are not a list. */
static esp_status parts_of(const json_t *sequence, const char *key, const char *where, const json_t **out,
                           esp_error *error) {
    *out = json_object_get(sequence, key);
    if (!json_is_array(*out)) return error_fail(error, hint_damaged, "%s: a Sequence without %s", where, key);
    return ESP_OK;
}

/* Replacements in a row multiply: thirty that double a text would make a billion bytes of one. */
static esp_status check_growth(const normalizer *n, const char *what, const char *where, esp_error *error) {
    if (n->count > LIMIT_NORMALIZER_STEPS)
        return error_fail(error, hint_damaged, "%s: the %s has %lld steps, more than %d", where, what,
                          (long long)n->count, LIMIT_NORMALIZER_STEPS);
    if (normalizer_growth(n) <= LIMIT_NORMALIZER_GROWTH) return ESP_OK;
    return error_fail(error, hint_damaged,
                      "%s: the %s can make a text %.3g times as long, more than the %g that are allowed",
                      where, what, normalizer_growth(n), LIMIT_NORMALIZER_GROWTH);
}

static esp_status add_normalizer(tokenizer *t, const json_t *n, const char *where, esp_error *error) {
    const char *type = type_of(n);
    if (strcmp(type, "Sequence") == 0) {
        size_t i;
        json_t *part;
        const json_t *parts;
        ESP_TRY(parts_of(n, "normalizers", where, &parts, error));
        json_array_foreach(parts, i, part) ESP_TRY(add_normalizer(t, part, where, error));
        return ESP_OK;
    }
    static const struct {
        const char *name;
        normal_kind kind;
    } forms[] = {{"NFC", NORMAL_NFC}, {"NFD", NORMAL_NFD}, {"NFKC", NORMAL_NFKC}, {"NFKD", NORMAL_NFKD}};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(type, forms[i].name) == 0) {
            normalizer_add(&t->normal, forms[i].kind, NULL, NULL);
            return ESP_OK;
        }
    const char *prepend = json_string_value(json_object_get(n, "prepend"));
    if (strcmp(type, "Prepend") == 0 && prepend) {
        normalizer_add(&t->normal, NORMAL_PREPEND, NULL, prepend);
        return ESP_OK;
    }
    bool regex;
    const char *from = pattern_of(n, &regex), *to = json_string_value(json_object_get(n, "content"));
    if (strcmp(type, "Replace") == 0 && from && to && !regex) {
        normalizer_add(&t->normal, NORMAL_REPLACE, from, to);
        return ESP_OK;
    }
    return error_fail(error, hint_unsupported, "%s: normalizer %s%s is not supported", where, type,
                      strcmp(type, "Replace") == 0 ? " with this pattern" : "");
}

static esp_status add_split(tokenizer *t, const json_t *p, const char *where, esp_error *error) {
    static const char *const behaviors[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                            "Contiguous"};
    const char *behavior = json_string_value(json_object_get(p, "behavior"));
    bool regex;
    const char *pattern = pattern_of(p, &regex);
    for (int b = 0; behavior && pattern && b < 5; b++) {
        if (strcmp(behavior, behaviors[b]) != 0) continue;
        text_buffer quoted = {0};
        text_printf(&quoted, regex ? "%s" : "\\Q%s\\E", pattern);
        esp_status status =
            pretokenizer_add_split(t->cutter, quoted.at, (split_behavior)b, flag(p, "invert", false), error);
        text_free(&quoted);
        return status == ESP_OK ? ESP_OK : error_prefix(error, "%s", where);
    }
    return error_fail(error, hint_unsupported,
                      "%s: pre-tokenizer Split with behavior \"%s\" is not supported", where,
                      behavior ? behavior : "(none)");
}

static metaspace_prepend prepend_of(const json_t *metaspace) {
    const char *scheme = json_string_value(json_object_get(metaspace, "prepend_scheme"));
    if (!scheme) return flag(metaspace, "add_prefix_space", true) ? METASPACE_ALWAYS : METASPACE_NEVER;
    if (strcmp(scheme, "first") == 0) return METASPACE_FIRST;
    return strcmp(scheme, "never") == 0 ? METASPACE_NEVER : METASPACE_ALWAYS;
}

static const char *mark_of(const json_t *metaspace) {
    const char *mark = json_string_value(json_object_get(metaspace, "replacement"));
    return mark ? mark : "\u2581";
}

static esp_status add_pre_tokenizer(tokenizer *t, const json_t *p, const char *where, esp_error *error) {
    const char *type = type_of(p);
    if (strcmp(type, "Sequence") == 0) {
        size_t i;
        json_t *part;
        const json_t *parts;
        ESP_TRY(parts_of(p, "pretokenizers", where, &parts, error));
        json_array_foreach(parts, i, part) ESP_TRY(add_pre_tokenizer(t, part, where, error));
        return ESP_OK;
    }
    if (t->words.byte_level)
        return error_fail(error, hint_unsupported, "%s: pre-tokenizer %s after ByteLevel is not supported",
                          where, type);
    t->cuts = true;
    if (strcmp(type, "Digits") == 0)
        return pretokenizer_add_split(t->cutter, "\\p{N}",
                                      flag(p, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS,
                                      false, error);
    if (strcmp(type, "Split") == 0) return add_split(t, p, where, error);
    if (strcmp(type, "ByteLevel") == 0) {
        t->words.byte_level = true;
        return pretokenizer_add_byte_level(t->cutter, flag(p, "add_prefix_space", true),
                                           flag(p, "use_regex", true), error);
    }
    if (strcmp(type, "Metaspace") == 0) {
        t->cuts = flag(p, "split", true);
        return pretokenizer_add_metaspace(t->cutter, mark_of(p), prepend_of(p), flag(p, "split", true),
                                          error);
    }
    return error_fail(error, hint_unsupported, "%s: pre-tokenizer %s is not supported", where, type);
}

/* The decoder: replacements in each piece, bytes of fallback pieces, and what is stripped from the whole
 * text. */
typedef struct {
    normalizer replace;
    bool bytes;
    bool fused;
} decoder;

static esp_status add_decoder(tokenizer *t, decoder *d, const json_t *part, const char *where,
                              esp_error *error) {
    const char *type = type_of(part);
    bool regex;
    const char *from = pattern_of(part, &regex),
               *content = json_string_value(json_object_get(part, "content"));
    if (strcmp(type, "Sequence") == 0) {
        size_t i;
        json_t *step;
        const json_t *parts;
        ESP_TRY(parts_of(part, "decoders", where, &parts, error));
        json_array_foreach(parts, i, step) ESP_TRY(add_decoder(t, d, step, where, error));
    } else if (strcmp(type, "ByteLevel") == 0 && t->words.byte_level) {
        return ESP_OK;
    } else if (strcmp(type, "Replace") == 0 && from && content && !regex) {
        normalizer_add(&d->replace, NORMAL_REPLACE, from, content);
    } else if (strcmp(type, "ByteFallback") == 0) {
        d->bytes = true;
    } else if (strcmp(type, "Fuse") == 0) {
        d->fused = true;
    } else if (strcmp(type, "Strip") == 0 && d->fused && content && strcmp(content, " ") == 0 &&
               !json_integer_value(json_object_get(part, "stop"))) {
        t->strip_at_start = (size_t)json_integer_value(json_object_get(part, "start"));
    } else if (strcmp(type, "Metaspace") == 0) {
        normalizer_add(&d->replace, NORMAL_REPLACE, mark_of(part), " ");
        t->strip_at_start = prepend_of(part) != METASPACE_NEVER;
    } else {
        return error_fail(error, hint_unsupported, "%s: decoder %s is not supported%s", where, type,
                          strcmp(type, "Strip") == 0 ? " in this form" : "");
    }
    return ESP_OK;
}

/* The byte of a piece "<0x0A>", or -1. */
static int fallback_byte(byte_run piece) {
    static const char digits[] = "0123456789ABCDEF";
    if (piece.length != 6 || memcmp(piece.at, "<0x", 3) != 0 || piece.at[5] != '>') return -1;
    const char *high = strchr(digits, piece.at[3]), *low = strchr(digits, piece.at[4]);
    return high && low && *high && *low ? (int)(high - digits) * 16 + (int)(low - digits) : -1;
}

static void set_outputs(tokenizer *t, const decoder *d) {
    vocabulary *v = &t->words;
    text_buffer piece = {0};
    for (int32_t id = 0; id < v->size; id++) {
        if (v->kinds[id] == PIECE_ABSENT || v->byte_level) continue;
        int byte = d->bytes ? fallback_byte(v->pieces[id]) : -1;
        text_clear(&piece);
        text_append(&piece, v->pieces[id].at, v->pieces[id].length);
        normalize(&d->replace, &piece, false);
        if (byte >= 0)
            vocabulary_set_output(v, id, &(char){(char)byte}, 1);
        else
            vocabulary_set_output(v, id, piece.at, piece.length);
    }
    text_free(&piece);
}

static esp_status read_decoder(tokenizer *t, const json_t *part, const char *where, esp_error *error) {
    decoder d = {0};
    esp_status status = ESP_OK;
    if (part && !json_is_null(part)) status = add_decoder(t, &d, part, where, error);
    if (status == ESP_OK) status = check_growth(&d.replace, "decoder", where, error);
    if (status == ESP_OK) set_outputs(t, &d);
    normalizer_free(&d.replace);
    return status;
}

static esp_status check_model(const json_t *model, const char *where, esp_error *error) {
    if (!json_is_object(model)) return error_fail(error, hint_damaged, "%s: has no \"model\"", where);
    const json_t *type = json_object_get(model, "type");
    if (type ? strcmp(type_of(model), "BPE") != 0 : !json_object_get(model, "merges"))
        return error_fail(error, hint_unsupported, "%s: model type %s is not supported", where,
                          type_of(model));
    static const char *const must_be_empty[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *value = json_object_get(model, must_be_empty[i]);
        bool empty = !value || json_is_null(value) || (json_is_string(value) && !json_string_length(value)) ||
                     (json_is_number(value) && json_number_value(value) <= 0);
        if (!empty)
            return error_fail(error, hint_unsupported, "%s: model.%s is not supported", where,
                              must_be_empty[i]);
    }
    if (!json_is_object(json_object_get(model, "vocab")) || !json_is_array(json_object_get(model, "merges")))
        return error_fail(error, hint_damaged, "%s: model.vocab must be an object, model.merges a list",
                          where);
    return ESP_OK;
}

/* The number of ids: the largest + 1. Absurd ids are refused before memory is allocated for them. */
static esp_status count_ids(const json_t *vocab, const json_t *added, const char *where, int32_t *size,
                            esp_error *error) {
    json_int_t largest = -1,
               limit = 4 * (json_int_t)(json_object_size(vocab) + json_array_size(added)) + 65536;
    const char *key;
    json_t *value;
    size_t i;
    json_object_foreach((json_t *)vocab, key, value) {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || id > limit)
            return error_fail(error, hint_damaged, "%s: model.vocab: bad id of \"%s\"", where, key);
        if (id > largest) largest = id;
    }
    json_array_foreach(added, i, value) {
        const json_t *number = json_object_get(value, "id");
        json_int_t id = json_is_integer(number) ? json_integer_value(number) : -1;
        const char *content = json_string_value(json_object_get(value, "content"));
        if (id < 0 || id > limit || !content || !*content)
            return error_fail(error, hint_damaged, "%s: added_tokens[%zu] needs an id and a content", where,
                              i);
        if (id > largest) largest = id;
    }
    if (largest < 0) return error_fail(error, hint_damaged, "%s: the vocabulary is empty", where);
    *size = (int32_t)largest + 1;
    return ESP_OK;
}

static esp_status add_added(tokenizer *t, const json_t *list, const json_t *vocab, const char *where,
                            esp_error *error) {
    size_t i;
    json_t *token;
    json_array_foreach(list, i, token) {
        const json_t *content = json_object_get(token, "content"), *known;
        added_token a = {.content = mem_strdup(json_string_value(content)),
                         .length = json_string_length(content),
                         .id = (int32_t)json_integer_value(json_object_get(token, "id")),
                         .special = flag(token, "special", false),
                         .strip_left = flag(token, "lstrip", false),
                         .strip_right = flag(token, "rstrip", false),
                         .single_word = flag(token, "single_word", false)};
        MEM_LIST_PUSH(&t->added, a);
        known = json_object_get(vocab, a.content);
        if (known && json_integer_value(known) != a.id)
            return error_fail(error, hint_damaged, "%s: added token \"%s\" has id %d, but %d in model.vocab",
                              where, a.content, a.id, (int)json_integer_value(known));
        if (strlen(a.content) != a.length)
            return error_fail(error, hint_damaged, "%s: added_tokens[%zu] contains a zero byte", where, i);
        if (vocabulary_add(&t->words, a.id, a.content, a.length, a.special ? PIECE_SPECIAL : PIECE_ADDED,
                           known != NULL, error) != ESP_OK)
            return error_prefix(error, "%s: added_tokens[%zu]", where, i);
    }
    return ESP_OK;
}

static esp_status add_pieces(tokenizer *t, const json_t *vocab, const char *where, esp_error *error) {
    const char *key;
    json_t *value;
    text_buffer raw = {0};
    esp_status status = ESP_OK;
    json_object_foreach((json_t *)vocab, key, value) {
        int32_t id = (int32_t)json_integer_value(value);
        size_t length = strlen(key);
        if (t->words.kinds[id] != PIECE_ABSENT && t->words.pieces[id].length == length &&
            memcmp(t->words.pieces[id].at, key, length) == 0)
            continue; /* an added token */
        text_clear(&raw);
        bool written = t->words.byte_level && byte_alphabet_read(key, length, &raw);
        status = vocabulary_add(&t->words, id, written ? raw.at : key, written ? raw.length : length,
                                PIECE_MODEL, written || !t->words.byte_level, error);
        if (status != ESP_OK) {
            error_prefix(error, "%s: model.vocab", where);
            break;
        }
    }
    text_free(&raw);
    return status;
}

/* One merge: "left right", or ["left", "right"]. */
static esp_status add_merge(tokenizer *t, int32_t rank, const json_t *merge, text_buffer raw[2],
                            esp_error *error) {
    const char *part[2] = {json_string_value(json_array_get(merge, 0)),
                           json_string_value(json_array_get(merge, 1))};
    size_t length[2] = {json_string_length(json_array_get(merge, 0)),
                        json_string_length(json_array_get(merge, 1))};
    bool whole = json_array_size(merge) == 2;
    if (json_is_string(merge)) {
        const char *text = part[0] = json_string_value(merge), *space = strchr(text, ' ');
        whole = space && !strchr(space + 1, ' ');
        part[1] = space ? space + 1 : "";
        length[0] = space ? (size_t)(space - text) : 0;
        length[1] = strlen(part[1]);
    }
    if (!whole || !part[0] || !part[1] || !length[0] || !length[1])
        return error_fail(error, hint_damaged, "merge %d is not a pair of pieces", rank);
    for (int i = 0; i < 2 && t->words.byte_level; i++) {
        text_clear(&raw[i]);
        if (!byte_alphabet_read(part[i], length[i], &raw[i]))
            return error_fail(error, hint_damaged, "merge %d has a character outside the byte alphabet",
                              rank);
        part[i] = raw[i].at;
        length[i] = raw[i].length;
    }
    return vocabulary_add_merge(&t->words, rank, part[0], length[0], part[1], length[1], error);
}

static esp_status add_merges(tokenizer *t, const json_t *merges, const char *where, esp_error *error) {
    text_buffer raw[2] = {{0}};
    esp_status status = ESP_OK;
    size_t i;
    json_t *merge;
    json_array_foreach(merges, i, merge) {
        status = add_merge(t, (int32_t)i, merge, raw, error);
        if (status != ESP_OK) {
            error_prefix(error, "%s: model.merges", where);
            break;
        }
    }
    text_free(&raw[0]);
    text_free(&raw[1]);
    return status;
}

static esp_status read_model(tokenizer *t, const json_t *file, const char *where, esp_error *error) {
    const json_t *model = json_object_get(file, "model"), *added = json_object_get(file, "added_tokens");
    ESP_TRY(check_model(model, where, error));
    const json_t *vocab = json_object_get(model, "vocab"), *merges = json_object_get(model, "merges");
    int32_t size = 0;
    ESP_TRY(count_ids(vocab, added, where, &size, error));
    bool byte_level = t->words.byte_level;
    vocabulary *v = &t->words;
    vocabulary_init(v, size, (int64_t)json_array_size(merges));
    v->byte_level = byte_level;
    v->byte_fallback = !byte_level && flag(model, "byte_fallback", false);
    v->fuse_unknown = flag(model, "fuse_unk", false);
    v->whole_words = flag(model, "ignore_merges", false);
    ESP_TRY(add_added(t, added, vocab, where, error));
    ESP_TRY(add_pieces(t, vocab, where, error));
    ESP_TRY(add_merges(t, merges, where, error));
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)b);
        v->byte_piece[b] = byte_level ? vocabulary_find(v, &(char){(char)b}, 1) : vocabulary_find(v, name, 6);
    }
    const char *unknown = json_string_value(json_object_get(model, "unk_token"));
    if (unknown && (v->unknown = (int32_t)json_integer_value(json_object_get(vocab, unknown))) == 0 &&
        !json_object_get(vocab, unknown))
        return error_fail(error, hint_damaged, "%s: model.unk_token \"%s\" is not in the vocabulary", where,
                          unknown);
    return ESP_OK;
}

/* Of the post-processor only the beginning matters: whether it adds a control token, and which. */
static esp_status read_post_processor(tokenizer *t, const json_t *p, const char *where, esp_error *error) {
    if (!p || json_is_null(p)) return ESP_OK;
    const char *type = type_of(p);
    size_t i;
    json_t *part;
    if (strcmp(type, "ByteLevel") == 0) return ESP_OK;
    if (strcmp(type, "Sequence") == 0) {
        const json_t *parts;
        ESP_TRY(parts_of(p, "processors", where, &parts, error));
        json_array_foreach(parts, i, part) ESP_TRY(read_post_processor(t, part, where, error));
        return ESP_OK;
    }
    if (strcmp(type, "TemplateProcessing") != 0)
        return error_fail(error, hint_unsupported, "%s: post-processor %s is not supported", where, type);
    const json_t *first = json_object_get(json_array_get(json_object_get(p, "single"), 0), "SpecialToken");
    const char *name = json_string_value(json_object_get(first, "id"));
    if (!name) return ESP_OK;
    const json_t *ids = json_object_get(json_object_get(json_object_get(p, "special_tokens"), name), "ids");
    json_int_t id = json_is_integer(json_array_get(ids, 0)) ? json_integer_value(json_array_get(ids, 0)) : -1;
    if (id < 0 || id >= t->words.size)
        return error_fail(error, hint_damaged, "%s: post_processor: \"%s\" has no id in the vocabulary",
                          where, name);
    t->bos = (int32_t)id;
    t->adds_bos = true;
    return ESP_OK;
}

esp_status tokenizer_fill_from_json(tokenizer *t, const json_t *file, const char *where, esp_error *error) {
    if (!json_is_object(file)) return error_fail(error, hint_damaged, "%s: is not a JSON object", where);
    const json_t *normal = json_object_get(file, "normalizer"), *cut = json_object_get(file, "pre_tokenizer");
    t->cutter = pretokenizer_new();
    ESP_TRY(check_model(json_object_get(file, "model"), where, error));
    if (normal && !json_is_null(normal)) ESP_TRY(add_normalizer(t, normal, where, error));
    ESP_TRY(check_growth(&t->normal, "normalizer", where, error));
    if (cut && !json_is_null(cut)) ESP_TRY(add_pre_tokenizer(t, cut, where, error));
    ESP_TRY(read_model(t, file, where, error));
    ESP_TRY(read_decoder(t, json_object_get(file, "decoder"), where, error));
    return read_post_processor(t, json_object_get(file, "post_processor"), where, error);
}
