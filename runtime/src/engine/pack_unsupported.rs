//! The stand-in for packs on systems that have none.

use super::{Guest, Ran};
use crate::cache::Place;
use crate::cache_status::CacheStatus;
use crate::error::Error;
use crate::module::Of;
use crate::pack::Pack;
use crate::pack_error::PackError;
use crate::preempt::Thread;

pub(crate) enum Program {}

impl Program {
    pub fn load(pack: &Pack, _of: Of<'_>, _place: Option<Place>) -> Result<(Program, CacheStatus), Error> {
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
