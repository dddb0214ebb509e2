//! Servers that tests start and kill.

use crate::inputs;
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
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
            .stderr(Stdio::null());
        self.process = Some(Process::start(&mut command));
        wait_for(self.port);
    }

    pub fn kill(&mut self) {
        self.process = None;
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

    /// The bytes of an object, if it is there.
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.root.join(key)).ok()
    }

    /// The names of unfinished parts of uploads.
    pub fn unfinished(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.root).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".upload_id")).collect()
    }
}

#[test]
#[ignore = "it is the server of the other tests"]
fn serves_a_store_until_it_is_killed() {
    let Ok(place) = std::env::var(STORE_VARIABLE) else {
        return;
    };
    let (port, root) = place.split_once(':').unwrap();
    let address = (Ipv4Addr::LOCALHOST, port.parse::<u16>().unwrap());
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    threads.unwrap().block_on(async {
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            tokio::spawn(async move {
                let connection = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}
