/* The trainer from inside. Private to src/learn/trainer*.c, and to its test. */
#ifndef ESPALIER_LEARN_TRAINER_INNER_H
#define ESPALIER_LEARN_TRAINER_INNER_H

#include "learn/pack.h"
#include "learn/trainer.h"

struct trainer {
    model *m;
    trainer_settings settings;
    float *gradient, *moment1, *moment2; /* these and the next: buffers of one number per parameter */
    float *aside; /* with an average: the weights that are not in the model, raw or averaged; else NULL */
    bool shows_average; /* the model holds the average, `aside` the raw weights */
    int64_t updates, size;
};

/* The model holds the raw weights from here on: what gradients and updates are of. */
esp_status trainer_show_raw(trainer *t, esp_error *error);

#endif
