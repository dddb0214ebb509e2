# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""`python -m afmpeg ffmpeg -i in.mp4 out.mkv` is the command."""

import sys

from ._command import main

if __name__ == "__main__":
    sys.exit(main())
