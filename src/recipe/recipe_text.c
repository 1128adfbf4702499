/* The recipe as text, and how two recipes differ. */
#include "base/file.h"
#include "recipe/recipe.h"

#include <string.h>

/* Text in YAML's double quotes: escapes for the quote, the backslash and control characters; UTF-8 as it is.
 */
static void quoted(const char *text, text_buffer *out) {
    text_puts(out, "\"");
    for (const char *c = text; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte == '"' || byte == '\\')
            text_printf(out, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            text_printf(out, "\\x%02x", byte);
        else
            text_append(out, c, 1);
    }
    text_puts(out, "\"");
}

static void write_value(const option *o, const recipe *r, text_buffer *out) {
    if (o->type == OPTION_STRING || o->type == OPTION_PATH) {
        text_buffer value = {0};
        option_get(o, r, &value);
        quoted(value.at ? value.at : "", out);
        text_free(&value);
    } else {
        option_get(o, r, out);
    }
}

static void write_keys(const recipe *r, text_buffer *out) {
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    const char *group = "";
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        size_t n = strcspn(o->key, ".");
        if (!option_applies(table, o, r)) continue;
        if (strncmp(group, o->key, n + 1) != 0) text_printf(out, "%.*s:\n", (int)n, o->key);
        group = o->key;
        text_printf(out, "  %s: ", o->key + n + 1);
        write_value(o, r, out);
        text_puts(out, "\n");
    }
    arena_free(memory);
}

void recipe_text(const recipe *r, text_buffer *out) {
    text_puts(out, "# The recipe as resolved: every key.\n");
    write_keys(r, out);
}

esp_status recipe_write(const recipe *r, const char *path, esp_error *error) {
    text_buffer text = {0};
    recipe_text(r, &text);
    esp_status status = file_write_all(path, text.at, text.length, error);
    text_free(&text);
    return status;
}

/* The value as written; nothing where the key does not apply. */
static void value_in(option_table table, const char *key, const recipe *r, text_buffer *out) {
    const option *o = option_in_use(table, key, r);
    text_puts(out, "");
    if (o) write_value(o, r, out);
}

void recipe_differences(const recipe *a, const recipe *b,
                        void (*tell)(void *user, const char *key, const char *in_a, const char *in_b),
                        void *user) {
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        if ((o->marks & OPTION_FREE) || option_by_key(table, o->key) != o) continue;
        text_buffer in_a = {0}, in_b = {0};
        value_in(table, o->key, a, &in_a);
        value_in(table, o->key, b, &in_b);
        if (strcmp(in_a.at, in_b.at) != 0) tell(user, o->key, in_a.at, in_b.at);
        text_free(&in_a);
        text_free(&in_b);
    }
    arena_free(memory);
}

typedef struct {
    text_buffer *out;
    option_table table;
    unsigned but_marks;
    int count;
} diff_lines;

static void add_line(void *user, const char *key, const char *there, const char *here) {
    diff_lines *lines = user;
    if (option_by_key(lines->table, key)->marks & lines->but_marks) return;
    text_printf(lines->out, "%s: %s there, %s here\n", key, *there ? there : "nothing",
                *here ? here : "nothing");
    lines->count++;
}

int recipe_diff(const recipe *there, const recipe *here, unsigned but_marks, text_buffer *out) {
    arena *memory = arena_new();
    diff_lines lines = {.out = out, .table = recipe_options(memory), .but_marks = but_marks};
    recipe_differences(there, here, add_line, &lines);
    arena_free(memory);
    return lines.count;
}
