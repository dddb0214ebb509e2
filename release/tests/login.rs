//! A registry that requires tokens of a token server, as most public ones do, in this process.

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
    host: String,
    authorization: String,
    body: Vec<u8>,
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (mut host, mut authorization) = (String::new(), String::new());
    let mut length_bytes = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "host" => host = value.to_owned(),
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
        host,
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

/// The requests that a server received.
type Seen = Arc<Mutex<Vec<String>>>;

struct Servers {
    registry: String,
    tokens: String,
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
    let realm = tokens.clone();
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
                "WWW-Authenticate: Bearer realm=\"http://{realm}/token?from=here\",service=\"a registry\",\
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
        tokens,
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

    // A user who may only read, or whose password is wrong, gets an error from the token server.
    let error = push(registry()).unwrap_err();
    assert!(matches!(error, Error::Status { status: 401, .. }), "{error}");
    let login = |password: &str| {
        registry()
            .credentials("somebody", password)
            .token_server(&servers.tokens)
    };
    let error = push(login("guessed")).unwrap_err();
    assert!(matches!(error, Error::Status { status: 401, .. }), "{error}");

    servers.asked_for_tokens.lock().unwrap().clear();
    push(login("secret")).unwrap();
    let asked = servers.asked_for_tokens.lock().unwrap().clone();
    let query =
        |actions: &str| format!("/token?from=here&service=a%20registry&scope=repository:a/o3-gpl:{actions} Basic ");
    assert!(asked[0].starts_with(&query("pull")), "{asked:?}");
    assert!(asked[1].starts_with(&query("pull,push")), "{asked:?}");
    // A token serves until it is not enough.
    assert_eq!(asked.len(), 2, "{asked:?}");

    // A version that is there stays what it is, and the same may be pushed again.
    push(login("secret")).unwrap();
    let other = login("secret").push(VERSION, b"another module", &json!({}), &files);
    let error = other.unwrap_err();
    assert!(matches!(error, Error::TagTaken { .. }), "{error}");
    assert!(error.to_string().contains(&format!("a/o3-gpl:{VERSION}")), "{error}");

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

/// A hostile server's response to a request; `None` is answered with 404.
type Trick = fn(request: &Request, thief: &str) -> Option<(u16, String)>;

/// Pushes with a password to a hostile registry, while another server records what it receives. Returns the error, and
/// the requests that each of the two servers received.
fn push_to_hostile(trick: Trick, redirects: Redirects) -> (Error, Vec<String>, Vec<String>) {
    let seen_by_thief = Seen::default();
    let seen = seen_by_thief.clone();
    let thief = serve(move |request| {
        seen.lock().unwrap().push(format!(
            "{} {} {}",
            request.method, request.target, request.authorization
        ));
        // It asks for the password, whatever it is asked for.
        (
            401,
            "WWW-Authenticate: Basic realm=\"here\"\r\n".to_owned(),
            b"{\"token\": \"x\"}".to_vec(),
        )
    });
    let seen_by_registry = Seen::default();
    let seen = seen_by_registry.clone();
    let registry = serve(move |request| {
        seen.lock().unwrap().push(format!(
            "{} {} {}",
            request.method, request.target, request.authorization
        ));
        let (status, headers) = trick(&request, &thief).unwrap_or((404, String::new()));
        (status, headers, Vec::new())
    });
    let registry = Registry::new(&registry, "a/o3-gpl", redirects).credentials("somebody", "secret");
    let error = registry.push(VERSION, MODULE, &json!({}), &[]).unwrap_err();
    let take = |seen: Seen| std::mem::take(&mut *seen.lock().unwrap());
    (error, take(seen_by_registry), take(seen_by_thief))
}

/// A registry that lets in who has the password, and a trick to be done after that.
fn after_login(request: &Request, trick: impl FnOnce() -> (u16, String)) -> Option<(u16, String)> {
    if request.authorization.is_empty() {
        return Some((401, "WWW-Authenticate: Basic realm=\"registry\"\r\n".to_owned()));
    }
    Some(trick())
}

#[test]
fn no_server_but_the_registry_is_shown_what_is_for_it() {
    let to_anybody = || Redirects::To(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]);
    let basic = format!("Basic {}", BASE64_STANDARD.encode(PASSWORD));

    // An upload that is redirected to another name of localhost, or over plain HTTP to a network.
    let uploads: [(Trick, bool); 4] = [
        (
            |request, thief| match request.method.as_str() {
                "POST" => after_login(request, || (202, format!("Location: http://{thief}/upload\r\n"))),
                _ => after_login(request, || (404, String::new())),
            },
            true,
        ),
        (
            |request, thief| match request.method.as_str() {
                "POST" => after_login(request, || (202, format!("Location: //{thief}/upload\r\n"))),
                _ => after_login(request, || (404, String::new())),
            },
            true,
        ),
        (
            |request, thief| match request.method.as_str() {
                "POST" => after_login(request, || {
                    let port = thief.rsplit_once(':').unwrap().1;
                    (202, format!("Location: http://localhost:{port}/upload\r\n"))
                }),
                _ => after_login(request, || (404, String::new())),
            },
            true,
        ),
        (
            |request, _| match request.method.as_str() {
                "POST" => after_login(request, || (202, "Location: http://203.0.113.1/upload\r\n".to_owned())),
                _ => after_login(request, || (404, String::new())),
            },
            false,
        ),
    ];
    for (trick, goes_there) in uploads {
        let (error, registry, thief) = push_to_hostile(trick, to_anybody());
        assert!(registry.iter().any(|request| request.ends_with(&basic)), "{registry:?}");
        match goes_there {
            // Once, and it does not learn the password by asking for it.
            true => {
                assert!(matches!(error, Error::Status { status: 401, .. }), "{error}");
                assert_eq!(thief.len(), 1, "{thief:?}");
                assert!(thief[0].starts_with("PUT /upload?digest=sha256:"), "{thief:?}");
                assert!(thief[0].ends_with(' '), "{thief:?}");
            }
            false => {
                assert!(matches!(error, Error::Redirect { .. }), "{error}");
                assert_eq!(thief, Vec::<String>::new());
            }
        }
    }

    // A redirect, to a host that downloads may come from.
    let (error, _, thief) = push_to_hostile(
        |request, thief| after_login(request, || (307, format!("Location: http://{thief}/blob\r\n"))),
        to_anybody(),
    );
    assert!(matches!(error, Error::Status { .. }), "{error}");
    assert!(
        !thief.is_empty() && thief.iter().all(|request| request.ends_with("/blob ")),
        "{thief:?}"
    );

    // A challenge that names another server as the one of tokens.
    let (error, _, thief) = push_to_hostile(
        |_, thief| {
            let realm = format!("WWW-Authenticate: Bearer realm=\"http://{thief}/token\",service=\"s\"\r\n");
            Some((401, realm))
        },
        to_anybody(),
    );
    assert!(matches!(error, Error::TokenServer { .. }), "{error}");
    assert_eq!(thief, Vec::<String>::new());

    // The registry as its own server of tokens, which sends us on.
    let (error, registry, thief) = push_to_hostile(
        |request, thief| match request.target.starts_with("/token") {
            true => Some((302, format!("Location: http://{thief}/token\r\n"))),
            false => {
                let realm = format!("http://{}/token", request.host);
                Some((401, format!("WWW-Authenticate: Bearer realm=\"{realm}\"\r\n")))
            }
        },
        to_anybody(),
    );
    assert!(matches!(error, Error::Status { status: 401, .. }), "{error}");
    assert!(
        registry
            .iter()
            .any(|request| request.starts_with("GET /token") && request.ends_with(&basic))
    );
    assert_eq!(thief, ["GET /token "]);
}
