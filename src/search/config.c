#include "search/config.h"
#include "search/rule.h"

#include <stddef.h>
#include <string.h>

/* The field's type is checked against the option's. */
#define FIELD(c_type, field, name)                                                                           \
    .key = name,                                                                                             \
    .offset = offsetof(search_config, field) + 0 * sizeof(_Generic(((search_config *)0)->field, c_type : 1))
#define INT(part, name)   .type = OPTION_INT, FIELD(int64_t, part.name, #name)
#define FLOAT(part, name) .type = OPTION_FLOAT, FIELD(double, part.name, #name)
#define BOOL(part, name)  .type = OPTION_BOOL, FIELD(bool, part.name, #name)

/* clang-format off */
static const option options[] = {
    {.type = OPTION_ENUM, FIELD(int, rule, "rule"), .choice = search_rule_name, .about = search_rule_about, .flag = "--rule", .initial = "puct", .help = "rule by which the search chooses what to try next and what to commit to"},
    {INT(limits, simulations), .flag = "--simulations", .initial = "1", .low = 0, .high = 1e6, .help = "simulations from each state that the search commits from; 0: the tree is what root_probe samples"},
    {INT(limits, root_multiplier), .flag = "--root-multiplier", .initial = "1", .low = 1, .high = 1e4, .help = "at the problem's own state, this many times as many simulations"},
    {INT(limits, breadth_root), .flag = "--breadth-root", .initial = "2", .low = 1, .high = 1024, .help = "candidate first steps sampled for a problem"},
    {INT(limits, breadth), .flag = "--breadth", .initial = "2", .low = 1, .high = 1024, .help = "candidate next steps sampled at every later state"},
    {INT(limits, root_probe), .flag = "--root-probe", .initial = "1", .low = 0, .high = 1024, .help = "complete solutions sampled before the search, which starts from the tree that they form; if all are correct the problem is done; 0: off"},
    {INT(limits, horizon), .flag = "--horizon", .initial = "8", .low = 1, .high = 1e6, .help = "steps that a simulation may go below the state that the search has committed to"},
    {INT(limits, max_steps), .flag = "--max-steps", .initial = "10", .low = 1, .high = 1e6, .help = "steps of a solution; an unfinished one is cut there"},
    {INT(limits, rest_from_depth), .flag = "--rest-from-depth", .initial = "-1", .low = -1, .high = 1000, .help = "from this depth on, one candidate is sampled to the end of the solution instead of single steps; -1: off"},
    {INT(limits, max_nodes), .flag = "--max-nodes", .initial = "0", .low = 0, .high = 1e9, .help = "nodes of a tree; 0: no limit"},
    {BOOL(limits, gold_injection), .flag = "--gold-injection", .initial = "false", .help = "while the steps follow the reference solution, its next step joins the candidates"},
    {.type = OPTION_ENUM, FIELD(search_prior_kind, prior.kind, "prior"), .choices = "length_normalised|probability_over_length", .flag = "--prior", .initial = "length_normalised", .help = "prior of a step of n tokens: its probability to the power 1 / n^lambda, or its probability divided by n^lambda"},
    {FLOAT(prior, lambda), .flag = "--lambda", .initial = "1", .low = 0, .high = 10, .help = "exponent of the step's length in its prior"},
    {INT(limits, tokens), .flag = "--tree-tokens", .initial = "0", .low = 0, .high = 1e15, .help = "no simulation begins once this many tokens were sampled for a problem, and judged; 0: no limit"},
    {.type = OPTION_ENUM, FIELD(search_value, rewards.value, "value"), .choices = "sum|outcome", .flag = "--value", .initial = "sum", .help = "value of a state: its outcome plus the judge's confidence, or on one scale from -1 to 1 the outcome where it is known and else the confidence"},
    {FLOAT(rewards, cut_reward), .flag = "--cut-reward", .initial = "-1", .low = -10, .high = 10, .help = "reward of a solution that was cut before it ended; a correct one has 1, an incorrect one -1"},
    {FLOAT(rewards, right_other_reward), .initial = "1", .low = 0, .high = 10, .help = "reward of a correct solution whose text is not the reference solution's"},
    {FLOAT(rewards, short_bonus_1), .initial = "1", .low = 0, .high = 10, .help = "factor on a positive reward of a solution of one step"},
    {FLOAT(rewards, short_bonus_2), .initial = "1", .low = 0, .high = 10, .help = "factor on a positive reward of a solution of two steps"},
    {FLOAT(rewards, gamma), .flag = "--gamma", .initial = "1", .low = 0, .high = 1, .help = "discount per step on the value of what follows"},
    {BOOL(rewards, depth_discount_confidence), .initial = "false", .help = "divide the self-evaluation of a step by max(depth of the state before it - 3, 1)"},
};
/* clang-format on */

option_table search_option_table(void) {
    return (option_table){options, (int)(sizeof options / sizeof *options)};
}

bool search_config_reads(const search_config *config) {
    return config->rewards.judge && config->rewards.judge_kind == SEARCH_JUDGE_PROMPT;
}

void *search_rule_options(search_config *config) {
    return &config->rule_options;
}

void search_config_defaults(search_config *config) {
    *config = (search_config){.rewards.judge = true};
    options_defaults(search_option_table(), config);
    options_defaults(search_rule_at(config->rule)->options, &config->rule_options);
}

esp_status search_config_set(search_config *config, const char *key, const char *value, esp_error *error) {
    const option *o = option_by_key(search_option_table(), key);
    if (o && o->choice) {
        ESP_TRY(option_set(o, config, value, error));
        options_defaults(search_rule_at(config->rule)->options, &config->rule_options);
        return ESP_OK;
    }
    if (o) return option_set(o, config, value, error);
    o = option_by_key(search_rule_at(config->rule)->options, key);
    if (o) return option_set(o, &config->rule_options, value, error);
    return error_fail(error, "its options are in the tables of src/search", "the search has no option %s",
                      key);
}

esp_status search_config_check(const search_config *config, esp_error *error) {
    for (int i = 0; i < search_option_table().count; i++) ESP_TRY(option_check(&options[i], config, error));
    const search_rule *rule = search_rule_at(config->rule);
    for (int i = 0; i < rule->options.count; i++)
        ESP_TRY(option_check(&rule->options.at[i], &config->rule_options, error));
    bool by_policy = config->rewards.judge && config->rewards.judge_kind == SEARCH_JUDGE_NEXT_TOKEN;
    if (by_policy && config->limits.gold_injection)
        return error_fail(error, "set self_eval.kind to prompt, or gold_injection to false",
                          "gold_injection adds steps that were not sampled, which self_eval.kind next_token "
                          "cannot judge");
    if (config->limits.simulations == 0 && config->limits.root_probe == 0)
        return error_fail(error, "set simulations to at least 1, or root_probe",
                          "simulations and root_probe are both 0: nothing would be sampled");
    return ESP_OK;
}
