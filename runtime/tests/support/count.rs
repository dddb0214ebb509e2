//! Counts that the environment sets.
#![allow(dead_code, reason = "each test program uses a part of this")]

/// The count that a variable sets. None at all would be a test that tests nothing.
pub fn of(variable: &str, otherwise: u32) -> u32 {
    let Some(set) = std::env::var_os(variable) else {
        return otherwise;
    };
    let count = set.to_str().and_then(|count| count.parse().ok());
    match count {
        Some(count) if count > 0 => count,
        _ => panic!("{variable} is {set:?}: set a number from 1 on, or unset it"),
    }
}
