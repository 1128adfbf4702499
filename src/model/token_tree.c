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
