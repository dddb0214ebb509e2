//! Which bytes of an optimised module came from which object, by the linker's map and the names of functions.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, bail};
use wasmparser::{DataKind, KnownCustom, Name, Operator, Parser, Payload};

/// A module in pieces.
#[derive(Debug)]
pub struct Share<'a> {
    module: &'a [u8],
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

impl Share<'_> {
    /// The bytes of the module without its names and without some pieces: nothing that runs.
    pub fn without(&self, pieces: &[usize]) -> Vec<u8> {
        let mut rest = Vec::with_capacity(self.module.len());
        let mut from = 0;
        for &index in pieces {
            let piece = &self.pieces[index];
            rest.extend_from_slice(&self.module[from..piece.offset]);
            from = piece.offset + piece.bytes.len();
        }
        rest.extend_from_slice(&self.module[from..]);
        rest
    }
}

/// A line of the map for a section of an input file.
struct Entry<'a> {
    file: &'a str,
    name: &'a str,
    address: Option<u64>,
    size_bytes: usize,
}

fn entries(map: &str) -> (Vec<Entry<'_>>, Vec<Entry<'_>>) {
    let (mut code, mut data) = (Vec::new(), Vec::new());
    let mut section = "";
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
        match section {
            "CODE" => code.push(entry),
            _ if entry.address.is_some() => data.push(entry),
            _ => {}
        }
    }
    (code, data)
}

/// The pieces of an optimised module with names, by the map of the link that it was made from.
pub fn of<'a>(module: &'a [u8], map: &str) -> Result<Share<'a>> {
    let (code, data) = entries(map);
    let (mut bodies, mut segments, mut names) = (Vec::new(), Vec::new(), HashMap::new());
    let (mut import_count, mut end) = (0, module.len());
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    import_count += u32::from(matches!(import?.ty, wasmparser::TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body.range()),
            Payload::DataSection(section) => {
                // What follows is names.
                end = section.range().end;
                for segment in section {
                    let segment = segment?;
                    let DataKind::Active { offset_expr, .. } = segment.kind else {
                        continue;
                    };
                    if let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? {
                        let start = segment.range.end - segment.data.len();
                        segments.push((u64::from(value as u32), start, segment.data.len()));
                    }
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(reader) = section.as_known() {
                    for subsection in reader {
                        if let Name::Function(functions) = subsection? {
                            for naming in functions {
                                let naming = naming?;
                                names.insert(naming.index, unescaped(naming.name));
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    let module = &module[..end];
    // wasm-opt makes names that are there twice differ by the index of the function.
    let mut files: HashMap<String, &str> = HashMap::new();
    for (entry, index) in code.iter().zip(import_count..) {
        let name = match files.contains_key(entry.name) {
            true => format!("{}_{index}", entry.name),
            false => entry.name.to_owned(),
        };
        files.insert(name, entry.file);
    }
    let mut pieces = Vec::new();
    for (range, index) in bodies.into_iter().zip(import_count..) {
        if let Some(file) = names.get(&index).and_then(|name| files.get(name)) {
            pieces.push(Piece {
                file: (*file).to_owned(),
                offset: range.start,
                bytes: &module[range],
            });
        }
    }
    let named: HashSet<&str> = pieces.iter().map(|piece| piece.file.as_str()).collect();
    if named.len() < 2 {
        bail!("the linker's map and the module's names have nothing in common");
    }
    add_data(module, &data, &segments, &mut pieces);
    pieces.sort_by_key(|piece| piece.offset);
    Ok(Share { module, pieces })
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
       -      208        4         guest/main.o:(run(int))
     400      300       10 .rodata
     400      300        8         libx.a(one.o):(.rodata.table)
     408      308        8         liby.a(two.o):(.rodata.table)
";

    /// Two functions of one name, which wasm-opt tells apart, one that the map does not know, and data that ends early.
    fn module() -> Vec<u8> {
        let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
        types.ty().function([], []);
        let mut names = NameMap::new();
        for (index, name) in ["init", "init_1", "run\\28int\\29", "made by wasm-opt"]
            .into_iter()
            .enumerate()
        {
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
        let module = module();
        let share = of(&module, MAP).unwrap();
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
        let whole = share.without(&[]).len();
        assert_eq!(share.without(&[0, 3]).len(), whole - 13);
        assert!(share.without(&[3]).ends_with(b"yyyy"));
        assert!(of(&module, "no map").is_err());
    }
}
