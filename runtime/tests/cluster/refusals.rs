//! What cannot be done is named, and the worker goes on.

use crate::house::{House, draw, lines, words};
use crate::servers::{Nats, free_port};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

#[test]
fn a_job_that_cannot_be_done_fails_with_a_reason() {
    let house = House::new();
    let _worker = house.worker("one");
    symlink("/etc/hostname", house.shared("link")).unwrap();
    let read =
        |id: &str, address: &str| json!({"id": id, "args": ["-i", "in", "-f", "null", "-"], "inputs": {"in": address}});
    let asks = |id: &str, key: &str, value: Value| {
        let mut job = draw(id, 1.0, false, "s3://media/x.mp4");
        job[key] = value;
        job
    };
    let jobs = [
        (read("01", "s3://media/missing.mp4"), "no such object"),
        (read("02", "s3://other/in.mp4"), "does not allow to read it"),
        (read("03", "file:///etc/passwd"), "does not allow to read it"),
        (read("04", &house.file("link")), "link"),
        (read("05", &house.file("missing")), "missing"),
        (read("06", "ftp://host/x"), "`ftp:` is none of"),
        (draw("07", 1.0, false, "s3://other/x.mp4"), "does not allow to write it"),
        (
            asks("08", "limits", json!({"memory_max_bytes": 1_u64 << 40})),
            "memory_max_bytes",
        ),
        (asks("09", "module", json!("sha256:00")), "no module sha256:00"),
        (
            asks(
                "10",
                "args",
                json!(["-f", "lavfi", "-i", "testsrc=duration=1", "-c:v", "nonsense", "out.mp4"]),
            ),
            "ncoder",
        ),
        (
            asks(
                "11",
                "args",
                json!([
                    "-v",
                    "error",
                    "-f",
                    "lavfi",
                    "-i",
                    "testsrc=duration=1",
                    "-f",
                    "null",
                    "-"
                ]),
            ),
            "has written nothing",
        ),
        (asks("12", "timeout", json!(1e12)), "timeout"),
    ];
    let results = house.results(&jobs.clone().map(|(job, _)| job));
    for (result, (job, reason)) in results.iter().zip(&jobs) {
        assert_eq!(
            (&result["id"], &result["status"]),
            (&job["id"], &json!("failed")),
            "{result}"
        );
        assert!(result["error"].as_str().unwrap().contains(reason), "{result}: {reason}");
        assert_eq!(result["attempts"], 1, "{result}");
    }
    assert_eq!(
        house.results(&[draw("after", 1.0, false, "s3://media/after.mp4")])[0]["status"],
        "done"
    );
}

/// What a program in another language might put there.
pub fn publish(port: u16, subject: &str, payload: &[u8]) {
    use std::io::{BufRead, BufReader, Write};
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    lines.next().unwrap().unwrap();
    let head = format!("CONNECT {{\"verbose\":false}}\r\nPUB {subject} {}\r\n", payload.len());
    let mut whole = head.into_bytes();
    whole.extend([payload, b"\r\nPING\r\n"].concat());
    (&stream).write_all(&whole).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "PONG");
}

#[test]
fn what_is_no_job_ends_in_the_stream_of_dead_letters() {
    let house = House::new();
    let _worker = house.worker("one");
    assert_eq!(
        house.results(&[draw("before", 1.0, false, "s3://media/x.mp4")])[0]["status"],
        "done"
    );
    for (subject, payload) in [
        ("a", &b"no JSON"[..]),
        ("b", b"\xff\xfe"),
        ("c", br#"{"version": 7, "id": "x", "args": []}"#),
    ] {
        publish(house.nats.port, &format!("afmpeg.jobs.{subject}"), payload);
    }
    house.results(&[
        draw("bad", 1.0, false, "s3://media/x.mp4"),
        json!({"id": "poison", "args": ["-i", "nothing", "out.mp4"]}),
    ]);
    let letters = house.letters(4);
    let reason_of = |job: &str| {
        let letter = letters
            .iter()
            .find(|letter| letter["job"].as_str().unwrap().contains(job));
        letter.unwrap()["outcome"]["error"].as_str().unwrap().to_owned()
    };
    assert!(reason_of("no JSON").contains("expected"));
    assert!(reason_of("\"version\": 7").contains("version is 7"));
    assert!(reason_of("\u{fffd}").contains("utf-8"));
    assert!(reason_of("poison").contains("No such file"), "in ffmpeg's words");
}

#[test]
fn what_is_too_long_or_quotes_too_much_is_done_with() {
    let house = House::new();
    let _worker = house.worker("one");
    house.results(&[draw("before", 1.0, false, "s3://media/x.mp4")]);
    // As long as the server takes them, and longer than a job may be.
    let long = "a".repeat(1_048_000);
    let unknown = format!(r#"{{"{long}":1}}"#);
    let module = json!({"version": 1, "id": "module", "args": [], "module": long}).to_string();
    // In a letter each of its quotes takes four bytes.
    let signed = json!({
        "version": 1, "id": "signed", "args": ["\"".repeat(250_000)], "module": "none",
        "inputs": {"in": "https://media.example/in?signature"},
    });
    let signed = signed.to_string();
    let payloads = [unknown, module, signed];
    for payload in &payloads {
        let key = afmpeg::cluster::Key::of(payload.as_bytes());
        publish(house.nats.port, &format!("afmpeg.jobs.{key}"), payload.as_bytes());
    }
    let letters = house.letters(3);
    for payload in &payloads {
        let key = json!(afmpeg::cluster::Key::of(payload.as_bytes()));
        let letter = letters.iter().find(|letter| letter["key"] == key).unwrap();
        assert!(letter["outcome"]["error"].as_str().unwrap().len() < 5000);
        assert!(letter["job"].as_str().unwrap().len() <= 64 << 10);
        assert!(!letter.to_string().contains("?signature"));
    }
    house.wait_for("the queue is empty", || house.queued() == 0);
}

#[test]
fn a_server_that_cannot_be_used_is_named() {
    let house = House::new();
    let list = house.list(&[draw("1", 1.0, false, "s3://media/x.mp4")]);
    let at = |address: &str| {
        let mut command = house.command(house.nats.port);
        command.env("AFMPEG_NATS", address).args(["submit", &list]);
        command.output().unwrap()
    };
    let nobody = at(&format!("nats://name:word@127.0.0.1:{}", free_port()));
    assert_eq!(nobody.status.code(), Some(5));
    assert!(
        words(&nobody).contains("no NATS server answers") && !words(&nobody).contains("word"),
        "{}",
        words(&nobody)
    );
    let folder = house.folder.path().join("other");
    let closed = Nats::start("nats-server", &folder, &["-js", "--user", "a", "--pass", "b@c"]);
    let refused = at(&format!("nats://a:wrong@127.0.0.1:{}", closed.port));
    assert!(
        words(&refused).contains("refuses these credentials"),
        "{}",
        words(&refused)
    );
    let accepted = at(&format!("nats://a:b%40c@127.0.0.1:{}", closed.port));
    assert!(accepted.status.success(), "{}", words(&accepted));
    let plain = Nats::start("nats-server", &folder, &[]);
    let without = at(&format!("nats://127.0.0.1:{}", plain.port));
    assert!(words(&without).contains("has no JetStream"), "{}", words(&without));
    let missing = house.run(&["submit", "--creds", "/nowhere", &list]);
    assert!(words(&missing).contains("/nowhere"), "{}", words(&missing));
    let nothing = house.run(&["worker"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(words(&nothing).contains("--allow"), "{}", words(&nothing));
    let list = house.folder.path().join("bad.jsonl");
    std::fs::write(&list, "{\"id\": \"1\", \"args\": []}\n{\"id\": 2}").unwrap();
    let bad = house.run(&["submit", list.to_str().unwrap()]);
    assert!(words(&bad).contains("line 2"), "{}", words(&bad));
    let unknown = house.run(&["cancel", &"0".repeat(64)]);
    assert!(words(&unknown).contains("no job has the key"), "{}", words(&unknown));
}

#[test]
fn a_stream_of_another_version_is_named() {
    let house = House::new();
    let threads = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    threads.block_on(async {
        let client = async_nats::connect(format!("nats://127.0.0.1:{}", house.nats.port))
            .await
            .unwrap();
        let config = async_nats::jetstream::stream::Config {
            name: "AFMPEG_JOBS".to_owned(),
            subjects: vec!["afmpeg.jobs.*".to_owned()],
            description: Some("afmpeg, version 0".to_owned()),
            ..Default::default()
        };
        async_nats::jetstream::new(client).create_stream(config).await.unwrap();
    });
    let output = house.run(&["submit", &house.list(&[draw("1", 1.0, false, "s3://media/x.mp4")])]);
    assert!(
        words(&output).contains("AFMPEG_JOBS") && words(&output).contains("version 0"),
        "{}",
        words(&output)
    );
    assert_eq!(lines(&output.stdout), Vec::<Value>::new());
}
