//! Password hashing with Argon2id on dedicated threads. Each thread reuses its own memory. The queue before them is
//! bounded, and a job that does not fit is refused at once, so a flood of logins can neither exhaust memory nor delay
//! requests that need no hash. Hashes of other services can be checked, and are then replaced.
//!
//! Invariant: every check takes the same work, counted in blocks of memory that Argon2 fills: the work of the policy's
//! hash, or of the most costly known stored Argon2 hash if that is more. A check that took less is topped up; the check
//! of a name that does not exist is all top-up. So the time of a login does not reveal whether the name exists.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use tokio::sync::oneshot;
use tracing::{Instrument as _, info_span};

use crate::metrics::Stopwatch;
use crate::random::Random;
use crate::secret::{Password, SecretText};
use crate::span;

mod foreign;
mod format;
mod measured;

pub(crate) use self::measured::METRICS;
use self::measured::Measured;

/// The longest stored hash that is parsed, in bytes.
const LONGEST: usize = 1_024;
/// The most memory a stored hash may ask for, KiB: 256 MiB.
const MOST_MEMORY_KIB: u32 = 256 * 1_024;

/// Django's prefix of a PHC string.
const WRAPPER: &str = "argon2";
/// The fewest blocks that Argon2 fills with one lane (RFC 9106 §3.1).
const LEAST_BLOCKS: u64 = 8;

/// The cost of a hash, the number of threads and the length of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Memory, KiB. OWASP's first choice for p=1: 19,456.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// The number of hashing threads. A thread keeps `memory_kib` after its first hash. The check of an imported hash
    /// may need up to 256 MiB more, in the worst case on all threads at once.
    pub threads: usize,
    /// The length of the queue.
    pub queue: usize,
}

/// The result of checking a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password does not match, or the hash cannot be parsed.
    Wrong,
    /// The password matches, and the hash is as the policy asks.
    Right,
    /// The password matches, but the hash should be replaced: its costs differ, or another service wrote it.
    Outdated,
}

/// Whether a stored hash can be checked: its format is supported and its costs are within the caps. An import asks this
/// for each account. Nothing is hashed.
#[must_use]
pub fn is_known_format(stored: &str) -> bool {
    read(stored).is_some()
}

/// The queue is full: the caller should answer 503 with `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins are waiting")]
pub struct Busy;

/// The hashing threads. They end when the last clone is dropped.
#[derive(Clone)]
pub struct Passwords {
    queue: SyncSender<Queued>,
    random: Arc<dyn Random>,
    work: Arc<Work>,
    measured: Measured,
}

/// The work of checks, in Argon2 blocks of 1 KiB.
#[derive(Debug, Default)]
struct Work {
    /// The work that every check takes.
    of_a_check: AtomicU64,
    /// The work done since the start.
    done: AtomicU64,
}

/// A job and a stopwatch started when it was queued.
struct Queued(Job, Stopwatch);

enum Job {
    Hash(Password, [u8; format::SALT], oneshot::Sender<SecretText>),
    /// The check of a name that does not exist, if there is no hash.
    Verify(Password, Option<SecretText>, oneshot::Sender<Verdict>),
}

impl Passwords {
    /// Starts the hashing threads.
    ///
    /// # Errors
    /// If Argon2 refuses the parameters, if they exceed the caps of stored hashes (nobody could log in again), or if a
    /// thread cannot be started.
    pub fn start(policy: Policy, random: Arc<dyn Random>) -> Result<Self, crate::error::Source> {
        let params = Params::new(policy.memory_kib, policy.passes, 1, Some(format::TAG))
            .map_err(|error| format!("these Argon2id parameters are not usable: {error}"))?;
        if !format::is_within_caps(&params) {
            return Err("these Argon2id parameters exceed the maximum for a stored hash".into());
        }
        let (queue, jobs) = sync_channel(policy.queue);
        let (jobs, work) = (Arc::new(Mutex::new(jobs)), Arc::<Work>::default());
        let measured = Measured::new();
        work.of_a_check
            .store(format::work(&params), Ordering::Relaxed);
        for index in 0..policy.threads {
            let worker = Worker::new(params.clone(), Arc::clone(&work), measured.clone());
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name(format!("hash-{index}"))
                .spawn(move || worker.run(&jobs))?;
        }
        Ok(Self {
            queue,
            random,
            work,
            measured,
        })
    }

    /// The number of Argon2 blocks filled since the start.
    #[must_use]
    pub fn work_done(&self) -> u64 {
        self.work.done.load(Ordering::Relaxed)
    }

    /// Learns the costs of a stored hash from its beginning. From now on every check takes at least as much work.
    pub(super) fn learn(&self, beginning: &str) {
        let unwrapped = beginning.strip_prefix(WRAPPER).unwrap_or(beginning);
        if let Some(work) = format::read_work(unwrapped) {
            self.work.of_a_check.fetch_max(work, Ordering::Relaxed);
        }
    }

    /// Hashes a password under the policy, with a random salt, to a PHC string.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn hash(&self, password: Password) -> Result<SecretText, Busy> {
        let mut salt = [0; format::SALT];
        self.random.fill(&mut salt);
        self.run(|answer| Job::Hash(password, salt, answer)).await
    }

    /// Checks a password against a stored hash, in constant time once the hash is computed.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn verify(&self, password: Password, hash: SecretText) -> Result<Verdict, Busy> {
        self.run(|answer| Job::Verify(password, Some(hash), answer))
            .await
    }

    /// Does the work of a check without a hash, for a name that does not exist.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn hash_dummy(&self, password: Password) -> Result<(), Busy> {
        self.run(|answer| Job::Verify(password, None, answer))
            .await
            .map(drop)
    }

    async fn run<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Busy> {
        let (sender, answer) = oneshot::channel();
        // Counted first: a thread may take the job at once.
        self.measured.length.increment(1);
        match self.queue.try_send(Queued(job(sender), Stopwatch::start())) {
            Ok(()) => {
                let span = info_span!(target: span::TARGET, "hash password");
                answer.instrument(span).await.map_err(|_| Busy)
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.measured.length.decrement(1);
                self.measured.refused.increment(1);
                Err(Busy)
            }
        }
    }
}

/// Lowers the priority of a hashing thread, so that a flood of logins does not delay requests that need no hash. Only
/// on Linux: elsewhere it would affect the whole process.
fn yield_to_others() {
    // This is about a tenth of a thread's usual share. If the system forbids it, all threads share alike.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, 10);
}

/// One hashing thread and its memory, which is allocated at the first hash and kept.
struct Worker {
    params: Params,
    memory: Vec<Block>,
    work: Arc<Work>,
    measured: Measured,
}

impl Worker {
    fn new(params: Params, work: Arc<Work>, measured: Measured) -> Self {
        Self {
            params,
            memory: Vec::new(),
            work,
            measured,
        }
    }

    fn run(mut self, jobs: &Mutex<Receiver<Queued>>) {
        yield_to_others();
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Queued(job, waited)) = job else {
                return;
            };
            self.measured.length.decrement(1);
            waited.record(&self.measured.wait);
            let took = Stopwatch::start();
            match job {
                // The caller has gone: the hash is not computed.
                Job::Hash(_, _, answer) if answer.is_closed() => continue,
                Job::Verify(_, _, answer) if answer.is_closed() => continue,
                Job::Hash(password, salt, answer) => {
                    if let Some(hash) = self.hash(&password, &salt) {
                        // The caller may have gone meanwhile.
                        let _ = answer.send(hash);
                    }
                }
                Job::Verify(password, hash, answer) => {
                    let hash = hash.as_ref().map(SecretText::expose);
                    let _ = answer.send(self.check(&password, hash));
                }
            }
            took.record(&self.measured.duration);
        }
    }

    fn hash(&mut self, password: &Password, salt: &[u8; format::SALT]) -> Option<SecretText> {
        let mut tag = [0; format::TAG];
        let params = self.params.clone();
        self.argon2(Algorithm::Argon2id, params, password, salt, &mut tag)?;
        Some(SecretText::new(format::write(&self.params, salt, &tag)))
    }

    /// Checks a password, or only does the work of a check if there is no hash.
    fn check(&mut self, password: &Password, stored: Option<&str>) -> Verdict {
        let (verdict, work) = match stored {
            Some(stored) => self.verify(password, stored),
            None => (Verdict::Wrong, 0),
        };
        let of_a_check = self.work.of_a_check.load(Ordering::Relaxed);
        self.top_up(password, of_a_check.saturating_sub(work));
        verdict
    }

    /// Fills `blocks` blocks, or slightly more: Argon2 has a minimum.
    fn top_up(&mut self, password: &Password, blocks: u64) {
        let usual = u64::try_from(self.params.block_count()).unwrap_or(u64::MAX);
        let (passes, rest) = (blocks / usual, blocks % usual);
        let rest = if rest == 0 { 0 } else { rest.max(LEAST_BLOCKS) };
        for (memory, passes) in [(usual, passes), (rest, 1)] {
            let (Ok(memory), Ok(passes)) = (u32::try_from(memory), u32::try_from(passes)) else {
                continue;
            };
            // Argon2 refuses zero passes and zero memory: then there is nothing to do.
            if let Ok(params) = Params::new(memory, passes, 1, Some(format::TAG)) {
                let mut tag = [0; format::TAG];
                self.argon2(
                    Algorithm::Argon2id,
                    params,
                    password,
                    &[0; format::SALT],
                    &mut tag,
                );
            }
        }
    }

    fn verify(&mut self, password: &Password, stored: &str) -> (Verdict, u64) {
        let (matches, current, work) = match read(stored) {
            None => (false, false, 0),
            Some(Stored::Foreign(stored)) => {
                let work = stored.work();
                self.work.done.fetch_add(work, Ordering::Relaxed);
                (stored.matches(password.expose()), false, work)
            }
            Some(Stored::Argon2 { hash, wrapped }) => {
                let current = !wrapped && hash.satisfies(&self.params);
                let work = format::work(&hash.params);
                // From now on a check without a hash takes at least as much work.
                self.work.of_a_check.fetch_max(work, Ordering::Relaxed);
                (self.matches(password, &hash), current, work)
            }
        };
        let verdict = match (matches, current) {
            (false, _) => Verdict::Wrong,
            (true, true) => Verdict::Right,
            (true, false) => Verdict::Outdated,
        };
        (verdict, work)
    }

    fn matches(&mut self, password: &Password, stored: &format::Stored) -> bool {
        let mut tag = vec![0; stored.tag.len()];
        let params = stored.params.clone();
        self.argon2(stored.algorithm, params, password, &stored.salt, &mut tag)
            .is_some_and(|()| verify_slices_are_equal(&tag, &stored.tag).is_ok())
    }

    fn argon2(
        &mut self,
        algorithm: Algorithm,
        params: Params,
        password: &Password,
        salt: &[u8],
        tag: &mut [u8],
    ) -> Option<()> {
        let work = format::work(&params);
        self.work.done.fetch_add(work, Ordering::Relaxed);
        let (blocks, usual) = (params.block_count(), self.params.block_count());
        if self.memory.len() < blocks {
            self.memory.resize(blocks, Block::default());
        }
        let done = Argon2::new(algorithm, Version::V0x13, params).hash_password_into_with_memory(
            password.expose(),
            salt,
            tag,
            &mut self.memory[..blocks],
        );
        // The memory that only a more costly hash needed is freed.
        if blocks > usual {
            self.memory.truncate(usual);
            self.memory.shrink_to_fit();
        }
        done.ok()
    }
}

/// A stored hash that can be checked.
enum Stored {
    /// An Argon2 hash as a PHC string; `wrapped` if another service's prefix precedes it.
    Argon2 { hash: format::Stored, wrapped: bool },
    /// A hash of another service.
    Foreign(foreign::Stored),
}

fn read(stored: &str) -> Option<Stored> {
    if stored.len() > LONGEST || !stored.is_ascii() {
        return None;
    }
    let unwrapped = stored.strip_prefix(WRAPPER);
    match format::read(unwrapped.unwrap_or(stored)) {
        Some(hash) => Some(Stored::Argon2 {
            hash,
            wrapped: unwrapped.is_some(),
        }),
        None => foreign::read(stored).map(Stored::Foreign),
    }
}

#[cfg(test)]
mod tests;
