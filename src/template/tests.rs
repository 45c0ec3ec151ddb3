//! Templates as the rest of the program uses them.

use super::*;

use serde_json::json;

fn vars(text: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(text).unwrap()
}

/// A directory with templates.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

fn templates(directory: &tempfile::TempDir) -> Templates {
    Templates::new(vec![directory.path().to_owned()])
}

fn lab() -> serde_json::Value {
    json!({
        "guest": {"name": "web1", "hostname": "web1.test", "disks": {"root": {"size": 10}}},
        "guests": [{"name": "a"}],
        "n": 5,
    })
}

fn refused(text: &str) -> TemplateError {
    let templates = Templates::new(Vec::new());
    match templates.render_text("inline", text, &lab()) {
        Ok(out) => panic!("{text} gives {:?}", &out[..out.len().min(100)]),
        Err(error) => error,
    }
}

#[test]
fn the_templates_that_are_compiled_in_are_those_of_the_directory() {
    let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(names.contains(&"libvirt/domain.xml.j2"), "{names:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    for (name, text) in BUILT_IN {
        assert_eq!(&std::fs::read_to_string(root.join(name)).unwrap(), text);
    }
}

#[test]
fn every_template_that_is_compiled_in_can_be_read() {
    let templates = Templates::new(Vec::new());
    for (name, _) in BUILT_IN {
        // What it needs is not there; that it is read without a syntax error is what matters.
        if let Err(error) = templates.render(name, &json!({})) {
            assert!(!error.message.contains("syntax error"), "{error}");
        }
    }
}

#[test]
fn files_are_rendered_with_includes_by_relative_path() {
    let directory = directory(&[("parts/a.j2", "a={{ a }}")]);
    let path = directory.path().join("lab.yaml.j2");
    let text = "{% include 'parts/a.j2' %}";
    let out = render_file(&path, text, &vars(r#"{"a": "<1>"}"#)).unwrap();
    assert_eq!(out, "a=<1>");
}

#[test]
fn a_file_finds_what_stands_beside_it_and_what_is_in_the_search_path() {
    let path = directory(&[("shared/m.j2", "{% macro m() %}shared{% endmacro %}")]);
    let site = directory(&[
        (
            "site/main.j2",
            "{% include './near.j2' %} {% include '../up.j2' %}",
        ),
        (
            "site/near.j2",
            "{% from 'shared/m.j2' import m %}near {{ m() }}",
        ),
        ("up.j2", "up {{ x }}"),
    ]);
    let templates = templates(&path);
    let main = site.path().join("site/main.j2");
    let out = templates.render_file(&main, &json!({"x": 1})).unwrap();
    assert_eq!(out, "near shared up 1");
    let error = templates.render_file(&main, &json!({})).unwrap_err();
    assert!(error.template.ends_with("site/../up.j2"), "{error:?}");
    assert_eq!(error.source_line.as_deref(), Some("up {{ x }}"));
    assert!(error.message.contains("main.j2:1"), "{error:?}");
}

#[test]
fn errors_name_template_line_and_the_missing_name() {
    let text = "one\n{{ memroy }}\n";
    let error = render_file(Path::new("lab.yaml.j2"), text, &vars(r#"{"memory": 1}"#));
    let error = error.unwrap_err();
    assert_eq!(error.template, "lab.yaml.j2");
    assert_eq!(error.line, Some(2));
    assert_eq!(error.source_line.as_deref(), Some("{{ memroy }}"));
    assert_eq!(error.message, "`memroy` is not set");
    assert_eq!(error.hint.as_deref(), Some("did you mean `memory`?"));
    let error = render_file(Path::new("lab.yaml.j2"), "{{ size }}", &vars("{}")).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("give it with `--var size=…`"));
}

#[test]
fn what_is_missing_is_named_with_what_is_there() {
    for (text, message, hint) in [
        (
            "{{ gest.name }}",
            "`gest` is not set",
            "did you mean `guest`?",
        ),
        (
            "{{ zzz }}",
            "`zzz` is not set",
            "there is `guest`, `guests` and `n`",
        ),
        (
            "{{ guest.naem }}",
            "`guest` has no `naem`",
            "did you mean `name`? it has `disks`, `hostname` and `name`",
        ),
        (
            "{{ guest.disks.rot.size|default(1) }}",
            "`guest.disks` has no `rot`",
            "did you mean `root`? it has `root`",
        ),
        (
            "{% for g in guests %}{{ g['nmae'] }}{% endfor %}",
            "`g` has no `nmae`",
            "did you mean `name`? it has `name`",
        ),
        (
            "{{ guests[0].ip }}",
            "`guests[0]` has no `ip`",
            "it has `name`",
        ),
        (
            "{{ guests[3] }}",
            "`guests` is a list of length 1: it has no item 3",
            "",
        ),
        (
            "{{ guests|sort(attribute='nmae') }}",
            "`item` has no `nmae`",
            "did you mean `name`? it has `name`",
        ),
        (
            "{% for x in n %}{% endfor %}",
            "`n` is an integer: it cannot be gone over",
            "",
        ),
        (
            "{{ guest.name.uper() }}",
            "a string has no method `uper`; did you mean `upper`?",
            "",
        ),
        (
            "{{ guest|uper }}",
            "there is no filter `uper`",
            "did you mean `upper`?",
        ),
        (
            "{{ guests|map('uper')|list }}",
            "there is no filter `uper`",
            "did you mean `upper`?",
        ),
        (
            "{{ n is defned }}",
            "there is no test `defned`",
            "did you mean `defined`?",
        ),
        (
            "{{ rnge(3) }}",
            "there is no function or macro `rnge`",
            "did you mean `range`?",
        ),
        (
            "{{ 'a' + n }}",
            "`+` does not take a string and an integer; `~` joins anything as text",
            "",
        ),
        (
            "{% include 'libvirt/domian.xml.j2' %}",
            "there is no template `libvirt/domian.xml.j2`",
            "did you mean `libvirt/domain.xml.j2`?",
        ),
    ] {
        let error = refused(text);
        assert_eq!(error.message, message, "{text}");
        assert_eq!(error.hint.as_deref().unwrap_or(""), hint, "{text}");
        assert_eq!(error.source_line.as_deref(), Some(text));
    }
}

#[test]
fn errors_in_included_templates_are_named_where_they_are() {
    let directory = directory(&[
        ("parts/a.j2", "{% include 'b.j2' %}"),
        ("parts/b.j2", "b\n{{ guest.naem }}\n"),
        ("broken.j2", "\n\n{{ 1 + }}\n"),
    ]);
    let templates = templates(&directory);
    let error = templates
        .render_text("motd of web1", "{% include 'parts/a.j2' %}", &lab())
        .unwrap_err();
    assert_eq!(error.template, "parts/b.j2");
    assert_eq!(error.line, Some(2));
    assert_eq!(error.source_line.as_deref(), Some("{{ guest.naem }}"));
    assert_eq!(
        error.message,
        "`guest` has no `naem` (asked for by parts/a.j2:1)"
    );
    let error = templates
        .render_text("motd of web1", "\n{% include 'broken.j2' %}", &lab())
        .unwrap_err();
    assert_eq!(
        (error.template.as_str(), error.line),
        ("broken.j2", Some(3))
    );
    assert!(
        error.message.contains("(asked for by motd of web1:2)"),
        "{error:?}"
    );
}

#[test]
fn files_decide_for_themselves_what_becomes_of_undefined_values() {
    let directory = directory(&[
        (
            "lenient.j2",
            "{# miniascape: undefined=lenient -#}\n[{{ nope }}]{% macro m(a) %}{{ a.b }}{% endmacro %}",
        ),
        (
            "strict.j2",
            "{#- miniascape: undefined=strict -#}{{ nope }}",
        ),
        ("plain.j2", "[{{ nope }}]"),
    ]);
    let render = |undefined, text: &str| {
        templates(&directory)
            .undefined(undefined)
            .render_text("t", text, &json!({"d": {}}))
            .map_err(|error| error.message)
    };
    let is_missing = |result: Result<String, String>| {
        assert_eq!(
            result.unwrap_err().split(" (").next(),
            Some("`nope` is not set")
        );
    };
    let (strict, lenient) = (Undefined::Strict, Undefined::Lenient);
    assert_eq!(render(strict, "{% include 'lenient.j2' %}").unwrap(), "[]");
    // A macro is as lenient as the file it is written in.
    let call = "{% import 'lenient.j2' as l %}[{{ l.m(d) }}]";
    assert_eq!(render(strict, call).unwrap(), "[]");
    is_missing(render(strict, "{% include 'plain.j2' %}"));
    assert_eq!(render(lenient, "{% include 'plain.j2' %}").unwrap(), "[]");
    is_missing(render(lenient, "{% include 'strict.j2' %}"));
    assert_eq!(render(lenient, "[{{ nope }}{{ d.x }}]").unwrap(), "[]");
    is_missing(render(lenient, "{{ nope.x }}"));
    let wrong = refused("{# miniascape: undefined=lax #}");
    assert!(wrong.message.contains("`undefined=lenient`"), "{wrong:?}");
}

#[test]
fn python_2_names_of_dictionary_methods_are_there() {
    let templates = Templates::new(Vec::new());
    let text = "{% for k, v in d.iteritems() %}{{ k }}={{ v }} {% endfor %}\
                {{ d.itervalues()|list }} {{ d.iterkeys()|list }} {{ d.has_key('a') }}";
    let out = templates
        .render_text("t", text, &json!({"d": {"a": 1}}))
        .unwrap();
    assert_eq!(out, "a=1 [1] ['a'] True");
}

#[test]
fn a_context_is_not_changed_for_the_next_rendering() {
    let templates = Templates::new(Vec::new());
    let context = json!({"l": [1]});
    for _ in 0..2 {
        let text = "{% do l.append(2) %}{{ l }}";
        let out = templates.render_text("t", text, &context).unwrap();
        assert_eq!(out, "[1, 2]");
    }
}

#[test]
fn a_labs_own_template_comes_first_and_xml_is_escaped() {
    let directory = directory(&[
        ("libvirt/pool.xml.j2", "<pool n='{{ n }}'/>"),
        ("mine/pool.xml.j2", "<pool n='{{ n }}'/>"),
    ]);
    let templates = templates(&directory);
    let render = |name| templates.render(name, &vars(r#"{"n": "a'<b/>"}"#)).unwrap();
    assert_eq!(
        render("libvirt/pool.xml.j2"),
        "<pool n='a&#39;&lt;b/&gt;'/>"
    );
    assert_eq!(render("mine/pool.xml.j2"), "<pool n='a'<b/>'/>");
}

#[test]
fn no_template_takes_for_ever_or_all_memory() {
    let directory = directory(&[
        ("itself.j2", "{% include 'itself.j2' %}"),
        ("child.j2", "{% extends 'child.j2' %}"),
    ]);
    let mut templates = templates(&directory);
    // What a loop without end costs is not what is tested.
    templates.environment.set_fuel(Some(200_000));
    for (text, expected) in [
        ("{% for i in range(10**12) %}{% endfor %}", "was stopped"),
        (
            "{% set l = [1] %}{% for x in l %}{% do l.append(x) %}{% endfor %}",
            "was stopped",
        ),
        ("{% include 'itself.j2' %}", "without end"),
        ("{% extends 'child.j2' %}", "cycle in template inheritance"),
        (
            "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
            "without end",
        ),
        ("{{ 'a' * 10**9 }}", "longer than 64 MiB"),
        ("{{ [0] * 10**9 }}", "longer than 8388608 items"),
        ("{{ range(10**9)|list }}", "longer than 8388608 items"),
        ("{{ range(10**9)|sum }}", "longer than 8388608 items"),
        ("{{ 'a'.ljust(10**9) }}", "longer than 64 MiB"),
        ("{{ 'a'|center(10**9) }}", "longer than 64 MiB"),
        ("{{ 'a\nb'|indent(10**9) }}", "longer than 64 MiB"),
        (
            "{{ ('a' * 10000)|replace('', 'b' * 10000) }}",
            "longer than 64 MiB",
        ),
        ("{{ (['a'] * 4000)|join('b' * 10**6) }}", "was stopped"),
        (
            "{{ [1]|batch(10**12, 0)|list }}",
            "longer than 8388608 items",
        ),
        ("{{ [1]|slice(10**12)|list }}", "longer than 8388608 items"),
        ("{{ '%999999999d' % 1 }}", "at most 100000 characters wide"),
        ("{{ '%.999999999f' % 1 }}", "at most 1000 digits"),
        (
            "{{ '{:>999999999}'.format(1) }}",
            "at most 100000 characters wide",
        ),
        ("{{ 10 ** 100 }}", "too large a number"),
        (
            "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
            "was stopped",
        ),
        (
            "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l }}",
            "too large or nested too deeply",
        ),
        (
            "{% set n = namespace(t=()) %}{% for i in range(1000) %}{% set n.t = (n.t,) %}{% endfor %}",
            "nested too deeply",
        ),
        (
            "{% set n = namespace(l=[]) %}{% for i in range(1000) %}{% set n.l = [n.l] %}{% endfor %}{{ n.l }}",
            "too large or nested too deeply",
        ),
        (
            "{% set l = [] %}{% do l.append(l) %}{{ l }}",
            "nested too deeply",
        ),
        (
            "{% set l = [] %}{% do l.append(l) %}{{ l|tojson }}",
            "nested too deeply",
        ),
        (
            "{% set l = [] %}{% do l.append(l) %}{{ l|pprint }}",
            "nested too deeply",
        ),
        (
            "{% for i in [1] %}{{ loop.cycle() }}{% endfor %}",
            "the values to choose from",
        ),
    ] {
        let error = templates.render_text("t", text, &json!({})).unwrap_err();
        let all = format!("{error} {:?}", error.hint);
        assert!(all.contains(expected), "{text}: {all}");
    }
    // What holds itself, or the same thing many times over, neither hangs nor overflows the stack.
    let nested = |what: &str| {
        format!(
            "{{% set n = namespace(x=[]) %}}{{% for i in range(400) %}}{{% set n.x = {what} %}}{{% endfor %}}"
        )
    };
    for text in [
        "{% set l = [] %}{% do l.append(l) %}{{ l == [l] }}{{ [l] in l }}".to_owned(),
        "{% set n = namespace() %}{% set n.n = n %}{{ n is defined }}".to_owned(),
        nested("[n.x, n.x]") + "{{ n.x == n.x[:] }}",
        nested("namespace(a=n.x)"),
        nested("[n.x]|select"),
        nested("cycler(n.x, 1)"),
        nested("joiner(n.x)"),
        nested("{'a': n.x}.items()"),
    ] {
        let rendered = templates.render_text("t", &text, &json!({}));
        assert!(rendered.is_ok(), "{text}: {rendered:?}");
    }
    for text in [
        "{% set n = namespace() %}{% set n.n = n %}{{ n }}".to_owned(),
        nested("(n.x, n.x)"),
        nested("{'a': n.x}.popitem()"),
        nested("([{'a': n.x}]|groupby('a')|first)"),
        nested("({'a': n.x}|dictsort|first)"),
        nested("({'a': n.x}.items()|list|first)") + "{{ n.x }}",
        nested("[n.x, n.x]") + "{{ n.x|pprint }}",
        nested("[n.x, n.x]") + "{{ n.x|tojson }}",
    ] {
        let error = templates.render_text("t", &text, &json!({})).unwrap_err();
        let refused = error.message.contains("too") || error.message.contains("no order");
        assert!(refused, "{text}: {error:?}");
    }
}

#[test]
fn nesting_in_the_text_of_a_template_is_bounded() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{1: ", "}"),
        ("-(", ")"),
        ("f(", ")"),
    ] {
        let deep =
            |count: usize| format!("{{{{ {}1{} }}}}", open.repeat(count), close.repeat(count));
        let templates = Templates::new(Vec::new());
        let rendered = templates.render_text("t", &deep(35), &json!({}));
        let fails = open == "f(";
        assert_eq!(rendered.is_err(), fails, "{rendered:?}");
        let error = templates
            .render_text("t", &deep(10_000), &json!({}))
            .unwrap_err();
        assert!(error.message.contains("nested too deeply"), "{error:?}");
    }
    let blocks = "{% if true %}".repeat(10_000) + &"{% endif %}".repeat(10_000);
    let error = refused(&blocks);
    assert!(error.message.contains("recursion"), "{error:?}");
}

#[test]
fn templates_have_another_print_when_a_file_changes() {
    let directory = tempfile::tempdir().unwrap();
    let print = || Templates::new(vec![directory.path().to_owned()]).print();
    let settle = || std::thread::sleep(crate::stamp::TICK * 2);
    let empty = print();
    assert!(empty.is_some());
    assert_eq!(print(), empty);
    let file = directory.path().join("libvirt/domain.xml.j2");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "one").unwrap();
    assert_eq!(print(), None, "it may be changed again at the same time");
    settle();
    let one = print();
    assert_ne!(one, empty);
    assert_eq!(print(), one);
    std::fs::write(&file, "two").unwrap();
    settle();
    assert_ne!(print(), one);
    let lenient = Templates::new(vec![directory.path().to_owned()]).undefined(Undefined::Lenient);
    assert_ne!(lenient.print(), print());
}

#[test]
fn it_is_known_when_a_file_from_elsewhere_was_taken_in() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = directory.path().join("elsewhere.j2");
    std::fs::write(&elsewhere, "x").unwrap();
    let templates = Templates::new(Vec::new());
    let text = format!("{{% include '{}' %}}", elsewhere.display());
    assert!(!templates.reads_elsewhere());
    assert_eq!(templates.render_text("t", &text, &()).unwrap(), "x");
    assert!(templates.reads_elsewhere());
}
