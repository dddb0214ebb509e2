# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

# Builds what the module is linked from: FFmpeg's libraries and the objects of two of its programs, `ffmpeg` and
# `ffprobe`, for one module. Run in FFmpeg's configured source folder: make -f PATH/ffmpeg.mak afmpeg
#
# FFmpeg's own rules do the work; this file adds what lets two programs share a link:
#   - both define `main` and the few names that cmdutils.c expects of a program: each gets names of its own, and
#     guest/main.c defines the shared ones after it knows which program runs;
#   - the ffmpeg program uses threads, the libraries are built without: with_threads.h tells its sources. Its message queues
#     between threads come from a library's source, which is compiled once more, for the program, and found first at the link;
#   - a sleep in the programs must let the other coroutines run: guest/threads.h declares afmpeg_usleep.
guest := $(dir $(firstword $(MAKEFILE_LIST)))

include Makefile

AFMPEG_OBJS := $(sort $(OBJS-ffmpeg) $(OBJS-ffprobe) fftools/ffmpeg_threadmessage.o)
AFMPEG_LIBS := $(FF_STATIC_DEP_LIBS)

afmpeg_names = $(foreach n,main program_name program_birth_year show_help_default,-D$(n)=$(1)_$(n))

$(AFMPEG_OBJS): CFLAGS += -include $(guest)programs.h -Dav_usleep=afmpeg_usleep
$(filter fftools/ffmpeg%.o,$(AFMPEG_OBJS)): CFLAGS += -include $(guest)with_threads.h
$(filter-out fftools/ffmpeg%.o,$(AFMPEG_OBJS)): CFLAGS += -include pthread.h
$(filter fftools/ffmpeg%.o,$(AFMPEG_OBJS)): CFLAGS += $(call afmpeg_names,ffmpeg)
$(filter fftools/ffprobe%.o,$(AFMPEG_OBJS)): CFLAGS += $(call afmpeg_names,ffprobe)

fftools/ffmpeg_threadmessage.o: CFLAGS += -iquote libavutil
fftools/ffmpeg_threadmessage.c: libavutil/threadmessage.c
	$(Q)cp $< $@

# AFMPEG_COLD_FLAGS, where given, are for files without hot loops, which are most; of two -O flags the last one counts. GNU make
# applies the most specific pattern last, so a codec named below gets AFMPEG_HOT_FLAGS back.
ifdef AFMPEG_COLD_FLAGS
afmpeg_hot := aac% ac3% av1% cabac% ffv1% flac% h263% h264% hevc/% hpel% idct% intra% jpeg% me_cmp% mjpeg% motion_% mpeg4video% \
              mpeg12% mpegaudio% mpegvideo% opus% png% prores% qpel% simple_idct% vc1% videodsp% vorbis% vp8% vp9% wasm/% %dsp
$(foreach folder,libavcodec libavdevice libavfilter libavformat fftools,$(eval $(folder)/%.o: CFLAGS += $(AFMPEG_COLD_FLAGS)))
$(foreach codec,$(afmpeg_hot),$(eval libavcodec/$(codec).o: CFLAGS += $(AFMPEG_HOT_FLAGS)))
# The C code of these is large, and only video of more than 8 bits uses it: for 8 bits there are kernels.
$(foreach codec,h264pred h264qpel vp9dsp_%,$(eval libavcodec/$(codec).o: CFLAGS += $(AFMPEG_COLD_FLAGS)))
endif

# The linker reads the lists, so that a new FFmpeg version's files need no change in our build.
.PHONY: afmpeg
afmpeg: $(AFMPEG_OBJS) $(AFMPEG_LIBS)
	$(Q)printf '%s\n' $(AFMPEG_OBJS) > afmpeg.objects
	$(Q)printf '%s\n' $(AFMPEG_LIBS) > afmpeg.libraries
