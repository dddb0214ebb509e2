//! Workers, servers and stores that are killed in the middle of jobs.

use crate::house::{House, draw, drawn};
use crate::proxy::Proxy;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

/// A job that uploads parts for some seconds.
pub fn upload(id: &str, seconds: u32, output: &str) -> Value {
    let source = format!("testsrc2=size=640x360:rate=25:duration={seconds},format=uyvy422");
    json!({
        "id": id, "outputs": {"out.nut": output},
        "args": ["-v", "error", "-re", "-f", "lavfi", "-i", source, "-c:v", "rawvideo", "out.nut"],
    })
}

#[test]
fn a_job_of_a_killed_worker_is_done_by_another() {
    let house = House::new();
    let mut one = house.worker_at(house.nats.port, "one", &["--jobs", "2"]);
    let jobs = [
        upload("large", 4, "s3://media/large.nut"),
        draw("small", 15.0, true, &house.file("small.mp4")),
    ];
    house.submit(&jobs);
    house.wait_until(&jobs[0], "running");
    house.wait_until(&jobs[1], "running");
    let started = Instant::now();
    while house.store.unfinished().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "no part is there");
        thread::sleep(Duration::from_millis(20));
    }
    one.kill();
    let _two = house.worker("two");
    for result in house.results(&jobs) {
        assert_eq!(
            (&result["status"], &result["worker"]),
            (&json!("done"), &json!("two")),
            "{result}"
        );
        assert_eq!(result["attempts"], 2, "{result}");
    }
    assert!(house.store.object("media/large.nut").unwrap().len() > 34_000_000);
    assert_eq!(
        house.store.unfinished(),
        Vec::<String>::new(),
        "the first worker's parts are gone"
    );
    assert!(std::fs::read(house.shared("small.mp4")).unwrap().len() > 1000);
    let names: Vec<_> = std::fs::read_dir(house.shared("")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn a_worker_that_has_lost_its_job_does_not_touch_the_output() {
    let house = House::new();
    let mut one = house.worker_at(house.nats.port, "one", &["--jobs", "1"]);
    let jobs = [
        upload("large", 3, "s3://media/large.nut"),
        draw("small", 3.0, true, &house.file("small.mp4")),
    ];
    let ends = |job: &Value, name: &str| {
        house.submit(std::slice::from_ref(job));
        house.wait_until(job, "running");
        thread::sleep(Duration::from_millis(1500));
        // It sleeps past its lease, as a machine that is suspended does.
        one.signal(libc::SIGSTOP);
        let two = house.worker("two");
        let result = house.results(std::slice::from_ref(job)).remove(0);
        assert_eq!(
            (&result["status"], &result["worker"]),
            (&json!("done"), &json!("two")),
            "{result}"
        );
        drop(two);
        // If the first one gave the output its name now, it would come back.
        std::fs::remove_file(house.folder.path().join(name)).unwrap();
        one.signal(libc::SIGCONT);
        thread::sleep(Duration::from_secs(5));
        assert!(!house.folder.path().join(name).exists());
        assert!(
            house.log("one").contains("taken over by another worker"),
            "{}",
            house.log("one")
        );
        assert_eq!(house.status(job)["outcome"], result);
    };
    ends(&jobs[0], "store/media/large.nut");
    ends(&jobs[1], "shared/small.mp4");
    one.kill();
}

#[test]
fn a_server_that_is_killed_loses_nothing() {
    let mut house = House::new();
    let jobs: Vec<Value> = (0..6)
        .map(|index| draw(&index.to_string(), 3.0, true, &format!("s3://media/{index}.mp4")))
        .collect();
    let _workers = [house.worker("one"), house.worker("two")];
    house.submit(&jobs);
    house.wait_until(&jobs[0], "running");
    thread::sleep(Duration::from_secs(1));
    for _ in 0..2 {
        house.nats.kill();
        thread::sleep(Duration::from_secs(1));
        house.nats.start_again(&["-js"]);
        thread::sleep(Duration::from_secs(1));
    }
    for result in house.results(&jobs) {
        assert_eq!(result["status"], "done", "{result}");
        let name = format!("media/{}.mp4", result["id"].as_str().unwrap());
        assert!(house.store.object(&name).unwrap() == drawn(3.0), "{name} is whole");
    }
}

#[test]
fn a_store_that_is_away_is_waited_for() {
    let mut house = House::new();
    let _worker = house.worker("one");
    let jobs = [
        upload("large", 4, "s3://media/large.nut"),
        draw("small", 3.0, true, "s3://media/small.mp4"),
    ];
    house.submit(&jobs);
    house.wait_until(&jobs[0], "running");
    thread::sleep(Duration::from_secs(2));
    house.store.kill();
    // Longer than requests are tried again for.
    thread::sleep(Duration::from_secs(20));
    house.store.start_again();
    for result in house.results(&jobs) {
        assert_eq!(result["status"], "done", "{result}");
    }
    assert!(house.store.object("media/large.nut").unwrap().len() > 34_000_000);
    assert_eq!(house.store.object("media/small.mp4").unwrap(), drawn(3.0));
}

#[test]
fn a_worker_behind_a_broken_network_loses_its_job() {
    let house = House::new();
    let proxy = Proxy::to(house.nats.port);
    let _one = house.worker_at(proxy.port, "one", &[]);
    let job = draw("small", 3.0, true, &house.file("small.mp4"));
    house.submit(std::slice::from_ref(&job));
    house.wait_until(&job, "running");
    proxy.cut();
    let _two = house.worker("two");
    let result = house.results(std::slice::from_ref(&job)).remove(0);
    assert_eq!(
        (&result["status"], &result["worker"]),
        (&json!("done"), &json!("two")),
        "{result}"
    );
    std::fs::remove_file(house.shared("small.mp4")).unwrap();
    proxy.mend();
    // It works again, and has not named what it had made.
    drop(_two);
    let next = draw("next", 1.0, false, &house.file("next.mp4"));
    let result = house.results(&[next]).remove(0);
    assert_eq!(
        (&result["status"], &result["worker"]),
        (&json!("done"), &json!("one")),
        "{result}"
    );
    assert!(!house.shared("small.mp4").exists());
}

#[test]
fn a_worker_that_is_told_to_end_finishes_or_puts_back() {
    let house = House::new();
    let mut one = house.worker_at(house.nats.port, "one", &["--grace", "4", "--jobs", "2"]);
    let short = draw("short", 2.0, true, "s3://media/short.mp4");
    let long = draw("long", 12.0, true, "s3://media/long.mp4");
    house.submit(&[short.clone(), long.clone()]);
    house.wait_until(&short, "running");
    house.wait_until(&long, "running");
    one.terminate();
    assert!(one.0.wait().unwrap().success(), "{}", house.log("one"));
    assert_eq!(house.status(&short)["outcome"]["worker"], "one");
    assert_eq!(house.status(&long)["status"], "queued");
    let _two = house.worker("two");
    let result = house.results(&[long]).remove(0);
    assert_eq!(
        (&result["status"], &result["worker"]),
        (&json!("done"), &json!("two")),
        "{result}"
    );
    assert_eq!(result["attempts"], 1, "one that was put back does not count");
}

#[test]
fn a_job_that_ends_its_worker_each_time_is_given_up() {
    let house = House::new();
    std::fs::write(house.folder.path().join("policy.toml"), "attempts_max = 2").unwrap();
    let job = upload("poison", 300, "s3://media/poison.nut");
    house.submit(std::slice::from_ref(&job));
    for name in ["one", "two"] {
        let mut worker = house.worker_at(house.nats.port, name, &["--policy", "policy.toml"]);
        let started = Instant::now();
        while house.status(&job)["worker"] != name {
            assert!(started.elapsed() < Duration::from_secs(60));
            thread::sleep(Duration::from_millis(50));
        }
        house.wait_for("a part", || house.store.unfinished().len() == 1);
        worker.kill();
    }
    let _three = house.worker_at(house.nats.port, "three", &["--policy", "policy.toml"]);
    let status = house.wait_until(&job, "failed");
    assert!(
        status["outcome"]["error"]
            .as_str()
            .unwrap()
            .contains("given up after 2 attempts"),
        "{status}"
    );
    assert_eq!(
        house.store.unfinished(),
        Vec::<String>::new(),
        "what its workers have begun is ended"
    );
}
