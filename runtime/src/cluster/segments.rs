//! One long job on many machines: whoever takes it plans it, puts its segments into the queue as jobs, and joins them when all are
//! there. A segment is an ordinary job whose standard output is a file of work, so that a worker that is lost costs the segments it had.
//! The plan depends on the command and the input alone: who takes the job over finds the segments that were made.

use super::attempt::{Attempt, taken_over};
use super::cancel::cancel;
use super::error::Error;
use super::fault::Fault;
use super::files::{Files, Places};
use super::lease::Unheld;
use super::message::{JobMessage, Key, Outcome, Status};
use super::policy::{Access, Address, Given};
use super::queue::{Published, Unchanged};
use super::redact::shown;
use super::slots::Slot;
use super::state::{Phase, State};
use super::store;
use crate::job::Job;
use crate::pack::Hex;
use crate::parallel::{Parallel, Plan, Way, Whole};
use sha2::{Digest, Sha256};
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// Whether the segments of a plan are jobs by themselves.
fn can_be_queued(plan: &Plan) -> bool {
    plan.way == Way::Seek && plan.segments.iter().all(|segment| segment.first_pass.is_none())
}

/// How often it is looked whether a segment is there.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A segment's job, and where it leaves its bytes.
struct Made {
    key: Key,
    address: Address,
    shown: String,
    /// The place of its message in the queue: an end of an earlier one does not count. 0 if it was there already.
    sequence: u64,
}

impl Attempt {
    /// Runs the job on many machines if it can be cut, and as one program otherwise.
    pub async fn run_parallel(&self, slot: &mut Slot) -> Result<Outcome, Fault> {
        let places = Places::of(&self.job, &self.policy)?;
        let given = self.policy.limits(&self.job).map_err(Fault::lasting)?;
        let command = Parallel::new(self.job.args.iter().cloned());
        let files = Files::open(&places, &self.opening(), true).await?;
        let plan = match self.plan(&command, &files, given).await {
            // The two passes of a segment share a folder, which jobs of a queue do not, and frames are fed within one machine.
            Ok(Ok(plan)) if can_be_queued(&plan) => plan,
            Ok(_) => {
                files.abandon(&self.lease).await;
                return self.run().await;
            }
            Err(fault) => {
                files.abandon(&self.lease).await;
                return Err(fault);
            }
        };
        self.make_and_join(command, Arc::new(plan), files, given, slot).await
    }

    async fn plan(&self, command: &Parallel, files: &Files, given: Given) -> Result<Result<Plan, Whole>, Fault> {
        let (attempt, command, file_system) = (self.clone(), command.clone(), files.file_system());
        let planned = tokio::task::spawn_blocking(move || {
            attempt.runtime.plan_parallel(&command, |job: Job| {
                attempt
                    .with_limits(job, given, true)
                    .file_system(".", file_system.clone())
            })
        });
        let planned = planned.await.map_err(|error| Fault::passing(error.to_string()))?;
        match files.faults.first() {
            Some(fault) => Err(fault),
            None => planned.map_err(|error| Fault::passing(error.chain())),
        }
    }

    async fn make_and_join(
        &self,
        command: Parallel,
        plan: Arc<Plan>,
        files: Files,
        given: Given,
        slot: &mut Slot,
    ) -> Result<Outcome, Fault> {
        let made = match self.make(&plan, slot).await {
            Ok(made) => Arc::new(made),
            Err(fault) => {
                files.abandon(&self.lease).await;
                return Err(fault);
            }
        };
        let (attempt, handle, segments) = (self.clone(), Handle::current(), made.clone());
        let joined = tokio::task::spawn_blocking(move || {
            let result = attempt.join(&command, &plan, &segments, &files, given, &handle);
            let sent = match (&result, files.faults.first()) {
                (_, Some(fault)) => Err(fault),
                (Ok(outcome), None) if outcome.status == Status::Done => files.finish(&attempt.policy),
                _ => Ok(Vec::new()),
            };
            (files, result, sent)
        });
        let (files, result, sent) = joined.await.map_err(|error| Fault::passing(error.to_string()))?;
        let ended = match (result, sent) {
            (_, Err(fault)) | (Err(fault), Ok(_)) => Err(fault),
            (Ok(outcome), Ok(outputs)) => self.name(outcome, outputs).await,
        };
        if !matches!(&ended, Ok(outcome) if outcome.status == Status::Done) {
            files.abandon(&self.lease).await;
        }
        ended
    }

    /// Has all segments made, by whoever takes them. This worker's place is free meanwhile, or all could wait for each other.
    async fn make(&self, plan: &Plan, slot: &mut Slot) -> Result<Vec<Made>, Fault> {
        let mut made = Vec::new();
        let digest = self.digest(plan);
        for index in 0..plan.segments.len() {
            let segment = self.segment(plan, index, &digest)?;
            made.push(self.publish(&segment).await?);
        }
        let unneeded = made.iter().map(|segment| segment.address.clone());
        self.unneeded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(unneeded);
        slot.release();
        let waited = self.wait(&made).await;
        if let Err(fault) = &waited
            && self.is_ended(fault).await
        {
            for segment in &made {
                let _ = cancel(&self.queue, &segment.key).await;
            }
        }
        slot.take_again().await;
        waited.map(|()| made)
    }

    /// Puts a segment's job into the queue, unless the segment is there.
    async fn publish(&self, segment: &JobMessage) -> Result<Made, Fault> {
        let text = segment.stdout.clone().unwrap_or_default();
        let address = self.policy.resolve(&text, Access::Write).map_err(Fault::lasting)?;
        self.policy.resolve(&text, Access::Read).map_err(Fault::lasting)?;
        let (key, shown) = (segment.key(), shown(&text));
        let failed = |error: Error| Fault::passing(error.chain());
        let sequence = loop {
            let found = self.queue.state(&key).await.map_err(failed)?;
            if let Some((state, revision)) = found.filter(|(state, _)| state.status() == Status::Done) {
                if store::exists(&self.buckets, &address, &shown).await? {
                    break 0;
                }
                // What was made is gone. One that is done is not done again, and one that was cancelled is.
                let cancelled = State {
                    phase: Phase::Cancelled,
                    token: String::new(),
                    outcome: None,
                    ..state
                };
                match self.queue.set_state(&key, &cancelled, Some(revision)).await {
                    Ok(_) => {}
                    Err(Unchanged::Conflict) => continue,
                    Err(Unchanged::Failed(error)) => return Err(failed(error)),
                    Err(Unchanged::TooLong) => return Err(Unheld::TooLong.into()),
                }
            }
            match self.queue.publish(&key, segment.to_json()).await.map_err(failed)? {
                Published::New(sequence) => break sequence,
                Published::Known => {
                    if let Some(sequence) = self.queue.sequence(&key).await.map_err(failed)? {
                        break sequence;
                    }
                    // It has just ended.
                }
            }
        };
        Ok(Made {
            key,
            address,
            shown,
            sequence,
        })
    }

    /// Whether nobody will join what was made: the job is cancelled, or this worker holds it and gives it up. Where another worker holds
    /// it, the segments are that one's.
    async fn is_ended(&self, fault: &Fault) -> bool {
        match self.queue.state(&self.lease.key).await {
            Ok(Some((state, _))) if state.phase == Phase::Cancelled => true,
            _ => !fault.passes && self.lease.confirm().await.is_ok(),
        }
    }

    async fn wait(&self, made: &[Made]) -> Result<(), Fault> {
        for segment in made {
            loop {
                if self.stop.is_cancelled() {
                    return Err(taken_over());
                }
                // Without the server there is nothing but to wait.
                if let Ok(Some((state, _))) = self.queue.state(&segment.key).await {
                    match state.status() {
                        _ if state.sequence < segment.sequence => {}
                        Status::Done => break,
                        Status::Queued | Status::Running => {}
                        Status::Failed | Status::Cancelled => {
                            let outcome = state.result(&segment.key);
                            let words = outcome.and_then(|outcome| outcome.error).unwrap_or_default();
                            return Err(Fault::lasting(format!("the segment {}: {words}", segment.shown)));
                        }
                    }
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// What a segment is made by, and of which cut. Those of another module or another cut lie elsewhere, as an output is of one.
    fn digest(&self, plan: &Plan) -> String {
        let mut digest = Sha256::new();
        digest.update(&*self.module_sha256);
        for segment in &plan.segments {
            digest.update(segment.args.len().to_le_bytes());
            for arg in &segment.args {
                digest.update(arg.len().to_le_bytes());
                digest.update(arg);
            }
        }
        Hex(&digest.finalize()[..16]).to_string()
    }

    fn segment(&self, plan: &Plan, index: usize, digest: &str) -> Result<JobMessage, Fault> {
        let work = self
            .job
            .work
            .as_deref()
            .ok_or_else(|| Fault::lasting("it names no address for work"))?;
        let key = &self.lease.key;
        Ok(JobMessage {
            id: format!("{}/{index}", &key.as_str()[..16]),
            args: plan.segments[index].args.clone(),
            timeout: self.job.timeout,
            inputs: self.job.inputs.clone(),
            stdout: Some(format!("{}/{key}/{digest}/{index:05}.mp4", work.trim_end_matches('/'))),
            limits: self.job.limits.clone(),
            module: Some(format!("sha256:{}", self.module_sha256)),
            ..JobMessage::new("", [""; 0])
        })
    }

    /// Joins the segments in a folder, as the output is read again to be checked. It blocks.
    fn join(
        &self,
        command: &Parallel,
        plan: &Plan,
        made: &[Made],
        files: &Files,
        given: Given,
        handle: &Handle,
    ) -> Result<Outcome, Fault> {
        let segment = |index: usize| {
            let segment = &made[index];
            let bytes = store::download(
                &self.buckets,
                &segment.address,
                &segment.shown,
                given.host_memory_max_bytes,
            );
            handle
                .block_on(bytes)
                .map_err(|fault: Fault| -> io::Error { files.faults.note(fault) })
        };
        let done = self.runtime.join_segments(command, plan, &segment, |job: Job| {
            self.with_limits(job, given, true).file_system(".", files.file_system())
        });
        let outcome = self.outcome(done.map(|done| done.output));
        outcome.map(|outcome| Outcome {
            segments: Some(plan.segments.len()),
            ..outcome
        })
    }
}
