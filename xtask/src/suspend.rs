//! Finds which functions of a linked module may be suspended, and makes that known to Asyncify.
//!
//! A thread of the guest waits by unwinding its stack (guest/README.md), which needs every function on that stack to be
//! instrumented. Instrumenting all that could call a waiting function through a pointer would be nearly everything, codecs
//! included, and cost the hot loops dearly. So the set is computed here, exactly:
//!
//! 1. `afmpeg_suspend` is the only function that unwinds. Whatever calls it, directly or through direct calls, may be
//!    suspended.
//! 2. A function of that set whose address is taken may also be called through a pointer. Each must be declared in
//!    guest/callbacks.toml by someone who has looked at who calls it; one that isn't declared fails the build.
//! 3. The declaration names the object files that call it. Their functions that call through a pointer of its type join the
//!    set, and their direct callers with them. Those of the libraries don't: they are never instrumented.
//! 4. What remains is another place that calls such a function after all. A thunk in the function table notices: it knows the
//!    calls that step 3 made safe, and counts any other in `afmpeg_foreign_depth`. To wait beneath one of those ends the
//!    process with a message, where it would otherwise corrupt the stack.
//!
//! The functions are renamed `suspendable.*`, which is the list that Asyncify is given.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use walrus::ir::{self, BinaryOp, Instr, InstrSeqId, LoadKind, MemArg, StoreKind, Value, Visitor, VisitorMut};
use walrus::{
    ConstExpr, ElementItems, ElementKind, ExportItem, FunctionBuilder, FunctionId, FunctionKind, GlobalKind, InstrSeqBuilder,
    LocalId, MemoryId, Module, TypeId,
};

/// The name under which wasm-opt finds the functions to instrument.
pub const SUSPENDABLE_PREFIX: &str = "suspendable.";

const SUSPEND: &str = "afmpeg_suspend";
const SCHEDULER: &str = "afmpeg_run_threads";
const FOREIGN_DEPTH: &str = "afmpeg_foreign_depth";
const PERMITTED_INDEX: &str = "afmpeg_permitted_index";

/// guest/callbacks.toml.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callbacks {
    #[serde(default)]
    pub callback: Vec<Callback>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    pub function: String,
    pub called_from: Vec<String>,
    /// Who calls it through a pointer, for the reader.
    #[expect(dead_code, reason = "a declaration is worth something only with its reason beside it")]
    pub why: String,
}

/// What was found, for the log.
#[derive(Debug, Serialize)]
pub struct Report {
    pub function_count: usize,
    pub suspendable: BTreeSet<String>,
    pub callbacks: BTreeSet<String>,
}

/// The functions of a linked module that come from these object files, and from which, by the linker's map. Names can't tell: libraries have
/// static functions of the same names.
pub fn functions_of(module: &Module, map: &str, objects: &HashSet<String>) -> Result<HashMap<FunctionId, String>> {
    let mut entries = map.lines().skip_while(|line| !line.ends_with(" CODE")).skip(1).take_while(|line| !line.ends_with(" DATA"));
    let mut functions = module.funcs.iter_local();
    let mut found = HashMap::new();
    // Both are in the order of the code, but for lines of the map that repeat a function as a symbol, further indented.
    let mut next = || entries.by_ref().find_map(input_section);
    loop {
        match (next(), functions.next()) {
            (Some((object, name)), Some((id, _))) => {
                if !objects.contains(object) {
                    continue;
                }
                let known = module.funcs.get(id).name.as_deref();
                // The C function main has the name of its signature in one of the two.
                if known != Some(name) && !(known == Some("main") && name == "__main_argc_argv") {
                    bail!("the linker's map has {name} where the module has {}", known.unwrap_or("a function without a name"));
                }
                found.insert(id, object.to_owned());
            }
            (None, None) => break,
            _ => bail!("the linker's map and the module have different numbers of functions"),
        }
    }
    if found.is_empty() {
        bail!("the linker's map has no function of the program");
    }
    Ok(found)
}

/// The object and the function of a line of the map that stands for a section of an input file, which begin in column 36.
fn input_section(line: &str) -> Option<(&str, &str)> {
    let (before, section) = (line.get(27..35)?, line.get(35..)?);
    if !before.trim().is_empty() || section.starts_with(' ') {
        return None;
    }
    section.strip_suffix(')')?.split_once(":(")
}

#[derive(Default)]
struct Calls {
    direct: HashSet<FunctionId>,
    indirect: HashSet<TypeId>,
}

impl<'instr> Visitor<'instr> for Calls {
    fn visit_call(&mut self, call: &ir::Call) {
        self.direct.insert(call.func);
    }

    fn visit_call_indirect(&mut self, call: &ir::CallIndirect) {
        self.indirect.insert(call.ty);
    }
}

/// Prepares a linked module. `program` has the functions of FFmpeg's programs and the guest, with their object files.
pub fn prepare(module: &mut Module, program: &HashMap<FunctionId, String>, declared: &Callbacks) -> Result<Report> {
    let suspend = by_name(module, SUSPEND)?;
    let scheduler = by_name(module, SCHEDULER)?;
    let calls: HashMap<FunctionId, Calls> = module
        .funcs
        .iter_local()
        .map(|(id, function)| {
            let mut calls = Calls::default();
            ir::dfs_in_order(&mut calls, function, function.entry_block());
            (id, calls)
        })
        .collect();
    check_who_unwinds(module, &calls, suspend, scheduler)?;

    let mut direct_callers: HashMap<FunctionId, Vec<FunctionId>> = HashMap::new();
    for (&caller, calls) in &calls {
        for &callee in &calls.direct {
            direct_callers.entry(callee).or_default().push(caller);
        }
    }
    let table = table_indexes(module)?;

    let mut suspendable = HashSet::from([suspend]);
    let mut work = vec![suspend];
    let mut permitted_callers: BTreeMap<FunctionId, HashSet<TypeId>> = BTreeMap::new();
    loop {
        while let Some(function) = work.pop() {
            for &caller in direct_callers.get(&function).into_iter().flatten() {
                if suspendable.insert(caller) {
                    work.push(caller);
                }
            }
        }
        for (&callback, _) in table.iter().filter(|(id, _)| suspendable.contains(id)).collect::<Vec<_>>() {
            let ty = module.funcs.get(callback).ty();
            let name = module.funcs.get(callback).name.as_deref().unwrap_or_default();
            let declarations = declared.callback.iter().filter(|callback| callback.function == name);
            let objects: HashSet<&String> = declarations.flat_map(|callback| &callback.called_from).collect();
            let callers = program.iter().filter(|(id, object)| objects.contains(object) || **id == scheduler).map(|(&id, _)| id);
            for caller in callers.filter(|id| calls[id].indirect.contains(&ty)) {
                permitted_callers.entry(caller).or_default().insert(ty);
                if caller != scheduler && suspendable.insert(caller) {
                    work.push(caller);
                }
            }
        }
        if work.is_empty() {
            break;
        }
    }
    if suspendable.contains(&scheduler) {
        bail!("the scheduler {SCHEDULER} reaches {SUSPEND}, but it is what a suspended thread returns to");
    }

    let name_of = |id: FunctionId| module.funcs.get(id).name.clone().unwrap_or_else(|| format!("function {}", id.index()));
    let mut callbacks: Vec<FunctionId> = suspendable.iter().copied().filter(|id| table.contains_key(id)).collect();
    callbacks.sort_by_key(|id| table[id]);
    let declared: HashSet<&str> = declared.callback.iter().map(|callback| callback.function.as_str()).collect();
    let undeclared: BTreeSet<String> = callbacks.iter().map(|&id| name_of(id)).filter(|name| !declared.contains(name.as_str())).collect();
    if !undeclared.is_empty() {
        bail!(
            "these functions may wait for another thread, their addresses are taken, and guest/callbacks.toml does not declare \
             them: {}\nlook at who calls each through a pointer: FFmpeg's programs may, a library must not",
            undeclared.into_iter().collect::<Vec<_>>().join(", ")
        );
    }
    let report = Report {
        function_count: calls.len(),
        suspendable: suspendable.iter().map(|&id| name_of(id)).collect(),
        callbacks: callbacks.iter().map(|&id| name_of(id)).collect(),
    };

    suspendable.remove(&suspend);
    let guard = Guard::find(module)?;
    for (caller, types) in &permitted_callers {
        guard.permit_calls(module, *caller, types);
    }
    let mut order: Vec<FunctionId> = suspendable.into_iter().collect();
    order.sort_by_key(|id| id.index());
    // Two static functions may share a name, and Asyncify wants unique ones.
    for (count, id) in order.into_iter().enumerate() {
        let function = module.funcs.get_mut(id);
        let name = function.name.take().unwrap_or_default();
        function.name = Some(format!("{SUSPENDABLE_PREFIX}{count}.{name}"));
    }
    for callback in callbacks {
        let thunk = guard.thunk(module, callback, table[&callback])?;
        replace_in_table(module, callback, thunk);
    }
    Ok(report)
}

fn by_name(module: &Module, name: &str) -> Result<FunctionId> {
    let mut found = module.funcs.iter().filter(|function| function.name.as_deref() == Some(name));
    let function = found.next().with_context(|| format!("the module has no function {name}"))?;
    if found.next().is_some() {
        bail!("the module has several functions {name}");
    }
    Ok(function.id())
}

fn check_who_unwinds(module: &Module, calls: &HashMap<FunctionId, Calls>, suspend: FunctionId, scheduler: FunctionId) -> Result<()> {
    for (primitive, only) in [
        ("start_unwind", suspend),
        ("stop_rewind", suspend),
        ("start_rewind", scheduler),
        ("stop_unwind", scheduler),
    ] {
        let import = module.imports.get_func("asyncify", primitive).with_context(|| format!("nothing uses asyncify.{primitive}"))?;
        let callers: HashSet<FunctionId> =
            calls.iter().filter(|(_, calls)| calls.direct.contains(&import)).map(|(&id, _)| id).collect();
        if callers != HashSet::from([only]) {
            bail!("asyncify.{primitive} must be called by {} alone", module.funcs.get(only).name.as_deref().unwrap_or_default());
        }
    }
    Ok(())
}

/// Every function whose address is taken, with its address: its index in the table.
fn table_indexes(module: &Module) -> Result<BTreeMap<FunctionId, i32>> {
    let mut indexes = BTreeMap::new();
    for element in module.elements.iter() {
        let ElementKind::Active { offset: ConstExpr::Value(Value::I32(offset)), .. } = element.kind else {
            bail!("the module has a table segment without a constant place");
        };
        let ElementItems::Functions(functions) = &element.items else {
            bail!("the module has a table segment of expressions");
        };
        for (position, &function) in functions.iter().enumerate() {
            if indexes.insert(function, offset + i32::try_from(position)?).is_some() {
                bail!("a function is in the table twice, so that its thunk could not tell its calls");
            }
        }
    }
    Ok(indexes)
}

fn replace_in_table(module: &mut Module, function: FunctionId, thunk: FunctionId) {
    for element in module.elements.iter_mut() {
        if let ElementItems::Functions(functions) = &mut element.items {
            for item in functions.iter_mut().filter(|item| **item == function) {
                *item = thunk;
            }
        }
    }
}

/// The two variables by which safe calls through pointers are told from others.
struct Guard {
    memory: MemoryId,
    foreign_depth_address: i32,
    permitted_index_address: i32,
}

const WORD: MemArg = MemArg { align: 4, offset: 0 };

impl Guard {
    fn find(module: &mut Module) -> Result<Guard> {
        let memory = module.get_memory_id()?;
        let foreign_depth_address = take_address(module, FOREIGN_DEPTH)?;
        let permitted_index_address = take_address(module, PERMITTED_INDEX)?;
        Ok(Guard { memory, foreign_depth_address, permitted_index_address })
    }

    /// In `caller`, before each call through a pointer of one of the types: tells the callee that it may wait.
    fn permit_calls(&self, module: &mut Module, caller: FunctionId, types: &HashSet<TypeId>) {
        struct Permit<'a> {
            guard: &'a Guard,
            types: &'a HashSet<TypeId>,
            index: LocalId,
        }
        impl VisitorMut for Permit<'_> {
            fn start_instr_seq_mut(&mut self, sequence: &mut ir::InstrSeq) {
                let mut instructions = Vec::with_capacity(sequence.instrs.len());
                for (instruction, location) in sequence.instrs.drain(..) {
                    if let Instr::CallIndirect(call) = &instruction
                        && self.types.contains(&call.ty)
                    {
                        let address = Value::I32(self.guard.permitted_index_address);
                        let index = self.index;
                        for added in [
                            Instr::from(ir::LocalSet { local: index }),
                            ir::Const { value: address }.into(),
                            ir::LocalGet { local: index }.into(),
                            ir::Store { memory: self.guard.memory, kind: StoreKind::I32 { atomic: false }, arg: WORD }.into(),
                            ir::LocalGet { local: index }.into(),
                        ] {
                            instructions.push((added, location));
                        }
                    }
                    instructions.push((instruction, location));
                }
                sequence.instrs = instructions;
            }
        }
        let index = module.locals.add(walrus::ValType::I32);
        let FunctionKind::Local(function) = &mut module.funcs.get_mut(caller).kind else { return };
        let entry: InstrSeqId = function.entry_block();
        ir::dfs_pre_order_mut(&mut Permit { guard: self, types, index }, function, entry);
    }

    /// What stands in the table for `callback`: a permitted call goes through, any other is counted while it lasts.
    fn thunk(&self, module: &mut Module, callback: FunctionId, index: i32) -> Result<FunctionId> {
        let (params, results) = module.types.params_results(module.funcs.get(callback).ty());
        let (params, results) = (params.to_vec(), results.to_vec());
        let result = match results[..] {
            [] => None,
            [result] => Some(result),
            _ => bail!("a callback with several results"),
        };
        let arguments: Vec<LocalId> = params.iter().map(|&ty| module.locals.add(ty)).collect();
        let mut builder = FunctionBuilder::new(&mut module.types, &params, &results);
        builder.name(format!("{}thunk.{index}", SUSPENDABLE_PREFIX));
        let call = |body: &mut InstrSeqBuilder| {
            for &argument in &arguments {
                body.local_get(argument);
            }
            body.call(callback);
        };
        let count = |body: &mut InstrSeqBuilder, operation: BinaryOp| {
            body.i32_const(self.foreign_depth_address).i32_const(self.foreign_depth_address);
            body.load(self.memory, LoadKind::I32 { atomic: false }, WORD).i32_const(1).binop(operation);
            body.store(self.memory, StoreKind::I32 { atomic: false }, WORD);
        };
        builder
            .func_body()
            .i32_const(self.permitted_index_address)
            .load(self.memory, LoadKind::I32 { atomic: false }, WORD)
            .i32_const(index)
            .binop(BinaryOp::I32Eq)
            .if_else(
                result,
                |permitted| {
                    permitted.i32_const(self.permitted_index_address).i32_const(0);
                    permitted.store(self.memory, StoreKind::I32 { atomic: false }, WORD);
                    call(permitted);
                },
                |foreign| {
                    count(foreign, BinaryOp::I32Add);
                    call(foreign);
                    count(foreign, BinaryOp::I32Sub);
                },
            );
        Ok(builder.finish(arguments, &mut module.funcs))
    }
}

/// The address of an exported variable. The export has done its work then.
fn take_address(module: &mut Module, name: &str) -> Result<i32> {
    let export = module.exports.iter().find(|export| export.name == name).with_context(|| format!("{name} is not exported"))?;
    let ExportItem::Global(global) = export.item else { bail!("{name} is no variable") };
    let GlobalKind::Local(ConstExpr::Value(Value::I32(address))) = module.globals.get(global).kind else {
        bail!("{name} has no constant address");
    };
    module.exports.remove(name)?;
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module in the shape of a linked one: `waits` waits, `$library` and `$program` call through pointers of its type.
    const MODULE: &str = r#"(module
        (type $callback (func (param i32) (result i32)))
        (import "asyncify" "start_unwind" (func $start_unwind (param i32)))
        (import "asyncify" "stop_unwind" (func $stop_unwind))
        (import "asyncify" "start_rewind" (func $start_rewind (param i32)))
        (import "asyncify" "stop_rewind" (func $stop_rewind))
        (memory (export "memory") 1)
        (table 4 funcref)
        (elem (i32.const 1) $waits $computes)
        (global (export "afmpeg_foreign_depth") i32 (i32.const 16))
        (global (export "afmpeg_permitted_index") i32 (i32.const 20))
        (func $afmpeg_suspend (call $start_unwind (i32.const 0)) (call $stop_rewind))
        (func $afmpeg_run_threads (call $start_rewind (i32.const 0)) (call $stop_unwind)
            (drop (call_indirect (type $callback) (i32.const 0) (i32.const 1))))
        (func $lock (call $afmpeg_suspend))
        (func $waits (type $callback) (call $lock) (local.get 0))
        (func $computes (type $callback) (local.get 0))
        (func $program (param i32) (result i32) (call_indirect (type $callback) (local.get 0) (local.get 0)))
        (func $program_caller (export "_start") (drop (call $program (i32.const 1))))
        (func $library (param i32) (result i32) (call_indirect (type $callback) (local.get 0) (local.get 0))))"#;

    fn prepared(declared: &[&str]) -> Result<(Module, Report)> {
        let mut module = Module::from_buffer(&wat::parse_str(MODULE)?)?;
        let program = ["program", "program_caller", "waits", "computes", SCHEDULER];
        let program = program.map(|name| (by_name(&module, name).unwrap(), "program.o".to_owned())).into();
        let callback = |name: &&str| Callback {
            function: (*name).to_owned(),
            called_from: vec!["program.o".into()],
            why: "a test".into(),
        };
        let callbacks = Callbacks { callback: declared.iter().map(callback).collect() };
        let report = prepare(&mut module, &program, &callbacks)?;
        Ok((module, report))
    }

    #[test]
    fn exactly_what_may_be_suspended_is_found() {
        let (mut module, report) = prepared(&["waits"]).unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
        assert_eq!(report.suspendable, names(&["afmpeg_suspend", "lock", "program", "program_caller", "waits"]));
        assert_eq!(report.callbacks, names(&["waits"]));
        // Asyncify's list takes all but the function that unwinds, and the thunk that stands in the table.
        let listed = module.funcs.iter().filter(|function| function.name.as_ref().is_some_and(|name| name.starts_with(SUSPENDABLE_PREFIX)));
        assert_eq!(listed.count(), 5);
        assert!(module.exports.iter().all(|export| !export.name.starts_with("afmpeg_")));
        wasmparser::validate(&module.emit_wasm()).unwrap();
    }

    #[test]
    fn the_map_tells_functions_of_one_name_apart() {
        let text = r#"(module (func $same) (func $same) (func $other) (func $main))"#.replacen("$same", "", 1);
        let mut module = Module::from_buffer(&wat::parse_str(text).unwrap()).unwrap();
        let ids: Vec<FunctionId> = module.funcs.iter_local().map(|(id, _)| id).collect();
        module.funcs.get_mut(ids[0]).name = Some("same".into());
        let map = "    Addr      Off     Size Out     In      Symbol\n       -        8      9a9 TYPE\n\
                   \x20      -     d060  134dc59 CODE\n\
                   \x20      -     d06e       58         a.o:(same)\n       -     d06e       58                 same\n\
                   \x20      -     d0c6       27         lib.a(b.o):(same)\n\
                   \x20      -     d0c6       27         lib.a(b.o):(other)\n\
                   \x20      -     d0c6       27         a.o:(__main_argc_argv)\n\
                   \x20  4b1ac4  170c789       14 DATA\n";
        let objects = HashSet::from(["a.o".to_owned()]);
        assert_eq!(functions_of(&module, map, &objects).unwrap(), [(ids[0], "a.o".into()), (ids[3], "a.o".into())].into());
        assert!(functions_of(&module, &map.replace("a.o:(same)", "a.o:(other)"), &objects).is_err());
        assert!(functions_of(&module, &map.replace("       -     d0c6       27         lib.a(b.o):(other)\n", ""), &objects).is_err());
    }

    #[test]
    fn a_waiting_function_that_is_called_through_a_pointer_must_be_declared() {
        let message = format!("{:#}", prepared(&[]).unwrap_err());
        assert!(message.contains("waits") && message.contains("guest/callbacks.toml"), "{message}");
    }
}
