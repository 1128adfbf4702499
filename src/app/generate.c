/* espalier generate: text from a prompt. All samples are drawn side by side after one computed prompt. */
#include "app/output.h"
#include "formats/json.h"
#include "app/loaded_model.h"
#include "app/verbs.h"
#include "engine/samples.h"
#include "prompt/prompt.h"

#include <string.h>

typedef struct {
    model_flags model;
    char *prompt, *prompt_file;
    int64_t max_tokens, samples, seed;
    double temperature;
    bool greedy, chat, special, bos;
    char *chat_template, *chat_options, *system;
} generate_flags;

static const option generate_options[] = {
    MODEL_FLAGS(generate_flags, model),
    {.flag = "--prompt",
     .type = OPTION_STRING,
     .offset = offsetof(generate_flags, prompt),
     .help = "the text to continue"},
    {.flag = "--prompt-file",
     .type = OPTION_PATH,
     .offset = offsetof(generate_flags, prompt_file),
     .help = "the same from a file; without both it is standard input"},
    {.flag = "--max-tokens",
     .type = OPTION_INT,
     .initial = "128",
     .low = 1,
     .high = 1e7,
     .offset = offsetof(generate_flags, max_tokens),
     .help = "tokens of a sample at most"},
    {.flag = "--temperature",
     .type = OPTION_FLOAT,
     .initial = "0.7",
     .low = 0,
     .high = 100,
     .offset = offsetof(generate_flags, temperature),
     .help = "of sampling; 0 is greedy"},
    {.flag = "--greedy",
     .type = OPTION_BOOL,
     .offset = offsetof(generate_flags, greedy),
     .help = "the most probable token each time"},
    {.flag = "-n",
     .type = OPTION_INT,
     .initial = "1",
     .low = 1,
     .high = 4096,
     .offset = offsetof(generate_flags, samples),
     .help = "samples"},
    {.flag = "--seed",
     .type = OPTION_INT,
     .initial = "1",
     .low = 0,
     .high = 9e18,
     .offset = offsetof(generate_flags, seed),
     .help = "of the random numbers"},
    {.flag = "--chat",
     .type = OPTION_BOOL,
     .offset = offsetof(generate_flags, chat),
     .help = "the prompt is a user's turn, put into the model's chat template"},
    {.flag = "--chat-template",
     .type = OPTION_PATH,
     .initial = "auto",
     .offset = offsetof(generate_flags, chat_template),
     .help = "which template --chat uses; auto: the model's own; plain, chatml, llama2, mistral; or a file"},
    {.flag = "--chat-option",
     .type = OPTION_STRING,
     .marks = OPTION_REPEATED,
     .offset = offsetof(generate_flags, chat_options),
     .help = "what the template is told: enable_thinking=false; may be given again"},
    {.flag = "--system",
     .type = OPTION_STRING,
     .initial = "{model}",
     .offset = offsetof(generate_flags, system),
     .help =
         "system turn of --chat: {model} is the one that the model's template has by itself; empty: none"},
    {.flag = "--bos",
     .type = OPTION_BOOL,
     .initial = "true",
     .offset = offsetof(generate_flags, bos),
     .help = "a plain prompt begins with the beginning-of-sequence token, where the model expects one"},
    {.flag = "--special",
     .type = OPTION_BOOL,
     .offset = offsetof(generate_flags, special),
     .help = "control tokens in the prompt, as <|im_end|>, are those tokens; and they are shown"},
};

typedef struct {
    const generate_flags *flags;
    loaded_model loaded;
    token_list prompt;
    chat *chat;
    MEM_LIST(int32_t) ends;
    int64_t room; /* tokens that may follow the prompt */
    engine *engine;
    engine_sample *samples;
} generation;

/* ---- the prompt ---- */

static esp_status prompt_text_of(const generate_flags *flags, char **text, size_t *length, esp_error *error) {
    bool from_flag = flags->prompt[0] != '\0', from_file = flags->prompt_file[0] != '\0';
    if (from_flag && from_file)
        return error_set(error, ESP_USAGE, "give one of them",
                         "espalier generate: both --prompt and --prompt-file are given");
    if (from_flag) {
        *text = mem_strdup(flags->prompt);
        *length = strlen(*text);
        return ESP_OK;
    }
    return input_read(from_file ? flags->prompt_file : "-", text, length, error);
}

static esp_status choose_chat(generation *g, esp_error *error) {
    const generate_flags *flags = g->flags;
    chat_choice choice = {.name = flags->chat ? flags->chat_template : "plain",
                          .options = flags->chat_options};
    return chat_open(&g->chat, &choice, g->loaded.tokenizer, error);
}

static esp_status encode_prompt(generation *g, esp_error *error) {
    const generate_flags *flags = g->flags;
    const model *m = g->loaded.model;
    char *text;
    size_t length;
    ESP_TRY(choose_chat(g, error));
    ESP_TRY(prompt_text_of(flags, &text, &length, error));
    prompt_form form = {.chat = g->chat,
                        .system = !flags->chat                            ? ""
                                  : strcmp(flags->system, "{model}") == 0 ? NULL
                                                                          : flags->system,
                        .bos = flags->chat || flags->bos,
                        .special = !flags->chat && flags->special};
    esp_status status = prompt_of_text(g->loaded.tokenizer, &form, text, length, &g->prompt, error);
    mem_free(text);
    ESP_TRY(status);
    ESP_TRY(prompt_check(g->prompt.at, g->prompt.count, model_configuration(m)->vocab, model_context(m),
                         &g->room, error));
    if (g->room > flags->max_tokens) g->room = flags->max_tokens;
    int64_t n;
    const int32_t *ends = tokenizer_ends(g->loaded.tokenizer, &n);
    MEM_LIST_PUSH(&g->ends, chat_end_token(g->chat, g->loaded.tokenizer));
    MEM_LIST_APPEND(&g->ends, ends, n);
    return ESP_OK;
}

/* ---- sampling ---- */

static esp_status sample(generation *g, esp_error *error) {
    const generate_flags *flags = g->flags;
    int32_t n = (int32_t)flags->samples;
    engine_settings settings = engine_samples_settings(g->prompt.count, g->room, n);
    ESP_TRY(engine_new(&g->engine, g->loaded.model, &settings, error));
    g->samples = MEM_ARRAY(engine_sample, n);
    for (int32_t i = 0; i < n; i++)
        g->samples[i] = (engine_sample){.key = rng_mix(rng_key((uint64_t)flags->seed), (uint64_t)i),
                                        .temperature = flags->greedy ? 0 : (float)flags->temperature};
    return engine_samples(g->engine, g->prompt.at, g->prompt.count, (engine_ends){g->ends.at, g->ends.count},
                          g->room, g->samples, n, error);
}

/* ---- output ---- */

static esp_status print_sample(const generation *g, const engine_sample *s, int64_t index, bool json,
                               esp_error *error) {
    text_buffer text = {0};
    int64_t shown = s->ids.count - (s->finished && !g->flags->special);
    esp_status status =
        tokenizer_decode_more(g->loaded.tokenizer, s->ids.at, shown, g->flags->special, &text, error);
    if (status == ESP_OK && json) {
        json_t *logprobs = json_array();
        for (int64_t i = 0; i < s->logprobs.count; i++)
            json_array_append_new(logprobs, json_real((double)s->logprobs.at[i]));
        status = output_json(json_pack("{sI so so so sb sI}", "sample", (json_int_t)index, "text",
                                       json_from_text(text.at ? text.at : "", text.length), "ids",
                                       json_from_ids(s->ids.at, s->ids.count), "logprobs", logprobs,
                                       "finished", s->finished, "prompt_tokens", (json_int_t)g->prompt.count),
                             9, error);
    } else if (status == ESP_OK) {
        text_puts(&text, index + 1 < g->flags->samples ? "\n---\n" : "\n");
        status = output_text(text.at, text.length, error);
    }
    text_free(&text);
    return status;
}

static void generation_free(generation *g) {
    for (int64_t i = 0; g->samples && i < g->flags->samples; i++) engine_sample_free(&g->samples[i]);
    mem_free(g->samples);
    MEM_LIST_FREE(&g->prompt);
    MEM_LIST_FREE(&g->ends);
    chat_free(g->chat);
    engine_free(g->engine);
    loaded_model_close(&g->loaded);
}

static esp_status generate_run(const cli_arguments *arguments, void *own, esp_error *error) {
    generation g = {.flags = own};
    ESP_TRY(loaded_model_open(&g.loaded, &g.flags->model, false, error));
    esp_status status = loaded_model_need_tokenizer(&g.loaded, error);
    if (status == ESP_OK) status = encode_prompt(&g, error);
    if (status == ESP_OK) status = sample(&g, error);
    for (int64_t i = 0; i < g.flags->samples && status == ESP_OK; i++)
        status = print_sample(&g, &g.samples[i], i, arguments->json, error);
    generation_free(&g);
    return status;
}

const app_verb verb_generate = {
    .cli =
        {.name = "generate",
         .summary = "text from a prompt",
         .options = {generate_options, sizeof generate_options / sizeof *generate_options},
         .about =
             "Prints what follows the prompt; lines of three dashes separate several samples (-n).\n"
             "With --json one line per sample: {\"sample\", \"text\", \"ids\", \"logprobs\", \"finished\",\n"
             "\"prompt_tokens\"}; log-probs are those of the untempered model."},
    .own_size = sizeof(generate_flags),
    .run = generate_run,
};
