/* Answers in texts: where one is (an answer_place), and what it is (an answer_kind). They know nothing of
 * each other, so that every kind goes with every place; an answer_form is a kind with its places. Only this
 * folder's files, and its tests, include this header.
 *
 * A new kind is one such table in a file of src/task/kinds/. Texts may hold any bytes, and finding takes
 * linear time: a place gives a kind each stretch of a text at most once. */
#ifndef ESPALIER_TASK_ANSWER_H
#define ESPALIER_TASK_ANSWER_H

#include "base/options.h"
#include "task/pattern.h"
#include "task/task.h"

/* What a kind read in a stretch of a text. */
typedef struct {
    size_t start, end;   /* of the text */
    task_answer *answer; /* one block of memory, freed by mem_free; NULL: it has the form of an answer but no
                            value, such as 5/0 */
    const char *unknown; /* without an answer: why what is there cannot be judged; else NULL */
} answer_reading;

/* `settings` is the kind's own struct. `p` is the problem that is answered, with its options; NULL where it
 * is not known. */
typedef struct {
    const char *name, *about;
    option_table options; /* of the settings; none: count 0 */
    size_t settings_size;
    /* Reads the answer that text[start, end) is or begins with; bytes before start are context. What comes
     * after the answer may be anything ("72 clips for 5 friends" is 72). False: there is none. */
    bool (*read)(const void *settings, const problem *p, const char *text, size_t start, size_t end,
                 answer_reading *out);
    /* Whether the answer can be compared with others than itself; NULL: each can. A line that nothing
     * announces is an answer only then. */
    bool (*is_readable)(const task_answer *a);
    /* Whether votes count two answers as one. An equivalence, where GRADE_UNKNOWN counts as different. */
    grade_verdict (*equal)(const void *settings, const problem *p, const task_answer *a,
                           const task_answer *b);
    /* The answer as text that `read` reads as an equal one. Freed by mem_free. */
    char *(*show)(const void *settings, const problem *p, const task_answer *a);
    /* The same for a gold answer, with what grading looks at and votes do not (50%); NULL: as shown. */
    char *(*keep)(const void *settings, const problem *p, const task_answer *a);
    /* The verdict on an answer; NULL: that of `equal`. *reason comes with the words for each verdict and may
     * be replaced by another constant. */
    grade_verdict (*grade)(const void *settings, const problem *p, const task_answer *found,
                           const task_answer *gold, const char **reason);
    bool needs_options;                        /* no problem without options can have such an answer */
    const char *unread, *different, *bad_gold; /* reasons: "not a number", "different number", "gold is not a
                                                  number" */
} answer_kind;

extern const answer_kind answer_number, answer_math, answer_boolean, answer_text, answer_choice;
/* In the order of the values of task_settings.kind; NULL past the last. */
const answer_kind *answer_kind_at(int index);
const char *answer_kind_name(int index);
const char *answer_kind_about(int index);

struct answer_form;
typedef struct {
    const char *name, *about;
    /* Looks for the answer. True: *out is it, or with end 0 the place says that there is none. False: other
     * places are to be tried. */
    bool (*find)(const struct answer_form *f, const problem *p, const char *text, size_t length,
                 answer_reading *out);
    bool announced; /* words or marks in the text say that the answer is there */
} answer_place;

/* After the marker ("####"): the last one that an answer follows directly, or that is on the last line. An
 * empty last line of the marker alone is no answer, and nothing else is looked at then. */
extern const answer_place answer_marker;
/* The last announcement (phrase.h), "The answer is" or "\\boxed{", that is followed by an answer on its line
 * (on the next line that is not blank, when the rest of its own is). */
extern const answer_place answer_stated;
extern const answer_place answer_phrase, answer_box; /* one of the two alone */
/* The last line that begins with an answer, which is followed by punctuation or by nothing. */
extern const answer_place answer_line;
extern const answer_place answer_last_line; /* the last line that is not blank, where it can be read */
/* The whole text where it is an answer and nothing else, else the last number of the text. */
extern const answer_place answer_last_number;
extern const answer_place answer_whole; /* the whole text */
/* The last match of the pattern that holds an answer. */
extern const answer_place answer_pattern;
/* The place of that name, or NULL. */
const answer_place *answer_place_named(const char *name, size_t length);

typedef struct answer_form {
    const answer_kind *kind;
    const void *settings;
    const answer_place *const *places; /* tried in this order; NULL-terminated */
    const char *marker;                /* of answer_marker */
    const pattern *pattern;            /* of answer_pattern */
} answer_form;

/* The answer in text[0, length), from the first place that decides. What a model thought before it answered
 * ("<think> ... </think>") is not looked at, and what follows a new question ("\nQuestion: ...") only where
 * nothing before it announces an answer. False: there is none. */
bool answer_find(const answer_form *f, const problem *p, const char *text, size_t length,
                 answer_reading *out);
/* The same for a gold answer: one that is announced, else what the text begins with ("18 (in 2 days)" is 18),
 * else what other places find. */
bool answer_find_gold(const answer_form *f, const problem *p, const char *gold, answer_reading *out);
/* Finds and grades; p has the gold answer. */
task_grade_result answer_grade(const answer_form *f, const problem *p, const char *text, size_t length);

#endif
