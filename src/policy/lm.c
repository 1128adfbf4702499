/* The policy's settings, and the ids that training and search share: prompts, judge rows, verdicts. */
#include "policy/lm_inner.h"

#include <string.h>

static esp_status check_settings(const lm_settings *s, esp_error *error) {
    const char *hint = "correct the search section of the recipe";
    if (!(s->temperature > 0))
        return error_fail(error, hint, "temperature %g is not above 0", (double)s->temperature);
    if (s->max_step_tokens < 1)
        return error_fail(error, hint, "max_step_tokens is %d, it must be at least 1", s->max_step_tokens);
    if (s->max_chain_tokens < s->max_step_tokens)
        return error_fail(error, hint, "max_chain_tokens %d is less than max_step_tokens %d",
                          s->max_chain_tokens, s->max_step_tokens);
    if (s->kv_tokens < 1 || s->max_batch_tokens < 0 || s->max_sequences < 0)
        return error_fail(error, hint,
                          "the KV cache needs at least one token, a batch at least one sequence");
    return ESP_OK;
}

/* The template's words before and behind the user's text. */
static void template_parts(lm_policy *p, text_buffer *open, text_buffer *close) {
    static const char place[] = "\x01";
    text_buffer whole = {0};
    chat_render(p->chat, p->tokens, NULL, place, &whole);
    const char *at = strstr(whole.at, place), *start = whole.at;
    size_t bos = 0;
    const char *piece = tokenizer_piece(p->tokens, tokenizer_bos(p->tokens), &bos);
    p->judge_bos = bos > 0 && (size_t)(at - start) >= bos && memcmp(start, piece, bos) == 0;
    if (p->judge_bos) start += bos;
    text_append(open, start, (size_t)(at - start));
    text_puts(close, at + strlen(place));
    text_free(&whole);
}

/* (3.1) The suffix: with a chat template it ends the user's turn and begins the assistant's. */
static esp_status make_suffix(lm_policy *p, const char *close, esp_error *error) {
    if (p->chat == CHAT_PLAIN) {
        const char *suffix = task_judge_suffix(p->t);
        return tokenizer_encode(p->tokens, suffix, strlen(suffix), false, &p->suffix, error);
    }
    const char *answer = task_judge_answer(p->t);
    text_buffer text = {0};
    text_puts(&text, task_judge_question(p->t));
    text_span ours = {text.length, text.length + strlen(close)};
    text_puts(&text, close);
    text_puts(&text, answer + (answer[0] == '\n')); /* the turn's own beginning ends the line already */
    esp_status status =
        tokenizer_encode_trusted(p->tokens, text.at, text.length, &ours, 1, &p->suffix, error);
    text_free(&text);
    return status;
}

static esp_status prepare(lm_policy *p, esp_error *error) {
    if (p->eos < 0)
        return error_fail(
            error, "a policy must be able to end its answer: add eos_token to the tokenizer's configuration",
            "the tokenizer has no end-of-sequence token");
    /* Written as the one letter, with no space before it: it stands behind a bracket. */
    p->verdict[0] = tokenizer_find(p->tokens, TASK_VERDICT_INCORRECT);
    p->verdict[1] = tokenizer_find(p->tokens, TASK_VERDICT_CORRECT);
    step_rules rules = lm_rules(p);
    ESP_TRY(step_rules_check(&rules, error));
    text_buffer close = {0};
    template_parts(p, &p->judge_open, &close);
    esp_status status = make_suffix(p, close.at ? close.at : "", error);
    text_free(&close);
    ESP_TRY(status);
    return lm_sides_new(p, error);
}

esp_status lm_new(lm_policy **out, model *m, const tokenizer *tokens, const task *t, chat_kind chat,
                  const lm_settings *settings, esp_error *error) {
    *out = NULL;
    ESP_TRY(check_settings(settings, error));
    lm_policy *p = MEM_NEW(lm_policy);
    *p = (lm_policy){.m = m, .tokens = tokens, .t = t, .chat = chat, .set = *settings};
    if (p->set.max_batch_tokens == 0) p->set.max_batch_tokens = 512;
    if (p->set.max_sequences == 0) p->set.max_sequences = 64;
    p->eos = chat_end_token(chat, tokens);
    esp_status status = prepare(p, error);
    if (status != ESP_OK) {
        lm_free(p);
        return status;
    }
    *out = p;
    return ESP_OK;
}

void lm_free(lm_policy *p) {
    if (!p) return;
    MEM_LIST_FREE(&p->suffix);
    text_free(&p->judge_open);
    lm_sides_free(p);
    mem_free(p);
}

const lm_settings *lm_settings_of(const lm_policy *p) {
    return &p->set;
}

step_rules lm_rules(const lm_policy *p) {
    step_rules r = {.size = p->set.step_mode == SEARCH_STEP_FILL ? STEP_FILL : STEP_LINE,
                    .prose = p->set.prose,
                    .markers = task_answer_markers(p->t),
                    .ends = {p->eos},
                    .end_count = 1,
                    .drop_answer_newline = true,
                    .max_step_tokens = p->set.max_step_tokens,
                    .max_chain_tokens = p->set.max_chain_tokens};
    /* A chat model that ends with the plain end-of-sequence has ended too. */
    int32_t other = tokenizer_eos(p->tokens);
    if (other >= 0 && other != p->eos) r.ends[r.end_count++] = other;
    return r;
}

/* ---- Ids ---- */

esp_status lm_prompt_ids(const lm_policy *p, const problem *problem, token_list *out, esp_error *error) {
    text_buffer text = {0};
    if (p->chat == CHAT_PLAIN)
        task_prompt_plain(p->t, problem, &text);
    else
        task_prompt_chat(p->t, problem, &text);
    esp_status status = chat_encode(p->chat, p->tokens, NULL, text.at, out, error);
    text_free(&text);
    return status;
}

esp_status lm_answer_ids(const lm_policy *p, const char *text, size_t length, token_list *out,
                         esp_error *error) {
    ESP_TRY(tokenizer_encode(p->tokens, text, length, false, out, error));
    MEM_LIST_PUSH(out, p->eos);
    return ESP_OK;
}

esp_status lm_judge_prefix_ids(const lm_policy *p, const problem *problem, bool with_example, token_list *out,
                               esp_error *error) {
    if (p->judge_bos) MEM_LIST_PUSH(out, tokenizer_bos(p->tokens));
    text_buffer text = {0};
    text_span ours = {0, p->judge_open.length};
    text_append(&text, p->judge_open.at ? p->judge_open.at : "", p->judge_open.length);
    task_judge_prefix(p->t, problem, with_example, &text);
    esp_status status = tokenizer_encode_trusted(p->tokens, text.at, text.length, &ours, 1, out, error);
    text_free(&text);
    return status;
}

void lm_judge_suffix_ids(const lm_policy *p, token_list *out) {
    for (int64_t i = 0; i < p->suffix.count; i++) MEM_LIST_PUSH(out, p->suffix.at[i]);
}

int32_t lm_verdict_id(const lm_policy *p, bool correct) {
    return p->verdict[correct];
}

int32_t lm_eos(const lm_policy *p) {
    return p->eos;
}

esp_status lm_text(const lm_policy *p, const int32_t *ids, int64_t n, text_buffer *out, esp_error *error) {
    text_append(out, "", 0);
    return tokenizer_decode_more(p->tokens, ids, n, false, out, error);
}

esp_status lm_path_text(const lm_policy *p, const search *s, int32_t node, text_buffer *out,
                        esp_error *error) {
    int64_t n = search_path_ids(s, node, NULL);
    int32_t *ids = MEM_ARRAY(int32_t, n);
    search_path_ids(s, node, ids);
    esp_status status = lm_text(p, ids, n, out, error);
    mem_free(ids);
    return status;
}

void counts_add(lm_counts *sum, const lm_counts *c) {
    sum->sampled += c->sampled;
    sum->judged += c->judged;
    sum->suffixes += c->suffixes;
    sum->prompts += c->prompts;
    sum->gold += c->gold;
    sum->computed += c->computed;
    sum->distinct += c->distinct;
    sum->recomputed += c->recomputed;
}
