#include "model/token_tree.h"

int32_t token_tree_add(token_tree_builder *b, int32_t parent, const int32_t *tokens, int64_t n) {
    int32_t run = (int32_t)b->start.count;
    MEM_LIST_PUSH(&b->start, (int32_t)b->tokens.count);
    MEM_LIST_PUSH(&b->parent, parent);
    MEM_LIST_RESERVE(&b->tokens, b->tokens.count + n);
    for (int64_t i = 0; i < n; i++) b->tokens.at[b->tokens.count++] = tokens[i];
    return run;
}

token_tree token_tree_view(token_tree_builder *b) {
    b->end.count = 0;
    for (int64_t r = 0; r < b->start.count; r++) MEM_LIST_PUSH(&b->end, b->start.at[r]);
    MEM_LIST_PUSH(&b->end, (int32_t)b->tokens.count);
    return (token_tree){(int32_t)b->start.count, b->tokens.at, b->end.at, b->parent.at};
}

void token_tree_clear(token_tree_builder *b) {
    b->tokens.count = b->start.count = b->parent.count = b->end.count = 0;
}

void token_tree_free(token_tree_builder *b) {
    MEM_LIST_FREE(&b->tokens);
    MEM_LIST_FREE(&b->start);
    MEM_LIST_FREE(&b->parent);
    MEM_LIST_FREE(&b->end);
}

esp_status token_tree_check(const token_tree *tree, int64_t vocab, int64_t context, esp_error *error) {
    int64_t *end = MEM_ARRAY(int64_t, tree->runs);
    esp_status status = ESP_OK;
    for (int32_t r = 0; r < tree->runs && status == ESP_OK; r++) {
        int32_t first = tree->start[r], last = tree->start[r + 1], parent = tree->parent[r];
        if (last <= first || parent >= r || parent < -1) {
            status = error_fail(error, "give every run at least one token, and parents before children",
                                "token tree: run %d is malformed", r);
            break;
        }
        end[r] = (parent < 0 ? 0 : end[parent]) + last - first;
        if (end[r] > context)
            status = error_fail(error, "shorten the text, or use a model with a longer context",
                                "a path of %lld tokens is longer than the context of %lld", (long long)end[r],
                                (long long)context);
        for (int32_t t = first; t < last && status == ESP_OK; t++)
            if (tree->tokens[t] < 0 || tree->tokens[t] >= vocab)
                status = error_fail(error, "tokenize with the model's own tokenizer",
                                    "token id %d is outside the vocabulary of %lld", tree->tokens[t],
                                    (long long)vocab);
    }
    mem_free(end);
    return status;
}

void token_tree_layout(const token_tree *tree, tree_layout *out) {
    int64_t T = tree->start[tree->runs];
    *out = (tree_layout){.tokens = T, .span_count = tree->runs};
    out->positions = MEM_ARRAY(int32_t, T);
    out->predecessor = MEM_ARRAY(int32_t, T);
    out->slots = MEM_ARRAY(int64_t, T);
    out->spans = MEM_ARRAY(attention_span, tree->runs);
    MEM_LIST(attention_segment) chain = {0};
    for (int32_t r = 0; r < tree->runs; r++) {
        int32_t first = tree->start[r], n = tree->start[r + 1] - first, parent = tree->parent[r];
        int32_t depth = parent < 0 ? 0 : out->positions[tree->start[parent + 1] - 1] + 1;
        for (int32_t i = 0; i < n; i++) {
            out->positions[first + i] = depth + i;
            out->slots[first + i] = first + i;
            out->predecessor[first + i] = i > 0        ? first + i - 1
                                          : parent < 0 ? -1
                                                       : tree->start[parent + 1] - 1;
        }
        chain.count = 0; /* the run and its ancestors, from the leaf up; neighbours in the pool are joined */
        for (int32_t a = r; a >= 0; a = tree->parent[a]) {
            attention_segment piece = {tree->start[a], tree->start[a + 1] - tree->start[a]};
            attention_segment *below = chain.count ? &chain.at[chain.count - 1] : NULL;
            if (below && piece.slot + piece.count == below->slot) {
                below->slot = piece.slot;
                below->count += piece.count;
            } else
                MEM_LIST_PUSH(&chain, piece);
        }
        out->spans[r] = (attention_span){first, n, depth + n, out->segments.count, (int32_t)chain.count};
        for (int64_t i = chain.count; i-- > 0;) MEM_LIST_PUSH(&out->segments, chain.at[i]);
    }
    MEM_LIST_FREE(&chain);
}

void layout_free(tree_layout *layout) {
    mem_free(layout->positions);
    mem_free(layout->predecessor);
    mem_free(layout->slots);
    mem_free(layout->spans);
    MEM_LIST_FREE(&layout->segments);
}
