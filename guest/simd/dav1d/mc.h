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

#ifndef DAV1D_SRC_WASM_MC_H
#define DAV1D_SRC_WASM_MC_H

#include "src/cpu.h"
#include "src/mc.h"

decl_8tap_fns(simd128);
decl_mc_fn(BF(dav1d_put_bilin, simd128));
decl_mct_fn(BF(dav1d_prep_bilin, simd128));
decl_avg_fn(BF(dav1d_avg, simd128));
decl_w_avg_fn(BF(dav1d_w_avg, simd128));
decl_mask_fn(BF(dav1d_mask, simd128));
decl_w_mask_fn(BF(dav1d_w_mask_444, simd128));
decl_w_mask_fn(BF(dav1d_w_mask_422, simd128));
decl_w_mask_fn(BF(dav1d_w_mask_420, simd128));
decl_blend_fn(BF(dav1d_blend, simd128));
decl_blend_dir_fn(BF(dav1d_blend_v, simd128));
decl_blend_dir_fn(BF(dav1d_blend_h, simd128));
decl_warp8x8_fn(BF(dav1d_warp_affine_8x8, simd128));
decl_warp8x8t_fn(BF(dav1d_warp_affine_8x8t, simd128));

#define init_mc_fn(type, name, suffix) c->mc[type] = BF(dav1d_put_##name, suffix)
#define init_mct_fn(type, name, suffix) c->mct[type] = BF(dav1d_prep_##name, suffix)

static ALWAYS_INLINE void mc_dsp_init_wasm(Dav1dMCDSPContext *const c) {
    const unsigned flags = dav1d_get_cpu_flags();

    if (!(flags & DAV1D_WASM_CPU_FLAG_SIMD128)) return;

    init_8tap_fns(simd128);
    init_mc_fn(FILTER_2D_BILINEAR, bilin, simd128);
    init_mct_fn(FILTER_2D_BILINEAR, bilin, simd128);

    c->avg = BF(dav1d_avg, simd128);
    c->w_avg = BF(dav1d_w_avg, simd128);
    c->mask = BF(dav1d_mask, simd128);
    c->w_mask[0] = BF(dav1d_w_mask_444, simd128);
    c->w_mask[1] = BF(dav1d_w_mask_422, simd128);
    c->w_mask[2] = BF(dav1d_w_mask_420, simd128);
    c->blend = BF(dav1d_blend, simd128);
    c->blend_v = BF(dav1d_blend_v, simd128);
    c->blend_h = BF(dav1d_blend_h, simd128);
    c->warp8x8 = BF(dav1d_warp_affine_8x8, simd128);
    c->warp8x8t = BF(dav1d_warp_affine_8x8t, simd128);
}

#endif /* DAV1D_SRC_WASM_MC_H */
