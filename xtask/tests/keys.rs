//! Tools that are given are known by their bytes: another byte of any of them is another key.

mod support;

const PROGRAM: &str = env!("CARGO_BIN_EXE_xtask");

use std::collections::BTreeMap;
use std::fs;

use support::{Fixture, run};

/// Step -> key.
fn keys(fixture: &Fixture) -> BTreeMap<String, String> {
    let ended = run(fixture.command(&["build", "--profile", "o2-lgpl", "--dry-run"]));
    ended.expect(0, &[]);
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let steps = plan["steps"].as_array().unwrap().iter();
    steps.map(|step| (text(&step["name"]), text(&step["key"]))).collect()
}

#[test]
fn each_byte_of_a_given_tool_counts() {
    let fixture = Fixture::new();
    let sdk = |name: &str| fixture.sdk().join(name);
    let binaryen = |name: &str| fixture.folder.path().join("binaryen").join(name);
    let rewritten = ["optimise", "finish", "describe"];
    // All is compiled by the SDK.
    for (path, steps) in [
        (sdk("bin/wasm-ld"), None),
        (sdk("bin/llvm-ar"), None),
        (sdk("share/wasi-sysroot/include/wasm32-wasip1/stdio.h"), None),
        (sdk("share/wasi-sysroot/lib/wasm32-wasip1/libc.a"), None),
        (
            sdk("lib/clang/22/lib/wasm32-unknown-wasip1/libclang_rt.builtins.a"),
            None,
        ),
        (binaryen("bin/wasm-opt"), Some(rewritten)),
        (binaryen("lib/libbinaryen.so"), Some(rewritten)),
    ] {
        let before = keys(&fixture);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut data = fs::read(&path).unwrap_or_default();
        data.extend(b"\n# another byte\n");
        let permissions = fs::metadata(&path).map(|metadata| metadata.permissions());
        fs::write(&path, data).unwrap();
        if let Ok(permissions) = permissions {
            fs::set_permissions(&path, permissions).unwrap();
        }
        for (step, key) in keys(&fixture) {
            let is_changed = before[&step] != key;
            assert_eq!(
                is_changed,
                steps.is_none_or(|steps| steps.contains(&step.as_str())),
                "{step} of {}",
                path.display()
            );
        }
    }
}
