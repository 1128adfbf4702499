#include "model/tree_layout.h"

void tree_layout_make(tree_layout *out, const token_tree *tree) {
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
        out->spans[r] = (attention_span){.first_query = first,
                                         .queries = n,
                                         .context = depth + n,
                                         .first_segment = out->segments.count,
                                         .segments = (int32_t)chain.count};
        for (int64_t i = chain.count; i-- > 0;) MEM_LIST_PUSH(&out->segments, chain.at[i]);
    }
    MEM_LIST_FREE(&chain);
}

void tree_layout_free(tree_layout *layout) {
    mem_free(layout->positions);
    mem_free(layout->predecessor);
    mem_free(layout->slots);
    mem_free(layout->spans);
    MEM_LIST_FREE(&layout->segments);
}
