/* Rows of trees for the judge: labels by what came of a node, how sure they are, and which are taken. */
#include "task_support.h"

#include "base/file.h"
#include "loop/judge_rows_trees.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static esp_error error;

static const uint32_t judged = STORE_NODE_JUDGED, finished = STORE_NODE_JUDGED | STORE_NODE_FINISHED,
                      cut = STORE_NODE_JUDGED | STORE_NODE_CUT;

#define TREE(number) (&(store_tree){.tree = number, .problem = 10 + number})

/* Node 1 has three chains below it, two of them correct; 5 is as often one as the other; 8 was cut at no
 * price, 9 was cut and that counts as incorrect; 10 was never judged. */
static const store_node nodes[] = {
    {.index = 0, .parent = -1},
    {.index = 1, .parent = 0, .flags = judged},
    {.index = 2, .parent = 1, .flags = finished, .outcome = 1},
    {.index = 3, .parent = 1, .flags = finished, .outcome = -1},
    {.index = 4, .parent = 1, .flags = finished, .outcome = 1},
    {.index = 5, .parent = 0, .flags = judged},
    {.index = 6, .parent = 5, .flags = finished, .outcome = 1},
    {.index = 7, .parent = 5, .flags = finished, .outcome = -1},
    {.index = 8, .parent = 0, .flags = cut},
    {.index = 9, .parent = 0, .flags = cut, .outcome = -1},
    {.index = 10, .parent = 0, .flags = STORE_NODE_FINISHED, .outcome = 1},
};
enum { NODES = sizeof nodes / sizeof *nodes };

static void labels_by_what_came_of_it(void **state) {
    (void)state;
    const struct {
        int64_t node;
        bool right;
        double alpha;
    } want[] = {{1, true, 2.0 / 5}, {2, true, 0},  {3, false, 0},      {4, true, 0},
                {6, true, 0},       {7, false, 0}, {9, false, 1.0 / 3}};
    tree_row_list rows = {0};
    tree_rows_label(TREE(4), nodes, NODES, rng_key(1), &rows);
    assert_int_equal(rows.count, sizeof want / sizeof *want);
    for (int64_t i = 0; i < rows.count; i++) {
        assert_int_equal(rows.at[i].node, want[i].node);
        assert_int_equal(rows.at[i].right, want[i].right);
        assert_float_equal(rows.at[i].alpha, want[i].alpha, 1e-12);
        assert_int_equal(rows.at[i].tree, 4);
        assert_int_equal(rows.at[i].problem, 14);
    }
    MEM_LIST_FREE(&rows);
}

/* Rows of a problem: `right` correct and `wrong` incorrect ones. */
static void add(tree_row_list *rows, int64_t problem, int right, int wrong) {
    for (int i = 0; i < right + wrong; i++)
        MEM_LIST_PUSH(rows, ((tree_row){.tree = problem,
                                        .problem = problem,
                                        .node = 1 + i,
                                        .right = i < right,
                                        .rank = rng_bits(rng_key((uint64_t)problem), (uint64_t)i)}));
}

static void mixed_problems_first_and_balanced(void **state) {
    (void)state;
    for (int64_t most = 1; most <= 6; most++) {
        tree_row_list rows = {0};
        int64_t half = (most + 1) / 2, mixed = 0, taken[2] = {0}, of[40][2] = {{0}};
        for (int64_t p = 0; p < 40; p++) {
            int right = p % 4 == 3 ? 0 : 1 + (int)p % 5,
                wrong = p % 4 == 2 || p % 4 == 1 ? 0 : 1 + (int)p % 3;
            add(&rows, p, right, wrong);
            int64_t less = right < wrong ? right : wrong;
            mixed += less < half ? less : half;
        }
        tree_rows_choose(&rows, most);
        for (int64_t i = 0; i < rows.count; i++) {
            const tree_row *r = &rows.at[i];
            taken[r->right]++;
            of[r->problem][r->right]++;
            assert_int_equal(r->mixed, r->problem % 4 == 0);
            assert_true(i == 0 || r[-1].tree < r->tree || r[-1].node < r->node);
        }
        for (int64_t p = 0; p < 40; p++) {
            if (p % 4 == 0) assert_true(of[p][0] == of[p][1] && of[p][0] >= 1);
            assert_true(of[p][0] <= half && of[p][1] <= half);
        }
        assert_int_equal(taken[0], taken[1]);
        assert_true(taken[0] > mixed && taken[0] <= 2 * mixed);
        MEM_LIST_FREE(&rows);
    }
    /* Without a mixed problem there is nothing but difficulty to learn: no rows. */
    tree_row_list rows = {0};
    add(&rows, 1, 3, 0), add(&rows, 2, 0, 3);
    tree_rows_choose(&rows, 2);
    assert_int_equal(rows.count, 0);
    MEM_LIST_FREE(&rows);
}

static void draws_half_of_either(void **state) {
    (void)state;
    for (int64_t count = 0; count < 30; count++) {
        tree_row_list rows = {0};
        for (int64_t p = 0; p < 10; p++) add(&rows, p, 2, 1);
        tree_rows_draw(&rows, count);
        int64_t right = 0;
        for (int64_t i = 0; i < rows.count; i++) right += rows.at[i].right;
        assert_int_equal(right, count - count / 2 < 20 ? count - count / 2 : 20);
        assert_int_equal(rows.count - right, count / 2 < 10 ? count / 2 : 10);
        MEM_LIST_FREE(&rows);
    }
}

/* A row is what the search's judge had read, to the id: its prompt, the steps and its suffix, or what the
 * policy had read where it sampled the node's last token. */
static void rows_are_what_was_read(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    char *folder = path_join(base && *base ? base : P_tmpdir, "espalier-judge-rows-XXXXXX");
    assert_non_null(mkdtemp(folder));
    tokenizer *tokens;
    prompt_words *words;
    store *s;
    OK(tokenizer_open(&tokens, TEST_DATA "/models/tinystories-656k", &error));
    OK(prompt_words_new(&words, tokens, test_task("gsm8k"), chat_builtin(CHAT_PLAIN), &error));
    OK(store_open(&s, folder, STORE_CREATE, &error));
    const problem p = {
        .question = "Tom has 2 cats and 3 dogs. How many?", .gold = "5", .rationale = "5\n#### 5"};
    int32_t first[] = {40, 41, 42}, second[] = {50, 51, prompt_eos(words)};
    const store_node rows[] = {
        {.index = 0, .parent = -1},
        {.index = 1, .parent = 0, .ids = first, .count = 3, .flags = judged},
        {.index = 2, .parent = 1, .ids = second, .count = 3, .flags = finished, .outcome = -1}};
    store_tree tree = {.iteration = 1};
    OK(store_add_problem(s, &(store_problem){0, NULL, p.question, p.gold}, &error));
    OK(store_add_tree(s, &tree, &error));
    OK(store_add_nodes(s, tree.tree, rows, 3, &error));
    tree_row_list list = {0};
    tree_rows_label(&tree, rows, 3, rng_key(1), &list);
    assert_int_equal(list.count, 2);
    const objective_term term = {.of = &objective_verdict, .weight = 1};
    static const int32_t steps[] = {40, 41, 42, 50, 51};
    for (int kind = 0; kind < 2; kind++)
        for (int shown = 0; shown < 2; shown++) {
            judge_examples_options options = {(search_judge)kind,
                                              shown ? EXAMPLE_SHOWN_ALWAYS : EXAMPLE_SHOWN_NEVER, 1000};
            judge_examples e;
            OK(judge_examples_make(s, words, &p, &list, &options, &term, &e, &error));
            assert_int_equal(e.examples.count, 2);
            for (int i = 0; i < 2; i++) {
                token_list want = {0};
                int64_t taken = kind == SEARCH_JUDGE_PROMPT ? (i ? 5 : 3) : (i ? 5 : 2);
                if (kind == SEARCH_JUDGE_PROMPT)
                    OK(prompt_judge_prefix(words, &p, shown, &want, &error));
                else
                    OK(prompt_ids(words, &p, &want, &error));
                MEM_LIST_APPEND(&want, steps, taken);
                const token_list *suffix = prompt_judge_suffix(words);
                if (kind == SEARCH_JUDGE_PROMPT) MEM_LIST_APPEND(&want, suffix->at, suffix->count);
                for (int k = 0; k < 2; k++) { /* no chain below is correct: the verdict is "incorrect" */
                    const learn_path *path = &e.examples.at[i].path[k];
                    assert_int_equal(path->prefix_count, want.count);
                    assert_memory_equal(path->prefix, want.at, (size_t)want.count * sizeof *want.at);
                    assert_true(path->tail_count == 1 && path->tail[0] == prompt_verdict_id(words, k));
                }
                MEM_LIST_FREE(&want);
            }
            judge_examples_free(&e);
            options.max_length = 10;
            OK(judge_examples_make(s, words, &p, &list, &options, &term, &e, &error));
            assert_true(e.examples.count == 0 && e.too_long == 2);
            judge_examples_free(&e);
        }
    MEM_LIST_FREE(&list);
    store_close(s);
    prompt_words_free(words);
    tokenizer_close(tokens);
    OK(folder_remove(folder, &error));
    mem_free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_by_what_came_of_it),
        cmocka_unit_test(mixed_problems_first_and_balanced),
        cmocka_unit_test(draws_half_of_either),
        cmocka_unit_test(rows_are_what_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
