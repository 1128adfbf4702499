/* One YAML document as a tree of nodes, and errors that name a place in it. */
#ifndef ESPALIER_FORMATS_YAML_TEXT_H
#define ESPALIER_FORMATS_YAML_TEXT_H

#include "base/error.h"
#include "base/memory.h"

#include <yaml.h>

typedef struct {
    const char *name; /* of the text, for errors */
    yaml_document_t document;
} yaml_text;

/* A text that is not YAML, and one with a second document, is an error. `name` must outlive *out. */
esp_status yaml_text_open(yaml_text *out, const char *name, const char *yaml, size_t length,
                          esp_error *error);
void yaml_text_close(yaml_text *t);

/* NULL for a text without content. */
const yaml_node_t *yaml_text_root(yaml_text *t);
const yaml_node_t *yaml_text_node(yaml_text *t, int index);
static inline const char *yaml_scalar(const yaml_node_t *node) {
    return (const char *)node->data.scalar.value;
}
/* A scalar that says that there is no value: nothing, `~`, `null`, without quotes. */
bool yaml_is_nothing(const yaml_node_t *node);

/* "name:line:column" of a node; freed by mem_free. */
char *yaml_text_place(const yaml_text *t, const yaml_node_t *at);
/* Fills error with the message after the node's place. */
esp_status yaml_text_fail(const yaml_text *t, const yaml_node_t *at, esp_error *error, const char *hint,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
