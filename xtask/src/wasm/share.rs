//! Which bytes of an optimised module came from which object, by the linker's map and the names of functions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use anyhow::{Result, bail};
use wasmparser::{DataKind, KnownCustom, Name, Operator, Parser, Payload};

/// A module in pieces.
#[derive(Debug)]
pub struct Share<'a> {
    /// Without the names.
    pub module: &'a [u8],
    /// In the order of the module, without gaps of their own between them.
    pub pieces: Vec<Piece<'a>>,
}

/// A function or a piece of data.
#[derive(Debug)]
pub struct Piece<'a> {
    /// The object, `ARCHIVE(OBJECT)` where it is in an archive.
    pub file: String,
    pub bytes: &'a [u8],
    offset: usize,
}

/// A line of the map for a section of an input file.
struct Entry<'a> {
    file: &'a str,
    /// Its symbol's, as C++ has it, if there is one; otherwise the section's.
    name: &'a str,
    address: Option<u64>,
    size_bytes: usize,
}

fn entries(map: &str) -> (Vec<Entry<'_>>, Vec<Entry<'_>>) {
    let (mut code, mut data) = (Vec::new(), Vec::new());
    let mut section = "";
    // A function whose symbol, if it has one, is in the next line.
    let mut unnamed = None;
    for line in map.lines() {
        // ` Addr Off Size Out In Symbol`: what is in an output section begins in column 36, and a symbol's line further right.
        let (Some(numbers), Some(rest)) = (line.get(..27), line.get(27..)) else {
            continue;
        };
        if !rest.starts_with(' ') {
            section = rest;
            continue;
        }
        let Some(input) = rest.get(8..).filter(|input| !input.starts_with(' ')) else {
            if let Some(entry) = unnamed.take() {
                code.push(Entry {
                    name: rest.trim_start(),
                    ..entry
                });
            }
            continue;
        };
        let Some((file, name)) = input.strip_suffix(')').and_then(|input| input.split_once(":(")) else {
            continue;
        };
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        let number = |index: usize| numbers.get(index).and_then(|text| u64::from_str_radix(text, 16).ok());
        let entry = Entry {
            file,
            name,
            address: number(0),
            size_bytes: number(2).unwrap_or(0) as usize,
        };
        code.extend(unnamed.take());
        match section {
            "CODE" => unnamed = Some(entry),
            _ if entry.address.is_some() => data.push(entry),
            _ => {}
        }
    }
    code.extend(unnamed);
    (code, data)
}

/// What precedes the name of a function that may wait, once it is made able to.
const SUSPENDABLE: &str = "suspendable.";

/// The pieces of an optimised module with names, by the map of the link and by the module that the optimiser read.
pub fn of<'a>(module: &'a [u8], read: &[u8], map: &str) -> Result<Share<'a>> {
    let (code, data) = entries(map);
    let parts = Parts::of(module)?;
    let module = &module[..parts.end];
    let mut files: HashMap<&str, Vec<&str>> = HashMap::new();
    for entry in &code {
        files.entry(entry.name).or_default().push(entry.file);
    }
    // The optimiser makes names that are there twice differ by the index of the function.
    let mut ordinals: HashMap<(String, u32), usize> = HashMap::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    let read = Parts::of(read)?;
    for (index, name) in read.names.into_iter().collect::<BTreeMap<_, _>>() {
        let count = counts.entry(name.clone()).or_default();
        ordinals.insert((name, index), *count);
        *count += 1;
    }
    let file = |name: &str| -> Option<&str> {
        let name = match name.strip_prefix(SUSPENDABLE).and_then(|rest| rest.split_once('.')) {
            Some((_, name)) => name,
            None => name,
        };
        if let Some(files) = files.get(name) {
            return files.first().copied();
        }
        let (name, index) = name.rsplit_once('_')?;
        let ordinal = ordinals.get(&(name.to_owned(), index.parse().ok()?))?;
        files.get(name)?.get(*ordinal).copied()
    };
    let mut pieces = Vec::new();
    for (range, index) in parts.bodies.into_iter().zip(parts.import_count..) {
        if let Some(file) = parts.names.get(&index).and_then(|name| file(name)) {
            pieces.push(Piece {
                file: file.to_owned(),
                offset: range.start,
                bytes: &module[range],
            });
        }
    }
    let named: HashSet<&str> = pieces.iter().map(|piece| piece.file.as_str()).collect();
    if named.len() < 2 {
        bail!("the linker's map and the module's names have nothing in common");
    }
    add_data(module, &data, &parts.segments, &mut pieces);
    pieces.sort_by_key(|piece| piece.offset);
    Ok(Share { module, pieces })
}

/// What is looked for in a module.
#[derive(Default)]
struct Parts {
    import_count: u32,
    bodies: Vec<Range<usize>>,
    /// Of functions, by their index.
    names: HashMap<u32, String>,
    /// The address of data, where it is in the file, and its size.
    segments: Vec<(u64, usize, usize)>,
    /// Where all but names ends.
    end: usize,
}

impl Parts {
    fn of(module: &[u8]) -> Result<Parts> {
        let mut parts = Parts {
            end: module.len(),
            ..Parts::default()
        };
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        parts.import_count += u32::from(matches!(import?.ty, wasmparser::TypeRef::Func(_)));
                    }
                }
                Payload::CodeSectionEntry(body) => parts.bodies.push(body.range()),
                Payload::DataSection(section) => {
                    parts.end = section.range().end;
                    for segment in section {
                        let segment = segment?;
                        let DataKind::Active { offset_expr, .. } = segment.kind else {
                            continue;
                        };
                        if let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? {
                            let start = segment.range.end - segment.data.len();
                            let address = u64::from(value as u32);
                            parts.segments.push((address, start, segment.data.len()));
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(reader) = section.as_known() {
                        for subsection in reader {
                            if let Name::Function(functions) = subsection? {
                                for naming in functions {
                                    let naming = naming?;
                                    parts.names.insert(naming.index, unescaped(naming.name));
                                }
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(parts)
    }
}

/// wasm-opt writes characters of C++ names as `\` and two digits.
fn unescaped(name: &str) -> String {
    let mut parts = name.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => text += &format!("{}{}", char::from(code), &part[2..]),
            None => text += &format!("\\{part}"),
        }
    }
    text
}

/// Data by its address, as far as the module holds it: wasm-opt leaves out what is zero.
fn add_data<'a>(module: &'a [u8], entries: &[Entry], segments: &[(u64, usize, usize)], pieces: &mut Vec<Piece<'a>>) {
    for entry in entries {
        let Some(address) = entry.address else { continue };
        let end = address + entry.size_bytes as u64;
        for &(base, start, length) in segments {
            let (from, to) = (address.max(base), end.min(base + length as u64));
            if from < to {
                let offset = start + (from - base) as usize;
                pieces.push(Piece {
                    file: entry.file.to_owned(),
                    offset,
                    bytes: &module[offset..offset + (to - from) as usize],
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, ConstExpr, DataSection, Function, FunctionSection, MemorySection, MemoryType, Module, NameMap,
        NameSection, TypeSection,
    };

    use super::*;

    const MAP: &str = "\
    Addr      Off     Size Out     In      Symbol
       -      10a      456 CODE
       -      200        4         libx.a(one.o):(init)
       -      200        4                 init
       -      204        4         liby.a(two.o):(init)
       -      208        4         guest/main.o:(_Z3runi)
       -      208        4                 run(int)
     400      300       10 .rodata
     400      300        8         libx.a(one.o):(.rodata.table)
     408      308        8         liby.a(two.o):(.rodata.table)
";

    /// Data ends early.
    fn module(function_names: &[&str]) -> Vec<u8> {
        let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
        types.ty().function([], []);
        let mut names = NameMap::new();
        for (index, name) in function_names.iter().enumerate() {
            functions.function(0);
            let mut body = Function::new([]);
            body.instructions().i32_const(index as i32).drop().end();
            code.function(&body);
            names.append(index as u32, name);
        }
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut data = DataSection::new();
        data.active(0, &ConstExpr::i32_const(0x400), *b"xxxxxxxxyyyy");
        let mut naming = NameSection::new();
        naming.functions(&names);
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&memories);
        module.section(&code).section(&data).section(&naming);
        module.finish()
    }

    #[test]
    fn each_piece_is_of_the_object_that_it_came_from() {
        let read = module(&["init", "new", "init", "run(int)"]);
        let module = module(&["init", "init_2", "suspendable.7.run\\28int\\29", "made by wasm-opt"]);
        let share = of(&module, &read, MAP).unwrap();
        let pieces = share
            .pieces
            .iter()
            .map(|piece| (piece.file.as_str(), piece.bytes.len()));
        let wanted = [
            ("libx.a(one.o)", 5),
            ("liby.a(two.o)", 5),
            ("guest/main.o", 5),
            ("libx.a(one.o)", 8),
            ("liby.a(two.o)", 4),
        ];
        assert_eq!(pieces.collect::<Vec<_>>(), wanted);
        assert!(module.starts_with(share.module) && share.module.ends_with(b"yyyy"));
        assert!(of(&module, &read, "no map").is_err());
    }
}
