#include "loop/judge_rows_trees.h"

#include "search/search.h"

#include <stdlib.h>
#include <string.h>

/* Keeps these random numbers apart from all others of a run ("tree"). */
static const uint64_t tree_word = 0x74726565;

enum { DRAW_RANK, DRAW_EXAMPLE };

static rng_key_t row_key(rng_key_t key, int64_t tree, int64_t node) {
    return rng_mix(rng_mix(rng_mix(key, tree_word), (uint64_t)tree), (uint64_t)node);
}

/* ---- labels ---- */

static int sign_of(const store_node *row) {
    search_outcome outcome = row->flags & STORE_NODE_FINISHED ? SEARCH_SCORED
                             : row->flags & STORE_NODE_CUT    ? SEARCH_CUT
                                                              : SEARCH_OPEN;
    return search_outcome_sign(outcome, row->outcome);
}

void tree_rows_label(const store_tree *tree, const store_node *nodes, int64_t n, rng_key_t key,
                     tree_row_list *out) {
    int64_t *right = MEM_ARRAY(int64_t, n + 1), *wrong = MEM_ARRAY(int64_t, n + 1);
    for (int64_t i = n - 1; i > 0; i--) {
        int sign = sign_of(&nodes[i]);
        right[i] += sign > 0;
        wrong[i] += sign < 0;
        right[nodes[i].parent] += right[i];
        wrong[nodes[i].parent] += wrong[i];
    }
    for (int64_t i = 1; i < n; i++) {
        if (!(nodes[i].flags & STORE_NODE_JUDGED) || right[i] == wrong[i]) continue;
        double less = (double)(right[i] < wrong[i] ? right[i] : wrong[i]),
               all = (double)(right[i] + wrong[i]);
        bool finished = nodes[i].flags & STORE_NODE_FINISHED;
        rng_key_t own = row_key(key, tree->tree, i);
        tree_row row = {.tree = tree->tree,
                        .problem = tree->problem,
                        .node = i,
                        .right = right[i] > wrong[i],
                        .alpha = finished ? 0 : (1 + less) / (2 + all),
                        .rank = rng_bits(own, DRAW_RANK),
                        .half = rng_bits(own, DRAW_EXAMPLE) & 1};
        MEM_LIST_PUSH(out, row);
    }
    mem_free(right);
    mem_free(wrong);
}

/* ---- choosing ---- */

static int by_place(const void *a, const void *b) {
    const tree_row *x = a, *y = b;
    if (x->tree != y->tree) return x->tree < y->tree ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

static int by_rank(const void *a, const void *b) {
    const tree_row *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return by_place(a, b);
}

/* By problem, within it by label and rank. */
static int by_problem(const void *a, const void *b) {
    const tree_row *x = a, *y = b;
    if (x->problem != y->problem) return x->problem < y->problem ? -1 : 1;
    if (x->right != y->right) return x->right ? -1 : 1;
    return by_rank(a, b);
}

static void sort(tree_row_list *rows, int (*order)(const void *, const void *)) {
    if (rows->count) qsort(rows->at, (size_t)rows->count, sizeof *rows->at, order);
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* A problem's rows, the correct ones first: at most half of `most` of either label, and as many of one as of
 * the other where there are both. */
static void choose_of_problem(const tree_row *rows, int64_t n, int64_t most, tree_row_list *mixed,
                              tree_row_list alone[2]) {
    int64_t right = 0, half = (most + 1) / 2;
    while (right < n && rows[right].right) right++;
    int64_t wrong = n - right, both = smaller(half, smaller(right, wrong));
    for (int64_t i = 0; i < both; i++) {
        MEM_LIST_PUSH(mixed, rows[i]);
        MEM_LIST_PUSH(mixed, rows[right + i]);
    }
    for (int64_t i = 0; i < smaller(n, half) && both == 0; i++) MEM_LIST_PUSH(&alone[rows[i].right], rows[i]);
}

void tree_rows_choose(tree_row_list *rows, int64_t most) {
    tree_row_list mixed = {0}, alone[2] = {{0}};
    sort(rows, by_problem);
    for (int64_t first = 0, end; first < rows->count; first = end) {
        for (end = first; end < rows->count && rows->at[end].problem == rows->at[first].problem;) end++;
        choose_of_problem(rows->at + first, end - first, most, &mixed, alone);
    }
    rows->count = 0;
    for (int64_t i = 0; i < mixed.count; i++) {
        mixed.at[i].mixed = true;
        MEM_LIST_PUSH(rows, mixed.at[i]);
    }
    int64_t each = smaller(mixed.count / 2, smaller(alone[0].count, alone[1].count));
    for (int label = 0; label < 2; label++) {
        sort(&alone[label], by_rank);
        for (int64_t i = 0; i < each; i++) MEM_LIST_PUSH(rows, alone[label].at[i]);
        MEM_LIST_FREE(&alone[label]);
    }
    MEM_LIST_FREE(&mixed);
    sort(rows, by_place);
}

void tree_rows_draw(tree_row_list *rows, int64_t count) {
    tree_row_list kept = {0};
    int64_t left[2] = {count / 2, count - count / 2};
    sort(rows, by_rank);
    for (int64_t i = 0; i < rows->count; i++)
        if (left[rows->at[i].right] > 0) {
            left[rows->at[i].right]--;
            MEM_LIST_PUSH(&kept, rows->at[i]);
        }
    MEM_LIST_FREE(rows);
    *rows = kept;
    sort(rows, by_place);
}

/* ---- gathering ---- */

static esp_status read_iteration(store *s, int64_t iteration, int64_t most, rng_key_t key, tree_row_list *out,
                                 esp_error *error) {
    store_trees trees;
    ESP_TRY(store_read_trees(s, iteration, &trees, error));
    tree_row_list rows = {0};
    esp_status status = ESP_OK;
    for (int64_t t = 0; t < trees.count && status == ESP_OK; t++) {
        store_nodes nodes;
        status = store_read_nodes(s, trees.at[t].tree, &nodes, error);
        if (status != ESP_OK) break;
        tree_rows_label(&trees.at[t], nodes.at, nodes.count, rng_mix(key, (uint64_t)iteration), &rows);
        STORE_LIST_FREE(&nodes);
    }
    STORE_LIST_FREE(&trees);
    tree_rows_choose(&rows, most);
    MEM_LIST_APPEND(out, rows.at, rows.count);
    MEM_LIST_FREE(&rows);
    return status;
}

esp_status tree_rows_gather(store *s, int64_t iteration, int64_t most, int64_t buffer, uint64_t seed,
                            tree_row_list *out, esp_error *error) {
    rng_key_t key = rng_key(seed);
    tree_row_list older = {0};
    esp_status status = read_iteration(s, iteration, most, key, out, error);
    for (int64_t i = iteration - buffer + 1; i < iteration && status == ESP_OK; i++)
        if (i >= 1) status = read_iteration(s, i, most, key, &older, error);
    /* Another draw in each iteration that an older row may be taken in. */
    for (int64_t i = 0; i < older.count; i++)
        older.at[i].rank = rng_bits(
            rng_mix(row_key(key, older.at[i].tree, older.at[i].node), (uint64_t)iteration), DRAW_RANK);
    tree_rows_draw(&older, out->count);
    MEM_LIST_APPEND(out, older.at, older.count);
    MEM_LIST_FREE(&older);
    sort(out, by_place);
    return status;
}

/* ---- ids ---- */

typedef struct {
    const prompt_words *words;
    const judge_examples_options *options;
    const objective_term *term;
    judge_examples *out;
} example_maker;

static bool is_shown(const example_maker *m, const tree_row *row) {
    example_shown shown = m->options->shown;
    return shown == EXAMPLE_SHOWN_ALWAYS || (shown == EXAMPLE_SHOWN_HALF && row->half);
}

/* The steps from the root down to the node. */
static void append_steps(const store_nodes *nodes, int64_t node, token_list *out) {
    MEM_LIST(int64_t) way = {0};
    for (int64_t i = node; i > 0; i = nodes->at[i].parent) MEM_LIST_PUSH(&way, i);
    for (int64_t i = way.count; i-- > 0;)
        MEM_LIST_APPEND(out, nodes->at[way.at[i]].ids, nodes->at[way.at[i]].count);
    MEM_LIST_FREE(&way);
}

/* What the judge, or the policy, has read where it gives its verdict. */
static esp_status append_context(const example_maker *m, const problem *p, const store_nodes *nodes,
                                 const tree_row *row, token_list *out, esp_error *error) {
    if (m->options->kind == SEARCH_JUDGE_NEXT_TOKEN) {
        ESP_TRY(prompt_ids(m->words, p, out, error));
        append_steps(nodes, row->node, out);
        out->count--;
        return ESP_OK;
    }
    ESP_TRY(prompt_judge_prefix(m->words, p, is_shown(m, row) && p->rationale, out, error));
    append_steps(nodes, row->node, out);
    while (out->count > 0 && prompt_is_end(m->words, out->at[out->count - 1])) out->count--;
    const token_list *suffix = prompt_judge_suffix(m->words);
    MEM_LIST_APPEND(out, suffix->at, suffix->count);
    return ESP_OK;
}

static esp_status add_example(example_maker *m, const problem *p, const store_nodes *nodes,
                              const tree_row *row, esp_error *error) {
    token_list ids = {0};
    esp_status status = append_context(m, p, nodes, row, &ids, error);
    if (status == ESP_OK && ids.count + 1 > m->options->max_length) {
        m->out->too_long++;
    } else if (status == ESP_OK) {
        int32_t *kept = arena_copy(m->out->memory, ids.at, (size_t)ids.count * 4);
        int32_t verdicts[2] = {prompt_verdict_id(m->words, row->right),
                               prompt_verdict_id(m->words, !row->right)};
        int32_t *tails = arena_copy(m->out->memory, verdicts, sizeof verdicts);
        example e = {.path = {{kept, tails, ids.count, 1, 0}, {kept, tails + 1, ids.count, 1, 0}},
                     .term = m->term,
                     .alpha = row->alpha,
                     .group = row->tree};
        MEM_LIST_PUSH(&m->out->examples, e);
    }
    MEM_LIST_FREE(&ids);
    return status;
}

esp_status judge_examples_make(store *s, const prompt_words *words, const problem *problems,
                               const tree_row_list *rows, const judge_examples_options *options,
                               const objective_term *term, judge_examples *out, esp_error *error) {
    *out = (judge_examples){.memory = arena_new()};
    example_maker m = {words, options, term, out};
    esp_status status = ESP_OK;
    for (int64_t first = 0, end; first < rows->count && status == ESP_OK; first = end) {
        const tree_row *row = &rows->at[first];
        store_nodes nodes;
        status = store_read_nodes(s, row->tree, &nodes, error);
        if (status != ESP_OK) break;
        for (end = first; end < rows->count && rows->at[end].tree == row->tree && status == ESP_OK; end++)
            status = add_example(&m, &problems[row->problem], &nodes, &rows->at[end], error);
        STORE_LIST_FREE(&nodes);
    }
    return status;
}

void judge_examples_free(judge_examples *e) {
    MEM_LIST_FREE(&e->examples);
    if (e->memory) arena_free(e->memory);
    *e = (judge_examples){0};
}
