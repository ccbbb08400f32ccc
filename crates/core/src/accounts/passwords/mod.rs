//! Password hashing on threads of its own: Argon2id, each thread with its own reused memory, a bounded
//! queue before them. What does not fit into the queue is refused at once, so a flood of logins can
//! neither exhaust memory nor delay what needs no hash.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use tokio::sync::oneshot;

use crate::random::Random;
use crate::secret::{Password, SecretText};

mod format;

/// The cost of a hash and how many may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Memory, KiB. OWASP's first choice for p=1: 19,456.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Threads that hash; each holds `memory_kib` once it has hashed.
    pub threads: usize,
    /// How many may wait for a thread.
    pub queue: usize,
}

/// What a check of a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not the password, or a hash that cannot be read.
    Wrong,
    /// The password, under a hash as strong as the policy asks.
    Right,
    /// The password, under a hash that should be made anew.
    Outdated,
}

/// More hashes are waiting than may wait: the caller should answer 503 with `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins are waiting")]
pub struct Busy;

/// The hashing threads. They end when the last clone is dropped.
#[derive(Clone)]
pub struct Passwords {
    queue: SyncSender<Job>,
    random: Arc<dyn Random>,
}

enum Job {
    Hash(Password, [u8; format::SALT], oneshot::Sender<SecretText>),
    Verify(Password, SecretText, oneshot::Sender<Verdict>),
}

impl Passwords {
    /// Starts the threads of `policy`.
    ///
    /// # Errors
    /// When Argon2 refuses the parameters or a thread cannot be started.
    pub fn start(policy: Policy, random: Arc<dyn Random>) -> Result<Self, crate::error::Source> {
        let params = Params::new(policy.memory_kib, policy.passes, 1, Some(format::TAG))
            .map_err(|error| format!("these Argon2id parameters are not usable: {error}"))?;
        let (queue, jobs) = sync_channel(policy.queue);
        let jobs = Arc::new(Mutex::new(jobs));
        for index in 0..policy.threads {
            let (jobs, params) = (Arc::clone(&jobs), params.clone());
            thread::Builder::new()
                .name(format!("hash-{index}"))
                .spawn(move || Worker::new(params).run(&jobs))?;
        }
        Ok(Self { queue, random })
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
        self.run(|answer| Job::Verify(password, hash, answer)).await
    }

    /// Spends what a check costs, for a name that does not exist.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn burn(&self, password: Password) -> Result<(), Busy> {
        self.hash(password).await.map(drop)
    }

    async fn run<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Busy> {
        let (sender, answer) = oneshot::channel();
        match self.queue.try_send(job(sender)) {
            Ok(()) => answer.await.map_err(|_| Busy),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Busy),
        }
    }
}

/// One hashing thread and its memory, which is allocated at the first hash and kept.
struct Worker {
    params: Params,
    memory: Vec<Block>,
}

impl Worker {
    fn new(params: Params) -> Self {
        Self {
            params,
            memory: Vec::new(),
        }
    }

    fn run(mut self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            match job {
                // Whoever asked may have gone: then nobody pays for the hash.
                Ok(Job::Hash(_, _, answer)) if answer.is_closed() => {}
                Ok(Job::Verify(_, _, answer)) if answer.is_closed() => {}
                Ok(Job::Hash(password, salt, answer)) => {
                    if let Some(hash) = self.hash(&password, &salt) {
                        // A receiver that has gone has nothing to be told.
                        let _ = answer.send(hash);
                    }
                }
                Ok(Job::Verify(password, hash, answer)) => {
                    let _ = answer.send(self.verify(&password, hash.expose()));
                }
                Err(_) => return,
            }
        }
    }

    fn hash(&mut self, password: &Password, salt: &[u8; format::SALT]) -> Option<SecretText> {
        let params = self.params.clone();
        let tag = self.argon2id(password.expose(), salt, &params)?;
        Some(SecretText::new(format::write(&self.params, salt, &tag)))
    }

    fn verify(&mut self, password: &Password, stored: &str) -> Verdict {
        let Some(parsed) = format::read(stored) else {
            return Verdict::Wrong;
        };
        let Some(tag) = self.argon2id(password.expose(), &parsed.salt, &parsed.params) else {
            return Verdict::Wrong;
        };
        if verify_slices_are_equal(&tag, &parsed.tag).is_err() {
            return Verdict::Wrong;
        }
        let weaker = parsed.params.m_cost() < self.params.m_cost()
            || parsed.params.t_cost() < self.params.t_cost();
        if weaker {
            Verdict::Outdated
        } else {
            Verdict::Right
        }
    }

    fn argon2id(
        &mut self,
        password: &[u8],
        salt: &[u8],
        params: &Params,
    ) -> Option<[u8; format::TAG]> {
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            self.memory.resize(blocks, Block::default());
        }
        let mut tag = [0; format::TAG];
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        hasher
            .hash_password_into_with_memory(password, salt, &mut tag, &mut self.memory[..blocks])
            .ok()?;
        Some(tag)
    }
}

#[cfg(test)]
mod tests;
