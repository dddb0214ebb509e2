//! Budgets of limited resources: host memory of a job, open files of all jobs of a runtime.

use crate::fs::{Exceeded, FileSystem};
use crate::limit::Limit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A resource with a maximum.
pub(crate) struct Budget {
    limit: Limit,
    max: u64,
    used: AtomicU64,
    peak: AtomicU64,
    /// File systems whose held memory counts as used, too.
    file_systems: Vec<Arc<dyn FileSystem>>,
}

impl Budget {
    pub fn new(limit: Limit, max: u64) -> Budget {
        Budget {
            limit,
            max,
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            file_systems: Vec::new(),
        }
    }

    /// A budget for the host's memory for one job, its file systems included, each of which counts once.
    pub fn host_memory<'a>(max_bytes: u64, file_systems: impl Iterator<Item = &'a Arc<dyn FileSystem>>) -> Budget {
        let mut budget = Budget::new(Limit::HostMemory, max_bytes);
        for file_system in file_systems {
            if !budget.file_systems.iter().any(|known| Arc::ptr_eq(known, file_system)) {
                budget.file_systems.push(file_system.clone());
            }
        }
        budget
    }

    fn elsewhere(&self) -> u64 {
        let held = self.file_systems.iter().map(|file_system| file_system.held_bytes());
        held.fold(0, u64::saturating_add)
    }

    /// Takes an amount, or returns the total that would have exceeded the maximum.
    pub fn take(&self, amount: u64) -> Result<(), Exceeded> {
        let elsewhere = self.elsewhere();
        let mut wanted = 0;
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            wanted = used.saturating_add(elsewhere).saturating_add(amount);
            (wanted <= self.max || amount == 0).then(|| used.saturating_add(amount))
        });
        match taken {
            Ok(_) => {
                self.peak.fetch_max(wanted, Ordering::Relaxed);
                Ok(())
            }
            Err(_) => Err(Exceeded::new(self.limit, self.max, wanted)),
        }
    }

    pub fn give_back(&self, amount: u64) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }

    /// Checks that so much more may be taken. It takes nothing: a file system counts what it then holds by itself.
    pub fn check(&self, more: u64) -> Result<(), Exceeded> {
        let held = self.used.load(Ordering::Relaxed).saturating_add(self.elsewhere());
        let wanted = held.saturating_add(more);
        if wanted > self.max && more > 0 {
            return Err(Exceeded::new(self.limit, self.max, wanted));
        }
        self.peak.fetch_max(held, Ordering::Relaxed);
        Ok(())
    }

    /// The peak amount in use, as far as it was sampled.
    pub fn peak(&self) -> u64 {
        let held = self.used.load(Ordering::Relaxed).saturating_add(self.elsewhere());
        self.peak.fetch_max(held, Ordering::Relaxed).max(held)
    }
}

/// A part of a budget, returned when it is dropped.
pub(crate) struct Share {
    budget: Arc<Budget>,
    amount: u64,
}

impl Share {
    pub fn take(budget: &Arc<Budget>, amount: u64) -> Result<Share, Exceeded> {
        budget.take(amount)?;
        Ok(Share {
            budget: budget.clone(),
            amount,
        })
    }

    pub fn amount(&self) -> u64 {
        self.amount
    }

    pub fn resize(&mut self, amount: u64) -> Result<(), Exceeded> {
        match amount.checked_sub(self.amount) {
            Some(more) => self.budget.take(more)?,
            None => self.budget.give_back(self.amount - amount),
        }
        self.amount = amount;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.amount);
    }
}
