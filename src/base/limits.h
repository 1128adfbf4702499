/* The largest sizes of what comes from outside: files of a model, of a run, of data. Beyond a limit is an
 * error that names it. They are far above what is published, and low enough that a file made to do harm costs
 * neither the machine's memory nor its time. docs/limits.md explains them; limits of mathematics in answers
 * are in grade/, where they decide verdicts. */
#ifndef ESPALIER_BASE_LIMITS_H
#define ESPALIER_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a file that is read whole: config.json, tokenizer.json, a recipe, a task. The largest published
 * tokenizer.json files have about 35 MB. */
#define LIMIT_TEXT_FILE ((size_t)256 << 20)

/* Bytes of one line of JSON lines, and of rows in one text (CSV, a JSON array), decompressed: a file of 3 MB
 * can have 3 GB. */
#define LIMIT_LINE ((size_t)64 << 20)
#define LIMIT_ROWS ((size_t)4 << 30)

/* Steps of a tokenizer's normalizer or decoder, and how much longer all replacements together can make a
 * text. Published ones have up to 8 steps and a factor of 3 (a blank to U+2581). */
#define LIMIT_NORMALIZER_STEPS  64
#define LIMIT_NORMALIZER_GROWTH 64.0

/* Numbers in the rows of run.db: iterations are run.iterations' own limit; counts and numbers of rows are
 * small enough that millions of them can be added. */
#define LIMIT_ITERATIONS 1000000
#define LIMIT_ROW_NUMBER ((int64_t)1 << 40)
/* Bytes of one value of run.db: a text, or the ids of a prompt. */
#define LIMIT_ROW_VALUE (64 << 20)

#endif
