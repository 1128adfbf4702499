/* The recipe: errors name file, line, column and the nearest key; presets, overrides, round trip,
 * differences. */
#include "support.h"

#include "base/file.h"
#include "recipe/recipe_parts.h"

#include <glob.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static recipe *parse(const char *yaml, const recipe_override *overrides, int n) {
    recipe *r;
    esp_error error = {0};
    if (recipe_parse(&r, "r.yaml", yaml, strlen(yaml), overrides, n, &error) != ESP_OK)
        fail_msg("%s", error.message);
    return r;
}

static void refused(const char *yaml, const char *expected) {
    recipe *r;
    esp_error error = {0};
    assert_int_equal(recipe_parse(&r, "r.yaml", yaml, strlen(yaml), NULL, 0, &error), ESP_FAILED);
    assert_null(r);
    if (strncmp(error.message, expected, strlen(expected)) != 0)
        fail_msg("for\n%s\nwanted: %s\ngot:    %s", yaml, expected, error.message);
    assert_true(error.hint[0]);
}

static void errors_name_place_and_nearest(void **state) {
    (void)state;
    refused("run:\n  seed: 3\nsearch:\n  simulatoins: 5\n",
            "r.yaml:4:3: unknown key search.simulatoins (did you mean search.simulations?)");
    refused("learn:\n  simulations: 5\n",
            "r.yaml:2:3: unknown key learn.simulations (did you mean search.simulations?)");
    refused("serach:\n  horizon: 5\n", "r.yaml:1:1: unknown key serach");
    refused("search:\n  qqqqqqqqqqqqqqqq: 5\n", "r.yaml:2:3: unknown key search.qqqqqqqqqqqqqqqq");
    refused("search:\n  simulations: five\n",
            "r.yaml:2:16: search.simulations must be a whole number from 1 to 1000000, not \"five\"");
    refused("search: {simulations: 1.5}", "r.yaml:1:23: search.simulations must be a whole number");
    refused("search: {simulations: \"5\"}",
            "r.yaml:1:23: search.simulations must be a whole number from 1 to 1000000, not quoted");
    refused("search:\n  simulations: 0\n",
            "r.yaml:2:16: search.simulations must be a whole number from 1 to 1000000, not \"0\"");
    refused("search:\n  simulations: 99999999999999999999\n", "r.yaml:2:16: search.simulations must be");
    refused("search:\n  temperature: 0\n",
            "r.yaml:2:16: search.temperature must be a number above 0 up to 10, not \"0\"");
    refused("learn:\n  lr: .inf\n", "r.yaml:2:7: learn.lr must be a number from 0 to 1");
    refused("learn:\n  lr: nan\n", "r.yaml:2:7: learn.lr must be a number");
    refused("learn:\n  lr:\n", "r.yaml:2:3: learn.lr has no value");
    refused("learn:\n  lr: [1, 2]\n", "r.yaml:2:7: learn.lr must be a number from 0 to 1, not a list");
    refused("learn:\n  offline: maybe\n", "r.yaml:2:12: learn.offline must be true or false, not \"maybe\"");
    refused("model:\n  dtype: fp16\n", "r.yaml:2:10: model.dtype must be one of bf16, f32, not \"fp16\"");
    refused("model:\n  dtype: bf1\n", "r.yaml:2:10: model.dtype must be one of bf16, f32, not \"bf1\"");
    refused("run:\n  seed: 1\n  seed: 2\n", "r.yaml:3:3: the key run.seed is given twice (first on line 2)");
    refused("run:\n  seed: 1\nrun:\n  wave: 2\n", "r.yaml:3:1: the key run is given twice (first on line 1)");
    refused("run:\n  seed: 1\nrun.seed: 2\n",
            "r.yaml:3:1: the key run.seed is given twice (first at r.yaml:2:9)");
    refused("run: 5\n", "r.yaml:1:6: run is a group of keys");
    refused("- a\n- b\n", "r.yaml:1:1: a recipe is a map of keys");
    refused("run:\n  seed: 1\n---\nrun:\n  seed: 2\n", "r.yaml:4:1: a second YAML document");
    refused("run: {seed: 1\nsearch:\n", "r.yaml:");
    refused("run:\n\tseed: 1\n", "r.yaml:2:1: found character that cannot start any token");
    refused("run:\n  out: \"a\\0b\"\n", "r.yaml:2:8: run.out holds a zero byte");
    refused("? [a]\n: 1\n", "r.yaml:1:3: a key must be a word");
    refused("search: &s {a: *s}\n", "r.yaml:1:13: unknown key search.a");
    refused("run:\n  out: \xff\xfe\n", "r.yaml: byte ");
    refused("search:\n  max_step_tokens: 500\n  max_chain_tokens: 100\n",
            "r.yaml: search.max_step_tokens (500) is above");
}

static void overrides_win_and_presets_lose(void **state) {
    (void)state;
    recipe *r = parse("search:\n  breadth: 7\n  preset: paper\nlearn: {beta: 0.3}\n", NULL, 0);
    assert_int_equal(r->search.preset, RECIPE_PAPER);
    assert_int_equal(r->search.simulations, 5);
    assert_int_equal(r->search.root_multiplier, 4);
    assert_int_equal(r->search.breadth_root, 5);
    assert_int_equal(r->search.breadth, 7); /* the key beats the preset, though it stands before it */
    assert_int_equal(r->search.step, SEARCH_STEP_FILL);
    assert_float_equal(r->search.cut_reward, 0, 0);
    assert_int_equal(r->learn.reference, RECIPE_PREVIOUS); /* search.preset leaves learn alone */
    recipe_free(r);

    const recipe_override overrides[] = {{"search.preset", "official-code", "--set"},
                                         {"search.breadth", "9", "--breadth"},
                                         {"learn.preset", "paper", "--set"}};
    r = parse("search:\n  breadth: 7\n  preset: paper\n  horizon: 6\nlearn: {beta: 0.3}\n", overrides, 3);
    assert_int_equal(r->search.simulations, 64);
    assert_int_equal(r->search.breadth, 9);
    assert_int_equal(r->search.horizon, 6);
    assert_true(r->search.root_counts_twice);
    assert_int_equal(r->search.loser, SEARCH_LOSER_RANDOM_SIBLING);
    assert_int_equal(r->learn.reference, RECIPE_SFT);
    assert_float_equal(((const dpo_options *)recipe_objective_options(r))->beta, 0.3, 0);
    recipe_free(r);

    r = parse("search:\n  preset: paper-literal\n", NULL, 0);
    assert_int_equal(r->search.prior, SEARCH_PRIOR_PROBABILITY_OVER_LENGTH);
    recipe_free(r);

    esp_error error = {0};
    const recipe_override wrong = {"search.breadht", "9", "--set"};
    assert_int_equal(recipe_parse(&r, "r.yaml", "", 0, &wrong, 1, &error), ESP_FAILED);
    assert_string_equal(error.message, "--set: unknown key search.breadht (did you mean search.breadth?)");
    const recipe_override range = {"search.breadth", "0", "--breadth"};
    assert_int_equal(recipe_parse(&r, "r.yaml", "", 0, &range, 1, &error), ESP_FAILED);
    assert_string_equal(error.message,
                        "--breadth: search.breadth must be a whole number from 1 to 1024, not \"0\"");
}

/* A key of another loss is an error, but for its default: recipes that earlier versions resolved have the
 * keys of all losses. */
static void keys_of_other_losses(void **state) {
    (void)state;
    recipe *r = parse("learn: {loss: dpo, beta: 0.2, penalty: 50}\n", NULL, 0);
    assert_string_equal(recipe_objective(r)->name, "dpo");
    assert_true(((const dpo_options *)recipe_objective_options(r))->beta == 0.2);
    text_buffer text = {0};
    recipe_text(r, &text);
    assert_non_null(strstr(text.at, "  beta: 0.2\n"));
    assert_null(strstr(text.at, "penalty"));
    text_free(&text);
    recipe_free(r);
    r = parse("learn: {beta: 0.1, loss: rft}\n", NULL, 0);
    assert_string_equal(recipe_objective(r)->name, "rft");
    recipe_free(r);
    refused("learn:\n  penalty: 5\n", "r.yaml:2:12: there is no learn.penalty where learn.loss is dpo");
    refused("learn:\n  loss: dop\n", "r.yaml:2:9: learn.loss must be one of dpo, ipo, rft, dpop");
}

/* Every default and every value of every preset is accepted by its own option; keys and help are there. */
static void table_is_sound(void **state) {
    (void)state;
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    recipe *r = recipe_new();
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        esp_error error = {0};
        assert_non_null(o->help);
        if (!o->chooser) assert_ptr_equal(option_by_key(table, o->key), o);
        if (o->type == OPTION_INT || o->type == OPTION_FLOAT) assert_true(o->high > o->low);
        if (o->type != OPTION_STRING && o->type != OPTION_PATH &&
            option_set(o, r, o->initial, &error) != ESP_OK)
            fail_msg("%s: %s", o->key, error.message);
        if (o->flag) assert_true(strncmp(o->flag, "--", 2) == 0);
    }
    for (int preset = 0; preset < RECIPE_PRESETS; preset++) {
        for (const recipe_preset_value *v = recipe_learn_preset((recipe_preset)preset); v->key; v++) {
            esp_error error = {0};
            const option *o = option_by_key(table, v->key);
            if (!o) fail_msg("a preset names %s", v->key);
            if (option_set(o, r, v->value, &error) != ESP_OK) fail_msg("%s", error.message);
        }
    }
    recipe_free(r);
    arena_free(memory);
}

static void text_of_search(const recipe *r, text_buffer *out) {
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    text_clear(out);
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        if (strncmp(o->key, "search.", 7) != 0 || strcmp(o->key, "search.preset") == 0) continue;
        text_printf(out, "%s ", o->key);
        option_get(o, r, out);
    }
    arena_free(memory);
}

/* A preset reaches the search's configuration through the recipe unchanged, by its name, and is within its
 * ranges; the table's defaults are the default preset. */
static void presets_are_those_of_the_search(void **state) {
    (void)state;
    text_buffer plain = {0}, preset_text = {0}, difference = {0};
    recipe *defaults = recipe_new();
    text_of_search(defaults, &plain);
    for (int i = 0; i < RECIPE_PRESETS; i++) {
        const search_preset *preset = search_preset_at(i);
        assert_non_null(preset);
        char yaml[100];
        snprintf(yaml, sizeof yaml, "search:\n  preset: %s\n", preset->name);
        recipe *r = parse(yaml, NULL, 0);
        assert_int_equal(r->search.preset, i);
        search_config config = recipe_search_config(r), expected = preset->config;
        /* field by field: padding may differ */
        recipe *again = parse("", NULL, 0); /* learn's default preset is in both */
        search_preset round = *preset;
        round.config = config;
        recipe_use_search_preset(again, &round);
        again->search.preset = r->search.preset;
        assert_int_equal(recipe_diff(r, again, &difference), 0);
        assert_int_equal(config.judge, expected.judge);
        assert_true(config.right_reward == expected.right_reward &&
                    config.wrong_reward == expected.wrong_reward);
        assert_true(config.simulations == expected.simulations && config.max_steps == expected.max_steps);
        esp_error error = {0};
        assert_int_equal(search_config_check(&config, &error), ESP_OK);
        text_buffer text = {0};
        recipe_text(r, &text);
        recipe *back = parse(text.at, NULL, 0); /* every value is in its range */
        assert_int_equal(recipe_diff(r, back, &difference), 0);
        text_of_search(r, &preset_text);
        if (i == RECIPE_DEFAULT)
            assert_string_equal(preset_text.at, plain.at);
        else
            assert_string_not_equal(preset_text.at, plain.at);
        text_free(&text);
        recipe_free(back);
        recipe_free(again);
        recipe_free(r);
    }
    assert_null(search_preset_at(RECIPE_PRESETS));
    recipe *r = parse("search: {gold_injection: true}\nself_eval: {enabled: false}\nlearn: {loss: dpop, "
                      "penalty: 5, warmup: 0.1, schedule: linear}\n",
                      NULL, 0);
    assert_true(recipe_search_config(r).gold_injection && !recipe_search_config(r).judge);
    assert_false(recipe_inference_config(r).gold_injection);
    recipe_terms terms;
    recipe_terms_read(r, true, &terms);
    assert_string_equal(terms.loss.of->name, "dpop");
    text_buffer penalty = {0};
    option_get(option_by_key(terms.loss.of->options, "penalty"), terms.loss.options, &penalty);
    assert_string_equal(penalty.at, "5");
    text_free(&penalty);
    schedule rates = recipe_learn_schedule(r, 50);
    assert_int_equal(rates.kind, SCHEDULE_LINEAR);
    assert_int_equal(rates.warmup_steps, 5);
    assert_true(recipe_learn_settings(r).weight_decay == 0.05 && recipe_sft_settings(r).weight_decay == 0);
    recipe_free(r);
    recipe_free(defaults);
    text_free(&plain);
    text_free(&preset_text);
    text_free(&difference);
}

static void written_recipe_reads_back(void **state) {
    (void)state;
    const recipe_override overrides[] = {{"run.out", "a \"b\": #c\\d\n\té", "--set"},
                                         {"learn.lr", "0.1234567890123456789", "--set"},
                                         {"learn.beta", "3e-7", "--set"},
                                         {"data.task", "~", "--set"},
                                         {"model.path", "123", "--set"},
                                         {"run.seed", "8999999999999999999", "--set"}};
    recipe *r = parse("search: {preset: paper, gamma: 0.3}\neval: {method: sample}\nlearn: {offline: on}\n",
                      overrides, 6);
    text_buffer text = {0}, again = {0}, difference = {0};
    recipe_text(r, &text);
    recipe *back = parse(text.at, NULL, 0);
    recipe_text(back, &again);
    assert_string_equal(text.at, again.at);
    assert_int_equal(recipe_diff(r, back, &difference), 0);
    assert_string_equal(back->run.out, r->run.out);
    assert_string_equal(back->data.task, "~");
    assert_true(back->learn.lr == 0.1234567890123456789);
    assert_int_equal(back->run.seed, INT64_C(8999999999999999999));
    assert_int_equal(back->eval.method, RECIPE_SAMPLE);
    recipe_free(back);

    const char *base = getenv("TMPDIR");
    char *folder = path_join(base && *base ? base : P_tmpdir, "espalier-recipe-XXXXXX");
    assert_non_null(mkdtemp(folder));
    char *path = path_join(folder, "recipe.yaml");
    esp_error error = {0};
    assert_int_equal(recipe_write(r, path, &error), ESP_OK);
    assert_int_equal(recipe_load(&back, path, NULL, 0, &error), ESP_OK);
    assert_int_equal(recipe_diff(r, back, &difference), 0);
    mem_free(path);
    assert_int_equal(folder_remove(folder, &error), ESP_OK);
    mem_free(folder);
    recipe_free(back);
    recipe_free(r);
    text_free(&text);
    text_free(&again);
}

static void differences_are_named(void **state) {
    (void)state;
    recipe *a = parse("run: {out: x}\nsearch: {simulations: 5}\nlearn: {lr: 1e-6}\n", NULL, 0);
    recipe *b = parse("run: {out: y}\nsearch: {simulations: 8}\nlearn: {lr: 2e-6}\n", NULL, 0);
    recipe *c = parse("run: {out: z, checkpoint_every: 7}\nsearch: {simulations: 5}\nlearn: {lr: 0.000001}\n",
                      NULL, 0);
    text_buffer text = {0};
    assert_int_equal(recipe_diff(a, b, &text), 2);
    assert_string_equal(text.at, "search.simulations: 5 there, 8 here\nlearn.lr: 1e-06 there, 2e-06 here\n");
    text_clear(&text);
    assert_int_equal(recipe_diff(a, c, &text), 0); /* where a run is kept does not change what it computes */
    text_free(&text);
    recipe_free(a);
    recipe_free(b);
    recipe_free(c);
}

/* What the project ships is sound, and names the files it needs. */
static void shipped_recipes_load(void **state) {
    (void)state;
    glob_t found;
    assert_int_equal(glob(ESPALIER_SOURCE_DIR "/recipes/*.yaml", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 2);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        recipe *r;
        esp_error error = {0};
        if (recipe_load(&r, found.gl_pathv[i], NULL, 0, &error) != ESP_OK) fail_msg("%s", error.message);
        assert_true(*r->model.path && *r->data.train && *r->data.test && *r->run.out);
        recipe_free(r);
    }
    globfree(&found);
}

static void small_things(void **state) {
    (void)state;
    recipe *r = parse("# nothing but a comment\n", NULL, 0);
    assert_string_equal(r->data.task, "gsm8k");
    assert_string_equal(r->model.path, "");
    recipe_free(r);
    r = parse("search:\nrun:\n  seed: 5 # why not\n", NULL, 0);
    assert_int_equal(r->run.seed, 5);
    recipe_free(r);
    esp_error error = {0};
    char *key, *value;
    assert_int_equal(recipe_split_set("a.b=c=d", &key, &value, &error), ESP_OK);
    assert_string_equal(key, "a.b");
    assert_string_equal(value, "c=d");
    mem_free(key);
    mem_free(value);
    assert_int_equal(recipe_split_set("=v", &key, &value, &error), ESP_USAGE);
    assert_int_equal(recipe_split_set("novalue", &key, &value, &error), ESP_USAGE);
    text_buffer manual = {0};
    arena *memory = arena_new();
    options_manual(recipe_options(memory), "sft eval", 80, &manual);
    arena_free(memory);
    assert_non_null(strstr(manual.at, "--epochs, sft.epochs"));
    assert_null(strstr(manual.at, "learn.beta"));
    for (char *line = manual.at, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        assert_true(end - line <= 80);
    text_free(&manual);
    static const char *const names[] = {"--simulations", "--seed", "--out"};
    assert_string_equal(name_nearest(names, 3, "--sede"), "--seed");
    assert_null(name_nearest(names, 3, "--completely-else"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_name_place_and_nearest),
        cmocka_unit_test(overrides_win_and_presets_lose),
        cmocka_unit_test(keys_of_other_losses),
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(written_recipe_reads_back),
        cmocka_unit_test(differences_are_named),
        cmocka_unit_test(small_things),
        cmocka_unit_test(shipped_recipes_load),
        cmocka_unit_test(presets_are_those_of_the_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
