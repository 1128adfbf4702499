/* Rows that the parameter lists of several architectures have in common, in the order of a pass. */
#ifndef ESPALIER_MODEL_ARCH_ROWS_H
#define ESPALIER_MODEL_ARCH_ROWS_H

#include "model/arch.h"

/* clang-format off */
#define ROWS_EMBED                                                                                           \
    {ROLE_EMBED, "model.embed_tokens.weight", "token_embd.weight", DIM_VOCAB, DIM_WIDTH, INIT_NORMAL,        \
     PARAM_DECAYS},
#define ROWS_NORM_IN                                                                                         \
    {ROLE_NORM_IN, "input_layernorm.weight", "attn_norm.weight", DIM_WIDTH, DIM_ONE, INIT_ONES, 0},
/* q_k_flags: PARAM_GGUF_PERMUTED where GGUF files hold the rows of a head interleaved. */
#define ROWS_QKV(q_k_flags)                                                                                  \
    {ROLE_Q, "self_attn.q_proj.weight", "attn_q.weight", DIM_QUERIES, DIM_WIDTH, INIT_NORMAL,                \
     PARAM_DECAYS | (q_k_flags)},                                                                            \
    {ROLE_K, "self_attn.k_proj.weight", "attn_k.weight", DIM_KEYS, DIM_WIDTH, INIT_NORMAL,                   \
     PARAM_DECAYS | (q_k_flags)},                                                                            \
    {ROLE_V, "self_attn.v_proj.weight", "attn_v.weight", DIM_KEYS, DIM_WIDTH, INIT_NORMAL, PARAM_DECAYS},
#define ROWS_O                                                                                               \
    {ROLE_O, "self_attn.o_proj.weight", "attn_output.weight", DIM_WIDTH, DIM_QUERIES, INIT_NORMAL_RESIDUAL,  \
     PARAM_DECAYS},
#define ROWS_NORM_POST                                                                                       \
    {ROLE_NORM_POST, "post_attention_layernorm.weight", "ffn_norm.weight", DIM_WIDTH, DIM_ONE, INIT_ONES, 0},
#define ROWS_GATE_UP                                                                                         \
    {ROLE_GATE, "mlp.gate_proj.weight", "ffn_gate.weight", DIM_FEED_FORWARD, DIM_WIDTH, INIT_NORMAL,         \
     PARAM_DECAYS},                                                                                          \
    {ROLE_UP, "mlp.up_proj.weight", "ffn_up.weight", DIM_FEED_FORWARD, DIM_WIDTH, INIT_NORMAL, PARAM_DECAYS},
#define ROWS_DOWN                                                                                            \
    {ROLE_DOWN, "mlp.down_proj.weight", "ffn_down.weight", DIM_WIDTH, DIM_FEED_FORWARD, INIT_NORMAL_RESIDUAL, \
     PARAM_DECAYS},
#define ROWS_NORM_OUT                                                                                        \
    {ROLE_NORM_OUT, "model.norm.weight", "output_norm.weight", DIM_WIDTH, DIM_ONE, INIT_ONES, 0},
#define ROWS_HEAD                                                                                            \
    {ROLE_HEAD, "lm_head.weight", "output.weight", DIM_VOCAB, DIM_WIDTH, INIT_NORMAL, PARAM_DECAYS},
/* clang-format on */

#endif
