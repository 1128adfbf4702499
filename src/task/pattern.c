#define PCRE2_CODE_UNIT_WIDTH 8
#include "task/pattern.h"

#include <pcre2.h>
#include <string.h>

/* Backtracking steps of one match, so that no text holds a run up. PCRE2's own limit is 10 million. */
enum { MOST_STEPS = 1000000 };

struct pattern {
    pcre2_code *code;
    pcre2_match_context *limits;
};

esp_status pattern_new(pattern **out, const char *text, const char *key, esp_error *error) {
    int code;
    size_t at;
    *out = NULL;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_MULTILINE, &code, &at, NULL);
    if (!compiled) {
        char says[160];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)says, sizeof says);
        error_fail(error, "patterns have the syntax of Perl (PCRE2)",
                   "%s: not a pattern: %s, at byte %zu of \"%.100s\"", key, says, at, text);
        return error_about(error, ESP_REASON_OTHER, key);
    }
    pattern *p = MEM_NEW(pattern);
    p->code = compiled;
    p->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(p->limits, MOST_STEPS);
    *out = p;
    return ESP_OK;
}

void pattern_free(pattern *p) {
    if (!p) return;
    pcre2_match_context_free(p->limits);
    pcre2_code_free(p->code);
    mem_free(p);
}

bool pattern_find(const pattern *p, const char *text, size_t length, size_t from, pattern_match *out) {
    if (from > length || length == 0) return false;
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(p->code, NULL);
    int groups = pcre2_match(p->code, (PCRE2_SPTR)text, length, from, 0, data, p->limits);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
    bool found = groups > 0;
    if (found) {
        *out = (pattern_match){at[0], at[1], at[0], at[1]};
        for (int g = 1; g < groups; g++)
            if (at[2 * g] != PCRE2_UNSET) {
                out->group_start = at[2 * g];
                out->group_end = at[2 * g + 1];
                break;
            }
    }
    pcre2_match_data_free(data);
    return found && out->end >= out->start; /* \K may turn a match around */
}

void pattern_remove(const pattern *p, const char *text, size_t length, text_buffer *out) {
    size_t done = 0;
    pattern_match m;
    for (size_t from = 0; pattern_find(p, text, length, from, &m);) {
        text_append(out, text + done, m.start - done);
        done = m.end;
        from = m.end > m.start ? m.end : m.end + 1;
    }
    text_append(out, text + done, length - done);
}
