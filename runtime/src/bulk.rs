//! Cuts the bulk operations of a module into pieces, before it is compiled.
//!
//! The engine runs `memory.fill` and similar operations, of up to gigabytes, as one call of its own. A program that
//! loops over such calls is hardly ever found in its own code, where it can be stopped. So operations of more than a
//! few KiB are replaced by calls of functions that are added here: they work in pieces, and ask every so many bytes
//! whether the job must end. Smaller operations stay where they are, behind a comparison, or without one if the size is
//! a small constant.

use crate::engine::CHECK;
use std::collections::BTreeMap;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, EntityType, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    Instruction, Module, NameMap, NameSection, RefType, SectionId, TypeSection, ValType,
};
use wasmparser::{CompositeInnerType, ExternalKind, Operator, Parser, Payload, TypeRef};

/// This file's text, as a part of the name under which compiled code is kept.
pub(crate) const SOURCE: &str = include_str!("bulk.rs");

/// Operations up to this size stay inline. For larger ones the cost of a call is small beside their own.
const INLINE_MAX_BYTES: i32 = 4 << 10;
const INLINE_MAX_ENTRIES: i32 = 256;

/// The engine takes some tens of microseconds for a piece of this size.
const PIECE_BYTES: i32 = 256 << 10;
const PIECE_ENTRIES: i32 = 16 << 10;

/// The number of bytes, over any number of operations, after which the program asks whether the job must end.
const CHECK_INTERVAL_BYTES: i32 = 1 << 20;
/// The cost of a table entry, in bytes of memory that take as long.
const ENTRY_BYTES: i32 = 64;

const PAGE_SHIFT: i64 = 16;

type Result<T> = std::result::Result<T, Error<Infallible>>;

/// An operation as it stands in a module; each kind in use gets a function of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bulk {
    MemoryFill,
    MemoryCopy,
    MemoryInit { data: u32 },
    TableFill { table: u32 },
    TableCopy { to: u32, from: u32 },
    TableInit { table: u32, element: u32 },
}

impl Bulk {
    fn of(operator: &Operator) -> Option<Bulk> {
        Some(match *operator {
            Operator::MemoryFill { .. } => Bulk::MemoryFill,
            Operator::MemoryCopy { .. } => Bulk::MemoryCopy,
            Operator::MemoryInit { data_index, .. } => Bulk::MemoryInit { data: data_index },
            Operator::TableFill { table } => Bulk::TableFill { table },
            Operator::TableCopy { dst_table, src_table } => Bulk::TableCopy {
                to: dst_table,
                from: src_table,
            },
            Operator::TableInit { elem_index, table } => Bulk::TableInit {
                table,
                element: elem_index,
            },
            _ => return None,
        })
    }

    const NAMES: [&str; 6] = [
        "memory.fill",
        "memory.copy",
        "memory.init",
        "table.fill",
        "table.copy",
        "table.init",
    ];

    fn name(self) -> &'static str {
        let [
            memory_fill,
            memory_copy,
            memory_init,
            table_fill,
            table_copy,
            table_init,
        ] = Bulk::NAMES;
        match self {
            Bulk::MemoryFill => memory_fill,
            Bulk::MemoryCopy => memory_copy,
            Bulk::MemoryInit { .. } => memory_init,
            Bulk::TableFill { .. } => table_fill,
            Bulk::TableCopy { .. } => table_copy,
            Bulk::TableInit { .. } => table_init,
        }
    }

    fn instruction(self) -> Instruction<'static> {
        match self {
            Bulk::MemoryFill => Instruction::MemoryFill(0),
            Bulk::MemoryCopy => Instruction::MemoryCopy { src_mem: 0, dst_mem: 0 },
            Bulk::MemoryInit { data } => Instruction::MemoryInit {
                mem: 0,
                data_index: data,
            },
            Bulk::TableFill { table } => Instruction::TableFill(table),
            Bulk::TableCopy { to, from } => Instruction::TableCopy {
                src_table: from,
                dst_table: to,
            },
            Bulk::TableInit { table, element } => Instruction::TableInit {
                elem_index: element,
                table,
            },
        }
    }

    fn is_of_memory(self) -> bool {
        matches!(self, Bulk::MemoryFill | Bulk::MemoryCopy | Bulk::MemoryInit { .. })
    }

    fn is_copy(self) -> bool {
        matches!(self, Bulk::MemoryCopy | Bulk::TableCopy { .. })
    }

    fn is_fill(self) -> bool {
        matches!(self, Bulk::MemoryFill | Bulk::TableFill { .. })
    }

    /// The bytes or entries that one piece has.
    fn piece(self) -> i32 {
        if self.is_of_memory() {
            PIECE_BYTES
        } else {
            PIECE_ENTRIES
        }
    }

    /// The cost of each of them, in bytes.
    fn unit_bytes(self) -> i32 {
        if self.is_of_memory() { 1 } else { ENTRY_BYTES }
    }

    fn inline_max(self) -> i32 {
        if self.is_of_memory() {
            INLINE_MAX_BYTES
        } else {
            INLINE_MAX_ENTRIES
        }
    }

    /// Pushes the size of the memory or table, as an i64, which an operation must not exceed.
    fn push_size(self, function: &mut Function, of_source: bool) {
        match self {
            Bulk::MemoryFill | Bulk::MemoryCopy | Bulk::MemoryInit { .. } => {
                function
                    .instruction(&Instruction::MemorySize(0))
                    .instruction(&Instruction::I64ExtendI32U)
                    .instruction(&Instruction::I64Const(PAGE_SHIFT))
                    .instruction(&Instruction::I64Shl);
            }
            Bulk::TableFill { table } | Bulk::TableInit { table, .. } => {
                function
                    .instruction(&Instruction::TableSize(table))
                    .instruction(&Instruction::I64ExtendI32U);
            }
            Bulk::TableCopy { to, from } => {
                let table = if of_source { from } else { to };
                function
                    .instruction(&Instruction::TableSize(table))
                    .instruction(&Instruction::I64ExtendI32U);
            }
        }
    }
}

/// The facts about a module that are needed to rewrite it.
#[derive(Default)]
struct Census {
    types: u32,
    /// The number of parameters of each type that is a function's.
    parameter_counts: Vec<u32>,
    functions_imported: u32,
    /// The types of the functions that are not imported.
    function_types: Vec<u32>,
    globals: u32,
    tables: Vec<RefType>,
    has_imports: bool,
    has_globals: bool,
    /// The bulk operations in use, each with the index of its function among the added ones.
    bulk: BTreeMap<Bulk, u32>,
}

impl Census {
    fn of(wasm: &[u8]) -> Result<Census> {
        let mut census = Census::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        for ty in group?.into_types() {
                            census.types += 1;
                            census.parameter_counts.push(match &ty.composite_type.inner {
                                CompositeInnerType::Func(function) => function.params().len() as u32,
                                _ => 0,
                            });
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    census.has_imports = true;
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Func(_) | TypeRef::FuncExact(_) => census.functions_imported += 1,
                            TypeRef::Global(_) => census.globals += 1,
                            TypeRef::Table(table) => census.add_table(table.element_type)?,
                            TypeRef::Memory(_) | TypeRef::Tag(_) => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    census.function_types = section.into_iter().collect::<std::result::Result<_, _>>()?;
                }
                Payload::TableSection(section) => {
                    for table in section {
                        census.add_table(table?.ty.element_type)?;
                    }
                }
                Payload::GlobalSection(section) => {
                    census.has_globals = true;
                    census.globals += section.count();
                }
                Payload::CodeSectionEntry(body) => {
                    let mut operators = body.get_operators_reader()?;
                    let mut before = None;
                    while !operators.eof() {
                        let operator = operators.read()?;
                        if let Some(bulk) = Bulk::of(&operator)
                            && !is_small(bulk, before.as_ref())
                        {
                            census.bulk.entry(bulk).or_default();
                        }
                        before = Some(operator);
                    }
                }
                _ => {}
            }
        }
        for (number, index) in census.bulk.values_mut().zip(0..) {
            *number = index;
        }
        Ok(census)
    }

    fn add_table(&mut self, element: wasmparser::RefType) -> Result<()> {
        self.tables
            .push(wasm_encoder::reencode::RoundtripReencoder.ref_type(element)?);
        Ok(())
    }
}

/// Returns whether the size of an operation is a small constant, pushed by the operator before it.
fn is_small(bulk: Bulk, before: Option<&Operator>) -> bool {
    matches!(before, Some(Operator::I32Const { value }) if (0..=bulk.inline_max()).contains(value))
}

/// Returns the module with its bulk operations cut into pieces, or `None` if there is nothing to cut. The module must
/// be valid.
pub(crate) fn cut(wasm: &[u8]) -> Result<Option<Vec<u8>>> {
    let census = Census::of(wasm)?;
    if census.bulk.is_empty() {
        return Ok(None);
    }
    let mut module = Module::new();
    let mut cutter = Cutter {
        census,
        bodies: 0,
        globals_written: false,
        names_written: false,
    };
    cutter.parse_core_module(&mut module, Parser::new(0), wasm)?;
    if !cutter.names_written {
        let mut names = NameSection::new();
        let mut functions = NameMap::new();
        cutter.add_names(&mut functions);
        names.functions(&functions);
        module.section(&names);
    }
    Ok(Some(module.finish()))
}

/// Returns whether a function of this name, in a backtrace, was added here.
pub(crate) fn is_added(name: Option<&str>) -> bool {
    name.is_some_and(|name| Bulk::NAMES.contains(&name))
}

/// Returns the index that a function had before the module was rewritten.
pub(crate) fn original_index(module: &wasmtime::Module, index: u32) -> u32 {
    let functions = module.imports().filter(|import| import.ty().func().is_some());
    let check = functions
        .zip(0..)
        .find(|(import, _)| (import.module(), import.name()) == CHECK);
    match check {
        Some((_, check)) if index > check => index - 1,
        _ => index,
    }
}

struct Cutter {
    census: Census,
    /// The number of function bodies that have been written.
    bodies: usize,
    globals_written: bool,
    names_written: bool,
}

impl Cutter {
    /// The index of the added import. It follows the module's imported functions, so all other functions move by one.
    fn check(&self) -> u32 {
        self.census.functions_imported
    }

    fn function_for(&self, bulk: Bulk) -> u32 {
        let others = self.census.functions_imported + 1 + self.census.function_types.len() as u32;
        others + self.census.bulk[&bulk]
    }

    /// `check`'s type; those of the functions for operations follow, in their order.
    fn check_type(&self) -> u32 {
        self.census.types
    }

    fn type_for(&self, bulk: Bulk) -> u32 {
        self.census.types + 1 + self.census.bulk[&bulk]
    }

    /// The index of the global that counts the bytes left until the program asks.
    fn counter(&self) -> u32 {
        self.census.globals
    }

    fn add_counter(&mut self, globals: &mut GlobalSection) {
        let ty = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        globals.global(ty, &ConstExpr::i32_const(CHECK_INTERVAL_BYTES));
        self.globals_written = true;
    }

    fn add_names(&mut self, names: &mut NameMap) {
        for &bulk in self.census.bulk.keys() {
            names.append(self.function_for(bulk), bulk.name());
        }
        self.names_written = true;
    }

    fn import_check(&self, imports: &mut ImportSection) {
        imports.import(CHECK.0, CHECK.1, EntityType::Function(self.check_type()));
    }

    /// The parameters of an operation: a place, what to put there, and how much.
    fn parameters(&self, bulk: Bulk) -> [ValType; 3] {
        let what = match bulk {
            Bulk::TableFill { table } => ValType::Ref(self.census.tables[table as usize]),
            _ => ValType::I32,
        };
        [ValType::I32, what, ValType::I32]
    }

    /// A function that does the same as the operation, in pieces.
    fn body(&self, bulk: Bulk) -> Function {
        let mut function = Function::new([]);
        self.count(&mut function, bulk);
        check_bounds(&mut function, bulk);
        out(
            &mut function,
            &[
                Instruction::Loop(BlockType::Empty),
                Instruction::LocalGet(COUNT),
                Instruction::I32Const(bulk.piece()),
                Instruction::I32LeU,
                Instruction::If(BlockType::Empty),
            ],
        );
        whole(&mut function, bulk);
        out(
            &mut function,
            &[
                Instruction::Return,
                Instruction::End,
                Instruction::LocalGet(COUNT),
                Instruction::I32Const(bulk.piece()),
                Instruction::I32Sub,
                Instruction::LocalSet(COUNT),
            ],
        );
        if bulk.is_copy() {
            self.last_piece_if_up(&mut function, bulk);
        }
        first_piece(&mut function, bulk);
        out(
            &mut function,
            &[
                Instruction::Call(self.check()),
                Instruction::Br(0),
                Instruction::End,
                Instruction::End,
            ],
        );
        function
    }

    /// Counts the bytes of the whole operation, and asks whether the job must end when the interval is over.
    fn count(&self, function: &mut Function, bulk: Bulk) {
        let check = Instruction::Call(self.check());
        let counter = self.counter();
        // Sizes that would wrap when they are multiplied are over the bound without that.
        out(
            function,
            &[
                Instruction::LocalGet(COUNT),
                Instruction::I32Const(bulk.piece()),
                Instruction::I32GtU,
                Instruction::If(BlockType::Empty),
                check.clone(),
                Instruction::Else,
                Instruction::GlobalGet(counter),
                Instruction::LocalGet(COUNT),
                Instruction::I32Const(bulk.unit_bytes()),
                Instruction::I32Mul,
                Instruction::I32Sub,
                Instruction::GlobalSet(counter),
                Instruction::GlobalGet(counter),
                Instruction::I32Const(0),
                Instruction::I32LtS,
                Instruction::If(BlockType::Empty),
                check,
                Instruction::I32Const(CHECK_INTERVAL_BYTES),
                Instruction::GlobalSet(counter),
                Instruction::End,
                Instruction::End,
            ],
        );
    }

    /// Copies the last piece and goes on with the loop, if the destination lies above the source.
    fn last_piece_if_up(&self, function: &mut Function, bulk: Bulk) {
        // The two places may overlap, and what is still to be read must not be written over.
        out(
            function,
            &[
                Instruction::LocalGet(PLACE),
                Instruction::LocalGet(WHAT),
                Instruction::I32GtU,
                Instruction::If(BlockType::Empty),
                Instruction::LocalGet(PLACE),
                Instruction::LocalGet(COUNT),
                Instruction::I32Add,
                Instruction::LocalGet(WHAT),
                Instruction::LocalGet(COUNT),
                Instruction::I32Add,
                Instruction::I32Const(bulk.piece()),
                bulk.instruction(),
                Instruction::Call(self.check()),
                Instruction::Br(1),
                Instruction::End,
            ],
        );
    }
}

/// The parameters of an added function, as locals.
const PLACE: u32 = 0;
const WHAT: u32 = 1;
const COUNT: u32 = 2;

fn out(function: &mut Function, instructions: &[Instruction]) {
    for instruction in instructions {
        function.instruction(instruction);
    }
}

/// The operation itself, on all that is left.
fn whole(function: &mut Function, bulk: Bulk) {
    out(
        function,
        &[
            Instruction::LocalGet(PLACE),
            Instruction::LocalGet(WHAT),
            Instruction::LocalGet(COUNT),
            bulk.instruction(),
        ],
    );
}

/// An operation out of bounds must change nothing, so the operation itself is left to trap.
fn check_bounds(function: &mut Function, bulk: Bulk) {
    let push_end = |function: &mut Function, start: u32| {
        out(
            function,
            &[
                Instruction::LocalGet(start),
                Instruction::I64ExtendI32U,
                Instruction::LocalGet(COUNT),
                Instruction::I64ExtendI32U,
                Instruction::I64Add,
            ],
        );
    };
    let whole_if_greater = |function: &mut Function| {
        out(function, &[Instruction::I64GtU, Instruction::If(BlockType::Empty)]);
        whole(function, bulk);
        out(function, &[Instruction::End]);
    };
    push_end(function, PLACE);
    bulk.push_size(function, false);
    whole_if_greater(function);
    if bulk.is_copy() {
        push_end(function, WHAT);
        bulk.push_size(function, true);
        whole_if_greater(function);
    } else if !bulk.is_fill() {
        push_end(function, WHAT);
        out(function, &[Instruction::I64Const(u32::MAX.into())]);
        whole_if_greater(function);
        // The length of a segment cannot be queried, as it may have been dropped; but copying nothing from behind its
        // end traps too.
        out(
            function,
            &[
                Instruction::LocalGet(PLACE),
                Instruction::LocalGet(WHAT),
                Instruction::LocalGet(COUNT),
                Instruction::I32Add,
                Instruction::I32Const(0),
                bulk.instruction(),
            ],
        );
    }
}

/// The first piece, and the step to the next.
fn first_piece(function: &mut Function, bulk: Bulk) {
    out(
        function,
        &[
            Instruction::LocalGet(PLACE),
            Instruction::LocalGet(WHAT),
            Instruction::I32Const(bulk.piece()),
            bulk.instruction(),
            Instruction::LocalGet(PLACE),
            Instruction::I32Const(bulk.piece()),
            Instruction::I32Add,
            Instruction::LocalSet(PLACE),
        ],
    );
    if !bulk.is_fill() {
        out(
            function,
            &[
                Instruction::LocalGet(WHAT),
                Instruction::I32Const(bulk.piece()),
                Instruction::I32Add,
                Instruction::LocalSet(WHAT),
            ],
        );
    }
}

impl Reencode for Cutter {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32> {
        Ok(function + u32::from(function >= self.census.functions_imported))
    }

    fn external_index(&mut self, kind: ExternalKind, index: u32) -> Result<u32> {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => self.function_index(index),
            _ => Ok(index),
        }
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<()> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([], []);
        for &bulk in self.census.bulk.keys() {
            types.ty().function(self.parameters(bulk), []);
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<()> {
        utils::parse_import_section(self, imports, section)?;
        self.import_check(imports);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<()> {
        utils::parse_function_section(self, functions, section)?;
        for &bulk in self.census.bulk.keys() {
            functions.function(self.type_for(bulk));
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<()> {
        utils::parse_global_section(self, globals, section)?;
        self.add_counter(globals);
        Ok(())
    }

    /// Adds the sections that the module has not got.
    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<()> {
        if after == Some(SectionId::Type) && !self.census.has_imports {
            let mut imports = ImportSection::new();
            self.import_check(&mut imports);
            module.section(&imports);
        }
        let follows_globals = matches!(
            before,
            Some(SectionId::Export | SectionId::Start | SectionId::Element | SectionId::DataCount | SectionId::Code)
        );
        if follows_globals && !self.census.has_globals && !self.globals_written {
            let mut globals = GlobalSection::new();
            self.add_counter(&mut globals);
            module.section(&globals);
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: wasmparser::CodeSectionReader<'_>) -> Result<()> {
        utils::parse_code_section(self, code, section)?;
        for &bulk in self.census.bulk.keys() {
            code.function(&self.body(bulk));
        }
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: wasmparser::FunctionBody<'_>) -> Result<()> {
        let ty = self.census.function_types.get(self.bodies).copied().unwrap_or_default();
        self.bodies += 1;
        let mut locals = Vec::new();
        let mut local_count = self
            .census
            .parameter_counts
            .get(ty as usize)
            .copied()
            .unwrap_or_default();
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            locals.push((count, self.val_type(ty)?));
            local_count += count;
        }
        let operators: Vec<_> = body
            .get_operators_reader()?
            .into_iter()
            .collect::<std::result::Result<_, _>>()?;
        let befores = std::iter::once(None).chain(operators.iter().map(Some));
        let to_cut: Vec<Option<Bulk>> = operators
            .iter()
            .zip(befores)
            .map(|(operator, before)| Bulk::of(operator).filter(|bulk| !is_small(*bulk, before)))
            .collect();
        if to_cut.iter().any(Option::is_some) {
            locals.push((1, ValType::I32));
        }
        let mut function = Function::new(locals);
        for (operator, to_cut) in operators.into_iter().zip(to_cut) {
            let Some(bulk) = to_cut else {
                function.instruction(&self.instruction(operator)?);
                continue;
            };
            for instruction in [
                Instruction::LocalTee(local_count),
                Instruction::LocalGet(local_count),
                Instruction::I32Const(bulk.inline_max()),
                Instruction::I32GtU,
                Instruction::If(BlockType::FunctionType(self.type_for(bulk))),
                Instruction::Call(self.function_for(bulk)),
                Instruction::Else,
                bulk.instruction(),
                Instruction::End,
            ] {
                function.instruction(&instruction);
            }
        }
        code.function(&function);
        Ok(())
    }

    fn parse_custom_name_subsection(&mut self, names: &mut NameSection, section: wasmparser::Name<'_>) -> Result<()> {
        let wasmparser::Name::Function(functions) = section else {
            return utils::parse_custom_name_subsection(self, names, section);
        };
        let mut functions = utils::name_map(functions, |function| self.function_index(function))?;
        self.add_names(&mut functions);
        names.functions(&functions);
        Ok(())
    }

    /// Names are kept; other custom sections mean nothing to the engine, or are no longer true.
    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<()> {
        match section.as_known() {
            wasmparser::KnownCustom::Name(_) => utils::parse_custom_section(self, module, section),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::{Engine, Instance, Linker, Store, Val};

    const MEMORY_PAGES: u32 = 16;
    const TABLE_ENTRIES: u32 = 60_000;

    /// A module of one function for each operation, without imports, globals and names, or with some of each.
    fn module(with_others: bool) -> Vec<u8> {
        let (imports, others) = match with_others {
            true => (
                r#"(import "env" "before" (func $before)) (import "env" "global" (global i32))"#,
                "(global $own (mut i32) (i32.const 7)) (start $begin)",
            ),
            false => ("", ""),
        };
        let call = if with_others { "(call $before)" } else { "" };
        let set = if with_others {
            "(global.set $own (i32.const 8))"
        } else {
            ""
        };
        let bytes: String = (0..700_000u32)
            .map(|index| char::from(b'a' + (u64::from(index).pow(2) % 26) as u8))
            .collect();
        let functions = format!("{} ", "$a $b $c").repeat(20_000);
        wat::parse_str(format!(
            r#"(module {imports}
                (memory (export "memory") {MEMORY_PAGES})
                (table $t (export "t") {TABLE_ENTRIES} funcref)
                (table $u (export "u") {TABLE_ENTRIES} funcref)
                {others}
                (data $bytes "{bytes}")
                (elem $functions func {functions})
                (func $begin {set})
                (func $a) (func $b (param i32)) (func $c (result i32) i32.const 3)
                (func (export "memory.fill") (param i32 i32 i32) {call}
                    (memory.fill (local.get 0) (local.get 1) (local.get 2)))
                (func (export "memory.copy") (param i32 i32 i32) (local i64)
                    (memory.copy (local.get 0) (local.get 1) (local.get 2)))
                (func (export "memory.init") (param i32 i32 i32)
                    (memory.init $bytes (local.get 0) (local.get 1) (local.get 2)))
                (func (export "table.fill") (param i32 i32 i32)
                    (table.fill $t (local.get 0) (ref.func $b) (local.get 2)))
                (func (export "table.copy") (param i32 i32 i32)
                    (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
                (func (export "between") (param i32 i32 i32)
                    (table.copy $t $u (local.get 0) (local.get 1) (local.get 2)))
                (func (export "table.init") (param i32 i32 i32)
                    (table.init $u $functions (local.get 0) (local.get 1) (local.get 2)))
                (func (export "known") (param i32 i32 i32)
                    (memory.fill (local.get 0) (local.get 1) (i32.const 100))
                    (memory.fill (local.get 0) (local.get 1) (i32.const 100000))))"#
        ))
        .unwrap()
    }

    struct Run {
        store: Store<u64>,
        instance: Instance,
    }

    impl Run {
        fn new(engine: &Engine, wasm: &[u8]) -> Run {
            let mut store = Store::new(engine, 0);
            let mut linker = Linker::new(engine);
            linker.func_wrap("env", "before", || {}).unwrap();
            let ty = wasmtime::GlobalType::new(wasmtime::ValType::I32, wasmtime::Mutability::Const);
            let global = wasmtime::Global::new(&mut store, ty, Val::I32(1)).unwrap();
            linker.define(&store, "env", "global", global).unwrap();
            let count = |mut caller: wasmtime::Caller<'_, u64>| *caller.data_mut() += 1;
            linker.func_wrap(CHECK.0, CHECK.1, count).unwrap();
            let module = wasmtime::Module::new(engine, wasm).unwrap();
            let instance = linker.instantiate(&mut store, &module).unwrap();
            Run { store, instance }
        }

        fn call(&mut self, name: &str, arguments: (u32, u32, u32)) -> std::result::Result<(), wasmtime::Trap> {
            let function = self
                .instance
                .get_typed_func::<(u32, u32, u32), ()>(&mut self.store, name)
                .unwrap();
            function
                .call(&mut self.store, arguments)
                .map_err(|error| *error.downcast_ref::<wasmtime::Trap>().unwrap())
        }

        fn memory(&mut self) -> &[u8] {
            self.instance
                .get_memory(&mut self.store, "memory")
                .unwrap()
                .data(&self.store)
        }

        /// For each entry the type of its function, as a number.
        fn table(&mut self, name: &str) -> Vec<u8> {
            let table = self.instance.get_table(&mut self.store, name).unwrap();
            (0..u64::from(TABLE_ENTRIES))
                .map(|index| match table.get(&mut self.store, index).unwrap().unwrap_func() {
                    None => 0,
                    Some(function) => {
                        let ty = function.ty(&self.store);
                        1 + ty.params().len() as u8 + 2 * ty.results().len() as u8
                    }
                })
                .collect()
        }
    }

    /// At boundary values, an operation that is cut into pieces gives the same bytes and entries, and the same traps
    /// without a change, as a whole one.
    #[test]
    fn pieces_do_what_the_whole_does() {
        let engine = Engine::default();
        for with_others in [false, true] {
            let wasm = module(with_others);
            let cut = cut(&wasm).unwrap().expect("there is something to cut");
            let (mut whole, mut pieces) = (Run::new(&engine, &wasm), Run::new(&engine, &cut));
            let end = MEMORY_PAGES << 16;
            let piece = PIECE_BYTES as u32;
            let sizes = [
                0,
                1,
                4096,
                4097,
                piece - 1,
                piece,
                piece + 1,
                2 * piece,
                3 * piece + 5,
                end,
                u32::MAX,
            ];
            let places = [0, 1, 5000, piece - 3, end - piece, end - 4096, end, u32::MAX - 1];
            let mut traps = 0;
            for name in ["memory.init", "memory.copy", "memory.fill", "known"] {
                for size in sizes {
                    for place in places {
                        for what in places {
                            let arguments = (place, what, size);
                            let result = whole.call(name, arguments);
                            assert_eq!(result, pieces.call(name, arguments), "{name} {arguments:?}");
                            traps += u32::from(result.is_err());
                        }
                    }
                    assert!(whole.memory() == pieces.memory(), "{name} of {size}");
                }
            }
            let piece = PIECE_ENTRIES as u32;
            let sizes = [0, 256, 257, piece, piece + 1, 3 * piece + 5, TABLE_ENTRIES, u32::MAX];
            let places = [0, 100, piece - 3, TABLE_ENTRIES - piece, TABLE_ENTRIES, u32::MAX];
            for name in [
                "table.init",
                "between",
                "table.fill",
                "table.copy",
                "between",
                "table.copy",
            ] {
                for size in sizes {
                    for place in places {
                        for what in places {
                            let arguments = (place, what, size);
                            let result = whole.call(name, arguments);
                            assert_eq!(result, pieces.call(name, arguments), "{name} {arguments:?}");
                            traps += u32::from(result.is_err());
                        }
                    }
                }
                for table in ["t", "u"] {
                    assert!(whole.table(table) == pieces.table(table), "{name}");
                }
            }
            assert!(traps > 100, "{traps} traps");
            let checks = *pieces.store.data();
            assert!(checks > 100, "{checks} checks");
        }
    }

    #[test]
    fn what_has_nothing_to_cut_stays() {
        let small = wat::parse_str(
            r#"(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 64)) (drop (i32.const 5))))"#,
        );
        assert!(cut(&small.unwrap()).unwrap().is_none());
    }
}
