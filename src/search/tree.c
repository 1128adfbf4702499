#include "search/tree.h"

#include <math.h>
#include <string.h>

void tree_add_root(search *s) {
    tree_node node = {.p = 1.0,
                      .parent = -1,
                      .first_child = -1,
                      .next_sibling = -1,
                      .gold = s->config.limits.gold_injection};
    tree_node_detail detail = {.ids_at = -1, .logprobs_at = -1};
    double start = confidence_at_start(&s->config.calibration);
    if (s->config.rewards.value == SEARCH_VALUE_OUTCOME) detail.R = 2 * start - 1;
    MEM_LIST_PUSH(&s->nodes, node);
    MEM_LIST_PUSH(&s->details, detail);
    MEM_LIST_PUSH(&s->confidence, start);
}

/* (2.2) Prior of a step with a sum of log-probs and |a| tokens. */
static double prior(const search_prior *c, double logprob, int32_t tokens) {
    double length = pow((double)tokens, c->lambda);
    if (c->kind == SEARCH_PRIOR_LENGTH_NORMALISED) return exp(logprob / length);
    return exp(logprob) / length;
}

/* What a candidate's outcome is as a node at `depth` (2.0). */
static search_outcome settled(const search *s, const search_candidate *c, int32_t depth) {
    bool ends = depth >= s->config.limits.max_steps || s->request.to_end;
    return c->outcome == SEARCH_OPEN && ends ? SEARCH_CUT : c->outcome;
}

/* (2.4) O of a node. */
static double outcome_reward(const search_rewards *rewards, const search_candidate *c, search_outcome outcome,
                             int32_t depth) {
    double reward = 0;
    switch (outcome) {
    case SEARCH_OPEN:
    case SEARCH_FINISHED_UNKNOWN:
        return 0;
    case SEARCH_CUT:
        return rewards->cut_reward;
    case SEARCH_SCORED:
        return c->reward;
    case SEARCH_WRONG:
        reward = -1;
        break;
    case SEARCH_RIGHT:
        reward = c->gold || c->gold_text ? 1 : rewards->right_other_reward;
        break;
    }
    if (reward > 0 && depth == 1) return reward * rewards->short_bonus_1;
    return reward > 0 && depth == 2 ? reward * rewards->short_bonus_2 : reward;
}

static esp_status check_candidate(const search *s, const search_candidate *c, int32_t index,
                                  esp_error *error) {
    const char *hint = "the policy that answered is at fault";
    int32_t node = s->request.node;
    if (c->n < 1)
        return error_fail(error, hint, "candidate %d below node %d has %d tokens, at least 1 is needed",
                          index, node, c->n);
    if (!isfinite(c->logprob) || !isfinite(prior(&s->config.prior, c->logprob, c->n)))
        return error_fail(error, hint, "candidate %d below node %d: no prior comes of log-prob %g", index,
                          node, c->logprob);
    if ((unsigned)c->outcome > SEARCH_CUT)
        return error_fail(error, hint, "candidate %d below node %d: %d is no outcome", index, node,
                          (int)c->outcome);
    if (c->outcome == SEARCH_SCORED && !isfinite(c->reward))
        return error_fail(error, hint, "candidate %d below node %d: its reward is not finite", index, node);
    if (c->gold && !s->request.wants_gold)
        return error_fail(error, hint, "candidate %d below node %d is gold, which was not asked for", index,
                          node);
    return ESP_OK;
}

esp_status tree_check_candidates(const search *s, const search_reply *reply, esp_error *error) {
    const char *hint = "the policy that answered is at fault";
    int32_t sampled = 0, gold = 0;
    if (reply->candidate_count < 0 || (reply->candidate_count > 0 && !reply->candidates))
        return error_fail(error, hint, "node %d waits for candidates, the reply holds none", s->request.node);
    for (int32_t i = 0; i < reply->candidate_count; i++) {
        ESP_TRY(check_candidate(s, &reply->candidates[i], i, error));
        if (reply->candidates[i].gold)
            gold++;
        else
            sampled++;
    }
    if (sampled > s->request.count || gold > 1)
        return error_fail(error, hint, "node %d asked for %d candidates, %d sampled and %d gold ones came",
                          s->request.node, s->request.count, sampled, gold);
    return ESP_OK;
}

/* The child of `parent` made from an earlier candidate with the same text, or -1. */
static int32_t same_text(const search *s, int32_t parent, uint64_t key) {
    for (int32_t i = s->nodes.at[parent].first_child; i >= 0; i = s->nodes.at[i].next_sibling)
        if (s->details.at[i].text_key == key) return i;
    return -1;
}

/* Makes the next node the last child of `parent`. */
static void link_child(search *s, int32_t parent) {
    tree_node *above = &s->nodes.at[parent];
    int32_t made = (int32_t)s->nodes.count, *link = &above->first_child;
    while (*link >= 0) link = &s->nodes.at[*link].next_sibling;
    *link = made;
    above->children++;
}

bool tree_runs_to_end(const search *s, int32_t node) {
    int64_t from = s->config.limits.rest_from_depth;
    return from >= 0 && s->nodes.at[node].depth >= from;
}

int32_t tree_breadth(const search *s, int32_t node) {
    if (s->nodes.at[node].depth == 0) return (int32_t)s->config.limits.breadth_root;
    return tree_runs_to_end(s, node) ? 1 : (int32_t)s->config.limits.breadth;
}

static void add_child(search *s, int32_t parent, const search_candidate *c, int32_t index) {
    int32_t depth = s->nodes.at[parent].depth + 1;
    search_outcome outcome = settled(s, c, depth);
    tree_node node = {.p = prior(&s->config.prior, c->logprob, c->n),
                      .parent = parent,
                      .first_child = -1,
                      .next_sibling = -1,
                      .depth = depth,
                      .outcome = (uint8_t)outcome,
                      .ended = search_outcome_is_ended(outcome),
                      .gold = c->gold};
    tree_node_detail detail = {.logprob = c->logprob,
                               .O = outcome_reward(&s->config.rewards, c, outcome, depth),
                               .text_key = c->text_key,
                               .ids_at = c->ids ? s->ids.count : -1,
                               .logprobs_at = c->logprobs ? s->logprobs.count : -1,
                               .n = c->n,
                               .candidate = index};
    if (c->ids) {
        MEM_LIST_RESERVE(&s->ids, s->ids.count + c->n);
        memcpy(s->ids.at + s->ids.count, c->ids, (size_t)c->n * sizeof *c->ids);
        s->ids.count += c->n;
    }
    if (c->logprobs) {
        MEM_LIST_RESERVE(&s->logprobs, s->logprobs.count + c->n);
        memcpy(s->logprobs.at + s->logprobs.count, c->logprobs, (size_t)c->n * sizeof *c->logprobs);
        s->logprobs.count += c->n;
    }
    node.sign = (int8_t)search_outcome_sign(outcome, detail.O);
    link_child(s, parent);
    MEM_LIST_PUSH(&s->nodes, node);
    MEM_LIST_PUSH(&s->details, detail);
    MEM_LIST_PUSH(&s->confidence, confidence_at_start(&s->config.calibration));
}

int32_t tree_expand(search *s, const search_reply *reply) {
    int32_t parent = s->at, first = (int32_t)s->nodes.count;
    s->landed.count = 0;
    for (int32_t i = 0; i < reply->candidate_count; i++) {
        const search_candidate *c = &reply->candidates[i];
        int32_t twin = same_text(s, parent, c->text_key);
        s->stats.candidates++;
        if (!c->gold) s->stats.tokens += c->n;
        if (!c->gold) MEM_LIST_PUSH(&s->landed, twin < 0 ? (int32_t)s->nodes.count : twin);
        if (twin < 0)
            add_child(s, parent, c, i);
        else {
            s->stats.duplicates++;
            if (c->gold) s->nodes.at[twin].gold = 1; /* the policy found the gold step by itself */
        }
    }
    s->details.at[parent].asked += s->request.count;
    s->nodes.at[parent].expanded = s->details.at[parent].asked >= tree_breadth(s, parent);
    return (int32_t)s->nodes.count - first;
}

/* (2.4, 2.4b) R of a node with this C~. */
static double state_reward(const search *s, int32_t node, bool judged, double calibrated) {
    const tree_node_detail *detail = &s->details.at[node];
    if (s->config.rewards.value == SEARCH_VALUE_SUM) return detail->O + (judged ? calibrated : 0);
    search_outcome outcome = (search_outcome)s->nodes.at[node].outcome;
    bool known = outcome != SEARCH_OPEN && outcome != SEARCH_FINISHED_UNKNOWN;
    return known ? detail->O : 2 * calibrated - 1;
}

void tree_score(search *s, int32_t first, int32_t count, const double *confidences) {
    for (int32_t i = 0; i < count; i++) {
        tree_node *node = &s->nodes.at[first + i];
        tree_node_detail *detail = &s->details.at[first + i];
        int32_t above = s->nodes.at[node->parent].depth;
        double discount = s->config.rewards.depth_discount_confidence && above > 4 ? above - 3 : 1;
        detail->C = confidences ? confidences[i] / discount : 0;
        double *calibrated = &s->confidence.at[first + i];
        if (confidences) *calibrated = confidence_calibrated(&s->config.calibration, detail->C);
        bool judged = confidences && !s->config.calibration.off;
        detail->R = state_reward(s, first + i, judged, *calibrated);
        node->r = detail->R - s->details.at[node->parent].R;
        node->Q = node->r;
    }
}

tree_view tree_view_of(const search *s) {
    return (tree_view){.nodes = s->nodes.at,
                       .count = (int32_t)s->nodes.count,
                       .confidence = s->confidence.at,
                       .root = s->top,
                       .simulations = s->simulations,
                       .before = s->before.at,
                       .before_count = (int32_t)s->before.count,
                       .gamma = s->config.rewards.gamma,
                       .key = s->key};
}

void tree_backup(search *s, int32_t leaf) {
    tree_view v = tree_view_of(s);
    s->stats.visits += s->nodes.at[leaf].depth - s->nodes.at[s->top].depth + 1;
    s->rule->backup(&v, &s->config.rule_options, leaf);
}
