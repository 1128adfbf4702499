/* espalier generate: text from a prompt. All samples grow side by side behind one computed prompt. */
#include "app/output.h"
#include "app/policy.h"
#include "app/verbs.h"
#include "base/random.h"
#include "prompt/prompt.h"

#include <string.h>

typedef struct {
    policy_flags policy;
    char *prompt, *prompt_file;
    int64_t max_tokens, samples, seed;
    double temperature;
    bool greedy, chat, special, bos;
    int chat_template; /* 0 auto, then chat_kind + 1 */
    char *system;
} generate_flags;

static const option generate_options[] = {
    POLICY_FLAGS(generate_flags, policy),
    {.flag = "--prompt",
     .type = OPTION_STRING,
     .offset = offsetof(generate_flags, prompt),
     .help = "the text to go on from"},
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
     .type = OPTION_ENUM,
     .choices = "auto|plain|chatml|llama2|mistral",
     .initial = "auto",
     .offset = offsetof(generate_flags, chat_template),
     .help = "which template --chat uses; auto: recognised from the model's files"},
    {.flag = "--system",
     .type = OPTION_STRING,
     .offset = offsetof(generate_flags, system),
     .help = "system prompt of --chat"},
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

/* One sample as it grows. */
typedef struct {
    token_list ids;
    MEM_LIST(float) logprobs;
    int32_t run;
    rng_key_t key;
    bool finished; /* by end-of-sequence */
    bool growing;
} sample;

typedef struct {
    const generate_flags *flags;
    policy policy;
    token_list prompt;
    chat_kind chat;
    int32_t end; /* -1: none */
    kv_cache *cache;
    sample *samples;
    kv_feed *feeds;
    kv_read *reads;
    int64_t room; /* tokens that may follow the prompt */
} generation;

/* ---- the prompt ---- */

static esp_status prompt_text_of(const generate_flags *flags, char **text, size_t *length, esp_error *error) {
    bool from_flag = flags->prompt[0] != '\0', from_file = flags->prompt_file[0] != '\0';
    if (from_flag && from_file)
        return error_set(error, ESP_USAGE, "give one of them",
                         "espalier generate: --prompt stands beside --prompt-file");
    if (from_flag) {
        *text = mem_strdup(flags->prompt);
        *length = strlen(*text);
        return ESP_OK;
    }
    return input_read(from_file ? flags->prompt_file : "-", text, length, error);
}

static esp_status choose_chat(generation *g, esp_error *error) {
    const generate_flags *flags = g->flags;
    g->chat = CHAT_PLAIN;
    if (!flags->chat) return ESP_OK;
    if (flags->chat_template > 0) {
        g->chat = (chat_kind)(flags->chat_template - 1);
        return ESP_OK;
    }
    return chat_template_detect(tokenizer_chat_template(g->policy.tokenizer), &g->chat, error);
}

static esp_status encode_prompt(generation *g, esp_error *error) {
    const generate_flags *flags = g->flags;
    const model *m = g->policy.model;
    char *text;
    size_t length;
    ESP_TRY(choose_chat(g, error));
    ESP_TRY(prompt_text_of(flags, &text, &length, error));
    prompt_form form = {.chat = g->chat,
                        .system = flags->chat && flags->system[0] ? flags->system : NULL,
                        .bos = flags->chat || flags->bos,
                        .special = !flags->chat && flags->special};
    esp_status status = prompt_of_text(g->policy.tokenizer, &form, text, length, &g->prompt, error);
    mem_free(text);
    ESP_TRY(status);
    ESP_TRY(prompt_check(g->prompt.at, g->prompt.count, model_configuration(m)->vocab, model_context(m),
                         &g->room, error));
    if (g->room > flags->max_tokens) g->room = flags->max_tokens;
    g->end = chat_end_token(g->chat, g->policy.tokenizer);
    return ESP_OK;
}

/* ---- growing ---- */

static kv_read question(const generation *g, const sample *s, int32_t feed, int64_t at) {
    bool greedy = g->flags->greedy || g->flags->temperature == 0;
    return (kv_read){.feed = feed,
                     .at = at,
                     .kind = greedy ? READ_GREEDY : READ_SAMPLE,
                     .temperature = (float)g->flags->temperature,
                     .u = rng_uniform(s->key, (uint64_t)s->ids.count)};
}

static void take(generation *g, sample *s, const kv_read *read) {
    MEM_LIST_PUSH(&s->ids, read->token);
    MEM_LIST_PUSH(&s->logprobs, read->logprob);
    s->finished = read->token == g->end;
    s->growing = !s->finished && s->ids.count < g->room;
}

/* The prompt, computed once; every sample's first token is read behind it. */
static esp_status first_tokens(generation *g, esp_error *error) {
    int64_t n = g->flags->samples;
    int32_t root = kv_run_new(g->cache, -1);
    g->feeds[0] = (kv_feed){.run = root, .tokens = g->prompt.at, .n = g->prompt.count};
    for (int64_t i = 0; i < n; i++) {
        sample *s = &g->samples[i];
        s->key = rng_mix(rng_key((uint64_t)g->flags->seed), (uint64_t)i);
        g->reads[i] = question(g, s, 0, g->prompt.count - 1);
    }
    ESP_TRY(model_extend(g->policy.model, g->cache, g->feeds, 1, g->reads, n, error));
    for (int64_t i = 0; i < n; i++) {
        take(g, &g->samples[i], &g->reads[i]);
        g->samples[i].run = kv_run_new(g->cache, root);
    }
    return ESP_OK;
}

/* One more token for every sample that still grows. *growing: how many did. */
static esp_status next_tokens(generation *g, int64_t *growing, esp_error *error) {
    int64_t n = 0;
    for (int64_t i = 0; i < g->flags->samples; i++) {
        sample *s = &g->samples[i];
        if (!s->growing) continue;
        g->feeds[n] = (kv_feed){.run = s->run, .tokens = &s->ids.at[s->ids.count - 1], .n = 1};
        g->reads[n] = question(g, s, (int32_t)n, 0);
        n++;
    }
    *growing = n;
    if (n == 0) return ESP_OK;
    ESP_TRY(model_extend(g->policy.model, g->cache, g->feeds, n, g->reads, n, error));
    for (int64_t i = 0, k = 0; i < g->flags->samples; i++)
        if (g->samples[i].growing) take(g, &g->samples[i], &g->reads[k++]);
    return ESP_OK;
}

static esp_status grow(generation *g, esp_error *error) {
    int64_t n = g->flags->samples;
    int64_t pages = (g->prompt.count + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS +
                    n * ((g->room + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS + 1);
    g->samples = MEM_ARRAY(sample, n);
    g->feeds = MEM_ARRAY(kv_feed, n);
    g->reads = MEM_ARRAY(kv_read, n);
    ESP_TRY(kv_new(&g->cache, g->policy.model, pages * KV_PAGE_TOKENS, error));
    ESP_TRY(first_tokens(g, error));
    int64_t growing;
    do ESP_TRY(next_tokens(g, &growing, error));
    while (growing > 0);
    return ESP_OK;
}

/* ---- output ---- */

static esp_status print_sample(const generation *g, const sample *s, int64_t index, bool json,
                               esp_error *error) {
    text_buffer text = {0};
    int64_t shown = s->ids.count - (s->finished && !g->flags->special);
    esp_status status =
        tokenizer_decode_more(g->policy.tokenizer, s->ids.at, shown, g->flags->special, &text, error);
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
    for (int64_t i = 0; g->samples && i < g->flags->samples; i++) {
        MEM_LIST_FREE(&g->samples[i].ids);
        MEM_LIST_FREE(&g->samples[i].logprobs);
    }
    mem_free(g->samples);
    mem_free(g->feeds);
    mem_free(g->reads);
    MEM_LIST_FREE(&g->prompt);
    kv_free(g->cache);
    policy_close(&g->policy);
}

static esp_status generate_run(const cli_arguments *arguments, void *own, esp_error *error) {
    generation g = {.flags = own};
    ESP_TRY(policy_open(&g.policy, &g.flags->policy, false, error));
    esp_status status = policy_need_tokenizer(&g.policy, error);
    if (status == ESP_OK) status = encode_prompt(&g, error);
    if (status == ESP_OK) status = grow(&g, error);
    for (int64_t i = 0; i < g.flags->samples && status == ESP_OK; i++)
        status = print_sample(&g, &g.samples[i], i, arguments->json, error);
    generation_free(&g);
    return status;
}

const app_verb verb_generate = {
    .cli = {.name = "generate",
            .summary = "text from a prompt",
            .options = {generate_options, sizeof generate_options / sizeof *generate_options},
            .about =
                "Prints what follows the prompt; several samples (-n) are parted by lines of three dashes.\n"
                "With --json a line a sample: {\"sample\", \"text\", \"ids\", \"logprobs\", \"finished\",\n"
                "\"prompt_tokens\"}; log-probs are those of the untempered model."},
    .own_size = sizeof(generate_flags),
    .run = generate_run,
};
