#include "loop/checkpoint_name.h"

#include <stdio.h>
#include <string.h>

/* *at is moved beyond `word`, if it begins with it. */
static bool take_word(const char **at, const char *word) {
    size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0) return false;
    *at += n;
    return true;
}

static bool take_number(const char **at, int64_t *out) {
    size_t n = strspn(*at, "0123456789");
    if (n == 0 || n > 18 || (n > 1 && **at == '0')) return false;
    *out = 0;
    for (size_t i = 0; i < n; i++) *out = 10 * *out + (*at)[i] - '0';
    *at += n;
    return true;
}

/* The name of a whole checkpoint that *at begins with. */
static checkpoint_name take_whole(const char **at) {
    checkpoint_name out = {.kind = CHECKPOINT_FINAL};
    if (take_word(at, "iteration-")) {
        if (!take_number(at, &out.iteration) || out.iteration < 1) out.kind = CHECKPOINT_FOREIGN;
        return out;
    }
    bool sft = take_word(at, "sft");
    if (sft && **at != '-') return out;
    bool between = (sft || take_word(at, "learn")) && take_word(at, "-") && take_number(at, &out.iteration) &&
                   take_word(at, "-at-") && take_number(at, &out.update) && sft == (out.iteration == 0);
    out.kind = between ? CHECKPOINT_BETWEEN : CHECKPOINT_FOREIGN;
    return out;
}

/* ".aside", ".PID.old", and of a checkpoint within a phase ".old". */
static bool is_remains(const char *end, checkpoint_kind of) {
    int64_t process;
    if (strcmp(end, ".aside") == 0 || (of == CHECKPOINT_BETWEEN && strcmp(end, ".old") == 0)) return true;
    return take_word(&end, ".") && take_number(&end, &process) && strcmp(end, ".old") == 0;
}

checkpoint_name checkpoint_name_read(const char *name) {
    const char *at = name;
    checkpoint_name out = take_whole(&at);
    if (out.kind != CHECKPOINT_FOREIGN && *at != '\0')
        out.kind = is_remains(at, out.kind) ? CHECKPOINT_REMAINS : CHECKPOINT_FOREIGN;
    return out;
}

bool checkpoint_name_after(const checkpoint_name *a, const checkpoint_name *b) {
    if (a->iteration != b->iteration) return a->iteration > b->iteration;
    if (a->kind != b->kind) return a->kind == CHECKPOINT_FINAL;
    return a->kind == CHECKPOINT_BETWEEN && a->update > b->update;
}

void checkpoint_name_final(char out[CHECKPOINT_NAME_MAX], int64_t iteration) {
    if (iteration > 0)
        snprintf(out, CHECKPOINT_NAME_MAX, "iteration-%lld", (long long)iteration);
    else
        snprintf(out, CHECKPOINT_NAME_MAX, "sft");
}

void checkpoint_name_between(char out[CHECKPOINT_NAME_MAX], int64_t iteration, int64_t update) {
    snprintf(out, CHECKPOINT_NAME_MAX, "%s-%lld-at-%lld", iteration > 0 ? "learn" : "sft",
             (long long)iteration, (long long)update);
}
