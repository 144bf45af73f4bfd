//! Reading code without running it.

use crate::support::*;
use causeway_sandbox::*;
use std::sync::Arc;

async fn check(pool: &Pool, files: &[(&str, &str)]) -> Result<(), StepFailure> {
    let program = Arc::new(program(files));
    let mut session = pool.checkout(&program).await.unwrap();
    session.check(&[files[0].0.to_owned()]).await
}

#[tokio::test]
async fn what_does_not_parse_is_refused_with_its_place() {
    let pool = pool().await;
    let bad = "export const a = 1;\n  let b = = 2;";
    let bad_here = "bad.mjs:2:11: SyntaxError: Unexpected token '='\n  let b = = 2;";
    let fine = ("fine.mjs", "export default 1;");
    let uses = "import './bad.mjs'; import './fine.mjs'; export default () => 1;";
    for (files, message) in [
        (&[("bad.mjs", bad)][..], bad_here),
        (&[("step.mjs", uses), ("bad.mjs", bad), fine], bad_here),
        (
            &[("step.js", "const x = 1;\nexport default () => x +;")],
            "step.js:2:25: SyntaxError: Unexpected token ';'\n  export default () => x +;",
        ),
        (
            &[("step.cjs", "module.exports = () => {\n  return 1;\n")],
            "step.cjs:3:1: SyntaxError: Unexpected end of input\n  ",
        ),
        (
            &[
                ("step.mjs", "import { x } from './lib/one.cjs'; export default () => x;"),
                ("lib/one.cjs", "exports.x = 1;\nconst two = require( './two' );"),
                ("lib/two.js", "#!/usr/bin/env node\nmodule.exports = 1 2;"),
            ],
            "lib/two.js:2:20: SyntaxError: Unexpected number\n  module.exports = 1 2;",
        ),
        (
            &[("step.mts", "let a: number = 1;\nlet a = 2; export default () => a;")],
            "step.mts:2:5: SyntaxError: Identifier 'a' has already been declared\n  let a = 2; export default () => a;",
        ),
        (
            &[("step.mjs", "import { no } from './fine.mjs'; export default () => no;"), fine],
            "step.mjs:1:10: SyntaxError: The requested module './fine.mjs' does not provide an export named 'no'\n  import { no } from './fine.mjs'; export default () => no;",
        ),
    ] {
        let failure = check(&pool, files).await.unwrap_err();
        assert_eq!((failure.code, failure.message.as_str()), (FailureCode::SyntaxError, message));
    }
    for (file, text, words) in [
        ("step.ts", "const x: number = ;\nexport default () => x", "step.ts:1:19: "),
        ("step.ts", "\nenum A { x }\nexport default () => A.x", "step.ts:2:1: "),
        ("step.mjs", "import x from './missing.mjs'; export default () => x", "'missing.mjs'"),
        ("step.mjs", "import x from 'left-pad'; export default () => x", "left-pad"),
        ("step.tsx", "export default () => 1", "Unknown file extension \".tsx\""),
    ] {
        let failure = check(&pool, &[(file, text)]).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::SyntaxError, "{failure:?}");
        assert!(failure.message.contains(words), "{}", failure.message);
        assert!(!failure.message.contains("/code"), "{}", failure.message);
    }
}

#[tokio::test]
async fn nothing_of_the_code_runs() {
    let pool = pool().await;
    let forever = "for (;;) {}";
    for files in [
        &[("step.mjs", "for (;;) {}; export default () => 1;")][..],
        &[("step.cjs", "process.exit(1); module.exports = () => 1;")],
        &[("step.js", "throw new Error('at the top'); module.exports = () => 1;")],
        &[("step.mjs", "import './top.mjs'; export default await 1;"), ("top.mjs", forever)],
        &[("step.mjs", "import './top.cjs'; export default () => 1;"), ("top.cjs", forever)],
        &[("step.ts", "const n: number = await new Promise(() => {}); export default () => n;")],
        &[("step.mjs", "")],
        &[("a b/#ü.mjs", "export default () => import('./missing.mjs');")],
    ] {
        assert_eq!(check(&pool, files).await, Ok(()), "{files:?}");
    }
}

#[tokio::test]
async fn a_sandbox_that_has_read_code_can_run_it() {
    let pool = pool().await;
    let program = Arc::new(program(&[("step.mjs", "let n = 0; export default () => ++n")]));
    let mut session = pool.checkout(&program).await.unwrap();
    session.check(&["step.mjs".to_owned()]).await.unwrap();
    assert_eq!(value(&session.step(call("step.mjs")).await), 1);
    assert_eq!(value(&session.step(call("step.mjs")).await), 2);
}
