/* Where a run came from: hashes see every byte that counts and nothing else; paths are those of the folder
 * that the run was begun in. */
#include "base/file.h"
#include "loop/provenance.h"
#include "support.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static esp_error error;

static char *new_folder(void) {
    const char *base = getenv("TMPDIR");
    char *folder = path_join(base && *base ? base : P_tmpdir, "espalier-origin-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static void put(const char *folder, const char *name, const char *text) {
    char *path = path_join(folder, name);
    OK(file_write_all(path, text, strlen(text), &error));
    mem_free(path);
}

static void test_problems(void **state) {
    (void)state;
    problem at[2] = {{.id = "a", .question = "q", .gold = "1", .rationale = "r"},
                     {.id = "b", .question = "q2", .gold = "2"}};
    problem_set set = {.at = at, .count = 2};
    uint64_t first = provenance_problems_hash(&set);
    at[0].id = "other"; /* names hold the file's */
    assert_true(provenance_problems_hash(&set) == first);
    at[1].rationale = "";
    assert_true(provenance_problems_hash(&set) != first);
    at[1].rationale = NULL;
    at[0].question = "qq";
    assert_true(provenance_problems_hash(&set) != first);
    static const problem_option ab[] = {{"A", "x"}, {"B", "y"}}, ba[] = {{"A", "y"}, {"B", "x"}};
    problem asked = {.id = "a", .question = "q", .gold = "A", .options = ab, .option_count = 2};
    problem_set one = {.at = &asked, .count = 1};
    uint64_t in_order = provenance_problems_hash(&one);
    asked.options = ba;
    assert_true(provenance_problems_hash(&one) != in_order);
    at[0].question = "q1", at[0].gold = ""; /* the same letters, otherwise parted */
    assert_true(provenance_problems_hash(&set) != first);
    at[0].question = "q", at[0].gold = "1";
    assert_true(provenance_problems_hash(&set) == first);
    set.count = 1;
    assert_true(provenance_problems_hash(&set) != first);
    set.count = 0;
    assert_true(provenance_problems_hash(&set) == 0);
}

static uint64_t model_hash(const char *path) {
    uint64_t hash;
    OK(provenance_model_hash(path, &hash, &error));
    return hash;
}

static void test_model(void **state) {
    (void)state;
    char *folder = new_folder(), *weights = path_join(folder, "model.safetensors");
    put(folder, "config.json", "{}");
    put(folder, "tokenizer.json", "{\"a\": 1}");
    put(folder, "model.safetensors", "weights");
    uint64_t first = model_hash(folder);
    put(folder, "README.md", "words");
    put(folder, "generation_config.json", "{}");
    put(folder, "optimizer.safetensors", "moments");
    assert_true(model_hash(folder) == first);
    put(folder, "tokenizer.json", "{\"a\": 2}");
    assert_true(model_hash(folder) != first);
    put(folder, "tokenizer.json", "{\"a\": 1}");
    put(folder, "model.safetensors", "weightz");
    assert_true(model_hash(folder) != first);
    put(folder, "model.safetensors", "weights");
    put(folder, "model-00002.safetensors", "");
    assert_true(model_hash(folder) != first);
    assert_true(model_hash(weights) != first); /* one file alone, as GGUF */

    /* A file too large to be read whole: its size and its last bytes count. */
    int fd = open(weights, O_RDWR);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)600 << 20) == 0);
    uint64_t large = model_hash(weights);
    assert_int_equal(pwrite(fd, "x", 1, ((off_t)600 << 20) - 1), 1);
    assert_true(model_hash(weights) != large);
    assert_int_equal(pwrite(fd, "", 1, ((off_t)600 << 20) - 1), 1);
    assert_true(model_hash(weights) == large);
    assert_int_equal(ftruncate(fd, ((off_t)600 << 20) + 1), 0);
    assert_true(model_hash(weights) != large);
    close(fd);
    mem_free(weights);
    weights = path_join(folder, "absent");
    uint64_t none;
    assert_int_equal(provenance_model_hash(weights, &none, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "absent"));
    mem_free(weights);
    OK(folder_remove(folder, &error));
    mem_free(folder);
}

/* Paths that depend on the working folder are those of the folder in meta; others stay as they are. */
static void test_paths(void **state) {
    (void)state;
    char *folder = new_folder(), *begun = path_join(folder, "begun"), *run = path_join(folder, "run");
    char *there = path_join(begun, "train.jsonl");
    OK(folder_make(begun, &error));
    put(begun, "train.jsonl", "{}");
    recipe_override set[] = {{"data.train", "train.jsonl", "test"},
                             {"data.dev", "generate:level=1,count=5", "test"},
                             {"data.test", "/absolute/test.jsonl", "test"},
                             {"model.path", "no-such-model", "test"},
                             {"run.out", "runs/x", "test"}};
    recipe *r, *own;
    OK(recipe_load(&r, NULL, set, 5, &error));
    store *s;
    OK(store_open(&s, run, STORE_CREATE, &error));
    OK(store_meta_set(s, "folder", begun, &error));
    store_close(s);
    char *yaml = path_join(run, "recipe.yaml");
    OK(recipe_write(r, yaml, &error));

    OK(provenance_recipe(r, run, PROVENANCE_SAME, &own, &error));
    assert_string_equal(own->data.train, there);
    assert_string_equal(own->data.dev, "generate:level=1,count=5");
    assert_string_equal(own->data.test, "/absolute/test.jsonl");
    assert_non_null(strstr(own->model.path, "/begun/no-such-model"));
    assert_string_equal(own->run.out, "runs/x");
    recipe_free(own);
    OK(provenance_read_recipe(run, &own, &error));
    assert_string_equal(own->data.train, there);
    recipe_free(own);
    OK(provenance_recipe(r, run, PROVENANCE_NEW, &own, &error)); /* a new run */
    assert_string_equal(own->data.train, "train.jsonl");
    recipe_free(own);

    /* Written otherwise, the same file; another file with the same words in it; another number. */
    recipe *other;
    recipe_override more[6];
    memcpy(more, set, sizeof set);
    more[0].value = there;
    OK(recipe_load(&other, NULL, more, 5, &error));
    OK(provenance_recipe(other, run, PROVENANCE_SAME, &own, &error));
    assert_string_equal(own->data.train, there);
    recipe_free(own);
    recipe_free(other);
    put(folder, "copy.jsonl", "{}");
    char *copy = path_join(folder, "copy.jsonl");
    more[0].value = copy;
    OK(recipe_load(&other, NULL, more, 5, &error));
    assert_int_equal(provenance_recipe(other, run, PROVENANCE_SAME, &own, &error), ESP_FAILED);
    assert_null(own);
    assert_non_null(strstr(error.message, "the recipe has changed: data.train"));
    recipe_free(other);
    more[0].value = "train.jsonl";
    more[5] = (recipe_override){"run.seed", "9", "test"};
    OK(recipe_load(&other, NULL, more, 6, &error));
    assert_int_equal(provenance_recipe(other, run, PROVENANCE_SAME, &own, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "run.seed"));
    recipe_free(other);
    recipe_free(r);
    mem_free(copy), mem_free(yaml), mem_free(there), mem_free(run), mem_free(begun);
    OK(folder_remove(folder, &error));
    mem_free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
