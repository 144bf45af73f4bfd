//! Named points at which a test stops the process, to show that nothing is lost there.

/// The steps of a refresh between which a process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// The intent is about to be committed.
    BeforeIntent,
    /// The intent is committed; the token endpoint has not been called.
    IntentWritten,
    /// The token endpoint's answer is in memory only: the window that OAuth leaves open.
    AnswerReceived,
    /// The sealed answer is committed and not yet read.
    AnswerStored,
    /// The new tokens are about to be committed.
    BeforeApply,
    /// The new tokens are committed; nobody has been told.
    Applied,
}

impl CrashPoint {
    /// Every point, in the order in which a refresh passes them.
    pub const ALL: &'static [Self] = &[
        Self::BeforeIntent,
        Self::IntentWritten,
        Self::AnswerReceived,
        Self::AnswerStored,
        Self::BeforeApply,
        Self::Applied,
    ];
}

/// Told of every point that a refresh passes.
pub trait CrashPoints: Send + Sync {
    /// The refresh has come to this point.
    fn reached(&self, point: CrashPoint);
}

/// Goes on at every point: what every installation uses.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCrash;

impl CrashPoints for NoCrash {
    fn reached(&self, _: CrashPoint) {}
}
