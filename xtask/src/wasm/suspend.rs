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

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{BlockType, Function, Instruction, MemArg, ValType};
use wasmparser::{ElementItems, ElementKind, Operator};

use crate::data::read_toml;
use crate::wasm::module::Module;
use crate::wasm::{Pass, Work};

pub const NAME: &str = "suspend";

/// The name under which wasm-opt finds the functions to instrument.
pub const SUSPENDABLE_PREFIX: &str = "suspendable.";

/// The one function that unwinds.
pub const SUSPEND: &str = "afmpeg_suspend";
const SCHEDULER: &str = "afmpeg_run_threads";
const FOREIGN_DEPTH: &str = "afmpeg_foreign_depth";
const PERMITTED_INDEX: &str = "afmpeg_permitted_index";

/// Functions of POSIX threads that guest/threads leaves out, since FFmpeg uses none. The C library, built for one thread, has
/// some that say yes and do nothing.
const STUBS: [&str; 16] = [
    "pthread_barrier_wait",
    "pthread_cancel",
    "pthread_mutex_timedlock",
    "pthread_rwlock_rdlock",
    "pthread_rwlock_timedrdlock",
    "pthread_rwlock_timedwrlock",
    "pthread_rwlock_tryrdlock",
    "pthread_rwlock_trywrlock",
    "pthread_rwlock_unlock",
    "pthread_rwlock_wrlock",
    "pthread_spin_lock",
    "pthread_tryjoin_np",
    "sem_post",
    "sem_timedwait",
    "sem_trywait",
    "sem_wait",
];

/// Finds what may be suspended in a linked module and makes it known to Asyncify.
#[derive(Debug, Serialize)]
pub struct Suspend {
    pub module: String,
    /// The linker's map.
    pub map: String,
    /// Lists of the program's own objects.
    pub objects: Vec<String>,
    /// What is declared to be called through pointers.
    pub callbacks: String,
    pub to: String,
    pub report: String,
}

impl Pass for Suspend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, work: &Work) -> Result<()> {
        let declared: Callbacks = read_toml(&work.folder.join(&self.callbacks))?;
        let mut listed = HashSet::new();
        for list in &self.objects {
            listed.extend(work.read_text(list)?.lines().map(str::to_owned));
        }
        let data = work.read(&self.module)?;
        let module = Module::parse(&data)?;
        let program = functions_of(&module, &work.read_text(&self.map)?, &listed)?;
        let prepared = prepare(&module, &program, &declared)?;
        work.write_json(&self.report, &prepared.report)?;
        work.write(&self.to, &prepared.module)
    }
}

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
    pub why: String,
}

/// What was found, for the log.
#[derive(Debug, Serialize)]
pub struct Report {
    pub function_count: usize,
    pub suspendable: BTreeSet<String>,
    pub callbacks: BTreeSet<String>,
}

/// The functions of a linked module that come from these object files, and from which, by the linker's map. Names can't tell:
/// libraries have static functions of the same names.
pub fn functions_of(module: &Module, map: &str, objects: &HashSet<String>) -> Result<HashMap<u32, String>> {
    let lines = map
        .lines()
        .skip_while(|line| !line.ends_with(" CODE"))
        .skip(1)
        .take_while(|line| !line.ends_with(" DATA"));
    // Both are in the order of the code, but for lines of the map that repeat a function as a symbol, further indented.
    let entries: Vec<(&str, &str)> = lines.filter_map(input_section).collect();
    if entries.len() != module.bodies.len() {
        bail!(
            "the linker's map has {} functions, and the module {}",
            entries.len(),
            module.bodies.len()
        );
    }
    let mut found = HashMap::new();
    for ((object, name), function) in entries.into_iter().zip(module.first_local()..) {
        if !objects.contains(object) {
            continue;
        }
        let known = module.name(function);
        // The C function main has the name of its signature in one of the two.
        if known != name && !(known == "main" && name == "__main_argc_argv") {
            bail!("the linker's map has {name} where the module has {known}");
        }
        found.insert(function, object.to_owned());
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
    direct: HashSet<u32>,
    /// Types of the calls through pointers.
    indirect: HashSet<u32>,
}

impl Calls {
    fn of(module: &Module) -> Result<HashMap<u32, Calls>> {
        let mut all = HashMap::new();
        for (body, function) in module.bodies.iter().zip(module.first_local()..) {
            let mut calls = Calls::default();
            for operator in body.get_operators_reader()? {
                match operator? {
                    Operator::Call { function_index } => drop(calls.direct.insert(function_index)),
                    Operator::CallIndirect { type_index, .. } => drop(calls.indirect.insert(type_index)),
                    Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => {
                        bail!("the module has tail calls")
                    }
                    _ => {}
                }
            }
            all.insert(function, calls);
        }
        Ok(all)
    }
}

/// What `prepare` made.
#[derive(Debug)]
pub struct Prepared {
    pub module: Vec<u8>,
    pub report: Report,
}

/// Prepares a linked module. `program` has the functions of FFmpeg's programs and the guest, with their object files.
pub fn prepare(module: &Module, program: &HashMap<u32, String>, declared: &Callbacks) -> Result<Prepared> {
    let suspend = module.function(SUSPEND)?;
    let scheduler = module.function(SCHEDULER)?;
    let calls = Calls::of(module)?;
    check_who_unwinds(module, &calls, suspend, scheduler)?;
    let table = table_indexes(module)?;
    let search = Search {
        module,
        program,
        declared,
        calls: &calls,
        table: &table,
        suspend,
        scheduler,
    };
    let (suspendable, permitted_callers) = search.run()?;
    if suspendable.contains(&scheduler) {
        bail!("the scheduler {SCHEDULER} reaches {SUSPEND}, but it is what a suspended thread returns to");
    }
    check_stubs(module)?;
    let callbacks = search.callbacks(&suspendable);
    search.check_declared(&callbacks)?;
    let names = |functions: &mut dyn Iterator<Item = u32>| functions.map(|id| module.name(id).to_owned()).collect();
    let report = Report {
        function_count: calls.len(),
        suspendable: names(&mut suspendable.iter().copied()),
        callbacks: names(&mut callbacks.iter().copied()),
    };
    let guard = Guard::find(module)?;
    let module = guard.rewrite(module, suspend, &suspendable, &permitted_callers, &table, &callbacks)?;
    Ok(Prepared { module, report })
}

/// What the search for suspendable functions goes by.
struct Search<'a> {
    module: &'a Module<'a>,
    program: &'a HashMap<u32, String>,
    declared: &'a Callbacks,
    calls: &'a HashMap<u32, Calls>,
    table: &'a HashMap<u32, i32>,
    suspend: u32,
    scheduler: u32,
}

/// Caller -> types that it may call through a pointer.
type PermittedCallers = BTreeMap<u32, HashSet<u32>>;

impl Search<'_> {
    /// All that may be suspended, and who may call it through pointers: callers of callers, until none is new.
    fn run(&self) -> Result<(BTreeSet<u32>, PermittedCallers)> {
        let mut direct_callers: HashMap<u32, Vec<u32>> = HashMap::new();
        for (&caller, calls) in self.calls {
            for &callee in &calls.direct {
                direct_callers.entry(callee).or_default().push(caller);
            }
        }
        let mut suspendable = BTreeSet::from([self.suspend]);
        let mut work = vec![self.suspend];
        let mut permitted_callers = PermittedCallers::new();
        while !work.is_empty() {
            while let Some(function) = work.pop() {
                for &caller in direct_callers.get(&function).into_iter().flatten() {
                    if suspendable.insert(caller) {
                        work.push(caller);
                    }
                }
            }
            for callback in self.callbacks(&suspendable) {
                let ty = self.module.type_of(callback)?;
                for caller in self.callers_through_pointers(callback, ty) {
                    permitted_callers.entry(caller).or_default().insert(ty);
                    if caller != self.scheduler && suspendable.insert(caller) {
                        work.push(caller);
                    }
                }
            }
        }
        Ok((suspendable, permitted_callers))
    }

    /// Those whose address is taken.
    fn callbacks(&self, suspendable: &BTreeSet<u32>) -> Vec<u32> {
        let all = suspendable.iter().copied();
        all.filter(|function| self.table.contains_key(function)).collect()
    }

    /// Functions of the objects that are declared to call this one, which call through a pointer of its type.
    fn callers_through_pointers(&self, callback: u32, ty: u32) -> Vec<u32> {
        let name = self.module.name(callback);
        let declarations = self
            .declared
            .callback
            .iter()
            .filter(|declared| declared.function == name);
        let objects: HashSet<&String> = declarations.flat_map(|declared| &declared.called_from).collect();
        let callers = self
            .program
            .iter()
            .filter(|(id, object)| objects.contains(object) || **id == self.scheduler)
            .map(|(&id, _)| id);
        callers.filter(|id| self.calls[id].indirect.contains(&ty)).collect()
    }

    fn check_declared(&self, callbacks: &[u32]) -> Result<()> {
        let is_declared = |name: &str| self.declared.callback.iter().any(|callback| callback.function == name);
        let names = callbacks.iter().map(|&id| self.module.name(id));
        let undeclared: BTreeSet<&str> = names.filter(|name| !is_declared(name)).collect();
        if !undeclared.is_empty() {
            bail!(
                "these functions may wait for another thread, their addresses are taken, and guest/callbacks.toml does not \
                 declare them: {}\nlook at who calls each through a pointer: FFmpeg's programs may, a library must not",
                undeclared.into_iter().collect::<Vec<_>>().join(", ")
            );
        }
        Ok(())
    }
}

fn check_stubs(module: &Module) -> Result<()> {
    let is_there = |name: &&&str| module.has_function(name);
    let stubs: Vec<&str> = STUBS.iter().filter(is_there).copied().collect();
    if !stubs.is_empty() {
        bail!(
            "these functions are not in guest/threads, and those of the C library do nothing: {}",
            stubs.join(", ")
        );
    }
    Ok(())
}

fn check_who_unwinds(module: &Module, calls: &HashMap<u32, Calls>, suspend: u32, scheduler: u32) -> Result<()> {
    for (primitive, only) in [
        ("start_unwind", suspend),
        ("stop_rewind", suspend),
        ("start_rewind", scheduler),
        ("stop_unwind", scheduler),
    ] {
        let import = module.import("asyncify", primitive)?;
        let callers: HashSet<u32> = calls
            .iter()
            .filter(|(_, calls)| calls.direct.contains(&import))
            .map(|(&id, _)| id)
            .collect();
        if callers != HashSet::from([only]) {
            bail!("asyncify.{primitive} must be called by {} alone", module.name(only));
        }
    }
    Ok(())
}

/// Every function whose address is taken, with its address: its index in the table.
fn table_indexes(module: &Module) -> Result<HashMap<u32, i32>> {
    let mut indexes = HashMap::new();
    for element in &module.elements {
        let ElementKind::Active { offset_expr, .. } = &element.kind else {
            bail!("the module has a table segment that is not in place from the start");
        };
        let Operator::I32Const { value: offset } = offset_expr.get_operators_reader().read()? else {
            bail!("the module has a table segment without a constant place");
        };
        let ElementItems::Functions(functions) = &element.items else {
            bail!("the module has a table segment of expressions");
        };
        for (function, index) in functions.clone().into_iter().zip(offset..) {
            if indexes.insert(function?, index).is_some() {
                bail!("a function is in the table twice, so that its thunk could not tell its calls");
            }
        }
    }
    Ok(indexes)
}

/// The two variables by which safe calls through pointers are told from others.
struct Guard {
    foreign_depth_address: i32,
    permitted_index_address: i32,
}

const WORD: MemArg = MemArg {
    align: 2,
    offset: 0,
    memory_index: 0,
};

impl Guard {
    fn find(module: &Module) -> Result<Guard> {
        Ok(Guard {
            foreign_depth_address: module.exported_address(FOREIGN_DEPTH)?,
            permitted_index_address: module.exported_address(PERMITTED_INDEX)?,
        })
    }

    /// The module with names for Asyncify, permissions before calls and thunks in the table. All else stays byte for byte,
    /// the order of the functions too: neighbours resemble each other, and compress better where they are.
    fn rewrite(
        &self,
        module: &Module,
        suspend: u32,
        suspendable: &BTreeSet<u32>,
        permitted_callers: &BTreeMap<u32, HashSet<u32>>,
        table: &HashMap<u32, i32>,
        callbacks: &[u32],
    ) -> Result<Vec<u8>> {
        let mut new = module.edit();
        for (&caller, types) in permitted_callers {
            new.replace_body(caller, self.permit_calls(module, caller, types)?);
        }
        for &function in suspendable.iter().filter(|&&function| function != suspend) {
            // Two static functions may share a name, and Asyncify wants unique ones.
            new.rename(
                function,
                format!("{SUSPENDABLE_PREFIX}{function}.{}", module.name(function)),
            );
        }
        for &callback in callbacks {
            let index = table[&callback];
            let ty = module.type_of(callback)?;
            let thunk = new.add_function(ty, self.thunk(module, callback, index)?);
            new.rename(thunk, format!("{SUSPENDABLE_PREFIX}{thunk}.thunk"));
            new.replace_in_tables(callback, thunk);
        }
        new.keep_exports(|name| name != FOREIGN_DEPTH && name != PERMITTED_INDEX);
        new.finish()
    }

    /// The body of `caller`, with word for the callee that it may wait before each call through a pointer of the types.
    fn permit_calls(&self, module: &Module, caller: u32, types: &HashSet<u32>) -> Result<Function> {
        let body = module.body(caller)?;
        let mut locals = Vec::new();
        for group in body.get_locals_reader()? {
            let (count, ty) = group?;
            locals.push((count, RoundtripReencoder.val_type(ty)?));
        }
        let declared: u32 = locals.iter().map(|(count, _)| count).sum();
        let index = module.signature(module.type_of(caller)?)?.params().len() as u32 + declared;
        locals.push((1, ValType::I32));
        let mut function = Function::new(locals);
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            if let Operator::CallIndirect { type_index, .. } = &operator
                && types.contains(type_index)
            {
                function
                    .instruction(&Instruction::LocalSet(index))
                    .instruction(&Instruction::I32Const(self.permitted_index_address))
                    .instruction(&Instruction::LocalGet(index))
                    .instruction(&Instruction::I32Store(WORD))
                    .instruction(&Instruction::LocalGet(index));
            }
            function.instruction(&RoundtripReencoder.instruction(operator)?);
        }
        Ok(function)
    }

    /// What stands in the table for `callback`: a permitted call goes through, any other is counted while it lasts.
    fn thunk(&self, module: &Module, callback: u32, index: i32) -> Result<Function> {
        let signature = module.signature(module.type_of(callback)?)?;
        let result = match signature.results() {
            [] => BlockType::Empty,
            &[result] => BlockType::Result(RoundtripReencoder.val_type(result)?),
            _ => bail!("{} has several results", module.name(callback)),
        };
        let mut function = Function::new([]);
        let call = |function: &mut Function| {
            for argument in 0..signature.params().len() as u32 {
                function.instruction(&Instruction::LocalGet(argument));
            }
            function.instruction(&Instruction::Call(callback));
        };
        let count = |function: &mut Function, operation: Instruction| {
            function
                .instruction(&Instruction::I32Const(self.foreign_depth_address))
                .instruction(&Instruction::I32Const(self.foreign_depth_address))
                .instruction(&Instruction::I32Load(WORD))
                .instruction(&Instruction::I32Const(1))
                .instruction(&operation)
                .instruction(&Instruction::I32Store(WORD));
        };
        function
            .instruction(&Instruction::I32Const(self.permitted_index_address))
            .instruction(&Instruction::I32Load(WORD))
            .instruction(&Instruction::I32Const(index))
            .instruction(&Instruction::I32Eq)
            .instruction(&Instruction::If(result))
            .instruction(&Instruction::I32Const(self.permitted_index_address))
            .instruction(&Instruction::I32Const(0))
            .instruction(&Instruction::I32Store(WORD));
        call(&mut function);
        function.instruction(&Instruction::Else);
        count(&mut function, Instruction::I32Add);
        call(&mut function);
        count(&mut function, Instruction::I32Sub);
        function.instruction(&Instruction::End).instruction(&Instruction::End);
        Ok(function)
    }
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

    fn prepared(declared: &[&str]) -> Result<Prepared> {
        let data = wat::parse_str(MODULE)?;
        let module = Module::parse(&data)?;
        let program = ["program", "program_caller", "waits", "computes", SCHEDULER];
        let program = program
            .map(|name| (module.function(name).unwrap(), "program.o".to_owned()))
            .into();
        let callback = |name: &&str| Callback {
            function: (*name).to_owned(),
            called_from: vec!["program.o".into()],
            why: "a test".into(),
        };
        let callbacks = Callbacks {
            callback: declared.iter().map(callback).collect(),
        };
        prepare(&module, &program, &callbacks)
    }

    #[test]
    fn exactly_what_may_be_suspended_is_found() {
        let Prepared { module: data, report } = prepared(&["waits"]).unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<String>>();
        assert_eq!(
            report.suspendable,
            names(&["afmpeg_suspend", "lock", "program", "program_caller", "waits"])
        );
        assert_eq!(report.callbacks, names(&["waits"]));
        // Asyncify's list takes all but the function that unwinds, and the thunk that stands in the table.
        wasmparser::validate(&data).unwrap();
        let module = Module::parse(&data).unwrap();
        let all = module.first_local()..module.first_local() + module.bodies.len() as u32;
        assert_eq!(
            all.filter(|&function| module.name(function).starts_with(SUSPENDABLE_PREFIX))
                .count(),
            5
        );
        let table = table_indexes(&module).unwrap();
        let named = |name: &str| {
            table
                .iter()
                .find(|(function, _)| module.name(**function).ends_with(name))
                .map(|(_, &index)| index)
        };
        assert_eq!(
            (named("thunk"), named("computes"), named("waits")),
            (Some(1), Some(2), None)
        );
        assert!(module.exported_address(FOREIGN_DEPTH).is_err());
    }

    #[test]
    fn the_map_tells_functions_of_one_name_apart() {
        let text = r#"(module (func $same) (func (@name "same")) (func $other) (func $main))"#;
        let data = wat::parse_str(text).unwrap();
        let module = Module::parse(&data).unwrap();
        let map = "    Addr      Off     Size Out     In      Symbol\n       -        8      9a9 TYPE\n\
                   \x20      -     d060  134dc59 CODE\n\
                   \x20      -     d06e       58         a.o:(same)\n       -     d06e       58                 same\n\
                   \x20      -     d0c6       27         lib.a(b.o):(same)\n\
                   \x20      -     d0c6       27         lib.a(b.o):(other)\n\
                   \x20      -     d0c6       27         a.o:(__main_argc_argv)\n\
                   \x20  4b1ac4  170c789       14 DATA\n";
        let objects = HashSet::from(["a.o".to_owned()]);
        assert_eq!(
            functions_of(&module, map, &objects).unwrap(),
            [(0, "a.o".into()), (3, "a.o".into())].into()
        );
        assert!(functions_of(&module, &map.replace("a.o:(same)", "a.o:(other)"), &objects).is_err());
        assert!(
            functions_of(
                &module,
                &map.replace("       -     d0c6       27         lib.a(b.o):(other)\n", ""),
                &objects
            )
            .is_err()
        );
    }

    #[test]
    fn a_waiting_function_that_is_called_through_a_pointer_must_be_declared() {
        let message = format!("{:#}", prepared(&[]).err().unwrap());
        assert!(
            message.contains("waits") && message.contains("guest/callbacks.toml"),
            "{message}"
        );
    }
}
