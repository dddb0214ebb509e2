//! Packs: native code of one module for one kind of machine, by wasm2c and the SDK's clang. docs/packs.md says what they are.

use anyhow::Result;

use crate::error::usage;
use crate::inputs::pins::Pins;
use crate::plan::step::{Action, Facts, Places, Plan, Steps, words};
use crate::translate::{self, OBJECTS, PREFIX, START, TABLE, Translate};
use crate::wasm::compress::Compress;

/// The pin of wasm2c and of the headers that its code includes.
pub const TRANSLATOR: &str = "wabt";

/// The step whose result is C, for every machine, and that whose result is the pack.
const TRANSLATE: &str = "pack-translate";
pub const PACK: &str = "pack";

/// Parts of a module that are compiled on their own: one for so many of its bytes, and at most so many.
const PART_BYTES: u64 = 500_000;
const PARTS_MOST: u64 = 64;

/// A kind of machine that packs are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    pub name: &'static str,
    /// In clang's words.
    target: &'static str,
    architecture: &'static str,
    flags: &'static str,
}

pub const MACHINES: [Machine; 3] = [
    Machine {
        name: "x86_64-v2-linux",
        target: "x86_64-linux-gnu",
        architecture: "x86-64-v2",
        flags: "-fcf-protection=none",
    },
    Machine {
        name: "x86_64-v3-linux",
        target: "x86_64-linux-gnu",
        architecture: "x86-64-v3",
        flags: "-fcf-protection=none",
    },
    Machine {
        name: "aarch64-linux",
        target: "aarch64-linux-gnu",
        architecture: "armv8-a",
        flags: "-mbranch-protection=none",
    },
];

/// A name that stands for several.
const GROUP: (&str, &str) = ("x86_64-linux", "x86_64-");

/// The machines that a name stands for.
pub fn machines(name: &str) -> Result<Vec<Machine>> {
    let of_group = |machine: &Machine| name == GROUP.0 && machine.name.starts_with(GROUP.1);
    let found = MACHINES
        .into_iter()
        .filter(|machine| machine.name == name || of_group(machine));
    let found: Vec<Machine> = found.collect();
    if found.is_empty() {
        let names: Vec<&str> = MACHINES.iter().map(|machine| machine.name).collect();
        return Err(usage(format!("there are no packs for `{name}`"))
            .hint(format!(
                "one of {}, or {} for both of its kind",
                names.join(", "),
                GROUP.0
            ))
            .into());
    }
    Ok(found)
}

impl Machine {
    /// The first word of clang's name for it, which is that of LLVM's target, too.
    pub fn llvm_target(self) -> &'static str {
        if self.target.starts_with("x86_64") {
            "x86-64"
        } else {
            "aarch64"
        }
    }

    /// How every C file is compiled. Arithmetic is what the module's is: it wraps, and no two operations become one of another
    /// rounding. Frames are touched page by page, so that the guard below the stack is met by each that is too deep.
    pub fn compile_flags(self) -> Vec<String> {
        let mut flags = words(&format!(
            "--no-default-config --target={} -march={}",
            self.target, self.architecture
        ));
        flags.extend(words(
            "-O2 -std=gnu17 -fPIC -fvisibility=hidden -fwrapv -fno-strict-aliasing -fno-finite-loops -fno-math-errno \
             -ffp-contract=off -fstack-clash-protection -fno-stack-protector -fno-asynchronous-unwind-tables -fno-ident",
        ));
        flags.extend(words(self.flags));
        flags.extend(words("-nostdlibinc -Werror=date-time -Ipack -isystem pack/include"));
        flags.push(format!("-DAFMPEG_MACHINE=\"{}\"", self.name));
        flags
    }
}

/// Nothing is taken from libraries and nothing is left open; what is read only stays so, and no page is both written and run.
pub const LINK_FLAGS: &str = "-flavor gnu -shared -z defs -z relro -z now -z noexecstack -z separate-code --build-id=none \
                              --hash-style=gnu --strip-all --fatal-warnings";

/// How what wasm2c has made is compiled beside that. It has many variables that are not used.
pub const GENERATED_FLAGS: &str = "-I{result:pack-translate} -isystem {tool:wabt}/include -include code.h -w";

/// How wasm2c is called. Names are no part of what a pack does, and would be of its key.
pub const TRANSLATOR_FLAGS: &str = "--no-debug-names --disable-exceptions --disable-memory64 --disable-multi-memory \
                                    --disable-tail-call --num-outputs=2";

/// A module that a pack is made of.
#[derive(Debug, Clone)]
pub struct Module {
    pub sha256: String,
    pub size_bytes: u64,
}

impl Module {
    fn parts(&self) -> usize {
        self.size_bytes.div_ceil(PART_BYTES).clamp(1, PARTS_MOST) as usize
    }
}

pub fn plan(machine: Machine, name: &str, module: &Module, pins: &Pins, facts: &Facts) -> Result<Plan> {
    let mut steps = Steps::new(pins, facts);
    add_translate(&mut steps, module)?;
    let mut objects = vec![add_runtime(&mut steps, machine)?];
    // Those that follow are made beside each other.
    objects.push(add_rest(&mut steps, machine)?);
    for number in 0..module.parts() {
        objects.push(add_part(&mut steps, machine, number)?);
    }
    let mut actions = vec![Action::Sdk, Action::look(TRANSLATE)];
    actions.extend(objects.iter().map(|step| Action::result(step, ".")));
    let mut link = words(LINK_FLAGS);
    link.extend(words("-o pack.so start.o table.o inside.o outside.o"));
    link.push(format!("@{{result:{TRANSLATE}}}/{OBJECTS}"));
    actions.extend([
        Action::run(".", "{sdk}/bin/wasm-ld", link),
        Action::pass(Compress {
            module: "pack.so".into(),
        }),
        Action::keep(".", ["pack.so", "pack.so.gz", "pack.so.br"], "."),
    ]);
    steps.step(PACK, actions, Places::default())?;
    Ok(steps.plan(name))
}

fn add_translate(steps: &mut Steps, module: &Module) -> Result<()> {
    let mut translate = words("module.wasm -n");
    translate.push(PREFIX.into());
    translate.extend(words(TRANSLATOR_FLAGS));
    translate.extend(words("-o m.c"));
    let actions = vec![
        Action::Module {
            sha256: module.sha256.clone(),
        },
        Action::tool(TRANSLATOR),
        Action::run(".", &format!("{{tool:{TRANSLATOR}}}/bin/wasm2c"), translate),
        Action::pass(Translate {
            module: "module.wasm".into(),
            parts: module.parts(),
            overrides: "overrides.h".into(),
            to: "made".into(),
        }),
        Action::keep("made", ["*"], "."),
    ];
    steps.step(TRANSLATE, actions, Places::default())
}

/// What compilations of generated files take.
fn takes_generated(steps: &Steps) -> Vec<Action> {
    let headers = steps.facts.pack.keys().filter(|file| file.ends_with(".h"));
    vec![
        Action::Sdk,
        Action::tool(TRANSLATOR),
        Action::Pack {
            files: headers.cloned().collect(),
        },
        Action::look(TRANSLATE),
    ]
}

fn compile_generated(machine: Machine, source: &str, object: &str) -> Action {
    let source = format!("{{result:{TRANSLATE}}}/{source}");
    compile(machine, GENERATED_FLAGS, &source, object)
}

fn compile(machine: Machine, flags: &str, source: &str, object: &str) -> Action {
    let mut arguments = machine.compile_flags();
    arguments.extend(words(flags));
    arguments.extend(["-c".to_owned(), source.to_owned(), "-o".to_owned(), object.to_owned()]);
    Action::run(".", "{sdk}/bin/clang", arguments)
}

/// What every pack of a machine has.
fn add_runtime(steps: &mut Steps, machine: Machine) -> Result<String> {
    let name = "pack-runtime".to_owned();
    let files = steps.facts.pack.keys().cloned().collect();
    let own = "-fno-builtin -Wall -Wextra -Werror";
    let actions = vec![
        Action::Sdk,
        Action::Pack { files },
        compile(machine, own, "pack/inside.c", "inside.o"),
        compile(machine, own, "pack/outside.c", "outside.o"),
        Action::keep(".", ["*.o"], "."),
    ];
    steps.step(&name, actions, Places::default())?;
    Ok(name)
}

/// What is no function of the module: its tables, data and globals, its imports, and the pack's own table.
fn add_rest(steps: &mut Steps, machine: Machine) -> Result<String> {
    let name = "pack-rest".to_owned();
    let mut actions = takes_generated(steps);
    actions.extend([
        compile_generated(machine, START, "start.o"),
        compile_generated(machine, TABLE, "table.o"),
        Action::keep(".", ["*.o"], "."),
    ]);
    steps.small_step(&name, actions)?;
    Ok(name)
}

fn add_part(steps: &mut Steps, machine: Machine, number: usize) -> Result<String> {
    let part = translate::part(number);
    let name = format!("pack-{part}");
    let mut actions = takes_generated(steps);
    actions.extend([
        compile_generated(machine, &format!("{part}.c"), &format!("{part}.o")),
        Action::keep(".", [format!("{part}.o")], "."),
    ]);
    steps.small_step(&name, actions)?;
    Ok(name)
}
