/* Learning: one iteration's preferences, its right chains (RFT), or both into the policy. */
#include "eval/calibration.h"
#include "loop/phases.h"
#include "loop/updates.h"
#include "recipe/recipe_parts.h"
#include "loop/right_chains.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What is learned from: pairs, right chains, or both, a tree's side by side. `order` is the pass at hand. */
typedef struct {
    run_state *run;
    int64_t iteration, per_epoch, epoch;
    preference_row *pairs;
    int64_t *pair_tree, pair_count;
    right_chains chains;
    mixed_item *items;
    int64_t *item_tree, *order, count; /* of items */
    loss_options loss;
    arena *memory; /* of the pairs */
    int64_t pairs_too_long;
    double step_tokens;
} learn_work;

/* A seeded pass: trees in a shuffled order, what belongs to one tree stays together and shares its prefix
 * when it is packed. */
static void order_pass(learn_work *w, int64_t epoch) {
    const recipe *r = w->run->session.recipe;
    rng_key_t key =
        rng_mix(rng_mix(rng_mix(rng_key((uint64_t)r->run.seed), 0x6c6561726e), (uint64_t)w->iteration),
                (uint64_t)epoch);
    int64_t groups = 0, *first = MEM_ARRAY(int64_t, w->count + 1);
    for (int64_t i = 0; i < w->count; i++)
        if (i == 0 || w->item_tree[i] != w->item_tree[i - 1]) first[groups++] = i;
    first[groups] = w->count;
    int64_t *shuffled = MEM_ARRAY(int64_t, groups), n = 0;
    rng_shuffle(key, shuffled, groups);
    for (int64_t g = 0; g < groups; g++)
        for (int64_t i = first[shuffled[g]]; i < first[shuffled[g] + 1]; i++) w->order[n++] = i;
    mem_free(first);
    mem_free(shuffled);
}

/* The items of update k of an epoch: learn.batch of them; of pairs and chains together an equal share. */
static int64_t share_of(const learn_work *w, int64_t k, int64_t *first) {
    int64_t batch = w->run->session.recipe->learn.batch;
    if (w->pair_count > 0 && w->chains.count > 0) {
        *first = k * w->count / w->per_epoch;
        return (k + 1) * w->count / w->per_epoch - *first;
    }
    *first = k * batch;
    return w->count - *first < batch ? w->count - *first : batch;
}

static esp_status add_batch(void *context, trainer *t, int64_t update, batch_report *report,
                            esp_error *error) {
    learn_work *w = context;
    int64_t epoch = update / w->per_epoch, first, n = share_of(w, update % w->per_epoch, &first);
    if (epoch != w->epoch) order_pass(w, epoch);
    w->epoch = epoch;
    mixed_item *items = MEM_ARRAY(mixed_item, n);
    for (int64_t i = 0; i < n; i++) items[i] = w->items[w->order[first + i]];
    esp_status status;
    if (w->run->session.recipe->learn.loss == RECIPE_RFT) {
        supervised_row *rows = MEM_ARRAY(supervised_row, n);
        for (int64_t i = 0; i < n; i++) rows[i] = *items[i].chain;
        status = trainer_add_supervised(t, rows, n, report, error);
        mem_free(rows);
    } else if (recipe_learns_from_chains(w->run->session.recipe)) {
        status = trainer_add_mixed(t, items, n, &w->loss, report, error);
    } else {
        preference_row *rows = MEM_ARRAY(preference_row, n);
        for (int64_t i = 0; i < n; i++) rows[i] = *items[i].pair;
        status = trainer_add_preferences(t, rows, n, &w->loss, report, error);
        mem_free(rows);
    }
    mem_free(items);
    return status;
}

/* --- References
 * ---------------------------------------------------------------------------------------------------- */

/* Scores under theta_0 what has no reference yet, and keeps it: one pass over the iteration's trees. */
static esp_status score_references(run_state *run, store_pairs *pairs, esp_error *error) {
    const recipe *r = run->session.recipe;
    int64_t n = 0;
    preference_row *rows = MEM_ARRAY(preference_row, pairs->count);
    int64_t *index = MEM_ARRAY(int64_t, pairs->count);
    for (int64_t i = 0; i < pairs->count; i++) {
        const store_pair *p = &pairs->at[i];
        if (p->ref_logp_chosen == p->ref_logp_chosen && p->ref_logp_rejected == p->ref_logp_rejected)
            continue;
        rows[n] = (preference_row){p->prefix_ids,
                                   p->chosen_ids,
                                   p->rejected_ids,
                                   p->prefix_count,
                                   p->chosen_count,
                                   p->rejected_count,
                                   0,
                                   0,
                                   0};
        index[n++] = i;
    }
    double *chosen = MEM_ARRAY(double, n), *rejected = MEM_ARRAY(double, n);
    model *reference = NULL;
    esp_status status = ESP_OK;
    if (n > 0) {
        /* `previous` is the policy that is loaded; `sft` is theta_0. */
        bool sft = r->learn.reference == RECIPE_SFT;
        char *path = run_theta_0(run);
        if (sft) status = session_open_model(&run->session, path, false, &reference, error);
        if (status == ESP_OK)
            status = score_preferences(reference ? reference : run->model, rows, n,
                                       r->learn.tokens_per_microbatch, chosen, rejected, error);
        mem_free(path);
    }
    if (status == ESP_OK && n > 0) status = store_begin(run->store, error);
    for (int64_t i = 0; i < n && status == ESP_OK; i++) {
        store_pair *p = &pairs->at[index[i]];
        p->ref_logp_chosen = chosen[i];
        p->ref_logp_rejected = rejected[i];
        status = store_set_reference(run->store, p->pair, chosen[i], rejected[i], error);
    }
    if (status == ESP_OK && n > 0)
        status = store_commit(run->store, error);
    else if (n > 0)
        store_rollback(run->store);
    model_free(reference);
    mem_free(rows);
    mem_free(index);
    mem_free(chosen);
    mem_free(rejected);
    return status;
}

static esp_status gather_pairs(learn_work *w, esp_error *error) {
    const recipe *r = w->run->session.recipe;
    store_pairs pairs;
    ESP_TRY(store_read_pairs(w->run->store, w->iteration, &pairs, error));
    esp_status status = score_references(w->run, &pairs, error);
    w->memory = pairs.memory; /* the rows point into it */
    w->pairs = arena_alloc(w->memory, sizeof *w->pairs * (size_t)pairs.count);
    w->pair_tree = arena_alloc(w->memory, 8 * (size_t)pairs.count);
    for (int64_t i = 0; i < pairs.count; i++) {
        const store_pair *p = &pairs.at[i];
        int64_t longer = p->chosen_count > p->rejected_count ? p->chosen_count : p->rejected_count;
        if (p->prefix_count + longer > r->learn.max_length) {
            w->pairs_too_long++;
            continue;
        }
        w->pair_tree[w->pair_count] = p->tree;
        w->step_tokens += (double)(p->chosen_count + p->rejected_count) / 2;
        w->pairs[w->pair_count++] = (preference_row){.prefix = p->prefix_ids,
                                                     .chosen = p->chosen_ids,
                                                     .rejected = p->rejected_ids,
                                                     .prefix_count = p->prefix_count,
                                                     .chosen_count = p->chosen_count,
                                                     .rejected_count = p->rejected_count,
                                                     .ref_chosen = p->ref_logp_chosen,
                                                     .ref_rejected = p->ref_logp_rejected,
                                                     .alpha = p->alpha};
    }
    return status;
}

/* Pairs and chains into one list, a tree's side by side: pairs first. Both lists stand in the order of trees.
 */
static void join_items(learn_work *w) {
    int64_t p = 0, c = 0, n = w->pair_count + w->chains.count;
    w->items = MEM_ARRAY(mixed_item, n);
    w->item_tree = MEM_ARRAY(int64_t, n);
    w->order = MEM_ARRAY(int64_t, n);
    while (w->count < n) {
        bool pair = c == w->chains.count || (p < w->pair_count && w->pair_tree[p] <= w->chains.tree[c]);
        w->item_tree[w->count] = pair ? w->pair_tree[p] : w->chains.tree[c];
        w->items[w->count++] =
            pair ? (mixed_item){.pair = &w->pairs[p++]} : (mixed_item){.chain = &w->chains.at[c++]};
    }
}

static esp_status gather(learn_work *w, esp_error *error) {
    const recipe *r = w->run->session.recipe;
    if (recipe_learns_from_pairs(r)) ESP_TRY(gather_pairs(w, error));
    if (recipe_learns_from_chains(r))
        ESP_TRY(right_chains_gather(w->run->store, w->iteration, r->learn.max_chains, r->learn.max_length,
                                    &w->chains, error));
    join_items(w);
    return ESP_OK;
}

static void note_left_out(const learn_work *w) {
    const observer *o = &w->run->session.observer;
    long long longest = (long long)w->run->session.recipe->learn.max_length;
    if (w->pairs_too_long)
        observer_note(o, "iteration %lld: %lld pairs longer than %lld tokens left out",
                      (long long)w->iteration, (long long)w->pairs_too_long, longest);
    if (w->chains.too_long)
        observer_note(o, "iteration %lld: %lld right chains longer than %lld tokens left out",
                      (long long)w->iteration, (long long)w->chains.too_long, longest);
    if (w->chains.same || w->chains.surplus)
        observer_note(o,
                      "iteration %lld: %lld right chains left out that were there already, %lld beyond "
                      "learn.max_chains",
                      (long long)w->iteration, (long long)w->chains.same, (long long)w->chains.surplus);
}

/* --- The watch list (METHOD.md 5.5)
 * -------------------------------------------------------------------------------- */

static void note_trees(run_state *run, int64_t iteration, const store_trees *trees) {
    int64_t finished = 0, right = 0, sampled = 0, committed_right = 0;
    for (int64_t i = 0; i < trees->count; i++) {
        finished += trees->at[i].finished;
        right += trees->at[i].right;
        sampled += trees->at[i].tokens_sampled;
        committed_right += trees->at[i].outcome > 0;
    }
    observer_note(&run->session.observer,
                  "iteration %lld: %lld trees, committed path right in %.1f%%, %lld finished chains of which "
                  "%.1f%% right, %.0f tokens sampled a tree",
                  (long long)iteration, (long long)trees->count,
                  100.0 * (double)committed_right / (double)(trees->count ? trees->count : 1),
                  (long long)finished, 100.0 * (double)right / (double)(finished ? finished : 1),
                  (double)sampled / (double)(trees->count ? trees->count : 1));
}

/* Means over an iteration's updates; those of pairs over the updates that had some. */
typedef struct {
    int64_t updates, with_pairs;
    double loss, norm, margin, accuracy, kl;
    double first_chosen, first_rejected, last_chosen,
        last_rejected; /* first and last quarter: movement shows */
} update_means;

static bool is_learning(const store_update *u) {
    return strcmp(u->phase, "learn") == 0;
}

static update_means means_of(const store_updates *updates) {
    update_means m = {0};
    for (int64_t i = 0; i < updates->count; i++) {
        const store_update *u = &updates->at[i];
        if (!is_learning(u)) continue;
        m.updates++;
        m.with_pairs += u->margin == u->margin;
    }
    int64_t quarter = m.with_pairs / 4 > 0 ? m.with_pairs / 4 : 1, seen = 0;
    double all = (double)m.updates, n = (double)m.with_pairs, q = (double)quarter;
    for (int64_t i = 0; i < updates->count; i++) {
        const store_update *u = &updates->at[i];
        if (!is_learning(u)) continue;
        m.norm += u->grad_norm / all, m.loss += u->loss / all;
        if (u->margin != u->margin) continue;
        m.margin += u->margin / n, m.accuracy += u->accuracy / n, m.kl += u->kl / n;
        if (seen < quarter) m.first_chosen += u->logp_chosen / q, m.first_rejected += u->logp_rejected / q;
        if (seen >= m.with_pairs - quarter)
            m.last_chosen += u->logp_chosen / q, m.last_rejected += u->logp_rejected / q;
        seen++;
    }
    return m;
}

static void note_updates(run_state *run, const learn_work *w, const store_updates *updates) {
    const observer *o = &run->session.observer;
    update_means m = means_of(updates);
    if (m.updates == 0) return;
    if (w->chains.count > 0 || recipe_learns_from_chains(run->session.recipe))
        observer_note(o, "iteration %lld: %lld right chains, %lld updates, loss %.4f, gradient %.3f",
                      (long long)w->iteration, (long long)w->chains.count, (long long)m.updates, m.loss,
                      m.norm);
    if (m.with_pairs == 0) return;
    observer_note(o,
                  "iteration %lld: %lld pairs, %lld updates, loss %.4f, margin %+.4f, pair accuracy %.2f, "
                  "log p chosen %.2f to %.2f, rejected %.2f to %.2f, "
                  "KL %.4f, gradient %.3f, %.1f tokens a step",
                  (long long)w->iteration, (long long)w->pair_count, (long long)m.updates, m.loss, m.margin,
                  m.accuracy, m.first_chosen, m.last_chosen, m.first_rejected, m.last_rejected, m.kl, m.norm,
                  w->step_tokens / (double)(w->pair_count ? w->pair_count : 1));
    if (m.with_pairs >= 4 && m.last_chosen < m.first_chosen && m.last_rejected < m.first_rejected)
        observer_note(o,
                      "iteration %lld: the log-probs of chosen and rejected steps fall together; learn.nll "
                      "holds the chosen ones up",
                      (long long)w->iteration);
}

/* How well C told right from wrong in the iteration's trees, as it was kept when they were all there. */
static esp_status note_judge(run_state *run, int64_t iteration, esp_error *error) {
    store_judgements rows;
    ESP_TRY(store_read_judgements(run->store, &rows, error));
    for (int64_t i = 0; i < rows.count; i++) {
        const store_judgement *j = &rows.at[i];
        bool finished = strcmp(j->kind, "finished") == 0;
        if (j->iteration != iteration || strcmp(j->source, JUDGE_TRAIN) != 0 || isnan(j->area)) continue;
        char counts[64] = "";
        if (finished)
            snprintf(counts, sizeof counts, " (%lld right, %lld wrong)", (long long)j->positives,
                     (long long)j->negatives);
        observer_note(&run->session.observer, "iteration %lld: self-evaluation AUC %.3f [%.3f, %.3f] on %s%s",
                      (long long)iteration, j->area, j->low, j->high,
                      finished ? "finished chains" : "unfinished steps", counts);
    }
    STORE_LIST_FREE(&rows);
    return ESP_OK;
}

static esp_status watch(run_state *run, const learn_work *w, esp_error *error) {
    store_trees trees;
    store_updates updates;
    ESP_TRY(store_read_trees(run->store, w->iteration, &trees, error));
    note_trees(run, w->iteration, &trees);
    STORE_LIST_FREE(&trees);
    ESP_TRY(note_judge(run, w->iteration, error));
    ESP_TRY(store_read_updates(run->store, w->iteration, &updates, error));
    note_updates(run, w, &updates);
    STORE_LIST_FREE(&updates);
    return ESP_OK;
}

/* --- The phase
 * ----------------------------------------------------------------------------------------------------- */

/* Parts of the schedule an iteration has: fine enough for any number of updates, which is not known
 * beforehand. */
enum { SCHEDULE_PARTS = 10000 };

static esp_status take_updates(run_state *run, const store_position *position, learn_work *w,
                               const char *checkpoint, esp_error *error) {
    const recipe *r = run->session.recipe;
    /* As many updates as the longer of the two lists fills; the shorter one is spread over them. */
    int64_t longer = w->pair_count > w->chains.count ? w->pair_count : w->chains.count;
    w->per_epoch = (longer + r->learn.batch - 1) / r->learn.batch;
    int64_t updates = w->per_epoch * r->learn.epochs;
    if (r->learn.steps > 0 && updates > r->learn.steps) updates = r->learn.steps;
    if (position->update == 0) note_left_out(w);
    if (updates == 0) {
        observer_note(&run->session.observer, "iteration %lld: nothing to learn from",
                      (long long)w->iteration);
        ESP_TRY(trainer_show_average(run->trainer, error));
        ESP_TRY(checkpoint_write(run->folder, checkpoint, &run->session, run->model, run->trainer, error));
        run_holds(run, checkpoint);
        return ESP_OK;
    }
    double iterations = (double)r->run.iterations;
    update_plan plan = {.phase = "learn",
                        .updates = updates,
                        .schedule = recipe_learn_schedule(r, r->run.iterations * SCHEDULE_PARTS),
                        .progress_first = (double)(w->iteration - 1) / iterations,
                        .progress_last = (double)w->iteration / iterations,
                        .add = add_batch,
                        .context = w};
    return run_updates(run, position, &plan, checkpoint, error);
}

esp_status phase_learn(run_state *run, const store_position *position, esp_error *error) {
    const recipe *r = run->session.recipe;
    trainer_settings settings = recipe_learn_settings(r);
    ESP_TRY(run_load_policy(run, position->checkpoint, &settings, error));
    learn_work w = {
        .run = run, .iteration = position->iteration, .epoch = -1, .loss = recipe_loss_options(r)};
    char checkpoint[64];
    snprintf(checkpoint, sizeof checkpoint, "iteration-%lld", (long long)position->iteration);
    esp_status status = gather(&w, error);
    if (status == ESP_OK) status = take_updates(run, position, &w, checkpoint, error);
    if (status == ESP_OK) status = watch(run, &w, error);
    if (status == ESP_OK) {
        store_position next = phase_after(run->session.recipe, run->phases, position, checkpoint);
        status = store_position_set(run->store, &next, error);
    }
    mem_free(w.items);
    mem_free(w.item_tree);
    mem_free(w.order);
    right_chains_free(&w.chains);
    if (w.memory) arena_free(w.memory);
    return status;
}
