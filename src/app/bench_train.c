/* The training steps and the search of `espalier bench`. */
#include "app/bench_measure.h"
#include "base/clock.h"
#include "run/recipe_parts.h"
#include "policy/lm.h"

/* ---- training ---- */

enum {
    PROBLEMS = 4,
    DEPTH = 4,
    PAIRS_A_DEPTH = 2,
    PROMPT = 144, /* tokens, as in a search over GSM8K: what dpo-32-pairs of the peers has */
    STEP = 24,
    PAIRS = PROBLEMS * DEPTH * PAIRS_A_DEPTH,
    LONGEST = PROMPT + DEPTH * STEP,
};

static int32_t random_id(uint64_t a, uint64_t b, uint64_t i, int64_t vocab) {
    return (int32_t)rng_below(rng_mix(rng_key(a + 1), b), i, (uint64_t)vocab);
}

/* The pairs of PROBLEMS trees. A depth has PAIRS_A_DEPTH pairs of steps behind the committed path; the path
 * goes on through the first pair's chosen step. ids: [PROBLEMS][LONGEST] paths, then the steps. */
static preference_row *made_up_pairs(int32_t *paths, int32_t *steps, int64_t vocab) {
    preference_row *rows = MEM_ARRAY(preference_row, PAIRS);
    int64_t n = 0;
    for (int64_t p = 0; p < PROBLEMS; p++) {
        int32_t *path = paths + p * LONGEST;
        for (int64_t i = 0; i < PROMPT; i++) path[i] = random_id((uint64_t)p, 0, (uint64_t)i, vocab);
        for (int64_t depth = 0; depth < DEPTH; depth++) {
            int64_t prefix = PROMPT + depth * STEP;
            for (int64_t k = 0; k < PAIRS_A_DEPTH; k++, n++) {
                int32_t *chosen = steps + 2 * n * STEP, *rejected = chosen + STEP;
                for (int64_t i = 0; i < (int64_t)2 * STEP; i++)
                    chosen[i] = random_id((uint64_t)p, (uint64_t)n + 1, (uint64_t)i, vocab);
                for (int64_t i = 0; k == 0 && i < STEP; i++) path[prefix + i] = chosen[i];
                rows[n] = (preference_row){.prefix = path,
                                           .chosen = chosen,
                                           .rejected = rejected,
                                           .prefix_count = prefix,
                                           .chosen_count = STEP,
                                           .rejected_count = STEP,
                                           .ref_chosen = -10.0 * STEP,
                                           .ref_rejected = -10.0 * STEP};
            }
        }
    }
    return rows;
}

/* Times add (gradients) and the update together; the first repeat warms up. */
typedef esp_status add_call(trainer *t, const void *rows, batch_report *report, esp_error *error);

static esp_status time_step(trainer *t, add_call *add, const void *rows, int repeats, bench_step *out,
                            esp_error *error) {
    out->seconds = 1e30;
    for (int i = 0; i < repeats + 1; i++) {
        batch_report report;
        double began = clock_seconds();
        ESP_TRY(add(t, rows, &report, error));
        ESP_TRY(trainer_update(t, 1e-6, NULL, error));
        double took = clock_seconds() - began;
        if (i > 0 && took < out->seconds) out->seconds = took;
        out->rows = report.rows;
        out->tokens = report.tokens;
        out->tokens_computed = report.tokens_computed;
    }
    return ESP_OK;
}

static esp_status add_pairs(trainer *t, const void *rows, batch_report *report, esp_error *error) {
    loss_options loss = loss_defaults();
    return trainer_add_preferences(t, rows, PAIRS, &loss, report, error);
}

esp_status bench_dpo(trainer *t, int repeats, bench_step *out, esp_error *error) {
    int32_t *paths = MEM_ARRAY(int32_t, PROBLEMS * LONGEST), *steps = MEM_ARRAY(int32_t, 2 * PAIRS * STEP);
    preference_row *rows = made_up_pairs(paths, steps, model_configuration(trainer_model(t))->vocab);
    esp_status status = time_step(t, add_pairs, rows, repeats, out, error);
    mem_free(rows);
    mem_free(steps);
    mem_free(paths);
    return status;
}

enum { SFT_ROWS = 16, SFT_PROMPT = 128, SFT_ANSWER = 96 };

static esp_status add_rows(trainer *t, const void *rows, batch_report *report, esp_error *error) {
    return trainer_add_supervised(t, rows, SFT_ROWS, report, error);
}

esp_status bench_sft(trainer *t, int repeats, bench_step *out, esp_error *error) {
    int64_t n = SFT_PROMPT + SFT_ANSWER, vocab = model_configuration(trainer_model(t))->vocab;
    int32_t *ids = MEM_ARRAY(int32_t, SFT_ROWS * n);
    supervised_row rows[SFT_ROWS];
    for (int64_t r = 0; r < SFT_ROWS; r++) {
        for (int64_t i = 0; i < n; i++) ids[r * n + i] = random_id(100, (uint64_t)r, (uint64_t)i, vocab);
        rows[r] = (supervised_row){.prompt = ids + r * n,
                                   .completion = ids + r * n + SFT_PROMPT,
                                   .prompt_count = SFT_PROMPT,
                                   .completion_count = SFT_ANSWER,
                                   .weight = 1};
    }
    esp_status status = time_step(t, add_rows, rows, repeats, out, error);
    mem_free(ids);
    return status;
}

/* ---- searching ---- */

/* Made up for the bench, in the form of grade-school problems. */
static const char *const questions[][3] = {
    {"Mia has 14 stickers and buys 3 packs of 6 stickers. She gives 8 to her brother. How many are left?",
     "24",
     "The packs hold 3 * 6 = 18 stickers.\nMia then has 14 + 18 = 32 stickers.\nShe keeps 32 - 8 = 24.\n#### "
     "24"},
    {"A train goes 60 miles an hour for 2 hours and 45 miles an hour for 3 hours. How far does it go?", "255",
     "The first part is 60 * 2 = 120 miles.\nThe second part is 45 * 3 = 135 miles.\nIn all that is 120 + "
     "135 = "
     "255 miles.\n#### 255"},
    {"A baker sells 36 rolls in the morning and half as many in the afternoon. Each costs $2. What does he "
     "earn?",
     "108",
     "In the afternoon he sells 36 / 2 = 18 rolls.\nThat makes 36 + 18 = 54 rolls.\nHe earns 54 * 2 = 108 "
     "dollars.\n#### 108"},
    {"Four friends share 52 cards. Each gives 3 of them to a fifth friend. How many cards does each of the "
     "four have?",
     "10", "Each of the four gets 52 / 4 = 13 cards.\nEach then has 13 - 3 = 10 cards.\n#### 10"},
};
enum { QUESTIONS = sizeof questions / sizeof *questions };

typedef struct {
    lm_policy *policy;
    problem *problems;
    lm_search_job *jobs;
    int64_t count;
} search_bench;

static esp_status open_search(search_bench *b, const recipe *r, model *m, const tokenizer *t,
                              esp_error *error) {
    const task *task = task_find("gsm8k", error);
    chat_kind chat;
    if (!task) return ESP_FAILED;
    if (chat_template_detect(tokenizer_chat_template(t), &chat, NULL) != ESP_OK) chat = CHAT_PLAIN;
    lm_settings settings = {.temperature = (float)r->search.temperature,
                            .step_mode = r->search.step,
                            .max_step_tokens = (int32_t)r->search.max_step_tokens,
                            .max_chain_tokens = (int32_t)r->search.max_chain_tokens,
                            .example = true,
                            .kv_tokens = 2048 * b->count};
    ESP_TRY(lm_new(&b->policy, m, t, task, chat, &settings, error));
    search_config config = recipe_search_config(r);
    for (int64_t i = 0; i < b->count; i++) {
        const char *const *q = questions[i % QUESTIONS];
        b->problems[i] = (problem){.index = i,
                                   .line = i + 1,
                                   .id = "bench",
                                   .question = q[0],
                                   .gold = q[1],
                                   .rationale = q[2],
                                   .raw = q[2]};
        b->jobs[i] = (lm_search_job){.problem = &b->problems[i], .gold_known = true};
        ESP_TRY(search_new(&b->jobs[i].search, &config, rng_mix(rng_key(1), (uint64_t)i), error));
    }
    return ESP_OK;
}

static json_t *search_figures(const search_bench *b, double seconds) {
    lm_counts sum = {0};
    int64_t nodes = 0, pairs = 0;
    for (int64_t i = 0; i < b->count; i++) {
        const lm_counts *c = &b->jobs[i].counts;
        nodes += search_node_count(b->jobs[i].search);
        pairs += search_pair_count(b->jobs[i].search);
        sum.sampled += c->sampled;
        sum.judged += c->judged;
        sum.suffixes += c->suffixes;
        sum.computed += c->computed;
        sum.recomputed += c->recomputed;
    }
    return json_pack("{sI sf sf sI sI sI sI sI sI sI sf}", "problems", (json_int_t)b->count, "seconds",
                     seconds, "problems_per_minute", 60 * (double)b->count / seconds, "nodes",
                     (json_int_t)nodes, "pairs", (json_int_t)pairs, "tokens_sampled", (json_int_t)sum.sampled,
                     "tokens_judged", (json_int_t)sum.judged, "suffix_tokens", (json_int_t)sum.suffixes,
                     "tokens_computed", (json_int_t)sum.computed, "tokens_recomputed",
                     (json_int_t)sum.recomputed, "computed_over_distinct",
                     (double)sum.computed / (double)(sum.computed - sum.recomputed));
}

esp_status bench_search(model *m, const tokenizer *t, int64_t problems, json_t **out, esp_error *error) {
    recipe *r;
    search_bench b = {.problems = MEM_ARRAY(problem, problems), .jobs = MEM_ARRAY(lm_search_job, problems)};
    b.count = problems;
    *out = NULL;
    /* A search with some of everything, and the same from one version to the next. */
    static const recipe_override shape[] = {
        {"search.root_probe", "0", "bench"},    {"search.simulations", "5", "bench"},
        {"search.breadth_root", "4", "bench"},  {"search.breadth", "3", "bench"},
        {"search.horizon", "4", "bench"},       {"search.pairs_at", "commitments", "bench"},
        {"search.smoothing", "visits", "bench"}};
    esp_status status = recipe_load(&r, NULL, shape, (int)(sizeof shape / sizeof *shape), error);
    if (status == ESP_OK) {
        status = open_search(&b, r, m, t, error);
        double began = clock_seconds();
        if (status == ESP_OK) status = lm_search(b.policy, b.jobs, problems, NULL, NULL, error);
        if (status == ESP_OK) *out = search_figures(&b, clock_seconds() - began);
        recipe_free(r);
    }
    for (int64_t i = 0; i < problems; i++) search_free(b.jobs[i].search);
    lm_free(b.policy);
    mem_free(b.jobs);
    mem_free(b.problems);
    return status;
}
