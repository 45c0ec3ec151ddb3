//! What `render` prints, and that the documentation of templates is true.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "common/compile.rs"]
mod compile;

use std::fs;
use std::path::Path;

use compile::Lab;
use serde_json::{Map, Value};

/// YAML as the program itself reads it.
fn yaml(text: &str) -> Map<String, Value> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    miniascape::lab::load::read_var_file(
        file.path(),
        &mut Default::default(),
        &mut Default::default(),
    )
    .unwrap()
}

#[test]
fn templates_and_what_they_see_are_printed() {
    let lab = Lab::of("shop");
    let context = lab.run(&["render", "--context", "web1"]).exits(0).out;
    let context = yaml(&context);
    for key in [
        "guest", "networks", "vars", "system", "install", "files", "done", "build", "dst", "lab",
    ] {
        assert!(context.contains_key(key), "{key}");
    }
    assert_eq!(context["guest"]["fqdn"], "web1.shop.test");
    assert_eq!(context["networks"]["front"]["domain"], "shop.test");
    assert!(
        context["networks"].get("back").is_none(),
        "only those that it has a NIC in"
    );
    assert_eq!(
        context["lab"]["guests"]["db1"]["interfaces"]["eth0"]["ip"],
        "10.9.0.21"
    );
    assert_eq!(context["vars"]["ports"][1], 443);

    lab.generate(&[]);
    for template in ["templates/hosts.j2", "hosts.j2"] {
        let out = lab
            .run(&["render", template, "--guest", "web1"])
            .exits(0)
            .out;
        let written = lab
            .read("web1/etc/hosts")
            .replace("web1/etc/hosts", "web1/hosts");
        let out = out.replace("web1/etc/hosts", "web1/hosts");
        assert_eq!(out, written);
    }
    let script = lab
        .run(&["render", "guest/vmbuild.sh.j2", "--guest", "db1"])
        .exits(0)
        .out;
    // A file ends with a line break, which is not the template's.
    assert_eq!(script + "\n", lab.read("db1/vmbuild.sh"));

    // Without a guest: what the host's templates see. With a file: only what is in it, and no definition.
    lab.put("h.j2", "{{ lab.guests | length }} {{ dst }}");
    assert_eq!(lab.run(&["render", "h.j2"]).exits(0).out, "2 host/h");
    lab.put("lab.yaml", "no definition");
    lab.put("values.json", "{\"a\": {\"b\": [1, 2]}}");
    lab.put("v.j2", "{{ a.b | sum }}{{ 1 }}\n");
    let arguments = ["render", "v.j2", "--context-file", "values.json"];
    assert_eq!(lab.run(&arguments).exits(0).out, "31");
    lab.put("v.j2", "\n{{ b }}\n");
    lab.run(&arguments)
        .fails(&["v.j2:2", "`{{ b }}`", "`b` is not set", "there is `a`"]);
    lab.put("values.json", "[1]");
    lab.run(&arguments)
        .fails(&["variables are a map, found a list"]);
}

#[test]
fn what_is_of_ones_own_comes_in_the_order_written() {
    let lab = Lab::new(
        "lab: shop
common: {vars: {zeta: 1, alpha: {y: 1, x: null}}}
guests:
  web1: {vars: {mid: ~, alpha: {w: [null], b: 2}, zeta: null}}
",
    );
    lab.put(
        "v.j2",
        "{{ vars }}{% for key in vars %} {{ key }}{% endfor %} {{ vars.zeta is none }}\n\n",
    );
    assert_eq!(
        lab.run(&["render", "v.j2", "--guest", "web1"]).exits(0).out,
        "{'zeta': None, 'alpha': {'y': 1, 'x': None, 'w': [None], 'b': 2}, 'mid': None} zeta alpha mid True\n"
    );
    // The one as YAML with a merge, which PyYAML puts first; the other as JSON.
    lab.put(
        "f.j2",
        "{{ m }}{% for k, v in m.items() %} {{ k }}={{ v }}{% endfor %}",
    );
    for (text, out) in [
        (
            "b: &b {z: 1, y: 2}\nm: {q: ~, <<: *b, y: 3, a: 0}\n",
            "{'z': 1, 'y': 3, 'q': None, 'a': 0} z=1 y=3 q=None a=0",
        ),
        (
            "b: &b {z: 1, y: 2}\nc: &c {x: 5, z: 6}\nm: {<<: [*b, *c], a: 0}\n",
            "{'x': 5, 'z': 1, 'y': 2, 'a': 0} x=5 z=1 y=2 a=0",
        ),
        (
            r#"{"m": {"z": {"b": null, "a": 1}, "c": "x"}}"#,
            "{'z': {'b': None, 'a': 1}, 'c': 'x'} z={'b': None, 'a': 1} c=x",
        ),
    ] {
        lab.put("values.yaml", text);
        let arguments = ["render", "f.j2", "--context-file", "values.yaml"];
        assert_eq!(lab.run(&arguments).exits(0).out, out);
    }
    lab.put("values.yaml", "m: {<<: 1}\n");
    lab.run(&["render", "f.j2", "--context-file", "values.yaml"])
        .fails(&["`<<` merges maps, found `1`", "<<: *ANCHOR"]);
    // Variables of a definition, of the settings and of a file.
    lab.put(
        "miniascape.toml",
        "[vars]\nm = {z = 1, b = 2, a = {y = 1, x = 2}}\n",
    );
    lab.put("vars.yaml", "n: {z: 1, b: ~}\n");
    std::fs::remove_file(lab.path().join("lab.yaml")).unwrap();
    lab.put(
        "lab.yaml.j2",
        "lab: shop\nguests: {one: {vars: {m: '{{ m }}', n: '{{ n }}'}}}\n".replace('\'', "\""),
    );
    lab.put("v.j2", "{{ vars.m }} {{ vars.n }}");
    let arguments = [
        "render",
        "v.j2",
        "--guest",
        "one",
        "--var-file",
        "vars.yaml",
    ];
    assert_eq!(
        lab.run(&arguments).exits(0).out,
        "{'z': 1, 'b': 2, 'a': {'y': 1, 'x': 2}} {'z': 1, 'b': None}"
    );
}

#[test]
fn devices_are_maps_by_name_and_lists() {
    let lab = Lab::new(
        "lab: shop
networks: {front: {address: 10.1.0.1/24}}
pools: {p: {path: /p}}
guests:
  web1:
    disks: {root: {pool: p, size: 1GiB}, data: {pool: p, size: 2GiB}}
    interfaces:
      wan: {network: front, ip: 10.1.0.5}
      eth0: {user: true}
",
    );
    for (template, out) in [
        (
            "{{ guest.interfaces.wan.ip }} {{ guest.interfaces.wan.ips[0] }} {{ guest.interfaces.eth0.ip }}",
            "10.1.0.5 10.1.0.5 None",
        ),
        (
            "{% for name, nic in guest.interfaces.items() %}{{ name }}={{ nic.source.type }} {% endfor %}",
            "wan=network eth0=user ",
        ),
        (
            "{% for name in guest.interfaces %}{{ name }} {% endfor %}",
            "wan eth0 ",
        ),
        (
            "{% for name, disk in lab.guests.web1.disks | items %}{{ name }}={{ disk.dev }} {% endfor %}",
            "root=vda data=vdb ",
        ),
        (
            "{{ guest.disks['data'].source.capacity }} {{ 'root' in guest.disks }}",
            "2147483648 True",
        ),
        (
            "{% for nic in guest.interface_list %}{{ nic.key }} {% endfor %}{{ guest.interface_list[0].ip }}",
            "wan eth0 10.1.0.5",
        ),
        (
            "{% for disk in guest.disk_list %}{{ disk.key }} {% endfor %}",
            "root data ",
        ),
    ] {
        lab.put("t.j2", template);
        let run = lab.run(&["render", "t.j2", "--guest", "web1"]).exits(0);
        assert_eq!(run.out, out, "{template}");
    }
    // What was written for the lists is told what there is.
    for (template, hint) in [
        ("{{ guest.interfaces[0].mac }}", "`wan`"),
        (
            "{% for nic in guest.interfaces %}{{ nic.mac }}{% endfor %}",
            "`for key, nic in MAP.items()`",
        ),
    ] {
        lab.put("t.j2", template);
        lab.run(&["render", "t.j2", "--guest", "web1"])
            .fails(&[hint]);
    }
}

/// The first column of the tables in a page, without the backticks.
fn first_columns(page: &str) -> Vec<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .flat_map(|line| line.split('|').next().unwrap().split(','))
        .map(|name| name.replace('`', "").trim().to_owned())
        .collect()
}

#[test]
fn the_documentation_names_what_templates_see() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/templates.md"))
        .unwrap();
    let section = page.split("\n## What they see").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lab = Lab::of("shop");
    let context = yaml(&lab.run(&["render", "--context", "web1"]).exits(0).out);
    let context = Value::Object(context);
    let documented = first_columns(section);
    for name in &documented {
        let pointer = format!("/{}", name.replace('.', "/"));
        assert!(
            context.pointer(&pointer).is_some(),
            "{name} is documented, and not there"
        );
    }
    for name in context.as_object().unwrap().keys() {
        let named = section.contains(&format!("`{name}`"));
        assert!(named, "{name} is there, and not documented");
    }
    assert_eq!(documented.len(), 53, "{documented:?}");
    // Parts of what is in lists.
    let row = |name: &str| {
        section
            .lines()
            .find(|line| line.starts_with(&format!("| `guest.{name}`")))
            .unwrap()
    };
    for (list, first) in [
        ("interfaces", &context["guest"]["interface_list"][0]),
        ("disks", &context["guest"]["disk_list"][0]),
        ("system.network", &context["guest"]["system"]["network"][0]),
    ] {
        for key in first.as_object().unwrap().keys() {
            assert!(
                key == "cache" || row(list).contains(&format!("`{key}`")),
                "{list}: {key}"
            );
        }
    }
}

#[test]
fn the_documented_example_works() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/templates.md"))
        .unwrap();
    let block = |language: &str| {
        let after = page.split(&format!("```{language}\n")).nth(1).unwrap();
        after.split("```").next().unwrap().to_owned()
    };
    let lab = Lab::new(&block("yaml").replace(
        "guests:\n",
        "guests:\n  db1: {interfaces: {eth0: {network: front, ip: 192.168.155.21}}}\n",
    ));
    lab.put("inventory.j2", block("jinja"));
    lab.generate(&[]);
    assert_eq!(
        lab.read("web1/ansible/hosts"),
        "# web1/ansible/hosts of lab shop\ndb1.shop.test 192.168.155.21\n"
    );
    lab.put("web.conf.j2", "server {\nserver_name {{ gest.fqdn }};\n}\n");
    let shown = page
        .split("```\nerror: ")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    lab.put(
        "lab.yaml",
        "lab: shop\nnetworks: {}\n\n\n\n\nguests:\n  web1:\n    memory: 1GiB\n",
    );
    let run = lab
        .run(&["render", "web.conf.j2", "--guest", "web1"])
        .exits(1);
    let whole = lab.path().join("web.conf.j2").display().to_string();
    assert_eq!(
        run.err.replace(&whole, "web.conf.j2").trim(),
        format!("error: {}", shown.trim())
    );
}

#[test]
fn a_template_that_fails_is_shown_with_its_guest() {
    let lab = Lab::of("shop");
    lab.put("bad.j2", "one\n\n{{ guest.fqdn }} {{ netwrks.front }}\n");
    lab.run(&["render", "bad.j2", "--guest", "web1"]).fails(&[
        "bad.j2:3: `netwrks` is not set",
        "`{{ guest.fqdn }} {{ netwrks.front }}`",
        "for guest.web1",
        "did you mean `networks`?",
    ]);
    lab.run(&["render", "none.j2", "--guest", "web1"])
        .fails(&["none.j2"]);
    lab.run(&["render", "bad.j2", "--guest", "web2"])
        .fails(&["there is no guest `web2`", "did you mean `web1`?"]);
    lab.run(&["render"]).fails(&["<TEMPLATE>"]);
    lab.run(&["render", "bad.j2", "--context", "web1"])
        .fails(&["cannot be used with"]);
}
