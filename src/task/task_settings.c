/* The keys of a task, and the tasks that are part of the program. */
#include "task/task_settings.h"

#include "base/file.h"
#include "formats/rows.h"
#include "task/answer.h"
#include "task/builtin.h"

#include <assert.h>
#include <string.h>

#define FIELD(name) .key = #name, .offset = offsetof(task_settings, name)
#define TEXT(name)                                                                                           \
    .type = OPTION_STRING, FIELD(name) + 0 * sizeof(_Generic(((task_settings *)0)->name, char * : 1))
#define ENUM(name, names) .type = OPTION_ENUM, .choices = names, FIELD(name)

/* clang-format off */
static const option rows[] = {
    {TEXT(name), .help = "name of the task; empty: that of its file"},
    {TEXT(question), .initial = "question", .marks = OPTION_LIST, .help = "fields of a row that hold the question: the first that the row has; a path (question.stem), or a text with paths ({Body} {Question})"},
    {TEXT(gold), .initial = "answer", .marks = OPTION_LIST, .help = "fields that hold the answer, by itself or at the end of a solution; of a problem with options its label or its text"},
    {ENUM(gold_form, "answer|index|number"), .initial = "answer", .help = "what the gold field holds: the answer; or of a problem with options its place, counted from 0 (index) or from 1 (number)"},
    {TEXT(rationale), .marks = OPTION_LIST, .help = "fields that hold a worked solution; empty: there is none, and search finds the chains to learn from"},
    {TEXT(rationale_remove), .help = "pattern (PCRE2) of what is taken out of a worked solution"},
    {TEXT(id), .initial = "id", .marks = OPTION_LIST, .help = "fields that name the row; without them its file and line do"},
    {TEXT(options), .marks = OPTION_LIST, .help = "fields that hold the answers that a problem offers: a list, or several fields of one answer each"},
    {TEXT(option_text), .initial = "text", .help = "field of an entry of that list that holds the text of an option"},
    {TEXT(option_label), .initial = "label", .help = "field of an entry that holds its label; without it options are A, B, C, ..."},
    {TEXT(options_pattern), .help = "pattern (PCRE2) of the label that begins each option where the question's text holds them: \\(([A-E])\\)"},
    {ENUM(options_order, "file|shuffled"), .initial = "file", .help = "the order in which options are shown: that of the file, or shuffled, each question always in the same way; labels keep their order"},
    {TEXT(system), .initial = "{model}", .help = "the system turn of a chat model: {model} is the one that its template has by itself; empty: none"},
    {TEXT(instruction), .help = "the instruction that comes before the question"},
    {TEXT(turn), .initial = "{instruction}\n\n{question}\n{options}", .help = "the user's turn for a chat model; places: {instruction}, {question}, {options}"},
    {TEXT(plain), .initial = "{instruction}\n\nProblem: {question}\n{options}\nSolution:\n", .help = "the prompt for a model without a chat template, with the same places"},
    {TEXT(option), .initial = "({label}) {text}", .help = "a line of {options}"},
    {TEXT(examples), .marks = OPTION_ROWS, .help = "rows that are shown, solved, before the question (few-shot), or a file of them; they are read as the problems are"},
    {ENUM(step, "line|sentence"), .initial = "line", .help = "what a step is: a line, or a sentence"},
    {TEXT(ends), .initial = "####\nThe answer is", .marks = OPTION_LIST, .help = "a line that has one of these texts is the last of a solution"},
    {TEXT(answer_line), .initial = "The answer is {answer}.", .help = "last line of a worked solution, as the model is taught it; places: {answer}, and of the correct option {label}, {text}; empty: the solution ends as it is"},
    {TEXT(place), .initial = "marker\nstated\nlast_number", .marks = OPTION_LIST, .help = "where the answer is in a text, tried in this order: marker, phrase, box, stated (the later of phrase and box), pattern, line, last_line, last_number, whole"},
    {TEXT(marker), .initial = "####", .help = "the text that place marker looks for"},
    {TEXT(pattern), .help = "the pattern (PCRE2) that place pattern looks for; the answer is its first group, or all of it"},
    {.type = OPTION_ENUM, .choice = answer_kind_name, .about = answer_kind_about, FIELD(kind), .initial = "number", .help = "what an answer is"},
    {TEXT(unknown), .flag = "--unknown", .initial = "skip", .help = "what a solution is worth in the search whose answer cannot be judged: skip (no reward, and no pair is made by it), incorrect, or a reward as a number"},
    {TEXT(judge_instruction), .initial = "Check the solution of a problem. Answer (A) if it has a mistake so far, (B) if it is correct so far.\n\n", .help = "beginning of the judge's prompt"},
    {TEXT(judge_question_head), .initial = "Problem: ", .help = "before the question in the judge's prompt"},
    {TEXT(judge_example_head), .initial = "Example of a correct solution:\n", .help = "before the worked solution that the judge is shown"},
    {TEXT(judge_steps_head), .initial = "Solution to check:\n", .help = "before the steps that are judged"},
    {TEXT(judge_question), .initial = "\n(A) or (B)?", .help = "after the steps"},
    {TEXT(judge_answer), .initial = "\n(", .help = "the beginning of the judge's answer: the verdict follows it directly"},
    {TEXT(judge_incorrect), .initial = "A", .help = "the verdict on steps with a mistake: a letter, one token"},
    {TEXT(judge_correct), .initial = "B", .help = "the verdict on correct steps"},
    {ENUM(mistakes, "none|numbers"), .initial = "none", .help = "how a mistake is put into a worked solution, to teach the judge: not at all, or by changing a number and those that follow from it"},
    {ENUM(generator, "none|arith"), .initial = "none", .help = "what makes problems where a source is generate:..."},
};
/* clang-format on */

option_table task_options(arena *memory) {
    option_part parts[32];
    int n = 0;
    parts[n++] = (option_part){.rows = {rows, (int)(sizeof rows / sizeof *rows)}};
    parts[n++] = (option_part){.rows = task_grading_options(), .base = offsetof(task_settings, grading)};
    for (int i = 0; answer_kind_at(i); i++) {
        assert(n < 32 && answer_kind_at(i)->settings_size <= sizeof(option_space));
        parts[n++] = (option_part){.rows = answer_kind_at(i)->options,
                                   .base = offsetof(task_settings, kind_settings),
                                   .chooser = "kind",
                                   .chosen = i};
    }
    return options_compose(parts, n, memory);
}

/* ---- Loading ---- */

bool task_name_is_file(const char *name) {
    return strchr(name, '/') || text_ends_with(name, ".yaml") || text_ends_with(name, ".yml");
}

static esp_status unknown_task(const char *name, esp_error *error) {
    text_buffer hint = {0};
    const char *names[64];
    int n = 0;
    for (; task_file_at(n) && n < 64; n++) {
        names[n] = task_file_at(n)->name;
        text_printf(&hint, "%s%s", n ? ", " : "tasks: ", names[n]);
    }
    text_puts(&hint, "; or name a file.yaml");
    const char *nearest = name_nearest(names, n, name);
    esp_status status =
        error_fail(error, hint.at, "unknown task \"%.100s\"%s%s%s", name, nearest ? " (did you mean " : "",
                   nearest ? nearest : "", nearest ? "?)" : "");
    text_free(&hint);
    return status;
}

static esp_status list_at(const char *name, option_table table, const char *group, int depth, settings *out,
                          esp_error *error) {
    settings_source from = {.name = name, .table = table, .group = group};
    yaml_header header = {0};
    char *text = NULL;
    if (depth > 8)
        return error_fail(error, "a task extends another one, and so on to one that extends none",
                          "%s: tasks extend each other without an end", name);
    if (task_name_is_file(name)) {
        ESP_TRY(file_read(name, &text, &from.length, error));
        from.yaml = text;
    } else {
        const task_file *file = task_file_named(name);
        if (!file) return unknown_task(name, error);
        from.yaml = file->yaml;
        from.length = file->length;
    }
    from.header = &header;
    settings own = {0};
    esp_status status = settings_read_yaml(&from, &own, error);
    if (status == ESP_OK && header.extends)
        status = list_at(header.extends, table, group, depth + 1, out, error);
    for (int64_t i = 0; status == ESP_OK && i < own.count; i++) {
        MEM_LIST_PUSH(out, own.at[i]);
        own.at[i].value = own.at[i].where = NULL;
    }
    settings_free(&own);
    mem_free(header.about);
    mem_free(header.extends);
    mem_free(text);
    return status;
}

esp_status task_settings_list(const char *name, option_table table, const char *group, settings *out,
                              esp_error *error) {
    return list_at(name, table, group, 0, out, error);
}

/* The rows of a file, as JSON rows. */
static esp_status read_examples(const char *path, text_buffer *out, esp_error *error) {
    rows_reader *reader;
    ESP_TRY(rows_open(&reader, path, error));
    esp_status status;
    for (json_t *row; (status = rows_next(reader, &row, error)) == ESP_OK && row;) {
        char *text = json_dumps(row, JSON_COMPACT);
        text_printf(out, "%s%s", out->length ? "\n" : "", text);
        free(text);
    }
    rows_close(reader);
    return status;
}

esp_status task_settings_complete(task_settings *s, const char *source, esp_error *error) {
    if (!*s->name && source) {
        const char *slash = strrchr(source, '/'), *name = slash ? slash + 1 : source;
        mem_free(s->name);
        s->name = mem_strndup(name, strcspn(name, "."));
    }
    if (!*s->examples || *s->examples == '{') return ESP_OK;
    text_buffer found = {0};
    text_puts(&found, "");
    esp_status status = read_examples(s->examples, &found, error);
    if (status != ESP_OK) {
        text_free(&found);
        return error_prefix(error, "examples");
    }
    mem_free(s->examples);
    s->examples = found.at;
    return ESP_OK;
}

esp_status task_settings_load(task_settings *out, const char *name, option_table table, settings *given,
                              esp_error *error) {
    *out = (task_settings){0};
    options_defaults(table, out);
    esp_status status = task_settings_list(name, table, "", given, error);
    if (status == ESP_OK) status = settings_apply_choices(table, out, given, error);
    options_defaults_of_choice(table, out);
    for (int64_t i = 0; status == ESP_OK && i < given->count; i++)
        status = settings_apply(table, out, &given->at[i], error);
    if (status == ESP_OK) status = task_settings_complete(out, name, error);
    if (status != ESP_OK) task_settings_free(out);
    return status;
}

void task_settings_free(task_settings *s) {
    arena *memory = arena_new();
    options_free(task_options(memory), s);
    arena_free(memory);
    *s = (task_settings){0};
}
