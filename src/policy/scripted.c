#include "policy/scripted.h"

#include "base/memory.h"
#include "search/harvest.h"
#include "search/rule.h"
#include "text/steps.h"

#include <math.h>
#include <string.h>

struct scripted {
    json_t *scenario;
    const char *where;
    search_config config;
    harvest_options harvest;
    uint64_t seed;
    MEM_LIST(json_t *) script; /* by search node, borrowed from the case; NULL where not known yet */
    MEM_LIST(search_candidate) candidates;
    MEM_LIST(double) confidences;
};

static const char *repair = "correct the case file; its format is described in src/policy/scripted.h";

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

/* ---- the configuration ---- */

/* Names that a case must have, beside those that it may have. */
static const char *const required[] = {
    "iterations",       "root_multiplier", "breadth_root", "breadth",    "horizon",
    "max_steps",        "cut_reward",      "c_puct",       "gamma",      "prior",
    "lambda",           "smoothing_cap",   "commit",       "pairs_from", "unvisited_counts_one",
    "root_counts_twice"};

/* A case's own name for an option of the tables. */
static const char *option_name(const char *key) {
    return strcmp(key, "iterations") == 0 ? "simulations" : key;
}

static void as_text(const json_t *value, text_buffer *out) {
    if (json_is_integer(value))
        text_printf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        text_printf(out, "%.17g", json_real_value(value));
    else if (json_is_boolean(value))
        text_puts(out, json_is_true(value) ? "true" : "false");
    else
        text_puts(out, json_is_string(value) ? json_string_value(value) : "");
}

static bool has_type(const json_t *value, option_type type) {
    return type == OPTION_INT     ? json_is_integer(value)
           : type == OPTION_FLOAT ? json_is_number(value)
           : type == OPTION_BOOL  ? json_is_boolean(value)
                                  : json_is_string(value);
}

/* The option with a case's name, and the struct that it is in; NULL without any. */
static const option *find_option(scripted *p, const char *key, void **target) {
    const option *o = option_by_key(search_option_table(), key);
    *target = &p->config;
    if (o) return o;
    *target = search_rule_options(&p->config);
    o = option_by_key(search_rule_at(p->config.rule)->options, key);
    if (o) return o;
    *target = &p->harvest;
    return option_by_key(harvest_option_table(), key);
}

static esp_status read_option(scripted *p, const char *key, const json_t *value, const char *where,
                              esp_error *error) {
    void *target;
    const option *o = find_option(p, option_name(key), &target);
    if (!o) return error_fail(error, repair, "%s: \"%s\" is no known setting", where, key);
    text_buffer text = {0};
    esp_status status = ESP_OK;
    as_text(value, &text);
    if (o->choice) {
        status = search_config_set(&p->config, o->key, text.at, error);
    } else if (!has_type(value, o->type)) {
        text_clear(&text);
        option_wants(o, &text);
        status = wrong_type(where, key, text.at, error);
        text_free(&text);
        return status;
    } else {
        status = option_set(o, target, text.at, error);
    }
    text_free(&text);
    return status == ESP_OK ? ESP_OK : error_prefix(error, "%s", where);
}

static esp_status read_seed(scripted *p, const json_t *value, const char *where, esp_error *error) {
    if (!json_is_integer(value)) return wrong_type(where, "seed", "a whole number", error);
    p->seed = (uint64_t)json_integer_value(value);
    return ESP_OK;
}

/* Where a case says nothing: one pair per commitment, smoothed by visits, and no root probe. */
static void plain_config(scripted *p) {
    search_config_defaults(&p->config);
    p->config.limits.root_probe = 0;
    options_defaults(harvest_option_table(), &p->harvest);
    p->harvest.pairs_at = HARVEST_AT_COMMITMENTS;
    p->harvest.smoothing = HARVEST_BY_VISITS;
    p->harvest.min_q_gap = 0;
}

static esp_status read_config(scripted *p, json_t *config, esp_error *error) {
    char where[600];
    const char *key;
    json_t *value;
    snprintf(where, sizeof where, "%s: config", p->where);
    if (!json_is_object(config)) return wrong_type(p->where, "config", "an object", error);
    plain_config(p);
    value = json_object_get(config, "rule"); /* first: it says which options there are */
    if (value) ESP_TRY(read_option(p, "rule", value, where, error));
    const option_table rule = search_rule_at(p->config.rule)->options;
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        bool of_another_rule = !option_by_key(search_option_table(), option_name(required[i])) &&
                               !option_by_key(harvest_option_table(), required[i]) &&
                               !option_by_key(rule, required[i]);
        if (!of_another_rule && !json_object_get(config, required[i]))
            return error_fail(error, repair, "%s: \"%s\" is missing", where, required[i]);
    }
    json_object_foreach(config, key, value) {
        if (strcmp(key, "rule") == 0) continue;
        ESP_TRY(strcmp(key, "seed") == 0 ? read_seed(p, value, where, error)
                                         : read_option(p, key, value, where, error));
    }
    if (harvest_options_check(&p->harvest, error) != ESP_OK) return error_prefix(error, "%s", where);
    return ESP_OK;
}

/* ---- the tree of a case ---- */

/* The place of a node in the case: its path from the root by child numbers. */
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

/* ---- answering ---- */

esp_status scripted_search(const scripted *p, search **out, esp_error *error) {
    return search_new(out, &p->config, rng_key(p->seed), error);
}

/* The first step among `children` with this text: that of equal ones is the search's node. */
static json_t *first_of_text(const json_t *children, uint64_t key) {
    size_t i;
    json_t *child;
    json_array_foreach(children, i, child) {
        const json_t *step = json_object_get(child, "step");
        if (step_text_key(json_string_value(step), json_string_length(step)) == key) return child;
    }
    return NULL;
}

/* The case's node for a search node. A node's script follows from its parent's and its text;
 * known ones are kept, parents come before children. */
static json_t *script_of(scripted *p, const search *s, int32_t node) {
    while (p->script.count <= node) {
        search_node n = search_node_at(s, (int32_t)p->script.count);
        json_t *children = json_object_get(p->script.at[n.parent], "children");
        MEM_LIST_PUSH(&p->script, first_of_text(children, n.text_key));
    }
    return p->script.at[node];
}

static search_candidate candidate_of(const json_t *node) {
    const json_t *step = json_object_get(node, "step"), *outcome = json_object_get(node, "outcome");
    search_candidate c = {.n = (int32_t)json_integer_value(json_object_get(node, "tokens")),
                          .logprob = json_number_value(json_object_get(node, "logprob")),
                          .text_key = step_text_key(json_string_value(step), json_string_length(step)),
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
        size_t first = (size_t)request->first_candidate, end = first + (size_t)request->count;
        for (size_t i = first; i < json_array_size(children) && i < end; i++)
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

/* pair NULL: none was read. Places are those among the children, the first of which is node `first`. */
static json_t *pair_json(const harvest_pair *pair, int32_t first) {
    if (!pair) return json_null();
    return json_pack("{s:i, s:i, s:f, s:f, s:I, s:I, s:f}", "chosen", pair->chosen - first, "rejected",
                     pair->rejected - first, "q_chosen", pair->q_chosen, "q_rejected", pair->q_rejected,
                     "n_chosen", (json_int_t)pair->n_chosen, "n_rejected", (json_int_t)pair->n_rejected,
                     "alpha", pair->alpha);
}

static json_t *commitment_json(const scripted *p, const search_commitment *made, const harvest_pair *pair) {
    json_t *children = json_array();
    for (int32_t i = 0; i < made->child_count; i++)
        json_array_append_new(children, child_json(p, &made->children[i]));
    return json_pack("{s:i, s:I, s:f, s:o, s:i, s:o}", "depth", made->depth, "N", (json_int_t)made->N, "V",
                     made->V, "children", children, "picked", made->picked, "pair",
                     pair_json(pair, made->children[0].node));
}

/* Of a search that is done. */
static json_t *result_of(const scripted *p, const search *s) {
    json_t *steps = json_array();
    harvest_pairs pairs;
    harvest_step_pairs(s, &p->harvest, &pairs);
    for (int32_t i = 0; i < search_commitment_count(s); i++) {
        search_commitment made = search_commitment_at(s, i);
        const harvest_pair *pair = pairs.of_commitment[i] < 0 ? NULL : &pairs.at[pairs.of_commitment[i]];
        json_array_append_new(steps, commitment_json(p, &made, pair));
    }
    harvest_pairs_free(&pairs);
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
        if (status == ESP_OK) *out = result_of(p, s);
    }
    search_free(s);
    scripted_free(p);
    return status;
}
