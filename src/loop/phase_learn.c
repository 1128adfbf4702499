/* Learning: updates of the policy from what the loss takes of one iteration's trees, from the likelihood of
 * their correct chains, or both. */
#include "loop/judge_learn.h"
#include "loop/phases.h"
#include "loop/right_chains.h"
#include "loop/tree_examples.h"
#include "loop/updates.h"
#include "loop/watch_list.h"
#include "recipe/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What an iteration learns from: pairs or what else the loss takes, correct chains, or both, those of a tree
 * side by side. */
typedef struct {
    run_state *run;
    int64_t iteration;
    recipe_terms terms;
    store_pairs pairs;
    tree_examples others; /* of a loss that does not learn from pairs */
    right_chains chains;
    example_list examples;
    int64_t pair_count, pairs_too_long; /* pairs that are learned from, and that are left out */
    double step_tokens;                 /* of the pairs' steps, a mean over both, summed */
} learn_work;

/* ---- examples ---- */

static example pair_example(const learn_work *w, const store_pair *p) {
    learn_path chosen = {.prefix = p->prefix_ids,
                         .tail = p->chosen_ids,
                         .prefix_count = p->prefix_count,
                         .tail_count = p->chosen_count,
                         .reference = p->ref_logp_chosen};
    learn_path rejected = chosen;
    rejected.tail = p->rejected_ids;
    rejected.tail_count = p->rejected_count;
    rejected.reference = p->ref_logp_rejected;
    return (example){.path = {chosen, rejected}, .term = &w->terms.loss, .alpha = p->alpha, .group = p->tree};
}

static bool ids_in(const int32_t *ids, int64_t n, int64_t vocabulary) {
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocabulary) return false;
    return true;
}

/* The ids come from rows, which somebody may have written: the model would look them up anywhere. */
static esp_status check_ids(const learn_work *w, const example *examples, int64_t n, esp_error *error) {
    int64_t vocabulary = model_configuration(w->run->model)->vocab;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < example_paths(&examples[i]); k++) {
            const learn_path *p = &examples[i].path[k];
            if (!ids_in(p->prefix, p->prefix_count, vocabulary) ||
                !ids_in(p->tail, p->tail_count, vocabulary))
                return error_fail(error, "restore run.db from a copy",
                                  "%s: trees of iteration %lld have tokens outside the vocabulary of %lld",
                                  w->run->folder, (long long)w->iteration, (long long)vocabulary);
        }
    return ESP_OK;
}

/* Scores under the reference policy the examples that have no reference yet: one pass over the iteration's
 * trees. `previous` is the policy that is loaded; `sft` is theta_0. */
static esp_status score_references(learn_work *w, example *examples, int64_t n, esp_error *error) {
    run_state *run = w->run;
    const recipe *r = run->session.recipe;
    model *reference = NULL;
    if (examples_without_reference(examples, n) == 0) return ESP_OK;
    if (r->learn.reference == RECIPE_SFT) {
        ESP_TRY(run_open_theta_0(run, &reference, error));
    }
    esp_status status = examples_set_references(reference ? reference : run->model, examples, n,
                                                r->learn.tokens_per_microbatch, NULL, NULL, error);
    model_free(reference);
    return status;
}

/* The same of the pairs, and stores the numbers. */
static esp_status score_pairs(learn_work *w, example *examples, esp_error *error) {
    run_state *run = w->run;
    if (examples_without_reference(examples, w->pairs.count) == 0) return ESP_OK;
    ESP_TRY(score_references(w, examples, w->pairs.count, error));
    esp_status status = ESP_OK;
    ESP_TRY(store_begin(run->store, error));
    for (int64_t i = 0; i < w->pairs.count && status == ESP_OK; i++) {
        store_pair *p = &w->pairs.at[i];
        if (!isnan(p->ref_logp_chosen) && !isnan(p->ref_logp_rejected)) continue;
        p->ref_logp_chosen = examples[i].path[0].reference;
        p->ref_logp_rejected = examples[i].path[1].reference;
        status = store_set_reference(run->store, p->pair, p->ref_logp_chosen, p->ref_logp_rejected, error);
    }
    if (status == ESP_OK) return store_commit(run->store, error);
    store_rollback(run->store);
    return status;
}

static esp_status read_pairs(learn_work *w, esp_error *error) {
    ESP_TRY(store_read_pairs(w->run->store, w->iteration, &w->pairs, error));
    example *examples = MEM_ARRAY(example, w->pairs.count + 1);
    for (int64_t i = 0; i < w->pairs.count; i++) examples[i] = pair_example(w, &w->pairs.at[i]);
    esp_status status = check_ids(w, examples, w->pairs.count, error);
    if (status == ESP_OK) status = score_pairs(w, examples, error);
    mem_free(examples);
    return status;
}

static esp_status read_others(learn_work *w, esp_error *error) {
    const recipe *r = w->run->session.recipe;
    tree_examples_options options = {.term = &w->terms.loss,
                                     .max_length = r->learn.max_length,
                                     .reference_sampled = r->learn.reference == RECIPE_PREVIOUS};
    ESP_TRY(tree_examples_gather(w->run->store, w->iteration, &options, &w->others, error));
    ESP_TRY(check_ids(w, w->others.at, w->others.count, error));
    return score_references(w, w->others.at, w->others.count, error);
}

/* A pair, and in the same row the likelihood of its chosen step where that is asked for. */
static void add_pair(learn_work *w, const store_pair *p) {
    const recipe *r = w->run->session.recipe;
    int64_t longer = p->chosen_count > p->rejected_count ? p->chosen_count : p->rejected_count;
    if (p->prefix_count + longer > r->learn.max_length) {
        w->pairs_too_long++;
        return;
    }
    w->pair_count++;
    w->step_tokens += (double)(p->chosen_count + p->rejected_count) / 2;
    example pair = pair_example(w, p);
    bool likelihood = w->terms.likelihood.weight > 0 && r->learn.nll_on == RECIPE_NLL_CHOSEN;
    example_list_add_pair(&w->examples, &pair, likelihood ? &w->terms.likelihood : NULL);
}

static void add_chain(learn_work *w, int64_t i) {
    bool alone = w->terms.loss.of->source == LEARNS_FROM_CHAINS;
    example chain = {.path = {w->chains.at[i]},
                     .term = alone ? &w->terms.loss : &w->terms.likelihood,
                     .group = w->chains.tree[i]};
    MEM_LIST_PUSH(&w->examples, chain);
}

/* How many rows the loss has, and the tree and the adding of row i. */
static int64_t loss_rows(const learn_work *w) {
    return w->others.memory ? w->others.count : w->pairs.count;
}

static int64_t tree_of_row(const learn_work *w, int64_t i) {
    return w->others.memory ? w->others.at[i].group : w->pairs.at[i].tree;
}

static void add_row(learn_work *w, int64_t i) {
    if (w->others.memory)
        MEM_LIST_PUSH(&w->examples, w->others.at[i]);
    else
        add_pair(w, &w->pairs.at[i]);
}

/* All examples, by tree: those of the loss first, then correct chains. Both lists are in the order of trees.
 */
static esp_status gather(learn_work *w, esp_error *error) {
    const recipe *r = w->run->session.recipe;
    if (recipe_learns_from_pairs(r)) ESP_TRY(read_pairs(w, error));
    if (recipe_learns_from_trees(r)) ESP_TRY(read_others(w, error));
    if (recipe_learns_from_chains(r))
        ESP_TRY(right_chains_gather(w->run->store, w->iteration, r->learn.max_chains, r->learn.max_length,
                                    &w->chains, error));
    for (int64_t i = 0, c = 0; i < loss_rows(w) || c < w->chains.count;) {
        if (c == w->chains.count || (i < loss_rows(w) && tree_of_row(w, i) <= w->chains.tree[c]))
            add_row(w, i++);
        else
            add_chain(w, c++);
    }
    return check_ids(w, w->examples.at, w->examples.count, error);
}

/* By learn.batch; of the loss's rows and correct chains together as many updates as the longer of the two
 * lists fills, with an equal share of both for each. A problem is its tree. */
static batches *make_batches(const learn_work *w) {
    const recipe *r = w->run->session.recipe;
    int64_t rows = w->pair_count + w->others.count;
    int64_t longer = rows > w->chains.count ? rows : w->chains.count;
    bool of_problems = r->learn.batch_of == RECIPE_BATCH_PROBLEMS;
    bool both = !of_problems && rows > 0 && w->chains.count > 0;
    rng_key_t key = rng_mix(rng_key((uint64_t)r->run.seed), 0x6c6561726e);
    return batches_new(
        w->examples.at, w->examples.count,
        &(batches_options){.batch = r->learn.batch,
                           .of_groups = of_problems,
                           .per_epoch = both ? (longer + r->learn.batch - 1) / r->learn.batch : 0,
                           .shuffle = true,
                           .key = rng_mix(key, (uint64_t)w->iteration)});
}

static void note_left_out(const learn_work *w) {
    const observer *o = &w->run->session.observer;
    long long longest = (long long)w->run->session.recipe->learn.max_length;
    if (w->pairs_too_long)
        observer_note(o, "iteration %lld: %lld pairs longer than %lld tokens left out",
                      (long long)w->iteration, (long long)w->pairs_too_long, longest);
    if (w->others.too_long)
        observer_note(o, "iteration %lld: %lld %s longer than %lld tokens left out", (long long)w->iteration,
                      (long long)w->others.too_long, learned_rows_name(w->terms.loss.of->source), longest);
    if (w->others.level)
        observer_note(o, "iteration %lld: %lld %s left out that are no better and no worse than others",
                      (long long)w->iteration, (long long)w->others.level,
                      learned_rows_name(w->terms.loss.of->source));
    if (w->chains.too_long)
        observer_note(o, "iteration %lld: %lld correct chains longer than %lld tokens left out",
                      (long long)w->iteration, (long long)w->chains.too_long, longest);
    if (w->chains.same || w->chains.surplus)
        observer_note(o,
                      "iteration %lld: %lld correct chains left out that were there already, %lld beyond "
                      "learn.max_chains",
                      (long long)w->iteration, (long long)w->chains.same, (long long)w->chains.surplus);
}

/* ---- the phase ---- */

/* Parts of the schedule an iteration has: fine enough for any number of updates, which is not known
 * beforehand. */
enum { SCHEDULE_PARTS = 10000 };

/* Nothing to learn from: the checkpoint is the policy as it was. */
static esp_status keep_policy(run_state *run, const learn_work *w, const char *checkpoint, esp_error *error) {
    observer_note(&run->session.observer, "iteration %lld: nothing to learn from", (long long)w->iteration);
    ESP_TRY(trainer_show_average(run->trainer, error));
    ESP_TRY(run_write_checkpoint(run, checkpoint, run->trainer, error));
    run_holds(run, checkpoint);
    return ESP_OK;
}

static esp_status make_updates(run_state *run, const store_position *position, const learn_work *w,
                               const char *checkpoint, esp_error *error) {
    const recipe *r = run->session.recipe;
    if (position->update == 0) note_left_out(w);
    batches *b = make_batches(w);
    int64_t updates = w->examples.count > 0 ? batches_per_epoch(b) * r->learn.epochs : 0;
    if (r->learn.steps > 0 && updates > r->learn.steps) updates = r->learn.steps;
    double iterations = (double)r->run.iterations;
    judge_beside beside;
    esp_status status = judge_beside_make(run, w->iteration, updates, &beside, error);
    update_plan plan = {.phase = "learn",
                        .batches = b,
                        .beside = beside.batches,
                        .updates = updates,
                        .schedule = recipe_learn_schedule(r, r->run.iterations * SCHEDULE_PARTS),
                        .progress_first = (double)(w->iteration - 1) / iterations,
                        .progress_last = (double)w->iteration / iterations};
    if (status == ESP_OK)
        status = updates > 0 ? run_updates(run, position, &plan, checkpoint, error)
                             : keep_policy(run, w, checkpoint, error);
    judge_beside_free(&beside);
    batches_free(b);
    return status;
}

esp_status phase_learn(run_state *run, const store_position *position, esp_error *error) {
    const recipe *r = run->session.recipe;
    trainer_settings settings = recipe_learn_settings(r);
    ESP_TRY(run_load_policy(run, position->checkpoint, &settings, error));
    learn_work w = {.run = run, .iteration = position->iteration};
    recipe_terms_read(r, r->learn.nll_on == RECIPE_NLL_RIGHT_CHAINS, &w.terms);
    char checkpoint[CHECKPOINT_NAME_MAX];
    checkpoint_name_final(checkpoint, position->iteration);
    esp_status status = judge_learn(run, position, error);
    if (status == ESP_OK) status = gather(&w, error);
    if (status == ESP_OK) status = make_updates(run, position, &w, checkpoint, error);
    learned_rows rows = {.pairs = w.pair_count,
                         .others = w.others.count,
                         .chains = w.chains.count,
                         .step_tokens = w.step_tokens / (double)(w.pair_count ? w.pair_count : 1),
                         .source = w.terms.loss.of->source};
    if (status == ESP_OK) status = watch_iteration(run, w.iteration, &rows, error);
    if (status == ESP_OK) {
        store_position next = phase_after(run->session.recipe, run->phases, position, checkpoint);
        status = run_move(run, &next, error);
    }
    MEM_LIST_FREE(&w.examples);
    tree_examples_free(&w.others);
    right_chains_free(&w.chains);
    if (w.pairs.memory) STORE_LIST_FREE(&w.pairs);
    return status;
}
