// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

// FFmpeg's two programs, as ffmpeg.mak names them. Included by force into their sources, so that the compiler checks
// these declarations against the definitions, and by main.c, which runs them.
#ifndef AFMPEG_PROGRAMS_H
#define AFMPEG_PROGRAMS_H

#include "streams.h"

int ffmpeg_main(int argc, char **argv);
int ffprobe_main(int argc, char **argv);

void ffmpeg_show_help_default(const char *option, const char *argument);
void ffprobe_show_help_default(const char *option, const char *argument);

extern const char ffmpeg_program_name[];
extern const char ffprobe_program_name[];

extern const int ffmpeg_program_birth_year;
extern const int ffprobe_program_birth_year;

#endif
