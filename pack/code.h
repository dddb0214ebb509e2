// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// Included before each file that wasm2c has generated, and before what else is code of the module: all functions that follow
// come into one section, whose bounds the pack tells.
#ifndef AFMPEG_PACK_CODE_H
#define AFMPEG_PACK_CODE_H

#include "pack.h"

#pragma clang section text = "afmpeg_code"
// Nothing but the pack's table is seen from outside, and what is declared here is defined in the pack.
#pragma GCC visibility push(hidden)

#endif
