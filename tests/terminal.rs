//! What the program does on a terminal: colours, the question before a change, and signals while it stands.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "common/terminal.rs"]
mod terminal;

use std::process::Command;

use rustix::process::Signal;
use terminal::Terminal;

const HELLO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hello");

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Terminal {
    let mut command = Command::new(env!("CARGO_BIN_EXE_miniascape"));
    command
        .args(arguments)
        .args(["-C", HELLO, "-c", "test:///default"])
        .current_dir(std::env::temp_dir());
    for variable in [
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "NO_COLOR",
        "TERM",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(variable);
    }
    Terminal::start(command.envs(environment.iter().copied()))
}

const XTERM: (&str, &str) = ("TERM", "xterm-256color");

#[test]
fn a_signal_at_the_question_is_no_consent() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut terminal = run(&["apply"], &[XTERM]);
        terminal.until("[y/N] ");
        terminal.signal(signal);
        let (code, told) = terminal.ends();
        assert_eq!(code, Some(130), "{signal:?}: {told}");
        assert!(
            told.ends_with("[y/N] \r\nNothing was changed.\r\n"),
            "{told}"
        );
    }
}

#[test]
fn half_an_answer_does_not_hold_a_signal_up() {
    let mut terminal = run(&["apply"], &[XTERM]);
    terminal.until("[y/N] ").says("ye");
    terminal.signal(Signal::TERM);
    let (code, told) = terminal.ends();
    assert_eq!(code, Some(130), "{told}");
}

#[test]
fn only_yes_is_consent() {
    for (answer, code, last) in [
        ("y\n", 0, "Applied in"),
        ("yes\n", 0, "Applied in"),
        ("\n", 1, "Nothing was changed."),
        ("no\n", 1, "Nothing was changed."),
        ("yesterday\n", 1, "Nothing was changed."),
        // The end of input.
        ("\u{4}", 1, "Nothing was changed."),
    ] {
        let mut terminal = run(&["apply"], &[XTERM]);
        terminal.until("[y/N] ").says(answer);
        let (ended, told) = terminal.ends();
        assert_eq!(ended, Some(code), "{answer:?}: {told}");
        assert!(told.contains(last), "{answer:?}: {told}");
    }
}

#[test]
fn colours_are_for_terminals_that_can_and_people_who_want_them() {
    let coloured = |environment: &[(&str, &str)], arguments: &[&str]| {
        let (code, told) = run(&[&["plan"], arguments].concat(), environment).ends();
        assert_eq!(code, Some(0), "{told}");
        told.contains('\u{1b}')
    };
    let dumb = ("TERM", "dumb");
    assert!(coloured(&[XTERM], &[]));
    assert!(coloured(&[XTERM, ("NO_COLOR", "")], &[]));
    assert!(coloured(&[dumb, ("CLICOLOR_FORCE", "1")], &[]));
    assert!(coloured(&[dumb], &["--color", "always"]));
    for environment in [
        &[][..],
        &[dumb],
        &[dumb, ("CLICOLOR", "1")],
        &[dumb, ("CI", "true")],
        &[("TERM", "")],
        &[XTERM, ("NO_COLOR", "1")],
        &[XTERM, ("CLICOLOR", "0")],
    ] {
        assert!(!coloured(environment, &[]), "{environment:?}");
    }
    assert!(!coloured(&[XTERM], &["--color", "never"]));
    // Nor does anything move on a terminal that cannot, whatever the command.
    for command in [
        &["apply", "-y"][..],
        &["destroy", "-y"],
        &["status"],
        &["--help"],
        &["plan", "--frobnicate"],
    ] {
        let (_, told) = run(command, &[dumb]).ends();
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
}

#[test]
fn what_is_rendered_leaves_the_prompt_a_line_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.j2");
    for (text, shown) in [("one", "one\r\n"), ("one\n\n", "one\r\n"), ("", "")] {
        std::fs::write(&file, text).unwrap();
        let terminal = run(&["render", file.to_str().unwrap()], &[XTERM]);
        assert_eq!(terminal.ends(), (Some(0), shown.to_owned()), "{text:?}");
    }
}
