/* Batches: every row once an epoch, groups and rows whole, and the scales of means. */
#include "learn/batches.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum { EXAMPLES = 40 };

/* Rows of one or two examples in groups of one to three rows; alpha is the row's number. */
typedef struct {
    nll_options nll;
    objective_term pair, chosen;
    int32_t ids[8];
    example at[EXAMPLES];
    int64_t count, rows;
} fixture;

static void fill(fixture *f) {
    *f = (fixture){.pair = {.of = &objective_dpo, .weight = 0.3},
                   .chosen = {.of = &objective_nll, .options = &f->nll, .mean = MEAN_OVER_TOKENS}};
    for (int64_t group = 0; f->count + 6 <= EXAMPLES; group++)
        for (int64_t r = 0; r <= group % 3; r++) {
            learn_path path = {f->ids, f->ids, 1, 2 + f->rows % 5, NAN};
            f->at[f->count++] =
                (example){.path = {path, path}, .term = &f->pair, .group = group, .alpha = (double)f->rows};
            if (f->rows % 2)
                f->at[f->count++] = (example){.path = {path},
                                              .term = &f->chosen,
                                              .group = group,
                                              .same_row = true,
                                              .alpha = (double)f->rows};
            f->rows++;
        }
}

/* One epoch's examples in their order; returns how many, and the rows of the smallest and largest update. */
static int64_t take_epoch(batches *b, int64_t epoch, example *out, int64_t *least, int64_t *most) {
    int64_t n, all = 0, per_epoch = batches_per_epoch(b);
    *least = INT64_MAX, *most = 0;
    for (int64_t u = 0; u < per_epoch; u++) {
        const example *at = batches_take(b, epoch * per_epoch + u, &n);
        int64_t rows = 0;
        assert_false(at[0].same_row);
        for (int64_t i = 0; i < n; i++) {
            rows += !at[i].same_row;
            out[all++] = at[i];
        }
        *least = rows < *least ? rows : *least;
        *most = rows > *most ? rows : *most;
    }
    return all;
}

/* A permutation of the examples in which groups are whole and in their own order. */
static void check_epoch(const fixture *f, const example *taken, int64_t n) {
    assert_int_equal(n, f->count);
    bool seen[EXAMPLES] = {false};
    for (int64_t i = 0; i < n; i++) {
        bool again = i > 0 && taken[i].group == taken[i - 1].group;
        assert_true(again || !seen[taken[i].group]);
        seen[taken[i].group] = true;
        if (again) assert_true(taken[i].alpha == taken[i - 1].alpha + !taken[i].same_row);
        if (taken[i].same_row) assert_true(again);
    }
}

static void order(void **state) {
    (void)state;
    fixture f;
    fill(&f);
    example plain[EXAMPLES], first[EXAMPLES], second[EXAMPLES], again[EXAMPLES];
    int64_t least, most;
    batches *b = batches_new(f.at, f.count, &(batches_options){.batch = 4});
    assert_int_equal(batches_per_epoch(b), (f.rows + 3) / 4);
    check_epoch(&f, plain, take_epoch(b, 0, plain, &least, &most));
    for (int64_t i = 0; i < f.count; i++) assert_true(plain[i].alpha == f.at[i].alpha);
    assert_int_equal(most, 4);
    assert_int_equal(least, f.rows % 4 ? f.rows % 4 : 4);
    batches_free(b);
    b = batches_new(f.at, f.count, &(batches_options){.batch = 4, .shuffle = true, .key = rng_key(7)});
    check_epoch(&f, first, take_epoch(b, 0, first, &least, &most));
    check_epoch(&f, second, take_epoch(b, 1, second, &least, &most));
    take_epoch(b, 0, again, &least, &most);
    int64_t moved = 0, differ = 0;
    for (int64_t i = 0; i < f.count; i++) {
        assert_true(first[i].alpha == again[i].alpha);
        moved += first[i].alpha != plain[i].alpha;
        differ += first[i].alpha != second[i].alpha;
    }
    assert_true(moved > f.count / 2 && differ > f.count / 2);
    batches_free(b);
    /* A number of updates that is given has equal shares. */
    b = batches_new(f.at, f.count, &(batches_options){.batch = 4, .per_epoch = 5});
    assert_int_equal(batches_per_epoch(b), 5);
    check_epoch(&f, plain, take_epoch(b, 0, plain, &least, &most));
    assert_true(most - least <= 1);
    batches_free(b);
}

/* One over the examples of a term, or over their tokens, of the given batch. */
static void scales(void **state) {
    (void)state;
    fixture f;
    fill(&f);
    batches *b = batches_new(f.at, f.count, &(batches_options){.batch = 3});
    for (int64_t u = 0; u < batches_per_epoch(b); u++) {
        int64_t n;
        double pairs = 0, tokens = 0;
        const example *at = batches_take(b, u, &n);
        for (int64_t i = 0; i < n; i++) {
            pairs += at[i].term == &f.pair;
            tokens += at[i].term == &f.chosen ? (double)at[i].path[0].tail_count : 0;
        }
        for (int64_t i = 0; i < n; i++) assert_true(at[i].scale == 1 / (at[i].same_row ? tokens : pairs));
    }
    batches_free(b);
}

/* Batches of problems: as many groups as were asked for, whole, and each term's mean over groups of its means
 * within each, whatever their sizes. */
static void batches_of_groups(void **state) {
    (void)state;
    fixture f;
    fill(&f);
    f.chosen.options = &f.nll;
    example all[EXAMPLES];
    int64_t least, most, groups = f.at[f.count - 1].group + 1;
    batches *b = batches_new(
        f.at, f.count, &(batches_options){.batch = 4, .of_groups = true, .shuffle = true, .key = rng_key(3)});
    assert_int_equal(batches_per_epoch(b), (groups + 3) / 4);
    check_epoch(&f, all, take_epoch(b, 0, all, &least, &most));
    assert_true(most > least); /* rows; groups are counted below */
    for (int64_t u = 0; u < 2 * batches_per_epoch(b); u++) {
        int64_t n, seen = 0, with_chosen = 0;
        const example *at = batches_take(b, u, &n);
        double pairs[EXAMPLES] = {0}, tokens[EXAMPLES] = {0}, sum = 0, chosen = 0;
        for (int64_t i = 0; i < n; i++) {
            int64_t g = at[i].group;
            seen += i == 0 || g != at[i - 1].group;
            if (at[i].term == &f.pair) pairs[g]++;
            if (at[i].term != &f.chosen) continue;
            with_chosen += tokens[g] == 0;
            tokens[g] += (double)at[i].path[0].tail_count;
        }
        bool last = (u + 1) % batches_per_epoch(b) == 0;
        assert_int_equal(seen, last && groups % 4 ? groups % 4 : 4);
        for (int64_t i = 0; i < n; i++) {
            int64_t g = at[i].group;
            bool pair = at[i].term == &f.pair;
            double want = pair ? 1 / pairs[g] / (double)seen : 1 / tokens[g] / (double)with_chosen;
            assert_true(fabs(at[i].scale - want) < 1e-15);
            if (pair)
                sum += at[i].scale;
            else
                chosen += at[i].scale * (double)at[i].path[0].tail_count;
        }
        assert_true(fabs(sum - 1) < 1e-12 && (with_chosen == 0 || fabs(chosen - 1) < 1e-12));
    }
    batches_free(b);
    /* Rows that belong to no group are one each. */
    for (int64_t i = 0; i < f.count; i++) f.at[i].group = -1;
    b = batches_new(f.at, f.count, &(batches_options){.batch = 4, .of_groups = true});
    assert_int_equal(batches_per_epoch(b), (f.rows + 3) / 4);
    int64_t n;
    const example *at = batches_take(b, 0, &n);
    for (int64_t i = 0; i < n; i++)
        if (!at[i].same_row) assert_true(at[i].scale == 0.25);
    batches_free(b);
}

static void rows_of_pairs(void **state) {
    (void)state;
    fixture f;
    fill(&f);
    example_list list = {0};
    example_list_add_pair(&list, &f.at[0], NULL);
    example_list_add_pair(&list, &f.at[0], &f.chosen);
    assert_int_equal(list.count, 3);
    assert_true(!list.at[0].same_row && !list.at[1].same_row && list.at[2].same_row);
    assert_true(list.at[2].term == &f.chosen && list.at[2].path[0].tail == f.at[0].path[0].tail);
    MEM_LIST_FREE(&list);
    /* Only the pairs' terms need references. */
    assert_int_equal(examples_without_reference(f.at, f.count), f.rows);
    for (int k = 0; k < 2; k++) f.at[0].path[k].reference = -1;
    assert_int_equal(examples_without_reference(f.at, f.count), f.rows - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(order), cmocka_unit_test(scales),
                                       cmocka_unit_test(batches_of_groups), cmocka_unit_test(rows_of_pairs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
