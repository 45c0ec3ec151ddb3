//! Large definitions: what is read and said of them grows no faster than they do. Each of these took minutes, or much more,
//! when something went over all of the others for each.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Far more than any of them takes, on a machine that is busy.
const BOUND: Duration = Duration::from_secs(120);

/// Validates a definition; what was said, and whether it was valid.
fn validate(name: &str, file: &str, text: &str) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(file), text).unwrap();
    let said = dir.path().join("said");
    let mut program = Command::new(env!("CARGO_BIN_EXE_miniascape"))
        .arg("--chdir")
        .arg(dir.path())
        .arg("validate")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = program.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > BOUND {
            program.kill().unwrap();
            program.wait().unwrap();
            panic!("{name} takes for ever");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = fs::read_to_string(said).unwrap();
    assert!(
        matches!(status.code(), Some(0 | 1)),
        "{name}: {status}: {said}"
    );
    (status.success(), said)
}

/// One line, or one item of a list, for each number.
fn each(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let _ = write!(text, "{}", one(n));
        text
    })
}

#[test]
fn every_problem_of_thousands_is_said() {
    let head = "lab: x\npools: {p: {path: /p}}\n";
    let guests =
        |count, one: &dyn Fn(usize) -> String| format!("{head}guests:\n{}", each(count, one));
    for (name, text, count) in [
        (
            "unknown keys",
            format!("{head}{}", each(3000, |n| format!("k{n}: 1\n"))),
            3000,
        ),
        (
            "keys given twice",
            guests(2000, &|_| "  g: {}\n".to_owned()),
            1999,
        ),
        (
            "keys given twice in a line",
            format!(
                "{head}guests: {{{}}}\n",
                each(2000, |_| "g: {}, ".to_owned())
            ),
            1999,
        ),
        (
            "bad sizes",
            guests(4000, &|n| format!("  g{n}: {{memory: x}}\n")),
            4000,
        ),
        (
            "bad sizes in a line",
            format!(
                "{head}guests: {{{}}}\n",
                each(8000, |n| format!("g{n}: {{memory: x}}, "))
            ),
            8000,
        ),
        (
            "groups that are not there",
            format!(
                "{head}groups:\n{}guests:\n{}",
                each(3000, |n| format!("  group{n}: {{}}\n")),
                each(3000, |n| format!("  g{n}: {{group: w{n}}}\n"))
            ),
            3000,
        ),
        (
            "guests that are not there",
            guests(3000, &|n| format!("  g{n}: {{depends_on: [h{n}]}}\n")),
            3000,
        ),
        (
            "moves to what is not there",
            format!(
                "{head}moved:\n{}",
                each(2000, |n| format!(
                    "  - {{from: guest.a{n}, to: guest.b{n}}}\n"
                ))
            ),
            2000,
        ),
        (
            "one device for all disks",
            format!(
                "{head}guests: {{g: {{disks: {{{}}}}}}}\n",
                each(3000, |n| format!(
                    "d{n}: {{pool: p, size: 1GiB, dev: vda}}, "
                ))
            ),
            2999,
        ),
        (
            "subnets that overlap",
            format!(
                "{head}networks:\n{}",
                each(4000, |n| format!(
                    "  n{n}: {{address: 10.0.0.{}/24}}\n",
                    n % 250 + 1
                ))
            ),
            3999,
        ),
    ] {
        let (valid, said) = validate(name, "lab.yaml", &text);
        assert!(!valid, "{name}");
        // Many that are alike are told as one.
        let told = |line: &str| match line.split_once("the same ") {
            Some((_, rest)) => rest.split_once(" times more").map(|(n, _)| n.parse()),
            None => line.starts_with("error: ").then_some(Ok(1)),
        };
        let problems: usize = said.lines().filter_map(told).map(Result::unwrap).sum();
        assert_eq!(problems, count, "{name}: {}", &said[..said.len().min(2000)]);
        assert!(said.len() < count * 1000, "{name}: {} bytes", said.len());
    }
}

#[test]
fn what_is_large_and_right_is_valid() {
    let head = "lab: x\npools: {p: {path: /p}}\n";
    for (name, file, text) in [
        (
            "a chain of moves",
            "lab.yaml",
            format!(
                "{head}guests: {{g15000: {{}}}}\nmoved:\n{}",
                each(15_000, |n| format!(
                    "  - {{from: guest.g{n}, to: guest.g{}}}\n",
                    n + 1
                ))
            ),
        ),
        (
            "a chain of dependencies",
            "lab.yaml",
            format!(
                "{head}guests:\n  g0: {{}}\n{}",
                each(3000, |n| format!("  g{}: {{depends_on: [g{n}]}}\n", n + 1))
            ),
        ),
        (
            "subnets",
            "lab.yaml",
            format!(
                "{head}networks:\n{}",
                each(8000, |n| format!(
                    "  n{n}: {{address: 10.{}.{}.1/24}}\n",
                    n / 250,
                    n % 250
                ))
            ),
        ),
        (
            "ISO images and exports",
            "lab.yaml",
            format!(
                "{head}host: {{isos: {{{}}}, nfs: {{exports: {{{}}}}}}}\n",
                each(9000, |n| format!("i{n}: {{path: /i}}, ")),
                each(9000, |n| format!("/e{n}: {{clients: [a]}}, "))
            ),
        ),
        (
            "one line of JSON",
            "lab.yaml",
            format!(
                "{{\"lab\": \"x\", \"groups\": {{\"g\": {{\"vars\": {{{}}}}}}}}}\n",
                each(15_000, |n| format!("\"k{n}\": [[1]], "))
            ),
        ),
        (
            "tags",
            "lab.yaml.j2",
            format!(
                "{head}#{}\n",
                each(100_000, |_| " {{ 'some text' }}".to_owned())
            ),
        ),
        (
            "macros",
            "lab.yaml.j2",
            format!(
                "{head}#{}\n",
                each(15_000, |n| format!(
                    "{{% macro m{n}(a, b=a) %}}{{% if a %}}{{% endif %}}{{% endmacro %}}"
                ))
            ),
        ),
        (
            "a macro's arguments",
            "lab.yaml.j2",
            format!(
                "{head}{{% macro m(z{}) %}}{{% endmacro %}}\n",
                each(3000, |n| format!(", a{n}=z"))
            ),
        ),
    ] {
        let (valid, said) = validate(name, file, &text);
        assert!(valid, "{name}: {}", &said[..said.len().min(2000)]);
    }
}
