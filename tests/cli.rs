//! The program as a process: what it prints where, and how it exits. On libvirt's test driver, or without a hypervisor.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "common/process.rs"]
mod process;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use miniascape::address::Name;
use miniascape::state::store::{Access, Store, StoreErrorKind};
use process::{HELLO, Lab, Run, TEST, checked};
use serde_json::Value;

const COMMANDS: [&str; 12] = [
    "plan",
    "apply",
    "destroy",
    "generate",
    "render",
    "validate",
    "import",
    "status",
    "state",
    "explain",
    "schema",
    "completions",
];
/// A directory without a lab.
fn nowhere() -> Lab {
    Lab::new(&[])
}

fn hello(arguments: &[&str]) -> Run {
    nowhere().test(&[arguments, &["-C", HELLO]].concat())
}

/// The end of something that nobody reads: writing to it fails.
fn closed() -> Stdio {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    Stdio::from(OwnedFd::from(ours))
}

/// Times differ from run to run.
fn without_times(text: &str) -> String {
    let word = |word: &str| match word.parse::<f64>() {
        Ok(_) if word.contains('.') => "N".to_owned(),
        Ok(_) | Err(_) => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

const HELLO_PLAN: &str = "\
lab hello on test:///default: 6 resources, 0 unchanged

  + network.hello        192.168.155.1/24, nat, hello.test
  + pool.hello           dir /var/lib/libvirt/images/hello
  + volume.one.data      64 MiB
  + volume.two.data      64 MiB
  + guest.one            1 vcpu, 192 MiB, hello 192.168.155.11
  + guest.two            1 vcpu, 192 MiB, hello 192.168.155.12

Plan: 6 to create.
";

// Arguments.

/// The pages of help as they are read, one file each.
#[test]
fn the_pages_of_help_are_as_expected() {
    let lab = nowhere();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/help");
    let mut pages = vec![vec![], vec!["state", "check"]];
    pages.extend(COMMANDS.map(|command| vec![command]));
    for words in pages {
        let page = |flag: &str| lab.run(&[&words[..], &[flag]].concat()).exits(0);
        let (short, long) = (page("-h"), page("--help"));
        assert_eq!((short.out, long.err), (long.out.clone(), String::new()));
        for line in long.out.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        for text in ["Usage: miniascape", "\nExample", "\n\nDocumentation: "] {
            assert!(long.out.contains(text), "{words:?}: {text}");
        }
        let name = ["miniascape"].iter().chain(&words).copied();
        let file = format!("{directory}/{}.txt", name.collect::<Vec<_>>().join("-"));
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            fs::write(&file, &long.out).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), long.out, "{file}");
        let (_, end) = long.out.split_once("\nExample").unwrap();
        let lines = end.lines().skip(1).take_while(|line| !line.is_empty());
        let examples = lines.map(|line| line.split_once("miniascape ").unwrap().1);
        let examples: Vec<&str> = examples.collect();
        assert!(!examples.is_empty(), "{words:?}");
        for example in examples {
            let example = example.trim_end_matches(')').split_whitespace();
            lab.run(&example.chain(["--help"]).collect::<Vec<_>>())
                .exits(0);
        }
    }
}

/// An alias, or a script, puts them before every command.
#[test]
fn options_that_a_command_does_not_heed_are_taken_all_the_same() {
    let lab = Lab::new(&[("lab.yaml", "lab: x\n")]);
    let all = "-c test:///gone --timeout 1m --state s -t t --show-secrets -q";
    let all: Vec<&str> = all.split(' ').collect();
    let lab_named = ["--chdir", ".", "-C", "lab.yaml", "--color", "never"];
    for command in [&["validate"][..], &["generate", "--check"]] {
        let before = [&all[..], &lab_named[..], command].concat();
        let after = [command, &lab_named[..], &all[..]].concat();
        for arguments in [before, after] {
            let run = lab.run(&arguments);
            assert!(matches!(run.code, 0 | 2), "{run:#?}");
            assert_eq!(run.err, "");
        }
    }
    let run = lab.run(&[&all[..], &["completions", "bash"]].concat());
    assert!(run.exits(0).out.contains("_miniascape()"));
    // Such as would have it do more than was meant are not.
    lab.run(&["destroy", "--replace", "guest.x"]).fails(&[
        "unexpected argument '--replace'",
        "`plan` and `apply` have `--replace`",
    ]);
}

#[test]
fn words_of_other_tools_are_told_what_does_it_here() {
    let cases: [(&[&str], &str); 24] = [
        (&["list"], "`miniascape status` shows what there is"),
        (&["ls"], "`miniascape status` shows what there is"),
        (&["up"], "`miniascape apply` makes what is defined"),
        (&["down"], "`miniascape destroy` takes the lab away"),
        (&["start"], "`miniascape apply` starts guests"),
        (&["stop"], "`running: false` and `miniascape apply`"),
        (&["diff"], "`miniascape plan` shows what would change"),
        (&["dry_run"], "`miniascape plan` shows what would change"),
        (&["ssh", "web"], "`virsh console NAME`, or ssh"),
        (&["paln"], "a similar subcommand exists: 'plan'"),
        (&["xyzzy"], "there is `plan`, `apply`, `destroy`"),
        (
            &["state", "list"],
            "`miniascape status` shows what the lab has",
        ),
        (&["state", "rm"], "then `miniascape state check --accept`"),
        (&["state", "xyzzy"], "there is `check`"),
        (
            &["apply", "--dry-run"],
            "`miniascape plan` shows what would be done",
        ),
        (
            &["apply", "--auto-approve"],
            "apply and destroy have `--yes`",
        ),
        (&["destroy", "--force"], "apply and destroy have `--yes`"),
        (&["plan", "--dir", "x"], "`--chdir DIR` names the directory"),
        (&["plan", "--yes"], "`apply` and `destroy` have `--yes`"),
        (&["status", "--json"], "`plan` and `apply` have `--json`"),
        (&["apply", "-j4"], "apply and destroy have `--parallel N`"),
        (&["plan", "--jsn"], "a similar argument exists: '--json'"),
        (&["apply", "web"], "`--target guest.web` is about one guest"),
        (&["apply", "--limit=web"], "have `--target guest.NAME`"),
    ];
    for (arguments, told) in cases {
        let run = nowhere().run(arguments);
        assert_eq!(run.err.matches("tip: ").count(), 1, "{run:#?}");
        run.fails(&[told]);
    }
}

#[test]
fn what_an_option_aims_at_is_found_by_its_name_alone() {
    let lab = Lab::new(&[(
        "lab.yaml",
        "lab: x\ngroups: {web: {memory: 64MiB}}\npools: {shop: {path: /srv/x}}\n\
         guests: {a: {group: web, disks: {root: {pool: shop, size: 1MiB}}}, b: {group: web}}\n",
    )]);
    let cases: [(&[&str], &[&str]); 9] = [
        (
            &["plan", "--target", "a"],
            &["`a` is not an address to aim at", "did you mean `guest.a`?"],
        ),
        (
            &["plan", "--target", "a.root"],
            &["did you mean `volume.a.root`?"],
        ),
        (&["plan", "--target", "vm.b"], &["did you mean `guest.b`?"]),
        (
            &["apply", "-y", "--target", "web"],
            &["`web` is a group: name its guests, `guest.a` and `guest.b`"],
        ),
        (
            &["apply", "-y", "--replace", "shop"],
            &["to replace", "did you mean `pool.shop`?"],
        ),
        (
            &["plan", "--target", "guest.*"],
            &["name each of `guest.a` and `guest.b`"],
        ),
        (
            &["plan", "--target", "guest.xyzzy"],
            &["there is `guest.a` and `guest.b`; `miniascape status` shows all"],
        ),
        (
            &["apply", "-y", "--allow-data-loss", "a"],
            &["`a` is no address", "did you mean `guest.a`?"],
        ),
        (
            &["import", "shop"],
            &[
                "`shop` is not an address to take over",
                "did you mean `pool.shop`?",
            ],
        ),
    ];
    for (arguments, told) in cases {
        lab.test(arguments).fails(told);
    }
    let state = lab.path().join("state");
    let name = Name::new("shop").unwrap();
    let (mut store, _) = Store::open(&state, &name, Access::Write).unwrap();
    store.finish().unwrap();
    drop(store);
    lab.test(&["destroy", "-y", "--target", "web"])
        .fails(&["`web` is a group: name its guests, `guest.a` and `guest.b`"]);
    lab.test(&["destroy", "-y", "--lab", "shpo"])
        .exits(0)
        .says(&["note: lab shpo has no state in state; did you mean `shop`?"]);
    lab.run(&["state", "check", "--lab", "xyzzy"])
        .fails(&["lab xyzzy has no state in state", "there is `shop`"]);
    lab.run(&["generate", "web"])
        .fails(&["`web` is a group: name its guests, `a` and `b`"]);
    lab.run(&["generate", "guest.a"])
        .fails(&["did you mean `a`?"]);
}

#[test]
fn keys_are_explained() {
    let told = nowhere()
        .run(&["explain", "guests.web1.memory"])
        .exits(0)
        .out;
    assert_eq!(
        told,
        "guests.web1.memory\n\n  How much memory it has, in whole MiB.\n\n  takes    a size\n  default  `1GiB`\n  \
         libvirt  `domain/currentMemory`\n  change   live (up to the `max_memory` that it runs with):\n           \
         `virDomainSetMemory`; the guest's balloon driver gives or takes it,\n           in its own time; beyond that it restarts\n"
    );
    let all = nowhere().run(&["explain"]).exits(0).out;
    assert!(all.contains("  guests    Guests, by name.\n"), "{all}");
    let nic = nowhere()
        .run(&["explain", "guests.*.interfaces.*"])
        .exits(0)
        .out;
    assert!(
        nic.starts_with("guests.*.interfaces.*: a NIC\n\n  network                 The network"),
        "{nic}"
    );
    assert!(nic.lines().all(|line| line.chars().count() <= 80), "{nic}");
    let unknown = [
        (
            "guest",
            "a lab has no key `guest`",
            "did you mean `guests`?",
        ),
        (
            "guests.*.memry",
            "`guests.*` has no key `memry`",
            "did you mean `memory`?",
        ),
        (
            "guests.a.memory.b",
            "`guests.a.memory` has no key `b`",
            "`miniascape explain 'guests.a.memory'`",
        ),
    ];
    for (path, problem, hint) in unknown {
        nowhere().run(&["explain", path]).fails(&[problem, hint]);
    }
    let schema = nowhere().run(&["schema"]).exits(0).out;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["definitions"]["disk"]["type"], "object");
}

#[test]
fn every_command_is_tested_for_its_help() {
    let help = nowhere().run(&["--help"]).exits(0).out;
    let listed = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .lines()
        .skip(1)
        .map_while(|line| line.split_whitespace().next())
        .filter(|command| *command != "help" && !command.starts_with('['));
    assert_eq!(listed.collect::<Vec<_>>(), COMMANDS);
}

#[test]
fn usage_errors_are_failures_and_not_changes() {
    let cases: [(&[&str], &str); 10] = [
        (&[], "Usage: miniascape"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (
            &["plan", "--frobnicate"],
            "unexpected argument '--frobnicate'",
        ),
        (&["plan", "--var", "x"], "write it as NAME=VALUE"),
        (&["plan", "--var", "=x"], "write it as NAME=VALUE"),
        (
            &["plan", "--color", "blue"],
            "[possible values: auto, always, never]",
        ),
        (
            &["apply", "--max-disruption", "none"],
            "[possible values: live, relink, restart, recreate]",
        ),
        (&["apply", "--json"], "--yes"),
        (&["destroy", "--lab", "a b"], "a name consists of letters"),
        (&["completions", "cmd"], "possible values: bash"),
    ];
    for (arguments, text) in cases {
        nowhere().run(arguments).fails(&[text]);
    }
}

#[test]
fn the_version_is_printed() {
    let run = nowhere().run(&["--version"]).exits(0);
    let version = concat!("miniascape ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(run.out, version);
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = nowhere().run(&["completions", shell]).exits(0);
        assert_eq!(run.err, "");
        assert!(run.out.contains("max-disruption"), "{shell}");
    }
}

// Definitions and settings.

#[test]
fn a_directory_without_a_lab_is_told_what_to_do() {
    for command in ["plan", "apply", "destroy", "validate", "status"] {
        nowhere()
            .run(&[command])
            .fails(&["error: there is no lab in .", "write a lab.yaml here"]);
    }
    nowhere()
        .run(&["plan", "--chdir", "gone"])
        .fails(&["there is no directory gone"]);
    nowhere()
        .run(&["plan", "-C", "gone.yaml"])
        .fails(&["`-C gone.yaml`: there is no such file or directory"]);
}

/// What libvirt makes of what ssh says, with a program in ssh's place.
#[test]
fn failures_of_ssh_have_hints_about_ssh() {
    let lab = Lab::new(&[("lab.yaml", "lab: x\n")]);
    let ssh = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/ssh.sh");
    let uri = format!("qemu+ssh://ada@far.test:2222/system?command={ssh}");
    for (said, told) in [
        (
            "Host key verification failed.\r\n",
            "`ssh -p 2222 ada@far.test true` shows it and asks",
        ),
        (
            "ada@far.test: Permission denied (publickey).\r\n",
            "ssh was not let in",
        ),
        (
            "ssh: connect to host far.test port 2222: No route to host\r\n",
            "nothing answers ssh there",
        ),
        ("sh: 1: nc: not found\n", "install libvirt on that host"),
        (
            "virt-ssh-helper: cannot connect to '/run/libvirt/libvirt-sock': Failed to connect socket to \
             '/run/libvirt/libvirt-sock': Permission denied\n",
            "join the group libvirt on that host, or connect as root, `qemu+ssh://root@far.test:2222/system`",
        ),
        ("", "`ssh -p 2222 ada@far.test true` has to work; with `-v`"),
    ] {
        fs::write(lab.path().join("said"), said).unwrap();
        let mut plan = lab.command(&["plan", "-c", &uri]);
        let run = plan.env("HOME", lab.path()).output().unwrap();
        let run = checked(run).exits(1).says(&[said.trim(), told]);
        assert!(!run.err.contains("= help: is the daemon"), "{run:#?}");
    }
}

/// The look at libvirt that was begun goes on when the process ends: nothing may be freed under its threads.
#[test]
fn ending_in_the_middle_of_a_look_is_no_crash() {
    let lab = nowhere();
    for _ in 0..100 {
        lab.run(&["plan"]).exits(1);
    }
}

#[test]
fn broken_settings_are_shown_with_their_place() {
    let lab = Lab::new(&[
        ("lab.yaml", "lab: x\n"),
        ("miniascape.toml", "parallel = 2\nconect = 'x'\n"),
    ]);
    lab.run(&["validate"])
        .fails(&["unknown field `conect`", "miniascape.toml:2:1", "= help: "]);
    fs::write(lab.path().join("miniascape.toml"), "parallel = \"x\n").unwrap();
    lab.run(&["validate"])
        .fails(&["miniascape.toml:1:14", "= help: "]);
}

#[test]
fn settings_name_the_hypervisor_and_the_command_line_wins() {
    let lab = Lab::new(&[
        ("lab.yaml", "lab: x\n"),
        ("miniascape.toml", "connect = 'test:///default'\n"),
    ]);
    let run = lab.run(&["plan"]).exits(0);
    assert_eq!(run.out, "Nothing to do: 0 resources, all as defined.\n");
    lab.run(&["plan", "-c", "test:///gone.xml"])
        .fails(&["failed to connect to test:///gone.xml"]);
}

/// A hypervisor that takes connections, and says nothing.
#[test]
fn who_says_nothing_is_not_waited_for_for_ever() {
    let lab = Lab::new(&[
        ("lab.yaml", "lab: x\n"),
        ("miniascape.toml", "timeout = '4s'\n"),
    ]);
    let socket = lab.path().join("silent");
    let _silent = UnixListener::bind(&socket).unwrap();
    let uri = format!("qemu+unix:///system?socket={}", socket.display());
    let waiting = format!("waiting for libvirt at {uri} to answer");
    let told = [&*waiting, "no answer within 4 s", "= help: "];
    for command in [
        &["plan"][..],
        &["apply", "-y"],
        &["destroy", "-y"],
        &["status"],
    ] {
        lab.run(&[command, &["-c", &uri]].concat()).fails(&told);
    }
    let run = lab.run(&["plan", "-q", "-c", &uri, "--timeout", "1"]);
    assert!(!run.err.contains("waiting"), "{run:#?}");
    run.fails(&["no answer within 1 s"]);
    lab.run(&["plan", "--timeout", "soon"])
        .fails(&["`soon` is no duration such as 30s or 2m"]);

    // And Ctrl-C ends it at once, unless it was started with that ignored, as a script's job in the background is.
    let mut plan = Command::new("env")
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_miniascape")])
        .args(["plan", "--timeout", "0", "-c", &uri])
        .current_dir(lab.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut errors = BufReader::new(plan.stderr.take().unwrap());
    errors.read_line(&mut line).unwrap();
    assert!(line.contains(&waiting), "{line}");
    let id = plan.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(sent.unwrap().success());
    assert_eq!(plan.wait().unwrap().signal(), Some(2));
}

#[test]
fn all_problems_of_a_definition_come_at_once() {
    let lab = Lab::new(&[(
        "lab.yaml",
        "lab: x\nguests:\n  one: {memroy: 1GiB}\n  two: {vcpus: many}\n",
    )]);
    lab.run(&["validate"])
        .fails(&["lab.yaml:3:9", "did you mean `memory`?", "lab.yaml:4:16"]);
}

#[test]
fn what_no_hypervisor_takes_is_known_without_one() {
    let lab = Lab::new(&[(
        "lab.yaml",
        "lab: unfit\nguests:\n  one: {disks: {cd: {device: cdrom, bus: ide}}}\n  two: {machine: pc, disks: {cd: {device: cdrom, bus: ide}}}\n",
    )]);
    for arguments in [&["validate"][..], &["generate", "-w", "files"]] {
        lab.run(arguments).fails(&[
            "error: a machine of type `q35` has no IDE bus",
            "--> lab.yaml:3:17",
            "a guest with `machine: pc` has IDE",
        ]);
    }
    // The test driver has no machines.
    lab.test(&["plan"]).exits(0);
}

#[test]
fn the_example_is_valid() {
    let run = nowhere().run(&["validate", "-C", HELLO]).exits(0);
    assert_eq!(
        run.out,
        "Lab hello is valid: 1 network, 1 pool, 0 images, 2 volumes, 2 guests.\n"
    );
    assert_eq!(run.err, "");
}

#[test]
fn what_only_the_hypervisor_knows_is_no_problem_of_a_definition() {
    let definition = "
lab: shop
pools:
  theirs: {external: true}
  group: {type: logical, xml: \"<pool><source><device path='/dev/sdx'/><name>vg</name></source></pool>\"}
  mounted: {type: fs, xml: \"<pool><source><device path='/dev/sdy'/></source><target><path>/mnt/x</path></target></pool>\"}
images:
  theirs: {pool: theirs, source: image.raw}
  group: {pool: group, source: image.raw}
  mounted: {pool: mounted, source: image.raw}
guests:
  one:
    disks:
      theirs: {pool: theirs, image: theirs}
      group: {pool: group, image: group}
      mounted: {pool: mounted, image: mounted}
";
    let lab = Lab::new(&[("lab.yaml", definition), ("image.raw", &"x".repeat(512))]);
    lab.run(&["validate"]).exits(0);
}

#[test]
fn a_template_error_names_file_line_and_way_out() {
    let text = "lab: x\nguests:\n  one: {memory: {{ size }}}\n";
    let lab = Lab::new(&[
        ("lab.yaml.j2", text),
        ("vars.yaml", "size: 2GiB\n"),
        ("list.yaml", "- 1\n"),
        ("broken.yaml", "[1\n"),
        ("tag.yaml", "size: {a: [!mine 1]}\n"),
        ("nan.yaml", "size: [.nan]\n"),
        ("text.yaml", "size: !!str 2GiB\n"),
    ]);
    lab.run(&["validate"]).fails(&[
        "lab.yaml.j2:3:3",
        "`size` is not set",
        "--var size=",
        "{{ size }}",
    ]);
    lab.run(&["validate", "--var", "sise=1GiB"])
        .fails(&["lab.yaml.j2:3:3", "did you mean `sise`?"]);

    for arguments in [
        ["--var", "size=2GiB"],
        ["--var-file", "vars.yaml"],
        ["--var-file", "text.yaml"],
    ] {
        let run = lab.test(&[&["plan"], &arguments[..]].concat()).exits(0);
        assert!(run.out.contains("1 vcpu, 2 GiB"), "{run:#?}");
    }
    let both = ["plan", "--var", "size=3GiB", "--var-file", "vars.yaml"];
    let run = lab.test(&both).exits(0);
    assert!(run.out.contains("1 vcpu, 3 GiB"), "{run:#?}");

    let cases = [
        ("gone.yaml", "cannot read variables from gone.yaml"),
        ("list.yaml", "variables are a map, found a list"),
        ("broken.yaml", "broken.yaml:2:1"),
        ("tag.yaml", "the tag `!mine` means nothing here"),
        ("nan.yaml", "`.nan` is not a number to reckon with"),
    ];
    for (file, text) in cases {
        lab.run(&["validate", "--var-file", file]).fails(&[text]);
    }
}

#[test]
fn a_labs_own_template_that_is_broken_is_named_with_line_and_guest() {
    let cases = [
        (
            "<domain>\n{{ gest.name }}\n</domain>\n",
            ".j2:2",
            "did you mean `guest`?",
        ),
        ("<domain>\n{% if %}\n</domain>\n", ".j2:2", "syntax error"),
        (
            "<domain>\n<a></domain>\n",
            "cannot be read",
            "line 2 of what it gives is",
        ),
    ];
    for (template, place, text) in cases {
        let lab = Lab::new(&[
            ("lab.yaml", "lab: x\nguests:\n  one: {memory: 1GiB}\n"),
            ("templates/libvirt/domain.xml.j2", template),
        ]);
        let all = [
            "template libvirt/domain.xml.j2",
            place,
            text,
            "lab.yaml:3:3",
            "for guest.one",
        ];
        lab.run(&["validate"]).fails(&all);
        lab.test(&["plan"]).fails(&all);
    }
}

// Plans.

#[test]
fn a_plan_is_printed_and_its_exit_code_tells_of_changes() {
    let run = hello(&["plan"]).exits(0);
    assert_eq!(run.out, HELLO_PLAN);
    assert_eq!(
        hello(&["plan", "--detailed-exitcode"]).exits(2).out,
        run.out
    );

    let empty = Lab::new(&[("lab.yaml", "lab: x\n")]);
    empty.test(&["plan", "--detailed-exitcode"]).exits(0);
    nowhere()
        .test(&["plan", "--detailed-exitcode"])
        .fails(&["there is no lab"]);
}

#[test]
fn a_plan_as_json_is_versioned() {
    let run = hello(&["plan", "--json"]).exits(0);
    let plan: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(plan["format"], "miniascape.plan/1");
    assert_eq!(plan["totals"]["create"], 6);
    assert_eq!(plan["changes"].as_array().unwrap().len(), 6);
}

#[test]
fn colours_come_only_when_asked_for() {
    assert!(!hello(&["plan"]).out.contains('\u{1b}'));
    assert!(hello(&["plan", "--color", "always"]).out.contains('\u{1b}'));
}

#[test]
fn xml_is_shown_on_demand() {
    let run = hello(&["plan", "--diff"]).exits(0);
    assert!(run.out.contains("+<domain type='test'>"), "{run:#?}");
    assert!(run.out.contains("+  <name>hello</name>"), "{run:#?}");
}

#[test]
fn a_target_plans_only_what_it_needs() {
    let run = hello(&["plan", "--json", "--target", "guest.one"]).exits(0);
    let plan: Value = serde_json::from_str(&run.out).unwrap();
    let changes = plan["changes"].as_array().unwrap().iter();
    let addresses: Vec<&str> = changes
        .filter(|change| change["action"] != "none")
        .map(|change| change["address"].as_str().unwrap())
        .collect();
    let needed = [
        "network.hello",
        "pool.hello",
        "volume.one.data",
        "guest.one",
    ];
    assert_eq!(addresses, needed);

    hello(&["plan", "--target", "guest.onee"])
        .fails(&["there is no guest.onee", "did you mean `guest.one`?"]);
}

#[test]
fn an_install_needs_the_image_of_its_cd() {
    let medium = "
lab: x
pools: {media: {path: /srv/media}, disks: {path: /srv/disks}}
images: {cd: {pool: media, source: cd.raw}}
guests:
  web:
    memory: 1GiB
    disks: {root: {pool: disks, size: 20GiB}}
    interfaces: {eth0: {user: true}}
    install: {os: debian-12, location: {pool: media, volume: cd.raw}, url: https://deb.example/debian}
    system: {root: {password: $6$abcdefgh$0123456789012345678901234567890123456789012345678901234567890123456789012345678901234./}}
";
    let cd = "0".repeat(512);
    let lab = Lab::new(&[("lab.yaml", medium), ("cd.raw", &cd)]);
    let run = lab
        .run(&["plan", "--json", "--target", "guest.web", TEST[0], TEST[1]])
        .exits(0);
    let plan: Value = serde_json::from_str(&run.out).unwrap();
    let changes = plan["changes"].as_array().unwrap().iter();
    let addresses: Vec<&Value> = changes.map(|change| &change["address"]).collect();
    assert!(addresses.contains(&&Value::from("image.cd")), "{run:#?}");
}

#[test]
fn what_is_not_ours_is_not_touched() {
    // The test driver comes with a guest `test` and a network `default`.
    let lab = Lab::new(&[(
        "lab.yaml",
        "lab: x\nnetworks:\n  default: {address: 192.168.77.1/24}\nguests:\n  test: {memory: 1GiB}\n",
    )]);
    for command in [&["plan"][..], &["apply", "-y"]] {
        lab.test(command)
            .exits(1)
            .says(&["lab.yaml:3:3", "lab.yaml:5:3", "miniascape import"]);
    }
    let run = lab.test(&["import", "guest.test", "network.default"]);
    assert!(run.exits(0).out.starts_with("guest.test is `test` now.\n"));
    lab.test(&["import", "guest.test", "guest.gone"])
        .fails(&["there is no guest.gone"]);
}

#[test]
fn all_that_is_there_can_be_taken_over_at_once() {
    let lab = Lab::new(&[(
        "lab.yaml",
        "lab: x\nnetworks:\n  default: {address: 192.168.77.1/24}\n  other: {mode: isolated}\npools: {default-pool: {path: /default-pool}}\n\
         guests:\n  test: {memory: 1GiB}\n",
    )]);
    let run = lab.test(&["import", "--all"]).exits(0);
    assert_eq!(
        run.out,
        "network.default is `default` now.\n\
         pool.default-pool is `default-pool` now.\n\
         guest.test is `test` now.\n\
         Taken over: 3; 0 were this lab's already, 1 are not there.\n\
         `miniascape plan` shows what differs from the definition.\n"
    );
    assert!(run.err.contains("not there: network.other"), "{}", run.err);
    lab.test(&["import"]).fails(&["<ADDRESS>"]);
    lab.test(&["import", "--all", "guest.test"])
        .fails(&["cannot be used with"]);
}

// Applying and destroying.

#[test]
fn the_example_is_applied() {
    let run = hello(&["apply", "-y"]).exits(0);
    assert_eq!(
        without_times(&run.out),
        format!("{HELLO_PLAN}\nApplied in N s: 6 created.")
    );
    let mut lines: Vec<String> = without_times(&run.err).lines().map(str::to_owned).collect();
    // Resources are done at the same time.
    lines[1..].sort();
    assert_eq!(
        lines,
        [
            "note: nothing on test:// outlives this process, so no state is kept",
            "guest.one                done in N s",
            "guest.two                done in N s",
            "network.hello            done in N s",
            "pool.hello               done in N s",
            "volume.one.data          done in N s",
            "volume.two.data          done in N s",
        ]
    );
}

#[test]
fn quiet_is_silent_but_for_results() {
    let run = hello(&["apply", "-y", "-q"]).exits(0);
    assert_eq!(run.err, "");
    assert!(run.out.contains("Applied in"));
}

#[test]
fn events_are_a_json_object_in_a_line() {
    let run = hello(&["apply", "-y", "--json"]).exits(0);
    let mut finished = 0;
    for line in run.out.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["format"], "miniascape.event/1");
        finished += usize::from(event["event"] == "finished");
    }
    assert_eq!(finished, 6);
}

#[test]
fn without_consent_nothing_is_changed() {
    let run = hello(&["apply"]).exits(1);
    assert_eq!(run.out, HELLO_PLAN);
    run.says(&[
        "there is no terminal to ask on, and nothing was changed",
        "`--yes`",
    ]);
}

#[test]
fn a_limit_lets_creations_pass() {
    hello(&["apply", "-y", "--max-disruption", "live"]).exits(0);
}

#[test]
fn nothing_is_destroyed_where_nothing_is() {
    let nothing = "Nothing to do: lab hello has nothing here.\n";
    assert_eq!(hello(&["destroy", "-y"]).exits(0).out, nothing);
    let run = nowhere().test(&["destroy", "--lab", "hello"]).exits(0);
    assert_eq!(run.out, nothing);
}

#[test]
fn a_broken_definition_can_be_destroyed_by_name() {
    let lab = Lab::new(&[("lab.yaml", "lab: x\nguests: [\n")]);
    lab.test(&["destroy"])
        .fails(&["note: `destroy --lab NAME` works without a definition"]);
    lab.test(&["destroy", "--lab", "x"]).exits(0);
}

#[test]
fn xml_that_libvirt_does_not_know_fails_at_its_guest_alone() {
    let one = "  one:\n    xml: <domain><devices><wachdog model='x'/></devices></domain>\n";
    let lab = Lab::new(&[(
        "lab.yaml",
        &format!("lab: x\nguests:\n{one}  two: {{}}\n  three: {{depends_on: [one]}}\n"),
    )]);
    let run = lab.test(&["apply", "-y"]).exits(1).says(&[
        "guest.two                done in",
        "guest.three              not done, since guest.one failed",
        "guest.one                failed to define guest one",
        "\n                         hint: libvirt does not know",
        "\n1 done, 1 failed, 1 not done.\nfailed:   guest.one\nnot done: guest.three\n",
    ]);
    assert!(!run.out.contains("Applied"), "{run:#?}");
    // Libvirt's many lines are said once, where it happens.
    assert_eq!(run.err.matches("Extra element").count(), 1, "{run:#?}");
}

#[test]
fn a_definition_is_warned_of_by_what_goes_by_it() {
    let nobody = "lab: x\nguests: {a: {system: {timezone: Europe/Berlin}}}\n";
    let lab = Lab::new(&[("lab.yaml", nobody)]);
    let warns = |arguments: &[&str]| lab.test(arguments).err.contains("warning: ");
    for arguments in [
        &["validate"][..],
        &["plan"],
        &["apply", "-y"],
        &["generate"],
    ] {
        assert!(warns(arguments), "{arguments:?}");
    }
    let quiet = [
        &["status"][..],
        &["destroy", "-y"],
        &["state", "check"],
        &["import", "--all"],
        &["plan", "--refresh-only"],
    ];
    for arguments in quiet {
        assert!(!warns(arguments), "{arguments:?}");
    }
}

#[test]
fn the_status_is_a_table() {
    let run = nowhere().test(&["status", "-C", HELLO]).exits(0);
    assert!(run.out.starts_with("ADDRESS          STATE"), "{run:#?}");
    assert_eq!(
        run.out.matches(" missing ").count() + run.out.matches(" missing\n").count(),
        6
    );
}

#[test]
fn a_hypervisor_that_does_not_answer_is_named() {
    let lab = Lab::new(&[("lab.yaml", "lab: x\n")]);
    lab.run(&[
        "plan",
        "-c",
        "qemu+unix:///system?socket=/nonexistent/socket",
    ])
    .fails(&["failed to connect to qemu+unix:///system", "= help: "]);
}

// Pipes.

#[test]
fn readers_that_go_away_are_no_reason_to_fail() {
    let lab = nowhere();
    let commands: [&[&str]; 4] = [
        &["--help"],
        &["completions", "bash"],
        &["plan", "-C", HELLO, "-c", "test:///default"],
        &["apply", "-y", "-C", HELLO, "-c", "test:///default"],
    ];
    for arguments in commands {
        let output = lab.command(arguments).stdout(closed()).output().unwrap();
        checked(output).exits(0);
        let output = lab.command(arguments).stderr(closed()).output().unwrap();
        let run = checked(output).exits(0);
        assert!(!run.out.is_empty(), "{arguments:?}");
    }
}

// The state: the test driver keeps none, so these look at the store that the commands open.

#[test]
fn a_state_directory_that_is_a_file_is_named() {
    let lab = Lab::new(&[("state", "")]);
    let directory = lab.path().join("state");
    let name = Name::new("x").unwrap();
    for access in [Access::Read, Access::Write] {
        let error = Store::open(&directory, &name, access).unwrap_err();
        assert!(
            error.to_string().contains(&*directory.to_string_lossy()),
            "{error}"
        );
    }
}

#[test]
fn a_state_in_use_says_by_whom() {
    let lab = nowhere();
    let name = Name::new("x").unwrap();
    let (held, _) = Store::open(lab.path(), &name, Access::Write).unwrap();
    let error = Store::open(lab.path(), &name, Access::Write).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Locked);
    let pid = format!("pid {}", std::process::id());
    assert!(error.to_string().contains(&pid), "{error}");
    assert!(error.hint.is_some());
    // Whoever only reads need not wait.
    Store::open(lab.path(), &name, Access::Read).unwrap();
    drop(held);
    Store::open(lab.path(), &name, Access::Write).unwrap();
}
