//! What a template may take: time, memory, stack, and files.

use std::os::unix::fs::symlink;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::*;

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
        (
            "{% for i in range(10**12) %}{% endfor %}",
            "too many elements",
        ),
        (
            "{% for i in range(90000) %}{% for i in range(9) %}{% endfor %}{% endfor %}",
            "was stopped",
        ),
        (
            "{% set l = [1] %}{% for x in l %}{% do l.append(x) %}{% endfor %}",
            "was stopped",
        ),
        ("{% include 'itself.j2' %}", "without end"),
        ("{% extends 'child.j2' %}", "without end"),
        (
            "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
            "without end",
        ),
        ("{{ 'a' * 10**9 }}", "text get too long"),
        ("{{ [0] * 10**9 }}", "too large"),
        ("{{ range(10**9)|list }}", "too many elements"),
        ("{{ range(10**9)|sum }}", "too many elements"),
        ("{{ 'a'.ljust(10**9) }}", "longer than 64 MiB"),
        ("{{ 'a'|center(10**9) }}", "longer than 64 MiB"),
        ("{{ 'a\nb'|indent(10**9) }}", "longer than 64 MiB"),
        (
            "{{ ('a' * 10000)|replace('', 'b' * 10000) }}",
            "longer than 64 MiB",
        ),
        ("{{ (['a'] * 4000)|join('b' * 10**6) }}", "was stopped"),
        ("{{ [1]|batch(10**12, 0)|list }}", "was stopped"),
        ("{{ [1]|slice(10**12)|list }}", "was stopped"),
        ("{{ '%999999999d' % 1 }}", "at most 10000 characters wide"),
        ("{{ '%.999999999f' % 1 }}", "at most 10000 characters wide"),
        (
            "{{ '{:>999999999}'.format(1) }}",
            "at most 10000 characters wide",
        ),
        ("{{ 10 ** 100 }}", "unable to calculate"),
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
        (
            "{% for i in [1] %}{{ loop.cycle(*[]) }}{% endfor %}",
            "the values to choose from",
        ),
        (
            "{{ ([1, 'a', none, 2.5, [1], {}, (1, 'b')] * 20)|sort }}",
            "no order",
        ),
        (
            "{% set l = ([1, 'a', none, 2.5, [1], {}, (1, 'b')] * 20)|list %}{% do l.sort() %}",
            "no order",
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
        "{% set n = namespace() %}{% set l = [n] %}{% set n.l = l %}{{ n is defined }}".to_owned(),
        nested("[n.x, n.x]") + "{{ n.x == n.x[:] }}",
        nested("[n.x]|select"),
        nested("([{'a': n.x}]|groupby('a')|first)"),
        nested("(n.x + [1])"),
        nested("(n.x[:])"),
        nested("{'a': n.x}.items()"),
    ] {
        let rendered = templates.render_text("t", &text, &json!({}));
        assert!(rendered.is_ok(), "{text}: {rendered:?}");
    }
    for text in [
        "{% set n = namespace() %}{% set n.n = n %}{{ n }}".to_owned(),
        "{% set n = namespace() %}{% set n.a, x = n, 1 %}{{ '' ~ n }}".to_owned(),
        "{% set n = namespace() %}{% set m = namespace(n=n) %}{% set n.m = m %}{{ n }}".to_owned(),
        "{% set n = namespace() %}{% set l = [n] %}{% set n.l = l %}{{ '' ~ n }}".to_owned(),
        "{% set l = [] %}{% do l.append(l) %}{{ '' ~ l }}{{ l|join }}".to_owned(),
        nested("(n.x, n.x)"),
        nested("namespace(a=n.x)"),
        nested("cycler(n.x, 1)").replace("[]", "cycler(1)"),
        nested("joiner(n.x)"),
        nested("{'a': n.x}.popitem()"),
        nested("({'a': n.x}|dictsort|first)"),
        nested("({'a': n.x}.items()|list|first)") + "{{ n.x }}",
        nested("[n.x, n.x]") + "{{ n.x|pprint }}",
        nested("[n.x, n.x]") + "{{ n.x|tojson }}",
    ] {
        let error = templates.render_text("t", &text, &json!({})).unwrap_err();
        let says = |text| error.message.contains(text);
        let refused = says("too ")
            || says("is not kept")
            || says("`cycler` does not")
            || says("`joiner` takes");
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
    let blocks = |count: usize| "{% if true %}".repeat(count) + &"{% endif %}".repeat(count);
    let error = refused(&blocks(10_000));
    assert!(error.message.contains("blocks"), "{error:?}");
    let error = refused(&blocks(500));
    assert!(error.message.contains("nested too deeply"), "{error:?}");
}

#[test]
fn what_stands_in_a_row_works_or_is_refused_with_its_line() {
    let row = |operand: &str, operator: &str, count: usize| {
        format!("\n{{{{ {} }}}}", vec![operand; count].join(operator))
    };
    let elifs = |count: usize| {
        format!(
            "\n{{% if 0 %}}{}{{% else %}}x{{% endif %}}",
            "{% elif 0 %}".repeat(count)
        )
    };
    for operator in [
        " and ",
        " or ",
        " == ",
        " < ",
        " in ",
        " not in ",
        " + ",
        " - ",
        " ~ ",
        " * ",
        " / ",
        " // ",
        " % ",
        "**",
        " if ",
        " if 0 else ",
        "|string|",
        " and 1 or ",
        " is string or ",
    ] {
        let error = refused(&row("abs", operator, 21_000));
        assert_eq!(error.line, Some(2), "{operator}");
        assert!(
            error.message.contains("more than 1000") || error.message.contains("too deeply"),
            "{operator}: {error:?}"
        );
    }
    for (before, between, after) in [
        ("", ".a", ""),
        ("", "[0]", ""),
        ("", "[:]", ""),
        ("", "(1)", ""),
        ("", ".upper()", ""),
        ("", "|upper", ""),
        ("", "-", "1"),
        ("", "(", ""),
        ("f(", "[", ""),
        ("", "not -", "1"),
    ] {
        let text = format!("{{{{ {before}x{}{after} }}}}", between.repeat(30_000));
        let text = if after.is_empty() {
            text
        } else {
            text.replacen('x', "", 1)
        };
        refused(&text);
    }
    for target in [
        "set ((a)) = 1",
        "for ((a)) in [1]",
        "with ((a)) = 1",
        "set [[a]] = 1",
    ] {
        let many = |text: &str, c: char| text.replace(c, &c.to_string().repeat(10_000));
        let deep = "([)]"
            .chars()
            .fold(target.to_owned(), |text, c| many(&text, c));
        let error = refused(&format!("{{% {deep} %}}"));
        assert!(error.message.contains("too deeply"), "{error:?}");
    }
    let error = refused(&elifs(12_000));
    assert!(error.message.contains("`elif`"), "{error:?}");
    // As many as may be.
    for text in [
        elifs(999),
        row("1", " and ", 999),
        row("0", " or ", 999),
        row("1", " == ", 900),
        row("'a'", " ~ ", 900),
        row("1", " + ", 900),
        format!("{{{{ 'x'{} }}}}", "|upper".repeat(900)),
    ] {
        let rendered = Templates::new(Vec::new()).render_text("t", &text, &json!({}));
        assert!(rendered.is_ok(), "{rendered:?}");
    }
}

/// Sixteen times as much may take sixteen times as long and a good deal more, but not 256 times.
fn grows_with_its_length(what: &str, work: impl Fn(usize)) {
    // The processor's time of this thread: how many others want the processor makes no difference to it.
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(
            time.tv_sec.unsigned_abs(),
            time.tv_nsec.unsigned_abs() as u32,
        )
    };
    let time = |count: usize| {
        let once = || {
            let begin = now();
            work(count);
            now() - begin
        };
        (0..3).map(|_| once()).min().unwrap()
    };
    let (few, many) = (time(2000), time(32_000));
    assert!(many < few * 64, "{what}: {few:?} and {many:?}");
}

#[test]
fn a_template_takes_as_long_as_it_is() {
    for (begin, piece, end) in [
        ("", "{{ a }}", ""),
        ("", "{% set x = a %}", ""),
        ("", "{% if a %}b{% else %}c{% endif %}", ""),
        ("", "{{ '%s' % [a, {'b': a}] }}", ""),
        ("", "{# a #}{{ a }}", ""),
        ("", "{% raw %}{{{% endraw %}", ""),
        ("", "a { b } $ % # { ", "{{ a }}"),
        ("{{ [", "a + 1 % 2, ", "]|length }}"),
        ("{{ '", "\\' {{ %} ", "'|length }}"),
        ("{% macro m() %}", "{{ a }}", "{% endmacro %}{{ m() }}"),
        ("{{ a ", "                ", "}}"),
        ("", "{% raw %}", ""),
        ("", "{{ a ", ""),
        ("", "{# ", ""),
        ("{{ ", "[", ""),
    ] {
        let text = |count: usize| format!("{begin}{}{end}", piece.repeat(count));
        grows_with_its_length(piece, |count| {
            drop(crate::template::rewrite::rewrite(&text(count)))
        });
    }
    let templates = Templates::new(Vec::new());
    for piece in ["{{ a }}", "{% set x = a %}", "{% if a %}b{% endif %}"] {
        grows_with_its_length(piece, |count| {
            let rendered = templates.render_text("t", &piece.repeat(count), &json!({"a": 1}));
            assert!(rendered.is_ok(), "{piece}: {rendered:?}");
        });
    }
}

#[test]
fn the_stack_is_large_enough_for_all_limits_at_once() {
    let elifs = "{% if 0 %}".to_owned() + &"{% elif 0 %}".repeat(990) + "{% endif %}";
    let nested = "{% for i in [1] %}".repeat(100)
        + "{{ [1,2]|map('string')|join }}"
        + &"{% endfor %}".repeat(100);
    let long = format!("{{{{ 1{}{} }}}}", " and 1".repeat(990), " and (1".repeat(0));
    let directory = directory(&[
        ("elifs.j2", &elifs),
        ("nested.j2", &nested),
        ("long.j2", &long),
    ]);
    let templates = templates(&directory);
    // Each goes as deep as it may, and takes in the deepest of templates on its way.
    for down in [
        "{% block a %}{% include names ignore missing %}{{ self.a() }}{% endblock %}",
        "{% macro m() %}{% include names ignore missing %}{{ m()|upper }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% filter upper %}{% call c() %}{{ m() }}{% endcall %}{% endfilter %}{% endmacro %}{% macro c() %}{{ caller() }}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{% include names ignore missing %}{{ loop([1]) }}{% endfor %}",
        "{% macro m() %}{{ [1]|map('string')|map('upper')|list }}{% set x %}{{ [m()]|join }}{% endset %}{{ x }}{% endmacro %}{{ m() }}",
    ] {
        for name in ["elifs.j2", "nested.j2", "long.j2"] {
            let rendered = templates.render_text("t", down, &json!({"names": [name]}));
            let error = rendered.unwrap_err();
            assert!(error.message.contains("without end"), "{down}: {error:?}");
        }
    }
}

#[test]
fn templates_that_ask_for_each_other_in_a_circle_are_refused() {
    for (files, expected) in [
        (
            &[
                ("a.j2", "{% extends 'b.j2' %}"),
                ("b.j2", "{% extends 'a.j2' %}"),
            ][..],
            "without end",
        ),
        (&[("a.j2", "{% extends './a.j2' %}")][..], "without end"),
        (&[("a.j2", "{% extends '../in/a.j2' %}")][..], "without end"),
        (
            &[
                ("a.j2", "{% include 'b.j2' %}"),
                ("b.j2", "{% extends 'c.j2' %}"),
                ("c.j2", "{% import 'b.j2' as b %}"),
            ][..],
            "without end",
        ),
        (
            &[
                ("a.j2", "{% import 'b.j2' as b %}"),
                ("b.j2", "{% from 'a.j2' import x %}"),
            ][..],
            "without end",
        ),
        (
            &[
                (
                    "a.j2",
                    "{% extends 'b.j2' %}{% block x %}{% include 'a.j2' %}{% endblock %}",
                ),
                ("b.j2", "{% block x %}{% endblock %}"),
            ][..],
            "without end",
        ),
        (
            &[
                ("a.j2", "{% import 'b.j2' as b %}{{ b.m() }}"),
                (
                    "b.j2",
                    "{% macro m() %}{% import 'b.j2' as b %}{{ b.m() }}{% endmacro %}",
                ),
            ][..],
            "without end",
        ),
    ] {
        // By their names in the search path, and as files beside each other.
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (format!("in/{name}"), *text))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (name.as_str(), *text))
            .collect();
        let directory = directory(&files);
        let path = directory.path().join("in/a.j2");
        for name in ["in/a.j2", path.to_str().unwrap()] {
            let error = templates(&directory).render(name, &json!({})).unwrap_err();
            assert!(error.message.contains(expected), "{name}: {error:?}");
            assert_eq!(error.line, Some(1));
        }
    }
    // One template may be the parent of many.
    let directory = directory(&[
        ("p.j2", "<{% block x %}{% endblock %}>"),
        (
            "a.j2",
            "{% extends 'p.j2' %}{% block x %}{% for i in 'ab' %}{% include 'c.j2' %}{% endfor %}{% endblock %}",
        ),
        (
            "c.j2",
            "{% extends 'p.j2' %}{% block x %}{{ i }}{% endblock %}",
        ),
    ]);
    let rendered = templates(&directory).render("a.j2", &json!({})).unwrap();
    assert_eq!(rendered, "<<a><b>>");
}

#[test]
fn files_are_read_below_the_directories_that_they_are_confined_to() {
    let all = directory(&[
        (
            "lab/templates/t.j2",
            "{% include '../../secret' ignore missing %}",
        ),
        ("lab/in.j2", "in"),
        ("secret", "root:x"),
    ]);
    let path = |name: &str| all.path().join(name);
    symlink("../secret", path("lab/link")).unwrap();
    symlink("../../secret", path("lab/templates/link")).unwrap();
    symlink("/dev/zero", path("lab/zero")).unwrap();
    let templates = |more: &[PathBuf]| {
        let mut confined = Confined::to([path("lab")]);
        confined.extend(more);
        Templates::new(vec![path("lab/templates")]).confined(confined)
    };
    let secret = path("secret").display().to_string();
    let one = path("lab/one.j2");
    for name in [
        &secret,
        "link",
        "../secret",
        "templates/../../secret",
        "file:../secret",
        &format!("file:{secret}"),
        &format!("\u{2}file:{secret}"),
        "templates/link",
        "zero",
    ] {
        for text in [
            format!("{{% include '{name}' %}}"),
            format!("{{% include ['none', '{name}'] ignore missing %}}"),
            format!("{{% extends '{name}' %}}"),
            format!("{{% import '{name}' as a %}}"),
            format!("{{% from '{name}' import a %}}"),
            format!("{{% from '{name}' import a with context %}}"),
        ] {
            std::fs::write(&one, &text).unwrap();
            let rendered = templates(&[]).render_file(&one, &json!({}));
            let shown = format!("{rendered:?}");
            assert!(!shown.contains("root:x"), "{text}: {shown}");
            if !text.contains("ignore missing") {
                let error = rendered.unwrap_err();
                let says = ["outside", "no template"]
                    .iter()
                    .any(|says| error.message.contains(says));
                assert!(says, "{text}: {error:?}");
            }
        }
    }
    let read = |name: &str, more: &[PathBuf]| templates(more).render_file(&path(name), &json!({}));
    let error = read("secret", &[]).unwrap_err();
    assert!(
        error.message.contains("outside of the lab's directory"),
        "{error:?}"
    );
    assert!(error.hint.unwrap().contains("--include-path"));
    assert_eq!(read("lab/in.j2", &[]).unwrap(), "in");
    assert_eq!(read("secret", &[all.path().to_owned()]).unwrap(), "root:x");
    assert_eq!(templates(&[]).render("t.j2", &json!({})).unwrap(), "");
}

#[test]
fn it_is_known_when_a_file_from_elsewhere_was_taken_in() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = directory.path().join("elsewhere.j2");
    std::fs::write(&elsewhere, "x").unwrap();
    let confined = Confined::to([directory.path()]);
    let templates = Templates::new(Vec::new()).confined(confined);
    let text = format!("{{% include '{}' %}}", elsewhere.display());
    assert!(!templates.reads_elsewhere());
    assert_eq!(templates.render_text("t", &text, &()).unwrap(), "x");
    assert!(templates.reads_elsewhere());
}
