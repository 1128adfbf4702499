/* Whole searches of `espalier bench`: all trees at the same time, and one after another with nothing shared.
 * Both search the same problems with the same random numbers. */
#include "app/bench_measure.h"
#include "base/clock.h"
#include "policy/lm.h"
#include "recipe/convert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Problems ---- */

static const char *format_text(arena *memory, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *format_text(arena *memory, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return arena_strdup(memory, text);
}

/* Four kinds of grade-school problem, made up for the bench; each problem has different numbers. */
static problem made_up(arena *m, int64_t index) {
    int a = 14 + (int)(index / 4), b = 3 + (int)(index / 4 % 5), c = a * b, gold;
    problem p = {.index = index, .line = index + 1, .id = "bench"};
    switch (index % 4) {
    case 0:
        gold = a + 6 * b - 8;
        p.question =
            format_text(m,
                        "Mia has %d stickers and buys %d packs of 6 stickers. She gives 8 to her brother. "
                        "How many are left?",
                        a, b);
        p.rationale = format_text(
            m,
            "The packs hold %d * 6 = %d stickers.\nMia then has %d + %d = %d stickers.\nShe keeps "
            "%d - 8 = %d.\n#### %d",
            b, 6 * b, a, 6 * b, a + 6 * b, a + 6 * b, gold, gold);
        break;
    case 1:
        gold = 2 * (a + 46) + 45 * b;
        p.question = format_text(
            m,
            "A train goes %d miles an hour for 2 hours and 45 miles an hour for %d hours. How far "
            "does it go?",
            a + 46, b);
        p.rationale = format_text(
            m,
            "The first part is %d * 2 = %d miles.\nThe second part is 45 * %d = %d miles.\nIn all "
            "that is %d + %d = %d miles.\n#### %d",
            a + 46, 2 * (a + 46), b, 45 * b, 2 * (a + 46), 45 * b, gold, gold);
        break;
    case 2:
        gold = b * 3 * a;
        p.question =
            format_text(m,
                        "A baker sells %d rolls in the morning and half as many in the afternoon. Each costs "
                        "$%d. What does he earn?",
                        2 * a, b);
        p.rationale =
            format_text(m,
                        "In the afternoon he sells %d / 2 = %d rolls.\nThat makes %d + %d = %d rolls.\nHe "
                        "earns %d * %d = %d dollars.\n#### %d",
                        2 * a, a, 2 * a, a, 3 * a, 3 * a, b, gold, gold);
        break;
    default:
        gold = c - b;
        p.question =
            format_text(m,
                        "%d friends share %d cards. Each gives %d of them to another friend. How many cards "
                        "does each of the %d have left?",
                        a, a * c, b, a);
        p.rationale = format_text(
            m, "Each of them gets %d / %d = %d cards.\nEach then has %d - %d = %d cards.\n#### %d", a * c, a,
            c, c, b, gold, gold);
    }
    p.gold = format_text(m, "%d", gold);
    p.raw = p.rationale;
    return p;
}

typedef struct {
    recipe *recipe;
    task *task;
    prompt_words *words;
    chat *chat;
    sampler *policy;
    arena *memory;
    problem *problems;
    search_job *jobs;
    int64_t count;
    int64_t tree_nanoseconds;
} search_bench;

static void close_search(search_bench *s) {
    for (int64_t i = 0; i < s->count && s->jobs; i++) search_free(s->jobs[i].search);
    sampler_free(s->policy);
    prompt_words_free(s->words);
    chat_free(s->chat);
    task_free(s->task);
    recipe_free(s->recipe);
    mem_free(s->jobs);
    mem_free(s->problems);
    arena_free(s->memory);
}

static esp_status make_policy(search_bench *s, const bench_place *b, bool unshared, esp_error *error) {
    const recipe *r = s->recipe;
    ESP_TRY(task_open(&s->task, "gsm8k", error));
    /* A template that is not supported: the prompts are plain. */
    if (chat_open(&s->chat, &(chat_choice){0}, b->tokenizer, NULL) != ESP_OK)
        ESP_TRY(chat_open(&s->chat, &(chat_choice){.name = "plain"}, b->tokenizer, error));
    lm_settings settings = {.temperature = (float)r->search.temperature,
                            .step_size = r->search.step,
                            .max_step_tokens = (int32_t)r->search.max_step_tokens,
                            .max_chain_tokens = (int32_t)r->search.max_chain_tokens,
                            .example = true,
                            .unshared = unshared,
                            .kv_tokens =
                                unshared || s->count < 8 ? 16384 : 2048 * s->count, /* the same as in a run */
                            .tree_nanoseconds = &s->tree_nanoseconds};
    ESP_TRY(prompt_words_new(&s->words, b->tokenizer, s->task, s->chat, error));
    return lm_new(&s->policy, b->model, s->words, &settings, error);
}

static esp_status make_jobs(search_bench *s, esp_error *error) {
    const search_config *config = &s->recipe->search.config;
    for (int64_t i = 0; i < s->count; i++) {
        s->problems[i] = made_up(s->memory, i);
        s->jobs[i] = (search_job){.problem = &s->problems[i], .gold_known = true};
        ESP_TRY(search_new(&s->jobs[i].search, config, rng_mix(rng_key(1), (uint64_t)i), error));
    }
    return ESP_OK;
}

/* A search that uses every mechanism. Keep it the same in all versions, so that their speeds can be compared.
 */
static esp_status open_search(search_bench *s, const bench_place *b, bool unshared, esp_error *error) {
    static const recipe_override shape[] = {{"search.root_probe", "0", "bench"},
                                            {"search.simulations", "5", "bench"},
                                            {"search.breadth_root", "4", "bench"},
                                            {"search.breadth", "3", "bench"},
                                            {"search.horizon", "4", "bench"},
                                            {"search.max_steps", "4", "bench"},
                                            {"search.pairs_at", "commitments", "bench"},
                                            {"search.smoothing", "visits", "bench"}};
    int64_t n = b->problems;
    *s = (search_bench){.count = n};
    ESP_TRY(recipe_load(&s->recipe, NULL, shape, (int)(sizeof shape / sizeof *shape), error));
    s->memory = arena_new();
    s->problems = MEM_ARRAY(problem, n);
    s->jobs = MEM_ARRAY(search_job, n);
    esp_status status = make_policy(s, b, unshared, error);
    if (status == ESP_OK) status = make_jobs(s, error);
    if (status != ESP_OK) close_search(s);
    return status;
}

/* ---- Figures ---- */

/* A hash of the tree's structure, visits, outcomes and tokens: equal keys, equal trees. */
static uint64_t tree_key(const search *s) {
    rng_key_t key = rng_key(0);
    for (int32_t v = 0; v < search_node_count(s); v++) {
        search_node node = search_node_at(s, v);
        key = rng_mix(key, (uint64_t)node.parent);
        key = rng_mix(key, (uint64_t)node.N);
        key = rng_mix(key, (uint64_t)node.outcome);
        for (int32_t i = 0; i < node.n; i++) key = rng_mix(key, (uint64_t)node.ids[i]);
    }
    return rng_bits(key, 0);
}

/* Totals of the first n jobs, and for each tree its key and the number of tokens sampled. */
static void search_figures(const search_bench *s, int64_t n, json_t *out) {
    token_counts sum = {0};
    int64_t nodes = 0, pairs = 0;
    json_t *trees = json_array();
    for (int64_t i = 0; i < n; i++) {
        const token_counts *c = &s->jobs[i].counts;
        const search *tree = s->jobs[i].search;
        char key[20];
        snprintf(key, sizeof key, "%016llx", (unsigned long long)tree_key(tree));
        json_array_append_new(trees, json_pack("{ss sI}", "key", key, "tokens", (json_int_t)c->sampled));
        nodes += search_node_count(tree);
        harvest_pairs read;
        harvest_step_pairs(tree, &s->recipe->search.harvest, &read);
        pairs += read.count;
        harvest_pairs_free(&read);
        token_counts_add(&sum, c);
    }
    json_t *figures = json_pack(
        "{sI sI sI sI sI sI sI sI sI sf so}", "problems", (json_int_t)n, "nodes", (json_int_t)nodes, "pairs",
        (json_int_t)pairs, "tokens_sampled", (json_int_t)sum.sampled, "tokens_judged",
        (json_int_t)token_counts_judged(&sum), "suffix_tokens", (json_int_t)sum.suffixes, "tokens_computed",
        (json_int_t)sum.computed, "tokens_recomputed", (json_int_t)sum.recomputed, "tokens_distinct",
        (json_int_t)sum.distinct, "computed_over_distinct",
        (double)(sum.computed - sum.suffixes) / (double)sum.distinct, "trees", trees);
    json_object_update_new(out, figures);
}

/* ---- All trees at the same time ---- */

/* No further lap begins after this many seconds of searching. */
static const double ENOUGH_SECONDS = 60;

static esp_status search_lap(bench_place *b, bench_laps *laps, json_t *out, esp_error *error) {
    search_bench s;
    ESP_TRY(open_search(&s, b, false, error));
    compute_clock_start(b->clock);
    double cpu = bench_cpu_seconds(), began = clock_seconds();
    esp_status status = sampler_search(s.policy, s.jobs, s.count, NULL, NULL, error);
    double wall = clock_seconds() - began;
    cpu = bench_cpu_seconds() - cpu;
    compute_clock_stop(b->clock);
    if (status == ESP_OK) {
        bench_lap(laps, wall);
        if (wall <=
            bench_best(laps)) /* the time is that of the fastest lap; the trees are the same in every lap */
            json_object_set_new(out, "time",
                                bench_time_shares(b, wall, cpu, 1e-9 * (double)s.tree_nanoseconds));
        if (laps->count == 1) search_figures(&s, s.count, out);
    }
    close_search(&s);
    return status;
}

esp_status bench_search(bench_place *b, json_t **out, esp_error *error) {
    bench_laps laps = {.count = 0};
    double began = clock_seconds();
    *out = json_object();
    for (int i = 0; i < b->repeats && (i == 0 || clock_seconds() - began < ENOUGH_SECONDS); i++)
        ESP_TRY(search_lap(b, &laps, *out, error));
    bench_put_seconds(*out, &laps);
    bench_put_rate(*out, "problems_per_minute", 60 * (double)b->problems, &laps);
    double computed = json_number_value(json_object_get(*out, "tokens_computed"));
    bench_put_rate(*out, "tokens_computed_per_second", computed, &laps);
    double sampled = json_number_value(json_object_get(*out, "tokens_sampled"));
    bench_put_mixed_limit(b, *out, sampled / computed, computed / bench_best(&laps));
    return ESP_OK;
}

/* ---- Without sharing ---- */

enum { LEAST_UNSHARED = 2 };

/* One problem after another, until all are done or the time is up. */
esp_status bench_unshared(bench_place *b, json_t **out, esp_error *error) {
    search_bench s;
    int64_t n = 0;
    double seconds = 0;
    *out = json_object();
    ESP_TRY(open_search(&s, b, true, error));
    esp_status status = ESP_OK;
    json_t *each = json_array();
    compute_clock_start(b->clock);
    double cpu = bench_cpu_seconds();
    while (n < s.count && (n < LEAST_UNSHARED || seconds < b->unshared_seconds) && status == ESP_OK) {
        double began = clock_seconds();
        status = sampler_search(s.policy, &s.jobs[n++], 1, NULL, NULL, error);
        seconds += clock_seconds() - began;
        json_array_append_new(each, json_real(clock_seconds() - began));
    }
    compute_clock_stop(b->clock);
    if (status == ESP_OK) {
        json_object_set_new(
            *out, "time",
            bench_time_shares(b, seconds, bench_cpu_seconds() - cpu, 1e-9 * (double)s.tree_nanoseconds));
        search_figures(&s, n, *out);
        bench_put(*out, "seconds", seconds);
        bench_put(*out, "problems_per_minute", 60 * (double)n / seconds);
    }
    json_object_set_new(*out, "seconds_each", each);
    close_search(&s);
    return status;
}
