/* Answers that are yes or no, true or false, in any case, perhaps in quotes or marks of markdown. The word
 * has to begin the stretch. */
#include "task/answer.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool read_boolean(const void *settings, const problem *p, const char *text, size_t start, size_t end,
                         answer_reading *out) {
    static const char *const words[] = {"no", "yes", "false", "true"};
    (void)settings, (void)p;
    while (start < end && text[start] && strchr(" \t\r\n\"'*_:$", text[start])) start++;
    for (int i = 0; i < 4; i++) {
        size_t n = strlen(words[i]);
        if (end - start < n || strncasecmp(text + start, words[i], n) != 0) continue;
        unsigned char next = start + n < end ? (unsigned char)text[start + n] : '\n';
        if (isalnum(next) || next >= 0x80) return false;
        bool *kept = MEM_NEW(bool);
        *kept = i & 1;
        *out = (answer_reading){.start = start, .end = start + n, .answer = (task_answer *)kept};
        return true;
    }
    return false;
}

static const bool *value_of(const task_answer *a) {
    return (const bool *)a;
}

static grade_verdict equal(const void *settings, const problem *p, const task_answer *a,
                           const task_answer *b) {
    (void)settings, (void)p;
    return *value_of(a) == *value_of(b) ? GRADE_EQUAL : GRADE_DIFFERENT;
}

static char *show(const void *settings, const problem *p, const task_answer *a) {
    (void)settings, (void)p;
    return mem_strdup(*value_of(a) ? "yes" : "no");
}

const answer_kind answer_boolean = {.name = "boolean",
                                    .about = "yes or no, true or false",
                                    .read = read_boolean,
                                    .equal = equal,
                                    .show = show,
                                    .unread = "neither yes nor no",
                                    .different = "different answer",
                                    .bad_gold = "gold is neither yes nor no"};
