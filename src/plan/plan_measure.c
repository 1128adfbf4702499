/* Speeds of a model of a given shape on this machine, from one layer of it with random weights. A model's
 * last layer does only what is read of it, so a layer's cost is what a model of two takes beyond a model of
 * one. */
#include "plan/plan.h"
#include "base/clock.h"

#include "learn/trainer.h"

#include <string.h>

enum {
    MEASURE_WIDTH =
        2048, /* a wider model is measured narrower: products of this size run at the same speed */
    MEASURE_ROWS = 1 << 25, /* floats of the vocabulary's matrix that are made up; the rest is scaled */
    SHORT_TOKENS = 64,      /* of the first pass, which says whether the long ones are affordable */
    LONG_TOKENS = 512,
    PREFIX_TOKENS = 128, /* before the sequences that decode */
    TURNS = 3,           /* the fastest counts */
};
static const double long_enough = 0.25; /* seconds */

/* Models with one layer and with two, and how much more the whole one takes. */
typedef struct {
    model *m;
    model *two;
    int count;         /* layers of the whole one */
    double layers;     /* a layer's cost times this is that of all layers */
    double head;       /* likewise the head's */
    double parameters; /* likewise of an update */
    int64_t tokens;    /* of one pass */
    int32_t *ids;
    int64_t width;
} gauge;

static double layer_size(const model_config *c) {
    double D = (double)c->width, HE = (double)c->heads * c->head_width,
           GE = (double)c->kv_heads * c->head_width;
    return D * (2 * HE + 2 * GE) + 3 * D * (double)c->feed_forward;
}

static double whole_size(const model_config *c) {
    return layer_size(c) * c->layers + (double)c->vocab * (double)c->width * (c->tied ? 1 : 2);
}

static model_config shape_to_measure(const model_config *config) {
    model_config one = *config;
    one.layers = 1;
    one.tied = true;
    int64_t by = config->width / MEASURE_WIDTH;
    if (by > 1 && config->kv_heads % by == 0 && config->heads % by == 0 && config->width % by == 0 &&
        config->feed_forward % by == 0) {
        one.width /= by;
        one.feed_forward /= by;
        one.heads /= (int)by;
        one.kv_heads /= (int)by;
    }
    if (one.vocab > MEASURE_ROWS / one.width) one.vocab = MEASURE_ROWS / one.width;
    if (one.eos >= one.vocab) one.eos = -1;
    if (one.bos >= one.vocab) one.bos = -1;
    return one;
}

/* One pass over n tokens as a path: all of them scored, or the last alone. */
static esp_status pass(const gauge *g, model *m, int64_t n, bool scored, double *seconds, esp_error *error) {
    token_tree_builder b = {0};
    token_tree_add(&b, -1, g->ids, n);
    token_tree tree = token_tree_view(&b);
    float *logprob = MEM_ARRAY(float, n);
    uint8_t *wanted = mem_alloc((size_t)n);
    memset(wanted, scored, (size_t)n);
    wanted[n - 1] = 1;
    double started = clock_seconds();
    esp_status status = model_forward(m, &tree, wanted, false, logprob, error);
    *seconds = clock_seconds() - started;
    mem_free(logprob);
    mem_free(wanted);
    token_tree_free(&b);
    return status;
}

static esp_status fastest_pass(const gauge *g, model *m, bool scored, double *seconds, esp_error *error) {
    for (int turn = 0; turn < TURNS; turn++) {
        double s;
        ESP_TRY(pass(g, m, g->tokens, scored, &s, error));
        if (turn == 0 || s < *seconds) *seconds = s;
    }
    return ESP_OK;
}

/* As many tokens as a pass can have without taking long. */
static esp_status choose_tokens(gauge *g, esp_error *error) {
    double s;
    g->tokens = SHORT_TOKENS;
    if (g->tokens > model_context(g->m)) g->tokens = model_context(g->m);
    ESP_TRY(pass(g, g->m, g->tokens, true, &s, error));
    ESP_TRY(pass(g, g->m, g->tokens, true, &s, error));
    if (s * LONG_TOKENS / SHORT_TOKENS < 2 * long_enough) g->tokens = LONG_TOKENS;
    if (g->tokens > model_context(g->m)) g->tokens = model_context(g->m);
    return ESP_OK;
}

/* Seconds of a whole layer, from those of two layers and of one, each cut to what is read at its last. */
static double layer_seconds(double two, double one) {
    return two - one > two / 2 ? two - one : two / 2;
}

static double beyond(double all, double part) {
    return all > part ? all - part : 0;
}

static esp_status measure_passes(gauge *g, plan_rates *out, double *layer, double *head, esp_error *error) {
    double all, one, two;
    ESP_TRY(fastest_pass(g, g->m, false, &one, error));
    ESP_TRY(fastest_pass(g, g->two, false, &two, error));
    ESP_TRY(fastest_pass(g, g->m, true, &all, error));
    *layer = layer_seconds(two, one) / (double)g->tokens;
    *head = beyond(all / (double)g->tokens, *layer);
    double last = one / (double)g->tokens;
    out->prefill = 1 / ((*layer * (g->count - 1) + last) * g->layers / g->count);
    return ESP_OK;
}

/* A step of all sequences by one token each, each sampled from or only the first. */
static esp_status decode_step(const gauge *g, model *m, kv_cache *kv, const kv_feed *feeds, bool sampled,
                              double *seconds, esp_error *error) {
    kv_read *reads = MEM_ARRAY(kv_read, g->width);
    int64_t count = sampled ? g->width : 1;
    for (int64_t i = 0; i < count; i++)
        reads[i] = (kv_read){.feed = (int32_t)i, .kind = READ_SAMPLE, .temperature = 1, .u = 0.5};
    double started = clock_seconds();
    esp_status status = model_extend(m, kv, feeds, g->width, reads, count, error);
    *seconds = clock_seconds() - started;
    mem_free(reads);
    return status;
}

static esp_status fastest_step(const gauge *g, model *m, kv_cache *kv, const kv_feed *feeds, bool sampled,
                               double *seconds, esp_error *error) {
    for (int turn = 0; turn <= TURNS; turn++) {
        double s;
        ESP_TRY(decode_step(g, m, kv, feeds, sampled, &s, error));
        if (turn <= 1 || s < *seconds) *seconds = s; /* the first one warms up */
    }
    return ESP_OK;
}

/* Seconds of a step of g->width sequences after one prompt: sampled from each where `all` is not NULL, and
 * from the first alone. */
static esp_status time_decode(const gauge *g, model *m, double *all, double *one, esp_error *error) {
    int64_t prefix = PREFIX_TOKENS < model_context(m) / 2 ? PREFIX_TOKENS : model_context(m) / 2;
    kv_cache *kv;
    ESP_TRY(kv_new(&kv, m, prefix + KV_PAGE_TOKENS * (g->width + 1), error));
    int32_t root = kv_run_new(kv, -1);
    kv_feed first = {.run = root, .tokens = g->ids, .n = prefix};
    esp_status status = model_extend(m, kv, &first, 1, NULL, 0, error);
    kv_feed *feeds = MEM_ARRAY(kv_feed, g->width);
    for (int64_t i = 0; i < g->width; i++)
        feeds[i] =
            (kv_feed){.run = kv_run_new(kv, root), .tokens = g->ids + i % prefix, .n = 1, .decoded = true};
    if (status == ESP_OK && all) status = fastest_step(g, m, kv, feeds, true, all, error);
    if (status == ESP_OK) status = fastest_step(g, m, kv, feeds, false, one, error);
    for (int64_t i = 0; i < g->width; i++) kv_run_release(kv, feeds[i].run);
    kv_run_release(kv, root);
    kv_free(kv);
    mem_free(feeds);
    return status;
}

static esp_status measure_decode(const gauge *g, plan_rates *out, esp_error *error) {
    double all, one, two;
    ESP_TRY(time_decode(g, g->m, &all, &one, error));
    ESP_TRY(time_decode(g, g->two, NULL, &two, error));
    double layer = layer_seconds(two, one);
    out->decode = (double)g->width / (layer * g->layers + beyond(all, layer) * g->head);
    out->decode_width = g->width;
    return ESP_OK;
}

/* Forward, backward and an update of a row, of which the second half is learned. */
static esp_status train_row(gauge *g, trainer *t, double *gradient, double *update, esp_error *error) {
    int64_t half = g->tokens / 2;
    const nll_options options = {.per_token = true};
    const objective_term term = {.of = &objective_nll, .options = &options, .weight = 1};
    learn_path path = {
        .prefix = g->ids, .tail = g->ids + half, .prefix_count = half, .tail_count = g->tokens - half};
    example row = {.path = {path}, .term = &term, .scale = 1};
    learn_report report;
    double started = clock_seconds();
    ESP_TRY(trainer_add(t, &row, 1, &report, error));
    double middle = clock_seconds();
    ESP_TRY(trainer_update(t, 1e-6, NULL, error));
    *gradient = middle - started;
    *update = clock_seconds() - middle;
    return ESP_OK;
}

static esp_status measure_training(gauge *g, double layer, double head, plan_rates *out, esp_error *error) {
    trainer_settings settings = trainer_defaults();
    trainer *t;
    ESP_TRY(trainer_new(&t, g->m, &settings, error));
    double gradient = 0, update = 0;
    esp_status status = ESP_OK;
    for (int turn = 0; turn < TURNS && status == ESP_OK; turn++) {
        double a = 0, b = 0;
        status = train_row(g, t, &a, &b, error);
        if (turn <= 1 || a < gradient) gradient = a;
        if (turn <= 1 || b < update) update = b;
    }
    trainer_free(t);
    /* What a pass costs is split between layer and head as it is forward. */
    double forward = layer + head / 2, each = gradient / (double)g->tokens;
    double whole = each * (layer * g->layers + head / 2 * g->head) / forward;
    out->train = 1 / whole;
    out->update = update * g->parameters;
    return status;
}

static esp_status measure(gauge *g, plan_rates *out, esp_error *error) {
    double layer, head;
    ESP_TRY(choose_tokens(g, error));
    ESP_TRY(measure_passes(g, out, &layer, &head, error));
    ESP_TRY(measure_decode(g, out, error));
    return measure_training(g, layer, head, out, error);
}

esp_status plan_measure(const model_config *config, compute *c, int64_t width, plan_rates *out,
                        esp_error *error) {
    *out = (plan_rates){0};
    model_config one = shape_to_measure(config);
    gauge g = {.width = width < 1 ? 1 : width, .count = config->layers};
    g.layers = layer_size(config) / layer_size(&one) * config->layers;
    g.head = (double)config->vocab * (double)config->width / ((double)one.vocab * (double)one.width);
    g.parameters = whole_size(config) / whole_size(&one);
    int64_t context = one.context < 1024 ? one.context : 1024;
    model_config two = one;
    two.layers = 2;
    ESP_TRY(model_create(&g.m, &one, &(model_options){.compute = c, .trainable = true, .context = context}, 1,
                         error));
    esp_status status =
        model_create(&g.two, &two, &(model_options){.compute = c, .context = context}, 1, error);
    g.ids = MEM_ARRAY(int32_t, LONG_TOKENS);
    for (int64_t i = 0; i < LONG_TOKENS; i++)
        g.ids[i] = (int32_t)rng_below(rng_key(1), (uint64_t)i, (uint64_t)one.vocab);
    if (status == ESP_OK) status = measure(&g, out, error);
    mem_free(g.ids);
    model_free(g.two);
    model_free(g.m);
    return status;
}
