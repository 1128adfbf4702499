/* The model: a transformer (model/arch.h) that outputs log-probs: `forward` gives one per token of a tree,
 * `backward` takes one dloss/dlogprob per token; `extend` grows paths in a KV cache and scores or samples
 * their next tokens. Logits stay in the compute layer. */
#ifndef ESPALIER_MODEL_MODEL_H
#define ESPALIER_MODEL_MODEL_H

#include "compute/compute.h"
#include "model/adapter.h"
#include "model/params.h"
#include "model/token_tree.h"

typedef struct model model;

typedef struct {
    compute *compute; /* borrowed; must outlive the model */
    bool trainable;   /* keep f32 masters and the packings that backward needs */
    bool recompute;  /* a pass that keeps, keeps each layer's input alone; backward computes the rest again */
    int64_t context; /* positions to prepare; 0: what the configuration says, at most 8192 */
    /* NULL or rank 0: none, unless the path is an adapter's folder. Else a new adapter, whose first numbers
     * the seed decides, or this one in a folder. Where there is an adapter, it is what is trained. */
    const adapter_config *adapter;
    uint64_t adapter_seed;
} model_options;

/* Opens a Hugging Face folder (config.json and safetensors), a .gguf file, or the folder of an adapter in
 * PEFT's layout (model/adapter_file.h) with the base that it names. Tensors stored in fewer than 16 bits are
 * dequantized and rounded to bf16, the same as `import` writes them. Before anything is loaded the memory it
 * needs is compared with what the machine has. Errors: missing or truncated files, tensors of a wrong shape
 * or dtype, an unknown architecture, not enough memory. */
esp_status model_open(model **out, const char *path, const model_options *options, esp_error *error);
/* A new model with normal(0, 0.02) weights (output projections scaled by 1 / sqrt(2 layers)), keyed by seed.
 */
esp_status model_create(model **out, const model_config *config, const model_options *options, uint64_t seed,
                        esp_error *error);
void model_free(model *m);

const model_config *model_configuration(const model *m);
compute *model_compute(const model *m); /* as given */
/* The compute layer that works on the model's arrays: for a small model a replica of one thread. */
compute *model_operations(const model *m);
int64_t model_context(const model *m);
int64_t model_weight_count(const model *m);    /* numbers of the model, without an adapter's */
int64_t model_parameter_count(const model *m); /* floats in the flat array: those that are trained */
/* What the masters, a gradient and the optimizer's state are parallel to: all parameters of the model, or
 * those of its adapter. */
const param_set *model_trainable(const model *m);
float *model_master(model *m); /* the flat f32 array, a buffer of the compute layer; NULL unless trainable */
esp_status model_sync(model *m, esp_error *error); /* after the masters changed: round and pack them again */

/* Another adapter over the same base, which is not copied: the one in the folder at path, or with NULL the
 * first numbers of m's own. m must outlive it. For a reference policy, or a judge of its own. */
esp_status model_over(model **out, model *m, const char *path, bool trainable, esp_error *error);
/* Whether the model has an adapter, which alone is trained. */
bool model_has_adapter(const model *m);

/* Writes config.json and model.safetensors (F32, or BF16 rounded) of a trainable model into an existing
 * folder; of a model with an adapter that alone, in PEFT's layout. */
esp_status model_save(const model *m, const char *folder, dtype type, esp_error *error);
/* Copies a checkpoint from any readable form to a Hugging Face folder without loading it whole. `type` as
 * above. An adapter is merged into its base. */
esp_status model_convert(const char *path, const char *folder, dtype type, esp_error *error);
/* Copies the folder of an adapter, unmerged. */
esp_status model_convert_adapter(const char *path, const char *folder, dtype type, esp_error *error);
/* Reads every weight of a checkpoint and keeps none: fails where model_open would fail on the weights. */
esp_status model_check_weights(const char *path, esp_error *error);
/* Overwrites the masters with the tensors of another checkpoint of the same shape (resume); syncs. A model
 * with an adapter takes another's numbers, or, from its base's path, the first numbers. */
esp_status model_load_weights(model *m, const char *path, esp_error *error);

/* Bytes: the weights of a model with these options (its `compute` is not asked), and the workspace of a
 * forward (or forward and backward) over tape_tokens tokens. */
typedef struct {
    double weights, masters, optimizer, workspace, kv;
} model_memory;
model_memory model_memory_plan(const model_config *config, dtype act, const model_options *options,
                               int64_t tape_tokens, int64_t kv_tokens);
/* An error with the figures where `needed` bytes are more than the machine (or its cgroup) has free. */
esp_status memory_check(double needed, const char *what, esp_error *error);
double memory_available(void); /* bytes */
/* The configuration alone, without the weights. */
esp_status model_read_config(model_config *out, const char *path, esp_error *error);

/* log p(token | its ancestors) for every token of the tree: logprob[tokens]. A root's first token has none:
 * 0. wanted (may be NULL: all) marks the tokens to score; the others come as 0 and cost no head. With keep,
 * what backward needs is kept until the model's next pass. Formula: the chain rule over docs/method.md 2
 * states; nothing is tempered. */
esp_status model_forward(model *m, const token_tree *tree, const uint8_t *wanted, bool keep, float *logprob,
                         esp_error *error);
/* Adds to gradient (flat, as model_trainable) what dlogprob[tokens] (dloss / dlogprob, 0 where not wanted)
 * sends back through the last forward that kept. */
esp_status model_backward(model *m, const token_tree *tree, const float *dlogprob, float *gradient,
                          esp_error *error);

/* The number of threads that may work on tokens of this model side by side, each with a replica: the compute
 * layer's threads for a small model (up to 8 million parameters), whose operations use one thread each; 1 for
 * a larger one, whose operations use all threads. */
int model_replica_limit(const model *m);
/* Replica `index`, made on first use, owned by the model: a model over the same weights that may forward,
 * extend and have a KV cache while others do. 0 is the model itself. Weights must not change meanwhile. */
esp_status model_replica(model *m, int index, model **out, esp_error *error);

/* --- KV cache: runs of tokens in pages, shared by prefix
 * ------------------------------------------------------------ */
typedef struct kv_cache kv_cache;
enum { KV_PAGE_TOKENS = 16 };

esp_status kv_new(kv_cache **out, model *m, int64_t tokens,
                  esp_error *error); /* room for `tokens` tokens, in whole pages */
void kv_free(kv_cache *kv);
/* A run that continues its parent (-1: starts at position 0). It keeps its parent until it is released. A
 * parent must not grow after that (asserted). */
int32_t kv_run_new(kv_cache *kv, int32_t parent);
void kv_run_retain(kv_cache *kv, int32_t run);
void kv_run_release(kv_cache *kv, int32_t run); /* the last release frees its pages, then its parent's hold */
int64_t kv_run_children(const kv_cache *kv, int32_t run);        /* runs whose parent it is */
int64_t kv_run_length(const kv_cache *kv, int32_t run);          /* tokens of the run itself */
void kv_run_truncate(kv_cache *kv, int32_t run, int64_t length); /* drops the tail; the run has no children */
int64_t kv_pages_free(const kv_cache *kv);
int64_t kv_pages_total(const kv_cache *kv);
/* Pages that appending n tokens to the run would take. */
int64_t kv_pages_needed(const kv_cache *kv, int32_t run, int64_t n);

typedef struct {
    int32_t run; /* each run at most once in a call; a parent's feed precedes its children's */
    const int32_t *tokens;
    int64_t n;
    bool decoded; /* the tokens were sampled one at a time, now or when they were first computed: their bits
                     are the same again (attention_span) */
} kv_feed;

/* A question about what follows token `at` of feed `feed`. In ascending order of (feed, at). */
typedef struct {
    int32_t feed;
    int64_t at;
    read_kind kind;
    int32_t token;
    float temperature;
    double u;
    float logprob, margin;
} kv_read;

/* Appends the feeds' tokens to their runs, all in one batch, and answers the reads. When pages run out the
 * error says so and nothing was appended. A log-prob that is not finite is an error. */
esp_status model_extend(model *m, kv_cache *kv, const kv_feed *feeds, int64_t feed_count, kv_read *reads,
                        int64_t read_count, esp_error *error);

/* Tokens that went through the layers since the model was opened (forward and extend): what the counts of the
 * engine are compared with in tests. */
int64_t model_tokens_computed(const model *m);

#endif
