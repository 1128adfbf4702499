#include "loop/choice.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* ---- the shuffle ---- */

static rng_key_t shuffle_key(const choice_settings *set, int64_t epoch) {
    return rng_mix(rng_mix(rng_key((uint64_t)set->seed), 0x6f72646572), (uint64_t)epoch); /* "order" */
}

void choice_shuffle(choice *out, const choice_settings *set) {
    *out = (choice){.set = *set, .order = MEM_ARRAY(int64_t, set->problems), .epoch = -1};
}

static int64_t next_of_shuffle(choice *c, int64_t ordinal, int64_t *turn) {
    int64_t n = c->set.problems, first = (c->set.iteration - 1) * c->set.per_iteration,
            place = first + ordinal, epoch = place / n;
    if (c->epoch != epoch) rng_shuffle(shuffle_key(&c->set, epoch), c->order, n);
    c->epoch = epoch;
    *turn = epoch - first / n;
    return c->order[place % n];
}

int64_t choice_at(choice *c, int64_t ordinal, int64_t *turn) {
    if (!c->learnable) return next_of_shuffle(c, ordinal, turn);
    *turn = ordinal / c->set.problems;
    return c->order[ordinal % c->set.problems];
}

void choice_free(choice *c) {
    mem_free(c->order);
    *c = (choice){0};
}

/* ---- how learnable a problem is (docs/method.md 1.4) ---- */

#define KAPPA   2.0  /* the weight of the pool's mean, in chains */
#define NOISE   0.05 /* scale of the Gumbel noise, as a share of the largest score */
#define KNOWN   0.95 /* E[q] above which a problem teaches nothing */
#define KNOWN_N 2    /* after this many draws in turn it rests */
#define REST    3    /* iterations that it then rests */
enum { SHUFFLED_EVERY = 10 };

/* What is known of a problem. */
typedef struct {
    double right, wrong; /* halved in each iteration that did not draw it */
    bool drawn;          /* in the iteration that is being read */
    int known;           /* draws in turn, up to the last, after which E[q] was above KNOWN */
    int64_t rests_until; /* the last iteration that leaves it out */
} record;

/* The share of correct chains in the pool, one of each added. */
static double mean_of(const record *records, int64_t n) {
    double right = 1, all = 2;
    for (int64_t i = 0; i < n; i++) right += records[i].right, all += records[i].right + records[i].wrong;
    return right / all;
}

typedef struct {
    double a, b; /* of the Beta distribution of q, the chance that a chain is correct */
} posterior;

static posterior posterior_of(const record *r, double mean) {
    return (posterior){r->right + KAPPA * mean, r->wrong + KAPPA * (1 - mean)};
}

/* E[q (1 - q)] */
static double learnable(posterior p) {
    double sum = p.a + p.b;
    return p.a * p.b / (sum * (sum + 1));
}

/* The iteration's trees are read: what was not drawn fades, what is known rests. */
static void end_iteration(record *records, int64_t n, int64_t iteration) {
    for (int64_t i = 0; i < n; i++)
        if (!records[i].drawn) records[i].right /= 2, records[i].wrong /= 2;
    double mean = mean_of(records, n);
    for (int64_t i = 0; i < n; i++) {
        record *r = &records[i];
        if (!r->drawn) continue;
        r->drawn = false;
        posterior p = posterior_of(r, mean);
        r->known = p.a / (p.a + p.b) > KNOWN ? r->known + 1 : 0;
        if (r->known < KNOWN_N) continue;
        r->known = 0;
        r->rests_until = iteration + REST;
    }
}

static record *read_records(const choice_settings *set, const choice_evidence *from, int64_t n) {
    record *records = MEM_ARRAY(record, set->problems);
    int64_t at = 0;
    for (int64_t iteration = 1; iteration < set->iteration; iteration++) {
        for (; at < n && from[at].iteration == iteration; at++) {
            record *r = &records[from[at].problem];
            r->right += (double)from[at].right;
            r->wrong += (double)from[at].wrong;
            r->drawn = true;
        }
        end_iteration(records, set->problems, iteration);
    }
    return records;
}

/* ---- the order of an iteration ---- */

typedef struct {
    double score;
    int64_t problem;
} ranked;

static int by_score(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->problem < y->problem ? -1 : x->problem > y->problem;
}

/* All problems by noisy score; those that rest come last. */
static ranked *rank_problems(const choice_settings *set, const record *records) {
    int64_t n = set->problems;
    ranked *all = MEM_ARRAY(ranked, n);
    double mean = mean_of(records, n), most = 0;
    for (int64_t i = 0; i < n; i++) {
        all[i] = (ranked){learnable(posterior_of(&records[i], mean)), i};
        most = fmax(most, all[i].score);
    }
    rng_key_t key = rng_mix(rng_mix(rng_key((uint64_t)set->seed), 0x63686f696365), /* "choice" */
                            (uint64_t)set->iteration);
    for (int64_t i = 0; i < n; i++) {
        double u = rng_uniform(key, (uint64_t)i) + 0x1p-54; /* in (0, 1) */
        all[i].score -= NOISE * most * log(-log(u));
        if (records[i].rests_until >= set->iteration) all[i].score = -INFINITY;
    }
    qsort(all, (size_t)n, sizeof *all, by_score);
    return all;
}

/* A list of problems to take from, in its order from place `at` on and around. */
typedef struct {
    const int64_t *problems;
    int64_t at;
} queue;

/* The next one that is not taken. */
static int64_t take(queue *q, int64_t n, bool *taken) {
    while (taken[q->problems[q->at % n]]) q->at++;
    int64_t problem = q->problems[q->at % n];
    taken[problem] = true;
    return problem;
}

void choice_learnable(choice *out, const choice_settings *set, const choice_evidence *from, int64_t n) {
    choice_shuffle(out, set);
    int64_t problems = set->problems, *by_rank = MEM_ARRAY(int64_t, problems),
            *shuffled = MEM_ARRAY(int64_t, problems);
    bool *taken = MEM_ARRAY(bool, problems);
    record *records = read_records(set, from, n);
    ranked *all = rank_problems(set, records);
    rng_shuffle(shuffle_key(set, 0), shuffled, problems);
    int64_t resting = 0;
    for (int64_t i = 0; i < problems; i++) {
        by_rank[i] = all[i].problem;
        resting += all[i].score == -INFINITY;
        taken[i] = records[i].rests_until >= set->iteration;
    }
    queue best = {by_rank, 0},
          next = {shuffled, (set->iteration - 1) * (set->per_iteration / SHUFFLED_EVERY)};
    for (int64_t i = 0; i < problems - resting; i++)
        out->order[i] = take(i % SHUFFLED_EVERY == SHUFFLED_EVERY - 1 ? &next : &best, problems, taken);
    for (int64_t i = problems - resting; i < problems; i++) out->order[i] = by_rank[i];
    out->learnable = true;
    mem_free(by_rank);
    mem_free(shuffled);
    mem_free(taken);
    mem_free(records);
    mem_free(all);
}
