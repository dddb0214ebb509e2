//! Stores and disks that are full, slow or wrong, and workers that are killed at their answers.

use crate::house::{House, draw, drawn};
use crate::inputs;
use crate::losses::upload;
use crate::proxy::Proxy;
use crate::servers::Fault;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

const PUT: Fault = Fault {
    method: Some("PUT"),
    address: "",
    status: None,
    delay_before: Duration::ZERO,
    delay_after: Duration::ZERO,
};

fn refuses(status: u16, code: &'static str) -> [Fault; 1] {
    [Fault {
        status: Some((status, code)),
        ..PUT
    }]
}

#[test]
fn a_full_store_is_named_and_used_again_when_there_is_room() {
    let house = House::new();
    let _worker = house.worker("one");
    for (id, status, code) in [("a", 507, "XMinioStorageFull"), ("b", 403, "QuotaExceeded")] {
        house.store.fail(&refuses(status, code));
        let job = draw(id, 1.0, false, &format!("s3://media/{id}.mp4"));
        house.submit(std::slice::from_ref(&job));
        house.wait_for("the store is full", || {
            house
                .log("one")
                .contains(&format!("s3://media/{id}.mp4: the store is full"))
        });
        assert!(house.log("one").contains(code), "{}", house.log("one"));
        house.store.fail(&[]);
        let result = house.results(&[job]).remove(0);
        assert_eq!(result["status"], "done", "{result}");
        assert_eq!(house.store.object(&format!("media/{id}.mp4")).unwrap(), drawn(1.0));
    }
}

#[test]
fn what_is_too_large_for_a_store_is_not_tried_again() {
    let house = House::new();
    let _worker = house.worker("one");
    house.store.fail(&refuses(400, "EntityTooLarge"));
    let result = house.results(&[draw("a", 1.0, false, "s3://media/a.mp4")]).remove(0);
    assert_eq!(
        (&result["status"], &result["attempts"]),
        (&json!("failed"), &json!(1)),
        "{result}"
    );
    assert!(
        result["error"].as_str().unwrap().contains("too large for the store"),
        "{result}"
    );
}

#[test]
fn a_worker_whose_clock_is_wrong_leaves_its_job_to_others() {
    let house = House::new();
    fs::write(house.folder.path().join("policy.toml"), "attempts_max = 2").unwrap();
    let _worker = house.worker_at(house.nats.port, "one", &["--policy", "policy.toml"]);
    house.store.fail(&refuses(403, "RequestTimeTooSkewed"));
    let result = house.results(&[draw("a", 1.0, false, "s3://media/a.mp4")]).remove(0);
    assert_eq!(
        (&result["status"], &result["attempts"]),
        (&json!("failed"), &json!(2)),
        "{result}"
    );
    assert!(result["error"].as_str().unwrap().contains("clock"), "{result}");
}

#[test]
fn a_slow_store_costs_no_lease() {
    let house = House::new();
    fs::copy(inputs::video(), house.folder.path().join("store/media/in.mp4")).unwrap();
    let _workers = [house.worker("one"), house.worker("two")];
    house.store.fail(&[Fault {
        method: None,
        // Longer than a third of the lease, and together longer than all of it.
        delay_before: Duration::from_millis(900),
        ..PUT
    }]);
    let copy = json!({
        "id": "copy", "args": ["-v", "error", "-i", "in.mp4", "-c", "copy", "out.mp4"],
        "inputs": {"in.mp4": "s3://media/in.mp4"}, "outputs": {"out.mp4": "s3://media/out.mp4"},
    });
    let results = house.results(&[copy, upload("large", 2, "s3://media/large.nut")]);
    for result in results {
        assert_eq!(
            (&result["status"], &result["attempts"]),
            (&json!("done"), &json!(1)),
            "{result}"
        );
    }
    assert_eq!(house.store.unfinished(), Vec::<String>::new());
}

#[test]
fn a_store_and_a_server_that_hang_for_a_while_lose_nothing() {
    let house = House::new();
    let _worker = house.worker("one");
    let jobs = [
        upload("large", 4, "s3://media/large.nut"),
        draw("small", 4.0, true, "s3://media/small.mp4"),
    ];
    house.submit(&jobs);
    house.wait_until(&jobs[0], "running");
    house.wait_until(&jobs[1], "running");
    // Longer than the lease: the server counts on when it wakes, and gives the job to whoever asks.
    house.nats.signal(libc::SIGSTOP);
    thread::sleep(Duration::from_secs(4));
    house.nats.signal(libc::SIGCONT);
    for result in house.results(&jobs) {
        assert_eq!(result["status"], "done", "{result}");
    }
    assert!(house.store.object("media/large.nut").unwrap().len() > 34_000_000);
    assert_eq!(house.store.object("media/small.mp4").unwrap(), drawn(4.0));
    assert_eq!(house.store.unfinished(), Vec::<String>::new());
}

#[test]
fn an_input_that_vanishes_or_changes_is_named_and_leaves_no_output() {
    let house = House::new();
    let _worker = house.worker("one");
    let inputs = ["gone.nut", "changed.nut"];
    let make: Vec<Value> = inputs
        .iter()
        .map(|name| {
            let mut job = upload(&format!("make {name}"), 3, &format!("s3://media/{name}"));
            let args = job["args"].as_array_mut().unwrap();
            args.retain(|arg| arg != "-re");
            job
        })
        .collect();
    for result in house.results(&make) {
        assert_eq!(result["status"], "done", "{result}");
    }
    let read: Vec<Value> = inputs
        .iter()
        .map(|name| {
            json!({
                "id": name, "args": ["-v", "error", "-re", "-i", "in.nut", "-c:v", "libx264", "-preset", "ultrafast", "out.mp4"],
                "inputs": {"in.nut": format!("s3://media/{name}")}, "outputs": {"out.mp4": format!("s3://media/{name}.mp4")},
            })
        })
        .collect();
    house.submit(&read);
    read.iter().for_each(|job| drop(house.wait_until(job, "running")));
    thread::sleep(Duration::from_millis(700));
    let object = |name: &str| house.folder.path().join("store/media").join(name);
    fs::remove_file(object("gone.nut")).unwrap();
    // Another one gets its name, as who puts an object again does it.
    let put = draw("other", 1.0, false, "s3://media/changed.nut");
    let mut put = put;
    put["args"]
        .as_array_mut()
        .unwrap()
        .splice(6.., ["-f", "mp4", "out.mp4"].map(Value::from));
    let results = house.results(&[put, read[0].clone(), read[1].clone()]);
    let of = |id: &str| results.iter().find(|result| result["id"] == id).unwrap();
    assert_eq!(of("other")["status"], "done", "{results:?}");
    for (id, reason) in [
        ("gone.nut", "no such object"),
        ("changed.nut", "changed while it was read"),
    ] {
        assert_eq!(
            (&of(id)["status"], &of(id)["attempts"]),
            (&json!("failed"), &json!(1)),
            "{results:?}"
        );
        assert!(of(id)["error"].as_str().unwrap().contains(reason), "{results:?}");
        assert_eq!(house.store.object(&format!("media/{id}.mp4")), None);
    }
}

#[test]
fn a_worker_that_is_killed_while_it_waits_for_the_end_of_its_upload_has_another_end_it() {
    let house = House::new();
    let mut one = house.worker("one");
    // The store has done it, and does not say so.
    house.store.fail(&[Fault {
        method: Some("POST"),
        address: "uploadId=",
        delay_after: Duration::from_secs(3600),
        ..PUT
    }]);
    let job = upload("large", 2, "s3://media/large.nut");
    house.submit(std::slice::from_ref(&job));
    house.wait_for("the object", || house.store.object("media/large.nut").is_some());
    one.kill();
    house.store.fail(&[]);
    let before = house.store.object("media/large.nut").unwrap();
    let _two = house.worker("two");
    let result = house.results(&[job]).remove(0);
    assert_eq!(
        (&result["status"], &result["attempts"]),
        (&json!("done"), &json!(2)),
        "{result}"
    );
    assert!(house.store.object("media/large.nut").unwrap() == before);
    assert_eq!(house.store.unfinished(), Vec::<String>::new());
}

#[test]
fn a_job_that_is_done_and_not_acknowledged_is_not_done_again() {
    let house = House::new();
    let proxy = Proxy::to(house.nats.port);
    // Cut before the first acknowledgement; signs of life are others.
    proxy.cut_before(b"+ACK");
    let mut one = house.worker_at(proxy.port, "one", &[]);
    let job = draw("1", 1.0, false, &house.file("1.mp4"));
    house.submit(std::slice::from_ref(&job));
    house.wait_until(&job, "done");
    house.wait_for("the acknowledgement", || proxy.is_cut());
    one.kill();
    let before = fs::metadata(house.shared("1.mp4")).unwrap();
    let _two = house.worker("two");
    house.wait_for("the queue is empty", || house.queued() == 0);
    let after = fs::metadata(house.shared("1.mp4")).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec()),
        "the file is that of the first worker"
    );
    let status = house.status(&job);
    assert_eq!(
        (&status["attempts"], &status["worker"]),
        (&json!(1), &json!("one")),
        "{status}"
    );
    assert!(!house.log("two").contains("done in"), "{}", house.log("two"));
}

#[test]
fn a_worker_that_is_told_to_end_while_its_store_fails_puts_its_job_back_whole() {
    let house = House::new();
    let mut one = house.worker_at(house.nats.port, "one", &["--grace", "4"]);
    let job = draw("1", 2.0, true, "s3://media/1.mp4");
    house.submit(std::slice::from_ref(&job));
    house.wait_until(&job, "running");
    house.store.fail(&refuses(500, "InternalError"));
    one.terminate();
    assert!(one.0.wait().unwrap().success(), "{}", house.log("one"));
    assert_eq!(house.status(&job)["status"], "queued", "{}", house.log("one"));
    house.store.fail(&[]);
    let _two = house.worker("two");
    let result = house.results(&[job]).remove(0);
    assert_eq!(
        (&result["status"], &result["worker"]),
        (&json!("done"), &json!("two")),
        "{result}"
    );
    assert_eq!(house.store.object("media/1.mp4").unwrap(), drawn(2.0));
}

#[test]
fn programs_that_are_left_behind_in_a_store_that_hangs_do_not_stop_a_worker() {
    let house = House::new();
    let _worker = house.worker_at(house.nats.port, "one", &["--jobs", "2"]);
    house.store.fail(&[Fault {
        address: "partNumber",
        delay_before: Duration::from_secs(3600),
        ..PUT
    }]);
    let hanging = ["a", "b"].map(|id| {
        json!({
            "id": id, "timeout": 6, "stdout": format!("s3://media/{id}.nut"),
            "args": [
                "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=20,format=uyvy422",
                "-c:v", "rawvideo", "-f", "nut", "pipe:1",
            ],
        })
    });
    house.submit(&hanging);
    for job in &hanging {
        house.wait_until(job, "failed");
    }
    let result = house
        .results(&[draw("after", 1.0, false, "s3://media/after.mp4")])
        .remove(0);
    assert_eq!(result["status"], "done", "{result}");
    assert_eq!(house.store.unfinished(), Vec::<String>::new());
}

#[test]
fn who_has_lost_a_job_and_hears_no_server_does_not_put_over_the_next_ones_output() {
    let house = House::new();
    let proxy = Proxy::to(house.nats.port);
    let one = house.worker_at(proxy.port, "one", &[]);
    // The first worker's request is on its way so long.
    house.store.fail(&[Fault {
        address: "small.mp4",
        delay_before: Duration::from_secs(14),
        ..PUT
    }]);
    let job = draw("small", 1.0, false, "s3://media/small.mp4");
    house.submit(std::slice::from_ref(&job));
    house.wait_for("its naming", || house.state(&job)["phase"] == "naming");
    thread::sleep(Duration::from_secs(1));
    proxy.cut();
    house.store.fail(&[]);
    let _two = house.worker("two");
    let result = house.results(std::slice::from_ref(&job)).remove(0);
    assert_eq!(
        (&result["status"], &result["worker"]),
        (&json!("done"), &json!("two")),
        "{result}"
    );
    let file = || fs::metadata(house.folder.path().join("store/media/small.mp4")).unwrap();
    let before = file();
    thread::sleep(Duration::from_secs(18));
    proxy.mend();
    house.wait_for("it learns that", || {
        house.log("one").contains("taken over by another worker")
    });
    let after = file();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec()),
        "the object is that of the second worker"
    );
    drop(one);
}

/// The folders in a house's spool folder.
fn spooled(house: &House) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(house.folder.path().join("spool")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

#[test]
fn what_a_killed_worker_has_spooled_is_removed_and_what_a_living_one_has_is_not() {
    let house = House::new();
    let mut job = draw("1", 300.0, true, &house.file("1.mp4"));
    let args = job["args"].as_array_mut().unwrap();
    let last = args.len() - 1;
    args.splice(last..last, ["-movflags", "+faststart"].map(Value::from));
    let mut one = house.worker("one");
    house.submit(std::slice::from_ref(&job));
    house.wait_for("its folder", || spooled(&house).len() == 1);
    let killed = spooled(&house);
    one.kill();
    let _two = house.worker("two");
    house.wait_for("another's folder", || {
        let found = spooled(&house);
        found.len() == 1 && found != killed
    });
    let living = spooled(&house);
    let _three = house.worker("three");
    house.wait_for("a third", || house.log("three").contains("at a time"));
    assert_eq!(spooled(&house), living);
    assert_eq!(fs::read_dir(&living[0]).unwrap().count(), 1);
}

#[test]
fn a_folder_may_have_more_files_than_a_worker_may_have_open() {
    let house = House::new();
    let mut few = std::process::Command::new("sh");
    few.args(["-c", "ulimit -n 150; exec \"$@\"", "sh"]);
    let _worker = house.worker_under(&mut few, "one", &[]);
    let pictures = |id: &str, address: String| {
        json!({
            "id": id, "outputs": {"pictures/": address},
            "args": ["-v", "error", "-f", "lavfi", "-i", "testsrc=size=32x32:duration=12", "pictures/%03d.png"],
        })
    };
    let jobs = [
        pictures("folder", house.file("folder")),
        pictures("store", "s3://media/folder".to_owned()),
    ];
    for result in house.results(&jobs) {
        assert_eq!(result["status"], "done", "{result}");
    }
    for folder in [house.shared("folder"), house.folder.path().join("store/media/folder")] {
        let names = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name());
        let pictures = names.filter(|name| name.to_string_lossy().starts_with(|first: char| first.is_ascii_digit()));
        assert_eq!(pictures.count(), 300);
    }
    for job in &jobs {
        assert_eq!(house.state(job)["uploads"], Value::Null, "nothing is begun");
    }
}

#[test]
#[ignore = "it mounts a small file system, in a name space of its own"]
fn a_full_spool_folder_is_named_and_used_again_when_there_is_room() {
    let house = House::new();
    let spool = house.folder.path().join("spool");
    let mut mounted = std::process::Command::new("unshare");
    mounted
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=2m none \"$0\" && dd if=/dev/zero of=\"$0/full\" bs=1k count=1900 2>/dev/null; exec \"$@\"")
        .arg(&spool);
    let worker = house.worker_under(&mut mounted, "one", &[]);
    let mut job = draw("1", 8.0, false, &house.file("1.mp4"));
    let args = job["args"].as_array_mut().unwrap();
    let last = args.len() - 1;
    args.splice(last..last, ["-movflags", "+faststart"].map(Value::from));
    house.submit(std::slice::from_ref(&job));
    house.wait_for("the folder is full", || {
        house.log("one").contains("the spool folder is full")
    });
    let inside = format!("/proc/{}/root{}", worker.0.id(), spool.join("full").display());
    fs::remove_file(inside).unwrap();
    let result = house.results(&[job]).remove(0);
    assert_eq!(result["status"], "done", "{result}: {}", house.log("one"));
}

#[test]
#[ignore = "it mounts a small file system, in a name space of its own"]
fn a_full_disk_is_named_and_used_again_when_there_is_room() {
    let house = House::new();
    let small = house.shared("small");
    fs::create_dir(&small).unwrap();
    let mut mounted = std::process::Command::new("unshare");
    mounted
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=2m none \"$0\" && dd if=/dev/zero of=\"$0/full\" bs=1k count=2000 2>/dev/null; exec \"$@\"")
        .arg(&small);
    let worker = house.worker_under(&mut mounted, "one", &[]);
    let job = draw("1", 4.0, false, &house.file("small/1.mp4"));
    house.submit(std::slice::from_ref(&job));
    house.wait_for("the disk is full", || {
        house.log("one").contains("No space left on device")
    });
    let inside = format!("/proc/{}/root{}", worker.0.id(), small.join("full").display());
    fs::remove_file(inside).unwrap();
    let result = house.results(&[job]).remove(0);
    assert_eq!(result["status"], "done", "{result}: {}", house.log("one"));
    let inside = format!("/proc/{}/root{}", worker.0.id(), small.join("1.mp4").display());
    assert_eq!(fs::read(inside).unwrap(), drawn(4.0));
}
