//! A module's bytes, read for what the passes ask of it, and written again with only what they change: every other section,
//! and the order of the functions, stay as they are.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, ElementSection, ExportSection, Function, FunctionSection, NameMap, NameSection, RawSection,
    TypeSection, ValType,
};
use wasmparser::{
    CompositeInnerType, Element, ElementItems, Export, ExternalKind, FuncType, FunctionBody, KnownCustom, Name,
    Operator, Parser, Payload, TypeRef,
};

#[expect(missing_debug_implementations, reason = "it holds megabytes of a file")]
pub struct Module<'a> {
    data: &'a [u8],
    types: Vec<Option<FuncType>>,
    /// Module and field of each imported function; they have the first indexes.
    imports: Vec<(&'a str, &'a str)>,
    import_types: Vec<u32>,
    local_types: Vec<u32>,
    pub bodies: Vec<FunctionBody<'a>>,
    pub elements: Vec<Element<'a>>,
    pub exports: Vec<Export<'a>>,
    /// The values of globals that are 32-bit constants.
    constants: Vec<Option<i32>>,
    names: HashMap<u32, &'a str>,
}

impl<'a> Module<'a> {
    pub fn parse(data: &'a [u8]) -> Result<Module<'a>> {
        let mut module = Module {
            data,
            types: Vec::new(),
            imports: Vec::new(),
            import_types: Vec::new(),
            local_types: Vec::new(),
            bodies: Vec::new(),
            elements: Vec::new(),
            exports: Vec::new(),
            constants: Vec::new(),
            names: HashMap::new(),
        };
        for payload in Parser::new(0).parse_all(data) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        for ty in group?.into_types() {
                            module.types.push(match ty.composite_type.inner {
                                CompositeInnerType::Func(signature) => Some(signature),
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        match import.ty {
                            TypeRef::Func(ty) => {
                                module.imports.push((import.module, import.name));
                                module.import_types.push(ty);
                            }
                            TypeRef::Global(_) => module.constants.push(None),
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    module.local_types = section.into_iter().collect::<Result<_, _>>()?
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        let value = match global?.init_expr.get_operators_reader().read()? {
                            Operator::I32Const { value } => Some(value),
                            _ => None,
                        };
                        module.constants.push(value);
                    }
                }
                Payload::ExportSection(section) => module.exports = section.into_iter().collect::<Result<_, _>>()?,
                Payload::ElementSection(section) => module.elements = section.into_iter().collect::<Result<_, _>>()?,
                Payload::CodeSectionEntry(body) => module.bodies.push(body),
                Payload::CustomSection(section) => {
                    let KnownCustom::Name(names) = section.as_known() else {
                        continue;
                    };
                    for name in names {
                        let Name::Function(functions) = name? else { continue };
                        for naming in functions {
                            let naming = naming?;
                            module.names.insert(naming.index, naming.name);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }

    /// The index of the first function that is not imported.
    pub fn first_local(&self) -> u32 {
        self.imports.len() as u32
    }

    pub fn name(&self, function: u32) -> &'a str {
        self.names
            .get(&function)
            .copied()
            .unwrap_or("(a function without a name)")
    }

    /// The one function of this name.
    pub fn function(&self, name: &str) -> Result<u32> {
        let mut found = self
            .names
            .iter()
            .filter(|(_, known)| **known == name)
            .map(|(&function, _)| function);
        let function = found
            .next()
            .with_context(|| format!("the module has no function {name}"))?;
        if found.next().is_some() {
            bail!("the module has several functions {name}");
        }
        Ok(function)
    }

    pub fn has_function(&self, name: &str) -> bool {
        self.names.values().any(|known| *known == name)
    }

    pub fn import(&self, module: &str, name: &str) -> Result<u32> {
        let position = self.imports.iter().position(|import| *import == (module, name));
        Ok(position.with_context(|| format!("the module does not import {module}.{name}"))? as u32)
    }

    pub fn type_of(&self, function: u32) -> Result<u32> {
        let mut types = self.import_types.iter().chain(&self.local_types);
        types
            .nth(function as usize)
            .copied()
            .context("a function without a type")
    }

    pub fn signature(&self, ty: u32) -> Result<&FuncType> {
        self.types
            .get(ty as usize)
            .and_then(Option::as_ref)
            .context("a function's type that is none")
    }

    pub fn body(&self, function: u32) -> Result<&FunctionBody<'a>> {
        let position = function
            .checked_sub(self.first_local())
            .context("an imported function has no body")?;
        self.bodies.get(position as usize).context("a function without a body")
    }

    /// The address of an exported variable.
    pub fn exported_address(&self, name: &str) -> Result<i32> {
        let export = self.exports.iter().find(|export| export.name == name);
        let export = export.with_context(|| format!("the module does not export {name}"))?;
        let constant = (export.kind == ExternalKind::Global)
            .then(|| self.constants.get(export.index as usize))
            .flatten();
        constant
            .copied()
            .flatten()
            .with_context(|| format!("{name} has no constant address"))
    }

    pub fn edit(&self) -> Edit<'_, 'a> {
        Edit {
            module: self,
            bodies: BTreeMap::new(),
            names: BTreeMap::new(),
            added_types: Vec::new(),
            types: BTreeMap::new(),
            added: Vec::new(),
            table: HashMap::new(),
            keep_export: Box::new(|_| true),
            keep_customs: true,
        }
    }
}

/// A signature as it is written.
pub fn encoded(signature: &FuncType) -> Result<Signature> {
    let all = |types: &[wasmparser::ValType]| -> Result<Vec<ValType>> {
        types.iter().map(|&ty| Ok(RoundtripReencoder.val_type(ty)?)).collect()
    };
    Ok((all(signature.params())?, all(signature.results())?))
}

/// Parameters and results.
pub type Signature = (Vec<ValType>, Vec<ValType>);

/// Changes to a module.
#[expect(missing_debug_implementations, reason = "it holds functions")]
pub struct Edit<'m, 'a> {
    module: &'m Module<'a>,
    bodies: BTreeMap<u32, Function>,
    names: BTreeMap<u32, String>,
    added_types: Vec<Signature>,
    /// Of functions that get another type.
    types: BTreeMap<u32, u32>,
    added: Vec<(u32, Function)>,
    table: HashMap<u32, u32>,
    keep_export: Box<dyn Fn(&str) -> bool + 'm>,
    keep_customs: bool,
}

impl<'m> Edit<'m, '_> {
    pub fn replace_body(&mut self, function: u32, body: Function) {
        self.bodies.insert(function, body);
    }

    pub fn rename(&mut self, function: u32, name: String) {
        self.names.insert(function, name);
    }

    /// Adds a type behind all others, so that no index changes.
    pub fn add_type(&mut self, parameters: Vec<ValType>, results: Vec<ValType>) -> u32 {
        self.added_types.push((parameters, results));
        (self.module.types.len() + self.added_types.len() - 1) as u32
    }

    pub fn replace_type(&mut self, function: u32, ty: u32) {
        self.types.insert(function, ty);
    }

    /// Adds a function behind all others, so that no index changes.
    pub fn add_function(&mut self, ty: u32, body: Function) -> u32 {
        self.added.push((ty, body));
        self.module.first_local() + (self.module.bodies.len() + self.added.len() - 1) as u32
    }

    /// Puts a function into the tables in place of another.
    pub fn replace_in_tables(&mut self, function: u32, by: u32) {
        self.table.insert(function, by);
    }

    pub fn keep_exports(&mut self, keep: impl Fn(&str) -> bool + 'm) {
        self.keep_export = Box::new(keep);
    }

    /// Leaves out names, producers and every other custom section.
    pub fn remove_custom_sections(&mut self) {
        self.keep_customs = false;
    }

    pub fn finish(self) -> Result<Vec<u8>> {
        let mut encoded = wasm_encoder::Module::new();
        for payload in Parser::new(0).parse_all(self.module.data) {
            let payload = payload?;
            match &payload {
                Payload::TypeSection(_) if !self.added_types.is_empty() => drop(encoded.section(&self.type_section()?)),
                Payload::FunctionSection(_) if !self.added.is_empty() || !self.types.is_empty() => {
                    let mut section = FunctionSection::new();
                    for (ty, function) in self.module.local_types.iter().zip(self.module.first_local()..) {
                        section.function(*self.types.get(&function).unwrap_or(ty));
                    }
                    for &(ty, _) in &self.added {
                        section.function(ty);
                    }
                    encoded.section(&section);
                }
                Payload::ExportSection(_) => {
                    let mut section = ExportSection::new();
                    for export in self
                        .module
                        .exports
                        .iter()
                        .filter(|export| (self.keep_export)(export.name))
                    {
                        section.export(export.name, RoundtripReencoder.export_kind(export.kind)?, export.index);
                    }
                    encoded.section(&section);
                }
                Payload::ElementSection(_) if !self.table.is_empty() => drop(encoded.section(&self.element_section()?)),
                Payload::CodeSectionStart { .. } => drop(encoded.section(&self.code_section())),
                Payload::CustomSection(section) if section.name() == "name" => {
                    if self.keep_customs {
                        encoded.section(&self.name_section());
                    }
                }
                Payload::CustomSection(_) if !self.keep_customs => {}
                // The code section is written as a whole at its start.
                Payload::CodeSectionEntry(_) => {}
                other => {
                    if let Some((id, range)) = other.as_section() {
                        encoded.section(&RawSection {
                            id,
                            data: &self.module.data[range],
                        });
                    }
                }
            }
        }
        Ok(encoded.finish())
    }

    fn type_section(&self) -> Result<TypeSection> {
        let mut section = TypeSection::new();
        for ty in 0..self.module.types.len() as u32 {
            let (parameters, results) = encoded(self.module.signature(ty)?)?;
            section.ty().function(parameters, results);
        }
        for (parameters, results) in &self.added_types {
            section
                .ty()
                .function(parameters.iter().copied(), results.iter().copied());
        }
        Ok(section)
    }

    fn element_section(&self) -> Result<ElementSection> {
        let mut section = ElementSection::new();
        for element in &self.module.elements {
            let (
                wasmparser::ElementKind::Active {
                    table_index,
                    offset_expr,
                },
                ElementItems::Functions(functions),
            ) = (&element.kind, &element.items)
            else {
                bail!("the module has a table segment of another kind than functions in place");
            };
            let replaced = |function: u32| self.table.get(&function).copied().unwrap_or(function);
            let functions: Vec<u32> = functions
                .clone()
                .into_iter()
                .map(|function| function.map(replaced))
                .collect::<Result<_, _>>()?;
            let offset = RoundtripReencoder.const_expr(offset_expr.clone())?;
            section.active(
                *table_index,
                &offset,
                wasm_encoder::Elements::Functions(functions.into()),
            );
        }
        Ok(section)
    }

    fn code_section(&self) -> CodeSection {
        let mut section = CodeSection::new();
        for (body, function) in self.module.bodies.iter().zip(self.module.first_local()..) {
            match self.bodies.get(&function) {
                Some(replaced) => section.function(replaced),
                None => section.raw(body.as_bytes()),
            };
        }
        for (_, body) in &self.added {
            section.function(body);
        }
        section
    }

    fn name_section(&self) -> NameSection {
        let known = self.module.names.iter().map(|(&function, &name)| (function, name));
        let mut all: BTreeMap<u32, &str> = known.collect();
        all.extend(self.names.iter().map(|(&function, name)| (function, name.as_str())));
        let mut map = NameMap::new();
        for (function, name) in all {
            map.append(function, name);
        }
        let mut section = NameSection::new();
        section.functions(&map);
        section
    }
}
