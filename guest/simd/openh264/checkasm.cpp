/*!
 * \copy
 *     Copyright (c)  2026, the afmpeg authors
 *     SPDX-License-Identifier: BSD-2-Clause
 *
 *     Redistribution and use in source and binary forms, with or without
 *     modification, are permitted provided that the following conditions
 *     are met:
 *
 *        * Redistributions of source code must retain the above copyright
 *          notice, this list of conditions and the following disclaimer.
 *
 *        * Redistributions in binary form must reproduce the above copyright
 *          notice, this list of conditions and the following disclaimer in
 *          the documentation and/or other materials provided with the
 *          distribution.
 *
 *     THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS
 *     "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT
 *     LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS
 *     FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE
 *     COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT,
 *     INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING,
 *     BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES;
 *     LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER
 *     CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT
 *     LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN
 *     ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
 *     POSSIBILITY OF SUCH DAMAGE.
 *
 */

/* Compares each kernel in openh264's tables of functions with the C function that it replaces, on random and extreme input: the
 * value that is returned, and all memory around the results. Arguments: a seed for the random input, and "--bench" to print the
 * nanoseconds that each function takes. The report has a line for each family of functions that has kernels. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <initializer_list>

#include "cpu.h"
#include "encoder.h"
#include "param_svc.h"
#include "sample.h"
#include "encode_mb_aux.h"
/* The analysis keeps the functions that it has chosen private. */
#define private public
#include "vaacalculation.h"
#undef private

using namespace WelsEnc;

namespace WelsEnc {
extern const int16_t g_kiQuantInterFF[58][8];
extern const int16_t g_kiQuantMF[52][8];
int32_t WelsSampleSatdIntra4x4Combined3_c (uint8_t*, int32_t, uint8_t*, int32_t, uint8_t*, int32_t*, int32_t, int32_t, int32_t);
int32_t WelsSampleSatdIntra8x8Combined3_c (uint8_t*, int32_t, uint8_t*, int32_t, int32_t*, int32_t, uint8_t*, uint8_t*, uint8_t*);
int32_t WelsSampleSatdIntra16x16Combined3_c (uint8_t*, int32_t, uint8_t*, int32_t, int32_t*, int32_t, uint8_t*);
}

namespace {

const int32_t kiRounds = 300;
const int32_t kiStride = 64;

/* All that a function may read or write. Planes have room on each side of where blocks begin. */
struct Memory {
  uint8_t planes[3][64 * kiStride];
  int16_t coefs[256], factors[8], rounding[8], levels[256], maxima[4];
  int32_t numbers[8];
  uint8_t runs[16];
  int8_t strengths[4];

  uint8_t* block (int32_t plane) {
    return planes[plane] + 24 * kiStride + 24;
  }
};

/* The parameters that all calls of one round have. */
struct Round {
  int32_t alpha, beta, x, y, qp;
};

uint64_t g_uiRandom;
bool g_bBench, g_bFailed;
int32_t g_iKernels;
Memory g_sInput, g_sOfC, g_sOfKernel;

uint32_t Random (uint32_t below) {
  g_uiRandom = g_uiRandom * 6364136223846793005 + 1442695040888963407;
  return (uint32_t) (g_uiRandom >> 33) % below;
}

/* Noise, black and white, planes as far apart as can be, smooth blocks that a loop filter takes for a picture, and what gives the
 * half-sample filters, whose taps are 1 -5 20 20 -5 1, the largest or the smallest sums. */
void FillPlanes (int32_t kind) {
  const int32_t signs[6] = {1, -1, 1, 1, -1, 1};
  for (int32_t plane = 0; plane < 3; plane++) {
    int32_t sign = Random (2) ? 1 : -1;
    int32_t base = Random (256);
    for (int32_t i = 0; i < 64 * kiStride; i++) {
      if (i % 8 == 0 && Random (2))
        base = WELS_CLIP3 (base + (int32_t) Random (25) - 12, 0, 255);
      uint8_t values[] = {(uint8_t) Random (256), (uint8_t) (Random (2) * 255), (uint8_t) (plane % 2 * 255),
                          (uint8_t) WELS_CLIP3 (base + (int32_t) Random (5) - 2, 0, 255),
                          (uint8_t) (signs[i % kiStride % 6] * signs[i / kiStride % 6] == sign ? 255 : 0)
                         };
      g_sInput.planes[plane][i] = values[kind];
    }
  }
}

void FillCoefficients (int32_t range) {
  int32_t density = 1 + Random (16);
  for (int16_t& coef : g_sInput.coefs) {
    int32_t value = (int32_t) Random (2 * range) - range, extreme = Random (2) ? range - 1 : -range;
    coef = (int32_t) Random (16) >= density ? 0 : Random (8) ? value : extreme;
  }
}

uint64_t Nanoseconds() {
  timespec now;
  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * UINT64_C (1000000000) + now.tv_nsec;
}

/* Nanoseconds of one call, the best of some thousands in a row. */
template <class Function, class Call>
double Measure (Function function, Call call, const Round& round) {
  double best = 1e9;
  for (int32_t i = 0; i < 15; i++) {
    g_sOfC = g_sInput;
    uint64_t start = Nanoseconds();
    for (int32_t k = 0; k < 4000; k++)
      call (function, g_sOfC, round);
    best = WELS_MIN (best, (Nanoseconds() - start) / 4000.0);
  }
  return best;
}

Round FillInput (int32_t i, int32_t coefficient_range) {
  Round round = {(int32_t) Random (256), (int32_t) Random (19), (int32_t) Random (8), (int32_t) Random (8), (int32_t) Random (52)};
  FillPlanes (i % 5);
  FillCoefficients (i % 2 ? coefficient_range : WELS_MIN (coefficient_range, 16));
  for (int8_t& strength : g_sInput.strengths)
    strength = (int8_t) Random (27) - 1;
  memcpy (g_sInput.rounding, g_kiQuantInterFF[round.qp + i % 2 * 6], sizeof (g_sInput.rounding));
  memcpy (g_sInput.factors, g_kiQuantMF[round.qp], sizeof (g_sInput.factors));
  return round;
}

/* Calls both on the same memory, many times. Without a kernel, only the C function is timed. */
template <class Function, class Call>
void Check (const char* name, Function c, Function kernel, int32_t coefficient_range, Call call) {
  bool has_kernel = kernel != c && kernel != nullptr;
  Round round = FillInput (0, coefficient_range);
  for (int32_t i = 0; has_kernel && i < kiRounds; i++) {
    round = FillInput (i, coefficient_range);
    g_sOfC = g_sOfKernel = g_sInput;
    int32_t of_c = call (c, g_sOfC, round), of_kernel = call (kernel, g_sOfKernel, round);
    if (of_c != of_kernel || memcmp (&g_sOfC, &g_sOfKernel, sizeof (Memory))) {
      fprintf (stderr, "%s is not what the C gives, in round %d\n", name, i);
      g_bFailed = true;
      return;
    }
  }
  g_iKernels += has_kernel;
  if (!g_bBench)
    return;
  printf ("%-24s %8.1f", name, Measure (c, call, round));
  if (has_kernel)
    printf (" %8.1f", Measure (kernel, call, round));
  printf ("\n");
}

/* A family's checks, and a line for it if it has kernels. */
template <class Checks>
void Family (const char* name, Checks checks) {
  g_iKernels = 0;
  bool failed_before = g_bFailed;
  g_bFailed = false;
  checks();
  if (g_iKernels || g_bFailed)
    fprintf (stderr, "%s: %d kernels [%s]\n", name, g_iKernels, g_bFailed ? "FAILED" : "OK");
  g_bFailed |= failed_before;
}

const char* Sized (const char* name, int32_t width, int32_t height) {
  static char text[64];
  snprintf (text, sizeof (text), "%s_%dx%d", name, width, height);
  return text;
}

const struct {
  int32_t block, width, height;
} g_kSizes[] = {
  {BLOCK_16x16, 16, 16}, {BLOCK_16x8, 16, 8}, {BLOCK_8x16, 8, 16}, {BLOCK_8x8, 8, 8}, {BLOCK_4x4, 4, 4}, {BLOCK_8x4, 8, 4}, {BLOCK_4x8, 4, 8}
};

void CheckSamples (const SSampleDealingFunc& c, const SSampleDealingFunc& simd) {
  auto cost = [] (PSampleSadSatdCostFunc f, Memory& m, const Round & r) {
    return f (m.block (0) + r.x, kiStride, m.block (1) + r.y, kiStride);
  };
  Family ("sad", [&] {
    for (auto& size : g_kSizes)
      Check (Sized ("sad", size.width, size.height), c.pfSampleSad[size.block], simd.pfSampleSad[size.block], 1, cost);
    for (auto& size : g_kSizes)
      Check (Sized ("sad_four", size.width, size.height), c.pfSample4Sad[size.block], simd.pfSample4Sad[size.block], 1,
      [] (PSample4SadCostFunc f, Memory & m, const Round & r) {
      f (m.block (0) + r.x, kiStride, m.block (1) + r.y, kiStride, m.numbers);
      return 0;
    });
  });
  Family ("satd", [&] {
    for (auto& size : g_kSizes)
      Check (Sized ("satd", size.width, size.height), c.pfSampleSatd[size.block], simd.pfSampleSatd[size.block], 1, cost);
  });
  Family ("intra modes", [&] {
    Check ("intra_satd_4x4", &WelsSampleSatdIntra4x4Combined3_c, simd.pfIntra4x4Combined3Satd, 1,
    [] (PIntraPred4x4Combined3Func f, Memory & m, const Round & r) {
      return f (m.block (0), kiStride, m.block (1), kiStride, m.runs, m.numbers, r.alpha, r.beta, r.qp);
    });
    /* The last plane is scratch memory of the C code, so it is not compared. */
    Check ("intra_satd_chroma", &WelsSampleSatdIntra8x8Combined3_c, simd.pfIntra8x8Combined3Satd, 1,
    [] (PIntraPred8x8Combined3Func f, Memory & m, const Round & r) {
      int32_t best = f (m.block (0), kiStride, m.block (1), kiStride, m.numbers, r.qp, m.planes[2], m.block (0) + 16, m.block (1) + 16);
      memset (m.planes[2], 0, 128);
      return best;
    });
    Check ("intra_satd_16x16", &WelsSampleSatdIntra16x16Combined3_c, simd.pfIntra16x16Combined3Satd, 1,
    [] (PIntraPred16x16Combined3Func f, Memory & m, const Round & r) {
      int32_t best = f (m.block (0), kiStride, m.block (1), kiStride, m.numbers, r.qp, m.planes[2]);
      memset (m.planes[2], 0, 256);
      return best;
    });
  });
}

void CheckMotionCompensation (const SMcFunc& c, const SMcFunc& simd) {
  Family ("half samples", [&] {
    const struct {
      const char* name;
      PWelsLumaHalfpelMcFunc c, kernel;
    } functions[] = {
      {"halfpel_h", c.pfLumaHalfpelHor, simd.pfLumaHalfpelHor},
      {"halfpel_v", c.pfLumaHalfpelVer, simd.pfLumaHalfpelVer},
      {"halfpel_hv", c.pfLumaHalfpelCen, simd.pfLumaHalfpelCen}
    };
    for (auto& function : functions)
      for (auto& size : g_kSizes)
        for (int32_t more = 0; more < 2; more++) {
          int32_t width = size.width + more, height = size.height + more;
          Check (Sized (function.name, width, height), function.c, function.kernel, 1,
          [ = ] (PWelsLumaHalfpelMcFunc f, Memory & m, const Round & r) {
            f (m.block (0) + r.x, kiStride, m.block (1) + r.y, kiStride, width, height);
            return 0;
          });
        }
  });
  Family ("luma mc", [&] {
    for (auto& size : g_kSizes)
      Check (Sized ("mc_luma", size.width, size.height), c.pMcLumaFunc, simd.pMcLumaFunc, 1,
      [&] (PWelsMcFunc f, Memory & m, const Round & r) {
      f (m.block (0), kiStride, m.block (1), kiStride, r.alpha % 4, r.alpha / 4 % 4, size.width, size.height);
      return 0;
    });
  });
  Family ("chroma mc", [&] {
    for (int32_t width = 8; width >= 2; width /= 2)
      for (int32_t height = 8; height >= 2; height /= 2)
        Check (Sized ("mc_chroma", width, height), c.pMcChromaFunc, simd.pMcChromaFunc, 1,
        [ = ] (PWelsMcFunc f, Memory & m, const Round & r) {
        f (m.block (0), kiStride, m.block (1), kiStride, r.x, r.y, width, height);
        return 0;
      });
  });
  Family ("average", [&] {
    for (auto& size : g_kSizes)
      Check (Sized ("average", size.width, size.height), c.pfSampleAveraging, simd.pfSampleAveraging, 1,
      [&] (PWelsSampleAveragingFunc f, Memory & m, const Round & r) {
      f (m.block (2), kiStride, m.block (0) + r.x, kiStride, m.block (1) + r.y, kiStride, size.width, size.height);
      return 0;
    });
  });
}

void CheckCoefficients (const SWelsFuncPtrList& c, const SWelsFuncPtrList& simd) {
  auto copy = [] (PCopyFunc f, Memory & m, const Round & r) {
    f (m.block (1) + r.x, kiStride, m.block (0) + r.y, kiStride);
    return 0;
  };
  Family ("copy", [&] {
    Check ("copy_16x16", c.pfCopy16x16Aligned, simd.pfCopy16x16Aligned, 1, copy);
    Check ("copy_16x16_unaligned", c.pfCopy16x16NotAligned, simd.pfCopy16x16NotAligned, 1, copy);
    Check ("copy_16x8", c.pfCopy16x8NotAligned, simd.pfCopy16x8NotAligned, 1, copy);
    Check ("copy_8x16", c.pfCopy8x16Aligned, simd.pfCopy8x16Aligned, 1, copy);
    Check ("copy_8x8", c.pfCopy8x8Aligned, simd.pfCopy8x8Aligned, 1, copy);
  });
  auto dct = [] (PDctFunc f, Memory & m, const Round & r) {
    f (m.coefs, m.block (0) + r.x, kiStride, m.block (1) + r.y, kiStride);
    return 0;
  };
  Family ("dct", [&] {
    Check ("dct_4x4", c.pfDctT4, simd.pfDctT4, 1, dct);
    Check ("dct_8x8", c.pfDctFourT4, simd.pfDctFourT4, 1, dct);
  });
  /* Larger coefficients overflow 16 bits, which the C code has in some places only. */
  auto idct = [] (PIDctFunc f, Memory & m, const Round & r) {
    f (m.block (1) + r.x, kiStride, m.block (0) + r.y, kiStride, m.coefs);
    return 0;
  };
  Family ("idct", [&] {
    Check ("idct_4x4", c.pfIDctT4, simd.pfIDctT4, 2600, idct);
    Check ("idct_8x8", c.pfIDctFourT4, simd.pfIDctFourT4, 2600, idct);
    Check ("idct_16x16_dc", c.pfIDctI16x16Dc, simd.pfIDctI16x16Dc, 32768, idct);
  });
  auto quant = [] (PQuantizationFunc f, Memory & m, const Round&) {
    f (m.coefs, m.rounding, m.factors);
    return 0;
  };
  Family ("quant", [&] {
    Check ("quant_4x4", c.pfQuantization4x4, simd.pfQuantization4x4, 32768, quant);
    Check ("quant_8x8", c.pfQuantizationFour4x4, simd.pfQuantizationFour4x4, 32768, quant);
    Check ("quant_8x8_max", c.pfQuantizationFour4x4Max, simd.pfQuantizationFour4x4Max, 32768,
    [] (PQuantizationMaxFunc f, Memory & m, const Round&) {
      f (m.coefs, m.rounding, m.factors, m.maxima);
      return 0;
    });
    Check ("quant_4x4_dc", c.pfQuantizationDc4x4, simd.pfQuantizationDc4x4, 32768,
    [] (PQuantizationDcFunc f, Memory & m, const Round&) {
      f (m.coefs, m.rounding[0] << 1, m.factors[0] >> 1);
      return 0;
    });
    /* Four DCs of chroma, each the sum of 16 differences and therefore within 4080, are added up. */
    Check ("quant_2x2_dc", c.pfQuantizationHadamard2x2, simd.pfQuantizationHadamard2x2, 8191,
    [] (PQuantizationHadamardFunc f, Memory & m, const Round&) {
      return f (m.coefs, m.rounding[0] << 1, m.factors[0] >> 1, m.levels, m.levels + 8);
    });
    Check ("quant_2x2_dc_skip", c.pfQuantizationHadamard2x2Skip, simd.pfQuantizationHadamard2x2Skip, 8191,
    [] (PQuantizationSkipFunc f, Memory & m, const Round&) {
      return f (m.coefs, m.rounding[0] << 1, m.factors[0] >> 1);
    });
  });
  auto dequant = [] (PDeQuantizationFunc f, Memory & m, const Round&) {
    f (m.coefs, (uint16_t*) m.factors);
    return 0;
  };
  Family ("dequant", [&] {
    Check ("dequant_4x4", c.pfDequantization4x4, simd.pfDequantization4x4, 32768, dequant);
    Check ("dequant_8x8", c.pfDequantizationFour4x4, simd.pfDequantizationFour4x4, 32768, dequant);
  });
  auto scan = [] (PScanFunc f, Memory & m, const Round&) {
    f (m.levels, m.coefs);
    return 0;
  };
  Family ("scan", [&] {
    Check ("scan_4x4", c.pfScan4x4, simd.pfScan4x4, 32768, scan);
    Check ("scan_4x4_ac", c.pfScan4x4Ac, simd.pfScan4x4Ac, 32768, scan);
  });
  Family ("count", [&] {
    Check ("single_ctr", c.pfCalculateSingleCtr4x4, simd.pfCalculateSingleCtr4x4, 32768,
    [] (PCalculateSingleCtrFunc f, Memory & m, const Round&) {
      return f (m.coefs);
    });
    Check ("cavlc_param_cal", c.pfCavlcParamCal, simd.pfCavlcParamCal, 32768, [] (PCavlcParamCalFunc f, Memory & m, const Round & r) {
      const int32_t ends[] = {3, 14, 15, 15};
      return f (m.coefs, m.runs, m.levels, m.numbers, ends[r.x % 4]);
    });
    Check ("nonzero_flags", c.pfSetNZCZero, simd.pfSetNZCZero, 32768, [] (PSetNoneZeroCountZeroFunc f, Memory & m, const Round&) {
      f ((int8_t*) m.coefs);
      return 0;
    });
  });
}

void CheckIntraPrediction (const SWelsFuncPtrList& c, const SWelsFuncPtrList& simd) {
  auto predict = [] (PGetIntraPredFunc f, Memory & m, const Round & r) {
    f (m.planes[1], m.block (0) + r.x, kiStride);
    return 0;
  };
  Family ("intra prediction", [&] {
    for (int32_t mode = 0; mode < I16_PRED_DC_A; mode++)
      Check (Sized ("predict_16x16", mode, 0), c.pfGetLumaI16x16Pred[mode], simd.pfGetLumaI16x16Pred[mode], 1, predict);
    for (int32_t mode = 0; mode < C_PRED_A; mode++)
      Check (Sized ("predict_chroma", mode, 0), c.pfGetChromaPred[mode], simd.pfGetChromaPred[mode], 1, predict);
  });
}

void CheckDeblocking (const DeblockingFunc& c, const DeblockingFunc& simd) {
  auto luma_lt4 = [] (PLumaDeblockingLT4Func f, Memory & m, const Round & r) {
    f (m.block (0), kiStride, r.alpha, r.beta, m.strengths);
    return 0;
  };
  auto luma_eq4 = [] (PLumaDeblockingEQ4Func f, Memory & m, const Round & r) {
    f (m.block (0), kiStride, r.alpha, r.beta);
    return 0;
  };
  auto chroma_lt4 = [] (PChromaDeblockingLT4Func f, Memory & m, const Round & r) {
    f (m.block (0), m.block (1), kiStride, r.alpha, r.beta, m.strengths);
    return 0;
  };
  auto chroma_eq4 = [] (PChromaDeblockingEQ4Func f, Memory & m, const Round & r) {
    f (m.block (0), m.block (1), kiStride, r.alpha, r.beta);
    return 0;
  };
  Family ("deblock", [&] {
    Check ("deblock_luma_lt4_v", c.pfLumaDeblockingLT4Ver, simd.pfLumaDeblockingLT4Ver, 1, luma_lt4);
    Check ("deblock_luma_lt4_h", c.pfLumaDeblockingLT4Hor, simd.pfLumaDeblockingLT4Hor, 1, luma_lt4);
    Check ("deblock_luma_eq4_v", c.pfLumaDeblockingEQ4Ver, simd.pfLumaDeblockingEQ4Ver, 1, luma_eq4);
    Check ("deblock_luma_eq4_h", c.pfLumaDeblockingEQ4Hor, simd.pfLumaDeblockingEQ4Hor, 1, luma_eq4);
    Check ("deblock_chroma_lt4_v", c.pfChromaDeblockingLT4Ver, simd.pfChromaDeblockingLT4Ver, 1, chroma_lt4);
    Check ("deblock_chroma_lt4_h", c.pfChromaDeblockingLT4Hor, simd.pfChromaDeblockingLT4Hor, 1, chroma_lt4);
    Check ("deblock_chroma_eq4_v", c.pfChromaDeblockingEQ4Ver, simd.pfChromaDeblockingEQ4Ver, 1, chroma_eq4);
    Check ("deblock_chroma_eq4_h", c.pfChromaDeblockingEQ4Hor, simd.pfChromaDeblockingEQ4Hor, 1, chroma_eq4);
  });
}

/* A picture of 32x32, and one whose width is no multiple of 16. */
void CheckAnalysis (const SWelsFuncPtrList& c, const SWelsFuncPtrList& simd, uint32_t cpu) {
  WelsVP::CVAACalculation of_c (0), of_simd (cpu);
  Family ("analysis", [&] {
    for (int32_t width : {32, 38})
      Check (Sized ("vaa_sad", width, 32), of_c.m_sVaaFuncs.pfVAACalcSad, of_simd.m_sVaaFuncs.pfVAACalcSad, 1,
      [ = ] (WelsVP::PVAACalcSadFunc f, Memory & m, const Round&) {
      f (m.planes[0], m.planes[1], width, 32, kiStride, m.numbers, (int32_t*) m.coefs);
      return 0;
    });
    for (int32_t width : {32, 38})
      Check (Sized ("vaa_sad_bgd", width, 32), of_c.m_sVaaFuncs.pfVAACalcSadBgd, of_simd.m_sVaaFuncs.pfVAACalcSadBgd, 1,
      [ = ] (WelsVP::PVAACalcSadBgdFunc f, Memory & m, const Round&) {
      f (m.planes[0], m.planes[1], width, 32, kiStride, m.numbers, (int32_t*) m.coefs, (int32_t*) m.levels, m.runs);
      return 0;
    });
    Check ("mb_sign", c.pfGetMbSignFromInterVaa, simd.pfGetMbSignFromInterVaa, 4096,
    [] (PGetMbSignFromInterVaaFunc f, Memory & m, const Round&) {
      int32_t sads[4] = {abs (m.coefs[0]), abs (m.coefs[1]), abs (m.coefs[2]), abs (m.coefs[3])};
      return (int32_t) f (sads);
    });
  });
}

void Choose (SWelsFuncPtrList& functions, uint32_t cpu) {
  SWelsSvcCodingParam param;
  sWelsEncCtx context = {};
  context.pSvcParam = &param;
  context.pFuncList = &functions;
  InitFunctionPointers (&context, &param, cpu);
}

SWelsFuncPtrList g_sC, g_sSimd;

}

int main (int argc, char** argv) {
  uint64_t seed = 1;
  for (int i = 1; i < argc; i++) {
    if (!strcmp (argv[i], "--bench"))
      g_bBench = true;
    else if ((seed = strtoull (argv[i], nullptr, 10)) == 0) {
      fprintf (stderr, "usage: checkasm [--bench] [SEED]\n");
      return 2;
    }
  }
  g_uiRandom = seed;
  uint32_t cpu = WelsCPUFeatureDetect (nullptr);
  Choose (g_sC, 0);
  Choose (g_sSimd, cpu);
  if (g_bBench)
    printf ("%-24s %8s %8s\n", "nanoseconds", "C", "kernel");
  CheckSamples (g_sC.sSampleDealingFuncs, g_sSimd.sSampleDealingFuncs);
  CheckMotionCompensation (g_sC.sMcFuncs, g_sSimd.sMcFuncs);
  CheckCoefficients (g_sC, g_sSimd);
  CheckIntraPrediction (g_sC, g_sSimd);
  CheckDeblocking (g_sC.pfDeblocking, g_sSimd.pfDeblocking);
  CheckAnalysis (g_sC, g_sSimd, cpu);
  return g_bFailed;
}
