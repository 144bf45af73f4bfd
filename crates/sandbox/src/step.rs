//! One step: what is handed to the code, and what comes back.

use crate::apps::Apps;
use crate::egress::EgressRecord;
use crate::tier::Tier;
use causeway_types::{InvocationId, SecretBytes, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One call of a step's code.
pub struct StepCall {
    /// The invocation that the step belongs to.
    pub invocation: InvocationId,
    /// The step's name in the workflow.
    pub step: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The same for every attempt at this step of this invocation.
    pub idempotency_key: String,
    /// The file with the step's code: a path among the program's files.
    pub entry: String,
    /// The trigger's event, JSON.
    pub event: Arc<RawValue>,
    /// The exports of earlier steps: `{name: {"$return_value": …, …}}`.
    pub steps: Box<RawValue>,
    /// The linked accounts, JSON: `{name: {"$auth": {…}}}`. Handed to the runner over the
    /// inherited socket and nowhere else; wiped when sent.
    pub connections: SecretBytes,
    /// The apps whose accounts these are; `None` if there are none.
    pub apps: Option<Arc<dyn Apps>>,
    /// Where the invocation can be ended or let go on, if the step makes it wait.
    pub links: Links,
    /// What the code finds in `$.context` (`pd.context`), beside `deadline`, `step`, `attempt`,
    /// `idempotency_key` and `invocation_id`. An object or null.
    pub context: serde_json::Value,
    /// What a component gets beside all that, and what is asked of it. `None` for code that need
    /// not be one; if it is, it is run without props.
    pub component: Option<ComponentCall>,
}

/// What is asked of a component: a module of Node's whose default export is an object with `run`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ComponentCall {
    /// What to do with it.
    #[serde(flatten)]
    pub task: ComponentTask,
    /// The values of its props by name, as somebody has configured them. Its app props get theirs
    /// from `connections`, under the same names.
    pub props: serde_json::Map<String, serde_json::Value>,
    /// The definitions of its additional props, a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dynamic: Vec<serde_json::Value>,
}

/// What to do with a component.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum ComponentTask {
    /// Run it as an action.
    #[default]
    Run,
    /// Say what it is and which props it has. Of its functions none is called.
    Describe,
    /// Say which props it has with these values: its `additionalProps` is called, if it has one.
    Props,
    /// Say what can be chosen for a prop.
    Options {
        /// The prop's name.
        prop: String,
        /// Which page of the choices, from 0.
        page: u64,
        /// What the page before gave for this one; an object or null.
        prev_context: serde_json::Value,
        /// What the choices are searched for.
        #[serde(skip_serializing_if = "Option::is_none")]
        query: Option<String>,
    },
}

/// The addresses with which somebody else ends an invocation's wait. Whoever knows one may use it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Links {
    /// With this one it goes on.
    pub resume_url: String,
    /// With this one it ends.
    pub cancel_url: String,
}

/// What became of a step.
#[derive(Debug)]
pub struct StepReport {
    /// What the code returned, or why it did not.
    pub outcome: Result<StepSuccess, StepFailure>,
    /// What a step that failed had exported by name; what one gave that succeeded is in `outcome`.
    pub exports: BTreeMap<String, Box<RawValue>>,
    /// What the step printed, in order; what native code and child processes print takes a way
    /// of its own and may stand a little before or after. One `console` call is one line here,
    /// whatever line feeds are in it, so that a secret with line feeds can be found and masked.
    pub logs: Vec<LogLine>,
    /// True if the step printed more than it may; `logs` then holds the whole lines before.
    pub logs_truncated: bool,
    /// What the code connected to, and what was decided; bounded.
    pub egress: Vec<EgressRecord>,
    /// How many connections and requests there were beyond those.
    pub egress_more: u64,
    /// What the step used.
    pub usage: Usage,
    /// The kind of sandbox that it ran in.
    pub tier: Tier,
}

/// What a step that succeeded gave.
#[derive(Debug)]
pub struct StepSuccess {
    /// What the function returned; `null` if it returned nothing.
    pub return_value: Box<RawValue>,
    /// What the step exported by name.
    pub exports: BTreeMap<String, Box<RawValue>>,
    /// The answer to the HTTP request, if the step gave one.
    pub respond: Option<Respond>,
    /// The reason given to `$.flow.exit`, if the workflow ends here.
    pub exit: Option<String>,
    /// What the invocation waits for before its next step, if the code says so.
    pub wait: Option<Wait>,
}

/// A wait that a step's code asks for.
#[derive(Debug)]
pub enum Wait {
    /// For this long, or until somebody calls its link.
    Delay(Duration),
    /// Until somebody calls its link. If nobody does for this long, the invocation ends.
    Suspend(Duration),
    /// For this long, or until somebody calls its link; then the same step is run again.
    Rerun {
        /// How long.
        after: Duration,
        /// What the code finds of it then, JSON.
        context: Box<RawValue>,
        /// How often at most. After that, the step has ended.
        most: u32,
    },
}

/// An HTTP answer that a step gave with `$.respond`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    /// Names in lower case and values, in the order given; valid per RFC 9110 section 5.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

/// Why a step failed, for the author of its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepFailure {
    /// A stable word.
    pub code: FailureCode,
    /// What happened and, for a limit, how much was used and how to raise it.
    pub message: String,
    /// The code's own stack: frames in the program's files only, paths relative to them.
    pub stack: Option<String>,
}

/// The kinds of failure of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureCode {
    /// The code threw, or rejected, or breaks the contract of a step.
    UserError,
    /// The code does not parse, or imports what does not exist.
    SyntaxError,
    /// The step took longer than its limit.
    TimeLimit,
    /// The step used more processor time than its limit.
    CpuLimit,
    /// The sandbox needed more memory than its limit.
    MemoryLimit,
    /// The sandbox needed more processes or threads than its limit.
    ProcessLimit,
    /// The step wrote more temporary files than its limit.
    DiskLimit,
    /// The step returned, exported or answered more than its limit.
    OutputLimit,
    /// The step returned or exported something that JSON cannot hold.
    ExportsNotJson,
    /// The step printed more than its limit.
    LogLimit,
    /// The code ended its process by `process.exit` or `sys.exit`.
    ProcessExited,
    /// Something in the sandbox wrote to the runner's own socket.
    ProtocolViolation,
    /// The sandbox ended in another way.
    SandboxCrashed,
}

impl FailureCode {
    /// Every code, for documentation and tests.
    pub const ALL: [Self; 13] = [
        Self::UserError,
        Self::SyntaxError,
        Self::TimeLimit,
        Self::CpuLimit,
        Self::MemoryLimit,
        Self::ProcessLimit,
        Self::DiskLimit,
        Self::OutputLimit,
        Self::ExportsNotJson,
        Self::LogLimit,
        Self::ProcessExited,
        Self::ProtocolViolation,
        Self::SandboxCrashed,
    ];

    /// The word that stands for it everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserError => "user_error",
            Self::SyntaxError => "syntax_error",
            Self::TimeLimit => "time_limit",
            Self::CpuLimit => "cpu_limit",
            Self::MemoryLimit => "memory_limit",
            Self::ProcessLimit => "process_limit",
            Self::DiskLimit => "disk_limit",
            Self::OutputLimit => "output_limit",
            Self::ExportsNotJson => "exports_not_json",
            Self::LogLimit => "log_limit",
            Self::ProcessExited => "process_exited",
            Self::ProtocolViolation => "protocol_violation",
            Self::SandboxCrashed => "sandbox_crashed",
        }
    }

    /// The code that the word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }
}

impl std::fmt::Display for FailureCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that a step printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When the server received it.
    pub at: Timestamp,
    /// Where it was printed to.
    pub stream: LogStream,
    /// The text without its last line feed. Bytes that are not UTF-8 stand as U+FFFD.
    pub text: String,
}

/// Where a step printed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl LogStream {
    /// `stdout` or `stderr`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What a step used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// From the hand-over to the report.
    pub wall: Duration,
    /// Processor time of every process of the sandbox during the step.
    pub cpu: Duration,
    /// The most memory that the sandbox has held since it started, in bytes.
    pub peak_memory_bytes: u64,
}
