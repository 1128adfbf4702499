#include "app/policy.h"

esp_status policy_open(policy *out, const policy_flags *flags, bool trainable, esp_error *error) {
    *out = (policy){.path = flags->model};
    ESP_TRY(compute_new(&out->compute, flags->compute ? "ref" : "cpu", flags->dtype ? DTYPE_F32 : DTYPE_BF16,
                        (int)flags->threads, error));
    model_options options = {.compute = out->compute,
                             .trainable = trainable,
                             .recompute = flags->recompute,
                             .context = flags->context};
    esp_status status = model_open(&out->model, flags->model, &options, error);
    if (status != ESP_OK) policy_close(out);
    return status;
}

esp_status policy_need_tokenizer(policy *p, esp_error *error) {
    return p->tokenizer ? ESP_OK : tokenizer_open(&p->tokenizer, p->path, error);
}

void policy_close(policy *p) {
    tokenizer_close(p->tokenizer);
    model_free(p->model);
    compute_free(p->compute);
    *p = (policy){0};
}
