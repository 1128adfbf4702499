/* Problems from rows: which fields hold what, the options, the gold answer and the worked solution. */
#include "formats/json.h"
#include "task/field.h"
#include "task/task_ops.h"
#include "task/template.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const task *t;
    const json_t *row;
    const char *where;
    arena *memory;
    problem *out;
    esp_error *error;
} row_reader;

static const char *keep(const row_reader *r, const char *text) {
    return arena_strdup(r->memory, text);
}

/* ---- Errors ---- */

static esp_status no_field(const row_reader *r, const char *key, const char *fields) {
    text_buffer names = {0}, has = {0};
    const char *name;
    json_t *value;
    field_names(fields, &names);
    json_object_foreach((json_t *)r->row, name, value) if (has.length < 300)
        text_printf(&has, "%s%s", has.length ? ", " : "the row has: ", name);
    char *hint =
        mem_printf("%s; the task's key %s names the field", has.at ? has.at : "the row is empty", key);
    esp_status status = error_fail(r->error, hint, "%s: there is no field %s, which holds the %s", r->where,
                                   names.at ? names.at : "", key);
    mem_free(hint);
    text_free(&names);
    text_free(&has);
    return status;
}

/* A field whose value is not what the task needs. */
static esp_status bad_field(const row_reader *r, const char *fields, const char *value, const char *says,
                            const char *hint) {
    text_buffer names = {0};
    field_names(fields, &names);
    char *shown = value ? task_excerpt(value, 0, strlen(value)) : NULL;
    esp_status status =
        error_fail(r->error, hint, "%s: field %s%s%s%s: %s", r->where, names.at ? names.at : "",
                   shown ? ": \"" : "", shown ? shown : "", shown ? "\"" : "", says);
    mem_free(shown);
    text_free(&names);
    return status;
}

/* ---- Fields ---- */

static bool is_text(const json_t *value) {
    if (!json_is_array(value)) return json_is_string(value);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i))) return false;
    return true;
}

/* The text of a field, or of a list of texts; *out NULL where the row has none. */
static esp_status text_of(const row_reader *r, const char *fields, const char **out) {
    text_buffer text = {0};
    json_t *value = field_value(fields, r->row);
    esp_status status = ESP_OK;
    *out = NULL;
    if (value && (!is_text(value) || !field_text(value, &text)))
        status = bad_field(r, fields, NULL, "not a text", "give a text, or a list of texts");
    else if (value)
        *out = keep(r, text.at);
    json_decref(value);
    text_free(&text);
    return status;
}

static void read_id(const row_reader *r, const char *stem) {
    text_buffer id = {0};
    json_t *value = field_value(r->t->s.id, r->row);
    bool named = (json_is_string(value) || json_is_integer(value)) && field_text(value, &id) && id.length > 0;
    if (!named) {
        text_clear(&id);
        text_printf(&id, "%s:%lld", stem, (long long)r->out->line);
    }
    r->out->id = keep(r, id.at);
    text_free(&id);
    json_decref(value);
}

/* ---- Options ---- */

typedef MEM_LIST(problem_option) option_list;

static void add_option(const row_reader *r, option_list *list, const char *label, const char *text) {
    char letter[12];
    if (list->count < 26)
        snprintf(letter, sizeof letter, "%c", (int)('A' + list->count));
    else
        snprintf(letter, sizeof letter, "%lld", (long long)list->count + 1);
    problem_option o = {keep(r, label ? label : letter), keep(r, text)};
    MEM_LIST_PUSH(list, o);
}

/* The options become those of the problem; the list is freed. */
static void keep_options(const row_reader *r, option_list *list) {
    problem_option *kept = ARENA_ARRAY(r->memory, problem_option, list->count + 1);
    if (list->count) memcpy(kept, list->at, (size_t)list->count * sizeof *kept);
    r->out->options = kept;
    r->out->option_count = (int32_t)list->count;
    MEM_LIST_FREE(list);
}

/* The member of an option's entry as a text; false: there is none. */
static bool member_text(const json_t *entry, const char *path, text_buffer *out) {
    const json_t *value = field_at(path, strlen(path), entry);
    text_clear(out);
    return value && !json_is_array(value) && field_text(value, out);
}

static bool add_entry(const row_reader *r, const json_t *entry, option_list *list) {
    text_buffer text = {0}, label = {0};
    bool fine;
    if (json_is_object(entry)) {
        bool labelled = member_text(entry, r->t->s.option_label, &label);
        fine = member_text(entry, r->t->s.option_text, &text);
        if (fine) add_option(r, list, labelled ? label.at : NULL, text.at);
    } else {
        fine = !json_is_array(entry) && field_text(entry, &text);
        if (fine) add_option(r, list, NULL, text.at);
    }
    text_free(&text);
    text_free(&label);
    return fine;
}

/* {"text": [...], "label": [...]}: a list of texts and one of labels. */
static bool add_columns(const row_reader *r, const json_t *texts, const json_t *labels, option_list *list) {
    text_buffer text = {0}, label = {0};
    bool fine = true;
    for (size_t i = 0; i < json_array_size(texts) && fine; i++) {
        text_clear(&text);
        text_clear(&label);
        fine = field_text(json_array_get(texts, i), &text);
        bool labelled = labels && field_text(json_array_get(labels, i), &label);
        if (fine) add_option(r, list, labelled ? label.at : NULL, text.at);
    }
    text_free(&text);
    text_free(&label);
    return fine;
}

/* The options of one field: an option, a list of them, or two lists. */
static bool add_options(const row_reader *r, const json_t *value, option_list *list) {
    const task_settings *s = &r->t->s;
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++)
            if (!add_entry(r, json_array_get(value, i), list)) return false;
        return true;
    }
    const json_t *texts =
        json_is_object(value) ? field_at(s->option_text, strlen(s->option_text), value) : NULL;
    if (json_is_array(texts))
        return add_columns(r, texts, field_at(s->option_label, strlen(s->option_label), value), list);
    return add_entry(r, value, list);
}

/* Options that are in the question's text: each begins with a match of the pattern, which holds its label. */
static void split_question(const row_reader *r, option_list *list) {
    const char *text = r->out->question;
    size_t length = strlen(text), end = length;
    pattern_match m, next;
    bool found = pattern_find(r->t->options_pattern, text, length, 0, &m);
    if (found) end = m.start;
    while (found) {
        bool more =
            pattern_find(r->t->options_pattern, text, length, m.end > m.start ? m.end : m.end + 1, &next);
        size_t from = m.end, to = more ? next.start : length;
        while (from < to && strchr(" \t\r\n", text[from])) from++;
        while (to > from && strchr(" \t\r\n", text[to - 1])) to--;
        char *label = mem_strndup(text + m.group_start, m.group_end - m.group_start);
        char *one = mem_strndup(text + from, to - from);
        add_option(r, list, label, one);
        mem_free(label);
        mem_free(one);
        m = next;
        found = more;
    }
    while (end > 0 && strchr(" \t\r\n", text[end - 1])) end--;
    char *question = mem_strndup(text, end);
    r->out->question = keep(r, question);
    mem_free(question);
}

esp_status task_read_options(const task *t, const json_t *value, const char *where, arena *memory,
                             problem *out, esp_error *error) {
    row_reader r = {.t = t, .where = where, .memory = memory, .out = out, .error = error};
    option_list list = {0};
    bool fine = json_is_array(value);
    for (size_t i = 0; fine && i < json_array_size(value); i++) {
        const json_t *one = json_array_get(value, i);
        const char *text = json_string_value(json_is_string(one) ? one : json_object_get(one, "text"));
        fine = text != NULL;
        if (fine) add_option(&r, &list, json_string_value(json_object_get(one, "label")), text);
    }
    keep_options(&r, &list);
    return fine ? ESP_OK
                : error_fail(error, "write a list of texts, or of {\"label\", \"text\"}",
                             "%s: field \"options\": not a list of options", where);
}

static esp_status read_options(const row_reader *r) {
    const task *t = r->t;
    option_list list = {0};
    bool fine = true;
    if (t->options.count == 0 && !t->options_pattern) return ESP_OK;
    for (int64_t i = 0; i < t->options.count && fine; i++) {
        json_t *value = field_value(t->options.at[i], r->row);
        if (value) fine = add_options(r, value, &list);
        json_decref(value);
    }
    if (fine && list.count == 0 && t->options_pattern) split_question(r, &list);
    keep_options(r, &list);
    if (!fine)
        return bad_field(
            r, t->s.options, NULL, "not a list of options",
            "an option is a text, or a map that option_text and option_label name the fields of");
    if (r->out->option_count < 2) {
        if (t->options.count == 0)
            return bad_field(r, t->s.question, r->out->question,
                             "fewer than two options match options_pattern",
                             "each option begins with a match of the pattern, whose group is its label");
        return r->out->option_count
                   ? bad_field(r, t->s.options, NULL, "only one option", "two or more are needed")
                   : no_field(r, "options", t->s.options);
    }
    return ESP_OK;
}

/* ---- The gold answer ---- */

/* The option that a gold text names by its label, else by its text; -1: none. */
static int32_t option_named(const problem *p, const char *gold) {
    for (int32_t i = 0; i < p->option_count; i++)
        if (strcmp(p->options[i].label, gold) == 0) return i;
    for (int32_t i = 0; i < p->option_count; i++)
        if (strcmp(p->options[i].text, gold) == 0) return i;
    return -1;
}

static esp_status gold_option(const row_reader *r, const json_t *value, const char *text) {
    const task_settings *s = &r->t->s;
    problem *p = r->out;
    if (s->gold_form == TASK_GOLD_ANSWER) {
        p->gold_option = option_named(p, text);
    } else {
        char *end;
        long long place = json_is_string(value) ? strtoll(text, &end, 10) : json_integer_value(value);
        bool whole = json_is_integer(value) || (json_is_string(value) && *text && !*end);
        place -= s->gold_form == TASK_GOLD_NUMBER;
        p->gold_option = whole && place >= 0 && place < p->option_count ? (int32_t)place : -1;
    }
    if (p->gold_option < 0) {
        text_buffer hint = {0};
        for (int32_t i = 0; i < p->option_count; i++)
            text_printf(&hint, "%s%s", i ? ", " : "the row's options: ", p->options[i].label);
        if (s->gold_form != TASK_GOLD_ANSWER)
            text_printf(&hint, "; gold_form is %s: places count from %d",
                        s->gold_form == TASK_GOLD_INDEX ? "index" : "number",
                        s->gold_form == TASK_GOLD_NUMBER);
        esp_status status = bad_field(r, s->gold, text, "names none of the row's options", hint.at);
        text_free(&hint);
        return status;
    }
    p->gold = p->options[p->gold_option].label;
    return ESP_OK;
}

static esp_status gold_answer(const row_reader *r, const char *text) {
    const answer_form *f = &r->t->answers;
    answer_reading a;
    if (!answer_find_gold(f, r->out, text, &a) || !a.answer) {
        mem_free(a.answer);
        char *hint =
            mem_printf("expected an answer of kind %s, by itself or where the task's place finds it (%.*s)",
                       f->kind->name, (int)strcspn(r->t->s.place, "\n"), r->t->s.place);
        esp_status status = bad_field(r, r->t->s.gold, text, f->kind->bad_gold, hint);
        mem_free(hint);
        return status;
    }
    char *shown = (f->kind->keep ? f->kind->keep : f->kind->show)(f->settings, r->out, a.answer);
    r->out->gold = keep(r, shown);
    mem_free(shown);
    mem_free(a.answer);
    return ESP_OK;
}

/* *raw: the field's text, NULL where it is not one. */
static esp_status read_gold(const row_reader *r, const char **raw) {
    const char *fields = r->t->s.gold;
    json_t *value = field_value(fields, r->row);
    text_buffer text = {0};
    esp_status status;
    *raw = NULL;
    if (!value)
        status = no_field(r, "gold", fields);
    else if (json_is_array(value) || !field_text(value, &text))
        status =
            bad_field(r, fields, NULL, "not a text, a number or true or false", "give the answer by itself");
    else if (r->out->option_count > 0)
        status = gold_option(r, value, text.at);
    else
        status = gold_answer(r, text.at);
    if (status == ESP_OK && json_is_string(value)) *raw = keep(r, text.at);
    json_decref(value);
    text_free(&text);
    return status;
}

/* ---- The order of the options ---- */

static int by_text(const void *a, const void *b) {
    return strcmp(((const problem_option *)a)->text, ((const problem_option *)b)->text);
}

/* Moves the texts of the options, by a key that is a function of the question alone; the labels stay. The
 * order in the file has no part in it, so that shuffled problems are shuffled to what they are. */
static void shuffle_options(const row_reader *r) {
    problem *p = r->out;
    int32_t n = p->option_count;
    problem_option *to = ARENA_ARRAY(r->memory, problem_option, n + 1);
    const char *gold = p->options[p->gold_option].text;
    rng_key_t key = rng_key(0x6f7074696f6e73);
    for (const char *c = p->question; *c; c++) key = rng_mix(key, (unsigned char)*c);
    memcpy(to, p->options, (size_t)n * sizeof *to);
    qsort(to, (size_t)n, sizeof *to, by_text);
    for (int32_t i = n; i-- > 1;) {
        int32_t j = (int32_t)rng_below(key, (uint64_t)i, (uint64_t)i + 1);
        problem_option other = to[i];
        to[i] = to[j];
        to[j] = other;
    }
    for (int32_t i = 0; i < n; i++) {
        if (to[i].text == gold) p->gold_option = i;
        to[i].label = p->options[i].label;
    }
    p->options = to;
    p->gold = to[p->gold_option].label;
}

/* ---- The worked solution ---- */

/* NULL: there is none. A field that holds the answer too is a solution only where it is a text: {"answer":
 * 5}. */
static esp_status read_solution(const row_reader *r, const char **out) {
    json_t *value = field_value(r->t->s.rationale, r->row), *gold = field_value(r->t->s.gold, r->row);
    bool bare = value == gold && !is_text(value);
    json_decref(value);
    json_decref(gold);
    *out = NULL;
    return bare ? ESP_OK : text_of(r, r->t->s.rationale, out);
}

/* ---- Rows ---- */

esp_status task_read_row(const task *t, const json_t *row, const char *where, const char *stem, arena *memory,
                         problem *out, esp_error *error) {
    row_reader r = {t, row, where, memory, out, error};
    const char *raw, *solution;
    if (!json_is_object(row))
        return error_fail(error, "a row is an object: {\"question\": ..., \"answer\": ...}",
                          "%s: the row is not an object", where);
    read_id(&r, stem);
    ESP_TRY(text_of(&r, t->s.question, &out->question));
    if (!out->question) return no_field(&r, "question", t->s.question);
    ESP_TRY(read_options(&r));
    ESP_TRY(read_gold(&r, &raw));
    if (out->option_count > 0 && t->s.options_order == TASK_OPTIONS_SHUFFLED) shuffle_options(&r);
    ESP_TRY(read_solution(&r, &solution));
    out->rationale = solution ? task_rationale(t, out, solution, memory) : NULL;
    out->raw = raw ? raw : out->rationale ? out->rationale : out->gold;
    return ESP_OK;
}
