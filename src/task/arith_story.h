/* One made word problem of task arith: a story of sentences about a pile of things, its solution line by
 * line, and, where the teacher is to be flawed, that solution with some sentences misread in a way of their
 * own. */
#ifndef ESPALIER_TASK_ARITH_STORY_H
#define ESPALIER_TASK_ARITH_STORY_H

#include "base/memory.h"
#include "base/random.h"

/* How hard the problems are. */
typedef struct {
    const char *name;
    int64_t low, high;  /* operations, how many; fewer are likelier than more, see arith_story_make */
    const int *weights; /* how often each kind of sentence comes, [ARITH_KINDS] */
    int64_t distractor; /* percent of the problems with a sentence that does not matter */
} arith_level;

typedef enum {
    ARITH_ADD,
    ARITH_SUBTRACT,
    ARITH_TIMES,
    ARITH_DOUBLE,
    ARITH_HALF,
    ARITH_SHARE,
    ARITH_BOXES,
    ARITH_MORE,
    ARITH_FEWER,
    ARITH_KINDS,
    ARITH_DISTRACTOR = ARITH_KINDS
} arith_kind;

typedef struct {
    text_buffer question;
    text_buffer solution; /* lines "12 + 7 = 19 apples" and "#### 19", as taught */
    int64_t gold;         /* the correct answer, whatever the solution says */
    int64_t flawed;       /* sentences that the solution misreads */
} arith_story;

/* Levels by name: "easy" (2 to 5 operations), "rare" (5 to 8, most of them of a kind that is misread when the
 * teacher is flawed), "mixed" (either). NULL for another name. */
const arith_level *arith_level_find(const char *name);

/* A function of key, level and flaws alone. flaws multiplies the chance that a sentence of each kind is
 * misread (at 1: n times as plus n, 45%; double as plus 2, 31.5%; half as minus 2, 36%; share as minus n,
 * 45%; "n more than" and "n fewer than" without their second line, 54% and 49.5%; boxes as one box's content,
 * 36%; the sentence that does not matter as one to add, 49.5%), at most 95%; 0: the solution is right. */
void arith_story_make(arith_story *out, rng_key_t key, const arith_level *level, double flaws);
void arith_story_free(arith_story *story);

#endif
