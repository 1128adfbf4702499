#include "learn/update_loop.h"

#include "base/clock.h"

/* The report is of both; rows and updates are counted by the first alone. */
static esp_status add_beside(batches *b, trainer *t, int64_t update, learn_report *report, esp_error *error) {
    learn_report more;
    ESP_TRY(batches_add(b, t, update, &more, error));
    report->tokens += more.tokens;
    report->tokens_computed += more.tokens_computed;
    report->loss += more.loss;
    for (int i = 0; i < more.metric_count && report->metric_count < LEARN_METRICS; i++)
        report->metrics[report->metric_count++] = more.metrics[i];
    return ESP_OK;
}

esp_status updates_make(trainer *t, const updates_plan *plan, esp_error *error) {
    for (int64_t u = plan->first; u < plan->count; u++) {
        double began = clock_seconds();
        update_report report = {.update = u + 1, .rate = plan->rate(plan->context, u)};
        ESP_TRY(batches_add(plan->batches, t, u, &report.batch, error));
        if (plan->beside) ESP_TRY(add_beside(plan->beside, t, u, &report.batch, error));
        ESP_TRY(trainer_update(t, report.rate, &report.grad_norm, error));
        report.seconds = clock_seconds() - began;
        ESP_TRY(plan->done(plan->context, &report, error));
    }
    return ESP_OK;
}
