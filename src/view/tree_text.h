/* A search tree as lines of text for a terminal: box drawing on the left, the steps cut or wrapped to the
 * width, visits N, value Q and confidence C on the right; marks for the committed path, for chosen and
 * rejected steps and for right and wrong ends. Siblings stand with the most visited first and the committed
 * step last, so that the path runs down the end of each branch. Pure: rows of the store to text. */
#ifndef ESPALIER_VIEW_TREE_TEXT_H
#define ESPALIER_VIEW_TREE_TEXT_H

#include "store/store.h"
#include "view/display.h"

typedef struct {
    display display;
    int64_t depth; /* steps below the root that are shown; 0: all */
    bool all;      /* every step, also those never visited, each with its whole text */
} tree_text_options;

/* One tree as the store has it. pairs: those of this tree. problem may be NULL. */
typedef struct {
    const store_tree *tree;
    const store_problem *problem;
    const store_nodes *nodes;
    const store_pairs *pairs;
} tree_text_input;

/* Appends the picture. Without `all` a step's text takes at most 12 lines on the committed path and in a
 * pair, and one line elsewhere, and of several siblings that were never visited one is shown. Fails where the
 * rows are no tree (a parent that does not come before its child). */
esp_status tree_text(text_buffer *out, const tree_text_input *input, const tree_text_options *options,
                     esp_error *error);

#endif
