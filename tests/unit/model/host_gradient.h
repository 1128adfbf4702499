/* A backward pass whose gradient comes back to the host. */
#ifndef TEST_MODEL_HOST_GRADIENT_H
#define TEST_MODEL_HOST_GRADIENT_H

#include "compute_support.h"
#include "model/model.h"
#include "support.h"

typedef esp_status backward_call(model *m, const token_tree *tree, const float *dlogprob, float *gradient,
                                 esp_error *error);

/* The gradient alone, to be freed by mem_free. */
static inline float *host_gradient(backward_call *backward, model *m, const token_tree *tree,
                                   const float *dlogprob) {
    compute *c = model_operations(m);
    esp_error failure = {0};
    int64_t n = model_parameter_count(m);
    float *gradient = c->ops->buffer_new(c, (size_t)n * sizeof *gradient, "gradient");
    assert_non_null(gradient);
    c->ops->zero(c, gradient, (size_t)n * sizeof *gradient);
    if (backward(m, tree, dlogprob, gradient, &failure) != ESP_OK) fail_msg("%s", failure.message);
    float *copy = host_copy(c, gradient, n);
    c->ops->buffer_free(c, gradient);
    return copy;
}

#endif
