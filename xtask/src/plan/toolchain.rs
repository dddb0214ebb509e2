//! Compilers that carry what every call needs and no recorded configuration should name: the SDK's place, and how to forget it
//! and the work folder's.

use crate::plan::step::Action;

/// The wrappers, in the folder `bin`, which is on PATH.
pub fn wrappers() -> Vec<Action> {
    let mut actions = vec![Action::Sdk];
    for (name, program) in [("wasm-cc", "clang"), ("wasm-c++", "clang++")] {
        actions.push(Action::write(
            format!("bin/{name}"),
            format!(
                "#!/bin/sh\nexec \"{{sdk}}/bin/{program}\" --target=wasm32-wasip1 --sysroot=\"{{sdk}}/share/wasi-sysroot\" \
                 --start-no-unused-arguments --no-wasm-opt --end-no-unused-arguments \
                 -Werror=date-time -ffile-prefix-map=\"{{work}}\"=. -ffile-prefix-map=\"{{sdk}}\"=sdk \"$@\"\n"
            ),
        ));
    }
    for tool in ["ar", "nm", "ranlib"] {
        actions.push(Action::write(
            format!("bin/wasm-{tool}"),
            format!("#!/bin/sh\nexec \"{{sdk}}/bin/llvm-{tool}\" \"$@\"\n"),
        ));
    }
    actions
}
