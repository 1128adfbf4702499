#include "search/tree.h"

#include <math.h>

/* Most children a state may ask for; far above any use, it keeps a typing error from filling the memory. */
#define MOST_BREADTH 1024

static esp_status check_integer(const char *name, int64_t value, int64_t least, int64_t most,
                                esp_error *error) {
    if (value >= least && value <= most) return ESP_OK;
    return error_fail(error, "correct this setting", "search.%s is %lld, it must be %lld to %lld", name,
                      (long long)value, (long long)least, (long long)most);
}

static esp_status check_real(const char *name, double value, double least, esp_error *error) {
    if (isfinite(value) && value >= least) return ESP_OK;
    if (isfinite(least))
        return error_fail(error, "correct this setting", "search.%s is %g, it must be at least %g", name,
                          value, least);
    return error_fail(error, "correct this setting", "search.%s is not a finite number", name);
}

esp_status search_config_check(const search_config *c, esp_error *error) {
    ESP_TRY(check_integer("simulations", c->simulations, 1, INT32_MAX / 2, error));
    ESP_TRY(check_integer("root_multiplier", c->root_multiplier, 1, 1 << 20, error));
    ESP_TRY(check_integer("breadth_root", c->breadth_root, 1, MOST_BREADTH, error));
    ESP_TRY(check_integer("breadth", c->breadth, 1, MOST_BREADTH, error));
    ESP_TRY(check_integer("root_probe", c->root_probe, 0, MOST_BREADTH, error));
    ESP_TRY(check_integer("horizon", c->horizon, 1, INT32_MAX, error));
    ESP_TRY(check_integer("max_steps", c->max_steps, 1, INT32_MAX, error));
    ESP_TRY(check_integer("rest_from_depth", c->rest_from_depth, -1, INT32_MAX, error));
    ESP_TRY(check_integer("max_nodes", c->max_nodes, 0, INT32_MAX - 2 * MOST_BREADTH, error));
    ESP_TRY(check_integer("max_pairs", c->max_pairs, 0, INT32_MAX, error));
    ESP_TRY(check_integer("prior", c->prior, 0, SEARCH_PRIOR_PROBABILITY_OVER_LENGTH, error));
    ESP_TRY(check_integer("commit", c->commit, 0, SEARCH_COMMIT_Q, error));
    ESP_TRY(check_integer("pairs_from", c->pairs_from, 0, SEARCH_PAIRS_ALL, error));
    ESP_TRY(check_integer("pairs_at", c->pairs_at, 0, SEARCH_PAIRS_AT_ALL, error));
    ESP_TRY(check_integer("smoothing", c->smoothing, 0, SEARCH_SMOOTHING_EVIDENCE, error));
    ESP_TRY(check_integer("loser", c->loser, 0, SEARCH_LOSER_RANDOM_SIBLING, error));
    ESP_TRY(check_real("cut_reward", c->cut_reward, -INFINITY, error));
    ESP_TRY(check_real("right_reward", c->right_reward, -INFINITY, error));
    ESP_TRY(check_real("right_other_reward", c->right_other_reward, -INFINITY, error));
    ESP_TRY(check_real("wrong_reward", c->wrong_reward, -INFINITY, error));
    ESP_TRY(check_real("short_bonus", c->short_bonus[0], 0, error));
    ESP_TRY(check_real("short_bonus", c->short_bonus[1], 0, error));
    ESP_TRY(check_real("c_puct", c->c_puct, 0, error));
    ESP_TRY(check_real("gamma", c->gamma, 0, error));
    ESP_TRY(check_real("lambda", c->lambda, 0, error));
    ESP_TRY(check_real("min_q_gap", c->min_q_gap, 0, error));
    ESP_TRY(check_real("smoothing_cap", c->smoothing_cap, 0, error));
    if (c->pairs_at == SEARCH_PAIRS_AT_ALL && (c->loser != SEARCH_LOSER_SMALLEST_Q || c->join_only_child))
        return error_fail(error,
                          "set search.pairs_at to commitments, or loser and join_only_child to their "
                          "defaults",
                          "search.pairs_at is all, which goes with neither loser random_sibling nor "
                          "join_only_child");
    return ESP_OK;
}

/* Nothing is simulated any more. */
static void finish(search *s) {
    s->phase = PHASE_DONE;
    if (s->config.pairs_at == SEARCH_PAIRS_AT_ALL && !probe_all_right(s)) tree_read_all_pairs(s);
}

/* (2.7) How many simulations start from the current root: none where the root probe found nothing to learn.
 */
static void start_root(search *s) {
    s->simulations_left = probe_all_right(s) ? 0 : s->config.simulations;
    if (s->nodes.at[s->top].depth == 0) s->simulations_left *= s->config.root_multiplier;
    s->phase = PHASE_SIMULATION;
    if (s->nodes.at[s->top].ended) finish(s);
}

esp_status search_new(search **out, const search_config *config, rng_key_t key, esp_error *error) {
    *out = NULL;
    ESP_TRY(search_config_check(config, error));
    search *s = MEM_NEW(search);
    s->config = *config;
    s->key = key;
    tree_add_root(s);
    s->nodes_before = 1;
    if (config->root_probe > 0)
        probe_begin(s);
    else
        start_root(s);
    *out = s;
    return ESP_OK;
}

void search_free(search *s) {
    if (!s) return;
    MEM_LIST_FREE(&s->nodes);
    MEM_LIST_FREE(&s->steps);
    MEM_LIST_FREE(&s->ids);
    MEM_LIST_FREE(&s->logprobs);
    MEM_LIST_FREE(&s->commits);
    MEM_LIST_FREE(&s->snapshots);
    MEM_LIST_FREE(&s->pairs);
    MEM_LIST_FREE(&s->probe);
    MEM_LIST_FREE(&s->landed);
    mem_free(s);
}

/* (2.3) Asks for `count` more candidates below s->at. False when the node budget has no room for one more. */
static bool ask_candidates(search *s, int32_t count) {
    const search_config *c = &s->config;
    const tree_node *node = &s->nodes.at[s->at];
    int64_t room = (c->max_nodes ? c->max_nodes : INT32_MAX - 2 * MOST_BREADTH) - s->nodes.count;
    if (room < 1) return false;
    if (count > room) count = (int32_t)room;
    s->request = (search_request){.kind = SEARCH_CANDIDATES,
                                  .node = s->at,
                                  .count = count,
                                  .first_candidate = s->steps.at[s->at].asked,
                                  .key = rng_mix(s->key, (uint64_t)s->at),
                                  .to_end = tree_runs_to_end(s, s->at),
                                  .wants_gold = c->gold_injection && node->gold && room > count};
    s->after = s->phase;
    s->phase = PHASE_CANDIDATES;
    s->stats.requests++;
    return true;
}

/* (2.6) From s->at down to where a simulation ends. False when it waits for candidates: those of a state
 * without any, or those that a state of the root probe is short of. */
static bool descend(search *s) {
    for (;;) {
        const tree_node *node = &s->nodes.at[s->at];
        if (node->ended || node->depth - s->nodes.at[s->top].depth >= s->config.horizon) return true;
        int32_t asked = s->steps.at[s->at].asked;
        if (!node->expanded && ask_candidates(s, tree_breadth(s, s->at) - asked)) return false;
        if (!node->children) return true;
        s->at = tree_select(s, s->at);
    }
}

/* The root probe until it waits for candidates (false) or is over. */
static bool probe(search *s) {
    int32_t chains;
    while (probe_next(s, &chains)) {
        if (ask_candidates(s, chains)) return false;
        probe_stay(s);
    }
    return true;
}

static void begin_simulation(search *s) {
    s->simulations_left--;
    s->stats.simulations++;
    if (s->config.root_counts_twice) s->nodes.at[s->top].N++;
    s->at = s->top;
    s->phase = PHASE_DESCEND;
}

void search_watch(search *s, void (*seen)(void *user, const search_simulation *simulation), void *user) {
    s->seen = seen;
    s->seen_user = user;
}

void tree_tell(search *s, int32_t leaf) {
    int32_t nodes = (int32_t)s->nodes.count;
    search_simulation done = {
        .root = s->top, .leaf = leaf, .first_new = s->nodes_before, .new_count = nodes - s->nodes_before};
    s->nodes_before = nodes;
    if (s->seen) s->seen(s->seen_user, &done);
}

static void end_simulation(search *s) {
    tree_backup(s, s->at);
    tree_tell(s, s->at);
    s->phase = PHASE_SIMULATION;
}

void search_next(search *s, search_request *out) {
    while (s->phase <= PHASE_DESCEND) {
        if (s->phase == PHASE_PROBE) {
            if (!probe(s)) break;
            start_root(s);
        } else if (s->phase == PHASE_DESCEND) {
            if (!descend(s)) break;
            end_simulation(s);
        } else if (s->simulations_left > 0) {
            begin_simulation(s);
        } else if (commit_step(s)) {
            start_root(s);
        } else {
            finish(s);
        }
    }
    *out = s->phase == PHASE_DONE ? (search_request){.kind = SEARCH_DONE, .node = s->top} : s->request;
}

static void wait_for_judge(search *s, int32_t first, int32_t count) {
    s->request = (search_request){.kind = SEARCH_JUDGE, .node = first, .count = count};
    s->phase = PHASE_JUDGE;
}

/* The request in hand is answered. */
static void score(search *s, int32_t first, int32_t count, const double *confidences) {
    tree_score(s, first, count, confidences);
    if (s->after == PHASE_PROBE) probe_move(s);
    s->phase = s->after;
}

static esp_status feed_candidates(search *s, const search_reply *reply, esp_error *error) {
    ESP_TRY(tree_check_candidates(s, reply, error));
    int32_t made = tree_expand(s, reply), first = (int32_t)s->nodes.count - made;
    if (made && s->config.judge) {
        wait_for_judge(s, first, made);
    } else {
        score(s, first, made, NULL);
    }
    return ESP_OK;
}

static esp_status feed_confidences(search *s, const search_reply *reply, esp_error *error) {
    const char *hint = "the judge that answered is at fault";
    int32_t node = s->request.node;
    if (reply->confidence_count != s->request.count || !reply->confidences)
        return error_fail(error, hint, "nodes from %d wait for %d confidences, %d came", node,
                          s->request.count, reply->confidence_count);
    for (int32_t i = 0; i < s->request.count; i++)
        if (!isfinite(reply->confidences[i]))
            return error_fail(error, hint, "the confidence of node %d is not finite", node + i);
    score(s, node, s->request.count, reply->confidences);
    return ESP_OK;
}

esp_status search_feed(search *s, const search_reply *reply, esp_error *error) {
    if (s->phase == PHASE_CANDIDATES) return feed_candidates(s, reply, error);
    if (s->phase == PHASE_JUDGE) return feed_confidences(s, reply, error);
    return error_fail(error, "call search_next first and answer what it asks",
                      "the search waits for no reply");
}
