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

/* Kernels for WebAssembly SIMD. Each gives what the C function of the same name gives. */

#ifndef SWSCALE_WASM_SWSCALE_WASM_H
#define SWSCALE_WASM_SWSCALE_WASM_H

#include "libswscale/swscale_internal.h"

void ff_hscale8to15_1_simd128(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                              const int16_t *filter, const int32_t *filter_pos, int filter_size);
void ff_hscale8to15_4_simd128(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                              const int16_t *filter, const int32_t *filter_pos, int filter_size);
void ff_hscale8to15_X_simd128(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                              const int16_t *filter, const int32_t *filter_pos, int filter_size);
void ff_hscale16to15_1_simd128(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                               const int16_t *filter, const int32_t *filter_pos, int filter_size);
void ff_hscale16to15_X_simd128(SwsInternal *c, int16_t *dst, int dst_w, const uint8_t *src,
                               const int16_t *filter, const int32_t *filter_pos, int filter_size);

void ff_yuv2plane1_8_simd128(const int16_t *src, uint8_t *dest, int dst_w, const uint8_t *dither, int offset);
void ff_yuv2planeX_8_simd128(const int16_t *filter, int filter_size, const int16_t **src, uint8_t *dest, int dst_w,
                             const uint8_t *dither, int offset);

#endif /* SWSCALE_WASM_SWSCALE_WASM_H */
