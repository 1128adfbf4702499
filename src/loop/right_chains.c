#include "loop/right_chains.h"

#include "search/search.h"
#include "text/steps.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* A chain before it is known whether it stays. */
typedef struct {
    learn_path path;
    int64_t tree, problem, number; /* number: of the chain, in the order of reading */
    uint64_t text_key;
    bool out;
} found_chain;
typedef MEM_LIST(found_chain) found_chains;

/* Ids of the steps from the root to a leaf, into out (may be NULL to count). */
static int64_t chain_ids(const store_nodes *nodes, int64_t leaf, int32_t *out) {
    int64_t n = 0, end;
    for (int64_t a = leaf; a > 0; a = nodes->at[a].parent) n += nodes->at[a].count;
    end = n;
    for (int64_t a = leaf; a > 0 && out; a = nodes->at[a].parent) {
        end -= nodes->at[a].count;
        memcpy(out + end, nodes->at[a].ids, (size_t)nodes->at[a].count * 4);
    }
    return n;
}

static uint64_t chain_text_key(const store_nodes *nodes, int64_t leaf) {
    MEM_LIST(int64_t) way = {0};
    text_buffer text = {0};
    for (int64_t a = leaf; a > 0; a = nodes->at[a].parent) MEM_LIST_PUSH(&way, a);
    for (int64_t i = way.count; i-- > 0;) {
        const char *step = nodes->at[way.at[i]].text;
        if (step) text_append(&text, step, strlen(step));
    }
    uint64_t key = step_text_key(text.at ? text.at : "", text.length);
    MEM_LIST_FREE(&way);
    text_free(&text);
    return key;
}

static void read_tree(const store_tree *tree, const store_nodes *nodes, arena *memory, found_chains *found) {
    for (int64_t i = 0; i < nodes->count; i++) {
        if (!(nodes->at[i].flags & STORE_NODE_FINISHED) || !(nodes->at[i].outcome > 0)) continue;
        int64_t n = chain_ids(nodes, i, NULL);
        int32_t *ids = arena_alloc(memory, 4 * (size_t)n);
        chain_ids(nodes, i, ids);
        found_chain chain = {.path = {.prefix = tree->prompt_ids,
                                      .tail = ids,
                                      .prefix_count = tree->prompt_count,
                                      .tail_count = n},
                             .tree = tree->tree,
                             .problem = tree->problem,
                             .number = found->count,
                             .text_key = chain_text_key(nodes, i)};
        MEM_LIST_PUSH(found, chain);
    }
}

static int by_text(const void *a, const void *b) {
    const found_chain *x = *(found_chain *const *)a, *y = *(found_chain *const *)b;
    if (x->problem != y->problem) return x->problem < y->problem ? -1 : 1;
    if (x->text_key != y->text_key) return x->text_key < y->text_key ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int by_number(const void *a, const void *b) {
    const found_chain *x = *(found_chain *const *)a, *y = *(found_chain *const *)b;
    if (x->problem != y->problem) return x->problem < y->problem ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Marks what stays out: the same text again, what is too long, more than `most` of a problem. */
static void choose(found_chains *found, int64_t most, int64_t max_length, right_chains *out) {
    int64_t n = found->count, taken = 0;
    if (n == 0) return;
    found_chain **order = mem_alloc(sizeof *order * (size_t)n);
    for (int64_t i = 0; i < n; i++) order[i] = &found->at[i];
    qsort(order, (size_t)n, sizeof *order, by_text);
    for (int64_t i = 1; i < n; i++)
        if (order[i]->problem == order[i - 1]->problem && order[i]->text_key == order[i - 1]->text_key)
            order[i]->out = true, out->same++;
    qsort(order, (size_t)n, sizeof *order, by_number);
    for (int64_t i = 0; i < n; i++) {
        found_chain *c = order[i];
        if (i == 0 || c->problem != order[i - 1]->problem) taken = 0;
        if (c->out) continue;
        if (c->path.prefix_count + c->path.tail_count > max_length)
            c->out = true, out->too_long++;
        else if (most > 0 && taken == most)
            c->out = true, out->surplus++;
        else
            taken++;
    }
    mem_free(order);
}

esp_status right_chains_gather(store *s, int64_t iteration, int64_t most, int64_t max_length,
                               right_chains *out, esp_error *error) {
    *out = (right_chains){0};
    store_trees trees;
    ESP_TRY(store_read_trees(s, iteration, &trees, error));
    out->memory = trees.memory; /* the rows' prompts are in it */
    found_chains found = {0};
    esp_status status = ESP_OK;
    for (int64_t t = 0; t < trees.count && status == ESP_OK; t++) {
        store_nodes nodes;
        status = store_read_nodes(s, trees.at[t].tree, &nodes, error);
        if (status != ESP_OK) break;
        read_tree(&trees.at[t], &nodes, out->memory, &found);
        STORE_LIST_FREE(&nodes);
    }
    if (status == ESP_OK) choose(&found, most, max_length, out);
    out->at = arena_alloc(out->memory, sizeof *out->at * (size_t)found.count);
    out->tree = arena_alloc(out->memory, 8 * (size_t)found.count);
    for (int64_t i = 0; i < found.count; i++) {
        if (found.at[i].out) continue;
        out->tree[out->count] = found.at[i].tree;
        out->at[out->count++] = found.at[i].path;
    }
    MEM_LIST_FREE(&found);
    if (status != ESP_OK) right_chains_free(out);
    return status;
}

void right_chains_free(right_chains *chains) {
    if (chains->memory) arena_free(chains->memory);
    *chains = (right_chains){0};
}
