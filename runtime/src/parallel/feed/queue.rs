//! The frames between the feeder and the encoders of segments.
//!
//! The feeder writes into the queue of one segment, and waits when that is full; the next segment begins with a queue of its own, once
//! somebody may soon take it. So the order of frames decides who waits for whom, and no encoder waits for another one.

use super::nut::{Frames, Head, Reader};
use super::said::{self, Known};
use crate::parallel::plan::Feed;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What is fed, and what is known of it.
pub struct Feeding {
    state: Mutex<State>,
    changed: Condvar,
    frames_max: u64,
    queue_max_bytes: usize,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<usize, Queue>,
    /// How many segments have begun, and how many of those have an encoder.
    begun: usize,
    taken: usize,
    /// All of them have begun.
    ended: bool,
    failed: bool,
    said: said::Reader,
    /// The units of the times of frames.
    time_base: (u64, u64),
}

/// The frames of a segment.
#[derive(Default)]
struct Queue {
    parts: VecDeque<Bytes>,
    bytes: usize,
    times: Vec<i64>,
    /// All of it is there.
    ended: bool,
}

/// What an encoder was fed.
pub struct Fed {
    pub times: Vec<i64>,
    /// In seconds, as a fraction.
    pub time_base: (u64, u64),
}

impl Feeding {
    pub fn new(feed: &Feed, queue_max_bytes: usize) -> Arc<Feeding> {
        Arc::new(Feeding {
            state: Mutex::default(),
            changed: Condvar::new(),
            frames_max: feed.frames.max(1),
            queue_max_bytes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all that waits.
    pub fn fail(&self) {
        self.lock().failed = true;
        self.changed.notify_all();
    }

    /// Waits until a segment has its first frame. What is known of the frames, if there is such a segment.
    pub fn take(&self, index: usize) -> Option<Known> {
        let mut state = self.lock();
        while !state.failed && !state.ended && index >= state.begun {
            state = self.wait(state);
        }
        if state.failed || index >= state.begun {
            return None;
        }
        state.taken = state.taken.max(index + 1);
        self.changed.notify_all();
        // Before a frame is there, what is said of it is.
        state.said.known.clone()
    }

    /// What is known of the frames, once there are some.
    pub fn known(&self) -> Option<Known> {
        self.lock().said.known.clone()
    }

    /// Checks what shows at the end of the frames.
    pub fn check_end(&self, feed: &Feed) {
        self.lock().said.check_end(feed);
    }

    /// The input of a segment's encoder.
    pub fn input(self: &Arc<Feeding>, index: usize) -> impl Read + Send + use<> {
        Input {
            feeding: self.clone(),
            index,
            current: Bytes::new(),
        }
    }

    /// What an encoder was fed that has ended. It is an error if it has not read all of it.
    pub fn finish(&self, index: usize) -> Result<Fed, &'static str> {
        let mut state = self.lock();
        let time_base = state.time_base;
        match state.queues.remove(&index) {
            Some(queue) if queue.ended && queue.parts.is_empty() => Ok(Fed {
                times: queue.times,
                time_base,
            }),
            _ => Err("an encoder ended before it had read all frames"),
        }
    }

    /// The feeder has ended well. How many segments there are.
    fn end(&self) -> Result<usize, &'static str> {
        let mut state = self.lock();
        if state.failed {
            return Err("an encoder failed");
        }
        if let Some(queue) = state.begun.checked_sub(1).and_then(|last| state.queues.get_mut(&last)) {
            queue.ended = true;
        }
        state.ended = true;
        self.changed.notify_all();
        Ok(state.begun)
    }

    /// Why it cannot be fed.
    pub fn unfit(&self) -> Option<String> {
        self.lock().said.unfit.clone()
    }

    pub fn set_unfit(&self, reason: String) {
        self.lock().said.unfit.get_or_insert(reason);
    }

    pub fn errors(&self) -> Vec<u8> {
        self.lock().said.errors()
    }

    /// The queue that a frame belongs to, for which the feeder waits if it is a new one.
    fn begin(&self, head: &Head, time: i64, size_bytes: u64) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.said.known.is_none() {
            return Err("the feeder has said nothing of its frames".into());
        }
        if state.said.unfit.is_some() {
            return Err("the frames cannot be fed".into());
        }
        let last = state.begun.checked_sub(1);
        let is_new = match last {
            None => true,
            // Its encoder is there until all of it is.
            Some(last) => {
                let queue = state.queues.get_mut(&last).ok_or("an encoder ended too early")?;
                if queue.times.last().is_some_and(|before| *before >= time) {
                    return Err("the frames that are fed are not in order".into());
                }
                let is_full = queue.times.len() as u64 >= self.frames_max;
                queue.ended |= is_full;
                is_full
            }
        };
        self.changed.notify_all();
        if is_new {
            while !state.failed && state.begun > state.taken {
                state = self.wait(state);
            }
            let index = state.begun;
            state.queues.insert(index, Queue::default());
            state.begun += 1;
            state.time_base = head.time_base;
            state = self.put(state, Bytes::copy_from_slice(head.bytes()))?;
        }
        let before = head.before_frame(time, size_bytes)?;
        let mut state = self.put(state, before.into())?;
        if let Some(queue) = state.begun.checked_sub(1).and_then(|last| state.queues.get_mut(&last)) {
            queue.times.push(time);
        }
        Ok(())
    }

    /// Waits until there is space in the queue of the last segment.
    fn put<'a>(&'a self, mut state: MutexGuard<'a, State>, part: Bytes) -> Result<MutexGuard<'a, State>, Refused> {
        let last = state.begun.checked_sub(1).ok_or("no segment has begun")?;
        loop {
            if state.failed {
                return Err("an encoder failed".into());
            }
            let queue = state.queues.get_mut(&last).ok_or("an encoder ended too early")?;
            // None of it would be read as the end.
            if part.is_empty() {
                return Ok(state);
            }
            if queue.bytes == 0 || queue.bytes + part.len() <= self.queue_max_bytes {
                queue.bytes += part.len();
                queue.parts.push_back(part);
                self.changed.notify_all();
                return Ok(state);
            }
            state = self.wait(state);
        }
    }
}

/// Why the feeder cannot go on.
struct Refused(&'static str);

impl From<&'static str> for Refused {
    fn from(reason: &'static str) -> Refused {
        Refused(reason)
    }
}

struct Sorter<'a>(&'a Feeding);

impl Frames for Sorter<'_> {
    type Error = Refused;

    fn begin(&mut self, head: &Head, time: i64, size_bytes: u64) -> Result<(), Refused> {
        self.0.begin(head, time, size_bytes)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        drop(self.0.put(self.0.lock(), Bytes::copy_from_slice(bytes))?);
        Ok(())
    }
}

/// Takes what the feeder writes.
#[derive(Clone)]
pub struct Feeder {
    feeding: Arc<Feeding>,
    reader: Arc<Mutex<Reading>>,
}

#[derive(Default)]
struct Reading {
    reader: Reader,
    refused: Option<&'static str>,
}

impl Feeder {
    pub fn new(feeding: &Arc<Feeding>) -> Feeder {
        Feeder {
            feeding: feeding.clone(),
            reader: Arc::default(),
        }
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it was made to end.
    pub fn refused(&self) -> Option<&'static str> {
        self.reading().refused
    }

    /// It has ended well. How many segments there are.
    pub fn finish(&self) -> Result<usize, &'static str> {
        self.reading().reader.finish()?;
        self.feeding.end()
    }
}

impl Write for Feeder {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut reading = self.reading();
        let pushed = match reading.refused {
            None => reading.reader.push(buffer, &mut Sorter(&self.feeding)),
            Some(reason) => Err(Refused(reason)),
        };
        match pushed {
            Ok(()) => Ok(buffer.len()),
            Err(Refused(reason)) => {
                reading.refused = Some(reason);
                Err(io::Error::other(reason))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes what the feeder says.
pub struct Log(pub Arc<Feeding>);

impl Write for Log {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().said.push(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The frames of a segment as its encoder reads them.
struct Input {
    feeding: Arc<Feeding>,
    index: usize,
    current: Bytes,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            let mut state = self.feeding.lock();
            loop {
                if state.failed {
                    return Err(io::Error::other("the feeder failed"));
                }
                let Some(queue) = state.queues.get_mut(&self.index) else {
                    return Ok(0);
                };
                if let Some(part) = queue.parts.pop_front() {
                    queue.bytes -= part.len();
                    self.current = part;
                    self.feeding.changed.notify_all();
                    break;
                }
                if queue.ended {
                    return Ok(0);
                }
                state = self.feeding.wait(state);
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn feeding(frames: u64, queue_max_bytes: usize) -> Arc<Feeding> {
        let feed = Feed {
            feeder: Vec::new(),
            frames,
            segment: Vec::new(),
            rate: None,
            is_constant: false,
            rate_part_max: u64::MAX,
        };
        let feeding = Feeding::new(&feed, queue_max_bytes);
        feeding.lock().said.known = Some(Known::default());
        feeding
    }

    #[test]
    fn a_feeder_is_never_far_ahead_and_a_failure_ends_all() {
        let feeding = feeding(2, 100);
        let fed = thread::scope(|scope| {
            let feeder = scope.spawn(|| {
                let mut sorter = Sorter(&feeding);
                for frame in 0..5 {
                    sorter.begin(&Head::test(), frame, 150)?;
                    for _ in 0..3 {
                        sorter.data(&[frame as u8; 50])?;
                    }
                }
                feeding.end().map_err(Refused)
            });
            let mut fed = Vec::new();
            for index in 0.. {
                let Some(_) = feeding.take(index) else { break };
                // It is not ahead by more than the one that nobody has taken.
                assert!(feeding.lock().begun <= index + 2);
                let mut bytes = Vec::new();
                feeding.input(index).read_to_end(&mut bytes).unwrap();
                let data = bytes.iter().filter(|byte| **byte == 2 * index as u8).count();
                assert!(data >= 150, "{data}");
                fed.push(feeding.finish(index).map(|fed| fed.times).unwrap());
            }
            assert_eq!(feeder.join().unwrap().map_err(|Refused(reason)| reason), Ok(3));
            fed
        });
        assert_eq!(fed, [vec![0, 1], vec![2, 3], vec![4]]);

        let feeding = self::feeding(2, 100);
        thread::scope(|scope| {
            let feeder = scope.spawn(|| {
                let mut sorter = Sorter(&feeding);
                sorter.begin(&Head::test(), 0, 150)?;
                loop {
                    sorter.data(&[0; 50])?;
                }
                #[expect(unreachable_code, reason = "it says what it would return")]
                Ok::<(), Refused>(())
            });
            assert!(feeding.take(0).is_some());
            feeding.fail();
            assert!(feeder.join().unwrap().is_err());
        });
        assert!(feeding.take(1).is_none() && feeding.input(0).read(&mut [0; 9]).is_err());
    }

    #[test]
    fn frames_that_go_back_and_encoders_that_do_not_read_are_errors() {
        let feeding = feeding(9, 1 << 20);
        let mut sorter = Sorter(&feeding);
        assert!(sorter.begin(&Head::test(), 5, 1).is_ok() && sorter.data(b"x").is_ok());
        assert!(sorter.begin(&Head::test(), 5, 1).is_err());
        feeding.end().unwrap();
        assert!(feeding.finish(0).is_err());
    }
}
