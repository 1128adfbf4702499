/* The largest sizes of what comes from outside: files of a model, of a run, of data. Beyond a limit is an
 * error that names it. They are far above what is published, and low enough that a file made to do harm costs
 * neither the machine's memory nor its time. docs/limits.md explains them; limits of mathematics in answers
 * are in grade/, where they decide verdicts. */
#ifndef ESPALIER_BASE_LIMITS_H
#define ESPALIER_BASE_LIMITS_H

/* Bytes of a file that is read whole: config.json, tokenizer.json, a recipe, a task. The largest published
 * tokenizer.json files have about 35 MB. */
#define LIMIT_TEXT_FILE ((size_t)256 << 20)

#endif
