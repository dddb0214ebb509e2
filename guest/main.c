// One module, two programs: argv[0] chooses, as with busybox. FFmpeg's programs keep their own main(), renamed by
// ffmpeg.mak; what their shared code expects of "the program" is defined here.
#include <string.h>

#include "programs.h"
#include "threads.h"

// fftools/cmdutils.h declares these const; only this file knows that they are set once, before the program starts.
char program_name[sizeof "ffprobe"];
int program_birth_year;
void show_help_default(const char *option, const char *argument);

static int is_ffprobe;

void show_help_default(const char *option, const char *argument)
{
    if (is_ffprobe)
        ffprobe_show_help_default(option, argument);
    else
        ffmpeg_show_help_default(option, argument);
}

// "/usr/bin/ffprobe.wasm" names ffprobe: the folder and a suffix don't count.
static int names_ffprobe(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const size_t length = strlen("ffprobe");
    return strncmp(name, "ffprobe", length) == 0 && (name[length] == '\0' || name[length] == '.');
}

int main(int argc, char **argv)
{
    is_ffprobe = argc > 0 && names_ffprobe(argv[0]);
    strcpy(program_name, is_ffprobe ? ffprobe_program_name : ffmpeg_program_name);
    program_birth_year = is_ffprobe ? ffprobe_program_birth_year : ffmpeg_program_birth_year;

    const int status = afmpeg_threads_main(is_ffprobe ? ffprobe_main : ffmpeg_main, argc, argv);

    // The programs return negative error codes; a process's exit status has eight bits, and WASI does not cut it.
    return status & 0xff;
}
