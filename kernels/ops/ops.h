/* ops.h: every operation in plain C, and the function that puts them into a table.
 *
 * Included by dispatch.c (the reference) and again by each isa.c: compiled with that level's flags the same source becomes
 * its vectors, and since every order is written out and contraction is off, the bits stay equal. */
#ifndef LCY_OPS_H
#define LCY_OPS_H

#include "attention.h"
#include "peak.h"
#include "rms_norm.h"
#include "tables.h"

static void fill_ops(lcy_kernels *k) {
    k->rms_norm = rms_norm;
    k->silu_mul = silu_mul;
    k->softmax = softmax;
    k->kq_f16 = kq_f16;
    k->kq_f32 = kq_f32;
    k->pv_f16 = pv_f16;
    k->pv_f32 = pv_f32;
    k->pv_packed = pv_packed;
    k->flash_f16 = flash_f16;
    k->int8_peak = int8_peak;
}

#endif
