#include "theory/topic.h"

#include <math.h>
#include <stdio.h>

/* The tables in order, T1 first: theory_NAME, one per file. */
#define TOPICS(row) row(coverage) row(smoothing) row(confidence) row(iterations) row(depth) row(blind_spot)

#define DECLARE(name) extern const theory_topic theory_##name;
#define POINT(name)   &theory_##name,
TOPICS(DECLARE)
static const theory_topic *const topics[] = {TOPICS(POINT)};
static const char *const names[] = {"T1", "T2", "T3", "T4", "T5", "T6"};
enum { TABLES = sizeof topics / sizeof *topics };
_Static_assert(TABLES == sizeof names / sizeof *names, "every table has a name");

const char *theory_name(int index) {
    return index >= 0 && index < TABLES ? names[index] : NULL;
}

void theory_compute(int index, uint64_t seed, theory_table *out) {
    const theory_topic *topic = topics[index];
    *out = (theory_table){
        .name = names[index], .title = topic->title, .about = topic->about, .memory = arena_new()};
    topic->compute(out, rng_mix(rng_key(seed), (uint64_t)index));
}

void theory_free(theory_table *table) {
    for (int64_t i = 0; i < table->figures.count; i++) {
        theory_figure *figure = &table->figures.at[i];
        for (int64_t j = 0; j < figure->lines.count; j++) MEM_LIST_FREE(&figure->lines.at[j].points);
        MEM_LIST_FREE(&figure->lines);
    }
    MEM_LIST_FREE(&table->figures);
    MEM_LIST_FREE(&table->values);
    arena_free(table->memory);
    *table = (theory_table){0};
}

double theory_excess(const theory_value *v) {
    double difference = v->computed - v->prediction;
    if (!isfinite(difference)) return NAN;
    if (v->relation == THEORY_AT_LEAST) return fmax(0, -difference);
    if (v->relation == THEORY_AT_MOST) return fmax(0, difference);
    return fabs(difference);
}

bool theory_holds(const theory_value *v) {
    return theory_excess(v) <= v->allowed; /* false of NAN */
}

/* ---- making a table (topic.h) ---- */

void theory_add(theory_table *table, theory_value value, const char *format, ...) {
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    value.at = arena_strdup(table->memory, text);
    MEM_LIST_PUSH(&table->values, value);
}

theory_figure *theory_add_figure(theory_table *table, theory_figure figure) {
    MEM_LIST_PUSH(&table->figures, figure);
    return &table->figures.at[table->figures.count - 1];
}

theory_line *theory_add_line(theory_figure *figure, const char *name) {
    theory_line line = {.name = name};
    MEM_LIST_PUSH(&figure->lines, line);
    return &figure->lines.at[figure->lines.count - 1];
}

void theory_add_point(theory_line *line, double x, double y) {
    theory_point point = {x, y};
    MEM_LIST_PUSH(&line->points, point);
}
