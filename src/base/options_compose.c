/* Tables made of the tables of several modules. */
#include "base/options.h"

#include <assert.h>
#include <string.h>

static option in_part(const option *row, const option_part *part, arena *memory) {
    option o = *row;
    if (part->group) {
        char *key = mem_printf("%s.%s", part->group, row->key);
        o.key = arena_strdup(memory, key);
        mem_free(key);
    }
    o.offset += part->base;
    if (part->chooser) {
        o.chooser = part->chooser;
        o.chosen = part->chosen;
    } else if (row->chooser && part->group) { /* of a table that is composed itself */
        char *key = mem_printf("%s.%s", part->group, row->chooser);
        o.chooser = arena_strdup(memory, key);
        mem_free(key);
    }
    assert(!o.chooser || (o.type != OPTION_STRING && o.type != OPTION_PATH));
    return o;
}

option_table options_compose(const option_part *parts, int n, arena *memory) {
    int count = 0, filled = 0;
    for (int i = 0; i < n; i++) count += parts[i].rows.count;
    option *rows = ARENA_ARRAY(memory, option, count + 1);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < parts[i].rows.count; j++)
            rows[filled++] = in_part(&parts[i].rows.at[j], &parts[i], memory);
    return (option_table){rows, count};
}

bool option_applies(option_table table, const option *o, const void *target) {
    if (!o->chooser) return true;
    const option *chooser = option_by_key(table, o->chooser);
    int value;
    assert(chooser && chooser->type == OPTION_ENUM);
    memcpy(&value, (const char *)target + chooser->offset, sizeof value);
    return value == o->chosen;
}

const option *option_in_use(option_table table, const char *key, const void *target) {
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        if (o->key && strcmp(o->key, key) == 0 && option_applies(table, o, target)) return o;
    }
    return NULL;
}

static const char *initial(const option *o) {
    return o->initial ? o->initial : "";
}

/* The same setting of two alternatives, for a reader. */
static bool alike(const option *a, const option *b) {
    return a->chooser && b->chooser && strcmp(a->chooser, b->chooser) == 0 && strcmp(a->key, b->key) == 0 &&
           strcmp(a->help, b->help) == 0 && strcmp(initial(a), initial(b)) == 0;
}

void option_condition(option_table table, const option *o, text_buffer *out) {
    const option *chooser = o->chooser ? option_by_key(table, o->chooser) : NULL;
    char name[64];
    int left = 0, named = 0;
    if (!chooser) return;
    text_puts(out, o->chooser);
    for (int i = 0; i < table.count; i++) left += alike(&table.at[i], o);
    for (int i = 0; i < table.count; i++) {
        if (!alike(&table.at[i], o)) continue;
        text_printf(out, "%s%s",
                    !named++    ? " "
                    : left == 1 ? " or "
                                : ", ",
                    option_choice(chooser, table.at[i].chosen, name, sizeof name));
        left--;
    }
}

bool option_is_repeated(option_table table, const option *o) {
    for (const option *earlier = table.at; earlier < o; earlier++)
        if (alike(earlier, o)) return true;
    return false;
}
