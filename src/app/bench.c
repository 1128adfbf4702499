/* espalier bench: own speeds as one JSON document, beside the machine's own limit measured in the same run.
 */
#include "app/bench_measure.h"
#include "base/clock.h"
#include "app/output.h"
#include "app/policy.h"
#include "app/progress.h"
#include "app/verbs.h"

#include <sys/resource.h>

typedef struct {
    policy_flags policy;
    int64_t repeats, problems;
    bool train, search;
} bench_flags;

/* As POLICY_FLAGS, but the model may be left out. */
static const option bench_options[] = {
    {.flag = "--model",
     .type = OPTION_PATH,
     .offset = offsetof(bench_flags, policy.model),
     .help = "folder or GGUF file; without it a made-up model in the shape of SmolLM2-135M (and no search)"},
    POLICY_FLAGS_COMPUTE(bench_flags, policy),
    {.flag = "--repeats",
     .type = OPTION_INT,
     .initial = "3",
     .low = 1,
     .high = 1000,
     .offset = offsetof(bench_flags, repeats),
     .help = "repeats of each measurement; the fastest counts"},
    {.flag = "--problems",
     .type = OPTION_INT,
     .initial = "16",
     .low = 1,
     .high = 4096,
     .offset = offsetof(bench_flags, problems),
     .help = "trees side by side in the search"},
    {.flag = "--training",
     .type = OPTION_BOOL,
     .initial = "true",
     .offset = offsetof(bench_flags, train),
     .help = "measure the DPO and SFT steps too"},
    {.flag = "--search",
     .type = OPTION_BOOL,
     .initial = "true",
     .offset = offsetof(bench_flags, search),
     .help = "measure the search too, where there is a model"},
};

typedef struct {
    const bench_flags *flags;
    compute *compute;
    model *model;
    tokenizer *tokenizer;
    json_t *result;
    progress *bar;
} bench;

/* ---- the model ---- */

/* SmolLM2-135M (HuggingFaceTB/SmolLM2-135M, config.json). */
static model_config smollm2_shape(void) {
    return (model_config){.architecture = "LlamaForCausalLM",
                          .vocab = 49152,
                          .width = 576,
                          .feed_forward = 1536,
                          .context = 8192,
                          .layers = 30,
                          .heads = 9,
                          .kv_heads = 3,
                          .head_width = 64,
                          .norm_eps = 1e-5,
                          .rope = {.kind = ROPE_PLAIN, .theta = 100000, .factor = 1},
                          .tied = true,
                          .bos = 1,
                          .eos = 2};
}

static esp_status open_model(bench *b, bool trainable, esp_error *error) {
    const policy_flags *flags = &b->flags->policy;
    model_options options = {.compute = b->compute, .trainable = trainable, .context = flags->context};
    if (flags->model[0]) return model_open(&b->model, flags->model, &options, error);
    model_config shape = smollm2_shape();
    model_memory need = model_memory_plan(&shape, b->compute->act, trainable, 0, 0);
    ESP_TRY(memory_check(need.weights + need.masters + need.optimizer, "the bench's made-up model", error));
    return model_create(&b->model, &shape, &options, 1, error);
}

/* ---- measuring ---- */

static void put(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, json_real(value));
}

static esp_status measure_sampling(bench *b, esp_error *error) {
    static const int64_t widths[] = {1, 8, 32, 64};
    int repeats = (int)b->flags->repeats;
    int64_t context = model_context(b->model), prompt = context < 512 ? context : 512;
    double rate;
    ESP_TRY(bench_prefill(b->model, prompt, repeats, &rate, error));
    json_object_set_new(b->result, "prefill",
                        json_pack("{sI sf}", "tokens", (json_int_t)prompt, "tokens_per_second", rate));
    json_t *decode = json_array();
    json_object_set_new(b->result, "decode", decode);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        progress_status(b->bar, "decode, %d side by side", (int)widths[i]);
        ESP_TRY(bench_decode(b->model, widths[i], 128, 32, repeats, &rate, error));
        json_array_append_new(decode, json_pack("{sI sI sf}", "sequences", (json_int_t)widths[i], "prompt",
                                                (json_int_t)128, "tokens_per_second", rate));
    }
    progress_status(b->bar, "judge");
    ESP_TRY(bench_judge(b->model, 256, 24, 24, repeats, &rate, error));
    json_object_set_new(b->result, "judge",
                        json_pack("{sI sI sI sf sf}", "prefix", (json_int_t)256, "step", (json_int_t)24,
                                  "suffix", (json_int_t)24, "judgements_per_second", rate,
                                  "tokens_per_second", 48 * rate));
    return ESP_OK;
}

static json_t *step_json(const bench_step *s) {
    return json_pack("{sI sI sI sf sf}", "rows", (json_int_t)s->rows, "tokens", (json_int_t)s->tokens,
                     "tokens_computed", (json_int_t)s->tokens_computed, "seconds", s->seconds,
                     "tokens_per_second", (double)s->tokens_computed / s->seconds);
}

static esp_status measure_training(bench *b, esp_error *error) {
    trainer *t;
    trainer_settings settings = trainer_defaults();
    settings.microbatch_tokens = 4096; /* as learn.tokens_per_microbatch has it */
    bench_step step;
    int repeats = (int)b->flags->repeats;
    model_free(b->model);
    b->model = NULL;
    ESP_TRY(open_model(b, true, error));
    ESP_TRY(trainer_new(&t, b->model, &settings, error));
    progress_status(b->bar, "DPO step");
    esp_status status = bench_dpo(t, repeats, &step, error);
    if (status == ESP_OK) json_object_set_new(b->result, "dpo_step", step_json(&step));
    progress_step(b->bar, 1);
    progress_status(b->bar, "SFT step");
    if (status == ESP_OK) status = bench_sft(t, repeats, &step, error);
    if (status == ESP_OK) json_object_set_new(b->result, "sft_step", step_json(&step));
    trainer_free(t);
    return status;
}

static double peak_gigabytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024 / 1e9;
}

/* How near prefill (one token read) and the widest decode (all read) come to the products alone. */
static void compare_with_limit(json_t *result) {
    const json_t *limit = json_object_get(result, "gemm_limit");
    double layers = json_number_value(json_object_get(limit, "tokens_per_second")),
           with_head = json_number_value(json_object_get(limit, "tokens_per_second_with_head"));
    json_t *prefill = json_object_get(result, "prefill"), *decode = json_object_get(result, "decode");
    json_t *widest = json_array_get(decode, json_array_size(decode) - 1);
    put(prefill, "share_of_limit", json_number_value(json_object_get(prefill, "tokens_per_second")) / layers);
    put(widest, "share_of_limit",
        json_number_value(json_object_get(widest, "tokens_per_second")) / with_head);
}

static esp_status measure_all(bench *b, esp_error *error) {
    const bench_flags *flags = b->flags;
    json_t *limit, *search;
    double began = clock_seconds();
    ESP_TRY(open_model(b, false, error));
    put(b->result, "load_seconds", clock_seconds() - began);
    json_object_set_new(b->result, "compute", json_string(compute_describe(b->compute)));
    progress_step(b->bar, 1);
    progress_status(b->bar, "the machine's limit");
    ESP_TRY(bench_gemm_limit(model_configuration(b->model), b->compute->act, b->compute->threads, 512,
                             (int)flags->repeats, &limit, error));
    json_object_set_new(b->result, "gemm_limit", limit);
    progress_step(b->bar, 1);
    ESP_TRY(measure_sampling(b, error));
    compare_with_limit(b->result);
    put(b->result, "peak_gigabytes_sampling", peak_gigabytes());
    progress_step(b->bar, 1);
    if (flags->search && b->tokenizer) {
        progress_status(b->bar, "search");
        ESP_TRY(bench_search(b->model, b->tokenizer, flags->problems, &search, error));
        json_object_set_new(b->result, "search", search);
    } else
        json_object_set_new(b->result, "search", json_null());
    progress_step(b->bar, 1);
    if (flags->train) ESP_TRY(measure_training(b, error));
    put(b->result, "peak_gigabytes", peak_gigabytes());
    return ESP_OK;
}

static esp_status bench_run(const cli_arguments *arguments, void *own, esp_error *error) {
    bench b = {.flags = own, .result = json_object()};
    const policy_flags *flags = &b.flags->policy;
    const char *name = flags->model[0] ? flags->model : "made up, in the shape of SmolLM2-135M";
    (void)arguments; /* the document is JSON with and without --json */
    json_object_set_new(b.result, "version", json_string(esp_version()));
    json_object_set_new(b.result, "model", json_string(name));
    esp_status status = compute_new(&b.compute, flags->compute ? "ref" : "cpu",
                                    flags->dtype ? DTYPE_F32 : DTYPE_BF16, (int)flags->threads, error);
    if (status == ESP_OK && flags->model[0] && b.flags->search)
        status = tokenizer_open(&b.tokenizer, flags->model, error);
    if (status == ESP_OK) {
        b.bar = progress_begin("bench", 5, "parts");
        status = measure_all(&b, error);
        progress_end(b.bar);
    }
    tokenizer_close(b.tokenizer);
    model_free(b.model);
    compute_free(b.compute);
    if (status == ESP_OK) return output_json(b.result, 6, error);
    json_decref(b.result);
    return status;
}

const app_verb verb_bench = {
    .cli = {.name = "bench",
            .summary = "own speeds as JSON, beside the machine's limit",
            .options = {bench_options, sizeof bench_options / sizeof *bench_options},
            .about = "Prefill, decoding, judging, search, DPO and SFT steps, load time, peak memory, and the "
                     "rate of\n"
                     "oneDNN's products at the model's shapes in the same run. One JSON document."},
    .own_size = sizeof(bench_flags),
    .run = bench_run,
};
