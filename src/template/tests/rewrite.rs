//! The parts by themselves: `rewrite`.

use crate::template::rewrite::*;

#[test]
fn little_is_rewritten() {
    for (source, expected) in [
        ("a {{ b }} {# {{ [1] #} c", "a {{ b }} {# {{ [1] #} c"),
        (
            "{% raw %}{{ [1] }}{% endraw %}",
            "{% raw %}{{ [1] }}{% endraw %}",
        ),
        ("{{ a[1](b)[c.d:] }}", "{{ a[1](b)[c.d:] }}"),
        ("{{- '%s' % a -}}", "{{- ('%s' )|py__percent( a) -}}"),
        (
            "{{ 1 + a * b|c % d.e % -f ~ g }}",
            "{{ 1 + ((a * b|c )|py__percent( d.e ))|py__percent( -f) ~ g }}",
        ),
        (
            "{% if not a % b ** c is odd and '%}' %}",
            "{% if not (a )|py__percent( b ** c is odd) and '%}' %}",
        ),
        (
            "{% set a, b = [{}, {c: [d]}] %}",
            "{% set a, b = py__list([py__dict([]), py__dict([c, py__list([d])])]) %}",
        ),
        (
            "{% for a, b in [c] if x %}",
            "{% for a, b in py__list([c]) if x %}",
        ),
        (
            "{% set n.a = b if c else d %}",
            "{% set n.a = (b if c else d)|py__kept %}",
        ),
        (
            "{% include 'a' ignore missing %}",
            "{% with %}{% include 'a' ignore missing %}{% endwith %}",
        ),
        (
            "{% extends '%s' % a %}",
            "{% extends py__parent(('%s' )|py__percent( a)) %}",
        ),
        ("{{ a % }}", "{{ (a )|py__percent( ) }}"),
        ("{{ 'a }} {{ [1] }}", "{{ 'a }} {{ [1] }}"),
        ("{{ (a] }} {{ '}}", "{{ (a] }} {{ '}}"),
    ] {
        let without_blanks = |text: &str| text.replace(' ', "");
        let rewritten = rewrite(source).unwrap();
        assert_eq!(without_blanks(&rewritten), without_blanks(expected));
    }
}

#[test]
fn what_has_no_end_is_named_with_its_line() {
    for (text, line, what) in [
        ("\n{{ 'a", 2, "`{{` has no end `}}`"),
        ("{% if (1", 1, "`{%` has no end `%}`"),
        ("\n\n{# x", 3, "`{#` has no end `#}`"),
    ] {
        let error = rewrite(text).unwrap_err();
        assert_eq!(error.0, line, "{text}");
        assert!(error.1.contains(what), "{error:?}");
    }
}

#[test]
fn names_of_templates_are_those_that_are_set() {
    let text = "{% set a, b = c %}{# {% set d = 1 %} #}{% for e in f %}{{ g }}{% endfor %}{% macro h(i) %}";
    assert_eq!(names(text), ["a", "b", "e", "h", "i"]);
}
