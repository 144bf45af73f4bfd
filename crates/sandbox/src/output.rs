//! What a step prints, bounded.

use crate::step::{LogLine, LogStream};
use causeway_types::Clock;
use std::sync::Arc;

/// How much of the end is kept for telling why a program crashed, in bytes.
const TAIL: usize = 8 << 10;

/// The lines of one step, as they come in.
pub(crate) struct Output {
    clock: Arc<dyn Clock>,
    limit: u64,
    used: u64,
    lines: Vec<LogLine>,
    truncated: bool,
    /// By stream: text of the runner, and text of native code and child processes.
    pending: [Vec<u8>; 4],
    raw_open: [bool; 2],
    tail: Vec<u8>,
}

impl Output {
    pub(crate) fn new(clock: Arc<dyn Clock>, limit: u64) -> Self {
        Self {
            clock,
            limit,
            used: 0,
            lines: Vec::new(),
            truncated: false,
            pending: Default::default(),
            raw_open: [true; 2],
            tail: Vec::new(),
        }
    }

    /// Text from the runner: one write of the code, whatever line feeds are in it, or a part of
    /// one. It stays together, so that a secret with line feeds can be found and masked; it is
    /// never cut, so that no part of one is left over. False once the limit is passed.
    pub(crate) fn printed(&mut self, stream: LogStream, text: &[u8]) -> bool {
        if !self.count(text.len()) {
            return false;
        }
        self.remember(text);
        let Some(pending) = self.pending.get_mut(slot(stream, false)) else { return true };
        pending.extend_from_slice(text);
        if text.ends_with(b"\n") {
            let whole = std::mem::take(pending);
            self.line(stream, &whole);
        }
        true
    }

    /// Text from a pipe: a line ends with its line feed. False once the limit is passed.
    pub(crate) fn raw(&mut self, stream: LogStream, bytes: &[u8]) -> bool {
        if !self.count(bytes.len()) {
            return false;
        }
        self.remember(bytes);
        let index = slot(stream, true);
        let Some(pending) = self.pending.get_mut(index) else { return true };
        pending.extend_from_slice(bytes);
        let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else { return true };
        let rest = pending.split_off(end + 1);
        let whole = std::mem::replace(pending, rest);
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            self.line(stream, line);
        }
        true
    }

    pub(crate) fn raw_open(&self, stream: LogStream) -> bool {
        self.raw_open.get(slot(stream, false)).copied().unwrap_or(false)
    }

    pub(crate) fn close_raw(&mut self, stream: LogStream) {
        if let Some(open) = self.raw_open.get_mut(slot(stream, false)) {
            *open = false;
        }
    }

    /// Whether the limit has been kept.
    pub(crate) fn within(&self) -> bool {
        !self.truncated
    }

    /// The last that was printed.
    pub(crate) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).into_owned()
    }

    /// The lines, and whether there were more. A last line that nothing ended counts, unless the
    /// limit has cut it.
    pub(crate) fn finish(mut self) -> (Vec<LogLine>, bool) {
        if !self.truncated {
            let pending = std::mem::take(&mut self.pending);
            let streams =
                [LogStream::Stdout, LogStream::Stderr, LogStream::Stdout, LogStream::Stderr];
            for (stream, text) in streams.into_iter().zip(pending) {
                if !text.is_empty() {
                    self.line(stream, &text);
                }
            }
        }
        (self.lines, self.truncated)
    }

    fn count(&mut self, more: usize) -> bool {
        self.used = self.used.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        self.truncated |= self.used > self.limit;
        !self.truncated
    }

    fn remember(&mut self, text: &[u8]) {
        self.tail
            .extend_from_slice(text.get(text.len().saturating_sub(TAIL)..).unwrap_or_default());
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
    }

    fn line(&mut self, stream: LogStream, text: &[u8]) {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = String::from_utf8_lossy(text).into_owned();
        self.lines.push(LogLine { at: self.clock.now(), stream, text });
    }
}

fn slot(stream: LogStream, raw: bool) -> usize {
    let first = match stream {
        LogStream::Stdout => 0,
        LogStream::Stderr => 1,
    };
    if raw { first + 2 } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::{ManualClock, Timestamp};

    fn output(limit: u64) -> Output {
        Output::new(Arc::new(ManualClock::at(Timestamp::from_micros(5))), limit)
    }

    fn texts(output: Output) -> Vec<String> {
        output.finish().0.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn one_write_is_one_line_and_parts_are_put_together() {
        let mut output = output(1000);
        assert!(output.printed(LogStream::Stdout, b"a\nb\n"));
        assert!(output.printed(LogStream::Stdout, b"part one, "));
        assert!(output.printed(LogStream::Stderr, b"between\n"));
        assert!(output.printed(LogStream::Stdout, b"part two\n"));
        assert!(output.printed(LogStream::Stdout, b"no end"));
        assert_eq!(texts(output), ["a\nb", "between", "part one, part two", "no end"]);
    }

    #[test]
    fn raw_text_is_split_at_line_feeds() {
        let mut output = output(1000);
        assert!(output.raw(LogStream::Stderr, b"one\ntw"));
        assert!(output.raw(LogStream::Stderr, b"o\n\xffthree"));
        assert_eq!(texts(output), ["one", "two", "\u{fffd}three"]);
    }

    #[test]
    fn past_the_limit_only_whole_lines_are_left() {
        let mut output = output(10);
        assert!(output.printed(LogStream::Stdout, b"12345\n"));
        assert!(output.printed(LogStream::Stdout, b"sec"));
        assert!(!output.printed(LogStream::Stdout, b"ret\n"));
        let (lines, truncated) = output.finish();
        assert!(truncated);
        assert_eq!(lines.len(), 1, "{lines:?}");
    }
}
