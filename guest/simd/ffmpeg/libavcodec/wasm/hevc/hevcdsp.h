/*
 * Copyright (c) 2026 the afmpeg authors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * This file is part of FFmpeg.
 *
 * FFmpeg is free software; you can redistribute it and/or
 * modify it under the terms of the GNU Lesser General Public
 * License as published by the Free Software Foundation; either
 * version 2.1 of the License, or (at your option) any later version.
 *
 * FFmpeg is distributed in the hope that it will be useful,
 * but WITHOUT ANY WARRANTY; without even the implied warranty of
 * MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the GNU
 * Lesser General Public License for more details.
 *
 * You should have received a copy of the GNU Lesser General Public
 * License along with FFmpeg; if not, write to the Free Software
 * Foundation, Inc., 51 Franklin Street, Fifth Floor, Boston, MA 02110-1301 USA
 */

/* The functions that dsp_init.c calls, and code that the kernels for HEVC share. */

#ifndef AVCODEC_WASM_HEVC_HEVCDSP_H
#define AVCODEC_WASM_HEVC_HEVCDSP_H

#include "libavcodec/hevc/dsp.h"
#include "libavcodec/wasm/vector.h"

void ff_hevc_inter_init_simd128(HEVCDSPContext *c, int bit_depth);
void ff_hevc_deblock_init_simd128(HEVCDSPContext *c, int bit_depth);
void ff_hevc_transform_init_simd128(HEVCDSPContext *c, int bit_depth);
void ff_hevc_sao_init_10_simd128(HEVCDSPContext *c);

/* Eight pixels in 16 bits. */
static av_always_inline v128_t load_8_pixels(const uint8_t *src, int bits)
{
    return bits > 8 ? wasm_v128_load(src) : wasm_u16x8_load8x8(src);
}

static av_always_inline v128_t clip_pixels(v128_t pixels, int bits)
{
    return wasm_i16x8_min(wasm_i16x8_max(pixels, wasm_i16x8_const_splat(0)), wasm_i16x8_splat((1 << bits) - 1));
}

#endif
