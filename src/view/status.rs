//! The resources of a lab and how they are, as a table.

use std::fmt::Write as _;

use super::plain::one_line;

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its address.
    pub address: String,
    /// Its name in libvirt.
    pub name: String,
    /// How it is: `running`, `active`, `missing`.
    pub state: String,
    /// What else is worth knowing in a few words.
    pub detail: String,
}

impl Row {
    fn plain(&self) -> Self {
        let plain = |text: &str| one_line(text).into_owned();
        Self {
            address: plain(&self.address),
            name: plain(&self.name),
            state: plain(&self.state),
            detail: plain(&self.detail),
        }
    }
}

/// The table, with a heading.
pub fn text(rows: &[Row]) -> String {
    let heading = Row {
        address: "ADDRESS".to_owned(),
        name: "NAME".to_owned(),
        state: "STATE".to_owned(),
        detail: "DETAIL".to_owned(),
    };
    let rows: Vec<Row> = std::iter::once(&heading)
        .chain(rows)
        .map(Row::plain)
        .collect();
    let width = |of: fn(&Row) -> &String| {
        rows.iter()
            .map(|row| of(row).chars().count())
            .max()
            .unwrap_or_default()
    };
    let (address, name, state) = (
        width(|row| &row.address),
        width(|row| &row.name),
        width(|row| &row.state),
    );
    let mut out = String::new();
    for row in rows {
        let line = format!(
            "{:<address$}  {:<name$}  {:<state$}  {}",
            row.address, row.name, row.state, row.detail
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let row = |address: &str, name: &str, state: &str, detail: &str| Row {
            address: address.to_owned(),
            name: name.to_owned(),
            state: state.to_owned(),
            detail: detail.to_owned(),
        };
        let table = text(&[
            row("network.front", "front", "active", ""),
            row("guest.web1", "shop-wéb1", "off", "1 vcpu, 1 GiB"),
        ]);
        let lines = [
            "ADDRESS        NAME       STATE   DETAIL",
            "network.front  front      active",
            "guest.web1     shop-wéb1  off     1 vcpu, 1 GiB",
        ];
        assert_eq!(table, lines.join("\n") + "\n");
    }

    #[test]
    fn a_table_without_rows_is_its_heading() {
        assert_eq!(text(&[]), "ADDRESS  NAME  STATE  DETAIL\n");
    }
}
