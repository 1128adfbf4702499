/* Reading what a search wrote: problems, trees, nodes, commitments, pairs. Each kind of row in its one order,
 * into memory that the list owns. */
#include "store/row.h"

#include "base/limits.h"
#include "store/pair_ids.h"

static void take_problem(row *r, store_problem *p) {
    p->problem = row_count(r);
    p->name = row_text(r);
    p->question = row_words(r);
    p->answer = row_text(r);
}

static void take_tree(row *r, store_tree *t) {
    t->tree = row_count(r);
    t->iteration = row_iteration(r);
    t->wave = row_count(r);
    t->ordinal = row_count(r);
    t->problem = row_count(r);
    t->prompt_ids = row_numbers(r, &t->prompt_count);
    t->final_node = row_node(r);
    t->outcome = row_double(r);
    t->simulations = row_count(r);
    t->tokens_sampled = row_count(r);
    t->tokens_judged = row_count(r);
    t->tokens_computed = row_count(r);
    t->finished = row_count(r);
    t->right = row_count(r);
    if (row_has_more(r)) t->unknown = row_count(r);
    t->tokens_judged_steps = t->tokens_judged;
    if (row_has_more(r) && sqlite3_column_type(r->statement, r->column) != SQLITE_NULL)
        t->tokens_judged_steps = row_count(r);
}

static void take_node(row *r, store_node *n) {
    int64_t logprobs;
    n->index = row_node(r);
    n->parent = row_node(r);
    n->depth = row_in(r, 0, INT32_MAX);
    n->ids = row_numbers(r, &n->count);
    n->logprobs = row_numbers(r, &logprobs);
    if (n->logprobs && logprobs != n->count) r->damaged = true;
    n->visits = row_count(r);
    n->logprob = row_double(r);
    n->q = row_double(r);
    n->v = row_double(r);
    n->r = row_double(r);
    n->prior = row_double(r);
    n->confidence = row_double(r);
    n->outcome = row_double(r);
    n->flags = (uint32_t)row_in(r, 0, UINT32_MAX);
    n->text = row_text(r);
}

static void take_commitment(row *r, store_commitment *c) {
    c->step = row_count(r);
    c->state = row_node(r);
    c->picked = row_node(r);
    c->chosen = row_node(r);
    c->rejected = row_node(r);
}

static void take_pair(row *r, store_pair *p) {
    p->pair = row_count(r);
    p->iteration = row_iteration(r);
    p->tree = row_in(r, -1, LIMIT_ROW_NUMBER);
    p->problem = row_in(r, -1, LIMIT_ROW_NUMBER);
    p->state = row_node(r);
    p->chosen = row_node(r);
    p->rejected = row_node(r);
    p->prefix_ids = row_numbers(r, &p->prefix_count);
    p->chosen_ids = row_numbers(r, &p->chosen_count);
    p->rejected_ids = row_numbers(r, &p->rejected_count);
    p->q_chosen = row_double(r);
    p->q_rejected = row_double(r);
    p->n_chosen = row_count(r);
    p->n_rejected = row_count(r);
    p->alpha = row_double(r);
    p->policy_logp_chosen = row_double(r);
    p->policy_logp_rejected = row_double(r);
    p->ref_logp_chosen = row_double(r);
    p->ref_logp_rejected = row_double(r);
    p->policy = row_text(r);
    if (row_has_more(r)) p->joined = row_in(r, INT32_MIN, INT32_MAX);
}

static void take_size(row *r, store_size *z) {
    z->tree = row_int(r);
    z->nodes = row_int(r);
    z->pairs = row_int(r);
}

static void take_outcome(row *r, store_outcome *o) {
    o->tree = row_int(r);
    o->iteration = row_int(r);
    o->problem = row_int(r);
    o->right = row_int(r);
    o->wrong = row_int(r);
}

static void take_cost(row *r, store_cost *c) {
    c->iteration = row_int(r);
    c->trees = row_int(r);
    c->tokens_sampled = row_int(r);
    c->tokens_judged = row_int(r);
    c->tokens_computed = row_int(r);
}

esp_status store_read_problems(store *s, store_problems *out, esp_error *error) {
    READ_ALL(store_problem, take_problem, out, QUERY("SELECT * FROM problems ORDER BY problem", ""));
}

const store_problem *store_problem_of(const store_problems *problems, int64_t problem) {
    int64_t low = 0, high = problems->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (problems->at[middle].problem < problem)
            low = middle + 1;
        else
            high = middle;
    }
    return low < problems->count && problems->at[low].problem == problem ? &problems->at[low] : NULL;
}

esp_status store_read_trees(store *s, int64_t iteration, store_trees *out, esp_error *error) {
    READ_ALL(store_tree, take_tree, out,
             QUERY("SELECT * FROM trees WHERE ?1 < 0 OR iteration = ?1 ORDER BY iteration, ordinal", "i",
                   iteration));
}

esp_status store_read_outcomes(store *s, int64_t first, int64_t last, store_outcomes *out, esp_error *error) {
    READ_ALL(store_outcome, take_outcome, out,
             QUERY("SELECT t.tree, t.iteration, t.problem, total(n.outcome > 0 AND n.flags & ?3),"
                   " total(n.outcome < 0) FROM trees t LEFT JOIN nodes n ON n.tree = t.tree AND n.flags & ?4"
                   " WHERE t.iteration BETWEEN ?1 AND ?2 GROUP BY t.tree ORDER BY t.iteration, t.ordinal",
                   "iiii", first, last, (int64_t)STORE_NODE_FINISHED,
                   (int64_t)(STORE_NODE_FINISHED | STORE_NODE_CUT)));
}

esp_status store_read_nodes(store *s, int64_t tree, store_nodes *out, esp_error *error) {
    READ_ALL(store_node, take_node, out,
             QUERY("SELECT node, parent, depth, ids, logprobs, visits, logprob, q, v, r, prior, confidence, "
                   "outcome, flags, text "
                   "FROM nodes WHERE tree = ? ORDER BY node",
                   "i", tree));
}

esp_status store_read_commitments(store *s, int64_t tree, store_commitments *out, esp_error *error) {
    READ_ALL(
        store_commitment, take_commitment, out,
        QUERY("SELECT step, state, picked, chosen, rejected FROM commitments WHERE tree = ? ORDER BY step",
              "i", tree));
}

esp_status store_read_pair_rows(store *s, int64_t iteration, store_pairs *out, esp_error *error) {
    if (iteration >= 0)
        READ_ALL(store_pair, take_pair, out,
                 QUERY("SELECT * FROM pairs WHERE iteration = ? ORDER BY pair", "i", iteration));
    READ_ALL(store_pair, take_pair, out, QUERY("SELECT * FROM pairs ORDER BY iteration, pair", ""));
}

esp_status store_read_tree_pairs(store *s, const store_tree *tree, store_pairs *out, esp_error *error) {
    READ_ALL(store_pair, take_pair, out,
             QUERY("SELECT * FROM pairs WHERE iteration = ? AND tree = ? ORDER BY pair", "ii",
                   tree->iteration, tree->tree));
}

static const int32_t *copy_ids(arena *memory, const pair_id_list *ids) {
    return arena_copy(memory, ids->at, (size_t)ids->count * 4);
}

esp_status store_read_pairs(store *s, int64_t iteration, store_pairs *out, esp_error *error) {
    ESP_TRY(store_read_pair_rows(s, iteration, out, error));
    pair_ids ids = {0};
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < out->count && status == ESP_OK; i++) {
        store_pair *p = &out->at[i];
        if (!pair_ids_follow(p)) continue;
        status = pair_ids_of(&ids, s, p, error);
        if (status != ESP_OK) break;
        p->prefix_ids = copy_ids(out->memory, &ids.prefix), p->prefix_count = ids.prefix.count;
        p->prompt_count = ids.prompt_count;
        p->chosen_ids = copy_ids(out->memory, &ids.chosen), p->chosen_count = ids.chosen.count;
        p->rejected_ids = copy_ids(out->memory, &ids.rejected), p->rejected_count = ids.rejected.count;
    }
    pair_ids_free(&ids);
    if (status != ESP_OK) STORE_LIST_FREE(out);
    return status;
}

esp_status store_read_sizes(store *s, int64_t iteration, store_sizes *out, esp_error *error) {
    READ_ALL(
        store_size, take_size, out,
        QUERY("SELECT t.tree, (SELECT count(*) FROM nodes n WHERE n.tree = t.tree), coalesce(p.pairs, 0) "
              "FROM trees t LEFT JOIN (SELECT tree, count(*) AS pairs FROM pairs GROUP BY tree) p "
              "ON p.tree = t.tree WHERE ?1 < 0 OR t.iteration = ?1 ORDER BY t.iteration, t.ordinal",
              "i", iteration));
}

esp_status store_read_costs(store *s, store_costs *out, esp_error *error) {
    READ_ALL(store_cost, take_cost, out,
             QUERY("SELECT iteration, count(*), total(tokens_sampled), total(tokens_judged),"
                   " total(tokens_computed) FROM trees GROUP BY iteration ORDER BY iteration",
                   ""));
}
