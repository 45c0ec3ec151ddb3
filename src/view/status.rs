//! The resources of a lab and how they are, as a table for 80 columns.

use std::fmt::Write as _;

use super::WIDTH;
use super::plain::one_line;
use super::plan::GAP;

/// How far what has no room in its column stands from the left.
const BELOW: usize = 4;
/// What stands between two details.
const AND: &str = "; ";

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its address.
    pub address: String,
    /// How it is: `running`, `active`, `missing`.
    pub state: String,
    /// What else is worth knowing, each in a few words.
    pub details: Vec<String>,
}

/// The table, with a heading. Details that have no room in a line stand below it; nothing is cut.
pub fn text(rows: &[Row]) -> String {
    let heading = Row {
        address: "ADDRESS".to_owned(),
        state: "STATE".to_owned(),
        details: vec!["DETAIL".to_owned()],
    };
    let rows = || std::iter::once(&heading).chain(rows);
    let width = |of: fn(&Row) -> &String| {
        let widths = rows().map(|row| one_line(of(row)).chars().count());
        widths.max().unwrap_or_default()
    };
    let (address, state) = (width(|row| &row.address), width(|row| &row.state));
    // Where addresses are so long that there is no room beside them, there is below.
    let column = (address + GAP + state + GAP).min(WIDTH / 2);
    let mut out = String::new();
    for row in rows() {
        let (name, how) = (one_line(&row.address), one_line(&row.state));
        let mut line = format!("{name:<address$}  {how:<state$}");
        let details: Vec<_> = row.details.iter().map(|detail| one_line(detail)).collect();
        for (nth, detail) in details.iter().enumerate() {
            let length = detail.chars().count();
            let (end, and) = match nth {
                0 => (line.chars().count(), "  "),
                _ => (line.chars().count(), AND),
            };
            if end + and.len() + length <= WIDTH {
                let _ = write!(line, "{and}{detail}");
                continue;
            }
            let _ = writeln!(out, "{}", line.trim_end());
            let at = match column + length <= WIDTH {
                true => column,
                false => BELOW,
            };
            line = format!("{:at$}{detail}", "");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(address: &str, state: &str, details: &[&str]) -> Row {
        Row {
            address: address.to_owned(),
            state: state.to_owned(),
            details: details.iter().map(|detail| (*detail).to_owned()).collect(),
        }
    }

    #[test]
    fn columns_stand_below_each_other_and_long_details_below_them() {
        let path = format!("/srv/{}.qcow2", "long".repeat(14));
        let table = text(&[
            row("network.front", "active", &[]),
            row("volume.web1.root", "incomplete", &[&path]),
            row(
                "guest.wéb1",
                "running",
                &[
                    "1 vcpu, 1 GiB",
                    "eth0 192.168.155.11",
                    "pending restart: memory",
                ],
            ),
        ]);
        let lines = [
            "ADDRESS           STATE       DETAIL",
            "network.front     active",
            "volume.web1.root  incomplete",
            &format!("    {path}"),
            "guest.wéb1        running     1 vcpu, 1 GiB; eth0 192.168.155.11",
            "                              pending restart: memory",
        ];
        assert_eq!(table, lines.join("\n") + "\n");
    }

    #[test]
    fn a_line_is_too_long_only_for_what_is_longer_than_one() {
        let long = format!("guest.{}", "a".repeat(60));
        let details = ["2 vcpus, 2 GiB", "eth0 192.168.155.11", "eth1 fd00::1"];
        for line in text(&[row(&long, "running", &details)]).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn a_table_without_rows_is_its_heading() {
        assert_eq!(text(&[]), "ADDRESS  STATE  DETAIL\n");
    }
}
