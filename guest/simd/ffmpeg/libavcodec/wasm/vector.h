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
 *
 * Parts of this file are also in
 * x264's common/wasm/vector.h (GPL-2.0-or-later) and
 * openh264's codec/common/wasm/vector.h (BSD-2-Clause);
 * their authors license them under those licences too.
 */

/* Loads, stores and steps that kernels share. The intrinsics here are those that an engine on x86-64 compiles to one
 * instruction each; where one takes several, a comment says so. */

#ifndef AVCODEC_WASM_VECTOR_H
#define AVCODEC_WASM_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

#include "libavutil/attributes.h"

/* The value, of which the compiler no longer knows where it comes from: it can not unroll a loop by it, nor compile a loop once
 * for each value that it may have. The statement makes no instruction. It is volatile, so that two uses of one value are not
 * taken for the same; each use says what it is for. */
static av_always_inline int opaque(int value)
{
    __asm__ volatile("" : "+r"(value));
    return value;
}

/* The same of a pointer. */
static av_always_inline const void *opaque_pointer(const void *pointer)
{
    __asm__ volatile("" : "+r"(pointer));
    return pointer;
}

static av_always_inline v128_t load_4_rows_of_4(const uint8_t *row, ptrdiff_t stride)
{
    v128_t rows = wasm_v128_load32_zero(row);
    rows = wasm_v128_load32_lane(row + stride, rows, 1);
    rows = wasm_v128_load32_lane(row + 2 * stride, rows, 2);
    return wasm_v128_load32_lane(row + 3 * stride, rows, 3);
}

static av_always_inline void store_4_rows_of_4(uint8_t *row, ptrdiff_t stride, v128_t rows)
{
    wasm_v128_store32_lane(row, rows, 0);
    wasm_v128_store32_lane(row + stride, rows, 1);
    wasm_v128_store32_lane(row + 2 * stride, rows, 2);
    wasm_v128_store32_lane(row + 3 * stride, rows, 3);
}

/* 16, 8 or 4 pixels. */
static av_always_inline v128_t load_pixels(const uint8_t *pixels, int width)
{
    return width == 16 ? wasm_v128_load(pixels) : width == 8 ? wasm_v128_load64_zero(pixels) : wasm_v128_load32_zero(pixels);
}

static av_always_inline void store_pixels(uint8_t *dst, v128_t pixels, int width)
{
    if (width == 16)
        wasm_v128_store(dst, pixels);
    else if (width == 8)
        wasm_v128_store64_lane(dst, pixels, 0);
    else
        wasm_v128_store32_lane(dst, pixels, 0);
}

static av_always_inline v128_t unpack_low_u8(v128_t a, v128_t b)
{
    return wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static av_always_inline v128_t unpack_high_u8(v128_t a, v128_t b)
{
    return wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* Interleaves register i with register i + count / 2. That rotates the index of each byte by one bit, so that a block of 2^n
 * rows is transposed after n rounds. */
static av_always_inline void unpack_round_u8(v128_t *r, int count)
{
    v128_t t[8];
    for (int i = 0; i < count / 2; i++) {
        t[2 * i]     = unpack_low_u8(r[i], r[i + count / 2]);
        t[2 * i + 1] = unpack_high_u8(r[i], r[i + count / 2]);
    }
    for (int i = 0; i < count; i++)
        r[i] = t[i];
}

/* 16 rows of 8 become 8 columns of 16: four rounds, of which the first one needs lower halves only. */
static av_always_inline void load_columns(const uint8_t *pix, ptrdiff_t stride, v128_t r[8])
{
    for (int i = 0; i < 8; i++)
        r[i] = unpack_low_u8(wasm_v128_load64_zero(pix + i * stride), wasm_v128_load64_zero(pix + (i + 8) * stride));
    for (int round = 0; round < 3; round++)
        unpack_round_u8(r, 8);
}

static av_always_inline void store_columns(uint8_t *pix, ptrdiff_t stride, v128_t r[8])
{
    for (int round = 0; round < 3; round++)
        unpack_round_u8(r, 8);
    for (int i = 0; i < 8; i++) {
        wasm_v128_store64_lane(pix + 2 * i * stride, r[i], 0);
        wasm_v128_store64_lane(pix + (2 * i + 1) * stride, r[i], 1);
    }
}

static av_always_inline v128_t unpack_low_i16(v128_t a, v128_t b)
{
    return wasm_i16x8_shuffle(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

static av_always_inline v128_t unpack_high_i16(v128_t a, v128_t b)
{
    return wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

/* Four rows of four 16-bit numbers in two registers become columns. */
static av_always_inline void transpose_4x4_i16(v128_t *rows01, v128_t *rows23)
{
    v128_t low = unpack_low_i16(*rows01, *rows23), high = unpack_high_i16(*rows01, *rows23);
    *rows01 = unpack_low_i16(low, high);
    *rows23 = unpack_high_i16(low, high);
}

/* Three rounds of interleaving rows that lie four apart, all of them single unpack instructions. */
static av_always_inline void transpose_8x8_i16(v128_t r[8])
{
    for (int round = 0; round < 3; round++) {
        v128_t t[8];
        for (int i = 0; i < 4; i++) {
            t[2 * i]     = unpack_low_i16(r[i], r[i + 4]);
            t[2 * i + 1] = unpack_high_i16(r[i], r[i + 4]);
        }
        for (int i = 0; i < 8; i++)
            r[i] = t[i];
    }
}

#endif
