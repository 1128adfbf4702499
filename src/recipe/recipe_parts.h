/* From the recipe's keys to what the parts of the program take. */
#ifndef ESPALIER_RECIPE_RECIPE_PARTS_H
#define ESPALIER_RECIPE_RECIPE_PARTS_H

#include "learn/loss.h"
#include "learn/trainer.h"
#include "recipe/recipe.h"

/* The search's configuration for inference: search.config with nothing gold in it (docs/method.md 3.2). */
search_config recipe_inference_config(const recipe *r);

/* learn.loss and its numbers; kind is LOSS_DPO for rft, which has no pairs. */
loss_options recipe_loss_options(const recipe *r);
/* Whether an update learns from the trees' pairs, and from their right chains. */
bool recipe_learns_from_pairs(const recipe *r);
bool recipe_learns_from_chains(const recipe *r);

trainer_settings recipe_sft_settings(const recipe *r);
trainer_settings recipe_learn_settings(const recipe *r);
/* total: updates of the whole run. */
schedule recipe_sft_schedule(const recipe *r, int64_t total);
schedule recipe_learn_schedule(const recipe *r, int64_t total);

#endif
