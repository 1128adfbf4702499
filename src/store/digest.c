/* One hash over all rows that two runs are compared by, in the columns of schema version 1: it depends
 * neither on the program that reads the run nor on how the run stores what it found. */
#include "store/internal.h"
#include "store/pair_ids.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static void add_type(XXH3_state_t *state, int32_t type) {
    XXH3_64bits_update(state, &type, sizeof type);
}

static void add_bytes(XXH3_state_t *state, const void *bytes, int64_t length) {
    XXH3_64bits_update(state, &length, sizeof length);
    if (length) XXH3_64bits_update(state, bytes, (size_t)length);
}

static void add_column(XXH3_state_t *state, sqlite3_stmt *statement, int column) {
    int32_t type = sqlite3_column_type(statement, column);
    add_type(state, type);
    if (type == SQLITE_INTEGER) {
        int64_t integer = sqlite3_column_int64(statement, column);
        XXH3_64bits_update(state, &integer, sizeof integer);
    } else if (type == SQLITE_FLOAT) {
        double number = sqlite3_column_double(statement, column);
        XXH3_64bits_update(state, &number, sizeof number);
    } else if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
        const void *bytes = sqlite3_column_blob(statement, column);
        add_bytes(state, bytes, sqlite3_column_bytes(statement, column));
    }
}

static void add_row(XXH3_state_t *state, sqlite3_stmt *statement, int from, int to) {
    for (int i = from; i < to; i++) add_column(state, statement, i);
}

/* A query, and the columns of it that are always hashed; later ones, which newer versions of the schema have
 * added, are where they are not 0: so a run in which they say nothing keeps its hash. 0: all columns. */
typedef struct {
    const char *query;
    int columns;
} hashed_table;

static void add_later_columns(XXH3_state_t *state, sqlite3_stmt *statement, int from) {
    for (int i = from; i < sqlite3_column_count(statement); i++)
        if (sqlite3_column_int64(statement, i) != 0) add_column(state, statement, i);
}

static esp_status add_table(store *s, const hashed_table *table, XXH3_state_t *state, esp_error *error) {
    sqlite3_stmt *statement;
    bool more = true;
    ESP_TRY(store_query(s, "read", &statement, error, table->query, ""));
    for (;;) {
        ESP_TRY(store_next(s, "read", statement, &more, error));
        if (!more) return ESP_OK;
        int columns = table->columns ? table->columns : sqlite3_column_count(statement);
        add_row(state, statement, 0, columns);
        add_later_columns(state, statement, columns);
    }
}

/* Columns of `trees`. Versions before 7 have no JUDGED_STEPS, and in their rows JUDGED is of steps alone. */
enum { JUDGED = 10, UNKNOWN = 14, JUDGED_STEPS };

static void add_tree(XXH3_state_t *state, sqlite3_stmt *row) {
    int columns = sqlite3_column_count(row);
    bool has_steps = columns > JUDGED_STEPS && sqlite3_column_type(row, JUDGED_STEPS) != SQLITE_NULL;
    add_row(state, row, 0, JUDGED);
    add_column(state, row, has_steps ? JUDGED_STEPS : JUDGED);
    add_row(state, row, JUDGED + 1, UNKNOWN);
    if (columns > UNKNOWN && sqlite3_column_int64(row, UNKNOWN) != 0) add_column(state, row, UNKNOWN);
}

static esp_status add_trees(store *s, XXH3_state_t *state, esp_error *error) {
    sqlite3_stmt *statement;
    bool more = true;
    ESP_TRY(store_query(s, "read", &statement, error, "SELECT * FROM trees ORDER BY tree", ""));
    for (;;) {
        ESP_TRY(store_next(s, "read", statement, &more, error));
        if (!more) return ESP_OK;
        add_tree(state, statement);
    }
}

/* Columns of `pairs`. */
enum { TREE = 2, STATE = 4, CHOSEN, REJECTED, IDS, AFTER_IDS = IDS + 3, JOINED = 20 };

static store_pair nodes_of_pair(sqlite3_stmt *row) {
    return (store_pair){
        .tree = sqlite3_column_int64(row, TREE),
        .state = sqlite3_column_int64(row, STATE),
        .chosen = sqlite3_column_int64(row, CHOSEN),
        .rejected = sqlite3_column_int64(row, REJECTED),
        .joined = sqlite3_column_count(row) > JOINED ? sqlite3_column_int64(row, JOINED) : 0,
        .prefix_count = sqlite3_column_bytes(row, IDS),
        .chosen_count = sqlite3_column_bytes(row, IDS + 1),
        .rejected_count = sqlite3_column_bytes(row, IDS + 2),
    };
}

/* A pair's ids are hashed as the blobs that version 1 stored. */
static esp_status add_pair(store *s, sqlite3_stmt *row, pair_ids *ids, XXH3_state_t *state,
                           esp_error *error) {
    store_pair pair = nodes_of_pair(row);
    if (!pair_ids_follow(&pair)) {
        add_row(state, row, 0, JOINED);
        return ESP_OK;
    }
    ESP_TRY(pair_ids_of(ids, s, &pair, error));
    const pair_id_list *lists[] = {&ids->prefix, &ids->chosen, &ids->rejected};
    add_row(state, row, 0, IDS);
    for (int i = 0; i < 3; i++) {
        add_type(state, SQLITE_BLOB);
        add_bytes(state, lists[i]->at, lists[i]->count * 4);
    }
    add_row(state, row, AFTER_IDS, JOINED);
    return ESP_OK;
}

static esp_status add_pairs(store *s, XXH3_state_t *state, esp_error *error) {
    pair_ids ids = {0};
    sqlite3_stmt *statement;
    bool more = true;
    ESP_TRY(store_query(s, "read", &statement, error, "SELECT * FROM pairs ORDER BY pair", ""));
    esp_status status = ESP_OK;
    while (status == ESP_OK && (status = store_next(s, "read", statement, &more, error)) == ESP_OK && more)
        status = add_pair(s, statement, &ids, state, error);
    if (more) sqlite3_reset(statement);
    pair_ids_free(&ids);
    return status;
}

static esp_status add_all(store *s, XXH3_state_t *state, esp_error *error) {
    static const hashed_table before[] = {{"SELECT * FROM problems ORDER BY problem", 0},
                                          {"SELECT * FROM waves ORDER BY iteration, wave", 0}},
                              of_trees[] = {{"SELECT * FROM nodes ORDER BY tree, node", 0},
                                            {"SELECT * FROM commitments ORDER BY tree, step", 0}};
    static const hashed_table after[] = {
        {"SELECT * FROM updates ORDER BY iteration, phase, step", 0},
        {"SELECT iteration, method, problem_set, k, problems, right, accuracy, low, high, pass_at_k, "
         "maj_at_k, tokens_sampled, tokens_computed FROM evals ORDER BY iteration, method, problem_set",
         0},
        {"SELECT * FROM eval_results ORDER BY iteration, method, problem_set, problem, sample", 10}};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        ESP_TRY(add_table(s, &before[i], state, error));
    ESP_TRY(add_trees(s, state, error));
    for (size_t i = 0; i < sizeof of_trees / sizeof *of_trees; i++)
        ESP_TRY(add_table(s, &of_trees[i], state, error));
    ESP_TRY(add_pairs(s, state, error));
    for (size_t i = 0; i < sizeof after / sizeof *after; i++) ESP_TRY(add_table(s, &after[i], state, error));
    return ESP_OK;
}

esp_status store_digest(store *s, uint64_t *out, esp_error *error) {
    XXH3_state_t *state = XXH3_createState();
    XXH3_64bits_reset(state);
    esp_status status = add_all(s, state, error);
    *out = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return status;
}
