/* Searches: their requests become the engine's, and what the engine brings becomes replies. */
#include "base/clock.h"
#include "policy/answer.h"
#include "policy/dealer.h"
#include "policy/lm_policy.h"

#include <string.h>

enum {
    STEP_TOKENS = 16,  /* approximate number of tokens per step, for engine_replicas_run */
    GRADING_CALLS = 8, /* model calls that a tree waits for a grader from outside while others go on */
};

/* One search in flight. */
typedef struct {
    const lm_policy *p;
    search_job *job;
    const problem *gold; /* NULL where gold is not known: all that may be gold goes through here */
    sequence_group *group;
    step_rules rules;
    int32_t chain_limit, step_limit; /* tokens that a whole chain, and a step, may have */
    int32_t top;
    search_request request;
    /* of the request */
    MEM_LIST(engine_piece) path;
    MEM_LIST(answer_candidate) candidates;
    MEM_LIST(engine_sequence) sequences;
    MEM_LIST(engine_tail) tails;
    MEM_LIST(double) verdicts; /* log P("A"), log P("B") of each tail */
    MEM_LIST(double) said;     /* C of the last reply's candidates, where the policy says it (3.6) */
    MEM_LIST(int64_t) tickets; /* what a grader from outside was asked of each candidate; -1: nothing */
    int64_t sampled, gold_tokens;
    int64_t judge_prefix; /* tokens of the judge's prompt before the steps */
    bool judged;          /* at least once */
} tree;

/* The searches of one replica. */
typedef struct {
    lm_policy *p;
    dealer *jobs;
    int replica;
    replica_place *place;
    MEM_LIST(tree *) trees; /* by the number of their group */
} search_run;

/* ---- The tree's own arithmetic, clocked where the settings ask for it ---- */

static void note_tree_time(const lm_policy *p, double began) {
    if (p->set.tree_nanoseconds)
        __atomic_fetch_add(p->set.tree_nanoseconds, (int64_t)((clock_seconds() - began) * 1e9),
                           __ATOMIC_RELAXED);
}

static void next(tree *t) {
    double began = t->p->set.tree_nanoseconds ? clock_seconds() : 0;
    search_next(t->job->search, &t->request);
    note_tree_time(t->p, began);
}

static esp_status feed_search(const tree *t, const search_reply *reply, esp_error *error) {
    double began = t->p->set.tree_nanoseconds ? clock_seconds() : 0;
    esp_status status = search_feed(t->job->search, reply, error);
    note_tree_time(t->p, began);
    return status;
}

/* ---- Tokens from the engine ---- */

static engine_ask ask_candidate(void *user, int32_t i) {
    const tree *t = user;
    const answer_candidate *c = &t->candidates.at[i];
    return (engine_ask){.sample = !c->wants_eos,
                        .score = answer_scores_eos(c) ? prompt_eos(t->p->base.words) : -1,
                        .answers = c->reads_verdicts};
}

static bool take_candidate(void *user, int32_t i, const engine_token *token, int32_t *keep) {
    tree *t = user;
    answer_candidate *c = &t->candidates.at[i];
    c->verdict = (answer_verdict){token->answers[0], token->answers[1]};
    if (answer_take(t->p->base.words, c, token->token, token->logprob, token->score)) return true;
    *keep = c->finished || c->cut || c->whole_chain ? -1 : (int32_t)c->ids.count;
    return false;
}

static void take_gold(void *user, int32_t i, int64_t at, float logprob) {
    const tree *t = user;
    t->candidates.at[i].logprobs.at[at] = logprob;
}

static void take_verdict(void *user, int32_t tail, int verdict, float logprob) {
    const tree *t = user;
    t->verdicts.at[ENGINE_ANSWERS * tail + verdict] = (double)logprob;
}

static const engine_reader reader = {
    .ask = ask_candidate, .take = take_candidate, .known = take_gold, .tail = take_verdict};

/* ---- Requests ---- */

static void clear_request(tree *t) {
    for (int64_t i = 0; i < t->candidates.count; i++) answer_candidate_free(&t->candidates.at[i]);
    t->path.count = t->candidates.count = t->sequences.count = t->tails.count = t->verdicts.count = 0;
    t->tickets.count = 0;
}

static void set_path(tree *t, int32_t node) {
    const search *s = t->job->search;
    int32_t depth = search_node_at(s, node).depth, *path = MEM_ARRAY(int32_t, depth);
    search_path(s, node, path);
    for (int32_t d = 0; d < depth; d++) {
        search_node v = search_node_at(s, path[d]);
        MEM_LIST_PUSH(&t->path, ((engine_piece){path[d], v.ids, v.n}));
    }
    mem_free(path);
}

static engine_request request_of(tree *t, int prefix) {
    const prompt_words *w = t->p->base.words;
    const token_list *suffix = prompt_judge_suffix(w);
    return (engine_request){.prefix = prefix,
                            .path = t->path.at,
                            .pieces = (int32_t)t->path.count,
                            .sequences = t->sequences.at,
                            .sequence_count = (int32_t)t->sequences.count,
                            .tails = t->tails.at,
                            .tail_count = (int32_t)t->tails.count,
                            .suffix = suffix->at,
                            .suffix_count = suffix->count,
                            .answers = {prompt_verdict_id(w, false), prompt_verdict_id(w, true)},
                            .reader = &reader,
                            .user = t};
}

static void ask_judge(tree *t) {
    const search *s = t->job->search;
    set_path(t, search_node_at(s, t->request.node).parent);
    for (int32_t i = 0; i < t->request.count; i++) {
        search_node node = search_node_at(s, t->request.node + i);
        MEM_LIST_PUSH(&t->tails, ((engine_tail){node.ids, answer_judged_length(t->p->base.words, &node)}));
        for (int v = 0; v < ENGINE_ANSWERS; v++) MEM_LIST_PUSH(&t->verdicts, 0);
    }
    t->judged = true;
    engine_request r = request_of(t, PREFIX_JUDGE);
    group_request(t->group, &r);
}

/* The gold rationale's next step joins the candidates (docs/method.md 2.8). */
static esp_status add_gold(tree *t, const step_machine *machine, int64_t most, esp_error *error) {
    answer_candidate c;
    ESP_TRY(answer_gold_step(t->p->base.words, t->gold, t->job->search, t->request.node, machine,
                             t->request.to_end, &c, error));
    if (c.ids.count == 0) {
        answer_candidate_free(&c);
        return ESP_OK;
    }
    MEM_LIST_PUSH(&t->candidates, c);
    MEM_LIST_PUSH(&t->sequences,
                  ((engine_sequence){.most = most, .known = c.ids.at, .known_count = c.ids.count}));
    return ESP_OK;
}

static esp_status ask_candidates(tree *t, esp_error *error) {
    const search_request *r = &t->request;
    const search *s = t->job->search;
    t->rules.max_step_tokens = r->to_end ? INT32_MAX : t->step_limit;
    t->rules.size = r->to_end ? STEP_LINE : t->p->set.step_size;
    step_machine machine = answer_machine_at(t->p->base.words, &t->rules, s, r->node);
    int64_t most = t->chain_limit - search_path_ids(s, r->node, NULL);
    if (!r->to_end && most > t->step_limit) most = t->step_limit;
    set_path(t, r->node);
    const search_rewards *rewards = &search_config_of(s)->rewards;
    bool own = rewards->judge && rewards->judge_kind == SEARCH_JUDGE_NEXT_TOKEN;
    for (int32_t i = 0; i < r->count; i++) {
        MEM_LIST_PUSH(
            &t->candidates,
            ((answer_candidate){.whole_chain = r->to_end, .steps = machine, .reads_verdicts = own}));
        MEM_LIST_PUSH(&t->sequences,
                      ((engine_sequence){.most = most,
                                         .key = rng_mix(r->key, (uint64_t)(r->first_candidate + i)),
                                         .temperature = t->p->set.temperature}));
    }
    if (r->wants_gold && t->gold && t->gold->rationale) ESP_TRY(add_gold(t, &machine, most, error));
    engine_request request = request_of(t, PREFIX_POLICY);
    request.width = r->count + r->wants_gold;
    group_request(t->group, &request);
    return ESP_OK;
}

/* Nodes that a commitment passed over can never be expanded again; those above the current root stay, as what
 * the rest is computed from. */
static void leave_passed_over(engine *e, tree *t) {
    const search *s = t->job->search;
    int32_t top = search_top(s), count = search_node_count(s);
    if (top == t->top) return;
    t->top = top;
    uint8_t *needed = mem_alloc((size_t)count);
    for (int32_t v = 1; v < count; v++) {
        search_node node = search_node_at(s, v);
        needed[v] = v == top || (node.parent >= 0 && needed[node.parent]);
    }
    for (int32_t v = top; v >= 0; v = search_node_at(s, v).parent) needed[v] = 1;
    group_keep_only(e, t->group, needed, count);
    mem_free(needed);
}

/* The policy has said C of the new nodes already, where it sampled them. */
static esp_status reply_own(tree *t, esp_error *error) {
    const search_request *r = &t->request;
    double *c = MEM_ARRAY(double, r->count);
    for (int32_t i = 0; i < r->count; i++)
        c[i] = t->said.at[search_node_at(t->job->search, r->node + i).candidate];
    esp_status status =
        feed_search(t, &(search_reply){.confidences = c, .confidence_count = r->count}, error);
    mem_free(c);
    return status;
}

/* What the search asks of the engine. */
static esp_status next_asked(tree *t, esp_error *error) {
    next(t);
    while (t->request.kind == SEARCH_JUDGE && !search_config_reads(search_config_of(t->job->search))) {
        ESP_TRY(reply_own(t, error));
        next(t);
    }
    return ESP_OK;
}

static esp_status next_request(engine *e, tree *t, esp_error *error) {
    clear_request(t);
    ESP_TRY(next_asked(t, error));
    if (t->request.kind == SEARCH_DONE) {
        group_end(t->group);
        return ESP_OK;
    }
    leave_passed_over(e, t);
    if (t->request.kind == SEARCH_CANDIDATES) return ask_candidates(t, error);
    ask_judge(t);
    return ESP_OK;
}

/* ---- Replies ---- */

/* Asks the grader from outside about the candidates that are finished. Whether there are any. */
static esp_status ask_grader(tree *t, bool *asked, esp_error *error) {
    grader *g = t->p->set.grader;
    text_buffer text = {0};
    esp_status status = ESP_OK;
    *asked = false;
    for (int64_t i = 0; g && t->gold && i < t->candidates.count && status == ESP_OK; i++) {
        const answer_candidate *c = &t->candidates.at[i];
        int64_t ticket = -1;
        if (c->finished) {
            text_clear(&text);
            status = answer_chain_text(t->p->base.words, t->job->search, t->request.node, c, &text, error);
            if (status == ESP_OK) ticket = grader_ask(g, t->gold, text.at ? text.at : "", text.length);
            *asked = true;
        }
        MEM_LIST_PUSH(&t->tickets, ticket);
    }
    text_free(&text);
    return status;
}

/* Waits for the verdicts; out [candidates]. */
static esp_status take_verdicts(const tree *t, grader_verdict *out, esp_error *error) {
    for (int64_t i = 0; i < t->tickets.count; i++)
        if (t->tickets.at[i] >= 0) ESP_TRY(grader_take(t->p->set.grader, t->tickets.at[i], &out[i], error));
    return ESP_OK;
}

static esp_status reply_candidates(engine *e, tree *t, esp_error *error) {
    int32_t n = (int32_t)t->candidates.count;
    search *s = t->job->search;
    search_candidate *list = MEM_ARRAY(search_candidate, n);
    grader_verdict *verdicts = t->tickets.count > 0 ? MEM_ARRAY(grader_verdict, n) : NULL;
    answer_grading grading = {t->gold, t->p->set.worth, verdicts};
    esp_status status = take_verdicts(t, verdicts, error);
    if (status == ESP_OK)
        status =
            answer_reply(t->p->base.words, s, t->request.node, &grading, t->candidates.at, n, list, error);
    t->said.count = 0;
    for (int32_t i = 0; i < n; i++) {
        const answer_candidate *c = &t->candidates.at[i];
        MEM_LIST_PUSH(&t->said, c->reads_verdicts ? answer_own_confidence(c) : 0);
        if (c->gold)
            t->gold_tokens += c->ids.count;
        else
            t->sampled += c->ids.count + c->dropped;
    }
    int32_t before = search_node_count(s);
    if (status == ESP_OK)
        status = feed_search(t, &(search_reply){.candidates = list, .candidate_count = n}, error);
    mem_free(list);
    mem_free(verdicts);
    for (int32_t v = before; v < search_node_count(s) && status == ESP_OK; v++) {
        search_node node = search_node_at(s, v);
        if (!search_outcome_is_ended(node.outcome)) group_keep_sequence(e, t->group, node.candidate, v);
    }
    return status;
}

static esp_status reply_judge(engine *e, tree *t, esp_error *error) {
    const search_request *r = &t->request;
    double *c = MEM_ARRAY(double, r->count);
    for (int32_t i = 0; i < r->count; i++) {
        c[i] = answer_confidence(t->verdicts.at[2 * i], t->verdicts.at[2 * i + 1]);
        search_node node = search_node_at(t->job->search, r->node + i);
        if (!search_outcome_is_ended(node.outcome)) group_keep_tail(e, t->group, i, r->node + i);
    }
    esp_status status =
        feed_search(t, &(search_reply){.confidences = c, .confidence_count = r->count}, error);
    mem_free(c);
    return status;
}

static esp_status resumed(void *user, engine *e, sequence_group *g, esp_error *error) {
    (void)user;
    tree *t = group_user(g);
    ESP_TRY(reply_candidates(e, t, error));
    return next_request(e, t, error);
}

static esp_status finished(void *user, engine *e, sequence_group *g, esp_error *error) {
    tree *t = group_user(g);
    if (t->request.kind == SEARCH_JUDGE) {
        ESP_TRY(reply_judge(e, t, error));
        return next_request(e, t, error);
    }
    bool asked;
    ESP_TRY(ask_grader(t, &asked, error));
    if (!asked) return resumed(user, e, g, error);
    group_pause(e, g, GRADING_CALLS);
    return ESP_OK;
}

/* ---- Jobs ---- */

static void tree_clear(tree *t) {
    clear_request(t);
    MEM_LIST_FREE(&t->path);
    MEM_LIST_FREE(&t->candidates);
    MEM_LIST_FREE(&t->sequences);
    MEM_LIST_FREE(&t->tails);
    MEM_LIST_FREE(&t->verdicts);
    MEM_LIST_FREE(&t->said);
    MEM_LIST_FREE(&t->tickets);
}

static esp_status no_room(const prompt_words *w, const problem *p, const prompt_pair *prompts,
                          int64_t context, esp_error *error) {
    return error_fail(
        error, "leave the problem out, or use a model with a longer context",
        "problem %s: its prompt of %lld tokens (%lld for the judge) leaves no room for an answer in "
        "the context of %lld",
        p->id ? p->id : "?", (long long)prompts->of[PREFIX_POLICY].count,
        (long long)(prompts->of[PREFIX_JUDGE].count + prompt_judge_suffix(w)->count), (long long)context);
}

/* The prompts of the tree's group, and the limits that follow from them. */
static esp_status set_prompts(tree *t, bool judge, esp_error *error) {
    const lm_policy *p = t->p;
    const search_job *job = t->job;
    prompt_pair prompts;
    esp_status status =
        prompt_pair_make(p->base.words, job->problem, judge, job->gold_known && p->base.example,
                         p->base.context, &prompts, error);
    if (status == ESP_OK && prompts.room < 1)
        status = no_room(p->base.words, job->problem, &prompts, p->base.context, error);
    for (int i = 0; i < PREFIXES; i++) group_set_prompt(t->group, i, prompts.of[i].at, prompts.of[i].count);
    t->judge_prefix = prompts.of[PREFIX_JUDGE].count;
    t->chain_limit = prompts.room < p->set.max_chain_tokens ? (int32_t)prompts.room : p->set.max_chain_tokens;
    prompt_pair_free(&prompts);
    return status;
}

static esp_status prepare(engine *e, tree *t, esp_error *error) {
    const lm_policy *p = t->p;
    const search_job *job = t->job;
    bool judge = search_config_of(job->search)->rewards.judge;
    if (judge && (prompt_verdict_id(p->base.words, false) < 0 || prompt_verdict_id(p->base.words, true) < 0))
        return error_fail(error, "turn self-evaluation off for this model",
                          "the tokenizer has no token \"%s\" or \"%s\" for the judge's verdict",
                          task_verdict(prompt_task(p->base.words), false),
                          task_verdict(prompt_task(p->base.words), true));
    ESP_TRY(set_prompts(t, search_config_reads(search_config_of(job->search)), error));
    t->rules = lm_rules(p);
    t->rules.max_chain_tokens = t->chain_limit;
    t->step_limit = p->set.max_step_tokens;
    if (job->max_step_tokens > 0 && job->max_step_tokens < t->step_limit)
        t->step_limit = job->max_step_tokens;
    return next_request(e, t, error);
}

/* All jobs that there are now; wait: at least one, where there will be any. */
static esp_status more(void *user, engine *e, bool wait, esp_error *error) {
    search_run *run = user;
    search_job *job;
    for (; dealer_next(run->jobs, run->replica, wait, &job); wait = false) {
        tree *t = MEM_NEW(tree);
        *t = (tree){.p = run->p, .job = job, .gold = job->gold_known ? job->problem : NULL};
        t->group = engine_add_group(e, t);
        MEM_LIST_PUSH(&run->trees, t);
        ESP_TRY(prepare(e, t, error));
    }
    return ESP_OK;
}

/* What the searches of a lot share counts for its first. */
static esp_status done(void *user, engine *e, sequence_group *g, esp_error *error) {
    (void)e;
    search_run *run = user;
    tree *t = group_user(g);
    t->job->counts = lm_counts_of(group_counts(g), group_shared_counts(g));
    t->job->counts.sampled = t->sampled;
    t->job->counts.gold = t->gold_tokens;
    t->job->counts.judge_prefixes = t->judged ? t->judge_prefix : 0;
    tree_clear(t);
    return dealer_done(run->jobs, t->job, error);
}

static void progress(void *user, int64_t groups_done, int64_t sampled) {
    const search_run *run = user;
    replica_note(run->place, groups_done, sampled);
}

typedef struct {
    lm_policy *p;
    dealer jobs;
} search_work;

static esp_status search_on(void *user, engine *e, int replica, replica_place *place, esp_error *error) {
    search_work *work = user;
    search_run run = {.p = work->p, .jobs = &work->jobs, .replica = replica, .place = place};
    engine_client client = {.more = more,
                            .finished = finished,
                            .resumed = resumed,
                            .done = done,
                            .progress = progress,
                            .user = &run};
    dealer_enter(&work->jobs);
    esp_status status = engine_run(e, &client, error);
    dealer_leave(&work->jobs, status != ESP_OK);
    for (int64_t i = 0; i < run.trees.count; i++) {
        tree_clear(run.trees.at[i]);
        mem_free(run.trees.at[i]);
    }
    MEM_LIST_FREE(&run.trees);
    return status;
}

esp_status lm_search(sampler *s, const search_source *source, esp_error *error) {
    search_work work = {.p = (lm_policy *)s};
    int replicas = engine_replicas_for(work.p->replicas, source->expected);
    dealer_init(&work.jobs, source, replicas);
    esp_status status;
    do
        status = engine_replicas_run(work.p->replicas, replicas, STEP_TOKENS, search_on, &work,
                                     source->progress, source->user, error);
    while (status == ESP_OK && dealer_another_round(&work.jobs));
    dealer_destroy(&work.jobs);
    return status;
}
