/* The page of a report, of curves or of the theory, embedded in the program: the HTML, CSS and JavaScript of
 * src/view/page with d3, and KaTeX with its fonts for pages that contain mathematics. tools/embed-page makes
 * the bytes when the program is built, so a page needs neither a network nor other files.
 *
 * A page is written as its pieces in order, with the data in its place:
 *     PAGE_HEAD, PAGE_KATEX (only if the data contains mathematics), PAGE_BODY, the data as one JSON object,
 * PAGE_TAIL */
#ifndef VIEW_PAGE_PAGE_H
#define VIEW_PAGE_PAGE_H
#include <stddef.h>

typedef enum {
    PAGE_HEAD,  /* up to the place of KaTeX: document type, title, style */
    PAGE_KATEX, /* KaTeX: a style element with its fonts and a script element */
    PAGE_BODY,  /* from there up to the opening of <script type="application/json" id="data"> */
    PAGE_TAIL,  /* from the closing of that script to the end: d3, the page's own code */
    PAGE_PIECES
} page_piece_name;

typedef struct {
    const char *bytes; /* UTF-8, static, not to be freed */
    size_t size;       /* in bytes, without the terminating null */
} page_piece;

/* A piece of the page. In the data between PAGE_BODY and PAGE_TAIL, `<`, `>`, `&`, U+2028 and U+2029 must be
 * escaped
 * (\u003c ...), so that no string can end the script element. */
page_piece page_piece_of(page_piece_name name);

#endif
