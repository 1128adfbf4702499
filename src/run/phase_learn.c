/* Learning: one iteration's preferences (or, for RFT, its right chains) into the policy. */
#include "run/judge_auc.h"
#include "run/phases.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What is learned from: pairs, or for RFT rows. `order` is the pass at hand. */
typedef struct {
    run_state *run;
    int64_t iteration, count, per_epoch, epoch, batch;
    preference_row *pairs;
    supervised_row *rows;
    int64_t *problem; /* of each pair or row, to keep those of a problem side by side */
    int64_t *order;
    loss_options loss;
    arena *memory;
    int64_t too_long, pairs_seen;
    double step_tokens;
} learn_work;

/* A seeded pass: problems in a shuffled order, what belongs to one problem stays together and shares its
 * prefix in the packed trees. */
static void order_pass(learn_work *w, int64_t epoch) {
    const recipe *r = w->run->session.recipe;
    rng_key_t key =
        rng_mix(rng_mix(rng_mix(rng_key((uint64_t)r->run.seed), 0x6c6561726e), (uint64_t)w->iteration),
                (uint64_t)epoch);
    int64_t groups = 0, *first = MEM_ARRAY(int64_t, w->count + 1);
    for (int64_t i = 0; i < w->count; i++)
        if (i == 0 || w->problem[i] != w->problem[i - 1]) first[groups++] = i;
    first[groups] = w->count;
    int64_t *shuffled = MEM_ARRAY(int64_t, groups), n = 0;
    rng_shuffle(key, shuffled, groups);
    for (int64_t g = 0; g < groups; g++)
        for (int64_t i = first[shuffled[g]]; i < first[shuffled[g] + 1]; i++) w->order[n++] = i;
    mem_free(first);
    mem_free(shuffled);
}

static esp_status add_batch(void *context, trainer *t, int64_t update, batch_report *report,
                            esp_error *error) {
    learn_work *w = context;
    int64_t epoch = update / w->per_epoch, first = update % w->per_epoch * w->batch;
    if (epoch != w->epoch) order_pass(w, epoch);
    w->epoch = epoch;
    int64_t n = w->count - first < w->batch ? w->count - first : w->batch;
    esp_status status;
    if (w->rows) {
        supervised_row *batch = MEM_ARRAY(supervised_row, n);
        for (int64_t i = 0; i < n; i++) batch[i] = w->rows[w->order[first + i]];
        status = trainer_add_supervised(t, batch, n, report, error);
        mem_free(batch);
    } else {
        preference_row *batch = MEM_ARRAY(preference_row, n);
        for (int64_t i = 0; i < n; i++) batch[i] = w->pairs[w->order[first + i]];
        status = trainer_add_preferences(t, batch, n, &w->loss, report, error);
        mem_free(batch);
    }
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
    w->pairs_seen = pairs.count;
    w->pairs = arena_alloc(w->memory, sizeof *w->pairs * (size_t)pairs.count);
    w->problem = arena_alloc(w->memory, 8 * (size_t)pairs.count);
    for (int64_t i = 0; i < pairs.count; i++) {
        const store_pair *p = &pairs.at[i];
        int64_t longer = p->chosen_count > p->rejected_count ? p->chosen_count : p->rejected_count;
        if (p->prefix_count + longer > r->learn.max_length) {
            w->too_long++;
            continue;
        }
        w->problem[w->count] = p->tree;
        w->step_tokens += (double)(p->chosen_count + p->rejected_count) / 2;
        w->pairs[w->count++] = (preference_row){.prefix = p->prefix_ids,
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

/* --- RFT: the distinct right chains of the trees (METHOD.md 6)
 * ------------------------------------------------------ */

static int64_t chain_of(const store_nodes *nodes, int64_t leaf, int32_t *out) {
    int64_t n = 0, end;
    for (int64_t a = leaf; a > 0; a = nodes->at[a].parent) n += nodes->at[a].count;
    end = n;
    for (int64_t a = leaf; a > 0 && out; a = nodes->at[a].parent) {
        end -= nodes->at[a].count;
        memcpy(out + end, nodes->at[a].ids, (size_t)nodes->at[a].count * 4);
    }
    return n;
}

static esp_status gather_right_chains(learn_work *w, esp_error *error) {
    const recipe *r = w->run->session.recipe;
    store_trees trees;
    ESP_TRY(store_read_trees(w->run->store, w->iteration, &trees, error));
    MEM_LIST(supervised_row) rows = {0};
    MEM_LIST(int64_t) owner = {0};
    w->memory = trees.memory;
    esp_status status = ESP_OK;
    for (int64_t t = 0; t < trees.count && status == ESP_OK; t++) {
        store_nodes nodes;
        status = store_read_nodes(w->run->store, trees.at[t].tree, &nodes, error);
        if (status != ESP_OK) break;
        for (int64_t i = 0; i < nodes.count; i++) {
            if (!(nodes.at[i].flags & STORE_NODE_FINISHED) || !(nodes.at[i].outcome > 0)) continue;
            int64_t n = chain_of(&nodes, i, NULL);
            if (trees.at[t].prompt_count + n > r->learn.max_length) {
                w->too_long++;
                continue;
            }
            int32_t *ids = arena_alloc(w->memory, 4 * (size_t)n);
            chain_of(&nodes, i, ids);
            w->step_tokens += (double)n;
            supervised_row row = {trees.at[t].prompt_ids, ids, trees.at[t].prompt_count, n, 1};
            MEM_LIST_PUSH(&rows, row);
            MEM_LIST_PUSH(&owner, trees.at[t].tree);
        }
        STORE_LIST_FREE(&nodes);
    }
    w->pairs_seen = w->count = rows.count;
    w->rows = arena_copy(w->memory, rows.at, sizeof *rows.at * (size_t)rows.count);
    w->problem = arena_copy(w->memory, owner.at, 8 * (size_t)rows.count);
    MEM_LIST_FREE(&rows);
    MEM_LIST_FREE(&owner);
    return status;
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

/* First and last quarter of the iteration's updates, so that a movement shows. */
static void note_updates(run_state *run, const learn_work *w, const store_updates *updates) {
    int64_t n = 0;
    double first_w = 0, first_l = 0, last_w = 0, last_l = 0, margin = 0, accuracy = 0, kl = 0, norm = 0,
           loss = 0;
    for (int64_t i = 0; i < updates->count; i++) n += strcmp(updates->at[i].phase, "learn") == 0;
    if (n == 0) return;
    int64_t quarter = n / 4 > 0 ? n / 4 : 1, seen = 0;
    for (int64_t i = 0; i < updates->count; i++) {
        const store_update *u = &updates->at[i];
        if (strcmp(u->phase, "learn") != 0) continue;
        if (seen < quarter)
            first_w += u->logp_chosen / (double)quarter, first_l += u->logp_rejected / (double)quarter;
        if (seen >= n - quarter)
            last_w += u->logp_chosen / (double)quarter, last_l += u->logp_rejected / (double)quarter;
        margin += u->margin / (double)n, accuracy += u->accuracy / (double)n, kl += u->kl / (double)n;
        norm += u->grad_norm / (double)n, loss += u->loss / (double)n;
        seen++;
    }
    const observer *o = &run->session.observer;
    if (w->rows) {
        observer_note(o, "iteration %lld: %lld right chains, %lld updates, loss %.4f, gradient %.3f",
                      (long long)w->iteration, (long long)w->count, (long long)n, loss, norm);
        return;
    }
    observer_note(o,
                  "iteration %lld: %lld pairs, %lld updates, loss %.4f, margin %+.4f, pair accuracy %.2f, "
                  "log p chosen %.2f to %.2f, rejected %.2f to %.2f, "
                  "KL %.4f, gradient %.3f, %.1f tokens a step",
                  (long long)w->iteration, (long long)w->count, (long long)n, loss, margin, accuracy, first_w,
                  last_w, first_l, last_l, kl, norm, w->step_tokens / (double)w->count);
    if (n >= 4 && last_w < first_w && last_l < first_l)
        observer_note(o,
                      "iteration %lld: the log-probs of chosen and rejected steps fall together; learn.nll "
                      "holds the chosen ones up",
                      (long long)w->iteration);
}

/* How well C told right from wrong in the iteration's trees. */
static esp_status note_judge(run_state *run, int64_t iteration, esp_error *error) {
    if (!run->session.recipe->self_eval.enabled) return ESP_OK;
    judge_auc auc;
    ESP_TRY(judge_auc_of_trees(run->store, iteration, &auc, error));
    if (auc.finished.area == auc.finished.area)
        observer_note(&run->session.observer,
                      "iteration %lld: self-evaluation AUC %.3f [%.3f, %.3f] on finished chains (%lld right, "
                      "%lld wrong)",
                      (long long)iteration, auc.finished.area, auc.finished.interval.low,
                      auc.finished.interval.high, (long long)auc.finished.positives,
                      (long long)auc.finished.negatives);
    if (auc.unfinished.area == auc.unfinished.area)
        observer_note(&run->session.observer,
                      "iteration %lld: self-evaluation AUC %.3f [%.3f, %.3f] on unfinished steps",
                      (long long)iteration, auc.unfinished.area, auc.unfinished.interval.low,
                      auc.unfinished.interval.high);
    ESP_TRY(store_metric(run->store, iteration, "auc_finished", auc.finished.area, error));
    return store_metric(run->store, iteration, "auc_unfinished", auc.unfinished.area, error);
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
    w->batch = r->learn.batch;
    w->per_epoch = (w->count + w->batch - 1) / w->batch;
    int64_t updates = w->per_epoch * r->learn.epochs;
    if (r->learn.steps > 0 && updates > r->learn.steps) updates = r->learn.steps;
    if (w->too_long && position->update == 0)
        observer_note(&run->session.observer, "iteration %lld: %lld %s longer than %lld tokens left out",
                      (long long)w->iteration, (long long)w->too_long, w->rows ? "right chains" : "pairs",
                      (long long)r->learn.max_length);
    if (updates == 0) {
        observer_note(&run->session.observer, "iteration %lld: nothing to learn from",
                      (long long)w->iteration);
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
    esp_status status =
        r->learn.loss == RECIPE_RFT ? gather_right_chains(&w, error) : gather_pairs(&w, error);
    w.order = MEM_ARRAY(int64_t, w.count);
    if (status == ESP_OK) status = take_updates(run, position, &w, checkpoint, error);
    if (status == ESP_OK) status = watch(run, &w, error);
    if (status == ESP_OK) {
        store_position next = run_after(run, position, checkpoint);
        status = store_position_set(run->store, &next, error);
    }
    mem_free(w.order);
    arena_free(w.memory);
    return status;
}
