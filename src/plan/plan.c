#include "plan/plan.h"

#include "eval/evaluate.h"
#include "recipe/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Trees that are searched to count what a search asks for. */
enum { SAMPLE_TREES = 16 };
/* Of data without rationales. */
static const double usual_steps = 6, usual_step_tokens = 24;
/* Share of chains that are right, of a small model on grade-school mathematics; a tree grows with the search
 * for one that is, so that a better policy's trees are smaller. */
static const double usual_right = 0.05;
static const double made_logprob = -0.35; /* a token, at temperature 1 */

static double least(double a, double b) {
    return a < b ? a : b;
}
static double most(double a, double b) {
    return a > b ? a : b;
}

/* ---- data ---- */

static esp_status count_ids(const session *s, const char *text, double *sum, esp_error *error) {
    token_list ids = {0};
    esp_status status = tokenizer_encode(s->tokenizer, text, strlen(text), false, &ids, error);
    *sum += (double)ids.count;
    MEM_LIST_FREE(&ids);
    return status;
}

static esp_status count_prompts(const session *s, const problem *p, double *prompt, double *judge,
                                esp_error *error) {
    token_list ids = {0}, judged = {0};
    bool example = s->recipe->self_eval.example == RECIPE_EXAMPLE_GOLD;
    esp_status status = prompt_ids(s->words, p, &ids, error);
    if (status == ESP_OK) status = prompt_judge_prefix(s->words, p, example, &judged, error);
    *prompt = (double)ids.count;
    *judge += (double)judged.count;
    MEM_LIST_FREE(&ids);
    MEM_LIST_FREE(&judged);
    return status;
}

typedef struct {
    double problems, rationales, lines, rationale_tokens;
} tally;

static esp_status add_problem(const session *s, const problem *p, plan_data *d, tally *t, esp_error *error) {
    double prompt = 0, rationale = 0;
    ESP_TRY(count_prompts(s, p, &prompt, &d->judge_tokens, error));
    d->prompt_tokens += prompt;
    t->problems++;
    if (p->rationale) {
        ESP_TRY(count_ids(s, p->rationale, &rationale, error));
        t->rationales++;
        t->rationale_tokens += rationale + 1; /* end-of-sequence */
        t->lines++;
        for (const char *c = p->rationale; *c; c++) t->lines += *c == '\n';
    }
    d->longest = most(d->longest, prompt + rationale + 1);
    return ESP_OK;
}

static esp_status read_data(const session *s, plan_data *out, esp_error *error) {
    const problem_set *test = s->test.count > 0 ? &s->test : &s->dev, *sets[] = {&s->train, test, &s->sft};
    *out = (plan_data){.train_problems = s->train.count,
                       .test_problems = test->count,
                       .sft_problems = s->sft.count > 0 ? s->sft.count : s->train.count,
                       .right = usual_right};
    tally t = {0};
    for (int i = 0; i < 3; i++) {
        int64_t n = sets[i]->count, stride = n > 256 ? n / 256 : 1;
        for (int64_t p = 0; p < n; p += stride) ESP_TRY(add_problem(s, &sets[i]->at[p], out, &t, error));
    }
    if (t.problems == 0)
        return error_fail(error, "name files of problems (data.train, data.test)",
                          "there are no problems to plan for");
    out->suffix_tokens = (double)prompt_judge_suffix(s->words)->count;
    out->prompt_tokens /= t.problems;
    out->judge_tokens /= t.problems;
    out->steps = t.rationales > 0 ? t.lines / t.rationales : usual_steps;
    out->step_tokens = t.lines > 0 ? t.rationale_tokens / t.lines : usual_step_tokens;
    return ESP_OK;
}

/* ---- memory ---- */

/* Bytes of the weights alone, where they are frozen. */
static double base_weights(const model_config *config, dtype act) {
    model_options none = {0};
    return model_memory_plan(config, act, &none, 0, 0).weights;
}

plan_memory plan_memory_of(const recipe *r, const model_config *config, double longest) {
    dtype act = recipe_activations(r);
    bool learns = r->learn.epochs > 0 && r->run.iterations > 0, sft = r->sft.epochs > 0,
         trains = sft || learns;
    double tape = 0;
    if (sft) tape = most((double)r->sft.tokens_per_microbatch, least(longest, (double)r->sft.max_length));
    if (learns) tape = most(tape, (double)r->learn.tokens_per_microbatch);
    evaluate_options o = evaluate_options_of(r);
    double kv = most((double)recipe_lm_settings(r).kv_tokens, (double)evaluate_kv_tokens(r, &o));
    evaluate_options besides[EVALUATE_BESIDES];
    for (int i = evaluate_options_besides(r, besides) - 1; i >= 0; i--)
        kv = most(kv, (double)evaluate_kv_tokens(r, &besides[i]));
    adapter_config adapter;
    if (recipe_adapter(r, &adapter, NULL) != ESP_OK) adapter.rank = 0; /* the run will say why */
    model_options options = {.trainable = trains, .recompute = r->model.recompute, .adapter = &adapter};
    model_options only_samples = {.adapter = &adapter};
    model_memory m = model_memory_plan(config, act, &options, (int64_t)tape, (int64_t)kv);
    model_memory sampling = model_memory_plan(config, act, &only_samples, ENGINE_USUAL_BATCH_TOKENS, 0);
    plan_memory out = {.weights = m.weights,
                       .masters = m.masters,
                       .optimizer = m.optimizer,
                       .activations = most(m.workspace, sampling.workspace),
                       .kv = m.kv,
                       .available = memory_available()};
    if (learns && r->learn.average > 0) out.optimizer += m.masters; /* raw weights beside the average */
    /* A second adapter shares the base. */
    double second = adapter.rank > 0 ? m.weights - base_weights(config, act) : m.weights;
    if (learns && r->learn.reference == RECIPE_SFT)
        out.reference = adapter.rank > 0 ? second : sampling.weights;
    if (r->self_eval.weights == RECIPE_WEIGHTS_OWN && r->search.config.rewards.judge) {
        out.weights += second; /* a judge of the same size, in memory from the first search on */
        out.masters += m.masters;
        out.activations += out.activations; /* a model keeps its workspace */
        if (learns) out.optimizer += m.optimizer;
    }
    /* Learning and sampling take turns: the cache is gone while the optimizer is there. */
    out.total = out.weights + out.masters +
                most(out.kv + sampling.workspace, out.optimizer + out.activations + out.reference);
    return out;
}

esp_status plan_check(const plan_memory *m, esp_error *error) {
    if (m->available <= 0 || m->total <= m->available) return ESP_OK;
    error_fail(
        error,
        "use a smaller model, set model.recompute, lower tokens_per_microbatch, eval.batch or run.wave, or "
        "take a machine with more memory",
        "the run needs %.2f GB of memory and %.2f GB are free: weights %.2f, masters %.2f, optimizer %.2f, "
        "activations %.2f, reference %.2f, KV cache %.2f (not at the same time as the optimizer)",
        m->total / 1e9, m->available / 1e9, m->weights / 1e9, m->masters / 1e9, m->optimizer / 1e9,
        m->activations / 1e9, m->reference / 1e9, m->kv / 1e9);
    return error_because(error, ESP_REASON_MEMORY);
}

/* ---- a search on made-up steps ---- */

typedef struct {
    double sampled, fed, judged_nodes, nodes, pairs; /* a tree; fed: tokens of steps fed to the judge */
    double chains, chain_tokens; /* correct ones that learning uses, tokens in all of them */
} tree_cost;

/* A whole number around the mean, between half and one and a half of it, at least 1. */
static int32_t around(rng_key_t key, uint64_t counter, double mean) {
    return (int32_t)most(1, floor(mean * (0.5 + rng_uniform(key, counter)) + 0.5));
}

/* A chain ends at each step with the chance that makes its mean length the data's: policies wander, so
 * lengths are spread more widely than those of rationales. */
static search_candidate made_up(const recipe *r, const plan_data *d, rng_key_t key, bool to_end) {
    enum { STEP_DRAWS = 16, MOST_STEPS = 64 };
    int32_t n = 0;
    bool finished = false;
    for (uint64_t i = 0; i < (to_end ? MOST_STEPS : 1) && !finished; i++) {
        n += around(key, STEP_DRAWS + 2 * i, least(d->step_tokens, (double)r->search.max_step_tokens));
        finished = rng_uniform(key, STEP_DRAWS + 2 * i + 1) * d->steps < 1;
    }
    search_candidate c = {
        .n = n, .logprob = made_logprob * n * (0.5 + rng_uniform(key, 1)), .text_key = rng_bits(key, 2)};
    if (finished) c.outcome = rng_uniform(key, 3) < d->right ? SEARCH_RIGHT : SEARCH_WRONG;
    return c;
}

static esp_status answer(search *s, const search_request *q, const recipe *r, const plan_data *d,
                         tree_cost *cost, esp_error *error) {
    search_reply reply = {0};
    if (q->kind == SEARCH_JUDGE) {
        double *c = MEM_ARRAY(double, q->count);
        for (int32_t i = 0; i < q->count; i++) {
            c[i] = rng_uniform(rng_key((uint64_t)(q->node + i)), 4);
            cost->fed += search_node_at(s, q->node + i).n;
        }
        cost->judged_nodes += q->count;
        reply = (search_reply){.confidences = c, .confidence_count = q->count};
        esp_status status = search_feed(s, &reply, error);
        mem_free(c);
        return status;
    }
    search_candidate *all = MEM_ARRAY(search_candidate, q->count);
    for (int32_t i = 0; i < q->count; i++)
        all[i] = made_up(r, d, rng_mix(q->key, (uint64_t)(q->first_candidate + i)), q->to_end);
    reply = (search_reply){.candidates = all, .candidate_count = q->count};
    esp_status status = search_feed(s, &reply, error);
    mem_free(all);
    return status;
}

/* Made-up chains are all distinct. */
static void count_right_chains(const recipe *r, const search *s, tree_cost *cost) {
    int64_t limit = r->learn.max_chains, n = 0;
    for (int32_t i = 0; i < search_node_count(s); i++) {
        if (search_node_at(s, i).outcome != SEARCH_RIGHT || (limit > 0 && n == limit)) continue;
        n++;
        for (int32_t a = i; a > 0; a = search_node_at(s, a).parent)
            cost->chain_tokens += search_node_at(s, a).n;
    }
    cost->chains += (double)n;
}

static esp_status search_made_up(const recipe *r, const search_config *config, const plan_data *d,
                                 uint64_t tree, tree_cost *cost, esp_error *error) {
    search *s;
    ESP_TRY(search_new(&s, config, rng_key(tree), error));
    esp_status status = ESP_OK;
    for (search_request q; status == ESP_OK;) {
        search_next(s, &q);
        if (q.kind == SEARCH_DONE) break;
        status = answer(s, &q, r, d, cost, error);
    }
    cost->sampled += (double)search_stats_of(s).tokens;
    cost->nodes += search_node_count(s);
    harvest_pairs read;
    harvest_step_pairs(s, &r->search.harvest, &read);
    cost->pairs += read.count;
    harvest_pairs_free(&read);
    count_right_chains(r, s, cost);
    search_free(s);
    return status;
}

/* The data's lines as the recipe cuts them into steps (2.0). */
static plan_data as_steps(const recipe *r, const plan_data *d) {
    plan_data cut = *d;
    double room = (double)r->search.max_step_tokens, over = (double)r->search.gold_length_over;
    if (over > 0) room = least(room, most(1, d->steps * d->step_tokens / over));
    double lines = r->search.step == STEP_FILL ? most(1, floor(room / d->step_tokens)) : 1;
    cut.steps = most(1, d->steps / lines);
    cut.step_tokens = d->steps * d->step_tokens / cut.steps;
    return cut;
}

/* Means over some trees. A configuration that the search refuses costs nothing here: the run will say so. */
static tree_cost cost_of_tree(const recipe *r, const search_config *config, const plan_data *lines) {
    plan_data cut = as_steps(r, lines), *d = &cut;
    tree_cost sum = {0};
    for (uint64_t i = 0; i < SAMPLE_TREES; i++)
        if (search_made_up(r, config, d, i, &sum, NULL) != ESP_OK) return (tree_cost){0};
    return (tree_cost){.sampled = sum.sampled / SAMPLE_TREES,
                       .fed = sum.fed / SAMPLE_TREES,
                       .judged_nodes = sum.judged_nodes / SAMPLE_TREES,
                       .nodes = sum.nodes / SAMPLE_TREES,
                       .pairs = sum.pairs / SAMPLE_TREES,
                       .chains = sum.chains / SAMPLE_TREES,
                       .chain_tokens = sum.chain_tokens / SAMPLE_TREES};
}

/* ---- phases ---- */

static double seconds_of(const plan_phase *p, const plan_rates *rates) {
    double s = (double)p->updates * rates->update;
    if (p->sampled > 0) s += p->sampled / rates->decode;
    if (p->prefilled > 0) s += p->prefilled / rates->prefill;
    if (p->trained > 0) s += p->trained / rates->train;
    return s;
}

/* Tokens that the judge of a tree reads. */
static double judge_of(bool judged, const plan_data *d, const tree_cost *cost) {
    return judged ? d->judge_tokens + cost->fed + cost->judged_nodes * d->suffix_tokens : 0;
}

/* Problems that an iteration searches: as many as the recipe wants, or as its tokens last for. */
static double problems_searched(const recipe *r, const plan_data *d, const tree_cost *cost) {
    double problems = (double)r->run.problems_per_iteration, tokens = (double)r->run.tokens_per_iteration;
    double each = cost->sampled + judge_of(search_config_reads(&r->search.config), d, cost);
    return tokens > 0 && each > 0 ? least(problems, ceil(tokens / each)) : problems;
}

/* Trees of `problems` problems. */
static plan_phase trees(const char *name, bool judged, const plan_data *d, const tree_cost *cost,
                        double problems) {
    double judge = judge_of(judged, d, cost);
    return (plan_phase){.name = name,
                        .sampled = problems * cost->sampled,
                        .prefilled = problems * (d->prompt_tokens + judge)};
}

static plan_phase phase_of_sft(const recipe *r, const plan_data *d) {
    double problems = (double)d->sft_problems, chain = d->steps * d->step_tokens;
    bool own = r->sft.judge_source == RECIPE_JUDGE_OWN && r->sft.judge_examples > 0;
    if (r->sft.limit > 0) problems = least(problems, (double)r->sft.limit);
    double asked = own && r->sft.judge_limit > 0 ? (double)r->sft.judge_limit : problems;
    double rows = problems * r->sft.rationale_examples, judges = asked * r->sft.judge_examples;
    double tokens =
        rows * (d->prompt_tokens + chain) + judges * (d->judge_tokens + chain / 2 + d->suffix_tokens + 1);
    double epochs = (double)r->sft.epochs;
    plan_phase p = {.name = "sft",
                    .times = epochs > 0,
                    .trained = tokens * epochs,
                    .updates = (int64_t)(ceil((rows + judges) / (double)r->sft.batch) * epochs)};
    if (own) {
        p.sampled = asked * (double)r->sft.judge_chains * chain;
        p.prefilled = asked * d->prompt_tokens;
    }
    return p;
}

/* Rows that a loss on the trees themselves takes of a tree, at most: how many are left out is not known
 * before a run. */
static double rows_of_tree(const recipe *r, const tree_cost *cost) {
    if (!recipe_learns_from_trees(r)) return 0;
    switch (recipe_objective(r)->source) {
    case LEARNS_FROM_GROUPS:
        return (double)r->search.config.limits.root_probe;
    case LEARNS_FROM_STEPS:
        return cost->nodes - 1;
    case LEARNS_FROM_STATES:
        return cost->pairs;
    case LEARNS_FROM_PAIRS:
    case LEARNS_FROM_CHAINS:
        break;
    }
    return 0;
}

/* The loss's rows and correct chains side by side: the longer list gives the number of updates, the shorter
 * one is spread over them. */
static plan_phase phase_of_learning(const recipe *r, const plan_data *d, const tree_cost *cost) {
    double problems = problems_searched(r, d, cost), epochs = (double)r->learn.epochs;
    double pairs = recipe_learns_from_pairs(r) ? problems * cost->pairs : 0;
    double others = problems * rows_of_tree(r, cost);
    double chains = recipe_learns_from_chains(r) ? problems * cost->chains : 0;
    double row = d->prompt_tokens + d->steps * d->step_tokens / 2 +
                 2 * d->step_tokens; /* a state half way, two steps after it */
    double longer = most(pairs + others, chains);
    if (r->learn.batch_of == RECIPE_BATCH_PROBLEMS) longer = least(longer, problems);
    double updates = ceil(longer / (double)r->learn.batch) * epochs;
    if (r->learn.steps > 0) updates = least(updates, (double)r->learn.steps);
    plan_phase p = {
        .name = "learn", .times = epochs > 0 ? r->run.iterations : 0, .updates = (int64_t)updates};
    double passes = longer > 0 ? least(epochs, updates * (double)r->learn.batch / longer) : 0;
    p.trained = passes * pairs * row;
    if (others > 0) p.trained += passes * problems * (d->prompt_tokens + cost->sampled); /* a tree, packed */
    if (chains > 0) p.trained += passes * (chains * d->prompt_tokens + problems * cost->chain_tokens);
    if (r->learn.reference == RECIPE_SFT) p.prefilled = pairs * row;
    return p;
}

/* One evaluation; a search is judged unless `unjudged`. */
static plan_phase evaluation_of(const recipe *r, const plan_data *d, const evaluate_options *o,
                                const char *name) {
    double problems = (double)d->test_problems;
    if (o->limit > 0) problems = least(problems, (double)o->limit);
    plan_phase p = {.name = name};
    if (o->method == RECIPE_SEARCH) {
        search_config config = recipe_inference_config(r);
        if (o->unjudged) config.rewards.judge = false;
        tree_cost cost = cost_of_tree(r, &config, d);
        p = trees(name, search_config_reads(&config), d, &cost, problems);
    } else if (o->method == RECIPE_CHOICES) {
        p.prefilled = problems * d->prompt_tokens;
    } else {
        double k = o->method == RECIPE_SAMPLE ? (double)o->k : 1;
        double chain = least(d->steps * d->step_tokens, (double)o->max_tokens);
        p.sampled = problems * k * chain;
        p.prefilled = problems * d->prompt_tokens;
    }
    return p;
}

static plan_phase phase_of_evaluation(const recipe *r, const plan_data *d) {
    evaluate_options o = evaluate_options_of(r);
    plan_phase p = evaluation_of(r, d, &o, "evaluate");
    int64_t every = r->run.eval_every, iterations = r->run.iterations;
    p.times = d->test_problems == 0 ? 0
                                    : 1 + (iterations == 0 ? 0
                                           : every > 0     ? (iterations + every - 1) / every
                                                           : 1);
    return p;
}

/* What is evaluated besides at the two ends. */
static plan_phase phase_of_comparison(const recipe *r, const plan_data *d) {
    evaluate_options o[EVALUATE_BESIDES];
    int n = evaluate_options_besides(r, o);
    plan_phase sum = {.name = "compare"};
    if (n > 0 && d->test_problems > 0) sum.times = r->run.iterations > 0 ? 2 : 1;
    for (int i = 0; i < n; i++) {
        plan_phase p = evaluation_of(r, d, &o[i], "compare");
        sum.sampled += p.sampled;
        sum.prefilled += p.prefilled;
    }
    return sum;
}

plan plan_make(const recipe *r, const model_config *config, const plan_data *data, const plan_rates *rates) {
    tree_cost cost = r->run.iterations > 0 ? cost_of_tree(r, &r->search.config, data) : (tree_cost){0};
    plan p = {.memory = plan_memory_of(r, config, data->longest),
              .nodes = cost.nodes,
              .pairs = cost.pairs,
              .right_chains = cost.chains,
              .data = *data,
              .rates = *rates};
    p.phases[0] = phase_of_sft(r, data);
    p.phases[1] = trees("search", search_config_reads(&r->search.config), data, &cost,
                        problems_searched(r, data, &cost));
    p.phases[1].times = r->run.iterations;
    p.phases[2] = phase_of_learning(r, data, &cost);
    p.phases[3] = phase_of_evaluation(r, data);
    p.phases[4] = phase_of_comparison(r, data);
    for (int i = 0; i < PLAN_PHASES; i++) {
        p.phases[i].seconds = seconds_of(&p.phases[i], rates);
        p.seconds += p.phases[i].seconds * (double)p.phases[i].times;
    }
    return p;
}

esp_status plan_session(session *s, const plan_rates *rates, plan *out, esp_error *error) {
    const recipe *r = s->recipe;
    model_config config;
    plan_data data;
    plan_rates measured;
    ESP_TRY(model_read_config(&config, r->model.path, error));
    ESP_TRY(read_data(s, &data, error));
    if (!rates) {
        int64_t width = r->run.wave * r->search.config.limits.breadth, limit = ENGINE_USUAL_SEQUENCES;
        ESP_TRY(plan_measure(&config, s->compute, width < limit ? width : limit, &measured, error));
        if (r->model.recompute) measured.train = 1 / (1 / measured.train + 1 / measured.prefill);
        rates = &measured;
    }
    *out = plan_make(r, &config, &data, rates);
    return ESP_OK;
}

/* ---- out ---- */

static json_t *phases_json(const plan *p) {
    json_t *phases = json_array();
    for (int i = 0; i < PLAN_PHASES; i++) {
        const plan_phase *f = &p->phases[i];
        json_array_append_new(phases, json_pack("{s:s, s:I, s:f, s:f, s:f, s:I, s:f}", "name", f->name,
                                                "times", (json_int_t)f->times, "sampled", f->sampled,
                                                "prefilled", f->prefilled, "trained", f->trained, "updates",
                                                (json_int_t)f->updates, "seconds", f->seconds));
    }
    return phases;
}

static json_t *data_json(const plan_data *d) {
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "train_problems",
                     (json_int_t)d->train_problems, "test_problems", (json_int_t)d->test_problems,
                     "sft_problems", (json_int_t)d->sft_problems, "prompt_tokens", d->prompt_tokens,
                     "judge_tokens", d->judge_tokens, "suffix_tokens", d->suffix_tokens, "steps", d->steps,
                     "step_tokens", d->step_tokens, "longest", d->longest, "right", d->right);
}

json_t *plan_json(const plan *p) {
    const plan_memory *m = &p->memory;
    json_t *memory =
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "weights", m->weights, "masters", m->masters,
                  "optimizer", m->optimizer, "activations", m->activations, "kv", m->kv, "reference",
                  m->reference, "total", m->total, "available", m->available);
    json_t *speeds = json_pack("{s:f, s:f, s:I, s:f, s:f}", "prefill", p->rates.prefill, "decode",
                               p->rates.decode, "decode_width", (json_int_t)p->rates.decode_width, "train",
                               p->rates.train, "update", p->rates.update);
    return json_pack("{s:o, s:o, s:f, s:f, s:f, s:f, s:o, s:o}", "memory", memory, "phases", phases_json(p),
                     "nodes", p->nodes, "pairs", p->pairs, "right_chains", p->right_chains, "seconds",
                     p->seconds, "data", data_json(&p->data), "rates", speeds);
}

static void put_time(text_buffer *out, double seconds) {
    long s = lround(seconds);
    if (s >= 3600)
        text_printf(out, "%ld h %02ld min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        text_printf(out, "%ld min %02ld s", s / 60, s % 60);
    else
        text_printf(out, "%.1f s", seconds);
}

static void put_memory(text_buffer *out, const plan_memory *m) {
    const struct {
        const char *name;
        double bytes;
    } parts[] = {
        {"weights", m->weights},         {"masters (f32)", m->masters}, {"gradients and AdamW", m->optimizer},
        {"activations", m->activations}, {"reference", m->reference},   {"KV cache", m->kv},
        {"most at one time", m->total},  {"free now", m->available}};
    text_puts(out, "memory\n");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        text_printf(out, "  %-22s %9.2f GB\n", parts[i].name, parts[i].bytes / 1e9);
}

void plan_table(const plan *p, text_buffer *out) {
    put_memory(out, &p->memory);
    text_printf(out, "\n%-10s %6s %14s %14s %14s %9s  %s\n", "phase", "times", "sampled", "prefilled",
                "trained", "updates", "time each");
    for (int i = 0; i < PLAN_PHASES; i++) {
        const plan_phase *f = &p->phases[i];
        if (f->times == 0) continue;
        text_printf(out, "%-10s %6lld %14.0f %14.0f %14.0f %9lld  ", f->name, (long long)f->times, f->sampled,
                    f->prefilled, f->trained, (long long)f->updates);
        put_time(out, f->seconds);
        text_puts(out, "\n");
    }
    text_puts(out, "in all: about ");
    put_time(out, p->seconds);
    text_printf(
        out,
        "\n\na tree: about %.0f nodes, %.1f pairs, %.1f correct chains, if %.0f%% of all chains are correct\n"
        "a rationale: %.1f steps of %.0f tokens; a prompt: %.0f\n"
        "speeds: prefill %.0f, decode %.0f (%lld side by side), training %.0f tokens/s, an update %.2f s\n",
        p->nodes, p->pairs, p->right_chains, 100 * p->data.right, p->data.steps, p->data.step_tokens,
        p->data.prompt_tokens, p->rates.prefill, p->rates.decode, (long long)p->rates.decode_width,
        p->rates.train, p->rates.update);
}
