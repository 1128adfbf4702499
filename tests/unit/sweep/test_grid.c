/* Grids: the methods, values and seeds of a file become recipes; mistakes name their place. */
#include "support.h"

#include "base/file.h"
#include "sweep/grid.h"

#include <glob.h>
#include <string.h>

static esp_error error;
static char folder[256];

/* Writes a file below the test's folder and returns its path. */
static const char *write_file(const char *name, const char *text) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    OK(file_write_all(path, text, strlen(text), &error));
    return path;
}

static int make_folder(void **state) {
    (void)state;
    test_path(folder, sizeof folder, "grid");
    OK(folder_make(folder, &error));
    write_file("base.yaml", "run: {iterations: 3}\nsearch: {max_steps: 5}\nlearn: {lr: 1e-5, epochs: 7}\n");
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    OK(folder_remove(folder, &error));
    return 0;
}

static grid read_grid(const char *text) {
    grid g;
    OK(grid_read(&g, write_file("g.yaml", text), &error));
    return g;
}

static recipe *recipe_of(const grid *g, int64_t method, int64_t choice, bool chooses, int64_t seed) {
    recipe *r;
    grid_cell cell = grid_cell_of(g, "out", method, choice, chooses, seed);
    OK(grid_recipe(g, &cell, NULL, 0, &r, &error));
    return r;
}

static void methods_change_the_recipe(void **state) {
    (void)state;
    grid g = read_grid("recipe: base.yaml\n"
                       "seeds: [4, 2]\n"
                       "set: {run: {wave: 8}, learn.batch: 5}\n"
                       "methods:\n"
                       "  plain:\n"
                       "  one: {learn: {lr: 2e-5, batch: 6}, run.wave: 9}\n"
                       "  bare: {without: [learn], search.max_steps: 4}\n");
    assert_int_equal(g.methods.count, 3);
    assert_int_equal(g.seeds.count, 2);
    assert_int_equal(g.seeds.at[0], 4);
    assert_string_equal(g.baseline, "plain");
    assert_string_equal(g.out, "runs/g");

    recipe *r = recipe_of(&g, 0, -1, false, 4);
    assert_int_equal(r->run.seed, 4);
    assert_string_equal(r->run.out, "out/plain/seed-4");
    assert_int_equal(r->run.iterations, 3);
    assert_int_equal(r->run.wave, 8);
    assert_int_equal(r->learn.batch, 5);
    assert_true(r->learn.lr == 1e-5);
    recipe_free(r);

    r = recipe_of(&g, 1, -1, false, 2);
    assert_int_equal(r->run.seed, 2);
    assert_int_equal(r->run.wave, 9); /* the method's own, over the grid's */
    assert_int_equal(r->learn.batch, 6);
    assert_true(r->learn.lr == 2e-5);
    assert_int_equal(r->learn.epochs, 7);
    recipe_free(r);

    r = recipe_of(&g, 2, -1, false, 2); /* the recipe's keys of learn are gone, the grid's are not */
    assert_true(r->learn.lr == 1e-6);
    assert_int_equal(r->learn.epochs, 4);
    assert_int_equal(r->learn.batch, 5);
    assert_int_equal(r->search.config.limits.max_steps, 4);
    assert_int_equal(r->run.iterations, 3);
    recipe_free(r);
    grid_free(&g);
}

static void values_are_multiplied_out(void **state) {
    (void)state;
    grid g = read_grid("recipe: base.yaml\n"
                       "methods: {a: {}, b: {learn.lr: 1}}\n"
                       "vary: {learn.lr: [1e-4, 2e-4], learn.epochs: [1, 2, 3]}\n"
                       "choose: {learn.batch: [8, 16], learn.weight: [0, 1]}\n"
                       "baseline: b learn.lr=2e-4 learn.epochs=3\n");
    assert_int_equal(g.methods.count, 12);
    assert_int_equal(g.choices.count, 4);
    assert_string_equal(g.methods.at[1].label, "a learn.lr=1e-4 learn.epochs=2");
    assert_string_equal(g.methods.at[1].folder, "a,learn.lr=1e-4,learn.epochs=2");
    assert_string_equal(g.methods.at[11].label, g.baseline);
    assert_string_equal(g.choices.at[1].label, "learn.batch=8 learn.weight=1");

    recipe *r = recipe_of(&g, 11, 2, true, 1);
    assert_true(r->learn.lr == 2e-4); /* a varied value, over the method's */
    assert_int_equal(r->learn.epochs, 3);
    assert_int_equal(r->learn.batch, 16);
    assert_true(r->learn.weight == 0);
    assert_int_equal(r->eval.set, RECIPE_SET_DEV);
    assert_string_equal(r->run.out,
                        "out/b,learn.lr=2e-4,learn.epochs=3/choose/learn.batch=16,learn.weight=0");
    recipe_free(r);
    r = recipe_of(&g, 11, 2, false, 1);
    assert_int_equal(r->eval.set, RECIPE_SET_TEST);
    recipe_free(r);
    grid_free(&g);
}

static void a_grid_extends_another(void **state) {
    (void)state;
    write_file("other.yaml", "run: {iterations: 9}\n");
    write_file("parent.yaml", "recipe: base.yaml\n"
                              "out: runs/parent\n"
                              "seeds: [1, 2]\n"
                              "set: {run.wave: 8, learn.batch: 5}\n"
                              "methods: {a: {}, b: {recipe: base.yaml}}\n");
    grid g = read_grid("extends: parent.yaml\nrecipe: other.yaml\nset: {learn.batch: 6}\nseeds: [3]\n");
    assert_int_equal(g.seeds.count, 1);
    assert_string_equal(g.out, "runs/g");
    recipe *a = recipe_of(&g, 0, -1, false, 3), *b = recipe_of(&g, 1, -1, false, 3);
    assert_int_equal(a->run.iterations, 9);
    assert_int_equal(b->run.iterations, 3); /* it names its own recipe */
    assert_int_equal(a->run.wave, 8);
    assert_int_equal(a->learn.batch, 6);
    recipe_free(a);
    recipe_free(b);
    grid_free(&g);
}

static void refused(const char *text, const char *expected) {
    grid g;
    const char *path = write_file("g.yaml", text);
    size_t skip = strlen(folder) + 1;
    assert_int_equal(grid_read(&g, path, &error), ESP_FAILED);
    grid_free(&g);
    const char *said = strncmp(error.message, folder, skip - 1) == 0 ? error.message + skip : error.message;
    if (strncmp(said, expected, strlen(expected)) != 0)
        fail_msg("for\n%s\nwanted: %s\ngot:    %s", text, expected, said);
    assert_true(error.hint[0]);
}

static void mistakes_name_their_place(void **state) {
    (void)state;
    refused("", "g.yaml: the grid is empty");
    refused("- a\n", "g.yaml:1:1: a grid must be a map of keys");
    refused("recipe: base.yaml\nseed: [1]\n", "g.yaml:2:1: unknown key seed (did you mean seeds?)");
    refused("recipe: base.yaml\nrecipe: base.yaml\n", "g.yaml:2:1: a grid: the key recipe is given twice");
    refused("seeds: [1]\n", "g.yaml: the method g has no recipe");
    refused("methods:\n  a: {}\n", "g.yaml:2:3: the method a has no recipe");
    refused("recipe: base.yaml\nseeds: 3\n", "g.yaml:2:8: seeds must be a list");
    refused("recipe: base.yaml\nseeds: []\n", "g.yaml:2:8: there are no seeds");
    refused("recipe: base.yaml\nseeds: [1, x]\n",
            "g.yaml:2:12: a seed must be a whole number from 0, not \"x\"");
    refused("recipe: base.yaml\nseeds: [1, -2]\n", "g.yaml:2:12: a seed must be a whole number");
    refused("recipe: base.yaml\nseeds: [1, 1]\n", "g.yaml:2:12: the seed 1 is given twice");
    refused("recipe: base.yaml\nmethods: {}\n", "g.yaml:2:10: there are no methods");
    refused("recipe: base.yaml\nmethods: {a/b: {}}\n", "g.yaml:2:11: \"a/b\" cannot be the name");
    refused("recipe: base.yaml\nmethods: {..: {}}\n", "g.yaml:2:11: \"..\" cannot be the name");
    refused("recipe: base.yaml\nmethods: {a: 5}\n", "g.yaml:2:14: keys of recipes must be a map");
    refused("recipe: base.yaml\nmethods:\n  a: {learn.ls: 5}\n",
            "g.yaml:3:7: unknown key learn.ls (did you mean learn.lr?)");
    refused("recipe: base.yaml\nmethods:\n  a: {learn.lr: 5, learn: {lr: 6}}\n",
            "g.yaml:3:28: the key learn.lr is given twice (first at ");
    refused("recipe: base.yaml\nmethods:\n  a: {learn.lr: [1, 2]}\n", "g.yaml:3:17: learn.lr has one value");
    refused("recipe: base.yaml\nmethods:\n  a: {learn.lr: }\n", "g.yaml:3:17: learn.lr has no value");
    refused("recipe: base.yaml\nset: {run.seed: 5}\n", "g.yaml:2:7: run.seed cannot be set in a grid");
    refused("recipe: base.yaml\nset: {without: [learn]}\n", "g.yaml:2:7: unknown key without");
    refused("recipe: base.yaml\nmethods: {a: {without: [lern]}}\n",
            "g.yaml:2:25: a recipe has no group \"lern\"");
    refused("recipe: base.yaml\nvary: {learn.lr: 5}\n",
            "g.yaml:2:18: vary.learn.lr must be a list of values");
    refused("recipe: base.yaml\nvary: {learn.lr: []}\n",
            "g.yaml:2:18: vary.learn.lr must be a list of values");
    refused("recipe: base.yaml\nvary: {run.out: [a]}\n", "g.yaml:2:8: run.out cannot be set in a grid");
    refused("recipe: base.yaml\nbaseline: b\nmethods: {a: {}}\n", "g.yaml: the baseline \"b\" is none");
    refused("recipe: base.yaml\nvary: {data.train: [a/b, a_b]}\n", "g.yaml: \"g data.train=a/b\" and ");
    refused("extends: g.yaml\n", "g.yaml: there is no end to `extends`");
    refused("extends: absent.yaml\n", "absent.yaml: ");

    grid g = read_grid("recipe: base.yaml\nmethods: {a: {learn.lr: high}}\n");
    recipe *r;
    grid_cell cell = grid_cell_of(&g, "out", 0, -1, false, 1);
    assert_int_equal(grid_recipe(&g, &cell, NULL, 0, &r, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "g.yaml:2:15: learn.lr must be a number"));
    grid_free(&g);
}

/* Every grid that comes with the program: all its recipes can be made, and only its choices look at dev. */
static void grids_that_come_with_it(void **state) {
    (void)state;
    glob_t found;
    assert_int_equal(glob(ESPALIER_SOURCE_DIR "/recipes/experiments/*.yaml", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 4);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        grid g;
        OK(grid_read(&g, found.gl_pathv[i], &error));
        assert_true(g.about[0] && g.seeds.count > 1 && g.methods.count > 1);
        for (int64_t m = 0; m < g.methods.count; m++) {
            recipe *r = recipe_of(&g, m, -1, false, g.seeds.at[0]);
            assert_int_equal(r->eval.set, RECIPE_SET_TEST);
            recipe_free(r);
            for (int64_t c = 0; c < g.choices.count; c++) {
                r = recipe_of(&g, m, c, true, g.seeds.at[0]);
                assert_true(r->data.dev[0] || r->data.dev_from_train > 0);
                recipe_free(r);
            }
        }
        grid_free(&g);
    }
    globfree(&found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_change_the_recipe), cmocka_unit_test(values_are_multiplied_out),
        cmocka_unit_test(a_grid_extends_another),    cmocka_unit_test(mistakes_name_their_place),
        cmocka_unit_test(grids_that_come_with_it),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
