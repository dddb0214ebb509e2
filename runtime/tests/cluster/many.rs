//! Many small jobs: none lost, none done twice.

use crate::house::House;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

fn pictures(house: &House, count: usize) -> Vec<Value> {
    (0..count)
        .map(|index| {
            let source = format!("color=c=0x{:06x}:size=32x32:duration=0.04", index * 7);
            json!({
                "id": format!("{index:05}"),
                "args": ["-v", "error", "-f", "lavfi", "-i", source, "-frames:v", "1", "out.png"],
                "outputs": {"out.png": house.file(&format!("{index:05}.png"))},
            })
        })
        .collect()
}

fn all_are_done_once(count: usize) {
    let house = House::new();
    let mut killed = house.worker("one");
    let _workers = [house.worker("two"), house.worker("three")];
    let jobs = pictures(&house, count);
    let started = Instant::now();
    house.submit(&jobs[..count / 2]);
    // In the middle of some.
    killed.kill();
    let results = house.results(&jobs);
    println!("{count} jobs in {:?}", started.elapsed());
    let mut attempts = BTreeMap::new();
    for (result, job) in results.iter().zip(&jobs) {
        assert_eq!(
            (&result["status"], &result["id"]),
            (&json!("done"), &job["id"]),
            "{result}"
        );
        *attempts.entry(result["attempts"].as_u64().unwrap()).or_insert(0) += 1;
        let name = format!("{}.png", job["id"].as_str().unwrap());
        assert!(
            std::fs::read(house.shared(&name)).unwrap().ends_with(b"IEND\xaeB`\x82"),
            "{name} is whole"
        );
    }
    // Only those that the killed worker had were begun again.
    let again: usize = attempts
        .iter()
        .filter(|(count, _)| **count > 1)
        .map(|(_, jobs)| jobs)
        .sum();
    assert!(again <= 2, "{attempts:?}");
    let names = std::fs::read_dir(house.shared("")).unwrap().count();
    assert_eq!(names, count, "nothing unfinished is left");
}

#[test]
fn hundreds_of_jobs_are_done_once_each() {
    all_are_done_once(300);
}

#[test]
#[ignore = "it takes minutes"]
fn ten_thousand_jobs_are_done_once_each() {
    all_are_done_once(10_000);
}
