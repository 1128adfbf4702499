/* Adapters in PEFT's folders: what is saved is what is opened again; merged weights compute the same; a base
 * that has changed, and whatever an adapter asks for that is not computed, is an error that names it. */
#include "base/file.h"
#include "formats/json.h"
#include "gguf_made.h"
#include "model/adapter_file.h"

#include <math.h>
#include <string.h>

static const adapter_config usual = {.rank = 4, .alpha = 8, .targets = ADAPT_ALL};

static void save_base(const char *folder, uint64_t seed) {
    compute *c;
    model *m;
    model_config shape = made_up_shape(61, 2, 4, 2, 8);
    OK(test_compute_new(&c, "ref", DTYPE_F32, 1, &error));
    OK(model_create(&m, &shape, &(model_options){.compute = c, .trainable = true}, seed, &error));
    OK(folder_make(folder, &error));
    OK(model_save(m, folder, DTYPE_F32, &error));
    close_model(m);
}

static model *open_at(const char *path, const adapter_config *a) {
    compute *c;
    model *m;
    OK(test_compute_new(&c, "ref", DTYPE_F32, 1, &error));
    OK(model_open(&m, path, &(model_options){.compute = c, .trainable = true, .adapter = a}, &error));
    return m;
}

/* An adapter over the base, with numbers of its own. */
static model *make_adapter(const char *base) {
    model *m = open_at(base, &usual);
    int64_t n = model_parameter_count(m);
    float *w = MEM_ARRAY(float, n);
    for (int64_t i = 0; i < n; i++) w[i] = (float)(0.2 * rng_normal(rng_key(23), (uint64_t)i));
    m->compute->ops->put(m->compute, model_master(m), w, (size_t)n * sizeof *w);
    OK(model_sync(m, &error));
    mem_free(w);
    return m;
}

static float *logprobs(model *m) {
    token_tree_builder b = {0};
    add_run(&b, -1, 40, 61);
    token_tree tree = token_tree_view(&b);
    float *out = MEM_ARRAY(float, 40);
    OK(model_forward(m, &tree, NULL, false, out, &error));
    token_tree_free(&b);
    return out;
}

static double furthest(const float *a, const float *b) {
    double most = 0;
    for (int i = 0; i < 40; i++) most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

typedef struct {
    char base[512], folder[512];
} places;

static places save_both(const char *name) {
    places p;
    char text[64];
    snprintf(text, sizeof text, "%s-base", name);
    snprintf(p.base, sizeof p.base, "%s", scratch_path(text));
    snprintf(p.folder, sizeof p.folder, "%s", scratch_path(name));
    save_base(p.base, 5);
    model *m = make_adapter(p.base);
    OK(folder_make(p.folder, &error));
    OK(model_save(m, p.folder, DTYPE_F32, &error));
    close_model(m);
    return p;
}

static void remove_both(const places *p) {
    OK(folder_remove(p->base, &error));
    OK(folder_remove(p->folder, &error));
}

static void test_round_trip(void **state) {
    (void)state;
    places p = save_both("kept");
    model *before = make_adapter(p.base), *after = open_at(p.folder, NULL), *base = open_at(p.base, NULL);
    int64_t n = model_parameter_count(before);
    assert_int_equal(model_parameter_count(after), n);
    float *a = host_copy(before->compute, model_master(before), n),
          *b = host_copy(after->compute, model_master(after), n);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    float *x = logprobs(before), *y = logprobs(after), *plain = logprobs(base);
    assert_memory_equal(x, y, 40 * sizeof *x);
    assert_true(furthest(x, plain) > 0.01);
    OK(model_load_weights(after, p.base, &error)); /* the first numbers: B is zero */
    float *first = logprobs(after);
    assert_true(furthest(first, plain) < 1e-5);
    OK(model_load_weights(after, p.folder, &error));
    model *over;
    OK(model_over(&over, after, NULL, false, &error)); /* beside it, over the same base */
    float *beside = logprobs(over), *again = logprobs(after);
    assert_memory_equal(beside, first, 40 * sizeof *first);
    assert_memory_equal(again, x, 40 * sizeof *x);
    model_free(over);
    float *all[] = {a, b, x, y, plain, first, beside, again};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    close_model(before), close_model(after), close_model(base);
    remove_both(&p);
}

static void test_merged(void **state) {
    (void)state;
    places p = save_both("whole");
    const char *folder = scratch_path("merged");
    OK(folder_make(folder, &error));
    OK(model_convert(p.folder, folder, DTYPE_F32, &error));
    assert_false(adapter_is_at(folder));
    model *adapted = open_at(p.folder, NULL), *merged = open_at(folder, NULL);
    float *x = logprobs(adapted), *y = logprobs(merged);
    assert_true(furthest(x, y) < 1e-5);
    mem_free(x), mem_free(y);
    close_model(adapted), close_model(merged);
    OK(folder_remove(folder, &error));
    OK(folder_make(folder, &error));
    OK(model_convert_adapter(p.folder, folder, DTYPE_F32, &error));
    OK(model_check_weights(folder, &error));
    adapter_folder f;
    OK(adapter_folder_read(folder, &f, &error));
    assert_true(f.hashed && f.config.rank == 4 && f.config.alpha == 8 && f.config.targets == ADAPT_ALL);
    adapter_folder_free(&f);
    OK(folder_remove(folder, &error));
    remove_both(&p);
}

/* Opening must fail, with this text in the message. */
static void refused(const char *folder, const adapter_config *a, const char *text) {
    compute *c;
    model *m;
    OK(test_compute_new(&c, "ref", DTYPE_F32, 1, &error));
    assert_int_equal(model_open(&m, folder, &(model_options){.compute = c, .adapter = a}, &error),
                     ESP_FAILED);
    if (!strstr(error.message, text)) fail_msg("\"%s\" does not say \"%s\"", error.message, text);
    assert_null(m);
    compute_free(c);
}

static void test_base(void **state) {
    (void)state;
    places p = save_both("moved");
    const adapter_config other = {.rank = 8, .alpha = 8, .targets = ADAPT_ALL};
    refused(p.folder, &other, "where one of rank 8");
    save_base(p.base, 6);
    refused(p.folder, NULL, "is not the base of this adapter");
    OK(folder_remove(p.base, &error));
    refused(p.folder, NULL, "is not here");
    OK(folder_remove(p.folder, &error));
}

/* One key of adapter_config.json as `value` (JSON). */
static void set_key(const char *folder, const char *key, const char *value) {
    char *file = path_join(folder, "adapter_config.json");
    json_t *object;
    OK(json_read_file(file, &object, &error));
    json_object_set_new(object, key, json_loads(value, JSON_DECODE_ANY, NULL));
    OK(json_write_file(file, object, true, &error));
    json_decref(object);
    mem_free(file);
}

static void test_refused(void **state) {
    (void)state;
    const char *const each[][3] = {
        {"use_dora", "true", "use_dora"},
        {"bias", "\"lora_only\"", "bias"},
        {"modules_to_save", "[\"lm_head\"]", "modules_to_save"},
        {"target_modules", "[\"q_proj\", \"lm_head\"]", "lm_head"},
        {"target_modules", "\".*proj\"", "target_modules"},
        {"target_modules", "[]", "no matrix"},
        {"rank_pattern", "{\"q_proj\": 8}", "rank_pattern"},
        {"layers_to_transform", "[0]", "layers_to_transform"},
        {"init_lora_weights", "\"pissa\"", "init_lora_weights"},
        {"fan_in_fan_out", "true", "fan_in_fan_out"},
        {"peft_type", "\"IA3\"", "peft_type"},
        {"r", "0", "rank 0"},
        {"r", "8", "has shape"},
        {"lora_alpha", "-1", "alpha"},
        {"a_key_of_a_later_version", "1", "a_key_of_a_later_version"},
    };
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        places p = save_both("refused");
        set_key(p.folder, each[i][0], each[i][1]);
        refused(p.folder, NULL, each[i][2]);
        remove_both(&p);
    }
    /* What PEFT writes, and that asks for nothing else. */
    places p = save_both("plain");
    const char *const nothing[][2] = {{"use_dora", "false"},       {"modules_to_save", "null"},
                                      {"rank_pattern", "{}"},      {"loftq_config", "{}"},
                                      {"lora_dropout", "0.1"},     {"init_lora_weights", "true"},
                                      {"megatron_config", "null"}, {"target_modules", "\"all-linear\""}};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        set_key(p.folder, nothing[i][0], nothing[i][1]);
    model *m = open_at(p.folder, NULL);
    close_model(m);
    remove_both(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_merged),
                                       cmocka_unit_test(test_base), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
