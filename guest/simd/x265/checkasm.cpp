/*****************************************************************************
 * Copyright (C) 2026 the afmpeg authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * This program is free software; you can redistribute it and/or modify
 * it under the terms of the GNU General Public License as published by
 * the Free Software Foundation; either version 2 of the License, or
 * (at your option) any later version.
 *
 * This program is distributed in the hope that it will be useful,
 * but WITHOUT ANY WARRANTY; without even the implied warranty of
 * MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
 * GNU General Public License for more details.
 *
 * You should have received a copy of the GNU General Public License
 * along with this program; if not, write to the Free Software
 * Foundation, Inc., 51 Franklin Street, Fifth Floor, Boston, MA  02111, USA.
 *****************************************************************************/

/* Compares each primitive that is written for WebAssembly with the C code that it replaces, on random and extreme input: the
 * value that is returned, and all memory around the results. Compiled for each depth of samples. Arguments: a seed for the
 * random input, and "--bench" to print the nanoseconds that each function takes. */

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "common.h"
#include "primitives.h"

namespace X265_NS {
void setupCPrimitives(EncoderPrimitives &p);
void setupWasmPrimitives(EncoderPrimitives &p);
int checkPrimitives(uint64_t seed, bool isBench);
}

using namespace X265_NS;

namespace {

const int rounds = 40;
const intptr_t stride = 96;

/* All that a function may read or write. Blocks have room on each side. */
struct Memory
{
    alignas(32) pixel planes[4][96 * stride];
    alignas(32) pixel fenc[FENC_STRIDE * 64];
    alignas(32) int16_t shorts[3][96 * stride];
    alignas(32) int16_t coefs[2][32 * 32];
    alignas(32) int32_t factors[32 * 32], deltas[32 * 32];
    int32_t numbers[4];

    pixel* block(int i) { return planes[i] + 16 * stride + 16; }
    int16_t* shortBlock(int i) { return shorts[i] + 16 * stride + 16; }
};

Memory input, outputs[2];
uint64_t state;
bool bench;
int compared, failed;

uint32_t randomNumber()
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return uint32_t(state >> 16);
}

void fillPixels(pixel* pixels, size_t count)
{
    const uint32_t kind = randomNumber() % 3, maximum = (1 << X265_DEPTH) - 1;
    const uint32_t base = randomNumber() % (maximum - 16);
    for (size_t i = 0; i < count; i++)
    {
        const uint32_t value = randomNumber();
        pixels[i] = pixel(kind == 0 ? (value & 1 ? maximum : 0) : kind == 1 ? value & maximum : base + value % 16);
    }
}

void fillShorts(int16_t* values, size_t count, int limit)
{
    const uint32_t kind = randomNumber() % 3;
    for (size_t i = 0; i < count; i++)
    {
        const int value = int(randomNumber() % (2 * limit + 1)) - limit;
        values[i] = int16_t(kind == 0 ? (value & 1 ? limit : -limit) : kind == 1 ? value / 16 : value);
    }
}

void fill(int limit)
{
    for (auto& plane : input.planes)
        fillPixels(plane, sizeof(plane) / sizeof(pixel));
    fillPixels(input.fenc, sizeof(input.fenc) / sizeof(pixel));
    for (auto& plane : input.shorts)
        fillShorts(plane, 96 * stride, limit);
    for (auto& block : input.coefs)
        fillShorts(block, 32 * 32, limit);
    for (auto& factor : input.factors)
        factor = 1 + int(randomNumber() % 26214);
}

uint64_t nanoseconds()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec);
}

struct Family
{
    const char* name;
    int kernels;

    void report() { printf("%d bits, %s: %d kernels\n", X265_DEPTH, name, kernels); }
};

/* `call` runs a function on memory. 16-bit samples are at most `limit`. */
template<class F, class Call>
void compare(Family& family, const char* name, F* kernel, F* c, int limit, const Call& call)
{
    if (kernel == c)
        return;
    family.kernels++;
    compared++;
    for (int round = 0; round < rounds; round++)
    {
        fill(limit);
        const uint32_t choices = randomNumber();
        int64_t results[2];
        for (int i = 0; i < 2; i++)
        {
            outputs[i] = input;
            results[i] = call(i ? kernel : c, outputs[i], choices);
        }
        if (results[0] != results[1] || memcmp(&outputs[0], &outputs[1], sizeof(Memory)))
        {
            printf("%s %s differs in round %d: %" PRId64 ", and %" PRId64 " in C\n", family.name, name, round, results[1], results[0]);
            failed++;
            return;
        }
    }
    if (!bench)
        return;
    uint64_t times[2];
    for (int i = 0; i < 2; i++)
    {
        const uint64_t start = nanoseconds();
        for (int round = 0; round < 1000; round++)
            call(i ? kernel : c, outputs[0], 0x01234567u);
        times[i] = (nanoseconds() - start) / 1000;
    }
    printf("%s %s %" PRIu64 " ns, in C %" PRIu64 " ns\n", family.name, name, times[1], times[0]);
}

EncoderPrimitives c, kernels;

#define COMPARE(family, name, field, limit, ...) \
    compare(family, name, kernels.field, c.field, limit, [&](auto* run, Memory& m, uint32_t choices) -> int64_t { (void)choices; __VA_ARGS__; })

void checkBlocks()
{
    Family sad = { "sad", 0 }, satd = { "satd", 0 }, sa8d = { "sa8d", 0 }, sse = { "sse", 0 }, average = { "average", 0 };
    Family copy = { "copy", 0 }, residual = { "residual", 0 };
    char name[32];
    for (int i = 0; i < NUM_PU_SIZES; i++)
    {
        snprintf(name, sizeof(name), "PU %d", i);
        COMPARE(sad, name, pu[i].sad, 0, return run(m.fenc, FENC_STRIDE, m.block(1) + choices % 8, stride));
        COMPARE(sad, name, pu[i].sad_x3, 0,
                run(m.fenc, m.block(1), m.block(2) + 1, m.block(3) - 5, stride, m.numbers); return 0);
        COMPARE(sad, name, pu[i].sad_x4, 0,
                run(m.fenc, m.block(1), m.block(2) + 1, m.block(3) - 5, m.block(0) + 3, stride, m.numbers); return 0);
        COMPARE(satd, name, pu[i].satd, 0, return run(m.fenc, FENC_STRIDE, m.block(1) + choices % 8, stride));
        COMPARE(average, name, pu[i].pixelavg_pp[NONALIGNED], 0,
                run(m.block(0), stride, m.block(1) + choices % 8, stride, m.block(2), stride, 32); return 0);
        COMPARE(average, name, pu[i].addAvg[NONALIGNED], 8191,
                run(m.shortBlock(0), m.shortBlock(1), m.block(2), stride, stride, stride); return 0);
        COMPARE(copy, name, pu[i].copy_pp, 0, run(m.block(0), stride, m.block(1) + choices % 8, stride); return 0);
        for (int csp = X265_CSP_I420; csp <= X265_CSP_I444; csp++)
        {
            if (c.chroma[csp].pu[i].copy_pp)
                COMPARE(copy, name, chroma[csp].pu[i].copy_pp, 0, run(m.block(0), stride, m.block(1) + choices % 8, stride); return 0);
            if (c.chroma[csp].pu[i].addAvg[NONALIGNED])
                COMPARE(average, name, chroma[csp].pu[i].addAvg[NONALIGNED], 8191,
                        run(m.shortBlock(0), m.shortBlock(1), m.block(2), stride, stride, stride); return 0);
        }
    }
    for (int i = 0; i < NUM_CU_SIZES; i++)
    {
        snprintf(name, sizeof(name), "CU %d", i);
        COMPARE(sa8d, name, cu[i].sa8d, 0, return run(m.fenc, FENC_STRIDE, m.block(1) + choices % 8, stride));
        COMPARE(sse, name, cu[i].sse_pp, 0, return int64_t(run(m.fenc, FENC_STRIDE, m.block(1) + choices % 8, stride)));
        COMPARE(residual, name, cu[i].sub_ps, 0,
                run(m.shortBlock(0), stride, m.block(0), m.block(1), stride, stride); return 0);
        COMPARE(residual, name, cu[i].calcresidual[NONALIGNED], 0,
                run(m.block(0), m.block(1), m.shortBlock(0), stride); return 0);
        COMPARE(residual, name, cu[i].add_ps[NONALIGNED], 32767,
                run(m.block(0), stride, m.block(1), m.shortBlock(0), stride, stride); return 0);
        for (int csp = X265_CSP_I420; csp <= X265_CSP_I444; csp++)
        {
            if (c.chroma[csp].cu[i].sa8d)
                COMPARE(sa8d, name, chroma[csp].cu[i].sa8d, 0, return run(m.fenc, FENC_STRIDE, m.block(1) + choices % 8, stride));
            if (c.chroma[csp].cu[i].sub_ps)
                COMPARE(residual, name, chroma[csp].cu[i].sub_ps, 0,
                        run(m.shortBlock(0), stride, m.block(0), m.block(1), stride, stride); return 0);
            if (c.chroma[csp].cu[i].add_ps[NONALIGNED])
                COMPARE(residual, name, chroma[csp].cu[i].add_ps[NONALIGNED], 32767,
                        run(m.block(0), stride, m.block(1), m.shortBlock(0), stride, stride); return 0);
        }
    }
    Family* const families[] = { &sad, &satd, &sa8d, &sse, &average, &copy, &residual };
    for (auto* family : families)
        family->report();
}

/* Filters of a unit, with a count of fractions. Samples of 16 bits are what filters before them make. */
template<class F1, class F2, class F3, class F4, class F5, class F6>
void checkFilters(Family& family, const char* name, F1 hpp, F2 hps, F3 vpp, F4 vps, F5 vsp, F6 vss, int fractions)
{
    const int limit = 10000;
#define FILTER(of, ...) \
    if (of(c)) \
        compare(family, name, of(kernels), of(c), limit, [&](auto* run, Memory& m, uint32_t choices) -> int64_t { __VA_ARGS__; return 0; })
    FILTER(hpp, run(m.block(0), stride, m.block(1), stride, int(choices % fractions)));
    FILTER(hps, run(m.block(0), stride, m.shortBlock(1), stride, int(choices % fractions), int(choices / 8 % 2)));
    FILTER(vpp, run(m.block(0), stride, m.block(1), stride, int(choices % fractions)));
    FILTER(vps, run(m.block(0), stride, m.shortBlock(1), stride, int(choices % fractions)));
    FILTER(vsp, run(m.shortBlock(0), stride, m.block(1), stride, int(choices % fractions)));
    FILTER(vss, run(m.shortBlock(0), stride, m.shortBlock(1), stride, int(choices % fractions)));
#undef FILTER
}

void checkInterpolation()
{
    Family luma = { "luma", 0 }, chroma = { "chroma", 0 };
    char name[32];
#define OF(field) [&](EncoderPrimitives& p) { return p.field; }
    for (int i = 0; i < NUM_PU_SIZES; i++)
    {
        snprintf(name, sizeof(name), "PU %d", i);
        checkFilters(luma, name, OF(pu[i].luma_hpp), OF(pu[i].luma_hps), OF(pu[i].luma_vpp), OF(pu[i].luma_vps), OF(pu[i].luma_vsp),
                     OF(pu[i].luma_vss), 4);
        COMPARE(luma, name, pu[i].luma_hvpp, 0,
                run(m.block(0), stride, m.block(1), stride, int(choices % 4), int(choices / 4 % 4)); return 0);
        COMPARE(luma, name, pu[i].convert_p2s[NONALIGNED], 0, run(m.block(0), stride, m.shortBlock(1), stride); return 0);
        for (int csp = X265_CSP_I420; csp <= X265_CSP_I444; csp++)
        {
            checkFilters(chroma, name, OF(chroma[csp].pu[i].filter_hpp), OF(chroma[csp].pu[i].filter_hps),
                         OF(chroma[csp].pu[i].filter_vpp), OF(chroma[csp].pu[i].filter_vps), OF(chroma[csp].pu[i].filter_vsp),
                         OF(chroma[csp].pu[i].filter_vss), 8);
            if (c.chroma[csp].pu[i].p2s[NONALIGNED])
                COMPARE(chroma, name, chroma[csp].pu[i].p2s[NONALIGNED], 0,
                        run(m.block(0), stride, m.shortBlock(1), stride); return 0);
        }
    }
#undef OF
    luma.report();
    chroma.report();
}

void checkTransforms()
{
    Family transforms = { "transforms", 0 }, quantisation = { "quantisation", 0 };
    char name[32];
    for (int i = 0; i < NUM_CU_SIZES; i++)
    {
        snprintf(name, sizeof(name), "CU %d", i);
        if (!c.cu[i].dct)
            continue;
        COMPARE(transforms, name, cu[i].dct, (1 << X265_DEPTH) - 1, run(m.shortBlock(0), m.coefs[0], stride); return 0);
        COMPARE(transforms, name, cu[i].idct, 32767, run(m.coefs[0], m.shortBlock(0), stride); return 0);
        COMPARE(transforms, name, cu[i].idct, 2047, run(m.coefs[0], m.shortBlock(0), stride); return 0);
    }
    COMPARE(quantisation, "quant", quant, 32767,
            const int bits = 14 + choices % 8;
            return run(m.coefs[0], m.factors, m.deltas, m.coefs[1], bits, 85 << (bits - 9), 16 << 2 * (choices / 8 % 4)));
    transforms.report();
    quantisation.report();
}
}

int X265_NS::checkPrimitives(uint64_t seed, bool isBench)
{
    state = seed * 0x9E3779B97F4A7C15u | 1;
    bench = isBench;
    setupCPrimitives(c);
    kernels = c;
#ifdef __wasm_simd128__
    setupWasmPrimitives(kernels);
#endif
    checkBlocks();
    checkInterpolation();
    checkTransforms();
    printf("%d bits: %d comparisons, %d failed\n", X265_DEPTH, compared, failed);
    return failed;
}

#if !HIGH_BIT_DEPTH
namespace x265_10bit {
int checkPrimitives(uint64_t seed, bool isBench);
}

int main(int argc, char** argv)
{
    uint64_t seed = 1;
    bool isBench = false;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--bench"))
            isBench = true;
        else
            seed = strtoull(argv[i], NULL, 10);
    return X265_NS::checkPrimitives(seed, isBench) + x265_10bit::checkPrimitives(seed, isBench) != 0;
}
#endif
