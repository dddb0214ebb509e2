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

/* The kernels, for openh264's tables of functions. Included by openh264's own files. */

#ifndef WELS_WASM_H
#define WELS_WASM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* sample_wasm.c */
int32_t WelsSampleSad16x16_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2);
void WelsSampleSadFour16x16_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2, int32_t* pSad);
int32_t WelsSampleSad16x8_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2);
void WelsSampleSadFour16x8_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2, int32_t* pSad);
int32_t WelsSampleSad8x16_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2);
void WelsSampleSadFour8x16_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2, int32_t* pSad);
int32_t WelsSampleSad8x8_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2);
void WelsSampleSadFour8x8_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2, int32_t* pSad);
int32_t WelsSampleSad4x4_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2);
void WelsSampleSadFour4x4_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2, int32_t* pSad);
int32_t WelsSampleSatd16x16_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2);
int32_t WelsSampleSatd16x8_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2);
int32_t WelsSampleSatd8x16_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2);
int32_t WelsSampleSatd8x8_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2);
int32_t WelsSampleSatd4x4_wasm (uint8_t* pSample1, int32_t iStride1, uint8_t* pSample2, int32_t iStride2);
int32_t WelsIntra16x16Combined3Satd_wasm (uint8_t* pDec, int32_t iDecStride, uint8_t* pEnc, int32_t iEncStride,
    int32_t* pBestMode, int32_t iLambda, uint8_t* pDst);
int32_t WelsIntra8x8Combined3Satd_wasm (uint8_t* pDecCb, int32_t iDecStride, uint8_t* pEncCb, int32_t iEncStride,
    int32_t* pBestMode, int32_t iLambda, uint8_t* pDstChroma, uint8_t* pDecCr, uint8_t* pEncCr);
int32_t WelsIntra4x4Combined3Satd_wasm (uint8_t* pDec, int32_t iDecStride, uint8_t* pEnc, int32_t iEncStride, uint8_t* pDst,
    int32_t* pBestMode, int32_t iLambda2, int32_t iLambda1, int32_t iLambda0);

/* mc_wasm.c */
void WelsCopy16x16_wasm (uint8_t* pDst, int32_t iStrideD, uint8_t* pSrc, int32_t iStrideS);
void WelsCopy16x8_wasm (uint8_t* pDst, int32_t iStrideD, uint8_t* pSrc, int32_t iStrideS);
void WelsCopy8x16_wasm (uint8_t* pDst, int32_t iStrideD, uint8_t* pSrc, int32_t iStrideS);
void WelsCopy8x8_wasm (uint8_t* pDst, int32_t iStrideD, uint8_t* pSrc, int32_t iStrideS);
void McHorVer20_wasm (const uint8_t* pSrc, int32_t iSrcStride, uint8_t* pDst, int32_t iDstStride, int32_t iWidth, int32_t iHeight);
void McHorVer02_wasm (const uint8_t* pSrc, int32_t iSrcStride, uint8_t* pDst, int32_t iDstStride, int32_t iWidth, int32_t iHeight);
void McHorVer22_wasm (const uint8_t* pSrc, int32_t iSrcStride, uint8_t* pDst, int32_t iDstStride, int32_t iWidth, int32_t iHeight);
void PixelAvg_wasm (uint8_t* pDst, int32_t iDstStride, const uint8_t* pSrcA, int32_t iSrcAStride, const uint8_t* pSrcB,
    int32_t iSrcBStride, int32_t iWidth, int32_t iHeight);
void McLuma_wasm (const uint8_t* pSrc, int32_t iSrcStride, uint8_t* pDst, int32_t iDstStride, int16_t iMvX, int16_t iMvY,
    int32_t iWidth, int32_t iHeight);
void McChroma_wasm (const uint8_t* pSrc, int32_t iSrcStride, uint8_t* pDst, int32_t iDstStride, int16_t iMvX, int16_t iMvY,
    int32_t iWidth, int32_t iHeight);

/* transform_wasm.c */
void WelsDctFourT4_wasm (int16_t* pDct, uint8_t* pPixel1, int32_t iStride1, uint8_t* pPixel2, int32_t iStride2);
void WelsIDctFourT4Rec_wasm (uint8_t* pRec, int32_t iStride, uint8_t* pPred, int32_t iPredStride, int16_t* pRes);
void WelsIDctT4Rec_wasm (uint8_t* pRec, int32_t iStride, uint8_t* pPred, int32_t iPredStride, int16_t* pRes);
void WelsIDctRecI16x16Dc_wasm (uint8_t* pRec, int32_t iStride, uint8_t* pPred, int32_t iPredStride, int16_t* pDctDc);

/* quant_wasm.c */
void WelsQuant4x4_wasm (int16_t* pDct, const int16_t* pFF, const int16_t* pMF);
void WelsQuant4x4Dc_wasm (int16_t* pDct, int16_t iFF, int16_t iMF);
void WelsQuantFour4x4_wasm (int16_t* pDct, const int16_t* pFF, const int16_t* pMF);
void WelsQuantFour4x4Max_wasm (int16_t* pDct, const int16_t* pFF, const int16_t* pMF, int16_t* pMax);
int32_t WelsHadamardQuant2x2_wasm (int16_t* pRes, const int16_t iFF, int16_t iMF, int16_t* pDct, int16_t* pBlock);
int32_t WelsHadamardQuant2x2Skip_wasm (int16_t* pRes, int16_t iFF, int16_t iMF);
void WelsDequant4x4_wasm (int16_t* pRes, const uint16_t* kpMF);
void WelsDequantFour4x4_wasm (int16_t* pRes, const uint16_t* kpMF);
void WelsScan4x4DcAc_wasm (int16_t* pLevel, int16_t* pDct);
void WelsScan4x4Ac_wasm (int16_t* pLevel, int16_t* pDct);
int32_t WelsCalculateSingleCtr4x4_wasm (int16_t* pDct);
int32_t CavlcParamCal_wasm (int16_t* pCoffLevel, uint8_t* pRun, int16_t* pLevel, int32_t* pTotalCoeffs, int32_t iEndIdx);

/* deblock_wasm.c */
void DeblockLumaLt4V_wasm (uint8_t* pPixY, int32_t iStride, int32_t iAlpha, int32_t iBeta, int8_t* pTc);
void DeblockLumaLt4H_wasm (uint8_t* pPixY, int32_t iStride, int32_t iAlpha, int32_t iBeta, int8_t* pTc);
void DeblockLumaEq4V_wasm (uint8_t* pPixY, int32_t iStride, int32_t iAlpha, int32_t iBeta);
void DeblockLumaEq4H_wasm (uint8_t* pPixY, int32_t iStride, int32_t iAlpha, int32_t iBeta);
void DeblockChromaLt4V_wasm (uint8_t* pPixCb, uint8_t* pPixCr, int32_t iStride, int32_t iAlpha, int32_t iBeta, int8_t* pTc);
void DeblockChromaEq4V_wasm (uint8_t* pPixCb, uint8_t* pPixCr, int32_t iStride, int32_t iAlpha, int32_t iBeta);
void DeblockChromaLt4H_wasm (uint8_t* pPixCb, uint8_t* pPixCr, int32_t iStride, int32_t iAlpha, int32_t iBeta, int8_t* pTc);
void DeblockChromaEq4H_wasm (uint8_t* pPixCb, uint8_t* pPixCr, int32_t iStride, int32_t iAlpha, int32_t iBeta);
void WelsNonZeroCount_wasm (int8_t* pNonZeroCount);

/* intra_pred_wasm.c */
void WelsI16x16LumaPredPlane_wasm (uint8_t* pPred, uint8_t* pRef, const int32_t kiStride);
void WelsIChromaPredPlane_wasm (uint8_t* pPred, uint8_t* pRef, const int32_t kiStride);

/* vaa_wasm.c */
void VAACalcSadBgd_wasm (const uint8_t* pCurData, const uint8_t* pRefData, int32_t iPicWidth, int32_t iPicHeight,
    int32_t iPicStride, int32_t* pFrameSad, int32_t* pSad8x8, int32_t* pSd8x8, uint8_t* pMad8x8);
void VAACalcSad_wasm (const uint8_t* pCurData, const uint8_t* pRefData, int32_t iPicWidth, int32_t iPicHeight, int32_t iPicStride,
    int32_t* pFrameSad, int32_t* pSad8x8);
uint8_t MdInterAnalysisVaaInfo_wasm (int32_t* pSad8x8);

#ifdef __cplusplus
}
#endif

#endif
