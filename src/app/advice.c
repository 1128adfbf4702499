#include "app/advice.h"

#include <string.h>

static const char *flag_in(option_table table, const char *key) {
    for (int i = 0; i < table.count; i++)
        if (table.at[i].key && table.at[i].flag && strcmp(table.at[i].key, key) == 0) return table.at[i].flag;
    return NULL;
}

static bool has_flag(option_table table, const char *flag) {
    for (int i = 0; i < table.count; i++)
        if (table.at[i].flag && strcmp(table.at[i].flag, flag) == 0) return true;
    return false;
}

/* The flag of a recipe key: the verb's own name for it, else the recipe's. Nothing where the verb takes
 * neither. */
static void put_flag_of(const char *key, const cli_verb *verb, text_buffer *out) {
    arena *memory = arena_new();
    const char *flag = verb ? flag_in(verb->options, key) : NULL;
    bool own_only = verb && !verb->recipe_groups;
    if (!flag) flag = flag_in(recipe_options(memory), key);
    if (own_only && flag && !flag_in(verb->options, key) && !has_flag(verb->options, flag)) flag = NULL;
    if (!flag && own_only) {
        arena_free(memory);
        return;
    }
    if (flag)
        text_puts(out, flag);
    else
        text_printf(out, "--set %s=VALUE", key);
    arena_free(memory);
}

static void put_flags(const esp_error *error, const cli_verb *verb, text_buffer *out) {
    switch (error->reason) {
    case ESP_REASON_UNSET:
        put_flag_of(error->setting, verb, out);
        break;
    case ESP_REASON_UNKNOWN_SETTING:
        text_puts(out, "so does espalier run --help");
        break;
    case ESP_REASON_NO_RUN:
        text_puts(out, "leave out --resume");
        break;
    case ESP_REASON_RUN_EXISTS:
        text_puts(out, "--resume, or another --out");
        break;
    case ESP_REASON_OTHER_RUN:
        text_puts(out, "another --out");
        break;
    case ESP_REASON_BUSY:
    case ESP_REASON_DISK_FULL:
    case ESP_REASON_MEMORY:
    case ESP_REASON_CACHE_FULL:
    case ESP_REASON_OTHER:
        break;
    }
}

void advice(const esp_error *error, const cli_verb *verb, text_buffer *out) {
    text_buffer flags = {0};
    if (error->code == ESP_INTERRUPTED && error->resumable) {
        text_puts(out, "continue with the same command and --resume");
        return;
    }
    put_flags(error, verb, &flags);
    text_puts(out, error->hint);
    if (flags.length > 0) text_printf(out, out->length > 0 ? " (%s)" : "%s", flags.at);
    if (error->resumable)
        text_printf(out, "%scontinue with the same command and --resume: what was finished is kept",
                    out->length > 0 ? "; then " : "");
    text_free(&flags);
}
