//! The stand-in for packs on systems that have none.

use super::{Guest, Ran};
use crate::error::Error;
use crate::pack::{Pack, PackError};
use crate::preempt::Thread;

pub(crate) enum Program {}

impl Program {
    pub fn load(pack: &Pack) -> Result<Program, Error> {
        Err(pack.refused(PackError::System))
    }

    pub fn machine(&self) -> &str {
        match *self {}
    }

    pub fn prepare_stops(&self) -> Result<(), Error> {
        match *self {}
    }

    pub fn run(&self, _guest: Guest, _thread: &Thread) -> Result<Ran, Error> {
        match *self {}
    }
}
