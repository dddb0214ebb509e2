//! Plausible host calls, and some that are not, for libFuzzer to explore.

#![no_main]

#[path = "../../tests/support/hostile_calls.rs"]
mod hostile_calls;
#[path = "../../tests/support/mod.rs"]
mod support;

use hostile_calls::{Choices, Place};
use std::cell::RefCell;

thread_local! {
    static PLACE: RefCell<Place> = RefCell::new(Place::new());
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| PLACE.with_borrow_mut(|place| {
    let run = hostile_calls::run(place, &mut Choices::Given(data));
    if let Err(fault) = run {
        panic!("{fault}");
    }
}));
