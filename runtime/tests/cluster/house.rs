//! A queue, a store and workers, for one test.

use crate::engine;
use crate::inputs;
use crate::servers::{ACCESS_KEY, Nats, Process, SECRET_KEY, Store};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

pub struct House {
    pub folder: tempfile::TempDir,
    pub nats: Nats,
    pub store: Store,
}

/// The module is compiled once for all tests.
pub static CACHE: LazyLock<PathBuf> = LazyLock::new(|| {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aot");
    let runtime = engine::builder().cache_folder(&cache).from_file(inputs::module());
    runtime.unwrap();
    cache
});

impl House {
    pub fn new() -> House {
        House::on("nats-server")
    }

    pub fn on(program: &str) -> House {
        House::with(program, |_| vec!["-js".to_owned()])
    }

    /// With options for the server, which may name files in the folder.
    pub fn with(program: &str, options: impl FnOnce(&Path) -> Vec<String>) -> House {
        let folder = tempfile::tempdir().unwrap();
        for name in ["store/media", "nats", "shared", "spool"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let options = options(folder.path());
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        House {
            nats: Nats::start(program, &folder.path().join("nats"), &options),
            store: Store::start(&folder.path().join("store")),
            folder,
        }
    }

    pub fn shared(&self, name: &str) -> PathBuf {
        self.folder.path().join("shared").join(name)
    }

    /// The address of a file in the folder.
    pub fn file(&self, name: &str) -> String {
        format!("file://{}", self.shared(name).display())
    }

    pub fn command(&self, port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_afmpeg"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("AFMPEG_NATS", format!("nats://127.0.0.1:{port}"))
            .env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.store.port))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .arg("--module")
            .arg(inputs::module())
            .args(["--engine", engine::name(), "--cache-dir"])
            .arg(&*CACHE);
        command
    }

    pub fn worker(&self, name: &str) -> Process {
        self.worker_at(self.nats.port, name, &[])
    }

    pub fn worker_at(&self, port: u16, name: &str, more: &[&str]) -> Process {
        Process::start(&mut self.worker_command(port, name, more))
    }

    /// What starts a worker, for tests that change its environment.
    pub fn worker_command(&self, port: u16, name: &str, more: &[&str]) -> Command {
        let mut command = self.command(port);
        command
            .args(["worker", "--lease", "2", "--name", name, "--allow", "s3://media/"])
            .args([
                "--allow",
                &format!("file://{}", self.folder.path().join("shared").display()),
            ])
            .arg("--spool")
            .arg(self.folder.path().join("spool"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log_file(name));
        command
    }

    /// Starts a worker by another program, whose last arguments a command are.
    pub fn worker_under(&self, other: &mut Command, name: &str, more: &[&str]) -> Process {
        let command = self.worker_command(self.nats.port, name, more);
        other
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log_file(name));
        if let Some(folder) = command.get_current_dir() {
            other.current_dir(folder);
        }
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => other.env(variable, value),
                None => other.env_remove(variable),
            };
        }
        Process::start(other)
    }

    fn log_file(&self, name: &str) -> fs::File {
        let path = self.folder.path().join(format!("{name}.log"));
        fs::File::options().create(true).append(true).open(path).unwrap()
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(self.nats.port).args(args).output().unwrap()
    }

    /// Writes a list of jobs, and returns its name.
    pub fn list(&self, jobs: &[Value]) -> String {
        let lines: Vec<String> = jobs.iter().map(Value::to_string).collect();
        let path = self.folder.path().join("jobs.jsonl");
        fs::write(&path, lines.join("\n")).unwrap();
        path.display().to_string()
    }

    /// Submits jobs and does not wait.
    pub fn submit(&self, jobs: &[Value]) -> Vec<Value> {
        let output = self.run(&["submit", &self.list(jobs)]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lines(&output.stdout)
    }

    /// Submits jobs, waits, and returns their results by the order of their ids.
    pub fn results(&self, jobs: &[Value]) -> Vec<Value> {
        self.results_with(&[], jobs)
    }

    /// The same, with more options.
    pub fn results_with(&self, more: &[&str], jobs: &[Value]) -> Vec<Value> {
        let list = self.list(jobs);
        let args = [&["submit", "--wait"][..], more, &[list.as_str()]].concat();
        let output = self.run(&args);
        let mut results = lines(&output.stdout);
        results.sort_by_key(|result| result["id"].as_str().unwrap_or_default().to_owned());
        let logs: Vec<String> = ["one", "two", "three"].iter().map(|name| self.log(name)).collect();
        assert_eq!(
            results.len(),
            jobs.len(),
            "{}{}",
            String::from_utf8_lossy(&output.stderr),
            logs.join("\n")
        );
        results
    }

    /// What is known of a job.
    pub fn status(&self, job: &Value) -> Value {
        let output = self.run(&["status", &self.list(std::slice::from_ref(job))]);
        lines(&output.stdout).pop().unwrap_or_default()
    }

    /// The first letters of jobs that failed.
    pub fn letters(&self, count: usize) -> Vec<Value> {
        let threads = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        threads.block_on(async {
            use futures_util::StreamExt;
            let client = async_nats::connect(format!("nats://127.0.0.1:{}", self.nats.port))
                .await
                .unwrap();
            let stream = async_nats::jetstream::new(client)
                .get_stream("AFMPEG_DEAD")
                .await
                .unwrap();
            let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
            let mut letters = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
            let mut found = Vec::new();
            while found.len() < count {
                let letter = tokio::time::timeout(Duration::from_secs(60), letters.next()).await;
                let letter = letter.expect("there is a letter").unwrap().unwrap();
                found.push(serde_json::from_slice::<Value>(&letter.payload).unwrap());
            }
            found
        })
    }

    /// A job's state, as it lies in its bucket.
    pub fn state(&self, job: &Value) -> Value {
        let key = afmpeg::cluster::JobMessage::from_json(&job.to_string()).unwrap().key();
        let threads = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        threads.block_on(async {
            let client = async_nats::connect(format!("nats://127.0.0.1:{}", self.nats.port))
                .await
                .unwrap();
            let states = async_nats::jetstream::new(client)
                .get_key_value("AFMPEG_STATES")
                .await
                .unwrap();
            let found = states.get(key.as_str()).await.unwrap();
            found.map_or(Value::Null, |state| serde_json::from_slice(&state).unwrap())
        })
    }

    /// The messages of jobs that wait or run.
    pub fn messages(&self) -> Vec<Value> {
        let threads = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        threads.block_on(async {
            let client = async_nats::connect(format!("nats://127.0.0.1:{}", self.nats.port))
                .await
                .unwrap();
            let mut stream = async_nats::jetstream::new(client)
                .get_stream("AFMPEG_JOBS")
                .await
                .unwrap();
            let state = stream.info().await.unwrap().state.clone();
            let mut found = Vec::new();
            for sequence in state.first_sequence..=state.last_sequence {
                // One that is done has gone.
                if let Ok(message) = stream.get_raw_message(sequence).await {
                    found.push(serde_json::from_slice(&message.payload).unwrap());
                }
            }
            found
        })
    }

    /// How many jobs wait or run.
    pub fn queued(&self) -> u64 {
        let threads = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        threads.block_on(async {
            let address = format!("nats://127.0.0.1:{}", self.nats.port);
            let connection = afmpeg::cluster::Connection::new(address);
            let cluster = afmpeg::cluster::Cluster::connect(&connection);
            cluster.await.unwrap().len().await.unwrap()
        })
    }

    /// Waits until something is so.
    pub fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let started = Instant::now();
        while !is_so() {
            let logs: Vec<String> = ["one", "two", "three"].iter().map(|name| self.log(name)).collect();
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "{what}: {}",
                logs.join("\n")
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a job has this status.
    pub fn wait_until(&self, job: &Value, status: &str) -> Value {
        let started = Instant::now();
        loop {
            let found = self.status(job);
            if found["status"] == status {
                return found;
            }
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "{found}, and not {status}"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What a command has said.
pub fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn lines(text: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(text).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A job that draws a picture for this long, and takes as long if it is `live`.
pub fn draw(id: &str, seconds: f64, is_live: bool, output: &str) -> Value {
    let source = format!("testsrc=size=320x180:rate=25:duration={seconds}");
    let mut args = vec!["-v", "error"];
    args.extend(is_live.then_some("-re"));
    args.extend([
        "-f",
        "lavfi",
        "-i",
        &source,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "out.mp4",
    ]);
    json!({"id": id, "args": args, "outputs": {"out.mp4": output}})
}

/// What a job of [`draw`] makes.
pub fn drawn(seconds: f64) -> Vec<u8> {
    let files = afmpeg::MemoryFs::new(64 << 20);
    let job = draw("", seconds, false, "");
    let args = job["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| arg.as_str().unwrap().to_owned());
    let job = args.fold(
        afmpeg::Job::new(["ffmpeg", "-nostdin", "-y", "-nostats"]),
        afmpeg::Job::arg,
    );
    let runtime = engine::builder()
        .cache_folder(&*CACHE)
        .from_file(inputs::module())
        .unwrap();
    let output = runtime
        .run(job.file_system(".", std::sync::Arc::new(files.clone())))
        .unwrap();
    assert!(output.success(), "{}", output.error_message());
    files.take_file("out.mp4").unwrap().to_vec()
}
