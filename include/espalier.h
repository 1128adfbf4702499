/* Espalier: Monte Carlo tree search over reasoning steps, and preference learning from what the search found.
 * The library's one public header; it stands alone, in C and in C++.
 *
 * Errors. A call that can fail returns an esp_status and, where it is not ESP_OK, fills *error with what went
 * wrong, where, and what to do about it. error may be NULL. A failed call leaves its outputs empty (NULL, 0)
 * and nothing to free. The library never prints and never exits; only small allocations that the system
 * refuses abort.
 *
 * Options. A struct of options that is all zeroes, or NULL in its place, means the defaults.
 *
 * Ownership. What a call hands out as a pointer is freed with esp_free, a model with esp_model_close. What is
 * handed in is borrowed for the length of the call.
 *
 * Threads. A model serves one call at a time, esp_tokenize and esp_detokenize aside, which any number of
 * threads may call at once. Different models, and the calls without a model, do not touch each other. The
 * compute layer's threads wait for each other by spinning; where other programs want the same cores, set
 * GOMP_SPINCOUNT=1000 in the environment before the process starts, as the espalier program does for itself;
 * with glibc also GLIBC_TUNABLES=glibc.malloc.hugetlb=1, which reads weights a little faster.
 */
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

/* Marks what libespalier.so shows; all else in it is hidden. */
#if defined(__GNUC__)
#define ESP_API __attribute__((visibility("default")))
#else
#define ESP_API
#endif

/* What a call returns; an esp_error says more. The values are also the program's exit codes. */
typedef enum {
    ESP_OK = 0,          /* done */
    ESP_FAILED = 1,      /* bad input, a failing disk, not enough memory: the message says which */
    ESP_USAGE = 2,       /* the caller's words are off: an unknown option, a missing argument */
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
    char message[1024]; /* what went wrong and where */
    char hint[512];     /* what to do about it; may be empty */
    esp_reason reason;
    char setting[64]; /* key of the recipe that the error is about, "model.path"; mostly empty */
    bool resumable;   /* what the run finished is kept: esp_run with `resume` continues it */
} esp_error;

/* The version of the library that runs (ESP_VERSION is that of the header compiled against). */
ESP_API const char *esp_version(void);

/* Frees what a call handed out; NULL is fine. */
ESP_API void esp_free(void *p);

/* ---- Models ---- */

/* A language model of the Llama family, with its tokenizer. */
typedef struct esp_model esp_model;

/* What matrices are multiplied in; sums are always kept in 32 bits. */
typedef enum {
    ESP_BF16, /* falls back to ESP_F32 on a machine without bfloat16 */
    ESP_F32,
} esp_dtype;

typedef enum {
    ESP_COMPUTE_CPU, /* fused kernels and oneDNN, instruction set chosen at run time */
    ESP_COMPUTE_REF, /* plain loops, to check the other by */
} esp_compute;

/* How a question is put to a model that was taught the form of a conversation. */
typedef enum {
    ESP_CHAT_AUTO, /* recognised from the model's own template; a model without one is plain */
    ESP_CHAT_PLAIN,
    ESP_CHAT_CHATML,
    ESP_CHAT_LLAMA2,
    ESP_CHAT_MISTRAL,
} esp_chat;

typedef struct {
    esp_dtype dtype;
    esp_compute compute;
    int threads;     /* of the compute layer, at most 1024; 0: one a core */
    int64_t context; /* tokens of the longest path to prepare for; 0: the model's own, at most 8192 */
    esp_chat chat_template;
} esp_model_options;

/* Opens a folder in Hugging Face layout (config.json, safetensors, tokenizer.json) or a GGUF file; weights
 * are loaded whole. A missing or damaged tokenizer, and a chat template that is not recognised, are errors of
 * the calls that need them, not of this one. Fails on missing or truncated files, tensors of a wrong shape or
 * dtype, an unknown architecture, and, before loading, on a model that does not fit in memory. */
ESP_API esp_status esp_model_open(esp_model **out, const char *path, const esp_model_options *options,
                                  esp_error *error);
/* NULL is fine. */
ESP_API void esp_model_close(esp_model *model);

typedef struct {
    int64_t parameters;   /* numbers in the weights */
    int64_t context;      /* tokens, as opened */
    int32_t vocabulary;   /* ids are 0 .. vocabulary - 1 */
    int32_t bos, eos;     /* ids of beginning and end of sequence; -1: none */
    bool begins_with_bos; /* whether the model expects bos before every text */
} esp_model_info;

ESP_API esp_model_info esp_model_describe(const esp_model *model);

/* ---- Text and token ids ---- */

/* The ids of text[0, length), which may hold any bytes, into *ids [*n]: freed with esp_free, NULL where *n is
 * 0. No beginning-of-sequence token is added. With `special`, control tokens that stand in the text, such as
 * <|im_end|>, become their ids; without it they are ordinary text, as what a stranger wrote should be. Fails
 * where the model has no tokenizer that can be read, and on a text of more than 1 GB. */
ESP_API esp_status esp_tokenize(const esp_model *model, const char *text, size_t length, bool special,
                                int32_t **ids, size_t *n, esp_error *error);

/* The text of ids [n] into *text: *length bytes and a zero behind them, freed with esp_free. Bytes come out
 * as they are, whole characters or not. length may be NULL. With `special`, control tokens come out by name;
 * without it, not at all. Fails on an id that the tokenizer does not have. */
ESP_API esp_status esp_detokenize(const esp_model *model, const int32_t *ids, size_t n, bool special,
                                  char **text, size_t *length, esp_error *error);

/* ---- Log-probs ---- */

/* Runs of tokens, each going on where its parent ends: a token's position is its distance from the root, and
 * it sees its ancestors only. What texts have in common is one run, computed once. A single text is a tree of
 * one run; several runs without a parent make a forest of separate texts.
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

/* logprobs[i] = log p(tokens[i] | its ancestors), natural, of the untempered model, for all start[runs]
 * tokens; the first token of a root has no ancestors and gets 0, so that sums over a path are its log-prob.
 * All tokens go through the model at once, and memory grows with them: some thousands a call are plenty for
 * full speed. Fails on a malformed tree, an id outside the vocabulary, a path longer than the context, and
 * for want of memory; logprobs is then unspecified. */
ESP_API esp_status esp_score(esp_model *model, const esp_token_tree *tree, float *logprobs, esp_error *error);

/* ---- Generation ---- */

typedef struct {
    int32_t max_tokens; /* 0: 128. It also ends where the context does */
    double temperature; /* 0: greedy, the most probable token each time; at most 100 */
    uint64_t seed;      /* of the random numbers; the same seed on the same machine gives the same text */
    bool chat;          /* the prompt is a user's turn, put into the model's chat template */
    const char *system; /* with chat: a system prompt; NULL: none */
} esp_generate_options;

/* What the model says after `prompt`, which ends in a zero, into *text: *length bytes and a zero behind them,
 * freed with esp_free. length may be NULL. It ends before the end-of-sequence token (with chat, the end of
 * the turn), which is not part of the text. A beginning-of-sequence token stands before the prompt where the
 * model expects one; control tokens written in the prompt are ordinary text. Fails on an empty prompt, one
 * that leaves no room in the context, and with chat on a chat template that is not recognised. */
ESP_API esp_status esp_generate(esp_model *model, const char *prompt, const esp_generate_options *options,
                                char **text, size_t *length, esp_error *error);

/* ---- Grading ---- */

typedef struct {
    bool correct;
    const char
        *reason; /* why: "equal", "different number", "no answer found", "not a number"; not to be freed */
    char *extracted; /* the answer found, in its one spelling ("1,200.0" is "1200"), or an excerpt of what
                        stands in its place; NULL where there is none. Freed with esp_free */
} esp_grade_result;

/* Finds the final answer in the text `answer` and compares it exactly with `gold`, an answer by itself or a
 * text that ends in one. task: "gsm8k". Both texts end in a zero. Fails on an unknown task and on a gold that
 * holds no answer of the task's kind. */
ESP_API esp_status esp_grade(const char *task, const char *answer, const char *gold, esp_grade_result *out,
                             esp_error *error);

/* ---- Learning ---- */

/* Log-probs of a preferred and a rejected continuation of one prefix, in nats, summed over their tokens. */
typedef struct {
    double chosen, rejected;         /* of the policy in training */
    double ref_chosen, ref_rejected; /* of the reference */
} esp_pair_logps;

typedef struct {
    double loss;
    double margin;             /* h = beta [(chosen - ref_chosen) - (rejected - ref_rejected)] */
    double dchosen, drejected; /* dloss / dchosen, dloss / drejected */
} esp_dpo_result;

/* Direct preference optimization with label smoothing, a pure function:
 *     loss = -(1 - alpha) log sigmoid(h) - alpha log sigmoid(-h),   beta > 0, alpha in [0, 1].
 * Stable for margins of any size; what is not finite going in is not finite coming out. Rafailov et al.,
 * arXiv 2305.18290, eq. 7, where alpha is 0. */
ESP_API esp_dpo_result esp_dpo(esp_pair_logps logps, double beta, double alpha);

/* ---- The whole loop ---- */

/* Who is told how a run goes; every member may be NULL. Called from the thread that called esp_run, texts
 * valid during the call only. A piece of work begins, steps and ends, and one ends before the next begins;
 * notes may come at any time. */
typedef struct {
    void *context; /* handed back */
    void (*begin)(void *context, const char *title, int64_t total, const char *unit);
    void (*step)(void *context, int64_t done, const char *detail); /* done of total; detail may be NULL */
    void (*end)(void *context);
    void (*note)(void *context, const char *line);
} esp_observer;

/* A key of the recipe and its value, as they would stand in the file: {"search.simulations", "16"}. */
typedef struct {
    const char *key, *value;
} esp_setting;

typedef struct {
    const char *folder;          /* the run directory; NULL: the recipe's run.out */
    bool resume;                 /* go on with the run that is there; else it must not exist yet */
    const esp_setting *settings; /* [setting_count], over what the recipe says */
    size_t setting_count;
    esp_observer observer;
    const volatile sig_atomic_t *stop; /* may be set by another thread or a signal handler: the write in hand
                                          is finished, then the call returns ESP_INTERRUPTED. NULL: never */
} esp_run_options;

/* Carries out a recipe (YAML; NULL: the defaults under `settings`): supervised warm-up if asked, then
 * iterations of search, learning and evaluation, kept in the run directory as it goes. A kill at any moment
 * leaves the directory whole; a call with `resume` goes on and ends in the same bits. Fails on a recipe with
 * an unknown key, a wrong type or a value out of range (file, line and column are named), on a run that
 * cannot fit in memory (before anything is loaded), and on resuming with another recipe than the run was made
 * with. */
ESP_API esp_status esp_run(const char *recipe, const esp_run_options *options, esp_error *error);

/* What a run came to so far, as one JSON object into *json (ends in a zero; freed with esp_free): position,
 * evaluations with their intervals, updates with their watch list, and the run's digest. Fails on a folder
 * that is not a run. */
ESP_API esp_status esp_run_summary(const char *folder, char **json, esp_error *error);

#ifdef __cplusplus
}
#endif

#endif
