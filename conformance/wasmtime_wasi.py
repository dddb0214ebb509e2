# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

"""Runs a module in wasmtime's own WASI: python3 wasmtime_wasi.py MODULE COMPILED ARGUMENT...

The module gets the current folder and nothing else. COMPILED is where its code is kept for the next run.
"""

import hashlib
import os
import sys

from wasmtime import Config, Engine, ExitTrap, Linker, Module, Store, WasiConfig

path, compiled, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
engine = Engine(Config())
with open(path, "rb") as file:
    data = file.read()
code = f"{compiled}-{hashlib.sha256(data).hexdigest()}"
try:
    module = Module.deserialize_file(engine, code)
except Exception:
    module = Module(engine, data)
    with open(f"{code}-{os.getpid()}", "wb") as file:
        file.write(module.serialize())
    os.replace(file.name, code)

wasi = WasiConfig()
wasi.argv = arguments
wasi.preopen_dir(".", ".")
wasi.inherit_stdout()
wasi.inherit_stderr()
linker = Linker(engine)
linker.define_wasi()
store = Store(engine)
store.set_wasi(wasi)
try:
    linker.instantiate(store, module).exports(store)["_start"](store)
except ExitTrap as end:
    sys.exit(end.code)
