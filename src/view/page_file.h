/* A page as a file: the pieces of src/view/page with a document in their place. */
#ifndef ESPALIER_VIEW_PAGE_FILE_H
#define ESPALIER_VIEW_PAGE_FILE_H

#include "view/document.h"

#include "base/error.h"

/* The most bytes of a page around its document. */
int64_t page_bytes(void);
/* Writes the page atomically (base/file.h). *bytes: of the whole page. */
esp_status page_write(const char *path, const document *d, int64_t *bytes, esp_error *error);

#endif
