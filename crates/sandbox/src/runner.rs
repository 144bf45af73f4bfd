//! The runner that this build carries: the files of `runners/node`, and Node's command line.

use crate::program::Limits;

/// Place in the jail and contents.
pub(crate) const FILES: [(&str, &str); 9] = [
    ("/runner/main.cjs", include_str!("../../../runners/node/main.cjs")),
    ("/runner/contract.cjs", include_str!("../../../runners/node/contract.cjs")),
    ("/runner/errors.cjs", include_str!("../../../runners/node/errors.cjs")),
    ("/runner/output.cjs", include_str!("../../../runners/node/output.cjs")),
    ("/runner/timers.cjs", include_str!("../../../runners/node/timers.cjs")),
    ("/runner/machine.cjs", include_str!("../../../runners/node/machine.cjs")),
    ("/runner/modules.cjs", include_str!("../../../runners/node/modules.cjs")),
    ("/runner/check.cjs", include_str!("../../../runners/node/check.cjs")),
    ("/runner/egress.cjs", include_str!("../../../runners/node/egress.cjs")),
];

/// Where the certificate of the sandbox's own authority is in the jail.
pub(crate) const AUTHORITY: &str = "/runner/authority.pem";

/// Where Node is in the jail.
pub(crate) const NODE: &str = "/bin/node";

/// Node's command line. Three quarters of the memory are for JavaScript's heap; the rest is for
/// buffers, code and the temporary disk.
pub(crate) fn command(limits: &Limits) -> Vec<String> {
    let heap = (limits.memory_bytes / 4 * 3) >> 20;
    vec![
        NODE.to_owned(),
        format!("--max-old-space-size={}", heap.max(16)),
        "--disable-sigusr1".to_owned(), // would open a debugger's port
        "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON".to_owned(),
        "/runner/main.cjs".to_owned(),
    ]
}

/// The whole environment of the program.
pub(crate) fn environment(libraries: &[String]) -> Vec<String> {
    let mut all: Vec<String> =
        ["HOME=/tmp", "TMPDIR=/tmp", "PATH=/bin", "LANG=C.UTF-8", "TZ=UTC", "USER=sandbox"]
            .map(str::to_owned)
            .to_vec();
    // Read when the first TLS context is made, together with Node's own roots.
    all.push(format!("NODE_EXTRA_CA_CERTS={AUTHORITY}"));
    if !libraries.is_empty() {
        all.push(format!("LD_LIBRARY_PATH={}", libraries.join(":")));
    }
    all
}
