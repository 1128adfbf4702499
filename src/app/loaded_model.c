#include "app/loaded_model.h"

#include "model/adapter_file.h"
#include "store/store.h"

esp_status loaded_model_open(loaded_model *out, const model_flags *flags, bool trainable, esp_error *error) {
    *out = (loaded_model){.path = flags->model};
    bool known; /* where it is not, there is nothing to compare with */
    ESP_TRY(store_check_model(flags->model, &known, error));
    ESP_TRY(compute_new(&out->compute, compute_kind(flags->compute), flags->dtype ? DTYPE_F32 : DTYPE_BF16,
                        (int)flags->threads, error));
    model_options options = {.compute = out->compute,
                             .trainable = trainable,
                             .recompute = flags->recompute,
                             .context = flags->context};
    esp_status status = model_open(&out->model, flags->model, &options, error);
    if (status != ESP_OK) loaded_model_close(out);
    return status;
}

esp_status loaded_model_need_tokenizer(loaded_model *p, esp_error *error) {
    return p->tokenizer ? ESP_OK : adapter_tokenizer_open(&p->tokenizer, p->path, error);
}

void loaded_model_close(loaded_model *p) {
    tokenizer_close(p->tokenizer);
    model_free(p->model);
    compute_free(p->compute);
    *p = (loaded_model){0};
}
