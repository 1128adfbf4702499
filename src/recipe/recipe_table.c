/* The table of recipe keys: what each is called, its flag, its type and range, its default, and a line of
 * help. */
#include "compute/compute.h"
#include "learn/objective.h"
#include "recipe/recipe.h"
#include "search/rule.h"
#include "text/chat.h"

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

#define SCHEDULES "constant|linear|cosine"

/* clang-format off */
static const option run_options[] = {
    {INT(run, seed), .flag = "--seed", .initial = "1", .low = 0, .high = 9e18, .help = "seed of all random numbers"},
    {PATH(run, out), .flag = "--out", .marks = OPTION_FREE, .help = "folder of the run; empty: runs/ and the name of the recipe"},
    {INT(run, iterations), .flag = "--iterations", .initial = "1", .low = 0, .high = 1e6, .marks = OPTION_LATER, .help = "rounds of search and learning"},
    {INT(run, problems_per_iteration), .flag = "--problems", .initial = "256", .low = 1, .high = 1e9, .marks = OPTION_LATER, .help = "problems searched in each iteration"},
    {INT(run, tokens_per_iteration), .initial = "0", .low = 0, .high = 1e15, .marks = OPTION_LATER, .help = "end the search of an iteration after the wave in which this many tokens were sampled and judged; 0: no limit"},
    {ENUM(run, choose, recipe_choose, "shuffle|learnable"), .flag = "--choose", .initial = "shuffle", .help = "problems of an iteration: the next ones of a shuffle, or mostly those that the model solves now and then, as the trees of earlier iterations tell (docs/method.md 1.4)"},
    {INT(run, wave), .flag = "--wave", .initial = "32", .low = 1, .high = 65536, .help = "problems that are searched together and saved together; an interruption loses at most the waves in flight"},
    {INT(run, window), .flag = "--window", .initial = "0", .low = 0, .high = 1024, .help = "waves searched at the same time, so that the cores stay busy while one ends and is saved; 0: two for a model in bf16 on AVX-512 that is too large for a replica per thread, else one, because an interrupted run could then differ in the last bits"},
    {INT(run, eval_every), .flag = "--eval-every", .initial = "1", .low = 0, .high = 1e6, .marks = OPTION_LATER, .help = "iterations between evaluations; 0: only before the first and after the last iteration"},
    {INT(run, patience), .initial = "0", .low = 0, .high = 1e6, .marks = OPTION_LATER, .help = "end the run after this many evaluations in a row that are no better than the best one before; 0: never. With eval.set dev, because it is a choice"},
    {INT(run, checkpoint_every), .flag = "--checkpoint-every", .initial = "0", .low = 0, .high = 1e9, .marks = OPTION_FREE, .help = "updates between checkpoints; 0: only at the end of a phase"},
    {ENUM(run, keep, recipe_keep, "all|last|best"), .initial = "all", .marks = OPTION_FREE, .help = "policies that stay in checkpoints/: that of every iteration; or, to save room on the disk, that after supervised fine-tuning and the last one; or these and the one of the best evaluation"},
    {INT(run, threads), .flag = "--threads", .initial = "0", .low = 0, .high = 4096, .help = "computing threads; 0: one per core"},
};

static const option model_options[] = {
    {PATH(model, path), .flag = "--model", .help = "model: a folder in Hugging Face layout, or a GGUF file"},
    {ENUM(model, init, recipe_init, "file|random"), .initial = "file", .help = "take the weights from model.path, or start from random ones (then only its configuration and tokenizer are read)"},
    {ENUM(model, dtype, recipe_dtype, "bf16|f32"), .flag = "--dtype", .initial = "bf16", .help = "number format of matrix products"},
    {CHOICE(model, compute, compute_kind), .flag = "--compute", .initial = "cpu", .help = "compute backend: cpu is fast, ref is plain loops for checking it"},
    {PATH(model, chat_template), .flag = "--chat-template", .initial = "auto", .help = "how a question becomes a prompt: auto is the model's own template; plain, chatml, llama2 and mistral are forms; anything else is a file with a template (docs/models.md)"},
    {TEXT(model, chat_head), .help = "words before a question, in place of a template, control tokens among them; with chat_tail"},
    {TEXT(model, chat_tail), .help = "words after a question, up to where its answer begins"},
    {TEXT(model, chat_options), .marks = OPTION_LIST, .help = "what the template is told, a line each: enable_thinking=false"},
    {TEXT(model, chat_date), .initial = CHAT_DATE, .help = "the date of templates that write today's: always the same, so that a run's prompts are"},
    {INT(model, context), .flag = "--context", .initial = "0", .low = 0, .high = 1e7, .help = "tokens of context; 0: the model's own"},
    {BOOL(model, recompute), .flag = "--recompute", .initial = "false", .marks = OPTION_FREE, .help = "in training keep only the input of each layer and compute the rest again: less memory, more time, the same result"},
};

static const option adapter_options[] = {
    {INT(adapter, rank), .flag = "--rank", .initial = "0", .low = 0, .high = 4096, .help = "train a low-rank adapter (LoRA) of this rank over the weights of model.path, which stay as they are; 0: train all weights, or the adapter that model.path is"},
    {FLOAT(adapter, alpha), .initial = "0", .low = 0, .high = 1e6, .help = "what the adapter adds is scaled by this over its rank; 0: twice the rank"},
    {BOOL(adapter, rslora), .initial = "false", .help = "scale by alpha over the square root of the rank instead"},
    {TEXT(adapter, targets), .marks = OPTION_LIST, .initial = "all", .help = "matrices that get an adapter, in every layer: all, or a list of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"},
};

static const option data_options[] = {
    {TEXT(data, task), .flag = "--task", .initial = "gsm8k", .help = "built-in task, or a file of the task's keys: the form of the problem files, the prompt and the grading"},
    {PATH(data, train), .flag = "--train", .help = "problems to search and to learn from: JSON lines, plain or .gz, or generate:..."},
    {PATH(data, sft), .help = "problems whose worked solutions SFT learns, where they are others than those to search; empty: those of train"},
    {PATH(data, test), .flag = "--test", .help = "problems to evaluate on"},
    {PATH(data, dev), .flag = "--dev", .help = "problems to choose settings on"},
    {INT(data, train_limit), .flag = "--train-limit", .initial = "0", .low = 0, .high = 1e9, .help = "use only this many problems of train; 0: all"},
    {INT(data, test_limit), .flag = "--test-limit", .initial = "0", .low = 0, .high = 1e9, .help = "use only this many problems of test; 0: all"},
    {INT(data, dev_limit), .flag = "--dev-limit", .initial = "0", .low = 0, .high = 1e9, .help = "use only this many problems of dev; 0: all"},
    {INT(data, dev_from_train), .initial = "0", .low = 0, .high = 1e9, .help = "without a dev file, set this many problems at the end of train apart as dev"},
};

static const option sft_options[] = {
    {INT(sft, epochs), .flag = "--epochs", .initial = "0", .low = 0, .high = 1000, .help = "passes of supervised fine-tuning over the reference solutions; 0: none"},
    {FLOAT(sft, lr), .flag = "--lr", .initial = "2e-5", .low = 0, .high = 1, .help = "learning rate"},
    {INT(sft, batch), .flag = "--batch", .initial = "32", .low = 1, .high = 1e6, .help = "rows per update"},
    {ENUM(sft, schedule, schedule_kind, SCHEDULES), .initial = "cosine", .help = "how the learning rate falls after the warm-up"},
    {FLOAT(sft, warmup), .initial = "0.03", .low = 0, .high = 1, .help = "share of the updates during which the learning rate rises"},
    {INT(sft, max_length), .initial = "512", .low = 8, .high = 1e7, .help = "tokens of a row; longer rows are left out and counted"},
    {FLOAT(sft, weight_decay), .flag = "--weight-decay", .initial = "0", .low = 0, .high = 10, .help = "weight decay of AdamW, on matrices only"},
    {FLOAT(sft, beta1), .initial = "0.9", .low = 0, .high = 0.9999999, .help = "decay of the first moment of AdamW"},
    {FLOAT(sft, beta2), .initial = "0.95", .low = 0, .high = 0.9999999, .help = "decay of the second moment of AdamW"},
    {FLOAT(sft, eps), .initial = "1e-8", .low = 0, .high = 1, .marks = OPTION_ABOVE_LOW, .help = "epsilon of AdamW"},
    {FLOAT(sft, clip), .flag = "--clip", .initial = "1", .low = 0, .high = 1e9, .help = "largest gradient norm; 0: no clipping"},
    {INT(sft, tokens_per_microbatch), .initial = "1024", .low = 64, .high = 1e8, .help = "tokens computed at once; limits memory, and changes the result only by rounding"},
    {FLOAT(sft, judge_examples), .initial = "0", .low = 0, .high = 10, .help = "rows per problem that train the model to judge steps, correct and incorrect ones"},
    {ENUM(sft, judge_source, recipe_judge_source, "corrupted|own"), .initial = "corrupted", .help = "incorrect solutions in these rows: corrupted reference solutions, or solutions that the model at model.path samples itself"},
    {INT(sft, judge_chains), .initial = "4", .low = 1, .high = 4096, .help = "with own: solutions sampled per problem, at search.temperature"},
    {INT(sft, judge_limit), .initial = "0", .low = 0, .high = 1e9, .help = "with own: sample on this many problems after those of the reference solutions (sft.limit); 0: on the same problems"},
    {FLOAT(sft, rationale_examples), .initial = "1", .low = 0, .high = 1, .help = "share of the reference solutions that are trained on; 0: only rows for judging"},
    {INT(sft, limit), .flag = "--limit", .initial = "0", .low = 0, .high = 1e9, .help = "use only this many reference solutions; 0: all"},
};

static const option search_options[] = {
    {CHOICE(search, preset, preset_name), .about = preset_about, .flag = "--preset", .initial = "default", .help = "named set of values for all other search and self_eval keys that are not given"},
    {INT(search, max_step_tokens), .flag = "--max-step-tokens", .initial = "64", .low = 1, .high = 1e6, .help = "tokens of one step"},
    {INT(search, max_chain_tokens), .flag = "--max-chain-tokens", .initial = "640", .low = 1, .high = 1e6, .help = "tokens of a whole solution; an unfinished one is cut there"},
    {INT(search, gold_length_over), .initial = "0", .low = 0, .high = 1000, .help = "limit a step also to the reference solution's tokens divided by this; 0: off"},
    {FLOAT(search, temperature), .flag = "--search-temperature", .initial = "1", .low = 0, .high = 10, .marks = OPTION_ABOVE_LOW, .help = "temperature at which candidate steps are sampled"},
    {ENUM(search, step, step_size, "line|fill"), .flag = "--step", .initial = "line", .help = "a step is one line (for some tasks one sentence), or as many whole ones as fit into max_step_tokens"},
};

static const option self_eval_options[] = {
    {.type = OPTION_BOOL, .key = "enabled", .offset = offsetof(recipe, search.config.rewards.judge), .flag = "--self-eval", .initial = "true", .help = "the model judges its own steps, and the search uses its confidence"},
    {.type = OPTION_ENUM, .key = "kind", .offset = offsetof(recipe, search.config.rewards.judge_kind) + 0 * sizeof(_Generic(((recipe *)0)->search.config.rewards.judge_kind, search_judge : 1)), .choices = "prompt|next_token", .flag = "--self-eval-kind", .initial = "prompt", .help = "the model is asked with a prompt whether the steps so far are correct, or its next-token probabilities at the end of each step say so, which reads no tokens and is learned only in the loop (self_eval.rows)"},
    {ENUM(self_eval, example, recipe_example, "none|gold"), .flag = "--self-eval-example", .initial = "gold", .help = "show the judge the reference solution as an example, or nothing; evaluation never shows it"},
    {ENUM(self_eval, weights, recipe_judge_weights, "shared|own"), .initial = "shared", .help = "the judge is the model that searches, or a second one that starts as the first and that preferences do not change"},
    {INT(self_eval, rows), .initial = "0", .low = 0, .high = 1e6, .help = "rows per problem that teach the judge, after each search, what came of the steps that it judged; 0: it is not taught"},
    {INT(self_eval, buffer), .initial = "5", .low = 1, .high = 1e6, .help = "take such rows from this many iterations: the present one's, and as many again of those before"},
    {FLOAT(self_eval, rate), .initial = "0.25", .low = 0, .high = 1000, .help = "with own: learning rate of the judge, as a share of learn.lr"},
    {BOOL(self_eval, calibrate), .initial = "false", .help = "fit the judge's confidence to what came of the steps of the iteration before, and give it no weight where it did not order the steps of a problem better than chance"},
    {BOOL(self_eval, compare_frozen), .initial = "false", .help = "after each search let the model that the first iteration starts from judge the same steps, to compare: one more pass over all of them, which no search uses"},
    {FLOAT(self_eval, weight), .initial = "0.1", .low = 0, .high = 1000, .help = "with shared: weight of these rows in the loss of an update"},
};

static const option learn_options[] = {
    {CHOICE(learn, preset, preset_name), .about = preset_about, .flag = "--learn-preset", .initial = "default", .help = "named set of values for all other learn keys that are not given"},
    {CHOICE(learn, loss, objective_name), .about = objective_about, .flag = "--loss", .initial = "dpo", .help = "what an update minimises (docs/method.md 5)"},
    {FLOAT(learn, lr), .flag = "--lr", .initial = "1e-6", .low = 0, .high = 1, .marks = OPTION_LATER, .help = "learning rate"},
    {INT(learn, batch), .flag = "--batch", .initial = "16", .low = 1, .high = 1e6, .marks = OPTION_LATER, .help = "pairs, or what else learn.loss learns from, per update, or problems (learn.batch_of)"},
    {ENUM(learn, batch_of, recipe_batch, "pairs|problems"), .flag = "--batch-of", .initial = "pairs", .help = "what learn.batch counts; problems: those of which something is learned, and an update's loss is the mean over its problems of each one's mean"},
    {INT(learn, epochs), .flag = "--epochs", .initial = "4", .low = 0, .high = 1000, .marks = OPTION_LATER, .help = "passes over the pairs of an iteration; 0: search and evaluate only"},
    {INT(learn, steps), .flag = "--steps", .initial = "0", .low = 0, .high = 1e9, .marks = OPTION_LATER, .help = "at most this many updates per iteration; 0: all batches"},
    {FLOAT(learn, weight), .flag = "--preference-weight", .initial = "0.1", .low = 0, .high = 1000, .marks = OPTION_LATER, .help = "weight of learn.loss, added to that of learn.nll; 0: likelihood only"},
    {FLOAT(learn, nll), .flag = "--nll", .initial = "1", .low = 0, .high = 1000, .marks = OPTION_LATER, .help = "weight of the negative log-likelihood that learn.nll_on names"},
    {ENUM(learn, nll_on, recipe_nll, "chosen|right_chains"), .flag = "--nll-on", .initial = "right_chains", .help = "likelihood of the pairs' chosen steps, or of all different correct solutions in the iteration's trees"},
    {BOOL(learn, nll_per_token), .initial = "true", .help = "take that likelihood as a mean over tokens (of a chosen step, or of an update's correct solutions), not as a sum"},
    {INT(learn, max_chains), .flag = "--max-chains", .initial = "0", .low = 0, .high = 1e6, .marks = OPTION_LATER, .help = "correct solutions per problem that are learned from, the first ones; 0: all"},
    {FLOAT(learn, average), .flag = "--average", .initial = "0.95", .low = 0, .high = 0.9999999, .help = "decay per update of a running average of the weights, which is then used as the model; 0: off"},
    {ENUM(learn, reference, recipe_reference, "previous|sft"), .flag = "--reference", .initial = "previous", .help = "model that log-probabilities are compared with: the one that searched this iteration, or the one after supervised fine-tuning"},
    {ENUM(learn, schedule, schedule_kind, SCHEDULES), .flag = "--schedule", .initial = "cosine", .marks = OPTION_LATER, .help = "how the learning rate falls after the warm-up, over the whole run"},
    {FLOAT(learn, warmup), .flag = "--warmup", .initial = "0.03", .low = 0, .high = 1, .marks = OPTION_LATER, .help = "share of the updates during which the learning rate rises"},
    {FLOAT(learn, weight_decay), .flag = "--weight-decay", .initial = "0.05", .low = 0, .high = 10, .marks = OPTION_LATER, .help = "weight decay of AdamW, on matrices only"},
    {FLOAT(learn, beta1), .initial = "0.9", .low = 0, .high = 0.9999999, .help = "decay of the first moment of AdamW"},
    {FLOAT(learn, beta2), .initial = "0.95", .low = 0, .high = 0.9999999, .help = "decay of the second moment of AdamW"},
    {FLOAT(learn, eps), .initial = "1e-8", .low = 0, .high = 1, .marks = OPTION_ABOVE_LOW, .help = "epsilon of AdamW"},
    {FLOAT(learn, clip), .flag = "--clip", .initial = "1", .low = 0, .high = 1e9, .marks = OPTION_LATER, .help = "largest gradient norm; 0: no clipping"},
    {INT(learn, max_length), .flag = "--max-length", .initial = "1024", .low = 8, .high = 1e7, .marks = OPTION_LATER, .help = "tokens of a prompt with what is learned after it; longer pairs, solutions and steps are left out and counted"},
    {INT(learn, tokens_per_microbatch), .flag = "--tokens-per-microbatch", .initial = "1024", .low = 64, .high = 1e8, .marks = OPTION_LATER, .help = "tokens computed at once; limits memory"},
    {BOOL(learn, offline), .flag = "--offline", .initial = "false", .help = "search every iteration with the model after supervised fine-tuning (a baseline)"},
    {ENUM(learn, pairs, recipe_pairs, "step|instance"), .flag = "--pairs-level", .initial = "step", .help = "pairs of steps, or one pair per tree of its best and its worst whole solution (a baseline)"},
};

static const option eval_options[] = {
    {ENUM(eval, method, recipe_method, "greedy|sample|search|choices"), .flag = "--method", .initial = "greedy", .help = "how an answer is found; choices: the most probable option of a multiple-choice problem"},
    {ENUM(eval, set, recipe_set, "test|dev"), .initial = "test", .help = "problems that the run evaluates on"},
    {INT(eval, k), .flag = "--k", .initial = "1", .low = 1, .high = 4096, .help = "samples per problem, for pass@k and maj@k"},
    {FLOAT(eval, temperature), .flag = "--temperature", .initial = "0.7", .low = 0, .high = 10, .marks = OPTION_ABOVE_LOW, .help = "temperature of the samples"},
    {INT(eval, max_tokens), .flag = "--max-tokens", .initial = "320", .low = 1, .high = 1e6, .help = "tokens of a solution; an unfinished one counts as incorrect"},
    {INT(eval, limit), .flag = "--limit", .initial = "0", .low = 0, .high = 1e9, .help = "use only this many problems; 0: all"},
    {INT(eval, batch), .flag = "--batch", .initial = "64", .low = 1, .high = 65536, .help = "solutions sampled at the same time"},
    {ENUM(eval, option, recipe_option_part, "text|label"), .initial = "text", .help = "choices: what of an option is scored, its text or its label"},
    {INT(eval, compare_k), .initial = "0", .low = 0, .high = 4096, .help = "extra samples per problem before the first and after the last iteration, for pass@k and maj@k; 0: none"},
    {ENUM(eval, compare_search, recipe_compare, "off|on|both"), .initial = "off", .help = "also evaluate by search before the first and after the last iteration; both: with and without self-evaluation"},
    {BOOL(eval, compare_choices), .initial = "false", .help = "also evaluate by choices before the first and after the last iteration"},
    {INT(eval, compare_limit), .initial = "0", .low = 0, .high = 1e9, .help = "problems of these extra evaluations; 0: as many as eval.limit"},
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

/* The search group: this folder's rows, those of the search and of each rule, and those of the harvest. */
static void add_search(part_list *parts) {
    add_part(parts, (option_part){.group = "search", .rows = ROWS(search_options)});
    add_part(parts, (option_part){.group = "search",
                                  .rows = search_option_table(),
                                  .base = offsetof(recipe, search.config)});
    for (int i = 0; search_rule_at(i); i++)
        add_part(parts, (option_part){.group = "search",
                                      .rows = search_rule_at(i)->options,
                                      .base = offsetof(recipe, search.config.rule_options),
                                      .chooser = "search.rule",
                                      .chosen = i});
    add_part(parts, (option_part){.group = "search",
                                  .rows = harvest_option_table(),
                                  .base = offsetof(recipe, search.harvest)});
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
    add_part(&parts, (option_part){.group = "adapter", .rows = ROWS(adapter_options)});
    add_part(&parts, (option_part){.group = "data", .rows = ROWS(data_options)});
    add_part(&parts,
             (option_part){.group = "task", .rows = task_options(memory), .base = offsetof(recipe, task)});
    add_part(&parts, (option_part){.group = "sft", .rows = ROWS(sft_options)});
    add_search(&parts);
    add_part(&parts, (option_part){.group = "self_eval", .rows = ROWS(self_eval_options)});
    add_part(&parts, (option_part){.group = "learn", .rows = ROWS(learn_options)});
    add_objectives(&parts);
    add_part(&parts, (option_part){.group = "eval", .rows = ROWS(eval_options)});
    return options_compose(parts.at, parts.count, memory);
}
