/* Words and marks that announce an answer: "The answer is", "**Answer:**", "<answer>", "\boxed{". */
#ifndef ESPALIER_TASK_PHRASE_H
#define ESPALIER_TASK_PHRASE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    size_t start, end; /* of what is announced */
    bool direct; /* only an answer directly after it counts: "Answer: First, ..." precedes a whole solution */
} announcement;

/* Whether a phrase begins at text + i; none of it is at `limit` or later. The answer is on its line, or on
 * the next one that is not blank where the rest of its own is. */
bool phrase_announces(const char *text, size_t i, size_t limit, announcement *out);
/* The same for \boxed{...}, \boxed 5 and \fbox{...}. */
bool phrase_box(const char *text, size_t i, size_t limit, announcement *out);

#endif
