/* Configurations in and out: which key of a config.json or of a GGUF file's metadata is which number. The
 * files themselves are hidden in callbacks (model/config_files.h). What an architecture has of its own it
 * reads and writes through the same callbacks (model/arch.h). What a configuration asks for and we do not
 * compute (other activations, sliding windows, unknown rotations) is refused by name, never ignored. */
#ifndef ESPALIER_MODEL_CONFIG_IO_H
#define ESPALIER_MODEL_CONFIG_IO_H

#include "model/config.h"

/* Values by key. In config.json a dot goes into an object ("rope_scaling.factor") or a list
 * ("architectures.0").
 */
typedef struct config_source {
    const void *from;
    const char *where; /* the file, named in errors */
    bool gguf;         /* keys are spelt as in GGUF metadata; otherwise as in config.json */
    /* Whether the key has a value; null is none. */
    bool (*has)(const void *from, const char *key);
    /* The value. Errors: the key is absent, or its value has another type. */
    esp_status (*integer)(const struct config_source *s, const char *key, int64_t *out, esp_error *error);
    esp_status (*number)(const struct config_source *s, const char *key, double *out, esp_error *error);
    esp_status (*flag)(const struct config_source *s, const char *key, bool *out, esp_error *error);
    esp_status (*text)(const struct config_source *s, const char *key, const char **out, esp_error *error);
    /* config.json: whether the key's value is one that others are in, an object or (`list`) a list. */
    bool (*holds)(const void *from, const char *key, bool list);
    /* config.json: the object under the key, as another `from`. */
    const void *(*inside)(const void *from, const char *key);
    /* GGUF: rows of the stored matrix of that name; 0: there is none. */
    int64_t (*rows)(const void *from, const char *tensor);
    /* GGUF: its first `count` numbers. */
    esp_status (*numbers)(const struct config_source *s, const char *tensor, int64_t count, float *out,
                          esp_error *error);
} config_source;

/* The tensor of a GGUF file that has the factors of the rotation's frequencies. */
#define CONFIG_ROPE_FACTORS "rope_freqs.weight"
/* And those that have longrope's. */
#define CONFIG_SHORT_FACTORS       "rope_factors_short.weight"
#define CONFIG_LONG_FACTORS_TENSOR "rope_factors_long.weight"

/* Keys as in config.json, each written once. */
typedef struct {
    void *to;
    void (*integer)(void *to, const char *key, int64_t value);
    void (*number)(void *to, const char *key, double value);
    void (*flag)(void *to, const char *key, bool value);
    void (*text)(void *to, const char *key, const char *value);
    void (*null)(void *to, const char *key);
} config_sink;

/* Finds the architecture, reads what all of them have and what that one has besides, and checks it all. */
esp_status config_read(model_config *out, const config_source *source, esp_error *error);
void config_write(const model_config *config, const config_sink *sink);

/* For the readers of architectures. An absent key gives the fallback. */
esp_status config_integer_or(const config_source *s, const char *key, int64_t fallback, int64_t *out,
                             esp_error *error);
esp_status config_number_or(const config_source *s, const char *key, double fallback, double *out,
                            esp_error *error);
/* An error where the flag is there and true: `hint` says what to use instead. */
esp_status config_refuse_flag(const config_source *s, const char *key, const char *hint, esp_error *error);

/* An error where the key has a value. */
esp_status config_refuse_value(const config_source *s, const char *key, const char *hint, esp_error *error);
/* A window in tokens; 0 where the key is absent: none. */
esp_status config_read_window(const config_source *s, const char *key, int64_t *out, esp_error *error);

#endif
