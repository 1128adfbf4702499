/* Judge rows from what the policy itself writes: chains are sampled, graded, and cut at their steps. */
#include "loop/judge_rows.h"
#include "policy/problem_chains.h"

#include <stdlib.h>

/* Keeps these random numbers apart from all others of a run ("own"). */
static const uint64_t own_word = 0x6f776e, cut_word = 0x637574;
/* What is drawn from the key of a cut, by counter. */
enum { DRAW_RANK, DRAW_EXAMPLE };

/* What is kept of a finished chain. */
typedef struct {
    int64_t problem; /* place in the caller's array */
    int64_t chain;   /* of the problem */
    bool right;
    bool unknown;           /* nobody can say: it makes no rows */
    int64_t ticket;         /* what a grader from outside was asked; -1: nothing */
    token_list ids;         /* without end-of-sequence */
    MEM_LIST(int32_t) ends; /* ids up to the end of each step, rising */
} own_chain;

/* The first steps of a chain: a row that could be. */
typedef struct {
    int64_t chain; /* place in the list of chains */
    int32_t end;   /* ids */
    bool mixed;    /* the problem has correct chains and incorrect ones */
    uint64_t rank; /* drawn; the lowest are taken */
} own_cut;

typedef MEM_LIST(own_cut) cut_list;

typedef struct {
    session *s;
    sampler *policy;
    const problem *problems;
    int64_t count, each; /* problems; chains of each */
    MEM_LIST(own_chain) chains;
    judge_own_counts *counts;
} own_work;

static rng_key_t chain_key(void *user, int64_t problem, int64_t chain) {
    const own_work *w = user;
    rng_key_t key = rng_mix(rng_key((uint64_t)w->s->recipe->run.seed), own_word);
    return rng_mix(rng_mix(key, (uint64_t)w->problems[problem].index), (uint64_t)chain);
}

static rng_key_t cut_key(own_work *w, const own_chain *chain, int32_t end) {
    return rng_mix(rng_mix(chain_key(w, chain->problem, chain->chain), cut_word), (uint64_t)end);
}

/* ---- chains ---- */

static void progress(void *user, int64_t done, int64_t sampled) {
    const own_work *w = user;
    observer_step(&w->s->observer, done, "%lld tokens sampled", (long long)sampled);
}

static void set_verdict(own_chain *c, grade_verdict verdict) {
    c->right = verdict == GRADE_EQUAL;
    c->unknown = verdict == GRADE_UNKNOWN;
}

/* A chain that did not finish has no answer, and for one that cannot be judged there is no label either. */
static void take_chain(void *user, int64_t problem, int64_t chain, const chain_job *job) {
    own_work *w = user;
    w->counts->chains++;
    if (!job->finished) {
        w->counts->unfinished++;
        return;
    }
    own_chain kept = {.problem = problem, .chain = chain, .ticket = -1};
    if (w->s->grader) {
        kept.ticket = grader_ask(w->s->grader, &w->problems[problem], job->text.at, job->text.length);
    } else {
        task_grade_result g = task_grade(w->s->task, &w->problems[problem], job->text.at, job->text.length);
        set_verdict(&kept, g.verdict);
        task_grade_free(&g);
    }
    int64_t n = job->ids.count;
    while (n > 0 && prompt_is_end(w->s->words, job->ids.at[n - 1])) n--; /* the judge sees none */
    MEM_LIST_APPEND(&kept.ids, job->ids.at, n);
    int32_t last = 0;
    for (int64_t i = 0; i < job->ends.count; i++) {
        int32_t end = job->ends.at[i] < n ? job->ends.at[i] : (int32_t)n;
        if (end > last) MEM_LIST_PUSH(&kept.ends, end);
        last = end;
    }
    MEM_LIST_PUSH(&w->chains, kept);
}

static esp_status take_verdicts(own_work *w, esp_error *error) {
    for (int64_t i = 0; i < w->chains.count; i++) {
        own_chain *c = &w->chains.at[i];
        grader_verdict v;
        if (c->ticket >= 0) {
            ESP_TRY(grader_take(w->s->grader, c->ticket, &v, error));
            set_verdict(c, v.verdict);
        }
        w->counts->right += c->right;
        w->counts->unknown += c->unknown;
    }
    return ESP_OK;
}

static esp_status sample_all(own_work *w, esp_error *error) {
    const recipe *r = w->s->recipe;
    problem_chains chains = {.problems = w->problems,
                             .count = w->count,
                             .each = w->each,
                             .temperature = (float)r->search.temperature,
                             .max_tokens = (int32_t)r->search.max_chain_tokens,
                             .key = chain_key,
                             .take = take_chain,
                             .progress = progress,
                             .user = w};
    token_counts counts;
    observer_begin(&w->s->observer, "sft: own chains", w->count * w->each, "chains");
    esp_status status = problem_chains_run(w->policy, &chains, &counts, error);
    observer_end(&w->s->observer);
    w->counts->tokens_sampled = counts.sampled;
    return status == ESP_OK ? take_verdicts(w, error) : status;
}

/* ---- cuts ---- */

/* Of all chains, in their order. both[0] gets those of incorrect chains, both[1] those of correct ones. */
static void list_cuts(own_work *w, cut_list both[2]) {
    bool *has = MEM_ARRAY(bool, 2 * w->count + 1);
    for (int64_t c = 0; c < w->chains.count; c++)
        if (!w->chains.at[c].unknown) has[2 * w->chains.at[c].problem + w->chains.at[c].right] = true;
    for (int64_t c = 0; c < w->chains.count; c++) {
        const own_chain *chain = &w->chains.at[c];
        for (int64_t i = 0; i < chain->ends.count && !chain->unknown; i++) {
            own_cut cut = {.chain = c,
                           .end = chain->ends.at[i],
                           .mixed = has[2 * chain->problem] && has[2 * chain->problem + 1],
                           .rank = rng_bits(cut_key(w, chain, chain->ends.at[i]), DRAW_RANK)};
            MEM_LIST_PUSH(&both[chain->right], cut);
        }
    }
    mem_free(has);
}

/* Problems that have both kinds come first: what sets two chains of one problem apart is in their steps. */
static int by_rank(const void *a, const void *b) {
    const own_cut *x = a, *y = b;
    if (x->mixed != y->mixed) return x->mixed ? -1 : 1;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    if (x->chain != y->chain) return x->chain < y->chain ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int by_place(const void *a, const void *b) {
    const own_cut *x = a, *y = b;
    if (x->chain != y->chain) return x->chain < y->chain ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Chooses as many correct as incorrect cuts, `want` in all if there are enough, in the order of the chains.
 */
static void choose(cut_list both[2], int64_t want, cut_list *out) {
    int64_t each = want / 2;
    for (int i = 0; i < 2; i++)
        if (both[i].count < each) each = both[i].count;
    for (int i = 0; i < 2; i++) {
        if (each) qsort(both[i].at, (size_t)both[i].count, sizeof *both[i].at, by_rank);
        for (int64_t c = 0; c < each; c++) MEM_LIST_PUSH(out, both[i].at[c]);
    }
    if (each) qsort(out->at, (size_t)out->count, sizeof *out->at, by_place);
}

/* ---- rows ---- */

static esp_status make_rows(own_work *w, const cut_list *cuts, judge_row_list *out, esp_error *error) {
    bool gold = w->s->recipe->self_eval.example == RECIPE_EXAMPLE_GOLD;
    for (int64_t i = 0; i < cuts->count; i++) {
        const own_cut *cut = &cuts->at[i];
        const own_chain *chain = &w->chains.at[cut->chain];
        bool example = gold && (rng_bits(cut_key(w, chain, cut->end), DRAW_EXAMPLE) & 1);
        judge_row row;
        ESP_TRY(judge_row_of_ids(w->s->words, &w->problems[chain->problem], example, chain->ids.at, cut->end,
                                 chain->right, &row, error));
        MEM_LIST_PUSH(out, row);
    }
    return ESP_OK;
}

static esp_status choose_rows(own_work *w, int64_t want, judge_row_list *out, esp_error *error) {
    cut_list both[2] = {{0}}, chosen = {0};
    list_cuts(w, both);
    w->counts->right_cuts = both[1].count;
    w->counts->wrong_cuts = both[0].count;
    choose(both, want, &chosen);
    esp_status status = ESP_OK;
    if (want > 1 && chosen.count == 0)
        status = error_fail(
            error, "raise sft.judge_chains or sft.judge_limit, or set sft.judge_source: corrupted",
            "the policy's own chains cannot train a judge: of %lld, %lld are correct, %lld incorrect, %lld "
            "unfinished, %lld cannot be judged",
            (long long)w->counts->chains, (long long)w->counts->right,
            (long long)(w->counts->chains - w->counts->right - w->counts->unfinished - w->counts->unknown),
            (long long)w->counts->unfinished, (long long)w->counts->unknown);
    if (status == ESP_OK) status = make_rows(w, &chosen, out, error);
    MEM_LIST_FREE(&both[0]);
    MEM_LIST_FREE(&both[1]);
    MEM_LIST_FREE(&chosen);
    return status;
}

esp_status judge_rows_own(session *s, sampler *policy, const problem *problems, int64_t n, int64_t want,
                          judge_row_list *out, judge_own_counts *counts, esp_error *error) {
    *out = (judge_row_list){0};
    *counts = (judge_own_counts){0};
    own_work w = {.s = s,
                  .policy = policy,
                  .problems = problems,
                  .count = n,
                  .each = s->recipe->sft.judge_chains,
                  .counts = counts};
    esp_status status = sample_all(&w, error);
    if (status == ESP_OK) status = choose_rows(&w, want, out, error);
    for (int64_t i = 0; i < w.chains.count; i++) {
        MEM_LIST_FREE(&w.chains.at[i].ids);
        MEM_LIST_FREE(&w.chains.at[i].ends);
    }
    MEM_LIST_FREE(&w.chains);
    if (status != ESP_OK) judge_row_list_free(out);
    return status;
}

void judge_row_list_free(judge_row_list *rows) {
    for (int64_t i = 0; i < rows->count; i++) judge_row_free(&rows->at[i]);
    MEM_LIST_FREE(rows);
}
