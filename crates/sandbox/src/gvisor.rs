//! gVisor, seen from the server: what its sandboxes need of the machine beside what a jail does.
//! What happens in them is in `jail::gvisor`.

use crate::control::{Bind, Guest};
use crate::jail;
use crate::runtimes::{self, Equipment};
use crate::tier::TierError;
use std::path::PathBuf;
use tokio::sync::OnceCell;

/// Memory that gVisor takes itself, which the program's limit leaves out, in bytes.
pub(crate) const OWN_MEMORY: u64 = 96 << 20;
/// Threads of gVisor itself, on a machine with one processor.
const OWN_TASKS: u64 = 128;
/// Tasks of the machine for a process under gVisor, on a machine with one processor.
const TASKS_EACH: u64 = 8;

/// What every sandbox of this tier needs.
#[derive(Debug)]
pub(crate) struct Gvisor {
    runsc: PathBuf,
    launcher: Vec<PathBuf>,
    init: OnceCell<Equipment>,
}

/// What one sandbox needs beside what its runtime does.
pub(crate) struct Parts {
    pub(crate) binds: Vec<Bind>,
    pub(crate) guest: Guest,
}

impl Gvisor {
    pub(crate) fn new(runsc: PathBuf, launcher: Vec<PathBuf>) -> Self {
        Self { runsc, launcher, init: OnceCell::new() }
    }

    /// What a sandbox needs. A failure is not kept: what is installed later is found.
    pub(crate) async fn parts(&self) -> Result<Parts, TierError> {
        std::fs::metadata(&self.runsc)
            .map_err(|source| TierError::NoRunsc(self.runsc.clone(), source))?;
        let own = || runtimes::own(&self.launcher, jail::GUEST_INIT);
        let init = self.init.get_or_try_init(own).await.map_err(TierError::Own)?;
        let mut words = vec![jail::GUEST_INIT.to_owned()];
        words.extend(runtimes::own_words(&self.launcher));
        words.push(jail::GUEST.to_owned());
        let guest = Guest {
            runsc: self.runsc.clone(),
            init: words,
            environment: runtimes::library_environment(&init.library_path).into_iter().collect(),
        };
        Ok(Parts { binds: init.binds.clone(), guest })
    }
}

/// How many tasks of the machine may serve this many processes. gVisor bounds the processes; this
/// is the second wall. Each of its threads, of which a processor has some, may have a task of the
/// machine's in each process.
pub(crate) fn tasks(processes: u64) -> u64 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processors = u64::try_from(processors).unwrap_or(1);
    processes * (TASKS_EACH + processors) + OWN_TASKS + processors * 4
}
