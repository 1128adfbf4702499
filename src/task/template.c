#include "task/template.h"

#include <string.h>

/* One piece of a template: a text, or a place. */
typedef struct {
    const char *at;
    size_t length;
    bool place, bad; /* bad: a brace without its other one */
} piece;

static piece next_piece(const char **rest) {
    const char *t = *rest;
    if (t[0] && t[0] == t[1] && (t[0] == '{' || t[0] == '}')) {
        *rest = t + 2;
        return (piece){.at = t, .length = 1};
    }
    if (t[0] == '{') {
        size_t n = strcspn(t + 1, "{}");
        bool closed = t[n + 1] == '}';
        *rest = t + n + 1 + closed;
        return (piece){.at = t + 1, .length = n, .place = true, .bad = !closed};
    }
    if (t[0] == '}') {
        *rest = t + 1;
        return (piece){.at = t, .length = 1, .bad = true};
    }
    size_t n = strcspn(t, "{}");
    *rest = t + n;
    return (piece){.at = t, .length = n};
}

static void drop_line_ends(text_buffer *out, size_t from) {
    while (out->length > from && out->at[out->length - 1] == '\n') out->at[--out->length] = 0;
}

bool template_fill(const char *template, template_value value, void *user, text_buffer *out) {
    size_t begin = out->length;
    for (const char *rest = template; *rest;) {
        piece p = next_piece(&rest);
        if (!p.place) {
            text_append(out, p.at, p.length);
            continue;
        }
        size_t before = out->length;
        if (!value(user, p.at, p.length, out)) return false;
        if (out->length > before) continue;
        if (*rest)
            rest += strspn(rest, "\n");
        else
            drop_line_ends(out, begin);
    }
    return true;
}

static bool is_among(const char *places, const piece *p) {
    for (const char *w = places; *w; w += strspn(w, " ")) {
        size_t n = strcspn(w, " ");
        if (n == p->length && strncmp(w, p->at, n) == 0) return true;
        w += n;
    }
    return false;
}

esp_status template_check(const char *template, const char *places, const char *key, esp_error *error) {
    for (const char *rest = template; *rest;) {
        piece p = next_piece(&rest);
        if (p.bad)
            error_fail(error, "close it, or write the brace twice for a brace in the text",
                       "%s: a brace without its other one: \"%.60s\"", key, p.at - p.place);
        if (p.place && places && !is_among(places, &p)) {
            char *hint = mem_printf("places here: %s", places);
            error_fail(error, hint, "%s: there is no place {%.*s}", key, (int)p.length, p.at);
            mem_free(hint);
        } else if (!p.bad) {
            continue;
        }
        return error_about(error, ESP_REASON_OTHER, key);
    }
    return ESP_OK;
}

bool template_has_place(const char *template, const char *name) {
    for (const char *rest = template; *rest;) {
        piece p = next_piece(&rest);
        if (p.place && is_among(name, &p)) return true;
    }
    return false;
}

bool template_has_places(const char *text) {
    return strchr(text, '{') != NULL;
}
