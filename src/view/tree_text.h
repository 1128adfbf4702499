/* A search tree as lines of text for a terminal: branches on the left; steps, cut or wrapped to the width;
 * visits N, value Q and confidence C on the right; marks for the committed path, for chosen and rejected
 * steps, and for correct and incorrect ends. The most visited sibling comes first and the committed step
 * last. A pure function from rows of the store to text. */
#ifndef ESPALIER_VIEW_TREE_TEXT_H
#define ESPALIER_VIEW_TREE_TEXT_H

#include "store/store.h"
#include "view/display.h"

typedef struct {
    display display;
    int64_t depth; /* levels of steps to show; 0: all */
    bool all;      /* every step, also unvisited ones, with its whole text */
} tree_text_options;

/* One tree from the store. pairs: those of this tree. problem may be NULL. */
typedef struct {
    const store_tree *tree;
    const store_problem *problem;
    const store_nodes *nodes;
    const store_pairs *pairs;
} tree_text_input;

/* Appends the drawing. Without `all`, a step's text has at most 12 lines on the committed path and in a pair,
 * and one line elsewhere, and only one of several unvisited siblings is shown. Fails if the rows are not a
 * tree (a parent that does not come before its child). */
esp_status tree_text(text_buffer *out, const tree_text_input *input, const tree_text_options *options,
                     esp_error *error);

#endif
