#include "learn/update_loop.h"

#include "base/clock.h"

esp_status updates_make(trainer *t, const updates_plan *plan, esp_error *error) {
    for (int64_t u = plan->first; u < plan->count; u++) {
        double began = clock_seconds();
        update_report report = {.update = u + 1, .rate = plan->rate(plan->context, u)};
        ESP_TRY(batches_add(plan->batches, t, u, &report.batch, error));
        ESP_TRY(trainer_update(t, report.rate, &report.grad_norm, error));
        report.seconds = clock_seconds() - began;
        ESP_TRY(plan->done(plan->context, &report, error));
    }
    return ESP_OK;
}
