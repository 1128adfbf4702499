#include "search/tree.h"

#include <math.h>

/* Room for the candidates of one reply, so that node numbers never overflow. */
enum { REPLY_ROOM = 2048 };

/* (2.7) How many simulations start from the current root: as many as the rule asks for, none where the root
 * probe found nothing to learn. */
static int64_t count_simulations(search *s) {
    if (search_probe_all_right(s)) return 0;
    if (s->rule->growth && s->commits.count > 0) return 0;
    s->simulations = 0;
    tree_view v = tree_view_of(s);
    return s->rule->simulations(&v, &s->config.rule_options, &s->config.limits);
}

static void start_root(search *s) {
    const tree_node *root = &s->nodes.at[s->top];
    s->before.count = 0;
    for (int32_t i = root->first_child; i >= 0; i = s->nodes.at[i].next_sibling)
        MEM_LIST_PUSH(&s->before, s->nodes.at[i].N);
    s->simulations = s->simulations_left = count_simulations(s);
    s->phase = root->ended ? PHASE_DONE : PHASE_SIMULATION;
}

esp_status search_new(search **out, const search_config *config, rng_key_t key, esp_error *error) {
    *out = NULL;
    ESP_TRY(search_config_check(config, error));
    search *s = MEM_NEW(search);
    s->config = *config;
    s->rule = search_rule_at(config->rule);
    s->key = key;
    tree_add_root(s);
    s->nodes_before = 1;
    if (config->limits.root_probe > 0)
        probe_begin(s);
    else
        start_root(s);
    *out = s;
    return ESP_OK;
}

void search_free(search *s) {
    if (!s) return;
    MEM_LIST_FREE(&s->nodes);
    MEM_LIST_FREE(&s->details);
    MEM_LIST_FREE(&s->confidence);
    MEM_LIST_FREE(&s->ids);
    MEM_LIST_FREE(&s->logprobs);
    MEM_LIST_FREE(&s->commits);
    MEM_LIST_FREE(&s->snapshots);
    MEM_LIST_FREE(&s->before);
    MEM_LIST_FREE(&s->probe);
    MEM_LIST_FREE(&s->landed);
    mem_free(s);
}

/* (2.3) Asks for `count` more candidates below s->at. False when the node budget has no room for one more. */
static bool ask_candidates(search *s, int32_t count) {
    const search_limits *limits = &s->config.limits;
    const tree_node *node = &s->nodes.at[s->at];
    int64_t room = (limits->max_nodes ? limits->max_nodes : INT32_MAX - REPLY_ROOM) - s->nodes.count;
    if (room < 1) return false;
    if (count > room) count = (int32_t)room;
    bool in_turn = s->rule->growth && s->phase != PHASE_PROBE;
    s->request =
        (search_request){.kind = SEARCH_CANDIDATES,
                         .node = s->at,
                         .count = count,
                         .first_candidate = s->details.at[s->at].asked,
                         .key = rng_mix(s->key, (uint64_t)s->at),
                         .to_end = tree_runs_to_end(s, s->at),
                         .in_turn = in_turn,
                         .wants_gold = limits->gold_injection && node->gold && !in_turn && room > count};
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
        if (node->ended || node->depth - s->nodes.at[s->top].depth >= s->config.limits.horizon) return true;
        int32_t asked = s->details.at[s->at].asked;
        if (!node->expanded && ask_candidates(s, tree_breadth(s, s->at) - asked)) return false;
        if (!node->children) return true;
        tree_view v = tree_view_of(s);
        s->at = s->rule->select(&v, &s->config.rule_options, s->at);
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

/* A simulation of a rule with growth until it waits for a candidate (false) or ends. */
static bool grow(search *s) {
    return grow_ends(s) || !ask_candidates(s, 1);
}

static bool has_spent(const search *s) {
    int64_t most = s->config.limits.tokens;
    return most > 0 && s->stats.tokens + s->judged >= most;
}

/* False where there is none to begin. */
static bool begin_simulation(search *s) {
    if (s->simulations_left == 0 || has_spent(s) || (s->rule->growth && !grow_begin(s))) return false;
    s->simulations_left--;
    s->stats.simulations++;
    if (s->rule->growth) {
        s->phase = PHASE_GROW;
        return true;
    }
    if (s->rule->begin) {
        tree_view v = tree_view_of(s);
        s->rule->begin(&v, &s->config.rule_options);
    }
    s->at = s->top;
    s->phase = PHASE_DESCEND;
    return true;
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
    while (s->phase <= PHASE_GROW) {
        if (s->phase == PHASE_PROBE) {
            if (!probe(s)) break;
            start_root(s);
        } else if (s->phase == PHASE_SIMULATION) {
            if (begin_simulation(s)) continue;
            if (commit_child(s))
                start_root(s);
            else
                s->phase = PHASE_DONE;
        } else {
            if (!(s->phase == PHASE_GROW ? grow(s) : descend(s))) break;
            end_simulation(s);
        }
    }
    *out = s->phase == PHASE_DONE ? (search_request){.kind = SEARCH_DONE, .node = s->top} : s->request;
}

static void wait_for_judge(search *s, int32_t first, int32_t count) {
    s->request = (search_request){.kind = SEARCH_JUDGE, .node = first, .count = count};
    s->phase = PHASE_JUDGE;
}

/* The open request is answered. */
static void score(search *s, int32_t first, int32_t count, const double *confidences) {
    tree_score(s, first, count, confidences);
    if (s->after == PHASE_PROBE) probe_move(s);
    if (s->after == PHASE_GROW) grow_offer(s);
    s->phase = s->after;
}

static esp_status feed_candidates(search *s, const search_reply *reply, esp_error *error) {
    ESP_TRY(tree_check_candidates(s, reply, error));
    int32_t made = tree_expand(s, reply), first = (int32_t)s->nodes.count - made;
    if (made && s->config.rewards.judge) {
        for (int32_t i = 0; i < made && search_config_reads(&s->config); i++)
            s->judged += s->details.at[first + i].n;
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
