#include "store/pair_ids.h"

#include "store/internal.h"

bool pair_ids_follow(const store_pair *row) {
    return row->prefix_count == 0 && row->chosen_count == 0 && row->rejected_count == 0;
}

static esp_status damaged(const store *s, int64_t tree, const char *what, esp_error *error) {
    return error_fail(error, "the file is damaged; restore it from a copy", "%s: tree %lld: %s", s->file,
                      (long long)tree, what);
}

static void forget(pair_ids *ids) {
    if (ids->has_tree) {
        STORE_LIST_FREE(&ids->nodes);
        STORE_LIST_FREE(&ids->commitments);
    }
    ids->has_tree = false;
}

bool store_nodes_are_sound(const store_node *nodes, int64_t count) {
    if (count < 1 || count > INT32_MAX || nodes[0].parent != -1) return false;
    for (int64_t i = 0; i < count; i++)
        if (nodes[i].index != i || nodes[i].parent >= i || (i > 0 && nodes[i].parent < 0) ||
            nodes[i].count > INT32_MAX)
            return false;
    return true;
}

static esp_status read_prompt(pair_ids *ids, store *s, int64_t tree, esp_error *error) {
    sqlite3_stmt *statement;
    bool more;
    ESP_TRY(
        store_query(s, "read", &statement, error, "SELECT prompt_ids FROM trees WHERE tree = ?", "i", tree));
    ESP_TRY(store_next(s, "read", statement, &more, error));
    if (!more) return damaged(s, tree, "is missing, and a pair belongs to it", error);
    ids->prompt_count = sqlite3_column_bytes(statement, 0) / 4;
    size_t bytes = (size_t)ids->prompt_count * 4;
    ids->prompt = bytes ? arena_copy(ids->nodes.memory, sqlite3_column_blob(statement, 0), bytes) : NULL;
    sqlite3_reset(statement);
    return ESP_OK;
}

static esp_status load(pair_ids *ids, store *s, int64_t tree, esp_error *error) {
    if (ids->has_tree && ids->tree == tree) return ESP_OK;
    forget(ids);
    ESP_TRY(store_read_nodes(s, tree, &ids->nodes, error));
    esp_status status = store_read_commitments(s, tree, &ids->commitments, error);
    if (status != ESP_OK) {
        STORE_LIST_FREE(&ids->nodes);
        return status;
    }
    ids->has_tree = true;
    ids->tree = tree;
    status = read_prompt(ids, s, tree, error);
    if (status == ESP_OK && !store_nodes_are_sound(ids->nodes.at, ids->nodes.count))
        status = damaged(s, tree, "its nodes are no tree", error);
    if (status != ESP_OK) forget(ids);
    return status;
}

/* Appends the steps below `from` down to `node`; false where `from` is not above it. */
static bool append_path(const pair_ids *ids, int64_t from, int64_t node, pair_id_list *to) {
    if (node < 0 || node >= ids->nodes.count) return false;
    int64_t length = 0;
    int64_t at = node;
    for (; at > from; at = ids->nodes.at[at].parent) length += ids->nodes.at[at].count;
    if (at != from) return false;
    MEM_LIST_RESERVE(to, to->count + length);
    int64_t end = to->count + length;
    for (at = node; at > from; at = ids->nodes.at[at].parent) {
        const store_node *n = &ids->nodes.at[at];
        for (int64_t i = n->count; i-- > 0;) to->at[--end] = n->ids[i];
    }
    to->count += length;
    return true;
}

/* Appends the first `joined` steps committed after the one at `state`. */
static bool append_joined(const pair_ids *ids, const store_pair *row, pair_id_list *to) {
    int64_t at = 0;
    if (row->joined == 0) return true;
    while (at < ids->commitments.count && ids->commitments.at[at].state != row->state) at++;
    if (row->joined < 0 || row->joined >= ids->commitments.count - at) return false;
    for (int64_t i = at + 1; i <= at + row->joined; i++) {
        int64_t picked = ids->commitments.at[i].picked;
        if (picked < 0 || picked >= ids->nodes.count) return false;
        MEM_LIST_APPEND(to, ids->nodes.at[picked].ids, ids->nodes.at[picked].count);
    }
    return true;
}

esp_status pair_ids_of(pair_ids *ids, store *s, const store_pair *row, esp_error *error) {
    ESP_TRY(load(ids, s, row->tree, error));
    ids->prefix.count = ids->chosen.count = ids->rejected.count = 0;
    MEM_LIST_APPEND(&ids->prefix, ids->prompt, ids->prompt_count);
    bool sound = append_path(ids, 0, row->state, &ids->prefix) &&
                 append_path(ids, row->state, row->chosen, &ids->chosen) &&
                 append_path(ids, row->state, row->rejected, &ids->rejected) &&
                 append_joined(ids, row, &ids->chosen) && append_joined(ids, row, &ids->rejected);
    return sound ? ESP_OK : damaged(s, row->tree, "a pair names nodes that it does not have", error);
}

void pair_ids_free(pair_ids *ids) {
    forget(ids);
    MEM_LIST_FREE(&ids->prefix);
    MEM_LIST_FREE(&ids->chosen);
    MEM_LIST_FREE(&ids->rejected);
}
