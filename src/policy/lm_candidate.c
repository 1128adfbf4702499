/* One step, or one chain, token by token: what is asked about the next token, and when it ends. */
#include "policy/lm_inner.h"

#include <assert.h>

void candidate_free(candidate *c) {
    MEM_LIST_FREE(&c->ids);
    MEM_LIST_FREE(&c->logprobs);
    MEM_LIST_FREE(&c->ends);
}

int candidate_reads(const prompt_words *words, const candidate *c, kv_read out[2]) {
    if (c->wants_eos) {
        out[0] = (kv_read){.kind = READ_SCORE, .token = prompt_eos(words)};
        return 1;
    }
    out[0] = c->temperature > 0 ? (kv_read){.kind = READ_SAMPLE,
                                            .temperature = c->temperature,
                                            .u = rng_uniform(c->key, (uint64_t)c->ids.count)}
                                : (kv_read){.kind = READ_GREEDY};
    /* Where a newline would end the answer, end-of-sequence takes its place and is scored there. */
    if (!c->steps.line.answer) return 1;
    out[1] = (kv_read){.kind = READ_SCORE, .token = prompt_eos(words)};
    return 2;
}

void candidate_add(candidate *c, int32_t token, float logprob) {
    MEM_LIST_PUSH(&c->ids, token);
    MEM_LIST_PUSH(&c->logprobs, logprob);
}

static void keep_only(candidate *c, int32_t count) {
    c->dropped += (int32_t)(c->ids.count - count);
    c->ids.count = c->logprobs.count = count;
}

static int32_t step_start(const candidate *c) {
    return c->ends.count ? c->ends.at[c->ends.count - 1] : 0;
}

/* A step of a whole chain has ended at ids[end]; the ids behind it begin the next one. */
static bool next_step(const prompt_words *words, candidate *c, int32_t end, bool cut) {
    MEM_LIST_PUSH(&c->ends, end);
    if (cut) {
        keep_only(c, end);
        c->cut = true;
        return false;
    }
    for (int64_t i = end; i < c->ids.count; i++) {
        size_t length;
        const char *piece = tokenizer_piece(prompt_tokenizer(words), c->ids.at[i], &length);
        step_replay(&c->steps, piece, length);
    }
    return true;
}

static bool reached_length(candidate *c) {
    if (c->max_tokens == 0 || c->ids.count < c->max_tokens) return false;
    c->cut = true;
    return true;
}

bool candidate_push(const prompt_words *words, candidate *c, int32_t token, float logprob) {
    candidate_add(c, token, logprob);
    size_t length;
    const char *piece = tokenizer_piece(prompt_tokenizer(words), token, &length);
    step_result r = step_feed(&c->steps, token, piece, length);
    int32_t end = step_start(c) + r.keep;
    switch (r.outcome) {
    case STEP_GOES_ON:
        return !reached_length(c);
    case STEP_ENDED:
    case STEP_FULL:
        if (c->whole_chain) return next_step(words, c, end, r.cut) && !reached_length(c);
        keep_only(c, end);
        c->cut = r.cut;
        return false;
    case STEP_FINISHED_EOS:
        c->finished = true;
        return false;
    case STEP_FINISHED_ANSWER:
        c->wants_eos = true;
        keep_only(c, end);
        return false;
    }
    return false;
}

bool candidate_take(const prompt_words *words, candidate *c, const kv_read *reads) {
    if (c->wants_eos) {
        candidate_add(c, prompt_eos(words), reads[0].logprob);
        c->finished = true;
        return false;
    }
    int64_t before = c->ids.count;
    bool scored = c->steps.line.answer;
    if (candidate_push(words, c, reads[0].token, reads[0].logprob)) return true;
    if (!c->wants_eos) return false;
    if (c->ids.count > before) return true; /* the last token is fed, to score behind it */
    /* The newline was dropped, so end-of-sequence stands where its score was read. */
    assert(scored);
    (void)scored; /* where a packager turns asserts off */
    candidate_add(c, prompt_eos(words), reads[1].logprob);
    c->finished = true;
    return false;
}
