#include "loop/tree_examples.h"

#include "loop/tree_rows.h"
#include "search/evidence.h"

#include <math.h>
#include <string.h>

typedef MEM_LIST(example) found_examples;

/* The reading of one tree. */
typedef struct {
    const tree_examples_options *options;
    const store_tree *tree;
    const store_nodes *nodes;
    const int32_t *
        *prefix;        /* [nodes->count] ids of the prompt and the steps down to a node; NULL: not made */
    evidence *evidence; /* [nodes->count] */
    double *value;      /* [nodes->count] docs/method.md 4.4 */
    tree_examples *out;
    found_examples *found;
} tree_reading;

/* ---- paths ---- */

static int64_t ids_above(const tree_reading *r, int64_t node) {
    int64_t n = 0;
    for (int64_t a = node; a > 0; a = r->nodes->at[a].parent) n += r->nodes->at[a].count;
    return n;
}

/* The prompt and the steps down to `node`. Made once per node, since many steps have the same prefix. */
static const int32_t *prefix_of(tree_reading *r, int64_t node, int64_t *count) {
    *count = r->tree->prompt_count + ids_above(r, node);
    if (node == 0) return r->tree->prompt_ids;
    if (r->prefix[node]) return r->prefix[node];
    int32_t *ids = ARENA_ARRAY(r->out->memory, int32_t, *count);
    memcpy(ids, r->tree->prompt_ids, (size_t)r->tree->prompt_count * sizeof *ids);
    int64_t end = *count;
    for (int64_t a = node; a > 0; a = r->nodes->at[a].parent) {
        const store_node *step = &r->nodes->at[a];
        end -= step->count;
        memcpy(ids + end, step->ids, (size_t)step->count * sizeof *ids);
    }
    return r->prefix[node] = ids;
}

/* The steps after `from` down to `to` as a tail; `sampled` is known where all of them were sampled. */
static learn_path path_between(tree_reading *r, int64_t from, int64_t to) {
    learn_path p = {.reference = 0, .value = r->value[to]};
    p.prefix = prefix_of(r, from, &p.prefix_count);
    p.tail_count = ids_above(r, to) - ids_above(r, from);
    int32_t *ids = ARENA_ARRAY(r->out->memory, int32_t, p.tail_count);
    float *sampled = ARENA_ARRAY(r->out->memory, float, p.tail_count);
    int64_t end = p.tail_count;
    bool known = true;
    for (int64_t a = to; a != from; a = r->nodes->at[a].parent) {
        const store_node *step = &r->nodes->at[a];
        end -= step->count;
        memcpy(ids + end, step->ids, (size_t)step->count * sizeof *ids);
        if (step->logprobs) memcpy(sampled + end, step->logprobs, (size_t)step->count * sizeof *sampled);
        known = known && step->logprobs;
        p.reference += step->logprob;
    }
    p.tail = ids;
    p.sampled = known ? sampled : NULL;
    if (!r->options->reference_sampled) p.reference = NAN;
    return p;
}

static bool fits(const tree_reading *r, int64_t from, int64_t to) {
    return r->tree->prompt_count + ids_above(r, to) <= r->options->max_length && to != from;
}

/* ---- groups ---- */

/* Chains of the root probe that end at a node, of which the outcome is known or that were cut. */
static int64_t sampled_ends(const store_nodes *nodes, int64_t node, const int64_t *passed_on) {
    const store_node *n = &nodes->at[node];
    bool judged = n->flags & STORE_NODE_FINISHED && !(n->flags & STORE_NODE_UNKNOWN);
    return judged || n->flags & STORE_NODE_CUT ? tree_rows_probed(n) - passed_on[node] : 0;
}

static void add_chain(tree_reading *r, int64_t leaf, double advantage) {
    example chain = {.term = r->options->term, .group = r->tree->tree, .advantage = advantage};
    if (!fits(r, 0, leaf)) {
        r->out->too_long++;
        return;
    }
    chain.path[0] = path_between(r, 0, leaf);
    if (chain.path[0].sampled) MEM_LIST_PUSH(r->found, chain);
}

static bool all_equal(const double *x, int64_t n) {
    for (int64_t i = 1; i < n; i++)
        if (x[i] != x[0]) return false;
    return true;
}

static void read_group(tree_reading *r) {
    const store_nodes *nodes = r->nodes;
    int64_t *passed_on =
        MEM_ARRAY(int64_t, nodes->count); /* chains that went on from a node to its children */
    MEM_LIST(double) rewards = {0};
    MEM_LIST(int64_t) leaves = {0};
    for (int64_t i = 1; i < nodes->count; i++)
        passed_on[nodes->at[i].parent] += tree_rows_probed(&nodes->at[i]);
    for (int64_t i = 1; i < nodes->count; i++)
        for (int64_t k = sampled_ends(nodes, i, passed_on); k > 0; k--) {
            MEM_LIST_PUSH(&rewards, nodes->at[i].outcome);
            MEM_LIST_PUSH(&leaves, i);
        }
    if (all_equal(rewards.at, rewards.count)) {
        r->out->level += rewards.count;
    } else {
        double *advantages = MEM_ARRAY(double, rewards.count);
        r->options->term->of->group_advantages(rewards.at, rewards.count, advantages);
        for (int64_t k = 0; k < rewards.count; k++) add_chain(r, leaves.at[k], advantages[k]);
        mem_free(advantages);
    }
    mem_free(passed_on);
    MEM_LIST_FREE(&rewards);
    MEM_LIST_FREE(&leaves);
}

/* ---- steps ---- */

static int64_t chains_through(const tree_reading *r, int64_t node) {
    return (int64_t)r->evidence[node].right + r->evidence[node].wrong;
}

static void read_steps(tree_reading *r) {
    const objective_term *term = r->options->term;
    for (int64_t i = 1; i < r->nodes->count; i++) {
        const store_node *n = &r->nodes->at[i];
        if (chains_through(r, i) == 0 || n->flags & STORE_NODE_GOLD || !n->logprobs) continue;
        example step = {.term = term, .group = r->tree->tree};
        step.advantage =
            term->of->step_advantage(term->options, r->value[i], r->value[n->parent], chains_through(r, i));
        if (step.advantage == 0) {
            r->out->level++;
        } else if (!fits(r, n->parent, i)) {
            r->out->too_long++;
        } else {
            step.path[0] = path_between(r, n->parent, i);
            MEM_LIST_PUSH(r->found, step);
        }
    }
}

/* ---- states ---- */

/* Puts `child` among the steps of a state, in place of that with the fewest chains where there are too many.
 */
static void consider(const tree_reading *r, int64_t child, int64_t *steps, int *count) {
    if (*count < EXAMPLE_PATHS) {
        steps[(*count)++] = child;
        return;
    }
    int fewest = EXAMPLE_PATHS - 1; /* of equal ones the last */
    for (int k = EXAMPLE_PATHS - 2; k >= 0; k--)
        if (chains_through(r, steps[k]) < chains_through(r, steps[fewest])) fewest = k;
    if (chains_through(r, child) <= chains_through(r, steps[fewest])) return;
    for (int k = fewest; k + 1 < EXAMPLE_PATHS; k++) steps[k] = steps[k + 1];
    steps[EXAMPLE_PATHS - 1] = child;
}

static void add_state(tree_reading *r, int64_t state, const int64_t *steps, int count) {
    example e = {.term = r->options->term, .group = r->tree->tree, .path_count = count};
    bool level = true, too_long = false;
    for (int k = 0; k < count; k++) {
        level = level && r->value[steps[k]] == r->value[steps[0]];
        too_long = too_long || !fits(r, state, steps[k]);
    }
    if (level) r->out->level++;
    if (too_long && !level) r->out->too_long++;
    if (level || too_long) return;
    for (int k = 0; k < count; k++) e.path[k] = path_between(r, state, steps[k]);
    MEM_LIST_PUSH(r->found, e);
}

static void read_states(tree_reading *r) {
    int64_t n = r->nodes->count;
    int64_t(*steps)[EXAMPLE_PATHS] = mem_alloc((size_t)n * sizeof *steps);
    int *counts = MEM_ARRAY(int, n);
    for (int64_t i = 1; i < n; i++) {
        int64_t state = r->nodes->at[i].parent;
        if (chains_through(r, i) > 0) consider(r, i, steps[state], &counts[state]);
    }
    for (int64_t i = 0; i < n; i++)
        if (counts[i] >= 2) add_state(r, i, steps[i], counts[i]);
    mem_free(steps);
    mem_free(counts);
}

/* ---- all trees ---- */

static void (*reader_of(example_source source))(tree_reading *) {
    switch (source) {
    case LEARNS_FROM_GROUPS:
        return read_group;
    case LEARNS_FROM_STEPS:
        return read_steps;
    case LEARNS_FROM_STATES:
        return read_states;
    case LEARNS_FROM_PAIRS:
    case LEARNS_FROM_CHAINS:
        break;
    }
    return NULL;
}

bool tree_examples_know(example_source source) {
    return reader_of(source) != NULL;
}

/* The share of the iteration's judged chains that are correct: what is expected of a problem of which nothing
 * is known. */
static double mean_outcome(const store_trees *trees) {
    int64_t right = 0, judged = 0;
    for (int64_t t = 0; t < trees->count; t++) {
        right += trees->at[t].right;
        judged += trees->at[t].finished - trees->at[t].unknown;
    }
    return judged > 0 ? (double)right / (double)judged : 0.5;
}

static void read_tree(tree_reading *r, double mean) {
    int64_t n = r->nodes->count;
    int32_t *parents = MEM_ARRAY(int32_t, n);
    r->evidence = MEM_ARRAY(evidence, n);
    r->value = MEM_ARRAY(double, n);
    r->prefix = MEM_ARRAY(const int32_t *, n);
    for (int64_t i = 0; i < n; i++) {
        const store_node *node = &r->nodes->at[i];
        parents[i] = (int32_t)node->parent;
        r->evidence[i] = evidence_of_sign(search_outcome_sign(tree_rows_outcome(node), node->outcome));
    }
    evidence_gather(parents, (int32_t)n, r->evidence);
    evidence_values(parents, r->evidence, (int32_t)n, mean, r->value);
    reader_of(r->options->term->of->source)(r);
    mem_free(parents);
    mem_free(r->evidence);
    mem_free(r->value);
    mem_free(r->prefix);
}

esp_status tree_examples_gather(store *s, int64_t iteration, const tree_examples_options *options,
                                tree_examples *out, esp_error *error) {
    *out = (tree_examples){0};
    store_trees trees;
    ESP_TRY(store_read_trees(s, iteration, &trees, error));
    out->memory = trees.memory; /* the prompts are in it */
    found_examples found = {0};
    double mean = mean_outcome(&trees);
    esp_status status = ESP_OK;
    for (int64_t t = 0; t < trees.count && status == ESP_OK; t++) {
        store_nodes nodes;
        status = store_read_nodes(s, trees.at[t].tree, &nodes, error);
        if (status != ESP_OK) break;
        if (!store_nodes_are_sound(nodes.at, nodes.count)) {
            status = error_fail(error, "restore run.db from a copy",
                                "%s: the nodes of tree %lld of iteration %lld are no tree", store_folder(s),
                                (long long)trees.at[t].tree, (long long)iteration);
            STORE_LIST_FREE(&nodes);
            break;
        }
        tree_reading reading = {
            .options = options, .tree = &trees.at[t], .nodes = &nodes, .out = out, .found = &found};
        read_tree(&reading, mean);
        STORE_LIST_FREE(&nodes);
    }
    out->at = arena_copy(out->memory, found.at, (size_t)found.count * sizeof *found.at);
    out->count = found.count;
    MEM_LIST_FREE(&found);
    if (status != ESP_OK) tree_examples_free(out);
    return status;
}

void tree_examples_free(tree_examples *examples) {
    if (examples->memory) arena_free(examples->memory);
    *examples = (tree_examples){0};
}
