#include "eval/evaluate_choices.h"

#include "base/utf8.h"

#include <math.h>
#include <string.h>

/* Problems of one call of the sampler: bounds the memory of their prompts. */
enum { PROBLEMS_AT_ONCE = 1024 };

/* One call's work. Jobs are by problem, then option. */
typedef struct {
    const problem_options *of;
    prompt_choices *options; /* [count] */
    int64_t *places;         /* [count]: the problems that fit */
    int64_t count;
    MEM_LIST(score_job) jobs;
    int64_t done_before;
} block;

static void progress(void *user, int64_t done, int64_t sampled) {
    const block *b = user;
    if (b->of->progress) b->of->progress(b->of->user, b->done_before + done, sampled);
}

static bool fits(const prompt_choices *o, int64_t context) {
    for (int32_t i = 0; i < o->count; i++)
        if (o->prompt.count + o->of[i].count > context) return false;
    return true;
}

static esp_status add_problem(const sampler *s, block *b, int64_t place, esp_error *error) {
    prompt_choices *o = &b->options[b->count];
    esp_status status = prompt_choices_make(s->words, &b->of->problems[place], b->of->labels, o, error);
    if (status != ESP_OK || !fits(o, s->context)) {
        prompt_choices_free(o);
        if (status == ESP_OK) b->of->left_out(b->of->user, place);
        return status;
    }
    for (int32_t i = 0; i < o->count; i++)
        MEM_LIST_PUSH(&b->jobs, ((score_job){.prompt = o->prompt.at,
                                             .prompt_count = o->prompt.count,
                                             .ids = o->of[i].at,
                                             .count = o->of[i].count,
                                             .logprobs = MEM_ARRAY(float, o->of[i].count)}));
    b->places[b->count++] = place;
    return ESP_OK;
}

/* What is scored of an option. */
static const char *scored(const problem_options *o, const problem *p, int32_t i) {
    return o->labels ? p->options[i].label : p->options[i].text;
}

/* Unicode characters; a byte that is no UTF-8 counts as one. */
static double characters(const char *text) {
    double count = 0;
    for (size_t i = 0, length = strlen(text), n; i < length; i += n ? n : 1, count++)
        n = utf8_length(text + i, length - i);
    return count;
}

static esp_status deliver(const block *b, int64_t i, const score_job *jobs, esp_error *error) {
    const problem *p = &b->of->problems[b->places[i]];
    int32_t n = p->option_count;
    option_scores scores = {.count = n,
                            .logprobs = MEM_ARRAY(double, n),
                            .lengths = MEM_ARRAY(double, n),
                            .tokens = MEM_ARRAY(int64_t, n)};
    bool finite = true;
    for (int32_t j = 0; j < n; j++) {
        const char *text = scored(b->of, p, j);
        for (int64_t k = 0; k < jobs[j].count; k++) scores.logprobs[j] += (double)jobs[j].logprobs[k];
        scores.lengths[j] = characters(text);
        scores.tokens[j] = jobs[j].count;
        finite = finite && isfinite(scores.logprobs[j]);
    }
    if (finite) b->of->take(b->of->user, b->places[i], &scores);
    mem_free(scores.logprobs);
    mem_free(scores.lengths);
    mem_free(scores.tokens);
    if (finite) return ESP_OK;
    return error_fail(error, "the weights are broken, or model.dtype must be f32",
                      "problem %s: the model's log-probs are not finite", p->id);
}

static void block_free(block *b) {
    for (int64_t i = 0; i < b->jobs.count; i++) mem_free(b->jobs.at[i].logprobs);
    for (int64_t i = 0; i < b->count; i++) prompt_choices_free(&b->options[i]);
    MEM_LIST_FREE(&b->jobs);
    mem_free(b->options);
    mem_free(b->places);
}

static esp_status run_block(sampler *s, const problem_options *o, int64_t first, int64_t n,
                            token_counts *counts, esp_error *error) {
    block b = {.of = o,
               .options = MEM_ARRAY(prompt_choices, n),
               .places = MEM_ARRAY(int64_t, n),
               .done_before = first};
    esp_status status = ESP_OK;
    token_counts own = {0};
    for (int64_t i = first; i < first + n && status == ESP_OK; i++) status = add_problem(s, &b, i, error);
    if (status == ESP_OK && b.count > 0)
        status = sampler_score(s, b.jobs.at, b.jobs.count, &own, progress, &b, error);
    token_counts_add(counts, &own);
    for (int64_t i = 0, job = 0; i < b.count && status == ESP_OK; job += b.options[i++].count)
        status = deliver(&b, i, b.jobs.at + job, error);
    block_free(&b);
    return status;
}

esp_status problem_options_run(sampler *s, const problem_options *o, token_counts *counts, esp_error *error) {
    *counts = (token_counts){0};
    for (int64_t first = 0; first < o->count; first += PROBLEMS_AT_ONCE) {
        int64_t left = o->count - first;
        ESP_TRY(run_block(s, o, first, left < PROBLEMS_AT_ONCE ? left : PROBLEMS_AT_ONCE, counts, error));
    }
    return ESP_OK;
}

/* ---- Results ---- */

/* All options with their log-probs, a line for each. */
static char *table_of(const problem *p, const option_scores *scores) {
    text_buffer text = {0};
    for (int32_t i = 0; i < scores->count; i++)
        text_printf(&text, "%s%s  log-prob %.3f, per character %.3f: %s", i ? "\n" : "", p->options[i].label,
                    scores->logprobs[i], scores->logprobs[i] / scores->lengths[i], p->options[i].text);
    return text.at;
}

static evaluation_result result_of(const problem *p, const option_scores *scores, int32_t best) {
    return (evaluation_result){.problem = p->index,
                               .finished = true,
                               .right = best == p->gold_option,
                               .tokens = scores->tokens[best],
                               .answer = mem_strdup(p->options[best].label)};
}

void option_results(const problem *p, const option_scores *scores, evaluation_result out[2]) {
    double *each = MEM_ARRAY(double, scores->count);
    for (int32_t i = 0; i < scores->count; i++) each[i] = scores->logprobs[i] / scores->lengths[i];
    out[0] = result_of(p, scores, metrics_largest(scores->logprobs, scores->count));
    out[1] = result_of(p, scores, metrics_largest(each, scores->count));
    out[0].text = table_of(p, scores);
    out[0].logprobs = MEM_ARRAY(double, scores->count);
    out[0].logprob_count = scores->count;
    memcpy(out[0].logprobs, scores->logprobs, (size_t)scores->count * sizeof *scores->logprobs);
    out[1].sample = 1;
    out[1].tokens = 0;
    mem_free(each);
}
