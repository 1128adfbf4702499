/* The two files a configuration is in, as sources and sinks (model/config_io.h). */
#ifndef ESPALIER_MODEL_CONFIG_FILES_H
#define ESPALIER_MODEL_CONFIG_FILES_H

#include "formats/gguf.h"
#include "model/config_io.h"

#include <jansson.h>

/* Borrow what they are given. `where`: the file, named in errors. */
config_source config_source_json(const json_t *object, const char *where);
config_source config_source_gguf(const gguf_file *file);
/* Adds to the object. */
config_sink config_sink_json(json_t *object);

#endif
