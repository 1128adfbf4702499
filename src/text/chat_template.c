/* A chat template of a model, or of the user: opened, looked into, and rendered. */
#include "text/chat_inner.h"

#include "base/file.h"
#include "formats/json.h"

#include <stdio.h>
#include <string.h>

/* Characters of the private use area, which no template writes, mark the places of texts. */
#define QUESTION_CORE  "\uE000q\uE001"
#define QUESTION_LEFT  " \t\n"
#define QUESTION_RIGHT "\n\t "
#define QUESTION       QUESTION_LEFT QUESTION_CORE QUESTION_RIGHT
#define OTHER_CORE     "\uE002 other \uE003\uE004"
#define OTHER          QUESTION_LEFT OTHER_CORE QUESTION_RIGHT
#define SYSTEM         "\uE005s\uE006"
#define ANSWER         "\uE007a\uE008"

static const char *const names[] = {"plain", "chatml", "llama2", "mistral"};
static const char choose_hint[] =
    "set model.chat_template to a file with another template, or to one of: " CHAT_NAMES;

/* ---- Rendering ---- */

static json_t *messages_json(const message *messages, int64_t n) {
    static const char *const roles[] = {"system", "user", "assistant"};
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) {
        const char *content = messages[i].content;
        json_array_append_new(list, json_pack("{s:s, s:o}", "role", roles[messages[i].role], "content",
                                              json_stringn_nocheck(content, strlen(content))));
    }
    return list;
}

esp_status chat_template_write(const chat *c, const message *messages, int64_t n, bool open, marked_text *out,
                               esp_error *error) {
    static const char *const own[] = {"role", "bos_token", "eos_token", "head", "tail", NULL};
    json_t *context = json_copy(c->context);
    json_object_set_new(context, "messages", messages_json(messages, n));
    json_object_set_new(context, "add_generation_prompt", json_boolean(open));
    jinja_input input = {.context = context, .own = own, .date = c->date, .limits = JINJA_LIMITS};
    esp_status status = jinja_render(c->template, &input, out, error);
    json_decref(context);
    if (status == ESP_OK) return ESP_OK;
    error_prefix(error, "the chat template");
    if (error && !error->hint[0]) snprintf(error->hint, sizeof error->hint, "%s", choose_hint);
    return status;
}

static size_t find(const marked_text *text, const char *words, size_t from) {
    const char *at = from <= text->text.length ? strstr(text->text.at + from, words) : NULL;
    return at ? (size_t)(at - text->text.at) : SIZE_MAX;
}

/* ---- Frames ---- */

void chat_frame_free(chat_frame *f) {
    marked_text_free(&f->before);
    marked_text_free(&f->after);
}

/* Cuts a rendered text at the question; false: the question is not there as it was or trimmed, or twice. */
static bool cut(const marked_text *text, const char *core, chat_frame *out) {
    size_t left = strlen(QUESTION_LEFT), right = strlen(QUESTION_RIGHT);
    size_t start = find(text, core, 0), end = start + strlen(core);
    if (start == SIZE_MAX || find(text, core, end) != SIZE_MAX) return false;
    bool has_left = start >= left && memcmp(text->text.at + start - left, QUESTION_LEFT, left) == 0;
    bool has_right = strncmp(text->text.at + end, QUESTION_RIGHT, right) == 0;
    if (has_left != has_right) return false;
    out->trims = !has_left;
    if (has_left) start -= left, end += right;
    marked_text_part(&out->before, text, 0, start);
    marked_text_part(&out->after, text, end, text->text.length);
    return true;
}

static bool same_text(const marked_text *a, const marked_text *b) {
    return a->text.length == b->text.length &&
           (a->text.length == 0 || memcmp(a->text.at, b->text.at, a->text.length) == 0);
}

/* Renders the conversation with a question in the last message's place. */
static esp_status frame_with(const chat *c, const tokenizer *t, const message *messages, int64_t n,
                             const char *question, const char *core, chat_frame *out, esp_error *error) {
    message *asked = MEM_ARRAY(message, n);
    marked_text text = {0};
    memcpy(asked, messages, (size_t)n * sizeof *asked);
    asked[n - 1].content = question;
    esp_status status = ESP_OK;
    if (c->kind == CHAT_OWN)
        status = chat_template_write(c, asked, n, true, &text, error);
    else
        chat_form_write(c->kind, t, n > 1 ? messages[0].content : NULL, question, &text);
    if (status == ESP_OK && !cut(&text, core, out))
        status = error_fail(error, choose_hint,
                            "the chat template changes the text of a question, or leaves it out");
    marked_text_free(&text);
    mem_free(asked);
    return status;
}

esp_status chat_frame_make(const chat *c, const tokenizer *t, const message *messages, int64_t n,
                           chat_frame *out, esp_error *error) {
    chat_frame other = {0};
    *out = (chat_frame){0};
    esp_status status = frame_with(c, t, messages, n, QUESTION, QUESTION_CORE, out, error);
    if (status == ESP_OK) status = frame_with(c, t, messages, n, OTHER, OTHER_CORE, &other, error);
    if (status == ESP_OK && (out->trims != other.trims || !same_text(&out->before, &other.before) ||
                             !same_text(&out->after, &other.after)))
        status = error_fail(error, choose_hint, "what the chat template writes depends on the question");
    chat_frame_free(&other);
    out->bos = c->kind == CHAT_OWN ? chat_lacks_bos(t, &out->before) : chat_form_has_bos(c->kind, t);
    if (status != ESP_OK) chat_frame_free(out);
    return status;
}

esp_status chat_frame_encode(const chat_frame *f, const tokenizer *t, const char *question, token_list *out,
                             esp_error *error) {
    marked_text text = {0};
    size_t start = 0, length = strlen(question);
    if (f->trims) jinja_strip(question, &start, &length);
    marked_text_part(&text, &f->before, 0, f->before.text.length);
    marked_text_other(&text, question + start, length);
    marked_text_part(&text, &f->after, 0, f->after.text.length);
    esp_status status = chat_marked_encode(t, f->bos, &text, out, error);
    marked_text_free(&text);
    return status;
}

esp_status chat_frame_encode_open(const chat_frame *f, const tokenizer *t, const char *text, token_list *out,
                                  esp_error *error) {
    marked_text whole = {0};
    marked_text_part(&whole, &f->before, 0, f->before.text.length);
    marked_text_other(&whole, text, strlen(text));
    esp_status status = chat_marked_encode(t, f->bos, &whole, out, error);
    marked_text_free(&whole);
    return status;
}

/* ---- What a template writes between messages ---- */

/* The first control token of a text before which there is only white space; -1: none. */
static int32_t first_control(const tokenizer *t, const marked_text *text) {
    token_list ids = {0};
    int32_t found = -1;
    if (tokenizer_encode_more(t, text->text.at ? text->text.at : "", text->text.length, text->trusted.at,
                              (size_t)text->trusted.count, &ids, NULL) == ESP_OK)
        for (int64_t i = 0; i < ids.count; i++) {
            size_t length;
            const char *piece = tokenizer_piece(t, ids.at[i], &length);
            if (tokenizer_is_special(t, ids.at[i])) found = ids.at[i];
            if (found >= 0 || strspn(piece, " \n\t") < length) break;
        }
    MEM_LIST_FREE(&ids);
    return found;
}

/* After a first question, an answer, and a second question. A template that refuses such a conversation has
 * no turns. */
static void learn_turns(chat *c, const tokenizer *t) {
    const message talk[] = {{MESSAGE_USER, "1"}, {MESSAGE_ASSISTANT, ANSWER}, {MESSAGE_USER, QUESTION}};
    marked_text text = {0};
    chat_frame f = {0};
    if (chat_template_write(c, talk, 3, true, &text, NULL) == ESP_OK && cut(&text, QUESTION_CORE, &f)) {
        size_t at = find(&f.before, ANSWER, 0);
        if (at != SIZE_MAX) {
            marked_text_part(&c->turns.between, &f.before, at + strlen(ANSWER), f.before.text.length);
            marked_text_part(&c->turns.after, &f.after, 0, f.after.text.length);
            c->turns.spaced = at > 0 && f.before.text.at[at - 1] == ' ' &&
                              !(f.after.text.at && text_ends_with(f.after.text.at, " "));
        }
    }
    c->trims = f.trims;
    c->end = first_control(t, &c->turns.between);
    chat_frame_free(&f);
    marked_text_free(&text);
}

/* The system turn that comes by itself is what is between the words around a given one. */
static void learn_system(chat *c, const tokenizer *t) {
    const message talk[] = {{MESSAGE_SYSTEM, SYSTEM}, {MESSAGE_USER, QUESTION}};
    chat_frame with = {0}, without = {0};
    if (frame_with(c, t, talk + 1, 1, QUESTION, QUESTION_CORE, &without, NULL) == ESP_OK)
        marked_text_part(&c->bare, &without.before, 0, without.before.text.length);
    size_t at = SIZE_MAX;
    if (frame_with(c, t, talk, 2, QUESTION, QUESTION_CORE, &with, NULL) == ESP_OK)
        at = find(&with.before, SYSTEM, 0);
    if (at != SIZE_MAX) {
        marked_text_part(&c->system_open, &with.before, 0, at);
        marked_text_part(&c->system_close, &with.before, at + strlen(SYSTEM), with.before.text.length);
        size_t open = at, close = c->system_close.text.length, bare = c->bare.text.length;
        const char *text = c->bare.text.at;
        if (bare > open + close && memcmp(text, with.before.text.at, open) == 0 &&
            memcmp(text + bare - close, c->system_close.text.at ? c->system_close.text.at : "", close) == 0)
            c->own = mem_strndup(text + open, bare - open - close);
    }
    chat_frame_free(&with);
    chat_frame_free(&without);
}

/* ---- Whether a template is one of the four forms ---- */

static bool same_prompt(const chat *c, chat_kind kind, const tokenizer *t, const char *system) {
    message talk[] = {{MESSAGE_SYSTEM, system}, {MESSAGE_USER, QUESTION}};
    marked_text text = {0}, form = {0};
    bool same = chat_template_write(c, talk + !system, system ? 2 : 1, true, &text, NULL) == ESP_OK;
    if (same && chat_form_has_bos(kind, t)) {
        size_t length;
        const char *bos = tokenizer_piece(t, tokenizer_bos(t), &length);
        if (chat_text_has_bos(t, &text)) marked_text_own(&form, bos, length);
        same = chat_text_has_bos(t, &text) || tokenizer_adds_bos(t);
    }
    chat_form_write(kind, t, system ? system : c->own, QUESTION, &form);
    same = same && same_text(&text, &form);
    marked_text_free(&text);
    marked_text_free(&form);
    return same;
}

/* What the form writes after an answer. */
static bool same_turns(const chat *c, chat_kind kind, const tokenizer *t) {
    marked_text form = {0};
    chat_frame f = {0};
    bool same = chat_form_turn(kind, t, QUESTION, &form, NULL) == ESP_OK && cut(&form, QUESTION_CORE, &f) &&
                same_text(&f.before, &c->turns.between) && same_text(&f.after, &c->turns.after);
    chat_frame_free(&f);
    marked_text_free(&form);
    return same;
}

static void learn_kind(chat *c, const tokenizer *t) {
    for (chat_kind kind = CHAT_CHATML; kind <= CHAT_MISTRAL; kind++) {
        if (!same_prompt(c, kind, t, SYSTEM) || !same_prompt(c, kind, t, NULL) || !same_turns(c, kind, t))
            continue;
        c->kind = kind;
        c->end = -1;
    }
}

/* ---- Opening ---- */

static esp_status read_options(const char *lines, json_t *context, esp_error *error) {
    for (const char *at = lines; at && *at;) {
        size_t length = strcspn(at, "\n"), name = strcspn(at, "=");
        if (name >= length)
            return error_fail(error, "write it as enable_thinking=false",
                              "model.chat_options: \"%.*s\" has no value", (int)length, at);
        char *key = mem_strndup(at, name);
        json_t *value = json_parse(at + name + 1, length - name - 1, &(json_error_t){0});
        if (!value) value = json_from_text(at + name + 1, length - name - 1);
        json_object_set_new(context, key, value);
        mem_free(key);
        at += length + (at[length] == '\n');
    }
    return ESP_OK;
}

static void put_token(json_t *context, const char *key, const tokenizer *t, int32_t id) {
    size_t length;
    const char *piece = tokenizer_piece(t, id, &length);
    json_object_set_new(context, key, json_stringn_nocheck(piece ? piece : "", length));
}

static const char two_strings[] =
    "{% for m in messages %}{% if m.role == 'system' %}"
    "{{ raise_exception('model.chat_head and model.chat_tail have no place for a system turn') }}"
    "{% elif m.role == 'user' %}{{ head + m.content + tail }}{% else %}{{ m.content + eos_token }}{% endif %}"
    "{% endfor %}";

static esp_status open_template(chat **out, const char *source, const chat_choice *choice, const tokenizer *t,
                                esp_error *error) {
    chat *c = *out = MEM_NEW(chat);
    *c = (chat){.kind = CHAT_OWN, .end = -1, .context = json_object()};
    c->date = mem_strdup(choice->date && choice->date[0] ? choice->date : CHAT_DATE);
    put_token(c->context, "bos_token", t, tokenizer_bos(t));
    put_token(c->context, "eos_token", t, tokenizer_eos(t));
    json_object_set_new(c->context, "tools", json_null());
    json_object_set_new(c->context, "documents", json_null());
    json_object_set_new(c->context, "head", json_string(choice->head ? choice->head : ""));
    json_object_set_new(c->context, "tail", json_string(choice->tail ? choice->tail : ""));
    ESP_TRY(read_options(choice->options, c->context, error));
    if (jinja_compile(&c->template, source, strlen(source), error) != ESP_OK) {
        error_prefix(error, "the chat template");
        if (error && !error->hint[0]) snprintf(error->hint, sizeof error->hint, "%s", choose_hint);
        return ESP_FAILED;
    }
    const message question[] = {{MESSAGE_USER, NULL}};
    chat_frame frame;
    ESP_TRY(chat_frame_make(c, t, question, 1, &frame, error));
    chat_frame_free(&frame);
    learn_turns(c, t);
    learn_system(c, t);
    learn_kind(c, t);
    return ESP_OK;
}

static bool is_blank(const char *text) {
    return !text || !text[strspn(text, " \t\r\n")];
}

/* The four forms by name: with the system turn of the tokenizer's template where that is of the same form. */
static esp_status open_form(chat **out, chat_kind kind, const chat_choice *choice, const tokenizer *t) {
    const char *source = t ? tokenizer_chat_template(t) : NULL;
    *out = MEM_NEW(chat);
    **out = (chat){.kind = kind, .end = -1};
    chat *own = NULL;
    if (kind != CHAT_PLAIN && !is_blank(source) && open_template(&own, source, choice, t, NULL) == ESP_OK &&
        own->kind == kind)
        (*out)->own = mem_strdup(own->own);
    chat_free(own);
    return ESP_OK;
}

bool chat_is_name(const char *name) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return strcmp(name, "auto") == 0;
}

static esp_status open_chosen(chat **out, const chat_choice *choice, const tokenizer *t, esp_error *error) {
    const char *name = choice->name && choice->name[0] ? choice->name : "auto";
    if ((choice->head && choice->head[0]) || (choice->tail && choice->tail[0]))
        return open_template(out, two_strings, choice, t, error);
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (strcmp(name, names[i]) == 0) return open_form(out, (chat_kind)i, choice, t);
    if (strcmp(name, "auto") == 0) {
        const char *source = tokenizer_chat_template(t);
        return is_blank(source) ? open_form(out, CHAT_PLAIN, choice, t)
                                : open_template(out, source, choice, t, error);
    }
    if (!file_exists(name))
        return error_fail(error, "it is auto, one of " CHAT_NAMES ", or a file with a template",
                          "model.chat_template: there is no file %s", name);
    char *source;
    size_t length;
    ESP_TRY(file_read(name, &source, &length, error));
    esp_status status = open_template(out, source, choice, t, error);
    mem_free(source);
    return status == ESP_OK ? ESP_OK : error_prefix(error, "%s", name);
}

esp_status chat_open(chat **out, const chat_choice *choice, const tokenizer *t, esp_error *error) {
    *out = NULL;
    esp_status status = open_chosen(out, choice, t, error);
    if (status == ESP_OK) return ESP_OK;
    chat_free(*out);
    *out = NULL;
    return status;
}

void chat_free(chat *c) {
    if (!c) return;
    marked_text_free(&c->turns.between);
    marked_text_free(&c->turns.after);
    marked_text_free(&c->bare);
    marked_text_free(&c->system_open);
    marked_text_free(&c->system_close);
    jinja_free(c->template);
    json_decref(c->context);
    mem_free(c->date);
    mem_free(c->own);
    mem_free(c);
}
