/* Checkpoints of every architecture: what is saved is what is opened again, to the last bit, from a folder
 * and from a GGUF file; and a tensor that is missing, or that the architecture does not know, is an error
 * that names it. */
#include "base/file.h"
#include "formats/safetensors.h"
#include "formats/tensor_file.h"
#include "gguf_made.h"

static model_config shape_of(const arch *of, bool tied) {
    model_config c = made_up_shape(61, 2, 4, 2, 8);
    c.arch = of;
    if (of == &arch_smollm3) c.unrotated_every = 4;
    if (of == &arch_gemma3) c.local_theta = 1e4, c.query_scalar = 8, c.full_every = 6;
    c.tied = tied;
    return c;
}

/* A model whose vectors are not all the same number; 1 + w is exact. */
static model *make_model(const arch *of, bool tied) {
    model_config c = shape_of(of, tied);
    model *m = made_up_model(&c, "ref", DTYPE_F32, 1, false);
    int64_t floats = model_parameter_count(m);
    float *w = host_copy(m->compute, m->master, floats);
    for (const param *p = m->params.at; p < m->params.at + m->params.count; p++)
        for (int64_t i = 0; param_rank(p) == 1 && i < p->rows; i++)
            w[p->offset + i] += 0x1p-7f * (float)(i % 11 - 5);
    m->compute->ops->put(m->compute, m->master, w, (size_t)floats * sizeof *w);
    mem_free(w);
    OK(model_sync(m, &error));
    return m;
}

static const char *save(const model *m, const char *name) {
    const char *folder = scratch_path(name);
    OK(folder_make(folder, &error));
    OK(model_save(m, folder, DTYPE_F32, &error));
    return folder;
}

/* The shape, the numbers, and what they compute. */
static void assert_same_model(model *a, const char *path) {
    model *b;
    compute *c;
    OK(test_compute_new(&c, "ref", DTYPE_F32, 1, &error));
    OK(model_open(&b, path, &(model_options){.compute = c, .trainable = true}, &error));
    const model_config *x = model_configuration(a), *y = model_configuration(b);
    assert_int_equal(x->tied, y->tied);
    assert_int_equal(x->vocab, y->vocab);
    assert_int_equal(x->head_width, y->head_width);
    assert_int_equal(x->kv_heads, y->kv_heads);
    assert_int_equal(x->bos, y->bos);
    assert_int_equal(x->eos, y->eos);
    assert_true(x->norm_eps == y->norm_eps && x->rope.theta == y->rope.theta);
    assert_string_equal(x->arch->gguf ? x->arch->gguf : x->arch->hf,
                        y->arch->gguf ? y->arch->gguf : y->arch->hf);
    assert_int_equal(model_parameter_count(a), model_parameter_count(b));
    int64_t floats = model_parameter_count(a);
    float *of_a = host_copy(a->compute, a->master, floats), *of_b = host_copy(b->compute, b->master, floats);
    assert_memory_equal(of_a, of_b, (size_t)floats * sizeof *of_a);
    mem_free(of_a), mem_free(of_b);
    token_tree_builder t = {0};
    add_run(&t, -1, 40, 61);
    token_tree tree = token_tree_view(&t);
    float p[40], q[40];
    OK(model_forward(a, &tree, NULL, false, p, &error));
    OK(model_forward(b, &tree, NULL, false, q, &error));
    assert_memory_equal(p, q, sizeof p);
    token_tree_free(&t);
    close_model(b);
}

static void folders(void **state) {
    (void)state;
    for (int i = 0; arch_at(i); i++)
        for (int tied = 0; tied < 2; tied++) {
            char name[32];
            snprintf(name, sizeof name, "folder-%d-%d", i, tied);
            model *m = make_model(arch_at(i), tied);
            assert_same_model(m, save(m, name));
            close_model(m);
        }
}

static void gguf_files(void **state) {
    (void)state;
    for (int i = 0; arch_at(i); i++)
        for (int tied = 0; arch_at(i)->gguf && tied < 2; tied++) {
            model *m = make_model(arch_at(i), tied);
            gguf_made g = gguf_make(m);
            const char *path = gguf_write(&g, "made.gguf");
            assert_same_model(m, path);
            const char *folder = scratch_path(tied ? "converted-tied" : "converted");
            OK(folder_make(folder, &error));
            OK(model_convert(path, folder, DTYPE_F32, &error));
            assert_same_model(m, folder);
            folder_remove(folder, NULL);
            close_model(m);
        }
}

/* Llama 3.1's scaling of the angles is in a GGUF file as a tensor. */
static void rope_factors(void **state) {
    (void)state;
    model_config shape = made_up_shape(61, 2, 4, 2, 64);
    shape.rope = (rope_config){.kind = ROPE_LLAMA3,
                               .theta = 5e5,
                               .factor = 8,
                               .low_freq_factor = 1,
                               .high_freq_factor = 4,
                               .original_context = 64};
    model *m = made_up_model(&shape, "ref", DTYPE_F32, 1, false);
    gguf_made g = gguf_make(m);
    float factors[32];
    config_rope_factors(&shape.rope, 64, factors);
    made_tensor(&g, "rope_freqs.weight", 1, 32, 1, factors, 0);
    assert_same_model(m, gguf_write(&g, "factors.gguf"));
    close_model(m);
}

static esp_status open_only(const char *path) {
    model *m;
    compute *c;
    OK(test_compute_new(&c, "ref", DTYPE_F32, 1, &error));
    esp_status status = model_open(&m, path, &(model_options){.compute = c}, &error);
    model_free(m);
    compute_free(c);
    return status;
}

/* Writes a folder's tensors again but the one of that name, and one more. */
static void rewrite(const char *folder, const char *without, const char *more) {
    tensor_source *source;
    OK(tensor_source_open(&source, folder, &error));
    int64_t n = tensor_source_count(source), count = 0;
    safetensors_spec *specs = MEM_ARRAY(safetensors_spec, n + 1);
    float *zeros = MEM_ARRAY(float, 1 << 16);
    for (int64_t i = 0; i < n; i++) {
        const tensor_entry *t = tensor_source_at(source, i);
        if (without && strcmp(t->name, without) == 0) continue;
        specs[count] = (safetensors_spec){.name = t->name, .type = TENSOR_F32, .rank = t->rank};
        memcpy(specs[count++].shape, t->shape, sizeof t->shape);
    }
    if (more) specs[count++] = (safetensors_spec){.name = more, .type = TENSOR_F32, .rank = 1, .shape = {32}};
    char file[600];
    snprintf(file, sizeof file, "%s/model.safetensors", folder);
    safetensors_writer *w;
    OK(safetensors_write_begin(&w, file, specs, count, &error));
    for (int64_t i = 0; i < count; i++) {
        int64_t floats = specs[i].rank == 2 ? specs[i].shape[0] * specs[i].shape[1] : specs[i].shape[0];
        OK(safetensors_write_floats(w, i, zeros, floats, &error));
    }
    OK(safetensors_write_end(w, &error));
    tensor_source_close(source);
    mem_free(specs);
    mem_free(zeros);
}

static void unknown_in_a_folder(void **state) {
    (void)state;
    model *m = make_model(&arch_llama, true);
    const char *folder = save(m, "unknown"), *bias = "model.layers.1.self_attn.q_proj.bias",
               *copy = scratch_path("copy");
    rewrite(folder, NULL, bias);
    ASSERT_FAILED(open_only(folder), &error, bias, "LlamaForCausalLM");
    OK(folder_make(copy, &error));
    ASSERT_FAILED(model_convert(folder, copy, DTYPE_F32, &error), &error, bias);
    ASSERT_FAILED(model_load_weights(m, folder, &error), &error, bias);
    rewrite(folder, bias, "model.layers.0.self_attn.rotary_emb.inv_freq"); /* old checkpoints have it */
    OK(open_only(folder));
    rewrite(folder, "model.norm.weight", NULL);
    ASSERT_FAILED(open_only(folder), &error, "model.norm.weight", "missing");
    close_model(m);
}

/* Gemma 3 in a model of texts and pictures: its tensors have other names, old or new, and what sees is left
 * out.
 */
static void wrapped(void **state) {
    (void)state;
    static const char *const outer[] = {"language_model.", "model.language_model."};
    model_config c = made_up_shape(61, 2, 4, 2, 8);
    c.arch = &arch_gemma3;
    c.local_theta = 1e4, c.query_scalar = 8, c.window = 16, c.full_every = 2;
    model *m = made_up_model(&c, "ref", DTYPE_F32, 1, false);
    for (int i = 0; i < 2; i++) {
        const char *folder = save(m, i ? "wrapped-new" : "wrapped-old");
        char file[600];
        snprintf(file, sizeof file, "%s/model.safetensors", folder);
        safetensors_spec specs[64];
        param_name names[64];
        int64_t n = m->params.count;
        for (int64_t k = 0; k < n; k++) {
            const param *p = &m->params.at[k];
            snprintf(names[k].text, sizeof names[k].text, "%s%s", outer[i],
                     param_hf_name(p).text + (i ? strlen("model.") : 0));
            specs[k] = (safetensors_spec){.name = names[k].text,
                                          .type = TENSOR_F32,
                                          .rank = param_rank(p),
                                          .shape = {p->rows, p->columns}};
        }
        specs[n] = (safetensors_spec){.name = i ? "model.vision_tower.x" : "vision_tower.x",
                                      .type = TENSOR_F32,
                                      .rank = 1,
                                      .shape = {1}};
        safetensors_writer *w;
        OK(safetensors_write_begin(&w, file, specs, n + 1, &error));
        for (int64_t k = 0; k < n; k++) {
            float *numbers =
                host_copy(m->compute, m->master + m->params.at[k].offset, param_floats(&m->params.at[k]));
            OK(safetensors_write_floats(w, k, numbers, param_floats(&m->params.at[k]), &error));
            mem_free(numbers);
        }
        OK(safetensors_write_floats(w, n, &(float){1}, 1, &error));
        OK(safetensors_write_end(w, &error));
        assert_same_model(m, folder);
    }
    close_model(m);
}

static void unknown_in_a_gguf_file(void **state) {
    (void)state;
    model *m = make_model(&arch_llama, true);
    const float zeros[32] = {0};
    static const char *const names[] = {"blk.1.attn_q.bias", "blk.0.attn_q_norm.weight", "rope_freqs.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        gguf_made g = gguf_make(m);
        made_tensor(&g, names[i], 1, 32, 1, zeros, 0);
        ASSERT_FAILED(open_only(gguf_write(&g, "unknown.gguf")), &error, names[i]);
    }
    close_model(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(folders),
                                       cmocka_unit_test(gguf_files),
                                       cmocka_unit_test(rope_factors),
                                       cmocka_unit_test(wrapped),
                                       cmocka_unit_test(unknown_in_a_folder),
                                       cmocka_unit_test(unknown_in_a_gguf_file)};
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
