//! A real browser: Debian's Chromium, told what to do through `testing/browser/driver.js`. It finds
//! things as people do, by role and name or by label, and stops when dropped.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Where Debian's package puts it.
const CHROMIUM: &str = "/usr/bin/chromium";
/// The widths at which pages are looked at, in CSS pixels: a desk and a telephone.
const WIDTHS: [u64; 2] = [1280, 390];

pub(crate) struct Chromium {
    driver: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    _profile: tempfile::TempDir,
}

/// What stands in the window.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) url: String,
    pub(crate) text: String,
}

impl Shown {
    /// Fails unless the page says all of it.
    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) -> &Self {
        for words in words {
            assert!(self.text.contains(words), "`{words}` is missing: {self:#?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn says_not(&self, words: &[&str]) -> &Self {
        for words in words {
            assert!(!self.text.contains(words), "`{words}`: {self:#?}");
        }
        self
    }
}

impl Chromium {
    /// A browser that nobody has used before.
    pub(crate) fn start() -> Self {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/browser");
        assert!(
            home.join("node_modules/playwright-core").exists() && Path::new(CHROMIUM).exists(),
            "no browser: run `make deps`"
        );
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("node")
            .arg(home.join("driver.js"))
            .arg(CHROMIUM)
            .arg(profile.path())
            // It also stops when this end is closed, should the test process be killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = driver.stdin.take();
        let answers = BufReader::new(driver.stdout.take().unwrap());
        let mut browser = Self { driver, commands, answers, _profile: profile };
        browser.answer("starting Chromium");
        browser
    }

    #[track_caller]
    fn answer(&mut self, what: &str) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let mut answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{what}: {error}: {line}"));
        assert!(answer["error"].is_null(), "{what}: {}", answer["error"]);
        answer["ok"].take()
    }

    #[track_caller]
    fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        self.answer(&command.to_string())
    }

    /// Goes to an address, and to wherever that leads.
    #[track_caller]
    pub(crate) fn open(&mut self, url: &str) -> Shown {
        self.ask(&json!({ "do": "open", "url": url }));
        self.shown()
    }

    /// Presses a button.
    #[track_caller]
    pub(crate) fn press(&mut self, name: &str) -> Shown {
        self.ask(&json!({ "do": "click", "role": "button", "name": name }));
        self.shown()
    }

    /// Follows a link.
    #[track_caller]
    pub(crate) fn follow(&mut self, name: &str) -> Shown {
        self.ask(&json!({ "do": "click", "role": "link", "name": name }));
        self.shown()
    }

    /// Unfolds what stands below a summary.
    #[track_caller]
    pub(crate) fn unfold(&mut self, name: &str) {
        self.ask(&json!({ "do": "unfold", "name": name }));
    }

    /// Types into the visible field with this label.
    #[track_caller]
    pub(crate) fn fill(&mut self, label: &str, value: &str) {
        self.ask(&json!({ "do": "fill", "label": label, "value": value }));
    }

    /// Presses a key that leads nowhere else.
    #[track_caller]
    pub(crate) fn key(&mut self, key: &str) {
        self.ask(&json!({ "do": "press", "key": key }));
    }

    /// Presses Enter on what leads elsewhere.
    #[track_caller]
    pub(crate) fn enter(&mut self) -> Shown {
        self.ask(&json!({ "do": "enter" }));
        self.shown()
    }

    /// The text of whatever has the focus.
    pub(crate) fn focused(&mut self) -> String {
        self.ask(&json!({ "do": "focused" })).as_str().unwrap().to_owned()
    }

    /// What stands in the window.
    #[track_caller]
    pub(crate) fn shown(&mut self) -> Shown {
        let page = self.ask(&json!({ "do": "page" }));
        let text = |name: &str| page[name].as_str().unwrap().to_owned();
        Shown { url: text("url"), text: text("text") }
    }

    /// The cookies that it keeps.
    pub(crate) fn cookies(&mut self) -> Vec<Value> {
        self.ask(&json!({ "do": "cookies" })).as_array().unwrap().clone()
    }

    /// Sends a form from the page that stands in the window now, whosever it is.
    #[track_caller]
    pub(crate) fn post_from_here(&mut self, action: &str) -> Shown {
        self.ask(&json!({ "do": "postFromHere", "action": action }));
        self.shown()
    }

    /// Looks at the page as people with and without eyes do: nothing against WCAG 2.2 AA, nothing
    /// refused by the page's own policy, nothing wider than the window. Leaves pictures in
    /// `target/tmp/pages`.
    #[track_caller]
    pub(crate) fn look(&mut self, name: &str) {
        let pictures = pictures();
        for width in WIDTHS {
            for dark in [false, true] {
                let shade = if dark { "-dark" } else { "" };
                let path = pictures.join(format!("{name}-{width}{shade}.png"));
                let taken = self.ask(
                    &json!({ "do": "picture", "path": path, "width": width, "height": 900, "dark": dark }),
                );
                assert_eq!(taken["complaints"], json!([]), "{name} at {width}");
                assert!(taken["width"].as_u64().unwrap() <= width, "{name} is wider than {width}");
            }
        }
    }
}

fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Drop for Chromium {
    fn drop(&mut self) {
        self.commands.take();
        let _ = self.driver.wait();
    }
}
