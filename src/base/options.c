#include "base/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const option *option_by_key(option_table table, const char *key) {
    for (int i = 0; i < table.count; i++) {
        if (table.at[i].key && strcmp(table.at[i].key, key) == 0) return &table.at[i];
    }
    return NULL;
}

bool option_in_groups(const char *key, const char *groups) {
    if (!groups || !key) return true;
    size_t n = strcspn(key, ".");
    for (const char *g = groups; *g; g += strspn(g, " ")) {
        size_t length = strcspn(g, " ");
        if (length == n && strncmp(g, key, n) == 0) return true;
        g += length;
    }
    return false;
}

/* Whether `flag` is this option's, or its --no- form. */
static bool has_flag(const option *o, const char *flag, bool *negated) {
    if (!o->flag) return false;
    *negated = o->type == OPTION_BOOL && strncmp(flag, "--no-", 5) == 0 && strcmp(flag + 5, o->flag + 2) == 0;
    return *negated || strcmp(flag, o->flag) == 0;
}

const option *option_by_flag(option_table table, const char *flag, const char *groups, bool *negated) {
    bool no;
    const char *group = groups ? groups : "";
    do {
        char one[64];
        size_t n = strcspn(group, " ");
        snprintf(one, sizeof one, "%.*s", (int)n, group);
        for (int i = 0; i < table.count; i++) {
            if (!option_in_groups(table.at[i].key, groups ? one : NULL) || !has_flag(&table.at[i], flag, &no))
                continue;
            if (negated) *negated = no;
            return &table.at[i];
        }
        group += n;
        group += strspn(group, " ");
    } while (*group);
    return NULL;
}

/* Whether a row before `i` has its key: an alternative's, which means the same to the user. */
static bool key_before(option_table table, int i) {
    for (int j = 0; j < i; j++)
        if (table.at[j].key && table.at[i].key && strcmp(table.at[j].key, table.at[i].key) == 0) return true;
    return false;
}

int option_meanings(option_table table, const char *flag, const char *groups, const char *between,
                    text_buffer *out) {
    int n = 0;
    bool no;
    for (int i = 0; i < table.count; i++) {
        if (!option_in_groups(table.at[i].key, groups) || !has_flag(&table.at[i], flag, &no)) continue;
        if (key_before(table, i)) continue;
        if (out) text_printf(out, "%s%s", n ? between : "", table.at[i].key);
        n++;
    }
    return n;
}

/* ---- the nearest name ---- */

/* Edits between two names: insert, delete, replace, or swap neighbours (optimal string alignment). Names are
 * short; what follows the first 63 bytes counts as one edit per byte. */
static int edit_distance(const char *a, const char *b) {
    enum { LONGEST = 63 };
    int full_a = (int)strlen(a), full_b = (int)strlen(b);
    int n = full_a < LONGEST ? full_a : LONGEST, m = full_b < LONGEST ? full_b : LONGEST;
    int row[3][LONGEST + 1];
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = before[j - 1] + (a[i - 1] != b[j - 1]);
            if (before[j] + 1 < best) best = before[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && earlier[j - 2] + 1 < best) best = earlier[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m] + (full_a - n) + (full_b - m);
}

const char *name_nearest(const char *const *names, int n, const char *name) {
    const char *nearest = NULL;
    int least = 2 + (int)strlen(name) / 5; /* further than this is another word, not a slip */
    for (int i = 0; i < n; i++) {
        int distance = edit_distance(names[i], name);
        if (distance < least) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

static const char *last_part(const char *key) {
    const char *dot = strrchr(key, '.');
    return dot ? dot + 1 : key;
}

const char *option_nearest_key(option_table table, const char *key) {
    const char **names = MEM_ARRAY(const char *, table.count + 1);
    int n = 0;
    for (int i = 0; i < table.count; i++) {
        if (table.at[i].key) names[n++] = table.at[i].key;
    }
    const char *nearest = name_nearest(names, n, key);
    if (!nearest ||
        edit_distance(nearest, key) > 2) { /* the right name in the wrong group is nearer than that */
        for (int i = 0; i < n; i++) {
            if (strcmp(last_part(names[i]), last_part(key)) == 0) {
                nearest = names[i];
                break;
            }
        }
    }
    mem_free(names);
    return nearest;
}

/* ---- values ---- */

static void number_text(double value, text_buffer *out) {
    char text[40];
    if (value == floor(value) && fabs(value) < 1e6) {
        text_printf(out, "%.0f", value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    text_puts(out, text);
}

/* A bound as a person writes it: 1000000, not 1e+06. */
static void bound_text(double value, text_buffer *out) {
    if (fabs(value) >= 1 && value == floor(value))
        text_printf(out, "%.0f", value);
    else
        number_text(value, out);
}

static bool has_range(const option *o) {
    return o->low != 0 || o->high != 0;
}

/* Length of the name of an enumeration's value, which *name points to; -1 past the last. */
static int choice_at(const option *o, int value, const char **name) {
    *name = o->choice ? o->choice(value) : o->choices;
    if (value < 0 || !*name) return -1;
    if (o->choice) return (int)strlen(*name);
    for (int i = 0; i < value; i++) {
        *name += strcspn(*name, "|");
        if (!**name) return -1;
        ++*name;
    }
    return (int)strcspn(*name, "|");
}

static void wants_choice(const option *o, text_buffer *out) {
    const char *name;
    int n;
    text_puts(out, "one of ");
    for (int i = 0; (n = choice_at(o, i, &name)) >= 0; i++) {
        if (i) text_puts(out, ", ");
        text_append(out, name, (size_t)n);
    }
}

void option_wants(const option *o, text_buffer *out) {
    switch (o->type) {
    case OPTION_INT:
        text_puts(out, "a whole number");
        break;
    case OPTION_FLOAT:
        text_puts(out, "a number");
        break;
    case OPTION_BOOL:
        text_puts(out, "true or false");
        break;
    case OPTION_STRING:
        text_puts(out, o->marks & OPTION_ROWS ? "a list of rows" : "text");
        if (o->marks & OPTION_LIST) text_puts(out, " or a list of texts");
        break;
    case OPTION_PATH:
        text_puts(out, "a path");
        break;
    case OPTION_ENUM:
        wants_choice(o, out);
        break;
    }
    if ((o->type != OPTION_INT && o->type != OPTION_FLOAT) || !has_range(o)) return;
    bool open = (o->marks & OPTION_ABOVE_LOW) != 0;
    if (isinf(o->high)) {
        text_puts(out, open ? " above " : " of at least ");
        bound_text(o->low, out);
        return;
    }
    text_puts(out, open ? " above " : " from ");
    bound_text(o->low, out);
    text_puts(out, open ? " up to " : " to ");
    bound_text(o->high, out);
}

static bool parse_bool(const char *text, bool *out) {
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
    for (int i = 0; i < 3; i++) {
        if (strcasecmp(text, yes[i]) == 0) return *out = true, true;
        if (strcasecmp(text, no[i]) == 0) return *out = false, true;
    }
    return false;
}

static bool parse_choice(const option *o, const char *text, int *out) {
    const char *name;
    int n;
    for (int i = 0; (n = choice_at(o, i, &name)) >= 0; i++)
        if (strlen(text) == (size_t)n && strncmp(name, text, (size_t)n) == 0) return *out = i, true;
    return false;
}

static bool in_range(const option *o, double value) {
    if (!has_range(o)) return true;
    if (o->marks & OPTION_ABOVE_LOW ? value <= o->low : value < o->low) return false;
    return value <= o->high;
}

static bool parse_int(const option *o, const char *text, int64_t *out) {
    char *end;
    if (!isdigit((unsigned char)text[0]) && text[0] != '-' && text[0] != '+') return false;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end || end == text || !in_range(o, (double)value)) return false;
    *out = value;
    return true;
}

static bool parse_float(const option *o, const char *text, double *out) {
    if (!*text || strspn(text, "0123456789+-.eE") != strlen(text)) return false; /* no hex, no inf, no nan */
    char *end;
    double value = strtod(text, &end);
    if (*end || end == text || !isfinite(value) || !in_range(o, value)) return false;
    *out = value;
    return true;
}

esp_status option_set(const option *o, void *target, const char *text, esp_error *error) {
    char *field = (char *)target + o->offset;
    bool fine = true;
    int64_t integer;
    double number;
    bool truth;
    int choice;
    switch (o->type) {
    case OPTION_INT:
        if ((fine = parse_int(o, text, &integer))) memcpy(field, &integer, sizeof integer);
        break;
    case OPTION_FLOAT:
        if ((fine = parse_float(o, text, &number))) memcpy(field, &number, sizeof number);
        break;
    case OPTION_BOOL:
        if ((fine = parse_bool(text, &truth))) memcpy(field, &truth, sizeof truth);
        break;
    case OPTION_ENUM:
        if ((fine = parse_choice(o, text, &choice))) memcpy(field, &choice, sizeof choice);
        break;
    case OPTION_STRING:
    case OPTION_PATH: {
        char *old, *copy = mem_strdup(text);
        memcpy(&old, field, sizeof old);
        memcpy(field, &copy, sizeof copy);
        mem_free(old);
        break;
    }
    }
    if (fine) return ESP_OK;
    text_buffer wanted = {0};
    option_wants(o, &wanted);
    esp_status status = error_fail(error, o->help, "%s must be %s, not \"%.100s\"", o->key ? o->key : o->flag,
                                   wanted.at, text);
    text_free(&wanted);
    return status;
}

esp_status option_check(const option *o, const void *target, esp_error *error) {
    const char *field = (const char *)target + o->offset;
    bool fine = true;
    int64_t integer;
    double number;
    int choice;
    const char *name;
    if (o->type == OPTION_INT)
        memcpy(&integer, field, sizeof integer), fine = in_range(o, (double)integer);
    else if (o->type == OPTION_FLOAT)
        memcpy(&number, field, sizeof number), fine = isfinite(number) && in_range(o, number);
    else if (o->type == OPTION_ENUM)
        memcpy(&choice, field, sizeof choice), fine = choice_at(o, choice, &name) >= 0;
    if (fine) return ESP_OK;
    text_buffer wanted = {0}, found = {0};
    option_wants(o, &wanted);
    option_get(o, target, &found);
    esp_status status =
        error_fail(error, o->help, "%s is %s, it must be %s", o->key ? o->key : o->flag, found.at, wanted.at);
    text_free(&wanted);
    text_free(&found);
    return status;
}

const char *option_choice(const option *o, int value, char *buffer, size_t size) {
    const char *name;
    int n = choice_at(o, value, &name);
    snprintf(buffer, size, "%.*s", n < 0 ? 0 : n, n < 0 ? "" : name);
    return buffer;
}

void option_get(const option *o, const void *target, text_buffer *out) {
    const char *field = (const char *)target + o->offset;
    int64_t integer;
    double number;
    bool truth;
    int choice;
    const char *text;
    char buffer[64];
    switch (o->type) {
    case OPTION_INT:
        memcpy(&integer, field, sizeof integer), text_printf(out, "%lld", (long long)integer);
        break;
    case OPTION_FLOAT:
        memcpy(&number, field, sizeof number), number_text(number, out);
        break;
    case OPTION_BOOL:
        memcpy(&truth, field, sizeof truth), text_puts(out, truth ? "true" : "false");
        break;
    case OPTION_ENUM:
        memcpy(&choice, field, sizeof choice);
        text_puts(out, option_choice(o, choice, buffer, sizeof buffer));
        break;
    case OPTION_STRING:
    case OPTION_PATH:
        memcpy(&text, field, sizeof text), text_puts(out, text ? text : "");
        break;
    }
}

static void set_default(const option *o, void *target) {
    const char *initial = o->initial ? o->initial : o->type == OPTION_BOOL ? "false" : "0";
    if (o->type == OPTION_STRING || o->type == OPTION_PATH) initial = o->initial ? o->initial : "";
    if (o->type == OPTION_ENUM && !o->initial) return;
    (void)option_set(o, target, initial, NULL); /* a test sets every default */
}

void options_defaults(option_table table, void *target) {
    for (int i = 0; i < table.count; i++)
        if (!table.at[i].chooser) set_default(&table.at[i], target);
    options_defaults_of_choice(table, target);
}

void options_defaults_of_choice(option_table table, void *target) {
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        if (o->chooser && option_applies(table, o, target)) set_default(o, target);
    }
}

void option_initial(const option *o, text_buffer *out) {
    for (const char *c = o->initial ? o->initial : ""; *c; c++)
        if (*c == '\n')
            text_puts(out, "\\n");
        else
            text_append(out, c, 1);
}

void options_free(option_table table, void *target) {
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        if (o->type != OPTION_STRING && o->type != OPTION_PATH) continue;
        char *text, *none = NULL;
        memcpy(&text, (char *)target + o->offset, sizeof text);
        memcpy((char *)target + o->offset, &none, sizeof none);
        mem_free(text);
    }
}

/* ---- manual ---- */

/* Words of `text`, wrapped, each line indented by `indent` spaces. */
static void wrapped(const char *text, int indent, int width, text_buffer *out) {
    int column = 0;
    for (const char *word = text; *word;) {
        int n = (int)strcspn(word, " ");
        if (column && column + 1 + n > width) {
            text_puts(out, "\n");
            column = 0;
        }
        text_printf(out, "%*s%.*s", column ? 1 : indent, "", n, word);
        column += (column ? 1 : indent) + n;
        word += n;
        word += strspn(word, " ");
    }
    text_puts(out, "\n");
}

/* One line per choice. */
static void manual_choices(const option *o, int width, text_buffer *out) {
    for (int i = 0; o->choice && o->about && o->choice(i); i++) {
        char *line = mem_printf("%s: %s", o->choice(i), o->about(i));
        wrapped(line, 8, width, out);
        mem_free(line);
    }
}

static void manual_entry(option_table table, const option *o, bool with_flag, int width, text_buffer *out) {
    text_buffer about = {0};
    text_printf(&about, "%s; ", o->help);
    option_wants(o, &about);
    text_buffer condition = {0};
    option_condition(table, o, &condition);
    if (condition.at) text_printf(&about, "; only with %s", condition.at);
    text_free(&condition);
    if (o->marks & OPTION_REQUIRED)
        text_puts(&about, "; required");
    else if (o->initial && *o->initial) {
        text_puts(&about, " [");
        option_initial(o, &about);
        text_puts(&about, "]");
    }
    const char *flag = with_flag && o->flag ? o->flag : "";
    text_printf(out, "  %s%s%s\n", flag, *flag && o->key ? ", " : "", o->key ? o->key : "");
    wrapped(about.at, 6, width, out);
    manual_choices(o, width, out);
    text_free(&about);
}

void options_manual(option_table table, const char *groups, int width, text_buffer *out) {
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        if (!option_in_groups(o->key, groups) || option_is_repeated(table, o)) continue;
        bool one = !groups || !o->flag || option_meanings(table, o->flag, groups, "", NULL) == 1;
        manual_entry(table, o, one, width, out);
    }
}
