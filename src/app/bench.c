/* espalier bench: the program's speeds as one JSON document, with the machine's limit measured in the same
 * run. Each part runs in a separate process, so that its peak memory can be measured. */
#include "app/bench_measure.h"
#include "app/output.h"
#include "formats/json.h"
#include "app/loaded_model.h"
#include "app/progress.h"
#include "app/verbs.h"
#include "model/adapter_file.h"
#include "model/arch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    model_flags model;
    int64_t repeats, problems;
    double unshared_seconds;
    char *only, *pairs;
    int64_t rank; /* of an adapter; 0: none */
} bench_flags;

#define PART_NAMES "limit, load, prefill, decode, judge, search, unshared, sft, dpo, arith"

/* The same as MODEL_FLAGS, but the model is optional. */
static const option bench_options[] = {
    {.flag = "--model",
     .type = OPTION_PATH,
     .offset = offsetof(bench_flags, model.model),
     .help = "folder or GGUF file; without it a made-up model in the shape of SmolLM2-135M (and no search)"},
    MODEL_FLAGS_COMPUTE(bench_flags, model),
    {.flag = "--repeats",
     .type = OPTION_INT,
     .initial = "3",
     .low = 1,
     .high = 100,
     .offset = offsetof(bench_flags, repeats),
     .help = "laps of each measurement; the best and the median are given"},
    {.flag = "--problems",
     .type = OPTION_INT,
     .initial = "32",
     .low = 1,
     .high = 4096,
     .offset = offsetof(bench_flags, problems),
     .help = "trees searched at the same time"},
    {.flag = "--unshared-seconds",
     .type = OPTION_FLOAT,
     .initial = "60",
     .low = 0,
     .high = 1e6,
     .offset = offsetof(bench_flags, unshared_seconds),
     .help = "seconds to search the same problems without sharing; at least two are searched"},
    {.flag = "--pairs",
     .type = OPTION_PATH,
     .offset = offsetof(bench_flags, pairs),
     .help = "JSONL with the pairs of the DPO step; without it 32 made-up ones in the shape of a search's"},
    {.flag = "--recompute",
     .type = OPTION_BOOL,
     .initial = "false",
     .offset = offsetof(bench_flags, model.recompute),
     .help =
         "SFT and DPO steps recompute a layer's activations in the backward pass instead of keeping them"},
    {.flag = "--rank",
     .type = OPTION_INT,
     .initial = "0",
     .low = 0,
     .high = 4096,
     .offset = offsetof(bench_flags, rank),
     .help =
         "give the model an adapter of this rank on every matrix: SFT and DPO steps train it alone; 0: none"},
    {.flag = "--only",
     .type = OPTION_STRING,
     .offset = offsetof(bench_flags, only),
     .help = "parts to measure, separated by commas: " PART_NAMES},
};

/* ---- The parts ---- */

enum { NEEDS_MODEL = 1, NEEDS_TOKENIZER = 2, NEEDS_LIMIT = 4, NEEDS_MASTERS = 8 };

typedef struct {
    const char *name, *key; /* in --only and in the document */
    bench_measure *measure;
    unsigned needs;
} bench_part;

static const bench_part parts[] = {
    {"limit", "gemm_limit", bench_gemm_limit, 0},
    {"load", "load", bench_load, 0},
    {"prefill", "prefill", bench_prefill, NEEDS_MODEL | NEEDS_LIMIT},
    {"decode", "decode", bench_decode, NEEDS_MODEL | NEEDS_LIMIT},
    {"judge", "judge", bench_judge, NEEDS_MODEL | NEEDS_LIMIT},
    {"search", "search", bench_search, NEEDS_MODEL | NEEDS_TOKENIZER | NEEDS_LIMIT},
    {"unshared", "unshared", bench_unshared, NEEDS_MODEL | NEEDS_TOKENIZER | NEEDS_LIMIT},
    {"sft", "sft_step", bench_sft, NEEDS_MODEL | NEEDS_MASTERS | NEEDS_LIMIT},
    {"dpo", "dpo_step", bench_dpo, NEEDS_MODEL | NEEDS_MASTERS | NEEDS_LIMIT},
    {"arith", "search_arithmetic", bench_arithmetic, 0},
};
enum { PARTS = sizeof parts / sizeof *parts };

/* Whether the list contains the name; an empty list contains all. */
static bool is_wanted(const char *list, const char *name) {
    size_t n = strlen(name);
    if (!list[0]) return true;
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == 0)) return true;
    }
    return false;
}

static esp_status check_names(const char *list, esp_error *error) {
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ",");
        int i = 0;
        while (i < PARTS && (strlen(parts[i].name) != n || strncmp(at, parts[i].name, n) != 0)) i++;
        if (i == PARTS)
            return error_set(error, ESP_USAGE, "the parts are " PART_NAMES,
                             "--only: there is no part \"%.*s\"", (int)n, at);
        at += n;
        at += *at == ',';
    }
    return ESP_OK;
}

/* ---- The model ---- */

/* SmolLM2-135M (HuggingFaceTB/SmolLM2-135M, config.json). */
static model_config smollm2_shape(void) {
    return (model_config){.arch = &arch_llama,
                          .vocab = 49152,
                          .width = 576,
                          .feed_forward = 1536,
                          .context = 8192,
                          .layers = 30,
                          .heads = 9,
                          .kv_heads = 3,
                          .head_width = 64,
                          .norm_eps = 1e-5,
                          .rope = {.kind = ROPE_NONE, .theta = 100000, .factor = 1},
                          .tied = true,
                          .bos = 1,
                          .eos = 2};
}

esp_status bench_open_model(const bench_place *b, bool trainable, model **out, esp_error *error) {
    model_options options = {
        .compute = b->compute, .trainable = trainable, .recompute = b->recompute, .context = b->context};
    const adapter_config adapter = {.rank = b->rank, .alpha = 2 * (double)b->rank, .targets = ADAPT_ALL};
    options.adapter = &adapter;
    if (b->model_path[0]) return model_open(out, b->model_path, &options, error);
    model_memory need = model_memory_plan(&b->config, b->type, &options, 0, 0);
    ESP_TRY(memory_check(need.weights + need.masters + need.optimizer, "the bench's made-up model", error));
    return model_create(out, &b->config, &options, 1, error);
}

/* ---- A part, in a separate process ---- */

static esp_status measure_limit(const bench_place *b, bench_limit *out, esp_error *error) {
    return bench_limit_measure(&b->config, b->type, b->compute->threads, BENCH_LIMIT_ROWS, b->repeats, out,
                               NULL, error);
}

static esp_status prepare(bench_place *b, const bench_flags *flags, const bench_part *part,
                          esp_error *error) {
    b->config = smollm2_shape();
    if (b->model_path[0]) ESP_TRY(model_read_config(&b->config, b->model_path, error));
    ESP_TRY(compute_new(&b->compute, compute_kind(flags->model.compute), b->type, (int)flags->model.threads,
                        error));
    if (part->needs & NEEDS_LIMIT) ESP_TRY(measure_limit(b, &b->limit, error));
    b->clock = compute_clock_new(b->compute);
    bool text = part->needs & NEEDS_TOKENIZER || (part->measure == bench_dpo && b->pairs[0]);
    if (text && b->model_path[0]) ESP_TRY(adapter_tokenizer_open(&b->tokenizer, b->model_path, error));
    if (part->needs & NEEDS_MODEL)
        ESP_TRY(bench_open_model(b, part->needs & NEEDS_MASTERS, &b->model, error));
    return ESP_OK;
}

/* {"result", "compute", "limit", "limit_after"}, or {"code", "message", "hint"}. */
static json_t *measure_part(const bench_flags *flags, const bench_part *part) {
    esp_error error = {0};
    bench_place b = {.repeats = (int)flags->repeats,
                     .problems = flags->problems,
                     .unshared_seconds = flags->unshared_seconds,
                     .pairs = flags->pairs,
                     .model_path = flags->model.model,
                     .context = flags->model.context,
                     .recompute = flags->model.recompute,
                     .rank = flags->rank,
                     .type = flags->model.dtype ? DTYPE_F32 : DTYPE_BF16};
    bench_limit after = {0};
    json_t *result = NULL, *answer;
    esp_status status = prepare(&b, flags, part, &error);
    if (status == ESP_OK) status = part->measure(&b, &result, &error);
    tokenizer_close(b.tokenizer);
    model_free(b.model); /* before the limit's matrices, so that they add nothing to the part's peak */
    if (status == ESP_OK && part->needs & NEEDS_LIMIT) status = measure_limit(&b, &after, &error);
    if (status == ESP_OK) {
        answer = json_pack("{so ss}", "result", result, "compute", compute_describe(b.compute));
        if (part->needs & NEEDS_LIMIT)
            json_object_update_new(answer,
                                   json_pack("{so so}", "limit", bench_limit_json(&b.limit, BENCH_LIMIT_ROWS),
                                             "limit_after", bench_limit_json(&after, BENCH_LIMIT_ROWS)));
    } else {
        json_decref(result);
        answer = json_pack("{si so so}", "code", (int)status, "message",
                           json_from_text(error.message, strlen(error.message)), "hint",
                           json_from_text(error.hint, strlen(error.hint)));
    }
    compute_free(b.compute);
    compute_clock_free(b.clock);
    return answer;
}

/* Starts the part's process; *from is the pipe that its answer is read from. */
static esp_status start_part(const bench_flags *flags, const bench_part *part, pid_t *child, int *from,
                             esp_error *error) {
    int ends[2];
    if (pipe(ends) != 0) return error_fail(error, NULL, "the bench's pipe: %s", strerror(errno));
    *child = fork();
    if (*child < 0) {
        int why = errno;
        close(ends[0]);
        close(ends[1]);
        return error_fail(error, NULL, "a process for the bench's %s: %s", part->name, strerror(why));
    }
    if (*child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it must not outlive its parent */
        close(ends[0]);
        json_t *answer = measure_part(flags, part);
        int failed = json_dumpfd(answer, ends[1], JSON_COMPACT);
        json_decref(answer);
        _exit(failed ? 1 : 0);
    }
    close(ends[1]);
    *from = ends[0];
    return ESP_OK;
}

/* *answer: what measure_part returned, with "peak_gigabytes". */
static esp_status run_part(const bench_flags *flags, const bench_part *part, json_t **answer,
                           esp_error *error) {
    pid_t child = -1;
    int from = -1, state = 0;
    struct rusage used = {0};
    json_error_t why;
    ESP_TRY(start_part(flags, part, &child, &from, error));
    *answer = json_loadfd(from, 0, &why);
    close(from);
    while (wait4(child, &state, 0, &used) < 0 && errno == EINTR) continue;
    esp_status status = ESP_OK;
    if (WIFSIGNALED(state))
        status = error_fail(
            error, "see whether the machine has enough memory (9 is SIGKILL), or leave it out (--only)",
            "the bench's %s was ended by signal %d", part->name, WTERMSIG(state));
    else if (!*answer)
        status = error_fail(error, NULL, "the bench's %s gave no answer: %s", part->name, why.text);
    else if (json_object_get(*answer, "code"))
        status = error_set(error, (esp_status)json_integer_value(json_object_get(*answer, "code")),
                           json_string_value(json_object_get(*answer, "hint")), "%s",
                           json_string_value(json_object_get(*answer, "message")));
    else
        bench_put(*answer, "peak_gigabytes", (double)used.ru_maxrss * 1024 / 1e9);
    if (status != ESP_OK) json_decref(*answer);
    return status;
}

/* ---- The document ---- */

static void keep_best(json_t *best, const json_t *limit) {
    static const bench_limit_kind kinds[] = {BENCH_LAYERS, BENCH_HEAD, BENCH_STEP};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *key = bench_limit_key(kinds[i]);
        double value = json_number_value(json_object_get(limit, key));
        if (value > json_number_value(json_object_get(best, key))) bench_put(best, key, value);
    }
}

/* The limit that a part's figures are compared with, out of `limits`. */
static double limit_for(const json_t *figures, const char *key, const json_t *limits) {
    const json_t *read = json_object_get(figures, "share_read");
    double rate = json_number_value(json_object_get(limits, key));
    if (!read) return rate;
    double layers = json_number_value(json_object_get(limits, bench_limit_key(BENCH_LAYERS)));
    return bench_limit_mixed(layers, rate, json_number_value(read));
}

/* Compares a part's figures (an object, or an array of objects) with the best limit of the run instead of
 * that of its process. */
static void use_best(json_t *figures, const json_t *own, const json_t *best) {
    json_t *row;
    size_t i;
    json_array_foreach(figures, i, row) use_best(row, own, best);
    const char *key = json_string_value(json_object_get(figures, "limit_is"));
    if (!key) return;
    double times = limit_for(figures, key, best) / limit_for(figures, key, own),
           limit = json_number_value(json_object_get(figures, "limit_tokens_per_second")),
           share = json_number_value(json_object_get(figures, "share_of_limit"));
    bench_put(figures, "limit_tokens_per_second", limit * times);
    bench_put(figures, "share_of_limit", share / times);
}

/* The machine's limit is the best that was measured in the run, before and after each part: the laps are the
 * best of several too. */
static void compare_with_limit(json_t *document) {
    json_t *best = json_object();
    const json_t *each = json_object_get(document, "parts");
    keep_best(best, json_object_get(document, "gemm_limit"));
    for (int i = 0; i < PARTS; i++) {
        const json_t *part = json_object_get(each, parts[i].name);
        keep_best(best, json_object_get(part, "limit"));
        keep_best(best, json_object_get(part, "limit_after"));
    }
    for (int i = 0; i < PARTS; i++)
        use_best(json_object_get(document, parts[i].key),
                 json_object_get(json_object_get(each, parts[i].name), "limit"), best);
    json_object_set_new(document, "limit", best);
}

/* Compares the search without sharing with the normal one: how many trees are equal, and how many times
 * longer it takes. If it was stopped early, or sampled other trees, its time is scaled by the tokens sampled.
 */
static void compare_with_unshared(json_t *document) {
    const json_t *search = json_object_get(document, "search");
    json_t *unshared = json_object_get(document, "unshared");
    if (!json_is_object(search) || !json_is_object(unshared)) return;
    const json_t *all = json_object_get(search, "trees"), *own = json_object_get(unshared, "trees");
    int64_t equal = 0;
    for (size_t i = 0; i < json_array_size(own); i++)
        equal += json_equal(json_object_get(json_array_get(all, i), "key"),
                            json_object_get(json_array_get(own, i), "key"));
    double sampled = json_number_value(json_object_get(search, "tokens_sampled")),
           sampled_unshared = json_number_value(json_object_get(unshared, "tokens_sampled")),
           seconds = json_number_value(json_object_get(unshared, "seconds")) * sampled / sampled_unshared;
    json_object_set_new(unshared, "trees_equal", json_integer(equal));
    bench_put(unshared, "search_is_times_as_fast",
              seconds / json_number_value(json_object_get(search, "seconds_median")));
}

static esp_status measure_all(const bench_flags *flags, progress *bar, json_t *document, esp_error *error) {
    json_t *each = json_object();
    double peak = 0;
    json_object_set_new(document, "parts", each);
    for (int i = 0; i < PARTS; i++) {
        const bench_part *part = &parts[i];
        json_t *answer;
        if (!is_wanted(flags->only, part->name)) continue;
        json_object_set_new(document, part->key, json_null());
        if (part->needs & NEEDS_TOKENIZER && !flags->model.model[0]) continue;
        progress_status(bar, "%s", part->name);
        ESP_TRY(run_part(flags, part, &answer, error));
        json_object_set(document, part->key, json_object_get(answer, "result"));
        json_object_set(document, "compute", json_object_get(answer, "compute"));
        json_object_del(answer, "result");
        json_object_del(answer, "compute");
        double own = json_number_value(json_object_get(answer, "peak_gigabytes"));
        if (own > peak) peak = own;
        json_object_set_new(each, part->name, answer);
        progress_step(bar, 1);
    }
    bench_put(document, "peak_gigabytes", peak);
    compare_with_limit(document);
    compare_with_unshared(document);
    return ESP_OK;
}

static esp_status bench_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const bench_flags *flags = own;
    const char *name = flags->model.model[0] ? flags->model.model : "made up, in the shape of SmolLM2-135M";
    (void)arguments; /* the document is JSON with and without --json */
    ESP_TRY(check_names(flags->only, error));
    json_t *document =
        json_pack("{ss so}", "version", esp_version(), "model", json_from_text(name, strlen(name)));
    int64_t wanted = 0;
    for (int i = 0; i < PARTS; i++)
        wanted += is_wanted(flags->only, parts[i].name) &&
                  !(parts[i].needs & NEEDS_TOKENIZER && !flags->model.model[0]);
    progress *bar = progress_begin("bench", wanted, "parts");
    esp_status status = measure_all(flags, bar, document, error);
    progress_end(bar);
    if (status == ESP_OK) return output_json(document, 6, error);
    json_decref(document);
    return status;
}

const app_verb verb_bench = {
    .cli = {.name = "bench",
            .summary = "the program's speeds as JSON, compared with the machine's limit",
            .options = {bench_options, sizeof bench_options / sizeof *bench_options},
            .about = "Loading, prefill, decoding, judging, search, the same search without sharing, SFT and "
                     "DPO steps,\n"
                     "the search's arithmetic without a model, the peak memory of each part, and the rate of "
                     "oneDNN's\n"
                     "products at the model's shapes in the same run (docs/speed.md). One JSON document."},
    .own_size = sizeof(bench_flags),
    .run = bench_run,
};
