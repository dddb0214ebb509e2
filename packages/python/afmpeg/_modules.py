# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""The modules that are installed: each package of one puts its file into the folder `afmpeg_modules`."""

from __future__ import annotations

import os

from ._errors import ModuleMissing

#: Compressed ones are smaller to read, and are not unpacked to be found among the compiled ones.
_ENDINGS = (".wasm.br", ".wasm.gz", ".wasm")


def _preference(name: str) -> tuple[bool, int, int, str]:
    """Fast modules before small ones, and those without SIMD last."""
    levels = ("o3", "o2")
    level = levels.index(name[:2]) if name[:2] in levels else len(levels)
    return name.endswith("-scalar"), level, len(name), name


def modules() -> dict[str, str]:
    """The installed modules' files by their names, such as ``o3-gpl``, the preferred one first."""
    try:
        import afmpeg_modules  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ModuleNotFoundError:
        return {}
    found: dict[str, str] = {}
    for folder in afmpeg_modules.__path__:
        for file in os.listdir(folder):
            for ending in _ENDINGS:
                if file.endswith(ending):
                    found.setdefault(file[: -len(ending)], os.path.join(folder, file))
                    break
    return {name: found[name] for name in sorted(found, key=_preference)}


def find(module: str | os.PathLike[str] | None) -> str:
    """The file of a module by its name or path, or of the preferred one."""
    if module is None:
        for path in modules().values():
            return path
        raise ModuleMissing("no module is installed")
    path = os.fspath(module)
    is_path = not isinstance(module, str) or os.path.basename(path) != path or path.endswith(_ENDINGS)
    if is_path:
        return path
    installed = modules()
    if path not in installed:
        names = ", ".join(installed) or "none"
        error = ModuleMissing(f"the module {path} is not installed; installed are: {names}")
        error.next_step = f"Install it with `pip install afmpeg-{path}`"
        raise error
    return installed[path]


def cache_folder(name: str) -> str | None:
    """A folder of afmpeg's in the user's cache, which the command has too."""
    for variable, below in (("XDG_CACHE_HOME", ""), ("HOME", ".cache"), ("LOCALAPPDATA", "")):
        base = os.environ.get(variable, "")
        if os.path.isabs(base):
            return os.path.join(base, below, "afmpeg", name)
    return None
