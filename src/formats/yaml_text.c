#include "formats/yaml_text.h"

#include <stdio.h>
#include <string.h>

static esp_status parser_fail(const yaml_parser_t *parser, const char *name, esp_error *error) {
    const char *problem = parser->problem ? parser->problem : "not YAML";
    if (parser->error == YAML_READER_ERROR)
        return error_fail(error, "save the file as UTF-8 text", "%s: byte %zu: %s", name,
                          parser->problem_offset, problem);
    return error_fail(error, "check the indentation and the quotes near there", "%s:%zu:%zu: %s%s%s", name,
                      parser->problem_mark.line + 1, parser->problem_mark.column + 1, problem,
                      parser->context ? " " : "", parser->context ? parser->context : "");
}

static esp_status check_one_document(yaml_parser_t *parser, const char *name, esp_error *error) {
    yaml_text second = {.name = name};
    if (!yaml_parser_load(parser, &second.document)) return parser_fail(parser, name, error);
    yaml_node_t *root = yaml_document_get_root_node(&second.document);
    esp_status status =
        root ? yaml_text_fail(&second, root, error, "keep one", "a second YAML document in the file")
             : ESP_OK;
    yaml_document_delete(&second.document);
    return status;
}

esp_status yaml_text_open(yaml_text *out, const char *name, const char *yaml, size_t length,
                          esp_error *error) {
    yaml_parser_t parser;
    *out = (yaml_text){.name = name};
    if (!yaml_parser_initialize(&parser))
        return error_fail(error, "free some memory", "%s: no memory for YAML", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, length);
    esp_status status =
        yaml_parser_load(&parser, &out->document) ? ESP_OK : parser_fail(&parser, name, error);
    bool loaded = status == ESP_OK;
    /* After the end of the stream there is nothing to load. */
    if (loaded && yaml_document_get_root_node(&out->document))
        status = check_one_document(&parser, name, error);
    if (loaded && status != ESP_OK) yaml_document_delete(&out->document);
    yaml_parser_delete(&parser);
    return status;
}

void yaml_text_close(yaml_text *t) {
    yaml_document_delete(&t->document);
}

const yaml_node_t *yaml_text_root(yaml_text *t) {
    const yaml_node_t *root = yaml_document_get_root_node(&t->document);
    bool empty = !root || (root->type == YAML_SCALAR_NODE && !*yaml_scalar(root));
    return empty ? NULL : root;
}

const yaml_node_t *yaml_text_node(yaml_text *t, int index) {
    return yaml_document_get_node(&t->document, index);
}

bool yaml_is_nothing(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return false;
    const char *text = yaml_scalar(node);
    return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

char *yaml_text_place(const yaml_text *t, const yaml_node_t *at) {
    return mem_printf("%s:%zu:%zu", t->name, at->start_mark.line + 1, at->start_mark.column + 1);
}

esp_status yaml_text_fail(const yaml_text *t, const yaml_node_t *at, esp_error *error, const char *hint,
                          const char *format, ...) {
    char message[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    char *where = yaml_text_place(t, at);
    esp_status status = error_fail(error, hint, "%s: %s", where, message);
    mem_free(where);
    return status;
}
