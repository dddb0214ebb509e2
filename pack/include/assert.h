// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

#ifndef AFMPEG_PACK_ASSERT_H
#define AFMPEG_PACK_ASSERT_H
#define assert(condition) ((void)0)
#endif
