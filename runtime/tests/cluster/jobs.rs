//! Jobs that are done: inputs read in place, outputs of all kinds, once.

use crate::house::{House, draw, drawn, lines};
use crate::inputs;
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn a_job_is_done_from_store_to_store_and_only_once() {
    for program in ["nats-server", "nats-server-2-9"] {
        let house = House::on(program);
        let _worker = house.worker("one");
        fs::copy(inputs::video(), house.folder.path().join("store/media/in.mp4")).unwrap();
        let thumbnail = json!({
            "id": "picture",
            "args": ["-v", "error", "-i", "in.mp4", "-frames:v", "1", "pictures/out.png"],
            "inputs": {"in.mp4": "s3://media/in.mp4"},
            "outputs": {"pictures/out.png": "s3://media/out/a b.png"},
        });
        let probe = json!({
            "id": "probe", "program": "ffprobe",
            "args": ["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", "in.mp4"],
            "inputs": {"in.mp4": "s3://media/in.mp4"},
        });
        let jobs = [thumbnail, probe];
        let results = house.results(&jobs);
        assert_eq!(results[0]["status"], "done", "{results:?}");
        assert_eq!(results[0]["worker"], "one");
        assert_eq!(results[1]["stdout"], "h264\naac\n");
        assert!(
            results[0]["bytes_read"].as_u64().unwrap() < 2 << 20,
            "it is read in place"
        );
        assert!(house.store.object("media/out/a b.png").unwrap().starts_with(b"\x89PNG"));
        // Done once: the second time the result is that of the first.
        fs::remove_file(house.folder.path().join("store/media/out/a b.png")).unwrap();
        assert_eq!(house.results(&jobs), results);
        assert_eq!(house.store.object("media/out/a b.png"), None);
        let status = house.status(&jobs[0]);
        assert_eq!((&status["status"], &status["outcome"]), (&json!("done"), &results[0]));
    }
}

#[test]
fn large_outputs_are_uploaded_in_parts_and_those_that_go_back_are_whole() {
    let house = House::new();
    let _worker = house.worker("one");
    let pictures = "testsrc2=size=640x360:rate=25:duration=2,format=uyvy422";
    let make = |id: &str, more: &[&str], name: &str| {
        let mut args = vec!["-v", "error", "-f", "lavfi", "-i", pictures, "-c:v", "rawvideo"];
        args.extend(more);
        args.push(name);
        json!({"id": id, "args": args, "outputs": {name: format!("s3://media/{id}")}})
    };
    let results = house.results(&[
        make("a.nut", &[], "out.nut"),
        // Its sizes are written to the head at the end.
        make("b.mov", &[], "out.mov"),
        // It is moved as a whole.
        make("c.mov", &["-movflags", "+faststart"], "out.mov"),
        // What was sent is moved to make room for an index, which no word of the command tells.
        make(
            "d.mov",
            &["-movflags", "+frag_keyframe+empty_moov+global_sidx"],
            "out.mov",
        ),
    ]);
    for result in &results {
        let id = result["id"].as_str().unwrap();
        assert_eq!(result["status"], "done", "{result}");
        let object = house.store.object(&format!("media/{id}")).unwrap();
        assert!(object.len() > 23_000_000, "{id} has {} bytes", object.len());
        let path = house.shared(id);
        fs::write(&path, &object).unwrap();
        let probe = json!({
            "id": format!("probe {id}"), "program": "ffprobe",
            "args": ["-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "in"],
            "inputs": {"in": house.file(id)},
        });
        assert_eq!(house.results(&[probe])[0]["stdout"], "50\n", "{id}");
    }
    assert_eq!(house.store.unfinished(), Vec::<String>::new());
    let head = json!({
        "id": "head", "program": "ffprobe", "args": ["-v", "error", "-probesize", "1000000", "-i", "in.nut"],
        "inputs": {"in.nut": "s3://media/a.nut"},
    });
    let result = house.results(&[head]).remove(0);
    assert_eq!(result["status"], "done", "{result}");
    assert!(
        result["bytes_read"].as_u64().unwrap() < 8 << 20,
        "it is read in place: {result}"
    );
}

#[test]
fn a_folder_is_an_output_and_so_is_standard_output() {
    let house = House::new();
    let _worker = house.worker("one");
    let mut hls = draw("hls", 6.0, false, "");
    hls["args"] = json!([
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=320x180:duration=6",
        "-c:v",
        "libx264",
        "-g",
        "50",
        "-hls_time",
        "2",
        "-hls_list_size",
        "0",
        "hls/out.m3u8"
    ]);
    hls["outputs"] = json!({"hls/": "s3://media/hls"});
    let stream = json!({
        "id": "stream", "stdout": house.file("made/out.mkv"),
        "args": ["-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "flac", "-f", "matroska", "pipe:1"],
    });
    for result in house.results(&[hls, stream]) {
        assert_eq!(result["status"], "done", "{result}");
    }
    let playlist = String::from_utf8(house.store.object("media/hls/out.m3u8").unwrap()).unwrap();
    let segments: Vec<&str> = playlist.lines().filter(|line| line.ends_with(".ts")).collect();
    assert_eq!(segments.len(), 3, "{playlist}");
    for segment in segments {
        assert!(house.store.object(&format!("media/hls/{segment}")).unwrap().len() > 188);
    }
    assert!(
        fs::read(house.shared("made/out.mkv"))
            .unwrap()
            .starts_with(b"\x1a\x45\xdf\xa3")
    );
    let names: Vec<_> = fs::read_dir(house.shared("made")).unwrap().collect();
    assert_eq!(names.len(), 1, "no unfinished file is left: {names:?}");
}

/// A server that sends parts of a file, and takes one.
fn web(file: Vec<u8>) -> (u16, std::sync::mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (file, sender) = (file.clone(), sender.clone());
            thread::spawn(move || while answer(&stream, &file, &sender) {});
        }
    });
    (port, receiver)
}

fn answer(mut stream: &TcpStream, file: &[u8], sender: &std::sync::mpsc::Sender<(String, Vec<u8>)>) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return false;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let target = head.split(' ').nth(1).unwrap().to_owned();
    if head.starts_with("PUT") {
        let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        sender.send((target, body)).unwrap();
        return stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .is_ok();
    }
    let range = header("range").unwrap();
    let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
    let part = &file[start..file.len().min(end + 1)];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{}\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n",
        start + part.len() - 1,
        file.len(),
        part.len()
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(part))
        .is_ok()
}

#[test]
fn presigned_addresses_are_read_in_parts_and_written_by_one_request() {
    let house = House::new();
    let (port, put) = web(fs::read(inputs::video()).unwrap());
    let prefix = format!("http://127.0.0.1:{port}/");
    let _worker = house.worker_at(house.nats.port, "one", &["--allow", &prefix]);
    let job = json!({
        "id": "web", "args": ["-v", "error", "-i", "in", "-t", "1", "-c", "copy", "out.mp4"],
        "inputs": {"in": format!("{prefix}in?X-Signature=in-secret")},
        "outputs": {"out.mp4": format!("{prefix}out?X-Signature=out-secret")},
    });
    let results = house.results(&[job]);
    assert_eq!(results[0]["status"], "done", "{results:?}");
    let (target, body) = put.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(target, "/out?X-Signature=out-secret");
    assert_eq!(&body[4..8], b"ftyp");
    assert!(!house.log("one").contains("secret"), "{}", house.log("one"));
}

#[test]
fn a_slow_or_busy_server_of_the_web_is_waited_for() {
    let house = House::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let prefix = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let (sender, put) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            thread::spawn(move || take_slowly(&stream, &sender));
        }
    });
    let _worker = house.worker_at(house.nats.port, "one", &["--allow", &prefix]);
    let jobs = ["slow", "busy"].map(|name| draw(name, 1.0, false, &format!("{prefix}{name}")));
    let results = house.results(&jobs);
    for result in results.iter().rev() {
        assert_eq!(
            (&result["status"], &result["attempts"]),
            (&json!("done"), &json!(1)),
            "{results:?}"
        );
    }
    let mut taken: Vec<(String, Vec<u8>)> = put.try_iter().collect();
    taken.sort();
    assert!(
        taken
            == [("busy", drawn(1.0)), ("busy", drawn(1.0)), ("slow", drawn(1.0))]
                .map(|(name, body)| (name.to_owned(), body))
    );
}

/// Takes a file at `/slow` for longer than a server has that is to send something, and none at `/busy` the first time.
fn take_slowly(mut stream: &TcpStream, taken: &std::sync::mpsc::Sender<(String, Vec<u8>)>) {
    static TIMES: AtomicU32 = AtomicU32::new(0);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    let name = head.split([' ', '/']).nth(2).unwrap().to_owned();
    let pause = Duration::from_secs(if name == "slow" { 18 } else { 0 });
    let (first, second) = body.split_at_mut(1000);
    stream.read_exact(first).unwrap();
    thread::sleep(pause);
    stream.read_exact(second).unwrap();
    thread::sleep(pause);
    let is_busy = name == "busy" && TIMES.fetch_add(1, Ordering::SeqCst) == 0;
    taken.send((name, body)).unwrap();
    let status = match is_busy {
        true => "429 Too Many Requests\r\nRetry-After: 1",
        false => "200 OK",
    };
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes());
}

#[test]
fn a_cancelled_job_ends_whether_it_waits_or_runs() {
    let house = House::new();
    let waiting = draw("waiting", 1.0, false, "s3://media/waiting.mp4");
    let running = draw("running", 300.0, true, "s3://media/running.mp4");
    house.submit(std::slice::from_ref(&waiting));
    assert_eq!(house.status(&waiting)["status"], "queued");
    let cancel = |job| {
        let output = house.run(&["cancel", &house.list(std::slice::from_ref(job))]);
        lines(&output.stdout).pop().unwrap()["status"].clone()
    };
    assert_eq!(cancel(&waiting), "cancelled");
    house.submit(std::slice::from_ref(&running));
    let worker = house.worker_at(house.nats.port, "one", &["--jobs", "1"]);
    house.wait_until(&running, "running");
    assert_eq!(cancel(&running), "cancelled");
    // The only place is free again at once.
    let after = draw("after", 1.0, false, "s3://media/after.mp4");
    assert_eq!(house.results(std::slice::from_ref(&after))[0]["status"], "done");
    assert_eq!(cancel(&after), "done", "what has ended stays as it is");
    assert_eq!(house.status(&running)["status"], "cancelled");
    assert_eq!(house.status(&waiting)["status"], "cancelled");
    assert!(house.store.object("media/running.mp4").is_none() && house.store.object("media/waiting.mp4").is_none());
    // Submitted again, it is done.
    assert_eq!(house.results(&[waiting])[0]["status"], "done");
    assert_eq!(house.store.object("media/waiting.mp4").unwrap(), drawn(1.0));
    drop(worker);
}

#[test]
fn progress_and_health_are_told() {
    let house = House::new();
    let port = crate::servers::free_port();
    let address = format!("127.0.0.1:{port}");
    let _worker = house.worker_at(house.nats.port, "one", &["--health", &address]);
    let job = draw("live", 4.0, true, "s3://media/live.mp4");
    let list = house.list(std::slice::from_ref(&job));
    house.submit(std::slice::from_ref(&job));
    let watched = house.run(&["watch", &list]);
    let events = lines(&watched.stdout);
    assert!(
        events
            .iter()
            .any(|event| event["progress"]["frame"].as_u64() > Some(10)),
        "{events:?}"
    );
    assert_eq!(events.last().unwrap()["outcome"]["status"], "done");
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(get("/healthz").starts_with("HTTP/1.1 200"));
    let metrics = get("/metrics");
    assert!(metrics.contains("afmpeg_jobs_total{status=\"done\"} 1\n"), "{metrics}");
    assert!(get("/").starts_with("HTTP/1.1 404"));
}
