/* espalier tokenize: converts text to token ids and back. */
#include "app/output.h"
#include "app/loaded_model.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "model/adapter_file.h"

#include <string.h>

typedef struct {
    char *model, *text;
    bool decode, special, plain;
} tokenize_flags;

static const option tokenize_options[] = {
    {.flag = "--model",
     .type = OPTION_PATH,
     .marks = OPTION_REQUIRED,
     .offset = offsetof(tokenize_flags, model),
     .help = "folder in Hugging Face layout, a tokenizer.json, or a GGUF file"},
    {.flag = "--decode",
     .type = OPTION_BOOL,
     .offset = offsetof(tokenize_flags, decode),
     .help = "convert lines {\"ids\"} to lines {\"text\"}"},
    {.flag = "--special",
     .type = OPTION_BOOL,
     .offset = offsetof(tokenize_flags, special),
     .help = "control tokens written in a text, such as <|im_end|>, become their ids; --decode shows them"},
    {.flag = "--plain",
     .type = OPTION_BOOL,
     .offset = offsetof(tokenize_flags, plain),
     .help = "the input is one text, not JSON lines"},
    {.flag = "--text",
     .type = OPTION_STRING,
     .offset = offsetof(tokenize_flags, text),
     .help = "the text itself, instead of a file"},
};

static esp_status print_ids(const tokenizer *t, const tokenize_flags *flags, const char *text, size_t length,
                            esp_error *error) {
    token_list ids = {0};
    esp_status status = tokenizer_encode(t, text, length, flags->special, &ids, error);
    if (status == ESP_OK)
        status = output_json(json_pack("{so}", "ids", json_from_ids(ids.at, ids.count)), 9, error);
    MEM_LIST_FREE(&ids);
    return status;
}

static esp_status print_text(const tokenizer *t, const tokenize_flags *flags, const token_list *ids,
                             esp_error *error) {
    text_buffer text = {0};
    esp_status status = tokenizer_decode(t, ids->at, ids->count, flags->special, &text, error);
    if (status == ESP_OK && flags->plain) {
        text_append(&text, "\n", 1);
        status = output_text(text.at, text.length, error);
    } else if (status == ESP_OK)
        status = output_json(json_pack("{so}", "text", json_from_text(text.at, text.length)), 9, error);
    text_free(&text);
    return status;
}

static esp_status tokenize_row(const tokenizer *t, const tokenize_flags *flags, const json_t *row,
                               const char *where, esp_error *error) {
    if (flags->decode) {
        token_list ids = {0};
        esp_status status = json_need_ids(row, "ids", where, tokenizer_size(t), &ids, error);
        if (status == ESP_OK) status = print_text(t, flags, &ids, error);
        MEM_LIST_FREE(&ids);
        return status;
    }
    const json_t *text = json_object_get(row, "text");
    if (!json_is_string(text))
        return error_fail(error, "each line is {\"text\": \"...\"}; with --plain the input is one text",
                          "%s: \"text\" (a string) is missing", where);
    return print_ids(t, flags, json_string_value(text), json_string_length(text), error);
}

static esp_status tokenize_lines(const tokenizer *t, const tokenize_flags *flags, const char *path,
                                 esp_error *error) {
    jsonl_reader *reader;
    ESP_TRY(jsonl_open(&reader, path, error));
    esp_status status = ESP_OK;
    for (json_t *row; status == ESP_OK;) {
        status = jsonl_next(reader, &row, error);
        if (status != ESP_OK || !row) break;
        status = tokenize_row(t, flags, row, jsonl_where(reader), error);
    }
    jsonl_close(reader);
    return status;
}

static esp_status tokenize_plain(const tokenizer *t, const tokenize_flags *flags, const char *path,
                                 esp_error *error) {
    char *text;
    size_t length;
    ESP_TRY(input_read(path, &text, &length, error));
    esp_status status = print_ids(t, flags, text, length, error);
    mem_free(text);
    return status;
}

static esp_status tokenize_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const tokenize_flags *flags = own;
    bool given = flags->text[0] != '\0';
    const char *path = arguments->positional_count ? arguments->positionals[0] : "-";
    if (given && (flags->decode || arguments->positional_count))
        return error_set(error, ESP_USAGE, "use one of them",
                         "espalier tokenize: --text cannot be used with %s",
                         flags->decode ? "--decode" : path);
    tokenizer *t;
    ESP_TRY(adapter_tokenizer_open(&t, flags->model, error));
    esp_status status = given ? print_ids(t, flags, flags->text, strlen(flags->text), error)
                        : flags->plain && !flags->decode ? tokenize_plain(t, flags, path, error)
                                                         : tokenize_lines(t, flags, path, error);
    tokenizer_close(t);
    return status;
}

const app_verb verb_tokenize = {
    .cli = {.name = "tokenize",
            .summary = "convert text to token ids, and back",
            .positionals = "[FILE.jsonl|-]",
            .most = 1,
            .options = {tokenize_options, sizeof tokenize_options / sizeof *tokenize_options},
            .about = "Lines {\"text\"} become lines {\"ids\"}; with --decode, the reverse. No token is "
                     "added. With --plain\n"
                     "the input is one text instead of JSON lines (with --decode, the output is)."},
    .own_size = sizeof(tokenize_flags),
    .run = tokenize_run,
};
