/* Trees as text: exact pictures of a small tree, any width, hostile texts, deep and damaged trees. */
#include "support.h"

#include "view/tree_text.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { NODES = 10 };

/* The problem; 1 rejected and incorrect, 2 never visited, 3 committed and chosen; below it 4 to 7 (three
 * never visited), 8 committed and correct; 9 below 1. */
static store_node nodes[NODES];
static store_pair pairs[] = {{.chosen = 3, .rejected = 1, .state = 0},
                             {.chosen = 8, .rejected = 4, .state = 3}};
static const store_tree tree = {
    .tree = 4, .iteration = 2, .problem = 17, .final_node = 8, .outcome = 1, .simulations = 12};
static const store_problem problem = {17, "train:18", "How many eggs are left?", "18"};

static void set(int64_t i, int64_t parent, int64_t visits, double q, unsigned flags, const char *text) {
    nodes[i] = (store_node){.index = i,
                            .parent = parent,
                            .depth = parent < 0 ? 0 : nodes[parent].depth + 1,
                            .visits = visits,
                            .q = q,
                            .confidence = 0.5,
                            .outcome = flags & STORE_NODE_FINISHED ? (q > 0 ? 1 : -1) : 0,
                            .flags = flags | (i ? STORE_NODE_JUDGED : 0),
                            .text = text};
}

static int prepare(void **state) {
    (void)state;
    set(0, -1, 12, 0, STORE_NODE_COMMITTED, "");
    set(1, 0, 3, -0.75, 0, "She sells 16 + 3 eggs.\n");
    set(2, 0, 0, 0, 0, "never");
    set(3, 0, 9, 0.5, STORE_NODE_COMMITTED,
        "She eats 3 of 16 eggs, and so 13 are left over for the market.\n");
    set(4, 3, 2, 0.25, STORE_NODE_CUT, "On and on");
    set(5, 3, 0, 0, 0, "a");
    set(6, 3, 0, 0, 0, "b");
    set(7, 3, 0, 0, 0, "c");
    set(8, 3, 7, 1, STORE_NODE_COMMITTED | STORE_NODE_FINISHED, "#### 13");
    set(9, 1, 1, -1, STORE_NODE_FINISHED, "#### 19");
    return 0;
}

static char *draw_nodes(store_node *at, int64_t n, tree_text_options options) {
    store_nodes list = {.at = at, .count = n};
    store_pairs pair_list = {.at = pairs, .count = 2};
    tree_text_input input = {&tree, &problem, &list, &pair_list};
    text_buffer out = {0};
    esp_error error = {0};
    if (tree_text(&out, &input, &options, &error) != ESP_OK) fail_msg("%s", error.message);
    return out.at;
}

static char *draw(tree_text_options options) {
    return draw_nodes(nodes, NODES, options);
}

static void a_small_tree(void **state) {
    (void)state;
    char *text = draw((tree_text_options){.display = {.unicode = true, .width = 60}});
    assert_string_equal(text, "problem 17 train:18, iteration 2: the committed path is\n"
                              "correct · 10 nodes · 12 simulations · 2 pairs\n"
                              "How many eggs are left?\n"
                              "gold answer: 18\n"
                              "\n"
                              "                                              N      Q     C\n"
                              "the problem                                  12  +0.00     -\n"
                              "├─▼ She sells 16 + 3 eggs.                    3  -0.75  0.50\n"
                              "│ └─✗ #### 19                                 1  -1.00  0.50\n"
                              "├─ never                                      0      -  0.50\n"
                              "┕━●▲ She eats 3 of 16 eggs, and so 13 are     9  +0.50  0.50\n"
                              "  │  left over for the market.\n"
                              "  ├─▼✂ On and on                              2  +0.25  0.50\n"
                              "  ├─ a                                        0      -  0.50\n"
                              "  ├─ … 2 more, not visited\n"
                              "  ┕━●▲✓ #### 13                               7  +1.00  0.50\n"
                              "\n"
                              "● committed · ▲ chosen · ▼ rejected · ✓ correct · ✗\n"
                              "incorrect · ✂ cut unfinished · N visits · Q value · C\n"
                              "self-evaluation\n");
    mem_free(text);
}

static void in_ascii_to_a_depth_and_whole(void **state) {
    (void)state;
    char *text = draw((tree_text_options){.display = {.width = 60}, .depth = 1});
    for (char *c = text; *c; c++) assert_true(*c == '\n' || (*c >= ' ' && *c < 0x7f));
    assert_non_null(strstr(text, "|-x She sells 16 + 3 eggs.                    3  -0.75  0.50\n"
                                 "| `- 1 step below\n"));
    assert_non_null(strstr(text, "`=*+ She eats"));
    assert_non_null(strstr(text, "  `- 5 steps below\n"));
    assert_null(strstr(text, "####"));
    mem_free(text);
    text = draw((tree_text_options){.display = {.width = 60}, .all = true});
    assert_non_null(strstr(text, "|- a "));
    assert_non_null(strstr(text, "|- c "));
    assert_null(strstr(text, "more"));
    mem_free(text);
}

static void colours_are_asked_for(void **state) {
    (void)state;
    char *text = draw((tree_text_options){.display = {.unicode = true, .width = 80}});
    assert_null(strchr(text, '\x1b'));
    mem_free(text);
    text = draw((tree_text_options){.display = {.unicode = true, .width = 80, .colour = true}});
    assert_non_null(strstr(text, "\x1b[31m"));
    assert_non_null(strstr(text, "\x1b[32m"));
    mem_free(text);
}

/* No line but one that holds a single character too wide is wider than the terminal. */
static void expect_width(const char *text, int width) {
    while (*text) {
        size_t n = strcspn(text, "\n");
        char *line = mem_strndup(text, n);
        if (display_columns(line) > width)
            fail_msg("%d columns of %d: %s", display_columns(line), width, line);
        mem_free(line);
        text += n + 1;
    }
}

static void every_width_fits(void **state) {
    (void)state;
    for (int width = 40; width < 200; width++) {
        char *text =
            draw((tree_text_options){.display = {.unicode = true, .width = width}, .all = width % 2});
        expect_width(text, width);
        mem_free(text);
    }
}

static void hostile_texts(void **state) {
    (void)state;
    enum { LENGTH = 1 << 20 };
    char *long_text = malloc(LENGTH + 1);
    memset(long_text, 'x', LENGTH);
    long_text[LENGTH] = '\0';
    static const char *const texts[] = {"\x1b[2J\x1b]52;c;!\x07", "\u202e\u2067evil",
                                        "a\rb\x08\x9b"
                                        "3A",
                                        "\xff\xfe", "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字"};
    for (int i = 1; i < 6; i++) nodes[i].text = texts[i - 1];
    nodes[8].text = long_text;
    for (int all = 0; all < 2; all++) {
        char *text = draw((tree_text_options){.display = {.unicode = true, .width = 72}, .all = all});
        for (char *c = text; *c; c++) assert_true(*c == '\n' || (unsigned char)*c >= ' ');
        assert_non_null(strstr(text, "␛[2J"));
        assert_null(strstr(text, "\u202e"));
        assert_true(all ? strlen(text) > LENGTH : strlen(text) < 4000);
        expect_width(text, 72);
        mem_free(text);
    }
    free(long_text);
}

static void a_deep_tree_fits(void **state) {
    (void)state;
    enum { DEEP = 3000 };
    store_node *deep = calloc(DEEP, sizeof *deep);
    for (int64_t i = 0; i < DEEP; i++)
        deep[i] = (store_node){
            .index = i, .parent = i - 1, .depth = i, .visits = 1, .q = NAN, .text = "one step more"};
    char *text = draw_nodes(deep, DEEP, (tree_text_options){.display = {.unicode = true, .width = 80}});
    expect_width(text, 80);
    assert_true(strlen(text) < 200 * DEEP);
    mem_free(text);
    free(deep);
}

static void damage_is_an_error(void **state) {
    (void)state;
    static const int64_t wrong[] = {-1, 3, 4, 99};
    for (int i = 0; i < 4; i++) {
        prepare(NULL);
        nodes[3].parent = wrong[i];
        store_nodes list = {.at = nodes, .count = NODES};
        tree_text_input input = {&tree, NULL, &list, NULL};
        tree_text_options options = {.display = {.width = 80}};
        text_buffer out = {0};
        esp_error error = {0};
        assert_int_equal(tree_text(&out, &input, &options, &error), ESP_FAILED);
        assert_non_null(strstr(error.message, "tree 4: node 3"));
        list.count = 0;
        assert_int_equal(tree_text(&out, &input, &options, &error), ESP_FAILED);
        text_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_small_tree, prepare),
        cmocka_unit_test_setup(in_ascii_to_a_depth_and_whole, prepare),
        cmocka_unit_test_setup(colours_are_asked_for, prepare),
        cmocka_unit_test_setup(every_width_fits, prepare),
        cmocka_unit_test_setup(hostile_texts, prepare),
        cmocka_unit_test_setup(a_deep_tree_fits, prepare),
        cmocka_unit_test_setup(damage_is_an_error, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
