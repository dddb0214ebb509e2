//! Inputs on web servers, some of which lie.

use crate::certificates::Authority;
use crate::fixture::{SOURCE, Studio};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

/// What a server does with a request.
#[derive(Clone)]
enum Answer {
    /// Parts of a file.
    File(Arc<Vec<u8>>),
    /// The whole file, whatever was asked for.
    Whole(Arc<Vec<u8>>),
    Redirect(String),
    /// These lines, and these bytes.
    Raw(&'static str, &'static [u8]),
    /// An error the first time, then the file.
    Later(Arc<Vec<u8>>),
}

/// A server on this machine, and the paths that it was asked for, each with the bytes that it sent.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<(String, usize)>>>,
}

impl Server {
    fn start(answers: &[(&str, Answer)]) -> Server {
        Server::start_with(answers, None)
    }

    fn start_with(answers: &[(&str, Answer)], tls: Option<Arc<ServerConfig>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<(String, usize)>>> = Arc::default();
        let answers: BTreeMap<String, Answer> = answers
            .iter()
            .map(|(path, answer)| ((*path).to_owned(), answer.clone()))
            .collect();
        let log = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, log, tls) = (answers.clone(), log.clone(), tls.clone());
                let stream = stream.unwrap();
                // A client that leaves early is no fault of the server.
                thread::spawn(move || match tls {
                    None => serve(stream, &answers, &log),
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).unwrap();
                        serve(StreamOwned::new(connection, stream), &answers, &log)
                    }
                });
            }
        });
        Server { address, asked }
    }

    fn asked(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(
    stream: impl Read + Write,
    answers: &BTreeMap<String, Answer>,
    log: &Mutex<Vec<(String, usize)>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut range = None;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
                let (first, last) = value.split_once('-')?;
                range = Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?));
            }
            lines.push(line);
        }
        let path = lines[0].split(' ').nth(1)?.to_owned();
        let is_first = !log.lock().unwrap().iter().any(|(asked, _)| *asked == path);
        let (head, body) = match answers.get(&path) {
            Some(Answer::Later(_)) if is_first => ("HTTP/1.1 503 Busy\r\n".to_owned(), Vec::new()),
            Some(Answer::File(file) | Answer::Later(file)) => {
                let (first, last) = range?;
                let last = last.min(file.len() - 1);
                let head = format!(
                    "HTTP/1.1 206 Part\r\nETag: \"1\"\r\nContent-Range: bytes {first}-{last}/{}\r\n",
                    file.len()
                );
                (head, file[first..=last].to_vec())
            }
            Some(Answer::Whole(file)) => ("HTTP/1.1 200 OK\r\n".to_owned(), file.to_vec()),
            Some(Answer::Redirect(to)) => (format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n"), Vec::new()),
            Some(Answer::Raw(head, body)) => ((*head).to_owned(), body.to_vec()),
            None => ("HTTP/1.1 404 Not Found\r\n".to_owned(), Vec::new()),
        };
        log.lock().unwrap().push((path, body.len()));
        let stream = reader.get_mut();
        stream
            .write_all(format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes())
            .ok()?;
        stream.write_all(&body).ok()?;
        stream.flush().ok()?;
    }
}

const SHOW: &str = "ffprobe -v error -show_entries format=duration -of csv=p=0";

#[test]
fn allowed_inputs_are_read_in_parts() {
    let studio = Studio::new();
    studio.make(format!(
        "-i {SOURCE} -c copy -f hls -hls_time 1 -hls_segment_filename part%d.ts list.m3u8"
    ));
    let video = Arc::new(studio.read(SOURCE));
    let mut answers = vec![
        ("/a/video.mp4".to_owned(), Answer::File(video.clone())),
        ("/a/moved.mp4".to_owned(), Answer::Redirect("/a/video.mp4".to_owned())),
        ("/a/busy.mp4".to_owned(), Answer::Later(video.clone())),
        ("/a/whole.mp4".to_owned(), Answer::Whole(video.clone())),
    ];
    for name in studio.files("part").into_iter().chain(["list.m3u8".to_owned()]) {
        answers.push((format!("/a/hls/{name}"), Answer::File(Arc::new(studio.read(&name)))));
    }
    let answers: Vec<(&str, Answer)> = answers.iter().map(|(path, answer)| (&**path, answer.clone())).collect();
    let server = Server::start(&answers);
    let allowed = format!("--allow-url {}/a", server.address);
    let wanted = studio.packets(format!("-i {SOURCE} -c copy"));
    for name in ["video.mp4", "moved.mp4", "busy.mp4", "whole.mp4"] {
        let read = studio
            .afmpeg(
                &allowed,
                &format!("ffmpeg -v error -i {}/a/{name} -c copy -f framemd5 -", server.address),
            )
            .ok();
        crate::measure::Packets::parse(&read.text()).assert_equal(&wanted, 0.0);
    }
    let listed = studio
        .afmpeg(&allowed, &format!("{SHOW} {}/a/hls/list.m3u8", server.address))
        .ok();
    assert!(listed.text().starts_with("5."));
    let paths: Vec<String> = server.asked().into_iter().map(|(path, _)| path).collect();
    assert!(paths.iter().all(|path| path.starts_with("/a/")), "{paths:?}");
}

#[test]
fn a_place_in_a_long_file_costs_little() {
    let studio = Studio::new();
    // Copies of the video after each other, with the index at the end, as cameras write it.
    studio.make(format!("-stream_loop 40 -i {SOURCE} -c copy long.mp4"));
    let long = Arc::new(studio.read("long.mp4"));
    let server = Server::start(&[("/long.mp4", Answer::File(long.clone()))]);
    let line = format!(
        "ffmpeg -v error -ss 150 -i {}/long.mp4 -map 0:v -frames:v 1 -c copy -f framemd5 -",
        server.address
    );
    let packets = studio
        .afmpeg(&format!("--allow-url {}/", server.address), &line)
        .ok()
        .text();
    assert_eq!(crate::measure::Packets::parse(&packets).stream(0).len(), 1);
    let sent: usize = server.asked().iter().map(|(_, bytes)| bytes).sum();
    assert!(sent < long.len() / 4, "{sent} of {}", long.len());
}

#[test]
fn nothing_else_is_asked_for() {
    let studio = Studio::new();
    let other = Server::start(&[("/x", Answer::Whole(Arc::new(Vec::new())))]);
    let playlist = |target: &str| {
        let text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n");
        Answer::File(Arc::new(text.into_bytes()))
    };
    let server = Server::start(&[
        ("/a/out.mp4", Answer::Redirect("/b/x.mp4".to_owned())),
        ("/a/other.mp4", Answer::Redirect(format!("{}/x", other.address))),
        ("/a/round.mp4", Answer::Redirect("/a/round.mp4".to_owned())),
        ("/a/up.m3u8", playlist("../b/x.ts")),
        ("/a/far.m3u8", playlist(&format!("{}/x", other.address))),
        ("/a/file.m3u8", playlist("file:///etc/passwd")),
        ("/a/odd.m3u8", playlist(&format!("file:{}/x", other.address))),
    ]);
    let allowed = format!("--allow-url {}/a/", server.address);
    for path in [
        "a/out.mp4",
        "a/other.mp4",
        "a/round.mp4",
        "b/x.mp4",
        "a/../b/x.mp4",
        "a/%2e%2e/b/x.mp4",
        "a/..%2fb/x.mp4",
    ] {
        let run = studio
            .afmpeg(&allowed, &format!("{SHOW} {}/{path}", server.address))
            .end();
        assert_eq!(run.exit_code, Some(1), "{path}: {run}");
    }
    for path in ["up", "far", "file", "odd"] {
        let line = format!(
            "{SHOW} -extension_picky 0 -allowed_extensions ALL {}/a/{path}.m3u8",
            server.address
        );
        studio.afmpeg(&allowed, &line).end();
    }
    let asked = server.asked();
    assert!(
        asked
            .iter()
            .all(|(path, _)| path.starts_with("/a/") && !path.contains("..")),
        "{asked:?}"
    );
    assert_eq!(other.asked(), []);
    studio
        .afmpeg("", &format!("{SHOW} {}/a/out.mp4", server.address))
        .fails(1, "--allow-url");
    assert_eq!(server.asked(), []);
}

#[test]
fn servers_that_lie_are_errors() {
    let studio = Studio::new();
    let server = Server::start(&[
        (
            "/short.mp4",
            Answer::Raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n", b"12345"),
        ),
        (
            "/other.mp4",
            Answer::Raw("HTTP/1.1 206 Part\r\nContent-Range: bytes 5-9/100\r\n", b"12345"),
        ),
        (
            "/huge.mp4",
            Answer::Raw(
                "HTTP/1.1 206 Part\r\nContent-Range: bytes 0-99999999999/100000000000\r\n",
                b"x",
            ),
        ),
        ("/none.mp4", Answer::Raw("HTTP/1.1 206 Part\r\n", b"12345")),
        (
            "/odd.mp4",
            Answer::Raw("HTTP/1.1 206 Part\r\nContent-Range: bytes x-y/z\r\n", b"12345"),
        ),
        ("/empty.mp4", Answer::Raw("HTTP/1.1 416 Range\r\n", b"")),
        ("/secret.mp4", Answer::Raw("HTTP/1.1 403 No\r\n", b"")),
    ]);
    for (name, reason) in [
        ("short", ""),
        ("other", "another part"),
        ("huge", "another part"),
        ("none", "which part"),
        ("odd", "which part"),
        ("empty", ""),
        ("secret", "forbidden"),
        ("missing", "not found"),
    ] {
        let line = format!("ffmpeg -v error -i {}/{name}.mp4 -c copy out.mkv", server.address);
        let run = studio.afmpeg(&format!("--allow-url {}/", server.address), &line).end();
        assert!(!matches!(run.exit_code, Some(0 | 70) | None), "{name}: {run}");
        assert!(!studio.path("out.mkv").exists(), "{name}");
        let told = format!("afmpeg: {}/{name}.mp4: ", server.address);
        let told = run
            .stderr
            .lines()
            .filter(|line| line.starts_with(&told))
            .collect::<Vec<_>>();
        assert!(
            reason.is_empty() || matches!(*told, [line] if line.contains(reason)),
            "{name}: {run}"
        );
    }
}

/// The machine's owner says whose certificates hold, as for other programs.
#[test]
fn certificates_count_as_the_machine_says() {
    let studio = Studio::new();
    let authorities = tempfile::tempdir().unwrap();
    let [known, unknown] = ["known", "unknown"].map(|name| Authority::new(authorities.path(), name));
    let (certificate, key) = known.issue("server", [127, 0, 0, 1]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate).unwrap()],
            PrivateKeyDer::from_pem_file(key).unwrap(),
        )
        .unwrap();
    let answer = Answer::File(Arc::new(studio.read(SOURCE)));
    let server = Server::start_with(&[("/video.mp4", answer)], Some(Arc::new(config)));
    let show = |authority: &Authority| {
        studio
            .afmpeg(
                &format!("--allow-url {}/", server.address),
                &format!("{SHOW} {}/video.mp4", server.address),
            )
            .env("SSL_CERT_FILE", authority.certificate.to_str().unwrap())
    };
    assert!(show(&known).ok().text().starts_with("5."));
    show(&unknown).fails(1, "certificate");
}

/// Whole addresses within playlists and filter graphs are found as those of arguments are, and only below the prefix.
#[test]
fn addresses_in_playlists_and_graphs_are_read() {
    let studio = Studio::new();
    studio.make(format!("-i {SOURCE} -t 2 -c copy -f mpegts part.ts"));
    let part = Arc::new(studio.read("part.ts"));
    let other = Server::start(&[("/a/part.ts", Answer::File(part.clone()))]);
    let playlist = |parts: &[String]| {
        let lines: Vec<String> = parts.iter().map(|part| format!("#EXTINF:2,\n{part}")).collect();
        let text = format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:3\n{}\n#EXT-X-ENDLIST\n",
            lines.join("\n")
        );
        Answer::File(Arc::new(text.into_bytes()))
    };
    let server = Server::start(&[
        ("/a/part.ts", Answer::File(part.clone())),
        ("/b/part.ts", Answer::File(part)),
        ("/a/elsewhere.m3u8", playlist(&[format!("{}/a/part.ts", other.address)])),
    ]);
    let own = format!("{}/a/part.ts", server.address);
    let above = format!("{}/b/part.ts", server.address);
    for (name, parts) in [("own.m3u8", vec![own.clone()]), ("above.m3u8", vec![above])] {
        let Answer::File(text) = playlist(&parts) else {
            unreachable!()
        };
        studio.write(name, &*text);
    }
    let allowed = format!("--allow-url {}/a", server.address);
    let frames = |command: &str| {
        let read = studio
            .afmpeg(&allowed, &format!("ffmpeg -v error {command} -map 0:v -f framemd5 -"))
            .ok();
        crate::measure::Packets::parse(&read.text())
    };
    let wanted = studio.packets("-i part.ts -map 0:v");
    assert_eq!(frames("-i own.m3u8").stream(0).len(), wanted.stream(0).len());
    let escaped = server.address.replace(':', "\\\\\\:");
    assert_eq!(
        frames(&format!("-f lavfi -i movie={escaped}/a/part.ts"))
            .stream(0)
            .len(),
        wanted.stream(0).len()
    );
    for input in ["above.m3u8".to_owned(), format!("{}/a/elsewhere.m3u8", server.address)] {
        let refused = studio.afmpeg(&allowed, &format!("{SHOW} {input}")).end();
        assert_ne!(refused.exit_code, Some(0), "{input}\n{refused}");
    }
    let paths: Vec<String> = server.asked().into_iter().map(|(path, _)| path).collect();
    assert!(paths.iter().all(|path| path.starts_with("/a/")), "{paths:?}");
    assert!(other.asked().is_empty());
}
