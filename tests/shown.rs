//! What the program lets out, and what not: results that cannot be printed, commands to the terminal, passwords, a state that is
//! not as it was written.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "common/process.rs"]
mod process;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use miniascape::address::Name;
use miniascape::state::store::{Access, Store};
use process::{HELLO, Lab, TEST, checked};

#[test]
fn what_cannot_be_printed_is_a_failure() {
    let lab = Lab::new(&[("lab.yaml", "lab: x\nguests: {test: {memory: 64MiB}}\n")]);
    let state = lab.path().join("state");
    let name = Name::new("x").unwrap();
    let (mut store, _) = Store::open(&state, &name, Access::Write).unwrap();
    store.finish().unwrap();
    drop(store);
    let commands: [&[&str]; 18] = [
        &["--help"],
        &["--version"],
        &["help", "plan"],
        &["plan", "-C", HELLO],
        &["plan", "-C", HELLO, "--diff", "--detailed-exitcode"],
        &["plan", "-C", HELLO, "--json"],
        &["plan", "-C", HELLO, "--refresh-only"],
        &["apply", "-C", HELLO, "-y"],
        &["apply", "-C", HELLO, "-y", "--json"],
        &["destroy", "-C", HELLO, "-y"],
        &["generate"],
        &["generate", "--check"],
        &["generate", "--diff"],
        &["render", "--context", "test"],
        &["validate"],
        &["import", "--all"],
        &["status"],
        &["completions", "bash"],
    ];
    for arguments in commands.iter().chain(&[&["state", "check"][..]]) {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = lab.command(&[arguments, &TEST[..]].concat());
        if arguments[0].starts_with("--") || arguments[0] == "help" {
            command = lab.command(arguments);
        }
        let run = checked(command.stdout(full).output().unwrap()).exits(1);
        let run = run.says(&["error: failed to write to standard output: No space left on device"]);
        // What was shown to nobody is not applied.
        let shown = arguments.contains(&"--json");
        assert!(shown || !run.err.contains("done in"), "{run:#?}");
    }
}

/// What an escape sequence, its 8-bit form and a mark that turns the order of letters begin with.
const COMMANDS_TO_TERMINALS: [char; 4] = ['\u{1b}', '\u{9b}', '\u{202e}', '\u{7}'];

#[test]
fn nothing_from_elsewhere_is_a_command_to_the_terminal() {
    // XML holds no others.
    let evil = "\\u009b1m\\u202e";
    let raw: String = COMMANDS_TO_TERMINALS.iter().collect();
    let lab = Lab::new(&[
        (
            "lab.yaml",
            &format!(
                "lab: x\nnetworks: {{n: {{address: 192.168.77.1/24, dns: {{txt: {{a: \"{evil}\"}}}}}}}}\n\
                 guests:\n  g: {{title: \"{evil}\", description: \"{evil}\", templates: {{a: {{src: a.j2, dst: a.txt}}}}}}\n"
            ),
        ),
        ("templates/a.j2", &raw),
        (
            &format!("evil{raw}/lab.yaml"),
            &format!("lab: y\n# {raw}\nguests: {{{raw}: {{}}}}\n"),
        ),
        (&format!("bad{raw}.j2"), "{{ gone }}\n"),
    ]);
    let plan = lab.test(&["plan", "--diff"]).exits(0).out;
    assert!(plan.contains("\\u{9b}1m\\u{202e}"), "{plan}");
    let directory = format!("evil{raw}");
    let bad = format!("bad{raw}.j2");
    let commands: [&[&str]; 18] = [
        &["plan", "--diff"],
        &["plan", "--json"],
        &["plan", "--target", "guest.gone"],
        &["apply", "-y", "--diff"],
        &["apply", "-y", "--json"],
        &["import", "--all"],
        &["status"],
        &["validate"],
        &["validate", "--chdir", &directory],
        &["validate", "--chdir", &raw],
        &["validate", "-C", &directory],
        &["validate", "-C", &raw],
        &["validate", "--var-file", &raw],
        &["generate", "--diff"],
        &["render", &bad],
        &["plan", "--target", &raw],
        &["plan", "--var", &raw],
        &[&raw],
    ];
    for arguments in commands {
        for color in ["never", "always"] {
            let colours = ["--color", color];
            let run = lab.test(&[arguments, &colours].concat());
            for text in [&run.out, &run.err] {
                let commands = COMMANDS_TO_TERMINALS.iter();
                let commands = commands.filter(|c| color == "never" || **c != '\u{1b}');
                for command in commands {
                    assert!(
                        !text.contains(*command),
                        "{arguments:?}: {command:?} in {run:#?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_change_of_the_state_by_hand_is_refused_until_it_is_accepted() {
    let lab = Lab::new(&[("lab.yaml", "lab: x\n")]);
    let name = Name::new("x").unwrap();
    let state = lab.path().join("state/x.toml");
    let check = ["state", "check"];
    for arguments in [&check[..], &["state", "check", "--accept"]] {
        lab.run(arguments)
            .fails(&["lab x has no state in state", "`--chdir` or `--state`"]);
    }
    assert!(!lab.path().join("state").exists());
    Store::open(&lab.path().join("state"), &name, Access::Write)
        .unwrap()
        .0
        .finish()
        .unwrap();
    let nothing = "The state of lab x in state is as miniascape wrote it: no resources.\n";
    assert_eq!(lab.run(&check).exits(0).out, nothing);
    let written = fs::read_to_string(&state).unwrap();
    fs::write(&state, written.replace("lab = \"x\"", "lab = 'x'")).unwrap();
    lab.run(&check).fails(&[
        "state/x.toml: the state is not as miniascape wrote it",
        "bring back the last good version",
        "miniascape state check --accept",
    ]);
    // The name is enough where the definition is broken.
    fs::write(lab.path().join("lab.yaml"), "lab: [\n").unwrap();
    lab.run(&check)
        .fails(&["note: `state check --lab NAME` works without a definition"]);
    let run = lab.run(&["state", "check", "--accept", "--lab", "x"]);
    assert_eq!(
        run.exits(0).out,
        "The state of lab x in state is taken as it is: no resources.\n"
    );
    assert_eq!(fs::read_to_string(&state).unwrap(), written);
    lab.run(&["state", "check", "--lab", "x"]).exits(0);
    // What cannot be read is not taken.
    fs::write(&state, &written[..written.len() / 2]).unwrap();
    lab.run(&["state", "check", "--accept", "--lab", "x"])
        .fails(&["state/x.toml: ", "bring back the last good version"]);
}

#[test]
fn passwords_are_shown_only_to_those_who_ask() {
    let guest = "  one:\n    memory: 64MiB\n    xml: |\n      <domain><devices><graphics type='vnc' passwd='S3CRET'/></devices></domain>\n";
    let lab = Lab::new(&[("lab.yaml", &format!("lab: x\nguests:\n{guest}"))]);
    let hidden: [&[&str]; 4] = [
        &["plan", "--diff"],
        &["plan", "--json"],
        &["apply", "-y", "--diff"],
        &["generate", "--diff"],
    ];
    for command in hidden {
        let run = lab.test(command).exits(0);
        assert!(!run.out.contains("S3CRET"), "{run:#?}");
        assert!(!run.err.contains("S3CRET"), "{run:#?}");
    }
    for command in [&["plan", "--diff"][..], &["generate", "--diff"]] {
        let shown = [command, &["--show-secrets"]].concat();
        let run = lab.test(&shown).exits(0);
        assert!(run.out.contains("passwd='S3CRET'"), "{run:#?}");
        let run = lab.test(command).exits(0);
        assert!(run.out.contains("passwd='(hidden)'"), "{run:#?}");
    }
    // What is written has it, for its owner alone; what an older version wrote is closed.
    let file = lab.path().join("miniascape-workdir/one/domain.xml");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    lab.run(&["generate"]).exits(0);
    assert!(fs::read_to_string(&file).unwrap().contains("S3CRET"));
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&file.with_file_name("vmbuild.sh")) & 0o700, 0o700);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    lab.run(&["generate", "--check"]).exits(2);
    lab.run(&["generate"]).exits(0);
    assert_eq!(mode(&file), 0o600);
    // The line that a problem points to, too.
    let broken = guest
        .replace("<domain>", "<domain")
        .replace("64MiB", "64MoB");
    fs::write(
        lab.path().join("lab.yaml"),
        format!("lab: x\nguests:\n{broken}"),
    )
    .unwrap();
    let run = lab.run(&["validate"]).exits(1);
    assert!(!run.err.contains("S3CRET"), "{run:#?}");
    assert!(run.err.contains("passwd='******'"), "{run:#?}");
}

#[test]
fn what_libvirt_says_of_a_password_is_not_told() {
    let xml = "<domain><devices><wachdog passwd='S3CRET'/></devices></domain>";
    let lab = Lab::new(&[(
        "lab.yaml",
        &format!("lab: x\nguests:\n  one: {{xml: {xml}}}\n"),
    )]);
    for command in [&["apply", "-y"][..], &["apply", "-y", "--json"]] {
        let run = lab
            .test(command)
            .exits(1)
            .says(&["failed to define guest one"]);
        assert!(
            !run.out.contains("S3CRET") && !run.err.contains("S3CRET"),
            "{run:#?}"
        );
    }
}
