# cython: language_level=3
"""The narrow waist: all that Python knows of the C side. Read top to bottom it is what the kernels can do."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "lcy.h" nogil:
    ctypedef enum lcy_status:
        LCY_OK, LCY_E_ARG, LCY_E_FORMAT, LCY_E_NOMEM, LCY_E_FULL, LCY_E_ABORTED

    ctypedef enum lcy_type:
        LCY_F32, LCY_F16, LCY_Q4_0, LCY_Q4_1, LCY_Q5_0, LCY_Q5_1, LCY_Q8_0, LCY_Q8_1, LCY_Q2_K, LCY_Q3_K, LCY_Q4_K,
        LCY_Q5_K, LCY_Q6_K, LCY_Q8_K, LCY_IQ2_XXS, LCY_IQ2_XS, LCY_IQ3_XXS, LCY_IQ1_S, LCY_IQ4_NL, LCY_IQ3_S, LCY_IQ2_S,
        LCY_IQ4_XS, LCY_F64, LCY_IQ1_M, LCY_BF16, LCY_TYPE_COUNT

    ctypedef void (*lcy_to_float_fn)(int64_t n, float *y, const void *x)
    ctypedef void (*lcy_from_float_fn)(int64_t n, void *y, const float *x)
    ctypedef lcy_status (*lcy_quantize_fn)(int64_t rows, int64_t n, void *y, const float *x, const float *imatrix)

    ctypedef struct lcy_format:
        lcy_type type
        const char *name
        int32_t block, bytes
        lcy_type dot_with
        lcy_to_float_fn to_float                 # NULL: not readable as f32
        lcy_from_float_fn from_float             # NULL: no run-time rule
        lcy_quantize_fn quantize                 # NULL: never written to a file

    const lcy_format *lcy_format_of(int type)    # NULL: no such format
    size_t lcy_row_bytes(int type, int64_t n)    # 0: n does not divide into blocks


cdef extern from "kernels.h" nogil:
    ctypedef void (*lcy_matmul_fn)(int64_t k, int64_t rows, int64_t tokens, const void *w, int64_t w_stride,
                                   const void *x, int64_t x_stride, float *out, int64_t out_stride)

    ctypedef struct lcy_kernels:
        lcy_matmul_fn *matmul                    # (LCY_TYPE_COUNT), NULL where the format has none
        lcy_to_float_fn *to_float                # (LCY_TYPE_COUNT), NULL where the format has none
        lcy_quantize_fn *quantize                # (LCY_TYPE_COUNT), NULL where the format has none

    ctypedef struct lcy_isa:
        const char *name
        uint32_t needs                           # bits of lcy_cpu_features

    uint32_t lcy_cpu_features()
    const lcy_isa *lcy_isa_at(int i)             # weakest first; NULL: no more
    void lcy_kernels_init(lcy_kernels *k, uint32_t cpu)


cdef extern from "plan.h" nogil:
    enum: LCY_MAX_ROPES

    ctypedef struct lcy_tensor:
        int32_t type, slices
        int64_t k, rows, stride
        const void *data                         # (slices, rows, stride bytes)

    ctypedef enum lcy_op:
        LCY_OP_EMBED, LCY_OP_RMS_NORM, LCY_OP_QUANTIZE, LCY_OP_MATMUL, LCY_OP_ROPE, LCY_OP_KV_STORE, LCY_OP_ATTENTION,
        LCY_OP_SILU_MUL, LCY_OP_ADD, LCY_OP_CONTROL, LCY_OP_SELECT, LCY_OP_ROUTE, LCY_OP_EXPERTS, LCY_OP_COMBINE

    ctypedef struct lcy_step:
        int32_t op, layer, n, selected
        int32_t *in_ "in"                        # slots (3), -1: none
        int32_t *out                             # slots (3)
        int32_t *w                               # tensors (3)
        int32_t *b                               # bias vectors (3)
        int32_t *p                               # (4)
        float *f                                 # (2)

    ctypedef struct lcy_slot:
        int64_t bytes, offset

    ctypedef struct lcy_plan:
        const lcy_step *steps
        const lcy_tensor *tensors
        const lcy_slot *slots
        int32_t n_steps, n_tensors, n_slots
        int64_t arena
        int32_t logits, n_layers, n_embd, n_vocab, n_heads, n_heads_kv, head_k, head_v

    ctypedef struct lcy_rope:
        int32_t n_dims, mode, orig_ctx
        float base, freq_scale, ext_factor, attn_factor, beta_fast, beta_slow
        const float *factors                     # (n_dims / 2) or NULL

    ctypedef struct lcy_ctx_params:
        int32_t n_ctx, n_ubatch, n_outputs, n_threads, n_threads_batch, type_k, type_v, flash
        lcy_rope *rope                           # (LCY_MAX_ROPES)
        int (*poll)(void *arg) noexcept nogil
        void *poll_arg

    ctypedef struct lcy_ctx                      # opaque
    ctypedef struct lcy_batch:
        int32_t n
        const int32_t *token                     # (n)
        const int32_t *pos                       # (n)
        const int32_t *seq                       # (n)
        uint8_t *want                            # const in C; (n) or NULL: the last

    lcy_status lcy_ctx_new(lcy_ctx **out, const lcy_plan *plan, const lcy_ctx_params *params)
    void lcy_ctx_free(lcy_ctx *ctx)              # accepts NULL
    lcy_status lcy_ctx_decode(lcy_ctx *ctx, const lcy_batch *batch)
    float *lcy_ctx_logits(lcy_ctx *ctx)          # (n_outputs, n_vocab)
    void lcy_ctx_abort(lcy_ctx *ctx)             # from anywhere, signal handlers too
    void lcy_ctx_control(lcy_ctx *ctx, float *rows)
    void lcy_ctx_collect(lcy_ctx *ctx, float **sums)
    int64_t lcy_ctx_scratch_bytes(const lcy_ctx *ctx)
    void lcy_ctx_kv_clear(lcy_ctx *ctx)
    void lcy_ctx_kv_remove(lcy_ctx *ctx, int32_t seq, int32_t p0, int32_t p1)
    void lcy_ctx_kv_copy(lcy_ctx *ctx, int32_t source, int32_t to, int32_t p0, int32_t p1)
    void lcy_ctx_kv_shift(lcy_ctx *ctx, int32_t seq, int32_t p0, int32_t p1, int32_t delta)
    void lcy_ctx_kv_divide(lcy_ctx *ctx, int32_t seq, int32_t p0, int32_t p1, int32_t d)
    lcy_status lcy_ctx_kv_turn(lcy_ctx *ctx)
    int32_t lcy_ctx_kv_top(lcy_ctx *ctx)
    int32_t lcy_ctx_kv_used(lcy_ctx *ctx)
    int32_t lcy_ctx_kv_max_pos(lcy_ctx *ctx, int32_t seq)
    int64_t lcy_ctx_kv_bytes(lcy_ctx *ctx, int32_t cells)
    lcy_status lcy_ctx_kv_read(lcy_ctx *ctx, int32_t cells, int transposed, uint8_t *out)
    lcy_status lcy_ctx_kv_write(lcy_ctx *ctx, int32_t cells, int transposed, const uint8_t *source)
    void lcy_ctx_kv_cell(lcy_ctx *ctx, int32_t cell, int32_t *pos, uint64_t *seqs)
    lcy_status lcy_ctx_kv_set_cells(lcy_ctx *ctx, int32_t n, const int32_t *pos, const uint64_t *seqs)


cdef extern from "probe.h" nogil:
    double lcy_probe_read(int threads, int64_t bytes, double seconds)             # bytes per second; 0: no room
    double lcy_probe_int8(int threads, double seconds, const char **level)        # multiply-adds per second; 0: no threads


cdef extern from "guard.h" nogil:
    int lcy_guard_add(const void *start, size_t bytes)
    void lcy_guard_remove(int number)
    int lcy_guard_whole(int number)
