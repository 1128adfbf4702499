#include "loop/tree_store.h"

#include "loop/tree_pairs.h"
#include "loop/tree_rows.h"

#include <math.h>

static esp_status store_nodes_of(run_state *run, int64_t tree, const search *s, esp_error *error) {
    int32_t count = search_node_count(s);
    store_node *rows = MEM_ARRAY(store_node, count);
    tree_rows_nodes(s, rows);
    text_buffer text = {0};
    esp_status status = ESP_OK;
    for (int32_t i = 0; i < count && status == ESP_OK; i++) {
        text_clear(&text);
        if (rows[i].count > 0)
            status = tokenizer_decode_more(run->session.tokenizer, rows[i].ids, rows[i].count, false, &text,
                                           error);
        rows[i].text = text.at ? text.at : "";
        if (status == ESP_OK) status = store_add_nodes(run->store, tree, &rows[i], 1, error);
    }
    text_free(&text);
    mem_free(rows);
    return status;
}

static esp_status store_commitments_of(run_state *run, int64_t tree, const search *s,
                                       const harvest_pairs *pairs, esp_error *error) {
    for (int32_t i = 0; i < search_commitment_count(s); i++) {
        int32_t pair = pairs->of_commitment[i];
        store_commitment row = tree_rows_commitment(s, i, pair < 0 ? NULL : &pairs->at[pair]);
        ESP_TRY(store_add_commitments(run->store, tree, &row, 1, error));
    }
    return ESP_OK;
}

static esp_status store_one_pair(run_state *run, const store_tree *tree, store_pair *row, esp_error *error) {
    row->iteration = tree->iteration;
    row->tree = tree->tree;
    row->problem = tree->problem;
    /* The reference `previous` is the policy that sampled: its log-probs are known (docs/method.md 1). */
    bool previous = run->session.recipe->learn.reference == RECIPE_PREVIOUS;
    row->ref_logp_chosen = previous ? row->policy_logp_chosen : NAN;
    row->ref_logp_rejected = previous ? row->policy_logp_rejected : NAN;
    return store_add_pair(run->store, row, error);
}

static esp_status store_step_pairs(run_state *run, const store_tree *tree, const search *s,
                                   const harvest_pairs *pairs, esp_error *error) {
    for (int32_t i = 0; i < pairs->count; i++) {
        store_pair row = tree_pairs_row(s, &pairs->at[i]);
        ESP_TRY(store_one_pair(run, tree, &row, error));
    }
    return ESP_OK;
}

static esp_status store_chain_pair(run_state *run, const store_tree *tree, const search *s,
                                   esp_error *error) {
    harvest_pair pair;
    if (!harvest_instance_pair(s, &run->session.recipe->search.harvest, &pair)) return ESP_OK;
    store_pair row = tree_pairs_row(s, &pair);
    return store_one_pair(run, tree, &row, error);
}

/* The commitments, and what is learned from the tree. */
static esp_status store_harvest_of(run_state *run, const store_tree *tree, const search *s,
                                   esp_error *error) {
    const recipe *r = run->session.recipe;
    harvest_pairs pairs;
    harvest_step_pairs(s, &r->search.harvest, &pairs);
    esp_status status = store_commitments_of(run, tree->tree, s, &pairs, error);
    if (status == ESP_OK)
        status = r->learn.pairs == RECIPE_PAIRS_STEP ? store_step_pairs(run, tree, s, &pairs, error)
                                                     : store_chain_pair(run, tree, s, error);
    harvest_pairs_free(&pairs);
    return status;
}

esp_status tree_store(run_state *run, const search_job *job, store_tree *tree, esp_error *error) {
    const search *s = job->search;
    token_list prompt = {0};
    esp_status status = prompt_ids(run->session.words, job->problem, &prompt, error);
    tree_rows_tree(s, tree);
    tree->problem = job->problem->index;
    tree->prompt_ids = prompt.at, tree->prompt_count = prompt.count;
    tree->tokens_sampled = job->counts.sampled;
    tree->tokens_judged = token_counts_judged(&job->counts);
    tree->tokens_judged_steps = job->counts.judged;
    text_buffer question = {0};
    task_question(run->session.task, job->problem, &question);
    store_problem row = {job->problem->index, job->problem->id, question.at, job->problem->gold};
    if (status == ESP_OK) status = store_add_problem(run->store, &row, error);
    if (status == ESP_OK) status = store_add_tree(run->store, tree, error);
    if (status == ESP_OK) status = store_nodes_of(run, tree->tree, s, error);
    if (status == ESP_OK) status = store_harvest_of(run, tree, s, error);
    text_free(&question);
    MEM_LIST_FREE(&prompt);
    return status;
}
