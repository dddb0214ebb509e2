// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

#ifndef AFMPEG_PACK_STRING_H
#define AFMPEG_PACK_STRING_H

#include <stddef.h>

int memcmp(const void *a, const void *b, size_t size_bytes);
void *memcpy(void *restrict to, const void *restrict from, size_t size_bytes);
void *memmove(void *to, const void *from, size_t size_bytes);
void *memset(void *to, int value, size_t size_bytes);

#endif
