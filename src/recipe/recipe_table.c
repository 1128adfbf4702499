/* The table of recipe keys: what each is called, its flag, its type and range, its default, and a line of
 * help. */
#include "learn/objective.h"
#include "recipe/recipe.h"

#include <assert.h>
#include <math.h>

/* The field's type is checked against the option's. */
#define FIELD(c_type, group, name)                                                                           \
    .key = #name,                                                                                            \
    .offset = offsetof(recipe, group.name) + 0 * sizeof(_Generic(((recipe *)0)->group.name, c_type : 1))
#define INT(group, name)                 .type = OPTION_INT, FIELD(int64_t, group, name)
#define FLOAT(group, name)               .type = OPTION_FLOAT, FIELD(double, group, name)
#define BOOL(group, name)                .type = OPTION_BOOL, FIELD(bool, group, name)
#define TEXT(group, name)                .type = OPTION_STRING, FIELD(char *, group, name)
#define PATH(group, name)                .type = OPTION_PATH, FIELD(char *, group, name)
#define ENUM(group, name, c_type, names) .type = OPTION_ENUM, .choices = names, FIELD(c_type, group, name)

/* Names by a function: the rows of another module's table. */
#define CHOICE(group, name, names) .type = OPTION_ENUM, .choice = names, FIELD(int, group, name)

#define PRESETS   "default|paper|paper-literal|paper-commonsense|official-code|official-code-commonsense"
#define SCHEDULES "constant|linear|cosine"

/* clang-format off */
static const option run_options[] = {
    {INT(run, seed), .flag = "--seed", .initial = "1", .low = 0, .high = 9e18, .help = "seed of all random numbers"},
    {PATH(run, out), .flag = "--out", .marks = OPTION_FREE, .help = "folder of the run; empty: runs/ and the recipe's name"},
    {INT(run, iterations), .flag = "--iterations", .initial = "1", .low = 0, .high = 1e6, .help = "rounds of search and learning"},
    {INT(run, problems_per_iteration), .flag = "--problems", .initial = "256", .low = 1, .high = 1e9, .help = "problems searched in an iteration (B)"},
    {INT(run, tokens_per_iteration), .initial = "0", .low = 0, .high = 1e15, .help = "an iteration's search ends with the wave in which so many tokens were sampled and judged; 0: no limit"},
    {INT(run, wave), .flag = "--wave", .initial = "32", .low = 1, .high = 65536, .help = "problems searched side by side and committed together; a kill loses at most the wave in hand"},
    {INT(run, eval_every), .flag = "--eval-every", .initial = "1", .low = 0, .high = 1e6, .help = "iterations between evaluations; 0: only before the first and after the last"},
    {INT(run, checkpoint_every), .flag = "--checkpoint-every", .initial = "0", .low = 0, .high = 1e9, .marks = OPTION_FREE, .help = "updates between checkpoints; 0: only at the end of a phase"},
    {INT(run, threads), .flag = "--threads", .initial = "0", .low = 0, .high = 4096, .help = "threads of the compute layer; 0: one a core"},
};

static const option model_options[] = {
    {PATH(model, path), .flag = "--model", .help = "folder in Hugging Face layout, or a GGUF file"},
    {ENUM(model, init, recipe_init, "file|random"), .initial = "file", .help = "weights as they lie in model.path, or new random ones (then only its configuration and tokenizer are read)"},
    {ENUM(model, dtype, recipe_dtype, "bf16|f32"), .flag = "--dtype", .initial = "bf16", .help = "numbers that matrices are multiplied in"},
    {ENUM(model, compute, recipe_compute, "cpu|ref"), .flag = "--compute", .initial = "cpu", .help = "fused kernels and oneDNN, or plain loops to check them by"},
    {ENUM(model, chat_template, recipe_template, "auto|chatml|llama2|mistral|plain"), .flag = "--chat-template", .initial = "auto", .help = "how a question becomes a prompt; auto: recognised from the model's files"},
    {INT(model, context), .flag = "--context", .initial = "0", .low = 0, .high = 1e7, .help = "tokens of context; 0: the model's own"},
    {BOOL(model, recompute), .flag = "--recompute", .initial = "false", .marks = OPTION_FREE, .help = "training keeps each layer's input alone and computes the rest again: less memory, more time, the same bits"},
};

static const option data_options[] = {
    {TEXT(data, task), .flag = "--task", .initial = "gsm8k", .help = "task: the form of its files, its prompt, its grader"},
    {PATH(data, train), .flag = "--train", .help = "problems to search and to learn from (JSONL, plain or .gz)"},
    {PATH(data, test), .flag = "--test", .help = "problems to evaluate on"},
    {PATH(data, dev), .flag = "--dev", .help = "problems to choose settings on"},
    {INT(data, train_limit), .flag = "--train-limit", .initial = "0", .low = 0, .high = 1e9, .help = "problems taken from train; 0: all"},
    {INT(data, test_limit), .flag = "--test-limit", .initial = "0", .low = 0, .high = 1e9, .help = "problems taken from test; 0: all"},
    {INT(data, dev_limit), .flag = "--dev-limit", .initial = "0", .low = 0, .high = 1e9, .help = "problems taken from dev; 0: all"},
    {INT(data, dev_from_train), .initial = "0", .low = 0, .high = 1e9, .help = "problems at the end of train that are set apart as dev, where there is no dev file"},
};

static const option sft_options[] = {
    {INT(sft, epochs), .flag = "--epochs", .initial = "0", .low = 0, .high = 1000, .help = "passes of supervised fine-tuning over the gold rationales; 0: none"},
    {FLOAT(sft, lr), .flag = "--lr", .initial = "2e-5", .low = 0, .high = 1, .help = "learning rate"},
    {INT(sft, batch), .flag = "--batch", .initial = "32", .low = 1, .high = 1e6, .help = "rows an update"},
    {ENUM(sft, schedule, schedule_kind, SCHEDULES), .initial = "cosine", .help = "how the learning rate falls after the warm-up"},
    {FLOAT(sft, warmup), .initial = "0.03", .low = 0, .high = 1, .help = "share of the updates in which the learning rate rises"},
    {INT(sft, max_length), .initial = "512", .low = 8, .high = 1e7, .help = "tokens of a row; longer rows are left out and counted"},
    {FLOAT(sft, weight_decay), .flag = "--weight-decay", .initial = "0", .low = 0, .high = 10, .help = "AdamW's decay of matrices"},
    {FLOAT(sft, beta1), .initial = "0.9", .low = 0, .high = 0.9999999, .help = "AdamW's first moment"},
    {FLOAT(sft, beta2), .initial = "0.95", .low = 0, .high = 0.9999999, .help = "AdamW's second moment"},
    {FLOAT(sft, eps), .initial = "1e-8", .low = 0, .high = 1, .marks = OPTION_ABOVE_LOW, .help = "AdamW's epsilon"},
    {FLOAT(sft, clip), .flag = "--clip", .initial = "1", .low = 0, .high = 1e9, .help = "largest gradient norm; 0: no clipping"},
    {INT(sft, tokens_per_microbatch), .initial = "1024", .low = 64, .high = 1e8, .help = "tokens computed at a time; bounds memory, does not change the result's meaning"},
    {FLOAT(sft, judge_examples), .initial = "0", .low = 0, .high = 10, .help = "judge rows for each problem: right and wrong chains that teach self-evaluation"},
    {ENUM(sft, judge_source, recipe_judge_source, "corrupted|own"), .initial = "corrupted", .help = "wrong chains of the judge rows: gold rationales with a mistake put in, or right and wrong chains that the model at model.path samples itself"},
    {INT(sft, judge_chains), .initial = "4", .low = 1, .high = 4096, .help = "own: chains sampled a problem, at search.temperature"},
    {INT(sft, judge_limit), .initial = "0", .low = 0, .high = 1e9, .help = "own: problems that are sampled on, those behind the rationales' (sft.limit); 0: the rationales' own problems"},
    {FLOAT(sft, rationale_examples), .initial = "1", .low = 0, .high = 1, .help = "share of the gold rationales that are taught; 0: judge rows alone"},
    {INT(sft, limit), .flag = "--limit", .initial = "0", .low = 0, .high = 1e9, .help = "rationales taken; 0: all"},
};

static const option search_options[] = {
    {ENUM(search, preset, recipe_preset, PRESETS), .flag = "--preset", .initial = "default", .help = "values for all other search keys that are not given"},
    {INT(search, simulations), .flag = "--simulations", .initial = "1", .low = 1, .high = 1e6, .help = "simulations from each state that is committed from (K)"},
    {INT(search, root_multiplier), .flag = "--root-multiplier", .initial = "1", .low = 1, .high = 1e4, .help = "times as many simulations at depth 0"},
    {INT(search, breadth_root), .flag = "--breadth-root", .initial = "2", .low = 1, .high = 1024, .help = "candidates sampled below the root (b1)"},
    {INT(search, breadth), .flag = "--breadth", .initial = "2", .low = 1, .high = 1024, .help = "candidates sampled below other states (b2)"},
    {INT(search, root_probe), .flag = "--root-probe", .initial = "1", .low = 0, .high = 1024, .help = "whole chains sampled from the root before the simulations, joined into the tree by their common steps; where all are right, the problem is done; 0: off"},
    {INT(search, horizon), .flag = "--horizon", .initial = "8", .low = 1, .high = 1000, .help = "steps a simulation goes below the current root (d)"},
    {INT(search, max_steps), .flag = "--max-steps", .initial = "10", .low = 1, .high = 1000, .help = "steps of a chain; an unfinished one is cut"},
    {INT(search, max_step_tokens), .flag = "--max-step-tokens", .initial = "64", .low = 1, .high = 1e6, .help = "tokens of a step"},
    {INT(search, max_chain_tokens), .flag = "--max-chain-tokens", .initial = "640", .low = 1, .high = 1e6, .help = "tokens of a chain; an unfinished one is cut"},
    {INT(search, gold_length_over), .initial = "0", .low = 0, .high = 1000, .help = "a step has at most gold length / this tokens as well; 0: off"},
    {FLOAT(search, temperature), .flag = "--search-temperature", .initial = "1", .low = 0, .high = 10, .marks = OPTION_ABOVE_LOW, .help = "temperature that candidates are sampled at"},
    {ENUM(search, step, search_step_mode, "line|fill"), .flag = "--step", .initial = "line", .help = "a step is one line or sentence, or as many whole ones as fit in max_step_tokens"},
    {ENUM(search, prior, search_prior_kind, "length_normalised|probability_over_length"), .flag = "--prior", .initial = "length_normalised", .help = "prior of a candidate (METHOD 2.2)"},
    {FLOAT(search, lambda), .flag = "--lambda", .initial = "1", .low = 0, .high = 10, .help = "exponent of the length in the prior"},
    {FLOAT(search, c_puct), .flag = "--c-puct", .initial = "1", .low = 0, .high = 1e6, .help = "weight of exploration in the choice of a child (METHOD 2.1)"},
    {FLOAT(search, gamma), .flag = "--gamma", .initial = "1", .low = 0, .high = 1, .help = "discount a step (METHOD 2.6)"},
    {ENUM(search, commit, search_commit_kind, "visits|visits_times_spread|q"), .flag = "--commit", .initial = "visits", .help = "which child is committed to (METHOD 2.7)"},
    {ENUM(search, pairs_from, search_pairs_kind, "visited|all"), .flag = "--pairs-from", .initial = "visited", .help = "children that a pair may be read from (METHOD 4.1)"},
    {ENUM(search, pairs_at, search_pairs_at_kind, "commitments|all"), .flag = "--pairs-at", .initial = "all", .help = "where pairs are read: a pair a commitment, or in the finished tree each losing step of every visited state (METHOD 4.1)"},
    {ENUM(search, smoothing, search_smoothing_kind, "visits|evidence"), .flag = "--smoothing", .initial = "evidence", .help = "label smoothing from visits (METHOD 4.2), or the posterior chance that the order is wrong from the right and wrong chains below the two steps"},
    {ENUM(search, loser, search_loser_kind, "smallest_q|random_sibling"), .flag = "--loser", .initial = "smallest_q", .help = "which child is a pair's rejected step (METHOD 4.1)"},
    {FLOAT(search, cut_reward), .flag = "--cut-reward", .initial = "-1", .low = -10, .high = 10, .help = "outcome of a chain that was cut unfinished"},
    {FLOAT(search, right_other_reward), .initial = "1", .low = 0, .high = 10, .help = "outcome of a right chain whose text is not the gold rationale"},
    {FLOAT(search, short_bonus_1), .initial = "1", .low = 0, .high = 10, .help = "factor on a positive outcome at depth 1"},
    {FLOAT(search, short_bonus_2), .initial = "1", .low = 0, .high = 10, .help = "factor on a positive outcome at depth 2"},
    {FLOAT(search, smoothing_cap), .flag = "--smoothing-cap", .initial = "0.5", .low = 0, .high = 1, .help = "largest label smoothing of a pair (METHOD 4.2)"},
    {FLOAT(search, min_q_gap), .flag = "--min-q-gap", .initial = "0.3", .low = 0, .high = 100, .help = "no pair unless the values of its steps differ by more"},
    {INT(search, rest_from_depth), .flag = "--rest-from-depth", .initial = "-1", .low = -1, .high = 1000, .help = "from this depth on, one candidate that runs to the end of the chain; -1: off"},
    {INT(search, max_pairs), .flag = "--max-pairs", .initial = "0", .low = 0, .high = 1e6, .help = "pairs of a problem, the first ones, or with pairs_at all those of least doubt; 0: all"},
    {BOOL(search, only_if_right), .initial = "false", .help = "no pairs unless the last step's best child is right"},
    {BOOL(search, join_only_child), .initial = "false", .help = "a committed only child is joined to both steps of the pair before it"},
    {BOOL(search, depth_discount_confidence), .initial = "false", .help = "self-evaluation is divided by max(parent depth - 3, 1)"},
    {BOOL(search, unvisited_counts_one), .initial = "false", .help = "in a state's value an unvisited child weighs as one visit (METHOD 2.8)"},
    {BOOL(search, root_counts_twice), .initial = "false", .help = "the current root's visits rise by two a simulation (METHOD 2.8)"},
    {BOOL(search, gold_injection), .flag = "--gold-injection", .initial = "false", .help = "the gold rationale's next step joins the candidates while the path is gold"},
    {INT(search, max_nodes), .flag = "--max-nodes", .initial = "0", .low = 0, .high = 1e9, .help = "nodes of a tree; 0: no limit"},
};

static const option self_eval_options[] = {
    {BOOL(self_eval, enabled), .flag = "--self-eval", .initial = "true", .help = "the policy judges its own steps (METHOD 3); off: C = 0"},
    {ENUM(self_eval, example, recipe_example, "none|gold"), .flag = "--self-eval-example", .initial = "gold", .help = "what the judge is shown as an example answer; nothing gold is shown at evaluation"},
};

static const option learn_options[] = {
    {ENUM(learn, preset, recipe_preset, PRESETS), .flag = "--learn-preset", .initial = "default", .help = "values for all other learn keys that are not given; default: nll 1 on right_chains, weight 0.1, average 0.95, batch 16, epochs 4, else what is in brackets"},
    {CHOICE(learn, loss, objective_name), .flag = "--loss", .initial = "dpo", .help = "what is minimised (docs/method.md 5); rft: fine-tuning on own right chains"},
    {FLOAT(learn, lr), .flag = "--lr", .initial = "1e-6", .low = 0, .high = 1, .help = "learning rate"},
    {INT(learn, batch), .flag = "--batch", .initial = "32", .low = 1, .high = 1e6, .help = "pairs an update"},
    {INT(learn, epochs), .flag = "--epochs", .initial = "1", .low = 0, .high = 1000, .help = "passes over an iteration's pairs; 0: search and evaluate only"},
    {INT(learn, steps), .flag = "--steps", .initial = "0", .low = 0, .high = 1e9, .help = "updates of an iteration at most; 0: all batches"},
    {FLOAT(learn, weight), .flag = "--preference-weight", .initial = "1", .low = 0, .high = 1000, .help = "weight of the preference loss beside learn.nll; 0: likelihood only"},
    {FLOAT(learn, nll), .flag = "--nll", .initial = "0", .low = 0, .high = 1000, .help = "weight of the negative log-likelihood that learn.nll_on names"},
    {ENUM(learn, nll_on, recipe_nll, "chosen|right_chains"), .flag = "--nll-on", .initial = "chosen", .help = "that likelihood is of the pairs' chosen steps, or of all distinct right chains of the iteration's trees, as in rft"},
    {BOOL(learn, nll_per_token), .initial = "true", .help = "that likelihood is a mean over the tokens (of a chosen step; of an update's right chains), not the sum of a step or chain"},
    {INT(learn, max_chains), .flag = "--max-chains", .initial = "0", .low = 0, .high = 1e6, .help = "right chains of a problem that are learned from, the first ones; 0: all"},
    {FLOAT(learn, average), .flag = "--average", .initial = "0", .low = 0, .high = 0.9999999, .help = "decay an update of a running average of the weights, which is then the policy; 0: off"},
    {ENUM(learn, reference, recipe_reference, "previous|sft"), .flag = "--reference", .initial = "previous", .help = "policy that log-probs are held against: the iteration's own sampler, or the one after SFT"},
    {ENUM(learn, schedule, schedule_kind, SCHEDULES), .flag = "--schedule", .initial = "cosine", .help = "how the learning rate falls after the warm-up, over the whole run"},
    {FLOAT(learn, warmup), .flag = "--warmup", .initial = "0.03", .low = 0, .high = 1, .help = "share of the updates in which the learning rate rises"},
    {FLOAT(learn, weight_decay), .flag = "--weight-decay", .initial = "0.05", .low = 0, .high = 10, .help = "AdamW's decay of matrices"},
    {FLOAT(learn, beta1), .initial = "0.9", .low = 0, .high = 0.9999999, .help = "AdamW's first moment"},
    {FLOAT(learn, beta2), .initial = "0.95", .low = 0, .high = 0.9999999, .help = "AdamW's second moment"},
    {FLOAT(learn, eps), .initial = "1e-8", .low = 0, .high = 1, .marks = OPTION_ABOVE_LOW, .help = "AdamW's epsilon"},
    {FLOAT(learn, clip), .flag = "--clip", .initial = "1", .low = 0, .high = 1e9, .help = "largest gradient norm; 0: no clipping"},
    {INT(learn, max_length), .flag = "--max-length", .initial = "1024", .low = 8, .high = 1e7, .help = "tokens of a pair's longer path; longer pairs are left out and counted"},
    {INT(learn, tokens_per_microbatch), .flag = "--tokens-per-microbatch", .initial = "1024", .low = 64, .high = 1e8, .help = "tokens computed at a time; bounds memory"},
    {BOOL(learn, offline), .flag = "--offline", .initial = "false", .help = "all trees come from the policy after SFT (a baseline)"},
    {ENUM(learn, pairs, recipe_pairs, "step|instance"), .flag = "--pairs-level", .initial = "step", .help = "pairs of steps, or of a tree's best and worst whole chains (a baseline)"},
};

static const option eval_options[] = {
    {ENUM(eval, method, recipe_method, "greedy|sample|search"), .flag = "--method", .initial = "greedy", .help = "how an answer is found"},
    {ENUM(eval, set, recipe_set, "test|dev"), .initial = "test", .help = "problems that the run evaluates on"},
    {INT(eval, k), .flag = "--k", .initial = "1", .low = 1, .high = 4096, .help = "samples a problem, for pass@k and maj@k"},
    {FLOAT(eval, temperature), .flag = "--temperature", .initial = "0.7", .low = 0, .high = 10, .marks = OPTION_ABOVE_LOW, .help = "temperature of the samples"},
    {INT(eval, max_tokens), .flag = "--max-tokens", .initial = "320", .low = 1, .high = 1e6, .help = "tokens of a chain; an unfinished one is wrong"},
    {INT(eval, limit), .flag = "--limit", .initial = "0", .low = 0, .high = 1e9, .help = "problems; 0: all"},
    {INT(eval, batch), .flag = "--batch", .initial = "64", .low = 1, .high = 65536, .help = "chains side by side"},
    {INT(eval, compare_k), .initial = "0", .low = 0, .high = 4096, .help = "before the first iteration and after the last, so many samples a problem besides, for pass@k and maj@k; 0: none"},
    {ENUM(eval, compare_search, recipe_compare, "off|on|both"), .initial = "off", .help = "before the first iteration and after the last, search at inference besides; both: without self-evaluation too"},
    {INT(eval, compare_limit), .initial = "0", .low = 0, .high = 1e9, .help = "problems of these two; 0: as many as eval.limit"},
};

/* What METHOD.md section 6 says of the update. Keys that a preset leaves out keep their defaults. */
static const recipe_preset_value ours[] = {
    {"learn.nll", "1"}, {"learn.nll_on", "right_chains"}, {"learn.weight", "0.1"}, {"learn.average", "0.95"},
    {"learn.batch", "16"}, {"learn.epochs", "4"}, {0},
};
static const recipe_preset_value paper[] = {
    {"learn.reference", "sft"}, {"learn.beta", "0.1"}, {"learn.batch", "32"}, {"learn.lr", "1e-6"},
    {"learn.max_length", "512"}, {0},
};
#define OFFICIAL                                                                                             \
    {"learn.reference", "sft"}, {"learn.beta", "0.1"}, {"learn.batch", "64"}, {"learn.max_length", "512"},   \
    {"learn.beta1", "0.9"}, {"learn.beta2", "0.95"}, {"learn.weight_decay", "0.05"}, {"learn.clip", "1"},    \
    {"learn.schedule", "cosine"}
static const recipe_preset_value official_code[] = {
    OFFICIAL, {"learn.lr", "1e-6"}, {"learn.warmup", "0.03"}, {0},
};
static const recipe_preset_value official_code_commonsense[] = {
    OFFICIAL, {"learn.lr", "2e-6"}, {"learn.warmup", "0.2"}, {0},
};
/* clang-format on */

#define ROWS(table)                                                                                          \
    { table, (int)(sizeof(table) / sizeof *(table)) }

typedef struct {
    option_part at[64];
    int count;
} part_list;

static void add_part(part_list *parts, option_part part) {
    assert(parts->count < (int)(sizeof parts->at / sizeof *parts->at));
    parts->at[parts->count++] = part;
}

/* The options of each objective, of which learn.loss chooses one. */
static void add_objectives(part_list *parts) {
    for (int i = 0; objective_at(i); i++) {
        assert(objective_at(i)->options_size <= sizeof(option_space));
        add_part(parts, (option_part){.group = "learn",
                                      .rows = objective_at(i)->options,
                                      .base = offsetof(recipe, learn.loss_options),
                                      .chooser = "learn.loss",
                                      .chosen = i});
    }
}

option_table recipe_options(arena *memory) {
    part_list parts = {.count = 0};
    add_part(&parts, (option_part){.group = "run", .rows = ROWS(run_options)});
    add_part(&parts, (option_part){.group = "model", .rows = ROWS(model_options)});
    add_part(&parts, (option_part){.group = "data", .rows = ROWS(data_options)});
    add_part(&parts, (option_part){.group = "sft", .rows = ROWS(sft_options)});
    add_part(&parts, (option_part){.group = "search", .rows = ROWS(search_options)});
    add_part(&parts, (option_part){.group = "self_eval", .rows = ROWS(self_eval_options)});
    add_part(&parts, (option_part){.group = "learn", .rows = ROWS(learn_options)});
    add_objectives(&parts);
    add_part(&parts, (option_part){.group = "eval", .rows = ROWS(eval_options)});
    return options_compose(parts.at, parts.count, memory);
}

const recipe_preset_value *recipe_learn_preset(recipe_preset preset) {
    static const recipe_preset_value *const all[RECIPE_PRESETS] = {
        [RECIPE_DEFAULT] = ours,
        [RECIPE_PAPER] = paper,
        [RECIPE_PAPER_LITERAL] = paper,
        [RECIPE_PAPER_COMMONSENSE] = paper,
        [RECIPE_OFFICIAL_CODE] = official_code,
        [RECIPE_OFFICIAL_CODE_COMMONSENSE] = official_code_commonsense,
    };
    return all[preset];
}
