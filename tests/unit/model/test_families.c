/* Small models of every family against numbers made in NumPy (tests/data/golden/make_families.py): log-probs
 * and the slopes of a loss in every tensor, on both backends; a tree gives what its paths give, a KV cache
 * what the whole text gives; and what is saved is opened again with the same bits. */
#include "base/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "gguf_made.h"
#include "host_gradient.h"

#include <math.h>

enum { LONGEST = 128 };

/* Uniform in [-1, 1): make_families.py, numbers. */
static double uniform(const char *name, int64_t i) {
    uint64_t z = 0xcbf29ce484222325u;
    for (const char *c = name; *c; c++) z = (z ^ (unsigned char)*c) * 0x100000001b3u;
    z += (uint64_t)i * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 40) / 0x1p23 - 1;
}

typedef struct {
    char text[160];
} long_name;

static long_name key_of(const json_t *one, const char *tensor, const char *end) {
    long_name key;
    snprintf(key.text, sizeof key.text, "%s/%s%s", json_string_value(json_object_get(one, "name")), tensor,
             end);
    return key;
}

static int64_t shape_of(const json_t *shape, int64_t *out) {
    int64_t n = 1;
    for (size_t i = 0; i < json_array_size(shape); i++)
        n *= out[i] = (int64_t)json_integer_value(json_array_get(shape, i));
    return n;
}

/* make_families.py, weight. */
static float *weights_of(const json_t *one, const char *tensor, int64_t n) {
    bool gain = text_ends_with(tensor, "norm.weight"), bias = text_ends_with(tensor, "bias");
    double first = gain && !json_is_true(json_object_get(one, "plus_one")) ? 1 : 0;
    double scale = gain ? 0.3 : bias ? 0.5 : 0.4;
    long_name key = key_of(one, tensor, "");
    float *w = MEM_ARRAY(float, n);
    for (int64_t i = 0; i < n; i++) w[i] = (float)(first + scale * uniform(key.text, i));
    return w;
}

/* The case as a Hugging Face folder. */
static const char *write_case(const json_t *one, const char *name) {
    const char *folder = scratch_path(name);
    OK(folder_make(folder, &error));
    char *config = path_join(folder, "config.json"), *file = path_join(folder, "model.safetensors");
    OK(json_write_file(config, json_object_get(one, "config"), true, &error));
    json_t *tensors = json_object_get(one, "tensors"), *shape;
    safetensors_spec *specs = MEM_ARRAY(safetensors_spec, json_object_size(tensors));
    const char *tensor;
    int64_t count = 0;
    json_object_foreach(tensors, tensor, shape) {
        safetensors_spec *s = &specs[count++];
        *s = (safetensors_spec){.name = tensor, .type = TENSOR_F32, .rank = (int)json_array_size(shape)};
        shape_of(shape, s->shape);
    }
    safetensors_writer *w;
    OK(safetensors_write_begin(&w, file, specs, count, &error));
    for (int64_t i = 0; i < count; i++) {
        int64_t n = specs[i].shape[0] * (specs[i].rank == 2 ? specs[i].shape[1] : 1);
        float *numbers = weights_of(one, specs[i].name, n);
        OK(safetensors_write_floats(w, i, numbers, n, &error));
        mem_free(numbers);
    }
    OK(safetensors_write_end(w, &error));
    mem_free(specs);
    mem_free(config);
    mem_free(file);
    return folder;
}

typedef struct {
    const char *kind;
    dtype act;
    bool recompute;
    double worst, mean, slope; /* bounds: of log-probs; of slopes, relative */
} setting;

static model *open_case(const json_t *one, const char *path, const setting *s) {
    compute *c;
    model *m;
    OK(test_compute_new(&c, s->kind, s->act, 2, &error));
    OK(model_open(&m, path,
                  &(model_options){.compute = c,
                                   .trainable = true,
                                   .recompute = s->recompute,
                                   .context = json_integer_value(json_object_get(one, "context"))},
                  &error));
    return m;
}

typedef struct {
    const json_t *one;
    const char *name;
    int32_t ids[LONGEST];
    int n;
    double expected[LONGEST]; /* of ids[1 ...] at 1 ... */
} test_case;

static test_case case_of(const json_t *one) {
    test_case t = {.one = one, .name = json_string_value(json_object_get(one, "name"))};
    const json_t *ids = json_object_get(one, "ids"), *logprobs = json_object_get(one, "logprobs");
    t.n = (int)json_array_size(ids);
    assert_true(t.n <= LONGEST && (int)json_array_size(logprobs) == t.n - 1);
    for (int i = 0; i < t.n; i++) t.ids[i] = (int32_t)json_integer_value(json_array_get(ids, (size_t)i));
    for (int i = 1; i < t.n; i++) t.expected[i] = json_number_value(json_array_get(logprobs, (size_t)i - 1));
    return t;
}

static void check_scores(const test_case *t, const setting *s, const float *logprob) {
    double worst = 0, sum = 0;
    for (int i = 1; i < t->n; i++) {
        double off = fabs((double)logprob[i] - t->expected[i]);
        worst = off > worst ? off : worst;
        sum += off;
    }
    if (!(worst < s->worst) || !(sum / (t->n - 1) < s->mean))
        fail_msg("%s, %s: log-probs are off by %g, on average %g", t->name, s->kind, worst, sum / (t->n - 1));
}

/* A tensor's slope, from the gradients of the parameter of that name. */
static void check_slopes(const test_case *t, const setting *s, model *m, const float *gradient) {
    const json_t *slopes = json_object_get(t->one, "slopes");
    assert_int_equal(json_object_size(slopes), m->params.count);
    for (const param *p = m->params.at; p < m->params.at + m->params.count; p++) {
        param_name name = param_hf_name(p);
        long_name key = key_of(t->one, name.text, "/direction");
        double sum = 0, square = 0, want = json_number_value(json_object_get(slopes, name.text));
        assert_non_null(json_object_get(slopes, name.text));
        for (int64_t i = 0; i < param_floats(p); i++) {
            sum += (double)gradient[p->offset + i] * uniform(key.text, i);
            square += pow((double)gradient[p->offset + i], 2);
        }
        if (!(fabs(sum - want) <= s->slope * fmax(fabs(want), sqrt(square))))
            fail_msg("%s, %s: the slope in %s is %g where %g is right", t->name, s->kind, name.text, sum,
                     want);
    }
}

static void check_case(const test_case *t, const char *folder, const setting *s) {
    model *m = open_case(t->one, folder, s);
    token_tree_builder b = {0};
    token_tree_add(&b, -1, t->ids, t->n);
    token_tree tree = token_tree_view(&b);
    float logprob[LONGEST], d[LONGEST] = {0};
    OK(model_forward(m, &tree, NULL, true, logprob, &error));
    check_scores(t, s, logprob);
    for (int i = 1; i < t->n; i++) d[i] = 0.1f * (float)(i % 5 - 1);
    if (s->slope > 0) {
        float *gradient = host_gradient(model_backward, m, &tree, d);
        check_slopes(t, s, m, gradient);
        mem_free(gradient);
    }
    token_tree_free(&b);
    close_model(m);
}

static json_t *golden(void) {
    json_t *g;
    OK(json_read_file(TEST_DATA "/golden/families.json", &g, &error));
    assert_true(json_array_size(json_object_get(g, "cases")) > 0);
    return g;
}

/* Calls `check` with each case and its folder. */
static void each_case(void (*check)(const test_case *t, const char *folder)) {
    json_t *g = golden(), *one;
    size_t i;
    json_array_foreach(json_object_get(g, "cases"), i, one) {
        test_case t = case_of(one);
        const char *folder = write_case(one, "case");
        check(&t, folder);
        folder_remove(folder, NULL);
    }
    json_decref(g);
}

static void numbers_of(const test_case *t, const char *folder) {
    static const setting settings[] = {{"ref", DTYPE_F32, false, 1e-4, 1e-4, 1e-3},
                                       {"cpu", DTYPE_F32, false, 1e-4, 1e-4, 1e-3},
                                       {"cpu", DTYPE_F32, true, 1e-4, 1e-4, 1e-3},
                                       {"cpu", DTYPE_BF16, false, 1, 0.1, 0}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) check_case(t, folder, &settings[i]);
}

static void golden_numbers(void **state) {
    (void)state;
    each_case(numbers_of);
}

static const setting plain = {"cpu", DTYPE_F32, false, 1e-4, 1e-4, 1e-3};

/* The text as a trunk and two branches, the second of other tokens: log-probs and gradients are those of the
 * two paths. */
static void tree_of(const test_case *t, const char *folder) {
    model *m = open_case(t->one, folder, &plain);
    int trunk = t->n - 17;
    int32_t other[LONGEST];
    for (int i = 0; i < t->n; i++) other[i] = i < trunk ? t->ids[i] : (t->ids[i] + 3 * i) % 61;
    token_tree_builder whole = {0}, paths[2];
    memset(paths, 0, sizeof paths);
    int32_t root = token_tree_add(&whole, -1, t->ids, trunk);
    token_tree_add(&whole, root, t->ids + trunk, t->n - trunk);
    token_tree_add(&whole, root, other + trunk, t->n - trunk);
    token_tree_add(&paths[0], -1, t->ids, t->n);
    token_tree_add(&paths[1], -1, other, t->n);
    float logprob[2 * LONGEST], alone[LONGEST], d[2 * LONGEST] = {0}, d_alone[LONGEST];
    token_tree tree = token_tree_view(&whole);
    OK(model_forward(m, &tree, NULL, true, logprob, &error));
    for (int i = trunk; i < 2 * t->n - trunk; i++) d[i] = 0.1f * (float)(i % 7 - 2);
    int64_t n = model_parameter_count(m);
    float *gradient = host_gradient(model_backward, m, &tree, d), *sum = MEM_ARRAY(float, n);
    double largest = 0;
    for (int branch = 0; branch < 2; branch++) {
        token_tree path = token_tree_view(&paths[branch]);
        OK(model_forward(m, &path, NULL, true, alone, &error));
        for (int i = trunk; i < t->n; i++) {
            int at = i + branch * (t->n - trunk);
            if (!(fabsf(logprob[at] - alone[i]) < 1e-4f))
                fail_msg("%s: %g in the tree, %g on its path", t->name, (double)logprob[at],
                         (double)alone[i]);
        }
        memset(d_alone, 0, sizeof d_alone);
        memcpy(d_alone + trunk, d + trunk + branch * (t->n - trunk), (size_t)(t->n - trunk) * sizeof *d);
        float *g = host_gradient(model_backward, m, &path, d_alone);
        for (int64_t i = 0; i < n; i++) sum[i] += g[i];
        mem_free(g);
        token_tree_free(&paths[branch]);
    }
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)sum[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)(sum[i] - gradient[i])) < 1e-4 * largest))
            fail_msg("%s: a gradient is %g in the tree, %g on its paths", t->name, (double)gradient[i],
                     (double)sum[i]);
    mem_free(gradient);
    mem_free(sum);
    token_tree_free(&whole);
    close_model(m);
}

static void trees(void **state) {
    (void)state;
    each_case(tree_of);
}

/* Half of the text at once, the rest token by token. */
static void cache_of(const test_case *t, const char *folder) {
    model *m = open_case(t->one, folder, &plain);
    kv_cache *kv;
    OK(kv_new(&kv, m, 160, &error));
    int32_t run = kv_run_new(kv, -1);
    for (int fed = 0; fed + 1 < t->n;) {
        int n = fed ? 1 : t->n / 2;
        kv_read read = {.feed = 0, .at = n - 1, .kind = READ_SCORE, .token = t->ids[fed + n]};
        OK(model_extend(m, kv, &(kv_feed){run, t->ids + fed, n, fed > 0}, 1, &read, 1, &error));
        fed += n;
        if (!(fabs((double)read.logprob - t->expected[fed]) < 1e-4))
            fail_msg("%s, token %d from the cache: %g where %g is right", t->name, fed, (double)read.logprob,
                     t->expected[fed]);
    }
    kv_run_release(kv, run);
    kv_free(kv);
    close_model(m);
}

static void caches(void **state) {
    (void)state;
    each_case(cache_of);
}

static void saved(const test_case *t, const char *folder) {
    static const setting ref = {"ref", DTYPE_F32, false, 1e-4, 1e-4, 0};
    model *m = open_case(t->one, folder, &ref);
    const char *copy = scratch_path("saved");
    OK(folder_make(copy, &error));
    OK(model_save(m, copy, DTYPE_F32, &error));
    model *again = open_case(t->one, copy, &ref);
    token_tree_builder b = {0};
    token_tree_add(&b, -1, t->ids, t->n);
    token_tree tree = token_tree_view(&b);
    float of_m[LONGEST], of_again[LONGEST];
    OK(model_forward(m, &tree, NULL, false, of_m, &error));
    OK(model_forward(again, &tree, NULL, false, of_again, &error));
    assert_memory_equal(of_m, of_again, (size_t)t->n * sizeof *of_m);
    assert_int_equal(model_configuration(m)->more_end_count, model_configuration(again)->more_end_count);
    token_tree_free(&b);
    folder_remove(copy, NULL);
    close_model(m);
    close_model(again);
}

static void round_trips(void **state) {
    (void)state;
    each_case(saved);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_numbers), cmocka_unit_test(trees),
                                       cmocka_unit_test(caches), cmocka_unit_test(round_trips)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
