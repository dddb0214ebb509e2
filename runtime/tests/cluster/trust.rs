//! Who may reach a queue, and what nobody is told.

use crate::accounts::Operator;
use crate::certificates::Authority;
use crate::house::{House, draw, lines, words};
use crate::inputs;
use crate::servers::{ACCESS_KEY, SECRET_KEY};
use object_store::signer::Signer;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::Duration;

const LOCALHOST: [u8; 4] = [127, 0, 0, 1];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A server with this configuration, in a file of its folder.
fn configured(configuration: impl FnOnce(&Path) -> String) -> House {
    House::with("nats-server", |folder| {
        let path = folder.join("nats.conf");
        fs::write(&path, configuration(folder)).unwrap();
        vec!["-js".to_owned(), "-c".to_owned(), text(&path).to_owned()]
    })
}

/// The files of a certificate, as a server's configuration names them.
fn tls((certificate, key): &(PathBuf, PathBuf), more: &str) -> String {
    format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\"{more} }}\n",
        text(certificate),
        text(key)
    )
}

fn submit(house: &House, more: &[&str]) -> Output {
    let list = house.list(&[draw("1", 1.0, false, &house.file("1.mp4"))]);
    house.run(&[&["submit"], more, &[&list]].concat())
}

fn is_refused(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(5), "{}", words(output));
    assert!(words(output).contains(reason), "{reason}: {}", words(output));
    assert_eq!(lines(&output.stdout), Vec::<Value>::new());
}

#[test]
fn a_server_is_known_by_the_certificate_of_its_authority() {
    let house = configured(|folder| tls(&Authority::new(folder, "ours").issue("server", LOCALHOST), ""));
    let folder = house.folder.path();
    let other = Authority::new(folder, "other");
    let address = format!("tls://127.0.0.1:{}", house.nats.port);
    let ours = text(&folder.join("ours.pem")).to_owned();
    let reach = ["--nats", &address, "--tls-ca", &ours];
    let _worker = house.worker_at(house.nats.port, "one", &reach);
    let job = draw("1", 1.0, false, &house.file("1.mp4"));
    assert_eq!(house.results_with(&reach, &[job])[0]["status"], "done");
    let of_other = submit(&house, &["--nats", &address, "--tls-ca", text(&other.certificate)]);
    is_refused(&of_other, "the certificate of the NATS server at tls://127.0.0.1");
    is_refused(&submit(&house, &["--nats", &address]), "--tls-ca");
    // A server that needs TLS says so, and no word is sent before.
    is_refused(&submit(&house, &[]), "the certificate of the NATS server");
    is_refused(
        &submit(&house, &["--nats", &address, "--tls-ca", "/nowhere"]),
        "cannot be used",
    );
}

#[test]
fn a_certificate_of_another_name_is_refused_and_so_is_a_server_without_one() {
    let elsewhere = configured(|folder| tls(&Authority::new(folder, "ours").issue("server", [10, 0, 0, 1]), ""));
    let ours = elsewhere.folder.path().join("ours.pem");
    is_refused(&submit(&elsewhere, &["--tls-ca", text(&ours)]), "of another name");
    let plain = House::new();
    let authority = Authority::new(plain.folder.path(), "ours");
    for more in [
        ["--tls-ca", text(&authority.certificate)],
        ["--nats", &format!("tls://127.0.0.1:{}", plain.nats.port)],
    ] {
        is_refused(&submit(&plain, &more), "does not speak TLS");
    }
}

#[test]
fn a_server_may_ask_for_this_sides_certificate() {
    let house = configured(|folder| {
        let ours = Authority::new(folder, "ours");
        ours.issue("client", LOCALHOST);
        Authority::new(folder, "other").issue("stranger", LOCALHOST);
        let more = format!(", ca_file: \"{}\", verify: true", text(&ours.certificate));
        tls(&ours.issue("server", LOCALHOST), &more)
    });
    let file = |name: &str| text(&house.folder.path().join(name)).to_owned();
    let authority = file("ours.pem");
    let reach = |name: &str| {
        let (certificate, key) = (file(&format!("{name}.pem")), file(&format!("{name}.key")));
        let more = ["--tls-ca", &authority, "--tls-cert", &certificate, "--tls-key", &key];
        submit(&house, &more)
    };
    let known = reach("client");
    assert!(known.status.success(), "{}", words(&known));
    is_refused(&reach("stranger"), "refuses these credentials");
    is_refused(&submit(&house, &["--tls-ca", &authority]), "refuses these credentials");
}

#[test]
fn accounts_do_not_see_each_other_and_strangers_see_nothing() {
    let house = configured(|folder| {
        let mut operator = Operator::new();
        for name in ["studio", "archive"] {
            let account = operator.account(name);
            account.user(folder, name, None);
            // The year 2025 has begun when it ends.
            account.user(folder, &format!("{name}-expired"), Some(1_735_700_000));
        }
        let configuration = operator.configuration();
        // Of an account that its server has not heard of.
        operator.account("stranger").user(folder, "stranger", None);
        configuration
    });
    let file = |name: &str| text(&house.folder.path().join(format!("{name}.creds"))).to_owned();
    let [studio, archive] = ["studio", "archive"].map(file);
    let _worker = house.worker_at(house.nats.port, "one", &["--creds", &studio]);
    let job = draw("1", 1.0, false, &house.file("1.mp4"));
    let list = house.list(std::slice::from_ref(&job));
    let queued = house.run(&["submit", "--creds", &archive, &list]);
    assert!(queued.status.success(), "{}", words(&queued));
    // The same job, in the other account.
    let done = house.results_with(&["--creds", &studio], std::slice::from_ref(&job));
    assert_eq!(done[0]["status"], "done", "{done:?}");
    let status = |creds: &str| {
        let output = house.run(&["status", "--creds", creds, &list]);
        lines(&output.stdout).pop().unwrap()["status"].clone()
    };
    assert_eq!(
        (status(&studio), status(&archive)),
        (json!("done"), json!("queued")),
        "a worker of one account takes no job of the other"
    );
    fs::remove_file(house.shared("1.mp4")).unwrap();
    let _other = house.worker_at(house.nats.port, "two", &["--creds", &archive]);
    house.wait_for("the other account's job", || status(&archive) == "done");
    assert!(house.shared("1.mp4").exists());
    for creds in ["stranger", "studio-expired"] {
        is_refused(&submit(&house, &["--creds", &file(creds)]), "refuses these credentials");
    }
    is_refused(&submit(&house, &[]), "refuses these credentials");
    // No part of the key or of the token is in a log.
    let secrets: Vec<String> = fs::read_to_string(&studio)
        .unwrap()
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('-'))
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(secrets.len(), 2);
    let broken = house.folder.path().join("broken.creds");
    fs::write(&broken, fs::read_to_string(&studio).unwrap().replace("SEED", "")).unwrap();
    fs::write(
        &broken,
        fs::read_to_string(&studio)
            .unwrap()
            .replace(&secrets[1], &secrets[1][..40]),
    )
    .unwrap();
    let broken = submit(&house, &["--creds", text(&broken)]);
    is_refused(&broken, "broken.creds");
    let told = house.log("one") + &words(&broken);
    assert!(secrets.iter().all(|secret| !told.contains(&secret[..32])), "{told}");
}

/// What docs/cluster.md gives to those who submit alone.
fn permissions(of: &str) -> String {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cluster.md")).unwrap();
    let (_, rest) = docs.split_once(&format!("# {of}\n")).unwrap();
    let (block, _) = rest.split_once("\n# ").or_else(|| rest.split_once("\n```")).unwrap();
    block.to_owned()
}

#[test]
fn who_submits_may_be_permitted_that_alone() {
    let house = configured(|_| {
        format!(
            "accounts {{ A {{ jetstream: enabled, users: [\n\
             {{ user: submitter, password: a, permissions: {{ {} }} }}\n\
             {{ user: worker, password: b, permissions: {{ {} }} }}\n\
             {{ user: nobody, password: c, permissions: {{ publish: [\"_INBOX.>\"], subscribe: [\"_INBOX.>\"] }} }}\n\
             {{ user: owner, password: d }} ] }} }}\n",
            permissions("who submits"),
            permissions("workers")
        )
    });
    let as_user = |user: &str| format!("nats://{user}@127.0.0.1:{}", house.nats.port);
    let submitter = as_user("submitter:a");
    let reach = ["--nats", submitter.as_str()];
    is_refused(
        &submit(&house, &reach),
        "does not permit this to these credentials: Permissions Violation",
    );
    // Whoever owns the queue makes it, once.
    let owner = as_user("owner:d");
    let first = house.run(&["submit", "--nats", &owner, &house.list(&[])]);
    assert!(first.status.success(), "{}", words(&first));
    let _worker = house.worker_at(house.nats.port, "one", &["--nats", &as_user("worker:b")]);
    let jobs = [
        draw("1", 1.0, false, &house.file("1.mp4")),
        draw("2", 1.0, false, "s3://elsewhere/2.mp4"),
    ];
    let results = house.results_with(&reach, &jobs);
    assert_eq!(
        (&results[0]["status"], &results[1]["status"]),
        (&json!("done"), &json!("failed")),
        "{results:?}: {}",
        house.log("one")
    );
    assert!(!house.log("one").contains("Violation"), "{}", house.log("one"));
    let list = house.list(&jobs);
    let watched = house.run(&["watch", "--nats", &submitter, &list]);
    assert!(watched.status.success(), "{}", words(&watched));
    // It cannot change what became of a job.
    let waiting = draw("3", 300.0, true, &house.file("3.mp4"));
    let list = house.list(&[waiting]);
    assert!(house.run(&["submit", "--nats", &submitter, &list]).status.success());
    let cancelled = house.run(&["cancel", "--nats", &submitter, &list]);
    is_refused(&cancelled, "Permissions Violation for Publish");
    is_refused(
        &submit(&house, &["--nats", &as_user("nobody:c")]),
        "Permissions Violation",
    );
}

/// Answers every request so.
fn web_that_answers(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let prefix = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    prefix
}

#[test]
fn secrets_are_in_no_log_no_result_and_no_letter() {
    let house = House::new();
    let prefix = web_that_answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let health = format!("127.0.0.1:{}", crate::servers::free_port());
    let mut command = house.worker_command(house.nats.port, "one", &["--allow", &prefix, "--health", &health]);
    command.env("AWS_SECRET_ACCESS_KEY", "wrong-secret-of-the-worker");
    let _worker = crate::servers::Process::start(&mut command);
    let copy = |id: &str, from: String, to: String| {
        json!({
            "id": id, "args": ["-i", "in", "-c", "copy", "out.mp4"],
            "inputs": {"in": from}, "outputs": {"out.mp4": to},
        })
    };
    fs::copy(inputs::video(), house.folder.path().join("store/media/in.mp4")).unwrap();
    fs::copy(inputs::video(), house.shared("in.mp4")).unwrap();
    let signed = |name: &str| format!("{prefix}{name}?X-Signature=secret-of-{name}");
    let jobs = [
        copy("read", signed("in"), house.file("out.mp4")),
        copy("store", "s3://media/in.mp4".to_owned(), "s3://media/out.mp4".to_owned()),
        copy("write", house.file("in.mp4"), signed("out")),
        copy(
            "zz\nafmpeg: forged \u{1b}[31m",
            "s3://KEY:secret-of-a-user@media/in.mp4".to_owned(),
            house.file("x.mp4"),
        ),
    ];
    let results = house.results(&jobs);
    let reasons = [
        "its server answers 403",
        "refuses this worker's credentials",
        "its server answers 403",
        "s3://media/in.mp4: it has a name or a password",
    ];
    for (result, reason) in results.iter().zip(reasons) {
        assert_eq!(result["status"], "failed", "{result}");
        assert!(result["error"].as_str().unwrap().contains(reason), "{result}: {reason}");
    }
    let mut stream = std::net::TcpStream::connect(&health).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).unwrap();
    // Of what is no job nothing can be known.
    let mut parallel = copy("work", house.file("in.mp4"), "s3://elsewhere/out.mp4".to_owned());
    parallel["work"] = json!("s3://KEY:secret/of+work@media/work?X-Signature=secret-of-work");
    parallel["parallel"] = json!(true);
    for payload in [
        r#"{"id": "-c", "args": [], "inputs": "https://a/b?X-Signature=secret-of-a-type"}"#.to_owned(),
        r#"{"id": "-c", "args": [], inputs: https://a/b?X-Signature=secret-of-no-json }"#.to_owned(),
        parallel.to_string(),
    ] {
        let key = afmpeg::cluster::Key::of(payload.as_bytes());
        crate::refusals::publish(house.nats.port, &format!("afmpeg.jobs.{key}"), payload.as_bytes());
    }
    let letters = house.letters(7);
    assert!(
        letters
            .iter()
            .all(|letter| letter["job"].as_str().unwrap().contains("-c"))
    );
    house.wait_for("the queue is empty", || house.queued() == 0);
    let log = house.log("one");
    assert!(
        log.contains("forged") && !log.contains('\u{1b}') && !log.contains("\nafmpeg: forged"),
        "{log}"
    );
    let told = format!(
        "{results:?}{letters:?}{}{metrics}{:?}",
        house.log("one"),
        house.status(&jobs[0])
    );
    for secret in ["secret", "Signature=", "StringToSign", "AWS4-HMAC"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
}

#[test]
fn presigned_addresses_of_a_store_need_no_credentials_of_the_worker() {
    let house = House::new();
    fs::copy(inputs::video(), house.folder.path().join("store/media/in.mp4")).unwrap();
    let store = format!("http://127.0.0.1:{}", house.store.port);
    let prefix = format!("{store}/media/");
    let mut command = house.worker_command(house.nats.port, "one", &["--allow", &prefix]);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let _worker = crate::servers::Process::start(&mut command);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let signer = object_store::aws::AmazonS3Builder::new()
        .with_bucket_name("media")
        .with_endpoint(&store)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET_KEY)
        .build()
        .unwrap();
    let threads = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let sign = |method: hyper::Method, name: &str, seconds: u64| {
        let path = object_store::path::Path::from(name);
        let signed = signer.signed_url(method, &path, Duration::from_secs(seconds));
        threads.block_on(signed).unwrap().to_string()
    };
    let job = |id: &str, seconds: u64| {
        json!({
            "id": id, "args": ["-v", "error", "-i", "in", "-t", "1", "-c", "copy", "out.mp4"],
            "inputs": {"in": sign(hyper::Method::GET, "in.mp4", seconds)},
            "outputs": {"out.mp4": sign(hyper::Method::PUT, &format!("{id}.mp4"), 600)},
        })
    };
    let expired = job("a", 1);
    thread::sleep(Duration::from_secs(2));
    let results = house.results(&[expired, job("b", 600)]);
    assert_eq!(results[1]["status"], "done", "{results:?}");
    assert_eq!(&house.store.object("media/b.mp4").unwrap()[4..8], b"ftyp");
    assert_eq!(results[0]["status"], "failed", "{results:?}");
    assert!(
        results[0]["error"].as_str().unwrap().contains("its server answers 403"),
        "{results:?}"
    );
    assert!(!format!("{results:?}{}", house.log("one")).contains("X-Amz-Signature"));
}
