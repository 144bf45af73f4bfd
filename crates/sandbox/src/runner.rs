//! The runners that this build carries: the files of `runners/`, and how each is started.

use crate::program::{Limits, Runtime};
use crate::runtimes::{Equipment, library_environment};

/// A file's place in the jail and its contents.
type File = (&'static str, &'static str);

/// Names a file of Node's runner once.
macro_rules! node {
    ($name:literal) => {
        (concat!("/runner/", $name), include_str!(concat!("../../../runners/node/", $name)))
    };
}

const NODE_FILES: [File; 16] = [
    node!("main.cjs"),
    node!("contract.cjs"),
    node!("component.cjs"),
    node!("props.cjs"),
    node!("errors.cjs"),
    node!("output.cjs"),
    node!("timers.cjs"),
    node!("machine.cjs"),
    node!("modules.cjs"),
    node!("check.cjs"),
    node!("egress.cjs"),
    node!("platform/index.cjs"),
    node!("platform/axios.cjs"),
    node!("platform/files.cjs"),
    node!("platform/json.cjs"),
    node!("platform/request.cjs"),
];

/// Where the certificate of the sandbox's own authority is in the jail: alone for Node, which adds
/// it to roots of its own; after the machine's roots for Python.
pub(crate) const AUTHORITY: &str = "/runner/authority.pem";

/// Names a file of Python's runner once.
macro_rules! python {
    ($name:literal) => {
        (concat!("/runner/", $name), include_str!(concat!("../../../runners/python/", $name)))
    };
}

const PYTHON_FILES: [File; 10] = [
    python!("main.py"),
    python!("causeway_runner/__init__.py"),
    python!("causeway_runner/serve.py"),
    python!("causeway_runner/contract.py"),
    python!("causeway_runner/output.py"),
    python!("causeway_runner/hooks.py"),
    python!("causeway_runner/errors.py"),
    python!("causeway_runner/check.py"),
    python!("causeway_runner/egress.py"),
    python!("causeway_runner/bash.py"),
];

/// Where Node is in the jail.
pub(crate) const NODE: &str = "/bin/node";

/// The files of a runtime's runner.
pub(crate) const fn files(runtime: Runtime) -> &'static [File] {
    match runtime {
        Runtime::Node => &NODE_FILES,
        Runtime::Python | Runtime::Bash => &PYTHON_FILES,
    }
}

/// The command line of a runtime's runner.
pub(crate) fn command(runtime: Runtime, equipment: &Equipment, limits: &Limits) -> Vec<String> {
    let program = equipment.program.display().to_string();
    match runtime {
        Runtime::Node => {
            // Three quarters of the memory are for JavaScript's heap; the rest is for buffers,
            // code and the temporary disk.
            let heap = (limits.memory_bytes / 4 * 3) >> 20;
            vec![
                program,
                format!("--max-old-space-size={}", heap.max(16)),
                "--disable-sigusr1".to_owned(), // would open a debugger's port
                "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON".to_owned(),
                "/runner/main.cjs".to_owned(),
            ]
        }
        // Isolated from the environment, without `site`, and writing no bytecode beside sources.
        Runtime::Python | Runtime::Bash => {
            let mut words = vec![program];
            words.extend(["-I", "-S", "-B", "/runner/main.py", runtime.as_str()].map(String::from));
            words
        }
    }
}

/// The whole environment of a runtime's runner.
pub(crate) fn environment(runtime: Runtime, equipment: &Equipment) -> Vec<String> {
    let path = match runtime {
        Runtime::Node => "PATH=/bin",
        Runtime::Python | Runtime::Bash => "PATH=/usr/bin:/bin",
    };
    let mut all: Vec<String> =
        ["HOME=/tmp", "TMPDIR=/tmp", path, "LANG=C.UTF-8", "TZ=UTC", "USER=sandbox"]
            .map(str::to_owned)
            .to_vec();
    match runtime {
        // Read when the first TLS context is made, together with Node's own roots.
        Runtime::Node => all.push(format!("NODE_EXTRA_CA_CERTS={AUTHORITY}")),
        // OpenSSL, requests, curl and botocore each have a name of their own for it.
        Runtime::Python | Runtime::Bash => all.extend(
            ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"]
                .map(|name| format!("{name}={AUTHORITY}")),
        ),
    }
    all.extend(library_environment(&equipment.library_path));
    all
}
