#include "loop/judge_rows.h"

#include <math.h>
#include <string.h>

/* Keeps these random numbers apart from all others of a run ("judg"). */
static const uint64_t judge_word = 0x6a756467;

/* What is drawn from the key of a row, by counter; the task's own draws follow. */
enum { DRAW_DEPTH, DRAW_LABEL, DRAW_EXAMPLE, DRAW_EARLIER, DRAWS };
_Static_assert((int)DRAWS <= (int)TASK_MISTAKE_DRAW, "the task's draws would repeat those of this file");

/* ---- steps ---- */

/* Bytes of the first `count` steps of a rationale, or of all that it has. */
static size_t steps_end(const task *t, const char *text, int64_t count) {
    size_t end = 0;
    for (; count > 0 && text[end]; count--) end = task_step_end(t, text, end);
    return end;
}

static int64_t step_count(const task *t, const char *text) {
    int64_t n = 0;
    for (size_t end = 0; text[end]; n++) end = task_step_end(t, text, end);
    return n;
}

/* Steps up to number `last`, with a mistake in step number `at`. False where there can be none, or it does
 * not reach the last step. */
static bool with_mistake(const task *t, const problem *p, int64_t at, int64_t last, rng_key_t key,
                         judge_steps *out) {
    const char *text = p->rationale;
    task_mistake_place place = {.from = steps_end(t, text, at),
                                .to = steps_end(t, text, at + 1),
                                .last = steps_end(t, text, last),
                                .end = steps_end(t, text, last + 1)};
    text_buffer b = {0};
    size_t changed;
    if (!task_make_mistake(t, p, &place, key, &b, &changed)) return false;
    *out = (judge_steps){.text = b.at, .steps = last + 1, .changed = (int64_t)changed};
    return true;
}

esp_status judge_steps_draw(const task *t, const problem *p, rng_key_t key, judge_steps *out,
                            esp_error *error) {
    *out = (judge_steps){0};
    if (!task_makes_mistakes(t))
        return error_fail(error,
                          "set sft.judge_source: own, which takes the policy's own mistakes, or "
                          "sft.judge_examples: 0",
                          "task %s has no rule that puts a mistake into a solution", task_name(t));
    if (!p->rationale || !p->rationale[0])
        return error_fail(error, "set sft.judge_examples: 0, or use data with worked solutions",
                          "problem %s has no rationale to make judge rows of", p->id);
    int64_t steps = step_count(t, p->rationale);
    int64_t depth = (int64_t)rng_below(key, DRAW_DEPTH, (uint64_t)steps);
    bool wrong = rng_bits(key, DRAW_LABEL) & 1, earlier = rng_below(key, DRAW_EARLIER, 3) == 0;
    for (int64_t last = depth; wrong && last < steps; last++) {
        if (earlier && last > 0 && with_mistake(t, p, last - 1, last, key, out)) return ESP_OK;
        if (with_mistake(t, p, last, last, key, out)) return ESP_OK;
    }
    *out = (judge_steps){.text = mem_strndup(p->rationale, steps_end(t, p->rationale, depth + 1)),
                         .steps = depth + 1,
                         .right = true,
                         .changed = -1};
    return ESP_OK;
}

void judge_steps_free(judge_steps *steps) {
    mem_free(steps->text);
    *steps = (judge_steps){0};
}

/* ---- ids ---- */

esp_status judge_row_of_ids(const prompt_words *words, const problem *p, bool with_example,
                            const int32_t *steps, int64_t n, bool right, judge_row *out, esp_error *error) {
    *out =
        (judge_row){.verdict = prompt_verdict_id(words, right), .right = right, .with_example = with_example};
    esp_status status = prompt_judge_prefix(words, p, with_example, &out->prompt, error);
    if (status != ESP_OK) {
        judge_row_free(out);
        return status;
    }
    MEM_LIST_APPEND(&out->prompt, steps, n);
    MEM_LIST_APPEND(&out->prompt, prompt_judge_suffix(words)->at, prompt_judge_suffix(words)->count);
    return ESP_OK;
}

esp_status judge_row_make(const prompt_words *words, const problem *p, recipe_example example, uint64_t seed,
                          int64_t n, judge_row *out, esp_error *error) {
    *out = (judge_row){0};
    rng_key_t key = rng_mix(rng_mix(rng_mix(rng_key(seed), judge_word), (uint64_t)p->index), (uint64_t)n);
    judge_steps steps;
    ESP_TRY(judge_steps_draw(prompt_task(words), p, key, &steps, error));
    bool with_example = example == RECIPE_EXAMPLE_GOLD && (rng_bits(key, DRAW_EXAMPLE) & 1);
    token_list ids = {0};
    esp_status status = prompt_answer_ids(words, steps.text, strlen(steps.text), &ids, error);
    if (status == ESP_OK) /* without end-of-sequence */
        status = judge_row_of_ids(words, p, with_example, ids.at, ids.count - 1, steps.right, out, error);
    MEM_LIST_FREE(&ids);
    judge_steps_free(&steps);
    return status;
}

void judge_row_free(judge_row *row) {
    MEM_LIST_FREE(&row->prompt);
    *row = (judge_row){0};
}

int64_t judge_rows_due(double rate, int64_t ordinal) {
    return (int64_t)(floor(rate * (double)(ordinal + 1)) - floor(rate * (double)ordinal));
}
