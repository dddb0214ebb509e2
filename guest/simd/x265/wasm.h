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

#ifndef X265_WASM_H
#define X265_WASM_H

#include "primitives.h"

namespace X265_NS {
// private x265 namespace

void setupPixelPrimitives_wasm(EncoderPrimitives &p);
void setupFilterPrimitives_wasm(EncoderPrimitives &p);
void setupDCTPrimitives_wasm(EncoderPrimitives &p);
}

#endif // ifndef X265_WASM_H
