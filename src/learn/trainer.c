#include "learn/trainer.h"

#include "base/file.h"
#include "formats/safetensors.h"
#include "formats/tensor_file.h"
#include "learn/pack.h"

#include <math.h>
#include <string.h>

struct trainer {
    model *m;
    trainer_settings settings;
    float *gradient, *moment1, *moment2;
    int64_t steps, size;
    pack *paths;
};

trainer_settings trainer_defaults(void) {
    return (trainer_settings){
        .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0, .clip = 1, .microbatch_tokens = 2048};
}

esp_status trainer_new(trainer **out, model *m, const trainer_settings *settings, esp_error *error) {
    trainer *t = MEM_NEW(trainer);
    *out = NULL;
    t->m = m;
    t->settings = *settings;
    t->size = model_parameter_count(m);
    t->paths = pack_new();
    size_t bytes = (size_t)t->size * 4;
    esp_status status = mem_big_alloc((void **)&t->gradient, bytes, "gradients", error);
    if (status == ESP_OK) status = mem_big_alloc((void **)&t->moment1, bytes, "optimizer state", error);
    if (status == ESP_OK) status = mem_big_alloc((void **)&t->moment2, bytes, "optimizer state", error);
    if (status != ESP_OK) {
        trainer_free(t);
        return status;
    }
    *out = t;
    return ESP_OK;
}

void trainer_free(trainer *t) {
    if (!t) return;
    mem_big_free(t->gradient);
    mem_big_free(t->moment1);
    mem_big_free(t->moment2);
    pack_free(t->paths);
    mem_free(t);
}

model *trainer_model(const trainer *t) {
    return t->m;
}
int64_t trainer_steps(const trainer *t) {
    return t->steps;
}
const float *trainer_gradient(const trainer *t) {
    return t->gradient;
}
void trainer_zero(trainer *t) {
    memset(t->gradient, 0, (size_t)t->size * 4);
}

/* --- Micro-batches
 * ------------------------------------------------------------------------------------------------- */

/* A path through the packed tree: a prefix that is given and a tail whose tokens are scored. */
typedef struct {
    const int32_t *prefix, *tail;
    int64_t prefix_count, tail_count;
} scored_path;

/* One forward (and perhaps backward) over some paths. */
typedef struct {
    token_tree tree;
    float *logprob, *dlogprob;
    uint8_t *wanted;
    MEM_LIST(int32_t) ids; /* the path at hand, whole */
    MEM_LIST(int32_t) at;  /* where its tokens stand */
} microbatch;

static void microbatch_free(microbatch *b) {
    mem_free(b->logprob);
    mem_free(b->dlogprob);
    mem_free(b->wanted);
    MEM_LIST_FREE(&b->ids);
    MEM_LIST_FREE(&b->at);
}

static void join(microbatch *b, const scored_path *p) {
    b->ids.count = 0;
    for (int64_t i = 0; i < p->prefix_count; i++) MEM_LIST_PUSH(&b->ids, p->prefix[i]);
    for (int64_t i = 0; i < p->tail_count; i++) MEM_LIST_PUSH(&b->ids, p->tail[i]);
}

/* Where the tail's tokens stand in the tree; valid until the next call. */
static const int32_t *locate_tail(microbatch *b, const pack *paths, const scored_path *p) {
    join(b, p);
    MEM_LIST_RESERVE(&b->at, b->ids.count);
    pack_locate(paths, b->ids.at, b->ids.count, b->at.at);
    return b->at.at + p->prefix_count;
}

static double tail_logprob(microbatch *b, const pack *paths, const scored_path *p) {
    const int32_t *at = locate_tail(b, paths, p);
    double sum = 0;
    for (int64_t i = 0; i < p->tail_count; i++) sum += (double)b->logprob[at[i]];
    return sum;
}

static void add_to_tail(microbatch *b, const pack *paths, const scored_path *p, double d) {
    const int32_t *at = locate_tail(b, paths, p);
    for (int64_t i = 0; i < p->tail_count; i++) b->dlogprob[at[i]] += (float)d;
}

/* Packs paths[0 .. count-1], marks their tails as wanted and runs the forward pass. */
static esp_status microbatch_forward(microbatch *b, model *m, pack *paths, const scored_path *p,
                                     int64_t count, bool keep, esp_error *error) {
    pack_clear(paths);
    for (int64_t i = 0; i < count; i++) {
        join(b, &p[i]);
        pack_add(paths, b->ids.at, b->ids.count);
    }
    b->tree = pack_tree(paths);
    int64_t T = b->tree.start[b->tree.runs];
    b->logprob = mem_realloc(b->logprob, (size_t)T * 4);
    b->dlogprob = mem_realloc(b->dlogprob, (size_t)T * 4);
    b->wanted = mem_realloc(b->wanted, (size_t)T);
    memset(b->dlogprob, 0, (size_t)T * 4);
    memset(b->wanted, 0, (size_t)T);
    for (int64_t i = 0; i < count; i++) {
        const int32_t *at = locate_tail(b, paths, &p[i]);
        for (int64_t j = 0; j < p[i].tail_count; j++) b->wanted[at[j]] = 1;
    }
    return model_forward(m, &b->tree, b->wanted, keep, b->logprob, error);
}

/* How many units (of `per` paths each) from `first` fit in one micro-batch: at least one. */
static int64_t microbatch_extent(microbatch *b, pack *paths, const scored_path *p, int64_t first,
                                 int64_t count, int64_t per, int64_t limit) {
    pack_clear(paths);
    int64_t unit = first;
    for (; unit < count; unit++) {
        for (int64_t i = 0; i < per; i++) {
            join(b, &p[unit * per + i]);
            pack_add(paths, b->ids.at, b->ids.count);
        }
        if (unit > first && pack_tokens(paths) > limit) break;
    }
    return unit - first;
}

static esp_status not_finite(esp_error *error) {
    return error_fail(error, "lower the learning rate, or look at the rows of this batch",
                      "the loss is not finite");
}

/* --- Supervised
 * ---------------------------------------------------------------------------------------------------- */

esp_status trainer_add_supervised(trainer *t, const supervised_row *rows, int64_t count, batch_report *report,
                                  esp_error *error) {
    *report = (batch_report){.rows = count};
    scored_path *paths = MEM_ARRAY(scored_path, count);
    double weight = 0, loss = 0;
    for (int64_t i = 0; i < count; i++) {
        paths[i] =
            (scored_path){rows[i].prompt, rows[i].completion, rows[i].prompt_count, rows[i].completion_count};
        weight += rows[i].weight * (double)rows[i].completion_count;
        report->tokens += rows[i].prompt_count + rows[i].completion_count;
    }
    microbatch b = {0};
    esp_status status = ESP_OK;
    for (int64_t first = 0, n; first < count && status == ESP_OK; first += n) {
        n = microbatch_extent(&b, t->paths, paths, first, count, 1, t->settings.microbatch_tokens);
        status = microbatch_forward(&b, t->m, t->paths, paths + first, n, true, error);
        if (status != ESP_OK) break;
        report->tokens_computed += pack_tokens(t->paths);
        for (int64_t i = first; i < first + n; i++) {
            loss -= rows[i].weight * tail_logprob(&b, t->paths, &paths[i]);
            add_to_tail(&b, t->paths, &paths[i], -rows[i].weight / weight);
        }
        status = isfinite(loss) ? model_backward(t->m, &b.tree, b.dlogprob, t->gradient, error)
                                : not_finite(error);
    }
    report->loss = loss / weight;
    microbatch_free(&b);
    mem_free(paths);
    if (status != ESP_OK) trainer_zero(t);
    return status;
}

/* --- Preferences
 * --------------------------------------------------------------------------------------------------- */

/* Two paths a pair: chosen, rejected. */
static scored_path *preference_paths(const preference_row *rows, int64_t count) {
    scored_path *paths = MEM_ARRAY(scored_path, 2 * count);
    for (int64_t i = 0; i < count; i++) {
        paths[2 * i] =
            (scored_path){rows[i].prefix, rows[i].chosen, rows[i].prefix_count, rows[i].chosen_count};
        paths[2 * i + 1] =
            (scored_path){rows[i].prefix, rows[i].rejected, rows[i].prefix_count, rows[i].rejected_count};
    }
    return paths;
}

/* Loss of one pair: into the report's sums, and its derivatives (of the batch's mean) onto the tokens. */
static double pair_loss(microbatch *b, const pack *packed, const scored_path *path, const preference_row *row,
                        const loss_options *options, double share, batch_report *report) {
    loss_logps logps = {.chosen = tail_logprob(b, packed, &path[0]),
                        .rejected = tail_logprob(b, packed, &path[1]),
                        .ref_chosen = row->ref_chosen,
                        .ref_rejected = row->ref_rejected};
    loss_result r = loss_pair(options, logps, row->alpha, row->chosen_count);
    add_to_tail(b, packed, &path[0], r.dchosen * share);
    add_to_tail(b, packed, &path[1], r.drejected * share);
    report->loss += r.loss * share;
    report->margin += r.margin * share;
    report->accuracy += (r.margin > 0) * share;
    report->logp_chosen += logps.chosen * share;
    report->logp_rejected += logps.rejected * share;
    report->kl += (logps.ref_chosen - logps.chosen + logps.ref_rejected - logps.rejected) / 2 * share;
    return r.loss;
}

esp_status trainer_add_preferences(trainer *t, const preference_row *rows, int64_t count,
                                   const loss_options *options, batch_report *report, esp_error *error) {
    *report = (batch_report){.rows = count};
    scored_path *paths = preference_paths(rows, count);
    for (int64_t i = 0; i < count; i++)
        report->tokens += 2 * rows[i].prefix_count + rows[i].chosen_count + rows[i].rejected_count;
    microbatch b = {0};
    esp_status status = ESP_OK;
    for (int64_t first = 0, n; first < count && status == ESP_OK; first += n) {
        n = microbatch_extent(&b, t->paths, paths, first, count, 2, t->settings.microbatch_tokens);
        status = microbatch_forward(&b, t->m, t->paths, paths + 2 * first, 2 * n, true, error);
        if (status != ESP_OK) break;
        report->tokens_computed += pack_tokens(t->paths);
        for (int64_t i = first; i < first + n && status == ESP_OK; i++)
            if (!isfinite(
                    pair_loss(&b, t->paths, &paths[2 * i], &rows[i], options, 1.0 / (double)count, report)))
                status = not_finite(error);
        if (status == ESP_OK) status = model_backward(t->m, &b.tree, b.dlogprob, t->gradient, error);
    }
    microbatch_free(&b);
    mem_free(paths);
    if (status != ESP_OK) trainer_zero(t);
    return status;
}

esp_status score_preferences(model *m, const preference_row *rows, int64_t count, int64_t microbatch_tokens,
                             double *chosen, double *rejected, esp_error *error) {
    scored_path *paths = preference_paths(rows, count);
    pack *packed = pack_new();
    microbatch b = {0};
    esp_status status = ESP_OK;
    for (int64_t first = 0, n; first < count && status == ESP_OK; first += n) {
        n = microbatch_extent(&b, packed, paths, first, count, 2, microbatch_tokens);
        status = microbatch_forward(&b, m, packed, paths + 2 * first, 2 * n, false, error);
        for (int64_t i = first; i < first + n && status == ESP_OK; i++) {
            chosen[i] = tail_logprob(&b, packed, &paths[2 * i]);
            rejected[i] = tail_logprob(&b, packed, &paths[2 * i + 1]);
        }
    }
    microbatch_free(&b);
    pack_free(packed);
    mem_free(paths);
    return status;
}

/* --- Updates and state
 * --------------------------------------------------------------------------------------------- */

esp_status trainer_update(trainer *t, double lr, double *grad_norm, esp_error *error) {
    compute *c = model_compute(t->m);
    double norm = sqrt(c->ops->sum_squares(c, t->size, t->gradient));
    if (grad_norm) *grad_norm = norm;
    if (!isfinite(norm)) {
        trainer_zero(t);
        return error_fail(error, "lower the learning rate", "the gradient is not finite at update %lld",
                          (long long)t->steps + 1);
    }
    t->steps++;
    double scale = t->settings.clip > 0 && norm > t->settings.clip
                       ? t->settings.clip / (norm + 1e-6)
                       : 1; /* 1e-6 as in torch's clip_grad_norm_ */
    adamw_settings s = {.lr = (float)lr,
                        .beta1 = (float)t->settings.beta1,
                        .beta2 = (float)t->settings.beta2,
                        .eps = (float)t->settings.eps,
                        .grad_scale = (float)scale,
                        .step = t->steps};
    int64_t n;
    const parameter *p = model_parameters(t->m, &n);
    float *w = model_master(t->m);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = p[i].offset;
        s.weight_decay = p[i].rank == 2 ? (float)t->settings.weight_decay : 0;
        c->ops->adamw(c, p[i].rows * p[i].columns, w + at, t->gradient + at, t->moment1 + at, t->moment2 + at,
                      &s);
    }
    trainer_zero(t);
    return model_sync(t->m, error);
}

static const char *const state_file = "optimizer.safetensors";

esp_status trainer_save(const trainer *t, const char *folder, esp_error *error) {
    /* The number of steps as three floats of 20 bits each: safetensors writes floats, and 2^60 steps are
     * enough. */
    float steps[3];
    for (int i = 0; i < 3; i++) steps[i] = (float)((t->steps >> (20 * i)) & 0xfffff);
    const float *data[] = {t->moment1, t->moment2, steps};
    safetensors_spec specs[] = {{.name = "moment1", .type = TENSOR_F32, .rank = 1, .shape = {t->size}},
                                {.name = "moment2", .type = TENSOR_F32, .rank = 1, .shape = {t->size}},
                                {.name = "steps", .type = TENSOR_F32, .rank = 1, .shape = {3}}};
    char *file = path_join(folder, state_file);
    safetensors_writer *w;
    esp_status status = safetensors_write_begin(&w, file, specs, 3, error);
    for (int64_t i = 0; i < 3 && status == ESP_OK; i++) {
        status = safetensors_write_floats(w, i, data[i], specs[i].shape[0], error);
        if (status != ESP_OK) safetensors_write_abort(w);
    }
    if (status == ESP_OK) status = safetensors_write_end(w, error);
    mem_free(file);
    return status;
}

static esp_status read_state(const tensor_source *source, const char *file, const char *name, float *out,
                             int64_t n, esp_error *error) {
    const tensor_entry *e = tensor_source_find(source, name);
    if (!e || tensor_elements(e) != n)
        return error_fail(error, "resume with the model that the state belongs to",
                          "%s: no tensor %s of %lld numbers", file, name, (long long)n);
    return tensor_read_f32(e, 0, n, out, error);
}

esp_status trainer_load(trainer *t, const char *folder, esp_error *error) {
    char *file = path_join(folder, state_file);
    tensor_source *source;
    esp_status status = tensor_source_open(&source, file, error);
    float steps[3];
    if (status == ESP_OK) {
        status = read_state(source, file, "moment1", t->moment1, t->size, error);
        if (status == ESP_OK) status = read_state(source, file, "moment2", t->moment2, t->size, error);
        if (status == ESP_OK) status = read_state(source, file, "steps", steps, 3, error);
        if (status == ESP_OK)
            t->steps = (int64_t)steps[0] | (int64_t)steps[1] << 20 | (int64_t)steps[2] << 40;
        tensor_source_close(source);
    }
    mem_free(file);
    return status;
}
