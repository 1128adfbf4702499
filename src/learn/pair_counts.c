/* What happened to the rows of a file, counted and said. */
#include "learn/pair_row.h"

void pairs_count_row(pairs_count *count, int64_t line) {
    if (count->rows++ == 0) count->first = line;
}

void pairs_count_decisions(pairs_counts *counts, const pair_row_ids *ids, int64_t line) {
    if (ids->open) pairs_count_row(&counts->open, line);
    if (ids->apart) pairs_count_row(&counts->apart, line);
    if (ids->moved) pairs_count_row(&counts->moved, line);
}

static void note(const pairs_counts *counts, pairs_count count, const char *what, const observer *o) {
    if (count.rows > 0)
        observer_note(o, "%lld of %lld pairs %s (first: line %lld)", (long long)count.rows,
                      (long long)counts->rows, what, (long long)count.first);
}

void pairs_notes(const pairs_counts *counts, int64_t longest, const observer *o) {
    char *too_long = mem_printf("are longer than %lld tokens, and are left out", (long long)longest);
    note(counts, counts->too_long, too_long, o);
    mem_free(too_long);
    note(counts, counts->identical, "have identical completions, and are left out", o);
    note(counts, counts->open,
         "end in a line break, and get no end-of-sequence: another line is to follow; "
         "with \"continues\": false they get one",
         o);
    note(counts, counts->apart,
         "have a token that would span the prompt's end: prompt and completion are tokenized as two texts",
         o);
    note(counts, counts->moved,
         "have a token that spans the prompt's end: the completion begins with that token", o);
}
