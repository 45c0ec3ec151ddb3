//! Templates as the rest of the program uses them.

mod limits;
mod quote;
mod rewrite;
mod search;
mod value;

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
    let out = render_file(
        &path,
        text,
        &vars(r#"{"a": "<1>"}"#),
        &Confined::to([directory.path()]),
    )
    .unwrap();
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
    let confined = Confined::to([path.path(), site.path()]);
    let templates = templates(&path).confined(confined);
    let main = site.path().join("site/main.j2");
    let out = templates.render_file(&main, &json!({"x": 1})).unwrap();
    assert_eq!(out, "near shared up 1");
    let error = templates.render_file(&main, &json!({})).unwrap_err();
    assert!(!error.template.contains(".."), "{error:?}");
    assert_eq!(error.source_line.as_deref(), Some("up {{ x }}"));
    assert!(error.message.contains("main.j2:1"), "{error:?}");
}

#[test]
fn errors_name_template_line_and_the_missing_name() {
    let text = "one\n{{ memroy }}\n";
    let error = render_file(
        Path::new("lab.yaml.j2"),
        text,
        &vars(r#"{"memory": 1}"#),
        &Confined::default(),
    );
    let error = error.unwrap_err();
    assert_eq!(error.template, "lab.yaml.j2");
    assert_eq!(error.line, Some(2));
    assert_eq!(error.source_line.as_deref(), Some("{{ memroy }}"));
    assert_eq!(error.message, "`memroy` is not set");
    assert_eq!(error.hint.as_deref(), Some("did you mean `memory`?"));
    let error = render_file(
        Path::new("lab.yaml.j2"),
        "{{ size }}",
        &vars("{}"),
        &Confined::default(),
    )
    .unwrap_err();
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
            "did you mean `name`? it has `name`, `hostname` and `disks`",
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
            "`n`: number is not iterable",
            "",
        ),
        (
            "{{ guest.name.uper() }}",
            "a string has no method `uper`; did you mean `upper`?",
            "",
        ),
        (
            "{% do (guests + [1]).append(2) %}",
            "iterator has no method named append",
            "`|list` makes a list that can change",
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
            "tried to use + operator on unsupported types string and number",
            "`~` joins anything as text",
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
fn the_file_that_is_rendered_decides_what_becomes_of_undefined_values() {
    let directory = directory(&[
        (
            "lenient.j2",
            "{# miniascape: undefined=lenient -#}\n[{{ nope }}{% include 'strict.j2' %}]{% macro m(a) %}{{ a.b }}{% endmacro %}",
        ),
        (
            "strict.j2",
            "{#- miniascape: undefined=strict -#}{{ nope }}",
        ),
        ("plain.j2", "[{{ nope }}]"),
        ("lax.j2", "{# miniascape: undefined=lax #}"),
    ]);
    let is_missing = |result: Result<String, TemplateError>| {
        let message = result.unwrap_err().message;
        assert_eq!(message.split(" (").next(), Some("`nope` is not set"));
    };
    let (strict, lenient) = (Undefined::Strict, Undefined::Lenient);
    for undefined in [strict, lenient] {
        let templates = templates(&directory).undefined(undefined);
        let named = |name: &str| templates.render(name, &json!({"d": {}}));
        let text = |text: &str| templates.render_text("t", text, &json!({"d": {}}));
        // By its name or as a text, and for what it takes in; macros as well.
        for _ in 0..2 {
            assert_eq!(named("lenient.j2").unwrap(), "[]");
            is_missing(named("strict.j2"));
        }
        let imports = "{% import 'lenient.j2' as l %}[{{ l.m(d) }}]";
        let asks = "{# miniascape: undefined=lenient #}";
        assert_eq!(text(&format!("{asks}{imports}")).unwrap(), "[]");
        let asks = "{# miniascape: undefined=strict #}";
        is_missing(text(&format!("{asks}{{% include 'plain.j2' %}}")));
        match undefined {
            Undefined::Strict => is_missing(text("{% include 'lenient.j2' %}")),
            Undefined::Lenient => assert_eq!(text("{% include 'plain.j2' %}").unwrap(), "[]"),
        }
        is_missing(text("{{ nope.x }}"));
        for wrong in [named("lax.j2"), text("{% include 'lax.j2' %}")] {
            let error = wrong.unwrap_err();
            assert!(error.message.contains("`undefined=lenient`"), "{error:?}");
            assert_eq!((error.template.as_str(), error.line), ("lax.j2", Some(1)));
        }
    }
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
fn templates_have_another_print_when_a_file_changes() {
    let directory = tempfile::tempdir().unwrap();
    let print = || Templates::new(vec![directory.path().to_owned()]).fingerprint();
    let settle = || std::thread::sleep(crate::file::stamp::TICK * 2);
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
    assert_ne!(lenient.fingerprint(), print());
}
