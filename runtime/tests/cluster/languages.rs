//! Jobs of programs in other languages, as docs/cluster.md shows them.

use crate::house::{House, draw, words};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

fn docs() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cluster.md")).unwrap()
}

/// The first block in this language below a heading.
pub fn block(heading: &str, language: &str) -> String {
    let docs = docs();
    let (_, rest) = docs.split_once(&format!("\n{heading}\n")).unwrap();
    let (_, rest) = rest.split_once(&format!("\n```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0.to_owned()
}

fn key_of(message: &[u8]) -> String {
    digest(&SHA256, message)
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Publishes as a client that knows nothing of streams but their acknowledgements, and returns that.
fn publish(port: u16, subject: &str, message: &[u8]) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.starts_with("INFO "), "{line}");
    let head = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB answers 1\r\nPUB {subject} answers {}\r\n",
        message.len()
    );
    stream.write_all(&[head.as_bytes(), message, b"\r\n"].concat()).unwrap();
    loop {
        line.clear();
        lines.read_line(&mut line).unwrap();
        if let Some(head) = line.strip_prefix("MSG answers 1 ") {
            let mut body = vec![0; head.trim().parse().unwrap()];
            lines.read_exact(&mut body).unwrap();
            return serde_json::from_slice(&body).unwrap();
        }
        assert!(!line.is_empty(), "the connection is open");
    }
}

#[test]
fn a_message_as_the_docs_describe_it_is_taken_and_one_of_another_version_is_named() {
    let house = House::new();
    let _worker = house.worker("one");
    // The server's streams are there as soon as somebody has asked.
    house.results(&[draw("0", 1.0, false, &house.file("0.mp4"))]);
    // What the docs show, with files of this test.
    let mut job: Value = serde_json::from_str(&block("## Jobs", "json")).unwrap();
    fs::copy(crate::inputs::video(), house.shared("in.mov")).unwrap();
    job["args"]
        .as_array_mut()
        .unwrap()
        .splice(2..2, ["-frames:v", "3"].map(Value::from));
    job["inputs"]["in.mov"] = json!(house.file("in.mov"));
    job["outputs"]["out.mp4"] = json!(house.file("out.mp4"));
    // Its keys in no order of ours, and spaces between.
    let message = serde_json::to_string_pretty(&job).unwrap();
    let key = key_of(message.as_bytes());
    let stored = publish(house.nats.port, &format!("afmpeg.jobs.{key}"), message.as_bytes());
    assert_eq!(stored["stream"], "AFMPEG_JOBS", "{stored}");
    let again = publish(house.nats.port, &format!("afmpeg.jobs.{key}"), message.as_bytes());
    assert!(
        again["error"].is_object() || house.shared("out.mp4").exists(),
        "{again}"
    );
    house.wait_for("the output", || house.shared("out.mp4").exists());
    let known = || serde_json::from_slice::<Value>(&house.run(&["status", &key]).stdout).unwrap();
    house.wait_for("the result", || known()["status"] == "done");
    assert_eq!(known()["outcome"]["id"], "7");
    for (change, reason) in [
        (json!({"version": 2}), "its version is 2, and this is version 1"),
        (json!({"shell": true}), "unknown field `shell`"),
    ] {
        let mut job = job.clone();
        for (name, value) in change.as_object().unwrap() {
            job[name] = value.clone();
        }
        let message = job.to_string();
        let key = key_of(message.as_bytes());
        publish(house.nats.port, &format!("afmpeg.jobs.{key}"), message.as_bytes());
        let status = || serde_json::from_slice::<Value>(&house.run(&["status", &key]).stdout).unwrap();
        house.wait_for(reason, || status()["status"] == "failed");
        assert!(
            status()["outcome"]["error"].as_str().unwrap().contains(reason),
            "{}",
            status()
        );
        // The command refuses it before it is in the queue.
        let refused = house.run(&["submit", &house.list(&[job])]);
        assert_eq!(refused.status.code(), Some(5));
        assert!(words(&refused).contains(reason), "{}", words(&refused));
    }
    // One whose subject is another's could be in the queue twice.
    let message = job.to_string().replace("\"7\"", "\"8\"");
    publish(house.nats.port, "afmpeg.jobs.mine", message.as_bytes());
    let letters = house.letters(3);
    let reason = letters[2]["outcome"]["error"].as_str().unwrap();
    assert!(reason.contains("its subject is afmpeg.jobs.mine, and not"), "{reason}");
}

/// Runs what the docs show in a language, with a client that prints what it is given.
fn said(program: &str, option: &str, before: &str, heading_language: &str, after: &str) -> Vec<String> {
    let code = format!("{before}\n{}\n{after}", block("### Other languages", heading_language));
    let output = Command::new(program).args([option, &code]).output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn what_the_docs_show_in_python_and_javascript_submits_a_job() {
    let house = House::new();
    let _worker = house.worker("one");
    house.results(&[draw("0", 1.0, false, &house.file("0.mp4"))]);
    for name in ["python", "javascript"] {
        let job = draw(name, 1.0, false, &house.file(&format!("{name}.mp4")));
        let lines = match name {
            "python" => said(
                "python3",
                "-c",
                "import asyncio, hashlib, json\n\
                 class Client:\n    \
                     def jetstream(self): return self\n    \
                     async def publish(self, subject, message): print(subject); print(message.decode())\n",
                name,
                &format!(
                    "print(asyncio.run(submit(Client(), json.loads({:?}))))",
                    job.to_string()
                ),
            ),
            _ => said(
                "node",
                "-e",
                "const jetstream = { async publish(subject, message) {\n\
                 console.log(subject); console.log(Buffer.from(message).toString()); } };",
                name,
                &format!("submit(jetstream, {job}).then((key) => console.log(key));"),
            ),
        };
        let [subject, message, key] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(*subject, format!("afmpeg.jobs.{key}"));
        let stored = publish(house.nats.port, subject, message.as_bytes());
        assert_eq!(stored["stream"], "AFMPEG_JOBS", "{stored}");
        let status = || serde_json::from_slice::<Value>(&house.run(&["status", key]).stdout).unwrap();
        house.wait_for(name, || status()["status"] == "done");
    }
}
