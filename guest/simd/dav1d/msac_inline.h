/*
 * Copyright (c) 2026, the afmpeg authors
 * SPDX-License-Identifier: BSD-2-Clause
 * All rights reserved.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are met:
 *
 * 1. Redistributions of source code must retain the above copyright notice, this
 *    list of conditions and the following disclaimer.
 *
 * 2. Redistributions in binary form must reproduce the above copyright notice,
 *    this list of conditions and the following disclaimer in the documentation
 *    and/or other materials provided with the distribution.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND
 * ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED
 * WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
 * DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR
 * ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES
 * (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES;
 * LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND
 * ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT
 * (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS
 * SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */

/* The decoding of symbols with few values and of bits, for where coefficients are read: there a call is a good part of the
 * time that a symbol takes. */

#ifndef DAV1D_SRC_WASM_MSAC_INLINE_H
#define DAV1D_SRC_WASM_MSAC_INLINE_H

#include <wasm_simd128.h>

#include "common/attributes.h"
#include "common/intops.h"

#include "src/msac.h"

#define PROB_SHIFT 6
#define MIN_PROB 4
#define WIN_BITS 64

/* Takes in as many bytes as there is room for, and returns val, which its caller does. So nothing is live across the call,
 * and the caller, which calls it seldom, saves no registers. */
unsigned dav1d_msac_refill_simd128(MsacContext *s, ec_win dif, int cnt, unsigned val);

/* Moves the range's first bit to the sixteenth. */
static ALWAYS_INLINE unsigned normalize(MsacContext *const s, const ec_win dif, const unsigned rng, const unsigned val) {
    const int d = 15 ^ (31 ^ clz(rng));
    const int cnt = s->cnt;
    s->rng = rng << d;
    if (__builtin_expect((unsigned) cnt < (unsigned) d, 0))
        return dav1d_msac_refill_simd128(s, dif << d, cnt - d, val);
    s->cnt = cnt - d;
    s->dif = dif << d;
    return val;
}

/* Sixteen lanes of ones, then zeros. */
static const int16_t ones_then_zeros[16 + 16] = { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };

/* Probabilities before val grow, those from val on shrink. */
static ALWAYS_INLINE v128_t adapted(const v128_t probs, const v128_t grows, const unsigned rate) {
    const v128_t up = wasm_u16x8_shr(wasm_i16x8_sub(wasm_i16x8_const_splat(INT16_MIN), probs), rate);
    const v128_t down = wasm_u16x8_shr(probs, rate);
    return wasm_v128_bitselect(wasm_i16x8_add(probs, up), wasm_i16x8_sub(probs, down), grows);
}

/* Three probabilities at most are fewer steps one by one than in a register. */
static ALWAYS_INLINE unsigned symbol_adapt4(MsacContext *const s, uint16_t *const cdf, const unsigned n) {
    const unsigned rng = s->rng, r = rng >> 8;
    const ec_win dif = s->dif;
    const unsigned c = (unsigned) (dif >> (WIN_BITS - 16));
    const unsigned c0 = cdf[0], c1 = cdf[1], c2 = cdf[2];
    const unsigned v0 = (r * (c0 >> PROB_SHIFT) >> 1) + MIN_PROB * n;
    const unsigned v1 = (r * (c1 >> PROB_SHIFT) >> 1) + MIN_PROB * (n - 1);
    const unsigned v2 = (r * (c2 >> PROB_SHIFT) >> 1) + MIN_PROB * (n - 2);
    /* The entry after the last probability is a count, which is less than any step: the number there is 0. */
    unsigned val = 0, u = rng, v = v0;
    const unsigned b0 = c < v0, b1 = b0 & (c < v1), b2 = b1 & (c < v2);
    u = b0 ? v0 : u;
    v = b0 ? v1 : v;
    u = b1 ? v1 : u;
    v = b1 ? v2 : v;
    u = b2 ? v2 : u;
    v = b2 ? 0 : v;
    val = b0 + b1 + b2;
    if (s->allow_update_cdf) {
        const unsigned count = cdf[n];
        const unsigned rate = 4 + (count >> 4) + (n > 2);
        const v128_t grows = wasm_v128_load64_zero(ones_then_zeros + 16 - val);
        wasm_v128_store64_lane(cdf, adapted(wasm_v128_load64_zero(cdf), grows, rate), 0);
        cdf[n] = count + (count < 32);
    }
    return normalize(s, dif - ((ec_win) v << (WIN_BITS - 16)), u - v, val);
}

/* v is what of the range stands for a one. */
static ALWAYS_INLINE unsigned decode_bool(MsacContext *const s, const unsigned v, uint16_t *const cdf) {
    const ec_win dif = s->dif, vw = (ec_win) v << (WIN_BITS - 16);
    const unsigned rng = s->rng, bit = dif < vw;
    if (cdf && s->allow_update_cdf) {
        const unsigned prob = cdf[0], count = cdf[1], rate = 4 + (count >> 4);
        /* No branch: what is decoded cannot be predicted, and the caller waits for one already. */
        const unsigned sign = 0 - bit;
        const unsigned change = (((prob ^ sign) + bit + (bit << 15)) & 0xffff) >> rate;
        cdf[0] = prob - ((change ^ sign) + bit);
        cdf[1] = count + (count < 32);
    }
    return normalize(s, bit ? dif : dif - vw, bit ? v : rng - v, bit);
}

static ALWAYS_INLINE unsigned share_of(const MsacContext *const s, const unsigned prob) {
    return ((s->rng >> 8) * (prob >> PROB_SHIFT) >> (7 - PROB_SHIFT)) + MIN_PROB;
}

static ALWAYS_INLINE unsigned bool_equi(MsacContext *const s) {
    return decode_bool(s, ((s->rng >> 8) << 7) + MIN_PROB, NULL);
}

static ALWAYS_INLINE unsigned bool_adapt(MsacContext *const s, uint16_t *const cdf) {
    return decode_bool(s, share_of(s, cdf[0]), cdf);
}

#undef dav1d_msac_decode_symbol_adapt4
#define dav1d_msac_decode_symbol_adapt4(s, cdf, n_symbols) symbol_adapt4(s, cdf, n_symbols)
#undef dav1d_msac_decode_bool_adapt
#define dav1d_msac_decode_bool_adapt bool_adapt
#undef dav1d_msac_decode_bool_equi
#define dav1d_msac_decode_bool_equi bool_equi

#endif /* DAV1D_SRC_WASM_MSAC_INLINE_H */
