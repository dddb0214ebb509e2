//! Building twice: what repeats passes, and what differs is found where it began.

mod support;

use std::fs;

use support::{Fixture, run};

fn repro(fixture: &Fixture) -> std::process::Command {
    let mirror = fixture.mirror();
    let mirror = mirror.to_str().unwrap();
    fixture.command(&["repro", "--profile", "oz-lgpl", "--until", "zlib", "--mirror", mirror])
}

#[test]
fn a_place_and_a_umask_that_reach_the_output_are_found() {
    let fixture = Fixture::new();
    run(repro(&fixture)).expect(0, &[]);
    let archiver = fixture.sdk().join("bin/llvm-ar");
    let good = fs::read_to_string(&archiver).unwrap();
    for planted in ["pwd", "umask"] {
        fs::write(&archiver, format!("#!/bin/sh\n{planted} > \"$2\"\n")).unwrap();
        let ended = run(repro(&fixture));
        ended.expect(
            1,
            &[
                "oz-lgpl does not repeat",
                "step zlib is the first to differ",
                "libz.a",
                "the first other one",
            ],
        );
    }
    fs::write(&archiver, good).unwrap();
    run(repro(&fixture)).expect(0, &[]);
}
