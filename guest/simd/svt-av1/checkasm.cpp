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
*
* Parts of this file are also in libvpx's wasm/checkasm.cpp (BSD-3-Clause);
* their authors license them under that licence too.
*/

// Compares each kernel in this folder with the C function that it replaces, on random and extreme input: what it returns, and all
// memory around the results. Its argument is a seed for the random input.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "aom_dsp_rtcd.h"
#include "common_dsp_rtcd.h"
#include "compute_sad_c.h"
#include "motion_estimation.h"
}

namespace {

const int kRounds = 100;
const int kStride = 192;

struct Memory {
    uint8_t  planes[2][160 * kStride];
    uint32_t sse, sads[4], best_sad_8x8[64], best_mv_8x8[64], best_sad_16x16[16], best_mv_16x16[16], eight_sad_16x16[16][8];
    uint64_t best_sad;
    int16_t  x, y;

    uint8_t* block(int i) { return planes[i] + 8 * kStride + 16; }
};

Memory   input, outputs[2];
uint64_t state;
int      compared, failed;

uint32_t random_number() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

void fill() {
    for (auto& plane : input.planes) {
        const uint32_t kind = random_number() % 3, base = random_number() % 240;
        for (size_t i = 0; i < sizeof(plane); i++) {
            const uint32_t value = random_number();
            plane[i] = (uint8_t)(kind == 0 ? (value & 1 ? 255 : 0) : kind == 1 ? value : base + value % 16);
        }
    }
    // Some are beaten and some are not.
    for (auto& sad : input.best_sad_8x8) { sad = random_number() % 8000; }
    for (auto& sad : input.best_sad_16x16) { sad = random_number() % 32000; }
}

template <class F, class Call> void compare(const char* name, F* kernel, F* c, int& kernels, const Call& call) {
    if (kernel == c) {
        printf("%s is no kernel\n", name);
        failed++;
        return;
    }
    kernels++;
    compared++;
    for (int round = 0; round < kRounds; round++) {
        fill();
        const uint32_t choices = random_number();
        uint32_t       results[2];
        for (int i = 0; i < 2; i++) {
            outputs[i] = input;
            results[i] = call(i ? kernel : c, outputs[i], choices);
        }
        if (results[0] != results[1] || memcmp(&outputs[0], &outputs[1], sizeof(Memory))) {
            printf("%s differs in round %d: %u, and %u in C\n", name, round, results[1], results[0]);
            failed++;
            return;
        }
    }
}

#define COMPARE(kernels, function, ...)                             \
    compare(#function, function, function##_c, kernels, [&](auto* run, Memory& m, uint32_t choices) -> uint32_t { \
        (void)choices;                                              \
        __VA_ARGS__;                                                \
    })

#define SIZES(of) \
    of(4, 4) of(4, 8) of(4, 16) of(8, 4) of(8, 8) of(8, 16) \
    of(8, 32) of(16, 4) of(16, 8) of(16, 16) of(16, 32) of(16, 64) \
    of(32, 8) of(32, 16) of(32, 32) of(32, 64) of(64, 16) of(64, 32) \
    of(64, 64) of(64, 128) of(128, 64) of(128, 128)

} // namespace

int main(int argc, char** argv) {
    state = (argc > 1 ? strtoull(argv[1], NULL, 10) : 1) * 0x9E3779B97F4A7C15u | 1;
    svt_aom_setup_common_rtcd_internal(~(EbCpuFlags)0);
    svt_aom_setup_rtcd_internal(~(EbCpuFlags)0);

    int sad = 0, variance = 0;
#define SAD(w, h)                                                                                                       \
    COMPARE(sad, svt_aom_sad##w##x##h, return run(m.block(0), kStride, m.block(1) + choices % 8, kStride));             \
    COMPARE(sad, svt_aom_sad##w##x##h##x4d, const uint8_t* refs[4];                                                     \
            for (int i = 0; i < 4; i++) refs[i] = m.block(1) + i * choices % 11;                                        \
            run(m.block(0), kStride, refs, kStride, m.sads); return 0);
    SIZES(SAD)
    COMPARE(sad, svt_sad_loop_kernel, static const uint32_t widths[] = {8, 16, 32, 64, 24, 48};
            run(m.block(0), kStride << (choices >> 3 & 1), m.block(1), kStride << (choices >> 3 & 1), 8u << (choices >> 4) % 3,
                widths[choices % 6], &m.best_sad, &m.x, &m.y, kStride, choices >> 6 & 1, 1 + (choices >> 8) % 24,
                1 + (choices >> 16) % 9);
            return 0);
    COMPARE(sad, svt_ext_all_sad_calculation_8x8_16x16, uint32_t unused[64][8];
            run(m.block(0), kStride, m.block(1), kStride, choices, m.best_sad_8x8, m.best_sad_16x16, m.best_mv_8x8, m.best_mv_16x16,
                m.eight_sad_16x16, unused, choices & 1);
            return 0);
    printf("sad: %d kernels\n", sad);
#define VARIANCE(w, h)                                                                                                  \
    COMPARE(variance, svt_aom_sub_pixel_variance##w##x##h,                                                              \
            return run(m.block(0), kStride, choices % 8, choices / 8 % 8, m.block(1), kStride, &m.sse));
    SIZES(VARIANCE)
    printf("variance: %d kernels\n", variance);
    printf("%d comparisons, %d failed\n", compared, failed);
    return failed != 0;
}
