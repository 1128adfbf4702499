#include "policy/scripted.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

struct scripted {
    json_t *scenario;
    const char *where;
    search_config config;
    uint64_t seed;
    MEM_LIST(json_t *) script; /* by search node, borrowed from the case; NULL where not known yet */
    MEM_LIST(search_candidate) candidates;
    MEM_LIST(double) confidences;
};

static const char *repair = "correct the case file; its format stands in src/policy/scripted.h";

/* ---- reading a case ---- */

static esp_status need(const json_t *object, const char *key, const char *where, json_t **out,
                       esp_error *error) {
    *out = json_object_get(object, key);
    return *out ? ESP_OK : error_fail(error, repair, "%s: \"%s\" is missing", where, key);
}

static esp_status wrong_type(const char *where, const char *key, const char *wanted, esp_error *error) {
    return error_fail(error, repair, "%s: \"%s\" must be %s", where, key, wanted);
}

static esp_status as_number(const json_t *value, const char *key, const char *where, double *out,
                            esp_error *error) {
    if (!json_is_number(value)) return wrong_type(where, key, "a number", error);
    *out = json_number_value(value);
    return ESP_OK;
}

static esp_status as_integer(const json_t *value, const char *key, const char *where, int32_t *out,
                             esp_error *error) {
    if (!json_is_integer(value)) return wrong_type(where, key, "a whole number", error);
    json_int_t number = json_integer_value(value);
    if (number < INT32_MIN || number > INT32_MAX)
        return wrong_type(where, key, "a whole number of 32 bits", error);
    *out = (int32_t)number;
    return ESP_OK;
}

/* The members of "config", by type. */
typedef enum {
    AS_INTEGER,
    AS_NUMBER,
    AS_SWITCH,
    AS_PRIOR,
    AS_COMMIT,
    AS_PAIRS,
    AS_LOSER,
    AS_SEED
} member_type;
typedef struct {
    const char *key;
    member_type type;
    bool required;
    size_t offset;
} member;
#define FIELD(name) offsetof(search_config, name)
static const member members[] = {
    {"iterations", AS_INTEGER, true, FIELD(simulations)},
    {"root_multiplier", AS_INTEGER, true, FIELD(root_multiplier)},
    {"breadth_root", AS_INTEGER, true, FIELD(breadth_root)},
    {"breadth", AS_INTEGER, true, FIELD(breadth)},
    {"horizon", AS_INTEGER, true, FIELD(horizon)},
    {"max_steps", AS_INTEGER, true, FIELD(max_steps)},
    {"cut_reward", AS_NUMBER, true, FIELD(cut_reward)},
    {"c_puct", AS_NUMBER, true, FIELD(c_puct)},
    {"gamma", AS_NUMBER, true, FIELD(gamma)},
    {"prior", AS_PRIOR, true, FIELD(prior)},
    {"lambda", AS_NUMBER, true, FIELD(lambda)},
    {"smoothing_cap", AS_NUMBER, true, FIELD(smoothing_cap)},
    {"commit", AS_COMMIT, true, FIELD(commit)},
    {"pairs_from", AS_PAIRS, true, FIELD(pairs_from)},
    {"unvisited_counts_one", AS_SWITCH, true, FIELD(unvisited_counts_one)},
    {"root_counts_twice", AS_SWITCH, true, FIELD(root_counts_twice)},
    {"rest_from_depth", AS_INTEGER, false, FIELD(rest_from_depth)},
    {"max_nodes", AS_INTEGER, false, FIELD(max_nodes)},
    {"max_pairs", AS_INTEGER, false, FIELD(max_pairs)},
    {"min_q_gap", AS_NUMBER, false, FIELD(min_q_gap)},
    {"depth_discount_confidence", AS_SWITCH, false, FIELD(depth_discount_confidence)},
    {"only_if_right", AS_SWITCH, false, FIELD(only_if_right)},
    {"join_only_child", AS_SWITCH, false, FIELD(join_only_child)},
    {"loser", AS_LOSER, false, FIELD(loser)},
    {"seed", AS_SEED, false, 0},
};
#define MEMBERS (sizeof members / sizeof *members)

static bool named(member_type type, const char *name, void *at) {
    switch (type) {
    case AS_PRIOR:
        return search_prior_named(name, at);
    case AS_COMMIT:
        return search_commit_named(name, at);
    case AS_PAIRS:
        return search_pairs_named(name, at);
    default:
        return search_loser_named(name, at);
    }
}

static const char *choices(member_type type) {
    switch (type) {
    case AS_PRIOR:
        return "length_normalised or probability_over_length";
    case AS_COMMIT:
        return "visits, visits_times_spread or q";
    case AS_PAIRS:
        return "visited or all";
    default:
        return "smallest_q or random_sibling";
    }
}

static esp_status read_member(scripted *p, const member *m, const json_t *value, const char *where,
                              esp_error *error) {
    void *at = (char *)&p->config + m->offset;
    switch (m->type) {
    case AS_INTEGER:
        return as_integer(value, m->key, where, at, error);
    case AS_NUMBER:
        return as_number(value, m->key, where, at, error);
    case AS_SWITCH:
        if (!json_is_boolean(value)) return wrong_type(where, m->key, "true or false", error);
        *(bool *)at = json_is_true(value);
        return ESP_OK;
    case AS_SEED:
        if (!json_is_integer(value)) return wrong_type(where, m->key, "a whole number", error);
        p->seed = (uint64_t)json_integer_value(value);
        return ESP_OK;
    default:
        if (!json_is_string(value) || !named(m->type, json_string_value(value), at))
            return wrong_type(where, m->key, choices(m->type), error);
        return ESP_OK;
    }
}

static bool known_member(const char *key) {
    for (size_t i = 0; i < MEMBERS; i++)
        if (strcmp(members[i].key, key) == 0) return true;
    return false;
}

static esp_status read_config(scripted *p, json_t *config, esp_error *error) {
    char where[600];
    snprintf(where, sizeof where, "%s: config", p->where);
    if (!json_is_object(config)) return wrong_type(p->where, "config", "an object", error);
    p->config = (search_config){.rest_from_depth = -1,
                                .right_reward = 1,
                                .right_other_reward = 1,
                                .wrong_reward = -1,
                                .short_bonus = {1, 1},
                                .judge = true};
    for (size_t i = 0; i < MEMBERS; i++) {
        const json_t *value = json_object_get(config, members[i].key);
        if (value)
            ESP_TRY(read_member(p, &members[i], value, where, error));
        else if (members[i].required)
            return error_fail(error, repair, "%s: \"%s\" is missing", where, members[i].key);
    }
    for (void *it = json_object_iter(config); it; it = json_object_iter_next(config, it))
        if (!known_member(json_object_iter_key(it)))
            return error_fail(error, repair, "%s: \"%s\" is no known setting", where,
                              json_object_iter_key(it));
    if (search_config_check(&p->config, error)) return error_prefix(error, "%s", where);
    return ESP_OK;
}

/* Where a node stands in the case: its way down from the root by child numbers. */
typedef struct {
    json_t *node;
    int64_t above; /* in the list of places, -1 at the root */
    size_t number;
} place;
typedef MEM_LIST(place) place_list;

static void name_place(const scripted *p, const place_list *places, int64_t at, char *out, size_t size) {
    int64_t way[64];
    int count = 0;
    for (; at > 0; at = places->at[at].above)
        if (count < 64) way[count++] = at;
    int used = snprintf(out, size, "%s: root", p->where);
    while (count-- > 0 && used > 0 && (size_t)used < size)
        used += snprintf(out + used, size - (size_t)used, ".children[%zu]", places->at[way[count]].number);
}

static esp_status check_step(const json_t *node, const char *where, esp_error *error) {
    json_t *value;
    double number = 0;
    int32_t tokens = 0;
    ESP_TRY(need(node, "step", where, &value, error));
    if (!json_is_string(value)) return wrong_type(where, "step", "a string", error);
    ESP_TRY(need(node, "tokens", where, &value, error));
    ESP_TRY(as_integer(value, "tokens", where, &tokens, error));
    if (tokens < 1) return wrong_type(where, "tokens", "at least 1", error);
    ESP_TRY(need(node, "logprob", where, &value, error));
    ESP_TRY(as_number(value, "logprob", where, &number, error));
    ESP_TRY(need(node, "confidence", where, &value, error));
    return as_number(value, "confidence", where, &number, error);
}

static esp_status check_place(const scripted *p, place_list *places, int64_t at, esp_error *error) {
    char where[1200];
    json_t *node = places->at[at].node;
    name_place(p, places, at, where, sizeof where);
    if (!json_is_object(node)) return error_fail(error, repair, "%s must be an object", where);
    if (at > 0) ESP_TRY(check_step(node, where, error));
    const json_t *outcome = json_object_get(node, "outcome");
    if (outcome && !json_is_null(outcome) && !json_is_number(outcome))
        return wrong_type(where, "outcome", "a number or null", error);
    json_t *children = json_object_get(node, "children");
    if (children && !json_is_array(children)) return wrong_type(where, "children", "a list", error);
    for (size_t i = 0; i < json_array_size(children); i++) {
        place child = {json_array_get(children, i), at, i};
        MEM_LIST_PUSH(places, child);
    }
    return ESP_OK;
}

static esp_status read_tree(const scripted *p, json_t *root, esp_error *error) {
    place_list places = {0};
    place first = {root, -1, 0};
    MEM_LIST_PUSH(&places, first);
    esp_status status = ESP_OK;
    for (int64_t at = 0; at < places.count && status == ESP_OK; at++)
        status = check_place(p, &places, at, error);
    MEM_LIST_FREE(&places);
    return status;
}

static esp_status read_case(scripted *p, esp_error *error) {
    json_t *config, *root;
    if (!json_is_object(p->scenario)) return error_fail(error, repair, "%s must be an object", p->where);
    ESP_TRY(need(p->scenario, "config", p->where, &config, error));
    ESP_TRY(read_config(p, config, error));
    ESP_TRY(need(p->scenario, "root", p->where, &root, error));
    return read_tree(p, root, error);
}

esp_status scripted_new(scripted **out, json_t *scenario, const char *where, esp_error *error) {
    *out = NULL;
    scripted *p = MEM_NEW(scripted);
    p->scenario = json_incref(scenario);
    p->where = mem_strdup(where ? where : "case");
    esp_status status = read_case(p, error);
    if (status != ESP_OK) {
        scripted_free(p);
        return status;
    }
    MEM_LIST_PUSH(&p->script, json_object_get(scenario, "root"));
    *out = p;
    return ESP_OK;
}

void scripted_free(scripted *p) {
    if (!p) return;
    json_decref(p->scenario);
    mem_free((char *)p->where);
    MEM_LIST_FREE(&p->script);
    MEM_LIST_FREE(&p->candidates);
    MEM_LIST_FREE(&p->confidences);
    mem_free(p);
}

const search_config *scripted_config(const scripted *p) {
    return &p->config;
}

/* ---- answering ---- */

esp_status scripted_search(const scripted *p, search **out, esp_error *error) {
    return search_new(out, &p->config, rng_key(p->seed), error);
}

/* What a search node stands for. A node's script follows from its parent's and its candidate number; known
 * ones are kept, parents come before children. */
static json_t *script_of(scripted *p, const search *s, int32_t node) {
    while (p->script.count <= node) {
        search_node n = search_node_at(s, (int32_t)p->script.count);
        json_t *children = json_object_get(p->script.at[n.parent], "children");
        MEM_LIST_PUSH(&p->script, json_array_get(children, (size_t)n.candidate));
    }
    return p->script.at[node];
}

static search_candidate candidate_of(const json_t *node) {
    const json_t *step = json_object_get(node, "step"), *outcome = json_object_get(node, "outcome");
    search_candidate c = {.n = (int32_t)json_integer_value(json_object_get(node, "tokens")),
                          .logprob = json_number_value(json_object_get(node, "logprob")),
                          .text_key = search_text_key(json_string_value(step), json_string_length(step)),
                          .outcome = SEARCH_OPEN};
    if (json_is_number(outcome)) {
        c.reward = json_number_value(outcome);
        c.outcome = c.reward == 1 ? SEARCH_RIGHT : c.reward == -1 ? SEARCH_WRONG : SEARCH_SCORED;
    }
    return c;
}

esp_status scripted_answer(scripted *p, search *s, const search_request *request, esp_error *error) {
    search_reply reply = {0};
    if (request->kind == SEARCH_CANDIDATES) {
        const json_t *children = json_object_get(script_of(p, s, request->node), "children");
        p->candidates.count = 0;
        for (size_t i = 0; i < json_array_size(children) && i < (size_t)request->count; i++)
            MEM_LIST_PUSH(&p->candidates, candidate_of(json_array_get(children, i)));
        reply.candidates = p->candidates.at;
        reply.candidate_count = (int32_t)p->candidates.count;
    } else {
        p->confidences.count = 0;
        for (int32_t i = 0; i < request->count; i++) {
            const json_t *node = script_of(p, s, request->node + i);
            MEM_LIST_PUSH(&p->confidences, json_number_value(json_object_get(node, "confidence")));
        }
        reply.confidences = p->confidences.at;
        reply.confidence_count = (int32_t)p->confidences.count;
    }
    if (search_feed(s, &reply, error)) return error_prefix(error, "%s", p->where);
    return ESP_OK;
}

/* ---- the result ---- */

static json_t *child_json(const scripted *p, const search_child *c) {
    return json_pack("{s:O, s:I, s:f, s:f, s:f, s:f}", "step", json_object_get(p->script.at[c->node], "step"),
                     "N", (json_int_t)c->N, "Q", c->Q, "V", c->V, "R", c->R, "prior", c->p);
}

static json_t *pair_json(const search_step *step) {
    if (!step->has_pair) return json_null();
    const search_pair *pair = &step->pair;
    int32_t first = step->children[0].node;
    return json_pack("{s:i, s:i, s:f, s:f, s:I, s:I, s:f}", "chosen", pair->chosen - first, "rejected",
                     pair->rejected - first, "q_chosen", pair->q_chosen, "q_rejected", pair->q_rejected,
                     "n_chosen", (json_int_t)pair->n_chosen, "n_rejected", (json_int_t)pair->n_rejected,
                     "alpha", pair->alpha);
}

static json_t *step_json(const scripted *p, const search_step *step) {
    json_t *children = json_array();
    for (int32_t i = 0; i < step->child_count; i++)
        json_array_append_new(children, child_json(p, &step->children[i]));
    return json_pack("{s:i, s:I, s:f, s:o, s:i, s:o}", "depth", step->depth, "N", (json_int_t)step->N, "V",
                     step->V, "children", children, "picked", step->picked, "pair", pair_json(step));
}

json_t *scripted_result(const scripted *p, const search *s) {
    json_t *steps = json_array();
    for (int32_t i = 0; i < search_step_count(s); i++) {
        search_step step = search_step_at(s, i);
        json_array_append_new(steps, step_json(p, &step));
    }
    json_t *outcome = json_object_get(p->script.at[search_top(s)], "outcome");
    return json_pack("{s:o, s:O}", "steps", steps, "answer_outcome", outcome ? outcome : json_null());
}

static esp_status drive(scripted *p, search *s, esp_error *error) {
    for (;;) {
        search_request request;
        search_next(s, &request);
        if (request.kind == SEARCH_DONE) break;
        ESP_TRY(scripted_answer(p, s, &request, error));
    }
    script_of(p, s, search_node_count(s) - 1); /* every node has its script, the result needs some */
    return ESP_OK;
}

/* A root that is finished already has nothing to search. */
static json_t *finished_root(const scripted *p) {
    json_t *outcome = json_object_get(p->script.at[0], "outcome");
    return json_is_number(outcome) ? json_pack("{s:[], s:O}", "steps", "answer_outcome", outcome) : NULL;
}

esp_status scripted_solve(json_t *scenario, const char *where, json_t **out, esp_error *error) {
    scripted *p = NULL;
    search *s = NULL;
    *out = NULL;
    ESP_TRY(scripted_new(&p, scenario, where, error));
    *out = finished_root(p);
    esp_status status = ESP_OK;
    if (!*out) {
        status = scripted_search(p, &s, error);
        if (status == ESP_OK) status = drive(p, s, error);
        if (status == ESP_OK) *out = scripted_result(p, s);
    }
    search_free(s);
    scripted_free(p);
    return status;
}
