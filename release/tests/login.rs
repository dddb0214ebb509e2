//! A registry that wants tokens of a token server, as most public ones do: in memory, on this machine.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use afmpeg_release::oci::Registry;
use afmpeg_release::{Error, Location, Pull, Redirects, SIGNATURE, SUMS, parse_key, sha256, trusted_comment};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tempfile::TempDir;

const MODULE: &[u8] = b"\0asm and then what a module holds";
const VERSION: &str = "9.0.2-1";

struct Request {
    method: String,
    target: String,
    authorization: String,
    body: Vec<u8>,
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut authorization = String::new();
    let mut length_bytes = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = value.to_owned(),
            "content-length" => length_bytes = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length_bytes];
    reader.read_exact(&mut body).unwrap();
    Request {
        method,
        target,
        authorization,
        body,
    }
}

/// Serves until the test's process ends; an answer is a status, headers and a body.
fn serve(answer: impl Fn(Request) -> (u16, String, Vec<u8>) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let request = read(&stream);
            let is_head = request.method == "HEAD";
            let (status, headers, body) = answer(request);
            let head = format!(
                "HTTP/1.1 {status} any\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            if !is_head {
                let _ = stream.write_all(&body);
            }
        }
    });
    address
}

/// What each server was shown of its clients.
type Seen = Arc<Mutex<Vec<String>>>;

struct Servers {
    registry: String,
    seen_by_registry: Seen,
    asked_for_tokens: Seen,
}

const PASSWORD: &str = "somebody:secret";

/// A registry that anybody may read, and somebody with a password may write to.
fn servers() -> Servers {
    let seen_by_registry = Seen::default();
    let asked_for_tokens = Seen::default();
    let asked = asked_for_tokens.clone();
    let tokens = serve(move |request| {
        asked
            .lock()
            .unwrap()
            .push(format!("{} {}", request.target, request.authorization));
        let password = format!("Basic {}", BASE64_STANDARD.encode(PASSWORD));
        let wants_to_write = request.target.contains("push");
        if request.authorization != password && (wants_to_write || !request.authorization.is_empty()) {
            return (401, String::new(), Vec::new());
        }
        let token = if wants_to_write {
            "token-to-write"
        } else {
            "token-to-read"
        };
        (200, String::new(), json!({ "token": token }).to_string().into_bytes())
    });
    let seen = seen_by_registry.clone();
    let stored = Mutex::new(BTreeMap::<String, Vec<u8>>::new());
    let registry = serve(move |request| {
        seen.lock().unwrap().push(request.authorization.clone());
        let writes = ["POST", "PUT"].contains(&request.method.as_str());
        let enough = match request.authorization.as_str() {
            "Bearer token-to-write" => true,
            "Bearer token-to-read" => !writes,
            _ => false,
        };
        if !enough {
            let actions = if writes { "pull,push" } else { "pull" };
            let challenge = format!(
                "WWW-Authenticate: Bearer realm=\"http://{tokens}/token?from=here\",service=\"a registry\",\
                 scope=\"repository:a/o3-gpl:{actions}\"\r\n"
            );
            return (401, challenge, Vec::new());
        }
        let mut stored = stored.lock().unwrap();
        let key = request.target.trim_start_matches("/v2/a/o3-gpl/").to_owned();
        match request.method.as_str() {
            "POST" => (202, "Location: /v2/a/o3-gpl/upload?of=it\r\n".to_owned(), Vec::new()),
            "PUT" => {
                let key = match key.split_once("digest=") {
                    Some((_, digest)) => format!("blobs/{digest}"),
                    None => key,
                };
                stored.insert(key, request.body);
                (201, String::new(), Vec::new())
            }
            _ => match stored.get(&key) {
                Some(data) => (200, String::new(), data.clone()),
                None => (404, String::new(), Vec::new()),
            },
        }
    });
    Servers {
        registry,
        seen_by_registry,
        asked_for_tokens,
    }
}

#[test]
fn tokens_are_asked_for_as_they_are_needed_and_only_their_server_sees_the_password() {
    let servers = servers();
    let keys = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let record = json!({
        "files": { "o3-gpl.wasm": { "sha256": sha256(MODULE), "size_bytes": MODULE.len() } },
        "variant": "o3-gpl",
    })
    .to_string();
    let sums = format!(
        "{}  o3-gpl.json\n{}  o3-gpl.wasm\n",
        sha256(record.as_bytes()),
        sha256(MODULE)
    );
    let comment = trusted_comment(VERSION);
    let signature = minisign::sign(None, &keys.sk, sums.as_bytes(), Some(&comment), None).unwrap();
    let files = [
        ("o3-gpl.json", record.into_bytes()),
        (SUMS, sums.into_bytes()),
        (SIGNATURE, signature.into_string().into_bytes()),
    ];
    let registry = || Registry::new(&servers.registry, "a/o3-gpl", Redirects::To(Vec::new()));
    let push = |registry: Registry| registry.push(VERSION, MODULE, &json!({}), &files);

    // Who may only read, or has another password, is told so by the server of tokens.
    let error = push(registry()).unwrap_err();
    assert!(matches!(error, Error::Status { status: 401, .. }), "{error}");
    let error = push(registry().credentials("somebody", "guessed")).unwrap_err();
    assert!(matches!(error, Error::Status { status: 401, .. }), "{error}");

    servers.asked_for_tokens.lock().unwrap().clear();
    push(registry().credentials("somebody", "secret")).unwrap();
    let asked = servers.asked_for_tokens.lock().unwrap().clone();
    let query =
        |actions: &str| format!("/token?from=here&service=a%20registry&scope=repository:a/o3-gpl:{actions} Basic ");
    assert!(asked[0].starts_with(&query("pull")), "{asked:?}");
    assert!(asked[1].starts_with(&query("pull,push")), "{asked:?}");
    // A token serves until it is not enough.
    assert_eq!(asked.len(), 2, "{asked:?}");

    let cache = TempDir::new().unwrap();
    let location = Location::Registry {
        host: servers.registry.clone(),
        namespace: "a".into(),
    };
    let key = parse_key(&keys.pk.to_base64()).unwrap();
    let pulled = Pull::new(format!("o3-gpl@{VERSION}").parse().unwrap(), key, cache.path())
        .from(location)
        .run()
        .unwrap();
    assert_eq!(std::fs::read(pulled).unwrap(), MODULE);
    let last = servers.asked_for_tokens.lock().unwrap().last().cloned().unwrap();
    assert!(last.ends_with(":pull "), "a reader without a password gave one: {last}");
    let seen = servers.seen_by_registry.lock().unwrap();
    assert!(
        !seen.iter().any(|authorization| authorization.starts_with("Basic")),
        "{seen:?}"
    );
}
