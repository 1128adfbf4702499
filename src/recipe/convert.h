/* From a recipe to what other folders take: configurations, terms of the loss, settings, schedules. */
#ifndef ESPALIER_RECIPE_CONVERT_H
#define ESPALIER_RECIPE_CONVERT_H

#include "learn/objective.h"
#include "learn/schedule.h"
#include "learn/trainer.h"
#include "model/adapter.h"
#include "policy/answer.h"
#include "recipe/recipe.h"

/* model.dtype: the number format of matrix products. */
dtype recipe_activations(const recipe *r);
/* The adapter that the recipe asks for, or that model.path is; rank 0: none. Errors: a target that is no
 * matrix of a model. */
esp_status recipe_adapter(const recipe *r, adapter_config *out, esp_error *error);

/* The search's configuration for inference: search.config with nothing gold in it (docs/method.md 3.2). */
search_config recipe_inference_config(const recipe *r);

/* task.unknown; false where it is none of its words and no finite number. */
bool recipe_answer_worth(const recipe *r, answer_worth *out);

/* The objective that learn.loss names, and its options, NULL where it has none. */
const objective *recipe_objective(const recipe *r);
const void *recipe_objective_options(const recipe *r);

/* What an update of the learning phase minimises. Examples point to these terms: keep it in its place. */
typedef struct {
    objective_term loss;       /* learn.loss, of what its source names */
    objective_term likelihood; /* learn.nll, of chosen steps or correct chains; weight 0: none */
    nll_options likelihood_options;
} recipe_terms;
/* of_chains: the likelihood is of correct chains, else of chosen steps. The recipe outlives the terms. */
void recipe_terms_read(const recipe *r, bool of_chains, recipe_terms *out);
/* Whether an update learns from the trees' pairs, from their chains, steps or states with advantages or
 * values, and from the likelihood of their correct chains. */
bool recipe_learns_from_pairs(const recipe *r);
bool recipe_learns_from_trees(const recipe *r);
bool recipe_learns_from_chains(const recipe *r);

trainer_settings recipe_sft_settings(const recipe *r);
trainer_settings recipe_learn_settings(const recipe *r);
/* total: updates of the whole run. */
schedule recipe_sft_schedule(const recipe *r, int64_t total);
schedule recipe_learn_schedule(const recipe *r, int64_t total);

#endif
