/* The recipe: errors name file, line, column and the nearest key; presets, overrides, round trip,
 * differences. */
#include "support.h"

#include "base/file.h"
#include "recipe/convert.h"
#include "search/rules/puct.h"

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
            "r.yaml:2:16: search.simulations must be a whole number from 0 to 1000000, not \"five\"");
    refused("search: {simulations: 1.5}", "r.yaml:1:23: search.simulations must be a whole number");
    refused("search: {simulations: \"5\"}",
            "r.yaml:1:23: search.simulations must be a whole number from 0 to 1000000, not quoted");
    refused("search:\n  simulations: -1\n",
            "r.yaml:2:16: search.simulations must be a whole number from 0 to 1000000, not \"-1\"");
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
    refused("- a\n- b\n", "r.yaml:1:1: expected a map of keys");
    refused("run:\n  seed: 1\n---\nrun:\n  seed: 2\n", "r.yaml:4:1: a second YAML document");
    refused("run: {seed: 1\nsearch:\n", "r.yaml:");
    refused("run:\n\tseed: 1\n", "r.yaml:2:1: found character that cannot start any token");
    refused("run:\n  out: \"a\\0b\"\n", "r.yaml:2:8: run.out holds a zero byte");
    refused("? [a]\n: 1\n", "r.yaml:1:3: a key must be a word");
    refused("search: &s {a: *s}\n", "r.yaml:1:13: unknown key search.a");
    refused("run:\n  out: \xff\xfe\n", "r.yaml: byte ");
    refused("search:\n  max_step_tokens: 500\n  max_chain_tokens: 100\n",
            "r.yaml: search.max_step_tokens (500) is above");
    refused("search: {simulations: 0, root_probe: 0}\n",
            "r.yaml: search: simulations and root_probe are both 0");
    refused("learn: {loss: grpo, nll: 0}\n", "r.yaml: learn.loss grpo compares solutions that were sampled");
    refused("learn: {loss: tree_pg, nll_on: chosen}\n", "r.yaml: learn.nll_on chosen needs a loss on pairs");
}

static int preset_of(const char *name) {
    for (int i = 0; preset_name(i); i++)
        if (strcmp(preset_name(i), name) == 0) return i;
    fail_msg("no preset %s", name);
    return -1;
}

static const puct_options *puct_of(recipe *r) {
    return search_rule_options(&r->search.config);
}

static void overrides_win_and_presets_lose(void **state) {
    (void)state;
    recipe *r = parse("search:\n  breadth: 7\n  preset: paper\nlearn: {beta: 0.3}\n", NULL, 0);
    assert_int_equal(r->search.preset, preset_of("paper"));
    assert_int_equal(r->search.config.limits.simulations, 5);
    assert_int_equal(r->search.config.limits.root_multiplier, 4);
    assert_int_equal(r->search.config.limits.breadth_root, 5);
    assert_int_equal(r->search.config.limits.breadth,
                     7); /* the key beats the preset, though it comes before it */
    assert_int_equal(r->search.step, STEP_FILL);
    assert_float_equal(r->search.config.rewards.cut_reward, 0, 0);
    assert_int_equal(r->learn.reference, RECIPE_PREVIOUS); /* search.preset leaves learn alone */
    recipe_free(r);

    const recipe_override overrides[] = {{"search.preset", "official-code", "--set"},
                                         {"search.breadth", "9", "--breadth"},
                                         {"learn.preset", "paper", "--set"}};
    r = parse("search:\n  breadth: 7\n  preset: paper\n  horizon: 6\nlearn: {beta: 0.3}\n", overrides, 3);
    assert_int_equal(r->search.config.limits.simulations, 64);
    assert_int_equal(r->search.config.limits.breadth, 9);
    assert_int_equal(r->search.config.limits.horizon, 6);
    assert_true(puct_of(r)->root_counts_twice);
    assert_int_equal(r->search.harvest.loser, HARVEST_LOSER_RANDOM_SIBLING);
    assert_int_equal(r->learn.reference, RECIPE_SFT);
    assert_float_equal(((const dpo_options *)recipe_objective_options(r))->beta, 0.3, 0);
    recipe_free(r);

    r = parse("search:\n  preset: paper-literal\n", NULL, 0);
    assert_int_equal(r->search.config.prior.kind, SEARCH_PRIOR_PROBABILITY_OVER_LENGTH);
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
    recipe *r = parse("learn: {loss: dpo, beta: 0.2, penalty: 5e+01}\n", NULL, 0);
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

/* Every default is accepted by its own option; keys and help are there. */
static void table_is_sound(void **state) {
    (void)state;
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    recipe *r = MEM_NEW(recipe);
    options_defaults(table, r);
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
    recipe_free(r);
    arena_free(memory);
}

/* The value that help prints for a key, in brackets at the end of its entry; "" where it prints none. */
static void printed_default(const char *manual, const char *key, char *out, size_t size) {
    char heading[100];
    snprintf(heading, sizeof heading, "%s\n", key);
    const char *entry = strstr(manual, heading);
    if (!entry) fail_msg("help does not list %s", key);
    const char *text = strchr(entry, '\n') + 1, *end = strchr(text, '\n');
    *out = '\0';
    if (end[-1] != ']') return;
    const char *from = end - 1;
    while (*from != '[') from--;
    snprintf(out, size, "%.*s", (int)(end - 2 - from), from + 1);
}

static bool same_value(const char *a, const char *b) {
    char *end_a, *end_b;
    double x = strtod(a, &end_a), y = strtod(b, &end_b);
    if (*a && *b && !*end_a && !*end_b) return x == y;
    return strcmp(a, b) == 0;
}

/* One truth for each default: what help prints is what a recipe has that gives nothing. */
static void help_prints_what_runs(void **state) {
    (void)state;
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    recipe *r = parse("", NULL, 0), *defaults = MEM_NEW(recipe);
    text_buffer manual = {0}, difference = {0};
    options_defaults(table, defaults);
    options_manual(table, NULL, 100000, &manual);
    /* The keys of the task come from data.task, not from their defaults. */
    int differing = recipe_diff(r, defaults, 0, &difference), of_task = 0;
    for (const char *at = difference.at; at && (at = strstr(at, "task.")); at++) of_task++;
    assert_int_equal(differing, of_task);
    int compared = 0;
    for (int i = 0; i < table.count; i++) {
        const option *o = &table.at[i];
        char printed[100];
        text_buffer value = {0};
        if (!option_applies(table, o, r) || strncmp(o->key, "task.", 5) == 0) continue;
        text_puts(&value, "");
        option_get(o, r, &value);
        printed_default(manual.at, o->key, printed, sizeof printed);
        if (!same_value(printed, value.at))
            fail_msg("%s: help says [%s], a recipe has %s", o->key, printed, value.at);
        compared++;
        text_free(&value);
    }
    assert_true(compared > 80);
    assert_non_null(strstr(manual.at, "\n        gumbel: sequential halving"));
    assert_non_null(strstr(manual.at, "\n        dpo: DPO with label smoothing"));
    assert_non_null(strstr(manual.at, "only with learn.loss dpo, ipo, dpop or listwise [0.1]\n"));
    assert_non_null(strstr(manual.at, "\n        paper: arXiv 2405.00451, arithmetic\n"));
    recipe_free(r);
    recipe_free(defaults);
    text_free(&manual);
    text_free(&difference);
    arena_free(memory);
}

/* Every preset resolves, is within the ranges of the search and of the harvest, and reads back from its text.
 */
static void presets_resolve(void **state) {
    (void)state;
    text_buffer difference = {0};
    recipe *plain = parse("", NULL, 0);
    for (int i = 0; preset_name(i); i++) {
        char yaml[200];
        esp_error error = {0};
        text_buffer text = {0};
        snprintf(yaml, sizeof yaml, "search: {preset: %s}\nlearn: {preset: %s}\n", preset_name(i),
                 preset_name(i));
        recipe *r = parse(yaml, NULL, 0);
        assert_int_equal(r->search.preset, i);
        assert_int_equal(search_config_check(&r->search.config, &error), ESP_OK);
        assert_int_equal(harvest_options_check(&r->search.harvest, &error), ESP_OK);
        recipe_text(r, &text);
        recipe *back = parse(text.at, NULL, 0);
        assert_int_equal(recipe_diff(r, back, 0, &difference), 0);
        text_clear(&difference);
        assert_int_equal(recipe_diff(r, plain, 0, &difference) > 2, i != preset_of("default"));
        text_free(&text);
        text_clear(&difference);
        recipe_free(back);
        recipe_free(r);
    }
    assert_int_equal(preset_of("default"), 0);
    recipe_free(plain);
    text_free(&difference);
}

/* What the sources say (docs/method.md 6), in figures that were not copied from the presets: giving a key the
 * source's value changes nothing. */
static void presets_are_their_sources(void **state) {
    (void)state;
    static const struct {
        const char *preset, *keys; /* "key value; ..." */
    } sources[] = {
        {"paper",
         "search.simulations 5; search.root_multiplier 4; search.breadth_root 5; search.breadth 3; "
         "search.horizon "
         "4; search.step fill; search.max_step_tokens 64; search.max_chain_tokens 512; search.prior "
         "length_normalised; search.lambda 1.25; search.c_puct 1; search.gamma 1; search.temperature 1; "
         "search.commit visits_times_spread; search.pairs_from visited; search.loser smallest_q; "
         "search.cut_reward 0; search.right_other_reward 1; search.short_bonus_1 1; search.short_bonus_2 1; "
         "search.unvisited_counts_one false; search.root_counts_twice false; "
         "search.depth_discount_confidence "
         "false; search.smoothing visits; search.smoothing_cap 1; search.min_q_gap 0; search.pairs_at "
         "commitments; search.root_probe 0; search.join_only_child false; search.only_if_right false; "
         "learn.reference sft; learn.loss dpo; learn.beta 0.1; learn.weight 1; learn.nll 0; learn.average 0; "
         "learn.batch 32; learn.batch_of pairs; learn.epochs 1; learn.lr 1e-6; learn.max_length 512"},
        {"paper-literal", "search.prior probability_over_length; search.commit visits_times_spread"},
        {"paper-commonsense", "search.breadth_root 4; search.breadth 2; search.horizon 3; search.simulations "
                              "5; search.root_multiplier "
                              "4; search.commit visits_times_spread"},
        {"official-code",
         "search.simulations 64; search.root_multiplier 4; search.breadth_root 2; search.breadth 2; "
         "search.horizon 3; search.rest_from_depth 3; search.step fill; search.max_step_tokens 128; "
         "search.gold_length_over 2; search.max_chain_tokens 512; search.prior length_normalised; "
         "search.lambda "
         "1.25; search.c_puct 1; search.gamma 1; search.temperature 1; search.commit visits_times_spread; "
         "search.pairs_from all; search.loser random_sibling; search.cut_reward 0; search.right_other_reward "
         "1.25; search.unvisited_counts_one true; search.root_counts_twice true; "
         "search.depth_discount_confidence true; search.gold_injection true; search.smoothing_cap 0.5; "
         "search.max_pairs 8; search.only_if_right true; search.join_only_child true; learn.reference sft; "
         "learn.beta1 0.9; learn.beta2 0.95; learn.weight_decay 0.05; learn.clip 1; learn.schedule cosine; "
         "learn.warmup 0.03; learn.lr 1e-6; learn.batch 64; learn.batch_of problems; learn.epochs 1"},
        {"official-code-commonsense",
         "search.breadth_root 4; search.breadth 2; search.horizon 4; search.rest_from_depth -1; "
         "search.max_step_tokens 32; search.gold_length_over 0; search.gold_injection false; "
         "search.max_steps "
         "16; search.short_bonus_1 0; search.short_bonus_2 0.5; search.commit visits_times_spread; learn.lr "
         "2e-6; learn.warmup 0.2; learn.batch 64; learn.batch_of problems"},
        {"default",
         "search.cut_reward -1; search.commit visits; search.pairs_from visited; search.smoothing_cap "
         "0.5; search.step line; learn.reference previous; learn.batch_of pairs"},
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        char *yaml =
            mem_printf("search: {preset: %s}\nlearn: {preset: %s}\n", sources[i].preset, sources[i].preset);
        recipe *preset = parse(yaml, NULL, 0);
        char *keys = mem_strdup(sources[i].keys), *rest = NULL;
        for (char *one = strtok_r(keys, ";", &rest); one; one = strtok_r(NULL, ";", &rest)) {
            char key[64], value[64];
            text_buffer difference = {0};
            assert_int_equal(sscanf(one, " %63s %63s", key, value), 2);
            recipe *source = parse(yaml, &(recipe_override){key, value, "test"}, 1);
            if (recipe_diff(preset, source, 0, &difference) != 0)
                fail_msg("%s: %s", sources[i].preset, difference.at);
            text_free(&difference);
            recipe_free(source);
        }
        recipe_free(preset);
        mem_free(keys);
        mem_free(yaml);
    }
    recipe *r = parse("search: {preset: official-code-commonsense}\n", NULL, 0);
    assert_true(r->learn.nll == 1 && r->learn.batch == 16); /* search.preset leaves learn alone */
    recipe_free(r);
}

/* Each of these changes what its method needs in the default, and nothing else. */
static void methods_are_the_default_but_for_their_own(void **state) {
    (void)state;
    static const struct {
        const char *name, *differs; /* keys, in the order of the table */
    } methods[] = {
        {"grpo", "search.simulations search.root_probe self_eval.enabled learn.loss learn.batch learn.weight "
                 "learn.nll learn.average"},
        {"rloo", "search.simulations search.root_probe self_eval.enabled learn.loss learn.batch learn.weight "
                 "learn.nll learn.average"},
        {"rft", "search.simulations search.root_probe self_eval.enabled learn.loss"},
        {"tree-advantage", "learn.loss learn.batch learn.weight"},
        {"listwise", "learn.loss"},
        {"ipo", "learn.loss learn.weight"},
        {"simpo", "learn.loss"},
        {"instance-dpo", "learn.pairs"},
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char yaml[200];
        text_buffer difference = {0}, keys = {0};
        snprintf(yaml, sizeof yaml, "search: {preset: %s}\nlearn: {preset: %s}\n", methods[i].name,
                 methods[i].name);
        recipe *r = parse(yaml, NULL, 0), *plain = parse("", NULL, 0);
        recipe_diff(plain, r, 0, &difference);
        for (char *rest = difference.at, *line; (line = strsep(&rest, "\n")) && *line;) {
            char *key = strsep(&line, ":");
            if (strcmp(key, "search.preset") == 0 || strcmp(key, "learn.preset") == 0) continue;
            text_printf(&keys, "%s%s", keys.length ? " " : "", key);
        }
        /* the keys of the loss itself are not compared */
        if (strncmp(keys.at, methods[i].differs, strlen(methods[i].differs)) != 0)
            fail_msg("%s: wanted %s, got %s", methods[i].name, methods[i].differs, keys.at);
        text_free(&difference);
        text_free(&keys);
        recipe_free(r);
        recipe_free(plain);
    }
}

/* A preset chooses a rule and a loss and has values of theirs; where a recipe chooses others, nothing of the
 * preset's reaches them: every key of the other rule, of the other loss, is at its default. */
static void presets_leave_other_choices_alone(void **state) {
    (void)state;
    for (int i = 0; preset_name(i); i++)
        for (int rule = 0; search_rule_at(rule); rule++)
            for (int loss = 0; objective_name(loss); loss++) {
                recipe_override overrides[] = {{"search.rule", search_rule_at(rule)->name, "test"},
                                               {"learn.loss", objective_name(loss), "test"},
                                               {"search.root_probe", "2", "test"}, /* some losses need it */
                                               {"search.preset", preset_name(i), "test"},
                                               {"learn.preset", preset_name(i), "test"}};
                recipe *with = parse("", overrides, 5), *without = parse("", overrides, 3);
                text_buffer a = {0}, b = {0};
                option_table of = search_rule_at(rule)->options;
                bool own = strcmp(search_rule_at(rule)->name, "puct") == 0; /* every preset's */
                for (int k = 0; !own && k < of.count; k++) {
                    option_get(&of.at[k], search_rule_options(&with->search.config), &a);
                    option_get(&of.at[k], search_rule_options(&without->search.config), &b);
                }
                of = objective_at(loss)->options;
                for (int k = 0; strcmp(objective_name(loss), "dpo") != 0 && k < of.count; k++) {
                    option_get(&of.at[k], &with->learn.loss_options, &a);
                    option_get(&of.at[k], &without->learn.loss_options, &b);
                }
                if (a.length > 0) assert_string_equal(a.at, b.at);
                text_free(&a);
                text_free(&b);
                recipe_free(with);
                recipe_free(without);
            }
}

static void keys_reach_their_parts(void **state) {
    (void)state;
    recipe *r = parse("search: {gold_injection: true}\nself_eval: {enabled: false}\nlearn: {loss: dpop, "
                      "penalty: 5, warmup: 0.1, schedule: linear}\n",
                      NULL, 0);
    assert_true(r->search.config.limits.gold_injection && !r->search.config.rewards.judge);
    assert_false(recipe_inference_config(r).limits.gold_injection);
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
    r = parse("search: {rule: gumbel, preset: paper, max_considered: 4}\n", NULL, 0);
    text_buffer text = {0};
    recipe_text(r, &text); /* the keys of the rule that is chosen, and no others */
    assert_non_null(strstr(text.at, "  rule: gumbel\n"));
    assert_non_null(strstr(text.at, "  max_considered: 4\n"));
    assert_non_null(strstr(text.at, "  c_visit: 50\n"));
    assert_null(strstr(text.at, "c_puct"));
    assert_int_equal(r->search.config.limits.breadth_root, 5);
    text_free(&text);
    recipe_free(r);
    refused("search: {rule: gumbel, c_puct: 2}\n",
            "r.yaml:1:32: there is no search.c_puct where search.rule is gumbel");
    refused("search: {max_considered: 2}\n",
            "r.yaml:1:26: there is no search.max_considered where search.rule is");
    refused("search: {rule: best}\n",
            "r.yaml:1:16: search.rule must be one of puct, gumbel, widening, not \"best\"");
    refused("search: {loser: random_sibling}\n", "r.yaml: search: pairs_at is all, which does not go");
}

static void written_recipe_reads_back(void **state) {
    (void)state;
    const recipe_override overrides[] = {{"run.out", "a \"b\": #c\\d\n\té", "--set"},
                                         {"learn.lr", "0.1234567890123456789", "--set"},
                                         {"learn.beta", "3e-7", "--set"},
                                         {"data.dev", "~", "--set"},
                                         {"model.path", "123", "--set"},
                                         {"run.seed", "8999999999999999999", "--set"}};
    recipe *r = parse("search: {preset: paper, gamma: 0.3}\neval: {method: sample}\nlearn: {offline: on}\n",
                      overrides, 6);
    text_buffer text = {0}, again = {0}, difference = {0};
    recipe_text(r, &text);
    recipe *back = parse(text.at, NULL, 0);
    recipe_text(back, &again);
    assert_string_equal(text.at, again.at);
    assert_int_equal(recipe_diff(r, back, 0, &difference), 0);
    assert_string_equal(back->run.out, r->run.out);
    assert_string_equal(back->data.dev, "~");
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
    assert_int_equal(recipe_diff(r, back, 0, &difference), 0);
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
    assert_int_equal(recipe_diff(a, b, 0, &text), 2);
    assert_string_equal(text.at, "search.simulations: 5 there, 8 here\nlearn.lr: 1e-06 there, 2e-06 here\n");
    text_clear(&text);
    assert_int_equal(recipe_diff(a, c, 0, &text),
                     0); /* where a run is kept does not change what it computes */
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

/* task.unknown: two words, or any finite number. */
static void worth_of_what_cannot_be_judged(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int unknown; /* -1: refused */
        double reward;
    } cases[] = {{"skip", ANSWER_SKIP, 0},
                 {"incorrect", ANSWER_INCORRECT, 0},
                 {"-0.25", ANSWER_REWARD, -0.25},
                 {"0", ANSWER_REWARD, 0},
                 {"wrong", -1, 0},
                 {"0.5x", -1, 0},
                 {"nan", -1, 0},
                 {"1e999", -1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        recipe_override o = {"task.unknown", cases[i].text, "--unknown"};
        recipe *r;
        esp_error error = {0};
        esp_status status = recipe_load(&r, NULL, &o, 1, &error);
        assert_int_equal(status == ESP_OK, cases[i].unknown >= 0);
        if (status != ESP_OK) {
            assert_non_null(strstr(error.message, "task.unknown must be skip, incorrect or a number"));
            continue;
        }
        answer_worth worth;
        assert_true(recipe_answer_worth(r, &worth));
        assert_int_equal(worth.unknown, cases[i].unknown);
        assert_true(worth.reward == cases[i].reward);
        recipe_free(r);
    }
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
        cmocka_unit_test(help_prints_what_runs),
        cmocka_unit_test(presets_resolve),
        cmocka_unit_test(presets_are_their_sources),
        cmocka_unit_test(methods_are_the_default_but_for_their_own),
        cmocka_unit_test(presets_leave_other_choices_alone),
        cmocka_unit_test(keys_reach_their_parts),
        cmocka_unit_test(worth_of_what_cannot_be_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
