#include "eval/area.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 1000 };

static rng_key_t draw_key(int64_t resample) {
    return rng_mix(rng_key(UINT64_C(0x61726561)), (uint64_t)resample); /* "area" */
}

/* ---- rows in order, clusters numbered from 0 ---- */

static int compare(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int by_cluster(const void *a, const void *b) {
    return compare(((const area_row *)a)->cluster, ((const area_row *)b)->cluster);
}

static int by_score(const void *a, const void *b) {
    double x = ((const area_row *)a)->score, y = ((const area_row *)b)->score;
    return (x > y) - (x < y);
}

static int by_group(const void *a, const void *b) {
    int order = compare(((const area_row *)a)->group, ((const area_row *)b)->group);
    return order ? order : by_score(a, b);
}

/* A copy of the rows, freed by mem_free, with clusters 0 .. *clusters - 1. */
static area_row *number_clusters(const area_row *rows, int64_t n, int64_t *clusters) {
    area_row *out = MEM_ARRAY(area_row, n + 1);
    if (n > 0) memcpy(out, rows, (size_t)n * sizeof *rows);
    if (n > 0) qsort(out, (size_t)n, sizeof *out, by_cluster);
    int64_t number = 0;
    for (int64_t i = 0, before = 0; i < n; i++) {
        if (i > 0 && out[i].cluster != before) number++;
        before = out[i].cluster;
        out[i].cluster = number;
    }
    *clusters = n > 0 ? number + 1 : 0;
    return out;
}

static bool has_nan(const area_row *rows, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (isnan(rows[i].score)) return true;
    return false;
}

/* ---- the bootstrap ---- */

/* How often each cluster is drawn, into times [n]. */
static void draw(int64_t resample, int64_t n, int64_t *times) {
    rng_key_t key = draw_key(resample);
    memset(times, 0, (size_t)n * sizeof *times);
    for (int64_t i = 0; i < n; i++) times[rng_below(key, (uint64_t)i, (uint64_t)n)]++;
}

/* What a figure is when cluster c counts times[c] times. NAN: it is not defined then. */
typedef double figure(const void *data, const int64_t *times);

static metrics_interval bootstrap(figure *of, const void *data, double value, int64_t clusters) {
    if (isnan(value) || clusters < 2) return (metrics_interval){0, 1};
    if (value == 0 || value == 1) return metrics_wilson(value == 1 ? clusters : 0, clusters);
    int64_t *times = MEM_ARRAY(int64_t, clusters), count = 0;
    double *values = MEM_ARRAY(double, RESAMPLES);
    for (int64_t r = 0; r < RESAMPLES; r++) {
        draw(r, clusters, times);
        values[count] = of(data, times);
        count += !isnan(values[count]);
    }
    metrics_interval out = {0, 1};
    if (count > RESAMPLES / 2) out = metrics_percentiles(values, count);
    mem_free(times);
    mem_free(values);
    return out;
}

/* ---- pooled ---- */

typedef struct {
    const area_row *rows; /* by score */
    int64_t n;
} pool;

/* Pairs of a positive above a negative, ties half, over all such pairs; times NULL: every row once. */
static double pooled_area(const void *data, const int64_t *times) {
    const pool *p = data;
    double won = 0, below = 0, all_positives = 0;
    for (int64_t first = 0, i; first < p->n; first = i) {
        double classes[2] = {0}; /* negatives, positives of this score */
        for (i = first; i < p->n && p->rows[i].score == p->rows[first].score; i++)
            classes[p->rows[i].positive] += times ? (double)times[p->rows[i].cluster] : 1;
        won += classes[1] * (below + classes[0] / 2);
        below += classes[0];
        all_positives += classes[1];
    }
    double pairs = all_positives * below;
    return pairs > 0 ? won / pairs : (double)NAN;
}

area_pool area_pooled(const area_row *rows, int64_t n) {
    area_pool out = {.area = NAN, .interval = {0, 1}};
    int64_t clusters;
    area_row *own = number_clusters(rows, n, &clusters);
    for (int64_t i = 0; i < n; i++) out.positives += own[i].positive;
    out.negatives = n - out.positives;
    if (out.positives > 0 && out.negatives > 0 && !has_nan(own, n)) {
        qsort(own, (size_t)n, sizeof *own, by_score);
        pool p = {own, n};
        out.area = pooled_area(&p, NULL);
        out.interval = bootstrap(pooled_area, &p, out.area, clusters);
    }
    mem_free(own);
    return out;
}

/* ---- within groups ---- */

/* A cluster's comparisons. */
typedef struct {
    double won;
    int64_t compared;
} tally;

typedef struct {
    const tally *at;
    int64_t n;
} tallies;

static double shared(const void *data, const int64_t *times) {
    const tallies *t = data;
    double won = 0, compared = 0;
    for (int64_t i = 0; i < t->n; i++) {
        double weight = times ? (double)times[i] : 1;
        won += weight * t->at[i].won;
        compared += weight * (double)t->at[i].compared;
    }
    return compared > 0 ? won / compared : (double)NAN;
}

/* One group's rows, by score. */
static void add_group(const area_row *rows, int64_t n, tally *to) {
    int64_t positives = 0;
    for (int64_t i = 0; i < n; i++) positives += rows[i].positive;
    int64_t pairs = positives * (n - positives);
    if (pairs == 0) return;
    to->won += pooled_area(&(pool){rows, n}, NULL) * (double)pairs;
    to->compared += pairs;
}

area_share area_within(const area_row *rows, int64_t n) {
    area_share out = {.share = NAN, .interval = {0, 1}};
    if (has_nan(rows, n)) return out;
    int64_t clusters, used = 0;
    area_row *own = number_clusters(rows, n, &clusters);
    tally *all = MEM_ARRAY(tally, clusters + 1);
    if (n > 0) qsort(own, (size_t)n, sizeof *own, by_group);
    for (int64_t first = 0, i; first < n; first = i) {
        for (i = first; i < n && own[i].group == own[first].group;) i++;
        add_group(own + first, i - first, &all[own[first].cluster]);
    }
    for (int64_t c = 0; c < clusters; c++) {
        out.comparisons += all[c].compared;
        if (all[c].compared > 0) all[used++] = all[c];
    }
    tallies t = {all, used};
    out.clusters = used;
    out.share = shared(&t, NULL);
    out.interval = bootstrap(shared, &t, out.share, used);
    mem_free(own);
    mem_free(all);
    return out;
}
