//! Carrying a plan out.

use super::assembly::FIRST_TIME;
use super::feed::{self, Feeder, Feeding, Log};
use super::join::{Before, Encoded};
use super::keep::{self, Kept};
use super::plan::{self, Feed, Plan, Segment, Way};
use super::source::Source;
use super::whole::Whole;
use super::words::Words;
use super::{Done, Parallel, Report};
use crate::error::Error;
use crate::fs::{FileSystem, FileType, MemoryFs, OpenOptions};
use crate::interrupt::Cancellation;
use crate::job::Job;
use crate::limit::Limit;
use crate::output::Output;
use crate::pack::Hex;
use crate::progress::Progress;
use crate::runtime::Runtime;
use crate::stdio::{Stdin, Stdout};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The bytes of segments that were made elsewhere, by their indexes.
type Made<'a> = &'a (dyn Fn(usize) -> io::Result<Vec<u8>> + Sync);

type SetUp<'a> = &'a (dyn Fn(Job) -> Result<Job, Error> + Sync);

pub fn plan(runtime: &Runtime, command: &Parallel, set_up: SetUp) -> Result<Result<Plan, Whole>, Error> {
    Call::new(runtime, command, set_up).plan()
}

pub fn run(runtime: &Runtime, command: &Parallel, set_up: SetUp) -> Result<Done, Error> {
    let call = Call::new(runtime, command, set_up);
    match call.plan()? {
        Ok(plan) => call.carry_out_or_run(&plan),
        Err(whole) => call.run_whole(whole),
    }
}

pub fn run_plan(runtime: &Runtime, command: &Parallel, plan: &Plan, set_up: SetUp) -> Result<Done, Error> {
    Call::new(runtime, command, set_up).carry_out_or_run(plan)
}

#[cfg(feature = "cluster")]
pub fn join(runtime: &Runtime, command: &Parallel, plan: &Plan, made: Made, set_up: SetUp) -> Result<Done, Error> {
    let call = Call {
        made: Some(made),
        ..Call::new(runtime, command, set_up)
    };
    call.carry_out_or_run(plan)
}

/// Where the output lies.
struct Target {
    file_system: Arc<dyn FileSystem>,
    output: String,
    partial: String,
}

/// Removes what is not whole, also where a caller's own code panics.
struct Half<'a> {
    target: &'a Target,
    kept: Option<&'a Kept>,
}

impl Drop for Half<'_> {
    fn drop(&mut self) {
        let _ = self.target.file_system.remove_file(&self.target.partial);
        // What is there under its name from now on is not its own.
        if let Some(kept) = self.kept {
            let _ = kept.set_begun(false);
        }
    }
}

/// One run of a command, and what all of its jobs share.
struct Call<'a> {
    runtime: &'a Runtime,
    command: &'a Parallel,
    set_up: SetUp<'a>,
    /// Where segments come from, if they are not made here.
    made: Option<Made<'a>>,
    called: Instant,
    /// Ends all jobs when one has failed.
    stop: Cancellation,
    cpu_time: AtomicU64,
    bytes_read: AtomicU64,
    memory_peak_bytes: AtomicU64,
}

impl<'a> Call<'a> {
    fn new(runtime: &'a Runtime, command: &'a Parallel, set_up: SetUp<'a>) -> Call<'a> {
        Call {
            runtime,
            command,
            set_up,
            made: None,
            called: Instant::now(),
            stop: Cancellation::new(),
            cpu_time: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            memory_peak_bytes: AtomicU64::new(0),
        }
    }

    /// A job of ffmpeg with the caller's files and limits.
    fn set_up(&self, args: &[String]) -> Result<Job, Error> {
        self.with_limits(args.iter().fold(Job::new(["ffmpeg"]), Job::arg))
    }

    fn with_limits(&self, job: Job) -> Result<Job, Error> {
        let mut job = (self.set_up)(job)?;
        if let Some(timeout) = job.timeout {
            let left = timeout.saturating_sub(self.called.elapsed());
            if left == Duration::ZERO {
                return Err(Error::Deadline { output: Box::default() });
            }
            job = job.timeout(left);
        }
        Ok(job.cancellation(&self.stop))
    }

    fn plan(&self) -> Result<Result<Plan, Whole>, Error> {
        let sought = match self.plan_seek()? {
            Ok(plan) => return Ok(Ok(plan)),
            Err(whole) => whole.to_string(),
        };
        Ok(self.plan_feed()?.map_err(|whole| {
            let whole = whole.to_string();
            match sought.contains(&whole) {
                true => Whole::new(sought),
                false => Whole::new(format!("{sought}; nor can it be fed: {whole}")),
            }
        }))
    }

    /// Plans to feed it.
    fn plan_feed(&self) -> Result<Result<Plan, Whole>, Error> {
        let read = || {
            let command = feed::Command::read(&self.command.args)?;
            let encoder = feed::encoder(&command)?.to_owned();
            Ok::<_, Whole>((command, encoder))
        };
        let (command, encoder) = match read() {
            Ok(read) => read,
            Err(whole) => return Ok(Err(whole)),
        };
        let mut probes = Vec::new();
        for input in &command.inputs {
            let mut job = self.with_limits(Job::probe(input.name.as_str()))?;
            // Before `-i`.
            let at = job.args.len().saturating_sub(2);
            job.args
                .splice(at..at, feed::probe_args(input).into_iter().map(Into::into));
            match self.runtime.probe(quiet(job)) {
                Ok(probe) => probes.push(probe),
                Err(Error::Program { message, .. }) => return Ok(Err(Whole::new(format!("the input: {message}")))),
                Err(error) => return Err(error),
            }
        }
        if !self.has_usual_encoder(&command.words)? {
            return Ok(Err(unusual_encoder()));
        }
        let module = match self.module(&encoder)? {
            Ok(module) => module,
            Err(whole) => return Ok(Err(whole)),
        };
        match feed::plan(&command, &probes, &module) {
            Ok(plan) => Ok(self.target(&plan)?.map(|_| plan)),
            whole => Ok(whole),
        }
    }

    /// What the module has of what a plan to feed needs.
    fn module(&self, encoder: &str) -> Result<Result<feed::Module, Whole>, Error> {
        for part in ["muxer=nut", "demuxer=nut", "filter=showinfo", "filter=setparams"] {
            let (kind, name) = part.split_once('=').unwrap_or((part, ""));
            if !self.help(part)?.to_lowercase().contains(&format!("{kind} {name}")) {
                return Ok(Err(Whole::new(format!("the module has no {kind} {name}"))));
            }
        }
        let help = self.help(&format!("encoder={encoder}"))?;
        let pixels = help
            .lines()
            .find_map(|line| line.split_once("Supported pixel formats:"));
        let pixels = pixels.map_or("", |(_, pixels)| pixels);
        Ok(Ok(feed::Module {
            pixels: pixels.split_whitespace().map(str::to_owned).collect(),
        }))
    }

    fn help(&self, part: &str) -> Result<String, Error> {
        let job = Job::new(["ffmpeg", "-v", "error", "-h", part]);
        let job = quiet(self.with_limits(job)?).streams_uncounted();
        let output = self
            .runtime
            .run(job.stdout(Stdout::Capture { limit_bytes: 64 << 10 }))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Plans to cut it by seeking.
    fn plan_seek(&self) -> Result<Result<Plan, Whole>, Error> {
        let words = match Words::read(&self.command.args) {
            Ok(words) => words,
            Err(whole) => return Ok(Err(whole)),
        };
        let whole_index = Stdout::Capture {
            limit_bytes: INDEX_MAX_BYTES,
        };
        let probed = self.with_limits(Job::probe(words.input.as_str()))?;
        let probe = match self.runtime.probe(quiet(probed)) {
            Ok(probe) => probe,
            // The job that does all says it in ffmpeg's words.
            Err(Error::Program { message, .. }) => return Ok(Err(Whole::new(format!("the input: {message}")))),
            Err(error) => return Err(error),
        };
        let read = || {
            let picture = Source::picture_of(&probe)?;
            Ok::<_, Whole>((picture, Source::index_args(&words.of_input, picture, &words.input)))
        };
        let (picture, args) = match read() {
            Ok(read) => read,
            Err(whole) => return Ok(Err(whole)),
        };
        let job = args.iter().fold(Job::new(["ffprobe"]), Job::arg);
        let index = quiet(self.with_limits(job)?.stdout(whole_index)).streams_uncounted();
        let output = self.runtime.run(index)?;
        if !output.success() || output.stdout_dropped_bytes > 0 {
            return Ok(Err(Whole::new("the input's packets cannot be listed")));
        }
        let index = String::from_utf8_lossy(&output.stdout);
        match Source::new(probe, picture, &index).and_then(|source| plan::plan(&words, &source)) {
            Ok(_) if !self.has_usual_encoder(&words)? => Ok(Err(unusual_encoder())),
            Ok(plan) => match self.target(&plan)? {
                Ok(_) => self.with_level(plan),
                Err(whole) => Ok(Err(whole)),
            },
            whole => Ok(whole),
        }
    }

    /// Has all segments have the level that the whole would have.
    fn with_level(&self, mut plan: Plan) -> Result<Result<Plan, Whole>, Error> {
        let Some(args) = &plan.level else {
            return Ok(Ok(plan));
        };
        let job = quiet(self.set_up(args)?).streams_uncounted();
        let output = self
            .runtime
            .run(job.stdout(Stdout::Capture { limit_bytes: 64 << 20 }))?;
        let encoded = Encoded::read(output.stdout).ok();
        let Some(level) = encoded.and_then(|encoded| encoded.level()) else {
            return Ok(Err(Whole::new(
                "the level of its video is not known before it is encoded",
            )));
        };
        for segment in &mut plan.segments {
            let args = segment.first_pass.iter_mut().flatten().chain(&mut segment.args);
            args.filter(|word| *word == Plan::LEVEL)
                .for_each(|word| word.clone_from(&level));
        }
        Ok(Ok(plan))
    }

    /// Whether the encoder that ffmpeg takes for H.264 is the one that plans take it for, where the command leaves it to ffmpeg.
    fn has_usual_encoder(&self, words: &Words) -> Result<bool, Error> {
        if !matches!(words.encoder(), None | Some("h264")) || words.container() == "webm" {
            return Ok(true);
        }
        Ok(self.help("encoder=libx264")?.contains("Encoder libx264"))
    }

    /// Finds the place of the output, unless it is for ffmpeg to decide about it.
    fn target(&self, plan: &Plan) -> Result<Result<Target, Whole>, Error> {
        let job = self.set_up(&[])?;
        let nowhere = || Whole::new("the output's folder was not found");
        let (Some((file_system, output)), Some((_, partial))) = (job.place(&plan.output), job.place(&plan.partial))
        else {
            return Ok(Err(nowhere()));
        };
        // One job says that it is the same file, and writes through a link.
        let is_same = |input: &String| {
            let (of_input, path) = job.place(input)?;
            let [one, other] = [
                of_input.metadata(&path, true).ok()?,
                file_system.metadata(&output, true).ok()?,
            ];
            let is_one_system = Arc::ptr_eq(&of_input, &file_system);
            let is_one_file = (one.device, one.inode) == (other.device, other.inode);
            Some((is_one_system && path == output) || (is_one_file && (is_one_system || one.device != 0)))
        };
        if plan.inputs.iter().any(|input| is_same(input) == Some(true)) {
            return Ok(Err(Whole::new("the output is one of the inputs")));
        }
        if file_system
            .metadata(&output, false)
            .is_ok_and(|metadata| metadata.file_type == FileType::SymbolicLink)
        {
            return Ok(Err(Whole::new("the output is a link")));
        }
        match file_system.metadata(&output, true) {
            Ok(_) if !plan.may_overwrite => return Ok(Err(Whole::new("the output exists, and -y is not given"))),
            Ok(metadata) if metadata.file_type != FileType::File => {
                return Ok(Err(Whole::new("the output is no file")));
            }
            _ => {}
        }
        // It may be somebody's.
        let is_own = || -> Result<bool, Error> {
            Ok(match &self.command.segments_folder {
                Some(folder) => keep::has_begun(folder, &self.key(plan)?),
                None => false,
            })
        };
        if file_system.metadata(&partial, false).is_ok() && !is_own()? {
            return Ok(Err(Whole::new(format!("{} is there already", plan.partial))));
        }
        Ok(Ok(Target {
            file_system,
            output,
            partial,
        }))
    }

    /// All that segments depend on: the plan, the input, and the programs that make them.
    fn key(&self, plan: &Plan) -> Result<String, Error> {
        let job = self.set_up(&[])?;
        let inputs = plan.inputs.iter().map(|input| {
            let (file_system, path) = job.place(input)?;
            let input = file_system.metadata(&path, true).ok()?;
            Some((input.size_bytes, input.modified, input.device, input.inode))
        });
        let inputs: Vec<_> = inputs.collect();
        let version = quiet(self.with_limits(Job::new(["ffmpeg", "-version"]))?);
        let version = version
            .streams_uncounted()
            .stdout(Stdout::Capture { limit_bytes: 64 << 10 });
        let version = self.runtime.run(version)?;
        let mut hash = Sha256::new();
        for part in [
            env!("CARGO_PKG_VERSION").as_bytes(),
            &version.stdout,
            format!("{inputs:?}").as_bytes(),
            format!("{plan:?}").as_bytes(),
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Ok(Hex(&hash.finalize()).to_string())
    }

    /// The segments of this plan that were made before, where they are kept.
    fn kept(&self, plan: &Plan) -> Result<Option<Kept>, Error> {
        let Some(folder) = self.command.segments_folder.as_ref().filter(|_| !plan.reads_files) else {
            return Ok(None);
        };
        let kept = Kept::open(folder, &self.key(plan)?);
        kept.map(Some).map_err(|error| self.unkept(&error))
    }

    fn unkept(&self, error: &io::Error) -> Error {
        let folder = self
            .command
            .segments_folder
            .iter()
            .map(|folder| folder.display().to_string());
        let reason = format!("{}: {error}", folder.collect::<String>());
        Error::Segments {
            source: io::Error::new(error.kind(), reason),
        }
    }

    /// Runs the command as one job.
    fn run_whole(&self, whole: Whole) -> Result<Done, Error> {
        if self.command.is_required {
            return Err(Error::Whole {
                reason: whole.to_string(),
            });
        }
        let mut job = self.set_up(&self.command.args)?;
        if let Some(report) = self.command.progress.clone() {
            job = job.progress(move |progress| report(progress));
        }
        let output = self.runtime.run(job)?;
        Ok(Done {
            output,
            segments: 1,
            whole: Some(whole),
        })
    }

    /// Carries a plan out. What turns out not to be fed is run as one job.
    fn carry_out_or_run(&self, plan: &Plan) -> Result<Done, Error> {
        let whole = match self.carry_out(plan)? {
            Ok(done) => return Ok(done),
            Err(whole) => whole,
        };
        // Those jobs were ended, and not this one.
        let again = Call {
            called: self.called,
            ..Call::new(self.runtime, self.command, self.set_up)
        };
        again.run_whole(whole)
    }

    fn carry_out(&self, plan: &Plan) -> Result<Result<Done, Whole>, Error> {
        let kept = self.kept(plan)?;
        let target = self.target(plan)?.map_err(|whole| segments(&whole.to_string()))?;
        if let Some(kept) = &kept {
            kept.set_begun(true).map_err(|error| self.unkept(&error))?;
        }
        let half = Half {
            target: &target,
            kept: kept.as_ref(),
        };
        // That it can be written is found now rather than after all is encoded.
        let mut options = OpenOptions::default();
        (options.write, options.create, options.truncate, options.follow_links) = (true, true, true, true);
        let opened = target.file_system.open(&target.partial, &options);
        let opened = opened.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", plan.partial)));
        drop(opened.map_err(|source| Error::Segments { source })?);
        let (mut output, count) = match self.encode_and_join(plan, kept.as_ref())? {
            Ok(joined) => joined,
            Err(whole) => return Ok(Err(whole)),
        };
        let renamed = target.file_system.rename(&target.partial, &target.output);
        renamed.map_err(|source| Error::Segments { source })?;
        std::mem::forget(half);
        kept.into_iter().for_each(Kept::remove);
        self.add(&output);
        output.cpu_time = Duration::from_nanos(self.cpu_time.load(Ordering::Relaxed));
        output.bytes_read = self.bytes_read.load(Ordering::Relaxed);
        output.memory_peak_bytes = self.memory_peak_bytes.load(Ordering::Relaxed);
        Ok(Ok(Done {
            output,
            segments: count,
            whole: None,
        }))
    }

    fn add(&self, output: &Output) {
        let nanoseconds = u64::try_from(output.cpu_time.as_nanos()).unwrap_or(u64::MAX);
        self.cpu_time.fetch_add(nanoseconds, Ordering::Relaxed);
        self.bytes_read.fetch_add(output.bytes_read, Ordering::Relaxed);
        self.memory_peak_bytes
            .fetch_max(output.memory_peak_bytes, Ordering::Relaxed);
    }

    /// Makes the output, of so many segments; or finds that it cannot be fed.
    fn encode_and_join(&self, plan: &Plan, kept: Option<&Kept>) -> Result<Result<(Output, usize), Whole>, Error> {
        let (feed, count) = match &plan.way {
            Way::Seek => (None, Some(plan.segments.len())),
            Way::Feed(feed) => (Some(feed), None),
        };
        let workers = self.command.worker_count().min(count.unwrap_or(usize::MAX));
        let wanted = plan.segments.iter().map(|segment| segment.frames);
        let line = Arc::new(Line::new(count, workers, wanted.collect()));
        let reports = Reports::new(self.command, plan.segments.len());
        let feeding = match feed {
            None => None,
            Some(feed) => {
                let (queue_max_bytes, _) = shared(self.set_up(&[])?.host_memory_max_bytes);
                Some(Feeding::new(feed, queue_max_bytes))
            }
        };
        let fails = Fails {
            stop: &self.stop,
            line: &line,
            feeding: feeding.as_deref(),
            first: Mutex::new(None),
            unfit: Mutex::new(None),
        };
        let fed = feed.zip(feeding.as_ref());
        let made = |index: usize| match fed {
            None => self.encode(&plan.segments[index], &reports, index, kept).map(Some),
            Some((feed, feeding)) => self.encode_fed(feed, feeding, &reports, index),
        };
        let joined = thread::scope(|scope| {
            if let Some((feed, feeding)) = fed {
                let (fails, line) = (&fails, &line);
                scope.spawn(move || {
                    let _ends = EndsAll(fails);
                    let fed = self.feed(feed, feeding);
                    if let Err(error) = fed.and_then(|count| line.set_count(count).map_err(segments)) {
                        fails.fail(error);
                    }
                });
            }
            for _ in 0..workers {
                scope.spawn(|| encode_next(&fails, made));
            }
            let _ends = EndsAll(&fails);
            // A program that ends before it has read all would leave the others waiting for it.
            let joined = self
                .join(plan, &line, feeding.as_deref())
                .and_then(|joined| line.check_read().map(|()| joined));
            // It fails as well when a segment has, and that is no news; nor is it that segments end when it fails.
            joined.map_err(|error| fails.fail(error)).ok()
        });
        let unfit = feeding.as_ref().and_then(|feeding| feeding.unfit());
        if let Some(reason) = unfit.or_else(|| lock(&fails.unfit).map(str::to_owned)) {
            return Ok(Err(Whole::new(reason)));
        }
        if let Some(error) = fails.first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let (output, frames) = joined.ok_or_else(|| segments("they were not joined"))?;
        match plan.is_playlist {
            true => check_frames(frames, line.frames())?,
            false => self.check(plan, line.frames())?,
        }
        reports.finish();
        Ok(Ok((output, line.count())))
    }

    /// Decodes and filters a video for the encoders. How many segments it has.
    fn feed(&self, feed: &Feed, feeding: &Arc<Feeding>) -> Result<usize, Error> {
        let feeder = Feeder::new(feeding);
        let job = self.set_up(&feed.feeder)?.streams_uncounted().stdin(Stdin::Empty);
        let job = job
            .stdout(Stdout::Writer(Box::new(feeder.clone())))
            .stderr(Stdout::Writer(Box::new(Log(feeding.clone()))));
        // Encoders that wait for it have places.
        let mut output = self.runtime.run_beside(job)?;
        self.add(&output);
        if let Some(reason) = feeder.refused() {
            if reason == feed::NO_VIDEO {
                feeding.set_unfit(reason.to_owned());
            }
            return Err(segments(reason));
        }
        output.stderr = feeding.errors();
        output.into_success()?;
        let count = feeder.finish().map_err(segments)?;
        feeding.check_end(feed);
        if count == 0 {
            feeding.set_unfit("it has no frames".to_owned());
            return Err(segments("there are no frames"));
        }
        Ok(count)
    }

    /// Encodes a segment that is fed, if there is one.
    fn encode_fed(
        &self,
        feed: &Feed,
        feeding: &Arc<Feeding>,
        reports: &Arc<Reports>,
        index: usize,
    ) -> Result<Option<Encoded>, Error> {
        let Some(known) = feeding.take(index) else {
            return Ok(None);
        };
        let time_base = known.time_base(feed).map_err(|reason| {
            feeding.set_unfit(reason.clone());
            segments(&reason)
        })?;
        let place = |word: &String| match word.as_str() {
            Feed::FRAME_FILTERS => known.filters(),
            Feed::TIME_BASE => format!("{}/{}", time_base.0, time_base.1),
            word => word.to_owned(),
        };
        let args: Vec<String> = feed.segment.iter().map(place).collect();
        let sink = Sink::default();
        let mut job = self.set_up(&args)?;
        let (_, encoded_max_bytes) = shared(job.host_memory_max_bytes);
        sink.set_limit(encoded_max_bytes as u64);
        if reports.report.is_some() {
            let reports = reports.clone();
            job = job.progress(move |progress| reports.of_segment(index, progress));
        }
        let job = quiet(job)
            .stdin(Stdin::Reader(Box::new(feeding.input(index))))
            .stdout(Stdout::Writer(Box::new(sink.clone())));
        let output = self.runtime.run(job)?;
        self.add(&output);
        sink.check()?;
        output.into_success()?;
        let encoded = Encoded::read(sink.take()).map_err(segments)?;
        let fed = feeding.finish(index).map_err(segments)?;
        match encoded.is_shown_at(&fed.times, fed.time_base, plan::OFFSET_SECONDS) {
            true => Ok(Some(encoded)),
            false => Err(segments("a segment has not the frames that it was fed")),
        }
    }

    /// Encodes a segment; once more if that fails, as what failed may pass.
    fn encode(
        &self,
        segment: &Segment,
        reports: &Arc<Reports>,
        index: usize,
        kept: Option<&Kept>,
    ) -> Result<Encoded, Error> {
        if let Some(made) = self.made {
            let bytes = made(index).map_err(|source| Error::Segments { source })?;
            let encoded = Encoded::read(bytes).map_err(segments)?;
            reports.of_segment(index, &of_frames(encoded.frames()));
            return Ok(encoded);
        }
        // One that was made before, unless the disk has damaged it.
        if let Some(bytes) = kept.and_then(|kept| kept.get(index)) {
            let mut sink = Sink::default();
            sink.set_limit(self.set_up(&[])?.host_memory_max_bytes);
            let _ = sink.write_all(&bytes);
            sink.check()?;
            if let Ok(encoded) = Encoded::read(sink.take()) {
                reports.of_segment(index, &of_frames(encoded.frames()));
                return Ok(encoded);
            }
        }
        let attempt = || {
            let sink = Sink::default();
            let mut job = self.after_first_pass(segment)?;
            sink.set_limit(job.host_memory_max_bytes);
            if reports.report.is_some() {
                let reports = reports.clone();
                job = job.progress(move |progress| reports.of_segment(index, progress));
            }
            let output = self
                .runtime
                .run(quiet(job).stdout(Stdout::Writer(Box::new(sink.clone()))))?;
            self.add(&output);
            sink.check()?;
            output.into_success()?;
            let bytes = sink.take();
            if let Some(kept) = kept {
                kept.put(index, &bytes).map_err(|error| self.unkept(&error))?;
            }
            Encoded::read(bytes).map_err(segments)
        };
        match attempt() {
            Err(Error::Program { .. } | Error::Segments { .. }) => attempt(),
            result => result,
        }
    }

    /// The job that makes a segment. If it is the second of two passes, the first is behind it.
    fn after_first_pass(&self, segment: &Segment) -> Result<Job, Error> {
        let job = self.set_up(&segment.args)?;
        let Some(args) = &segment.first_pass else {
            return Ok(job);
        };
        let passes: Arc<dyn FileSystem> = Arc::new(MemoryFs::new(job.host_memory_max_bytes));
        let first = self.set_up(args)?.file_system(Plan::PASSES, passes.clone());
        let output = self
            .runtime
            .run(quiet(first).streams_uncounted().stdout(Stdout::Discard))?;
        self.add(&output);
        output.into_success()?;
        // The first pass has taken of the time that is left.
        Ok(self.set_up(&segment.args)?.file_system(Plan::PASSES, passes))
    }

    fn join(&self, plan: &Plan, line: &Arc<Line>, feeding: Option<&Feeding>) -> Result<(Output, u64), Error> {
        let Some(first_seconds) = line.first_seconds() else {
            return Err(segments("a segment failed"));
        };
        // It may be later by what the output leaves out: `FIRST_TIME+3.5`.
        let place = |word: &String| {
            let later: Option<f64> = match word.strip_prefix(FIRST_TIME) {
                Some("") => Some(0.0),
                later => later.and_then(|later| later.strip_prefix('+')?.parse().ok()),
            };
            let rate = match &plan.way {
                Way::Feed(feed) if word == Feed::FRAME_RATE => {
                    let known = feeding.and_then(Feeding::known);
                    known.and_then(|known| known.rate(feed))
                }
                _ => None,
            };
            if let Some((above, below)) = rate {
                return format!("{above}/{below}");
            }
            match later {
                Some(later) => format!("{:.6}", first_seconds - f64::from(plan::OFFSET_SECONDS) + later),
                None => word.to_owned(),
            }
        };
        let args: Vec<String> = plan.join.iter().map(place).collect();
        let joined = Joined {
            line: line.clone(),
            current: Bytes::new(),
            next: 0,
        };
        let job = self.set_up(&args)?.stdin(Stdin::Reader(Box::new(joined)));
        let frames = Arc::new(AtomicU64::new(0));
        let counted = frames.clone();
        let job = match plan.is_playlist {
            true => job.progress(move |progress| counted.store(progress.frame, Ordering::Relaxed)),
            false => job,
        };
        let output = self.runtime.run_beside(job)?.into_success()?;
        Ok((output, frames.load(Ordering::Relaxed)))
    }

    /// Checks that the output has the frames of the segments.
    fn check(&self, plan: &Plan, wanted: u64) -> Result<(), Error> {
        let args = [
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-count_packets",
            "-show_entries",
            "stream=nb_read_packets",
        ];
        let job = args.into_iter().fold(Job::new(["ffprobe"]), Job::arg);
        let job = job.arg("-of").arg("csv=p=0").arg("-i").arg(&plan.partial);
        let job = quiet(self.with_limits(job)?).streams_uncounted();
        let output = self
            .runtime
            .run(job.stdout(Stdout::Capture { limit_bytes: 64 << 10 }))?;
        let counted = String::from_utf8_lossy(&output.stdout);
        // A format with programs lists streams for each, and again.
        let counted = counted.split_whitespace().next().unwrap_or_default();
        let counted = counted.trim_end_matches(',').parse::<u64>();
        let counted = counted.map_err(|_| segments("the joined output cannot be read"))?;
        check_frames(counted, wanted)
    }
}

fn check_frames(counted: u64, wanted: u64) -> Result<(), Error> {
    match counted == wanted {
        true => Ok(()),
        false => Err(segments(&format!(
            "the joined output has {counted} frames, and its segments have {wanted}"
        ))),
    }
}

/// Ends all that runs or waits.
struct Fails<'a> {
    stop: &'a Cancellation,
    line: &'a Line,
    feeding: Option<&'a Feeding>,
    /// The first failure; those after it come of it.
    first: Mutex<Option<Error>>,
    /// Why the segments are no whole, which one job makes then.
    unfit: Mutex<Option<&'static str>>,
}

impl Fails<'_> {
    fn fail(&self, error: Error) {
        lock(&self.first).get_or_insert(error);
        self.end_all();
    }

    fn end_all(&self) {
        if let Some(feeding) = self.feeding {
            feeding.fail();
        }
        self.stop.cancel();
        self.line.fail();
    }
}

/// Lets no thread wait for one that panics, as it does where a caller's own code has.
struct EndsAll<'a>(&'a Fails<'a>);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end_all();
        }
    }
}

/// Makes segments until there are none left.
fn encode_next(fails: &Fails<'_>, made: impl Fn(usize) -> Result<Option<Encoded>, Error>) {
    let _ends = EndsAll(fails);
    while let Some(index) = fails.line.next() {
        match made(index) {
            Ok(Some(encoded)) => {
                if let Err(reason) = fails.line.put(index, encoded) {
                    lock(&fails.unfit).get_or_insert(reason);
                    fails.end_all();
                }
            }
            // There is no such segment, or what feeds has failed.
            Ok(None) => break,
            Err(error) => fails.fail(error),
        }
    }
}

/// How much of a job's limit of host memory a queue of frames may have, and how much what is encoded.
fn shared(limit_bytes: u64) -> (usize, usize) {
    const QUEUE_MAX_BYTES: u64 = 64 << 20;
    let queue = QUEUE_MAX_BYTES.min(limit_bytes / 2);
    let part = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    (part(queue), part(limit_bytes - queue))
}

fn unusual_encoder() -> Whole {
    Whole::new("without libx264 the module has an encoder of its own for H.264: name it with -c:v")
}

/// The progress of a segment that is there.
fn of_frames(frame: u64) -> Progress {
    Progress {
        frame,
        ..Progress::default()
    }
}

/// The most that the index of an input may take as text: that of a day of video.
const INDEX_MAX_BYTES: usize = 256 << 20;

/// Has a job read nothing, and keep its messages.
fn quiet(job: Job) -> Job {
    job.stdin(Stdin::Empty)
        .stderr(Stdout::Capture { limit_bytes: 64 << 10 })
}

fn segments(reason: &str) -> Error {
    Error::Segments {
        source: io::Error::other(reason.to_owned()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The segments in order: which is encoded next, and which may be read.
struct Line {
    state: Mutex<State>,
    changed: Condvar,
    /// How many encoded segments may be ahead of the one that is read.
    ahead_max: usize,
    /// How many frames segments have to have.
    wanted: Vec<Option<u64>>,
}

#[derive(Default)]
struct State {
    /// How many segments there are, once it is known.
    count: Option<usize>,
    next: usize,
    encoded: BTreeMap<usize, Encoded>,
    /// The segments that were read.
    read: usize,
    frames: u64,
    failed: bool,
    /// What is in order.
    before: Before,
    ready: VecDeque<Bytes>,
    first_seconds: Option<f64>,
    /// How many are in order, checked against the one before.
    in_order: usize,
}

impl State {
    /// Whether so many segments are all.
    fn has_all(&self, segments: usize) -> bool {
        self.count.is_some_and(|count| segments >= count)
    }

    fn next_encoded(&mut self) -> Option<Encoded> {
        self.encoded.remove(&self.in_order)
    }

    fn check_frames(&self) -> Result<(), &'static str> {
        match self.has_all(self.in_order) && self.first_seconds.is_none() {
            true => Err("no segment has a frame"),
            false => Ok(()),
        }
    }
}

impl Line {
    fn new(count: Option<usize>, workers: usize, wanted: Vec<Option<u64>>) -> Line {
        let state = State {
            count,
            ..State::default()
        };
        Line {
            state: Mutex::new(state),
            changed: Condvar::new(),
            ahead_max: 2 * workers,
            wanted,
        }
    }

    /// The next segment to encode, once it is not too far ahead.
    fn next(&self) -> Option<usize> {
        let mut state = lock(&self.state);
        while !state.failed && !state.has_all(state.next) && state.next >= state.read + self.ahead_max {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.failed || state.has_all(state.next) {
            return None;
        }
        state.next += 1;
        Some(state.next - 1)
    }

    fn put(&self, index: usize, encoded: Encoded) -> Result<(), &'static str> {
        let wanted = self.wanted.get(index).copied().flatten();
        if wanted.is_some_and(|wanted| wanted != encoded.frames()) {
            return Err("decoding from a key frame on does not give all frames that the input has there");
        }
        let mut state = lock(&self.state);
        state.encoded.insert(index, encoded);
        while let Some(encoded) = state.next_encoded() {
            state.frames += encoded.frames();
            state.first_seconds = state.first_seconds.or_else(|| encoded.first_seconds());
            let parts = encoded.follow(&mut state.before)?;
            state.ready.extend(parts);
            state.in_order += 1;
        }
        self.changed.notify_all();
        state.check_frames()
    }

    /// There are so many segments, and no more.
    fn set_count(&self, count: usize) -> Result<(), &'static str> {
        let mut state = lock(&self.state);
        state.count = Some(count);
        self.changed.notify_all();
        state.check_frames()
    }

    fn count(&self) -> usize {
        lock(&self.state).count.unwrap_or_default()
    }

    fn fail(&self) {
        lock(&self.state).failed = true;
        self.changed.notify_all();
    }

    /// The time of the first frame, once there is one.
    fn first_seconds(&self) -> Option<f64> {
        let mut state = lock(&self.state);
        while !state.failed && state.first_seconds.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.first_seconds.filter(|_| !state.failed)
    }

    fn frames(&self) -> u64 {
        lock(&self.state).frames
    }

    /// Fails unless every part of every segment was read.
    fn check_read(&self) -> Result<(), Error> {
        let state = lock(&self.state);
        match state.has_all(state.in_order) && state.ready.is_empty() {
            true => Ok(()),
            false => Err(segments("what joins them ended before it had read all of them")),
        }
    }
}

/// The segments as one stream.
struct Joined {
    line: Arc<Line>,
    current: Bytes,
    /// How many parts were read: a head, and the fragments of each segment.
    next: usize,
}

impl Read for Joined {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let mut state = lock(&self.line.state);
            if state.failed {
                return Err(io::Error::other("a segment failed"));
            }
            if let Some(part) = state.ready.pop_front() {
                self.next += 1;
                // What is read frees the place of a segment.
                state.read = self.next - 1;
                self.current = part;
                self.line.changed.notify_all();
            } else if state.has_all(state.in_order) {
                return Ok(0);
            } else {
                drop(self.line.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// Takes what a segment's job writes, up to a limit.
#[derive(Clone, Default)]
struct Sink {
    shared: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    bytes: Vec<u8>,
    limit_bytes: u64,
    exceeds: Option<u64>,
}

impl Sink {
    fn set_limit(&self, bytes: u64) {
        lock(&self.shared).limit_bytes = bytes;
    }

    fn check(&self) -> Result<(), Error> {
        let taken = lock(&self.shared);
        match taken.exceeds {
            None => Ok(()),
            Some(wanted) => Err(Error::Limit {
                limit: Limit::HostMemory,
                allowed: taken.limit_bytes,
                wanted,
                output: Box::default(),
            }),
        }
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.shared).bytes)
    }
}

impl Write for Sink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut taken = lock(&self.shared);
        let wanted = (taken.bytes.len() + buffer.len()) as u64;
        if wanted > taken.limit_bytes {
            taken.exceeds = Some(wanted);
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        taken.bytes.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The progress of all segments.
struct Reports {
    report: Option<Report>,
    of_segments: Mutex<Vec<Progress>>,
    started: Instant,
}

impl Reports {
    fn new(command: &Parallel, count: usize) -> Arc<Reports> {
        Arc::new(Reports {
            report: command.progress.clone(),
            of_segments: Mutex::new(vec![Progress::default(); count]),
            started: Instant::now(),
        })
    }

    fn of_segment(&self, index: usize, progress: &Progress) {
        let mut of_segments = lock(&self.of_segments);
        if index >= of_segments.len() {
            of_segments.resize(index + 1, Progress::default());
        }
        of_segments[index] = progress.clone();
        self.tell(&of_segments, false);
    }

    fn finish(&self) {
        self.tell(&lock(&self.of_segments), true);
    }

    /// The lock is held, so that one report follows another.
    fn tell(&self, of_segments: &[Progress], finished: bool) {
        let Some(report) = &self.report else {
            return;
        };
        let elapsed = self.started.elapsed().as_secs_f64().max(1e-3);
        let frame: u64 = of_segments.iter().map(|progress| progress.frame).sum();
        // A segment's frames stand for its time, since its clock is that of the whole.
        let time = of_segments
            .iter()
            .map(|progress| progress.time)
            .max()
            .unwrap_or_default();
        report(&Progress {
            frame,
            fps: frame as f64 / elapsed,
            time,
            speed: Some(time.as_secs_f64() / elapsed),
            total_size_bytes: None,
            finished,
        });
    }
}
