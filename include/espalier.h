/* Espalier: Monte Carlo tree search over reasoning steps, and preference learning from the search's results.
 * This is the library's only public header; it needs no other, in C and in C++.
 *
 * Errors. A call that can fail returns an esp_status and, if it is not ESP_OK, fills *error with what failed,
 * where, and what to do about it. error may be NULL. A failed call leaves its outputs empty (NULL, 0) and
 * nothing to free. The library never prints and never exits; it aborts only if a small allocation fails.
 *
 * Options. A struct of options that is all zeroes, or NULL instead of one, means the defaults.
 *
 * Ownership. The caller frees pointers that a call returns with esp_free, and a model with esp_model_close.
 * Arguments are borrowed during the call.
 *
 * Threads. Only one thread may use a model at a time, except for esp_tokenize and esp_detokenize, which any
 * number of threads may call at the same time. Different models, and calls without a model, are independent.
 * The compute layer's threads spin while they wait for each other. If other programs use the same cores, set
 * GOMP_SPINCOUNT=1000 in the environment before the process starts, as the espalier program does for itself;
 * with glibc also GLIBC_TUNABLES=glibc.malloc.hugetlb=1, which makes reading weights a little faster. */
#ifndef ESPALIER_H
#define ESPALIER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ESP_VERSION "0.1.0"

/* Marks the symbols that libespalier.so exports. */
#if defined(__GNUC__)
#define ESP_API __attribute__((visibility("default")))
#else
#define ESP_API
#endif

/* The result of a call; an esp_error has the details. The values are also the program's exit statuses. */
typedef enum {
    ESP_OK = 0,          /* done */
    ESP_FAILED = 1,      /* bad input, a failed disk, not enough memory, ...: see the message */
    ESP_USAGE = 2,       /* a mistake of the caller: an unknown option, a missing argument */
    ESP_INTERRUPTED = 3, /* stopped on request; finished work is kept */
} esp_status;

/* Why a call failed, for a program that reacts to it. */
typedef enum {
    ESP_REASON_OTHER = 0,
    ESP_REASON_UNSET,           /* a setting that is needed has no value; esp_error.setting names it */
    ESP_REASON_UNKNOWN_SETTING, /* there is no such setting */
    ESP_REASON_NO_RUN,          /* there is no run in the folder */
    ESP_REASON_RUN_EXISTS,      /* there is one already */
    ESP_REASON_OTHER_RUN,       /* the run there was made with another recipe, model, problems or phases */
    ESP_REASON_BUSY,            /* another process works on the run */
    ESP_REASON_DISK_FULL,       /* no room on the disk, or beyond a quota or a limit on file sizes */
    ESP_REASON_MEMORY,          /* not enough memory */
    ESP_REASON_CACHE_FULL,      /* no room in the KV cache: fewer or shorter sequences would fit */
} esp_reason;

typedef struct {
    esp_status code;
    char message[1024]; /* what failed and where */
    char hint[512];     /* what to do about it; may be empty */
    esp_reason reason;
    char setting[64]; /* key of the recipe that the error is about, "model.path"; mostly empty */
    bool resumable;   /* what the run finished is kept: esp_run with `resume` continues it */
} esp_error;

/* The version of the library at run time (ESP_VERSION: that of the header at compile time). */
ESP_API const char *esp_version(void);

/* Frees a pointer that a call has returned; NULL is permitted. */
ESP_API void esp_free(void *p);

/* ---- Models ---- */

/* A language model (Llama, Mistral or Qwen2), with its tokenizer. */
typedef struct esp_model esp_model;

/* The type in which matrices are multiplied; sums always have 32 bits. */
typedef enum {
    ESP_BF16, /* ESP_F32 on a machine without bfloat16 */
    ESP_F32,
} esp_dtype;

typedef enum {
    ESP_COMPUTE_CPU, /* fused kernels and oneDNN, instruction set chosen at run time */
    ESP_COMPUTE_REF, /* simple loops, to check the other */
} esp_compute;

/* The form of a prompt for a model that was trained on conversations. */
typedef enum {
    ESP_CHAT_AUTO, /* recognised from the model's template; plain if it has none */
    ESP_CHAT_PLAIN,
    ESP_CHAT_CHATML,
    ESP_CHAT_LLAMA2,
    ESP_CHAT_MISTRAL,
} esp_chat;

typedef struct {
    esp_dtype dtype;
    esp_compute compute;
    int threads;     /* of the compute layer, at most 1024; 0: one per core */
    int64_t context; /* the longest path, in tokens; 0: that of the model, at most 8192 */
    esp_chat chat_template;
} esp_model_options;

/* Opens a folder in Hugging Face layout (config.json, safetensors, tokenizer.json) or a GGUF file, and loads
 * all weights. A missing or damaged tokenizer, or an unknown chat template, is an error of the calls that
 * need it, not of this one. Fails on missing or truncated files, tensors of a wrong shape or type, an unknown
 * architecture, and, before loading, on a model that does not fit in memory. */
ESP_API esp_status esp_model_open(esp_model **out, const char *path, const esp_model_options *options,
                                  esp_error *error);
/* NULL is permitted. */
ESP_API void esp_model_close(esp_model *model);

typedef struct {
    int64_t parameters;   /* the number of weights */
    int64_t context;      /* tokens, as opened */
    int32_t vocabulary;   /* ids are 0 .. vocabulary - 1 */
    int32_t bos, eos;     /* ids of beginning and end of sequence; -1: none */
    bool begins_with_bos; /* whether the model expects bos before every text */
} esp_model_info;

ESP_API esp_model_info esp_model_describe(const esp_model *model);

/* ---- Text and token ids ---- */

/* Stores the ids of text[0, length), which may contain any bytes, in *ids [*n]: freed with esp_free, NULL if
 * *n is 0. No beginning-of-sequence token is added. With `special`, control tokens written in the text, such
 * as <|im_end|>, become their ids; without it they are ordinary text (use this for untrusted text). Fails if
 * the model has no readable tokenizer, and on a text of more than 1 GB. */
ESP_API esp_status esp_tokenize(const esp_model *model, const char *text, size_t length, bool special,
                                int32_t **ids, size_t *n, esp_error *error);

/* Stores the text of ids [n] in *text: *length bytes and a terminating zero, freed with esp_free. The bytes
 * need not be whole characters. length may be NULL. With `special`, control tokens are written by name;
 * without it, they are left out. Fails on an id that the tokenizer does not have. */
ESP_API esp_status esp_detokenize(const esp_model *model, const int32_t *ids, size_t n, bool special,
                                  char **text, size_t *length, esp_error *error);

/* ---- Log-probs ---- */

/* A tree of runs of tokens; each run continues its parent. A token's position is its distance from the root,
 * and it attends only to its ancestors. A common beginning of texts is one run, computed once. A single text
 * is a tree of one run; several runs without a parent are separate texts.
 *
 *     "The cat" + " sat", " ran":  runs 3, tokens {The, cat, sat, ran}, start {0, 2, 3, 4}, parent {-1, 0, 0}
 */
typedef struct {
    int32_t runs;
    const int32_t *tokens; /* [start[runs]] ids */
    const int32_t
        *start; /* [runs + 1], start[0] = 0: run r is tokens start[r] .. start[r + 1] - 1, at least one */
    const int32_t *parent; /* [runs]: an earlier run, or -1 for a root */
} esp_token_tree;

/* logprobs[i] = log p(tokens[i] | its ancestors), natural, at temperature 1, for all start[runs]
 * tokens. The first token of a root has no ancestors and gets 0, so that the sum over a path is its log-prob.
 * All tokens go through the model at once, and memory grows with their number; a few thousand per call are
 * enough for full speed. Fails on a malformed tree, an id outside the vocabulary, a path longer than the
 * context, and on lack of memory; logprobs is then unspecified. */
ESP_API esp_status esp_score(esp_model *model, const esp_token_tree *tree, float *logprobs, esp_error *error);

/* ---- Generation ---- */

typedef struct {
    int32_t max_tokens; /* 0: 128. Generation also ends at the end of the context */
    double temperature; /* 0: greedy, always the most probable token; at most 100 */
    uint64_t seed;      /* of the random numbers; on the same machine, the same seed gives the same text */
    bool chat;          /* the prompt is a user's turn in the model's chat template */
    const char *system; /* with chat: the system turn; NULL: the one that the model's template has by itself;
                           "": none */
} esp_generate_options;

/* Stores the model's continuation of `prompt` (zero-terminated) in *text: *length bytes and a terminating
 * zero, freed with esp_free. length may be NULL. It ends before the end-of-sequence token (with chat, the end
 * of the turn), which is not part of the text. Beginning-of-sequence is added before the prompt if the model
 * expects it; control tokens written in the prompt are ordinary text. Fails on an empty prompt, on one that
 * leaves no room in the context, and, with chat, on an unknown chat template. */
ESP_API esp_status esp_generate(esp_model *model, const char *prompt, const esp_generate_options *options,
                                char **text, size_t *length, esp_error *error);

/* ---- Grading ---- */

typedef struct {
    bool correct; /* false also where the task cannot judge: the reason says so */
    const char
        *reason; /* in the task's words: "equal", "different number", "no answer found"; not to be freed */
    char *extracted; /* the answer found, in canonical form ("1,200.0" is "1200"), or an excerpt of the text
                        in its place; NULL if there is none. Freed with esp_free */
} esp_grade_result;

/* Finds the final answer in the text `answer` and compares it exactly with `gold`, which is an answer or a
 * text that ends in one. task: "gsm8k", "arith" or "yesno". Both texts are zero-terminated. Fails on an
 * unknown task, and if `gold` contains no answer of the task's kind. */
ESP_API esp_status esp_grade(const char *task, const char *answer, const char *gold, esp_grade_result *out,
                             esp_error *error);

/* ---- Learning ---- */

/* Log-probs of a preferred and a rejected continuation of one prefix, in nats, summed over their tokens. */
typedef struct {
    double chosen, rejected;         /* under the policy in training */
    double ref_chosen, ref_rejected; /* under the reference */
} esp_pair_logps;

typedef struct {
    double loss;
    double margin;             /* h = beta [(chosen - ref_chosen) - (rejected - ref_rejected)] */
    double dchosen, drejected; /* dloss / dchosen, dloss / drejected */
} esp_dpo_result;

/* Direct preference optimization with label smoothing, a pure function:
 *     loss = -(1 - alpha) log sigmoid(h) - alpha log sigmoid(-h),   beta > 0, alpha in [0, 1].
 * Numerically stable for margins of any size; if an input is not finite, the results are not finite. Rafailov
 * et al., arXiv 2305.18290, eq. 7, where alpha is 0. */
ESP_API esp_dpo_result esp_dpo(esp_pair_logps logps, double beta, double alpha);

/* ---- The whole loop ---- */

/* Receives a run's progress; every member may be NULL. Called by the thread that called esp_run; strings are
 * valid during the call. A piece of work begins, steps and ends before the next begins; notes may come at any
 * time. */
typedef struct {
    void *context; /* passed to each function */
    void (*begin)(void *context, const char *title, int64_t total, const char *unit);
    void (*step)(void *context, int64_t done, const char *detail); /* done of total; detail may be NULL */
    void (*end)(void *context);
    void (*note)(void *context, const char *line);
} esp_observer;

/* A key of the recipe and its value as text: {"search.simulations", "16"}. */
typedef struct {
    const char *key, *value;
} esp_setting;

typedef struct {
    const char *folder;          /* the run directory; NULL: the recipe's run.out */
    bool resume;                 /* continue the existing run; otherwise the folder must not contain one */
    const esp_setting *settings; /* [setting_count]; they override the recipe */
    size_t setting_count;
    esp_observer observer;
    const volatile sig_atomic_t *stop; /* may be set by another thread or a signal handler: the current write
                                          is finished, then the call returns ESP_INTERRUPTED. NULL: never */
} esp_run_options;

/* Carries out a recipe (a YAML file; NULL: the defaults and `settings`): supervised fine-tuning if
 * configured, then iterations of search, learning and evaluation. Everything is stored in the run directory
 * as it is done. A kill at any moment leaves the directory consistent; a call with `resume` continues the
 * run, and the result is the same bit for bit. Fails on a recipe with an unknown key, a wrong type or a value
 * out of range (the message has file, line and column), on a run that cannot fit in memory (before loading),
 * and on resuming with another recipe than the run's. */
ESP_API esp_status esp_run(const char *recipe, const esp_run_options *options, esp_error *error);

/* Stores the results of a run so far in *json, as one JSON object (zero-terminated; freed with esp_free):
 * position, evaluations with their intervals, updates with their watch list, and the run's digest. Fails on a
 * folder that is not a run. */
ESP_API esp_status esp_run_summary(const char *folder, char **json, esp_error *error);

#ifdef __cplusplus
}
#endif

#endif
