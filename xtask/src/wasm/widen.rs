//! Makes 64 bits wide what an engine passes in memory.
//!
//! On x86-64, Cranelift has registers for four integer arguments of a function. It stores a further one with its own 32 bits,
//! and the callee loads 64. No processor forwards a store to a load that is wider, so the load waits until the store has
//! reached the cache, at every call. An i64 is loaded as it was stored. Codecs are full of functions with five arguments and
//! more, most of them called through pointers.
//!
//! So each i32 after the fourth integer becomes an i64: callers extend it, the callee wraps it, and neither needs an
//! instruction of the machine. Types change for all functions alike, but for imported ones, and so do calls through pointers.

use std::collections::HashMap;
use std::iter;

use anyhow::{Result, bail};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{Function, Instruction, ValType};
use wasmparser::{ElementItems, ExternalKind, FunctionBody, Operator};

use serde::Serialize;

use crate::wasm::module::{self, Module};
use crate::wasm::{Pass, Work};

pub const NAME: &str = "widen";

#[derive(Debug, Serialize)]
pub struct Widen {
    pub module: String,
    pub to: String,
}

impl Pass for Widen {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, work: &Work) -> Result<()> {
        let data = work.read(&self.module)?;
        work.write(&self.to, &widen(&Module::parse(&data)?)?)
    }
}

const INTEGERS_IN_REGISTERS: usize = 4;

/// A type that has arguments to widen.
struct Wide {
    ty: u32,
    /// What it was.
    parameters: Vec<ValType>,
    /// Which parameters become wider.
    positions: Vec<usize>,
}

/// The module with wide arguments.
pub fn widen(module: &Module) -> Result<Vec<u8>> {
    let mut new = module.edit();
    let mut types: HashMap<u32, Wide> = HashMap::new();
    let mut local_types = HashMap::new();
    for (_, function) in module.bodies.iter().zip(module.first_local()..) {
        local_types.insert(function, module.type_of(function)?);
    }
    let mut all: Vec<u32> = local_types.values().copied().collect();
    all.sort_unstable();
    all.dedup();
    for ty in all {
        let (parameters, results) = module::encoded(module.signature(ty)?)?;
        let positions = in_memory(&parameters);
        if positions.is_empty() {
            continue;
        }
        let mut wide = parameters.clone();
        for &position in &positions {
            wide[position] = ValType::I64;
        }
        let ty_wide = new.add_type(wide, results);
        types.insert(
            ty,
            Wide {
                ty: ty_wide,
                parameters,
                positions,
            },
        );
    }
    check_what_is_seen_outside(module, &types)?;

    for (body, function) in module.bodies.iter().zip(module.first_local()..) {
        let ty = local_types[&function];
        if let Some(wide) = types.get(&ty) {
            new.replace_type(function, wide.ty);
        }
        let parameter_count = module.signature(ty)?.params().len() as u32;
        if let Some(body) = rewrite(body, parameter_count, types.get(&ty), &types, &local_types)? {
            new.replace_body(function, body);
        }
    }
    new.finish()
}

/// Which of a function's parameters are 32-bit integers that find no register.
fn in_memory(parameters: &[ValType]) -> Vec<usize> {
    let is_integer = |ty: ValType| !matches!(ty, ValType::F32 | ValType::F64 | ValType::V128);
    let integers = parameters.iter().enumerate().filter(|&(_, &ty)| is_integer(ty));
    let further = integers.skip(INTEGERS_IN_REGISTERS);
    further
        .filter(|&(_, &ty)| ty == ValType::I32)
        .map(|(position, _)| position)
        .collect()
}

/// An export is called, and an import is reached through a pointer, with the type that the other side knows.
fn check_what_is_seen_outside(module: &Module, types: &HashMap<u32, Wide>) -> Result<()> {
    for export in module.exports.iter().filter(|export| export.kind == ExternalKind::Func) {
        if types.contains_key(&module.type_of(export.index)?) {
            bail!(
                "the module exports {} with arguments that would become wider",
                export.name
            );
        }
    }
    for element in &module.elements {
        let ElementItems::Functions(functions) = &element.items else {
            bail!("the module has a table segment of expressions");
        };
        for function in functions.clone() {
            let function = function?;
            if function < module.first_local() && types.contains_key(&module.type_of(function)?) {
                bail!(
                    "the address of the imported function {} is taken, whose arguments would become wider",
                    module.name(function)
                );
            }
        }
    }
    Ok(())
}

/// The body, if its own arguments or those of a call in it are wider now.
fn rewrite(
    body: &FunctionBody,
    parameter_count: u32,
    own: Option<&Wide>,
    types: &HashMap<u32, Wide>,
    local_types: &HashMap<u32, u32>,
) -> Result<Option<Function>> {
    let mut groups = Vec::new();
    for group in body.get_locals_reader()? {
        let (count, ty) = group?;
        groups.push((count, RoundtripReencoder.val_type(ty)?));
    }
    let mut locals = Locals {
        count: parameter_count + groups.iter().map(|(count, _)| count).sum::<u32>(),
        groups,
        temporaries: HashMap::new(),
    };
    // Each wide argument gets a local of the type that the body knows.
    let mut narrow = HashMap::new();
    let mut instructions = Vec::new();
    for &position in own.iter().flat_map(|wide| &wide.positions) {
        let local = locals.add(ValType::I32);
        narrow.insert(position as u32, local);
        instructions.extend([
            Instruction::LocalGet(position as u32),
            Instruction::I32WrapI64,
            Instruction::LocalSet(local),
        ]);
    }
    let local = |index: u32| *narrow.get(&index).unwrap_or(&index);

    let mut is_changed = own.is_some();
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::LocalGet { local_index } => instructions.push(Instruction::LocalGet(local(local_index))),
            Operator::LocalSet { local_index } => instructions.push(Instruction::LocalSet(local(local_index))),
            Operator::LocalTee { local_index } => instructions.push(Instruction::LocalTee(local(local_index))),
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => bail!("the module has tail calls"),
            operator => {
                let Some((wide, table_index)) = callee(&operator, types, local_types) else {
                    instructions.push(RoundtripReencoder.instruction(operator)?);
                    continue;
                };
                is_changed = true;
                extend(wide, table_index.is_some(), &mut locals, &mut instructions);
                instructions.push(match table_index {
                    Some(table_index) => Instruction::CallIndirect {
                        type_index: wide.ty,
                        table_index,
                    },
                    None => RoundtripReencoder.instruction(operator)?,
                });
            }
        }
    }
    if !is_changed {
        return Ok(None);
    }
    let mut function = Function::new(locals.groups);
    for instruction in &instructions {
        function.instruction(instruction);
    }
    Ok(Some(function))
}

/// The wide type that is called here, and the table of a call through a pointer.
fn callee<'a>(
    operator: &Operator,
    types: &'a HashMap<u32, Wide>,
    local_types: &HashMap<u32, u32>,
) -> Option<(&'a Wide, Option<u32>)> {
    match operator {
        Operator::Call { function_index } => Some((types.get(local_types.get(function_index)?)?, None)),
        Operator::CallIndirect {
            type_index,
            table_index,
        } => Some((types.get(type_index)?, Some(*table_index))),
        _ => None,
    }
}

/// Widens the arguments on top of the stack, on which a call through a pointer has the function's index, too. What lies above
/// the first of them steps aside meanwhile; wasm-opt takes that out again, since most are made in one instruction.
fn extend(wide: &Wide, through_pointer: bool, locals: &mut Locals, instructions: &mut Vec<Instruction<'_>>) {
    let first = wide.positions[0];
    let index = through_pointer.then_some(ValType::I32);
    let above: Vec<ValType> = wide.parameters[first + 1..].iter().copied().chain(index).collect();
    let aside = locals.temporaries(&above);
    instructions.extend(aside.iter().rev().map(|&local| Instruction::LocalSet(local)));
    instructions.push(Instruction::I64ExtendI32U);
    for (position, local) in iter::zip(first + 1.., aside) {
        instructions.push(Instruction::LocalGet(local));
        if wide.positions.contains(&position) {
            instructions.push(Instruction::I64ExtendI32U);
        }
    }
}

/// The locals of a function, with those that are added.
struct Locals {
    count: u32,
    groups: Vec<(u32, ValType)>,
    /// Those that hold arguments aside; every call may use them.
    temporaries: HashMap<ValType, Vec<u32>>,
}

impl Locals {
    fn add(&mut self, ty: ValType) -> u32 {
        self.groups.push((1, ty));
        self.count += 1;
        self.count - 1
    }

    /// One for each of these types.
    fn temporaries(&mut self, types: &[ValType]) -> Vec<u32> {
        let mut used: HashMap<ValType, usize> = HashMap::new();
        let mut found = Vec::new();
        for &ty in types {
            let nth = used.entry(ty).or_default();
            let known = self.temporaries.get(&ty).and_then(|known| known.get(*nth)).copied();
            found.push(known.unwrap_or_else(|| {
                let local = self.add(ty);
                self.temporaries.entry(ty).or_default().push(local);
                local
            }));
            *nth += 1;
        }
        found
    }
}
