//! `poll_oneoff`: sleeping, and waiting for streams.

#[cfg(unix)]
use crate::interrupt::WAIT_SLICE;
use crate::stdio::{Direction, Readiness};
use crate::wasi::abi::{self, Answer, Errno, clock, event_type};
use crate::wasi::descriptors::Descriptor;
use crate::wasi::host::Host;
use crate::wasi::memory::{GuestMemory, Memory};
use std::time::{Duration, Instant};

/// More than any program has files; the bound keeps a hostile count from costing the host memory.
const SUBSCRIPTIONS_MAX: u32 = 4096;

/// How long a stream that has to be asked is not.
#[cfg(unix)]
const ASKED_SLICE: Duration = Duration::from_millis(5);

struct Subscription {
    user_data: u64,
    event_type: u8,
    wanted: Wanted,
}

enum Wanted {
    /// A time of the guest's monotonic clock.
    Time(Duration),
    #[cfg_attr(not(unix), expect(dead_code, reason = "any stream counts as ready there"))]
    Stream(u32, Direction),
    /// A stream that has to be asked.
    Asked(u32, Direction),
    /// Known before anything is waited for.
    Known(Result<u64, Errno>),
}

impl Host {
    pub fn poll_oneoff(
        &mut self,
        memory: Memory,
        subscriptions: u32,
        events: u32,
        count: u32,
        happened: u32,
    ) -> Answer {
        if count == 0 || count > SUBSCRIPTIONS_MAX {
            return Err(Errno::Inval.into());
        }
        memory.slice(subscriptions, count * abi::SUBSCRIPTION_SIZE_BYTES)?;
        memory.slice(events, count * abi::EVENT_SIZE_BYTES)?;
        memory.slice(happened, 4)?;
        let subscriptions = (0..count)
            .map(|index| self.subscription(memory, subscriptions + index * abi::SUBSCRIPTION_SIZE_BYTES))
            .collect::<Result<Vec<_>, _>>()?;

        let answers = self.wait(&subscriptions)?;
        let mut event = events;
        let mut happened_count = 0;
        for (subscription, answer) in subscriptions.iter().zip(answers) {
            let Some(answer) = answer else { continue };
            let mut bytes = [0; abi::EVENT_SIZE_BYTES as usize];
            bytes[0..8].copy_from_slice(&subscription.user_data.to_le_bytes());
            let error = answer.err().unwrap_or(Errno::Success);
            bytes[8..10].copy_from_slice(&(error as u16).to_le_bytes());
            bytes[10] = subscription.event_type;
            bytes[16..24].copy_from_slice(&answer.unwrap_or(0).to_le_bytes());
            memory.write(event, &bytes)?;
            event += abi::EVENT_SIZE_BYTES;
            happened_count += 1;
        }
        memory.write_u32(happened, happened_count)
    }

    fn subscription(&mut self, memory: &GuestMemory, at: u32) -> Result<Subscription, Errno> {
        // The caller has checked that the whole structure lies in memory, so these sums cannot overflow.
        let event_type = memory.read_u8(at + 8)?;
        let wanted = match event_type {
            event_type::CLOCK => {
                let clock = memory.read_u32(at + 16)?;
                let time = Duration::from_nanos(memory.read_u64(at + 24)?);
                let absolute = memory.read_u16(at + 40)? & abi::SUBSCRIPTION_CLOCK_ABSOLUTE != 0;
                match clock {
                    clock::REALTIME | clock::MONOTONIC => {
                        let span = if absolute {
                            time.saturating_sub(self.now(clock)?)
                        } else {
                            time
                        };
                        Wanted::Time(self.clock.monotonic().saturating_add(span))
                    }
                    _ => Wanted::Known(Err(Errno::Inval)),
                }
            }
            event_type::FD_READ => self.readiness(memory.read_u32(at + 16)?, Direction::Read),
            event_type::FD_WRITE => self.readiness(memory.read_u32(at + 16)?, Direction::Write),
            _ => return Err(Errno::Inval),
        };
        Ok(Subscription {
            user_data: memory.read_u64(at)?,
            event_type,
            wanted,
        })
    }

    fn readiness(&mut self, fd: u32, direction: Direction) -> Wanted {
        #[cfg(unix)]
        if direction == Direction::Read
            && let Ok(ahead) = self.descriptors.ahead(fd)
            && ahead.is_ready()
        {
            return Wanted::Known(Ok(ahead.len().max(1) as u64));
        }
        Wanted::Known(match self.descriptors.get(fd) {
            Ok(Descriptor::Stream(stream)) => match stream.readiness(direction) {
                Readiness::Wait => return Wanted::Stream(fd, direction),
                Readiness::AskAgain => return Wanted::Asked(fd, direction),
                Readiness::Ready => Ok(1),
            },
            #[cfg(unix)]
            Ok(Descriptor::File(open)) if open.file.awaited().is_some() => return Wanted::Stream(fd, direction),
            Ok(Descriptor::File(open)) => match (direction, open.file.metadata()) {
                (Direction::Read, Ok(metadata)) => Ok(metadata.size_bytes.saturating_sub(open.position)),
                _ => Ok(1),
            },
            Ok(Descriptor::Directory(_)) | Err(_) => Err(Errno::Badf),
        })
    }

    /// For each subscription whether it has happened, and with what result; at least one has.
    fn wait(&mut self, subscriptions: &[Subscription]) -> Result<Vec<Option<Result<u64, Errno>>>, Errno> {
        let any_known = subscriptions
            .iter()
            .any(|subscription| matches!(subscription.wanted, Wanted::Known(_)));
        let times = subscriptions
            .iter()
            .filter_map(|subscription| match subscription.wanted {
                Wanted::Time(time) => Some(time),
                _ => None,
            });
        let wake_up = times.min();
        loop {
            let mut any_happened = any_known;
            let until = match wake_up {
                _ if any_known => Some(Instant::now()),
                // A fixed clock reaches any time at once, so streams are only checked.
                Some(_) if self.clock.is_fixed() => Some(Instant::now()),
                // A time that the host's clock cannot reach does not come.
                Some(time) => self.clock.instant(time),
                None => None,
            };
            let mut ready = self.wait_for_streams(subscriptions, until)?;
            for (index, subscription) in subscriptions.iter().enumerate() {
                if let Wanted::Asked(fd, direction) = subscription.wanted
                    && !matches!(self.readiness(fd, direction), Wanted::Asked(..))
                {
                    ready.push(index);
                }
            }
            if let Some(time) = wake_up
                && !any_known
                && ready.is_empty()
            {
                self.clock.skip_to(time);
            }
            let now = self.clock.monotonic();
            let answers = subscriptions.iter().enumerate().map(|(index, subscription)| {
                let answer = match subscription.wanted {
                    Wanted::Known(answer) => Some(answer),
                    Wanted::Time(time) => (time <= now).then_some(Ok(0)),
                    Wanted::Stream(..) | Wanted::Asked(..) => ready.contains(&index).then_some(Ok(1)),
                };
                any_happened |= answer.is_some();
                answer
            });
            let answers = answers.collect();
            if any_happened {
                return Ok(answers);
            }
            if self.interrupt.check().is_some() {
                return Err(Errno::Intr);
            }
        }
    }

    /// Waits until then, or until a stream is ready; returns the subscriptions whose streams are.
    #[cfg(unix)]
    fn wait_for_streams(&mut self, wanted: &[Subscription], until: Option<Instant>) -> Result<Vec<usize>, Errno> {
        let (indexes, streams): (Vec<_>, Vec<_>) = wanted
            .iter()
            .enumerate()
            .filter_map(|(index, subscription)| match subscription.wanted {
                Wanted::Stream(fd, direction) => Some((index, (fd, direction))),
                _ => None,
            })
            .unzip();
        let is_asked = |subscription: &Subscription| matches!(subscription.wanted, Wanted::Asked(..));
        let asked_again = wanted.iter().any(is_asked).then(|| Instant::now() + ASKED_SLICE);
        let until = [until, asked_again].into_iter().flatten().min();
        if streams.is_empty() {
            self.interrupt.sleep_until(until).map_err(|_| Errno::Intr)?;
            return Ok(Vec::new());
        }
        let remaining = until.map_or(WAIT_SLICE, |until| until.saturating_duration_since(Instant::now()));
        let ready = self.wait_for_pipes(&streams, remaining.min(WAIT_SLICE))?;
        Ok(ready.into_iter().map(|ready| indexes[ready]).collect())
    }

    /// Waits until a pipe has input. A read would as well, but takes nothing in of other pipes meanwhile.
    #[cfg(unix)]
    pub(super) fn wait_for_input(&mut self, fd: u32) -> Result<(), Errno> {
        let is_pipe = match self.descriptors.get(fd)? {
            Descriptor::Stream(_) => true,
            Descriptor::File(open) => open.readable && open.file.is_stream(),
            Descriptor::Directory(_) => false,
        };
        if !is_pipe {
            return Ok(());
        }
        let ahead = self.descriptors.ahead(fd)?;
        (ahead.was_read, ahead.has_ended) = (true, false);
        if !ahead.is_ready() && self.descriptors.awaited(fd).is_some() && !self.descriptors.neglected(&[fd]).is_empty()
        {
            while self.wait_for_pipes(&[(fd, Direction::Read)], WAIT_SLICE)?.is_empty() {
                if self.interrupt.check().is_some() {
                    return Err(Errno::Intr);
                }
            }
        }
        self.waited_in_vain = Duration::ZERO;
        Ok(())
    }

    /// Waits so long, or until pipes are ready; returns which. Of the others that the guest reads from, all is taken in once
    /// it has waited for input in vain.
    #[cfg(unix)]
    fn wait_for_pipes(&mut self, wanted: &[(u32, Direction)], slice: Duration) -> Result<Vec<usize>, Errno> {
        let waits_for_input = wanted.iter().any(|(_, direction)| *direction == Direction::Read);
        let mut others = Vec::new();
        if waits_for_input && self.waited_in_vain >= WAIT_SLICE {
            let numbers: Vec<_> = wanted.iter().map(|(fd, _)| *fd).collect();
            others = self.descriptors.neglected(&numbers);
        }
        // A reader reads when it is asked.
        for &fd in &others {
            if let Descriptor::Stream(stream) = self.descriptors.get(fd)?
                && matches!(stream.readiness(Direction::Read), Readiness::Ready)
            {
                self.descriptors.take_in(fd, &self.interrupt)?;
            }
        }
        let inputs = others.iter().map(|fd| (*fd, Direction::Read));
        let began = Instant::now();
        let ready = self.ready(&wanted.iter().copied().chain(inputs).collect::<Vec<_>>(), slice)?;
        let (ready, of_others): (Vec<_>, Vec<_>) = ready.into_iter().partition(|index| *index < wanted.len());
        self.waited_in_vain = match ready.iter().any(|index| wanted[*index].1 == Direction::Read) {
            true => Duration::ZERO,
            false if waits_for_input => self.waited_in_vain.saturating_add(began.elapsed()),
            false => self.waited_in_vain,
        };
        for index in of_others {
            self.descriptors
                .take_in(others[index - wanted.len()], &self.interrupt)?;
        }
        Ok(ready)
    }

    /// Asks the system.
    #[cfg(unix)]
    fn ready(&self, pipes: &[(u32, Direction)], slice: Duration) -> Result<Vec<usize>, Errno> {
        use rustix::event::{PollFd, Timespec, poll};

        let slice = Timespec::try_from(slice).map_err(|_| Errno::Inval)?;
        let (indexes, mut fds): (Vec<_>, Vec<_>) = pipes
            .iter()
            .enumerate()
            .filter_map(|(index, (fd, direction))| {
                let file = self.descriptors.awaited(*fd)?;
                Some((index, PollFd::from_borrowed_fd(file, direction.poll_flags())))
            })
            .unzip();
        match poll(&mut fds, Some(&slice)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
        let ready = indexes.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|(index, _)| *index).collect())
    }

    /// Without a poll for every kind of stream, all of them count as ready: a read then blocks instead.
    #[cfg(not(unix))]
    fn wait_for_streams(&mut self, wanted: &[Subscription], until: Option<Instant>) -> Result<Vec<usize>, Errno> {
        let streams: Vec<usize> = wanted
            .iter()
            .enumerate()
            .filter_map(|(index, subscription)| matches!(subscription.wanted, Wanted::Stream(..)).then_some(index))
            .collect();
        if streams.is_empty() {
            self.interrupt.sleep_until(until).map_err(|_| Errno::Intr)?;
        }
        Ok(streams)
    }
}
