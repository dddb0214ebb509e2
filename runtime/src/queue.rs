//! The line of jobs, in the order of their priorities and their arrival.
//!
//! A waiter is woken when it has a place or when there will be none, and at no other time.

use crate::error::Error;
use crate::interrupt::{Interrupt, Interruption, waker_of_this_thread};
use crate::output::Output;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// The line of one or several runtimes.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// A member has none running any more.
    idle: Condvar,
}

struct State {
    free: usize,
    waiting_max: usize,
    next_ticket: u64,
    next_member: u64,
    waiting: BTreeMap<Order, Waiter>,
    /// Tickets that have been called and whose owners have not arrived yet: each holds a place.
    called: HashSet<u64>,
    /// Only of members that run something, or are closed.
    members: HashMap<u64, MemberState>,
}

/// A place in line: by priority, then by ticket.
type Order = (Reverse<i32>, u64);

struct Waiter {
    member: u64,
    waker: Waker,
}

#[derive(Default)]
struct MemberState {
    running: usize,
    closed: bool,
}

#[derive(Debug)]
pub(crate) enum Refused {
    Closed,
    Busy { running: usize, waiting: usize },
    Interrupted(Interruption),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::Closed => Error::Closed,
            Refused::Busy { running, waiting } => Error::Busy { running, waiting },
            Refused::Interrupted(interruption) => interruption.error(Output::default()),
        }
    }
}

impl Queue {
    pub fn new(places: usize, waiting_max: usize) -> Queue {
        let state = State {
            free: places,
            waiting_max,
            next_ticket: 0,
            next_member: 0,
            waiting: BTreeMap::new(),
            called: HashSet::new(),
            members: HashMap::new(),
        };
        Queue {
            state: Mutex::new(state),
            idle: Condvar::new(),
        }
    }

    /// Returns the number of running and of waiting jobs, of all members.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.running(), state.waiting.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn running(&self) -> usize {
        self.members.values().map(|member| member.running).sum::<usize>() + self.called.len()
    }

    /// Gives a free place to the first in line, and returns its waker, to be called once the state is unlocked.
    #[must_use]
    fn pass_on(&mut self) -> Option<Waker> {
        let Some(((_, ticket), waiter)) = self.waiting.pop_first() else {
            self.free += 1;
            return None;
        };
        self.called.insert(ticket);
        Some(waiter.waker)
    }
}

/// A runtime's part in the line.
pub(crate) struct Member {
    queue: Arc<Queue>,
    id: u64,
}

impl Member {
    pub fn new(queue: Arc<Queue>) -> Member {
        let mut state = queue.lock();
        let id = state.next_member;
        state.next_member += 1;
        drop(state);
        Member { queue, id }
    }

    /// A place, as soon as there is one.
    pub fn enter(&self, priority: i32) -> Enter<'_> {
        Enter {
            member: self,
            priority,
            ticket: None,
        }
    }

    /// A place if there is one now.
    pub fn try_enter(&self) -> Result<Place, Refused> {
        let mut state = self.queue.lock();
        if state.members.get(&self.id).is_some_and(|member| member.closed) {
            return Err(Refused::Closed);
        }
        if state.free == 0 {
            return Err(Refused::Busy {
                running: state.running(),
                waiting: state.waiting.len(),
            });
        }
        state.free -= 1;
        Ok(self.place(state))
    }

    /// Waits for a place on this thread.
    pub fn enter_blocking(&self, priority: i32, interrupt: &Interrupt) -> Result<Place, Refused> {
        let waker = waker_of_this_thread();
        let _registered = interrupt.register(&waker);
        let mut enter = pin!(self.enter(priority));
        loop {
            if let Some(interruption) = interrupt.check() {
                return Err(Refused::Interrupted(interruption));
            }
            if let Poll::Ready(result) = enter.as_mut().poll(&mut Context::from_waker(&waker)) {
                return result;
            }
            match interrupt.deadline {
                Some(deadline) => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
                None => thread::park(),
            }
        }
    }

    /// Refuses waiting and new jobs; running ones finish.
    pub fn close(&self) {
        let mut state = self.queue.lock();
        state.members.entry(self.id).or_default().closed = true;
        let own = state.waiting.values().filter(|waiter| waiter.member == self.id);
        let wakers: Vec<Waker> = own.map(|waiter| waiter.waker.clone()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Closes, and waits until no job runs; returns the number of jobs that still run when the time is over.
    pub fn drain(&self, timeout: Duration) -> Result<(), usize> {
        self.close();
        let until = Instant::now().checked_add(timeout);
        let mut state = self.queue.lock();
        loop {
            let running = state.members.get(&self.id).map_or(0, |member| member.running);
            if running == 0 {
                return Ok(());
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) => return Err(running),
                Some(left) => {
                    let wait = self.queue.idle.wait_timeout(state, left);
                    wait.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.queue.idle.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Records a place that has been taken.
    fn place(&self, mut state: MutexGuard<'_, State>) -> Place {
        state.members.entry(self.id).or_default().running += 1;
        Place {
            queue: self.queue.clone(),
            member: self.id,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        // A runtime that is gone has no jobs.
        state.members.remove(&self.id);
    }
}

/// Waiting in line.
pub(crate) struct Enter<'a> {
    member: &'a Member,
    priority: i32,
    /// Drawn when first polled.
    ticket: Option<u64>,
}

impl Future for Enter<'_> {
    type Output = Result<Place, Refused>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let member = self.member;
        let mut state = member.queue.lock();
        let closed = state.members.get(&member.id).is_some_and(|member| member.closed);
        match self.ticket {
            Some(ticket) if state.called.remove(&ticket) => {
                self.ticket = None;
                if closed {
                    let next = state.pass_on();
                    drop(state);
                    if let Some(waker) = next {
                        waker.wake();
                    }
                    return Poll::Ready(Err(Refused::Closed));
                }
                return Poll::Ready(Ok(member.place(state)));
            }
            // It leaves the line when it is dropped.
            _ if closed => return Poll::Ready(Err(Refused::Closed)),
            Some(ticket) => {
                if let Some(waiter) = state.waiting.get_mut(&(Reverse(self.priority), ticket)) {
                    waiter.waker.clone_from(context.waker());
                }
                return Poll::Pending;
            }
            None => {}
        }
        // While there is a free place nobody waits.
        if state.free > 0 {
            state.free -= 1;
            return Poll::Ready(Ok(member.place(state)));
        }
        if state.waiting.len() >= state.waiting_max {
            return Poll::Ready(Err(Refused::Busy {
                running: state.running(),
                waiting: state.waiting.len(),
            }));
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let waiter = Waiter {
            member: member.id,
            waker: context.waker().clone(),
        };
        state.waiting.insert((Reverse(self.priority), ticket), waiter);
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.member.queue.lock();
        let left = state.waiting.remove(&(Reverse(self.priority), ticket));
        // It was called, and does not come.
        let next = match state.called.remove(&ticket) {
            true => state.pass_on(),
            false => None,
        };
        drop(state);
        drop(left);
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

/// The right to run; the next job gets it when it is dropped.
pub(crate) struct Place {
    queue: Arc<Queue>,
    member: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        let next = state.pass_on();
        if let Some(member) = state.members.get_mut(&self.member) {
            member.running -= 1;
            if member.running == 0 {
                if !member.closed {
                    state.members.remove(&self.member);
                }
                self.queue.idle.notify_all();
            }
        }
        drop(state);
        if let Some(waker) = next {
            waker.wake();
        }
    }
}
