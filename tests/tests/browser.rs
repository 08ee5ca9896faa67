//! What people see of a live demo, in a real browser: `tests/browser/dashboard.mjs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use bd_e2e::demo::Demo;
use bd_e2e::root;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long the demo may take to start.
const SOON: Duration = Duration::from_secs(60);

/// What `make setup` has installed.
fn installed(path: PathBuf) {
    assert!(path.exists(), "{} is not there: run `make setup` and `make ui`", path.display());
}

#[test]
fn a_browser_shows_a_live_demo_and_survives_the_death_of_bd() {
    let chromium = std::env::var_os("CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    installed(chromium.into());
    installed(root().join("ui/node_modules/playwright-core"));
    let mut demo = Demo::start(&["--users", "60", "--rate", "10", "--changes", "0"]).unwrap();
    let ready = demo.within(SOON, "all users and the first views", |demo| {
        Ok(demo.documents("users") == 60 && demo.documents("show_views") > 0)
    });
    ready.unwrap();
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    let output = Command::new("node")
        .arg(root().join("tests/browser/dashboard.mjs"))
        .arg(format!("http://127.0.0.1:{}", demo.ports.console))
        .arg(demo.data.join("run/bd.json"))
        .arg(&pictures)
        .output()
        .expect("node: run `make setup`");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{wrong}", demo.report());
    println!("{said}");
}
