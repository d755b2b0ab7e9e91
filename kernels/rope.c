/* rope.c: rotary positions. Angles are a running product in f32, as the reference computes them. */
#include <math.h>

#include "ctx.h"

static float corrected_dim(const lcy_rope *r, float rotations) {
    return (float)r->n_dims * logf((float)r->orig_ctx / (rotations * 2 * (float)M_PI)) / (2 * logf(r->base));
}

/* YaRN: fast rotations keep their angle, slow ones are interpolated, those between are blended along a ramp. */
typedef struct ramp {
    float low, high;
} ramp;

static ramp yarn_ramp(const lcy_rope *r) {
    const float low = floorf(corrected_dim(r, r->beta_fast)), high = ceilf(corrected_dim(r, r->beta_slow));
    return (ramp){fmaxf(0, low), fminf((float)(r->n_dims - 1), high)};
}

static void yarn(const lcy_rope *r, ramp ramp, float theta, int32_t i0, float *cos_sin) {
    const float inner = r->freq_scale * theta;
    float angle = inner, magnitude = r->attn_factor;
    if (r->ext_factor != 0.0f) {
        const float y = ((float)(i0 / 2) - ramp.low) / fmaxf(0.001f, ramp.high - ramp.low);
        const float mix = (1 - fminf(1, fmaxf(0, y))) * r->ext_factor;
        angle = inner * (1 - mix) + theta * mix;
        magnitude *= 1.0f + 0.1f * logf(1.0f / r->freq_scale);
    }
    cos_sin[0] = cosf(angle) * magnitude;
    cos_sin[1] = sinf(angle) * magnitude;
}

void lcy_rope_angles(const lcy_rope *r, int32_t pos, float *cos_sin) {
    const float theta_scale = powf(r->base, -2.0f / (float)r->n_dims);
    const ramp ends = r->ext_factor != 0.0f ? yarn_ramp(r) : (ramp){0, 0};
    float theta = (float)pos;
    for (int32_t i0 = 0; i0 < r->n_dims; i0 += 2) {
        yarn(r, ends, r->factors ? theta / r->factors[i0 / 2] : theta, i0, cos_sin + i0);
        theta *= theta_scale;
    }
}

void lcy_rope_turn(const lcy_rope *r, const float *cos_sin, int32_t n_heads, int32_t head, float *x) {
    const int32_t half = r->n_dims / 2, step = r->mode == 2 ? 1 : 2, apart = r->mode == 2 ? half : 1;
    for (int32_t h = 0; h < n_heads; h++, x += head)
        for (int32_t i = 0; i < half; i++) {
            float *a = x + i * step, *b = a + apart;
            const float c = cos_sin[2 * i], s = cos_sin[2 * i + 1], x0 = *a, x1 = *b;
            *a = x0 * c - x1 * s;
            *b = x0 * s + x1 * c;
        }
}
