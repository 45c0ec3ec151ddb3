//! A plan as text, for 80 columns.
//!
//! Addresses and names of attributes stand at the left, summaries and values in one column beside them, classes and
//! remarks in one column at the right. What has no room beside goes below: nothing is cut. Only a part that is longer
//! than a line by itself makes a line too long.

use std::borrow::Cow;
use std::fmt::Write as _;

use similar::TextDiff;

use super::plain::{one_line, plain};
use super::{Color, Role, WIDTH};
use crate::address::{Address, Kind};
use crate::plan::{Action, AttributeChange, Change, Disruption, Plan, PowerChange, Reason, Said};
use crate::units::{apart, size};
use crate::xml::document::Document;
use crate::xml::merge::Cause;

/// How far addresses stand from the left.
const HEAD_INDENT: usize = 4;
/// How far names of attributes stand from the left.
pub(super) const NAME_INDENT: usize = 6;
/// The least distance between two columns.
pub(super) const GAP: usize = 2;
/// How far summaries and values stand from the left at least.
pub(super) const VALUE_COLUMN: usize = 25;
/// The farthest that a long name moves them.
const LAST_VALUE_COLUMN: usize = 36;
/// How far disruption classes stand from the left.
const CLASS_COLUMN: usize = 61;

/// How a plan is shown.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// With or without colour.
    pub color: Color,
    /// With or without the XML.
    pub diff: Diff,
}

/// Whether the XML of each change is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diff {
    /// Only the attributes.
    Hidden,
    /// As unified hunks under each change.
    Shown,
}

/// The whole plan. One line where there is nothing to do.
pub fn text(plan: &Plan, options: &Options) -> String {
    if plan.is_empty() {
        // With something in the way, "all as defined" would be no truth.
        return match plan.problems.has_errors() {
            true => String::new(),
            false => format!("{}\n{}", totals(plan), pending(plan, options.color)),
        };
    }
    let mut out = String::new();
    let unchanged = plan.changes.values().filter(|c| !c.is_shown()).count();
    let _ = writeln!(
        out,
        "lab {} on {}: {}, {unchanged} unchanged\n",
        options.color.paint(Role::Strong, &plan.lab),
        one_line(&plan.uri),
        count(plan.changes.len(), "resource"),
    );
    let shown: Vec<&Change> = plan.changes.values().filter(|c| c.is_shown()).collect();
    let column = value_column(&shown);
    for change in shown {
        write_change(&mut out, change, column, options);
    }
    let _ = writeln!(out, "\n{}", totals(plan));
    out + &pending(plan, options.color)
}

/// What is not in force yet: nothing to do, and good to know.
fn pending(plan: &Plan, color: Color) -> String {
    let (guests, volumes): (Vec<Told<'_>>, Vec<Told<'_>>) =
        told(plan, |change| &change.pending).partition(|(address, _)| address.kind == Kind::Guest);
    let made = |(_, pending): &Told<'_>| {
        let mut pending = pending.iter();
        pending.any(|attribute| attribute.disruption == Disruption::Recreate)
    };
    let (made, seeds): (Vec<Told<'_>>, Vec<Told<'_>>) = volumes.into_iter().partition(made);
    let foreign: Vec<Told<'_>> = told(plan, |change| &change.foreign).collect();
    let restart = "Pending restart, which `miniascape apply --restart-pending` makes:";
    let off = "Pending, and written by the first apply that finds the guest off:";
    let anew = "Pending until it is made anew, without its data, by `miniascape apply --replace`:";
    let others = "Changed by others since the last apply, and left as it is:";
    waiting(restart, &guests, color)
        + &waiting(off, &seeds, color)
        + &waiting(anew, &made, color)
        + &waiting(others, &foreign, color)
        + &remarked(plan, color)
}

/// What is said of resources for which there is nothing to do.
fn remarked(plan: &Plan, color: Color) -> String {
    let quiet = plan.changes.values().filter(|change| !change.is_shown());
    let mut quiet = quiet.filter(|change| !change.notes.is_empty()).peekable();
    let mut out = match quiet.peek() {
        Some(_) => String::from("\nKept as it is:\n"),
        None => String::new(),
    };
    for change in quiet {
        let _ = writeln!(out, "{:HEAD_INDENT$}{}", "", change.address);
        for note in &change.notes {
            write_note(&mut out, note, color);
        }
    }
    out
}

/// Attributes of a resource.
type Told<'a> = (&'a Address, &'a [AttributeChange]);

/// The resources that have such attributes, with them.
fn told<'a>(
    plan: &'a Plan,
    of: impl Fn(&'a Change) -> &'a Vec<AttributeChange> + 'a,
) -> impl Iterator<Item = Told<'a>> {
    let changes = plan.changes.values();
    let all = changes.map(move |change| (&change.address, of(change).as_slice()));
    all.filter(|(_, attributes)| !attributes.is_empty())
}

/// What is told beside what is done.
fn waiting(heading: &str, resources: &[Told<'_>], color: Color) -> String {
    if resources.is_empty() {
        return String::new();
    }
    let names = resources.iter().flat_map(|(_, attributes)| *attributes);
    let column = names
        .map(|attribute| NAME_INDENT + one_line(&attribute.name).chars().count() + GAP)
        .filter(|column| *column <= LAST_VALUE_COLUMN)
        .max()
        .unwrap_or_default()
        .max(VALUE_COLUMN);
    let mut out = format!("\n{heading}\n");
    for (address, attributes) in resources {
        let _ = writeln!(out, "{:HEAD_INDENT$}{address}", "");
        // All of it is the same class, which the heading says.
        let plain = Change::unchanged((*address).clone(), None);
        for attribute in *attributes {
            write_attribute(&mut out, attribute, column, &plain, color);
        }
    }
    out
}

/// The column that summaries and values stand in. It makes room for all names but the very long, which would push the
/// rest off to the right.
fn value_column(shown: &[&Change]) -> usize {
    let heads = shown
        .iter()
        .filter(|change| !change.summary.is_empty())
        .map(|change| HEAD_INDENT + change.address.to_string().chars().count());
    let names = shown
        .iter()
        .filter(|change| tells_attributes(change.action))
        .flat_map(|change| &change.attributes)
        .map(|attribute| NAME_INDENT + one_line(&attribute.name).chars().count());
    heads
        .chain(names)
        .map(|end| end + GAP)
        .filter(|column| *column <= LAST_VALUE_COLUMN)
        .max()
        .unwrap_or_default()
        .max(VALUE_COLUMN)
}

/// Whether attributes are shown: a creation or deletion is told by its summary.
fn tells_attributes(action: Action) -> bool {
    match action {
        Action::Create | Action::Delete => false,
        Action::None | Action::Update | Action::Replace | Action::Forget => true,
    }
}

fn write_change(out: &mut String, change: &Change, column: usize, options: &Options) {
    let (symbol, role) = symbol(change.action);
    let color = options.color;
    let address = change.address.to_string();
    let tail = remarks(change);
    let mut line = Line::default();
    line.push(&format!("{symbol:>3}"), |text| color.paint(role, text));
    line.push(&format!(" {address}"), str::to_owned);
    let summary = &*one_line(&change.summary);
    let at = column.max(line.length + GAP);
    let tail_length = tail.chars().count();
    let needed = match tail_length {
        0 => 0,
        length => GAP + length,
    };
    // What does not fit beside the class stands below.
    let beside = summary.is_empty() || at + summary.chars().count() + needed <= WIDTH;
    if beside && !summary.is_empty() {
        line.pad_to(at);
        line.push(summary, str::to_owned);
    }
    if !tail.is_empty() {
        line.pad_to(remark_column(line.length, tail_length));
        line.push(&tail, |text| color.paint(Role::Quiet, text));
    }
    let _ = writeln!(out, "{}", line.text);
    if !beside {
        let _ = writeln!(out, "{:NAME_INDENT$}{summary}", "");
    }

    if tells_attributes(change.action) {
        for attribute in change.attributes.iter().chain(&power_attribute(change)) {
            write_attribute(out, attribute, column, change, color);
        }
    }
    for note in &change.notes {
        write_note(out, note, color);
    }
    if options.diff == Diff::Shown {
        write_diff(out, change, color);
    }
}

/// A line that knows how much of it is seen.
#[derive(Default)]
struct Line {
    text: String,
    length: usize,
}

impl Line {
    fn push(&mut self, text: &str, painted: impl Fn(&str) -> String) {
        self.length += text.chars().count();
        self.text.push_str(&painted(text));
    }

    fn pad_to(&mut self, column: usize) {
        let blanks = column.saturating_sub(self.length);
        self.push(&" ".repeat(blanks), str::to_owned);
    }
}

/// Where a remark begins: in the column of the classes, before it where it would not fit, never over what is there.
fn remark_column(line: usize, remark: usize) -> usize {
    CLASS_COLUMN
        .min(WIDTH.saturating_sub(remark))
        .max(line + GAP)
}

fn symbol(action: Action) -> (&'static str, Role) {
    match action {
        Action::None => (" ", Role::Quiet),
        Action::Create => ("+", Role::Added),
        Action::Update => ("~", Role::Changed),
        Action::Replace => ("-/+", Role::Removed),
        Action::Delete => ("-", Role::Removed),
        Action::Forget => ("x", Role::Quiet),
    }
}

/// What stands at the right: the class, what is lost, and why.
fn remarks(change: &Change) -> String {
    let class = change.disruption.map(|class| class.to_string());
    let lost = change.data_loss.map(|_| "data lost".to_owned());
    let forgotten = (change.action == Action::Forget).then(|| "already gone".to_owned());
    let stops = match (change.action, change.power) {
        (Action::Delete, Some(PowerChange::SwitchOff)) => Some("switched off".to_owned()),
        (Action::Delete, Some(PowerChange::Stop)) => Some("shut down".to_owned()),
        (_, _) => None,
    };
    let reason = change.reason.map(|reason| {
        let word = match reason {
            Reason::Orphan => "orphan",
            Reason::Missing => "missing",
            Reason::Drift => "drift",
            Reason::Both => "in part drift",
            Reason::Unfinished => "unfinished",
            Reason::Requested => "asked for",
        };
        format!("({word})")
    });
    let said: Vec<String> = [class, stops, lost, forgotten]
        .into_iter()
        .flatten()
        .collect();
    [said.join(", "), reason.unwrap_or_default()]
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The line about a guest's power. What restarts for its attributes' sake says so by its class.
fn power_attribute(change: &Change) -> Option<AttributeChange> {
    let (before, after, disruption) = match change.power? {
        PowerChange::Start => ("off", "running", Disruption::Live),
        PowerChange::Resume => ("paused", "running", Disruption::Live),
        PowerChange::Stop | PowerChange::SwitchOff => ("running", "off", Disruption::Restart),
        PowerChange::Restart if !change.attributes.is_empty() => return None,
        PowerChange::Restart => ("running", "off -> running", Disruption::Restart),
    };
    Some(AttributeChange::new("power", before, after, disruption))
}

pub(super) fn write_attribute(
    out: &mut String,
    attribute: &AttributeChange,
    column: usize,
    change: &Change,
    color: Color,
) {
    let both = (attribute.before.as_ref(), attribute.after.as_ref());
    let values: Vec<String> = match beside(both.0, both.1) {
        (Some(value), Some(_)) if both.0 == both.1 => vec![value],
        (Some(before), Some(after)) => vec![before, format!("-> {after}")],
        (None, Some(after)) => vec![format!("+ {after}")],
        (Some(before), None) => vec![format!("- {before}")],
        (None, None) => Vec::new(),
    };
    let mut line = Line::default();
    line.pad_to(NAME_INDENT);
    line.push(&one_line(&attribute.name), str::to_owned);
    let at = column.max(line.length + GAP);
    let fits = |at: usize, value: &str| at + value.chars().count() <= WIDTH;
    let values: Vec<Cow<'_, str>> = values.iter().map(|value| one_line(value)).collect();
    let joined = values.join(" ");
    let (at, values) = if fits(at, &joined) {
        (at, vec![Cow::Owned(joined)])
    } else if values.iter().all(|value| fits(at, value)) {
        (at, values)
    } else {
        end_line(out, &mut line);
        (NAME_INDENT + GAP, values)
    };
    let mut first = true;
    for value in values.iter().filter(|value| !value.is_empty()) {
        if !std::mem::take(&mut first) {
            end_line(out, &mut line);
        }
        line.pad_to(at);
        line.push(value, str::to_owned);
    }

    // The class of one attribute is said where the change as a whole costs more.
    let own = (Some(attribute.disruption) != change.disruption && change.action == Action::Update)
        .then(|| attribute.disruption.to_string());
    let remarks: Vec<String> = own
        .into_iter()
        .chain(attribute.note.as_ref().map(ToString::to_string))
        .chain(drift_of(attribute, change))
        .collect();
    if !remarks.is_empty() {
        let remark = format!("({})", one_line(&remarks.join(", ")));
        let length = remark.chars().count();
        if line.length + GAP + length > WIDTH {
            end_line(out, &mut line);
            line.pad_to(at.min(WIDTH.saturating_sub(length)));
        } else {
            line.pad_to(remark_column(line.length, length));
        }
        line.push(&remark, |text| color.paint(Role::Quiet, text));
    }
    end_line(out, &mut line);
}

/// Two values that are seen together, in the units that read best.
fn beside(one: Option<&Said>, other: Option<&Said>) -> (Option<String>, Option<String>) {
    let alone = |said: Option<&Said>| {
        said.map(|said| match said {
            Said::Text(text) => text.clone(),
            Said::Bytes(bytes) => size(*bytes),
        })
    };
    match (one, other) {
        (Some(Said::Bytes(one)), Some(Said::Bytes(other))) => {
            let (one, other) = apart(*one, *other);
            (Some(one), Some(other))
        }
        (_, _) => (alone(one), alone(other)),
    }
}

/// Who changed an attribute, where that is not the same for all of a change.
fn drift_of(attribute: &AttributeChange, change: &Change) -> Option<String> {
    if change.reason != Some(Reason::Both) {
        return None;
    }
    match (attribute.cause?, &attribute.last) {
        (Cause::Definition, _) => None,
        (Cause::Drift, _) => Some("drift".to_owned()),
        (Cause::Both, Some(last)) => {
            let (last, _) = beside(Some(last), attribute.before.as_ref());
            Some(format!(
                "drift from {}",
                one_line(&last.unwrap_or_default())
            ))
        }
        (Cause::Both, None) => Some("drift, too".to_owned()),
    }
}

/// A remark about the change as a whole, on as many lines as it takes.
fn write_note(out: &mut String, note: &str, color: Color) {
    let mut line = String::new();
    let mut lines = Vec::new();
    for word in note.split_whitespace() {
        let room = line.is_empty()
            || NAME_INDENT + line.chars().count() + 1 + word.chars().count() <= WIDTH;
        if !room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    for line in lines {
        let _ = writeln!(
            out,
            "{:NAME_INDENT$}{}",
            "",
            color.paint(Role::Quiet, one_line(&line))
        );
    }
}

fn end_line(out: &mut String, line: &mut Line) {
    let _ = writeln!(out, "{}", std::mem::take(line).text);
}

fn write_diff(out: &mut String, change: &Change, color: Color) {
    let xml = |document: &Option<Document>| {
        let tree = document.as_ref().map(Document::tree);
        tree.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let (before, after) = (xml(&change.before_xml), xml(&change.after_xml));
    let diff = TextDiff::from_lines(&before, &after);
    let hunks = diff.unified_diff().context_radius(3).to_string();
    for line in plain(&hunks).lines() {
        let role = match line.chars().next() {
            Some('+') => Some(Role::Added),
            Some('-') => Some(Role::Removed),
            Some('@') => Some(Role::Quiet),
            _ => None,
        };
        let line = match role {
            Some(role) => color.paint(role, line),
            None => line.to_owned(),
        };
        let _ = writeln!(out, "        {line}");
    }
}

/// How many of what, in one line where that fits.
pub fn totals(plan: &Plan) -> String {
    let totals = Totals::of(plan);
    if plan.is_empty() {
        let count = count(totals.unchanged, "resource");
        return format!("Nothing to do: {count}, all as defined.");
    }
    let lost = |bytes: u64| match bytes {
        0 => String::new(),
        bytes => format!(" ({} of data)", size(bytes)),
    };
    let classes: Vec<String> = totals
        .classes
        .iter()
        .map(|(class, count)| format!("{count} {class}"))
        .collect();
    let parts = [
        (totals.create, format!("{} to create", totals.create)),
        (
            totals.change,
            format!("{} to change ({})", totals.change, classes.join(", ")),
        ),
        (totals.start, format!("{} to start", totals.start)),
        (totals.stop, format!("{} to stop", totals.stop)),
        (
            totals.replace,
            format!("{} to replace{}", totals.replace, lost(totals.replace_loss)),
        ),
        (
            totals.delete,
            format!("{} to delete{}", totals.delete, lost(totals.delete_loss)),
        ),
        (totals.forget, format!("{} to forget", totals.forget)),
    ];
    let said: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(_, text)| text)
        .collect();
    let mut lines = vec!["Plan:".to_owned()];
    for (at, part) in said.iter().enumerate() {
        let end = if at + 1 == said.len() { '.' } else { ',' };
        let part = format!(" {part}{end}");
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.chars().count() <= WIDTH => {
                line.push_str(&part);
            }
            Some(_) | None => lines.push(format!("     {part}")),
        }
    }
    lines.join("\n")
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// How many of what, as numbers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Totals {
    pub create: usize,
    pub change: usize,
    pub start: usize,
    pub stop: usize,
    pub replace: usize,
    pub delete: usize,
    pub forget: usize,
    pub unchanged: usize,
    pub replace_loss: u64,
    pub delete_loss: u64,
    /// Of the changes, how many of each class.
    pub classes: Vec<(Disruption, usize)>,
}

impl Totals {
    pub fn of(plan: &Plan) -> Self {
        let mut totals = Self::default();
        let mut classes = std::collections::BTreeMap::new();
        for change in plan.changes.values() {
            let loss = change.data_loss.unwrap_or_default();
            match change.action {
                Action::None => totals.unchanged += 1,
                Action::Create => totals.create += 1,
                Action::Update => match change.power {
                    Some(PowerChange::Start | PowerChange::Resume)
                        if change.attributes.is_empty() =>
                    {
                        totals.start += 1;
                    }
                    Some(PowerChange::Stop) if change.attributes.is_empty() => totals.stop += 1,
                    _ => {
                        totals.change += 1;
                        let class = change.disruption.unwrap_or(Disruption::Live);
                        *classes.entry(class).or_insert(0) += 1;
                    }
                },
                Action::Replace => {
                    totals.replace += 1;
                    totals.replace_loss += loss;
                }
                Action::Delete => {
                    totals.delete += 1;
                    totals.delete_loss += loss;
                }
                Action::Forget => totals.forget += 1,
            }
        }
        totals.classes = classes.into_iter().collect();
        totals
    }
}
