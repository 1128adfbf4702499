/* The ids that training and search share: prompts, judge rows, verdicts. */
#include "prompt/prompt.h"
#include "text/messages.h"

#include <ctype.h>
#include <string.h>

struct prompt_words {
    const tokenizer *tokens;
    const task *t;
    const chat *chat;
    int32_t eos, verdict[2];
    token_list suffix;
    char *system;       /* NULL: no system message is given to the template */
    chat_frame judge;   /* the template's words around the judge's question */
    chat_frame problem; /* of a template of kind CHAT_OWN: what is around a problem, the examples too */
};

/* ---- Making ---- */

static bool is_plain(const prompt_words *w) {
    return chat_kind_of(w->chat) == CHAT_PLAIN;
}

/* The task's system turn, else the model's own. A template with a system turn of its own is given an empty
 * message where the task wants none. */
static void choose_system(prompt_words *w) {
    const char *own = chat_own_system(w->chat);
    text_buffer text = {0};
    if (task_system(w->t, own, &text))
        w->system = mem_strdup(text.at);
    else if (own && chat_kind_of(w->chat) == CHAT_OWN)
        w->system = mem_strdup("");
    text_free(&text);
}

/* The system turn, each example with its answer, and the question. In a plain prompt the examples are part of
 * the text. p NULL: the question's place. */
static void list_messages(const prompt_words *w, const problem *p, arena *memory, message_list *out) {
    int64_t examples = is_plain(w) ? 0 : task_example_count(w->t);
    text_buffer text = {0};
    if (w->system) MEM_LIST_PUSH(out, ((message){MESSAGE_SYSTEM, w->system}));
    for (int64_t i = 0; i <= examples; i++) {
        const problem *asked = i < examples ? task_example(w->t, i) : p;
        text_clear(&text);
        text_puts(&text, "");
        if (!asked)
            ; /* only what is around it is wanted */
        else if (is_plain(w))
            task_prompt_plain(w->t, asked, &text);
        else
            task_prompt_chat(w->t, asked, &text);
        MEM_LIST_PUSH(out, ((message){MESSAGE_USER, arena_strdup(memory, text.at)}));
        if (i < examples) MEM_LIST_PUSH(out, ((message){MESSAGE_ASSISTANT, asked->rationale}));
    }
    text_free(&text);
}

static esp_status make_frames(prompt_words *w, esp_error *error) {
    const message judge[] = {{MESSAGE_SYSTEM, w->system}, {MESSAGE_USER, ""}};
    ESP_TRY(chat_frame_make(w->chat, w->tokens, judge + !w->system, w->system ? 2 : 1, &w->judge, error));
    if (chat_kind_of(w->chat) != CHAT_OWN) return ESP_OK;
    arena *memory = arena_new();
    message_list messages = {0};
    list_messages(w, NULL, memory, &messages);
    esp_status status = chat_frame_make(w->chat, w->tokens, messages.at, messages.count, &w->problem, error);
    MEM_LIST_FREE(&messages);
    arena_free(memory);
    return status;
}

/* The suffix (docs/method.md 3.1): with a chat template it ends the user's turn and begins the assistant's.
 */
static esp_status make_suffix(prompt_words *w, esp_error *error) {
    const char *answer = task_judge_answer(w->t);
    const char *question = task_judge_question(w->t);
    marked_text text = {0};
    marked_text_other(&text, question, strlen(question));
    marked_text_part(&text, &w->judge.after, 0, w->judge.after.text.length);
    /* The turn's own beginning ends the line already. */
    if (!is_plain(w)) answer += answer[0] == '\n';
    marked_text_other(&text, answer, strlen(answer));
    esp_status status = tokenizer_encode_trusted(w->tokens, text.text.at, text.text.length, text.trusted.at,
                                                 (size_t)text.trusted.count, &w->suffix, error);
    marked_text_free(&text);
    return status;
}

static esp_status prepare(prompt_words *w, esp_error *error) {
    w->eos = chat_end_token(w->chat, w->tokens);
    if (w->eos < 0)
        return error_fail(
            error, "a policy must be able to end its answer: add eos_token to the tokenizer's configuration",
            "the tokenizer has no end-of-sequence token");
    int64_t ends;
    tokenizer_ends(w->tokens, &ends);
    if (ends >= STEP_MAX_ENDS)
        return error_fail(error, "leave those that end an answer in its generation_config.json",
                          "the model's files name %lld end-of-sequence tokens; at most %d can be kept",
                          (long long)ends, STEP_MAX_ENDS - 1);
    for (int correct = 0; correct < 2; correct++)
        w->verdict[correct] = tokenizer_find(w->tokens, task_verdict(w->t, correct));
    choose_system(w);
    ESP_TRY(make_frames(w, error));
    return make_suffix(w, error);
}

esp_status prompt_words_new(prompt_words **out, const tokenizer *tokens, const task *t, const chat *chat,
                            esp_error *error) {
    *out = NULL;
    prompt_words *w = MEM_NEW(prompt_words);
    *w = (prompt_words){.tokens = tokens, .t = t, .chat = chat};
    esp_status status = prepare(w, error);
    if (status != ESP_OK) {
        prompt_words_free(w);
        return status;
    }
    *out = w;
    return ESP_OK;
}

void prompt_words_free(prompt_words *w) {
    if (!w) return;
    MEM_LIST_FREE(&w->suffix);
    chat_frame_free(&w->judge);
    chat_frame_free(&w->problem);
    mem_free(w->system);
    mem_free(w);
}

const tokenizer *prompt_tokenizer(const prompt_words *w) {
    return w->tokens;
}

const task *prompt_task(const prompt_words *w) {
    return w->t;
}

/* ---- Ids ---- */

/* answer: of a plain prompt, the text that follows it, as one text with it; NULL: none. */
static esp_status encode_prompt(const prompt_words *w, const problem *p, const char *answer, token_list *out,
                                esp_error *error) {
    arena *memory = arena_new();
    message_list messages = {0};
    list_messages(w, p, memory, &messages);
    if (answer) {
        const char **last = &messages.at[messages.count - 1].content;
        size_t n = strlen(*last);
        text_buffer whole = {0};
        text_printf(&whole, "%s%s%s", *last, n > 0 && !isspace((unsigned char)(*last)[n - 1]) ? " " : "",
                    answer);
        *last = arena_strdup(memory, whole.at);
        text_free(&whole);
    }
    const char *question = messages.at[messages.count - 1].content;
    esp_status status = chat_kind_of(w->chat) == CHAT_OWN
                            ? chat_frame_encode(&w->problem, w->tokens, question, out, error)
                            : messages_encode(w->chat, w->tokens, messages.at, messages.count, out, error);
    MEM_LIST_FREE(&messages);
    arena_free(memory);
    return status;
}

esp_status prompt_ids(const prompt_words *w, const problem *p, token_list *out, esp_error *error) {
    return encode_prompt(w, p, NULL, out, error);
}

esp_status prompt_answer_ids(const prompt_words *w, const char *text, size_t length, token_list *out,
                             esp_error *error) {
    ESP_TRY(tokenizer_encode(w->tokens, text, length, false, out, error));
    MEM_LIST_PUSH(out, w->eos);
    return ESP_OK;
}

esp_status prompt_judge_prefix(const prompt_words *w, const problem *p, bool with_example, token_list *out,
                               esp_error *error) {
    text_buffer text = {0};
    task_judge_prefix(w->t, p, with_example, &text);
    esp_status status = chat_frame_encode_open(&w->judge, w->tokens, text.at ? text.at : "", out, error);
    text_free(&text);
    return status;
}

const token_list *prompt_judge_suffix(const prompt_words *w) {
    return &w->suffix;
}

int32_t prompt_verdict_id(const prompt_words *w, bool correct) {
    return w->verdict[correct];
}

int32_t prompt_eos(const prompt_words *w) {
    return w->eos;
}

bool prompt_is_end(const prompt_words *w, int32_t id) {
    int64_t n;
    const int32_t *ends = tokenizer_ends(w->tokens, &n);
    for (int64_t i = 0; i < n; i++)
        if (id == ends[i]) return true;
    return id == w->eos;
}

/* ---- Both prompts of a problem ---- */

static problem without_gold(const problem *p) {
    problem question = *p;
    question.gold = question.rationale = question.raw = question.example = NULL;
    question.gold_option = -1;
    return question;
}

esp_status prompt_pair_make(const prompt_words *w, const problem *p, bool judge, bool with_example,
                            int64_t context, prompt_pair *out, esp_error *error) {
    *out = (prompt_pair){0};
    problem question = without_gold(p);
    ESP_TRY(prompt_ids(w, &question, &out->of[PREFIX_POLICY], error));
    if (judge)
        ESP_TRY(prompt_judge_prefix(w, with_example ? p : &question, with_example, &out->of[PREFIX_JUDGE],
                                    error));
    out->room = context - out->of[PREFIX_POLICY].count;
    int64_t judged = context - out->of[PREFIX_JUDGE].count - w->suffix.count;
    if (judge && judged < out->room) out->room = judged;
    return ESP_OK;
}

void prompt_pair_free(prompt_pair *pair) {
    for (int i = 0; i < PREFIXES; i++) MEM_LIST_FREE(&pair->of[i]);
    *pair = (prompt_pair){0};
}

esp_status prompt_room(const prompt_words *w, const problem *p, bool judge, bool with_example,
                       int64_t context, int64_t *room, esp_error *error) {
    prompt_pair pair;
    esp_status status = prompt_pair_make(w, p, judge, with_example, context, &pair, error);
    *room = pair.room;
    prompt_pair_free(&pair);
    return status;
}

/* ---- Options ---- */

static esp_status no_option_text(const problem *p, int32_t i, const char *what, esp_error *error) {
    return error_fail(error, "each option needs a text that is not blank", "problem %s: option %d has no %s",
                      p->id, i + 1, what);
}

/* The ids of prompt and option together. */
static esp_status option_ids(const prompt_words *w, const problem *p, const char *text,
                             const token_list *prompt, token_list *out, esp_error *error) {
    if (is_plain(w)) return encode_prompt(w, p, text, out, error);
    MEM_LIST_APPEND(out, prompt->at, prompt->count);
    return tokenizer_encode(w->tokens, text, strlen(text), false, out, error);
}

/* Cuts off all what they begin with alike, at most as many ids as the prompt has: that is the prompt then. */
static void part_options(prompt_choices *o) {
    int64_t same = o->prompt.count;
    for (int32_t i = 0; i < o->count; i++) {
        int64_t n = 0;
        while (n < same && n < o->of[i].count - 1 && o->of[i].at[n] == o->of[0].at[n]) n++;
        same = n;
    }
    o->prompt.count = 0;
    MEM_LIST_APPEND(&o->prompt, o->of[0].at, same);
    for (int32_t i = 0; i < o->count; i++) {
        o->of[i].count -= same;
        memmove(o->of[i].at, o->of[i].at + same, (size_t)o->of[i].count * sizeof *o->of[i].at);
    }
}

esp_status prompt_choices_make(const prompt_words *w, const problem *p, bool labels, prompt_choices *out,
                               esp_error *error) {
    *out = (prompt_choices){0};
    problem question = without_gold(p);
    if (p->option_count < 2)
        return error_fail(error, "take a task that has options (the key task.options)",
                          "problem %s has no options to choose from", p->id);
    ESP_TRY(prompt_ids(w, &question, &out->prompt, error));
    out->of = MEM_ARRAY(token_list, p->option_count);
    out->count = p->option_count;
    for (int32_t i = 0; i < out->count; i++) {
        const char *text = labels ? p->options[i].label : p->options[i].text;
        if (!text[strspn(text, " \t\r\n")]) return no_option_text(p, i, labels ? "label" : "text", error);
        ESP_TRY(option_ids(w, &question, text, &out->prompt, &out->of[i], error));
    }
    part_options(out);
    return ESP_OK;
}

void prompt_choices_free(prompt_choices *o) {
    for (int32_t i = 0; i < o->count; i++) MEM_LIST_FREE(&o->of[i]);
    mem_free(o->of);
    MEM_LIST_FREE(&o->prompt);
    *o = (prompt_choices){0};
}

/* ---- Text ---- */

esp_status prompt_text(const prompt_words *w, const int32_t *ids, int64_t n, text_buffer *out,
                       esp_error *error) {
    text_append(out, "", 0);
    return tokenizer_decode_more(w->tokens, ids, n, false, out, error);
}

esp_status prompt_path_text(const prompt_words *w, const search *s, int32_t node, text_buffer *out,
                            esp_error *error) {
    int64_t n = search_path_ids(s, node, NULL);
    int32_t *ids = MEM_ARRAY(int32_t, n);
    search_path_ids(s, node, ids);
    esp_status status = prompt_text(w, ids, n, out, error);
    mem_free(ids);
    return status;
}

step_rules prompt_step_rules(const prompt_words *w) {
    step_rules r = {.size = STEP_LINE,
                    .sentences = task_unit(w->t) == TASK_STEP_SENTENCE,
                    .markers = task_answer_markers(w->t),
                    .ends = {w->eos},
                    .end_count = 1,
                    .drop_answer_newline = true,
                    .max_step_tokens = INT32_MAX};
    /* A chat model that ends with the plain end-of-sequence has ended too. */
    int64_t n;
    const int32_t *ends = tokenizer_ends(w->tokens, &n);
    for (int64_t i = 0; i < n; i++)
        if (ends[i] != w->eos) r.ends[r.end_count++] = ends[i];
    return r;
}

/* ---- A text of the user's own ---- */

esp_status prompt_of_text(const tokenizer *t, const prompt_form *form, const char *text, size_t length,
                          token_list *out, esp_error *error) {
    bool no_system = !form->system || !*form->system;
    chat_kind kind = chat_kind_of(form->chat);
    if (kind == CHAT_PLAIN && no_system) {
        if (form->bos && tokenizer_adds_bos(t) && tokenizer_bos(t) >= 0) MEM_LIST_PUSH(out, tokenizer_bos(t));
        return tokenizer_encode(t, text, length, form->special, out, error);
    }
    if (strlen(text) != length)
        return error_fail(error, "take the zero byte out", "the prompt holds a zero byte");
    const char *own = chat_own_system(form->chat);
    bool keeps_empty =
        kind == CHAT_OWN && own; /* an empty message, so that the template's own does not come */
    const char *system = !form->system ? own : no_system && !keeps_empty ? NULL : form->system;
    return chat_encode(form->chat, t, system, text, out, error);
}

esp_status prompt_check(const int32_t *ids, int64_t n, int64_t vocab, int64_t context, int64_t *room,
                        esp_error *error) {
    *room = context - n;
    if (n == 0) /* a model needs one token to go on from */
        return error_fail(error, "give at least one word", "the prompt is empty");
    if (*room < 1)
        return error_fail(error, "shorten the prompt, or give the model more context",
                          "the prompt has %lld tokens, which leaves no room in the context of %lld",
                          (long long)n, (long long)context);
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return error_fail(error, "use the tokenizer that belongs to the model",
                              "the tokenizer gives id %d, the model's vocabulary has %lld", (int)ids[i],
                              (long long)vocab);
    return ESP_OK;
}
