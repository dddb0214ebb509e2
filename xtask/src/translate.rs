//! From what wasm2c makes of a module to the C files of a pack: functions spread over files by size, data as it is, and the
//! table by which the runtime knows the pack. docs/packs.md has the whole way.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType, Validator, WasmFeatures};

use crate::digest::{self, Key};
use crate::error::usage;
use crate::lock;
use crate::wasm::{Pass, Work};

pub const NAME: &str = "translate";

/// What a module may need of an engine so that a pack can be made of it.
const FEATURES: WasmFeatures = WasmFeatures::WASM1
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SIMD);

/// What wasm2c is told to call the module.
pub const PREFIX: &str = "m";
/// What it makes, beside two files of functions.
const HEADER: &str = "m.h";
const INNER_HEADER: &str = "m-impl.h";
const SOURCES: [&str; 2] = ["m_0.c", "m_1.c"];

/// How lines begin that the second of them has outside of functions, the whole of it if it has none.
const SECOND_HAS: [&str; 3] = ["/* ", "#include \"m-impl.h\"", "typedef int dummy_def;"];

/// Files of the result: what is no function of the module, the pack's table, and objects in the order of the module's functions.
pub const START: &str = "start.c";
pub const TABLE: &str = "table.c";
pub const OBJECTS: &str = "objects";
/// The bytes of all data segments.
const SEGMENTS: &str = "segments";

pub fn part(number: usize) -> String {
    format!("part-{number:02}")
}

/// What a pack's table says of its module.
#[derive(Debug, Default)]
struct Interface<'a> {
    imports: Vec<Import<'a>>,
    memory_pages: u64,
    memory_max_pages: u64,
    functions: usize,
    segments: Vec<&'a [u8]>,
}

#[derive(Debug)]
struct Import<'a> {
    module: &'a str,
    name: &'a str,
    parameters: String,
    results: String,
}

/// Fails with all reasons for which no pack can be made of a module.
pub fn check(module: &[u8]) -> Result<()> {
    interface(module).map(drop)
}

fn interface(data: &[u8]) -> Result<Interface<'_>> {
    if !data.starts_with(b"\0asm") {
        return Err(usage("it is no WebAssembly module").into());
    }
    if let Err(error) = Validator::new_with_features(FEATURES).validate_all(data) {
        return Err(usage(format!(
            "the module is not valid, or it needs more of an engine than packs have: {error}"
        ))
        .into());
    }
    let mut reading = Reading::default();
    for payload in Parser::new(0).parse_all(data) {
        reading.payload(payload?)?;
    }
    let Reading { found, mut faults, .. } = reading;
    if !reading.has_start {
        faults.push("it exports no function _start".to_owned());
    }
    if !reading.has_memory {
        faults.push("it exports no memory of the name memory".to_owned());
    }
    if faults.is_empty() {
        return Ok(found);
    }
    let message = format!("no pack can be made of the module:\n  {}", faults.join("\n  "));
    let hint = "packs are made of WASI programs: they import functions only, and export _start and memory";
    Err(usage(message).hint(hint).into())
}

/// A module that is read, with what is wrong with it.
#[derive(Default)]
struct Reading<'a> {
    found: Interface<'a>,
    faults: Vec<String>,
    types: Vec<FuncType>,
    has_start: bool,
    has_memory: bool,
}

impl<'a> Reading<'a> {
    fn payload(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                for of_type in section.into_iter_err_on_gc_types() {
                    self.types.push(of_type?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.import(import?);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    self.found.memory_pages = memory.initial;
                    self.found.memory_max_pages = memory.maximum.unwrap_or(1 << 16);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.has_start |= export.name == "_start" && export.kind == ExternalKind::Func;
                    self.has_memory |= export.name == "memory" && export.kind == ExternalKind::Memory;
                }
            }
            Payload::CodeSectionStart { count, .. } => self.found.functions = count as usize,
            Payload::DataSection(section) => {
                for segment in section {
                    self.found.segments.push(segment?.data);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'a>) {
        let place = format!("{}.{}", import.module, import.name);
        let fault = match import.ty {
            TypeRef::Func(index) => match import_of(import.module, import.name, &self.types[index as usize]) {
                Ok(new) => {
                    let mut known = self.found.imports.iter();
                    match known.find(|old| (old.module, old.name) == (new.module, new.name)) {
                        None => {
                            self.found.imports.push(new);
                            return;
                        }
                        Some(old) if (&old.parameters, &old.results) == (&new.parameters, &new.results) => return,
                        Some(_) => format!("it imports {place} with two types"),
                    }
                }
                Err(fault) => format!("it imports {place}, {fault}"),
            },
            TypeRef::Memory(_) => format!("it imports the memory {place}"),
            TypeRef::Table(_) => format!("it imports the table {place}"),
            TypeRef::Global(_) => format!("it imports the global {place}"),
            _ => format!("it imports {place}, which is no function"),
        };
        self.faults.push(fault);
    }
}

/// An import with its type in the letters of pack.h, or why it cannot be one.
fn import_of<'a>(module: &'a str, name: &'a str, of_type: &FuncType) -> Result<Import<'a>, &'static str> {
    let is_plain = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !text.is_empty() && text.bytes().all(plain)
    };
    if !is_plain(module) || !is_plain(name) {
        return Err("whose name has other characters than letters, digits, -, _ and .");
    }
    let letters = |types: &[ValType]| -> Option<String> {
        let letter = |one: &ValType| match one {
            ValType::I32 => Some('i'),
            ValType::I64 => Some('I'),
            ValType::F32 => Some('f'),
            ValType::F64 => Some('d'),
            _ => None,
        };
        types.iter().map(letter).collect()
    };
    if of_type.results().len() > 1 {
        return Err("which has several results");
    }
    let types = (letters(of_type.params()), letters(of_type.results()));
    let (Some(parameters), Some(results)) = types else {
        return Err("which takes or gives other values than i32, i64, f32 and f64");
    };
    Ok(Import {
        module,
        name,
        parameters,
        results,
    })
}

/// The digest of what this pass's result depends on. It is none of those of [`crate::wasm::digests`], so that modules do not
/// depend on it.
pub fn digest() -> Result<String> {
    let key = Key::new("pass").field(include_str!("translate.rs"));
    Ok(key.field(lock::digest(&["wasmparser"])?).finish())
}

fn read(work: &Work, file: &str) -> Result<Vec<u8>> {
    fs::read(work.folder.join(file)).with_context(|| format!("cannot read {file}"))
}

fn read_text(work: &Work, file: &str) -> Result<String> {
    fs::read_to_string(work.folder.join(file)).with_context(|| format!("cannot read {file}"))
}

/// Makes the files that are compiled. What wasm2c made lies in the work folder.
#[derive(Debug, Serialize)]
pub struct Translate {
    pub module: String,
    /// The files that functions are spread over; the first has the most to compile.
    pub parts: usize,
    /// A header that follows wasm2c's own.
    pub overrides: String,
    pub to: String,
}

impl Pass for Translate {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, work: &Work) -> Result<()> {
        let data = read(work, &self.module)?;
        let interface = interface(&data)?;
        let write = |name: &str, text: &[u8]| {
            let path = work.folder.join(&self.to).join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        fs::create_dir_all(work.folder.join(&self.to))?;

        let header = read_text(work, HEADER)?;
        write(HEADER, header.as_bytes())?;
        let inner = read_text(work, INNER_HEADER)?;
        let mut texts = Vec::new();
        for name in SOURCES {
            texts.push(read_text(work, name)?);
        }
        let (mut start, mut wrappers) = (String::new(), String::new());
        let mut functions: Vec<&str> = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let Split { moved, rest, declared } = split(text)?;
            wrappers.push_str(&declared);
            functions.extend(moved);
            // The other file has nothing but functions, after lines that C files begin with.
            if number == 0 {
                start = rest;
            } else if let Some(line) = rest
                .lines()
                .find(|line| !line.is_empty() && !SECOND_HAS.iter().any(|known| line.starts_with(known)))
            {
                bail!("{} has a line of an unknown form: {line}", SOURCES[number]);
            }
        }
        // Exports have functions of their own.
        if functions.len() < interface.functions {
            bail!(
                "{} functions were found in what wasm2c made of {}",
                functions.len(),
                interface.functions
            );
        }
        let inner = types_as_arrays(&inner)?;
        let inner = format!("{inner}\n{wrappers}\n#include \"{}\"\n", self.overrides);
        write(INNER_HEADER, inner.as_bytes())?;
        write(START, embed(&start, &interface.segments)?.as_bytes())?;
        write(SEGMENTS, &interface.segments.concat())?;
        write(TABLE, table(&interface, &header, &digest::bytes(&data))?.as_bytes())?;

        let sizes: Vec<usize> = functions.iter().map(|function| function.len()).collect();
        let ranges = spread(&sizes, self.parts);
        // The longest work comes first, so that no core waits for another in the end; linked are they in the module's order.
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        let size = |number: usize| -> usize { sizes[ranges[number].clone()].iter().sum() };
        order.sort_by_key(|&number| std::cmp::Reverse(size(number)));
        let mut objects = vec![String::new(); ranges.len()];
        for (position, &number) in order.iter().enumerate() {
            let mut text = format!("#include \"{INNER_HEADER}\"\n");
            for function in &functions[ranges[number].clone()] {
                text.push('\n');
                text.push_str(&make_dropped_loads(function));
            }
            write(&format!("{}.c", part(position)), text.as_bytes())?;
            objects[number] = format!("{}.o\n", part(position));
        }
        write(OBJECTS, objects.concat().as_bytes())
    }
}

/// The hashes of function types as arrays, whose addresses are known without a load, where wasm2c has pointers to them.
fn types_as_arrays(header: &str) -> Result<String> {
    let mut made = header.to_owned();
    for (found, wanted) in [
        (
            "#define FUNC_TYPE_DECL_EXTERN_T(x) extern const char* const x\n",
            "#define FUNC_TYPE_DECL_EXTERN_T(x) extern const char x[]\n",
        ),
        (
            "#define FUNC_TYPE_EXTERN_T(x) const char* const x\n",
            "#define FUNC_TYPE_EXTERN_T(x) const char x[]\n",
        ),
    ] {
        if made.matches(found).count() != 1 {
            bail!("wasm2c's header does not have what is replaced in it: {found}");
        }
        made = made.replace(found, wanted);
    }
    Ok(made)
}

struct Split<'a> {
    moved: Vec<&'a str>,
    rest: String,
    /// Declarations of functions for tables, which are in the rest and whose addresses functions take.
    declared: String,
}

/// Functions that other files may hold, and the rest of a generated file.
fn split(text: &str) -> Result<Split<'_>> {
    let mut moved = Vec::new();
    let (mut rest, mut declared) = (String::new(), String::new());
    let mut at = 0;
    while at < text.len() {
        let line_end = text[at..].find('\n').map_or(text.len(), |length| at + length + 1);
        let line = &text[at..line_end];
        let is_function = line.contains(" w2c_m_") && line.contains("(w2c_m* instance") && !line.starts_with("static ");
        let is_wrapper = line.starts_with("static ") && line.contains(" wrap_w2c_");
        if !(is_function || is_wrapper) || line.starts_with(' ') || line.ends_with(";\n") {
            rest.push_str(line);
            at = line_end;
            continue;
        }
        const UNKNOWN: &str = "a function in what wasm2c made has no end";
        let end = at + text[at..].find("\n}\n").context(UNKNOWN)? + "\n}\n".len();
        let function = &text[at..end];
        if is_function {
            moved.push(function);
        } else {
            let function = function.trim_start_matches("static ");
            rest.push_str(function);
            let (head, _) = function.split_once(" {\n").context(UNKNOWN)?;
            writeln!(declared, "{head};")?;
        }
        at = end;
    }
    Ok(Split { moved, rest, declared })
}

/// Says of each load whose result is dropped that it must be made: the compiler leaves out what changes nothing. The value
/// of a load lies in a variable of wasm2c's stack until the next line that names it, which writes it if it was dropped. What
/// may be the result of a block counts as read.
fn make_dropped_loads(function: &str) -> String {
    let mut lines: Vec<(&str, Option<&str>)> = Vec::new();
    // Variable -> the line of the load that is in it and was not read.
    let mut unread: HashMap<&str, usize> = HashMap::new();
    for line in function.split_inclusive('\n') {
        let words = line.trim_start();
        if words.contains("else {") || words.contains("goto ") {
            unread.clear();
        }
        let assignment = words.split_once(" = ");
        let assignment = assignment.filter(|(variable, _)| is_stack_variable(variable));
        for variable in stack_variables(assignment.map_or(line, |(_, value)| value)) {
            unread.remove(variable);
        }
        if let Some((variable, value)) = assignment {
            if let Some(dropped) = unread.remove(variable) {
                lines[dropped].1 = Some(variable);
            }
            let (called, _) = value.split_once('(').unwrap_or_default();
            if called.contains("load") && line.ends_with(";\n") {
                unread.insert(variable, lines.len());
            }
        }
        lines.push((line, None));
    }
    for (variable, dropped) in unread {
        lines[dropped].1 = Some(variable);
    }
    let mut made = String::with_capacity(function.len());
    for (line, dropped) in lines {
        made.push_str(line);
        if let Some(variable) = dropped {
            made.push_str(&format!("  PACK_MAKE({variable});\n"));
        }
    }
    made
}

/// Whether it is a name as `var_i0`: a letter for the type, and the height of the stack. `var_l0` and `var_p0` are locals.
fn is_stack_variable(name: &str) -> bool {
    let mut letters = name.strip_prefix("var_").unwrap_or_default().chars();
    let is_type = letters
        .next()
        .is_some_and(|letter| letter.is_ascii_lowercase() && !"lpgB".contains(letter));
    let height = letters.as_str();
    is_type && !height.is_empty() && height.bytes().all(|byte| byte.is_ascii_digit())
}

fn stack_variables(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| is_stack_variable(word))
}

/// Takes the bytes of data segments, which are written as numbers, out of a generated file: the assembler has them from a file.
fn embed(text: &str, segments: &[&[u8]]) -> Result<String> {
    const BEGIN: &str = "const u8 data_segment_data_w2c_m_d";
    let mut made = String::new();
    let mut embedded = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        let (before, after) = rest.split_at(begin);
        let form = || {
            let start: String = after.chars().take(80).collect();
            format!("wasm2c made a data segment of an unknown form: {start}")
        };
        let (number, numbers) = after[BEGIN.len()..].split_once("[] = {\n").with_context(form)?;
        let number: usize = number.parse().with_context(form)?;
        let (bytes, after) = numbers.split_once("};\n").with_context(form)?;
        let size_bytes = segments.get(number).with_context(form)?.len();
        if bytes.matches(',').count() != size_bytes || size_bytes == 0 {
            bail!(form());
        }
        let from: usize = segments[..number].iter().map(|segment| segment.len()).sum();
        let name = format!("data_segment_data_w2c_m_d{number}");
        writeln!(
            embedded,
            r#"        ".globl {name}\n.hidden {name}\n{name}:\n.incbin \"{SEGMENTS}\", {from}, {size_bytes}\n""#
        )?;
        made.push_str(before);
        rest = after;
    }
    made.push_str(rest);
    if !embedded.is_empty() {
        write!(
            made,
            "\n__asm__(\".pushsection .rodata.segments,\\\"a\\\"\\n\"\n{embedded}        \".popsection\\n\");\n"
        )?;
    }
    Ok(made)
}

/// Splits a row into so many ranges of about the same sum.
fn spread(sizes: &[usize], parts: usize) -> Vec<Range<usize>> {
    let total: usize = sizes.iter().sum::<usize>().max(1);
    let mut ends = vec![0; parts];
    let mut before = 0;
    for (position, size) in sizes.iter().enumerate() {
        // Where its middle lies decides.
        let part = (before + size / 2) * parts / total;
        ends[part.min(parts - 1)] = position + 1;
        before += size;
    }
    let mut ranges = Vec::new();
    let mut from = 0;
    for end in ends {
        let end = end.max(from);
        ranges.push(from..end);
        from = end;
    }
    ranges
}

/// The C function of an import, which hands it to the host by its number.
fn import_function(number: usize, import: &Import, header: &str) -> Result<String> {
    let declared = || {
        format!(
            "wasm2c declared {}.{} otherwise than is known",
            import.module, import.name
        )
    };
    let comment = format!("/* import: '{}' '{}' */\n", import.module, import.name);
    let (_, declaration) = header.split_once(&comment).with_context(declared)?;
    let (declaration, _) = declaration.split_once(");").with_context(declared)?;
    let (name, parameters) = declaration.split_once('(').with_context(declared)?;
    // Long ones are on several lines.
    let parameters = parameters.split_whitespace().collect::<Vec<_>>().join(" ");
    let of_module = parameters.split(", ").next().with_context(declared)?;
    let c_type = |letter: char| match letter {
        'i' => "u32",
        'I' => "u64",
        'f' => "f32",
        _ => "f64",
    };
    let letters = import.parameters.chars();
    let plain: String = letters.clone().map(|letter| format!(", {}", c_type(letter))).collect();
    let result = import.results.chars().next();
    if parameters != format!("{of_module}{plain}") || !name.starts_with(result.map_or("void ", c_type)) {
        bail!(declared());
    }
    let (mut given, mut bits) = (String::new(), Vec::new());
    for (at, letter) in letters.enumerate() {
        write!(given, ", {} a{at}", c_type(letter))?;
        bits.push(match letter {
            'f' => format!("__builtin_bit_cast(uint32_t, a{at})"),
            'd' => format!("__builtin_bit_cast(uint64_t, a{at})"),
            _ => format!("a{at}"),
        });
    }
    if bits.is_empty() {
        bits.push("0".to_owned());
    }
    let bits = bits.join(", ");
    let call = format!("pack_call(module, {number}, arguments)");
    let body = match result {
        None => format!("{call};"),
        Some('i') => format!("return (u32){call};"),
        Some('I') => format!("return {call};"),
        Some('f') => format!("return __builtin_bit_cast(float, (uint32_t){call});"),
        Some(_) => format!("return __builtin_bit_cast(double, {call});"),
    };
    Ok(format!(
        "\n{name}({of_module} module{given})\n{{\n    const uint64_t arguments[] = {{{bits}}};\n    {body}\n}}\n"
    ))
}

/// The C file of calls of the host and of the table `afmpeg_pack`.
fn table(interface: &Interface, header: &str, module_sha256: &str) -> Result<String> {
    let mut text = format!("#include \"{HEADER}\"\n#include \"state.h\"\n");
    let mut rows = String::new();
    for (number, import) in interface.imports.iter().enumerate() {
        text += &import_function(number, import, header)?;
        writeln!(
            rows,
            "    {{\"{}\", \"{}\", {{\"{}\", \"{}\"}}}},",
            import.module, import.name, import.parameters, import.results
        )?;
    }
    if rows.is_empty() {
        rows.push_str("    {0},\n");
    }
    // Each module that is imported from has its state; all of them have that of the module itself.
    let (_, instantiate) = header
        .split_once("void wasm2c_m_instantiate(")
        .context("wasm2c declared no wasm2c_m_instantiate")?;
    let states = instantiate
        .split_once(')')
        .map_or(0, |(states, _)| states.matches(',').count());
    let states = ", module".repeat(states);
    let sha256: Vec<String> = module_sha256
        .as_bytes()
        .chunks(2)
        .map(|pair| format!("0x{}", String::from_utf8_lossy(pair)))
        .collect();
    write!(
        text,
        "
void pack_main(void *module)
{{
    wasm2c_m_instantiate(module{states});
    w2c_m_0x5Fstart(module);
}}

static const struct afmpeg_pack_import imports[] = {{
{rows}}};

extern const uint8_t __start_afmpeg_code[], __stop_afmpeg_code[];

__attribute__((visibility(\"default\"))) const struct afmpeg_pack afmpeg_pack = {{
    .abi = AFMPEG_PACK_ABI,
    .size_bytes = sizeof(struct afmpeg_pack),
    .machine = AFMPEG_MACHINE,
    .module_sha256 = {{{}}},
    .memory_pages = {},
    .memory_max_pages = {},
    .instance_size_bytes = sizeof(struct pack_state) + sizeof(w2c_m),
    .imports = imports,
    .imports_count = {},
    .code_begin = __start_afmpeg_code,
    .code_end = __stop_afmpeg_code,
    .run = pack_run,
    .release = pack_release,
    .leave = pack_leave,
    .pages = pack_pages,
}};
",
        sha256.join(", "),
        interface.memory_pages,
        interface.memory_max_pages,
        interface.imports.len(),
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        check(&wat::parse_str(text).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_module_that_no_pack_can_be_made_of_is_refused_with_every_reason() {
        let text = refusal(
            r#"(module
                (import "env" "memory" (memory 1)) (import "env" "t" (table 1 funcref)) (import "env" "g" (global i32))
                (import "a b" "c" (func)) (import "a" "v" (func (param v128))) (import "a" "two" (func (result i32 i32)))
                (import "a" "same" (func)) (import "a" "same" (func (param i32))))"#,
        );
        for part in [
            "the memory env.memory",
            "the table env.t",
            "the global env.g",
            "a b.c, whose name",
            "a.v, which takes",
            "a.two, which has several results",
            "a.same with two types",
            "no function _start",
            "no memory of the name memory",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for (text, part) in [
            ("(module (memory i64 1))", "memory64"),
            ("(module (memory 1) (memory 1))", "memories"),
            ("(module (memory 1 1 shared))", "threads"),
            ("(module (func $f return_call $f))", "tail calls"),
            (
                "(module (func (param v128) (drop (i32x4.relaxed_trunc_f32x4_s (local.get 0)))))",
                "relaxed SIMD",
            ),
        ] {
            let refused = refusal(text);
            assert!(
                refused.contains("more of an engine") && refused.contains(part),
                "{refused}"
            );
        }
        assert!(
            check(b"\x7fELF")
                .unwrap_err()
                .to_string()
                .contains("no WebAssembly module")
        );
    }

    #[test]
    fn loads_that_are_dropped_are_made() {
        let function = "\
void w2c_m_f0(w2c_m* instance, u32 var_p0) {
  var_i0 = var_p0;
  var_i0 = i32_load_default32(base, size, &instance->w2c_memory, (u64)(var_i0));
  var_i0 = var_p0;
  var_j1 = i64_load_default32(base, size, &instance->w2c_memory, (u64)(var_i0));
  var_j1 = 1ull;
  var_i0 = i32_load_default32(base, size, &instance->w2c_memory, (u64)(var_i0) + 4u);
  if (var_i0) {
    var_i0 = i32_load_default32(base, size, &instance->w2c_memory, 4u);
  } else {
    var_i0 = 0u;
  }
  var_o0 = v128_load_default32(base, size, &instance->w2c_memory, 16u);
}
";
        let mut wanted: Vec<&str> = function.lines().collect();
        for (after, line) in [
            (12, "  PACK_MAKE(var_o0);"),
            (4, "  PACK_MAKE(var_j1);"),
            (2, "  PACK_MAKE(var_i0);"),
        ] {
            wanted.insert(after + 1, line);
        }
        assert_eq!(make_dropped_loads(function).lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn functions_are_spread_by_size_and_keep_their_order() {
        assert_eq!(spread(&[1, 1, 1, 1, 8, 1, 1, 1, 1], 2), [0..4, 4..9]);
        assert_eq!(spread(&[100, 1, 1], 3), [0..0, 0..1, 1..3]);
        assert_eq!(spread(&[], 3), [0..0, 0..0, 0..0]);
        for parts in 1..20 {
            let sizes: Vec<usize> = (0..500).map(|number| number * number % 97 + 1).collect();
            let ranges = spread(&sizes, parts);
            let all: Vec<usize> = ranges.iter().cloned().flatten().collect();
            assert_eq!(all, (0..500).collect::<Vec<_>>());
            let size = |range: &Range<usize>| sizes[range.clone()].iter().sum::<usize>();
            let most = sizes.iter().sum::<usize>().div_ceil(parts) + 97;
            assert!(ranges.iter().all(|range| size(range) <= most), "{parts}");
        }
    }
}
