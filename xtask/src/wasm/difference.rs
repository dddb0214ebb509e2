//! In which parts two modules differ: sections, and of the code which functions.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;
use wasmparser::{Parser, Payload};

use crate::wasm::module::Module;

/// More functions than these tell a person nothing new.
const FUNCTIONS_MAX: usize = 5;

/// One line about what differs between two modules.
pub fn describe(one: &[u8], two: &[u8]) -> Result<String> {
    let [first, second] = [sections(one)?, sections(two)?];
    let mut parts = Vec::new();
    for name in first
        .keys()
        .chain(second.keys().filter(|name| !first.contains_key(*name)))
    {
        match (first.get(name), second.get(name)) {
            (Some(a), Some(b)) if one[a.clone()] == two[b.clone()] => {}
            (Some(a), Some(b)) if name == "code" => parts.push(format!(
                "section code ({} and {} bytes): {}",
                a.len(),
                b.len(),
                functions(one, two)?
            )),
            (Some(a), Some(b)) => {
                let (a, b) = (&one[a.clone()], &two[b.clone()]);
                let position = a.iter().zip(b).take_while(|(a, b)| a == b).count();
                let sizes = format!("{} and {} bytes", a.len(), b.len());
                parts.push(format!(
                    "section {name} ({sizes}): the first other byte is at {position}"
                ));
            }
            _ => parts.push(format!("section {name} is there once")),
        }
    }
    Ok(match parts.is_empty() {
        true => "the same sections, in another order".to_owned(),
        false => parts.join("; "),
    })
}

fn functions(one: &[u8], two: &[u8]) -> Result<String> {
    let (one, two) = (Module::parse(one)?, Module::parse(two)?);
    if one.bodies.len() != two.bodies.len() {
        return Ok(format!("{} and {} functions", one.bodies.len(), two.bodies.len()));
    }
    let mut differing = Vec::new();
    for (position, (a, b)) in one.bodies.iter().zip(&two.bodies).enumerate() {
        if a.as_bytes() != b.as_bytes() {
            let index = one.first_local() + position as u32;
            differing.push(format!("{index} {}", one.name(index)));
        }
    }
    let count = differing.len();
    differing.truncate(FUNCTIONS_MAX);
    Ok(format!("{count} functions, such as {}", differing.join(", ")))
}

/// Sections by name; a custom section's is its own. Of several with one name the last counts.
fn sections(data: &[u8]) -> Result<BTreeMap<String, Range<usize>>> {
    const NAMES: [&str; 14] = [
        "custom",
        "type",
        "import",
        "function",
        "table",
        "memory",
        "global",
        "export",
        "start",
        "element",
        "code",
        "data",
        "data count",
        "tag",
    ];
    let mut sections = BTreeMap::new();
    for payload in Parser::new(0).parse_all(data) {
        let payload = payload?;
        if let Payload::CustomSection(section) = &payload {
            sections.insert(format!("`{}`", section.name()), section.range());
        } else if let Some((id, range)) = payload.as_section() {
            let name = NAMES.get(usize::from(id)).copied().unwrap_or("unknown");
            sections.insert(name.to_owned(), range);
        }
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let module = |body: &str, data: &str| {
            let text = format!(
                "(module (memory 1) (func $same (drop (i32.const 1))) (func $other (drop (i32.const {body})))
                    (data (i32.const 0) \"{data}\"))"
            );
            wat::parse_str(text).unwrap()
        };
        let difference = |one: &[u8], two: &[u8]| describe(one, two).unwrap();
        let base = module("1", "a");
        let code = difference(&base, &module("2", "a"));
        assert!(
            code.contains("section code") && code.contains("1 functions, such as 1 other"),
            "{code}"
        );
        assert!(!code.contains("section data"), "{code}");
        let data = difference(&base, &module("1", "b"));
        assert!(
            data.contains("section data (7 and 7 bytes)") && !data.contains("code"),
            "{data}"
        );
        let once = difference(&base, &wat::parse_str("(module (memory 1))").unwrap());
        assert!(once.contains("section data is there once"), "{once}");
    }
}
