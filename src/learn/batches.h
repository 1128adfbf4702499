/* Batches: which examples an update learns from, in which order, and by what their values are divided. Rows
 * (examples with those of the same row) are dealt to the updates of an epoch; rows of one group stay
 * neighbours, so that a tree's common prefixes are computed once. */
#ifndef ESPALIER_LEARN_BATCHES_H
#define ESPALIER_LEARN_BATCHES_H

#include "base/random.h"
#include "learn/trainer.h"

typedef MEM_LIST(example) example_list;
/* Adds a row: a pair and, where `likelihood` is not NULL, that term on the pair's chosen path. */
void example_list_add_pair(example_list *list, const example *pair, const objective_term *likelihood);

typedef struct {
    int64_t batch;  /* rows (groups) per update; the last update of an epoch may have fewer */
    bool of_groups; /* `batch` counts groups, and a term's mean is over the groups that have it of its means
                       in each: no group weighs more because it has more rows. per_epoch is 0 then */
    int64_t per_epoch; /* updates per epoch, each with an equal share of the rows; 0: by `batch` */
    bool shuffle;      /* epoch e takes the groups in the order of rng_shuffle(rng_mix(key, e)) */
    rng_key_t key;
} batches_options;

typedef struct batches batches;
/* The examples are borrowed; batches set no member of theirs but the scale, in copies. */
batches *batches_new(const example *examples, int64_t n, const batches_options *options);
void batches_free(batches *b);
int64_t batches_per_epoch(const batches *b); /* updates */

/* The examples of an update (from 0; epochs follow each other) with their scales set: 1 over the number of
 * the batch's examples that have the same term, or of their first paths' tokens, as the term's mean says;
 * with of_groups, of its group's examples, times the number of the batch's groups that have the term. Valid
 * until the next call. */
const example *batches_take(batches *b, int64_t update, int64_t *n);
/* Adds the gradient of an update's loss. With one term and a mean over tokens the report's loss is one
 * division of the sum. */
esp_status batches_add(batches *b, trainer *t, int64_t update, learn_report *report, esp_error *error);

/* Scores under m, and sets, the references that the examples' terms need and that are not known. */
esp_status examples_set_references(model *m, example *examples, int64_t n, int64_t microbatch_tokens,
                                   score_progress *progress, void *context, esp_error *error);
/* How many examples that is. */
int64_t examples_without_reference(const example *examples, int64_t n);

#endif
