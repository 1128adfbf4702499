/* espalier score: log-probs of given texts. Lines are packed into token trees, so that common beginnings are
 * computed once; results are printed in the order of the lines. */
#include "app/output.h"
#include "app/loaded_model.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "learn/pack.h"

#include <math.h>

typedef struct {
    model_flags model;
    int64_t batch_tokens;
    bool special;
} score_flags;

static const option score_options[] = {
    MODEL_FLAGS(score_flags, model),
    {.flag = "--batch-tokens",
     .type = OPTION_INT,
     .initial = "2048",
     .low = 1,
     .high = 1e8,
     .offset = offsetof(score_flags, batch_tokens),
     .help = "tokens per model call; bounds the memory"},
    {.flag = "--special",
     .type = OPTION_BOOL,
     .offset = offsetof(score_flags, special),
     .help = "control tokens written in a text, such as <|im_end|>, become those tokens; otherwise they are "
             "text"},
};

/* Lines that are scored together. */
typedef struct {
    loaded_model loaded;
    const score_flags *flags;
    pack *pack;
    token_list ids;          /* of all lines, one after another */
    MEM_LIST(int64_t) ends;  /* where each line's ids end */
    MEM_LIST(int64_t) lines; /* its line in the file */
    const char *path;
} scorer;

static esp_status not_finite(const scorer *s, int64_t line, esp_error *error) {
    return error_fail(error, "the weights are broken, or need --dtype f32",
                      "%s:%lld: the model's log-probs are not finite", s->path, (long long)line);
}

static esp_status print_line(const scorer *s, int64_t line, const int32_t *ids, const float *logprob,
                             const int32_t *at, int64_t n, esp_error *error) {
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) {
        if (i > 0 && !isfinite(logprob[at[i]])) {
            json_decref(list);
            return not_finite(s, line, error);
        }
        json_array_append_new(list, i == 0 ? json_null() : json_real((double)logprob[at[i]]));
    }
    return output_json(json_pack("{so so}", "ids", json_from_ids(ids, n), "logprobs", list), 9, error);
}

static esp_status score_waiting(scorer *s, esp_error *error) {
    float *logprob = NULL;
    int32_t *at = NULL;
    esp_status status = ESP_OK;
    if (pack_tokens(s->pack) > 0) {
        token_tree tree = pack_tree(s->pack);
        logprob = MEM_ARRAY(float, tree.start[tree.runs]);
        at = MEM_ARRAY(int32_t, s->ids.count);
        status = model_forward(s->loaded.model, &tree, NULL, false, logprob, error);
    }
    int64_t start = 0;
    for (int64_t i = 0; i < s->ends.count && status == ESP_OK; i++) {
        int64_t n = s->ends.at[i] - start;
        const int32_t *ids = s->ids.at + start;
        if (n > 0) pack_locate(s->pack, ids, n, at);
        status = print_line(s, s->lines.at[i], ids, logprob, at, n, error);
        start = s->ends.at[i];
    }
    mem_free(logprob);
    mem_free(at);
    s->ids.count = s->ends.count = s->lines.count = 0;
    pack_clear(s->pack);
    return status;
}

/* The ids of one row into *ids. */
static esp_status read_row(scorer *s, const json_t *row, const char *where, token_list *ids,
                           esp_error *error) {
    int64_t vocab = model_configuration(s->loaded.model)->vocab;
    const json_t *text = json_object_get(row, "text");
    if (json_object_get(row, "ids")) return json_need_ids(row, "ids", where, vocab, ids, error);
    if (!json_is_string(text))
        return error_fail(error, "each line is {\"text\": \"...\"} or {\"ids\": [...]}",
                          "%s: has neither \"text\" (a string) nor \"ids\"", where);
    ESP_TRY(loaded_model_need_tokenizer(&s->loaded, error));
    ESP_TRY(tokenizer_encode(s->loaded.tokenizer, json_string_value(text), json_string_length(text),
                             s->flags->special, ids, error));
    for (int64_t i = 0; i < ids->count; i++)
        if (ids->at[i] >= vocab)
            return error_fail(error, "use the tokenizer that belongs to the model",
                              "%s: the tokenizer gives id %d, the model's vocabulary has %lld", where,
                              (int)ids->at[i], (long long)vocab);
    return ESP_OK;
}

static esp_status add_row(scorer *s, const json_t *row, int64_t line, const char *where, esp_error *error) {
    token_list ids = {0};
    esp_status status = read_row(s, row, where, &ids, error);
    int64_t context = model_context(s->loaded.model);
    if (status == ESP_OK && ids.count > context)
        status = error_fail(error, "shorten the text, or raise --context as far as the model goes",
                            "%s: %lld tokens are more than the context of %lld", where, (long long)ids.count,
                            (long long)context);
    if (status == ESP_OK && s->ends.count > 0 &&
        pack_tokens(s->pack) + pack_cost(s->pack, ids.at, ids.count) > s->flags->batch_tokens)
        status = score_waiting(s, error);
    if (status == ESP_OK) {
        for (int64_t i = 0; i < ids.count; i++) MEM_LIST_PUSH(&s->ids, ids.at[i]);
        if (ids.count > 0) pack_add(s->pack, ids.at, ids.count);
        MEM_LIST_PUSH(&s->ends, s->ids.count);
        MEM_LIST_PUSH(&s->lines, line);
    }
    MEM_LIST_FREE(&ids);
    return status;
}

static esp_status score_file(scorer *s, esp_error *error) {
    jsonl_reader *reader;
    ESP_TRY(jsonl_open(&reader, s->path, error));
    esp_status status = ESP_OK;
    for (json_t *row; status == ESP_OK;) {
        status = jsonl_next(reader, &row, error);
        if (status != ESP_OK || !row) break;
        status = add_row(s, row, jsonl_line(reader), jsonl_where(reader), error);
    }
    if (status == ESP_OK) status = score_waiting(s, error);
    jsonl_close(reader);
    return status;
}

static esp_status score_run(const cli_arguments *arguments, void *own, esp_error *error) {
    scorer s = {.flags = own, .path = arguments->positional_count ? arguments->positionals[0] : "-"};
    ESP_TRY(loaded_model_open(&s.loaded, &s.flags->model, false, error));
    s.pack = pack_new();
    esp_status status = score_file(&s, error);
    pack_free(s.pack);
    MEM_LIST_FREE(&s.ids);
    MEM_LIST_FREE(&s.ends);
    MEM_LIST_FREE(&s.lines);
    loaded_model_close(&s.loaded);
    return status;
}

const app_verb verb_score = {
    .cli =
        {.name = "score",
         .summary = "log-probs of texts or token ids",
         .positionals = "[FILE.jsonl|-]",
         .most = 1,
         .options = {score_options, sizeof score_options / sizeof *score_options},
         .about =
             "Each line {\"text\": ...} or {\"ids\": [...]} becomes a line {\"ids\", \"logprobs\"}: for each "
             "id, its\n"
             "log-prob (natural logarithm) given all ids before it; null for the first. Texts are tokenized\n"
             "without adding beginning-of-sequence or other tokens."},
    .own_size = sizeof(score_flags),
    .run = score_run,
};
