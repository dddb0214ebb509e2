//! Servers that tests start and kill.

use crate::inputs;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, HttpResponse};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A process that ends with the test.
pub struct Process(pub Child);

impl Process {
    /// Starts it so that it ends with this thread, also where the test program is killed.
    pub fn start(command: &mut Command) -> Process {
        let end_with_parent = || {
            // SAFETY: the call changes only an attribute of the new process.
            match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure makes one system call, and takes no memory unless that fails.
        unsafe { command.pre_exec(end_with_parent) };
        Process(command.spawn().unwrap())
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    pub fn terminate(&self) {
        self.signal(libc::SIGTERM);
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: the process is a child that was not waited for, so that its number is its own.
        unsafe { libc::kill(self.0.id().cast_signed(), signal) };
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

pub fn wait_for(port: u16) {
    let started = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "no server at port {port}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A NATS server with its store.
pub struct Nats {
    program: PathBuf,
    folder: PathBuf,
    pub port: u16,
    process: Option<Process>,
}

impl Nats {
    /// The program is a name in artifacts/test-inputs; options are more than its address and its folder.
    pub fn start(program: &str, folder: &Path, more: &[&str]) -> Nats {
        let mut nats = Nats {
            program: inputs::input(program),
            folder: folder.to_owned(),
            port: free_port(),
            process: None,
        };
        nats.start_again(more);
        nats
    }

    pub fn start_again(&mut self, more: &[&str]) {
        let port = self.port.to_string();
        let mut command = Command::new(&self.program);
        command
            .args(["-a", "127.0.0.1", "-p", &port, "-sd"])
            .arg(&self.folder)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.log()).unwrap());
        let mut process = Process::start(&mut command);
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let has_ended = process.0.try_wait().unwrap().is_some();
            assert!(
                !has_ended && started.elapsed() < Duration::from_secs(20),
                "{}",
                std::fs::read_to_string(self.log()).unwrap()
            );
            thread::sleep(Duration::from_millis(20));
        }
        self.process = Some(process);
    }

    fn log(&self) -> PathBuf {
        self.folder.with_extension("log")
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    #[allow(dead_code, reason = "the benchmark asks for it")]
    pub fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, |process| process.0.id())
    }

    pub fn signal(&self, signal: i32) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }
}

pub const ACCESS_KEY: &str = "key";
pub const SECRET_KEY: &str = "secret";
const STORE_VARIABLE: &str = "AFMPEG_TEST_STORE";

/// An S3 server: this test program, which runs one test alone that never ends.
pub struct Store {
    root: PathBuf,
    pub port: u16,
    process: Option<Process>,
}

impl Store {
    pub fn start(root: &Path) -> Store {
        let mut store = Store {
            root: root.to_owned(),
            port: free_port(),
            process: None,
        };
        store.start_again();
        store
    }

    pub fn start_again(&mut self) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "servers::serves_a_store_until_it_is_killed"])
            .env(STORE_VARIABLE, format!("{}:{}", self.port, self.root.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        self.process = Some(Process::start(&mut command));
        wait_for(self.port);
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    #[allow(dead_code, reason = "the benchmark asks for it")]
    pub fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, |process| process.0.id())
    }

    /// Has the store answer so from now on; nothing makes it well again.
    pub fn fail(&self, faults: &[Fault]) {
        let lines: Vec<String> = faults.iter().map(|fault| fault.to_line()).collect();
        let unfinished = self.root.with_extension("faults.new");
        std::fs::write(&unfinished, lines.join("\n")).unwrap();
        std::fs::rename(unfinished, faults_of(&self.root)).unwrap();
    }

    /// The bytes of an object, if it is there.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.root.join(key)).ok()
    }

    /// The names of parts of uploads that have not ended. This store forgets an upload before it makes the object, so that one that is
    /// killed in between leaves parts that nobody can end.
    pub fn unfinished(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.root).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        let has_not_ended = |name: &String| {
            let id = name.strip_prefix(".upload_id-").and_then(|name| name.split_once('.'));
            id.is_some_and(|(id, _)| self.root.join(format!(".upload-{id}.json")).exists())
        };
        names.filter(has_not_ended).collect()
    }
}

/// Where the faults of a store are written down.
fn faults_of(root: &Path) -> PathBuf {
    root.with_extension("faults")
}

/// What a store does to requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fault {
    /// Those of this method, or all.
    pub method: Option<&'static str>,
    /// With this in their address.
    pub address: &'static str,
    /// They are answered so, and not done.
    pub status: Option<(u16, &'static str)>,
    pub delay_before: Duration,
    /// Between what is done and its answer.
    pub delay_after: Duration,
}

impl Fault {
    fn to_line(self) -> String {
        let (status, code) = self.status.unwrap_or((0, "-"));
        format!(
            "{} {} {status} {code} {} {}",
            self.method.unwrap_or("*"),
            match self.address {
                "" => "-",
                address => address,
            },
            self.delay_before.as_millis(),
            self.delay_after.as_millis()
        )
    }
}

async fn serve(service: S3Service, root: PathBuf, request: Request<Incoming>) -> Result<HttpResponse, HttpError> {
    let faults = tokio::fs::read_to_string(faults_of(&root)).await.unwrap_or_default();
    let address = request.uri().to_string();
    let ends_upload = request.method() == Method::DELETE && address.contains("uploadId=");
    let mut delay_after = Duration::ZERO;
    for line in faults.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let of_method = words[0] == "*" || words[0] == request.method().as_str();
        if !of_method || (words[1] != "-" && !address.contains(words[1])) {
            continue;
        }
        let milliseconds = |word: &str| Duration::from_millis(word.parse().unwrap());
        tokio::time::sleep(milliseconds(words[4])).await;
        delay_after = milliseconds(words[5]);
        if words[2] != "0" {
            return Ok(refusal(words[2].parse().unwrap(), words[3]));
        }
    }
    let answer = service.call(request.map(Body::from)).await?;
    tokio::time::sleep(delay_after).await;
    // As S3 says that an upload is not there any more.
    match ends_upload && answer.status() == StatusCode::FORBIDDEN {
        true => Ok(refusal(404, "NoSuchUpload")),
        false => Ok(answer),
    }
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let body = format!("<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>");
    let mut answer = HttpResponse::new(Body::from(body));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

/// Serves a store for as long as the process lives, if that is what it was started for.
pub fn serve_if_asked() {
    let Ok(place) = std::env::var(STORE_VARIABLE) else {
        return;
    };
    let (port, root) = place.split_once(':').unwrap();
    let (port, root) = (port.parse::<u16>().unwrap(), PathBuf::from(root));
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    threads.unwrap().block_on(async {
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(&root).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (service, root) = (service.clone(), root.clone());
            tokio::spawn(async move {
                let served = service_fn(move |request| serve(service.clone(), root.clone(), request));
                let connection = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = connection.serve_connection(TokioIo::new(stream), served).await;
            });
        }
    });
}

#[test]
#[ignore = "it is the server of the other tests"]
fn serves_a_store_until_it_is_killed() {
    serve_if_asked();
}
