//! Workers, servers and stores that are killed at any moment, again and again.

use crate::house::{House, draw, drawn};
use crate::losses::upload;
use crate::servers::Process;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

/// Numbers that repeat.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn nothing_is_lost(seed: u64, kills: u32) {
    let mut house = House::new();
    std::fs::write(house.folder.path().join("policy.toml"), "attempts_max = 100").unwrap();
    let start = |house: &House, name: &str| house.worker_at(house.nats.port, name, &["--policy", "policy.toml"]);
    let mut workers: Vec<(&str, Process)> = ["one", "two"].map(|name| (name, start(&house, name))).into();
    let mut jobs = Vec::new();
    for index in 0..6 {
        let seconds = 1.0 + f64::from(index % 3);
        jobs.push((
            draw(
                &format!("store {index}"),
                seconds,
                true,
                &format!("s3://media/{index}.mp4"),
            ),
            seconds,
        ));
        jobs.push((
            draw(
                &format!("folder {index}"),
                seconds,
                true,
                &house.file(&format!("{index}.mp4")),
            ),
            seconds,
        ));
    }
    let large: Vec<Value> = (0..3)
        .map(|index| upload(&format!("large {index}"), 2, &format!("s3://media/{index}.nut")))
        .collect();
    let all: Vec<Value> = jobs.iter().map(|(job, _)| job.clone()).chain(large).collect();
    house.submit(&all);
    let mut random = Random(seed);
    for _ in 0..kills {
        thread::sleep(Duration::from_millis(200 + random.below(2500)));
        let pause = Duration::from_millis(random.below(1500));
        match random.below(4) {
            0 => {
                house.nats.kill();
                thread::sleep(pause);
                house.nats.start_again(&["-js"]);
            }
            1 => {
                house.store.kill();
                thread::sleep(pause);
                house.store.start_again();
            }
            which => {
                let (name, worker) = &mut workers[which as usize - 2];
                worker.kill();
                thread::sleep(pause);
                *worker = start(&house, name);
            }
        }
    }
    let results = house.results(&all);
    let ids: BTreeSet<&str> = results.iter().map(|result| result["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), all.len(), "each has one result");
    for result in &results {
        assert_eq!(result["status"], "done", "{result}");
    }
    for (job, seconds) in &jobs {
        let address = job["outputs"]["out.mp4"].as_str().unwrap();
        let made = match address.strip_prefix("s3://") {
            Some(key) => house.store.object(key),
            None => std::fs::read(address.strip_prefix("file://").unwrap()).ok(),
        };
        assert!(made.unwrap() == drawn(*seconds), "{address} is whole");
    }
    let sizes: BTreeSet<usize> = (0..3)
        .map(|index| house.store.object(&format!("media/{index}.nut")).unwrap().len())
        .collect();
    assert!(
        sizes.len() == 1 && sizes.iter().all(|size| *size > 17_000_000),
        "{sizes:?}"
    );
    house.wait_for("the queue is empty", || house.queued() == 0);
    assert_eq!(house.store.unfinished(), Vec::<String>::new());
    let files: Vec<_> = std::fs::read_dir(house.shared("")).unwrap().collect();
    assert_eq!(files.len(), 6, "nothing unfinished is left: {files:?}");
    let attempts: u64 = results.iter().map(|result| result["attempts"].as_u64().unwrap()).sum();
    println!("seed {seed}: {} jobs, {attempts} attempts, {kills} kills", all.len());
    assert_eq!(house.status(&all[0])["outcome"]["status"], json!("done"));
}

#[test]
fn nothing_is_lost_when_all_parts_are_killed_at_any_moment() {
    nothing_is_lost(1, 8);
}

#[test]
#[ignore = "it takes minutes"]
fn nothing_is_lost_with_many_seeds() {
    for seed in 2..12 {
        nothing_is_lost(seed, 20);
    }
}
