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

/* The edges of a picture, repeated outside of it. Results are those of videodsp_template.c. */

#include "libavutil/attributes.h"
#include "libavutil/common.h"
#include "libavutil/cpu.h"
#include "libavutil/cpu_internal.h"
#include "libavcodec/videodsp.h"
#include "vector.h"

/* Writes no other bytes: the last store may overlap the one before it. */
static av_always_inline void copy_row(uint8_t *dst, const uint8_t *src, int size)
{
    if (size >= 16) {
        v128_t last = wasm_v128_load(src + size - 16);
        for (int x = 0; x < size - 16; x += 16)
            wasm_v128_store(dst + x, wasm_v128_load(src + x));
        wasm_v128_store(dst + size - 16, last);
    } else if (size >= 8) {
        v128_t first = wasm_v128_load64_zero(src), last = wasm_v128_load64_zero(src + size - 8);
        wasm_v128_store64_lane(dst, first, 0);
        wasm_v128_store64_lane(dst + size - 8, last, 0);
    } else if (size >= 4) {
        v128_t first = wasm_v128_load32_zero(src), last = wasm_v128_load32_zero(src + size - 4);
        wasm_v128_store32_lane(dst, first, 0);
        wasm_v128_store32_lane(dst + size - 4, last, 0);
    } else {
        /* Opaque, as clang would unroll the loop. */
        for (int x = 0; x < opaque(size); x++)
            dst[x] = src[x];
    }
}

static av_always_inline v128_t splat(const uint8_t *pixel, int shift)
{
    return shift ? wasm_v128_load16_splat(pixel) : wasm_v128_load8_splat(pixel);
}

/* The same with pixels of one value. */
static av_always_inline void fill_row(uint8_t *dst, v128_t value, int size)
{
    if (size >= 16) {
        for (int x = 0; x < size - 16; x += 16)
            wasm_v128_store(dst + x, value);
        wasm_v128_store(dst + size - 16, value);
    } else if (size >= 8) {
        wasm_v128_store64_lane(dst, value, 0);
        wasm_v128_store64_lane(dst + size - 8, value, 0);
    } else {
        uint64_t bytes = wasm_i64x2_extract_lane(value, 0);
        /* Opaque, as clang would unroll the loop. */
        for (int x = 0; x < opaque(size); x++, bytes >>= 8)
            dst[x] = bytes;
    }
}

/* Pixels have 1 << shift bytes. The part of the block inside of the picture is a rectangle, or the nearest row or column. */
static av_always_inline void emulated_edge_mc(uint8_t *buf, const uint8_t *src, ptrdiff_t buf_linesize,
                                              ptrdiff_t src_linesize, int block_w, int block_h, int src_x, int src_y, int w,
                                              int h, int shift)
{
    if (!w || !h)
        return;
    int x = av_clip(src_x, 1 - block_w, w - 1), y = av_clip(src_y, 1 - block_h, h - 1);
    src += (y - src_y) * src_linesize + (x - src_x) * (1 << shift);
    int start_y = FFMAX(0, -y), end_y = FFMIN(block_h, h - y);
    int left = FFMAX(0, -x) << shift, right = (block_w << shift) - (FFMIN(block_w, w - x) << shift);
    int middle = (block_w << shift) - left - right;
    src += start_y * src_linesize + left;
    for (int row = 0; row < block_h; row++, buf += buf_linesize) {
        fill_row(buf, splat(src, shift), left);
        copy_row(buf + left, src, middle);
        fill_row(buf + left + middle, splat(src + middle - (1 << shift), shift), right);
        if (row >= start_y && row < end_y - 1)
            src += src_linesize;
    }
}

static void emulated_edge_mc_8(uint8_t *buf, const uint8_t *src, ptrdiff_t buf_linesize, ptrdiff_t src_linesize, int block_w,
                               int block_h, int src_x, int src_y, int w, int h)
{
    emulated_edge_mc(buf, src, buf_linesize, src_linesize, block_w, block_h, src_x, src_y, w, h, 0);
}

static void emulated_edge_mc_16(uint8_t *buf, const uint8_t *src, ptrdiff_t buf_linesize, ptrdiff_t src_linesize, int block_w,
                                int block_h, int src_x, int src_y, int w, int h)
{
    emulated_edge_mc(buf, src, buf_linesize, src_linesize, block_w, block_h, src_x, src_y, w, h, 1);
}

av_cold void ff_videodsp_init_wasm(VideoDSPContext *c, int bpc)
{
    if (CPUEXT(av_get_cpu_flags(), SIMD128))
        c->emulated_edge_mc = bpc <= 8 ? emulated_edge_mc_8 : emulated_edge_mc_16;
}
