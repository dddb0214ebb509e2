# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

# Builds what FATE, FFmpeg's test suite, runs beside the two programs of the module: the tests of FFmpeg's libraries and
# checkasm as WebAssembly, and the programs that make inputs and compare outputs for this machine. Run in FFmpeg's
# configured source folder, with the libraries already there: make -f PATH/fate.mak afmpeg-fate
include Makefile

AFMPEG_TOOLS := enc_recon_frame_test enum_options qt-faststart scale_slice_test venc_data_dump

.PHONY: afmpeg-fate
afmpeg-fate: testprogs $(APITESTPROGS) $(CHECKASM) $(AFMPEG_TOOLS:%=tools/%$(EXESUF)) $(TESTTOOLS:%=tests/%$(HOSTEXESUF))
