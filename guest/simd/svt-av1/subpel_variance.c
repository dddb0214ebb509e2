/*
* Copyright (c) 2026 the afmpeg authors
* SPDX-License-Identifier: BSD-3-Clause-Clear
*
* This source code is subject to the terms of the BSD 3-Clause Clear License and
* the Alliance for Open Media Patent License 1.0. If the BSD 3-Clause Clear License
* was not distributed with this source code in the LICENSE file, you can
* obtain it at https://www.aomedia.org/license/software-license. If the Alliance for Open
* Media Patent License 1.0 was not distributed with this source code in the
* PATENTS file, you can obtain it at https://www.aomedia.org/license/patent-license.
*/

// Variance at positions between pixels, in place of subpel_variance_sse2.asm and subpel_variance_ssse3.asm, with their interface.

#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

#include "subpel_variance.h"

#define FUNCTION(width, level)                                                                                          \
    int svt_aom_sub_pixel_variance##width##xh_##level(const uint8_t* src, ptrdiff_t src_stride, int x_offset,           \
                                                      int y_offset, const uint8_t* dst, ptrdiff_t dst_stride,           \
                                                      int height, unsigned int* sse, void* unused0, void* unused1);     \
    int svt_aom_sub_pixel_variance##width##xh_##level(const uint8_t* src, ptrdiff_t src_stride, int x_offset,           \
                                                      int y_offset, const uint8_t* dst, ptrdiff_t dst_stride,           \
                                                      int height, unsigned int* sse, void* unused0, void* unused1) {    \
        (void)unused0;                                                                                                  \
        (void)unused1;                                                                                                  \
        return subpel_variance_##width(src, src_stride, x_offset, y_offset, dst, dst_stride, height, sse);              \
    }

FUNCTION(4, sse2)
FUNCTION(8, sse2)
FUNCTION(16, sse2)
FUNCTION(4, ssse3)
FUNCTION(8, ssse3)
FUNCTION(16, ssse3)
